/* SPDX-License-Identifier: Apache-2.0
 * tests/test_core.c: kinds of cores, from folders made here as Linux shows them. */
#include "base/core.h"

#include "folder.h"

static void fresh(void)
{
    folder_remove();
    mkdir(root, 0700);
}

static void cpu(int i, const char *file, const char *text)
{
    char name[96];
    snprintf(name, sizeof name, "system/cpu/cpu%d/uevent", i);
    put(name, "");
    snprintf(name, sizeof name, "system/cpu/cpu%d/%s", i, file);
    if (*file) put(name, text);
}

static struct core_kind k[CORE_KINDS_MAX];

static void where_nothing_is_told_nothing_is_known(void)
{
    fresh();
    CHECK_EQ(core_kinds(root, k), 0);
    put("system/cpu/online", "0-1\n");
    cpu(0, "", "");
    cpu(1, "", "");
    CHECK_EQ(core_kinds(root, k), 1);
    CHECK(k[0].n == 2 && k[0].strength == 0);
}

static void small_cores_of_arm_are_another_kind(void)
{
    fresh();
    put("system/cpu/online", "0-3,5\n");
    for (int i = 0; i < 3; i++) cpu(i, "cpu_capacity", "446\n");
    cpu(3, "cpu_capacity", "1024\n");
    cpu(5, "cpu_capacity", "1000\n");
    CHECK_EQ(core_kinds(root, k), 2);
    CHECK(k[0].n == 2 && k[0].strength == 1024 && k[1].n == 3 && k[1].strength == 446);
}

static void a_tenth_more_frequency_is_no_other_kind(void)
{
    fresh();
    put("system/cpu/online", "0-2\n");
    cpu(0, "cpufreq/cpuinfo_max_freq", "5200000\n");
    cpu(1, "cpufreq/cpuinfo_max_freq", "5500000\n");
    cpu(2, "cpufreq/cpuinfo_max_freq", "3300000\n");
    CHECK_EQ(core_kinds(root, k), 2);
    CHECK(k[0].n == 2 && k[1].n == 1);
}

static void mixed_processors_of_intel_have_two_lists(void)
{
    fresh();
    put("system/cpu/online", "0-11\n");
    put("cpu_core/cpus", "0-7\n");
    put("cpu_atom/cpus", "8-11\n");
    cpu(8, "cpufreq/cpuinfo_max_freq", "3900000\n");
    CHECK_EQ(core_kinds(root, k), 2);
    CHECK(k[0].n == 8 && k[1].n == 4 && k[1].strength == 3900000);
    put("cpu_core/cpus", "7-0\n"); /* no list */
    put("cpu_atom/cpus", "x\n");
    CHECK(core_kinds(root, k) <= 1);
}

int main(void)
{
    tap_timeout(60);
    snprintf(root, sizeof root, "/tmp/lar-core.%ld", (long)getpid());
    RUN(where_nothing_is_told_nothing_is_known);
    RUN(small_cores_of_arm_are_another_kind);
    RUN(a_tenth_more_frequency_is_no_other_kind);
    RUN(mixed_processors_of_intel_have_two_lists);
    folder_remove();
    return tap_done();
}
