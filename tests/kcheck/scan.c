/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/kcheck/scan.c: one token through one head of a recurrence (Mamba-2, the gated delta rule): the output and the new state against the
 * formula in double, for widths that fill vectors and widths that do not.
 */
#include "kcheck.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct sizes {
    size_t rows, cols;
};

/* Widths of real models first, then odd ones. */
static const struct sizes shapes[] = {{64, 128}, {128, 128}, {64, 64}, {16, 16}, {8, 24}, {1, 1},  {2, 3},
                                      {3, 7},    {5, 17},    {7, 31},  {4, 33},  {9, 48}, {13, 65}, {6, 100}};

static float *filled(int fill, size_t n)
{
    float *x = kc_alloc(4 * n, 4);
    kc_fill(fill, x, n);
    return x;
}

static void near(const char *what, struct sizes z, size_t i, float got, double want, double size)
{
    kc_expect(fabs((double)got - want) <= size * KC_EPS + 1e-37 || (double)got == want,
              "%s, %zu x %zu: [%zu] is %.9g, not %.9g +- %.3g", what, z.rows, z.cols, i, (double)got, want,
              size * KC_EPS);
}

/* F32: each product and sum is rounded; `size` counts them in units of half a last place. */
static void check_scan(kern_scan_fn *fn, struct sizes z, int fill)
{
    size_t hd = z.rows, ds = z.cols;
    float *s = filled(fill, hd * ds), *b = filled(0, ds), *c = filled(0, ds), *x = filled(0, hd);
    float *out = kc_alloc(4 * hd, 4), *old = malloc(4 * hd * ds);
    memcpy(old, s, 4 * hd * ds);
    const float dt = 0.7f, decay = 0.83f, d = -1.5f;
    fn(hd, ds, s, b, c, x, dt, decay, d, out);
    for (size_t p = 0; p < hd; p++) {
        double in = (double)(dt * x[p]), y = 0, size = 0;
        for (size_t n = 0; n < ds; n++) {
            double keep = (double)old[p * ds + n] * (double)decay, add = in * (double)b[n];
            near("scan's state", z, p * ds + n, s[p * ds + n], keep + add, 3 * (fabs(keep) + fabs(add)));
            y += (double)s[p * ds + n] * (double)c[n];
            size += fabs((double)s[p * ds + n] * (double)c[n]);
        }
        near("scan", z, p, out[p], y + (double)d * (double)x[p],
             kc_drift(ds) * size + 4 * fabs((double)d * (double)x[p]));
    }
    free(old);
    kc_free(s), kc_free(b), kc_free(c), kc_free(x), kc_free(out);
}

/* In double, so nothing but the last rounding is allowed; keys and queries of unit length, as they are in models. */
static void check_delta(kern_delta_fn *fn, struct sizes z, int fill)
{
    size_t dk = z.rows, dv = z.cols;
    float *s = filled(fill, dk * dv), *q = filled(0, dk), *k = filled(0, dk), *v = filled(0, dv);
    float *out = kc_alloc(4 * dv, 4), *old = malloc(4 * dk * dv);
    memcpy(old, s, 4 * dk * dv);
    const double qn = 0.031, kn = 0.35 / sqrt((double)dk), decay = 0.91, beta = 0.4;
    fn(dk, dv, s, q, qn, k, kn, v, decay, beta, out);
    for (size_t b = 0; b < dv; b++) {
        double seen = 0, y = 0, size = 0, most = fabs((double)v[b]);
        for (size_t a = 0; a < dk; a++) {
            seen += (double)old[a * dv + b] * decay * (double)k[a] * kn;
            most += fabs((double)old[a * dv + b] * decay * (double)k[a] * kn);
        }
        double fix = ((double)v[b] - seen) * beta;
        for (size_t a = 0; a < dk; a++) {
            double keep = (double)old[a * dv + b] * decay, want = keep + (double)k[a] * kn * fix;
            near("delta's state", z, a * dv + b, s[a * dv + b], want,
                 fabs(want) + 1e-6 * (fabs(keep) + most * fabs((double)k[a]) * kn));
            y += want * (double)q[a] * qn;
            size += (fabs(keep) + most * fabs((double)k[a]) * kn) * fabs((double)q[a]) * qn;
        }
        near("delta", z, b, out[b], y, fabs(y) + 1e-6 * size);
    }
    free(old);
    kc_free(s), kc_free(q), kc_free(k), kc_free(v), kc_free(out);
}

/* ---- timing ---- */

struct timing {
    const struct kern *kern;
    int delta;
    float *s, *x;
};

static void run(void *ctx, int thread, int threads)
{
    struct timing *t = ctx;
    float out[128];
    if (thread) return;
    (void)threads;
    for (int i = 0; i < 16; i++) {
        if (t->delta)
            t->kern->delta(128, 128, t->s, t->x, 0.01, t->x + 128, 0.05, t->x + 256, 0.9, 0.5, out);
        else
            t->kern->scan(64, 128, t->s, t->x, t->x + 128, t->x + 256, 0.1f, 0.9f, 1, out);
    }
}

static void bench(const struct kc_level *level, int delta)
{
    struct timing t = {level->ref, delta, filled(0, 128 * 128), filled(0, 512)};
    double base = kc_time("scalar", run, &t, 0, 0, 0), cells = 16 * (delta ? 128 * 128 : 64 * 128);
    t.kern = level->now;
    kc_time(delta ? "delta, 128 x 128, x 16" : "scan, 64 x 128, x 16", run, &t, 4 * cells, (delta ? 6 : 5) * cells,
            base);
    kc_free(t.s), kc_free(t.x);
}

#define NEW(member) \
    ((!strcmp(level->name, "c") || level->now->member != level->below->member) && kc_begin(#member))

void kc_scan(const struct kc_level *level)
{
    if (NEW(scan)) {
        for (size_t i = 0; i < sizeof shapes / sizeof *shapes && !kc_failed(); i++)
            for (int fill = 0; fill < KC_FILLS; fill++) check_scan(level->now->scan, shapes[i], fill);
        if (kc_bench() && strcmp(level->name, "c")) bench(level, 0);
        kc_end();
    }
    if (NEW(delta)) {
        for (size_t i = 0; i < sizeof shapes / sizeof *shapes && !kc_failed(); i++)
            for (int fill = 0; fill < KC_FILLS; fill++) check_delta(level->now->delta, shapes[i], fill);
        if (kc_bench() && strcmp(level->name, "c")) bench(level, 1);
        kc_end();
    }
}
