/* SPDX-License-Identifier: Apache-2.0
 * base/cpu.c: CPUID, /proc and cgroups. Reading a file that is not there is no error: it means no limit. */
#include "base/cpu.h"

#include "base/group.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>

static unsigned long long xcr0(void)
{
    unsigned lo, hi;
    __asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
    return (unsigned long long)hi << 32 | lo;
}

unsigned cpu_detect(void)
{
    unsigned a, b, c, d, flags = 0;
    if (!__get_cpuid(1, &a, &b, &c, &d)) return 0;
    int fma = c >> 12 & 1, osxsave = c >> 27 & 1, f16c = c >> 29 & 1;
    if (!osxsave || !fma || !f16c) return 0;
    unsigned long long os = xcr0();
    if ((os & 6) != 6 || !__get_cpuid_count(7, 0, &a, &b, &c, &d)) return 0;
    if (!(b >> 5 & 1)) return 0;
    flags |= CPU_AVX2;
    int f = b >> 16 & 1, dq = b >> 17 & 1, bw = b >> 30 & 1, vl = b >> 31 & 1, vnni = c >> 11 & 1;
    if ((os & 0xe6) != 0xe6 || !f || !dq || !bw || !vl || !vnni) return flags;
    flags |= CPU_AVX512;
    if (__get_cpuid_count(7, 1, &a, &b, &c, &d) && (a >> 5 & 1)) flags |= CPU_AVX512_BF16;
    return flags;
}
#elif defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>

unsigned cpu_detect(void)
{
    /* Bit numbers are the kernel's (asm/hwcap.h): ASIMDDP is 20 of HWCAP, I8MM 13 of HWCAP2. */
    unsigned flags = 0;
    if (getauxval(AT_HWCAP) >> 20 & 1) flags |= CPU_NEON_DOT;
    if (flags && (getauxval(AT_HWCAP2) >> 13 & 1)) flags |= CPU_NEON_I8MM;
    return flags;
}
#else
unsigned cpu_detect(void) { return 0; }
#endif

int cpu_flags(unsigned *flags, struct lar_err *err)
{
    static const struct {
        const char *name;
        unsigned keep;
    } level[] = {{"c", 0},
                 {"ref", 0},
                 {"avx2", CPU_AVX2},
                 {"avx512", CPU_AVX2 | CPU_AVX512 | CPU_AVX512_BF16},
                 {"neon", CPU_NEON_DOT | CPU_NEON_I8MM}};
    const char *want = getenv("LAR_CPU");
    *flags = cpu_detect();
    if (!want || !*want) return 0;
    for (size_t i = 0; i < sizeof level / sizeof *level; i++)
        if (!strcmp(want, level[i].name)) {
            *flags &= level[i].keep;
            return 0;
        }
    return lar_fail(err, LAR_EINVAL, "LAR_CPU=%s: unknown level; use c (or ref), avx2, avx512 or neon",
                    want);
}

const char *cpu_level_name(unsigned flags)
{
    return flags & CPU_AVX512     ? "avx512"
           : flags & CPU_AVX2     ? "avx2"
           : flags & CPU_NEON_DOT ? "neon"
                                  : "c";
}

void cpu_name(char *name, size_t cap)
{
    static const char *const key[] = {"model name", "CPU implementer", "CPU part"};
    char line[256];
    size_t n = 0;
    FILE *f = fopen("/proc/cpuinfo", "re");
    while (f && fgets(line, sizeof line, f) && *line != '\n') /* the first processor ends at an empty line */
        for (size_t i = 0; i < sizeof key / sizeof *key; i++) {
            const char *at = strchr(line, ':');
            if (strncmp(line, key[i], strlen(key[i])) != 0 || !at) continue;
            line[strcspn(line, "\n")] = 0;
            int wrote = snprintf(name + n, cap - n, "%s%s", n ? " " : "", at + 1 + (at[1] == ' '));
            if (wrote > 0) n = n + (size_t)wrote < cap ? n + (size_t)wrote : cap - 1;
        }
    if (f) fclose(f);
    if (n == 0) snprintf(name, cap, "unknown");
}

/* Up to two numbers from the first line of a file; "max" reads as -1. Gives how many were there. */
static int read_numbers(const char *path, long long v[2])
{
    char line[128] = "";
    FILE *f = fopen(path, "re");
    if (!f) return 0;
    int n = 0;
    if (fgets(line, sizeof line, f)) {
        char *p = line, *e;
        while (n < 2) {
            while (*p == ' ') p++;
            if (!strncmp(p, "max", 3)) {
                v[n++] = -1;
                p += 3;
                continue;
            }
            v[n] = strtoll(p, &e, 10);
            if (e == p) break;
            p = e;
            n++;
        }
    }
    fclose(f);
    return n;
}

int cpu_count(void)
{
    cpu_set_t set;
    int n = sched_getaffinity(0, sizeof set, &set) ? 1 : CPU_COUNT(&set);
    long long v[2] = {0}, period[2] = {0};
    if (read_numbers("/sys/fs/cgroup/cpu.max", v) == 2 && v[0] > 0 && v[1] > 0) {
        long long q = (v[0] + v[1] - 1) / v[1];
        if (q < n) n = (int)q;
    } else if (read_numbers("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", v) == 1 && v[0] > 0 &&
               read_numbers("/sys/fs/cgroup/cpu/cpu.cfs_period_us", period) == 1 && period[0] > 0) {
        long long q = (v[0] + period[0] - 1) / period[0];
        if (q < n) n = (int)q;
    }
    return n < 1 ? 1 : n;
}

unsigned long long cpu_memory_available(void)
{
    unsigned long long have = 0;
    char line[256];
    FILE *f = fopen("/proc/meminfo", "re");
    if (!f) return 0;
    while (fgets(line, sizeof line, f))
        if (!strncmp(line, "MemAvailable:", 13)) have = strtoull(line + 13, NULL, 10) * 1024;
    fclose(f);
    uint64_t left = group_memory_left("/sys/fs/cgroup", "/proc/self/cgroup");
    return left < have ? left : have;
}
