/* SPDX-License-Identifier: Apache-2.0
 *
 * io/outfile.h: a file that appears under its name only when it is whole. It is written beside its place
 * (NAME.tmp-PID-N), forced to the disk, then renamed into it; an error removes it, a crash leaves at most the
 * temporary one, which the next try for that name removes. A path that names no regular file (a device, a pipe, a folder) is refused, because a rename would
 * replace it; a symbolic link is followed to what it means.
 */
#ifndef IO_OUTFILE_H
#define IO_OUTFILE_H

#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

struct outfile {
    struct buf path, temp; /* temp is empty once there is nothing to remove */
    int fd;                /* -1: not open, or ended */
};

/* Opens the temporary file. On failure nothing is left and f is zeroed (but for fd = -1). */
int outfile_begin(struct outfile *f, const char *path, struct lar_err *err);
int outfile_write(struct outfile *f, const void *p, size_t n, struct lar_err *err);
/* Everything is on the disk and the descriptor closed; the name is not yet given. For writers of several files. */
int outfile_end(struct outfile *f, struct lar_err *err);
/* Ends when that was not done, and gives the file its name. outfile_done is still to be called. */
int outfile_commit(struct outfile *f, struct lar_err *err);
/* Removes what was not committed, frees. May be called on a zeroed struct whose fd is -1, and twice. */
void outfile_done(struct outfile *f);

#endif
