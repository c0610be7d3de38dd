/* SPDX-License-Identifier: Apache-2.0
 * serve/shelf.c: see shelf.h. */
#include "serve/shelf.h"

#include <lar/convert.h>
#include <lar/plan.h>

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cpu.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/time.h"
#include "serve/ask.h"

enum { BOOKS_MAX = 256, ADAPTERS_MAX = 16, CTX_DEFAULT = 8192 };

int shelf_open(struct shelf *s, const struct shelf_options *opt, struct lar_err *err)
{
    *s = (struct shelf){.opt = *opt};
    pthread_mutex_init(&s->lock, NULL);
    s->book = mem_zalloc(BOOKS_MAX * sizeof *s->book);
    return s->book ? 0 : lar_fail(err, LAR_ENOMEM, "models: out of memory");
}

static void stored_free(struct store_model *m)
{
    if (m) store_model_done(m);
    mem_free(m);
}

static void engine_close(struct engine *e)
{
    if (!e) return;
    cache_done(&e->cache);
    compiled_done(&e->compiled);
    lar_batch_close(e->batch);
    lar_model_close(e->model);
    mem_free(e->row);
    mem_free(e->part);
    mem_free(e->who);
    mem_free(e);
}

static void book_free(struct book *b)
{
    engine_close(b->engine);
    mem_free(b->name);
    mem_free(b->path);
    mem_free(b->architecture);
    mem_free(b->title);
    mem_free(b->file_type);
    stored_free(b->stored);
}

void shelf_close(struct shelf *s)
{
    for (size_t i = 0; i < s->nbook; i++) {
        book_free(&s->book[i]);
    }
    mem_free(s->book);
    store_close(s->store);
    pthread_mutex_destroy(&s->lock);
}

/* ---- adding ------------------------------------------------------------------------------------------------------------ */

static char *copy(const char *p, size_t n)
{
    char *c = mem_alloc(n + 1);
    if (!c) return NULL;
    memcpy(c, p, n);
    c[n] = 0;
    return c;
}

/* Names as general.file_type means them (llama.h's llama_ftype). */
static const char *type_name(int64_t t)
{
    static const char *const name[] = {
        "F32",   "F16",     "Q4_0",   "Q4_1",   NULL,     NULL,      NULL,     "Q8_0",   "Q5_0",
        "Q5_1",  "Q2_K",    "Q3_K_S", "Q3_K_M", "Q3_K_L", "Q4_K_S",  "Q4_K_M", "Q5_K_S", "Q5_K_M",
        "Q6_K",  "IQ2_XXS", "IQ2_XS", "Q2_K_S", "IQ3_XS", "IQ3_XXS", "IQ1_S",  "IQ4_NL", "IQ3_S",
        "IQ3_M", "IQ2_S",   "IQ2_M",  "IQ4_XS", "IQ1_M",  "BF16",    NULL,     NULL,     NULL,
        "TQ1_0", "TQ2_0",   "MXFP4",  "NVFP4",  "Q1_0",   "Q2_0"};
    return t >= 0 && t < (int64_t)(sizeof name / sizeof *name) && name[t] ? name[t] : "unknown";
}

static int meta_find(const struct lar_file *f, const char *key, size_t *at)
{
    struct lar_file_info info;
    struct lar_meta m;
    lar_file_info(f, &info);
    for (size_t i = 0; i < info.nmeta; i++) {
        lar_file_meta(f, i, &m);
        if (m.key_n == strlen(key) && memcmp(m.key, key, m.key_n) == 0) return *at = i, 1;
    }
    return 0;
}

static int64_t meta_int(const struct lar_file *f, const char *key)
{
    size_t i;
    return meta_find(f, key, &i) ? lar_file_meta_int(f, i, 0) : 0;
}

static char *meta_str(const struct lar_file *f, const char *key)
{
    size_t i, n = 0;
    const char *p = meta_find(f, key, &i) ? lar_file_meta_str(f, i, 0, &n) : "";
    return copy(p ? p : "", p ? n : 0);
}

static int look_into(struct book *b, struct lar_err *err)
{
    struct lar_file *f;
    struct lar_file_info info;
    struct lar_tensor t;
    struct stat st;
    char key[128];
    int rc = lar_file_open(&f, b->path, err);
    if (rc < 0) return rc;
    lar_file_info(f, &info);
    if (stat(b->path, &st) == 0) b->modified = st.st_mtim;
    b->bytes = (int64_t)info.bytes;
    b->architecture = meta_str(f, "general.architecture");
    b->title = meta_str(f, "general.name");
    b->file_type = copy(type_name(meta_int(f, "general.file_type")),
                        strlen(type_name(meta_int(f, "general.file_type"))));
    for (size_t i = 0; i < info.ntensor; i++) {
        int64_t n = 1;
        lar_file_tensor(f, i, &t);
        for (int d = 0; d < t.ndim; d++) n *= t.shape[d];
        b->parameters += n;
    }
    if (b->architecture && b->title && b->file_type) {
        snprintf(key, sizeof key, "%.60s.context_length", b->architecture);
        b->ctx_train = meta_int(f, key);
        snprintf(key, sizeof key, "%.60s.embedding_length", b->architecture);
        b->width = meta_int(f, key);
        b->reads_only =
            strstr(b->architecture, "bert") != NULL || strstr(b->architecture, "embedding") != NULL;
    } else {
        rc = lar_fail(err, LAR_ENOMEM, "models: out of memory");
    }
    lar_file_close(f);
    return rc;
}

int shelf_add(struct shelf *s, const char *name, const char *path, struct lar_err *err)
{
    const char *slash = strrchr(path, '/'), *file = slash ? slash + 1 : path;
    size_t n = name ? strlen(name) : strlen(file);
    struct book *b = &s->book[s->nbook];
    if (!name) {
        name = file;
        if (n > 5 && strcmp(file + n - 5, ".gguf") == 0) n -= 5;
    }
    if (s->nbook == BOOKS_MAX) return lar_fail(err, LAR_EINVAL, "more than %d models", BOOKS_MAX);
    if (n == 0)
        return lar_fail(err, LAR_EINVAL, "%s: a model needs a name (--model NAME=FILE)", path);
    for (size_t i = 0; i < s->nbook; i++)
        if (strlen(s->book[i].name) == n && memcmp(s->book[i].name, name, n) == 0)
            return lar_fail(err, LAR_EINVAL,
                            "two models are called %.*s: name one otherwise (--model NAME=FILE)",
                            (int)n, name);
    b->name = copy(name, n);
    b->path = copy(path, strlen(path));
    s->nbook++; /* closed with the shelf whatever comes */
    if (!b->name || !b->path) return lar_fail(err, LAR_ENOMEM, "models: out of memory");
    return look_into(b, err);
}

static int is_called(const struct book *b, const char *name, size_t n)
{
    return strlen(b->name) == n && memcmp(b->name, name, n) == 0;
}

/* ---- the store ------------------------------------------------------------------------------------------------------------ */

int shelf_use_store(struct shelf *s, struct lar_err *err)
{
    return store_open(&s->store, NULL, err);
}

/* The book of what the store has under that name now: a name may come to mean another model while we serve. With the lock held. */
static struct book *from_store(struct shelf *s, const char *name)
{
    struct store_model *m = mem_zalloc(sizeof *m);
    struct book *b = NULL;
    int rc = m ? store_find(s->store, name, m, NULL) : LAR_ENOMEM;
    for (size_t i = 0; rc == 0 && i < s->nbook && !b; i++) {
        const struct store_model *have = s->book[i].stored;
        if (have && strcmp(have->name, m->name) == 0 && strcmp(have->digest, m->digest) == 0 &&
            strcmp(have->path, m->path) == 0)
            b = &s->book[i];
    }
    if (rc < 0 || b || s->nbook == BOOKS_MAX) {
        stored_free(m);
        return b;
    }
    b = &s->book[s->nbook];
    *b = (struct book){.stored = m};
    b->name = copy(m->name, strlen(m->name));
    b->path = copy(m->path, strlen(m->path));
    if (b->name && b->path && look_into(b, NULL) == 0) {
        s->nbook++;
        return b;
    }
    book_free(b);
    *b = (struct book){0};
    return NULL;
}

void shelf_refresh(struct shelf *s)
{
    struct store_list l;
    for (size_t i = 0; i < s->nbook; i++) s->book[i].listed = 0;
    if (!s->store) return;
    if (store_list(s->store, 0, &l, NULL) == 0)
        for (size_t i = 0; i < l.n; i++) {
            struct book *b = l.entry[i].fault ? NULL : from_store(s, l.entry[i].name);
            if (b) b->listed = 1;
        }
    store_list_done(&l);
}

struct book *shelf_find(struct shelf *s, const char *name, size_t n)
{
    static const char latest[] = ":latest";
    size_t tail = sizeof latest - 1;
    struct book *found = NULL;
    char text[NAME_HOST_MAX + 4 * NAME_PART_MAX];
    if (n == 0)
        return s->nbook > 0 && (s->nbook == 1 || s->book[1].stored) && !s->book[0].stored
                   ? &s->book[0]
                   : NULL;
    for (size_t i = 0; i < s->nbook; i++)
        if (!s->book[i].stored && is_called(&s->book[i], name, n)) return &s->book[i];
    if (n > tail && memcmp(name + n - tail, latest, tail) == 0)
        for (size_t i = 0; i < s->nbook; i++)
            if (!s->book[i].stored && is_called(&s->book[i], name, n - tail)) return &s->book[i];
    if (!s->store || n == 0 || n >= sizeof text || memchr(name, 0, n)) return NULL;
    memcpy(text, name, n);
    text[n] = 0;
    pthread_mutex_lock(&s->lock);
    found = from_store(s, text);
    pthread_mutex_unlock(&s->lock);
    return found;
}

/* ---- loading ------------------------------------------------------------------------------------------------------------- */

/* With the template and the adapters of its Modelfile. */
static int open_model(struct engine *e, const struct book *b, struct lar_model_options *o,
                      struct lar_err *err)
{
    const struct store_model *m = b->stored;
    struct lar_adapter adapter[ADAPTERS_MAX];
    if (m && m->nadapter > ADAPTERS_MAX)
        return lar_fail(err, LAR_EUNSUPPORTED, "%s: more than %d adapters", b->name, ADAPTERS_MAX);
    for (size_t i = 0; m && i < m->nadapter; i++)
        adapter[i] = (struct lar_adapter){m->adapter[i], 1};
    if (m && m->nadapter) {
        o->adapters = adapter;
        o->nadapter = m->nadapter;
    }
    if (m && m->template_text && *m->template_text) o->chat_template = m->template_text;
    return lar_model_open(&e->model, b->path, o, err);
}

static int ctx_of(int64_t train) { return train > 0 && train < CTX_DEFAULT ? (int)train : CTX_DEFAULT; }
int engine_ctx(const struct engine *e) { return ctx_of(e->info.ctx_train); }
int book_ctx(const struct book *k) { return ctx_of(k->ctx_train); }

/* One answer's context must fit beside the models that are loaded: their weights count as free where the kernel is asked. */
static int fits(const struct engine *e, const struct book *b, const struct shelf_options *o,
                uint64_t taken, struct lar_err *err)
{
    struct lar_session_options so = {
        .ctx = o->ctx, .kv = (enum lar_kv)o->kv, .batch = o->step_tokens};
    uint64_t have = o->memory ? o->memory : cpu_memory_available();
    struct lar_plan plan;
    if (!so.ctx) so.ctx = engine_ctx(e);
    if (o->force || !have) return 0;
    int rc = lar_plan(e->model, &so, have > taken ? have - taken : 1, &plan, err);
    return rc == LAR_EUNSUPPORTED ? 0 : rc < 0 ? rc : lar_plan_check(&plan, b->path, err);
}

static int engine_open(struct engine **out, const struct book *b, const struct shelf_options *o,
                       uint64_t taken, struct lar_err *err)
{
    struct lar_model_options mo = {.threads = o->threads, .deterministic = o->deterministic};
    struct lar_batch_options bo = {
        .tokens = o->step_tokens, .sessions = o->parallel, .logits = o->parallel + SHELF_SCORED};
    struct engine *e = mem_zalloc(sizeof *e);
    uint64_t kv = 0;
    *out = NULL;
    if (!e) return lar_fail(err, LAR_ENOMEM, "model: out of memory");
    compiled_init(&e->compiled, COMPILED_BYTES);
    int rc = open_model(e, b, &mo, err);
    if (rc == 0) lar_model_info(e->model, &e->info);
    if (rc == 0) rc = fits(e, b, o, taken, err);
    struct lar_session_options so = {.ctx = 1024, .kv = (enum lar_kv)o->kv, .batch = 1};
    if (rc == 0) rc = lar_session_bytes(e->model, &so, &kv, NULL, err);
    e->reads_only = rc == LAR_EUNSUPPORTED && e->model != NULL;
    if (e->reads_only) rc = 0;
    if (rc == 0 && !e->reads_only) rc = lar_batch_open(&e->batch, e->model, &bo, err);
    if (rc == 0) {
        e->kv_token_bytes = (double)kv / 1024;
        e->row_room = (size_t)o->parallel;
        e->tail = &e->waiting;
        e->row = mem_zalloc(e->row_room * sizeof *e->row);
        e->part = mem_zalloc(e->row_room * sizeof *e->part);
        e->who = mem_zalloc(e->row_room * sizeof *e->who);
        if (!e->row || !e->part || !e->who) rc = lar_fail(err, LAR_ENOMEM, "model: out of memory");
    }
    if (rc < 0)
        engine_close(e);
    else
        *out = e;
    return rc < 0 ? rc : 0;
}

static void tell_warning(const struct shelf *s, const struct book *b)
{
    struct buf line = {0};
    const char *warning = lar_model_warning(b->engine->model);
    if (!*warning || !s->opt.say) return;
    buf_printf(&line, "%s: warning: %s", b->name, warning);
    s->opt.say(buf_z(&line));
    buf_done(&line);
}

static uint64_t loaded(const struct shelf *s)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < s->nbook; i++)
        if (s->book[i].engine) sum += s->book[i].engine->info.weight_bytes;
    return sum;
}

/* Makes room: gives how many were closed. */
static int close_idle(struct shelf *s)
{
    int n = 0;
    for (size_t i = 0; i < s->nbook; i++) {
        struct book *b = &s->book[i];
        if (!b->engine || b->held) continue;
        engine_close(b->engine);
        b->engine = NULL;
        n++;
    }
    return n;
}

int shelf_hold(struct shelf *s, struct book *b, int64_t *load_ns, struct lar_err *err)
{
    int rc = 0;
    int64_t began = time_ns();
    pthread_mutex_lock(&s->lock);
    int fresh = !b->engine;
    if (fresh) rc = engine_open(&b->engine, b, &s->opt, loaded(s), err);
    if (rc == LAR_ENOMEM && close_idle(s)) rc = engine_open(&b->engine, b, &s->opt, loaded(s), err);
    if (rc == 0 && fresh) tell_warning(s, b);
    if (rc == 0) b->held++;
    pthread_mutex_unlock(&s->lock);
    *load_ns = time_ns() - began;
    return rc;
}

void shelf_release(struct shelf *s, struct book *b, int64_t keep_ns)
{
    int64_t now = time_ns();
    if (keep_ns == ASK_KEEP_DEFAULT) keep_ns = s->opt.keep_ns;
    pthread_mutex_lock(&s->lock);
    b->held--;
    b->until = keep_ns < 0 || keep_ns > INT64_MAX - now ? INT64_MAX : now + keep_ns;
    pthread_mutex_unlock(&s->lock);
}

int64_t shelf_sweep(struct shelf *s, int all)
{
    int64_t now = time_ns(), next = INT64_MAX;
    pthread_mutex_lock(&s->lock);
    for (size_t i = 0; i < s->nbook; i++) {
        struct book *b = &s->book[i];
        if (!b->engine || b->held) continue;
        if (all || b->until <= now) {
            engine_close(b->engine);
            b->engine = NULL;
        } else if (b->until < next) {
            next = b->until;
        }
    }
    pthread_mutex_unlock(&s->lock);
    return next;
}

static void model_line(struct buf *b, const struct book *k, const char *part, double bytes)
{
    buf_puts(b, "lar_model_bytes{model=");
    buf_json_str(b, str_of(k->name));
    buf_printf(b, ",part=\"%s\"} ", part);
    buf_json_num(b, bytes);
    buf_putc(b, '\n');
}

void shelf_memory(struct shelf *s, struct buf *b)
{
    metrics_head(b, "lar_model_bytes", "gauge", "Memory of a loaded model.");
    pthread_mutex_lock(&s->lock);
    for (size_t i = 0; i < s->nbook; i++) {
        struct engine *e = s->book[i].engine;
        if (!e) continue;
        model_line(b, &s->book[i], "weights", (double)e->info.weight_bytes);
        model_line(b, &s->book[i], "kv", (double)atomic_load(&e->shown_kv));
        model_line(b, &s->book[i], "kept", (double)atomic_load(&e->shown_kept));
    }
    pthread_mutex_unlock(&s->lock);
}

void shelf_compiled(struct shelf *s, struct metrics *m)
{
    m->compiled = m->found = 0;
    m->compiled_bytes = 0;
    pthread_mutex_lock(&s->lock);
    for (size_t i = 0; i < s->nbook; i++) {
        struct compiled *c = s->book[i].engine ? &s->book[i].engine->compiled : NULL;
        if (!c) continue;
        pthread_mutex_lock(&c->lock);
        m->compiled += c->made;
        m->found += c->found;
        m->compiled_bytes += (double)c->bytes;
        pthread_mutex_unlock(&c->lock);
    }
    pthread_mutex_unlock(&s->lock);
}
