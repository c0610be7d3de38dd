/* SPDX-License-Identifier: Apache-2.0
 *
 * text/toktrie_shape.c: the tree of tokens again, with bytes that expressions seldom tell apart as one.
 *
 * Small letters, capitals, digits and whole characters beyond ASCII are one sign each, so that the words of a vocabulary fall together: 274,000
 * nodes of Llama 3's tree become 17,000. Where an expression does the same with all bytes of a sign a walk takes this tree; where it
 * does not, it goes on in the nodes of the tree of bytes that a node here stands for. A branch whose first byte is often told apart
 * from its neighbours ("h" of a link) has a tree of its own. What is below a node lies behind it, children side by side: a walk reads forward, and
 * what it reads next is mostly on its way into the cache already. */
#include "text/toktrie_shape.h"

enum { ROOT_MIN = 700 };

static int has_root(const struct tnode *d)
{
    return d->hi - d->lo >= ROOT_MIN && d->byte < 0x80; /* not within a character */
}

static unsigned sign_of(unsigned b)
{
    if (b >= 'a' && b <= 'z') return 'a';
    if (b >= 'A' && b <= 'Z') return 'A';
    return b >= '0' && b <= '9' ? '0' : b;
}

static int room(void *v, uint32_t n, uint32_t *cap, size_t size)
{
    void *old, *more;
    if (n < *cap) return 0;
    uint32_t want = *cap ? *cap * 2 : 4096;
    memcpy(&old, v, sizeof old);
    if (!(more = mem_resize(old, want * size))) return -1;
    *cap = want;
    memcpy(v, &more, sizeof more);
    return 0;
}

struct making {
    struct shapes *s;
    const struct trie *t;
    uint32_t cap_node, cap_more, cap_list;
    uint32_t at[SHAPE_SIGNS]; /* how many nodes of each sign; then where the next goes */
    int filling;
};

static void put(struct making *k, unsigned sign, uint32_t node)
{
    if (k->filling) k->s->list[k->at[sign]] = node;
    k->at[sign]++;
}

/* The bytes of one character of this kind from node n on, of which `more` are missing; lo, hi: what the next must be. */
static void wide(struct making *k, unsigned kind, uint32_t n, unsigned more, unsigned lo, unsigned hi)
{
    const struct tnode *d = &k->t->node[n];
    if (more == 0) {
        put(k, SHAPE_WIDE + kind, n);
        return;
    }
    if (d->own) put(k, SHAPE_PART + kind, n);
    for (uint32_t c = d->child; c < d->child + d->nchild; c++) {
        if (k->t->node[c].byte < lo || k->t->node[c].byte > hi)
            put(k, SHAPE_BROKEN, c);
        else
            wide(k, kind, c, more - 1, 0x80, 0xbf);
    }
}

static void one(struct making *k, uint32_t c)
{
    unsigned b = k->t->node[c].byte; /* RFC 3629, section 4 */
    if (b < 0x80)
        put(k, sign_of(b), c);
    else if (b < 0xc2 || b > 0xf4)
        put(k, SHAPE_BROKEN, c);
    else {
        unsigned more = b < 0xe0 ? 1 : b < 0xf0 ? 2 : 3, kind = toktrie_wide(b);
        put(k, SHAPE_LEAD + kind, c);
        wide(k, kind, c, more, b == 0xe0 ? 0xa0 : b == 0xf0 ? 0x90 : 0x80, b == 0xed ? 0x9f : b == 0xf4 ? 0x8f : 0xbf);
    }
}

static void all(struct making *k, uint32_t at, int filling)
{
    struct shape_more x = k->s->more[at];
    k->filling = filling;
    for (uint32_t i = x.from; i < x.from + x.n; i++) {
        const struct tnode *d = &k->t->node[k->s->list[i]];
        for (uint32_t c = d->child; c < d->child + d->nchild; c++) one(k, c);
    }
}

static int add(struct making *k, struct shape x, uint32_t n)
{
    struct shapes *s = k->s;
    if (room(&s->node, s->nnode, &k->cap_node, sizeof *s->node) < 0 ||
        room(&s->more, s->nnode, &k->cap_more, sizeof *s->more) < 0)
        return -1;
    s->node[s->nnode] = x;
    s->more[s->nnode++] = (struct shape_more){.from = s->nlist, .n = n};
    s->nlist += n;
    return 0;
}

/* The children of x: counted, made, and filled with the nodes they stand for; then theirs. Recursion is as deep as the longest text. */
static int children(struct making *k, uint32_t at)
{
    struct shapes *s = k->s;
    struct shape x = s->node[at];
    uint32_t first = s->nnode;
    if (x.sign >= SHAPE_PART) return 0;
    memset(k->at, 0, sizeof k->at);
    all(k, at, 0);
    for (unsigned b = 0; b < SHAPE_SIGNS; b++) {
        uint32_t n = k->at[b];
        k->at[b] = s->nlist;
        struct shape d = {.sign = (uint8_t)b, .behind = x.behind || b == '"' || b == '\\'};
        if (n && add(k, d, n) < 0) return -1;
    }
    while (s->nlist > k->cap_list)
        if (room(&s->list, k->cap_list, &k->cap_list, sizeof *s->list) < 0) return -1;
    all(k, at, 1);
    uint32_t end = s->nnode;
    s->node[at].child = first;
    s->node[at].nchild = (uint8_t)(end - first);
    for (uint32_t c = first; c < end; c++)
        if (children(k, c) < 0) return -1;
    return 0;
}

static uint64_t kinds_of(unsigned sign)
{
    if (sign == SHAPE_BROKEN) return (uint64_t)1 << TOKTRIE_BROKEN;
    if (sign >= SHAPE_WIDE) return (uint64_t)1 << (TOKTRIE_WIDE + (sign - SHAPE_WIDE) % TOKTRIE_WIDES);
    uint64_t more = sign == 'a' ? toktrie_kind('z') : toktrie_kind(sign == 'A' ? 'Z' : sign);
    return (uint64_t)1 << toktrie_kind(sign) | (uint64_t)1 << more;
}

/* How many tokens there are below, those that are odd apart, and of what kinds; where what is below is known already. */
static void sum_up(struct making *k, uint32_t i, uint32_t *total)
{
    struct shapes *s = k->s;
    struct shape *x = &s->node[i];
    struct shape_more *m = &s->more[i];
    uint32_t *own = x->behind ? &m->odd_own : &m->own;
    for (uint32_t c = m->from; c < m->from + m->n; c++) {
        const struct tnode *d = &k->t->node[s->list[c]];
        x->kinds |= d->kinds;
        if (d->height > x->height) x->height = d->height & 2047;
        if (i >= s->nroot && x->sign < SHAPE_LEAD) *own += d->own;
    }
    x->hi = m->own;
    m->odd_hi = m->odd_own;
    for (uint32_t c = x->child; c < x->child + x->nchild; c++) {
        const struct shape *d = &s->node[c];
        x->hi += d->hi;
        m->odd_hi += s->more[c].odd_hi;
        if (d->hi || d->sign == SHAPE_BROKEN) x->plain |= d->plain | kinds_of(d->sign);
    }
    x->plain &= x->kinds;
    if (i < s->nroot) *total += x->hi + m->odd_hi;
}

/* What is below: tokens as ranges of one order, kinds and height as in struct tnode. A child has a greater number than its parent. */
static int finish(struct making *k)
{
    struct shapes *s = k->s;
    uint32_t total = 0;
    for (uint32_t i = s->nnode; i-- > 0;) sum_up(k, i, &total);
    if (!(s->order = mem_alloc((total + 1) * sizeof *s->order))) return -1;
    for (uint32_t i = 0, next = 0; i < s->nnode; i++) {
        struct shape *x = &s->node[i];
        struct shape_more *m = &s->more[i];
        if (i < s->nroot) {
            x->lo = next;
            m->odd = next + x->hi;
            next += x->hi + m->odd_hi;
        }
        uint32_t at = x->lo, odd = m->odd, *own = m->odd_own ? &odd : &at;
        x->hi += x->lo;
        m->odd_hi += m->odd;
        for (uint32_t c = m->from; m->own + m->odd_own && c < m->from + m->n; c++) {
            const struct tnode *d = &k->t->node[s->list[c]];
            for (uint32_t o = 0; o < d->own; o++) s->order[(*own)++] = k->t->order[d->lo + o];
        }
        for (uint32_t c = x->child; c < x->child + x->nchild; c++) {
            s->node[c].lo = at;
            s->more[c].odd = odd;
            at += s->node[c].hi;
            odd += s->more[c].odd_hi;
        }
    }
    return 0;
}

int shapes_make(struct shapes *s, const struct trie *t)
{
    struct making k = {.s = s, .t = t};
    *s = (struct shapes){0};
    for (uint32_t n = 0; n < t->nnode; n++) {
        if (n && !has_root(&t->node[n])) continue;
        if (room(&s->list, s->nlist, &k.cap_list, sizeof *s->list) < 0) return -1;
        s->list[s->nlist] = n;
        if (add(&k, (struct shape){0}, 1) < 0) return -1;
    }
    s->nroot = s->nnode;
    for (uint32_t i = 0; i < s->nroot; i++)
        if (children(&k, i) < 0) return -1;
    return finish(&k);
}

void shapes_done(struct shapes *s)
{
    mem_free(s->node);
    mem_free(s->more);
    mem_free(s->list);
    mem_free(s->order);
}

uint32_t shapes_root(const struct shapes *s, const struct trie *t, uint32_t node)
{
    uint32_t lo = 0, hi = s->nroot;
    if (node && !has_root(&t->node[node])) return UINT32_MAX;
    while (lo < hi) {
        uint32_t mid = (lo + hi) / 2;
        if (s->list[mid] < node)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < s->nroot && s->list[lo] == node ? lo : UINT32_MAX;
}
