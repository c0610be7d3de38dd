/* SPDX-License-Identifier: Apache-2.0
 *
 * text/gbnf.c: reading GBNF. The form is that of llama.cpp's grammars/README.md:
 *
 *     rule ::= "text" | [a-z]+ other-rule* ( . | [^x] ){2,3} ?     # the first rule asked for is root
 *
 * A body is read into a tree (struct ast), in which sequences, alternatives and repetitions of expressions are expressions at once.
 * Then rules without recursion are put in where they are called, and the rest becomes nodes, from right to left. */
#include "text/gbnf.h"

#include "base/buf.h"
#include "base/utf8.h"

enum { DEPTH_MAX = 200, RULES_MAX = 20000, NODES_MAX = 200000, REPEAT_MAX = 2000 };
enum ast_kind { AST_RX, AST_SEQ, AST_ALT, AST_REF, AST_REP, AST_VALUE };

struct ast {
    enum ast_kind kind;
    uint32_t rx, rule; /* RX; REF, of VALUE its number */
    uint32_t lo, hi;   /* REP of child */
    struct ast *child, *next;
};
enum fold { FOLD_NEW, FOLD_NOW, FOLD_RULE, FOLD_RX };
struct rule {
    struct str name;
    struct ast *body; /* NULL: called but not there (yet) */
    size_t line;
    enum fold fold;
    uint32_t start, hash_next;
    uint8_t mark;
};
struct read {
    struct str text;
    size_t at, line;
    struct rx *rx;
    struct arena *a;
    struct lar_err *err;
    const struct gbnf_values *values; /* NULL: plain GBNF */
    struct rule *rule;
    uint32_t nrule, head[256];
    struct gbnf *out;
    uint32_t cap, nway, cap_way;
    int depth, failed;
};

static int fail(struct read *r, int code, const char *what)
{
    if (!r->failed) r->failed = lar_fail(r->err, code, "the grammar, line %zu: %s", r->line, what);
    return r->failed;
}

/* ---- characters ---- */

static int peek(const struct read *r, size_t i)
{
    return r->at + i < r->text.n ? (unsigned char)r->text.p[r->at + i] : -1;
}

/* White space and comments; over the ends of lines only where a rule cannot end. */
static void skip(struct read *r, int lines)
{
    for (int c; (c = peek(r, 0)) >= 0; r->at++) {
        if (c == '#')
            while (peek(r, 1) >= 0 && peek(r, 1) != '\n') r->at++;
        else if (c == '\n' && lines)
            r->line++;
        else if (c != ' ' && c != '\t' && c != '\r')
            break;
    }
}

static int is_word(int c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
}

static struct str word(struct read *r)
{
    size_t from = r->at;
    while (is_word(peek(r, 0))) r->at++;
    return (struct str){r->text.p + from, r->at - from};
}

static uint32_t hex(struct read *r, int digits)
{
    uint32_t v = 0;
    for (; digits; digits--, r->at++) {
        int c = peek(r, 0), d = c >= '0' && c <= '9'                 ? c - '0'
                                : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10
                                                                     : -1;
        if (d < 0) return (void)fail(r, LAR_EFORMAT, "a hexadecimal digit is missing"), 0;
        v = v << 4 | (uint32_t)d;
    }
    return v;
}

/* One character of a text or a class. */
static uint32_t character(struct read *r)
{
    static const char from[] = "nrt\\\"[]-^", to[] = "\n\r\t\\\"[]-^";
    int c = peek(r, 0);
    uint32_t cp = 0;
    if (c == '\\') {
        int e = peek(r, 1);
        r->at += 2;
        if (e == 'x') return hex(r, 2);
        if (e == 'u') return hex(r, 4);
        if (e == 'U') return hex(r, 8);
        const char *k = e > 0 ? strchr(from, e) : NULL;
        if (!k) return (void)fail(r, LAR_EFORMAT, "an escape that is not known"), 0;
        return (unsigned char)to[k - from];
    }
    size_t n = c < 0 ? 0 : utf8_decode(r->text.p + r->at, r->text.n - r->at, &cp);
    if (n == 0 || c == '\n')
        return (void)fail(r, LAR_EFORMAT, "a text or class without its end, or no UTF-8"), 0;
    r->at += n;
    return cp;
}

/* ---- the tree ---- */

static struct ast *ast(struct read *r, enum ast_kind kind)
{
    struct ast *t = arena_alloc(r->a, sizeof *t);
    if (!t)
        fail(r, LAR_ELIMIT, "it is too large");
    else
        t->kind = kind;
    return t;
}

static struct ast *of_rx(struct read *r, uint32_t rx)
{
    struct ast *t = ast(r, AST_RX);
    if (t) t->rx = rx;
    return t;
}

static int quoted(struct read *r, struct buf *b)
{
    char t[4];
    r->at++;
    while (peek(r, 0) != '"' && !r->failed) {
        uint32_t cp = character(r);
        if (cp > 0x10ffff || (cp >= 0xd800 && cp < 0xe000))
            fail(r, LAR_EFORMAT, "an escape that is no character");
        if (!r->failed) buf_add(b, t, utf8_encode(cp, t));
    }
    r->at++;
    if (b->failed) fail(r, LAR_ENOMEM, "out of memory");
    return r->failed;
}

static struct ast *literal(struct read *r)
{
    struct buf b = {0};
    struct ast *x = quoted(r, &b) ? NULL : of_rx(r, rx_text(r->rx, buf_view(&b)));
    buf_done(&b);
    return x;
}

static struct ast *class(struct read *r)
{
    uint32_t range[256][2], n = 0;
    int not = peek(r, 1) == '^';
    r->at += not ? 2 : 1;
    while (peek(r, 0) != ']' && !r->failed) {
        if (n == 256) return (void)fail(r, LAR_ELIMIT, "a class with more than 256 ranges"), NULL;
        range[n][0] = range[n][1] = character(r);
        if (peek(r, 0) == '-' && peek(r, 1) != ']') {
            r->at++;
            range[n][1] = character(r);
        }
        if (range[n][0] > range[n][1] || range[n][1] > 0x10ffff)
            fail(r, LAR_EFORMAT, "a range that is none");
        n++;
    }
    r->at++;
    if (r->failed) return NULL;
    uint32_t x = n ? rx_ranges(r->rx, (const uint32_t(*)[2])range, n) : RX_EMPTY;
    return of_rx(r, not ? rx_diff(r->rx, RX_CHAR, x) : x);
}

/* Texts of x that hold no quoted text, which stands here. */
static uint32_t without(struct read *r, uint32_t x)
{
    struct buf b = {0};
    if (peek(r, 0) != '"') fail(r, LAR_EFORMAT, "a text is expected");
    if (!r->failed && quoted(r, &b) == 0) {
        uint32_t holds = rx_cat(r->rx, RX_ALL, rx_cat(r->rx, rx_text(r->rx, buf_view(&b)), RX_ALL));
        x = rx_diff(r->rx, x, holds);
    }
    buf_done(&b);
    return x;
}

static uint32_t number(struct read *r);

/* @ and $ of gbnf.h. */
static struct ast *value(struct read *r)
{
    int text = peek(r, 0) == '$';
    struct buf b = {0};
    r->at++;
    uint32_t n = number(r);
    int key = peek(r, 0) == '.';
    if (key) {
        r->at++;
        if (peek(r, 0) != '"') fail(r, LAR_EFORMAT, "a key is expected");
        if (!r->failed) quoted(r, &b);
    }
    struct str k = buf_view(&b);
    int64_t v = r->failed ? -1 : r->values->value(r->values->ctx, n, key ? &k : NULL, text, r->err);
    buf_done(&b);
    if (v < 0) {
        if (!r->failed) r->failed = (int)v;
        return NULL;
    }
    if (text && peek(r, 0) == '!') {
        r->at++;
        v = without(r, (uint32_t)v);
    }
    if (text || v == 0) return of_rx(r, text ? (uint32_t)v : RX_EMPTY);
    struct ast *t = ast(r, AST_VALUE);
    if (t) t->rule = (uint32_t)v - 1;
    return t;
}

/* <name> */
static struct ast *control(struct read *r)
{
    size_t from = r->at++;
    struct buf b = {0};
    while (peek(r, 0) >= 0 && peek(r, 0) != '\n' && peek(r, 0) != '\v') r->at++;
    if (peek(r, 0) != '\v') fail(r, LAR_EFORMAT, "a token's name without its end");
    buf_putc(&b, (char)0xff);
    buf_add(&b, r->text.p + from + 1, r->at - from - 1);
    r->at++;
    struct ast *x = r->failed || b.failed ? NULL : of_rx(r, rx_text(r->rx, buf_view(&b)));
    buf_done(&b);
    return x;
}

/* /"expression" */
static struct ast *expression(struct read *r)
{
    struct buf b = {0};
    struct lar_err why = {0};
    int64_t x = 0;
    r->at++;
    if (peek(r, 0) != '"') fail(r, LAR_EFORMAT, "an expression is expected");
    if (!r->failed && quoted(r, &b) == 0 && (x = rx_parse(r->rx, buf_view(&b), 1, &why)) < 0) fail(r, (int)x, why.msg);
    buf_done(&b);
    return r->failed ? NULL : of_rx(r, (uint32_t)x);
}

static struct ast *more(struct read *r)
{
    int c = peek(r, 0);
    if (c == '/') return expression(r);
    if (c == '~') return r->at++, of_rx(r, without(r, RX_ALL));
    return c == '\v' ? control(r) : value(r);
}

static uint32_t rule_of(struct read *r, struct str name)
{
    unsigned h = 0;
    for (size_t i = 0; i < name.n; i++) h = h * 31 + (unsigned char)name.p[i];
    h &= 255;
    for (uint32_t i = r->head[h]; i; i = r->rule[i - 1].hash_next)
        if (str_eq(r->rule[i - 1].name, name)) return i - 1;
    if (r->nrule == RULES_MAX) return (void)fail(r, LAR_ELIMIT, "more than 20,000 rules"), 0;
    r->rule[r->nrule] = (struct rule){.name = name, .line = r->line, .hash_next = r->head[h]};
    r->head[h] = ++r->nrule;
    return r->nrule - 1;
}

static struct ast *alternatives(struct read *r, int nested);

static struct ast *primary(struct read *r, int nested)
{
    int c = peek(r, 0);
    struct ast *t;
    if (c == '"') return literal(r);
    if (c == '[') return class(r);
    if (c == '.') return r->at++, of_rx(r, RX_CHAR);
    if (c == '(') {
        r->at++;
        skip(r, 1);
        t = alternatives(r, 1);
        skip(r, 1);
        if (peek(r, 0) != ')') fail(r, LAR_EFORMAT, "a parenthesis is not closed");
        r->at++;
        skip(r, nested);
        return t;
    }
    if (r->values && (c == '@' || c == '$' || c == '~' || c == '/' || c == '\v'))
        return more(r);
    if (c == '<' || c == '!')
        return (void)fail(r, LAR_EUNSUPPORTED,
                          "tokens by name or number are not supported: use texts"),
               NULL;
    if (!is_word(c))
        return (void)fail(r, LAR_EFORMAT, "a text, a class, a rule or a parenthesis is expected"),
               NULL;
    if ((t = ast(r, AST_REF))) t->rule = rule_of(r, word(r));
    return t;
}

static uint32_t number(struct read *r)
{
    uint32_t v = 0;
    if (peek(r, 0) < '0' || peek(r, 0) > '9') fail(r, LAR_EFORMAT, "a number is expected");
    for (; peek(r, 0) >= '0' && peek(r, 0) <= '9'; r->at++)
        if ((v = v * 10 + (uint32_t)(peek(r, 0) - '0')) > 1000000)
            return (void)fail(r, LAR_ELIMIT, "more than a million times"), 0;
    return v;
}

static struct ast *repeat(struct read *r, struct ast *t, uint32_t lo, uint32_t hi)
{
    struct ast *x;
    if (!t) return NULL;
    if (lo > hi) fail(r, LAR_EFORMAT, "a repetition with more at least than at most");
    if (t->kind == AST_RX) return of_rx(r, rx_rep(r->rx, t->rx, lo, hi));
    if (!(x = ast(r, AST_REP))) return NULL;
    x->child = t;
    x->lo = lo;
    x->hi = hi;
    return x;
}

static struct ast *postfix(struct read *r, int nested)
{
    struct ast *t = primary(r, nested);
    for (; !r->failed; skip(r, nested)) {
        skip(r, nested);
        int c = peek(r, 0);
        if (c != '*' && c != '+' && c != '?' && c != '{') break;
        r->at++;
        uint32_t lo = c == '+', hi = c == '?' ? 1 : RX_INF;
        if (c == '{') {
            skip(r, nested);
            lo = hi = number(r);
            skip(r, nested);
            if (peek(r, 0) == ',') {
                r->at++;
                skip(r, nested);
                hi = peek(r, 0) == '}' ? RX_INF : number(r);
                skip(r, nested);
            }
            if (peek(r, 0) != '}') fail(r, LAR_EFORMAT, "a } is missing");
            r->at++;
        }
        t = repeat(r, t, lo, hi);
    }
    return r->failed ? NULL : t;
}

/* Two behind one another, or as alternatives; expressions are joined. The list of the first is written to. */
static struct ast *join(struct read *r, enum ast_kind kind, struct ast *list, struct ast *t)
{
    if (!list || !t) return t ? t : list;
    if (list->kind == AST_RX && t->kind == AST_RX) {
        list->rx =
            kind == AST_SEQ ? rx_cat(r->rx, list->rx, t->rx) : rx_alt(r->rx, list->rx, t->rx);
        return list;
    }
    struct ast *x = ast(r, kind);
    if (!x) return NULL;
    x->child = list;
    list->next = t;
    t->next = NULL;
    return x;
}

static struct ast *sequence(struct read *r, int nested)
{
    struct ast *t = of_rx(r, RX_EPS), *x;
    while (!r->failed) {
        skip(r, nested);
        int c = peek(r, 0);
        if (c < 0 || c == '|' || c == ')' || c == '\n') break;
        if (!(x = postfix(r, nested))) break;
        t = t && t->kind == AST_RX && t->rx == RX_EPS ? x : join(r, AST_SEQ, t, x);
    }
    return t;
}

static struct ast *alternatives(struct read *r, int nested)
{
    if (++r->depth > DEPTH_MAX)
        return (void)fail(r, LAR_ELIMIT, "parentheses in one another too deep"), NULL;
    struct ast *t = sequence(r, nested);
    while (!r->failed && peek(r, 0) == '|') {
        r->at++;
        skip(r, 1);
        t = join(r, AST_ALT, t, sequence(r, nested));
    }
    r->depth--;
    return t;
}

static int rules(struct read *r)
{
    for (skip(r, 1); r->at < r->text.n && !r->failed; skip(r, 1)) {
        struct str name = word(r);
        skip(r, 0);
        if (!name.n || peek(r, 0) != ':' || peek(r, 1) != ':' || peek(r, 2) != '=')
            return fail(r, LAR_EFORMAT, "a rule's name and ::= are expected");
        r->at += 3;
        uint32_t i = rule_of(r, name);
        if (r->failed) break;
        if (r->rule[i].body) return fail(r, LAR_EFORMAT, "a rule of this name is there already");
        r->rule[i].line = r->line;
        skip(r, 1);
        struct ast *body = alternatives(r, 0);
        r->rule[i].body = body;
        if (!r->failed && peek(r, 0) >= 0 && peek(r, 0) != '\n')
            return fail(r, LAR_EFORMAT, "what stands here belongs to no rule");
    }
    return r->failed;
}

/* ---- rules that are one expression ---- */

static int fold_rule(struct read *r, uint32_t i);

/* 1 when t is an expression now. */
static int fold(struct read *r, struct ast *t)
{
    int all = 1;
    if (!t || r->failed) return 0;
    if (t->kind == AST_RX) return 1;
    if (t->kind == AST_VALUE) return 0;
    if (++r->depth > 4 * DEPTH_MAX)
        return fail(r, LAR_ELIMIT, "its rules call one another too deep"), 0;
    if (t->kind == AST_REF) {
        if ((all = fold_rule(r, t->rule)) != 0) t->rx = r->rule[t->rule].body->rx;
    } else {
        uint32_t x = 0;
        for (struct ast *c = t->child; c; c = c->next) {
            if (!fold(r, c))
                all = 0;
            else if (all)
                x = c == t->child        ? c->rx
                    : t->kind == AST_SEQ ? rx_cat(r->rx, x, c->rx)
                                         : rx_alt(r->rx, x, c->rx);
        }
        if (all) t->rx = t->kind == AST_REP ? rx_rep(r->rx, x, t->lo, t->hi) : x;
    }
    r->depth--;
    if (all) t->kind = AST_RX;
    return all;
}

static int fold_rule(struct read *r, uint32_t i)
{
    struct rule *u = &r->rule[i];
    r->line = u->line;
    if (!u->body)
        return lar_fail(r->err, LAR_EFORMAT, "the grammar, line %zu: there is no rule %.*s",
                        u->line, STR_ARG(u->name)),
               r->failed = LAR_EFORMAT, 0;
    if (u->fold == FOLD_NOW) return 0; /* it calls itself */
    if (u->fold == FOLD_NEW) {
        u->fold = FOLD_NOW;
        u->fold = fold(r, u->body) ? FOLD_RX : FOLD_RULE;
    }
    return u->fold == FOLD_RX;
}

/* ---- nodes ---- */

static uint32_t node(struct read *r, struct gbnf_node n)
{
    if (r->out->nnode == r->cap) {
        uint32_t cap = r->cap ? r->cap * 2 : 256;
        struct gbnf_node *v = cap > NODES_MAX ? NULL : arena_array(r->a, cap, sizeof *v);
        if (!v) return (void)fail(r, LAR_ELIMIT, "it is too large"), 0;
        if (r->cap) memcpy(v, r->out->node, r->cap * sizeof *v);
        r->out->node = v;
        r->cap = cap;
    }
    r->out->node[r->out->nnode] = n;
    return r->out->nnode++;
}

static uint32_t either(struct read *r, uint32_t a, uint32_t b)
{
    if (r->nway + 2 > r->cap_way) {
        uint32_t cap = r->cap_way ? r->cap_way * 2 : 256, *v = arena_array(r->a, cap, sizeof *v);
        if (!v) return (void)fail(r, LAR_ELIMIT, "it is too large"), 0;
        if (r->nway) memcpy(v, r->out->way, r->nway * sizeof *v);
        r->out->way = v;
        r->cap_way = cap;
    }
    r->out->way[r->nway] = a;
    r->out->way[r->nway + 1] = b;
    r->nway += 2;
    return node(r, (struct gbnf_node){.kind = GBNF_ALT, .a = r->nway - 2, .n = 2});
}

static uint32_t emit(struct read *r, const struct ast *t, uint32_t next);

static uint32_t emit_repeat(struct read *r, const struct ast *t, uint32_t next)
{
    if (t->lo > REPEAT_MAX || (t->hi != RX_INF && t->hi > REPEAT_MAX))
        return (void)fail(r, LAR_ELIMIT, "a rule that calls itself more than 2,000 times in a row"),
               0;
    uint32_t at = next;
    if (t->hi == RX_INF) {
        at = either(r, 0, next);
        uint32_t body = r->failed ? 0 : emit(r, t->child, at);
        if (!r->failed) r->out->way[r->out->node[at].a] = body;
    }
    for (uint32_t i = t->lo; t->hi != RX_INF && i < t->hi && !r->failed; i++)
        at = either(r, emit(r, t->child, at), next);
    for (uint32_t i = 0; i < t->lo && !r->failed; i++) at = emit(r, t->child, at);
    return at;
}

static uint32_t emit(struct read *r, const struct ast *t, uint32_t next)
{
    uint32_t x = next;
    if (r->failed || ++r->depth > 4 * DEPTH_MAX)
        return (void)fail(r, LAR_ELIMIT, "its parts lie in one another too deep"), 0;
    switch (t->kind) {
    case AST_RX:
        if (t->rx == RX_EPS) break;
        if (rx_nullable(r->rx, t->rx))
            x = either(r,
                       node(r, (struct gbnf_node){.kind = GBNF_TERM,
                                                  .a = rx_diff(r->rx, t->rx, RX_EPS),
                                                  .next = next}),
                       next);
        else
            x = node(r, (struct gbnf_node){.kind = GBNF_TERM, .a = t->rx, .next = next});
        break;
    case AST_SEQ: x = emit(r, t->child, emit(r, t->child->next, next)); break;
    case AST_ALT:
        x = emit(r, t->child, next), x = either(r, x, emit(r, t->child->next, next));
        break;
    case AST_REF:
        x = node(r, (struct gbnf_node){.kind = GBNF_CALL, .a = t->rule, .next = next});
        break;
    case AST_VALUE: x = node(r, (struct gbnf_node){.kind = GBNF_VALUE, .a = t->rule, .next = next}); break;
    case AST_REP: x = emit_repeat(r, t, next); break;
    }
    r->depth--;
    return x;
}

/* What may be empty and what is dead, as fixed points; then calls that lead nowhere are dead too. */
static void settle(struct gbnf *g)
{
    struct gbnf_node *v = g->node;
    for (uint32_t i = 1; i < g->nnode; i++) v[i].dead = 1;
    v[0].empty = 1;
    for (int again = 1; again;) {
        again = 0;
        for (uint32_t i = 1; i < g->nnode; i++) {
            int empty = 0, dead = 1;
            if (v[i].kind == GBNF_ALT) {
                for (uint32_t k = 0; k < v[i].n; k++)
                    empty |= v[g->way[v[i].a + k]].empty, dead &= v[g->way[v[i].a + k]].dead;
            } else {
                int call = v[i].kind == GBNF_CALL;
                dead = v[v[i].next].dead || (call ? v[v[i].a].dead : v[i].kind == GBNF_TERM && v[i].a == RX_EMPTY);
                empty = call && v[v[i].a].empty && v[v[i].next].empty;
            }
            again |= empty != v[i].empty || dead != v[i].dead;
            v[i].empty = (uint8_t)empty;
            v[i].dead = (uint8_t)dead;
        }
    }
}

/* Does a call that may come first from node n on lead to a rule that is just beginning? mark: 1 being looked at, 2 done. */
static int left_recursive(struct read *r, uint8_t *mark, uint32_t n)
{
    const struct gbnf_node *d = &r->out->node[n];
    int bad = 0;
    if (mark[n]) return 0;
    if (++r->depth > 4 * DEPTH_MAX)
        return fail(r, LAR_ELIMIT, "its rules call one another too deep"), 0;
    mark[n] = 1;
    if (d->kind == GBNF_CALL) {
        bad = mark[d->a] == 1 || left_recursive(r, mark, d->a);
        if (!bad && r->out->node[d->a].empty) bad = left_recursive(r, mark, d->next);
    }
    for (uint32_t k = 0; d->kind == GBNF_ALT && k < d->n && !bad; k++)
        bad = left_recursive(r, mark, r->out->way[d->a + k]);
    mark[n] = 2;
    r->depth--;
    return bad;
}

static int make(struct read *r)
{
    uint32_t root = rule_of(r, STR("root"));
    if (r->failed) return r->failed;
    if (!r->rule[root].body) return fail(r, LAR_EFORMAT, "there is no rule root");
    for (uint32_t i = 0; i < r->nrule && !r->failed; i++) fold_rule(r, i);
    node(r, (struct gbnf_node){.kind = GBNF_END});
    for (uint32_t i = 0; i < r->nrule && !r->failed; i++) {
        r->line = r->rule[i].line;
        r->depth = 0;
        if (i == root || r->rule[i].fold == FOLD_RULE)
            r->rule[i].start = emit(r, r->rule[i].body, 0);
    }
    for (uint32_t i = 1; i < r->out->nnode && !r->failed; i++)
        if (r->out->node[i].kind == GBNF_CALL) r->out->node[i].a = r->rule[r->out->node[i].a].start;
    uint8_t *mark = r->failed ? NULL : arena_alloc(r->a, r->out->nnode);
    if (!mark) return r->failed ? r->failed : fail(r, LAR_ENOMEM, "out of memory");
    settle(r->out);
    r->out->start = r->rule[root].start;
    for (uint32_t i = 0; i < r->nrule && !r->failed; i++) {
        r->depth = 0;
        r->line = r->rule[i].line;
        if (r->rule[i].fold == FOLD_RULE && left_recursive(r, mark, r->rule[i].start))
            return fail(r, LAR_EUNSUPPORTED,
                        "a rule begins with itself (left recursion): write it with repetition");
    }
    return r->failed;
}

int gbnf_read(struct gbnf *out, struct str text, struct rx *rx, struct arena *a,
              struct lar_err *err)
{
    return gbnf_read_with(out, text, NULL, rx, a, err);
}

int gbnf_read_with(struct gbnf *out, struct str text, const struct gbnf_values *values, struct rx *rx,
                   struct arena *a, struct lar_err *err)
{
    struct read r = {.text = text, .line = 1, .rx = rx, .a = a, .err = err, .values = values, .out = out};
    *out = (struct gbnf){0};
    if (!(r.rule = mem_zalloc(RULES_MAX * sizeof *r.rule)))
        return lar_fail(err, LAR_ENOMEM, "out of memory");
    int rc = rules(&r);
    if (rc == 0) rc = make(&r);
    if (rc == 0 && rx_failed(rx))
        rc = lar_fail(err, rx_failed(rx), "the grammar needs more memory than its limit");
    mem_free(r.rule);
    return rc;
}
