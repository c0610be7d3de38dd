/* SPDX-License-Identifier: Apache-2.0
 *
 * serve/kept.h: answers of /v1/responses that can be looked at, and gone on from, later: in memory, KEPT_MAX of them at most, of KEPT_BYTES_MAX
 * bytes together, for KEPT_SECONDS after they were last used. Who comes too late is told so; nothing is written to a disk.
 *
 * With keys, what one key's requests left is nobody else's: another key finds nothing there.
 */
#ifndef SERVE_KEPT_H
#define SERVE_KEPT_H

#include "net/http.h"

enum { KEPT_MAX = 1024, KEPT_BYTES_MAX = 64 << 20, KEPT_SECONDS = 24 * 3600 };

struct kept;

/* What there is of an answer: JSON, the lists without their brackets. */
struct kept_answer {
    struct str id, input, output, object;
};

int kept_open(struct kept **out, struct lar_err *err);
void kept_close(struct kept *k);
/* Takes a copy; owner is the call's (http_owner). 0: it is too large, or there is no memory. */
int kept_add(struct kept *k, const void *owner, const struct kept_answer *a);
/* Appends the items of the answer, and those before it. 0: there is none. */
int kept_items(struct kept *k, const void *owner, struct str id, struct buf *items);

/* Answers GET and DELETE of /v1/responses/ID and ID/input_items, and POST of ID/cancel. */
void kept_take(struct kept *k, struct http_call *c);

#endif
