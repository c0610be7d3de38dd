/* SPDX-License-Identifier: Apache-2.0
 *
 * kern/x86/quant_panel_avx512.h: the form of weights between pack and gemm.
 *
 * A panel is PANEL_ROWS = 32 rows. Its numbers are words of 4 bytes, 4 elements of a row in the
 * order of the activations; a line is the same word of all rows, 128 bytes, so that one word of
 * an activation row, in all lanes, meets 32 rows in two vpdpbusd. Behind the numbers of a step
 * stand lines of other things, one F32 or a pair of int16 a row. Bytes are unsigned: q + 128,
 * and integer sums start at the activations' plane c, which is -128 * (their sum); or, where
 * mins make up for it, plain q.
 *
 *   ACT_Q8_32, a step is 128 elements, 4 blocks: 32 lines (8 of each block) | d: 4 | m: 4
 *       m is -1/128 of the type's own m, for it meets c.
 *   ACT_Q8_256, a step is 256: 64 lines | scales d * s: 8 or 16, in the order of act_at | mins as
 *       pairs of int16: 4 or 8, in order | dmin: 1
 */
#ifndef KERN_X86_QUANT_PANEL_AVX512_H
#define KERN_X86_QUANT_PANEL_AVX512_H

#include "kern/x86/quant_avx512.h"

enum { PANEL_ROWS = 32, LINE = 4 * PANEL_ROWS };

/* A panel begins with a line for this: what most likely is packed next lies behind this panel's rows, and gemm asks for it while it multiplies.
 * The rows of a panel are 32 streams, which no prefetcher follows. */
struct panel_head {
    const uint8_t *next;
    size_t bytes;
};

/* The kinds of step, by what stands behind the numbers. */
enum panel {
    PANEL_32,      /* Q4_0, Q5_0, Q8_0, IQ4_NL, MXFP4 */
    PANEL_32_MIN,  /* Q4_1, Q5_1 */
    PANEL_K32,     /* IQ4_XS */
    PANEL_K32_MIN, /* Q4_K, Q5_K */
    PANEL_K16,     /* Q3_K, Q6_K */
    PANEL_K16_MIN, /* Q2_K */
};

/* Lines of a step. */
static inline size_t panel_lines(enum panel kind)
{
    return kind == PANEL_32        ? 32 + 4
           : kind == PANEL_32_MIN  ? 32 + 4 + 4
           : kind == PANEL_K32     ? 64 + 8
           : kind == PANEL_K32_MIN ? 64 + 8 + 4 + 1
           : kind == PANEL_K16     ? 64 + 16
                                   : 64 + 16 + 8 + 1;
}
static inline size_t panel_steps(enum panel kind, size_t k)
{
    return kind <= PANEL_32_MIN ? (k + 127) / 128 : k / 256;
}

kern_pack_fn pack_q4_0_avx512, pack_q4_1_avx512, pack_q5_0_avx512, pack_q5_1_avx512,
    pack_q8_0_avx512, pack_iq4_nl_avx512, pack_mxfp4_avx512, pack_q2_k_avx512, pack_q3_k_avx512,
    pack_q4_k_avx512, pack_q5_k_avx512, pack_q6_k_avx512, pack_iq4_xs_avx512, pack_iq1_s_avx512,
    pack_iq1_m_avx512, pack_iq2_xxs_avx512, pack_iq2_xs_avx512, pack_iq2_s_avx512,
    pack_iq3_xxs_avx512, pack_iq3_s_avx512, pack_tq1_0_avx512, pack_tq2_0_avx512;
/* The elements from..k - 1 of the rows at w, `from` a multiple of 256. */
typedef void panel_slice_fn(size_t from, size_t k, const uint8_t *w, size_t wstride, size_t nrow,
                            uint8_t *panel);
panel_slice_fn slice_q4_0_avx512, slice_q4_1_avx512, slice_q5_0_avx512, slice_q5_1_avx512,
    slice_q8_0_avx512, slice_iq4_nl_avx512, slice_mxfp4_avx512, slice_q2_k_avx512,
    slice_q3_k_avx512, slice_q4_k_avx512, slice_q5_k_avx512, slice_q6_k_avx512, slice_iq4_xs_avx512,
    slice_iq1_s_avx512, slice_iq1_m_avx512, slice_iq2_xxs_avx512, slice_iq2_xs_avx512,
    slice_iq2_s_avx512, slice_iq3_xxs_avx512, slice_iq3_s_avx512, slice_tq1_0_avx512,
    slice_tq2_0_avx512;
/* By kind of panel. */
kern_gemm_fn gemm_32_avx512, gemm_32_min_avx512, gemm_k32_avx512, gemm_k32_min_avx512,
    gemm_k16_avx512, gemm_k16_min_avx512;

/* mul by way of slices of a panel, by kind of panel. */
typedef void few_fn(panel_slice_fn *slice, size_t k, const void *w, size_t wstride, size_t nrow,
                    const void *act, size_t astride, size_t nact, float *out, size_t ostride);
few_fn few_32_avx512, few_32_min_avx512, few_k32_avx512, few_k32_min_avx512, few_k16_avx512,
    few_k16_min_avx512;

#endif
