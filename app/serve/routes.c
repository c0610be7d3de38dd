/* SPDX-License-Identifier: Apache-2.0
 *
 * serve/routes.c: see routes.h. What needs no model is answered here; keys are looked at before anything else.
 */
#include "serve/routes.h"

#include <stdio.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/time.h"
#include "serve/anthropic.h"
#include "serve/blobs.h"
#include "serve/disk.h"
#include "serve/infill.h"
#include "serve/kept.h"
#include "serve/keys.h"
#include "serve/ollama.h"
#include "serve/openai.h"
#include "serve/props.h"
#include "serve/reading.h"
#include "serve/responses.h"
#include "serve/sched.h"
#include "serve/state.h"
#include "serve/stock.h"
#include "serve/writing.h"

/* ---- answers at once ---------------------------------------------------------------------------------------------------------- */

static void get_root(struct server *s, struct http_call *c)
{
    (void)s;
    http_reply(c, 200, "text/plain; charset=utf-8", STR("Lar is running\n"));
}

static void get_version(struct server *s, struct http_call *c)
{
    struct buf b = {0};
    (void)s;
    buf_printf(&b, "{\"version\":\"%s\"}\n", lar_version());
    writing_json(c, &b);
}

static void get_health(struct server *s, struct http_call *c)
{
    if (atomic_load(&s->draining))
        http_reply(c, 503, "application/json", STR("{\"status\":\"shutting down\"}\n"));
    else
        http_reply(c, 200, "application/json", STR("{\"status\":\"ok\"}\n"));
}

static void get_tags(struct server *s, struct http_call *c)
{
    struct buf b = {0};
    ollama_tags(&b, &s->shelf, 0);
    writing_json(c, &b);
}

static void get_ps(struct server *s, struct http_call *c)
{
    struct buf b = {0};
    ollama_tags(&b, &s->shelf, 1);
    writing_json(c, &b);
}

static void get_metrics(struct server *s, struct http_call *c)
{
    struct buf b = {0};
    struct metrics m;
    sched_look(s->sched, &m);
    shelf_compiled(&s->shelf, &m);
    metrics_write(&b, &m);
    shelf_memory(&s->shelf, &b);
    loras_metrics(&s->shelf, &b);
    disk_metrics(s->disk, &b);
    http_reply(c, 200, "text/plain; version=0.0.4; charset=utf-8", buf_view(&b));
    buf_done(&b);
}

static void get_slots(struct server *s, struct http_call *c)
{
    struct buf b = {0};
    struct metrics m;
    const char *name = http_query(c, "model");
    const struct book *k = shelf_find(&s->shelf, name ? name : "", name ? strlen(name) : 0);
    struct slot *slot = mem_zalloc((size_t)s->opt.parallel * sizeof *slot);
    sched_look(s->sched, &m);
    if (http_query(c, "fail_on_no_slot") && m.running >= s->opt.parallel) {
        writing_error(c, openai_error, 503, "no slot is free");
    } else if (!slot) {
        writing_error(c, openai_error, 503, "out of memory");
    } else if (name && (!k || !keys_allow(http_owner(c), k->name))) {
        writing_error(c, openai_error, 404, "there is no such model");
    } else {
        pthread_mutex_lock(&s->shelf.lock);
        if (k && k->engine && k->engine->slot) sched_slots(s->sched, k->engine, slot);
        pthread_mutex_unlock(&s->shelf.lock);
        props_slots(&b, s->opt.ctx || !k ? s->opt.ctx : book_ctx(k), slot, s->opt.parallel);
        writing_json(c, &b);
    }
    mem_free(slot);
}

/* Of the one model that is served, or of ?model=. */
static void get_props(struct server *s, struct http_call *c)
{
    struct buf b = {0};
    struct lar_err err;
    const char *name = http_query(c, "model");
    const struct book *k = shelf_find(&s->shelf, name ? name : "", name ? strlen(name) : 0);
    int rc = k && keys_allow(http_owner(c), k->name) ? 0 : lar_fail(&err, LAR_EINVAL, "which model? ?model=NAME");
    if (rc == 0)
        rc = strcmp(http_path(c), "/props") == 0
                 ? props_write(&b, k, s->opt.ctx ? s->opt.ctx : book_ctx(k), s->opt.parallel, &s->sandbox, &err)
                 : props_tokenizer(&b, k, &err);
    if (rc == 0) {
        writing_json(c, &b);
        return;
    }
    buf_done(&b);
    writing_error(c, openai_error, rc == LAR_EINVAL ? 404 : job_status(rc), err.msg);
}

static int may_change(struct server *s, struct http_call *c, writing_error_fn *form)
{
    if (s->opt.read_only)
        writing_error(c, form, 403, "this server changes no models (--read-only)");
    else if (!keys_allow(http_owner(c), NULL))
        writing_error(c, form, 403, "this key has some models only, and may not change which there are");
    else
        return 1;
    return 0;
}

/* Which adapters there are, and how strong, is as much as which models there are. */
static void take_loras(struct server *s, struct http_call *c)
{
    if (strcmp(http_method(c), "POST") != 0 || may_change(s, c, openai_error)) loras_take(&s->shelf, c);
}

static void get_models(struct server *s, struct http_call *c)
{
    struct buf b = {0};
    openai_models(&b, &s->shelf, (struct str){"", 0});
    writing_json(c, &b);
}

static void get_model(struct server *s, struct http_call *c)
{
    struct buf b = {0};
    struct str name = str_of(http_path(c) + sizeof "/v1/models/" - 1);
    if (name.n && openai_models(&b, &s->shelf, name)) {
        writing_json(c, &b);
        return;
    }
    buf_done(&b);
    buf_printf(&b, "model '%.*s' not found", STR_ARG(name));
    writing_error(c, openai_error, 404, buf_z(&b));
    buf_done(&b);
}

static void post_show(struct server *s, struct http_call *c)
{
    struct buf b = {0};
    struct lar_err err;
    int rc = ollama_show(&b, &s->shelf, http_body(c), &err);
    if (rc == 0) {
        writing_json(c, &b);
        return;
    }
    buf_done(&b);
    writing_error(c, ollama_error, rc > 0 ? rc : job_status(rc), err.msg);
}

static void post_chat(struct server *s, struct http_call *c)
{
    writing_take(s, c, &ollama_dialect, OLLAMA_CHAT, ollama_read);
}
static void post_generate(struct server *s, struct http_call *c)
{
    writing_take(s, c, &ollama_dialect, OLLAMA_GENERATE, ollama_read);
}
static void post_chat_completions(struct server *s, struct http_call *c)
{
    writing_take(s, c, &openai_dialect, OPENAI_CHAT, openai_read);
}
static void post_completions(struct server *s, struct http_call *c)
{
    writing_take(s, c, &openai_dialect, OPENAI_TEXT, openai_read);
}

static void post_infill(struct server *s, struct http_call *c)
{
    writing_take(s, c, &infill_dialect, 0, infill_read);
}

static void post_messages(struct server *s, struct http_call *c)
{
    writing_take(s, c, &anthropic_dialect, ANTHROPIC_MESSAGES, anthropic_read);
}

static void post_responses(struct server *s, struct http_call *c)
{
    writing_take(s, c, &responses_dialect, RESPONSES_WRITE, responses_read);
}

static void take_response(struct server *s, struct http_call *c) { kept_take(s->kept, c); }

static void post_count_tokens(struct server *s, struct http_call *c)
{
    writing_count(s, c, &anthropic_dialect, ANTHROPIC_COUNT, anthropic_read, "");
}

static void post_input_tokens(struct server *s, struct http_call *c)
{
    writing_count(s, c, &responses_dialect, RESPONSES_COUNT, responses_read, "\"object\":\"response.input_tokens\",");
}

static void post_embeddings(struct server *s, struct http_call *c) { reading_take(s->reading, c, READING_EMBEDDINGS); }
static void post_embed(struct server *s, struct http_call *c) { reading_take(s->reading, c, READING_EMBED); }
static void post_embedding(struct server *s, struct http_call *c) { reading_take(s->reading, c, READING_EMBEDDING); }
static void post_rerank(struct server *s, struct http_call *c) { reading_take(s->reading, c, READING_RERANK); }
static void post_tokenize(struct server *s, struct http_call *c) { reading_take(s->reading, c, READING_TOKENIZE); }
static void post_detokenize(struct server *s, struct http_call *c) { reading_take(s->reading, c, READING_DETOKENIZE); }
static void post_template(struct server *s, struct http_call *c) { reading_take(s->reading, c, READING_TEMPLATE); }

static void change(struct server *s, struct http_call *c, enum stock_kind kind)
{
    if (may_change(s, c, ollama_error)) stock_take(s->stock, c, kind);
}

/* A blob is taken from who may change models, and from nobody else a byte of it: so the key is looked at before the body comes. */
int routes_wants(struct http_call *c, void *ctx)
{
    struct server *s = ctx;
    struct lar_err err;
    struct key *key = NULL;
    struct blob *b = NULL;
    if (!blobs_wants(c)) return 0;
    if (s->keys) key = keys_find(s->keys, http_header(c, "Authorization"), http_header(c, "x-api-key"));
    if (s->opt.read_only || (s->keys && (!key || !keys_allow(key, NULL))))
        writing_error(c, ollama_error, s->keys && !key ? 401 : 403, "blobs are taken only from who may change models");
    else if (!(b = blobs_begin(c, &err)))
        writing_error(c, ollama_error, job_status(err.code), err.msg);
    http_set_taker(c, b);
    return b != NULL;
}

void routes_piece(struct http_call *c, const char *data, size_t n, void *ctx)
{
    (void)ctx;
    blobs_piece(http_taker(c), data, n);
}

static void post_blob(struct server *s, struct http_call *c)
{
    (void)s;
    blobs_end(http_taker(c), c);
}

static void get_blob(struct server *s, struct http_call *c)
{
    (void)s;
    if (strcmp(http_method(c), "HEAD") == 0)
        blobs_look(c);
    else
        writing_error(c, ollama_error, 405, "GET is no method of blobs: HEAD tells whether there is one");
}

static void post_create(struct server *s, struct http_call *c) { change(s, c, STOCK_CREATE); }
static void post_copy(struct server *s, struct http_call *c) { change(s, c, STOCK_COPY); }
static void post_delete(struct server *s, struct http_call *c) { change(s, c, STOCK_DELETE); }
static void post_pull(struct server *s, struct http_call *c) { change(s, c, STOCK_PULL); }
static void post_push(struct server *s, struct http_call *c) { change(s, c, STOCK_PUSH); }

/* ---- routes ------------------------------------------------------------------------------------------------------------------------ */

static const struct route {
    const char *method, *path; /* a path that ends in / takes all below it */
    void (*handle)(struct server *s, struct http_call *c);
} routes[] = {
    {"GET", "", get_root},
    {"GET", "/health", get_health},
    {"GET", "/v1/health", get_health},
    {"GET", "/metrics", get_metrics},
    {"GET", "/props", get_props},
    {"GET", "/tokenizer_info", get_props},
    {"GET", "/slots", get_slots},
    {"GET", "/api/version", get_version},
    {"GET", "/api/tags", get_tags},
    {"GET", "/api/ps", get_ps},
    {"POST", "/api/show", post_show},
    {"POST", "/api/create", post_create},
    {"POST", "/api/blobs/", post_blob},
    {"GET", "/api/blobs/", get_blob},
    {"POST", "/api/copy", post_copy},
    {"DELETE", "/api/delete", post_delete},
    {"POST", "/api/pull", post_pull},
    {"POST", "/api/push", post_push},
    {"POST", "/api/chat", post_chat},
    {"POST", "/api/generate", post_generate},
    {"GET", "/v1/models", get_models},
    {"GET", "/v1/models/", get_model},
    {"POST", "/v1/chat/completions", post_chat_completions},
    {"POST", "/v1/completions", post_completions},
    {"POST", "/infill", post_infill},
    {"POST", "/v1/messages", post_messages},
    {"POST", "/v1/messages/count_tokens", post_count_tokens},
    {"POST", "/v1/responses", post_responses},
    {"POST", "/v1/responses/input_tokens", post_input_tokens},
    {"GET", "/v1/responses/", take_response},
    {"DELETE", "/v1/responses/", take_response},
    {"POST", "/v1/responses/", take_response},
    {"GET", "/lora-adapters", take_loras},
    {"POST", "/lora-adapters", take_loras},
    {"POST", "/v1/load_lora_adapter", take_loras},
    {"POST", "/v1/unload_lora_adapter", take_loras},
    {"POST", "/v1/embeddings", post_embeddings},
    {"POST", "/v1/rerank", post_rerank},
    {"POST", "/v1/reranking", post_rerank},
    {"POST", "/rerank", post_rerank},
    {"POST", "/api/embed", post_embed},
    {"POST", "/api/embeddings", post_embedding},
    {"POST", "/tokenize", post_tokenize},
    {"POST", "/detokenize", post_detokenize},
    {"POST", "/apply-template", post_template},
    {NULL, NULL, NULL},
};

static int is_path(const char *path, const char *route)
{
    size_t n = strlen(route);
    if (n == 0) return strcmp(path, "/") == 0;
    if (route[n - 1] == '/') return strncmp(path, route, n) == 0;
    return strcmp(path, route) == 0;
}

/* With keys: who asks is known, and within his limits; else he is told so. */
static int let_in(struct server *s, struct http_call *c, writing_error_fn *form)
{
    struct key *key = keys_find(s->keys, http_header(c, "Authorization"), http_header(c, "x-api-key"));
    const char *why = NULL;
    char seconds[16];
    if (!key) {
        http_set(c, "WWW-Authenticate", "Bearer");
        writing_error(c, form, 401, "a key is needed: Authorization: Bearer KEY");
        return 0;
    }
    int wait = keys_enter(key, time_ns(), &why);
    if (wait) {
        snprintf(seconds, sizeof seconds, "%d", wait);
        http_set(c, "Retry-After", seconds);
        writing_error(c, form, 429, why);
        return 0;
    }
    http_set_owner(c, key);
    return 1;
}

void routes_handle(struct http_call *c, void *ctx)
{
    const char *method = http_method(c), *path = http_path(c);
    writing_error_fn *form = strncmp(path, "/v1/messages", 12) == 0 ? anthropic_error
                     : strncmp(path, "/v1/", 4) == 0        ? openai_error
                                                            : ollama_error;
    struct server *s = ctx;
    int known = 0;
    if (form == anthropic_error) http_set(c, "request-id", http_id(c)); /* as its clients look for it */
    if (s->keys && !is_path(path, "/health") && !let_in(s, c, form)) return;
    if (strcmp(method, "HEAD") == 0) method = "GET"; /* the body is left out on its way */
    for (const struct route *r = routes; r->method; r++) {
        if (!is_path(path, r->path)) continue;
        known = 1;
        if (strcmp(method, r->method) != 0) continue;
        r->handle(s, c);
        return;
    }
    struct buf b = {0};
    if (known)
        buf_printf(&b, "%.20s is no method of %.200s", method, path);
    else
        buf_printf(&b, "there is nothing at %.200s", path);
    writing_error(c, form, known ? 405 : 404, buf_z(&b));
    buf_done(&b);
}
