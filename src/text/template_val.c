/* SPDX-License-Identifier: Apache-2.0
 *
 * text/template_val.c: what Python's built-in operations say about values: truth, ==, <, hash(),
 * len(), in. Recursion over nested values counts as depth of the rendering.
 */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#include "text/template_val.h"

const char *tpl_val_type(struct val v)
{
    static const char *const names[] = {
        [TPL_MISSING] = "Undefined",
        [TPL_FAIL] = "Undefined",
        [TPL_UNDEF] = "Undefined",
        [TPL_NONE] = "NoneType",
        [TPL_BOOL] = "bool",
        [TPL_INT] = "int",
        [TPL_BIG] = "int",
        [TPL_FLOAT] = "float",
        [TPL_STR] = "str",
        [TPL_BYTES] = "bytes",
        [TPL_LIST] = "list",
        [TPL_TUPLE] = "tuple",
        [TPL_DICT] = "dict",
        [TPL_RANGE] = "range",
        [TPL_VIEW] = "dict_keys",
        [TPL_ITER] = "generator",
        [TPL_NS] = "Namespace",
        [TPL_MACRO] = "Macro",
        [TPL_FUNC] = "function",
        [TPL_METHOD] = "method",
        [TPL_LOOP] = "LoopContext",
        [TPL_CYCLER] = "Cycler",
        [TPL_JOINER] = "Joiner",
        [TPL_SELF] = "TemplateReference",
        [TPL_BLOCK] = "BlockReference",
    };
    if (v.kind == TPL_STR && v.markup) return "Markup";
    if (v.kind == TPL_VIEW && v.sub == TPL_VALUES) return "dict_values";
    if (v.kind == TPL_VIEW && v.sub == TPL_ITEMS) return "dict_items";
    if (v.kind == TPL_METHOD) return "builtin_function_or_method";
    if (v.kind == TPL_TUPLE && v.sub) return "_GroupTuple";
    return names[v.kind];
}

static struct val undef(struct tpl_run *r, struct tpl_undef u)
{
    struct tpl_undef *p = tpl_alloc(r, sizeof *p);
    if (!p) return tpl_failed();
    *p = u;
    return (struct val){.kind = TPL_UNDEF, .u.undef = p};
}

struct val tpl_val_undef(struct tpl_run *r, const char *hint, ...)
{
    char text[200];
    va_list ap;
    va_start(ap, hint);
    int n = vsnprintf(text, sizeof text, hint, ap);
    va_end(ap);
    size_t len = n < 0 ? 0 : (size_t)n < sizeof text ? (size_t)n : sizeof text - 1;
    char *p = arena_copy(&r->a, text, len);
    if (!p) return tpl_alloc(r, len + 1), tpl_failed();
    return undef(r, (struct tpl_undef){.hint = {p, len}});
}

struct val tpl_val_undef_name(struct tpl_run *r, struct str name)
{
    struct val n = tpl_str_view(r, name);
    return tpl_bad(n) ? n : undef(r, (struct tpl_undef){.name = n});
}

struct val tpl_val_undef_attr(struct tpl_run *r, struct val of, struct val name, int unsafe)
{
    return undef(r, (struct tpl_undef){.of = of, .name = name, .unsafe = unsafe});
}

struct val tpl_undefined_error(struct tpl_run *r, struct val v)
{
    const struct tpl_undef *u = v.u.undef;
    if (!u) return tpl_type_error(r, "a value is undefined");
    if (u->hint.n) return tpl_type_error(r, "%.*s", STR_ARG(u->hint));
    size_t b = tpl_begin(r);
    if (u->of.kind == TPL_MISSING) {
        return tpl_type_error(r, "'%.*s' is undefined", STR_ARG(tpl_view(u->name)));
    }
    if (tpl_repr_to(r, &r->work, u->name, 1)) return tpl_failed();
    struct str name = {buf_z(&r->work) + b, r->work.n - b};
    const char *type = tpl_val_type(u->of), *object = u->of.kind == TPL_NONE ? "" : " object";
    if (u->of.kind == TPL_NONE) type = "None";
    if (u->unsafe)
        return tpl_type_error(r, "access to attribute %.*s of '%s' object is unsafe", STR_ARG(name),
                              tpl_val_type(u->of));
    if (!tpl_is_str(u->name))
        return tpl_type_error(r, "%s%s has no element %.*s", type, object, STR_ARG(name));
    return tpl_type_error(r, "'%s%s' has no attribute %.*s", type, object, STR_ARG(name));
}

int tpl_val_truth(struct tpl_run *r, struct val v)
{
    size_t n;
    switch (v.kind) {
    case TPL_FAIL: return -1;
    case TPL_UNDEF:
    case TPL_NONE: return 0;
    case TPL_BOOL:
    case TPL_INT: return v.u.i != 0;
    case TPL_FLOAT: return v.u.f != 0;
    case TPL_STR:
    case TPL_BYTES: return v.u.s->n != 0;
    case TPL_LIST:
    case TPL_TUPLE: return v.u.l->n != 0;
    case TPL_DICT:
    case TPL_VIEW: return v.u.d->n != 0;
    case TPL_RANGE: return v.u.range->n != 0;
    case TPL_LOOP: return tpl_val_len(r, v, &n) ? -1 : n != 0;
    default: return 1;
    }
}

/* ---- numbers ---- */

static int compare_big(struct tpl_run *r, struct val a, double f) /* integer a against f */
{
    if (isinf(f)) return f > 0 ? -1 : 1;
    struct val whole = tpl_int_from_double(r, f);
    if (tpl_bad(whole)) return -2;
    int c = tpl_int_compare(a, whole);
    double rest = f - trunc(f);
    return c ? c : rest > 0 ? -1 : rest < 0;
}

int tpl_val_compare(struct tpl_run *r, struct val a, struct val b)
{
    if (a.kind != TPL_FLOAT && b.kind != TPL_FLOAT) return tpl_int_compare(a, b);
    if ((a.kind == TPL_FLOAT && isnan(a.u.f)) || (b.kind == TPL_FLOAT && isnan(b.u.f))) return 2;
    if (a.kind == TPL_FLOAT && b.kind == TPL_FLOAT) return a.u.f < b.u.f ? -1 : a.u.f > b.u.f;
    if (a.kind != TPL_FLOAT) return compare_big(r, a, b.u.f);
    int c = compare_big(r, b, a.u.f);
    return c == -2 ? c : -c;
}

/* ---- equality ---- */

static int eq_seq(struct tpl_run *r, const struct tpl_list *a, const struct tpl_list *b)
{
    if (a == b) return 1;
    if (a->n != b->n) return 0;
    if (tpl_step(r, a->n)) return -1;
    for (size_t i = 0; i < a->n; i++) {
        int e = tpl_val_same(a->p[i], b->p[i]) ? 1 : tpl_val_eq(r, a->p[i], b->p[i]);
        if (e != 1) return e;
    }
    return 1;
}

static int eq_dict(struct tpl_run *r, const struct tpl_dict *a, const struct tpl_dict *b,
                   int keys_only)
{
    if (a == b) return 1;
    if (a->n != b->n) return 0;
    if (tpl_step(r, a->n)) return -1;
    for (size_t i = 0; i < a->n; i++) {
        struct val v;
        int found = tpl_dict_get(r, b, a->e[i].k, &v);
        if (found == 1 && !keys_only && !tpl_val_same(a->e[i].v, v))
            found = tpl_val_eq(r, a->e[i].v, v);
        if (found != 1) return found;
    }
    return 1;
}

static int eq_range(const struct tpl_range *a, const struct tpl_range *b)
{
    if (a->n != b->n) return 0;
    return a->n == 0 || (a->start == b->start && (a->n == 1 || a->step == b->step));
}

static int eq_deep(struct tpl_run *r, struct val a, struct val b)
{
    switch (a.kind) {
    case TPL_LIST:
    case TPL_TUPLE: return eq_seq(r, a.u.l, b.u.l);
    case TPL_DICT: return eq_dict(r, a.u.d, b.u.d, 0);
    case TPL_VIEW:
        if (a.sub != b.sub || a.sub == TPL_VALUES) return a.u.d == b.u.d && a.sub == b.sub;
        return eq_dict(r, a.u.d, b.u.d, a.sub == TPL_KEYS);
    default: return tpl_val_same(a, b);
    }
}

int tpl_val_eq(struct tpl_run *r, struct val a, struct val b)
{
    if (tpl_is_number(a) && tpl_is_number(b)) {
        int c = tpl_val_compare(r, a, b);
        return c == -2 ? -1 : c == 0;
    }
    if (a.kind != b.kind) return 0;
    switch (a.kind) {
    case TPL_UNDEF:
    case TPL_NONE: return 1;
    case TPL_STR:
    case TPL_BYTES:
        if (a.u.s == b.u.s) return 1;
        if (a.u.s->n != b.u.s->n) return 0;
        return tpl_step_bytes(r, a.u.s->n) ? -1 : str_eq(tpl_view(a), tpl_view(b));
    case TPL_RANGE: return eq_range(a.u.range, b.u.range);
    default: break;
    }
    if (tpl_enter(r)) return -1;
    int e = eq_deep(r, a, b);
    tpl_leave(r);
    return e;
}

int tpl_val_same(struct val a, struct val b)
{
    if (a.kind != b.kind) return 0;
    switch (a.kind) {
    case TPL_NONE: return 1;
    case TPL_BOOL:
    case TPL_INT: return a.u.i == b.u.i;
    case TPL_FLOAT: return a.u.f == b.u.f;
    case TPL_LIST:
    case TPL_TUPLE: return a.u.l == b.u.l || (a.kind == TPL_TUPLE && !a.u.l->n && !b.u.l->n);
    case TPL_STR:
    case TPL_BYTES:
        return a.u.s == b.u.s ||
               (a.markup == b.markup && a.u.s->p == b.u.s->p && a.u.s->n == b.u.s->n) ||
               (a.u.s->n == 0 && b.u.s->n == 0);
    case TPL_METHOD: return 0;
    default: return a.u.d == b.u.d && a.sub == b.sub;
    }
}

/* ---- order ---- */

static int holds(int c, const char *op)
{
    if (c == 2) return 0;
    if (op[0] == '<') return op[1] ? c <= 0 : c < 0;
    return op[1] ? c >= 0 : c > 0;
}

static int order_seq(struct tpl_run *r, const struct tpl_list *a, const struct tpl_list *b,
                     const char *op)
{
    size_t n = a->n < b->n ? a->n : b->n;
    for (size_t i = 0; i < n; i++) {
        if (tpl_step(r, 1)) return -1;
        int e = tpl_val_same(a->p[i], b->p[i]) ? 1 : tpl_val_eq(r, a->p[i], b->p[i]);
        if (e < 0) return -1;
        if (!e) return tpl_val_order(r, a->p[i], b->p[i], op);
    }
    return holds(a->n < b->n ? -1 : a->n > b->n, op);
}

static int order_text(struct tpl_run *r, struct str a, struct str b, const char *op)
{
    size_t n = a.n < b.n ? a.n : b.n;
    if (tpl_step_bytes(r, n)) return -1;
    int c = str_cmp(a, b);
    return holds(c < 0 ? -1 : c > 0, op);
}

int tpl_val_order(struct tpl_run *r, struct val a, struct val b, const char *op)
{
    if (tpl_is_number(a) && tpl_is_number(b)) {
        int c = tpl_val_compare(r, a, b);
        return c == -2 ? -1 : holds(c, op);
    }
    if (a.kind == TPL_UNDEF) return tpl_undefined_error(r, a), -1;
    if (b.kind == TPL_UNDEF) return tpl_undefined_error(r, b), -1;
    if (a.kind == b.kind && (a.kind == TPL_STR || a.kind == TPL_BYTES))
        return order_text(r, tpl_view(a), tpl_view(b), op);
    if (a.kind == b.kind && tpl_is_seq(a)) {
        if (tpl_enter(r)) return -1;
        int c = order_seq(r, a.u.l, b.u.l, op);
        tpl_leave(r);
        return c;
    }
    tpl_type_error(r, "'%s' not supported between instances of '%s' and '%s'", op, tpl_val_type(a),
                   tpl_val_type(b));
    return -1;
}

/* ---- hash ---- */

uint32_t tpl_val_hash_str(struct str s)
{
    uint64_t h = 0xcbf29ce484222325;
    for (size_t i = 0; i < s.n; i++) h = (h ^ (unsigned char)s.p[i]) * 0x100000001b3;
    return (uint32_t)(h ^ h >> 32);
}

static uint32_t mix(uint64_t x) { return (uint32_t)(rng_splitmix(&x) >> 32); }

static int hash_float(struct tpl_run *r, double f, uint32_t *h)
{
    uint64_t bits;
    if (isfinite(f) && f == trunc(f)) { /* equal to an integer: the same hash */
        struct val v = tpl_int_from_double(r, f);
        return tpl_bad(v) ? -1 : tpl_val_hash(r, v, h);
    }
    memcpy(&bits, &f, sizeof bits);
    *h = mix(bits);
    return 0;
}

int tpl_val_hash(struct tpl_run *r, struct val v, uint32_t *h)
{
    switch (v.kind) {
    case TPL_BOOL:
    case TPL_INT: *h = mix((uint64_t)v.u.i); return 0;
    case TPL_BIG:
        *h = (uint32_t)v.u.big->negative;
        for (size_t i = 0; i < v.u.big->n; i++) *h = mix((uint64_t)*h << 32 | v.u.big->limb[i]);
        return 0;
    case TPL_FLOAT: return hash_float(r, v.u.f, h);
    case TPL_STR:
    case TPL_BYTES: *h = tpl_val_hash_str(tpl_view(v)); return tpl_step_bytes(r, v.u.s->n);
    case TPL_TUPLE:
        *h = 7;
        if (tpl_enter(r)) return -1;
        for (size_t i = 0; i < v.u.l->n; i++) {
            uint32_t x;
            if (tpl_step(r, 1) || tpl_val_hash(r, v.u.l->p[i], &x)) return tpl_leave(r), -1;
            *h = mix((uint64_t)*h << 32 | x);
        }
        tpl_leave(r);
        return 0;
    case TPL_RANGE: *h = mix(v.u.range->n); return 0;
    case TPL_UNDEF:
    case TPL_NONE: *h = v.kind; return 0;
    case TPL_LIST:
    case TPL_DICT: return -1;
    case TPL_VIEW:
        if (v.sub != TPL_VALUES) return -1;
        *h = mix((uint64_t)(uintptr_t)v.u.d);
        return 0;
    default: *h = mix((uint64_t)(uintptr_t)v.u.d); return 0;
    }
}

/* ---- len, in ---- */

int tpl_val_len(struct tpl_run *r, struct val v, size_t *n)
{
    switch (v.kind) {
    case TPL_UNDEF: *n = 0; return 0;
    case TPL_STR:
        if (v.u.s->chars == TPL_UNKNOWN && tpl_step_bytes(r, v.u.s->n / 8)) return -1;
        *n = tpl_str_chars(v.u.s);
        return 0;
    case TPL_BYTES: *n = v.u.s->n; return 0;
    case TPL_LIST:
    case TPL_TUPLE: *n = v.u.l->n; return 0;
    case TPL_DICT:
    case TPL_VIEW: *n = v.u.d->n; return 0;
    case TPL_RANGE: *n = v.u.range->n; return 0;
    case TPL_LOOP: return tpl_loop_length(r, v.u.loop, n);
    default: break;
    }
    tpl_type_error(r, "object of type '%s' has no len()", tpl_val_type(v));
    return -1;
}

static int in_iterable(struct tpl_run *r, struct val item, struct val in)
{
    struct tpl_iter mem, *it = tpl_iter_open(r, in, &mem);
    struct val v;
    int got;
    if (!it) return -1;
    while ((got = tpl_iter_next(r, it, &v)) == 1) {
        int e = tpl_val_same(v, item) ? 1 : tpl_val_eq(r, v, item);
        if (e) return e;
    }
    return got;
}

int tpl_val_in(struct tpl_run *r, struct val item, struct val in)
{
    struct val v;
    uint32_t h;
    switch (in.kind) {
    case TPL_STR:
        if (tpl_is_str(item)) {
            if (tpl_step_bytes(r, in.u.s->n)) return -1;
            return tpl_str_find(tpl_view(in), tpl_view(item)) >= 0;
        }
        tpl_type_error(r, "'in <string>' requires string as left operand, not %s",
                       tpl_val_type(item));
        return -1;
    case TPL_BYTES:
        if (item.kind == TPL_BYTES) return tpl_str_find(tpl_view(in), tpl_view(item)) >= 0;
        return in_iterable(r, item, in);
    case TPL_DICT: break;
    case TPL_VIEW:
        if (in.sub == TPL_KEYS) break;
        return in_iterable(r, item, in);
    case TPL_RANGE:
        if (tpl_is_small(item)) {
            const struct tpl_range *g = in.u.range;
            if (!g->n) return 0;
            int up = g->step > 0;
            if (up ? item.u.i < g->start : item.u.i > g->start) return 0;
            uint64_t d = (uint64_t)item.u.i - (uint64_t)g->start, step = (uint64_t)g->step;
            if (!up) d = -d, step = -step;
            return d % step == 0 && d / step < g->n;
        }
        return in_iterable(r, item, in);
    default:
        if (tpl_iter_can(in)) return in_iterable(r, item, in);
        tpl_type_error(r, "argument of type '%s' is not iterable", tpl_val_type(in));
        return -1;
    }
    if (tpl_val_hash(r, item, &h)) {
        tpl_type_error(r, "unhashable type: '%s'", tpl_val_type(item));
        return -1;
    }
    return tpl_dict_get(r, in.u.d, item, &v);
}

int tpl_val_callable(struct val v)
{
    return v.kind == TPL_MACRO || v.kind == TPL_FUNC || v.kind == TPL_METHOD ||
           v.kind == TPL_LOOP || v.kind == TPL_JOINER || v.kind == TPL_BLOCK || v.kind == TPL_UNDEF;
}

int tpl_val_index(struct tpl_run *r, struct val v, int64_t *i)
{
    if (v.kind == TPL_BIG) {
        *i = v.u.big->negative ? INT64_MIN : INT64_MAX;
        return 0;
    }
    if (tpl_is_small(v)) {
        *i = v.u.i;
        return 0;
    }
    if (v.kind == TPL_UNDEF)
        tpl_undefined_error(r, v);
    else
        tpl_type_error(r, "'%s' object cannot be interpreted as an integer", tpl_val_type(v));
    return -1;
}

/* ---- input ---- */

static struct val number(struct tpl_run *r, const struct json *j)
{
    if (j->is_int) return tpl_int(j->i);
    for (size_t i = 0; i < j->s.n; i++)
        if (j->s.p[i] == '.' || j->s.p[i] == 'e' || j->s.p[i] == 'E') return tpl_float(j->num);
    return tpl_num_parse_int(r, j->s, 10);
}

static struct val nested(struct tpl_run *r, const struct json *j)
{
    if (j->kind == JSON_ARRAY) {
        struct val l = tpl_list_new(r, TPL_LIST, j->n);
        size_t i = 0;
        for (const struct json *c = j->child; c && !tpl_bad(l); c = c->next) {
            struct val v = tpl_val_json(r, c);
            if (tpl_bad(v)) return v;
            l.u.l->p[i++] = v;
        }
        return l;
    }
    struct val d = tpl_dict_new(r);
    for (const struct json *c = j->child; c && !tpl_bad(d); c = c->next) {
        struct val k = tpl_str_view(r, c->key), v = tpl_val_json(r, c);
        if (tpl_bad(k) || tpl_bad(v) || tpl_dict_set(r, d.u.d, k, v)) return tpl_failed();
    }
    return d;
}

struct val tpl_val_json(struct tpl_run *r, const struct json *j)
{
    if (tpl_step(r, 1)) return tpl_failed();
    switch (j->kind) {
    case JSON_NULL: return tpl_none();
    case JSON_BOOL: return tpl_bool(j->boolean);
    case JSON_NUMBER: return number(r, j);
    case JSON_STRING: return tpl_str_view(r, j->s);
    default: break;
    }
    if (tpl_enter(r)) return tpl_failed();
    struct val v = nested(r, j);
    tpl_leave(r);
    return v;
}
