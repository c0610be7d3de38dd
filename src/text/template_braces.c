/* SPDX-License-Identifier: Apache-2.0
 *
 * text/template_braces.c: "{} {name!r:>{width}}".format(...), with attributes and items looked up
 * by the sandbox's rules.
 */
#include "text/template_val.h"

struct call {
    struct tpl_run *r;
    const struct tpl_args *args;
    struct val map; /* format_map, else TPL_MISSING */
    size_t count;   /* automatic numbers given out */
    int manual;     /* numbers were written */
    int escape;
};

static int expand(struct call *c, struct str s, int depth);

static int is_number(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] < '0' || s.p[i] > '9') return 0;
    return s.n > 0;
}

static struct val index_val(struct call *c, struct str s)
{
    return is_number(s) ? tpl_num_parse_int(c->r, s, 10) : tpl_str_new(c->r, s);
}

static struct val first(struct call *c, struct str name)
{
    struct tpl_run *r = c->r;
    size_t i = c->count;
    if (!name.n || is_number(name)) {
        if (name.n) {
            struct val n = tpl_num_parse_int(r, name, 10);
            if (tpl_bad(n)) return n;
            i = n.kind == TPL_INT ? (size_t)n.u.i : SIZE_MAX;
            if (c->count)
                return tpl_type_error(r, "cannot switch from automatic field numbering to manual");
            c->manual = 1;
        } else {
            if (c->manual)
                return tpl_type_error(r, "cannot switch from manual field numbering to automatic");
            c->count++;
        }
        if (c->map.kind != TPL_MISSING || i >= c->args->npos)
            return tpl_type_error(r, "replacement index %zu out of range for positional args tuple",
                                  i);
        return c->args->pos[i];
    }
    if (c->map.kind == TPL_DICT) {
        const struct val *v = tpl_dict_str(r, c->map.u.d, name);
        if (v) return *v;
    }
    for (size_t k = 0; c->map.kind == TPL_MISSING && k < c->args->nkw; k++)
        if (str_eq(c->args->kw[k].name, name)) return c->args->kw[k].v;
    return tpl_type_error(r, "format has no argument '%.*s'", STR_ARG(name));
}

/* name.attribute[item]... */
static struct val look_up(struct call *c, struct str s)
{
    size_t i = 0;
    while (i < s.n && s.p[i] != '.' && s.p[i] != '[') i++;
    if (i == 0 && s.n) return tpl_type_error(c->r, "format has no argument ''");
    struct val v = first(c, (struct str){s.p, i});
    while (i < s.n && !tpl_bad(v)) {
        char kind = s.p[i++];
        size_t from = i;
        while (i < s.n && (kind == '[' ? s.p[i] != ']' : s.p[i] != '.' && s.p[i] != '[')) i++;
        struct str part = {s.p + from, i - from};
        if ((kind != '.' && kind != '[') || !part.n)
            return tpl_type_error(c->r, "empty attribute in format string");
        if (kind == '[') {
            if (i++ >= s.n) return tpl_type_error(c->r, "missing ']' in format string");
            struct val key = index_val(c, part);
            v = tpl_bad(key) ? key : tpl_attr_item(c->r, v, key);
        } else {
            struct val name = tpl_str_new(c->r, part);
            v = tpl_bad(name) ? name : tpl_attr_get(c->r, v, name);
        }
    }
    return v;
}

static struct val converted(struct call *c, struct val v, char how)
{
    struct tpl_run *r = c->r;
    size_t begin = tpl_begin(r);
    if (how == 's') return tpl_repr_str(r, v);
    if (how != 'r' && how != 'a')
        return tpl_type_error(r, "unknown conversion specifier '%c'", how);
    if (tpl_repr_to(r, &r->work, v, 1) && !r->work.failed) return tpl_failed();
    v = tpl_end(r, begin);
    if (how == 'r' || tpl_bad(v)) return v;
    tpl_format_ascii(&r->work, tpl_view(v));
    return tpl_end(r, begin);
}

/* The field between its braces. */
static int field(struct call *c, struct str s, int depth)
{
    struct tpl_run *r = c->r;
    size_t end = 0;
    char how = 0;
    while (end < s.n && s.p[end] != ':' && s.p[end] != '!') {
        if (s.p[end] == '{') return tpl_type_error(r, "unexpected '{' in field name"), -1;
        if (s.p[end] == '[')
            while (end + 1 < s.n && s.p[end] != ']') end++;
        end++;
    }
    struct str name = {s.p, end}, spec = {s.p + s.n, 0};
    if (end < s.n && s.p[end] == '!') {
        if (end + 1 >= s.n)
            return tpl_type_error(r, "end of string while looking for conversion specifier"), -1;
        how = s.p[end + 1];
        end += 2;
        if (end < s.n && s.p[end] != ':')
            return tpl_type_error(r, "expected ':' after conversion specifier"), -1;
    }
    if (end < s.n) spec = str_from(s, end + 1);
    struct val v = look_up(c, name);
    if (!tpl_bad(v) && how) v = converted(c, v, how);
    if (tpl_bad(v)) return -1;
    size_t begin = tpl_begin(r);
    if (spec.n && memchr(spec.p, '{', spec.n)) {
        if (expand(c, spec, depth + 1)) return -1;
        struct val text = tpl_end(r, begin);
        if (tpl_bad(text)) return -1;
        spec = tpl_view(text);
    }
    if (tpl_format_value(r, v, spec)) return -1;
    if (!c->escape || (tpl_is_str(v) && v.markup)) return 0;
    v = tpl_end(r, begin);
    if (tpl_bad(v)) return -1;
    tpl_str_escape_to(&r->work, tpl_view(v));
    return 0;
}

static int expand(struct call *c, struct str s, int depth)
{
    struct tpl_run *r = c->r;
    if (depth > 1) return tpl_type_error(r, "max string recursion exceeded"), -1;
    for (size_t i = 0; i < s.n;) {
        char ch = s.p[i];
        if (ch != '{' && ch != '}') {
            size_t from = i;
            while (i < s.n && s.p[i] != '{' && s.p[i] != '}') i++;
            buf_add(&r->work, s.p + from, i - from);
            continue;
        }
        i++;
        if (i < s.n && s.p[i] == ch) {
            buf_putc(&r->work, ch);
            i++;
            continue;
        }
        if (ch == '}') return tpl_type_error(r, "single '}' encountered in format string"), -1;
        size_t from = i;
        int open = 1, bracket = 0;
        for (; i < s.n && open; i++) {
            if (s.p[i] == '[' && open == 1)
                bracket = 1;
            else if (s.p[i] == ']')
                bracket = 0;
            else if (!bracket)
                open += (s.p[i] == '{') - (s.p[i] == '}');
        }
        if (open) return tpl_type_error(r, "expected '}' before end of string"), -1;
        if (tpl_step(r, 1) || field(c, (struct str){s.p + from, i - 1 - from}, depth)) return -1;
    }
    return 0;
}

struct val tpl_braces(struct tpl_run *r, struct val fmt, const struct tpl_args *args,
                      struct val map)
{
    struct call c = {.r = r, .args = args, .map = map, .escape = fmt.markup};
    size_t begin = tpl_begin(r);
    if (tpl_step_bytes(r, fmt.u.s->n) || (expand(&c, tpl_view(fmt), 0) && !r->work.failed))
        return tpl_failed();
    struct val v = tpl_end(r, begin);
    v.markup = fmt.markup;
    return v;
}
