/* SPDX-License-Identifier: Apache-2.0
 *
 * base/group.h: what the control groups that this process lives in leave it of memory (cgroups(7), versions 1 and 2). */
#ifndef BASE_GROUP_H
#define BASE_GROUP_H

#include <stdint.h>

/* Bytes that can still be had, the least of the process's own group and all groups above it; UINT64_MAX when none limits. Pages of files that a group holds
 * can be given back and do not count. root: where groups are mounted ("/sys/fs/cgroup"); self: the file that says which are ours
 * ("/proc/self/cgroup"). */
uint64_t group_memory_left(const char *root, const char *self);

#endif
