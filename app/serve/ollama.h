/* SPDX-License-Identifier: Apache-2.0
 *
 * serve/ollama.h: Ollama's dialect (its docs/api.md and api/types.go): JSON lines, durations in nanoseconds.
 */
#ifndef SERVE_OLLAMA_H
#define SERVE_OLLAMA_H

#include "serve/job.h"

enum { OLLAMA_CHAT, OLLAMA_GENERATE };
extern const struct dialect ollama_dialect;

/* Fills q from the body of /api/chat or /api/generate. */
int ollama_read(struct ask *q, int kind, struct str body, struct lar_err *err);
/* Options by their names, of a request or a Modelfile's PARAMETERs; where: how an error calls them. */
int ollama_params(struct ask *q, const struct json *params, const char *where, struct lar_err *err);
/* keep_alive: seconds, or a duration as Go writes it: "5m", "1h30m", "-1". Nanoseconds; negative: for good. */
int ollama_duration(const struct json *v, int64_t *ns, struct lar_err *err);
void ollama_error(struct buf *b, int status, const char *message);

/* The answers that are about models: /api/tags, /api/ps, /api/show. */
void ollama_tags(struct buf *b, struct shelf *s, int running);
int ollama_show(struct buf *b, struct shelf *s, struct str body, struct lar_err *err);
/* An empty request has loaded a model, or given it back. */
void ollama_loaded(struct job *j, struct buf *b);

#endif
