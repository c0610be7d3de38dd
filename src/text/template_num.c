/* SPDX-License-Identifier: Apache-2.0
 *
 * text/template_num.c: the arithmetic operators of Python over every kind of value that has them,
 * and numbers out of text.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/num.h"
#include "base/utf8.h"
#include "text/template_char.h"
#include "text/template_val.h"

static struct val unsupported(struct tpl_run *r, int op, struct val a, struct val b)
{
    char own[2] = {(char)op, 0};
    const char *name = op == 'f' ? "//" : op == 'p' ? "** or pow()" : own;
    if (a.kind == TPL_UNDEF) return tpl_undefined_error(r, a);
    if (b.kind == TPL_UNDEF) return tpl_undefined_error(r, b);
    if (op == '+' && (tpl_is_str(a) || tpl_is_seq(a)))
        return tpl_type_error(r, "can only concatenate %s (not \"%s\") to %s", tpl_val_type(a),
                              tpl_val_type(b), tpl_val_type(a));
    return tpl_type_error(r, "unsupported operand type(s) for %s: '%s' and '%s'", name,
                          tpl_val_type(a), tpl_val_type(b));
}

/* float(v) of a number; 0, -1. */
static int to_float(struct tpl_run *r, struct val v, double *f)
{
    *f = v.kind == TPL_FLOAT ? v.u.f : tpl_int_double(v);
    if (v.kind != TPL_FLOAT && isinf(*f)) {
        tpl_type_error(r, "int too large to convert to float");
        return -1;
    }
    return 0;
}

struct val tpl_num_to_float(struct tpl_run *r, struct val v, double *f)
{
    return to_float(r, v, f) ? tpl_failed() : tpl_none();
}

struct val tpl_num_from_float(struct tpl_run *r, double f)
{
    if (isnan(f)) return tpl_type_error(r, "cannot convert float NaN to integer");
    if (isinf(f)) return tpl_type_error(r, "cannot convert float infinity to integer");
    return tpl_int_from_double(r, f);
}

/* a // b and a % b as CPython computes them. */
static void float_divmod(double a, double b, double *div, double *mod)
{
    *mod = fmod(a, b);
    *div = (a - *mod) / b;
    if (*mod != 0) {
        if ((b < 0) != (*mod < 0)) *mod += b, *div -= 1.0;
    } else {
        *mod = copysign(0.0, b);
    }
    if (*div != 0) {
        double whole = floor(*div);
        if (*div - whole > 0.5) whole += 1.0;
        *div = whole;
    } else {
        *div = copysign(0.0, a / b);
    }
}

static struct val float_op(struct tpl_run *r, int op, double a, double b)
{
    double div, mod;
    switch (op) {
    case '+': return tpl_float(a + b);
    case '-': return tpl_float(a - b);
    case '*': return tpl_float(a * b);
    case 'p': break;
    default:
        if (b == 0)
            return tpl_type_error(r, op == '/'   ? "float division by zero"
                                     : op == 'f' ? "float floor division by zero"
                                                 : "float modulo");
        if (op == '/') return tpl_float(a / b);
        float_divmod(a, b, &div, &mod);
        return tpl_float(op == 'f' ? div : mod);
    }
    if (a == 0 && b < 0) return tpl_type_error(r, "0.0 cannot be raised to a negative power");
    if (a < 0 && isfinite(a) && isfinite(b) && b != floor(b))
        return tpl_fail(r, LAR_EUNSUPPORTED, "a power that is a complex number");
    double f = pow(a, b);
    if (isinf(f) && isfinite(a) && isfinite(b))
        return tpl_type_error(r, "the power is too large for a float");
    return tpl_float(f);
}

static struct val number_op(struct tpl_run *r, int op, struct val a, struct val b)
{
    double x, y;
    if (tpl_is_integer(a) && tpl_is_integer(b)) {
        if (op == '/') return tpl_int_divide(r, a, b);
        if (op != 'p' || !tpl_int_negative(b)) return tpl_int_op(r, op, a, b);
    }
    if (to_float(r, a, &x) || to_float(r, b, &y)) return tpl_failed();
    return float_op(r, op, x, y);
}

static struct val repeat(struct tpl_run *r, struct val seq, struct val times)
{
    int64_t n;
    if (tpl_val_index(r, times, &n)) return tpl_failed();
    if (!tpl_is_seq(seq)) return tpl_str_repeat(r, seq, n);
    size_t len = seq.u.l->n, all;
    if (n <= 0 || !len) return tpl_list_new(r, seq.kind, 0);
    if (mul_size(len, (size_t)n, &all)) all = SIZE_MAX / 64;
    struct val v = tpl_list_new(r, seq.kind, all);
    if (tpl_bad(v) || tpl_step(r, all / 4)) return tpl_failed();
    for (size_t i = 0; i < all; i++) v.u.l->p[i] = seq.u.l->p[i % len];
    return v;
}

static int repeats(struct val v)
{
    return v.kind == TPL_STR || v.kind == TPL_BYTES || tpl_is_seq(v);
}

static struct val add_text(struct tpl_run *r, struct val a, struct val b)
{
    if (a.kind == TPL_BYTES || a.markup == b.markup) {
        struct val v = tpl_str_concat(r, a, b);
        v.markup = a.markup;
        return v;
    }
    a = tpl_str_escape(r, a); /* one is Markup: the other is escaped */
    b = tpl_str_escape(r, b);
    if (tpl_bad(a) || tpl_bad(b)) return tpl_failed();
    struct val v = tpl_str_concat(r, a, b);
    v.markup = 1;
    return v;
}

struct val tpl_num_op(struct tpl_run *r, int op, struct val a, struct val b)
{
    if (op == 'q') { /* a ** b where a is written without parentheses: -(2 ** b) */
        int negative =
            a.kind == TPL_FLOAT ? signbit(a.u.f) : tpl_is_integer(a) && tpl_int_negative(a);
        if (negative) a = tpl_num_neg(r, a, 0);
        a = tpl_bad(a) ? a : tpl_num_op(r, 'p', a, b);
        return negative && !tpl_bad(a) ? tpl_num_neg(r, a, 0) : a;
    }
    if (tpl_is_number(a) && tpl_is_number(b)) return number_op(r, op, a, b);
    if (op == '+' && a.kind == b.kind && (a.kind == TPL_STR || a.kind == TPL_BYTES))
        return add_text(r, a, b);
    if (op == '+' && a.kind == b.kind && tpl_is_seq(a)) return tpl_list_concat(r, a, b);
    if (op == '*' && repeats(a) && tpl_is_integer(b)) return repeat(r, a, b);
    if (op == '*' && repeats(b) && tpl_is_integer(a)) return repeat(r, b, a);
    if (op == '%' && a.kind == TPL_STR) return tpl_percent(r, a, b);
    return unsupported(r, op, a, b);
}

struct val tpl_num_neg(struct tpl_run *r, struct val a, int plus)
{
    if (a.kind == TPL_FLOAT) return tpl_float(plus ? a.u.f : -a.u.f);
    if (tpl_is_integer(a)) return tpl_int_op(r, plus ? '+' : '-', tpl_int(0), a);
    if (a.kind == TPL_UNDEF) return tpl_undefined_error(r, a);
    return tpl_type_error(r, "bad operand type for unary %c: '%s'", plus ? '+' : '-',
                          tpl_val_type(a));
}

/* ---- rounding ---- */

/* The integer v to a multiple of 10^-digits, half to even; more: a fraction that belongs to v was
 * dropped. */
static struct val round_whole(struct tpl_run *r, struct val v, int64_t digits, int more)
{
    if (digits < -4000) return tpl_int(0);
    struct val unit = tpl_int_op(r, 'p', tpl_int(10), tpl_int(-digits));
    struct val half = tpl_bad(unit) ? unit : tpl_int_op(r, 'f', unit, tpl_int(2));
    struct val rest = tpl_bad(half) ? half : tpl_int_op(r, '%', v, unit);
    struct val down = tpl_bad(rest) ? rest : tpl_int_op(r, '-', v, rest);
    if (tpl_bad(down)) return down;
    int c = tpl_int_compare(rest, half);
    if (c == 0 && more) c = 1;
    if (c == 0) {
        struct val q = tpl_int_op(r, 'f', down, unit);
        struct val odd = tpl_bad(q) ? q : tpl_int_op(r, '%', q, tpl_int(2));
        if (tpl_bad(odd)) return odd;
        c = odd.u.i ? 1 : -1;
    }
    return c > 0 ? tpl_int_op(r, '+', down, unit) : down;
}

static struct val round_float(struct tpl_run *r, double f, int64_t digits)
{
    char t[800];
    double g = 0;
    if (!isfinite(f) || digits > 323) return tpl_float(f);
    if (digits < -308) return tpl_float(copysign(0.0, f));
    if (digits >= 0) { /* printf rounds the exact binary value, half to even */
        num_print(t, sizeof t, 'f', (int)digits, f);
        return tpl_float(num_parse(t, NULL));
    }
    struct val whole = tpl_int_from_double(r, floor(f));
    if (!tpl_bad(whole)) whole = round_whole(r, whole, digits, f != floor(f));
    if (tpl_bad(whole) || to_float(r, whole, &g)) return tpl_failed();
    return tpl_float(g == 0 ? copysign(0.0, f) : g);
}

struct val tpl_num_round(struct tpl_run *r, struct val v, int64_t digits)
{
    if (v.kind == TPL_FLOAT) return round_float(r, v.u.f, digits);
    if (!tpl_is_integer(v)) {
        if (v.kind == TPL_UNDEF)
            return tpl_type_error(r, "type Undefined doesn't define __round__ method");
        return tpl_type_error(r, "type %s doesn't define __round__ method", tpl_val_type(v));
    }
    if (tpl_is_small(v)) v = tpl_int(v.u.i);
    return digits >= 0 ? v : round_whole(r, v, digits, 0);
}

/* ---- numbers out of text ---- */

struct val tpl_num_parse_int(struct tpl_run *r, struct str s, int base)
{
    unsigned char small[64], *digit = small;
    int negative = 0, last_digit = 0, prefix = 0;
    size_t n = 0;
    s = tpl_str_strip(s, NULL, 1, 1);
    if (s.n && (s.p[0] == '-' || s.p[0] == '+')) negative = s.p[0] == '-', s = str_from(s, 1);
    if (s.n > 2 && s.p[0] == '0') {
        char c = s.p[1] | 32;
        int named = c == 'x' ? 16 : c == 'o' ? 8 : c == 'b' ? 2 : 0;
        if (named && (base == named || base == 0)) base = named, prefix = 1, s = str_from(s, 2);
    }
    int plain = base == 0;
    if (plain) base = 10;
    if (s.n > sizeof small && !(digit = tpl_alloc(r, s.n))) return tpl_failed();
    last_digit = prefix; /* "0x_1" is allowed */
    for (size_t i = 0; i < s.n;) {
        uint32_t cp;
        size_t k = utf8_decode(s.p + i, s.n - i, &cp);
        int d = k ? tpl_char_digit(cp) : -1;
        if (d < 0 && cp < 0x80 && (cp | 32) >= 'a' && (cp | 32) <= 'z')
            d = (int)(cp | 32) - 'a' + 10;
        if (k && cp == '_' && last_digit) {
            last_digit = 0;
        } else if (!k || d < 0 || d >= base) {
            return tpl_missing();
        } else {
            digit[n++] = (unsigned char)d;
            last_digit = 1;
        }
        i += k;
    }
    if (!n || !last_digit) return tpl_missing();
    if (plain && n > 1 && digit[0] == 0) /* int("010", 0) is no number; zeros are */
        for (size_t i = 0; i < n; i++)
            if (digit[i]) return tpl_missing();
    if (base == 10 && n > 4300)
        return tpl_type_error(r, "an integer of more than 4300 digits in text");
    return tpl_int_read(r, digit, n, base, negative);
}

struct val tpl_num_parse_float(struct str s)
{
    char t[512];
    size_t n = 0;
    int last_digit = 0;
    s = tpl_str_strip(s, NULL, 1, 1);
    for (size_t i = 0; i < s.n;) {
        uint32_t cp;
        size_t k = utf8_decode(s.p + i, s.n - i, &cp);
        int d = k ? tpl_char_digit(cp) : -1;
        if (!k || n + 1 >= sizeof t) return tpl_missing();
        if (cp == '_') { /* only between digits */
            if (!last_digit || i + 1 >= s.n || s.p[i + 1] < '0' || s.p[i + 1] > '9')
                return tpl_missing();
        } else if (d < 0 && cp >= 0x80) {
            return tpl_missing();
        } else {
            t[n++] = d >= 0 ? (char)('0' + d) : (char)cp;
        }
        last_digit = d >= 0;
        i += k;
    }
    t[n] = 0;
    const char *p = t + (t[0] == '-' || t[0] == '+');
    int word = (*p | 32) == 'i' || (*p | 32) == 'n'; /* inf, infinity, nan: num_parse knows them */
    if (!n || memchr(t, 0, n) || (!word && strspn(p, "0123456789.eE+-") != strlen(p)) ||
        strchr(p, '('))
        return tpl_missing();
    if (*p == '+' || *p == '-') return tpl_missing();
    char *end;
    double f = num_parse(t, &end);
    return end == t + n ? tpl_float(f) : tpl_missing();
}
