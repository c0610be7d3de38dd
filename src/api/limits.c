/* SPDX-License-Identifier: Apache-2.0
 *
 * api/limits.c: what the machine could do at best, measured: the fastest of some short runs of loops that do nothing else. A noisy neighbour
 * can only make a run slower, so the fastest is the limit; what kernels reach is set against it.
 */
#include <stdatomic.h>

#include "api/api.h"
#include "base/cpu.h"
#include "base/pool.h"
#include "base/time.h"

enum { RUNS = 12, RUNS_MIN = 3, ENOUGH_MS = 120, READ_MIB = 256, HANDOVERS = 4000 };

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
    int64_t began = time_ns();
    for (int i = 0; i < RUNS && (i < RUNS_MIN || time_ms_since(began) < ENOUGH_MS); i++) {
        int64_t t = time_ns();
        pool_for(pool, (size_t)m->threads, 1, one_thread, m);
        double s = time_ms_since(t) * 1e-3;
        if (s < best) best = s;
    }
    return best;
}

/* A ball that two threads throw to each other. A third and further threads have no part in it. */
struct toss {
    _Alignas(128) atomic_int ball, there;
    _Alignas(128) int64_t ns;
};

static void throw_ball(void *ctx, size_t begin, size_t end, int thread)
{
    struct toss *t = ctx;
    (void)thread;
    for (size_t me = begin; me < end && me < 2; me++) {
        /* Who is alone (the other was not scheduled) must not wait for ever: after some milliseconds it leaves. */
        int64_t start = time_ns();
        atomic_fetch_add(&t->there, 1);
        while (atomic_load(&t->there) < 2)
            if (time_ns() - start > 20000000) return;
        start = time_ns();
        for (int i = 0; i < HANDOVERS; i++) {
            for (int n = 1; atomic_load_explicit(&t->ball, memory_order_acquire) != 2 * i + (int)me;
                 n++)
                if (n % 4096 == 0 && time_ns() - start > 200000000) return;
            atomic_store_explicit(&t->ball, 2 * i + (int)me + 1, memory_order_release);
        }
        if (me == 0) t->ns = time_ns() - start;
    }
}

/* Nanoseconds from a core's write to another's reading it, the least of some tries; 0: they never ran at once. */
static double handover(struct pool *pool)
{
    double best = 0;
    for (int i = 0; i < 3 && pool_threads(pool) > 1; i++) {
        struct toss t = {0};
        pool_for(pool, (size_t)pool_threads(pool), 1, throw_ball, &t);
        double ns = (double)t.ns / (2.0 * HANDOVERS);
        if (ns > 0 && (best <= 0 || ns < best)) best = ns;
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
    m.fn = k.peak_bf16;
    if (m.fn) out->bf16_gflops = m.fn(m.rounds) * all / fastest(pool, &m) * 1e-9;
    out->handover_ns = handover(pool);
    mem_free(p);
    pool_close(pool);
    return 0;
}

void lar_attention_cost(const struct lar_model *m, enum lar_kv kv, int64_t past, double *bytes,
                        double *ops)
{
    static const enum kern_kv kinds[] = {
        [LAR_KV_F16] = KV_F16, [LAR_KV_F32] = KV_F32, [LAR_KV_Q8_0] = KV_Q8_0};
    const struct model *d = m->model;
    *bytes = *ops = 0;
    for (size_t i = 0; i < d->h.nlayer; i++) {
        const struct dev_attn *a = &d->layer[i].attn;
        if (!a->nhead) continue;
        double see = (double)(a->window && past + 1 > a->window ? a->window : past + 1);
        size_t row = kern_kv_row_bytes(kinds[kv], a->hd) +
                     (d->layer[i].mla.rank ? 0 : kern_kv_row_bytes(kinds[kv], a->hdv));
        *bytes += see * (double)(a->nkv * row);
        *ops += see * 2 * (double)(a->nhead * (a->hd + a->hdv));
    }
}
