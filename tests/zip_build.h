/* SPDX-License-Identifier: Apache-2.0
 * tests/zip_build.h: stored zip archives made in memory, right ones and, with its switches, wrong ones. */
#ifndef ZIP_BUILD_H
#define ZIP_BUILD_H

#include "base/buf.h"

struct zb {
    struct buf file, directory;
    unsigned n;
    unsigned method, flags; /* of what is added next */
    int other_name;         /* the next entry's own header has another name */
    int wide;               /* its sizes and place are said in 64 bits; 2: nowhere */
    size_t short_by;        /* it says to be stored in so much less */
};

static inline void zb_int(struct buf *b, uint64_t v, int bytes)
{
    for (int i = 0; i < bytes; i++) buf_putc(b, i < 8 ? (char)(v >> 8 * i & 255) : 0);
}

static inline void zb_add(struct zb *z, const char *name, const void *p, size_t n)
{
    size_t at = z->file.n, k = strlen(name);
    zb_int(&z->file, 0x04034b50, 4);
    zb_int(&z->file, 20, 2), zb_int(&z->file, z->flags, 2), zb_int(&z->file, z->method, 2), zb_int(&z->file, 0, 8);
    zb_int(&z->file, n, 4), zb_int(&z->file, n, 4), zb_int(&z->file, k, 2), zb_int(&z->file, 0, 2);
    buf_add(&z->file, name, k);
    if (z->other_name) z->file.p[z->file.n - 1] ^= 1;
    buf_add(&z->file, p, n);
    struct buf *d = &z->directory;
    uint64_t none = 0xffffffff, extra = z->wide == 1 ? 28 : 0;
    zb_int(d, 0x02014b50, 4);
    zb_int(d, 20, 2), zb_int(d, 20, 2), zb_int(d, z->flags, 2), zb_int(d, z->method, 2), zb_int(d, 0, 8);
    zb_int(d, z->wide ? none : n - z->short_by, 4), zb_int(d, z->wide ? none : n, 4), zb_int(d, k, 2);
    zb_int(d, extra, 2), zb_int(d, 0, 10), zb_int(d, z->wide ? none : at, 4);
    buf_add(d, name, k);
    if (extra) zb_int(d, 1, 2), zb_int(d, 24, 2), zb_int(d, n, 8), zb_int(d, n, 8), zb_int(d, at, 8);
    z->n++;
}

static inline void zb_end(struct zb *z)
{
    size_t at = z->file.n;
    buf_str(&z->file, buf_view(&z->directory));
    zb_int(&z->file, 0x06054b50, 4);
    zb_int(&z->file, 0, 4), zb_int(&z->file, z->n, 2), zb_int(&z->file, z->n, 2);
    zb_int(&z->file, z->directory.n, 4), zb_int(&z->file, at, 4), zb_int(&z->file, 0, 2);
}

static inline void zb_done(struct zb *z)
{
    buf_done(&z->file);
    buf_done(&z->directory);
    *z = (struct zb){0};
}

#endif
