/* SPDX-License-Identifier: Apache-2.0
 * kern/x86/peak_avx2.c: the measuring loops of ref/peak.c with avx2 instructions: ten independent chains, nothing else. */
#include <immintrin.h>

#include "kern/kern.h"

static volatile float sink;

static double peak_f32(size_t rounds)
{
    __m256 a[10], x = _mm256_set1_ps(0.5f), y = _mm256_set1_ps(1.0f);
    for (int i = 0; i < 10; i++) a[i] = _mm256_set1_ps((float)i);
    for (size_t r = 0; r < rounds; r++) {
#pragma GCC unroll 10
        for (int i = 0; i < 10; i++) a[i] = _mm256_fmadd_ps(a[i], x, y);
    }
    for (int i = 1; i < 10; i++) a[0] = _mm256_add_ps(a[0], a[i]);
    sink = _mm256_cvtss_f32(a[0]);
    return (double)rounds * 10 * 16;
}

static double peak_int8(size_t rounds)
{
    __m256i a[10], x = _mm256_set1_epi8(1), w = _mm256_set1_epi8(2), one = _mm256_set1_epi16(1);
    for (int i = 0; i < 10; i++) a[i] = _mm256_set1_epi32(i);
    for (size_t r = 0; r < rounds; r++) {
#pragma GCC unroll 10
        for (int i = 0; i < 10; i++) a[i] = _mm256_add_epi32(a[i], _mm256_madd_epi16(_mm256_maddubs_epi16(w, x), one));
        __asm__ volatile("" : "+x"(x)); /* a product that never changes would be hoisted */
    }
    for (int i = 1; i < 10; i++) a[0] = _mm256_add_epi32(a[0], a[i]);
    sink = (float)_mm_cvtsi128_si32(_mm256_castsi256_si128(a[0]));
    return (double)rounds * 10 * 64;
}

static double read_bytes(const void *p, size_t n)
{
    const __m256i *q = p;
    __m256i s[8];
    for (int k = 0; k < 8; k++) s[k] = _mm256_setzero_si256();
    for (size_t i = 0; i + 8 <= n / 32; i += 8) {
#pragma GCC unroll 8
        for (size_t k = 0; k < 8; k++) s[k] = _mm256_or_si256(s[k], _mm256_load_si256(q + i + k));
    }
    for (int k = 1; k < 8; k++) s[0] = _mm256_or_si256(s[0], s[k]);
    sink = (float)_mm_cvtsi128_si32(_mm256_castsi256_si128(s[0]));
    return (double)n;
}

void kern_peak_init_avx2(struct kern *k)
{
    k->peak_f32 = peak_f32;
    k->peak_int8 = peak_int8;
    k->read_bytes = read_bytes;
}
