/* SPDX-License-Identifier: Apache-2.0
 *
 * serve/ask.h: the one form of a request. Every dialect's reader fills it in, and everything behind the readers knows only this.
 *
 * Sampling settings are kept as "what the client said", because what he did not say is the model's, and the model is known later. All that is
 * pointed to lives in the ask's arena.
 */
#ifndef SERVE_ASK_H
#define SERVE_ASK_H

#include <lar/lar.h>

#include "base/buf.h"
#include "base/json.h"

enum ask_param {
    ASK_TEMP,
    ASK_TOP_K,
    ASK_TOP_P,
    ASK_MIN_P,
    ASK_TYPICAL_P,
    ASK_REPEAT_PENALTY,
    ASK_REPEAT_LAST_N,
    ASK_PRESENCE,
    ASK_FREQUENCY,
    ASK_DRY_MULTIPLIER,
    ASK_DRY_BASE,
    ASK_DRY_ALLOWED,
    ASK_DRY_LAST_N,
    ASK_XTC_PROBABILITY,
    ASK_XTC_THRESHOLD,
    ASK_MIROSTAT,
    ASK_MIROSTAT_TAU,
    ASK_MIROSTAT_ETA,
    ASK_PARAMS
};

/* What to continue; the three kinds exclude each other. */
struct ask_prompt {
    const char *chat; /* JSON object for the chat template */
    const char *text;
    const int32_t *tokens;
    size_t ntoken;
};

enum ask_fill { ASK_FILL_NONE, ASK_FILL_PLAIN, ASK_FILL_PROJECT };

struct ask {
    struct arena a;
    struct str model; /* n = 0: none was named */
    struct ask_prompt *prompt;
    size_t nprompt;
    double param[ASK_PARAMS];
    uint32_t has;        /* bits: which of param were said */
    int64_t seed;        /* -1: none */
    int max_tokens, ctx; /* 0: not said */
    int lookup, draft;   /* tokens guessed at once; -1: not said */
    const char **stop;
    size_t nstop;
    struct lar_bias *bias;
    size_t nbias;
    int n;      /* answers a prompt; at least 1 */
    int format; /* 0: any text; else 1 + an enum lar_grammar_kind, with its text in schema */
    struct str schema;
    int partial; /* 1: as much of it as can be enforced */
    int logprobs, top; /* 1: of each token; and of so many others */
    int echo;          /* 1: the prompt comes back before the answer, with logprobs its tokens' too */
    int answers_none;  /* with echo: the prompt alone */
    enum lar_think think;
    int stream, usage; /* usage: a last piece of a stream tells it */
    int64_t keep_ns; /* how long the model stays; ASK_KEEP_DEFAULT: not said; negative: for good */
    int load_only;   /* nothing to answer: the model is loaded, or given back when keep_ns is 0 */
    /* while reading */
    struct str tools_text; /* functions that may be called, in OpenAI's form; n = 0: none */
    const char *tool_name; /* of the choice */
    int choice, choice_said; /* an enum lar_tool_choice */
    int single, strict;      /* one call at most; schemas are enforced or refused */
    enum ask_fill fill;      /* what stands between prefix and suffix is asked for */
    struct str prefix, suffix;
    const struct json *extra; /* other files of the project */
    struct str role_system, text;
    int from_file; /* role_system is a Modelfile's */
    const struct json *messages;
    const struct json *shots; /* messages of a Modelfile, which come before all others */
    int raw;
    const struct json *lora;      /* [{"id":N,"scale":X},...]: adapters for this request, by their numbers; NULL: those of the model's name */
    struct str predicted;         /* what the answer is said to be like; n = 0: nothing */
    /* of /v1/responses */
    const struct json *body;
    struct str previous, items; /* the answer to go on from; the request's own items, a comma between them */
    int no_store, summary;      /* summary: reasoning stands where its summary would */
};

#define ASK_KEEP_DEFAULT INT64_MIN
#define ASK_ARENA_MAX    ((size_t)1 << 28)

void ask_init(struct ask *q);
void ask_done(struct ask *q);
/* Lays what the client said over p. LAR_EINVAL names what is out of range. */
int ask_sampling(const struct ask *q, struct lar_sampling *p, struct lar_err *err);
/* A terminated copy in the arena. LAR_EINVAL when s holds a NUL, which no text here may. */
int ask_text(struct ask *q, struct str s, const char **out, struct lar_err *err);
/* One prompt more. NULL without memory (err says so). */
struct ask_prompt *ask_add(struct ask *q, struct lar_err *err);

#endif
