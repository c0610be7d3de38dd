/* SPDX-License-Identifier: Apache-2.0
 *
 * text/template_expr.c: expressions. One function a level of binding, weakest first: `x if y else
 * z`, or, and, not, comparisons, + -, ~, * / // %, **, unary minus, then calls, subscripts, filters
 * and tests. Jinja's levels, which are not Python's: ** binds to the left, unary minus binds
 * tighter than ** and than a filter.
 */
#include "text/template_ast.h"

static struct tpl_node *primary(struct tpl_parse *p, int ns);
static struct tpl_node *postfix(struct tpl_parse *p, struct tpl_node *of);
static struct tpl_node *parse_or(struct tpl_parse *p);

static int enter(struct tpl_parse *p)
{
    if (p->nest >= TPL_TREE_MAX)
        return tpl_parse_fail(p, p->tok.at, "an expression nested too deeply");
    p->nest++;
    return 0;
}

/* child is part of n. */
static int under(struct tpl_parse *p, struct tpl_node *n, const struct tpl_node *child)
{
    if (!n || !child) return -1;
    if (n->depth <= child->depth) n->depth = child->depth + 1;
    if (n->depth > TPL_TREE_MAX) return tpl_parse_fail(p, n->at, "an expression nested too deeply");
    return 0;
}

static struct tpl_node *op(struct tpl_parse *p, int type, int what, uint32_t at, struct tpl_node *a,
                           struct tpl_node *b)
{
    struct tpl_node *n = a && b ? tpl_parse_node(p, type, at) : NULL;
    if (!n || under(p, n, a) || under(p, n, b)) return NULL;
    n->op = (uint8_t)what;
    n->u.op4.a = a;
    n->u.op4.b = b;
    return n;
}

static struct tpl_node *unary(struct tpl_parse *p, int type, uint32_t at, struct tpl_node *a)
{
    struct tpl_node *n = op(p, type, 0, at, a, a);
    if (n) n->u.op4.b = NULL;
    return n;
}

/* ---- lists ---- */

/* Elements up to the closing bracket, commas between; the last comma may stand alone. pairs: key:
 * value. */
static struct tpl_node *elements(struct tpl_parse *p, int type, enum tpl_token close, int pairs)
{
    struct tpl_node *n = tpl_parse_node(p, type, p->tok.at), **tail, *e;
    if (!n || tpl_parse_next(p)) return NULL;
    tail = &n->u.seq.list;
    while (p->tok.type != close) {
        if (n->u.seq.n && tpl_parse_expect(p, T_COMMA)) return NULL;
        if (p->tok.type == close) break;
        for (int i = 0; i <= pairs; i++) {
            if (i && tpl_parse_expect(p, T_COLON)) return NULL;
            e = tpl_expr(p, 1);
            if (!e || under(p, n, e)) return NULL;
            *tail = e;
            tail = &e->next;
            n->u.seq.n++;
        }
    }
    return tpl_parse_next(p) ? NULL : n;
}

static int tuple_ends(const struct tpl_parse *p, const char *end)
{
    return p->tok.type == T_PRINT_END || p->tok.type == T_BLOCK_END || p->tok.type == T_RPAREN ||
           (end && tpl_parse_is(p, end));
}

enum tuple_how { EXPRESSIONS, NO_CONDITION, SIMPLE, SIMPLE_NS };

/* One expression, or several with commas between: a tuple. parens: nothing at all is a tuple as
 * well. */
static struct tpl_node *tuple(struct tpl_parse *p, enum tuple_how how, const char *end, int parens)
{
    struct tpl_node *n = tpl_parse_node(p, N_TUPLE, p->tok.at), *e = NULL, **tail;
    int is_tuple = 0;
    if (!n) return NULL;
    tail = &n->u.seq.list;
    for (;;) {
        if (n->u.seq.n && tpl_parse_expect(p, T_COMMA)) return NULL;
        if (tuple_ends(p, end)) break;
        e = how >= SIMPLE ? primary(p, how == SIMPLE_NS) : tpl_expr(p, how == EXPRESSIONS);
        if (!e || under(p, n, e)) return NULL;
        *tail = e;
        tail = &e->next;
        n->u.seq.n++;
        if (p->tok.type != T_COMMA) break;
        is_tuple = 1;
    }
    if (is_tuple || (!n->u.seq.n && parens)) return n;
    if (n->u.seq.n) return e;
    tpl_parse_fail(p, p->tok.at, "expected an expression, got %s", tpl_lex_describe(p->tok.type));
    return NULL;
}

struct tpl_node *tpl_expr_tuple(struct tpl_parse *p, int with_cond, const char *end)
{
    return tuple(p, with_cond ? EXPRESSIONS : NO_CONDITION, end, 0);
}

/* ---- targets ---- */

static int assignable(struct tpl_parse *p, struct tpl_node *n)
{
    if (n->type == N_NSREF) return 0;
    if (n->type == N_NAME) {
        n->store = 1;
        return 0;
    }
    if (n->type != N_TUPLE) return tpl_parse_fail(p, n->at, "this cannot be assigned to");
    for (struct tpl_node *e = n->u.seq.list; e; e = e->next)
        if (assignable(p, e)) return -1;
    return 0;
}

struct tpl_node *tpl_expr_target(struct tpl_parse *p, const char *end, int ns)
{
    struct tpl_node *n = tuple(p, ns ? SIMPLE_NS : SIMPLE, end, 0);
    return n && !assignable(p, n) ? n : NULL;
}

static int constant_name(struct str s)
{
    return str_is(s, "true") || str_is(s, "false") || str_is(s, "none") || str_is(s, "True") ||
           str_is(s, "False") || str_is(s, "None");
}

static struct tpl_node *name_node(struct tpl_parse *p, const struct tpl_tok *tok)
{
    struct tpl_node *n = tpl_parse_node(p, N_NAME, tok->at);
    if (!n || (n->u.var.name = tpl_parse_intern(p, tok->text)) == UINT32_MAX) return NULL;
    return n;
}

struct tpl_node *tpl_expr_name_target(struct tpl_parse *p)
{
    struct tpl_tok tok = p->tok;
    if (tpl_parse_expect(p, T_NAME)) return NULL;
    if (constant_name(tok.text))
        return tpl_parse_fail(p, tok.at, "this cannot be assigned to"), NULL;
    struct tpl_node *n = name_node(p, &tok);
    if (n) n->store = 1;
    return n;
}

/* ---- names and literals ---- */

static struct tpl_node *constant(struct tpl_parse *p, uint32_t at, struct val v)
{
    struct tpl_node *n = tpl_bad(v) ? NULL : tpl_parse_node(p, N_CONST, at);
    if (n) n->u.value = v;
    return n;
}

static struct tpl_node *strings(struct tpl_parse *p)
{
    struct val v = p->tok.value;
    uint32_t at = p->tok.at;
    size_t n = 0;
    for (;; n++) { /* "a" "b" is "ab" */
        if (tpl_parse_next(p)) return NULL;
        if (p->tok.type != T_STRING) break;
        v = tpl_str_concat(&p->r, v, p->tok.value);
        if (tpl_bad(v)) return NULL;
    }
    if (n) {
        v.u.s->room = NULL;
        tpl_str_freeze(v);
    }
    return constant(p, at, v);
}

static struct tpl_node *name(struct tpl_parse *p, int ns)
{
    struct tpl_tok tok = p->tok;
    char c = tok.text.p[0] | 32;
    if (tpl_parse_next(p)) return NULL;
    if (constant_name(tok.text))
        return constant(p, tok.at, c == 'n' ? tpl_none() : tpl_bool(c == 't'));
    struct tpl_node *n = name_node(p, &tok);
    if (!n || !ns || p->tok.type != T_DOT) return n;
    if (tpl_parse_next(p)) return NULL;
    n->type = N_NSREF;
    n->u.var.attr = tpl_str_view(&p->r, p->tok.text);
    if (tpl_parse_expect(p, T_NAME) || tpl_bad(n->u.var.attr)) return NULL;
    tpl_str_freeze(n->u.var.attr);
    return n;
}

static struct tpl_node *primary(struct tpl_parse *p, int ns)
{
    struct tpl_tok tok = p->tok;
    struct tpl_node *n;
    switch (tok.type) {
    case T_NAME: return name(p, ns);
    case T_STRING: return strings(p);
    case T_INTEGER:
    case T_FLOAT: return tpl_parse_next(p) ? NULL : constant(p, tok.at, tok.value);
    case T_LPAREN:
        if (tpl_parse_next(p)) return NULL;
        n = tuple(p, EXPRESSIONS, NULL, 1);
        return n && !tpl_parse_expect(p, T_RPAREN) ? n : NULL;
    case T_LBRACKET: return elements(p, N_LIST, T_RBRACKET, 0);
    case T_LBRACE: return elements(p, N_DICT, T_RBRACE, 1);
    default: tpl_parse_fail(p, tok.at, "unexpected %s", tpl_lex_describe(tok.type)); return NULL;
    }
}

/* ---- calls and subscripts ---- */

static int named_arg(struct tpl_parse *p, struct tpl_call_args *ca, struct tpl_node *n)
{
    struct tpl_named_arg arg = {p->tok.text, NULL}, *more;
    for (size_t i = 0; i < ca->nkw; i++)
        if (str_eq(ca->kw[i].name, arg.name))
            return tpl_parse_fail(p, p->tok.at, "a keyword argument given twice");
    if (tpl_parse_next(p) || tpl_parse_next(p)) return -1;
    arg.value = tpl_expr(p, 1);
    if (under(p, n, arg.value)) return -1;
    if (ca->nkw >= 255) return tpl_parse_fail(p, p->tok.at, "more than 255 keyword arguments");
    if ((ca->nkw & (ca->nkw - 1)) == 0) { /* grows when it reaches a power of two */
        more = tpl_array(&p->r, ca->nkw ? ca->nkw * 2 : 1, sizeof *more);
        if (!more) return -1;
        if (ca->nkw) memcpy(more, ca->kw, ca->nkw * sizeof *more);
        ca->kw = more;
    }
    ca->kw[ca->nkw++] = arg;
    return 0;
}

/* ( ... ) of a call, of which n is the node. */
static struct tpl_call_args *call_args(struct tpl_parse *p, struct tpl_node *n)
{
    struct tpl_call_args *ca = tpl_alloc(&p->r, sizeof *ca);
    struct tpl_node **tail, *e;
    static const char bad[] = "invalid order of arguments in a call";
    if (!ca || tpl_parse_expect(p, T_LPAREN)) return NULL;
    tail = &ca->pos;
    for (int first = 1; p->tok.type != T_RPAREN; first = 0) {
        if (!first && tpl_parse_expect(p, T_COMMA)) return NULL;
        if (!first && p->tok.type == T_RPAREN) break;
        int star = p->tok.type == T_MUL ? 1 : p->tok.type == T_POW ? 2 : 0;
        if (ca->star2 || (ca->star && star == 1))
            return tpl_parse_fail(p, p->tok.at, "%s", bad), NULL;
        if (star) {
            if (tpl_parse_next(p)) return NULL;
            e = tpl_expr(p, 1);
            if (under(p, n, e)) return NULL;
            *(star == 1 ? &ca->star : &ca->star2) = e;
        } else if (p->tok.type == T_NAME && tpl_parse_ahead(p)->type == T_ASSIGN) {
            if (named_arg(p, ca, n)) return NULL;
        } else {
            if (ca->star || ca->nkw) return tpl_parse_fail(p, p->tok.at, "%s", bad), NULL;
            e = tpl_expr(p, 1);
            if (under(p, n, e)) return NULL;
            *tail = e;
            tail = &e->next;
            ca->npos++;
        }
    }
    return tpl_parse_next(p) ? NULL : ca;
}

static struct tpl_node *call(struct tpl_parse *p, struct tpl_node *of)
{
    struct tpl_node *n = tpl_parse_node(p, N_CALL, p->tok.at);
    if (under(p, n, of)) return NULL;
    n->u.call.a = of;
    n->u.call.args = call_args(p, n);
    return n->u.call.args ? n : NULL;
}

/* x in a[x]: an expression, or start:stop:step (then *slice, of which missing parts stay NULL). */
static struct tpl_node *subscribed(struct tpl_parse *p, int *slice, struct tpl_node *n)
{
    struct tpl_node *part[3] = {NULL, NULL, NULL};
    for (int i = 0; i < 3; i++) {
        enum tpl_token t = p->tok.type;
        if (t != T_COLON && t != T_RBRACKET && t != T_COMMA) {
            part[i] = tpl_expr(p, 1);
            if (under(p, n, part[i])) return NULL;
        } else if (i == 0 && t != T_COLON) {
            return tpl_parse_fail(p, p->tok.at, "expected a subscript"), NULL;
        }
        if (p->tok.type != T_COLON) {
            if (i == 0) return part[0];
            break;
        }
        *slice = 1;
        if (i == 2) break;
        if (tpl_parse_next(p)) return NULL;
    }
    n->type = N_SLICE;
    n->u.op4.b = part[0];
    n->u.op4.c = part[1];
    n->u.op4.d = part[2];
    return n;
}

static struct tpl_node *brackets(struct tpl_parse *p, struct tpl_node *of)
{
    struct tpl_node *n = tpl_parse_node(p, N_ITEM, p->tok.at), *list, **tail, *e = NULL;
    int slice = 0;
    if (under(p, n, of) || tpl_parse_next(p)) return NULL;
    n->u.op4.a = of;
    list = tpl_parse_node(p, N_TUPLE, n->at);
    if (!list) return NULL;
    for (tail = &list->u.seq.list; p->tok.type != T_RBRACKET; tail = &e->next) {
        if (list->u.seq.n && tpl_parse_expect(p, T_COMMA)) return NULL;
        e = subscribed(p, &slice, n);
        if (!e) return NULL;
        *tail = e;
        if (++list->u.seq.n > 1 && slice)
            return tpl_parse_fail(p, n->at, "a slice cannot be part of a tuple"), NULL;
    }
    if (tpl_parse_next(p)) return NULL;
    if (slice) return n->next = NULL, n;
    n->u.op4.b = list->u.seq.n == 1 ? e : list;
    list->depth = n->depth;
    return under(p, n, n->u.op4.b) ? NULL : n;
}

static struct tpl_node *dot(struct tpl_parse *p, struct tpl_node *of)
{
    struct tpl_node *n = tpl_parse_node(p, N_ATTR, p->tok.at);
    if (under(p, n, of) || tpl_parse_next(p)) return NULL;
    struct tpl_tok tok = p->tok;
    if (tok.type == T_INTEGER) { /* a.0 is a[0] */
        struct tpl_node *index = constant(p, tok.at, tok.value);
        n->type = N_ITEM;
        n->u.op4.a = of;
        n->u.op4.b = index;
        return index && !tpl_parse_next(p) ? n : NULL;
    }
    n->u.get.a = of;
    n->u.get.attr = tpl_str_view(&p->r, tok.text);
    if (tok.type != T_NAME) return tpl_parse_fail(p, tok.at, "expected name or number"), NULL;
    if (tpl_parse_next(p) || tpl_bad(n->u.get.attr)) return NULL;
    tpl_str_freeze(n->u.get.attr);
    return n;
}

static struct tpl_node *postfix(struct tpl_parse *p, struct tpl_node *of)
{
    while (of) {
        if (p->tok.type == T_DOT)
            of = dot(p, of);
        else if (p->tok.type == T_LBRACKET)
            of = brackets(p, of);
        else if (p->tok.type == T_LPAREN)
            of = call(p, of);
        else
            break;
    }
    return of;
}

/* ---- filters and tests ---- */

/* name or name.name; no filter of ours has a dot, but the syntax allows it. */
static int dotted(struct tpl_parse *p, struct str *s)
{
    *s = p->tok.text;
    if (tpl_parse_expect(p, T_NAME)) return -1;
    while (p->tok.type == T_DOT) {
        if (tpl_parse_next(p)) return -1;
        if (p->tok.type == T_NAME) s->n = (size_t)(p->tok.text.p + p->tok.text.n - s->p);
        if (tpl_parse_expect(p, T_NAME)) return -1;
    }
    return 0;
}

static struct tpl_call_args *no_args(struct tpl_parse *p)
{
    return tpl_alloc(&p->r, sizeof(struct tpl_call_args));
}

struct tpl_node *tpl_expr_filters(struct tpl_parse *p, struct tpl_node *of, int inline_)
{
    while (inline_ || p->tok.type == T_PIPE) {
        if (!inline_ && tpl_parse_next(p)) return NULL;
        inline_ = 0;
        struct tpl_node *n = tpl_parse_node(p, N_FILTER, p->tok.at);
        if (!n || (of && under(p, n, of)) || dotted(p, &n->u.call.name)) return NULL;
        n->u.call.a = of;
        n->u.call.sig = tpl_filter_find(n->u.call.name);
        n->u.call.args = p->tok.type == T_LPAREN ? call_args(p, n) : no_args(p);
        if (!n->u.call.args) return NULL;
        of = n;
    }
    return of;
}

static int test_takes_argument(const struct tpl_parse *p)
{
    switch (p->tok.type) {
    case T_NAME:
        return !tpl_parse_is(p, "else") && !tpl_parse_is(p, "or") && !tpl_parse_is(p, "and");
    case T_STRING:
    case T_INTEGER:
    case T_FLOAT:
    case T_LBRACKET:
    case T_LBRACE: return 1;
    default: return 0;
    }
}

static struct tpl_node *test(struct tpl_parse *p, struct tpl_node *of)
{
    struct tpl_node *n = tpl_parse_node(p, N_TEST, p->tok.at), *arg;
    if (under(p, n, of) || tpl_parse_next(p)) return NULL;
    int negated = tpl_parse_skip(p, "not");
    if (negated < 0 || dotted(p, &n->u.call.name)) return NULL;
    n->u.call.a = of;
    n->u.call.sig = tpl_test_find(n->u.call.name);
    if (p->tok.type == T_LPAREN) {
        n->u.call.args = call_args(p, n);
    } else {
        n->u.call.args = no_args(p);
        if (n->u.call.args && test_takes_argument(p)) {
            if (tpl_parse_is(p, "is"))
                return tpl_parse_fail(p, p->tok.at, "tests with 'is' cannot be chained"), NULL;
            arg = postfix(p, primary(p, 0));
            if (under(p, n, arg)) return NULL;
            n->u.call.args->pos = arg;
            n->u.call.args->npos = 1;
        }
    }
    if (!n->u.call.args) return NULL;
    return negated ? unary(p, N_NOT, n->at, n) : n;
}

static struct tpl_node *filter_expr(struct tpl_parse *p, struct tpl_node *n)
{
    while (n) {
        if (p->tok.type == T_PIPE)
            n = tpl_expr_filters(p, n, 0);
        else if (tpl_parse_is(p, "is"))
            n = test(p, n);
        else if (p->tok.type == T_LPAREN)
            n = call(p, n);
        else
            break;
    }
    return n;
}

/* ---- operators ---- */

static struct tpl_node *signed_(struct tpl_parse *p, int with_filter)
{
    struct tpl_node *n;
    uint32_t at = p->tok.at;
    enum tpl_token t = p->tok.type;
    if (t == T_SUB || t == T_ADD) {
        if (tpl_parse_next(p) || enter(p)) return NULL;
        n = signed_(p, 0);
        p->nest--;
        if (n) n = unary(p, t == T_SUB ? N_NEG : N_POS, at, n);
    } else {
        n = primary(p, 0);
    }
    n = n ? postfix(p, n) : NULL;
    return n && with_filter ? filter_expr(p, n) : n;
}

/* A number written out, computed while compiling. */
static int literal(const struct tpl_node *n)
{
    if (n->type == N_CONST) return 1;
    if (n->type == N_NEG || n->type == N_POS) return literal(n->u.op4.a);
    return n->type == N_BINARY && literal(n->u.op4.a) && literal(n->u.op4.b);
}

/* A negative literal loses its parentheses in the Python that Jinja writes: with n = 2, -2 ** n is
 * -4, though -2 ** 2, computed while compiling, is 4. */
static struct tpl_node *parse_pow(struct tpl_parse *p)
{
    struct tpl_node *left = signed_(p, 1);
    while (left && p->tok.type == T_POW) {
        uint32_t at = p->tok.at;
        int bare = literal(left);
        left = tpl_parse_next(p) ? NULL : op(p, N_BINARY, 'p', at, left, signed_(p, 1));
        if (left && bare && !literal(left->u.op4.b)) left->op = 'q';
    }
    return left;
}

static struct tpl_node *parse_mul(struct tpl_parse *p)
{
    struct tpl_node *left = parse_pow(p);
    while (left && (p->tok.type == T_MUL || p->tok.type == T_DIV || p->tok.type == T_FLOORDIV ||
                    p->tok.type == T_MOD)) {
        uint32_t at = p->tok.at;
        int what = p->tok.type == T_MUL   ? '*'
                   : p->tok.type == T_DIV ? '/'
                   : p->tok.type == T_MOD ? '%'
                                          : 'f';
        left = tpl_parse_next(p) ? NULL : op(p, N_BINARY, what, at, left, parse_pow(p));
    }
    return left;
}

static struct tpl_node *parse_concat(struct tpl_parse *p)
{
    struct tpl_node *first = parse_mul(p), *n, **tail, *e;
    if (!first || p->tok.type != T_TILDE) return first;
    n = tpl_parse_node(p, N_CONCAT, p->tok.at);
    if (under(p, n, first)) return NULL;
    n->u.seq.list = first;
    n->u.seq.n = 1;
    for (tail = &first->next; p->tok.type == T_TILDE; tail = &e->next) {
        e = tpl_parse_next(p) ? NULL : parse_mul(p);
        if (under(p, n, e)) return NULL;
        *tail = e;
        n->u.seq.n++;
    }
    return n;
}

static struct tpl_node *parse_add(struct tpl_parse *p)
{
    struct tpl_node *left = parse_concat(p);
    while (left && (p->tok.type == T_ADD || p->tok.type == T_SUB)) {
        uint32_t at = p->tok.at;
        int what = p->tok.type == T_ADD ? '+' : '-';
        left = tpl_parse_next(p) ? NULL : op(p, N_BINARY, what, at, left, parse_concat(p));
    }
    return left;
}

static int comparison(struct tpl_parse *p)
{
    switch (p->tok.type) {
    case T_EQ: return TPL_EQ;
    case T_NE: return TPL_NE;
    case T_LT: return TPL_LT;
    case T_LE: return TPL_LE;
    case T_GT: return TPL_GT;
    case T_GE: return TPL_GE;
    default: break;
    }
    if (tpl_parse_is(p, "in")) return TPL_IN;
    if (tpl_parse_is(p, "not") && tpl_parse_ahead(p)->type == T_NAME &&
        str_is(tpl_parse_ahead(p)->text, "in"))
        return TPL_NOTIN;
    return -1;
}

static struct tpl_node *parse_compare(struct tpl_parse *p)
{
    struct tpl_node *first = parse_add(p), *n, **tail, *e;
    int what = first ? comparison(p) : -1;
    if (what < 0) return first;
    n = tpl_parse_node(p, N_COMPARE, p->tok.at);
    if (under(p, n, first)) return NULL;
    n->u.seq.a = first;
    for (tail = &n->u.seq.list; what >= 0; what = comparison(p), tail = &e->next) {
        if (what == TPL_NOTIN && tpl_parse_next(p)) return NULL;
        struct tpl_node *operand = tpl_parse_next(p) ? NULL : parse_add(p);
        if (under(p, n, operand)) return NULL;
        e = tpl_parse_node(p, N_COMPARE, operand->at); /* its own node: operand->op may be in use */
        if (!e) return NULL;
        e->op = (uint8_t)what;
        e->u.seq.a = operand;
        *tail = e;
    }
    return n;
}

static struct tpl_node *parse_not(struct tpl_parse *p)
{
    uint32_t at = p->tok.at;
    if (!tpl_parse_is(p, "not")) return parse_compare(p);
    if (tpl_parse_next(p) || enter(p)) return NULL;
    struct tpl_node *n = parse_not(p);
    p->nest--;
    return n ? unary(p, N_NOT, at, n) : NULL;
}

static struct tpl_node *parse_and(struct tpl_parse *p)
{
    struct tpl_node *left = parse_not(p);
    while (left && tpl_parse_is(p, "and")) {
        uint32_t at = p->tok.at;
        left = tpl_parse_next(p) ? NULL : op(p, N_AND, 0, at, left, parse_not(p));
    }
    return left;
}

static struct tpl_node *parse_or(struct tpl_parse *p)
{
    struct tpl_node *left = parse_and(p);
    while (left && tpl_parse_is(p, "or")) {
        uint32_t at = p->tok.at;
        left = tpl_parse_next(p) ? NULL : op(p, N_OR, 0, at, left, parse_and(p));
    }
    return left;
}

static struct tpl_node *conditional(struct tpl_parse *p)
{
    struct tpl_node *e = parse_or(p);
    while (e && tpl_parse_is(p, "if")) {
        uint32_t at = p->tok.at;
        struct tpl_node *test_ = tpl_parse_next(p) ? NULL : parse_or(p), *other = NULL;
        int has_else = test_ ? tpl_parse_skip(p, "else") : -1;
        if (has_else < 0 || (has_else && !(other = tpl_expr(p, 1)))) return NULL;
        struct tpl_node *n = op(p, N_COND, 0, at, test_, e);
        if (!n || (other && under(p, n, other))) return NULL;
        n->u.op4.c = other;
        e = n;
    }
    return e;
}

struct tpl_node *tpl_expr(struct tpl_parse *p, int with_cond)
{
    if (enter(p)) return NULL;
    struct tpl_node *n = with_cond ? conditional(p) : parse_or(p);
    p->nest--;
    return n;
}
