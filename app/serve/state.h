/* SPDX-License-Identifier: Apache-2.0
 *
 * serve/state.h: what a server is made of: server.c opens and closes it, the routes and whoever answers use it.
 */
#ifndef SERVE_STATE_H
#define SERVE_STATE_H

#include <stdatomic.h>

#include "base/buf.h"
#include "net/http.h"
#include "serve/server.h"
#include "serve/shelf.h"

struct server {
    struct server_options opt;
    struct shelf shelf;
    struct sched *sched;
    struct reading *reading;
    struct stock *stock;
    struct kept *kept;
    struct http *http;
    struct keys *keys; /* NULL: none are asked for */
    struct buf cert, cert_key;
    struct sandbox sandbox;
    struct disk *disk; /* NULL: none */
    struct trace *trace;
    atomic_int draining;
    char inherited[108]; /* where the socket that was handed to us listens */
};

#endif
