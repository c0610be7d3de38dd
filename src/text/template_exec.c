/* SPDX-License-Identifier: Apache-2.0
 *
 * text/template_exec.c: statements. Text goes to r->dst; what captures it ({% set %} with a body,
 * {% filter %}, macros) points r->dst at the stack of texts in the making for as long as it runs.
 */
#include "text/template_ast.h"

static enum tpl_flow done(int failed) { return failed ? TPL_STOP : TPL_ON; }

/* ---- variables ---- */

void tpl_exec_enter(struct tpl_run *r, const struct tpl_scope *s)
{
    struct val *slot = r->act->slot;
    for (size_t i = 0; i < s->n; i++) {
        const struct tpl_load *l = &s->load[i];
        const struct tpl_ctx *ctx = r->act->ctx;
        switch (l->how) {
        case TPL_LOAD_RESOLVE:
            slot[l->slot] =
                ctx->vars[l->name].kind != TPL_MISSING ? ctx->vars[l->name] : ctx->parent[l->name];
            break;
        case TPL_LOAD_ALIAS: slot[l->slot] = *tpl_eval_place(r, l->place); break;
        case TPL_LOAD_UNDEFINED: slot[l->slot] = tpl_missing(); break;
        default: break;
        }
    }
}

static void leave(struct tpl_run *r, const struct tpl_scope *s)
{
    for (size_t i = 0; i < s->n; i++) r->act->slot[s->load[i].slot] = tpl_missing();
}

struct tpl_act *tpl_exec_act(struct tpl_run *r, const struct tpl_func *f, struct tpl_act *up)
{
    struct tpl_act *act = f->nslot < TPL_IDLE ? r->idle[f->nslot] : NULL;
    if (act) {
        r->idle[f->nslot] = act->up;
        for (size_t i = 0; i < f->nslot; i++) act->slot[i] = tpl_missing();
    } else {
        act = tpl_alloc(r, sizeof *act + f->nslot * sizeof *act->slot);
        if (!act) return NULL;
    }
    act->up = up;
    act->ctx = up ? up->ctx : NULL;
    return act;
}

/* Nobody holds a function's variables once it returned, unless it has functions inside. */
void tpl_exec_act_done(struct tpl_run *r, const struct tpl_func *f, struct tpl_act *act)
{
    if (f->closes || f->nslot >= TPL_IDLE) return;
    act->up = r->idle[f->nslot];
    r->idle[f->nslot] = act;
}

static int unpack(struct tpl_run *r, const struct tpl_node *target, struct val v)
{
    struct tpl_iter mem, *it;
    struct val x;
    size_t n = 0;
    int got = 1;
    if (!tpl_iter_can(v))
        return tpl_type_error(r, "cannot unpack non-iterable %s object", tpl_val_type(v)), -1;
    struct val parts = tpl_list_new(r, TPL_LIST, target->u.seq.n);
    if (tpl_bad(parts) || !(it = tpl_iter_open(r, v, &mem))) return -1;
    while ((got = tpl_iter_next(r, it, &x)) == 1) {
        if (n == target->u.seq.n)
            return tpl_type_error(r, "too many values to unpack (expected %zu)", n), -1;
        parts.u.l->p[n++] = x;
    }
    if (got < 0) return -1;
    if (n < target->u.seq.n)
        return tpl_type_error(r, "not enough values to unpack (expected %zu, got %zu)",
                              target->u.seq.n, n),
               -1;
    n = 0;
    for (const struct tpl_node *e = target->u.seq.list; e; e = e->next)
        if (tpl_exec_assign(r, e, parts.u.l->p[n++])) return -1;
    return 0;
}

int tpl_exec_assign(struct tpl_run *r, const struct tpl_node *target, struct val v)
{
    struct val *place;
    switch (target->type) {
    case N_NAME:
        *tpl_eval_place(r, target->u.var.place) = v;
        if (target->export) r->act->ctx->vars[target->u.var.name] = v;
        return 0;
    case N_NSREF:
        place = tpl_eval_place(r, target->u.var.place);
        r->at = target;
        if (place->kind != TPL_NS)
            return tpl_type_error(r, "cannot assign attribute on non-namespace object"), -1;
        return tpl_dict_set(r, place->u.d, target->u.var.attr, v);
    default: return unpack(r, target, v);
    }
}

/* {% set ns.a = ... %}: ns must be a namespace before the value is even looked at. */
static int check_namespaces(struct tpl_run *r, const struct tpl_node *target)
{
    if (target->type == N_NSREF && tpl_eval_place(r, target->u.var.place)->kind != TPL_NS) {
        r->at = target;
        return tpl_type_error(r, "cannot assign attribute on non-namespace object"), -1;
    }
    for (const struct tpl_node *e = target->type == N_TUPLE ? target->u.seq.list : NULL; e;
         e = e->next)
        if (check_namespaces(r, e)) return -1;
    return 0;
}

/* ---- output ---- */

static int print_value(struct tpl_run *r, struct val v)
{
    size_t begin = tpl_begin(r);
    if (r->autoescape && !(tpl_is_str(v) && v.markup)) v = tpl_str_escape(r, v);
    if (tpl_is_str(v)) return tpl_write(r, tpl_view(v));
    if (tpl_repr_to(r, &r->work, v, 0) || r->work.failed) return tpl_end(r, begin), -1;
    if (r->dst == &r->work) return 0;
    int rc = tpl_write(r, (struct str){buf_z(&r->work) + begin, r->work.n - begin});
    r->work.n = begin;
    return rc;
}

/* What {% call %} and {% filter %} give must be text already. */
static int print_text(struct tpl_run *r, struct val v)
{
    if (tpl_bad(v)) return -1;
    if (tpl_is_str(v)) return tpl_write(r, tpl_view(v));
    return tpl_type_error(r, "expected str instance, %s found", tpl_val_type(v)), -1;
}

struct val tpl_exec_capture(struct tpl_run *r, const struct tpl_node *list, enum tpl_flow *flow)
{
    struct buf *dst = r->dst;
    size_t begin = tpl_begin(r);
    r->dst = &r->work;
    *flow = tpl_exec(r, list);
    r->dst = dst;
    struct val v = tpl_end(r, begin);
    if (tpl_bad(v)) *flow = TPL_STOP;
    v.markup = r->autoescape != 0;
    return v;
}

/* ---- statements ---- */

static enum tpl_flow print(struct tpl_run *r, const struct tpl_node *n)
{
    struct val v = tpl_eval(r, n->u.op4.a);
    if (tpl_bad(v)) return TPL_STOP;
    r->at = n;
    return done(print_value(r, v));
}

static enum tpl_flow set(struct tpl_run *r, const struct tpl_node *n)
{
    if (check_namespaces(r, n->u.op4.a)) return TPL_STOP;
    struct val v = tpl_eval(r, n->u.op4.b);
    if (tpl_bad(v)) return TPL_STOP;
    r->at = n;
    return done(tpl_exec_assign(r, n->u.op4.a, v));
}

static enum tpl_flow if_(struct tpl_run *r, const struct tpl_node *n)
{
    const struct tpl_body *first = n->u.body;
    for (const struct tpl_body *b = first; b; b = b->arm) {
        struct val v = tpl_eval(r, b->a);
        int is = tpl_bad(v) ? -1 : tpl_val_truth(r, v);
        if (is < 0) return TPL_STOP;
        if (is) return tpl_exec(r, b->list);
    }
    return tpl_exec(r, first->other);
}

static enum tpl_flow set_block(struct tpl_run *r, const struct tpl_node *n)
{
    const struct tpl_body *b = n->u.body;
    enum tpl_flow flow;
    tpl_exec_enter(r, &b->scope);
    struct val v = tpl_exec_capture(r, b->list, &flow);
    if (flow == TPL_ON && b->c) {
        r->piped = v;
        v = tpl_eval(r, b->c);
        if (r->autoescape && !tpl_bad(v)) {
            v = tpl_repr_soft(r, v);
            v.markup = 1;
        }
    }
    leave(r, &b->scope);
    r->at = n;
    if (flow != TPL_ON) return flow;
    return done(tpl_bad(v) || tpl_exec_assign(r, b->a, v));
}

static enum tpl_flow filter_block(struct tpl_run *r, const struct tpl_node *n)
{
    const struct tpl_body *b = n->u.body;
    enum tpl_flow flow;
    tpl_exec_enter(r, &b->scope);
    r->piped = tpl_exec_capture(r, b->list, &flow);
    if (flow == TPL_ON) flow = done(print_text(r, tpl_eval(r, b->c)));
    leave(r, &b->scope);
    return flow;
}

static enum tpl_flow with(struct tpl_run *r, const struct tpl_node *n)
{
    const struct tpl_body *b = n->u.body;
    const struct tpl_node *value = b->b;
    tpl_exec_enter(r, &b->scope);
    for (const struct tpl_node *t = b->a; t; t = t->next, value = value->next) {
        struct val v = tpl_eval(r, value);
        r->at = t;
        if (tpl_bad(v) || tpl_exec_assign(r, t, v)) return TPL_STOP;
    }
    enum tpl_flow flow = tpl_exec(r, b->list);
    leave(r, &b->scope);
    return flow;
}

static enum tpl_flow autoescape(struct tpl_run *r, const struct tpl_node *n)
{
    const struct tpl_body *b = n->u.body;
    int before = r->autoescape;
    tpl_exec_enter(r, &b->scope);
    struct val v = tpl_eval(r, b->a);
    int is = tpl_bad(v) ? -1 : tpl_val_truth(r, v);
    if (is < 0) return TPL_STOP;
    r->autoescape = is;
    enum tpl_flow flow = tpl_exec(r, b->list);
    r->autoescape = before;
    leave(r, &b->scope);
    return flow;
}

static enum tpl_flow macro(struct tpl_run *r, const struct tpl_node *n)
{
    const struct tpl_body *b = n->u.body;
    struct val m = tpl_invoke_new(r, b);
    if (tpl_bad(m)) return TPL_STOP;
    *tpl_eval_place(r, b->place) = m;
    if (b->export) r->act->ctx->vars[b->name] = m;
    return TPL_ON;
}

static enum tpl_flow call_block(struct tpl_run *r, const struct tpl_node *n)
{
    struct val caller = tpl_invoke_new(r, n->u.body);
    if (tpl_bad(caller)) return TPL_STOP;
    return done(print_text(r, tpl_eval_call(r, n->u.body->a, caller)));
}

static enum tpl_flow refused(struct tpl_run *r, const struct tpl_node *n)
{
    r->at = n;
    tpl_fail(r, LAR_EUNSUPPORTED, "{%% %.*s %%}: there are no other templates to load",
             STR_ARG(tpl_view(n->u.value)));
    return TPL_STOP;
}

static enum tpl_flow one(struct tpl_run *r, const struct tpl_node *n)
{
    switch (n->type) {
    case N_TEXT: r->at = n; return done(tpl_write(r, n->u.text));
    case N_PRINT: return print(r, n);
    case N_IF: return if_(r, n);
    case N_FOR: return tpl_invoke_for(r, n);
    case N_SET: return set(r, n);
    case N_SETBLOCK: return set_block(r, n);
    case N_MACRO: return macro(r, n);
    case N_CALLBLOCK: return call_block(r, n);
    case N_GENERATION: return tpl_invoke_generation(r, n->u.body);
    case N_FILTERBLOCK: return filter_block(r, n);
    case N_WITH: return with(r, n);
    case N_AUTOESCAPE: return autoescape(r, n);
    case N_BLOCK: r->at = n; return tpl_invoke_block(r, n->u.body);
    case N_BREAK: return TPL_BREAK;
    case N_CONTINUE: return TPL_CONTINUE;
    default: return refused(r, n);
    }
}

enum tpl_flow tpl_exec(struct tpl_run *r, const struct tpl_node *list)
{
    enum tpl_flow flow = TPL_ON;
    if (!list) return flow;
    if (tpl_enter(r)) return TPL_STOP;
    for (; list && flow == TPL_ON; list = list->next)
        flow = tpl_step(r, 1) ? TPL_STOP : one(r, list);
    tpl_leave(r);
    return flow;
}
