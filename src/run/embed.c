/* SPDX-License-Identifier: Apache-2.0
 * run/embed.c: see embed.h. Texts are taken in order, as many as fit a batch. */
#include "run/embed.h"

#include <string.h>

#include "run/session.h"

enum { TEXTS_MAX = 64 };

static void drop_room(struct embed *e)
{
    work_close(&e->work);
    mem_free(e->kv);
    mem_free(e->block);
    mem_free(e->ids);
    mem_free(e->types);
    e->kv = NULL;
    e->block = NULL;
    e->ids = e->types = NULL;
    e->batch = 0;
}

/* Room for `batch` tokens of up to TEXTS_MAX texts. */
static int take_room(struct embed *e, size_t batch, struct lar_err *err)
{
    struct dev_need need;
    size_t bytes;
    int rc;
    drop_room(e);
    e->nblock = batch / DEV_KV_BLOCK + e->texts + 1;
    if (mul_size(e->nblock, e->block_bytes, &bytes))
        return lar_fail(err, LAR_ELIMIT, "a text of %zu tokens is too long", batch);
    e->kv = mem_alloc_aligned(bytes);
    e->block = mem_zalloc(e->nblock * sizeof *e->block);
    e->ids = mem_zalloc(batch * sizeof *e->ids);
    e->types = mem_zalloc(batch * sizeof *e->types);
    if (!e->kv || !e->block || !e->ids || !e->types) {
        drop_room(e);
        return lar_fail(err, LAR_ENOMEM, "%zu tokens at once: out of memory", batch);
    }
    for (size_t i = 0; i < e->nblock; i++) e->block[i] = e->kv + i * e->block_bytes;
    session_need(e->model, batch, &need);
    if ((rc = dev_cpu_reserve(e->model->dev, &need, err)) < 0 ||
        (rc = work_open(&e->work, e->model, batch, 0, err)) < 0) {
        drop_room(e);
        return rc;
    }
    e->batch = batch;
    return 0;
}

/* Every layer at the place of the first: its keys are read before the next one writes. */
static int lay_out(struct embed *e, struct lar_err *err)
{
    const struct model *m = e->model;
    size_t at = 0, most = 0;
    int rc = model_kv_layout(m, KV_F32, e->layout, &at, err);
    if (rc < 0) return rc;
    for (size_t i = 0; i < m->h.nlayer; i++) {
        struct dev_kv_layer *l = &e->layout[i];
        if (m->layer[i].mixer != MIX_ATTENTION || m->layer[i].kv_from != i)
            return lar_fail(err, LAR_EUNSUPPORTED,
                            "%s: layer %zu carries a state: such models cannot embed yet",
                            m->arch->name, i);
        size_t k = kern_up64(m->layer[i].attn.nkv * DEV_KV_BLOCK * l->k_row);
        l->k_at = 0;
        l->v_at = k;
        size_t end = k + kern_up64(m->layer[i].attn.nkv * DEV_KV_BLOCK * l->v_row);
        if (end > most) most = end;
    }
    e->block_bytes = most;
    return 0;
}

int embed_bytes(const struct model *m, size_t batch, uint64_t *kv, uint64_t *work,
                struct lar_err *err)
{
    struct dev_need need;
    struct embed e = {.model = (struct model *)(uintptr_t)m, .layout = mem_zalloc(m->h.nlayer * sizeof *e.layout)};
    int rc = e.layout ? lay_out(&e, err) : lar_fail(err, LAR_ENOMEM, "embedding: out of memory");
    mem_free(e.layout);
    if (rc < 0) return rc;
    session_need(m, batch, &need);
    *kv = (uint64_t)(batch / DEV_KV_BLOCK + TEXTS_MAX + 1) * e.block_bytes;
    *work = work_bytes(m, batch, 0) + dev_cpu_reserve_bytes(m->dev, &need) +
            batch * (sizeof *e.ids + sizeof *e.types);
    return 0;
}

int embed_open(struct embed *e, struct model *m, size_t batch, struct lar_err *err)
{
    int rc;
    if (batch > m->h.ctx_train) batch = m->h.ctx_train;
    *e = (struct embed){.wanted = batch, .texts = TEXTS_MAX};
    e->model = model_ref(m);
    e->layout = mem_zalloc(m->h.nlayer * sizeof *e->layout);
    e->seq = mem_zalloc(TEXTS_MAX * sizeof *e->seq);
    e->keep = mem_zalloc(TEXTS_MAX * sizeof *e->keep);
    if (!e->layout || !e->seq || !e->keep)
        rc = lar_fail(err, LAR_ENOMEM, "embedding: out of memory");
    else if ((rc = lay_out(e, err)) == 0)
        rc = take_room(e, batch, err);
    if (rc < 0) embed_close(e);
    return rc;
}

void embed_close(struct embed *e)
{
    drop_room(e);
    mem_free(e->layout);
    mem_free(e->seq);
    mem_free(e->keep);
    model_close(e->model);
    *e = (struct embed){0};
}

size_t embed_width(const struct model *m)
{
    const struct head *h = &m->head;
    return h->dense[1].data ? h->dense[1].rows : h->dense[0].data ? h->dense[0].rows : m->h.width;
}

/* number: of the text, from 1, for messages. */
static int check(const struct embed *e, const struct embed_text *t, size_t number,
                 struct lar_err *err)
{
    const struct hparams *h = &e->model->h;
    size_t types = e->model->type_embed.rows;
    if (t->n == 0) return lar_fail(err, LAR_EINVAL, "text %zu has no tokens", number);
    if (t->n > h->ctx_train)
        return lar_fail(err, LAR_ELIMIT,
                        "text %zu has %zu tokens; the model reads %zu at most: cut it (truncate)",
                        number, t->n, h->ctx_train);
    for (size_t i = 0; i < t->n; i++) {
        if (t->ids[i] < 0 || (size_t)t->ids[i] >= h->vocab)
            return lar_fail(err, LAR_EINVAL, "text %zu, token %zu is %d; ids are 0 to %zu", number,
                            i, t->ids[i], h->vocab - 1);
        if (t->types && (t->types[i] < 0 || (types && (size_t)t->types[i] >= types)))
            return lar_fail(err, LAR_EINVAL, "text %zu, token %zu is of type %d; there are %zu",
                            number, i, t->types[i], types);
    }
    return 0;
}

/* Puts texts into the batch until one does not fit; gives how many. */
static size_t gather(struct embed *e, const struct embed_text *text, size_t n, enum pooling pool,
                     struct batch *b)
{
    size_t tokens = 0, block = 0, i = 0;
    int types = 0;
    for (; i < n && i < e->texts && tokens + text[i].n <= e->batch; i++) {
        const struct embed_text *t = &text[i];
        e->seq[i] = (struct dev_seq){.block = e->block + block, .first = tokens, .n = t->n};
        e->keep[i] = pool == POOL_LAST ? 1 : t->n;
        memcpy(e->ids + tokens, t->ids, t->n * sizeof *e->ids);
        if (t->types)
            memcpy(e->types + tokens, t->types, t->n * sizeof *e->types);
        else
            memset(e->types + tokens, 0, t->n * sizeof *e->types);
        types |= t->types != NULL;
        tokens += t->n;
        block += (t->n + DEV_KV_BLOCK - 1) / DEV_KV_BLOCK;
    }
    *b = (struct batch){.tokens = e->ids,
                        .n = tokens,
                        .seq = e->seq,
                        .keep = e->keep,
                        .nseq = i,
                        .layout = e->layout,
                        .ctx = e->batch,
                        .cancel = &e->cancel,
                        .types = types ? e->types : NULL,
                        .hidden = 1};
    return i;
}

static int run(struct embed *e, const struct embed_text *text, size_t n, enum pooling pool,
               int logits, float *out, struct lar_err *err)
{
    size_t width = logits ? e->model->head.nlabel : embed_width(e->model);
    int rc;
    for (size_t i = 0; i < n; i++)
        if ((rc = check(e, &text[i], e->first + i + 1, err)) < 0) return rc;
    for (size_t done = 0, k; done < n; done += k) {
        struct batch b;
        if (text[done].n > e->batch) {
            size_t room = (text[done].n + 255) & ~(size_t)255;
            if ((rc = take_room(e, room, err)) < 0) return rc;
        }
        k = gather(e, text + done, n - done, pool, &b);
        if ((rc = model_forward(e->model, &e->work, &b, err)) < 0) return rc;
        if (logits)
            head_logits(e->model, &e->work, &b, pool, out);
        else
            head_embed(e->model, &e->work, &b, pool, out);
        out += (logits && pool == POOL_NONE ? b.n : k) * width;
    }
    return 0;
}

int embed_vectors(struct embed *e, const struct embed_text *text, size_t n, enum pooling pool,
                  float *out, struct lar_err *err)
{
    return run(e, text, n, pool, 0, out, err);
}

int embed_logits(struct embed *e, const struct embed_text *text, size_t n, enum pooling pool,
                 float *out, struct lar_err *err)
{
    return run(e, text, n, pool, 1, out, err);
}
