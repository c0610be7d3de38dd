/* SPDX-License-Identifier: Apache-2.0
 *
 * text/template_percent.c: "..." % args, and the format filter.
 */
#include "base/utf8.h"
#include "text/template_val.h"

struct args {
    struct tpl_run *r;
    const struct val *p; /* what is left */
    size_t n;
    struct val all;
    int escape; /* the format is Markup: what goes in is escaped */
};

static int next(struct args *a, struct val *v)
{
    if (!a->n) return tpl_type_error(a->r, "not enough arguments for format string"), -1;
    *v = *a->p++;
    a->n--;
    return 0;
}

/* Digits, or '*' for the next argument. */
static int star(struct args *a, struct str s, size_t *i, int64_t *out)
{
    struct val v;
    if (*i < s.n && s.p[*i] == '*') {
        ++*i;
        if (next(a, &v)) return -1;
        if (!tpl_is_integer(v)) return tpl_type_error(a->r, "* wants int"), -1;
        return tpl_val_index(a->r, v, out);
    }
    for (*out = 0; *i < s.n && s.p[*i] >= '0' && s.p[*i] <= '9'; ++*i) {
        *out = *out * 10 + (s.p[*i] - '0');
        if (*out > INT32_MAX) return tpl_fail(a->r, LAR_ELIMIT, "a width too big"), -1;
    }
    return 0;
}

static int text(struct args *a, struct val v, const struct tpl_spec *sp)
{
    struct tpl_run *r = a->r;
    size_t begin = tpl_begin(r);
    if (sp->type == 's') {
        v = tpl_repr_soft(r, v);
    } else {
        if (tpl_repr_to(r, &r->work, v, 1) && !r->work.failed) return -1;
        v = tpl_end(r, begin);
    }
    if (sp->type == 'a' && !tpl_bad(v)) {
        tpl_format_ascii(&r->work, tpl_view(v));
        v = tpl_end(r, begin);
    }
    if (a->escape && !tpl_bad(v)) v = tpl_str_escape(r, v);
    return tpl_bad(v) ? -1 : tpl_format_text(r, tpl_view(v), sp);
}

static int character(struct args *a, struct val v, struct tpl_spec *sp)
{
    char c[4];
    sp->precision = -1;
    if (tpl_is_str(v) && tpl_str_chars(v.u.s) == 1) return tpl_format_text(a->r, tpl_view(v), sp);
    if (!tpl_is_small(v) || v.u.i < 0 || v.u.i > 0x10ffff || (v.u.i >= 0xd800 && v.u.i < 0xe000))
        return tpl_type_error(a->r, "%%c requires int or char"), -1;
    return tpl_format_text(a->r, (struct str){c, utf8_encode((uint32_t)v.u.i, c)}, sp);
}

static int convert(struct args *a, struct val v, struct tpl_spec *sp)
{
    struct tpl_run *r = a->r;
    double f;
    switch (sp->type) {
    case 's':
    case 'r':
    case 'a':
    case 'c':
        if (sp->align == '=') sp->align = 0, sp->fill = STR(" ");
        if (!sp->align) sp->align = '>';
        return sp->type == 'c' ? character(a, v, sp) : text(a, v, sp);
    case 'd':
    case 'i':
    case 'u':
        sp->type = 'd';
        if (v.kind == TPL_FLOAT) v = tpl_num_from_float(r, v.u.f);
        if (tpl_bad(v)) return -1;
        if (v.kind == TPL_UNDEF) return tpl_undefined_error(r, v), -1;
        if (!tpl_is_integer(v))
            return tpl_type_error(r, "%%d format: a real number is required, not %s",
                                  tpl_val_type(v)),
                   -1;
        return tpl_format_int(r, v, sp);
    case 'x':
    case 'X':
    case 'o':
        if (!tpl_is_integer(v))
            return tpl_type_error(r, "%%%c format: an integer is required, not %s", sp->type,
                                  tpl_val_type(v)),
                   -1;
        return tpl_format_int(r, v, sp);
    case 'e':
    case 'E':
    case 'f':
    case 'F':
    case 'g':
    case 'G':
        if (v.kind == TPL_UNDEF) return tpl_undefined_error(r, v), -1;
        if (!tpl_is_number(v))
            return tpl_type_error(r, "must be real number, not %s", tpl_val_type(v)), -1;
        if (tpl_bad(tpl_num_to_float(r, v, &f))) return -1;
        if (sp->precision < 0) sp->precision = 6;
        return tpl_format_float(r, f, sp);
    default: return tpl_type_error(r, "unsupported format character '%c'", sp->type), -1;
    }
}

/* One conversion; s.p[*i] is the character after the '%'. */
static int field(struct args *a, struct str s, size_t *i)
{
    struct tpl_run *r = a->r;
    struct tpl_spec sp = {.fill = STR(" "), .precision = -1};
    struct val v = tpl_missing();
    int zero = 0;
    if (*i < s.n && s.p[*i] == '(') {
        size_t from = ++*i;
        int depth = 1;
        for (; *i < s.n && depth; ++*i) depth += (s.p[*i] == '(') - (s.p[*i] == ')');
        if (depth) return tpl_type_error(r, "incomplete format key"), -1;
        if (a->all.kind != TPL_DICT) return tpl_type_error(r, "format requires a mapping"), -1;
        const struct val *found =
            tpl_dict_str(r, a->all.u.d, (struct str){s.p + from, *i - 1 - from});
        if (!found)
            return tpl_type_error(r, "the mapping has no '%.*s'",
                                  STR_ARG(((struct str){s.p + from, *i - 1 - from}))),
                   -1;
        v = *found;
        a->n = 0;
    }
    for (; *i < s.n && s.p[*i] && strchr("-+ #0", s.p[*i]); ++*i) {
        char c = s.p[*i];
        if (c == '-')
            sp.align = '<';
        else if (c == '+')
            sp.sign = '+';
        else if (c == ' ')
            sp.sign = sp.sign ? sp.sign : ' ';
        else if (c == '#')
            sp.alternate = 1;
        else
            zero = 1;
    }
    if (star(a, s, i, &sp.width)) return -1;
    if (sp.width < 0) sp.align = '<', sp.width = sp.width < -INT32_MAX ? INT32_MAX : -sp.width;
    if (zero && sp.align != '<') sp.align = '=', sp.fill = STR("0");
    if (*i < s.n && s.p[*i] == '.') {
        ++*i;
        if (star(a, s, i, &sp.precision)) return -1;
        if (sp.precision < 0) sp.precision = 0;
    }
    if (*i < s.n && s.p[*i] && strchr("hlL", s.p[*i])) ++*i;
    if (*i >= s.n) return tpl_type_error(r, "incomplete format"), -1;
    sp.type = s.p[(*i)++];
    if (sp.type == '%') {
        buf_putc(&r->work, '%');
        return 0;
    }
    if (v.kind == TPL_MISSING && next(a, &v)) return -1;
    return convert(a, v, &sp);
}

static int is_mapping(struct val v)
{
    return v.kind == TPL_DICT || v.kind == TPL_LIST || v.kind == TPL_BYTES || v.kind == TPL_RANGE ||
           v.kind == TPL_UNDEF;
}

struct val tpl_percent(struct tpl_run *r, struct val fmt, struct val args)
{
    struct str s = tpl_view(fmt);
    struct args a = {.r = r, .p = &args, .n = 1, .all = args, .escape = fmt.markup};
    size_t begin = tpl_begin(r), from = 0;
    if (args.kind == TPL_TUPLE) a.p = args.u.l->p, a.n = args.u.l->n;
    if (tpl_step_bytes(r, s.n)) return tpl_failed();
    for (size_t i = 0; i < s.n;) {
        if (s.p[i] != '%') {
            i++;
            continue;
        }
        buf_add(&r->work, s.p + from, i - from);
        i++;
        if (tpl_step(r, 1) || field(&a, s, &i)) return tpl_failed();
        from = i;
    }
    buf_add(&r->work, s.p + from, s.n - from);
    if (a.n && !is_mapping(args))
        return tpl_type_error(r, "not all arguments converted during string formatting");
    struct val v = tpl_end(r, begin);
    v.markup = fmt.markup;
    return v;
}
