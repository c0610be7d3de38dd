/* SPDX-License-Identifier: Apache-2.0
 * serve/loras.c: see loras.h. */
#include "serve/loras.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>

#include "base/json.h"
#include "base/mem.h"
#include "serve/openai.h"
#include "serve/shelf.h"

enum { ARENA_MAX = 1 << 20 };

void loras_done(struct loras *l)
{
    for (size_t i = 0; i < l->n; i++) {
        mem_free(l->v[i].base);
        mem_free(l->v[i].path);
    }
    mem_free(l->folder);
    *l = (struct loras){0};
}

void loras_close(struct loras_open *o)
{
    for (size_t i = 0; i < o->n; i++) lar_lora_close(o->v[i].lora);
    mem_free(o->v);
    *o = (struct loras_open){0};
}

void loras_drop(struct loras_use *u)
{
    for (size_t i = 0; i < u->n; i++) lar_lora_close(u->v[i].lora);
    u->n = 0;
}

/* ---- names -------------------------------------------------------------------------------------------------------------- */

static struct str bare(struct str s)
{
    return str_ends(s, STR(":latest")) ? (struct str){s.p, s.n - 7} : s;
}

static int name_check(struct str s, struct lar_err *err)
{
    int ok = s.n > 0 && s.n < LORAS_NAME;
    for (size_t i = 0; ok && i < s.n; i++)
        ok = (s.p[i] >= 'a' && s.p[i] <= 'z') || (s.p[i] >= 'A' && s.p[i] <= 'Z') ||
             (s.p[i] >= '0' && s.p[i] <= '9') || strchr("._-", s.p[i]);
    return ok ? 0
              : lar_fail(err, LAR_EINVAL, "adapter \"%.*s\": a name has up to %d letters, digits, '.', '_' and '-'",
                         STR_ARG(s), LORAS_NAME - 1);
}

static char *copy(struct str s)
{
    char *p = mem_alloc(s.n + 1);
    if (!p) return NULL;
    memcpy(p, s.p, s.n);
    p[s.n] = 0;
    return p;
}

static int of_base(const struct lora *l, const struct book *k)
{
    return str_eq(bare(str_of(l->base)), bare(str_of(k->name)));
}

/* With the lock held. */
static struct lora *find(struct loras *l, const struct book *k, struct str name)
{
    for (size_t i = 0; i < l->n; i++)
        if (str_is(name, l->v[i].name) && of_base(&l->v[i], k)) return &l->v[i];
    return NULL;
}

static struct lora *find_id(struct loras *l, int64_t id)
{
    for (size_t i = 0; i < l->n; i++)
        if (l->v[i].id == id) return &l->v[i];
    return NULL;
}

struct book *loras_find(struct shelf *s, struct str name, struct loras_use *u, struct buf *full)
{
    const char *plus = name.n ? memchr(name.p, '+', name.n) : NULL;
    struct book *k = plus ? shelf_find(s, name.p, (size_t)(plus - name.p)) : NULL;
    int ok = k != NULL && plus != name.p;
    u->n = 0;
    if (!ok) return NULL;
    struct str base = bare(str_of(k->name)), rest = {plus, name.n - (size_t)(plus - name.p)};
    buf_add(full, base.p, base.n);
    pthread_mutex_lock(&s->lock);
    while (ok && rest.n) {
        rest.p++, rest.n--;
        const char *next = memchr(rest.p, '+', rest.n);
        struct str one = {rest.p, next ? (size_t)(next - rest.p) : rest.n};
        struct lora *l = find(&s->loras, k, one);
        ok = l && u->n < LAR_LORA_MAX;
        if (!ok) break;
        u->id[u->n] = l->id;
        u->v[u->n++] = (struct lar_lora_use){NULL, l->scale};
        buf_printf(full, "+%s", l->name);
        rest.p += one.n, rest.n -= one.n;
    }
    pthread_mutex_unlock(&s->lock);
    return ok && !full->failed ? k : NULL;
}

/* 1: it is [{"id":N,"scale":X},...] with ids below most, each once at most. */
static int list_ok(const struct json *list, double most)
{
    uint8_t seen[LORAS_MAX] = {0};
    int ok = list->kind == JSON_ARRAY;
    for (const struct json *c = ok ? list->child : NULL; c && ok; c = c->next) {
        double id = json_num(json_get(c, "id"), -1), x = json_num(json_get(c, "scale"), (double)INFINITY);
        ok = c->n == 2 && id >= 0 && id < most && floor(id) >= id && isfinite(x) && fabs(x) <= 1e6 &&
             !seen[(size_t)id]++;
    }
    return ok;
}

static const char list_is[] = "needs a list of {\"id\": of GET /lora-adapters, \"scale\": number}, each id once";

int loras_read(struct ask *q, const struct json *v, const struct field *f, struct lar_err *err)
{
    (void)f;
    if (!list_ok(v, LORAS_MAX)) return lar_fail(err, LAR_EINVAL, "%s", list_is);
    q->lora = v;
    return 0;
}

int loras_pick(struct shelf *s, const struct book *k, const struct json *list, struct loras_use *u, struct buf *full,
               struct lar_err *err)
{
    struct str base = bare(str_of(k->name));
    int rc = 0;
    if (u->n) return lar_fail(err, LAR_EFORMAT, "lora: the model's name says which adapters already");
    pthread_mutex_lock(&s->lock);
    for (const struct json *c = list->child; c && rc == 0; c = c->next) {
        size_t id = (size_t)json_num(json_get(c, "id"), 0);
        float scale = (float)json_num(json_get(c, "scale"), 0);
        const struct lora *l = id < s->loras.n ? &s->loras.v[id] : NULL;
        if (!l || !of_base(l, k))
            rc = lar_fail(err, LAR_EFORMAT, "lora: id %zu is no adapter of %s", id, k->name);
        else if (u->n == LAR_LORA_MAX)
            rc = lar_fail(err, LAR_EFORMAT, "lora: more than %d adapters", LAR_LORA_MAX);
        if (rc < 0 || fabsf(scale) <= 0) continue; /* one that adds nothing */
        if (u->n == 0) {
            buf_clear(full);
            buf_add(full, base.p, base.n);
        }
        u->id[u->n] = l->id;
        u->v[u->n++] = (struct lar_lora_use){NULL, scale};
        buf_printf(full, "+%s", l->name);
    }
    pthread_mutex_unlock(&s->lock);
    if (rc == 0 && full->failed) rc = lar_fail(err, LAR_ENOMEM, "out of memory");
    if (rc < 0) u->n = 0;
    return rc;
}

/* ---- the list ------------------------------------------------------------------------------------------------------------- */

static int look_into(struct lora *l, struct lar_err *err)
{
    struct lar_file *f;
    struct lar_file_info info;
    int rc = lar_file_open(&f, l->path, err);
    if (rc < 0) return rc;
    lar_file_info(f, &info);
    l->bytes = (int64_t)info.bytes;
    lar_file_close(f);
    return 0;
}

/* As the last of the list; *id is its number. */
static int add(struct shelf *s, struct str base, struct str name, const char *path, int64_t *id, struct lar_err *err)
{
    struct lora one = {.scale = 1};
    struct book *k = shelf_find(s, base.p, base.n);
    int rc = name_check(name, err);
    if (rc < 0) return rc;
    if (!k && base.n)
        return lar_fail(err, LAR_EINVAL, "adapter %.*s: model '%.*s' not found", STR_ARG(name), STR_ARG(base));
    if (!k)
        return lar_fail(err, LAR_EINVAL, "adapter %.*s: of which model? BASE+%.*s", STR_ARG(name), STR_ARG(name));
    memcpy(one.name, name.p, name.n);
    one.base = copy(str_of(k->name));
    one.path = copy(str_of(path));
    rc = one.base && one.path ? look_into(&one, err) : lar_fail(err, LAR_ENOMEM, "adapters: out of memory");
    pthread_mutex_lock(&s->lock);
    struct loras *l = &s->loras;
    if (rc == 0 && find(l, k, name))
        rc = lar_fail(err, LAR_EINVAL, "there is an adapter %s of %s already", one.name, k->name);
    else if (rc == 0 && l->n == LORAS_MAX)
        rc = lar_fail(err, LAR_EINVAL, "more than %d adapters", LORAS_MAX);
    if (rc == 0) {
        *id = one.id = ++l->last;
        l->v[l->n++] = one;
    }
    pthread_mutex_unlock(&s->lock);
    if (rc == 0) return 0;
    mem_free(one.base);
    mem_free(one.path);
    return rc;
}

int loras_add(struct shelf *s, const char *arg, struct lar_err *err)
{
    const char *eq = strchr(arg, '='), *plus = eq ? memchr(arg, '+', (size_t)(eq - arg)) : NULL;
    const char *name = plus ? plus + 1 : arg;
    int64_t id;
    if (!eq || eq == arg || !eq[1]) return lar_fail(err, LAR_EINVAL, "--lora %s: needs [BASE+]NAME=FILE", arg);
    return add(s, (struct str){arg, plus ? (size_t)(plus - arg) : 0}, (struct str){name, (size_t)(eq - name)}, eq + 1,
               &id, err);
}

int loras_allow(struct shelf *s, const char *folder, struct lar_err *err)
{
    char *real = realpath(folder, NULL);
    if (!real) return lar_fail_errno(err, "--lora-dir %s", folder);
    s->loras.folder = copy(str_of(real));
    free(real);
    return s->loras.folder ? 0 : lar_fail(err, LAR_ENOMEM, "--lora-dir: out of memory");
}

/* Takes it off the list, and out of the engines that have it. */
static void take_off(struct shelf *s, int64_t id)
{
    pthread_mutex_lock(&s->lock);
    struct loras *l = &s->loras;
    for (size_t i = 0; i < l->n; i++) {
        if (l->v[i].id != id) continue;
        mem_free(l->v[i].base);
        mem_free(l->v[i].path);
        memmove(&l->v[i], &l->v[i + 1], (--l->n - i) * sizeof *l->v);
        break;
    }
    for (size_t i = 0; i < s->nbook; i++) {
        struct loras_open *o = s->book[i].engine ? &s->book[i].engine->loras : NULL;
        for (size_t k = 0; o && k < o->n; k++) {
            if (o->v[k].id != id) continue;
            struct lar_lora_info info;
            lar_lora_info(o->v[k].lora, &info);
            s->book[i].engine->fixed -= (int64_t)info.bytes;
            lar_lora_close(o->v[k].lora);
            o->v[k] = o->v[--o->n];
            atomic_store(&s->book[i].engine->lora_gone, 1);
            break;
        }
    }
    pthread_mutex_unlock(&s->lock);
}

/* ---- opening --------------------------------------------------------------------------------------------------------------- */

/* The engine's own, opened when it is not. With the lock held. */
static int open_one(struct shelf *s, struct engine *e, int64_t id, struct lar_lora **out, struct lar_err *err)
{
    struct loras_open *o = &e->loras;
    const struct lora *l = find_id(&s->loras, id);
    for (size_t i = 0; i < o->n; i++)
        if (o->v[i].id == id) return *out = o->v[i].lora, 0;
    if (!l) return lar_fail(err, LAR_EINVAL, "the adapter was unloaded meanwhile");
    if (!o->v && !(o->v = mem_zalloc(LORAS_MAX * sizeof *o->v)))
        return lar_fail(err, LAR_ENOMEM, "adapters: out of memory");
    int rc = lar_lora_open(out, e->model, l->path, err);
    if (rc < 0) return rc;
    struct lar_lora_info info;
    lar_lora_info(*out, &info);
    e->fixed += (int64_t)info.bytes;
    o->v[o->n].id = id;
    o->v[o->n++].lora = *out;
    return 0;
}

int loras_hold(struct shelf *s, struct engine *e, struct loras_use *u, struct lar_err *err)
{
    size_t want = u->n;
    int rc = 0;
    pthread_mutex_lock(&s->lock);
    for (u->n = 0; u->n < want && rc == 0; u->n += rc == 0) {
        struct lar_lora *l = NULL;
        rc = open_one(s, e, u->id[u->n], &l, err);
        if (rc < 0) continue;
        u->v[u->n].lora = lar_lora_ref(l);
        find_id(&s->loras, u->id[u->n])->requests++;
    }
    pthread_mutex_unlock(&s->lock);
    if (rc < 0) loras_drop(u);
    return rc;
}

int loras_hold_all(struct shelf *s, const struct book *k, struct lar_err *err)
{
    struct lar_lora *l;
    int rc = 0;
    pthread_mutex_lock(&s->lock);
    for (size_t i = 0; i < s->loras.n && rc == 0; i++)
        if (of_base(&s->loras.v[i], k)) rc = open_one(s, k->engine, s->loras.v[i].id, &l, err);
    pthread_mutex_unlock(&s->lock);
    return rc;
}

/* ---- telling --------------------------------------------------------------------------------------------------------------- */

static void whole_name(struct buf *b, const struct lora *l)
{
    struct str base = bare(str_of(l->base));
    buf_printf(b, "%.*s+%s", STR_ARG(base), l->name);
}

void loras_each(struct shelf *s, const struct book *k,
                void (*one)(struct buf *b, const struct book *k, const struct lora *l, const char *name), struct buf *b)
{
    for (size_t i = 0; i < s->loras.n; i++) {
        struct buf name = {0};
        if (!of_base(&s->loras.v[i], k)) continue;
        whole_name(&name, &s->loras.v[i]);
        one(b, k, &s->loras.v[i], buf_z(&name));
        buf_done(&name);
    }
}

static void open_one_line(struct shelf *s, const struct loras_open *o, size_t i, struct buf *b)
{
    struct lar_lora_info info;
    const struct lora *l = find_id(&s->loras, o->v[i].id);
    struct buf name = {0};
    lar_lora_info(o->v[i].lora, &info);
    if (l) whole_name(&name, l);
    buf_puts(b, "{\"name\":");
    buf_json_str(b, buf_view(&name));
    buf_printf(b, ",\"size\":%llu,\"rank\":%d}", (unsigned long long)info.bytes, info.rank);
    buf_done(&name);
}

void loras_loaded(struct shelf *s, const struct engine *e, struct buf *b)
{
    if (e->loras.n) buf_puts(b, ",\"adapters\":[");
    for (size_t i = 0; i < e->loras.n; i++) {
        if (i) buf_putc(b, ',');
        open_one_line(s, &e->loras, i, b);
    }
    if (e->loras.n) buf_putc(b, ']');
}

static void metric(struct buf *b, const char *what, const struct lora *l, double v)
{
    struct buf name = {0};
    whole_name(&name, l);
    buf_printf(b, "%s{model=", what);
    buf_json_str(b, buf_view(&name));
    buf_puts(b, "} ");
    buf_json_num(b, v);
    buf_putc(b, '\n');
    buf_done(&name);
}

void loras_metrics(struct shelf *s, struct buf *b)
{
    pthread_mutex_lock(&s->lock);
    const struct loras *l = &s->loras;
    if (l->n) metrics_head(b, "lar_adapter_requests_total", "counter", "Requests that named an adapter.");
    for (size_t i = 0; i < l->n; i++) metric(b, "lar_adapter_requests_total", &l->v[i], (double)l->v[i].requests);
    if (l->n) metrics_head(b, "lar_adapter_bytes", "gauge", "Memory of an adapter that is loaded.");
    for (size_t i = 0; i < s->nbook; i++) {
        const struct loras_open *o = s->book[i].engine ? &s->book[i].engine->loras : NULL;
        for (size_t k = 0; o && k < o->n; k++) {
            struct lar_lora_info info;
            const struct lora *one = find_id(&s->loras, o->v[k].id);
            lar_lora_info(o->v[k].lora, &info);
            if (one) metric(b, "lar_adapter_bytes", one, (double)info.bytes);
        }
    }
    pthread_mutex_unlock(&s->lock);
}

/* ---- while the server runs ----------------------------------------------------------------------------------------------------- */

static void list_all(struct shelf *s, struct buf *b)
{
    buf_putc(b, '[');
    pthread_mutex_lock(&s->lock);
    for (size_t i = 0; i < s->loras.n; i++) {
        const struct lora *l = &s->loras.v[i];
        struct buf name = {0};
        whole_name(&name, l);
        buf_printf(b, "%s{\"id\":%zu,\"name\":", i ? "," : "", i);
        buf_json_str(b, buf_view(&name));
        buf_puts(b, ",\"path\":");
        buf_json_str(b, str_of(l->path));
        buf_puts(b, ",\"scale\":");
        buf_json_num(b, (double)l->scale);
        buf_putc(b, '}');
        buf_done(&name);
    }
    pthread_mutex_unlock(&s->lock);
    buf_puts(b, "]\n");
}

static int set_scales(struct shelf *s, struct str body, struct lar_err *err)
{
    struct arena a;
    int rc = 0;
    arena_init(&a, ARENA_MAX);
    const struct json *v = json_parse(&a, body, err);
    if (!v) rc = LAR_EINVAL;
    pthread_mutex_lock(&s->lock);
    if (rc == 0 && !list_ok(v, (double)s->loras.n)) rc = lar_fail(err, LAR_EINVAL, "%s", list_is);
    for (size_t i = 0; rc == 0 && i < s->loras.n; i++) s->loras.v[i].scale = 0;
    for (const struct json *c = rc == 0 ? v->child : NULL; c; c = c->next)
        s->loras.v[(size_t)json_num(json_get(c, "id"), 0)].scale = (float)json_num(json_get(c, "scale"), 0);
    pthread_mutex_unlock(&s->lock);
    arena_done(&a);
    return rc;
}

/* The strings of a request; what is not known is refused by name. */
static int read_request(const struct json *v, const char *const *name, struct str *to, size_t n, struct lar_err *err)
{
    if (v->kind != JSON_OBJECT) return lar_fail(err, LAR_EINVAL, "the request must be a JSON object");
    for (const struct json *c = v->child; c; c = c->next) {
        size_t i = 0;
        while (i < n && !str_is(c->key, name[i])) i++;
        if (str_is(c->key, "load_inplace") && (c->kind == JSON_NULL || (c->kind == JSON_BOOL && !c->boolean))) continue;
        if (str_is(c->key, "is_3d_lora_weight") && !json_bool(c, 0)) continue;
        if (i == n) return lar_fail(err, LAR_EINVAL, "%.*s is not supported here", STR_ARG(c->key));
        if (c->kind == JSON_NULL) continue;
        if (c->kind != JSON_STRING || memchr(c->s.p, 0, c->s.n))
            return lar_fail(err, LAR_EINVAL, "%s: needs a string", name[i]);
        to[i] = c->s;
    }
    return to[0].n ? 0 : lar_fail(err, LAR_EINVAL, "lora_name is missing");
}

/* "name" or "base+name"; base as it was said otherwise. */
static void split(struct str *name, struct str *base)
{
    const char *plus = memchr(name->p, '+', name->n);
    if (!plus) return;
    *base = (struct str){name->p, (size_t)(plus - name->p)};
    *name = (struct str){plus + 1, name->n - base->n - 1};
}

/* The file in the folder, links followed. */
static int in_folder(const struct loras *l, struct str path, char real[PATH_MAX], struct lar_err *err)
{
    struct buf b = {0};
    if (!l->folder)
        return lar_fail(err, LAR_EUNSUPPORTED, "this server loads no adapters while it runs: start it with --lora-dir");
    buf_printf(&b, "%s%s%.*s", path.n && path.p[0] == '/' ? "" : l->folder, path.n && path.p[0] == '/' ? "" : "/",
               STR_ARG(path));
    size_t n = strlen(l->folder);
    int there = !b.failed && realpath(buf_z(&b), real) != NULL;
    buf_done(&b);
    if (there && strncmp(real, l->folder, n) == 0 && (real[n] == '/' || n == 1)) return 0;
    /* the same words whether it is there or not: what lies elsewhere is nobody's to find out */
    return lar_fail(err, LAR_EINVAL, "lora_path \"%.*s\": there is no such file in the folder of --lora-dir",
                    STR_ARG(path));
}

/* Who waits until the base is there. */
struct waiter {
    struct shelf_wait wait; /* first */
    pthread_mutex_t lock;
    pthread_cond_t told;
    int done, rc;
    struct lar_err *err;
};

static void ready(struct shelf_wait *wait, int rc, const struct lar_err *why)
{
    struct waiter *w = (struct waiter *)wait;
    pthread_mutex_lock(&w->lock);
    if (rc < 0) *w->err = *why;
    w->rc = rc;
    w->done = 1;
    pthread_cond_signal(&w->told);
    pthread_mutex_unlock(&w->lock);
}

static int hold(struct shelf *s, struct book *k, struct lar_err *err)
{
    struct waiter w = {.wait = {.book = k, .keep_ns = s->opt.keep_ns, .ready = ready}, .err = err};
    pthread_mutex_init(&w.lock, NULL);
    pthread_cond_init(&w.told, NULL);
    int rc = shelf_hold(s, k, &w.wait, err);
    if (rc == SHELF_LATER) {
        pthread_mutex_lock(&w.lock);
        while (!w.done) pthread_cond_wait(&w.told, &w.lock);
        pthread_mutex_unlock(&w.lock);
        rc = w.rc;
    }
    pthread_cond_destroy(&w.told);
    pthread_mutex_destroy(&w.lock);
    return rc;
}

static int fits(struct shelf *s, struct str base, int64_t id, struct lar_err *err)
{
    struct book *k = shelf_find(s, base.p, base.n);
    struct lar_lora *l;
    int rc = k ? hold(s, k, err) : lar_fail(err, LAR_EINVAL, "the model is gone");
    if (rc < 0) return rc;
    pthread_mutex_lock(&s->lock);
    rc = open_one(s, k->engine, id, &l, err);
    pthread_mutex_unlock(&s->lock);
    shelf_release(s, k, s->opt.keep_ns);
    return rc;
}

static int load(struct shelf *s, struct str body, int *status, struct buf *told, struct lar_err *err)
{
    static const char *const fields[] = {"lora_name", "lora_path", "base_model_name"};
    struct str v[3] = {{"", 0}, {"", 0}, {"", 0}};
    char real[PATH_MAX];
    struct arena a;
    int64_t id = 0;
    arena_init(&a, ARENA_MAX);
    const struct json *q = json_parse(&a, body, err);
    int rc = q ? read_request(q, fields, v, 3, err) : LAR_EINVAL;
    *status = 400;
    if (rc == 0) rc = in_folder(&s->loras, v[1], real, err);
    split(&v[0], &v[2]);
    if (rc == 0) rc = add(s, v[2], v[0], real, &id, err);
    if (rc == 0 && (rc = fits(s, v[2], id, err)) < 0) take_off(s, id);
    if (rc == 0) buf_printf(told, "Success: LoRA adapter '%.*s' added successfully.", STR_ARG(v[0]));
    if (rc == LAR_ENOMEM) *status = 503;
    arena_done(&a);
    return rc;
}

static int unload(struct shelf *s, struct str body, int *status, struct buf *told, struct lar_err *err)
{
    static const char *const fields[] = {"lora_name", "base_model_name"};
    struct str v[2] = {{"", 0}, {"", 0}};
    struct arena a;
    int64_t id = 0;
    arena_init(&a, ARENA_MAX);
    const struct json *q = json_parse(&a, body, err);
    int rc = q ? read_request(q, fields, v, 2, err) : LAR_EINVAL;
    *status = 400;
    split(&v[0], &v[1]);
    struct book *k = rc == 0 ? shelf_find(s, v[1].p, v[1].n) : NULL;
    pthread_mutex_lock(&s->lock);
    const struct lora *l = k ? find(&s->loras, k, v[0]) : NULL;
    if (l) id = l->id;
    pthread_mutex_unlock(&s->lock);
    if (rc == 0 && !l) {
        rc = lar_fail(err, LAR_EINVAL, "there is no adapter '%.*s'%s", STR_ARG(v[0]),
                      k ? "" : " (of which model? BASE+NAME)");
        *status = 404;
    }
    if (rc == 0) take_off(s, id);
    if (rc == 0) buf_printf(told, "Success: LoRA adapter '%.*s' removed successfully.", STR_ARG(v[0]));
    arena_done(&a);
    return rc;
}

void loras_take(struct shelf *s, struct http_call *c)
{
    struct lar_err err;
    struct buf b = {0};
    int status = 400, rc = 0, text = 0;
    if (strcmp(http_path(c), "/v1/load_lora_adapter") == 0) {
        rc = load(s, http_body(c), &status, &b, &err), text = 1;
    } else if (strcmp(http_path(c), "/v1/unload_lora_adapter") == 0) {
        rc = unload(s, http_body(c), &status, &b, &err), text = 1;
    } else if (strcmp(http_method(c), "POST") == 0) {
        rc = set_scales(s, http_body(c), &err);
        buf_puts(&b, "{\"success\":true}\n");
    } else {
        list_all(s, &b);
    }
    if (rc == 0 && b.failed) rc = lar_fail(&err, LAR_ENOMEM, "out of memory"), status = 503;
    if (rc < 0) {
        buf_clear(&b);
        openai_error(&b, status, err.msg);
    }
    http_reply(c, rc < 0 ? status : 200, rc == 0 && text ? "text/plain; charset=utf-8" : "application/json",
               buf_view(&b));
    buf_done(&b);
}
