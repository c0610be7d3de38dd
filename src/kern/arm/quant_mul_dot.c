/* SPDX-License-Identifier: Apache-2.0
 *
 * kern/arm/quant_mul_dot.c: the product of rows with few activation rows, NEON with dot product.
 *
 * Blocks of 32 go four at a time: the order of ACT_Q8_32 makes word b of a sum block b's, so
 * that four blocks need one conversion and one multiplication by their four scales. Blocks of
 * 256 stay in integers, scales and all, until their end.
 */
#include "kern/arm/quant_dot.h"

struct acts {
    size_t d, c, s, stride; /* where the planes are; bytes from row to row */
    const uint8_t *row;
};

enum { N_MAX = 4, BLOCK_MAX = 34 };

INLINE int8x16_t bytes_at(const uint8_t *p) { return vreinterpretq_s8_u8(vld1q_u8(p)); }
INLINE float32x4_t floats_at(const uint8_t *p) { return vreinterpretq_f32_u8(vld1q_u8(p)); }
INLINE float float_at(const uint8_t *p)
{
    float f;
    memcpy(&f, p, 4);
    return f;
}

/* ---- blocks of 32 ---- */

INLINE void step32(const struct quad *w, int has_min, int N, struct acts a, size_t g,
                   float32x4_t *acc)
{
    UNROLL
    for (int n = 0; n < N; n++) {
        const uint8_t *row = a.row + (size_t)n * a.stride, *x = row + 128 * g;
        int32x4_t s0 = vdupq_n_s32(0), s1 = s0;
        UNROLL
        for (int i = 0; i < 4; i++) {
            s0 = vdotq_s32(s0, w->lo[i], bytes_at(x + 16 * i));
            s1 = vdotq_s32(s1, w->hi[i], bytes_at(x + 64 + 16 * i));
        }
        float32x4_t d = floats_at(row + a.d + 16 * g);
        acc[n] = vfmaq_f32(acc[n], vcvtq_f32_s32(vaddq_s32(s0, s1)), vmulq_f32(w->d, d));
        if (has_min) { /* c is -128 times the sum */
            float32x4_t c = vcvtq_f32_s32(vreinterpretq_s32_u8(vld1q_u8(row + a.c + 16 * g)));
            acc[n] = vfmaq_f32(acc[n], vmulq_n_f32(w->m, -0x1p-7f), vmulq_f32(d, c));
        }
    }
}

INLINE void mul32(quad_fn *quad, size_t bytes, int has_min, int N, size_t k, const uint8_t *w,
                  size_t wstride, size_t nrow, struct acts a, float *out, size_t ostride)
{
    size_t blocks = k / 32;
    for (size_t r = 0; r < nrow; r++, w += wstride) {
        float32x4_t acc[N_MAX];
        struct quad q;
        size_t g = 0;
        UNROLL
        for (int n = 0; n < N_MAX; n++) acc[n] = vdupq_n_f32(0);
        for (; g < blocks / 4; g++) {
            quad(w + 4 * bytes * g, &q);
            step32(&q, has_min, N, a, g, acc);
        }
        if (blocks % 4) { /* the missing blocks are zero, their scales too */
            uint8_t last[4 * BLOCK_MAX] = {0};
            memcpy(last, w + 4 * bytes * g, bytes * (blocks % 4));
            quad(last, &q);
            step32(&q, has_min, N, a, g, acc);
        }
        UNROLL
        for (int n = 0; n < N; n++) out[(size_t)n * ostride + r] = vaddvq_f32(acc[n]);
    }
}

/* ---- blocks of 256 ---- */

/* The products of a half with its 128 activations, scaled: s are the scales of the block in
 * order. */
INLINE int32x4_t dot_half(const struct half *w, int h, int group, const int32_t *s,
                          const uint8_t *x, int32x4_t sum)
{
    static const int order[4] = {0, 2, 1, 3};
    const int32x4_t zero = vdupq_n_s32(0);
    UNROLL
    for (int i = 0; i < 4; i++) {
        int g = 4 * h + order[i];
        int32x4_t t = vdotq_s32(zero, w->q[2 * i], bytes_at(x + 32 * i));
        if (group == 32) {
            t = vdotq_s32(t, w->q[2 * i + 1], bytes_at(x + 32 * i + 16));
            sum = vmlaq_n_s32(sum, t, s[g]);
        } else {
            sum = vmlaq_n_s32(sum, t, s[2 * g]);
            t = vdotq_s32(zero, w->q[2 * i + 1], bytes_at(x + 32 * i + 16));
            sum = vmlaq_n_s32(sum, t, s[2 * g + 1]);
        }
    }
    return sum;
}

/* 8 mins times 8 sums. */
INLINE int32x4_t dot_mins(const uint8_t *min, const uint8_t *sums, int32x4_t to)
{
    int16x8_t m = vreinterpretq_s16_u16(vmovl_u8(vld1_u8(min)));
    int16x8_t s = vreinterpretq_s16_u8(vld1q_u8(sums));
    to = vmlal_s16(to, vget_low_s16(m), vget_low_s16(s));
    return vmlal_high_s16(to, m, s);
}

/* a.s: the sums by group, of 16 or 32. */
INLINE void mul_k(half_fn *half, head_fn *head, quant_small_fn *small, size_t bytes, int group,
                  int has_min, int N, size_t k, const uint8_t *w, size_t wstride, size_t nrow,
                  struct acts a, float *out, size_t ostride)
{
    for (size_t r = 0; r < nrow; r++, w += wstride) {
        float32x4_t acc[N_MAX];
        UNROLL
        for (int n = 0; n < N_MAX; n++) acc[n] = vdupq_n_f32(0);
        for (size_t b = 0; b < k / 256; b++) {
            struct half h0, h1;
            struct head o;
            int32_t s[16];
            const uint8_t *p = w + bytes * b;
            struct quant_small t;
            if (small) {
                small(p, &t);
                p = (const uint8_t *)&t;
            }
            head(p, &o);
            half(p, 0, &h0);
            half(p, 1, &h1);
            for (int i = 0; i < 256 / group; i++) s[i] = o.scale[i];
            UNROLL
            for (int n = 0; n < N; n++) {
                const uint8_t *row = a.row + (size_t)n * a.stride, *x = row + 256 * b;
                float ad = float_at(row + a.d + 4 * b);
                int32x4_t sum = dot_half(&h0, 0, group, s, x, vdupq_n_s32(0));
                sum = dot_half(&h1, 1, group, s, x + 128, sum);
                acc[n] = vfmaq_n_f32(acc[n], vcvtq_f32_s32(sum), o.d * ad);
                if (has_min) {
                    const uint8_t *sums = row + a.s + 512 / (size_t)group * b;
                    int32x4_t m = dot_mins(o.min, sums, vdupq_n_s32(0));
                    if (group == 16) m = dot_mins(o.min + 8, sums + 16, m);
                    acc[n] = vfmaq_n_f32(acc[n], vcvtq_f32_s32(m), -(o.dmin * ad));
                }
            }
        }
        UNROLL
        for (int n = 0; n < N; n++) out[(size_t)n * ostride + r] = vaddvq_f32(acc[n]);
    }
}

#define BY_COUNT(call, ...)                                                     \
    for (size_t n; nact; nact -= n, a.row += n * astride, out += n * ostride) { \
        n = nact < 4 ? nact : nact == 5 || nact == 6 ? 3 : 4;                   \
        if (n == 1) call(__VA_ARGS__, 1, k, w, wstride, nrow, a, out, ostride); \
        if (n == 2) call(__VA_ARGS__, 2, k, w, wstride, nrow, a, out, ostride); \
        if (n == 3) call(__VA_ARGS__, 3, k, w, wstride, nrow, a, out, ostride); \
        if (n == 4) call(__VA_ARGS__, 4, k, w, wstride, nrow, a, out, ostride); \
    }

#define MUL32(name, bytes, has_min)                                                              \
    void mul_##name##_dot(size_t k, const void *w, size_t wstride, size_t nrow, const void *act, \
                          size_t astride, size_t nact, float *out, size_t ostride)               \
    {                                                                                            \
        struct acts a = {.d = act_scale_at(ACT_Q8_32, k),                                        \
                         .c = act_sum_at(ACT_Q8_32, k),                                          \
                         .stride = astride,                                                      \
                         .row = act};                                                            \
        BY_COUNT(mul32, quad_##name, bytes, has_min)                                             \
    }
MUL32(q4_0, 18, 0)
MUL32(q4_1, 20, 1)
MUL32(q5_0, 22, 0)
MUL32(q5_1, 24, 1)
MUL32(q8_0, 34, 0)
MUL32(iq4_nl, 18, 0)
MUL32(mxfp4, 17, 0)

#define MUL_K(name, bytes, group, has_min)                                                       \
    void mul_##name##_dot(size_t k, const void *w, size_t wstride, size_t nrow, const void *act, \
                          size_t astride, size_t nact, float *out, size_t ostride)               \
    {                                                                                            \
        struct acts a = {.d = act_scale_at(ACT_Q8_256, k),                                       \
                         .s = group == 16 ? act_sum_at(ACT_Q8_256, k) : act_sum32_at(k),         \
                         .stride = astride,                                                      \
                         .row = act};                                                            \
        BY_COUNT(mul_k, half_##name, head_##name, NULL, bytes, group, has_min)                   \
    }
MUL_K(q2_k, 84, 16, 1)
MUL_K(q3_k, 110, 16, 0)
MUL_K(q4_k, 144, 32, 1)
MUL_K(q5_k, 176, 32, 1)
MUL_K(q6_k, 210, 16, 0)
MUL_K(iq4_xs, 136, 32, 0)

/* The types that are unpacked to memory first share their code. */
static void mul_small(quant_small_fn *small, size_t bytes, size_t k, const uint8_t *w,
                      size_t wstride, size_t nrow, const uint8_t *act, size_t astride, size_t nact,
                      float *out, size_t ostride)
{
    struct acts a = {.d = act_scale_at(ACT_Q8_256, k), .stride = astride, .row = act};
    BY_COUNT(mul_k, half_small, head_small, small, bytes, 16, 0)
}
#define MUL_SMALL(name, bytes)                                                                   \
    void mul_##name##_dot(size_t k, const void *w, size_t wstride, size_t nrow, const void *act, \
                          size_t astride, size_t nact, float *out, size_t ostride)               \
    {                                                                                            \
        mul_small(quant_small_##name, bytes, k, w, wstride, nrow, act, astride, nact, out,       \
                  ostride);                                                                      \
    }
QUANT_SMALL_MAP(MUL_SMALL)
