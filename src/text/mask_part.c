/* SPDX-License-Identifier: Apache-2.0
 *
 * text/mask_part.c: the tokens that the text of one expression allows.
 *
 * Most strings are free text but for a little: a bound on their length, a first character, a few names that are taken. So a string's
 * expression is compared with RX_ALL while the tree is walked, and where both lead to the same rest the walk ends: what is below is
 * known. When that is most of the vocabulary the part is the known set without some tokens; else it is a list. */
#include "base/sort.h"
#include "text/mask_impl.h"
#include "text/rx_impl.h"

enum { CUT_MAX = 4096 };

struct job {
    struct masks *m;
    struct grammar *g;
    const struct toktrie *t;
    enum part_kind kind;
    uint32_t start, skip; /* the node at which the text begins, its depth */
};

static int xtmp(struct masks *m, uint32_t tail, uint32_t token)
{
    if (m->nxtmp == m->cap_xtmp) {
        size_t cap = m->cap_xtmp ? m->cap_xtmp * 2 : 256;
        struct texit *v = mem_resize(m->xtmp, cap * sizeof *v);
        if (!v) return grammar_fail(m->g, LAR_ENOMEM, "out of memory");
        m->xtmp = v;
        m->cap_xtmp = cap;
    }
    m->xtmp[m->nxtmp++] = (struct texit){tail, token};
    return 0;
}

static int live(struct grammar *g, uint32_t a)
{
    return a != RX_EMPTY && (g->rx->node[a].alive == 1 || rx_alive(g->rx, a));
}

static uint32_t own(const struct trie *t, uint32_t n, uint32_t k) { return t->order[t->node[n].lo + k]; }

static void keep_own(struct job *j, uint32_t n)
{
    for (uint32_t k = 0; k < j->t->t.node[n].own; k++) masks_tmp(j->m, own(&j->t->t, n, k));
}

/* ---- a list ---- */

static void list_walk(struct job *j, uint32_t n, uint32_t a, uint32_t depth);

static void list_child(struct job *j, uint32_t c, uint32_t a, uint32_t depth)
{
    if (!live(j->g, a)) return;
    keep_own(j, c);
    if (j->t->t.node[c].nchild) list_walk(j, c, a, depth);
}

/* Everything below the quote c closes the string. */
static void list_quote(struct job *j, uint32_t c, uint32_t depth)
{
    const struct tnode *d = &j->t->t.node[c];
    keep_own(j, c);
    for (uint32_t i = d->lo + d->own; i < d->hi; i++)
        xtmp(j->m, toktrie_tail(j->t, j->t->t.order[i], depth), j->t->t.order[i]);
}

/* Below a backslash: the short forms of what is allowed. Control characters that have none are asked of the machine. */
static void list_escape(struct job *j, uint32_t c, uint32_t a, uint32_t depth)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    struct rx *p = j->g->rx;
    const struct trie *t = &j->t->t;
    int any = 0, control = 0;
    for (size_t i = 0; from[i]; i++) {
        uint32_t next = rx_step(p, a, (unsigned char)to[i]), k;
        if (!live(j->g, next)) continue;
        any = 1;
        if ((k = trie_child(t, c, (unsigned char)from[i]))) list_child(j, k, next, depth + 1);
    }
    for (unsigned b = 0; b < 0x20 && !control; b++)
        if (!memchr(to, (int)b, 8)) control = live(j->g, rx_step(p, a, b));
    if (any || control) keep_own(j, c);
    uint32_t u = control ? trie_child(t, c, 'u') : 0;
    if (!u) return;
    for (uint32_t i = t->node[u].lo; i < t->node[u].hi; i++) {
        struct str s = str_from(j->t->bytes[t->order[i]], depth - 1);
        if (json_string_can(j->g, a, s)) masks_tmp(j->m, t->order[i]);
    }
}

static void list_walk(struct job *j, uint32_t n, uint32_t a, uint32_t depth)
{
    const struct tnode *d = &j->t->t.node[n];
    rx_row(j->g->rx, a);
    uint32_t r = j->g->rx->node[a].row;
    if (j->kind == PART_TEXT && rx_nullable(j->g->rx, a) && n != j->start && d->nchild)
        masks_tmp(j->m, n | 0x80000000u);
    for (uint32_t c = d->child; c < d->child + d->nchild && !j->g->failed; c++) {
        unsigned b = j->t->t.node[c].byte;
        if (j->kind == PART_STRING && b == '"') {
            if (rx_nullable(j->g->rx, a)) list_quote(j, c, depth + 1);
        } else if (j->kind == PART_STRING && b == '\\')
            list_escape(j, c, a, depth + 1);
        else if (r && (b >= 0x20 || j->kind == PART_TEXT))
            list_child(j, c, j->g->rx->step[r - 1][b], depth + 1);
    }
}

/* ---- all but some ---- */

static void cut_below(struct job *j, uint32_t c)
{
    const struct tnode *d = &j->t->t.node[c];
    for (uint32_t i = d->lo; i < d->hi; i++) masks_tmp(j->m, j->t->t.order[i]);
}

static void cut_escape(struct job *j, uint32_t c, uint32_t a, uint32_t depth)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    const struct trie *t = &j->t->t;
    const struct tnode *d = &t->node[c];
    for (uint32_t k = d->child; k < d->child + d->nchild; k++) {
        unsigned b = t->node[k].byte;
        const char *at = b ? strchr(from, (int)b) : NULL;
        if (b == 'u') {
            for (uint32_t i = t->node[k].lo; i < t->node[k].hi; i++)
                if (!json_string_can(j->g, a, str_from(j->t->bytes[t->order[i]], depth - 1)))
                    masks_tmp(j->m, t->order[i]);
        } else if (!at || rx_step(j->g->rx, a, (unsigned char)to[at - from]) != RX_ALL)
            cut_below(j, k); /* rare: such tokens are left out though some might do */
    }
}

/* Walks where a and u, which free text leads to, differ. */
static void cut_walk(struct job *j, uint32_t n, uint32_t a, uint32_t u, uint32_t depth)
{
    struct rx *p = j->g->rx;
    const struct tnode *d = &j->t->t.node[n];
    rx_row(p, a);
    rx_row(p, u);
    uint32_t ra = p->node[a].row, ru = p->node[u].row;
    for (uint32_t c = d->child; c < d->child + d->nchild && !j->g->failed && ra && ru; c++) {
        unsigned b = j->t->t.node[c].byte;
        uint32_t x = p->step[ra - 1][b], y = p->step[ru - 1][b];
        if (b == '"') {
            if (!rx_nullable(p, a)) cut_below(j, c);
        } else if (b == '\\') {
            if (y == RX_ALL) cut_escape(j, c, a, depth + 1);
        } else if (b < 0x20 || x == y)
            continue;
        else if (!live(j->g, x))
            cut_below(j, c);
        else if (j->t->t.node[c].nchild)
            cut_walk(j, c, x, y, depth + 1);
    }
}

/* How much of the vocabulary lies where a and free text lead to the same. */
static int mostly_free(struct job *j, uint32_t a)
{
    struct rx *p = j->g->rx;
    const struct tnode *d = &j->t->t.node[0];
    uint32_t same = 0;
    rx_row(p, RX_ALL);
    rx_row(p, a);
    uint32_t ra = p->node[a].row, ru = p->node[RX_ALL].row;
    for (uint32_t c = d->child; c < d->child + d->nchild && ra && ru; c++) {
        const struct tnode *e = &j->t->t.node[c];
        if (p->step[ra - 1][e->byte] == p->step[ru - 1][e->byte]) same += e->hi - e->lo;
    }
    return same > j->t->t.n / 2;
}

/* ---- all, where every text goes on ---- */

/* Whether the string of a may end at the first quote of a token. */
static int may_close(struct job *j, uint32_t token, uint32_t a)
{
    struct str s = j->t->bytes[token];
    for (size_t i = 0; i < s.n && a != RX_EMPTY; i++) {
        static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
        unsigned b = (unsigned char)s.p[i];
        if (b == '"') return rx_nullable(j->g->rx, a);
        if (b == '\\') {
            const char *k = ++i < s.n && s.p[i] ? strchr(from, s.p[i]) : NULL;
            if (!k) return 0;
            b = (unsigned char)to[k - from];
        }
        a = rx_step(j->g->rx, a, b);
    }
    return 0;
}

static void *room(struct masks *m, size_t n, size_t size);
static void take_cut(struct job *j, struct part *p);

static void open_part(struct job *j, struct part *p, uint32_t a, int lines)
{
    const struct toktrie *t = j->t;
    const struct tfree *f = &t->free[0];
    struct texit *e = room(j->m, f->nexit, sizeof *e);
    p->base = t->inner;
    for (uint32_t i = 0; e && i < f->nexit; i++)
        if (may_close(j, f->exit[i].token, a)) e[p->nexit++] = f->exit[i];
    p->exit = e;
    for (uint32_t i = 0; i < t->ncloser; i++)
        if (!may_close(j, t->closer[i], a)) masks_tmp(j->m, t->closer[i]);
    for (uint32_t i = 0; lines && i < t->nline; i++) masks_tmp(j->m, t->line[i]);
    take_cut(j, p);
}

/* ---- parts ---- */

static int by_number(const void *ctx, uint32_t a, uint32_t b)
{
    (void)ctx;
    return a < b ? -1 : a > b;
}
static int by_tail(const void *ctx, uint32_t a, uint32_t b)
{
    const struct texit *e = ctx;
    if (e[a].tail != e[b].tail) return e[a].tail < e[b].tail ? -1 : 1;
    return e[a].token < e[b].token ? -1 : e[a].token > e[b].token;
}

static void *room(struct masks *m, size_t n, size_t size)
{
    void *v = arena_array(&m->a, n ? n : 1, size);
    if (!v) grammar_fail(m->g, LAR_ENOMEM, "out of memory for masks");
    return v;
}

static uint32_t *copy(struct masks *m, const uint32_t *v, size_t n)
{
    uint32_t *c = room(m, n, sizeof *c);
    if (c && n) memcpy(c, v, n * sizeof *c);
    return c;
}

/* What was cut, sorted; very much of it makes a set of its own. */
static void take_cut(struct job *j, struct part *p)
{
    struct masks *m = j->m;
    sort_u32(m->tmp, m->ntmp, by_number, NULL);
    if (m->ntmp <= CUT_MAX) {
        p->cut = copy(m, m->tmp, m->ntmp);
        p->ncut = (uint32_t)m->ntmp;
        return;
    }
    uint64_t *set = room(m, j->t->nword, 8);
    struct texit *e = room(m, p->nexit, sizeof *e);
    uint32_t n = 0;
    if (!set || !e) return;
    memcpy(set, p->base, (size_t)j->t->nword * 8);
    for (uint32_t i = 0; i < p->nexit; i++) { /* for the while that it takes they are in the set */
        tokset_add(set, p->exit[i].token);
    }
    for (size_t i = 0; i < m->ntmp; i++) set[m->tmp[i] >> 6] &= ~((uint64_t)1 << (m->tmp[i] & 63));
    for (uint32_t i = 0; i < p->nexit; i++) {
        uint32_t k = p->exit[i].token;
        if (tokset_has(set, k)) e[n++] = p->exit[i];
        set[k >> 6] &= ~((uint64_t)1 << (k & 63));
    }
    p->base = set;
    p->exit = e;
    p->nexit = n;
}

/* Any lo to hi characters, from the root. */
static void bounded(struct job *j, struct part *p, uint32_t lo, uint32_t hi)
{
    const struct toktrie *t = j->t;
    const struct tfree *f = &t->free[0];
    p->base = hi <= TOKTRIE_CHARS ? t->upto + (size_t)hi * t->nword : t->inner;
    p->exit = f->exit;
    p->nexit = f->nexit;
    p->lo = lo;
    p->hi = hi;
    for (uint32_t i = 0; lo && i < t->ncloser; i++)
        if (t->chars[t->closer[i]] < lo) masks_tmp(j->m, t->closer[i]);
    for (uint32_t i = 0; hi < 255 && hi > TOKTRIE_CHARS && i < t->nlonger; i++)
        if (t->chars[t->longer[i]] > hi) masks_tmp(j->m, t->longer[i]);
    if (hi >= 255 && hi < 2 * TOKTRIE_TOKEN_MAX)
        for (uint32_t i = 0; i < t->nlonger; i++)
            if (t->chars[t->longer[i]] == 255) masks_tmp(j->m, t->longer[i]); /* not known how many: left out */
    take_cut(j, p);
}

static void from_list(struct job *j, struct part *p)
{
    struct masks *m = j->m;
    uint32_t *index = room(m, m->nxtmp, sizeof *index), n = 0, k = 0;
    struct texit *e = room(m, m->nxtmp, sizeof *e);
    if (!index || !e) return;
    for (uint32_t i = 0; i < m->nxtmp; i++) index[i] = i;
    sort_u32(index, m->nxtmp, by_tail, m->xtmp);
    for (size_t i = 0; i < m->nxtmp; i++) e[i] = m->xtmp[index[i]];
    p->exit = e;
    p->nexit = (uint32_t)m->nxtmp;
    for (size_t i = 0; i < m->ntmp; i++) k += m->tmp[i] >> 31;
    uint32_t *inner = room(m, m->ntmp, sizeof *inner), *stop = room(m, k, sizeof *stop);
    if (!inner || !stop) return;
    for (size_t i = 0; i < m->ntmp; i++) {
        if (m->tmp[i] >> 31)
            stop[p->nstop++] = m->tmp[i] & 0x7fffffff;
        else
            inner[n++] = m->tmp[i];
    }
    p->inner = inner;
    p->ninner = n;
    p->stop = stop;
    if (n < j->t->nword / 4) return;
    uint64_t *set = room(m, j->t->nword, 8);
    if (!set) return;
    for (uint32_t i = 0; i < n; i++) tokset_add(set, inner[i]);
    p->base = set;
    p->ninner = 0;
}

static void from_free(const struct toktrie *t, const struct tfree *f, struct part *p)
{
    p->inner = f->inner;
    p->ninner = f->node ? f->ninner : 0;
    p->base = f->node ? NULL : t->inner;
    p->exit = f->exit;
    p->nexit = f->nexit;
}

static uint32_t depth_of(const struct toktrie *t, uint32_t node, enum part_kind kind)
{
    const struct tfree *f = node && kind == PART_STRING ? toktrie_free(t, node) : NULL;
    return f ? f->skip : 0;
}

static void make(struct job *j, struct part *p, uint32_t node, uint32_t a, int chars, uint32_t lo, uint32_t hi)
{
    enum rx_open open = node == 0 && j->kind == PART_STRING && !chars ? rx_is_open(j->g->rx, a) : RX_CLOSED;
    j->m->ntmp = j->m->nxtmp = 0;
    if (node == 0 && chars)
        bounded(j, p, lo, hi);
    else if (open)
        open_part(j, p, a, open == RX_OPEN_LINE);
    else if (node == 0 && j->kind == PART_STRING && mostly_free(j, a)) {
        from_free(j->t, &j->t->free[0], p);
        cut_walk(j, 0, a, RX_ALL, 0);
        take_cut(j, p);
    } else {
        list_walk(j, node, a, j->skip);
        from_list(j, p);
    }
}

const struct part *mask_part(struct masks *m, enum part_kind kind, uint32_t node, uint32_t a, struct part *scratch)
{
    uint64_t key = (uint64_t)node << 32 | a;
    uint32_t lo = 0, hi = 0;
    const struct tfree *f = kind == PART_STRING ? toktrie_free(m->t, node) : NULL;
    int chars = kind == PART_STRING && rx_is_chars(m->g->rx, a, &lo, &hi);
    *scratch = (struct part){.hi = UINT32_MAX};
    if (kind == PART_STRING && !f) return scratch; /* nothing below */
    if (chars && lo == 0 && hi >= 2 * TOKTRIE_TOKEN_MAX) {
        from_free(m->t, f, scratch);
        return scratch;
    }
    struct part *p = map_get(&m->part[kind], key);
    if (p) return p;
    struct job j = {.m = m, .g = m->g, .t = m->t, .kind = kind, .start = node, .skip = depth_of(m->t, node, kind)};
    if (!(p = room(m, 1, sizeof *p))) return NULL;
    p->hi = UINT32_MAX;
    make(&j, p, node, a, chars, lo, hi);
    if (rx_failed(m->g->rx)) grammar_fail(m->g, rx_failed(m->g->rx), "the patterns need more memory than their limit");
    return m->g->failed || map_put(m, &m->part[kind], key, p) ? NULL : p;
}
