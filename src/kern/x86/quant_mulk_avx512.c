/* SPDX-License-Identifier: Apache-2.0
 *
 * kern/x86/quant_mulk_avx512.c: the product of rows in blocks of 256 with few activation rows.
 *
 * Inside a block everything is integer: bytes times bytes to sums of pairs in 16 bits (at most 2
 * * 63 * 127: no saturation), pairs times the block's small scales to 32 bits. So a block costs
 * two instructions for 64 products, one conversion to float, and one more product for the mins.
 * An offset is taken from the sums of pairs, lane by lane, so that they are exact before they
 * are scaled.
 *
 * One row at a time: memory is read as one stream, and the loads of activations are not what
 * these types run out of.
 */
#include "kern/x86/quant_super_avx512.h"

struct acts {
    size_t d, s, stride; /* where the planes are; bytes from row to row */
    const uint8_t *row;
};

enum { N_MAX = 4 };

/* How the four registers of a block meet those of the activations. */
enum how { SCALE_WORDS, SCALE_FLOATS };

INLINE __m512 dot_words(const struct super *w, int offset, const uint8_t *x)
{
    __m512i sum = _mm512_setzero_si512();
    const __m512i off = _mm512_set1_epi8((char)offset);
#define PART(i)                                                            \
    do {                                                                   \
        __m512i a = _mm512_load_si512(x + 64 * (i));                       \
        __m512i t = _mm512_maddubs_epi16(w->q##i, a);                      \
        if (offset) t = _mm512_sub_epi16(t, _mm512_maddubs_epi16(off, a)); \
        sum = _mm512_dpwssd_epi32(sum, t, w->s##i);                        \
    } while (0)
    PART(0);
    PART(1);
    PART(2);
    PART(3);
#undef PART
    return _mm512_cvtepi32_ps(sum);
}

/* Sums of 4 products times 6-bit scales: below 2^24, so floats hold them exactly. */
INLINE __m512 dot_floats(const struct super *w, const uint8_t *x)
{
    __m512 sum = _mm512_setzero_ps();
    const __m512i zero = _mm512_setzero_si512(), off = _mm512_set1_epi8(-128);
#define PART(i)                                                                          \
    do {                                                                                 \
        __m512i a = _mm512_load_si512(x + 64 * (i));                                     \
        __m512i t = _mm512_dpbusd_epi32(zero, w->q##i, a);                               \
        t = _mm512_sub_epi32(t, _mm512_dpbusd_epi32(zero, off, a));                      \
        sum = _mm512_fmadd_ps(_mm512_cvtepi32_ps(t), _mm512_castsi512_ps(w->s##i), sum); \
    } while (0)
    PART(0);
    PART(1);
    PART(2);
    PART(3);
#undef PART
    return sum;
}

INLINE void row(super_fn *super, size_t bytes, enum how how, int offset, int has_min, int N,
                size_t k, const uint8_t *w, struct acts a, __m512 *acc, __m256 *low)
{
    UNROLL
    for (int n = 0; n < N; n++) acc[n] = _mm512_setzero_ps();
    UNROLL
    for (int n = 0; n < N; n++) low[n] = _mm256_setzero_ps();
    for (size_t b = 0; b < k / 256; b++, w += bytes) {
        struct super q = super(w);
        prefetch_lines(w + PREFETCH_AHEAD, bytes);
        UNROLL
        for (int n = 0; n < N; n++) {
            const uint8_t *x = a.row + (size_t)n * a.stride;
            float ad;
            memcpy(&ad, x + a.d + 4 * b, 4);
            __m128 d = _mm_mul_ps(q.d, _mm_set1_ps(ad));
            __m512 sum = how == SCALE_WORDS ? dot_words(&q, offset, x + 256 * b)
                                            : dot_floats(&q, x + 256 * b);
            acc[n] = _mm512_fmadd_ps(sum, _mm512_broadcastss_ps(d), acc[n]);
            if (has_min) {
                __m256i s = _mm256_load_si256((const __m256i *)(const void *)(x + a.s + 32 * b));
                __m256 min = _mm256_cvtepi32_ps(_mm256_madd_epi16(q.m, s));
                low[n] = _mm256_fmadd_ps(min, _mm256_broadcastss_ps(_mm_movehdup_ps(d)), low[n]);
            }
        }
    }
}

INLINE void mul_n(super_fn *super, size_t bytes, enum how how, int offset, int has_min, int N,
                  size_t k, const uint8_t *w, size_t wstride, size_t nrow, struct acts a,
                  float *out, size_t ostride)
{
    __m512 acc[N_MAX];
    __m256 low[N_MAX];
    for (size_t r = 0; r < nrow; r++) {
        float sum[4];
        row(super, bytes, how, offset, has_min, N, k, w + r * wstride, a, acc, low);
        UNROLL
        for (int n = 0; has_min && n < N; n++)
            acc[n] = _mm512_sub_ps(acc[n], _mm512_zextps256_ps512(low[n]));
        __m512 zero = _mm512_setzero_ps();
        _mm_storeu_ps(sum, sum4_ps(acc[0], N > 1 ? acc[1] : zero, N > 2 ? acc[2] : zero,
                                   N > 3 ? acc[3] : zero));
        for (int n = 0; n < N; n++) out[(size_t)n * ostride + r] = sum[n];
    }
}

#define MUL(name, bytes, how, offset, has_min)                                                  \
    void mul_##name##_avx512(size_t k, const void *w, size_t wstride, size_t nrow,              \
                             const void *act, size_t astride, size_t nact, float *out,          \
                             size_t ostride)                                                    \
    {                                                                                           \
        struct acts a = {act_scale_at(ACT_Q8_256, k), act_sum_at(ACT_Q8_256, k), astride, act}; \
        for (size_t n; nact; nact -= n, a.row += n * astride, out += n * ostride) {             \
            n = nact < 4 ? nact : nact == 5 || nact == 6 ? 3 : 4;                               \
            if (n == 1) mul_n(CASE(name, bytes, how, offset, has_min, 1));                      \
            if (n == 2) mul_n(CASE(name, bytes, how, offset, has_min, 2));                      \
            if (n == 3) mul_n(CASE(name, bytes, how, offset, has_min, 3));                      \
            if (n == 4) mul_n(CASE(name, bytes, how, offset, has_min, 4));                      \
        }                                                                                       \
    }
#define CASE(name, bytes, how, offset, has_min, N) \
    super_##name, bytes, how, offset, has_min, N, k, w, wstride, nrow, a, out, ostride
MUL(q2_k, 84, SCALE_WORDS, 0, 1)
MUL(q3_k, 110, SCALE_WORDS, 4, 0)
MUL(q4_k, 144, SCALE_WORDS, 0, 1)
MUL(q5_k, 176, SCALE_WORDS, 0, 1)
MUL(q6_k, 210, SCALE_WORDS, 32, 0)
MUL(iq4_xs, 136, SCALE_FLOATS, 128, 0)
