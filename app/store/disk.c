/* SPDX-License-Identifier: Apache-2.0
 * store/disk.c: files and folders of a store: whole reads, writes that appear at once, and the lock. Not for model weights, which are mapped
 * by the library. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "store/impl.h"

int disk_folders(const char *path, struct lar_err *err)
{
    struct buf b = {0};
    int e = 0;
    buf_puts(&b, path);
    if (b.failed) e = lar_fail(err, LAR_ENOMEM, "%s: out of memory", path);
    for (size_t i = 1; e == 0 && i <= b.n; i++) {
        char c = b.p[i];
        if (c != '/' && c != 0) continue;
        b.p[i] = 0;
        if (mkdir(b.p, 0755) && errno != EEXIST) e = lar_fail_errno(err, "%s: cannot be made", b.p);
        b.p[i] = c;
    }
    buf_done(&b);
    return e;
}

int disk_read(const char *path, size_t max, struct buf *b, struct lar_err *err)
{
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC), e = 0; /* a pipe would wait for a writer */
    size_t start = b->n;
    struct stat st;
    if (fd < 0) {
        int why = errno;
        lar_fail_errno(err, "%s", path);
        errno = why;
        return LAR_EIO;
    }
    if (fstat(fd, &st) || !S_ISREG(st.st_mode)) e = lar_fail(err, LAR_EIO, "%s: is no regular file", path);
    while (e == 0) {
        char *at = buf_room(b, 1 << 16);
        ssize_t k = at ? read(fd, at, 1 << 16) : -1;
        if (!at)
            e = lar_fail(err, LAR_ENOMEM, "%s: out of memory", path);
        else if (k < 0 && errno != EINTR)
            e = lar_fail_errno(err, "%s: cannot be read", path);
        else if (k == 0)
            break;
        else if (k > 0 && (b->n += (size_t)k) - start > max)
            e = lar_fail(err, LAR_ELIMIT, "%s: more than %zu bytes", path, max);
    }
    if (b->p) b->p[b->n] = 0;
    close(fd);
    return e;
}

void disk_sync_folder(const char *folder)
{
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return;
    fsync(fd); /* where a file system cannot, it is no error */
    close(fd);
}

int disk_temp(struct store *s, struct buf *path, struct lar_err *err)
{
    static unsigned counter;
    struct buf folder = {0};
    int fd = -1, e;
    buf_printf(&folder, "%s/tmp", s->root);
    e = folder.failed ? lar_fail(err, LAR_ENOMEM, "%s: out of memory", s->root)
                      : disk_folders(buf_z(&folder), err);
    for (int i = 0; e == 0 && fd < 0 && i < 1000; i++) {
        buf_clear(path);
        buf_printf(path, "%s/%ld-%u", buf_z(&folder), (long)getpid(),
                   __atomic_add_fetch(&counter, 1, __ATOMIC_RELAXED));
        fd = path->failed ? -1 : open(buf_z(path), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
        if (fd < 0 && errno != EEXIST) break;
    }
    if (e == 0 && fd < 0) {
        e = lar_fail_errno(err, "%s: cannot be made", buf_z(path));
        buf_clear(path);
    }
    buf_done(&folder);
    return e < 0 ? e : fd;
}

int disk_write(int fd, const void *p, size_t n, const char *path, struct lar_err *err)
{
    for (const char *at = p; n;) {
        ssize_t k = write(fd, at, n);
        if (k < 0 && errno == EINTR) continue;
        if (k == 0) errno = ENOSPC;
        if (k <= 0) return lar_fail_errno(err, "%s: cannot be written", path);
        at += k;
        n -= (size_t)k;
    }
    return 0;
}

static size_t folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? (size_t)(slash - path) : 0;
}

int disk_commit(int fd, const char *temp, const char *path, struct lar_err *err)
{
    struct buf folder = {0};
    int bad = fsync(fd), why = errno, e = 0;
    if (close(fd) && !bad) bad = -1, why = errno;
    errno = why;
    if (bad) e = lar_fail_errno(err, "%s: cannot be written", path);
    buf_add(&folder, path, folder_of(path));
    if (e == 0 && folder.failed) e = lar_fail(err, LAR_ENOMEM, "%s: out of memory", path);
    for (int i = 0; e == 0; i++) {
        if ((e = disk_folders(buf_z(&folder), err)) < 0 || rename(temp, path) == 0) break;
        /* A neighbour that removes a name also removes folders that it emptied: perhaps this one, just now. */
        if (errno != ENOENT || i == 100)
            e = lar_fail_errno(err, "%s: cannot be put in place", path);
    }
    if (e == 0) disk_sync_folder(buf_z(&folder));
    buf_done(&folder);
    return e;
}

int disk_beside(const char *path, struct buf *temp, struct buf *whole, struct lar_err *err)
{
    if (path[0] != '/') buf_puts(whole, "./"); /* disk_commit asks for its folder by name */
    buf_puts(whole, path);
    buf_printf(temp, "%s.%ld.part", buf_z(whole), (long)getpid());
    if (temp->failed || whole->failed) return lar_fail(err, LAR_ENOMEM, "%s: out of memory", path);
    int fd = open(buf_z(temp), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    return fd < 0 ? lar_fail_errno(err, "%s: cannot be made", path) : fd;
}

int store_write(const char *path, struct str text, struct lar_err *err)
{
    struct buf temp = {0}, whole = {0};
    int fd = disk_beside(path, &temp, &whole, err);
    int e = fd < 0 ? fd : disk_write(fd, text.p, text.n, path, err);
    if (e == 0)
        e = disk_commit(fd, buf_z(&temp), buf_z(&whole), err);
    else if (fd >= 0)
        close(fd);
    if (e < 0 && fd >= 0) unlink(buf_z(&temp));
    buf_done(&temp);
    buf_done(&whole);
    return e;
}

static int walk(const char *folder, disk_walk_fn *f, void *ctx, int links)
{
    struct buf path = {0};
    struct dirent *d;
    struct stat st;
    int e = 0;
    DIR *dir = opendir(folder);
    if (!dir) return 0;
    while (e == 0 && (d = readdir(dir))) {
        if (d->d_name[0] == '.') continue;
        buf_clear(&path);
        buf_printf(&path, "%s/%s", folder, d->d_name);
        if (path.failed) e = LAR_ENOMEM;
        if (e == 0 && (links ? lstat(buf_z(&path), &st) : stat(buf_z(&path), &st)) == 0)
            e = f(ctx, buf_z(&path), d->d_name, S_ISDIR(st.st_mode));
    }
    closedir(dir);
    buf_done(&path);
    return e;
}

int disk_walk(const char *folder, disk_walk_fn *f, void *ctx) { return walk(folder, f, ctx, 0); }

int disk_walk_links(const char *folder, disk_walk_fn *f, void *ctx)
{
    return walk(folder, f, ctx, 1);
}

/* ---- the lock -------------------------------------------------------------------------------------------------------- */

int store_lock(struct store *s, int alone, int wait, struct lar_err *err)
{
    struct buf path = {0};
    int e = 0, k;
    if (s->nlock && !alone) return s->nlock++, 0;
    if (s->nlock)
        return lar_fail(err, LAR_EINVAL, "%s: this process is writing there itself", s->root);
    buf_printf(&path, "%s/lock", s->root);
    e = path.failed ? lar_fail(err, LAR_ENOMEM, "%s: out of memory", s->root)
                    : disk_folders(s->root, err);
    if (e == 0 && (s->lock = open(buf_z(&path), O_RDWR | O_CREAT | O_CLOEXEC, 0644)) < 0)
        e = lar_fail_errno(err, "%s: cannot be opened", buf_z(&path));
    if (e == 0) {
        while ((k = flock(s->lock, (alone ? LOCK_EX : LOCK_SH) | (wait ? 0 : LOCK_NB))) < 0 &&
               errno == EINTR) {
        }
        if (k < 0) {
            e = errno == EWOULDBLOCK
                    ? lar_fail(err, LAR_EIO,
                               "%s: another process is writing there; try again when it is done",
                               s->root)
                    : lar_fail_errno(err, "%s: cannot be locked", buf_z(&path));
            close(s->lock);
        }
    }
    if (e == 0)
        s->nlock = 1;
    else
        s->lock = -1;
    buf_done(&path);
    return e;
}

void store_unlock(struct store *s)
{
    if (--s->nlock) return;
    close(s->lock); /* which lets go of it */
    s->lock = -1;
}
