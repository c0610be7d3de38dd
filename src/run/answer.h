/* SPDX-License-Identifier: Apache-2.0
 *
 * run/answer.h: from decoded pieces of text to what the user sees: thinking told from answer, stop strings found, nothing given out
 * that might still turn out to be the beginning of a marker.
 *
 * It knows text only: no tokens, no model. Pieces may be cut anywhere; the result does not depend on where.
 */
#ifndef RUN_ANSWER_H
#define RUN_ANSWER_H

#include "base/buf.h"

enum answer_kind { ANSWER_TEXT, ANSWER_THINKING };

/* Where a model's thinking begins and ends in its text. */
struct answer_marks {
    struct str open, close; /* open.n = 0: the model does not think */
};
/* The marks that a chat template's source shows, or none. */
struct answer_marks answer_marks_of(struct str template_source);

struct answer {
    struct answer_marks marks;
    const char *const *stop;
    size_t nstop;
    enum answer_kind state;
    int begun;          /* something but white space was seen: thinking can only begin before */
    int trim;           /* white space after the end of thinking is dropped */
        int stopped;            /* a stop string was found */
    size_t stopped_by;      /* its number */
    struct buf hold;    /* not yet given out */
    struct buf text[2]; /* what was given out, by kind */
    int (*on_text)(void *ctx, enum answer_kind kind, const char *text, size_t n); /* may be NULL */
    void *ctx;
    int refused; /* on_text gave non-zero */
};

/* prompt: the text that the model continues; when it ends in the opening mark the answer begins with thinking. The structure's other
 * fields (marks, stop, on_text) are set by the caller first. */
void answer_begin(struct answer *a, struct str prompt);
void answer_add(struct answer *a, struct str piece);
void answer_end(struct answer *a); /* gives out what was held back */
void answer_done(struct answer *a);

#endif
