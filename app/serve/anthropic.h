/* SPDX-License-Identifier: Apache-2.0
 *
 * serve/anthropic.h: Anthropic's dialect (docs.anthropic.com/en/api/messages): messages of blocks, named events over SSE.
 */
#ifndef SERVE_ANTHROPIC_H
#define SERVE_ANTHROPIC_H

#include "serve/job.h"

enum { ANTHROPIC_MESSAGES, ANTHROPIC_COUNT };
extern const struct dialect anthropic_dialect;

int anthropic_read(struct ask *q, int kind, struct str body, struct lar_err *err);
void anthropic_error(struct buf *b, int status, const char *message);

#endif
