/* SPDX-License-Identifier: Apache-2.0
 *
 * text/template_char.c: looking up the tables of template_table.c. ASCII never gets to them.
 */
#include "text/template_char.h"

#include <string.h>

static unsigned ascii(uint32_t c)
{
    unsigned f = c >= 0x20 && c < 0x7f ? TPL_PRINTABLE : 0;
    if (c == ' ' || (c >= 9 && c <= 13) || (c >= 0x1c && c <= 0x1f)) f |= TPL_SPACE;
    if (c >= '0' && c <= '9') f |= TPL_WORD | TPL_DECIMAL | TPL_DIGIT | TPL_NUMERIC;
    if (c == '_') f |= TPL_WORD | TPL_ID_START;
    if (c >= 'a' && c <= 'z') f |= TPL_WORD | TPL_ID_START | TPL_ALPHA | TPL_CHAR_LOWER;
    if (c >= 'A' && c <= 'Z') f |= TPL_WORD | TPL_ID_START | TPL_ALPHA | TPL_CHAR_UPPER;
    if (c == '\'' || c == '.' || c == ':' || c == '^' || c == '`') f |= TPL_IGNORABLE;
    return f;
}

static size_t run_of(uint32_t cp)
{
    size_t lo = 0, hi = tpl_table_runs_n;
    while (hi - lo > 1) {
        size_t mid = (lo + hi) / 2;
        if (tpl_table_runs[mid] >> 8 <= cp)
            lo = mid;
        else
            hi = mid;
    }
    return lo;
}

unsigned tpl_char_flags(uint32_t cp)
{
    return cp < 0x80 ? ascii(cp) : tpl_table_flags[tpl_table_runs[run_of(cp)] & 255];
}

int tpl_char_digit(uint32_t cp)
{
    if (cp < 0x80) return cp >= '0' && cp <= '9' ? (int)(cp - '0') : -1;
    size_t run = run_of(cp);
    if (!(tpl_table_flags[tpl_table_runs[run] & 255] & TPL_DECIMAL)) return -1;
    return (int)((cp - (tpl_table_runs[run] >> 8)) % 10);
}

static int in_ranges(const struct tpl_case_range *r, size_t n, uint32_t cp, uint32_t *out)
{
    size_t lo = 0, hi = n;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (r[mid].hi < cp)
            lo = mid + 1;
        else
            hi = mid;
    }
    /* ranges of stride 2 may interleave with the next one */
    for (size_t i = lo; i < n && i < lo + 2 && r[i].lo <= cp; i++) {
        if (cp > r[i].hi || (cp - r[i].lo) % (uint32_t)r[i].stride) continue;
        *out = (uint32_t)((int32_t)cp + r[i].delta);
        return 1;
    }
    return 0;
}

static size_t special(uint32_t cp, uint32_t how, uint32_t out[3])
{
    size_t lo = 0, hi = tpl_table_special_n;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (tpl_table_special[mid].cp < cp)
            lo = mid + 1;
        else
            hi = mid;
    }
    for (; lo < tpl_table_special_n && tpl_table_special[lo].cp == cp; lo++) {
        if (tpl_table_special[lo].how != how) continue;
        memcpy(out, tpl_table_special[lo].to, 3 * sizeof *out);
        return out[2] ? 3 : 2;
    }
    return 0;
}

static size_t mapped(uint32_t cp, int how, uint32_t out[3])
{
    static const struct tpl_case_range *const table[] = {tpl_table_upper, tpl_table_lower,
                                                         tpl_table_title, tpl_table_fold};
    const size_t n[] = {tpl_table_upper_n, tpl_table_lower_n, tpl_table_title_n, tpl_table_fold_n};
    size_t k = special(cp, (uint32_t)how, out);
    return k ? k : (size_t)in_ranges(table[how], n[how], cp, out);
}

size_t tpl_char_map(uint32_t cp, int how, uint32_t out[3])
{
    out[0] = cp;
    if (cp < 0x80) {
        int up = how == 0 || how == 2;
        if (up && cp >= 'a' && cp <= 'z') out[0] = cp - 32;
        if (!up && cp >= 'A' && cp <= 'Z') out[0] = cp + 32;
        return 1;
    }
    size_t k = mapped(cp, how, out);
    if (!k && how == 2) k = mapped(cp, 0, out); /* title: as upper unless listed */
    if (!k && how == 3) k = mapped(cp, 1, out); /* fold: as lower unless listed */
    return k ? k : 1;
}

static uint32_t named(const struct tpl_char_name *t, size_t n, struct str s, int upper)
{
    size_t lo = 0, hi = n;
    char key[64];
    if (s.n >= sizeof key) return 0;
    for (size_t i = 0; i < s.n; i++)
        key[i] = upper && s.p[i] >= 'a' && s.p[i] <= 'z' ? (char)(s.p[i] - 32) : s.p[i];
    key[s.n] = 0;
    if (memchr(key, 0, s.n)) return 0;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        int c = strcmp(t[mid].name, key);
        if (c == 0) return t[mid].cp;
        if (c < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return 0;
}

uint32_t tpl_char_named(struct str name)
{
    return named(tpl_table_names, tpl_table_names_n, name, 1);
}

/* With a ';' every name counts; without one HTML knows only those of Latin-1 and a few more. */
uint32_t tpl_char_entity(struct str s, size_t *n)
{
    size_t k = 0;
    while (k < s.n && k < 32 && ((s.p[k] | 32) >= 'a') && ((s.p[k] | 32) <= 'z')) k++;
    while (k < s.n && k < 32 && s.p[k] >= '0' && s.p[k] <= '9') k++;
    for (*n = k; *n > 1; --*n) {
        uint32_t cp = named(tpl_table_entities, tpl_table_entities_n, (struct str){s.p, *n}, 0);
        if (cp && ((*n < s.n && s.p[*n] == ';') || (cp < 256 && cp != '\''))) return cp;
    }
    return 0;
}
