/* SPDX-License-Identifier: Apache-2.0
 *
 * text/gbnf.h: GBNF, the grammars of llama.cpp, as a program that the machine of text/grammar.h follows.
 *
 * Rules that do not call themselves become one expression (text/rx.h) each and vanish; what is left are nodes: a text and what follows
 * it, a call of a rule and what follows it, alternatives, the end.
 */
#ifndef TEXT_GBNF_H
#define TEXT_GBNF_H

#include "base/err.h"
#include "base/mem.h"
#include "text/rx.h"

enum gbnf_kind { GBNF_END, GBNF_TERM, GBNF_CALL, GBNF_ALT, GBNF_VALUE };
struct gbnf_node {
    enum gbnf_kind kind;
    uint32_t
        a; /* TERM: its expression, never nullable; CALL: the rule's first node; ALT: place in way[]; VALUE: of a schema */
    uint32_t n;    /* ALT: how many ways */
    uint32_t next; /* 0: the end */
    uint8_t empty; /* from here on the rest of the rule may be empty */
    uint8_t dead;  /* nothing ever comes of it */
};
struct gbnf {
    struct gbnf_node *node; /* [0] is the end */
    uint32_t nnode;
    uint32_t *way;
    uint32_t start;
};

/* Reads text; what is made lies in a. Left recursion and llama.cpp's tokens (<...>) are LAR_EUNSUPPORTED, the line is named. */
int gbnf_read(struct gbnf *out, struct str text, struct rx *rx, struct arena *a,
              struct lar_err *err);

/* What texts beside a schema may say more: @3 is a JSON value that the schema calls 3, @3."k" the value of its member k; $3."k" the characters
 * of that member, which is a string, without quotes, and $3."k"!"end" such that hold no "end"; ~"end" is any text that holds no "end"; /"re" a text that a regular expression matches; a
 * name between two vertical tabs is the control token of this name, as the byte ff, which no text has, and the name. */
struct gbnf_values {
    void *ctx;
    int64_t (*value)(void *ctx, uint32_t number, const struct str *key, int text, struct lar_err *err);
};
int gbnf_read_with(struct gbnf *out, struct str text, const struct gbnf_values *values, struct rx *rx,
                   struct arena *a, struct lar_err *err);

#endif
