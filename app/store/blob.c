/* SPDX-License-Identifier: Apache-2.0
 * store/blob.c: blobs: files whose name is their SHA-256. What is taken in is hashed as it is read, so a blob never has a wrong name when it
 * appears. */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "store/impl.h"

enum { PIECE = 1 << 20 };

void blob_path(const char *root, const char *hex, struct buf *b)
{
    buf_printf(b, "%s/blobs/sha256-%s", root, hex);
}

static int file_size(const char *path, uint64_t *size)
{
    struct stat st;
    if (stat(path, &st) || !S_ISREG(st.st_mode)) return -1;
    *size = (uint64_t)st.st_size;
    return 0;
}

int store_blob(const struct store *s, const char *hex, struct buf *b, uint64_t *size)
{
    struct buf path = {0};
    uint64_t n = 0;
    blob_path(s->root, hex, &path);
    int found = !path.failed && file_size(buf_z(&path), &n) == 0;
    if (found && b) buf_str(b, buf_view(&path));
    if (found && size) *size = n;
    buf_done(&path);
    return found;
}

/* ---- in pieces --------------------------------------------------------------------------------------------------------- */

struct store_blob_writer {
    struct store *s;
    struct buf temp;
    struct sha256 sha;
    int fd;
};

int store_blob_begin(struct store *s, struct store_blob_writer **out, struct lar_err *err)
{
    struct store_blob_writer *w = *out = mem_zalloc(sizeof *w);
    if (!w) return lar_fail(err, LAR_ENOMEM, "blob: out of memory");
    w->s = s;
    w->fd = -1;
    sha256_init(&w->sha);
    int e = store_lock(s, 0, 1, err);
    if (e < 0) w->s = NULL;
    if (e == 0 && (e = disk_temp(s, &w->temp, err)) >= 0) w->fd = e, e = 0;
    if (e == 0) return 0;
    store_blob_close(w);
    *out = NULL;
    return e;
}

int store_blob_write(struct store_blob_writer *w, const void *p, size_t n, struct lar_err *err)
{
    sha256_add(&w->sha, p, n);
    return disk_write(w->fd, p, n, buf_z(&w->temp), err);
}

/* A blob that is there already is as good as ours: the same bytes. Unless a crash of the machine cut it: then ours takes its place. */
static int put(struct store *s, int fd, const char *temp, const char *hex, struct lar_err *err)
{
    struct buf path = {0};
    uint64_t have = 0, ours = 0;
    int e;
    blob_path(s->root, hex, &path);
    if (path.failed || file_size(temp, &ours)) {
        close(fd);
        e = lar_fail(err, LAR_EIO, "%s: is gone", temp);
    } else if (store_blob(s, hex, NULL, &have) && have == ours) {
        close(fd);
        unlink(temp);
        e = 0;
    } else {
        e = disk_commit(fd, temp, buf_z(&path), err);
    }
    buf_done(&path);
    return e;
}

int store_blob_end(struct store_blob_writer *w, const char *want, char hex[SHA256_HEX + 1],
                   struct lar_err *err)
{
    sha256_end(&w->sha, hex);
    if (want && strcmp(want, hex) != 0)
        return lar_fail(err, LAR_EFORMAT, "the digest of what came is %.12s..., not %.12s...", hex,
                        want);
    int e = put(w->s, w->fd, buf_z(&w->temp), hex, err);
    w->fd = -1;
    if (e == 0) buf_clear(&w->temp);
    return e;
}

void store_blob_close(struct store_blob_writer *w)
{
    if (!w) return;
    if (w->fd >= 0) close(w->fd);
    if (w->temp.n) unlink(buf_z(&w->temp));
    buf_done(&w->temp);
    if (w->s) store_unlock(w->s);
    mem_free(w);
}

int blob_bytes(struct store *s, struct str text, char hex[SHA256_HEX + 1], struct lar_err *err)
{
    struct store_blob_writer *w;
    int e = store_blob_begin(s, &w, err);
    if (e < 0) return e;
    if ((e = store_blob_write(w, text.p, text.n, err)) == 0) e = store_blob_end(w, NULL, hex, err);
    store_blob_close(w);
    return e;
}

/* ---- from files --------------------------------------------------------------------------------------------------------- */

/* Reads `in` to its end, hashes it, and writes it to `to` unless that is negative. */
struct pipe {
    const char *path, *to_path;
    int in, to;
    int (*on_piece)(void *ctx, uint64_t done);
    void *ctx;
};

static int pour(const struct pipe *p, char hex[SHA256_HEX + 1], uint64_t *size, struct lar_err *err)
{
    struct sha256 sha;
    char *piece = mem_alloc(PIECE);
    int e = piece ? 0 : lar_fail(err, LAR_ENOMEM, "%s: out of memory", p->path);
    sha256_init(&sha);
    *size = 0;
    while (e == 0) {
        ssize_t k = read(p->in, piece, PIECE);
        if (k == 0) break;
        if (k < 0 && errno == EINTR) continue;
        if (k < 0) {
            e = lar_fail_errno(err, "%s: cannot be read", p->path);
            break;
        }
        sha256_add(&sha, piece, (size_t)k);
        *size += (uint64_t)k;
        if (p->to >= 0) e = disk_write(p->to, piece, (size_t)k, p->to_path, err);
        if (e == 0 && p->on_piece && p->on_piece(p->ctx, *size))
            e = lar_fail(err, LAR_ECANCEL, "stopped");
    }
    sha256_end(&sha, hex);
    mem_free(piece);
    return e;
}

static int open_file(const char *path, struct lar_err *err)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC); /* a pipe would wait for a writer */
    if (fd < 0) return lar_fail_errno(err, "%s", path);
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) return fd;
    close(fd);
    return lar_fail(err, LAR_EINVAL, "%s: is no regular file", path);
}

int store_digest(const char *path, char hex[SHA256_HEX + 1], uint64_t *size,
                int (*on_piece)(void *, uint64_t), void *ctx, struct lar_err *err)
{
    struct pipe p = {path, NULL, open_file(path, err), -1, on_piece, ctx};
    if (p.in < 0) return p.in;
    int e = pour(&p, hex, size, err);
    close(p.in);
    return e;
}

struct told {
    const struct blob_source *from;
    uint64_t total;
};

static int tell(void *ctx, uint64_t done)
{
    const struct told *t = ctx;
    const struct store_create *o = t->from->opt;
    return o && o->on_progress ? o->on_progress(o->ctx, t->from->path, done, t->total) : 0;
}

/* 1 when the new file shares its bytes with the old one on disk: a clone (XFS, Btrfs), which stays as it is when the old one changes. */
static int clone_to(int in, int to)
{
#ifdef FICLONE
    return ioctl(to, FICLONE, in) == 0;
#else
    (void)in, (void)to;
    return 0;
#endif
}

/* 1 when temp is now a second name of the file. */
static int second_name(const char *path, const char *temp)
{
    return unlink(temp) == 0 && linkat(AT_FDCWD, path, AT_FDCWD, temp, AT_SYMLINK_FOLLOW) == 0;
}

int blob_take(struct store *s, const struct blob_source *from, char hex[SHA256_HEX + 1],
              uint64_t *size, struct lar_err *err)
{
    struct buf temp = {0};
    struct told t = {from, 0};
    int in = open_file(from->path, err), to = -1, e = in < 0 ? in : 0;
    if (e == 0) e = store_lock(s, 0, 1, err);
    if (e < 0) {
        if (in >= 0) close(in);
        return e;
    }
    (void)file_size(from->path, &t.total);
    if ((e = disk_temp(s, &temp, err)) >= 0) {
        to = e;
        int shared = clone_to(in, to);
        if (!shared && from->own && second_name(from->path, buf_z(&temp))) {
            close(to);
            to = dup(in); /* only to be closed again: the name is the file's own */
            shared = 1;
        } else if (!shared && from->own) { /* the name is gone, or was never ours to lose */
            close(to);
            to = open(buf_z(&temp), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
        }
        struct pipe p = {from->path, buf_z(&temp), in, shared ? -1 : to, tell, &t};
        e = to < 0 ? lar_fail_errno(err, "%s: cannot be made", buf_z(&temp))
                   : pour(&p, hex, size, err);
    }
    if (e == 0)
        e = put(s, to, buf_z(&temp), hex, err);
    else if (to >= 0)
        close(to);
    if (e < 0 && temp.n) unlink(buf_z(&temp));
    close(in);
    buf_done(&temp);
    store_unlock(s);
    return e;
}
