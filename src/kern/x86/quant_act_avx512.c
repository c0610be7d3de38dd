/* SPDX-License-Identifier: Apache-2.0
 *
 * kern/x86/quant_act_avx512.c: activations to 8 bits.
 *
 * Two narrowing packs of four registers leave, in each quarter of the result, 4 bytes of each of
 * the four: the order of ACT_Q8_32 as it is, and for ACT_Q8_256 one permutation away from it.
 */
#include "kern/x86/quant_avx512.h"

INLINE __m512 abs_max(__m512 a, __m512 b)
{
    const __m512i sign = _mm512_set1_epi32(0x7fffffff);
    return _mm512_castsi512_ps(_mm512_max_epi32(_mm512_and_si512(_mm512_castps_si512(a), sign),
                                                _mm512_and_si512(_mm512_castps_si512(b), sign)));
}

/* max in every lane: gives 127 / max, and the scale max / 127; both 0 below 2^-100. */
INLINE __m128 inverse(__m128 max, __m128 *d)
{
    const __m128 full = _mm_set1_ps(127);
    __m128 some = _mm_cmpge_ps(max, _mm_set1_ps(0x1p-100f));
    *d = _mm_and_ps(some, _mm_div_ps(max, full));
    return _mm_and_ps(some, _mm_div_ps(full, max));
}

INLINE __m512i rounded(__m512 x, __m512 scale)
{
    return _mm512_cvtps_epi32(_mm512_mul_ps(x, scale));
}

/* Quarter i: bytes 4 i .. 4 i + 3 of a, b, c, d. */
INLINE __m512i four_in_turn(__m512i a, __m512i b, __m512i c, __m512i d)
{
    return _mm512_packs_epi16(_mm512_packs_epi32(a, b), _mm512_packs_epi32(c, d));
}

/* The sums of the four quarters. */
INLINE __m128i quarters(__m512i x)
{
    __m256i h = _mm256_add_epi32(_mm512_castsi512_si256(x), _mm512_extracti64x4_epi64(x, 1));
    return _mm_add_epi32(_mm256_castsi256_si128(h), _mm256_extracti128_si256(h, 1));
}

void quant_q8_32_avx512(size_t k, const float *x, void *row)
{
    int8_t *q = row;
    float *d = (float *)(void *)(q + act_scale_at(ACT_Q8_32, k));
    int32_t *c = (int32_t *)(void *)(q + act_sum_at(ACT_Q8_32, k));
    int32_t *p = (int32_t *)(void *)(q + act_part_at(k));
    const __m512i zero = _mm512_setzero_si512(), weight = _mm512_set1_epi8(-128);
    for (size_t i = 0; i < k; i += 128) {
        __m512 lo[4], hi[4], max[4];
        UNROLL
        for (size_t b = 0; b < 4; b++) { /* blocks that are not there are zero */
            __mmask16 there = i + 32 * b < k ? 0xffff : 0;
            lo[b] = _mm512_maskz_loadu_ps(there, x + i + 32 * b);
            hi[b] = _mm512_maskz_loadu_ps(there, x + i + 32 * b + 16);
            max[b] = abs_max(lo[b], hi[b]);
        }
        /* Maxima of the four blocks: word w of each quarter is for block w. */
        __m512 m01 =
            _mm512_max_ps(_mm512_unpacklo_ps(max[0], max[1]), _mm512_unpackhi_ps(max[0], max[1]));
        __m512 m23 =
            _mm512_max_ps(_mm512_unpacklo_ps(max[2], max[3]), _mm512_unpackhi_ps(max[2], max[3]));
        __m512 m =
            _mm512_max_ps(_mm512_shuffle_ps(m01, m23, 0x44), _mm512_shuffle_ps(m01, m23, 0xee));
        __m256 m8 = _mm256_max_ps(_mm512_castps512_ps256(m), _mm512_extractf32x8_ps(m, 1));
        __m128 m4 = _mm_max_ps(_mm256_castps256_ps128(m8), _mm256_extractf128_ps(m8, 1)), d4;
        __m512 inv = _mm512_castps128_ps512(inverse(m4, &d4));
        _mm_store_ps(d + i / 32, d4);
        __m512i first[4], second[4];
        UNROLL
        for (int b = 0; b < 4; b++) {
            __m512 s = _mm512_permutexvar_ps(_mm512_set1_epi32(b), inv);
            first[b] = rounded(lo[b], s);
            second[b] = rounded(hi[b], s);
        }
        __m512i q0 = four_in_turn(first[0], first[1], first[2], first[3]);
        __m512i q1 = four_in_turn(second[0], second[1], second[2], second[3]);
        _mm512_store_si512(q + i, q0);
        _mm512_store_si512(q + i + 64, q1);
        __m512i sum = _mm512_dpbusd_epi32(_mm512_dpbusd_epi32(zero, weight, q0), weight, q1);
        sum = _mm512_sub_epi32(zero, sum);
        _mm512_store_si512(p + i / 8, sum);
        _mm_store_si128((__m128i *)(void *)(c + i / 32), quarters(sum));
    }
}

void quant_q8_256_avx512(size_t k, const float *x, void *row)
{
    int8_t *q = row;
    float *d = (float *)(void *)(q + act_scale_at(ACT_Q8_256, k));
    int16_t *s = (int16_t *)(void *)(q + act_sum_at(ACT_Q8_256, k));
    int16_t *t = (int16_t *)(void *)(q + act_sum32_at(k));
    int32_t *c = (int32_t *)(void *)(q + act_start_at(k));
    const __m512i turn = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    const __m512i zero = _mm512_setzero_si512(), one = _mm512_set1_epi8(1);
    for (size_t i = 0; i < k; i += 256) {
        __m512 max = _mm512_setzero_ps();
        UNROLL
        for (size_t j = 0; j < 256; j += 32)
            max = _mm512_max_ps(
                max, abs_max(_mm512_loadu_ps(x + i + j), _mm512_loadu_ps(x + i + j + 16)));
        __m128 d1, inv = inverse(_mm_set1_ps(_mm512_reduce_max_ps(max)), &d1);
        __m512 scale = _mm512_broadcastss_ps(inv);
        _mm_store_ss(d + i / 256, d1);
        for (size_t j = 0; j < 256; j += 128) { /* groups of 32: 0 2, 1 3 */
            const float *y = x + i + j;
            __m512i z[8];
            UNROLL
            for (int n = 0; n < 8; n++) z[n] = rounded(_mm512_loadu_ps(y + 16 * n), scale);
            __m512i even = four_in_turn(z[0], z[1], z[4], z[5]);
            __m512i odd = four_in_turn(z[2], z[3], z[6], z[7]);
            _mm512_store_si512(q + i + j, _mm512_permutexvar_epi32(turn, even));
            _mm512_store_si512(q + i + j + 64, _mm512_permutexvar_epi32(turn, odd));
            __m128i se = quarters(_mm512_dpbusd_epi32(zero, one, even));
            __m128i so = quarters(_mm512_dpbusd_epi32(zero, one, odd));
            __m128i s0 = _mm_unpacklo_epi64(se, so), s1 = _mm_unpackhi_epi64(se, so);
            __m128i words = _mm_packs_epi32(s0, s1), *to = (__m128i *)(void *)(c + (i + j) / 16);
            _mm_store_si128((__m128i *)(void *)(s + (i + j) / 16), words);
            _mm_storel_epi64((__m128i *)(void *)(t + (i + j) / 32), _mm_hadd_epi16(words, words));
            _mm_store_si128(to, _mm_sub_epi32(_mm_setzero_si128(), _mm_slli_epi32(s0, 7)));
            _mm_store_si128(to + 1, _mm_sub_epi32(_mm_setzero_si128(), _mm_slli_epi32(s1, 7)));
        }
    }
}
