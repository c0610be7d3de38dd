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
 * One activation row: two weight rows at a time, which share its loads; several: one weight row,
 * for registers. Memory is asked for in its order, as in quant_mul32_avx512.c.
 */
#include "kern/x86/quant_entry_avx512.h"
#include "kern/x86/quant_panel_avx512.h"

struct acts {
    size_t d, s, stride; /* where the planes are; bytes from row to row */
    const uint8_t *row;
};

/* From so many activation rows on weights go through a panel. */
enum { FEW_FROM = 4 };
enum { R_MAX = 2, N_MAX = FEW_FROM - 1 };

/* How the four registers of a block meet those of the activations. */
enum how { SCALE_WORDS, SCALE_FLOATS };

/* The integer sums of a block of one or two (R) rows. */
INLINE void dot_words(const struct super *w, const struct super *v, int R, int offset,
                      const uint8_t *x, __m512 *ws, __m512 *vs)
{
    __m512i sum = _mm512_setzero_si512(), sum2 = sum;
    const __m512i off = _mm512_set1_epi8((char)offset);
#define PART(i)                                                                        \
    do {                                                                               \
        __m512i a = _mm512_load_si512(x + 64 * (i)), o = _mm512_maddubs_epi16(off, a); \
        if (R > 1) HOLD(a);                                                            \
        __m512i t = _mm512_maddubs_epi16(w->q##i, a);                                  \
        if (offset) t = _mm512_sub_epi16(t, o);                                        \
        sum = _mm512_dpwssd_epi32(sum, t, w->s##i);                                    \
        if (R > 1) {                                                                   \
            t = _mm512_maddubs_epi16(v->q##i, a);                                      \
            if (offset) t = _mm512_sub_epi16(t, o);                                    \
            sum2 = _mm512_dpwssd_epi32(sum2, t, v->s##i);                              \
        }                                                                              \
    } while (0)
    PART(0);
    PART(1);
    PART(2);
    PART(3);
#undef PART
    *ws = _mm512_cvtepi32_ps(sum);
    if (R > 1) *vs = _mm512_cvtepi32_ps(sum2);
}

/* Sums of 4 products times 6-bit scales: below 2^24, so floats hold them exactly. */
INLINE void dot_floats(const struct super *w, const struct super *v, int R, const uint8_t *x,
                       __m512 *ws, __m512 *vs)
{
    __m512 sum = _mm512_setzero_ps(), sum2 = sum;
    const __m512i zero = _mm512_setzero_si512(), off = _mm512_set1_epi8(-128);
#define PART(i)                                                                \
    do {                                                                       \
        __m512i a = _mm512_load_si512(x + 64 * (i));                           \
        __m512i o = _mm512_sub_epi32(zero, _mm512_dpbusd_epi32(zero, off, a)); \
        __m512 t = _mm512_cvtepi32_ps(_mm512_dpbusd_epi32(o, w->q##i, a));     \
        sum = _mm512_fmadd_ps(t, _mm512_castsi512_ps(w->s##i), sum);           \
        if (R > 1) {                                                           \
            t = _mm512_cvtepi32_ps(_mm512_dpbusd_epi32(o, v->q##i, a));        \
            sum2 = _mm512_fmadd_ps(t, _mm512_castsi512_ps(v->s##i), sum2);     \
        }                                                                      \
    } while (0)
    PART(0);
    PART(1);
    PART(2);
    PART(3);
#undef PART
    *ws = sum;
    if (R > 1) *vs = sum2;
}

INLINE void add_block(const struct super *w, int has_min, __m512 sum, float ad, const uint8_t *s,
                      __m512 *acc, __m256 *low)
{
    __m128 d = _mm_mul_ps(w->d, _mm_set1_ps(ad));
    *acc = _mm512_fmadd_ps(sum, _mm512_broadcastss_ps(d), *acc);
    if (!has_min) return;
    __m256i sums = _mm256_load_si256((const __m256i *)(const void *)s);
    __m256 min = _mm256_cvtepi32_ps(_mm256_madd_epi16(w->m, sums));
    *low = _mm256_fmadd_ps(min, _mm256_broadcastss_ps(_mm_movehdup_ps(d)), *low);
}

/* Accumulators: acc[R * n + r]. */
INLINE void rows(super_fn *super, size_t bytes, enum how how, int offset, int has_min, int R, int N,
                 size_t k, const uint8_t *w, size_t wstride, struct acts a, __m512 *acc,
                 __m256 *low)
{
    const uint8_t *ahead = R > 1 ? w + wstride * 3 : w + PREFETCH_AHEAD;
    UNROLL
    for (int i = 0; i < R * N; i++) acc[i] = _mm512_setzero_ps();
    UNROLL
    for (int i = 0; i < R * N; i++) low[i] = _mm256_setzero_ps();
    for (size_t b = 0; b < k / 256; b++) {
        const uint8_t *p = w + bytes * b, *p2 = w + wstride + bytes * b;
        struct super q = super(p), q2;
        if (R > 1) q2 = super(p2);
        prefetch_lines(ahead, (size_t)R * bytes);
        ahead += (size_t)R * bytes;
        UNROLL
        for (int n = 0; n < N; n++) {
            const uint8_t *x = a.row + (size_t)n * a.stride;
            __m512 s, s2;
            float ad;
            memcpy(&ad, x + a.d + 4 * b, 4);
            if (how == SCALE_WORDS)
                dot_words(&q, &q2, R, offset, x + 256 * b, &s, &s2);
            else
                dot_floats(&q, &q2, R, x + 256 * b, &s, &s2);
            add_block(&q, has_min, s, ad, x + a.s + 32 * b, &acc[R * n], &low[R * n]);
            if (R > 1)
                add_block(&q2, has_min, s2, ad, x + a.s + 32 * b, &acc[R * n + 1], &low[R * n + 1]);
        }
    }
}

INLINE void mul_n(super_fn *super, size_t bytes, enum how how, int offset, int has_min, int R,
                  int N, size_t k, const uint8_t *w, size_t wstride, size_t nrow, struct acts a,
                  float *out, size_t ostride)
{
    __m512 acc[R_MAX * N_MAX] = {0};
    __m256 low[R_MAX * N_MAX] = {0};
    for (size_t r = 0, m; r < nrow; r += m) {
        float sum[R_MAX * N_MAX];
        m = R > 1 && nrow - r > 1 ? 2 : 1;
        if (m == 2)
            rows(super, bytes, how, offset, has_min, R, N, k, w + r * wstride, wstride, a, acc,
                 low);
        else
            rows(super, bytes, how, offset, has_min, 1, N, k, w + r * wstride, wstride, a, acc,
                 low);
        if (has_min) {
            UNROLL
            for (int i = 0; i < R * N; i++)
                acc[i] = _mm512_sub_ps(acc[i], _mm512_zextps256_ps512(low[i]));
        }
        UNROLL
        for (int i = 0; i < R * N; i += 4)
            _mm_storeu_ps(sum + i, sum4_ps(acc[i], acc[i + 1], acc[i + 2], acc[i + 3]));
        for (size_t n = 0; n < (size_t)N; n++)
            for (size_t i = 0; i < m; i++) out[n * ostride + r + i] = sum[m * n + i];
    }
}

INLINE void mul_k(super_fn *super, size_t bytes, enum how how, int offset, int has_min, size_t k,
                  const uint8_t *w, size_t wstride, size_t nrow, const uint8_t *act, size_t astride,
                  size_t nact, float *out, size_t ostride)
{
    struct acts a = {act_scale_at(ACT_Q8_256, k), act_sum_at(ACT_Q8_256, k), astride, act};
#define CALL(R, N) \
    mul_n(super, bytes, how, offset, has_min, R, N, k, w, wstride, nrow, a, out, ostride)
    if (nact == 1) CALL(2, 1);
    if (nact == 2) CALL(1, 2);
    if (nact == 3) CALL(1, 3);
#undef CALL
}

#define MUL(name, bytes, how, offset, has_min, few)                                               \
    void mul_##name##_avx512(size_t k, const void *w, size_t wstride, size_t nrow,                \
                             const void *act, size_t astride, size_t nact, float *out,            \
                             size_t ostride)                                                      \
    {                                                                                             \
        if (nact >= FEW_FROM) {                                                                   \
            few(slice_##name##_avx512, k, w, wstride, nrow, act, astride, nact, out, ostride);    \
            return;                                                                               \
        }                                                                                         \
        mul_k(super_##name, bytes, how, offset, has_min, k, w, wstride, nrow, act, astride, nact, \
              out, ostride);                                                                      \
    }
MUL(q2_k, 84, SCALE_WORDS, 0, 1, few_k16_min_avx512)
MUL(q3_k, 110, SCALE_WORDS, 4, 0, few_k16_avx512)
MUL(q4_k, 144, SCALE_WORDS, 0, 1, few_k32_min_avx512)
MUL(q5_k, 176, SCALE_WORDS, 0, 1, few_k32_min_avx512)
MUL(q6_k, 210, SCALE_WORDS, 32, 0, few_k16_avx512)
MUL(iq4_xs, 136, SCALE_FLOATS, 128, 0, few_k32_avx512)

#define MUL_ENTRY(name, bytes) MUL(name, bytes, SCALE_WORDS, 64, 0, few_k16_avx512)
QUANT_SMALL_MAP(MUL_ENTRY)
