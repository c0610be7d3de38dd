/* SPDX-License-Identifier: Apache-2.0
 *
 * serve/responses.h: OpenAI's Responses: requests of items, answers of items, events with numbers, and answers that a later request can go on from.
 *
 * Items are the one form in which a conversation is kept: what a request sent and what its answer was, one after the other, become the chat's
 * messages anew each time. What is kept is in memory only (kept.h).
 */
#ifndef SERVE_RESPONSES_H
#define SERVE_RESPONSES_H

#include "serve/job.h"
#include "serve/kept.h"

extern const struct dialect responses_dialect;

enum { RESPONSES_WRITE, RESPONSES_COUNT };

/* Fills q from a body: the prompt of this request alone, its items in q->items. */
int responses_read(struct ask *q, int kind, struct str body, struct lar_err *err);
/* Makes the prompt anew, with these items (JSON, a comma between them) before the request's own. */
int responses_prompt(struct ask *q, struct str before, struct lar_err *err);

#endif
