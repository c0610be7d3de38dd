/* SPDX-License-Identifier: Apache-2.0
 *
 * serve/job.h: a request at work: its rows (one an answer: prompts times n), each with a writer and, while it is evaluated, a session; and how its
 * dialect says what they write.
 *
 * A job belongs to the thread that made it until sched_submit, then to the scheduler.
 */
#ifndef SERVE_JOB_H
#define SERVE_JOB_H

#include <lar/batch.h>

#include "net/http.h"
#include "serve/ask.h"
#include "serve/shelf.h"
#include "serve/tools.h"
#include "serve/trace.h"

struct job;
struct kept;
struct reply;

/* One token's probability, and those of the most probable ones. */
struct logprob {
    int32_t id;
    float p;
    int first;  /* of a prompt: it has no probability */
    int unseen; /* a prompt's token that does not stand in its text */
    int ntop;
    struct {
        int32_t id;
        float p;
    } top[20];
};

enum { ROW_FORCED = 7, ROW_GUESSES = 16, ROW_AHEAD = 1 + ROW_FORCED + ROW_GUESSES }; /* tokens beside the drawn one; at most */

enum row_state { ROW_WAITS, ROW_PROMPT, ROW_WRITES, ROW_DONE };

struct row {
    struct job *job;
    struct row *next; /* in the scheduler's queue */
    int index;
    enum row_state state;
    struct lar_request req;
    struct lar_sampling sampling;
    struct lar_writer *writer;
    struct lar_session *session;
    const int32_t *prompt;
    size_t nprompt, at; /* of the prompt: evaluated */
    int slot;           /* where it is shown while it is evaluated */
    size_t reused;      /* of these, already there */
    struct disk_run disk; /* of these, being read back from the disk */
    int ctx;
    int32_t ahead[ROW_AHEAD]; /* [nnext] to be evaluated next: sure ones, then guesses */
    size_t sure, nnext;
    struct lar_session *draft; /* of the draft model, once it guesses (guess.c) */
    int no_draft, drafted, want; /* it cannot; this step's guesses are its; how many next */
    struct buf piece[2];  /* written and not yet sent: answer, thinking */
    struct row_calls calls; /* of functions, where the ask has tools */
    struct logprob *prob; /* [nprob] not yet sent */
    size_t nprob, prob_room;
    size_t steps, nthink; /* tokens so far, and when it last was thinking */
    size_t nout;
    size_t text_at;                    /* characters of the answer whose probabilities are told */
    struct lar_result result;          /* when done */
    int64_t began, first, last, ended; /* ns: evaluation began; first token; latest; the end */
};

/* How a dialect writes. b is appended to. */
struct dialect {
    const char *stream_type;
    /* Before the prompt becomes tokens, with the model at hand; and when the job goes. May be NULL. */
    int (*settle)(struct job *j, struct lar_err *err);
    void (*leave)(struct job *j);
    void (*error)(struct buf *b, int status, const char *message);
    /* A stream: once at its beginning; what a row has written since the last time; a row's end; the end of all. */
    void (*begin)(struct job *j, struct buf *b);
    void (*piece)(struct job *j, struct row *r, struct buf *b);
    void (*row_end)(struct job *j, struct row *r, struct buf *b);
    void (*finish)(struct job *j, struct buf *b);
    /* An error after the stream has begun. */
    void (*broken)(struct job *j, struct buf *b, const char *message);
    /* The whole answer at once. */
    void (*whole)(struct job *j, struct buf *b);
    int whole_calls; /* a stream has calls when they are whole, not in fragments */
};

struct job {
    struct shelf_wait wait; /* while its model is loaded; the first member */
    struct http_call *call; /* kept */
    const struct dialect *dialect;
    int kind; /* the dialect's own: chat or text */
    struct ask ask;
    struct shelf *shelf;
    struct book *book; /* held when not NULL, and so is its engine */
    struct engine *engine;
    struct buf name;        /* of the model with its adapters */
    struct loras_use loras; /* these */
    struct compiled_item *format; /* what each answer must be, or NULL */
    struct compiled_item *called; /* what may be called, or NULL */
    struct lar_tools *tools;      /* of called */
    struct row *row;
    size_t nrow, left; /* rows; rows not done */
    char id[40];
    char parent[TRACE_PARENT]; /* the client's trace and span, or "" */
    int32_t *predicted;        /* [npredicted] the ask's, in its arena */
    size_t npredicted;
    long number;              /* of this server's requests */
    int64_t created;          /* seconds since 1970 */
    int64_t spent;            /* tokens evaluated for it */
    int64_t arrived, load_ns; /* monotonic; what loading the model took */
    int begun;                /* the stream has */
    int forbidden;            /* job_hold: the client's key has other models only */
    int over;                 /* failed or gone: rows are to be dropped */
    int state;                /* the dialect's own */
    struct kept *kept;        /* of /v1/responses: where earlier answers are, and this one's own */
    struct reply *reply;
    /* the server's: what comes when the model is held, or cannot be */
    void (*held)(struct job *j, int rc, const struct lar_err *why);
    void *server;
    int (*read)(struct ask *q, int kind, struct str body, struct lar_err *err);
    const char *form;
};

struct job *job_new(struct http_call *c, const struct dialect *d, int kind);
/* Finds and loads the model; j->held is called when that is done, perhaps on another thread. LAR_EINVAL: nobody is called so. */
void job_hold(struct job *j, struct shelf *s);
/* Makes rows from the ask: prompts become tokens here. ctx: for who does not say one. */
int job_prepare(struct job *j, int ctx, struct lar_err *err);
/* How many tokens the ask's first prompt has. */
int job_count(struct job *j, size_t *n, struct lar_err *err);
/* Gives the model back, the call and all memory. NULL is allowed. */
void job_free(struct job *j);

/* Sends what row r has written. */
void job_piece(struct job *j, struct row *r);
/* Row r is complete (its writer is closed); the last one ends the job's answer. */
void job_row_done(struct job *j, struct row *r);
/* The job cannot go on. */
void job_fail(struct job *j, int status, const char *message);
/* Which HTTP status goes with an error of the library. */
int job_status(int code);

size_t job_prompt_tokens(const struct job *j);
size_t job_reused(const struct job *j);
size_t job_answer_tokens(const struct job *j);
/* [{"token":...,"logprob":...,"bytes":[...],"top_logprobs":[...]},...] of what is not yet sent; empties it. */
void job_logprobs(struct job *j, struct row *r, struct buf *b);
/* "2026-11-21T15:00:00.123456Z", quoted */
void job_time(struct buf *b);

#endif
