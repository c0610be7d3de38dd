/* SPDX-License-Identifier: Apache-2.0
 *
 * serve/stock.h: Ollama's /api/create, copy, delete, pull and push: what changes the store while the server runs.
 *
 * Each request is a thread of its own with a store of its own, a few at most: they wait for disks and networks. What is being done is told in
 * lines of JSON; a client that goes away ends its request, and what a pull has fetched by then is gone on with the next time.
 */
#ifndef SERVE_STOCK_H
#define SERVE_STOCK_H

#include "net/http.h"

struct stock;

enum stock_kind { STOCK_CREATE, STOCK_COPY, STOCK_DELETE, STOCK_PULL, STOCK_PUSH };

int stock_open(struct stock **out, struct lar_err *err);
/* Ends what is at work, and frees. NULL is allowed. */
void stock_close(struct stock *s);
/* Answers, at once or later. */
void stock_take(struct stock *s, struct http_call *c, enum stock_kind kind);

#endif
