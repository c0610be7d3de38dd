/* SPDX-License-Identifier: Apache-2.0
 * cli/lock.c: see lock.h. A manifest's digest stands for everything that belongs to a model, so it is what is locked; of a file that lies in no
 * store it is the file's own. */
#include "cli/lock.h"

#include <stdio.h>
#include <sys/stat.h>

#include "base/err.h"
#include "cli/in.h"
#include "cli/interrupt.h"
#include "cli/out.h"
#include "cli/verbs.h"

enum { NAMES_MAX = 1000 };
static const char usual[] = "lar.lock";

struct lock_options {
    const char *output;
    struct opt_list set;
};

/* ---- what a model is ------------------------------------------------------------------------------------------------- */

static int stopped(void *ctx, uint64_t done)
{
    (void)ctx, (void)done;
    return interrupt_seen();
}

struct identity {
    const char *name;
    char digest[SHA256_HEX + 1], weights[SHA256_HEX + 1];
    uint64_t size;
};

static int not_a_file(const char *path, struct lar_err *err)
{
    return lar_fail(err, LAR_EUNSUPPORTED,
                    "%s: a folder cannot be locked: lar convert or lar create makes one file of it",
                    path);
}

/* From the manifest, or by reading the file. */
static int identify(struct identity *id, const struct named *n, const char *arg,
                    struct lar_err *err)
{
    struct stat st;
    *id = (struct identity){.name = n->store ? n->m.name : arg};
    if (n->store && n->m.digest[0]) {
        const struct manifest *f = &n->m.manifest;
        memcpy(id->digest, n->m.digest, sizeof id->digest);
        for (size_t i = f->n; i-- > 0;)
            if (layer_is(&f->layer[i], "model"))
                memcpy(id->weights, f->layer[i].digest, sizeof id->weights);
        id->size = n->m.bytes;
        return 0;
    }
    if (stat(n->path, &st) == 0 && S_ISDIR(st.st_mode)) return not_a_file(n->path, err);
    int e = store_digest(n->path, id->digest, &id->size, stopped, NULL, err);
    memcpy(id->weights, id->digest, sizeof id->weights);
    return e;
}

/* Every byte, for a file's name says what it was. */
static void on_fault(void *ctx, const char *name, const char *what)
{
    (void)name;
    struct lar_err *err = ctx;
    if (!err->code) lar_fail(err, LAR_EFORMAT, "%s", what);
}

static int on_file(void *ctx, const char *path, uint64_t bytes)
{
    (void)ctx, (void)path, (void)bytes;
    return interrupt_seen();
}

static int read_through(const struct named *n, const struct identity *id, struct lar_err *err)
{
    struct lar_err fault = {0};
    struct store_verify v = {.on_fault = on_fault, .on_file = on_file, .ctx = &fault};
    char hex[SHA256_HEX + 1];
    uint64_t size;
    if (!n->store || !n->m.digest[0]) return 0; /* identify read it */
    if (n->m.place == STORE_LAR) {
        int e = store_verify(n->store, n->m.name, &v, err);
        return e > 0 ? lar_fail(err, LAR_EFORMAT, "%s: %s", n->m.name, fault.msg) : e;
    }
    int e = store_digest(n->path, hex, &size, stopped, NULL, err);
    if (e == 0 && strcmp(hex, id->weights) != 0)
        e = lar_fail(err, LAR_EFORMAT, "%s: its weights were changed: their digest is now %.12s...",
                     n->m.name, hex);
    return e;
}

/* ---- settings: options of lar run, as text --------------------------------------------------------------------------------- */

static int store_setting(struct run_options *o, const char *name, const char *text,
                         const char *shown, struct lar_err *err)
{
    void *base = o, *sampling = &o->sampling;
    const struct opt *opt = options_find(generation_options, name, &base);
    if (!opt && (opt = options_find(sampling_options, name, &sampling))) base = sampling;
    if (!opt || opt->kind == OPT_LIST)
        return lar_fail(
            err, LAR_EINVAL,
            "%s: '%.40s' is no setting of lar run that can be locked (ctx, kv, temp, seed, ...)",
            shown, name);
    return options_store(opt, base, shown, text, err);
}

static int split(const char *given, char *name, size_t n, const char **value, struct lar_err *err)
{
    const char *eq = strchr(given, '=');
    size_t k = eq ? (size_t)(eq - given) : 0;
    if (!k || k >= n) return lar_fail(err, LAR_EINVAL, "--set %.60s: needs NAME=VALUE", given);
    memcpy(name, given, k);
    name[k] = 0;
    *value = eq + 1;
    return 0;
}

/* ---- lar lock --------------------------------------------------------------------------------------------------------------- */

static void member(struct buf *b, const char *key, const char *hex)
{
    if (*hex) buf_printf(b, ", \"%s\": \"sha256:%s\"", key, hex);
}

static int one_model(struct buf *b, const char *arg, int first, struct lar_err *err)
{
    struct named n = {0};
    struct identity id;
    int e = named_open(&n, arg, err);
    if (e == 0) e = identify(&id, &n, arg, err);
    if (e == 0) {
        buf_puts(b, first ? "  {\"name\": " : ",\n  {\"name\": ");
        buf_json_str(b, str_of(id.name));
        member(b, "digest", id.digest);
        member(b, "weights", id.weights);
        buf_printf(b, ", \"size\": %llu", (unsigned long long)id.size);
        if (n.m.params) buf_puts(b, ", \"parameters\": "), json_write(b, n.m.params);
        buf_puts(b, "}");
    }
    named_close(&n);
    return e;
}

static int settings(struct buf *b, const struct opt_list *set, struct lar_err *err)
{
    struct run_options o = {0};
    int e = 0;
    for (size_t i = 0; i < set->n && e == 0; i++) {
        char name[40];
        const char *value = "";
        e = split(set->v[i], name, sizeof name, &value, err);
        if (e == 0) e = store_setting(&o, name, value, "--set", err);
        buf_puts(b, i ? ", " : "");
        buf_json_str(b, str_of(name));
        buf_puts(b, ": ");
        buf_json_str(b, str_of(value));
    }
    return e;
}

/* All of Lar's store. */
static int all_models(struct buf *b, struct lar_err *err)
{
    struct store_list l = {0};
    struct store *s = NULL;
    int e = store_open(&s, NULL, err), n = 0;
    if (e == 0) e = store_list(s, 0, &l, err);
    for (size_t i = 0; e == 0 && i < l.n; i++)
        if (!l.entry[i].fault) e = one_model(b, l.entry[i].name, n++ == 0, err);
    if (e == 0 && !n) e = lar_fail(err, LAR_EINVAL, "lock: no model is here to be locked");
    store_list_done(&l);
    store_close(s);
    return e;
}

static int is_lock(const char *path)
{
    struct buf b = {0};
    struct arena a;
    arena_init(&a, 64 << 20);
    int is = in_all(path, &b, NULL) < 0 ||
             json_get(json_parse(&a, buf_view(&b), NULL), "models") != NULL;
    arena_done(&a);
    buf_done(&b);
    return is;
}

static int run_lock(const void *values, char **arg, int narg)
{
    const struct lock_options *o = values;
    const char *path = o->output ? o->output : usual;
    struct stat st;
    struct buf b = {0};
    struct lar_err err;
    int e = 0;
    if (strcmp(path, "-") != 0 && stat(path, &st) == 0 && !is_lock(path))
        e = lar_fail(&err, LAR_EINVAL, "%s: is there and is no lock file, so it is not replaced",
                     path);
    buf_puts(&b, "{\"lar\": ");
    buf_json_str(&b, str_of(lar_version()));
    buf_puts(&b, ",\n \"settings\": {");
    interrupt_begin(NULL, 1);
    if (e == 0) e = settings(&b, &o->set, &err);
    buf_puts(&b, "},\n \"models\": [\n");
    if (e == 0 && !narg) e = all_models(&b, &err);
    for (int i = 0; i < narg && e == 0; i++) e = one_model(&b, arg[i], i == 0, &err);
    buf_puts(&b, "\n ]}\n");
    interrupt_end();
    if (e == 0 && b.failed) e = lar_fail(&err, LAR_ENOMEM, "lock: out of memory");
    if (e == 0 && strcmp(path, "-") == 0)
        buf_str(out(), buf_view(&b));
    else if (e == 0)
        e = store_write(path, buf_view(&b), &err);
    buf_done(&b);
    return e < 0 ? say_err(&err) : out_done(EXIT_DONE);
}

/* ---- lar run --locked --------------------------------------------------------------------------------------------------------- */

/* What would change answers belongs into the file. */
static int nothing_else(const struct run_options *o, const char *path, struct lar_err *err)
{
    const char *what = o->sampling.set ? "a choice of tokens"
                       : o->ctx        ? "--ctx"
                       : o->kv         ? "--kv"
                       : o->stop.n     ? "--stop"
                       : o->breaker.n  ? "--dry-sequence-breaker"
                       : o->adapter.n  ? "--adapter"
                       : o->system     ? "--system"
                       : o->raw        ? "--raw"
                                       : NULL;
    return what ? lar_fail(err, LAR_EINVAL,
                           "--locked: %s stands in %s or nowhere (lar lock --set NAME=VALUE)", what,
                           path)
                : 0;
}

static const struct json *entry_of(const struct json *lock, const char *name)
{
    const struct json *list = json_get(lock, "models");
    for (const struct json *m = list ? list->child : NULL; m; m = m->next)
        if (str_is(json_str(json_get(m, "name"), STR("")), name)) return m;
    return NULL;
}

/* Beside the digest, which stands for all: a file in which somebody changed the rest is not what lar lock wrote. */
static int same_rest(const struct json *m, const struct identity *id, const struct json *params)
{
    struct buf have = {0}, want = {0};
    char hex[SHA256_HEX + 1];
    const struct json *size = json_get(m, "size"), *weights = json_get(m, "weights"), *said = json_get(m, "parameters");
    int same = size && size->is_int && (uint64_t)size->i == id->size;
    same &= weights ? name_digest(json_str(weights, STR("")), hex) == 0 && strcmp(hex, id->weights) == 0
                    : !*id->weights;
    if (said) json_write(&have, said);
    if (params) json_write(&want, params);
    same &= str_eq(buf_view(&have), buf_view(&want));
    buf_done(&have);
    buf_done(&want);
    return same;
}

static int same_model(const struct json *lock, const struct identity *id, const struct json *params, const char *path,
                      struct lar_err *err)
{
    char hex[SHA256_HEX + 1];
    const struct json *m = entry_of(lock, id->name);
    if (!m) return lar_fail(err, LAR_EINVAL, "%s: names no model %s", path, id->name);
    if (name_digest(json_str(json_get(m, "digest"), STR("")), hex) < 0)
        return lar_fail(err, LAR_EFORMAT, "%s: has no digest of %s", path, id->name);
    if (strcmp(hex, id->digest) == 0 && same_rest(m, id, params)) return 0;
    if (strcmp(hex, id->digest) == 0)
        return lar_fail(err, LAR_EINVAL,
                        "%s: size, weights or parameters of %s are not what lar lock wrote: lock it again", path,
                        id->name);
    return lar_fail(err, LAR_EINVAL, "%s is sha256:%.12s..., and not the sha256:%.12s... of %s",
                    id->name, id->digest, hex, path);
}

static int apply(struct runner *r, const struct json *lock, const char *path, struct lar_err *err)
{
    const struct json *list = json_get(lock, "settings");
    int e = 0;
    for (const struct json *v = list ? list->child : NULL; v && e == 0; v = v->next) {
        char name[40], text[64];
        if (v->kind != JSON_STRING || v->key.n >= sizeof name || v->s.n >= sizeof text)
            return lar_fail(err, LAR_EFORMAT, "%s: its settings are no texts", path);
        memcpy(name, v->key.p, v->key.n), name[v->key.n] = 0;
        memcpy(text, v->s.p, v->s.n), text[v->s.n] = 0;
        e = store_setting(&r->o, name, text, path, err);
    }
    return e;
}

int lock_apply(struct runner *r, const char *path, const char *arg, struct lar_err *err)
{
    struct buf text = {0};
    struct identity id;
    struct arena a;
    arena_init(&a, 64 << 20);
    if (!path) path = usual;
    int e = nothing_else(&r->o, path, err);
    if (e == 0) e = in_all(path, &text, err);
    struct lar_err why = {0};
    const struct json *lock = e == 0 ? json_parse(&a, buf_view(&text), &why) : NULL;
    if (e == 0 && !lock) e = lar_fail(err, LAR_EFORMAT, "%s: %s", path, why.msg);
    struct str version = json_str(json_get(lock, "lar"), STR(""));
    if (e == 0 && !str_is(version, lar_version()))
        e = lar_fail(err, LAR_EINVAL, "%s: is of Lar %.*s, and this is Lar %s", path,
                     STR_ARG(version), lar_version());
    interrupt_begin(NULL, 1);
    if (e == 0) e = identify(&id, &r->named, arg, err);
    if (e == 0) e = same_model(lock, &id, r->named.m.params, path, err);
    if (e == 0) e = read_through(&r->named, &id, err);
    interrupt_end();
    if (e == 0) e = apply(r, lock, path, err);
    buf_done(&text);
    arena_done(&a);
    return e;
}

#define AT(field) offsetof(struct lock_options, field)
/* clang-format off */
static const struct opt options[] = {
    {.kind = OPT_TEXT, .name = "output", .letter = 'o', .at = AT(output), .arg = "FILE",
     .help = "The file that is written, lar.lock without it; - is standard output."},
    {.kind = OPT_LIST, .name = "set", .at = AT(set), .arg = "NAME=VALUE",
     .help = "A setting of lar run that is locked too (temp=0, seed=7, ctx=2048, kv=q8_0, ...); may be given again."},
    {.kind = OPT_END},
};

const struct verb verb_lock = {
    .name = "lock",
    .synopsis = "[MODEL...]",
    .summary = "writes down which models these are, to the byte",
    .about = "Writes a lock file: the names of models (without MODEL, all of Lar's store), their digests, the version "
             "of Lar, their parameters, and settings. lar run --locked then runs what is in the file and refuses "
             "anything else: another model under that name, another Lar, bytes that were changed, options that would "
             "change the answer.\n"
             "\n"
             "  lar lock clerk --set temp=0 --set seed=7\n"
             "  lar run clerk --locked \"Where is my order?\"\n",
    .opts = options,
    .size = sizeof(struct lock_options),
    .max_args = NAMES_MAX,
    .run = run_lock,
};
/* clang-format on */
