/* SPDX-License-Identifier: Apache-2.0
 *
 * model/moe.c: a feed-forward made of experts: each token goes through the few that a router picks.
 *
 *     r = Wr h (+ b)                          one score an expert
 *     p = softmax(r), or sigmoid(r)           chosen: the `used` largest of p (+ a bias that only chooses), where experts come in
 *                                             groups only from the best groups: a group counts as its best, with sigmoid its two best
 *     o = sum over the chosen e of w_e FFN_e(h)      w = p of the chosen, made to sum to 1 where the family does so, times a scale
 *     o += [sigmoid(g . h)] FFN_shared(h)     where there is a shared expert
 * Phi-3.5-MoE chooses one expert after the other (SparseMixer, Liu et al. 2023, as at evaluation):
 *     w = softmax(r) of the best, among those not chosen yet with best - r <= 0.02 max(|r|, best)
 * Gemma 4 has a dense feed-forward beside the experts, each with norms of its own, and its router reads another norm of the stream:
 *     r = Wr (norm(x) s / sqrt(width)),   o = post1(FFN(norm1(x))) + post2(experts(norm2(x)))
 *
 * Rows are grouped by expert, so an expert's weights are read once a step and those of experts that nobody chose not at all.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "model/bind.h"
#include "model/forward.h"

enum { MOE_GROUPS = 64 };

/* ---- binding ---- */

/* [n][m] biases in the file, read as one row; 1, 0 or an error. */
static int expert_bias(struct binder *b, const char *part, size_t m, size_t n, const float **out)
{
    char name[BIND_NAME_MAX];
    const struct gguf_tensor *t = bind_find(b, part, "bias", name);
    if (!t) return 0;
    if ((size_t)t->dim[0] != m || (size_t)t->dim[1] != n || t->dim[2] != 1 || t->type != DT_F32)
        return lar_fail(b->err, LAR_EFORMAT, "tensor %s must be %zu x %zu of F32", name, m, n);
    *out = (const float *)(const void *)t->data;
    return 1;
}

static int bind_shared(struct binder *b, struct moe *m)
{
    size_t width = b->m->h.width;
    int rc = bind_matrix(b, "ffn_up_shexp", width, 0, &m->shared_up);
    if (rc <= 0) return rc;
    size_t nff = m->shared_up.rows;
    if ((rc = bind_vector(b, "ffn_gate_shexp", "bias", nff, &m->shared_bgate)) < 0) return rc;
    if ((rc = bind_vector(b, "ffn_up_shexp", "bias", nff, &m->shared_bup)) < 0) return rc;
    if ((rc = bind_vector(b, "ffn_down_shexp", "bias", width, &m->shared_bdown)) < 0) return rc;
    if ((rc = bind_need_matrix(b, "ffn_gate_shexp", width, nff, &m->shared_gate)) < 0) return rc;
    if ((rc = bind_need_matrix(b, "ffn_down_shexp", nff, width, &m->shared_down)) < 0) return rc;
    if (nff > b->m->ff_max) b->m->ff_max = nff;
    if (nff > b->m->up_max) b->m->up_max = nff;
    return bind_vector(b, "ffn_gate_inp_shexp", "weight", width, &m->shared_switch);
}

/* Groups of experts: see above. */
static int bind_groups(struct binder *b, struct moe *m)
{
    uint32_t n = 1, used = 1;
    int rc;
    if ((rc = model_key_u32(b->m, "expert_group_count", &n, b->err)) < 0) return rc;
    if ((rc = model_key_u32(b->m, "expert_group_used_count", &used, b->err)) < 0) return rc;
    if (n == 0) n = 1; /* not grouped */
    if (n == 1) used = 1;
    if (n > MOE_GROUPS || m->nexpert % n || used < 1 || used > n ||
        m->nused > m->nexpert / n * used)
        return lar_fail(b->err, LAR_EFORMAT, "%zu of %zu experts from %u of %u groups: impossible",
                        m->nused, m->nexpert, used, n);
    m->ngroup = n;
    m->group_used = used;
    return 0;
}

int moe_bind_beside(struct binder *b, struct moe *m)
{
    size_t width = b->m->h.width;
    const float *scale = NULL;
    int rc = bind_need_vector(b, "ffn_gate_inp", "scale", width, &scale);
    if (rc < 0) return rc;
    float *w = arena_array(&b->m->a, width, sizeof *w);
    if (!w) return lar_fail(b->err, LAR_ENOMEM, "layer %zu: out of memory", b->layer);
    for (size_t i = 0; i < width; i++) w[i] = scale[i] / sqrtf((float)width);
    m->router_norm = w;
    if (b->m->att_max < width) b->m->att_max = width;
    if ((rc = bind_need_norm(b, "pre_ffw_norm_2", width, &m->pre)) < 0) return rc;
    if ((rc = bind_need_norm(b, "post_ffw_norm_2", width, &m->post)) < 0) return rc;
    return bind_need_norm(b, "post_ffw_norm_1", width, &m->dense_post);
}

int moe_bind(struct binder *b, struct moe *m)
{
    struct model *d = b->m;
    size_t width = d->h.width;
    uint32_t n = 0, used = 0, func = 0;
    int64_t nff = 0;
    int rc, renorm = d->arch->expert_renorm;
    char key[128];
    m->scale = 1;
    if ((rc = model_key_u32(d, "expert_count", &n, b->err)) < 0) return rc;
    if ((rc = model_key_u32(d, "expert_used_count", &used, b->err)) < 0) return rc;
    if (n < 1 || n > 4096 || used < 1 || used > n)
        return lar_fail(b->err, LAR_EFORMAT, "%u of %u experts: impossible", used, n);
    if ((rc = model_key_layer(d, "expert_feed_forward_length", b->layer, &nff, b->err)) < 0)
        return rc;
    if (rc == 0 && (rc = model_key_layer(d, "feed_forward_length", b->layer, &nff, b->err)) < 0)
        return rc;
    if (nff < 1 || nff > 1 << 22)
        return lar_fail(b->err, LAR_EFORMAT, "%s: experts of %lld", d->arch->name, (long long)nff);
    if ((rc = model_key_u32(d, "expert_gating_func", &func, b->err)) < 0) return rc;
    if ((rc = model_key_f32(d, "expert_weights_scale", &m->scale, b->err)) < 0) return rc;
    snprintf(key, sizeof key, "%s.expert_weights_norm", d->arch->name);
    if ((rc = gguf_bool(&d->gguf, key, &renorm, b->err)) < 0) return rc;
    if (m->scale == 0) m->scale = 1;
    m->nexpert = n, m->nused = used, m->nff = (size_t)nff;
    if ((rc = bind_vector(b, "exp_probs_b", "bias", n, &m->choice_bias)) < 0) return rc;
    /* 3 is a softmax over the chosen: softmax, then made to sum to 1 */
    if (func > 3)
        return lar_fail(b->err, LAR_EUNSUPPORTED, "%s.expert_gating_func %u is not known",
                        d->arch->name, func);
    if (func == 0)
        func =
            d->arch->expert_sigmoid > 0 || (d->arch->expert_sigmoid < 0 && m->choice_bias) ? 2 : 1;
    m->sigmoid = func == 2, m->renorm = renorm || func == 3, m->sparse = d->arch->sparse_mixer;
    if ((rc = bind_groups(b, m)) < 0) return rc;
    if ((rc = bind_need_matrix(b, "ffn_gate_inp", width, n, &m->router)) < 0) return rc;
    if ((rc = bind_vector(b, "ffn_gate_inp", "bias", n, &m->brouter)) < 0) return rc;
    m->fused = gguf_tensor(&d->gguf, bind_name(b, "ffn_gate_up_exps", "weight", key)) != NULL;
    if (m->fused) {
        if ((rc = bind_stack(b, "ffn_gate_up_exps", width, 2 * m->nff, n, &m->up)) < 0) return rc;
    } else {
        if ((rc = bind_stack(b, "ffn_gate_exps", width, m->nff, n, &m->gate)) < 0) return rc;
        if ((rc = bind_stack(b, "ffn_up_exps", width, m->nff, n, &m->up)) < 0) return rc;
    }
    if ((rc = bind_stack(b, "ffn_down_exps", m->nff, width, n, &m->down)) < 0) return rc;
    if ((rc = expert_bias(b, "ffn_gate_exps", m->nff, n, &m->bgate)) < 0) return rc;
    if ((rc = expert_bias(b, "ffn_up_exps", m->nff, n, &m->bup)) < 0) return rc;
    if ((rc = expert_bias(b, "ffn_down_exps", width, n, &m->bdown)) < 0) return rc;
    if (m->nff > d->ff_max) d->ff_max = m->nff;
    if (m->fused && 2 * m->nff > d->gate_max) d->gate_max = 2 * m->nff;
    if (!m->fused && m->nff > d->up_max) d->up_max = m->nff;
    if (n > d->expert_max) d->expert_max = n;
    if (used > d->used_max) d->used_max = used;
    return bind_shared(b, m);
}

/* ---- forward ---- */

static int chosen(uint64_t set, size_t i) { return (int)(set >> i & 1); }

/* The groups of which experts may be chosen, as bits. choice: what experts are chosen by. */
static uint64_t best_groups(const struct moe *m, const float *choice)
{
    size_t per = m->nexpert / m->ngroup;
    uint64_t set = 0;
    float score[MOE_GROUPS];
    for (size_t g = 0; g < m->ngroup; g++) {
        float first = -INFINITY, second = -INFINITY;
        for (size_t e = g * per; e < (g + 1) * per; e++) {
            float s = choice[e];
            if (s > first)
                second = first, first = s;
            else if (s > second)
                second = s;
        }
        score[g] = m->sigmoid && per > 1 ? first + second : first;
    }
    for (size_t k = 0; k < m->group_used; k++) {
        size_t best = SIZE_MAX;
        for (size_t g = 0; g < m->ngroup; g++)
            if (!chosen(set, g) && (best == SIZE_MAX || score[g] > score[best])) best = g;
        set |= (uint64_t)1 << best;
    }
    return set;
}

/* Phi-3.5-MoE's choice; see above. */
static void mix_sparsely(const struct moe *m, const float *score, int32_t *pick, float *weight)
{
    for (size_t k = 0; k < m->nused; k++) {
        int32_t best = -1;
        float sum = 0;
        for (int pass = 0; pass < 2; pass++) /* find the best; sum up who is near */
            for (size_t e = 0; e < m->nexpert; e++) {
                int taken = 0;
                for (size_t j = 0; j < k; j++) taken |= pick[j] == (int32_t)e;
                if (taken) continue;
                if (pass == 0 && (best < 0 || score[e] > score[best])) best = (int32_t)e;
                if (pass == 0) continue;
                float far = score[best] - score[e], most = fmaxf(fabsf(score[e]), score[best]);
                if (!(far / most > 0.02F)) sum += expf(-far);
            }
        pick[k] = best;
        weight[k] = m->scale / sum;
    }
}

/* The `used` best experts of one row, in falling order of score (equal ones: the lower number first), and their weights. */
static void route(const struct moe *m, float *score, int32_t *pick, float *weight)
{
    float max = -INFINITY, sum = 0;
    if (m->sparse) {
        mix_sparsely(m, score, pick, weight);
        return;
    }
    for (size_t e = 0; e < m->nexpert; e++) max = fmaxf(max, score[e]);
    for (size_t e = 0; e < m->nexpert; e++) {
        score[e] = m->sigmoid ? 1 / (1 + expf(-score[e])) : expf(score[e] - max);
        sum += score[e];
    }
    for (size_t e = 0; !m->sigmoid && e < m->nexpert; e++) score[e] /= sum;
    sum = 0;
    float *choice = score + m->nexpert; /* the row has room for both */
    for (size_t e = 0; e < m->nexpert; e++)
        choice[e] = score[e] + (m->choice_bias ? m->choice_bias[e] : 0);
    size_t per = m->nexpert / m->ngroup;
    uint64_t groups = m->ngroup > 1 ? best_groups(m, choice) : 1;
    for (size_t k = 0; k < m->nused; k++) {
        int32_t best = -1;
        float best_s = 0;
        for (size_t e = 0; e < m->nexpert; e++) {
            float s = choice[e];
            int taken = !chosen(groups, e / per);
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
    if (w.scale) w.scale += e;
    return w;
}

/* out = down(act(gate x) * up x) of n rows for one expert. */
static void expert_ffn(struct pass *p, const struct layer *l, size_t e, struct dev_rows x, size_t n,
                       struct dev_rows out)
{
    const struct moe *m = &l->moe;
    struct work *w = p->w;
    struct dev_matrix gate = expert(&m->gate, m->nff, e),
                      up = expert(&m->up, m->fused ? 2 * m->nff : m->nff, e),
                      down = expert(&m->down, p->m->h.width, e);
    const struct dev_matrix *two[2] = {&gate, &up}, *fused = &up, *one = &down;
    struct dev_rows rows[2] = {w->gate, w->up};
    if (m->fused) {
        p->d->ops->matmul(p->d, 1, &fused, x, n, &w->gate);
        rows[1] = (struct dev_rows){w->gate.p + m->nff, w->gate.stride};
    } else {
        p->d->ops->matmul(p->d, 2, two, x, n, rows);
    }
    if (m->bgate) p->d->ops->bias(p->d, m->bgate + e * m->nff, n, m->nff, rows[0]);
    if (m->bup) p->d->ops->bias(p->d, m->bup + e * m->nff, n, m->nff, rows[1]);
    p->d->ops->gate(p->d, p->m->arch->gate, l->gate_par, rows[0], rows[1], n, m->nff, w->gate);
    p->d->ops->matmul(p->d, 1, &one, w->gate, n, &out);
    if (m->bdown) p->d->ops->bias(p->d, m->bdown + e * p->m->h.width, n, p->m->h.width, out);
}

static void shared_ffn(struct pass *p, const struct layer *l)
{
    const struct moe *m = &l->moe;
    struct work *w = p->w;
    const struct dev_matrix *two[2] = {&m->shared_gate, &m->shared_up}, *one = &m->shared_down;
    struct dev_rows rows[2] = {w->gate, w->up};
    size_t nff = m->shared_up.rows;
    p->d->ops->matmul(p->d, 2, two, w->h, p->n, rows);
    if (m->shared_bgate) p->d->ops->bias(p->d, m->shared_bgate, p->n, nff, w->gate);
    if (m->shared_bup) p->d->ops->bias(p->d, m->shared_bup, p->n, nff, w->up);
    p->d->ops->gate(p->d, p->m->arch->gate, l->gate_par, w->gate, w->up, p->n, nff, w->gate);
    p->d->ops->matmul(p->d, 1, &one, w->gate, p->n, &w->moe_y);
    if (m->shared_bdown) p->d->ops->bias(p->d, m->shared_bdown, p->n, p->m->h.width, w->moe_y);
    for (size_t i = 0; i < p->n; i++) {
        float f = 1;
        if (m->shared_switch) {
            const float *h = w->h.p + i * w->h.stride;
            double dot = 0;
            for (size_t k = 0; k < p->m->h.width; k++)
                dot += (double)h[k] * (double)m->shared_switch[k];
            f = (float)(1 / (1 + exp(-dot)));
        }
        struct dev_rows from = {w->moe_y.p + i * w->moe_y.stride, w->moe_y.stride},
                        to = {w->o.p + i * w->o.stride, w->o.stride};
        p->d->ops->add(p->d, from, 1, p->m->h.width, f, to);
    }
}

/* h [n][width] -> score [n][nexpert] */
static void scores(struct pass *p, const struct moe *m)
{
    pass_linear(p, &m->router, m->brouter, p->w->h, p->w->score);
}

/* h, score -> o */
static void experts(struct pass *p, const struct layer *l)
{
    const struct moe *m = &l->moe;
    struct work *w = p->w;
    size_t width = p->m->h.width, used = m->nused;
    for (size_t i = 0; i < p->n; i++) {
        route(m, w->score.p + i * w->score.stride, w->pick + i * used, w->weight + i * used);
        memset(w->o.p + i * w->o.stride, 0, width * sizeof(float));
    }
    for (size_t e = 0; e < m->nexpert; e++) {
        size_t n = 0;
        for (size_t i = 0; i < p->n * used; i++) {
            if (w->pick[i] != (int32_t)e) continue;
            memcpy(w->moe_x.p + n * w->moe_x.stride, w->h.p + i / used * w->h.stride,
                   width * sizeof(float));
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

void moe_forward(struct pass *p, const struct layer *l)
{
    scores(p, &l->moe);
    experts(p, l);
}

void moe_beside(struct pass *p, const struct layer *l)
{
    const struct moe *m = &l->moe;
    struct work *w = p->w;
    size_t width = p->m->h.width;
    pass_norm(p, &m->dense_post, w->o, width, w->att); /* attention's buffer is free here */
    p->d->ops->rms(p->d, w->x, p->n, 1, width, m->router_norm, p->m->h.eps, w->h);
    scores(p, m);
    pass_norm(p, &m->pre, w->x, width, w->h);
    experts(p, l);
    pass_norm(p, &m->post, w->o, width, w->o);
    p->d->ops->add(p->d, w->att, p->n, width, 1, w->o);
}
