/* SPDX-License-Identifier: Apache-2.0
 * serve/metrics.h: what the scheduler counts, and how Prometheus reads it (text format 0.0.4). Numbers only: nothing of what was said. */
#ifndef SERVE_METRICS_H
#define SERVE_METRICS_H

#include "base/buf.h"

enum { METRICS_BUCKETS = 16 };

/* Times in seconds, or counts (tokens, tokens a second); bucket i counts what is up to its bound, not what is in the buckets below. */
struct histogram {
    long count[METRICS_BUCKETS], n;
    double sum;
};

struct metrics {
    long running, waiting;
    long done, failed, gone,
        refused; /* requests so far; failed ones include those that were gone */
    long prompt_tokens, reused_tokens, answer_tokens, steps;
    long guessed_tokens, right_tokens; /* of ended answers: by lookup */
    double prompt_s, step_s; /* of steps that had prompts in them; of all */
    double kv_bytes, cache_bytes, kv_limit;
    long compiled, found; /* grammars and tools of the loaded models: made; found in their caches */
    double compiled_bytes;
    struct histogram first, between,
        queue; /* from arrival to the first token; token to token; until evaluation began */
    struct histogram prompt_rate, answer_rate, cached; /* tokens a second of a prompt, of an answer; tokens that were there */
};

void metrics_note(struct histogram *h, double seconds);
void metrics_note_count(struct histogram *h, double n);
/* HELP and TYPE of what follows. */
void metrics_head(struct buf *b, const char *name, const char *type, const char *help);
void metrics_one(struct buf *b, const char *name, const char *type, const char *help, double v);
void metrics_write(struct buf *b, const struct metrics *m);

#endif
