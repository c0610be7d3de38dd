/* SPDX-License-Identifier: Apache-2.0
 *
 * kern/x86/quant_avx2.h: how blocks become bytes in registers of 32, for the AVX2 files of
 * quantised weights; and the form of their panels.
 */
#ifndef KERN_X86_QUANT_AVX2_H
#define KERN_X86_QUANT_AVX2_H

#include <immintrin.h>
#include <string.h>

#include "kern/quant_grid.h"

#define INLINE static inline __attribute__((always_inline))
/* Before a loop with a constant count: its arrays of vectors become registers. */
#ifdef __clang__
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

/* Keeps the compiler from reordering sums, which in a tile that fills the registers only makes it
 * run out of them. */
#define HOLD(x) __asm__("" : "+x"(x))

INLINE __m256i load32(const void *p) { return _mm256_loadu_si256((const __m256i *)p); }
INLINE __m128i load16(const void *p) { return _mm_loadu_si128((const __m128i *)p); }
INLINE __m256i masked(__m256i x, int mask)
{
    return _mm256_and_si256(x, _mm256_set1_epi8((char)mask));
}
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
/* Two F16 numbers; one. */
INLINE __m128 halves_at(const uint8_t *p)
{
    return _mm_cvtph_ps(_mm_cvtsi32_si128((int)u32_at(p)));
}
INLINE __m128 half_at(const uint8_t *p) { return _mm_cvtph_ps(_mm_cvtsi32_si128(quant_u16(p))); }

INLINE void prefetch_lines(const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i += 64) _mm_prefetch((const char *)p + i, _MM_HINT_T0);
}
enum { PREFETCH_AHEAD = 4096 };

/* ---- four blocks of 32, in the order of ACT_Q8_32 ---- */

struct quad {
    __m256i lo0, lo1, hi0, hi1; /* bytes 0-31, 32-63, ... of the step's 128 */
    __m128 d, m;                /* of the four blocks */
};
typedef struct quad quad_fn(const uint8_t *p);

/* 16 bytes of each of four blocks, taking turns every 4 bytes. */
INLINE void in_turn(__m128i b0, __m128i b1, __m128i b2, __m128i b3, __m256i *x0, __m256i *x1)
{
    __m256i even = _mm256_inserti128_si256(_mm256_castsi128_si256(b0), b2, 1);
    __m256i odd = _mm256_inserti128_si256(_mm256_castsi128_si256(b1), b3, 1);
    *x0 = _mm256_permute4x64_epi64(_mm256_unpacklo_epi32(even, odd), 0xd8);
    *x1 = _mm256_permute4x64_epi64(_mm256_unpackhi_epi32(even, odd), 0xd8);
}
INLINE void nibbles_of(struct quad *q, const uint8_t *p, size_t bytes)
{
    __m256i x0, x1;
    in_turn(load16(p), load16(p + bytes), load16(p + 2 * bytes), load16(p + 3 * bytes), &x0, &x1);
    q->lo0 = masked(x0, 15);
    q->lo1 = masked(x1, 15);
    q->hi0 = masked(_mm256_srli_epi16(x0, 4), 15);
    q->hi1 = masked(_mm256_srli_epi16(x1, 4), 15);
}
INLINE __m128 four_halves(const uint8_t *p, size_t bytes)
{
    __m128i h = _mm_cvtsi32_si128(quant_u16(p));
    h = _mm_insert_epi16(h, quant_u16(p + bytes), 1);
    h = _mm_insert_epi16(h, quant_u16(p + 2 * bytes), 2);
    h = _mm_insert_epi16(h, quant_u16(p + 3 * bytes), 3);
    return _mm_cvtph_ps(h);
}
/* 16 to every byte whose bit is set: bits[b] are those of block b, elements 0-31. */
INLINE __m256i fifth(__m256i q, __m256i bits, int byte)
{
    /* Lane l of a register holds elements 4 l .. 4 l + 3 of its 8; byte: which of the 4 of bits. */
    const __m256i at = _mm256_setr_epi32(0, 0x04040404, 0x08080808, 0x0c0c0c0c, 0, 0x04040404,
                                         0x08080808, 0x0c0c0c0c);
    const __m256i bit =
        _mm256_setr_epi32(0x08040201, 0x08040201, 0x08040201, 0x08040201, (int)0x80402010,
                          (int)0x80402010, (int)0x80402010, (int)0x80402010);
    __m256i b = _mm256_shuffle_epi8(bits, _mm256_or_si256(at, _mm256_set1_epi8((char)byte)));
    b = _mm256_cmpeq_epi8(_mm256_and_si256(b, bit), bit);
    return _mm256_or_si256(q, masked(b, 16));
}
INLINE void fifth_bits(struct quad *q, const uint8_t *p, size_t bytes)
{
    __m256i bits = _mm256_broadcastsi128_si256(
        _mm_setr_epi32((int)u32_at(p), (int)u32_at(p + bytes), (int)u32_at(p + 2 * bytes),
                       (int)u32_at(p + 3 * bytes)));
    q->lo0 = fifth(q->lo0, bits, 0);
    q->lo1 = fifth(q->lo1, bits, 1);
    q->hi0 = fifth(q->hi0, bits, 2);
    q->hi1 = fifth(q->hi1, bits, 3);
}
INLINE void look_up(struct quad *q, const int8_t table[16])
{
    __m256i t = _mm256_broadcastsi128_si256(load16(table));
    q->lo0 = _mm256_shuffle_epi8(t, q->lo0);
    q->lo1 = _mm256_shuffle_epi8(t, q->lo1);
    q->hi0 = _mm256_shuffle_epi8(t, q->hi0);
    q->hi1 = _mm256_shuffle_epi8(t, q->hi1);
}

INLINE struct quad quad_q4_0(const uint8_t *p)
{
    struct quad q = {.d = four_halves(p, 18)};
    nibbles_of(&q, p + 2, 18);
    return q;
}
INLINE struct quad quad_q4_1(const uint8_t *p)
{
    struct quad q = {.d = four_halves(p, 20), .m = four_halves(p + 2, 20)};
    nibbles_of(&q, p + 4, 20);
    return q;
}
INLINE struct quad quad_q5_0(const uint8_t *p)
{
    struct quad q = {.d = four_halves(p, 22)};
    nibbles_of(&q, p + 6, 22);
    fifth_bits(&q, p + 2, 22);
    return q;
}
INLINE struct quad quad_q5_1(const uint8_t *p)
{
    struct quad q = {.d = four_halves(p, 24), .m = four_halves(p + 2, 24)};
    nibbles_of(&q, p + 8, 24);
    fifth_bits(&q, p + 4, 24);
    return q;
}
INLINE struct quad quad_q8_0(const uint8_t *p) /* signed */
{
    struct quad q = {.d = four_halves(p, 34)};
    in_turn(load16(p + 2), load16(p + 36), load16(p + 70), load16(p + 104), &q.lo0, &q.lo1);
    in_turn(load16(p + 18), load16(p + 52), load16(p + 86), load16(p + 120), &q.hi0, &q.hi1);
    return q;
}
INLINE struct quad quad_iq4_nl(const uint8_t *p) /* signed */
{
    struct quad q = quad_q4_0(p);
    look_up(&q, quant_iq4);
    return q;
}
INLINE struct quad quad_mxfp4(const uint8_t *p) /* signed */
{
    /* 2^(e - 128): an exponent field of e - 1, or below 2 a subnormal. */
    __m128i e = _mm_setr_epi32(p[0], p[17], p[34], p[51]);
    __m128i normal = _mm_slli_epi32(_mm_sub_epi32(e, _mm_set1_epi32(1)), 23);
    __m128i tiny = _mm_sllv_epi32(_mm_set1_epi32(0x00200000), e);
    __m128i bits = _mm_blendv_epi8(normal, tiny, _mm_cmpgt_epi32(_mm_set1_epi32(2), e));
    struct quad q = {.d = _mm_castsi128_ps(bits)};
    nibbles_of(&q, p + 1, 17);
    look_up(&q, quant_e2m1);
    return q;
}

/* ---- half a block of 256: four groups of 32, in the order of ACT_Q8_256: 0 2 1 3 ---- */

struct half {
    __m256i q0, q2, q1, q3; /* bytes; value = d * scale * (q - offset) - dmin * min */
};
typedef struct half half_fn(const uint8_t *block, int which);

/* (x >> n or << -n) & mask */
INLINE __m256i bits_of(__m256i x, int n, int mask)
{
    return masked(n >= 0 ? _mm256_srli_epi16(x, n) : _mm256_slli_epi16(x, -n), mask);
}

INLINE struct half half_q2_k(const uint8_t *p, int h)
{
    __m256i x = load32(p + 16 + 32 * h);
    return (struct half){bits_of(x, 0, 3), bits_of(x, 4, 3), bits_of(x, 2, 3), bits_of(x, 6, 3)};
}
INLINE struct half half_q3_k(const uint8_t *p, int h) /* offset 4 */
{
    struct half o = half_q2_k(p + 16, h);
    __m256i x = load32(p);
    o.q0 = _mm256_or_si256(o.q0, bits_of(x, 4 * h - 2, 4));
    o.q1 = _mm256_or_si256(o.q1, bits_of(x, 4 * h - 1, 4));
    o.q2 = _mm256_or_si256(o.q2, bits_of(x, 4 * h, 4));
    o.q3 = _mm256_or_si256(o.q3, bits_of(x, 4 * h + 1, 4));
    return o;
}
INLINE struct half nibbles_of_64(const uint8_t *p)
{
    __m256i x = load32(p), y = load32(p + 32);
    return (struct half){bits_of(x, 0, 15), bits_of(y, 0, 15), bits_of(x, 4, 15),
                         bits_of(y, 4, 15)};
}
INLINE struct half half_q4_k(const uint8_t *p, int h) { return nibbles_of_64(p + 16 + 64 * h); }
INLINE struct half half_q5_k(const uint8_t *p, int h)
{
    struct half o = nibbles_of_64(p + 48 + 64 * h);
    __m256i x = load32(p + 16);
    o.q0 = _mm256_or_si256(o.q0, bits_of(x, 4 * h - 4, 16));
    o.q1 = _mm256_or_si256(o.q1, bits_of(x, 4 * h - 3, 16));
    o.q2 = _mm256_or_si256(o.q2, bits_of(x, 4 * h - 2, 16));
    o.q3 = _mm256_or_si256(o.q3, bits_of(x, 4 * h - 1, 16));
    return o;
}
INLINE struct half half_q6_k(const uint8_t *p, int h) /* offset 32 */
{
    __m256i x = load32(p + 64 * h), y = load32(p + 64 * h + 32), z = load32(p + 128 + 32 * h);
    return (struct half){_mm256_or_si256(bits_of(x, 0, 15), bits_of(z, -4, 0x30)),
                         _mm256_or_si256(bits_of(x, 4, 15), bits_of(z, 0, 0x30)),
                         _mm256_or_si256(bits_of(y, 0, 15), bits_of(z, -2, 0x30)),
                         _mm256_or_si256(bits_of(y, 4, 15), bits_of(z, 2, 0x30))};
}
INLINE __m256i iq4_group(const uint8_t *p)
{
    const __m256i shift = _mm256_setr_epi32(0, 0, 0, 0, 4, 4, 4, 4);
    __m256i x = _mm256_srlv_epi32(_mm256_broadcastsi128_si256(load16(p)), shift);
    return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(load16(quant_iq4)), masked(x, 15));
}
INLINE struct half half_iq4_xs(const uint8_t *p, int h) /* signed */
{
    p += 8 + 64 * h;
    return (struct half){iq4_group(p), iq4_group(p + 32), iq4_group(p + 16), iq4_group(p + 48)};
}

/* A block that quant_small_fn has unpacked to memory (quant_grid.h); signed. */
INLINE struct half half_small(const uint8_t *p, int h)
{
    p += 128 * h;
    return (struct half){load32(p), load32(p + 64), load32(p + 32), load32(p + 96)};
}

/* The scales of a block: 16 bytes, those of even 16 elements first, then those of odd ones (a
 * type with one for 32 has each twice); mins as words in order; d and dmin. */
struct head {
    __m128i scale;
    __m256i min;
    __m128 d;
};
typedef struct head head_fn(const uint8_t *block);

INLINE __m128i even_odd(__m128i bytes)
{
    return _mm_shuffle_epi8(bytes,
                            _mm_setr_epi8(0, 2, 4, 6, 8, 10, 12, 14, 1, 3, 5, 7, 9, 11, 13, 15));
}
INLINE struct head head_q2_k(const uint8_t *p)
{
    __m128i s = load16(p), low = _mm_set1_epi8(15);
    return (struct head){even_odd(_mm_and_si128(s, low)),
                         _mm256_cvtepu8_epi16(_mm_and_si128(_mm_srli_epi16(s, 4), low)),
                         halves_at(p + 80)};
}
INLINE struct head head_q3_k(const uint8_t *p)
{
    uint64_t low = u64_at(p + 96), high = u32_at(p + 104);
    uint64_t s0 =
        (low & 0x0f0f0f0f0f0f0f0f) | (high << 4 & 0x30303030) | (high << 34 & 0x3030303000000000);
    uint64_t s1 =
        (low >> 4 & 0x0f0f0f0f0f0f0f0f) | (high & 0x30303030) | (high << 30 & 0x3030303000000000);
    __m128i s = _mm_sub_epi8(_mm_set_epi64x((long long)s1, (long long)s0), _mm_set1_epi8(32));
    return (struct head){even_odd(s), _mm256_setzero_si256(), half_at(p + 108)};
}
INLINE struct head head_q4_k(const uint8_t *p)
{
    uint64_t first = u64_at(p + 4), low = u32_at(p + 12);
    low = (low & 0x0f0f0f0f) | (low << 28 & 0x0f0f0f0f00000000);
    /* scales 0-3, mins 0-3, scales 4-7, mins 4-7 */
    __m128i all = _mm_set_epi64x((long long)((first >> 2 & 0x3030303030303030) | low),
                                 (long long)(first & 0x3f3f3f3f3f3f3f3f));
    __m128i mins = _mm_shuffle_epi8(
        all, _mm_setr_epi8(4, 4, 5, 5, 6, 6, 7, 7, 12, 12, 13, 13, 14, 14, 15, 15));
    return (struct head){
        _mm_shuffle_epi8(all, _mm_setr_epi8(0, 1, 2, 3, 8, 9, 10, 11, 0, 1, 2, 3, 8, 9, 10, 11)),
        _mm256_cvtepu8_epi16(mins), halves_at(p)};
}
INLINE struct head head_q5_k(const uint8_t *p) { return head_q4_k(p); }
INLINE struct head head_q6_k(const uint8_t *p)
{
    return (struct head){even_odd(load16(p + 192)), _mm256_setzero_si256(), half_at(p + 208)};
}
INLINE struct head head_iq4_xs(const uint8_t *p)
{
    uint64_t low = u32_at(p + 4), high = quant_u16(p + 2);
    low = (low | low << 16) & 0x0000ffff0000ffff; /* 8 nibbles to 8 bytes */
    low = (low | low << 8) & 0x00ff00ff00ff00ff;
    low = (low | low << 4) & 0x0f0f0f0f0f0f0f0f;
    high =
        (high | high << 24) & 0x000000ff000000ff; /* 8 pairs of bits to bits 4 and 5 of 8 bytes */
    high = (high | high << 12) & 0x000f000f000f000f;
    high = (high | high << 6) & 0x0303030303030303;
    __m128i s = _mm_set1_epi64x((long long)(low | high << 4));
    return (struct head){_mm_sub_epi8(s, _mm_set1_epi8(32)), _mm256_setzero_si256(), half_at(p)};
}

INLINE struct head head_small(const uint8_t *p)
{
    const struct quant_small *t = (const struct quant_small *)(const void *)p;
    return (struct head){even_odd(load16(t->scale)), _mm256_setzero_si256(), _mm_set_ss(t->d)};
}

/* ---- sums ---- */

INLINE __m128 sum4_ps(__m256 a, __m256 b, __m256 c, __m256 d)
{
    __m256 s = _mm256_hadd_ps(_mm256_hadd_ps(a, b), _mm256_hadd_ps(c, d));
    return _mm_add_ps(_mm256_castps256_ps128(s), _mm256_extractf128_ps(s, 1));
}

kern_quant_fn quant_q8_32_avx2, quant_q8_256_avx2;
kern_mul_fn mul_q4_0_avx2, mul_q4_1_avx2, mul_q5_0_avx2, mul_q5_1_avx2, mul_q8_0_avx2,
    mul_iq4_nl_avx2, mul_mxfp4_avx2, mul_q2_k_avx2, mul_q3_k_avx2, mul_q4_k_avx2, mul_q5_k_avx2,
    mul_q6_k_avx2, mul_iq4_xs_avx2, mul_iq1_s_avx2, mul_iq1_m_avx2, mul_iq2_xxs_avx2,
    mul_iq2_xs_avx2, mul_iq2_s_avx2, mul_iq3_xxs_avx2, mul_iq3_s_avx2, mul_tq1_0_avx2,
    mul_tq2_0_avx2;

#endif
