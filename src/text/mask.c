/* SPDX-License-Identifier: Apache-2.0
 *
 * text/mask.c: the walk from a state over the tree of tokens; what it keeps for the next time. */
#include "text/mask.h"

#include "base/sort.h"
#include "text/mask_impl.h"

enum { WALK_DEPTH_MAX = 3 * TOKTRIE_TOKEN_MAX, ITEMS_MAX = 64, LIST_MAX = 1024, REPEAT_MAX = 200 };

/* ---- maps from numbers to what is kept ---- */

static size_t slot_of(const struct map *m, uint64_t key)
{
    size_t h = (size_t)((key + 1) * 0x9e3779b97f4a7c15u >> 32) & (m->cap - 1);
    while (m->slot[h].key && m->slot[h].key != key + 1) h = (h + 1) & (m->cap - 1);
    return h;
}

void *map_get(const struct map *m, uint64_t key)
{
    return m->cap ? m->slot[slot_of(m, key)].v : NULL;
}

int map_put(struct masks *m, struct map *map, uint64_t key, void *v)
{
    if ((map->n + 1) * 2 > map->cap) {
        struct map fresh = {.cap = map->cap ? map->cap * 2 : 256};
        if (!(fresh.slot = mem_zalloc(fresh.cap * sizeof *fresh.slot)))
            return grammar_fail(m->g, LAR_ENOMEM, "out of memory for masks");
        for (size_t i = 0; i < map->cap; i++)
            if (map->slot[i].key) fresh.slot[slot_of(&fresh, map->slot[i].key - 1)] = map->slot[i];
        fresh.n = map->n;
        mem_free(map->slot);
        *map = fresh;
    }
    map->slot[slot_of(map, key)] = (struct slot){key + 1, v};
    map->n++;
    return 0;
}

int masks_tmp_n(struct masks *m, const uint32_t *v, size_t n)
{
    if (m->cap_tmp - m->ntmp < n) {
        size_t cap = m->cap_tmp ? m->cap_tmp : 1024;
        while (cap - m->ntmp < n) cap *= 2;
        uint32_t *more = mem_resize(m->tmp, cap * sizeof *more);
        if (!more) return grammar_fail(m->g, LAR_ENOMEM, "out of memory for masks");
        m->tmp = more;
        m->cap_tmp = cap;
    }
    if (n) memcpy(m->tmp + m->ntmp, v, n * sizeof *v);
    m->ntmp += n;
    return 0;
}

int masks_tmp(struct masks *m, uint32_t x) { return masks_tmp_n(m, &x, 1); }

/* ---- what is being filled ---- */

static void add(struct masks *m, uint32_t token)
{
    uint64_t bit = (uint64_t)1 << (token & 63), *w = &m->out[token >> 6];
    if (*w & bit) return;
    *w |= bit;
    if (m->nlist < LIST_MAX) m->list[m->nlist] = token;
    m->nlist++;
}

static void add_own(struct masks *m, uint32_t n)
{
    const struct tnode *d = &m->t->t.node[n];
    for (uint32_t k = 0; k < d->own; k++) add(m, m->t->t.order[d->lo + k]);
}

static int is_cut(const struct part *p, uint32_t token)
{
    uint32_t lo = 0, hi = p->ncut;
    while (lo < hi) {
        uint32_t mid = (lo + hi) / 2;
        if (p->cut[mid] < token)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < p->ncut && p->cut[lo] == token;
}

/* The part's set without what is cut; what other parts have added of that stays. */
static void add_base(struct masks *m, const struct part *p)
{
    const uint64_t *base = p->base;
    uint32_t nkeep = 0;
    m->ntmp = 0;
    for (uint32_t i = 0; i < p->ncut; i++)
        if (tokset_has(m->out, p->cut[i])) masks_tmp(m, p->cut[i]), nkeep++;
    if (!m->base && !m->mixed && !m->nlist)
        memcpy(m->out, base, (size_t)m->t->nword * 8);
    else
        for (uint32_t i = 0; i < m->t->nword; i++) m->out[i] |= base[i];
    m->mixed |= m->base || p->ncut > LIST_MAX;
    m->base = base;
    if (!m->mixed && p->ncut) memcpy(m->cut, p->cut, p->ncut * sizeof *p->cut);
    m->ncut = p->ncut;
    for (uint32_t i = 0; i < p->ncut; i++)
        m->out[p->cut[i] >> 6] &= ~((uint64_t)1 << (p->cut[i] & 63));
    for (uint32_t i = 0; i < nkeep && i < m->ntmp; i++) tokset_add(m->out, m->tmp[i]);
}

static void add_inner(struct masks *m, const struct part *p)
{
    if (p->base) add_base(m, p);
    for (uint32_t i = 0; i < p->ninner; i++) add(m, p->inner[i]);
}

static int exit_fits(const struct masks *m, const struct part *p, const struct texit *e)
{
    if (p->lo || p->hi != UINT32_MAX) {
        uint32_t c = m->t->chars[e->token];
        if (c < p->lo || c > p->hi || (c == 255 && p->hi < 2 * TOKTRIE_TOKEN_MAX)) return 0;
    }
    return !p->ncut || !is_cut(p, e->token);
}

/* ---- tails ---- */

/* The bytes with which items of this kind may go on: more than they take, never fewer. */
static void maybe(const struct masks *m, const struct item *it, struct rx_set *s)
{
    static const char *const object[] = {"}\"", "\"", ":", ",}"};
    const char *c = "";
    if (it->kind == I_END && !it->phase) return;
    if (it->kind == I_STRING || it->kind == I_KEY) {
        for (c = "\"\\/bfnrtu0123456789abcdefABCDEF"; *c; c++) rx_set_add(s, (unsigned char)*c);
        return;
    }
    if (m->g->opt.space)
        for (c = " \n\r\t"; *c; c++) rx_set_add(s, (unsigned char)*c);
    if (it->kind == I_OBJECT && it->phase <= O_NEXT)
        c = object[it->phase];
    else if (it->kind == I_ARRAY)
        c = "],";
    else if (it->kind == I_VALUE)
        c = "\"{[-0123456789tfn";
    for (; *c; c++) rx_set_add(s, (unsigned char)*c);
}

/* The same for all of a state. */
static struct rx_set maybe_of(const struct masks *m, uint32_t state)
{
    struct rx_set s = {{0}};
    const struct grammar *g = m->g;
    for (uint32_t i = 0; i < g->state[state].n; i++) {
        const struct item *it = &g->item[g->ids[g->state[state].items + i]];
        if ((it->kind == I_STRING && it->b == 0) || (it->kind == I_KEY && it->c == 0) || it->kind == I_SCALAR ||
            it->kind == I_TERM || it->kind == I_SEQ) {
            memset(&s, 0xff, sizeof s);
            return s;
        }
        maybe(m, it, &s);
    }
    return s;
}

static void tails_below(struct masks *m, uint32_t n, uint32_t state)
{
    const struct trie *t = &m->t->tails;
    struct rx_set s = maybe_of(m, state);
    for (uint32_t c = t->node[n].child; c < t->node[n].child + t->node[n].nchild; c++) {
        if (!rx_set_has(&s, t->node[c].byte)) continue;
        uint32_t to = grammar_step(m->g, state, t->node[c].byte);
        if (!to) continue;
        for (uint32_t k = 0; k < t->node[c].own; k++) masks_tmp(m, t->order[t->node[c].lo + k]);
        if (t->node[c].nchild) tails_below(m, c, to); /* no deeper than a token is long */
    }
}

static int by_number(const void *ctx, uint32_t a, uint32_t b)
{
    (void)ctx;
    return a < b ? -1 : a > b;
}

static const struct tails *tails_of(struct masks *m, uint32_t state)
{
    struct tails *v = map_get(&m->tails, state);
    if (v) return v;
    m->ntmp = 0;
    tails_below(m, 0, state);
    sort_u32(m->tmp, m->ntmp, by_number, NULL);
    v = arena_alloc(&m->a, sizeof *v + m->ntmp * sizeof *v->v);
    if (!v) {
        grammar_fail(m->g, LAR_ENOMEM, "out of memory for masks");
        return NULL;
    }
    v->n = (uint32_t)m->ntmp;
    if (v->n) memcpy(v->v, m->tmp, v->n * sizeof *v->v);
    return map_put(m, &m->tails, state, v) ? NULL : v;
}

/* Tokens that close the string and go on so that `state`, behind the quote, takes their tail. */
static void add_exits(struct masks *m, const struct part *p, uint32_t state)
{
    const struct tails *ok = p->nexit ? tails_of(m, state) : NULL;
    for (uint32_t i = 0, from = 0; ok && i < ok->n; i++) {
        uint32_t lo = from, hi = p->nexit;
        while (lo < hi) {
            uint32_t mid = (lo + hi) / 2;
            if (p->exit[mid].tail < ok->v[i])
                lo = mid + 1;
            else
                hi = mid;
        }
        for (; lo < p->nexit && p->exit[lo].tail == ok->v[i]; lo++)
            if (exit_fits(m, p, &p->exit[lo])) add(m, p->exit[lo].token);
        from = lo;
    }
}

/* The same where the machine records the string's text (uniqueItems), so that the state behind it depends on it: each is tried, or
 * when they are many one text stands for all, for then hardly any is the last that differs. */
static void try_exits(struct masks *m, const struct part *p, uint32_t node, uint32_t state)
{
    uint32_t tail = 0, good = 0, behind = 0, skip = p->nexit ? m->t->t.node[node].depth : 0;
    for (uint32_t i = 0; i < p->nexit && !m->g->failed; i++) {
        const struct texit *e = &p->exit[i];
        if (!exit_fits(m, p, e)) continue;
        struct str s = str_from(m->t->bytes[e->token], skip), rest = m->t->tail[e->tail];
        if (p->nexit <= REPEAT_MAX)
            good = grammar_walk(m->g, state, s, NULL);
        else if (behind || (behind = grammar_walk(m->g, state, (struct str){s.p, s.n - rest.n}, NULL)))
            good = tail && e->tail == tail ? good : grammar_walk(m->g, behind, rest, NULL), tail = e->tail;
        if (good) add(m, e->token);
    }
}

/* ---- the walk ---- */

static void below(struct masks *m, uint32_t n, uint32_t state);

static void string_below(struct masks *m, uint32_t n, const struct item *it, uint32_t state)
{
    struct part scratch;
    const struct part *p = mask_part(m, PART_STRING, n, it->a, &scratch);
    if (!p) return;
    add_inner(m, p);
    if (it->records)
        try_exits(m, p, n, state);
    else
        add_exits(m, p, grammar_resumed(m->g, it->parent));
}

/* The node behind the text of a name from its byte `at` on, as JSON writes it, and the quote; 0 when no token has it whole. With
 * keep, tokens on the way there are added. */
static uint32_t name_node(struct masks *m, uint32_t n, struct str rest, int keep)
{
    struct buf text = {.limit = 8 * TOKTRIE_TOKEN_MAX};
    const struct trie *t = &m->t->t;
    int plain = 1;
    if (rest.n > TOKTRIE_TOKEN_MAX) rest.n = TOKTRIE_TOKEN_MAX;
    for (size_t i = 0; i < rest.n && plain; i++)
        plain = (unsigned char)rest.p[i] >= 0x20 && rest.p[i] != '"' && rest.p[i] != '\\';
    if (!plain) {
        buf_json_str(&text, rest);
        rest = text.n > 1 ? (struct str){text.p + 1, text.n - 2} : (struct str){"", 0};
    }
    for (size_t i = 0; i < rest.n; i++) {
        if (!(n = trie_child(t, n, (unsigned char)rest.p[i]))) break;
        if (keep) add_own(m, n);
    }
    int ok = (n || !rest.n) && !text.failed;
    buf_done(&text);
    return ok ? trie_child(t, n, '"') : 0;
}

/* Where different keys are counted: a without the keys that came, as far as they begin like this one. */
static uint32_t without_extra(struct masks *m, const struct item *it, uint32_t a)
{
    struct grammar *g = m->g;
    const struct link *l = g->link;
    uint32_t text = g->ks[it->b].text, at = 0;
    for (uint32_t i = text; i; i = l[i - 1].before) at++;
    for (uint32_t e = g->os[it->a].extra; e && !g->failed; e = g->link[e - 1].before) {
        uint32_t n = 0, i = g->link[e - 1].value;
        char rest[TOKTRIE_TOKEN_MAX];
        for (l = g->link; i; i = l[i - 1].before) n++;
        if (n < at || n - at >= sizeof rest) continue; /* longer than any token: nothing to fear yet */
        uint32_t len = n - at;
        for (i = g->link[e - 1].value; n > at; i = l[i - 1].before) rest[--n - at] = (char)l[i - 1].value;
        if (i == text) a = rx_diff(g->rx, a, rx_text(g->rx, (struct str){rest, len}));
    }
    return a;
}

static void take_out(struct masks *m, const uint32_t *v, uint32_t n)
{
    uint32_t k = 0;
    if (!n) return;
    for (uint32_t i = 0; i < n; i++) m->out[v[i] >> 6] &= ~((uint64_t)1 << (v[i] & 63));
    m->mixed |= m->nlist > LIST_MAX || n > LIST_MAX - m->ncut;
    if (m->mixed) return;
    for (uint32_t i = 0; i < m->nlist; i++)
        if (tokset_has(m->out, m->list[i])) m->list[k++] = m->list[i];
    m->nlist = k;
    if (m->base) memcpy(m->cut + m->ncut, v, n * sizeof *v), m->ncut += n;
}

/* Keys without a name: what the classes of the object allow, but for the tokens that would complete a name. */
static void class_below(struct masks *m, uint32_t n, const struct item *it, const struct kstate *k)
{
    const struct schema_obj *o = m->g->os[it->a].o;
    const struct trie *t = &m->t->t;
    struct part scratch;
    uint32_t *taken = NULL, ntaken = 0;
    m->ntmp = 0;
    for (uint32_t i = k->lo; i < k->hi; i++) {
        uint32_t c = name_node(m, n, str_from(o->name[i].name, k->at), 0);
        for (uint32_t x = c ? t->node[c].lo : 0; c && x < t->node[c].hi; x++)
            if (!tokset_has(m->out, t->order[x])) masks_tmp(m, t->order[x]);
    }
    if (m->ntmp && !(taken = mem_alloc(m->ntmp * sizeof *taken))) {
        grammar_fail(m->g, LAR_ENOMEM, "out of memory for masks");
        return;
    }
    for (; ntaken < m->ntmp; ntaken++) taken[ntaken] = m->tmp[ntaken];
    for (uint32_t i = 0; i < k->n && !m->g->failed; i++) {
        uint32_t a = o->distinct ? without_extra(m, it, k->rx[i]) : k->rx[i];
        if (a == RX_EMPTY || !rx_alive(m->g->rx, a)) continue;
        const struct part *p = mask_part(m, PART_STRING, n, a, &scratch);
        if (!p) break;
        add_inner(m, p);
        if (p->nexit) add_exits(m, p, json_key_state(m->g, it, UINT32_MAX, i));
    }
    take_out(m, taken, ntaken);
    mem_free(taken);
}

static void key_below(struct masks *m, uint32_t n, const struct item *it)
{
    struct kstate k = m->g->ks[it->b];
    const struct schema_obj *o = m->g->os[it->a].o;
    int any = 0;
    for (uint32_t i = 0; i < k.n; i++) any |= k.rx[i] != RX_EMPTY;
    if (any) class_below(m, n, it, &k);
    for (uint32_t i = k.lo; i < k.hi && !m->g->failed; i++) {
        if (!json_name_can(m->g, it, i)) continue;
        uint32_t c = name_node(m, n, str_from(o->name[i].name, k.at), 1);
        if (!c) continue;
        add_own(m, c);
        if (m->t->t.node[c].nchild) below(m, c, json_key_state(m->g, it, i, 0));
    }
}

static void text_below(struct masks *m, uint32_t n, const struct item *it)
{
    struct part scratch;
    const struct part *p = mask_part(m, PART_TEXT, n, it->a, &scratch);
    if (!p) return;
    add_inner(m, p);
    if (!p->nstop && !rx_nullable(m->g->rx, it->a)) return;
    uint32_t after = grammar_resumed(m->g, it->parent);
    for (uint32_t i = 0; i < p->nstop; i++) below(m, p->stop[i], after);
    if (rx_nullable(m->g->rx, it->a)) below(m, n, after);
}

static void step_to(struct masks *m, uint32_t c, uint32_t to)
{
    add_own(m, c);
    if (m->t->t.node[c].nchild) below(m, c, to);
}

/* All items of state together, byte by byte. */
static void joint_below(struct masks *m, uint32_t n, uint32_t state)
{
    const struct trie *t = &m->t->t;
    struct grammar *g = m->g;
    struct rx_set s = maybe_of(m, state);
    /* White space that leads back here: what follows it is what follows. */
    if (n == 0 && g->opt.space < 0 && rx_set_has(&s, ' ') && grammar_step(g, state, ' ') == state) {
        for (uint32_t i = 0; i < m->t->nspace; i++) add(m, m->t->space[i]);
        for (unsigned b = 0; b < 256; b++) {
            uint32_t from = m->t->after[b], end = m->t->after[b + 1];
            uint32_t to = from < end && rx_set_has(&s, b) ? grammar_step(g, state, b) : 0;
            for (; to && from < end; from++) step_to(m, m->t->after_space[from], to);
        }
        return;
    }
    for (uint32_t c = t->node[n].child; c < t->node[n].child + t->node[n].nchild && !g->failed; c++) {
        uint32_t to = rx_set_has(&s, t->node[c].byte) ? grammar_step(g, state, t->node[c].byte) : 0;
        if (to) step_to(m, c, to);
    }
}

static int known(const struct item *it)
{
    switch (it->kind) {
    case I_STRING: return it->b == 0;
    case I_KEY: return it->c == 0 && !it->records;
    case I_SCALAR:
    case I_TERM: return !it->records;
    default: return 0;
    }
}

/* The tokens below node n that may go on from state. */
static void below(struct masks *m, uint32_t n, uint32_t state)
{
    struct grammar *g = m->g;
    struct item items[ITEMS_MAX];
    uint32_t rest[ITEMS_MAX], nitem = 0, nrest = 0;
    if (!state || g->failed || !m->t->t.node[n].nchild) return;
    struct state s = g->state[state];
    if (s.n > ITEMS_MAX || m->depth > WALK_DEPTH_MAX) {
        if (m->depth > WALK_DEPTH_MAX)
            grammar_fail(g, LAR_ELIMIT, "the grammar's texts end in one another too deep");
        else
            joint_below(m, n, state);
        return;
    }
    for (uint32_t i = 0; i < s.n; i++) {
        const struct item *it = &g->item[g->ids[s.items + i]];
        if (known(it))
            items[nitem++] = *it;
        else
            rest[nrest++] = g->ids[s.items + i];
    }
    m->depth++;
    if (nrest) joint_below(m, n, nitem ? grammar_set(g, rest, nrest, s.text) : state);
    for (uint32_t i = 0; i < nitem && !g->failed; i++) {
        if (items[i].kind == I_STRING)
            string_below(m, n, &items[i], nitem + nrest == 1 ? state : grammar_alone(g, &items[i], s.text));
        else if (items[i].kind == I_KEY)
            key_below(m, n, &items[i]);
        else
            text_below(m, n, &items[i]);
    }
    m->depth--;
}

/* ---- masks ---- */

static void forget(struct masks *m)
{
    struct map *all[] = {&m->part[0], &m->part[1], &m->tails, &m->kept, &m->reach};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        mem_free(all[i]->slot);
        *all[i] = (struct map){0};
    }
    arena_done(&m->a);
    arena_init(&m->a, 0);
}

static void keep(struct masks *m, uint32_t state)
{
    struct kept *k;
    if (m->mixed || m->nlist > LIST_MAX) {
        uint64_t *set = arena_array(&m->a, m->t->nword, sizeof *set);
        if (!set) return; /* it is only made again */
        m->base = memcpy(set, m->out, (size_t)m->t->nword * sizeof *set);
        m->ncut = m->nlist = 0;
    }
    if (!(k = arena_alloc(&m->a, sizeof *k + (m->ncut + m->nlist) * sizeof *k->list))) return;
    *k = (struct kept){.base = m->base, .ncut = m->ncut, .n = m->nlist};
    memcpy(k->list, m->cut, m->ncut * sizeof *m->cut);
    memcpy(k->list + m->ncut, m->list, m->nlist * sizeof *m->list);
    map_put(m, &m->kept, state, k);
}

static void replay(const struct masks *m, const struct kept *k, uint64_t *out)
{
    size_t n = (size_t)m->t->nword * sizeof *out;
    const uint32_t *v = k->list;
    if (k->base)
        memcpy(out, k->base, n);
    else
        memset(out, 0, n);
    for (uint32_t i = 0; i < k->ncut; i++, v++) out[*v >> 6] &= ~((uint64_t)1 << (*v & 63));
    for (uint32_t i = 0; i < k->n; i++, v++) tokset_add(out, *v);
}

static void start(struct masks *m, uint64_t *out)
{
    m->out = out;
    m->base = NULL;
    m->ncut = m->nlist = 0;
    m->mixed = m->depth = 0;
}

int masks_fill(struct masks *m, uint32_t state, uint64_t *out, struct lar_err *err)
{
    const struct kept *k = map_get(&m->kept, state);
    if (k) {
        replay(m, k, out);
        return 0;
    }
    memset(out, 0, (size_t)m->t->nword * sizeof *out);
    if (m->a.used > m->limit) forget(m);
    start(m, out);
    if (state) below(m, 0, state);
    if (grammar_failed(m->g, err)) return grammar_failed(m->g, NULL);
    keep(m, state);
    return 0;
}

int masks_add_behind(struct masks *m, uint32_t state, unsigned b, uint64_t *out, struct lar_err *err)
{
    uint32_t n = trie_child(&m->t->t, 0, b);
    start(m, out);
    m->mixed = 1; /* there may be something in it */
    if (n && state) below(m, n, state);
    return grammar_failed(m->g, err);
}

/* The bytes that a mask would let stand next for one item; more than one is as good as all. */
static void next_of(struct masks *m, const struct item *it, uint32_t state, struct rx_set *s)
{
    static const struct rx_set many = {{3}};
    struct grammar *g = m->g;
    if (it->kind == I_KEY && known(it)) {
        struct kstate k = g->ks[it->b];
        for (uint32_t i = 0; i < k.n; i++)
            if (k.rx[i] != RX_EMPTY && rx_alive(g->rx, k.rx[i])) *s = many;
        for (uint32_t i = k.lo; i < k.hi; i++) {
            struct str rest = str_from(g->os[it->a].o->name[i].name, k.at);
            unsigned b = rest.n ? (unsigned char)*rest.p : 256;
            if (json_name_can(g, it, i)) rx_set_add(s, b == 256 ? '"' : b < 0x20 || b == '"' ? '\\' : b);
        }
    } else if (it->kind == I_KEY || it->kind == I_STRING || it->kind == I_SCALAR || it->kind == I_TERM) {
        int text = it->kind == I_SCALAR || it->kind == I_TERM;
        if (it->kind == I_KEY || (it->kind == I_STRING && it->b) || (text && rx_nullable(g->rx, it->a))) {
            *s = many;
            return;
        }
        for (unsigned b = 0; b < 256; b++) {
            uint32_t to = rx_row(g->rx, it->a)[b];
            if (to != RX_EMPTY && rx_alive(g->rx, to))
                rx_set_add(s, !text && (b < 0x20 || b == '"') ? '\\' : b);
        }
        if (!text && rx_nullable(g->rx, it->a)) rx_set_add(s, '"');
    } else {
        struct rx_set can = {{0}};
        maybe(m, it, &can);
        for (unsigned b = 0; b < 256; b++)
            if (rx_set_has(&can, b) && !rx_set_has(s, b) && grammar_step(g, state, b)) rx_set_add(s, b);
    }
}

/* The only byte that can come, or 256. */
static unsigned only_byte(struct masks *m, uint32_t state)
{
    struct rx_set s = {{0}};
    unsigned only = 256, n = 0;
    struct state st = m->g->state[state];
    for (uint32_t i = 0; i < st.n && !m->g->failed; i++) {
        struct item it = m->g->item[m->g->ids[st.items + i]];
        next_of(m, &it, state, &s);
    }
    for (unsigned k = 0; k < 4; k++)
        if (s.w[k]) {
            n += s.w[k] & (s.w[k] - 1) ? 2 : 1;
            only = k * 64 + (unsigned)__builtin_ctzll(s.w[k]);
        }
    return n == 1 ? only : 256;
}

uint32_t masks_forced(struct masks *m, uint32_t state, struct buf *out, size_t most)
{
    for (size_t n = 0; n < most && state && !grammar_accepts(m->g, state); n++) {
        unsigned b = only_byte(m, state);
        uint32_t to = b < 256 ? grammar_step(m->g, state, b) : 0;
        if (!to) break;
        buf_putc(out, (char)b);
        state = to;
    }
    return state;
}

size_t masks_bytes(const struct masks *m) { return m->a.used; }

int masks_open(struct masks **out, struct grammar *g, const struct toktrie *t, size_t limit, struct lar_err *err)
{
    struct masks *m = mem_zalloc(sizeof *m);
    *out = NULL;
    if (!m || !(m->list = mem_alloc(2 * LIST_MAX * sizeof *m->list))) {
        mem_free(m);
        return lar_fail(err, LAR_ENOMEM, "out of memory");
    }
    m->cut = m->list + LIST_MAX;
    m->g = g;
    m->t = t;
    m->limit = limit ? limit : (size_t)64 << 20;
    arena_init(&m->a, 0);
    *out = m;
    return 0;
}

void masks_close(struct masks *m)
{
    if (!m) return;
    forget(m);
    arena_done(&m->a);
    mem_free(m->list);
    mem_free(m->tmp);
    mem_free(m->xtmp);
    mem_free(m);
}
