/* SPDX-License-Identifier: Apache-2.0
 *
 * serve/server.c: see server.h. Requests come in on HTTP's threads: they are read into the one form, the model is held, the prompt becomes tokens;
 * then the scheduler has them. What needs no model is answered at once.
 */
#include "serve/server.h"

#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cpu.h"
#include "base/err.h"
#include "base/time.h"
#include "net/http.h"
#include "net/origin.h"
#include "serve/anthropic.h"
#include "serve/blobs.h"
#include "serve/infill.h"
#include "serve/keys.h"
#include "serve/ollama.h"
#include "serve/openai.h"
#include "serve/props.h"
#include "serve/reading.h"
#include "serve/responses.h"
#include "serve/sched.h"
#include "serve/stock.h"
#include "serve/trace.h"

enum { STEP_TOKENS = 512, CONNECTIONS = 1024, PEM_MAX = 1 << 20 };

struct server {
    struct server_options opt;
    struct shelf shelf;
    struct sched *sched;
    struct reading *reading;
    struct stock *stock;
    struct kept *kept;
    struct http *http;
    struct keys *keys; /* NULL: none are asked for */
    struct buf cert, cert_key;
    struct sandbox sandbox;
    struct disk *disk; /* NULL: none */
    struct trace *trace;
    atomic_int draining;
    char inherited[108]; /* where the socket that was handed to us listens */
};

/* ---- answers at once ---------------------------------------------------------------------------------------------------------- */

typedef void error_fn(struct buf *b, int status, const char *message);

static void reply_error(struct http_call *c, error_fn *form, int status, const char *message)
{
    struct buf b = {0};
    form(&b, status, message);
    http_reply(c, status, "application/json", buf_view(&b));
    buf_done(&b);
}

static void reply_json(struct http_call *c, struct buf *b)
{
    if (b->failed)
        reply_error(c, ollama_error, 503, "out of memory");
    else
        http_reply(c, 200, "application/json", buf_view(b));
    buf_done(b);
}

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
    reply_json(c, &b);
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
    reply_json(c, &b);
}

static void get_ps(struct server *s, struct http_call *c)
{
    struct buf b = {0};
    ollama_tags(&b, &s->shelf, 1);
    reply_json(c, &b);
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
        reply_error(c, openai_error, 503, "no slot is free");
    } else if (!slot) {
        reply_error(c, openai_error, 503, "out of memory");
    } else if (name && (!k || !keys_allow(http_owner(c), k->name))) {
        reply_error(c, openai_error, 404, "there is no such model");
    } else {
        pthread_mutex_lock(&s->shelf.lock);
        if (k && k->engine && k->engine->slot) sched_slots(s->sched, k->engine, slot);
        pthread_mutex_unlock(&s->shelf.lock);
        props_slots(&b, s->opt.ctx || !k ? s->opt.ctx : book_ctx(k), slot, s->opt.parallel);
        reply_json(c, &b);
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
        reply_json(c, &b);
        return;
    }
    buf_done(&b);
    reply_error(c, openai_error, rc == LAR_EINVAL ? 404 : job_status(rc), err.msg);
}

static int may_change(struct server *s, struct http_call *c, error_fn *form)
{
    if (s->opt.read_only)
        reply_error(c, form, 403, "this server changes no models (--read-only)");
    else if (!keys_allow(http_owner(c), NULL))
        reply_error(c, form, 403, "this key has some models only, and may not change which there are");
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
    reply_json(c, &b);
}

static void get_model(struct server *s, struct http_call *c)
{
    struct buf b = {0};
    struct str name = str_of(http_path(c) + sizeof "/v1/models/" - 1);
    if (name.n && openai_models(&b, &s->shelf, name)) {
        reply_json(c, &b);
        return;
    }
    buf_done(&b);
    buf_printf(&b, "model '%.*s' not found", STR_ARG(name));
    reply_error(c, openai_error, 404, buf_z(&b));
    buf_done(&b);
}

static void post_show(struct server *s, struct http_call *c)
{
    struct buf b = {0};
    struct lar_err err;
    int rc = ollama_show(&b, &s->shelf, http_body(c), &err);
    if (rc == 0) {
        reply_json(c, &b);
        return;
    }
    buf_done(&b);
    reply_error(c, ollama_error, rc > 0 ? rc : job_status(rc), err.msg);
}

/* ---- answers that a model writes ------------------------------------------------------------------------------------------------ */

static int cannot_think(const struct job *j, struct lar_err *err)
{
    if (j->ask.think != LAR_THINK_ON || j->engine->info.can_think) return 0;
    return lar_fail(err, LAR_EINVAL, "\"%s\" does not support thinking", j->book->name);
}

static int cannot_write(const struct job *j, struct lar_err *err)
{
    if (!j->engine->reads_only) return 0;
    return lar_fail(err, LAR_EUNSUPPORTED,
                    "\"%s\" does not support generate: it reads texts, to embed or rank them",
                    j->book->name);
}

typedef int read_fn(struct ask *q, int kind, struct str body, struct lar_err *err);

/* A model with a Modelfile: what that says comes first, the request again on top of it. */
static int read_again(struct job *j, read_fn *read, struct str body, struct lar_err *err)
{
    const struct store_model *m = j->book->stored;
    int rc = 0;
    if (!m || (!m->params && !m->messages && !(m->system && *m->system))) return 0;
    ask_done(&j->ask);
    ask_init(&j->ask);
    if (m->params && (rc = ollama_params(&j->ask, m->params, "PARAMETER", err)) < 0) return rc;
    if (m->system && *m->system) {
        j->ask.role_system = str_of(m->system);
        j->ask.from_file = 1;
    }
    j->ask.shots = m->messages;
    return read(&j->ask, j->kind, body, err);
}

/* What became of a job, before it is freed. */
static void over(void *ctx, const struct job *j)
{
    struct server *s = ctx;
    struct buf b = {0};
    int64_t first = j->row && j->row[0].first ? j->row[0].first - j->arrived : 0;
    trace_job(s->trace, j);
    if (!s->opt.log || !s->opt.log_json || !j->row) return;
    buf_puts(&b, "{\"time\":");
    job_time(&b);
    buf_printf(&b, ",\"event\":\"answer\",\"id\":\"%s\",\"model\":", http_id(j->call));
    buf_json_str(&b, buf_view(&j->name));
    buf_printf(&b, ",\"complete\":%s,\"prompt_tokens\":%zu,\"cached_tokens\":%zu,\"answer_tokens\":%zu",
               j->over ? "false" : "true", job_prompt_tokens(j), job_reused(j), job_answer_tokens(j));
    buf_printf(&b, ",\"first_token_ms\":%.1f,\"ms\":%.1f}", (double)first * 1e-6, time_ms_since(j->arrived));
    s->opt.say_object(buf_z(&b));
    buf_done(&b);
}

static void let_go(struct server *s, struct job *j)
{
    over(s, j);
    job_free(j);
}

/* An empty request to give a model back needs none of it. */
static int unload(struct server *s, struct job *j)
{
    struct lar_err err;
    struct buf b = {0};
    struct book *k = shelf_find(&s->shelf, j->ask.model.p ? j->ask.model.p : "", j->ask.model.n);
    if (!k || !keys_allow(http_owner(j->call), k->name)) return 0;
    if (shelf_unload(&s->shelf, k, &err) < 0) {
        job_fail(j, 400, err.msg);
    } else {
        ollama_loaded(j, &b);
        reply_json(j->call, &b);
    }
    job_free(j);
    return 1;
}

/* The model is there: the job is answered, or the scheduler's. */
static void go_on(struct job *j, int rc, const struct lar_err *why)
{
    struct server *s = j->server;
    struct lar_err err = {0};
    if (rc < 0) {
        job_fail(j, rc != LAR_EINVAL ? job_status(rc) : j->forbidden ? 403 : j->ask.model.n ? 404 : 400, why->msg);
    } else if (j->ask.load_only) {
        struct buf b = {0};
        ollama_loaded(j, &b);
        reply_json(j->call, &b);
        job_free(j);
        return;
    } else if ((rc = read_again(j, j->read, http_body(j->call), &err)) < 0 || (rc = cannot_think(j, &err)) < 0 ||
               (rc = cannot_write(j, &err)) < 0 || (rc = job_prepare(j, s->opt.ctx, &err)) < 0) {
        job_fail(j, job_status(rc), err.msg);
    } else {
        sched_submit(s->sched, j);
        return;
    }
    let_go(s, j);
}

/* NULL: the answer is that there is no memory. */
static struct job *begin(const struct server *s, struct http_call *c, const struct dialect *d, int kind)
{
    struct job *j = job_new(c, d, kind);
    if (j)
        j->kept = s->kept;
    else
        reply_error(c, d->error, 503, "out of memory");
    return j;
}

static void write_answer(struct server *s, struct http_call *c, const struct dialect *d, int kind,
                         read_fn *read)
{
    struct lar_err err = {0};
    struct job *j = begin(s, c, d, kind);
    if (!j) return;
    int rc = read(&j->ask, kind, http_body(c), &err);
    if (rc == 0 && !atomic_load(&s->draining)) {
        if (j->ask.load_only && j->ask.keep_ns == 0 && unload(s, j)) return;
        j->held = go_on;
        j->server = s;
        j->read = read;
        job_hold(j, &s->shelf);
        return;
    }
    job_fail(j, rc < 0 ? job_status(rc) : 503, rc < 0 ? err.msg : "the server is shutting down");
    let_go(s, j);
}

static void post_chat(struct server *s, struct http_call *c)
{
    write_answer(s, c, &ollama_dialect, OLLAMA_CHAT, ollama_read);
}
static void post_generate(struct server *s, struct http_call *c)
{
    write_answer(s, c, &ollama_dialect, OLLAMA_GENERATE, ollama_read);
}
static void post_chat_completions(struct server *s, struct http_call *c)
{
    write_answer(s, c, &openai_dialect, OPENAI_CHAT, openai_read);
}
static void post_completions(struct server *s, struct http_call *c)
{
    write_answer(s, c, &openai_dialect, OPENAI_TEXT, openai_read);
}

static void post_infill(struct server *s, struct http_call *c)
{
    write_answer(s, c, &infill_dialect, 0, infill_read);
}

static void post_messages(struct server *s, struct http_call *c)
{
    write_answer(s, c, &anthropic_dialect, ANTHROPIC_MESSAGES, anthropic_read);
}

static void post_responses(struct server *s, struct http_call *c)
{
    write_answer(s, c, &responses_dialect, RESPONSES_WRITE, responses_read);
}

static void take_response(struct server *s, struct http_call *c) { kept_take(s->kept, c); }

static void counted(struct job *j, int rc, const struct lar_err *why)
{
    struct lar_err err = {0};
    struct buf b = {0};
    size_t n = 0;
    int status = 200;
    if (rc < 0)
        status = rc == LAR_EINVAL && j->shelf == NULL && j->server ? j->forbidden ? 403 : 404 : job_status(rc);
    else if ((rc = job_count(j, &n, &err)) < 0)
        status = job_status(rc), why = &err;
    if (rc < 0)
        j->dialect->error(&b, status, why->msg);
    else
        buf_printf(&b, "{%s\"input_tokens\":%zu}\n", j->form, n);
    http_reply(j->call, status, "application/json", buf_view(&b));
    buf_done(&b);
    job_free(j);
}

/* How long a prompt is: form says how the number is told. */
static void count(struct server *s, struct http_call *c, const struct dialect *d, int kind, read_fn *read,
                  const char *form)
{
    struct lar_err err = {0};
    struct job *j = begin(s, c, d, kind);
    if (!j) return;
    j->form = form;
    j->held = counted;
    int rc = read(&j->ask, kind, http_body(c), &err);
    if (rc < 0) {
        counted(j, rc, &err);
        return;
    }
    j->server = s;
    job_hold(j, &s->shelf);
}

static void post_count_tokens(struct server *s, struct http_call *c)
{
    count(s, c, &anthropic_dialect, ANTHROPIC_COUNT, anthropic_read, "");
}

static void post_input_tokens(struct server *s, struct http_call *c)
{
    count(s, c, &responses_dialect, RESPONSES_COUNT, responses_read, "\"object\":\"response.input_tokens\",");
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
static int wants(struct http_call *c, void *ctx)
{
    struct server *s = ctx;
    struct lar_err err;
    struct key *key = NULL;
    struct blob *b = NULL;
    if (!blobs_wants(c)) return 0;
    if (s->keys) key = keys_find(s->keys, http_header(c, "Authorization"), http_header(c, "x-api-key"));
    if (s->opt.read_only || (s->keys && (!key || !keys_allow(key, NULL))))
        reply_error(c, ollama_error, s->keys && !key ? 401 : 403, "blobs are taken only from who may change models");
    else if (!(b = blobs_begin(c, &err)))
        reply_error(c, ollama_error, job_status(err.code), err.msg);
    http_set_taker(c, b);
    return b != NULL;
}

static void piece(struct http_call *c, const char *data, size_t n, void *ctx)
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
        reply_error(c, ollama_error, 405, "GET is no method of blobs: HEAD tells whether there is one");
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
static int let_in(struct server *s, struct http_call *c, error_fn *form)
{
    struct key *key = keys_find(s->keys, http_header(c, "Authorization"), http_header(c, "x-api-key"));
    const char *why = NULL;
    char seconds[16];
    if (!key) {
        http_set(c, "WWW-Authenticate", "Bearer");
        reply_error(c, form, 401, "a key is needed: Authorization: Bearer KEY");
        return 0;
    }
    int wait = keys_enter(key, time_ns(), &why);
    if (wait) {
        snprintf(seconds, sizeof seconds, "%d", wait);
        http_set(c, "Retry-After", seconds);
        reply_error(c, form, 429, why);
        return 0;
    }
    http_set_owner(c, key);
    return 1;
}

static void handle(struct http_call *c, void *ctx)
{
    const char *method = http_method(c), *path = http_path(c);
    error_fn *form = strncmp(path, "/v1/messages", 12) == 0 ? anthropic_error
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
    reply_error(c, form, known ? 405 : 404, buf_z(&b));
    buf_done(&b);
}

/* ---- life ---------------------------------------------------------------------------------------------------------------------------- */

static void log_request(const struct server *s, struct http_call *c)
{
    char name[KEYS_NAME];
    struct buf b = {0};
    const char *path = http_path(c);
    keys_name(http_owner(c), name);
    if (s->opt.log_json) {
        buf_puts(&b, "{\"time\":");
        job_time(&b);
        buf_printf(&b, ",\"event\":\"request\",\"id\":\"%s\",\"method\":", http_id(c));
        buf_json_str(&b, str_of(http_method(c)));
        buf_puts(&b, ",\"path\":");
        buf_json_str(&b, (struct str){path, strnlen(path, 100)});
        buf_printf(&b, ",\"status\":%d,\"ms\":%.1f", http_status(c), http_ms(c));
        if (name[0]) {
            buf_puts(&b, ",\"key\":");
            buf_json_str(&b, str_of(name));
        }
        buf_putc(&b, '}');
        s->opt.say_object(buf_z(&b));
    } else {
        buf_printf(&b, "%.10s %.100s %d %.1f ms %s %s", http_method(c), path, http_status(c), http_ms(c), http_id(c),
                   name);
        s->opt.say(buf_z(&b));
    }
    buf_done(&b);
}

static void done(void *ctx, struct http_call *c)
{
    struct server *s = ctx;
    blobs_free(http_taker(c));
    if (s->opt.log) log_request(s, c);
    keys_leave(http_owner(c));
}

static int add_models(struct server *s, struct lar_err *err)
{
    int rc = 0;
    for (size_t i = 0; i < s->opt.nmodel && rc == 0; i++) {
        const char *eq = strchr(s->opt.model[i], '=');
        char name[128];
        if (!eq || eq == s->opt.model[i] || (size_t)(eq - s->opt.model[i]) >= sizeof name)
            return lar_fail(err, LAR_EINVAL, "--model %s: needs NAME=FILE", s->opt.model[i]);
        memcpy(name, s->opt.model[i], (size_t)(eq - s->opt.model[i]));
        name[eq - s->opt.model[i]] = 0;
        rc = shelf_add(&s->shelf, name, eq + 1, err);
    }
    for (size_t i = 0; i < s->opt.nfile && rc == 0; i++)
        rc = shelf_add(&s->shelf, NULL, s->opt.file[i], err);
    return rc;
}

/* Once all bases are known. */
static int add_loras(struct server *s, struct lar_err *err)
{
    int rc = 0;
    for (size_t i = 0; i < s->opt.nlora && rc == 0; i++) rc = loras_add(&s->shelf, s->opt.lora[i], err);
    if (rc == 0 && s->opt.lora_dir) rc = loras_allow(&s->shelf, s->opt.lora_dir, err);
    return rc;
}

/* Pinned ones; and one model with nothing to choose: it is there before the first request, and a bad one is told now. */
static int preload(struct server *s, struct lar_err *err)
{
    for (size_t i = 0; i < s->opt.npin; i++)
        if (shelf_pin(&s->shelf, s->opt.pin[i], err) < 0) return err->code;
    if (s->shelf.nbook != 1 || s->shelf.book[0].reads_only) return 0;
    int rc = shelf_load(&s->shelf, &s->shelf.book[0], err);
    return rc == 0 ? loras_hold_all(&s->shelf, &s->shelf.book[0], err) : rc;
}

static int read_pem(struct buf *b, const char *option, const char *path, struct lar_err *err)
{
    ssize_t n = -1;
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (!path) return lar_fail(err, LAR_EINVAL, "%s is missing: --tls-cert and --tls-key go together", option);
    *b = (struct buf){.limit = PEM_MAX};
    if (fd < 0) return lar_fail_errno(err, "%s %s", option, path);
    for (char *p; (p = buf_room(b, 4096)) && (n = read(fd, p, 4096)) > 0;) b->n += (size_t)n;
    if (n < 0) lar_fail_errno(err, "%s %s", option, path);
    if (n > 0) lar_fail(err, LAR_EINVAL, "%s %s: longer than %d bytes", option, path, PEM_MAX);
    close(fd);
    buf_putc(b, 0);
    return n == 0 && !b->failed ? 0 : LAR_EINVAL;
}

/* What others can reach must know them, and hide what is said on its way. */
static int check_address(struct server *s, int unix_socket, struct lar_err *err)
{
    const struct server_options *o = &s->opt;
    int rc = 0;
    if (o->tls_cert || o->tls_key) {
        rc = read_pem(&s->cert, "--tls-cert", o->tls_cert, err);
        if (rc == 0) rc = read_pem(&s->cert_key, "--tls-key", o->tls_key, err);
        if (rc < 0) return rc;
    }
    if (unix_socket || origin_is_loopback(o->host)) return 0;
    if (!o->key_file)
        return lar_fail(err, LAR_EINVAL, "--host %s: other machines could use this server: it needs --key-file",
                        o->host);
    if (!o->insecure && !o->tls_cert)
        return lar_fail(err, LAR_EINVAL,
                        "--host %s: keys and answers would cross the network as they are: give --tls-cert and "
                        "--tls-key, or put a proxy with TLS before a server on 127.0.0.1, or say --insecure",
                        o->host);
    return 0;
}

static void allow_folder_of(struct sandbox *b, const char *path, enum sandbox_access access)
{
    struct buf folder = {0};
    const char *slash = strrchr(path, '/');
    buf_add(&folder, slash ? path : ".", slash ? (size_t)(slash - path) + (slash == path) : 1);
    sandbox_allow(b, buf_z(&folder), access);
    buf_done(&folder);
}

/* Before there are threads: no file any more but models, keys, the store, and what a program needs in any case. */
static int give_up_files(struct server *s, struct lar_err *err)
{
    static const char *const certificates[] = {"LAR_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR",
                                               "LAR_REGISTRY_KEY"};
    const struct server_options *o = &s->opt;
    struct sandbox *b = &s->sandbox;
    struct buf key = {0};
    const char *home = getenv("HOME");
    int rc = sandbox_open(b, o->sandbox, !o->read_only, err);
    if (rc < 0) return rc;
    if (o->sandbox != SANDBOX_OFF && !o->read_only)
        store_make(s->shelf.store, NULL); /* where it cannot be made nothing will be written */
    for (int p = STORE_LAR; p <= STORE_LMSTUDIO; p++)
        sandbox_allow(b, store_place_root(s->shelf.store, (enum store_place)p),
                      p == STORE_LAR && !o->read_only ? SANDBOX_WRITE : SANDBOX_READ);
    for (size_t i = 0; i < s->shelf.nbook; i++) {
        sandbox_allow_model(b, s->shelf.book[i].path);
        if (s->shelf.book[i].draft) sandbox_allow_model(b, s->shelf.book[i].draft);
    }
    for (size_t i = 0; i < s->shelf.loras.n; i++) sandbox_allow_model(b, s->shelf.loras.v[i].path);
    if (!o->read_only) sandbox_allow(b, s->shelf.loras.folder, SANDBOX_READ);
    for (size_t i = 0; !o->read_only && i < sizeof certificates / sizeof *certificates; i++)
        sandbox_allow(b, getenv(certificates[i]), SANDBOX_READ);
    if (home && !o->read_only) {
        buf_printf(&key, "%s/.ollama/id_ed25519", home);
        sandbox_allow(b, buf_z(&key), SANDBOX_READ);
        buf_done(&key);
    }
    if (o->key_file) allow_folder_of(b, o->key_file, SANDBOX_READ);
    if (o->cache_dir) sandbox_allow(b, o->cache_dir, SANDBOX_WRITE);
    b->keeps = o->cache_dir != NULL;
    if (o->host[0] == '/') allow_folder_of(b, o->host, SANDBOX_SOCKET);
    return sandbox_files(b, err);
}

static int open_all(struct server *s, struct lar_err *err)
{
    struct server_options *o = &s->opt;
    int inherited = http_inherited(s->inherited, sizeof s->inherited, err);
    if (inherited < 0) return inherited;
    if (inherited) o->host = s->inherited;
    int64_t keep = (int64_t)300 * 1000000000;
    int unix_socket = o->host[0] == '/';
    int rc = check_address(s, unix_socket, err);
    if (rc < 0) return rc;
    if (o->keep_alive) {
        struct json v = {.kind = JSON_STRING, .s = str_of(o->keep_alive)};
        struct lar_err why;
        if (ollama_duration(&v, &keep, &why) < 0)
            return lar_fail(err, LAR_EINVAL, "--keep-alive: %s", why.msg);
    }
    struct shelf_options so = {.threads = o->threads,
                               .deterministic = o->deterministic,
                               .kv = (int)o->kv,
                               .parallel = o->parallel,
                               .step_tokens = STEP_TOKENS + o->parallel * (1 + ROW_FORCED) + ROW_GUESSES,
                               .lookup = o->lookup,
                               .ctx = o->ctx,
                               .memory = o->memory,
                               .waiting = o->queue,
                               .force = o->force,
                               .say = o->say,
                               .keep_ns = keep};
    double kv = o->kv_mib    ? o->kv_mib * 1048576.0
                : o->memory ? (double)o->memory
                            : (double)cpu_memory_available() / 2;
    struct sched_options co = {.shelf = &s->shelf,
                               .parallel = o->parallel,
                               .step_tokens = STEP_TOKENS,
                               .kv_bytes = kv > 0 ? kv : 1e18,
                               .kv = o->kv,
                               .queue = o->queue,
                               .over = over,
                               .ctx = s};
    struct http_options ho = {.host = o->host,
                              .port = o->port,
                              .inherited = inherited,
                              .body_max = (size_t)o->max_body_mib << 20,
                              .connections = CONNECTIONS,
                              .patience_s = o->patience_s,
                              .origin = o->origin, .norigin = o->norigin,
                              .host_name = o->host_name, .nhost_name = o->nhost_name,
                              .any_host = unix_socket || o->key_file,
                              .handle = handle,
                              .cert = s->cert.n ? s->cert.p : NULL,
                              .key = s->cert_key.p,
                              .socket_mode = o->socket_mode,
                              .done = done, .wants = wants, .piece = piece, .ctx = s};
    rc = shelf_open(&s->shelf, &so, err);
    if (rc == 0 && o->key_file) rc = keys_open(&s->keys, o->key_file, err);
    if (rc == 0) rc = add_models(s, err);
    if (rc == 0) rc = shelf_use_store(&s->shelf, err);
    if (rc == 0) rc = add_loras(s, err);
    for (size_t i = 0; i < o->ndraft && rc == 0; i++) rc = shelf_draft(&s->shelf, o->draft[i], err);
    if (rc == 0 && o->trace_file) rc = trace_open(&s->trace, o->trace_file, o->trace_content, o->say, err);
    if (rc == 0) rc = disk_open(&s->disk, o->cache_dir, (double)o->cache_size, co.kv_bytes / 4, o->say, err);
    s->shelf.opt.disk = s->disk;
    if (rc == 0) rc = give_up_files(s, err);
    if (rc == 0) rc = disk_start(s->disk, err);
    if (rc == 0) rc = preload(s, err);
    if (rc == 0) rc = sched_open(&s->sched, &co, err);
    if (rc == 0) rc = shelf_start(&s->shelf, err);
    if (rc == 0) rc = reading_open(&s->reading, &s->shelf, s->trace, err);
    if (rc == 0) rc = stock_open(&s->stock, err);
    if (rc == 0) rc = kept_open(&s->kept, err);
    if (rc == 0) rc = http_open(&s->http, &ho, err);
    if (rc == 0) rc = sandbox_calls(&s->sandbox, err);
    if (rc == 0) s->opt.say(buf_z(&s->sandbox.told));
    return rc;
}

static void reload(const struct server *s)
{
    struct lar_err err;
    struct buf b = {0};
    int n = keys_reload(s->keys, &err);
    if (n < 0)
        buf_printf(&b, "the keys are what they were: %s", err.msg);
    else
        buf_printf(&b, "%s read again: %d key%s", s->opt.key_file, n, n == 1 ? "" : "s");
    s->opt.say(buf_z(&b));
    buf_done(&b);
}

/* Until SIGTERM or SIGINT: then what is being answered is finished, within a limit; a second signal ends that too. */
static void wait_for_end(struct server *s, const sigset_t *set)
{
    struct timespec second = {.tv_sec = 0, .tv_nsec = 50000000};
    struct metrics n;
    int got = 0;
    while (sigwait(set, &got) == 0 && got == SIGHUP) reload(s);
    atomic_store(&s->draining, 1);
    s->opt.say("finishing what is being answered; another signal ends it now");
    http_stop_listening(s->http);
    for (int i = 0; i < s->opt.drain_s * 20; i++) {
        sched_look(s->sched, &n);
        if ((n.running == 0 && shelf_waiting(&s->shelf) == 0) || sigtimedwait(set, NULL, &second) > 0) break;
    }
    sched_drain(s->sched, 0);
}

int server_run(const struct server_options *opt, struct lar_err *err)
{
    struct server s = {.opt = *opt, .sandbox = {.ruleset = -1}};
    struct buf line = {0};
    sigset_t set, old;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    if (opt->key_file) sigaddset(&set, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &set, &old); /* before there are threads, so that none of them gets these */
    int rc = open_all(&s, err);
    if (rc == 0) {
        buf_printf(&line, "listening on %s", http_address(s.http));
        opt->say(buf_z(&line));
        wait_for_end(&s, &set);
    }
    stock_close(s.stock);
    shelf_stop(&s.shelf);
    reading_close(s.reading);
    sched_close(s.sched);
    http_close(s.http);
    disk_last(s.disk);
    shelf_close(&s.shelf);
    disk_close(s.disk); /* writes what the shelf let go */
    kept_close(s.kept);
    trace_close(s.trace);
    keys_close(s.keys);
    sandbox_done(&s.sandbox);
    buf_done(&s.cert);
    if (s.cert_key.p) explicit_bzero(s.cert_key.p, s.cert_key.n);
    buf_done(&s.cert_key);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    buf_done(&line);
    return rc;
}
