/* SPDX-License-Identifier: Apache-2.0
 *
 * text/template_char.h: what Python's str knows about characters (Unicode 14). For the template
 * interpreter alone: the tokenizers have their own tables, of other versions and for other
 * questions.
 */
#ifndef TEXT_TEMPLATE_CHAR_H
#define TEXT_TEMPLATE_CHAR_H

#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

enum tpl_char_flag { /* the order is tools/template_table.py's */
                     TPL_SPACE = 1 << 0,
                     TPL_WORD = 1 << 1, /* may stand in a name */
                     TPL_ID_START = 1 << 2,
                     TPL_ALPHA = 1 << 3,
                     TPL_DECIMAL = 1 << 4,
                     TPL_DIGIT = 1 << 5,
                     TPL_NUMERIC = 1 << 6,
                     TPL_PRINTABLE = 1 << 7,
                     TPL_CHAR_UPPER = 1 << 8,
                     TPL_CHAR_LOWER = 1 << 9,
                     TPL_CHAR_TITLE = 1 << 10,
                     TPL_IGNORABLE = 1 << 11,
};
#define TPL_ALNUM (TPL_ALPHA | TPL_DECIMAL | TPL_DIGIT | TPL_NUMERIC)
#define TPL_CASED (TPL_CHAR_UPPER | TPL_CHAR_LOWER | TPL_CHAR_TITLE)

unsigned tpl_char_flags(uint32_t cp);
static inline int tpl_char_is(uint32_t cp, unsigned any) { return (tpl_char_flags(cp) & any) != 0; }
/* How: 0 upper, 1 lower, 2 title, 3 fold. Gives the number of characters in out. */
size_t tpl_char_map(uint32_t cp, int how, uint32_t out[3]);
int tpl_char_digit(uint32_t cp);          /* 0..9, or -1 */
uint32_t tpl_char_named(struct str name); /* \N{name}; 0 when unknown */
/* An HTML entity's character: the longest known beginning of s (after the '&'), *n its length
 * without the ';'. 0: none. */
uint32_t tpl_char_entity(struct str s, size_t *n);

/* The generated tables. */
struct tpl_case_range {
    uint32_t lo, hi;
    int32_t stride, delta;
};
struct tpl_case_special {
    uint32_t cp, how, to[3];
};
struct tpl_char_name {
    const char *name;
    uint32_t cp;
};
extern const uint16_t tpl_table_flags[];
extern const uint32_t tpl_table_runs[]; /* first character << 8 | index into flags */
extern const struct tpl_case_range tpl_table_upper[], tpl_table_lower[], tpl_table_title[],
    tpl_table_fold[];
extern const struct tpl_case_special tpl_table_special[];
extern const struct tpl_char_name tpl_table_names[], tpl_table_entities[];
extern const size_t tpl_table_flags_n, tpl_table_runs_n, tpl_table_upper_n, tpl_table_lower_n,
    tpl_table_title_n, tpl_table_fold_n, tpl_table_special_n, tpl_table_names_n,
    tpl_table_entities_n;

#endif
