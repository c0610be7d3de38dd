/* SPDX-License-Identifier: Apache-2.0
 *
 * base/left.c: see left.h. Two signs must agree that nobody works on it any more: no process of that number here, and no lock (which a process in
 * another container or on another machine would hold).
 */
#include "base/left.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

void left_claim(int fd) { (void)flock(fd, LOCK_EX | LOCK_NB); }

static const char *digits(const char *p, long *v)
{
    long n = 0;
    const char *from = p;
    for (; *p >= '0' && *p <= '9' && n < INT_MAX / 10; p++) n = 10 * n + (*p - '0');
    *v = p > from ? n : 0;
    return p;
}

/* Is the rest of the name behind the stem that of a process which is no more? */
static int is_dead(const char *rest)
{
    long pid, serial;
    rest = digits(rest, &pid);
    if (*rest == '-') rest = digits(rest + 1, &serial);
    return !*rest && pid > 0 && kill((pid_t)pid, 0) && errno == ESRCH;
}

/* depth: folders in it may be ours too */
static void empty(int folder, int (*ours)(const char *name), int depth)
{
    int fd = dup(folder);
    DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
    if (!d) {
        if (fd >= 0) close(fd);
        return;
    }
    for (struct dirent *e = readdir(d); e; e = readdir(d)) {
        if (!ours(e->d_name) || unlinkat(folder, e->d_name, 0) == 0 || depth < 1) continue;
        int sub = openat(folder, e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (sub < 0) continue;
        empty(sub, ours, depth - 1);
        close(sub);
        unlinkat(folder, e->d_name, AT_REMOVEDIR);
    }
    closedir(d);
}

void left_drop(const char *folder, int (*ours)(const char *name))
{
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) return;
    empty(fd, ours, 1);
    close(fd);
    rmdir(folder);
}

static void drop(int folder, const char *name, int (*ours)(const char *name))
{
    struct stat st;
    int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0) return;
    int kind = fstat(fd, &st) == 0 && (ours ? S_ISDIR(st.st_mode) : S_ISREG(st.st_mode));
    if (kind && flock(fd, LOCK_EX | LOCK_NB) == 0) {
        if (ours) empty(fd, ours, 1);
        unlinkat(folder, name, ours ? AT_REMOVEDIR : 0);
    }
    close(fd);
}

void left_sweep(const char *stem, int (*ours)(const char *name))
{
    char folder[PATH_MAX] = ".";
    const char *slash = strrchr(stem, '/'), *name = slash ? slash + 1 : stem;
    size_t n = (size_t)(name - stem), k = strlen(name);
    if (n >= sizeof folder) return;
    if (n) {
        memcpy(folder, stem, n);
        folder[n] = 0;
    }
    DIR *d = opendir(folder);
    if (!d) return;
    for (struct dirent *e = readdir(d); e; e = readdir(d))
        if (!strncmp(e->d_name, name, k) && is_dead(e->d_name + k)) drop(dirfd(d), e->d_name, ours);
    closedir(d);
}
