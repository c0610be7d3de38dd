/* SPDX-License-Identifier: Apache-2.0
 *
 * store/tar.h: archives of regular files, read and written as a stream (POSIX.1-2017, pax, "ustar Interchange Format"; sizes of 8 GiB and more as GNU
 * tar writes them, in base 256; pax records "size" and "path" are understood). Not a general reader: links and devices are refused, folders and
 * global records passed over, and no name is ever used as a path here.
 */
#ifndef STORE_TAR_H
#define STORE_TAR_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum { TAR_BLOCK = 512, TAR_NAME_MAX = 255 };

struct tar {
    /* Gives up to n bytes, 0 at the end, negative when the system says no. */
    long (*read)(void *ctx, void *p, size_t n);
    void *ctx;
    uint64_t left, pad; /* of the entry that is being read */
};
struct tar_entry {
    char name[TAR_NAME_MAX + 1];
    uint64_t size;
};

/* The next regular file, past what was not read of the last one: 1, or 0 at the end. LAR_EFORMAT for what is no archive or ends too early. */
int tar_next(struct tar *t, struct tar_entry *e, struct lar_err *err);
/* Up to n bytes of the entry; 0 at its end. */
long tar_read(struct tar *t, void *p, size_t n, struct lar_err *err);

/* The header of a file; its bytes follow, and then zeros up to a multiple of TAR_BLOCK; two empty blocks end the archive. */
void tar_header(unsigned char block[TAR_BLOCK], const char *name, uint64_t size);

#endif
