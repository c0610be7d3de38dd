/* SPDX-License-Identifier: Apache-2.0
 *
 * kern/x86/quant_quad_avx512.h: four blocks of 32 weights become two registers of unsigned
 * bytes.
 *
 * One permutation (of two loads that end with the last block, so nothing past a row is touched)
 * puts the nibbles where ACT_Q8_32 has its numbers: 4-byte word w of a register belongs to block
 * w % 4. So one register of integer sums serves four blocks, and their scales are [d0 d1 d2 d3]
 * in each quarter. Both the product of rows and the packing of panels begin here.
 */
#ifndef KERN_X86_QUANT_QUAD_AVX512_H
#define KERN_X86_QUANT_QUAD_AVX512_H

#include "kern/x86/quant_avx512.h"

/* Four blocks unpacked: first and second halves, scales, and mins where the type has them. */
struct quad {
    __m512i lo, hi; /* u8 */
    __m512i packed; /* of types of 4 bits: lo and hi as nibbles */
    __m512i picked; /* not MXFP4: d and m as they are in the file, from words 0 and 16 on */
    __m512 d;       /* d0 d1 d2 d3, four times */
    __m128 m;       /* m0 m1 m2 m3 */
};

typedef struct quad quad_fn(const uint8_t *p);

/* Index vectors for vpermt2w. Word i of the step is i in the first load; in the second, which
 * begins `skip` words later, it is 32 + i - skip. WORDS4(f): two words for each of 4 blocks and
 * 4 places. */
#define AT(i, last, skip) (short)((i) <= (last) ? (i) : 32 + (i) - (skip))
#define PAIR(b, i, words, at, last, skip)           \
    AT((words) * (b) + (at) + 2 * (i), last, skip), \
        AT((words) * (b) + (at) + 2 * (i) + 1, last, skip)
#define FOUR(i, words, at, last, skip)                                    \
    PAIR(0, i, words, at, last, skip), PAIR(1, i, words, at, last, skip), \
        PAIR(2, i, words, at, last, skip), PAIR(3, i, words, at, last, skip)
/* 16 bytes from word `at` of each block of `words` words, blocks in turn every 4 bytes. `last`: the
 * last word to take from the first load. */
#define BYTES_INDEX(words, at, last, skip)                                 \
    {                                                                      \
        FOUR(0, words, at, last, skip), FOUR(1, words, at, last, skip),    \
            FOUR(2, words, at, last, skip), FOUR(3, words, at, last, skip) \
    }
#define ONE(words, at, last, skip)                                                          \
    AT(at, last, skip), AT((words) + (at), last, skip), AT(2 * (words) + (at), last, skip), \
        AT(3 * (words) + (at), last, skip)
/* The words d (four times) and m (four times) of each block. */
#define SCALE_INDEX(words, d, m, last, skip)                                                 \
    {                                                                                        \
        ONE(words, d, last, skip), ONE(words, d, last, skip), ONE(words, d, last, skip),     \
            ONE(words, d, last, skip), ONE(words, m, last, skip), ONE(words, m, last, skip), \
            ONE(words, m, last, skip), ONE(words, m, last, skip)                             \
    }
typedef short index_words[32];

INLINE __m512i pick(const index_words index, __m512i first, __m512i second)
{
    return _mm512_permutex2var_epi16(first, _mm512_loadu_si512(index), second);
}

INLINE __m512 scales_of(__m512i picked) { return _mm512_cvtph_ps(_mm512_castsi512_si256(picked)); }
INLINE __m128 mins_of(__m512i picked) { return _mm_cvtph_ps(_mm512_extracti32x4_epi32(picked, 2)); }

INLINE void nibbles_of(struct quad *q, __m512i packed)
{
    const __m512i low = _mm512_set1_epi8(15);
    q->packed = packed;
    q->lo = _mm512_and_si512(packed, low);
    q->hi = _mm512_and_si512(_mm512_srli_epi16(packed, 4), low);
}

/* The fifth bits: bits has each block's 32 in its words. Adds 16 where set. */
INLINE void fifth_bits(struct quad *q, __m512i bits)
{
    const __m512i sixteen = _mm512_set1_epi8(16);
    /* Word w holds elements 4 * (w / 4) .. + 3 of block w % 4: byte w / 8 of its bits. */
    const __m512i byte_lo = _mm512_set_epi64(
        0x0d0d0d0d09090909, 0x0505050501010101, 0x0d0d0d0d09090909, 0x0505050501010101,
        0x0c0c0c0c08080808, 0x0404040400000000, 0x0c0c0c0c08080808, 0x0404040400000000);
    const __m512i byte_hi = _mm512_or_si512(byte_lo, _mm512_set1_epi8(2));
    const __m512i bit =
        _mm512_set_epi64((int64_t)0x8040201080402010, (int64_t)0x8040201080402010,
                         0x0804020108040201, 0x0804020108040201, (int64_t)0x8040201080402010,
                         (int64_t)0x8040201080402010, 0x0804020108040201, 0x0804020108040201);
    __mmask64 lo = _mm512_test_epi8_mask(_mm512_shuffle_epi8(bits, byte_lo), bit);
    __mmask64 hi = _mm512_test_epi8_mask(_mm512_shuffle_epi8(bits, byte_hi), bit);
    q->lo = _mm512_mask_add_epi8(q->lo, lo, q->lo, sixteen);
    q->hi = _mm512_mask_add_epi8(q->hi, hi, q->hi, sixteen);
}

/* f16 d | nibbles[16]: 9 words, 36 a step; loads begin at words 0 and 28 */
INLINE struct quad quad_q4_0(const uint8_t *p)
{
    static const index_words bytes = BYTES_INDEX(9, 1, 27, 28),
                             scale = SCALE_INDEX(9, 0, 0, 27, 28);
    __m512i a = load64(p), b = load16(p + 56);
    __m512i s = pick(scale, a, b);
    struct quad q = {.picked = s, .d = scales_of(s)};
    nibbles_of(&q, pick(bytes, a, b));
    return q;
}

/* f16 d | f16 m | nibbles[16]: 10 words; loads begin at words 0 and 32 */
INLINE struct quad quad_q4_1(const uint8_t *p)
{
    static const index_words bytes = BYTES_INDEX(10, 2, 31, 32),
                             scale = SCALE_INDEX(10, 0, 1, 31, 32);
    __m512i a = load64(p), b = load16(p + 64), s = pick(scale, a, b);
    struct quad q = {.picked = s, .d = scales_of(s), .m = mins_of(s)};
    nibbles_of(&q, pick(bytes, a, b));
    return q;
}

/* f16 d | u32 fifth bits | nibbles[16]: 11 words; loads begin at words 0 and 28 */
INLINE struct quad quad_q5_0(const uint8_t *p)
{
    static const index_words bytes = BYTES_INDEX(11, 3, 31, 28),
                             scale = SCALE_INDEX(11, 0, 0, 31, 28),
                             fifth = {FOUR(0, 11, 1, 31, 28), FOUR(0, 11, 1, 31, 28),
                                      FOUR(0, 11, 1, 31, 28), FOUR(0, 11, 1, 31, 28)};
    __m512i a = load64(p), b = load32(p + 56);
    __m512i s = pick(scale, a, b);
    struct quad q = {.picked = s, .d = scales_of(s)};
    nibbles_of(&q, pick(bytes, a, b));
    fifth_bits(&q, pick(fifth, a, b));
    return q;
}

/* f16 d | f16 m | u32 fifth bits | nibbles[16]: 12 words; loads begin at words 0 and 32 */
INLINE struct quad quad_q5_1(const uint8_t *p)
{
    static const index_words bytes = BYTES_INDEX(12, 4, 31, 32),
                             scale = SCALE_INDEX(12, 0, 1, 31, 32),
                             fifth = {FOUR(0, 12, 2, 31, 32), FOUR(0, 12, 2, 31, 32),
                                      FOUR(0, 12, 2, 31, 32), FOUR(0, 12, 2, 31, 32)};
    __m512i a = load64(p), b = load32(p + 64), s = pick(scale, a, b);
    struct quad q = {.picked = s, .d = scales_of(s), .m = mins_of(s)};
    nibbles_of(&q, pick(bytes, a, b));
    fifth_bits(&q, pick(fifth, a, b));
    return q;
}

/* f16 d | int8[32]: 17 words, 68 a step. First halves from words 0 and 34 on, second from 4 and
 * 36. */
INLINE struct quad quad_q8_0(const uint8_t *p)
{
    static const index_words lo = BYTES_INDEX(17, 1, 31, 34), hi = BYTES_INDEX(17, 5, 29, 32),
                             scale = SCALE_INDEX(17, 0, 0, 31, 34);
    const __m512i flip = _mm512_set1_epi8(-128);
    __m512i a = load64(p), b = load64(p + 68);
    __m512i s = pick(scale, a, b);
    struct quad q = {.picked = s, .d = scales_of(s)};
    q.lo = _mm512_xor_si512(pick(lo, a, b), flip);
    q.hi = _mm512_xor_si512(pick(hi, load64(p + 8), load64(p + 72)), flip);
    return q;
}

INLINE struct quad quad_iq4_nl(const uint8_t *p)
{
    struct quad q = quad_q4_0(p);
    __m512i table = _mm512_xor_si512(
        _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)(const void *)quant_iq4)),
        _mm512_set1_epi8(-128));
    q.lo = _mm512_shuffle_epi8(table, q.lo);
    q.hi = _mm512_shuffle_epi8(table, q.hi);
    return q;
}

/* e8m0 exponent | nibbles[16]: 17 bytes, 68 a step. Nibbles of blocks 0 and 2 lie at even places from byte 1 on, those of 1 and 3 from byte 4
 * on. The exponents are put together by the integer unit, which has nothing else to do. */
INLINE struct quad quad_mxfp4(const uint8_t *p)
{
#define WORD(i, b) (short)((b) % 2 ? 32 + 7 + ((b)-1) / 2 * 17 + (i) : (b) / 2 * 17 + (i))
#define TWO(i, b)  WORD(2 * (i), b), WORD(2 * (i) + 1, b)
#define STEP(i)    TWO(i, 0), TWO(i, 1), TWO(i, 2), TWO(i, 3)
    static const index_words bytes = {STEP(0), STEP(1), STEP(2), STEP(3)};
#undef STEP
#undef TWO
#undef WORD
    __m512i table = _mm512_xor_si512(
        _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)(const void *)quant_e2m1)),
        _mm512_set1_epi8(-128));
    struct quad q;
    nibbles_of(&q, pick(bytes, load64(p + 1), load64(p + 4)));
    q.lo = _mm512_shuffle_epi8(table, q.lo);
    q.hi = _mm512_shuffle_epi8(table, q.hi);
    /* 2^(e - 128): an exponent field of e - 1; below e = 2, where that is less, a subnormal. */
    uint32_t four = p[0] | (uint32_t)p[17] << 8 | (uint32_t)p[34] << 16 | (uint32_t)p[51] << 24;
    __m128i e = _mm_cvtepu8_epi32(_mm_cvtsi32_si128((int)four));
    __m128i tiny = _mm_sllv_epi32(_mm_set1_epi32(0x200000), _mm_and_si128(e, _mm_set1_epi32(1)));
    __m128i bits = _mm_slli_epi32(_mm_sub_epi32(e, _mm_set1_epi32(1)), 23);
    q.d = _mm512_broadcast_f32x4(_mm_castsi128_ps(_mm_max_epi32(bits, tiny)));
    return q;
}

#endif
