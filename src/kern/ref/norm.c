/* SPDX-License-Identifier: Apache-2.0
 *
 * kern/ref/norm.c: what is done to one row of activations: norms, axpy, argmax, rotary embedding.
 */
#include "kern/ref/float.h"

#include <math.h>

void rms_ref(size_t n, const float *x, const float *w, float eps, float *out)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += (double)x[i] * (double)x[i];
    float scale = (float)(1 / sqrt(sum / (double)n + (double)eps));
    for (size_t i = 0; i < n; i++) out[i] = x[i] * scale * (w ? w[i] : 1.0f);
}

void norm_ref(size_t n, const float *x, const float *w, const float *b, float eps, float *out)
{
    double sum = 0, squares = 0;
    for (size_t i = 0; i < n; i++) sum += (double)x[i];
    double mean = sum / (double)n;
    for (size_t i = 0; i < n; i++) {
        double c = (double)x[i] - mean;
        squares += c * c;
    }
    double scale = 1 / sqrt(squares / (double)n + (double)eps);
    for (size_t i = 0; i < n; i++) {
        double y = ((double)x[i] - mean) * scale;
        out[i] = (float)(y * (w ? (double)w[i] : 1.0) + (b ? (double)b[i] : 0.0));
    }
}

void axpy_ref(size_t n, float a, const float *x, float *y)
{
    for (size_t i = 0; i < n; i++) y[i] += a * x[i];
}

size_t argmax_ref(size_t n, const float *x)
{
    size_t at = 0;
    float top = -INFINITY;
    for (size_t i = 0; i < n; i++)
        if (x[i] > top) { /* false for NaN */
            top = x[i];
            at = i;
        }
    return at;
}

void rope_norm_ref(size_t rot, const float *c, const float *s, float *x)
{
    for (size_t i = 0; i < rot / 2; i++) {
        float a = x[2 * i], b = x[2 * i + 1];
        x[2 * i] = a * c[i] - b * s[i];
        x[2 * i + 1] = a * s[i] + b * c[i];
    }
}

void rope_neox_ref(size_t rot, const float *c, const float *s, float *x)
{
    size_t half = rot / 2;
    for (size_t i = 0; i < half; i++) {
        float a = x[i], b = x[i + half];
        x[i] = a * c[i] - b * s[i];
        x[i + half] = a * s[i] + b * c[i];
    }
}
