/* SPDX-License-Identifier: Apache-2.0
 *
 * model/rwkv.c: the layers of RWKV-7 (Peng et al. 2025, "Goose"): no attention, a matrix for each head as its memory. The formulas are the
 * paper's; names and constants those of ggml's files. sh(x, m) = x + (the token before's x - x) m, [width] factors m for each use.
 *
 *   time mix, h = norm(x)     r, k, v = Wr sh(h, m0), Wk sh(h, m2), Wv sh(h, m3)
 *                             w = exp(-0.606531 sigmoid(w0 + W2 tanh(W1 sh(h, m1))))        a = sigmoid(a0 + A2 A1 sh(h, m4))
 *                             g = G2 sigmoid(G1 sh(h, m5))                                  where the file has it, else 1
 *                             v = v + (v of the first layer - v) sigmoid(v0 + V2 V1 sh(h, m3))   beyond the first layer
 *                             kk = k kk0 made of length 1 in each head,  k = k (1 + (a - 1) ka)
 *                             S = S diag(w) - (S kk) (kk a)^T + v k^T,  y = S r             each head's S [hd][hd]
 *                             x += Wo (g (norm of each head(y) + v (r . k rk)))
 *   channel mix, h = norm(x)  x += Wv max(Wk sh(h, m), 0)^2
 *
 * A layer's state: the last row of h of both mixes, then the matrices. All rows go through all layers; those whose logits are wanted are
 * picked at the end.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/pool.h"
#include "model/bind.h"
#include "model/forward.h"

/* ---- binding ---- */

/* A low-rank pair: [rank][width], [width][rank], and what is added, [width]. */
static int low_rank(struct binder *b, const char *name, size_t bias, struct rwkv_pair *p)
{
    char part[40];
    size_t width = b->m->h.width;
    int rc;
    snprintf(part, sizeof part, "time_mix_%s1", name);
    if ((rc = bind_matrix(b, part, width, 0, &p->down)) <= 0) return rc;
    snprintf(part, sizeof part, "time_mix_%s2", name);
    if ((rc = bind_need_matrix(b, part, p->down.rows, width, &p->up)) < 0) return rc;
    snprintf(part, sizeof part, "time_mix_%s0", name);
    if (bias && (rc = bind_need_vector(b, part, "weight", width, &p->b)) < 0) return rc;
    if (b->m->gate_max < p->down.rows) b->m->gate_max = p->down.rows;
    return 1;
}

/* [n][1][1][width] factors. */
static int factors(struct binder *b, const char *part, size_t n, const float **out)
{
    char name[BIND_NAME_MAX];
    const struct gguf_tensor *t = bind_find(b, part, "weight", name);
    size_t width = b->m->h.width;
    if (!t || t->type != DT_F32 || (size_t)t->dim[0] != width ||
        (uint64_t)t->dim[1] * (uint64_t)t->dim[2] * (uint64_t)t->dim[3] != n)
        return lar_fail(b->err, LAR_EFORMAT, "tensor %s must be there, %zu x %zu of F32", name, width, n);
    *out = (const float *)(const void *)t->data;
    return 0;
}

static int time_mix(struct binder *b, struct rwkv *r)
{
    size_t width = b->m->h.width;
    int rc, first = b->layer == 0;
    char name[BIND_NAME_MAX];
    r->gated = gguf_tensor(&b->m->gguf, bind_name(b, "time_mix_g1", "weight", name)) != NULL;
    if ((rc = factors(b, "time_mix_lerp_fused", r->gated ? 6 : 5, &r->shift)) < 0) return rc;
    if ((rc = bind_need_matrix(b, "time_mix_receptance", width, width, &r->wr)) < 0) return rc;
    if ((rc = bind_need_matrix(b, "time_mix_key", width, width, &r->wk)) < 0) return rc;
    if ((rc = bind_need_matrix(b, "time_mix_value", width, width, &r->wv)) < 0) return rc;
    if ((rc = bind_need_matrix(b, "time_mix_output", width, width, &r->wo)) < 0) return rc;
    if ((rc = low_rank(b, "w", 1, &r->w)) < 0) return rc;
    if ((rc = low_rank(b, "a", 1, &r->a)) < 0) return rc;
    if ((rc = low_rank(b, "g", 0, &r->g)) < 0) return rc;
    if ((rc = low_rank(b, "v", 1, &r->v)) < 0) return rc; /* the first layer's is in files, and not used */
    if (!r->w.up.data || !r->a.up.data || (!r->v.up.data && !first))
        return lar_fail(b->err, LAR_EFORMAT, "layer %zu: time_mix_w1, a1 or v1 is missing", b->layer);
    if ((rc = bind_need_vector(b, "time_mix_k_k", "weight", width, &r->kk)) < 0) return rc;
    if ((rc = bind_need_vector(b, "time_mix_k_a", "weight", width, &r->ka)) < 0) return rc;
    if ((rc = bind_need_vector(b, "time_mix_r_k", "weight", width, &r->rk)) < 0) return rc;
    if ((rc = bind_need_vector(b, "time_mix_ln", "weight", width, &r->ln)) < 0) return rc;
    return bind_need_vector(b, "time_mix_ln", "bias", width, &r->ln_b);
}

static void at_least(size_t *v, size_t n)
{
    if (*v < n) *v = n;
}

int rwkv_bind(struct binder *b, struct layer *l)
{
    struct model *m = b->m;
    struct rwkv *r = &l->rwkv;
    size_t width = m->h.width;
    uint32_t hd = 0;
    int rc = model_key_u32(m, "wkv.head_size", &hd, b->err);
    if (rc < 0) return rc;
    if (hd < 1 || hd > 1024 || width % hd)
        return lar_fail(b->err, LAR_EFORMAT, "%s.wkv.head_size is %u, the width %zu", m->arch->name, hd, width);
    r->hd = hd;
    if ((rc = time_mix(b, r)) < 0) return rc;
    if ((rc = bind_need_norm(b, "attn_norm_2", width, &r->norm)) < 0) return rc;
    if ((rc = bind_need_vector(b, "channel_mix_lerp_k", "weight", width, &r->channel_shift)) < 0) return rc;
    if ((rc = bind_need_matrix(b, "channel_mix_key", width, 0, &r->key)) < 0) return rc;
    if ((rc = bind_need_matrix(b, "channel_mix_value", r->key.rows, width, &r->value)) < 0) return rc;
    l->nff = 0; /* the channel mix is in its place */
    r->state_at = m->state_floats;
    m->state_floats += 2 * width + width * hd;
    at_least(&m->ff_max, r->key.rows);
    at_least(&m->q_max, width);
    at_least(&m->v_max, width);
    at_least(&m->up_max, width);
    at_least(&m->att_max, width);
    at_least(&m->qkv_max, 5 * width);
    return 0;
}

/* ---- forward ---- */

/* w->h -> w->att: each row moved towards the one before it, by the factors m. */
static void shift(const struct pass *p, size_t state_at, const float *m)
{
    size_t width = p->m->h.width;
    struct dev_rows h = p->w->h, out = p->w->att;
    for (size_t s = 0; s < p->b->nseq; s++) {
        const struct dev_seq *seq = &p->b->seq[s];
        for (size_t i = 0; i < seq->n; i++) {
            size_t row = seq->first + i;
            const float *x = h.p + row * h.stride, *before = i ? x - h.stride : seq->state + state_at;
            for (size_t k = 0; k < width; k++) out.p[row * out.stride + k] = x[k] + (before[k] - x[k]) * m[k];
        }
    }
}

/* Keeps the last row of w->h for the next step. */
static void remember(const struct pass *p, size_t state_at)
{
    struct dev_rows h = p->w->h;
    for (size_t s = 0; s < p->b->nseq; s++) {
        const struct dev_seq *seq = &p->b->seq[s];
        if (seq->n)
            memcpy(seq->state + state_at, h.p + (seq->first + seq->n - 1) * h.stride, p->m->h.width * sizeof(float));
    }
}

static void matmul(const struct pass *p, const struct dev_matrix *w, struct dev_rows x, struct dev_rows out)
{
    p->d->ops->matmul(p->d, 1, &w, x, p->n, &out);
}

static float sigmoid(float x) { return 1 / (1 + expf(-x)); }

/* out = up act(down w->att) + b, act: 0 none, 1 tanh, 2 sigmoid */
static void pair(const struct pass *p, const struct rwkv_pair *r, int act, struct dev_rows out)
{
    struct dev_rows mid = p->w->gate;
    matmul(p, &r->down, p->w->att, mid);
    for (size_t i = 0; act && i < p->n; i++)
        for (size_t k = 0; k < r->down.rows; k++) {
            float *x = mid.p + i * mid.stride + k;
            *x = act == 1 ? tanhf(*x) : sigmoid(*x);
        }
    pass_linear(p, &r->up, r->b, mid, out);
}

struct heads {
    const struct pass *p;
    const struct rwkv *r;
    struct dev_rows rr, w, k, a, v, out; /* [n][width] */
};

/* One token through one head, S [hd][hd] by the value's element. kk and bb: what is forgotten and how, [hd]. */
static void wkv(size_t hd, float *state, const float *r, const float *w, const float *k, const float *v,
                const float *kk, const float *bb, float *out)
{
    for (size_t i = 0; i < hd; i++) {
        float *s = state + i * hd, seen = 0, y = 0;
        for (size_t j = 0; j < hd; j++) seen += s[j] * kk[j];
        for (size_t j = 0; j < hd; j++) {
            s[j] = s[j] * w[j] + v[i] * k[j] - seen * bb[j];
            y += s[j] * r[j];
        }
        out[i] = y;
    }
}

enum { HD_MAX = 1024 };

/* What comes out of a head: made of mean 0 and deviation 1, then the current token's own value. */
static void finish(const struct rwkv *r, size_t at, const float *rr, const float *k, const float *v, float *y)
{
    double mean = 0, var = 0;
    float own = 0;
    for (size_t j = 0; j < r->hd; j++) mean += (double)y[j];
    mean /= (double)r->hd;
    for (size_t j = 0; j < r->hd; j++) var += ((double)y[j] - mean) * ((double)y[j] - mean);
    double scale = 1 / sqrt(var / (double)r->hd + 64e-5);
    for (size_t j = 0; j < r->hd; j++) own += k[j] * rr[j] * r->rk[at + j];
    for (size_t j = 0; j < r->hd; j++)
        y[j] = (float)(((double)y[j] - mean) * scale) * r->ln[at + j] + r->ln_b[at + j] + v[j] * own;
}

static void run_heads(void *ctx, size_t begin, size_t end, int thread)
{
    const struct heads *j = ctx;
    const struct rwkv *r = j->r;
    size_t hd = r->hd, width = j->p->m->h.width;
    float kk[HD_MAX], bb[HD_MAX];
    (void)thread;
    for (size_t s = 0; s < j->p->b->nseq; s++)
        for (size_t h = begin; h < end; h++)
            for (size_t i = 0; i < j->p->b->seq[s].n; i++) {
                size_t row = j->p->b->seq[s].first + i, at = h * hd;
                float *state = j->p->b->seq[s].state + r->state_at + 2 * width + h * hd * hd;
                float *k = j->k.p + row * j->k.stride + at, *out = j->out.p + row * j->out.stride + at;
                const float *rr = j->rr.p + row * j->rr.stride + at, *w = j->w.p + row * j->w.stride + at;
                const float *a = j->a.p + row * j->a.stride + at, *v = j->v.p + row * j->v.stride + at;
                double sum = 0;
                for (size_t e = 0; e < hd; e++) {
                    kk[e] = k[e] * r->kk[at + e];
                    sum += (double)kk[e] * (double)kk[e];
                }
                float unit = (float)(1 / fmax(sqrt(sum), 1e-12));
                for (size_t e = 0; e < hd; e++) {
                    kk[e] *= unit;
                    bb[e] = kk[e] * a[e];
                    k[e] *= 1 + (a[e] - 1) * r->ka[at + e];
                }
                wkv(hd, state, rr, w, k, v, kk, bb, out);
                finish(r, at, rr, k, v, out);
            }
}

/* w->h -> w->o; w->q holds the first layer's values through the whole step. */
static void mix_times(const struct pass *p, const struct rwkv *r, int first)
{
    struct work *w = p->w;
    size_t width = p->m->h.width, at = r->state_at, stride = w->qkv.stride;
    float *q = w->qkv.p;
    struct dev_rows rr = {q, stride}, ww = {q + width, stride}, k = {q + 2 * width, stride};
    struct dev_rows a = {q + 3 * width, stride}, g = {q + 4 * width, stride}, v = w->v;
    shift(p, at, r->shift);
    matmul(p, &r->wr, w->att, rr);
    shift(p, at, r->shift + width);
    pair(p, &r->w, 1, ww);
    shift(p, at, r->shift + 2 * width);
    matmul(p, &r->wk, w->att, k);
    shift(p, at, r->shift + 3 * width);
    matmul(p, &r->wv, w->att, v);
    if (!first) pair(p, &r->v, 0, w->up);
    for (size_t i = 0; i < p->n; i++)
        for (size_t e = 0; e < width; e++) {
            float *x = v.p + i * v.stride + e, *f = w->q.p + i * w->q.stride + e, *d = ww.p + i * stride + e;
            if (first)
                *f = *x;
            else
                *x += (*f - *x) * sigmoid(w->up.p[i * w->up.stride + e]);
            *d = expf(-0.606531F * sigmoid(*d));
        }
    shift(p, at, r->shift + 4 * width);
    pair(p, &r->a, 0, a);
    for (size_t i = 0; i < p->n; i++)
        for (size_t e = 0; e < width; e++) a.p[i * stride + e] = sigmoid(a.p[i * stride + e]);
    if (r->gated) {
        shift(p, at, r->shift + 5 * width);
        pair(p, &r->g, 2, g);
    }
    remember(p, at);
    struct heads j = {p, r, rr, ww, k, a, v, w->att};
    pool_for(p->d->pool, width / r->hd, 1, run_heads, &j);
    for (size_t i = 0; r->gated && i < p->n; i++)
        for (size_t e = 0; e < width; e++) w->att.p[i * w->att.stride + e] *= g.p[i * stride + e];
    matmul(p, &r->wo, w->att, w->o);
}

void rwkv_layer(const struct pass *p, size_t li)
{
    const struct layer *l = &p->m->layer[li];
    const struct rwkv *r = &l->rwkv;
    struct work *w = p->w;
    size_t width = p->m->h.width;
    struct dev_rows ones = {NULL, 0};
    pass_norm(p, &l->attn_norm, w->x, width, w->h);
    mix_times(p, r, li == 0);
    p->d->ops->add(p->d, w->o, p->n, width, 1, w->x);
    pass_norm(p, &r->norm, w->x, width, w->h);
    shift(p, r->state_at + width, r->channel_shift);
    remember(p, r->state_at + width);
    matmul(p, &r->key, w->att, w->gate);
    p->d->ops->gate(p->d, GATE_RELU2, NULL, w->gate, ones, p->n, r->key.rows, w->gate);
    matmul(p, &r->value, w->gate, w->o);
    p->d->ops->add(p->d, w->o, p->n, width, 1, w->x);
}
