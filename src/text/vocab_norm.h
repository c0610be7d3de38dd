/* SPDX-License-Identifier: Apache-2.0
 *
 * text/vocab_norm.h: what a tokenizer does to text before it looks for pieces: the steps of tokenizer.lar.normalizer (see vocab_norm.c).
 * SentencePiece's own normaliser is spm_norm.c.
 */
#ifndef TEXT_VOCAB_NORM_H
#define TEXT_VOCAB_NORM_H

#include "base/err.h"
#include "text/vocab_impl.h"

/* Reads the steps; a name that is not known is LAR_EUNSUPPORTED. */
int vocab_norm_load(struct vocab *v, const struct gguf *g, struct lar_err *err);
/* *s, normalised: itself, or in one of the two buffers. LAR_ENOMEM, or LAR_ELIMIT for steps that make a text too long. */
int vocab_norm_apply(const struct vocab *v, struct str *s, struct buf *a, struct buf *b);

#endif
