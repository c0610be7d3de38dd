/* SPDX-License-Identifier: Apache-2.0
 *
 * text/template_asks.c: the methods of Python's str that only ask: find, count, startswith, isalpha
 * and their kin.
 */
#include "base/utf8.h"
#include "text/template_char.h"
#include "text/template_val.h"

#define ARGS struct tpl_run *r, const struct val *a, const struct tpl_args *raw

/* ---- places ---- */

/* The part of s between the optional start and end, in bytes; 0 when start lies beyond the end of
 * the text or part. */
static int window(struct tpl_run *r, const struct val *a, struct str *part, size_t *first)
{
    struct tpl_str *s = a[0].u.s;
    int64_t n = (int64_t)tpl_str_chars(s), start = 0, end = n;
    *part = tpl_view(a[0]);
    *first = 0;
    if (tpl_step_bytes(r, s->n)) return -1;
    if (a[2].kind == TPL_MISSING) return 1;
    if (a[2].kind != TPL_NONE && tpl_val_index(r, a[2], &start)) return -1;
    if (a[3].kind != TPL_MISSING && a[3].kind != TPL_NONE && tpl_val_index(r, a[3], &end))
        return -1;
    if (end > n) end = n;
    if (end < 0) end = end < -n ? 0 : end + n;
    if (start < 0) start = start < -n ? 0 : start + n;
    if (start > end) return 0;
    size_t from = tpl_str_byte(s, (size_t)start), to = tpl_str_byte(s, (size_t)end);
    *part = (struct str){s->p + from, to - from};
    *first = from;
    return 1;
}

static size_t chars_in(struct str s)
{
    size_t k = 0;
    for (size_t i = 0; i < s.n; i++) k += ((unsigned char)s.p[i] & 0xc0) != 0x80;
    return k;
}

/* The character index of a[1] in a[0], -1 when absent; -2 on failure. */
static int64_t place(struct tpl_run *r, const struct val *a, int right)
{
    struct str part;
    size_t first;
    if (!tpl_is_str(a[1])) return tpl_type_error(r, "must be str, not %s", tpl_val_type(a[1])), -2;
    int in = window(r, a, &part, &first);
    if (in < 1) return in < 0 ? -2 : -1;
    int64_t f = right ? tpl_str_rfind(r, part, tpl_view(a[1])) : tpl_str_find(part, tpl_view(a[1]));
    if (f < 0) return f;
    return (int64_t)chars_in((struct str){a[0].u.s->p, first + (size_t)f});
}

static struct val found(struct tpl_run *r, int64_t f, int must)
{
    if (f == -2) return tpl_failed();
    return f < 0 && must ? tpl_type_error(r, "substring not found") : tpl_int(f);
}

struct val tpl_asks_find(ARGS)
{
    (void)raw;
    return found(r, place(r, a, 0), 0);
}
struct val tpl_asks_rfind(ARGS)
{
    (void)raw;
    return found(r, place(r, a, 1), 0);
}
struct val tpl_asks_index(ARGS)
{
    (void)raw;
    return found(r, place(r, a, 0), 1);
}
struct val tpl_asks_rindex(ARGS)
{
    (void)raw;
    return found(r, place(r, a, 1), 1);
}

struct val tpl_asks_count(ARGS)
{
    struct str part, sub;
    size_t first, n = 0;
    (void)raw;
    if (!tpl_is_str(a[1])) return tpl_type_error(r, "must be str, not %s", tpl_val_type(a[1]));
    sub = tpl_view(a[1]);
    int in = window(r, a, &part, &first);
    if (in < 1) return in < 0 ? tpl_failed() : tpl_int(0);
    if (!sub.n) return tpl_size(chars_in(part) + 1);
    for (int64_t f; (f = tpl_str_find(part, sub)) >= 0; n++)
        part = str_from(part, (size_t)f + sub.n);
    return tpl_size(n);
}

static struct val edge(struct tpl_run *r, const struct val *a, int tail)
{
    struct str part;
    size_t first;
    int is_tuple = a[1].kind == TPL_TUPLE, in;
    const struct val *p = is_tuple ? a[1].u.l->p : &a[1];
    size_t n = is_tuple ? a[1].u.l->n : 1;
    for (size_t i = 0; i < n; i++)
        if (!tpl_is_str(p[i]))
            return tpl_type_error(r, "%s first arg must be str or a tuple of str, not %s",
                                  tail ? "endswith" : "startswith", tpl_val_type(p[i]));
    if (a[2].kind == TPL_MISSING)
        part = tpl_view(a[0]);
    else if ((in = window(r, a, &part, &first)) < 1)
        return in < 0 ? tpl_failed() : tpl_bool(0);
    for (size_t i = 0; i < n; i++) {
        if (tpl_step_bytes(r, p[i].u.s->n)) return tpl_failed();
        if (tail ? str_ends(part, tpl_view(p[i])) : str_starts(part, tpl_view(p[i])))
            return tpl_bool(1);
    }
    return tpl_bool(0);
}

struct val tpl_asks_startswith(ARGS)
{
    (void)raw;
    return edge(r, a, 0);
}
struct val tpl_asks_endswith(ARGS)
{
    (void)raw;
    return edge(r, a, 1);
}

/* ---- kinds of characters ---- */

/* Every character has one of the flags; `empty` for a text without any. */
static struct val all(struct tpl_run *r, struct val v, unsigned flags, int empty)
{
    struct str s = tpl_view(v);
    if (tpl_step_bytes(r, s.n)) return tpl_failed();
    if (!s.n) return tpl_bool(empty);
    for (size_t i = 0, k; i < s.n; i += k) {
        uint32_t cp;
        k = utf8_decode(s.p + i, s.n - i, &cp);
        if (!tpl_char_is(cp, flags)) return tpl_bool(0);
    }
    return tpl_bool(1);
}

struct val tpl_asks_isalnum(ARGS)
{
    (void)raw;
    return all(r, a[0], TPL_ALNUM, 0);
}
struct val tpl_asks_isalpha(ARGS)
{
    (void)raw;
    return all(r, a[0], TPL_ALPHA, 0);
}
struct val tpl_asks_isdecimal(ARGS)
{
    (void)raw;
    return all(r, a[0], TPL_DECIMAL, 0);
}
struct val tpl_asks_isdigit(ARGS)
{
    (void)raw;
    return all(r, a[0], TPL_DIGIT, 0);
}
struct val tpl_asks_isnumeric(ARGS)
{
    (void)raw;
    return all(r, a[0], TPL_NUMERIC, 0);
}
struct val tpl_asks_isprintable(ARGS)
{
    (void)raw;
    return all(r, a[0], TPL_PRINTABLE, 1);
}
struct val tpl_asks_isspace(ARGS)
{
    (void)raw;
    return all(r, a[0], TPL_SPACE, 0);
}

struct val tpl_asks_isascii(ARGS)
{
    (void)raw;
    if (tpl_step_bytes(r, a[0].u.s->n)) return tpl_failed();
    return tpl_bool(tpl_str_chars(a[0].u.s) == a[0].u.s->n);
}

struct val tpl_asks_isidentifier(ARGS)
{
    struct str s = tpl_view(a[0]);
    uint32_t cp;
    (void)raw;
    if (!s.n || !utf8_decode(s.p, s.n, &cp) || !tpl_char_is(cp, TPL_ID_START)) return tpl_bool(0);
    return all(r, a[0], TPL_WORD, 0);
}

/* At least one letter of the wanted case and none of the others. */
static struct val only(struct tpl_run *r, struct val v, unsigned want)
{
    struct str s = tpl_view(v);
    int some = 0;
    if (tpl_step_bytes(r, s.n)) return tpl_failed();
    for (size_t i = 0, k; i < s.n; i += k) {
        uint32_t cp;
        k = utf8_decode(s.p + i, s.n - i, &cp);
        unsigned f = tpl_char_flags(cp);
        if (f & (TPL_CASED & ~want)) return tpl_bool(0);
        some |= (f & want) != 0;
    }
    return tpl_bool(some);
}

struct val tpl_asks_islower(ARGS)
{
    (void)raw;
    return only(r, a[0], TPL_CHAR_LOWER);
}
struct val tpl_asks_isupper(ARGS)
{
    (void)raw;
    return only(r, a[0], TPL_CHAR_UPPER);
}

struct val tpl_asks_istitle(ARGS)
{
    struct str s = tpl_view(a[0]);
    int some = 0, inside = 0;
    (void)raw;
    if (tpl_step_bytes(r, s.n)) return tpl_failed();
    for (size_t i = 0, k; i < s.n; i += k) {
        uint32_t cp;
        k = utf8_decode(s.p + i, s.n - i, &cp);
        unsigned f = tpl_char_flags(cp);
        int capital = (f & (TPL_CHAR_UPPER | TPL_CHAR_TITLE)) != 0,
            small = (f & TPL_CHAR_LOWER) != 0;
        if ((capital && inside) || (small && !inside)) return tpl_bool(0);
        inside = capital || small;
        some |= inside;
    }
    return tpl_bool(some);
}
