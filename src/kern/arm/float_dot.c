/* SPDX-License-Identifier: Apache-2.0
 * kern/arm/float_dot.c: the float families with Advanced SIMD: kern/vec/ over 4 floats. */
#include "kern/arm/vec_neon.h"

#include "kern/vec/table.h"

void kern_float_init_dot(struct kern *k)
{
    vec_fill(k, 32);
}
