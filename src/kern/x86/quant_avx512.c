/* SPDX-License-Identifier: Apache-2.0
 * kern/x86/quant_avx512.c: the table's entries for quantised weights at level avx512. */
#include "kern/x86/quant_avx512.h"

void kern_quant_init_avx512(struct kern *k)
{
    k->type[DT_Q4_0].mul = mul_q4_0_avx512;
    k->type[DT_Q4_1].mul = mul_q4_1_avx512;
    k->type[DT_Q5_0].mul = mul_q5_0_avx512;
    k->type[DT_Q5_1].mul = mul_q5_1_avx512;
    k->type[DT_Q8_0].mul = mul_q8_0_avx512;
    k->type[DT_Q2_K].mul = mul_q2_k_avx512;
    k->type[DT_Q3_K].mul = mul_q3_k_avx512;
    k->type[DT_Q4_K].mul = mul_q4_k_avx512;
    k->type[DT_Q5_K].mul = mul_q5_k_avx512;
    k->type[DT_Q6_K].mul = mul_q6_k_avx512;
    k->type[DT_IQ4_XS].mul = mul_iq4_xs_avx512;
    k->type[DT_IQ4_NL].mul = mul_iq4_nl_avx512;
    k->type[DT_MXFP4].mul = mul_mxfp4_avx512;
}
