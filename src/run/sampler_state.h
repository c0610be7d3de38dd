/* SPDX-License-Identifier: Apache-2.0
 * run/sampler_state.h: what sampler.c (settings, history, penalties) and sampler_pick.c (choosing)
 * share. Nobody else includes it. */
#ifndef RUN_SAMPLER_STATE_H
#define RUN_SAMPLER_STATE_H

#include "base/mem.h"
#include "base/rng.h"
#include "run/sampler.h"

/* A token that may be chosen. */
struct cand {
    float logit; /* finite */
    int32_t id;
    double w; /* weight of the step at hand */
};

/* A token whose logit the penalties have changed. */
struct touched {
    float logit;
    int32_t id;
    int32_t repeat; /* DRY: longest sequence it would continue; -1: none */
};

/* How often a token stands in the window of the penalties. */
struct tally {
    int32_t count, where; /* where: its place in seen[] */
};

struct sampler {
    struct lar_sampling p;
    int32_t nvocab;
    struct rng rng;
    double mu; /* mirostat */

    struct cand *cand; /* [room]: nvocab, or top_k where that suffices */
    size_t room;

    int32_t *past; /* [past_room], a ring of the last tokens */
    size_t past_room, past_n, past_at;
    size_t repeat_n, dry_n; /* windows; 0: off */

    struct tally *tally; /* [nvocab] */
    int32_t *seen;       /* the tokens of count > 0 */
    size_t nseen;

    struct touched *touched;
    size_t ntouched;
    int32_t *slot; /* [nvocab]: 1 + index in touched, or 0; NULL when no penalty and no bias is on */

    struct lar_bias *bias; /* [nbias] */
    size_t nbias;

    uint8_t *breaker;  /* [nvocab] */
    size_t unbroken;   /* tokens since sampler_break, or as many as ever fit */
    int32_t *back, *z; /* [dry_n]: the history backwards; its matches */
    struct arena a;
};

/* Fills touched and slot from the history; sampler_untouch empties them. */
void sampler_penalise(struct sampler *s, const float *logits);
void sampler_untouch(struct sampler *s);

#endif
