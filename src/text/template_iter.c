/* SPDX-License-Identifier: Apache-2.0
 *
 * text/template_iter.c: walking values. An iterator is a small struct with a `next`; the ones here
 * walk what is in memory, forward or backward. Generators (map, select, a loop's filter) are made
 * by those who know how.
 */
#include "text/template_val.h"

/* Index of the next element, or SIZE_MAX at the end. */
static size_t advance(struct tpl_iter *it)
{
    if (it->i >= it->n) return SIZE_MAX;
    size_t i = it->i++;
    return it->step < 0 ? it->n - 1 - i : i;
}

static int next_none(struct tpl_run *r, struct tpl_iter *it, struct val *out)
{
    (void)r, (void)it, (void)out;
    return 0;
}

static int next_list(struct tpl_run *r, struct tpl_iter *it, struct val *out)
{
    size_t i = advance(it);
    (void)r;
    if (i == SIZE_MAX) return 0;
    *out = it->of.u.l->p[i];
    return 1;
}

static int next_dict(struct tpl_run *r, struct tpl_iter *it, struct val *out)
{
    size_t i = advance(it);
    if (i == SIZE_MAX) return 0;
    const struct tpl_pair *e = &it->of.u.d->e[i];
    int view = it->of.kind == TPL_VIEW ? it->of.sub : TPL_KEYS;
    *out = view == TPL_KEYS ? e->k : view == TPL_VALUES ? e->v : tpl_list_pair(r, e->k, e->v);
    return tpl_bad(*out) ? -1 : 1;
}

static int next_range(struct tpl_run *r, struct tpl_iter *it, struct val *out)
{
    size_t i = advance(it);
    (void)r;
    if (i == SIZE_MAX) return 0;
    *out = tpl_int((int64_t)((uint64_t)it->of.u.range->start + (uint64_t)it->of.u.range->step * i));
    return 1;
}

static int next_bytes(struct tpl_run *r, struct tpl_iter *it, struct val *out)
{
    size_t i = advance(it);
    (void)r;
    if (i == SIZE_MAX) return 0;
    *out = tpl_int((unsigned char)it->of.u.s->p[i]);
    return 1;
}

static int next_char(struct tpl_run *r, struct tpl_iter *it, struct val *out)
{
    const struct tpl_str *s = it->of.u.s;
    size_t k = 1;
    if (it->i >= s->n) return 0;
    size_t at = it->i;
    if (it->step < 0) {
        while (k < 4 && at + k < s->n && ((unsigned char)s->p[s->n - at - k] & 0xc0) == 0x80) k++;
        at = s->n - at - k;
    } else {
        while (at + k < s->n && ((unsigned char)s->p[at + k] & 0xc0) == 0x80) k++;
    }
    it->i += k;
    *out = tpl_str_cut(r, it->of, (struct str){s->p + at, k});
    if (it->step > 0)
        out->markup =
            0; /* as Python: iter() of a Markup gives plain strings, reversed() does not */
    return tpl_bad(*out) ? -1 : 1;
}

static int next_loop(struct tpl_run *r, struct tpl_iter *it, struct val *out)
{
    struct val v;
    int got = tpl_loop_next(r, it->of.u.loop, &v);
    if (got != 1) return got;
    *out = tpl_list_pair(r, v, it->of);
    return tpl_bad(*out) ? -1 : 1;
}

static int start(struct val v, struct tpl_iter *it, int step)
{
    *it = (struct tpl_iter){.of = v, .step = step};
    switch (v.kind) {
    case TPL_UNDEF: it->next = next_none; break;
    case TPL_STR: it->next = next_char; break;
    case TPL_BYTES: it->next = next_bytes, it->n = v.u.s->n; break;
    case TPL_LIST:
    case TPL_TUPLE: it->next = next_list, it->n = v.u.l->n; break;
    case TPL_DICT:
    case TPL_VIEW: it->next = next_dict, it->n = v.u.d->n; break;
    case TPL_RANGE: it->next = next_range, it->n = v.u.range->n; break;
    default: return -1;
    }
    return 0;
}

int tpl_iter_can(struct val v)
{
    struct tpl_iter it;
    return v.kind == TPL_ITER || v.kind == TPL_LOOP || start(v, &it, 1) == 0;
}

struct tpl_iter *tpl_iter_open(struct tpl_run *r, struct val v, struct tpl_iter *mem)
{
    if (v.kind == TPL_ITER) return v.u.it;
    if (v.kind == TPL_LOOP) {
        *mem = (struct tpl_iter){.next = next_loop, .of = v};
        return mem;
    }
    if (!start(v, mem, 1)) return mem;
    if (!tpl_bad(v)) tpl_type_error(r, "'%s' object is not iterable", tpl_val_type(v));
    return NULL;
}

struct val tpl_iter_new(struct tpl_run *r, const struct tpl_iter *it)
{
    struct tpl_iter *p = tpl_alloc(r, sizeof *p);
    if (!p) return tpl_failed();
    *p = *it;
    return (struct val){.kind = TPL_ITER, .u.it = p};
}

struct val tpl_iter_reversed(struct tpl_run *r, struct val v)
{
    struct tpl_iter it;
    return start(v, &it, -1) ? tpl_missing() : tpl_iter_new(r, &it);
}
