/* SPDX-License-Identifier: Apache-2.0
 *
 * kern/vec/attn.h: scores and weighted sums over kept keys and values.
 *
 * Scores are scalar products (kern/vec/dot.h); for many query rows (a prompt) the keys are
 * unpacked and transposed into scratch once and multiplied as a panel (kern/vec/tile.h). Weighted
 * sums keep a few rows of the output in registers over all positions; for more rows than that,
 * values too are unpacked to F32 once.
 */
#ifndef KERN_VEC_ATTN_H
#define KERN_VEC_ATTN_H

#include "base/half.h"
#include "kern/vec/dot.h"
#include "kern/vec/tile.h"

/* From so many query rows on it is faster to make a panel of the keys; F32 of the values. Measured
 * by kcheck. */
#define ATTN_PANEL_FROM(kind) ((kind) == VEC_Q8_0 ? 12 : 48)
#define ATTN_UNPACK_FROM(kind) ((kind) == VEC_Q8_0 ? 9 : 12)

VEC_INLINE void attn_qk(enum vec_kind kind, kern_mul_fn *dot, kern_pack_fn *pack, size_t hd,
                        size_t nq, const float *q, size_t qstride, size_t npos, const void *k,
                        size_t row_bytes, float *s, size_t sstride, void *scratch)
{
    if (nq < ATTN_PANEL_FROM(kind)) {
        dot(hd, k, row_bytes, npos, q, 4 * qstride, nq, s, sstride);
        return;
    }
    pack(hd, k, row_bytes, npos, scratch);
    tile_mul(hd, scratch, npos, q, 4 * qstride, nq, s, sstride);
}

/* Rows of o at a time, and how many vectors of each: sums, weights and one vector of values within
 * the registers. */
#if VEC_REGISTERS >= 32
#define ATTN_ROWS 6
#define ATTN_WIDE(n) ((n) <= 2 ? 8 : 4)
#else
#define ATTN_ROWS 3
#define ATTN_WIDE(n) ((n) <= 1 ? 8 : 4)
#endif

/* Vector t of `wide` from element d on. Where these make whole blocks d begins one, and its step
 * serves all. */
VEC_INLINE vf attn_vector(enum vec_kind kind, size_t wide, const unsigned char *row, size_t d,
                          size_t t)
{
    if (kind != VEC_Q8_0 || wide * VN % 32) return vec_row(kind, row, d + t * VN);
    const unsigned char *block = row + d / 32 * 34 + t * VN / 32 * 34;
    return vec_mul(vec_set_f16(block), vec_from_i8(block + 2 + t * VN % 32));
}

/* n rows of o, wide * VN columns from d on. */
VEC_INLINE void attn_pv_few(enum vec_kind kind, size_t n, size_t wide, size_t d, const float *p,
                            size_t pstride, size_t npos, const unsigned char *v, size_t row_bytes,
                            float *o, size_t ostride)
{
    vf sum[4 * ATTN_ROWS + 8], w[ATTN_ROWS];
    VEC_UNROLL for (size_t t = 0; t < n * wide; t++)
        sum[t] = vec_load(o + t / wide * ostride + d + t % wide * VN);
    for (size_t j = 0; j < npos; j++) {
        VEC_UNROLL for (size_t i = 0; i < n; i++) w[i] = vec_set(p[i * pstride + j]);
        VEC_UNROLL for (size_t t = 0; t < wide; t++) {
            vf x = attn_vector(kind, wide, v + j * row_bytes, d, t);
            VEC_UNROLL for (size_t i = 0; i < n; i++)
                sum[i * wide + t] = vec_fma(w[i], x, sum[i * wide + t]);
        }
    }
    VEC_UNROLL for (size_t t = 0; t < n * wide; t++)
        vec_store(o + t / wide * ostride + d + t % wide * VN, sum[t]);
}

/* The last m < VN columns. */
VEC_INLINE void attn_pv_rest(enum vec_kind kind, size_t n, size_t m, size_t d, const float *p,
                             size_t pstride, size_t npos, const unsigned char *v, size_t row_bytes,
                             float *o, size_t ostride)
{
    vf sum[ATTN_ROWS];
    VEC_UNROLL for (size_t i = 0; i < n; i++) sum[i] = vec_load_n(o + i * ostride + d, m);
    for (size_t j = 0; j < npos; j++) {
        vf x = vec_row_n(kind, v + j * row_bytes, d, m);
        VEC_UNROLL for (size_t i = 0; i < n; i++)
            sum[i] = vec_fma(vec_set(p[i * pstride + j]), x, sum[i]);
    }
    VEC_UNROLL for (size_t i = 0; i < n; i++) vec_store_n(o + i * ostride + d, m, sum[i]);
}

VEC_INLINE void attn_pv_rows(enum vec_kind kind, size_t n, size_t hd, const float *p,
                             size_t pstride, size_t npos, const unsigned char *v, size_t row_bytes,
                             float *o, size_t ostride)
{
    const size_t wide = ATTN_WIDE(n);
    size_t d = 0;
    for (; d + wide * VN <= hd; d += wide * VN)
        attn_pv_few(kind, n, wide, d, p, pstride, npos, v, row_bytes, o, ostride);
    for (; d + VN <= hd; d += VN)
        attn_pv_few(kind, n, 1, d, p, pstride, npos, v, row_bytes, o, ostride);
    if (d < hd) attn_pv_rest(kind, n, hd - d, d, p, pstride, npos, v, row_bytes, o, ostride);
}

VEC_INLINE void attn_pv_all(enum vec_kind kind, size_t hd, size_t nq, const float *p,
                            size_t pstride, size_t npos, const unsigned char *v, size_t row_bytes,
                            float *o, size_t ostride)
{
#define ATTN_CASE(c) \
    case c: attn_pv_rows(kind, c, hd, p, pstride, npos, v, row_bytes, o, ostride); break
    for (size_t n; nq; nq -= n, p += n * pstride, o += n * ostride) {
        n = nq / ((nq + ATTN_ROWS - 1) / ATTN_ROWS); /* evenly */
        switch (n) {
            ATTN_CASE(1);
            ATTN_CASE(2);
            ATTN_CASE(3);
#if ATTN_ROWS > 3
            ATTN_CASE(4);
            ATTN_CASE(5);
            ATTN_CASE(6);
#endif
        }
    }
#undef ATTN_CASE
}

/* Values as F32 rows of `wide` floats, whole vectors. */
VEC_INLINE void attn_unpack(enum vec_kind kind, size_t hd, size_t wide, size_t npos,
                            const unsigned char *v, size_t row_bytes, float *to)
{
    for (size_t j = 0; j < npos; j++, v += row_bytes, to += wide) {
        size_t d = 0;
        for (; d + VN <= hd; d += VN) vec_store(to + d, vec_row(kind, v, d));
        if (d < hd) vec_store(to + d, vec_row_n(kind, v, d, hd - d));
    }
}

static void attn_pv_f32(size_t hd, size_t nq, const float *p, size_t pstride, size_t npos,
                        const void *v, size_t row_bytes, float *o, size_t ostride, void *scratch)
{
    (void)scratch;
    attn_pv_all(VEC_F32, hd, nq, p, pstride, npos, v, row_bytes, o, ostride);
}

VEC_INLINE void attn_pv(enum vec_kind kind, size_t hd, size_t nq, const float *p, size_t pstride,
                        size_t npos, const void *v, size_t row_bytes, float *o, size_t ostride,
                        void *scratch)
{
    if (nq < ATTN_UNPACK_FROM(kind)) {
        attn_pv_all(kind, hd, nq, p, pstride, npos, v, row_bytes, o, ostride);
        return;
    }
    size_t wide = (hd + VN - 1) / VN * VN;
    attn_unpack(kind, hd, wide, npos, v, row_bytes, scratch);
    attn_pv_f32(hd, nq, p, pstride, npos, scratch, 4 * wide, o, ostride, NULL);
}

/* Keeping a row. The forms are those of ref/attn.c, to the bit. */
static void attn_store_f16(size_t hd, const float *x, void *row)
{
    size_t d = 0;
    for (; d + VN <= hd; d += VN) vec_to_f16((unsigned char *)row + 2 * d, vec_load(x + d));
    if (d < hd) vec_to_f16_n((unsigned char *)row + 2 * d, hd - d, vec_load_n(x + d, hd - d));
}

static void attn_store_q8_0(size_t hd, const float *x, void *row)
{
    unsigned char *block = row;
    for (size_t at = 0; at < hd; at += 32, block += 34) {
        vf top = vec_zero();
        for (size_t i = 0; i < 32; i += VN) top = vec_max(vec_abs(vec_load(x + at + i)), top);
        float step = vec_top(top) / 127.0f;
        uint16_t h = half_from_f32(step < 65504.0f ? step : 65504.0f);
        memcpy(block, &h, 2);
        vf d = vec_set(half_to_f32(h));
        vm any = vec_gt(d, vec_zero());
        for (size_t i = 0; i < 32; i += VN) {
            vf q = vec_pick(any, vec_div(vec_load(x + at + i), d), vec_zero());
            vec_to_i8(block + 2 + i, vec_min(vec_max(q, vec_set(-127.0f)), vec_set(127.0f)));
        }
    }
}

#endif
