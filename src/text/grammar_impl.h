/* SPDX-License-Identifier: Apache-2.0
 * text/grammar_impl.h: items and states as the files of the machine share them. */
#ifndef TEXT_GRAMMAR_IMPL_H
#define TEXT_GRAMMAR_IMPL_H

#include "text/gbnf.h"
#include "text/grammar.h"

enum item_kind {
    I_END,    /* the document is whole */
    I_VALUE,  /* a value is to begin; a: value of the schema */
    I_STRING, /* a: expression of the characters left, b: place in an escape */
    I_SCALAR, /* a: expression of the text left; ends where that is nullable */
    I_OBJECT, /* a: object's state, phase; O_COLON b: value */
    I_KEY,    /* a: object's state, b: key's state, c: place in an escape */
    I_ARRAY, /* a: array's state, phase; b: text before the item that is being read (uniqueItems) */
    I_TERM, /* a: expression of what is left of a text that is no JSON; ends where that is nullable */
    I_SEQ   /* a: node of a GBNF grammar that follows; only among those that go on: a state has what it begins with instead */
};
enum { O_OPEN, O_COMMA, O_COLON, O_NEXT, A_OPEN, A_NEXT };

struct item {
    uint8_t kind, phase, space,
        records; /* space: white space read in this run; records: some text below is being kept */
    uint32_t a, b, c;
    uint32_t parent; /* set of items that go on */
};
struct state {
    uint32_t items, n; /* place in ids[]; sorted */
    uint32_t text;     /* what was read since a record began */
    uint8_t accepts, records;
};
struct edge {
    uint64_t key; /* state << 8 | byte, + 1 */
    uint32_t to;
};

/* An object that is being read: interned by its contents. */
struct ostate {
    const struct schema_obj *o;
    uint32_t count, met,
        left; /* keys so far (as far as it matters), bits of o->exist, required names still missing */
    uint32_t extra; /* list of keys without a name, when they must differ: link + 1 */
    uint64_t *seen; /* bits of names */
};
struct kstate {
    uint32_t lo, hi,
        at;        /* names that begin so: first and one past the last, bytes read; none: all 0 */
    uint32_t text; /* the key so far, when extra keys must differ */
    uint32_t n;
    uint32_t *rx; /* of each class of the object */
};
struct astate {
    const struct schema_arr *a;
    uint64_t count;   /* items so far, as far as it matters */
    uint64_t seen[6]; /* counted for each contain, as far as it matters */
    uint32_t unlike;  /* list of literals: what the items must differ from, link + 1 */
};
struct link {
    uint32_t value, before; /* before: link + 1 */
};
/* The numbers of equal things, by their hashes: chains that are split one by one as it grows (Litwin, Linear hashing, 1980), so that no step
 * waits until all of a large table is made again. */
struct table {
    struct chain {
        uint32_t hash, next; /* + 1 */
    } * chain; /* of each number */
    uint32_t *head;
    size_t cap, cap_head, nhead, low; /* low: the power of two up to nhead */
};
static inline uint32_t table_same(const struct table *t, uint32_t i, uint32_t hash)
{
    while (i && t->chain[i - 1].hash != hash) i = t->chain[i - 1].next;
    return i;
}
/* The first number + 1 of this hash, and the one behind it; 0: there is none. */
static inline uint32_t table_first(const struct table *t, uint32_t hash)
{
    size_t b = hash & (2 * t->low - 1);
    return t->nhead ? table_same(t, t->head[b < t->nhead ? b : b & (t->low - 1)], hash) : 0;
}
static inline uint32_t table_next(const struct table *t, uint32_t i)
{
    return table_same(t, t->chain[i - 1].next, t->chain[i - 1].hash);
}

struct grammar {
    struct grammar_options opt;
    struct schema *schema;
    struct gbnf gbnf;
    struct rx *rx, *own_rx; /* the schema's, or its own */
    struct arena a;
    struct item *item;
    size_t nitem, cap_item;
    struct state *state;
    size_t nstate, cap_state;
    uint32_t *ids;
    size_t nids, cap_ids;
    struct edge *edge, *old_edge; /* old: of half the size, moved over bit by bit; moved: up to here */
    size_t nedge, cap_edge, moved;
    struct ostate *os;
    size_t nos, cap_os;
    struct kstate *ks;
    size_t nks, cap_ks;
    struct astate *as;
    size_t nas, cap_as;
    struct link *link; /* texts and lists: text nodes are links whose value is a byte */
    size_t nlink, cap_link;
    struct table titem, tstate, tos, tks, tas, tlink;
    uint32_t *out; /* items of the state that is being made */
    size_t nout, cap_out;
    uint32_t start, end; /* end: the set of only I_END */
    size_t bytes;
    int unique; /* the schema has uniqueItems somewhere */
    int failed, depth;
    uint64_t *visit; /* nodes and parents that are being begun: an empty repetition comes back to them */
    size_t nvisit, cap_visit;
    struct lar_err err;
};

int grammar_fail(struct grammar *g, int code, const char *what);
int grammar_grow(struct grammar *g, void *v, size_t n, size_t *cap, size_t size);
int grammar_table_add(struct grammar *g, struct table *t, size_t number, uint32_t hash); /* numbers come in order */
uint32_t grammar_item(struct grammar *g, struct item it);
uint32_t grammar_set(struct grammar *g, const uint32_t *id, size_t n,
                     uint32_t text);                     /* sorts and interns */
uint32_t grammar_one(struct grammar *g, struct item it); /* the set of one item */
uint32_t grammar_alone(struct grammar *g, const struct item *it, uint32_t text); /* likewise, with recorded text */
void grammar_out(struct grammar *g, struct item it);     /* adds to what is being made */
void grammar_pop(struct grammar *g, uint32_t parent, uint32_t text); /* a value has ended */
uint32_t grammar_resumed(struct grammar *g, uint32_t parent); /* the state in which all that go on are */
uint32_t grammar_link(struct grammar *g, uint32_t value, uint32_t before);
void grammar_step_item(struct grammar *g, const struct item *it, unsigned b, uint32_t before,
                       uint32_t after);

/* grammar_json.c */
void json_step(struct grammar *g, const struct item *it, unsigned b, uint32_t before,
               uint32_t after);
void json_resume(struct grammar *g, const struct item *it, uint32_t text);
/* The state behind the quote of the key that item `it` reads, when it is the object's name number `name`, or one of class cls (name =
 * UINT32_MAX). Not for objects that tell different keys apart, nor where text is recorded. */
uint32_t json_key_state(struct grammar *g, const struct item *it, uint32_t name, uint32_t cls);
int json_name_can(const struct grammar *g, const struct item *it, uint32_t i); /* name i may still come */
/* Whether a string with a left can go on with s, which has no closing quote. */
int json_string_can(struct grammar *g, uint32_t a, struct str s);

#endif
