/* SPDX-License-Identifier: Apache-2.0
 *
 * kern/ref/float.c: weights that are floats in the file (F32, F16, BF16), and the first rung of
 * the float families.
 *
 * Elements are read by memcpy because a file may align its tensors less than C would like. Sums are
 * kept in double: this is the number that the faster levels are measured against.
 */
#include "kern/ref/float.h"

#include "base/half.h"

#include <string.h>

static inline float get_f32(const unsigned char *w, size_t i)
{
    float v;
    memcpy(&v, w + 4 * i, 4);
    return v;
}

static inline float get_f16(const unsigned char *w, size_t i)
{
    uint16_t v;
    memcpy(&v, w + 2 * i, 2);
    return half_to_f32(v);
}

static inline float get_bf16(const unsigned char *w, size_t i)
{
    uint16_t v;
    memcpy(&v, w + 2 * i, 2);
    return bf16_to_f32(v);
}

static void quant_f32_ref(size_t k, const float *x, void *row)
{
    if (k) memcpy(row, x, 4 * k);
}

/* dequant and mul of one type: they differ only in how an element is read. */
#define FLOAT_TYPE(type)                                                                      \
    static void dequant_##type##_ref(size_t k, const void *w, float *out)                     \
    {                                                                                         \
        for (size_t i = 0; i < k; i++) out[i] = get_##type(w, i);                             \
    }                                                                                         \
    static void mul_##type##_ref(size_t k, const void *w, size_t wstride, size_t nrow,        \
                                 const void *act, size_t astride, size_t nact, float *out,    \
                                 size_t ostride)                                              \
    {                                                                                         \
        for (size_t r = 0; r < nrow; r++) {                                                   \
            const unsigned char *row = (const unsigned char *)w + r * wstride;                \
            for (size_t a = 0; a < nact; a++) {                                               \
                const unsigned char *x = (const unsigned char *)act + a * astride;            \
                double sum = 0;                                                               \
                for (size_t i = 0; i < k; i++)                                                \
                    sum += (double)get_##type(row, i) * (double)get_f32(x, i);                \
                out[a * ostride + r] = (float)sum;                                            \
            }                                                                                 \
        }                                                                                     \
    }
FLOAT_TYPE(f32)
FLOAT_TYPE(f16)
FLOAT_TYPE(bf16)

void kern_float_init_ref(struct kern *k)
{
    k->type[DT_F32] = (struct kern_type){.dequant = dequant_f32_ref, .mul = mul_f32_ref};
    k->type[DT_F16] = (struct kern_type){.dequant = dequant_f16_ref, .mul = mul_f16_ref};
    k->type[DT_BF16] = (struct kern_type){.dequant = dequant_bf16_ref, .mul = mul_bf16_ref};
    k->quant[ACT_F32] = quant_f32_ref;

    k->qk[KV_F32] = qk_f32_ref;
    k->qk[KV_F16] = qk_f16_ref;
    k->qk[KV_Q8_0] = qk_q8_0_ref;
    k->pv[KV_F32] = pv_f32_ref;
    k->pv[KV_F16] = pv_f16_ref;
    k->pv[KV_Q8_0] = pv_q8_0_ref;
    k->kv_store[KV_F32] = kv_store_f32_ref;
    k->kv_store[KV_F16] = kv_store_f16_ref;
    k->kv_store[KV_Q8_0] = kv_store_q8_0_ref;

    k->softmax = softmax_ref;
    k->silu_mul = silu_mul_ref;
    k->gelu_mul = gelu_mul_ref;
    k->gelu_tanh_mul = gelu_tanh_mul_ref;
    k->rms = rms_ref;
    k->norm = norm_ref;
    k->axpy = axpy_ref;
    k->argmax = argmax_ref;
    k->rope_norm = rope_norm_ref;
    k->rope_neox = rope_neox_ref;
    k->scan = scan_ref;
    k->delta = delta_ref;
}
