/* SPDX-License-Identifier: Apache-2.0
 *
 * base/pool.c: the loop's slices are one atomic word a thread.
 *
 * A slice is | epoch:16 | begin:24 | end:24 |. Its owner takes items from the front, others from the back, each by one
 * compare-and-swap; the epoch is the loop's number, so a thread that was away for a whole loop finds a word that does not match and
 * touches nothing. A taken piece keeps the loop open (`left` counts items not yet done), so fn and ctx may be read after taking
 * and never before. The caller waits for `left` = 0, not for the threads: one that the system has not scheduled does not delay it.
 */
#include "base/pool.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>

#include "base/mem.h"

#if defined(__x86_64__)
#define PAUSE() __builtin_ia32_pause()
#elif defined(__aarch64__)
#define PAUSE() __asm__ volatile("yield")
#else
#define PAUSE() ((void)0)
#endif

enum {
    SPIN_WORKER = 4000,
    SPIN_CALLER = 20000
}; /* pauses: about 50 us; then sleep, or give the core away */

struct slice {
    _Alignas(64) atomic_uint_fast64_t word;
};

struct pool {
    struct slice slice[POOL_THREADS_MAX];
    _Alignas(64) atomic_uint epoch; /* number of the newest loop */
    _Alignas(64) atomic_size_t left;
    _Alignas(64) pool_fn *fn;
    void *ctx;
    atomic_size_t grain;
    int nthread, nstarted;
    atomic_int asleep;
    atomic_int closing;
    pthread_mutex_t step, sleep;
    pthread_cond_t wake;
    pthread_t thread[POOL_THREADS_MAX];
};

struct start {
    struct pool *p;
    int thread;
};

#define WORD(epoch, begin, end) \
    ((uint64_t)((epoch)&0xffff) << 48 | (uint64_t)(begin) << 24 | (uint64_t)(end))

/* Takes up to grain items of slice s of loop `epoch`, from its front or its back, and at most half of what is left there: pieces begin large and end
 * small, so that threads end together. grain may be read too late and belong to another loop, but then the word has changed as well and the
 * exchange fails. */
static int take(struct pool *p, struct slice *s, unsigned epoch, int front, size_t *b, size_t *e)
{
    uint64_t w = atomic_load_explicit(&s->word, memory_order_acquire);
    for (;;) {
        size_t begin = w >> 24 & 0xffffff, end = w & 0xffffff;
        if (w >> 48 != (epoch & 0xffff) || begin >= end) return 0;
        size_t grain = atomic_load_explicit(&p->grain, memory_order_relaxed);
        size_t half = (end - begin + 1) / 2, g = half < grain ? half : grain;
        uint64_t next = front ? WORD(epoch, begin + g, end) : WORD(epoch, begin, end - g);
        if (atomic_compare_exchange_weak_explicit(&s->word, &w, next, memory_order_acq_rel,
                                                  memory_order_acquire)) {
            *b = front ? begin : end - g;
            *e = front ? begin + g : end;
            return 1;
        }
    }
}

static void work(struct pool *p, unsigned epoch, int me)
{
    size_t b, e;
    for (int k = 0; k < p->nthread; k++) {
        struct slice *s = &p->slice[(me + k) % p->nthread];
        while (take(p, s, epoch, k == 0, &b, &e)) {
            p->fn(p->ctx, b, e, me);
            atomic_fetch_sub_explicit(&p->left, e - b, memory_order_acq_rel);
        }
    }
}

static void sleep_until_next(struct pool *p, unsigned seen)
{
    pthread_mutex_lock(&p->sleep);
    atomic_fetch_add(&p->asleep, 1);
    while (atomic_load(&p->epoch) == seen && !atomic_load(&p->closing))
        pthread_cond_wait(&p->wake, &p->sleep);
    atomic_fetch_sub(&p->asleep, 1);
    pthread_mutex_unlock(&p->sleep);
}

static void *worker(void *arg)
{
    struct start s = *(struct start *)arg;
    struct pool *p = s.p;
    unsigned seen = 0;
    mem_free(arg);
    while (!atomic_load_explicit(&p->closing, memory_order_relaxed)) {
        unsigned now = atomic_load_explicit(&p->epoch, memory_order_acquire);
        for (int i = 0; now == seen && i < SPIN_WORKER; i++) {
            PAUSE();
            now = atomic_load_explicit(&p->epoch, memory_order_acquire);
        }
        if (now == seen) {
            sleep_until_next(p, seen);
            continue;
        }
        seen = now;
        work(p, seen, s.thread);
    }
    return NULL;
}

/* A worker takes no signals: they are for the thread that may be waiting for one. Its own faults it cannot hand on. */
static int create(pthread_t *t, struct start *s)
{
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGPROF};
    sigset_t set, before;
    sigfillset(&set);
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) sigdelset(&set, faults[i]);
    pthread_sigmask(SIG_SETMASK, &set, &before);
    int e = pthread_create(t, NULL, worker, s);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return e;
}

int pool_open(struct pool **out, int nthread, struct lar_err *err)
{
    *out = NULL;
    if (nthread < 1 || nthread > POOL_THREADS_MAX)
        return lar_fail(err, LAR_EINVAL, "%d threads: use 1 to %d", nthread, POOL_THREADS_MAX);
    struct pool *p = mem_alloc_aligned(sizeof *p);
    if (!p) return lar_fail(err, LAR_ENOMEM, "thread pool: out of memory");
    memset(p, 0, sizeof *p);
    p->nthread = nthread;
    pthread_mutex_init(&p->step, NULL);
    pthread_mutex_init(&p->sleep, NULL);
    pthread_cond_init(&p->wake, NULL);
    for (int i = 1; i < nthread; i++) {
        struct start *s = mem_alloc(sizeof *s);
        if (s) *s = (struct start){p, i};
        int why = s ? create(&p->thread[i], s) : ENOMEM;
        if (why) {
            mem_free(s);
            pool_close(p);
            return lar_fail(err, LAR_ENOMEM,
                            "cannot start thread %d of %d: %s (fewer threads, or a higher ulimit -v or -u)", i, nthread,
                            strerror(why));
        }
        p->nstarted = i;
    }
    *out = p;
    return 0;
}

void pool_close(struct pool *p)
{
    if (!p) return;
    pthread_mutex_lock(&p->sleep);
    atomic_store(&p->closing, 1);
    pthread_cond_broadcast(&p->wake);
    pthread_mutex_unlock(&p->sleep);
    for (int i = 1; i <= p->nstarted; i++) pthread_join(p->thread[i], NULL);
    pthread_cond_destroy(&p->wake);
    pthread_mutex_destroy(&p->sleep);
    pthread_mutex_destroy(&p->step);
    mem_free(p);
}

int pool_threads(const struct pool *p) { return p->nthread; }

void pool_lock(struct pool *p) { pthread_mutex_lock(&p->step); }

void pool_unlock(struct pool *p) { pthread_mutex_unlock(&p->step); }

void pool_for(struct pool *p, size_t n, size_t grain, pool_fn *fn, void *ctx)
{
    if (n == 0) return;
    if (grain == 0) grain = 1;
    if (p->nthread == 1 || n <= grain) {
        fn(ctx, 0, n, 0);
        return;
    }
    assert(n < (size_t)1 << 24);
    unsigned epoch = atomic_load_explicit(&p->epoch, memory_order_relaxed) + 1;
    p->fn = fn;
    p->ctx = ctx;
    atomic_store_explicit(&p->grain, grain, memory_order_relaxed);
    atomic_store_explicit(&p->left, n, memory_order_relaxed);
    for (int t = 0; t < p->nthread; t++) {
        size_t b = n * (size_t)t / (size_t)p->nthread, e = n * (size_t)(t + 1) / (size_t)p->nthread;
        atomic_store_explicit(&p->slice[t].word, WORD(epoch, b, e), memory_order_release);
    }
    atomic_store(&p->epoch, epoch);
    if (atomic_load(&p->asleep)) {
        pthread_mutex_lock(&p->sleep);
        pthread_cond_broadcast(&p->wake);
        pthread_mutex_unlock(&p->sleep);
    }
    work(p, epoch, 0);
    for (int i = 0; atomic_load_explicit(&p->left, memory_order_acquire); i++) {
        PAUSE();
        if (i > SPIN_CALLER) sched_yield();
    }
}
