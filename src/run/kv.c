/* SPDX-License-Identifier: Apache-2.0
 *
 * run/kv.c: the block pool. Blocks are numbered through all slabs; a slab is one anonymous mapping, made when the reservations of all
 * tables exceed what there is. Counts and the free list are guarded by one lock, taken once in 32 tokens.
 */
#include "run/kv.h"

#include <assert.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>

#include "base/mem.h"

enum { SLABS_MAX = 1024 };

struct slab {
    uint8_t *p;
    size_t first, n; /* block numbers */
};

struct kv_pool {
    pthread_mutex_t lock;
    size_t block_bytes, nblock, reserved;
    struct slab slab[SLABS_MAX];
    size_t nslab;
    uint32_t *refs;      /* [nblock] */
    uint32_t *free_list; /* [nfree] */
    size_t nfree;
};

int kv_pool_open(struct kv_pool **out, size_t block_bytes, struct lar_err *err)
{
    struct kv_pool *p = mem_zalloc(sizeof *p);
    *out = p;
    if (!p) return lar_fail(err, LAR_ENOMEM, "key and value pool: out of memory");
    p->block_bytes = block_bytes ? block_bytes : 64; /* a model without attention keeps no keys */
    pthread_mutex_init(&p->lock, NULL);
    return 0;
}

void kv_pool_close(struct kv_pool *p)
{
    if (!p) return;
    for (size_t i = 0; i < p->nslab; i++) munmap(p->slab[i].p, p->slab[i].n * p->block_bytes);
    pthread_mutex_destroy(&p->lock);
    mem_free(p->refs);
    mem_free(p->free_list);
    mem_free(p);
}

/* n more blocks; called with the lock held. */
static int add_slab(struct kv_pool *p, size_t n, struct lar_err *err)
{
    size_t bytes, count = p->nblock + n;
    if (p->nslab == SLABS_MAX || count > UINT32_MAX || mul_size(n, p->block_bytes, &bytes))
        return lar_fail(err, LAR_ELIMIT, "keys and values: too many blocks");
    uint32_t *refs = mem_resize(p->refs, count * sizeof *refs);
    if (refs) p->refs = refs;
    uint32_t *list = refs ? mem_resize(p->free_list, count * sizeof *list) : NULL;
    if (list) p->free_list = list;
    if (!list) return lar_fail(err, LAR_ENOMEM, "key and value pool: out of memory");
    void *m = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                   -1, 0);
    if (m == MAP_FAILED)
        return lar_fail_errno(err, "keys and values of %zu MiB (a smaller context, --ctx, or --kv q8_0 takes less)",
                              bytes >> 20);
#ifdef MADV_HUGEPAGE
    if (p->block_bytes >= (size_t)1 << 20)
        madvise(m, bytes, MADV_HUGEPAGE); /* only advice: failure is no matter */
#endif
    p->slab[p->nslab++] = (struct slab){m, p->nblock, n};
    /* at the list's end: blocks whose pages are there already go first */
    memmove(p->free_list + n, p->free_list, p->nfree * sizeof *p->free_list);
    for (size_t i = 0; i < n; i++) {
        p->refs[p->nblock + i] = 0;
        p->free_list[i] = (uint32_t)(count - 1 - i);
    }
    p->nfree += n;
    p->nblock = count;
    return 0;
}

static uint8_t *block_at(const struct kv_pool *p, uint32_t id)
{
    size_t s = 0;
    while (id - p->slab[s].first >= p->slab[s].n) s++;
    return p->slab[s].p + (id - p->slab[s].first) * p->block_bytes;
}

int kv_open(struct kv *kv, struct kv_pool *pool, size_t positions, struct lar_err *err)
{
    size_t max = (positions + DEV_KV_BLOCK - 1) / DEV_KV_BLOCK;
    *kv = (struct kv){.pool = pool, .max = max};
    kv->block = mem_zalloc(max * sizeof *kv->block);
    kv->id = mem_zalloc(max * sizeof *kv->id);
    if (!kv->block || !kv->id) {
        mem_free(kv->block);
        mem_free(kv->id);
        *kv = (struct kv){0};
        return lar_fail(err, LAR_ENOMEM, "block table of %zu positions: out of memory", positions);
    }
    pthread_mutex_lock(&pool->lock);
    int rc = pool->reserved + max > pool->nblock
                 ? add_slab(pool, pool->reserved + max - pool->nblock, err)
                 : 0;
    if (rc == 0) pool->reserved += max;
    pthread_mutex_unlock(&pool->lock);
    if (rc < 0) {
        mem_free(kv->block);
        mem_free(kv->id);
        *kv = (struct kv){0};
    }
    return rc;
}

static void drop(struct kv_pool *p, uint32_t id)
{
    if (--p->refs[id] == 0) p->free_list[p->nfree++] = id;
}

static uint32_t pick(struct kv_pool *p)
{
    assert(p->nfree); /* reserved when the table was opened */
    uint32_t id = p->free_list[--p->nfree];
    p->refs[id] = 1;
    return id;
}

void kv_close(struct kv *kv)
{
    if (!kv->pool) return;
    kv_cut(kv, 0);
    pthread_mutex_lock(&kv->pool->lock);
    kv->pool->reserved -= kv->max;
    pthread_mutex_unlock(&kv->pool->lock);
    mem_free(kv->block);
    mem_free(kv->id);
    *kv = (struct kv){0};
}

void kv_grow(struct kv *kv, size_t from, size_t positions)
{
    size_t want = (positions + DEV_KV_BLOCK - 1) / DEV_KV_BLOCK, first = from / DEV_KV_BLOCK;
    struct kv_pool *p = kv->pool;
    assert(want <= kv->max);
    if (want <= kv->n && first >= kv->n) return;
    pthread_mutex_lock(&p->lock);
    for (size_t i = first; i < kv->n && i < want; i++) {
        if (p->refs[kv->id[i]] == 1) continue;
        uint32_t id = pick(p); /* shared: a copy of its own */
        memcpy(block_at(p, id), kv->block[i], p->block_bytes);
        drop(p, kv->id[i]);
        kv->id[i] = id;
        kv->block[i] = block_at(p, id);
    }
    for (; kv->n < want; kv->n++) {
        kv->id[kv->n] = pick(p);
        kv->block[kv->n] = block_at(p, kv->id[kv->n]);
    }
    pthread_mutex_unlock(&p->lock);
}

void kv_cut(struct kv *kv, size_t positions)
{
    size_t want = (positions + DEV_KV_BLOCK - 1) / DEV_KV_BLOCK;
    if (want >= kv->n) return;
    pthread_mutex_lock(&kv->pool->lock);
    while (kv->n > want) drop(kv->pool, kv->id[--kv->n]);
    pthread_mutex_unlock(&kv->pool->lock);
}

void kv_fork(struct kv *to, const struct kv *from, size_t positions)
{
    size_t n = (positions + DEV_KV_BLOCK - 1) / DEV_KV_BLOCK;
    assert(to->pool == from->pool && to->n == 0 && n <= from->n && n <= to->max);
    pthread_mutex_lock(&to->pool->lock);
    for (size_t i = 0; i < n; i++) {
        to->id[i] = from->id[i];
        to->block[i] = from->block[i];
        to->pool->refs[to->id[i]]++;
    }
    to->n = n;
    pthread_mutex_unlock(&to->pool->lock);
}
