/* SPDX-License-Identifier: Apache-2.0
 *
 * cli/progress.h: one line on the terminal while tensors are written: share, name, time left. */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include <stddef.h>
#include <stdint.h>

struct progress {
    int terminal;
    int64_t began, told;
};

void progress_begin(struct progress *w, int quiet);
/* An on_progress of lar/convert.h; ctx is a struct progress. Non-zero when Ctrl-C was pressed. */
int progress_tell(void *ctx, const char *tensor, size_t n, uint64_t done, uint64_t total);
/* Wipes the line. */
void progress_end(const struct progress *w);

#endif
