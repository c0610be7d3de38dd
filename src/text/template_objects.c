/* SPDX-License-Identifier: Apache-2.0
 *
 * text/template_objects.c: the methods of lists, dicts, numbers, bytes, ranges and cyclers that
 * templates may call.
 */
#include <math.h>
#include <stdio.h>

#include "base/num.h"
#include "base/utf8.h"
#include "text/template_val.h"

#define ARGS     struct tpl_run *r, const struct val *a, const struct tpl_args *raw
#define GIVEN(v) ((v).kind != TPL_MISSING)

/* ---- list, tuple, range ---- */

static struct val list_copy(ARGS)
{
    (void)raw;
    return tpl_list_from(r, TPL_LIST, a[0]);
}

static int same_or_eq(struct tpl_run *r, struct val a, struct val b)
{
    if (tpl_step(r, 1)) return -1;
    return tpl_val_same(a, b) ? 1 : tpl_val_eq(r, a, b);
}

static struct val list_index(ARGS)
{
    int64_t n = (int64_t)a[0].u.l->n, from = 0, to = n;
    (void)raw;
    if ((GIVEN(a[2]) && tpl_val_index(r, a[2], &from)) ||
        (GIVEN(a[3]) && tpl_val_index(r, a[3], &to)))
        return tpl_failed();
    if (from < 0) from = from < -n ? 0 : from + n;
    if (to < 0) to = to < -n ? 0 : to + n;
    for (int64_t i = from; i < to && i < n; i++) {
        int e = same_or_eq(r, a[0].u.l->p[i], a[1]);
        if (e) return e < 0 ? tpl_failed() : tpl_int(i);
    }
    return tpl_type_error(r, "the value is not in the %s", tpl_val_type(a[0]));
}

static struct val any_count(ARGS)
{
    struct tpl_iter mem, *it = tpl_iter_open(r, a[0], &mem);
    struct val v;
    int64_t n = 0;
    int got;
    (void)raw;
    if (!it) return tpl_failed();
    while ((got = tpl_iter_next(r, it, &v)) == 1) {
        int e = same_or_eq(r, v, a[1]);
        if (e < 0) return tpl_failed();
        n += e;
    }
    return got ? tpl_failed() : tpl_int(n);
}

static struct val range_index(ARGS)
{
    const struct tpl_range *g = a[0].u.range;
    int in = tpl_val_in(r, a[1], a[0]);
    (void)raw;
    if (in < 0) return tpl_failed();
    if (!in || !tpl_is_small(a[1])) return tpl_type_error(r, "the value is not in the range");
    uint64_t d = (uint64_t)a[1].u.i - (uint64_t)g->start, step = (uint64_t)g->step;
    return tpl_int((int64_t)(g->step > 0 ? d / step : -d / -step));
}

const struct tpl_sig tpl_list_methods[] = {
    {"copy", "", 0, list_copy}, /* first: tuples begin after it */
    {"count", "_", 1, any_count},
    {"index", "_ _ _", 1, list_index},
    {NULL, NULL, 0, NULL},
};
const struct tpl_sig tpl_range_methods[] = {
    {"count", "_", 1, any_count},
    {"index", "_", 1, range_index},
    {NULL, NULL, 0, NULL},
};

/* ---- dict ---- */

static struct val dict_get(ARGS)
{
    struct val v;
    uint32_t h;
    (void)raw;
    if (!tpl_is_str(a[1]) && tpl_val_hash(r, a[1], &h))
        return tpl_type_error(r, "unhashable type: '%s'", tpl_val_type(a[1]));
    int found = tpl_dict_get(r, a[0].u.d, a[1], &v);
    if (found < 0) return tpl_failed();
    return found ? v : GIVEN(a[2]) ? a[2] : tpl_none();
}

static struct val view_of(struct val d, enum tpl_view which)
{
    return (struct val){.kind = TPL_VIEW, .sub = (uint16_t)which, .u.d = d.u.d};
}

static struct val dict_keys(ARGS)
{
    (void)raw, (void)r;
    return view_of(a[0], TPL_KEYS);
}
static struct val dict_values(ARGS)
{
    (void)raw, (void)r;
    return view_of(a[0], TPL_VALUES);
}
static struct val dict_items(ARGS)
{
    (void)raw, (void)r;
    return view_of(a[0], TPL_ITEMS);
}
static struct val dict_copy(ARGS)
{
    (void)raw, (void)r;
    return a[0]; /* dicts never change */
}

static struct val dict_fromkeys(ARGS)
{
    struct val d = tpl_dict_new(r), k;
    struct tpl_iter mem, *it = tpl_iter_open(r, a[1], &mem);
    int got;
    (void)raw;
    if (tpl_bad(d) || !it) return tpl_failed();
    while ((got = tpl_iter_next(r, it, &k)) == 1)
        if (tpl_dict_set(r, d.u.d, k, GIVEN(a[2]) ? a[2] : tpl_none())) return tpl_failed();
    return got ? tpl_failed() : d;
}

const struct tpl_sig tpl_dict_methods[] = {
    {"copy", "", 0, dict_copy},  {"fromkeys", "_ _", 1, dict_fromkeys},
    {"get", "_ _", 1, dict_get}, {"items", "", 0, dict_items},
    {"keys", "", 0, dict_keys},  {"values", "", 0, dict_values},
    {NULL, NULL, 0, NULL},
};

/* ---- numbers ---- */

static struct val number_itself(ARGS)
{
    (void)raw, (void)r;
    return tpl_is_small(a[0]) ? tpl_int(a[0].u.i) : a[0];
}

static struct val bit_length(ARGS)
{
    (void)raw, (void)r;
    if (a[0].kind == TPL_BIG)
        return tpl_int((int64_t)a[0].u.big->n * 32 -
                       __builtin_clz(a[0].u.big->limb[a[0].u.big->n - 1]));
    uint64_t u = a[0].u.i < 0 ? -(uint64_t)a[0].u.i : (uint64_t)a[0].u.i;
    return tpl_int(u ? 64 - __builtin_clzll(u) : 0);
}

static struct val bit_count(ARGS)
{
    int64_t n = 0;
    (void)raw, (void)r;
    if (a[0].kind != TPL_BIG)
        return tpl_int(
            __builtin_popcountll(a[0].u.i < 0 ? -(uint64_t)a[0].u.i : (uint64_t)a[0].u.i));
    for (size_t i = 0; i < a[0].u.big->n; i++) n += __builtin_popcount(a[0].u.big->limb[i]);
    return tpl_int(n);
}

static struct val int_ratio(ARGS)
{
    (void)raw;
    return tpl_list_pair(r, tpl_is_small(a[0]) ? tpl_int(a[0].u.i) : a[0], tpl_int(1));
}

static struct val float_ratio(ARGS)
{
    double f = a[0].u.f;
    int e;
    (void)raw;
    if (!isfinite(f)) return tpl_type_error(r, "cannot convert this float to an integer ratio");
    double m = frexp(f, &e);
    for (; m != floor(m); e--) m *= 2;
    struct val top = tpl_int_from_double(r, m),
               power = tpl_int_op(r, 'p', tpl_int(2), tpl_int(e < 0 ? -e : e));
    if (tpl_bad(top) || tpl_bad(power)) return tpl_failed();
    if (e < 0) return tpl_list_pair(r, top, power);
    return tpl_list_pair(r, tpl_int_op(r, '*', top, power), tpl_int(1));
}

static struct val float_is_integer(ARGS)
{
    (void)raw, (void)r;
    return tpl_bool(isfinite(a[0].u.f) && a[0].u.f == floor(a[0].u.f));
}

static struct val float_hex(ARGS)
{
    char t[40];
    double f = a[0].u.f;
    (void)raw;
    if (!isfinite(f)) return tpl_repr_str(r, a[0]);
    if (f == 0) return tpl_str_z(r, signbit(f) ? "-0x0.0p+0" : "0x0.0p+0");
    num_print(t, sizeof t, 'a', 13, f);
    return tpl_str_new(r, str_of(t));
}

const struct tpl_sig tpl_int_methods[] = {
    {"as_integer_ratio", "", 0, int_ratio},
    {"bit_count", "", 0, bit_count},
    {"bit_length", "", 0, bit_length},
    {"conjugate", "", 0, number_itself},
    {NULL, NULL, 0, NULL},
};
const struct tpl_sig tpl_float_methods[] = {
    {"as_integer_ratio", "", 0, float_ratio},
    {"conjugate", "", 0, number_itself},
    {"hex", "", 0, float_hex},
    {"is_integer", "", 0, float_is_integer},
    {NULL, NULL, 0, NULL},
};

/* ---- bytes ---- */

static struct val bytes_decode(ARGS)
{
    struct str s = tpl_view(a[0]);
    int kind = tpl_strings_encoding(r, a[1]);
    size_t begin = tpl_begin(r);
    (void)raw;
    if (kind < 0) return tpl_failed();
    if (kind != 2 && !utf8_valid(s.p, s.n)) return tpl_type_error(r, "these bytes are not UTF-8");
    if (kind == 0) return tpl_str_view(r, s);
    for (size_t i = 0; i < s.n; i++) {
        if (kind == 1 && (unsigned char)s.p[i] >= 0x80)
            return tpl_type_error(r, "these bytes are not ASCII");
        tpl_str_put(&r->work, (unsigned char)s.p[i]);
    }
    return tpl_end(r, begin);
}

static struct val bytes_hex(ARGS)
{
    size_t begin = tpl_begin(r);
    (void)raw;
    for (size_t i = 0; i < a[0].u.s->n; i++)
        buf_printf(&r->work, "%02x", (unsigned char)a[0].u.s->p[i]);
    return tpl_step_bytes(r, a[0].u.s->n * 8) ? tpl_failed() : tpl_end(r, begin);
}

const struct tpl_sig tpl_bytes_methods[] = {
    {"decode", "encoding errors", 0, bytes_decode},
    {"hex", "", 0, bytes_hex},
    {NULL, NULL, 0, NULL},
};

/* ---- cycler ---- */

static struct val cycle_next(ARGS)
{
    struct tpl_cycle *c = a[0].u.cycle;
    (void)raw, (void)r;
    struct val v = c->items->p[c->at];
    c->at = (c->at + 1) % c->items->n;
    return v;
}

static struct val cycle_reset(ARGS)
{
    (void)raw, (void)r;
    a[0].u.cycle->at = 0;
    return tpl_none();
}

const struct tpl_sig tpl_cycle_methods[] = {
    {"next", "", 0, cycle_next},
    {"reset", "", 0, cycle_reset},
    {NULL, NULL, 0, NULL},
};
