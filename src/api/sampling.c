/* SPDX-License-Identifier: Apache-2.0
 * api/sampling.c: Lar's sampling defaults, what a model file recommends (general.sampling.*, as ggml's converter writes it), and
 * samplers: run/sampler with the vocabulary that tells DRY's breakers. */
#include "api/api.h"
#include "base/mem.h"

static void take_f32(const struct gguf *g, const char *key, float *v)
{
    float f;
    if (gguf_f32(g, key, &f, NULL) == 1) *v = f;
}

static void take_int(const struct gguf *g, const char *key, int *v)
{
    int64_t i;
    if (gguf_i64(g, key, &i, NULL) == 1 && i >= -1 && i <= INT32_MAX) *v = (int)i;
}

void lar_sampling_default(struct lar_sampling *p, const struct lar_model *m)
{
    sampler_default(p);
    if (!m) return;
    const struct gguf *g = &m->model->gguf;
    struct lar_sampling q = *p;
    take_f32(g, "general.sampling.temp", &q.temp);
    take_int(g, "general.sampling.top_k", &q.top_k);
    take_f32(g, "general.sampling.top_p", &q.top_p);
    take_f32(g, "general.sampling.min_p", &q.min_p);
    take_f32(g, "general.sampling.xtc_probability", &q.xtc_probability);
    take_f32(g, "general.sampling.xtc_threshold", &q.xtc_threshold);
    take_int(g, "general.sampling.penalty_last_n", &q.repeat_last_n);
    take_f32(g, "general.sampling.penalty_repeat", &q.repeat_penalty);
    take_int(g, "general.sampling.mirostat", &q.mirostat);
    take_f32(g, "general.sampling.mirostat_tau", &q.mirostat_tau);
    take_f32(g, "general.sampling.mirostat_eta", &q.mirostat_eta);
    /* A recommendation out of range is somebody's mistake: it must not make the model unusable. */
    if (sampler_check(&q, NULL) == 0) *p = q;
}

int lar_sampling_check(const struct lar_sampling *p, struct lar_err *err)
{
    if (!p) return lar_fail(err, LAR_EINVAL, "lar_sampling_check: no settings were given");
    return sampler_check(p, err);
}

/* ---- samplers ---------------------------------------------------------------------------------------------------- */

int api_sampler_init(struct api_sampler *s, const struct lar_model *m, const struct lar_sampling *p,
                     const struct lar_sampler_options *o, struct lar_err *err)
{
    struct lar_sampling own;
    struct ids ids = {0};
    int rc = 0;
    if (!p) lar_sampling_default(&own, m), p = &own;
    s->v = m->vocab;
    if (p->dry_multiplier > 0) {
        breaker_init(&s->breaker, o->dry_breaker, o->ndry_breaker);
        if (breaker_tokens(&s->breaker, s->v, &ids) < 0)
            rc = lar_fail(err, LAR_ENOMEM, "DRY's breakers: out of memory");
    }
    if (rc == 0) rc = sampler_open(&s->s, (int32_t)m->model->h.vocab, p, o->ctx, ids.id, ids.n, err);
    ids_done(&ids);
    return rc < 0 ? rc : sampler_bias(s->s, o->bias, o->nbias, err);
}

void api_sampler_done(struct api_sampler *s)
{
    sampler_close(s->s);
    breaker_done(&s->breaker);
}

void api_sampler_accept(struct api_sampler *s, int32_t id)
{
    sampler_accept(s->s, id);
    if (breaker_feed(&s->breaker, vocab_bytes(s->v, id))) sampler_break(s->s);
}

struct lar_sampler {
    struct lar_model *m; /* a reference of its own */
    struct api_sampler s;
};

int lar_sampler_open(struct lar_sampler **out, struct lar_model *m, const struct lar_sampling *p,
                     const struct lar_sampler_options *opt, struct lar_err *err)
{
    struct lar_sampler_options o = opt ? *opt : (struct lar_sampler_options){0};
    if (!out || !m) return lar_fail(err, LAR_EINVAL, "lar_sampler_open: out and model are needed");
    *out = NULL;
    if (!m->model->dev)
        return lar_fail(err, LAR_EINVAL, "lar_sampler_open: the model was opened for its vocabulary only");
    if (o.ctx < 0) return lar_fail(err, LAR_EINVAL, "lar_sampler_open: ctx %d is negative", o.ctx);
    if (o.nbias && !o.bias)
        return lar_fail(err, LAR_EINVAL, "lar_sampler_open: %zu biases and no place where they are", o.nbias);
    for (size_t i = 0; i < o.ndry_breaker; i++)
        if (!o.dry_breaker || !o.dry_breaker[i] || !*o.dry_breaker[i])
            return lar_fail(err, LAR_EINVAL, "lar_sampler_open: DRY's breaker %zu is empty", i);
    if (o.ctx == 0) o.ctx = api_default_ctx(m);
    struct lar_sampler *s = mem_zalloc(sizeof *s);
    if (!s) return lar_fail(err, LAR_ENOMEM, "sampler: out of memory");
    s->m = m;
    atomic_fetch_add(&m->refs, 1);
    int rc = api_sampler_init(&s->s, m, p, &o, err);
    if (rc < 0)
        lar_sampler_close(s);
    else
        *out = s;
    return rc;
}

void lar_sampler_close(struct lar_sampler *s)
{
    if (!s) return;
    api_sampler_done(&s->s);
    api_model_unref(s->m);
    mem_free(s);
}

int32_t lar_sampler_pick(struct lar_sampler *s, const float *logits, struct lar_err *err)
{
    if (!s || !logits)
        return lar_fail(err, LAR_EINVAL,
                        "lar_sampler_pick: a sampler and logits are needed: a session has none before its first token");
    int32_t id = sampler_pick(s->s.s, logits);
    return id >= 0 ? id : lar_fail(err, LAR_EFORMAT, "no token has a usable logit: all are NaN or impossible");
}

int lar_sampler_accept(struct lar_sampler *s, const int32_t *tokens, size_t n, struct lar_err *err)
{
    if (!s || (!tokens && n)) return lar_fail(err, LAR_EINVAL, "lar_sampler_accept: a sampler and tokens are needed");
    int32_t vocab = (int32_t)s->m->model->h.vocab;
    for (size_t i = 0; i < n; i++)
        if (tokens[i] < 0 || tokens[i] >= vocab)
            return lar_fail(err, LAR_EINVAL, "token %zu is %d; ids of this model are 0 to %d", i, tokens[i],
                            vocab - 1);
    for (size_t i = 0; i < n; i++) api_sampler_accept(&s->s, tokens[i]);
    return 0;
}

void lar_sampler_reset(struct lar_sampler *s)
{
    if (!s) return;
    sampler_reset(s->s.s);
    breaker_reset(&s->s.breaker);
}

void lar_sampler_used(const struct lar_sampler *s, struct lar_sampling *out) { sampler_used(s->s.s, out); }
