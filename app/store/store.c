/* SPDX-License-Identifier: Apache-2.0
 * store/store.c: see store.h: opening, finding by name, listing. Nothing here writes. */
#include "store/store.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/sort.h"
#include "store/impl.h"

enum { SMALL_LAYER_MAX = 16 << 20 };

const char *store_place_name(enum store_place p)
{
    static const char *const name[] = {"lar", "ollama", "huggingface", "lmstudio", "file"};
    return name[p];
}

/* ---- opening ----------------------------------------------------------------------------------------------------------- */

static const char *env(const char *name)
{
    const char *v = getenv(name);
    return v && *v ? v : NULL;
}

static int root_of(struct store *s, const char *asked, struct lar_err *err)
{
    struct buf b = {0};
    const char *v = asked ? asked : env("LAR_MODELS"), *home = env("HOME");
    if (v)
        buf_puts(&b, v);
    else if (home)
        buf_printf(&b, "%s/.lar/models", home);
    while (b.n > 1 && b.p[b.n - 1] == '/') b.n--;
    int none = !v && !home;
    s->root = b.n && !b.failed ? arena_copy(&s->a, b.p, b.n) : NULL;
    buf_done(&b);
    if (none)
        return lar_fail(err, LAR_EINVAL, "no place for models: neither LAR_MODELS nor HOME is set");
    return s->root ? 0 : lar_fail(err, LAR_ENOMEM, "store: out of memory");
}

int store_open(struct store **out, const char *root, struct lar_err *err)
{
    struct store *s = *out = mem_zalloc(sizeof *s);
    if (!s) return lar_fail(err, LAR_ENOMEM, "store: out of memory");
    s->lock = -1;
    arena_init(&s->a, 1 << 20);
    struct stat st;
    int e = root_of(s, root, err);
    if (e == 0 && stat(s->root, &st) == 0 && !S_ISDIR(st.st_mode))
        e = lar_fail(err, LAR_EINVAL, "%s: is no folder, so it can be no store (LAR_MODELS names one)", s->root);
    if (e == 0) {
        places_find(s);
    } else {
        store_close(s);
        *out = NULL;
    }
    return e;
}

void store_close(struct store *s)
{
    if (!s) return;
    if (s->lock >= 0) close(s->lock);
    arena_done(&s->a);
    mem_free(s);
}

const char *store_root(const struct store *s) { return s->root; }
int store_make(struct store *s, struct lar_err *err) { return disk_folders(s->root, err); }

const char *store_place_root(const struct store *s, enum store_place p)
{
    const char *const place[] = {[STORE_LAR] = s->root,
                                 [STORE_OLLAMA] = s->ollama,
                                 [STORE_HF] = s->hf,
                                 [STORE_LMSTUDIO] = s->lmstudio,
                                 [STORE_FILE] = ""};
    return place[p];
}

/* ---- manifests ---------------------------------------------------------------------------------------------------------- */

void manifest_path(const char *root, const struct name *n, struct buf *b)
{
    buf_printf(b, "%s/manifests/", root);
    name_path(n, b);
}

struct walk {
    const char *root;
    manifest_walk_fn *f;
    void *ctx;
    int depth;
};

static int walk_level(void *ctx, const char *path, const char *name, int is_folder)
{
    struct walk *w = ctx;
    struct name n;
    int e = 0;
    (void)name;
    if (is_folder && w->depth < 3) {
        w->depth++;
        e = disk_walk(path, walk_level, w);
        w->depth--;
    } else if (!is_folder && w->depth == 3 &&
               name_of_path(&n, str_of(path + strlen(w->root) + sizeof "/manifests/" - 1)) == 0) {
        e = w->f(w->ctx, &n, path);
    }
    return e;
}

int manifest_walk(const char *root, manifest_walk_fn *f, void *ctx)
{
    struct walk w = {root, f, ctx, 0};
    struct buf b = {0};
    buf_printf(&b, "%s/manifests", root);
    int e = b.failed ? LAR_ENOMEM : disk_walk(buf_z(&b), walk_level, &w);
    buf_done(&b);
    return e;
}

/* ---- one model ----------------------------------------------------------------------------------------------------------- */

static int no_memory(const char *name, struct lar_err *err)
{
    return lar_fail(err, LAR_ENOMEM, "%s: out of memory", name);
}

/* The blob of a layer lies where the manifest lies; 1 when it is whole. */
static int has_blob(const char *root, const struct layer *l, struct buf *path)
{
    struct stat st;
    buf_clear(path);
    blob_path(root, l->digest, path);
    return !path->failed && stat(buf_z(path), &st) == 0 && S_ISREG(st.st_mode) &&
           (uint64_t)st.st_size == l->size;
}

static int missing(const struct store_model *m, const struct layer *l, const char *path,
                   struct lar_err *err)
{
    return lar_fail(err, LAR_EFORMAT,
                    "%s: a part of it (%.*s) is missing or has not its %llu bytes: %s", m->name,
                    STR_ARG(l->type), (unsigned long long)l->size, path);
}

/* The text of a small layer, checked against its digest. */
static int read_layer(struct store_model *m, const char *root, const struct layer *l,
                      struct str *out, struct lar_err *err)
{
    struct buf path = {0}, text = {0};
    char hex[SHA256_HEX + 1];
    int e = 0;
    if (l->size > SMALL_LAYER_MAX)
        e = lar_fail(err, LAR_ELIMIT, "%s: its layer %.*s has %llu bytes", m->name,
                     STR_ARG(l->type), (unsigned long long)l->size);
    else if (!has_blob(root, l, &path))
        e = missing(m, l, buf_z(&path), err);
    else
        e = disk_read(buf_z(&path), SMALL_LAYER_MAX, &text, err);
    if (e == 0) {
        sha256_of(buf_z(&text), text.n, hex);
        if (strcmp(hex, l->digest) != 0)
            e = lar_fail(err, LAR_EFORMAT, "%s: is not what its name says (its digest is %.12s...)",
                         buf_z(&path), hex);
    }
    if (e == 0) {
        char *p = arena_copy(&m->a, buf_z(&text), text.n);
        *out = (struct str){p, text.n};
        if (!p) e = no_memory(m->name, err);
    }
    buf_done(&path);
    buf_done(&text);
    return e;
}

static int read_json(struct store_model *m, const char *root, const struct layer *l,
                     struct json **out, struct lar_err *err)
{
    struct str text;
    int e = read_layer(m, root, l, &text, err);
    if (e < 0) return e;
    *out = json_parse(&m->a, text, err);
    return *out ? 0 : LAR_EFORMAT;
}

static int file_layer(struct store_model *m, const char *root, const struct layer *l,
                      const char **out, struct lar_err *err)
{
    struct buf path = {0};
    int e = has_blob(root, l, &path) ? 0 : missing(m, l, buf_z(&path), err);
    if (e == 0 && !(*out = arena_copy(&m->a, path.p, path.n))) e = no_memory(m->name, err);
    buf_done(&path);
    return e;
}

static int one_layer(struct store_model *m, const char *root, const struct layer *l,
                     struct lar_err *err)
{
    struct str text = {0};
    int e = 0;
    if (layer_is(l, "model") && layer_part(l)) {
        const char *blob;
        struct buf path = {0};
        e = file_layer(m, root, l, &blob, err);
        parts_path(root, l, &path);
        if (e == 0 && layer_part(l) == 1 && !(m->path = arena_copy(&m->a, buf_z(&path), path.n)))
            e = no_memory(m->name, err);
        buf_done(&path);
    } else if (layer_is(l, "model")) {
        if (m->path)
            return lar_fail(err, LAR_EUNSUPPORTED,
                            "%s: its weights lie in several layers (a split model)", m->name);
        e = file_layer(m, root, l, &m->path, err);
    } else if (layer_is(l, "projector")) {
        e = file_layer(m, root, l, &m->projector, err);
    } else if (layer_is(l, "draft")) {
        e = file_layer(m, root, l, &m->draft, err);
    } else if (layer_is(l, "adapter")) {
        e = file_layer(m, root, l, &m->adapter[m->nadapter++], err);
    } else if (layer_is(l, "template") || layer_is(l, "prompt")) {
        if ((e = read_layer(m, root, l, &text, err)) == 0) m->template_text = text.p;
    } else if (layer_is(l, "system")) {
        if ((e = read_layer(m, root, l, &text, err)) == 0) m->system = text.p;
    } else if (layer_is(l, "license")) {
        if ((e = read_layer(m, root, l, &text, err)) == 0) m->license[m->nlicense++] = text;
    } else if (layer_is(l, "params")) {
        e = read_json(m, root, l, &m->params, err);
    } else if (layer_is(l, "messages")) {
        e = read_json(m, root, l, &m->messages, err);
    }
    return e;
}

static int read_layers(struct store_model *m, const char *root, struct lar_err *err)
{
    const struct manifest *f = &m->manifest;
    int e = 0;
    m->adapter = arena_array(&m->a, f->n + 1, sizeof *m->adapter);
    m->license = arena_array(&m->a, f->n + 1, sizeof *m->license);
    if (!m->adapter || !m->license) return no_memory(m->name, err);
    if (f->config.digest[0]) e = read_json(m, root, &f->config, &m->config, err);
    for (size_t i = 0; i < f->n && e == 0; i++) e = one_layer(m, root, &f->layer[i], err);
    if (e == 0 && !m->path) {
        struct str host = json_str(json_get(m->config, "remote_host"), STR(""));
        e = host.n ? lar_fail(err, LAR_EUNSUPPORTED, "%s: runs on %.*s, not here", m->name,
                              STR_ARG(host))
                   : lar_fail(err, LAR_EUNSUPPORTED, "%s: holds no weights in GGUF form", m->name);
    }
    return e;
}

/* The manifest at path, of the store in root, becomes m. */
static int read_model(struct store_model *m, const char *root, const struct name *n,
                      const char *path, struct lar_err *err)
{
    struct buf text = {0}, shown = {0};
    struct stat st;
    int e = disk_read(path, MANIFEST_BYTES_MAX, &text, err);
    name_show(n, &shown);
    m->name = shown.failed ? NULL : arena_copy(&m->a, buf_z(&shown), shown.n);
    char *copy = e == 0 ? arena_copy(&m->a, buf_z(&text), text.n) : NULL;
    if (e == 0 && (!copy || !m->name)) e = no_memory(path, err);
    if (e == 0) {
        m->manifest_text = (struct str){copy, text.n};
        sha256_of(copy, text.n, m->digest);
        m->modified = stat(path, &st) == 0 ? (int64_t)st.st_mtime : 0;
        e = manifest_parse(&m->manifest, &m->a, m->manifest_text, err);
        if (e < 0 && err) {
            struct lar_err why = *err;
            lar_fail(err, e, "%s: %s", path, why.msg);
        }
    }
    if (e == 0 && n->digest[0] && strcmp(n->digest, m->digest) != 0)
        e = lar_fail(err, LAR_EINVAL,
                     "%s is now sha256:%.12s..., not the sha256:%.12s... that was asked for",
                     m->name, m->digest, n->digest);
    if (e == 0) {
        m->bytes = manifest_bytes(&m->manifest);
        e = read_layers(m, root, err);
    }
    buf_done(&text);
    buf_done(&shown);
    return e;
}

/* 1 when the store in root has the name; path gets where. */
static int in_root(const char *root, const struct name *n, struct buf *path)
{
    struct stat st;
    buf_clear(path);
    manifest_path(root, n, path);
    return *root && !path->failed && stat(buf_z(path), &st) == 0 && S_ISREG(st.st_mode);
}

struct by_digest {
    const char *hex;
    struct name name;
    int found;
};

static int compare_digest(void *ctx, const struct name *n, const char *path)
{
    struct by_digest *d = ctx;
    struct buf text = {0};
    char hex[SHA256_HEX + 1];
    if (disk_read(path, MANIFEST_BYTES_MAX, &text, NULL) == 0) {
        sha256_of(buf_z(&text), text.n, hex);
        if (strcmp(hex, d->hex) == 0) d->name = *n, d->found = 1;
    }
    buf_done(&text);
    return d->found;
}

/* "@sha256:HEX": whose manifest has that digest; else the blob itself. */
static int find_digest(struct store *s, const char *hex, struct store_model *out,
                       struct lar_err *err)
{
    const char *root[] = {s->root, s->ollama};
    struct buf path = {0};
    int e = LAR_EIO, found = 0;
    for (int i = 0; i < 2 && !found; i++) {
        struct by_digest d = {.hex = hex};
        if (!*root[i]) continue;
        manifest_walk(root[i], compare_digest, &d);
        if ((found = d.found) && in_root(root[i], &d.name, &path)) {
            out->place = i ? STORE_OLLAMA : STORE_LAR;
            e = read_model(out, root[i], &d.name, buf_z(&path), err);
        }
    }
    buf_clear(&path);
    if (!found && (found = store_blob(s, hex, &path, &out->bytes))) {
        out->path = out->name = arena_copy(&out->a, path.p, path.n);
        e = out->path ? 0 : no_memory(hex, err);
    }
    buf_done(&path);
    return found ? e : lar_fail(err, LAR_EIO, "no model here has the digest sha256:%s", hex);
}

int store_find(struct store *s, const char *name, struct store_model *out, struct lar_err *err)
{
    struct name n;
    struct buf path = {0}, shown = {0};
    *out = (struct store_model){0};
    arena_init(&out->a, (size_t)256 << 20);
    int e = name_parse(&n, str_of(name), err);
    if (e < 0) return e;
    if (!n.model[0]) return find_digest(s, n.digest, out, err);
    if (in_root(s->root, &n, &path)) {
        e = read_model(out, s->root, &n, buf_z(&path), err);
    } else if (in_root(s->ollama, &n, &path)) {
        out->place = STORE_OLLAMA;
        e = read_model(out, s->ollama, &n, buf_z(&path), err);
    } else if ((e = places_lookup(s, &n, out, err)) == 0) {
        name_show(&n, &shown);
        e = lar_fail(err, LAR_EIO, "no model here is called %s (lar list --all tells which are)",
                     buf_z(&shown));
    } else if (e > 0) {
        e = n.digest[0] ? lar_fail(err, LAR_EINVAL,
                                   "%s: lies in no store, so it has no digest to compare", name)
                        : 0;
    }
    buf_done(&path);
    buf_done(&shown);
    return e;
}

int store_has(struct store *s, const char *name)
{
    struct name n;
    struct buf path = {0};
    struct store_model m = {0};
    if (name_parse(&n, str_of(name), NULL) < 0) return 0;
    if (!n.model[0]) return 1; /* a digest is nothing else */
    int has = in_root(s->root, &n, &path) || in_root(s->ollama, &n, &path);
    if (!has) {
        arena_init(&m.a, 1 << 20);
        has = places_lookup(s, &n, &m, NULL) > 0;
        store_model_done(&m);
    }
    buf_done(&path);
    return has;
}

void store_model_done(struct store_model *m)
{
    arena_done(&m->a);
    *m = (struct store_model){0};
}

/* ---- its Modelfile ----------------------------------------------------------------------------------------------------------- */

static struct str scalar(const struct json *v)
{
    return v->kind == JSON_BOOL ? str_of(v->boolean ? "true" : "false")
                                : v->s; /* of a number: as it was written */
}

static void write_params(const struct json *params, struct buf *b)
{
    for (const struct json *p = params ? params->child : NULL; p; p = p->next) {
        if (p->kind != JSON_ARRAY) modelfile_write(b, MODELFILE_PARAMETER, p->key, scalar(p));
        for (const struct json *v = p->kind == JSON_ARRAY ? p->child : NULL; v; v = v->next)
            modelfile_write(b, MODELFILE_PARAMETER, p->key, scalar(v));
    }
}

void store_parameters(const struct store_model *m, struct buf *b)
{
    for (const struct json *p = m->params ? m->params->child : NULL; p; p = p->next) {
        if (p->kind != JSON_ARRAY)
            buf_printf(b, "%-30.*s %.*s\n", STR_ARG(p->key), STR_ARG(scalar(p)));
        for (const struct json *v = p->kind == JSON_ARRAY ? p->child : NULL; v; v = v->next) {
            buf_printf(b, "%-30.*s ", STR_ARG(p->key));
            buf_json_str(b, scalar(v));
            buf_putc(b, '\n');
        }
    }
}

static void write_word(const struct store_model *m, const char *key, enum modelfile_what what,
                       struct buf *b)
{
    struct str s = json_str(json_get(m->config, key), STR(""));
    if (s.n) modelfile_write(b, what, STR(""), s);
}

void store_modelfile(const struct store_model *m, struct buf *b)
{
    modelfile_write(b, MODELFILE_FROM, STR(""), str_of(m->path));
    if (m->projector) modelfile_write(b, MODELFILE_FROM, STR(""), str_of(m->projector));
    for (size_t i = 0; i < m->nadapter; i++)
        modelfile_write(b, MODELFILE_ADAPTER, STR(""), str_of(m->adapter[i]));
    if (m->draft) modelfile_write(b, MODELFILE_DRAFT, STR(""), str_of(m->draft));
    if (m->template_text) modelfile_write(b, MODELFILE_TEMPLATE, STR(""), str_of(m->template_text));
    if (m->system) modelfile_write(b, MODELFILE_SYSTEM, STR(""), str_of(m->system));
    write_params(m->params, b);
    for (const struct json *v = m->messages ? m->messages->child : NULL; v; v = v->next)
        modelfile_write(b, MODELFILE_MESSAGE, json_str(json_get(v, "role"), STR("user")),
                        json_str(json_get(v, "content"), STR("")));
    write_word(m, "requires", MODELFILE_REQUIRES, b);
    write_word(m, "renderer", MODELFILE_RENDERER, b);
    write_word(m, "parser", MODELFILE_PARSER, b);
    for (size_t i = 0; i < m->nlicense; i++)
        modelfile_write(b, MODELFILE_LICENSE, STR(""), m->license[i]);
}

/* ---- all of them ---------------------------------------------------------------------------------------------------------- */

int list_add(struct store_list *l, const struct store_entry *e, struct lar_err *err)
{
    if (l->n == l->cap) {
        size_t cap = l->cap ? l->cap * 2 : 32;
        struct store_entry *more = arena_array(&l->a, cap, sizeof *more);
        if (!more) return lar_fail(err, LAR_ENOMEM, "list: out of memory");
        if (l->n) memcpy(more, l->entry, l->n * sizeof *more);
        l->entry = more;
        l->cap = cap;
    }
    struct store_entry *to = &l->entry[l->n++];
    *to = *e;
    to->name = arena_copy(&l->a, e->name, strlen(e->name));
    to->path = arena_copy(&l->a, e->path, strlen(e->path));
    if (e->fault) to->fault = arena_copy(&l->a, e->fault, strlen(e->fault));
    return to->name && to->path ? 0 : lar_fail(err, LAR_ENOMEM, "list: out of memory");
}

struct listing {
    struct store_list *l;
    enum store_place place;
    struct lar_err *err;
};

static int list_one(void *ctx, const struct name *n, const char *path)
{
    struct listing *g = ctx;
    struct store_entry entry = {.place = g->place, .path = path};
    struct buf text = {0}, shown = {0};
    struct manifest m;
    struct lar_err why;
    struct arena a;
    struct stat st;
    arena_init(&a, 64 << 20);
    name_show(n, &shown);
    entry.name = buf_z(&shown);
    entry.modified = stat(path, &st) == 0 ? (int64_t)st.st_mtime : 0;
    int whole = disk_read(path, MANIFEST_BYTES_MAX, &text, &why) == 0;
    if (whole) sha256_of(buf_z(&text), text.n, entry.digest);
    if (whole && manifest_parse(&m, &a, buf_view(&text), &why) == 0)
        entry.bytes = manifest_bytes(&m);
    else
        entry.fault = why.msg;
    int e = list_add(g->l, &entry, g->err);
    arena_done(&a);
    buf_done(&text);
    buf_done(&shown);
    return e;
}

static int newer(const void *ctx, uint32_t a, uint32_t b)
{
    const struct store_entry *x = (const struct store_entry *)ctx + a,
                             *y = (const struct store_entry *)ctx + b;
    if (x->place != y->place) return x->place < y->place ? -1 : 1;
    if (x->modified != y->modified) return x->modified > y->modified ? -1 : 1;
    return strcmp(x->name, y->name);
}

static int sort_list(struct store_list *l, struct lar_err *err)
{
    uint32_t *order = arena_array(&l->a, l->n ? l->n : 1, sizeof *order);
    struct store_entry *sorted = arena_array(&l->a, l->n ? l->n : 1, sizeof *sorted);
    if (!order || !sorted) return lar_fail(err, LAR_ENOMEM, "list: out of memory");
    for (size_t i = 0; i < l->n; i++) order[i] = (uint32_t)i;
    sort_u32(order, l->n, newer, l->entry);
    for (size_t i = 0; i < l->n; i++) sorted[i] = l->entry[order[i]];
    l->entry = sorted;
    l->cap = l->n;
    return 0;
}

int store_list(struct store *s, int all, struct store_list *out, struct lar_err *err)
{
    struct listing g = {out, STORE_LAR, err};
    *out = (struct store_list){0};
    arena_init(&out->a, (size_t)256 << 20);
    int e = manifest_walk(s->root, list_one, &g);
    g.place = STORE_OLLAMA;
    if (e == 0 && all && *s->ollama) e = manifest_walk(s->ollama, list_one, &g);
    if (e == 0 && all) e = places_list(s, out, err);
    return e < 0 ? e : sort_list(out, err);
}

void store_list_done(struct store_list *l)
{
    arena_done(&l->a);
    *l = (struct store_list){0};
}
