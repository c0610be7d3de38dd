/* SPDX-License-Identifier: Apache-2.0
 *
 * base/mem.h: where memory comes from.
 *
 * Everything in liblar allocates through mem_alloc/mem_resize/mem_free, so that a test can count
 * allocations or fail each in turn (mem_set_hook). Most things live in an arena: zeroed, 64-byte
 * aligned, never moved, freed all at once, with a byte limit so that a hostile file or request meets a
 * wall instead of the machine's memory.
 */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stddef.h>
#include <stdint.h>

void *mem_alloc(size_t n);           /* uninitialised; NULL when there is none; n = 0 gives NULL */
void *mem_zalloc(size_t n);          /* zeroed */
void *mem_resize(void *p, size_t n); /* as realloc; on NULL the old block is still valid */
void mem_free(void *p);              /* NULL allowed */
void *mem_alloc_aligned(size_t n);   /* 64-byte aligned, uninitialised; free with mem_free */

/* Called before each allocation of n bytes; a non-zero answer makes it fail. Tests only; NULL removes it. */
void mem_set_hook(int (*hook)(size_t n, void *ctx), void *ctx);
/* Blocks handed out and not yet freed: what a leak test looks at. */
long mem_live(void);

/* a * b and a + b for sizes from outside: 0 and *out on success, -1 when it would overflow. */
static inline int mul_size(size_t a, size_t b, size_t *out)
{
    return __builtin_mul_overflow(a, b, out) ? -1 : 0;
}
static inline int add_size(size_t a, size_t b, size_t *out)
{
    return __builtin_add_overflow(a, b, out) ? -1 : 0;
}

struct arena_chunk;
struct arena {
    struct arena_chunk *chunk; /* newest first */
    char *at, *end;            /* free part of the newest chunk */
    size_t used, limit;        /* bytes handed out; wall (0 = none) */
};

void arena_init(struct arena *a, size_t limit);
void arena_done(struct arena *a);
/* Zeroed memory, aligned to 64 when n >= 64, else to 16; NULL when out of memory or over the limit. */
void *arena_alloc(struct arena *a, size_t n);
/* The same for count things of size bytes; overflow gives NULL. */
void *arena_array(struct arena *a, size_t count, size_t size);
/* A terminated copy of n bytes; NULL as above. */
char *arena_copy(struct arena *a, const char *p, size_t n);

#endif
