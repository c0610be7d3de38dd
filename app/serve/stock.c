/* SPDX-License-Identifier: Apache-2.0
 * serve/stock.c: see stock.h. */
#include "serve/stock.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/time.h"
#include "serve/job.h"
#include "serve/ollama.h"
#include "store/name.h"
#include "store/store.h"

#define TELL_NS 100000000 /* between two lines about the same */

enum { AT_ONCE = 4, ARENA_MAX = 64 << 20 };

struct stock {
    pthread_mutex_t lock;
    pthread_cond_t empty;
    int at_work;
    atomic_int stop;
};

struct order {
    struct stock *s;
    struct http_call *call; /* kept */
    enum stock_kind kind;
    struct arena a;
    const struct json *body;
    struct store *store;
    int streams, begun;
    char what[80]; /* told last */
    int64_t told;
};

static const char *const fields[][16] = {
    [STOCK_CREATE] = {"model", "name", "stream", "from", "files", "adapters", "system", "template",
                      "license", "parameters", "messages", "quantize", NULL},
    [STOCK_COPY] = {"source", "destination", NULL},
    [STOCK_DELETE] = {"model", "name", NULL},
    [STOCK_PULL] = {"model", "name", "stream", "insecure", NULL},
    [STOCK_PUSH] = {"model", "name", "stream", "insecure", NULL},
};

/* ---- telling ------------------------------------------------------------------------------------------------------------ */

static void tell(struct order *o, struct buf *b)
{
    if (!o->begun) http_stream(o->call, 200, "application/x-ndjson");
    o->begun = 1;
    if (!b->failed) http_write(o->call, buf_view(b));
    buf_done(b);
}

static int on_progress(void *ctx, const char *what, uint64_t done, uint64_t total)
{
    struct order *o = ctx;
    int64_t now = time_ns();
    if (atomic_load(&o->s->stop) || http_gone(o->call)) return 1;
    size_t n = strlen(what) < sizeof o->what ? strlen(what) : sizeof o->what - 1;
    int same = strncmp(o->what, what, n) == 0 && o->what[n] == 0;
    if (!o->streams || (same && now - o->told < TELL_NS && done != total)) return 0;
    memcpy(o->what, what, n);
    o->what[n] = 0;
    o->told = now;
    struct buf b = {0};
    buf_puts(&b, "{\"status\":");
    buf_json_str(&b, (struct str){o->what, n});
    if (total) { /* clients tell layers apart by their digests; the beginning of one is enough for that */
        const char *last = strrchr(o->what, ' ');
        buf_puts(&b, ",\"digest\":");
        struct buf digest = {0};
        buf_printf(&digest, "sha256:%s", last ? last + 1 : o->what);
        buf_json_str(&b, buf_view(&digest));
        buf_done(&digest);
        buf_printf(&b, ",\"total\":%llu,\"completed\":%llu", (unsigned long long)total, (unsigned long long)done);
    }
    buf_puts(&b, "}\n");
    tell(o, &b);
    return 0;
}

static void finish(struct order *o, int rc, int status, const char *why)
{
    struct buf b = {0};
    if (rc < 0)
        ollama_error(&b, status, why);
    else if (o->kind != STOCK_COPY && o->kind != STOCK_DELETE)
        buf_puts(&b, "{\"status\":\"success\"}\n");
    if (o->begun || (rc >= 0 && o->streams)) {
        tell(o, &b);
        http_end(o->call);
        return;
    }
    http_reply(o->call, rc < 0 ? status : 200, "application/json", buf_view(&b));
    buf_done(&b);
}

/* ---- what is asked -------------------------------------------------------------------------------------------------------- */

/* A terminated copy of a field that must be a name. */
static int name_of(struct order *o, const char *field, const char *other, const char **out, struct lar_err *err)
{
    struct name parsed;
    const struct json *v = json_get(o->body, field);
    if (!v && other) v = json_get(o->body, other);
    struct str s = json_str(v, STR(""));
    if (s.n == 0) return lar_fail(err, LAR_EINVAL, "%s is required", field);
    int rc = name_parse(&parsed, s, err);
    if (rc < 0) return rc;
    *out = arena_copy(&o->a, s.p, s.n);
    return *out ? 0 : lar_fail(err, LAR_ENOMEM, "out of memory");
}

static int known_fields(const struct order *o, struct lar_err *err)
{
    if (o->body->kind != JSON_OBJECT) return lar_fail(err, LAR_EINVAL, "the request must be a JSON object");
    for (const struct json *c = o->body->child; c; c = c->next) {
        const char *const *f = fields[o->kind];
        while (*f && !str_is(c->key, *f)) f++;
        if (!*f) return lar_fail(err, LAR_EINVAL, "%.*s is not known here", STR_ARG(c->key));
    }
    if (json_bool(json_get(o->body, "insecure"), 0)) /* false is what clients spell out */
        return lar_fail(err, LAR_EUNSUPPORTED, "insecure: true is not supported by this server");
    return 0;
}

/* ---- create --------------------------------------------------------------------------------------------------------------- */

static int add_text(struct buf *b, const struct json *v, const char *field, enum modelfile_what what,
                    struct lar_err *err)
{
    if (!v || v->kind == JSON_NULL) return 0;
    if (v->kind == JSON_ARRAY && what == MODELFILE_LICENSE) {
        int rc = 0;
        for (const struct json *c = v->child; c && rc == 0; c = c->next) rc = add_text(b, c, field, what, err);
        return rc;
    }
    if (v->kind != JSON_STRING) return lar_fail(err, LAR_EINVAL, "%s: needs a string", field);
    if (v->s.n) modelfile_write(b, what, STR(""), v->s);
    return 0;
}

static int add_parameters(struct buf *b, const struct json *v, struct lar_err *err)
{
    if (!v || v->kind == JSON_NULL) return 0;
    if (v->kind != JSON_OBJECT) return lar_fail(err, LAR_EINVAL, "parameters: needs an object");
    for (const struct json *c = v->child; c; c = c->next) {
        int list = c->kind == JSON_ARRAY;
        for (const struct json *one = list ? c->child : c; one; one = list ? one->next : NULL) {
            if (one->kind != JSON_STRING && one->kind != JSON_NUMBER && one->kind != JSON_BOOL)
                return lar_fail(err, LAR_EINVAL, "parameters: %.*s: needs a number, true, false or strings",
                                STR_ARG(c->key));
            struct str value = one->kind != JSON_BOOL ? one->s : one->boolean ? STR("true") : STR("false");
            modelfile_write(b, MODELFILE_PARAMETER, c->key, value);
        }
    }
    return 0;
}

static int add_messages(struct buf *b, const struct json *v, struct lar_err *err)
{
    if (!v || v->kind == JSON_NULL) return 0;
    if (v->kind != JSON_ARRAY) return lar_fail(err, LAR_EINVAL, "messages: needs a list");
    for (const struct json *c = v->child; c; c = c->next) {
        const struct json *role = json_get(c, "role"), *content = json_get(c, "content");
        if (!role || role->kind != JSON_STRING || !content || content->kind != JSON_STRING ||
            c->n != 2)
            return lar_fail(err, LAR_EINVAL,
                            "messages: each needs a role and a content, and nothing else");
        modelfile_write(b, MODELFILE_MESSAGE, role->s, content->s);
    }
    return 0;
}

/* {"a.gguf": "sha256:...", ...}: blobs that were brought before. Only their digests count: no name here is one of this machine's files. */
static int add_blobs(const struct order *o, struct buf *b, const char *field,
                     enum modelfile_what what, struct lar_err *err)
{
    const struct json *v = json_get(o->body, field);
    if (!v || v->kind == JSON_NULL) return 0;
    if (v->kind != JSON_OBJECT || !v->n)
        return lar_fail(err, LAR_EINVAL, "%s: needs an object of names and digests", field);
    if (what == MODELFILE_FROM && v->n > 1)
        return lar_fail(err, LAR_EUNSUPPORTED,
                        "files: one GGUF file; a model in several is not supported by this server");
    for (const struct json *c = v->child; c; c = c->next) {
        char hex[SHA256_HEX + 1], path[4096];
        struct buf blob = {0};
        int bad = name_digest(json_str(c, STR("")), hex),
            found = bad ? 0 : store_blob(o->store, hex, &blob, NULL);
        int rc =
            bad      ? lar_fail(err, LAR_EINVAL, "%s: %.*s: needs a digest, sha256:...", field,
                                STR_ARG(c->key))
            : !found ? lar_fail(err, LAR_EINVAL,
                                "%s: %.*s: there is no blob sha256:%s (POST /api/blobs/sha256:...)",
                                field, STR_ARG(c->key), hex)
            : !str_ends(c->key, STR(".gguf"))
                ? lar_fail(err, LAR_EUNSUPPORTED,
                           "%s: %.*s: is no .gguf, and others are not supported", field,
                           STR_ARG(c->key))
            : !realpath(buf_z(&blob), path) ? lar_fail_errno(err, "%s: %s", field, buf_z(&blob))
                                            : 0;
        if (rc == 0) modelfile_write(b, what, STR(""), str_of(path));
        buf_done(&blob);
        if (rc < 0) return rc;
    }
    return 0;
}

/* As a Modelfile, which is then read as any other: so the same is refused. From names and blobs alone: a client is not to choose among this
 * machine's files. */
static int write_modelfile(const struct order *o, struct buf *b, struct lar_err *err)
{
    int rc = add_text(b, json_get(o->body, "from"), "from", MODELFILE_FROM, err);
    if (rc == 0) rc = add_blobs(o, b, "files", MODELFILE_FROM, err);
    if (rc == 0) rc = add_blobs(o, b, "adapters", MODELFILE_ADAPTER, err);
    if (rc == 0) rc = add_text(b, json_get(o->body, "system"), "system", MODELFILE_SYSTEM, err);
    if (rc == 0) rc = add_text(b, json_get(o->body, "template"), "template", MODELFILE_TEMPLATE, err);
    if (rc == 0) rc = add_text(b, json_get(o->body, "license"), "license", MODELFILE_LICENSE, err);
    if (rc == 0) rc = add_parameters(b, json_get(o->body, "parameters"), err);
    if (rc == 0) rc = add_messages(b, json_get(o->body, "messages"), err);
    if (rc == 0 && b->failed) rc = lar_fail(err, LAR_ENOMEM, "out of memory");
    return rc;
}

static int create(struct order *o, int *status, struct lar_err *err)
{
    const char *name, *from = "";
    struct modelfile f = {0};
    struct buf text = {.limit = MODELFILE_BYTES_MAX};
    struct str mix = json_str(json_get(o->body, "quantize"), STR(""));
    struct store_create opt = {.folder = store_root(o->store), .on_progress = on_progress, .ctx = o};
    int rc = name_of(o, "model", "name", &name, err);
    int files = json_get(o->body, "files") != NULL;
    if (rc == 0 && files && json_get(o->body, "from")) rc = lar_fail(err, LAR_EINVAL, "from and files: one of the two");
    if (rc == 0 && !files) rc = name_of(o, "from", NULL, &from, err);
    if (rc == 0 && !files && !store_has(o->store, from)) {
        *status = 404;
        return lar_fail(err, LAR_EINVAL, "model '%s' not found: from must be a model of the store (lar list)", from);
    }
    if (rc == 0 && mix.n && !(opt.quantize = arena_copy(&o->a, mix.p, mix.n)))
        rc = lar_fail(err, LAR_ENOMEM, "out of memory");
    if (rc == 0) rc = write_modelfile(o, &text, err);
    if (rc == 0) rc = modelfile_parse(&f, buf_view(&text), err);
    if (rc == 0) rc = store_create(o->store, name, &f, &opt, err);
    modelfile_done(&f);
    buf_done(&text);
    return rc;
}

/* ---- the others ------------------------------------------------------------------------------------------------------------- */

static int must_have(struct order *o, const char *name, int *status, struct lar_err *err)
{
    if (store_has(o->store, name)) return 0;
    *status = 404;
    return lar_fail(err, LAR_EINVAL, "model '%s' not found", name);
}

static int carry_out(struct order *o, int *status, struct lar_err *err)
{
    const char *name = NULL, *to = NULL;
    struct store_pull pull = {.on_progress = on_progress, .ctx = o};
    struct store_push push = {.on_progress = on_progress, .ctx = o};
    int rc;
    if (o->kind == STOCK_CREATE) return create(o, status, err);
    rc = o->kind == STOCK_COPY ? name_of(o, "source", NULL, &name, err) : name_of(o, "model", "name", &name, err);
    if (rc == 0 && o->kind == STOCK_COPY) rc = name_of(o, "destination", NULL, &to, err);
    if (rc == 0 && o->kind != STOCK_PULL) rc = must_have(o, name, status, err);
    if (rc < 0) return rc;
    *status = 500;
    switch (o->kind) {
    case STOCK_COPY: return store_copy(o->store, name, to, err);
    case STOCK_DELETE: return store_delete(o->store, name, err);
    case STOCK_PULL: return store_pull(o->store, name, &pull, err);
    default: return store_push(o->store, name, NULL, &push, err);
    }
}

/* ---- threads ---------------------------------------------------------------------------------------------------------------- */

static void order_free(struct order *o)
{
    store_close(o->store);
    arena_done(&o->a);
    http_drop(o->call);
    mem_free(o);
}

static void *work(void *ctx)
{
    struct order *o = ctx;
    struct stock *s = o->s;
    struct lar_err err = {0};
    int status = 400, rc = store_open(&o->store, NULL, &err);
    if (rc == 0) rc = carry_out(o, &status, &err);
    finish(o, rc, status, err.msg);
    order_free(o);
    pthread_mutex_lock(&s->lock);
    if (--s->at_work == 0) pthread_cond_broadcast(&s->empty);
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

static int begin(struct stock *s, struct order *o, struct lar_err *err)
{
    pthread_t thread;
    pthread_attr_t attr;
    pthread_mutex_lock(&s->lock);
    int full = s->at_work == AT_ONCE || atomic_load(&s->stop), bad = 1;
    if (!full) {
        pthread_attr_init(&attr);
        pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
        bad = pthread_create(&thread, &attr, work, o);
        pthread_attr_destroy(&attr);
        s->at_work += !bad;
    }
    pthread_mutex_unlock(&s->lock);
    if (full) return lar_fail(err, LAR_ELIMIT, "%d models are being changed already: try again later", AT_ONCE);
    return bad ? lar_fail(err, LAR_ENOMEM, "no thread for this request") : 0;
}

void stock_take(struct stock *s, struct http_call *c, enum stock_kind kind)
{
    struct lar_err err = {0};
    struct order *o = mem_zalloc(sizeof *o);
    int status = 400, rc = 0;
    if (!o) {
        http_reply(c, 503, "application/json", STR("{\"error\":\"out of memory\"}\n"));
        return;
    }
    http_keep(c);
    *o = (struct order){.s = s, .call = c, .kind = kind};
    arena_init(&o->a, ARENA_MAX);
    struct str text = http_body(c), copy = {arena_copy(&o->a, text.p, text.n), text.n};
    if (!copy.p)
        rc = lar_fail(&err, LAR_ENOMEM, "the request is too large");
    else if (text.n == 0)
        rc = lar_fail(&err, LAR_EINVAL, "missing request body");
    else if (!(o->body = json_parse(&o->a, copy, &err)))
        rc = LAR_EINVAL;
    if (rc == 0) rc = known_fields(o, &err);
    int streams = kind != STOCK_COPY && kind != STOCK_DELETE;
    if (rc == 0) o->streams = streams && json_bool(json_get(o->body, "stream"), 1);
    if (rc == 0 && (rc = begin(s, o, &err)) < 0) status = 503;
    if (rc == 0) return;
    finish(o, rc, status, err.msg);
    order_free(o);
}

int stock_open(struct stock **out, struct lar_err *err)
{
    struct stock *s = mem_zalloc(sizeof *s);
    *out = NULL;
    if (!s) return lar_fail(err, LAR_ENOMEM, "server: out of memory");
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->empty, NULL);
    *out = s;
    return 0;
}

void stock_close(struct stock *s)
{
    if (!s) return;
    atomic_store(&s->stop, 1);
    pthread_mutex_lock(&s->lock);
    while (s->at_work) pthread_cond_wait(&s->empty, &s->lock);
    pthread_mutex_unlock(&s->lock);
    pthread_mutex_destroy(&s->lock);
    pthread_cond_destroy(&s->empty);
    mem_free(s);
}
