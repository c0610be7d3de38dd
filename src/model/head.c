/* SPDX-License-Identifier: Apache-2.0
 *
 * model/head.c: what follows the last layer of an embedder or a classifier.
 *
 *     embedding:       dense_3(dense_2(pool(rows)))                   no dense layers in most models
 *     classification:  out(norm(act(cls(row))))                       cls, act and norm in some; row: the first, the last, each
 *
 * The tensors cls and cls.output, the key classifier.output_labels and the numbers of pooling_type are those of ggml's converter. act is what the
 * model was trained with: tanh in BERT's pooler and in RoBERTa's head, GELU in ModernBERT's, max(x, 0) in DistilBERT's (the one
 * of BERT's kin that has no token types). Making vectors unit length and scores probabilities is the caller's.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "model/bind.h"

static int bind_labels(struct binder *b, struct head *h)
{
    char key[128];
    snprintf(key, sizeof key, "%s.classifier.output_labels", b->m->arch->name);
    const struct gguf_kv *kv = gguf_find(&b->m->gguf, key);
    if (!kv || !h->out.data) return 0;
    if (kv->type != GGUF_ARRAY || kv->etype != GGUF_STRING || kv->count != h->nlabel)
        return lar_fail(b->err, LAR_EFORMAT,
                        "%s: %zu strings are expected, one a row of cls.output", key, h->nlabel);
    h->labels = kv;
    return 0;
}

static int bind_dense(struct binder *b, struct head *h)
{
    static const char *const name[2] = {"dense_2", "dense_3"};
    size_t width = b->m->h.width;
    int rc;
    for (int i = 0; i < 2; i++) {
        if ((rc = bind_matrix(b, name[i], width, 0, &h->dense[i])) < 0) return rc;
        if (rc == 0) return 0;
        width = h->dense[i].rows;
        if ((rc = bind_vector(b, name[i], "bias", width, &h->bdense[i])) < 0) return rc;
    }
    return 0;
}

int head_bind(struct binder *b)
{
    struct head *h = &b->m->head;
    size_t width = b->m->h.width;
    uint32_t pooling = 0;
    int rc;
    if ((rc = model_key_u32(b->m, "pooling_type", &pooling, b->err)) < 0) return rc;
    if (rc == 1 && pooling > POOL_RANK)
        return lar_fail(b->err, LAR_EUNSUPPORTED,
                        "%s.pooling_type is %u; known: 0 none, 1 mean, 2 cls, 3 last, 4 rank",
                        b->m->arch->name, pooling);
    h->pooling = rc == 1 ? (enum pooling)pooling : POOL_UNKNOWN;
    if ((rc = bind_dense(b, h)) < 0) return rc;
    if ((rc = bind_matrix(b, "cls", width, 0, &h->cls)) < 0) return rc;
    if (rc == 1) {
        if ((rc = bind_vector(b, "cls", "bias", h->cls.rows, &h->bcls)) < 0) return rc;
        if ((rc = bind_norm(b, "cls.norm", h->cls.rows, &h->cls_norm)) < 0) return rc;
        width = h->cls.rows;
    }
    if ((rc = bind_matrix(b, "cls.output", width, 0, &h->out)) < 0) return rc;
    h->nlabel = h->out.data ? h->out.rows : 0;
    if ((rc = bind_vector(b, "cls.output", "bias", h->nlabel, &h->bout)) < 0) return rc;
    if (head_width(b->m) > b->m->ff_max) b->m->ff_max = head_width(b->m);
    if (head_width(b->m) > b->m->up_max) b->m->up_max = head_width(b->m);
    return bind_labels(b, h);
}

size_t head_width(const struct model *m)
{
    const struct dev_matrix *w[] = {&m->head.dense[0], &m->head.dense[1], &m->head.cls,
                                    &m->head.out};
    size_t most = 0;
    for (size_t i = 0; i < sizeof w / sizeof *w; i++)
        if (w[i]->data && w[i]->rows > most) most = w[i]->rows;
    return most;
}

static void linear(struct dev *d, const struct dev_matrix *w, const float *b, struct dev_rows x,
                   size_t n, struct dev_rows out)
{
    d->ops->matmul(d, 1, &w, x, n, &out);
    if (b) d->ops->bias(d, b, n, w->rows, out);
}

static void mean_row(struct dev_rows x, const struct dev_seq *s, size_t width, float *out)
{
    for (size_t k = 0; k < width; k++) {
        double sum = 0;
        for (size_t i = 0; i < s->n; i++) sum += (double)x.p[(s->first + i) * x.stride + k];
        out[k] = (float)(sum / (double)s->n);
    }
}

/* w->h -> w->x [nseq][width] */
static void pool(const struct model *m, struct work *w, const struct batch *b, enum pooling kind)
{
    for (size_t s = 0; s < b->nseq; s++) {
        const struct dev_seq *seq = &b->seq[s];
        float *out = w->x.p + s * w->x.stride;
        size_t row = kind == POOL_LAST ? seq->first + seq->n - 1 : seq->first;
        if (kind == POOL_MEAN)
            mean_row(w->h, seq, m->h.width, out);
        else
            memcpy(out, w->h.p + row * w->h.stride, m->h.width * sizeof *out);
    }
}

static void give(struct dev_rows x, size_t n, size_t width, float *out)
{
    for (size_t i = 0; i < n; i++) memcpy(out + i * width, x.p + i * x.stride, width * sizeof *out);
}

void head_embed(const struct model *m, struct work *w, const struct batch *b, enum pooling kind,
                float *out)
{
    struct dev_rows at = w->x, to[2] = {w->gate, w->up};
    size_t width = m->h.width;
    dev_lock(m->dev);
    pool(m, w, b, kind);
    for (int i = 0; i < 2 && m->head.dense[i].data; i++) {
        linear(m->dev, &m->head.dense[i], m->head.bdense[i], at, b->nseq, to[i]);
        at = to[i];
        width = m->head.dense[i].rows;
    }
    dev_unlock(m->dev);
    give(at, b->nseq, width, out);
}

/* The classifier's first layer, where there is one: x [n][width] -> w->gate [n][cls.rows]. */
static struct dev_rows first_layer(const struct model *m, struct work *w, struct dev_rows x,
                                   size_t n)
{
    const struct head *h = &m->head;
    struct dev *d = m->dev;
    struct dev_rows y = w->gate, none = {0};
    if (!h->cls.data) return x;
    linear(d, &h->cls, h->bcls, x, n, y);
    int relu = m->arch->post_norm && !m->type_embed.data;
    if (!m->arch->post_norm) {
        d->ops->gate(d, GATE_GELU, NULL, y, none, n, h->cls.rows, y);
    } else {
        for (size_t i = 0; i < n; i++)
            for (size_t k = 0; k < h->cls.rows; k++) {
                float *v = &y.p[i * y.stride + k];
                *v = relu ? fmaxf(*v, 0) : tanhf(*v);
            }
    }
    if (h->cls_norm.w)
        d->ops->norm(d, y, n, 1, h->cls.rows, h->cls_norm.w, h->cls_norm.b, m->h.eps, y);
    return y;
}

void head_logits(const struct model *m, struct work *w, const struct batch *b, enum pooling kind,
                 float *out)
{
    size_t n = b->nseq;
    struct dev_rows x = w->x;
    dev_lock(m->dev);
    if (kind == POOL_NONE) {
        n = b->n;
        x = w->h;
    } else {
        pool(m, w, b, kind);
    }
    x = first_layer(m, w, x, n);
    linear(m->dev, &m->head.out, m->head.bout, x, n, w->up);
    dev_unlock(m->dev);
    give(w->up, n, m->head.nlabel, out);
}
