/* SPDX-License-Identifier: Apache-2.0
 * cli/constraint.h: what an answer must be, as options say it. */
#ifndef CLI_CONSTRAINT_H
#define CLI_CONSTRAINT_H

#include <lar/grammar.h>

#include "cli/options.h"

struct constraint_given {
    const char *schema, *regex, *choices, *grammar, *lark;
    int json, compact, partial;
};
extern const struct opt constraint_options[];

/* NULL in *out when nothing was given. Notes about a schema go to standard error. The caller closes with lar_grammar_close. */
int constraint_open(const struct constraint_given *c, struct lar_grammar **out, struct lar_err *err);
/* Which of both a grammar is written in: GBNF has ::= in each rule, outside of texts and comments. */
enum lar_grammar_kind constraint_language(const char *text, size_t n);
/* What a schema that is enforced in part leaves out, a line each, to standard error. */
void constraint_left(struct lar_grammar *g);
/* Says whether an answer is valid by all of a schema that is enforced in part; nothing when all of it is. 1: it is not for certain. */
int constraint_judge(struct lar_grammar *g, const char *text, size_t n);
/* The lines of notes, each with "note: ". */
void constraint_notes(const char *notes);

#endif
