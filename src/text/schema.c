/* SPDX-License-Identifier: Apache-2.0
 *
 * text/schema.c: the graph of values: interning them by their literals, building what can be reached, and the fixed point that tells
 * which of them any document satisfies. How one value is built from its literals is in schema_expand.c. */
#include "base/mem.h"
#include "base/sort.h"
#include "text/schema_impl.h"

enum { VALUES_MAX = 100000 };

static int by_number(const void *ctx, uint32_t a, uint32_t b)
{
    (void)ctx;
    return a < b ? -1 : a > b;
}

static uint32_t hash_lits(const uint32_t *lit, size_t n)
{
    uint32_t h = (uint32_t)n;
    for (size_t i = 0; i < n; i++) h = (h ^ lit[i]) * 0x9e3779b1u, h ^= h >> 15;
    return h;
}

uint32_t schema_intern(struct schema *s, uint32_t *lit, size_t n)
{
    if (s->failed) return 0;
    if (n > 1) sort_u32(lit, n, by_number, NULL);
    size_t k = 0;
    for (size_t i = 0; i < n; i++) {
        if (lit[i] & 1 ? s->sch[lit[i] >> 1].kind == SCH_FALSE
                       : s->sch[lit[i] >> 1].kind == SCH_TRUE)
            continue;
        if (!k || lit[k - 1] != lit[i]) lit[k++] = lit[i];
    }
    n = k;
    uint32_t h = hash_lits(lit, n);
    for (uint32_t i = s->head[h & (s->nhead - 1)]; i; i = s->val[i - 1].next)
        if (s->val[i - 1].nlit == n && (!n || !memcmp(s->val[i - 1].lit, lit, n * sizeof *lit)))
            return i - 1;
    if (s->nval >= VALUES_MAX)
        return schema_fail(s, LAR_ELIMIT, "", "more than %d different demands on values",
                           VALUES_MAX),
               0;
    if (s->nval == s->cap_val) {
        size_t cap = s->cap_val ? s->cap_val * 2 : 64;
        struct schema_val *v = mem_resize(s->val, cap * sizeof *v);
        if (v) s->val = v;
        uint32_t *head = v ? mem_zalloc(cap * 2 * sizeof *head) : NULL;
        if (!head) return schema_fail(s, LAR_ENOMEM, "", "out of memory"), 0;
        mem_free(s->head);
        s->head = head;
        s->nhead = cap * 2;
        s->cap_val = cap;
        for (size_t i = 0; i < s->nval; i++) {
            uint32_t *at = &head[hash_lits(s->val[i].lit, s->val[i].nlit) & (s->nhead - 1)];
            s->val[i].next = *at;
            *at = (uint32_t)i + 1;
        }
    }
    struct schema_val v = {.nlit = (uint32_t)n, .next = s->head[h & (s->nhead - 1)]};
    if (!(v.lit = arena_array(&s->a, n ? n : 1, sizeof *lit)))
        return schema_fail(s, LAR_ELIMIT, "", "the schema needs more memory than its limit"), 0;
    if (n) memcpy(v.lit, lit, n * sizeof *lit);
    s->val[s->nval] = v;
    s->head[h & (s->nhead - 1)] = (uint32_t)s->nval + 1;
    return (uint32_t)s->nval++;
}

uint32_t schema_with_all(struct schema *s, uint32_t v, const uint32_t *lit, uint32_t nlit)
{
    if (s->failed) return 0;
    uint32_t small[64], *w = small, n = s->val[v].nlit;
    if (n + nlit > 64 && !(w = mem_alloc(((size_t)n + nlit) * sizeof *w)))
        return schema_fail(s, LAR_ENOMEM, "", "out of memory"), 0;
    if (n) memcpy(w, s->val[v].lit, n * sizeof *w);
    if (nlit) memcpy(w + n, lit, nlit * sizeof *w);
    uint32_t r = schema_intern(s, w, n + nlit);
    if (w != small) mem_free(w);
    return r;
}

uint32_t schema_with(struct schema *s, uint32_t v, uint32_t lit) { return schema_with_all(s, v, &lit, 1); }

uint32_t schema_item(struct schema *s, const struct schema_arr *a, uint64_t i, uint32_t counted)
{
    uint32_t v = i < a->nprefix ? a->prefix[i] : a->rest;
    for (uint32_t c = 0; c < a->ncontain && !s->failed; c++) {
        if (i < a->contain[c].from) continue;
        if (counted >> c & 1)
            v = schema_with(s, v, a->contain[c].lit);
        else if (a->contain[c].max != UINT64_MAX)
            v = schema_with(s, v, a->contain[c].lit ^ 1);
    }
    return v;
}

uint32_t schema_unlike(struct schema *s, struct str text)
{
    struct lar_err e;
    char *bytes = arena_copy(&s->a, text.p, text.n);
    const struct json *j = bytes ? json_parse(&s->a, (struct str){bytes, text.n}, &e) : NULL;
    if (!j)
        return schema_fail(s, LAR_ELIMIT, "", "an item of an array with uniqueItems is too large"),
               UINT32_MAX;
    uint32_t x = sch_const(s, j);
    return x == UINT32_MAX ? x : x << 1 | 1;
}

/* ---- the fixed point ---- */

/* Whether v is satisfied by some document, by what is known so far; values not built yet are built. */
static int sat_now(struct schema *s, uint32_t v)
{
    if (s->failed) return 0;
    if (!s->val[v].built) schema_build(s, v);
    return s->val[v].sat;
}

static int arr_sat(struct schema *s, const struct schema_arr *a)
{
    uint64_t n = a->min < a->nprefix ? a->min : (uint64_t)a->nprefix + (a->min > a->nprefix);
    if (a->max < a->min) return 0;
    for (uint64_t i = 0; i < n; i++) {
        int any = 0;
        for (uint32_t m = 0; m < 1u << a->ncontain && !any; m++)
            any = sat_now(s, schema_item(s, a, i, m));
        if (!any) return 0;
    }
    for (uint32_t c = 0; c < a->ncontain; c++) {
        const struct schema_contain *k = &a->contain[c];
        int any = k->min == 0;
        if (k->max < k->min || k->min > a->max) return 0;
        for (uint64_t i = k->from; !any && i <= a->nprefix && i < a->max; i++)
            for (uint32_t m = 0; m < 1u << a->ncontain && !any; m++)
                any = (m >> c & 1) && sat_now(s, schema_item(s, a, i, m));
        if (!any && k->from > a->nprefix &&
            k->from < a->max) /* from beyond the prefix: all items there are alike */
            for (uint32_t m = 0; m < 1u << a->ncontain && !any; m++)
                any = (m >> c & 1) && sat_now(s, schema_item(s, a, k->from, m));
        if (!any) return 0;
    }
    return 1;
}

static int obj_sat(struct schema *s, const struct schema_obj *o)
{
    uint64_t can = 0;
    uint32_t met = 0;
    for (uint32_t i = 0; i < o->nname; i++) {
        const struct schema_name *m = &o->name[i];
        int ok = m->val != UINT32_MAX && sat_now(s, m->val);
        if (m->required && !ok) return 0;
        can += (uint64_t)ok;
        for (uint32_t e = 0; ok && e < o->nexist; e++)
            if ((m->exist >> e & 1) &&
                (o->exist[e] == UINT32_MAX || sat_now(s, schema_with(s, m->val, o->exist[e]))))
                met |= 1u << e;
    }
    for (uint32_t i = 0; i < o->ncls; i++) {
        const struct schema_class *c = &o->cls[i];
        if (!sat_now(s, c->val)) continue;
        can = UINT64_MAX;
        for (uint32_t e = 0; e < o->nexist; e++)
            if ((c->exist >> e & 1) &&
                (o->exist[e] == UINT32_MAX || sat_now(s, schema_with(s, c->val, o->exist[e]))))
                met |= 1u << e;
    }
    return o->nrequired <= o->max && o->min <= o->max && o->min <= can &&
           met == (1u << o->nexist) - 1;
}

static int val_sat(struct schema *s, uint32_t v)
{
    if (rx_alive(s->rx, s->val[v].string) || rx_alive(s->rx, s->val[v].scalar)) return 1;
    for (uint32_t i = 0; i < s->val[v].narr; i++)
        if (arr_sat(s, &s->val[v].arr[i])) return 1;
    for (uint32_t i = 0; i < s->val[v].nobj; i++)
        if (obj_sat(s, &s->val[v].obj[i])) return 1;
    return 0;
}

/* Once all is known: what can never be chosen is taken out. */
static void finish(struct schema *s, uint32_t v)
{
    for (uint32_t i = 0; i < s->val[v].narr; i++) {
        struct schema_arr *a = &s->val[v].arr[i];
        a->sat = arr_sat(s, a);
        for (uint32_t k = 0; a->sat && k <= a->nprefix && k < a->max; k++) {
            int any = 0;
            for (uint32_t m = 0; m < 1u << a->ncontain && !any; m++)
                any = sat_now(s, schema_item(s, a, k, m));
            if (!any) a->max = k;
        }
    }
    for (uint32_t i = 0; i < s->val[v].nobj; i++) {
        struct schema_obj *o = &s->val[v].obj[i];
        o->sat = obj_sat(s, o);
        for (uint32_t k = 0; k < o->nname; k++)
            o->name[k].allowed = o->name[k].val != UINT32_MAX && sat_now(s, o->name[k].val);
        uint32_t n = 0;
        for (uint32_t k = 0; k < o->ncls; k++)
            if (sat_now(s, o->cls[k].val)) o->cls[n++] = o->cls[k];
        o->ncls = n;
    }
}

/* Builds whatever the values from `settled` on lead to, then iterates sat from "nothing is" upwards until nothing changes. */
static void settle(struct schema *s)
{
    if (s->settled == (int)s->nval || s->failed) return;
    size_t from = (size_t)s->settled;
    for (int change = 1; change && !s->failed;) {
        change = 0;
        for (size_t v = s->nval;
             v-- > from && !s->failed;) /* children stand behind their parents */
            if (s->val[v].built && !s->val[v].sat && val_sat(s, (uint32_t)v))
                s->val[v].sat = 1, change = 1;
    }
    for (size_t v = from; v < s->nval && !s->failed; v++)
        if (s->val[v].built == 1) finish(s, (uint32_t)v), s->val[v].built = 2;
    s->settled = (int)s->nval;
}

/* Builds all that v leads to: breadth first over the parts. */
static void reach(struct schema *s, uint32_t v)
{
    if (!s->val[v].built) schema_build(s, v);
    for (size_t i = (size_t)s->settled; i < s->nval && !s->failed; i++)
        if (!s->val[i].built) schema_build(s, (uint32_t)i);
}

const struct schema_val *schema_val(struct schema *s, uint32_t v)
{
    if (s->failed) return NULL;
    if (s->val[v].built != 2) {
        reach(s, v);
        settle(s);
        if (!s->failed && s->val[v].built != 2) {
            if (!s->val[v].built) schema_build(s, v);
            s->val[v].sat = (uint8_t)val_sat(s, v);
            finish(s, v);
            s->val[v].built = 2;
        }
        if (!s->failed && rx_failed(s->rx))
            schema_fail(s, rx_failed(s->rx), "",
                        "the schema's patterns need more than its limit of memory");
    }
    return s->failed ? NULL : &s->val[v];
}

int schema_sat(struct schema *s, uint32_t v)
{
    const struct schema_val *x = schema_val(s, v);
    return x && x->sat;
}

/* ---- opening ---- */

static struct schema *make(const struct schema_options *opt)
{
    struct schema *s = mem_zalloc(sizeof *s);
    if (!s) return NULL;
    if (opt) s->opt = *opt;
    if (!s->opt.limit) s->opt.limit = (size_t)64 << 20;
    s->fail_kw = -1;
    arena_init(&s->a, s->opt.limit);
    s->nhead = 64;
    s->head = mem_zalloc(s->nhead * sizeof *s->head);
    s->rx = rx_open(s->opt.limit);
    if (!s->rx || !s->head) schema_fail(s, LAR_ENOMEM, "", "out of memory");
    if (!s->failed) schema_num_init(s);
    return s;
}

static void build(struct schema *s, struct str text, struct buf *notes)
{
    s->notes = notes;
    if (!s->failed) schema_load(s, text);
    if (!s->failed && !s->lenient) {
        uint32_t lit = s->root << 1;
        s->root = schema_intern(s, &lit, 1);
        schema_val(s, s->root);
    }
    s->notes = NULL;
}

int schema_open(struct schema **out, struct str text, const struct schema_options *opt,
                struct buf *notes, struct lar_err *err)
{
    size_t before = notes ? notes->n : 0, nleft = 0;
    struct schema_left *left = NULL;
    *out = NULL;
    for (;;) {
        struct schema *s = make(opt);
        if (!s) {
            schema_left_free(left, nleft);
            return lar_fail(err, LAR_ENOMEM, "out of memory");
        }
        s->left = left;
        s->nleft = nleft;
        if (notes) notes->n = before;
        build(s, text, notes);
        if (!s->failed && nleft) { /* the whole of it, to judge by */
            s->whole = make(opt);
            if (s->whole) s->whole->lenient = 1, build(s->whole, text, NULL);
            if (!s->whole || s->whole->failed) schema_fail(s, LAR_ENOMEM, "", "out of memory");
        }
        if (!s->failed) {
            *out = s;
            return 0;
        }
        int e = s->failed, again = s->opt.partial && !s->whole && schema_leave(s, &left, &nleft);
        if (err) *err = s->err;
        s->left = again ? NULL : left;
        s->nleft = again ? 0 : nleft;
        schema_close(s);
        if (!again) return e;
    }
}

void schema_close(struct schema *s)
{
    if (!s) return;
    schema_close(s->whole);
    schema_left_free(s->left, s->nleft);
    rx_close(s->rx);
    arena_done(&s->a);
    mem_free(s->sch);
    mem_free(s->by_json);
    mem_free(s->val);
    mem_free(s->head);
    mem_free(s);
}

struct rx *schema_rx(struct schema *s) { return s->rx; }
uint32_t schema_root(const struct schema *s) { return s->root; }
size_t schema_bytes(const struct schema *s)
{
    return s->a.used + rx_bytes(s->rx) + s->cap_val * sizeof *s->val + (s->whole ? schema_bytes(s->whole) : 0);
}

int schema_failed(const struct schema *s, struct lar_err *err)
{
    if (s->failed && err) *err = s->err;
    return s->failed;
}
