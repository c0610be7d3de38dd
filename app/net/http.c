/* SPDX-License-Identifier: Apache-2.0
 *
 * net/http.c: see http.h. Between a request and the first byte of its answer, and whenever a stream has nothing to send, a connection is
 * suspended: libmicrohttpd neither polls nor times it out. So whether the client is still there is asked of the socket itself (http_gone).
 *
 * A call is counted: one reference is libmicrohttpd's (from the first header to the completed callback), one each is the keepers'. Its lock
 * orders suspending (server's thread) and resuming (anybody's).
 */
#include "net/http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/time.h"
#include "net/mhd.h"
#include "net/origin.h"
#include "net/watch.h"

enum {
    HEADER_BYTES = 32 << 10, /* memory of a connection for its headers */
    STREAM_BYTES = 64 << 20, /* what a slow reader may leave unread */
    CHUNK_BYTES = 16 << 10,
    HEADERS_MAX = 8,
    BACKLOG = 512,
    THREADS = 2,
    CLOSE_MS = 2000,
    FORMER_MAX = 8,
    INHERITED_FD = 3,
    ID_MAX = 64,
};

static char tls_versions[] = "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"; /* GnuTLS's default goes back to 1.0 */

struct http {
    const struct mhd *mhd;
    struct MHD_Daemon *daemon, *former[FORMER_MAX]; /* former: with earlier certificates, until their connections have ended */
    size_t nformer;
    struct watch *watch;
    struct http_options opt;
    char address[160], path[108]; /* path: of a Unix socket, to be removed */
    int fd;
    int stopped;
    atomic_int calls; /* not completed */
};

struct http_call {
    struct http *h;
    atomic_int refs;
    pthread_mutex_t lock;
    struct MHD_Connection *conn; /* NULL: completed */
    struct watched *watched;
    int fd;
    const char *method, *path; /* valid in the handler */
    struct buf body;
    int too_long, handled, suspended;
    int ready, stream, ended; /* an answer can be queued; it is a stream; nothing more comes */
    int gone, status;
    char type[64], origin[256], id[ID_MAX + 1];
    void *owner, *taker;
    int pieces; /* the body is the taker's */
    struct {
        char *name, *value;
    } header[HEADERS_MAX];
    size_t nheader;
    struct buf out;
    size_t sent; /* of out */
    int64_t began;
};

/* ---- calls ----------------------------------------------------------------------------------------------------------- */

void http_keep(struct http_call *c) { atomic_fetch_add(&c->refs, 1); }

void http_drop(struct http_call *c)
{
    if (atomic_fetch_sub(&c->refs, 1) != 1) return;
    for (size_t i = 0; i < c->nheader; i++) {
        mem_free(c->header[i].name);
        mem_free(c->header[i].value);
    }
    buf_done(&c->body);
    buf_done(&c->out);
    pthread_mutex_destroy(&c->lock);
    mem_free(c);
}

const char *http_method(const struct http_call *c) { return c->method; }
const char *http_path(const struct http_call *c) { return c->path; }
struct str http_body(const struct http_call *c) { return buf_view(&c->body); }

const char *http_header(struct http_call *c, const char *name)
{
    return c->h->mhd->lookup_connection_value(c->conn, MHD_HEADER_KIND, name);
}

void http_set_taker(struct http_call *c, void *taker) { c->taker = taker; }
void *http_taker(const struct http_call *c) { return c->taker; }
void http_set_owner(struct http_call *c, void *owner) { c->owner = owner; }
void *http_owner(const struct http_call *c) { return c->owner; }
const char *http_id(const struct http_call *c) { return c->id; }
int http_status(const struct http_call *c) { return c->status; }
double http_ms(const struct http_call *c) { return time_ms_since(c->began); }

const char *http_query(struct http_call *c, const char *name)
{
    return c->h->mhd->lookup_connection_value(c->conn, MHD_GET_ARGUMENT_KIND, name);
}

static char *copy(const char *z)
{
    size_t n = strlen(z) + 1;
    char *p = mem_alloc(n);
    if (p) memcpy(p, z, n);
    return p;
}

void http_set(struct http_call *c, const char *name, const char *value)
{
    if (c->nheader == HEADERS_MAX) return;
    char *n = copy(name), *v = copy(value);
    if (n && v) {
        c->header[c->nheader].name = n;
        c->header[c->nheader++].value = v;
    } else {
        mem_free(n);
        mem_free(v);
    }
}

/* With the lock held. */
static void wake(struct http_call *c)
{
    if (!c->suspended) return;
    c->suspended = 0;
    c->h->mhd->resume_connection(c->conn);
}

static void set_type(struct http_call *c, int status, const char *type)
{
    size_t n = strlen(type);
    c->status = status;
    if (n >= sizeof c->type) n = sizeof c->type - 1;
    memcpy(c->type, type, n);
    c->type[n] = 0;
}

void http_reply(struct http_call *c, int status, const char *type, struct str body)
{
    pthread_mutex_lock(&c->lock);
    if (!c->ready && c->conn) { /* who closed only his sending side still reads it */
        set_type(c, status, type);
        buf_str(&c->out, body);
        if (c->out
                .failed) { /* no memory for the answer: an empty error is the most that can be said */
            buf_done(&c->out);
            c->status = 500;
        }
        c->ready = c->ended = 1;
        wake(c);
    }
    pthread_mutex_unlock(&c->lock);
}

void http_stream(struct http_call *c, int status, const char *type)
{
    pthread_mutex_lock(&c->lock);
    if (!c->ready) {
        set_type(c, status, type);
        c->out.limit = STREAM_BYTES;
        c->ready = c->stream = 1;
    }
    pthread_mutex_unlock(&c->lock);
}

int http_write(struct http_call *c, struct str piece)
{
    pthread_mutex_lock(&c->lock);
    if (c->conn) buf_str(&c->out, piece);
    if (c->out.failed) c->gone = 1;
    int rc = c->gone ? -1 : 0;
    wake(c);
    pthread_mutex_unlock(&c->lock);
    return rc;
}

void http_end(struct http_call *c)
{
    pthread_mutex_lock(&c->lock);
    c->ended = 1;
    wake(c);
    pthread_mutex_unlock(&c->lock);
}

/* Nothing more comes from there. */
static int sends_no_more(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLRDHUP};
    return poll(&p, 1, 0) > 0 && (p.revents & (POLLRDHUP | POLLHUP | POLLERR | POLLNVAL));
}

int http_gone(struct http_call *c)
{
    pthread_mutex_lock(&c->lock);
    if (!c->gone && c->conn && c->fd >= 0 && sends_no_more(c->fd)) c->gone = 1;
    int gone = c->gone;
    pthread_mutex_unlock(&c->lock);
    return gone;
}

/* ---- libmicrohttpd's side ---------------------------------------------------------------------------------------------- */

static ssize_t read_stream(void *ctx, uint64_t pos, char *to, size_t max)
{
    struct http_call *c = ctx;
    ssize_t given = 0;
    (void)pos;
    pthread_mutex_lock(&c->lock);
    size_t left = c->out.n - c->sent, n = left < max ? left : max;
    if (n) {
        memcpy(to, c->out.p + c->sent, n);
        c->sent += n;
        given = (ssize_t)n;
        if (c->sent == c->out.n) {
            buf_clear(&c->out);
            c->sent = 0;
        }
    } else if (c->ended) {
        given = MHD_CONTENT_READER_END_OF_STREAM;
    } else {
        c->suspended = 1;
        c->h->mhd->suspend_connection(c->conn);
    }
    pthread_mutex_unlock(&c->lock);
    return given;
}

static void add_headers(struct http_call *c, struct MHD_Response *r)
{
    const struct mhd *mhd = c->h->mhd;
    if (c->type[0]) mhd->add_response_header(r, "Content-Type", c->type);
    mhd->add_response_header(r, "X-Content-Type-Options", "nosniff");
    mhd->add_response_header(r, "X-Request-Id", c->id);
    /* The library may overlook the end of what a suspended connection sends, and would then keep it open until it is idle for too long. */
    if (c->fd >= 0 && sends_no_more(c->fd)) mhd->add_response_header(r, "Connection", "close");
    for (size_t i = 0; i < c->nheader; i++)
        mhd->add_response_header(r, c->header[i].name, c->header[i].value);
    if (c->origin[0]) {
        mhd->add_response_header(r, "Access-Control-Allow-Origin", c->origin);
        mhd->add_response_header(r, "Vary", "Origin");
    }
}

/* On the server's thread: the answer as far as it is known, or wait for it. The library locks a response when it is queued and when it asks
 * for the next piece (read_stream), so it is queued without our lock: one order for both. */
static enum MHD_Result settle(struct http_call *c)
{
    const struct mhd *mhd = c->h->mhd;
    struct MHD_Response *r;
    pthread_mutex_lock(&c->lock);
    if (!c->ready) {
        c->suspended = 1;
        mhd->suspend_connection(c->conn);
        pthread_mutex_unlock(&c->lock);
        return MHD_YES;
    }
    if (c->stream)
        r = mhd->create_response_from_callback(MHD_SIZE_UNKNOWN, CHUNK_BYTES, read_stream, c, NULL);
    else
        r = mhd->create_response_from_buffer(c->out.n, c->out.p, MHD_RESPMEM_MUST_COPY);
    if (r) add_headers(c, r);
    pthread_mutex_unlock(&c->lock);
    if (!r) return MHD_NO;
    enum MHD_Result ok = mhd->queue_response(c->conn, (unsigned)c->status, r);
    mhd->destroy_response(r);
    return ok;
}

static void take_id(struct http_call *c)
{
    static const char digit[] = "0123456789abcdef";
    const char *asked = http_header(c, "X-Request-Id");
    unsigned char random[16] = {0};
    size_t n = asked ? strlen(asked) : 0, plain = 0;
    for (; plain < n; plain++) {
        char k = asked[plain], small = (char)(k | 32);
        if (!((small >= 'a' && small <= 'z') || (k >= '0' && k <= '9') || k == '.' || k == '_' || k == '-')) break;
    }
    if (n && n <= ID_MAX && plain == n) {
        memcpy(c->id, asked, n);
        return;
    }
    if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random) memcpy(random, &c->began, sizeof c->began);
    for (size_t i = 0; i < sizeof random; i++) {
        c->id[2 * i] = digit[random[i] >> 4];
        c->id[2 * i + 1] = digit[random[i] & 15];
    }
}

static struct http_call *begin(struct http *h, struct MHD_Connection *conn)
{
    const union MHD_ConnectionInfo *info =
        h->mhd->get_connection_info(conn, MHD_CONNECTION_INFO_CONNECTION_FD);
    const union MHD_ConnectionInfo *context =
        h->mhd->get_connection_info(conn, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    struct http_call *c = mem_zalloc(sizeof *c);
    if (!c) return NULL;
    atomic_init(&c->refs, 1);
    pthread_mutex_init(&c->lock, NULL);
    c->h = h;
    c->conn = conn;
    c->fd = info ? (int)info->connect_fd : -1;
    c->watched = context ? context->socket_context : NULL;
    c->body.limit = h->opt.body_max + 1;
    c->began = time_ns();
    take_id(c);
    atomic_fetch_add(&h->calls, 1);
    return c;
}

static void refuse(struct http_call *c, int status, const char *why)
{
    struct buf b = {0};
    buf_puts(&b, "{\"error\":");
    buf_json_str(&b, str_of(why));
    buf_puts(&b, "}\n");
    http_reply(c, status, "application/json", buf_view(&b));
    buf_done(&b);
}

/* What headers alone can decide, before any of the body is taken. */
static void look_at_headers(struct http_call *c)
{
    const struct http_options *o = &c->h->opt;
    const char *host = http_header(c, "Host"), *origin = http_header(c, "Origin");
    const char *length = http_header(c, "Content-Length");
    if (host && !o->any_host && !origin_host_ok(host, o->host_name, o->nhost_name)) {
        refuse(
            c, 403,
            "this Host is not served here: a page may be using another name for this machine (--allow-host)");
    } else if (origin && !origin_ok(origin, o->origin, o->norigin)) {
        refuse(c, 403, "pages of this Origin may not use this server (--allow-origin)");
    } else if (origin && strlen(origin) < sizeof c->origin) {
        memcpy(c->origin, origin, strlen(origin) + 1);
    }
    if (!c->ready && o->wants) c->pieces = o->wants(c, o->ctx);
    if (c->pieces) watch_arrived(c->h->watch, c->watched, 1); /* who may bring so much may take his time */
    if (!c->ready && !c->pieces && length && strtoull(length, NULL, 10) > o->body_max)
        refuse(c, 413, "the body is longer than this server takes (--max-body)");
    if (!c->ready && origin && strcmp(c->method, "OPTIONS") == 0) {
        const char *asked = http_header(c, "Access-Control-Request-Headers");
        http_set(c, "Access-Control-Allow-Methods", "GET, POST, DELETE, HEAD, OPTIONS");
        http_set(c, "Access-Control-Allow-Headers", asked ? asked : "Content-Type, Authorization");
        http_set(c, "Access-Control-Max-Age", "600");
        http_reply(c, 204, "", STR(""));
    }
}

static enum MHD_Result on_request(void *ctx, struct MHD_Connection *conn, const char *url,
                                  const char *method, const char *version, const char *data,
                                  size_t *n, void **state)
{
    struct http *h = ctx;
    struct http_call *c = *state;
    (void)version;
    if (!c) {
        if (!(c = *state = begin(h, conn))) return MHD_NO;
        c->method = method;
        c->path = url;
        look_at_headers(c);
        if (!c->ready) return MHD_YES;
    } else if (
        *n) { /* a piece of the body; what is too long is read to a limit, so that the client reads the answer */
        if (c->pieces)
            h->opt.piece(c, data, *n, h->opt.ctx);
        else if (c->body.n + *n <= h->opt.body_max)
            buf_add(&c->body, data, *n);
        else if (c->too_long++ > 1000)
            return MHD_NO;
        *n = 0;
        return MHD_YES;
    }
    if (!c->handled) {
        c->handled = 1;
        watch_arrived(h->watch, c->watched, 1);
        c->method = method;
        c->path = url;
        if (c->too_long)
            refuse(c, 413, "the body is longer than this server takes (--max-body)");
        else if (c->body.failed)
            refuse(c, 503, "out of memory");
        else if (!c->ready)
            h->opt.handle(c, h->opt.ctx);
    }
    return settle(c);
}

static void on_completed(void *ctx, struct MHD_Connection *conn, void **state,
                         enum MHD_RequestTerminationCode why)
{
    struct http_call *c = *state;
    (void)ctx, (void)conn, (void)why;
    if (!c) return;
    *state = NULL;
    const struct http_options *o = &c->h->opt;
    if (o->done) o->done(o->ctx, c);
    pthread_mutex_lock(&c->lock);
    c->gone = 1;
    c->conn = NULL;
    c->suspended = 0;
    pthread_mutex_unlock(&c->lock);
    watch_arrived(c->h->watch, c->watched, 0);
    atomic_fetch_sub(&c->h->calls, 1);
    http_drop(c);
}

static void on_connection(void *ctx, struct MHD_Connection *conn, void **socket,
                          enum MHD_ConnectionNotificationCode what)
{
    struct http *h = ctx;
    const union MHD_ConnectionInfo *info =
        h->mhd->get_connection_info(conn, MHD_CONNECTION_INFO_CONNECTION_FD);
    if (what == MHD_CONNECTION_NOTIFY_STARTED) {
        *socket = info ? watch_add(h->watch, (int)info->connect_fd) : NULL;
    } else {
        watch_remove(h->watch, *socket);
        *socket = NULL;
    }
}

/* ---- listening --------------------------------------------------------------------------------------------------------- */

static int listen_unix(struct http *h, struct lar_err *err)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    const char *path = h->opt.host;
    struct stat st;
    size_t n = strlen(path);
    if (n >= sizeof a.sun_path)
        return lar_fail(err, LAR_EINVAL, "%s: a socket's path has at most 107 bytes", path);
    memcpy(a.sun_path, path, n + 1);
    h->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (h->fd < 0) return lar_fail_errno(err, "%s", path);
    if (lstat(path, &st) == 0 && S_ISSOCK(st.st_mode)) {
        /* A socket on which nobody listens was left behind. */
        if (connect(h->fd, (struct sockaddr *)&a, sizeof a) == 0)
            return lar_fail(err, LAR_EIO, "%s: somebody serves there already", path);
        unlink(path);
    }
    mode_t old = umask(0777 & ~(mode_t)(h->opt.socket_mode ? h->opt.socket_mode : 0600));
    int bad = bind(h->fd, (struct sockaddr *)&a, sizeof a);
    umask(old);
    if (bad || listen(h->fd, BACKLOG)) return lar_fail_errno(err, "%s", path);
    memcpy(h->path, path, n + 1);
    snprintf(h->address, sizeof h->address, "unix:%s", path);
    return 0;
}

static void write_address(struct http *h, const char *host, const char *port, int brackets)
{
    snprintf(h->address, sizeof h->address, brackets ? "http%s://[%s]:%s" : "http%s://%s:%s",
             h->opt.cert ? "s" : "", host, port);
}

static int listen_tcp(struct http *h, struct lar_err *err)
{
    struct addrinfo hint = {.ai_flags = AI_PASSIVE | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM},
                    *list = NULL;
    struct sockaddr_storage real;
    socklen_t n = sizeof real;
    char port[16], name[64];
    int one = 1;
    snprintf(port, sizeof port, "%d", h->opt.port);
    int rc = getaddrinfo(h->opt.host, port, &hint, &list);
    if (rc) return lar_fail(err, LAR_EINVAL, "--host %s: %s", h->opt.host, gai_strerror(rc));
    h->fd = socket(list->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (h->fd >= 0) setsockopt(h->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (h->fd < 0 || bind(h->fd, list->ai_addr, list->ai_addrlen) || listen(h->fd, BACKLOG)) {
        lar_fail_errno(err,
                       errno == EADDRINUSE
                           ? "%s port %s is taken (another server? --port N chooses another)"
                           : "cannot listen on %s port %s",
                       h->opt.host, port);
        freeaddrinfo(list);
        return LAR_EIO;
    }
    int family = list->ai_family;
    freeaddrinfo(list);
    if (getsockname(h->fd, (struct sockaddr *)&real, &n) ||
        getnameinfo((struct sockaddr *)&real, n, name, sizeof name, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV))
        return lar_fail_errno(err, "%s", h->opt.host);
    write_address(h, name, port, family == AF_INET6);
    return 0;
}

/* What the address of a socket is called: a host, or a path. */
static int name_socket(int fd, char *host, size_t nhost, char *port, size_t nport)
{
    union {
        struct sockaddr any;
        struct sockaddr_storage room;
        struct sockaddr_un un;
    } a;
    socklen_t n = sizeof a;
    memset(&a, 0, sizeof a);
    if (getsockname(fd, &a.any, &n)) return -1;
    port[0] = 0;
    if (a.any.sa_family != AF_UNIX)
        return getnameinfo(&a.any, n, host, (socklen_t)nhost, port, (socklen_t)nport,
                           NI_NUMERICHOST | NI_NUMERICSERV);
    /* one without a path, or with a name of its own, is as good as one: nobody from another machine reaches it */
    snprintf(host, nhost, "%s", a.un.sun_path[0] == '/' ? a.un.sun_path : "/");
    return 0;
}

/* sd_listen_fds(3): the first descriptor is 3, LISTEN_PID says whose they are. */
int http_inherited(char *host, size_t n, struct lar_err *err)
{
    const char *pid = getenv("LISTEN_PID"), *count = getenv("LISTEN_FDS");
    char port[16];
    int listens = 0;
    socklen_t size = sizeof listens;
    if (!pid || !count || strtol(pid, NULL, 10) != (long)getpid()) return 0;
    if (strcmp(count, "1") != 0)
        return lar_fail(err, LAR_EINVAL, "LISTEN_FDS is %.20s: a server takes one socket", count);
    if (getsockopt(INHERITED_FD, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) || !listens ||
        name_socket(INHERITED_FD, host, n, port, sizeof port))
        return lar_fail(err, LAR_EINVAL, "LISTEN_FDS: descriptor 3 is no socket that listens");
    return 1;
}

static int listen_inherited(struct http *h, struct lar_err *err)
{
    char host[108], port[16];
    h->fd = INHERITED_FD;
    fcntl(h->fd, F_SETFD, FD_CLOEXEC);
    if (fcntl(h->fd, F_SETFL, fcntl(h->fd, F_GETFL) | O_NONBLOCK) ||
        name_socket(h->fd, host, sizeof host, port, sizeof port))
        return lar_fail_errno(err, "the inherited socket");
    if (port[0])
        write_address(h, host, port, strchr(host, ':') != NULL);
    else
        snprintf(h->address, sizeof h->address, "unix:%s", host);
    return 0;
}

static int start_daemon(struct http *h, int fd, struct lar_err *err)
{
    const struct http_options *o = &h->opt;
    unsigned flags = MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_EPOLL | MHD_USE_SUSPEND_RESUME;
    struct MHD_OptionItem tls[] = {{MHD_OPTION_HTTPS_MEM_CERT, 0, (void *)(uintptr_t)o->cert},
                                   {MHD_OPTION_HTTPS_MEM_KEY, 0, (void *)(uintptr_t)o->key},
                                   {MHD_OPTION_HTTPS_PRIORITIES, 0, tls_versions},
                                   {MHD_OPTION_END, 0, NULL}};
    if (o->cert && h->mhd->is_feature_supported(MHD_FEATURE_TLS) != MHD_YES)
        return lar_fail(err, LAR_EUNSUPPORTED, "this machine's libmicrohttpd was built without TLS");
    h->daemon = h->mhd->start_daemon(
        flags | (o->cert ? MHD_USE_TLS : 0u), 0, NULL, NULL, on_request, h, MHD_OPTION_LISTEN_SOCKET, fd,
        MHD_OPTION_NOTIFY_COMPLETED, on_completed, NULL, MHD_OPTION_NOTIFY_CONNECTION, on_connection, h,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HEADER_BYTES, MHD_OPTION_CONNECTION_LIMIT,
        (unsigned)o->connections, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)o->patience_s,
        MHD_OPTION_THREAD_POOL_SIZE, (unsigned)THREADS, MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_ARRAY,
        o->cert ? tls : &tls[3], MHD_OPTION_END);
    if (h->daemon) return 0;
    return lar_fail(err, o->cert ? LAR_EINVAL : LAR_EIO,
                    o->cert ? "%s: the HTTP server does not start: are --tls-cert and --tls-key a pair in PEM?"
                            : "%s: the HTTP server does not start",
                    h->address);
}

int http_open(struct http **out, const struct http_options *opt, struct lar_err *err)
{
    struct http *h = mem_zalloc(sizeof *h);
    int rc;
    *out = NULL;
    if (!h) return lar_fail(err, LAR_ENOMEM, "server: out of memory");
    h->opt = *opt;
    h->fd = -1;
    if (!(h->mhd = mhd_load(err)))
        rc = LAR_EIO;
    else if (opt->inherited)
        rc = listen_inherited(h, err);
    else
        rc = opt->host[0] == '/' ? listen_unix(h, err) : listen_tcp(h, err);
    if (rc == 0) rc = watch_open(&h->watch, (int64_t)opt->patience_s * 1000000000, err);
    if (rc == 0) rc = start_daemon(h, h->fd, err);
    if (rc < 0) {
        watch_close(h->watch);
        if (h->fd >= 0) close(h->fd);
        if (h->path[0]) unlink(h->path);
        mem_free(h);
        return rc;
    }
    *out = h;
    return 0;
}

/* Those whose connections have all ended. */
static void end_former(struct http *h)
{
    size_t kept = 0;
    for (size_t i = 0; i < h->nformer; i++) {
        const union MHD_DaemonInfo *info = h->mhd->get_daemon_info(h->former[i], MHD_DAEMON_INFO_CURRENT_CONNECTIONS);
        if (info && info->num_connections)
            h->former[kept++] = h->former[i];
        else
            h->mhd->stop_daemon(h->former[i]);
    }
    h->nformer = kept;
}

/* The library reads a certificate when a daemon starts. A trial without a socket finds out whether it would, since one that fails may close its. */
static int is_pair(const struct http *h, const char *cert, const char *key)
{
    struct MHD_Daemon *d = h->mhd->start_daemon(
        MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_USE_TLS, 0, NULL, NULL,
        on_request, NULL, MHD_OPTION_HTTPS_MEM_CERT, cert, MHD_OPTION_HTTPS_MEM_KEY, key, MHD_OPTION_END);
    if (d) h->mhd->stop_daemon(d);
    return d != NULL;
}

int http_certify(struct http *h, const char *cert, const char *key, struct lar_err *err)
{
    struct MHD_Daemon *old = h->daemon;
    const char *was[2] = {h->opt.cert, h->opt.key};
    end_former(h);
    if (h->nformer == FORMER_MAX)
        return lar_fail(err, LAR_ELIMIT, "connections with %d earlier certificates are open still", FORMER_MAX);
    if (!is_pair(h, cert, key)) return lar_fail(err, LAR_EINVAL, "--tls-cert and --tls-key are no pair in PEM");
    int fd = fcntl(h->fd, F_DUPFD_CLOEXEC, 0);
    if (fd < 0) return lar_fail_errno(err, "%s", h->address);
    h->opt.cert = cert;
    h->opt.key = key;
    int rc = start_daemon(h, fd, err);
    if (rc < 0) {
        h->opt.cert = was[0];
        h->opt.key = was[1];
        return rc;
    }
    h->mhd->quiesce_daemon(old);
    h->former[h->nformer++] = old;
    close(h->fd); /* of the old one, which takes no more */
    h->fd = fd;
    return 0;
}

const char *http_address(const struct http *h) { return h->address; }

void http_stop_listening(struct http *h)
{
    if (h->stopped) return;
    h->stopped = 1;
    h->mhd->quiesce_daemon(h->daemon);
    close(h->fd);
    if (h->path[0]) unlink(h->path);
}

void http_close(struct http *h)
{
    if (!h) return;
    http_stop_listening(h);
    /* What is answered but not yet sent goes out first. */
    for (int i = 0; i < CLOSE_MS && atomic_load(&h->calls); i++)
        nanosleep(&(struct timespec){0, 1000000}, NULL);
    for (size_t i = 0; i < h->nformer; i++) h->mhd->stop_daemon(h->former[i]);
    h->mhd->stop_daemon(h->daemon);
    watch_close(h->watch);
    mem_free(h);
}
