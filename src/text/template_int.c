/* SPDX-License-Identifier: Apache-2.0
 *
 * text/template_int.c: integers that do not fit 64 bits. Python's have no limit; ours have one of
 * 65536 bits, beyond which an error says so. Schoolbook arithmetic: such numbers are rare and
 * short.
 *
 * Inside, any integer is a `struct num`: a view of limbs with a sign; an int64 is given room on the
 * stack.
 */
#include <math.h>
#include <string.h>

#include "text/template_val.h"

struct num {
    const uint32_t *d;
    size_t n;
    int neg;
    uint32_t own[2];
};

static void num_of(struct val v, struct num *x)
{
    if (v.kind == TPL_BIG) {
        *x = (struct num){v.u.big->limb, v.u.big->n, v.u.big->negative, {0, 0}};
        return;
    }
    uint64_t u = v.u.i < 0 ? -(uint64_t)v.u.i : (uint64_t)v.u.i;
    x->own[0] = (uint32_t)u;
    x->own[1] = (uint32_t)(u >> 32);
    x->d = x->own;
    x->n = u >> 32 ? 2 : u ? 1 : 0;
    x->neg = v.u.i < 0;
}

static uint32_t *limbs(struct tpl_run *r, size_t n)
{
    if (n > TPL_INT_LIMBS + 2) {
        tpl_fail(r, LAR_ELIMIT, "an integer of more than %d bits", TPL_INT_LIMBS * 32);
        return NULL;
    }
    return tpl_array(r, n + 1, sizeof(uint32_t));
}

/* The value of n limbs: an int when it fits. */
static struct val made(struct tpl_run *r, const uint32_t *d, size_t n, int neg)
{
    while (n && !d[n - 1]) n--;
    if (n <= 2) {
        uint64_t u = (n > 0 ? d[0] : 0) | (uint64_t)(n > 1 ? d[1] : 0) << 32;
        if (u <= INT64_MAX) return tpl_int(neg ? -(int64_t)u : (int64_t)u);
        if (neg && u == (uint64_t)INT64_MAX + 1) return tpl_int(INT64_MIN);
    }
    if (n > TPL_INT_LIMBS)
        return tpl_fail(r, LAR_ELIMIT, "an integer of more than %d bits", TPL_INT_LIMBS * 32);
    struct tpl_big *b = tpl_alloc(r, sizeof *b + n * sizeof *d);
    if (!b) return tpl_failed();
    b->n = (uint32_t)n;
    b->negative = neg;
    memcpy(b->limb, d, n * sizeof *d);
    return (struct val){.kind = TPL_BIG, .u.big = b};
}

static int compare(const struct num *a, const struct num *b)
{
    if (a->n != b->n) return a->n < b->n ? -1 : 1;
    for (size_t i = a->n; i--;)
        if (a->d[i] != b->d[i]) return a->d[i] < b->d[i] ? -1 : 1;
    return 0;
}

int tpl_int_negative(struct val a) { return a.kind == TPL_BIG ? a.u.big->negative : a.u.i < 0; }

int tpl_int_compare(struct val a, struct val b)
{
    struct num x, y;
    if (a.kind != TPL_BIG && b.kind != TPL_BIG) return a.u.i < b.u.i ? -1 : a.u.i > b.u.i;
    num_of(a, &x);
    num_of(b, &y);
    if (x.neg != y.neg) return x.neg ? -1 : 1;
    return x.neg ? compare(&y, &x) : compare(&x, &y);
}

static struct val add(struct tpl_run *r, const struct num *a, const struct num *b)
{
    if (a->n < b->n) {
        const struct num *t = a;
        a = b, b = t;
    }
    uint32_t *d = limbs(r, a->n + 1);
    uint64_t carry = 0;
    if (!d) return tpl_failed();
    for (size_t i = 0; i < a->n; i++) {
        carry += (uint64_t)a->d[i] + (i < b->n ? b->d[i] : 0);
        d[i] = (uint32_t)carry;
        carry >>= 32;
    }
    d[a->n] = (uint32_t)carry;
    return made(r, d, a->n + 1, a->neg);
}

/* |a| - |b|, with the sign flipped when |a| < |b|. */
static struct val subtract(struct tpl_run *r, const struct num *a, const struct num *b, int neg)
{
    if (compare(a, b) < 0) {
        const struct num *t = a;
        a = b, b = t, neg = !neg;
    }
    uint32_t *d = limbs(r, a->n);
    int64_t borrow = 0;
    if (!d) return tpl_failed();
    for (size_t i = 0; i < a->n; i++) {
        borrow += (int64_t)a->d[i] - (i < b->n ? b->d[i] : 0);
        d[i] = (uint32_t)borrow;
        borrow >>= 32;
    }
    return made(r, d, a->n, neg);
}

static struct val sum(struct tpl_run *r, const struct num *a, const struct num *b, int minus)
{
    struct num y = *b;
    if (b->d == b->own) y.d = y.own;
    y.neg ^= minus;
    return a->neg == y.neg ? add(r, a, &y) : subtract(r, a, &y, a->neg);
}

static struct val multiply(struct tpl_run *r, const struct num *a, const struct num *b)
{
    uint32_t *d = limbs(r, a->n + b->n);
    if (!d || tpl_step(r, 1 + a->n * b->n / 16)) return tpl_failed();
    for (size_t i = 0; i < a->n; i++) {
        uint64_t carry = 0;
        for (size_t j = 0; j < b->n; j++) {
            carry += (uint64_t)a->d[i] * b->d[j] + d[i + j];
            d[i + j] = (uint32_t)carry;
            carry >>= 32;
        }
        d[i + b->n] = (uint32_t)carry;
    }
    return made(r, d, a->n + b->n, a->neg != b->neg);
}

static uint32_t divide_small(uint32_t *d, size_t n, uint32_t by)
{
    uint64_t rest = 0;
    for (size_t i = n; i--;) {
        rest = rest << 32 | d[i];
        d[i] = (uint32_t)(rest / by);
        rest %= by;
    }
    return (uint32_t)rest;
}

/* Knuth, TAOCP 2, 4.3.1, algorithm D: u (a->n + 1 limbs, overwritten by the rest) by b, at least
 * two limbs; both already shifted so that b's top bit is set. */
static void divide_long(uint32_t *u, size_t un, const uint32_t *v, size_t vn, uint32_t *q)
{
    for (size_t j = un - vn + 1; j--;) {
        uint64_t top = (uint64_t)u[j + vn] << 32 | u[j + vn - 1], guess = top / v[vn - 1],
                 rest = top % v[vn - 1];
        while (guess >> 32 || guess * v[vn - 2] > (rest << 32 | u[j + vn - 2])) {
            guess--;
            rest += v[vn - 1];
            if (rest >> 32) break;
        }
        int64_t borrow = 0;
        uint64_t carry = 0;
        for (size_t i = 0; i < vn; i++) {
            carry += guess * v[i];
            borrow += (int64_t)u[i + j] - (int64_t)(uint32_t)carry;
            u[i + j] = (uint32_t)borrow;
            borrow >>= 32;
            carry >>= 32;
        }
        borrow += (int64_t)u[j + vn] - (int64_t)carry;
        u[j + vn] = (uint32_t)borrow;
        if (borrow < 0) { /* one too many: add v back */
            guess--;
            carry = 0;
            for (size_t i = 0; i < vn; i++) {
                carry += (uint64_t)u[i + j] + v[i];
                u[i + j] = (uint32_t)carry;
                carry >>= 32;
            }
            u[j + vn] += (uint32_t)carry;
        }
        q[j] = (uint32_t)guess;
    }
}

static void shift_left(uint32_t *d, size_t n, unsigned bits)
{
    for (size_t i = n; bits && i--;) d[i] = d[i] << bits | (i ? d[i - 1] >> (32 - bits) : 0);
}

static void shift_right(uint32_t *d, size_t n, unsigned bits)
{
    for (size_t i = 0; bits && i < n; i++)
        d[i] = d[i] >> bits | (i + 1 < n ? d[i + 1] << (32 - bits) : 0);
}

/* |a| / |b|, b not 0: quotient (a->n limbs) and rest (b->n limbs) into arena memory. */
static int divmod(struct tpl_run *r, const struct num *a, const struct num *b, uint32_t **q,
                  uint32_t **rest)
{
    uint32_t *u = limbs(r, a->n + 1), *v = limbs(r, b->n);
    *q = limbs(r, a->n);
    *rest = u;
    if (!u || !v || !*q || tpl_step(r, 1 + a->n * b->n / 16)) return -1;
    memcpy(u, a->d, a->n * sizeof *u);
    if (a->n < b->n) {
        uint32_t *whole = limbs(r, b->n);
        if (!whole) return -1;
        memcpy(whole, a->d, a->n * sizeof *u);
        *rest = whole;
        return 0;
    }
    if (b->n == 1) {
        memcpy(*q, u, a->n * sizeof *u);
        u[0] = divide_small(*q, a->n, b->d[0]);
        return 0;
    }
    unsigned bits = (unsigned)__builtin_clz(b->d[b->n - 1]);
    memcpy(v, b->d, b->n * sizeof *v);
    shift_left(v, b->n, bits);
    shift_left(u, a->n + 1, bits);
    divide_long(u, a->n, v, b->n, *q);
    shift_right(u, b->n, bits);
    return 0;
}

/* Python's // and %: rounded towards minus infinity, the rest with b's sign. */
static struct val floor_op(struct tpl_run *r, int op, const struct num *a, const struct num *b)
{
    uint32_t *q, *rest;
    if (!b->n) return tpl_type_error(r, "integer division or modulo by zero");
    if (divmod(r, a, b, &q, &rest)) return tpl_failed();
    int zero = 1;
    for (size_t i = 0; i < b->n; i++) zero &= !rest[i];
    int fix = !zero && a->neg != b->neg;
    if (op == 'f') {
        struct val v = made(r, q, a->n, a->neg != b->neg);
        return fix && !tpl_bad(v) ? tpl_int_op(r, '-', v, tpl_int(1)) : v;
    }
    struct val v = made(r, rest, b->n, a->neg);
    if (!fix || tpl_bad(v)) return v;
    struct num x;
    num_of(v, &x);
    return sum(r, &x, b, 0);
}

static struct val power(struct tpl_run *r, struct val base, struct val exponent)
{
    struct val v = tpl_int(1);
    int tiny = base.kind != TPL_BIG && base.u.i >= -1 && base.u.i <= 1;
    if (tiny) { /* any exponent will do */
        uint32_t low = exponent.kind == TPL_BIG ? exponent.u.big->limb[0] : (uint32_t)exponent.u.i;
        int none = exponent.kind != TPL_BIG && exponent.u.i == 0;
        return none ? v : tpl_int(base.u.i == -1 && low % 2 == 0 ? 1 : base.u.i);
    }
    if (exponent.kind == TPL_BIG || exponent.u.i > TPL_INT_LIMBS * 32)
        return tpl_fail(r, LAR_ELIMIT, "an integer of more than %d bits", TPL_INT_LIMBS * 32);
    for (int64_t e = exponent.u.i; e; e >>= 1) {
        if (e & 1) v = tpl_int_op(r, '*', v, base);
        if (tpl_bad(v)) return v;
        if (e > 1) base = tpl_int_op(r, '*', base, base);
        if (tpl_bad(base)) return base;
    }
    return v;
}

static int small_op(int op, int64_t a, int64_t b, struct val *v)
{
    int64_t c = 0;
    switch (op) {
    case '+':
        if (__builtin_add_overflow(a, b, &c)) return 0;
        break;
    case '-':
        if (__builtin_sub_overflow(a, b, &c)) return 0;
        break;
    case '*':
        if (__builtin_mul_overflow(a, b, &c)) return 0;
        break;
    case 'f':
    case '%':
        if (b == 0 || (a == INT64_MIN && b == -1)) return 0;
        c = op == 'f' ? a / b : a % b;
        if (a % b != 0 && (a < 0) != (b < 0)) c = op == 'f' ? c - 1 : c + b;
        break;
    default: return 0;
    }
    *v = tpl_int(c);
    return 1;
}

struct val tpl_int_op(struct tpl_run *r, int op, struct val a, struct val b)
{
    struct val v;
    struct num x, y;
    if (a.kind != TPL_BIG && b.kind != TPL_BIG && small_op(op, a.u.i, b.u.i, &v)) return v;
    if (op == 'p') return power(r, a.kind == TPL_BIG ? a : tpl_int(a.u.i), b);
    num_of(a, &x);
    num_of(b, &y);
    switch (op) {
    case '+': return sum(r, &x, &y, 0);
    case '-': return sum(r, &x, &y, 1);
    case '*': return multiply(r, &x, &y);
    default: return floor_op(r, op, &x, &y);
    }
}

/* top 64 bits of |a|, *shift bits below them dropped, the lowest bit set when any of those was. */
static uint64_t top_bits(const struct num *a, size_t *shift)
{
    size_t bits = a->n ? a->n * 32 - (size_t)__builtin_clz(a->d[a->n - 1]) : 0;
    uint64_t u = 0;
    *shift = bits > 64 ? bits - 64 : 0;
    if (!*shift) return (a->n > 0 ? a->d[0] : 0) | (uint64_t)(a->n > 1 ? a->d[1] : 0) << 32;
    for (size_t i = 0; i < 64; i++) {
        size_t bit = *shift + i;
        u |= (uint64_t)(a->d[bit / 32] >> bit % 32 & 1) << i;
    }
    for (size_t i = 0; i < *shift; i++)
        if (a->d[i / 32] >> i % 32 & 1) return u | 1;
    return u;
}

static double scaled(uint64_t u, long shift)
{
    /* u has its sticky bit far below the 53 kept, so the conversion rounds as the whole number
     * would; a result below the normal range would be rounded twice: integers never are, quotients
     * see tpl_int_divide */
    return shift > 4000 ? (double)INFINITY : ldexp((double)u, (int)shift);
}

double tpl_int_double(struct val a)
{
    struct num x;
    size_t shift;
    if (a.kind != TPL_BIG) return (double)a.u.i;
    num_of(a, &x);
    uint64_t u = top_bits(&x, &shift);
    double f = scaled(u, (long)shift);
    return x.neg ? -f : f;
}

struct val tpl_int_divide(struct tpl_run *r, struct val a, struct val b)
{
    struct num x, y;
    const int64_t exact = (int64_t)1 << 53;
    if (b.kind != TPL_BIG && b.u.i == 0) return tpl_type_error(r, "division by zero");
    if (a.kind != TPL_BIG && b.kind != TPL_BIG && a.u.i >= -exact && a.u.i <= exact &&
        b.u.i >= -exact && b.u.i <= exact)
        return tpl_float((double)a.u.i / (double)b.u.i);
    num_of(a, &x);
    num_of(b, &y);
    if (!x.n) return tpl_float(0);
    /* shift a so that the quotient has 65 bits or more; what is left over is its sticky bit */
    size_t up = y.n + 3 > x.n ? y.n + 3 - x.n : 0, shift;
    uint32_t *d = limbs(r, x.n + up), *q, *rest;
    if (!d) return tpl_failed();
    memcpy(d + up, x.d, x.n * sizeof *d);
    struct num z = {d, x.n + up, 0, {0, 0}};
    if (divmod(r, &z, &y, &q, &rest)) return tpl_failed();
    for (size_t i = 0; i < y.n; i++)
        if (rest[i]) q[0] |= 1;
    struct num w = {q, z.n, 0, {0, 0}};
    while (w.n && !q[w.n - 1]) w.n--;
    uint64_t u = top_bits(&w, &shift);
    long e = (long)shift - (long)up * 32;
    double f;
    if (e + 64 < -1000) { /* may be subnormal: keep as many bits as it has, rounded once */
        long drop = -1074 - e;
        if (drop >= 64) drop = 63;
        uint64_t keep = drop > 0 ? u >> drop : u, half = drop > 0 ? u << (64 - drop) : 0;
        if (drop > 0 && (half > (uint64_t)1 << 63 || (half == (uint64_t)1 << 63 && (keep & 1))))
            keep++;
        f = ldexp((double)keep, (int)(drop > 0 ? -1074 : e));
    } else {
        f = scaled(u, e);
    }
    if (isinf(f)) return tpl_type_error(r, "integer division result too large for a float");
    return tpl_float(x.neg != y.neg ? -f : f);
}

struct val tpl_int_from_double(struct tpl_run *r, double f)
{
    f = trunc(f);
    if (f >= -0x1p63 && f < 0x1p63) return tpl_int((int64_t)f);
    int e;
    double m = frexp(fabs(f), &e); /* m * 2^e, m in [0.5, 1) */
    uint64_t u = (uint64_t)ldexp(m, 53);
    size_t shift = (size_t)e - 53, n = shift / 32 + 3;
    uint32_t *d = limbs(r, n);
    if (!d) return tpl_failed();
    d[shift / 32] = (uint32_t)u;
    d[shift / 32 + 1] = (uint32_t)(u >> 32);
    shift_left(d, n, shift % 32);
    return made(r, d, n, f < 0);
}

struct val tpl_int_read(struct tpl_run *r, const unsigned char *digit, size_t n, int base,
                        int negative)
{
    int64_t small = 0;
    size_t i = 0;
    for (; i < n; i++) {
        int64_t next;
        if (__builtin_mul_overflow(small, base, &next) ||
            __builtin_add_overflow(next, digit[i], &next))
            break;
        small = next;
    }
    if (i == n) return tpl_int(negative ? -small : small);
    if (n > 20000) return tpl_fail(r, LAR_ELIMIT, "an integer of %zu digits", n);
    size_t cap = n / 6 + 2, used = 0; /* base 36 at most: 5.2 bits a digit */
    uint32_t *d = limbs(r, cap);
    if (!d || tpl_step(r, n * cap / 32)) return tpl_failed();
    for (i = 0; i < n; i++) {
        uint64_t carry = digit[i];
        for (size_t j = 0; j < used; j++) {
            carry += (uint64_t)d[j] * (uint32_t)base;
            d[j] = (uint32_t)carry;
            carry >>= 32;
        }
        if (carry) d[used++] = (uint32_t)carry;
    }
    return made(r, d, used, negative);
}

int tpl_int_write(struct tpl_run *r, struct buf *b, struct val a, int base, int upper)
{
    static const char lower_digits[] = "0123456789abcdef", upper_digits[] = "0123456789ABCDEF";
    const char *digits = upper ? upper_digits : lower_digits;
    struct num x;
    num_of(a, &x);
    if (!x.n) return buf_putc(b, '0'), 0;
    size_t cap = x.n * 32 + 1, at = cap;
    uint32_t *d = limbs(r, x.n);
    char *w = tpl_alloc(r, cap);
    if (!d || !w || tpl_step(r, 1 + x.n * x.n / 8)) return -1;
    memcpy(d, x.d, x.n * sizeof *d);
    uint32_t chunk = base == 10 ? 1000000000 : base == 8 ? 1u << 30 : 1u << 28;
    for (size_t n = x.n; n;) {
        uint32_t part = divide_small(d, n, chunk);
        while (n && !d[n - 1]) n--;
        for (uint32_t c = chunk; c > 1 && (n || part); c /= (uint32_t)base) {
            w[--at] = digits[part % (uint32_t)base];
            part /= (uint32_t)base;
        }
    }
    if (base == 10 && cap - at > 4300) {
        tpl_type_error(r, "an integer of more than 4300 digits cannot be written");
        return -1;
    }
    buf_add(b, w + at, cap - at);
    return 0;
}
