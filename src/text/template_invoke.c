/* SPDX-License-Identifier: Apache-2.0
 *
 * text/template_invoke.c: what runs in variables of its own: macros, call blocks, blocks, loops'
 * filters, recursive loops; and so all of {% for %}.
 */
#include "text/template_ast.h"

/* ---- macros ---- */

struct val tpl_invoke_new(struct tpl_run *r, const struct tpl_body *b)
{
    struct tpl_macro *m = tpl_alloc(r, sizeof *m);
    if (!m) return tpl_failed();
    *m = (struct tpl_macro){b, r->act, r->autoescape};
    return (struct val){.kind = TPL_MACRO, .u.macro = m};
}

static const char *label(const struct tpl_run *r, const struct tpl_body *b, int *n)
{
    if (b->name == UINT32_MAX) return *n = 4, "None";
    struct str s = r->t->name[b->name];
    *n = (int)(s.n > 60 ? 60 : s.n);
    return s.p;
}

/* A keyword's value; *used gets a mark. */
static struct val keyword(const struct tpl_args *args, struct str name, unsigned char *used)
{
    for (size_t i = 0; i < args->nkw; i++) {
        if (used[i] || !str_eq(args->kw[i].name, name)) continue;
        used[i] = 1;
        return args->kw[i].v;
    }
    return tpl_missing();
}

static int bind_rest(struct tpl_run *r, const struct tpl_body *b, const struct tpl_args *args,
                     struct val *slot, unsigned char *used)
{
    int n;
    const char *name = label(r, b, &n);
    if (b->caller >= 0) {
        struct val v = keyword(args, STR("caller"), used);
        if (v.kind == TPL_MISSING || v.kind == TPL_NONE) v = tpl_val_undef(r, "No caller defined");
        if (tpl_bad(v)) return -1;
        slot[b->caller] = v;
    }
    struct val rest = b->kwargs >= 0 ? tpl_dict_new(r) : tpl_none();
    if (tpl_bad(rest)) return -1;
    for (size_t i = 0; i < args->nkw; i++) {
        if (used[i]) continue;
        if (b->kwargs < 0) {
            if (str_is(args->kw[i].name, "caller"))
                tpl_type_error(r, "macro '%.*s' has no place for the body of {%% call %%}", n,
                               name);
            else
                tpl_type_error(r, "macro '%.*s' takes no keyword argument '%.*s'", n, name,
                               STR_ARG(args->kw[i].name));
            return -1;
        }
        struct val k = tpl_str_view(r, args->kw[i].name);
        if (tpl_bad(k) || tpl_dict_set(r, rest.u.d, k, args->kw[i].v)) return -1;
    }
    if (b->kwargs >= 0) slot[b->kwargs] = rest;
    size_t more = args->npos > b->nparam ? args->npos - b->nparam : 0;
    if (b->varargs >= 0) {
        struct val v = tpl_list_of(r, TPL_TUPLE, more ? args->pos + b->nparam : NULL, more);
        if (tpl_bad(v)) return -1;
        slot[b->varargs] = v;
    } else if (more) {
        tpl_type_error(r, "macro '%.*s' takes not more than %zu argument(s)", n, name, b->nparam);
        return -1;
    }
    return 0;
}

/* Arguments into the slots of the macro's own variables, which are current. */
static int bind(struct tpl_run *r, const struct tpl_body *b, const struct tpl_args *args)
{
    struct val *slot = r->act->slot;
    unsigned char *used = tpl_alloc(r, args->nkw + 1);
    if (!used) return -1;
    for (size_t i = 0; i < b->nparam; i++)
        slot[b->param[i].slot] =
            i < args->npos ? args->pos[i] : keyword(args, r->t->name[b->param[i].name], used);
    if (bind_rest(r, b, args, slot, used)) return -1;
    tpl_exec_enter(r, &b->scope);
    for (size_t i = 0; i < b->nparam; i++) {
        struct val *v = &slot[b->param[i].slot];
        struct str name = r->t->name[b->param[i].name];
        if (v->kind != TPL_MISSING) continue;
        struct val x = b->param[i].otherwise
                           ? tpl_eval(r, b->param[i].otherwise)
                           : tpl_val_undef(r, "parameter '%.*s' was not provided", STR_ARG(name));
        if (tpl_bad(x)) return -1;
        *v = x;
    }
    return 0;
}

struct val tpl_invoke_macro(struct tpl_run *r, const struct tpl_macro *m,
                            const struct tpl_args *args)
{
    struct tpl_act *before = r->act, *act = tpl_exec_act(r, &m->body->func, m->up);
    int escape = r->autoescape;
    enum tpl_flow flow;
    if (!act || tpl_enter(r)) return tpl_failed();
    r->act = act;
    r->autoescape = m->autoescape;
    struct val v =
        bind(r, m->body, args) ? tpl_failed() : tpl_exec_capture(r, m->body->list, &flow);
    v.markup = escape != 0;
    r->autoescape = escape;
    r->act = before;
    tpl_exec_act_done(r, &m->body->func, act);
    tpl_leave(r);
    return v;
}

/* A call block that calls itself: nothing to bind, nothing to capture. */
enum tpl_flow tpl_invoke_generation(struct tpl_run *r, const struct tpl_body *b)
{
    static const struct tpl_args none;
    struct tpl_act *before = r->act, *act = tpl_exec_act(r, &b->func, before);
    if (!act) return TPL_STOP;
    r->act = act;
    enum tpl_flow flow = bind(r, b, &none) ? TPL_STOP : tpl_exec(r, b->list);
    r->act = before;
    tpl_exec_act_done(r, &b->func, act);
    return flow;
}

/* ---- blocks ---- */

static enum tpl_flow run_block(struct tpl_run *r, const struct tpl_body *b, struct tpl_ctx *ctx)
{
    struct tpl_act *before = r->act, *act = tpl_exec_act(r, &b->func, NULL);
    if (!act || tpl_enter(r)) return TPL_STOP;
    act->ctx = ctx;
    if (b->self >= 0) act->slot[b->self] = (struct val){.kind = TPL_SELF, .u.ctx = ctx};
    if (b->super >= 0) act->slot[b->super] = tpl_val_undef(r, "there is no parent block");
    if (b->super >= 0 && tpl_bad(act->slot[b->super])) return TPL_STOP;
    r->act = act;
    tpl_exec_enter(r, &b->scope);
    enum tpl_flow flow = tpl_exec(r, b->list);
    r->act = before;
    tpl_leave(r);
    tpl_exec_act_done(r, &b->func, act);
    return flow;
}

/* The context of a scoped block: all that is visible where it stands. */
static struct tpl_ctx *derived(struct tpl_run *r, const struct tpl_body *b)
{
    size_t n = r->t->nname;
    const struct tpl_ctx *from = r->act->ctx;
    struct tpl_ctx *ctx = tpl_alloc(r, sizeof *ctx);
    if (!ctx || !(ctx->vars = tpl_array(r, n, sizeof *ctx->vars)) ||
        !(ctx->parent = tpl_array(r, n, sizeof *ctx->parent)) || tpl_step(r, n / 4))
        return NULL;
    for (size_t i = 0; i < n; i++)
        ctx->parent[i] = from->vars[i].kind != TPL_MISSING ? from->vars[i] : from->parent[i];
    for (size_t i = 0; i < b->nlocal; i++) {
        struct val v = *tpl_eval_place(r, b->local[i].place);
        if (v.kind != TPL_MISSING) ctx->parent[b->local[i].name] = v;
    }
    return ctx;
}

enum tpl_flow tpl_invoke_block(struct tpl_run *r, const struct tpl_body *b)
{
    struct str name = r->t->name[b->name];
    if (b->required)
        return tpl_type_error(r, "required block '%.*s' not found", STR_ARG(name)), TPL_STOP;
    struct tpl_ctx *ctx = b->scoped ? derived(r, b) : r->act->ctx;
    return ctx ? run_block(r, b, ctx) : TPL_STOP;
}

struct val tpl_invoke_block_text(struct tpl_run *r, const struct tpl_block_ref *b,
                                 const struct tpl_args *args)
{
    struct buf *dst = r->dst;
    size_t begin = tpl_begin(r);
    if (args->npos || args->nkw) return tpl_type_error(r, "a block takes no arguments");
    r->dst = &r->work;
    enum tpl_flow flow = run_block(r, b->block->body, b->ctx);
    r->dst = dst;
    struct val v = flow == TPL_STOP ? tpl_failed() : tpl_end(r, begin);
    v.markup = r->autoescape != 0;
    return v;
}

/* ---- for ---- */

/* {% for x in xs if test %}: the test runs in variables of its own, one item at a time, when the
 * loop asks. */
struct filter {
    const struct tpl_body *b;
    struct tpl_act *act;
};

static struct val value_of(struct tpl_run *r, const struct tpl_node *target)
{
    if (target->type == N_NAME) return *tpl_eval_place(r, target->u.var.place);
    struct val v = tpl_list_new(r, TPL_TUPLE, target->u.seq.n);
    size_t i = 0;
    for (const struct tpl_node *e = target->u.seq.list; e && !tpl_bad(v); e = e->next) {
        struct val x = value_of(r, e);
        if (tpl_bad(x)) return x;
        v.u.l->p[i++] = x;
    }
    return v;
}

static int test_one(struct tpl_run *r, const struct tpl_body *b, struct val *v)
{
    if (tpl_exec_assign(r, b->test_target, *v)) return -1;
    struct val is = tpl_eval(r, b->c);
    if (tpl_bad(is)) return -1;
    *v = value_of(r, b->test_target);
    return tpl_bad(*v) ? -1 : tpl_val_truth(r, is);
}

static int next_filtered(struct tpl_run *r, struct tpl_iter *it, struct val *out)
{
    const struct filter *f = it->state;
    struct tpl_act *before = r->act;
    int got, is = 0;
    if (tpl_enter(r)) return -1;
    r->act = f->act;
    if (it->i++ == 0) tpl_exec_enter(r, &f->b->test_scope);
    while (!is && (got = tpl_iter_next(r, it->src, out)) == 1) is = test_one(r, f->b, out);
    if (!is) is = got;
    r->act = before;
    tpl_leave(r);
    return is;
}

static struct val filtered(struct tpl_run *r, const struct tpl_body *b, struct val seq,
                           struct tpl_act *around)
{
    struct filter *f = tpl_alloc(r, sizeof *f);
    struct tpl_iter *mem = tpl_alloc(r, sizeof *mem);
    struct tpl_act *act = tpl_exec_act(r, &b->test_func, around);
    if (!f || !mem || !act) return tpl_failed();
    *f = (struct filter){b, act};
    struct tpl_iter it = {.next = next_filtered, .state = f, .src = tpl_iter_open(r, seq, mem)};
    return it.src ? tpl_iter_new(r, &it) : tpl_failed();
}

/* The loop itself, in the current variables. around: those of the {% for %}. */
static enum tpl_flow run_for(struct tpl_run *r, const struct tpl_node *n, struct val seq,
                             struct tpl_act *around, int depth0)
{
    const struct tpl_body *b = n->u.body;
    struct tpl_iter mem, *it;
    struct tpl_loop *loop = NULL;
    struct val v;
    int got = 0, none = 1;
    enum tpl_flow flow = TPL_ON;
    r->at = n;
    if (b->c) seq = filtered(r, b, seq, around);
    if (tpl_bad(seq)) return TPL_STOP;
    if (b->extended) {
        loop = tpl_alloc(r, sizeof *loop);
        if (!loop) return TPL_STOP;
        *loop = (struct tpl_loop){.of = seq,
                                  .index0 = -1,
                                  .depth0 = depth0,
                                  .node = b->recursive ? n : NULL,
                                  .up = around};
        it = loop->it = tpl_iter_open(r, seq, &loop->mem);
    } else {
        it = tpl_iter_open(r, seq, &mem);
    }
    if (!it) return TPL_STOP;
    while (flow != TPL_BREAK &&
           (got = loop ? tpl_loop_next(r, loop, &v) : tpl_iter_next(r, it, &v)) == 1) {
        if (loop) r->act->slot[b->loop] = (struct val){.kind = TPL_LOOP, .u.loop = loop};
        if (tpl_exec_assign(r, b->a, v)) return TPL_STOP;
        tpl_exec_enter(r, &b->scope);
        flow = tpl_exec(r, b->list);
        if (flow == TPL_STOP) return flow;
        if (flow == TPL_ON)
            none = 0; /* as in Jinja: a body left by break or continue did not count */
        r->at = n;
    }
    if (got < 0) return TPL_STOP;
    for (size_t i = 0; i < b->scope.n; i++) r->act->slot[b->scope.load[i].slot] = tpl_missing();
    if (!none || !b->other) return TPL_ON;
    tpl_exec_enter(r, &b->other_scope);
    flow = tpl_exec(r, b->other);
    for (size_t i = 0; i < b->other_scope.n; i++)
        r->act->slot[b->other_scope.load[i].slot] = tpl_missing();
    return flow;
}

/* A recursive loop's text. */
static struct val recurse(struct tpl_run *r, const struct tpl_node *n, struct val seq,
                          struct tpl_act *around, int depth0)
{
    const struct tpl_func *f = &n->u.body->func;
    struct tpl_act *before = r->act, *act = tpl_exec_act(r, f, around);
    struct buf *dst = r->dst;
    size_t begin = tpl_begin(r);
    if (!act || tpl_enter(r)) return tpl_failed();
    r->act = act;
    r->dst = &r->work;
    enum tpl_flow flow = run_for(r, n, seq, around, depth0);
    r->dst = dst;
    r->act = before;
    tpl_exec_act_done(r, f, act);
    tpl_leave(r);
    struct val v = flow == TPL_STOP ? tpl_failed() : tpl_end(r, begin);
    v.markup = r->autoescape != 0;
    return v;
}

enum tpl_flow tpl_invoke_for(struct tpl_run *r, const struct tpl_node *n)
{
    struct val seq = tpl_eval(r, n->u.body->b);
    if (tpl_bad(seq)) return TPL_STOP;
    if (!n->u.body->recursive) return run_for(r, n, seq, r->act, 0);
    struct val text = recurse(r, n, seq, r->act, 0);
    return tpl_bad(text) || tpl_write(r, tpl_view(text)) ? TPL_STOP : TPL_ON;
}

struct val tpl_invoke_loop(struct tpl_run *r, struct tpl_loop *l, const struct tpl_args *args)
{
    if (!l->node)
        return tpl_type_error(r,
                              "the loop must have the 'recursive' marker to be called recursively");
    if (args->npos != 1 || args->nkw)
        return tpl_type_error(r, "loop() takes one argument: what to walk");
    return recurse(r, l->node, args->pos[0], l->up, l->depth0 + 1);
}
