/* SPDX-License-Identifier: Apache-2.0
 *
 * net/http.h: an HTTP server whose answers may come later and from any thread: what a scheduler needs that writes to many clients.
 *
 * The handler is called once a request, with its whole body, on one of the server's own threads, and must not wait there. It answers at once or
 * keeps the call (http_keep) and somebody answers later: either one reply, or a stream of pieces. A client that has gone is told by http_gone;
 * everything written to it from then on is dropped.
 *
 * HTTP itself is libmicrohttpd's (net/mhd.h). Limits on headers, bodies, connections and idle time hold before a handler sees anything, and so do
 * the checks of Host and Origin (net/origin.h).
 */
#ifndef NET_HTTP_H
#define NET_HTTP_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

struct http;
struct http_call;

struct http_options {
    const char *host;          /* an address, or a path that begins with / for a Unix socket */
    int port;                  /* 0: any free one */
    int inherited;             /* 1: neither of these: the socket that http_inherited told of */
    size_t body_max;           /* bytes */
    int connections;           /* most at once */
    const char *cert, *key;    /* PEM texts: TLS (1.2 and 1.3); NULL: none */
    int socket_mode;           /* of a Unix socket; 0: 0600 */
    int patience_s;            /* a request must arrive within so long, and who reads nothing for so long is hung up on */
    const char *const *origin; /* further origins and host names that may talk to us */
    size_t norigin;
    const char *const *host_name;
    size_t nhost_name;
    int any_host; /* 1: Host is not looked at (with keys) */
    void (*handle)(struct http_call *c, void *ctx);
    /* The answer is sent, or will never be: once a request, from any thread. May be NULL. */
    void (*done)(void *ctx, struct http_call *c);
    /* May be NULL. When the headers are there: 1: the body goes to piece, whatever its size, and is kept nowhere. It may answer, to refuse. */
    int (*wants)(struct http_call *c, void *ctx);
    void (*piece)(struct http_call *c, const char *data, size_t n, void *ctx);
    void *ctx;
};

/* 1: systemd (or who does as it) handed this process a socket to serve on, at this address (a path: a Unix socket). 0: none. */
int http_inherited(char *host, size_t n, struct lar_err *err);
/* Listens and serves. LAR_EIO names the address. */
int http_open(struct http **out, const struct http_options *opt, struct lar_err *err);
/* The address as a client would write it: "http://127.0.0.1:11434" or "unix:/run/lar.sock". */
const char *http_address(const struct http *h);
/* Of a server with TLS: connections from now on get this certificate; those that are open go on with theirs. LAR_EINVAL, and nothing has changed,
 * when these are no pair. One thread at a time, and not after http_stop_listening. */
int http_certify(struct http *h, const char *cert, const char *key, struct lar_err *err);
/* No further connection is taken; those that are open go on. */
void http_stop_listening(struct http *h);
/* Ends all connections, when what was answered is sent or two seconds are over, and frees. Every call that was kept must have been answered. */
void http_close(struct http *h);

/* ---- of a call, in the handler ------------------------------------------------------------------------------------------ */
const char *http_method(const struct http_call *c);
const char *http_path(const struct http_call *c); /* without the query */
struct str http_body(const struct http_call *c);
const char *http_header(struct http_call *c, const char *name); /* NULL: there is none */
/* What wants begun for its pieces; done has it too. NULL at first. */
void http_set_taker(struct http_call *c, void *taker);
void *http_taker(const struct http_call *c);
/* Whatever belongs to the request, until it is done; NULL at first. */
void http_set_owner(struct http_call *c, void *owner);
void *http_owner(const struct http_call *c);
/* The request's id, which its answer carries as X-Request-Id: the client's own where that is short and of letters, digits and "._-". */
const char *http_id(const struct http_call *c);
/* In done: what was answered (0: nothing was), and how long after the request's first line. */
int http_status(const struct http_call *c);
double http_ms(const struct http_call *c);
const char *http_query(struct http_call *c, const char *name);  /* of the address, behind its ?; NULL: there is none */

/* ---- answers, from any thread -------------------------------------------------------------------------------------------- */
/* Whoever answers after the handler has returned holds the call: keep in the handler, drop when done. */
void http_keep(struct http_call *c);
void http_drop(struct http_call *c);
/* A whole answer. Once a call; after http_stream it does nothing. */
void http_reply(struct http_call *c, int status, const char *type, struct str body);
/* A header for the answer, before it. name and value are copied. */
void http_set(struct http_call *c, const char *name, const char *value);
/* The answer's pieces follow. */
void http_stream(struct http_call *c, int status, const char *type);
/* -1: nobody reads any more (gone, or far too slow). */
int http_write(struct http_call *c, struct str piece);
void http_end(struct http_call *c);
/* 1: the client closed its connection, or its sending side of it. Looks at the socket. */
int http_gone(struct http_call *c);

#endif
