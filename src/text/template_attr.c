/* SPDX-License-Identifier: Apache-2.0
 *
 * text/template_attr.c: x.name and x["name"], by the rules of Jinja's sandbox: the dot looks for an
 * attribute first and an item second, the brackets the other way round; names with an underscore
 * and methods that change their object give an undefined value that complains when it is used.
 */
#include "text/template_ast.h"

static int is_one_of(struct str name, const char *const *list)
{
    for (; *list; list++)
        if (str_is(name, *list)) return 1;
    return 0;
}

/* Attributes that exist but that templates may not have. */
static int is_unsafe(struct val of, struct str name)
{
    static const char *const object[] = {"__class__",
                                         "__doc__",
                                         "__init__",
                                         "__new__",
                                         "__repr__",
                                         "__str__",
                                         "__eq__",
                                         "__ne__",
                                         "__lt__",
                                         "__le__",
                                         "__gt__",
                                         "__ge__",
                                         "__hash__",
                                         "__dir__",
                                         "__format__",
                                         "__getattribute__",
                                         "__setattr__",
                                         "__delattr__",
                                         "__reduce__",
                                         "__reduce_ex__",
                                         "__sizeof__",
                                         "__subclasshook__",
                                         "__init_subclass__",
                                         "__getstate__",
                                         NULL};
    static const char *const list[] = {"append", "clear",  "pop",    "reverse", "insert",
                                       "sort",   "extend", "remove", NULL};
    static const char *const dict[] = {"clear", "pop", "popitem", "setdefault", "update", NULL};
    static const char *const container[] = {"__len__",      "__iter__",    "__contains__",
                                            "__getitem__",  "__setitem__", "__delitem__",
                                            "__reversed__", NULL};
    if (name.n && name.p[0] == '_') {
        if (of.kind == TPL_NS) return str_is(name, "__class__");
        return is_one_of(name, object) ||
               ((tpl_is_seq(of) || of.kind == TPL_DICT || tpl_is_str(of)) &&
                is_one_of(name, container));
    }
    return (of.kind == TPL_LIST && is_one_of(name, list)) ||
           (of.kind == TPL_DICT && is_one_of(name, dict));
}

static const struct tpl_sig *find(const struct tpl_sig *table, struct str name)
{
    for (; table && table->name; table++)
        if (table->name[0] == name.p[0] && str_is(name, table->name)) return table;
    return NULL;
}

static const struct tpl_sig *methods_of(struct val of)
{
    switch (of.kind) {
    case TPL_STR: return tpl_str_methods;
    case TPL_LIST:
    case TPL_TUPLE: return tpl_list_methods + (of.kind == TPL_TUPLE); /* the first is copy */
    case TPL_DICT: return tpl_dict_methods;
    case TPL_BOOL:
    case TPL_INT:
    case TPL_BIG: return tpl_int_methods;
    case TPL_FLOAT: return tpl_float_methods;
    case TPL_BYTES: return tpl_bytes_methods;
    case TPL_RANGE: return tpl_range_methods;
    case TPL_LOOP: return tpl_loop_methods;
    case TPL_CYCLER: return tpl_cycle_methods;
    default: return NULL;
    }
}

static struct val bound(struct tpl_run *r, struct val of, const struct tpl_sig *sig)
{
    struct tpl_method *m = tpl_alloc(r, sizeof *m);
    if (!m) return tpl_failed();
    *m = (struct tpl_method){of, sig};
    return (struct val){.kind = TPL_METHOD, .u.method = m};
}

static struct val number_attr(struct tpl_run *r, struct val of, struct str name)
{
    int real = of.kind == TPL_FLOAT;
    if (tpl_is_small(of)) of = tpl_int(of.u.i);
    if (str_is(name, "real")) return of;
    if (str_is(name, "imag")) return real ? tpl_float(0) : tpl_int(0);
    if (!real && str_is(name, "numerator")) return of;
    if (!real && str_is(name, "denominator")) return tpl_int(1);
    (void)r;
    return tpl_missing();
}

static struct val macro_attr(struct tpl_run *r, const struct tpl_body *m, struct str name)
{
    if (str_is(name, "name"))
        return m->name == UINT32_MAX ? tpl_none() : tpl_str_view(r, r->t->name[m->name]);
    if (str_is(name, "catch_kwargs")) return tpl_bool(m->kwargs >= 0);
    if (str_is(name, "catch_varargs")) return tpl_bool(m->varargs >= 0);
    if (str_is(name, "caller")) return tpl_bool(m->caller >= 0);
    if (str_is(name, "explicit_caller")) return tpl_bool(m->explicit_caller);
    if (!str_is(name, "arguments")) return tpl_missing();
    struct val v = tpl_list_new(r, TPL_TUPLE, m->nparam);
    for (size_t i = 0; i < m->nparam && !tpl_bad(v); i++) {
        struct val s = tpl_str_view(r, r->t->name[m->param[i].name]);
        if (tpl_bad(s)) return s;
        v.u.l->p[i] = s;
    }
    return v;
}

static struct val other_attr(struct tpl_run *r, struct val of, struct str name)
{
    const struct val *found;
    switch (of.kind) {
    case TPL_NS: found = tpl_dict_str(r, of.u.d, name); return found ? *found : tpl_missing();
    case TPL_LOOP: return tpl_loop_attr(r, of.u.loop, name);
    case TPL_MACRO: return macro_attr(r, of.u.macro->body, name);
    case TPL_BOOL:
    case TPL_INT:
    case TPL_BIG:
    case TPL_FLOAT: return number_attr(r, of, name);
    case TPL_RANGE:
        if (str_is(name, "start")) return tpl_int(of.u.range->start);
        if (str_is(name, "stop")) return tpl_int(of.u.range->stop);
        if (str_is(name, "step")) return tpl_int(of.u.range->step);
        return tpl_missing();
    case TPL_TUPLE: /* groupby gives named pairs */
        if (!of.sub) return tpl_missing();
        if (str_is(name, "grouper")) return of.u.l->p[0];
        if (str_is(name, "list")) return of.u.l->p[1];
        return tpl_missing();
    case TPL_CYCLER:
        if (str_is(name, "current")) return of.u.cycle->items->p[of.u.cycle->at];
        if (str_is(name, "pos")) return tpl_size(of.u.cycle->at);
        return tpl_missing();
    case TPL_JOINER:
        if (str_is(name, "sep")) return of.u.cycle->items->p[0];
        if (str_is(name, "used")) return tpl_bool(of.u.cycle->at != 0);
        return tpl_missing();
    default: return tpl_missing();
    }
}

struct val tpl_attr_own(struct tpl_run *r, struct val of, struct str name)
{
    if (!name.n) return tpl_missing();
    if (of.kind == TPL_UNDEF) return tpl_undefined_error(r, of);
    const struct tpl_sig *m = find(methods_of(of), name);
    if (m) return bound(r, of, m);
    struct val v = other_attr(r, of, name);
    if (v.kind != TPL_MISSING) return v;
    if (!is_unsafe(of, name)) return tpl_missing();
    struct val n = tpl_str_view(r, name);
    return tpl_bad(n) ? n : tpl_val_undef_attr(r, of, n, 1);
}

static struct val index_seq(struct tpl_run *r, struct val of, struct val key)
{
    int64_t i;
    size_t n;
    if (tpl_val_index(r, key, &i) || tpl_val_len(r, of, &n)) return tpl_failed();
    if (i < 0) i += (int64_t)n;
    if (i < 0 || (uint64_t)i >= n) return tpl_missing();
    if (tpl_is_seq(of)) return of.u.l->p[i];
    if (of.kind == TPL_RANGE)
        return tpl_int(
            (int64_t)((uint64_t)of.u.range->start + (uint64_t)of.u.range->step * (uint64_t)i));
    return tpl_str_char(r, of, (size_t)i);
}

/* of[key], TPL_MISSING when there is no such item. */
static struct val item(struct tpl_run *r, struct val of, struct val key)
{
    struct val v;
    int found;
    switch (of.kind) {
    case TPL_DICT:
        if (tpl_is_str(key)) {
            const struct val *p = tpl_dict_str(r, of.u.d, tpl_view(key));
            return p ? *p : tpl_missing();
        }
        found = tpl_dict_get(r, of.u.d, key, &v);
        return r->failed ? tpl_failed() : found == 1 ? v : tpl_missing();
    case TPL_STR:
    case TPL_BYTES:
    case TPL_LIST:
    case TPL_TUPLE:
    case TPL_RANGE: return tpl_is_integer(key) ? index_seq(r, of, key) : tpl_missing();
    case TPL_SELF:
        for (size_t i = 0; tpl_is_str(key) && i < r->t->nblock; i++) {
            if (!str_eq(r->t->block[i].name, tpl_view(key))) continue;
            struct tpl_block_ref *ref = tpl_alloc(r, sizeof *ref);
            if (!ref) return tpl_failed();
            *ref = (struct tpl_block_ref){&r->t->block[i], of.u.ctx};
            return (struct val){.kind = TPL_BLOCK, .u.block = ref};
        }
        return tpl_missing();
    case TPL_UNDEF: return tpl_undefined_error(r, of);
    default: return tpl_missing();
    }
}

struct val tpl_attr_get(struct tpl_run *r, struct val of, struct val name)
{
    struct val v = tpl_attr_own(r, of, tpl_view(name));
    if (v.kind == TPL_MISSING) v = item(r, of, name);
    return v.kind == TPL_MISSING ? tpl_val_undef_attr(r, of, name, 0) : v;
}

struct val tpl_attr_item(struct tpl_run *r, struct val of, struct val key)
{
    struct val v = item(r, of, key);
    if (v.kind == TPL_MISSING && tpl_is_str(key)) v = tpl_attr_own(r, of, tpl_view(key));
    return v.kind == TPL_MISSING ? tpl_val_undef_attr(r, of, key, 0) : v;
}

/* ---- paths ---- */

struct val tpl_attr_parts(struct tpl_run *r, struct val path)
{
    struct val parts = tpl_list_new(r, TPL_LIST, 0);
    if (tpl_bad(parts) || path.kind == TPL_NONE || path.kind == TPL_MISSING) return parts;
    if (!tpl_is_str(path)) return tpl_list_push(r, parts.u.l, path) ? tpl_failed() : parts;
    struct str s = tpl_view(path);
    for (size_t at = 0; at <= s.n;) {
        int64_t f = tpl_str_find(str_from(s, at), STR("."));
        struct str part = {s.p + at, f < 0 ? s.n - at : (size_t)f};
        struct val v = tpl_str_cut(r, path, part), number = tpl_missing();
        size_t digits = 0;
        while (digits < part.n && part.p[digits] >= '0' && part.p[digits] <= '9') digits++;
        if (part.n && digits == part.n) number = tpl_num_parse_int(r, part, 10);
        if (number.kind != TPL_MISSING) v = number;
        if (tpl_bad(v) || tpl_list_push(r, parts.u.l, v)) return tpl_failed();
        at += part.n + 1;
    }
    return parts;
}

struct val tpl_attr_path(struct tpl_run *r, struct val of, struct val parts, struct val otherwise)
{
    for (size_t i = 0; i < parts.u.l->n && !tpl_bad(of); i++) {
        if (tpl_step(r, 1)) return tpl_failed();
        of = tpl_attr_item(r, of, parts.u.l->p[i]);
        if (of.kind == TPL_UNDEF && otherwise.kind != TPL_MISSING && otherwise.kind != TPL_NONE)
            of = otherwise;
    }
    return of;
}
