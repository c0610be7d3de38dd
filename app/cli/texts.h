/* SPDX-License-Identifier: Apache-2.0
 * cli/texts.h: what embed, rerank and classify share: a model that reads, and texts from arguments or from standard input, a line
 * each, taken together as they come. */
#ifndef CLI_TEXTS_H
#define CLI_TEXTS_H

#include <lar/lar.h>

#include "cli/in.h"
#include "cli/options.h"

struct texts_options {
    int pooling, truncate, threads, batch;
};
extern const struct opt texts_opts[]; /* a group for an option table */

struct texts_reader {
    struct lar_model *m;
    struct lar_embedder *e;
};
/* more: dimensions and raw of the verb. Says on stderr what is wrong; gives an exit code, 0 when all is well. */
int texts_open(struct texts_reader *r, const char *path, const struct texts_options *o,
               struct lar_embed_options more);
void texts_close(struct texts_reader *r);

enum { TEXTS_MAX = 64 };
struct texts {
    struct lar_text t[TEXTS_MAX];
    size_t n;
    size_t first; /* number of the first, from 0, for messages */
};
/* Called with up to TEXTS_MAX texts; gives 0, or an error that ends all. */
typedef int texts_fn(void *ctx, const struct texts *t, struct lar_err *err);
/* Hands over the arguments or, when there are none, the lines of standard input (batch: each a JSON string): those that are here already
 * together, and what was written goes out before more is waited for. An error of fn or of a line ends it and is said with the
 * line's number; in a batch it becomes {"error":...} in its place. Gives the exit code. */
int texts_each(char **arg, int narg, const struct texts_options *o, const char *prefix,
               texts_fn *fn, void *ctx);

#endif
