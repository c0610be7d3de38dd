/* SPDX-License-Identifier: Apache-2.0
 *
 * serve/compiled.h: grammars and tools that were compiled for one model, found again by a hash of what they were made from.
 *
 * An agent sends the same tools with every turn, a service the same schema with every request: compiling them once also keeps the masks that the first
 * answers have made. Who takes one holds it: it lives on until it is given back, also when the cache has forgotten it meanwhile. What has
 * grown to a quarter of a grammar's limit of memory is forgotten, so that no request meets a machine that others have filled. Any thread, any
 * time; nothing is compiled under the lock.
 */
#ifndef SERVE_COMPILED_H
#define SERVE_COMPILED_H

#include <lar/grammar.h>
#include <lar/tools.h>
#include <pthread.h>

#include "base/sha256.h"
#include "base/str.h"

enum { COMPILED_MAX = 64 };
#define COMPILED_BYTES ((size_t)128 << 20)

/* One of both is not NULL. */
struct compiled_item {
    struct lar_grammar *grammar;
    struct lar_tools *tools;
    char key[SHA256_HEX + 1];
    int held;   /* by so many */
    int kept;   /* it stands in the cache */
    size_t bytes;
    int64_t used; /* when, in turns */
};

struct compiled {
    pthread_mutex_t lock;
    struct compiled_item *item[COMPILED_MAX];
    size_t n, bytes, limit;
    int64_t turn;
    long made, found, dropped; /* so far */
};

/* limit: bytes of what nobody holds and of what is held together. */
void compiled_init(struct compiled *c, size_t limit);
/* Nobody holds anything any more. */
void compiled_done(struct compiled *c);

/* As lar_grammar_open and lar_tools_open. */
int compiled_grammar(struct compiled *c, struct compiled_item **out, enum lar_grammar_kind kind, struct str text,
                     const struct lar_grammar_options *opt, struct lar_err *err);
int compiled_tools(struct compiled *c, struct compiled_item **out, struct lar_model *m, struct str text,
                   const struct lar_tools_options *opt, struct lar_err *err);
/* Gives one back; NULL is allowed. */
void compiled_drop(struct compiled *c, struct compiled_item *i);

#endif
