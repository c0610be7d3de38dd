/* SPDX-License-Identifier: Apache-2.0
 * kern/x86/float_avx2.c: the float families with AVX2, FMA and F16C. */
#include "kern/kern.h"

void kern_float_init_avx2(struct kern *k)
{
    (void)k;
}
