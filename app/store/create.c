/* SPDX-License-Identifier: Apache-2.0
 * store/create.c: a model from a Modelfile: what it begins from becomes layers (taken in, or shared with the model it names), what it adds
 * replaces them kind by kind, as Ollama does it: TEMPLATE, SYSTEM and MESSAGEs replace, PARAMETERs are merged by name, LICENSEs and ADAPTERs
 * add up. The manifest is written last. */
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <lar/convert.h>
#include <lar/quant.h>

#include "base/err.h"
#include "store/describe.h"
#include "store/impl.h"

struct work {
    struct store *s;
    const struct store_create *opt;
    struct arena a;
    struct manifest m;     /* layers so far; room for MANIFEST_LAYERS_MAX */
    struct describe about; /* of the config */
    struct json *params;   /* of the model that FROM names */
    struct lar_err *err;
    int weights; /* a FROM gave some */
};

static int no_memory(struct work *w)
{
    return lar_fail(w->err, LAR_ENOMEM, "create: out of memory");
}

static int add_layer(struct work *w, const char *kind, const char *hex, uint64_t size)
{
    struct buf type = {0};
    if (w->m.n == MANIFEST_LAYERS_MAX)
        return lar_fail(w->err, LAR_ELIMIT, "create: more than %d layers", MANIFEST_LAYERS_MAX);
    struct layer *l = &w->m.layer[w->m.n];
    buf_printf(&type, "%s%s", strchr(kind, '/') ? "" : MANIFEST_LAYER, kind);
    char *t = arena_copy(&w->a, buf_z(&type), type.n);
    int bad = type.failed || !t;
    buf_done(&type);
    if (bad) return no_memory(w);
    *l = (struct layer){.type = str_of(t), .size = size};
    memcpy(l->digest, hex, sizeof l->digest);
    w->m.n++;
    return 0;
}

static void drop_layers(struct work *w, const char *kind)
{
    size_t n = 0;
    for (size_t i = 0; i < w->m.n; i++)
        if (!layer_is(&w->m.layer[i], kind)) w->m.layer[n++] = w->m.layer[i];
    w->m.n = n;
}

static int add_text(struct work *w, const char *kind, struct str text)
{
    char hex[SHA256_HEX + 1];
    int e = blob_bytes(w->s, text, hex, w->err);
    return e < 0 ? e : add_layer(w, kind, hex, text.n);
}

/* ---- FROM ------------------------------------------------------------------------------------------------------------------------ */

/* A quantised copy in the store's tmp: path gets its name. */
static int quantized(struct work *w, const char *from, struct buf *path)
{
    struct lar_quantize_options q = {.type = w->opt->quantize};
    int fd = disk_temp(w->s, path, w->err);
    if (fd < 0) return fd;
    close(fd);
    if (w->opt->on_progress && w->opt->on_progress(w->opt->ctx, "quantising", 0, 0))
        return lar_fail(w->err, LAR_ECANCEL, "stopped");
    return lar_quantize(from, buf_z(path), &q, w->err);
}

/* A split model: each part a layer, which has its file's name. path is the first; the others lie beside it. */
static int add_parts(struct work *w, const char *path, const struct describe *d)
{
    const char *slash = strrchr(path, '/');
    struct str name = str_of(slash ? slash + 1 : path),
               stem = {name.p, name.n > 5 ? name.n - 5 : 0};
    struct layer probe = {.name = name};
    int e = 0;
    if (layer_part(&probe) != 1)
        return lar_fail(w->err, LAR_EINVAL, "%s: FROM wants the first part of a split model", path);
    places_cut_part(&stem);
    for (int i = 1; e == 0 && i <= d->parts; i++) {
        struct buf part = {0};
        char hex[SHA256_HEX + 1];
        uint64_t size = 0;
        buf_add(&part, path, (size_t)(stem.p + stem.n - path));
        buf_printf(&part, "-%05d-of-%05d.gguf", i, d->parts);
        struct blob_source from = {buf_z(&part), 0, w->opt};
        if (part.failed) e = no_memory(w);
        if (e == 0) e = blob_take(w->s, &from, hex, &size, w->err);
        if (e == 0) e = add_layer(w, "model", hex, size);
        const char *own = strrchr(buf_z(&part), '/');
        own = own ? own + 1 : buf_z(&part);
        if (e == 0) {
            struct layer *l = &w->m.layer[w->m.n - 1];
            l->name = str_of(arena_copy(&w->a, own, strlen(own)));
        }
        buf_done(&part);
    }
    w->about = *d;
    w->weights = 1;
    return e;
}

static int add_file(struct work *w, const char *path, const char *kind)
{
    struct describe d = {0};
    struct buf small = {0};
    char hex[SHA256_HEX + 1];
    uint64_t size = 0;
    int weights = strcmp(kind, "model") == 0;
    int e = describe_file(&d, path, w->err);
    if (e == 0 && weights && d.parts > 1 && !w->opt->quantize) return add_parts(w, path, &d);
    if (e == 0 && weights && d.projector) kind = "projector", weights = 0;
    if (e == 0 && weights && d.adapter)
        e = lar_fail(w->err, LAR_EINVAL, "%s: is an adapter, no model: it goes behind ADAPTER",
                     path);
    if (e == 0 && !weights && strcmp(kind, "adapter") == 0 && !d.adapter)
        e = lar_fail(w->err, LAR_EINVAL, "%s: is no adapter (general.type says so of one)", path);
    if (e == 0 && weights && w->opt->quantize && (e = quantized(w, path, &small)) == 0)
        e = describe_file(&d, buf_z(&small), w->err);
    struct blob_source from = {small.n ? buf_z(&small) : path, 0, w->opt};
    if (e == 0) e = blob_take(w->s, &from, hex, &size, w->err);
    if (e == 0) e = add_layer(w, kind, hex, size);
    if (e == 0 && weights) w->about = d, w->weights = 1;
    if (small.n) unlink(buf_z(&small));
    buf_done(&small);
    return e;
}

struct ggufs {
    struct work *w;
    int n;
};

static int folder_file(void *ctx, const char *path, const char *name, int is_folder)
{
    struct ggufs *g = ctx;
    if (is_folder || !str_ends(str_of(name), STR(".gguf"))) return 0;
    struct layer probe = {.name = str_of(name)};
    g->n++;
    return layer_part(&probe) > 1 ? 0 : add_file(g->w, path, "model"); /* the first part brings the others */
}

/* A folder of safetensors with a config.json: as a GGUF in the store's tmp. */
static int add_converted(struct work *w, const char *path)
{
    struct buf temp = {0};
    int fd = disk_temp(w->s, &temp, w->err), e = fd < 0 ? fd : 0;
    if (e == 0) close(fd);
    if (e == 0 && w->opt->on_progress && w->opt->on_progress(w->opt->ctx, "converting", 0, 0))
        e = lar_fail(w->err, LAR_ECANCEL, "stopped");
    if (e == 0) e = lar_convert(path, buf_z(&temp), NULL, NULL, w->err);
    if (e == 0) e = add_file(w, buf_z(&temp), "model");
    if (temp.n) unlink(buf_z(&temp));
    buf_done(&temp);
    return e;
}

/* A folder of GGUF files (a model and its projector), or one of Hugging Face's. */
static int add_folder(struct work *w, const char *path)
{
    struct ggufs g = {w, 0};
    int e = disk_walk(path, folder_file, &g);
    return e < 0 || g.n ? e : add_converted(w, path);
}

static int take_layer(struct work *w, const struct store_model *m, const struct layer *l)
{
    struct buf path = {0};
    char hex[SHA256_HEX + 1];
    uint64_t size = 0;
    int e = 0;
    if (!store_blob(w->s, l->digest, NULL, &size) || size != l->size) {
        blob_path(m->place == STORE_OLLAMA ? w->s->ollama : w->s->root, l->digest, &path);
        struct blob_source from = {buf_z(&path), 1, w->opt};
        e = blob_take(w->s, &from, hex, &size, w->err);
        if (e == 0 && strcmp(hex, l->digest) != 0)
            e = lar_fail(w->err, LAR_EFORMAT, "%s: is not what its name says", buf_z(&path));
    }
    buf_done(&path);
    if (e == 0) e = add_layer(w, "", l->digest, l->size);
    if (e == 0) {
        char *type = arena_copy(&w->a, l->type.p, l->type.n);
        if (!type) return no_memory(w);
        w->m.layer[w->m.n - 1].type = (struct str){type, l->type.n};
        if (l->name.n) {
            char *name = arena_copy(&w->a, l->name.p, l->name.n);
            if (!name) return no_memory(w);
            w->m.layer[w->m.n - 1].name = (struct str){name, l->name.n};
        }
    }
    return e;
}

static int keep_json(struct work *w, const struct store_model *m, const char *kind,
                     struct json **out)
{
    for (size_t i = 0; i < m->manifest.n; i++) {
        struct buf path = {0}, text = {0};
        if (!layer_is(&m->manifest.layer[i], kind)) continue;
        blob_path(w->s->root, m->manifest.layer[i].digest, &path); /* it was just taken over */
        int e = disk_read(buf_z(&path), MANIFEST_BYTES_MAX, &text, w->err);
        char *copy = e == 0 ? arena_copy(&w->a, buf_z(&text), text.n) : NULL;
        *out = copy ? json_parse(&w->a, (struct str){copy, text.n}, w->err) : NULL;
        buf_done(&path);
        buf_done(&text);
        return *out ? 0 : e < 0 ? e : LAR_EFORMAT;
    }
    return 0;
}

static int add_model(struct work *w, const char *name)
{
    struct store_model m;
    int e = store_find(w->s, name, &m, w->err);
    if (e == 0 && (!m.digest[0] || w->opt->quantize)) {
        struct stat st;
        e = stat(m.path, &st) == 0 && S_ISDIR(st.st_mode) ? add_folder(w, m.path)
                                                          : add_file(w, m.path, "model");
        for (size_t i = 0; e == 0 && i < m.manifest.n; i++)
            if (!layer_is(&m.manifest.layer[i], "model"))
                e = take_layer(w, &m, &m.manifest.layer[i]);
    } else if (e == 0) {
        for (size_t i = 0; e == 0 && i < m.manifest.n; i++)
            e = take_layer(w, &m, &m.manifest.layer[i]);
        if (e == 0) e = describe_file(&w->about, m.path, w->err);
        w->weights = 1;
    }
    if (e == 0) e = keep_json(w, &m, "params", &w->params);
    if (e == 0) describe_keep(&w->about, m.config);
    store_model_done(&m);
    return e;
}

/* A path of the Modelfile: from its folder; "~/" is the home. */
static int resolve(struct work *w, struct str value, struct buf *path)
{
    const char *home = getenv("HOME");
    if (str_starts(value, STR("~/")) && home)
        buf_printf(path, "%s", home), value = str_from(value, 1);
    else if (value.p[0] != '/' && w->opt->folder)
        buf_printf(path, "%s/", w->opt->folder);
    buf_str(path, value);
    return path->failed ? no_memory(w) : 0;
}

static int looks_like_path(struct str v)
{
    return v.p[0] == '/' || v.p[0] == '.' || v.p[0] == '~' || str_ends(v, STR(".gguf")) ||
           str_ends(v, STR("/"));
}

static int from(struct work *w, const struct modelfile_command *c)
{
    struct buf path = {0};
    struct stat st;
    int e = resolve(w, c->value, &path);
    if (e == 0 && stat(buf_z(&path), &st) == 0 &&
        (S_ISREG(st.st_mode) || looks_like_path(c->value) || !store_has(w->s, c->value.p)))
        e = S_ISDIR(st.st_mode) ? add_folder(w, buf_z(&path)) : add_file(w, buf_z(&path), "model");
    else if (e == 0 && looks_like_path(c->value))
        e = lar_fail_errno(w->err, "FROM %s", buf_z(&path));
    else if (e == 0)
        e = add_model(w, c->value.p);
    buf_done(&path);
    return e;
}

/* ---- what is added -------------------------------------------------------------------------------------------------------------- */

static int write_value(struct buf *b, const struct json *v)
{
    if (v->kind == JSON_STRING)
        buf_json_str(b, v->s);
    else if (v->kind == JSON_NUMBER)
        buf_str(b, v->s);
    else if (v->kind == JSON_BOOL)
        buf_puts(b, v->boolean ? "true" : "false");
    else if (v->kind == JSON_ARRAY) {
        buf_putc(b, '[');
        for (const struct json *c = v->child; c; c = c->next) {
            if (c->kind == JSON_STRING) buf_json_str(b, c->s);
            if (c->kind == JSON_STRING && c->next) buf_putc(b, ',');
        }
        buf_putc(b, ']');
    } else {
        return -1;
    }
    return 0;
}

static int given(const struct modelfile *f, struct str name)
{
    for (size_t i = 0; i < f->n; i++)
        if (f->command[i].what == MODELFILE_PARAMETER && str_eq(f->command[i].name, name)) return 1;
    return 0;
}

/* One PARAMETER as "name":value; of stop all of them, of others the last. Written at its first place. */
static int write_param(struct work *w, const struct modelfile *f, size_t at, struct buf *b)
{
    const struct modelfile_command *c = &f->command[at], *last = c;
    const struct param *p = param_find(c->name);
    int e = 0, n = 0;
    for (size_t i = 0; i < at; i++)
        if (f->command[i].what == MODELFILE_PARAMETER && str_eq(f->command[i].name, c->name))
            return 0;
    if (!p) return lar_fail(w->err, LAR_EINVAL, "no PARAMETER is called '%.*s'", STR_ARG(c->name));
    if (b->n > 1) buf_putc(b, ',');
    buf_json_str(b, c->name);
    buf_puts(b, p->kind == PARAM_TEXTS ? ":[" : ":");
    for (size_t i = at; e == 0 && i < f->n; i++) {
        const struct modelfile_command *k = &f->command[i];
        if (k->what != MODELFILE_PARAMETER || !str_eq(k->name, c->name)) continue;
        last = k;
        if (p->kind != PARAM_TEXTS) continue;
        if (n++) buf_putc(b, ',');
        e = param_json(p, k->value, b, w->err);
    }
    if (p->kind == PARAM_TEXTS)
        buf_putc(b, ']');
    else
        e = param_json(p, last->value, b, w->err);
    return e;
}

static int add_params(struct work *w, const struct modelfile *f)
{
    struct buf b = {0};
    size_t n = 0;
    int e = 0;
    buf_putc(&b, '{');
    for (const struct json *v = w->params ? w->params->child : NULL; v; v = v->next)
        if (!given(f, v->key)) {
            if (b.n > 1) buf_putc(&b, ',');
            buf_json_str(&b, v->key);
            buf_putc(&b, ':');
            if (write_value(&b, v)) buf_puts(&b, "null");
        }
    for (size_t i = 0; e == 0 && i < f->n; i++)
        if (f->command[i].what == MODELFILE_PARAMETER) e = write_param(w, f, i, &b), n++;
    buf_putc(&b, '}');
    if (b.failed) e = no_memory(w);
    if (e == 0 && n) {
        drop_layers(w, "params");
        e = add_text(w, "params", buf_view(&b));
    }
    buf_done(&b);
    return e;
}

static int add_messages(struct work *w, const struct modelfile *f)
{
    struct buf b = {0};
    for (size_t i = 0; i < f->n; i++) {
        if (f->command[i].what != MODELFILE_MESSAGE) continue;
        buf_puts(&b, b.n ? ",{\"role\":" : "[{\"role\":");
        buf_json_str(&b, f->command[i].name);
        buf_puts(&b, ",\"content\":");
        buf_json_str(&b, f->command[i].value);
        buf_putc(&b, '}');
    }
    int e = 0;
    if (b.n) {
        buf_putc(&b, ']');
        drop_layers(w, "messages");
        e = b.failed ? no_memory(w) : add_text(w, "messages", buf_view(&b));
    }
    buf_done(&b);
    return e;
}

static int replace(struct work *w, const char *kind, struct str text)
{
    drop_layers(w, kind);
    if (strcmp(kind, "template") == 0) drop_layers(w, "prompt");
    return text.n ? add_text(w, kind, text) : 0;
}

/* An adapter as PEFT or MLX saved it, for the weights that FROM gave: as a GGUF in the store's tmp. */
static int add_peft(struct work *w, const char *path)
{
    struct buf temp = {0}, base = {0};
    for (size_t i = 0; i < w->m.n && !base.n; i++) {
        if (!layer_is(&w->m.layer[i], "model")) continue;
        if (layer_part(&w->m.layer[i]))
            parts_path(w->s->root, &w->m.layer[i], &base);
        else
            blob_path(w->s->root, w->m.layer[i].digest, &base);
    }
    int e = parts_link(w->s, &w->m, w->err), fd = e == 0 ? disk_temp(w->s, &temp, w->err) : -1;
    if (e == 0 && fd < 0) e = fd;
    if (fd >= 0) close(fd);
    if (e == 0 && w->opt->on_progress && w->opt->on_progress(w->opt->ctx, "converting", 0, 0))
        e = lar_fail(w->err, LAR_ECANCEL, "stopped");
    if (e == 0) e = lar_convert_lora(path, buf_z(&base), buf_z(&temp), NULL, w->err);
    if (e == 0) e = add_file(w, buf_z(&temp), "adapter");
    if (temp.n) unlink(buf_z(&temp));
    buf_done(&temp);
    buf_done(&base);
    return e;
}

static int path_layer(struct work *w, const struct modelfile_command *c, const char *kind)
{
    struct buf path = {0};
    struct stat st;
    int e = resolve(w, c->value, &path);
    int peft = e == 0 && c->what == MODELFILE_ADAPTER &&
               (str_ends(c->value, STR(".safetensors")) ||
                (stat(buf_z(&path), &st) == 0 && S_ISDIR(st.st_mode)));
    if (e == 0) e = peft ? add_peft(w, buf_z(&path)) : add_file(w, buf_z(&path), kind);
    buf_done(&path);
    return e;
}

static int command(struct work *w, const struct modelfile_command *c)
{
    switch (c->what) {
    case MODELFILE_TEMPLATE: return replace(w, "template", c->value);
    case MODELFILE_SYSTEM: return replace(w, "system", c->value);
    case MODELFILE_LICENSE: return add_text(w, "license", c->value);
    case MODELFILE_ADAPTER: return path_layer(w, c, "adapter");
    case MODELFILE_DRAFT: return path_layer(w, c, "draft");
    case MODELFILE_REQUIRES: return describe_set(&w->about, "requires", c->value, w->err);
    case MODELFILE_RENDERER: return describe_set(&w->about, "renderer", c->value, w->err);
    case MODELFILE_PARSER: return describe_set(&w->about, "parser", c->value, w->err);
    default: return 0; /* FROM came first, PARAMETER and MESSAGE go together */
    }
}

static int add_config(struct work *w)
{
    struct buf b = {0};
    char hex[SHA256_HEX + 1];
    describe_write(&w->about, &w->m, &b);
    int e = b.failed ? no_memory(w) : blob_bytes(w->s, buf_view(&b), hex, w->err);
    w->m.config = (struct layer){.type = STR(MANIFEST_CONFIG), .size = b.n};
    if (e == 0) memcpy(w->m.config.digest, hex, sizeof hex);
    buf_done(&b);
    return e;
}

/* Do the adapters belong to these weights? Opening finds out. A family that Lar does not know is nobody's adapter here: that is said, too. */
static int try_adapters(struct work *w)
{
    struct buf base = {0};
    struct lar_adapter adapter[64];
    struct buf path[64] = {{0}};
    struct lar_model_options o = {.adapters = adapter, .threads = 1};
    struct lar_model *m = NULL;
    int n = 0, e = 0;
    for (size_t i = 0; i < w->m.n && n < 64; i++) {
        const struct layer *l = &w->m.layer[i];
        if (layer_is(l, "adapter")) {
            blob_path(w->s->root, l->digest, &path[n]);
            adapter[n] = (struct lar_adapter){buf_z(&path[n]), 1};
            n++;
        } else if (layer_is(l, "model") && !base.n) {
            if (layer_part(l))
                parts_path(w->s->root, l, &base);
            else
                blob_path(w->s->root, l->digest, &base);
        }
    }
    o.nadapter = (size_t)n;
    if (n) e = lar_model_open(&m, buf_z(&base), &o, w->err);
    lar_model_close(m);
    for (int i = 0; i < n; i++) buf_done(&path[i]);
    buf_done(&base);
    return e;
}

static int rank(const struct layer *l)
{
    static const char *const kinds[] = {"model",  "projector", "adapter", "draft",    "template",
                                        "prompt", "system",    "params",  "messages", "license"};
    int r = 0;
    while (r < (int)(sizeof kinds / sizeof *kinds) && !layer_is(l, kinds[r])) r++;
    return r;
}

/* By kind, in the order in which lar show --modelfile tells them: the same things make the same manifest, in whatever order they were said. */
static void sort_layers(struct manifest *m)
{
    for (size_t i = 1; i < m->n; i++) {
        struct layer l = m->layer[i];
        size_t at = i;
        for (; at && rank(&m->layer[at - 1]) > rank(&l); at--) m->layer[at] = m->layer[at - 1];
        m->layer[at] = l;
    }
}

static int make(struct work *w, const struct name *n, const struct modelfile *f)
{
    struct buf text = {0};
    int e = 0;
    for (size_t i = 0; e == 0 && i < f->n; i++)
        if (f->command[i].what == MODELFILE_FROM) e = from(w, &f->command[i]);
    if (e == 0 && !w->weights)
        e = lar_fail(w->err, LAR_EINVAL,
                     "the Modelfile names no weights: FROM FILE.gguf, or FROM NAME of a model");
    int models = 0;
    for (size_t i = 0; i < w->m.n; i++)
        models += layer_is(&w->m.layer[i], "model") && layer_part(&w->m.layer[i]) < 2;
    if (e == 0 && models > 1)
        e = lar_fail(w->err, LAR_EINVAL,
                     "FROM names %d models, where one (and its projector) is wanted", models);
    for (size_t i = 0; e == 0 && i < f->n; i++) e = command(w, &f->command[i]);
    if (e == 0) e = add_params(w, f);
    if (e == 0) e = add_messages(w, f);
    sort_layers(&w->m);
    if (e == 0) e = parts_link(w->s, &w->m, w->err);
    if (e == 0) e = try_adapters(w);
    if (e == 0) e = add_config(w);
    if (e == 0) {
        manifest_write(&w->m, &text);
        e = text.failed ? no_memory(w) : manifest_put(w->s, n, buf_view(&text), w->err);
    }
    buf_done(&text);
    return e;
}

int store_create(struct store *s, const char *name, const struct modelfile *f,
                 const struct store_create *opt, struct lar_err *err)
{
    static const struct store_create none;
    struct work w = {.s = s, .opt = opt ? opt : &none, .err = err};
    struct name n;
    int e = name_parse(&n, str_of(name), err);
    if (e == 0 && (!n.model[0] || n.digest[0]))
        e = lar_fail(err, LAR_EINVAL, "%s: a name is wanted here, without a digest", name);
    if (e < 0) return e;
    arena_init(&w.a, (size_t)256 << 20);
    w.m.layer = arena_array(&w.a, MANIFEST_LAYERS_MAX, sizeof *w.m.layer);
    if (!w.m.layer) e = no_memory(&w);
    if (e == 0 && (e = store_lock(s, 0, 1, err)) == 0) {
        e = make(&w, &n, f);
        store_unlock(s);
    }
    arena_done(&w.a);
    return e;
}
