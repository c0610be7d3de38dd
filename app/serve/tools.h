/* SPDX-License-Identifier: Apache-2.0
 *
 * serve/tools.h: functions that the model may call: what clients say of them in one form (OpenAI's), and what each row's answer has of calls.
 *
 * The reader of lar/tools.h sorts a row's answer while it is written: text goes to the row's pieces as ever, calls are kept here until their dialect
 * sends them.
 */
#ifndef SERVE_TOOLS_H
#define SERVE_TOOLS_H

#include <lar/tools.h>

#include "serve/ask.h"

struct job;
struct row;

struct row_call {
    char id[12]; /* nine letters and digits: what the strictest template takes */
    struct buf name, args;
    size_t sent; /* of args */
    int told;    /* its beginning was sent */
    int ended, broken;
};

/* What a row's answer is, of those whose ask has tools. */
struct row_calls {
    struct lar_calls *reader;
    struct buf text, thinking; /* all of it; a reader without memory makes them fail */
    struct row_call *call;
    size_t ncall, room, nwhole; /* nwhole: neither open nor broken */
};

/* Readers of fields. Tools: a list, kept as text in q->tools; empty lists are none. */
int tools_read(struct ask *q, const struct json *list, struct lar_err *err);
/* The same of {"name":...,"description":...,SCHEMA:...}: Anthropic's input_schema, or the parameters of /v1/responses. */
int tools_read_flat(struct ask *q, const struct json *list, const char *schema, struct lar_err *err);
/* "none", "auto", "required", or {"type":"function","function":{"name":...}}; flat: {"type":"function","name":...}. */
int tools_choice(struct ask *q, const struct json *v, int flat, struct lar_err *err);
int tools_choice_anthropic(struct ask *q, const struct json *v, struct lar_err *err);
/* Once all is read: LAR_EINVAL when choice and tools do not go together. The tools for the template, NULL: none. */
int tools_settle(struct ask *q, const struct json **list, struct lar_err *err);

/* Opens the ask's tools for the job's model, and tells the model of them where its template does not. */
int tools_open(struct job *j, struct lar_err *err);
int tools_row_begin(struct job *j, struct row *r, struct lar_err *err);
void tools_row_text(struct row *r, const char *text, size_t n); /* a piece of the answer */
/* Whether something of a call is not yet sent: fragments of it, or (whole) all at once. */
int tools_is_new(const struct row_call *c, int whole);
int tools_news(const struct row *r); /* the same of any call of the row, as its dialect sends them */
void tools_row_end(struct row *r);                              /* the answer is complete */
void tools_row_free(struct row *r);
/* The row's whole answer without calls, and its thinking. */
struct str row_text(const struct row *r);
struct str row_thinking(const struct row *r);
/* What clients should know of the answer, as a JSON member with a comma before; nothing when there is nothing. */
void tools_warning(const struct row *r, struct buf *b);

#endif
