/* SPDX-License-Identifier: Apache-2.0
 *
 * serve/routes.h: which request is whose: the paths of all dialects. For http_options; ctx is the server.
 */
#ifndef SERVE_ROUTES_H
#define SERVE_ROUTES_H

#include "net/http.h"

void routes_handle(struct http_call *c, void *ctx);
int routes_wants(struct http_call *c, void *ctx);
void routes_piece(struct http_call *c, const char *data, size_t n, void *ctx);

#endif
