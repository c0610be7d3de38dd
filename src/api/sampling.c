/* SPDX-License-Identifier: Apache-2.0
 * api/sampling.c: Lar's sampling defaults, what a model file recommends (general.sampling.*, as ggml's converter writes it; what is wrong there is
 * somebody's mistake that must not make the model unusable: that key is left out and told), and samplers: run/sampler with the vocabulary that tells DRY's breakers. */
#include <float.h>
#include <math.h>
#include <stddef.h>

#include "api/api.h"
#include "base/mem.h"
#include "base/num.h"

/* ---- what the file recommends --------------------------------------------------------------------------------------- */

#define KEY "general.sampling."

/* Puts a number from the file into the field at, as llama.cpp takes it: integers and floats for each other, a top_k below 1 is off, and more
 * than an int holds is as good as all that an int holds. 0: nothing that the field can be (NaN is refused by sampler_check). */
static int put_number(struct lar_sampling *p, size_t at, int whole, double v)
{
    float f = v >= -(double)FLT_MAX && v <= (double)FLT_MAX ? (float)v : NAN;
    int i = v >= INT32_MAX ? INT32_MAX : v <= INT32_MIN ? INT32_MIN : v == v ? (int)v : 0;
    if (at == offsetof(struct lar_sampling, top_k) && i < 0) i = 0;
    if (whole && v != floor(v)) return 0; /* NaN too */
    if (whole) memcpy((char *)p + at, &i, sizeof i);
    else memcpy((char *)p + at, &f, sizeof f);
    return 1;
}

/* 0 when the key is absent or was taken; else why says what is wrong with it, and p is as it was. */
static int take(const struct gguf *g, const char *key, size_t at, int whole, struct lar_sampling *p,
                struct lar_err *why)
{
    const struct gguf_kv *kv = gguf_find(g, key);
    struct lar_sampling q = *p;
    struct lar_err e;
    if (!kv) return 0;
    if (!gguf_is_int(kv->type) && kv->type != GGUF_F32 && kv->type != GGUF_F64)
        return lar_fail(why, LAR_EFORMAT, "%s is of type %s, expected a number", key, gguf_type_name(kv->type));
    double v = gguf_num_at(kv, 0);
    if (!put_number(&q, at, whole, v))
        return lar_fail(why, LAR_EFORMAT, "%s is %s, expected a whole number", key, num_show(v).z);
    if (sampler_check(&q, &e) < 0) {
        const char *expected = strstr(e.msg, "expected ");
        return lar_fail(why, LAR_EFORMAT, "%s is %s, %s", key, num_show(v).z, expected ? expected : "out of range");
    }
    *p = q;
    return 0;
}

/* The steps in Lar's order under the names that llama.cpp has for them; what is not among a file's steps is off. */
static const char *const steps[] = {
    " penalties ", " dry ", " top_k top-k ", " typ_p typ-p typical typical_p typical-p ", " top_p top-p nucleus ",
    " min_p min-p ", " xtc ", " temperature temp ",
};
enum { NSTEP = sizeof steps / sizeof *steps };

static int step_of(struct str name)
{
    for (int i = 0; i < NSTEP && name.n; i++)
        for (const char *at = steps[i] + 1; *at; at += strcspn(at, " ") + 1)
            if (str_eq(name, (struct str){at, strcspn(at, " ")})) return i;
    return -1;
}

static void steps_only(struct lar_sampling *p, unsigned used)
{
    if (!(used & 1)) p->repeat_penalty = 1, p->presence_penalty = p->frequency_penalty = 0;
    if (!(used & 2)) p->dry_multiplier = 0;
    if (!(used & 4)) p->top_k = 0;
    if (!(used & 8)) p->typical_p = 1;
    if (!(used & 16)) p->top_p = 1;
    if (!(used & 32)) p->min_p = 0;
    if (!(used & 64)) p->xtc_probability = 0;
    if (!(used & 128)) p->temp = 1;
}

/* Names between semicolons. "top_n_sigma" has no key that could turn it on, so its place does not matter. */
static int take_sequence(const struct gguf *g, struct lar_sampling *p, struct lar_err *why)
{
    struct str all = {0};
    unsigned used = 0;
    int rc = gguf_str(g, KEY "sequence", &all, why);
    if (rc != 1) return rc;
    for (size_t at = 0; at <= all.n;) {
        const char *end = at < all.n ? memchr(all.p + at, ';', all.n - at) : NULL;
        struct str name = {all.p + at, (end ? (size_t)(end - all.p) : all.n) - at};
        at += name.n + 1;
        if (str_is(name, "top_n_sigma")) continue;
        int i = step_of(name);
        if (i < 0 || used >> i)
            return lar_fail(why, LAR_EUNSUPPORTED,
                            KEY "sequence is \"%.*s\", expected some of penalties;dry;top_k;typ_p;top_p;min_p;xtc;"
                                "temperature, which Lar knows in this order",
                            (int)(all.n < 60 ? all.n : 60), all.p);
        used |= 1u << i;
    }
    if (!p->mirostat) steps_only(p, used);
    return 0;
}

int api_recommended(struct lar_model *m, struct lar_err *err)
{
#define F32(key, field) {KEY key, offsetof(struct lar_sampling, field), 0}
#define INT(key, field) {KEY key, offsetof(struct lar_sampling, field), 1}
    static const struct {
        const char *key;
        size_t at;
        int whole;
    } keys[] = {
        F32("temp", temp),
        INT("top_k", top_k),
        F32("top_p", top_p),
        F32("min_p", min_p),
        F32("xtc_probability", xtc_probability),
        F32("xtc_threshold", xtc_threshold),
        INT("penalty_last_n", repeat_last_n),
        F32("penalty_repeat", repeat_penalty),
        INT("mirostat", mirostat),
        F32("mirostat_tau", mirostat_tau),
        F32("mirostat_eta", mirostat_eta),
    };
    enum { N = sizeof keys / sizeof *keys };
    struct buf b = {0};
    sampler_default(&m->sampling);
    for (int i = 0; i <= N; i++) {
        struct lar_err why;
        const struct gguf *g = &m->model->gguf;
        int rc = i < N ? take(g, keys[i].key, keys[i].at, keys[i].whole, &m->sampling, &why)
                       : take_sequence(g, &m->sampling, &why);
        if (rc < 0) buf_printf(&b, "%s%s", b.n ? "; " : "", why.msg);
    }
    if (b.n) buf_puts(&b, ": left out of what the model recommends");
    m->warning = b.failed ? NULL : arena_copy(&m->model->a, buf_z(&b), b.n);
    buf_done(&b);
    return m->warning ? 0 : lar_fail(err, LAR_ENOMEM, "model: out of memory");
}

const char *lar_model_warning(const struct lar_model *m) { return m->warning; }

void lar_sampling_default(struct lar_sampling *p, const struct lar_model *m)
{
    if (m) *p = m->sampling;
    else sampler_default(p);
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
