/* SPDX-License-Identifier: Apache-2.0
 *
 * base/cpu.h: what this processor can do, and how many of its cores we were given.
 *
 * Levels are a ladder; each includes those below it on the same architecture:
 *   c       portable C, what any x86-64 or AArch64 runs; `ref` is the same word
 *   avx2    AVX2 + FMA + F16C                           (Haswell 2013, Zen 2017)
 *   avx512  AVX-512 F BW DQ VL + VNNI                   (Ice Lake 2019, Zen 4 2022)
 *   neon    AArch64 Advanced SIMD + dot product         (Cortex-A76, Raspberry Pi 5, Apple M1)
 * LAR_CPU=ref|avx2|avx512|neon in the environment lowers the level (never raises it), so that a test can
 * run every path on one machine.
 */
#ifndef BASE_CPU_H
#define BASE_CPU_H

#include <stddef.h>

#include "base/err.h"

enum cpu_flag {
    CPU_AVX2 = 1 << 0,
    CPU_AVX512 = 1 << 1, /* F, BW, DQ, VL, VNNI */
    CPU_AVX512_BF16 = 1 << 2,
    CPU_NEON_DOT = 1 << 3,
    CPU_NEON_I8MM = 1 << 4,
};

/* What the processor and the operating system allow, unmasked. */
unsigned cpu_detect(void);
/* The same lowered by LAR_CPU; LAR_EINVAL when LAR_CPU is no known word. */
int cpu_flags(unsigned *flags, struct lar_err *err);
/* "avx512", "avx2", "neon" or "c". */
const char *cpu_level_name(unsigned flags);
/* The processor's name as the kernel tells it ("AMD EPYC ...", numbers of maker and part on Arm), cut to fit; "unknown". */
void cpu_name(char *name, size_t cap);
/* Cores this process may use: affinity mask and cgroup quota (v1 and v2) considered, at least 1. */
int cpu_count(void);
/* Bytes of memory that can still be had: MemAvailable, lowered by what control groups leave (base/group.h); 0 when unknown. */
unsigned long long cpu_memory_available(void);

#endif
