/* SPDX-License-Identifier: Apache-2.0
 * store/pack.c: writing what pack.h describes. Reading is unpack.c. */
#include "store/pack.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/err.h"
#include "store/impl.h"
#include "store/tar.h"

enum { PIECE = 1 << 20 };

struct packing {
    const struct store_packing *opt;
    const struct store_model *m;
    const char *root; /* of its blobs */
    const char *path; /* of what is written, for messages */
    char *piece;
    int fd;
    uint64_t done, total;
    struct lar_err *err;
};

static int put(struct packing *p, const void *bytes, size_t n)
{
    return disk_write(p->fd, bytes, n, p->path, p->err);
}

static int put_end(struct packing *p, uint64_t size)
{
    static const char zeros[TAR_BLOCK];
    return put(p, zeros, (size_t)((TAR_BLOCK - size % TAR_BLOCK) % TAR_BLOCK));
}

static int put_header(struct packing *p, const char *name, uint64_t size)
{
    unsigned char block[TAR_BLOCK];
    tar_header(block, name, size);
    return put(p, block, sizeof block);
}

static int put_text(struct packing *p, const char *name, struct str text)
{
    int e = put_header(p, name, text.n);
    if (e == 0) e = put(p, text.p, text.n);
    return e == 0 ? put_end(p, text.n) : e;
}

static int pour(struct packing *p, const struct layer *l, const char *path)
{
    struct sha256 sha;
    char hex[SHA256_HEX + 1];
    uint64_t left = l->size;
    int e = 0, fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return lar_fail_errno(p->err, "%s", path);
    sha256_init(&sha);
    while (e == 0 && left) {
        ssize_t k = read(fd, p->piece, left < PIECE ? (size_t)left : PIECE);
        if (k < 0 && errno == EINTR) continue;
        if (k <= 0) {
            e = k ? lar_fail_errno(p->err, "%s: cannot be read", path)
                  : lar_fail(p->err, LAR_EFORMAT, "%s: has not its %llu bytes", path,
                             (unsigned long long)l->size);
            break;
        }
        sha256_add(&sha, p->piece, (size_t)k);
        e = put(p, p->piece, (size_t)k);
        left -= (uint64_t)k;
        p->done += (uint64_t)k;
        if (e == 0 && p->opt->on_progress &&
            p->opt->on_progress(p->opt->ctx, "packing", p->done, p->total))
            e = lar_fail(p->err, LAR_ECANCEL, "stopped");
    }
    sha256_end(&sha, hex);
    close(fd);
    if (e == 0 && strcmp(hex, l->digest) != 0)
        e = lar_fail(p->err, LAR_EFORMAT,
                     "%s: was changed: its digest is now %.12s... (lar verify looks at all)", path,
                     hex);
    return e;
}

static int put_layer(struct packing *p, const struct layer *l)
{
    struct buf name = {0}, path = {0};
    buf_printf(&name, "blobs/sha256/%s", l->digest);
    blob_path(p->root, l->digest, &path);
    int e = name.failed || path.failed ? lar_fail(p->err, LAR_ENOMEM, "pack: out of memory")
                                       : put_header(p, buf_z(&name), l->size);
    if (e == 0) e = pour(p, l, buf_z(&path));
    if (e == 0) e = put_end(p, l->size);
    buf_done(&name);
    buf_done(&path);
    return e;
}

static int put_layers(struct packing *p)
{
    const struct manifest *f = &p->m->manifest;
    int e = f->config.digest[0] ? put_layer(p, &f->config) : 0;
    for (size_t i = 0; e == 0 && i < f->n; i++) {
        int seen = strcmp(f->layer[i].digest, f->config.digest) == 0;
        for (size_t j = 0; j < i && !seen; j++)
            seen = strcmp(f->layer[i].digest, f->layer[j].digest) == 0;
        if (!seen) e = put_layer(p, &f->layer[i]);
    }
    return e;
}

static int put_head(struct packing *p)
{
    struct buf b = {0}, name = {0};
    struct arena a;
    arena_init(&a, 64 << 20);
    const struct json *v = json_parse(&a, p->m->manifest_text, NULL);
    buf_puts(&b, "{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.index.v1+json\","
                 "\"manifests\":[{\"mediaType\":");
    buf_json_str(&b, json_str(json_get(v, "mediaType"), STR(MANIFEST_TYPE)));
    buf_printf(
        &b,
        ",\"digest\":\"sha256:%s\",\"size\":%zu,\"annotations\":{\"org.opencontainers.image.ref.name\":",
        p->m->digest, p->m->manifest_text.n);
    buf_json_str(&b, str_of(p->m->name));
    buf_puts(&b, "}}]}");
    buf_printf(&name, "blobs/sha256/%s", p->m->digest);
    int e = b.failed || name.failed
                ? lar_fail(p->err, LAR_ENOMEM, "pack: out of memory")
                : put_text(p, "oci-layout", STR("{\"imageLayoutVersion\":\"1.0.0\"}"));
    if (e == 0) e = put_text(p, "index.json", buf_view(&b));
    if (e == 0) e = put_text(p, buf_z(&name), p->m->manifest_text);
    buf_done(&b);
    buf_done(&name);
    arena_done(&a);
    return e;
}

static int put_all(struct packing *p)
{
    static const char end[2 * TAR_BLOCK];
    p->piece = mem_alloc(PIECE);
    int e = p->piece ? put_head(p) : lar_fail(p->err, LAR_ENOMEM, "pack: out of memory");
    if (e == 0) e = put_layers(p);
    if (e == 0) e = put(p, end, sizeof end);
    mem_free(p->piece);
    return e;
}

static int to_file(struct packing *p, const char *path)
{
    struct buf temp = {0}, whole = {0};
    p->fd = disk_beside(path, &temp, &whole, p->err);
    int e = p->fd < 0 ? p->fd : put_all(p);
    if (p->fd >= 0 && e == 0)
        e = disk_commit(p->fd, buf_z(&temp), buf_z(&whole), p->err);
    else if (p->fd >= 0)
        close(p->fd);
    if (e < 0 && p->fd >= 0) unlink(buf_z(&temp));
    buf_done(&temp);
    buf_done(&whole);
    return e;
}

int store_pack(struct store *s, const char *name, const char *path, int out,
               const struct store_packing *opt, struct lar_err *err)
{
    static const struct store_packing none;
    struct store_model m;
    int e = store_lock(s, 0, 1, err); /* its blobs stay while we read them */
    if (e < 0) return e;
    e = store_find(s, name, &m, err);
    if (e == 0 && !m.digest[0])
        e = lar_fail(err, LAR_EUNSUPPORTED,
                     "%s lies in no store: lar create makes a model of it (FROM %s)", name, m.path);
    if (e == 0) {
        struct packing p = {.opt = opt ? opt : &none,
                            .m = &m,
                            .fd = out,
                            .err = err,
                            .path = path,
                            .total = m.bytes,
                            .root = m.place == STORE_OLLAMA ? s->ollama : s->root};
        e = strcmp(path, "-") == 0 ? put_all(&p) : to_file(&p, path);
    }
    store_model_done(&m);
    store_unlock(s);
    return e;
}
