/* SPDX-License-Identifier: Apache-2.0
 * base/cursor.h: reading untrusted bytes. Every read goes through one bounds check that cannot
 * overflow; the first that fails leaves the cursor failed, and all later reads give zeros. Little-endian. */
#ifndef BASE_CURSOR_H
#define BASE_CURSOR_H

#include <stdint.h>
#include <string.h>

#include "base/str.h"

struct cursor {
    const uint8_t *begin, *at, *end;
    int failed;
};

static inline struct cursor cursor_of(const void *p, size_t n)
{
    const uint8_t *b = p;
    return (struct cursor){b, b, b ? b + n : b, 0};
}

static inline size_t cursor_left(const struct cursor *c)
{
    return c->failed ? 0 : (size_t)(c->end - c->at);
}

static inline uint64_t cursor_offset(const struct cursor *c)
{
    return (uint64_t)(c->at - c->begin);
}

/* n bytes, or NULL (and failed) when there are fewer. */
static inline const uint8_t *cursor_take(struct cursor *c, uint64_t n)
{
    if (c->failed || n > (uint64_t)(c->end - c->at)) {
        c->failed = 1;
        return NULL;
    }
    const uint8_t *p = c->at;
    c->at += n;
    return p;
}

static inline uint64_t cursor_uint(struct cursor *c, unsigned bytes)
{
    const uint8_t *p = cursor_take(c, bytes);
    uint64_t v = 0;
    for (unsigned i = 0; p && i < bytes; i++) v |= (uint64_t)p[i] << 8 * i;
    return v;
}

static inline uint32_t cursor_u32(struct cursor *c) { return (uint32_t)cursor_uint(c, 4); }
static inline uint64_t cursor_u64(struct cursor *c) { return cursor_uint(c, 8); }

#endif
