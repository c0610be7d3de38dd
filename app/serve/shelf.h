/* SPDX-License-Identifier: Apache-2.0
 *
 * serve/shelf.h: the models that a server knows by name, and which of them are loaded.
 *
 * A loaded model is an engine: model, steps, and the scheduler's lists. It is held by jobs and by nobody else; who holds none lets the scheduler
 * take it down when its time is over. Names come from shelf_find alone: another source of names is one more look-up there.
 */
#ifndef SERVE_SHELF_H
#define SERVE_SHELF_H

#include <lar/batch.h>
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "base/buf.h"
#include "serve/cache.h"
#include "serve/compiled.h"
#include "serve/metrics.h"
#include "store/store.h"

enum { SHELF_SCORED = 32 }; /* rows of logits of a step beside one of each row: of guesses, and of prompts whose tokens are scored */

struct row;

struct engine {
    struct lar_model *model;
    struct lar_batch *batch;
    struct lar_model_info info;
    int reads_only;        /* writes no text: no batch */
    double kv_token_bytes; /* of keys and values */
    struct compiled compiled;
    /* the scheduler's */
    struct row *waiting, **tail;
    struct row **row; /* [nrow], being evaluated */
    size_t nrow, row_room;
    struct lar_part *part;
    struct row **who;
    struct cache cache;       /* timelines that are over */
    double kv_used;           /* of rows at work */
    _Atomic int64_t shown_kv, shown_kept; /* what others may look at: bytes of rows at work, and kept */
    double step_ns, token_ns; /* running means: a step that only writes; a prompt's token beside answers */
};

struct book {
    char *name, *path;
    int64_t bytes;
    struct timespec modified;
    char *architecture, *title, *file_type; /* from the file's head */
    int64_t parameters, ctx_train, width;
    int reads_only;             /* an encoder: no text generation */
    struct store_model *stored; /* with what its Modelfile says; NULL: a file of the command line */
    /* under the shelf's lock */
    struct engine *engine; /* NULL: not loaded */
    int held;
    int listed;    /* the store has it now */
    int64_t until; /* monotonic ns when it may be closed; INT64_MAX: stays */
};

struct shelf_options {
    int threads, deterministic, kv; /* enum lar_kv */
    int parallel;                   /* rows at once */
    int step_tokens;                /* of a step */
    int lookup;                     /* tokens guessed at once, of who does not say */
    int64_t keep_ns;                /* default keep_alive; negative: for good */
    int ctx;                        /* of who asks for none; 0: the model's, at most 8192 */
    uint64_t memory;                /* for models; 0: what is free */
    int force;                      /* 1: loads what does not fit */
    void (*say)(const char *line);  /* told what is wrong in a file that was loaded all the same */
};

struct shelf {
    pthread_mutex_t lock;
    struct shelf_options opt;
    struct book *book;
    size_t nbook;
    struct store *store; /* models by name; NULL: none */
};

/* The context of who asks for none and is given none by the options. */
int engine_ctx(const struct engine *e);
int book_ctx(const struct book *k); /* the same before it is loaded */

int shelf_open(struct shelf *s, const struct shelf_options *opt, struct lar_err *err);
void shelf_close(struct shelf *s);
/* Looks into the file; name NULL: the file's own without .gguf. */
int shelf_add(struct shelf *s, const char *name, const char *path, struct lar_err *err);
/* Looks for names in Lar's store too, and in those beside it. */
int shelf_use_store(struct shelf *s, struct lar_err *err);
/* Looks what the store has now: a book is to be shown when it is a file of the command line or `listed`. With the lock held. */
void shelf_refresh(struct shelf *s);
/* By name, with or without ":latest"; n = 0 means the only one there is. NULL: nobody has that name. */
struct book *shelf_find(struct shelf *s, const char *name, size_t n);
/* Loads it if need be, and holds it; LAR_ENOMEM when it does not fit, even without the models that nobody holds. *load_ns: what that took. */
int shelf_hold(struct shelf *s, struct book *b, int64_t *load_ns, struct lar_err *err);
/* keep_ns as in struct ask. */
void shelf_release(struct shelf *s, struct book *b, int64_t keep_ns);
/* Closes what nobody holds and whose time is over; gives when to come again (INT64_MAX: no need). all: whoever's time. */
int64_t shelf_sweep(struct shelf *s, int all);
/* Appends to a metrics page how much memory each loaded model has. */
void shelf_memory(struct shelf *s, struct buf *b);
/* Fills in what the loaded models have compiled. */
void shelf_compiled(struct shelf *s, struct metrics *m);

#endif
