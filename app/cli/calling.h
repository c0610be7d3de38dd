/* SPDX-License-Identifier: Apache-2.0
 * cli/calling.h: functions that the model may call, as options say it, and the calls of an answer as lines of JSON. */
#ifndef CLI_CALLING_H
#define CLI_CALLING_H

#include <lar/tools.h>

#include "cli/options.h"
#include "cli/stream.h"
#include "cli/talk.h"

struct calling_given {
    const char *file, *choice;
    int single;
};
extern const struct opt calling_options[];

struct calling {
    struct lar_tools *t; /* NULL: none were given */
    struct lar_calls *reader;
    struct stream *stream;  /* NULL: text is just kept */
    struct buf list;        /* the file */
    struct buf text, calls; /* the answer without calls; these as JSON, a comma between */
    size_t ncall, from;     /* from: where the last begins in calls */
    int full;               /* standard output takes no more */
};

/* Reads the file and opens the tools, when some were given. */
int calling_open(struct calling *k, const struct calling_given *g, struct lar_model *m, struct lar_err *err);
void calling_close(struct calling *k);
/* The conversation with its tools as the template's object. */
int calling_chat(const struct calling *k, const struct talk *talk, struct buf *out, struct lar_err *err);
/* A lar_request's on_text, its ctx the tools: text goes on to the stream. */
int calling_text(void *tools, enum lar_text_kind kind, const char *text, size_t n);
void calling_end(struct calling *k);
/* The calls, a line each. */
void calling_print(const struct calling *k);

#endif
