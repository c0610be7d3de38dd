/* SPDX-License-Identifier: Apache-2.0
 *
 * kern/x86/quant_pack_avx512.c: blocks to panels (quant_panel_avx512.h).
 *
 * Two stages: what differs between the types, a row's block to registers of bytes, is shared
 * with the product of rows; what does not, 16 rows of 16 words becoming 16 lines, is a
 * transposition of 64 shuffles for 1024 weights.
 */
#include "kern/x86/quant_panel_avx512.h"
#include "kern/x86/quant_quad_avx512.h"
#include "kern/x86/quant_super_avx512.h"

/* Where word w of a register of a step goes. LINEAR: line first + w. BY_BLOCK: words take turns
 * between four blocks of 8 lines; first is 0 or 4 within each. */
enum order { LINEAR, BY_BLOCK };

INLINE uint8_t *line_of(uint8_t *to, enum order order, int first, int w)
{
    return to + (size_t)(order == LINEAR ? first + w : w % 4 * 8 + first + w / 4) * LINE;
}

/* The words of 16 rows become the first `count` of 16 half lines. */
INLINE void transpose(const __m512i *in, uint8_t *to, enum order order, int first, int count)
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
        if (c < count)
            _mm512_store_si512(line_of(to, order, first, c),
                               _mm512_shuffle_i32x4(even0, even1, 0x88));
        if (c + 4 < count)
            _mm512_store_si512(line_of(to, order, first, c + 4),
                               _mm512_shuffle_i32x4(odd0, odd1, 0x88));
        if (c + 8 < count)
            _mm512_store_si512(line_of(to, order, first, c + 8),
                               _mm512_shuffle_i32x4(even0, even1, 0xdd));
        if (c + 12 < count)
            _mm512_store_si512(line_of(to, order, first, c + 12),
                               _mm512_shuffle_i32x4(odd0, odd1, 0xdd));
    }
}

/* 4 floats of each of 16 rows become 4 half lines. */
INLINE void transpose4(const __m128 *in, uint8_t *to)
{
    __m512 r[4];
    UNROLL
    for (int i = 0; i < 4; i++) r[i] = _mm512_loadu_ps((const float *)&in[4 * i]);
    const __m512i low = _mm512_setr_epi32(0, 4, 8, 12, 16, 20, 24, 28, 1, 5, 9, 13, 17, 21, 25, 29);
    const __m512i high = _mm512_add_epi32(low, _mm512_set1_epi32(2));
    __m512 a = _mm512_permutex2var_ps(r[0], low, r[1]), b = _mm512_permutex2var_ps(r[2], low, r[3]);
    __m512 c = _mm512_permutex2var_ps(r[0], high, r[1]),
           d = _mm512_permutex2var_ps(r[2], high, r[3]);
    _mm512_store_ps(to, _mm512_shuffle_f32x4(a, b, 0x44));
    _mm512_store_ps(to + LINE, _mm512_shuffle_f32x4(a, b, 0xee));
    _mm512_store_ps(to + 2 * LINE, _mm512_shuffle_f32x4(c, d, 0x44));
    _mm512_store_ps(to + 3 * LINE, _mm512_shuffle_f32x4(c, d, 0xee));
}

/* The rows of a panel are 32 streams, which no prefetcher follows. But the next panel most
 * likely lies behind this one: so with each row of a step that much of it is asked for, in the
 * order of memory. */
INLINE const uint8_t *next_panel(const uint8_t *w, size_t wstride, size_t step, size_t bytes)
{
    return w + PANEL_ROWS * (wstride + step * bytes);
}

/* ---- blocks of 32 ---- */

enum { STEP_MAX = 4 * 34 };

/* A step of up to 16 rows at w into the half line `to`; `blocks` of the step's 4 are there. add
 * takes the type's offset to 128. */
INLINE void step32(quad_fn *quad, size_t bytes, int add, int has_min, const uint8_t *w,
                   size_t wstride, size_t nrow, size_t blocks, const uint8_t *next, uint8_t *to)
{
    __m512i lo[16], hi[16];
    __m128 d[16], m[16];
    const __m512i plus = _mm512_set1_epi8((char)add);
    for (size_t r = 0; r < 16; r++) {
        uint8_t part[STEP_MAX];
        const uint8_t *p = w + r * wstride;
        if (r >= nrow || blocks < 4) {
            memset(part, 0, sizeof part);
            if (r < nrow) memcpy(part, p, blocks * bytes);
            p = part;
        }
        struct quad q = quad(p);
        prefetch_lines(next + r * 4 * bytes, 4 * bytes);
        lo[r] = _mm512_add_epi8(q.lo, plus);
        hi[r] = _mm512_add_epi8(q.hi, plus);
        d[r] = _mm512_castps512_ps128(q.d);
        if (has_min) m[r] = _mm_mul_ps(q.m, _mm_set1_ps(-0x1p-7f));
    }
    transpose(lo, to, BY_BLOCK, 0, 16);
    transpose(hi, to, BY_BLOCK, 4, 16);
    transpose4(d, to + 32 * LINE);
    if (has_min) transpose4(m, to + 36 * LINE);
}

INLINE void pack32(quad_fn *quad, size_t bytes, int add, int has_min, size_t k, const uint8_t *w,
                   size_t wstride, size_t nrow, uint8_t *panel)
{
    size_t line = LINE * panel_lines(has_min ? PANEL_32_MIN : PANEL_32);
    const uint8_t *first = w;
    for (size_t i = 0; i < k; i += 128, w += 4 * bytes, panel += line) {
        size_t blocks = k - i < 128 ? (k - i) / 32 : 4;
        const uint8_t *next = next_panel(first, wstride, i / 128, 4 * bytes);
        step32(quad, bytes, add, has_min, w, wstride, nrow, blocks, next, panel);
        step32(quad, bytes, add, has_min, w + 16 * wstride, wstride, nrow < 16 ? 0 : nrow - 16,
               blocks, next + 16 * 4 * bytes, panel + 64);
    }
}

#define PACK32(name, bytes, add, has_min)                                                        \
    void pack_##name##_avx512(size_t k, const void *w, size_t wstride, size_t nrow, void *panel) \
    {                                                                                            \
        pack32(quad_##name, bytes, add, has_min, k, w, wstride, nrow, panel);                    \
    }
PACK32(q4_0, 18, 120, 0)
PACK32(q4_1, 20, 0, 1)
PACK32(q5_0, 22, 112, 0)
PACK32(q5_1, 24, 0, 1)
PACK32(q8_0, 34, 0, 0)
PACK32(iq4_nl, 18, 0, 0)
PACK32(mxfp4, 17, 0, 0)

/* ---- blocks of 256 ---- */

/* What stands behind the numbers, as the words of one row: scales in the order of act_at, then
 * mins. */
INLINE __m512i words_k32_min(const struct super *q, __m512i *more)
{
    const __m128i scales = _mm_setr_epi8(0, 2, 1, 3, 8, 10, 9, 11, -1, -1, -1, -1, -1, -1, -1, -1);
    const __m128i mins = _mm_setr_epi8(4, -1, 5, -1, 6, -1, 7, -1, 12, -1, 13, -1, 14, -1, 15, -1);
    __m256 s = _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_shuffle_epi8(q->small, scales)));
    s = _mm256_mul_ps(s, _mm256_broadcastss_ps(q->d));
    __m256i m = _mm256_castsi128_si256(_mm_shuffle_epi8(q->small, mins));
    m = _mm256_inserti128_si256(m, _mm_castps_si128(_mm_movehdup_ps(q->d)), 1);
    (void)more;
    return _mm512_inserti64x4(_mm512_castsi256_si512(_mm256_castps_si256(s)), m, 1);
}

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

INLINE void step_k(super_fn *super, quant_small_fn *small, words_fn *words, enum panel kind,
                   int add, const uint8_t *w, size_t wstride, size_t nrow, const uint8_t *next,
                   size_t bytes, uint8_t *to)
{
    __m512i q0[16], q1[16], q2[16], q3[16], s[16], more[16];
    const __m512i plus = _mm512_set1_epi8((char)add);
    for (size_t r = 0; r < nrow; r++) {
        const uint8_t *p = w + r * wstride;
        struct quant_small t;
        if (small) {
            small(p, &t);
            p = (const uint8_t *)&t;
        }
        struct super q = super(p);
        prefetch_lines(next + r * bytes, bytes);
        q0[r] = _mm512_add_epi8(q.q0, plus);
        q1[r] = _mm512_add_epi8(q.q1, plus);
        q2[r] = _mm512_add_epi8(q.q2, plus);
        q3[r] = _mm512_add_epi8(q.q3, plus);
        s[r] = words(&q, &more[r]);
    }
    for (size_t r = nrow; r < 16; r++)
        q0[r] = q1[r] = q2[r] = q3[r] = s[r] = more[r] = _mm512_setzero_si512();
    transpose(q0, to, LINEAR, 0, 16);
    transpose(q1, to, LINEAR, 16, 16);
    transpose(q2, to, LINEAR, 32, 16);
    transpose(q3, to, LINEAR, 48, 16);
    size_t lines = panel_lines(kind) - 64;
    transpose(s, to, LINEAR, 64, lines < 16 ? (int)lines : 16);
    if (lines > 16) transpose(more, to, LINEAR, 80, (int)lines - 16);
}

INLINE void pack_k(super_fn *super, quant_small_fn *small, words_fn *words, size_t bytes,
                   enum panel kind, int add, size_t k, const uint8_t *w, size_t wstride,
                   size_t nrow, uint8_t *panel)
{
    size_t low = nrow < 16 ? nrow : 16;
    const uint8_t *first = w;
    for (size_t i = 0; i < k; i += 256, w += bytes, panel += LINE * panel_lines(kind)) {
        const uint8_t *next = next_panel(first, wstride, i / 256, bytes);
        step_k(super, small, words, kind, add, w, wstride, low, next, bytes, panel);
        step_k(super, small, words, kind, add, w + 16 * wstride, wstride, nrow - low,
               next + 16 * bytes, bytes, panel + 64);
    }
}

#define PACK_K(name, words, bytes, kind, add)                                                    \
    void pack_##name##_avx512(size_t k, const void *w, size_t wstride, size_t nrow, void *panel) \
    {                                                                                            \
        pack_k(super_##name, NULL, words, bytes, kind, add, k, w, wstride, nrow, panel);         \
    }
PACK_K(q2_k, words_k16_min, 84, PANEL_K16_MIN, 0)
PACK_K(q3_k, words_k16, 110, PANEL_K16, 124)
PACK_K(q4_k, words_k32_min, 144, PANEL_K32_MIN, 0)
PACK_K(q5_k, words_k32_min, 176, PANEL_K32_MIN, 0)
PACK_K(q6_k, words_k16, 210, PANEL_K16, 96)
PACK_K(iq4_xs, words_k32, 136, PANEL_K32, 0)

/* The types that are unpacked to memory first share their code. */
static void pack_small(quant_small_fn *small, size_t bytes, size_t k, const uint8_t *w,
                       size_t wstride, size_t nrow, uint8_t *panel)
{
    pack_k(super_small, small, words_k16, bytes, PANEL_K16, 64, k, w, wstride, nrow, panel);
}
#define PACK_SMALL(name, bytes)                                                                  \
    void pack_##name##_avx512(size_t k, const void *w, size_t wstride, size_t nrow, void *panel) \
    {                                                                                            \
        pack_small(quant_small_##name, bytes, k, w, wstride, nrow, panel);                       \
    }
QUANT_SMALL_MAP(PACK_SMALL)
