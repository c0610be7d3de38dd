/* SPDX-License-Identifier: Apache-2.0
 * kern/ref/lanes.c: the loops of kern/fit.h over one float: kern/vec/lanes.h with a vector of one. fmaf is exact whether the
 * processor has the instruction or not, so these are the same bits as the wide ones. */
#include <math.h>

typedef float vf;
typedef int vm;
enum { VN = 1 };

static inline vf vec_zero(void) { return 0.0f; }
static inline vf vec_set(float x) { return x; }
static inline vf vec_load(const float *p) { return *p; }
static inline void vec_store(float *p, vf v) { *p = v; }
static inline vf vec_add(vf a, vf b) { return a + b; }
static inline vf vec_sub(vf a, vf b) { return a - b; }
static inline vf vec_mul(vf a, vf b) { return a * b; }
static inline vf vec_div(vf a, vf b) { return a / b; }
static inline vf vec_fma(vf a, vf b, vf c) { return fmaf(a, b, c); }
static inline vf vec_max(vf a, vf b) { return a > b ? a : b; }
static inline vf vec_min(vf a, vf b) { return a < b ? a : b; }
static inline vf vec_abs(vf a) { return fabsf(a); }
static inline vf vec_round(vf a) { return rintf(a); }
static inline vm vec_gt(vf a, vf b) { return a > b; }
static inline vm vec_eq(vf a, vf b) { return a == b; }
static inline vf vec_pick(vm m, vf a, vf b) { return m ? a : b; }

#include "kern/vec/grid.h"
#include "kern/vec/lanes.h"

void lanes_init_ref(struct fit *f)
{
    lanes_fill(f);
    grid_fill(f);
}
