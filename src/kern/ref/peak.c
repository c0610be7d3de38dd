/* SPDX-License-Identifier: Apache-2.0
 *
 * kern/ref/peak.c: loops that do nothing but what they count, to measure a machine's limits with. Not kernels: their results mean nothing,
 * so there is nothing to prove; `lar bench` sets what kernels reach against them.
 */
#include "kern/kern.h"

/* Keeps the compiler from leaving the work out. */
static volatile float sink;

static double peak_f32(size_t rounds)
{
    float a[16], x = 0.5f;
    for (int i = 0; i < 16; i++) a[i] = (float)i;
    for (size_t r = 0; r < rounds; r++)
        for (int i = 0; i < 16; i++) a[i] = a[i] * x + 1.0f;
    for (int i = 0; i < 16; i++) sink = a[i];
    return (double)rounds * 32;
}

static double peak_int8(size_t rounds)
{
    int32_t a[16] = {0};
    volatile int8_t seed = 3;
    int8_t w = seed, x = (int8_t)(seed + 1);
    for (size_t r = 0; r < rounds; r++)
        for (int i = 0; i < 16; i++) a[i] = (int32_t)((uint32_t)a[i] + (uint32_t)(w * x + i));
    for (int i = 0; i < 16; i++) sink = (float)a[i];
    return (double)rounds * 32;
}

static double read_bytes(const void *p, size_t n)
{
    const uint64_t *q = p;
    uint64_t s[8] = {0};
    for (size_t i = 0; i + 8 <= n / 8; i += 8)
        for (int k = 0; k < 8; k++) s[k] += q[i + (size_t)k];
    for (int k = 0; k < 8; k++) sink = (float)s[k];
    return (double)n;
}

void kern_peak_init_ref(struct kern *k)
{
    k->peak_f32 = peak_f32;
    k->peak_int8 = peak_int8;
    k->read_bytes = read_bytes;
}
