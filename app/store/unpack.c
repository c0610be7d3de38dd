/* SPDX-License-Identifier: Apache-2.0
 * store/unpack.c: reading what pack.h describes, as a stream and in any order. Blobs go into the store as they come, under the digest that they turn
 * out to have, and under no other; the manifest is put in place last. What an archive holds beyond its model is left to lar gc. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/err.h"
#include "store/impl.h"
#include "store/pack.h"
#include "store/pull.h"
#include "store/tar.h"

enum { PIECE = 1 << 20, INDEX_MAX = 1 << 20 };

struct unpacking {
    struct store *s;
    const struct store_packing *opt;
    const char *path;
    int fd;
    struct tar tar;
    char *piece;
    struct buf index, manifest;  /* texts, empty until they came */
    char digest[SHA256_HEX + 1]; /* of the manifest, by the index; "" until it came */
    struct arena a;
    struct manifest m;
    uint64_t done;
    struct lar_err *err;
};

static long read_fd(void *ctx, void *p, size_t n)
{
    const struct unpacking *u = ctx;
    for (;;) {
        ssize_t k = read(u->fd, p, n);
        if (k >= 0 || errno != EINTR) return (long)k;
    }
}

static int fail_in(struct unpacking *u, int e)
{
    struct lar_err why = *u->err;
    return lar_fail(u->err, e, "%.80s: %s", strcmp(u->path, "-") ? u->path : "standard input",
                    why.msg);
}

static int whole(struct unpacking *u, const struct tar_entry *e, size_t max, struct buf *out)
{
    if (e->size > max)
        return lar_fail(u->err, LAR_ELIMIT, "%.80s has more than %zu bytes", e->name, max);
    buf_clear(out);
    while (u->tar.left) {
        long k = tar_read(&u->tar, u->piece, PIECE, u->err);
        if (k < 0) return (int)k;
        buf_add(out, u->piece, (size_t)k);
    }
    return out->failed ? lar_fail(u->err, LAR_ENOMEM, "unpack: out of memory") : 0;
}

static int read_index(struct unpacking *u, const struct tar_entry *e)
{
    int rc = whole(u, e, INDEX_MAX, &u->index);
    const struct json *v = rc == 0 ? json_parse(&u->a, buf_view(&u->index), u->err) : NULL;
    const struct json *list = json_get(v, "manifests");
    if (rc < 0 || !v) return rc < 0 ? rc : LAR_EFORMAT;
    if (!list || list->n != 1)
        return lar_fail(u->err, LAR_EUNSUPPORTED, "index.json names %zu models, not one",
                        list ? list->n : 0);
    if (name_digest(json_str(json_get(list->child, "digest"), STR("")), u->digest) < 0)
        return lar_fail(u->err, LAR_EFORMAT, "index.json names no digest");
    return 0;
}

static int take_manifest(struct unpacking *u)
{
    char hex[SHA256_HEX + 1];
    sha256_of(buf_z(&u->manifest), u->manifest.n, hex);
    if (strcmp(hex, u->digest) != 0)
        return lar_fail(u->err, LAR_EFORMAT,
                        "the manifest's digest is %.12s..., not %.12s...: it was changed", hex,
                        u->digest);
    int e = manifest_parse(&u->m, &u->a, buf_view(&u->manifest), u->err);
    return e == 0 ? pull_room(u->s, &u->m, u->err) : e;
}

static int told(struct unpacking *u, long k)
{
    uint64_t total = manifest_bytes(&u->m);
    u->done += (uint64_t)k;
    return total && u->opt->on_progress &&
                   u->opt->on_progress(u->opt->ctx, "unpacking", u->done < total ? u->done : total,
                                       total)
               ? lar_fail(u->err, LAR_ECANCEL, "stopped")
               : 0;
}

/* Hashed only, when the store has it. */
static int take_blob(struct unpacking *u, const struct tar_entry *e, const char *want)
{
    struct store_blob_writer *w = NULL;
    struct sha256 sha;
    char hex[SHA256_HEX + 1];
    uint64_t have = 0;
    int known = store_blob(u->s, want, NULL, &have) && have == e->size;
    int rc = known ? 0 : store_blob_begin(u->s, &w, u->err);
    sha256_init(&sha);
    while (rc == 0 && u->tar.left) {
        long k = tar_read(&u->tar, u->piece, PIECE, u->err);
        if (k < 0) rc = (int)k;
        if (rc == 0 && known) sha256_add(&sha, u->piece, (size_t)k);
        if (rc == 0 && !known) rc = store_blob_write(w, u->piece, (size_t)k, u->err);
        if (rc == 0) rc = told(u, k);
    }
    if (rc == 0 && known) {
        sha256_end(&sha, hex);
        if (strcmp(hex, want) != 0)
            rc = lar_fail(u->err, LAR_EFORMAT, "the digest of what came is %.12s..., not %.12s...",
                          hex, want);
    } else if (rc == 0) {
        rc = store_blob_end(w, want, hex, u->err);
    }
    store_blob_close(w);
    return rc;
}

static int one(struct unpacking *u, const struct tar_entry *e)
{
    static const char blobs[] = "blobs/sha256/";
    const char *name = strncmp(e->name, "./", 2) ? e->name : e->name + 2;
    struct str hex =
        str_from(str_of(name), strlen(name) < sizeof blobs - 1 ? strlen(name) : sizeof blobs - 1);
    if (strcmp(name, "index.json") == 0) return read_index(u, e);
    if (strncmp(name, blobs, sizeof blobs - 1) != 0) return 0;
    if (!name_is_digest(hex))
        return lar_fail(u->err, LAR_EFORMAT, "%.80s: is no digest's name", e->name);
    if (strcmp(hex.p, u->digest) != 0) return take_blob(u, e, hex.p);
    int rc = whole(u, e, MANIFEST_BYTES_MAX, &u->manifest);
    return rc == 0 ? take_manifest(u) : rc;
}

/* An archive whose index stood behind its manifest: that lies among the blobs now. */
static int find_manifest(struct unpacking *u)
{
    struct buf path = {0};
    if (!u->digest[0])
        return lar_fail(u->err, LAR_EFORMAT, "holds no model: index.json is missing");
    if (u->manifest.n) return 0;
    int e =
        store_blob(u->s, u->digest, &path, NULL)
            ? disk_read(buf_z(&path), MANIFEST_BYTES_MAX, &u->manifest, u->err)
            : lar_fail(u->err, LAR_EFORMAT, "its manifest is missing: it was cut, or is not whole");
    buf_done(&path);
    return e == 0 ? take_manifest(u) : e;
}

static int has_all(struct unpacking *u)
{
    for (size_t i = 0; i <= u->m.n; i++) {
        const struct layer *l = i < u->m.n ? &u->m.layer[i] : &u->m.config;
        uint64_t size = 0;
        if (!l->digest[0] || (store_blob(u->s, l->digest, NULL, &size) && size == l->size))
            continue;
        return lar_fail(u->err, LAR_EFORMAT, "a part of the model is missing (sha256:%.12s...)",
                        l->digest);
    }
    return 0;
}

/* What the caller says, else what the archive says. */
static int name_it(struct unpacking *u, const char *asked, struct name *n)
{
    const struct json *v = json_parse(&u->a, buf_view(&u->index), NULL);
    struct str said = json_str(json_get(json_get(json_get(v, "manifests")->child, "annotations"),
                                        "org.opencontainers.image.ref.name"),
                               STR(""));
    if (!asked && !said.n)
        return lar_fail(u->err, LAR_EINVAL,
                        "says no name: say which the model shall have behind the file's name");
    int e = name_parse(n, asked ? str_of(asked) : said, u->err);
    if (e == 0 && (!n->model[0] || n->digest[0]))
        e = lar_fail(u->err, LAR_EINVAL, "a name is wanted here, without a digest");
    return e;
}

int store_unpack(struct store *s, const char *path, int in, const char *name,
                 const struct store_packing *opt, struct buf *shown, struct lar_err *err)
{
    static const struct store_packing none;
    struct unpacking u = {.s = s, .opt = opt ? opt : &none, .path = path, .fd = in, .err = err};
    struct tar_entry entry;
    struct name n;
    int e = 0, from_file = strcmp(path, "-") != 0, more = 1;
    if (from_file && (u.fd = open(path, O_RDONLY | O_CLOEXEC)) < 0)
        return lar_fail_errno(err, "%s", path);
    arena_init(&u.a, 64 << 20);
    u.tar = (struct tar){.read = read_fd, .ctx = &u};
    u.piece = mem_alloc(PIECE);
    if (!u.piece) e = lar_fail(err, LAR_ENOMEM, "unpack: out of memory");
    if (e == 0 && name) e = name_parse(&n, str_of(name), err); /* before anything is read */
    if (e == 0 && (e = store_lock(s, 0, 1, err)) == 0) {
        while (e == 0 && (more = tar_next(&u.tar, &entry, err)) > 0) e = one(&u, &entry);
        if (e == 0) e = more;
        if (e == 0) e = find_manifest(&u);
        if (e == 0) e = has_all(&u);
        if (e == 0) e = name_it(&u, name, &n);
        if (e == 0) e = parts_link(s, &u.m, err);
        if (e == 0) e = manifest_put(s, &n, buf_view(&u.manifest), err);
        if (e < 0) fail_in(&u, e);
        store_unlock(s);
    }
    if (e == 0 && shown) name_show(&n, shown);
    if (from_file) close(u.fd);
    mem_free(u.piece);
    buf_done(&u.index);
    buf_done(&u.manifest);
    arena_done(&u.a);
    return e;
}
