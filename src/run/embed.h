/* SPDX-License-Identifier: Apache-2.0
 *
 * run/embed.h: texts through a model that reads them: one vector, or one row of scores, a text.
 *
 * A text goes in one piece, since in most such models each token sees all others; several short ones go together, one after the other
 * without padding, each with blocks of its own, so that none sees another. Keys and values are needed within their layer only:
 * all layers share one place for them, in F32. One thread at a time.
 */
#ifndef RUN_EMBED_H
#define RUN_EMBED_H

#include "model/model.h"
#include "text/vocab.h"

struct embed_text {
    const int32_t *ids;
    const int32_t *types; /* [n] 0 or 1: which of two texts; NULL: all 0 */
    size_t n;
};

struct embed {
    struct model *model; /* a reference of its own */
    struct work work;
    struct dev_kv_layer *layout; /* [nlayer], all the same place */
    uint8_t *kv, **block;        /* [nblock] */
    size_t nblock, block_bytes;
    struct dev_seq *seq; /* [texts] */
    size_t *keep, texts; /* most at once */
    int32_t *ids, *types; /* [batch] */
    size_t batch, wanted; /* tokens at once: room now; as asked for */
    size_t first; /* number of the first text of a call, for messages */
    atomic_int cancel;
};

/* What room for so many tokens at once takes: keys and values of one layer, and the rest. */
int embed_bytes(const struct model *m, size_t batch, uint64_t *kv, uint64_t *work,
                struct lar_err *err);
/* batch: tokens evaluated at once; a longer text makes it grow. */
int embed_open(struct embed *e, struct model *m, size_t batch, struct lar_err *err);
void embed_close(struct embed *e);

/* Elements of a vector. */
size_t embed_width(const struct model *m);

/* A vector a text: out [n][embed_width]; each text has 1 to ctx_train ids of the vocabulary (LAR_EINVAL, LAR_ELIMIT). */
int embed_vectors(struct embed *e, const struct embed_text *text, size_t n, enum pooling pool,
                  float *out, struct lar_err *err);
/* The classifier's row a text, out [n][nlabel]; with POOL_NONE one a token of all texts, out [sum of n][nlabel]. */
int embed_logits(struct embed *e, const struct embed_text *text, size_t n, enum pooling pool,
                 float *out, struct lar_err *err);

/* ---- embed_text.c: what a tokenizer puts round texts ---------------------------------------------------------------------------- */

/* A text, or two of them, as the model was trained to see them. */
struct embed_ids {
    struct ids ids, types;
    size_t before; /* tokens that stand before the text */
};
void embed_ids_done(struct embed_ids *t);
/* b NULL: one text. most > 0: what is beyond so many tokens is cut off the texts, never off what stands round them. pool: of
 * the caller, since what ends a text may depend on it. Replaces what t held. places (may be NULL, for one text) gets where each token of
 * the text lies in it. */
int embed_encode(const struct model *m, const struct vocab *v, struct str a, const struct str *b,
                 enum pooling pool, size_t most, struct embed_ids *t, struct places *places,
                 struct lar_err *err);

#endif
