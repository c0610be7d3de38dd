/* SPDX-License-Identifier: Apache-2.0
 * cli/sampling.h: the options of sampling, for the command line and for the chat's /set parameter. What was
 * given is remembered apart from its value, because the defaults come later, from the model. */
#ifndef CLI_SAMPLING_H
#define CLI_SAMPLING_H

#include <lar/lar.h>

#include "cli/options.h"

struct sampling_given {
    struct lar_sampling v; /* only the fields that were given count */
    uint32_t set;          /* bit i: option i of the table */
};
extern const struct opt sampling_options[];

/* The model's defaults with what was given in their place. */
void sampling_merge(const struct sampling_given *g, const struct lar_model *m,
                    struct lar_sampling *out);
/* What other programs' users, and Modelfiles, call an option of ours: pairs, ended by NULL. */
extern const char *const settings_names[][2];
/* Ours for theirs, or name itself. */
const char *settings_name(const char *name);
/* "name value" a line, for /show parameters. */
void sampling_list(const struct lar_sampling *p, struct buf *b);

#endif
