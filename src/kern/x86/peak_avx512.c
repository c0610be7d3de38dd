/* SPDX-License-Identifier: Apache-2.0
 * kern/x86/peak_avx512.c: the measuring loops of ref/peak.c with avx512 instructions: ten independent chains, nothing else. */
#include <immintrin.h>

#include "kern/kern.h"

static volatile float sink;

static double peak_f32(size_t rounds)
{
    __m512 a[10], x = _mm512_set1_ps(0.5f), y = _mm512_set1_ps(1.0f);
    for (int i = 0; i < 10; i++) a[i] = _mm512_set1_ps((float)i);
    for (size_t r = 0; r < rounds; r++) {
#pragma GCC unroll 10
        for (int i = 0; i < 10; i++) a[i] = _mm512_fmadd_ps(a[i], x, y);
    }
    for (int i = 1; i < 10; i++) a[0] = _mm512_add_ps(a[0], a[i]);
    sink = _mm512_cvtss_f32(a[0]);
    return (double)rounds * 10 * 32;
}

static double peak_int8(size_t rounds)
{
    __m512i a[10], x = _mm512_set1_epi8(1), w = _mm512_set1_epi8(2);
    for (int i = 0; i < 10; i++) a[i] = _mm512_set1_epi32(i);
    for (size_t r = 0; r < rounds; r++) {
#pragma GCC unroll 10
        for (int i = 0; i < 10; i++) a[i] = _mm512_dpbusd_epi32(a[i], w, x);
        __asm__ volatile("" : "+v"(x)); /* a product that never changes would be hoisted */
    }
    for (int i = 1; i < 10; i++) a[0] = _mm512_add_epi32(a[0], a[i]);
    sink = (float)_mm_cvtsi128_si32(_mm512_castsi512_si128(a[0]));
    return (double)rounds * 10 * 128;
}

static double read_bytes(const void *p, size_t n)
{
    const __m512i *q = p;
    __m512i s[8];
    for (int k = 0; k < 8; k++) s[k] = _mm512_setzero_si512();
    for (size_t i = 0; i + 8 <= n / 64; i += 8) {
#pragma GCC unroll 8
        for (size_t k = 0; k < 8; k++) s[k] = _mm512_or_si512(s[k], _mm512_load_si512(q + i + k));
    }
    for (int k = 1; k < 8; k++) s[0] = _mm512_or_si512(s[0], s[k]);
    sink = (float)_mm_cvtsi128_si32(_mm512_castsi512_si128(s[0]));
    return (double)n;
}

void kern_peak_init_avx512(struct kern *k)
{
    k->peak_f32 = peak_f32;
    k->peak_int8 = peak_int8;
    k->read_bytes = read_bytes;
}
