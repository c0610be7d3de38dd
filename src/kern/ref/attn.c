/* SPDX-License-Identifier: Apache-2.0
 *
 * kern/ref/attn.c: scores, weighted sums and the kept forms of keys and values.
 *
 * A kept row is F32, F16, or Q8_0: blocks of 32, a binary16 step d and 32 int8 (34 bytes, as DT_Q8_0).
 */
#include "kern/ref/float.h"

#include "base/half.h"

#include <math.h>
#include <string.h>

#define HALF_MAX 65504.0f

static inline float get_f32(const unsigned char *row, size_t d)
{
    float v;
    memcpy(&v, row + 4 * d, 4);
    return v;
}

static inline float get_f16(const unsigned char *row, size_t d)
{
    uint16_t v;
    memcpy(&v, row + 2 * d, 2);
    return half_to_f32(v);
}

static inline float get_q8_0(const unsigned char *row, size_t d)
{
    const unsigned char *block = row + d / 32 * 34;
    int8_t q;
    memcpy(&q, block + 2 + d % 32, 1);
    return get_f16(block, 0) * (float)q;
}

#define KV_TYPE(type)                                                                            \
    void qk_##type##_ref(size_t hd, size_t nq, const float *q, size_t qstride, size_t npos,      \
                         const void *k, size_t row_bytes, float *s, size_t sstride,              \
                         void *scratch)                                                          \
    {                                                                                            \
        (void)scratch;                                                                           \
        for (size_t i = 0; i < nq; i++)                                                          \
            for (size_t j = 0; j < npos; j++) {                                                  \
                const unsigned char *row = (const unsigned char *)k + j * row_bytes;             \
                double sum = 0;                                                                  \
                for (size_t d = 0; d < hd; d++)                                                  \
                    sum += (double)q[i * qstride + d] * (double)get_##type(row, d);              \
                s[i * sstride + j] = (float)sum;                                                 \
            }                                                                                    \
    }                                                                                            \
    void pv_##type##_ref(size_t hd, size_t nq, const float *p, size_t pstride, size_t npos,      \
                         const void *v, size_t row_bytes, float *o, size_t ostride,              \
                         void *scratch)                                                          \
    {                                                                                            \
        (void)scratch;                                                                           \
        for (size_t i = 0; i < nq; i++)                                                          \
            for (size_t d = 0; d < hd; d++) {                                                    \
                double sum = (double)o[i * ostride + d];                                         \
                for (size_t j = 0; j < npos; j++) {                                              \
                    const unsigned char *row = (const unsigned char *)v + j * row_bytes;         \
                    sum += (double)p[i * pstride + j] * (double)get_##type(row, d);              \
                }                                                                                \
                o[i * ostride + d] = (float)sum;                                                 \
            }                                                                                    \
    }
KV_TYPE(f32)
KV_TYPE(f16)
KV_TYPE(q8_0)

void kv_store_f32_ref(size_t hd, const float *x, void *row)
{
    if (hd) memcpy(row, x, 4 * hd);
}

void kv_store_f16_ref(size_t hd, const float *x, void *row)
{
    for (size_t d = 0; d < hd; d++) {
        uint16_t h = half_from_f32(x[d]);
        memcpy((unsigned char *)row + 2 * d, &h, 2);
    }
}

/* q is taken against the step as kept, not against the unrounded one. A step below binary16's
 * normal numbers may be off by up to half of itself, a huge one stops at 65504: hence the
 * bounds on q. */
void kv_store_q8_0_ref(size_t hd, const float *x, void *row)
{
    unsigned char *block = row;
    for (size_t at = 0; at < hd; at += 32, block += 34) {
        float top = 0;
        for (size_t i = 0; i < 32; i++) top = fmaxf(top, fabsf(x[at + i]));
        uint16_t h = half_from_f32(fminf(top / 127.0f, HALF_MAX));
        float d = half_to_f32(h);
        memcpy(block, &h, 2);
        for (size_t i = 0; i < 32; i++) {
            float q = d > 0 ? x[at + i] / d : 0.0f;
            int8_t v = (int8_t)lrintf(fminf(fmaxf(q, -127.0f), 127.0f));
            memcpy(block + 2 + i, &v, 1);
        }
    }
}
