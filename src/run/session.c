/* SPDX-License-Identifier: Apache-2.0
 * run/session.c: see session.h. A prompt goes through in batches; only the last row of the last one gets logits. */
#include "run/session.h"

#include <string.h>

void session_need(const struct model *m, size_t batch, struct dev_need *need)
{
    *need = (struct dev_need){.batch = batch};
    for (size_t i = 0; i < m->h.nlayer; i++) {
        const struct dev_attn *a = &m->layer[i].attn;
        size_t hd = a->hd > a->hdv ? a->hd : a->hdv;
        if (hd > need->hd_max) need->hd_max = hd;
        if (a->nkv && a->nhead / a->nkv > need->group_max) need->group_max = a->nhead / a->nkv;
    }
    if (need->group_max == 0) need->group_max = 1;
    need->k_max = m->h.width > m->ff_max ? m->h.width : m->ff_max;
    if (m->att_max > need->k_max) need->k_max = m->att_max;
    need->exact = (size_t)m->both;
    need->low = m->nalways > 0;
    need->types = m->types;
}

int session_open(struct session *s, struct model *m, struct kv_pool *pool, enum kern_kv type,
                 size_t ctx, size_t batch, struct lar_err *err)
{
    size_t block_bytes;
    int rc;
    *s = (struct session){.ctx = ctx, .batch = batch, .kind = type};
    s->model = model_ref(m);
    s->layout = mem_zalloc(m->h.nlayer * sizeof *s->layout);
    s->tokens = mem_zalloc(ctx * sizeof *s->tokens);
    int have_state = 1;
    if (m->state_floats) {
        s->state = mem_zalloc(m->state_floats * sizeof *s->state);
        have_state = s->state != NULL;
        for (int i = 0; i < 2; i++) {
            s->check[i].state = mem_zalloc(m->state_floats * sizeof *s->state);
            have_state &= s->check[i].state != NULL;
        }
    }
    if (!s->layout || !s->tokens || !have_state) {
        session_close(s);
        return lar_fail(err, LAR_ENOMEM, "session of %zu tokens: out of memory", ctx);
    }
    struct dev_need need;
    session_need(m, batch, &need);
    if ((rc = model_kv_layout(m, type, s->layout, &block_bytes, err)) < 0 ||
        (rc = dev_cpu_reserve(m->dev, &need, err)) < 0 ||
        (rc = work_open(&s->work, m, batch, 1, err)) < 0 ||
        (rc = kv_open(&s->kv, pool, ctx, err)) < 0)
        session_close(s);
    return rc;
}

void session_close(struct session *s)
{
    for (size_t i = 0; i < s->nlow; i++) adapter_close(s->adapter[i]);
    kv_close(&s->kv);
    work_close(&s->work);
    mem_free(s->layout);
    mem_free(s->tokens);
    mem_free(s->state);
    for (int i = 0; i < 2; i++) mem_free(s->check[i].state);
    model_close(s->model);
    *s = (struct session){0};
}

static int check_tokens(const struct session *s, const int32_t *tokens, size_t n,
                        struct lar_err *err)
{
    for (size_t i = 0; i < n; i++)
        if (tokens[i] < 0 || (size_t)tokens[i] >= s->model->h.vocab)
            return lar_fail(err, LAR_EINVAL, "token %zu is %d; ids of this model are 0 to %zu", i,
                            tokens[i], s->model->h.vocab - 1);
    return 0;
}

int session_check(const struct session *s, const int32_t *tokens, size_t n, struct lar_err *err)
{
    int rc = check_tokens(s, tokens, n, err);
    if (rc < 0) return rc;
    if (n > s->ctx - s->n)
        return lar_fail(err, LAR_ELIMIT,
                        "%zu tokens do not fit: the context has room for %zu, %zu are used", n,
                        s->ctx, s->n);
    return 0;
}

/* The timeline becomes its first n tokens, or fewer; spoiled: the state is not that of the timeline. */
static void back_to(struct session *s, size_t n, int spoiled)
{
    size_t bytes = s->model->state_floats * sizeof *s->state;
    if (n > s->n) n = s->n;
    if (s->state && (n < s->n || spoiled)) {
        int best = -1;
        for (int i = 0; i < 2; i++)
            if (s->check[i].n && s->check[i].n <= n &&
                (best < 0 || s->check[i].n > s->check[best].n))
                best = i;
        n = best < 0 ? 0 : s->check[best].n;
        if (best < 0)
            memset(s->state, 0, bytes);
        else
            memcpy(s->state, s->check[best].state, bytes);
        for (int i = 0; i < 2; i++)
            if (s->check[i].n > n) s->check[i].n = 0; /* of tokens that are no more */
    }
    if (n < s->n) s->has_logits = 0;
    s->n = n;
    if (n == 0) s->length = 0;
    kv_cut(&s->kv, n);
}

void session_adapt(struct session *s, struct adapter *const *adapter, const float *scale, size_t n)
{
    int same = n == s->nlow;
    for (size_t i = 0; same && i < n; i++) same = adapter[i] == s->adapter[i] && scale[i] == s->low[i].scale;
    if (same) return;
    for (size_t i = 0; i < n; i++) adapter_ref(adapter[i]); /* before the others go: some may be among them */
    for (size_t i = 0; i < s->nlow; i++) adapter_close(s->adapter[i]);
    for (size_t i = 0; i < n; i++) {
        s->adapter[i] = adapter[i];
        s->low[i] = (struct dev_low){adapter[i]->of, scale[i]};
    }
    s->nlow = n;
    back_to(s, 0, 0);
    for (int i = 0; i < 2; i++) s->check[i].n = 0;
}

int session_alike(const struct session *a, const struct session *b)
{
    int same = a->nlow == b->nlow;
    for (size_t i = 0; same && i < a->nlow; i++)
        same = a->adapter[i] == b->adapter[i] && a->low[i].scale == b->low[i].scale;
    return same;
}

struct dev_seq session_seq(struct session *s, size_t first, size_t n)
{
    return (struct dev_seq){.block = s->kv.block,
                            .state = s->state,
                            .pos = (int64_t)s->n,
                            .first = first,
                            .n = n,
                            .low = s->low,
                            .nlow = s->nlow};
}

/* In the place of the older copy. */
void session_keep(struct session *s)
{
    if (!s->state || s->n == 0) return;
    int at = s->check[0].n <= s->check[1].n ? 0 : 1;
    if (s->check[!at].n == s->n) return;
    memcpy(s->check[at].state, s->state, s->model->state_floats * sizeof *s->state);
    s->check[at].n = s->n;
}

void session_cut(struct session *s, size_t n)
{
    if (n < s->n) back_to(s, n, 0);
}

int session_extend(struct session *s, const int32_t *tokens, size_t n, float *all,
                   void (*progress)(void *ctx, size_t done, size_t total), void *ctx,
                   struct lar_err *err)
{
    size_t vocab = s->model->h.vocab;
    int rc = session_check(s, tokens, n, err);
    if (rc < 0) return rc;
    if (s->length < s->n + n) s->length = s->n + n;
    for (size_t done = 0; done < n;) {
        size_t take = n - done < s->batch ? n - done : s->batch;
        size_t keep = all ? take : done + take == n;
        struct dev_seq seq = session_seq(s, 0, take);
        struct batch b = {.tokens = tokens + done,
                          .n = take,
                          .seq = &seq,
                          .keep = &keep,
                          .nseq = 1,
                          .layout = s->layout,
                          .ctx = s->ctx,
                          .length = &s->length,
                          .cancel = &s->cancel};
        kv_grow(&s->kv, s->n, s->n + take);
        s->has_logits = 0;
        struct work w = s->work;
        if (all)
            w.logits = (struct dev_rows){all + done * vocab, vocab}; /* straight to the caller */
        if ((rc = model_forward(s->model, &w, &b, err)) < 0) {
            back_to(s, s->n, 1);
            return rc;
        }
        if (all) memcpy(s->work.logits.p, all + (done + take - 1) * vocab, vocab * sizeof *all);
        memcpy(s->tokens + s->n, tokens + done, take * sizeof *tokens);
        s->n += take;
        done += take;
        s->has_logits = done == n;
        if (progress) progress(ctx, done, n);
        if (atomic_load_explicit(&s->cancel, memory_order_relaxed) && done < n)
            return lar_fail(err, LAR_ECANCEL, "stopped after %zu of %zu tokens", done, n);
    }
    return 0;
}

size_t session_reuse(struct session *s, const int32_t *tokens, size_t n)
{
    size_t same = 0;
    while (same < n && same < s->n && s->tokens[same] == tokens[same]) same++;
    if (same == n && n) same--;
    if (!rope_alike(s->model, s->length, s->ctx, n, s->ctx)) same = 0;
    session_cut(s, same);
    s->length = n;
    return s->n;
}

/* A recurrent state is there only at the end and where copies were kept: the nearest at or before n, and its floats. */
static size_t state_at(const struct session *s, size_t n, const float **state)
{
    *state = s->state;
    if (!s->state || n >= s->n) return n < s->n ? n : s->n;
    size_t best = 0;
    for (int i = 0; i < 2; i++)
        if (s->check[i].n <= n && s->check[i].n > best) {
            best = s->check[i].n;
            *state = s->check[i].state;
        }
    return best;
}

size_t session_shared(const struct session *from, const int32_t *tokens, size_t n)
{
    const float *state;
    size_t same = 0;
    while (same + 1 < n && same < from->n && from->tokens[same] == tokens[same]) same++;
    return state_at(from, same, &state);
}

size_t session_fork(struct session *s, const struct session *from, const int32_t *tokens, size_t n)
{
    const float *state;
    size_t same = session_shared(from, tokens, n), bytes = s->model->state_floats * sizeof *state;
    same = state_at(from, same < s->ctx ? same : s->ctx, &state);
    back_to(s, 0, 0);
    s->length = n;
    if (same == 0 || !session_alike(s, from) || !rope_alike(s->model, n, s->ctx, from->length, from->ctx)) return 0;
    kv_fork(&s->kv, &from->kv, same);
    memcpy(s->tokens, tokens, same * sizeof *tokens);
    s->n = same;
    s->has_logits = 0;
    if (s->state) {
        memcpy(s->state, state, bytes);
        session_keep(s);
    }
    return same;
}

int session_sync(struct session *s, const int32_t *tokens, size_t n,
                 void (*progress)(void *ctx, size_t done, size_t total), void *ctx,
                 struct lar_err *err)
{
    int rc = check_tokens(s, tokens, n, err);
    if (rc < 0) return rc;
    if (n > s->ctx)
        return lar_fail(err, LAR_ELIMIT, "%zu tokens do not fit in a context of %zu", n, s->ctx);
    if (s->n == n && s->has_logits && !memcmp(s->tokens, tokens, n * sizeof *tokens)) return 0;
    size_t same = session_reuse(s, tokens, n);
    rc = session_extend(s, tokens + same, n - same, NULL, progress, ctx, err);
    if (rc < 0) return rc;
    session_keep(s);
    return (int)(n - same);
}

const float *session_logits(const struct session *s)
{
    return s->has_logits ? s->work.logits.p : NULL;
}
