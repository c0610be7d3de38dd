/* SPDX-License-Identifier: Apache-2.0
 *
 * model/moe.c: a feed-forward made of experts: each token goes through the few that a router picks.
 *
 *     r = Wr h (+ b)                          one score an expert
 *     p = softmax(r), or sigmoid(r)           chosen: the `used` largest of p (+ a bias that only chooses)
 *     o = sum over the chosen e of w_e FFN_e(h)      w = p of the chosen, made to sum to 1 where the family does so, times a scale
 *     o += [sigmoid(g . h)] FFN_shared(h)     where there is a shared expert
 *
 * Rows are grouped by expert, so an expert's weights are read once a step and those of experts that nobody chose not at all.
 */
#include <math.h>
#include <string.h>

#include "model/forward.h"

/* The `used` best experts of one row, in falling order of score (equal ones: the lower number first), and their weights. */
static void route(const struct moe *m, float *score, int32_t *pick, float *weight)
{
    float max = -INFINITY, sum = 0;
    for (size_t e = 0; e < m->nexpert; e++) max = fmaxf(max, score[e]);
    for (size_t e = 0; e < m->nexpert; e++) {
        score[e] = m->sigmoid ? 1 / (1 + expf(-score[e])) : expf(score[e] - max);
        sum += score[e];
    }
    for (size_t e = 0; !m->sigmoid && e < m->nexpert; e++) score[e] /= sum;
    sum = 0;
    for (size_t k = 0; k < m->nused; k++) {
        int32_t best = -1;
        float best_s = 0;
        for (size_t e = 0; e < m->nexpert; e++) {
            float s = score[e] + (m->choice_bias ? m->choice_bias[e] : 0);
            int taken = 0;
            for (size_t j = 0; j < k; j++) taken |= pick[j] == (int32_t)e;
            if (!taken && (best < 0 || s > best_s)) best = (int32_t)e, best_s = s;
        }
        pick[k] = best;
        weight[k] = score[best];
        sum += weight[k];
    }
    for (size_t k = 0; k < m->nused; k++) weight[k] *= m->scale / (m->renorm ? sum : 1);
}

static struct dev_matrix expert(const struct dev_matrix *all, size_t rows, size_t e)
{
    struct dev_matrix w = *all;
    w.rows = rows;
    w.data = (const uint8_t *)all->data + e * rows * all->stride;
    return w;
}

/* out = down(act(gate x) * up x) of n rows for one expert. */
static void expert_ffn(struct pass *p, const struct layer *l, size_t e, struct dev_rows x, size_t n, struct dev_rows out)
{
    const struct moe *m = &l->moe;
    struct work *w = p->w;
    struct dev_matrix gate = expert(&m->gate, m->nff, e), up = expert(&m->up, m->nff, e),
                      down = expert(&m->down, p->m->h.width, e);
    const struct dev_matrix *two[2] = {&gate, &up}, *one = &down;
    struct dev_rows rows[2] = {w->gate, w->up};
    p->d->ops->matmul(p->d, 2, two, x, n, rows);
    if (m->bgate) p->d->ops->bias(p->d, m->bgate + e * m->nff, n, m->nff, w->gate);
    if (m->bup) p->d->ops->bias(p->d, m->bup + e * m->nff, n, m->nff, w->up);
    p->d->ops->gate(p->d, p->m->arch->gate, l->gate_par, w->gate, w->up, n, m->nff, w->gate);
    p->d->ops->matmul(p->d, 1, &one, w->gate, n, &out);
    if (m->bdown) p->d->ops->bias(p->d, m->bdown + e * p->m->h.width, n, p->m->h.width, out);
}

static void shared_ffn(struct pass *p, const struct layer *l)
{
    const struct moe *m = &l->moe;
    struct work *w = p->w;
    const struct dev_matrix *two[2] = {&m->shared_gate, &m->shared_up}, *one = &m->shared_down;
    struct dev_rows rows[2] = {w->gate, w->up};
    p->d->ops->matmul(p->d, 2, two, w->h, p->n, rows);
    p->d->ops->gate(p->d, p->m->arch->gate, l->gate_par, w->gate, w->up, p->n, m->shared_up.rows, w->gate);
    p->d->ops->matmul(p->d, 1, &one, w->gate, p->n, &w->moe_y);
    for (size_t i = 0; i < p->n; i++) {
        float f = 1;
        if (m->shared_switch) {
            const float *h = w->h.p + i * w->h.stride;
            double dot = 0;
            for (size_t k = 0; k < p->m->h.width; k++) dot += (double)h[k] * (double)m->shared_switch[k];
            f = (float)(1 / (1 + exp(-dot)));
        }
        struct dev_rows from = {w->moe_y.p + i * w->moe_y.stride, w->moe_y.stride},
                        to = {w->o.p + i * w->o.stride, w->o.stride};
        p->d->ops->add(p->d, from, 1, p->m->h.width, f, to);
    }
}

void moe_forward(struct pass *p, const struct layer *l)
{
    const struct moe *m = &l->moe;
    struct work *w = p->w;
    const struct dev_matrix *router = &m->router;
    size_t width = p->m->h.width, used = m->nused;
    p->d->ops->matmul(p->d, 1, &router, w->h, p->n, &w->score); /* score [n][nexpert] */
    if (m->brouter) p->d->ops->bias(p->d, m->brouter, p->n, m->nexpert, w->score);
    for (size_t i = 0; i < p->n; i++) {
        route(m, w->score.p + i * w->score.stride, w->pick + i * used, w->weight + i * used);
        memset(w->o.p + i * w->o.stride, 0, width * sizeof(float));
    }
    for (size_t e = 0; e < m->nexpert; e++) {
        size_t n = 0;
        for (size_t i = 0; i < p->n * used; i++) {
            if (w->pick[i] != (int32_t)e) continue;
            memcpy(w->moe_x.p + n * w->moe_x.stride, w->h.p + i / used * w->h.stride, width * sizeof(float));
            w->slot[n++] = (int32_t)i;
        }
        if (n == 0) continue;
        expert_ffn(p, l, e, w->moe_x, n, w->moe_y);
        for (size_t r = 0; r < n; r++) {
            size_t i = (size_t)w->slot[r];
            struct dev_rows from = {w->moe_y.p + r * w->moe_y.stride, w->moe_y.stride},
                            to = {w->o.p + i / used * w->o.stride, w->o.stride};
            p->d->ops->add(p->d, from, 1, width, w->weight[i], to);
        }
    }
    if (m->shared_up.data) shared_ffn(p, l);
}
