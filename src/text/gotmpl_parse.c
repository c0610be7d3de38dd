/* SPDX-License-Identifier: Apache-2.0
 *
 * text/gotmpl_parse.c: the text of a Go template into its tree (the grammar is that of Go's text/template/parse).
 *
 * Everything lives in the template's arena. Nesting is bounded (GO_DEPTH), and so is the size of the source.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "base/num.h"
#include "base/utf8.h"
#include "text/gotmpl_impl.h"

struct parser {
    struct gotmpl *t;
    struct lar_err *err;
    const char *s;
    size_t n, at;
    int depth;
    int in_range;
    struct str var[GO_VARS]; /* variables that are known here */
    size_t nvar;
};

int gotmpl_fail_at(const struct gotmpl *t, uint32_t at, struct lar_err *err, int code,
                   const char *fmt, ...)
{
    char text[200];
    unsigned line = 1, column = 1;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    for (size_t i = 0; i < at && i < t->source.n; i++) {
        column += ((unsigned char)t->source.p[i] & 0xc0) != 0x80;
        if (t->source.p[i] == '\n') line++, column = 1;
    }
    return lar_fail(err, code, "template line %u, column %u: %s", line, column, text);
}

#define FAIL(p, ...) gotmpl_fail_at((p)->t, (uint32_t)(p)->at, (p)->err, LAR_EFORMAT, __VA_ARGS__)

static void *make(struct parser *p, size_t n)
{
    void *m = arena_alloc(&p->t->a, n);
    if (!m) lar_fail(p->err, LAR_ENOMEM, "template: out of memory");
    return m;
}

/* ---- inside of an action ------------------------------------------------------------------------------------------------ */

static int is_space(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

static int is_name(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           (unsigned char)c >= 0x80;
}

static void spaces(struct parser *p)
{
    while (p->at < p->n && is_space(p->s[p->at])) p->at++;
}

static char peek(const struct parser *p) { return p->at < p->n ? p->s[p->at] : 0; }

static int starts(const struct parser *p, const char *z)
{
    return str_starts((struct str){p->s + p->at, p->n - p->at}, str_of(z));
}

static struct str name(struct parser *p)
{
    size_t from = p->at;
    while (p->at < p->n && is_name(p->s[p->at])) p->at++;
    return (struct str){p->s + from, p->at - from};
}

/* The end of the action: "}}", or white space and "-}}". */
static int at_close(const struct parser *p)
{
    return starts(p, "}}") || (p->at > 0 && is_space(p->s[p->at - 1]) && starts(p, "-}}"));
}

static int close_action(struct parser *p)
{
    spaces(p);
    if (!at_close(p)) {
        if (p->at >= p->n) return FAIL(p, "unclosed action");
        return FAIL(p, "unexpected \"%.*s\" in an action",
                    (int)(p->n - p->at > 12 ? 12 : p->n - p->at), p->s + p->at);
    }
    int trim = peek(p) == '-';
    p->at += trim ? 3 : 2;
    if (trim) spaces(p);
    return 0;
}

static int octal_or_hex(struct parser *p, int base, size_t digits, uint32_t *cp)
{
    *cp = 0;
    for (size_t i = 0; i < digits; i++, p->at++) {
        char c = peek(p), l = (char)(c | 32);
        int d = c >= '0' && c <= '9' ? c - '0' : l >= 'a' && l <= 'f' ? l - 'a' + 10 : 99;
        if (d >= base) return FAIL(p, "an escape lacks digits");
        *cp = *cp * (uint32_t)base + (uint32_t)d;
    }
    return 0;
}

/* One character behind a backslash, as Go writes strings. */
static int escape(struct parser *p, struct buf *b)
{
    static const char from[] = "abfnrtv\\'\"", to[] = "\a\b\f\n\r\t\v\\'\"";
    char c = peek(p), utf8[4];
    const char *k = c ? strchr(from, c) : NULL;
    uint32_t cp = 0;
    if (k) return p->at++, buf_putc(b, to[k - from]), 0;
    int rc;
    if (c >= '0' && c <= '7') {
        rc = octal_or_hex(p, 8, 3, &cp);
        return rc < 0 ? rc : (buf_putc(b, (char)cp), 0);
    }
    if (c != 'x' && c != 'u' && c != 'U')
        return FAIL(p, "unknown escape \\%c", c >= ' ' && c < 127 ? c : '?');
    p->at++;
    if ((rc = octal_or_hex(p, 16, c == 'x' ? 2 : c == 'u' ? 4 : 8, &cp)) < 0) return rc;
    if (c == 'x')
        buf_putc(b, (char)cp);
    else
        buf_add(b, utf8, utf8_encode(cp, utf8));
    return 0;
}

/* "..." or '...'; the opening mark is at p->at. */
static int quoted(struct parser *p, struct str *out)
{
    struct buf b = {0};
    char mark = p->s[p->at++];
    int rc = 0;
    while (rc == 0 && p->at < p->n && p->s[p->at] != mark && p->s[p->at] != '\n') {
        char c = p->s[p->at++];
        if (c == '\\')
            rc = escape(p, &b);
        else
            buf_putc(&b, c);
    }
    if (rc == 0 && peek(p) != mark) rc = FAIL(p, "unterminated quoted string");
    p->at++;
    *out = (struct str){rc == 0 ? arena_copy(&p->t->a, buf_z(&b), b.n) : NULL, b.n};
    if (rc == 0 && (b.failed || !out->p))
        rc = lar_fail(p->err, LAR_ENOMEM, "template: out of memory");
    buf_done(&b);
    return rc;
}

static int raw(struct parser *p, struct str *out)
{
    const char *end = memchr(p->s + p->at + 1, '`', p->n - p->at - 1);
    if (!end) return FAIL(p, "unterminated raw quoted string");
    *out = (struct str){p->s + p->at + 1, (size_t)(end - p->s) - p->at - 1};
    p->at = (size_t)(end - p->s) + 1;
    return 0;
}

static int character(struct parser *p, struct go_val *v)
{
    struct str s;
    uint32_t cp = 0;
    int rc = quoted(p, &s);
    if (rc < 0) return rc;
    if (!s.n || utf8_decode(s.p, s.n, &cp) != s.n)
        return FAIL(p, "a character constant holds one character");
    *v = go_int(cp);
    return 0;
}

static int number(struct parser *p, struct go_val *v)
{
    char text[64], *end;
    size_t n = 0;
    while (n + 1 < sizeof text &&
           (is_name(peek(p)) || peek(p) == '.' ||
            ((peek(p) == '-' || peek(p) == '+') && (!n || (text[n - 1] | 32) == 'e'))))
        if (p->s[p->at++] != '_' || !n) text[n++] = p->s[p->at - 1];
    text[n] = 0;
    errno = 0;
    *v = go_int(strtoll(text, &end, 0));
    if (n && !*end && !errno) return 0;
    *v = (struct go_val){.kind = GO_FLOAT, .f = num_parse(text, &end)};
    return n && !*end ? 0 : FAIL(p, "bad number syntax \"%.20s\"", text);
}

static int parse_pipe(struct parser *p, struct go_pipe **out);

/* .Field.Field behind an operand. */
static int fields(struct parser *p, struct go_arg *a)
{
    struct str list[GO_DEPTH];
    while (peek(p) == '.' && a->nfield < GO_DEPTH) {
        p->at++;
        struct str s = name(p);
        if (!s.n) return FAIL(p, "a field's name is missing");
        list[a->nfield++] = s;
        if (s.n == 8 && !strncasecmp(s.p, "messages", 8)) p->t->messages = 1;
        if (s.n == 8 && !strncasecmp(s.p, "response", 8)) p->t->response = 1;
    }
    if (a->nfield == GO_DEPTH) return FAIL(p, "too many fields in one chain");
    a->field = a->nfield ? make(p, a->nfield * sizeof *a->field) : NULL;
    if (a->nfield && !a->field) return LAR_ENOMEM;
    memcpy(a->field ? a->field : list, list, a->nfield * sizeof *list);
    return 0;
}

static int known_var(const struct parser *p, struct str s)
{
    if (str_is(s, "$")) return 1;
    for (size_t i = 0; i < p->nvar; i++)
        if (str_eq(p->var[i], s)) return 1;
    return 0;
}

static int word(struct parser *p, struct go_arg *a)
{
    a->name = name(p);
    a->kind = ARG_CONST;
    if (str_is(a->name, "true") || str_is(a->name, "false"))
        a->value = go_bool(a->name.p[0] == 't');
    else if (str_is(a->name, "nil"))
        a->value = go_nil();
    else if (go_func_known(a->name))
        a->kind = ARG_FUNC;
    else
        return FAIL(p, "function \"%.*s\" not defined", STR_ARG(a->name));
    return 0;
}

static int operand(struct parser *p, struct go_arg *a)
{
    char c = peek(p);
    int rc = 0;
    a->at = (uint32_t)p->at;
    if (c == '"') {
        a->kind = ARG_CONST;
        a->value.kind = GO_STR;
        rc = quoted(p, &a->value.s);
    } else if (c == '`') {
        a->kind = ARG_CONST;
        a->value.kind = GO_STR;
        rc = raw(p, &a->value.s);
    } else if (c == '\'') {
        a->kind = ARG_CONST;
        rc = character(p, &a->value);
    } else if ((c >= '0' && c <= '9') || c == '-' || c == '+') {
        a->kind = ARG_CONST;
        rc = number(p, &a->value);
    } else if (c == '$') {
        p->at++;
        struct str rest = name(p);
        a->kind = ARG_VAR;
        a->name = (struct str){rest.p - 1, rest.n + 1};
        if (!known_var(p, a->name)) rc = FAIL(p, "undefined variable \"%.*s\"", STR_ARG(a->name));
    } else if (c == '(') {
        p->at++;
        a->kind = ARG_PIPE;
        if (++p->depth > GO_DEPTH)
            return gotmpl_fail_at(p->t, a->at, p->err, LAR_ELIMIT, "nested more than %d deep",
                                  GO_DEPTH);
        rc = parse_pipe(p, &a->pipe);
        p->depth--;
        spaces(p);
        if (rc == 0 && peek(p) != ')') rc = FAIL(p, "unclosed left parenthesis");
        p->at++;
    } else if (c == '.') {
        a->kind = ARG_DOT;
        if (p->at + 1 < p->n && is_name(p->s[p->at + 1]))
            (void)0; /* .Field */
        else
            p->at++;
    } else if (is_name(c)) {
        rc = word(p, a);
    } else {
        rc = p->at >= p->n ? FAIL(p, "unclosed action")
                           : FAIL(p, "unexpected \"%c\" in operand", c >= ' ' && c < 127 ? c : '?');
    }
    if (rc == 0) rc = fields(p, a);
    if (rc == 0 && a->nfield && a->kind == ARG_CONST && a->value.kind == GO_NIL)
        rc = FAIL(p, "nil has no fields");
    return rc;
}

static int parse_command(struct parser *p, struct go_cmd **out)
{
    struct go_cmd *c = make(p, sizeof *c);
    struct go_arg **tail = c ? &c->arg : NULL;
    if (!c) return LAR_ENOMEM;
    for (;;) {
        spaces(p);
        if (at_close(p) || peek(p) == '|' || peek(p) == ')') break;
        struct go_arg *a = make(p, sizeof *a);
        if (!a) return LAR_ENOMEM;
        int rc = operand(p, a);
        if (rc < 0) return rc;
        if (!is_space(peek(p)) && !at_close(p) && peek(p) != '|' && peek(p) != ')')
            return p->at >= p->n ? FAIL(p, "unclosed action")
                                 : FAIL(p, "unexpected \"%c\" behind an operand",
                                        peek(p) >= ' ' ? peek(p) : '?');
        *tail = a;
        tail = &a->next;
    }
    if (!c->arg) return FAIL(p, "a command is missing");
    if (c->arg->next && c->arg->kind != ARG_FUNC)
        return gotmpl_fail_at(p->t, c->arg->at, p->err, LAR_EFORMAT,
                              "can't give argument to what is no function");
    *out = c;
    return 0;
}

/* $x :=, $x =, $i, $x := before a pipeline; p->at stays where it was when there is none. */
static int declarations(struct parser *p, struct go_pipe *l, int range)
{
    size_t from = p->at;
    int n = 0;
    for (; n < 2 && peek(p) == '$'; n++) {
        p->at++;
        struct str rest = name(p);
        l->var[n] = (struct str){rest.p - 1, rest.n + 1};
        spaces(p);
        if (!range || n || peek(p) != ',') {
            n++;
            break;
        }
        p->at++;
        spaces(p);
    }
    l->assign = peek(p) == '=';
    if (n && (l->assign || starts(p, ":="))) {
        for (int i = 0; i < n && l->assign; i++)
            if (!known_var(p, l->var[i]))
                return FAIL(p, "undefined variable \"%.*s\"", STR_ARG(l->var[i]));
        p->at += l->assign ? 1 : 2;
        return 0;
    }
    l->var[0] = l->var[1] = STR("");
    l->assign = 0;
    p->at = from;
    return 0;
}

static int parse_pipe_with(struct parser *p, struct go_pipe **out, int declare, int range)
{
    struct go_pipe *l = make(p, sizeof *l);
    if (!l) return LAR_ENOMEM;
    struct go_cmd **tail = &l->cmd;
    spaces(p);
    l->at = (uint32_t)p->at;
    int rc = declare ? declarations(p, l, range) : 0;
    while (rc == 0) {
        if ((rc = parse_command(p, tail)) < 0) break;
        if (tail != &l->cmd && (*tail)->arg->kind != ARG_FUNC)
            return gotmpl_fail_at(p->t, (*tail)->arg->at, p->err, LAR_EFORMAT,
                                  "what stands behind | must be a function");
        tail = &(*tail)->next;
        if (peek(p) != '|') break;
        p->at++;
    }
    for (int i = 0; i < 2 && rc == 0 && !l->assign && l->var[i].n; i++) {
        if (p->nvar == GO_VARS)
            return gotmpl_fail_at(p->t, l->at, p->err, LAR_ELIMIT, "more than %d variables",
                                  GO_VARS);
        p->var[p->nvar++] = l->var[i];
    }
    *out = l;
    return rc;
}

static int parse_pipe(struct parser *p, struct go_pipe **out)
{
    return parse_pipe_with(p, out, 0, 0);
}

/* ---- text and actions ----------------------------------------------------------------------------------------------------- */

enum ending { END_SOURCE, END_END, END_ELSE };

static int parse_list(struct parser *p, struct go_node **out, enum ending *end);

static int keyword(struct parser *p, const char *z)
{
    size_t n = strlen(z);
    if (!starts(p, z) || (p->at + n < p->n && is_name(p->s[p->at + n]))) return 0;
    p->at += n;
    return 1;
}

static int list_until_end(struct parser *p, struct go_node **out, const char *what)
{
    enum ending end;
    int rc = parse_list(p, out, &end);
    if (rc < 0) return rc;
    return end == END_END    ? 0
           : end == END_ELSE ? FAIL(p, "unexpected {{else}} in %s", what)
                             : FAIL(p, "%s has no {{end}}", what);
}

/* if, with, range: the keyword is read. */
static int parse_branch(struct parser *p, struct go_node *node)
{
    size_t vars = p->nvar;
    int in_range = p->in_range;
    enum ending end;
    int rc = parse_pipe_with(p, &node->pipe, 1, node->kind == NODE_RANGE);
    if (rc == 0) rc = close_action(p);
    if (rc < 0) return rc;
    if (node->kind == NODE_RANGE) p->in_range++;
    if ((rc = parse_list(p, &node->list, &end)) < 0) return rc;
    p->in_range = in_range;
    if (end == END_SOURCE)
        return gotmpl_fail_at(p->t, node->at, p->err, LAR_EFORMAT, "this action has no {{end}}");
    if (end == END_ELSE) {
        spaces(p);
        int is_if = node->kind == NODE_IF && keyword(p, "if"),
            is_with = node->kind == NODE_WITH && keyword(p, "with");
        if (is_if || is_with) {
            struct go_node *other = make(p, sizeof *other);
            if (!other) return LAR_ENOMEM;
            other->kind = node->kind;
            other->at = (uint32_t)p->at;
            node->other = other;
            rc = parse_branch(
                p, other); /* reads the one end of both; close_action is done by the innermost */
            p->nvar = vars;
            return rc;
        }
        if ((rc = close_action(p)) < 0) return rc;
        if ((rc = list_until_end(p, &node->other, "{{else}}")) < 0) return rc;
    }
    p->nvar = vars;
    return close_action(p);
}

static int quoted_name(struct parser *p, struct str *out)
{
    spaces(p);
    if (peek(p) == '"') return quoted(p, out);
    return peek(p) == '`' ? raw(p, out) : FAIL(p, "the name of a template is missing");
}

static int add_define(struct parser *p, struct str name_, struct go_node *list)
{
    struct go_define *d = make(p, sizeof *d);
    if (!d) return LAR_ENOMEM;
    *d = (struct go_define){name_, list, p->t->define};
    p->t->define = d;
    return 0;
}

/* define and block: the keyword is read. A block is defined and used at once. */
static int parse_define(struct parser *p, struct go_node *node, int block)
{
    struct str name_;
    struct go_node *list;
    size_t vars = p->nvar;
    int in_range = p->in_range, rc = quoted_name(p, &name_);
    if (rc == 0 && block) rc = parse_pipe(p, &node->pipe);
    if (rc == 0) rc = close_action(p);
    p->in_range = 0;
    p->nvar = 0; /* its variables are its own */
    if (rc == 0) rc = list_until_end(p, &list, block ? "{{block}}" : "{{define}}");
    p->nvar = vars;
    p->in_range = in_range;
    if (rc == 0) rc = close_action(p);
    if (rc == 0) rc = add_define(p, name_, list);
    node->kind = block ? NODE_TEMPLATE : NODE_TEXT; /* a definition itself writes nothing */
    node->text = block ? name_ : STR("");
    return rc;
}

static int parse_template(struct parser *p, struct go_node *node)
{
    int rc = quoted_name(p, &node->text);
    node->kind = NODE_TEMPLATE;
    spaces(p);
    if (rc == 0 && at_close(p))
        return FAIL(p, "undefined template specified: Ollama wants {{template \"name\" pipeline}}");
    if (rc == 0) rc = parse_pipe(p, &node->pipe);
    return rc < 0 ? rc : close_action(p);
}

/* Notes the first action that writes .Response: when an answer is still to come, nothing behind it is written. */
static void note_response(struct parser *p, const struct go_node *node)
{
    for (const struct go_cmd *c = node->pipe->cmd; c && p->t->cut == UINT32_MAX; c = c->next)
        for (const struct go_arg *a = c->arg; a; a = a->next)
            for (size_t i = 0; a->kind == ARG_DOT && i < a->nfield; i++)
                if (str_is(a->field[i], "Response")) p->t->cut = node->at;
}

/* What stands in {{ }}; p->at is behind the mark and its trimming. Gives END_SOURCE for what is no end of a list. */
static int parse_action(struct parser *p, struct go_node *node, enum ending *end)
{
    int rc;
    *end = END_SOURCE;
    spaces(p);
    if (keyword(p, "end")) return *end = END_END, 0; /* the caller closes */
    if (keyword(p, "else")) return *end = END_ELSE, 0;
    if (keyword(p, "if")) return node->kind = NODE_IF, parse_branch(p, node);
    if (keyword(p, "with")) return node->kind = NODE_WITH, parse_branch(p, node);
    if (keyword(p, "range")) return node->kind = NODE_RANGE, parse_branch(p, node);
    if (keyword(p, "define"))
        return p->depth > 1 ? FAIL(p, "unexpected {{define}} within another action")
                            : parse_define(p, node, 0);
    if (keyword(p, "block")) return parse_define(p, node, 1);
    if (keyword(p, "template")) return parse_template(p, node);
    int is_break = keyword(p, "break");
    if (is_break || keyword(p, "continue")) {
        node->kind = is_break ? NODE_BREAK : NODE_CONTINUE;
        return p->in_range ? close_action(p)
                           : FAIL(p, "{{%s}} outside {{range}}", is_break ? "break" : "continue");
    }
    node->kind = NODE_ACTION;
    if ((rc = parse_pipe_with(p, &node->pipe, 1, 0)) < 0) return rc;
    note_response(p, node);
    return close_action(p);
}

/* Behind "{{", "{{- " has trimmed already: skips a comment. 1: there was one. */
static int comment(struct parser *p)
{
    if (!starts(p, "/*")) return 0;
    for (size_t i = p->at + 2; i + 1 < p->n; i++) {
        if (p->s[i] != '*' || p->s[i + 1] != '/') continue;
        p->at = i + 2;
        int rc = close_action(p);
        return rc < 0 ? rc : 1;
    }
    return FAIL(p, "unclosed comment");
}

static int add_text(struct parser *p, struct go_node ***tail, size_t from, size_t to)
{
    if (from == to) return 0;
    struct go_node *n = make(p, sizeof *n);
    if (!n) return LAR_ENOMEM;
    *n =
        (struct go_node){.kind = NODE_TEXT, .at = (uint32_t)from, .text = {p->s + from, to - from}};
    **tail = n;
    *tail = &n->next;
    return 0;
}

static int parse_list(struct parser *p, struct go_node **out, enum ending *end)
{
    struct go_node **tail = out;
    int rc = 0;
    *out = NULL;
    *end = END_SOURCE;
    if (++p->depth > GO_DEPTH)
        return gotmpl_fail_at(p->t, (uint32_t)p->at, p->err, LAR_ELIMIT, "nested more than %d deep",
                              GO_DEPTH);
    while (rc == 0 && *end == END_SOURCE) {
        size_t from = p->at, to = p->at;
        while (to < p->n && !(p->s[to] == '{' && to + 1 < p->n && p->s[to + 1] == '{')) to++;
        if (to >= p->n) {
            rc = add_text(p, &tail, from, p->at = p->n);
            break;
        }
        p->at = to + 2;
        int trim = starts(p, "-") && p->at + 1 < p->n && is_space(p->s[p->at + 1]);
        size_t stop = to;
        while (trim && stop > from && is_space(p->s[stop - 1])) stop--;
        if ((rc = add_text(p, &tail, from, stop)) < 0) break;
        if (trim) p->at += 1, spaces(p);
        if ((rc = comment(p)) != 0) {
            if (rc > 0) rc = 0;
            continue;
        }
        struct go_node *n = make(p, sizeof *n);
        if (!n) return LAR_ENOMEM;
        n->at = (uint32_t)to;
        if ((rc = parse_action(p, n, end)) < 0 || *end != END_SOURCE) break;
        *tail = n;
        tail = &n->next;
    }
    p->depth--;
    return rc;
}

int gotmpl_parse(struct gotmpl *t, struct lar_err *err)
{
    struct parser *p = mem_zalloc(sizeof *p);
    enum ending end = END_SOURCE;
    if (!p) return lar_fail(err, LAR_ENOMEM, "template: out of memory");
    *p = (struct parser){.t = t, .err = err, .s = t->source.p, .n = t->source.n};
    t->cut = UINT32_MAX;
    int rc = parse_list(p, &t->root, &end);
    if (rc == 0 && end != END_SOURCE)
        rc = FAIL(p, "unexpected {{%s}}", end == END_END ? "end" : "else");
    mem_free(p);
    return rc;
}
