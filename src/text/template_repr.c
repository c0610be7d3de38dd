/* SPDX-License-Identifier: Apache-2.0
 *
 * text/template_repr.c: str(x) and repr(x) as Python writes them: what {{ }} prints.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/num.h"
#include "base/utf8.h"
#include "text/template_ast.h"
#include "text/template_char.h"

/* The next decimal of as many digits, away from zero; 0 when it would need one more. */
static int next_decimal(char *t)
{
    for (char *q = strchr(t, 'e') - 1; q >= t; q--) {
        if (*q < '0') continue; /* the point, the sign */
        if (*q != '9') return ++*q, 1;
        *q = '0';
    }
    return 0;
}

/* The shortest digits that read back as f; a point or an exponent as Python sets them. */
void tpl_repr_float(struct buf *b, double f)
{
    char t[40];
    if (isnan(f)) {
        buf_puts(b, "nan");
        return;
    }
    if (isinf(f)) {
        buf_puts(b, f < 0 ? "-inf" : "inf");
        return;
    }
    int e2, power = fabs(frexp(f, &e2)) == 0.5;
    /* 15 digits always survive, but for subnormals; 17 always suffice. At a power of two the doubles
     * below are closer than those above, so when the nearest decimal lies too low the next may do. */
    for (int p = fabs(f) < 0x1p-1022 ? 0 : 14; p < 17; p++) {
        num_print(t, sizeof t, 'e', p, f);
        if (num_parse(t, NULL) == f) break;
        if (power && next_decimal(t) && num_parse(t, NULL) == f) break;
    }
    char *e = strchr(t, 'e'), *digits = t + (t[0] == '-');
    int exp10 = (int)strtol(e + 1, NULL, 10);
    size_t n = 1;
    for (char *q = digits + 2; q < e; q++) digits[n++] = *q;
    while (n > 1 && digits[n - 1] == '0') n--;
    if (t[0] == '-') buf_putc(b, '-');
    if (exp10 < -4 || exp10 >= 16) {
        buf_putc(b, digits[0]);
        if (n > 1) buf_putc(b, '.');
        buf_add(b, digits + 1, n - 1);
        buf_printf(b, "e%c%02d", exp10 < 0 ? '-' : '+', abs(exp10));
        return;
    }
    if (exp10 < 0) {
        buf_add(b, "0.000", (size_t)(1 - exp10));
        buf_add(b, digits, n);
        return;
    }
    for (int i = 0; i <= exp10; i++) buf_putc(b, (size_t)i < n ? digits[i] : '0');
    buf_putc(b, '.');
    if (n > (size_t)exp10 + 1)
        buf_add(b, digits + exp10 + 1, n - (size_t)exp10 - 1);
    else
        buf_putc(b, '0');
}

static char quote_for(struct str s)
{
    return memchr(s.p, '\'', s.n) && !memchr(s.p, '"', s.n) ? '"' : '\'';
}

void tpl_repr_text(struct buf *b, struct str s)
{
    char q = s.n ? quote_for(s) : '\'';
    size_t from = 0;
    buf_putc(b, q);
    for (size_t i = 0, k; i < s.n; i += k) {
        uint32_t cp;
        k = utf8_decode(s.p + i, s.n - i, &cp);
        if (!k) k = 1, cp = 0xfffd;
        if (cp != (uint32_t)q && cp != '\\' && tpl_char_is(cp, TPL_PRINTABLE)) continue;
        buf_add(b, s.p + from, i - from);
        from = i + k;
        if (cp == '\n')
            buf_puts(b, "\\n");
        else if (cp == '\r')
            buf_puts(b, "\\r");
        else if (cp == '\t')
            buf_puts(b, "\\t");
        else if (cp == (uint32_t)q || cp == '\\')
            buf_putc(b, '\\'), buf_putc(b, (char)cp);
        else
            buf_printf(b,
                       cp < 0x100     ? "\\x%02x"
                       : cp < 0x10000 ? "\\u%04x"
                                      : "\\U%08x",
                       (unsigned)cp);
    }
    buf_add(b, s.p + from, s.n - from);
    buf_putc(b, q);
}

static void repr_bytes(struct buf *b, struct str s)
{
    char q = s.n ? quote_for(s) : '\'';
    buf_putc(b, 'b');
    buf_putc(b, q);
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c == '\n')
            buf_puts(b, "\\n");
        else if (c == '\r')
            buf_puts(b, "\\r");
        else if (c == '\t')
            buf_puts(b, "\\t");
        else if (c == (unsigned char)q || c == '\\')
            buf_putc(b, '\\'), buf_putc(b, (char)c);
        else if (c >= 0x20 && c < 0x7f)
            buf_putc(b, (char)c);
        else
            buf_printf(b, "\\x%02x", c);
    }
    buf_putc(b, q);
}

static int repr_list(struct tpl_run *r, struct buf *b, const struct tpl_list *l, const char *around)
{
    buf_putc(b, around[0]);
    for (size_t i = 0; i < l->n; i++) {
        if (i) buf_puts(b, ", ");
        if (tpl_repr_to(r, b, l->p[i], 1)) return -1;
    }
    if (l->n == 1 && around[0] == '(') buf_putc(b, ',');
    buf_putc(b, around[1]);
    return 0;
}

static int repr_dict(struct tpl_run *r, struct buf *b, const struct tpl_dict *d)
{
    buf_putc(b, '{');
    for (size_t i = 0; i < d->n; i++) {
        if (i) buf_puts(b, ", ");
        if (tpl_repr_to(r, b, d->e[i].k, 1)) return -1;
        buf_puts(b, ": ");
        if (tpl_repr_to(r, b, d->e[i].v, 1)) return -1;
    }
    buf_putc(b, '}');
    return 0;
}

static int repr_view(struct tpl_run *r, struct buf *b, struct val v)
{
    buf_printf(b, "%s([", tpl_val_type(v));
    for (size_t i = 0; i < v.u.d->n; i++) {
        const struct tpl_pair *e = &v.u.d->e[i];
        struct val x = v.sub == TPL_KEYS     ? e->k
                       : v.sub == TPL_VALUES ? e->v
                                             : tpl_list_pair(r, e->k, e->v);
        if (i) buf_puts(b, ", ");
        if (tpl_bad(x) || tpl_repr_to(r, b, x, 1)) return -1;
    }
    buf_puts(b, "])");
    return 0;
}

static int repr_object(struct tpl_run *r, struct buf *b, struct val v)
{
    size_t n;
    switch (v.kind) {
    case TPL_NS:
        buf_puts(b, "<Namespace ");
        if (repr_dict(r, b, v.u.d)) return -1;
        buf_putc(b, '>');
        return 0;
    case TPL_MACRO:
        if (v.u.macro->body->name == UINT32_MAX) {
            buf_puts(b, "<Macro anonymous>");
            return 0;
        }
        buf_puts(b, "<Macro ");
        tpl_repr_text(b, r->t->name[v.u.macro->body->name]);
        buf_putc(b, '>');
        return 0;
    case TPL_LOOP:
        if (tpl_loop_length(r, v.u.loop, &n)) return -1;
        buf_printf(b, "<LoopContext %lld/%zu>", (long long)v.u.loop->index0 + 1, n);
        return 0;
    case TPL_FUNC:
        if (!strcmp(v.u.func->name, "dict"))
            buf_puts(b, "<class 'dict'>");
        else if (!strcmp(v.u.func->name, "namespace"))
            buf_puts(b, "<class 'jinja2.utils.Namespace'>");
        else if (!strcmp(v.u.func->name, "cycler"))
            buf_puts(b, "<class 'jinja2.utils.Cycler'>");
        else if (!strcmp(v.u.func->name, "joiner"))
            buf_puts(b, "<class 'jinja2.utils.Joiner'>");
        else
            buf_printf(b, "<function %s>", v.u.func->name);
        return 0;
    case TPL_METHOD:
        buf_printf(b, "<method %s of %s>", v.u.method->sig->name, tpl_val_type(v.u.method->self));
        return 0;
    case TPL_SELF: buf_puts(b, "<TemplateReference None>"); return 0;
    default: buf_printf(b, "<%s object>", tpl_val_type(v)); return 0; /* Python adds an address */
    }
}

static int repr_nested(struct tpl_run *r, struct buf *b, struct val v)
{
    switch (v.kind) {
    case TPL_LIST: return repr_list(r, b, v.u.l, "[]");
    case TPL_TUPLE: return repr_list(r, b, v.u.l, "()");
    case TPL_DICT: return repr_dict(r, b, v.u.d);
    case TPL_VIEW: return repr_view(r, b, v);
    default: return repr_object(r, b, v);
    }
}

/* Appends str(v) or repr(v). */
int tpl_repr_to(struct tpl_run *r, struct buf *b, struct val v, int repr)
{
    if (tpl_step(r, 1)) return -1;
    switch (v.kind) {
    case TPL_FAIL: return -1;
    case TPL_MISSING:
    case TPL_UNDEF: buf_puts(b, repr ? "Undefined" : ""); return 0;
    case TPL_NONE: buf_puts(b, "None"); return 0;
    case TPL_BOOL: buf_puts(b, v.u.i ? "True" : "False"); return 0;
    case TPL_INT: buf_printf(b, "%lld", (long long)v.u.i); return 0;
    case TPL_BIG:
        if (v.u.big->negative) buf_putc(b, '-');
        return tpl_int_write(r, b, v, 10, 0);
    case TPL_FLOAT: tpl_repr_float(b, v.u.f); return 0;
    case TPL_STR:
        if (tpl_step_bytes(r, v.u.s->n)) return -1;
        if (!repr) {
            buf_str(b, tpl_view(v));
        } else if (v.markup) {
            buf_puts(b, "Markup(");
            tpl_repr_text(b, tpl_view(v));
            buf_putc(b, ')');
        } else {
            tpl_repr_text(b, tpl_view(v));
        }
        return 0;
    case TPL_BYTES:
        if (tpl_step_bytes(r, v.u.s->n)) return -1;
        repr_bytes(b, tpl_view(v));
        return 0;
    case TPL_RANGE: {
        const struct tpl_range *g = v.u.range;
        buf_printf(b, "range(%lld, %lld", (long long)g->start, (long long)g->stop);
        if (g->step != 1) buf_printf(b, ", %lld", (long long)g->step);
        buf_putc(b, ')');
        return 0;
    }
    default: break;
    }
    if (tpl_enter(r)) return -1;
    int rc = repr_nested(r, b, v);
    tpl_leave(r);
    return b->failed ? -1 : rc; /* the caller's tpl_end or tpl_write says why */
}

struct val tpl_repr_soft(struct tpl_run *r, struct val v)
{
    if (tpl_is_str(v)) return v;
    size_t begin = tpl_begin(r);
    if (tpl_repr_to(r, &r->work, v, 0) && !r->work.failed) return tpl_failed();
    return tpl_end(r, begin);
}

struct val tpl_repr_str(struct tpl_run *r, struct val v)
{
    v = tpl_repr_soft(r, v);
    v.markup = 0;
    return v;
}
