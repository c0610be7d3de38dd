/* SPDX-License-Identifier: Apache-2.0
 *
 * kern/x86/quant_pack_avx2.c: blocks to panels (quant_panel_avx2.h): a row's block to registers
 * of bytes, shared with the product of rows, then 8 rows of 8 words become 8 half lines.
 */
#include "kern/x86/quant_panel_avx2.h"

/* in[r] is 8 words of row r; word w of all goes to to + w % 4 * step + w / 4 * four. */
INLINE void transpose(const __m256i *in, uint8_t *to, size_t step, size_t four)
{
    __m256i a[8], b[8];
    UNROLL
    for (int i = 0; i < 8; i += 2) {
        a[i] = _mm256_unpacklo_epi32(in[i], in[i + 1]);
        a[i + 1] = _mm256_unpackhi_epi32(in[i], in[i + 1]);
    }
    UNROLL
    for (int i = 0; i < 8; i += 4) { /* b[i + c], half l: column 4 l + c of rows i .. i + 3 */
        b[i] = _mm256_unpacklo_epi64(a[i], a[i + 2]);
        b[i + 1] = _mm256_unpackhi_epi64(a[i], a[i + 2]);
        b[i + 2] = _mm256_unpacklo_epi64(a[i + 1], a[i + 3]);
        b[i + 3] = _mm256_unpackhi_epi64(a[i + 1], a[i + 3]);
    }
    UNROLL
    for (int c = 0; c < 4; c++) {
        _mm256_store_si256((__m256i *)(void *)(to + (size_t)c * step),
                           _mm256_permute2x128_si256(b[c], b[c + 4], 0x20));
        _mm256_store_si256((__m256i *)(void *)(to + (size_t)c * step + four),
                           _mm256_permute2x128_si256(b[c], b[c + 4], 0x31));
    }
}

/* Only the first `count` words, to consecutive lines. */
INLINE void transpose_some(const __m256i *in, uint8_t *to, int count)
{
    _Alignas(32) uint8_t all[8 * 32];
    transpose(in, all, 32, 128);
    for (int i = 0; i < count; i++) memcpy(to + (size_t)i * LINE, all + (size_t)i * 32, 32);
}

/* The rows of a panel are 16 streams, which no prefetcher follows. But the next panel most likely
 * lies behind this one: so with each row of a step that much of it is asked for, in the order of
 * memory. */
INLINE const uint8_t *next_panel(const uint8_t *w, size_t wstride, size_t step, size_t bytes)
{
    return w + PANEL_ROWS * (wstride + step * bytes);
}

/* ---- blocks of 32 ---- */

enum { STEP_MAX = 4 * 34 };

/* A step of up to 8 rows at w into the half lines at `to`; `blocks` of the step's 4 are there. */
INLINE void step32(quad_fn *quad, size_t bytes, int has_min, const uint8_t *w, size_t wstride,
                   size_t nrow, size_t blocks, const uint8_t *next, uint8_t *to)
{
    __m256i lo0[8], lo1[8], hi0[8], hi1[8], d[8];
    for (size_t r = 0; r < 8; r++) {
        uint8_t part[STEP_MAX];
        const uint8_t *p = w + r * wstride;
        prefetch_lines(next + r * 4 * bytes, 4 * bytes);
        if (r >= nrow || blocks < 4) {
            memset(part, 0, sizeof part);
            if (r < nrow) memcpy(part, p, blocks * bytes);
            p = part;
        }
        struct quad q = quad(p);
        lo0[r] = q.lo0;
        lo1[r] = q.lo1;
        hi0[r] = q.hi0;
        hi1[r] = q.hi1;
        __m128 m = has_min ? _mm_mul_ps(q.m, _mm_set1_ps(-0x1p-7f)) : q.d;
        d[r] = _mm256_castps_si256(_mm256_set_m128(m, q.d));
    }
    transpose(lo0, to, 8 * LINE, LINE);
    transpose(lo1, to + 2 * LINE, 8 * LINE, LINE);
    transpose(hi0, to + 4 * LINE, 8 * LINE, LINE);
    transpose(hi1, to + 6 * LINE, 8 * LINE, LINE);
    /* d, and m behind it */
    transpose_some(d, to + 32 * LINE, has_min ? 8 : 4);
}

INLINE void pack32(quad_fn *quad, size_t bytes, int has_min, size_t k, const uint8_t *w,
                   size_t wstride, size_t nrow, uint8_t *panel)
{
    size_t low = nrow < 8 ? nrow : 8;
    const uint8_t *first = w;
    for (size_t i = 0; i < k; i += 128, w += 4 * bytes, panel += LINE * lines_32(has_min)) {
        size_t blocks = k - i < 128 ? (k - i) / 32 : 4;
        const uint8_t *next = next_panel(first, wstride, i / 128, 4 * bytes);
        step32(quad, bytes, has_min, w, wstride, low, blocks, next, panel);
        step32(quad, bytes, has_min, w + 8 * wstride, wstride, nrow - low, blocks,
               next + 8 * 4 * bytes, panel + 32);
    }
}

#define PACK32(name, bytes, has_min)                                                           \
    void pack_##name##_avx2(size_t k, const void *w, size_t wstride, size_t nrow, void *panel) \
    {                                                                                          \
        pack32(quad_##name, bytes, has_min, k, w, wstride, nrow, panel);                       \
    }
PACK32(q4_0, 18, 0)
PACK32(q4_1, 20, 1)
PACK32(q5_0, 22, 0)
PACK32(q5_1, 24, 1)
PACK32(q8_0, 34, 0)
PACK32(iq4_nl, 18, 0)
PACK32(mxfp4, 17, 0)

/* ---- blocks of 256 ---- */

/* What stands behind the numbers, of one row. */
struct words {
    __m256i s0, s1, m, d; /* scales, mins, and d with dmin */
};

/* Each byte as a signed word, twice. */
INLINE __m256i twice(__m128i bytes)
{
    __m256i x = _mm256_cvtepi8_epi32(bytes);
    return _mm256_or_si256(_mm256_and_si256(x, _mm256_set1_epi32(0xffff)),
                           _mm256_slli_epi32(x, 16));
}

INLINE struct words words_of(const struct head *o, int group, int offset)
{
    /* head.scale: those of first halves of the groups of 32, then those of second halves. */
    struct words w;
    __m128i both = _mm_unpacklo_epi8(o->scale, _mm_srli_si128(o->scale, 8)); /* in order */
    if (group == 32) {
        const __m128i order = _mm_setr_epi8(0, 2, 1, 3, 4, 6, 5, 7, -1, -1, -1, -1, -1, -1, -1, -1);
        w.s0 = w.s1 = twice(_mm_shuffle_epi8(o->scale, order));
        __m256i m = _mm256_and_si256(o->min, _mm256_set1_epi32(0xffff));
        m = _mm256_packus_epi32(m, m);
        w.m = _mm256_permute4x64_epi64(m, 0x08);
    } else {
        const __m128i order = _mm_setr_epi8(0, 1, 4, 5, 2, 3, 6, 7, 8, 9, 12, 13, 10, 11, 14, 15);
        __m128i s = _mm_shuffle_epi8(both, order);
        w.s0 = twice(s);
        w.s1 = twice(_mm_srli_si128(s, 8));
        w.m = o->min;
    }
    if (offset)
        w.m = _mm256_mullo_epi16(_mm256_cvtepi8_epi16(both), _mm256_set1_epi16((short)offset));
    w.d = _mm256_castsi128_si256(_mm_castps_si128(o->d));
    return w;
}

/* A step of nrow <= 8 rows at w into the half lines at `to`. */
INLINE void step_k(half_fn *half, head_fn *head, quant_small_fn *small, int group, int offset,
                   const uint8_t *w, size_t wstride, size_t nrow, const uint8_t *next, size_t bytes,
                   uint8_t *to)
{
    const __m256i zero = _mm256_setzero_si256();
    struct quant_small t[8];
    __m256i q[4][8], s0[8], s1[8], m[8], d[8];
    if (small)
        for (size_t r = 0; r < nrow; r++) small(w + r * wstride, &t[r]);
#define ROW(r) (small ? (const uint8_t *)&t[r] : w + (r)*wstride)
    UNROLL
    for (int h = 0; h < 2; h++) {
        for (size_t r = 0; r < 8; r++) {
            struct half o = {zero, zero, zero, zero};
            if (r < nrow) o = half(ROW(r), h);
            if (h == 0) prefetch_lines(next + r * bytes, bytes);
            q[0][r] = o.q0;
            q[1][r] = o.q2;
            q[2][r] = o.q1;
            q[3][r] = o.q3;
        }
        for (size_t i = 0; i < 4; i++)
            transpose(q[i], to + (32 * (size_t)h + 8 * i) * LINE, LINE, 4 * LINE);
    }
    for (size_t r = 0; r < 8; r++) {
        struct words o = {zero, zero, zero, zero};
        if (r < nrow) {
            struct head of = head(ROW(r));
            o = words_of(&of, group, offset);
        }
        s0[r] = o.s0;
        s1[r] = o.s1;
        m[r] = o.m;
        d[r] = o.d;
    }
#undef ROW
    to += 64 * LINE;
    transpose(s0, to, LINE, 4 * LINE);
    if (group == 16) transpose(s1, to + 8 * LINE, LINE, 4 * LINE);
    to += (size_t)(256 / group) * LINE;
    transpose_some(m, to, 128 / group);
    transpose_some(d, to + (size_t)(128 / group) * LINE, 2);
}

INLINE void pack_k(half_fn *half, head_fn *head, quant_small_fn *small, size_t bytes, int group,
                   int offset, size_t k, const uint8_t *w, size_t wstride, size_t nrow,
                   uint8_t *panel)
{
    size_t low = nrow < 8 ? nrow : 8;
    const uint8_t *first = w;
    for (size_t i = 0; i < k; i += 256, w += bytes, panel += LINE * lines_k(group)) {
        const uint8_t *next = next_panel(first, wstride, i / 256, bytes);
        step_k(half, head, small, group, offset, w, wstride, low, next, bytes, panel);
        step_k(half, head, small, group, offset, w + 8 * wstride, wstride, nrow - low,
               next + 8 * bytes, bytes, panel + 32);
    }
}

#define PACK_K(name, bytes, group, offset)                                                        \
    void pack_##name##_avx2(size_t k, const void *w, size_t wstride, size_t nrow, void *panel)    \
    {                                                                                             \
        pack_k(half_##name, head_##name, NULL, bytes, group, offset, k, w, wstride, nrow, panel); \
    }
PACK_K(q2_k, 84, 16, 0)
PACK_K(q3_k, 110, 16, 4)
PACK_K(q4_k, 144, 32, 0)
PACK_K(q5_k, 176, 32, 0)
PACK_K(q6_k, 210, 16, 32)
PACK_K(iq4_xs, 136, 32, 0)

/* The types that are unpacked to memory first share their code. */
static void pack_small(quant_small_fn *small, size_t bytes, size_t k, const uint8_t *w,
                       size_t wstride, size_t nrow, uint8_t *panel)
{
    pack_k(half_small, head_small, small, bytes, 16, 0, k, w, wstride, nrow, panel);
}
#define PACK_SMALL(name, bytes)                                                                \
    void pack_##name##_avx2(size_t k, const void *w, size_t wstride, size_t nrow, void *panel) \
    {                                                                                          \
        pack_small(quant_small_##name, bytes, k, w, wstride, nrow, panel);                     \
    }
QUANT_SMALL_MAP(PACK_SMALL)
