/* SPDX-License-Identifier: Apache-2.0
 * cli/in.c: see in.h. */
#include "cli/in.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/utf8.h"
#include "cli/out.h"

enum { CHUNK = 1 << 16 };

/* Bytes read, 0 at the end, negative on failure. */
static int read_some(int fd, const char *name, struct buf *b, struct lar_err *err)
{
    char *room = buf_room(b, CHUNK);
    if (!room) {
        return b->limit && b->n + CHUNK > b->limit
                   ? lar_fail(err, LAR_ELIMIT, "%s: more than %zu MiB", name, b->limit >> 20)
                   : lar_fail(err, LAR_ENOMEM, "%s: out of memory after %zu bytes", name, b->n);
    }
    for (;;) {
        ssize_t k = read(fd, room, CHUNK);
        if (k >= 0) {
            b->n += (size_t)k;
            b->p[b->n] = 0;
            return (int)k;
        }
        if (errno != EINTR) return lar_fail_errno(err, "cannot read %s", name);
    }
}

static int read_whole(int fd, const char *name, size_t most, struct buf *b, struct lar_err *err)
{
    int k;
    b->limit = most;
    while ((k = read_some(fd, name, b, err)) > 0) continue;
    return k;
}

/* Opens what is a regular file, or a pipe when these may be. The look comes first: to open a pipe is to wait for its other end. */
static int open_kind(const char *path, int pipes, struct lar_err *err)
{
    struct stat st;
    int fd = -1;
    if (stat(path, &st)) return lar_fail_errno(err, "cannot open %s", path);
    if (S_ISDIR(st.st_mode)) return lar_fail(err, LAR_EIO, "cannot read %s: Is a directory", path);
    int may_be = S_ISREG(st.st_mode) || (pipes && S_ISFIFO(st.st_mode));
    if (may_be || pipes) fd = open(path, O_RDONLY | O_CLOEXEC | (S_ISFIFO(st.st_mode) ? 0 : O_NONBLOCK));
    if (may_be && fd < 0) return lar_fail_errno(err, "cannot open %s", path);
    if (may_be) return fd;
    if (fd >= 0 && isatty(fd) && fcntl(fd, F_SETFL, 0) == 0) return fd;
    if (fd >= 0) close(fd);
    return lar_fail(err, LAR_EINVAL, "%s: is no regular file%s", path, pipes ? " and no pipe" : "");
}

int in_regular(const char *path, struct lar_err *err) { return open_kind(path, 0, err); }

int in_file(const char *path, struct buf *b, struct lar_err *err)
{
    int fd = in_regular(path, err);
    if (fd < 0) return fd;
    int e = read_whole(fd, path, IN_FILE_MAX, b, err);
    close(fd);
    return e;
}

int in_all(const char *path, struct buf *b, struct lar_err *err)
{
    if (strcmp(path, "-") == 0) return read_whole(STDIN_FILENO, "standard input", IN_BYTES_MAX, b, err);
    int fd = open_kind(path, 1, err);
    if (fd < 0) return fd;
    int e = read_whole(fd, path, IN_BYTES_MAX, b, err);
    close(fd);
    return e;
}

void in_odd(const char *what, struct str text)
{
    size_t bad = 0;
    for (size_t i = 0, k; i < text.n; i += k ? k : 1) {
        uint32_t c;
        k = utf8_decode(text.p + i, text.n - i, &c);
        bad += k == 0;
    }
    if (bad)
        say("of %s %zu byte%s no UTF-8: the model may get U+FFFD for what is not", what, bad,
            bad == 1 ? " is" : "s are");
}

int in_blame(const char *path, int e, struct lar_err *err)
{
    struct lar_err why = *err;
    return e < 0 ? lar_fail(err, e, "%s: %s", strcmp(path, "-") ? path : "standard input", why.msg) : e;
}

static const char *newline(const struct in *r, size_t from)
{
    return r->b.n > from ? memchr(r->b.p + from, '\n', r->b.n - from) : NULL;
}

int in_line(struct in *r, struct str *line, struct lar_err *err)
{
    const char *nl;
    r->b.limit = IN_BYTES_MAX;
    while (!(nl = newline(r, r->looked)) && !r->ended) {
        r->looked = r->b.n;
        if (r->at) { /* keep only the unread part */
            memmove(r->b.p, r->b.p + r->at, r->b.n - r->at);
            r->b.n -= r->at;
            r->looked -= r->at;
            r->at = 0;
        }
        int k = read_some(STDIN_FILENO, "standard input", &r->b, err);
        if (k < 0) return k;
        r->ended = k == 0;
    }
    size_t end = nl ? (size_t)(nl - r->b.p) : r->b.n;
    if (!nl && end == r->at) return 0;
    *line = (struct str){r->b.p + r->at, end - r->at};
    r->at = r->looked = nl ? end + 1 : end;
    return 1;
}

int in_ready(const struct in *r) { return newline(r, r->at) != NULL; }

void in_done(struct in *r) { buf_done(&r->b); }

enum in_kind in_kind(void)
{
    struct stat st;
    if (isatty(STDIN_FILENO)) return IN_TERMINAL;
    if (fstat(STDIN_FILENO, &st)) return IN_OTHER;
    return S_ISREG(st.st_mode) ? IN_FILE : S_ISFIFO(st.st_mode) ? IN_PIPE : IN_OTHER;
}
