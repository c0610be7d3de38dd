/* SPDX-License-Identifier: Apache-2.0
 *
 * serve/blobs.h: Ollama's /api/blobs/sha256:HEX: whether the store has a file's bytes, and bringing them. What comes is written and hashed as it
 * arrives, whatever its size: no body of theirs is ever in memory. /api/create makes models of them by their digests.
 */
#ifndef SERVE_BLOBS_H
#define SERVE_BLOBS_H

#include "net/http.h"

struct blob;

/* Whether a request brings a blob. */
int blobs_wants(const struct http_call *c);
/* Begins to take one; NULL with err, which names what is wrong with the digest. */
struct blob *blobs_begin(const struct http_call *c, struct lar_err *err);
void blobs_piece(struct blob *b, const char *data, size_t n);
/* All of it is there: 201, 200 when the store had it already, 400 when it is something else. */
void blobs_end(struct blob *b, struct http_call *c);
/* Always, last; NULL allowed. */
void blobs_free(struct blob *b);
/* HEAD: 200 or 404. */
void blobs_look(struct http_call *c);

#endif
