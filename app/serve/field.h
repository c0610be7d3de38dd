/* SPDX-License-Identifier: Apache-2.0
 *
 * serve/field.h: the members of a JSON object by a table: each known name with the function that reads it. What is not in the table is refused by
 * name, and so is a value of the wrong kind: a client never finds out late that something he asked for was left out. A null counts as not said.
 */
#ifndef SERVE_FIELD_H
#define SERVE_FIELD_H

#include "serve/ask.h"

struct field {
    const char *name;
    int (*read)(struct ask *q, const struct json *v, const struct field *f, struct lar_err *err);
    size_t at; /* which param, or where in struct ask */
    double min, max;
    const struct field *table; /* of an object */
};

/* where: what the object is called in an error, "" for the body. */
int field_read(struct ask *q, const struct json *object, const struct field *table,
               const char *where, struct lar_err *err);

/* Readers. */
typedef int field_fn(struct ask *q, const struct json *v, const struct field *f,
                     struct lar_err *err);
field_fn field_param;  /* at: an ask_param; min..max */
field_fn field_whole;  /* the same for a whole number */
field_fn field_int;    /* at: of an int; min..max */
field_fn field_flag;   /* at: of an int */
field_fn field_str;    /* at: of a struct str */
field_fn field_node;   /* at: of a const struct json *; any kind */
field_fn field_object; /* table */
field_fn field_seed;
field_fn field_stop;    /* a string or a list of them */
field_fn field_hint;    /* says nothing about the answer: any value is fine */
field_fn field_false;   /* only false, "", [] and 0 can be honoured */
field_fn field_refused; /* known and not supported */

#endif
