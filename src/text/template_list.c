/* SPDX-License-Identifier: Apache-2.0
 *
 * text/template_list.c: lists and tuples, slices of anything, sorting. Lists are immutable, as in
 * Jinja's sandbox (append and its like are refused), so a + b may share a's memory.
 */
#include "text/template_val.h"

static struct val list_val(struct tpl_run *r, int kind)
{
    struct tpl_list *l = tpl_alloc(r, sizeof *l);
    return l ? (struct val){.kind = (uint8_t)kind, .u.l = l} : tpl_failed();
}

struct val tpl_list_new(struct tpl_run *r, int kind, size_t n)
{
    struct val v = list_val(r, kind);
    if (tpl_bad(v) || !n) return v;
    v.u.l->p = tpl_array(r, n, sizeof(struct val));
    v.u.l->n = n;
    return v.u.l->p ? v : tpl_failed();
}

struct val tpl_list_of(struct tpl_run *r, int kind, const struct val *p, size_t n)
{
    struct val v = tpl_list_new(r, kind, n);
    if (!tpl_bad(v) && n) memcpy(v.u.l->p, p, n * sizeof *p);
    return v;
}

struct val tpl_list_pair(struct tpl_run *r, struct val a, struct val b)
{
    struct val both[2] = {a, b};
    if (tpl_bad(a) || tpl_bad(b)) return tpl_failed();
    return tpl_list_of(r, TPL_TUPLE, both, 2);
}

/* Room for n elements in all, those of l included. */
static int reserve(struct tpl_run *r, struct tpl_list *l, size_t n)
{
    struct tpl_room *room = l->room;
    size_t used = l->n * sizeof *l->p, need, cap;
    if (room && (char *)l->p == room->base && room->used == used && n <= room->cap / sizeof *l->p)
        return 0;
    if (mul_size(n, sizeof *l->p, &need) || add_size(need, need / 2 + 64, &cap)) cap = SIZE_MAX / 2;
    room = tpl_alloc(r, sizeof *room);
    char *p = room ? tpl_alloc(r, cap) : NULL;
    if (!p || tpl_step(r, 1 + l->n / 4)) return -1;
    if (used) memcpy(p, l->p, used);
    *room = (struct tpl_room){p, used, cap};
    l->p = (struct val *)(void *)p;
    l->room = room;
    return 0;
}

int tpl_list_push(struct tpl_run *r, struct tpl_list *l, struct val v)
{
    if (tpl_bad(v) || reserve(r, l, l->n + 1)) return -1;
    l->p[l->n++] = v;
    l->room->used = l->n * sizeof v;
    return 0;
}

struct val tpl_list_concat(struct tpl_run *r, struct val a, struct val b)
{
    const struct tpl_list *x = a.u.l, *y = b.u.l;
    struct val v = list_val(r, a.kind);
    if (tpl_bad(v) || tpl_step(r, 1 + y->n / 4)) return tpl_failed();
    struct tpl_list *l = v.u.l;
    *l = *x;
    if (reserve(r, l, x->n + y->n)) return tpl_failed();
    if (y->n) memcpy(l->p + l->n, y->p, y->n * sizeof *y->p);
    l->n += y->n;
    l->room->used = l->n * sizeof *l->p;
    return v;
}

struct val tpl_list_from(struct tpl_run *r, int kind, struct val iterable)
{
    struct tpl_iter mem, *it;
    struct val v, x;
    int got;
    if (tpl_is_seq(iterable)) { /* immutable: share */
        v = list_val(r, kind);
        if (!tpl_bad(v)) *v.u.l = *iterable.u.l;
        return v;
    }
    it = tpl_iter_open(r, iterable, &mem);
    v = it ? list_val(r, kind) : tpl_failed();
    if (tpl_bad(v)) return v;
    while ((got = tpl_iter_next(r, it, &x)) == 1)
        if (tpl_list_push(r, v.u.l, x)) return tpl_failed();
    return got ? tpl_failed() : v;
}

/* ---- slices ---- */

static int bound(struct tpl_run *r, struct val v, int64_t otherwise, int64_t *out)
{
    *out = otherwise;
    if (v.kind == TPL_NONE) return 0;
    if (tpl_is_integer(v)) return tpl_val_index(r, v, out);
    tpl_type_error(r, "slice indices must be integers or None");
    return -1;
}

/* Python's rules for start:stop:step over n items; gives the count. */
static size_t clamp(size_t len, int64_t *start, int64_t *stop, int64_t step)
{
    int64_t n = (int64_t)len, low = step < 0 ? -1 : 0, high = step < 0 ? n - 1 : n;
    int64_t *both[2] = {start, stop};
    for (int i = 0; i < 2; i++) {
        int64_t x = *both[i];
        if (x < 0)
            x = x < -n ? low : x + n;
        else if (x > high)
            x = high;
        *both[i] = x;
    }
    if (step < 0) return *stop < *start ? (size_t)((*start - *stop - 1) / -step + 1) : 0;
    return *start < *stop ? (size_t)((*stop - *start - 1) / step + 1) : 0;
}

static struct val slice_range(struct tpl_run *r, const struct tpl_range *g, int64_t start,
                              int64_t step, size_t n)
{
    struct tpl_range *s = tpl_alloc(r, sizeof *s);
    int64_t first, by, last;
    if (!s) return tpl_failed();
    if (__builtin_mul_overflow(start, g->step, &first) ||
        __builtin_add_overflow(g->start, first, &first) ||
        __builtin_mul_overflow(g->step, step, &by) ||
        __builtin_mul_overflow((int64_t)n, by, &last) || __builtin_add_overflow(first, last, &last))
        return tpl_fail(r, LAR_ELIMIT, "a range beyond 64 bits");
    *s = (struct tpl_range){first, last, by, n};
    return (struct val){.kind = TPL_RANGE, .u.range = s};
}

static struct val slice_seq(struct tpl_run *r, struct val of, int64_t start, int64_t step, size_t n)
{
    struct val v = list_val(r, of.kind);
    if (tpl_bad(v)) return v;
    if (step == 1) { /* share */
        v.u.l->p = n ? of.u.l->p + start : NULL;
        v.u.l->n = n;
        return v;
    }
    v = tpl_list_new(r, of.kind, n);
    if (tpl_bad(v) || tpl_step(r, n / 4)) return tpl_failed();
    for (size_t i = 0; i < n; i++) v.u.l->p[i] = of.u.l->p[start + (int64_t)i * step];
    return v;
}

struct val tpl_list_slice(struct tpl_run *r, struct val of, const struct val b[3])
{
    int64_t start, stop, step;
    size_t len;
    switch (of.kind) {
    case TPL_STR:
    case TPL_BYTES:
    case TPL_LIST:
    case TPL_TUPLE:
    case TPL_RANGE: break;
    case TPL_UNDEF: return tpl_undefined_error(r, of);
    case TPL_DICT: return tpl_type_error(r, "a dict cannot be sliced");
    default: return tpl_type_error(r, "'%s' object is not subscriptable", tpl_val_type(of));
    }
    if (tpl_val_len(r, of, &len) || bound(r, b[2], 1, &step)) return tpl_failed();
    if (step == 0) return tpl_type_error(r, "slice step cannot be zero");
    if (step < -INT64_MAX) step = -INT64_MAX;
    if (bound(r, b[0], step < 0 ? INT64_MAX : 0, &start) ||
        bound(r, b[1], step < 0 ? INT64_MIN : INT64_MAX, &stop))
        return tpl_failed();
    size_t n = clamp(len, &start, &stop, step);
    if (of.kind == TPL_RANGE) return slice_range(r, of.u.range, start, step, n);
    if (tpl_is_seq(of)) return slice_seq(r, of, start, step, n);
    return tpl_str_slice(r, of, start, step, n);
}

/* ---- sorting ---- */

/* True when b must come before a. */
static int before(struct tpl_run *r, struct val a, struct val b, int reverse)
{
    if (tpl_step(r, 1)) return -1;
    return reverse ? tpl_val_order(r, a, b, "<") : tpl_val_order(r, b, a, "<");
}

struct pair {
    struct val item, key;
};

static int merge(struct tpl_run *r, const struct pair *from, struct pair *to, size_t lo, size_t mid,
                 size_t hi, int reverse)
{
    size_t i = lo, j = mid;
    for (size_t k = lo; k < hi; k++) {
        int right = i >= mid;
        if (i < mid && j < hi) right = before(r, from[i].key, from[j].key, reverse);
        if (right < 0) return -1;
        to[k] = right ? from[j++] : from[i++];
    }
    return 0;
}

int tpl_list_sort(struct tpl_run *r, struct val *items, struct val *keys, size_t n, int reverse)
{
    if (n < 2) return 0;
    struct pair *from = tpl_array(r, n, sizeof *from), *to = tpl_array(r, n, sizeof *to);
    if (!from || !to) return -1;
    for (size_t i = 0; i < n; i++) from[i] = (struct pair){items[i], keys[i]};
    for (size_t width = 1; width < n; width *= 2) { /* bottom up: no recursion */
        for (size_t lo = 0; lo < n; lo += 2 * width) {
            size_t mid = lo + width < n ? lo + width : n, hi = mid + width < n ? mid + width : n;
            if (merge(r, from, to, lo, mid, hi, reverse)) return -1;
        }
        struct pair *t = from;
        from = to, to = t;
    }
    for (size_t i = 0; i < n; i++) items[i] = from[i].item, keys[i] = from[i].key;
    return 0;
}
