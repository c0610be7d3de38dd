/* SPDX-License-Identifier: Apache-2.0
 * store/keep.c: what changes a store, but for making models: names given and taken away, blobs that nobody needs any more, and whether
 * everything is still what it was. */
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"
#include "base/sort.h"
#include "store/impl.h"

enum { YOUNG_S = 3600 };

int manifest_put(struct store *s, const struct name *n, struct str text, struct lar_err *err)
{
    struct buf path = {0}, temp = {0};
    manifest_path(s->root, n, &path);
    int fd = path.failed ? lar_fail(err, LAR_ENOMEM, "manifest: out of memory")
                         : disk_temp(s, &temp, err);
    int e = fd < 0 ? fd : disk_write(fd, text.p, text.n, buf_z(&temp), err);
    if (e == 0)
        e = disk_commit(fd, buf_z(&temp), buf_z(&path), err);
    else if (fd >= 0)
        close(fd);
    if (e < 0 && temp.n) unlink(buf_z(&temp));
    buf_done(&path);
    buf_done(&temp);
    return e;
}

/* ---- which blobs are needed ------------------------------------------------------------------------------------------------ */

/* A sorted set of digests. */
struct needed {
    char (*hex)[SHA256_HEX + 1];
    uint32_t *order;
    size_t n, cap;
    struct lar_err *err;
};

static int need(struct needed *d, const char *hex)
{
    if (d->n == d->cap) {
        size_t cap = d->cap ? d->cap * 2 : 256;
        void *p = mem_resize(d->hex, cap * sizeof *d->hex);
        if (!p) return lar_fail(d->err, LAR_ENOMEM, "store: out of memory");
        d->hex = p;
        d->cap = cap;
    }
    memcpy(d->hex[d->n++], hex, SHA256_HEX + 1);
    return 0;
}

static int by_text(const void *ctx, uint32_t a, uint32_t b)
{
    const struct needed *d = ctx;
    return memcmp(d->hex[a], d->hex[b], SHA256_HEX);
}

static int is_needed(const struct needed *d, const char *hex)
{
    size_t lo = 0, hi = d->n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        int c = memcmp(d->hex[d->order[mid]], hex, SHA256_HEX);
        if (c == 0) return 1;
        if (c < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return 0;
}

static int read_manifest(const char *path, struct manifest *m, struct arena *a, struct lar_err *err)
{
    struct buf text = {0};
    struct lar_err why;
    arena_init(a, 64 << 20);
    int e = disk_read(path, MANIFEST_BYTES_MAX, &text, err);
    if (e == 0 && (e = manifest_parse(m, a, buf_view(&text), &why)) < 0)
        lar_fail(err, e, "%s: %s", path, why.msg);
    buf_done(&text);
    return e;
}

static int needs_of(void *ctx, const struct name *n, const char *path)
{
    struct needed *d = ctx;
    struct manifest m;
    struct arena a;
    (void)n;
    int e = read_manifest(path, &m, &a, d->err);
    if (e == 0 && m.config.digest[0]) e = need(d, m.config.digest);
    for (size_t i = 0; e == 0 && i < m.n; i++) e = need(d, m.layer[i].digest);
    arena_done(&a);
    return e;
}

/* A manifest that cannot be read may need anything: then this fails, and nothing is removed. */
static int all_needs(struct store *s, struct needed *d, struct lar_err *err)
{
    *d = (struct needed){.err = err};
    int e = manifest_walk(s->root, needs_of, d);
    d->order = e == 0 ? mem_alloc(sizeof *d->order * (d->n + 1)) : NULL;
    if (e == 0 && !d->order) e = lar_fail(err, LAR_ENOMEM, "store: out of memory");
    for (size_t i = 0; e == 0 && i < d->n; i++) d->order[i] = (uint32_t)i;
    if (e == 0) sort_u32(d->order, d->n, by_text, d);
    return e;
}

static void needs_done(struct needed *d)
{
    mem_free(d->hex);
    mem_free(d->order);
}

/* ---- names ------------------------------------------------------------------------------------------------------------------- */

static int own_name(struct store *s, const char *text, struct name *n, struct buf *path,
                    struct lar_err *err)
{
    struct stat st;
    int e = name_parse(n, str_of(text), err);
    if (e < 0) return e;
    if (!n->model[0] || n->digest[0])
        return lar_fail(err, LAR_EINVAL, "%s: a name is wanted here, without a digest", text);
    manifest_path(s->root, n, path);
    if (path->failed) return lar_fail(err, LAR_ENOMEM, "%s: out of memory", text);
    if (stat(buf_z(path), &st)) {
        struct buf shown = {0};
        name_show(n, &shown);
        e = lar_fail(err, LAR_EIO, "no model in %s is called %s (lar list tells which are)",
                     s->root, buf_z(&shown));
        buf_done(&shown);
    }
    return e;
}

/* Folders that have become empty go too: host, namespace and model. */
static void remove_empty(const char *path)
{
    struct buf b = {0};
    buf_puts(&b, path);
    for (int i = 0; i < 3 && !b.failed; i++) {
        char *slash = strrchr(b.p, '/');
        if (!slash) break;
        *slash = 0;
        if (rmdir(b.p)) break;
    }
    buf_done(&b);
}

static void remove_unneeded(struct store *s, const struct manifest *m, const struct needed *d)
{
    struct buf path = {0};
    for (size_t i = 0; i <= m->n; i++) {
        const char *hex = i == m->n ? m->config.digest : m->layer[i].digest;
        if (!*hex || is_needed(d, hex)) continue;
        buf_clear(&path);
        blob_path(s->root, hex, &path);
        if (!path.failed) unlink(buf_z(&path));
    }
    buf_done(&path);
}

int store_delete(struct store *s, const char *name, struct lar_err *err)
{
    struct buf path = {0};
    struct manifest m = {0};
    struct arena a = {0};
    struct needed d = {0};
    struct name n;
    int known = 0, left = 0, e = own_name(s, name, &n, &path, err);
    if (e == 0) known = read_manifest(buf_z(&path), &m, &a, NULL) == 0;
    if (e == 0 && unlink(buf_z(&path)))
        e = lar_fail_errno(err, "%s: cannot be removed", buf_z(&path));
    if (e == 0) {
        char *slash = strrchr(path.p, '/');
        *slash = 0;
        disk_sync_folder(path.p);
        *slash = '/';
        left = !known || store_lock(s, 1, 0, NULL) < 0;
        if (!left) {
            remove_empty(buf_z(&path));
            if (all_needs(s, &d, NULL) == 0)
                remove_unneeded(s, &m, &d);
            else
                left = 1;
            needs_done(&d);
            store_unlock(s);
        }
    }
    if (a.chunk) arena_done(&a);
    buf_done(&path);
    return e < 0 ? e : left;
}

static int take_over(struct store *s, const char *from_root, const struct layer *l,
                     struct lar_err *err)
{
    struct buf path = {0};
    char hex[SHA256_HEX + 1];
    uint64_t size = 0, have = 0;
    if (store_blob(s, l->digest, NULL, &have) && have == l->size) return 0;
    blob_path(from_root, l->digest, &path);
    struct blob_source from = {buf_z(&path), 1, NULL};
    int e = path.failed ? lar_fail(err, LAR_ENOMEM, "copy: out of memory")
                        : blob_take(s, &from, hex, &size, err);
    if (e == 0 && strcmp(hex, l->digest) != 0)
        e = lar_fail(err, LAR_EFORMAT, "%s: is not what its name says (its digest is %.12s...)",
                     buf_z(&path), hex);
    buf_done(&path);
    return e;
}

int store_copy(struct store *s, const char *from, const char *to, struct lar_err *err)
{
    struct store_model m;
    struct name n;
    int e = store_find(s, from, &m, err);
    if (e == 0 && !m.digest[0])
        e = lar_fail(err, LAR_EUNSUPPORTED,
                     "%s lies in no store: lar create %s takes it in (FROM %s)", from, to, m.path);
    if (e == 0) e = name_parse(&n, str_of(to), err);
    if (e == 0 && (!n.model[0] || n.digest[0]))
        e = lar_fail(err, LAR_EINVAL, "%s: a name is wanted here, without a digest", to);
    if (e == 0 && (e = store_lock(s, 0, 1, err)) == 0) {
        const char *root = m.place == STORE_OLLAMA ? s->ollama : s->root;
        if (m.manifest.config.digest[0]) e = take_over(s, root, &m.manifest.config, err);
        for (size_t i = 0; e == 0 && i < m.manifest.n; i++)
            e = take_over(s, root, &m.manifest.layer[i], err);
        if (e == 0) e = manifest_put(s, &n, m.manifest_text, err);
        store_unlock(s);
    }
    store_model_done(&m);
    return e;
}

/* ---- gc ------------------------------------------------------------------------------------------------------------------------ */

struct sweep {
    struct needed d;
    struct store_gc *out;
    time_t older;
    int everything; /* a folder of things that nobody can need while nobody writes */
};

static int sweep_file(void *ctx, const char *path, const char *name, int is_folder)
{
    struct sweep *w = ctx;
    struct stat st;
    char hex[SHA256_HEX + 1];
    if (is_folder || lstat(path, &st)) return 0;
    int blob = name_digest(str_of(name), hex) == 0;
    int rest = str_starts(str_of(name), STR("sha256-")) &&
               strlen(name) > 7 + SHA256_HEX; /* -partial and the like */
    if (!w->everything && !(blob && !is_needed(&w->d, hex)) && !(rest && !blob)) return 0;
    if (!w->everything && st.st_mtime > w->older) return 0;
    if (unlink(path) == 0) {
        w->out->files++;
        w->out->bytes += st.st_nlink > 1 ? 0 : (uint64_t)st.st_blocks * 512;
    }
    return 0;
}

static int remove_part(void *ctx, const char *path, const char *name, int is_folder)
{
    (void)ctx, (void)name, (void)is_folder;
    return unlink(path) ? -1 : 0;
}

/* Links of a split model whose blobs are gone. */
static int sweep_parts(void *ctx, const char *path, const char *name, int is_folder)
{
    const struct needed *d = ctx;
    (void)is_folder;
    if (is_needed(d, name)) return 0;
    /* Links to nothing are not seen by a walk that follows them: the folder's own names are few. */
    disk_walk_links(path, remove_part, NULL);
    rmdir(path);
    return 0;
}

int store_gc(struct store *s, int now, struct store_gc *out, struct lar_err *err)
{
    struct sweep w = {.out = out, .older = now ? time(NULL) + YOUNG_S : time(NULL) - YOUNG_S};
    struct buf path = {0};
    struct stat st;
    *out = (struct store_gc){0};
    if (stat(s->root, &st)) return 0; /* nothing was ever written */
    int e = store_lock(s, 1, 0, err);
    if (e < 0) return e;
    e = all_needs(s, &w.d, err);
    if (e == 0) {
        buf_printf(&path, "%s/blobs", s->root);
        disk_walk(buf_z(&path), sweep_file, &w);
        buf_clear(&path);
        buf_printf(&path, "%s/tmp", s->root);
        w.everything = 1;
        disk_walk(buf_z(&path), sweep_file, &w);
        buf_clear(&path);
        buf_printf(&path, "%s/parts", s->root);
        disk_walk(buf_z(&path), sweep_parts, &w.d);
    }
    needs_done(&w.d);
    buf_done(&path);
    store_unlock(s);
    return e;
}

/* ---- verify ---------------------------------------------------------------------------------------------------------------------- */

struct verify {
    struct store *s;
    struct store_verify *v;
    struct needed seen; /* blobs that were read already */
    struct lar_err *err;
    size_t faults;
};

static void fault(struct verify *w, const char *name, const char *what)
{
    w->faults++;
    if (w->v->on_fault) w->v->on_fault(w->v->ctx, name, what);
}

static int seen(const struct verify *w, const char *hex)
{
    for (size_t i = 0; i < w->seen.n; i++)
        if (memcmp(w->seen.hex[i], hex, SHA256_HEX) == 0) return 1;
    return 0;
}

static void wrong_size(struct verify *w, const char *name, const struct layer *l, uint64_t size)
{
    char text[160];
    snprintf(text, sizeof text, "sha256-%.12s... has %llu bytes, not %llu", l->digest,
             (unsigned long long)size, (unsigned long long)l->size);
    fault(w, name, text);
}

static int verify_blob(struct verify *w, const char *name, const struct layer *l)
{
    struct buf path = {0};
    struct lar_err why;
    char hex[SHA256_HEX + 1], text[320];
    uint64_t size = 0;
    int e = seen(w, l->digest) ? 1 : need(&w->seen, l->digest);
    if (e == 1 && store_blob(w->s, l->digest, NULL, &size) && size != l->size) {
        wrong_size(w, name, l, size); /* another model may say otherwise */
    } else if (e == 0) {
        blob_path(w->s->root, l->digest, &path);
        if (w->v->on_file && w->v->on_file(w->v->ctx, buf_z(&path), l->size)) {
            e = lar_fail(w->err, LAR_ECANCEL, "stopped");
        } else if (store_digest(buf_z(&path), hex, &size, NULL, NULL, &why) < 0) {
            fault(w, name, why.msg);
        } else if (size != l->size) {
            wrong_size(w, name, l, size);
        } else if (strcmp(hex, l->digest) != 0) {
            snprintf(text, sizeof text, "sha256-%.12s... was changed: its digest is now %.12s...",
                     l->digest, hex);
            fault(w, name, text);
        }
        w->v->blobs++;
        w->v->bytes += size;
    }
    buf_done(&path);
    return e < 0 ? e : 0;
}

static int verify_one(void *ctx, const struct name *n, const char *path)
{
    struct verify *w = ctx;
    struct manifest m;
    struct arena a;
    struct lar_err why;
    struct buf shown = {0};
    name_show(n, &shown);
    int e = read_manifest(path, &m, &a, &why);
    w->v->models++;
    if (e < 0) {
        fault(w, buf_z(&shown), why.msg);
        e = e == LAR_ENOMEM ? e : 0;
    } else {
        if (m.config.digest[0]) e = verify_blob(w, buf_z(&shown), &m.config);
        for (size_t i = 0; e == 0 && i < m.n; i++) e = verify_blob(w, buf_z(&shown), &m.layer[i]);
    }
    arena_done(&a);
    buf_done(&shown);
    return e;
}

int store_verify(struct store *s, const char *name, struct store_verify *v, struct lar_err *err)
{
    struct verify w = {.s = s, .v = v, .err = err, .seen = {.err = err}};
    struct buf path = {0};
    struct name n;
    int e = name ? own_name(s, name, &n, &path, err) : manifest_walk(s->root, verify_one, &w);
    if (name && e == 0) e = verify_one(&w, &n, buf_z(&path));
    needs_done(&w.seen);
    buf_done(&path);
    return e < 0 ? e : (int)w.faults;
}
