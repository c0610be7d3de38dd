/* SPDX-License-Identifier: Apache-2.0
 * serve/cache.c: see cache.h. A few dozen timelines are compared one by one: that is less work than a single row of a step. */
#include "serve/cache.h"

static void remove_at(struct cache *c, size_t i, struct disk *to)
{
    disk_take(to, c->entry[i].session, c->entry[i].bytes);
    c->bytes -= c->entry[i].bytes;
    c->entry[i] = c->entry[--c->n];
    if (c->n == 0) c->bytes = 0;
}

int cache_drop(struct cache *c)
{
    size_t oldest = 0;
    if (c->n == 0) return 0;
    for (size_t i = 1; i < c->n; i++)
        if (c->entry[i].used < c->entry[oldest].used) oldest = i;
    remove_at(c, oldest, c->disk);
    return 1;
}

void cache_put(struct cache *c, struct lar_session *s, double bytes)
{
    if (c->n == CACHE_MAX) cache_drop(c);
    c->entry[c->n].session = s;
    c->entry[c->n].used = ++c->turn;
    c->entry[c->n++].bytes = bytes;
    c->bytes += bytes;
}

struct lar_session *cache_best(struct cache *c, const struct lar_session *s, const int32_t *tokens, size_t n,
                               int64_t *shared)
{
    size_t best = 0;
    *shared = 0;
    for (size_t i = 0; i < c->n; i++) {
        int64_t k = lar_session_alike(c->entry[i].session, s) ? lar_session_shared(c->entry[i].session, tokens, n) : 0;
        if (k > *shared) {
            *shared = k;
            best = i;
        }
    }
    if (*shared == 0) return NULL;
    c->entry[best].used = ++c->turn;
    return c->entry[best].session;
}

void cache_outgrown(struct cache *c, const struct lar_session *s, int64_t n)
{
    size_t all;
    for (size_t i = 0; i < c->n; i++) {
        if (c->entry[i].session != s) continue;
        lar_session_tokens(s, &all);
        if ((int64_t)all <= n) remove_at(c, i, NULL);
        return;
    }
}

void cache_drop_adapted(struct cache *c)
{
    for (size_t i = c->n; i-- > 0;)
        if (lar_session_adapters(c->entry[i].session)) remove_at(c, i, NULL);
}

void cache_done(struct cache *c)
{
    while (cache_drop(c)) continue;
}
