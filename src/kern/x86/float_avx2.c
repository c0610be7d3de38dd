/* SPDX-License-Identifier: Apache-2.0
 * kern/x86/float_avx2.c: the float families with AVX2, FMA and F16C: kern/vec/ over 8 floats. */
#include "kern/x86/vec_avx2.h"

#include "kern/vec/table.h"

void kern_float_init_avx2(struct kern *k)
{
    vec_fill(k, 32);
}
