/* SPDX-License-Identifier: Apache-2.0
 * text/schema_expand.h: the state of bringing one value, for one type, into alternatives: schema_expand.c walks the formula,
 * schema_emit.c makes of a finished branch what schema.h shows. */
#ifndef TEXT_SCHEMA_EXPAND_H
#define TEXT_SCHEMA_EXPAND_H

#include "text/schema_impl.h"

enum { T_NULL, T_BOOL, T_NUMBER, T_STRING, T_ARRAY, T_OBJECT, T_COUNT };

/* A demand that is no formula any more. */
enum leaf_kind {
    A_PREFIX,   /* item `from` holds lit */
    A_ITEMS,    /* so do all items from `from` on */
    A_CONTAINS, /* n..m items from `from` on hold lit */
    A_MIN,
    A_MAX,
    A_UNIQUE,
    A_UNEVALUATED, /* items that nothing below the literal `owner` looked at hold lit */
    O_NAME,        /* the value under name, if there is one, holds lit */
    O_PATTERN,     /* so do all whose key is in rx */
    O_REST,        /* all whose key neither properties nor patternProperties of schema x name */
    O_KEYS,        /* every key is in rx */
    O_REQUIRED,
    O_FORBIDDEN,
    O_MIN,
    O_MAX,
    O_SOME_PATTERN,
    O_SOME_REST, /* some value with such a key holds lit */
    O_SOME_KEY,  /* some key is in rx */
    O_UNEVALUATED
};
struct leaf {
    enum leaf_kind kind;
    uint32_t lit, x, rx, owner;
    uint64_t from, n, m;
    struct str name;
};

/* A disjunction that waits. */
enum choice_kind { C_ANY, C_ONE, C_IF, C_DEPENDENT, C_ENUM, C_NOT, C_NOT_CONST };
struct choice {
    enum choice_kind kind;
    uint32_t x, kw, origin;
};

struct origin {
    uint32_t lit, from; /* index of the literal it came from; itself at the top */
};

struct expand {
    struct schema *s;
    int type;
    uint32_t node; /* scalars and strings: the expression so far */
    struct origin *lit;
    size_t nlit, cap_lit, at;
    struct choice *choice;
    size_t nchoice, cap_choice;
    struct leaf *leaf, nowhere; /* nowhere: written to when there is no memory for another */
    size_t nleaf, cap_leaf;
    const struct json *turn_of, *turn; /* the member of a list that was asked for last, and its number */
    size_t turn_at;
    int depth;
    unsigned steps;
    int probe, found; /* only asks whether any branch may hold */
    int *quota;       /* of steps, shared by nested probes */
    uint32_t sum;     /* what came out: expressions joined */
    struct schema_arr *arr;
    struct schema_obj *obj;
    size_t narr, cap_arr, nobj, cap_obj;
};

struct leaf *expand_leaf(struct expand *e, enum leaf_kind kind);
int emit_array(struct expand *e);  /* appends to e->arr */
int emit_object(struct expand *e); /* appends to e->obj */
/* Room for one more in a list of e, as rx_grow does for a pool. */
int expand_grow(struct expand *e, void *v, size_t n, size_t *cap, size_t size);
static inline int structural(int type) { return type == T_ARRAY || type == T_OBJECT; }
void expand_choice(struct expand *e, enum choice_kind kind, uint32_t x, uint32_t kw,
                   uint32_t origin);
/* Adds a literal that came from the one numbered `from` (UINT32_MAX: from none); 0 when it contradicts. */
int expand_lit(struct expand *e, uint32_t lit, uint32_t from);
const struct json *expand_nth(const struct json *j, size_t i);
/* schema_text.c */
int expand_type(const struct json *j);
int expand_type_in(const struct json *j,
                   int type); /* 0 the type is not among them, 1 it is, 2 only integers are */
uint32_t expand_const(struct expand *e, const struct json *j);
/* The expression of what keyword k of x lets through, for scalars and strings; *says = 0 when it says nothing about the type. */
uint32_t expand_text(struct expand *e, const struct sch *x, struct sch_kw *k, int *says);
/* The branch's texts are also in r, or (negative) not in it. 0 when none is left for certain. */
int expand_narrow(struct expand *e, uint32_t r, int negative);
/* schema_negate.c: 0 when the branch is impossible */
int expand_negation(struct expand *e, uint32_t id);
int expand_unlike(struct expand *e, const struct json *j);
size_t expand_ways(struct expand *e, const struct sch *x,
                   const struct sch_kw *k); /* in which k can fail */
int expand_fail(struct expand *e, uint32_t id, struct sch_kw *k, size_t way);
int expand_unlike_part(struct expand *e, const struct choice *c,
                       size_t i); /* as an option of a choice */

/* 0: certainly no document of this type holds all these literals. */
int expand_maybe(struct schema *s, const uint32_t *lit, size_t n, int type, int *quota);
uint32_t expand_pattern(struct schema *s, struct sch_kw *k, uint32_t i, struct str pattern,
                        const char *path);
/* The expression of strings that satisfy the schema sub (with its sign). */
uint32_t expand_strings(struct schema *s, uint32_t lit);

#endif
