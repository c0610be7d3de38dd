/* SPDX-License-Identifier: Apache-2.0
 * io/outfile.c: see outfile.h. */
#include "io/outfile.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/left.h"

static int resolve(struct buf *out, const char *path, struct lar_err *err)
{
    struct stat st;
    char real[PATH_MAX];
    if (stat(path, &st) == 0) {
        if (!S_ISREG(st.st_mode))
            return lar_fail(err, LAR_EINVAL, "%s: is no regular file, it cannot be replaced", path);
        if (!realpath(path, real)) return lar_fail_errno(err, "%s: cannot be resolved", path);
        path = real;
    }
    buf_puts(out, path);
    return out->failed ? lar_fail(err, LAR_ENOMEM, "%s: out of memory", path) : LAR_OK;
}

static int open_temp(struct outfile *f, struct lar_err *err)
{
    buf_printf(&f->temp, "%s.tmp-", buf_z(&f->path));
    if (!f->temp.failed) left_sweep(buf_z(&f->temp), NULL);
    for (int i = 0; i < 100; i++) {
        buf_clear(&f->temp);
        buf_printf(&f->temp, "%s.tmp-%ld-%d", buf_z(&f->path), (long)getpid(), i);
        if (f->temp.failed) return lar_fail(err, LAR_ENOMEM, "%s: out of memory", buf_z(&f->path));
        f->fd = open(buf_z(&f->temp), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (f->fd >= 0) {
            left_claim(f->fd);
            return LAR_OK;
        }
        if (errno != EEXIST) break;
    }
    int rc = lar_fail_errno(err, "%s: cannot be created", buf_z(&f->path));
    buf_clear(&f->temp); /* not ours: not to be removed */
    return rc;
}

int outfile_begin(struct outfile *f, const char *path, struct lar_err *err)
{
    *f = (struct outfile){.fd = -1};
    if (!*path) return lar_fail(err, LAR_EINVAL, "the name of the file to write is empty");
    int rc = resolve(&f->path, path, err);
    if (rc == LAR_OK) rc = open_temp(f, err);
    if (rc < 0) outfile_done(f);
    return rc;
}

int outfile_write(struct outfile *f, const void *p, size_t n, struct lar_err *err)
{
    for (const char *at = p; n;) {
        ssize_t k = write(f->fd, at, n);
        if (k < 0 && errno == EINTR) continue;
        if (k <= 0) {
            if (k == 0) errno = ENOSPC;
            return lar_fail_errno(err, "%s: cannot be written", buf_z(&f->path));
        }
        at += k;
        n -= (size_t)k;
    }
    return LAR_OK;
}

int outfile_end(struct outfile *f, struct lar_err *err)
{
    if (fsync(f->fd)) return lar_fail_errno(err, "%s: cannot be written", buf_z(&f->path));
    int fd = f->fd;
    f->fd = -1;
    return close(fd) ? lar_fail_errno(err, "%s: cannot be written", buf_z(&f->path)) : LAR_OK;
}

/* A rename lasts when its folder is on the disk. Where that cannot be had it is no error. */
static void sync_folder(const char *path)
{
    char folder[PATH_MAX] = ".";
    const char *slash = strrchr(path, '/');
    size_t n = slash ? (size_t)(slash - path) + 1 : 0;
    if (n >= sizeof folder) return;
    if (n) {
        memcpy(folder, path, n);
        folder[n] = 0;
    }
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return;
    fsync(fd);
    close(fd);
}

int outfile_commit(struct outfile *f, struct lar_err *err)
{
    const char *path = buf_z(&f->path);
    int rc = f->fd >= 0 ? outfile_end(f, err) : LAR_OK;
    if (rc < 0) return rc;
    if (rename(buf_z(&f->temp), path)) return lar_fail_errno(err, "%s: cannot be replaced", path);
    buf_clear(&f->temp); /* it is no more: nothing to remove */
    sync_folder(path);
    return LAR_OK;
}

void outfile_done(struct outfile *f)
{
    /* fd is -1 before the temporary file was made, and after it was closed for the rename. */
    if (f->fd >= 0) close(f->fd);
    if (f->temp.n) unlink(buf_z(&f->temp));
    buf_done(&f->path);
    buf_done(&f->temp);
    f->fd = -1;
}
