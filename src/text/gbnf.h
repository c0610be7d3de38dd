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

enum gbnf_kind { GBNF_END, GBNF_TERM, GBNF_CALL, GBNF_ALT };
struct gbnf_node {
    enum gbnf_kind kind;
    uint32_t
        a; /* TERM: its expression, never nullable; CALL: the rule's first node; ALT: place in way[] */
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

#endif
