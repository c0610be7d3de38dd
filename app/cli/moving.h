/* SPDX-License-Identifier: Apache-2.0
 * cli/moving.h: the line that says how far something long is: what, how much of it, how fast, how long still; or, with --json, an object a line. */
#ifndef CLI_MOVING_H
#define CLI_MOVING_H

#include <stdint.h>

/* The rate shown is that of the last seconds, not of all the time. */
struct moving {
    int terminal, quiet, json;
    char what[64];
    int64_t drawn_ns, mark_ns;
    uint64_t mark, rate;
};

/* From here on Ctrl-C is seen by moving_progress. */
void moving_begin(struct moving *m, int json, int quiet);
/* An on_progress of store.h; ctx is a struct moving. Non-zero when Ctrl-C was pressed. */
int moving_progress(void *ctx, const char *what, uint64_t done, uint64_t total);
/* e: how it ended. */
void moving_end(struct moving *m, int e);

#endif
