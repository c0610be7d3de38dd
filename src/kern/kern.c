/* SPDX-License-Identifier: Apache-2.0
 * kern/kern.c: the ladder. The scalar code fills everything, each rung that the processor has overrides what it does better. */
#include "kern/kern.h"

#include "base/cpu.h"

void kern_init(struct kern *k, unsigned cpu_flags)
{
    *k = (struct kern){0};
    kern_quant_init_ref(k);
    kern_float_init_ref(k);
    kern_peak_init_ref(k);
#if defined(__x86_64__)
    if (!(cpu_flags & CPU_AVX2)) return;
    k->flags |= CPU_AVX2;
    kern_quant_init_avx2(k);
    kern_float_init_avx2(k);
    kern_peak_init_avx2(k);
    if (!(cpu_flags & CPU_AVX512)) return;
    k->flags |= CPU_AVX512;
    kern_quant_init_avx512(k);
    kern_float_init_avx512(k);
    kern_peak_init_avx512(k);
    if (!(cpu_flags & CPU_AVX512_BF16)) return;
    k->flags |= CPU_AVX512_BF16;
    kern_peak_init_avx512bf16(k);
#elif defined(__aarch64__)
    if (!(cpu_flags & CPU_NEON_DOT)) return;
    k->flags |= CPU_NEON_DOT;
    kern_quant_init_dot(k);
    kern_float_init_dot(k);
    kern_peak_init_dot(k);
#else
    (void)cpu_flags;
#endif
}
