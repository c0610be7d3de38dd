/* SPDX-License-Identifier: Apache-2.0
 * kern/arm/float_dot.c: the float families with Advanced SIMD. */
#include "kern/kern.h"

void kern_float_init_dot(struct kern *k)
{
    (void)k;
}
