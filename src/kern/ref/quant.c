/* SPDX-License-Identifier: Apache-2.0
 *
 * kern/ref/quant.c: the specification of everything done with quantised weights: activations to
 * 8 bits, exact values, and the product. Written once over quant_decode (kern/quant.h), so that
 * it is right for a type when its decoder is. Not fast: the overrides in x86/ and arm/ are.
 */
#include "kern/quant.h"

#include <math.h>
#include <string.h>

/*      type    decoder  group  has_min  activations */
#define FORM_MAP(X)                        \
    X(Q4_0, q4_0, 32, 0, ACT_Q8_32)        \
    X(Q4_1, q4_1, 32, 1, ACT_Q8_32)        \
    X(Q5_0, q5_0, 32, 0, ACT_Q8_32)        \
    X(Q5_1, q5_1, 32, 1, ACT_Q8_32)        \
    X(Q8_0, q8_0, 32, 0, ACT_Q8_32)        \
    X(Q2_K, q2_k, 16, 1, ACT_Q8_256)       \
    X(Q3_K, q3_k, 16, 0, ACT_Q8_256)       \
    X(Q4_K, q4_k, 32, 1, ACT_Q8_256)       \
    X(Q5_K, q5_k, 32, 1, ACT_Q8_256)       \
    X(Q6_K, q6_k, 16, 0, ACT_Q8_256)       \
    X(IQ4_NL, iq4_nl, 32, 0, ACT_Q8_32)    \
    X(IQ4_XS, iq4_xs, 32, 0, ACT_Q8_256)   \
    X(IQ1_S, iq1_s, 16, 0, ACT_Q8_256)     \
    X(IQ1_M, iq1_m, 16, 0, ACT_Q8_256)     \
    X(IQ2_XXS, iq2_xxs, 16, 0, ACT_Q8_256) \
    X(IQ2_XS, iq2_xs, 16, 0, ACT_Q8_256)   \
    X(IQ2_S, iq2_s, 16, 0, ACT_Q8_256)     \
    X(IQ3_XXS, iq3_xxs, 16, 0, ACT_Q8_256) \
    X(IQ3_S, iq3_s, 16, 0, ACT_Q8_256)     \
    X(TQ1_0, tq1_0, 16, 0, ACT_Q8_256)     \
    X(TQ2_0, tq2_0, 16, 0, ACT_Q8_256)     \
    X(MXFP4, mxfp4, 32, 0, ACT_Q8_32)      \
    X(NVFP4, nvfp4, 16, 0, ACT_Q8_32)      \
    X(Q1_0, q1_0, 32, 0, ACT_Q8_32)        \
    X(Q2_0, q2_0, 32, 0, ACT_Q8_32)

struct quant_form quant_form(enum dtype t)
{
    struct quant_form f = {0};
    switch (t) {
#define X(T, decoder, group_, has_min_, act_)                                                     \
    case DT_##T:                                                                                  \
        f = (struct quant_form){                                                                  \
            .decode = quant_decode_##decoder, .group = group_, .has_min = has_min_, .act = act_}; \
        break;
        FORM_MAP(X)
#undef X
    default: break;
    }
    f.block = dtype_info(t).block;
    f.bytes = dtype_info(t).bytes;
    return f;
}

/* n elements that share one scale; gives the scale. Below 2^-100 a scale would have no finite
 * inverse and its block is taken as zero. */
static float quant_group(size_t n, const float *x, int8_t *q)
{
    float max = 0;
    for (size_t i = 0; i < n; i++) max = fabsf(x[i]) > max ? fabsf(x[i]) : max;
    if (!(max >= 0x1p-100f)) {
        memset(q, 0, n);
        return 0;
    }
    float inverse = 127 / max;
    for (size_t i = 0; i < n; i++) {
        float v = rintf(x[i] * inverse);
        q[i] = (int8_t)(v >= -127 && v <= 127 ? v : 0);
    }
    return max / 127;
}

static int sum_of(size_t n, const int8_t *q)
{
    int sum = 0;
    for (size_t i = 0; i < n; i++) sum += q[i];
    return sum;
}

static void quant_f32_ref(size_t k, const float *x, void *row) { memcpy(row, x, 4 * k); }

static void quant_q8_32_ref(size_t k, const float *x, void *row)
{
    int8_t *q = row, group[32];
    float *d = (float *)(void *)(q + act_scale_at(ACT_Q8_32, k));
    int32_t *c = (int32_t *)(void *)(q + act_sum_at(ACT_Q8_32, k));
    int32_t *p = (int32_t *)(void *)(q + act_part_at(k));
    memset(row, 0, act_bytes(ACT_Q8_32, k));
    for (size_t i = 0; i < k; i += 32) {
        d[i / 32] = quant_group(32, x + i, group);
        c[i / 32] = -128 * sum_of(32, group);
        for (size_t j = 0; j < 32; j++) q[act_at(ACT_Q8_32, i + j)] = group[j];
    }
    for (size_t i = 0; i < act_padded(ACT_Q8_32, k); i += 128)
        for (size_t w = 0; w < 16; w++)
            p[i / 8 + w] = -128 * (sum_of(4, q + i + 4 * w) + sum_of(4, q + i + 64 + 4 * w));
}

static void quant_q8_256_ref(size_t k, const float *x, void *row)
{
    int8_t *q = row, group[256];
    float *d = (float *)(void *)(q + act_scale_at(ACT_Q8_256, k));
    int16_t *s = (int16_t *)(void *)(q + act_sum_at(ACT_Q8_256, k));
    int16_t *t = (int16_t *)(void *)(q + act_sum32_at(k));
    int32_t *c = (int32_t *)(void *)(q + act_start_at(k));
    for (size_t i = 0; i < k; i += 256) {
        d[i / 256] = quant_group(256, x + i, group);
        for (size_t j = 0; j < 256; j++) q[act_at(ACT_Q8_256, i + j)] = group[j];
        for (size_t j = 0; j < 256; j += 16) s[(i + j) / 16] = (int16_t)sum_of(16, group + j);
    }
    for (size_t i = 0; i < k / 16; i++) c[i] = -128 * s[i];
    for (size_t i = 0; i < k / 32; i++) t[i] = (int16_t)(s[2 * i] + s[2 * i + 1]);
}

static void dequant_row(struct quant_form f, size_t k, const uint8_t *w, float *out)
{
    struct quant_block b;
    for (size_t i = 0; i < k; i += f.block, w += f.bytes) {
        f.decode(w, &b);
        for (size_t j = 0; j < f.block; j++) {
            float v = b.scale[j / f.group] * (float)b.q[j];
            out[i + j] = f.has_min ? v - b.min[j / f.group] : v;
        }
    }
}

/* The product of the block at element i with one activation row: exact integer sums per group,
 * then floats. */
static double dot_block(struct quant_form f, const struct quant_block *b, size_t k, size_t i,
                        const int8_t *a)
{
    const float *d = (const float *)(const void *)(a + act_scale_at(f.act, k));
    int8_t x[QUANT_BLOCK_MAX];
    double sum = 0;
    for (size_t j = 0; j < f.block; j++) x[j] = a[act_at(f.act, i + j)];
    for (size_t j = 0; j < f.block; j += f.group) {
        int product = 0, total = 0;
        for (size_t l = j; l < j + f.group; l++) {
            product += b->q[l] * x[l];
            total += x[l];
        }
        double v = (double)b->scale[j / f.group] * product;
        if (f.has_min) v -= (double)b->min[j / f.group] * total;
        sum += v * (double)d[(i + j) / (f.act == ACT_Q8_32 ? 32 : 256)];
    }
    return sum;
}

enum { ACTS_AT_ONCE = 16 }; /* activation rows that share the decoding of a block */

static void mul_rows(struct quant_form f, size_t k, const uint8_t *w, size_t wstride, size_t nrow,
                     const int8_t *act, size_t astride, size_t nact, float *out, size_t ostride)
{
    struct quant_block b;
    for (size_t r = 0; r < nrow; r++) {
        double sum[ACTS_AT_ONCE] = {0};
        for (size_t i = 0; i < k; i += f.block) {
            f.decode(w + r * wstride + i / f.block * f.bytes, &b);
            for (size_t a = 0; a < nact; a++) sum[a] += dot_block(f, &b, k, i, act + a * astride);
        }
        for (size_t a = 0; a < nact; a++) out[a * ostride + r] = (float)sum[a];
    }
}

static void mul_all(enum dtype t, size_t k, const void *w, size_t wstride, size_t nrow,
                    const void *act, size_t astride, size_t nact, float *out, size_t ostride)
{
    const int8_t *row = act;
    for (size_t a = 0; a < nact; a += ACTS_AT_ONCE) {
        size_t n = nact - a < ACTS_AT_ONCE ? nact - a : ACTS_AT_ONCE;
        mul_rows(quant_form(t), k, w, wstride, nrow, row + a * astride, astride, n,
                 out + a * ostride, ostride);
    }
}

/* The contracts' functions carry no context, so each type has its own two. */
#define X(T, decoder, group_, has_min_, act_)                                                 \
    static void dequant_##decoder##_ref(size_t k, const void *w, float *out)                  \
    {                                                                                         \
        dequant_row(quant_form(DT_##T), k, w, out);                                           \
    }                                                                                         \
    static void mul_##decoder##_ref(size_t k, const void *w, size_t wstride, size_t nrow,     \
                                    const void *act, size_t astride, size_t nact, float *out, \
                                    size_t ostride)                                           \
    {                                                                                         \
        mul_all(DT_##T, k, w, wstride, nrow, act, astride, nact, out, ostride);               \
    }
FORM_MAP(X)
#undef X

void kern_quant_init_ref(struct kern *k)
{
    k->quant[ACT_F32] = quant_f32_ref;
    k->quant[ACT_Q8_32] = quant_q8_32_ref;
    k->quant[ACT_Q8_256] = quant_q8_256_ref;
#define X(T, decoder, group_, has_min_, act_) \
    k->type[DT_##T] = (struct kern_type){     \
        .act = act_,                          \
        .dequant = dequant_##decoder##_ref,   \
        .mul = mul_##decoder##_ref,           \
    };
    FORM_MAP(X)
#undef X
}
