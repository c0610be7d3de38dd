/* SPDX-License-Identifier: Apache-2.0
 *
 * text/template_parse.c: statements, and the way from a template's text to a compiled template.
 */
#include <stdarg.h>
#include <stdio.h>

#include "text/template.h"
#include "text/template_ast.h"
#include "text/template_char.h"

static int body_until(struct tpl_parse *p, const char *const *ends, struct tpl_node **list);

/* ---- what both parsers use ---- */

int tpl_parse_fail(struct tpl_parse *p, uint32_t at, const char *fmt, ...)
{
    char text[200];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    p->here.at = at;
    tpl_fail(&p->r, LAR_EFORMAT, "%s", text);
    return -1;
}

struct tpl_node *tpl_parse_node(struct tpl_parse *p, int type, uint32_t at)
{
    struct tpl_node *n = tpl_alloc(&p->r, sizeof *n);
    if (!n) return NULL;
    n->type = (uint8_t)type;
    n->at = at;
    return n;
}

int tpl_parse_next(struct tpl_parse *p)
{
    if (p->looked)
        p->tok = p->ahead;
    else
        tpl_lex_next(p, &p->tok);
    p->looked = 0;
    p->here.at = p->tok.at;
    return p->tok.type == T_BAD ? -1 : 0;
}

const struct tpl_tok *tpl_parse_ahead(struct tpl_parse *p)
{
    if (!p->looked) tpl_lex_next(p, &p->ahead);
    p->looked = 1;
    return &p->ahead;
}

static int wrong(struct tpl_parse *p, const char *wanted)
{
    if (p->tok.type == T_NAME)
        return tpl_parse_fail(p, p->tok.at, "expected %s, got '%.*s'", wanted,
                              STR_ARG(p->tok.text));
    return tpl_parse_fail(p, p->tok.at, "expected %s, got %s", wanted,
                          tpl_lex_describe(p->tok.type));
}

int tpl_parse_expect(struct tpl_parse *p, enum tpl_token type)
{
    if (p->tok.type != type) return wrong(p, tpl_lex_describe(type));
    return tpl_parse_next(p);
}

int tpl_parse_is(const struct tpl_parse *p, const char *name)
{
    return p->tok.type == T_NAME && str_is(p->tok.text, name);
}

int tpl_parse_skip(struct tpl_parse *p, const char *name)
{
    if (!tpl_parse_is(p, name)) return 0;
    return tpl_parse_next(p) ? -1 : 1;
}

static int expect_name(struct tpl_parse *p, const char *name)
{
    int there = tpl_parse_skip(p, name);
    return there > 0 ? 0 : there < 0 ? -1 : wrong(p, name);
}

/* ---- interned names ---- */

static uint32_t hash(struct str s)
{
    uint32_t h = 2166136261u;
    for (size_t i = 0; i < s.n; i++) h = (h ^ (unsigned char)s.p[i]) * 16777619u;
    return h;
}

static size_t name_slot(const struct template *t, struct str s)
{
    size_t i = hash(s) & t->mask;
    while (t->slot[i] && !str_eq(t->name[t->slot[i] - 1], s)) i = (i + 1) & t->mask;
    return i;
}

static int grow_names(struct tpl_parse *p)
{
    struct template *t = p->t;
    size_t cap = t->slot ? (t->mask + 1) * 2 : 64;
    struct str *name = tpl_array(&p->r, cap / 2, sizeof *name);
    uint32_t *slot = tpl_array(&p->r, cap, sizeof *slot);
    if (!name || !slot) return -1;
    if (t->nname) memcpy(name, t->name, t->nname * sizeof *name);
    t->name = name;
    t->slot = slot;
    t->mask = cap - 1;
    for (size_t i = 0; i < t->nname; i++) slot[name_slot(t, name[i])] = (uint32_t)i + 1;
    return 0;
}

uint32_t tpl_parse_intern(struct tpl_parse *p, struct str name)
{
    struct template *t = p->t;
    if ((!t->slot || t->nname >= (t->mask + 1) / 2) && grow_names(p)) return UINT32_MAX;
    size_t i = name_slot(t, name);
    if (!t->slot[i]) {
        t->name[t->nname] = name;
        t->slot[i] = (uint32_t)++t->nname;
    }
    return t->slot[i] - 1;
}

/* ---- statements ---- */

typedef int parse_fn(struct tpl_parse *p, struct tpl_node *n, struct tpl_body *b);

/* `%}`, then statements until one of the names; that name is the token afterwards. */
static int block_body(struct tpl_parse *p, const char *const *ends, struct tpl_node **list)
{
    if (p->tok.type == T_COLON && tpl_parse_next(p)) return -1; /* as in Python; allowed */
    if (tpl_parse_expect(p, T_BLOCK_END) || body_until(p, ends, list)) return -1;
    if (p->tok.type != T_EOF) return 0;
    return tpl_parse_fail(p, p->tok.at,
                          "the template ends inside of {%% %.*s %%}, which needs {%% %s %%}",
                          STR_ARG(p->open[p->nopen - 1]), ends[0]);
}

/* The same until the one name, which is dropped. */
static int whole_body(struct tpl_parse *p, const char *end, struct tpl_node **list)
{
    const char *const ends[] = {end, NULL};
    return block_body(p, ends, list) || tpl_parse_next(p) ? -1 : 0;
}

static int parse_set(struct tpl_parse *p, struct tpl_node *n, struct tpl_body *b)
{
    struct tpl_node *target = tpl_expr_target(p, NULL, 1);
    if (!target) return -1;
    if (p->tok.type == T_ASSIGN) {
        if (tpl_parse_next(p)) return -1;
        n->type = N_SET;
        n->u.op4.a = target;
        n->u.op4.b = tpl_expr_tuple(p, 1, NULL);
        return n->u.op4.b ? 0 : -1;
    }
    n->type = N_SETBLOCK;
    n->u.body = b;
    b->a = target;
    b->c = tpl_expr_filters(p, NULL, 0);
    if (p->r.failed) return -1;
    return whole_body(p, "endset", &b->list);
}

static int parse_for(struct tpl_parse *p, struct tpl_node *n, struct tpl_body *b)
{
    static const char *const ends[] = {"endfor", "else", NULL};
    n->type = N_FOR;
    b->a = tpl_expr_target(p, "in", 0);
    if (!b->a || expect_name(p, "in")) return -1;
    b->b = tpl_expr_tuple(p, 0, "recursive");
    if (!b->b) return -1;
    int more = tpl_parse_skip(p, "if");
    if (more < 0 || (more && !(b->c = tpl_expr(p, 1)))) return -1;
    more = tpl_parse_skip(p, "recursive");
    if (more < 0 || block_body(p, ends, &b->list)) return -1;
    b->recursive = (uint8_t)more;
    int is_else = tpl_parse_is(p, "else");
    if (tpl_parse_next(p)) return -1;
    return is_else ? whole_body(p, "endfor", &b->other) : 0;
}

static int parse_if(struct tpl_parse *p, struct tpl_node *n, struct tpl_body *b)
{
    static const char *const ends[] = {"endif", "elif", "else", NULL};
    struct tpl_body *first = b;
    n->type = N_IF;
    for (;;) {
        b->a = tpl_expr_tuple(p, 0, NULL);
        if (!b->a || block_body(p, ends, &b->list)) return -1;
        int is_elif = tpl_parse_is(p, "elif"), is_else = tpl_parse_is(p, "else");
        if (tpl_parse_next(p)) return -1;
        if (is_else) return whole_body(p, "endif", &first->other);
        if (!is_elif) return 0;
        b->arm = tpl_alloc(&p->r, sizeof *b);
        if (!b->arm) return -1;
        b = b->arm;
    }
}

/* (a, b=1, ...): parameters of a macro or call block. */
static int signature(struct tpl_parse *p, struct tpl_body *b)
{
    struct tpl_param list[256];
    int defaults = 0;
    if (tpl_parse_expect(p, T_LPAREN)) return -1;
    while (p->tok.type != T_RPAREN) {
        if (b->nparam && tpl_parse_expect(p, T_COMMA)) return -1;
        uint32_t at = p->tok.at;
        if (b->nparam >= 255) return tpl_parse_fail(p, at, "more than 255 parameters");
        struct tpl_node *name = tpl_expr_name_target(p);
        if (!name) return -1;
        struct tpl_param *x = &list[b->nparam];
        *x = (struct tpl_param){.name = name->u.var.name};
        for (size_t i = 0; i < b->nparam; i++)
            if (list[i].name == x->name) return tpl_parse_fail(p, at, "a parameter given twice");
        if (p->tok.type == T_ASSIGN) {
            if (tpl_parse_next(p) || !(x->otherwise = tpl_expr(p, 1))) return -1;
            defaults = 1;
        } else if (defaults) {
            return tpl_parse_fail(p, at, "a parameter without default follows one with a default");
        }
        b->nparam++;
    }
    b->param = tpl_array(&p->r, b->nparam ? b->nparam : 1, sizeof *b->param);
    if (!b->param) return -1;
    memcpy(b->param, list, b->nparam * sizeof *list);
    return tpl_parse_next(p);
}

static int parse_macro(struct tpl_parse *p, struct tpl_node *n, struct tpl_body *b)
{
    n->type = N_MACRO;
    struct tpl_node *name = tpl_expr_name_target(p);
    if (!name) return -1;
    b->name = name->u.var.name;
    return signature(p, b) ? -1 : whole_body(p, "endmacro", &b->list);
}

static int parse_call(struct tpl_parse *p, struct tpl_node *n, struct tpl_body *b)
{
    uint32_t at = p->tok.at;
    n->type = N_CALLBLOCK;
    b->name = UINT32_MAX;
    if (p->tok.type == T_LPAREN && signature(p, b)) return -1;
    b->a = tpl_expr(p, 1);
    if (!b->a) return -1;
    if (b->a->type != N_CALL) return tpl_parse_fail(p, at, "expected a call");
    return whole_body(p, "endcall", &b->list);
}

static int parse_generation(struct tpl_parse *p, struct tpl_node *n, struct tpl_body *b)
{
    n->type = N_GENERATION;
    b->name = UINT32_MAX;
    return whole_body(p, "endgeneration", &b->list);
}

static int parse_filter(struct tpl_parse *p, struct tpl_node *n, struct tpl_body *b)
{
    n->type = N_FILTERBLOCK;
    b->c = tpl_expr_filters(p, NULL, 1);
    return b->c ? whole_body(p, "endfilter", &b->list) : -1;
}

static int parse_with(struct tpl_parse *p, struct tpl_node *n, struct tpl_body *b)
{
    struct tpl_node **a = &b->a, **v = &b->b;
    n->type = N_WITH;
    while (p->tok.type != T_BLOCK_END) {
        if (b->a && tpl_parse_expect(p, T_COMMA)) return -1;
        *a = tpl_expr_target(p, NULL, 0);
        if (!*a || tpl_parse_expect(p, T_ASSIGN)) return -1;
        *v = tpl_expr(p, 1);
        if (!*v) return -1;
        a = &(*a)->next;
        v = &(*v)->next;
    }
    return whole_body(p, "endwith", &b->list);
}

static int parse_autoescape(struct tpl_parse *p, struct tpl_node *n, struct tpl_body *b)
{
    n->type = N_AUTOESCAPE;
    b->a = tpl_expr(p, 1);
    return b->a ? whole_body(p, "endautoescape", &b->list) : -1;
}

static int only_space(struct tpl_parse *p, const struct tpl_node *list)
{
    for (; list; list = list->next) {
        if (list->type != N_TEXT || tpl_str_strip(list->u.text, NULL, 1, 0).n)
            return tpl_parse_fail(p, list->at,
                                  "a required block can only hold comments and white space");
    }
    return 0;
}

static int add_block(struct tpl_parse *p, struct str name, struct tpl_body *b, uint32_t at)
{
    struct template *t = p->t;
    for (size_t i = 0; i < t->nblock; i++)
        if (str_eq(t->block[i].name, name)) return tpl_parse_fail(p, at, "a block defined twice");
    if (t->nblock >= 1000) return tpl_parse_fail(p, at, "more than 1000 blocks");
    if ((t->nblock & (t->nblock - 1)) == 0) {
        struct tpl_block *more = tpl_array(&p->r, t->nblock ? t->nblock * 2 : 1, sizeof *more);
        if (!more) return -1;
        if (t->nblock) memcpy(more, t->block, t->nblock * sizeof *more);
        t->block = more;
    }
    t->block[t->nblock++] = (struct tpl_block){name, b};
    return 0;
}

static int parse_block(struct tpl_parse *p, struct tpl_node *n, struct tpl_body *b)
{
    struct tpl_tok tok = p->tok;
    n->type = N_BLOCK;
    if (tpl_parse_expect(p, T_NAME)) return -1;
    int scoped = tpl_parse_skip(p, "scoped"),
        required = scoped < 0 ? -1 : tpl_parse_skip(p, "required");
    if (required < 0) return -1;
    b->scoped = (uint8_t)scoped;
    b->required = (uint8_t)required;
    b->name = tpl_parse_intern(p, tok.text);
    if (b->name == UINT32_MAX || whole_body(p, "endblock", &b->list)) return -1;
    if (required && only_space(p, b->list)) return -1;
    if (p->tok.type == T_NAME && str_eq(p->tok.text, tok.text) && tpl_parse_next(p)) return -1;
    return add_block(p, tok.text, b, tok.at);
}

static int parse_break(struct tpl_parse *p, struct tpl_node *n, struct tpl_body *b)
{
    (void)p, (void)b;
    n->type = N_BREAK;
    return 0;
}

static int parse_continue(struct tpl_parse *p, struct tpl_node *n, struct tpl_body *b)
{
    (void)p, (void)b;
    n->type = N_CONTINUE;
    return 0;
}

/* include, import, from, extends: read to the end of the tag, refused when reached. */
static int parse_refused(struct tpl_parse *p, struct tpl_node *n, struct tpl_body *b)
{
    (void)b;
    n->type = N_REFUSED;
    n->op = str_is(p->open[p->nopen - 1], "extends");
    n->u.value = tpl_str_view(&p->r, p->open[p->nopen - 1]);
    if (tpl_bad(n->u.value) || !tpl_expr(p, 1)) return -1;
    while (p->tok.type == T_NAME || p->tok.type == T_COMMA)
        if (tpl_parse_next(p)) return -1;
    return 0;
}

static const struct keyword {
    const char *name;
    parse_fn *fn;
} keywords[] = {
    {"if", parse_if},
    {"set", parse_set},
    {"for", parse_for},
    {"macro", parse_macro},
    {"call", parse_call},
    {"filter", parse_filter},
    {"with", parse_with},
    {"break", parse_break},
    {"continue", parse_continue},
    {"generation", parse_generation},
    {"autoescape", parse_autoescape},
    {"block", parse_block},
    {"extends", parse_refused},
    {"include", parse_refused},
    {"import", parse_refused},
    {"from", parse_refused},
};

static int statement(struct tpl_parse *p, struct tpl_node *n)
{
    struct tpl_tok tok = p->tok;
    if (tok.type != T_NAME) return tpl_parse_fail(p, tok.at, "expected the name of a tag");
    for (size_t i = 0; i < sizeof keywords / sizeof *keywords; i++) {
        if (!str_is(tok.text, keywords[i].name)) continue;
        if (p->nopen == TPL_NEST_MAX)
            return tpl_parse_fail(p, tok.at, "statements nested too deeply");
        struct tpl_body *b = tpl_alloc(&p->r, sizeof *b);
        p->open[p->nopen++] = tok.text;
        n->u.body = b;
        if (!b || tpl_parse_next(p) || keywords[i].fn(p, n, b)) return -1;
        p->nopen--;
        return 0;
    }
    if (!p->nopen) return tpl_parse_fail(p, tok.at, "unknown tag '%.*s'", STR_ARG(tok.text));
    return tpl_parse_fail(p, tok.at, "unknown tag '%.*s' inside of {%% %.*s %%}", STR_ARG(tok.text),
                          STR_ARG(p->open[p->nopen - 1]));
}

/* Jinja computes a printed expression without variables while compiling, and then a slice that
 * fails is undefined, not an error: {{ none[1:] }} prints nothing. Says whether n is such an
 * expression, or (mark) marks its slices. */
static int constant(struct tpl_node *n, int mark);

static int constants(struct tpl_node *list, int mark)
{
    for (; list; list = list->next)
        if (!constant(list, mark)) return 0;
    return 1;
}

static int constant_call(struct tpl_node *n, int mark)
{
    static const char *const contextual[] = {"map",        "select", "reject", "selectattr",
                                             "rejectattr", "random", NULL};
    const struct tpl_call_args *ca = n->u.call.args;
    if (n->type == N_CALL || !n->u.call.sig || ca->star || ca->star2) return 0;
    for (int i = 0; n->type == N_FILTER && contextual[i]; i++)
        if (str_is(n->u.call.name, contextual[i])) return 0;
    for (size_t i = 0; i < ca->nkw; i++)
        if (!constant(ca->kw[i].value, mark)) return 0;
    return constant(n->u.call.a, mark) && constants(ca->pos, mark);
}

static int constant(struct tpl_node *n, int mark)
{
    switch (n->type) {
    case N_CONST: return 1;
    case N_NAME: return 0;
    case N_ATTR: return constant(n->u.get.a, mark);
    case N_TUPLE:
    case N_LIST:
    case N_DICT:
    case N_CONCAT: return constants(n->u.seq.list, mark);
    case N_COMPARE: return constant(n->u.seq.a, mark) && constants(n->u.seq.list, mark);
    case N_CALL:
    case N_FILTER:
    case N_TEST: return constant_call(n, mark);
    default: break;
    }
    struct tpl_node *part[] = {n->u.op4.a, n->u.op4.b, n->u.op4.c, n->u.op4.d};
    for (int i = 0; i < 4; i++)
        if (part[i] && !constant(part[i], mark)) return 0;
    if (mark && n->type == N_SLICE) n->op = 1;
    return 1;
}

/* {% print a, b %}: as many nodes. */
static int print_list(struct tpl_parse *p, struct tpl_node ***tail)
{
    if (tpl_parse_next(p)) return -1;
    for (int first = 1; p->tok.type != T_BLOCK_END; first = 0) {
        if (!first && tpl_parse_expect(p, T_COMMA)) return -1;
        struct tpl_node *n = tpl_parse_node(p, N_PRINT, p->tok.at);
        if (!n || !(n->u.op4.a = tpl_expr(p, 1))) return -1;
        **tail = n;
        *tail = &n->next;
    }
    return 0;
}

static int is_end(const struct tpl_parse *p, const char *const *ends)
{
    for (; ends && *ends; ends++)
        if (tpl_parse_is(p, *ends)) return 1;
    return 0;
}

static int body_until(struct tpl_parse *p, const char *const *ends, struct tpl_node **list)
{
    struct tpl_node **tail = list;
    while (p->tok.type != T_EOF) {
        struct tpl_tok tok = p->tok;
        struct tpl_node *n = tpl_parse_node(p, N_TEXT, tok.at);
        if (!n || tpl_parse_next(p)) return -1;
        if (tok.type == T_TEXT) {
            n->u.text = tok.text;
        } else if (tok.type == T_PRINT) {
            n->type = N_PRINT;
            n->u.op4.a = tpl_expr_tuple(p, 1, NULL);
            if (!n->u.op4.a || tpl_parse_expect(p, T_PRINT_END)) return -1;
            if (constant(n->u.op4.a, 0)) constant(n->u.op4.a, 1);
        } else if (is_end(p, ends)) {
            return 0;
        } else if (tpl_parse_is(p, "print")) {
            if (print_list(p, &tail) || tpl_parse_expect(p, T_BLOCK_END)) return -1;
            continue;
        } else if (statement(p, n) || tpl_parse_expect(p, T_BLOCK_END)) {
            return -1;
        }
        *tail = n;
        tail = &n->next;
    }
    return 0;
}

int tpl_parse_template(struct tpl_parse *p)
{
    struct tpl_body *root = tpl_alloc(&p->r, sizeof *root);
    p->t->root = root;
    if (!root || tpl_parse_next(p)) return -1;
    return body_until(p, NULL, &root->list);
}

/* ---- in and out ---- */

struct template *template_compile(struct str source, struct lar_err *err)
{
    struct template *t = mem_zalloc(sizeof *t);
    struct tpl_parse *p = mem_zalloc(sizeof *p);
    int ok = 0;
    if (!t || !p) {
        lar_fail(err, LAR_ENOMEM, "template: out of memory");
    } else {
        p->t = t;
        p->r = (struct tpl_run){.err = err, .t = t, .at = &p->here, .steps = 100000000};
        arena_init(&p->r.a, (size_t)512 << 20);
        p->r.work.limit = TPL_SOURCE_MAX * 2;
        ok = !tpl_lex_source(p, source) && !tpl_parse_template(p) && !tpl_scope_template(p);
        buf_done(&p->r.work);
        t->a = p->r.a; /* the tree lives there */
    }
    mem_free(p);
    if (ok) return t;
    template_free(t);
    return NULL;
}

void template_free(struct template *t)
{
    if (!t) return;
    arena_done(&t->a);
    mem_free(t);
}
