/* SPDX-License-Identifier: Apache-2.0
 * kern/x86/quant_avx2.c: the table's entries for quantised weights at level avx2. */
#include "kern/x86/quant_avx2.h"

#include "kern/x86/quant_panel_avx2.h"

static size_t bytes_32(size_t k) { return LINE * lines_32(0) * ((k + 127) / 128); }
static size_t bytes_32_min(size_t k) { return LINE * lines_32(1) * ((k + 127) / 128); }
static size_t bytes_k32(size_t k) { return LINE * lines_k(32) * (k / 256); }
static size_t bytes_k16(size_t k) { return LINE * lines_k(16) * (k / 256); }

/* type, the kernels' name, gemm's, its panel, the batch from which that is faster (kcheck
 * --bench) */
#define TYPE_MAP(X)                    \
    X(Q4_0, q4_0, q4_0, 32, 8)         \
    X(Q4_1, q4_1, q4_1, 32_min, 8)     \
    X(Q5_0, q5_0, q5_0, 32, 8)         \
    X(Q5_1, q5_1, q5_1, 32_min, 8)     \
    X(Q8_0, q8_0, q8_0, 32, 24)        \
    X(Q2_K, q2_k, q2_k, k16, 5)        \
    X(Q3_K, q3_k, q3_k, k16, 6)        \
    X(Q4_K, q4_k, q4_k, k32, 5)        \
    X(Q5_K, q5_k, q5_k, k32, 5)        \
    X(Q6_K, q6_k, q6_k, k16, 6)        \
    X(IQ1_S, iq1_s, small, k16, 5)     \
    X(IQ1_M, iq1_m, small, k16, 5)     \
    X(IQ2_XXS, iq2_xxs, small, k16, 5) \
    X(IQ2_XS, iq2_xs, small, k16, 5)   \
    X(IQ2_S, iq2_s, small, k16, 5)     \
    X(IQ3_XXS, iq3_xxs, small, k16, 5) \
    X(IQ3_S, iq3_s, small, k16, 5)     \
    X(TQ1_0, tq1_0, small, k16, 5)     \
    X(TQ2_0, tq2_0, small, k16, 5)     \
    X(IQ4_NL, iq4_nl, q8_0, 32, 24)    \
    X(IQ4_XS, iq4_xs, iq4_xs, k32, 16) \
    X(MXFP4, mxfp4, q8_0, 32, 24)

void kern_quant_init_avx2(struct kern *k)
{
#define X(T, name, of, kind, from)              \
    k->type[DT_##T].mul = mul_##name##_avx2;    \
    k->type[DT_##T].pack = pack_##name##_avx2;  \
    k->type[DT_##T].gemm = gemm_##of##_avx2;    \
    k->type[DT_##T].panel_rows = PANEL_ROWS;    \
    k->type[DT_##T].panel_bytes = bytes_##kind; \
    k->type[DT_##T].gemm_from = from;
    TYPE_MAP(X)
#undef X
    k->quant[ACT_Q8_32] = quant_q8_32_avx2;
    k->quant[ACT_Q8_256] = quant_q8_256_avx2;
}
