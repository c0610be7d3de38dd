/* SPDX-License-Identifier: Apache-2.0
 *
 * kern/x86/quant_pack_avx512.c: blocks to panels (quant_panel_avx512.h).
 *
 * 16 rows of 16 words become 16 half lines by a transposition of 64 shuffles. Types of 4 to 6 bits are transposed as they are packed and their
 * bits parted afterwards, so that one transposition serves 2048 weights; so are the heads of Q4_K to Q6_K, whose scales are then unpacked for 16
 * rows at once. The others go through registers of bytes, row by row, by what the product of rows has for them, 1024 weights a transposition.
 */
#include "kern/x86/quant_entry_avx512.h"
#include "kern/x86/quant_panel_avx512.h"
#include "kern/x86/quant_quad_avx512.h"

/* Takes word w of 16 rows to where it belongs in the half lines `to`. */
typedef void put_fn(uint8_t *to, int w, __m512i words, const __m512i *with);

INLINE void put_line(uint8_t *to, int line, __m512i words)
{
    _mm512_store_si512(to + line * LINE, words);
}

/* Line w. */
INLINE void put_bytes(uint8_t *to, int w, __m512i words, const __m512i *with)
{
    (void)with;
    put_line(to, w, words);
}
/* Words take turns between four blocks of 8 lines. */
INLINE void put_turns(uint8_t *to, int w, __m512i words, const __m512i *with)
{
    (void)with;
    put_line(to, w % 4 * 8 + w / 4, words);
}

/* The words of 16 rows. */
INLINE void transpose(const __m512i *in, put_fn *put, uint8_t *to, const __m512i *with)
{
    __m512i a[16], b[16];
    UNROLL
    for (int i = 0; i < 16; i += 2) {
        a[i] = _mm512_unpacklo_epi32(in[i], in[i + 1]);
        a[i + 1] = _mm512_unpackhi_epi32(in[i], in[i + 1]);
    }
    UNROLL
    for (int i = 0; i < 16; i += 4) { /* b[i + c], lane l: column 4 l + c of rows i..i+3 */
        b[i] = _mm512_unpacklo_epi64(a[i], a[i + 2]);
        b[i + 1] = _mm512_unpackhi_epi64(a[i], a[i + 2]);
        b[i + 2] = _mm512_unpacklo_epi64(a[i + 1], a[i + 3]);
        b[i + 3] = _mm512_unpackhi_epi64(a[i + 1], a[i + 3]);
    }
    UNROLL
    for (int c = 0; c < 4; c++) {
        __m512i even0 = _mm512_shuffle_i32x4(b[c], b[c + 4], 0x88);
        __m512i even1 = _mm512_shuffle_i32x4(b[c + 8], b[c + 12], 0x88);
        __m512i odd0 = _mm512_shuffle_i32x4(b[c], b[c + 4], 0xdd);
        __m512i odd1 = _mm512_shuffle_i32x4(b[c + 8], b[c + 12], 0xdd);
        put(to, c, _mm512_shuffle_i32x4(even0, even1, 0x88), with);
        put(to, c + 4, _mm512_shuffle_i32x4(odd0, odd1, 0x88), with);
        put(to, c + 8, _mm512_shuffle_i32x4(even0, even1, 0xdd), with);
        put(to, c + 12, _mm512_shuffle_i32x4(odd0, odd1, 0xdd), with);
    }
}

INLINE void put_words(const __m512i *in, __m512i *out)
{
    _Alignas(64) uint8_t at[16 * LINE];
    transpose(in, put_bytes, at, NULL);
    UNROLL
    for (int i = 0; i < 16; i++) out[i] = _mm512_load_si512(at + i * LINE);
}

/* 4 words of each of 16 rows, 4 rows in a register. */
INLINE void transpose4(const __m512i *r, __m512i *out)
{
    const __m512i low = _mm512_setr_epi32(0, 4, 8, 12, 16, 20, 24, 28, 1, 5, 9, 13, 17, 21, 25, 29);
    const __m512i high = _mm512_add_epi32(low, _mm512_set1_epi32(2));
    __m512i a = _mm512_permutex2var_epi32(r[0], low, r[1]),
            b = _mm512_permutex2var_epi32(r[2], low, r[3]);
    __m512i c = _mm512_permutex2var_epi32(r[0], high, r[1]),
            d = _mm512_permutex2var_epi32(r[2], high, r[3]);
    out[0] = _mm512_shuffle_i64x2(a, b, 0x44);
    out[1] = _mm512_shuffle_i64x2(a, b, 0xee);
    out[2] = _mm512_shuffle_i64x2(c, d, 0x44);
    out[3] = _mm512_shuffle_i64x2(c, d, 0xee);
}

/* ---- blocks of 32 ---- */

INLINE __m512i nibbles(__m512i words, int shift)
{
    return masked(shift ? _mm512_srli_epi16(words, shift) : words, 15);
}
INLINE __m512i by_table(const int8_t *values, __m512i at)
{
    __m512i t = _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)(const void *)values));
    return _mm512_shuffle_epi8(_mm512_xor_si512(t, _mm512_set1_epi8(-128)), at);
}
#define PUT_NIBBLES(name, map)                                                     \
    INLINE void put_##name(uint8_t *to, int w, __m512i words, const __m512i *with) \
    {                                                                              \
        (void)with;                                                                \
        for (int half = 0; half < 2; half++) {                                     \
            __m512i x = nibbles(words, 4 * half);                                  \
            put_line(to, w % 4 * 8 + w / 4 + 4 * half, map);                       \
        }                                                                          \
    }
PUT_NIBBLES(q4_0, _mm512_add_epi8(x, _mm512_set1_epi8(120)))
PUT_NIBBLES(q4_1, x)
PUT_NIBBLES(iq4_nl, by_table(quant_iq4, x))
PUT_NIBBLES(mxfp4, by_table(quant_e2m1, x))

enum { STEP_MAX = 4 * 34 };

/* Where a type keeps its scales: as F16, with or without mins, or (MXFP4) as something that only quad knows. */
enum scale { HALF, HALF_MIN, OTHER };

/* 4 numbers of each of 16 rows, one behind another in memory, become 4 half lines. */
INLINE void put_halves(const uint64_t *in, float times, uint8_t *to)
{
    __m512i a = _mm512_load_si512(in), b = _mm512_load_si512(in + 8);
    const __m512i first =
        _mm512_setr_epi32(0x00040000, 0x000c0008, 0x00140010, 0x001c0018, 0x00240020, 0x002c0028,
                          0x00340030, 0x003c0038, 0, 0, 0, 0, 0, 0, 0, 0);
    UNROLL
    for (int i = 0; i < 4; i++) {
        __m512i at = _mm512_add_epi16(first, _mm512_set1_epi16((short)i));
        __m512 v = _mm512_cvtph_ps(_mm512_castsi512_si256(_mm512_permutex2var_epi16(a, at, b)));
        put_line(to, i,
                 _mm512_castps_si512(times == 1 ? v : _mm512_mul_ps(v, _mm512_set1_ps(times))));
    }
}
INLINE void put_floats(const __m128 *in, uint8_t *to)
{
    __m512i r[4], t[4];
    UNROLL
    for (int i = 0; i < 4; i++) r[i] = _mm512_loadu_si512(&in[4 * i]);
    transpose4(r, t);
    for (int i = 0; i < 4; i++) put_line(to, i, t[i]);
}

/* A step of 16 rows at w into the half line `to`. put parts nibbles; without it the bytes are taken, and add takes the type's offset to 128. */
INLINE void step32(quad_fn *quad, put_fn *put, int add, enum scale scale, const uint8_t *w,
                   size_t wstride, uint8_t *to)
{
    __m512i lo[16], hi[16];
    __m128 other[16];
    _Alignas(64) uint64_t d[16], m[16];
    const __m512i plus = _mm512_set1_epi8((char)add);
    UNROLL
    for (size_t r = 0; r < 16; r++) {
        struct quad q = quad(w + r * wstride);
        lo[r] = put ? q.packed : _mm512_add_epi8(q.lo, plus);
        if (!put) hi[r] = _mm512_add_epi8(q.hi, plus);
        if (scale == OTHER)
            other[r] = _mm512_castps512_ps128(q.d);
        else
            _mm_storel_epi64((__m128i *)(void *)&d[r], _mm512_castsi512_si128(q.picked));
        if (scale == HALF_MIN)
            _mm_storel_epi64((__m128i *)(void *)&m[r], _mm512_extracti32x4_epi32(q.picked, 2));
    }
    transpose(lo, put ? put : put_turns, to, NULL);
    if (!put) transpose(hi, put_turns, to + 4 * LINE, NULL);
    if (scale == OTHER)
        put_floats(other, to + 32 * LINE);
    else
        put_halves(d, 1, to + 32 * LINE);
    if (scale == HALF_MIN) put_halves(m, -0x1p-7f, to + 36 * LINE);
}

/* Where rows or blocks are missing they are zero. */
INLINE void pack32(quad_fn *quad, put_fn *put, size_t bytes, int add, enum scale scale, size_t from,
                   size_t k, const uint8_t *w, size_t wstride, size_t nrow, uint8_t *panel)
{
    size_t line = LINE * panel_lines(scale == HALF_MIN ? PANEL_32_MIN : PANEL_32);
    for (size_t i = from; i < k; i += 128, panel += line)
        for (size_t r = 0; r < PANEL_ROWS; r += 16) {
            uint8_t part[16 * STEP_MAX];
            const uint8_t *at = w + i / 32 * bytes + r * wstride;
            size_t stride = wstride, have = k - i < 128 ? (k - i) / 32 : 4,
                   rows = nrow < r ? 0 : nrow - r;
            if (rows < 16 || have < 4) {
                memset(part, 0, sizeof part);
                for (size_t n = 0; n < rows && n < 16; n++)
                    memcpy(part + n * STEP_MAX, at + n * wstride, have * bytes);
                at = part;
                stride = STEP_MAX;
            }
            step32(quad, put, add, scale, at, stride, panel + 4 * r);
        }
}

/* Both forms of a type's packing: from the middle of a row on, and whole. */
#define PACK(name)                                                                               \
    void pack_##name##_avx512(size_t k, const void *w, size_t wstride, size_t nrow, void *panel) \
    {                                                                                            \
        const uint8_t *next = (const uint8_t *)w + nrow * wstride;                               \
        *(struct panel_head *)panel = (struct panel_head){next, nrow * wstride};                 \
        slice_##name##_avx512(0, k, w, wstride, nrow, (uint8_t *)panel + LINE);                  \
    }
#define PACK32(name, put, bytes, add, scale)                                            \
    void slice_##name##_avx512(size_t from, size_t k, const uint8_t *w, size_t wstride, \
                               size_t nrow, uint8_t *panel)                             \
    {                                                                                   \
        pack32(quad_##name, put, bytes, add, scale, from, k, w, wstride, nrow, panel);  \
    }                                                                                   \
    PACK(name)
PACK32(q4_0, put_q4_0, 18, 0, HALF)
PACK32(q4_1, put_q4_1, 20, 0, HALF_MIN)
PACK32(q5_0, NULL, 22, 112, HALF)
PACK32(q5_1, NULL, 24, 0, HALF_MIN)
PACK32(q8_0, NULL, 34, 0, HALF)
PACK32(iq4_nl, put_iq4_nl, 18, 0, HALF)
PACK32(mxfp4, put_mxfp4, 17, 0, OTHER)

/* ---- blocks of 256 by way of bytes ---- */

/* What stands behind the numbers, as the words of one row: scales in the order of act_at, then
 * mins. */
INLINE __m512i words_k16(const struct super *q, __m512i *more)
{
    const __m128i order = _mm_setr_epi8(0, 1, 4, 5, 2, 3, 6, 7, 8, 9, 12, 13, 10, 11, 14, 15);
    __m512 s = _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_shuffle_epi8(q->small, order)));
    (void)more;
    return _mm512_castps_si512(_mm512_mul_ps(s, _mm512_broadcastss_ps(q->d)));
}

INLINE __m512i words_k16_min(const struct super *q, __m512i *more)
{
    __m128i dmin = _mm_castps_si128(_mm_movehdup_ps(q->d));
    *more = _mm512_inserti64x4(_mm512_castsi256_si512(q->m), _mm256_castsi128_si256(dmin), 1);
    return words_k16(q, NULL);
}

INLINE __m512i words_k32(const struct super *q, __m512i *more)
{
    const __m128i order = _mm_setr_epi8(0, 2, 1, 3, 4, 6, 5, 7, -1, -1, -1, -1, -1, -1, -1, -1);
    __m256 s = _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_shuffle_epi8(q->small, order)));
    s = _mm256_mul_ps(s, _mm256_broadcastss_ps(q->d));
    (void)more;
    return _mm512_castsi256_si512(_mm256_castps_si256(s));
}

typedef __m512i words_fn(const struct super *q, __m512i *more);

INLINE void put_scales(__m512i *in, uint8_t *to, int count)
{
    __m512i line[16];
    put_words(in, line);
    UNROLL
    for (int i = 0; i < 16; i++)
        if (i < count) put_line(to, i, line[i]);
}

INLINE void step_k(super_fn *super, words_fn *words, enum panel kind,
                   int add, const uint8_t *w, size_t wstride, size_t nrow, uint8_t *to)
{
    __m512i q0[16], q1[16], q2[16], q3[16], s[16], more[16];
    const __m512i plus = _mm512_set1_epi8((char)add);
    for (size_t r = 0; r < nrow; r++) {
        const uint8_t *p = w + r * wstride;
        struct super q = super(p);
        q0[r] = _mm512_add_epi8(q.q0, plus);
        q1[r] = _mm512_add_epi8(q.q1, plus);
        q2[r] = _mm512_add_epi8(q.q2, plus);
        q3[r] = _mm512_add_epi8(q.q3, plus);
        s[r] = words(&q, &more[r]);
    }
    for (size_t r = nrow; r < 16; r++)
        q0[r] = q1[r] = q2[r] = q3[r] = s[r] = more[r] = _mm512_setzero_si512();
    transpose(q0, put_bytes, to, NULL);
    transpose(q1, put_bytes, to + 16 * LINE, NULL);
    transpose(q2, put_bytes, to + 32 * LINE, NULL);
    transpose(q3, put_bytes, to + 48 * LINE, NULL);
    size_t lines = panel_lines(kind) - 64;
    put_scales(s, to + 64 * LINE, lines < 16 ? (int)lines : 16);
    if (lines > 16) put_scales(more, to + 80 * LINE, (int)lines - 16);
}

/* ---- blocks of 256 as they are packed ---- */

/* Row r of a step; what is missing is zero. */
INLINE const uint8_t *row_of(const uint8_t *w, size_t wstride, size_t nrow, size_t r)
{
    static const uint8_t zero[256];
    return r < nrow ? w + r * wstride : zero;
}

/* 64 bytes from `at` on of each row. */
INLINE void words_at(const uint8_t *w, size_t wstride, size_t nrow, size_t at, __m512i *in)
{
    UNROLL
    for (size_t r = 0; r < 16; r++) in[r] = _mm512_loadu_si512(row_of(w, wstride, nrow, r) + at);
}

/* 16 bytes from `at` on of each row, as 4 words of all rows. */
INLINE void head_at(const uint8_t *w, size_t wstride, size_t nrow, size_t at, __m512i *out)
{
    __m512i in[4];
#define ROW(r) _mm_loadu_si128((const __m128i *)(const void *)(row_of(w, wstride, nrow, r) + at))
    UNROLL
    for (size_t i = 0; i < 4; i++) {
        in[i] = _mm512_castsi128_si512(ROW(4 * i));
        in[i] = _mm512_inserti32x4(in[i], ROW(4 * i + 1), 1);
        in[i] = _mm512_inserti32x4(in[i], ROW(4 * i + 2), 2);
        in[i] = _mm512_inserti32x4(in[i], ROW(4 * i + 3), 3);
    }
#undef ROW
    transpose4(in, out);
}

/* The group that stands i-th: of each four, 0 2 1 3. */
INLINE int in_order(int i) { return (i & 4) | (i & 1) << 1 | (i >> 1 & 1); }

INLINE __m512 low_halves(__m512i words) { return _mm512_cvtph_ps(_mm512_cvtepi32_epi16(words)); }

/* d and dmin, 6-bit scales and mins of Q4_K and Q5_K from the 4 words of their heads (k_head has the layout). */
INLINE void put_k_head(const __m512i *head, uint8_t *to)
{
    const __m512i pair = _mm512_set1_epi32((int)0x80018000);
    __m512i high = _mm512_and_si512(_mm512_srli_epi32(head[1], 2), _mm512_set1_epi8(0x30));
    __m512i high_m = _mm512_and_si512(_mm512_srli_epi32(head[2], 2), _mm512_set1_epi8(0x30));
    __m512i s[2] = {masked(head[1], 63), masked_or(head[3], 15, high)};
    __m512i m[2] = {masked(head[2], 63), masked_or(_mm512_srli_epi32(head[3], 4), 15, high_m)};
    const __m512i lane =
        _mm512_broadcast_i32x4(_mm_setr_epi32(0, 0x04040404, 0x08080808, 0x0c0c0c0c));
    __m512 d = low_halves(head[0]);
    UNROLL
    for (int i = 0; i < 8; i++) {
        int g = in_order(i);
        __m512i v = _mm512_and_si512(_mm512_srli_epi32(s[g / 4], (unsigned)(g % 4 * 8)),
                                     _mm512_set1_epi32(255));
        put_line(to, 64 + i, _mm512_castps_si512(_mm512_mul_ps(_mm512_cvtepi32_ps(v), d)));
    }
    UNROLL
    for (int i = 0; i < 4; i++) { /* bytes 0 and 1, or 2 and 3, as words */
        __m512i at =
            _mm512_add_epi8(_mm512_or_si512(pair, lane), _mm512_set1_epi16((short)(i % 2 * 2)));
        put_line(to, 72 + i, _mm512_shuffle_epi8(m[i / 2], at));
    }
    put_line(to, 76, _mm512_castps_si512(low_halves(_mm512_srli_epi32(head[0], 16))));
}

/* The scales of Q6_K: 16 bytes, in 4 words. */
INLINE void put_scales16(const __m512i *words, __m512 d, uint8_t *to)
{
    UNROLL
    for (int i = 0; i < 16; i++) {
        int g = 2 * in_order(i / 2) + i % 2;
        __m512i v =
            _mm512_srai_epi32(_mm512_slli_epi32(words[g / 4], (unsigned)(24 - g % 4 * 8)), 24);
        put_line(to, 64 + i, _mm512_castps_si512(_mm512_mul_ps(_mm512_cvtepi32_ps(v), d)));
    }
}

INLINE void put_q4_k(uint8_t *to, int w, __m512i words, const __m512i *with)
{
    (void)with;
    put_line(to, w, nibbles(words, 0));
    put_line(to, w + 16, nibbles(words, 4));
}

static void step_q4_k(const uint8_t *w, size_t wstride, size_t nrow, uint8_t *to)
{
    __m512i in[16], head[4];
    words_at(w, wstride, nrow, 16, in);
    transpose(in, put_q4_k, to, NULL);
    words_at(w, wstride, nrow, 80, in);
    transpose(in, put_q4_k, to + 32 * LINE, NULL);
    head_at(w, wstride, nrow, 0, head);
    put_k_head(head, to);
}

/* Bit g of the bytes of x becomes bit 4, added to y. */
INLINE __m512i fifth_of(__m512i x, int g, __m512i y)
{
    return masked_or(g < 4 ? _mm512_slli_epi16(x, (unsigned)(4 - g))
                           : _mm512_srli_epi16(x, (unsigned)(g - 4)),
                     16, y);
}
/* with: the fifth bits, a word of 4 elements for all groups of 32. The nibbles are those of groups 0 to 3, or 4 to 7. */
INLINE void put_q5_k(uint8_t *to, int w, __m512i words, const __m512i *with, int group)
{
    group += w / 8 * 2;
    put_line(to, w, fifth_of(with[w % 8], group, nibbles(words, 0)));
    put_line(to, w + 16, fifth_of(with[w % 8], group + 1, nibbles(words, 4)));
}
INLINE void put_q5_k0(uint8_t *to, int w, __m512i words, const __m512i *with)
{
    put_q5_k(to, w, words, with, 0);
}
INLINE void put_q5_k4(uint8_t *to, int w, __m512i words, const __m512i *with)
{
    put_q5_k(to, w, words, with, 4);
}

static void step_q5_k(const uint8_t *w, size_t wstride, size_t nrow, uint8_t *to)
{
    __m512i in[16], first[16]; /* the head, 4 words; the fifth bits, 8; the others are not used */
    words_at(w, wstride, nrow, 0, in);
    put_words(in, first);
    put_k_head(first, to);
    words_at(w, wstride, nrow, 48, in);
    transpose(in, put_q5_k0, to, first + 4);
    words_at(w, wstride, nrow, 112, in);
    transpose(in, put_q5_k4, to + 32 * LINE, first + 4);
}

/* with: the upper two bits, 8 words. Low halves of words 0 to 7 are group 0 of 32, of 8 to 15 group 1; high halves 2 and 3. */
INLINE void put_q6_k(uint8_t *to, int w, __m512i words, const __m512i *with)
{
    const __m512i plus = _mm512_set1_epi8(96);
    __m512i h = with[w % 8], low = _mm512_slli_epi16(h, w < 8 ? 4 : 2),
            high = w < 8 ? h : _mm512_srli_epi16(h, 2);
    uint8_t *at = to + (w / 8 * 16 + w % 8) * LINE;
    put_line(at, 0, _mm512_add_epi8(masked_or(low, 0x30, nibbles(words, 0)), plus));
    put_line(at, 8, _mm512_add_epi8(masked_or(high, 0x30, nibbles(words, 4)), plus));
}

static void step_q6_k(const uint8_t *w, size_t wstride, size_t nrow, uint8_t *to)
{
    __m512i in[16], upper[16], scales[4];
    uint16_t d[16];
    for (size_t r = 0; r < 16; r++) d[r] = quant_u16(row_of(w, wstride, nrow, r) + 208);
    words_at(w, wstride, nrow, 128, in);
    put_words(in, upper);
    words_at(w, wstride, nrow, 0, in);
    transpose(in, put_q6_k, to, upper);
    words_at(w, wstride, nrow, 64, in);
    transpose(in, put_q6_k, to + 32 * LINE, upper + 8);
    head_at(w, wstride, nrow, 192, scales);
    put_scales16(scales, _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(const void *)d)), to);
}

/* ---- blocks of 256 ---- */

typedef void step_fn(const uint8_t *w, size_t wstride, size_t nrow, uint8_t *to);

INLINE void pack_k(step_fn *step, super_fn *super, words_fn *words,
                   size_t bytes, enum panel kind, int add, size_t from, size_t k, const uint8_t *w,
                   size_t wstride, size_t nrow, uint8_t *panel)
{
    for (size_t i = from; i < k; i += 256, panel += LINE * panel_lines(kind)) {
        const uint8_t *at = w + i / 256 * bytes;
        for (size_t r = 0; r < PANEL_ROWS; r += 16) {
            size_t n = nrow < r ? 0 : nrow - r < 16 ? nrow - r : 16;
            if (step)
                step(at + r * wstride, wstride, n, panel + 4 * r);
            else
                step_k(super, words, kind, add, at + r * wstride, wstride, n, panel + 4 * r);
        }
    }
}

#define PACK_K(name, step, super, words, bytes, kind, add)                                    \
    void slice_##name##_avx512(size_t from, size_t k, const uint8_t *w, size_t wstride,       \
                               size_t nrow, uint8_t *panel)                                   \
    {                                                                                         \
        pack_k(step, super, words, bytes, kind, add, from, k, w, wstride, nrow, panel); \
    }                                                                                         \
    PACK(name)
PACK_K(q2_k, NULL, super_q2_k, words_k16_min, 84, PANEL_K16_MIN, 0)
PACK_K(q3_k, NULL, super_q3_k, words_k16, 110, PANEL_K16, 124)
PACK_K(q4_k, step_q4_k, NULL, NULL, 144, PANEL_K32_MIN, 0)
PACK_K(q5_k, step_q5_k, NULL, NULL, 176, PANEL_K32_MIN, 0)
PACK_K(q6_k, step_q6_k, NULL, NULL, 210, PANEL_K16, 96)
PACK_K(iq4_xs, NULL, super_iq4_xs, words_k32, 136, PANEL_K32, 0)

#define PACK_ENTRY(name, bytes) PACK_K(name, NULL, super_##name, words_k16, bytes, PANEL_K16, 64)
QUANT_SMALL_MAP(PACK_ENTRY)
