/* SPDX-License-Identifier: Apache-2.0
 *
 * serve/shelf.h: the models that a server knows by name, and which of them are loaded.
 *
 * A loaded model is an engine: model, steps, and the scheduler's lists. It is held by requests and by nobody else.
 *
 * All of them share one number of bytes: weights, work space and keys and values as the plan foretells them. One thread loads (shelf_load.c): who
 * wants a model that is not there waits in a queue of it, and of models that nobody holds those used longest ago go until the new one fits.
 * While busy ones hold the bytes the queue waits; what could never fit is refused at once. Pinned models never go.
 *
 * Names come from shelf_find alone: another source of names is one more look-up there. A file that was replaced gets another book; the old
 * one goes with its last request.
 */
#ifndef SERVE_SHELF_H
#define SERVE_SHELF_H

#include <lar/batch.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <time.h>

#include "base/buf.h"
#include "serve/cache.h"
#include "serve/compiled.h"
#include "serve/guess.h"
#include "serve/loras.h"
#include "serve/metrics.h"
#include "store/store.h"

enum { SHELF_SCORED = 32 }; /* rows of logits of a step beside one of each row: of guesses, and of prompts whose tokens are scored */

struct row;

/* What is told of room for an answer; under the scheduler's lock. */
struct slot {
    long task; /* the request's number; 0: nobody has been here */
    int busy, ctx, max_tokens, stream, guesses;
    size_t prompt, read, cached, written; /* tokens: of the prompt; of it evaluated, and there already; of the answer */
    struct lar_sampling sampling;
};

struct engine {
    struct lar_model *model;
    struct lar_batch *batch;
    struct lar_model_info info;
    int reads_only;        /* writes no text: no batch */
    double kv_token_bytes; /* of keys and values */
    int64_t fixed, kv_one; /* bytes by the plan: weights and work space; keys and values of one answer */
    struct engine *next;   /* of those about to be closed */
    struct compiled compiled;
    struct loras_open loras; /* under the shelf's lock */
    atomic_int lora_gone;    /* one of them was unloaded: timelines kept with it are of no use any more */
    /* the scheduler's */
    struct row *waiting, **tail;
    struct row **row; /* [nrow], being evaluated */
    size_t nrow, row_room;
    struct lar_part *part;
    struct row **who;
    struct slot *slot; /* [row_room] */
    struct guessing guess;
    struct cache cache;       /* timelines that are over */
    double kv_used;           /* of rows at work */
    _Atomic int64_t shown_kv, shown_kept; /* what others may look at: bytes of rows at work, and kept */
    double step_ns, token_ns; /* running means: a step that only writes; a prompt's token beside answers */
};

struct book {
    char *name, *path;
    int64_t bytes;
    struct timespec modified;
    struct stat file; /* as it was when it was looked into */
    char *architecture, *title, *file_type; /* from the file's head */
    int64_t parameters, ctx_train, width;
    int reads_only;             /* an encoder: no text generation */
    struct store_model *stored; /* with what its Modelfile says; NULL: a file of the command line */
    /* under the shelf's lock */
    struct engine *engine; /* NULL: not loaded */
    int held;
    int listed;    /* the store has it now */
    int64_t until; /* monotonic ns when it may be closed; INT64_MAX: stays */
    int64_t used, keep; /* when it was last held or given back; how long it was to stay then */
    int64_t gone;       /* when another file took its place: nobody finds it any more; 0: it is the one */
    uint64_t need;      /* bytes by the plan, when it was last looked at; 0: never */
    int pinned, loading;
    char *draft; /* the file of a model that guesses for it, or NULL */
};

/* A request that waits for its model. */
struct shelf_wait {
    struct shelf_wait *next;
    struct book *book;
    int64_t keep_ns; /* as in struct ask */
    int64_t since;   /* monotonic ns */
    /* Its client has gone; NULL: there is no such thing. */
    int (*gone)(struct shelf_wait *w);
    /* Once, on the loading thread: rc 0: the book is held; else why not. */
    void (*ready)(struct shelf_wait *w, int rc, const struct lar_err *why);
};

struct shelf_options {
    int threads, deterministic, kv; /* enum lar_kv */
    int parallel;                   /* rows at once */
    int step_tokens;                /* of a step */
    int lookup;                     /* tokens guessed at once, of who does not say */
    int64_t keep_ns;                /* default keep_alive; negative: for good */
    int ctx;                        /* of who asks for none; 0: the model's, at most 8192 */
    uint64_t memory;                /* for all models, with all that belongs to them; 0: what is free */
    int waiting;                    /* requests that may wait for models */
    int force;                      /* 1: loads what does not fit */
    struct disk *disk;              /* keeps timelines of all models; NULL: none does */
    void (*say)(const char *line);  /* told what is wrong in a file that was loaded all the same */
};

struct shelf {
    pthread_mutex_t lock;
    struct shelf_options opt;
    struct book *book;
    size_t nbook;
    struct store *store; /* models by name; NULL: none */
    struct loras loras;  /* adapters by name */
    /* of loading (shelf_load.c) */
    pthread_t thread;
    pthread_cond_t wake;
    struct shelf_wait *first, **tail;
    int nwait, running, stop;
    uint64_t at_start;        /* bytes that were free then */
    _Atomic int64_t short_of; /* bytes that the first in the queue lacks: kept timelines make way */
    long loads, evicted, refused;
};

/* The context of who asks for none and is given none by the options. */
int engine_ctx(const struct engine *e);
int book_ctx(const struct book *k); /* the same before it is loaded */

int shelf_open(struct shelf *s, const struct shelf_options *opt, struct lar_err *err);
void shelf_close(struct shelf *s);
/* Looks into the file; name NULL: the file's own without .gguf. */
int shelf_add(struct shelf *s, const char *name, const char *path, struct lar_err *err);
/* "NAME=FILE": the model at FILE (or of that name) guesses for NAME. Before the shelf is used. */
int shelf_draft(struct shelf *s, const char *what, struct lar_err *err);
/* Looks for names in Lar's store too, and in those beside it. */
int shelf_use_store(struct shelf *s, struct lar_err *err);
/* Looks what the store has now: a book is to be shown when it is a file of the command line or `listed`. With the lock held. */
void shelf_refresh(struct shelf *s);
/* By name, with or without ":latest"; n = 0 means the only one there is. NULL: nobody has that name. */
struct book *shelf_find(struct shelf *s, const char *name, size_t n);
/* Never closed again, and loaded now. Before shelf_start. LAR_EINVAL: nobody is called so. */
int shelf_pin(struct shelf *s, const char *name, struct lar_err *err);
/* The same without pinning: for who would rather know now that a file is bad. */
int shelf_load(struct shelf *s, struct book *b, struct lar_err *err);
/* From here on a thread loads, and closes what nobody holds and whose time is over. */
int shelf_start(struct shelf *s, struct lar_err *err);
/* Who waits still is told that it is over; nothing is loaded any more. */
void shelf_stop(struct shelf *s);

enum { SHELF_LATER = 1 };
/* 0: the book is loaded and held. SHELF_LATER: w waits, and w->ready will be called. LAR_ENOMEM: too many wait. */
int shelf_hold(struct shelf *s, struct book *b, struct shelf_wait *w, struct lar_err *err);
/* keep_ns as in struct ask. */
void shelf_release(struct shelf *s, struct book *b, int64_t keep_ns);
/* Gives it back now, or when the last request is done. LAR_EINVAL: it is pinned. */
int shelf_unload(struct shelf *s, struct book *b, struct lar_err *err);
/* Keys and values of the engine's answers are to become kv bytes, kept beside those of timelines that are over: may they? 0 (and they are counted),
 * SHELF_LATER: others hold the bytes; LAR_ELIMIT: never. */
int shelf_grow(struct shelf *s, struct engine *e, double kv, double kept, struct lar_err *err);
/* Of a loaded book: weights, work space, keys and values. With the lock held. */
uint64_t shelf_bytes(const struct book *b);
int shelf_waiting(struct shelf *s);
void engine_close(struct engine *e);
/* The book is one that is to be shown. */
static inline int book_shown(const struct book *b) { return !b->gone && (!b->stored || b->listed); }

/* Appends to a metrics page how much memory each loaded model has, and what became of loading. */
void shelf_memory(struct shelf *s, struct buf *b);
/* Fills in what the loaded models have compiled. */
void shelf_compiled(struct shelf *s, struct metrics *m);

#endif
