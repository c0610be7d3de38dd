/* SPDX-License-Identifier: Apache-2.0
 *
 * run/kv.h: the memory of keys and values: fixed blocks of DEV_KV_BLOCK positions of all layers, counted, from one pool.
 *
 * A session reserves the most it may ever use when it opens, so taking a block never fails and never allocates; the system gives
 * pages only as they are written. A block may be shared (a common beginning); who wants to write into a
 * shared one gets its own copy first (kv_grow).
 */
#ifndef RUN_KV_H
#define RUN_KV_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "dev/dev.h"

struct kv_pool;

int kv_pool_open(struct kv_pool **out, size_t block_bytes, struct lar_err *err);
void kv_pool_close(struct kv_pool *p); /* all tables are closed before */

/* One timeline's blocks. */
struct kv {
    struct kv_pool *pool;
    uint8_t **block; /* [max] pointers for struct dev_seq */
    uint32_t *id;    /* [max] their numbers in the pool */
    size_t n, max;   /* blocks held; reserved */
};

/* Room for `positions` positions. LAR_ENOMEM names what is needed. */
int kv_open(struct kv *kv, struct kv_pool *pool, size_t positions, struct lar_err *err);
void kv_close(struct kv *kv);

/* Blocks for positions 0 .. positions - 1 exist afterwards, and those from position `from` on are not shared. */
void kv_grow(struct kv *kv, size_t from, size_t positions);
/* Gives back the blocks that only hold positions from `positions` on. */
void kv_cut(struct kv *kv, size_t positions);
/* to (empty, same pool) begins as from's first `positions` positions, sharing whole and partial blocks. */
void kv_fork(struct kv *to, const struct kv *from, size_t positions);

#endif
