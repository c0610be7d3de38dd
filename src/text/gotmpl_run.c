/* SPDX-License-Identifier: Apache-2.0
 *
 * text/gotmpl_run.c: a Go template's tree on a value (the rules are those of Go's text/template/exec.go).
 *
 * Everything that an execution makes lives in its arena. Steps count nodes, operands and bytes; depth counts templates that call templates. A name that a
 * map does not have is nil ("missingkey=zero"), a field that a struct does not have is an error.
 */
#include <stdarg.h>
#include <stdio.h>

#include "text/gotmpl_impl.h"

int go_fail(struct go_run *r, int code, const char *fmt, ...)
{
    char text[200];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return gotmpl_fail_at(r->t, r->at, r->err, code, "%s", text);
}

int go_step(struct go_run *r, uint64_t n)
{
    if (r->steps < n) return go_fail(r, LAR_ELIMIT, "the template takes too many steps");
    r->steps -= n;
    return 0;
}

int go_give(struct go_run *r, struct buf *b, struct go_val *out)
{
    char *p = b->failed ? NULL : arena_copy(&r->a, buf_z(b), b->n);
    *out = go_str((struct str){p, b->n});
    buf_done(b);
    return p ? 0 : go_fail(r, LAR_ELIMIT, "the template takes too much memory");
}

/* ---- operands ---------------------------------------------------------------------------------------------------------- */

static struct go_val *find_var(struct go_run *r, struct str name)
{
    for (size_t i = r->nvar; i-- > 0;)
        if (str_eq(r->var[i].name, name)) return &r->var[i].v;
    return NULL;
}

static int push_var(struct go_run *r, struct str name, struct go_val v)
{
    if (r->nvar == GO_VARS)
        return go_fail(r, LAR_ELIMIT, "more than %d variables at once", GO_VARS);
    r->var[r->nvar].name = name;
    r->var[r->nvar++].v = v;
    return 0;
}

static int field(struct go_run *r, struct go_val *v, struct str name)
{
    struct go_val of = *v;
    *v = go_nil();
    if (of.kind == GO_NIL) return go_fail(r, LAR_EFORMAT, "nil has no field %.*s", STR_ARG(name));
    if (of.kind != GO_MAP && of.kind != GO_STRUCT)
        return go_fail(r, LAR_EFORMAT, "can't evaluate field %.*s of a %s", STR_ARG(name),
                       go_kind_name(of));
    for (size_t i = 0; i < of.n; i++)
        if (of.kind == GO_MAP ? str_eq(of.member[i].key, name) : go_name_is(of.member[i].key, name))
            return *v = of.member[i].v, 0;
    return of.kind == GO_MAP
               ? 0
               : go_fail(r, LAR_EFORMAT, "can't evaluate field %.*s: there is none of this name",
                         STR_ARG(name));
}

static int eval_pipe(struct go_run *r, const struct go_pipe *l, struct go_val dot,
                     struct go_val *out);

static int eval_arg(struct go_run *r, const struct go_arg *a, struct go_val dot, struct go_val *out)
{
    int rc = go_step(r, 1);
    *out = go_nil();
    if (rc < 0) return rc;
    r->at = a->at;
    switch (a->kind) {
    case ARG_DOT: *out = dot; break;
    case ARG_CONST: *out = a->value; break;
    case ARG_VAR: *out = *find_var(r, a->name); break; /* the parser knows them all */
    case ARG_PIPE: rc = eval_pipe(r, a->pipe, dot, out); break;
    case ARG_FUNC: rc = go_call(r, a->name, NULL, 0, out); break;
    }
    for (size_t i = 0; i < a->nfield && rc == 0; i++) {
        r->at = a->at;
        rc = field(r, out, a->field[i]);
    }
    return rc;
}

enum { ARGS_MAX = 64 };

/* and, or: stop at the first argument that decides. */
static int eval_lazy(struct go_run *r, const struct go_cmd *c, struct go_val dot,
                     const struct go_val *last, struct go_val *out)
{
    int any = str_is(c->arg->name, "or");
    const struct go_arg *a = c->arg->next;
    if (!a && !last)
        return go_fail(r, LAR_EFORMAT, "wrong number of args for %s: want at least 1",
                       any ? "or" : "and");
    for (; a; a = a->next) {
        int rc = eval_arg(r, a, dot, out);
        if (rc < 0 || go_truth(*out) == any) return rc;
    }
    if (last) *out = *last;
    return 0;
}

/* last: what came through the | before it. */
static int eval_command(struct go_run *r, const struct go_cmd *c, struct go_val dot,
                        const struct go_val *last, struct go_val *out)
{
    struct go_val arg[ARGS_MAX];
    size_t n = 0;
    const struct go_arg *f = c->arg;
    if (f->kind != ARG_FUNC) return eval_arg(r, f, dot, out);
    r->at = f->at;
    if (str_is(f->name, "and") || str_is(f->name, "or")) return eval_lazy(r, c, dot, last, out);
    for (const struct go_arg *a = f->next; a; a = a->next) {
        if (n + 1 == ARGS_MAX)
            return go_fail(r, LAR_ELIMIT, "more than %d arguments", ARGS_MAX - 1);
        int rc = eval_arg(r, a, dot, &arg[n++]);
        if (rc < 0) return rc;
    }
    if (last) arg[n++] = *last;
    r->at = f->at;
    return go_call(r, f->name, arg, n, out);
}

/* Without its variables. */
static int eval_pipe(struct go_run *r, const struct go_pipe *l, struct go_val dot,
                     struct go_val *out)
{
    struct go_val last;
    int rc = 0;
    for (const struct go_cmd *c = l->cmd; c && rc == 0; c = c->next) {
        if (c != l->cmd) last = *out;
        rc = eval_command(r, c, dot, c == l->cmd ? NULL : &last, out);
    }
    return rc;
}

static int set_var(struct go_run *r, const struct go_pipe *l, int i, struct go_val v)
{
    if (!l->var[i].n) return 0;
    if (!l->assign) return push_var(r, l->var[i], v);
    struct go_val *at = find_var(r, l->var[i]);
    if (at) *at = v;
    return 0;
}

/* ---- nodes ------------------------------------------------------------------------------------------------------------------- */

enum flow { FLOW_ON, FLOW_BREAK, FLOW_CONTINUE }; /* what a list's execution gives, beside errors */

static int run_list(struct go_run *r, const struct go_node *n, struct go_val dot);

static int write_out(struct go_run *r, struct str s)
{
    int rc = go_step(r, 1 + s.n / 64);
    if (rc < 0) return rc;
    if (s.n > r->out_limit - r->out->n)
        return go_fail(r, LAR_ELIMIT, "the template writes more than %zu bytes", r->out_limit);
    buf_str(r->out, s);
    return r->out->failed ? lar_fail(r->err, LAR_ENOMEM, "template: out of memory") : 0;
}

static int run_action(struct go_run *r, const struct go_node *n, struct go_val dot)
{
    struct go_val v;
    struct buf b = {.limit = r->out_limit};
    int rc = eval_pipe(r, n->pipe, dot, &v);
    if (rc < 0) return rc;
    if (n->pipe->var[0].n) return set_var(r, n->pipe, 0, v);
    if (v.kind == GO_STR) return write_out(r, v.s);
    if (v.kind == GO_NIL) return write_out(r, STR("<no value>"));
    rc = go_print(r, &b, v, 0);
    if (rc == 0 && b.failed) rc = go_fail(r, LAR_ELIMIT, "the template writes too much");
    if (rc == 0) rc = write_out(r, buf_view(&b));
    buf_done(&b);
    return rc;
}

static int run_branch(struct go_run *r, const struct go_node *n, struct go_val dot)
{
    size_t vars = r->nvar;
    struct go_val v;
    int rc = eval_pipe(r, n->pipe, dot, &v);
    if (rc == 0) rc = set_var(r, n->pipe, 0, v);
    if (rc < 0) return rc;
    if (go_truth(v))
        rc = run_list(r, n->list, n->kind == NODE_WITH ? v : dot);
    else
        rc = run_list(r, n->other, dot);
    r->nvar = vars;
    return rc;
}

/* One turn: $i, $e or $e, and the dot. */
static int run_turn(struct go_run *r, const struct go_node *n, struct go_val key, struct go_val v)
{
    size_t vars = r->nvar;
    const struct go_pipe *l = n->pipe;
    int rc = l->var[1].n ? set_var(r, l, 0, key) : set_var(r, l, 0, v);
    if (rc == 0) rc = set_var(r, l, 1, v);
    if (rc == 0) rc = go_step(r, 1);
    if (rc == 0) rc = run_list(r, n->list, v);
    r->nvar = vars;
    return rc;
}

static int run_range(struct go_run *r, const struct go_node *n, struct go_val dot)
{
    struct go_val v;
    int rc = eval_pipe(r, n->pipe, dot, &v);
    if (rc < 0) return rc;
    if (v.kind != GO_NIL && v.kind != GO_LIST && v.kind != GO_MAP && v.kind != GO_INT)
        return r->at = n->at,
               go_fail(r, LAR_EFORMAT, "range can't iterate over a %s", go_kind_name(v));
    int64_t count = v.kind == GO_NIL ? 0 : v.kind == GO_INT ? v.i : (int64_t)v.n;
    if (count <= 0) return run_list(r, n->other, dot);
    for (int64_t i = 0; i < count && rc >= 0 && rc != FLOW_BREAK; i++) {
        struct go_val key = v.kind == GO_MAP ? go_str(v.member[i].key) : go_int(i);
        struct go_val e = v.kind == GO_MAP   ? v.member[i].v
                          : v.kind == GO_INT ? go_int(i)
                                             : v.item[i];
        rc = run_turn(r, n, key, e);
    }
    return rc < 0 ? rc : 0;
}

static int run_template(struct go_run *r, const struct go_node *n, struct go_val dot)
{
    const struct go_define *d = r->t->define;
    struct go_val v;
    while (d && !str_eq(d->name, n->text)) d = d->next;
    r->at = n->at;
    if (!d) return go_fail(r, LAR_EFORMAT, "template \"%.*s\" is not defined", STR_ARG(n->text));
    if (r->depth == GO_DEPTH)
        return go_fail(r, LAR_ELIMIT, "templates call one another more than %d deep", GO_DEPTH);
    int rc = eval_pipe(r, n->pipe, dot, &v);
    if (rc < 0) return rc;
    size_t vars = r->nvar;
    uint32_t cut = r->cut;
    r->depth++;
    r->cut = UINT32_MAX; /* of the main text only */
    rc = push_var(r, STR("$"), v);
    if (rc == 0) rc = run_list(r, d->list, v);
    r->depth--;
    r->cut = cut;
    r->nvar = vars;
    return rc < 0 ? rc : 0;
}

/* 0 or above: enum flow. */
static int run_list(struct go_run *r, const struct go_node *n, struct go_val dot)
{
    int rc = 0;
    for (; n && rc == 0; n = n->next) {
        if (n->at > r->cut) continue;
        r->at = n->at;
        if ((rc = go_step(r, 1)) < 0) break;
        switch (n->kind) {
        case NODE_TEXT: rc = write_out(r, n->text); break;
        case NODE_ACTION: rc = run_action(r, n, dot); break;
        case NODE_IF:
        case NODE_WITH: rc = run_branch(r, n, dot); break;
        case NODE_RANGE: rc = run_range(r, n, dot); break;
        case NODE_TEMPLATE: rc = run_template(r, n, dot); break;
        case NODE_BREAK: rc = FLOW_BREAK; break;
        case NODE_CONTINUE: rc = FLOW_CONTINUE; break;
        }
    }
    return rc;
}

int go_execute(struct go_run *r, struct go_val data)
{
    r->nvar = 0;
    int rc = push_var(r, STR("$"), data);
    if (rc == 0) rc = run_list(r, r->t->root, data);
    return rc < 0 ? rc : 0;
}
