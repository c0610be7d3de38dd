/* SPDX-License-Identifier: Apache-2.0
 * run/batch.c: see batch.h. The parts' rows are laid one after another, those with the same adapters side by side, so that an adapter is read once for
 * all its rows (dev/cpu/low.c); every operation of the forward pass takes them as they lie, and only attention, convolutions, scans and adapters look
 * at whose they are. */
#include "run/batch.h"

#include <string.h>

int batch_open(struct batch_step *b, struct model *m, size_t rows, size_t nseq, size_t nlogit,
               struct lar_err *err)
{
    struct dev_need need;
    int rc;
    *b = (struct batch_step){.rows = rows, .nlogit = nlogit, .nseq = nseq};
    b->model = model_ref(m);
    b->tokens = mem_zalloc(rows * sizeof *b->tokens);
    b->seq = mem_zalloc(nseq * sizeof *b->seq);
    b->keep = mem_zalloc(nseq * sizeof *b->keep);
    b->ctx = mem_zalloc(nseq * sizeof *b->ctx);
    b->length = mem_zalloc(nseq * sizeof *b->length);
    b->order = mem_zalloc(nseq * sizeof *b->order);
    session_need(m, rows, &need);
    if (!b->tokens || !b->seq || !b->keep || !b->ctx || !b->length || !b->order)
        rc = lar_fail(err, LAR_ENOMEM, "steps of %zu tokens: out of memory", rows);
    else if ((rc = dev_cpu_reserve(m->dev, &need, err)) == 0)
        rc = work_open(&b->work, m, rows, nlogit, err);
    if (rc < 0) batch_close(b);
    return rc;
}

void batch_close(struct batch_step *b)
{
    work_close(&b->work);
    mem_free(b->tokens);
    mem_free(b->seq);
    mem_free(b->keep);
    mem_free(b->ctx);
    mem_free(b->length);
    mem_free(b->order);
    model_close(b->model);
    *b = (struct batch_step){0};
}

size_t batch_bytes(const struct model *m, size_t rows, size_t nseq, size_t nlogit)
{
    struct dev_need need;
    session_need(m, rows, &need);
    return work_bytes(m, rows, nlogit) + dev_cpu_reserve_bytes(m->dev, &need) +
           rows * sizeof(int32_t) + nseq * (sizeof(struct dev_seq) + 4 * sizeof(size_t));
}

/* What is wrong with the step as a whole. */
static int check_all(const struct batch_step *b, const struct batch_part *part, size_t npart,
                     struct lar_err *err)
{
    size_t rows = 0, nlogit = 0;
    if (npart > b->nseq)
        return lar_fail(err, LAR_EINVAL, "%zu sessions in a step opened for %zu", npart, b->nseq);
    for (size_t i = 0; i < npart; i++) {
        const struct batch_part *p = &part[i];
        if (p->session->model != b->model)
            return lar_fail(err, LAR_EINVAL, "part %zu of the step is of another model", i);
        if (p->session->kind != part[0].session->kind)
            return lar_fail(err, LAR_EINVAL,
                            "part %zu of the step keeps its keys and values in another form", i);
        if (p->n < 1 || p->nlogit > p->n)
            return lar_fail(err, LAR_EINVAL, "part %zu of the step: logits of %zu of %zu tokens", i,
                            p->nlogit, p->n);
        if (p->n > b->rows - rows || p->nlogit > b->nlogit - nlogit)
            return lar_fail(
                err, LAR_EINVAL,
                "a step of more than %zu tokens or %zu rows of logits, which it was opened for",
                b->rows, b->nlogit);
        rows += p->n;
        nlogit += p->nlogit;
    }
    return 0;
}

/* 0 when this part may go. */
static int check_part(struct batch_part *p)
{
    struct session *s = p->session;
    p->why = (struct lar_err){0};
    p->logits = NULL;
    if (s->stepping) return lar_fail(&p->why, LAR_EINVAL, "the session is in this step already");
    if (atomic_load_explicit(&s->cancel, memory_order_relaxed))
        return lar_fail(&p->why, LAR_ECANCEL, "stopped");
    return session_check(s, p->tokens, p->n, &p->why);
}

/* The session moves on by its part, of which the logits' rows begin at row. */
static void take(struct batch_step *b, struct batch_part *p, size_t row)
{
    struct session *s = p->session;
    size_t vocab = b->model->h.vocab, stride = b->work.logits.stride;
    const float *out = b->work.logits.p + row * stride;
    memcpy(s->tokens + s->n, p->tokens, p->n * sizeof *p->tokens);
    s->n += p->n;
    s->stepping = 0;
    s->has_logits = p->nlogit > 0;
    if (p->nlogit) {
        /* Rows are padded: close them up. They lie in order, so none is overwritten before it has moved. */
        float *at = b->work.logits.p + row * vocab;
        for (size_t i = 0; i < p->nlogit && stride != vocab; i++)
            memmove(at + i * vocab, out + i * stride, vocab * sizeof *at);
        p->logits = at;
        memcpy(s->work.logits.p, at + (p->nlogit - 1) * vocab, vocab * sizeof *at);
    }
    if (p->prompt_end) session_keep(s);
}

/* Part i joins the order, behind the last that has its adapters. */
static void join(struct batch_step *b, const struct batch_part *part, size_t n, size_t i)
{
    size_t at = n;
    while (at && !session_alike(part[b->order[at - 1]].session, part[i].session)) at--;
    if (at == 0) at = n;
    memmove(b->order + at + 1, b->order + at, (n - at) * sizeof *b->order);
    b->order[at] = i;
}

int batch_eval(struct batch_step *b, struct batch_part *part, size_t npart, struct lar_err *err)
{
    size_t rows = 0, nseq = 0, row = 0;
    int rc = check_all(b, part, npart, err);
    if (rc < 0) return rc;
    for (size_t i = 0; i < npart; i++) {
        if ((part[i].rc = check_part(&part[i])) < 0) continue;
        part[i].session->stepping = 1;
        join(b, part, nseq++, i);
    }
    for (size_t i = 0; i < nseq; i++) {
        const struct batch_part *p = &part[b->order[i]];
        struct session *s = p->session;
        kv_grow(&s->kv, s->n, s->n + p->n);
        b->seq[i] = session_seq(s, rows, p->n);
        b->keep[i] = p->nlogit;
        if (s->length < s->n + p->n) s->length = s->n + p->n;
        b->length[i] = s->length;
        b->ctx[i] = s->ctx;
        memcpy(b->tokens + rows, p->tokens, p->n * sizeof *p->tokens);
        rows += p->n;
    }
    if (nseq == 0) return 0;
    struct batch step = {.tokens = b->tokens,
                         .n = rows,
                         .seq = b->seq,
                         .keep = b->keep,
                         .nseq = nseq,
                         .layout = part[0].session->layout,
                         .ctx_of = b->ctx,
                         .length = b->length};
    rc = model_forward(b->model, &b->work, &step, err); /* without a cancel flag it cannot fail */
    for (size_t i = 0; i < nseq; i++) {
        take(b, &part[b->order[i]], row);
        row += part[b->order[i]].nlogit;
    }
    return rc < 0 ? rc : (int)nseq;
}
