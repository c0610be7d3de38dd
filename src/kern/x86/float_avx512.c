/* SPDX-License-Identifier: Apache-2.0
 * kern/x86/float_avx512.c: the float families with AVX-512. */
#include "kern/kern.h"

void kern_float_init_avx512(struct kern *k)
{
    (void)k;
}
