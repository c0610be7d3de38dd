/* SPDX-License-Identifier: Apache-2.0
 *
 * dev/cpu/matmul.c: rows of activations times matrices in the file's own blocks, over all threads.
 *
 * The matrices of one call share their input, so it is quantised once a kind. The output rows of all matrices are laid end to end and cut into
 * units; pool_for gives each thread a contiguous run of them, so each thread reads one contiguous stretch of weights. Small
 * batches multiply straight from the blocks; from the measured batch size on a unit is a panel, unpacked once and used for
 * every row of the batch. Rows of a matrix that is exact become F32 first, at the end of the thread's scratch, and go on as such.
 */
#include "dev/cpu/cpu.h"

struct job {
    struct cpu_dev *c;
    int count;
    const struct dev_matrix *const *w;
    const struct dev_rows *out;
    size_t unit_end[CPU_MATRICES]; /* running number of units up to and including matrix i */
    size_t unit_rows[CPU_MATRICES];
    int packed[CPU_MATRICES];
    const struct kern_type *type[CPU_MATRICES]; /* that multiplies */
    const uint8_t *act[CPU_MATRICES];
    size_t act_stride[CPU_MATRICES];
    size_t n;
};

/* Rows r .. r + nr - 1 of matrix i as type[i] wants them; nr <= unit_rows where they are converted. */
static const void *rows_at(const struct job *j, int i, size_t r, size_t nr, int thread,
                           size_t *stride)
{
    const struct dev_matrix *w = j->w[i];
    const uint8_t *at = (const uint8_t *)w->data + r * w->stride;
    *stride = w->stride;
    if (j->type[i] == &j->c->kern.type[w->type]) return at;
    uint8_t *end = j->c->scratch + (size_t)(thread + 1) * j->c->scratch_bytes;
    float *to = (float *)(void *)(end - j->unit_rows[i] * kern_up64(4 * w->k));
    *stride = kern_up64(4 * w->k);
    for (size_t k = 0; k < nr; k++)
        j->c->kern.type[w->type].dequant(w->k, at + k * w->stride, to + k * (*stride / 4));
    return to;
}

static void panels(const struct job *j, int i, size_t r0, size_t r1, int thread)
{
    const struct dev_matrix *w = j->w[i];
    const struct kern_type *t = j->type[i];
    uint8_t *panel = j->c->scratch + (size_t)thread * j->c->scratch_bytes;
    for (size_t r = r0; r < r1; r += t->panel_rows) {
        size_t nr = r1 - r < t->panel_rows ? r1 - r : t->panel_rows;
        size_t stride;
        const void *rows = rows_at(j, i, r, nr, thread, &stride);
        t->pack(w->k, rows, stride, nr, panel);
        t->gemm(w->k, panel, nr, j->act[i], j->act_stride[i], j->n, j->out[i].p + r,
                j->out[i].stride);
    }
}

/* Straight from the blocks. Steady: every row of activations by itself, a few rows of weights at a time while they are in the cache. */
static void straight(const struct job *j, int i, size_t r0, size_t r1, int thread)
{
    const struct dev_matrix *w = j->w[i];
    int steady = j->c->dev.steady, converted = j->type[i] != &j->c->kern.type[w->type];
    size_t stride, most = steady || converted ? j->unit_rows[i] : r1 - r0;
    for (size_t r = r0; r < r1; r += most) {
        size_t nr = r1 - r < most ? r1 - r : most, at_once = steady ? 1 : j->n;
        const void *rows = rows_at(j, i, r, nr, thread, &stride);
        for (size_t a = 0; a < j->n; a += at_once)
            j->type[i]->mul(w->k, rows, stride, nr, j->act[i] + a * j->act_stride[i],
                            j->act_stride[i], at_once, j->out[i].p + a * j->out[i].stride + r,
                            j->out[i].stride);
    }
}

static void units(void *ctx, size_t begin, size_t end, int thread)
{
    const struct job *j = ctx;
    int i = 0;
    while (begin < end) {
        while (begin >= j->unit_end[i]) i++;
        size_t stop = end < j->unit_end[i] ? end : j->unit_end[i];
        size_t before = i ? j->unit_end[i - 1] : 0;
        const struct dev_matrix *w = j->w[i];
        size_t r0 = (begin - before) * j->unit_rows[i], r1 = (stop - before) * j->unit_rows[i];
        if (r1 > w->rows) r1 = w->rows;
        if (j->packed[i])
            panels(j, i, r0, r1, thread);
        else
            straight(j, i, r0, r1, thread);
        if (w->scale)
            for (size_t a = 0; a < j->n; a++)
                for (size_t r = r0; r < r1; r++) j->out[i].p[a * j->out[i].stride + r] *= *w->scale;
        begin = stop;
    }
}

struct quant_job {
    kern_quant_fn *fn;
    struct dev_rows x;
    size_t k, stride;
    uint8_t *to;
};

static void quant_rows(void *ctx, size_t begin, size_t end, int thread)
{
    const struct quant_job *q = ctx;
    (void)thread;
    for (size_t i = begin; i < end; i++)
        q->fn(q->k, q->x.p + i * q->x.stride, q->to + i * q->stride);
}

void cpu_matmul(struct dev *d, int count, const struct dev_matrix *const *w, struct dev_rows x,
                size_t n, const struct dev_rows *out)
{
    struct cpu_dev *c = cpu_of(d);
    struct job j = {.c = c, .count = count, .w = w, .out = out, .n = n};
    size_t k = w[0]->k, units_all = 0;
    int done[ACT_COUNT] = {0};
    if (n == 0) return;
    for (int i = 0; i < count; i++) {
        const struct kern_type *t = &c->kern.type[w[i]->type];
        if (w[i]->exact && t->act != ACT_F32) t = &c->kern.type[DT_F32];
        j.type[i] = t;
        if (t->act == ACT_F32) {
            j.act[i] = (const uint8_t *)x.p;
            j.act_stride[i] = x.stride * sizeof(float);
        } else {
            j.act[i] = c->act[t->act];
            j.act_stride[i] = act_bytes(t->act, k);
            if (!done[t->act]) {
                struct quant_job q = {c->kern.quant[t->act], x, k, j.act_stride[i], c->act[t->act]};
                cpu_rows(c, n, k, quant_rows, &q);
                done[t->act] = 1;
            }
        }
        j.packed[i] = t->pack && n >= t->gemm_from && !d->steady;
        j.unit_rows[i] = j.packed[i] ? t->panel_rows : CPU_ROWS_UNIT;
        units_all += (w[i]->rows + j.unit_rows[i] - 1) / j.unit_rows[i];
        j.unit_end[i] = units_all;
    }
    pool_for(d->pool, units_all, units_all / (size_t)(d->threads * 2) + 1, units, &j);
    if (d->nalways || d->nseq) cpu_low(c, count, w, x, n, out);
}
