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
};

INLINE __m512i spread(const uint8_t *p)
{
    uint32_t word;
    memcpy(&word, p, 4);
    return _mm512_set1_epi32((int)word);
}
INLINE __m512 spread_ps(const uint8_t *p) { return _mm512_castsi512_ps(spread(p)); }

/* `words` words of the panel from line on; the activations' words lie at x, those of a quad
 * apart as BY4 says. */
#define DOT(words, offset_of)                                            \
    UNROLL                                                               \
    for (int j = 0; j < (words); j++) {                                  \
        __m512i w0 = _mm512_load_si512(line + j * LINE);                 \
        __m512i w1 = _mm512_load_si512(line + j * LINE + 64);            \
        UNROLL                                                           \
        for (int n = 0; n < N; n++) {                                    \
            __m512i v = spread(x + (size_t)n * a.stride + (offset_of));  \
            sum[2 * n] = _mm512_dpbusd_epi32(sum[2 * n], w0, v);         \
            sum[2 * n + 1] = _mm512_dpbusd_epi32(sum[2 * n + 1], w1, v); \
        }                                                                \
    }

INLINE void put(const __m512 *acc, int N, size_t nrow, float *out, size_t ostride)
{
    __mmask16 m0 = (__mmask16)(nrow >= 16 ? 0xffff : (1u << nrow) - 1);
    __mmask16 m1 = (__mmask16)(nrow >= 32 ? 0xffff : nrow > 16 ? (1u << (nrow - 16)) - 1 : 0);
    UNROLL
    for (int n = 0; n < N; n++) {
        _mm512_mask_storeu_ps(out + (size_t)n * ostride, m0, acc[2 * n]);
        _mm512_mask_storeu_ps(out + (size_t)n * ostride + 16, m1, acc[2 * n + 1]);
    }
}

/* ---- ACT_Q8_32 ---- */

INLINE void tile32(int has_min, int N, size_t k, const uint8_t *panel, size_t nrow, struct acts a,
                   float *out, size_t ostride)
{
    __m512 acc[2 * TILE];
    UNROLL
    for (int i = 0; i < 2 * N; i++) acc[i] = _mm512_setzero_ps();
    size_t lines = panel_lines(has_min ? PANEL_32_MIN : PANEL_32);
    for (size_t b = 0; b < (k + 127) / 128 * 4; b++) { /* block after block */
        const uint8_t *step = panel + b / 4 * lines * LINE, *line = step + b % 4 * 8 * LINE;
        const uint8_t *x = a.row + b / 4 * 128 + b % 4 * 4;
        __m512i sum[2 * TILE];
        UNROLL
        for (int n = 0; n < N; n++)
            sum[2 * n] = sum[2 * n + 1] = has_min
                                              ? _mm512_setzero_si512()
                                              : spread(a.row + (size_t)n * a.stride + a.c + 4 * b);
        DOT(8, j / 4 * 64 + j % 4 * 16)
        const uint8_t *scale = step + (32 + b % 4) * LINE;
        __m512 d0 = _mm512_load_ps(scale), d1 = _mm512_load_ps(scale + 64);
        UNROLL
        for (int n = 0; n < N; n++) {
            __m512 d = spread_ps(a.row + (size_t)n * a.stride + a.d + 4 * b);
            acc[2 * n] =
                _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum[2 * n]), _mm512_mul_ps(d, d0), acc[2 * n]);
            acc[2 * n + 1] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum[2 * n + 1]),
                                             _mm512_mul_ps(d, d1), acc[2 * n + 1]);
        }
        if (!has_min) continue;
        __m512 m0 = _mm512_load_ps(scale + 4 * LINE), m1 = _mm512_load_ps(scale + 4 * LINE + 64);
        UNROLL
        for (int n = 0; n < N; n++) {
            const uint8_t *row = a.row + (size_t)n * a.stride + 4 * b;
            __m512 c = _mm512_mul_ps(spread_ps(row + a.d), _mm512_cvtepi32_ps(spread(row + a.c)));
            acc[2 * n] = _mm512_fmadd_ps(c, m0, acc[2 * n]);
            acc[2 * n + 1] = _mm512_fmadd_ps(c, m1, acc[2 * n + 1]);
        }
    }
    put(acc, N, nrow, out, ostride);
}

/* ---- ACT_Q8_256 ---- */

/* The group that stands i-th in a block of 256: of each four, 0 2 1 3. */
INLINE size_t in_order(size_t i) { return (i & 4) | (i & 1) << 1 | (i >> 1 & 1); }

/* Elements of a scale: 16 or 32. */
INLINE void tile_k(int group, enum panel kind, int N, size_t k, const uint8_t *panel, size_t nrow,
                   struct acts a, float *out, size_t ostride)
{
    const int has_min = kind == PANEL_K32_MIN || kind == PANEL_K16_MIN;
    __m512 total[2 * TILE], acc[2 * TILE];
    __m512i sum[2 * TILE];
    UNROLL
    for (int i = 0; i < 2 * N; i++) total[i] = _mm512_setzero_ps();
    for (size_t b = 0; b < k / 256; b++, panel += panel_lines(kind) * LINE) {
        UNROLL
        for (int i = 0; i < 2 * N; i++) acc[i] = _mm512_setzero_ps();
        for (size_t g = 0; g < 256 / (size_t)group; g++) {
            const uint8_t *line = panel + g * (size_t)group / 4 * LINE;
            const uint8_t *x = a.row + 256 * b + g * (size_t)group;
            const uint8_t *scale = panel + (64 + g) * LINE;
            UNROLL
            for (int n = 0; n < N; n++) {
                const uint8_t *c = a.row + (size_t)n * a.stride + a.c + 64 * b;
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
    put(total, N, nrow, out, ostride);
}

/* Tiles as equal as can be: the rest after sixes is two tiles, not one that is nearly empty. */
INLINE size_t next_tile(size_t left)
{
    return left >= 12 || left == TILE ? TILE : left < TILE ? left : (left + 1) / 2;
}

#define GEMM(name, planes, call)                                                         \
    void gemm_##name##_avx512(size_t k, const void *panel, size_t nrow, const void *act, \
                              size_t astride, size_t nact, float *out, size_t ostride)   \
    {                                                                                    \
        struct acts a = planes;                                                          \
        a.stride = astride;                                                              \
        a.row = act;                                                                     \
        for (size_t n; nact; nact -= n, a.row += n * astride, out += n * ostride) {      \
            n = next_tile(nact);                                                         \
            switch (n) {                                                                 \
            case 1: call(1); break;                                                      \
            case 2: call(2); break;                                                      \
            case 3: call(3); break;                                                      \
            case 4: call(4); break;                                                      \
            case 5: call(5); break;                                                      \
            default: call(6); break;                                                     \
            }                                                                            \
        }                                                                                \
    }

#define PLANES_32                                                      \
    {                                                                  \
        .d = act_scale_at(ACT_Q8_32, k), .c = act_sum_at(ACT_Q8_32, k) \
    }
#define CALL_32(N)     tile32(0, N, k, panel, nrow, a, out, ostride)
#define CALL_32_MIN(N) tile32(1, N, k, panel, nrow, a, out, ostride)
GEMM(32, PLANES_32, CALL_32)
GEMM(32_min, PLANES_32, CALL_32_MIN)

#define PLANES_K                                                                                \
    {                                                                                           \
        .d = act_scale_at(ACT_Q8_256, k), .s = act_sum_at(ACT_Q8_256, k), .t = act_sum32_at(k), \
        .c = act_start_at(k)                                                                    \
    }
#define CALL_K32(N)     tile_k(32, PANEL_K32, N, k, panel, nrow, a, out, ostride)
#define CALL_K32_MIN(N) tile_k(32, PANEL_K32_MIN, N, k, panel, nrow, a, out, ostride)
#define CALL_K16(N)     tile_k(16, PANEL_K16, N, k, panel, nrow, a, out, ostride)
#define CALL_K16_MIN(N) tile_k(16, PANEL_K16_MIN, N, k, panel, nrow, a, out, ostride)
GEMM(k32, PLANES_K, CALL_K32)
GEMM(k32_min, PLANES_K, CALL_K32_MIN)
GEMM(k16, PLANES_K, CALL_K16)
GEMM(k16_min, PLANES_K, CALL_K16_MIN)
