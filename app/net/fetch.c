/* SPDX-License-Identifier: Apache-2.0
 * net/fetch.c: see fetch.h. One thread and libcurl's multi interface: a part is a stretch of the file that one connection asks for. */
#include "net/fetch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/time.h"
#include "net/again.h"
#include "net/client.h"
#include "net/curl.h"

enum {
    CONNECTIONS = 8,
    CONNECTIONS_MAX = 64,
    PARTS_MAX = 16384,
    TRIES = 6,
    SILENT_S = 30,
    HASH_PIECE = 1 << 20
};
static const uint64_t part_least = 1 << 20, part_most = 64 << 20;

struct part {
    uint64_t begin, end, done; /* done bytes from begin on are in the file */
    int running, tries;
    int64_t again_ns; /* not before */
};

struct worker;
struct conn {
    struct worker *w;
    void *easy;
    struct part *part; /* NULL: idle */
    struct curl_slist *list;
    uint64_t had;            /* part->done when this try began */
    int64_t from, to, total; /* of Content-Range; -1 */
    int64_t again_s;         /* Retry-After */
    int generation;          /* of the authorization */
    int checked, fault;      /* fault: the answer was refused, fatal ones set w->rc */
    char why[256];
};

struct worker {
    const struct fetch *f;
    const struct curl *k;
    struct lar_err *err;
    void *multi;
    struct buf url;
    int crossed, ranges;
    struct part *part;
    size_t npart;
    struct conn conn[CONNECTIONS_MAX];
    const char *authorization;
    int nconn, rc, generation;
    int64_t quiet_ns; /* nothing is asked before: the server wants patience */
    struct sha256 sha;
    uint64_t hashed;
    char *piece;
    int64_t saved_ns, began_ns;
    uint64_t had; /* bytes that were there already */
};

/* ---- the notes --------------------------------------------------------------------------------------------------------- */

static void save(struct worker *w)
{
    struct buf b = {0}, temp = {0};
    buf_printf(&b, "lar-partial 1 %llu %zu\n", (unsigned long long)w->f->total, w->npart);
    for (size_t i = 0; i < w->npart; i++)
        buf_printf(&b, "%llu\n", (unsigned long long)w->part[i].done);
    buf_printf(&temp, "%s.new", w->f->state);
    int fd = b.failed || temp.failed
                 ? -1
                 : open(buf_z(&temp), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd >= 0) {
        int whole = write(fd, b.p, b.n) == (ssize_t)b.n;
        if (close(fd) == 0 && whole)
            rename(buf_z(&temp),
                   w->f->state); /* else the older notes hold: less is known, nothing wrong */
    }
    buf_done(&b);
    buf_done(&temp);
    w->saved_ns = time_ns();
}

static void load(struct worker *w)
{
    unsigned long long total, done;
    size_t n;
    FILE *in = fopen(w->f->state, "re");
    if (!in) return;
    if (fscanf(in, "lar-partial 1 %llu %zu", &total, &n) == 2 && total == w->f->total &&
        n == w->npart)
        for (size_t i = 0; i < n && fscanf(in, "%llu", &done) == 1; i++)
            if (done <= w->part[i].end - w->part[i].begin) w->part[i].done = done;
    fclose(in);
}

static int cut(struct worker *w)
{
    uint64_t total = w->f->total, size = total / 64;
    size = size < part_least ? part_least : size > part_most ? part_most : size;
    if (total / size >= PARTS_MAX) size = total / PARTS_MAX + 1;
    if (!w->ranges) size = total ? total : 1;
    w->npart = (size_t)((total + size - 1) / size);
    w->part = mem_zalloc(sizeof *w->part * (w->npart + 1));
    if (!w->part) return lar_fail(w->err, LAR_ENOMEM, "download: out of memory");
    for (size_t i = 0; i < w->npart; i++) {
        w->part[i].begin = size * i;
        w->part[i].end = size * (i + 1) < total ? size * (i + 1) : total;
    }
    if (w->ranges) load(w);
    return 0;
}

/* ---- what comes ---------------------------------------------------------------------------------------------------------- */

static int refuse(struct conn *c, const char *what)
{
    snprintf(c->why, sizeof c->why, "%s", what);
    c->fault = *what != 0; /* a status speaks for itself */
    return 0;
}

/* Is the answer the one that was asked for? Called before its first byte is taken. */
static int is_ours(struct conn *c)
{
    long status = 0;
    const struct part *p = c->part;
    c->checked = 1;
    c->w->k->easy_getinfo(c->easy, CURL_GET_STATUS, &status);
    if (c->w->ranges && status != 206)
        return refuse(c, status == 200 ? "the server sends the whole file, not the part asked for"
                                       : "");
    if (!c->w->ranges && status != 200) return refuse(c, "");
    if (c->w->ranges && (c->from != (int64_t)(p->begin + p->done) || c->to >= (int64_t)p->end ||
                         c->total != (int64_t)c->w->f->total))
        return refuse(c, "the server sends another part than the one asked for");
    return 1;
}

static size_t on_data(char *p, size_t size, size_t n, void *ctx)
{
    struct conn *c = ctx;
    struct part *t = c->part;
    n *= size;
    if (!c->checked && !is_ours(c)) return 0;
    if (n > t->end - t->begin - t->done)
        return refuse(c, "the server sends more than the file's length"), 0;
    for (size_t at = 0; at < n;) {
        ssize_t k = pwrite(c->w->f->fd, p + at, n - at, (off_t)(t->begin + t->done));
        if (k < 0 && errno == EINTR) continue;
        if (k <= 0) {
            c->w->rc = lar_fail_errno(c->w->err, "the download cannot be written");
            return 0;
        }
        at += (size_t)k;
        t->done += (uint64_t)k;
    }
    return n;
}

static size_t on_header(char *p, size_t size, size_t n, void *ctx)
{
    struct conn *c = ctx;
    char line[128];
    long long from, to, total;
    n *= size;
    if (n <= 2 && !c->checked && !is_ours(c)) return 0; /* the empty line behind the last header */
    if (n > 12 && n < sizeof line && strncasecmp(p, "retry-after:", 12) == 0) {
        const char *v = p + 12, *end = p + n;
        while (v < end && *v == ' ') v++;
        while (end > v && (unsigned char)end[-1] <= ' ') end--;
        memcpy(line, v, (size_t)(end - v));
        line[end - v] = 0;
        c->again_s = again_seconds(line);
    }
    if (n > 14 && n < sizeof line && strncasecmp(p, "content-range:", 14) == 0) {
        memcpy(line, p + 14, n - 14);
        line[n - 14] = 0;
        if (sscanf(line, " bytes %lld-%lld/%lld", &from, &to, &total) == 3)
            c->from = from, c->to = to, c->total = total;
    }
    return n;
}

/* ---- connections ----------------------------------------------------------------------------------------------------------- */

static void begin(struct conn *c, struct part *p)
{
    struct worker *w = c->w;
    const struct curl *k = w->k;
    char range[64];
    struct buf b = {0};
    if (!w->ranges) p->done = 0;
    c->part = p;
    c->had = p->done;
    c->from = c->to = c->total = -1;
    c->again_s = 0;
    c->generation = w->generation;
    c->checked = c->fault = 0;
    c->why[0] = 0;
    p->running = 1;
    snprintf(range, sizeof range, "%llu-%llu", (unsigned long long)(p->begin + p->done),
             (unsigned long long)(p->end - 1));
    c->list = k->slist_append(NULL, "Accept-Encoding: identity");
    if (!w->crossed && w->authorization) {
        buf_printf(&b, "Authorization: %s", w->authorization);
        c->list = k->slist_append(c->list, buf_z(&b));
    }
    buf_done(&b);
    curl_begin(c->easy, buf_z(&w->url), w->f->silent_s > 0 ? w->f->silent_s : SILENT_S);
    k->easy_setopt(c->easy, CURL_HTTPHEADER, c->list);
    if (w->ranges) k->easy_setopt(c->easy, CURL_RANGE, range);
    if (w->f->rate) k->easy_setopt(c->easy, CURL_MAX_RECV_SPEED_LARGE, (int64_t)w->f->rate);
    k->easy_setopt(c->easy, CURL_WRITEFUNCTION, on_data);
    k->easy_setopt(c->easy, CURL_WRITEDATA, c);
    k->easy_setopt(c->easy, CURL_HEADERFUNCTION, on_header);
    k->easy_setopt(c->easy, CURL_HEADERDATA, c);
    k->easy_setopt(c->easy, CURL_PRIVATE, c);
    k->multi_add_handle(w->multi, c->easy);
}

static int probe(struct worker *w);

static void give_up(struct conn *c, int result, long status)
{
    struct worker *w = c->w;
    const char *url = buf_z(&w->url), *why = c->why[0]       ? c->why
                                             : status >= 300 ? NULL
                                             : result        ? w->k->easy_strerror(result)
                                                             : "it ends too early";
    if (why)
        w->rc = lar_fail(w->err, LAR_EIO, "%.120s: %s", url, why);
    else if (c->again_s > AGAIN_MOST_S)
        w->rc = lar_fail(
            w->err, LAR_EIO,
            "%.120s: the server says %ld, and to come back in %lld seconds; what has come is kept",
            url, status, (long long)c->again_s);
    else
        w->rc = lar_fail(w->err, LAR_EIO, "%.120s: the server says %ld", url, status);
}

/* Is there another authorization? The old one, asked with in this generation, has ended. */
static int renewed(struct worker *w, int generation)
{
    if (generation != w->generation) return 1;
    const char *fresh = w->f->renew && !w->crossed ? w->f->renew(w->f->renew_ctx) : NULL;
    if (fresh) w->authorization = fresh, w->generation++;
    return fresh != NULL;
}

/* A try has ended. What is missing is asked for again, later each time that nothing came. */
static void finish(struct conn *c, int result)
{
    struct worker *w = c->w;
    struct part *p = c->part;
    long status = 0;
    w->k->easy_getinfo(c->easy, CURL_GET_STATUS, &status);
    w->k->multi_remove_handle(w->multi, c->easy);
    w->k->slist_free_all(c->list);
    c->list = NULL;
    c->part = NULL;
    p->running = 0;
    if (w->rc < 0 || p->done == p->end - p->begin) return;
    p->tries = p->done > c->had && w->ranges ? 1 : p->tries + 1;
    int final =
        status >= 400 && !again_status(status) && !(status == 401 && renewed(w, c->generation));
    if (final && !w->crossed) p->tries = TRIES + 1;
    int64_t pause = again_pause(again_status(status) ? c->again_s : 0, p->tries);
    /* What answers wrongly seldom learns better. */
    if (pause < 0 || p->tries >= (c->fault ? 3 : TRIES)) {
        give_up(c, result, status);
        return;
    }
    p->again_ns = time_ns() + pause;
    if (c->again_s && p->again_ns > w->quiet_ns) w->quiet_ns = p->again_ns;
    /* A signed address that a redirect gave lives some minutes: ask for another. */
    if (w->crossed && final) w->rc = probe(w);
}

static uint64_t done(const struct worker *w)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < w->npart; i++) sum += w->part[i].done;
    return sum;
}

static void start_idle(struct worker *w)
{
    int64_t now = time_ns();
    /* libcurl keeps the rate within a transfer, but lets each begin with a burst: between them it is kept here. */
    double allowed = (double)w->f->rate * (double)(now - w->began_ns) * 1e-9;
    if ((w->f->rate && (double)(done(w) - w->had) > allowed) || now < w->quiet_ns) return;
    size_t next = 0;
    for (int i = 0; i < w->nconn && w->rc == 0; i++) {
        struct conn *c = &w->conn[i];
        if (c->part) continue;
        while (next < w->npart && (w->part[next].running ||
                                   w->part[next].done == w->part[next].end - w->part[next].begin ||
                                   w->part[next].again_ns > now))
            next++;
        if (next == w->npart) return;
        begin(c, &w->part[next]);
    }
}

/* ---- the whole ------------------------------------------------------------------------------------------------------------- */

static int on_wait(void *ctx)
{
    const struct worker *w = ctx;
    return w->f->on_progress && w->f->on_progress(w->f->ctx, w->npart ? done(w) : 0, w->f->total);
}

/* Where the bytes really lie, and whether the server gives parts of them. */
/* The answer to a question about the first byte. Who ignores the range and breaks off has answered: the whole is asked for next. */
static int probe_call(struct worker *w, struct client_call *c, struct client_reply *r,
                      struct lar_err *why)
{
    for (int tries = 1;; tries++) {
        int e = client_call(c, r, why);
        if (e != LAR_EIO || r->status) return e;
        if (tries == TRIES) return e;
        client_done(r);
        if (again_wait(again_pause(0, tries), on_wait, w))
            return lar_fail(why, LAR_ECANCEL, "stopped; the next time it goes on from here");
    }
}

static int probe(struct worker *w)
{
    static const char *const one[] = {"Range: bytes=0-0", "Accept-Encoding: identity", NULL};
    struct client_call call = {.url = w->f->url,
                               .authorization = w->authorization,
                               .header = one,
                               .on_wait = on_wait,
                               .wait_ctx = w,
                               .body_max = 1 << 16};
    struct client_reply r;
    struct lar_err why;
    int e = probe_call(w, &call, &r, &why);
    if (r.status == 401 && !r.crossed && renewed(w, w->generation)) {
        client_done(&r);
        call.authorization = w->authorization;
        e = probe_call(w, &call, &r, &why);
    }
    int whole = (e == LAR_ELIMIT || e == LAR_EIO) && r.status == 200;
    int64_t total = r.status == 206 ? r.total : r.length;
    if (whole || (e == 0 && r.status == 200)) e = 0, w->ranges = 0;
    if (e < 0)
        e = lar_fail(w->err, e, "%s", why.msg);
    else if (r.status != 200 && r.status != 206)
        e = lar_fail(w->err, LAR_EIO, "%.120s: the server says %ld%s", w->f->url, r.status,
                     r.status == 401 || r.status == 403 ? ": it lets not everybody read that (a gated model's terms "
                                                          "must be accepted on its page; HF_TOKEN or LAR_REGISTRY_AUTH "
                                                          "says who asks)"
                                                        : "");
    else if (total >= 0 && (uint64_t)total != w->f->total)
        e = lar_fail(w->err, LAR_EFORMAT,
                     "%.120s: the server has %lld bytes, not the %llu that are meant", w->f->url,
                     (long long)total, (unsigned long long)w->f->total);
    buf_clear(&w->url);
    buf_str(&w->url, buf_view(&r.url));
    w->crossed = r.crossed;
    client_done(&r);
    return e;
}

/* Everything before this offset is in the file. */
static uint64_t contiguous(const struct worker *w)
{
    size_t i = 0;
    while (i < w->npart && w->part[i].done == w->part[i].end - w->part[i].begin) i++;
    return i == w->npart ? w->f->total : w->part[i].begin + (w->ranges ? w->part[i].done : 0);
}

/* Hashes at most a few pieces, so that connections do not wait. Gives 1 while there is more. */
static int hash(struct worker *w, int pieces)
{
    uint64_t to = contiguous(w);
    while (w->hashed < to && pieces-- > 0) {
        size_t n = to - w->hashed < HASH_PIECE ? (size_t)(to - w->hashed) : HASH_PIECE;
        ssize_t k = pread(w->f->fd, w->piece, n, (off_t)w->hashed);
        if (k < 0 && errno == EINTR) continue;
        if (k <= 0) return lar_fail(w->err, LAR_EIO, "the download cannot be read back");
        sha256_add(&w->sha, w->piece, (size_t)k);
        w->hashed += (uint64_t)k;
    }
    return w->hashed < to;
}

static int work(struct worker *w)
{
    int more = 1, left, running;
    while (w->rc == 0 && (w->hashed < w->f->total || more)) {
        start_idle(w);
        w->k->multi_perform(w->multi, &running);
        for (struct curl_message *m; (m = w->k->multi_info_read(w->multi, &left));) {
            struct conn *c = NULL;
            int result = m->data.result;
            if (m->kind != CURL_MESSAGE_DONE) continue;
            w->k->easy_getinfo(m->easy, CURL_GET_PRIVATE, &c);
            finish(c, result);
        }
        if (w->rc == 0 && (more = hash(w, 8)) < 0) w->rc = more;
        if (time_ns() - w->saved_ns > 1000000000) save(w);
        if (w->rc == 0 && w->f->on_progress && w->f->on_progress(w->f->ctx, done(w), w->f->total))
            w->rc = lar_fail(w->err, LAR_ECANCEL, "stopped; the next time it goes on from here");
        if (w->rc == 0 && !more && w->hashed < w->f->total)
            w->k->multi_poll(w->multi, NULL, 0, 100, NULL);
    }
    return w->rc;
}

static int open_connections(struct worker *w)
{
    int n = w->f->connections > 0 ? w->f->connections : CONNECTIONS;
    n = w->f->rate || !w->ranges ? 1 : n > CONNECTIONS_MAX ? CONNECTIONS_MAX : n;
    w->multi = w->k->multi_init();
    w->piece = mem_alloc(HASH_PIECE);
    for (w->nconn = 0; w->nconn < n; w->nconn++) {
        w->conn[w->nconn].w = w;
        if (!(w->conn[w->nconn].easy = w->k->easy_init())) break;
    }
    return w->multi && w->piece && w->nconn == n
               ? 0
               : lar_fail(w->err, LAR_ENOMEM, "download: out of memory");
}

static void close_all(struct worker *w)
{
    for (int i = 0; i < w->nconn; i++) {
        if (w->conn[i].part) w->k->multi_remove_handle(w->multi, w->conn[i].easy);
        if (w->conn[i].list) w->k->slist_free_all(w->conn[i].list);
        w->k->easy_cleanup(w->conn[i].easy);
    }
    if (w->multi) w->k->multi_cleanup(w->multi);
    mem_free(w->piece);
    mem_free(w->part);
    buf_done(&w->url);
}

int fetch_file(const struct fetch *f, char hex[SHA256_HEX + 1], struct lar_err *err)
{
    struct worker *w = mem_zalloc(sizeof *w);
    if (!w) return lar_fail(err, LAR_ENOMEM, "download: out of memory");
    *w = (struct worker){.f = f,
                         .err = err,
                         .authorization = f->authorization,
                         .ranges = 1,
                         .saved_ns = time_ns(),
                         .began_ns = time_ns()};
    sha256_init(&w->sha);
    int e = curl_open(&w->k, err);
    if (e == 0) e = probe(w);
    if (e == 0) e = cut(w);
    if (e == 0) e = open_connections(w);
    if (e == 0) {
        w->had = done(w);
        e = work(w);
        save(w);
    }
    if (e == 0) sha256_end(&w->sha, hex);
    if (e == 0) unlink(f->state);
    if (w->k) close_all(w);
    mem_free(w);
    return e;
}
