/* SPDX-License-Identifier: Apache-2.0
 * base/mem.c: the allocator's one door, and arenas.
 *
 * An arena is a list of chunks, each twice the size of the one before (64 KiB at least), so a small
 * thing costs one chunk and a large one a handful. Nothing is freed singly. */
#include "base/mem.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static int (*hook_fn)(size_t, void *);
static void *hook_ctx;
static atomic_long live;

void mem_set_hook(int (*hook)(size_t n, void *ctx), void *ctx)
{
    hook_fn = hook;
    hook_ctx = ctx;
}

long mem_live(void) { return atomic_load_explicit(&live, memory_order_relaxed); }

static void *counted(void *p)
{
    if (p) atomic_fetch_add_explicit(&live, 1, memory_order_relaxed);
    return p;
}

void *mem_alloc(size_t n)
{
    if (n == 0 || (hook_fn && hook_fn(n, hook_ctx))) return NULL;
    return counted(malloc(n));
}

void *mem_zalloc(size_t n)
{
    if (n == 0 || (hook_fn && hook_fn(n, hook_ctx))) return NULL;
    return counted(calloc(1, n));
}

void *mem_alloc_aligned(size_t n)
{
    void *p = NULL;
    if (n == 0 || (hook_fn && hook_fn(n, hook_ctx))) return NULL;
    if (posix_memalign(&p, 64, n)) return NULL;
    return counted(p);
}

void *mem_resize(void *p, size_t n)
{
    if (!p) return mem_alloc(n);
    if (n == 0 || (hook_fn && hook_fn(n, hook_ctx))) return NULL;
    return realloc(p, n);
}

void mem_free(void *p)
{
    if (!p) return;
    atomic_fetch_sub_explicit(&live, 1, memory_order_relaxed);
    free(p);
}

struct arena_chunk {
    struct arena_chunk *next;
    size_t bytes;
};

void arena_init(struct arena *a, size_t limit) { *a = (struct arena){.limit = limit}; }

void arena_done(struct arena *a)
{
    for (struct arena_chunk *c = a->chunk, *next; c; c = next) {
        next = c->next;
        mem_free(c);
    }
    *a = (struct arena){0};
}

static int arena_grow(struct arena *a, size_t n)
{
    size_t want = a->chunk ? a->chunk->bytes * 2 : 1 << 16;
    if (want > (size_t)1 << 26) want = (size_t)1 << 26;
    size_t need;
    if (add_size(n, 128 + sizeof(struct arena_chunk), &need)) return -1;
    if (want < need) want = need;
    struct arena_chunk *c = mem_zalloc(want);
    if (!c) return -1;
    *c = (struct arena_chunk){a->chunk, want};
    a->chunk = c;
    a->at = (char *)(c + 1);
    a->end = (char *)c + want;
    return 0;
}

void *arena_alloc(struct arena *a, size_t n)
{
    if (n == 0) n = 1;
    size_t align = n >= 64 ? 64 : 16, left;
    if (a->limit && (n > a->limit || a->used > a->limit - n)) return NULL;
    for (int grown = 0;; grown = 1) {
        size_t pad = a->at ? (size_t)(-(uintptr_t)a->at & (align - 1)) : 0;
        left = (size_t)(a->end - a->at);
        if (a->at && pad <= left && n <= left - pad) {
            void *p = a->at + pad;
            a->at += pad + n;
            a->used += n;
            return p;
        }
        if (grown || arena_grow(a, n)) return NULL;
    }
}

void *arena_array(struct arena *a, size_t count, size_t size)
{
    size_t n;
    return mul_size(count, size, &n) ? NULL : arena_alloc(a, n);
}

char *arena_copy(struct arena *a, const char *p, size_t n)
{
    size_t m;
    char *q = add_size(n, 1, &m) ? NULL : arena_alloc(a, m);
    if (q && n) memcpy(q, p, n);
    return q;
}
