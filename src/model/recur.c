/* SPDX-License-Identifier: Apache-2.0
 *
 * model/recur.c: layers that carry a state: what they read from the file, and their part of the forward pass.
 *
 *   short convolution (LFM2)      B, C, x = Win h;   o = Wout (C * conv(B * x))
 *   Mamba-2 (Dao and Gu 2024)     z, x|B|C, dt = Win h;   x|B|C = silu(conv);   o = Wout norm(scan(x, B, C, dt) * silu(z))
 *   gated delta net (Yang et al.  q|k|v = silu(conv(Wqkv h)), z = Wz h, a = Wa h, b = Wb h;
 *   2024; Qwen3-Next, Qwen3.5)    o = Wout (norm(delta(q, k, v, a, b)) * silu(z))
 *
 * A layer's state: (kernel - 1) past inputs of each channel of its convolution, then the scan's matrices.
 */
#include <string.h>

#include "model/bind.h"
#include "model/forward.h"

/* ---- binding ---- */

static int key(struct binder *b, const char *tail, size_t max, size_t *out)
{
    uint32_t v = 0;
    int rc = model_key_u32(b->m, tail, &v, b->err);
    if (rc < 0) return rc;
    if (v < 1 || v > max)
        return lar_fail(b->err, LAR_EFORMAT, "%s.%s is %u%s; expected 1 to %zu", b->m->arch->name,
                        tail, v, rc ? "" : " (missing)", max);
    *out = v;
    return 0;
}

/* The kernel of a convolution: [channels][kernel] in the file, as F32. */
static int conv(struct binder *b, const char *part, size_t kernel, size_t channels,
                struct dev_conv *c)
{
    struct dev_matrix w;
    int rc = bind_need_matrix(b, part, kernel, channels, &w);
    if (rc < 0) return rc;
    if (w.type != DT_F32) {
        float *f = arena_array(&b->m->a, kernel * channels, sizeof *f);
        if (!f) return lar_fail(b->err, LAR_ENOMEM, "%s: out of memory", part);
        for (size_t i = 0; i < channels; i++)
            b->m->dev->kern->type[w.type].dequant(kernel, (const uint8_t *)w.data + i * w.stride,
                                                  f + i * kernel);
        w.data = f;
    }
    *c = (struct dev_conv){.channels = channels, .kernel = kernel, .w = w.data};
    return bind_vector(b, part, "bias", channels, &c->b);
}

static int state(struct binder *b, struct recur *r)
{
    r->conv_at = b->m->state_floats;
    r->scan_at = r->conv_at + r->conv.channels * (r->conv.kernel - 1);
    b->m->state_floats = r->scan_at + r->scan.nhead * r->scan.hd * r->scan.dstate;
    return 0;
}

static void at_least(size_t *v, size_t n)
{
    if (*v < n) *v = n;
}

static int bind_shortconv(struct binder *b, struct recur *r)
{
    size_t width = b->m->h.width, kernel;
    int rc;
    if ((rc = key(b, "shortconv.l_cache", 64, &kernel)) < 0) return rc;
    if ((rc = bind_need_matrix(b, "shortconv.in_proj", width, 3 * width, &r->in)) < 0) return rc;
    if ((rc = bind_need_matrix(b, "shortconv.out_proj", width, width, &r->out)) < 0) return rc;
    if ((rc = bind_vector(b, "shortconv.in_proj", "bias", 3 * width, &r->bin)) < 0) return rc;
    if ((rc = bind_vector(b, "shortconv.out_proj", "bias", width, &r->bout)) < 0) return rc;
    if ((rc = conv(b, "shortconv.conv", kernel, width, &r->conv)) < 0) return rc;
    at_least(&b->m->qkv_max, 3 * width);
    at_least(&b->m->q_max, width);
    at_least(&b->m->att_max, width);
    return state(b, r);
}

static int bind_mamba2(struct binder *b, struct recur *r)
{
    size_t width = b->m->h.width, kernel, inner, dstate, group, heads;
    int rc;
    if ((rc = key(b, "ssm.conv_kernel", 64, &kernel)) < 0) return rc;
    if ((rc = key(b, "ssm.inner_size", 1 << 20, &inner)) < 0) return rc;
    if ((rc = key(b, "ssm.state_size", 1 << 14, &dstate)) < 0) return rc;
    if ((rc = key(b, "ssm.group_count", 1 << 14, &group)) < 0) return rc;
    if ((rc = key(b, "ssm.time_step_rank", 1 << 14, &heads)) < 0) return rc;
    if (inner % heads || heads % group || inner % group)
        return lar_fail(b->err, LAR_EFORMAT,
                        "layer %zu: %zu inner, %zu heads, %zu groups do not divide", b->layer,
                        inner, heads, group);
    size_t channels = inner + 2 * group * dstate;
    r->scan =
        (struct dev_scan){.nhead = heads, .ngroup = group, .hd = inner / heads, .dstate = dstate};
    if ((rc = bind_need_matrix(b, "ssm_in", width, inner + channels + heads, &r->in)) < 0)
        return rc;
    if ((rc = bind_need_matrix(b, "ssm_out", inner, width, &r->out)) < 0) return rc;
    if ((rc = conv(b, "ssm_conv1d", kernel, channels, &r->conv)) < 0) return rc;
    r->conv.silu = 1;
    if ((rc = bind_need_vector(b, "ssm_dt", "bias", heads, &r->scan.dt_bias)) < 0) return rc;
    if ((rc = bind_need_vector(b, "ssm_a", NULL, heads, &r->scan.a)) < 0) return rc;
    if ((rc = bind_need_vector(b, "ssm_d", NULL, heads, &r->scan.d)) < 0) return rc;
    if ((rc = bind_vector(b, "ssm_norm", "weight", inner, &r->norm)) < 0) return rc;
    r->norm_groups = group;
    at_least(&b->m->qkv_max, inner + channels + heads);
    at_least(&b->m->q_max, channels);
    at_least(&b->m->att_max, inner);
    return state(b, r);
}

static int bind_delta(struct binder *b, struct recur *r)
{
    size_t width = b->m->h.width, kernel, inner, dk, nk, nv;
    int rc;
    if ((rc = key(b, "ssm.conv_kernel", 64, &kernel)) < 0) return rc;
    if ((rc = key(b, "ssm.inner_size", 1 << 20, &inner)) < 0) return rc;
    if ((rc = key(b, "ssm.state_size", 1 << 14, &dk)) < 0) return rc;
    if ((rc = key(b, "ssm.group_count", 1 << 14, &nk)) < 0) return rc;
    if ((rc = key(b, "ssm.time_step_rank", 1 << 14, &nv)) < 0) return rc;
    if (inner % nv || nv % nk)
        return lar_fail(b->err, LAR_EFORMAT,
                        "layer %zu: %zu inner, %zu and %zu heads do not divide", b->layer, inner,
                        nk, nv);
    size_t channels = 2 * nk * dk + inner;
    r->scan = (struct dev_scan){.nhead = nv,
                                .ngroup = nk,
                                .hd = inner / nv,
                                .dstate = dk,
                                .tiled = b->m->arch->delta_tiled};
    if ((rc = bind_need_matrix(b, "attn_qkv", width, channels, &r->in)) < 0) return rc;
    if ((rc = bind_need_matrix(b, "attn_gate", width, inner, &r->z)) < 0) return rc;
    if ((rc = bind_matrix(b, "ssm_ba", width, 2 * nv, &r->ba)) < 0) return rc;
    if (rc == 0) {
        if ((rc = bind_need_matrix(b, "ssm_alpha", width, nv, &r->alpha)) < 0) return rc;
        if ((rc = bind_need_matrix(b, "ssm_beta", width, nv, &r->beta)) < 0) return rc;
    }
    if ((rc = bind_need_matrix(b, "ssm_out", inner, width, &r->out)) < 0) return rc;
    if ((rc = conv(b, "ssm_conv1d", kernel, channels, &r->conv)) < 0) return rc;
    r->conv.silu = 1;
    if ((rc = bind_need_vector(b, "ssm_dt", "bias", nv, &r->scan.dt_bias)) < 0) return rc;
    if ((rc = bind_need_vector(b, "ssm_a", NULL, nv, &r->scan.a)) < 0) return rc;
    if ((rc = bind_need_vector(b, "ssm_norm", "weight", inner / nv, &r->norm)) < 0) return rc;
    at_least(&b->m->qkv_max, channels);
    at_least(&b->m->q_max, channels);
    at_least(&b->m->att_max, inner);
    at_least(&b->m->k_max, inner);
    at_least(&b->m->v_max, 4 * nv);
    return state(b, r);
}

int recur_bind(struct binder *b, struct layer *l)
{
    int rc = bind_norm(b, "attn_norm", b->m->h.width, &l->attn_norm);
    if (rc < 0) return rc;
    switch (l->mixer) {
    case MIX_SHORTCONV: return bind_shortconv(b, &l->recur);
    case MIX_RWKV7: return rwkv_bind(b, l);
    case MIX_BOTH:
    case MIX_MAMBA2: return bind_mamba2(b, &l->recur);
    default: return bind_delta(b, &l->recur);
    }
}

/* ---- forward: w->h [n][width] -> w->o [n][width] ---- */

static struct dev_rows part(struct dev_rows r, size_t at)
{
    return (struct dev_rows){r.p + at, r.stride};
}

static void matmul(struct pass *p, const struct dev_matrix *w, struct dev_rows x,
                   struct dev_rows out)
{
    p->d->ops->matmul(p->d, 1, &w, x, p->n, &out);
}

static void multiply(const struct pass *p, struct dev_rows a, struct dev_rows b, size_t width,
                     struct dev_rows out)
{
    for (size_t i = 0; i < p->n; i++)
        for (size_t k = 0; k < width; k++)
            out.p[i * out.stride + k] = a.p[i * a.stride + k] * b.p[i * b.stride + k];
}

static void shortconv_forward(struct pass *p, const struct recur *r)
{
    struct work *w = p->w;
    size_t width = p->m->h.width;
    pass_linear(p, &r->in, r->bin, w->h, w->qkv); /* B | C | x, each [n][width] */
    multiply(p, w->qkv, part(w->qkv, 2 * width), width, w->q);
    p->d->ops->conv(p->d, &r->conv, p->b->seq, p->b->nseq, r->conv_at, w->q, w->att);
    multiply(p, w->att, part(w->qkv, width), width, w->att);
    pass_linear(p, &r->out, r->bout, w->att, w->o);
}

static void mamba2_forward(struct pass *p, const struct recur *r)
{
    struct work *w = p->w;
    const struct dev_scan *s = &r->scan;
    size_t inner = s->nhead * s->hd, bc = s->ngroup * s->dstate;
    matmul(p, &r->in, w->h, w->qkv); /* z [inner] | x B C [channels] | dt [heads] */
    p->d->ops->conv(p->d, &r->conv, p->b->seq, p->b->nseq, r->conv_at, part(w->qkv, inner), w->q);
    p->d->ops->mamba2(p->d, s, p->b->seq, p->b->nseq, r->scan_at, w->q, part(w->q, inner),
                      part(w->q, inner + bc), part(w->qkv, inner + r->conv.channels), w->att);
    p->d->ops->gate(p->d, GATE_SILU, NULL, w->qkv, w->att, p->n, inner, w->att); /* silu(z) * y */
    if (r->norm)
        for (size_t g = 0; g < r->norm_groups; g++) {
            size_t width = inner / r->norm_groups;
            p->d->ops->rms(p->d, part(w->att, g * width), p->n, 1, width, r->norm + g * width,
                           p->m->h.eps, part(w->att, g * width));
        }
    matmul(p, &r->out, w->att, w->o);
}

static void delta_forward(struct pass *p, const struct recur *r)
{
    struct work *w = p->w;
    const struct dev_scan *s = &r->scan;
    size_t inner = s->nhead * s->hd, nk = s->ngroup * s->dstate;
    struct dev_rows ab = w->v; /* alpha [heads] | beta [heads] */
    matmul(p, &r->in, w->h, w->qkv);
    matmul(p, &r->z, w->h, w->k); /* z [n][inner] */
    if (r->ba.data) {
        /* Each key head's betas, then its alphas. */
        size_t per = s->nhead / s->ngroup;
        struct dev_rows mixed = part(w->v, 2 * s->nhead);
        matmul(p, &r->ba, w->h, mixed);
        for (size_t i = 0; i < p->n; i++)
            for (size_t h = 0; h < s->nhead; h++) {
                const float *from = mixed.p + i * mixed.stride + h / per * 2 * per;
                ab.p[i * ab.stride + s->nhead + h] = from[h % per];
                ab.p[i * ab.stride + h] = from[per + h % per];
            }
    } else {
        matmul(p, &r->alpha, w->h, ab);
        matmul(p, &r->beta, w->h, part(ab, s->nhead));
    }
    p->d->ops->conv(p->d, &r->conv, p->b->seq, p->b->nseq, r->conv_at, w->qkv,
                    w->q); /* q | k | v */
    p->d->ops->delta(p->d, s, p->b->seq, p->b->nseq, r->scan_at, w->q, part(w->q, nk),
                     part(w->q, 2 * nk), ab, w->att);
    p->d->ops->rms(p->d, w->att, p->n, s->nhead, s->hd, r->norm, p->m->h.eps, w->att);
    p->d->ops->gate(p->d, GATE_SILU, NULL, w->k, w->att, p->n, inner, w->att);
    matmul(p, &r->out, w->att, w->o);
}

void recur_forward(struct pass *p, const struct layer *l)
{
    switch (l->mixer) {
    case MIX_SHORTCONV: shortconv_forward(p, &l->recur); break;
    case MIX_BOTH:
    case MIX_MAMBA2: mamba2_forward(p, &l->recur); break;
    default: delta_forward(p, &l->recur); break;
    }
}
