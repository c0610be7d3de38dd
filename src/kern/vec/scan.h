/* SPDX-License-Identifier: Apache-2.0
 *
 * kern/vec/scan.h: one token through one head of a recurrence, for any vector of kern/vec/vec.h.
 *
 * The state's rows lie one after another. Mamba-2 sums along a row: four rows at a time, so that the sums of their lanes are made together.
 * The delta rule sums down the columns: a strip of some columns at a time, twice over the same lines of the cache: what the key finds, then what
 * the query finds after the repair.
 */
#ifndef KERN_VEC_SCAN_H
#define KERN_VEC_SCAN_H

#include "kern/vec/vec.h"

/* New state of row s from n on, `rest` lanes of it (0: all); gives what is to be added to the row's sum. */
VEC_INLINE vf scan_step(float *s, size_t rest, vf decay, vf in, vf b, vf c, vf sum)
{
    vf v = vec_fma(rest ? vec_load_n(s, rest) : vec_load(s), decay, vec_mul(in, b));
    if (rest)
        vec_store_n(s, rest, v);
    else
        vec_store(s, v);
    return vec_fma(v, c, sum);
}

static void row_scan(size_t hd, size_t ds, float *state, const float *b, const float *c, const float *x, float dt,
                     float decay, float d, float *out)
{
    vf keep = vec_set(decay);
    size_t rest = ds % VN, whole = ds - rest;
    for (size_t p = 0; p < hd; p += 4) {
        vf in[4], sum[4];
        float y[4], *s[4];
        for (size_t i = 0; i < 4; i++) { /* past the last row: the last once more, not evaluated */
            size_t r = p + i < hd ? p + i : hd - 1;
            in[i] = vec_set(dt * x[r]), sum[i] = vec_zero(), s[i] = state + r * ds;
        }
        size_t rows = hd - p < 4 ? hd - p : 4;
        if (rows == 4) {
            for (size_t n = 0; n < whole; n += VN) {
                vf bv = vec_load(b + n), cv = vec_load(c + n);
                VEC_UNROLL
                for (int i = 0; i < 4; i++) sum[i] = scan_step(s[i] + n, 0, keep, in[i], bv, cv, sum[i]);
            }
        } else {
            for (size_t i = 0; i < rows; i++)
                for (size_t n = 0; n < whole; n += VN)
                    sum[i] = scan_step(s[i] + n, 0, keep, in[i], vec_load(b + n), vec_load(c + n), sum[i]);
        }
        for (size_t i = 0; i < rows && rest; i++)
            sum[i] = scan_step(s[i] + whole, rest, keep, in[i], vec_load_n(b + whole, rest),
                               vec_load_n(c + whole, rest), sum[i]);
        vec_sum4(sum[0], sum[1], sum[2], sum[3], y);
        for (size_t i = 0; i < rows; i++) out[p + i] = y[i] + d * x[p + i];
    }
}

/* Vectors of a strip: what the registers hold, each in two of doubles, twice. */
enum { SCAN_STRIP = VEC_REGISTERS == 32 ? 4 : 2 };

struct scan_delta {
    size_t dk, dv;
    const float *q, *k, *v;
    double qn, kn, decay, beta;
};

/* nv vectors of columns; of the last `rest` lanes only, 0: all. */
VEC_INLINE void scan_strip(int nv, size_t rest, const struct scan_delta *j, float *state, const float *v, float *out)
{
    vd seen[SCAN_STRIP], fix[SCAN_STRIP], y[SCAN_STRIP];
    vd decay = vec_wide(j->decay), back = vec_wide(-j->decay * j->kn), gain = vec_wide(j->beta * j->kn);
    vd zero = vec_wide(0);
    VEC_UNROLL
    for (int i = 0; i < nv; i++) seen[i] = y[i] = zero;
    for (size_t a = 0; a < j->dk; a++) {
        vd k = vec_wide((double)j->k[a]);
        const float *s = state + a * j->dv;
        VEC_UNROLL
        for (int i = 0; i < nv; i++)
            seen[i] = vec_wide_fma(vec_wide_of(rest ? vec_load_n(s, rest) : vec_load(s + i * VN)), k, seen[i]);
    }
    VEC_UNROLL
    for (int i = 0; i < nv; i++) {
        vd want = vec_wide_of(rest ? vec_load_n(v, rest) : vec_load(v + i * VN));
        fix[i] = vec_wide_fma(vec_wide_fma(seen[i], back, want), gain, zero);
    }
    for (size_t a = 0; a < j->dk; a++) {
        vd k = vec_wide((double)j->k[a]), q = vec_wide((double)j->q[a]);
        float *s = state + a * j->dv;
        VEC_UNROLL
        for (int i = 0; i < nv; i++) {
            vd old = vec_wide_of(rest ? vec_load_n(s, rest) : vec_load(s + i * VN));
            vd now = vec_wide_fma(old, decay, vec_wide_fma(k, fix[i], zero));
            y[i] = vec_wide_fma(now, q, y[i]);
            if (rest)
                vec_store_n(s, rest, vec_narrow(now));
            else
                vec_store(s + i * VN, vec_narrow(now));
        }
    }
    VEC_UNROLL
    for (int i = 0; i < nv; i++) {
        vf o = vec_narrow(vec_wide_fma(y[i], vec_wide(j->qn), zero));
        if (rest)
            vec_store_n(out, rest, o);
        else
            vec_store(out + i * VN, o);
    }
}

static void row_delta(size_t dk, size_t dv, float *state, const float *q, double qn, const float *k, double kn,
                      const float *v, double decay, double beta, float *out)
{
    struct scan_delta j = {dk, dv, q, k, v, qn, kn, decay, beta};
    size_t b = 0;
    for (; b + SCAN_STRIP * VN <= dv; b += SCAN_STRIP * VN) scan_strip(SCAN_STRIP, 0, &j, state + b, v + b, out + b);
    for (; b + VN <= dv; b += VN) scan_strip(1, 0, &j, state + b, v + b, out + b);
    if (b < dv) scan_strip(1, dv - b, &j, state + b, v + b, out + b);
}

#endif
