/* SPDX-License-Identifier: Apache-2.0
 *
 * quant/quantise.h: rows of F32 into the blocks of a GGUF type.
 *
 * The plain types (F16, BF16, Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, Q8_1, TQ, MXFP4, NVFP4, Q1_0, Q2_0) are rounded as ggml's reference
 * quantiser does it, to the bit. The others search for the steps that make the weighted squared error small; so do Q4_0 to Q5_1
 * when the importance of columns is given. The result is the same at every CPU level and thread count.
 */
#ifndef QUANT_QUANTISE_H
#define QUANT_QUANTISE_H

#include <stddef.h>

#include "io/dtype.h"
#include "kern/fit.h"

/* Can rows become this type? */
int quantise_can(enum dtype t);
/* nrow rows of k finite elements, k a whole number of blocks, to out, row behind row. importance: [k], >= 0, or NULL.
 * Works on its own stack (some 20 KiB), allocates nothing. scratch: quantise_scratch(t) bytes, 64-byte aligned, for this caller alone, zeroed
 * before the first use (what stays there is of use to the next call). */
void quantise_rows(const struct fit *f, enum dtype t, size_t k, size_t nrow, const float *x,
                   const float *importance, void *out, void *scratch);
/* At most 1.4 MiB; 0 for the types without a grid. */
size_t quantise_scratch(enum dtype t);

/* The parts, by file: one row each. plain.c */
typedef void quantise_plain_fn(size_t k, const float *x, uint8_t *out);
quantise_plain_fn plain_f32, plain_f16, plain_bf16, plain_q8_0, plain_q8_1, plain_q4_0, plain_q4_1,
    plain_q5_0, plain_q5_1, plain_mxfp4, plain_nvfp4, plain_tq1_0, plain_tq2_0, plain_q1_0,
    plain_q2_0;
/* kquant.c: Q2_K to Q6_K, IQ4_XS; nibble.c: Q4_0 to Q5_1, IQ4_NL. */
typedef void quantise_fit_fn(const struct fit *f, enum dtype t, size_t k, const float *x,
                             const float *importance, uint8_t *out);
quantise_fit_fn kquant_row, nibble_row;

/* grid.c: IQ1_S to IQ3_S. */
void grid_row(const struct fit *f, enum dtype t, size_t k, const float *x, const float *importance, uint8_t *out,
              void *scratch);
size_t grid_scratch(enum dtype t); /* 0: not of these */

/* Shared by the searching quantisers: groups of n elements side by side as kern/fit.h wants them; missing ones become 0. */
void quantise_gather(size_t n, size_t ngroup, const float *x, float *lanes);
/* 32 codes of 4 or 5 bits as Q4_0 and Q5_0 store them: 16 bytes of nibbles to qs, the fifth bits to high (NULL: 4 bits). */
void quantise_nibbles(const uint8_t code[32], uint8_t *qs, uint8_t *high);
/* The values of quant_iq4 (kern/quant.h) as kern/fit.h takes them. */
extern const float quantise_iq4[16];
/* The number of the table's value. */
int quantise_index(float value, const int8_t table[16]);

#endif
