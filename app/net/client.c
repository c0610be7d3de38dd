/* SPDX-License-Identifier: Apache-2.0
 * net/client.c: see client.h. */
#include "net/client.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

#include "net/again.h"
#include "net/curl.h"

enum { REDIRECTS_MAX = 10, ERROR_BYTES = 256, BODY_MAX = 16 << 20 };

void client_done(struct client_reply *r)
{
    buf_done(&r->body);
    buf_done(&r->url);
    buf_done(&r->location);
    buf_done(&r->challenge);
    buf_done(&r->link);
    buf_done(&r->digest);
    buf_done(&r->range);
    buf_done(&r->upload);
    buf_done(&r->next);
    *r = (struct client_reply){0};
}

/* "https://host:port" of a URL, the port always there. */
static int origin(const char *url, char *out, size_t n)
{
    int tls = strncasecmp(url, "https://", 8) == 0;
    if (!tls && strncasecmp(url, "http://", 7) != 0) return -1;
    const char *host = url + (tls ? 8 : 7), *at;
    size_t k = strcspn(host, "/?#");
    while ((at = memchr(host, '@', k))) k -= (size_t)(at + 1 - host), host = at + 1;
    int port = k && host[0] == '[' ? host[k - 1] != ']' : memchr(host, ':', k) != NULL;
    int len = snprintf(out, n, "%s://%.*s%s", tls ? "https" : "http", (int)k, host,
                       port  ? ""
                       : tls ? ":443"
                             : ":80");
    return len > 0 && (size_t)len < n ? 0 : -1;
}

int client_same_origin(const char *a, const char *b)
{
    char x[512], y[512];
    return origin(a, x, sizeof x) == 0 && origin(b, y, sizeof y) == 0 && strcasecmp(x, y) == 0;
}

int client_resolve(const char *url, const char *location, struct buf *out, struct lar_err *err)
{
    const char *host = strstr(url, "://"), *path = host ? strchr(host + 3, '/') : NULL;
    int plain = *location != 0;
    for (const char *p = location; *p; p++) plain &= *p > ' ' && *p != 0x7f;
    if (strncasecmp(location, "http://", 7) == 0 || strncasecmp(location, "https://", 8) == 0)
        buf_puts(out, location);
    else if (plain && path && location[0] == '/' && location[1] != '/')
        buf_printf(out, "%.*s%s", (int)(path - url), url, location);
    else
        plain = 0;
    if (!plain)
        return lar_fail(err, LAR_EFORMAT, "%.100s: leads to '%.60s', which is no address", url,
                        location);
    return out->failed ? lar_fail(err, LAR_ENOMEM, "%.100s: out of memory", url) : 0;
}

int client_param(const char *list, const char *key, struct buf *out)
{
    size_t n = strlen(key);
    for (const char *p = list; (p = strcasestr(p, key)); p++) {
        if ((p > list && p[-1] != ' ' && p[-1] != ',') || p[n] != '=') continue;
        const char *v = p + n + 1;
        size_t k = *v == '"' ? strcspn(v + 1, "\"") : strcspn(v, ", ");
        buf_add(out, *v == '"' ? v + 1 : v, k);
        return !out->failed;
    }
    return 0;
}

/* ---- what comes ---------------------------------------------------------------------------------------------------- */

struct transfer {
    const struct client_call *c;
    struct client_reply *r;
    uint64_t sent;
    size_t max;
    int too_much, stopped;
};

static size_t on_body(char *p, size_t size, size_t n, void *ctx)
{
    struct transfer *t = ctx;
    n *= size;
    if (t->r->body.n + n > t->max) {
        t->too_much = 1;
        return 0;
    }
    buf_add(&t->r->body, p, n);
    return t->r->body.failed ? 0 : n;
}

static int header(const char *p, size_t n, const char *name, struct buf *out)
{
    size_t k = strlen(name);
    if (n < k + 1 || strncasecmp(p, name, k) != 0 || p[k] != ':') return 0;
    p += k + 1, n -= k + 1;
    while (n && (*p == ' ' || *p == '\t')) p++, n--;
    while (n && (unsigned char)p[n - 1] <= ' ') n--;
    buf_clear(out);
    buf_add(out, p, n);
    return 1;
}

static size_t on_header(char *p, size_t size, size_t n, void *ctx)
{
    struct transfer *t = ctx;
    struct client_reply *r = t->r;
    struct buf v = {0};
    n *= size;
    if (n > 5 && memcmp(p, "HTTP/", 5) == 0) { /* a new answer, after "100 Continue" too */
        r->length = r->total = -1;
        r->again_s = 0;
    } else if (header(p, n, "content-length", &v)) {
        r->length = strtoll(buf_z(&v), NULL, 10);
    } else if (header(p, n, "content-range", &v)) {
        const char *slash = strchr(buf_z(&v), '/');
        r->total = slash && slash[1] != '*' ? strtoll(slash + 1, NULL, 10) : -1;
    } else if (header(p, n, "retry-after", &v)) {
        r->again_s = again_seconds(buf_z(&v));
    } else if (!header(p, n, "www-authenticate", &r->challenge) &&
               !header(p, n, "link", &r->link) &&
               !header(p, n, "docker-content-digest", &r->digest) &&
               !header(p, n, "docker-upload-location", &r->next) &&
               !header(p, n, "range", &r->range)) {
        header(p, n, "location", &r->upload);
    }
    buf_done(&v);
    return n;
}

static size_t on_send(char *p, size_t size, size_t n, void *ctx)
{
    struct transfer *t = ctx;
    const struct client_call *c = t->c;
    n *= size;
    if (c->body) {
        size_t left = c->body_n - (size_t)t->sent;
        n = n < left ? n : left;
        if (n) memcpy(p, (const char *)c->body + t->sent, n);
    } else {
        uint64_t left = c->fd_bytes - t->sent;
        ssize_t k = pread(c->fd, p, n < left ? n : (size_t)left, (off_t)(c->fd_from + t->sent));
        n = k > 0 ? (size_t)k : 0;
    }
    t->sent += n;
    if (c->on_sent && c->on_sent(c->ctx, t->sent)) {
        t->stopped = 1;
        return CURL_READ_ABORT;
    }
    return n;
}

/* ---- one request --------------------------------------------------------------------------------------------------------- */

static struct curl_slist *headers(const struct curl *k, const struct client_call *c, int authorise)
{
    struct buf b = {0};
    struct curl_slist *list = k->slist_append(NULL, c->expect ? "Expect: 100-continue" : "Expect:");
    for (size_t i = 0; c->header && c->header[i]; i++) list = k->slist_append(list, c->header[i]);
    if (authorise && c->authorization) {
        buf_printf(&b, "Authorization: %s", c->authorization);
        list = k->slist_append(list, buf_z(&b));
    }
    buf_done(&b);
    return list;
}

static int once(const struct curl *k, void *easy, const struct client_call *c, const char *url,
                int authorise, struct client_reply *r, struct lar_err *err)
{
    struct transfer t = {c, r, 0, c->body_max ? c->body_max : BODY_MAX, 0, 0};
    char why[ERROR_BYTES] = "";
    struct curl_slist *list = headers(k, c, authorise);
    const char *next = NULL;
    uint64_t sends = c->body ? c->body_n : c->fd_bytes;
    curl_begin(easy, url, 60);
    k->easy_setopt(easy, CURL_ERRORBUFFER, why);
    k->easy_setopt(easy, CURL_HTTPHEADER, list);
    k->easy_setopt(easy, CURL_WRITEFUNCTION, on_body);
    k->easy_setopt(easy, CURL_WRITEDATA, &t);
    k->easy_setopt(easy, CURL_HEADERFUNCTION, on_header);
    k->easy_setopt(easy, CURL_HEADERDATA, &t);
    if (sends || (c->method && strcmp(c->method, "GET") != 0 && strcmp(c->method, "HEAD") != 0)) {
        k->easy_setopt(easy, CURL_UPLOAD, 1L);
        k->easy_setopt(easy, CURL_READFUNCTION, on_send);
        k->easy_setopt(easy, CURL_READDATA, &t);
        k->easy_setopt(easy, CURL_INFILESIZE_LARGE, (int64_t)sends);
        if (c->rate) k->easy_setopt(easy, CURL_MAX_SEND_SPEED_LARGE, (int64_t)c->rate);
    }
    if (c->method && strcmp(c->method, "HEAD") == 0)
        k->easy_setopt(easy, CURL_NOBODY, 1L);
    else if (c->method)
        k->easy_setopt(easy, CURL_CUSTOMREQUEST, c->method);
    int code = k->easy_perform(easy), e = 0;
    if (t.stopped)
        e = lar_fail(err, LAR_ECANCEL, "stopped");
    else if (t.too_much)
        e = lar_fail(err, LAR_ELIMIT, "%s: the answer is longer than %zu bytes", url, t.max);
    else if (code)
        e = lar_fail(err, LAR_EIO, "%s: %s", url, why[0] ? why : k->easy_strerror(code));
    k->easy_getinfo(easy, CURL_GET_STATUS, &r->status);
    k->easy_getinfo(easy, CURL_GET_REDIRECT, &next);
    buf_clear(&r->location);
    if (next) buf_puts(&r->location, next);
    buf_clear(&r->url);
    buf_puts(&r->url, url);
    k->slist_free_all(list);
    return e;
}

static int is_redirect(long status)
{
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

/* One request and the redirects that it leads to. */
static int follow(const struct curl *k, void *easy, const struct client_call *c,
                  struct client_reply *r, struct lar_err *err)
{
    struct buf url = {0};
    int e = 0;
    r->crossed = 0;
    buf_puts(&url, c->url);
    for (int i = 0;; i++) {
        buf_clear(&r->body);
        e = once(k, easy, c, buf_z(&url), !r->crossed, r, err);
        if (e < 0 || c->stay || !is_redirect(r->status) || !r->location.n) break;
        const char *to = buf_z(&r->location);
        if (i == REDIRECTS_MAX)
            e = lar_fail(err, LAR_EIO, "%s: more than %d redirects", c->url, REDIRECTS_MAX);
        if (e == 0 && strncasecmp(buf_z(&url), "https:", 6) == 0 &&
            strncasecmp(to, "https:", 6) != 0)
            e = lar_fail(err, LAR_EIO, "%s: leads from https to %s, which is refused", buf_z(&url),
                         to);
        if (e < 0) break;
        if (!client_same_origin(c->url, to)) r->crossed = 1;
        buf_clear(&url);
        buf_str(&url, buf_view(&r->location));
    }
    if (e == 0 && (url.failed || r->body.failed))
        e = lar_fail(err, LAR_ENOMEM, "%s: out of memory", c->url);
    buf_done(&url);
    return e;
}

/* Is asking again no harm? Questions change nothing, and 429 and 503 say that nothing was done. Who sends a file asks where it stands first. */
static int worth_again(const struct client_call *c, long status)
{
    int question = !c->method || strcmp(c->method, "GET") == 0 || strcmp(c->method, "HEAD") == 0;
    return !c->fd_bytes && (question ? again_status(status) : status == 429 || status == 503);
}

int client_call(const struct client_call *c, struct client_reply *r, struct lar_err *err)
{
    const struct curl *k;
    *r = (struct client_reply){.length = -1, .total = -1};
    int e = curl_open(&k, err);
    if (e < 0) return e;
    void *easy = k->easy_init();
    if (!easy) return lar_fail(err, LAR_ENOMEM, "%s: out of memory", c->url);
    for (int tries = 1;; tries++) {
        e = follow(k, easy, c, r, err);
        if (e < 0 || !worth_again(c, r->status) || tries == AGAIN_TRIES) break;
        int64_t pause = again_pause(r->again_s, tries);
        if (pause < 0) break;
        if (again_wait(pause, c->on_wait, c->wait_ctx)) {
            e = lar_fail(err, LAR_ECANCEL, "stopped");
            break;
        }
    }
    k->easy_cleanup(easy);
    return e;
}
