/* SPDX-License-Identifier: Apache-2.0
 *
 * api/limits.c: what the machine could do at best, measured: the fastest of some short runs of loops that do nothing else. A noisy neighbour
 * can only make a run slower, so the fastest is the limit; what kernels reach is set against it.
 */
#include "api/api.h"
#include "base/cpu.h"
#include "base/pool.h"
#include "base/time.h"

enum { RUNS = 12, READ_MIB = 256 };

struct measure {
    const struct kern *k;
    double (*fn)(size_t rounds);
    size_t rounds;
    const uint8_t *p; /* reading: a slice a thread */
    size_t n;
    int threads;
};

static void one_thread(void *ctx, size_t begin, size_t end, int thread)
{
    const struct measure *m = ctx;
    (void)thread;
    for (size_t i = begin; i < end; i++) {
        if (m->fn)
            m->fn(m->rounds);
        else
            m->k->read_bytes(m->p + i * m->n, m->n);
    }
}

/* Seconds of the fastest run in which each thread does its share once. */
static double fastest(struct pool *pool, struct measure *m)
{
    double best = 1e30;
    for (int i = 0; i < RUNS; i++) {
        int64_t t = time_ns();
        pool_for(pool, (size_t)m->threads, 1, one_thread, m);
        double s = time_ms_since(t) * 1e-3;
        if (s < best) best = s;
    }
    return best;
}

int lar_machine_limits(int threads, struct lar_limits *out, struct lar_err *err)
{
    unsigned flags;
    struct kern k;
    struct pool *pool;
    if (!out) return lar_fail(err, LAR_EINVAL, "lar_machine_limits: out is needed");
    *out = (struct lar_limits){0};
    int rc = cpu_flags(&flags, err);
    if (rc < 0) return rc;
    kern_init(&k, flags);
    if (threads == 0) threads = cpu_count();
    if ((rc = pool_open(&pool, threads, err)) < 0) return rc;
    size_t each = ((size_t)READ_MIB << 20) / (size_t)threads / 4096 * 4096;
    uint8_t *p = mem_alloc_aligned(each * (size_t)threads);
    if (!p) {
        pool_close(pool);
        return lar_fail(err, LAR_ENOMEM, "measuring: %d MiB are not to be had", READ_MIB);
    }
    memset(p, 1, each * (size_t)threads);
    struct measure m = {.k = &k, .p = p, .n = each, .threads = threads};
    out->read_gbs = (double)each * threads / fastest(pool, &m) * 1e-9;
    m.rounds = 200000;
    double all = (double)threads;
    m.fn = k.peak_int8;
    out->int8_gops = m.fn(m.rounds) * all / fastest(pool, &m) * 1e-9;
    m.fn = k.peak_f32;
    out->f32_gflops = m.fn(m.rounds) * all / fastest(pool, &m) * 1e-9;
    mem_free(p);
    pool_close(pool);
    return 0;
}
