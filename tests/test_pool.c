/* SPDX-License-Identifier: Apache-2.0
 * tests/test_pool.c: every item of every loop is done exactly once, whoever does it, and an idle pool sleeps. */
#include "base/pool.h"

#include <stdatomic.h>
#include <sys/resource.h>
#include <time.h>

#include "base/mem.h"
#include "tap.h"

enum { ITEMS = 1000 };
static atomic_int hits[ITEMS];
static atomic_int wrong_thread;

struct job {
    int threads;
    size_t grain;
};

static void count(void *ctx, size_t begin, size_t end, int thread)
{
    const struct job *j = ctx;
    if (thread < 0 || thread >= j->threads || end - begin > j->grain)
        atomic_fetch_add(&wrong_thread, 1);
    for (size_t i = begin; i < end; i++) atomic_fetch_add(&hits[i], 1);
}

static void every_item_is_done_exactly_once(void)
{
    for (int threads = 1; threads <= 5; threads += 2) {
        struct pool *p;
        struct lar_err err;
        CHECK_EQ(pool_open(&p, threads, &err), 0);
        for (int round = 0; round < 400; round++) {
            size_t n = (size_t)(round * 7 % ITEMS), grain = (size_t)(round % 9 + 1);
            struct job j = {threads, n <= grain || threads == 1 ? ITEMS : grain};
            for (size_t i = 0; i < ITEMS; i++) atomic_store(&hits[i], 0);
            pool_for(p, n, grain, count, &j);
            for (size_t i = 0; i < ITEMS; i++) CHECK_EQ(atomic_load(&hits[i]), i < n);
        }
        pool_close(p);
    }
    CHECK_EQ(atomic_load(&wrong_thread), 0);
}

static void slow(void *ctx, size_t begin, size_t end, int thread)
{
    struct timespec t = {0, 20000};
    (void)thread;
    if (begin == 0) nanosleep(&t, NULL);
    atomic_fetch_add((atomic_int *)ctx, (int)(end - begin));
}

static void uneven_items_are_taken_over(void)
{
    struct pool *p;
    atomic_int sum = 0;
    CHECK_EQ(pool_open(&p, 4, NULL), 0);
    for (int i = 0; i < 200; i++) pool_for(p, 64, 1, slow, &sum);
    CHECK_EQ(sum, 200 * 64);
    pool_close(p);
}

static double cpu_seconds(void)
{
    struct rusage r;
    getrusage(RUSAGE_SELF, &r);
    return (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) +
           1e-6 * (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec);
}

static void an_idle_pool_costs_nothing(void)
{
    struct pool *p;
    atomic_int sum = 0;
    struct timespec t = {0, 400000000};
    CHECK_EQ(pool_open(&p, 3, NULL), 0);
    pool_for(p, 64, 1, slow, &sum);
    double before = cpu_seconds();
    nanosleep(&t, NULL);
    CHECK(cpu_seconds() - before < 0.1);
    pool_close(p);
}

static void absurd_thread_counts_are_refused(void)
{
    struct pool *p;
    struct lar_err err;
    CHECK_EQ(pool_open(&p, 0, &err), LAR_EINVAL);
    CHECK_EQ(pool_open(&p, 100000, &err), LAR_EINVAL);
    CHECK(strstr(err.msg, "100000") != NULL);
}

static long allowed;
static int fail_later(size_t n, void *ctx)
{
    (void)n, (void)ctx;
    return allowed-- <= 0;
}

static void every_allocation_may_fail(void)
{
    long before = mem_live();
    for (long i = 0;; i++) {
        struct pool *p;
        allowed = i;
        mem_set_hook(fail_later, NULL);
        int rc = pool_open(&p, 4, NULL);
        mem_set_hook(NULL, NULL);
        if (rc == 0) {
            pool_close(p);
            break;
        }
        CHECK_EQ(rc, LAR_ENOMEM);
        CHECK_EQ(mem_live(), before);
    }
    CHECK_EQ(mem_live(), before);
}

int main(void)
{
    tap_timeout(120);
    RUN(every_item_is_done_exactly_once);
    RUN(uneven_items_are_taken_over);
    RUN(an_idle_pool_costs_nothing);
    RUN(absurd_thread_counts_are_refused);
    RUN(every_allocation_may_fail);
    return tap_done();
}
