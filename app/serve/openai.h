/* SPDX-License-Identifier: Apache-2.0
 *
 * serve/openai.h: OpenAI's dialect (platform.openai.com/docs/api-reference): chat and text completions, events over SSE.
 */
#ifndef SERVE_OPENAI_H
#define SERVE_OPENAI_H

#include "serve/field.h"
#include "serve/job.h"

enum { OPENAI_CHAT, OPENAI_TEXT };
extern const struct dialect openai_dialect;

int openai_read(struct ask *q, int kind, struct str body, struct lar_err *err);
/* Readers that /v1/responses has in common with chats. */
field_fn openai_effort, openai_tier, openai_parallel, openai_format;
int openai_schema(struct ask *q, const struct json *v, struct lar_err *err);
void openai_error(struct buf *b, int status, const char *message);
/* /v1/models; name n = 0: all of them, else that one (0 when there is none). */
int openai_models(struct buf *b, struct shelf *s, struct str name);

#endif
