/* SPDX-License-Identifier: Apache-2.0
 * base/num.h: numbers as text whose point is '.', whatever the host program's locale says (LC_NUMERIC changes strtod and printf).
 * What is read is rounded correctly, as strtod does it. The only place of src where floats become text or come from it. */
#ifndef BASE_NUM_H
#define BASE_NUM_H

#include <stddef.h>

#include "base/buf.h"

/* The number that z begins with: decimal, hexadecimal ("0x1.8p3"), "inf", "nan"; no space before it. *end (may be NULL) is what
 * follows; z when there is none. Infinity when too large, 0 when too small. */
double num_parse(const char *z, char **end);

/* v as printf's %e %f %g %a and their capitals have it; form is the letter. The length that there was to write, as snprintf gives it
 * (a few more when it did not fit or size is 0: count with room, then take what was written). */
size_t num_print(char *out, size_t size, char form, int precision, double v);
/* The same behind what b holds; alternate: printf's '#'. */
void num_put(struct buf *b, char form, int alternate, int precision, double v);

/* For messages: "%s", num_show(v).z, as %g has it. */
struct num_text {
    char z[32];
};
struct num_text num_show(double v);

/* Makes '.' of the point in what printf wrote of a finite number, whichever it is and however many bytes it has; gives the new length. */
size_t num_mend_point(char *t);

#endif
