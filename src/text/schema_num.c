/* SPDX-License-Identifier: Apache-2.0
 *
 * text/schema_num.c: numbers of JSON as expressions of their text.
 *
 * A number without any bound may have an exponent; one that is compared or divided may not, so that every comparison is decided digit
 * by digit, exactly, for any number of digits (a double would round). An integer is one by value: 1.0 is one, as drafts 6 and later say. */
#include <stdio.h>

#include "text/schema_impl.h"

enum { DIGITS_MAX = 420 };

struct decimal {
    int negative, zero;
    char integer[DIGITS_MAX + 2], fraction[DIGITS_MAX + 2];
    size_t nint, nfrac;
};

/* The number's text as digits before and behind the point. */
static int decimal_of(struct schema *s, const struct json *j, const char *path, struct decimal *d)
{
    struct str t = j->s;
    char digit[DIGITS_MAX + 2];
    size_t n = 0, i = 0;
    long point = 0, e = 0;
    memset(d, 0, sizeof *d);
    if (i < t.n && t.p[i] == '-') d->negative = 1, i++;
    for (int behind = 0; i < t.n && (t.p[i] == '.' || (t.p[i] >= '0' && t.p[i] <= '9')); i++) {
        if (t.p[i] == '.') {
            behind = 1;
            continue;
        }
        if (n >= DIGITS_MAX) goto large;
        digit[n++] = t.p[i];
        point += !behind;
    }
    if (i < t.n) { /* e */
        int minus = ++i < t.n && t.p[i] == '-';
        if (i < t.n && (t.p[i] == '-' || t.p[i] == '+')) i++;
        for (; i < t.n; i++) e = e > 100000 ? e : e * 10 + (t.p[i] - '0');
        point += minus ? -e : e;
    }
    size_t first = 0;
    while (first < n && digit[first] == '0') first++;
    while (n > first && digit[n - 1] == '0') n--;
    if (first == n) {
        d->zero = 1;
        point = 0;
        n = first = 0;
    }
    if (point > DIGITS_MAX || point - (long)n < -DIGITS_MAX) goto large;
    for (long k = (long)first; k < point; k++) d->integer[d->nint++] = k < (long)n ? digit[k] : '0';
    for (long k = point; k < (long)n; k++)
        d->fraction[d->nfrac++] = k < (long)first ? '0' : digit[k];
    if (d->nint == 0) d->integer[d->nint++] = '0';
    return 0;
large:
    return schema_fail(s, LAR_EUNSUPPORTED, path, "a number of more than %d digits", DIGITS_MAX);
}

int schema_plain(struct schema *s, const struct json *j, struct buf *out)
{
    struct decimal d;
    int rc = decimal_of(s, j, "", &d);
    if (rc < 0) return rc;
    if (d.negative && !d.zero) buf_putc(out, '-');
    buf_add(out, d.integer, d.nint);
    if (d.nfrac) buf_putc(out, '.');
    buf_add(out, d.fraction, d.nfrac);
    return out->failed ? LAR_ENOMEM : 0;
}

static uint32_t re(struct schema *s, const char *z)
{
    struct lar_err e;
    int64_t r = rx_parse(s->rx, str_of(z), 1, &e);
    if (r < 0) schema_fail(s, (int)r, "", "%s", e.msg);
    return r < 0 ? RX_EMPTY : (uint32_t)r;
}

void schema_num_init(struct schema *s)
{
    s->num_any = re(s, "-?(?:0|[1-9][0-9]*)(?:\\.[0-9]+)?(?:[eE][+-]?[0-9]+)?");
    s->num_plain = re(s, "-?(?:0|[1-9][0-9]*)(?:\\.[0-9]+)?");
    s->num_int = re(s, "-?(?:0|[1-9][0-9]*)(?:\\.0+)?");
}

static uint32_t flipped(unsigned rel)
{
    return (rel & RX_EQ) | (rel & RX_LT ? RX_GT : 0u) | (rel & RX_GT ? RX_LT : 0u);
}

/* Texts of numbers x without exponent for which "x rel j" holds. */
uint32_t schema_number(struct schema *s, const struct json *j, unsigned rel, const char *path)
{
    struct decimal d;
    struct rx *p = s->rx;
    if (decimal_of(s, j, path, &d)) return RX_EMPTY;
    struct str in = {d.integer, d.nint}, fr = {d.fraction, d.nfrac};
    uint32_t all = rx_compare(p, STR("0"), (struct str){0}, RX_LT | RX_EQ | RX_GT), above, below;
    if (d.zero) {
        above = rx_compare(p, in, fr, rel);
        below = rx_compare(p, in, fr, flipped(rel));
    } else if (d.negative) {
        above = rel & RX_GT ? all : RX_EMPTY;
        below = rx_compare(p, in, fr, flipped(rel));
    } else {
        above = rx_compare(p, in, fr, rel);
        below = rel & RX_LT ? all : RX_EMPTY;
    }
    return rx_alt(p, above, rx_cat(p, rx_text(p, STR("-")), below));
}

uint32_t schema_multiple(struct schema *s, const struct json *j, const char *path)
{
    struct decimal d;
    if (decimal_of(s, j, path, &d)) return RX_EMPTY;
    if (d.negative || d.zero)
        return schema_fail(s, LAR_EFORMAT, path, "multipleOf must be above 0"), RX_EMPTY;
    uint64_t m = 0;
    for (size_t i = 0; i < d.nint + d.nfrac; i++) {
        m = m * 10 + (uint64_t)((i < d.nint ? d.integer[i] : d.fraction[i - d.nint]) - '0');
        if (m >> 59 || d.nfrac > 18)
            return schema_fail(s, LAR_EUNSUPPORTED, path, "multipleOf with more than 17 digits"),
                   RX_EMPTY;
    }
    uint32_t r = rx_multiple(s->rx, m, (unsigned)d.nfrac);
    return rx_alt(s->rx, r, rx_cat(s->rx, rx_text(s->rx, STR("-")), r));
}
