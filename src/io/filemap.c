/* SPDX-License-Identifier: Apache-2.0
 * io/filemap.c: a file as memory. Mapped shared and read-only, so that many processes reading one
 * model hold it once, in the page cache. What it does not protect from: somebody cutting the file
 * off while it is mapped (the kernel then answers a read with SIGBUS). */
#include "io/filemap.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *kind_of(mode_t mode)
{
    switch (mode & S_IFMT) {
    case S_IFDIR: return "a directory";
    case S_IFIFO: return "a pipe";
    case S_IFSOCK: return "a socket";
    case S_IFCHR:
    case S_IFBLK: return "a device";
    default: return "not a regular file";
    }
}

static int map_fd(struct filemap *m, int fd, const char *path, struct lar_err *err)
{
    struct stat st;
    if (fstat(fd, &st)) return lar_fail_errno(err, "%s: cannot be examined", path);
    if (!S_ISREG(st.st_mode))
        return lar_fail(err, LAR_EINVAL, "%s: is %s, expected a file", path, kind_of(st.st_mode));
    if (st.st_size == 0) return LAR_OK;
    if (st.st_size < 0 || (uintmax_t)st.st_size > SIZE_MAX)
        return lar_fail(err, LAR_ELIMIT, "%s: too large for this machine's address space", path);
    void *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED) return lar_fail_errno(err, "%s: cannot be mapped", path);
    *m = (struct filemap){p, (size_t)st.st_size};
    return LAR_OK;
}

int filemap_open(struct filemap *m, const char *path, struct lar_err *err)
{
    *m = (struct filemap){0};
    /* O_NONBLOCK: opening a pipe that nobody writes to must not hang. Files do not care. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) return lar_fail_errno(err, "%s: cannot be opened", path);
    int rc = map_fd(m, fd, path, err);
    close(fd);
    return rc;
}

void filemap_forget(const struct filemap *m, uint64_t offset, uint64_t n)
{
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), begin = (offset + page - 1) / page * page;
    if (n > m->n || offset > m->n - n) return;
    uint64_t end = (offset + n) / page * page; /* whole pages only: the neighbours may be in use */
    if (m->p && begin < end) madvise((void *)((uintptr_t)m->p + begin), end - begin, MADV_DONTNEED);
}

void filemap_close(struct filemap *m)
{
    /* The cast drops a const that is ours: munmap wants the address only. */
    if (m->p) munmap((void *)(uintptr_t)m->p, m->n);
    *m = (struct filemap){0};
}

const char *filemap_shown(const char *path)
{
    const char *slash = path;
    while (strlen(path) > FILEMAP_SHOWN && (slash = strchr(path + (*path == '/'), '/'))) path = slash + 1;
    return path;
}
