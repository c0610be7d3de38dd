/* SPDX-License-Identifier: Apache-2.0
 *
 * text/grammar.c: items and states: interning, stepping, ending. What a byte does to an item of JSON is in grammar_json.c. */
#include <stdio.h>

#include "base/mem.h"
#include "base/sort.h"
#include "text/grammar_impl.h"
#include "text/lark.h"

enum { STATES_MAX = 4000000, POP_DEPTH_MAX = 400 };

int grammar_fail(struct grammar *g, int code, const char *what)
{
    if (!g->failed) g->failed = lar_fail(&g->err, code, "%s", what);
    return g->failed;
}

int grammar_grow(struct grammar *g, void *v, size_t n, size_t *cap, size_t size)
{
    if (n < *cap) return 0;
    void *old, *fresh;
    memcpy(&old, v, sizeof old);
    size_t more = *cap ? *cap * 2 : 64;
    if (g->failed) return g->failed;
    if (g->bytes + (more - *cap) * size > g->opt.limit)
        return grammar_fail(g, LAR_ELIMIT, "the grammar needs more memory than its limit");
    if (!(fresh = mem_resize(old, more * size)))
        return grammar_fail(g, LAR_ENOMEM, "out of memory");
    g->bytes += (more - *cap) * size;
    *cap = more;
    memcpy(v, &fresh, sizeof fresh);
    return 0;
}

enum { HEADS_MIN = 64 };

static void split(struct table *t)
{
    size_t from = t->nhead - t->low, to = t->nhead++;
    uint32_t i = t->head[from];
    t->head[from] = t->head[to] = 0;
    while (i) {
        struct chain *c = &t->chain[i - 1];
        uint32_t next = c->next, *at = &t->head[(c->hash & (2 * t->low - 1)) == to ? to : from];
        c->next = *at;
        *at = i;
        i = next;
    }
    if (t->nhead == 2 * t->low) t->low *= 2;
}

int grammar_table_add(struct grammar *g, struct table *t, size_t number, uint32_t hash)
{
    if (grammar_grow(g, &t->chain, number, &t->cap, sizeof *t->chain) ||
        grammar_grow(g, &t->head, t->nhead, &t->cap_head, sizeof *t->head))
        return g->failed;
    if (!t->nhead) {
        memset(t->head, 0, HEADS_MIN * sizeof *t->head);
        t->nhead = t->low = HEADS_MIN;
    } else if (number >= t->nhead)
        split(t);
    size_t b = hash & (2 * t->low - 1);
    uint32_t *at = &t->head[b < t->nhead ? b : b & (t->low - 1)];
    t->chain[number] = (struct chain){hash, *at};
    *at = (uint32_t)number + 1;
    return 0;
}

static uint32_t mix(uint32_t h, uint32_t v)
{
    h = (h ^ v) * 0x9e3779b1u;
    return h ^ h >> 15;
}

/* ---- items ---- */

static uint32_t hash_item(const struct item *i)
{
    uint32_t h = mix(0, i->kind | (uint32_t)i->phase << 8 | (uint32_t)i->space << 16);
    return mix(mix(mix(mix(h, i->a), i->b), i->c), i->parent);
}

uint32_t grammar_item(struct grammar *g, struct item it)
{
    it.records |= g->state[it.parent].records;
    uint32_t h = hash_item(&it);
    if (g->failed) return 0;
    for (uint32_t i = table_first(&g->titem, h); i; i = table_next(&g->titem, i)) {
        const struct item *o = &g->item[i - 1];
        if (o->kind == it.kind && o->phase == it.phase && o->space == it.space && o->a == it.a && o->b == it.b &&
            o->c == it.c && o->parent == it.parent)
            return i - 1;
    }
    if (grammar_grow(g, &g->item, g->nitem, &g->cap_item, sizeof *g->item) ||
        grammar_table_add(g, &g->titem, g->nitem, h))
        return 0;
    g->item[g->nitem] = it;
    return (uint32_t)g->nitem++;
}

void grammar_out(struct grammar *g, struct item it)
{
    uint32_t id = grammar_item(g, it);
    if (!grammar_grow(g, &g->out, g->nout, &g->cap_out, sizeof *g->out)) g->out[g->nout++] = id;
}

/* ---- sets and states ---- */

static int by_number(const void *ctx, uint32_t a, uint32_t b)
{
    (void)ctx;
    return a < b ? -1 : a > b;
}

static uint32_t hash_set(const uint32_t *id, size_t n, uint32_t text)
{
    uint32_t h = mix((uint32_t)n, text);
    for (size_t i = 0; i < n; i++) h = mix(h, id[i]);
    return h;
}

static int ends(const struct grammar *g, uint32_t id)
{
    const struct item *it = &g->item[id];
    if (it->kind == I_END) return 1;
    if (it->kind == I_SEQ) return g->gbnf.node[it->a].empty && g->state[it->parent].accepts;
    if ((it->kind != I_SCALAR && it->kind != I_TERM) || !rx_nullable(g->rx, it->a)) return 0;
    return g->state[it->parent].accepts;
}

uint32_t grammar_set(struct grammar *g, const uint32_t *id, size_t n, uint32_t text)
{
    if (g->failed || n == 0) return 0;
    if (n + g->nids > g->cap_ids) {
        size_t cap = g->cap_ids;
        while (cap < n + g->nids) cap = cap ? cap * 2 : 256;
        uint32_t *v = mem_resize(g->ids, cap * sizeof *v);
        if (!v || g->bytes > g->opt.limit) {
            if (v) g->ids = v;
            return grammar_fail(g, v ? LAR_ELIMIT : LAR_ENOMEM,
                                "the grammar needs more memory than its limit"),
                   0;
        }
        g->bytes += (cap - g->cap_ids) * sizeof *v;
        g->ids = v;
        g->cap_ids = cap;
    }
    uint32_t *v = g->ids + g->nids;
    memmove(v, id, n * sizeof *v);
    if (n > 1) sort_u32(v, n, by_number, NULL);
    size_t k = 1;
    for (size_t i = 1; i < n; i++)
        if (v[i] != v[k - 1]) v[k++] = v[i];
    n = k;
    uint32_t h = hash_set(v, n, text);
    for (uint32_t i = table_first(&g->tstate, h); i; i = table_next(&g->tstate, i)) {
        const struct state *o = &g->state[i - 1];
        if (o->n == n && o->text == text && !memcmp(g->ids + o->items, v, n * sizeof *v)) return i - 1;
    }
    if (g->nstate >= STATES_MAX)
        return grammar_fail(g, LAR_ELIMIT, "the grammar needs too many states"), 0;
    if (grammar_grow(g, &g->state, g->nstate, &g->cap_state, sizeof *g->state) ||
        grammar_table_add(g, &g->tstate, g->nstate, h))
        return 0;
    struct state s = {.items = (uint32_t)g->nids, .n = (uint32_t)n, .text = text};
    for (size_t i = 0; i < n; i++) {
        s.accepts |= (uint8_t)ends(g, v[i]);
        s.records |= g->item[v[i]].records;
    }
    g->nids += n;
    g->state[g->nstate] = s;
    return (uint32_t)g->nstate++;
}

uint32_t grammar_one(struct grammar *g, struct item it)
{
    uint32_t id = grammar_item(g, it);
    return grammar_set(g, &id, 1, 0);
}

uint32_t grammar_alone(struct grammar *g, const struct item *it, uint32_t text)
{
    uint32_t id = grammar_item(g, *it);
    return grammar_set(g, &id, 1, text);
}

uint32_t grammar_link(struct grammar *g, uint32_t value, uint32_t before)
{
    uint32_t h = mix(mix(0, value), before);
    for (uint32_t i = table_first(&g->tlink, h); i; i = table_next(&g->tlink, i))
        if (g->link[i - 1].value == value && g->link[i - 1].before == before) return i;
    if (grammar_grow(g, &g->link, g->nlink, &g->cap_link, sizeof *g->link) ||
        grammar_table_add(g, &g->tlink, g->nlink, h))
        return 0;
    g->link[g->nlink] = (struct link){value, before};
    return (uint32_t)++g->nlink;
}

/* ---- steps ---- */

static uint32_t going_on(struct grammar *g, uint32_t node, uint32_t parent)
{
    return node ? grammar_one(g, (struct item){.kind = I_SEQ, .a = node, .parent = parent}) : parent;
}

/* What node n begins with, before what goes on in parent. */
static void begin(struct grammar *g, uint32_t n, uint32_t parent)
{
    const struct gbnf_node *d = &g->gbnf.node[n];
    uint64_t key = (uint64_t)n << 32 | parent;
    if (g->failed || d->dead) return;
    if (n == 0) {
        grammar_pop(g, parent, 0);
        return;
    }
    if (d->kind == GBNF_TERM) {
        grammar_out(g, (struct item){.kind = I_TERM, .a = d->a, .parent = going_on(g, d->next, parent)});
        return;
    }
    if (d->kind == GBNF_VALUE) {
        grammar_out(g, (struct item){.kind = I_VALUE, .a = d->a, .parent = going_on(g, d->next, parent)});
        return;
    }
    for (size_t i = 0; i < g->nvisit; i++)
        if (g->visit[i] == key) return;
    if (g->depth > POP_DEPTH_MAX) {
        grammar_fail(g, LAR_ELIMIT, "rules that begin one another too deep");
        return;
    }
    if (grammar_grow(g, &g->visit, g->nvisit, &g->cap_visit, sizeof *g->visit)) return;
    g->visit[g->nvisit++] = key;
    g->depth++;
    if (d->kind == GBNF_CALL)
        begin(g, d->a, going_on(g, d->next, parent));
    else
        for (uint32_t k = 0; k < d->n; k++) begin(g, g->gbnf.way[d->a + k], parent);
    g->depth--;
    if (g->depth == 0) g->nvisit = 0;
}

static void resume(struct grammar *g, uint32_t id, uint32_t text)
{
    struct item it = g->item[id];
    if (it.kind == I_SEQ)
        begin(g, it.a, it.parent);
    else if (it.kind == I_ARRAY)
        json_resume(g, &it, text);
    else
        grammar_out(g, it);
}

void grammar_pop(struct grammar *g, uint32_t parent, uint32_t text)
{
    if (g->depth > POP_DEPTH_MAX) {
        grammar_fail(g, LAR_ELIMIT, "values that end in one another too deep");
        return;
    }
    g->depth++;
    for (uint32_t i = 0; i < g->state[parent].n && !g->failed; i++)
        resume(g, g->ids[g->state[parent].items + i], text);
    g->depth--;
    if (g->depth == 0) g->nvisit = 0;
}

uint32_t grammar_resumed(struct grammar *g, uint32_t parent)
{
    if (!g->gbnf.nnode || g->failed) return parent;
    g->nout = 0;
    grammar_pop(g, parent, 0);
    return g->failed ? 0 : grammar_set(g, g->out, g->nout, 0);
}

void grammar_step_item(struct grammar *g, const struct item *it, unsigned b, uint32_t before,
                       uint32_t after)
{
    if (it->kind == I_SCALAR || it->kind == I_TERM) {
        struct item next = *it;
        next.a = rx_step(g->rx, it->a, b);
        if (next.a != RX_EMPTY && rx_alive(g->rx, next.a)) {
            /* A terminal whose text can only end here has ended: what follows it is expected at once. */
            if (next.a == RX_EPS)
                grammar_pop(g, it->parent, after);
            else
                grammar_out(g, next);
        }
        if (!rx_nullable(g->rx, it->a)) return;
        /* It may also have ended before b: then b is for those that go on. */
        size_t from = g->nout;
        grammar_pop(g, it->parent, before);
        size_t to = g->nout;
        for (size_t i = from; i < to && !g->failed; i++) {
            struct item p = g->item[g->out[i]];
            grammar_step_item(g, &p, b, before, after);
        }
        memmove(g->out + from, g->out + to, (g->nout - to) * sizeof *g->out);
        g->nout -= to - from;
    } else
        json_step(g, it, b, before, after);
}

/* Whether b is white space between parts of JSON. What is recorded is read as JSON, so it is no part of that. */
static int between(const struct grammar *g, uint32_t state, unsigned b)
{
    if (b != ' ' && b != '\n' && b != '\r' && b != '\t') return 0;
    for (uint32_t i = 0; i < g->state[state].n; i++) {
        uint8_t kind = g->item[g->ids[g->state[state].items + i]].kind;
        if (kind == I_STRING || kind == I_KEY || kind == I_TERM) return 0;
    }
    return 1;
}

static uint32_t make(struct grammar *g, uint32_t state, unsigned b)
{
    uint32_t before = g->state[state].text, after = before;
    g->nout = 0;
    if (g->unique && !between(g, state, b)) after = grammar_link(g, b, before);
    for (uint32_t i = 0; i < g->state[state].n && !g->failed; i++) {
        struct item it = g->item[g->ids[g->state[state].items + i]];
        grammar_step_item(g, &it, b, before, after);
    }
    if (g->failed || g->nout == 0) return 0;
    int records = 0;
    for (size_t i = 0; i < g->nout; i++) records |= g->item[g->out[i]].records;
    return grammar_set(g, g->out, g->nout, records ? after : 0);
}

static size_t edge_slot(const struct edge *v, size_t cap, uint64_t key)
{
    size_t h = (size_t)(key * 0x9e3779b97f4a7c15u >> 24) & (cap - 1);
    while (v[h].key && v[h].key != key) h = (h + 1) & (cap - 1);
    return h;
}

static void edge_put(struct grammar *g, struct edge e)
{
    size_t at = edge_slot(g->edge, g->cap_edge, e.key);
    g->nedge += !g->edge[at].key;
    g->edge[at] = e;
}

/* Room for one more. A full table stays beside its successor, and with each new edge some of its own move there. */
static int edge_room(struct grammar *g)
{
    size_t half = g->cap_edge / 2, end = g->moved + 8 < half ? g->moved + 8 : half;
    for (; g->old_edge && g->moved < end; g->moved++)
        if (g->old_edge[g->moved].key) edge_put(g, g->old_edge[g->moved]);
    if (g->old_edge && g->moved == half) {
        g->bytes -= half * sizeof *g->old_edge;
        mem_free(g->old_edge);
        g->old_edge = NULL;
    }
    if (g->cap_edge && (g->old_edge || (g->nedge + 1) * 2 <= g->cap_edge)) return 0;
    size_t cap = g->cap_edge ? g->cap_edge * 2 : 1024;
    if (g->bytes + cap * sizeof *g->edge > g->opt.limit)
        return grammar_fail(g, LAR_ELIMIT, "the grammar needs more memory than its limit");
    struct edge *v = mem_zalloc(cap * sizeof *v);
    if (!v) return grammar_fail(g, LAR_ENOMEM, "out of memory");
    g->bytes += cap * sizeof *v;
    g->old_edge = g->edge;
    g->edge = v;
    g->cap_edge = cap;
    g->nedge = g->moved = 0;
    return 0;
}

static const struct edge *edge_find(const struct grammar *g, uint64_t key)
{
    const struct edge *e = g->cap_edge ? &g->edge[edge_slot(g->edge, g->cap_edge, key)] : NULL;
    if (e && !e->key && g->old_edge) e = &g->old_edge[edge_slot(g->old_edge, g->cap_edge / 2, key)];
    return e && e->key ? e : NULL;
}

static int machine_failed(struct grammar *g)
{
    if (g->failed) return 1;
    if (g->schema && schema_failed(g->schema, &g->err))
        g->failed = g->err.code;
    else if (rx_failed(g->rx))
        grammar_fail(g, rx_failed(g->rx), "the patterns need more memory than their limit");
    return g->failed != 0;
}

uint32_t grammar_step(struct grammar *g, uint32_t state, unsigned b)
{
    uint64_t key = ((uint64_t)state << 8 | b) + 1;
    const struct edge *e = state ? edge_find(g, key) : NULL;
    if (e || !state) return e ? e->to : 0;
    uint32_t to = make(g, state, b);
    if (machine_failed(g) || edge_room(g)) return 0;
    edge_put(g, (struct edge){key, to});
    return to;
}

uint32_t grammar_walk(struct grammar *g, uint32_t state, struct str s, size_t *at)
{
    size_t i = 0;
    for (; i < s.n; i++) {
        uint32_t to = grammar_step(g, state, (unsigned char)s.p[i]);
        if (!to) break;
        state = to;
    }
    if (at) *at = i;
    return i == s.n ? state : 0;
}

void grammar_bytes_of(struct grammar *g, uint32_t state, struct rx_set *out)
{
    *out = (struct rx_set){{0}};
    for (unsigned b = 0; b < 256; b++)
        if (grammar_step(g, state, b)) rx_set_add(out, b);
}

/* ---- opening ---- */

static int has_unique(const struct grammar *g, const struct json *j, int depth)
{
    if (!j || depth > JSON_DEPTH_MAX) return 0;
    if (json_bool(json_get(j, "uniqueItems"), 0)) return 1;
    if (j->kind == JSON_OBJECT || j->kind == JSON_ARRAY)
        for (const struct json *c = j->child; c; c = c->next)
            if (has_unique(g, c, depth + 1)) return 1;
    return 0;
}

static int open_schema(struct grammar *g, struct str text, struct buf *notes, struct lar_err *err)
{
    struct arena a;
    int e = schema_open(&g->schema, text, &g->opt.schema, notes, err);
    if (e < 0) return e;
    arena_init(&a, 0);
    g->unique = has_unique(g, json_parse(&a, text, NULL), 0);
    arena_done(&a);
    g->rx = schema_rx(g->schema);
    if (schema_sat(g->schema, schema_root(g->schema)))
        g->start = grammar_one(
            g, (struct item){.kind = I_VALUE, .a = schema_root(g->schema), .parent = g->end});
    return 0;
}

static int open_regex(struct grammar *g, enum grammar_kind kind, struct str text,
                      struct lar_err *err)
{
    int64_t r;
    if (kind == GRAMMAR_GBNF) {
        int e = gbnf_read(&g->gbnf, text, g->rx, &g->a, err);
        if (e < 0) return e;
        g->nout = 0;
        begin(g, g->gbnf.start, g->end);
        g->start = grammar_set(g, g->out, g->nout, 0);
        return 0;
    }
    if (kind == GRAMMAR_REGEX)
        r = rx_parse(g->rx, text, 1, err);
    else {
        struct json *j = json_parse(&g->a, text, err), *c = j ? j->child : NULL;
        size_t n = 0;
        if (!j) return err->code;
        while (c && c->kind == JSON_STRING && c->s.n) c = c->next, n++;
        if (j->kind != JSON_ARRAY || c || n == 0)
            return lar_fail(err, LAR_EFORMAT,
                            "choices must be a JSON array of strings, at least one and none empty");
        struct str *v = arena_array(&g->a, n, sizeof *v);
        if (!v) return lar_fail(err, LAR_ENOMEM, "out of memory");
        n = 0;
        for (c = j->child; c; c = c->next) v[n++] = c->s;
        r = rx_words(g->rx, v, n);
    }
    if (r < 0) return (int)r;
    if (rx_alive(g->rx, (uint32_t)r))
        g->start =
            grammar_one(g, (struct item){.kind = I_TERM, .a = (uint32_t)r, .parent = g->end});
    return 0;
}

/* The value of a member, and the object that it is in. */
static int64_t member_of(struct grammar *g, uint32_t v, struct str key, struct lar_err *err)
{
    const struct schema_val *val = schema_val(g->schema, v);
    if (!val || val->nobj != 1 || val->obj->nexist)
        return lar_fail(err, LAR_EUNSUPPORTED,
                        "%.*s: its object has alternatives, which have no place in this form of calls", STR_ARG(key));
    const struct schema_obj *o = val->obj;
    for (uint32_t i = 0; i < o->nname; i++)
        if (str_eq(o->name[i].name, key)) return o->name[i].val;
    return lar_fail(err, LAR_EUNSUPPORTED, "%.*s: the schema has no such member", STR_ARG(key));
}

/* gbnf_values.value: a value's number + 1, 0 for one that nothing satisfies; or the expression of a text. */
static int64_t part_value(void *ctx, uint32_t number, const struct str *key, int text, struct lar_err *err)
{
    struct grammar *g = ctx;
    char name[12];
    snprintf(name, sizeof name, "%u", number);
    int64_t v = member_of(g, schema_root(g->schema), str_of(name), err);
    if (v >= 0 && key) v = member_of(g, (uint32_t)v, *key, err);
    if (v < 0) return v;
    int sat = schema_sat(g->schema, (uint32_t)v);
    const struct schema_val *val = schema_val(g->schema, (uint32_t)v);
    if (!val) return schema_failed(g->schema, err);
    return text ? (int64_t)val->string : sat ? v + 1 : 0;
}

int grammar_part_lives(struct grammar *g, uint32_t number, struct lar_err *err)
{
    int64_t v = part_value(g, number, NULL, 0, err);
    return v < 0 ? (int)v : v > 0;
}

static int open_parts(struct grammar *g, struct str text, struct buf *notes, struct lar_err *err)
{
    struct json *j = json_parse(&g->a, text, err);
    struct buf b = {0};
    struct gbnf_values values = {g, part_value};
    if (!j) return err->code;
    json_write(&b, json_get(j, "schema") ? json_get(j, "schema") : j);
    int e = b.failed ? lar_fail(err, LAR_ENOMEM, "out of memory") : open_schema(g, buf_view(&b), notes, err);
    buf_done(&b);
    if (e < 0) return e;
    g->start = 0;
    e = gbnf_read_with(&g->gbnf, json_str(json_get(j, "grammar"), STR("")), &values, g->rx, &g->a, err);
    if (e < 0) return e;
    g->nout = 0;
    begin(g, g->gbnf.start, g->end);
    g->start = grammar_set(g, g->out, g->nout, 0);
    return 0;
}

static int open_lark(struct grammar *g, struct str text, struct buf *notes, struct lar_err *err)
{
    struct buf parts = {0};
    int e = lark_read(text, &parts, err);
    const char *copy = e == 0 ? arena_copy(&g->a, parts.p, parts.n) : NULL; /* what is read of it points into it */
    size_t n = parts.n;
    buf_done(&parts);
    if (e < 0) return e;
    if (g->opt.space < 0) g->opt.space = 1; /* of text around it nobody knows where white space would end */
    return copy ? open_parts(g, (struct str){copy, n}, notes, err) : lar_fail(err, LAR_ENOMEM, "out of memory");
}

int grammar_open(struct grammar **out, enum grammar_kind kind, struct str text,
                 const struct grammar_options *opt, struct buf *notes, struct lar_err *err)
{
    struct grammar *g = mem_zalloc(sizeof *g);
    struct lar_err unused;
    int e = 0;
    if (!err) err = &unused;
    *out = NULL;
    if (!g) return lar_fail(err, LAR_ENOMEM, "out of memory");
    g->opt.space = -1;
    if (opt) g->opt = *opt;
    if (!g->opt.limit) g->opt.limit = (size_t)256 << 20;
    arena_init(&g->a, g->opt.limit);
    if (!grammar_grow(g, &g->state, 0, &g->cap_state, sizeof *g->state)) {
        g->state[0] = (struct state){0};
        g->nstate = 1;
        g->rx = g->own_rx =
            kind == GRAMMAR_SCHEMA || kind == GRAMMAR_JSON || kind >= GRAMMAR_LARK ? NULL : rx_open(g->opt.limit);
        g->end = grammar_one(g, (struct item){.kind = I_END, .phase = kind <= GRAMMAR_JSON});
        if (kind > GRAMMAR_JSON && kind < GRAMMAR_LARK && !g->rx) grammar_fail(g, LAR_ENOMEM, "out of memory");
    }
    if (!g->failed) {
        if (kind == GRAMMAR_SCHEMA || kind == GRAMMAR_JSON)
            e = open_schema(g, kind == GRAMMAR_JSON ? STR("true") : text, notes, err);
        else if (kind == GRAMMAR_PARTS)
            e = open_parts(g, text, notes, err);
        else if (kind == GRAMMAR_LARK)
            e = open_lark(g, text, notes, err);
        else
            e = open_regex(g, kind, text, err);
    }
    if (e == 0 && (g->failed || machine_failed(g))) {
        *err = g->err;
        e = g->failed;
    }
    if (e < 0)
        grammar_close(g);
    else
        *out = g;
    return e < 0 ? e : 0;
}

void grammar_close(struct grammar *g)
{
    if (!g) return;
    schema_close(g->schema);
    rx_close(g->own_rx);
    arena_done(&g->a);
    mem_free(g->item);
    mem_free(g->state);
    mem_free(g->ids);
    mem_free(g->edge);
    mem_free(g->old_edge);
    mem_free(g->os);
    mem_free(g->ks);
    mem_free(g->as);
    mem_free(g->link);
    mem_free(g->out);
    mem_free(g->visit);
    struct table *t[] = {&g->titem, &g->tstate, &g->tos, &g->tks, &g->tas, &g->tlink};
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        mem_free(t[i]->head);
        mem_free(t[i]->chain);
    }
    mem_free(g);
}

uint32_t grammar_start(const struct grammar *g) { return g->start; }
int grammar_final(const struct grammar *g, uint32_t state)
{
    const struct state *s = &g->state[state];
    for (uint32_t i = 0; i < s->n; i++) {
        const struct item *it = &g->item[g->ids[s->items + i]];
        if (it->kind != I_END && ((it->kind != I_SCALAR && it->kind != I_TERM) || it->a != RX_EPS)) return 0;
    }
    return grammar_accepts(g, state);
}

int grammar_accepts(const struct grammar *g, uint32_t state)
{
    return state != 0 && g->state[state].accepts;
}
size_t grammar_bytes(const struct grammar *g)
{
    return g->bytes + g->a.used + (g->schema ? schema_bytes(g->schema) : rx_bytes(g->rx));
}
void grammar_left_out(const struct grammar *g, struct buf *out)
{
    if (g->schema) schema_left_out(g->schema, out);
}
int grammar_judge(struct grammar *g, struct str text, struct lar_err *why)
{
    if (g->schema && !g->gbnf.nnode) return schema_judge(g->schema, text, why);
    uint32_t s = grammar_walk(g, g->start, text, NULL);
    if (grammar_failed(g, why)) return grammar_failed(g, NULL);
    return grammar_accepts(g, s) ? 1 : (lar_fail(why, LAR_EFORMAT, "the grammar does not accept it"), 0);
}
size_t grammar_states(const struct grammar *g) { return g->nstate; }

int grammar_failed(const struct grammar *g, struct lar_err *err)
{
    if (g->failed && err) *err = g->err;
    return g->failed;
}
