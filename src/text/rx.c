/* SPDX-License-Identifier: Apache-2.0
 *
 * text/rx.c: building and interning regular expressions. Each constructor brings its expression to a normal form (alternatives
 * sorted and flat, what is empty dropped, sets of bytes joined), because the number of states of the automaton is the number of
 * expressions that are told apart. Derivatives are in rx_step.c, what is peculiar to numbers in rx_num.c. */
#include "base/err.h"
#include "base/mem.h"
#include "base/sort.h"
#include "base/utf8.h"
#include "text/rx_impl.h"

int rx_grow(struct rx *p, void *v, size_t n, size_t *cap, size_t size)
{
    if (n < *cap) return 0;
    size_t more = *cap ? *cap * 2 : 64, bytes;
    void *old, *fresh;
    memcpy(&old, v, sizeof old);
    if (p->failed) return -1;
    if (mul_size(more, size, &bytes) || p->bytes + (bytes - *cap * size) > p->limit) {
        p->failed = LAR_ELIMIT;
        return -1;
    }
    if (!(fresh = mem_resize(old, bytes))) {
        p->failed = LAR_ENOMEM;
        return -1;
    }
    p->bytes += bytes - *cap * size;
    *cap = more;
    memcpy(v, &fresh, sizeof fresh);
    return 0;
}

static uint32_t mix(uint32_t h, uint32_t v)
{
    h ^= v;
    h *= 0x9e3779b1u;
    return h ^ h >> 15;
}

static uint32_t hash_node(const struct rx_node *n, const uint32_t *kid, size_t nkid)
{
    uint32_t h = mix(0, n->kind);
    if (nkid) {
        for (size_t i = 0; i < nkid; i++) h = mix(h, kid[i]);
        return h;
    }
    return mix(mix(mix(mix(h, n->a), n->b), n->lo), n->hi);
}

static int rehash(struct rx *p)
{
    size_t n = p->nhead * 2;
    uint32_t *head = mem_zalloc(n * sizeof *head);
    if (!head) {
        p->failed = LAR_ENOMEM;
        return -1;
    }
    p->bytes += p->nhead * sizeof *head;
    for (size_t i = 0; i < p->nnode; i++) {
        struct rx_node *e = &p->node[i];
        int many = e->kind == RXK_ALT || e->kind == RXK_AND;
        uint32_t h = hash_node(e, many ? p->kid + e->a : NULL, many ? e->b : 0) & (uint32_t)(n - 1);
        e->next = head[h];
        head[h] = (uint32_t)i + 1;
    }
    mem_free(p->head);
    p->head = head;
    p->nhead = n;
    return 0;
}

static uint16_t far_off(const struct rx *p, const struct rx_node *n)
{
    uint64_t f = n->kind == RXK_EMPTY ? UINT16_MAX : !n->nullable;
    if (n->kind == RXK_CAT) f = (uint64_t)p->node[n->a].far + p->node[n->b].far;
    if (n->kind == RXK_DIFF) f = p->node[n->a].far;
    if (n->kind == RXK_REP) f = (uint64_t)p->node[n->a].far * n->lo;
    if (n->kind == RXK_ALT || n->kind == RXK_AND) f = n->kind == RXK_ALT ? UINT16_MAX : 0;
    for (uint32_t i = 0; (n->kind == RXK_ALT || n->kind == RXK_AND) && i < n->b; i++) {
        uint64_t k = p->node[p->kid[n->a + i]].far;
        f = n->kind == RXK_AND ? f + k : k < f ? k : f;
    }
    return f < UINT16_MAX ? (uint16_t)f : UINT16_MAX;
}

/* What is known of a node by its parts. */
static void describe(struct rx *p, struct rx_node *n)
{
    const struct rx_node *a = &p->node[n->a], *b = &p->node[n->b];
    switch (n->kind) {
    case RXK_EPS: n->nullable = 1; break;
    case RXK_CAT:
        n->nullable = a->nullable && b->nullable;
        n->boolean = a->boolean || b->boolean;
        n->counts = a->counts || b->counts;
        break;
    case RXK_DIFF:
        n->nullable = a->nullable && !b->nullable;
        n->boolean = 1;
        break;
    case RXK_REP:
        n->nullable = n->lo == 0 || a->nullable;
        n->boolean = a->boolean;
        n->counts = 1;
        break;
    case RXK_ALT:
    case RXK_AND:
        n->nullable = n->kind == RXK_AND;
        n->boolean = n->kind == RXK_AND;
        for (uint32_t i = 0; i < n->b; i++) {
            const struct rx_node *k = &p->node[p->kid[n->a + i]];
            n->nullable =
                n->kind == RXK_AND ? n->nullable && k->nullable : n->nullable || k->nullable;
            n->boolean |= k->boolean;
            n->counts |= k->counts;
        }
        break;
    case RXK_CMP:
        n->nullable = (uint8_t)rx_cmp_nullable(p, n);
        n->boolean = 1;
        break;
    case RXK_MOD:
        n->nullable = (uint8_t)rx_mod_nullable(p, n);
        n->boolean = 1;
        break;
    default: break;
    }
    n->far = far_off(p, n);
    n->alive = n->nullable || (!n->boolean && n->kind != RXK_EMPTY) ? 1
               : n->kind == RXK_EMPTY                               ? 2
                                                                    : 0;
}

uint32_t rx_intern(struct rx *p, const struct rx_node *want, const uint32_t *kid, size_t nkid)
{
    if (p->failed) return RX_EMPTY;
    uint32_t h = hash_node(want, kid, nkid);
    for (uint32_t i = p->head[h & (p->nhead - 1)]; i; i = p->node[i - 1].next) {
        const struct rx_node *e = &p->node[i - 1];
        if (e->kind != want->kind) continue;
        if (nkid ? e->b == nkid && !memcmp(p->kid + e->a, kid, nkid * sizeof *kid)
                 : e->a == want->a && e->b == want->b && e->lo == want->lo && e->hi == want->hi)
            return i - 1;
    }
    if (rx_grow(p, &p->node, p->nnode, &p->cap_node, sizeof *p->node)) return RX_EMPTY;
    if (p->nnode >= p->nhead && rehash(p)) return RX_EMPTY;
    struct rx_node n = *want;
    if (nkid) {
        n.a = (uint32_t)p->nkid;
        n.b = (uint32_t)nkid;
        for (size_t i = 0; i < nkid; i++) {
            if (rx_grow(p, &p->kid, p->nkid, &p->cap_kid, sizeof *p->kid)) return RX_EMPTY;
            p->kid[p->nkid++] = kid[i];
        }
    }
    describe(p, &n);
    h &= (uint32_t)(p->nhead - 1);
    n.next = p->head[h];
    p->node[p->nnode++] = n;
    p->head[h] = (uint32_t)p->nnode;
    return (uint32_t)p->nnode - 1;
}

uint32_t rx_set_index(struct rx *p, const struct rx_set *s)
{
    for (size_t i = p->nset;
         i-- > 0;) /* what is looked for is most often new: few differ, so the newest first */
        if (!memcmp(&p->set[i], s, sizeof *s)) return (uint32_t)i;
    if (rx_grow(p, &p->set, p->nset, &p->cap_set, sizeof *p->set)) return 0;
    p->set[p->nset] = *s;
    return (uint32_t)p->nset++;
}

uint32_t rx_set(struct rx *p, const struct rx_set *s)
{
    if (!(s->w[0] | s->w[1] | s->w[2] | s->w[3])) return RX_EMPTY;
    uint32_t i = rx_set_index(p, s);
    return rx_intern(p, &(struct rx_node){.kind = RXK_SET, .a = i}, NULL, 0);
}

static uint32_t range_set(struct rx *p, unsigned lo, unsigned hi)
{
    struct rx_set s = {{0}};
    if (lo == hi && p->single[lo]) return p->single[lo];
    for (unsigned b = lo; b <= hi; b++) rx_set_add(&s, b);
    uint32_t r = rx_set(p, &s);
    if (lo == hi) p->single[lo] = r;
    return r;
}

/* Whether a is some x, as often as it likes or not at all, and b any number of something that x is one of, and then more: b says it all. */
static int says_all(const struct rx *p, uint32_t a, uint32_t b)
{
    const struct rx_node *x = &p->node[a], *y = &p->node[b];
    if (x->kind != RXK_REP || x->lo != 0) return 0;
    if (y->kind == RXK_CAT) y = &p->node[y->a];
    if (y->kind != RXK_REP || y->lo != 0 || y->hi != RX_INF) return 0;
    if (x->a == y->a) return 1;
    x = &p->node[x->a];
    y = &p->node[y->a];
    for (uint32_t i = 0; y->kind == RXK_ALT && i < y->b; i++) /* sorted, sets joined: one of them at most */
        if (p->node[p->kid[y->a + i]].kind == RXK_SET) y = &p->node[p->kid[y->a + i]];
    if (x->kind != RXK_SET || y->kind != RXK_SET) return 0;
    const uint64_t *v = p->set[x->a].w, *w = p->set[y->a].w;
    return !((v[0] & ~w[0]) | (v[1] & ~w[1]) | (v[2] & ~w[2]) | (v[3] & ~w[3]));
}

uint32_t rx_cat(struct rx *p, uint32_t a, uint32_t b)
{
    if (a == RX_EMPTY || b == RX_EMPTY) return RX_EMPTY;
    if (a == RX_EPS) return b;
    if (b == RX_EPS) return a;
    if (p->depth > RX_DEPTH_MAX) p->failed = p->failed ? p->failed : LAR_ELIMIT;
    if (p->failed) return RX_EMPTY;
    struct rx_node n = p->node[a];
    if (n.kind == RXK_CAT) {
        p->depth++;
        uint32_t r = rx_cat(p, n.a, rx_cat(p, n.b, b));
        p->depth--;
        return r;
    }
    if (says_all(p, a, b)) return b;
    return rx_intern(p, &(struct rx_node){.kind = RXK_CAT, .a = a, .b = b}, NULL, 0);
}

uint32_t rx_text(struct rx *p, struct str s)
{
    uint32_t r = RX_EPS;
    for (size_t i = s.n; i-- > 0;)
        r = rx_cat(p, range_set(p, (unsigned char)s.p[i], (unsigned char)s.p[i]), r);
    return r;
}

/* A sorted list without repetitions, on the stack while it is short. */
struct list {
    uint32_t small[64], *v;
    size_t n, cap;
};

static void list_init(struct list *l)
{
    l->v = l->small;
    l->n = 0;
    l->cap = sizeof l->small / sizeof *l->small;
}

static void list_done(struct list *l)
{
    if (l->v != l->small) mem_free(l->v);
}

static int list_add(struct rx *p, struct list *l, uint32_t x)
{
    size_t at = l->n;
    if (l->n && l->v[l->n - 1] >= x) { /* mostly they come in order */
        size_t lo = 0, hi = l->n;
        while (lo < hi) {
            size_t mid = (lo + hi) / 2;
            if (l->v[mid] < x)
                lo = mid + 1;
            else
                hi = mid;
        }
        if (lo < l->n && l->v[lo] == x) return 0;
        at = lo;
    }
    if (l->n == l->cap) {
        uint32_t *v = mem_alloc(l->cap * 2 * sizeof *v);
        if (!v) {
            p->failed = LAR_ENOMEM;
            return -1;
        }
        memcpy(v, l->v, l->n * sizeof *v);
        list_done(l);
        l->v = v;
        l->cap *= 2;
    }
    memmove(l->v + at + 1, l->v + at, (l->n - at) * sizeof *l->v);
    l->v[at] = x;
    l->n++;
    return 0;
}

/* Puts x, or its kids when it is of this kind itself, into l. */
static int flatten(struct rx *p, struct list *l, uint8_t kind, uint32_t x)
{
    if (p->node[x].kind != kind) return list_add(p, l, x);
    for (uint32_t i = 0; i < p->node[x].b; i++)
        if (list_add(p, l, p->kid[p->node[x].a + i])) return -1;
    return 0;
}

enum { COVER_DEPTH = 12, COVER_KIDS = 48 };

/* Whether every text of b is one of a, as far as that is plain: the same expression, but for the bounds of its repetitions. */
static int covers(const struct rx *p, uint32_t a, uint32_t b, int depth)
{
    const struct rx_node *x = &p->node[a], *y = &p->node[b];
    if (a == b) return 1;
    if (b == RX_EPS) return x->nullable;
    if (depth > COVER_DEPTH || !x->counts) return 0;
    if (y->kind == RXK_ALT) {
        for (uint32_t i = 0; i < y->b; i++)
            if (!covers(p, a, p->kid[y->a + i], depth + 1)) return 0;
        return 1;
    }
    switch (x->kind) {
    case RXK_REP:
        if (x->a == b) return x->lo <= 1;
        return y->kind == RXK_REP && y->a == x->a && x->lo <= y->lo && y->hi <= x->hi;
    case RXK_CAT:
        if (y->kind == RXK_CAT && covers(p, x->a, y->a, depth + 1) && covers(p, x->b, y->b, depth + 1)) return 1;
        return p->node[x->a].nullable && covers(p, x->b, b, depth + 1);
    case RXK_ALT:
        for (uint32_t i = 0; i < x->b; i++)
            if (covers(p, p->kid[x->a + i], b, depth + 1)) return 1;
        return 0;
    default: return 0;
    }
}

/* Leaves out alternatives that another one covers: without this, nested bounds make a state for each way to have counted. */
static void drop_covered(const struct rx *p, struct list *l)
{
    size_t w = 0, k = 0;
    for (size_t i = 0; i < l->n; i++) k += p->node[l->v[i]].counts;
    if (k < 2 || l->n > COVER_KIDS) return;
    for (size_t i = 0; i < l->n; i++) {
        uint32_t x = l->v[i];
        int covered = 0;
        for (size_t j = 0; p->node[x].counts && j < l->n && !covered; j++)
            covered = l->v[j] != x && l->v[j] != RX_EMPTY && covers(p, l->v[j], x, 0);
        if (covered) l->v[i] = RX_EMPTY; /* each covers but what is still there: of two alike one stays */
    }
    for (size_t i = 0; i < l->n; i++)
        if (l->v[i] != RX_EMPTY) l->v[w++] = l->v[i];
    l->n = w;
}

uint32_t rx_alt_n(struct rx *p, const uint32_t *v, size_t n)
{
    struct list l;
    struct rx_set join = {{0}};
    int nset = 0, nullable = 0, eps = 0;
    uint32_t r = RX_EMPTY;
    list_init(&l);
    for (size_t i = 0; i < n && !p->failed; i++)
        if (v[i] != RX_EMPTY) flatten(p, &l, RXK_ALT, v[i]);
    size_t w = 0;
    for (size_t i = 0; i < l.n; i++) {
        uint32_t x = l.v[i];
        if (x == RX_ALL) {
            r = RX_ALL;
            goto done;
        }
        if (x == RX_EPS) {
            eps = 1;
            continue;
        }
        if (p->node[x].kind == RXK_SET) {
            nset++;
            for (int k = 0; k < 4; k++) join.w[k] |= p->set[p->node[x].a].w[k];
            continue;
        }
        nullable |= p->node[x].nullable;
        l.v[w++] = x;
    }
    l.n = w;
    if (w > 1) drop_covered(p, &l);
    if (nset) list_add(p, &l, rx_set(p, &join));
    if (eps && !nullable) list_add(p, &l, RX_EPS);
    if (l.n == 0)
        r = eps ? RX_EPS : RX_EMPTY;
    else if (l.n == 1)
        r = l.v[0];
    else
        r = rx_intern(p, &(struct rx_node){.kind = RXK_ALT}, l.v, l.n);
done:
    list_done(&l);
    return p->failed ? RX_EMPTY : r;
}

uint32_t rx_alt(struct rx *p, uint32_t a, uint32_t b)
{
    if (a == b || b == RX_EMPTY) return a;
    if (a == RX_EMPTY) return b;
    return rx_alt_n(p, (uint32_t[]){a, b}, 2);
}

/* Two runs of characters, one of them of any characters, are a run; or UINT32_MAX. */
static uint32_t both_runs(struct rx *p, uint32_t a, uint32_t b)
{
    uint32_t x, y, lo, hi, lo2, hi2;
    if (!rx_is_run(p, a, &x, &lo, &hi) || !rx_is_run(p, b, &y, &lo2, &hi2)) return UINT32_MAX;
    if (x != y && x != RX_CHAR && y != RX_CHAR) return UINT32_MAX;
    return rx_rep(p, x == RX_CHAR ? y : x, lo > lo2 ? lo : lo2, hi < hi2 ? hi : hi2);
}

uint32_t rx_and(struct rx *p, uint32_t a, uint32_t b)
{
    if (a == RX_EMPTY || b == RX_EMPTY) return RX_EMPTY;
    if (a == b || b == RX_ALL) return a;
    if (a == RX_ALL) return b;
    if (a == RX_EPS || b == RX_EPS)
        return p->node[a].nullable && p->node[b].nullable ? RX_EPS : RX_EMPTY;
    struct rx_node na = p->node[a], nb = p->node[b];
    if (nb.kind == RXK_DIFF && nb.a == RX_ALL) return rx_diff(p, a, nb.b);
    if (na.kind == RXK_DIFF && na.a == RX_ALL) return rx_diff(p, b, na.b);
    if (na.kind == RXK_SET && nb.kind == RXK_SET) {
        struct rx_set s;
        for (int k = 0; k < 4; k++) s.w[k] = p->set[na.a].w[k] & p->set[nb.a].w[k];
        return rx_set(p, &s);
    }
    uint32_t one = both_runs(p, a, b);
    if (one != UINT32_MAX) return one;
    struct list l;
    list_init(&l);
    flatten(p, &l, RXK_AND, a);
    flatten(p, &l, RXK_AND, b);
    uint32_t r = l.n == 1 ? l.v[0] : rx_intern(p, &(struct rx_node){.kind = RXK_AND}, l.v, l.n);
    list_done(&l);
    return p->failed ? RX_EMPTY : r;
}

uint32_t rx_diff(struct rx *p, uint32_t a, uint32_t b)
{
    if (a == RX_EMPTY || a == b || b == RX_ALL) return RX_EMPTY;
    if (b == RX_EMPTY) return a;
    struct rx_node na = p->node[a], nb = p->node[b];
    if (a == RX_EPS) return nb.nullable ? RX_EMPTY : RX_EPS;
    if (na.kind == RXK_DIFF) return rx_diff(p, na.a, rx_alt(p, na.b, b));
    if (na.kind == RXK_SET && nb.kind == RXK_SET) {
        struct rx_set s;
        for (int k = 0; k < 4; k++) s.w[k] = p->set[na.a].w[k] & ~p->set[nb.a].w[k];
        return rx_set(p, &s);
    }
    if (a == RX_ALL && nb.kind == RXK_DIFF && nb.a == RX_ALL) return nb.b;
    return rx_intern(p, &(struct rx_node){.kind = RXK_DIFF, .a = a, .b = b}, NULL, 0);
}

uint32_t rx_rep(struct rx *p, uint32_t a, uint32_t lo, uint32_t hi)
{
    if (hi < lo) return RX_EMPTY;
    if (hi == 0 || a == RX_EPS) return RX_EPS;
    if (a == RX_EMPTY) return lo == 0 ? RX_EPS : RX_EMPTY;
    if (lo == 1 && hi == 1) return a;
    struct rx_node n = p->node[a];
    if (n.nullable) lo = 0;
    if (n.kind == RXK_REP && n.lo == 0 && n.hi == RX_INF && hi > 0) return a;
    if (lo == 0 && hi == 1 && n.nullable) return a;
    return rx_intern(p, &(struct rx_node){.kind = RXK_REP, .a = a, .lo = lo, .hi = hi}, NULL, 0);
}

/* ---- characters as bytes ---- */

/* Texts of len bytes from lo to hi (as UTF-8 of neighbours in one length class), appended to out. */
static uint32_t byte_range(struct rx *p, const unsigned char *lo, const unsigned char *hi,
                           size_t len)
{
    if (len == 0) return RX_EPS;
    if (lo[0] == hi[0])
        return rx_cat(p, range_set(p, lo[0], lo[0]), byte_range(p, lo + 1, hi + 1, len - 1));
    static const unsigned char least[3] = {0x80, 0x80, 0x80}, most[3] = {0xbf, 0xbf, 0xbf};
    unsigned a = lo[0], b = hi[0];
    uint32_t r = RX_EMPTY;
    if (memcmp(lo + 1, least, len - 1)) {
        r = rx_cat(p, range_set(p, a, a), byte_range(p, lo + 1, most, len - 1));
        a++;
    }
    if (memcmp(hi + 1, most, len - 1)) {
        r = rx_alt(p, r, rx_cat(p, range_set(p, b, b), byte_range(p, least, hi + 1, len - 1)));
        b--;
    }
    if (a <= b)
        r = rx_alt(p, r, rx_cat(p, range_set(p, a, b), byte_range(p, least, most, len - 1)));
    return r;
}

uint32_t rx_ranges(struct rx *p, const uint32_t (*range)[2], size_t n)
{
    static const uint32_t cut[][2] = {
        {0, 0x7f}, {0x80, 0x7ff}, {0x800, 0xd7ff}, {0xe000, 0xffff}, {0x10000, 0x10ffff}};
    uint32_t r = RX_EMPTY;
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < sizeof cut / sizeof *cut; k++) {
            uint32_t lo = range[i][0] > cut[k][0] ? range[i][0] : cut[k][0];
            uint32_t hi = range[i][1] < cut[k][1] ? range[i][1] : cut[k][1];
            if (lo > hi) continue;
            char a[4], b[4];
            size_t len = utf8_encode(lo, a);
            utf8_encode(hi, b);
            r = rx_alt(p, r, byte_range(p, (unsigned char *)a, (unsigned char *)b, len));
        }
    return r;
}

/* Words first..last-1 of v in order, all equal up to `at`. */
static uint32_t word_tree(struct rx *p, const struct str *v, size_t first, size_t last, size_t at)
{
    uint32_t r = RX_EMPTY;
    if (p->depth > RX_DEPTH_MAX) p->failed = p->failed ? p->failed : LAR_ELIMIT;
    if (p->failed) return RX_EMPTY;
    if (last - first == 1) return rx_text(p, str_from(v[first], at));
    p->depth++;
    for (size_t i = first; i < last;) {
        if (v[i].n == at) {
            r = rx_alt(p, r, RX_EPS);
            i++;
            continue;
        }
        unsigned char c = (unsigned char)v[i].p[at];
        size_t k = i + 1;
        while (k < last && v[k].n > at && (unsigned char)v[k].p[at] == c) k++;
        r = rx_alt(p, r, rx_cat(p, range_set(p, c, c), word_tree(p, v, i, k, at + 1)));
        i = k;
    }
    p->depth--;
    return r;
}

static int word_cmp(const void *ctx, uint32_t a, uint32_t b)
{
    const struct str *v = ctx;
    return str_cmp(v[a], v[b]);
}

uint32_t rx_words(struct rx *p, struct str *v, size_t n)
{
    uint32_t r = RX_EMPTY;
    uint32_t *order = n ? mem_alloc(n * sizeof *order) : NULL;
    struct str *sorted = n ? mem_alloc(n * sizeof *sorted) : NULL;
    if (n && (!order || !sorted))
        p->failed = LAR_ENOMEM;
    else if (n) {
        for (size_t i = 0; i < n; i++) order[i] = (uint32_t)i;
        sort_u32(order, n, word_cmp, v);
        size_t k = 0;
        for (size_t i = 0; i < n; i++)
            if (!k || !str_eq(sorted[k - 1], v[order[i]])) sorted[k++] = v[order[i]];
        r = word_tree(p, sorted, 0, k, 0);
    }
    mem_free(order);
    mem_free(sorted);
    return p->failed ? RX_EMPTY : r;
}

/* ---- the pool ---- */

struct rx *rx_open(size_t limit)
{
    struct rx *p = mem_zalloc(sizeof *p);
    if (!p) return NULL;
    p->limit = limit;
    p->nhead = 256;
    if (!(p->head = mem_zalloc(p->nhead * sizeof *p->head))) {
        mem_free(p);
        return NULL;
    }
    rx_intern(p, &(struct rx_node){.kind = RXK_EMPTY}, NULL, 0);
    rx_intern(p, &(struct rx_node){.kind = RXK_EPS}, NULL, 0);
    /* The third and fourth number are one character and any text: placeholders first, for their parts need numbers too. */
    for (uint32_t i = 0; i < 2; i++)
        rx_intern(p, &(struct rx_node){.kind = RXK_SET, .a = UINT32_MAX - i}, NULL, 0);
    uint32_t c = rx_ranges(p, (const uint32_t[1][2]){{0, 0x10ffff}}, 1);
    if (p->failed) {
        rx_close(p);
        return NULL;
    }
    p->node[RX_CHAR] = p->node[c];
    p->node[RX_ALL] = (struct rx_node){
        .kind = RXK_REP, .a = RX_CHAR, .lo = 0, .hi = RX_INF, .nullable = 1, .alive = 1};
    p->node[c] = (struct rx_node){.kind = RXK_SET,
                                  .a = UINT32_MAX - 2}; /* nothing refers to it: found no more */
    if (rehash(p)) {
        rx_close(p);
        return NULL;
    }
    return p;
}

void rx_close(struct rx *p)
{
    if (!p) return;
    mem_free(p->node);
    mem_free(p->head);
    mem_free(p->set);
    mem_free(p->kid);
    mem_free(p->con);
    mem_free(p->text);
    mem_free(p->memo);
    mem_free(p->step);
    mem_free(p);
}

int rx_failed(const struct rx *p) { return p->failed; }
size_t rx_bytes(const struct rx *p) { return p->bytes; }
