/* SPDX-License-Identifier: Apache-2.0
 *
 * run/session.h: one timeline of tokens and its keys and values.
 *
 * The caller says what the timeline shall be (session_sync); the session finds out what it can keep. Everything that evaluating needs is
 * taken at opening. One thread at a time, except session_cancel.
 */
#ifndef RUN_SESSION_H
#define RUN_SESSION_H

#include <stdatomic.h>

#include "model/adapter.h"
#include "run/kv.h"

enum { SESSION_ADAPTERS = 8 };

struct session {
    struct model *model; /* a reference of its own */
    struct kv kv;
    struct dev_kv_layer *layout; /* [nlayer] */
    struct work work;
    float *state; /* [model->state_floats] of recurrent layers; NULL: none */
    struct {
        float *state; /* a copy of it after the first n tokens */
        size_t n;
    } check[2];
    int32_t *tokens; /* [ctx] */
    size_t n, ctx;
    size_t length; /* of the text when it was last known: that of the prompt, then n */
    size_t batch;
    enum kern_kv kind; /* of its keys and values */
    int has_logits;    /* of the last token, in work.logits */
    int stepping;      /* in a step of a batch just now */
    atomic_int cancel;
    struct adapter *adapter[SESSION_ADAPTERS]; /* [nlow], references of its own */
    struct dev_low low[SESSION_ADAPTERS];
    size_t nlow;
};

/* What the device must hold for steps of up to `batch` rows. */
void session_need(const struct model *m, size_t batch, struct dev_need *need);
/* pool must be of the model's block size for this kind of memory (model_kv_layout). */
int session_open(struct session *s, struct model *m, struct kv_pool *pool, enum kern_kv type,
                 size_t ctx, size_t batch, struct lar_err *err);
void session_close(struct session *s);

/* From here on the model is what these adapters, opened for it, make of it; n <= SESSION_ADAPTERS. The timeline is empty afterwards, unless they
 * are what it has. Adapters' work space is the caller's to reserve (dev_need.low). */
void session_adapt(struct session *s, struct adapter *const *adapter, const float *scale, size_t n);
/* Whether both see the model through the same adapters: only then their keys and values are alike. */
int session_alike(const struct session *a, const struct session *b);
/* The rows of a step that go on with it. */
struct dev_seq session_seq(struct session *s, size_t first, size_t n);

/* Appends n tokens; all (may be NULL) gets [n][vocab] logits. progress (may be NULL) is called after each batch. On LAR_ECANCEL what was
 * evaluated stays. */
int session_extend(struct session *s, const int32_t *tokens, size_t n, float *all,
                   void (*progress)(void *ctx, size_t done, size_t total), void *ctx,
                   struct lar_err *err);
/* Makes the timeline these tokens; gives how many were evaluated (at least 1 when n > 0: the last one's logits are wanted). */
int session_sync(struct session *s, const int32_t *tokens, size_t n,
                 void (*progress)(void *ctx, size_t done, size_t total), void *ctx,
                 struct lar_err *err);
/* Forgets the tokens from position n on. A model with recurrent layers can only go back to where its state was kept (the ends of the last
 * two prompts, or the beginning); the timeline then ends there. */
void session_cut(struct session *s, size_t n);
const float *session_logits(const struct session *s);

/* 0 when these tokens can be appended. */
int session_check(const struct session *s, const int32_t *tokens, size_t n, struct lar_err *err);
/* Cuts the timeline to what it shares with the beginning of tokens, less one when that is all of them, as the last one's logits are
 * wanted. Gives how many are kept: none where a text of another length turns its keys differently (rope_alike). */
size_t session_reuse(struct session *s, const int32_t *tokens, size_t n);
/* How many of tokens session_fork would give if there were room. */
size_t session_shared(const struct session *from, const int32_t *tokens, size_t n);
/* The empty session s becomes the beginning of from (same model, pool and kind) that both share with tokens, blocks shared.
 * Nothing when keys are turned differently in them (rope_alike). */
size_t session_fork(struct session *s, const struct session *from, const int32_t *tokens, size_t n);
/* Keeps what a recurrent model needs to come back to this place: see session_cut. */
void session_keep(struct session *s);

#endif
