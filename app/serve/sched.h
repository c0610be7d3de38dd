/* SPDX-License-Identifier: Apache-2.0
 *
 * serve/sched.h: one thread that evaluates everything: each step takes the next token of every answer at work and slices of the prompts that
 * wait, so that a long prompt never stalls the others.
 *
 * How long the slices are is measured: when answers are being written, a step may take SLOWER times what it takes without any prompt. Prompts
 * share a step's slice evenly, so a short one is not behind a long one.
 */
#ifndef SERVE_SCHED_H
#define SERVE_SCHED_H

#include "serve/job.h"
#include "serve/metrics.h"

struct sched;

struct sched_options {
    struct shelf *shelf;
    int parallel;    /* rows of a model at once */
    int step_tokens; /* of prompts in a step */
    double kv_bytes; /* keys and values of all rows at work */
    enum lar_kv kv;
    int queue; /* jobs that may wait */
    void (*over)(void *ctx, const struct job *j); /* it is answered, failed or gone, and about to be freed; may be NULL */
    void *ctx;
};

int sched_open(struct sched **out, const struct sched_options *opt, struct lar_err *err);
/* The job is the scheduler's from here on; when it cannot be taken (too many wait, shutting down) it is answered with an error. */
void sched_submit(struct sched *s, struct job *j);
/* Takes no job any more and waits until all are done, at most so long; then those that are left get an error. */
void sched_drain(struct sched *s, int64_t ns);
void sched_close(struct sched *s);

void sched_look(struct sched *s, struct metrics *out);
/* What each of the engine's slots shows, into out[parallel]. With the shelf's lock held. */
void sched_slots(struct sched *s, const struct engine *e, struct slot *out);

#endif
