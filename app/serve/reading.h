/* SPDX-License-Identifier: Apache-2.0
 *
 * serve/reading.h: requests that a model reads and does not answer with text: embeddings (OpenAI's, Ollama's two), reranking, tokens of a text and
 * back, a chat as its template writes it.
 *
 * They go through a thread of their own, one after another: reading many long texts takes seconds, and HTTP's threads must not wait. Steps of the
 * scheduler and reading take turns on the processor.
 */
#ifndef SERVE_READING_H
#define SERVE_READING_H

#include "net/http.h"
#include "serve/shelf.h"

struct trace;

enum reading_kind {
    READING_EMBEDDINGS,
    READING_EMBED,
    READING_EMBEDDING,
    READING_RERANK,
    READING_TOKENIZE,
    READING_DETOKENIZE,
    READING_TEMPLATE,
};

struct reading;

/* trace may be NULL. */
int reading_open(struct reading **out, struct shelf *s, struct trace *trace, struct lar_err *err);
/* Answers what is under way, refuses what waits, ends. */
void reading_close(struct reading *r);
/* Reads the call's body and answers it, now or later. */
void reading_take(struct reading *r, struct http_call *c, enum reading_kind kind);

#endif
