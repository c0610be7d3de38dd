/* SPDX-License-Identifier: Apache-2.0
 * cli/aim.h: how few bits a weight keep a model as near to the original as was asked, on a text. */
#ifndef CLI_AIM_H
#define CLI_AIM_H

#include <lar/quant.h>

struct aim {
    const char *from;                            /* the original */
    const struct lar_quantize_options *quantize; /* but for the size */
    const char *file;                            /* the text */
    double kld;                                  /* mean divergence, at most */
    int ctx, chunks, show; /* as lar perplexity's; show: progress on the terminal */
};

/* *bits for lar_quantize_options.target_bits, and the divergence that was measured there. LAR_ELIMIT: not even 16 bits are near enough. */
int aim_bits(const struct aim *a, double *bits, double *kld, struct lar_err *err);

#endif
