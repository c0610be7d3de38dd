/* SPDX-License-Identifier: Apache-2.0
 *
 * serve/guess.h: guessed tokens in a scheduler's step: by lookup in each answer's own text, or by a draft model for all answers together (lar/draft.h).
 *
 * What a request asks for by a number is done; what only the server's options say is done while it pays, and never in a step in which prompts wait.
 * The scheduler's thread alone is here once an engine is open.
 */
#ifndef SERVE_GUESS_H
#define SERVE_GUESS_H

#include <lar/draft.h>

struct engine;
struct row;
struct shelf_options;

struct guessing {
    struct lar_model *model; /* the draft; NULL: none */
    struct lar_draft *draft;
    struct lar_pays *draft_pays, *lookup_pays;
    struct lar_guess *guess; /* [row_room] */
    struct row **who;
    double kv_token_bytes;   /* of a draft's session */
    enum lar_kv kv;
    /* of the step at hand */
    int by_lookup, by_draft; /* who was asked */
    size_t made, right;
    double read_ns;
    int64_t began;
};

/* Opens the draft at path for e's model, which is open. */
int guess_model(struct engine *e, const char *path, const struct shelf_options *o, struct lar_err *err);
/* The rest of it, when the engine's rows are there. */
int guess_open(struct engine *e, const struct shelf_options *o, struct lar_err *err);
void guess_done(struct guessing *g);

/* Before a step: sets nnext of the rows that write, guesses behind the sure tokens. prompts: so many wait. */
void guess_make(struct engine *e, size_t prompts);
/* Of row r's guesses in this step so many were right. */
void guess_right(struct engine *e, struct row *r, size_t made, size_t right);
/* After it. */
void guess_note(struct engine *e, size_t nwrite, size_t nprompt);

#endif
