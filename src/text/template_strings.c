/* SPDX-License-Identifier: Apache-2.0
 *
 * text/template_strings.c: the methods of Python's str that templates may call: "...".split() and
 * the others. Those that ask (isalpha, startswith) are in template_asks.c.
 */
#include "base/utf8.h"
#include "text/template_char.h"
#include "text/template_val.h"

#define GIVEN(v) ((v).kind != TPL_MISSING && (v).kind != TPL_NONE)
#define ARGS     struct tpl_run *r, const struct val *a, const struct tpl_args *raw

static int is_text(struct tpl_run *r, struct val v)
{
    if (tpl_is_str(v)) return 1;
    tpl_type_error(r, "expected str, not %s", tpl_val_type(v));
    return 0;
}

static int count_of(struct tpl_run *r, struct val v, int64_t otherwise, int64_t *n)
{
    *n = otherwise;
    return v.kind == TPL_MISSING ? 0 : tpl_val_index(r, v, n);
}

/* ---- case, strip, pad ---- */

static struct val upper(ARGS)
{
    (void)raw;
    return tpl_str_case(r, a[0], TPL_UPPER);
}
static struct val lower(ARGS)
{
    (void)raw;
    return tpl_str_case(r, a[0], TPL_LOWER);
}
static struct val title(ARGS)
{
    (void)raw;
    return tpl_str_case(r, a[0], TPL_TITLE);
}
static struct val capitalize(ARGS)
{
    (void)raw;
    return tpl_str_case(r, a[0], TPL_CAPITAL);
}
static struct val swapcase(ARGS)
{
    (void)raw;
    return tpl_str_case(r, a[0], TPL_SWAP);
}
static struct val casefold(ARGS)
{
    (void)raw;
    return tpl_str_case(r, a[0], TPL_FOLD);
}

struct val tpl_strings_strip(struct tpl_run *r, struct val s, struct val chars, int left, int right)
{
    struct str set;
    if (GIVEN(chars)) {
        if (!is_text(r, chars)) return tpl_failed();
        set = tpl_view(chars);
        if (tpl_step(r, (s.u.s->n / 64 + 1) * (set.n / 64 + 1))) return tpl_failed();
    }
    if (tpl_step_bytes(r, s.u.s->n)) return tpl_failed();
    return tpl_str_cut(r, s, tpl_str_strip(tpl_view(s), GIVEN(chars) ? &set : NULL, left, right));
}

static struct val strip(ARGS)
{
    (void)raw;
    return tpl_strings_strip(r, a[0], a[1], 1, 1);
}
static struct val lstrip(ARGS)
{
    (void)raw;
    return tpl_strings_strip(r, a[0], a[1], 1, 0);
}
static struct val rstrip(ARGS)
{
    (void)raw;
    return tpl_strings_strip(r, a[0], a[1], 0, 1);
}

struct val tpl_strings_pad(struct tpl_run *r, struct val s, struct val width, struct val fill,
                           char align)
{
    int64_t w;
    struct str with = STR(" ");
    size_t chars = tpl_str_chars(s.u.s), begin = tpl_begin(r);
    if (tpl_val_index(r, width, &w)) return tpl_failed();
    if (fill.kind != TPL_MISSING) {
        if (!is_text(r, fill)) return tpl_failed();
        if (tpl_str_chars(fill.u.s) != 1)
            return tpl_type_error(r, "the fill character must be exactly one character long");
        with = tpl_view(fill);
    }
    if (w <= 0 || (uint64_t)w <= chars) return s;
    size_t more = (size_t)w - chars, left = align == '<'   ? 0
                                            : align == '>' ? more
                                                           : more / 2 + (more & (size_t)w & 1);
    if (more > SIZE_MAX / 8 || tpl_step_bytes(r, more * with.n))
        return r->failed ? tpl_failed() : tpl_out_of_steps(r);
    for (size_t i = 0; i < left; i++) buf_str(&r->work, with);
    buf_str(&r->work, tpl_view(s));
    for (size_t i = left; i < more; i++) buf_str(&r->work, with);
    struct val v = tpl_end(r, begin);
    v.markup = s.markup;
    return v;
}

static struct val center(ARGS)
{
    (void)raw;
    return tpl_strings_pad(r, a[0], a[1], a[2], '^');
}
static struct val ljust(ARGS)
{
    (void)raw;
    return tpl_strings_pad(r, a[0], a[1], a[2], '<');
}
static struct val rjust(ARGS)
{
    (void)raw;
    return tpl_strings_pad(r, a[0], a[1], a[2], '>');
}

static struct val zfill(ARGS)
{
    struct str s = tpl_view(a[0]);
    size_t sign = s.n && (s.p[0] == '+' || s.p[0] == '-'), begin = tpl_begin(r);
    struct val zero = tpl_str_z(r, "0"), rest = tpl_str_cut(r, a[0], str_from(s, sign));
    int64_t w;
    (void)raw;
    if (tpl_bad(zero) || tpl_bad(rest) || tpl_val_index(r, a[1], &w)) return tpl_failed();
    if (!sign) return tpl_strings_pad(r, a[0], a[1], zero, '>');
    rest = tpl_strings_pad(r, rest, tpl_int(w > INT64_MIN ? w - 1 : w), zero, '>');
    if (tpl_bad(rest)) return rest;
    buf_putc(&r->work, s.p[0]);
    buf_str(&r->work, tpl_view(rest));
    return tpl_end(r, begin);
}

static struct val expandtabs(ARGS)
{
    struct str s = tpl_view(a[0]);
    int64_t size;
    size_t column = 0, begin = tpl_begin(r);
    (void)raw;
    if (count_of(r, a[1], 8, &size)) return tpl_failed();
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (c != '\t') {
            buf_putc(&r->work, c);
            if (c == '\n' || c == '\r')
                column = 0;
            else
                column += ((unsigned char)c & 0xc0) != 0x80;
            continue;
        }
        if (size <= 0) continue;
        size_t n = (size_t)size - column % (size_t)size;
        if (tpl_step_bytes(r, n)) return tpl_failed();
        column += n;
        while (n--) buf_putc(&r->work, ' ');
    }
    return tpl_end(r, begin);
}

/* ---- split, partition, lines ---- */

static int push_part(struct tpl_run *r, struct val list, struct val s, size_t from, size_t to)
{
    return tpl_list_push(r, list.u.l, tpl_str_cut(r, s, (struct str){s.u.s->p + from, to - from}));
}

static void reverse(struct tpl_list *l)
{
    for (size_t i = 0, j = l->n; i + 1 < j; i++) {
        struct val t = l->p[--j];
        l->p[j] = l->p[i];
        l->p[i] = t;
    }
}

static int space_at(struct str s, size_t i, size_t *k)
{
    uint32_t cp;
    *k = utf8_decode(s.p + i, s.n - i, &cp);
    if (!*k) return *k = 1, 0;
    return tpl_char_is(cp, TPL_SPACE);
}

static int split_space(struct tpl_run *r, struct val v, int64_t max, struct val list)
{
    struct str s = tpl_view(v);
    size_t i = 0, k;
    for (;;) {
        while (i < s.n && space_at(s, i, &k)) i += k;
        if (i >= s.n) return 0;
        size_t from = i;
        if (max-- == 0) return push_part(r, list, v, from, s.n);
        while (i < s.n && !space_at(s, i, &k)) i += k;
        if (push_part(r, list, v, from, i)) return -1;
    }
}

static int rsplit_space(struct tpl_run *r, struct val v, int64_t max, struct val list)
{
    struct str s = tpl_view(v);
    for (;;) {
        uint32_t cp;
        s = tpl_str_strip(s, NULL, 0, 1);
        if (!s.n) return 0;
        size_t from = s.n;
        if (max-- == 0) return push_part(r, list, v, 0, s.n);
        while (from) {
            size_t k = 1;
            while (k < from && ((unsigned char)s.p[from - k] & 0xc0) == 0x80) k++;
            utf8_decode(s.p + from - k, k, &cp);
            if (tpl_char_is(cp, TPL_SPACE)) break;
            from -= k;
        }
        if (push_part(r, list, v, from, s.n)) return -1;
        s.n = from;
    }
}

static int split_at(struct tpl_run *r, struct val v, struct str sep, int64_t max, struct val list)
{
    struct str s = tpl_view(v);
    size_t at = 0;
    for (; max != 0; max--) {
        int64_t f = tpl_str_find(str_from(s, at), sep);
        if (f < 0) break;
        if (tpl_step(r, 1) || push_part(r, list, v, at, at + (size_t)f)) return -1;
        at += (size_t)f + sep.n;
    }
    return push_part(r, list, v, at, s.n);
}

static int rsplit_at(struct tpl_run *r, struct val v, struct str sep, int64_t max, struct val list)
{
    struct str s = tpl_view(v);
    for (; max != 0; max--) {
        int64_t f = tpl_str_rfind(r, s, sep);
        if (f == -2) return -1;
        if (f < 0) break;
        if (tpl_step(r, 1) || push_part(r, list, v, (size_t)f + sep.n, s.n)) return -1;
        s.n = (size_t)f;
    }
    return push_part(r, list, v, 0, s.n);
}

static struct val do_split(struct tpl_run *r, const struct val *a, int right)
{
    struct val list = tpl_list_new(r, TPL_LIST, 0);
    int64_t max;
    int rc;
    if (tpl_bad(list) || count_of(r, a[2], -1, &max) || tpl_step_bytes(r, a[0].u.s->n))
        return tpl_failed();
    if (!GIVEN(a[1])) {
        rc = right ? rsplit_space(r, a[0], max, list) : split_space(r, a[0], max, list);
    } else {
        if (!is_text(r, a[1])) return tpl_failed();
        struct str sep = tpl_view(a[1]);
        if (!sep.n) return tpl_type_error(r, "empty separator");
        rc = right ? rsplit_at(r, a[0], sep, max, list) : split_at(r, a[0], sep, max, list);
    }
    if (rc) return tpl_failed();
    if (right) reverse(list.u.l);
    return list;
}

static struct val split(ARGS)
{
    (void)raw;
    return do_split(r, a, 0);
}
static struct val rsplit(ARGS)
{
    (void)raw;
    return do_split(r, a, 1);
}

static struct val splitlines(ARGS)
{
    struct str s = tpl_view(a[0]);
    struct val list = tpl_list_new(r, TPL_LIST, 0);
    int keep = a[1].kind == TPL_MISSING ? 0 : tpl_val_truth(r, a[1]);
    (void)raw;
    if (tpl_bad(list) || keep < 0 || tpl_step_bytes(r, s.n)) return tpl_failed();
    for (size_t at = 0, next; at < s.n; at = next) {
        size_t end = tpl_str_line(s, at, &next);
        if (push_part(r, list, a[0], at, keep ? next : end)) return tpl_failed();
    }
    return list;
}

static struct val do_partition(struct tpl_run *r, const struct val *a, int right)
{
    if (!is_text(r, a[1])) return tpl_failed();
    struct str s = tpl_view(a[0]), sep = tpl_view(a[1]), none = {s.p + s.n, 0};
    if (!sep.n) return tpl_type_error(r, "empty separator");
    if (tpl_step_bytes(r, s.n)) return tpl_failed();
    int64_t f = right ? tpl_str_rfind(r, s, sep) : tpl_str_find(s, sep);
    if (f == -2) return tpl_failed();
    struct str parts[3] = {s, none, none};
    if (f >= 0) {
        parts[0] = (struct str){s.p, (size_t)f};
        parts[1] = sep;
        parts[2] = str_from(s, (size_t)f + sep.n);
    } else if (right) {
        parts[0] = none;
        parts[2] = s;
    }
    struct val v[3];
    for (int i = 0; i < 3; i++) {
        v[i] = i == 1 && f >= 0 ? a[1] : tpl_str_cut(r, a[0], parts[i]);
        if (tpl_bad(v[i])) return v[i];
    }
    return tpl_list_of(r, TPL_TUPLE, v, 3);
}

static struct val partition(ARGS)
{
    (void)raw;
    return do_partition(r, a, 0);
}
static struct val rpartition(ARGS)
{
    (void)raw;
    return do_partition(r, a, 1);
}

/* ---- replace, join, format, encode ---- */

static struct val replace(ARGS)
{
    int64_t max;
    (void)raw;
    if (!is_text(r, a[1]) || !is_text(r, a[2]) || count_of(r, a[3], -1, &max)) return tpl_failed();
    struct val v = tpl_str_replace(r, a[0], tpl_view(a[1]), tpl_view(a[2]), max);
    v.markup = a[0].markup;
    return v;
}

static struct val removeprefix(ARGS)
{
    (void)raw;
    if (!is_text(r, a[1])) return tpl_failed();
    struct str s = tpl_view(a[0]);
    return str_starts(s, tpl_view(a[1])) ? tpl_str_cut(r, a[0], str_from(s, a[1].u.s->n)) : a[0];
}

static struct val removesuffix(ARGS)
{
    (void)raw;
    if (!is_text(r, a[1])) return tpl_failed();
    struct str s = tpl_view(a[0]);
    return str_ends(s, tpl_view(a[1])) ? tpl_str_cut(r, a[0], (struct str){s.p, s.n - a[1].u.s->n})
                                       : a[0];
}

static struct val join(ARGS)
{
    struct val list = tpl_list_from(r, TPL_LIST, a[1]), v;
    size_t begin = tpl_begin(r);
    (void)raw;
    for (size_t i = 0; !tpl_bad(list) && i < list.u.l->n; i++) {
        v = list.u.l->p[i];
        if (!tpl_is_str(v))
            return tpl_type_error(r, "sequence item %zu: expected str instance, %s found", i,
                                  tpl_val_type(v));
        if (tpl_step_bytes(r, a[0].u.s->n + v.u.s->n)) return tpl_failed();
        if (i) buf_str(&r->work, tpl_view(a[0]));
        if (a[0].markup && !v.markup)
            tpl_str_escape_to(&r->work, tpl_view(v));
        else
            buf_str(&r->work, tpl_view(v));
    }
    if (tpl_bad(list)) return list;
    v = tpl_end(r, begin);
    v.markup = a[0].markup;
    return v;
}

static struct val format(ARGS) { return tpl_braces(r, a[0], raw, tpl_missing()); }

static struct val format_map(ARGS)
{
    static const struct tpl_args none;
    (void)raw;
    if (a[1].kind != TPL_DICT)
        return tpl_type_error(r, "format_map() wants a dict, not %s", tpl_val_type(a[1]));
    return tpl_braces(r, a[0], &none, a[1]);
}

static int is_encoding(struct str s, const char *const *names)
{
    for (; *names; names++) {
        size_t n = strlen(*names), i = 0;
        for (; i < s.n && i < n; i++) {
            char c = s.p[i] == '_'                    ? '-'
                     : s.p[i] >= 'A' && s.p[i] <= 'Z' ? (char)(s.p[i] + 32)
                                                      : s.p[i];
            if (c != (*names)[i]) break;
        }
        if (i == n && s.n == n) return 1;
    }
    return 0;
}

/* 0 utf-8, 1 ascii, 2 latin-1, -1 */
int tpl_strings_encoding(struct tpl_run *r, struct val name)
{
    static const char *const kinds[3][5] = {{"utf-8", "utf8", NULL},
                                            {"ascii", "us-ascii", NULL},
                                            {"latin-1", "latin1", "iso-8859-1", NULL}};
    if (name.kind == TPL_MISSING) return 0;
    if (!is_text(r, name)) return -1;
    for (int i = 0; i < 3; i++)
        if (is_encoding(tpl_view(name), kinds[i])) return i;
    tpl_fail(r, LAR_EUNSUPPORTED, "the encoding '%.*s'; utf-8, ascii and latin-1 are known",
             STR_ARG(tpl_view(name)));
    return -1;
}

static struct val encode(ARGS)
{
    struct str s = tpl_view(a[0]);
    int kind = tpl_strings_encoding(r, a[1]);
    size_t begin = tpl_begin(r);
    struct str errors = a[2].kind == TPL_MISSING ? STR("strict")
                        : tpl_is_str(a[2])       ? tpl_view(a[2])
                                                 : STR("");
    (void)raw;
    if (kind < 0) return tpl_failed();
    if (kind == 0) return tpl_str_bytes(r, s);
    for (size_t i = 0, k; i < s.n; i += k) {
        uint32_t cp;
        k = utf8_decode(s.p + i, s.n - i, &cp);
        if (cp < (kind == 1 ? 0x80u : 0x100u))
            buf_putc(&r->work, (char)cp);
        else if (str_is(errors, "replace"))
            buf_putc(&r->work, '?');
        else if (str_is(errors, "backslashreplace"))
            tpl_format_ascii(&r->work, (struct str){s.p + i, k});
        else if (!str_is(errors, "ignore"))
            return tpl_type_error(r, "a character that this encoding lacks");
    }
    struct val v = tpl_end(r, begin);
    return tpl_bad(v) ? v : tpl_str_bytes(r, tpl_view(v));
}

/* ---- translate ---- */

static struct val maketrans(ARGS)
{
    struct val d = tpl_dict_new(r);
    (void)raw;
    if (tpl_bad(d)) return d;
    if (a[2].kind == TPL_MISSING)
        return tpl_fail(r, LAR_EUNSUPPORTED, "maketrans with one argument; write the dict itself");
    for (int i = 1; i <= 3; i++)
        if (a[i].kind != TPL_MISSING && !is_text(r, a[i])) return tpl_failed();
    size_t n = tpl_str_chars(a[1].u.s);
    if (n != tpl_str_chars(a[2].u.s))
        return tpl_type_error(r, "the first two maketrans arguments must have equal length");
    struct str x = tpl_view(a[1]), y = tpl_view(a[2]);
    for (size_t i = 0, j = 0; i < x.n;) {
        uint32_t from, to;
        i += utf8_decode(x.p + i, x.n - i, &from);
        j += utf8_decode(y.p + j, y.n - j, &to);
        if (tpl_step(r, 1) || tpl_dict_set(r, d.u.d, tpl_int(from), tpl_int(to)))
            return tpl_failed();
    }
    x = a[3].kind == TPL_MISSING ? STR("") : tpl_view(a[3]);
    for (size_t i = 0; i < x.n;) {
        uint32_t from;
        i += utf8_decode(x.p + i, x.n - i, &from);
        if (tpl_step(r, 1) || tpl_dict_set(r, d.u.d, tpl_int(from), tpl_none()))
            return tpl_failed();
    }
    return d;
}

static struct val translate(ARGS)
{
    struct str s = tpl_view(a[0]);
    size_t begin = tpl_begin(r);
    (void)raw;
    if (a[1].kind != TPL_DICT)
        return tpl_type_error(r, "translate() wants a dict, not %s", tpl_val_type(a[1]));
    for (size_t i = 0, k; i < s.n; i += k) {
        uint32_t cp;
        struct val to;
        k = utf8_decode(s.p + i, s.n - i, &cp);
        if (tpl_step(r, 1)) return tpl_failed();
        int found = tpl_dict_get(r, a[1].u.d, tpl_int(cp), &to);
        if (found < 0) return tpl_failed();
        if (!found)
            buf_add(&r->work, s.p + i, k);
        else if (tpl_is_str(to))
            buf_str(&r->work, tpl_view(to));
        else if (tpl_is_small(to) && to.u.i >= 0 && to.u.i <= 0x10ffff)
            tpl_str_put(&r->work, (uint32_t)to.u.i);
        else if (to.kind != TPL_NONE)
            return tpl_type_error(r, "character mapping must return integer, None or str");
    }
    return tpl_end(r, begin);
}

const struct tpl_sig tpl_str_methods[] = {
    {"capitalize", "", 0, capitalize},
    {"casefold", "", 0, casefold},
    {"center", "_ _", 1, center},
    {"count", "_ _ _", 1, tpl_asks_count},
    {"encode", "encoding errors", 0, encode},
    {"endswith", "_ _ _", 1, tpl_asks_endswith},
    {"expandtabs", "tabsize", 0, expandtabs},
    {"find", "_ _ _", 1, tpl_asks_find},
    {"format", NULL, 0, format},
    {"format_map", "_", 1, format_map},
    {"index", "_ _ _", 1, tpl_asks_index},
    {"isalnum", "", 0, tpl_asks_isalnum},
    {"isalpha", "", 0, tpl_asks_isalpha},
    {"isascii", "", 0, tpl_asks_isascii},
    {"isdecimal", "", 0, tpl_asks_isdecimal},
    {"isdigit", "", 0, tpl_asks_isdigit},
    {"isidentifier", "", 0, tpl_asks_isidentifier},
    {"islower", "", 0, tpl_asks_islower},
    {"isnumeric", "", 0, tpl_asks_isnumeric},
    {"isprintable", "", 0, tpl_asks_isprintable},
    {"isspace", "", 0, tpl_asks_isspace},
    {"istitle", "", 0, tpl_asks_istitle},
    {"isupper", "", 0, tpl_asks_isupper},
    {"join", "_", 1, join},
    {"ljust", "_ _", 1, ljust},
    {"lower", "", 0, lower},
    {"lstrip", "_", 0, lstrip},
    {"maketrans", "_ _ _", 1, maketrans},
    {"partition", "_", 1, partition},
    {"removeprefix", "_", 1, removeprefix},
    {"removesuffix", "_", 1, removesuffix},
    {"replace", "_ _ _", 2, replace},
    {"rfind", "_ _ _", 1, tpl_asks_rfind},
    {"rindex", "_ _ _", 1, tpl_asks_rindex},
    {"rjust", "_ _", 1, rjust},
    {"rpartition", "_", 1, rpartition},
    {"rsplit", "sep maxsplit", 0, rsplit},
    {"rstrip", "_", 0, rstrip},
    {"split", "sep maxsplit", 0, split},
    {"splitlines", "keepends", 0, splitlines},
    {"startswith", "_ _ _", 1, tpl_asks_startswith},
    {"strip", "_", 0, strip},
    {"swapcase", "", 0, swapcase},
    {"title", "", 0, title},
    {"translate", "_", 1, translate},
    {"upper", "", 0, upper},
    {"zfill", "_", 1, zfill},
    {NULL, NULL, 0, NULL},
};
