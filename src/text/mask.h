/* SPDX-License-Identifier: Apache-2.0
 *
 * text/mask.h: which tokens a grammar allows next.
 *
 * From a state of the machine the tree of the vocabulary is walked, and cut where no byte goes on. What would be wide is not walked
 * but known: the text of a string (toktrie.h), white space between the parts of JSON, tails behind a closing quote, each decided once for
 * the state it leads to; the text of a pattern, a number or a key is walked once for each expression, whatever stands around it. Masks are
 * kept by state.
 *
 * A mask allows no token that the machine would not take. It leaves out some that the machine would: keys that the schema names, members
 * of enums and texts of patterns are asked for as they are, not with characters spelled as \u0041, a token longer than
 * TOKTRIE_TOKEN_MAX bytes, and one longer than 32 in a pattern in which a bound is not far (rx_loose.c). One thread at a time, as the grammar.
 */
#ifndef TEXT_MASK_H
#define TEXT_MASK_H

#include "text/grammar.h"
#include "text/toktrie.h"

struct masks;

/* Both are borrowed. limit: bytes for what is kept, 0: 64 MiB; beyond it everything is forgotten and made again. */
int masks_open(struct masks **out, struct grammar *g, const struct toktrie *t, size_t limit, struct lar_err *err);
void masks_close(struct masks *m);
/* Writes the set of tokens that may come in state: t->nword words. Tokens that end an answer are not among them: grammar_accepts tells.
 * 0, or a code (grammar_failed has the words). */
int masks_fill(struct masks *m, uint32_t state, uint64_t *out, struct lar_err *err);
/* Adds the tokens that may come in state when their first byte, which is b, is not counted: decoders drop a space at the beginning. */
int masks_add_behind(struct masks *m, uint32_t state, unsigned b, uint64_t *out, struct lar_err *err);
/* The text that must come next whatever the model wants, appended to out; the state behind it. Stops after most bytes. */
uint32_t masks_forced(struct masks *m, uint32_t state, struct buf *out, size_t most);
size_t masks_bytes(const struct masks *m);

#endif
