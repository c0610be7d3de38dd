/* SPDX-License-Identifier: Apache-2.0
 * text/schema_impl.h: a schema's text as read: what schema_load.c makes and schema_expand.c takes apart. */
#ifndef TEXT_SCHEMA_IMPL_H
#define TEXT_SCHEMA_IMPL_H

#include "text/schema.h"

/* clang-format off */
#define SCHEMA_KEYWORDS(X) \
    X(TYPE, "type") X(ENUM, "enum") X(CONST, "const") X(PROPERTIES, "properties") \
    X(PATTERN_PROPERTIES, "patternProperties") X(ADDITIONAL_PROPERTIES, "additionalProperties") \
    X(PROPERTY_NAMES, "propertyNames") X(REQUIRED, "required") X(MIN_PROPERTIES, "minProperties") \
    X(MAX_PROPERTIES, "maxProperties") X(DEPENDENT_REQUIRED, "dependentRequired") \
    X(DEPENDENT_SCHEMAS, "dependentSchemas") X(DEPENDENCIES, "dependencies") X(ITEMS, "items") \
    X(PREFIX_ITEMS, "prefixItems") X(ADDITIONAL_ITEMS, "additionalItems") X(CONTAINS, "contains") \
    X(MIN_CONTAINS, "minContains") X(MAX_CONTAINS, "maxContains") X(MIN_ITEMS, "minItems") \
    X(MAX_ITEMS, "maxItems") X(UNIQUE_ITEMS, "uniqueItems") X(MIN_LENGTH, "minLength") \
    X(MAX_LENGTH, "maxLength") X(PATTERN, "pattern") X(FORMAT, "format") X(MINIMUM, "minimum") \
    X(MAXIMUM, "maximum") X(EXCLUSIVE_MINIMUM, "exclusiveMinimum") X(EXCLUSIVE_MAXIMUM, "exclusiveMaximum") \
    X(MULTIPLE_OF, "multipleOf") X(ALL_OF, "allOf") X(ANY_OF, "anyOf") X(ONE_OF, "oneOf") X(NOT, "not") \
    X(IF, "if") X(THEN, "then") X(ELSE, "else") X(REF, "$ref") X(DYNAMIC_REF, "$dynamicRef") \
    X(RECURSIVE_REF, "$recursiveRef") X(UNEVALUATED_PROPERTIES, "unevaluatedProperties") \
    X(UNEVALUATED_ITEMS, "unevaluatedItems") X(DEFS, "$defs") X(DEFINITIONS, "definitions") X(ID, "$id") \
    X(ID4, "id") X(ANCHOR, "$anchor") X(DYNAMIC_ANCHOR, "$dynamicAnchor") \
    X(RECURSIVE_ANCHOR, "$recursiveAnchor") X(SCHEMA, "$schema") X(VOCABULARY, "$vocabulary") \
    X(COMMENT, "$comment") X(TITLE, "title") X(DESCRIPTION, "description") X(DEFAULT, "default") \
    X(EXAMPLES, "examples") X(EXAMPLE, "example") X(READ_ONLY, "readOnly") X(WRITE_ONLY, "writeOnly") \
    X(DEPRECATED, "deprecated") X(CONTENT_ENCODING, "contentEncoding") X(CONTENT_MEDIA_TYPE, "contentMediaType") \
    X(CONTENT_SCHEMA, "contentSchema")
/* clang-format on */
enum schema_kw {
#define X(a, b) KW_##a,
    SCHEMA_KEYWORDS(X)
#undef X
        KW_N
};
extern const char *const schema_kw_name[KW_N];

enum sch_kind { SCH_FALSE, SCH_TRUE, SCH_OBJECT, SCH_CONST };

/* A keyword in place. sub: the schemas under it, in the order of the text; for $ref and friends the one target. */
struct sch_kw {
    enum schema_kw kw;
    const struct json *j;
    uint32_t *sub;
    uint32_t nsub;
    uint32_t rx;   /* pattern, and of numbers the expression (0: not made yet) */
    uint32_t *rxs; /* patternProperties: of each name; likewise */
};
struct sch {
    enum sch_kind kind;
    const struct json *j;
    const char *path;
    uint32_t res; /* the schema that is the root of its resource */
    int draft;
    struct sch_kw *kw;
    uint32_t nkw;
    uint64_t has;     /* bits of keywords */
    const char *base; /* of a resource's root: its URI without fragment */
};

/* What was left out of a schema that is enforced in part: a keyword, or (kw < 0) all of one schema. */
struct schema_left {
    char *path, *why;
    int kw;
};

struct schema {
    struct schema_options opt;
    struct arena a;
    struct rx *rx;
    struct sch *sch;
    size_t nsch, cap_sch;
    uint32_t *by_json; /* of (json *): schema + 1, an open hash table */
    size_t nby;
    struct schema_val *val;
    size_t nval, cap_val;
    uint32_t *head;
    size_t nhead;
    uint32_t root;
    uint32_t num_any, num_plain,
        num_int; /* expressions: any number, one without exponent, an integer */
    int building;
    struct buf *notes;
    struct lar_err err; /* why it failed */
    int failed;
    int settled; /* the fixed point of sat covers the first `settled` values */
    int uneval;  /* some schema has an unevaluated keyword */
    struct schema_left *left;
    size_t nleft;
    struct schema *whole;  /* nothing left out; only read, for schema_judge */
    int lenient;           /* of that one: what cannot be found is no failure */
    uint32_t top;          /* the schema of the whole text */
    const char *fail_path; /* where it failed; lives in a */
    int fail_kw;           /* at which keyword, -1: not known */
};

int schema_fail(struct schema *s, int code, const char *path, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* The same for a keyword that cannot be enforced: LAR_EUNSUPPORTED. */
int schema_refuse(struct schema *s, const char *path, enum schema_kw kw, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
int schema_load(struct schema *s, struct str text);
/* In resource res what $dynamicRef or $recursiveRef, whose own target is id, leads to; UINT32_MAX: it has no such anchor. */
uint32_t schema_anchored(const struct schema *s, uint32_t res, uint32_t id, const struct sch_kw *k);
static inline uint32_t schema_top(const struct schema *s) { return s->top; }
/* schema_partial.c. leave: adds what s failed at to the list; 0 when nothing can be left out. */
int schema_is_left(const struct schema *s, const char *path, int kw);
int schema_leave(struct schema *s, struct schema_left **left, size_t *nleft);
void schema_left_free(struct schema_left *left, size_t n);
/* A number's text without exponent, sign of zero and needless zeros; a negative code when it is too long. */
int schema_plain(struct schema *s, const struct json *j, struct buf *out);
const struct sch_kw *sch_get(const struct sch *x, enum schema_kw kw);
uint32_t sch_const(struct schema *s, const struct json *j);        /* the schema "equal to j" */
uint32_t schema_intern(struct schema *s, uint32_t *lit, size_t n); /* sorts lit */
void schema_build(struct schema *s, uint32_t v);

/* schema_num.c, schema_format.c: expressions; RX_EMPTY with s failed, or the format not known (*known = 0) */
uint32_t schema_number(struct schema *s, const struct json *j, unsigned rel, const char *path);
uint32_t schema_multiple(struct schema *s, const struct json *j, const char *path);
uint32_t schema_format(struct schema *s, struct str name, int *known);
void schema_num_init(struct schema *s);

#endif
