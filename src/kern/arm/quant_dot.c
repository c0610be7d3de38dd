/* SPDX-License-Identifier: Apache-2.0
 * kern/arm/quant_dot.c: the table's entries for quantised weights at level neon (dot product). */
#include "kern/quant.h"

void kern_quant_init_dot(struct kern *k) { (void)k; }
