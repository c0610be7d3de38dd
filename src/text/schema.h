/* SPDX-License-Identifier: Apache-2.0
 *
 * text/schema.h: a JSON Schema (drafts 4 to 2020-12) as a graph of values that a machine can walk.
 *
 * A schema is a boolean formula over what a document says, and its negation is one too. So a demand on one value is a set of
 * literals, "holds" or "does not hold", of the schemas in the text (struct schema_val, interned by that set). For each JSON type
 * the formula is brought into alternatives: for strings, numbers, booleans and null one regular expression of their text; for arrays and
 * objects a list of simple demands (struct schema_arr, struct schema_obj) whose parts are such values again. allOf is a
 * union of literals, anyOf and if are alternatives, oneOf and not are negations: nothing is approximated. What the graph cannot
 * say is refused when it is built, with the path of the keyword. Values that no document satisfies are found by a fixed point over the graph,
 * so that a machine which never enters one never runs into a dead end.
 */
#ifndef TEXT_SCHEMA_H
#define TEXT_SCHEMA_H

#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "text/rx.h"

enum schema_format { SCHEMA_FORMAT_ASSERT, SCHEMA_FORMAT_IGNORE };
struct schema_options {
    int draft; /* 4, 6, 7, 2019 or 2020 where the text says none; 0: 2020 */
    enum schema_format format;
    int partial;  /* 1: what cannot be enforced is left out (schema_left_out) */
    size_t limit; /* bytes; 0: 64 MiB */
};

/* What an item of an array must be counted for. */
struct schema_contain {
    uint32_t lit;  /* the schema's literal */
    uint32_t from; /* items before this one do not count */
    uint64_t min, max;
};
struct schema_arr {
    uint32_t *prefix; /* values of the first items */
    uint32_t nprefix, rest;
    uint64_t min, max;
    struct schema_contain *contain;
    uint32_t ncontain;
    int unique;
    int sat;
};

struct schema_name {
    struct str name;
    uint32_t val;
    uint32_t exist;            /* bits: these of exist[] it may satisfy */
    uint8_t required, allowed; /* allowed: some value can follow */
};
struct schema_class { /* keys without a name of their own, by what they match */
    uint32_t rx, val, exist;
};
struct schema_obj {
    struct schema_name *name; /* sorted by bytes */
    uint32_t nname, nrequired;
    struct schema_class *cls;
    uint32_t ncls;
    uint64_t min, max;
    uint32_t *
        exist; /* literals: some key (with its bit) must hold a value of it; UINT32_MAX: any value */
    uint32_t nexist;
    int distinct; /* the number of different keys matters */
    int sat;
};

struct schema_val {
    uint32_t *lit; /* sorted: schema << 1 | negated */
    uint32_t nlit;
    uint32_t next;   /* of the same hash, + 1 */
    uint32_t string; /* expression of a string's characters */
    uint32_t scalar; /* of the text of a number, true, false or null */
    struct schema_arr *arr;
    struct schema_obj *obj;
    uint32_t narr, nobj;
    uint8_t built, sat;
};

struct schema;

/* Reads text; both values are whole. LAR_EUNSUPPORTED with the path of what cannot be enforced. Notes (keywords that are annotations
 * or unknown, one a line) go to notes, which may be NULL. */
int schema_open(struct schema **out, struct str text, const struct schema_options *opt,
                struct buf *notes, struct lar_err *err);
void schema_close(struct schema *s);

struct rx *schema_rx(struct schema *s);
uint32_t schema_root(const struct schema *s);
/* The value v, built; NULL when that failed (see schema_failed). Valid until the next call that may build. */
const struct schema_val *schema_val(struct schema *s, uint32_t v);
/* v and one more literal. */
uint32_t schema_with(struct schema *s, uint32_t v, uint32_t lit);
uint32_t schema_with_all(struct schema *s, uint32_t v, const uint32_t *lit, uint32_t nlit);
/* The literal "is not equal to the JSON text". UINT32_MAX on failure. */
uint32_t schema_unlike(struct schema *s, struct str json_text);
/* The value of an item: of the i-th, which is (bit set) or is not counted for each contain of a. */
uint32_t schema_item(struct schema *s, const struct schema_arr *a, uint64_t i, uint32_t counted);
/* Whether any document satisfies v; builds what it needs. */
int schema_sat(struct schema *s, uint32_t v);
/* Appends a line for each keyword that was left out: its path and why. */
void schema_left_out(const struct schema *s, struct buf *out);
/* Whether a whole document is valid by all of the schema, what was left out included: 1; 0, or LAR_EUNSUPPORTED when that is not decided, with why. */
int schema_judge(struct schema *s, struct str text, struct lar_err *why);
int schema_failed(const struct schema *s, struct lar_err *err); /* 0 or a code */
size_t schema_bytes(const struct schema *s);

#endif
