/* SPDX-License-Identifier: Apache-2.0
 *
 * kern/vec/lanes.h: the bodies of kern/fit.h for every vector width: a vector of this folder (vec_load, vec_store, vec_set,
 * vec_add ... vec_pick) is included before. Lanes never meet, so the width does not change a bit.
 *
 * The best offset and step for given codes q are the weighted least squares of x on q:
 *     D = W Qq - Q^2,  d = (W Qx - X Q) / D,  b = (Qq X - Q Qx) / D          x ~ d q + b, m = -b
 * and what they take away from the error sum w x^2 is d Qx + b X; so one pass over the elements judges a candidate.
 */
#ifndef KERN_VEC_LANES_H
#define KERN_VEC_LANES_H

#include "kern/fit.h"

#define LANES_INLINE static inline __attribute__((always_inline))

struct lanes_table {
    vf value[16], edge[15]; /* edge[i]: halfway between value[i] and value[i + 1] */
};

LANES_INLINE void lanes_open_table(const struct fit_code *c, struct lanes_table *t)
{
    for (int i = 0; i < 16; i++) t->value[i] = vec_set(c->table[i]);
    for (int i = 0; i < 15; i++) t->edge[i] = vec_set(0.5f * (c->table[i] + c->table[i + 1]));
}

/* The code nearest to v; t is NULL without a table. */
LANES_INLINE vf lanes_code(vf v, const struct fit_code *c, const struct lanes_table *t)
{
    if (!t) return vec_min(vec_max(vec_round(v), vec_set(c->lo)), vec_set(c->hi));
    vf q = t->value[0];
    for (int i = 0; i < 15; i++) q = vec_pick(vec_gt(v, t->edge[i]), t->value[i + 1], q);
    return q;
}

/* 1 / d, and 0 for 0. */
LANES_INLINE vf lanes_inverse(vf d)
{
    return vec_pick(vec_eq(d, vec_zero()), vec_zero(), vec_div(vec_set(1.0f), d));
}

struct lanes_best {
    vf d, b, gain;
};

/* Judges one candidate: codes of (x - at) * inverse. */
LANES_INLINE void lanes_try_affine(size_t n, const float *x, const float *w,
                                   const struct fit_code *c, vf inverse, vf at, vf sum_w, vf sum_x,
                                   int free_min, struct lanes_best *best)
{
    vf q1 = vec_zero(), q2 = vec_zero(), qx = vec_zero();
    for (size_t i = 0; i < n; i++) {
        vf v = vec_load(x + i * FIT_LANES),
           q = lanes_code(vec_mul(vec_sub(v, at), inverse), c, NULL);
        vf wq = vec_mul(vec_load(w + i * FIT_LANES), q);
        q1 = vec_add(q1, wq);
        q2 = vec_fma(wq, q, q2);
        qx = vec_fma(wq, v, qx);
    }
    vf det = vec_sub(vec_mul(sum_w, q2), vec_mul(q1, q1)), one = lanes_inverse(det);
    vf d = vec_mul(vec_sub(vec_mul(sum_w, qx), vec_mul(sum_x, q1)), one);
    vf b = vec_mul(vec_sub(vec_mul(q2, sum_x), vec_mul(q1, qx)), one);
    if (!free_min) {
        vm above = vec_gt(b, vec_zero());
        d = vec_pick(above, vec_mul(qx, lanes_inverse(q2)), d);
        b = vec_pick(above, vec_zero(), b);
    }
    vf gain = vec_fma(d, qx, vec_mul(b, sum_x));
    gain = vec_pick(vec_gt(d, vec_zero()), gain, best->gain); /* a step is positive */
    gain = vec_pick(vec_gt(det, vec_zero()), gain, best->gain);
    vm better = vec_gt(gain, best->gain);
    best->d = vec_pick(better, d, best->d);
    best->b = vec_pick(better, b, best->b);
    best->gain = vec_pick(better, gain, best->gain);
}

static void lanes_affine(size_t n, const float *x0, const float *w0, const struct fit_code *c,
                         const struct fit_search *s, float *d, float *m)
{
    for (size_t lane = 0; lane < FIT_LANES; lane += VN) {
        const float *x = x0 + lane, *w = w0 + lane;
        vf low = vec_load(x), high = low, sum_w = vec_zero(), sum_x = vec_zero();
        for (size_t i = 0; i < n; i++) {
            vf v = vec_load(x + i * FIT_LANES), u = vec_load(w + i * FIT_LANES);
            low = vec_min(low, v);
            high = vec_max(high, v);
            sum_w = vec_add(sum_w, u);
            sum_x = vec_fma(u, v, sum_x);
        }
        if (!s->free_min) low = vec_min(low, vec_zero());
        vf range = vec_sub(high, low), inverse = lanes_inverse(range);
        /* the plain choice, kept when nothing can be judged (all weights 0) */
        struct lanes_best best = {vec_div(range, vec_set(c->hi)), low, vec_set(-__builtin_inff())};
        for (int i = 0; i <= s->count; i++)
            lanes_try_affine(n, x, w, c,
                             vec_mul(vec_set(c->hi + s->first + s->delta * (float)i), inverse), low,
                             sum_w, sum_x, s->free_min, &best);
        for (int i = 0; i < s->polish; i++)
            lanes_try_affine(n, x, w, c, lanes_inverse(best.d), best.b, sum_w, sum_x, s->free_min,
                             &best);
        vec_store(d + lane, best.d);
        vec_store(m + lane, vec_sub(vec_zero(), best.b));
    }
}

LANES_INLINE void lanes_try_linear(size_t n, const float *x, const float *w,
                                   const struct fit_code *c, const struct lanes_table *t,
                                   vf inverse, struct lanes_best *best)
{
    vf q2 = vec_zero(), qx = vec_zero();
    for (size_t i = 0; i < n; i++) {
        vf v = vec_load(x + i * FIT_LANES), q = lanes_code(vec_mul(v, inverse), c, t);
        vf wq = vec_mul(vec_load(w + i * FIT_LANES), q);
        q2 = vec_fma(wq, q, q2);
        qx = vec_fma(wq, v, qx);
    }
    vf d = vec_mul(qx, lanes_inverse(q2)), gain = vec_mul(d, qx);
    vm better = vec_gt(gain, best->gain);
    best->d = vec_pick(better, d, best->d);
    best->gain = vec_pick(better, gain, best->gain);
}

LANES_INLINE void lanes_linear_of(size_t n, const float *x0, const float *w0,
                                  const struct fit_code *c, const struct lanes_table *t,
                                  const struct fit_search *s, float *d)
{
    for (size_t lane = 0; lane < FIT_LANES; lane += VN) {
        const float *x = x0 + lane, *w = w0 + lane;
        vf top = vec_zero(), size = vec_zero();
        for (size_t i = 0; i < n; i++) {
            vf v = vec_load(x + i * FIT_LANES), a = vec_abs(v);
            vm larger = vec_gt(a, size);
            top = vec_pick(larger, v, top);
            size = vec_pick(larger, a, size);
        }
        vf inverse = lanes_inverse(top);
        struct lanes_best best = {vec_div(top, vec_set(c->lo)), vec_zero(), vec_set(-1.0f)};
        for (int i = 0; i <= s->count; i++) {
            float more = s->first + s->delta * (float)i;
            lanes_try_linear(n, x, w, c, t, vec_mul(vec_set(c->lo - more), inverse), &best);
            lanes_try_linear(n, x, w, c, t, vec_mul(vec_set(c->hi + more), inverse), &best);
        }
        for (int i = 0; i < s->polish; i++)
            lanes_try_linear(n, x, w, c, t, lanes_inverse(best.d), &best);
        vec_store(d + lane, best.d);
    }
}

static void lanes_linear(size_t n, const float *x, const float *w, const struct fit_code *c,
                         const struct fit_search *s, float *d)
{
    struct lanes_table t;
    if (!c->table) {
        lanes_linear_of(n, x, w, c, NULL, s, d);
        return;
    }
    lanes_open_table(c, &t);
    lanes_linear_of(n, x, w, c, &t, s, d);
}

LANES_INLINE void lanes_error_of(size_t n, const float *x, const float *w, const struct fit_code *c,
                                 const struct lanes_table *t, const float *d, const float *m,
                                 float *error)
{
    for (size_t lane = 0; lane < FIT_LANES; lane += VN) {
        vf step = vec_load(d + lane), inverse = lanes_inverse(step), min = vec_load(m + lane),
           sum = vec_zero();
        for (size_t i = 0; i < n; i++) {
            vf v = vec_add(vec_load(x + i * FIT_LANES + lane), min);
            vf off = vec_sub(vec_mul(step, lanes_code(vec_mul(v, inverse), c, t)), v);
            sum = vec_fma(vec_mul(vec_load(w + i * FIT_LANES + lane), off), off, sum);
        }
        vec_store(error + lane, sum);
    }
}

static void lanes_error(size_t n, const float *x, const float *w, const struct fit_code *c,
                        const float *d, const float *m, float *error)
{
    struct lanes_table t;
    if (!c->table) {
        lanes_error_of(n, x, w, c, NULL, d, m, error);
        return;
    }
    lanes_open_table(c, &t);
    lanes_error_of(n, x, w, c, &t, d, m, error);
}

LANES_INLINE void lanes_sums_of(size_t n, const float *x, const float *w, const struct fit_code *c,
                                const struct lanes_table *t, const float *d, const float *m,
                                float sum[FIT_SUMS][FIT_LANES])
{
    for (size_t lane = 0; lane < FIT_LANES; lane += VN) {
        vf step = vec_load(d + lane), inverse = lanes_inverse(step), min = vec_load(m + lane);
        vf s[FIT_SUMS];
        for (int i = 0; i < FIT_SUMS; i++) s[i] = vec_zero();
        for (size_t i = 0; i < n; i++) {
            vf v = vec_load(x + i * FIT_LANES + lane), u = vec_load(w + i * FIT_LANES + lane);
            vf shifted = vec_add(v, min), q = lanes_code(vec_mul(shifted, inverse), c, t);
            vf off = vec_sub(vec_mul(step, q), shifted), ux = vec_mul(u, v), uq = vec_mul(u, q);
            s[FIT_ERROR] = vec_fma(vec_mul(u, off), off, s[FIT_ERROR]);
            s[FIT_W] = vec_add(s[FIT_W], u);
            s[FIT_X] = vec_add(s[FIT_X], ux);
            s[FIT_XX] = vec_fma(ux, v, s[FIT_XX]);
            s[FIT_Q] = vec_add(s[FIT_Q], uq);
            s[FIT_QQ] = vec_fma(uq, q, s[FIT_QQ]);
            s[FIT_QX] = vec_fma(uq, v, s[FIT_QX]);
        }
        for (int i = 0; i < FIT_SUMS; i++) vec_store(sum[i] + lane, s[i]);
    }
}

static void lanes_sums(size_t n, const float *x, const float *w, const struct fit_code *c,
                       const float *d, const float *m, float sum[FIT_SUMS][FIT_LANES])
{
    struct lanes_table t;
    if (!c->table) {
        lanes_sums_of(n, x, w, c, NULL, d, m, sum);
        return;
    }
    lanes_open_table(c, &t);
    lanes_sums_of(n, x, w, c, &t, d, m, sum);
}

static void lanes_codes(size_t n, const float *x, const struct fit_code *c, const float *d,
                        const float *m, float *q)
{
    struct lanes_table t;
    if (c->table) lanes_open_table(c, &t);
    for (size_t lane = 0; lane < FIT_LANES; lane += VN) {
        vf inverse = lanes_inverse(vec_load(d + lane)), min = vec_load(m + lane);
        for (size_t i = 0; i < n; i++) {
            vf v = vec_mul(vec_add(vec_load(x + i * FIT_LANES + lane), min), inverse);
            vec_store(q + i * FIT_LANES + lane, lanes_code(v, c, c->table ? &t : NULL));
        }
    }
}

static void lanes_fill(struct fit *f)
{
    f->affine = lanes_affine;
    f->linear = lanes_linear;
    f->error = lanes_error;
    f->sums = lanes_sums;
    f->codes = lanes_codes;
}

#endif
