/* SPDX-License-Identifier: Apache-2.0
 *
 * kern/quant.h: what the files of quantised weights share: every type seen as one form.
 *
 * Each block format, however it packs its bits, is for arithmetic a list of groups of 16 or 32
 * elements:
 *
 *     value[i] = scale[g] * q[i] - min[g]        g = i / group, q an int8, scale and min F32
 *
 * quant_decode gives a block in that form and is the definition of its type; everything else
 * (the exact values, the scalar product, the check of every faster kernel) is written once on
 * top of it. Not a public contract: that is kern.h.
 */
#ifndef KERN_QUANT_H
#define KERN_QUANT_H

#include "kern/kern.h"

#define QUANT_BLOCK_MAX 256

struct quant_block {
    int8_t q[QUANT_BLOCK_MAX];
    float scale[QUANT_BLOCK_MAX / 16];
    float min[QUANT_BLOCK_MAX / 16]; /* written only by types with has_min */
};

typedef void quant_decode_fn(const uint8_t *block, struct quant_block *out);

struct quant_form {
    quant_decode_fn *decode; /* NULL: no quantised type */
    uint16_t block, bytes;   /* elements and bytes of a block */
    uint8_t group;           /* elements that share a scale: 16 or 32 */
    uint8_t has_min;
    enum kern_act act;
};

/* The form of a type; .decode is NULL where there is none. */
struct quant_form quant_form(enum dtype t);

/* ref/quant_block.c: types of 32 elements and K types; each decodes one block. */
quant_decode_fn quant_decode_q4_0, quant_decode_q4_1, quant_decode_q5_0, quant_decode_q5_1,
    quant_decode_q8_0, quant_decode_q2_k, quant_decode_q3_k, quant_decode_q4_k, quant_decode_q5_k,
    quant_decode_q6_k, quant_decode_iq4_nl, quant_decode_iq4_xs, quant_decode_mxfp4;
/* ref/quant_small.c: the others. */
quant_decode_fn quant_decode_iq1_s, quant_decode_iq1_m, quant_decode_iq2_xxs, quant_decode_iq2_xs,
    quant_decode_iq2_s, quant_decode_iq3_xxs, quant_decode_iq3_s, quant_decode_tq1_0,
    quant_decode_tq2_0, quant_decode_nvfp4, quant_decode_q1_0, quant_decode_q2_0;

/* The 16 values of IQ4_NL and IQ4_XS (ggml-common.h, kvalues_iq4nl) and twice the E2M1 values of
 * MXFP4 and NVFP4. */
extern const int8_t quant_iq4[16], quant_e2m1[16];

/* The eight 6-bit scales and mins of a Q4_K or Q5_K block from their 12 bytes. */
void quant_k_scales(const uint8_t *packed, uint8_t scale[8], uint8_t min[8]);

static inline uint16_t quant_u16(const uint8_t *p) { return (uint16_t)(p[0] | p[1] << 8); }
static inline uint32_t quant_u32(const uint8_t *p)
{
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

#endif
