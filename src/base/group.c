/* SPDX-License-Identifier: Apache-2.0
 * base/group.c: see group.h. Inside a container the path in /proc/self/cgroup may be one that only the host knows; the mount's root is then our
 * own group. So every folder from the path up to the root is asked, and one that is not there limits nothing. */
#include "base/group.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATH_BYTES = 1024, LEVELS_MAX = 64 };

struct version {
    const char *below; /* of root */
    const char *most, *now, *inactive, *active;
};
static const struct version versions[] = {
    {"", "memory.max", "memory.current", "inactive_file ", "active_file "},
    {"/memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file ",
     "total_active_file "}};

static FILE *open_in(const char *folder, const char *name)
{
    char path[PATH_BYTES + 64];
    int n = snprintf(path, sizeof path, "%s/%s", folder, name);
    return n > 0 && (size_t)n < sizeof path ? fopen(path, "re") : NULL;
}

/* The number in a file; -1 when it holds none ("max") or is not there. */
static long long number_in(const char *folder, const char *name)
{
    long long v = -1;
    FILE *f = open_in(folder, name);
    if (!f) return -1;
    if (fscanf(f, "%lld", &v) != 1) v = -1;
    fclose(f);
    return v;
}

static uint64_t file_pages(const char *folder, const struct version *v)
{
    char line[128];
    uint64_t sum = 0;
    FILE *f = open_in(folder, "memory.stat");
    if (!f) return 0;
    while (fgets(line, sizeof line, f)) {
        size_t a = strlen(v->inactive), b = strlen(v->active);
        if (!strncmp(line, v->inactive, a)) sum += strtoull(line + a, NULL, 10);
        if (!strncmp(line, v->active, b)) sum += strtoull(line + b, NULL, 10);
    }
    fclose(f);
    return sum;
}

static uint64_t left_in(const char *folder, const struct version *v)
{
    long long most = number_in(folder, v->most), now = number_in(folder, v->now);
    if (most < 0 || now < 0) return UINT64_MAX;
    uint64_t files = file_pages(folder, v),
             used = (uint64_t)now > files ? (uint64_t)now - files : 0;
    return (uint64_t)most > used ? (uint64_t)most - used : 0;
}

/* The process's path: "0::/a/b" in version 2, "4:memory:/a/b" in version 1; "" when there is none. */
static void own_path(const char *self, const struct version *v, char *path, size_t n)
{
    char line[PATH_BYTES];
    FILE *f = fopen(self, "re");
    *path = 0;
    while (f && fgets(line, sizeof line, f)) {
        char *kinds = strchr(line, ':'), *at = kinds ? strchr(kinds + 1, ':') : NULL;
        if (!at || at[1] != '/') continue;
        line[strcspn(line, "\n")] = 0;
        *at = 0;
        char *mem = strstr(kinds + 1, "memory");
        int ours = *v->below
                       ? mem && (mem[6] == 0 || mem[6] == ',') && (mem[-1] == ':' || mem[-1] == ',')
                       : kinds[1] == 0;
        if (ours) snprintf(path, n, "%s", at + 1);
    }
    if (f) fclose(f);
}

uint64_t group_memory_left(const char *root, const char *self)
{
    uint64_t least = UINT64_MAX;
    for (size_t i = 0; i < sizeof versions / sizeof *versions; i++) {
        const struct version *v = &versions[i];
        char folder[PATH_BYTES], own[PATH_BYTES / 2];
        own_path(self, v, own, sizeof own);
        int base = snprintf(folder, sizeof folder, "%s%s", root, v->below);
        if (base < 0 || (size_t)base + strlen(own) >= sizeof folder || strstr(own, "/..")) continue;
        memcpy(folder + base, own, strlen(own) + 1);
        for (int level = 0; level < LEVELS_MAX; level++) {
            uint64_t left = left_in(folder, v);
            if (left < least) least = left;
            char *slash = strrchr(folder + base, '/');
            if (!slash) break;
            *slash = 0;
        }
    }
    return least;
}
