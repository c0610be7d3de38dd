/* SPDX-License-Identifier: Apache-2.0
 * kern/arm/lanes_dot.c: the loops of quantising with Advanced SIMD: kern/vec/lanes.h. */
#include "kern/arm/vec_neon.h"

#include "kern/vec/grid.h"
#include "kern/vec/lanes.h"

void lanes_init_dot(struct fit *f)
{
    lanes_fill(f);
    grid_fill(f);
}
