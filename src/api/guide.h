/* SPDX-License-Identifier: Apache-2.0
 * api/guide.h: a grammar at work on one answer. */
#ifndef API_GUIDE_H
#define API_GUIDE_H

#include "api/api.h"
#include "text/mask.h"

struct lar_grammar {
    struct grammar *g;
    struct masks *masks; /* NULL until bound */
    struct lar_model *m; /* a reference of its own */
    pthread_mutex_t lock;
};

struct binding;

struct guide {
    struct lar_grammar *g;   /* NULL: any text */
    struct binding *binding; /* the grammar is being bound meanwhile, NULL: it is bound */
    uint32_t state;
    int may_end;   /* by the last mask */
    int begun;     /* a token of the constrained text has come */
    int drops;     /* the decoder drops a space at the beginning, and nothing came before */
    size_t spaces, digits; /* bytes of nothing else, on end */
    uint64_t *set; /* [nword] */
    size_t nword;
};

/* Binds the grammar; g = NULL makes a guide that lets everything through. The first grammar of a model takes a while (the tree of its tokens):
 * that goes on in a thread of its own, so that the prompt can be read meanwhile, and the first of the functions below waits for it. */
int guide_open(struct guide *u, struct lar_grammar *g, struct lar_model *m, int drops, struct lar_err *err);
void guide_done(struct guide *u);
/* The tokens that may come, as run/sampler.h takes them: valid until the next call. also: a token that may come as well, -1: none. NULL on
 * failure. */
const uint64_t *guide_set(struct guide *u, int32_t also, struct lar_err *err);
/* Those of thinking: it must not end the answer. */
const uint64_t *guide_thinking(struct guide *u, struct lar_err *err);
int guide_token(struct guide *u, int32_t id, struct lar_err *err);
int guide_text(struct guide *u, struct str text, struct lar_err *err);
int guide_final(struct guide *u); /* the answer is whole and cannot go on */
/* Tokens that must come, whatever the model wants, after the token last: at most cap. They are not yet taken (guide_token). */
size_t guide_forced(struct guide *u, int32_t last, int32_t *out, size_t cap);

#endif
