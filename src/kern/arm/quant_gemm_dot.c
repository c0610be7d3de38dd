/* SPDX-License-Identifier: Apache-2.0
 *
 * kern/arm/quant_gemm_dot.c: blocks to panels (quant_dot.h), and a panel times many activation
 * rows, NEON with dot product.
 *
 * The tile is 8 rows by up to 4 activation rows; SDOT by element takes each 4 bytes of an
 * activation row to 4 rows. A step of blocks of 256 stays in integers, scales and all, until its
 * end.
 */
#include "kern/arm/quant_dot.h"

enum { TILE = 4, STEP_MAX = 4 * 34 };

/* ---- pack ---- */

/* Words w .. w + 3 of 4 rows at in[r] to 4 lines from `to` on, `step` bytes apart. */
INLINE void transpose(const int8x16_t *in, uint8_t *to, size_t step)
{
    int32x4_t a = vreinterpretq_s32_s8(in[0]), b = vreinterpretq_s32_s8(in[1]);
    int32x4_t c = vreinterpretq_s32_s8(in[2]), d = vreinterpretq_s32_s8(in[3]);
    int64x2_t ab0 = vreinterpretq_s64_s32(vtrn1q_s32(a, b)),
              cd0 = vreinterpretq_s64_s32(vtrn1q_s32(c, d));
    int64x2_t ab1 = vreinterpretq_s64_s32(vtrn2q_s32(a, b)),
              cd1 = vreinterpretq_s64_s32(vtrn2q_s32(c, d));
    vst1q_u8(to, vreinterpretq_u8_s64(vtrn1q_s64(ab0, cd0)));
    vst1q_u8(to + step, vreinterpretq_u8_s64(vtrn1q_s64(ab1, cd1)));
    vst1q_u8(to + 2 * step, vreinterpretq_u8_s64(vtrn2q_s64(ab0, cd0)));
    vst1q_u8(to + 3 * step, vreinterpretq_u8_s64(vtrn2q_s64(ab1, cd1)));
}

/* A step of up to 4 rows at w into the half lines at `to`; `blocks` of the step's 4 are there. */
INLINE void pack_step32(quad_fn *quad, size_t bytes, int has_min, const uint8_t *w, size_t wstride,
                        size_t nrow, size_t blocks, uint8_t *to)
{
    struct quad q;
    int8x16_t x[10][4];
    for (size_t r = 0; r < 4; r++) {
        uint8_t part[STEP_MAX];
        const uint8_t *p = w + r * wstride;
        if (r >= nrow || blocks < 4) {
            memset(part, 0, sizeof part);
            if (r < nrow) memcpy(part, p, blocks * bytes);
            p = part;
        }
        quad(p, &q);
        UNROLL
        for (int i = 0; i < 4; i++) {
            x[i][r] = q.lo[i];
            x[4 + i][r] = q.hi[i];
        }
        x[8][r] = vreinterpretq_s8_f32(q.d);
        if (has_min) x[9][r] = vreinterpretq_s8_f32(vmulq_n_f32(q.m, -0x1p-7f));
    }
    UNROLL
    for (size_t i = 0; i < 8; i++) transpose(x[i], to + i * LINE, 8 * LINE);
    transpose(x[8], to + 32 * LINE, LINE);
    if (has_min) transpose(x[9], to + 36 * LINE, LINE);
}

INLINE void pack32(quad_fn *quad, size_t bytes, int has_min, size_t k, const uint8_t *w,
                   size_t wstride, size_t nrow, uint8_t *panel)
{
    size_t low = nrow < 4 ? nrow : 4;
    for (size_t i = 0; i < k; i += 128, w += 4 * bytes, panel += LINE * lines_32()) {
        size_t blocks = k - i < 128 ? (k - i) / 32 : 4;
        pack_step32(quad, bytes, has_min, w, wstride, low, blocks, panel);
        pack_step32(quad, bytes, has_min, w + 4 * wstride, wstride, nrow - low, blocks, panel + 16);
    }
}

#define PACK32(name, bytes, has_min)                                                          \
    void pack_##name##_dot(size_t k, const void *w, size_t wstride, size_t nrow, void *panel) \
    {                                                                                         \
        pack32(quad_##name, bytes, has_min, k, w, wstride, nrow, panel);                      \
    }
PACK32(q4_0, 18, 0)
PACK32(q4_1, 20, 1)
PACK32(q5_0, 22, 0)
PACK32(q5_1, 24, 1)
PACK32(q8_0, 34, 0)
PACK32(iq4_nl, 18, 0)
PACK32(mxfp4, 17, 0)

/* The group that stands i-th in a block of 256: of each four, 0 2 1 3. */
INLINE size_t in_order(size_t i) { return (i & 4) | (i & 1) << 1 | (i >> 1 & 1); }

INLINE void put_word(uint8_t *line, size_t r, int32_t v) { memcpy(line + 4 * r, &v, 4); }

INLINE void pack_words(const struct head *o, int group, int has_min, size_t r, uint8_t *to)
{
    size_t groups = 256 / (size_t)group;
    for (size_t g = 0; g < groups; g++) {
        size_t from = group == 32 ? in_order(g) : 2 * in_order(g / 2) + g % 2;
        put_word(to + g * LINE, r, o->scale[from]);
        if (has_min) put_word(to + (groups + g) * LINE, r, o->min[g]);
    }
    memcpy(to + 2 * groups * LINE + 4 * r, &o->d, 4);
    if (has_min) memcpy(to + (2 * groups + 1) * LINE + 4 * r, &o->dmin, 4);
}

INLINE void pack_k(half_fn *half, head_fn *head, quant_small_fn *small, size_t bytes, int group,
                   int has_min, size_t k, const uint8_t *w, size_t wstride, size_t nrow,
                   uint8_t *panel)
{
    static const struct head none; /* rows that are not there */
    for (size_t i = 0; i < k; i += 256, w += bytes, panel += LINE * lines_k(group)) {
        struct quant_small t[PANEL_ROWS];
        if (small)
            for (size_t r = 0; r < nrow; r++) small(w + r * wstride, &t[r]);
#define ROW(r) (small ? (const uint8_t *)&t[r] : w + (r)*wstride)
        for (int h = 0; h < 2; h++)
            for (size_t r = 0; r < PANEL_ROWS; r += 4) {
                struct half o[4];
                int8x16_t x[4];
                memset(o, 0, sizeof o);
                for (size_t j = 0; j < 4 && r + j < nrow; j++) half(ROW(r + j), h, &o[j]);
                for (size_t v = 0; v < 8; v++) {
                    for (size_t j = 0; j < 4; j++) x[j] = o[j].q[v];
                    transpose(x, panel + (32 * (size_t)h + 4 * v) * LINE + 4 * r, LINE);
                }
            }
        for (size_t r = 0; r < PANEL_ROWS; r++) {
            struct head o = none;
            if (r < nrow) head(ROW(r), &o);
            pack_words(&o, group, has_min, r, panel + 64 * LINE);
        }
#undef ROW
    }
}

#define PACK_K(name, bytes, group, has_min)                                                        \
    void pack_##name##_dot(size_t k, const void *w, size_t wstride, size_t nrow, void *panel)      \
    {                                                                                              \
        pack_k(half_##name, head_##name, NULL, bytes, group, has_min, k, w, wstride, nrow, panel); \
    }
PACK_K(q2_k, 84, 16, 1)
PACK_K(q3_k, 110, 16, 0)
PACK_K(q4_k, 144, 32, 1)
PACK_K(q5_k, 176, 32, 1)
PACK_K(q6_k, 210, 16, 0)
PACK_K(iq4_xs, 136, 32, 0)

/* The types that are unpacked to memory first share their code. */
static void pack_small(quant_small_fn *small, size_t bytes, size_t k, const uint8_t *w,
                       size_t wstride, size_t nrow, uint8_t *panel)
{
    pack_k(half_small, head_small, small, bytes, 16, 0, k, w, wstride, nrow, panel);
}
#define PACK_SMALL(name, bytes)                                                               \
    void pack_##name##_dot(size_t k, const void *w, size_t wstride, size_t nrow, void *panel) \
    {                                                                                         \
        pack_small(quant_small_##name, bytes, k, w, wstride, nrow, panel);                    \
    }
QUANT_SMALL_MAP(PACK_SMALL)

/* ---- gemm ---- */

struct acts {
    size_t d, c, s, stride; /* where the planes are; bytes from row to row */
    const uint8_t *row;
};

INLINE int8x16_t bytes_at(const uint8_t *p) { return vreinterpretq_s8_u8(vld1q_u8(p)); }
INLINE float32x4_t floats_at(const uint8_t *p) { return vreinterpretq_f32_u8(vld1q_u8(p)); }
INLINE int32x4_t ints_at(const uint8_t *p) { return vreinterpretq_s32_u8(vld1q_u8(p)); }
INLINE float float_at(const uint8_t *p)
{
    float f;
    memcpy(&f, p, 4);
    return f;
}

INLINE void put(const float32x4_t *acc, int N, size_t nrow, float *out, size_t ostride)
{
    for (int n = 0; n < N; n++, out += ostride) {
        float row[PANEL_ROWS];
        vst1q_f32(row, acc[2 * n]);
        vst1q_f32(row + 4, acc[2 * n + 1]);
        memcpy(out, row, 4 * nrow);
    }
}

/* Block b of a step: word b of each 16 bytes of the activations. */
#define BLOCK(b)                                                                               \
    do {                                                                                       \
        int32x4_t s[2 * TILE];                                                                 \
        UNROLL                                                                                 \
        for (int i = 0; i < 2 * N; i++) s[i] = vdupq_n_s32(0);                                 \
        UNROLL                                                                                 \
        for (size_t j = 0; j < 8; j++) {                                                       \
            int8x16_t w0 = bytes_at(step + (8 * (b) + j) * LINE);                              \
            int8x16_t w1 = bytes_at(step + (8 * (b) + j) * LINE + 16);                         \
            UNROLL                                                                             \
            for (int n = 0; n < N; n++) {                                                      \
                int8x16_t v = bytes_at(x + (size_t)n * a.stride + 16 * j);                     \
                s[2 * n] = vdotq_laneq_s32(s[2 * n], w0, v, b);                                \
                s[2 * n + 1] = vdotq_laneq_s32(s[2 * n + 1], w1, v, b);                        \
            }                                                                                  \
        }                                                                                      \
        float32x4_t d0 = floats_at(step + (32 + (b)) * LINE);                                  \
        float32x4_t d1 = floats_at(step + (32 + (b)) * LINE + 16);                             \
        UNROLL                                                                                 \
        for (int n = 0; n < N; n++) {                                                          \
            const uint8_t *row = a.row + (size_t)n * a.stride + 16 * g + 4 * (b);              \
            float d = float_at(row + a.d);                                                     \
            acc[2 * n] = vfmaq_f32(acc[2 * n], vcvtq_f32_s32(s[2 * n]), vmulq_n_f32(d0, d));   \
            acc[2 * n + 1] =                                                                   \
                vfmaq_f32(acc[2 * n + 1], vcvtq_f32_s32(s[2 * n + 1]), vmulq_n_f32(d1, d));    \
            if (has_min) {                                                                     \
                int32_t c;                                                                     \
                memcpy(&c, row + a.c, 4);                                                      \
                const uint8_t *m = step + (36 + (b)) * LINE;                                   \
                acc[2 * n] = vfmaq_n_f32(acc[2 * n], floats_at(m), d * (float)c);              \
                acc[2 * n + 1] = vfmaq_n_f32(acc[2 * n + 1], floats_at(m + 16), d * (float)c); \
            }                                                                                  \
        }                                                                                      \
    } while (0)

INLINE void tile32(int has_min, int N, size_t k, const uint8_t *panel, size_t nrow, struct acts a,
                   float *out, size_t ostride)
{
    float32x4_t acc[2 * TILE];
    UNROLL
    for (int i = 0; i < 2 * N; i++) acc[i] = vdupq_n_f32(0);
    for (size_t g = 0; g < (k + 127) / 128; g++) {
        const uint8_t *step = panel + g * lines_32() * LINE, *x = a.row + 128 * g;
        BLOCK(0);
        BLOCK(1);
        BLOCK(2);
        BLOCK(3);
    }
    put(acc, N, nrow, out, ostride);
}

/* a.s: the sums by group, of 16 or 32. */
INLINE void tile_k(int group, int has_min, int N, size_t k, const uint8_t *panel, size_t nrow,
                   struct acts a, float *out, size_t ostride)
{
    const size_t groups = 256 / (size_t)group;
    float32x4_t acc[2 * TILE];
    UNROLL
    for (int i = 0; i < 2 * N; i++) acc[i] = vdupq_n_f32(0);
    for (size_t b = 0; b < k / 256; b++, panel += lines_k(group) * LINE) {
        int32x4_t sum[2 * TILE], s[2 * TILE];
        UNROLL
        for (int i = 0; i < 2 * N; i++) sum[i] = vdupq_n_s32(0);
        for (size_t g = 0; g < groups; g++) {
            const uint8_t *line = panel + g * (size_t)group / 4 * LINE,
                          *scale = panel + (64 + g) * LINE;
            const uint8_t *x = a.row + 256 * b + g * (size_t)group;
            UNROLL
            for (int i = 0; i < 2 * N; i++) s[i] = vdupq_n_s32(0);
            UNROLL
            for (int q = 0; q < group / 16; q++, line += 4 * LINE, x += 16) {
                UNROLL
                for (int n = 0; n < N; n++) {
                    int8x16_t v = bytes_at(x + (size_t)n * a.stride);
                    s[2 * n] = vdotq_laneq_s32(s[2 * n], bytes_at(line), v, 0);
                    s[2 * n + 1] = vdotq_laneq_s32(s[2 * n + 1], bytes_at(line + 16), v, 0);
                    s[2 * n] = vdotq_laneq_s32(s[2 * n], bytes_at(line + LINE), v, 1);
                    s[2 * n + 1] = vdotq_laneq_s32(s[2 * n + 1], bytes_at(line + LINE + 16), v, 1);
                    s[2 * n] = vdotq_laneq_s32(s[2 * n], bytes_at(line + 2 * LINE), v, 2);
                    s[2 * n + 1] =
                        vdotq_laneq_s32(s[2 * n + 1], bytes_at(line + 2 * LINE + 16), v, 2);
                    s[2 * n] = vdotq_laneq_s32(s[2 * n], bytes_at(line + 3 * LINE), v, 3);
                    s[2 * n + 1] =
                        vdotq_laneq_s32(s[2 * n + 1], bytes_at(line + 3 * LINE + 16), v, 3);
                }
            }
            UNROLL
            for (int i = 0; i < 2 * N; i++)
                sum[i] = vmlaq_s32(sum[i], s[i], ints_at(scale + 16 * (i % 2)));
        }
        const uint8_t *line = panel + (64 + groups) * LINE, *d = line + groups * LINE;
        UNROLL
        for (int i = 0; i < 2 * N; i++) {
            float ad = float_at(a.row + (size_t)(i / 2) * a.stride + a.d + 4 * b);
            acc[i] = vfmaq_f32(acc[i], vcvtq_f32_s32(sum[i]),
                               vmulq_n_f32(floats_at(d + i % 2 * 16), ad));
        }
        if (!has_min) continue;
        UNROLL
        for (int i = 0; i < 2 * N; i++) s[i] = vdupq_n_s32(0);
        for (size_t g = 0; g < groups; g++, line += LINE) {
            UNROLL
            for (int i = 0; i < 2 * N; i++) {
                int16_t t;
                memcpy(&t, a.row + (size_t)(i / 2) * a.stride + a.s + 2 * (groups * b + g), 2);
                s[i] = vmlaq_n_s32(s[i], ints_at(line + i % 2 * 16), t);
            }
        }
        UNROLL
        for (int i = 0; i < 2 * N; i++) {
            float ad = float_at(a.row + (size_t)(i / 2) * a.stride + a.d + 4 * b);
            float32x4_t dmin = vmulq_n_f32(floats_at(d + LINE + i % 2 * 16), ad);
            acc[i] = vfmsq_f32(acc[i], vcvtq_f32_s32(s[i]), dmin);
        }
    }
    put(acc, N, nrow, out, ostride);
}

/* Tiles as equal as can be: the rest after fours is two tiles, not one that is nearly empty. */
INLINE size_t next_tile(size_t left)
{
    return left >= 8 || left == TILE ? TILE : left < TILE ? left : (left + 1) / 2;
}

#define GEMM(name, kind, sums_at, call, ...)                                          \
    void gemm_##name##_dot(size_t k, const void *panel, size_t nrow, const void *act, \
                           size_t astride, size_t nact, float *out, size_t ostride)   \
    {                                                                                 \
        struct acts a = {.d = act_scale_at(kind, k),                                  \
                         .c = act_sum_at(kind, k),                                    \
                         .s = sums_at,                                                \
                         .stride = astride,                                           \
                         .row = act};                                                 \
        for (size_t n; nact; nact -= n, a.row += n * astride, out += n * ostride) {   \
            n = next_tile(nact);                                                      \
            if (n == 1) call(__VA_ARGS__, 1, k, panel, nrow, a, out, ostride);        \
            if (n == 2) call(__VA_ARGS__, 2, k, panel, nrow, a, out, ostride);        \
            if (n == 3) call(__VA_ARGS__, 3, k, panel, nrow, a, out, ostride);        \
            if (n == 4) call(__VA_ARGS__, 4, k, panel, nrow, a, out, ostride);        \
        }                                                                             \
    }
GEMM(32, ACT_Q8_32, 0, tile32, 0)
GEMM(32_min, ACT_Q8_32, 0, tile32, 1)
GEMM(k32, ACT_Q8_256, act_sum32_at(k), tile_k, 32, 0)
GEMM(k32_min, ACT_Q8_256, act_sum32_at(k), tile_k, 32, 1)
GEMM(k16, ACT_Q8_256, act_sum_at(ACT_Q8_256, k), tile_k, 16, 0)
GEMM(k16_min, ACT_Q8_256, act_sum_at(ACT_Q8_256, k), tile_k, 16, 1)
