/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/test_group.c: what control groups leave of memory, from folders made here as the kernel shows them (its documentation:
 * admin-guide/cgroup-v2.rst, cgroup-v1/memory.rst). */
#include "base/group.h"

#include "base/cpu.h"
#include "folder.h"

static uint64_t left(void)
{
    char self[256];
    snprintf(self, sizeof self, "%s/self", root);
    return group_memory_left(root, self);
}

static void without_a_limit_all_is_left(void)
{
    CHECK_EQ(left() == UINT64_MAX, 1);
    put("self", "0::/\n");
    put("memory.max", "max\n");
    put("memory.current", "1000\n");
    CHECK_EQ(left() == UINT64_MAX, 1);
}

static void pages_of_files_can_be_given_back(void)
{
    put("memory.max", "100000\n");
    put("memory.current", "70000\n");
    CHECK_EQ(left(), 30000);
    put("memory.stat", "anon 10000\nfile 60000\ninactive_file 40000\nactive_file 15000\nslab 5\n");
    CHECK_EQ(left(), 85000);
    put("memory.current", "170000\n");
    CHECK_EQ(left(), 0);
}

static void the_least_of_all_groups_above_counts(void)
{
    put("memory.current", "70000\n");
    put("self", "1:cpu:/elsewhere\n0::/user/one\n");
    put("user/memory.max", "50000\n");
    put("user/memory.current", "20000\n");
    CHECK_EQ(left(), 30000);
    put("user/one/memory.max", "9000\n");
    put("user/one/memory.current", "2000\n");
    CHECK_EQ(left(), 7000);
    put("self", "0::/../other/user/one\n"); /* of another namespace: not to be followed */
    CHECK_EQ(left() == UINT64_MAX, 1);
}

static void version_1_has_other_names(void)
{
    put("self", "9:cpu,cpuacct:/x\n4:hugetlb,memory:/box/a\n0::/none\n");
    put("memory.max", "max\n");
    put("memory/box/a/memory.limit_in_bytes", "80000\n");
    put("memory/box/a/memory.usage_in_bytes", "60000\n");
    put("memory/box/a/memory.stat",
        "cache 50\ninactive_file 1\ntotal_inactive_file 30000\ntotal_active_file 10000\n");
    CHECK_EQ(left(), 60000);
    put("self", "4:memory:/seen/by/the/host/only\n");
    put("memory/memory.limit_in_bytes", "5000\n");
    put("memory/memory.usage_in_bytes", "1000\n");
    CHECK_EQ(left(), 4000);
}

static void this_machine_has_memory(void) { CHECK(cpu_memory_available() > (1 << 20)); }

int main(void)
{
    tap_timeout(60);
    snprintf(root, sizeof root, "/tmp/lar-group.%ld", (long)getpid());
    if (mkdir(root, 0700)) {
        printf("Bail out! no folder in /tmp\n");
        return 1;
    }
    RUN(without_a_limit_all_is_left);
    RUN(pages_of_files_can_be_given_back);
    RUN(the_least_of_all_groups_above_counts);
    RUN(version_1_has_other_names);
    RUN(this_machine_has_memory);
    folder_remove();
    return tap_done();
}
