/* SPDX-License-Identifier: Apache-2.0
 *
 * kern/x86/quant_panel_avx2.h: the form of weights between pack and gemm at level avx2.
 *
 * A panel is PANEL_ROWS = 16 rows. Its numbers are words of 4 bytes, 4 elements of a row in the
 * order of the activations; a line is the same word of all rows, 64 bytes. Behind the numbers of
 * a step stand lines of other things, one word a row. Bytes are as quant_avx2.h gives them,
 * unsigned with the type's offset, or signed.
 *
 *   ACT_Q8_32, a step is 128 elements, 4 blocks: 32 lines (8 of each block) | F32 d: 4 | F32 m: 4
 *       m is -1/128 of the type's own m, for it meets the activations' plane c.
 *   ACT_Q8_256, a step is 256: 64 lines | scales, each twice as int16: 8 or 16 in the order of
 *       act_at | mins as pairs of int16: 4 or 8 in order | F32 d: 1 | F32 dmin: 1
 *       An offset is put as a min of scale * offset, in units of d.
 */
#ifndef KERN_X86_QUANT_PANEL_AVX2_H
#define KERN_X86_QUANT_PANEL_AVX2_H

#include "kern/x86/quant_avx2.h"

enum { PANEL_ROWS = 16, LINE = 4 * PANEL_ROWS };

static inline size_t lines_32(int has_min) { return has_min ? 32 + 4 + 4 : 32 + 4; }
static inline size_t lines_k(int group) { return group == 32 ? 64 + 8 + 4 + 2 : 64 + 16 + 8 + 2; }

kern_pack_fn pack_q4_0_avx2, pack_q4_1_avx2, pack_q5_0_avx2, pack_q5_1_avx2, pack_q8_0_avx2,
    pack_iq4_nl_avx2, pack_mxfp4_avx2, pack_q2_k_avx2, pack_q3_k_avx2, pack_q4_k_avx2,
    pack_q5_k_avx2, pack_q6_k_avx2, pack_iq4_xs_avx2, pack_iq1_s_avx2, pack_iq1_m_avx2,
    pack_iq2_xxs_avx2, pack_iq2_xs_avx2, pack_iq2_s_avx2, pack_iq3_xxs_avx2, pack_iq3_s_avx2,
    pack_tq1_0_avx2, pack_tq2_0_avx2;
kern_gemm_fn gemm_q4_0_avx2, gemm_q4_1_avx2, gemm_q5_0_avx2, gemm_q5_1_avx2, gemm_q8_0_avx2,
    gemm_q2_k_avx2, gemm_q3_k_avx2, gemm_q4_k_avx2, gemm_q5_k_avx2, gemm_q6_k_avx2,
    gemm_iq4_xs_avx2, gemm_small_avx2;

#endif
