/* SPDX-License-Identifier: Apache-2.0
 *
 * kern/arm/quant_dot.h: how blocks become signed bytes in registers of 16, for the NEON files of
 * quantised weights (dot product instructions), and the form of their panels.
 *
 * SDOT multiplies signed bytes exactly, so offsets are taken off at once and nothing else needs
 * care.
 */
#ifndef KERN_ARM_QUANT_DOT_H
#define KERN_ARM_QUANT_DOT_H

#include <arm_neon.h>
#include <string.h>

#include "kern/quant_grid.h"

#define INLINE static inline __attribute__((always_inline))
#ifdef __clang__
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

INLINE uint32_t u32_at(const uint8_t *p)
{
    uint32_t u;
    memcpy(&u, p, 4);
    return u;
}
INLINE uint64_t u64_at(const uint8_t *p)
{
    uint64_t u;
    memcpy(&u, p, 8);
    return u;
}
INLINE float half_at(const uint8_t *p)
{
    float16x4_t h = vreinterpret_f16_u16(vdup_n_u16(quant_u16(p)));
    return vgetq_lane_f32(vcvt_f32_f16(h), 0);
}
INLINE int8x16_t low4(uint8x16_t x) { return vreinterpretq_s8_u8(vandq_u8(x, vdupq_n_u8(15))); }
INLINE int8x16_t high4(uint8x16_t x) { return vreinterpretq_s8_u8(vshrq_n_u8(x, 4)); }
INLINE int8x16_t less(int8x16_t x, int offset) { return vsubq_s8(x, vdupq_n_s8((int8_t)offset)); }
INLINE int8x16_t with(int8x16_t x, uint8x16_t bits)
{
    return vorrq_s8(x, vreinterpretq_s8_u8(bits));
}

/* ---- four blocks of 32, in the order of ACT_Q8_32 ---- */

struct quad {
    int8x16_t lo[4], hi[4]; /* place i of the halves: word b is block b's */
    float32x4_t d, m;       /* of the four blocks */
};
typedef void quad_fn(const uint8_t *p, struct quad *q);

/* 16 bytes of each of four blocks at x[b]: their words take turns. */
INLINE void in_turn(const uint8x16_t x[4], uint8x16_t y[4])
{
    uint32x4_t a = vreinterpretq_u32_u8(x[0]), b = vreinterpretq_u32_u8(x[1]);
    uint32x4_t c = vreinterpretq_u32_u8(x[2]), d = vreinterpretq_u32_u8(x[3]);
    uint64x2_t ab0 = vreinterpretq_u64_u32(vtrn1q_u32(a, b)),
               cd0 = vreinterpretq_u64_u32(vtrn1q_u32(c, d));
    uint64x2_t ab1 = vreinterpretq_u64_u32(vtrn2q_u32(a, b)),
               cd1 = vreinterpretq_u64_u32(vtrn2q_u32(c, d));
    y[0] = vreinterpretq_u8_u64(vtrn1q_u64(ab0, cd0));
    y[1] = vreinterpretq_u8_u64(vtrn1q_u64(ab1, cd1));
    y[2] = vreinterpretq_u8_u64(vtrn2q_u64(ab0, cd0));
    y[3] = vreinterpretq_u8_u64(vtrn2q_u64(ab1, cd1));
}
INLINE void bytes_in_turn(const uint8_t *p, size_t bytes, uint8x16_t y[4])
{
    uint8x16_t x[4] = {vld1q_u8(p), vld1q_u8(p + bytes), vld1q_u8(p + 2 * bytes),
                       vld1q_u8(p + 3 * bytes)};
    in_turn(x, y);
}
INLINE void nibbles_of(struct quad *q, const uint8_t *p, size_t bytes, int offset)
{
    uint8x16_t y[4];
    bytes_in_turn(p, bytes, y);
    UNROLL
    for (int i = 0; i < 4; i++) {
        q->lo[i] = less(low4(y[i]), offset);
        q->hi[i] = less(high4(y[i]), offset);
    }
}
INLINE float32x4_t four_halves(const uint8_t *p, size_t bytes)
{
    uint16x4_t h = vdup_n_u16(quant_u16(p));
    h = vset_lane_u16(quant_u16(p + bytes), h, 1);
    h = vset_lane_u16(quant_u16(p + 2 * bytes), h, 2);
    h = vset_lane_u16(quant_u16(p + 3 * bytes), h, 3);
    return vcvt_f32_f16(vreinterpret_f16_u16(h));
}
/* 16 where a block's bit is set; bits[b] are those of block b, elements 0-31. */
INLINE void fifth_bits(struct quad *q, const uint8_t *p, size_t bytes, int offset)
{
    static const uint8_t bit[32] = {1,  2,   4,  8,  1,  2,   4,  8,  1,   2,  4,
                                    8,  1,   2,  4,  8,  16,  32, 64, 128, 16, 32,
                                    64, 128, 16, 32, 64, 128, 16, 32, 64,  128};
    static const uint8_t at[16] = {0, 0, 0, 0, 4, 4, 4, 4, 8, 8, 8, 8, 12, 12, 12, 12};
    uint32_t all[4] = {u32_at(p), u32_at(p + bytes), u32_at(p + 2 * bytes), u32_at(p + 3 * bytes)};
    uint8x16_t bits = vreinterpretq_u8_u32(vld1q_u32(all)), first = vld1q_u8(at);
    UNROLL
    for (int i = 0; i < 4; i++) { /* place i: byte i / 2 of a half's two, its low or high bits */
        uint8x16_t which = vld1q_u8(bit + 16 * (i % 2));
        uint8x16_t lo = vqtbl1q_u8(bits, vaddq_u8(first, vdupq_n_u8((uint8_t)(i / 2))));
        uint8x16_t hi = vqtbl1q_u8(bits, vaddq_u8(first, vdupq_n_u8((uint8_t)(i / 2 + 2))));
        q->lo[i] = less(with(q->lo[i], vandq_u8(vtstq_u8(lo, which), vdupq_n_u8(16))), offset);
        q->hi[i] = less(with(q->hi[i], vandq_u8(vtstq_u8(hi, which), vdupq_n_u8(16))), offset);
    }
}
INLINE void look_up(struct quad *q, const int8_t table[16])
{
    int8x16_t t = vld1q_s8(table);
    UNROLL
    for (int i = 0; i < 4; i++) {
        q->lo[i] = vqtbl1q_s8(t, vreinterpretq_u8_s8(q->lo[i]));
        q->hi[i] = vqtbl1q_s8(t, vreinterpretq_u8_s8(q->hi[i]));
    }
}

INLINE void quad_q4_0(const uint8_t *p, struct quad *q)
{
    q->d = four_halves(p, 18);
    nibbles_of(q, p + 2, 18, 8);
}
INLINE void quad_q4_1(const uint8_t *p, struct quad *q)
{
    q->d = four_halves(p, 20);
    q->m = four_halves(p + 2, 20);
    nibbles_of(q, p + 4, 20, 0);
}
INLINE void quad_q5_0(const uint8_t *p, struct quad *q)
{
    q->d = four_halves(p, 22);
    nibbles_of(q, p + 6, 22, 0);
    fifth_bits(q, p + 2, 22, 16);
}
INLINE void quad_q5_1(const uint8_t *p, struct quad *q)
{
    q->d = four_halves(p, 24);
    q->m = four_halves(p + 2, 24);
    nibbles_of(q, p + 8, 24, 0);
    fifth_bits(q, p + 4, 24, 0);
}
INLINE void quad_q8_0(const uint8_t *p, struct quad *q)
{
    uint8x16_t lo[4], hi[4];
    q->d = four_halves(p, 34);
    bytes_in_turn(p + 2, 34, lo);
    bytes_in_turn(p + 18, 34, hi);
    UNROLL
    for (int i = 0; i < 4; i++) {
        q->lo[i] = vreinterpretq_s8_u8(lo[i]);
        q->hi[i] = vreinterpretq_s8_u8(hi[i]);
    }
}
INLINE void quad_iq4_nl(const uint8_t *p, struct quad *q)
{
    q->d = four_halves(p, 18);
    nibbles_of(q, p + 2, 18, 0);
    look_up(q, quant_iq4);
}
INLINE void quad_mxfp4(const uint8_t *p, struct quad *q)
{
    /* 2^(e - 128): an exponent field of e - 1, or below 2 a subnormal. */
    uint32_t e[4];
    UNROLL
    for (int b = 0; b < 4; b++)
        e[b] = p[17 * b] < 2 ? 0x00200000u << p[17 * b] : (uint32_t)(p[17 * b] - 1) << 23;
    q->d = vreinterpretq_f32_u32(vld1q_u32(e));
    nibbles_of(q, p + 1, 17, 0);
    look_up(q, quant_e2m1);
}

/* ---- half a block of 256, in the order of ACT_Q8_256: groups 0 2 1 3, two registers each ---- */

struct half {
    int8x16_t q[8];
};
typedef void half_fn(const uint8_t *block, int which, struct half *o);

INLINE uint8x16_t shifted(uint8x16_t x, int right, int mask)
{
    uint8x16_t y = vshlq_u8(x, vdupq_n_s8((int8_t)-right));
    return vandq_u8(y, vdupq_n_u8((uint8_t)mask));
}
/* 32 bytes whose bit pairs 0..3 are the groups 0..3 */
INLINE void pairs_of(const uint8_t *p, struct half *o)
{
    UNROLL
    for (int i = 0; i < 2; i++) {
        uint8x16_t x = vld1q_u8(p + 16 * i);
        o->q[i] = vreinterpretq_s8_u8(shifted(x, 0, 3));
        o->q[2 + i] = vreinterpretq_s8_u8(shifted(x, 4, 3));
        o->q[4 + i] = vreinterpretq_s8_u8(shifted(x, 2, 3));
        o->q[6 + i] = vreinterpretq_s8_u8(shifted(x, 6, 3));
    }
}
INLINE void half_q2_k(const uint8_t *p, int h, struct half *o) { pairs_of(p + 16 + 32 * h, o); }
INLINE void half_q3_k(const uint8_t *p, int h, struct half *o)
{
    static const int group[4] = {0, 2, 1, 3};
    pairs_of(p + 32 + 32 * h, o);
    UNROLL
    for (int i = 0; i < 8; i++) {
        uint8x16_t third = vld1q_u8(p + 16 * (i % 2));
        o->q[i] = less(with(o->q[i], shifted(third, 4 * h + group[i / 2] - 2, 4)), 4);
    }
}
INLINE void nibbles_of_64(const uint8_t *p, struct half *o)
{
    UNROLL
    for (int i = 0; i < 4; i++) {
        uint8x16_t x = vld1q_u8(p + 16 * i);
        o->q[i] = low4(x);
        o->q[4 + i] = high4(x);
    }
}
INLINE void half_q4_k(const uint8_t *p, int h, struct half *o)
{
    nibbles_of_64(p + 16 + 64 * h, o);
}
INLINE void half_q5_k(const uint8_t *p, int h, struct half *o)
{
    static const int group[4] = {0, 2, 1, 3};
    nibbles_of_64(p + 48 + 64 * h, o);
    UNROLL
    for (int i = 0; i < 8; i++) {
        uint8x16_t fifth = vld1q_u8(p + 16 + 16 * (i % 2));
        o->q[i] = with(o->q[i], shifted(fifth, 4 * h + group[i / 2] - 4, 16));
    }
}
INLINE void half_q6_k(const uint8_t *p, int h, struct half *o)
{
    UNROLL
    for (int i = 0; i < 2; i++) {
        uint8x16_t x = vld1q_u8(p + 64 * h + 16 * i), y = vld1q_u8(p + 64 * h + 32 + 16 * i);
        uint8x16_t z = vld1q_u8(p + 128 + 32 * h + 16 * i);
        o->q[i] = less(with(low4(x), shifted(z, -4, 0x30)), 32);
        o->q[2 + i] = less(with(high4(x), shifted(z, 0, 0x30)), 32);
        o->q[4 + i] = less(with(low4(y), shifted(z, -2, 0x30)), 32);
        o->q[6 + i] = less(with(high4(y), shifted(z, 2, 0x30)), 32);
    }
}
INLINE void half_iq4_xs(const uint8_t *p, int h, struct half *o)
{
    static const int group[4] = {0, 2, 1, 3};
    int8x16_t t = vld1q_s8(quant_iq4);
    UNROLL
    for (int i = 0; i < 4; i++) {
        uint8x16_t x = vld1q_u8(p + 8 + 64 * h + 16 * group[i]);
        o->q[2 * i] = vqtbl1q_s8(t, vandq_u8(x, vdupq_n_u8(15)));
        o->q[2 * i + 1] = vqtbl1q_s8(t, vshrq_n_u8(x, 4));
    }
}

/* A block that quant_small_fn has unpacked to memory (quant_grid.h). */
INLINE void half_small(const uint8_t *p, int h, struct half *o)
{
    static const int group[4] = {0, 2, 1, 3};
    UNROLL
    for (int i = 0; i < 8; i++)
        o->q[i] = vreinterpretq_s8_u8(vld1q_u8(p + 128 * h + 32 * group[i / 2] + 16 * (i % 2)));
}

/* The scales of a block in order, 16 or 8 of them; mins, 16 or 8; d and dmin. */
struct head {
    int8_t scale[16];
    uint8_t min[16];
    float d, dmin;
};
typedef void head_fn(const uint8_t *block, struct head *o);

INLINE void head_q2_k(const uint8_t *p, struct head *o)
{
    uint8x16_t x = vld1q_u8(p);
    vst1q_s8(o->scale, low4(x));
    vst1q_u8(o->min, vshrq_n_u8(x, 4));
    o->d = half_at(p + 80);
    o->dmin = half_at(p + 82);
}
INLINE void head_q3_k(const uint8_t *p, struct head *o)
{
    uint64_t low = u64_at(p + 96), high = u32_at(p + 104), s[2];
    s[0] =
        (low & 0x0f0f0f0f0f0f0f0f) | (high << 4 & 0x30303030) | (high << 34 & 0x3030303000000000);
    s[1] =
        (low >> 4 & 0x0f0f0f0f0f0f0f0f) | (high & 0x30303030) | (high << 30 & 0x3030303000000000);
    vst1q_s8(o->scale, less(vreinterpretq_s8_u64(vld1q_u64(s)), 32));
    o->d = half_at(p + 108);
}
INLINE void head_q4_k(const uint8_t *p, struct head *o)
{
    uint64_t first = u64_at(p + 4), low = u32_at(p + 12);
    uint64_t a = first & 0x3f3f3f3f3f3f3f3f; /* scales 0-3, mins 0-3 */
    uint64_t b = (first >> 2 & 0x3030303030303030) | (low & 0x0f0f0f0f) |
                 (low << 28 & 0x0f0f0f0f00000000); /* scales 4-7, mins 4-7 */
    uint64_t s = (a & 0xffffffff) | b << 32, m = a >> 32 | (b & 0xffffffff00000000);
    memcpy(o->scale, &s, 8);
    memcpy(o->min, &m, 8);
    o->d = half_at(p);
    o->dmin = half_at(p + 2);
}
INLINE void head_q5_k(const uint8_t *p, struct head *o) { head_q4_k(p, o); }
INLINE void head_q6_k(const uint8_t *p, struct head *o)
{
    memcpy(o->scale, p + 192, 16);
    o->d = half_at(p + 208);
}
INLINE void head_iq4_xs(const uint8_t *p, struct head *o)
{
    unsigned low = u32_at(p + 4), high = quant_u16(p + 2);
    UNROLL
    for (int g = 0; g < 8; g++)
        o->scale[g] = (int8_t)((int)((low >> 4 * g & 15) | (high >> 2 * g & 3) << 4) - 32);
    o->d = half_at(p);
}

INLINE void head_small(const uint8_t *p, struct head *o)
{
    const struct quant_small *t = (const struct quant_small *)(const void *)p;
    memcpy(o->scale, t->scale, 16);
    o->d = t->d;
}

/* ---- panels ----
 *
 * 8 rows. A line is one 4-byte word of all rows, 4 elements of each in the order of the
 * activations.
 *   ACT_Q8_32, a step is 128 elements: 32 lines (8 of each of 4 blocks) | F32 d: 4 | F32 m: 4
 *       m is -1/128 of the type's own m, for it meets the activations' plane c.
 *   ACT_Q8_256, a step is 256: 64 lines | int32 scales: 8 or 16, in the order of act_at | int32
 *       mins: 8 or 16, in order | F32 d: 1 | F32 dmin: 1 */
enum { PANEL_ROWS = 8, LINE = 4 * PANEL_ROWS };

static inline size_t lines_32(void) { return 32 + 4 + 4; }
static inline size_t lines_k(int group) { return 64 + 2 * (256 / (size_t)group) + 2; }

kern_quant_fn quant_q8_32_dot, quant_q8_256_dot;
kern_mul_fn mul_q4_0_dot, mul_q4_1_dot, mul_q5_0_dot, mul_q5_1_dot, mul_q8_0_dot, mul_iq4_nl_dot,
    mul_mxfp4_dot, mul_q2_k_dot, mul_q3_k_dot, mul_q4_k_dot, mul_q5_k_dot, mul_q6_k_dot,
    mul_iq4_xs_dot, mul_iq1_s_dot, mul_iq1_m_dot, mul_iq2_xxs_dot, mul_iq2_xs_dot, mul_iq2_s_dot,
    mul_iq3_xxs_dot, mul_iq3_s_dot, mul_tq1_0_dot, mul_tq2_0_dot;
kern_pack_fn pack_q4_0_dot, pack_q4_1_dot, pack_q5_0_dot, pack_q5_1_dot, pack_q8_0_dot,
    pack_iq4_nl_dot, pack_mxfp4_dot, pack_q2_k_dot, pack_q3_k_dot, pack_q4_k_dot, pack_q5_k_dot,
    pack_q6_k_dot, pack_iq4_xs_dot, pack_iq1_s_dot, pack_iq1_m_dot, pack_iq2_xxs_dot,
    pack_iq2_xs_dot, pack_iq2_s_dot, pack_iq3_xxs_dot, pack_iq3_s_dot, pack_tq1_0_dot,
    pack_tq2_0_dot;
kern_gemm_fn gemm_32_dot, gemm_32_min_dot, gemm_k32_dot, gemm_k32_min_dot, gemm_k16_dot,
    gemm_k16_min_dot;

#endif
