/* SPDX-License-Identifier: Apache-2.0
 *
 * kern/ref/quant_block.c: what the blocks of 32 elements and the K blocks (256) mean, byte by
 * byte.
 *
 * Layouts are those of GGUF files (ggml-common.h, the block_* structs; values as gguf-py's
 * quants.py computes them, to the bit): the product scale * q and the difference with min are
 * each one F32 operation, and a group's scale is the product of the block's F16 factor and the
 * group's small integer, which is exact in F32.
 */
#include "kern/quant.h"

#include "base/half.h"

const int8_t quant_iq4[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                              1,    13,   25,  38,  53,  69,  89,  113};
const int8_t quant_e2m1[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

static float half_at(const uint8_t *p) { return half_to_f32(quant_u16(p)); }

/* 32 elements in 16 bytes: element j is the low half of byte j, element j + 16 its high half. */
static void nibbles(const uint8_t *p, int8_t *q, int offset)
{
    for (int j = 0; j < 16; j++) {
        q[j] = (int8_t)((p[j] & 15) - offset);
        q[j + 16] = (int8_t)((p[j] >> 4) - offset);
    }
}

static void nibbles_of(const uint8_t *p, int8_t *q, const int8_t table[16])
{
    for (int j = 0; j < 16; j++) {
        q[j] = table[p[j] & 15];
        q[j + 16] = table[p[j] >> 4];
    }
}

/* A fifth bit from 32 bits in order: worth 16 when set. */
static void fifth_bits(uint32_t bits, int8_t *q)
{
    for (int j = 0; j < 32; j++) q[j] = (int8_t)(q[j] + (bits >> j & 1) * 16);
}

/* f16 d | nibbles */
void quant_decode_q4_0(const uint8_t *b, struct quant_block *o)
{
    o->scale[0] = half_at(b);
    nibbles(b + 2, o->q, 8);
}

/* f16 d | f16 m | nibbles */
void quant_decode_q4_1(const uint8_t *b, struct quant_block *o)
{
    o->scale[0] = half_at(b);
    o->min[0] = -half_at(b + 2);
    nibbles(b + 4, o->q, 0);
}

/* f16 d | u32 fifth bits | nibbles */
void quant_decode_q5_0(const uint8_t *b, struct quant_block *o)
{
    o->scale[0] = half_at(b);
    nibbles(b + 6, o->q, 16);
    fifth_bits(quant_u32(b + 2), o->q);
}

/* f16 d | f16 m | u32 fifth bits | nibbles */
void quant_decode_q5_1(const uint8_t *b, struct quant_block *o)
{
    o->scale[0] = half_at(b);
    o->min[0] = -half_at(b + 2);
    nibbles(b + 8, o->q, 0);
    fifth_bits(quant_u32(b + 4), o->q);
}

/* f16 d | int8[32] */
void quant_decode_q8_0(const uint8_t *b, struct quant_block *o)
{
    o->scale[0] = half_at(b);
    for (int j = 0; j < 32; j++) o->q[j] = (int8_t)b[2 + j];
}

/* Two bits of 256 elements in 64 bytes: in each half of 128, element 32 * j + l is bits 2j of byte
 * l. */
static void bit_pairs(const uint8_t *p, int8_t *q)
{
    for (int i = 0; i < 256; i++) q[i] = (int8_t)(p[i / 128 * 32 + i % 32] >> i % 128 / 32 * 2 & 3);
}

/* 16 bytes: scale in the low half, min in the high | bit pairs[64] | f16 d | f16 dmin */
void quant_decode_q2_k(const uint8_t *b, struct quant_block *o)
{
    float d = half_at(b + 80), dmin = half_at(b + 82);
    for (int g = 0; g < 16; g++) {
        o->scale[g] = d * (float)(b[g] & 15);
        o->min[g] = dmin * (float)(b[g] >> 4);
    }
    bit_pairs(b + 16, o->q);
}

/* third bits[32] | bit pairs[64] | 16 6-bit scales in 12 bytes | f16 d. A clear third bit takes 4
 * away. */
void quant_decode_q3_k(const uint8_t *b, struct quant_block *o)
{
    const uint8_t *s = b + 96;
    float d = half_at(b + 108);
    for (int g = 0; g < 16; g++) {
        int low = g < 8 ? s[g] & 15 : s[g - 8] >> 4, high = s[8 + g % 4] >> g / 4 * 2 & 3;
        o->scale[g] = d * (float)((low | high << 4) - 32);
    }
    bit_pairs(b + 32, o->q);
    for (int i = 0; i < 256; i++)
        if (!(b[i % 32] >> i / 32 & 1)) o->q[i] = (int8_t)(o->q[i] - 4);
}

void quant_k_scales(const uint8_t *p, uint8_t scale[8], uint8_t min[8])
{
    for (int j = 0; j < 4; j++) {
        scale[j] = p[j] & 63;
        min[j] = p[j + 4] & 63;
        scale[j + 4] = (uint8_t)((p[j + 8] & 15) | p[j] >> 6 << 4);
        min[j + 4] = (uint8_t)(p[j + 8] >> 4 | p[j + 4] >> 6 << 4);
    }
}

/* The head of Q4_K and Q5_K: f16 d | f16 dmin | 8 scales and mins of 6 bits in 12 bytes */
static void k_head(const uint8_t *b, struct quant_block *o)
{
    float d = half_at(b), dmin = half_at(b + 2);
    uint8_t scale[8], min[8];
    quant_k_scales(b + 4, scale, min);
    for (int g = 0; g < 8; g++) {
        o->scale[g] = d * (float)scale[g];
        o->min[g] = dmin * (float)min[g];
    }
}

/* In each 64 elements the low halves of 32 bytes, then their high halves. */
static void nibbles_of_64(const uint8_t *p, int8_t *q)
{
    for (int i = 0; i < 256; i++) q[i] = (int8_t)(p[i / 64 * 32 + i % 32] >> i % 64 / 32 * 4 & 15);
}

/* head | nibbles[128] */
void quant_decode_q4_k(const uint8_t *b, struct quant_block *o)
{
    k_head(b, o);
    nibbles_of_64(b + 16, o->q);
}

/* head | fifth bits[32]: bit g of byte l belongs to element 32 * g + l | nibbles[128] */
void quant_decode_q5_k(const uint8_t *b, struct quant_block *o)
{
    k_head(b, o);
    nibbles_of_64(b + 48, o->q);
    for (int i = 0; i < 256; i++) o->q[i] = (int8_t)(o->q[i] + (b[16 + i % 32] >> i / 32 & 1) * 16);
}

/* low four bits[128] | high two bits[64] | int8 scale[16] | f16 d. In each half of 128, element
 * 32 * j + l has its low bits in byte 32 * (j % 2) + l, low half for j < 2, and its high bits at
 * 2j of byte l. */
void quant_decode_q6_k(const uint8_t *b, struct quant_block *o)
{
    float d = half_at(b + 208);
    for (int g = 0; g < 16; g++) o->scale[g] = d * (float)(int8_t)b[192 + g];
    for (int i = 0; i < 256; i++) {
        int half = i / 128, j = i % 128 / 32, l = i % 32;
        int low = b[half * 64 + j % 2 * 32 + l] >> j / 2 * 4 & 15;
        int high = b[128 + half * 32 + l] >> 2 * j & 3;
        o->q[i] = (int8_t)((low | high << 4) - 32);
    }
}

/* as Q4_0, the nibble an index into the table */
void quant_decode_iq4_nl(const uint8_t *b, struct quant_block *o)
{
    o->scale[0] = half_at(b);
    nibbles_of(b + 2, o->q, quant_iq4);
}

/* f16 d | u16: 8 upper scale bits in pairs | 8 lower halves of scales[4] | nibbles of 32
 * elements[16] * 8 */
void quant_decode_iq4_xs(const uint8_t *b, struct quant_block *o)
{
    float d = half_at(b);
    unsigned high = quant_u16(b + 2);
    for (int g = 0; g < 8; g++) {
        int scale = (b[4 + g / 2] >> g % 2 * 4 & 15) | (int)(high >> 2 * g & 3) << 4;
        o->scale[g] = d * (float)(scale - 32);
        nibbles_of(b + 8 + 16 * g, o->q + 32 * g, quant_iq4);
    }
}

/* e8m0 exponent | nibbles of E2M1. The table is doubled, so the scale is 2^(e - 128); below e = 2
 * that is subnormal. */
void quant_decode_mxfp4(const uint8_t *b, struct quant_block *o)
{
    o->scale[0] = f32_bits(b[0] < 2 ? 0x00200000u << b[0] : (uint32_t)(b[0] - 1) << 23);
    nibbles_of(b + 1, o->q, quant_e2m1);
}
