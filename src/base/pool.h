/* SPDX-License-Identifier: Apache-2.0
 *
 * base/pool.h: a few threads that share one loop at a time.
 *
 * pool_for splits [0, n) into one contiguous slice a thread; a thread that finishes early takes from the end of another's slice, so cores of
 * unequal speed end together. Between loops workers spin for some tens of microseconds (a decoder
 * starts the next loop within one), then sleep: an idle pool costs nothing. One caller at a time: hold the pool
 * with pool_lock for the length of a step.
 */
#ifndef BASE_POOL_H
#define BASE_POOL_H

#include <stddef.h>

#include "base/err.h"

struct pool;

#define POOL_THREADS_MAX 256

/* nthread counts the caller: nthread - 1 threads are started. 1..POOL_THREADS_MAX. */
int pool_open(struct pool **out, int nthread, struct lar_err *err);
void pool_close(struct pool *p);
int pool_threads(const struct pool *p);

void pool_lock(struct pool *p);
void pool_unlock(struct pool *p);

/* Works on items begin..end-1 as thread number `thread` (0 is the caller). */
typedef void pool_fn(void *ctx, size_t begin, size_t end, int thread);

/* Calls fn for pieces of at most grain items (at least 1) until all n (< 2^24) are done; returns then. Not reentrant. */
void pool_for(struct pool *p, size_t n, size_t grain, pool_fn *fn, void *ctx);

#endif
