/* SPDX-License-Identifier: Apache-2.0
 * kern/x86/quant_avx2.c: the table's entries for quantised weights at level avx2. */
#include "kern/x86/quant_avx2.h"

#define TYPE_MAP(X)   \
    X(Q4_0, q4_0)     \
    X(Q4_1, q4_1)     \
    X(Q5_0, q5_0)     \
    X(Q5_1, q5_1)     \
    X(Q8_0, q8_0)     \
    X(Q2_K, q2_k)     \
    X(Q3_K, q3_k)     \
    X(Q4_K, q4_k)     \
    X(Q5_K, q5_k)     \
    X(Q6_K, q6_k)     \
    X(IQ4_NL, iq4_nl) \
    X(IQ4_XS, iq4_xs) \
    X(MXFP4, mxfp4)

void kern_quant_init_avx2(struct kern *k)
{
#define X(T, name) k->type[DT_##T].mul = mul_##name##_avx2;
    TYPE_MAP(X)
#undef X
    k->quant[ACT_Q8_32] = quant_q8_32_avx2;
    k->quant[ACT_Q8_256] = quant_q8_256_avx2;
}
