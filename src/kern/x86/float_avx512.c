/* SPDX-License-Identifier: Apache-2.0
 * kern/x86/float_avx512.c: the float families with AVX-512: kern/vec/ over 16 floats. */
#include "kern/x86/vec_avx512.h"

#include "kern/vec/table.h"

void kern_float_init_avx512(struct kern *k)
{
    vec_fill(k, 64);
}
