/* SPDX-License-Identifier: Apache-2.0
 * text/gotmpl_impl.h: the tree of a Go template, its values, one rendering. Private to gotmpl*.c. */
#ifndef TEXT_GOTMPL_IMPL_H
#define TEXT_GOTMPL_IMPL_H

#include "base/mem.h"
#include "text/gotmpl.h"

/* ---- values --------------------------------------------------------------------------------------------------------- */

enum go_kind { GO_NIL, GO_BOOL, GO_INT, GO_FLOAT, GO_STR, GO_LIST, GO_MAP, GO_STRUCT };

struct go_member;

struct go_val {
    enum go_kind kind;
    int as_json; /* a list, map or struct that prints as JSON: its Go type has such a String method */
    union {
        int64_t i; /* GO_BOOL too */
        double f;
        struct str s;
        struct {
            const struct go_val *item;      /* GO_LIST; NULL: Go's nil slice */
            const struct go_member *member; /* GO_MAP (sorted by key), GO_STRUCT */
            size_t n;
        };
    };
};

/* Of a struct: key is the name in JSON; the name in Go follows from it (go_name_is). */
struct go_member {
    struct str key;
    struct go_val v;
    int omit; /* omitempty: left out of JSON while it is empty */
};

static inline struct go_val go_str(struct str s) { return (struct go_val){.kind = GO_STR, .s = s}; }
static inline struct go_val go_int(int64_t i) { return (struct go_val){.kind = GO_INT, .i = i}; }
static inline struct go_val go_bool(int b) { return (struct go_val){.kind = GO_BOOL, .i = b != 0}; }
static inline struct go_val go_nil(void) { return (struct go_val){.kind = GO_NIL}; }

/* ---- the tree ------------------------------------------------------------------------------------------------------- */

enum { GO_DEPTH = 64, GO_SOURCE_MAX = 1 << 20 };

enum go_arg_kind { ARG_DOT, ARG_VAR, ARG_CONST, ARG_FUNC, ARG_PIPE };

struct go_pipe;

/* One operand: what it begins with, and the fields asked of that. */
struct go_arg {
    enum go_arg_kind kind;
    uint32_t at;          /* byte of the source */
    struct str name;      /* ARG_VAR with its $, ARG_FUNC */
    struct go_val value;  /* ARG_CONST */
    struct go_pipe *pipe; /* ARG_PIPE */
    struct str *field;    /* [nfield] */
    size_t nfield;
    struct go_arg *next;
};

struct go_cmd {
    struct go_arg *arg; /* the first is what is called when it is a function */
    struct go_cmd *next;
};

struct go_pipe {
    uint32_t at;
    struct str var[2]; /* that it sets; n = 0: none */
    int assign;        /* =, not := */
    struct go_cmd *cmd;
};

enum go_node_kind {
    NODE_TEXT,
    NODE_ACTION,
    NODE_IF,
    NODE_RANGE,
    NODE_WITH,
    NODE_TEMPLATE,
    NODE_BREAK,
    NODE_CONTINUE
};

struct go_node {
    enum go_node_kind kind;
    uint32_t at;
    struct str text; /* NODE_TEXT; name of NODE_TEMPLATE */
    struct go_pipe *pipe;
    struct go_node *list, *other; /* body, else */
    struct go_node *next;
};

struct go_define {
    struct str name;
    struct go_node *list;
    struct go_define *next;
};

struct gotmpl {
    struct arena a;
    struct str source;
    struct go_node *root;
    struct go_define *define;
    int messages, response; /* .Messages, .Response are asked for somewhere */
    uint32_t cut;           /* the action that writes .Response first; UINT32_MAX for none */
};

/* gotmpl_parse.c */
int gotmpl_parse(struct gotmpl *t, struct lar_err *err);
int gotmpl_fail_at(const struct gotmpl *t, uint32_t at, struct lar_err *err, int code,
                   const char *fmt, ...) __attribute__((format(printf, 5, 6)));

/* ---- one rendering ---------------------------------------------------------------------------------------------------- */

enum { GO_VARS = 256 };

struct go_run {
    const struct gotmpl *t;
    struct buf *out;
    size_t out_limit; /* out->n may not pass it */
    struct lar_err *err;
    struct arena a; /* values */
    uint64_t steps;
    int depth;
    int64_t now;
    uint32_t at;  /* where errors are told to be */
    uint32_t cut; /* nodes behind it are not there; UINT32_MAX: all are */
    struct {
        struct str name;
        struct go_val v;
    } var[GO_VARS];
    size_t nvar;
};

int go_fail(struct go_run *r, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
int go_step(struct go_run *r, uint64_t n);
/* gotmpl_run.c: the template on one value. */
int go_execute(struct go_run *r, struct go_val data);
/* gotmpl_func.c: does a function of that name exist, and its result (not of and, or). */
int go_func_known(struct str name);
int go_call(struct go_run *r, struct str name, const struct go_val *arg, size_t n,
            struct go_val *out);
int go_truth(struct go_val v);
/* As fmt.Print writes it; as json.Marshal does. */
int go_print(struct go_run *r, struct buf *b, struct go_val v, int depth);
int go_json(struct go_run *r, struct buf *b, struct go_val v, int depth);
const char *go_kind_name(struct go_val v);
int go_name_is(struct str key, struct str name);
/* b's bytes as a value in the arena; b is emptied. */
int go_give(struct go_run *r, struct buf *b, struct go_val *out);

#endif
