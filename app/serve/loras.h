/* SPDX-License-Identifier: Apache-2.0
 *
 * serve/loras.h: adapters by name beside the models of a shelf: "base+name" is the base with that adapter, "base+one+two" with both.
 *
 * An adapter is known by its base's name and its own; it is opened for the base's engine when somebody asks for it and closed with the engine,
 * or when it is taken off the list: who answers with it then keeps it until the answer is whole. All is under the shelf's lock. Which files
 * may be named while the server runs: those of one folder, links followed (loras_allow), or none.
 */
#ifndef SERVE_LORAS_H
#define SERVE_LORAS_H

#include <lar/lora.h>

#include "base/buf.h"
#include "net/http.h"
#include "serve/field.h"

enum { LORAS_MAX = 256, LORAS_NAME = 80 };

struct shelf;
struct book;
struct engine;

struct lora {
    char name[LORAS_NAME];
    char *base, *path; /* the base as it was named */
    int64_t id;        /* of it alone, however often its name is used again */
    float scale;
    int64_t bytes;
    long requests;
};

struct loras {
    struct lora v[LORAS_MAX];
    size_t n;
    int64_t last;
    char *folder; /* that files may lie in; NULL: none */
};

/* What an engine has open. */
struct loras_open {
    struct {
        int64_t id;
        struct lar_lora *lora;
    } *v;
    size_t n;
};

/* What a request uses; the references are its own. */
struct loras_use {
    struct lar_lora_use v[LAR_LORA_MAX];
    int64_t id[LAR_LORA_MAX];
    size_t n;
};

void loras_done(struct loras *l);
void loras_close(struct loras_open *o);
/* NAME=FILE of the only model, or BASE+NAME=FILE: a file of the command line. */
int loras_add(struct shelf *s, const char *arg, struct lar_err *err);
int loras_allow(struct shelf *s, const char *folder, struct lar_err *err);
/* The base of "base+name...", NULL when there is none so called; its adapters' ids in u. full gets its whole name ("base+name", no ":latest"). */
struct book *loras_find(struct shelf *s, struct str name, struct loras_use *u, struct buf *full);
/* Opens what loras_find found, for a base that is held; _all: all that are called after it. */
int loras_hold(struct shelf *s, struct engine *e, struct loras_use *u, struct lar_err *err);
int loras_hold_all(struct shelf *s, const struct book *k, struct lar_err *err);
void loras_drop(struct loras_use *u);
/* "lora" of a request, as llama-server has it: each an id of GET /lora-adapters and its scale. */
field_fn loras_read;
/* Those that a request's list names, of a model that was named without any; full gets their names, as loras_find gives them. */
int loras_pick(struct shelf *s, const struct book *k, const struct json *list, struct loras_use *u, struct buf *full,
               struct lar_err *err);

/* Called for each adapter of the book, with the shelf's lock held: its whole name into b. */
void loras_each(struct shelf *s, const struct book *k,
                void (*one)(struct buf *b, const struct book *k, const struct lora *l, const char *name),
                struct buf *b);
/* ,"adapters":[{"name":...,"size":...}] of what the engine has open; nothing when that is nothing. With the lock held. */
void loras_loaded(struct shelf *s, const struct engine *e, struct buf *b);
/* Appends to a metrics page. */
void loras_metrics(struct shelf *s, struct buf *b);

/* Answers what comes in at
 * GET /lora-adapters: all, with numbers, as llama-server has it;
 * POST /lora-adapters: [{"id":N,"scale":X},...]: scales of who says none; those not named become 0;
 * POST /v1/load_lora_adapter: vLLM's {lora_name, lora_path, base_model_name}. The adapter is opened at once, so that one that does not fit is refused here;
 * POST /v1/unload_lora_adapter: {lora_name, base_model_name}. */
void loras_take(struct shelf *s, struct http_call *c);

#endif
