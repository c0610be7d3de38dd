/* SPDX-License-Identifier: Apache-2.0
 *
 * text/mask_part.c: the tokens that the text of one expression allows.
 *
 * The tree is walked with the expression, and whole parts of it are decided at once. Where an expression does the same with most bytes (letters
 * of a name, any character of a text with a bound on its length), the kinds of bytes below a node and the length of its longest text tell
 * whether everything below is allowed. Most strings are free text but for a little (a bound, a first character, names that are
 * taken), so when most of the vocabulary can come the part is all that a string can hold without what the walk finds to be cut; else it
 * is a list of what the walk finds. */
#include "base/sort.h"
#include "text/mask_impl.h"
#include "text/rx_impl.h"

enum { CUT_MAX = 256, FEW = 4 };

struct job {
    struct masks *m;
    struct grammar *g;
    const struct toktrie *t;
    const struct tfree *f; /* of strings: what is known at the node at which the text begins, or NULL (behind an escape) */
    enum part_kind kind;
    uint32_t start, skip; /* that node, its depth */
    uint64_t never;       /* kinds of bytes below a node that is not decided at once */
    uint64_t *exits;      /* bits: these of f->exit */
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

static void *room(struct masks *m, size_t n, size_t size)
{
    void *v = arena_array(&m->a, n ? n : 1, size);
    if (!v) grammar_fail(m->g, LAR_ENOMEM, "out of memory for masks");
    return v;
}

/* ---- what is decided at once ---- */

/* Whether each of the bytes lo to hi and then so many more of a character lead from a to `to`. */
static int all_lead(struct rx *p, uint32_t a, unsigned lo, unsigned hi, int more, uint32_t to)
{
    uint32_t known = RX_EMPTY;
    for (unsigned b = lo; b <= hi; b++) {
        uint32_t next = rx_row(p, a)[b];
        if (more == 0 ? next != to : next == RX_EMPTY) return 0;
        if (more == 0 || next == known) continue;
        if (!all_lead(p, next, 0x80, 0xbf, more - 1, to)) return 0;
        known = next;
    }
    return 1;
}

/* Whether every character beyond ASCII does (RFC 3629, section 4). */
static int wide_lead(struct rx *p, uint32_t a, uint32_t to)
{
    if (rx_row(p, a)[0xe0] == RX_EMPTY || !all_lead(p, a, 0xc2, 0xdf, 1, to)) return 0;
    return all_lead(p, rx_step(p, a, 0xe0), 0xa0, 0xbf, 1, to) && all_lead(p, a, 0xe1, 0xec, 2, to) &&
           all_lead(p, rx_step(p, a, 0xed), 0x80, 0x9f, 1, to) && all_lead(p, a, 0xee, 0xef, 2, to) &&
           all_lead(p, rx_step(p, a, 0xf0), 0x90, 0xbf, 2, to) && all_lead(p, a, 0xf1, 0xf3, 3, to) &&
           all_lead(p, rx_step(p, a, 0xf4), 0x80, 0x8f, 2, to);
}

static const struct reach *reach(struct job *j, uint32_t a)
{
    struct rx *p = j->g->rx;
    struct reach *r = map_get(&j->m->reach, a);
    if (r || !(r = room(j->m, 1, sizeof *r))) return r;
    const uint32_t *row = rx_row(p, a);
    uint64_t differ = 0;
    int votes = 0;
    for (unsigned b = 0x20; b < 0x7f; b++) {
        if (row[b] == RX_EMPTY) continue;
        if (!votes) r->next = row[b];
        votes += row[b] == r->next ? 1 : -1;
    }
    for (unsigned b = 0; b < 0x80; b++)
        if (row[b] != r->next) differ |= (uint64_t)1 << toktrie_kind(b);
    if (r->next != RX_EMPTY && live(j->g, r->next)) {
        r->kinds = ~differ & (((uint64_t)1 << TOKTRIE_WIDE) - 1);
        r->kinds |= (uint64_t)wide_lead(p, a, r->next) << TOKTRIE_WIDE;
    }
    return map_put(j->m, &j->m->reach, a, r) ? NULL : r;
}

/* Whether all that is below n can follow where a is left. */
static int all_below(struct job *j, uint32_t n, uint32_t a)
{
    const struct tnode *d = &j->t->t.node[n];
    if (d->kinds & j->never) return 0;
    for (unsigned h = d->height; h; h--) {
        const struct reach *r = reach(j, a);
        if (!r || d->kinds & ~r->kinds) return 0;
        if (r->next == a) return 1;
        a = r->next;
    }
    return 1;
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
    const struct tnode *d = &j->t->t.node[c];
    if (!live(j->g, a)) return;
    if (d->hi - d->lo > FEW && d->nchild && all_below(j, c, a)) {
        masks_tmp_n(j->m, j->t->t.order + d->lo, d->hi - d->lo);
        return;
    }
    keep_own(j, c);
    if (d->nchild) list_walk(j, c, a, depth);
}

/* The first of f->exit_of at or behind a place in the tree's order. */
static uint32_t exit_at(const struct tfree *f, uint32_t place)
{
    uint32_t lo = 0, hi = f->nexit;
    while (lo < hi) {
        uint32_t mid = (lo + hi) / 2;
        if (f->exit_of[mid].token < place)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

/* Everything below the quote c closes the string. What begins within a character, or behind digits of an escape, is not among the exits
 * that the tree knows. */
static void list_quote(struct job *j, uint32_t c, uint32_t depth)
{
    const struct tnode *d = &j->t->t.node[c];
    uint32_t k = j->f ? exit_at(j->f, d->lo + d->own) : 0;
    keep_own(j, c);
    for (uint32_t i = d->lo + d->own; i < d->hi; i++) {
        if (j->f && k < j->f->nexit && j->f->exit_of[k].token == i)
            tokset_add(j->exits, j->f->exit_of[k++].tail);
        else
            xtmp(j->m, toktrie_tail(j->t, j->t->t.order[i], depth), j->t->t.order[i]);
    }
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
    if (j->kind == PART_TEXT && rx_nullable(j->g->rx, a) && n != j->start && d->nchild) xtmp(j->m, 0, n);
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

static void cut(struct job *j, uint32_t token)
{
    if (tokset_has(j->t->inner, token)) masks_tmp(j->m, token);
}

static void cut_below(struct job *j, uint32_t c)
{
    const struct tnode *d = &j->t->t.node[c];
    for (uint32_t i = d->lo; i < d->hi; i++) cut(j, j->t->t.order[i]);
    for (uint32_t k = exit_at(j->f, d->lo); k < j->f->nexit && j->f->exit_of[k].token < d->hi; k++)
        j->exits[j->f->exit_of[k].tail >> 6] &= ~((uint64_t)1 << (j->f->exit_of[k].tail & 63));
}

static void cut_walk(struct job *j, uint32_t n, uint32_t a, uint32_t depth);

static void cut_child(struct job *j, uint32_t c, uint32_t a, uint32_t depth)
{
    if (!live(j->g, a))
        cut_below(j, c);
    else if (j->t->t.node[c].nchild && !all_below(j, c, a))
        cut_walk(j, c, a, depth);
}

/* The counterpart of list_escape. */
static void cut_escape(struct job *j, uint32_t c, uint32_t a, uint32_t depth)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    const struct trie *t = &j->t->t;
    const struct tnode *d = &t->node[c];
    int any = 0, control = 0;
    for (unsigned b = 0; b < 0x20 && !control; b++)
        if (!memchr(to, (int)b, 8)) control = live(j->g, rx_step(j->g->rx, a, b));
    for (size_t i = 0; to[i] && !any; i++) any = live(j->g, rx_step(j->g->rx, a, (unsigned char)to[i]));
    for (uint32_t k = 0; k < d->own && !any && !control; k++) cut(j, own(t, c, k));
    for (uint32_t k = d->child; k < d->child + d->nchild; k++) {
        unsigned b = t->node[k].byte;
        const char *at = b ? strchr(from, (int)b) : NULL;
        if (at)
            cut_child(j, k, rx_step(j->g->rx, a, (unsigned char)to[at - from]), depth + 1);
        else if (b != 'u' || !control)
            cut_below(j, k);
        else
            for (uint32_t i = t->node[k].lo; i < t->node[k].hi; i++)
                if (!json_string_can(j->g, a, str_from(j->t->bytes[t->order[i]], depth - 1))) cut(j, t->order[i]);
    }
}

static void cut_walk(struct job *j, uint32_t n, uint32_t a, uint32_t depth)
{
    struct rx *p = j->g->rx;
    const struct tnode *d = &j->t->t.node[n];
    for (uint32_t c = d->child; c < d->child + d->nchild && !j->g->failed; c++) {
        unsigned b = j->t->t.node[c].byte;
        if (b == '"') {
            if (!rx_nullable(p, a)) cut_below(j, c);
        } else if (b == '\\')
            cut_escape(j, c, a, depth + 1);
        else if (b >= 0x20) /* the others are in no string */
            cut_child(j, c, rx_row(p, a)[b], depth + 1);
    }
}

/* Whether more than half of the vocabulary begins with a byte that a takes. */
static int mostly(struct job *j, uint32_t a)
{
    const struct tnode *d = &j->t->t.node[0];
    uint32_t n = 0;
    for (uint32_t c = d->child; c < d->child + d->nchild; c++) {
        const struct tnode *e = &j->t->t.node[c];
        if (e->byte >= 0x20 && rx_row(j->g->rx, a)[e->byte] != RX_EMPTY) n += e->hi - e->lo;
    }
    return n > j->t->t.n / 2;
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
    if (m->ntmp <= CUT_MAX) {
        sort_u32(m->tmp, m->ntmp, by_number, NULL);
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

/* What the walk found of f->exit, in its order. */
static void take_exits(struct job *j, struct part *p)
{
    uint32_t n = 0, words = (j->f->nexit + 63) / 64;
    for (uint32_t i = 0; i < words; i++) n += (uint32_t)__builtin_popcountll(j->exits[i]);
    struct texit *e = n == j->f->nexit ? j->f->exit : room(j->m, n, sizeof *e);
    p->exit = e;
    if (!e) return;
    p->nexit = n;
    for (uint32_t i = 0, k = 0; k < n && e != j->f->exit; i++)
        if (tokset_has(j->exits, i)) e[k++] = j->f->exit[i];
}

/* And those that it does not know. */
static void more_exits(struct job *j, struct part *p)
{
    struct masks *m = j->m;
    size_t n = p->nexit;
    for (size_t i = 0; i < n; i++) xtmp(m, p->exit[i].tail, p->exit[i].token);
    uint32_t *index = room(m, m->nxtmp, sizeof *index);
    struct texit *e = room(m, m->nxtmp, sizeof *e);
    if (!index || !e) return;
    for (uint32_t i = 0; i < m->nxtmp; i++) index[i] = i;
    sort_u32(index, m->nxtmp, by_tail, m->xtmp);
    for (size_t i = 0; i < m->nxtmp; i++) e[i] = m->xtmp[index[i]];
    p->exit = e;
    p->nexit = (uint32_t)m->nxtmp;
}

static void take_list(struct job *j, struct part *p)
{
    struct masks *m = j->m;
    if (j->kind == PART_TEXT) {
        uint32_t *stop = room(m, m->nxtmp, sizeof *stop);
        for (size_t i = 0; stop && i < m->nxtmp; i++) stop[p->nstop++] = m->xtmp[i].token;
        p->stop = stop;
    } else {
        if (j->f) take_exits(j, p);
        if (m->nxtmp) more_exits(j, p);
    }
    if (m->ntmp < j->t->nword / 4) {
        p->inner = copy(m, m->tmp, m->ntmp);
        p->ninner = p->inner ? (uint32_t)m->ntmp : 0;
        return;
    }
    uint64_t *set = room(m, j->t->nword, 8);
    for (size_t i = 0; set && i < m->ntmp; i++) tokset_add(set, m->tmp[i]);
    p->base = set;
}

static void from_free(const struct toktrie *t, const struct tfree *f, struct part *p)
{
    p->inner = f->inner;
    p->ninner = f->node ? f->ninner : 0;
    p->base = f->node ? NULL : t->inner;
    p->exit = f->exit;
    p->nexit = f->nexit;
}

static void make(struct job *j, struct part *p, uint32_t a, int chars, uint32_t lo, uint32_t hi)
{
    int whole = j->start == 0 && j->kind == PART_STRING;
    enum rx_open open = whole && !chars ? rx_is_open(j->g->rx, a) : RX_CLOSED;
    j->m->ntmp = j->m->nxtmp = 0;
    if (whole && chars) {
        bounded(j, p, lo, hi);
        return;
    }
    if (open) {
        open_part(j, p, a, open == RX_OPEN_LINE);
        return;
    }
    size_t words = j->f ? (j->f->nexit + 63) / 64 : 0;
    if (words && !(j->exits = room(j->m, words, 8))) return;
    if (whole && mostly(j, a)) {
        for (uint32_t i = 0; i < j->f->nexit; i++) tokset_add(j->exits, i);
        cut_walk(j, 0, a, 0);
        p->base = j->t->inner;
        take_cut(j, p);
        take_exits(j, p);
    } else {
        list_walk(j, j->start, a, j->skip);
        take_list(j, p);
    }
}

const struct part *mask_part(struct masks *m, enum part_kind kind, uint32_t node, uint32_t a, struct part *scratch)
{
    static const unsigned char special[] = "\n\t\r\001\"\\";
    uint64_t key = (uint64_t)node << 32 | a;
    uint32_t lo = 0, hi = 0;
    const struct tfree *f = kind == PART_STRING ? toktrie_free(m->t, node) : NULL;
    int chars = kind == PART_STRING && rx_is_chars(m->g->rx, a, &lo, &hi);
    *scratch = (struct part){.hi = UINT32_MAX};
    if (f && chars && lo == 0 && hi >= 2 * TOKTRIE_TOKEN_MAX) {
        from_free(m->t, f, scratch);
        return scratch;
    }
    struct part *p = map_get(&m->part[kind], key);
    if (p) return p;
    struct job j = {.m = m, .g = m->g, .t = m->t, .f = f, .kind = kind, .start = node};
    j.skip = toktrie_depth(m->t, node);
    j.never = (uint64_t)1 << TOKTRIE_BROKEN;
    for (size_t i = 0; kind == PART_STRING && special[i]; i++) j.never |= (uint64_t)1 << toktrie_kind(special[i]);
    if (!(p = room(m, 1, sizeof *p))) return NULL;
    p->hi = UINT32_MAX;
    make(&j, p, a, chars, lo, hi);
    if (rx_failed(m->g->rx)) grammar_fail(m->g, rx_failed(m->g->rx), "the patterns need more memory than their limit");
    return m->g->failed || map_put(m, &m->part[kind], key, p) ? NULL : p;
}
