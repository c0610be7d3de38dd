/* SPDX-License-Identifier: Apache-2.0
 * cli/size.c: see size.h. K, M, G and T are powers of ten, KiB and its like of two. */
#include "cli/size.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"

int size_parse(const char *what, const char *text, uint64_t *out, struct lar_err *err)
{
    static const struct {
        const char *name;
        double times;
    } unit[] = {
        {"", 1},         {"B", 1},           {"K", 1e3},           {"KB", 1e3}, {"M", 1e6},
        {"MB", 1e6},     {"G", 1e9},         {"GB", 1e9},          {"T", 1e12}, {"TB", 1e12},
        {"KIB", 1024.0}, {"MIB", 1048576.0}, {"GIB", 1073741824.0}};
    char *end, tail[4] = "";
    *out = 0;
    if (!text || !*text) return 0;
    double v = strtod(text, &end);
    size_t n = strlen(end);
    if (end != text && n < sizeof tail && isfinite(v) && v > 0) {
        for (size_t i = 0; i <= n; i++) tail[i] = (char)toupper((unsigned char)end[i]);
        for (size_t i = 0; i < sizeof unit / sizeof *unit; i++)
            if (strcmp(tail, unit[i].name) == 0 && v * unit[i].times < 1e18)
                return *out = (uint64_t)(v * unit[i].times), 0;
    }
    return lar_fail(err, LAR_EINVAL, "%s: '%s' is no size (as 4.0GB, 700MiB)", what, text);
}
