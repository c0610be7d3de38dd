/* SPDX-License-Identifier: Apache-2.0
 *
 * kern/ref/scan.c: one token through one head of a recurrence: Mamba-2 and the gated delta rule.
 */
#include "kern/ref/float.h"

void scan_ref(size_t hd, size_t ds, float *state, const float *b, const float *c, const float *x, float dt, float decay,
              float d, float *out)
{
    for (size_t p = 0; p < hd; p++) {
        float *s = state + p * ds, in = dt * x[p], y = 0;
        for (size_t n = 0; n < ds; n++) {
            s[n] = s[n] * decay + in * b[n];
            y += s[n] * c[n];
        }
        out[p] = y + d * x[p];
    }
}

void delta_ref(size_t dk, size_t dv, float *state, const float *q, double qn, const float *k, double kn, const float *v,
               double decay, double beta, float *out)
{
    for (size_t b = 0; b < dv; b++) {
        double seen = 0, y = 0;
        for (size_t a = 0; a < dk; a++) seen += (double)state[a * dv + b] * (double)k[a];
        double fix = ((double)v[b] - seen * decay * kn) * beta * kn;
        for (size_t a = 0; a < dk; a++) {
            double s = (double)state[a * dv + b] * decay + (double)k[a] * fix;
            state[a * dv + b] = (float)s;
            y += s * (double)q[a];
        }
        out[b] = (float)(y * qn);
    }
}
