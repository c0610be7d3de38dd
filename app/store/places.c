/* SPDX-License-Identifier: Apache-2.0
 * store/places.c: models that other programs keep: where their folders are, and what lies in Hugging Face's cache
 * (models--USER--REPO/snapshots/COMMIT/FILE, refs/main naming the commit) and LM Studio's (PUBLISHER/REPO/FILE). They have no manifests: a GGUF
 * there is called hf.co/USER/REPO:QUANT or PUBLISHER/REPO:QUANT, QUANT being the end of its file's name. Nothing is written there. */
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "store/impl.h"

/* ---- where they are ---------------------------------------------------------------------------------------------------------- */

static int is_folder(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* The first of the folders that is there: each is $VARIABLE followed by a path; what a variable lacks is passed over. */
static char *first_of(struct arena *a, const char *const (*list)[2], size_t n, const char *but)
{
    static char nothing[1];
    char *found = NULL;
    for (size_t i = 0; i < n && !found; i++) {
        struct buf b = {0};
        const char *v = *list[i][0] ? getenv(list[i][0]) : "";
        if (v && (*v || !*list[i][0])) {
            buf_printf(&b, "%s%s", v, list[i][1]);
            if (!b.failed && is_folder(buf_z(&b)) && strcmp(buf_z(&b), but) != 0)
                found = arena_copy(a, b.p, b.n);
        }
        buf_done(&b);
    }
    return found ? found : nothing;
}

void places_find(struct store *s)
{
    static const char *const ollama[][2] = {{"OLLAMA_MODELS", ""},
                                            {"HOME", "/.ollama/models"},
                                            {"", "/usr/share/ollama/.ollama/models"}};
    static const char *const hf[][2] = {{"HF_HUB_CACHE", ""},
                                        {"HUGGINGFACE_HUB_CACHE", ""},
                                        {"HF_HOME", "/hub"},
                                        {"XDG_CACHE_HOME", "/huggingface/hub"},
                                        {"HOME", "/.cache/huggingface/hub"}};
    static const char *const lmstudio[][2] = {{"HOME", "/.lmstudio/models"},
                                              {"HOME", "/.cache/lm-studio/models"}};
    s->ollama = first_of(&s->a, ollama, 3, s->root);
    s->hf = first_of(&s->a, hf, 5, "");
    s->lmstudio = first_of(&s->a, lmstudio, 2, "");
}

/* ---- file names --------------------------------------------------------------------------------------------------------------- */

static char small(char c) { return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c; }

int places_same(struct str a, struct str b)
{
    if (a.n != b.n) return 0;
    for (size_t i = 0; i < a.n; i++)
        if (small(a.p[i]) != small(b.p[i])) return 0;
    return 1;
}

static int digits(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] < '0' || s.p[i] > '9') return 0;
    return s.n > 0;
}

/* Cuts "-00001-of-00005" off a stem. Gives the part's number, 1 when there is none. */
int places_cut_part(struct str *stem)
{
    enum { TAIL = 15 };
    struct str t = str_from(*stem, stem->n - TAIL);
    if (stem->n <= TAIL || t.p[0] != '-' || memcmp(t.p + 6, "-of-", 4) != 0 ||
        !digits((struct str){t.p + 1, 5}) || !digits((struct str){t.p + 10, 5}))
        return 1;
    int part = 0;
    for (int i = 1; i <= 5; i++) part = part * 10 + (t.p[i] - '0');
    stem->n -= TAIL;
    return part;
}

/* What a model file's name says of it: 0 when it is none, or not the first part of one. */
int places_quant(const char *file, struct str *quant)
{
    struct str s = str_of(file);
    if (!str_ends(s, STR(".gguf")) || str_starts(s, STR("mmproj"))) return 0;
    s.n -= 5;
    if (places_cut_part(&s) != 1) return 0;
    size_t at = s.n;
    while (at && s.p[at - 1] != '-' && s.p[at - 1] != '.') at--;
    *quant = str_from(s, at);
    return 1;
}

/* ---- one folder of files --------------------------------------------------------------------------------------------------------- */

typedef int found_fn(void *ctx, const char *path, struct str quant);
struct files {
    found_fn *f;
    void *ctx;
    int depth;
};

static int each_file(void *ctx, const char *path, const char *name, int folder)
{
    struct files *w = ctx;
    struct str quant;
    int e = 0;
    if (folder && w->depth < 2) { /* repositories keep large quants in folders of their own */
        w->depth++;
        e = disk_walk(path, each_file, w);
        w->depth--;
    } else if (!folder && places_quant(name, &quant)) {
        e = w->f(w->ctx, path, quant);
    }
    return e;
}

static int gguf_files(const char *folder, found_fn *f, void *ctx)
{
    struct files w = {f, ctx, 0};
    return disk_walk(folder, each_file, &w);
}

static int is_hf_model(const char *folder)
{
    struct buf b = {0};
    buf_printf(&b, "%s/config.json", folder);
    int is = !b.failed && access(buf_z(&b), R_OK) == 0;
    if (is) {
        static const char *const weights[] = {"model.safetensors", "model.safetensors.index.json",
                                              "pytorch_model.bin", "pytorch_model.bin.index.json"};
        is = 0;
        for (size_t i = 0; i < 4 && !is; i++) {
            buf_clear(&b);
            buf_printf(&b, "%s/%s", folder, weights[i]);
            is = access(buf_z(&b), R_OK) == 0;
        }
    }
    buf_done(&b);
    return is;
}

/* The snapshot that refs/main names; -1 when there is none. */
static int snapshot(const char *repo, struct buf *out)
{
    struct buf b = {0}, commit = {0};
    buf_printf(&b, "%s/refs/main", repo);
    int e = disk_read(buf_z(&b), 100, &commit, NULL);
    while (commit.n && commit.p[commit.n - 1] <= ' ') commit.n--;
    buf_clear(out);
    buf_printf(out, "%s/snapshots/%.*s", repo, (int)commit.n, buf_z(&commit));
    if (e == 0 && (!commit.n || memchr(commit.p, '/', commit.n) || commit.p[0] == '.')) e = -1;
    buf_done(&b);
    buf_done(&commit);
    return e < 0 || out->failed || !is_folder(buf_z(out)) ? -1 : 0;
}

/* ---- looking one up ---------------------------------------------------------------------------------------------------------------- */

/* Without a tag: what most people would take, then what comes. */
int places_rank(struct str quant)
{
    static const char *const best[] = {"Q4_K_M", "Q4_K_S", "Q5_K_M", "Q4_0", "Q6_K",
                                       "Q8_0",   "MXFP4",  "BF16",   "F16"};
    for (int i = 0; i < 9; i++)
        if (places_same(quant, str_of(best[i]))) return i;
    return 9;
}

struct choice {
    const struct name *n;
    struct buf path, quant;
    int rank;
};

static int choose(void *ctx, const char *path, struct str quant)
{
    struct choice *c = ctx;
    int r = c->n->tagged && strcmp(c->n->tag, NAME_TAG) != 0
                ? (places_same(quant, str_of(c->n->tag)) ? 0 : 99)
                : places_rank(quant);
    if (r >= c->rank && !(r == c->rank && r < 99 && strcmp(path, buf_z(&c->path)) < 0)) return 0;
    c->rank = r;
    buf_clear(&c->path);
    buf_clear(&c->quant);
    buf_puts(&c->path, path);
    buf_str(&c->quant, quant);
    return 0;
}

/* All parts of a split file count. */
static uint64_t bytes_of(const char *path)
{
    struct str stem = str_of(path);
    struct buf b = {0};
    struct stat st;
    uint64_t sum = 0;
    stem.n -= stem.n > 5 ? 5 : 0;
    struct str whole = stem;
    places_cut_part(&stem);
    if (stem.n == whole.n) return stat(path, &st) == 0 ? (uint64_t)st.st_size : 0;
    const char *of = whole.p + whole.n - 5; /* "00005.gguf" */
    for (int i = 1; i < 100000; i++) {
        buf_clear(&b);
        buf_printf(&b, "%.*s-%05d-of-%s", (int)stem.n, stem.p, i, of);
        if (b.failed || stat(buf_z(&b), &st)) break;
        sum += (uint64_t)st.st_size;
    }
    buf_done(&b);
    return sum;
}

static int give(struct store_model *out, enum store_place place, const struct name *n,
                const char *path, struct str quant, struct lar_err *err)
{
    struct name shown = *n;
    struct buf b = {0};
    struct stat st;
    if (quant.n && quant.n <= NAME_PART_MAX) {
        memcpy(shown.tag, quant.p, quant.n);
        shown.tag[quant.n] = 0;
    }
    name_show(&shown, &b);
    out->place = place;
    out->path = arena_copy(&out->a, path, strlen(path));
    out->name = b.failed ? NULL : arena_copy(&out->a, b.p, b.n);
    out->bytes = bytes_of(path);
    out->modified = stat(path, &st) == 0 ? (int64_t)st.st_mtime : 0;
    buf_done(&b);
    return out->path && out->name ? 1 : lar_fail(err, LAR_ENOMEM, "%s: out of memory", path);
}

int places_lookup(struct store *s, const struct name *n, struct store_model *out,
                  struct lar_err *err)
{
    struct choice c = {.n = n, .rank = 99};
    struct buf folder = {0};
    int hf = strcmp(n->host, "hf.co") == 0, e = 0, there;
    if (hf && *s->hf) {
        struct buf repo = {0};
        buf_printf(&repo, "%s/models--%s--%s", s->hf, n->space, n->model);
        there = !repo.failed && snapshot(buf_z(&repo), &folder) == 0;
        buf_done(&repo);
    } else {
        if (!hf && *s->lmstudio && strcmp(n->host, NAME_HOST) == 0)
            buf_printf(&folder, "%s/%s/%s", s->lmstudio, n->space, n->model);
        there = folder.n && !folder.failed && is_folder(buf_z(&folder));
    }
    if (there) {
        e = gguf_files(buf_z(&folder), choose, &c);
        if (e == 0 && c.rank < 99)
            e = give(out, hf ? STORE_HF : STORE_LMSTUDIO, n, buf_z(&c.path), buf_view(&c.quant),
                     err);
        else if (e == 0 && (!n->tagged || strcmp(n->tag, NAME_TAG) == 0) &&
                 is_hf_model(buf_z(&folder)))
            e = give(out, hf ? STORE_HF : STORE_LMSTUDIO, n, buf_z(&folder), STR(""), err);
    }
    buf_done(&folder);
    buf_done(&c.path);
    buf_done(&c.quant);
    return e;
}

/* ---- listing ----------------------------------------------------------------------------------------------------------------------- */

struct listing {
    struct store *s;
    struct store_list *l;
    struct lar_err *err;
    enum store_place place;
    struct str host, space, model;
};

/* A name that name_parse would take, else the path. */
static int add(struct listing *g, const char *path, struct str quant)
{
    struct buf b = {0};
    struct stat st;
    struct name n;
    int named = g->place != STORE_FILE;
    if (named) { /* a loose file's folders are nobody's names */
        if (g->host.n) buf_str(&b, g->host), buf_putc(&b, '/');
        buf_str(&b, g->space);
        buf_putc(&b, '/');
        buf_str(&b, g->model);
        if (quant.n) buf_putc(&b, ':'), buf_str(&b, quant);
        named = !b.failed && name_parse(&n, buf_view(&b), NULL) == 0;
    }
    struct store_entry e = {.place = g->place, .path = path, .bytes = bytes_of(path)};
    if (named && !quant.n) buf_puts(&b, ":" NAME_TAG);
    e.name = named ? buf_z(&b) : path;
    e.modified = stat(path, &st) == 0 ? (int64_t)st.st_mtime : 0;
    int rc = list_add(g->l, &e, g->err);
    buf_done(&b);
    return rc;
}

static int add_file(void *ctx, const char *path, struct str quant) { return add(ctx, path, quant); }

static int hf_repo(void *ctx, const char *path, const char *name, int folder)
{
    struct listing *g = ctx;
    struct buf at = {0};
    const char *user = name + 8,
               *sep = strncmp(name, "models--", 8) == 0 ? strstr(user, "--") : NULL;
    if (!folder || !sep) return 0;
    g->space = (struct str){user, (size_t)(sep - user)};
    g->model = str_of(sep + 2);
    int e = 0;
    if (snapshot(path, &at) == 0) {
        size_t before = g->l->n;
        e = gguf_files(buf_z(&at), add_file, g);
        if (e == 0 && g->l->n == before && is_hf_model(buf_z(&at))) e = add(g, buf_z(&at), STR(""));
    }
    buf_done(&at);
    return e;
}

static int lm_repo(void *ctx, const char *path, const char *name, int folder)
{
    struct listing *g = ctx;
    g->model = str_of(name);
    return folder ? gguf_files(path, add_file, g) : 0;
}

static int lm_publisher(void *ctx, const char *path, const char *name, int folder)
{
    struct listing *g = ctx;
    g->space = str_of(name);
    return folder ? disk_walk(path, lm_repo, g) : 0;
}

static int loose(void *ctx, const char *path, const char *name, int folder)
{
    struct str quant;
    return !folder && places_quant(name, &quant) ? add(ctx, path, quant) : 0;
}

int places_list(struct store *s, struct store_list *l, struct lar_err *err)
{
    struct listing g = {s, l, err, STORE_HF, STR("hf.co"), {"", 0}, {"", 0}};
    int e = *s->hf ? disk_walk(s->hf, hf_repo, &g) : 0;
    g.place = STORE_LMSTUDIO;
    g.host = STR("");
    if (e == 0 && *s->lmstudio) e = disk_walk(s->lmstudio, lm_publisher, &g);
    g.place = STORE_FILE;
    if (e == 0) e = disk_walk(s->root, loose, &g);
    if (e == 0) e = disk_walk(".", loose, &g);
    if (e == 0) e = disk_walk("./models", loose, &g);
    return e;
}
