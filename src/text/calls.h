/* SPDX-License-Identifier: Apache-2.0
 *
 * text/calls.h: how a model writes that it wants functions called, and reading it.
 *
 * Each family has a form of its own. A form is data (struct call_form); which one a model has is seen from its chat template. A reader takes
 * the bytes of an answer as they come, cut anywhere, and gives events: text, a call begun, fragments of its arguments (always the text of one JSON
 * object), a call ended. Text is held back no longer than it may be the beginning of a call. What began as a call and is none comes back as
 * text, and the reader's warning says why.
 */
#ifndef TEXT_CALLS_H
#define TEXT_CALLS_H

#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"

enum call_body {
    CALL_OBJECT, /* {"name": "f", "arguments": {...}} */
    CALL_KEYED,  /* {"f": {...}} */
    CALL_NAMED,  /* f, something, {...} */
    CALL_TAGS,   /* f, then each argument between tags; strings are written without quotes */
    CALL_BRACES, /* f{key:value,...} with strings between marks of their own */
    CALL_PYTHON, /* f(key=value, ...) with Python's literals */
    CALL_HARMONY /* messages with a header that says to whom: gpt-oss */
};

/* The answer holds, for each call or once for all of them: mark, open; then begin, body, end, parted by sep; then close. White space in these
 * stands for any or none. */
struct call_form {
    const char *name;
    const char *sign[3]; /* a template whose source holds all of these has this form */
    enum call_body body;
    int section;      /* 1: one mark for all calls, 0: each has its own */
    int bare;         /* 1: the mark may be missing where the call is the answer's beginning */
    const char *mark; /* what tells calls from text */
    const char *open, *begin, *end, *sep, *close;
    const char *key, *args; /* OBJECT: names of its members */
    const char *behind;     /* NAMED, TAGS: what stands behind the name (NAMED: up to here anything short may) */
    const char *pair, *mid,
        *done; /* TAGS: before a key, between key and value, behind a value; BRACES: pair is the mark of strings */
    int id;            /* OBJECT: a last member may be an id of nine letters and digits */
    const char *extra; /* OBJECT: a member that is written first, with the call's number in place of # */
};

/* The form that a chat template's source shows. Never NULL: what shows none gets the commonest, and *told becomes 0 when the template does not
 * even tell the model of its tools. */
const struct call_form *call_form_of(struct str template_source, int *told);
/* Form i of the table, NULL behind the last. */
const struct call_form *call_form_at(size_t i);
/* Every mark of the form that may be a token of its own: number i, NULL behind the last. */
const char *call_form_mark(const struct call_form *f, size_t i);

enum call_event {
    CALL_TEXT,     /* text of the answer */
    CALL_THINKING, /* text, where the form itself tells thinking from answer (HARMONY) */
    CALL_BEGIN,    /* a call: text is its function's name */
    CALL_ARGS,     /* a fragment of its arguments' JSON */
    CALL_END,
    CALL_BROKEN /* the call that was begun is none: text is all that was written of it, to be shown as text */
};
typedef void call_fn(void *ctx, enum call_event e, size_t index, struct str text);

enum { CALL_DEPTH_MAX = 100, CALL_NAME_MAX = 256 };

/* Whether bytes are one JSON value, asked byte by byte. */
struct call_json {
    unsigned char stack[CALL_DEPTH_MAX];
    int depth, state, escape, value;
    const char *word; /* rest of true, false, null */
};
enum { CALL_JSON_MORE, CALL_JSON_DONE, CALL_JSON_BEHIND, CALL_JSON_BAD };
void call_json_begin(struct call_json *j);
/* DONE: the value ends with this byte; BEHIND: it ended before it (numbers). */
int call_json_byte(struct call_json *j, unsigned char c);

struct calls {
    const struct call_form *form;
    const struct json *tools; /* a list of {"type":"function","function":{...}}; NULL: any function may be called */
    call_fn *on;
    void *ctx;
    size_t ncall;      /* whole calls so far; the number of the one that is being read */
    char warning[160]; /* why something is text that looked like a call; "" */
    /* inside */
    struct buf hold, name, key, args;
    struct call_json json;
    const char *rest;         /* of the form's end, what is still to come */
    size_t at, from, matched; /* in hold: read up to; a value's beginning; the mark's length */
    int step, said, tried, first, named, kind, is_key, string;
    unsigned char stack[CALL_DEPTH_MAX];
    int depth;
};

/* The fields of the first group are the caller's to set in zeroed memory. */
void calls_begin(struct calls *c);
void calls_add(struct calls *c, struct str text);
void calls_end(struct calls *c); /* gives out what was held back; a call that is not whole is broken */
void calls_done(struct calls *c);

/* The tool of this name in a list, its object with name and parameters; NULL: there is none. */
const struct json *calls_tool(const struct json *tools, struct str name);

/* Whether the argument of this name is text by the tool's schema, so that forms with tags write it without quotes. tool: with parameters. */
int calls_is_text(const struct json *tool, struct str key);

/* ---- what an answer may be ---- */

enum calls_must { CALLS_AUTO, CALLS_REQUIRED };
struct calls_choice {
    enum calls_must choice;
    struct str name; /* n > 0: only the tool of this name */
    int single;      /* one call at most */
    /* Whether a name is that of a control token: 1, 2 when it ends an answer, else 0; NULL: there are none. */
    int (*control)(void *ctx, struct str name);
    void *ctx;
};
/* Appends what GRAMMAR_PARTS of text/grammar.h reads. Tools: as for a reader, each with a name. LAR_EUNSUPPORTED names what cannot be enforced. */
int calls_grammar(const struct call_form *f, const struct json *tools, const struct calls_choice *q, struct buf *out,
                  struct lar_err *err);
/* The control token whose name stands at s[at], n = 0: none. */
struct str calls_token(struct str s, size_t at, int (*control)(void *ctx, struct str name), void *ctx, int *kind);

#endif
