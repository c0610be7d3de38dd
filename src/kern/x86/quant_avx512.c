/* SPDX-License-Identifier: Apache-2.0
 * kern/x86/quant_avx512.c: the table's entries for quantised weights at level avx512. */
#include "kern/x86/quant_avx512.h"

#include "kern/x86/quant_panel_avx512.h"

static size_t bytes_32(size_t k)
{
    return LINE + LINE * panel_lines(PANEL_32) * panel_steps(PANEL_32, k);
}
static size_t bytes_32_min(size_t k)
{
    return LINE + LINE * panel_lines(PANEL_32_MIN) * panel_steps(PANEL_32_MIN, k);
}
static size_t bytes_k32(size_t k)
{
    return LINE + LINE * panel_lines(PANEL_K32) * panel_steps(PANEL_K32, k);
}
static size_t bytes_k32_min(size_t k)
{
    return LINE + LINE * panel_lines(PANEL_K32_MIN) * panel_steps(PANEL_K32_MIN, k);
}
static size_t bytes_k16(size_t k)
{
    return LINE + LINE * panel_lines(PANEL_K16) * panel_steps(PANEL_K16, k);
}
static size_t bytes_k16_min(size_t k)
{
    return LINE + LINE * panel_lines(PANEL_K16_MIN) * panel_steps(PANEL_K16_MIN, k);
}

/* The batch from which a packed panel is faster than what mul does by slices (kcheck --bench). */
enum { GEMM_FROM = 17 };

/* type, the kernels' name, its panel */
#define TYPE_MAP(X)          \
    X(Q4_0, q4_0, 32)        \
    X(Q4_1, q4_1, 32_min)    \
    X(Q5_0, q5_0, 32)        \
    X(Q5_1, q5_1, 32_min)    \
    X(Q8_0, q8_0, 32)        \
    X(Q2_K, q2_k, k16_min)   \
    X(Q3_K, q3_k, k16)       \
    X(Q4_K, q4_k, k32_min)   \
    X(Q5_K, q5_k, k32_min)   \
    X(Q6_K, q6_k, k16)       \
    X(IQ1_S, iq1_s, k16)     \
    X(IQ1_M, iq1_m, k16)     \
    X(IQ2_XXS, iq2_xxs, k16) \
    X(IQ2_XS, iq2_xs, k16)   \
    X(IQ2_S, iq2_s, k16)     \
    X(IQ3_XXS, iq3_xxs, k16) \
    X(IQ3_S, iq3_s, k16)     \
    X(TQ1_0, tq1_0, k16)     \
    X(TQ2_0, tq2_0, k16)     \
    X(IQ4_NL, iq4_nl, 32)    \
    X(IQ4_XS, iq4_xs, k32)   \
    X(MXFP4, mxfp4, 32)

void kern_quant_init_avx512(struct kern *k)
{
#define X(T, name, kind)                         \
    k->type[DT_##T].mul = mul_##name##_avx512;   \
    k->type[DT_##T].pack = pack_##name##_avx512; \
    k->type[DT_##T].gemm = gemm_##kind##_avx512; \
    k->type[DT_##T].panel_rows = PANEL_ROWS;     \
    k->type[DT_##T].panel_bytes = bytes_##kind;  \
    k->type[DT_##T].gemm_from = GEMM_FROM;
    TYPE_MAP(X)
#undef X
    k->quant[ACT_Q8_32] = quant_q8_32_avx512;
    k->quant[ACT_Q8_256] = quant_q8_256_avx512;
}
