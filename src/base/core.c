/* SPDX-License-Identifier: Apache-2.0
 * base/core.c: see core.h. Three places tell: Intel's mixed processors have a folder of events for each kind (cpu_core, cpu_atom); ARM's have
 * cpu_capacity; for others the highest frequencies are compared, a tenth of which is no other kind but a better piece of silicon
 * (Linux: Documentation/ABI/testing/sysfs-devices-system-cpu). */
#include "base/core.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CPUS_MAX = 4096 };

static FILE *open_in(const char *sys, const char *name)
{
    char path[512];
    int n = snprintf(path, sizeof path, "%s/%s", sys, name);
    return n > 0 && (size_t)n < sizeof path ? fopen(path, "re") : NULL;
}

static long number_in(const char *sys, const char *name)
{
    long v = 0;
    FILE *f = open_in(sys, name);
    if (!f) return 0;
    if (fscanf(f, "%ld", &v) != 1 || v < 0) v = 0;
    fclose(f);
    return v;
}

/* "0-7,16": how many; 0 when there is no such list. */
static int list_in(const char *sys, const char *name, int *first)
{
    char text[1024] = "";
    int n = 0;
    FILE *f = open_in(sys, name);
    if (!f) return 0;
    if (!fgets(text, sizeof text, f)) text[0] = 0;
    fclose(f);
    *first = -1;
    for (char *p = text, *end; *p >= '0' && *p <= '9'; p = end + (*end == ',')) {
        long a = strtol(p, &end, 10), b = *end == '-' ? strtol(end + 1, &end, 10) : a;
        if (a < 0 || b < a || b >= CPUS_MAX) return 0;
        if (*first < 0) *first = (int)a;
        n += (int)(b - a + 1);
    }
    return n;
}

static void add(struct core_kind *kind, int *n, long strength, int count)
{
    int i = 0;
    for (; i < *n; i++) {
        long more = kind[i].strength > strength ? kind[i].strength : strength;
        if (labs(kind[i].strength - strength) * 10 <= more) break;
    }
    if (i == CORE_KINDS_MAX) return;
    if (i == *n) kind[(*n)++] = (struct core_kind){0, strength};
    kind[i].n += count;
}

static long strength_of(const char *sys, int cpu)
{
    char name[96];
    snprintf(name, sizeof name, "system/cpu/cpu%d/cpu_capacity", cpu);
    long v = number_in(sys, name);
    snprintf(name, sizeof name, "system/cpu/cpu%d/cpufreq/cpuinfo_max_freq", cpu);
    return v ? v : number_in(sys, name);
}

int core_kinds(const char *sys, struct core_kind kind[CORE_KINDS_MAX])
{
    int n = 0, first, count;
    memset(kind, 0, CORE_KINDS_MAX * sizeof *kind);
    int large = list_in(sys, "cpu_core/cpus", &first);
    if (large) {
        kind[n++] = (struct core_kind){large, strength_of(sys, first)};
        if ((count = list_in(sys, "cpu_atom/cpus", &first)))
            kind[n++] = (struct core_kind){count, strength_of(sys, first)};
        return n;
    }
    count = list_in(sys, "system/cpu/online", &first);
    for (int cpu = 0, seen = 0; cpu < CPUS_MAX && seen < count; cpu++) {
        char name[64];
        snprintf(name, sizeof name, "system/cpu/cpu%d/uevent", cpu);
        FILE *f = open_in(sys, name);
        if (!f) continue;
        fclose(f);
        seen++;
        add(kind, &n, strength_of(sys, cpu), 1);
    }
    for (int i = 1; i < n; i++)
        for (int j = i; j > 0 && kind[j].strength > kind[j - 1].strength; j--) {
            struct core_kind k = kind[j];
            kind[j] = kind[j - 1];
            kind[j - 1] = k;
        }
    return n;
}
