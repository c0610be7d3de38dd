/* SPDX-License-Identifier: Apache-2.0
 * api/embed.h: what embed.c and classify.c share. */
#ifndef API_EMBED_H
#define API_EMBED_H

#include "api/api.h"
#include "run/embed.h"

enum { EMBED_TEXTS = 64 }; /* tokenised at once */

struct lar_embedder {
    struct lar_model *m;
    struct embed e;
    struct lar_embed_options o;
    struct arena a; /* of labels */
    char **label;   /* [nlabel]; NULL: the file names none */
    struct str prompt; /* stands before each text that becomes a vector */
    int lower;         /* after which it is put into small letters */
    struct buf text;   /* both done */
    struct embed_ids ids[EMBED_TEXTS];
    float *vector; /* [EMBED_TEXTS][embed_width or nlabel] */
};

/* How the caller or the file wants vectors pooled. */
enum pooling embedder_pooling(const struct lar_embedder *e);
/* The most tokens of a text, 0: what is longer is refused. */
size_t embedder_most(const struct lar_embedder *e);
int embedder_check_text(const struct lar_text *t, int tokens_too, struct lar_err *err);
/* What the model's classifier reads: POOL_NONE each token, else one row a text. Refuses a model without one, and one of which the file does not
 * tell or that it holds only in part. */
int embedder_classifier(const struct lar_embedder *e, enum pooling *out, struct lar_err *err);
/* n logits to probabilities, in place: one alone by the sigmoid, several by softmax. */
void embedder_probabilities(float *x, size_t n);

#endif
