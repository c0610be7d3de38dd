/* SPDX-License-Identifier: Apache-2.0
 * kern/arm/quant_act_dot.c: activations to 8 bits, NEON. */
#include "kern/arm/quant_dot.h"

/* Gives 127 / max, and the scale max / 127; both 0 below 2^-100. */
INLINE float inverse(float max, float *d)
{
    int some = max >= 0x1p-100f;
    *d = some ? max / 127 : 0;
    return some ? 127 / max : 0;
}

INLINE float32x4_t abs_max(float32x4_t max, const float *x)
{
    return vmaxq_f32(max, vabsq_f32(vld1q_f32(x)));
}

/* 16 numbers to bytes. */
INLINE int8x16_t rounded(const float *x, float scale)
{
    int32x4_t a = vcvtnq_s32_f32(vmulq_n_f32(vld1q_f32(x), scale));
    int32x4_t b = vcvtnq_s32_f32(vmulq_n_f32(vld1q_f32(x + 4), scale));
    int32x4_t c = vcvtnq_s32_f32(vmulq_n_f32(vld1q_f32(x + 8), scale));
    int32x4_t d = vcvtnq_s32_f32(vmulq_n_f32(vld1q_f32(x + 12), scale));
    int16x8_t ab = vcombine_s16(vqmovn_s32(a), vqmovn_s32(b));
    int16x8_t cd = vcombine_s16(vqmovn_s32(c), vqmovn_s32(d));
    return vcombine_s8(vqmovn_s16(ab), vqmovn_s16(cd));
}

/* 128 numbers, 4 blocks of 32, to q, d, c and p. */
INLINE void step32(const float *x, int8_t *q, float *d, int32_t *c, int32_t *p)
{
    int8x16_t lo[4], hi[4];
    const int8x16_t ones = vdupq_n_s8(1);
    int32x4_t sum = vdupq_n_s32(0);
    UNROLL
    for (int b = 0; b < 4; b++) {
        float32x4_t max = vdupq_n_f32(0);
        UNROLL
        for (int i = 0; i < 32; i += 4) max = abs_max(max, x + 32 * b + i);
        float scale = inverse(vmaxvq_f32(max), d + b);
        lo[b] = rounded(x + 32 * b, scale);
        hi[b] = rounded(x + 32 * b + 16, scale);
    }
    uint8x16_t in[4], out[2][4];
    UNROLL
    for (int b = 0; b < 4; b++) in[b] = vreinterpretq_u8_s8(lo[b]);
    in_turn(in, out[0]);
    UNROLL
    for (int b = 0; b < 4; b++) in[b] = vreinterpretq_u8_s8(hi[b]);
    in_turn(in, out[1]);
    UNROLL
    for (int i = 0; i < 4; i++) {
        int8x16_t a = vreinterpretq_s8_u8(out[0][i]), b = vreinterpretq_s8_u8(out[1][i]);
        vst1q_s8(q + 16 * i, a);
        vst1q_s8(q + 64 + 16 * i, b);
        int32x4_t part = vdotq_s32(vdotq_s32(vdupq_n_s32(0), ones, a), ones, b);
        vst1q_s32(p + 4 * i, vnegq_s32(vshlq_n_s32(part, 7)));
        sum = vaddq_s32(sum, part);
    }
    vst1q_s32(c, vnegq_s32(vshlq_n_s32(sum, 7)));
}

void quant_q8_32_dot(size_t k, const float *x, void *row)
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

void quant_q8_256_dot(size_t k, const float *x, void *row)
{
    int8_t *q = row;
    float *d = (float *)(void *)(q + act_scale_at(ACT_Q8_256, k));
    int16_t *s = (int16_t *)(void *)(q + act_sum_at(ACT_Q8_256, k));
    int16_t *t = (int16_t *)(void *)(q + act_sum32_at(k));
    int32_t *c = (int32_t *)(void *)(q + act_start_at(k));
    for (size_t i = 0; i < k; i += 256) {
        float32x4_t m0 = vdupq_n_f32(0), m1 = m0;
        for (size_t j = i; j < i + 256; j += 8) {
            m0 = abs_max(m0, x + j);
            m1 = abs_max(m1, x + j + 4);
        }
        float scale = inverse(vmaxvq_f32(vmaxq_f32(m0, m1)), d + i / 256);
        for (size_t j = i; j < i + 256; j += 32) {
            int8x16_t a = rounded(x + j, scale), b = rounded(x + j + 16, scale);
            int16_t sa = vaddlvq_s8(a), sb = vaddlvq_s8(b);
            vst1q_s8(q + act_at(ACT_Q8_256, j), a);
            vst1q_s8(q + act_at(ACT_Q8_256, j) + 16, b);
            s[j / 16] = sa;
            s[j / 16 + 1] = sb;
            t[j / 32] = (int16_t)(sa + sb);
            c[j / 16] = -128 * sa;
            c[j / 16 + 1] = -128 * sb;
        }
    }
}
