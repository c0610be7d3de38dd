/* SPDX-License-Identifier: Apache-2.0
 *
 * serve/cache.h: timelines that are over, kept because the next request may begin as they do: a chat's next message, a system prompt that many
 * share. Memory of keys and values is shared block by block, so keeping one whose beginning others use costs little.
 *
 * The least recently used goes first when there are too many or too much. The scheduler's thread alone uses it.
 */
#ifndef SERVE_CACHE_H
#define SERVE_CACHE_H

#include <lar/lora.h>

#include "serve/disk.h"

enum { CACHE_MAX = 64 };

struct cache {
    struct {
        struct lar_session *session;
        int64_t used; /* when, in turns */
        double bytes;
    } entry[CACHE_MAX];
    size_t n;
    int64_t turn;
    double bytes;
    struct disk *disk; /* takes those that go for want of room; NULL: nobody does */
};

/* The session is the cache's. */
void cache_put(struct cache *c, struct lar_session *s, double bytes);
/* The one of the same adapters as s that shares the longest beginning with tokens; *shared: how long (0: NULL is given). */
struct lar_session *cache_best(struct cache *c, const struct lar_session *s, const int32_t *tokens, size_t n,
                               int64_t *shared);
/* Closes it when all of it is a beginning of what now goes on (n of its tokens are in use there). */
void cache_outgrown(struct cache *c, const struct lar_session *s, int64_t n);
/* Closes the least recently used; 0 when there is none. */
int cache_drop(struct cache *c);
/* Closes those with adapters. */
void cache_drop_adapted(struct cache *c);
void cache_done(struct cache *c);

#endif
