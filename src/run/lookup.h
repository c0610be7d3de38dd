/* SPDX-License-Identifier: Apache-2.0
 *
 * run/lookup.h: guesses at what an answer's next tokens are, from what stands already: where its last few tokens stood before, in the prompt or
 * in the answer, others followed ("prompt lookup decoding"), or from a text that the answer is said to be like. A guess costs a few rows of a step that
 * reads the weights anyway.
 *
 * How much is guessed follows from how well the last guesses did and from no clock: the same request guesses the same each time.
 * Not here: whether a guess is right. The model's own logits say that, and the sampler's draw.
 */
#ifndef RUN_LOOKUP_H
#define RUN_LOOKUP_H

#include "text/vocab.h"

enum { LOOKUP_MAX = 16 };

struct lookup {
    int most;          /* tokens of a guess: LOOKUP_MAX at most; 0: none are made */
    int want;          /* of the next one */
    int rest, pause;   /* draws without a guess: still, and when it is not worth it next */
    float worth;       /* running mean of a guess: tokens won less what evaluating them costs, in steps */
    size_t made, taken; /* tokens guessed; of these, those that were drawn */
    struct ids predicted; /* what the answer may be like; the caller's */
    size_t so_far;        /* tokens of it that the answer began with; SIZE_MAX once it went another way */
    int offered;       /* the open guess is somebody else's */
    int n, right;      /* of the guess that is open: its tokens, and how many have been drawn */
    int32_t guess[LOOKUP_MAX];
};

void lookup_init(struct lookup *l, int most);
/* From here on the answer may be like this; kept by the caller. */
void lookup_predict(struct lookup *l, const int32_t *tokens, size_t n);
/* After a draw: what may follow prompt and answer, as l->guess[]. Gives its length, at most cap; often 0. */
int lookup_make(struct lookup *l, const struct ids *prompt, const struct ids *answer, size_t cap);
/* The same with n guesses of somebody else's, who himself sees to it that they pay. */
int lookup_offer(struct lookup *l, const int32_t *guess, size_t n);
/* This token came to the answer: the open guess is right about it, or is over. */
void lookup_token(struct lookup *l, int32_t id);

#endif
