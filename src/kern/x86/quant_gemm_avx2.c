/* SPDX-License-Identifier: Apache-2.0
 *
 * kern/x86/quant_gemm_avx2.c: a panel (quant_panel_avx2.h) times many activation rows.
 *
 * The tile is 16 rows by up to 4 activation rows. Unsigned bytes of few bits leave room in the
 * 16-bit sums of vpmaddubsw for several steps (ROOM: 8 of 4 bits, 4 of 5, 2 of 6), so a step is
 * two instructions for 32 products; then they are widened, in types with small integer scales by
 * the very product with the scale. Signed bytes give their sign to the activations and are
 * widened at once.
 */
#include "kern/x86/quant_panel_avx2.h"

enum { TILE = 4 };

struct acts {
    size_t d, c, s, t, stride; /* where the planes are; bytes from row to row */
    const uint8_t *row;
};

INLINE __m256i line_at(const uint8_t *p)
{
    return _mm256_load_si256((const __m256i *)(const void *)p);
}
INLINE __m256 line_ps(const uint8_t *p) { return _mm256_load_ps((const float *)(const void *)p); }
INLINE __m256i spread(const uint8_t *p) { return _mm256_set1_epi32((int)u32_at(p)); }
INLINE __m256 spread_ps(const uint8_t *p) { return _mm256_castsi256_ps(spread(p)); }

/* `words` lines from `line` on times the activations' words at x + offset_of(j): 16-bit sums,
 * widened into sum by a product with one of two words a row (f0, f1) every `room` lines. */
#define DOT(words, offset_of)                                                          \
    do {                                                                               \
        __m256i t[2 * TILE];                                                           \
        UNROLL                                                                         \
        for (int j = 0; j < (words); j++) {                                            \
            __m256i w0 = line_at(line + j * LINE), w1 = line_at(line + j * LINE + 32); \
            __m256i u0 = is_signed ? _mm256_abs_epi8(w0) : w0;                         \
            __m256i u1 = is_signed ? _mm256_abs_epi8(w1) : w1;                         \
            UNROLL                                                                     \
            for (int n = 0; n < N; n++) {                                              \
                __m256i v = spread(x + (size_t)n * a.stride + (offset_of));            \
                __m256i v0 = is_signed ? _mm256_sign_epi8(v, w0) : v;                  \
                __m256i v1 = is_signed ? _mm256_sign_epi8(v, w1) : v;                  \
                v0 = _mm256_maddubs_epi16(u0, v0);                                     \
                v1 = _mm256_maddubs_epi16(u1, v1);                                     \
                t[2 * n] = j % room ? _mm256_add_epi16(t[2 * n], v0) : v0;             \
                t[2 * n + 1] = j % room ? _mm256_add_epi16(t[2 * n + 1], v1) : v1;     \
                HOLD(t[2 * n]);                                                        \
                HOLD(t[2 * n + 1]);                                                    \
                if (j % room == room - 1) {                                            \
                    v0 = _mm256_madd_epi16(t[2 * n], f0);                              \
                    v1 = _mm256_madd_epi16(t[2 * n + 1], f1);                          \
                    sum[2 * n] = _mm256_add_epi32(sum[2 * n], v0);                     \
                    sum[2 * n + 1] = _mm256_add_epi32(sum[2 * n + 1], v1);             \
                }                                                                      \
            }                                                                          \
        }                                                                              \
    } while (0)

INLINE void put(const __m256 *acc, int N, size_t nrow, float *out, size_t ostride)
{
    for (int n = 0; n < N; n++, out += ostride) {
        if (nrow == PANEL_ROWS) {
            _mm256_storeu_ps(out, acc[2 * n]);
            _mm256_storeu_ps(out + 8, acc[2 * n + 1]);
        } else {
            float row[PANEL_ROWS];
            _mm256_storeu_ps(row, acc[2 * n]);
            _mm256_storeu_ps(row + 8, acc[2 * n + 1]);
            memcpy(out, row, 4 * nrow);
        }
    }
}

/* ---- ACT_Q8_32 ---- */

/* offset: 0, 8 or 16 */
INLINE void tile32(int is_signed, int room, int offset, int has_min, int N, size_t k,
                   const uint8_t *panel, size_t nrow, struct acts a, float *out, size_t ostride)
{
    __m256 acc[2 * TILE];
    const __m256i f0 = _mm256_set1_epi16(1), f1 = f0;
    UNROLL
    for (int i = 0; i < 2 * N; i++) acc[i] = _mm256_setzero_ps();
    for (size_t b = 0; b < (k + 127) / 128 * 4; b++) { /* block after block */
        const uint8_t *step = panel + b / 4 * lines_32(has_min) * LINE;
        const uint8_t *line = step + b % 4 * 8 * LINE, *scale = step + (32 + b % 4) * LINE;
        const uint8_t *x = a.row + b / 4 * 128 + b % 4 * 4;
        __m256i sum[2 * TILE];
        UNROLL
        for (int n = 0; n < N; n++) { /* the plane c is for an offset of 128 */
            __m256i c = _mm256_setzero_si256();
            if (offset)
                c = _mm256_srai_epi32(spread(a.row + (size_t)n * a.stride + a.c + 4 * b),
                                      offset == 8 ? 4 : 3);
            sum[2 * n] = sum[2 * n + 1] = c;
        }
        DOT(8, j / 4 * 64 + j % 4 * 16);
        __m256 d0 = line_ps(scale), d1 = line_ps(scale + 32);
        UNROLL
        for (int n = 0; n < N; n++) {
            __m256 d = spread_ps(a.row + (size_t)n * a.stride + a.d + 4 * b);
            acc[2 * n] =
                _mm256_fmadd_ps(_mm256_cvtepi32_ps(sum[2 * n]), _mm256_mul_ps(d, d0), acc[2 * n]);
            acc[2 * n + 1] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(sum[2 * n + 1]),
                                             _mm256_mul_ps(d, d1), acc[2 * n + 1]);
        }
        if (!has_min) continue;
        __m256 m0 = line_ps(scale + 4 * LINE), m1 = line_ps(scale + 4 * LINE + 32);
        UNROLL
        for (int n = 0; n < N; n++) {
            const uint8_t *row = a.row + (size_t)n * a.stride + 4 * b;
            __m256 c = _mm256_mul_ps(spread_ps(row + a.d), _mm256_cvtepi32_ps(spread(row + a.c)));
            acc[2 * n] = _mm256_fmadd_ps(c, m0, acc[2 * n]);
            acc[2 * n + 1] = _mm256_fmadd_ps(c, m1, acc[2 * n + 1]);
        }
    }
    put(acc, N, nrow, out, ostride);
}

/* ---- ACT_Q8_256 ---- */

/* What the mins are: none, an offset's (in units of d), or the type's own (of dmin). */
enum mins { MINS_NONE, MINS_OFFSET, MINS_OWN };

INLINE void tile_k(int is_signed, int room, int group, enum mins mins, int N, size_t k,
                   const uint8_t *panel, size_t nrow, struct acts a, float *out, size_t ostride)
{
    __m256 acc[2 * TILE];
    UNROLL
    for (int i = 0; i < 2 * N; i++) acc[i] = _mm256_setzero_ps();
    for (size_t b = 0; b < k / 256; b++, panel += lines_k(group) * LINE) {
        __m256i sum[2 * TILE], low[2 * TILE];
        UNROLL
        for (int i = 0; i < 2 * N; i++) sum[i] = _mm256_setzero_si256();
        for (size_t g = 0; g < 256 / (size_t)group; g++) {
            const uint8_t *line = panel + g * (size_t)group / 4 * LINE;
            const uint8_t *x = a.row + 256 * b + g * (size_t)group;
            __m256i f0 = line_at(panel + (64 + g) * LINE),
                    f1 = line_at(panel + (64 + g) * LINE + 32);
            if (group == 32)
                DOT(8, 4 * j);
            else
                DOT(4, 4 * j);
        }
        const uint8_t *line = panel + (64 + 256 / (size_t)group) * LINE;
        const int pairs = 128 / group;
        UNROLL
        for (int i = 0; i < 2 * N; i++) low[i] = _mm256_setzero_si256();
        if (mins != MINS_NONE) {
            UNROLL
            for (int j = 0; j < pairs; j++) {
                __m256i m0 = line_at(line + j * LINE), m1 = line_at(line + j * LINE + 32);
                UNROLL
                for (int n = 0; n < N; n++) {
                    const uint8_t *row = a.row + (size_t)n * a.stride;
                    __m256i v = spread(row + (group == 32 ? a.t + 16 * b : a.s + 32 * b) + 4 * j);
                    low[2 * n] = _mm256_add_epi32(low[2 * n], _mm256_madd_epi16(m0, v));
                    low[2 * n + 1] = _mm256_add_epi32(low[2 * n + 1], _mm256_madd_epi16(m1, v));
                }
            }
        }
        line += pairs * LINE;
        UNROLL
        for (int i = 0; i < 2 * N; i++) {
            __m256 ad = spread_ps(a.row + (size_t)(i / 2) * a.stride + a.d + 4 * b);
            __m256 d = _mm256_mul_ps(line_ps(line + i % 2 * 32), ad);
            if (mins == MINS_OFFSET) sum[i] = _mm256_sub_epi32(sum[i], low[i]);
            acc[i] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(sum[i]), d, acc[i]);
            if (mins == MINS_OWN) {
                d = _mm256_mul_ps(line_ps(line + LINE + i % 2 * 32), ad);
                acc[i] = _mm256_fnmadd_ps(_mm256_cvtepi32_ps(low[i]), d, acc[i]);
            }
        }
    }
    put(acc, N, nrow, out, ostride);
}

/* Tiles as equal as can be: the rest after fours is two tiles, not one that is nearly empty. */
INLINE size_t next_tile(size_t left)
{
    return left >= 8 || left == TILE ? TILE : left < TILE ? left : (left + 1) / 2;
}

#define GEMM(name, acts_are, call, ...)                                                \
    void gemm_##name##_avx2(size_t k, const void *panel, size_t nrow, const void *act, \
                            size_t astride, size_t nact, float *out, size_t ostride)   \
    {                                                                                  \
        struct acts a = acts_are(k);                                                   \
        a.stride = astride;                                                            \
        a.row = act;                                                                   \
        for (size_t n; nact; nact -= n, a.row += n * astride, out += n * ostride) {    \
            n = next_tile(nact);                                                       \
            if (n == 1) call(__VA_ARGS__, 1, k, panel, nrow, a, out, ostride);         \
            if (n == 2) call(__VA_ARGS__, 2, k, panel, nrow, a, out, ostride);         \
            if (n == 3) call(__VA_ARGS__, 3, k, panel, nrow, a, out, ostride);         \
            if (n == 4) call(__VA_ARGS__, 4, k, panel, nrow, a, out, ostride);         \
        }                                                                              \
    }

static struct acts acts_32(size_t k)
{
    return (struct acts){.d = act_scale_at(ACT_Q8_32, k), .c = act_sum_at(ACT_Q8_32, k)};
}
/* is_signed, room, offset, has_min */
GEMM(q4_0, acts_32, tile32, 0, 8, 8, 0)
GEMM(q4_1, acts_32, tile32, 0, 8, 0, 1)
GEMM(q5_0, acts_32, tile32, 0, 4, 16, 0)
GEMM(q5_1, acts_32, tile32, 0, 4, 0, 1)
GEMM(q8_0, acts_32, tile32, 1, 1, 0, 0)

static struct acts acts_256(size_t k)
{
    return (struct acts){
        .d = act_scale_at(ACT_Q8_256, k), .s = act_sum_at(ACT_Q8_256, k), .t = act_sum32_at(k)};
}
/* is_signed, room, group, mins */
GEMM(q2_k, acts_256, tile_k, 0, 4, 16, MINS_OWN)
GEMM(q3_k, acts_256, tile_k, 0, 4, 16, MINS_OFFSET)
GEMM(q4_k, acts_256, tile_k, 0, 8, 32, MINS_OWN)
GEMM(q5_k, acts_256, tile_k, 0, 4, 32, MINS_OWN)
GEMM(q6_k, acts_256, tile_k, 0, 2, 16, MINS_OFFSET)
GEMM(iq4_xs, acts_256, tile_k, 1, 1, 32, MINS_NONE)
GEMM(small, acts_256, tile_k, 1, 2, 16, MINS_NONE) /* |q| <= 62: room for two */
