/* SPDX-License-Identifier: Apache-2.0
 *
 * api/embed.c: lar.h's embedders: vectors and scores. Labels are in classify.c.
 *
 * A file says how its vectors are pooled and what its classifier reads, or it does not; what is not said is refused with the
 * remedy, since a guess would give numbers that look right.
 */
#include "api/embed.h"

#include <math.h>
#include <stdio.h>

#include "text/vocab.h"

enum { BATCH_DEFAULT = 512, BATCH_MAX = 1 << 14 };

/* ---- opening ------------------------------------------------------------------------------------------------------ */

static int check_options(const struct model *m, const struct lar_embed_options *o,
                         struct lar_err *err)
{
    int width = (int)embed_width(m), ctx = (int)m->h.ctx_train;
    if ((unsigned)o->pooling > LAR_POOL_LAST)
        return lar_fail(err, LAR_EINVAL, "pooling %d: use mean, cls or last", (int)o->pooling);
    if (o->dimensions < 0 || o->dimensions > width)
        return lar_fail(err, LAR_EINVAL, "%d dimensions: this model's vectors have 1 to %d",
                        o->dimensions, width);
    if (o->truncate < -1 || o->truncate > ctx)
        return lar_fail(err, LAR_EINVAL, "truncate to %d tokens: this model reads 1 to %d",
                        o->truncate, ctx);
    if (o->batch < 0 || o->batch > BATCH_MAX)
        return lar_fail(err, LAR_EINVAL, "batch %d: use 1 to %d", o->batch, BATCH_MAX);
    return 0;
}

static int take_room(struct lar_embedder *e, struct lar_err *err)
{
    const struct head *h = &e->m->model->head;
    size_t width = embed_width(e->m->model), bytes;
    if (h->nlabel > width) width = h->nlabel;
    arena_init(&e->a, 0);
    if (mul_size(width, EMBED_TEXTS * sizeof *e->vector, &bytes))
        return lar_fail(err, LAR_ELIMIT, "vectors of %zu elements are too long", width);
    e->vector = mem_alloc(bytes);
    if (h->labels) e->label = arena_array(&e->a, h->nlabel, sizeof *e->label);
    for (size_t i = 0; e->label && i < h->nlabel; i++) {
        struct str s = gguf_str_at(h->labels, i);
        e->label[i] = arena_copy(&e->a, s.p, s.n);
        if (!e->label[i]) e->label = NULL;
    }
    if (!e->vector || (h->labels && !e->label))
        return lar_fail(err, LAR_ENOMEM, "embedder: out of memory");
    return 0;
}

/* ---- prompts ------------------------------------------------------------------------------------------------------- */

static const struct gguf_kv *strings(const struct lar_embedder *e, const char *key)
{
    const struct gguf_kv *kv = gguf_find(&e->m->model->gguf, key);
    return kv && kv->type == GGUF_ARRAY && kv->etype == GGUF_STRING ? kv : NULL;
}

/* The names, for a message: as many as fit. */
static void list(const struct gguf_kv *name, char *out, size_t n)
{
    size_t at = 0;
    out[0] = 0;
    for (uint64_t i = 0; name && i < name->count; i++) {
        struct str s = gguf_str_at(name, i);
        if (at + s.n + 8 > n) break;
        at += (size_t)snprintf(out + at, n - at, "%s%.*s", i ? ", " : "", STR_ARG(s));
    }
}

int lar_embedder_prompt(struct lar_embedder *e, const char *name, struct lar_err *err)
{
    char known[160];
    if (!e) return lar_fail(err, LAR_EINVAL, "lar_embedder_prompt: an embedder is needed");
    const struct gguf_kv *names = strings(e, "lar.embedding.prompt_names");
    const struct gguf_kv *texts = strings(e, "lar.embedding.prompts");
    e->prompt = STR("");
    if (!name) return 0;
    for (uint64_t i = 0; names && texts && i < names->count && i < texts->count; i++)
        if (str_is(gguf_str_at(names, i), name)) return e->prompt = gguf_str_at(texts, i), 0;
    list(names, known, sizeof known);
    return lar_fail(err, LAR_EINVAL, "prompt %.60s: %s%s", name,
                    known[0] ? "the model's file knows " : "the model's file knows none by name", known);
}

/* The default, and whether texts become small letters (convert/sentence.c). */
static int first_prompt(struct lar_embedder *e, struct lar_err *err)
{
    struct str s;
    char name[256];
    const struct gguf *g = &e->m->model->gguf;
    int rc = gguf_bool(g, "lar.embedding.lowercase", &e->lower, err);
    if (rc < 0 || (rc = gguf_str(g, "lar.embedding.default_prompt", &s, err)) <= 0) return rc;
    if (s.n >= sizeof name)
        return lar_fail(err, LAR_ELIMIT, "lar.embedding.default_prompt: %zu bytes; %zu are the most", s.n,
                        sizeof name - 1);
    snprintf(name, sizeof name, "%.*s", STR_ARG(s));
    return lar_embedder_prompt(e, name, err);
}

int lar_embedder_open(struct lar_embedder **out, struct lar_model *m,
                      const struct lar_embed_options *opt, struct lar_err *err)
{
    struct lar_embed_options o = opt ? *opt : (struct lar_embed_options){0};
    if (!out || !m) return lar_fail(err, LAR_EINVAL, "lar_embedder_open: out and model are needed");
    *out = NULL;
    if (!m->model->dev)
        return lar_fail(err, LAR_EINVAL, "the model was opened for its vocabulary only");
    int rc = check_options(m->model, &o, err);
    if (rc < 0) return rc;
    struct lar_embedder *e = mem_zalloc(sizeof *e);
    if (!e) return lar_fail(err, LAR_ENOMEM, "embedder: out of memory");
    e->o = o;
    e->m = m;
    atomic_fetch_add(&m->refs, 1);
    rc = embed_open(&e->e, m->model, o.batch ? (size_t)o.batch : BATCH_DEFAULT, err);
    if (rc == 0) rc = take_room(e, err);
    if (rc == 0) rc = first_prompt(e, err);
    if (rc < 0) {
        lar_embedder_close(e);
        return rc;
    }
    *out = e;
    return 0;
}

void lar_embedder_close(struct lar_embedder *e)
{
    if (!e) return;
    embed_close(&e->e);
    for (size_t i = 0; i < EMBED_TEXTS; i++) embed_ids_done(&e->ids[i]);
    arena_done(&e->a);
    buf_done(&e->text);
    mem_free(e->vector);
    api_model_unref(e->m);
    mem_free(e);
}

enum pooling embedder_pooling(const struct lar_embedder *e)
{
    static const enum pooling named[] = {
        [LAR_POOL_MEAN] = POOL_MEAN, [LAR_POOL_CLS] = POOL_CLS, [LAR_POOL_LAST] = POOL_LAST};
    return e->o.pooling == LAR_POOL_MODEL ? e->m->model->head.pooling : named[e->o.pooling];
}

size_t embedder_most(const struct lar_embedder *e)
{
    size_t most = e->m->model->h.ctx_train;
    uint32_t told; /* by the model's makers: what it was trained with may be shorter */
    if (e->o.truncate >= 0) return (size_t)e->o.truncate;
    return gguf_u32(&e->m->model->gguf, "lar.embedding.max_tokens", &told, NULL) == 1 && told < most ? told : most;
}

void lar_embedder_info(const struct lar_embedder *e, struct lar_embedder_info *out)
{
    static const char *const name[] = {"", "none", "mean", "cls", "last", "rank"};
    const struct model *m = e->m->model;
    *out = (struct lar_embedder_info){
        .dimensions = e->o.dimensions ? e->o.dimensions : (int)embed_width(m),
        .max_tokens = (int)m->h.ctx_train,
        .pooling = name[embedder_pooling(e) - POOL_UNKNOWN],
        .nlabel = (int)m->head.nlabel,
        .labels_tokens = m->head.nlabel && m->head.pooling == POOL_NONE};
}

const char *lar_embedder_label(const struct lar_embedder *e, int i)
{
    return e->label && i >= 0 && (size_t)i < e->m->model->head.nlabel ? e->label[i] : NULL;
}

/* ---- vectors ------------------------------------------------------------------------------------------------------ */

int embedder_check_text(const struct lar_text *t, int tokens_too, struct lar_err *err)
{
    if (t->tokens && !tokens_too)
        return lar_fail(err, LAR_EINVAL, "a text is needed here, not its tokens");
    if (!t->tokens && !t->text && t->n) return lar_fail(err, LAR_EINVAL, "a text is NULL");
    return 0;
}

static struct str text_of(const struct lar_text *t)
{
    return (struct str){t->text ? t->text : "", t->n};
}

/* The prompt and the text, as the model wants them. */
static int dress(struct lar_embedder *e, struct str *s, struct lar_err *err)
{
    if (!e->prompt.n && !e->lower) return 0;
    buf_clear(&e->text);
    if (e->lower) {
        vocab_norm_lower(e->prompt, &e->text);
        vocab_norm_lower(*s, &e->text);
    } else {
        buf_str(&e->text, e->prompt);
        buf_str(&e->text, *s);
    }
    *s = buf_view(&e->text);
    return e->text.failed ? lar_fail(err, LAR_ENOMEM, "prompt and text: out of memory") : 0;
}

static int encode(struct lar_embedder *e, const struct lar_text *t, enum pooling pool,
                  struct embed_ids *ids, struct embed_text *out, struct lar_err *err)
{
    int rc = embedder_check_text(t, 1, err);
    if (rc < 0) return rc;
    if (t->tokens) {
        *out = (struct embed_text){t->tokens, NULL, t->ntoken};
        return 0;
    }
    struct str s = text_of(t);
    if ((rc = dress(e, &s, err)) < 0) return rc;
    rc = embed_encode(e->m->model, e->m->vocab, s, NULL, pool, embedder_most(e), ids, NULL, err);
    *out = (struct embed_text){ids->ids.id, NULL, ids->ids.n};
    return rc;
}

/* The first `keep` elements, made unit length unless raw. */
static void finish(const float *v, size_t keep, int raw, float *out)
{
    double sum = 0;
    for (size_t i = 0; i < keep; i++) sum += (double)v[i] * (double)v[i];
    double scale = raw || !(sum > 0) ? 1 : 1 / sqrt(sum);
    for (size_t i = 0; i < keep; i++) out[i] = (float)((double)v[i] * scale);
}

static int can_embed(const struct lar_embedder *e, enum pooling pool, struct lar_err *err)
{
    const struct head *h = &e->m->model->head;
    if (pool == POOL_MEAN || pool == POOL_CLS || pool == POOL_LAST) return 0;
    if (h->nlabel)
        return lar_fail(err, LAR_EUNSUPPORTED,
                        "this model classifies or ranks texts; name a pooling (mean, cls, last) if "
                        "its vectors are wanted all the same");
    return lar_fail(
        err, LAR_EUNSUPPORTED,
        "the file does not say how this model's vectors are pooled: name it (mean, cls, "
        "last), as the model's makers have it");
}

int64_t lar_embed(struct lar_embedder *e, const struct lar_text *text, size_t n, float *out,
                  struct lar_err *err)
{
    if (!e || (n && (!text || !out)))
        return lar_fail(err, LAR_EINVAL, "lar_embed: embedder, texts and out are needed");
    enum pooling pool = embedder_pooling(e);
    size_t width = embed_width(e->m->model);
    size_t keep = e->o.dimensions ? (size_t)e->o.dimensions : width;
    int64_t tokens = 0;
    int rc = can_embed(e, pool, err);
    for (size_t done = 0; done < n && rc == 0; done += EMBED_TEXTS) {
        size_t k = n - done < EMBED_TEXTS ? n - done : EMBED_TEXTS;
        struct embed_text t[EMBED_TEXTS];
        for (size_t i = 0; i < k && rc == 0; i++) {
            rc = encode(e, &text[done + i], pool, &e->ids[i], &t[i], err);
            tokens += (int64_t)t[i].n;
        }
        e->e.first = done;
        if (rc == 0) rc = embed_vectors(&e->e, t, k, pool, e->vector, err);
        for (size_t i = 0; i < k && rc == 0; i++)
            finish(e->vector + i * width, keep, e->o.raw, out + (done + i) * keep);
    }
    return rc < 0 ? rc : tokens;
}

/* ---- scores ------------------------------------------------------------------------------------------------------- */

void embedder_probabilities(float *x, size_t n)
{
    double top = (double)x[0], sum = 0;
    if (n == 1) {
        x[0] = (float)(1 / (1 + exp(-top)));
        return;
    }
    for (size_t i = 1; i < n; i++) top = fmax(top, (double)x[i]);
    for (size_t i = 0; i < n; i++) sum += exp((double)x[i] - top);
    for (size_t i = 0; i < n; i++) x[i] = (float)(exp((double)x[i] - top) / sum);
}

int embedder_classifier(const struct lar_embedder *e, enum pooling *out, struct lar_err *err)
{
    const struct model *m = e->m->model;
    const struct head *h = &m->head;
    *out = h->pooling;
    if (!h->nlabel)
        return lar_fail(err, LAR_EUNSUPPORTED,
                        "this model is no classifier: the file has no cls.output.weight");
    if (h->pooling == POOL_NONE) return 0;
    if (!m->both) { /* a decoder: the last token has seen all */
        *out = POOL_LAST;
        return 0;
    }
    if (m->arch->post_norm && !h->cls.data)
        return lar_fail(
            err, LAR_EUNSUPPORTED,
            "the file lacks the pooler (cls.weight) that BERT's classifiers of texts read, and "
            "does not say that it labels tokens (pooling_type 0): convert it again with a "
            "converter that keeps them");
    *out = POOL_CLS;
    if (!m->arch->post_norm) {
        *out = embedder_pooling(e);
        if (*out != POOL_CLS && *out != POOL_MEAN)
            return lar_fail(
                err, LAR_EUNSUPPORTED,
                "the file does not say what the classifier reads: name the pooling that "
                "config.json has as classifier_pooling (mean, cls)");
    }
    return 0;
}

/* "yes" of a model that answers yes or no. */
static size_t yes_of(const struct lar_embedder *e)
{
    for (size_t i = 0; e->label && i < e->m->model->head.nlabel; i++)
        if (!strcmp(e->label[i], "yes")) return i;
    return 0;
}

static int can_rank(const struct lar_embedder *e, enum pooling *pool, struct str *form,
                    struct lar_err *err)
{
    const struct model *m = e->m->model;
    int rc = embedder_classifier(e, pool, err);
    *form = STR("");
    if (rc < 0) return rc;
    if (*pool == POOL_NONE)
        return lar_fail(err, LAR_EUNSUPPORTED, "this model labels tokens and does not rank texts");
    if (m->head.nlabel > 2 || (m->both && m->head.nlabel != 1))
        return lar_fail(err, LAR_EUNSUPPORTED,
                        "this model has %zu labels: it classifies texts and does not rank them",
                        m->head.nlabel);
    if (m->both) return 0;
    if ((rc = gguf_str(&m->gguf, "tokenizer.chat_template.rerank", form, err)) < 0) return rc;
    if (rc == 0 || form->n == 0)
        return lar_fail(err, LAR_EUNSUPPORTED,
                        "the file lacks tokenizer.chat_template.rerank, the form in which this "
                        "model wants query and document");
    return 0;
}

/* The form with {query} and {document} put in: in one walk, so that a query may say "{document}". */
static void fill(struct str form, struct str query, struct str doc, struct buf *out)
{
    static const char names[2][11] = {"{query}", "{document}"};
    struct str value[2] = {query, doc};
    while (form.n) {
        size_t skip = 1;
        for (int i = 0; i < 2 && skip == 1; i++)
            if (str_starts(form, str_of(names[i]))) {
                buf_str(out, value[i]);
                skip = strlen(names[i]);
            }
        if (skip == 1) buf_putc(out, form.p[0]);
        form = str_from(form, skip);
    }
}

static int encode_pair(struct lar_embedder *e, const struct lar_text *query,
                       const struct lar_text *doc, struct str form, struct embed_ids *t,
                       struct lar_err *err)
{
    struct str a = text_of(query), b = text_of(doc);
    int rc = embedder_check_text(doc, 0, err);
    if (rc < 0) return rc;
    if (!form.n)
        return embed_encode(e->m->model, e->m->vocab, a, &b, POOL_RANK, embedder_most(e), t, NULL,
                            err);
    struct buf all = {0};
    fill(form, a, b, &all);
    rc = all.failed ? lar_fail(err, LAR_ENOMEM, "query and document: out of memory")
                    : embed_encode(e->m->model, e->m->vocab, buf_view(&all), NULL, POOL_RANK, 0, t,
                                   NULL, err);
    buf_done(&all);
    return rc;
}

int64_t lar_rank(struct lar_embedder *e, const struct lar_text *query, const struct lar_text *doc,
                 size_t n, float *score, struct lar_err *err)
{
    enum pooling pool;
    struct str form;
    int64_t tokens = 0;
    if (!e || !query || (n && (!doc || !score)))
        return lar_fail(err, LAR_EINVAL,
                        "lar_rank: embedder, query, documents and scores are needed");
    size_t nlabel = e->m->model->head.nlabel, yes = yes_of(e);
    int rc = can_rank(e, &pool, &form, err);
    if (rc == 0) rc = embedder_check_text(query, 0, err);
    for (size_t done = 0; done < n && rc == 0; done += EMBED_TEXTS) {
        size_t k = n - done < EMBED_TEXTS ? n - done : EMBED_TEXTS;
        struct embed_text t[EMBED_TEXTS];
        for (size_t i = 0; i < k && rc == 0; i++) {
            struct embed_ids *ids = &e->ids[i];
            rc = encode_pair(e, query, &doc[done + i], form, ids, err);
            t[i] = (struct embed_text){ids->ids.id, ids->types.id, ids->ids.n};
            tokens += (int64_t)t[i].n;
        }
        e->e.first = done;
        if (rc == 0) rc = embed_logits(&e->e, t, k, pool, e->vector, err);
        for (size_t i = 0; i < k && rc == 0; i++) {
            float *row = e->vector + i * nlabel;
            if (!e->o.raw) embedder_probabilities(row, nlabel);
            score[done + i] = e->o.raw && nlabel == 2 ? row[yes] - row[!yes] : row[yes];
        }
    }
    return rc < 0 ? rc : tokens;
}
