/* SPDX-License-Identifier: Apache-2.0
 * run/importance.c: see importance.h. A matrix is known by where its data lies: at the beginning of a tensor or of one of its experts.
 * Parts of a tensor that share an input (fused query, key and value) are seen apart; the first one counts. */
#include "run/importance.h"

#include <math.h>

#include "base/mem.h"
#include "base/sort.h"

static int by_data(const void *ctx, uint32_t a, uint32_t b)
{
    const struct importance_entry *e = ctx;
    return (e[a].t->data > e[b].t->data) - (e[a].t->data < e[b].t->data);
}

/* The entry whose matrix number *which begins at data, or NULL. */
static struct importance_entry *find(const struct importance *m, const uint8_t *data, size_t k,
                                     size_t *which)
{
    size_t lo = 0, hi = m->nentry;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        struct importance_entry *e = &m->entry[mid];
        if (data < e->t->data) {
            hi = mid;
        } else if (data >= e->t->data + e->t->bytes) {
            lo = mid + 1;
        } else {
            size_t at = (size_t)(data - e->t->data);
            *which = at / e->matrix_bytes;
            return at % e->matrix_bytes == 0 && k == e->k ? e : NULL;
        }
    }
    return NULL;
}

static void sum_squares(double *row, struct dev_rows x, size_t n, size_t k)
{
    for (size_t j = 0; j < k; j++) row[j] = 0;
    for (size_t i = 0; i < n; i++) {
        const float *p = x.p + i * x.stride;
        for (size_t j = 0; j < k; j++) row[j] += (double)p[j] * (double)p[j];
    }
}

static void listen(struct dev *d, int count, const struct dev_matrix *const *w, struct dev_rows x,
                   size_t n, const struct dev_rows *out)
{
    /* ops is the first member of the struct that importance_begin put there, which was not const */
    struct importance *m = (struct importance *)(uintptr_t)d->ops;
    int summed = 0;
    for (int i = 0; i < count && n; i++) {
        size_t which = 0, k = w[i]->k;
        struct importance_entry *e = find(m, w[i]->data, k, &which);
        if (!e) continue;
        if (!summed) sum_squares(m->row, x, n, k);
        summed = 1;
        float *sum = e->sum + which * k;
        for (size_t j = 0; j < k; j++) {
            sum[j] += (float)m->row[j];
            if (!isfinite(sum[j])) m->failed = 1;
        }
        e->count[which] += (float)n;
    }
    m->before->matmul(d, count, w, x, n, out);
}

static int wanted(const struct gguf_tensor *t, int output)
{
    if (t->ndim < 2 || t->dim[1] * t->dim[2] < 2 || !str_ends(t->name, STR(".weight"))) return 0;
    return str_starts(t->name, STR("blk.")) || (output && str_is(t->name, "output.weight"));
}

static int add_entries(struct importance *m, const struct gguf *g, int output, struct lar_err *err)
{
    size_t n = 0, longest = 0;
    struct importance_entry *e = arena_array(&m->a, g->ntensor + 1, sizeof *e);
    uint32_t *order = arena_array(&m->a, g->ntensor + 1, sizeof *order);
    m->entry = arena_array(&m->a, g->ntensor + 1, sizeof *m->entry);
    for (size_t i = 0; e && i < g->ntensor; i++) {
        const struct gguf_tensor *t = &g->tensor[i];
        if (!wanted(t, output)) continue;
        size_t k = (size_t)t->dim[0], nmat = (size_t)t->dim[2];
        e[n] = (struct importance_entry){t, k, nmat, (size_t)(t->bytes / nmat), NULL, NULL};
        e[n].sum = arena_array(&m->a, nmat * k, sizeof(float));
        e[n].count = arena_array(&m->a, nmat, sizeof(float));
        if (!e[n].sum || !e[n].count) break;
        if (k > longest) longest = k;
        n++;
    }
    m->row = arena_array(&m->a, longest + 1, sizeof *m->row);
    if (!e || !order || !m->entry || !m->row || (n && !e[n ? n - 1 : 0].count))
        return lar_fail(err, LAR_ENOMEM, "importance: out of memory");
    for (size_t i = 0; i < n; i++) order[i] = (uint32_t)i;
    sort_u32(order, n, by_data, e);
    for (size_t i = 0; i < n; i++) m->entry[i] = e[order[i]];
    m->nentry = n;
    return LAR_OK;
}

int importance_begin(struct importance *m, struct dev *d, const struct gguf *g, int output,
                     struct lar_err *err)
{
    *m = (struct importance){0};
    arena_init(&m->a, 0);
    int rc = add_entries(m, g, output, err);
    if (rc < 0) {
        importance_done(m);
        return rc;
    }
    dev_lock(d);
    m->dev = d;
    m->before = d->ops;
    m->ops = *d->ops;
    m->ops.matmul = listen;
    d->ops = &m->ops;
    dev_unlock(d);
    return LAR_OK;
}

void importance_end(struct importance *m)
{
    if (!m->dev) return;
    dev_lock(m->dev);
    m->dev->ops = m->before;
    dev_unlock(m->dev);
    m->dev = NULL;
}

void importance_done(struct importance *m)
{
    importance_end(m);
    arena_done(&m->a);
    *m = (struct importance){0};
}
