/* SPDX-License-Identifier: Apache-2.0
 *
 * model/forward.c: the forward pass of a decoder, written once; what differs between families is read from struct layer.
 *
 *     x = embed[token]
 *     for each layer:   x += post(Wo attend(rope(norm(Wq h)), rope(norm(Wk h)), Wv h))      h = norm(x)
 *                       x += post(Wdown (act(Wgate h) * Wup h))                              h = norm(x)
 *     logits = Wout norm(x)
 *
 * n rows go through together; shapes stand beside each step. In the last layer only rows whose logits are wanted go on after
 * their keys and values are written.
 */
#include <math.h>
#include <string.h>

#include "model/forward.h"

void pass_norm(const struct pass *p, const struct norm *nm, struct dev_rows x, size_t width,
               struct dev_rows out)
{
    if (!nm->w) { /* no norm here: the block reads x itself */
        if (out.p != x.p)
            for (size_t i = 0; i < p->n; i++)
                memcpy(out.p + i * out.stride, x.p + i * x.stride, width * sizeof(float));
        return;
    }
    size_t heads = width / nm->width;
    if (nm->by_head) {
        struct norm one = {.width = nm->width};
        for (size_t h = 0, at = 0; h < heads; h++, at += nm->width) {
            one.w = nm->w + at;
            one.b = nm->b ? nm->b + at : NULL;
            pass_norm(p, &one, (struct dev_rows){x.p + at, x.stride}, nm->width,
                      (struct dev_rows){out.p + at, out.stride});
        }
        return;
    }
    if (p->m->arch->norm == NORM_LAYER)
        p->d->ops->norm(p->d, x, p->n, heads, nm->width, nm->w, nm->b, p->m->h.eps, out);
    else
        p->d->ops->rms(p->d, x, p->n, heads, nm->width, nm->w, p->m->h.eps, out);
}

static void bias(const struct pass *p, const float *b, size_t width, struct dev_rows y)
{
    if (b) p->d->ops->bias(p->d, b, p->n, width, y);
}

void pass_linear(const struct pass *p, const struct dev_matrix *w, const float *b,
                 struct dev_rows x, struct dev_rows out)
{
    p->d->ops->matmul(p->d, 1, &w, x, p->n, &out);
    bias(p, b, w->rows, out);
}

/* h [n][width] -> q [n][nhead hd], k [n][nkv hd], v [n][nkv hdv] */
static void project_qkv(const struct pass *p, const struct layer *l, struct dev_rows *q,
                        struct dev_rows *k, struct dev_rows *v)
{
    struct work *w = p->w;
    if (l->wqkv.data) {
        pass_linear(p, &l->wqkv, l->bqkv, w->h, w->qkv);
        *q = w->qkv;
        *k = (struct dev_rows){w->qkv.p + l->attn.nhead * l->attn.hd, w->qkv.stride};
        *v = (struct dev_rows){k->p + l->attn.nkv * l->attn.hd, w->qkv.stride};
        return;
    }
    int li = (int)(l - p->m->layer), own = (int)l->kv_from == li;
    const struct dev_matrix *ws[3] = {&l->wq, &l->wk, &l->wv};
    struct dev_rows out[3] = {l->gated ? w->qkv : w->q, w->k, w->v};
    p->d->ops->matmul(p->d, !own ? 1 : l->wv.data ? 3 : 2, ws, w->h, p->n, out);
    if (own && !l->wv.data) /* the values are the keys as they come */
        for (size_t i = 0; i < p->n; i++)
            memcpy(w->v.p + i * w->v.stride, w->k.p + i * w->k.stride, l->wk.rows * sizeof(float));
    bias(p, l->bq, l->wq.rows, out[0]);
    bias(p, l->bk, l->wk.rows, w->k);
    bias(p, l->bv, l->wv.rows, w->v);
    *q = w->q, *k = w->k, *v = w->v;
}

/* Moves the rows whose logits are wanted to the front of r. */
static void keep_rows(const struct pass *p, struct dev_rows r, size_t width)
{
    size_t to = 0;
    for (size_t s = 0; s < p->b->nseq; s++) {
        size_t keep = p->b->keep[s], from = p->b->seq[s].first + p->b->seq[s].n - keep;
        for (size_t i = 0; i < keep && from != to; i++)
            memmove(r.p + (to + i) * r.stride, r.p + (from + i) * r.stride, width * sizeof(float));
        to += keep;
    }
}

/* From here on only those rows are at work: x and h follow, and the timelines' bookkeeping. */
static void keep_wanted(struct pass *p)
{
    size_t to = 0;
    keep_rows(p, p->w->x, p->m->h.width);
    keep_rows(p, p->w->h, p->m->h.width);
    if (p->m->altup) {
        keep_rows(p, p->w->streams, p->m->altup * p->m->h.width);
        keep_rows(p, p->w->predicted, p->m->altup * p->m->h.width);
        keep_rows(p, p->w->laurel, p->m->h.width);
    }
    if (p->m->npl) keep_rows(p, p->w->pl, p->m->npl * p->m->h.nlayer);
    for (size_t s = 0; s < p->b->nseq; s++) {
        struct dev_seq *seq = &p->b->seq[s];
        seq->pos += (int64_t)(seq->n - p->b->keep[s]);
        seq->first = to;
        seq->n = p->b->keep[s];
        to += seq->n;
    }
    p->n = to;
}

static void head_norms(const struct pass *p, const struct layer *l, struct dev_rows q,
                       struct dev_rows k)
{
    if (l->q_norm.w) pass_norm(p, &l->q_norm, q, l->attn.nhead * l->attn.hd, q);
    if (l->k_norm.w && &p->m->layer[l->kv_from] == l)
        pass_norm(p, &l->k_norm, k, l->attn.nkv * l->attn.hd, k);
}

/* Attention's temperature falls with the position: see hparams.temp_scale. */
static void temper(const struct pass *p, struct dev_rows q, size_t width)
{
    for (size_t s = 0; s < p->b->nseq; s++)
        for (size_t i = 0; i < p->b->seq[s].n; i++) {
            double turns =
                floor((double)(p->b->seq[s].pos + (int64_t)i) / (double)p->m->h.temp_period);
            struct dev_rows row = {q.p + (p->b->seq[s].first + i) * q.stride, q.stride};
            p->d->ops->scale(p->d, (float)(1 + (double)p->m->h.temp_scale * log(1 + turns)), 1,
                             width, row);
        }
}

/* qkv [n][nhead][query | gate] -> q [n][nhead hd], gate [n][nhead hd] */
static void split_gate(const struct pass *p, const struct dev_attn *a)
{
    struct work *w = p->w;
    for (size_t i = 0; i < p->n; i++)
        for (size_t h = 0; h < a->nhead; h++) {
            const float *from = w->qkv.p + i * w->qkv.stride + 2 * h * a->hd;
            memcpy(w->q.p + i * w->q.stride + h * a->hd, from, a->hd * sizeof *from);
            memcpy(w->gate.p + i * w->gate.stride + h * a->hd, from + a->hd, a->hd * sizeof *from);
        }
}

static void apply_gate(const struct pass *p, size_t width)
{
    struct work *w = p->w;
    for (size_t i = 0; i < p->n; i++)
        for (size_t k = 0; k < width; k++)
            w->att.p[i * w->att.stride + k] /= 1 + expf(-w->gate.p[i * w->gate.stride + k]);
}

void pass_attention(struct pass *p, size_t li)
{
    const struct layer *l = &p->m->layer[li];
    const struct dev_attn *a = &l->attn;
    struct work *w = p->w;
    struct dev_rows q, k, v;
    if (l->mla.rank)
        mla_project(p, l, &q, &k, &v);
    else
        project_qkv(p, l, &q, &k, &v);
    if (l->gated) split_gate(p, a), q = w->q;
    if (!p->m->arch->norm_after_rope) head_norms(p, l, q, k);
    if (l->rope >= 0) {
        const struct rope *r = &p->m->rope[l->rope];
        struct dev_angles angles = {w->angles[l->rope], r->rot, r->neox};
        struct dev_rows qr = {q.p + l->rope_at, q.stride}, kr = {k.p + l->rope_at, k.stride};
        p->d->ops->rope(p->d, qr, p->n, a->nhead, a->hd, angles);
        p->d->ops->rope(p->d, kr, p->n, a->nkv, a->hd, angles);
    }
    if (p->m->arch->norm_after_rope) head_norms(p, l, q, k);
    if (p->m->h.temp_scale != 0) temper(p, q, a->nhead * a->hd);
    const struct dev_kv_layer *kv = &p->b->layout[li];
    if (l->v_norm && l->kv_from == li)
        p->d->ops->rms(p->d, v, p->n, a->nkv, a->hdv, NULL, p->m->h.eps, v);
    if (l->kv_from == li) p->d->ops->kv_write(p->d, kv, a, p->b->seq, p->b->nseq, k, v);
    if (li + 1 == p->m->h.nlayer) {
        if (l->gated) keep_rows(p, w->gate, a->nhead * a->hd);
        if (l->mixer == MIX_BOTH) keep_rows(p, w->gate, p->m->h.width);
        keep_rows(p, q, a->nhead * a->hd);
        keep_wanted(p);
    }
    if (p->n == 0) return;
    p->d->ops->attend(p->d, kv, a, p->b->seq, p->b->nseq, q, w->att); /* att [n][nhead hdv] */
    if (l->gated) apply_gate(p, a->nhead * a->hdv);
    struct dev_rows att = l->mla.rank ? mla_values(p, l) : w->att;
    if (l->attn_sub.w) pass_norm(p, &l->attn_sub, att, a->nhead * a->hdv, att);
    pass_linear(p, &l->wo, l->bo, att, w->o); /* o [n][width] */
    if (l->attn_post.w) pass_norm(p, &l->attn_post, w->o, p->m->h.width, w->o);
}

/* Of the gate's values only what lies `sparsity` standard deviations above their mean passes. */
static void sparsify(const struct pass *p, const struct layer *l)
{
    for (size_t i = 0; i < p->n; i++) {
        float *g = p->w->gate.p + i * p->w->gate.stride;
        double mean = 0, var = 0;
        for (size_t k = 0; k < l->nff; k++) mean += (double)g[k];
        mean /= (double)l->nff;
        for (size_t k = 0; k < l->nff; k++) var += ((double)g[k] - mean) * ((double)g[k] - mean);
        double cut = mean + sqrt(var / (double)l->nff) * (double)l->sparsity;
        for (size_t k = 0; k < l->nff; k++)
            g[k] = (double)g[k] > cut ? (float)((double)g[k] - cut) : 0;
    }
}

/* h [n][width] -> o [n][width] */
void pass_ffn(struct pass *p, const struct layer *l)
{
    struct work *w = p->w;
    struct dev_rows none = {0};
    enum dev_gate gate = p->m->gate;
    if (l->moe.nexpert && !l->up.data) {
        moe_forward(p, l);
        if (l->ffn_post.w) pass_norm(p, &l->ffn_post, w->o, p->m->h.width, w->o);
        return;
    }
    if (l->gate.data) {
        const struct dev_matrix *ws[2] = {&l->gate, &l->up};
        struct dev_rows out[2] = {w->gate, w->up}; /* [n][nff] */
        p->d->ops->matmul(p->d, 2, ws, w->h, p->n, out);
        bias(p, l->bgate, l->nff, w->gate);
        bias(p, l->bup, l->nff, w->up);
        if (l->sparse) sparsify(p, l);
        p->d->ops->gate(p->d, gate, l->gate_par, w->gate, w->up, p->n, l->nff, w->gate);
    } else {
        pass_linear(p, &l->up, l->bup, w->h, w->gate); /* [n][nff], or [n][2 nff] when fused */
        struct dev_rows up = {w->gate.p + l->nff, w->gate.stride};
        p->d->ops->gate(p->d, gate, l->gate_par, w->gate, l->fused ? up : none, p->n, l->nff,
                        w->gate);
    }
    if (l->ffn_sub.w) pass_norm(p, &l->ffn_sub, w->gate, l->nff, w->gate);
    pass_linear(p, &l->down, l->bdown, w->gate, w->o);
    if (l->moe.nexpert) moe_beside(p, l);
    if (l->ffn_post.w) pass_norm(p, &l->ffn_post, w->o, p->m->h.width, w->o);
}

static void add_block(const struct pass *p)
{
    p->d->ops->add(p->d, p->w->o, p->n, p->m->h.width, p->m->h.residual_scale,
                   p->w->x); /* x += o */
}

/* x += norm(Wproj (gelu(Wgate x) * pl of this layer)) */
static void layer_input(const struct pass *p, size_t li)
{
    const struct layer *l = &p->m->layer[li];
    struct work *w = p->w;
    struct dev_rows in = {w->pl.p + li * p->m->npl, w->pl.stride};
    pass_linear(p, &l->pl_gate, NULL, w->x, w->gate);
    p->d->ops->gate(p->d, GATE_GELU_TANH, NULL, w->gate, in, p->n, p->m->npl, w->gate);
    pass_linear(p, &l->pl_proj, NULL, w->gate, w->o);
    pass_norm(p, &l->pl_post, w->o, p->m->h.width, w->o);
    p->d->ops->add(p->d, w->o, p->n, p->m->h.width, 1, w->x);
}

static void run_layer(struct pass *p, size_t li)
{
    const struct layer *l = &p->m->layer[li];
    struct work *w = p->w;
    if (p->m->altup) {
        altup_layer(p, li);
        return;
    }
    if (l->mixer == MIX_RWKV7) {
        rwkv_layer(p, li);
        if (li + 1 == p->m->h.nlayer) keep_wanted(p);
        return;
    }
    pass_norm(p, &l->attn_norm, w->x, p->m->h.width, w->h);
    if (l->mixer == MIX_ATTENTION) {
        pass_attention(p, li);
    } else if (l->mixer == MIX_BOTH) {
        recur_forward(p, l);
        for (size_t i = 0; i < p->n; i++)
            memcpy(w->gate.p + i * w->gate.stride, w->o.p + i * w->o.stride,
                   p->m->h.width * sizeof(float));
        pass_attention(p, li);
        if (p->n) p->d->ops->add(p->d, w->gate, p->n, p->m->h.width, 1, w->o);
    } else {
        recur_forward(p, l);
        if (li + 1 == p->m->h.nlayer) {
            keep_rows(p, w->o, p->m->h.width);
            keep_wanted(p);
        }
    }
    if (p->n == 0) return;
    if (p->m->parallel) { /* both read the layer's input */
        if (l->ffn_norm.w)
            pass_norm(p, &l->ffn_norm, w->x, p->m->h.width, w->h); /* else both share the first */
        add_block(p);
        pass_ffn(p, l);
        add_block(p);
        return;
    }
    add_block(p);
    if (l->attn_sum.w) pass_norm(p, &l->attn_sum, w->x, p->m->h.width, w->x);
    if (!l->nff && !l->moe.nexpert) return; /* a mixer alone */
    pass_norm(p, &l->ffn_norm, w->x, p->m->h.width, w->h);
    pass_ffn(p, l);
    add_block(p);
    if (l->ffn_sum.w) pass_norm(p, &l->ffn_sum, w->x, p->m->h.width, w->x);
    if (l->pl_gate.data) layer_input(p, li);
    if (l->out_scale != 1) p->d->ops->scale(p->d, l->out_scale, p->n, p->m->h.width, w->x);
}

/* pl [n][nlayer][npl]: what each layer gets besides the stream; see struct model. */
static void model_input(const struct pass *p, const int32_t *tokens)
{
    const struct model *m = p->m;
    struct work *w = p->w;
    size_t all = m->npl * m->h.nlayer;
    for (size_t i = 0; i < p->n; i++) { /* tokens of images and sound are beyond the table and take its first row */
        int32_t at = (size_t)tokens[i] < m->pl_embed.rows ? tokens[i] : 0;
        p->d->ops->gather(p->d, &m->pl_embed, &at, 1, (struct dev_rows){w->pl.p + i * w->pl.stride, w->pl.stride});
    }
    p->d->ops->scale(p->d, sqrtf((float)m->npl), p->n, all, w->pl);
    pass_linear(p, &m->pl_model, NULL, w->x, w->pl_x);
    p->d->ops->scale(p->d, 1 / sqrtf((float)m->h.width), p->n, all, w->pl_x);
    p->d->ops->rms(p->d, w->pl_x, p->n, m->h.nlayer, m->npl, m->pl_norm.w, m->h.eps, w->pl_x);
    p->d->ops->add(p->d, w->pl_x, p->n, all, 1, w->pl);
    p->d->ops->scale(p->d, sqrtf(0.5f), p->n, all, w->pl);
}

/* x += pos_embed[position]: rows come through h. */
static void add_positions(const struct pass *p)
{
    struct dev_rows h = p->w->h;
    for (size_t s = 0; s < p->b->nseq; s++)
        for (size_t i = 0; i < p->b->seq[s].n; i++) {
            int32_t pos = (int32_t)(p->b->seq[s].pos + (int64_t)i);
            size_t row = p->b->seq[s].first + i;
            p->d->ops->gather(p->d, &p->m->pos_embed, &pos, 1,
                              (struct dev_rows){h.p + row * h.stride, h.stride});
        }
    p->d->ops->add(p->d, h, p->n, p->m->h.width, 1, p->w->x);
}

/* x += type_embed[which of two texts the token is of] */
static void add_types(const struct pass *p)
{
    static const int32_t first = 0;
    struct dev_rows h = p->w->h, row = h;
    if (p->b->types) p->d->ops->gather(p->d, &p->m->type_embed, p->b->types, p->n, h);
    for (size_t i = 0; i < p->n && !p->b->types; i++, row.p += row.stride)
        p->d->ops->gather(p->d, &p->m->type_embed, &first, 1, row);
    p->d->ops->add(p->d, h, p->n, p->m->h.width, 1, p->w->x);
}

static int cancelled(const struct batch *b)
{
    return b->cancel && atomic_load_explicit(b->cancel, memory_order_relaxed);
}

int model_forward(const struct model *m, struct work *w, const struct batch *b, struct lar_err *err)
{
    struct pass p = {m, m->dev, w, b, b->n};
    const struct hparams *h = &m->h;
    dev_begin(p.d, b->seq, b->nseq);
    p.d->ops->gather(p.d, &m->embed, b->tokens, b->n, w->x); /* x [n][width] */
    if (m->type_embed.data) add_types(&p);
    if (m->pos_embed.data) add_positions(&p);
    if (h->embed_scale != 1) p.d->ops->scale(p.d, h->embed_scale, b->n, h->width, w->x);
    if (m->npl) model_input(&p, b->tokens);
    if (m->altup) altup_begin(&p);
    if (m->embed_norm.w) pass_norm(&p, &m->embed_norm, w->x, h->width, w->x);
    for (int r = 0; r < m->nrope; r++)
        for (size_t s = 0; s < b->nseq; s++) {
            size_t ctx = b->ctx_of ? b->ctx_of[s] : b->ctx;
            size_t length = (size_t)b->seq[s].pos + b->seq[s].n;
            if (b->length && b->length[s] > length) length = b->length[s];
            int longer = r == 0 && m->rope_long && ctx > m->rope_long_above;
            rope_angles(&m->rope[longer ? m->rope_long : r], length, b->seq[s].pos, b->seq[s].n,
                        w->angles[r] + b->seq[s].first * m->rope[r].rot);
        }

    for (size_t li = 0; li < h->nlayer && p.n; li++) {
        if (cancelled(b)) {
            dev_unlock(p.d);
            return lar_fail(err, LAR_ECANCEL, "stopped");
        }
        run_layer(&p, li);
    }
    if (p.n) {
        if (m->altup) altup_end(&p);
        pass_norm(&p, &m->output_norm, w->x, h->width, w->h);
    }
    if (p.n && !b->hidden) {
        pass_linear(&p, &m->output, m->output_bias, w->h, w->logits); /* logits [n][vocab] */
        if (h->logit_scale != 1) p.d->ops->scale(p.d, h->logit_scale, p.n, h->vocab, w->logits);
        if (h->final_softcap > 0)
            p.d->ops->softcap(p.d, h->final_softcap, p.n, h->vocab, w->logits);
    }
    dev_unlock(p.d);
    return 0;
}
