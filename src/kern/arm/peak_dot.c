/* SPDX-License-Identifier: Apache-2.0
 * kern/arm/peak_dot.c: the measuring loops of ref/peak.c with NEON's dot product: ten independent chains, nothing else. */
#include <arm_neon.h>

#include "kern/kern.h"

static volatile float sink;

static double peak_f32(size_t rounds)
{
    float32x4_t a[10], x = vdupq_n_f32(0.5f), y = vdupq_n_f32(1.0f);
    for (int i = 0; i < 10; i++) a[i] = vdupq_n_f32((float)i);
    for (size_t r = 0; r < rounds; r++) {
#pragma GCC unroll 10
        for (int i = 0; i < 10; i++) a[i] = vfmaq_f32(a[i], x, y);
    }
    for (int i = 1; i < 10; i++) a[0] = vaddq_f32(a[0], a[i]);
    sink = vgetq_lane_f32(a[0], 0);
    return (double)rounds * 80;
}

static double peak_int8(size_t rounds)
{
    int32x4_t a[10];
    int8x16_t x = vdupq_n_s8(1), w = vdupq_n_s8(2);
    for (int i = 0; i < 10; i++) a[i] = vdupq_n_s32(i);
    for (size_t r = 0; r < rounds; r++) {
#pragma GCC unroll 10
        for (int i = 0; i < 10; i++) a[i] = vdotq_s32(a[i], w, x);
        __asm__ volatile("" : "+w"(x));
    }
    for (int i = 1; i < 10; i++) a[0] = vaddq_s32(a[0], a[i]);
    sink = (float)vgetq_lane_s32(a[0], 0);
    return (double)rounds * 320;
}

static double read_bytes(const void *p, size_t n)
{
    const uint8_t *q = p;
    uint8x16_t s[8];
    for (int k = 0; k < 8; k++) s[k] = vdupq_n_u8(0);
    for (size_t i = 0; i + 128 <= n; i += 128) {
#pragma GCC unroll 8
        for (size_t k = 0; k < 8; k++) s[k] = vorrq_u8(s[k], vld1q_u8(q + i + 16 * k));
    }
    for (int k = 1; k < 8; k++) s[0] = vorrq_u8(s[0], s[k]);
    sink = (float)vgetq_lane_u8(s[0], 0);
    return (double)n;
}

void kern_peak_init_dot(struct kern *k)
{
    k->peak_f32 = peak_f32;
    k->peak_int8 = peak_int8;
    k->read_bytes = read_bytes;
}
