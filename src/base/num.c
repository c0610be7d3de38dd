/* SPDX-License-Identifier: Apache-2.0
 *
 * base/num.c: see num.h.
 *
 * Reading needs no knowledge of the locale: 12.5e3 is handed to strtod as 125e2, which every locale reads alike. Before that, what
 * is exact in doubles is computed at once: a whole number below 2^53 times or through a power of ten up to 10^22 is rounded once (Clinger,
 * "How to read floating point numbers accurately", 1990). Printing is printf's, and the point is mended: it is the one thing
 * between digits that is neither digit nor exponent. Not thread-dependent: no setlocale, uselocale or localeconv.
 */
#include "base/num.h"

#include <float.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* 767 digits tell any decimal from the middle of two doubles; of what follows only counts whether it is zero. */
enum { DIGITS_MAX = 800 };

struct digits {
    char t[DIGITS_MAX + 40]; /* "-0x" digits, no point */
    int n, base;
    int64_t exp;  /* of the base's digits: the value is digits * base^exp */
    int any, lost; /* there were digits; some that are not zero are not kept */
};

static int digit_of(char c, int base)
{
    int d = c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : 99;
    return d < base ? d : -1;
}

static void add_digit(struct digits *d, char c, int fraction, char *to, int *n)
{
    d->any = 1;
    if (*n == 0 && c == '0') { /* leading zeros move the point only */
        d->exp -= fraction;
    } else if (*n < DIGITS_MAX) {
        to[(*n)++] = c;
        d->exp -= fraction;
    } else {
        d->lost |= c != '0';
        d->exp += !fraction;
    }
}

/* [eE][+-]digits, added to exp in units of `unit` bits or digits; where it ends, at when there is none. */
static const char *exponent(const char *at, char letter, int64_t *exp)
{
    const char *p = at;
    int64_t e = 0;
    int minus = 0;
    if ((*p | 32) != letter) return at;
    p++;
    if (*p == '+' || *p == '-') minus = *p++ == '-';
    if (*p < '0' || *p > '9') return at;
    for (; *p >= '0' && *p <= '9'; p++)
        if (e < (int64_t)1 << 50) e = e * 10 + (*p - '0');
    *exp += minus ? -e : e;
    return p;
}

static const double ten[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                             1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

/* The exact cases: 1 and the value. */
static int quick(const char *digit, int n, int64_t exp, double *v)
{
    int64_t m = 0;
    if (FLT_EVAL_METHOD != 0 || n > 15 || exp < -22 || exp > 22) return 0;
    for (int i = 0; i < n; i++) m = m * 10 + (digit[i] - '0');
    *v = exp < 0 ? (double)m / ten[-exp] : (double)m * ten[exp];
    return 1;
}

double num_parse(const char *z, char **end)
{
    struct digits d = {.base = 10};
    const char *p = z;
    char *none, *at = d.t;
    double v;
    int minus = *p == '-', point = 0;
    if (!end) end = &none;
    *end = (char *)(uintptr_t)z;
    if (*p == '-' || *p == '+') p++;
    if ((*p | 32) == 'i' || (*p | 32) == 'n') return strtod(z, end);
    if (minus) *at++ = '-';
    if (p[0] == '0' && (p[1] | 32) == 'x' &&
        (digit_of(p[2], 16) >= 0 || (p[2] == '.' && digit_of(p[3], 16) >= 0))) {
        d.base = 16, p += 2;
        *at++ = '0', *at++ = 'x';
    }
    for (;; p++) {
        if (*p == '.' && !point) point = 1;
        else if (digit_of(*p, d.base) >= 0) add_digit(&d, *p, point, at, &d.n);
        else break;
    }
    if (!d.any) return 0;
    if (d.base == 16) d.exp *= 4;
    p = exponent(p, d.base == 16 ? 'p' : 'e', &d.exp);
    *end = (char *)(uintptr_t)p;
    if (d.n == 0) return minus ? -0.0 : 0.0;
    if (d.base == 10 && !d.lost && quick(at, d.n, d.exp, &v)) return minus ? -v : v;
    if (d.lost) {
        at[d.n++] = '1';
        d.exp -= d.base == 16 ? 4 : 1;
    }
    snprintf(at + d.n, 32, "%c%" PRId64, d.base == 16 ? 'p' : 'e', d.exp);
    return strtod(d.t, NULL);
}

static int is_digit(char c) { return c >= '0' && c <= '9'; }

size_t num_mend_point(char *t)
{
    char *p = t + (*t == '-' || *t == '+'), *q;
    if (!is_digit(*p)) return strlen(t); /* inf, nan */
    if (p[0] == '0' && (p[1] | 32) == 'x') p += 2;
    while (is_digit(*p)) p++;
    /* Exponents begin with a letter, a field is filled with spaces; no point has either. */
    for (q = p; *q && *q != ' ' && !is_digit(*q) && (*q | 32) != 'e' && (*q | 32) != 'p'; q++) continue;
    if (q != p) {
        *p++ = '.';
        memmove(p, q, strlen(q) + 1);
    }
    return strlen(t);
}

static int print(char *out, size_t size, char form, int alternate, int precision, double v)
{
    switch (form) {
    case 'a': return snprintf(out, size, "%.*a", precision, v);
    case 'e': return snprintf(out, size, alternate ? "%#.*e" : "%.*e", precision, v);
    case 'E': return snprintf(out, size, alternate ? "%#.*E" : "%.*E", precision, v);
    case 'f':
    case 'F': return snprintf(out, size, alternate ? "%#.*f" : "%.*f", precision, v);
    case 'G': return snprintf(out, size, alternate ? "%#.*G" : "%.*G", precision, v);
    default: return snprintf(out, size, alternate ? "%#.*g" : "%.*g", precision, v);
    }
}

size_t num_print(char *out, size_t size, char form, int precision, double v)
{
    int n = print(out, size, form, 0, precision, v);
    return n < 0 ? 0 : (size_t)n < size ? num_mend_point(out) : (size_t)n;
}

void num_put(struct buf *b, char form, int alternate, int precision, double v)
{
    int n = print(NULL, 0, form, alternate, precision, v);
    char *at = n < 0 ? NULL : buf_room(b, (size_t)n);
    if (!at) {
        b->failed = 1;
        return;
    }
    print(at, (size_t)n + 1, form, alternate, precision, v);
    b->n += num_mend_point(at);
}

struct num_text num_show(double v)
{
    struct num_text t;
    num_print(t.z, sizeof t.z, 'g', 6, v);
    return t;
}
