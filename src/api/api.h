/* SPDX-License-Identifier: Apache-2.0
 * api/api.h: what stands behind the opaque names of lar/lar.h. */
#ifndef API_API_H
#define API_API_H

#include <lar/lar.h>
#include <pthread.h>

#include "model/model.h"
#include "run/answer.h"
#include "run/batch.h"
#include "run/breaker.h"
#include "run/kv.h"
#include "run/pays.h"
#include "run/sampler.h"
#include "run/session.h"
#include "text/gotmpl.h"
#include "text/template.h"
#include "text/toktrie.h"
#include "text/vocab.h"
#include "text/vocab_hf.h"

struct call_form;
struct lar_draft;

struct lar_model {
    atomic_int refs; /* the caller's one, and one a session */
    struct model *model;
    struct vocab_image image; /* of a tokenizer that is not in a GGUF: what model is open on */
    struct vocab *vocab;
    struct str template_source; /* the file's, or what the caller gave in its place; terminated copy below */
    char *template_text;
    struct template *template; /* NULL: none, or it does not compile (template_err) */
    struct gotmpl *gotmpl;     /* in its place, of a template in Go's language */
    int from_caller;           /* the template is not the file's */
    struct lar_err template_err;
    struct answer_marks marks;
    char *name;
    struct lar_sampling sampling; /* Lar's defaults with what the file recommends */
    const char *warning;          /* what of that was left out; "" */
    char image_id[65]; /* what timelines follow from (run/image.h); "" until one asks */
    pthread_mutex_t lock;      /* of pool and image_id */
    pthread_mutex_t trie_lock; /* of trie: made while a prompt is read, which may want the other */
    struct toktrie *trie; /* of vocab, for grammars; NULL until one wants it */
    struct str *trie_bytes; /* of each token; n = 0: it is no text */
    int32_t *end;         /* the tokens that end an answer */
    const struct call_form *call_form; /* how it writes calls of functions */
    int call_told;                     /* the template tells of tools */
    struct ids call_marks;             /* control tokens of that form */
    char *mark_bytes;                  /* what trie_bytes holds of them */
    uint32_t nend;
    struct kv_pool *pool[KV_COUNT];
};

struct lar_batch {
    struct lar_model *m;
    struct batch_step b;
    struct batch_part *part; /* [b.nseq] */
};

/* Who guesses for lar_generate (lar/draft.h); d NULL: nobody. */
struct session_draft {
    struct lar_draft *d;
    struct lar_session *with;
    struct pays pays;
    int most, always;
};

struct lar_session {
    struct lar_model *m;
    struct session s;
    struct session_draft draft;
};

/* Frees when this was the last reference. */
void api_model_unref(struct lar_model *m);
/* What stands before names of control tokens in messages (text/vocab_guard.c); "": nothing does. */
struct chat_guard {
    char text[4];
};

/* The prompt's text for messages; appends to out. guard: NULL to leave messages as they are, else it tells the guard that the text holds.
 * 1: the template is broken, the text is in the plain form that lar_chat_format states, and err says why. */
int api_chat_format(const struct lar_model *m, const struct lar_message *msg, size_t nmsg,
                    enum lar_think think, struct chat_guard *guard, struct buf *out, struct lar_err *err);
/* The same for the text of a JSON object with messages and whatever else the template reads. */
int api_chat_render(const struct lar_model *m, struct str chat, enum lar_think think, struct chat_guard *guard,
                    struct buf *out, struct lar_err *err);
/* A sampler, and what cuts DRY's sequences in the text that it follows. Begins as zeros. */
struct api_sampler {
    struct sampler *s;
    struct breaker breaker;
    const struct vocab *v;
};
/* p NULL: the model's default. o->ctx is 1 or more. After a failure api_sampler_done is still to be called. */
int api_sampler_init(struct api_sampler *s, const struct lar_model *m, const struct lar_sampling *p,
                     const struct lar_sampler_options *o, struct lar_err *err);
void api_sampler_done(struct api_sampler *s);
void api_sampler_accept(struct api_sampler *s, int32_t id);
/* Fills sampling and warning of a model whose GGUF is open. */
int api_recommended(struct lar_model *m, struct lar_err *err);
/* The room of a session that asked for none in particular. */
int api_default_ctx(const struct lar_model *m);
/* Fresh memory with a copy of n bytes and a NUL, for the caller to lar_free. */
int api_give(const struct buf *b, char **out, size_t *n, struct lar_err *err);

#endif
