/* SPDX-License-Identifier: Apache-2.0
 *
 * quant/plain.c: the types whose rounding ggml's reference quantiser (ggml-quants.c, quantize_row_*_ref) fixes: the step follows
 * from the block's extremes, each element is rounded by itself. The same bits come out; a file made here equals one made there.
 * Layouts: io/dtype.h's types as src/kern/ref/quant_block.c and quant_small.c read them.
 */
#include <math.h>
#include <string.h>

#include "base/half.h"
#include "kern/quant.h"
#include "quant/quantise.h"

static void put_half(uint8_t *p, float v)
{
    uint16_t h = half_from_f32(v);
    memcpy(p, &h, 2);
}

/* Towards zero, kept in 0..top (a step so small that its inverse is infinite leaves the range). */
static uint8_t code_of(float v, int top)
{
    return (uint8_t)(v > 0 ? v < (float)top ? (int)v : top : 0);
}

static float largest(const float *x, int n)
{
    float a = 0;
    for (int i = 0; i < n; i++) a = fabsf(x[i]) > a ? fabsf(x[i]) : a;
    return a;
}

static float inverse_of(float d) { return d != 0 ? 1.0f / d : 0.0f; }

void plain_f32(size_t k, const float *x, uint8_t *out) { memcpy(out, x, 4 * k); }

void plain_f16(size_t k, const float *x, uint8_t *out)
{
    for (size_t i = 0; i < k; i++) put_half(out + 2 * i, x[i]);
}

void plain_bf16(size_t k, const float *x, uint8_t *out)
{
    for (size_t i = 0; i < k; i++) {
        uint16_t h = bf16_from_f32(x[i]);
        memcpy(out + 2 * i, &h, 2);
    }
}

/* Halves away from zero, without the call. |v| < 2^22. */
static float round_away(float v)
{
    float t = (float)(int)v, rest = v - t; /* exact */
    return t + (float)(rest >= 0.5f) - (float)(rest <= -0.5f);
}

static float eight_bits(const float *x, int8_t *q)
{
    float d = largest(x, 32) / 127, id = inverse_of(d);
    if (!isfinite(id)) id = 0;
    for (int i = 0; i < 32; i++) q[i] = (int8_t)round_away(x[i] * id);
    return d;
}

void plain_q8_0(size_t k, const float *x, uint8_t *out)
{
    for (size_t b = 0; b < k / 32; b++, x += 32, out += 34)
        put_half(out, eight_bits(x, (int8_t *)out + 2));
}

void plain_q8_1(size_t k, const float *x, uint8_t *out)
{
    for (size_t b = 0; b < k / 32; b++, x += 32, out += 36) {
        const int8_t *q = (const int8_t *)out + 4;
        float d = eight_bits(x, (int8_t *)out + 4);
        int sum = 0;
        for (int i = 0; i < 32; i++) sum += q[i];
        put_half(out, d);
        put_half(out + 2, (float)sum * d);
    }
}

/* Q4_0, Q5_0: the value largest in magnitude is put on the lowest code. */
static void signed_block(const float *x, int half, uint8_t *d_out, uint8_t code[32])
{
    float top = 0, size = 0;
    for (int i = 0; i < 32; i++)
        if (size < fabsf(x[i])) {
            size = fabsf(x[i]);
            top = x[i];
        }
    float d = top / (float)-half, id = inverse_of(d);
    put_half(d_out, d);
    for (int i = 0; i < 32; i++) code[i] = code_of(x[i] * id + ((float)half + 0.5f), 2 * half - 1);
}

void plain_q4_0(size_t k, const float *x, uint8_t *out)
{
    uint8_t code[32];
    for (size_t b = 0; b < k / 32; b++, x += 32, out += 18) {
        signed_block(x, 8, out, code);
        quantise_nibbles(code, out + 2, NULL);
    }
}

void plain_q5_0(size_t k, const float *x, uint8_t *out)
{
    uint8_t code[32];
    for (size_t b = 0; b < k / 32; b++, x += 32, out += 22) {
        signed_block(x, 16, out, code);
        quantise_nibbles(code, out + 6, out + 2);
    }
}

/* Q4_1, Q5_1: from the least to the greatest value. */
static void offset_block(const float *x, int top, uint8_t *d_out, uint8_t code[32])
{
    float low = x[0], high = x[0];
    for (int i = 1; i < 32; i++) {
        low = x[i] < low ? x[i] : low;
        high = x[i] > high ? x[i] : high;
    }
    float d = (high - low) / (float)top, id = inverse_of(d);
    put_half(d_out, d);
    put_half(d_out + 2, low);
    for (int i = 0; i < 32; i++) code[i] = code_of((x[i] - low) * id + 0.5f, top);
}

void plain_q4_1(size_t k, const float *x, uint8_t *out)
{
    uint8_t code[32];
    for (size_t b = 0; b < k / 32; b++, x += 32, out += 20) {
        offset_block(x, 15, out, code);
        quantise_nibbles(code, out + 4, NULL);
    }
}

void plain_q5_1(size_t k, const float *x, uint8_t *out)
{
    uint8_t code[32];
    for (size_t b = 0; b < k / 32; b++, x += 32, out += 24) {
        offset_block(x, 31, out, code);
        quantise_nibbles(code, out + 8, out + 4);
    }
}

/* The first of the nearest of d * quant_e2m1. */
static uint8_t e2m1_of(float x, float d)
{
    int best = 0;
    float least = fabsf((float)quant_e2m1[0] * d - x);
    for (int i = 1; i < 16; i++) {
        float off = fabsf((float)quant_e2m1[i] * d - x);
        if (off < least) {
            best = i;
            least = off;
        }
    }
    return (uint8_t)best;
}

void plain_mxfp4(size_t k, const float *x, uint8_t *out)
{
    for (size_t b = 0; b < k / 32; b++, x += 32, out += 17) {
        float size = largest(x, 32), e = size > 0 ? floorf(log2f(size)) + 125 : 0;
        out[0] = code_of(e, 254);
        float d = f32_bits(out[0] < 2 ? 0x00200000u << out[0] : (uint32_t)(out[0] - 1) << 23);
        for (int i = 0; i < 16; i++)
            out[1 + i] = (uint8_t)(e2m1_of(x[i], d) | e2m1_of(x[i + 16], d) << 4);
    }
}

/* Unsigned E4M3 as ggml rounds to it (ggml-impl.h, ggml_fp32_to_ue4m3): halves up, at most 448. */
static uint8_t ue4m3_of(float v)
{
    if (!(v > 0)) return 0;
    if (v > 448.0f) v = 448.0f;
    uint32_t bits = bits_f32(v);
    int e = (int)(bits >> 23) - 127 + 7;
    if (e <= 0) {
        int m = (int)(v * 512.0f + 0.5f);
        return (uint8_t)(m > 7 ? 7 : m);
    }
    if (e >= 15) return 0x7e;
    int code = (e << 3 | (int)(bits >> 20 & 7)) +
               (int)(bits >> 19 & 1); /* a carry goes into the exponent */
    return (uint8_t)(code >= 15 << 3 ? 0x7e : code);
}

static float ue4m3_half(uint8_t u)
{
    int e = u >> 3, m = u & 7;
    if (u == 0 || u == 0x7f) return 0;
    return 0.5f * (e ? ldexpf(1.0f + (float)m / 8, e - 7) : ldexpf((float)m, -9));
}

void plain_nvfp4(size_t k, const float *x, uint8_t *out)
{
    for (size_t b = 0; b < k / 64; b++, out += 36)
        for (int s = 0; s < 4; s++, x += 16) {
            out[s] = ue4m3_of(largest(x, 16) / 6.0f);
            float d = ue4m3_half(out[s]);
            for (int i = 0; i < 8; i++)
                out[4 + 8 * s + i] = (uint8_t)(e2m1_of(x[i], d) | e2m1_of(x[i + 8], d) << 4);
        }
}

/* Five digits of base 3 (0, 1, 2 for -1, 0, 1) as a fraction of 256, rounded up: multiplied by 3 they come out at the top again. */
static uint8_t trits(const float *x, size_t stride, int n, float id)
{
    unsigned q = 0;
    for (int i = 0; i < 5; i++)
        q = 3 * q + (i < n ? (unsigned)(round_away(x[(size_t)i * stride] * id) + 1.0f) : 0);
    return (uint8_t)((q * 256 + 242) / 243);
}

void plain_tq1_0(size_t k, const float *x, uint8_t *out)
{
    for (size_t b = 0; b < k / 256; b++, x += 256, out += 54) {
        float d = largest(x, 256), id = inverse_of(d);
        if (!isfinite(id)) id = 0;
        for (size_t i = 0; i < 32; i++) out[i] = trits(x + i, 32, 5, id);
        for (size_t i = 0; i < 16; i++) out[32 + i] = trits(x + 160 + i, 16, 5, id);
        for (size_t i = 0; i < 4; i++) out[48 + i] = trits(x + 240 + i, 4, 4, id);
        put_half(out + 52, d);
    }
}

void plain_tq2_0(size_t k, const float *x, uint8_t *out)
{
    for (size_t b = 0; b < k / 256; b++, x += 256, out += 66) {
        float d = largest(x, 256), id = inverse_of(d);
        if (!isfinite(id)) id = 0;
        for (int i = 0; i < 64; i++) {
            unsigned q = 0;
            for (int n = 0; n < 4; n++)
                q |= (unsigned)(round_away(x[i / 32 * 128 + n * 32 + i % 32] * id) + 1.0f) << 2 * n;
            out[i] = (uint8_t)q;
        }
        put_half(out + 64, d);
    }
}

void plain_q1_0(size_t k, const float *x, uint8_t *out)
{
    for (size_t b = 0; b < k / 128; b++, x += 128, out += 18) {
        float sum = 0;
        for (int i = 0; i < 128; i++) sum += fabsf(x[i]);
        put_half(out, sum / 128);
        for (int i = 0; i < 16; i++) {
            unsigned bits = 0;
            for (int n = 0; n < 8; n++) bits |= (unsigned)(x[8 * i + n] >= 0) << n;
            out[2 + i] = (uint8_t)bits;
        }
    }
}

void plain_q2_0(size_t k, const float *x, uint8_t *out)
{
    for (size_t b = 0; b < k / 64; b++, x += 64, out += 18) {
        float d = largest(x, 64), id = inverse_of(d);
        if (!isfinite(id)) id = 0;
        put_half(out, d);
        for (int i = 0; i < 16; i++) {
            unsigned q = 0;
            for (int n = 0; n < 4; n++)
                q |= (unsigned)code_of(round_away(x[4 * i + n] * id) + 1.0f, 3) << 2 * n;
            out[2 + i] = (uint8_t)q;
        }
    }
}
