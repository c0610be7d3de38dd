/* SPDX-License-Identifier: Apache-2.0
 *
 * kern/vec/dot.h: scalar products of rows in memory (weights, or kept keys) with a few F32 rows.
 *
 *     out[a * ostride + r] = sum over i < k of W[r][i] * A[a][i]
 *
 * A tile of R rows and N activations keeps R * N sums in registers, so that every loaded and
 * converted vector of W serves N products and every one of A serves R. One activation reads W at
 * memory speed: rows are short streams, which the processor's own prefetching is late for, so a
 * tile asks for the rows of the next. More activations than DOT_ACTS go in several passes over a
 * chunk of rows that the cache still holds; more at a time would not fit the first cache
 * themselves.
 */
#ifndef KERN_VEC_DOT_H
#define KERN_VEC_DOT_H

#include "kern/vec/vec.h"

#define DOT_ACTS 4
#define DOT_CHUNK 48 /* a multiple of every DOT_ROWS */

/* Rows of a tile for so many activations: sums, rows and one activation within the registers. */
#if VEC_REGISTERS >= 32
#define DOT_ROWS(n) ((n) <= 2 ? 8 : 4)
#else
#define DOT_ROWS(n) ((n) <= 1 ? 8 : (n) <= 2 ? 4 : 3)
#endif
#define DOT_SUMS 16
#define DOT_K (128 * VN) /* no float sum grows over more than 128 products of a lane */

/* sum[a * rows + r] += v[r] * A[a] over one vector's elements. */
VEC_INLINE void dot_step(size_t rows, size_t n, const vf v[8], const unsigned char *act,
                         size_t astride, vf sum[DOT_SUMS])
{
    VEC_UNROLL for (size_t a = 0; a < n; a++) {
        vf x = vec_load(act + a * astride);
        VEC_UNROLL for (size_t r = 0; r < rows; r++)
            sum[a * rows + r] = vec_fma(v[r], x, sum[a * rows + r]);
    }
}

/* Asks for elements of the next tile, into the second cache. Such requests are dropped when there
 * are too many, so where one is all that half a line gets, the line before is asked for again: on
 * Zen 4 that makes 33 GB/s of 25. With more activations a tile takes long enough without. */
VEC_INLINE void dot_ask(enum vec_kind kind, size_t n, const unsigned char *row, size_t i)
{
    const unsigned char *at = vec_at(kind, row, i);
    __builtin_prefetch(at, 0, 2);
    if (VN == 16 && kind != VEC_F32 && n <= 2) __builtin_prefetch(at - 64, 0, 2);
}

/* The products of elements from .. to. */
VEC_INLINE void dot_slice(enum vec_kind kind, size_t rows, size_t n, size_t from, size_t to,
                          const unsigned char *w, size_t wstride, const unsigned char *act,
                          size_t astride, vf sum[DOT_SUMS])
{
    vf v[8];
    size_t i = from;
    for (; i + VN <= to; i += VN) {
        VEC_UNROLL for (size_t r = 0; r < rows; r++) {
            dot_ask(kind, n, w + (r + rows) * wstride, i);
            v[r] = vec_row(kind, w + r * wstride, i);
        }
        dot_step(rows, n, v, act + 4 * i, astride, sum);
    }
    if (i == to) return;
    VEC_UNROLL for (size_t r = 0; r < rows; r++) v[r] = vec_row_n(kind, w + r * wstride, i, to - i);
    VEC_UNROLL for (size_t a = 0; a < n; a++) {
        vf x = vec_load_n(act + a * astride + 4 * i, to - i);
        VEC_UNROLL for (size_t r = 0; r < rows; r++)
            sum[a * rows + r] = vec_fma(v[r], x, sum[a * rows + r]);
    }
}

/* The same for blocks of 32 with one step each, made a vector once a block. */
VEC_INLINE void dot_slice_q8_0(size_t rows, size_t n, size_t from, size_t to,
                               const unsigned char *w, size_t wstride, const unsigned char *act,
                               size_t astride, vf sum[DOT_SUMS])
{
    vf v[8], d[8];
    for (size_t i = from; i < to; i += 32) {
        const unsigned char *block = w + i / 32 * 34;
        VEC_UNROLL for (size_t r = 0; r < rows; r++) {
            __builtin_prefetch(block + (r + rows) * wstride, 0, 2);
            d[r] = vec_set_f16(block + r * wstride);
        }
        VEC_UNROLL for (size_t h = 0; h < 32; h += VN) {
            VEC_UNROLL for (size_t r = 0; r < rows; r++)
                v[r] = vec_mul(d[r], vec_from_i8(block + r * wstride + 2 + h));
            dot_step(rows, n, v, act + 4 * (i + h), astride, sum);
        }
    }
}

VEC_INLINE void dot_tile(enum vec_kind kind, size_t rows, size_t n, size_t k,
                         const unsigned char *w, size_t wstride, const unsigned char *act,
                         size_t astride, float *out, size_t ostride)
{
    float total[DOT_SUMS] = {0};
    size_t at = 0;
    do {
        size_t end = k - at < DOT_K ? k : at + DOT_K;
        vf sum[DOT_SUMS];
        VEC_UNROLL for (size_t t = 0; t < DOT_SUMS; t++) sum[t] = vec_zero();
        if (kind == VEC_Q8_0)
            dot_slice_q8_0(rows, n, at, end, w, wstride, act, astride, sum);
        else
            dot_slice(kind, rows, n, at, end, w, wstride, act, astride, sum);
        VEC_UNROLL for (size_t t = 0; t < rows * n; t += 4) {
            float four[4];
            vec_sum4(sum[t], sum[t + 1], sum[t + 2], sum[t + 3], four);
            for (size_t f = 0; f < 4; f++) total[t + f] += four[f];
        }
        at = end;
    } while (at < k);
    VEC_UNROLL for (size_t a = 0; a < n; a++)
        VEC_UNROLL for (size_t r = 0; r < rows; r++) out[a * ostride + r] = total[a * rows + r];
}

/* A chunk of rows with n activations, n a constant. */
VEC_INLINE void dot_rows(enum vec_kind kind, size_t n, size_t k, const unsigned char *w,
                         size_t wstride, size_t nrow, const unsigned char *act, size_t astride,
                         float *out, size_t ostride)
{
    const size_t step = DOT_ROWS(n);
    size_t r = 0;
    for (; r + step <= nrow; r += step)
        dot_tile(kind, step, n, k, w + r * wstride, wstride, act, astride, out + r, ostride);
    for (; r < nrow; r++)
        dot_tile(kind, 1, n, k, w + r * wstride, wstride, act, astride, out + r, ostride);
}

VEC_INLINE void dot_mul(enum vec_kind kind, size_t k, const void *weights, size_t wstride,
                        size_t nrow, const void *act, size_t astride, size_t nact, float *out,
                        size_t ostride)
{
    for (size_t at = 0; at < nrow; at += DOT_CHUNK) {
        const unsigned char *w = (const unsigned char *)weights + at * wstride;
        size_t m = nrow - at < DOT_CHUNK ? nrow - at : DOT_CHUNK;
        for (size_t a = 0, n; a < nact; a += n) {
            size_t passes = (nact - a + DOT_ACTS - 1) / DOT_ACTS;
            const unsigned char *x = (const unsigned char *)act + a * astride;
            float *y = out + a * ostride + at;
            n = (nact - a) / passes; /* evenly */
            switch (n) {
            case 1: dot_rows(kind, 1, k, w, wstride, m, x, astride, y, ostride); break;
            case 2: dot_rows(kind, 2, k, w, wstride, m, x, astride, y, ostride); break;
            case 3: dot_rows(kind, 3, k, w, wstride, m, x, astride, y, ostride); break;
            default: dot_rows(kind, 4, k, w, wstride, m, x, astride, y, ostride); break;
            }
        }
    }
}

#endif
