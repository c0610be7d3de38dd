/* SPDX-License-Identifier: Apache-2.0
 *
 * model/mla.c: latent attention (DeepSeek-V2: DeepSeek-AI 2024; also V3, R1, Kimi, GLM 4.7 Flash): what it reads from the file, and the way
 * from h to queries, keys and values and back.
 *
 *   c = norm(Wkv_a h [0, rank)),  k_r = rope(Wkv_a h [rank, rank + rot))       one latent and one turning key for all heads
 *   q = Wq h, or Wq_b norm(Wq_a h);  of each head q_n [nope], q_r = rope [rot]
 *   head i:  k = Wk_i c | k_r,  v = Wv_i c,  score = q . k / sqrt(nope + rot)
 *
 * q_n . Wk_i c = (Wk_i^T q_n) . c, and Wv_i may be applied after the sum over positions. So where the file has Wk_i^T and Wv_i by themselves
 * (attn_k_b, attn_v_b) attention runs over c | k_r as the one key head and c as its value: only c | k_r is kept, the value being the
 * key's beginning. Older files have Wk and Wv in one matrix that is not transposed (attn_kv_b); there each head's keys and values are made
 * and kept, at many times the memory.
 */
#include <string.h>

#include "model/bind.h"
#include "model/forward.h"

/* ---- binding ---- */

static void at_least(size_t *v, size_t n)
{
    if (*v < n) *v = n;
}

/* A length of the file's, 1..4096. */
static int length(struct binder *b, const char *tail, size_t *out)
{
    uint32_t v = 0;
    int rc = model_key_u32(b->m, tail, &v, b->err);
    if (rc < 0) return rc;
    if (v < 1 || v > 4096)
        return lar_fail(b->err, LAR_EFORMAT, "%s.%s is %u%s; expected 1 to 4096", b->m->arch->name,
                        tail, v, rc ? "" : " (missing)");
    *out = v;
    return 0;
}

/* The sizes of a head, against those of the keys and values that layer_shape has read. */
static int shape(struct binder *b, struct layer *l)
{
    struct mla *m = &l->mla;
    struct dev_attn *a = &l->attn;
    char name[BIND_NAME_MAX];
    size_t key, value;
    int rc;
    if ((rc = length(b, "attention.kv_lora_rank", &m->rank)) < 0) return rc;
    if ((rc = length(b, "rope.dimension_count", &m->rot)) < 0) return rc;
    m->absorbed = gguf_tensor(&b->m->gguf, bind_name(b, "attn_k_b", "weight", name)) != NULL;
    key = a->hd, value = a->hdv;
    if (m->absorbed) {
        if ((rc = length(b, "attention.key_length_mla", &key)) < 0) return rc;
        if ((rc = length(b, "attention.value_length_mla", &value)) < 0) return rc;
    }
    size_t hd = m->absorbed ? m->rank + m->rot : key, hdv = m->absorbed ? m->rank : value,
           nkv = m->absorbed ? 1 : a->nhead;
    if (key <= m->rot || a->hd != hd || a->hdv != hdv || a->nkv != nkv)
        return lar_fail(
            b->err, LAR_EFORMAT,
            "layer %zu: %zu key heads of %zu and values of %zu do not fit a latent of %zu with %zu turning",
            b->layer, a->nkv, a->hd, a->hdv, m->rank, m->rot);
    m->nope = key - m->rot;
    m->value = value;
    l->rope_at = m->absorbed ? m->rank : m->nope;
    return 0;
}

int mla_bind(struct binder *b, struct layer *l)
{
    struct model *d = b->m;
    struct mla *m = &l->mla;
    size_t width = d->h.width, nhead = l->attn.nhead, nq, q_rank = 0;
    int rc;
    if ((rc = shape(b, l)) < 0) return rc;
    nq = nhead * (m->nope + m->rot);
    if ((rc = bind_need_norm(b, "attn_norm", width, &l->attn_norm)) < 0) return rc;
    if ((rc = bind_matrix(b, "attn_q_a", width, 0, &m->q_a)) < 0) return rc;
    if (rc == 1) {
        q_rank = m->q_a.rows;
        if ((rc = bind_need_norm(b, "attn_q_a_norm", q_rank, &m->q_norm)) < 0) return rc;
        if ((rc = bind_need_matrix(b, "attn_q_b", q_rank, nq, &l->wq)) < 0) return rc;
    } else if ((rc = bind_need_matrix(b, "attn_q", width, nq, &l->wq)) < 0) {
        return rc;
    }
    if ((rc = bind_need_matrix(b, "attn_kv_a_mqa", width, m->rank + m->rot, &m->kv_a)) < 0)
        return rc;
    if ((rc = bind_need_norm(b, "attn_kv_a_norm", m->rank, &m->kv_norm)) < 0) return rc;
    if (m->absorbed) {
        if ((rc = bind_stack(b, "attn_k_b", m->nope, m->rank, nhead, &m->k_b)) < 0) return rc;
        if ((rc = bind_stack(b, "attn_v_b", m->rank, m->value, nhead, &m->v_b)) < 0) return rc;
    } else if ((rc = bind_need_matrix(b, "attn_kv_b", m->rank, nhead * (m->nope + m->value),
                                      &m->kv_b)) < 0) {
        return rc;
    }
    /* Work space: the queries before their absorption and the heads' values are in att; the query's latent and kv_b's rows in qkv. */
    at_least(&d->qkv_max, q_rank);
    at_least(&d->qkv_max, m->rank + m->rot);
    at_least(&d->qkv_max, m->absorbed ? nhead * m->value : m->kv_b.rows);
    at_least(&d->att_max, nq);
    at_least(&d->att_max, m->rank + m->rot);
    if (q_rank > d->ff_max) d->ff_max = q_rank; /* the longest row that a matrix takes */
    if ((rc = bind_vector(b, "attn_q_a", "bias", q_rank, &m->q_a_bias)) < 0) return rc;
    if ((rc = bind_vector(b, "attn_kv_a_mqa", "bias", m->rank + m->rot, &m->kv_a_bias)) < 0)
        return rc;
    if ((rc = bind_need_matrix(b, "attn_output", nhead * m->value, width, &l->wo)) < 0) return rc;
    return bind_vector(b, "attn_output", "bias", width, &l->bo) < 0 ? LAR_EFORMAT : 0;
}

/* ---- forward ---- */

static struct dev_rows part(struct dev_rows r, size_t at)
{
    return (struct dev_rows){r.p + at, r.stride};
}

static void copy_rows(struct dev_rows from, size_t n, size_t width, struct dev_rows to)
{
    for (size_t i = 0; i < n; i++)
        memcpy(to.p + i * to.stride, from.p + i * from.stride, width * sizeof(float));
}

/* Head by head: out[i][h out_width ..] = W_h x[i][h x_width ..] */
static void by_head(const struct pass *p, const struct dev_matrix *all, size_t nhead,
                    struct dev_rows x, size_t x_width, struct dev_rows out, size_t out_width)
{
    size_t rows = all->rows / nhead;
    for (size_t h = 0; h < nhead; h++) {
        struct dev_matrix w = *all;
        w.rows = rows;
        w.data = (const uint8_t *)all->data + h * rows * all->stride;
        pass_linear(p, &w, NULL, part(x, h * x_width), part(out, h * out_width));
    }
}

/* h [n][width] -> q, k, v as attention wants them, not yet turned. */
void mla_project(const struct pass *p, const struct layer *l, struct dev_rows *q,
                 struct dev_rows *k, struct dev_rows *v)
{
    const struct mla *m = &l->mla;
    struct work *w = p->w;
    size_t nhead = l->attn.nhead, hd = m->nope + m->rot;
    struct dev_rows heads = m->absorbed ? w->att : w->q,
                    in = w->h; /* heads [n][nhead][nope | rot] */
    if (m->q_a.data) {
        pass_linear(p, &m->q_a, m->q_a_bias, w->h, w->qkv);
        pass_norm(p, &m->q_norm, w->qkv, m->q_norm.width, w->qkv);
        in = w->qkv;
    }
    pass_linear(p, &l->wq, NULL, in, heads);
    *q = w->q, *k = w->k, *v = w->v;
    if (m->absorbed) {
        pass_linear(p, &m->kv_a, m->kv_a_bias, w->h, w->k); /* c | k_r */
        pass_norm(p, &m->kv_norm, w->k, m->rank, w->k);
        by_head(p, &m->k_b, nhead, heads, hd, w->q, l->attn.hd);
        for (size_t h = 0; h < nhead; h++)
            copy_rows(part(heads, h * hd + m->nope), p->n, m->rot,
                      part(w->q, h * l->attn.hd + m->rank));
        *v = w->k;
        return;
    }
    pass_linear(p, &m->kv_a, m->kv_a_bias, w->h, w->att);
    pass_norm(p, &m->kv_norm, w->att, m->rank, w->att);
    pass_linear(p, &m->kv_b, NULL, w->att, w->qkv); /* [nhead][nope | value] */
    for (size_t h = 0; h < nhead; h++) {
        struct dev_rows kv = part(w->qkv, h * (m->nope + m->value));
        copy_rows(kv, p->n, m->nope, part(w->k, h * hd));
        copy_rows(part(w->att, m->rank), p->n, m->rot, part(w->k, h * hd + m->nope));
        copy_rows(part(kv, m->nope), p->n, m->value, part(w->v, h * m->value));
    }
}

/* att [n][nhead][rank] -> [n][nhead][value], where the sum was over latents. */
struct dev_rows mla_values(const struct pass *p, const struct layer *l)
{
    const struct mla *m = &l->mla;
    if (!m->absorbed) return p->w->att;
    by_head(p, &m->v_b, l->attn.nhead, p->w->att, m->rank, p->w->qkv, m->value);
    return p->w->qkv;
}
