/* SPDX-License-Identifier: Apache-2.0
 *
 * kern/x86/quant_mul32_avx512.c: the product of rows in blocks of 32 with few activation rows.
 *
 * Four blocks are a step (quant_quad_avx512.h): about a dozen instructions for 128 products.
 * Weights are unsigned, q + offset; the integer sums start at -offset * (sum of activations),
 * lane by lane as the activations bring them along, so that they are exact before they become
 * floats.
 *
 * Rows are taken two or four at a time, so that they share the loads of activations. But the
 * memory system wants one stream: its own prefetcher follows nothing else, and without it a core
 * has some 24 lines under way, half of what the bandwidth needs. So lines are asked for in the
 * order of memory, one or two groups of rows ahead of the one in work (Q4_0 from memory: 29 GB/s
 * so, 11 without).
 */
#include "kern/x86/quant_panel_avx512.h"
#include "kern/x86/quant_quad_avx512.h"

/* How the integer sums start: the plane p is for an offset of 128; that for 8 is p >> 4. */
enum start { START_0, START_8, START_16, START_128 };

struct acts {
    size_t d, c, p, stride; /* where the planes are; bytes from row to row */
    const uint8_t *row;
};

/* One step for R weight rows and N activation rows. */
INLINE void step(const __m512i *lo, const __m512i *hi, const __m512 *wd, const __m128 *wm, int R,
                 int N, enum start start, int has_min, struct acts a, size_t g, __m512 *acc,
                 __m128 *low)
{
    UNROLL
    for (int n = 0; n < N; n++) {
        const uint8_t *row = a.row + (size_t)n * a.stride;
        __m512i x0 = _mm512_load_si512(row + 128 * g), x1 = _mm512_load_si512(row + 128 * g + 64);
        __m128i c = _mm_load_si128((const __m128i *)(const void *)(row + a.c + 16 * g));
        __m128 d4 = _mm_load_ps((const float *)(const void *)(row + a.d + 16 * g));
        __m512 d = _mm512_broadcast_f32x4(d4);
        __m512i from = _mm512_setzero_si512();
        if (start != START_0) from = _mm512_load_si512(row + a.p + 64 * g);
        if (start == START_8) from = _mm512_srai_epi32(from, 4);
        if (start == START_16) from = _mm512_srai_epi32(from, 3);
        HOLD(from);
        HOLD(x0);
        HOLD(x1);
        __m128 sum = has_min ? _mm_mul_ps(d4, _mm_cvtepi32_ps(c)) : d4;
        UNROLL
        for (int r = 0; r < R; r++) {
            __m512i s = _mm512_dpbusd_epi32(from, lo[r], x0);
            s = _mm512_dpbusd_epi32(s, hi[r], x1);
            acc[n * R + r] =
                _mm512_fmadd_ps(_mm512_cvtepi32_ps(s), _mm512_mul_ps(wd[r], d), acc[n * R + r]);
            if (has_min) low[n * R + r] = _mm_fmadd_ps(wm[r], sum, low[n * R + r]);
        }
    }
}

enum { BLOCK_MAX = 34, R_MAX = 4, N_MAX = 4 };

/* R rows at w times N activation rows. */
INLINE void rows(quad_fn *quad, size_t bytes, enum start start, int has_min, int R, int N, size_t k,
                 const uint8_t *w, size_t wstride, struct acts a, __m512 *acc, __m128 *low)
{
    size_t blocks = k / 32, g = 0;
    __m512i lo[R_MAX], hi[R_MAX];
    __m512 d[R_MAX];
    __m128 m[R_MAX];
#define UNPACK(r, p)             \
    do {                         \
        struct quad q = quad(p); \
        lo[r] = q.lo;            \
        hi[r] = q.hi;            \
        d[r] = q.d;              \
        m[r] = q.m;              \
    } while (0)
    UNROLL
    for (int i = 0; i < R * N; i++) acc[i] = _mm512_setzero_ps();
    UNROLL
    for (int i = 0; i < R * N; i++) low[i] = _mm_setzero_ps();
    for (; g < blocks / 4; g++) {
        UNPACK(0, w + 4 * bytes * g);
        if (R > 1) UNPACK(1, w + wstride + 4 * bytes * g);
        if (R > 2) UNPACK(2, w + 2 * wstride + 4 * bytes * g);
        if (R > 2) UNPACK(3, w + 3 * wstride + 4 * bytes * g);
        prefetch_lines(w + (size_t)R * wstride * 3 / 2 + 4 * (size_t)R * bytes * g,
                       4 * (size_t)R * bytes);
        step(lo, hi, d, m, R, N, start, has_min, a, g, acc, low);
    }
    if (blocks % 4) { /* the missing blocks are zero, their scales too */
        for (int r = 0; r < R; r++) {
            uint8_t last[4 * BLOCK_MAX] = {0};
            memcpy(last, w + (size_t)r * wstride + 4 * bytes * g, bytes * (blocks % 4));
            UNPACK(r, last);
        }
        step(lo, hi, d, m, R, N, start, has_min, a, g, acc, low);
    }
#undef UNPACK
}

/* The sums over the lanes of R * N accumulators go to out: row i % R of activation i / R. */
INLINE void finish(const __m512 *acc, const __m128 *low, int R, int N, int has_min, float *out,
                   size_t ostride)
{
    float sum[2 * N_MAX + 3];
    UNROLL
    for (int i = 0; i < R * N; i += 4) {
        const __m512 zero = _mm512_setzero_ps();
        __m128 s = sum4_ps(acc[i], i + 1 < R * N ? acc[i + 1] : zero,
                           i + 2 < R * N ? acc[i + 2] : zero, i + 3 < R * N ? acc[i + 3] : zero);
        if (has_min) { /* c was 128 times the sum */
            __m128 m[4];
            for (int j = 0; j < 4; j++) m[j] = i + j < R * N ? low[i + j] : _mm_setzero_ps();
            _MM_TRANSPOSE4_PS(m[0], m[1], m[2], m[3]);
            __m128 t = _mm_add_ps(_mm_add_ps(m[0], m[1]), _mm_add_ps(m[2], m[3]));
            s = _mm_fnmadd_ps(t, _mm_set1_ps(0x1p-7f), s);
        }
        _mm_storeu_ps(sum + i, s);
    }
    for (int i = 0; i < R * N; i++) out[(size_t)(i / R) * ostride + (size_t)(i % R)] = sum[i];
}

/* N activation rows: weight rows in groups of R, then what is left one by one. */
INLINE void mul_n(quad_fn *quad, size_t bytes, enum start start, int has_min, int R, int N,
                  size_t k, const uint8_t *w, size_t wstride, size_t nrow, struct acts a,
                  float *out, size_t ostride)
{
    __m512 acc[2 * N_MAX];
    __m128 low[2 * N_MAX];
    size_t r = 0;
    for (; r + (size_t)R <= nrow; r += (size_t)R) {
        rows(quad, bytes, start, has_min, R, N, k, w + r * wstride, wstride, a, acc, low);
        finish(acc, low, R, N, has_min, out + r, ostride);
    }
    for (; r < nrow; r++) {
        rows(quad, bytes, start, has_min, 1, N, k, w + r * wstride, wstride, a, acc, low);
        finish(acc, low, 1, N, has_min, out + r, ostride);
    }
}

/* From so many activation rows on weights go through a panel. */
enum { FEW_FROM = 6 };

/* R1: how many rows at a time for one activation row, as measured. */
#define MUL(name, bytes, start, has_min, R1)                                                       \
    void mul_##name##_avx512(size_t k, const void *w, size_t wstride, size_t nrow,                 \
                             const void *act, size_t astride, size_t nact, float *out,             \
                             size_t ostride)                                                       \
    {                                                                                              \
        if (nact >= FEW_FROM) {                                                                    \
            (has_min ? few_32_min_avx512 : few_32_avx512)(slice_##name##_avx512, k, w, wstride,    \
                                                          nrow, act, astride, nact, out, ostride); \
            return;                                                                                \
        }                                                                                          \
        struct acts a = {act_scale_at(ACT_Q8_32, k), act_sum_at(ACT_Q8_32, k), act_part_at(k),     \
                         astride, act};                                                            \
        for (size_t n; nact; nact -= n, a.row += n * astride, out += n * ostride) {                \
            n = nact < FEW_FROM - 1 ? nact : 3;                                                    \
            if (n == 1) mul_n(CASE(name, bytes, start, has_min, R1, 1));                           \
            if (n == 2) mul_n(CASE(name, bytes, start, has_min, 2, 2));                            \
            if (n == 3) mul_n(CASE(name, bytes, start, has_min, 2, 3));                            \
            if (n == 4) mul_n(CASE(name, bytes, start, has_min, 2, 4));                            \
        }                                                                                          \
    }
#define CASE(name, bytes, start, has_min, R, N) \
    quad_##name, bytes, start, has_min, R, N, k, w, wstride, nrow, a, out, ostride
MUL(q4_0, 18, START_8, 0, 4)
MUL(q4_1, 20, START_0, 1, 4)
MUL(q5_0, 22, START_16, 0, 4)
MUL(q5_1, 24, START_0, 1, 4)
MUL(q8_0, 34, START_128, 0, 2)
MUL(iq4_nl, 18, START_128, 0, 4)
MUL(mxfp4, 17, START_128, 0, 4)
