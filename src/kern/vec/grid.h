/* SPDX-License-Identifier: Apache-2.0
 *
 * kern/vec/grid.h: the search in a grid (kern/fit.h: points, least, nearest) for every vector width. A lane holds a point; what is
 * summed is summed within a lane, and the least of several is the same in any order: the width does not change a bit.
 *
 * Of a point v and a step s the error is sum w (s v - x)^2 = s (s a - 2 c) + sum w x^2 with a = sum w v^2, c = sum w v x. So a and b = -2 c,
 * found once for all points, judge every step with one multiply-add a point.
 */
#ifndef KERN_VEC_GRID_H
#define KERN_VEC_GRID_H

#include "kern/fit.h"

static inline __attribute__((always_inline)) void grid_points_of(size_t dim, size_t npoint,
                                                                 const float *value, const float *x,
                                                                 const float *w, float *a, float *b)
{
    vf u[8], v[8];
    for (size_t e = 0; e < dim; e++) {
        u[e] = vec_set(w[e]);
        v[e] = vec_set(w[e] * (-2.0f * x[e]));
    }
    for (size_t p = 0; p < npoint; p += 16, value += 16 * dim)
        for (size_t lane = 0; lane < 16; lane += VN) {
            vf sa = vec_zero(), sb = vec_zero();
            for (size_t e = 0; e < dim; e++) {
                vf q = vec_load(value + 16 * e + lane);
                sa = vec_fma(vec_mul(u[e], q), q, sa);
                sb = vec_fma(v[e], q, sb);
            }
            vec_store(a + p + lane, sa);
            vec_store(b + p + lane, sb);
        }
}

static void grid_points(size_t dim, size_t npoint, const float *value, const float *x,
                        const float *w, float *a, float *b)
{
    if (dim == 4)
        grid_points_of(4, npoint, value, x, w, a, b);
    else
        grid_points_of(8, npoint, value, x, w, a, b);
}

static inline float grid_least_of(vf v)
{
    float f[VN], least;
    vec_store(f, v);
    least = f[0];
    for (int i = 1; i < VN; i++) least = f[i] < least ? f[i] : least;
    return least;
}

static void grid_least(size_t npoint, const float *a, const float *b, const float s[4],
                       float least[4])
{
    vf s0 = vec_set(s[0]), s1 = vec_set(s[1]), s2 = vec_set(s[2]), s3 = vec_set(s[3]);
    vf l0 = vec_set(__builtin_inff()), l1 = l0, l2 = l0, l3 = l0;
    for (size_t p = 0; p < npoint; p += VN) {
        vf u = vec_load(a + p), v = vec_load(b + p);
        l0 = vec_min(l0, vec_fma(s0, u, v));
        l1 = vec_min(l1, vec_fma(s1, u, v));
        l2 = vec_min(l2, vec_fma(s2, u, v));
        l3 = vec_min(l3, vec_fma(s3, u, v));
    }
    least[0] = grid_least_of(l0);
    least[1] = grid_least_of(l1);
    least[2] = grid_least_of(l2);
    least[3] = grid_least_of(l3);
}

/* Two runs side by side, over even and odd sixteens. */
static size_t grid_nearest(size_t npoint, const float *a, const float *b, float s)
{
    float least[2 * VN], at[2 * VN];
    vf best[2] = {vec_set(__builtin_inff()), vec_set(__builtin_inff())},
       who[2] = {vec_zero(), vec_zero()};
    vf step = vec_set(s);
    size_t first = 0;
    for (size_t p = 0; p < npoint; p += 32)
        for (size_t lane = 0; lane < 16; lane += VN)
            for (size_t i = 0; i < 2 && p + 16 * i < npoint; i++) {
                size_t here = p + 16 * i + lane;
                vf v = vec_fma(step, vec_load(a + here), vec_load(b + here));
                vm better = vec_gt(best[i], v);
                best[i] = vec_pick(better, v, best[i]);
                who[i] = vec_pick(better, vec_set((float)here), who[i]);
            }
    for (size_t i = 0; i < 2; i++) {
        vec_store(least + i * VN, best[i]);
        vec_store(at + i * VN, who[i]);
    }
    for (size_t i = 0; i < 2 * VN; i++) {
        at[i] += (float)(i % VN);
        if (least[i] < least[first] || (!(least[first] < least[i]) && at[i] < at[first])) first = i;
    }
    return (size_t)at[first];
}

static void grid_fill(struct fit *f)
{
    f->points = grid_points;
    f->least = grid_least;
    f->nearest = grid_nearest;
}

#endif
