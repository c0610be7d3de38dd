/* SPDX-License-Identifier: Apache-2.0
 *
 * serve/shelf_load.c: which models are in memory: shelf.h's loading, waiting and closing.
 *
 * What is counted is what the plan foretells (lar/plan.h): of a loaded model its weights, work space, and the keys and values of one answer, or of
 * the answers at work where they take more. Whoever wants a model that is not there joins one queue, in which nobody overtakes; one thread serves
 * it, so that files are read under no lock. A model that others keep busy would let the queue wait for ever: when its first has waited for
 * PATIENCE_NS, requests for other models that could make way queue behind it.
 *
 * Not here: when a request for a loaded model is evaluated (sched.c), and names (shelf.c).
 */
#include <lar/convert.h>
#include <lar/plan.h>

#include <string.h>

#include "base/cpu.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/time.h"
#include "serve/ask.h"
#include "serve/shelf.h"

enum { ADAPTERS_MAX = 16, CTX_DEFAULT = 8192 };
#define PATIENCE_NS (2 * (int64_t)1000000000)
#define LOOK_NS     (50 * (int64_t)1000000) /* how often the queue is gone through while models are busy */

/* ---- an engine --------------------------------------------------------------------------------------------------------- */

void engine_close(struct engine *e)
{
    if (!e) return;
    cache_done(&e->cache);
    loras_close(&e->loras);
    compiled_done(&e->compiled);
    guess_done(&e->guess);
    lar_batch_close(e->batch);
    lar_model_close(e->model);
    mem_free(e->row);
    mem_free(e->part);
    mem_free(e->who);
    mem_free(e->slot);
    mem_free(e);
}

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

/* What its draft takes beside it. */
static int plan_draft(struct engine *e, const struct book *b, const struct shelf_options *o, uint64_t most,
                      uint64_t *need, struct lar_err *err)
{
    struct lar_session_options so = {.ctx = o->ctx ? o->ctx : engine_ctx(e), .kv = (enum lar_kv)o->kv, .batch = 1};
    struct lar_plan p;
    int rc = guess_model(e, b->draft, o, err);
    if (rc == 0) rc = lar_plan(e->guess.model, &so, 0, &p, err);
    if (rc < 0) return rc;
    e->fixed += (int64_t)(p.weight_bytes + p.work_bytes + lar_draft_bytes(e->guess.model, o->parallel));
    e->kv_one += (int64_t)p.kv_bytes;
    *need = (uint64_t)(e->fixed + e->kv_one);
    return !most || *need <= most ? 0
                                  : lar_fail(err, LAR_ENOMEM,
                                             "%s with its draft %s takes %llu MiB, and %llu MiB are free: serve it "
                                             "without --draft",
                                             b->name, b->draft, (unsigned long long)(*need >> 20),
                                             (unsigned long long)(most >> 20));
}

/* What it takes by the plan; *need: all of that. One answer's context must fit into most bytes (0: whatever it takes). */
static int plan(struct engine *e, const struct book *b, const struct shelf_options *o, uint64_t most, uint64_t *need,
                struct lar_err *err)
{
    struct lar_session_options so = {.ctx = o->ctx ? o->ctx : engine_ctx(e),
                                     .kv = (enum lar_kv)o->kv,
                                     .batch = o->step_tokens};
    struct lar_plan p;
    int rc = lar_plan(e->model, &so, most, &p, err);
    if (rc == LAR_EUNSUPPORTED) p = (struct lar_plan){.weight_bytes = e->info.weight_bytes, .fits = 1};
    if (rc < 0 && rc != LAR_EUNSUPPORTED) return rc;
    e->fixed = (int64_t)(p.weight_bytes + p.work_bytes);
    e->kv_one = (int64_t)p.kv_bytes;
    *need = (uint64_t)(e->fixed + e->kv_one);
    if (most && (rc = lar_plan_check(&p, b->path, err)) < 0) return rc;
    return b->draft ? plan_draft(e, b, o, most, need, err) : 0;
}

/* The file is mapped and its tokens are read; what it needs is known. */
static int engine_begin(struct engine **out, const struct book *b, const struct shelf_options *o, uint64_t most,
                        uint64_t *need, struct lar_err *err)
{
    struct lar_model_options mo = {.threads = o->threads, .deterministic = o->deterministic};
    struct engine *e = *out = mem_zalloc(sizeof *e);
    if (!e) return lar_fail(err, LAR_ENOMEM, "model: out of memory");
    compiled_init(&e->compiled, COMPILED_BYTES);
    int rc = open_model(e, b, &mo, err);
    if (rc < 0) return rc;
    lar_model_info(e->model, &e->info);
    return plan(e, b, o, most, need, err);
}

static int engine_finish(struct engine *e, const struct shelf_options *o, struct lar_err *err)
{
    struct lar_batch_options bo = {
        .tokens = o->step_tokens, .sessions = o->parallel, .logits = o->parallel + SHELF_SCORED};
    struct lar_session_options so = {.ctx = 1024, .kv = (enum lar_kv)o->kv, .batch = 1};
    uint64_t kv = 0;
    int rc = lar_session_bytes(e->model, &so, &kv, NULL, err);
    e->reads_only = rc == LAR_EUNSUPPORTED;
    if (e->reads_only) return 0;
    if (rc == 0) rc = lar_batch_open(&e->batch, e->model, &bo, err);
    if (rc < 0) return rc;
    e->kv_token_bytes = (double)kv / 1024;
    e->cache.disk = o->disk;
    e->row_room = (size_t)o->parallel;
    e->tail = &e->waiting;
    e->row = mem_zalloc(e->row_room * sizeof *e->row);
    e->part = mem_zalloc(e->row_room * sizeof *e->part);
    e->who = mem_zalloc(e->row_room * sizeof *e->who);
    e->slot = mem_zalloc(e->row_room * sizeof *e->slot);
    if (!e->row || !e->part || !e->who || !e->slot) return lar_fail(err, LAR_ENOMEM, "model: out of memory");
    return guess_open(e, o, err);
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

/* ---- bytes -------------------------------------------------------------------------------------------------------------- */

uint64_t shelf_bytes(const struct book *b)
{
    const struct engine *e = b->engine;
    if (b->loading) return b->need;
    if (!e) return 0;
    int64_t kv = atomic_load(&e->shown_kv) + atomic_load(&e->shown_kept);
    return (uint64_t)(e->fixed + (kv > e->kv_one ? kv : e->kv_one));
}

/* For all models. Where nobody said a number it is what was free at the start, and less where others took some of it since: what the kernel calls
 * free now (mapped weights among it), and what loaded models have taken beside their weights. 0: no limit. */
static uint64_t budget(const struct shelf *s)
{
    if (s->opt.force || s->opt.memory) return s->opt.force ? 0 : s->opt.memory;
    uint64_t have = cpu_memory_available();
    if (!have) return 0;
    for (size_t i = 0; i < s->nbook; i++)
        if (s->book[i].engine) have += shelf_bytes(&s->book[i]) - s->book[i].engine->info.weight_bytes;
    return s->at_start && have > s->at_start ? s->at_start : have;
}

static int may_go(const struct book *b) { return b->engine && !b->held && !b->pinned; }

/* Takes the engine out; it is closed with the others of the list when the lock is given up. */
static void take_down(struct book *b, struct engine **down)
{
    b->engine->next = *down;
    *down = b->engine;
    b->engine = NULL;
}

static void close_all(struct engine *down)
{
    for (struct engine *next; down; down = next) {
        next = down->next;
        engine_close(down);
    }
}

/* Whoever is busy shall give what it keeps for later. */
static int lacks(struct shelf *s, uint64_t bytes)
{
    atomic_store(&s->short_of, (int64_t)bytes);
    return SHELF_LATER;
}

/* Lets idle models go, those used longest ago first, until `more` bytes fit beside all but b (NULL: all). 0: they fit; SHELF_LATER: they would not
 * even so, and none went. With the lock held. */
static int make_room(struct shelf *s, const struct book *b, uint64_t more, struct engine **down)
{
    uint64_t most = budget(s), taken = more, idle = 0;
    if (!most) return 0;
    for (size_t i = 0; i < s->nbook; i++) {
        const struct book *k = &s->book[i];
        if (k == b) continue;
        taken += shelf_bytes(k);
        if (may_go(k)) idle += shelf_bytes(k);
    }
    if (taken > most + idle) return b && b->loading ? lacks(s, taken - idle - most) : SHELF_LATER;
    while (taken > most) {
        struct book *oldest = NULL;
        for (size_t i = 0; i < s->nbook; i++) {
            struct book *k = &s->book[i];
            if (k != b && may_go(k) && (!oldest || k->used < oldest->used)) oldest = k;
        }
        taken -= shelf_bytes(oldest);
        take_down(oldest, down);
        s->evicted++;
    }
    return 0;
}

/* What there is for a model when all go that can: pinned ones stay. 0: no limit. */
static uint64_t most_for(const struct shelf *s, const struct book *b)
{
    uint64_t most = budget(s), pinned = 0;
    for (size_t i = 0; i < s->nbook; i++)
        if (s->book[i].pinned && &s->book[i] != b) pinned += shelf_bytes(&s->book[i]);
    return !most ? 0 : most > pinned ? most - pinned : 1;
}

int shelf_grow(struct shelf *s, struct engine *e, double kv, double kept, struct lar_err *err)
{
    struct engine *down = NULL;
    struct book *b = NULL;
    int rc = 0;
    if (!s->opt.memory || s->opt.force) {
        atomic_store(&e->shown_kv, (int64_t)kv);
        return 0;
    }
    pthread_mutex_lock(&s->lock);
    for (size_t i = 0; i < s->nbook; i++)
        if (s->book[i].engine == e) b = &s->book[i];
    uint64_t most = most_for(s, b), wants = (uint64_t)e->fixed;
    double more = kv + kept;
    wants += more > (double)e->kv_one ? (uint64_t)more : (uint64_t)e->kv_one;
    if (wants > most && kept <= 0)
        rc = lar_fail(err, LAR_ELIMIT,
                      "these answers' keys and values need %.0f MiB beside %.0f MiB of the model itself, and the "
                      "server has %.0f MiB for it (--memory): lower num_ctx or max_tokens",
                      kv / 1048576, (double)e->fixed / 1048576, (double)most / 1048576);
    if (rc == 0) rc = make_room(s, b, wants, &down);
    if (rc == 0) atomic_store(&e->shown_kv, (int64_t)kv);
    pthread_mutex_unlock(&s->lock);
    close_all(down);
    return rc;
}

/* ---- loading ------------------------------------------------------------------------------------------------------------- */

/* 0: it is there. SHELF_LATER: busy models hold the bytes. With the lock held, which is given up while files are read. */
static int load(struct shelf *s, struct book *b, struct lar_err *err)
{
    struct engine *e = NULL, *down = NULL;
    uint64_t need = 0, most = most_for(s, b);
    b->loading = 1;
    if (b->need && b->need <= most && make_room(s, b, b->need, &down)) return b->loading = 0, SHELF_LATER;
    atomic_store(&s->short_of, 0);
    pthread_mutex_unlock(&s->lock);
    close_all(down);
    down = NULL;
    int rc = engine_begin(&e, b, &s->opt, most, &need, err);
    pthread_mutex_lock(&s->lock);
    if (rc == 0) rc = make_room(s, b, b->need = need, &down);
    pthread_mutex_unlock(&s->lock);
    close_all(down);
    if (rc == 0) rc = engine_finish(e, &s->opt, err);
    if (rc != 0) engine_close(e);
    pthread_mutex_lock(&s->lock);
    b->loading = 0;
    if (rc != 0) return rc;
    b->engine = e;
    b->until = INT64_MAX;
    b->used = time_ns();
    s->loads++;
    tell_warning(s, b);
    return 0;
}

int shelf_load(struct shelf *s, struct book *b, struct lar_err *err)
{
    pthread_mutex_lock(&s->lock);
    int rc = b->engine ? 0 : load(s, b, err);
    pthread_mutex_unlock(&s->lock);
    if (rc == SHELF_LATER)
        return lar_fail(err, LAR_ENOMEM, "%s: the models that are pinned leave no room for it", b->name);
    return rc;
}

int shelf_pin(struct shelf *s, const char *name, struct lar_err *err)
{
    struct book *b = shelf_find(s, name, strlen(name));
    if (!b || !*name) return lar_fail(err, LAR_EINVAL, "--pin %s: there is no such model", name);
    b->pinned = 1;
    return shelf_load(s, b, err);
}

/* ---- holding ------------------------------------------------------------------------------------------------------------- */

static int64_t keep_of(const struct shelf *s, int64_t keep_ns)
{
    return keep_ns == ASK_KEEP_DEFAULT ? s->opt.keep_ns : keep_ns;
}

static void take(struct shelf *s, struct book *b, int64_t keep_ns)
{
    b->held++;
    b->used = time_ns();
    b->keep = keep_of(s, keep_ns);
}

/* Somebody has waited long for bytes that this one's model holds. */
static int must_wait(const struct shelf *s, const struct book *b)
{
    return s->first && atomic_load(&s->short_of) > 0 && !b->pinned && time_ns() - s->first->since > PATIENCE_NS;
}

int shelf_hold(struct shelf *s, struct book *b, struct shelf_wait *w, struct lar_err *err)
{
    int rc = 0;
    pthread_mutex_lock(&s->lock);
    if (s->stop) {
        rc = lar_fail(err, LAR_ENOMEM, "the server is shutting down");
    } else if (b->engine && !must_wait(s, b)) {
        take(s, b, w->keep_ns);
    } else if (s->nwait >= s->opt.waiting) {
        s->refused++;
        rc = lar_fail(err, LAR_ENOMEM, "%d requests wait for models to be loaded: try again later", s->nwait);
    } else {
        w->book = b;
        w->since = time_ns();
        w->next = NULL;
        *s->tail = w;
        s->tail = &w->next;
        s->nwait++;
        pthread_cond_signal(&s->wake);
        rc = SHELF_LATER;
    }
    pthread_mutex_unlock(&s->lock);
    return rc;
}

void shelf_release(struct shelf *s, struct book *b, int64_t keep_ns)
{
    int64_t now = time_ns();
    pthread_mutex_lock(&s->lock);
    keep_ns = keep_of(s, keep_ns);
    b->held--;
    b->used = now;
    b->until = b->gone ? 0 : keep_ns < 0 || keep_ns > INT64_MAX - now ? INT64_MAX : now + keep_ns;
    if (b->held == 0 && (s->first || b->until != INT64_MAX)) pthread_cond_signal(&s->wake);
    pthread_mutex_unlock(&s->lock);
}

int shelf_unload(struct shelf *s, struct book *b, struct lar_err *err)
{
    int rc = 0;
    pthread_mutex_lock(&s->lock);
    if (b->pinned)
        rc = lar_fail(err, LAR_EINVAL, "keep_alive: model '%s' is pinned (--pin) and stays loaded", b->name);
    else
        b->until = b->keep = 0;
    pthread_cond_signal(&s->wake);
    pthread_mutex_unlock(&s->lock);
    return rc;
}

int shelf_waiting(struct shelf *s)
{
    pthread_mutex_lock(&s->lock);
    int n = s->nwait;
    pthread_mutex_unlock(&s->lock);
    return n;
}

/* ---- the thread ------------------------------------------------------------------------------------------------------------ */

/* Out of the queue, and on its way. With the lock held, but not during. */
static void send_off(struct shelf *s, struct shelf_wait **at, int rc, const struct lar_err *why)
{
    struct shelf_wait *w = *at;
    *at = w->next;
    if (s->tail == &w->next) s->tail = at;
    s->nwait--;
    if (rc == 0) take(s, w->book, w->keep_ns);
    if (at == &s->first) atomic_store(&s->short_of, 0); /* the next one tells what it lacks */
    pthread_mutex_unlock(&s->lock);
    w->ready(w, rc, why);
    pthread_mutex_lock(&s->lock);
}

/* Sends off one that can go: its model is there, or its client is not. 0: there is none. */
static int send_one(struct shelf *s)
{
    struct lar_err gone;
    for (struct shelf_wait **at = &s->first; *at; at = &(*at)->next) {
        struct shelf_wait *w = *at;
        if (s->stop)
            lar_fail(&gone, LAR_ENOMEM, "the server is shutting down");
        else if (w->gone && w->gone(w))
            lar_fail(&gone, LAR_ECANCEL, "the client closed its connection before the model was loaded");
        else if (!w->book->engine || (at != &s->first && must_wait(s, w->book)))
            continue;
        else
            return send_off(s, at, 0, NULL), 1;
        return send_off(s, at, gone.code, &gone), 1;
    }
    return 0;
}

/* Loads for the first whose model is not there. 1: something came of it. */
static int load_one(struct shelf *s)
{
    struct lar_err err = {0};
    struct shelf_wait *w = s->first;
    while (w && w->book->engine) w = w->next;
    if (!w) return 0;
    struct book *b = w->book;
    int rc = load(s, b, &err);
    if (rc >= 0) return rc == 0;
    for (struct shelf_wait **at = &s->first; *at; at = &(*at)->next)
        if ((*at)->book == b) return send_off(s, at, rc, &err), 1;
    return 1;
}

/* Closes what nobody holds and whose time is over; gives when to come again. */
static int64_t sweep(struct shelf *s)
{
    int64_t now = time_ns(), next = now + (int64_t)60 * 1000000000;
    struct engine *down = NULL;
    for (size_t i = 0; i < s->nbook; i++) {
        struct book *b = &s->book[i];
        if (!b->engine || b->held || b->pinned) continue;
        if (b->until <= now)
            take_down(b, &down);
        else if (b->until < next)
            next = b->until;
    }
    if (down) {
        pthread_mutex_unlock(&s->lock);
        close_all(down);
        pthread_mutex_lock(&s->lock);
    }
    return next;
}

static void *work(void *ctx)
{
    struct shelf *s = ctx;
    pthread_mutex_lock(&s->lock);
    for (;;) {
        if (send_one(s)) continue;
        if (s->stop) break;
        int64_t next = sweep(s);
        if (load_one(s)) continue;
        if (s->stop) continue;
        if (s->first) next = time_ns() + LOOK_NS;
        struct timespec t = {.tv_sec = next / 1000000000, .tv_nsec = next % 1000000000};
        pthread_cond_timedwait(&s->wake, &s->lock, &t);
    }
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

int shelf_start(struct shelf *s, struct lar_err *err)
{
    s->running = pthread_create(&s->thread, NULL, work, s) == 0;
    return s->running ? 0 : lar_fail(err, LAR_EIO, "models: no thread to load them");
}

void shelf_stop(struct shelf *s)
{
    if (!s->running) return;
    pthread_mutex_lock(&s->lock);
    s->stop = 1;
    pthread_cond_signal(&s->wake);
    pthread_mutex_unlock(&s->lock);
    pthread_join(s->thread, NULL);
    s->running = 0;
}

/* ---- what is told ------------------------------------------------------------------------------------------------------------ */

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
    pthread_mutex_lock(&s->lock);
    uint64_t taken = 0;
    for (size_t i = 0; i < s->nbook; i++) taken += shelf_bytes(&s->book[i]);
    metrics_one(b, "lar_models_bytes", "gauge", "Memory that loaded models count as, by the plan.", (double)taken);
    metrics_one(b, "lar_models_limit_bytes", "gauge", "Memory for all models; 0: no limit.", (double)budget(s));
    metrics_one(b, "lar_models_waiting", "gauge", "Requests that wait for a model to be loaded.", s->nwait);
    metrics_one(b, "lar_models_loaded_total", "counter", "Models that were loaded.", (double)s->loads);
    metrics_one(b, "lar_models_evicted_total", "counter", "Models that made way for others.", (double)s->evicted);
    metrics_one(b, "lar_models_refused_total", "counter", "Requests refused because too many waited.",
                (double)s->refused);
    metrics_head(b, "lar_model_bytes", "gauge", "Memory of a loaded model.");
    for (size_t i = 0; i < s->nbook; i++) {
        struct engine *e = s->book[i].engine;
        if (!e) continue;
        model_line(b, &s->book[i], "weights", (double)e->info.weight_bytes);
        model_line(b, &s->book[i], "work", (double)e->fixed - (double)e->info.weight_bytes);
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
