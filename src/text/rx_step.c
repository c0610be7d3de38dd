/* SPDX-License-Identifier: Apache-2.0
 *
 * text/rx_step.c: derivatives, and what is asked of them: is anything left, what is a short text, which bytes differ.
 *
 * rx_step remembers in rows of 256 for states that were stepped from; the parts of a state share a hash table of (part, byte).
 * Emptiness is free for expressions without intersection, difference and numbers' leaves, since the constructors drop what is empty;
 * for the others it is a search over states that stops at the first text and is remembered along its path. */
#include "base/err.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "text/rx_impl.h"

static uint32_t memo_slot(const struct rx *p, uint64_t key)
{
    uint64_t h = key * 0x9e3779b97f4a7c15u;
    uint32_t i = (uint32_t)(h >> 32) & (uint32_t)(p->cap_memo - 1);
    while (p->memo[i].key && p->memo[i].key != key) i = (i + 1) & (uint32_t)(p->cap_memo - 1);
    return i;
}

static int memo_room(struct rx *p)
{
    if ((p->nmemo + 1) * 2 <= p->cap_memo) return 0;
    size_t cap = p->cap_memo ? p->cap_memo * 2 : 256, old_cap = p->cap_memo;
    if (p->bytes + (cap - old_cap) * sizeof *p->memo > p->limit) {
        p->failed = LAR_ELIMIT;
        return -1;
    }
    struct rx_memo *old = p->memo, *v = mem_zalloc(cap * sizeof *v);
    if (!v) {
        p->failed = LAR_ENOMEM;
        return -1;
    }
    p->bytes += (cap - old_cap) * sizeof *v;
    p->memo = v;
    p->cap_memo = cap;
    for (size_t i = 0; i < old_cap; i++)
        if (old[i].key) v[memo_slot(p, old[i].key)] = old[i];
    mem_free(old);
    return 0;
}

static uint32_t derive(struct rx *p, uint32_t r, unsigned b);

static uint32_t derive_kids(struct rx *p, struct rx_node n, unsigned b)
{
    uint32_t small[64], r = n.kind == RXK_AND ? RX_ALL : RX_EMPTY;
    if (n.kind == RXK_AND) {
        for (uint32_t i = 0; i < n.b; i++) {
            uint32_t d = derive(p, p->kid[n.a + i], b);
            r = i ? rx_and(p, r, d) : d;
            if (r == RX_EMPTY) break;
        }
        return r;
    }
    size_t k = 0;
    for (uint32_t i = 0; i < n.b; i++) {
        uint32_t d = derive(p, p->kid[n.a + i], b);
        if (d == RX_EMPTY) continue;
        if (k == sizeof small / sizeof *small) {
            small[0] = rx_alt_n(p, small, k);
            k = 1;
        }
        small[k++] = d;
    }
    return rx_alt_n(p, small, k);
}

static uint32_t derive_new(struct rx *p, struct rx_node n, unsigned b)
{
    uint32_t d;
    switch (n.kind) {
    case RXK_SET: return rx_set_has(&p->set[n.a], b) ? RX_EPS : RX_EMPTY;
    case RXK_CAT:
        d = rx_cat(p, derive(p, n.a, b), n.b);
        return p->node[n.a].nullable ? rx_alt(p, d, derive(p, n.b, b)) : d;
    case RXK_ALT:
    case RXK_AND: return derive_kids(p, n, b);
    case RXK_DIFF:
        d = derive(p, n.a, b);
        return d == RX_EMPTY ? d : rx_diff(p, d, derive(p, n.b, b));
    case RXK_REP:
        d = derive(p, n.a, b);
        if (d == RX_EMPTY) return d;
        return rx_cat(p, d, rx_rep(p, n.a, n.lo ? n.lo - 1 : 0, n.hi == RX_INF ? n.hi : n.hi - 1));
    case RXK_CMP: return rx_cmp_step(p, n, b);
    case RXK_MOD: return rx_mod_step(p, n, b);
    default: return RX_EMPTY;
    }
}

static uint32_t derive(struct rx *p, uint32_t r, unsigned b)
{
    if (r <= RX_EPS || p->failed) return RX_EMPTY;
    const struct rx_node *n = &p->node[r];
    if (n->kind == RXK_SET) return rx_set_has(&p->set[n->a], b) ? RX_EPS : RX_EMPTY;
    uint64_t key = ((uint64_t)r << 8 | b) + 1;
    if (p->cap_memo) {
        const struct rx_memo *m = &p->memo[memo_slot(p, key)];
        if (m->key) return m->value;
    }
    if (p->depth > RX_DEPTH_MAX) p->failed = LAR_ELIMIT;
    p->depth++;
    uint32_t d = derive_new(p, *n, b);
    p->depth--;
    if (p->failed || memo_room(p)) return RX_EMPTY;
    uint32_t at = memo_slot(p, key);
    p->nmemo += !p->memo[at].key;
    p->memo[at] = (struct rx_memo){key, d};
    return d;
}

uint32_t rx_step(struct rx *p, uint32_t r, unsigned b)
{
    if (r <= RX_EPS) return RX_EMPTY;
    if (!p->node[r].row) {
        if (rx_grow(p, &p->step, p->nstep, &p->cap_step, sizeof *p->step)) return RX_EMPTY;
        memset(p->step[p->nstep], 0xff, sizeof *p->step);
        p->node[r].row = (uint32_t)++p->nstep;
    }
    uint32_t d = p->step[p->node[r].row - 1][b];
    if (d != UINT32_MAX) return d;
    d = derive(p, r, b);
    if (p->failed) return RX_EMPTY;
    p->step[p->node[r].row - 1][b] = d;
    return d;
}

int rx_is_chars(const struct rx *p, uint32_t r, uint32_t *lo, uint32_t *hi)
{
    const struct rx_node *n = &p->node[r];
    *lo = 0;
    *hi = RX_INF;
    if (r == RX_ALL) return 1;
    if (n->kind == RXK_CAT && n->b == RX_ALL && rx_is_chars(p, n->a, lo, hi)) { /* {n,n} and then any */
        *hi = RX_INF;
        return 1;
    }
    if (r == RX_CHAR) *lo = *hi = 1;
    if (n->kind == RXK_REP && n->a == RX_CHAR) *lo = n->lo, *hi = n->hi;
    return r == RX_CHAR || (n->kind == RXK_REP && n->a == RX_CHAR);
}

/* Whether r is a run of bytes lo to hi, n of them. */
static int is_more(const struct rx *p, uint32_t r, unsigned n)
{
    const struct rx_node *e = &p->node[r];
    if (n > 1 && e->kind == RXK_ALT) {
        for (uint32_t i = 0; i < e->b; i++)
            if (p->node[p->kid[e->a + i]].kind == RXK_ALT || !is_more(p, p->kid[e->a + i], n)) return 0;
        return 1;
    }
    if (n > 1) return e->kind == RXK_CAT && is_more(p, e->a, 1) && is_more(p, e->b, n - 1);
    if (e->kind != RXK_SET) return 0;
    const struct rx_set *s = &p->set[e->a];
    return !(s->w[0] | s->w[1] | s->w[3]); /* 80 to bf */
}

static int is_lead(const struct rx_set *s, unsigned lo, unsigned hi)
{
    for (unsigned b = 0; b < 256; b++)
        if (rx_set_has(s, b) && (b < lo || b > hi)) return 0;
    return 1;
}

static int one_char(struct rx *p, uint32_t r)
{
    struct rx_node *e = &p->node[r];
    if (e->kind == RXK_ALT) {
        for (uint32_t i = 0; i < e->b; i++)
            if (p->node[p->kid[e->a + i]].kind == RXK_ALT || !one_char(p, p->kid[e->a + i])) return 0;
        return 1;
    }
    if (e->kind == RXK_SET) return is_lead(&p->set[e->a], 0, 0x7f);
    if (e->kind != RXK_CAT || p->node[e->a].kind != RXK_SET) return 0;
    const struct rx_set *s = &p->set[p->node[e->a].a];
    return (is_lead(s, 0xc2, 0xdf) && is_more(p, e->b, 1)) || (is_lead(s, 0xe0, 0xef) && is_more(p, e->b, 2)) ||
           (is_lead(s, 0xf0, 0xf4) && is_more(p, e->b, 3));
}

int rx_is_run(struct rx *p, uint32_t r, uint32_t *one, uint32_t *lo, uint32_t *hi)
{
    const struct rx_node *n = &p->node[r];
    *one = RX_CHAR;
    if (rx_is_chars(p, r, lo, hi)) return 1;
    if (n->kind != RXK_REP) return 0;
    struct rx_node *e = &p->node[*one = n->a];
    *lo = n->lo;
    *hi = n->hi;
    if (!e->single) e->single = one_char(p, n->a) ? 1 : 2;
    return e->single == 1;
}

/* Is r, or one of its alternatives, "any text of these characters, and then" something that is not empty? */
static int opens(struct rx *p, uint32_t r, uint32_t c)
{
    struct rx_node n = p->node[r];
    if (n.kind == RXK_CAT && p->within && p->node[n.a].kind != RXK_REP) return 0; /* how far its end is would be hard to say */
    if (n.kind == RXK_CAT) return opens(p, n.a, c) && rx_alive(p, n.b);
    if (n.kind == RXK_REP && n.a == c) return n.hi == RX_INF;
    for (uint32_t i = 0; n.kind == RXK_ALT && i < n.b; i++)
        if (p->node[p->kid[n.a + i]].kind != RXK_ALT && opens(p, p->kid[n.a + i], c)) return 1;
    return 0;
}

enum rx_open rx_is_open(struct rx *p, uint32_t r)
{
    if (opens(p, r, RX_CHAR)) return RX_OPEN;
    return p->dot && opens(p, r, p->dot) ? RX_OPEN_LINE : RX_CLOSED;
}

const uint32_t *rx_row(struct rx *p, uint32_t r)
{
    static const uint32_t none[256]; /* RX_EMPTY everywhere */
    if (r <= RX_EPS) return none;
    if (p->node[r].full) return p->step[p->node[r].row - 1];
    struct rx_set e = *rx_first(p, r);
    rx_step(p, r, 0);
    for (unsigned b = 1; b < 256 && !p->failed; b++) {
        if (rx_set_has(&e, b))
            rx_step(p, r, b);
        else {
            uint32_t *row = p->step[p->node[r].row - 1];
            row[b] = row[b - 1];
        }
    }
    if (p->failed) return none;
    p->node[r].full = 1;
    return p->step[p->node[r].row - 1];
}

int rx_nullable(const struct rx *p, uint32_t r) { return p->node[r].nullable; }

int rx_all_lead(struct rx *p, uint32_t r, unsigned lo, unsigned hi, int more, uint32_t *to)
{
    struct rx_set e = *rx_first(p, r);
    uint32_t known = RX_EMPTY;
    rx_set_add(&e, lo);
    for (unsigned b = lo; b <= hi && !p->failed; b++) {
        if (!rx_set_has(&e, b)) continue;
        uint32_t next = derive(p, r, b);
        if (next == RX_EMPTY) return 0;
        if (more == 0) {
            if (*to == RX_EMPTY) *to = next;
            if (next != *to) return 0;
        } else if (next != known && !rx_all_lead(p, next, 0x80, 0xbf, more - 1, to))
            return 0;
        known = next;
    }
    return !p->failed;
}

/* ---- which bytes differ ---- */

/* Bit i: byte i is treated unlike byte i - 1. */
static void add_edges(struct rx_set *out, const struct rx_set *s)
{
    for (int k = 0; k < 4; k++) {
        uint64_t below = s->w[k] << 1 | (k ? s->w[k - 1] >> 63 : 0);
        out->w[k] |= s->w[k] ^ below;
    }
}

static const struct rx_set *edges(struct rx *p, uint32_t r)
{
    static const struct rx_set none;
    struct rx_set s = {{0}};
    if (p->failed) return &none;
    if (p->node[r].first) return &p->set[p->node[r].first - 1];
    if (p->depth > RX_DEPTH_MAX) {
        p->failed = LAR_ELIMIT;
        return &none;
    }
    struct rx_node n = p->node[r];
    p->depth++;
    switch (n.kind) {
    case RXK_SET: add_edges(&s, &p->set[n.a]); break;
    case RXK_REP: s = *edges(p, n.a); break;
    case RXK_CAT:
    case RXK_DIFF:
        s = *edges(p, n.a);
        if (n.kind == RXK_DIFF || p->node[n.a].nullable) {
            const struct rx_set *t = edges(p, n.b);
            for (int k = 0; k < 4; k++) s.w[k] |= t->w[k];
        }
        break;
    case RXK_ALT:
    case RXK_AND:
        for (uint32_t i = 0; i < n.b; i++) {
            const struct rx_set *t = edges(p, p->kid[n.a + i]);
            for (int k = 0; k < 4; k++) s.w[k] |= t->w[k];
        }
        break;
    case RXK_CMP:
    case RXK_MOD:
        for (unsigned b = '.'; b <= '9' + 1; b++) rx_set_add(&s, b);
        break;
    default: break;
    }
    p->depth--;
    uint32_t i = rx_set_index(p, &s);
    if (p->failed) return &none;
    p->node[r].first = i + 1;
    return &p->set[i];
}

const struct rx_set *rx_first(struct rx *p, uint32_t r) { return edges(p, r); }

/* ---- searching ---- */

struct seen {
    uint32_t state, from; /* index of where it came from */
    uint32_t next;        /* of its queue, + 1 */
    unsigned char by;
};
enum { QUEUES = 64 };
struct search {
    uint32_t first[QUEUES], last[QUEUES]; /* states to look at, by how far off their end seems; + 1 */
    struct seen *v;
    size_t n, cap;
    uint32_t *slot; /* index + 1 */
    size_t nslot;
};

static int search_add(struct rx *p, struct search *s, uint32_t state, uint32_t from, unsigned by)
{
    if (s->n == s->cap) {
        size_t cap = s->cap ? s->cap * 2 : 64;
        struct seen *v = mem_resize(s->v, cap * sizeof *v);
        if (v) s->v = v;
        uint32_t *slot = mem_zalloc(cap * 2 * sizeof *slot);
        if (!v || !slot) {
            mem_free(slot);
            p->failed = LAR_ENOMEM;
            return -1;
        }
        s->cap = cap;
        mem_free(s->slot);
        s->slot = slot;
        s->nslot = cap * 2;
        for (size_t i = 0; i < s->n; i++) {
            size_t h = s->v[i].state * 0x9e3779b1u & (s->nslot - 1);
            while (slot[h]) h = (h + 1) & (s->nslot - 1);
            slot[h] = (uint32_t)i + 1;
        }
    }
    size_t h = state * 0x9e3779b1u & (s->nslot - 1);
    for (; s->slot[h]; h = (h + 1) & (s->nslot - 1))
        if (s->v[s->slot[h] - 1].state == state) return 0;
    s->v[s->n] = (struct seen){.state = state, .from = from, .by = (unsigned char)by};
    s->slot[h] = (uint32_t)++s->n;
    unsigned q = p->node[state].far < QUEUES ? p->node[state].far : QUEUES - 1;
    if (s->first[q])
        s->v[s->last[q] - 1].next = (uint32_t)s->n;
    else
        s->first[q] = (uint32_t)s->n;
    s->last[q] = (uint32_t)s->n;
    return 0;
}

static uint32_t search_next(struct search *s)
{
    for (unsigned q = 0; q < QUEUES; q++) {
        uint32_t i = s->first[q];
        if (!i) continue;
        s->first[q] = s->v[i - 1].next;
        return i;
    }
    return 0;
}

/* From r to a state that is nullable (or, when any is set, known to be alive), what seems near first: its index in s, -1 when there is
 * none, -2 when the search was given up. */
static long search(struct rx *p, struct search *s, uint32_t r, int any)
{
    search_add(p, s, r, 0, 0);
    size_t done = 0;
    for (uint32_t i; !p->failed && (i = search_next(s)); done++) {
        i--;
        uint32_t at = s->v[i].state;
        if (p->node[at].nullable || (any && p->node[at].alive == 1)) return (long)i;
        if (done >= RX_ALIVE_MAX) return -2;
        struct rx_set e = *edges(p, at);
        rx_set_add(&e, 0);
        for (unsigned b = 0; b < 256; b++) {
            if (!(b & 63) && !e.w[b >> 6]) {
                b += 63;
                continue;
            }
            if (!rx_set_has(&e, b)) continue;
            uint32_t d = derive(p, at, b);
            if (d != RX_EMPTY && p->node[d].alive != 2) search_add(p, s, d, i, b);
        }
    }
    return p->failed ? -2 : -1;
}

/* Whether s, or a beginning of it, leads r to where something is known to be left. */
static int ends_with(struct rx *p, uint32_t r, const struct rx_end *e)
{
    uint32_t at[RX_END_MAX + 1] = {r};
    for (unsigned i = 0; i <= e->n && at[i] != RX_EMPTY && p->node[at[i]].alive != 2; i++) {
        if (p->node[at[i]].alive == 1) {
            while (i-- > 0) p->node[at[i]].alive = 1;
            return 1;
        }
        if (i < e->n) at[i + 1] = derive(p, at[i], (unsigned char)e->s[i]);
    }
    return 0;
}

static int ends_as_before(struct rx *p, uint32_t r)
{
    for (size_t k = 0; k < sizeof p->end / sizeof *p->end; k++) {
        struct rx_end e = p->end[k];
        if (!e.n || !ends_with(p, r, &e)) continue;
        for (; k > 0; k--) p->end[k] = p->end[k - 1];
        p->end[0] = e;
        return 1;
    }
    return 0;
}

static void remember_end(struct rx *p, const struct search *s, uint32_t end)
{
    struct rx_end e = {0};
    for (uint32_t i = end; i; i = s->v[i].from) {
        if (e.n == RX_END_MAX) return;
        e.s[e.n++] = (char)s->v[i].by;
    }
    for (unsigned i = 0; i < e.n / 2u; i++) { /* it was collected from its end */
        char c = e.s[i];
        e.s[i] = e.s[e.n - 1 - i];
        e.s[e.n - 1 - i] = c;
    }
    memmove(p->end + 1, p->end, sizeof p->end - sizeof *p->end);
    p->end[0] = e;
}

static int alive(struct rx *p, uint32_t r)
{
    if (p->node[r].alive) return p->node[r].alive == 1;
    if (ends_as_before(p, r)) return 1;
    struct search s = {0};
    long end = search(p, &s, r, 1);
    if (end == -1)
        for (size_t i = 0; i < s.n; i++) p->node[s.v[i].state].alive = 2;
    if (end == -2 && !p->failed)
        p->node[r].alive =
            1; /* too many states to tell: it may be a dead end, it is never a wrong answer */
    if (end >= 0) {
        for (uint32_t i = (uint32_t)end; i; i = s.v[i].from) p->node[s.v[i].state].alive = 1;
        p->node[r].alive = 1;
        remember_end(p, &s, (uint32_t)end);
    }
    mem_free(s.v);
    mem_free(s.slot);
    return p->node[r].alive == 1;
}

int rx_alive(struct rx *p, uint32_t r)
{
    if (!alive(p, r)) return 0;
    if (p->within && !rx_near(p, r)) p->beyond = 1;
    return 1;
}

/* Bytes of one length class from lo to hi and then something. Bytes that r does not tell apart are tried once, but for the outermost, which have
 * bounds of their own. */
static int some_bytes(struct rx *p, uint32_t r, const unsigned char *lo, const unsigned char *hi, size_t n)
{
    static const unsigned char least[3] = {0x80, 0x80, 0x80}, most[3] = {0xbf, 0xbf, 0xbf};
    if (n == 0) return rx_alive(p, r);
    struct rx_set e = *edges(p, r);
    for (unsigned b = *lo; b <= *hi && !p->failed; b++) {
        if (b > *lo + 1u && b != *hi && !rx_set_has(&e, b)) continue;
        uint32_t d = derive(p, r, b);
        if (d != RX_EMPTY && some_bytes(p, d, b == *lo ? lo + 1 : least, b == *hi ? hi + 1 : most, n - 1)) return 1;
    }
    return 0;
}

int rx_some_char(struct rx *p, uint32_t r, uint32_t lo, uint32_t hi)
{
    static const uint32_t cut[][2] = {{0, 0x7f}, {0x80, 0x7ff}, {0x800, 0xd7ff}, {0xe000, 0xffff}, {0x10000, 0x10ffff}};
    for (size_t k = 0; k < sizeof cut / sizeof *cut && !p->failed; k++) {
        char a[4], b[4];
        uint32_t from = lo > cut[k][0] ? lo : cut[k][0], to = hi < cut[k][1] ? hi : cut[k][1];
        if (from > to) continue;
        size_t n = utf8_encode(from, a);
        utf8_encode(to, b);
        if (some_bytes(p, r, (unsigned char *)a, (unsigned char *)b, n)) return 1;
    }
    return 0;
}

int rx_short(struct rx *p, uint32_t r, char *out, int cap)
{
    struct search s = {0};
    long end = search(p, &s, r, 0);
    int n = end < 0 ? -1 : 0;
    for (uint32_t i = n < 0 ? 0 : (uint32_t)end; i; i = s.v[i].from) n++;
    if (n > cap) n = -1;
    if (n > 0) {
        int k = n;
        for (uint32_t i = (uint32_t)end; i; i = s.v[i].from) out[--k] = (char)s.v[i].by;
    }
    mem_free(s.v);
    mem_free(s.slot);
    return n;
}

int rx_matches(struct rx *p, uint32_t r, struct str s)
{
    for (size_t i = 0; i < s.n && r != RX_EMPTY; i++) r = rx_step(p, r, (unsigned char)s.p[i]);
    return rx_nullable(p, r);
}
