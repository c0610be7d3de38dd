/* SPDX-License-Identifier: Apache-2.0
 *
 * kern/vec/row.h: what is done to one row of floats (softmax, gates, norms, axpy, argmax, rotary),
 * for any vector of kern/vec/vec.h. Ends go through the same vector code as the middle, so an
 * element's result does not depend on where it stands.
 */
#ifndef KERN_VEC_ROW_H
#define KERN_VEC_ROW_H

#include "kern/vec/vec.h"

#include <math.h>

static float row_softmax(size_t n, float *s, float *m, float *l)
{
    size_t j = 0, whole = n - n % VN, rest = n % VN;
    vf peak[2] = {vec_set(*m), vec_set(*m)};
    for (; j + 2 * VN <= n; j += 2 * VN) {
        peak[0] = vec_max(vec_load(s + j), peak[0]);
        peak[1] = vec_max(vec_load(s + j + VN), peak[1]);
    }
    for (; j < whole; j += VN) peak[0] = vec_max(vec_load(s + j), peak[0]);
    if (rest) peak[1] = vec_max(vec_load_or(s + j, rest, -INFINITY), peak[1]);
    float top = vec_top(vec_max(peak[0], peak[1]));
    if (top == -INFINITY) { /* everything so far is masked */
        for (j = 0; j < n; j++) s[j] = 0;
        return 1;
    }
    vf shift = vec_set(top), sum[2] = {vec_zero(), vec_zero()};
    for (j = 0; j + 2 * VN <= n; j += 2 * VN) {
        vf a = vec_exp(vec_sub(vec_load(s + j), shift));
        vf b = vec_exp(vec_sub(vec_load(s + j + VN), shift));
        sum[0] = vec_add(sum[0], a);
        sum[1] = vec_add(sum[1], b);
        vec_store(s + j, a);
        vec_store(s + j + VN, b);
    }
    for (; j < whole; j += VN) {
        vf a = vec_exp(vec_sub(vec_load(s + j), shift));
        sum[0] = vec_add(sum[0], a);
        vec_store(s + j, a);
    }
    if (rest) {
        vf a = vec_exp(vec_sub(vec_load_or(s + j, rest, -INFINITY), shift));
        sum[1] = vec_add(sum[1], a);
        vec_store_n(s + j, rest, a);
    }
    float factor[VN];
    vec_store(factor, vec_exp(vec_sub(vec_set(*m), shift)));
    *l = *l * factor[0] + vec_sum(vec_add(sum[0], sum[1]));
    *m = top;
    return factor[0];
}

enum row_gate { ROW_SILU, ROW_GELU, ROW_GELU_TANH };

VEC_INLINE vf row_gate_of(enum row_gate kind, vf g)
{
    const vf one = vec_set(1.0f);
    if (kind == ROW_SILU) return vec_div(g, vec_add(one, vec_exp(vec_sub(vec_zero(), g))));
    if (kind == ROW_GELU) {
        /* x (1 - h) above 0, x h below: max(x, 0) - |x| h, h = erfc(|x| / sqrt 2) / 2 */
        vf a = vec_min(vec_set(16.0f), vec_abs(g)), up = vec_max(vec_zero(), g); /* h(16) = 0 */
        return vec_sub(up, vec_mul(a, vec_half_erfc(a)));
    }
    /* x (1 + tanh t) / 2 = x / (1 + e^-2t), t = sqrt(2/pi) (x + 0.044715 x^3) */
    vf cube = vec_fma(vec_mul(g, g), vec_mul(g, vec_set(0.044715f)), g);
    return vec_div(g, vec_add(one, vec_exp(vec_mul(cube, vec_set(-2 * 0.79788456080286535588f)))));
}

VEC_INLINE void row_gate(enum row_gate kind, size_t n, const float *g, const float *u, float *out)
{
    size_t i = 0, rest = n % VN;
    if (!u) {
        for (; i + VN <= n; i += VN) vec_store(out + i, row_gate_of(kind, vec_load(g + i)));
        if (rest) vec_store_n(out + i, rest, row_gate_of(kind, vec_load_n(g + i, rest)));
        return;
    }
    for (; i + VN <= n; i += VN)
        vec_store(out + i, vec_mul(row_gate_of(kind, vec_load(g + i)), vec_load(u + i)));
    if (rest) {
        vf y = row_gate_of(kind, vec_load_n(g + i, rest));
        vec_store_n(out + i, rest, vec_mul(y, vec_load_n(u + i, rest)));
    }
}

static void row_silu_mul(size_t n, const float *g, const float *u, float *out)
{
    row_gate(ROW_SILU, n, g, u, out);
}

static void row_gelu_mul(size_t n, const float *g, const float *u, float *out)
{
    row_gate(ROW_GELU, n, g, u, out);
}

static void row_gelu_tanh_mul(size_t n, const float *g, const float *u, float *out)
{
    row_gate(ROW_GELU_TANH, n, g, u, out);
}

/* Sums of n floats in double: of x, or of (x - mean)^2. */
static double row_wide_sum(size_t n, const float *x)
{
    size_t i = 0;
    vd sum = vec_wide(0);
    for (; i + VN <= n; i += VN) sum = vec_wide_add(sum, vec_load(x + i));
    double total = vec_wide_sum(sum);
    for (; i < n; i++) total += (double)x[i];
    return total;
}

static double row_wide_squares(size_t n, const float *x, double mean)
{
    size_t i = 0;
    vd a = vec_wide(0), b = a, c = vec_wide(mean);
    for (; i + 2 * VN <= n; i += 2 * VN) {
        a = vec_wide_square(a, vec_load(x + i), c);
        b = vec_wide_square(b, vec_load(x + i + VN), c);
    }
    for (; i + VN <= n; i += VN) a = vec_wide_square(a, vec_load(x + i), c);
    double total = vec_wide_sum(a) + vec_wide_sum(b);
    for (; i < n; i++) total += ((double)x[i] - mean) * ((double)x[i] - mean);
    return total;
}

static void row_rms(size_t n, const float *x, const float *w, float eps, float *out)
{
    double mean = row_wide_squares(n, x, 0) / (double)n;
    vf scale = vec_set((float)(1 / sqrt(mean + (double)eps)));
    size_t i = 0, rest = n % VN;
    if (!w) {
        for (; i + VN <= n; i += VN) vec_store(out + i, vec_mul(vec_load(x + i), scale));
        if (rest) vec_store_n(out + i, rest, vec_mul(vec_load_n(x + i, rest), scale));
        return;
    }
    for (; i + VN <= n; i += VN)
        vec_store(out + i, vec_mul(vec_mul(vec_load(x + i), scale), vec_load(w + i)));
    if (rest) {
        vf y = vec_mul(vec_load_n(x + i, rest), scale);
        vec_store_n(out + i, rest, vec_mul(y, vec_load_n(w + i, rest)));
    }
}

/* The mean is taken away in two parts, so that a mean far larger than the deviation costs nothing.
 * */
static void row_norm(size_t n, const float *x, const float *w, const float *b, float eps,
                     float *out)
{
    double mean = row_wide_sum(n, x) / (double)n;
    double var = row_wide_squares(n, x, mean) / (double)n;
    vf scale = vec_set((float)(1 / sqrt(var + (double)eps)));
    vf high = vec_set((float)mean), low = vec_set((float)(mean - (double)(float)mean));
    for (size_t i = 0; i < n; i += VN) {
        size_t m = n - i < VN ? n - i : VN;
        vf y = vec_mul(vec_sub(vec_sub(vec_load_n(x + i, m), high), low), scale);
        if (w) y = vec_mul(y, vec_load_n(w + i, m));
        if (b) y = vec_add(y, vec_load_n(b + i, m));
        vec_store_n(out + i, m, y);
    }
}

static void row_axpy(size_t n, float a, const float *x, float *y)
{
    size_t i = 0, rest = n % VN;
    vf v = vec_set(a);
    for (; i + VN <= n; i += VN) vec_store(y + i, vec_fma(v, vec_load(x + i), vec_load(y + i)));
    if (!rest) return;
    vec_store_n(y + i, rest, vec_fma(v, vec_load_n(x + i, rest), vec_load_n(y + i, rest)));
}

/* argmax goes by blocks: that which holds the largest is looked at twice, from the first cache. */
#define ROW_BLOCK 2048

/* The largest of up to ROW_BLOCK numbers, -inf when there is nothing but NaN. */
static float row_max(size_t n, const float *x)
{
    vf top[4];
    size_t i = 0;
    for (int t = 0; t < 4; t++) top[t] = vec_set(-INFINITY);
    for (; i + 4 * VN <= n; i += 4 * VN)
        for (int t = 0; t < 4; t++) top[t] = vec_max(vec_load(x + i + (size_t)t * VN), top[t]);
    for (; i < n; i += VN) {
        size_t m = n - i < VN ? n - i : VN;
        top[0] = vec_max(vec_load_or(x + i, m, -INFINITY), top[0]);
    }
    return vec_top(vec_max(vec_max(top[0], top[1]), vec_max(top[2], top[3])));
}

static size_t row_argmax(size_t n, const float *x)
{
    float top = -INFINITY;
    size_t block = n;
    for (size_t i = 0; i < n; i += ROW_BLOCK) {
        float t = row_max(n - i < ROW_BLOCK ? n - i : ROW_BLOCK, x + i);
        if (t > top) {
            top = t;
            block = i;
        }
    }
    for (size_t i = block; i < n; i += VN) {
        size_t m = n - i < VN ? n - i : VN;
        int lane = vec_lowest(vec_eq(vec_load_or(x + i, m, -INFINITY), vec_set(top)));
        if (lane >= 0) return i + (size_t)lane;
    }
    return 0; /* nothing above -inf */
}

static void row_rope_norm(size_t rot, const float *c, const float *s, float *x)
{
    size_t i = 0, rest = rot % VN;
    for (; i + VN <= rot; i += VN) {
        vf v = vec_load(x + i), turned = vec_mul(vec_swap(v), vec_twice_n(s + i / 2, VN / 2));
        vec_store(x + i, vec_fmaddsub(v, vec_twice_n(c + i / 2, VN / 2), turned));
    }
    if (!rest) return;
    vf v = vec_load_n(x + i, rest), turned = vec_mul(vec_swap(v), vec_twice_n(s + i / 2, rest / 2));
    vec_store_n(x + i, rest, vec_fmaddsub(v, vec_twice_n(c + i / 2, rest / 2), turned));
}

static void row_rope_neox(size_t rot, const float *c, const float *s, float *x)
{
    size_t half = rot / 2;
    for (size_t i = 0; i < half; i += VN) {
        size_t m = half - i < VN ? half - i : VN;
        vf a = vec_load_n(x + i, m), b = vec_load_n(x + half + i, m);
        vf cs = vec_load_n(c + i, m), sn = vec_load_n(s + i, m);
        vec_store_n(x + i, m, vec_sub(vec_mul(a, cs), vec_mul(b, sn)));
        vec_store_n(x + half + i, m, vec_fma(b, cs, vec_mul(a, sn)));
    }
}

#endif
