/* SPDX-License-Identifier: Apache-2.0
 * kern/fit.c: the ladder of fit.h, as kern.c has it for the rest. */
#include "kern/fit.h"

#include "base/cpu.h"

void fit_init(struct fit *f, unsigned cpu_flags)
{
    lanes_init_ref(f);
#if defined(__x86_64__)
    if (cpu_flags & CPU_AVX2) lanes_init_avx2(f);
    if (cpu_flags & CPU_AVX512) lanes_init_avx512(f);
#elif defined(__aarch64__)
    if (cpu_flags & CPU_NEON_DOT) lanes_init_dot(f);
#else
    (void)cpu_flags;
#endif
}
