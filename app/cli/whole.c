/* SPDX-License-Identifier: Apache-2.0
 * cli/whole.c: see whole.h. The file is written beside its place and renamed into it, so a crash or a full disk never costs
 * what stood there. */
#include "cli/whole.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/left.h"

static int write_all(int fd, const struct buf *b)
{
    for (size_t at = 0; at < b->n;) {
        ssize_t k = write(fd, b->p + at, b->n - at);
        if (k < 0 && errno != EINTR) return -1;
        if (k > 0) at += (size_t)k;
    }
    return fsync(fd);
}

/* A rename would put a file in the place of a link or a device: links are followed, the rest is refused. */
static int real_place(const char **path, char room[PATH_MAX], struct lar_err *err)
{
    struct stat st;
    if (lstat(*path, &st))
        return 0; /* nothing there: open will say what is wrong with the folder */
    if (S_ISLNK(st.st_mode)) {
        if (!realpath(*path, room) || stat(room, &st))
            return lar_fail_errno(err, "cannot follow the link %s", *path);
        *path = room;
    }
    if (S_ISREG(st.st_mode)) return 0;
    return lar_fail(err, LAR_EINVAL, "%s is no regular file: nothing was written", *path);
}

int whole_write(const char *path, const struct buf *b, int mode, struct lar_err *err)
{
    char room[PATH_MAX];
    struct buf temp = {0};
    if (real_place(&path, room, err) < 0) return err->code;
    int e = 0;
    buf_printf(&temp, "%s.tmp-", path);
    if (!temp.failed) left_sweep(temp.p, NULL);
    buf_printf(&temp, "%ld", (long)getpid());
    int fd = temp.failed ? -1 : open(temp.p, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, (mode_t)mode);
    if (fd < 0) {
        e = lar_fail_errno(err, "cannot create %s", path);
    } else {
        left_claim(fd);
        int bad = write_all(fd, b), why = errno;
        if (close(fd) && !bad) bad = -1, why = errno;
        if (!bad && (bad = rename(temp.p, path))) why = errno;
        if (bad) {
            unlink(temp.p);
            errno = why;
            e = lar_fail_errno(err, "cannot write %s", path);
        }
    }
    buf_done(&temp);
    return e;
}
