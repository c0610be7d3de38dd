/* SPDX-License-Identifier: Apache-2.0
 *
 * dev/cpu/low.c: what adapters add to a product: y += scale B (A x), of all rows or of each timeline's its own.
 *
 * A task is one matrix, one adapter and the rows that it is for; the base's product was made for all rows before. The tasks of a call are worked off in
 * two goes over all threads, whoever's rows they are: first A x of each into one buffer (its rows cut into pieces for threads; many rows go through
 * cpu_matmul, which unpacks A once), then B of that, where a thread has columns of one output and takes its tasks in their order, so that sums
 * do not depend on threads. Adapters are read once a step and stay in no cache, so what is stored in 16 bits takes half the time. When the buffer or the list is full, what is there is worked off first.
 */
#include <string.h>

#include "dev/cpu/cpu.h"

enum { TASKS_MAX = 64, A_ROWS = 8, COLUMNS = DEV_LORA_COLUMNS };

struct task {
    const struct dev_lora *l;
    float scale, *low; /* [n][stride] */
    size_t stride, first, n;
    int i; /* which matrix */
};

struct job {
    struct cpu_dev *c;
    const struct dev_matrix *const *w;
    const struct dev_rows *out;
    struct dev_rows x;
    int count;
    struct task task[TASKS_MAX];
    size_t ntask, used;              /* floats of c->low */
    size_t unit_end[TASKS_MAX];      /* of A x: running number up to and including the task */
    size_t column_end[CPU_MATRICES]; /* of B: likewise of matrices */
};

static size_t element(enum dtype t) { return t == DT_F32 ? 4 : 2; }

/* Pieces of A_ROWS rows of A. */
static void a_units(void *ctx, size_t begin, size_t end, int thread)
{
    const struct job *j = ctx;
    size_t t = 0;
    (void)thread;
    for (; begin < end; begin++) {
        while (begin >= j->unit_end[t]) t++;
        const struct task *k = &j->task[t];
        const struct kern_type *f = &j->c->kern.type[k->l->a_type];
        size_t r = (begin - (t ? j->unit_end[t - 1] : 0)) * A_ROWS, width = j->w[k->i]->k;
        size_t stride = element(k->l->a_type) * width;
        size_t nr = k->l->rank - r < A_ROWS ? k->l->rank - r : A_ROWS;
        size_t at_once = j->c->dev.steady ? 1 : k->n;
        for (size_t i = 0; i < k->n; i += at_once)
            f->mul(width, (const uint8_t *)k->l->a + r * stride, stride, nr, j->x.p + (k->first + i) * j->x.stride,
                   4 * j->x.stride, at_once, k->low + i * k->stride + r, k->stride);
    }
}

static void add_columns(const struct job *j, const struct task *k, size_t at, size_t width)
{
    float *out = j->out[k->i].p + k->first * j->out[k->i].stride + at, b[COLUMNS];
    const uint8_t *bt = (const uint8_t *)k->l->bt + at * k->l->rank * element(k->l->bt_type);
    for (size_t r = 0; r < k->l->rank; r++) {
        const void *from = bt + r * width * element(k->l->bt_type);
        const float *row = k->l->bt_type == DT_F32 ? from : b;
        if (row == b) j->c->kern.type[k->l->bt_type].dequant(width, from, b);
        for (size_t i = 0; i < k->n; i++)
            j->c->kern.axpy(width, k->scale * k->low[i * k->stride + r], row, out + i * j->out[k->i].stride);
    }
}

static void b_units(void *ctx, size_t begin, size_t end, int thread)
{
    const struct job *j = ctx;
    int i = 0;
    (void)thread;
    for (; begin < end; begin++) {
        while (begin >= j->column_end[i]) i++;
        size_t at = (begin - (i ? j->column_end[i - 1] : 0)) * COLUMNS, rows = j->w[i]->rows;
        for (size_t t = 0; t < j->ntask; t++)
            if (j->task[t].i == i) add_columns(j, &j->task[t], at, rows - at < COLUMNS ? rows - at : COLUMNS);
    }
}

static void work_off(struct job *j)
{
    size_t units = 0, columns = 0;
    uint8_t has[CPU_MATRICES] = {0};
    for (size_t t = 0; t < j->ntask; t++) {
        struct task *k = &j->task[t];
        const struct kern_type *f = &j->c->kern.type[k->l->a_type];
        has[k->i] = 1;
        if (f->pack && k->n >= f->gemm_from && !j->c->dev.steady) {
            struct dev_matrix a = {.data = k->l->a,
                                   .type = k->l->a_type,
                                   .k = j->w[k->i]->k,
                                   .rows = k->l->rank,
                                   .stride = element(k->l->a_type) * j->w[k->i]->k};
            const struct dev_matrix *as = &a;
            struct dev_rows x = {j->x.p + k->first * j->x.stride, j->x.stride}, low = {k->low, k->stride};
            cpu_matmul(&j->c->dev, 1, &as, x, k->n, &low);
        } else {
            units += (k->l->rank + A_ROWS - 1) / A_ROWS;
        }
        j->unit_end[t] = units;
    }
    for (int i = 0; i < j->count; i++) {
        if (has[i]) columns += (j->w[i]->rows + COLUMNS - 1) / COLUMNS;
        j->column_end[i] = columns;
    }
    if (units) pool_for(j->c->dev.pool, units, 1, a_units, j);
    if (columns) pool_for(j->c->dev.pool, columns, 1, b_units, j);
    j->ntask = j->used = 0;
}

/* The adapter's part in matrix i, for rows first .. first + n - 1. */
static void add(struct job *j, int i, const struct dev_low *low, size_t first, size_t n)
{
    const struct dev_lora *l = &low->of[j->w[i]->slot];
    size_t stride = kern_up64(4 * l->rank) / 4;
    while (l->rank && n) {
        size_t room = (CPU_LOW_FLOATS - j->used) / stride, take = n < room ? n : room;
        if (j->ntask == TASKS_MAX || take == 0) {
            work_off(j);
            continue;
        }
        j->task[j->ntask++] = (struct task){.l = l,
                                            .scale = low->scale * l->scale,
                                            .low = j->c->low + j->used,
                                            .stride = stride,
                                            .first = first,
                                            .n = take,
                                            .i = i};
        j->used += take * stride;
        first += take;
        n -= take;
    }
}

static int same_low(const struct dev_seq *a, const struct dev_seq *b)
{
    int same = a->nlow == b->nlow && a->first + a->n == b->first;
    for (size_t i = 0; same && i < a->nlow; i++)
        same = a->low[i].of == b->low[i].of && a->low[i].scale == b->low[i].scale;
    return same;
}

void cpu_low(struct cpu_dev *c, int count, const struct dev_matrix *const *w, struct dev_rows x, size_t n,
             const struct dev_rows *out)
{
    struct job j;
    const struct dev *d = &c->dev;
    int any = 0;
    for (int i = 0; i < count; i++) any |= w[i]->slot != 0;
    if (!any) return;
    j.c = c, j.w = w, j.out = out, j.x = x, j.count = count, j.ntask = j.used = 0;
    for (int i = 0; i < count; i++) {
        if (!w[i]->slot) continue;
        for (size_t a = 0; a < d->nalways; a++) add(&j, i, &d->always[a], 0, n);
        for (size_t s = 0; s < d->nseq;) {
            size_t begin = s, rows = d->seq[s].n; /* timelines side by side with the same adapters go together */
            while (++s < d->nseq && same_low(&d->seq[s - 1], &d->seq[s])) rows += d->seq[s].n;
            for (size_t a = 0; a < d->seq[begin].nlow; a++)
                add(&j, i, &d->seq[begin].low[a], d->seq[begin].first, rows);
        }
    }
    work_off(&j);
}
