/* SPDX-License-Identifier: Apache-2.0
 *
 * kern/ref/quant_small.c: what the blocks of the IQ1, IQ2, IQ3, TQ, NVFP4, Q1_0 and Q2_0 types
 * mean, byte by byte (ggml-common.h; values as gguf-py's quants.py computes them, to the bit).
 * Eight elements at a time in a 64-bit word where the format has a grid of eight: every level
 * calls these.
 */
#include <string.h>

#include "base/half.h"
#include "kern/quant_grid.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "grids are words of bytes, lowest first");

#define BYTES 0x0101010101010101u

/* 8 bits to 8 bytes of 0 or 1. */
static uint64_t spread(uint64_t bits)
{
    return ((bits * BYTES & 0x8040201008040201) + 0x7f * BYTES) >> 7 & BYTES;
}

/* Bytes, none of them 0, of which those whose bit is set change their sign. */
static void put_signed(int8_t *q, uint64_t bytes, uint64_t bits)
{
    uint64_t s = spread(bits);
    bytes = (bytes ^ s * 255) + s;
    memcpy(q, &bytes, 8);
}

/* Seven sign bits are kept; the eighth makes their number even. */
static uint64_t even(uint64_t seven)
{
    uint64_t p = seven ^ seven >> 4;
    p ^= p >> 2;
    return seven | ((p ^ p >> 1) & 1) << 7;
}

static uint64_t both(uint32_t low, uint32_t high) { return low | (uint64_t)high << 32; }

/* f16 d | for each 32: 4 grid indices[4], u32: 4 times 7 sign bits, 4 bits of scale */
void quant_small_iq2_xxs(const uint8_t *b, struct quant_small *o)
{
    o->d = half_to_f32(quant_u16(b)) * 0.125f;
    for (int g = 0; g < 8; g++) {
        const uint8_t *p = b + 2 + 8 * g;
        uint32_t signs = quant_u32(p + 4);
        o->scale[2 * g] = o->scale[2 * g + 1] = (int8_t)(2 * (signs >> 28) + 1);
        for (int j = 0; j < 4; j++)
            put_signed(o->q + 32 * g + 8 * j, quant_iq2_xxs[p[j]], even(signs >> 7 * j & 127));
    }
}

static void scales_of_nibbles(const uint8_t *p, int8_t scale[16])
{
    for (int g = 0; g < 16; g++) scale[g] = (int8_t)(2 * (p[g / 2] >> g % 2 * 4 & 15) + 1);
}

/* f16 d | for each 8 a u16: 9 bits of index, 7 of sign[32] | 4 bits of scale for each 16[8] */
void quant_small_iq2_xs(const uint8_t *b, struct quant_small *o)
{
    o->d = half_to_f32(quant_u16(b)) * 0.125f;
    scales_of_nibbles(b + 66, o->scale);
    for (int j = 0; j < 32; j++) {
        unsigned word = quant_u16(b + 2 + 2 * j);
        put_signed(o->q + 8 * j, quant_iq2_xs[word & 511], even(word >> 9));
    }
}

/* f16 d | low bits of indices[32] | signs[32] | two high bits of each index[8] | scales[8] */
void quant_small_iq2_s(const uint8_t *b, struct quant_small *o)
{
    o->d = half_to_f32(quant_u16(b)) * 0.125f;
    scales_of_nibbles(b + 74, o->scale);
    for (int j = 0; j < 32; j++) {
        int index = b[2 + j] | (b[66 + j / 4] >> j % 4 * 2 & 3) << 8;
        put_signed(o->q + 8 * j, quant_iq2_s[index], b[34 + j]);
    }
}

/* f16 d | indices of 4 values[64] | u32 for each 32, as in IQ2_XXS[8] */
void quant_small_iq3_xxs(const uint8_t *b, struct quant_small *o)
{
    o->d = half_to_f32(quant_u16(b)) * 0.25f;
    for (int g = 0; g < 8; g++) {
        uint32_t signs = quant_u32(b + 66 + 4 * g);
        o->scale[2 * g] = o->scale[2 * g + 1] = (int8_t)(2 * (signs >> 28) + 1);
        for (int j = 0; j < 4; j++) {
            const uint8_t *p = b + 2 + 8 * g + 2 * j;
            put_signed(o->q + 32 * g + 8 * j, both(quant_iq3_xxs[p[0]], quant_iq3_xxs[p[1]]),
                       even(signs >> 7 * j & 127));
        }
    }
}

/* f16 d | low bits of indices of 4 values[64] | a high bit of each[8] | signs[32] | 4 bits of
 * scale for each 32[4] */
void quant_small_iq3_s(const uint8_t *b, struct quant_small *o)
{
    o->d = half_to_f32(quant_u16(b));
    for (int g = 0; g < 8; g++)
        o->scale[2 * g] = o->scale[2 * g + 1] =
            (int8_t)(2 * (b[106 + g / 2] >> g % 2 * 4 & 15) + 1);
    for (int j = 0; j < 32; j++) {
        unsigned high = b[66 + j / 4] >> j % 4 * 2;
        unsigned first = b[2 + 2 * j] | (high & 1) << 8, second = b[3 + 2 * j] | (high & 2) << 7;
        put_signed(o->q + 8 * j, both(quant_iq3_s[first], quant_iq3_s[second]), b[74 + j]);
    }
}

/* The grid's -1, 0, 1 and an eighth more or less, all times 8: bytes -8, 0, 8 and 1 more or
 * less. */
static void put_shifted(int8_t *q, uint64_t bytes, int less)
{
    bytes ^= 0x80 * BYTES; /* 120, 128, 136: no carry, no borrow */
    bytes = (less ? bytes - BYTES : bytes + BYTES) ^ 0x80 * BYTES;
    memcpy(q, &bytes, 8);
}

/* f16 d | low bits of indices[32] | u16 for each 32: 4 times 3 high bits, 3 bits of scale, sign
 * of the eighth[8] */
void quant_small_iq1_s(const uint8_t *b, struct quant_small *o)
{
    o->d = half_to_f32(quant_u16(b)) * 0.125f;
    for (int g = 0; g < 8; g++) {
        unsigned word = quant_u16(b + 34 + 2 * g);
        o->scale[2 * g] = o->scale[2 * g + 1] = (int8_t)(2 * (word >> 12 & 7) + 1);
        for (int j = 0; j < 4; j++) {
            unsigned index = b[2 + 4 * g + j] | (word >> 3 * j & 7) << 8;
            put_shifted(o->q + 32 * g + 8 * j, quant_iq1[index], word >> 15);
        }
    }
}

/* low bits of indices[32] | for each a nibble: 3 high bits, sign of the eighth[16] | 4 u16: 4
 * times 3 bits of scale, one for 16 elements, and a nibble of the f16 d */
void quant_small_iq1_m(const uint8_t *b, struct quant_small *o)
{
    unsigned d = 0;
    for (int g = 0; g < 16; g++) {
        unsigned word = quant_u16(b + 48 + g / 4 * 2);
        o->scale[g] = (int8_t)(2 * (word >> 3 * (g % 4) & 7) + 1);
        if (g % 4 == 0) d |= word >> 12 << g;
    }
    o->d = half_to_f32((uint16_t)d) * 0.125f;
    for (int j = 0; j < 32; j++) {
        unsigned nibble = b[32 + j / 2] >> j % 2 * 4;
        put_shifted(o->q + 8 * j, quant_iq1[b[j] | (nibble & 7) << 8], nibble >> 3 & 1);
    }
}

static void ones(struct quant_small *o) { memset(o->scale, 1, sizeof o->scale); }

/* Five powers of three in a byte (the byte is the number times 256 / 243): n bytes, `count`
 * values of each, value j of byte i at q[n * j + i]. */
static void thirds(const uint8_t *p, int n, int count, int8_t *q)
{
    static const uint8_t power[5] = {1, 3, 9, 27, 81};
    for (int j = 0; j < count; j++)
        for (int i = 0; i < n; i++)
            q[n * j + i] = (int8_t)(((uint8_t)(p[i] * power[j]) * 3 >> 8) - 1);
}

/* 5 values a byte[32 + 16] | 4 values a byte[4] | f16 d */
void quant_small_tq1_0(const uint8_t *b, struct quant_small *o)
{
    ones(o);
    thirds(b, 32, 5, o->q);
    thirds(b + 32, 16, 5, o->q + 160);
    thirds(b + 48, 4, 4, o->q + 240);
    o->d = half_to_f32(quant_u16(b + 52));
}

/* bit pairs[64]: in each half of 128, element 32 * j + l is bits 2j of byte l | f16 d */
void quant_small_tq2_0(const uint8_t *b, struct quant_small *o)
{
    ones(o);
    for (int i = 0; i < 256; i += 8) {
        uint64_t x;
        memcpy(&x, b + i / 128 * 32 + i % 32, 8);
        x = x >> i % 128 / 32 * 2 & 3 * BYTES;
        x = ((x | 0x80 * BYTES) - BYTES) ^ 0x80 * BYTES; /* less 1 in each byte */
        memcpy(o->q + i, &x, 8);
    }
    o->d = half_to_f32(quant_u16(b + 64));
}

#define DECODE(name)                                                        \
    void quant_decode_##name(const uint8_t *b, struct quant_block *o)       \
    {                                                                       \
        struct quant_small s;                                               \
        quant_small_##name(b, &s);                                          \
        memcpy(o->q, s.q, sizeof s.q);                                      \
        for (int g = 0; g < 16; g++) o->scale[g] = s.d * (float)s.scale[g]; \
    }
DECODE(iq1_s)
DECODE(iq1_m)
DECODE(iq2_xxs)
DECODE(iq2_xs)
DECODE(iq2_s)
DECODE(iq3_xxs)
DECODE(iq3_s)
DECODE(tq1_0)
DECODE(tq2_0)

/* Half of an unsigned E4M3 number: bias 7, no infinity; 0x7f is no number and taken as 0. */
static float e4m3_half(unsigned x)
{
    unsigned e = x >> 3 & 15, m = x & 7;
    if (x == 0x7f) return 0;
    if (e == 0) return (float)m * 0x1p-10f;
    return f32_bits((e + 119) << 23 | m << 20);
}

/* 4 E4M3 scales, one for 16 elements | for each 16: 8 bytes, low halves first. E2M1 doubled. */
void quant_decode_nvfp4(const uint8_t *b, struct quant_block *o)
{
    for (int g = 0; g < 4; g++) {
        o->scale[g] = e4m3_half(b[g]);
        for (int j = 0; j < 8; j++) {
            unsigned byte = b[4 + 8 * g + j];
            o->q[16 * g + j] = quant_e2m1[byte & 15];
            o->q[16 * g + 8 + j] = quant_e2m1[byte >> 4];
        }
    }
}

/* f16 d | bits[16]: d or -d */
void quant_decode_q1_0(const uint8_t *b, struct quant_block *o)
{
    for (int g = 0; g < 4; g++) o->scale[g] = half_to_f32(quant_u16(b));
    for (int i = 0; i < 128; i++) o->q[i] = (int8_t)((b[2 + i / 8] >> i % 8 & 1) * 2 - 1);
}

/* f16 d | bit pairs in order[16]: less 1 */
void quant_decode_q2_0(const uint8_t *b, struct quant_block *o)
{
    o->scale[0] = o->scale[1] = half_to_f32(quant_u16(b));
    for (int i = 0; i < 64; i++) o->q[i] = (int8_t)((b[2 + i / 4] >> i % 4 * 2 & 3) - 1);
}
