/* SPDX-License-Identifier: Apache-2.0
 * cli/drafting.h: --draft: a second model that guesses for the first (lar/draft.h). */
#ifndef CLI_DRAFTING_H
#define CLI_DRAFTING_H

#include <lar/draft.h>

#include "cli/options.h"

struct drafting_given {
    const char *model;
    int most, always;
};
extern const struct opt drafting_options[];

/* A zeroed struct is one that is closed. */
struct drafting {
    struct lar_model *m;
    struct lar_session *s;
    struct lar_draft *d;
};

/* From here on session s, opened as o says, has guesses; most: bytes that may be taken, 0: what is free. Again for another session. */
int drafting_join(struct drafting *d, const struct drafting_given *g, struct lar_session *s, const struct lar_model *m,
                  const struct lar_session_options *o, const struct lar_model_options *mo, uint64_t most,
                  struct lar_err *err);
void drafting_close(struct drafting *d);

#endif
