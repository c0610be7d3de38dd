/* SPDX-License-Identifier: Apache-2.0
 * quant/quantise.c: which quantiser makes which type. */
#include "quant/quantise.h"

#include <string.h>

/* clang-format off */
static const struct {
    quantise_plain_fn *plain; /* without importance, or whatever it is when fit is NULL */
    quantise_fit_fn *fit;
} makers[DTYPE_COUNT] = {
    [DT_F32] = {plain_f32, NULL},         [DT_F16] = {plain_f16, NULL},
    [DT_BF16] = {plain_bf16, NULL},       [DT_Q8_0] = {plain_q8_0, NULL},
    [DT_Q8_1] = {plain_q8_1, NULL},       [DT_Q4_0] = {plain_q4_0, nibble_row},
    [DT_Q4_1] = {plain_q4_1, nibble_row}, [DT_Q5_0] = {plain_q5_0, nibble_row},
    [DT_Q5_1] = {plain_q5_1, nibble_row}, [DT_IQ4_NL] = {NULL, nibble_row},
    [DT_IQ4_XS] = {NULL, kquant_row},     [DT_Q2_K] = {NULL, kquant_row},
    [DT_Q3_K] = {NULL, kquant_row},       [DT_Q4_K] = {NULL, kquant_row},
    [DT_Q5_K] = {NULL, kquant_row},       [DT_Q6_K] = {NULL, kquant_row},
    [DT_TQ1_0] = {plain_tq1_0, NULL},     [DT_TQ2_0] = {plain_tq2_0, NULL},
    [DT_MXFP4] = {plain_mxfp4, NULL},     [DT_NVFP4] = {plain_nvfp4, NULL},
    [DT_Q1_0] = {plain_q1_0, NULL},       [DT_Q2_0] = {plain_q2_0, NULL},
};
/* clang-format on */

const float quantise_iq4[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                1,    13,   25,  38,  53,  69,  89,  113};

int quantise_can(enum dtype t)
{
    return (unsigned)t < DTYPE_COUNT && (makers[t].plain || makers[t].fit || grid_scratch(t));
}

size_t quantise_scratch(enum dtype t) { return grid_scratch(t); }

void quantise_rows(const struct fit *f, enum dtype t, size_t k, size_t nrow, const float *x,
                   const float *importance, void *out, void *scratch)
{
    struct dtype_info info = dtype_info(t);
    size_t row = k / info.block * info.bytes;
    uint8_t *at = out;
    int grid = grid_scratch(t) > 0;
    for (size_t i = 0; i < nrow; i++, x += k, at += row) {
        if (grid)
            grid_row(f, t, k, x, importance, at, scratch);
        else if (makers[t].fit && (importance || !makers[t].plain))
            makers[t].fit(f, t, k, x, importance, at);
        else
            makers[t].plain(k, x, at);
    }
}

void quantise_gather(size_t n, size_t ngroup, const float *x, float *lanes)
{
    for (size_t g = 0; g < ngroup; g++)
        for (size_t i = 0; i < n; i++) lanes[i * FIT_LANES + g] = x[g * n + i];
    for (size_t g = ngroup; g < FIT_LANES; g++)
        for (size_t i = 0; i < n; i++) lanes[i * FIT_LANES + g] = 0;
}

void quantise_nibbles(const uint8_t code[32], uint8_t *qs, uint8_t *high)
{
    uint32_t bits = 0;
    for (int i = 0; i < 16; i++) {
        qs[i] = (uint8_t)((code[i] & 15) | (code[i + 16] & 15) << 4);
        bits |= (uint32_t)(code[i] >> 4) << i | (uint32_t)(code[i + 16] >> 4) << (i + 16);
    }
    if (high) memcpy(high, &bits, 4);
}

int quantise_index(float value, const int8_t table[16])
{
    int i = 0;
    while (i < 15 && value > (float)table[i]) i++;
    return i;
}
