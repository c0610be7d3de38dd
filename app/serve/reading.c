/* SPDX-License-Identifier: Apache-2.0
 * serve/reading.c: see reading.h. */
#include "serve/reading.h"

#include "base/err.h"
#include "base/mem.h"
#include "base/time.h"
#include "serve/chat.h"
#include "serve/field.h"
#include "serve/keys.h"
#include "serve/ollama.h"
#include "serve/openai.h"
#include "serve/trace.h"

enum { WAITING_MAX = 256, TEXTS_MAX = 4096 };

struct wish {
    struct shelf_wait wait; /* while its model is loaded; the first member */
    struct reading *reading;
    struct book *book;      /* held */
    int64_t load_ns;
    struct http_call *call; /* kept */
    enum reading_kind kind;
    struct ask q;
    const struct json *input, *documents, *query;
    const char *prompt; /* its name, "": none; NULL: as the model has it */
    int base64, dimensions, cut, top_n, documents_too, special, pieces;
    int vllm; /* its words for a text: prompt, add_special_tokens, which is true when not said */
    int64_t began, tokens;
    char parent[TRACE_PARENT]; /* the client's trace and span, or "" */
    struct wish *next;
};

struct reading {
    struct shelf *shelf;
    struct trace *trace;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct wish *first, **tail;
    size_t n;
    int stop;
};

/* ---- the body ----------------------------------------------------------------------------------------------------------------- */

static int is_openai(enum reading_kind k) { return k == READING_EMBEDDINGS || k == READING_RERANK; }

static void reply_error(struct wish *w, int status, const char *message)
{
    struct buf b = {0};
    if (is_openai(w->kind))
        openai_error(&b, status, message);
    else
        ollama_error(&b, status, message);
    http_reply(w->call, status, "application/json", buf_view(&b));
    buf_done(&b);
}

/* Members that the common reader does not know: told by name here, since they are the wish's and not the ask's. */
static int member(struct wish *w, const struct json *v, struct lar_err *err)
{
    enum reading_kind k = w->kind;
    int ollama = k == READING_EMBED || k == READING_EMBEDDING,
        embeds = ollama || k == READING_EMBEDDINGS;
    int words = k == READING_TOKENIZE || k == READING_DETOKENIZE || k == READING_TEMPLATE;
    struct str s = v->key;
    if (str_is(s, "model"))
        return v->kind == JSON_STRING     ? w->q.model = v->s,
                                        0 : lar_fail(err, LAR_EINVAL, "needs a string");
    if (embeds && k != READING_EMBEDDING && str_is(s, "input")) return w->input = v, 0;
    if (k == READING_EMBEDDING && str_is(s, "prompt")) return w->input = v, 0;
    if (k == READING_TOKENIZE && str_is(s, "content")) return w->input = v, 0;
    if (k == READING_TOKENIZE && str_is(s, "prompt")) return w->input = v, w->vllm = 1, 0;
    if (k == READING_DETOKENIZE && str_is(s, "tokens")) return w->input = v, 0;
    if (k == READING_TEMPLATE && str_is(s, "messages")) return w->input = v, 0;
    if (k == READING_RERANK && str_is(s, "query")) return w->query = v, 0;
    if (k == READING_RERANK && str_is(s, "documents")) return w->documents = v, 0;
    if (ollama && str_is(s, "keep_alive")) return ollama_duration(v, &w->q.keep_ns, err);
    if (ollama && str_is(s, "options")) return ollama_params(&w->q, v, "", err);
    if (embeds && str_is(s, "prompt_name"))
        return v->kind == JSON_STRING ? w->prompt = arena_copy(&w->q.a, v->s.p, v->s.n), w->prompt ? 0 : LAR_ENOMEM
                                      : lar_fail(err, LAR_EINVAL, "needs a string");
    if (k == READING_EMBED && str_is(s, "truncate") && v->kind == JSON_BOOL)
        return w->cut = v->boolean, 0;
    if (k == READING_EMBEDDINGS && str_is(s, "encoding_format")) {
        w->base64 = v->kind == JSON_STRING && str_is(v->s, "base64");
        return w->base64 || (v->kind == JSON_STRING && str_is(v->s, "float"))
                   ? 0
                   : lar_fail(err, LAR_EINVAL, "is neither float nor base64");
    }
    if ((k == READING_EMBEDDINGS && str_is(s, "user")) ||
        (k == READING_TEMPLATE && str_is(s, "add_generation_prompt")))
        return 0;
    int *number = embeds && str_is(s, "dimensions")           ? &w->dimensions
                  : k == READING_RERANK && str_is(s, "top_n") ? &w->top_n
                                                              : NULL;
    if (number) {
        if (v->kind != JSON_NUMBER || !v->is_int || v->i < 1 || v->i > 1 << 20)
            return lar_fail(err, LAR_EINVAL, "needs a whole number above 0");
        *number = (int)v->i;
        return 0;
    }
    int *flag = k == READING_RERANK && str_is(s, "return_documents") ? &w->documents_too
                : words && str_is(s, "add_special")                  ? &w->special
                : words && str_is(s, "with_pieces")                  ? &w->pieces
                                                                     : NULL;
    if (words && str_is(s, "add_special_tokens") && v->kind == JSON_BOOL) return w->special = v->boolean ? 1 : -1, 0;
    if (flag && v->kind == JSON_BOOL) return *flag = v->boolean, 0;
    return lar_fail(err, LAR_EINVAL, flag ? "needs true or false" : "is not known here");
}

static int read_wish(struct wish *w, struct str body, struct lar_err *err)
{
    if (body.n == 0) return lar_fail(err, LAR_EINVAL, "missing request body");
    const struct json *v = json_parse(&w->q.a, body, err);
    if (!v) return LAR_EINVAL;
    if (v->kind != JSON_OBJECT) return lar_fail(err, LAR_EINVAL, "the body must be an object");
    for (const struct json *c = v->child; c; c = c->next) {
        struct lar_err why = {0};
        int rc = c->kind == JSON_NULL ? 0 : member(w, c, &why);
        if (rc < 0) return lar_fail(err, rc, "%.*s: %s", STR_ARG(c->key), why.msg);
    }
    if (w->kind == READING_RERANK ? !w->query || w->query->kind != JSON_STRING || !w->documents ||
                                        w->documents->kind != JSON_ARRAY
                                  : !w->input)
        return lar_fail(err, LAR_EINVAL,
                        w->kind == READING_RERANK ? "query and documents are required"
                                                  : "the text is missing");
    return 0;
}

/* ---- texts --------------------------------------------------------------------------------------------------------------------- */

static int take_ids(struct wish *w, const struct json *v, struct lar_text *t, struct lar_err *err)
{
    int32_t *id = arena_array(&w->q.a, v->n + 1, sizeof *id);
    if (!id) return lar_fail(err, LAR_ENOMEM, "the request is too large");
    for (const struct json *c = v->child; c; c = c->next) {
        if (c->kind != JSON_NUMBER || !c->is_int || c->i < 0 || c->i > INT32_MAX)
            return lar_fail(err, LAR_EINVAL, "a list of token ids holds something else");
        id[t->ntoken++] = (int32_t)c->i;
    }
    t->tokens = id;
    return 0;
}

static int take_text(struct wish *w, const struct json *v, struct lar_text *t, struct lar_err *err)
{
    *t = (struct lar_text){0};
    if (v->kind == JSON_STRING) return *t = (struct lar_text){.text = v->s.p, .n = v->s.n}, 0;
    if (v->kind == JSON_ARRAY) return take_ids(w, v, t, err);
    if (w->kind == READING_RERANK && v->kind == JSON_OBJECT && json_get(v, "text"))
        return take_text(w, json_get(v, "text"), t, err);
    return lar_fail(err, LAR_EINVAL, "needs a string, a list of token ids, or a list of such");
}

/* input: one text, or several. */
static int take_texts(struct wish *w, const struct json *v, struct lar_text **out, size_t *n,
                      struct lar_err *err)
{
    int many = v->kind == JSON_ARRAY && !(v->child && v->child->kind == JSON_NUMBER);
    int rc = 0;
    *n = many ? v->n : 1;
    if (*n == 0 || *n > TEXTS_MAX)
        return lar_fail(err, LAR_EINVAL, "%zu texts; 1 to %d in a request", *n, TEXTS_MAX);
    *out = arena_array(&w->q.a, *n, sizeof **out);
    if (!*out) return lar_fail(err, LAR_ENOMEM, "the request is too large");
    if (!many) return take_text(w, v, &(*out)[0], err);
    size_t i = 0;
    for (const struct json *c = v->child; c && rc == 0; c = c->next)
        rc = take_text(w, c, &(*out)[i++], err);
    return rc;
}

/* ---- embeddings -------------------------------------------------------------------------------------------------------------------- */

static void base64(struct buf *b, const float *v, size_t n)
{
    static const char digit[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t bytes = n * 4;
    buf_putc(b, '"');
    for (size_t i = 0; i < bytes; i += 3) {
        unsigned x = 0;
        for (size_t k = 0; k < 3; k++) { /* little-endian F32, whatever this machine is */
            uint32_t u = 0;
            if (i + k < bytes) memcpy(&u, &v[(i + k) / 4], 4);
            x = x << 8 | (i + k < bytes ? u >> 8 * ((i + k) % 4) & 255 : 0);
        }
        for (size_t k = 0; k < 4; k++)
            buf_putc(b, i + k > bytes ? '=' : digit[x >> (18 - 6 * k) & 63]);
    }
    buf_putc(b, '"');
}

static void vector(struct buf *b, const struct wish *w, const float *v, size_t n)
{
    if (w->base64) {
        base64(b, v, n);
        return;
    }
    buf_putc(b, '[');
    for (size_t i = 0; i < n; i++) buf_printf(b, "%s%.9g", i ? "," : "", (double)v[i]);
    buf_putc(b, ']');
}

static void write_vectors(struct buf *b, const struct wish *w, const struct book *k, const float *v,
                          size_t n, size_t width, int64_t tokens, int64_t load_ns)
{
    struct str name = w->q.model.n ? w->q.model : str_of(k->name);
    if (w->kind == READING_EMBEDDING) {
        buf_puts(b, "{\"embedding\":");
        vector(b, w, v, width);
        buf_puts(b, "}\n");
        return;
    }
    buf_puts(b, w->kind == READING_EMBED ? "{\"model\":" : "{\"object\":\"list\",\"model\":");
    buf_json_str(b, name);
    buf_puts(b, w->kind == READING_EMBED ? ",\"embeddings\":[" : ",\"data\":[");
    for (size_t i = 0; i < n; i++) {
        if (i) buf_putc(b, ',');
        if (w->kind == READING_EMBEDDINGS)
            buf_printf(b, "{\"object\":\"embedding\",\"index\":%zu,\"embedding\":", i);
        vector(b, w, v + i * width, width);
        if (w->kind == READING_EMBEDDINGS) buf_putc(b, '}');
    }
    if (w->kind == READING_EMBED)
        buf_printf(b,
                   "],\"total_duration\":%lld,\"load_duration\":%lld,\"prompt_eval_count\":%lld}\n",
                   (long long)(time_ns() - w->began), (long long)load_ns, (long long)tokens);
    else
        buf_printf(b, "],\"usage\":{\"prompt_tokens\":%lld,\"total_tokens\":%lld}}\n",
                   (long long)tokens, (long long)tokens);
}

static int embed(struct wish *w, const struct book *k, int64_t load_ns, struct buf *b,
                 struct lar_err *err)
{
    int most = w->q.ctx && w->q.ctx < k->ctx_train ? w->q.ctx : -1; /* num_ctx: as much of a text is read */
    struct lar_embed_options o = {.dimensions = w->dimensions, .truncate = w->cut ? most : 0};
    struct lar_embedder *e = NULL;
    struct lar_embedder_info info;
    struct lar_text *text;
    size_t n, floats;
    float *v = NULL;
    int64_t tokens = 0;
    if (!w->cut && most > 0)
        return lar_fail(err, LAR_EUNSUPPORTED,
                        "options: num_ctx: a text is cut to it, or not at all (truncate: false)");
    int rc = take_texts(w, w->input, &text, &n, err);
    if (rc == 0) rc = lar_embedder_open(&e, k->engine->model, &o, err);
    if (rc == 0 && w->prompt) rc = lar_embedder_prompt(e, w->prompt[0] ? w->prompt : NULL, err);
    if (rc == 0) {
        lar_embedder_info(e, &info);
        if (mul_size(n, (size_t)info.dimensions, &floats) || !(v = mem_alloc(floats * sizeof *v)))
            rc = lar_fail(err, LAR_ENOMEM, "vectors: out of memory");
    }
    if (rc == 0) tokens = lar_embed(e, text, n, v, err);
    if (rc == 0 && tokens < 0) rc = (int)tokens;
    if (rc == 0) w->tokens = tokens;
    if (rc == 0) write_vectors(b, w, k, v, n, (size_t)info.dimensions, tokens, load_ns);
    mem_free(v);
    lar_embedder_close(e);
    return rc;
}

/* ---- reranking ----------------------------------------------------------------------------------------------------------------------- */

static void write_scores(struct buf *b, struct wish *w, const struct book *k, float *score,
                         size_t n, int64_t tokens)
{
    size_t top = w->top_n && (size_t)w->top_n < n ? (size_t)w->top_n : n;
    buf_puts(b, "{\"model\":");
    buf_json_str(b, w->q.model.n ? w->q.model : str_of(k->name));
    buf_puts(b, ",\"object\":\"list\",\"results\":[");
    for (size_t i = 0; i < top;
         i++) { /* the best of what is left; used ones are marked by a score below all */
        size_t best = 0;
        const struct json *doc = w->documents->child;
        for (size_t d = 1; d < n; d++)
            if (score[d] > score[best]) best = d;
        for (size_t d = 0; d < best; d++) doc = doc->next;
        buf_printf(b, "%s{\"index\":%zu,\"relevance_score\":%.9g", i ? "," : "", best,
                   (double)score[best]);
        if (w->documents_too) {
            buf_puts(b, ",\"document\":{\"text\":");
            json_write(b, doc->kind == JSON_OBJECT ? json_get(doc, "text") : doc);
            buf_putc(b, '}');
        }
        buf_putc(b, '}');
        score[best] = -2;
    }
    buf_printf(b, "],\"usage\":{\"prompt_tokens\":%lld,\"total_tokens\":%lld}}\n",
               (long long)tokens, (long long)tokens);
}

static int rerank(struct wish *w, const struct book *k, struct buf *b, struct lar_err *err)
{
    struct lar_embedder *e = NULL;
    struct lar_text *doc, query;
    size_t n;
    float *score = NULL;
    int rc = take_text(w, w->query, &query, err);
    if (rc == 0) rc = take_texts(w, w->documents, &doc, &n, err);
    if (rc == 0) rc = lar_embedder_open(&e, k->engine->model, NULL, err);
    if (rc == 0 && !(score = mem_alloc(n * sizeof *score)))
        rc = lar_fail(err, LAR_ENOMEM, "scores: out of memory");
    int64_t tokens = rc == 0 ? lar_rank(e, &query, doc, n, score, err) : 0;
    if (rc == 0 && tokens < 0) rc = (int)tokens;
    if (rc == 0) w->tokens = tokens;
    if (rc == 0) write_scores(b, w, k, score, n, tokens);
    mem_free(score);
    lar_embedder_close(e);
    return rc;
}

/* ---- tokens ---------------------------------------------------------------------------------------------------------------------------- */

static int tokenize(struct wish *w, const struct book *k, struct buf *b, struct lar_err *err)
{
    const struct lar_model *m = k->engine->model;
    unsigned flags = LAR_TOKENIZE_SPECIAL | (w->special > 0 || (w->vllm && !w->special) ? LAR_TOKENIZE_BOS : 0u);
    if (w->input->kind != JSON_STRING) return lar_fail(err, LAR_EINVAL, "content: needs a string");
    struct str s = w->input->s;
    int64_t n = lar_tokenize(m, s.p, s.n, flags, NULL, 0, err);
    int32_t *id = n > 0 ? arena_array(&w->q.a, (size_t)n, sizeof *id) : NULL;
    if (n < 0) return (int)n;
    if (n > 0 && !id) return lar_fail(err, LAR_ENOMEM, "the request is too large");
    if (n > 0) lar_tokenize(m, s.p, s.n, flags, id, (size_t)n, err);
    buf_puts(b, "{\"tokens\":[");
    for (int64_t i = 0; i < n; i++) {
        size_t bytes;
        const char *p = lar_token_bytes(m, id[i], &bytes);
        if (i) buf_putc(b, ',');
        if (!w->pieces) {
            buf_printf(b, "%d", (int)id[i]);
            continue;
        }
        buf_printf(b, "{\"id\":%d,\"piece\":", (int)id[i]);
        buf_json_str(b, (struct str){p ? p : "", p ? bytes : 0});
        buf_putc(b, '}');
    }
    buf_puts(b, "]}\n");
    return 0;
}

static int detokenize(struct wish *w, const struct book *k, struct buf *b, struct lar_err *err)
{
    struct lar_text t = {0};
    char *text;
    size_t n;
    if (w->input->kind != JSON_ARRAY)
        return lar_fail(err, LAR_EINVAL, "tokens: needs a list of token ids");
    int rc = take_ids(w, w->input, &t, err);
    if (rc == 0) rc = lar_detokenize(k->engine->model, t.tokens, t.ntoken, 1, &text, &n, err);
    if (rc < 0) return rc;
    buf_puts(b, "{\"content\":");
    buf_json_str(b, (struct str){text, n});
    buf_puts(b, ",\"prompt\":"); /* vLLM's word */
    buf_json_str(b, (struct str){text, n});
    buf_puts(b, "}\n");
    lar_free(text);
    return 0;
}

static int apply_template(struct wish *w, const struct book *k, struct buf *b, struct lar_err *err)
{
    char *text;
    size_t n;
    int rc = chat_prompt(&w->q, w->input, (struct str){"", 0}, NULL, err);
    if (rc == 0)
        rc = lar_chat_render(k->engine->model, w->q.prompt[0].chat, LAR_THINK_DEFAULT, &text, &n,
                             err);
    if (rc < 0) return rc;
    buf_puts(b, "{\"prompt\":");
    buf_json_str(b, (struct str){text, n});
    buf_puts(b, "}\n");
    lar_free(text);
    return 0;
}

/* ---- the thread --------------------------------------------------------------------------------------------------------------------------- */

static int fulfil(struct wish *w, const struct book *k, int64_t load_ns, struct buf *b,
                  struct lar_err *err)
{
    switch (w->kind) {
    case READING_EMBEDDINGS:
    case READING_EMBED:
    case READING_EMBEDDING: return embed(w, k, load_ns, b, err);
    case READING_RERANK: return rerank(w, k, b, err);
    case READING_TOKENIZE: return tokenize(w, k, b, err);
    case READING_DETOKENIZE: return detokenize(w, k, b, err);
    case READING_TEMPLATE: return apply_template(w, k, b, err);
    }
    return lar_fail(err, LAR_EINVAL, "no such reading");
}

static int status_of(int code) { return code == LAR_ENOMEM ? 503 : code == LAR_EIO ? 500 : 400; }

static void wish_free(struct wish *w)
{
    if (w->book) shelf_release(w->reading->shelf, w->book, w->q.keep_ns);
    http_drop(w->call);
    ask_done(&w->q);
    mem_free(w);
}

/* 0: the queue is full, or it is over. */
static int enqueue(struct reading *r, struct wish *w, size_t most)
{
    pthread_mutex_lock(&r->lock);
    int full = r->stop || r->n >= most;
    if (!full) {
        w->next = NULL;
        *r->tail = w;
        r->tail = &w->next;
        r->n++;
        pthread_cond_signal(&r->wake);
    }
    pthread_mutex_unlock(&r->lock);
    return !full;
}

static void loaded(struct shelf_wait *wait, int rc, const struct lar_err *why)
{
    struct wish *w = (struct wish *)wait;
    w->load_ns = time_ns() - wait->since;
    if (rc == 0) w->book = wait->book;
    if (rc == 0 && enqueue(w->reading, w, SIZE_MAX)) return;
    reply_error(w, rc < 0 ? status_of(rc) : 503, rc < 0 ? why->msg : "the server is shutting down");
    wish_free(w);
}

static int left(struct shelf_wait *wait) { return http_gone(((struct wish *)wait)->call); }

/* With its model at hand. */
static void fulfil_wish(struct reading *r, struct wish *w)
{
    struct lar_err err = {0};
    struct buf b = {0};
    const struct book *k = w->book;
    int rc = fulfil(w, k, w->load_ns, &b, &err);
    if (w->kind <= READING_RERANK)
        trace_reading(r->trace, w->call, w->kind == READING_RERANK ? "RERANKER" : "EMBEDDING", k->name, w->tokens,
                      w->parent, w->began, rc < 0);
    keys_spend(http_owner(w->call), w->tokens);
    if (rc == 0 && b.failed) rc = lar_fail(&err, LAR_ENOMEM, "out of memory");
    if (rc < 0)
        reply_error(w, status_of(rc), err.msg);
    else
        http_reply(w->call, 200, "application/json", buf_view(&b));
    buf_done(&b);
}

static void find_model(struct reading *r, struct wish *w, struct lar_err *err)
{
    struct str name = w->q.model;
    struct book *k = shelf_find(r->shelf, name.p ? name.p : "", name.n);
    struct loras_use with;
    struct buf full = {0};
    if (!k && loras_find(r->shelf, name, &with, &full))
        lar_fail(err, 400, "adapters are for answers: texts are embedded, ranked and counted by the base alone");
    else if (k && !keys_allow(http_owner(w->call), k->name))
        lar_fail(err, 403, "this key may not use that model");
    else if (k)
        w->wait = (struct shelf_wait){.book = k, .keep_ns = w->q.keep_ns, .gone = left, .ready = loaded};
    else if (name.n)
        lar_fail(err, 404, "model '%.*s' not found", STR_ARG(name));
    else
        lar_fail(err, 400, "model is required: this server has several");
    buf_done(&full);
}

/* It is answered and freed, or waits for its model. */
static void answer(struct reading *r, struct wish *w)
{
    struct lar_err err = {0};
    if (!w->book) {
        find_model(r, w, &err);
        if (err.code) {
            reply_error(w, err.code, err.msg);
            wish_free(w);
            return;
        }
        int rc = shelf_hold(r->shelf, w->wait.book, &w->wait, &err);
        if (rc == SHELF_LATER) return;
        if (rc == 0) w->book = w->wait.book;
        if (rc < 0) reply_error(w, status_of(rc), err.msg);
    }
    if (w->book) fulfil_wish(r, w);
    wish_free(w);
}

static void *work(void *ctx)
{
    struct reading *r = ctx;
    pthread_mutex_lock(&r->lock);
    for (;;) {
        while (!r->first && !r->stop) pthread_cond_wait(&r->wake, &r->lock);
        struct wish *w = r->first;
        if (!w) break;
        r->first = w->next;
        if (!r->first) r->tail = &r->first;
        r->n--;
        int stop = r->stop;
        pthread_mutex_unlock(&r->lock);
        if (stop || http_gone(w->call)) {
            reply_error(w, stop ? 503 : 499,
                        stop ? "the server is shutting down" : "the client closed its connection");
            wish_free(w);
        } else {
            answer(r, w);
        }
        pthread_mutex_lock(&r->lock);
    }
    pthread_mutex_unlock(&r->lock);
    return NULL;
}

int reading_open(struct reading **out, struct shelf *s, struct trace *trace, struct lar_err *err)
{
    struct reading *r = mem_zalloc(sizeof *r);
    *out = NULL;
    if (!r) return lar_fail(err, LAR_ENOMEM, "out of memory");
    r->shelf = s;
    r->trace = trace;
    r->tail = &r->first;
    pthread_mutex_init(&r->lock, NULL);
    pthread_cond_init(&r->wake, NULL);
    if (pthread_create(&r->thread, NULL, work, r)) {
        mem_free(r);
        return lar_fail(err, LAR_EIO, "no thread for reading");
    }
    *out = r;
    return 0;
}

void reading_close(struct reading *r)
{
    if (!r) return;
    pthread_mutex_lock(&r->lock);
    r->stop = 1;
    pthread_cond_signal(&r->wake);
    pthread_mutex_unlock(&r->lock);
    pthread_join(r->thread, NULL);
    pthread_mutex_destroy(&r->lock);
    pthread_cond_destroy(&r->wake);
    mem_free(r);
}

void reading_take(struct reading *r, struct http_call *c, enum reading_kind kind)
{
    struct lar_err err = {0};
    struct wish *w = mem_zalloc(sizeof *w);
    if (!w) {
        http_reply(c, 503, "application/json", STR("{\"error\":\"out of memory\"}\n"));
        return;
    }
    http_keep(c);
    w->call = c;
    w->kind = kind;
    w->cut = kind == READING_EMBED ||
             kind == READING_EMBEDDING; /* Ollama's default, which its clients rely on */
    w->began = time_ns();
    trace_parent(c, w->parent);
    ask_init(&w->q);
    w->reading = r;
    int rc = read_wish(w, http_body(c), &err);
    if (rc == 0 && enqueue(r, w, WAITING_MAX)) return;
    reply_error(w, rc == 0 ? 503 : 400, rc == 0 ? "too many requests are waiting: try again later" : err.msg);
    wish_free(w);
}
