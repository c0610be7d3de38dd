/* SPDX-License-Identifier: Apache-2.0
 *
 * kern/x86/quant_super_avx512.h: a block of 256 weights becomes four registers of unsigned
 * bytes, in the order of ACT_Q8_256, with its small integer scales as words beside them.
 *
 * That order is what one shift of 64 bytes of Q4_K's nibbles gives. Where a type keeps several
 * elements in the bits of one byte otherwise, 32 bytes are loaded into both halves of a register
 * and each half is shifted by its own amount.
 */
#ifndef KERN_X86_QUANT_SUPER_AVX512_H
#define KERN_X86_QUANT_SUPER_AVX512_H

#include "kern/quant_grid.h"
#include "kern/x86/quant_avx512.h"

/* value = d * s * (q - offset) - dmin * m, the offset being the type's */
struct super {
    __m512i q0, q1, q2, q3; /* u8; groups of 32: 0 2, 1 3, 4 6, 5 7 */
    __m512i s0, s1, s2, s3; /* int16, each scale where its elements are, in pairs */
    __m256i m;              /* int16, one for 16 elements */
    __m128 d;               /* d, dmin */
    __m128i small;          /* the scales before they are spread, for the packing of panels: bytes;
                               Q4_K, Q5_K: scales 0-3, mins 0-3, scales 4-7, mins 4-7 */
};

typedef struct super super_fn(const uint8_t *p);

INLINE __m512i twice32(const uint8_t *p)
{
    return _mm512_broadcast_i64x4(_mm256_loadu_si256((const __m256i *)(const void *)p));
}
/* x >> a in the first half, x >> b in the second; sums of shifted bits from a neighbour byte are
 * for the caller to mask. */
INLINE __m512i right2(__m512i x, int a, int b)
{
    const long long lo = a * 0x0001000100010001, hi = b * 0x0001000100010001;
    return _mm512_srlv_epi16(x, _mm512_setr_epi64(lo, lo, lo, lo, hi, hi, hi, hi));
}
INLINE __m512i left2(__m512i x, int a, int b)
{
    const long long lo = a * 0x0001000100010001, hi = b * 0x0001000100010001;
    return _mm512_sllv_epi16(x, _mm512_setr_epi64(lo, lo, lo, lo, hi, hi, hi, hi));
}
/* x << a in the first half, x >> b in the second. */
INLINE __m512i turn2(__m512i x, int a, int b)
{
    const long long lo = a, hi = 64 - b;
    return _mm512_rolv_epi64(x, _mm512_setr_epi64(lo, lo, lo, lo, hi, hi, hi, hi));
}
/* (x & mask) | y */
INLINE __m512i masked_or(__m512i x, int mask, __m512i y)
{
    return _mm512_ternarylogic_epi64(x, _mm512_set1_epi8((char)mask), y, 0xea);
}
INLINE __m512i masked(__m512i x, int mask)
{
    return _mm512_and_si512(x, _mm512_set1_epi8((char)mask));
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
INLINE __m128 halves_at(const uint8_t *p)
{
    return _mm_cvtph_ps(_mm_cvtsi32_si128((int)u32_at(p)));
}

/* 16 bytes of scales, one for 16 elements: as words, each over its 8. */
INLINE void spread16(struct super *o, __m128i bytes)
{
    __m256i scale = _mm256_cvtepi8_epi16(bytes);
    o->small = bytes;
    const __m512i first =
        _mm512_setr_epi64(0, 0, 0x0001000100010001, 0x0001000100010001, 0x0004000400040004,
                          0x0004000400040004, 0x0005000500050005, 0x0005000500050005);
    const __m512i two = _mm512_set1_epi16(2), eight = _mm512_set1_epi16(8);
    __m512i s = _mm512_castsi256_si512(scale), second = _mm512_add_epi16(first, two);
    o->s0 = _mm512_permutexvar_epi16(first, s);
    o->s1 = _mm512_permutexvar_epi16(second, s);
    o->s2 = _mm512_permutexvar_epi16(_mm512_add_epi16(first, eight), s);
    o->s3 = _mm512_permutexvar_epi16(_mm512_add_epi16(second, eight), s);
}

/* The 6-bit scales and mins of Q4_K and Q5_K. As bytes: scales 0-3, mins 0-3, scales 4-7, mins
 * 4-7. */
INLINE void k_head(struct super *o, const uint8_t *p)
{
    uint64_t first = u64_at(p + 4), low = u32_at(p + 12);
    low = (low & 0x0f0f0f0f) | (low << 28 & 0x0f0f0f0f00000000);
    __m128i packed = _mm_set_epi64x((long long)((first >> 2 & 0x3030303030303030) | low),
                                    (long long)(first & 0x3f3f3f3f3f3f3f3f));
    __m512i all = _mm512_broadcast_i32x4(packed);
    o->small = packed;
#define WORDS(i, j) _mm512_set_epi64(j, j, j, j, i, i, i, i)
#define WORD(i)     ((long long)(0x8000800080008000u + 0x0001000100010001u * (i)))
    o->s0 = _mm512_shuffle_epi8(all, WORDS(WORD(0), WORD(2)));
    o->s1 = _mm512_shuffle_epi8(all, WORDS(WORD(1), WORD(3)));
    o->s2 = _mm512_shuffle_epi8(all, WORDS(WORD(8), WORD(10)));
    o->s3 = _mm512_shuffle_epi8(all, WORDS(WORD(9), WORD(11)));
    /* Each min twice: for the sums of 16. */
    o->m = _mm256_shuffle_epi8(
        _mm512_castsi512_si256(all),
        _mm256_set_epi64x((long long)0x800f800f800e800e, (long long)0x800d800d800c800c,
                          (long long)0x8007800780068006, (long long)0x8005800580048004));
#undef WORD
#undef WORDS
    o->d = halves_at(p);
}

/* f16 d | f16 dmin | scales and mins[12] | nibbles[128]: of each 32 bytes the low halves come
 * first */
INLINE struct super super_q4_k(const uint8_t *p)
{
    struct super o;
    __m512i a = load64(p + 16), b = load64(p + 80);
    k_head(&o, p);
    o.q0 = masked(a, 15);
    o.q1 = masked(_mm512_srli_epi16(a, 4), 15);
    o.q2 = masked(b, 15);
    o.q3 = masked(_mm512_srli_epi16(b, 4), 15);
    return o;
}

/* as Q4_K, before the nibbles fifth bits[32]: bit g of byte l is for element 32 * g + l */
INLINE struct super super_q5_k(const uint8_t *p)
{
    struct super o;
    __m512i a = load64(p + 48), b = load64(p + 112), fifth = twice32(p + 16);
    k_head(&o, p);
    o.q0 = masked_or(left2(fifth, 4, 2), 16, masked(a, 15));
    o.q1 = masked_or(left2(fifth, 3, 1), 16, masked(_mm512_srli_epi16(a, 4), 15));
    o.q2 = masked_or(right2(fifth, 0, 2), 16, masked(b, 15));
    o.q3 = masked_or(right2(fifth, 1, 3), 16, masked(_mm512_srli_epi16(b, 4), 15));
    return o;
}

/* low four bits[128] | high two bits[64] | int8 scale[16] | f16 d; offset 32 */
INLINE struct super super_q6_k(const uint8_t *p)
{
    struct super o;
    __m512i h0 = twice32(p + 128), h1 = twice32(p + 160);
    o.q0 = masked_or(left2(h0, 4, 0), 0x30, masked(right2(twice32(p), 0, 4), 15));
    o.q1 = masked_or(turn2(h0, 2, 2), 0x30, masked(right2(twice32(p + 32), 0, 4), 15));
    o.q2 = masked_or(left2(h1, 4, 0), 0x30, masked(right2(twice32(p + 64), 0, 4), 15));
    o.q3 = masked_or(turn2(h1, 2, 2), 0x30, masked(right2(twice32(p + 96), 0, 4), 15));
    spread16(&o, _mm512_castsi512_si128(load16(p + 192)));
    o.d = _mm_cvtph_ps(_mm_cvtsi32_si128((int)quant_u16(p + 208)));
    return o;
}

/* scale and min in halves of a byte[16] | bit pairs[64] | f16 d | f16 dmin */
INLINE struct super super_q2_k(const uint8_t *p)
{
    struct super o;
    __m512i a = twice32(p + 16), b = twice32(p + 48);
    __m128i s = _mm512_castsi512_si128(load16(p)), low = _mm_set1_epi8(15);
    o.q0 = masked(right2(a, 0, 4), 3);
    o.q1 = masked(right2(a, 2, 6), 3);
    o.q2 = masked(right2(b, 0, 4), 3);
    o.q3 = masked(right2(b, 2, 6), 3);
    spread16(&o, _mm_and_si128(s, low));
    o.m = _mm256_cvtepu8_epi16(_mm_and_si128(_mm_srli_epi16(s, 4), low));
    o.d = halves_at(p + 80);
    return o;
}

/* third bits[32] | bit pairs[64] | 16 6-bit scales in 12 bytes | f16 d; offset 4, that of scales
 * 32 */
INLINE struct super super_q3_k(const uint8_t *p)
{
    struct super o;
    __m512i third = twice32(p), a = twice32(p + 32), b = twice32(p + 64);
    o.q0 = masked_or(left2(third, 2, 0), 4, masked(right2(a, 0, 4), 3));
    o.q1 = masked_or(turn2(third, 1, 1), 4, masked(right2(a, 2, 6), 3));
    o.q2 = masked_or(right2(third, 2, 4), 4, masked(right2(b, 0, 4), 3));
    o.q3 = masked_or(right2(third, 3, 5), 4, masked(right2(b, 2, 6), 3));
    uint64_t low = u64_at(p + 96), high = u32_at(p + 104);
    uint64_t s0 =
        (low & 0x0f0f0f0f0f0f0f0f) | (high << 4 & 0x30303030) | (high << 34 & 0x3030303000000000);
    uint64_t s1 =
        (low >> 4 & 0x0f0f0f0f0f0f0f0f) | (high & 0x30303030) | (high << 30 & 0x3030303000000000);
    __m128i s = _mm_sub_epi8(_mm_set_epi64x((long long)s1, (long long)s0), _mm_set1_epi8(32));
    spread16(&o, s);
    o.d = _mm_cvtph_ps(_mm_cvtsi32_si128((int)quant_u16(p + 108)));
    return o;
}

/* f16 d | u16 upper scale bits | lower halves of scales[4] | nibbles of 32 elements[16] * 8;
 * offset 128. The bytes are too large for sums of pairs in 16 bits: here s0..s3 hold floats, one
 * for 4 elements. */
INLINE struct super super_iq4_xs(const uint8_t *p)
{
    struct super o;
    const __m512i even = _mm512_setr_epi64(0, 1, 0, 1, 4, 5, 4, 5);
    const __m512i odd = _mm512_setr_epi64(2, 3, 2, 3, 6, 7, 6, 7);
    const __m512i shift = _mm512_setr_epi64(0, 0, 4, 4, 0, 0, 4, 4);
    __m512i table = _mm512_xor_si512(
        _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)(const void *)quant_iq4)),
        _mm512_set1_epi8(-128));
    __m512i a = load64(p + 8), b = load64(p + 72);
#define NIBBLES(which, of)     \
    _mm512_shuffle_epi8(table, \
                        masked(_mm512_srlv_epi64(_mm512_permutexvar_epi64(which, of), shift), 15))
    o.q0 = NIBBLES(even, a);
    o.q1 = NIBBLES(odd, a);
    o.q2 = NIBBLES(even, b);
    o.q3 = NIBBLES(odd, b);
#undef NIBBLES
    const __m256i low_at = _mm256_setr_epi32(0, 4, 8, 12, 16, 20, 24, 28);
    const __m256i high_at = _mm256_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14);
    __m256i low = _mm256_srlv_epi32(_mm256_set1_epi32((int)u32_at(p + 4)), low_at);
    __m256i high = _mm256_srlv_epi32(_mm256_set1_epi32(quant_u16(p + 2)), high_at);
    low = _mm256_and_si256(low, _mm256_set1_epi32(15));
    high = _mm256_slli_epi32(_mm256_and_si256(high, _mm256_set1_epi32(3)), 4);
    __m256i scale = _mm256_sub_epi32(_mm256_or_si256(low, high), _mm256_set1_epi32(32));
    o.small = _mm256_cvtepi32_epi8(scale);
    __m512i s = _mm512_castps_si512(_mm512_castps256_ps512(_mm256_cvtepi32_ps(scale)));
    const __m512i first = _mm512_setr_epi32(0, 0, 0, 0, 0, 0, 0, 0, 2, 2, 2, 2, 2, 2, 2, 2);
    const __m512i one = _mm512_set1_epi32(1), four = _mm512_set1_epi32(4);
    __m512i second = _mm512_add_epi32(first, one);
    o.s0 = _mm512_permutexvar_epi32(first, s);
    o.s1 = _mm512_permutexvar_epi32(second, s);
    o.s2 = _mm512_permutexvar_epi32(_mm512_add_epi32(first, four), s);
    o.s3 = _mm512_permutexvar_epi32(_mm512_add_epi32(second, four), s);
    o.d = _mm_cvtph_ps(_mm_cvtsi32_si128((int)quant_u16(p)));
    return o;
}

#endif
