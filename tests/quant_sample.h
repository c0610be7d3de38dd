/* SPDX-License-Identifier: Apache-2.0
 * tests/quant_sample.h: weights and importances that are the same everywhere, shaped like a model's: bell-like with a heavier tail, rows of
 * different size, columns of different importance. And what a quantiser loses of them. */
#ifndef QUANT_SAMPLE_H
#define QUANT_SAMPLE_H

#include "base/rng.h"

enum { SAMPLE_K = 1024, SAMPLE_ROWS = 64 };

static inline void quant_sample(float *x, float *importance)
{
    struct rng r;
    rng_seed(&r, 20260928);
    for (int i = 0; i < SAMPLE_ROWS; i++)
        for (int j = 0; j < SAMPLE_K; j++) {
            double t = rng_uniform(&r) + rng_uniform(&r) + rng_uniform(&r) + rng_uniform(&r) - 2;
            x[i * SAMPLE_K + j] = (float)(t * (1 + 0.5 * t * t) * 0.02 * (1 + i % 7));
        }
    for (int j = 0; j < SAMPLE_K; j++) {
        double u = rng_uniform(&r);
        importance[j] = (float)(0.01 + 4 * u * u * u);
    }
}

/* The weighted squared error against the weighted square; importance NULL: every element counts the same. */
static inline double quant_loss(const float *x, const float *y, const float *importance)
{
    double off = 0, all = 0;
    for (int i = 0; i < SAMPLE_ROWS * SAMPLE_K; i++) {
        double w = importance ? (double)importance[i % SAMPLE_K] : 1,
               d = (double)x[i] - (double)y[i];
        off += w * d * d;
        all += w * (double)x[i] * (double)x[i];
    }
    return off / all;
}

#endif
