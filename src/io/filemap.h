/* SPDX-License-Identifier: Apache-2.0
 * io/filemap.h: a whole file, mapped read-only and shared with the page cache. */
#ifndef IO_FILEMAP_H
#define IO_FILEMAP_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct filemap {
    const uint8_t *p; /* NULL for an empty file */
    size_t n;
};

/* Refuses what is not a regular file (a directory, a pipe, a device) with its name and kind. */
int filemap_open(struct filemap *m, const char *path, struct lar_err *err);
/* These bytes will not be read again soon: the process need not count them as its memory. A hint. */
void filemap_forget(const struct filemap *m, uint64_t offset, uint64_t n);
void filemap_close(struct filemap *m);

#define FILEMAP_SHOWN 80
/* How messages call the file: as the caller wrote it; of a path longer than FILEMAP_SHOWN its end, from the name of a folder on. */
const char *filemap_shown(const char *path);

#endif
