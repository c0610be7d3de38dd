/* SPDX-License-Identifier: Apache-2.0
 *
 * kern/x86/quant_avx512.h: small pieces that the AVX-512 files of quantised weights share.
 */
#ifndef KERN_X86_QUANT_AVX512_H
#define KERN_X86_QUANT_AVX512_H

#include <immintrin.h>
#include <string.h>

#include "kern/quant.h"

#define INLINE static inline __attribute__((always_inline))
/* Before a loop with a constant count: its arrays of vectors become registers. */
#ifdef __clang__
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

/* How far ahead of the loads memory is asked for: rows are short and several are read at once,
 * which the hardware's own prefetcher takes for several streams and follows late. */
enum { PREFETCH_AHEAD = 4096 };

/* Keeps the compiler from reading memory again instead of holding x: loads that straddle cache
 * lines are what these kernels run out of first. */
#define HOLD(x) __asm__("" : "+v"(x))

INLINE void prefetch_lines(const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i += 64) _mm_prefetch((const char *)p + i, _MM_HINT_T0);
}

INLINE __m512i load64(const uint8_t *p)
{
    __m512i x = _mm512_loadu_si512(p);
    HOLD(x);
    return x;
}
INLINE __m512i load32(const uint8_t *p)
{
    __m256i x = _mm256_loadu_si256((const __m256i *)(const void *)p);
    HOLD(x);
    return _mm512_castsi256_si512(x);
}
INLINE __m512i load16(const uint8_t *p)
{
    __m128i x = _mm_loadu_si128((const __m128i *)(const void *)p);
    HOLD(x);
    return _mm512_castsi128_si512(x);
}

/* Sums of the 16 lanes of each of four vectors. */
INLINE __m128 sum4_ps(__m512 a, __m512 b, __m512 c, __m512 d)
{
    __m512 ab0 = _mm512_unpacklo_ps(a, b), ab1 = _mm512_unpackhi_ps(a, b);
    __m512 cd0 = _mm512_unpacklo_ps(c, d), cd1 = _mm512_unpackhi_ps(c, d);
    __m512 ab = _mm512_add_ps(ab0, ab1), cd = _mm512_add_ps(cd0, cd1);
    __m512 v = _mm512_add_ps(
        _mm512_castpd_ps(_mm512_unpacklo_pd(_mm512_castps_pd(ab), _mm512_castps_pd(cd))),
        _mm512_castpd_ps(_mm512_unpackhi_pd(_mm512_castps_pd(ab), _mm512_castps_pd(cd))));
    __m256 h = _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
    return _mm_add_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
}

kern_quant_fn quant_q8_32_avx512, quant_q8_256_avx512;
kern_mul_fn mul_q4_0_avx512, mul_q4_1_avx512, mul_q5_0_avx512, mul_q5_1_avx512, mul_q8_0_avx512,
    mul_iq4_nl_avx512, mul_mxfp4_avx512, mul_q2_k_avx512, mul_q3_k_avx512, mul_q4_k_avx512,
    mul_q5_k_avx512, mul_q6_k_avx512, mul_iq4_xs_avx512, mul_iq1_s_avx512, mul_iq1_m_avx512,
    mul_iq2_xxs_avx512, mul_iq2_xs_avx512, mul_iq2_s_avx512, mul_iq3_xxs_avx512, mul_iq3_s_avx512,
    mul_tq1_0_avx512, mul_tq2_0_avx512;

#endif
