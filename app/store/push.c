/* SPDX-License-Identifier: Apache-2.0
 * store/push.c: from the store to a registry (OCI distribution-spec 1.1, "Pushing blobs in chunks"): what it has not yet of the blobs, piece by
 * piece, then the manifest, to the byte, which is what gives the name: whoever pulls sees the old model or the new one. A piece that a broken
 * connection spoilt is asked about and sent again from where the registry stands.
 *
 * Ollama's own registry leads each piece aside to its storage (ollama/ollama, server/upload.go): X-Redirect-Uploads asks for that, the piece goes by
 * PUT to where Location says, the next one to where Docker-Upload-Location says, and in the end the MD5s of the pieces are told. */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/err.h"
#include "net/again.h"
#include "net/crypto.h"
#include "store/impl.h"
#include "store/registry.h"

enum { PIECE_BYTES = 32 << 20, TRIES = 5 };

struct push {
    struct store *s;
    struct registry r;
    const struct store_push *opt;
    const struct store_model *m;
    const char *root; /* where its blobs lie */
    char what[64];
    /* of the blob that is being sent */
    const struct layer *layer;
    int fd;
    int64_t again_s; /* Retry-After of the last piece */
    uint64_t at;     /* that the registry has */
    struct buf url;  /* where the next piece goes */
    struct buf sums; /* MD5 of each piece, one behind the other, for Ollama's registry */
    struct lar_err *err;
};

static int tell(const struct push *p, const char *what, uint64_t done, uint64_t total)
{
    return p->opt->on_progress && p->opt->on_progress(p->opt->ctx, what, done, total)
               ? lar_fail(p->err, LAR_ECANCEL, "stopped")
               : 0;
}

static int on_sent(void *ctx, uint64_t sent)
{
    const struct push *p = ctx;
    return p->opt->on_progress &&
           p->opt->on_progress(p->opt->ctx, p->what, p->at + sent, p->layer->size);
}

static int stopped(void *ctx) { return on_sent(ctx, 0); }

static int waiting(void *ctx)
{
    const struct push *p = ctx;
    return p->opt->on_progress &&
           p->opt->on_progress(p->opt->ctx, "the registry asks for patience", 0, 0);
}

/* The next address, from the Location of an answer. */
static int take_location(struct push *p, const struct client_reply *reply)
{
    struct buf next = {0};
    struct buf sent = reply->next.n ? reply->next : reply->upload;
    int e = sent.n ? client_resolve(buf_z(&reply->url), buf_z(&sent), &next, p->err)
                   : lar_fail(p->err, LAR_EFORMAT, "%.120s: takes an upload but does not say where",
                              buf_z(&reply->url));
    if (e == 0) {
        buf_clear(&p->url);
        buf_str(&p->url, buf_view(&next));
    }
    buf_done(&next);
    return e;
}

static int refused(struct push *p, const struct client_reply *reply)
{
    char what[224];
    snprintf(what, sizeof what, "sending %s%.12s of %.60s to %.120s", p->layer ? "blob " : "",
             p->layer ? p->layer->digest : "the manifest", p->m->name, buf_z(&p->r.base));
    if (reply->status == 401 || reply->status == 403) return registry_stranger(&p->r, what, p->err);
    return registry_refused(reply, what, p->err);
}

/* 1 when the registry has the blob. */
static int has(struct push *p)
{
    struct client_reply reply;
    struct client_call c = {.method = "HEAD"};
    struct buf path = {0};
    buf_printf(&path, "/blobs/sha256:%s", p->layer->digest);
    int e = registry_call(&p->r, &c, buf_z(&path), &reply, p->err);
    if (e == 0) e = reply.status == 200 ? 1 : reply.status == 404 ? 0 : refused(p, &reply);
    client_done(&reply);
    buf_done(&path);
    return e;
}

static int begin(struct push *p)
{
    struct client_reply reply;
    struct client_call c = {.method = "POST"};
    int e = registry_call(&p->r, &c, "/blobs/uploads/", &reply, p->err);
    if (e == 0) e = reply.status == 202 ? take_location(p, &reply) : refused(p, &reply);
    p->at = 0;
    buf_clear(&p->sums);
    client_done(&reply);
    return e;
}

/* Where the registry stands, when a piece did not arrive: what was sent in vain is sent again. */
static int ask_where(struct push *p)
{
    struct client_reply reply;
    struct client_call c = {0};
    int e = registry_call(&p->r, &c, buf_z(&p->url), &reply, p->err);
    if (e == 0 && reply.status == 204) {
        unsigned long long last = 0;
        int got = sscanf(buf_z(&reply.range), "0-%llu", &last) == 1;
        /* "0-0" is one byte or none: registries differ, so one byte is never believed in. */
        p->at = got && last && last < p->layer->size ? last + 1 : 0;
        if (reply.upload.n) e = take_location(p, &reply);
    } else if (e == 0) {
        e = begin(p); /* it is gone: from the beginning */
    }
    client_done(&reply);
    return e;
}

/* To the storage behind Ollama's registry, whose address is signed: nothing of ours that authorises goes along. */
static int send_aside(struct push *p, const char *to, uint64_t n)
{
    static const char *const header[] = {"Content-Type: application/octet-stream", NULL};
    struct client_reply reply;
    struct client_call c = {.method = "PUT",
                            .url = to,
                            .header = header,
                            .fd = p->fd,
                            .fd_from = p->at,
                            .fd_bytes = n,
                            .rate = p->opt->rate,
                            .on_sent = on_sent,
                            .ctx = p};
    int e = client_call(&c, &reply, p->err);
    if (e == 0 && (reply.status < 200 || reply.status > 299)) {
        p->again_s = reply.again_s;
        e = refused(p, &reply);
        if (again_status(reply.status) && p->again_s <= AGAIN_MOST_S) e = 1;
    } else if (e == LAR_EIO) {
        e = 1;
    }
    client_done(&reply);
    return e;
}

static int remember_sum(struct push *p, uint64_t n)
{
    unsigned char sum[CRYPTO_MD5];
    int e = crypto_md5_file(p->fd, p->at, n, sum, p->err);
    if (e == 0) buf_add(&p->sums, sum, sizeof sum);
    return e == 0 && p->sums.failed ? lar_fail(p->err, LAR_ENOMEM, "push: out of memory") : e;
}

/* One piece. 1: it did not arrive, and why is in err. */
static int send_piece(struct push *p)
{
    uint64_t left = p->layer->size - p->at, n = left < PIECE_BYTES ? left : PIECE_BYTES;
    char range[80];
    const char *header[] = {"Content-Type: application/octet-stream", range,
                            p->r.ollama ? "X-Redirect-Uploads: 1" : NULL, NULL};
    struct client_reply reply;
    struct client_call c = {.method = "PATCH",
                            .stay = p->r.ollama,
                            .expect = p->r.ollama,
                            .header = header,
                            .fd = p->fd,
                            .fd_from = p->at,
                            .fd_bytes = n,
                            .rate = p->opt->rate,
                            .on_sent = on_sent,
                            .ctx = p};
    snprintf(range, sizeof range, "Content-Range: %llu-%llu", (unsigned long long)p->at,
             (unsigned long long)(p->at + n - 1));
    int e = registry_call(&p->r, &c, buf_z(&p->url), &reply, p->err);
    int aside = e == 0 && p->r.ollama && reply.status == 307 && reply.location.n;
    if (aside && (e = send_aside(p, buf_z(&reply.location), n)) != 0) {
        aside = 0; /* the same piece is tried again, or it is an error */
    } else if (e == 0 && (aside || reply.status == 202)) {
        if (p->r.ollama) e = remember_sum(p, n);
        if (e == 0) e = take_location(p, &reply);
        if (e == 0) p->at += n;
    } else if (e == 0) {
        int again = reply.status == 416 || reply.status == 408 || reply.status == 429 ||
                    reply.status >= 500;
        e = refused(p, &reply);
        p->again_s = reply.again_s;
        if (again && p->again_s <= AGAIN_MOST_S) e = 1;
    } else if (e == LAR_EIO) {
        e = 1;
    }
    client_done(&reply);
    return e;
}

/* As storage of S3's kind names what was sent in pieces: the MD5 of their MD5s, and how many. */
static int add_etag(struct push *p, struct buf *url)
{
    unsigned char sum[CRYPTO_MD5];
    if (!p->r.ollama || !p->sums.n) return 0;
    int e = crypto_md5(p->sums.p, p->sums.n, sum, p->err);
    buf_puts(url, "&etag=");
    for (int i = 0; i < CRYPTO_MD5; i++) buf_printf(url, "%02x", sum[i]);
    buf_printf(url, "-%zu", p->sums.n / CRYPTO_MD5);
    return e;
}

/* The registry compares the digest, and takes the blob. */
static int finish(struct push *p)
{
    struct client_reply reply;
    struct client_call c = {.method = "PUT"};
    struct buf url = {0};
    buf_printf(&url, "%s%cdigest=sha256%%3A%s", buf_z(&p->url),
               strchr(buf_z(&p->url), '?') ? '&' : '?', p->layer->digest);
    int e = add_etag(p, &url);
    if (e == 0) e = registry_call(&p->r, &c, buf_z(&url), &reply, p->err);
    if (e == 0 && reply.status != 201 && reply.status != 204) e = refused(p, &reply);
    client_done(&reply);
    buf_done(&url);
    return e;
}

static int send_blob(struct push *p)
{
    int tries = 0, e = begin(p);
    uint64_t best = 0;
    while (e == 0 && p->at < p->layer->size) {
        e = send_piece(p);
        if (p->at > best) best = p->at, tries = 0;
        if (e != 1) continue;
        if (++tries > TRIES) return LAR_EIO;
        if (again_wait(again_pause(p->again_s, tries), stopped, p))
            return lar_fail(p->err, LAR_ECANCEL, "stopped");
        p->again_s = 0;
        e = 0;
        if (!p->r.ollama && ask_where(p) == LAR_ECANCEL) e = LAR_ECANCEL;
    }
    return e == 0 ? finish(p) : e;
}

static int push_blob(struct push *p, const struct layer *l)
{
    struct buf path = {0};
    p->layer = l;
    snprintf(p->what, sizeof p->what, "pushing %.12s", l->digest);
    int e = has(p);
    if (e == 0) {
        blob_path(p->root, l->digest, &path);
        p->fd = path.failed ? -1 : open(buf_z(&path), O_RDONLY | O_CLOEXEC);
        e = p->fd < 0 ? lar_fail_errno(p->err, "%s", buf_z(&path)) : send_blob(p);
        if (p->fd >= 0) close(p->fd);
    }
    if (e >= 0) e = tell(p, p->what, l->size, l->size ? l->size : 1);
    buf_done(&path);
    p->layer = NULL;
    return e < 0 ? e : 0;
}

static int put_manifest(struct push *p, const struct name *n)
{
    struct arena a;
    struct client_reply reply = {0};
    struct buf path = {0}, type = {0};
    char hex[SHA256_HEX + 1];
    arena_init(&a, 64 << 20);
    const struct json *v = json_parse(&a, p->m->manifest_text, NULL);
    buf_puts(&type, "Content-Type: ");
    buf_str(&type, json_str(json_get(v, "mediaType"), STR(MANIFEST_TYPE)));
    const char *header[] = {buf_z(&type), NULL};
    struct client_call c = {.method = "PUT",
                            .header = header,
                            .body = p->m->manifest_text.p,
                            .body_n = p->m->manifest_text.n};
    buf_printf(&path, "/manifests/%s", n->tag);
    int e = tell(p, "writing manifest", 0, 0);
    if (e == 0) e = registry_call(&p->r, &c, buf_z(&path), &reply, p->err);
    if (e == 0 && reply.status != 201 && reply.status != 200) e = refused(p, &reply);
    if (e == 0 && reply.digest.n &&
        (name_digest(buf_view(&reply.digest), hex) < 0 || strcmp(hex, p->m->digest) != 0))
        e = lar_fail(p->err, LAR_EFORMAT,
                     "%.60s: the registry took a manifest with the digest %.19s..., not %.12s...",
                     p->m->name, buf_z(&reply.digest), p->m->digest);
    client_done(&reply);
    buf_done(&path);
    buf_done(&type);
    arena_done(&a);
    return e;
}

static int push_all(struct push *p, const struct name *n)
{
    const struct manifest *f = &p->m->manifest;
    int e = registry_open(&p->r, n, p->err);
    p->r.on_wait = waiting;
    p->r.ctx = p;
    if (e == 0 && f->config.digest[0]) e = push_blob(p, &f->config);
    for (size_t i = 0; e == 0 && i < f->n; i++) {
        int seen = strcmp(f->layer[i].digest, f->config.digest) == 0;
        for (size_t j = 0; j < i && !seen; j++)
            seen = strcmp(f->layer[i].digest, f->layer[j].digest) == 0;
        if (!seen) e = push_blob(p, &f->layer[i]);
    }
    if (e == 0) e = put_manifest(p, n);
    registry_done(&p->r);
    buf_done(&p->url);
    buf_done(&p->sums);
    return e;
}

int store_push(struct store *s, const char *name, const char *as, const struct store_push *opt,
               struct lar_err *err)
{
    static const struct store_push none;
    struct store_model m;
    struct name n;
    int e = name_parse(&n, str_of(as ? as : name), err);
    if (e < 0) return e;
    if (!n.model[0] || n.digest[0])
        return lar_fail(err, LAR_EINVAL, "%s: a name is wanted here, without a digest",
                        as ? as : name);
    if (strcmp(n.host, "hf.co") == 0)
        return lar_fail(err, LAR_EUNSUPPORTED,
                        "%s: Hugging Face is no registry that takes models so", as ? as : name);
    if ((e = store_lock(s, 0, 1, err)) < 0) return e; /* its blobs stay while we send them */
    e = store_find(s, name, &m, err);
    if (e == 0 && !m.digest[0])
        e = lar_fail(err, LAR_EUNSUPPORTED,
                     "%s lies in no store: lar create makes a model of it (FROM %s)", name, m.path);
    if (e == 0) {
        struct push p = {.s = s,
                         .opt = opt ? opt : &none,
                         .m = &m,
                         .err = err,
                         .root = m.place == STORE_OLLAMA ? s->ollama : s->root};
        e = push_all(&p, &n);
    }
    store_model_done(&m);
    store_unlock(s);
    return e;
}
