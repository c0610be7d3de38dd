/* SPDX-License-Identifier: Apache-2.0
 *
 * text/template_json.c: the tojson filter: Python's json.dumps. Not buf_json_str, which is for our
 * own output: the separators, the escapes (DEL stays), the numbers and the errors here are
 * Python's.
 */
#include <math.h>

#include "base/utf8.h"
#include "text/template_val.h"

static int value(struct tpl_run *r, struct val v, const struct tpl_json_style *st, size_t level);

static void text(struct buf *b, struct str s, int ascii)
{
    size_t from = 0;
    buf_putc(b, '"');
    for (size_t i = 0, k; i < s.n; i += k) {
        unsigned char c = (unsigned char)s.p[i];
        uint32_t cp = c;
        k = 1;
        if (c >= 0x80) {
            if (!ascii) continue;
            k = utf8_decode(s.p + i, s.n - i, &cp);
            if (!k) k = 1, cp = 0xfffd;
        } else if (c >= 0x20 && c != '"' && c != '\\' && !(ascii && c == 0x7f)) {
            continue;
        }
        buf_add(b, s.p + from, i - from);
        from = i + k;
        const char *at = cp < 0x80 && cp ? strchr("\"\"\\\\\nn\rr\tt\bb\ff", (int)cp) : NULL;
        if (at)
            buf_putc(b, '\\'), buf_putc(b, at[1]);
        else if (cp < 0x10000)
            buf_printf(b, "\\u%04x", (unsigned)cp);
        else
            buf_printf(b, "\\u%04x\\u%04x", (unsigned)(0xd7c0 + (cp >> 10)),
                       (unsigned)(0xdc00 | (cp & 0x3ff)));
    }
    buf_add(b, s.p + from, s.n - from);
    buf_putc(b, '"');
}

static void number(struct buf *b, double f)
{
    if (isnan(f))
        buf_puts(b, "NaN");
    else if (isinf(f))
        buf_puts(b, f < 0 ? "-Infinity" : "Infinity");
    else
        tpl_repr_float(b, f);
}

static int newline(struct tpl_run *r, const struct tpl_json_style *st, size_t level)
{
    if (!st->indented) return 0;
    buf_putc(&r->work, '\n');
    if (tpl_step_bytes(r, st->indent.n * level)) return -1;
    for (size_t i = 0; i < level; i++) buf_str(&r->work, st->indent);
    return 0;
}

static int list(struct tpl_run *r, const struct tpl_list *l, const struct tpl_json_style *st,
                size_t level)
{
    buf_putc(&r->work, '[');
    for (size_t i = 0; i < l->n; i++) {
        if (i) buf_str(&r->work, st->comma);
        if (newline(r, st, level + 1) || value(r, l->p[i], st, level + 1)) return -1;
    }
    if (l->n && newline(r, st, level)) return -1;
    buf_putc(&r->work, ']');
    return 0;
}

static int key(struct tpl_run *r, struct val k, const struct tpl_json_style *st)
{
    struct buf *b = &r->work;
    switch (k.kind) {
    case TPL_STR: text(b, tpl_view(k), st->ascii); return tpl_step_bytes(r, k.u.s->n);
    case TPL_NONE: buf_puts(b, "\"null\""); return 0;
    case TPL_BOOL: buf_puts(b, k.u.i ? "\"true\"" : "\"false\""); return 0;
    case TPL_INT:
    case TPL_BIG:
    case TPL_FLOAT:
        buf_putc(b, '"');
        if (k.kind == TPL_FLOAT)
            number(b, k.u.f);
        else if (tpl_repr_to(r, b, k, 1))
            return -1;
        buf_putc(b, '"');
        return 0;
    default:
        tpl_type_error(r, "keys must be str, int, float, bool or None, not %s", tpl_val_type(k));
        return -1;
    }
}

static int sorted(struct tpl_run *r, const struct tpl_dict *d, struct tpl_pair **out)
{
    struct val *keys = tpl_array(r, d->n, sizeof *keys), *order = tpl_array(r, d->n, sizeof *order);
    *out = tpl_array(r, d->n, sizeof **out);
    if (!keys || !order || !*out) return -1;
    for (size_t i = 0; i < d->n; i++) keys[i] = d->e[i].k, order[i] = tpl_size(i);
    if (tpl_list_sort(r, order, keys, d->n, 0)) return -1;
    for (size_t i = 0; i < d->n; i++) (*out)[i] = d->e[order[i].u.i];
    return 0;
}

static int dict(struct tpl_run *r, const struct tpl_dict *d, const struct tpl_json_style *st,
                size_t level)
{
    struct tpl_pair *e = d->e;
    if (st->sorted && d->n && sorted(r, d, &e)) return -1;
    buf_putc(&r->work, '{');
    for (size_t i = 0; i < d->n; i++) {
        if (i) buf_str(&r->work, st->comma);
        if (newline(r, st, level + 1) || key(r, e[i].k, st)) return -1;
        buf_str(&r->work, st->colon);
        if (value(r, e[i].v, st, level + 1)) return -1;
    }
    if (d->n && newline(r, st, level)) return -1;
    buf_putc(&r->work, '}');
    return 0;
}

static int value(struct tpl_run *r, struct val v, const struct tpl_json_style *st, size_t level)
{
    struct buf *b = &r->work;
    if (tpl_step(r, 1)) return -1;
    switch (v.kind) {
    case TPL_NONE: buf_puts(b, "null"); return 0;
    case TPL_BOOL: buf_puts(b, v.u.i ? "true" : "false"); return 0;
    case TPL_INT:
    case TPL_BIG: return tpl_repr_to(r, b, v, 1);
    case TPL_FLOAT: number(b, v.u.f); return 0;
    case TPL_STR: text(b, tpl_view(v), st->ascii); return tpl_step_bytes(r, v.u.s->n);
    case TPL_LIST:
    case TPL_TUPLE:
    case TPL_DICT: break;
    default:
        tpl_type_error(r, "Object of type %s is not JSON serializable", tpl_val_type(v));
        return -1;
    }
    if (tpl_enter(r)) return -1;
    int rc = v.kind == TPL_DICT ? dict(r, v.u.d, st, level) : list(r, v.u.l, st, level);
    tpl_leave(r);
    return b->failed ? -1 : rc;
}

struct val tpl_json(struct tpl_run *r, struct val v, const struct tpl_json_style *style)
{
    size_t begin = tpl_begin(r);
    if (value(r, v, style, 0) && !r->work.failed) return tpl_failed();
    return tpl_end(r, begin);
}
