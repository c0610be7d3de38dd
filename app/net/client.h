/* SPDX-License-Identifier: Apache-2.0
 *
 * net/client.h: one request, one answer. Redirects are followed here, not by libcurl: what authorises goes to the origin (scheme, host, port)
 * that it was meant for and to no other, and https never becomes http.
 */
#ifndef NET_CLIENT_H
#define NET_CLIENT_H

#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

struct client_call {
    const char *method; /* NULL: GET */
    const char *url;
    const char *authorization; /* the header's value, for the origin of url; NULL: none */
    const char *const *header; /* further ones, "Name: value", ended by NULL; may be NULL */
    const void *body;          /* sent; NULL: none */
    size_t body_n;
    int fd; /* else, when fd_bytes > 0: so many sent from this file, from fd_from on */
    uint64_t fd_from, fd_bytes;
    uint64_t rate; /* bytes a second at most that are sent, 0: no limit */
    /* Called with the bytes sent so far; non-zero stops with LAR_ECANCEL. May be NULL. */
    int (*on_sent)(void *ctx, uint64_t sent);
    void *ctx;
    /* Called while we wait since the server asks for patience (429, 503), before asking again; non-zero stops. May be NULL. */
    int (*on_wait)(void *ctx);
    void *wait_ctx;
    int stay;   /* 1: redirects are given, not followed */
    int expect; /* 1: what is sent waits for the server's "continue" (a second at most), which may lead it elsewhere */
    size_t body_max; /* of the answer, 0: 16 MiB */
};
struct client_reply {
    long status;
    struct buf body;
    struct buf url;      /* that answered */
    struct buf location; /* absolute; of a redirect that was not followed */
    /* WWW-Authenticate, Link, Docker-Content-Digest, Range, Location as it was sent */
    struct buf challenge, link, digest, range, upload;
    struct buf next;       /* Docker-Upload-Location, as it was sent */
    int64_t again_s;       /* Retry-After in seconds, 0 when absent */
    int64_t length, total; /* Content-Length; of Content-Range the whole; -1 when absent */
    int crossed;           /* a redirect led to another origin */
};

/* LAR_EIO when there is no answer; a status of 400 and more is an answer. r is the caller's to free with client_done, always. */
int client_call(const struct client_call *c, struct client_reply *r, struct lar_err *err);
void client_done(struct client_reply *r);
/* The absolute address that location, as url's server sent it, means; appended to out. LAR_EFORMAT when it is none. */
int client_resolve(const char *url, const char *location, struct buf *out, struct lar_err *err);
/* 1 when both have the same scheme, host and port. */
int client_same_origin(const char *a, const char *b);
/* The value of key in a list like Bearer realm="...",service="...": 1 when it is there; appended to out. */
int client_param(const char *list, const char *key, struct buf *out);

#endif
