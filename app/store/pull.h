/* SPDX-License-Identifier: Apache-2.0
 * store/pull.h: what pulling from a registry and from Hugging Face share. */
#ifndef STORE_PULL_H
#define STORE_PULL_H

#include "store/impl.h"
#include "store/registry.h"

struct pull_blob {
    const char *url, *authorization, *digest;
    uint64_t size;
    const char *(*renew)(void *ctx); /* as fetch's */
    void *ctx;
};
int pull_blob(struct store *s, const struct pull_blob *b, const struct store_pull *opt,
              struct lar_err *err);
/* Is there room for what is missing of m? */
int pull_room(struct store *s, const struct manifest *m, struct lar_err *err);
int pull_tell(const struct store_pull *opt, const char *what, struct lar_err *err);
/* hub.c */
int hub_pull(struct store *s, const struct name *n, const struct store_pull *opt,
             struct lar_err *err);

#endif
