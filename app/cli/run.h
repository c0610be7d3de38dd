/* SPDX-License-Identifier: Apache-2.0
 * cli/run.h: what `lar run` with a prompt and the chat have in common. */
#ifndef CLI_RUN_H
#define CLI_RUN_H

#include <lar/lar.h>

#include "cli/constraint.h"
#include "cli/drafting.h"
#include "cli/named.h"
#include "cli/sampling.h"
#include "cli/talk.h"
#include "cli/calling.h"

struct run_options {
    const char *system, *memory, *lock_file;
    struct opt_list stop, breaker, adapter;
    int ctx, kv, max_tokens, lookup, threads, deterministic;
    int raw, think, no_think, parse_special, hide_thinking, json, verbose, force, locked;
    struct sampling_given sampling;
    struct constraint_given constraint;
    struct calling_given tools;
    struct drafting_given draft;
};
/* Those of the options that the chat's /set parameter also takes, beside sampling_options. */
extern const struct opt generation_options[];

struct runner {
    struct run_options o; /* the chat changes them */
    struct named named;
    const char *path;
    const struct json *said; /* the Modelfile's MESSAGEs, an array, or NULL */
    struct lar_model *m;
    struct lar_grammar *grammar; /* NULL: answers are free */
    int invalid;                 /* --partial: the last answer is not valid by the whole schema, or perhaps */
    struct lar_session *s; /* NULL until it is wanted, and after /set parameter ctx */
    struct drafting draft;
    struct lar_model_info info;
    int chatting;
    int raw; /* no template, by --raw or because there is none */
    double load_ms;
};

/* What the Modelfile of a name says, where the command line says nothing: into o and said. */
int settings_apply(struct runner *r, struct lar_err *err);
/* Takes SYSTEM and MESSAGEs back, for a model without a template; says so. */
void settings_drop(struct runner *r);
/* The conversation's beginning: the system message, and what was said. */
int settings_talk(const struct runner *r, struct talk *t, struct lar_err *err);
/* Opens the session unless it is open. */
int runner_session(struct runner *r, struct lar_err *err);
/* The part of a request that comes from the options; sampling must live as long as the request. */
void runner_request(const struct runner *r, struct lar_sampling *sampling, struct lar_request *req);
/* One line of timings, and the reason of an end that is no end, on stderr. */
void runner_tell(const struct runner *r, const struct lar_result *res);

/* Talks until the person leaves. Gives the exit code. */
int chat(struct runner *r);
/* What can be said to the chat beside messages, a line each. */
void chat_help(struct buf *b);

#endif
