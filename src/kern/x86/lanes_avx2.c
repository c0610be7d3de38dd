/* SPDX-License-Identifier: Apache-2.0
 * kern/x86/lanes_avx2.c: the loops of quantising with AVX2: kern/vec/lanes.h. */
#include "kern/x86/vec_avx2.h"

#include "kern/vec/grid.h"
#include "kern/vec/lanes.h"

void lanes_init_avx2(struct fit *f)
{
    lanes_fill(f);
    grid_fill(f);
}
