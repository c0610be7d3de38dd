/* SPDX-License-Identifier: Apache-2.0
 *
 * serve/props.h: what clients of llama.cpp's server ask before they ask anything else (/props, /slots), and what evaluation harnesses need to know
 * of a tokenizer (/tokenizer_info, vLLM's form). All of it comes from the file's head: no model is loaded for it.
 */
#ifndef SERVE_PROPS_H
#define SERVE_PROPS_H

#include "serve/sandbox.h"
#include "serve/shelf.h"

/* ctx: of a request that says none. */
int props_write(struct buf *b, const struct book *k, int ctx, int parallel, const struct sandbox *sandbox,
                struct lar_err *err);
int props_tokenizer(struct buf *b, const struct book *k, struct lar_err *err);
/* A slot is room for one more answer of a model; ctx: of one that nobody has been in yet. */
void props_slots(struct buf *b, int ctx, const struct slot *slot, int parallel);

#endif
