/* SPDX-License-Identifier: Apache-2.0
 *
 * net/local.h: one question to a server on this machine, over a socket of our own: no library is loaded, and no proxy of the environment is asked. HTTP/1.0,
 * whose answer ends with the connection (RFC 1945). Not for other machines: net/client.h is.
 */
#ifndef NET_LOCAL_H
#define NET_LOCAL_H

#include "base/buf.h"
#include "base/err.h"

struct local_call {
    const char *host; /* a name or address, or the path of a Unix socket */
    int port;
    const char *method, *path;
    const char *key;  /* sent as Authorization: Bearer; NULL: none */
    const char *body; /* JSON; NULL: none */
};

/* Appends the answer's body and gives its status; LAR_EIO when nobody answers there. */
int local_ask(const struct local_call *c, struct buf *body, struct lar_err *err);

#endif
