/* SPDX-License-Identifier: Apache-2.0
 *
 * text/template_pretty.c: the pprint filter: repr() with sorted dicts, broken over lines of 80
 * characters where it is longer, in the shape that Python's pprint gives lists, tuples, dicts and
 * long strings.
 */
#include "text/template_val.h"

enum { WIDTH = 80 };

static int shape(struct tpl_run *r, struct val v, int64_t indent, int64_t allowance, int level);

/* Keys in order; those that cannot be compared by the name of their type. */
static int key_before(struct tpl_run *r, struct val a, struct val b)
{
    int numbers = tpl_is_number(a) && tpl_is_number(b);
    if (numbers || (a.kind == b.kind && (a.kind == TPL_STR || a.kind == TPL_BYTES)))
        return tpl_val_order(r, a, b, "<");
    return strcmp(tpl_val_type(a), tpl_val_type(b)) < 0;
}

static struct tpl_pair *sorted(struct tpl_run *r, const struct tpl_dict *d)
{
    struct tpl_pair *e = tpl_array(r, d->n + 1, sizeof *e),
                    *to = tpl_array(r, d->n + 1, sizeof *to), *t;
    if (!e || !to) return NULL;
    if (d->n) memcpy(e, d->e, d->n * sizeof *e);
    for (size_t width = 1; width < d->n; width *= 2) {
        for (size_t lo = 0; lo < d->n; lo += 2 * width) {
            size_t mid = lo + width < d->n ? lo + width : d->n,
                   hi = mid + width < d->n ? mid + width : d->n;
            for (size_t i = lo, j = mid, k = lo; k < hi; k++) {
                int right = i >= mid ? 1 : j >= hi ? 0 : key_before(r, e[j].k, e[i].k);
                if (right < 0 || tpl_step(r, 1)) return NULL;
                to[k] = right ? e[j++] : e[i++];
            }
        }
        t = e, e = to, to = t;
    }
    return e;
}

/* On one line. */
static int flat(struct tpl_run *r, struct val v)
{
    struct buf *b = &r->work;
    if (v.kind != TPL_DICT && !tpl_is_seq(v)) return tpl_repr_to(r, b, v, 1);
    if (tpl_enter(r)) return -1;
    const char *around = v.kind == TPL_DICT ? "{}" : v.kind == TPL_LIST ? "[]" : "()";
    size_t n = v.kind == TPL_DICT ? v.u.d->n : v.u.l->n;
    struct tpl_pair *e = v.kind == TPL_DICT ? sorted(r, v.u.d) : NULL;
    if (v.kind == TPL_DICT && !e) return -1;
    buf_putc(b, around[0]);
    for (size_t i = 0; i < n; i++) {
        if (i) buf_puts(b, ", ");
        if (e && flat(r, e[i].k)) return -1;
        if (e) buf_puts(b, ": ");
        if (tpl_step(r, 1) || flat(r, e ? e[i].v : v.u.l->p[i])) return -1;
    }
    if (n == 1 && v.kind == TPL_TUPLE) buf_putc(b, ',');
    buf_putc(b, around[1]);
    tpl_leave(r);
    return b->failed ? -1 : 0;
}

static int64_t chars_since(const struct tpl_run *r, size_t begin)
{
    int64_t k = 0;
    for (size_t i = begin; i < r->work.n; i++) k += ((unsigned char)r->work.p[i] & 0xc0) != 0x80;
    return k;
}

static int newline(struct tpl_run *r, int64_t indent)
{
    if (tpl_step_bytes(r, (size_t)indent)) return -1;
    buf_printf(&r->work, "\n%*s", (int)indent, "");
    return 0;
}

static int list(struct tpl_run *r, struct val v, int64_t indent, int64_t allowance, int level)
{
    const struct tpl_list *l = v.u.l;
    const char *close = v.kind == TPL_LIST ? "]" : l->n == 1 ? ",)" : ")";
    buf_putc(&r->work, v.kind == TPL_LIST ? '[' : '(');
    for (size_t i = 0; i < l->n; i++) {
        int last = i + 1 == l->n;
        if (i) buf_putc(&r->work, ',');
        if (i && newline(r, indent + 1)) return -1;
        if (shape(r, l->p[i], indent + 1, last ? allowance + (int64_t)strlen(close) : 1, level))
            return -1;
    }
    buf_puts(&r->work, close);
    return 0;
}

static int dict(struct tpl_run *r, struct val v, int64_t indent, int64_t allowance, int level)
{
    struct tpl_pair *e = sorted(r, v.u.d);
    if (!e) return -1;
    buf_putc(&r->work, '{');
    for (size_t i = 0; i < v.u.d->n; i++) {
        size_t begin = tpl_begin(r);
        if (i) buf_putc(&r->work, ',');
        if (i && newline(r, indent + 1)) return -1;
        begin = tpl_begin(r);
        if (flat(r, e[i].k)) return -1;
        int64_t width = chars_since(r, begin);
        buf_puts(&r->work, ": ");
        if (shape(r, e[i].v, indent + 1 + width + 2, i + 1 == v.u.d->n ? allowance + 1 : 1, level))
            return -1;
    }
    buf_putc(&r->work, '}');
    return 0;
}

/* ---- long strings: in pieces of whole words, each quoted on a line of its own ---- */

struct pieces {
    struct tpl_run *r;
    struct val list;
    int64_t width;
};

static int64_t repr_width(struct tpl_run *r, struct str s)
{
    size_t begin = tpl_begin(r);
    if (tpl_step_bytes(r, s.n)) return INT64_MAX;
    tpl_repr_text(&r->work, s);
    int64_t w = chars_since(r, begin);
    r->work.n = begin;
    return w;
}

static int add_piece(struct pieces *p, struct str s)
{
    struct val v = tpl_str_view(p->r, s);
    return tpl_list_push(p->r, p->list.u.l, v);
}

/* The end of "\S*\s*" at i. */
static size_t word_end(struct str s, size_t i)
{
    size_t k = i;
    while (k < s.n && tpl_str_strip((struct str){s.p + k, s.n - k}, NULL, 1, 0).n == s.n - k) k++;
    return s.n - tpl_str_strip(str_from(s, k), NULL, 1, 0).n;
}

static int pieces_of(struct pieces *p, struct str line, int64_t allowance, int last_line)
{
    struct str current = {line.p, 0};
    for (size_t i = 0; i < line.n;) {
        size_t e = word_end(line, i);
        int64_t width = p->width - (last_line && e == line.n ? allowance : 0);
        struct str longer = {current.p, (size_t)(line.p + e - current.p)};
        if (repr_width(p->r, longer) > width) {
            if (current.n && add_piece(p, current)) return -1;
            current = (struct str){line.p + i, e - i};
        } else {
            current = longer;
        }
        i = e;
        if (p->r->failed) return -1;
    }
    return current.n ? add_piece(p, current) : 0;
}

static int text(struct tpl_run *r, struct val v, int64_t indent, int64_t allowance, int level)
{
    struct str s = tpl_view(v);
    if (level == 1) indent++, allowance++;
    struct pieces p = {r, tpl_list_new(r, TPL_LIST, 0), WIDTH - indent};
    if (tpl_bad(p.list)) return -1;
    for (size_t i = 0, next; i < s.n; i = next) {
        tpl_str_line(s, i, &next);
        struct str line = {s.p + i, next - i};
        int last = next >= s.n;
        int64_t width = p.width - (last ? allowance : 0);
        if (repr_width(r, line) <= width ? add_piece(&p, line)
                                         : pieces_of(&p, line, allowance, last))
            return -1;
    }
    const struct tpl_list *l = p.list.u.l;
    if (l->n == 1 || !l->n) return tpl_repr_to(r, &r->work, v, 1);
    if (level == 1) buf_putc(&r->work, '(');
    for (size_t i = 0; i < l->n; i++) {
        if (i && newline(r, indent)) return -1;
        if (tpl_repr_to(r, &r->work, l->p[i], 1)) return -1;
    }
    if (level == 1) buf_putc(&r->work, ')');
    return 0;
}

static int shape(struct tpl_run *r, struct val v, int64_t indent, int64_t allowance, int level)
{
    size_t begin = tpl_begin(r);
    if (tpl_enter(r) || flat(r, v)) return -1;
    int rc = 0, is_text = tpl_is_str(v) && !v.markup && v.u.s->n;
    int nested = is_text || (tpl_is_seq(v) && !v.sub) || v.kind == TPL_DICT;
    if (chars_since(r, begin) > WIDTH - indent - allowance && nested && !r->work.failed) {
        r->work.n = begin;
        if (tpl_step_bytes(r, r->work.cap / 1024)) return -1;
        if (is_text)
            rc = text(r, v, indent, allowance, level + 1);
        else
            rc = v.kind == TPL_DICT ? dict(r, v, indent, allowance, level + 1)
                                    : list(r, v, indent, allowance, level + 1);
    }
    tpl_leave(r);
    return r->work.failed ? -1 : rc;
}

struct val tpl_pretty(struct tpl_run *r, struct val v)
{
    size_t begin = tpl_begin(r);
    if (shape(r, v, 0, 0, 0) && !r->work.failed) return tpl_failed();
    return tpl_end(r, begin);
}
