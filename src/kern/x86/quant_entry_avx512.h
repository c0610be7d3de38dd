/* SPDX-License-Identifier: Apache-2.0
 *
 * kern/x86/quant_entry_avx512.h: blocks of 256 that are indices into grids or powers of three (IQ1, IQ2, IQ3, TQ) as quant_super_avx512.h has the
 * others: four registers of bytes, here 64 too large, with small scales beside them. What the bits mean is kern/ref/quant_small.c.
 *
 * Indices and signs are brought into the order of the registers while they are few (a group of 32 elements is one lane of 64 bits); then
 * each register is gathered whole, and a mask of 64 bits turns the signs.
 */
#ifndef KERN_X86_QUANT_ENTRY_AVX512_H
#define KERN_X86_QUANT_ENTRY_AVX512_H

#include "kern/x86/quant_super_avx512.h"

/* Lanes of groups 0..7 in the order of the registers: 0 2, 1 3, 4 6, 5 7. */
INLINE __m512i by_register(__m512i groups)
{
    return _mm512_permutexvar_epi64(_mm512_setr_epi64(0, 2, 1, 3, 4, 6, 5, 7), groups);
}

/* The sign bits of 32 entries, a byte each, in the order of the registers. */
struct turned {
    uint64_t m0, m1, m2, m3;
};
INLINE struct turned turned_by(__m256i bytes)
{
    struct turned t;
    bytes = _mm256_permutevar8x32_epi32(bytes, _mm256_setr_epi32(0, 2, 1, 3, 4, 6, 5, 7));
    __m128i low = _mm256_castsi256_si128(bytes), high = _mm256_extracti128_si256(bytes, 1);
    t.m0 = (uint64_t)_mm_cvtsi128_si64(low);
    t.m1 = (uint64_t)_mm_extract_epi64(low, 1);
    t.m2 = (uint64_t)_mm_cvtsi128_si64(high);
    t.m3 = (uint64_t)_mm_extract_epi64(high, 1);
    return t;
}

/* Seven sign bits a byte are kept; the eighth makes their number even. */
INLINE __m256i even_signs(__m256i seven)
{
    const __m128i odd =
        _mm_setr_epi8(0, -128, -128, 0, -128, 0, 0, -128, -128, 0, 0, -128, 0, -128, -128, 0);
    const __m256i table = _mm256_broadcastsi128_si256(odd), low = _mm256_set1_epi8(15);
    __m256i a = _mm256_shuffle_epi8(table, _mm256_and_si256(seven, low));
    __m256i b = _mm256_shuffle_epi8(table, _mm256_and_si256(_mm256_srli_epi16(seven, 4), low));
    return _mm256_or_si256(seven, _mm256_xor_si256(a, b));
}

/* Four times seven sign bits in the low half of each lane. */
INLINE __m256i even_of_lanes(__m512i lanes)
{
    const __m512i field =
        _mm512_broadcast_i32x4(_mm_setr_epi8(0, 1, 0, 1, 1, 2, 2, 3, 8, 9, 8, 9, 9, 10, 10, 11));
    __m512i words =
        _mm512_srlv_epi16(_mm512_shuffle_epi8(lanes, field), _mm512_set1_epi64(0x0005000600070000));
    return even_signs(_mm512_cvtepi16_epi8(_mm512_and_si512(words, _mm512_set1_epi16(127))));
}

/* The word in each lane four times. */
INLINE __m512i four_times(__m512i lanes)
{
    return _mm512_shuffle_epi8(lanes, _mm512_broadcast_i32x4(_mm_setr_epi8(
                                          0, 1, 0, 1, 0, 1, 0, 1, 8, 9, 8, 9, 8, 9, 8, 9)));
}

INLINE __m512i add_signed(__m512i bytes, uint64_t minus)
{
    const __m512i offset = _mm512_set1_epi8(64);
    return _mm512_mask_sub_epi8(_mm512_add_epi8(offset, bytes), minus, offset, bytes);
}

#define LANE(x, i)      _mm512_extracti32x4_epi32(x, i)
#define EIGHTS(grid, i) _mm512_i32gather_epi64(_mm256_cvtepu16_epi32(LANE(index, i)), grid, 8)

/* 32 indices as words, 8 elements an entry. */
INLINE void entries8(struct super *o, const uint64_t *grid, __m512i index, __m256i signs)
{
    struct turned t = turned_by(signs);
    index = by_register(index);
    o->q0 = add_signed(EIGHTS(grid, 0), t.m0);
    o->q1 = add_signed(EIGHTS(grid, 1), t.m1);
    o->q2 = add_signed(EIGHTS(grid, 2), t.m2);
    o->q3 = add_signed(EIGHTS(grid, 3), t.m3);
}

/* 64 indices as bytes and a ninth bit of each, 4 elements an entry. */
INLINE void entries4(struct super *o, const uint32_t *grid, __m512i index, uint64_t ninth,
                     __m256i signs)
{
    struct turned t = turned_by(signs);
    index = by_register(index);
#define FOURS(i, a, b)                                                                           \
    _mm512_i32gather_epi32(                                                                      \
        _mm512_mask_add_epi32(_mm512_cvtepu8_epi32(LANE(index, i)),                              \
                              (__mmask16)((ninth >> 8 * (a)&255) | (ninth >> 8 * (b)&255) << 8), \
                              _mm512_cvtepu8_epi32(LANE(index, i)), _mm512_set1_epi32(256)),     \
        grid, 4)
    o->q0 = add_signed(FOURS(0, 0, 2), t.m0);
    o->q1 = add_signed(FOURS(1, 1, 3), t.m1);
    o->q2 = add_signed(FOURS(2, 4, 6), t.m2);
    o->q3 = add_signed(FOURS(3, 5, 7), t.m3);
#undef FOURS
}

INLINE __m128 factor_at(const uint8_t *p, float times)
{
    return _mm_mul_ps(_mm_cvtph_ps(_mm_cvtsi32_si128(quant_u16(p))), _mm_set1_ps(times));
}

/* Twice the scales and one. */
INLINE void odd_scales(struct super *o, __m128i scale)
{
    spread16(o, _mm_add_epi8(_mm_add_epi8(scale, scale), _mm_set1_epi8(1)));
}
/* 8 bytes of halves: one for 16 elements. */
INLINE void nibble_scales(struct super *o, const uint8_t *p)
{
    __m128i s = _mm_cvtsi64_si128((long long)u64_at(p)), low = _mm_set1_epi8(15);
    odd_scales(o,
               _mm_unpacklo_epi8(_mm_and_si128(s, low), _mm_and_si128(_mm_srli_epi16(s, 4), low)));
}
/* One for 32 elements, each in a lane. */
INLINE void lane_scales(struct super *o, __m512i lanes)
{
    __m128i s = _mm512_cvtepi64_epi8(lanes);
    odd_scales(o, _mm_unpacklo_epi8(s, s));
}

INLINE struct super super_iq2_xxs(const uint8_t *p)
{
    struct super o;
    const __m512i low = _mm512_broadcast_i32x4(
        _mm_setr_epi8(0, -1, 1, -1, 2, -1, 3, -1, 8, -1, 9, -1, 10, -1, 11, -1));
    __m512i x = load64(p + 2), bits = _mm512_srli_epi64(x, 32);
    entries8(&o, quant_iq2_xxs, _mm512_shuffle_epi8(x, low), even_of_lanes(bits));
    lane_scales(&o, _mm512_srli_epi64(x, 60));
    o.d = factor_at(p, 0.125f);
    return o;
}

INLINE struct super super_iq2_xs(const uint8_t *p)
{
    struct super o;
    __m512i x = load64(p + 2);
    entries8(&o, quant_iq2_xs, _mm512_and_si512(x, _mm512_set1_epi16(511)),
             even_signs(_mm512_cvtepi16_epi8(_mm512_srli_epi16(x, 9))));
    nibble_scales(&o, p + 66);
    o.d = factor_at(p, 0.125f);
    return o;
}

INLINE __m256i bytes32(const uint8_t *p)
{
    return _mm256_loadu_si256((const __m256i *)(const void *)p);
}
INLINE __m512i bytes8_in_lanes(uint64_t x)
{
    return _mm512_cvtepu8_epi64(_mm_cvtsi64_si128((long long)x));
}

INLINE struct super super_iq2_s(const uint8_t *p)
{
    struct super o;
    __m512i high = _mm512_sllv_epi16(four_times(bytes8_in_lanes(u64_at(p + 66))),
                                     _mm512_set1_epi64(0x0002000400060008));
    high = _mm512_and_si512(high, _mm512_set1_epi16(0x300));
    entries8(&o, quant_iq2_s, _mm512_or_si512(_mm512_cvtepu8_epi16(bytes32(p + 2)), high),
             bytes32(p + 34));
    nibble_scales(&o, p + 74);
    o.d = factor_at(p, 0.125f);
    return o;
}

INLINE struct super super_iq3_xxs(const uint8_t *p)
{
    struct super o;
    __m512i bits = _mm512_cvtepu32_epi64(bytes32(p + 66));
    entries4(&o, quant_iq3_xxs, load64(p + 2), 0, even_of_lanes(bits));
    lane_scales(&o, _mm512_srli_epi64(bits, 28));
    o.d = factor_at(p, 0.25f);
    return o;
}

INLINE struct super super_iq3_s(const uint8_t *p)
{
    struct super o;
    __m128i s = _mm_cvtsi32_si128((int)u32_at(p + 106)), low = _mm_set1_epi8(15);
    entries4(&o, quant_iq3_s, load64(p + 2), u64_at(p + 66), bytes32(p + 74));
    s = _mm_unpacklo_epi8(_mm_and_si128(s, low), _mm_and_si128(_mm_srli_epi16(s, 4), low));
    odd_scales(&o, _mm_unpacklo_epi8(s, s));
    o.d = factor_at(p, 1);
    return o;
}

INLINE struct super super_iq1_s(const uint8_t *p)
{
    struct super o;
    __m512i word = _mm512_cvtepu16_epi64(_mm512_castsi512_si128(load16(p + 34))),
            four = four_times(word);
    __m512i high = _mm512_srlv_epi16(four, _mm512_set1_epi64(0x0009000600030000));
    high = _mm512_slli_epi16(_mm512_and_si512(high, _mm512_set1_epi16(7)), 8);
    __m512i index = by_register(_mm512_or_si512(_mm512_cvtepu8_epi16(bytes32(p + 2)), high));
    /* 63 or 65, an eighth and the offset, in all bytes of a lane */
    __m512i more = _mm512_or_si512(_mm512_srai_epi16(four, 15), _mm512_set1_epi8(1));
    more = _mm512_add_epi8(more, _mm512_set1_epi8(64));
#define MORE(a, b) _mm512_permutexvar_epi64(_mm512_setr_epi64(a, a, a, a, b, b, b, b), more)
    o.q0 = _mm512_add_epi8(EIGHTS(quant_iq1, 0), MORE(0, 2));
    o.q1 = _mm512_add_epi8(EIGHTS(quant_iq1, 1), MORE(1, 3));
    o.q2 = _mm512_add_epi8(EIGHTS(quant_iq1, 2), MORE(4, 6));
    o.q3 = _mm512_add_epi8(EIGHTS(quant_iq1, 3), MORE(5, 7));
#undef MORE
    lane_scales(&o, _mm512_and_si512(_mm512_srli_epi64(word, 12), _mm512_set1_epi64(7)));
    o.d = factor_at(p, 0.125f);
    return o;
}

INLINE struct super super_iq1_m(const uint8_t *p)
{
    struct super o;
    __m128i n = _mm_loadu_si128((const __m128i *)(const void *)(p + 32)), low = _mm_set1_epi8(15);
    __m128i n0 = _mm_and_si128(n, low), n1 = _mm_and_si128(_mm_srli_epi16(n, 4), low);
    __m256i nibble = _mm256_set_m128i(_mm_unpackhi_epi8(n0, n1), _mm_unpacklo_epi8(n0, n1));
    uint32_t less = (uint32_t)_mm256_movemask_epi8(_mm256_slli_epi16(nibble, 4));
    __m512i high =
        _mm512_slli_epi16(_mm512_and_si512(_mm512_cvtepu8_epi16(nibble), _mm512_set1_epi16(7)), 8);
    __m512i index = by_register(_mm512_or_si512(_mm512_cvtepu8_epi16(bytes32(p)), high));
#define MORE(a, b)                                                                        \
    _mm512_mask_blend_epi64((__mmask8)((less >> 4 * (a)&15) | (less >> 4 * (b)&15) << 4), \
                            _mm512_set1_epi8(65), _mm512_set1_epi8(63))
    o.q0 = _mm512_add_epi8(EIGHTS(quant_iq1, 0), MORE(0, 2));
    o.q1 = _mm512_add_epi8(EIGHTS(quant_iq1, 1), MORE(1, 3));
    o.q2 = _mm512_add_epi8(EIGHTS(quant_iq1, 2), MORE(4, 6));
    o.q3 = _mm512_add_epi8(EIGHTS(quant_iq1, 3), MORE(5, 7));
#undef MORE
    /* four words: 4 times 3 bits of scale, a nibble of d */
    uint64_t words = u64_at(p + 48);
    __m256i of = _mm256_cvtepu16_epi64(_mm_cvtsi64_si128((long long)words));
    const __m128i four = _mm_setr_epi8(0, 1, 0, 1, 0, 1, 0, 1, 8, 9, 8, 9, 8, 9, 8, 9);
    of = _mm256_srlv_epi16(_mm256_shuffle_epi8(of, _mm256_broadcastsi128_si256(four)),
                           _mm256_set1_epi64x(0x0009000600030000));
    odd_scales(&o, _mm256_cvtepi16_epi8(_mm256_and_si256(of, _mm256_set1_epi16(7))));
    unsigned d = (unsigned)((words >> 12 & 0x000f) | (words >> 24 & 0x00f0) |
                            (words >> 36 & 0x0f00) | (words >> 48 & 0xf000));
    o.d = _mm_mul_ps(_mm_cvtph_ps(_mm_cvtsi32_si128((int)d)), _mm_set1_ps(0.125f));
    return o;
}

/* Digit of each byte, and 63: the byte times a power of three is the fraction whose first digit it is. */
INLINE __m256i digit(__m256i bytes, int power)
{
    __m512i x = _mm512_mullo_epi16(_mm512_cvtepu8_epi16(bytes), _mm512_set1_epi16((short)power));
    x = _mm512_mullo_epi16(_mm512_and_si512(x, _mm512_set1_epi16(255)), _mm512_set1_epi16(3));
    return _mm256_add_epi8(_mm512_cvtepi16_epi8(_mm512_srli_epi16(x, 8)), _mm256_set1_epi8(63));
}
INLINE __m512i two_groups(__m256i a, __m256i b)
{
    return _mm512_inserti64x4(_mm512_castsi256_si512(a), b, 1);
}

INLINE struct super super_tq1_0(const uint8_t *p)
{
    struct super o;
    __m256i a = bytes32(p);
    __m256i b =
        _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(const void *)(p + 32)));
    __m256i c = _mm256_set1_epi32((int)u32_at(p + 48));
    /* a register's halves have powers of their own where 16 bytes hold five digits; the last 4 hold four */
#define HALVES(x, low, high) _mm256_blend_epi32(digit(x, low), digit(x, high), 0xf0)
    __m256i last = _mm256_blend_epi32(digit(c, 1), digit(c, 3), 0x22);
    last = _mm256_blend_epi32(last, _mm256_blend_epi32(digit(c, 9), digit(c, 27), 0x88), 0xcc);
    o.q0 = two_groups(digit(a, 1), digit(a, 9));
    o.q1 = two_groups(digit(a, 3), digit(a, 27));
    o.q2 = two_groups(digit(a, 81), HALVES(b, 9, 27));
    o.q3 = two_groups(HALVES(b, 1, 3), _mm256_blend_epi32(digit(b, 81), last, 0xf0));
#undef HALVES
    spread16(&o, _mm_set1_epi8(1));
    o.d = factor_at(p + 52, 1);
    return o;
}

INLINE struct super super_tq2_0(const uint8_t *p)
{
    struct super o;
    const __m512i offset = _mm512_set1_epi8(63);
    __m512i a = twice32(p), b = twice32(p + 32);
    o.q0 = _mm512_add_epi8(masked(right2(a, 0, 4), 3), offset);
    o.q1 = _mm512_add_epi8(masked(right2(a, 2, 6), 3), offset);
    o.q2 = _mm512_add_epi8(masked(right2(b, 0, 4), 3), offset);
    o.q3 = _mm512_add_epi8(masked(right2(b, 2, 6), 3), offset);
    spread16(&o, _mm_set1_epi8(1));
    o.d = factor_at(p + 64, 1);
    return o;
}
#undef EIGHTS
#undef LANE

#endif
