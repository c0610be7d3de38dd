/* SPDX-License-Identifier: Apache-2.0
 *
 * kern/x86/quant_act_avx2.c: activations to 8 bits.
 *
 * Two narrowing packs of four registers leave, in each half of the result, 4 bytes of each of
 * the four: the order of ACT_Q8_32 as it is, and for ACT_Q8_256 one permutation away from it.
 */
#include "kern/x86/quant_avx2.h"

INLINE __m256 abs_max(__m256 max, const float *x)
{
    const __m256 sign = _mm256_castsi256_ps(_mm256_set1_epi32(0x7fffffff));
    return _mm256_max_ps(max, _mm256_and_ps(_mm256_loadu_ps(x), sign));
}

/* Gives 127 / max, and the scale max / 127; both 0 below 2^-100. */
INLINE __m128 inverse(__m128 max, __m128 *d)
{
    const __m128 full = _mm_set1_ps(127);
    __m128 some = _mm_cmpge_ps(max, _mm_set1_ps(0x1p-100f));
    *d = _mm_and_ps(some, _mm_div_ps(max, full));
    return _mm_and_ps(some, _mm_div_ps(full, max));
}

INLINE __m256i rounded(const float *x, __m256 scale)
{
    return _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_loadu_ps(x), scale));
}

/* In each half: 4 bytes of a, b, c, d. */
INLINE __m256i four_in_turn(__m256i a, __m256i b, __m256i c, __m256i d)
{
    return _mm256_packs_epi16(_mm256_packs_epi32(a, b), _mm256_packs_epi32(c, d));
}

/* Sums of 4 bytes. */
INLINE __m256i sums4(__m256i q)
{
    return _mm256_madd_epi16(_mm256_maddubs_epi16(_mm256_set1_epi8(1), q), _mm256_set1_epi16(1));
}

/* 128 numbers, 4 blocks of 32, to q, d, c and p. */
INLINE void step32(const float *x, int8_t *q, float *d, int32_t *c, int32_t *p)
{
    __m256 max[4], zero = _mm256_setzero_ps();
    UNROLL
    for (int b = 0; b < 4; b++)
        max[b] = _mm256_max_ps(abs_max(abs_max(zero, x + 32 * b), x + 32 * b + 8),
                               abs_max(abs_max(zero, x + 32 * b + 16), x + 32 * b + 24));
    __m256 m01 =
        _mm256_max_ps(_mm256_unpacklo_ps(max[0], max[1]), _mm256_unpackhi_ps(max[0], max[1]));
    __m256 m23 =
        _mm256_max_ps(_mm256_unpacklo_ps(max[2], max[3]), _mm256_unpackhi_ps(max[2], max[3]));
    __m256 m = _mm256_max_ps(_mm256_shuffle_ps(m01, m23, 0x44), _mm256_shuffle_ps(m01, m23, 0xee));
    __m128 d4, m4 = _mm_max_ps(_mm256_castps256_ps128(m), _mm256_extractf128_ps(m, 1));
    __m128 inv = inverse(m4, &d4);
    _mm_store_ps(d, d4);
    __m256 s[4] = {_mm256_broadcastss_ps(inv),
                   _mm256_broadcastss_ps(_mm_shuffle_ps(inv, inv, 0x55)),
                   _mm256_broadcastss_ps(_mm_shuffle_ps(inv, inv, 0xaa)),
                   _mm256_broadcastss_ps(_mm_shuffle_ps(inv, inv, 0xff))};
    __m256i quarter[4];
    UNROLL
    for (int i = 0; i < 4; i++) {
        const float *y = x + 8 * i;
        quarter[i] = four_in_turn(rounded(y, s[0]), rounded(y + 32, s[1]), rounded(y + 64, s[2]),
                                  rounded(y + 96, s[3]));
        _mm256_store_si256((__m256i *)(void *)(q + 32 * i), quarter[i]);
    }
    __m256i p0 = _mm256_add_epi32(sums4(quarter[0]), sums4(quarter[2]));
    __m256i p1 = _mm256_add_epi32(sums4(quarter[1]), sums4(quarter[3]));
    p0 = _mm256_sub_epi32(_mm256_setzero_si256(), _mm256_slli_epi32(p0, 7));
    p1 = _mm256_sub_epi32(_mm256_setzero_si256(), _mm256_slli_epi32(p1, 7));
    _mm256_store_si256((__m256i *)(void *)p, p0);
    _mm256_store_si256((__m256i *)(void *)(p + 8), p1);
    p0 = _mm256_add_epi32(p0, p1);
    _mm_store_si128((__m128i *)(void *)c,
                    _mm_add_epi32(_mm256_castsi256_si128(p0), _mm256_extracti128_si256(p0, 1)));
}

void quant_q8_32_avx2(size_t k, const float *x, void *row)
{
    int8_t *q = row;
    float *d = (float *)(void *)(q + act_scale_at(ACT_Q8_32, k));
    int32_t *c = (int32_t *)(void *)(q + act_sum_at(ACT_Q8_32, k));
    int32_t *p = (int32_t *)(void *)(q + act_part_at(k));
    size_t i = 0;
    for (; i + 128 <= k; i += 128) step32(x + i, q + i, d + i / 32, c + i / 32, p + i / 8);
    if (i < k) { /* blocks that are not there are zero */
        float last[128] = {0};
        memcpy(last, x + i, 4 * (k - i));
        step32(last, q + i, d + i / 32, c + i / 32, p + i / 8);
    }
}

/* 128 numbers with a given scale: bytes in groups of 32, 0 2 1 3; gives the sums of 16, 8 of
 * them. */
INLINE void step256(const float *x, __m256 scale, int8_t *q, __m128i *s0, __m128i *s1)
{
    static const int to[4] = {0, 64, 32, 96};
    const __m256i turn = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    __m256i s[4];
    UNROLL
    for (int g = 0; g < 4; g++) {
        const float *y = x + 32 * g;
        __m256i v = four_in_turn(rounded(y, scale), rounded(y + 8, scale), rounded(y + 16, scale),
                                 rounded(y + 24, scale));
        v = _mm256_permutevar8x32_epi32(v, turn);
        _mm256_store_si256((__m256i *)(void *)(q + to[g]), v);
        s[g] = sums4(v);
    }
    __m256i h = _mm256_hadd_epi32(_mm256_hadd_epi32(s[0], s[1]), _mm256_hadd_epi32(s[2], s[3]));
    __m128i first = _mm256_castsi256_si128(h), second = _mm256_extracti128_si256(h, 1);
    *s0 = _mm_unpacklo_epi32(first, second);
    *s1 = _mm_unpackhi_epi32(first, second);
}

void quant_q8_256_avx2(size_t k, const float *x, void *row)
{
    int8_t *q = row;
    float *d = (float *)(void *)(q + act_scale_at(ACT_Q8_256, k));
    int16_t *s = (int16_t *)(void *)(q + act_sum_at(ACT_Q8_256, k));
    int16_t *t = (int16_t *)(void *)(q + act_sum32_at(k));
    int32_t *c = (int32_t *)(void *)(q + act_start_at(k));
    for (size_t i = 0; i < k; i += 256) {
        __m256 m0 = _mm256_setzero_ps(), m1 = m0;
        for (size_t j = 0; j < 256; j += 16) {
            m0 = abs_max(m0, x + i + j);
            m1 = abs_max(m1, x + i + j + 8);
        }
        m0 = _mm256_max_ps(m0, m1);
        __m128 m = _mm_max_ps(_mm256_castps256_ps128(m0), _mm256_extractf128_ps(m0, 1)), d1;
        m = _mm_max_ps(m, _mm_movehl_ps(m, m));
        m = _mm_max_ps(m, _mm_shuffle_ps(m, m, 0xb1));
        __m256 scale = _mm256_broadcastss_ps(inverse(m, &d1));
        _mm_store_ss(d + i / 256, d1);
        for (size_t j = i; j < i + 256; j += 128) {
            __m128i s0, s1, zero = _mm_setzero_si128(), *to = (__m128i *)(void *)(c + j / 16);
            step256(x + j, scale, q + j, &s0, &s1);
            __m128i words = _mm_packs_epi32(s0, s1);
            _mm_store_si128((__m128i *)(void *)(s + j / 16), words);
            _mm_storel_epi64((__m128i *)(void *)(t + j / 32), _mm_hadd_epi16(words, words));
            _mm_store_si128(to, _mm_sub_epi32(zero, _mm_slli_epi32(s0, 7)));
            _mm_store_si128(to + 1, _mm_sub_epi32(zero, _mm_slli_epi32(s1, 7)));
        }
    }
}
