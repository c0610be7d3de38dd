/* SPDX-License-Identifier: Apache-2.0
 * store/hub.c: models from Hugging Face: the list of a repository's files (GET /api/models/REPO/tree/main?recursive=true; a weights file's lfs.oid
 * is its SHA-256), of these the one that the tag names, all its parts when it is split, and the projector beside it (mmproj-*.gguf). They become
 * layers of a manifest of ours. huggingface/hub-docs, docs/hub/api.md. */
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "base/err.h"
#include "store/describe.h"
#include "store/pull.h"

enum { PAGES_MAX = 100 };

struct file {
    struct str path, name;
    char digest[SHA256_HEX + 1];
    uint64_t size;
};

struct hub {
    struct arena a;
    struct buf base; /* "https://huggingface.co" */
    struct buf authorization;
    struct file *file;
    size_t n, cap;
    struct lar_err *err;
};

static int no_memory(struct hub *h) { return lar_fail(h->err, LAR_ENOMEM, "pull: out of memory"); }

static int hub_open(struct hub *h, struct lar_err *err)
{
    const char *at = getenv("HF_ENDPOINT"), *token = getenv("HF_TOKEN");
    *h = (struct hub){.err = err};
    arena_init(&h->a, (size_t)256 << 20);
    buf_puts(&h->base, at && *at ? at : "https://huggingface.co");
    while (h->base.n && h->base.p[h->base.n - 1] == '/') h->base.n--;
    if (token && *token && !strpbrk(token, "\r\n"))
        buf_printf(&h->authorization, "Bearer %s", token);
    return h->base.failed || h->authorization.failed ? no_memory(h) : 0;
}

static void hub_done(struct hub *h)
{
    buf_done(&h->base);
    buf_done(&h->authorization);
    arena_done(&h->a);
}

/* ---- the list ------------------------------------------------------------------------------------------------------------------ */

static int add_file(struct hub *h, const struct json *v)
{
    struct str path = json_str(json_get(v, "path"), STR("")), oid;
    const struct json *lfs = json_get(v, "lfs"), *size = json_get(lfs, "size");
    if (!str_ends(path, STR(".gguf")) || !lfs) return 0;
    oid = json_str(json_get(lfs, "oid"), STR(""));
    if (!name_is_digest(oid) || !size || !size->is_int || size->i <= 0) return 0;
    if (h->n == h->cap) {
        size_t cap = h->cap ? h->cap * 2 : 64;
        struct file *more = arena_array(&h->a, cap, sizeof *more);
        if (!more) return no_memory(h);
        if (h->n) memcpy(more, h->file, h->n * sizeof *more);
        h->file = more;
        h->cap = cap;
    }
    char *p = arena_copy(&h->a, path.p, path.n);
    if (!p) return no_memory(h);
    const char *slash = strrchr(p, '/');
    struct file *f = &h->file[h->n++];
    *f = (struct file){
        .path = {p, path.n}, .name = str_of(slash ? slash + 1 : p), .size = (uint64_t)size->i};
    memcpy(f->digest, oid.p, oid.n);
    return 0;
}

/* Link: <https://...>; rel="next" */
static int next_page(const struct buf *link, struct buf *url)
{
    const char *p = buf_z(link), *close = strchr(p, '>');
    buf_clear(url);
    if (*p != '<' || !close || !strstr(close, "rel=\"next\"")) return 0;
    buf_add(url, p + 1, (size_t)(close - p - 1));
    return 1;
}

static int list(struct hub *h, const struct name *n)
{
    struct buf url = {0};
    struct client_reply reply = {0};
    int e = 0, more = 1;
    buf_printf(&url, "%s/api/models/%s/%s/tree/main?recursive=true", buf_z(&h->base), n->space,
               n->model);
    for (int page = 0; e == 0 && more; page++) {
        struct arena a;
        int ours = client_same_origin(buf_z(&url), buf_z(&h->base));
        struct client_call c = {.url = buf_z(&url),
                                .authorization =
                                    ours && h->authorization.n ? buf_z(&h->authorization) : NULL};
        arena_init(&a, (size_t)256 << 20);
        if (page == PAGES_MAX)
            e = lar_fail(h->err, LAR_ELIMIT, "%s/%s: more than %d pages of files", n->space,
                         n->model, PAGES_MAX);
        if (e == 0) e = client_call(&c, &reply, h->err);
        if (e == 0 && (reply.status == 401 || reply.status == 403))
            e = lar_fail(h->err, LAR_EIO,
                         "%s/%s: is not there, is private, or its terms were not accepted yet on %s/%s/%s: "
                         "HF_TOKEN=hf_... says who asks",
                         n->space, n->model, buf_z(&h->base), n->space, n->model);
        if (e == 0 && reply.status != 200) e = registry_refused(&reply, n->model, h->err);
        const struct json *v = e == 0 ? json_parse(&a, buf_view(&reply.body), h->err) : NULL;
        if (e == 0 && (!v || v->kind != JSON_ARRAY))
            e = lar_fail(h->err, LAR_EFORMAT, "%s: sends no list of files", buf_z(&h->base));
        for (const struct json *f = v ? v->child : NULL; e == 0 && f; f = f->next)
            e = add_file(h, f);
        more = e == 0 && next_page(&reply.link, &url);
        client_done(&reply);
        arena_done(&a);
    }
    buf_done(&url);
    return e;
}

/* ---- the choice ------------------------------------------------------------------------------------------------------------------ */

static const struct file *choose(const struct hub *h, const struct name *n)
{
    const struct file *best = NULL;
    int best_rank = 99, any = !n->tagged || strcmp(n->tag, NAME_TAG) == 0;
    for (size_t i = 0; i < h->n; i++) {
        struct str quant;
        if (!places_quant(h->file[i].name.p, &quant)) continue;
        int r = any ? places_rank(quant) : places_same(quant, str_of(n->tag)) ? 0 : 99;
        if (r < best_rank) best_rank = r, best = &h->file[i];
    }
    return best;
}

static const struct file *projector(const struct hub *h)
{
    const struct file *best = NULL;
    for (size_t i = 0; i < h->n; i++) {
        const struct file *f = &h->file[i];
        if (!str_starts(f->name, STR("mmproj"))) continue;
        if (!best || strcasestr(f->name.p, "-f16")) best = f;
    }
    return best;
}

static int no_choice(const struct hub *h, const struct name *n)
{
    struct buf b = {0};
    for (size_t i = 0; i < h->n; i++) {
        struct str quant;
        if (places_quant(h->file[i].name.p, &quant) && b.n < 120)
            buf_printf(&b, " %.*s", STR_ARG(quant));
    }
    int e = h->n ? lar_fail(h->err, LAR_EIO, "%s/%s: has no %s; there are%s", n->space, n->model,
                            n->tag, buf_z(&b))
                 : lar_fail(h->err, LAR_EIO, "%s/%s: has no .gguf files", n->space, n->model);
    buf_done(&b);
    return e;
}

/* Two files are parts of one model when they differ in the part's number alone. */
static int same_model(const struct file *a, const struct file *b)
{
    struct str x = a->path, y = b->path;
    if (x.n != y.n) return 0;
    x.n -= 5, y.n -= 5;
    size_t n = x.n;
    places_cut_part(&x);
    places_cut_part(&y);
    return str_eq(x, y) &&
           (x.n == n ? a == b : memcmp(a->path.p + n - 5, b->path.p + n - 5, 5) == 0);
}

/* ---- into the store ------------------------------------------------------------------------------------------------------------------ */

static int add_layer(struct hub *h, struct manifest *m, const struct file *f, const char *type,
                     int named)
{
    if (m->n == MANIFEST_LAYERS_MAX)
        return lar_fail(h->err, LAR_ELIMIT, "pull: more than %d parts", MANIFEST_LAYERS_MAX);
    struct layer *l = &m->layer[m->n++];
    *l = (struct layer){.type = str_of(type), .size = f->size, .name = named ? f->name : STR("")};
    memcpy(l->digest, f->digest, sizeof l->digest);
    return 0;
}

static int by_part(const struct file *a, const struct file *b)
{
    return strcmp(a->path.p, b->path.p);
}

/* The layers of the model, its parts in their order. */
static int layers(struct hub *h, const struct file *first, struct manifest *m,
                  const struct file **of)
{
    const struct file *p = projector(h);
    int e = 0;
    m->layer = arena_array(&h->a, MANIFEST_LAYERS_MAX, sizeof *m->layer);
    if (!m->layer) return no_memory(h);
    for (const struct file *at = first; at && e == 0;) {
        struct str stem = at->name;
        stem.n -= 5;
        size_t n = stem.n;
        places_cut_part(&stem);
        of[m->n] = at;
        e = add_layer(h, m, at, MANIFEST_LAYER "model", stem.n < n);
        const struct file *next = NULL;
        for (size_t i = 0; i < h->n; i++)
            if (same_model(first, &h->file[i]) && by_part(&h->file[i], at) > 0 &&
                (!next || by_part(&h->file[i], next) < 0))
                next = &h->file[i];
        at = next;
    }
    if (e == 0 && p) of[m->n] = p, e = add_layer(h, m, p, MANIFEST_LAYER "projector", 0);
    return e;
}

static void encode_path(struct str path, struct buf *b)
{
    for (size_t i = 0; i < path.n; i++) {
        unsigned char c = (unsigned char)path.p[i];
        if (c <= ' ' || c >= 0x7f || strchr("%?#[]\"<>\\^`{|}", c))
            buf_printf(b, "%%%02X", c);
        else
            buf_putc(b, (char)c);
    }
}

static int get(struct hub *h, struct store *s, const struct name *n, const struct file *f,
               const struct store_pull *opt)
{
    struct buf url = {0};
    uint64_t have = 0;
    if (store_blob(s, f->digest, NULL, &have) && have == f->size) return 0;
    buf_printf(&url, "%s/%s/%s/resolve/main/", buf_z(&h->base), n->space, n->model);
    encode_path(f->path, &url);
    struct pull_blob b = {.url = buf_z(&url),
                          .authorization = h->authorization.n ? buf_z(&h->authorization) : NULL,
                          .digest = f->digest,
                          .size = f->size};
    int e = url.failed ? no_memory(h) : pull_blob(s, &b, opt, h->err);
    buf_done(&url);
    return e;
}

static int finish(struct hub *h, struct store *s, const struct name *n, struct manifest *m)
{
    struct describe d = {0};
    struct buf path = {0}, config = {0}, text = {0};
    char hex[SHA256_HEX + 1];
    int e = parts_link(s, m, h->err);
    if (layer_part(&m->layer[0]))
        parts_path(s->root, &m->layer[0], &path);
    else
        blob_path(s->root, m->layer[0].digest, &path);
    if (e == 0) e = path.failed ? no_memory(h) : describe_file(&d, buf_z(&path), h->err);
    describe_write(&d, m, &config);
    if (e == 0) e = config.failed ? no_memory(h) : blob_bytes(s, buf_view(&config), hex, h->err);
    if (e == 0) {
        m->config = (struct layer){.type = STR(MANIFEST_CONFIG), .size = config.n};
        memcpy(m->config.digest, hex, sizeof hex);
        manifest_write(m, &text);
        e = text.failed ? no_memory(h) : manifest_put(s, n, buf_view(&text), h->err);
    }
    buf_done(&path);
    buf_done(&config);
    buf_done(&text);
    return e;
}

int hub_pull(struct store *s, const struct name *n, const struct store_pull *opt,
             struct lar_err *err)
{
    struct hub h;
    struct manifest m = {0};
    const struct file **of = NULL;
    int e = hub_open(&h, err);
    if (e == 0 && n->digest[0])
        e = lar_fail(err, LAR_EUNSUPPORTED,
                     "%s/%s: Hugging Face has no manifests to pin; pin what was pulled", n->space,
                     n->model);
    if (e == 0) e = pull_tell(opt, "pulling list of files", err);
    if (e == 0) e = list(&h, n);
    const struct file *first = e == 0 ? choose(&h, n) : NULL;
    if (e == 0 && !first) e = no_choice(&h, n);
    if (e == 0 && !(of = arena_array(&h.a, MANIFEST_LAYERS_MAX + 1, sizeof *of))) e = no_memory(&h);
    if (e == 0) e = layers(&h, first, &m, of);
    if (e == 0) e = pull_room(s, &m, err);
    for (size_t i = 0; e == 0 && i < m.n; i++) e = get(&h, s, n, of[i], opt);
    if (e == 0) e = pull_tell(opt, "writing manifest", err);
    if (e == 0) e = finish(&h, s, n, &m);
    hub_done(&h);
    return e;
}
