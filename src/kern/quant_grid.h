/* SPDX-License-Identifier: Apache-2.0
 *
 * kern/quant_grid.h: the types whose blocks of 256 are indices into grids or powers of three
 * (IQ1, IQ2, IQ3, TQ) in the form that most levels compute with: bytes, small integer scales,
 * one factor.
 */
#ifndef KERN_QUANT_GRID_H
#define KERN_QUANT_GRID_H

#include "kern/quant.h"

/* value[i] = d * scale[i / 16] * q[i]; |q| <= 62 */
struct quant_small {
    int8_t q[256];
    int8_t scale[16];
    float d;
};
typedef void quant_small_fn(const uint8_t *block, struct quant_small *out);

quant_small_fn quant_small_iq1_s, quant_small_iq1_m, quant_small_iq2_xxs, quant_small_iq2_xs,
    quant_small_iq2_s, quant_small_iq3_xxs, quant_small_iq3_s, quant_small_tq1_0, quant_small_tq2_0;

/* Their names and the bytes of their blocks. */
#define QUANT_SMALL_MAP(X) \
    X(iq1_s, 50)           \
    X(iq1_m, 56)           \
    X(iq2_xxs, 66)         \
    X(iq2_xs, 74)          \
    X(iq2_s, 82)           \
    X(iq3_xxs, 98)         \
    X(iq3_s, 110)          \
    X(tq1_0, 54)           \
    X(tq2_0, 66)

/* 8 or 4 values an entry, lowest byte first; those of quant_iq1 are signed and 8 times the
 * format's. */
extern const uint64_t quant_iq2_xxs[256], quant_iq2_xs[512], quant_iq2_s[1024], quant_iq1[2048];
extern const uint32_t quant_iq3_xxs[256], quant_iq3_s[512];

#endif
