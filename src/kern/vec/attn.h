/* SPDX-License-Identifier: Apache-2.0
 *
 * kern/vec/attn.h: scores and weighted sums over kept keys and values.
 *
 * A few query rows (decoding) go over the kept rows as they are, each vector converted once for
 * all of them. Many (a prompt) make a tile of F32 in scratch first: keys transposed, values as
 * they lie; then both are the product of kern/vec/tile.h.
 */
#ifndef KERN_VEC_ATTN_H
#define KERN_VEC_ATTN_H

#include "base/half.h"
#include "kern/vec/dot.h"
#include "kern/vec/tile.h"

/* From so many query rows on the tile is faster, as measured by kcheck. */
#ifndef ATTN_TILE_FROM
#define ATTN_TILE_FROM 9
#endif

VEC_INLINE void attn_qk(kern_mul_fn *dot, kern_pack_fn *pack, size_t hd, size_t nq,
                        const float *q, size_t qstride, size_t npos, const void *k,
                        size_t row_bytes, float *s, size_t sstride, void *scratch)
{
    if (nq < ATTN_TILE_FROM) {
        dot(hd, k, row_bytes, npos, q, 4 * qstride, nq, s, sstride);
        return;
    }
    pack(hd, k, row_bytes, npos, scratch);
    tile_mul(hd, scratch, hd * TILE_ROWS, TILE_ROWS, npos, q, 4 * qstride, nq, s, sstride, 0);
}

/* n rows of o, wide * VN columns from d on: sums in registers over all positions. */
VEC_INLINE void attn_pv_few(enum vec_kind kind, size_t n, size_t wide, size_t d, const float *p,
                            size_t pstride, size_t npos, const unsigned char *v, size_t row_bytes,
                            float *o, size_t ostride)
{
    vf sum[DOT_SUMS], x[8];
    VEC_UNROLL for (size_t t = 0; t < n * wide; t++)
        sum[t] = vec_load(o + t / wide * ostride + d + t % wide * VN);
    for (size_t j = 0; j < npos; j++) {
        VEC_UNROLL for (size_t t = 0; t < wide; t++)
            x[t] = vec_row(kind, v + j * row_bytes, d + t * VN);
        VEC_UNROLL for (size_t i = 0; i < n; i++) {
            vf w = vec_set(p[i * pstride + j]);
            VEC_UNROLL for (size_t t = 0; t < wide; t++)
                sum[i * wide + t] = vec_fma(w, x[t], sum[i * wide + t]);
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
    vf sum[DOT_ACTS];
    VEC_UNROLL for (size_t i = 0; i < n; i++) sum[i] = vec_load_n(o + i * ostride + d, m);
    for (size_t j = 0; j < npos; j++) {
        vf x = vec_row_n(kind, v + j * row_bytes, d, m);
        VEC_UNROLL for (size_t i = 0; i < n; i++)
            sum[i] = vec_fma(vec_set(p[i * pstride + j]), x, sum[i]);
    }
    VEC_UNROLL for (size_t i = 0; i < n; i++) vec_store_n(o + i * ostride + d, m, sum[i]);
}

#if VEC_REGISTERS >= 32
#define ATTN_WIDE(n) ((n) <= 2 ? 8 : (n) <= 4 ? 4 : 2)
#else
#define ATTN_WIDE(n) ((n) <= 1 ? 8 : (n) <= 3 ? 4 : (n) <= 5 ? 2 : 1)
#endif

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

/* Values as F32 rows of `wide` floats, a whole number of groups, zeros behind hd. */
VEC_INLINE void attn_unpack(enum vec_kind kind, size_t hd, size_t wide, size_t npos,
                            const unsigned char *v, size_t row_bytes, float *to)
{
    for (size_t j = 0; j < npos; j++, v += row_bytes, to += wide) {
        size_t d = 0;
        for (; d + VN <= hd; d += VN) vec_store(to + d, vec_row(kind, v, d));
        if (d < hd) {
            vec_store(to + d, vec_row_n(kind, v, d, hd - d));
            d += VN;
        }
        for (; d < wide; d += VN) vec_store(to + d, vec_zero());
    }
}

VEC_INLINE void attn_pv(enum vec_kind kind, size_t hd, size_t nq, const float *p, size_t pstride,
                        size_t npos, const void *v, size_t row_bytes, float *o, size_t ostride,
                        void *scratch)
{
    if (nq >= ATTN_TILE_FROM) {
        size_t wide = (hd + TILE_ROWS - 1) / TILE_ROWS * TILE_ROWS;
        attn_unpack(kind, hd, wide, npos, v, row_bytes, scratch);
        tile_mul(npos, scratch, TILE_ROWS, wide, hd, p, 4 * pstride, nq, o, ostride, 1);
        return;
    }
    switch (nq) {
    case 1: attn_pv_rows(kind, 1, hd, p, pstride, npos, v, row_bytes, o, ostride); break;
    case 2: attn_pv_rows(kind, 2, hd, p, pstride, npos, v, row_bytes, o, ostride); break;
    case 3: attn_pv_rows(kind, 3, hd, p, pstride, npos, v, row_bytes, o, ostride); break;
    case 4: attn_pv_rows(kind, 4, hd, p, pstride, npos, v, row_bytes, o, ostride); break;
    case 5: attn_pv_rows(kind, 5, hd, p, pstride, npos, v, row_bytes, o, ostride); break;
    case 6: attn_pv_rows(kind, 6, hd, p, pstride, npos, v, row_bytes, o, ostride); break;
    case 7: attn_pv_rows(kind, 7, hd, p, pstride, npos, v, row_bytes, o, ostride); break;
    case 8: attn_pv_rows(kind, 8, hd, p, pstride, npos, v, row_bytes, o, ostride); break;
    default: break;
    }
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
