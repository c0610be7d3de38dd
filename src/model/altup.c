/* SPDX-License-Identifier: Apache-2.0
 *
 * model/altup.c: Gemma 3n's streams (alternating updates, Baykal et al. 2023): the residual stream exists n times, a layer works on one and
 * moves the others along.
 *
 *     begin      s[0] = x, s[k] = Wk x, made as long as x
 *     a layer    p[i] = s[i] + sum over j of c[i][j] s[j]               c = Wp t,  t = tanh(Wr norm(s[active]) / width)
 *                y = (p[active] + attention + laurel) / sqrt(2);  y += feed-forward     laurel = h + norm(Wr2 Wl h)
 *                s[i] = p[i] + d[i] (y - p[active])                     d = 1 + Wc t',  t' from y
 *                s[i > 0] += norm(Wproj (gelu(Wgate (s[active] * scale)) * input of this layer))
 *     end        x = (s[0] + sum over k > 0 of Uk s[k], made as long as s[0]) / n
 */
#include <math.h>
#include <string.h>

#include "model/bind.h"
#include "model/forward.h"

/* ---- binding ---- */

int altup_bind_model(struct binder *b)
{
    struct model *m = b->m;
    uint32_t n = 0, active = 0;
    size_t width = m->h.width;
    int rc;
    if ((rc = model_key_u32(m, "altup.num_inputs", &n, b->err)) < 0) return rc;
    if ((rc = model_key_u32(m, "altup.active_idx", &active, b->err)) < 0) return rc;
    if (n == 0) return 0;
    if (n < 2 || n > ALTUP_MAX || active >= n)
        return lar_fail(b->err, LAR_EFORMAT, "%s.altup: %u inputs, %u active; 2 to %d are possible",
                        m->arch->name, n, active, ALTUP_MAX);
    m->altup = n;
    m->altup_active = active;
    if ((rc = bind_stack(b, "altup_proj", width, width, n - 1, &m->altup_proj)) < 0) return rc;
    return bind_stack(b, "altup_unembd_proj", width, width, n - 1, &m->altup_unembed);
}

int altup_bind_layer(struct binder *b, struct layer *l)
{
    size_t width = b->m->h.width, n = b->m->altup;
    struct altup *a = &l->altup;
    int rc;
    if (n == 0) return 0;
    if ((rc = bind_need_matrix(b, "altup_router", width, n, &a->router)) < 0) return rc;
    if ((rc = bind_need_matrix(b, "altup_predict_coef", n, n * n, &a->predict)) < 0) return rc;
    if ((rc = bind_need_matrix(b, "altup_correct_coef", n, n, &a->correct)) < 0) return rc;
    if ((rc = bind_need_vector(b, "altup_correct_scale", "weight", width, &a->scale)) < 0)
        return rc;
    if ((rc = bind_need_norm(b, "altup_router_norm", width, &a->router_norm)) < 0) return rc;
    if ((rc = bind_need_matrix(b, "laurel_l", width, 0, &a->laurel_l)) < 0) return rc;
    if ((rc = bind_need_matrix(b, "laurel_r", a->laurel_l.rows, width, &a->laurel_r)) < 0)
        return rc;
    if (a->laurel_l.rows > b->m->ff_max) b->m->ff_max = a->laurel_l.rows;
    return bind_need_norm(b, "laurel_post_norm", width, &a->laurel_norm);
}

/* ---- forward ---- */

static struct dev_rows stream(const struct pass *p, struct dev_rows all, size_t i)
{
    return (struct dev_rows){all.p + i * p->m->h.width, all.stride};
}

static void copy(const struct pass *p, struct dev_rows from, struct dev_rows to)
{
    for (size_t i = 0; i < p->n; i++)
        memcpy(to.p + i * to.stride, from.p + i * from.stride, p->m->h.width * sizeof(float));
}

static double length(const float *x, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += (double)x[i] * (double)x[i];
    return sqrt(sum);
}

static struct dev_matrix slice(const struct dev_matrix *all, size_t rows, size_t i)
{
    struct dev_matrix w = *all;
    w.rows = rows;
    w.data = (const uint8_t *)all->data + i * rows * all->stride;
    return w;
}

/* Each row of x becomes as long as that of like. */
static void same_length(const struct pass *p, struct dev_rows x, struct dev_rows like)
{
    size_t width = p->m->h.width;
    for (size_t i = 0; i < p->n; i++) {
        double to = length(like.p + i * like.stride, width), is = length(x.p + i * x.stride, width);
        float f = is > 0 ? (float)(to / is) : 0;
        for (size_t k = 0; k < width; k++) x.p[i * x.stride + k] *= f;
    }
}

void altup_begin(struct pass *p)
{
    struct work *w = p->w;
    copy(p, w->x, stream(p, w->streams, 0));
    for (size_t k = 1; k < p->m->altup; k++) {
        struct dev_matrix proj = slice(&p->m->altup_proj, p->m->h.width, k - 1);
        pass_linear(p, &proj, NULL, w->x, stream(p, w->streams, k));
        same_length(p, stream(p, w->streams, k), w->x);
    }
}

void altup_end(struct pass *p)
{
    struct work *w = p->w;
    size_t n = p->m->altup, width = p->m->h.width;
    copy(p, stream(p, w->streams, 0), w->x);
    for (size_t k = 1; k < n; k++) {
        struct dev_matrix proj = slice(&p->m->altup_unembed, width, k - 1);
        pass_linear(p, &proj, NULL, stream(p, w->streams, k), w->o);
        same_length(p, w->o, stream(p, w->streams, 0));
        p->d->ops->add(p->d, w->o, p->n, width, 1, w->x);
    }
    p->d->ops->scale(p->d, 1 / (float)n, p->n, width, w->x);
}

/* t [n][altup] of row x, through h. */
static void router(const struct pass *p, const struct altup *a, struct dev_rows x,
                   struct dev_rows t)
{
    struct work *w = p->w;
    pass_norm(p, &a->router_norm, x, p->m->h.width, w->h);
    p->d->ops->scale(p->d, 1 / (float)p->m->h.width, p->n, p->m->h.width, w->h);
    pass_linear(p, &a->router, NULL, w->h, t);
    for (size_t i = 0; i < p->n; i++)
        for (size_t k = 0; k < p->m->altup; k++)
            t.p[i * t.stride + k] = tanhf(t.p[i * t.stride + k]);
}

static void predict(const struct pass *p, const struct altup *a)
{
    struct work *w = p->w;
    size_t n = p->m->altup, width = p->m->h.width;
    struct dev_rows t = w->coef, c = {w->coef.p + n, w->coef.stride};
    router(p, a, stream(p, w->streams, p->m->altup_active), t);
    pass_linear(p, &a->predict, NULL, t, c); /* [n][altup * altup] */
    for (size_t r = 0; r < p->n; r++)
        for (size_t i = 0; i < n; i++) {
            float *out = w->predicted.p + r * w->predicted.stride + i * width;
            const float *in = w->streams.p + r * w->streams.stride,
                        *ci = c.p + r * c.stride + i * n;
            memcpy(out, in + i * width, width * sizeof *out);
            for (size_t j = 0; j < n; j++) p->d->kern->axpy(width, ci[j], in + j * width, out);
        }
}

static void correct(const struct pass *p, const struct altup *a)
{
    struct work *w = p->w;
    size_t n = p->m->altup, width = p->m->h.width, act = p->m->altup_active;
    struct dev_rows t = w->coef, c = {w->coef.p + n, w->coef.stride};
    router(p, a, w->x, t);
    pass_linear(p, &a->correct, NULL, t, c); /* [n][altup] */
    for (size_t r = 0; r < p->n; r++) {
        const float *pred = w->predicted.p + r * w->predicted.stride;
        float *x =
            w->x.p + r * w->x.stride; /* becomes what the layer found beyond the prediction */
        for (size_t k = 0; k < width; k++) x[k] -= pred[act * width + k];
        for (size_t i = 0; i < n; i++) {
            float *out = w->streams.p + r * w->streams.stride + i * width;
            memcpy(out, pred + i * width, width * sizeof *out);
            p->d->kern->axpy(width, 1 + c.p[r * c.stride + i], x, out);
        }
    }
}

static void layer_input(const struct pass *p, const struct layer *l, size_t li)
{
    struct work *w = p->w;
    size_t width = p->m->h.width;
    struct dev_rows in = {w->pl.p + li * p->m->npl, w->pl.stride},
                    active = stream(p, w->streams, p->m->altup_active);
    for (size_t r = 0; r < p->n; r++)
        for (size_t k = 0; k < width; k++)
            w->h.p[r * w->h.stride + k] = active.p[r * active.stride + k] * l->altup.scale[k];
    pass_linear(p, &l->pl_gate, NULL, w->h, w->gate);
    p->d->ops->gate(p->d, GATE_GELU_TANH, NULL, w->gate, in, p->n, p->m->npl, w->gate);
    pass_linear(p, &l->pl_proj, NULL, w->gate, w->o);
    pass_norm(p, &l->pl_post, w->o, width, w->o);
    for (size_t i = 1; i < p->m->altup; i++)
        p->d->ops->add(p->d, w->o, p->n, width, 1, stream(p, w->streams, i));
}

void altup_layer(struct pass *p, size_t li)
{
    const struct layer *l = &p->m->layer[li];
    const struct altup *a = &l->altup;
    struct work *w = p->w;
    size_t width = p->m->h.width;
    predict(p, a);
    copy(p, stream(p, w->predicted, p->m->altup_active), w->x);
    pass_norm(p, &l->attn_norm, w->x, width, w->h);
    pass_linear(p, &a->laurel_l, NULL, w->h, w->gate);
    pass_linear(p, &a->laurel_r, NULL, w->gate, w->laurel);
    pass_norm(p, &a->laurel_norm, w->laurel, width, w->laurel);
    p->d->ops->add(p->d, w->h, p->n, width, 1, w->laurel);
    pass_attention(p, li);
    if (p->n == 0) return;
    p->d->ops->add(p->d, w->o, p->n, width, 1, w->x);
    p->d->ops->add(p->d, w->laurel, p->n, width, 1, w->x);
    p->d->ops->scale(p->d, sqrtf(0.5f), p->n, width, w->x);
    pass_norm(p, &l->ffn_norm, w->x, width, w->h);
    pass_ffn(p, l);
    p->d->ops->add(p->d, w->o, p->n, width, 1, w->x);
    correct(p, a);
    layer_input(p, l, li);
}
