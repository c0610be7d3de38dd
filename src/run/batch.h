/* SPDX-License-Identifier: Apache-2.0
 *
 * run/batch.h: one step of the model for many sessions at once: each weight is read once for all of them.
 *
 * Any mixture: the next token of some timelines, slices of the prompts of others. What a session gives in a step depends on the others only
 * by the order of float additions. Who goes into which step is a scheduler's business, not this file's. A part that cannot go
 * (no room, a token that is none, cancelled) is left out with its own error and the others go on.
 *
 * All memory is taken at opening; a step allocates nothing. One thread at a time a batch, and none of its sessions may be in use elsewhere
 * during a step; several batches of a model take turns.
 */
#ifndef RUN_BATCH_H
#define RUN_BATCH_H

#include "run/session.h"

struct batch_part {
    struct session *session;
    const int32_t *tokens; /* to append to its timeline */
    size_t n;              /* at least 1 */
    size_t nlogit;         /* of how many of them, the last ones, logits are wanted */
    int prompt_end; /* a prompt ends here: keep what a recurrent model needs to come back to this place */
    /* out */
    int rc;              /* 0, or why it was left out */
    struct lar_err why;  /* the same in words */
    const float *logits; /* [nlogit][vocab], until the next step; of the last also session_logits */
};

struct batch_step {
    struct model *model; /* a reference of its own */
    size_t rows, nlogit, nseq;
    struct work work;
    int32_t *tokens;     /* [rows] */
    struct dev_seq *seq; /* [nseq] */
    size_t *keep, *ctx, *length; /* [nseq] */
    size_t *order;               /* [nseq] parts, as their rows lie */
};

/* Steps of at most `rows` tokens of at most nseq sessions, with at most nlogit rows of logits. */
int batch_open(struct batch_step *b, struct model *m, size_t rows, size_t nseq, size_t nlogit,
               struct lar_err *err);
void batch_close(struct batch_step *b);
/* Bytes that it takes. */
size_t batch_bytes(const struct model *m, size_t rows, size_t nseq, size_t nlogit);

/* Evaluates the parts; gives how many went. LAR_EINVAL, and nothing done, when they are together more than was opened for, or not of
 * one model and one kind of key and value memory. */
int batch_eval(struct batch_step *b, struct batch_part *part, size_t npart, struct lar_err *err);

#endif
