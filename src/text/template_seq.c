/* SPDX-License-Identifier: Apache-2.0
 *
 * text/template_seq.c: the filters on sequences. Those that give generators in Jinja (map, select,
 * reject, batch, slice, unique, items) do so here: lazy, walked once, no JSON, no length.
 */
#include "text/template_val.h"

#define ARGS     struct tpl_run *r, const struct val *a, const struct tpl_args *raw
#define GIVEN(v) ((v).kind != TPL_MISSING)

/* An optional flag: 0, 1, -1. */
static int flag(struct tpl_run *r, struct val v) { return GIVEN(v) ? tpl_val_truth(r, v) : 0; }

/* ---- keys: what to compare by ---- */

struct keys {
    struct val parts; /* a path, or a list of paths */
    int several;      /* sort: keys are lists of values */
    int fold;         /* strings in lower case */
    struct val otherwise;
};

static struct val folded(struct tpl_run *r, struct val v, int fold)
{
    return fold && tpl_is_str(v) ? tpl_str_case(r, v, TPL_LOWER) : v;
}

/* attribute: a path; for sort several, with commas between. */
static int keys_of(struct tpl_run *r, struct keys *k, struct val attribute,
                   struct val case_sensitive, int several)
{
    int sensitive = flag(r, case_sensitive);
    *k = (struct keys){.several = several, .fold = !sensitive, .otherwise = tpl_missing()};
    if (sensitive < 0) return -1;
    struct val whole =
        several && tpl_is_str(attribute) ? tpl_missing() : tpl_attr_parts(r, attribute);
    if (!several) {
        k->parts = whole;
        return tpl_bad(whole) ? -1 : 0;
    }
    k->parts = tpl_list_new(r, TPL_LIST, 0);
    if (GIVEN(whole)) return tpl_bad(k->parts) || tpl_list_push(r, k->parts.u.l, whole) ? -1 : 0;
    struct str s = tpl_view(attribute);
    for (size_t at = 0; !tpl_bad(k->parts) && at <= s.n;) {
        int64_t f = tpl_str_find(str_from(s, at), STR(","));
        struct str one = {s.p + at, f < 0 ? s.n - at : (size_t)f};
        struct val path = tpl_str_cut(r, attribute, one),
                   parts = tpl_bad(path) ? path : tpl_attr_parts(r, path);
        if (tpl_bad(parts) || tpl_list_push(r, k->parts.u.l, parts)) return -1;
        at += one.n + 1;
    }
    return tpl_bad(k->parts) ? -1 : 0;
}

static struct val key(struct tpl_run *r, const struct keys *k, struct val item)
{
    if (!k->several) {
        struct val v = tpl_attr_path(r, item, k->parts, k->otherwise);
        return tpl_bad(v) ? v : folded(r, v, k->fold);
    }
    struct val all = tpl_list_new(r, TPL_LIST, k->parts.u.l->n);
    for (size_t i = 0; !tpl_bad(all) && i < k->parts.u.l->n; i++) {
        struct val v = tpl_attr_path(r, item, k->parts.u.l->p[i], k->otherwise);
        v = tpl_bad(v) ? v : folded(r, v, k->fold);
        if (tpl_bad(v)) return v;
        all.u.l->p[i] = v;
    }
    return all;
}

/* The items of a value and their keys, for sorting; list's own elements may be reordered. */
static struct val sorted(struct tpl_run *r, struct val v, const struct keys *k, int reverse,
                         struct val **keys_out)
{
    struct val list = tpl_list_from(r, TPL_LIST, v);
    if (tpl_bad(list)) return list;
    list = tpl_list_of(r, TPL_LIST, list.u.l->p, list.u.l->n);
    struct val *keys = tpl_bad(list) ? NULL : tpl_array(r, list.u.l->n + 1, sizeof *keys);
    if (!keys) return tpl_failed();
    for (size_t i = 0; i < list.u.l->n; i++)
        if (tpl_bad(keys[i] = key(r, k, list.u.l->p[i]))) return tpl_failed();
    if (tpl_list_sort(r, list.u.l->p, keys, list.u.l->n, reverse)) return tpl_failed();
    if (keys_out) *keys_out = keys;
    return list;
}

struct val tpl_seq_sort(ARGS)
{
    struct keys k;
    int reverse = flag(r, a[1]);
    (void)raw;
    if (reverse < 0 || keys_of(r, &k, a[3], a[2], 1)) return tpl_failed();
    return sorted(r, a[0], &k, reverse, NULL);
}

struct val tpl_seq_dictsort(ARGS)
{
    int sensitive = flag(r, a[1]), reverse = flag(r, a[3]);
    struct str by = GIVEN(a[2]) ? tpl_is_str(a[2]) ? tpl_view(a[2]) : STR("?") : STR("key");
    (void)raw;
    if (sensitive < 0 || reverse < 0) return tpl_failed();
    if (!str_is(by, "key") && !str_is(by, "value"))
        return tpl_type_error(r, "You can only sort by either \"key\" or \"value\"");
    if (a[0].kind == TPL_UNDEF) return tpl_undefined_error(r, a[0]);
    if (a[0].kind != TPL_DICT)
        return tpl_type_error(r, "'%s' object has no attribute 'items'", tpl_val_type(a[0]));
    struct keys k = {.fold = !sensitive, .otherwise = tpl_missing()};
    struct val index = tpl_int(str_is(by, "value"));
    k.parts = tpl_list_of(r, TPL_LIST, &index, 1);
    if (tpl_bad(k.parts)) return k.parts;
    return sorted(r, (struct val){.kind = TPL_VIEW, .sub = TPL_ITEMS, .u.d = a[0].u.d}, &k, reverse,
                  NULL);
}

struct val tpl_seq_groupby(ARGS)
{
    struct keys k;
    struct val *keys, groups = tpl_list_new(r, TPL_LIST, 0);
    (void)raw;
    if (tpl_bad(groups) || keys_of(r, &k, a[1], a[3], 0)) return tpl_failed();
    k.otherwise = a[2];
    struct val list = sorted(r, a[0], &k, 0, &keys);
    if (tpl_bad(list)) return list;
    for (size_t i = 0, j; i < list.u.l->n; i = j) {
        int same = 1;
        for (j = i + 1; j < list.u.l->n && (same = tpl_val_eq(r, keys[i], keys[j])) == 1;) j++;
        if (same < 0) return tpl_failed();
        struct val members = tpl_list_of(r, TPL_LIST, list.u.l->p + i, j - i);
        struct val name = k.fold ? tpl_attr_path(r, list.u.l->p[i], k.parts, k.otherwise) : keys[i];
        struct val pair = tpl_list_pair(r, name, members);
        pair.sub = 1;
        if (tpl_bad(pair) || tpl_list_push(r, groups.u.l, pair)) return tpl_failed();
    }
    return groups;
}

static struct val extreme(struct tpl_run *r, const struct val *a, const char *op)
{
    struct keys k;
    struct tpl_iter mem, *it = tpl_iter_open(r, a[0], &mem);
    struct val v, best, best_key = tpl_missing();
    int got;
    if (!it || keys_of(r, &k, a[2], a[1], 0)) return tpl_failed();
    while ((got = tpl_iter_next(r, it, &v)) == 1) {
        struct val x = key(r, &k, v);
        int better = tpl_bad(x) ? -1 : GIVEN(best_key) ? tpl_val_order(r, x, best_key, op) : 1;
        if (better < 0) return tpl_failed();
        if (better) best = v, best_key = x;
    }
    if (got) return tpl_failed();
    return GIVEN(best_key) ? best : tpl_val_undef(r, "No aggregated item, sequence was empty.");
}

struct val tpl_seq_max(ARGS)
{
    (void)raw;
    return extreme(r, a, ">");
}
struct val tpl_seq_min(ARGS)
{
    (void)raw;
    return extreme(r, a, "<");
}

/* ---- whole sequences ---- */

struct val tpl_seq_first(ARGS)
{
    struct tpl_iter mem, *it = tpl_iter_open(r, a[0], &mem);
    struct val v;
    (void)raw;
    int got = it ? tpl_iter_next(r, it, &v) : -1;
    if (got < 0) return tpl_failed();
    return got ? v : tpl_val_undef(r, "No first item, sequence was empty.");
}

struct val tpl_seq_last(ARGS)
{
    struct val back = tpl_iter_reversed(r, a[0]), v;
    (void)raw;
    if (!GIVEN(back)) return tpl_type_error(r, "'%s' object is not reversible", tpl_val_type(a[0]));
    int got = tpl_bad(back) ? -1 : tpl_iter_next(r, back.u.it, &v);
    if (got < 0) return tpl_failed();
    return got ? v : tpl_val_undef(r, "No last item, sequence was empty.");
}

struct val tpl_seq_reverse(ARGS)
{
    (void)raw;
    if (tpl_is_str(a[0])) {
        size_t n = tpl_str_chars(a[0].u.s);
        return tpl_str_slice(r, a[0], (int64_t)n - 1, -1, n);
    }
    struct val back = tpl_iter_reversed(r, a[0]);
    if (GIVEN(back)) return back;
    if (!tpl_iter_can(a[0])) return tpl_type_error(r, "argument must be iterable");
    struct val list = tpl_list_from(r, TPL_LIST, a[0]);
    if (tpl_bad(list)) return list;
    for (size_t i = 0, j = list.u.l->n; i + 1 < j;
         i++) { /* fresh from a generator: ours to change */
        struct val t = list.u.l->p[--j];
        list.u.l->p[j] = list.u.l->p[i];
        list.u.l->p[i] = t;
    }
    return list;
}

struct val tpl_seq_random(ARGS)
{
    size_t n;
    (void)raw;
    if (tpl_val_len(r, a[0], &n)) return tpl_failed();
    if (!n) return tpl_val_undef(r, "No random item, sequence was empty.");
    if (a[0].kind == TPL_DICT || a[0].kind == TPL_VIEW)
        return tpl_type_error(r, "a %s has no random item", tpl_val_type(a[0]));
    return tpl_attr_item(r, a[0], tpl_size((size_t)(rng_u64(&r->rng) % n)));
}

static struct val markup_join(struct tpl_run *r, struct val list, struct val sep)
{
    size_t begin;
    int escape = tpl_is_str(sep) && sep.markup;
    for (size_t i = 0; i < list.u.l->n; i++)
        escape |= tpl_is_str(list.u.l->p[i]) && list.u.l->p[i].markup;
    sep = escape ? tpl_str_escape(r, sep) : tpl_repr_str(r, sep);
    if (tpl_bad(sep)) return sep;
    for (size_t i = 0; i < list.u.l->n; i++) {
        struct val v = list.u.l->p[i];
        v = escape ? tpl_str_escape(r, v) : tpl_repr_str(r, v);
        if (tpl_bad(v)) return v;
        list.u.l->p[i] = v;
    }
    begin = tpl_begin(r);
    for (size_t i = 0; i < list.u.l->n; i++) {
        if (i) buf_str(&r->work, tpl_view(sep));
        buf_str(&r->work, tpl_view(list.u.l->p[i]));
    }
    struct val v = tpl_end(r, begin);
    v.markup = (uint8_t)escape;
    return v;
}

struct val tpl_seq_join(ARGS)
{
    struct val sep = GIVEN(a[1]) ? a[1] : tpl_str_z(r, ""), list = tpl_list_from(r, TPL_LIST, a[0]);
    (void)raw;
    if (tpl_bad(sep) || tpl_bad(list)) return tpl_failed();
    list = tpl_list_of(r, TPL_LIST, list.u.l->p, list.u.l->n);
    if (GIVEN(a[2]) && a[2].kind != TPL_NONE) {
        struct val parts = tpl_attr_parts(r, a[2]);
        if (tpl_bad(parts) || tpl_bad(list)) return tpl_failed();
        for (size_t i = 0; i < list.u.l->n; i++)
            if (tpl_bad(list.u.l->p[i] = tpl_attr_path(r, list.u.l->p[i], parts, tpl_missing())))
                return tpl_failed();
    }
    if (tpl_bad(list)) return list;
    if (r->autoescape) return markup_join(r, list, sep);
    sep = tpl_repr_str(r, sep);
    if (tpl_bad(sep)) return sep;
    size_t begin = tpl_begin(r);
    for (size_t i = 0; i < list.u.l->n; i++) {
        if (i) buf_str(&r->work, tpl_view(sep));
        if (tpl_step_bytes(r, sep.u.s->n) ||
            (tpl_repr_to(r, &r->work, list.u.l->p[i], 0) && !r->work.failed))
            return tpl_failed();
    }
    return tpl_end(r, begin);
}

struct val tpl_seq_sum(ARGS)
{
    struct tpl_iter mem, *it = tpl_iter_open(r, a[0], &mem);
    struct val v, sum = GIVEN(a[2]) ? a[2] : tpl_int(0);
    struct val parts = tpl_attr_parts(r, a[1]);
    int got;
    (void)raw;
    if (!it || tpl_bad(parts)) return tpl_failed();
    if (tpl_is_str(sum))
        return tpl_type_error(r, "sum() can't sum strings [use ''.join(seq) instead]");
    while ((got = tpl_iter_next(r, it, &v)) == 1) {
        v = tpl_attr_path(r, v, parts, tpl_missing());
        if (tpl_bad(v) || tpl_bad(sum = tpl_num_op(r, '+', sum, v))) return tpl_failed();
    }
    return got ? tpl_failed() : sum;
}

/* ---- generators ---- */

struct work {                  /* what a generator remembers */
    struct val of;             /* the sequence */
    struct tpl_iter mem;       /* its iterator */
    const struct tpl_sig *sig; /* filter or test to apply; NULL: none */
    struct tpl_args args;
    struct val name;      /* of the filter or test, for the error */
    struct val parts;     /* attribute path, or TPL_MISSING */
    struct val otherwise; /* its default */
    int reject, started;
    const char *complaint; /* raised when the first item is asked for */
    int64_t count;         /* batch, slice */
    struct val fill, list;
    struct tpl_dict *seen; /* unique */
    struct keys keys;
};

static struct val generator(struct tpl_run *r,
                            int (*next)(struct tpl_run *, struct tpl_iter *, struct val *),
                            const struct work *w)
{
    struct work *p = tpl_alloc(r, sizeof *p);
    if (!p) return tpl_failed();
    *p = *w;
    return tpl_iter_new(r, &(struct tpl_iter){.next = next, .state = p});
}

/* The next item of the sequence itself: 1, 0, -1. Opens it first; an empty one is not even looked
 * at. */
static int source(struct tpl_run *r, struct tpl_iter *it, struct val *out)
{
    struct work *w = it->state;
    if (!w->started) {
        w->started = 1;
        it->src = tpl_iter_open(r, w->of, &w->mem);
        if (!it->src) return -1;
    }
    if (tpl_enter(r)) return -1;
    int got = tpl_iter_next(r, it->src, out);
    tpl_leave(r);
    return got;
}

/* map, select and reject look at the truth of what they walk before anything else. */
static int begin(struct tpl_run *r, struct work *w)
{
    if (w->started) return 1;
    int is = tpl_val_truth(r, w->of);
    if (is == 1 && w->complaint) return tpl_type_error(r, "%s", w->complaint), -1;
    return is;
}

static struct val apply(struct tpl_run *r, const struct work *w, struct val v, const char *what)
{
    if (w->sig) return tpl_call_sig(r, w->sig, v, &w->args);
    if (tpl_is_str(w->name))
        return tpl_type_error(r, "no %s named '%.*s'", what, STR_ARG(tpl_view(w->name)));
    return tpl_type_error(r, "the name of a %s must be a string", what);
}

static int next_map(struct tpl_run *r, struct tpl_iter *it, struct val *out)
{
    struct work *w = it->state;
    int got = begin(r, w);
    if (got == 1) got = source(r, it, out);
    if (got != 1) return got;
    *out = GIVEN(w->parts) ? tpl_attr_path(r, *out, w->parts, w->otherwise)
                           : apply(r, w, *out, "filter");
    return tpl_bad(*out) ? -1 : 1;
}

/* Copies of the arguments: the caller's may not live as long. */
static void rest(struct work *w, const struct tpl_args *raw, size_t from)
{
    w->args = *raw;
    w->args.pos += from;
    w->args.npos -= from;
}

struct val tpl_seq_map(ARGS)
{
    struct work w = {.of = a[0], .parts = tpl_missing(), .otherwise = tpl_missing()};
    if (raw->npos) {
        w.name = raw->pos[0];
        rest(&w, raw, 1);
        if (tpl_is_str(w.name)) w.sig = tpl_filter_find(tpl_view(w.name));
        return generator(r, next_map, &w);
    }
    w.complaint = "map requires a filter argument";
    for (size_t i = 0; i < raw->nkw; i++) {
        if (!str_is(raw->kw[i].name, "attribute")) continue;
        w.complaint = NULL;
        w.parts = tpl_attr_parts(r, raw->kw[i].v);
        if (tpl_bad(w.parts)) return w.parts;
    }
    for (size_t i = 0; i < raw->nkw && !w.complaint; i++) {
        if (str_is(raw->kw[i].name, "default"))
            w.otherwise = raw->kw[i].v;
        else if (!str_is(raw->kw[i].name, "attribute"))
            w.complaint = "map got an unexpected keyword argument";
    }
    return generator(r, next_map, &w);
}

static int next_select(struct tpl_run *r, struct tpl_iter *it, struct val *out)
{
    struct work *w = it->state;
    int got = begin(r, w);
    while (got == 1 && (got = source(r, it, out)) == 1) {
        struct val v = GIVEN(w->parts) ? tpl_attr_path(r, *out, w->parts, tpl_missing()) : *out;
        if (!tpl_bad(v) && GIVEN(w->name)) v = apply(r, w, v, "test");
        int is = tpl_bad(v) ? -1 : tpl_val_truth(r, v);
        if (is < 0) return -1;
        if (is != w->reject) return 1;
    }
    return got;
}

static struct val selected(struct tpl_run *r, const struct val *a, const struct tpl_args *raw,
                           int reject, int attr)
{
    struct work w = {.of = a[0], .reject = reject, .name = tpl_missing(), .parts = tpl_missing()};
    size_t off = attr ? 1 : 0;
    if (attr && !raw->npos)
        w.complaint = "missing parameter for attribute name";
    else if (attr && tpl_bad(w.parts = tpl_attr_parts(r, raw->pos[0])))
        return w.parts;
    if (raw->npos > off) {
        w.name = raw->pos[off];
        rest(&w, raw, off + 1);
        if (tpl_is_str(w.name)) w.sig = tpl_test_find(tpl_view(w.name));
    }
    return generator(r, next_select, &w);
}

struct val tpl_seq_select(ARGS) { return selected(r, a, raw, 0, 0); }
struct val tpl_seq_reject(ARGS) { return selected(r, a, raw, 1, 0); }
struct val tpl_seq_selectattr(ARGS) { return selected(r, a, raw, 0, 1); }
struct val tpl_seq_rejectattr(ARGS) { return selected(r, a, raw, 1, 1); }

static int next_unique(struct tpl_run *r, struct tpl_iter *it, struct val *out)
{
    struct work *w = it->state;
    int got;
    while ((got = source(r, it, out)) == 1) {
        struct val k = key(r, &w->keys, *out), old;
        uint32_t h;
        if (tpl_bad(k)) return -1;
        if (tpl_val_hash(r, k, &h))
            return tpl_type_error(r, "unhashable type: '%s'", tpl_val_type(k)), -1;
        int seen = tpl_dict_get(r, w->seen, k, &old);
        if (seen < 0) return -1;
        if (!seen) return tpl_dict_set(r, w->seen, k, tpl_none()) ? -1 : 1;
    }
    return got;
}

struct val tpl_seq_unique(ARGS)
{
    struct work w = {.of = a[0]};
    struct val d = tpl_dict_new(r);
    (void)raw;
    if (tpl_bad(d) || keys_of(r, &w.keys, a[2], a[1], 0)) return tpl_failed();
    w.seen = d.u.d;
    return generator(r, next_unique, &w);
}

static int next_items(struct tpl_run *r, struct tpl_iter *it, struct val *out)
{
    struct work *w = it->state;
    if (w->of.kind == TPL_UNDEF) return 0;
    if (w->of.kind != TPL_DICT)
        return tpl_type_error(r, "can only get item pairs from a mapping"), -1;
    if (!w->started) w->of = (struct val){.kind = TPL_VIEW, .sub = TPL_ITEMS, .u.d = w->of.u.d};
    int got = source(r, it, out);
    w->of.kind = TPL_DICT;
    return got;
}

struct val tpl_seq_items(ARGS)
{
    (void)raw;
    return generator(r, next_items, &(struct work){.of = a[0]});
}

static int fill_up(struct tpl_run *r, struct val list, struct val fill, int64_t n)
{
    for (int64_t i = (int64_t)list.u.l->n; i < n; i++)
        if (tpl_step(r, 1) || tpl_list_push(r, list.u.l, fill)) return -1;
    return 0;
}

static int next_batch(struct tpl_run *r, struct tpl_iter *it, struct val *out)
{
    struct work *w = it->state;
    struct val list = tpl_list_new(r, TPL_LIST, 0), v;
    int got = 1;
    if (tpl_bad(list)) return -1;
    if (GIVEN(w->list)) { /* the item that did not fit before */
        if (tpl_list_push(r, list.u.l, w->list)) return -1;
        w->list = tpl_missing();
    }
    while (it->i != 1 && (got = source(r, it, &v)) == 1) {
        /* as in Jinja, a count of 0 or less never matches a non-empty batch: but the first, empty
         * one for 0 */
        if ((int64_t)list.u.l->n == w->count) {
            w->list = v;
            *out = list;
            return 1;
        }
        if (tpl_list_push(r, list.u.l, v)) return -1;
    }
    if (got < 0) return -1;
    it->i = 1; /* the end of the sequence was seen */
    if (!list.u.l->n) return 0;
    if (GIVEN(w->fill) && w->fill.kind != TPL_NONE && fill_up(r, list, w->fill, w->count))
        return -1;
    *out = list;
    return 1;
}

struct val tpl_seq_batch(ARGS)
{
    struct work w = {.of = a[0], .fill = a[2], .list = tpl_missing()};
    (void)raw;
    if (tpl_val_index(r, a[1], &w.count)) return tpl_failed();
    return generator(r, next_batch, &w);
}

static int next_slice(struct tpl_run *r, struct tpl_iter *it, struct val *out)
{
    struct work *w = it->state;
    if (!w->started) {
        w->started = 1;
        w->list = tpl_list_from(r, TPL_LIST, w->of);
        if (tpl_bad(w->list)) return -1;
        if (w->count == 0) return tpl_type_error(r, "integer division or modulo by zero"), -1;
    }
    int64_t n = (int64_t)w->list.u.l->n, k = (int64_t)it->i;
    if (k >= w->count) return 0;
    int64_t each = n / w->count, extra = n % w->count, from = k * each + (k < extra ? k : extra);
    it->i++;
    struct val list =
        tpl_list_of(r, TPL_LIST, n ? w->list.u.l->p + from : NULL, (size_t)(each + (k < extra)));
    if (tpl_bad(list)) return -1;
    if (GIVEN(w->fill) && w->fill.kind != TPL_NONE && k >= extra &&
        tpl_list_push(r, list.u.l, w->fill))
        return -1;
    *out = list;
    return 1;
}

struct val tpl_seq_slice(ARGS)
{
    struct work w = {.of = a[0], .fill = a[2]};
    (void)raw;
    if (tpl_val_index(r, a[1], &w.count)) return tpl_failed();
    return generator(r, next_slice, &w);
}
