/* SPDX-License-Identifier: Apache-2.0
 *
 * text/template_ast.h: a compiled template: the tree that the parser makes and the variables'
 * places that template_scope.c adds to it. Immutable once compiled; several threads may render it
 * at once.
 *
 * Jinja compiles to Python, and its rules about who sees which variable are those of the Python
 * functions it generates. So the same units are here: a "function" (the whole template, a block, a
 * macro, a call block, a recursive loop, a loop's filter) has an array of slots; a "scope" (a loop
 * body, a with, a set block ...) is a piece of a function that fills some slots on entry and
 * forgets them on leaving; a place is how many functions outward, and a slot.
 */
#ifndef TEXT_TEMPLATE_AST_H
#define TEXT_TEMPLATE_AST_H

#include "text/template_val.h"

#define TPL_SOURCE_MAX (1 << 20) /* bytes of a template */
#define TPL_NEST_MAX   100       /* statements in statements, brackets in brackets */
#define TPL_TREE_MAX   250       /* depth of one expression's tree */

enum tpl_type {
    /* expressions */
    N_CONST,
    N_NAME,   /* name, place */
    N_TUPLE,  /* list */
    N_LIST,   /* list */
    N_DICT,   /* list: key, value, key, value ... */
    N_ATTR,   /* a.value */
    N_ITEM,   /* a[b] */
    N_SLICE,  /* a[b:c:d] */
    N_CALL,   /* a(args) */
    N_FILTER, /* a|name(args); a NULL in {% filter %} and {% set x | ... %} */
    N_TEST,   /* a is name(args) */
    N_COND,   /* b if a else c */
    N_AND,
    N_OR,
    N_NOT,
    N_NEG,
    N_POS,
    N_BINARY,  /* op as tpl_num_op has it */
    N_CONCAT,  /* list */
    N_COMPARE, /* a, then list: operands, each with its op in .op */
    N_NSREF,   /* name.value as a target */
    /* statements */
    N_TEXT,
    N_PRINT, /* a */
    N_IF,    /* arms */
    N_FOR,
    N_SET,      /* a = b */
    N_SETBLOCK, /* a: target, c: filter or NULL */
    N_MACRO,
    N_CALLBLOCK,
    N_GENERATION,
    N_FILTERBLOCK, /* c: filter */
    N_WITH,
    N_AUTOESCAPE, /* a */
    N_BLOCK,
    N_BREAK,
    N_CONTINUE,
    N_REFUSED, /* include, import, from, extends: name in value */
};

enum tpl_compare { TPL_EQ, TPL_NE, TPL_LT, TPL_LE, TPL_GT, TPL_GE, TPL_IN, TPL_NOTIN };

struct tpl_place {
    uint32_t up, slot;
};

struct tpl_node {
    uint8_t type, op;
    uint8_t store;  /* N_NAME as a target */
    uint8_t export; /* N_NAME as a target at the top: also the context gets it */
    uint32_t depth; /* of the tree below */
    uint32_t at;    /* byte in the source */
    struct tpl_node *next;
    union {
        struct val value; /* N_CONST, N_REFUSED */
        struct str text;  /* N_TEXT */
        struct {
            uint32_t name;
            struct tpl_place place;
            struct val attr; /* N_NSREF */
        } var;
        struct {
            struct tpl_node *a, *b, *c, *d; /* operands */
        } op4;
        struct {
            struct tpl_node *a;
            struct val attr;
        } get;
        struct {
            struct tpl_node *a, *list;
            size_t n;
        } seq;
        struct {
            struct tpl_node *a;
            struct tpl_call_args *args;
            const struct tpl_sig *sig; /* NULL: unknown name */
            struct str name;
        } call;
        struct tpl_body *body; /* statements with a body */
    } u;
};

struct tpl_named_arg {
    struct str name;
    struct tpl_node *value;
};
struct tpl_call_args {
    struct tpl_node *pos;
    size_t npos;
    struct tpl_named_arg *kw;
    size_t nkw;
    struct tpl_node *star, *star2; /* *x, **x, or NULL */
};

enum tpl_load_how { TPL_LOAD_RESOLVE, TPL_LOAD_ALIAS, TPL_LOAD_UNDEFINED, TPL_LOAD_PARAMETER };
struct tpl_load {
    uint32_t slot;
    uint32_t how;
    uint32_t name;          /* RESOLVE */
    struct tpl_place place; /* ALIAS */
};
struct tpl_scope {
    struct tpl_load *load; /* on entry; on leaving each slot is forgotten */
    size_t n;
};
struct tpl_func {
    size_t nslot;
    int closes; /* functions inside keep its variables alive */
};

struct tpl_param {
    uint32_t name, slot;
    struct tpl_node *otherwise; /* or NULL */
};

/* What a statement with a body needs; members by type. */
struct tpl_body {
    struct tpl_node *list, *other; /* the body; FOR: else */
    struct tpl_node *a, *b,
        *c;                 /* FOR: target, iter, test; WITH: targets in a, values in b; see enum */
    struct tpl_scope scope; /* of the body */
    struct tpl_scope other_scope; /* FOR: else */
    struct tpl_scope test_scope;  /* FOR: test */
    struct tpl_func func;         /* MACRO, CALLBLOCK, GENERATION, BLOCK, FOR recursive */
    struct tpl_func test_func;    /* FOR with a test */
    struct tpl_node *test_target; /* FOR with a test: target with its places in test_func */
    uint32_t name;                /* MACRO, BLOCK */
    struct tpl_param *param;      /* MACRO, CALLBLOCK */
    size_t nparam;
    int32_t caller, kwargs, varargs; /* slots of the special variables, -1 unless used */
    uint32_t loop;                   /* FOR: slot of `loop` */
    struct tpl_place place;          /* MACRO: where it is stored */
    uint8_t recursive, extended, scoped, required, export, explicit_caller;
    int32_t self, super;      /* BLOCK and root: slots, -1 unless used */
    struct tpl_export *local; /* BLOCK scoped: the variables that the derived context gets */
    size_t nlocal;
    struct tpl_body *arm; /* IF: the next elif (a: test, list) */
};
struct tpl_export {
    uint32_t name;
    struct tpl_place place;
};
struct tpl_block {
    struct str name;
    struct tpl_body *body;
};

struct template {
    struct arena a;
    struct str source; /* as Jinja sees it: newlines normalised, the last one dropped */
    struct str *name;  /* interned variable names */
    size_t nname;
    uint32_t *slot; /* hash table of name + 1 */
    size_t mask;
    struct tpl_body *root;
    struct tpl_block *block;
    size_t nblock;
};

/* Line and column (from 1, in characters) of a byte of the source. */
void tpl_lex_where(const struct template *t, uint32_t at, unsigned *line, unsigned *column);

/* ---- lex ---- */
enum tpl_token {
    T_EOF,
    T_TEXT,
    T_PRINT,     /* {{ */
    T_PRINT_END, /* }} */
    T_BLOCK,     /* {% */
    T_BLOCK_END, /* %} */
    T_NAME,
    T_STRING,
    T_INTEGER,
    T_FLOAT,
    // clang-format off
    T_ADD, T_SUB, T_MUL, T_DIV, T_FLOORDIV, T_MOD, T_POW, T_TILDE,
    T_EQ, T_NE, T_LT, T_LE, T_GT, T_GE, T_ASSIGN,
    T_DOT, T_COLON, T_PIPE, T_COMMA, T_SEMICOLON,
    T_LPAREN, T_RPAREN, T_LBRACKET, T_RBRACKET, T_LBRACE, T_RBRACE,
    // clang-format on
    T_BAD, /* an error was raised */
};
struct tpl_tok {
    enum tpl_token type;
    uint32_t at;
    struct str text;  /* T_TEXT, T_NAME */
    struct val value; /* T_STRING, T_INTEGER, T_FLOAT */
};

/* One compilation. */
struct tpl_parse {
    struct tpl_run r; /* for its arena and its errors: values made here live in the template */
    struct template *t;
    /* lexer */
    size_t pos;
    int mode;                 /* 0 text, else the type of the open tag */
    char close[TPL_NEST_MAX]; /* brackets to come */
    int nclose;
    int at_tag; /* the text before the tag at pos was given out */
    /* parser */
    struct tpl_tok tok, ahead;
    int looked;
    int nest;                      /* of expressions */
    struct tpl_node here;          /* where the parser is: for errors */
    struct str open[TPL_NEST_MAX]; /* statements being parsed: for messages */
    int nopen;
};

/* Reads the next token into tok; T_BAD when there is an error. */
void tpl_lex_next(struct tpl_parse *p, struct tpl_tok *tok);
int tpl_lex_source(struct tpl_parse *p, struct str source);
const char *tpl_lex_describe(enum tpl_token type);

/* ---- parse, expr: each gives NULL or -1 after it raised an error ---- */
int tpl_parse_fail(struct tpl_parse *p, uint32_t at, const char *fmt, ...)
    __attribute__((format(printf, 3, 4), cold)); /* -1; LAR_EFORMAT */
int tpl_parse_template(struct tpl_parse *p);
int tpl_parse_next(struct tpl_parse *p); /* drop the token */
int tpl_parse_expect(struct tpl_parse *p, enum tpl_token type);
int tpl_parse_is(const struct tpl_parse *p, const char *name); /* the token is this name */
/* 1 when it was there (and drop it), 0, -1. */
int tpl_parse_skip(struct tpl_parse *p, const char *name);
const struct tpl_tok *tpl_parse_ahead(struct tpl_parse *p); /* the token after this one */
struct tpl_node *tpl_parse_node(struct tpl_parse *p, int type, uint32_t at);
uint32_t tpl_parse_intern(struct tpl_parse *p, struct str name); /* UINT32_MAX on failure */

struct tpl_node *tpl_expr(struct tpl_parse *p, int with_cond);
struct tpl_node *tpl_expr_tuple(struct tpl_parse *p, int with_cond, const char *end);
/* What can be assigned to; end: a name that ends it, or NULL; ns: also name.attribute. */
struct tpl_node *tpl_expr_target(struct tpl_parse *p, const char *end, int ns);
struct tpl_node *tpl_expr_name_target(struct tpl_parse *p);
/* of | filter | filter ...; inline: the first stands without a bar. */
struct tpl_node *tpl_expr_filters(struct tpl_parse *p, struct tpl_node *of, int inline_);

/* ---- scope ---- */
int tpl_scope_template(struct tpl_parse *p);

/* ---- eval, exec ---- */
struct val tpl_eval(struct tpl_run *r, const struct tpl_node *n);
struct val *tpl_eval_place(struct tpl_run *r, struct tpl_place place);
/* n is an N_CALL; caller: passed as a keyword unless TPL_MISSING. */
struct val tpl_eval_call(struct tpl_run *r, const struct tpl_node *n, struct val caller);

enum tpl_flow { TPL_ON, TPL_BREAK, TPL_CONTINUE, TPL_STOP /* failed */ };
enum tpl_flow tpl_exec(struct tpl_run *r, const struct tpl_node *list);
void tpl_exec_enter(struct tpl_run *r, const struct tpl_scope *s);
struct tpl_act *tpl_exec_act(struct tpl_run *r, const struct tpl_func *f, struct tpl_act *up);
int tpl_exec_assign(struct tpl_run *r, const struct tpl_node *target, struct val v);
/* Runs a list with its output as a string; *flow is how it ended. */
struct val tpl_exec_capture(struct tpl_run *r, const struct tpl_node *list, enum tpl_flow *flow);
void tpl_exec_act_done(struct tpl_run *r, const struct tpl_func *f, struct tpl_act *act);

struct tpl_macro {
    const struct tpl_body *body;
    struct tpl_act *up; /* the variables around its definition */
    int autoescape;     /* as it was there */
};
/* A macro, defined here and now. */
struct val tpl_invoke_new(struct tpl_run *r, const struct tpl_body *b);
struct val tpl_invoke_macro(struct tpl_run *r, const struct tpl_macro *m,
                            const struct tpl_args *args);
enum tpl_flow tpl_invoke_generation(struct tpl_run *r, const struct tpl_body *b);
/* Where {% block %} stands. */
enum tpl_flow tpl_invoke_block(struct tpl_run *r, const struct tpl_body *b);
struct val tpl_invoke_block_text(struct tpl_run *r, const struct tpl_block_ref *b,
                                 const struct tpl_args *args);
enum tpl_flow tpl_invoke_for(struct tpl_run *r, const struct tpl_node *n);
/* Loop(...). */
struct val tpl_invoke_loop(struct tpl_run *r, struct tpl_loop *l, const struct tpl_args *args);

#endif
