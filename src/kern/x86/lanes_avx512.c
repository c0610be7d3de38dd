/* SPDX-License-Identifier: Apache-2.0
 * kern/x86/lanes_avx512.c: the loops of quantising with AVX-512: kern/vec/lanes.h. */
#include "kern/x86/vec_avx512.h"

#include "kern/vec/grid.h"
#include "kern/vec/lanes.h"

void lanes_init_avx512(struct fit *f)
{
    lanes_fill(f);
    grid_fill(f);
}
