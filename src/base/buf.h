/* SPDX-License-Identifier: Apache-2.0
 * base/buf.h: bytes that grow. A failed append sets `failed` and every later one does nothing, so a
 * writer checks once, at the end. Always terminated by a NUL that is not counted. */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

struct buf {
    char *p; /* NULL while empty and never grown */
    size_t n, cap;
    size_t limit; /* 0 = none */
    int failed;   /* out of memory or over the limit */
};

/* A zeroed struct buf is an empty one. */
void buf_done(struct buf *b);
void buf_clear(struct buf *b); /* keeps the memory */
void buf_add(struct buf *b, const void *p, size_t n);
void buf_puts(struct buf *b, const char *z);
void buf_putc(struct buf *b, char c);
void buf_str(struct buf *b, struct str s);
void buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Room for n more bytes at the end, uninitialised and not yet counted (add to b->n yourself); NULL on failure. */
char *buf_room(struct buf *b, size_t n);
static inline struct str buf_view(const struct buf *b)
{
    return (struct str){b->p ? b->p : "", b->n};
}
static inline const char *buf_z(const struct buf *b) { return b->p ? b->p : ""; }

/* JSON writing: a quoted, escaped string (invalid UTF-8 becomes U+FFFD), a number that reads back to the same double
 * (NaN and infinities, which JSON lacks, become null). */
void buf_json_str(struct buf *b, struct str s);
void buf_json_num(struct buf *b, double v);

#endif
