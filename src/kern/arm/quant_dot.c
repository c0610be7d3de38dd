/* SPDX-License-Identifier: Apache-2.0
 * kern/arm/quant_dot.c: the table's entries for quantised weights at level neon (dot product). */
#include "kern/arm/quant_dot.h"

static size_t bytes_32(size_t k) { return LINE * lines_32() * ((k + 127) / 128); }
static size_t bytes_k32(size_t k) { return LINE * lines_k(32) * (k / 256); }
static size_t bytes_k16(size_t k) { return LINE * lines_k(16) * (k / 256); }

/* Type, the kernels' name, gemm's, its panel, the batch from which that is faster: where a row's
 * unpacking and the panel's cost the same, tiles of 4 rows pay when two of them are full. */
#define TYPE_MAP(X)                  \
    X(Q4_0, q4_0, 32, 32, 8)         \
    X(Q4_1, q4_1, 32_min, 32, 8)     \
    X(Q5_0, q5_0, 32, 32, 8)         \
    X(Q5_1, q5_1, 32_min, 32, 8)     \
    X(Q8_0, q8_0, 32, 32, 8)         \
    X(Q2_K, q2_k, k16_min, k16, 8)   \
    X(Q3_K, q3_k, k16, k16, 8)       \
    X(Q4_K, q4_k, k32_min, k32, 8)   \
    X(Q5_K, q5_k, k32_min, k32, 8)   \
    X(Q6_K, q6_k, k16, k16, 8)       \
    X(IQ1_S, iq1_s, k16, k16, 5)     \
    X(IQ1_M, iq1_m, k16, k16, 5)     \
    X(IQ2_XXS, iq2_xxs, k16, k16, 5) \
    X(IQ2_XS, iq2_xs, k16, k16, 5)   \
    X(IQ2_S, iq2_s, k16, k16, 5)     \
    X(IQ3_XXS, iq3_xxs, k16, k16, 5) \
    X(IQ3_S, iq3_s, k16, k16, 5)     \
    X(TQ1_0, tq1_0, k16, k16, 5)     \
    X(TQ2_0, tq2_0, k16, k16, 5)     \
    X(IQ4_NL, iq4_nl, 32, 32, 8)     \
    X(IQ4_XS, iq4_xs, k32, k32, 8)   \
    X(MXFP4, mxfp4, 32, 32, 8)

void kern_quant_init_dot(struct kern *k)
{
#define X(T, name, of, kind, from)              \
    k->type[DT_##T].mul = mul_##name##_dot;     \
    k->type[DT_##T].pack = pack_##name##_dot;   \
    k->type[DT_##T].gemm = gemm_##of##_dot;     \
    k->type[DT_##T].panel_rows = PANEL_ROWS;    \
    k->type[DT_##T].panel_bytes = bytes_##kind; \
    k->type[DT_##T].gemm_from = from;
    TYPE_MAP(X)
#undef X
    k->quant[ACT_Q8_32] = quant_q8_32_dot;
    k->quant[ACT_Q8_256] = quant_q8_256_dot;
}
