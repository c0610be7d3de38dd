/* SPDX-License-Identifier: Apache-2.0
 *
 * cli/named.h: what MODEL means on the command line, in one place: a file or folder that is there, else a name in a store
 * (store/store.h). What a name's Modelfile says comes with it. */
#ifndef CLI_NAMED_H
#define CLI_NAMED_H

#include <lar/convert.h>
#include <lar/lar.h>

#include "store/store.h"

struct named {
    const char *path;    /* what the library opens */
    struct store *store; /* NULL: MODEL was a path */
    struct store_model m;
};

/* A zeroed struct is one that is closed. */
int named_open(struct named *n, const char *arg, struct lar_err *err);
void named_close(struct named *n);
/* Resolves and opens in one, with the template of the Modelfile; what needs more of it uses the two above. */
int named_model(struct lar_model **out, const char *arg, const struct lar_model_options *opt,
                struct lar_err *err);
/* The same with what was resolved; adapters of the Modelfile come before those of opt. */
int named_load(struct lar_model **out, const struct named *n, const struct lar_model_options *opt,
               struct lar_err *err);

#endif
