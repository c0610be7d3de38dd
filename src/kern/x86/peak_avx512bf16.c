/* SPDX-License-Identifier: Apache-2.0
 * kern/x86/peak_avx512bf16.c: the measuring loop of ref/peak.c for products of BF16 pairs: ten independent chains, nothing else. */
#include <immintrin.h>

#include "kern/kern.h"

static volatile float sink;

static double peak_bf16(size_t rounds)
{
    __m512 a[10];
    __m512bh x = (__m512bh)_mm512_set1_epi32(0x3f003f00), w = x; /* halves */
    for (int i = 0; i < 10; i++) a[i] = _mm512_set1_ps((float)i);
    for (size_t r = 0; r < rounds; r++) {
#pragma GCC unroll 10
        for (int i = 0; i < 10; i++) a[i] = _mm512_dpbf16_ps(a[i], w, x);
        __asm__ volatile("" : "+v"(x)); /* a product that never changes would be hoisted */
    }
    for (int i = 1; i < 10; i++) a[0] = _mm512_add_ps(a[0], a[i]);
    sink = _mm512_cvtss_f32(a[0]);
    return (double)rounds * 10 * 64;
}

void kern_peak_init_avx512bf16(struct kern *k) { k->peak_bf16 = peak_bf16; }
