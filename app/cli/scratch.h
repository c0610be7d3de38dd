/* SPDX-License-Identifier: Apache-2.0
 * cli/scratch.h: a folder of one's own for models that are made to be measured and removed. */
#ifndef CLI_SCRATCH_H
#define CLI_SCRATCH_H

#include <lar/err.h>

#include "base/buf.h"

struct scratch {
    struct buf folder;
    int claim, made; /* claim: a descriptor */
};

/* Makes $TMPDIR/lar-WHAT-PID (without TMPDIR: /tmp), after removing those of processes that were killed. */
int scratch_begin(struct scratch *s, const char *what, struct lar_err *err);
/* The folder goes when it is empty. May be called on a zeroed struct. */
void scratch_end(struct scratch *s);

#endif
