/* SPDX-License-Identifier: Apache-2.0
 * serve/disk.c: see disk.h. The index is in memory, made from the folder's names at the start; a file's time of change is when it was last used. */
#include "serve/disk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/sha256.h"
#include "serve/metrics.h"

enum {
    BUCKETS = 4096,
    ENTRIES_MAX = 1 << 20,
    WAITING_MAX = 64,
    NAME_MAX_N = 96,
    WHOLE_MIN = 16,
    LENGTHS_MAX = 256
};
static const char TEMP[] = "new-";

struct entry {
    struct entry *next;
    char name[LAR_IMAGE_ID];
    size_t tokens; /* of a whole beginning; 0: a page */
    double bytes;
    int64_t used; /* ns since 1970; of pages that follow one another the first is the youngest */
};

struct waiting {
    struct waiting *next;
    struct lar_session *session;
    double bytes;
};

struct disk {
    int folder, lock_fd;
    double limit, pending;
    void (*say)(const char *line);
    pthread_t thread;
    pthread_mutex_t lock; /* of all that follows */
    pthread_cond_t wake;
    struct entry *bucket[BUCKETS];
    size_t nentry;
    struct waiting *first, **last;
    size_t nwaiting;
    double waiting_bytes;
    int ending, stop, running;
    struct disk_look number;
    struct buf out; /* the thread's */
    struct buf in;  /* of who reads */
};

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void tell(struct disk *d, const char *name, const char *what)
{
    struct buf b = {0};
    buf_printf(&b, "cache: %.16s...: %s", name, what);
    if (d->say) d->say(buf_z(&b));
    buf_done(&b);
}

/* ---- names ----------------------------------------------------------------------------------------------------------------- */

static void chain(char name[LAR_IMAGE_ID], const int32_t *tokens, size_t n)
{
    struct sha256 h;
    sha256_init(&h);
    sha256_add(&h, name, LAR_IMAGE_ID - 1);
    sha256_add(&h, tokens, n * sizeof *tokens);
    sha256_end(&h, name);
}

static void file_name(char out[NAME_MAX_N], const char *name, size_t tokens)
{
    if (tokens)
        snprintf(out, NAME_MAX_N, "%s-%zu.kv", name, tokens);
    else
        snprintf(out, NAME_MAX_N, "%s.kv", name);
}

/* 0: no name of ours. */
static int parse_name(const char *file, char name[LAR_IMAGE_ID], size_t *tokens)
{
    char same[NAME_MAX_N];
    if (strspn(file, "0123456789abcdef") != LAR_IMAGE_ID - 1) return 0;
    memcpy(name, file, LAR_IMAGE_ID - 1);
    name[LAR_IMAGE_ID - 1] = 0;
    *tokens = file[LAR_IMAGE_ID - 1] == '-' ? (size_t)strtoul(file + LAR_IMAGE_ID, NULL, 10) : 0;
    file_name(same, name, *tokens);
    return strcmp(file, same) == 0;
}

/* ---- the index, with the lock held ------------------------------------------------------------------------------------------- */

static struct entry **bucket_of(struct disk *d, const char *name)
{
    char digits[4] = {name[0], name[1], name[2], 0};
    return &d->bucket[strtoul(digits, NULL, 16) % BUCKETS];
}

static struct entry *find(struct disk *d, const char *name)
{
    struct entry *e = *bucket_of(d, name);
    while (e && strcmp(e->name, name) != 0) e = e->next;
    return e;
}

static void forget(struct disk *d, const char *name)
{
    for (struct entry **at = bucket_of(d, name); *at; at = &(*at)->next) {
        struct entry *e = *at;
        char file[NAME_MAX_N];
        if (strcmp(e->name, name) != 0) continue;
        file_name(file, e->name, e->tokens);
        unlinkat(d->folder, file, 0); /* gone already is as good */
        d->number.bytes -= e->bytes;
        d->nentry--;
        *at = e->next;
        mem_free(e);
        break;
    }
    d->number.files = (long)d->nentry;
}

static void remember(struct disk *d, const char *name, size_t tokens, double bytes, int64_t used)
{
    struct entry *e = d->nentry < ENTRIES_MAX ? mem_zalloc(sizeof *e) : NULL;
    struct entry **at = bucket_of(d, name);
    if (!e) return; /* the next start finds it */
    memcpy(e->name, name, sizeof e->name);
    e->tokens = tokens;
    e->bytes = bytes;
    e->used = used;
    e->next = *at;
    *at = e;
    d->number.bytes += bytes;
    d->number.files = (long)++d->nentry;
}

static void make_room(struct disk *d, double bytes)
{
    while (d->nentry && d->number.bytes + bytes > d->limit) {
        struct entry *oldest = NULL;
        for (size_t i = 0; i < BUCKETS; i++)
            for (struct entry *e = d->bucket[i]; e; e = e->next)
                if (!oldest || e->used < oldest->used) oldest = e;
        char name[LAR_IMAGE_ID];
        memcpy(name, oldest->name, sizeof name);
        forget(d, name);
    }
}

/* ---- writing ----------------------------------------------------------------------------------------------------------------- */

static int write_all(int fd, const char *p, size_t n)
{
    while (n) {
        ssize_t k = write(fd, p, n);
        if (k < 0 && errno == EINTR) continue;
        if (k <= 0) return -1;
        p += k;
        n -= (size_t)k;
    }
    return 0;
}

static void stamp(int fd, int64_t ns)
{
    struct timespec t[2] = {{.tv_nsec = UTIME_OMIT},
                            {.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000}};
    futimens(fd, t); /* without it a file only seems older */
}

/* 0, or errno. */
static int put_file(struct disk *d, const char *name, size_t tokens, size_t bytes, int64_t used)
{
    char temp[NAME_MAX_N], file[NAME_MAX_N];
    int why = 0;
    snprintf(temp, sizeof temp, "%s%ld", TEMP, (long)getpid());
    file_name(file, name, tokens);
    unlinkat(d->folder, temp, 0);
    int fd = openat(d->folder, temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) return errno;
    if (write_all(fd, d->out.p, bytes) || fsync(fd)) why = errno ? errno : EIO;
    stamp(fd, used);
    if (close(fd) && !why) why = errno;
    if (!why && renameat(d->folder, temp, d->folder, file)) why = errno;
    if (why) unlinkat(d->folder, temp, 0);
    return why;
}

/* A slice becomes a file, unless there is one. 0: it could not be. */
static int keep(struct disk *d, const struct lar_session *s, const char *name, size_t from,
                size_t n, size_t tokens, int64_t used)
{
    struct lar_err err;
    pthread_mutex_lock(&d->lock);
    struct entry *e = find(d, name);
    if (e) e->used = used;
    pthread_mutex_unlock(&d->lock);
    if (e) return 1;
    int64_t bytes = lar_session_pack(s, from, n, NULL, 0, &err);
    buf_clear(&d->out);
    if (bytes < 0 || (double)bytes > d->limit || !buf_room(&d->out, (size_t)bytes) ||
        lar_session_pack(s, from, n, d->out.p, (size_t)bytes, &err) < 0)
        return 0;
    pthread_mutex_lock(&d->lock);
    make_room(d, (double)bytes);
    pthread_mutex_unlock(&d->lock);
    int why = put_file(d, name, tokens, (size_t)bytes, used);
    pthread_mutex_lock(&d->lock);
    if (!why) remember(d, name, tokens, (double)bytes, used);
    if (!why) d->number.written++;
    pthread_mutex_unlock(&d->lock);
    if (why) tell(d, name, strerror(why));
    return !why;
}

static void keep_pages(struct disk *d, const struct lar_session *s, char name[LAR_IMAGE_ID],
                       const int32_t *tokens, size_t n)
{
    int64_t now = now_ns();
    for (size_t at = 0; at + DISK_PAGE <= n; at += DISK_PAGE) {
        chain(name, tokens + at, DISK_PAGE);
        if (!keep(d, s, name, at, DISK_PAGE, 0, now - (int64_t)at)) return;
    }
}

static void keep_session(struct disk *d, const struct lar_session *s)
{
    char model[LAR_IMAGE_ID], name[LAR_IMAGE_ID];
    size_t n = 0, place[3];
    const int32_t *tokens = lar_session_tokens(s, &n);
    int whole = lar_session_places(s, place);
    if (lar_session_identity(s, model, NULL) < 0) return;
    memcpy(name, model, sizeof name);
    if (!whole) keep_pages(d, s, name, tokens, n);
    for (int i = 0; i < whole; i++) {
        if (place[i] < WHOLE_MIN) continue;
        memcpy(name, model, sizeof name);
        chain(name, tokens, place[i]);
        keep(d, s, name, 0, place[i], place[i], now_ns());
    }
    fsync(d->folder);
}

static void *work(void *ctx)
{
    struct disk *d = ctx;
    pthread_mutex_lock(&d->lock);
    for (;;) {
        struct waiting *w = d->first;
        if (!w) {
            if (d->stop) break;
            pthread_cond_wait(&d->wake, &d->lock);
            continue;
        }
        d->first = w->next;
        if (!d->first) d->last = &d->first;
        pthread_mutex_unlock(&d->lock);
        keep_session(d, w->session);
        lar_session_close(w->session);
        pthread_mutex_lock(&d->lock);
        d->nwaiting--;
        d->waiting_bytes -= w->bytes;
        mem_free(w);
    }
    pthread_mutex_unlock(&d->lock);
    return NULL;
}

void disk_take(struct disk *d, struct lar_session *s, double bytes)
{
    size_t n = 0, place[3];
    if (d && s) lar_session_tokens(s, &n);
    struct waiting *w = n >= DISK_PAGE || (n >= WHOLE_MIN && lar_session_places(s, place))
                            ? mem_zalloc(sizeof *w)
                            : NULL;
    if (!w) {
        lar_session_close(s);
        return;
    }
    *w = (struct waiting){NULL, s, bytes};
    pthread_mutex_lock(&d->lock);
    int room = d->ending || (d->nwaiting < WAITING_MAX && d->waiting_bytes + bytes <= d->pending);
    if (room) {
        *d->last = w;
        d->last = &w->next;
        d->nwaiting++;
        d->waiting_bytes += bytes;
        pthread_cond_signal(&d->wake);
    } else {
        d->number.dropped++;
    }
    pthread_mutex_unlock(&d->lock);
    if (room) return;
    lar_session_close(s);
    mem_free(w);
}

/* ---- reading ------------------------------------------------------------------------------------------------------------------- */

/* The whole file into d->in; why not, or NULL. */
static const char *get_file(struct disk *d, const char *name, size_t tokens, int64_t used)
{
    char file[NAME_MAX_N];
    struct stat st;
    const char *why = NULL;
    file_name(file, name, tokens);
    int fd = openat(d->folder, file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0) return "cannot be opened";
    buf_clear(&d->in);
    if (fstat(fd, &st) || !S_ISREG(st.st_mode) || (double)st.st_size > d->limit)
        why = "is no file of this cache";
    else if (!buf_room(&d->in, (size_t)st.st_size))
        why = "there is no memory to read it";
    for (size_t want = why ? 0 : (size_t)st.st_size; want;) {
        ssize_t k = read(fd, d->in.p + d->in.n, want);
        if (k < 0 && errno == EINTR) continue;
        if (k <= 0) {
            why = "cannot be read";
            break;
        }
        d->in.n += (size_t)k;
        want -= (size_t)k;
    }
    if (!why) stamp(fd, used);
    close(fd);
    return why;
}

/* The longest whole beginning of tokens that is there, beyond `have`. */
static void find_whole(struct disk *d, struct disk_run *r, const char *model, const int32_t *tokens,
                       size_t n, size_t have)
{
    size_t below = n;
    for (int tries = 0; tries < LENGTHS_MAX; tries++) {
        size_t most = 0;
        for (size_t i = 0; i < BUCKETS; i++)
            for (const struct entry *e = d->bucket[i]; e; e = e->next)
                if (e->tokens > most && e->tokens < below) most = e->tokens;
        if (most <= have) return;
        memcpy(r->name, model, sizeof r->name);
        chain(r->name, tokens, most);
        const struct entry *e = find(d, r->name);
        if (e && e->tokens == most) {
            r->end = most;
            r->whole = 1;
            return;
        }
        below = most;
    }
}

static void find_pages(struct disk *d, struct disk_run *r, const char *model, const int32_t *tokens,
                       size_t n, size_t have)
{
    char name[LAR_IMAGE_ID];
    size_t at = 0, from = have / DISK_PAGE * DISK_PAGE;
    memcpy(name, model, sizeof name);
    for (; at + DISK_PAGE < n; at += DISK_PAGE) {
        if (at == from) memcpy(r->name, name, sizeof name);
        chain(name, tokens + at, DISK_PAGE);
        if (at >= from && !find(d, name)) break;
    }
    r->at = from;
    r->end = at > have ? at : 0;
}

void disk_find(struct disk *d, struct disk_run *r, struct lar_session *s, const int32_t *tokens,
               size_t n)
{
    char model[LAR_IMAGE_ID];
    size_t have = 0, place[3];
    lar_session_tokens(s, &have);
    *r = (struct disk_run){.end = 0};
    if (lar_session_identity(s, model, NULL) < 0) return;
    pthread_mutex_lock(&d->lock);
    if (lar_session_places(s, place))
        find_whole(d, r, model, tokens, n, have);
    else
        find_pages(d, r, model, tokens, n, have);
    if (!r->end) d->number.misses += n > DISK_PAGE;
    pthread_mutex_unlock(&d->lock);
    if (r->end && r->at < have) lar_session_reuse(s, tokens, r->at ? r->at + 1 : 0);
}

/* What was unpacked must be what the name says: a file may have been put there by somebody else. */
static const char *unpack(struct disk *d, const struct disk_run *r, struct lar_session *s,
                          const int32_t *tokens, size_t n)
{
    struct lar_err err;
    size_t all = 0;
    int64_t got = lar_session_unpack(s, d->in.p, d->in.n, &err);
    const int32_t *have = lar_session_tokens(s, &all);
    if (got < 0) return "damaged or stale, removed; the prompt is read as usual";
    if ((size_t)got == n && all == r->at + n &&
        memcmp(have + r->at, tokens + r->at, n * sizeof *have) == 0)
        return NULL;
    lar_session_reuse(s, NULL, 0);
    return "holds other tokens than its name says, removed";
}

/* One page is bad: those behind it are written again with it, since who damaged one may have damaged more. */
static void forget_rest(struct disk *d, const struct disk_run *r, const int32_t *tokens)
{
    char name[LAR_IMAGE_ID];
    memcpy(name, r->name, sizeof name);
    pthread_mutex_lock(&d->lock);
    for (size_t at = r->at + DISK_PAGE; at < r->end; at += DISK_PAGE) {
        chain(name, tokens + at, DISK_PAGE);
        forget(d, name);
    }
    pthread_mutex_unlock(&d->lock);
}

int disk_next(struct disk *d, struct disk_run *r, struct lar_session *s, const int32_t *tokens)
{
    if (r->at >= r->end) return 0;
    size_t n = r->whole ? r->end : DISK_PAGE;
    int64_t used = now_ns() - (int64_t)r->at;
    if (!r->whole) chain(r->name, tokens + r->at, n);
    const char *why = get_file(d, r->name, r->whole ? n : 0, used);
    if (!why) why = unpack(d, r, s, tokens, n);
    pthread_mutex_lock(&d->lock);
    struct entry *e = find(d, r->name);
    if (why) forget(d, r->name);
    if (why) d->number.bad++;
    if (!why && e) e->used = used;
    if (!why) d->number.hits++, d->number.read += (double)d->in.n;
    pthread_mutex_unlock(&d->lock);
    if (why) tell(d, r->name, why);
    if (why && !r->whole) forget_rest(d, r, tokens);
    r->at += n;
    if (why || r->at >= r->end) r->end = 0;
    return r->end > 0;
}

void disk_look(struct disk *d, struct disk_look *out)
{
    *out = (struct disk_look){0};
    if (!d) return;
    pthread_mutex_lock(&d->lock);
    *out = d->number;
    pthread_mutex_unlock(&d->lock);
}

void disk_metrics(struct disk *d, struct buf *b)
{
    struct disk_look n;
    if (!d) return;
    disk_look(d, &n);
    metrics_one(b, "lar_disk_cache_hits_total", "counter", "Pages of prompts read back from the disk.", (double)n.hits);
    metrics_one(b, "lar_disk_cache_misses_total", "counter", "Prompts of which the disk had nothing.",
                (double)n.misses);
    metrics_one(b, "lar_disk_cache_bad_total", "counter", "Pages that were damaged or stale.", (double)n.bad);
    metrics_one(b, "lar_disk_cache_written_total", "counter", "Pages written.", (double)n.written);
    metrics_one(b, "lar_disk_cache_dropped_total", "counter", "Timelines given up before they were written.",
                (double)n.dropped);
    metrics_one(b, "lar_disk_cache_read_bytes_total", "counter", "Bytes read back.", n.read);
    metrics_one(b, "lar_disk_cache_files", "gauge", "Files of the cache.", (double)n.files);
    metrics_one(b, "lar_disk_cache_bytes", "gauge", "Bytes of them.", n.bytes);
    metrics_one(b, "lar_disk_cache_limit_bytes", "gauge", "Bytes at most.", n.limit);
}

/* ---- life ---------------------------------------------------------------------------------------------------------------------- */

/* What an earlier server left: its names; halves of files go. */
static int read_folder(struct disk *d, struct lar_err *err)
{
    int fd = dup(d->folder);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir) {
        if (fd >= 0) close(fd);
        return lar_fail_errno(err, "--cache-dir");
    }
    rewinddir(dir);
    for (struct dirent *f; (f = readdir(dir));) {
        char name[LAR_IMAGE_ID];
        struct stat st;
        size_t tokens;
        if (strncmp(f->d_name, TEMP, sizeof TEMP - 1) == 0) unlinkat(d->folder, f->d_name, 0);
        if (!parse_name(f->d_name, name, &tokens) || find(d, name)) continue;
        if (fstatat(d->folder, f->d_name, &st, AT_SYMLINK_NOFOLLOW) || !S_ISREG(st.st_mode))
            continue;
        remember(d, name, tokens, (double)st.st_size,
                 (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec);
    }
    closedir(dir);
    make_room(d, 0);
    return 0;
}

static int open_folder(struct disk *d, const char *path, struct lar_err *err)
{
    struct stat st;
    if (mkdir(path, 0700) && errno != EEXIST) return lar_fail_errno(err, "--cache-dir %s", path);
    d->folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (d->folder < 0 || fstat(d->folder, &st)) return lar_fail_errno(err, "--cache-dir %s", path);
    if (st.st_uid != geteuid())
        return lar_fail(
            err, LAR_EINVAL,
            "--cache-dir %s: the folder is somebody else's: what is in it would be believed", path);
    if (st.st_mode & 077 && fchmod(d->folder, 0700))
        return lar_fail_errno(err, "--cache-dir %s: chmod 700", path);
    d->lock_fd = openat(d->folder, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (d->lock_fd < 0) return lar_fail_errno(err, "--cache-dir %s/lock", path);
    if (flock(d->lock_fd, LOCK_EX | LOCK_NB))
        return lar_fail(err, LAR_EINVAL,
                        "--cache-dir %s: another server uses this folder: give each its own", path);
    return read_folder(d, err);
}

static void disk_free(struct disk *d)
{
    for (size_t i = 0; i < BUCKETS; i++)
        for (struct entry *e = d->bucket[i], *next; e; e = next) {
            next = e->next;
            mem_free(e);
        }
    if (d->folder >= 0) close(d->folder);
    if (d->lock_fd >= 0) close(d->lock_fd);
    buf_done(&d->in);
    buf_done(&d->out);
    pthread_mutex_destroy(&d->lock);
    pthread_cond_destroy(&d->wake);
    mem_free(d);
}

int disk_open(struct disk **out, const char *folder, double limit, double pending,
              void (*say)(const char *line), struct lar_err *err)
{
    *out = NULL;
    if (!folder) return 0;
    struct disk *d = mem_zalloc(sizeof *d);
    if (!d) return lar_fail(err, LAR_ENOMEM, "cache: out of memory");
    d->folder = d->lock_fd = -1;
    d->limit = d->number.limit = limit;
    d->pending = pending;
    d->say = say;
    d->last = &d->first;
    pthread_mutex_init(&d->lock, NULL);
    pthread_cond_init(&d->wake, NULL);
    int rc = open_folder(d, folder, err);
    if (rc < 0) {
        disk_free(d);
        return rc;
    }
    *out = d;
    return 0;
}

int disk_start(struct disk *d, struct lar_err *err)
{
    if (!d || pthread_create(&d->thread, NULL, work, d) == 0) {
        if (d) d->running = 1;
        return 0;
    }
    return lar_fail(err, LAR_ENOMEM, "cache: no thread");
}

void disk_last(struct disk *d)
{
    if (!d) return;
    pthread_mutex_lock(&d->lock);
    d->ending = 1;
    pthread_mutex_unlock(&d->lock);
}

void disk_close(struct disk *d)
{
    if (!d) return;
    pthread_mutex_lock(&d->lock);
    d->stop = 1;
    pthread_cond_signal(&d->wake);
    pthread_mutex_unlock(&d->lock);
    if (d->running) pthread_join(d->thread, NULL);
    disk_free(d);
}
