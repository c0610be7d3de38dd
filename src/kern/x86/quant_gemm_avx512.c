/* SPDX-License-Identifier: Apache-2.0
 *
 * kern/x86/quant_gemm_avx512.c: a panel (quant_panel_avx512.h) times many activation rows.
 *
 * The tile is 32 rows by up to 6 activation rows: 12 registers of integer sums, 12 of floats,
 * two lines of weights; each 4 bytes of an activation row are spread from memory and meet both.
 * For a group of 32 elements that is 96 vpdpbusd and 24 float instructions (12 with scales of
 * 256, whose last product waits until the end of the block), so .8 (.89) of the peak is the
 * ceiling.
 */
#include "kern/x86/quant_panel_avx512.h"

enum { TILE = 6 };

struct acts {
    size_t d, c, s, t, stride; /* where the planes are; bytes from row to row */
    const uint8_t *row;
    uintptr_t
        next; /* weights to come: of them `ahead` lines of the cache are asked for in each group */
    uintptr_t end;
    size_t ahead;
};

/* Spread over the arithmetic: all at once they would fill the queue of what is on its way, and the loads of the product with them. */
INLINE void ask_ahead(struct acts *a)
{
#pragma GCC unroll 1
    for (size_t i = 0; i < a->ahead; i++, a->next += 64)
        _mm_prefetch((const char *)a->next, _MM_HINT_T1);
}

/* Where results go; add: to what is there, in whole tiles of rows. */
struct to {
    float *out;
    size_t stride, nrow;
    int add;
};

INLINE __m512i spread(const uint8_t *p)
{
    uint32_t word;
    memcpy(&word, p, 4);
    return _mm512_set1_epi32((int)word);
}
INLINE __m512 spread_ps(const uint8_t *p) { return _mm512_castsi512_ps(spread(p)); }

/* Where the numbers of N rows begin. Held, so that the compiler keeps a pointer a row and not an offset for each word of each of them, which it
 * would have to reload from its stack: loads are what these loops have least of to spare. */
INLINE void starts(const uint8_t *x, size_t stride, int N, const uint8_t **p)
{
    UNROLL
    for (int n = 0; n < N; n++, x += stride) {
        p[n] = x;
        __asm__("" : "+r"(p[n]));
    }
}

/* `words` words of the panel from line on; the activations' words lie at p[n]. */
#define DOT(words, offset_of)                                            \
    UNROLL                                                               \
    for (int j = 0; j < (words); j++) {                                  \
        __m512i w0 = _mm512_load_si512(line + j * LINE);                 \
        __m512i w1 = _mm512_load_si512(line + j * LINE + 64);            \
        UNROLL                                                           \
        for (int n = 0; n < N; n++) {                                    \
            __m512i v = spread(p[n] + (offset_of));                      \
            sum[2 * n] = _mm512_dpbusd_epi32(sum[2 * n], w0, v);         \
            sum[2 * n + 1] = _mm512_dpbusd_epi32(sum[2 * n + 1], w1, v); \
        }                                                                \
    }

/* What the sums start from. */
INLINE void get(__m512 *acc, int N, struct to to)
{
    __mmask16 m = to.add ? 0xffff : 0;
    UNROLL
    for (int n = 0; n < N; n++) {
        acc[2 * n] = _mm512_maskz_loadu_ps(m, to.out + (size_t)n * to.stride);
        acc[2 * n + 1] = _mm512_maskz_loadu_ps(m, to.out + (size_t)n * to.stride + 16);
    }
}

INLINE void put(const __m512 *acc, int N, struct to to)
{
    __mmask16 m0 = (__mmask16)(to.nrow >= 16 ? 0xffff : (1u << to.nrow) - 1);
    __mmask16 m1 = (__mmask16)(to.nrow >= 32  ? 0xffff
                               : to.nrow > 16 ? (1u << (to.nrow - 16)) - 1
                                              : 0);
    UNROLL
    for (int n = 0; n < N; n++) {
        _mm512_mask_storeu_ps(to.out + (size_t)n * to.stride, m0, acc[2 * n]);
        _mm512_mask_storeu_ps(to.out + (size_t)n * to.stride + 16, m1, acc[2 * n + 1]);
    }
}

/* Asks for the lines of a tile's results, which are far from one another, while their sums are made. */
INLINE void ask(int N, struct to to)
{
    const float *p = to.out;
    for (int n = 0; n < N; n++, p += to.stride) {
        __builtin_prefetch(p, 1);
        __builtin_prefetch(p + 16, 1);
    }
}

/* ---- ACT_Q8_32 ---- */

INLINE void tile32(int has_min, int N, size_t k, const uint8_t *panel, struct acts a, struct to to)
{
    __m512 acc[2 * TILE];
    get(acc, N, to);
    size_t lines = panel_lines(has_min ? PANEL_32_MIN : PANEL_32);
    ask(N, to);
    for (size_t b = 0; b < (k + 127) / 128 * 4; b++) { /* block after block */
        const uint8_t *step = panel + b / 4 * lines * LINE, *line = step + b % 4 * 8 * LINE;
        const uint8_t *x = a.row + b / 4 * 128 + b % 4 * 4;
        const size_t c_at = a.c + 4 * b - (size_t)(x - a.row),
                     d_at = a.d + 4 * b - (size_t)(x - a.row);
        __m512i sum[2 * TILE];
        const uint8_t *p[TILE];
        starts(x, a.stride, N, p);
        ask_ahead(&a);
        UNROLL
        for (int n = 0; n < N; n++)
            sum[2 * n] = sum[2 * n + 1] = has_min ? _mm512_setzero_si512() : spread(p[n] + c_at);
        DOT(8, j / 4 * 64 + j % 4 * 16)
        const uint8_t *scale = step + (32 + b % 4) * LINE;
        __m512 d0 = _mm512_load_ps(scale), d1 = _mm512_load_ps(scale + 64);
        UNROLL
        for (int n = 0; n < N; n++) {
            __m512 d = spread_ps(p[n] + d_at);
            acc[2 * n] =
                _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum[2 * n]), _mm512_mul_ps(d, d0), acc[2 * n]);
            acc[2 * n + 1] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum[2 * n + 1]),
                                             _mm512_mul_ps(d, d1), acc[2 * n + 1]);
        }
        if (!has_min) continue;
        __m512 m0 = _mm512_load_ps(scale + 4 * LINE), m1 = _mm512_load_ps(scale + 4 * LINE + 64);
        UNROLL
        for (int n = 0; n < N; n++) {
            __m512 c =
                _mm512_mul_ps(spread_ps(p[n] + d_at), _mm512_cvtepi32_ps(spread(p[n] + c_at)));
            acc[2 * n] = _mm512_fmadd_ps(c, m0, acc[2 * n]);
            acc[2 * n + 1] = _mm512_fmadd_ps(c, m1, acc[2 * n + 1]);
        }
    }
    put(acc, N, to);
}

/* ---- ACT_Q8_256 ---- */

/* The group that stands i-th in a block of 256: of each four, 0 2 1 3. */
INLINE size_t in_order(size_t i) { return (i & 4) | (i & 1) << 1 | (i >> 1 & 1); }

/* Elements of a scale: 16 or 32. */
INLINE void tile_k(int group, enum panel kind, int N, size_t k, const uint8_t *panel, struct acts a,
                   struct to to)
{
    const int has_min = kind == PANEL_K32_MIN || kind == PANEL_K16_MIN;
    __m512 total[2 * TILE], acc[2 * TILE];
    __m512i sum[2 * TILE];
    get(total, N, to);
    ask(N, to);
    for (size_t b = 0; b < k / 256; b++, panel += panel_lines(kind) * LINE) {
        UNROLL
        for (int i = 0; i < 2 * N; i++) acc[i] = _mm512_setzero_ps();
        for (size_t g = 0; g < 256 / (size_t)group; g++) {
            const uint8_t *line = panel + g * (size_t)group / 4 * LINE;
            const uint8_t *x = a.row + 256 * b + g * (size_t)group;
            const uint8_t *scale = panel + (64 + g) * LINE;
            const size_t c_at = a.c + 64 * b - (size_t)(x - a.row);
            const uint8_t *p[TILE];
            starts(x, a.stride, N, p);
            ask_ahead(&a);
            UNROLL
            for (int n = 0; n < N; n++) {
                const uint8_t *c = p[n] + c_at;
                sum[2 * n] = _mm512_setzero_si512();
                if (kind == PANEL_K16) sum[2 * n] = spread(c + 4 * (2 * in_order(g / 2) + g % 2));
                if (kind == PANEL_K32)
                    sum[2 * n] = _mm512_add_epi32(spread(c + 8 * in_order(g)),
                                                  spread(c + 8 * in_order(g) + 4));
                sum[2 * n + 1] = sum[2 * n];
            }
            if (group == 32) DOT(8, 4 * j)
            if (group == 16) DOT(4, 4 * j)
            __m512 s0 = _mm512_load_ps(scale), s1 = _mm512_load_ps(scale + 64);
            UNROLL
            for (int n = 0; n < N; n++) {
                acc[2 * n] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum[2 * n]), s0, acc[2 * n]);
                acc[2 * n + 1] =
                    _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum[2 * n + 1]), s1, acc[2 * n + 1]);
            }
        }
        if (has_min) { /* pairs of mins times pairs of sums */
            const uint8_t *line = panel + (64 + 256 / (size_t)group) * LINE;
            const int pairs = 128 / group;
            UNROLL
            for (int i = 0; i < 2 * N; i++) sum[i] = _mm512_setzero_si512();
            UNROLL
            for (int j = 0; j < pairs; j++) {
                __m512i m0 = _mm512_load_si512(line + j * LINE);
                __m512i m1 = _mm512_load_si512(line + j * LINE + 64);
                UNROLL
                for (int n = 0; n < N; n++) {
                    const uint8_t *row = a.row + (size_t)n * a.stride;
                    __m512i v = spread(row + (group == 32 ? a.t + 16 * b : a.s + 32 * b) + 4 * j);
                    sum[2 * n] = _mm512_dpwssd_epi32(sum[2 * n], m0, v);
                    sum[2 * n + 1] = _mm512_dpwssd_epi32(sum[2 * n + 1], m1, v);
                }
            }
            __m512 d0 = _mm512_load_ps(line + pairs * LINE);
            __m512 d1 = _mm512_load_ps(line + pairs * LINE + 64);
            UNROLL
            for (int n = 0; n < N; n++) {
                acc[2 * n] = _mm512_fnmadd_ps(_mm512_cvtepi32_ps(sum[2 * n]), d0, acc[2 * n]);
                acc[2 * n + 1] =
                    _mm512_fnmadd_ps(_mm512_cvtepi32_ps(sum[2 * n + 1]), d1, acc[2 * n + 1]);
            }
        }
        UNROLL
        for (int n = 0; n < N; n++) {
            __m512 d = spread_ps(a.row + (size_t)n * a.stride + a.d + 4 * b);
            total[2 * n] = _mm512_fmadd_ps(acc[2 * n], d, total[2 * n]);
            total[2 * n + 1] = _mm512_fmadd_ps(acc[2 * n + 1], d, total[2 * n + 1]);
        }
    }
    put(total, N, to);
}

/* Tiles as equal as can be: the rest after sixes is two tiles, not one that is nearly empty. */
INLINE size_t next_tile(size_t left)
{
    return left >= 12 || left == TILE ? TILE : left < TILE ? left : (left + 1) / 2;
}

#ifdef __clang__
#define ONE_COPY __attribute__((noinline))
#else
#define ONE_COPY __attribute__((noinline, noclone))
#endif

/* Weights to come, `bytes` of them from `next` on, are asked for by the first `tiles` tiles of a sweep, a few lines in each of their groups. */
static struct acts asking(struct acts a, const uint8_t *next, size_t bytes, size_t tiles,
                          size_t groups)
{
    a.next = (uintptr_t)next;
    a.end = a.next + bytes;
    a.ahead = (bytes / 64 + tiles * groups - 1) / (tiles * groups);
    return a;
}

typedef void sweep_fn(size_t k, const uint8_t *panel, struct acts a, size_t nact, struct to to);

/* All activation rows, tile by tile. */
#define SWEEP(name, group, call)                                                                  \
    static ONE_COPY void sweep_##name(size_t k, const uint8_t *panel, struct acts a, size_t nact, \
                                      struct to to)                                               \
    {                                                                                             \
        for (size_t n; nact; nact -= n, a.row += n * a.stride, to.out += n * to.stride) {         \
            n = next_tile(nact);                                                                  \
            switch (n) {                                                                          \
            case 1: call(1); break;                                                               \
            case 2: call(2); break;                                                               \
            case 3: call(3); break;                                                               \
            case 4: call(4); break;                                                               \
            case 5: call(5); break;                                                               \
            default: call(6); break;                                                              \
            }                                                                                     \
            a.next += a.ahead * 64 * (k / (group));                                               \
            if (a.next >= a.end) a.ahead = 0;                                                     \
        }                                                                                         \
    }

#define CALL_32(N)      tile32(0, N, k, panel, a, to)
#define CALL_32_MIN(N)  tile32(1, N, k, panel, a, to)
#define CALL_K32(N)     tile_k(32, PANEL_K32, N, k, panel, a, to)
#define CALL_K32_MIN(N) tile_k(32, PANEL_K32_MIN, N, k, panel, a, to)
#define CALL_K16(N)     tile_k(16, PANEL_K16, N, k, panel, a, to)
#define CALL_K16_MIN(N) tile_k(16, PANEL_K16_MIN, N, k, panel, a, to)
SWEEP(32, 32, CALL_32)
SWEEP(32_min, 32, CALL_32_MIN)
SWEEP(k32, 32, CALL_K32)
SWEEP(k32_min, 32, CALL_K32_MIN)
SWEEP(k16, 16, CALL_K16)
SWEEP(k16_min, 16, CALL_K16_MIN)

static struct acts acts_of(enum kern_act kind, size_t k, const void *row, size_t stride)
{
    struct acts a = {.d = act_scale_at(kind, k), .stride = stride, .row = row};
    if (kind == ACT_Q8_32) {
        a.c = act_sum_at(kind, k);
    } else {
        a.s = act_sum_at(kind, k);
        a.t = act_sum32_at(k);
        a.c = act_start_at(k);
    }
    return a;
}

/* The same rows from element e on, a multiple of 256. */
static struct acts acts_from(enum kern_act kind, struct acts a, size_t e)
{
    a.row += e;
    if (kind == ACT_Q8_32) {
        a.d += e / 8 - e;
        a.c += e / 8 - e;
    } else {
        a.d += e / 64 - e;
        a.s += e / 8 - e;
        a.t += e / 16 - e;
        a.c += e / 4 - e;
    }
    return a;
}

/* Few activation rows: weights are unpacked in slices of SLICE elements, which stay in the first cache for all of them, and come from memory
 * while others are multiplied. */
enum { SLICE = 256, FEW = 16, SLICE_LINES = 64 + 16 + 8 + 1 };

static void few(sweep_fn *sweep, enum kern_act kind, size_t group, panel_slice_fn *slice, size_t k,
                const uint8_t *w, size_t wstride, size_t nrow, const void *act, size_t astride,
                size_t nact, float *out, size_t ostride)
{
    _Alignas(64) uint8_t panel[SLICE_LINES * LINE];
    _Alignas(64) float part[FEW * PANEL_ROWS];
    struct acts a = acts_of(kind, k, act, astride);
    for (size_t n; nact; nact -= n, a.row += n * astride, out += n * ostride) {
        n = nact < FEW ? nact : FEW;
        for (size_t r = 0; r < nrow; r += PANEL_ROWS) {
            struct to to = {.out = part, .stride = PANEL_ROWS, .nrow = PANEL_ROWS};
            size_t m = nrow - r < PANEL_ROWS ? nrow - r : PANEL_ROWS;
            for (size_t e = 0; e < k; e += SLICE, to.add = 1) {
                size_t to_e = k - e < SLICE ? k : e + SLICE;
                slice(e, to_e, w + r * wstride, wstride, m, panel);
                size_t bytes = PANEL_ROWS * wstride, share = bytes / ((k + SLICE - 1) / SLICE);
                const uint8_t *next = w + r * wstride + bytes + e / SLICE * share;
                struct acts at = asking(acts_from(kind, a, e), next, share, (n + TILE - 1) / TILE,
                                        SLICE / group);
                sweep(to_e - e, panel, at, n, to);
            }
            for (size_t i = 0; i < n; i++)
                memcpy(out + i * ostride + r, part + i * PANEL_ROWS, 4 * m);
        }
    }
}

#define GEMM(name, kind, group)                                                              \
    void gemm_##name##_avx512(size_t k, const void *panel, size_t nrow, const void *act,     \
                              size_t astride, size_t nact, float *out, size_t ostride)       \
    {                                                                                        \
        const struct panel_head *h = panel;                                                  \
        struct acts a = acts_of(kind, k, act, astride);                                      \
        a = asking(a, h->next, h->bytes, nact > 4 * TILE ? 4 : nact / TILE + 1,              \
                   (k + group - 1) / group);                                                 \
        sweep_##name(k, (const uint8_t *)panel + LINE, a, nact,                              \
                     (struct to){out, ostride, nrow, 0});                                    \
    }                                                                                        \
    void few_##name##_avx512(panel_slice_fn *slice, size_t k, const void *w, size_t wstride, \
                             size_t nrow, const void *act, size_t astride, size_t nact,      \
                             float *out, size_t ostride)                                     \
    {                                                                                        \
        few(sweep_##name, kind, group, slice, k, w, wstride, nrow, act, astride, nact, out,  \
            ostride);                                                                        \
    }
GEMM(32, ACT_Q8_32, 32)
GEMM(32_min, ACT_Q8_32, 32)
GEMM(k32, ACT_Q8_256, 32)
GEMM(k32_min, ACT_Q8_256, 32)
GEMM(k16, ACT_Q8_256, 16)
GEMM(k16_min, ACT_Q8_256, 16)
