/* SPDX-License-Identifier: Apache-2.0
 *
 * serve/props.h: what clients of llama.cpp's server ask before they ask anything else (/props, /slots), and what evaluation harnesses need to know
 * of a tokenizer (/tokenizer_info, vLLM's form). All of it comes from the file's head: no model is loaded for it.
 */
#ifndef SERVE_PROPS_H
#define SERVE_PROPS_H

#include "serve/shelf.h"

/* ctx: of a request that says none. */
int props_write(struct buf *b, const struct book *k, int ctx, int parallel, struct lar_err *err);
int props_tokenizer(struct buf *b, const struct book *k, struct lar_err *err);
/* A slot here is room for one more answer: no request has one of its own, so all that is told of it is whether it is taken. */
void props_slots(struct buf *b, int ctx, int parallel, long running);

#endif
