/* SPDX-License-Identifier: Apache-2.0
 *
 * text/schema_emit.c: a finished branch for an array or an object: its leaves become one struct schema_arr or schema_obj.
 *
 * For an object every name that any leaf knows gets the union of the literals that concern it. Keys without such a name are
 * divided by the patterns they match into classes, each with its union; classes that no key can be in are not made. A demand that "some"
 * value exists stays a bit to be met while the object is read. In a probe nothing is made: it only looks whether what must be
 * there can be there. */
#include "base/mem.h"
#include "base/sort.h"
#include "text/schema_expand.h"

enum { PREFIX_MAX = 4096, CONTAINS_MAX = 6, EXIST_MAX = 6, CLASSES_MAX = 128, LITS_MAX = 512 };

struct lits {
    uint32_t v[LITS_MAX];
    size_t n;
    int over;
};

static void lits_add(struct lits *l, uint32_t lit)
{
    for (size_t i = 0; i < l->n; i++)
        if (l->v[i] == lit) return;
    if (l->n == LITS_MAX)
        l->over = 1;
    else
        l->v[l->n++] = lit;
}

static uint32_t lits_val(struct expand *e, struct lits *l)
{
    if (l->over)
        schema_fail(e->s, LAR_EUNSUPPORTED, e->s->sch[e->lit[0].lit >> 1].path,
                    "more than %d demands on one value", LITS_MAX);
    return schema_intern(e->s, l->v, l->n);
}

/* Can any value hold all of them? */
static int lits_maybe(struct expand *e, struct lits *l)
{
    if (l->over || e->s->building > 12) return 1;
    for (int type = 0; type < T_COUNT; type++)
        if (expand_maybe(e->s, l->v, l->n, type, e->quota)) return 1;
    return 0;
}

/* Does literal i come from the literal `owner` (or is it that one)? */
static int comes_from(const struct expand *e, uint32_t i, uint32_t owner)
{
    for (;; i = e->lit[i].from) {
        if (i == owner) return 1;
        if (e->lit[i].from == i) return 0;
    }
}

/* ---- arrays ---- */

/* A schema that is satisfied where any of the n literals' schemas is. */
static uint32_t any_of(struct schema *s, const uint32_t *sub, uint32_t n, const char *path)
{
    struct json *j = arena_alloc(
        &s->a, sizeof *j); /* stands for the schema in tables keyed by their place in the text */
    struct sch_kw *k = arena_alloc(&s->a, sizeof *k);
    uint32_t *copy = arena_array(&s->a, n, sizeof *copy);
    if (!j || !k || !copy) return schema_fail(s, LAR_ELIMIT, path, "too large"), 0;
    memcpy(copy, sub, n * sizeof *copy);
    *k = (struct sch_kw){.kw = KW_ANY_OF, .j = j, .sub = copy, .nsub = n};
    uint32_t id = sch_const(s, j);
    if (id == UINT32_MAX) return 0;
    s->sch[id].kind = SCH_OBJECT;
    s->sch[id].kw = k;
    s->sch[id].nkw = 1;
    s->sch[id].has = (uint64_t)1 << KW_ANY_OF;
    s->sch[id].path = path;
    return id;
}

/* unevaluatedItems: what no schema below the owner looked at. Becomes A_ITEMS from the first such item on. */
static void unevaluated_items(struct expand *e, size_t leaf)
{
    struct schema *s = e->s;
    struct leaf l = e->leaf[leaf];
    uint64_t from = 0;
    uint32_t sub[32], n = 0;
    sub[n++] = l.lit >> 1;
    for (uint32_t i = 0; i < e->nlit; i++) {
        uint32_t id = e->lit[i].lit >> 1;
        const struct sch *x = &s->sch[id];
        if ((e->lit[i].lit & 1) || x->kind != SCH_OBJECT || !comes_from(e, i, l.owner)) continue;
        const struct sch_kw *prefix = sch_get(x, KW_PREFIX_ITEMS), *items = sch_get(x, KW_ITEMS),
                            *k;
        int list = !prefix && items && items->j->kind == JSON_ARRAY;
        if ((items && !list) || (list && sch_get(x, KW_ADDITIONAL_ITEMS)) ||
            (i != l.owner && sch_get(x, KW_UNEVALUATED_ITEMS)))
            return;
        if (list) prefix = items;
        if (prefix && prefix->nsub > from) from = prefix->nsub;
        if (x->draft >= 2020 && (k = sch_get(x, KW_CONTAINS)) && n < 32) sub[n++] = k->sub[0];
    }
    uint32_t lit = n == 1 ? l.lit : any_of(s, sub, n, s->sch[e->lit[l.owner].lit >> 1].path) << 1;
    struct leaf *t = expand_leaf(e, A_ITEMS);
    t->from = from;
    t->lit = lit;
}

static int array_frame(struct expand *e, struct schema_arr *a)
{
    uint64_t nprefix = 0;
    *a = (struct schema_arr){.max = UINT64_MAX};
    for (size_t i = 0; i < e->nleaf; i++) {
        const struct leaf *l = &e->leaf[i];
        uint64_t need = l->kind == A_PREFIX                           ? l->from + 1
                        : l->kind == A_ITEMS || l->kind == A_CONTAINS ? l->from
                                                                      : 0;
        if (need > nprefix) nprefix = need;
        if (l->kind == A_MIN && l->n > a->min) a->min = l->n;
        if (l->kind == A_MAX && l->n < a->max) a->max = l->n;
        if (l->kind == A_CONTAINS && l->n > 0 && l->from + l->n > a->min) a->min = l->from + l->n;
        a->unique |= l->kind == A_UNIQUE;
    }
    if (nprefix > a->max) nprefix = a->max;
    if (nprefix > PREFIX_MAX)
        return schema_fail(e->s, LAR_EUNSUPPORTED, e->s->sch[e->lit[0].lit >> 1].path,
                           "more than %d first items", PREFIX_MAX),
               0;
    a->nprefix = (uint32_t)nprefix;
    return a->min <= a->max;
}

static void item_lits(const struct expand *e, uint64_t i, struct lits *l)
{
    l->n = 0;
    l->over = 0;
    for (size_t k = 0; k < e->nleaf; k++)
        if ((e->leaf[k].kind == A_PREFIX && e->leaf[k].from == i) ||
            (e->leaf[k].kind == A_ITEMS && e->leaf[k].from <= i))
            lits_add(l, e->leaf[k].lit);
}

int emit_array(struct expand *e)
{
    struct schema *s = e->s;
    struct schema_arr a;
    struct lits l;
    size_t nleaf = e->nleaf;
    for (size_t i = 0; i < nleaf && !s->failed; i++)
        if (e->leaf[i].kind == A_UNEVALUATED) unevaluated_items(e, i);
    if (!array_frame(e, &a) || s->failed) return 0;
    if (e->probe) {
        int maybe = 1;
        for (uint64_t i = 0; i < a.min && i <= a.nprefix && maybe; i++) {
            item_lits(e, i, &l);
            maybe = lits_maybe(e, &l);
        }
        e->found |= maybe;
        return 0;
    }
    a.prefix = arena_array(&s->a, a.nprefix ? a.nprefix : 1, sizeof *a.prefix);
    a.contain = arena_array(&s->a, CONTAINS_MAX, sizeof *a.contain);
    if (!a.prefix || !a.contain)
        return schema_fail(s, LAR_ELIMIT, "", "the schema needs more memory than its limit");
    for (uint32_t i = 0; i <= a.nprefix && !s->failed; i++) {
        item_lits(e, i, &l);
        uint32_t v = lits_val(e, &l);
        if (i < a.nprefix)
            a.prefix[i] = v;
        else
            a.rest = v;
    }
    for (size_t i = 0; i < e->nleaf && !s->failed; i++) {
        const struct leaf *k = &e->leaf[i];
        if (k->kind != A_CONTAINS || (k->n == 0 && k->m == UINT64_MAX)) continue;
        if (a.ncontain == CONTAINS_MAX)
            return schema_fail(s, LAR_EUNSUPPORTED, s->sch[e->lit[0].lit >> 1].path,
                               "more than %d contains at once", CONTAINS_MAX);
        a.contain[a.ncontain++] = (struct schema_contain){k->lit, (uint32_t)k->from, k->n, k->m};
    }
    for (uint32_t i = 0; i <= a.nprefix; i++) /* all that will be asked for must be in the graph */
        for (uint32_t m = 0; m < 1u << a.ncontain; m++) schema_item(s, &a, i, m);
    if (s->failed || expand_grow(e, &e->arr, e->narr, &e->cap_arr, sizeof *e->arr))
        return s->failed;
    e->arr[e->narr++] = a;
    return 0;
}

/* ---- objects ---- */

static int has_member(const struct sch_kw *k, struct str name)
{
    for (const struct json *c = k ? k->j->child : NULL; c; c = c->next)
        if (str_eq(c->key, name)) return 1;
    return 0;
}

static int matches_pattern(struct expand *e, struct sch *x, struct str name)
{
    struct sch_kw *k = NULL;
    uint32_t i = 0;
    for (uint32_t n = 0; n < x->nkw; n++)
        if (x->kw[n].kw == KW_PATTERN_PROPERTIES) k = &x->kw[n];
    for (const struct json *c = k ? k->j->child : NULL; c; c = c->next, i++)
        if (rx_matches(e->s->rx, expand_pattern(e->s, k, i, c->key, x->path), name)) return 1;
    return 0;
}

/* Whether schema x gives a value under name a place: properties, patternProperties. */
static int names_it(struct expand *e, uint32_t x, struct str name)
{
    return has_member(sch_get(&e->s->sch[x], KW_PROPERTIES), name) ||
           matches_pattern(e, &e->s->sch[x], name);
}

/* 1 when below the owner everything is looked at, whatever its key. */
static int evaluates_all(const struct expand *e, uint32_t owner)
{
    for (uint32_t i = 0; i < e->nlit; i++) {
        const struct sch *x = &e->s->sch[e->lit[i].lit >> 1];
        if (!(e->lit[i].lit & 1) && x->kind == SCH_OBJECT && comes_from(e, i, owner) &&
            (sch_get(x, KW_ADDITIONAL_PROPERTIES) ||
             (i != owner && sch_get(x, KW_UNEVALUATED_PROPERTIES))))
            return 1;
    }
    return 0;
}

static int evaluates(struct expand *e, uint32_t owner, struct str name)
{
    for (uint32_t i = 0; i < e->nlit; i++)
        if (!(e->lit[i].lit & 1) && e->s->sch[e->lit[i].lit >> 1].kind == SCH_OBJECT &&
            comes_from(e, i, owner) && names_it(e, e->lit[i].lit >> 1, name))
            return 1;
    return 0;
}

/* What n leaves say of a name: the literals for its value, and the bits of "some" leaves it may meet. 0 when the name cannot be. */
static int leaf_lits(struct expand *e, const struct leaf *v, size_t n, struct str name, struct lits *l, uint32_t *exist)
{
    struct rx *p = e->s->rx;
    int ok = 1;
    uint32_t bit = 0;
    for (size_t i = 0; i < n && !e->s->failed; i++) {
        struct leaf f = v[i];
        switch (f.kind) {
        case O_NAME:
            if (str_eq(f.name, name)) lits_add(l, f.lit);
            break;
        case O_PATTERN:
            if (rx_matches(p, f.rx, name)) lits_add(l, f.lit);
            break;
        case O_REST:
            if (!names_it(e, f.x, name)) lits_add(l, f.lit);
            break;
        case O_UNEVALUATED:
            if (!evaluates_all(e, f.owner) && !evaluates(e, f.owner, name)) lits_add(l, f.lit);
            break;
        case O_KEYS: ok = ok && rx_matches(p, f.rx, name); break;
        case O_FORBIDDEN: ok = ok && !str_eq(f.name, name); break;
        case O_SOME_PATTERN:
        case O_SOME_KEY:
            if (rx_matches(p, f.rx, name)) *exist |= 1u << bit;
            bit++;
            break;
        case O_SOME_REST:
            if (!names_it(e, f.x, name)) *exist |= 1u << bit;
            bit++;
            break;
        default: break;
        }
    }
    return ok;
}

static int name_lits(struct expand *e, struct str name, struct lits *l, uint32_t *exist)
{
    l->n = 0;
    l->over = 0;
    *exist = 0;
    return leaf_lits(e, e->leaf, e->nleaf, name, l, exist);
}

struct names {
    struct str *v;
    size_t n, cap;
};

static int by_bytes(const void *ctx, uint32_t a, uint32_t b)
{
    const struct str *v = ctx;
    int c = memcmp(v[a].p, v[b].p, v[a].n < v[b].n ? v[a].n : v[b].n);
    return c ? c : v[a].n < v[b].n ? -1 : v[a].n > v[b].n;
}

static void names_add(struct expand *e, struct names *w, struct str name)
{
    if (!expand_grow(e, &w->v, w->n, &w->cap, sizeof *w->v)) w->v[w->n++] = name;
}

static void names_of(struct expand *e, struct names *w, const struct sch_kw *k)
{
    for (const struct json *c = k ? k->j->child : NULL; c; c = c->next) names_add(e, w, c->key);
}

/* Every name that some leaf treats by itself, sorted, each once. */
static void collect_names(struct expand *e, struct names *w)
{
    struct schema *s = e->s;
    for (size_t i = 0; i < e->nleaf && !s->failed; i++) {
        const struct leaf *f = &e->leaf[i];
        if (f->kind == O_NAME || f->kind == O_REQUIRED || f->kind == O_FORBIDDEN)
            names_add(e, w, f->name);
        if (f->kind == O_REST || f->kind == O_SOME_REST)
            names_of(e, w, sch_get(&s->sch[f->x], KW_PROPERTIES));
        if (f->kind == O_UNEVALUATED)
            for (uint32_t k = 0; k < e->nlit; k++)
                if (!(e->lit[k].lit & 1) && comes_from(e, k, f->owner))
                    names_of(e, w, sch_get(&s->sch[e->lit[k].lit >> 1], KW_PROPERTIES));
    }
    uint32_t *order = w->n ? mem_alloc(w->n * sizeof *order) : NULL;
    struct str *sorted = w->n ? mem_alloc(w->n * sizeof *sorted) : NULL;
    size_t k = 0;
    if (w->n && (!order || !sorted))
        schema_fail(s, LAR_ENOMEM, "", "out of memory");
    else {
        for (size_t i = 0; i < w->n; i++) order[i] = (uint32_t)i;
        if (w->n) sort_u32(order, w->n, by_bytes, w->v);
        for (size_t i = 0; i < w->n; i++)
            if (!k || !str_eq(sorted[k - 1], w->v[order[i]])) sorted[k++] = w->v[order[i]];
        for (size_t i = 0; i < k; i++) w->v[i] = sorted[i];
        w->n = k;
    }
    mem_free(order);
    mem_free(sorted);
}

static uint64_t least(const struct expand *e)
{
    uint64_t n = 0;
    for (size_t i = 0; i < e->nleaf; i++)
        if (e->leaf[i].kind == O_MIN && e->leaf[i].n > n) n = e->leaf[i].n;
    return n;
}

static uint64_t most(const struct expand *e)
{
    uint64_t n = UINT64_MAX;
    for (size_t i = 0; i < e->nleaf; i++)
        if (e->leaf[i].kind == O_MAX && e->leaf[i].n < n) n = e->leaf[i].n;
    return n;
}

/* Leaves that are of one name only, sorted by it, behind the others: an object with many names asks for those of each. */
struct sorted {
    struct leaf *v;
    size_t nother, n, at; /* at: of the names that are still to come */
};

static int is_of_name(const struct leaf *f)
{
    return f->kind == O_NAME || f->kind == O_REQUIRED || f->kind == O_FORBIDDEN;
}

static int leaf_by_name(const void *ctx, uint32_t a, uint32_t b)
{
    const struct leaf *v = ctx;
    int c = memcmp(v[a].name.p, v[b].name.p, v[a].name.n < v[b].name.n ? v[a].name.n : v[b].name.n);
    if (c == 0 && v[a].name.n != v[b].name.n) c = v[a].name.n < v[b].name.n ? -1 : 1;
    return c ? c : a < b ? -1 : a > b;
}

static int sort_leaves(struct expand *e, struct sorted *t)
{
    uint32_t *named = mem_alloc((e->nleaf + 1) * sizeof *named);
    size_t k = 0;
    if (!named || !(t->v = mem_alloc((e->nleaf + 1) * sizeof *t->v))) {
        mem_free(named);
        return schema_fail(e->s, LAR_ENOMEM, "", "out of memory");
    }
    for (size_t i = 0; i < e->nleaf; i++) {
        if (is_of_name(&e->leaf[i]))
            named[k++] = (uint32_t)i;
        else
            t->v[t->n++] = e->leaf[i];
    }
    t->at = t->nother = t->n;
    sort_u32(named, k, leaf_by_name, e->leaf);
    for (size_t i = 0; i < k; i++) t->v[t->n++] = e->leaf[named[i]];
    mem_free(named);
    return 0;
}

/* The next name, which is no earlier one: as name_lits; whether it is required to *required. */
static int next_lits(struct expand *e, struct sorted *t, struct str name, struct lits *l, uint32_t *exist,
                     int *required)
{
    size_t from = t->at;
    l->n = 0;
    l->over = 0;
    *exist = 0;
    *required = 0;
    for (; t->at < t->n && str_eq(t->v[t->at].name, name); t->at++) *required |= t->v[t->at].kind == O_REQUIRED;
    return leaf_lits(e, t->v, t->nother, name, l, exist) & leaf_lits(e, t->v + from, t->at - from, name, l, exist);
}

/* What must be there can be there, as far as a probe looks. */
static int object_maybe(struct expand *e)
{
    struct lits l;
    uint32_t exist;
    if (least(e) > most(e)) return 0;
    for (size_t i = 0; i < e->nleaf; i++) {
        if (e->leaf[i].kind != O_REQUIRED) continue;
        if (most(e) == 0 || !name_lits(e, e->leaf[i].name, &l, &exist)) return 0;
        if (l.n && !lits_maybe(e, &l)) return 0;
    }
    return 1;
}

/* The distinct patterns that divide the keys without a name. */
struct patterns {
    uint32_t rx[64];
    size_t n;
};

static uint32_t pattern_index(struct expand *e, struct patterns *w, uint32_t rx)
{
    for (size_t i = 0; i < w->n; i++)
        if (w->rx[i] == rx) return (uint32_t)i;
    if (w->n == 64) {
        schema_fail(e->s, LAR_EUNSUPPORTED, e->s->sch[e->lit[0].lit >> 1].path, "more than 64 patterns for keys");
        return 0;
    }
    w->rx[w->n] = rx;
    return (uint32_t)w->n++;
}

/* The bits of patternProperties of schema x. */
static uint64_t pattern_bits(struct expand *e, struct patterns *w, uint32_t x)
{
    struct sch *y = &e->s->sch[x];
    uint64_t m = 0;
    for (uint32_t n = 0; n < y->nkw; n++) {
        struct sch_kw *k = &y->kw[n];
        uint32_t i = 0;
        if (k->kw != KW_PATTERN_PROPERTIES) continue;
        for (const struct json *c = k->j->child; c; c = c->next, i++)
            m |= (uint64_t)1 << pattern_index(e, w, expand_pattern(e->s, k, i, c->key, y->path));
    }
    return m;
}

static uint64_t evaluated_bits(struct expand *e, struct patterns *w, uint32_t owner)
{
    uint64_t m = 0;
    for (uint32_t i = 0; i < e->nlit; i++)
        if (!(e->lit[i].lit & 1) && e->s->sch[e->lit[i].lit >> 1].kind == SCH_OBJECT &&
            comes_from(e, i, owner))
            m |= pattern_bits(e, w, e->lit[i].lit >> 1);
    return m;
}

/* The class of keys that match exactly the patterns in `in`. */
static void add_class(struct expand *e, struct schema_obj *o, struct patterns *w, uint64_t in,
                      uint32_t rx)
{
    struct lits l = {.n = 0};
    uint32_t exist = 0, bit = 0;
    for (size_t i = 0; i < e->nleaf && !e->s->failed; i++) {
        struct leaf f = e->leaf[i];
        switch (f.kind) {
        case O_PATTERN:
            if (in >> pattern_index(e, w, f.rx) & 1) lits_add(&l, f.lit);
            break;
        case O_REST:
            if (!(in & pattern_bits(e, w, f.x))) lits_add(&l, f.lit);
            break;
        case O_UNEVALUATED:
            if (!evaluates_all(e, f.owner) && !(in & evaluated_bits(e, w, f.owner)))
                lits_add(&l, f.lit);
            break;
        case O_SOME_PATTERN:
        case O_SOME_KEY:
            if (in >> pattern_index(e, w, f.rx) & 1) exist |= 1u << bit;
            bit++;
            break;
        case O_SOME_REST:
            if (!(in & pattern_bits(e, w, f.x))) exist |= 1u << bit;
            bit++;
            break;
        default: break;
        }
    }
    for (size_t i = 0; i < l.n; i++) /* nothing may be there: no class */
        if (l.v[i] & 1 ? e->s->sch[l.v[i] >> 1].kind == SCH_TRUE
                       : e->s->sch[l.v[i] >> 1].kind == SCH_FALSE)
            return;
    uint32_t val = lits_val(e, &l);
    for (uint32_t i = 0; i < o->ncls; i++)
        if (o->cls[i].val == val && o->cls[i].exist == exist) {
            o->cls[i].rx = rx_alt(e->s->rx, o->cls[i].rx, rx);
            return;
        }
    if (o->ncls == CLASSES_MAX) {
        schema_fail(e->s, LAR_EUNSUPPORTED, e->s->sch[e->lit[0].lit >> 1].path,
                    "more than %d kinds of keys", CLASSES_MAX);
        return;
    }
    o->cls[o->ncls++] = (struct schema_class){rx, val, exist};
}

static void divide(struct expand *e, struct schema_obj *o, struct patterns *w, size_t i,
                   uint64_t in, uint32_t rx)
{
    struct rx *p = e->s->rx;
    if (e->s->failed || !rx_alive(p, rx)) return;
    if (++e->steps > 100000) {
        schema_fail(e->s, LAR_EUNSUPPORTED, e->s->sch[e->lit[0].lit >> 1].path,
                    "its patterns for keys overlap in too many ways");
        return;
    }
    if (i == w->n) {
        add_class(e, o, w, in, rx);
        return;
    }
    divide(e, o, w, i + 1, in | (uint64_t)1 << i, rx_and(p, rx, w->rx[i]));
    divide(e, o, w, i + 1, in, rx_diff(p, rx, w->rx[i]));
}

static void classes(struct expand *e, struct schema_obj *o, struct names *w)
{
    struct schema *s = e->s;
    struct patterns patterns = {.n = 0};
    uint32_t keys = RX_ALL;
    for (size_t i = 0; i < e->nleaf && !s->failed; i++) {
        struct leaf f = e->leaf[i];
        if (f.kind == O_KEYS) keys = rx_and(s->rx, keys, f.rx);
        if (f.kind == O_PATTERN || f.kind == O_SOME_PATTERN || f.kind == O_SOME_KEY)
            pattern_index(e, &patterns, f.rx);
        if (f.kind == O_REST || f.kind == O_SOME_REST) pattern_bits(e, &patterns, f.x);
        if (f.kind == O_UNEVALUATED) evaluated_bits(e, &patterns, f.owner);
    }
    /* With patterns the known names must be taken out of the keys, lest nothing be left but them. */
    if ((patterns.n || keys != RX_ALL) && w->n)
        keys = rx_diff(s->rx, keys, rx_words(s->rx, w->v, w->n));
    struct schema_class cls[CLASSES_MAX];
    o->cls = cls;
    divide(e, o, &patterns, 0, 0, keys);
    o->cls = arena_array(&s->a, o->ncls ? o->ncls : 1, sizeof *o->cls);
    if (!o->cls)
        schema_fail(s, LAR_ELIMIT, "", "the schema needs more memory than its limit");
    else if (o->ncls)
        memcpy(o->cls, cls, o->ncls * sizeof *o->cls);
}

static void some(struct expand *e, struct schema_obj *o)
{
    for (size_t i = 0; i < e->nleaf && !e->s->failed; i++) {
        const struct leaf *f = &e->leaf[i];
        if (f->kind != O_SOME_PATTERN && f->kind != O_SOME_REST && f->kind != O_SOME_KEY) continue;
        if (o->nexist == EXIST_MAX) {
            schema_fail(e->s, LAR_EUNSUPPORTED, e->s->sch[e->lit[0].lit >> 1].path,
                        "more than %d negated demands on keys at once", EXIST_MAX);
            return;
        }
        o->exist[o->nexist++] = f->kind == O_SOME_KEY ? UINT32_MAX : f->lit;
    }
}

/* Values that meet some of the "some" demands: all that will be asked for must be in the graph. */
static void exist_values(struct schema *s, const struct schema_obj *o, uint32_t val, uint32_t exist)
{
    for (uint32_t e = 0; e < o->nexist && val != UINT32_MAX && !s->failed; e++)
        if ((exist >> e & 1) && o->exist[e] != UINT32_MAX) schema_with(s, val, o->exist[e]);
}

int emit_object(struct expand *e)
{
    struct schema *s = e->s;
    struct schema_obj o = {.min = least(e), .max = most(e)};
    struct names w = {0};
    struct lits l;
    if (e->probe) {
        e->found |= object_maybe(e);
        return 0;
    }
    if (o.min > o.max) return 0;
    o.exist = arena_array(&s->a, EXIST_MAX, sizeof *o.exist);
    collect_names(e, &w);
    o.name = arena_array(&s->a, w.n ? w.n : 1, sizeof *o.name);
    if (!o.exist || !o.name)
        schema_fail(s, LAR_ELIMIT, "", "the schema needs more memory than its limit");
    else
        some(e, &o);
    struct sorted leaves = {0};
    int ok = sort_leaves(e, &leaves) == 0, required;
    for (size_t i = 0; i < w.n && ok && !s->failed; i++) {
        struct schema_name *m = &o.name[o.nname++];
        m->name = w.v[i];
        m->val = next_lits(e, &leaves, w.v[i], &l, &m->exist, &required) ? lits_val(e, &l) : UINT32_MAX;
        m->required = (uint8_t)required;
        o.nrequired += m->required;
        ok = !m->required || m->val != UINT32_MAX;
        exist_values(s, &o, m->val, m->exist);
    }
    if (ok && !s->failed) classes(e, &o, &w);
    for (uint32_t i = 0; i < o.ncls && ok && !s->failed; i++)
        exist_values(s, &o, o.cls[i].val, o.cls[i].exist);
    mem_free(w.v);
    mem_free(leaves.v);
    o.distinct = o.min > 0 || o.nexist > 0;
    if (!ok || s->failed || o.nrequired > o.max) return s->failed;
    if (expand_grow(e, &e->obj, e->nobj, &e->cap_obj, sizeof *e->obj)) return s->failed;
    e->obj[e->nobj++] = o;
    return 0;
}
