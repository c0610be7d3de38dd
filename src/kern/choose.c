/* SPDX-License-Identifier: Apache-2.0
 *
 * kern/choose.c: see choose.h. Both ways are timed in turn, the best of three each, and every time on other weights: those of a model are never in the near cache, and
 * that is no small matter (of weights that are, panels seem to pay from 4 rows on where 17 is right). From many rows down to few, so that a type costs
 * little once the panel stops paying.
 */
#include "kern/choose.h"

#include <pthread.h>
#include <string.h>

#include "base/mem.h"

enum { K = 1024, ROWS = 64, TRIES = 3, WEIGHTS = 8 << 20 };
static const uint32_t batch[] = {2, 3, 4, 6, 8, 12, 16, 24, 32};
enum { BATCHES = sizeof batch / sizeof *batch, BATCH_MAX = 32 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static uint32_t kept[DTYPE_COUNT];
static unsigned kept_flags;

void kern_choice(unsigned flags, const uint32_t from[DTYPE_COUNT])
{
    pthread_mutex_lock(&lock);
    memcpy(kept, from, sizeof kept);
    kept_flags = flags;
    pthread_mutex_unlock(&lock);
}

void kern_chosen(struct kern *k)
{
    pthread_mutex_lock(&lock);
    for (int t = 0; t < DTYPE_COUNT && kept_flags == k->flags; t++)
        if (kept[t] && k->type[t].pack) k->type[t].gemm_from = kept[t];
    pthread_mutex_unlock(&lock);
}

struct room {
    uint8_t *w, *act, *panel;
    float *x, *out;
    size_t at; /* of the next weights */
};

/* ROWS rows that were not read for long. */
static const uint8_t *weights(struct room *m, size_t stride)
{
    size_t at = m->at + ROWS * stride > WEIGHTS ? 0 : m->at;
    m->at = at + kern_up64(ROWS * stride);
    return m->w + at;
}

static void panels(const struct kern_type *t, struct room *m, const uint8_t *w, size_t stride, size_t n)
{
    for (size_t r = 0; r < ROWS; r += t->panel_rows) {
        size_t nr = ROWS - r < t->panel_rows ? ROWS - r : t->panel_rows;
        t->pack(K, w + r * stride, stride, nr, m->panel);
        t->gemm(K, m->panel, nr, m->act, act_bytes(t->act, K), n, m->out + r, ROWS);
    }
}

/* Is a panel right for n rows? The program's own number stands until the other way is clearly faster: a busy machine's differences are no reason. */
static int pays(const struct kern_type *t, struct room *m, size_t stride, size_t n, const struct kern_clock *c)
{
    int64_t direct = INT64_MAX, packed = INT64_MAX;
    for (int i = 0; i < TRIES; i++) {
        const uint8_t *one = weights(m, stride), *other = weights(m, stride);
        int64_t a = c->now(c->ctx);
        t->mul(K, one, stride, ROWS, m->act, act_bytes(t->act, K), n, m->out, ROWS);
        int64_t b = c->now(c->ctx);
        panels(t, m, other, stride, n);
        int64_t e = c->now(c->ctx);
        if (b - a < direct) direct = b - a;
        if (e - b < packed) packed = e - b;
    }
    return n < t->gemm_from ? packed < direct - direct / 10 : packed < direct + direct / 10;
}

static uint32_t measure(const struct kern_type *t, struct room *m, size_t stride, const struct kern_clock *c)
{
    size_t i = BATCHES;
    while (i > 0 && pays(t, m, stride, batch[i - 1], c)) i--;
    uint32_t from = i < BATCHES ? batch[i] : t->gemm_from > BATCH_MAX ? t->gemm_from : BATCH_MAX + 1;
    return (i == 0 || t->gemm_from > batch[i - 1]) && t->gemm_from <= from ? t->gemm_from : from;
}

static int room_open(struct room *m, const struct kern *k)
{
    size_t act = 0, panel = 0;
    for (uint32_t t = 0; t < DTYPE_COUNT; t++) {
        const struct kern_type *y = &k->type[t];
        if (!y->pack) continue;
        size_t p = y->panel_bytes(K), a = act_bytes(y->act, K);
        panel = p > panel ? p : panel;
        act = a > act ? a : act;
    }
    if (!panel) return 0; /* a level without panels */
    m->w = mem_alloc_aligned(WEIGHTS);
    m->act = mem_alloc_aligned(act * BATCH_MAX);
    m->panel = mem_alloc_aligned(panel);
    m->x = mem_alloc_aligned(K * BATCH_MAX * sizeof *m->x);
    m->out = mem_alloc_aligned(ROWS * BATCH_MAX * sizeof *m->out);
    if (!m->w || !m->act || !m->panel || !m->x || !m->out) return -1;
    for (size_t i = 0; i < K * BATCH_MAX; i++) m->x[i] = (float)(i * 7919 % 1009) / 1009 - 0.5F;
    /* Scales stay finite in every format with the high bits of each byte away; what the values are is no matter for time. */
    for (size_t i = 0; i < WEIGHTS; i++) m->w[i] = (uint8_t)(i * 2654435761U >> 13 & 0x3b);
    return 1;
}

int kern_choose(const struct kern *k, const struct kern_clock *clock, int64_t limit_ns,
                uint32_t from[DTYPE_COUNT], struct lar_err *err)
{
    struct room m = {0};
    int64_t began = clock->now(clock->ctx);
    int left = 0, rc = room_open(&m, k);
    for (uint32_t t = 0; rc > 0 && t < DTYPE_COUNT; t++) {
        const struct kern_type *y = &k->type[t];
        struct dtype_info f = dtype_info(t);
        if (!y->pack || from[t]) continue;
        if (clock->now(clock->ctx) - began >= limit_ns) {
            left++;
            continue;
        }
        for (size_t a = 0; a < BATCH_MAX; a++) {
            uint8_t *to = m.act + a * act_bytes(y->act, K);
            if (y->act == ACT_F32)
                memcpy(to, m.x + a * K, K * sizeof *m.x);
            else
                k->quant[y->act](K, m.x + a * K, to);
        }
        from[t] = measure(y, &m, K / f.block * f.bytes, clock);
    }
    mem_free(m.w);
    mem_free(m.act);
    mem_free(m.panel);
    mem_free(m.x);
    mem_free(m.out);
    return rc < 0 ? lar_fail(err, LAR_ENOMEM, "measuring the kernels: out of memory") : left;
}
