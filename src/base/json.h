/* SPDX-License-Identifier: Apache-2.0
 *
 * base/json.h: JSON text (RFC 8259) into a tree that lives in an arena. Strict: no comments, no trailing commas,
 * no duplicate checks (the last of two equal keys wins in json_get), valid UTF-8 only, depth at most JSON_DEPTH_MAX.
 * Writing is buf_json_str and buf_json_num of base/buf.h.
 */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"

#define JSON_DEPTH_MAX 128

enum json_kind { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

struct json {
    enum json_kind kind;
    int boolean;
    int is_int; /* a number written without '.', 'e' that fits int64: see i */
    int64_t i;
    double num;     /* every number */
    struct str s;   /* a string's bytes (unescaped, in the arena), or a number's own text */
    struct str key; /* this value's key in its object */
    struct json *child,
        *next; /* first element or member; the next sibling, in the order of the text */
    size_t n;  /* number of children */
};

/* One value and nothing but white space after it; NULL with err set (offset named) otherwise. text must outlive the tree. */
struct json *json_parse(struct arena *a, struct str text, struct lar_err *err);

/* The member called key of an object, or NULL (also when v is NULL or no object). */
struct json *json_get(const struct json *v, const char *key);

/* Appends v as JSON text, compact; numbers as they were written. */
void json_write(struct buf *b, const struct json *v);

/* Convenience: a default when missing or of another kind. */
struct str json_str(const struct json *v, struct str otherwise);
double json_num(const struct json *v, double otherwise);
int json_bool(const struct json *v, int otherwise);

#endif
