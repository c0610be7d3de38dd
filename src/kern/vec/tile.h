/* SPDX-License-Identifier: Apache-2.0
 *
 * kern/vec/tile.h: products of an F32 panel with many F32 rows, at the speed of the multipliers.
 *
 * A panel is a sequence of groups of TILE_ROWS weight rows, transposed: [group][k][TILE_ROWS]. A
 * tile takes one group and up to TILE_ACTS rows of A; its sums fill the registers:
 *
 *              TILE_ROWS (2 vectors)
 *            +-----------------------+
 *     A[a][i]|  sum[a][0]  sum[a][1] |   TILE_ACTS rows: one number of A, everywhere in a vector,
 *            +-----------------------+   times two vectors of the panel
 *
 * k is cut into slices of TILE_K: the rows of A are copied out of memory, where their strides are
 * often powers of two and fall into the same few cache sets, and the slices' sums are added one by
 * one, so that no float sum grows over all of a long k.
 */
#ifndef KERN_VEC_TILE_H
#define KERN_VEC_TILE_H

#include "kern/vec/vec.h"

#define TILE_ROWS (2 * VN)
#define TILE_K 256
#define TILE_LD (TILE_K + 16) /* stride of the copied rows */
#if VEC_REGISTERS < 32
#define TILE_ACTS 6
#elif defined(VEC_LANES)
#define TILE_ACTS 8
#else
#define TILE_ACTS 12
#endif

/* Rows of any kind into groups of the panel. A group's missing rows repeat the last one. */
VEC_INLINE void tile_pack(enum vec_kind kind, size_t k, const void *w, size_t wstride, size_t nrow,
                          float *panel)
{
    for (size_t at = 0; at < (nrow + TILE_ROWS - 1) / TILE_ROWS * TILE_ROWS; at += VN) {
        float *to = panel + at / TILE_ROWS * k * TILE_ROWS + at % TILE_ROWS;
        const unsigned char *row[VN];
        for (size_t r = 0; r < VN; r++) {
            size_t have = at + r < nrow ? at + r : nrow - 1;
            row[r] = (const unsigned char *)w + have * wstride;
        }
        vf v[VN];
        size_t i = 0;
        for (; i + VN <= k; i += VN) {
            VEC_UNROLL for (size_t r = 0; r < VN; r++) v[r] = vec_row(kind, row[r], i);
            vec_transpose(v);
            VEC_UNROLL for (size_t r = 0; r < VN; r++) vec_store(to + (i + r) * TILE_ROWS, v[r]);
        }
        if (i == k) continue;
        VEC_UNROLL for (size_t r = 0; r < VN; r++) v[r] = vec_row_n(kind, row[r], i, k - i);
        vec_transpose(v);
        VEC_UNROLL for (size_t r = 0; r < VN; r++)
            if (i + r < k) vec_store(to + (i + r) * TILE_ROWS, v[r]);
    }
}

#if defined(VEC_LANES)
/* VN steps of k with each activation's VN numbers in one register, taken lane by lane. */
#define TILE_STEP(lane)                                                             \
    do {                                                                            \
        vf p0 = vec_load(panel + (i + (lane)) * TILE_ROWS);                           \
        vf p1 = vec_load(panel + (i + (lane)) * TILE_ROWS + VN);                      \
        VEC_UNROLL for (size_t a = 0; a < n; a++) {                                 \
            sum[2 * a] = vec_fma_lane(p0, v[a], lane, sum[2 * a]);                  \
            sum[2 * a + 1] = vec_fma_lane(p1, v[a], lane, sum[2 * a + 1]);          \
        }                                                                           \
    } while (0)
#endif

/* sum[2a], sum[2a+1] += the products of x[a][0 .. k) with k rows of the panel. */
VEC_INLINE void tile_sums(size_t n, size_t k, const float *panel, const float *x,
                          vf sum[2 * TILE_ACTS])
{
    size_t i = 0;
#if defined(VEC_LANES)
    for (; i + VN <= k; i += VN) {
        vf v[TILE_ACTS];
        VEC_UNROLL for (size_t a = 0; a < n; a++) v[a] = vec_load(x + a * TILE_LD + i);
        TILE_STEP(0);
        TILE_STEP(1);
        TILE_STEP(2);
        TILE_STEP(3);
    }
#endif
    for (; i < k; i++) {
        vf p0 = vec_load(panel + i * TILE_ROWS), p1 = vec_load(panel + i * TILE_ROWS + VN);
        VEC_UNROLL for (size_t a = 0; a < n; a++) {
            vf v = vec_set(x[a * TILE_LD + i]);
            sum[2 * a] = vec_fma(v, p0, sum[2 * a]);
            sum[2 * a + 1] = vec_fma(v, p1, sum[2 * a + 1]);
        }
    }
}

/* One tile: out[a * ostride + r] (+)= ..., r < TILE_ROWS. */
VEC_INLINE void tile_one(size_t n, size_t k, const float *panel, const float *x, float *out,
                         size_t ostride, int add)
{
    vf sum[2 * TILE_ACTS];
    VEC_UNROLL for (size_t t = 0; t < 2 * n; t++) sum[t] = vec_zero();
    tile_sums(n, k, panel, x, sum);
    VEC_UNROLL for (size_t t = 0; t < 2 * n; t++) {
        float *y = out + t / 2 * ostride + t % 2 * VN;
        vec_store(y, add ? vec_add(vec_load(y), sum[t]) : sum[t]);
    }
}

static __attribute__((noinline)) void tile_any(size_t n, size_t k, const float *panel,
                                               const float *x, float *out, size_t ostride,
                                               int add)
{
#define TILE_CASE(c) \
    case c: tile_one(c, k, panel, x, out, ostride, add); break
    switch (n) {
        TILE_CASE(1);
        TILE_CASE(2);
        TILE_CASE(3);
        TILE_CASE(4);
        TILE_CASE(5);
        TILE_CASE(6);
#if TILE_ACTS >= 8
        TILE_CASE(7);
        TILE_CASE(8);
#endif
#if TILE_ACTS >= 12
        TILE_CASE(9);
        TILE_CASE(10);
        TILE_CASE(11);
        TILE_CASE(12);
#endif
    }
#undef TILE_CASE
}

/* The same where only `width` columns are there to be written. */
static void tile_part(size_t n, size_t k, const float *panel, const float *x, size_t width,
                      float *out, size_t ostride, int add)
{
    float part[TILE_ACTS * TILE_ROWS];
    tile_any(n, k, panel, x, part, TILE_ROWS, 0);
    for (size_t a = 0; a < n; a++)
        for (size_t r = 0; r < width; r++) {
            float *y = out + a * ostride + r, v = part[a * TILE_ROWS + r];
            *y = add ? *y + v : v;
        }
}

/* Up to TILE_K numbers of a row of A to where the tile wants them. */
static void tile_copy(size_t n, const unsigned char *from, float *to)
{
    size_t i = 0;
    for (; i + VN <= n; i += VN) vec_store(to + i, vec_load(from + 4 * i));
    if (i < n) vec_store(to + i, vec_load_n(from + 4 * i, n - i));
}

/* out[a * ostride + r] = sum over i < k of the panel's [r][i] * A[a][i], r < nrow. */
static void tile_mul(size_t k, const float *panel, size_t nrow, const void *act, size_t astride,
                     size_t nact, float *out, size_t ostride)
{
    float x[TILE_ACTS * TILE_LD];
    for (size_t a = 0; a < nact; a += TILE_ACTS) {
        size_t n = nact - a < TILE_ACTS ? nact - a : TILE_ACTS, at = 0;
        do {
            size_t slice = k - at < TILE_K ? k - at : TILE_K;
            for (size_t b = 0; b < n; b++)
                tile_copy(slice, (const unsigned char *)act + (a + b) * astride + 4 * at,
                          x + b * TILE_LD);
            for (size_t r = 0; r < nrow; r += TILE_ROWS) {
                const float *p = panel + r * k + at * TILE_ROWS;
                float *y = out + a * ostride + r;
                if (nrow - r >= TILE_ROWS)
                    tile_any(n, slice, p, x, y, ostride, at > 0);
                else
                    tile_part(n, slice, p, x, nrow - r, y, ostride, at > 0);
            }
            at += slice;
        } while (at < k);
    }
}

#endif
