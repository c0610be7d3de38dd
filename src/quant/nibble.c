/* SPDX-License-Identifier: Apache-2.0
 *
 * quant/nibble.c: blocks of 32 with their own step in binary16, searched: Q4_0, Q4_1, Q5_0, Q5_1 when the importance of columns is
 * known (plain.c makes them without), and IQ4_NL. Sixteen blocks at a time (kern/fit.h).
 *
 * Weights: importance * sqrt(mean square + x^2), that of the row (types with a least value: twice), IQ4_NL: twice that of the block;
 * without importance half the mean square of the block + x^2.
 */
#include <math.h>
#include <string.h>

#include "base/half.h"
#include "kern/quant.h"
#include "quant/quantise.h"

struct nibble {
    struct fit_code code;
    struct fit_search search;
    int offset, five; /* has a least value; has fifth bits */
};

static struct nibble nibble_of(enum dtype t)
{
    struct nibble n = {
        {0}, {-1.0f, 0.2f, 10, 2, 1}, t == DT_Q4_1 || t == DT_Q5_1, t == DT_Q5_0 || t == DT_Q5_1};
    n.code.hi = n.five ? 31 : 15;
    if (!n.offset) {
        n.code.lo = n.five ? -16 : -8;
        n.code.hi = n.five ? 15 : 7;
    }
    if (t == DT_IQ4_NL) {
        n.code = (struct fit_code){-127, 113, quantise_iq4};
        n.search = (struct fit_search){-9, 2, 9, 2, 0};
    }
    return n;
}

static float mean_square(const float *x, size_t n)
{
    float sum = 0;
    for (size_t i = 0; i < n; i++) sum += x[i] * x[i];
    return sum / (float)n;
}

static void put(const struct nibble *t, const float *q, float d, float m, uint8_t *out)
{
    uint8_t code[32], *at = out + 2;
    uint16_t h = half_from_f32(d);
    for (size_t i = 0; i < 32; i++) {
        float v = q[i * FIT_LANES] > t->code.lo ? q[i * FIT_LANES] : t->code.lo;
        if (v > t->code.hi) v = t->code.hi;
        code[i] = (uint8_t)(t->code.table ? quantise_index(v, quant_iq4) : (int)(v - t->code.lo));
    }
    memcpy(out, &h, 2);
    if (t->offset) {
        h = half_from_f32(-m);
        memcpy(at, &h, 2);
        at += 2;
    }
    quantise_nibbles(code, at + (t->five ? 4 : 0), t->five ? at : NULL);
}

/* The weights of one block; an importance of nothing but zeros is none. mean: the mean square to reckon with. */
static void weigh(const float *x, const float *importance, float mean, float *w)
{
    float known = 0;
    for (int i = 0; importance && i < 32; i++) known += importance[i];
    float own = 0.5f * mean_square(x, 32);
    for (int i = 0; i < 32; i++)
        w[i] = known > 0 ? importance[i] * sqrtf(mean + x[i] * x[i]) : own + x[i] * x[i];
}

void nibble_row(const struct fit *f, enum dtype type, size_t k, const float *x,
                const float *importance, uint8_t *out)
{
    struct nibble t = nibble_of(type);
    size_t bytes = dtype_info(type).bytes;
    float lanes[32 * FIT_LANES], weights[32 * FIT_LANES], w[32 * FIT_LANES], q[32 * FIT_LANES];
    float d[FIT_LANES], m[FIT_LANES] = {0}, row = (t.offset ? 2 : 1) * mean_square(x, k);
    for (size_t b = 0; b < k / 32; b += FIT_LANES) {
        size_t n = k / 32 - b < FIT_LANES ? k / 32 - b : FIT_LANES;
        for (size_t g = 0; g < n; g++) {
            const float *at = x + 32 * (b + g);
            weigh(at, importance ? importance + 32 * (b + g) : NULL,
                  type == DT_IQ4_NL ? 2 * mean_square(at, 32) : row, w + 32 * g);
        }
        quantise_gather(32, n, x + 32 * b, lanes);
        quantise_gather(32, n, w, weights);
        if (t.offset)
            f->affine(32, lanes, weights, &t.code, &t.search, d, m);
        else
            f->linear(32, lanes, weights, &t.code, &t.search, d);
        for (size_t g = 0; g < FIT_LANES;
             g++) { /* the codes for the steps that the file will have */
            d[g] = half_to_f32(half_from_f32(d[g]));
            m[g] = half_to_f32(half_from_f32(m[g]));
        }
        f->codes(32, lanes, &t.code, d, m, q);
        for (size_t g = 0; g < n; g++) put(&t, q + g, d[g], m[g], out + (b + g) * bytes);
    }
}
