/* SPDX-License-Identifier: Apache-2.0
 *
 * kern/x86/quant_mul_avx2.c: the product of rows with few activation rows, AVX2.
 *
 * vpmaddubsw multiplies unsigned by signed bytes and adds pairs with saturation, so its unsigned
 * side must stay small. Bytes of up to 6 bits are kept unsigned, with an offset that is taken
 * from the exact sums; types that need all 8 bits give their sign to the activations, and |q| *
 * 127 * 2 still fits.
 */
#include "kern/x86/quant_avx2.h"

struct acts {
    size_t d, c, p, s, stride; /* where the planes are; bytes from row to row */
    const uint8_t *row;
};

enum { N_MAX = 4 };

/* Sums of pairs of products. */
INLINE __m256i pairs(__m256i q, __m256i x, int is_signed)
{
    return is_signed ? _mm256_maddubs_epi16(_mm256_abs_epi8(q), _mm256_sign_epi8(x, q))
                     : _mm256_maddubs_epi16(q, x);
}

/* out[i] for i < n: the lanes' sums, less those of low. */
INLINE void finish(const __m256 *acc, int N, float *out, size_t ostride)
{
    float sum[4];
    const __m256 zero = _mm256_setzero_ps();
    _mm_storeu_ps(
        sum, sum4_ps(acc[0], N > 1 ? acc[1] : zero, N > 2 ? acc[2] : zero, N > 3 ? acc[3] : zero));
    for (int n = 0; n < N; n++) out[(size_t)n * ostride] = sum[n];
}

/* ---- blocks of 32 ---- */

/* What a type's bytes are: unsigned with an offset of 0 (and a min), 8 or 16; or signed. */
enum bytes_are { PLAIN, OFFSET_8, OFFSET_16, SIGNED };

INLINE void step32(const struct quad *w, enum bytes_are are, int has_min, int N, struct acts a,
                   size_t g, __m256 *acc, __m128 *low)
{
    const __m256i ones = _mm256_set1_epi16(1);
    UNROLL
    for (int n = 0; n < N; n++) {
        const uint8_t *row = a.row + (size_t)n * a.stride, *x = row + 128 * g;
        __m256i t0 = pairs(w->lo0, load32(x), are == SIGNED);
        __m256i t1 = pairs(w->lo1, load32(x + 32), are == SIGNED);
        __m256i t2 = pairs(w->hi0, load32(x + 64), are == SIGNED);
        __m256i t3 = pairs(w->hi1, load32(x + 96), are == SIGNED);
        __m256i s;
        if (are == SIGNED) { /* no room in 16 bits for another */
            s = _mm256_add_epi32(
                _mm256_add_epi32(_mm256_madd_epi16(t0, ones), _mm256_madd_epi16(t1, ones)),
                _mm256_add_epi32(_mm256_madd_epi16(t2, ones), _mm256_madd_epi16(t3, ones)));
        } else {
            t0 = _mm256_add_epi16(_mm256_add_epi16(t0, t1), _mm256_add_epi16(t2, t3));
            s = _mm256_madd_epi16(t0, ones);
        }
        if (are == OFFSET_8 || are == OFFSET_16) {
            const uint8_t *p = row + a.p + 64 * g;
            __m256i from = _mm256_add_epi32(load32(p), load32(p + 32));
            s = _mm256_add_epi32(s, _mm256_srai_epi32(from, are == OFFSET_8 ? 4 : 3));
        }
        __m128 d = _mm_load_ps((const float *)(const void *)(row + a.d + 16 * g));
        __m128 wd = _mm_mul_ps(w->d, d);
        acc[n] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(s), _mm256_set_m128(wd, wd), acc[n]);
        if (has_min) {
            __m128 c = _mm_cvtepi32_ps(load16(row + a.c + 16 * g));
            low[n] = _mm_fmadd_ps(w->m, _mm_mul_ps(d, c), low[n]);
        }
    }
}

enum { BLOCK_MAX = 34 };

INLINE void mul32(quad_fn *quad, size_t bytes, enum bytes_are are, int has_min, int N, size_t k,
                  const uint8_t *w, size_t wstride, size_t nrow, struct acts a, float *out,
                  size_t ostride)
{
    size_t blocks = k / 32;
    for (size_t r = 0; r < nrow; r++, w += wstride) {
        __m256 acc[N_MAX];
        __m128 low[N_MAX];
        size_t g = 0;
        UNROLL
        for (int n = 0; n < N_MAX; n++) acc[n] = _mm256_setzero_ps(), low[n] = _mm_setzero_ps();
        for (; g < blocks / 4; g++) {
            struct quad q = quad(w + 4 * bytes * g);
            prefetch_lines(w + 4 * bytes * g + PREFETCH_AHEAD, 4 * bytes);
            step32(&q, are, has_min, N, a, g, acc, low);
        }
        if (blocks % 4) { /* the missing blocks are zero, their scales too */
            uint8_t last[4 * BLOCK_MAX] = {0};
            memcpy(last, w + 4 * bytes * g, bytes * (blocks % 4));
            struct quad q = quad(last);
            step32(&q, are, has_min, N, a, g, acc, low);
        }
        UNROLL
        for (int n = 0; n < N; n++) /* c was -128 times the sum */
            if (has_min)
                acc[n] = _mm256_fnmadd_ps(_mm256_zextps128_ps256(low[n]), _mm256_set1_ps(0x1p-7f),
                                          acc[n]);
        finish(acc, N, out + r, ostride);
    }
}

/* ---- blocks of 256 ---- */

/* The four groups of a half whose number of 32 begins at 4 h. */
INLINE __m256i dot_half(const struct half *w, __m256i scale, int offset, int is_signed, int h,
                        const uint8_t *x, __m256i sum)
{
    const __m256i off = _mm256_set1_epi8((char)offset), two = _mm256_set1_epi16(0x0100);
#define PART(q, at, g)                                                                        \
    do {                                                                                      \
        __m256i v = load32(x + (at)), t = pairs(w->q, v, is_signed);                          \
        if (offset) t = _mm256_sub_epi16(t, _mm256_maddubs_epi16(off, v));                    \
        __m256i which = _mm256_add_epi8(_mm256_set1_epi8(2 * ((g) + 4 * h)), two);            \
        sum = _mm256_add_epi32(sum, _mm256_madd_epi16(t, _mm256_shuffle_epi8(scale, which))); \
    } while (0)
    PART(q0, 0, 0);
    PART(q2, 32, 2);
    PART(q1, 64, 1);
    PART(q3, 96, 3);
#undef PART
    return sum;
}

INLINE void mul_k(half_fn *half, head_fn *head, quant_small_fn *small, size_t bytes, int offset,
                  int is_signed, int has_min, int N, size_t k, const uint8_t *w, size_t wstride,
                  size_t nrow, struct acts a, float *out, size_t ostride)
{
    for (size_t r = 0; r < nrow; r++, w += wstride) {
        __m256 acc[N_MAX];
        UNROLL
        for (int n = 0; n < N_MAX; n++) acc[n] = _mm256_setzero_ps();
        for (size_t b = 0; b < k / 256; b++) {
            const uint8_t *p = w + bytes * b;
            struct quant_small t;
            prefetch_lines(p + PREFETCH_AHEAD, bytes);
            if (small) {
                small(p, &t);
                p = (const uint8_t *)&t;
            }
            struct head o = head(p);
            struct half h0 = half(p, 0), h1 = half(p, 1);
            __m256i scale = _mm256_cvtepi8_epi16(o.scale);
            UNROLL
            for (int n = 0; n < N; n++) {
                const uint8_t *row = a.row + (size_t)n * a.stride, *x = row + 256 * b;
                float ad;
                memcpy(&ad, row + a.d + 4 * b, 4);
                __m256i sum = dot_half(&h0, scale, offset, is_signed, 0, x, _mm256_setzero_si256());
                sum = dot_half(&h1, scale, offset, is_signed, 1, x + 128, sum);
                __m128 d = _mm_mul_ps(o.d, _mm_set1_ps(ad));
                acc[n] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(sum), _mm256_broadcastss_ps(d), acc[n]);
                if (has_min) {
                    __m256i m = _mm256_madd_epi16(o.min, load32(row + a.s + 32 * b));
                    __m256 dmin = _mm256_broadcastss_ps(_mm_movehdup_ps(d));
                    acc[n] = _mm256_fnmadd_ps(_mm256_cvtepi32_ps(m), dmin, acc[n]);
                }
            }
        }
        finish(acc, N, out + r, ostride);
    }
}

#define BY_COUNT(call, ...)                                                     \
    for (size_t n; nact; nact -= n, a.row += n * astride, out += n * ostride) { \
        n = nact < 4 ? nact : nact == 5 || nact == 6 ? 3 : 4;                   \
        if (n == 1) call(__VA_ARGS__, 1, k, w, wstride, nrow, a, out, ostride); \
        if (n == 2) call(__VA_ARGS__, 2, k, w, wstride, nrow, a, out, ostride); \
        if (n == 3) call(__VA_ARGS__, 3, k, w, wstride, nrow, a, out, ostride); \
        if (n == 4) call(__VA_ARGS__, 4, k, w, wstride, nrow, a, out, ostride); \
    }

#define MUL32(name, bytes, are, has_min)                                                          \
    void mul_##name##_avx2(size_t k, const void *w, size_t wstride, size_t nrow, const void *act, \
                           size_t astride, size_t nact, float *out, size_t ostride)               \
    {                                                                                             \
        struct acts a = {.d = act_scale_at(ACT_Q8_32, k),                                         \
                         .c = act_sum_at(ACT_Q8_32, k),                                           \
                         .p = act_part_at(k),                                                     \
                         .stride = astride,                                                       \
                         .row = act};                                                             \
        BY_COUNT(mul32, quad_##name, bytes, are, has_min)                                         \
    }
MUL32(q4_0, 18, OFFSET_8, 0)
MUL32(q4_1, 20, PLAIN, 1)
MUL32(q5_0, 22, OFFSET_16, 0)
MUL32(q5_1, 24, PLAIN, 1)
MUL32(q8_0, 34, SIGNED, 0)
MUL32(iq4_nl, 18, SIGNED, 0)
MUL32(mxfp4, 17, SIGNED, 0)

#define MUL_K(name, bytes, offset, is_signed, has_min)                                            \
    void mul_##name##_avx2(size_t k, const void *w, size_t wstride, size_t nrow, const void *act, \
                           size_t astride, size_t nact, float *out, size_t ostride)               \
    {                                                                                             \
        struct acts a = {.d = act_scale_at(ACT_Q8_256, k),                                        \
                         .s = act_sum_at(ACT_Q8_256, k),                                          \
                         .stride = astride,                                                       \
                         .row = act};                                                             \
        BY_COUNT(mul_k, half_##name, head_##name, NULL, bytes, offset, is_signed, has_min)        \
    }
MUL_K(q2_k, 84, 0, 0, 1)
MUL_K(q3_k, 110, 4, 0, 0)
MUL_K(q4_k, 144, 0, 0, 1)
MUL_K(q5_k, 176, 0, 0, 1)
MUL_K(q6_k, 210, 32, 0, 0)
MUL_K(iq4_xs, 136, 0, 1, 0)

/* The types that are unpacked to memory first share their code. */
static void mul_small(quant_small_fn *small, size_t bytes, size_t k, const uint8_t *w,
                      size_t wstride, size_t nrow, const uint8_t *act, size_t astride, size_t nact,
                      float *out, size_t ostride)
{
    struct acts a = {.d = act_scale_at(ACT_Q8_256, k), .stride = astride, .row = act};
    BY_COUNT(mul_k, half_small, head_small, small, bytes, 0, 1, 0)
}
#define MUL_SMALL(name, bytes)                                                                    \
    void mul_##name##_avx2(size_t k, const void *w, size_t wstride, size_t nrow, const void *act, \
                           size_t astride, size_t nact, float *out, size_t ostride)               \
    {                                                                                             \
        mul_small(quant_small_##name, bytes, k, w, wstride, nrow, act, astride, nact, out,        \
                  ostride);                                                                       \
    }
QUANT_SMALL_MAP(MUL_SMALL)
