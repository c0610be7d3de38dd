/* SPDX-License-Identifier: Apache-2.0
 *
 * kern/fit.h: the inner loops of quantising: the best step (and offset) for sixteen groups of weights at once.
 *
 * A group is what shares a step d and an offset m in the file: x is stood for by d * q - m, q a whole number in lo..hi (or, with a
 * table, one of sixteen values). Sixteen groups lie side by side, x[i * FIT_LANES + lane], so that a vector holds the same element of
 * many groups and nothing is summed across it. w is each element's weight in the error sum w (d q - m - x)^2, w >= 0.
 *
 * All operations are single, rounded + - * / and fused multiply-adds in a fixed order: every level gives the same bits, so a file
 * does not depend on the machine that made it. x and w must be finite (else results are unspecified, memory is safe); |d| should
 * be above 1e-30 or 0.
 */
#ifndef KERN_FIT_H
#define KERN_FIT_H

#include <stddef.h>

enum { FIT_LANES = 16 };

struct fit_code {
    float lo, hi; /* of q */
    const float *
        table; /* NULL: every whole number lo..hi; else 16 rising values, lo and hi being the first and the last */
};

/* What is tried: steps (range of x) / (hi - lo + first + i * delta), i <= count; then `polish` rounds of: codes by the step, best step by the codes. */
struct fit_search {
    float first, delta;
    int count, polish;
    int free_min; /* affine: m may have any sign; else m >= 0 */
};

/* d[lane] >= 0, m[lane]: the best found. c->lo is 0, no table. */
typedef void fit_affine_fn(size_t n, const float *x, const float *w, const struct fit_code *c,
                           const struct fit_search *s, float *d, float *m);
/* d[lane] of either sign, m = 0: the value largest in magnitude is put on lo (d < 0 when it is positive) and on hi. */
typedef void fit_linear_fn(size_t n, const float *x, const float *w, const struct fit_code *c,
                           const struct fit_search *s, float *d);
/* Sums by lane with q = the code nearest to (x + m) / d (d = 0: 0 or what is nearest to it). */
enum fit_sum {
    FIT_ERROR,
    FIT_W,
    FIT_X,
    FIT_XX,
    FIT_Q,
    FIT_QQ,
    FIT_QX,
    FIT_SUMS
}; /* error, w, wx, wxx, wq, wqq, wqx */
typedef void fit_error_fn(size_t n, const float *x, const float *w, const struct fit_code *c,
                          const float *d, const float *m, float *error);
typedef void fit_sums_fn(size_t n, const float *x, const float *w, const struct fit_code *c,
                         const float *d, const float *m, float sum[FIT_SUMS][FIT_LANES]);
/* The codes themselves: q[i * FIT_LANES + lane]; with a table its values. */
typedef void fit_codes_fn(size_t n, const float *x, const struct fit_code *c, const float *d,
                          const float *m, float *q);

/* Grids: points that stand for dim elements at once; of each 16 points first all first elements, then all second ones and
 * so on: value[(p / 16 * dim + e) * 16 + p % 16]. npoint is a multiple of 16, dim 4 or 8.
 *   points   a[p] = sum over e of w v^2, b[p] = -2 sum of w v x
 *   least    the least of s a[p] + b[p] over all p, for four steps s at once
 *   nearest  the first p that has it */
typedef void fit_points_fn(size_t dim, size_t npoint, const float *value, const float *x, const float *w,
                           float *a, float *b);
typedef void fit_least_fn(size_t npoint, const float *a, const float *b, const float s[4], float least[4]);
typedef size_t fit_nearest_fn(size_t npoint, const float *a, const float *b, float s);

struct fit {
    fit_affine_fn *affine;
    fit_linear_fn *linear;
    fit_error_fn *error;
    fit_sums_fn *sums;
    fit_codes_fn *codes;
    fit_points_fn *points;
    fit_least_fn *least;
    fit_nearest_fn *nearest;
};

/* The best for a processor with these flags (base/cpu.h). */
void fit_init(struct fit *f, unsigned cpu_flags);

void lanes_init_ref(struct fit *f);
void lanes_init_avx2(struct fit *f);
void lanes_init_avx512(struct fit *f);
void lanes_init_dot(struct fit *f);

#endif
