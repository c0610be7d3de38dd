/* SPDX-License-Identifier: Apache-2.0
 *
 * text/template_eval.c: the value of an expression. A walk over the tree; each node costs a step,
 * and nesting counts as depth. The cases are functions of their own so that one level of recursion
 * stays small on the C stack.
 */
#include "text/template_ast.h"

struct val *tpl_eval_place(struct tpl_run *r, struct tpl_place place)
{
    struct tpl_act *act = r->act;
    for (uint32_t i = 0; i < place.up; i++) act = act->up;
    return &act->slot[place.slot];
}

static struct val name(struct tpl_run *r, const struct tpl_node *n)
{
    struct val v = *tpl_eval_place(r, n->u.var.place);
    return v.kind == TPL_MISSING ? tpl_val_undef_name(r, r->t->name[n->u.var.name]) : v;
}

static struct val list(struct tpl_run *r, const struct tpl_node *n)
{
    struct val v = tpl_list_new(r, n->type == N_LIST ? TPL_LIST : TPL_TUPLE, n->u.seq.n);
    size_t i = 0;
    for (const struct tpl_node *e = n->u.seq.list; e && !tpl_bad(v); e = e->next) {
        struct val x = tpl_eval(r, e);
        if (tpl_bad(x)) return x;
        v.u.l->p[i++] = x;
    }
    return v;
}

static struct val dict(struct tpl_run *r, const struct tpl_node *n)
{
    struct val d = tpl_dict_new(r);
    for (const struct tpl_node *e = n->u.seq.list; e && !tpl_bad(d); e = e->next->next) {
        struct val k = tpl_eval(r, e), v = tpl_bad(k) ? k : tpl_eval(r, e->next);
        if (tpl_bad(v)) return v;
        r->at = e;
        if (tpl_dict_set(r, d.u.d, k, v)) return tpl_failed();
    }
    return d;
}

static struct val attr(struct tpl_run *r, const struct tpl_node *n)
{
    struct val of = tpl_eval(r, n->u.get.a);
    if (tpl_bad(of)) return of;
    r->at = n;
    return tpl_attr_get(r, of, n->u.get.attr);
}

static struct val item(struct tpl_run *r, const struct tpl_node *n)
{
    struct val of = tpl_eval(r, n->u.op4.a), key = tpl_bad(of) ? of : tpl_eval(r, n->u.op4.b);
    if (tpl_bad(key)) return key;
    r->at = n;
    return tpl_attr_item(r, of, key);
}

static struct val slice(struct tpl_run *r, const struct tpl_node *n)
{
    const struct tpl_node *part[3] = {n->u.op4.b, n->u.op4.c, n->u.op4.d};
    struct val bound[3], of = tpl_eval(r, n->u.op4.a);
    if (tpl_bad(of)) return of;
    for (int i = 0; i < 3; i++) {
        bound[i] = part[i] ? tpl_eval(r, part[i]) : tpl_none();
        if (tpl_bad(bound[i])) return bound[i];
    }
    r->at = n;
    if (n->op) { /* see constant() in template_parse.c */
        int can = of.kind == TPL_STR || of.kind == TPL_BYTES || tpl_is_seq(of) ||
                  of.kind == TPL_RANGE || of.kind == TPL_UNDEF;
        for (int i = 0; i < 3; i++) can &= bound[i].kind == TPL_NONE || tpl_is_integer(bound[i]);
        if (!can) return tpl_val_undef(r, "%s has no such slice", tpl_val_type(of));
    }
    return tpl_list_slice(r, of, bound);
}

/* ---- calls ---- */

static int star_args(struct tpl_run *r, const struct tpl_node *n, struct tpl_args *out)
{
    struct val x = tpl_eval(r, n), all = tpl_bad(x) ? x : tpl_list_new(r, TPL_LIST, 0);
    struct tpl_iter mem, *it;
    int got;
    if (tpl_bad(all) || !(it = tpl_iter_open(r, x, &mem))) return -1;
    for (size_t i = 0; i < out->npos; i++)
        if (tpl_list_push(r, all.u.l, out->pos[i])) return -1;
    while ((got = tpl_iter_next(r, it, &x)) == 1)
        if (tpl_list_push(r, all.u.l, x)) return -1;
    out->pos = all.u.l->p;
    out->npos = all.u.l->n;
    return got;
}

static int star_kwargs(struct tpl_run *r, const struct tpl_node *n, struct tpl_args *out)
{
    struct val x = tpl_eval(r, n);
    if (tpl_bad(x)) return -1;
    if (x.kind != TPL_DICT)
        return tpl_type_error(r, "the argument after ** must be a mapping, not %s",
                              tpl_val_type(x)),
               -1;
    struct tpl_kw *kw = tpl_array(r, out->nkw + x.u.d->n + 1, sizeof *kw);
    if (!kw || tpl_step(r, x.u.d->n)) return -1;
    if (out->nkw) memcpy(kw, out->kw, out->nkw * sizeof *kw);
    for (size_t i = 0; i < x.u.d->n; i++) {
        struct val k = x.u.d->e[i].k;
        if (!tpl_is_str(k)) return tpl_type_error(r, "keywords must be strings"), -1;
        for (size_t j = 0; j < out->nkw; j++)
            if (str_eq(kw[j].name, tpl_view(k)))
                return tpl_type_error(r, "two values for one keyword argument"), -1;
        kw[out->nkw + i] = (struct tpl_kw){tpl_view(k), x.u.d->e[i].v};
    }
    out->kw = kw;
    out->nkw += x.u.d->n;
    return 0;
}

/* The arguments into arena memory; caller: one more keyword, unless TPL_MISSING. */
static int arguments(struct tpl_run *r, const struct tpl_call_args *ca, struct val caller,
                     struct tpl_args *out)
{
    size_t nkw = ca->nkw + (caller.kind != TPL_MISSING), i = 0;
    *out = (struct tpl_args){.npos = ca->npos};
    if (ca->npos) {
        struct val *pos = tpl_array(r, ca->npos, sizeof *pos);
        if (!pos) return -1;
        out->pos = pos;
        for (const struct tpl_node *e = ca->pos; e; e = e->next)
            if (tpl_bad(pos[i++] = tpl_eval(r, e))) return -1;
    }
    if (nkw) {
        struct tpl_kw *kw = tpl_array(r, nkw, sizeof *kw);
        if (!kw) return -1;
        for (i = 0; i < ca->nkw; i++) {
            kw[i] = (struct tpl_kw){ca->kw[i].name, tpl_eval(r, ca->kw[i].value)};
            if (tpl_bad(kw[i].v)) return -1;
        }
        if (nkw > ca->nkw) kw[i] = (struct tpl_kw){STR("caller"), caller};
        out->kw = kw;
        out->nkw = nkw;
    }
    if (ca->star && star_args(r, ca->star, out)) return -1;
    return ca->star2 ? star_kwargs(r, ca->star2, out) : 0;
}

struct val tpl_eval_call(struct tpl_run *r, const struct tpl_node *n, struct val caller)
{
    struct tpl_args args;
    struct val f = tpl_eval(r, n->u.call.a);
    if (tpl_bad(f) || arguments(r, n->u.call.args, caller, &args)) return tpl_failed();
    r->at = n;
    return tpl_call(r, f, &args);
}

static struct val filter(struct tpl_run *r, const struct tpl_node *n)
{
    struct tpl_args args;
    struct val of = n->u.call.a ? tpl_eval(r, n->u.call.a) : r->piped;
    if (tpl_bad(of) || arguments(r, n->u.call.args, tpl_missing(), &args)) return tpl_failed();
    r->at = n;
    if (n->u.call.sig) return tpl_call_sig(r, n->u.call.sig, of, &args);
    return tpl_type_error(r, "no %s named '%.*s'", n->type == N_TEST ? "test" : "filter",
                          STR_ARG(n->u.call.name));
}

/* ---- operators ---- */

static struct val truth(struct tpl_run *r, const struct tpl_node *n, int *is)
{
    struct val v = tpl_eval(r, n);
    *is = tpl_bad(v) ? -1 : tpl_val_truth(r, v);
    return *is < 0 ? tpl_failed() : v;
}

static struct val logic(struct tpl_run *r, const struct tpl_node *n)
{
    int is;
    struct val v = truth(r, n->u.op4.a, &is);
    if (tpl_bad(v)) return v;
    if (n->type == N_NOT) return tpl_bool(!is);
    if (n->type != N_COND) return is == (n->type == N_OR) ? v : tpl_eval(r, n->u.op4.b);
    if (is) return tpl_eval(r, n->u.op4.b);
    if (n->u.op4.c) return tpl_eval(r, n->u.op4.c);
    return tpl_val_undef(
        r, "the inline if-expression evaluated to false and no else section was defined");
}

static struct val binary(struct tpl_run *r, const struct tpl_node *n)
{
    struct val a = tpl_eval(r, n->u.op4.a), b = tpl_bad(a) ? a : tpl_eval(r, n->u.op4.b);
    if (tpl_bad(b)) return b;
    r->at = n;
    return tpl_num_op(r, n->op, a, b);
}

static struct val sign(struct tpl_run *r, const struct tpl_node *n)
{
    struct val a = tpl_eval(r, n->u.op4.a);
    if (tpl_bad(a)) return a;
    r->at = n;
    return tpl_num_neg(r, a, n->type == N_POS);
}

/* a ~ b ~ c: as text; where HTML is escaped, Markup among them makes the whole Markup. */
static struct val concat(struct tpl_run *r, const struct tpl_node *n)
{
    struct val parts = list(r, n), v = tpl_missing();
    int markup = 0;
    if (tpl_bad(parts)) return parts;
    struct tpl_list *l = parts.u.l;
    r->at = n;
    for (size_t i = 0; r->autoescape && i < l->n; i++)
        markup |= tpl_is_str(l->p[i]) && l->p[i].markup;
    for (size_t i = 0; i < l->n; i++) {
        struct val x = markup ? tpl_str_escape(r, l->p[i]) : tpl_repr_str(r, l->p[i]);
        v = tpl_bad(x) || i == 0 ? x : tpl_str_concat(r, v, x);
        if (tpl_bad(v)) return v;
    }
    v.markup = (uint8_t)markup;
    return v;
}

static int compare_one(struct tpl_run *r, int op, struct val a, struct val b)
{
    static const char *const order[] = {
        [TPL_LT] = "<", [TPL_LE] = "<=", [TPL_GT] = ">", [TPL_GE] = ">="};
    int is;
    switch (op) {
    case TPL_EQ: return tpl_val_eq(r, a, b);
    case TPL_NE: is = tpl_val_eq(r, a, b); return is < 0 ? is : !is;
    case TPL_IN: return tpl_val_in(r, a, b);
    case TPL_NOTIN: is = tpl_val_in(r, a, b); return is < 0 ? is : !is;
    default: return tpl_val_order(r, a, b, order[op]);
    }
}

static struct val compare(struct tpl_run *r, const struct tpl_node *n)
{
    struct val a = tpl_eval(r, n->u.seq.a);
    for (const struct tpl_node *e = n->u.seq.list; e; e = e->next) {
        struct val b = tpl_bad(a) ? a : tpl_eval(r, e->u.seq.a);
        if (tpl_bad(b)) return b;
        r->at = n;
        int is = compare_one(r, e->op, a, b);
        if (is < 0) return tpl_failed();
        if (!is) return tpl_bool(0);
        a = b;
    }
    return tpl_bool(1);
}

static struct val inner(struct tpl_run *r, const struct tpl_node *n)
{
    switch (n->type) {
    case N_TUPLE:
    case N_LIST: return list(r, n);
    case N_DICT: return dict(r, n);
    case N_ATTR: return attr(r, n);
    case N_ITEM: return item(r, n);
    case N_SLICE: return slice(r, n);
    case N_CALL: return tpl_eval_call(r, n, tpl_missing());
    case N_FILTER:
    case N_TEST: return filter(r, n);
    case N_AND:
    case N_OR:
    case N_NOT:
    case N_COND: return logic(r, n);
    case N_NEG:
    case N_POS: return sign(r, n);
    case N_BINARY: return binary(r, n);
    case N_CONCAT: return concat(r, n);
    default: return compare(r, n); /* N_COMPARE */
    }
}

struct val tpl_eval(struct tpl_run *r, const struct tpl_node *n)
{
    if (tpl_step(r, 1)) return tpl_failed();
    if (n->type == N_CONST) return n->u.value;
    if (n->type == N_NAME) return name(r, n);
    if (tpl_enter(r)) return tpl_failed();
    struct val v = inner(r, n);
    tpl_leave(r);
    return v;
}
