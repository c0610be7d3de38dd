/* SPDX-License-Identifier: Apache-2.0
 * kern/x86/quant_avx512.c: the table's entries for quantised weights at level avx512. */
#include "kern/quant.h"

void kern_quant_init_avx512(struct kern *k) { (void)k; }
