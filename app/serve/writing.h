/* SPDX-License-Identifier: Apache-2.0
 *
 * serve/writing.h: answers: those that are known at once, and those that a model writes.
 */
#ifndef SERVE_WRITING_H
#define SERVE_WRITING_H

#include "serve/job.h"
#include "serve/state.h"

typedef void writing_error_fn(struct buf *b, int status, const char *message);
typedef int writing_read_fn(struct ask *q, int kind, struct str body, struct lar_err *err);

void writing_error(struct http_call *c, writing_error_fn *form, int status, const char *message);
/* Empties b. */
void writing_json(struct http_call *c, struct buf *b);
/* The request's body, as read reads it, is answered by a model. */
void writing_take(struct server *s, struct http_call *c, const struct dialect *d, int kind, writing_read_fn *read);
/* How long a prompt is: form says how the number is told. */
void writing_count(struct server *s, struct http_call *c, const struct dialect *d, int kind, writing_read_fn *read,
                   const char *form);
/* What became of a job, before it is freed; ctx is the server. */
void writing_over(void *ctx, const struct job *j);

#endif
