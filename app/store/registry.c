/* SPDX-License-Identifier: Apache-2.0
 * store/registry.c: see registry.h. */
#include "store/registry.h"

#include <stdlib.h>
#include <strings.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "base/json.h"
#include "base/mem.h"
#include "net/crypto.h"

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
    *r = (struct registry){.ollama = strcmp(n->host, NAME_HOST) == 0};
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
    crypto_base64(who, strlen(who), b);
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

/* Where the key for Ollama's registry lies; 0 when there is none. */
static int key_path(struct buf *path)
{
    const char *own = env("LAR_REGISTRY_KEY"), *home = env("HOME");
    if (own)
        buf_puts(path, own);
    else if (home)
        buf_printf(path, "%s/.ollama/id_ed25519", home);
    return path->n && !path->failed && (own || access(buf_z(path), R_OK) == 0);
}

/* Ollama's registry knows who asks by a key: the request for a token is signed (ollama/ollama, server/auth.go): its address, with the time and a
 * number used once in it, and the digest of its body, which is empty. */
static int sign(const char *key, struct buf *url, struct buf *who, struct lar_err *err)
{
    unsigned char nonce[16];
    struct buf text = {0};
    char hex[SHA256_HEX + 1];
    if (getrandom(nonce, sizeof nonce, 0) != sizeof nonce)
        return lar_fail_errno(err, "registry: no random number");
    buf_printf(url, "%cts=%lld&nonce=", strchr(buf_z(url), '?') ? '&' : '?', (long long)time(NULL));
    for (size_t i = 0; i < sizeof nonce; i++) buf_printf(url, "%02x", nonce[i]);
    sha256_of("", 0, hex);
    buf_printf(&text, "GET,%s,", buf_z(url));
    crypto_base64(hex, SHA256_HEX, &text);
    int e = text.failed ? lar_fail(err, LAR_ENOMEM, "registry: out of memory")
                        : crypto_sign(key, buf_view(&text), who, err);
    buf_done(&text);
    return e;
}

int registry_stranger(const struct registry *r, const char *what, struct lar_err *err)
{
    if (r->ollama)
        return lar_fail(
            err, LAR_EIO,
            "%s: Ollama's registry knows who asks by the key ~/.ollama/id_ed25519 (ssh-keygen -t ed25519 -N '' "
            "makes one), whose .pub the account there must list; it takes names of that account only",
            what);
    return lar_fail(
        err, LAR_EIO,
        "%s: the registry does not let us do that: LAR_REGISTRY_AUTH=user:password says who asks",
        what);
}

/* Bearer realm="https://...",service="...",scope="..." */
static int bearer(struct registry *r, const char *challenge, struct lar_err *err)
{
    struct buf realm = {0}, url = {0}, part = {0}, who = {0}, key = {0};
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
    int ours = client_same_origin(buf_z(&realm), buf_z(&r->base));
    if (ours) basic(&who);
    if (ours && r->ollama && !who.n && key_path(&key)) e = sign(buf_z(&key), &url, &who, err);
    struct client_call c = {.url = buf_z(&url), .authorization = who.n ? buf_z(&who) : NULL};
    if (e < 0)
        ;
    else if (!realm.n)
        e = lar_fail(err, LAR_EFORMAT, "%.120s: asks for a token but names no place to get one",
                     buf_z(&r->base));
    else if (url.failed || who.failed)
        e = lar_fail(err, LAR_ENOMEM, "registry: out of memory");
    else if ((e = client_call(&c, &reply, err)) == 0)
        e = reply.status == 200 ? take_token(r, &reply, err)
            : reply.status == 401 || reply.status == 403
                ? registry_stranger(r, buf_z(&realm), err)
                : registry_refused(&reply, buf_z(&realm), err);
    client_done(&reply);
    buf_done(&realm);
    buf_done(&url);
    buf_done(&part);
    buf_done(&who);
    buf_done(&key);
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
    struct buf in_its_words = {0};
    if (why.n) buf_printf(&in_its_words, " (%.*s)", STR_ARG(why));
    const char *words = buf_z(&in_its_words);
    int e =
        reply->status == 404 ? lar_fail(err, LAR_EIO, "%s: is not there%s", what, words)
        : reply->status == 401
            ? lar_fail(err, LAR_EIO, "%s: may not be read by whom we say we are%s", what, words)
        : reply->again_s
            ? lar_fail(err, LAR_EIO, "%s: the server says %ld, and to come back in %lld seconds",
                       what, reply->status, (long long)reply->again_s)
            : lar_fail(err, LAR_EIO, "%s: the server says %ld%s", what, reply->status, words);
    buf_done(&in_its_words);
    arena_done(&a);
    return e;
}
