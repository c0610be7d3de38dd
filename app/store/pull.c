/* SPDX-License-Identifier: Apache-2.0
 * store/pull.c: from a registry into the store: the manifest, then what it names, then the name. A blob comes into blobs/sha256-HEX-partial, which
 * one process at a time holds by a lock of its own, and becomes a blob when its digest is right. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/err.h"
#include "net/fetch.h"
#include "store/pull.h"

static const uint64_t room_kept = 64 << 20;

/* ---- one blob ---------------------------------------------------------------------------------------------------------------- */

struct told {
    const struct store_pull *opt;
    char what[64];
};

static int on_progress(void *ctx, uint64_t done, uint64_t total)
{
    const struct told *t = ctx;
    return t->opt->on_progress ? t->opt->on_progress(t->opt->ctx, t->what, done, total) : 0;
}

int pull_tell(const struct store_pull *opt, const char *what, struct lar_err *err)
{
    return opt->on_progress && opt->on_progress(opt->ctx, what, 0, 0)
               ? lar_fail(err, LAR_ECANCEL, "stopped")
               : 0;
}

/* The partial file, ours alone: who finds it held waits, for then the blob comes anyway. */
static int hold_partial(const struct store_pull *opt, const char *path, struct lar_err *err)
{
    struct stat a, b;
    for (;;) {
        int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644), told = 0;
        if (fd < 0) return lar_fail_errno(err, "%s: cannot be made", path);
        while (flock(fd, LOCK_EX | LOCK_NB)) {
            if (errno != EWOULDBLOCK && errno != EINTR) {
                close(fd);
                return lar_fail_errno(err, "%s: cannot be locked", path);
            }
            if (pull_tell(opt, told++ ? "waiting" : "another process is pulling the same; waiting",
                          err) < 0) {
                close(fd);
                return LAR_ECANCEL;
            }
            usleep(100000);
        }
        /* The other may have finished, and renamed it away. */
        if (fstat(fd, &a) == 0 && stat(path, &b) == 0 && a.st_ino == b.st_ino &&
            a.st_dev == b.st_dev)
            return fd;
        close(fd);
    }
}

static int fetch_to(const struct pull_blob *b, const struct store_pull *opt, int fd,
                    const char *state, struct lar_err *err)
{
    struct told t = {.opt = opt};
    char hex[SHA256_HEX + 1];
    struct fetch f = {.url = b->url,
                      .authorization = b->authorization,
                      .fd = fd,
                      .state = state,
                      .total = b->size,
                      .connections = opt->connections,
                      .rate = opt->rate,
                      .renew = b->renew,
                      .renew_ctx = b->ctx,
                      .on_progress = on_progress,
                      .ctx = &t};
    struct stat st;
    snprintf(t.what, sizeof t.what, "pulling %.12s", b->digest);
    for (int again = 0;; again++) {
        int resumed = stat(state, &st) == 0;
        int e = b->size ? fetch_file(&f, hex, err) : (sha256_of("", 0, hex), 0);
        if (e < 0 || strcmp(hex, b->digest) == 0) return e;
        unlink(state);
        if (ftruncate(fd, 0))
            return lar_fail_errno(err, "sha256-%.12s...: cannot be begun again", b->digest);
        /* What an earlier pull left may have been damaged by a crash of the machine: once more from the beginning. */
        if (!resumed || again)
            return lar_fail(
                err, LAR_EFORMAT,
                "%.120s: what came has the digest %.12s..., not %.12s...; nothing of it is kept",
                b->url, hex, b->digest);
    }
}

int pull_blob(struct store *s, const struct pull_blob *b, const struct store_pull *opt,
              struct lar_err *err)
{
    struct buf final = {0}, partial = {0}, state = {0}, folder = {0};
    uint64_t have = 0;
    int fd = -1, e = 0;
    blob_path(s->root, b->digest, &final);
    buf_printf(&partial, "%s-partial", buf_z(&final));
    buf_printf(&state, "%s-state", buf_z(&partial));
    buf_printf(&folder, "%s/blobs", s->root);
    if (final.failed || partial.failed || state.failed || folder.failed)
        e = lar_fail(err, LAR_ENOMEM, "pull: out of memory");
    if (e == 0) e = disk_folders(buf_z(&folder), err);
    if (e == 0) e = fd = hold_partial(opt, buf_z(&partial), err);
    if (fd >= 0 && store_blob(s, b->digest, NULL, &have) && have == b->size) {
        unlink(buf_z(&partial)); /* the one we waited for brought it */
        close(fd);
        e = 0;
    } else if (fd >= 0) {
        e = fetch_to(b, opt, fd, buf_z(&state), err);
        /* The lock outlives disk_commit's close, so that who waits for it finds the file renamed, and does not write into the blob. */
        int held = fcntl(fd, F_DUPFD_CLOEXEC, 0);
        if (e == 0)
            e = disk_commit(fd, buf_z(&partial), buf_z(&final), err);
        else
            close(fd);
        if (held >= 0) close(held);
    }
    buf_done(&final);
    buf_done(&partial);
    buf_done(&state);
    buf_done(&folder);
    return e;
}

/* ---- room ---------------------------------------------------------------------------------------------------------------------- */

/* What is missing of a layer: less what an earlier pull got. */
static uint64_t missing(const struct store *s, const struct layer *l)
{
    struct buf path = {0};
    struct stat st;
    uint64_t size = 0, got = 0;
    if (store_blob(s, l->digest, NULL, &size) && size == l->size) return 0;
    blob_path(s->root, l->digest, &path);
    buf_puts(&path, "-partial");
    if (!path.failed && stat(buf_z(&path), &st) == 0) got = (uint64_t)st.st_blocks * 512;
    buf_done(&path);
    return got < l->size ? l->size - got : 0;
}

/* "3.2 MB" */
static const char *amount(char text[24], uint64_t n)
{
    static const char *const unit[] = {"bytes", "KB", "MB", "GB", "TB"};
    double v = (double)n;
    int u = 0;
    for (; v >= 1000 && u < 4; u++) v /= 1000;
    snprintf(text, 24, "%.*f %s", u && v < 100 ? 1 : 0, v, unit[u]);
    return text;
}

int pull_room(struct store *s, const struct manifest *m, struct lar_err *err)
{
    struct statvfs fs;
    char come[24], room[24], kept[24];
    uint64_t need = m->config.digest[0] ? missing(s, &m->config) : 0;
    for (size_t i = 0; i < m->n; i++)
        if (__builtin_add_overflow(need, missing(s, &m->layer[i]), &need)) need = UINT64_MAX;
    int e = disk_folders(s->root, err);
    if (e < 0 || !need) return e;
    if (statvfs(s->root, &fs))
        return lar_fail_errno(err, "%s: its free space is not known", s->root);
    uint64_t free_bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
    if (need <= free_bytes && free_bytes - need >= room_kept) return 0;
    return lar_fail(
        err, LAR_ENOMEM,
        "%s: %s are to come, and %s are free there, of which %s are left alone (LAR_MODELS names another place)",
        s->root, amount(come, need), amount(room, free_bytes), amount(kept, room_kept));
}

/* ---- from a registry -------------------------------------------------------------------------------------------------------------- */

struct renewal {
    struct registry *r;
    char path[SHA256_HEX + 32];
};

static int on_wait(void *ctx) { return pull_tell(ctx, "the registry asks for patience", NULL) < 0; }

/* A token lives some minutes: the registry is asked about the blob, and so for another one. */
static const char *renew(void *ctx)
{
    struct renewal *n = ctx;
    struct client_reply reply;
    struct client_call c = {.method = "HEAD"};
    int e = registry_call(n->r, &c, n->path, &reply, NULL);
    int ok = e == 0 && reply.status < 400;
    client_done(&reply);
    return ok && n->r->authorization.n ? buf_z(&n->r->authorization) : NULL;
}

static int pull_layer(struct store *s, struct registry *r, const struct layer *l,
                      const struct store_pull *opt, struct lar_err *err)
{
    struct buf url = {0};
    struct renewal again = {.r = r};
    uint64_t have = 0;
    if (store_blob(s, l->digest, NULL, &have) && have == l->size) return 0;
    snprintf(again.path, sizeof again.path, "/blobs/sha256:%s", l->digest);
    buf_printf(&url, "%s%s", buf_z(&r->base), again.path);
    struct pull_blob b = {buf_z(&url), r->authorization.n ? buf_z(&r->authorization) : NULL,
                          l->digest,   l->size,
                          renew,       &again};
    int e =
        url.failed ? lar_fail(err, LAR_ENOMEM, "pull: out of memory") : pull_blob(s, &b, opt, err);
    buf_done(&url);
    return e;
}

static int get_manifest(struct registry *r, const struct name *n, struct client_reply *reply,
                        struct lar_err *err)
{
    static const char *const accept[] = {"Accept: " MANIFEST_TYPE ", " MANIFEST_TYPE_OCI, NULL};
    struct client_call c = {.header = accept, .body_max = MANIFEST_BYTES_MAX};
    struct buf path = {0}, shown = {0};
    char hex[SHA256_HEX + 1];
    if (n->digest[0])
        buf_printf(&path, "/manifests/sha256:%s", n->digest);
    else
        buf_printf(&path, "/manifests/%s", n->tag);
    name_show(n, &shown);
    int e = registry_call(r, &c, buf_z(&path), reply, err);
    if (e == 0 && reply->status != 200) e = registry_refused(reply, buf_z(&shown), err);
    if (e == 0) {
        sha256_of(buf_z(&reply->body), reply->body.n, hex);
        if (n->digest[0] && strcmp(hex, n->digest) != 0)
            e = lar_fail(err, LAR_EFORMAT,
                         "%s: the registry sends the manifest %.12s..., not %.12s...",
                         buf_z(&shown), hex, n->digest);
    }
    buf_done(&path);
    buf_done(&shown);
    return e;
}

static int from_registry(struct store *s, const struct name *n, const struct store_pull *opt,
                         struct lar_err *err)
{
    struct registry r;
    struct client_reply reply = {0};
    struct manifest m = {0};
    struct arena a;
    arena_init(&a, 64 << 20);
    int e = registry_open(&r, n, err);
    r.on_wait = on_wait;
    r.ctx = (void *)(uintptr_t)opt; /* only read */
    if (e == 0) e = pull_tell(opt, "pulling manifest", err);
    if (e == 0) e = get_manifest(&r, n, &reply, err);
    if (e == 0 && (e = manifest_parse(&m, &a, buf_view(&reply.body), err)) < 0 && err) {
        struct lar_err why = *err;
        e = lar_fail(err, e, "%.160s sends no manifest: %s", buf_z(&reply.url), why.msg);
    }
    if (e == 0) e = pull_room(s, &m, err);
    if (e == 0 && m.config.digest[0]) e = pull_layer(s, &r, &m.config, opt, err);
    for (size_t i = 0; e == 0 && i < m.n; i++) e = pull_layer(s, &r, &m.layer[i], opt, err);
    if (e == 0) e = parts_link(s, &m, err);
    if (e == 0) e = pull_tell(opt, "writing manifest", err);
    if (e == 0) e = manifest_put(s, n, buf_view(&reply.body), err);
    client_done(&reply);
    registry_done(&r);
    arena_done(&a);
    return e;
}

int store_pull(struct store *s, const char *name, const struct store_pull *opt, struct lar_err *err)
{
    static const struct store_pull none;
    struct name n;
    int e = name_parse(&n, str_of(name), err);
    if (e == 0 && !n.model[0])
        e = lar_fail(err, LAR_EINVAL, "%s: a digest alone does not say where to get it", name);
    if (e == 0) e = store_lock(s, 0, 1, err);
    if (e < 0) return e;
    e = strcmp(n.host, "hf.co") == 0 ? hub_pull(s, &n, opt ? opt : &none, err)
                                     : from_registry(s, &n, opt ? opt : &none, err);
    store_unlock(s);
    return e;
}
