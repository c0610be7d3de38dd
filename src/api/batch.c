/* SPDX-License-Identifier: Apache-2.0
 * api/batch.c: lar/batch.h's steps of many sessions: argument checks, then run/batch.h. */
#include <lar/batch.h>

#include "api/api.h"
#include "base/cpu.h"

enum { TOKENS_DEFAULT = 512, SESSIONS_DEFAULT = 64, TOKENS_MAX = 1 << 14, SESSIONS_MAX = 1 << 12 };

int lar_batch_open(struct lar_batch **out, struct lar_model *m, const struct lar_batch_options *opt,
                   struct lar_err *err)
{
    struct lar_batch_options o = opt ? *opt : (struct lar_batch_options){0};
    if (!out || !m) return lar_fail(err, LAR_EINVAL, "lar_batch_open: out and model are needed");
    *out = NULL;
    if (!m->model->dev)
        return lar_fail(err, LAR_EINVAL, "the model was opened for its vocabulary only");
    if (o.tokens == 0) o.tokens = TOKENS_DEFAULT;
    if (o.sessions == 0) o.sessions = SESSIONS_DEFAULT;
    if (o.logits == 0) o.logits = o.sessions;
    if (o.tokens < 1 || o.tokens > TOKENS_MAX || o.sessions < 1 || o.sessions > SESSIONS_MAX ||
        o.logits < 1 || o.logits > TOKENS_MAX)
        return lar_fail(err, LAR_EINVAL,
                        "a step of %d tokens, %d sessions, %d rows of logits: use up to %d, %d, %d",
                        o.tokens, o.sessions, o.logits, TOKENS_MAX, SESSIONS_MAX, TOKENS_MAX);
    uint64_t have = cpu_memory_available(),
             want = batch_bytes(m->model, (size_t)o.tokens, (size_t)o.sessions, (size_t)o.logits);
    if (have && want > have)
        return lar_fail(err, LAR_ENOMEM,
                        "steps of %d tokens need %llu MiB and %llu MiB are free: use smaller ones",
                        o.tokens, (unsigned long long)(want >> 20),
                        (unsigned long long)(have >> 20));
    struct lar_batch *b = mem_zalloc(sizeof *b);
    if (!b) return lar_fail(err, LAR_ENOMEM, "batch: out of memory");
    b->part = mem_zalloc((size_t)o.sessions * sizeof *b->part);
    int rc = b->part ? batch_open(&b->b, m->model, (size_t)o.tokens, (size_t)o.sessions,
                                  (size_t)o.logits, err)
                     : lar_fail(err, LAR_ENOMEM, "batch: out of memory");
    if (rc < 0) {
        mem_free(b->part);
        mem_free(b);
        return rc;
    }
    b->m = m;
    atomic_fetch_add(&m->refs, 1);
    *out = b;
    return 0;
}

void lar_batch_close(struct lar_batch *b)
{
    if (!b) return;
    batch_close(&b->b);
    api_model_unref(b->m);
    mem_free(b->part);
    mem_free(b);
}

int lar_batch_step(struct lar_batch *b, struct lar_part *part, size_t npart, struct lar_err *err)
{
    if (!b || (!part && npart))
        return lar_fail(err, LAR_EINVAL, "lar_batch_step: batch and parts are needed");
    if (npart > b->b.nseq)
        return lar_fail(err, LAR_EINVAL, "%zu sessions in a step opened for %zu", npart, b->b.nseq);
    for (size_t i = 0; i < npart; i++) {
        if (!part[i].session || !part[i].tokens)
            return lar_fail(err, LAR_EINVAL, "part %zu of the step lacks its session or tokens", i);
        b->part[i] = (struct batch_part){.session = &part[i].session->s,
                                         .tokens = part[i].tokens,
                                         .n = part[i].n,
                                         .nlogit = part[i].logits,
                                         .prompt_end = part[i].prompt_end};
    }
    int rc = batch_eval(&b->b, b->part, npart, err);
    for (size_t i = 0; rc >= 0 && i < npart; i++) {
        part[i].rc = b->part[i].rc;
        part[i].why = b->part[i].why;
        part[i].out = b->part[i].logits;
    }
    return rc;
}

int64_t lar_session_reuse(struct lar_session *s, const int32_t *tokens, size_t n)
{
    if (!s || (!tokens && n)) return LAR_EINVAL;
    atomic_store(&s->s.cancel, 0);
    return (int64_t)session_reuse(&s->s, tokens, n);
}

int64_t lar_session_shared(const struct lar_session *from, const int32_t *tokens, size_t n)
{
    if (!from || (!tokens && n)) return LAR_EINVAL;
    return (int64_t)session_shared(&from->s, tokens, n);
}

int lar_session_cut(struct lar_session *s, size_t n, struct lar_err *err)
{
    if (!s) return lar_fail(err, LAR_EINVAL, "lar_session_cut: a session is needed");
    if (s->s.state && n < s->s.n)
        return lar_fail(err, LAR_EUNSUPPORTED, "a recurrent state cannot go back by single tokens");
    session_cut(&s->s, n);
    return 0;
}

int64_t lar_session_fork(struct lar_session *s, const struct lar_session *from,
                         const int32_t *tokens, size_t n, struct lar_err *err)
{
    if (!s || !from || (!tokens && n) || s == from)
        return lar_fail(err, LAR_EINVAL, "lar_session_fork: two sessions and tokens are needed");
    if (s->s.model != from->s.model || s->s.kv.pool != from->s.kv.pool)
        return lar_fail(err, LAR_EINVAL,
                        "lar_session_fork: the sessions are of different models or keep keys and "
                        "values in different forms");
    atomic_store(&s->s.cancel, 0);
    return (int64_t)session_fork(&s->s, &from->s, tokens, n);
}
