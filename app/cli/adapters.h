/* SPDX-License-Identifier: Apache-2.0
 * cli/adapters.h: --adapter FILE[:SCALE] of the verbs that open a model to evaluate it. */
#ifndef CLI_ADAPTERS_H
#define CLI_ADAPTERS_H

#include <lar/convert.h>
#include <lar/lar.h>

#include "cli/options.h"

extern const struct opt adapters_opts[]; /* a group on a struct opt_list */

struct adapters {
    struct lar_adapter a[OPT_LIST_MAX];
    struct buf path[OPT_LIST_MAX];
};
/* Puts what the list says into mo, which then needs a; a is done with in any case. What follows the last ':' is a scale, unless a file has the
 * whole name. */
int adapters_read(struct adapters *a, const struct opt_list *list, struct lar_model_options *mo, struct lar_err *err);
void adapters_done(struct adapters *a);

#endif
