/* SPDX-License-Identifier: Apache-2.0
 * store/registry.c: see registry.h. */
#include "store/registry.h"

#include <stdlib.h>
#include <strings.h>

#include "base/json.h"
#include "base/mem.h"

static const char *env(const char *name)
{
    const char *v = getenv(name);
    return v && *v ? v : NULL;
}

static int is_loopback(const char *host)
{
    return strncmp(host, "127.", 4) == 0 || strcmp(host, "localhost") == 0 ||
           strncmp(host, "localhost:", 10) == 0;
}

int registry_open(struct registry *r, const struct name *n, struct lar_err *err)
{
    const char *mirror = strcmp(n->host, NAME_HOST) == 0 ? env("LAR_REGISTRY") : NULL;
    *r = (struct registry){0};
    if (mirror && strncasecmp(mirror, "http://", 7) != 0 && strncasecmp(mirror, "https://", 8) != 0)
        return lar_fail(err, LAR_EINVAL,
                        "LAR_REGISTRY=%s: an address begins with https:// or http://", mirror);
    if (mirror)
        buf_puts(&r->base, mirror);
    else /* one's own machine has seldom a certificate */
        buf_printf(&r->base, "%s://%s", n->plain || is_loopback(n->host) ? "http" : "https",
                   n->host);
    while (r->base.n && r->base.p[r->base.n - 1] == '/') r->base.n--;
    buf_printf(&r->base, "/v2/%s/%s", n->space, n->model);
    return r->base.failed ? lar_fail(err, LAR_ENOMEM, "registry: out of memory") : 0;
}

void registry_done(struct registry *r)
{
    buf_done(&r->base);
    buf_done(&r->authorization);
}

void registry_base64(struct str s, struct buf *b)
{
    static const char digit[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < s.n; i += 3) {
        unsigned v = 0;
        for (size_t j = 0; j < 3; j++) v = v << 8 | (i + j < s.n ? (unsigned char)s.p[i + j] : 0u);
        for (size_t j = 0; j < 4; j++)
            buf_putc(b, i + j <= s.n ? digit[v >> (18 - 6 * j) & 63] : '=');
    }
}

static void encode(struct str s, struct buf *b)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        int plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                    strchr("-_.~", c);
        if (plain && c)
            buf_putc(b, (char)c);
        else
            buf_printf(b, "%%%02X", c);
    }
}

static void basic(struct buf *b)
{
    const char *who = env("LAR_REGISTRY_AUTH");
    if (!who) return;
    buf_puts(b, "Basic ");
    registry_base64(str_of(who), b);
}

static int take_token(struct registry *r, const struct client_reply *reply, struct lar_err *err)
{
    struct arena a;
    struct lar_err why;
    arena_init(&a, 16 << 20);
    const struct json *v = json_parse(&a, buf_view(&reply->body), &why);
    struct str token =
        json_str(json_get(v, "token"), json_str(json_get(v, "access_token"), STR("")));
    int e = 0;
    if (!token.n || memchr(token.p, '\n', token.n) || memchr(token.p, '\r', token.n))
        e = lar_fail(err, LAR_EFORMAT, "%.120s: gives no token", buf_z(&reply->url));
    buf_clear(&r->authorization);
    buf_puts(&r->authorization, "Bearer ");
    buf_str(&r->authorization, token);
    arena_done(&a);
    return e;
}

/* Bearer realm="https://...",service="...",scope="..." */
static int bearer(struct registry *r, const char *challenge, struct lar_err *err)
{
    struct buf realm = {0}, url = {0}, part = {0}, who = {0};
    struct client_reply reply = {0};
    static const char *const keys[] = {"service", "scope"};
    int e = 0;
    client_param(challenge, "realm", &realm);
    buf_str(&url, buf_view(&realm));
    for (int i = 0; i < 2; i++) {
        buf_clear(&part);
        if (!client_param(challenge, keys[i], &part)) continue;
        buf_printf(&url, "%c%s=", strchr(buf_z(&url), '?') ? '&' : '?', keys[i]);
        encode(buf_view(&part), &url);
    }
    if (client_same_origin(buf_z(&realm), buf_z(&r->base))) basic(&who);
    struct client_call c = {.url = buf_z(&url), .authorization = who.n ? buf_z(&who) : NULL};
    if (!realm.n)
        e = lar_fail(err, LAR_EFORMAT, "%.120s: asks for a token but names no place to get one",
                     buf_z(&r->base));
    else if (url.failed || who.failed)
        e = lar_fail(err, LAR_ENOMEM, "registry: out of memory");
    else if ((e = client_call(&c, &reply, err)) == 0)
        e = reply.status == 200 ? take_token(r, &reply, err)
                                : registry_refused(&reply, buf_z(&realm), err);
    client_done(&reply);
    buf_done(&realm);
    buf_done(&url);
    buf_done(&part);
    buf_done(&who);
    return e;
}

static int authorise(struct registry *r, const char *challenge, struct lar_err *err)
{
    if (strncasecmp(challenge, "Bearer", 6) == 0) return bearer(r, challenge, err);
    buf_clear(&r->authorization);
    if (strncasecmp(challenge, "Basic", 5) == 0) basic(&r->authorization);
    if (r->authorization.n) return 0;
    return lar_fail(err, LAR_EIO, "%.120s: wants to know who asks: LAR_REGISTRY_AUTH=user:password",
                    buf_z(&r->base));
}

int registry_call(struct registry *r, struct client_call *c, const char *path,
                  struct client_reply *reply, struct lar_err *err)
{
    struct buf url = {0}, challenge = {0};
    if (strncasecmp(path, "http", 4) != 0) buf_str(&url, buf_view(&r->base));
    buf_puts(&url, path);
    int e = url.failed ? lar_fail(err, LAR_ENOMEM, "registry: out of memory") : 0;
    *reply = (struct client_reply){0};
    c->on_wait = r->on_wait;
    c->wait_ctx = r->ctx;
    for (int i = 0; e == 0 && i < 2; i++) {
        c->url = buf_z(&url);
        int ours = client_same_origin(c->url, buf_z(&r->base));
        c->authorization = ours && r->authorization.n ? buf_z(&r->authorization) : NULL;
        client_done(reply);
        e = client_call(c, reply, err);
        if (e < 0 || reply->status != 401 || i || reply->crossed || !ours) break;
        buf_clear(&challenge);
        buf_str(&challenge, buf_view(&reply->challenge));
        e = authorise(r, buf_z(&challenge), err);
    }
    c->url = NULL; /* it is gone now */
    buf_done(&url);
    buf_done(&challenge);
    return e;
}

int registry_refused(const struct client_reply *reply, const char *what, struct lar_err *err)
{
    struct arena a;
    struct lar_err none;
    arena_init(&a, 16 << 20);
    const struct json *v = json_parse(&a, buf_view(&reply->body), &none),
                      *list = json_get(v, "errors");
    struct str why = json_str(json_get(list ? list->child : NULL, "message"),
                              json_str(json_get(v, "error"), STR("")));
    int e =
        reply->status == 404 ? lar_fail(err, LAR_EIO, "%s: is not there (%.*s)", what, STR_ARG(why))
        : reply->status == 401
            ? lar_fail(err, LAR_EIO, "%s: may not be read by whom we say we are (%.*s)", what,
                       STR_ARG(why))
        : reply->again_s
            ? lar_fail(err, LAR_EIO, "%s: the server says %ld, and to come back in %lld seconds",
                       what, reply->status, (long long)reply->again_s)
            : lar_fail(err, LAR_EIO, "%s: the server says %ld (%.*s)", what, reply->status,
                       STR_ARG(why));
    arena_done(&a);
    return e;
}
