/* SPDX-License-Identifier: Apache-2.0
 * text/calls_impl.h: what the reader's two files share. */
#ifndef TEXT_CALLS_IMPL_H
#define TEXT_CALLS_IMPL_H

#include <stdio.h>

#include "text/calls.h"

enum { DONE, WAIT, BROKEN }; /* of a step */
enum {
    TEXT,
    OPEN,
    BEGIN,
    NAME,
    BEHIND,
    ARGS,
    END,
    NEXT,
    HEAD,
    MESSAGE,
    THOUGHT,
    PAIR,
    KEY,
    FLAG,
    VALUE,
    BRACES,
    PYTHON,
    OBJECT,
    OBJECT_KEY,
    OBJECT_MEMBER,
    OBJECT_COLON,
    OBJECT_NAME,
    OBJECT_ARGS,
    OBJECT_TEXT,
    OBJECT_OTHER,
    OBJECT_NEXT
};

static inline int is_blank(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }
static inline int is_blank_text(const char *z)
{
    while (is_blank(*z)) z++;
    return !*z;
}

/* Whether lit stands at `at` of what is held; white space in it, and before it, is any or none; none is taken behind it. */
int calls_match(const struct calls *c, size_t at, const char *lit, size_t *n);
int calls_literal(struct calls *c, const char *lit); /* the same at c->at, and takes it */
int calls_named(struct calls *c);                    /* c->name is the call's */
void calls_args(struct calls *c, struct str s);
int calls_json(struct calls *c, int to);
int calls_ended(struct calls *c); /* the arguments are whole */

/* calls_args.c */
int calls_object(struct calls *c);
int calls_tags(struct calls *c);
int calls_braces(struct calls *c);
/* calls_python.c */
int calls_python(struct calls *c);
/* Appends one of Python's literals as JSON; 0: it is none, out is as it was. */
int calls_python_json(struct str s, struct buf *out);

/* ---- grammars: calls_grammar.c and calls_members.c ---- */

/* A schema that has a rule, and the rule's number. */
struct known {
    const struct json *schema;
    size_t tool, id;
};
struct make {
    const struct call_form *f;
    const struct calls_choice *q;
    struct buf b;     /* the rules */
    struct buf parts; /* members of the parts' schema behind those of the tools */
    size_t npart, nvalue, nset;
    struct known *known;
    size_t nknown, any; /* any: the rule of what may be anything, + 1 */
    const struct json *tool;
    struct lar_err *err;
    int rc;
};
/* A text of the form: what are control tokens in this vocabulary goes by name. */
void calls_put(struct make *m, const char *z);
void calls_quote(struct buf *b, struct str s);
int calls_refuse(struct make *m, struct str tool, struct str what);
/* Rules for the arguments of a tool; gives their number: s NUMBER-0 is all of them. */
size_t calls_members(struct make *m, size_t tool, const struct json *fn, const struct json *params);

#endif
