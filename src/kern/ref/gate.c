/* SPDX-License-Identifier: Apache-2.0
 *
 * kern/ref/gate.c: what is made of exponentials: the online softmax and the gates. In double,
 * rounded once at the end.
 */
#include "kern/ref/float.h"

#include <math.h>

float softmax_ref(size_t n, float *s, float *m, float *l)
{
    float top = *m;
    for (size_t j = 0; j < n; j++) top = fmaxf(top, s[j]);
    if (top == -INFINITY) { /* everything so far is masked */
        for (size_t j = 0; j < n; j++) s[j] = 0;
        return 1;
    }
    double sum = 0;
    for (size_t j = 0; j < n; j++) {
        s[j] = (float)exp((double)s[j] - (double)top);
        sum += (double)s[j];
    }
    float factor = (float)exp((double)*m - (double)top);
    *l = (float)((double)*l * (double)factor + sum);
    *m = top;
    return factor;
}

void silu_mul_ref(size_t n, const float *g, const float *u, float *out)
{
    for (size_t i = 0; i < n; i++) {
        double x = (double)g[i], y = x / (1 + exp(-x));
        out[i] = (float)(u ? y * (double)u[i] : y);
    }
}

void gelu_mul_ref(size_t n, const float *g, const float *u, float *out)
{
    for (size_t i = 0; i < n; i++) {
        double x = (double)g[i], y = 0.5 * x * erfc(-x * 0.70710678118654752440);
        out[i] = (float)(u ? y * (double)u[i] : y);
    }
}

void gelu_tanh_mul_ref(size_t n, const float *g, const float *u, float *out)
{
    for (size_t i = 0; i < n; i++) {
        double x = (double)g[i];
        double t = 0.79788456080286535588 * (x + 0.044715 * x * x * x); /* sqrt(2/pi) */
        double y = x / (1 + exp(-2 * t));                               /* = x (1 + tanh t) / 2 */
        out[i] = (float)(u ? y * (double)u[i] : y);
    }
}
