/* SPDX-License-Identifier: Apache-2.0
 * kern/x86/quant_avx2.c: the table's entries for quantised weights at level avx2. */
#include "kern/quant.h"

void kern_quant_init_avx2(struct kern *k) { (void)k; }
