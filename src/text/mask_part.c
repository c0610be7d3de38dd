/* SPDX-License-Identifier: Apache-2.0
 *
 * text/mask_part.c: the tokens that the text of one expression allows.
 *
 * Most strings are free text but for a little (a bound, a first character, names that are taken), so when most of the vocabulary can come
 * the part is all that a string can hold without what the walk (mask_walk.c) finds to be cut; else it is a list of what the walk finds. */
#include "base/sort.h"
#include "text/mask_impl.h"
#include "text/rx_impl.h"

/* How much of the vocabulary begins with a byte that a takes. */
static uint32_t reached(struct job *j, uint32_t a)
{
    const struct tnode *d = &j->t->t.node[0];
    const uint32_t *row = rx_row(j->g->rx, a);
    uint32_t n = 0;
    for (uint32_t c = d->child; c < d->child + d->nchild; c++) {
        const struct tnode *e = &j->t->t.node[c];
        if (e->byte >= 0x20 && row[e->byte] != RX_EMPTY) n += e->hi - e->lo;
    }
    return n;
}

/* ---- all, where every text goes on ---- */

static void take_cut(struct job *j, struct part *p);
static void take_exits(struct job *j, struct part *p);

static void open_part(struct job *j, struct part *p, uint32_t a, int lines)
{
    const struct toktrie *t = j->t;
    p->base = t->inner;
    mask_odd(j, a, ODD_EXITS);
    for (uint32_t i = 0; lines && i < t->nline; i++) masks_tmp(j->m, t->line[i]);
    take_exits(j, p);
    take_cut(j, p);
}

/* ---- parts ---- */

void *masks_room(struct masks *m, size_t n, size_t size)
{
    void *v = arena_array(&m->a, n ? n : 1, size);
    if (!v) grammar_fail(m->g, LAR_ENOMEM, "out of memory for masks");
    return v;
}

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
    uint32_t *c = masks_room(m, n, sizeof *c);
    if (c && n) memcpy(c, v, n * sizeof *c);
    return c;
}

static int is_cut_of(const struct part *p, uint32_t token)
{
    for (uint32_t i = 0; i < p->ncut; i++)
        if (p->cut[i] == token) return 1;
    return 0;
}

static size_t unlike(uint32_t *v, size_t n)
{
    size_t k = n > 0;
    for (size_t i = 1; i < n; i++)
        if (v[i] != v[k - 1]) v[k++] = v[i];
    return k;
}

/* What was cut, sorted; very much of it makes a set of its own. */
static void take_cut(struct job *j, struct part *p)
{
    struct masks *m = j->m;
    if (m->ntmp <= MASK_CUT_MAX) {
        sort_u32(m->tmp, m->ntmp, by_number, NULL);
        m->ntmp = unlike(m->tmp, m->ntmp);
        p->cut = copy(m, m->tmp, m->ntmp);
        p->ncut = (uint32_t)m->ntmp;
        return;
    }
    uint64_t *set = masks_room(m, j->t->nword, 8);
    struct texit *e = masks_room(m, p->nexit, sizeof *e);
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
    struct texit *e = n == j->f->nexit ? j->f->exit : masks_room(j->m, n, sizeof *e);
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
    for (size_t i = 0; i < n; i++) masks_xtmp(m, p->exit[i].tail, p->exit[i].token);
    uint32_t *index = masks_room(m, m->nxtmp, sizeof *index);
    struct texit *e = masks_room(m, m->nxtmp, sizeof *e);
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
        uint32_t *stop = masks_room(m, m->nxtmp, sizeof *stop);
        for (size_t i = 0; stop && i < m->nxtmp; i++) stop[p->nstop++] = m->xtmp[i].token;
        p->stop = stop;
    } else {
        if (j->f) take_exits(j, p);
        if (m->nxtmp) more_exits(j, p);
    }
    p->base = j->set;
    if (!j->set) {
        p->inner = copy(m, m->tmp, m->ntmp);
        p->ninner = p->inner ? (uint32_t)m->ntmp : 0;
    }
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
    size_t words = j->f ? (j->f->nexit + 63) / 64 : 0;
    if (words && !(j->exits = masks_room(j->m, words, 8))) return;
    if (open)
        open_part(j, p, a, open == RX_OPEN_LINE);
    else {
        uint32_t n = whole ? reached(j, a) : 0, most = j->t->t.n;
        j->apart = n > most / 16;
        (n > most / 2 ? mask_cut : mask_list)(j, j->start, a);
        if (j->apart) mask_odd(j, a, n > most / 2 ? ODD_CUT : ODD_LIST);
        if (n <= most / 2) {
            take_list(j, p);
            return;
        }
        p->base = j->set ? j->set : j->t->inner;
        if (!j->set) take_cut(j, p);
        take_exits(j, p);
    }
}

/* ---- bounds that are far away (rx_loose.c) ---- */

/* No tokens so long that they might meet a bound that was dropped: the longest first, so they are the first of t->big. */
static void drop_big(struct job *j, struct part *p, unsigned most)
{
    const struct toktrie *t = j->t;
    uint32_t n = 0, k = 0;
    j->m->ntmp = 0;
    masks_tmp_n(j->m, p->cut, p->ncut);
    for (; n < t->nbig && t->bytes[t->big[n]].n > most; n++)
        if (p->base && tokset_has(p->base, t->big[n]) && !is_cut_of(p, t->big[n])) masks_tmp(j->m, t->big[n]);
    if (p->base && j->m->ntmp > p->ncut) take_cut(j, p);
    uint32_t *inner = masks_room(j->m, p->ninner, sizeof *inner);
    struct texit *e = masks_room(j->m, p->nexit, sizeof *e);
    if (!inner || !e || !n) return;
    for (uint32_t i = 0; i < p->ninner; i++)
        if (t->bytes[p->inner[i]].n <= most) inner[k++] = p->inner[i];
    p->inner = inner;
    p->ninner = k;
    k = 0;
    for (uint32_t i = 0; i < p->nexit; i++)
        if (t->bytes[p->exit[i].token].n <= most) e[k++] = p->exit[i];
    p->exit = e;
    p->nexit = k;
    k = 0;
    for (uint32_t i = 0; i < p->nstop; i++)
        if (t->t.node[p->stop[i]].depth <= most) p->stop[k++] = p->stop[i];
    p->nstop = k;
}

/* a and how it is to be taken: as loose as it can be, if that makes a difference. */
static uint32_t loosest(struct masks *m, uint32_t a, enum rx_loose *how)
{
    uint32_t near = rx_loose(m->g->rx, a, RX_CLOSE);
    *how = RX_LOOSE;
    if (near == a) return a;
    uint32_t far = rx_loose(m->g->rx, a, RX_FAR);
    *how = near == far ? RX_FAR : RX_CLOSE;
    return near;
}

static struct part *part_of(struct job *j, uint32_t a, enum rx_loose how, int ends)
{
    static const unsigned most[] = {RX_LOOSE_FAR - RX_NEAR, RX_LOOSE_NEAR - RX_NEAR};
    struct masks *m = j->m;
    struct rx *x = m->g->rx;
    uint64_t key = (uint64_t)how << 62 | (uint64_t)ends << 61 | (uint64_t)j->start << 32 | a;
    uint32_t lo = 0, hi = 0;
    struct part *p = map_get(&m->part[j->kind], key);
    if (p) return p;
    if (!(p = masks_room(m, 1, sizeof *p))) return NULL;
    p->hi = UINT32_MAX;
    x->within = ends;
    x->beyond = 0;
    int chars = j->kind == PART_STRING && rx_is_chars(x, a, &lo, &hi);
    if (ends && !rx_near(x, a)) x->beyond = 1;
    if (!x->beyond) make(j, p, a, chars, lo, hi);
    x->within = 0;
    p->beyond = x->beyond;
    if (how < RX_LOOSE && !p->beyond) drop_big(j, p, most[how]);
    if (rx_failed(x)) grammar_fail(m->g, rx_failed(x), "the patterns need more memory than their limit");
    return m->g->failed || map_put(m, &m->part[j->kind], key, p) ? NULL : p;
}

/* ---- runs of characters ---- */

static int too_short(const struct toktrie *t, uint32_t token, uint32_t lo)
{
    if (!lo || t->bytes[token].p[t->bytes[token].n - 1] != '"' || t->chars[token] >= lo) return 0;
    for (uint32_t i = 0; i < t->ncloser; i++)
        if (t->closer[i] == token) return 1;
    return 0;
}

static int too_long(const struct toktrie *t, uint32_t token, uint32_t hi)
{
    uint32_t c = t->chars[token];
    return c > hi || (c == 255 && hi < 2 * TOKTRIE_TOKEN_MAX);
}

/* lo to hi of the characters that `all` is any number of: its part, counted. */
static void count_part(struct job *j, struct part *p, const struct part *all, uint32_t lo, uint32_t hi)
{
    const struct toktrie *t = j->t;
    uint32_t n = 0, *inner;
    *p = *all;
    p->lo = lo;
    p->hi = hi;
    if (!p->base) {
        if (!(inner = masks_room(j->m, p->ninner, sizeof *inner))) return;
        for (uint32_t i = 0; i < p->ninner; i++)
            if (!too_long(t, p->inner[i], hi) && !too_short(t, p->inner[i], lo)) inner[n++] = p->inner[i];
        p->inner = inner;
        p->ninner = n;
        return;
    }
    j->m->ntmp = 0;
    masks_tmp_n(j->m, p->cut, p->ncut);
    for (uint32_t i = 0; lo && i < t->ncloser; i++)
        if (t->chars[t->closer[i]] < lo && tokset_has(p->base, t->closer[i])) masks_tmp(j->m, t->closer[i]);
    if (hi <= TOKTRIE_CHARS) {
        uint64_t *set = masks_room(j->m, t->nword, sizeof *set);
        for (uint32_t i = 0; set && i < t->nword; i++) set[i] = p->base[i] & t->upto[(size_t)hi * t->nword + i];
        p->base = set;
    }
    for (uint32_t i = 0; hi > TOKTRIE_CHARS && i < t->nlonger; i++)
        if (too_long(t, t->longer[i], hi) && tokset_has(p->base, t->longer[i])) masks_tmp(j->m, t->longer[i]);
    if (p->base) take_cut(j, p);
}

static const struct part *run_part(struct job *j, uint32_t a, uint32_t one, uint32_t lo, uint32_t hi)
{
    struct masks *m = j->m;
    uint64_t key = (uint64_t)RX_LOOSE << 62 | a;
    struct part *p = map_get(&m->part[PART_STRING], key);
    if (p) return p;
    const struct part *all = part_of(j, rx_rep(m->g->rx, one, 0, RX_INF), RX_LOOSE, 0);
    if (!all || !(p = masks_room(m, 1, sizeof *p))) return NULL;
    count_part(j, p, all, lo, hi);
    return m->g->failed || map_put(m, &m->part[PART_STRING], key, p) ? NULL : p;
}

const struct part *mask_part(struct masks *m, enum part_kind kind, uint32_t node, uint32_t a, struct part *scratch)
{
    static const unsigned char special[] = "\n\t\r\001\"\\";
    uint32_t lo = 0, hi = 0;
    const struct tfree *f = kind == PART_STRING ? toktrie_free(m->t, node) : NULL;
    int chars = kind == PART_STRING && rx_is_chars(m->g->rx, a, &lo, &hi);
    *scratch = (struct part){.hi = UINT32_MAX};
    if (chars && hi != RX_INF && hi >= m->t->t.node[0].height) { /* no token is longer */
        hi = RX_INF;
        a = rx_rep(m->g->rx, RX_CHAR, lo, hi);
    }
    if (f && chars && lo == 0 && hi == RX_INF) {
        from_free(m->t, f, scratch);
        return scratch;
    }
    struct job j = {.m = m, .g = m->g, .t = m->t, .f = f, .kind = kind, .start = node};
    j.never = (uint64_t)1 << TOKTRIE_BROKEN;
    for (size_t i = 0; kind == PART_STRING && special[i]; i++) j.never |= (uint64_t)1 << toktrie_kind(special[i]);
    enum rx_loose how = RX_LOOSE;
    uint32_t one;
    if (node == 0 && f && !chars && rx_is_run(m->g->rx, a, &one, &lo, &hi) && (lo || hi != RX_INF))
        return run_part(&j, a, one, lo, hi);
    uint32_t loose = chars ? a : loosest(m, a, &how);
    const struct part *p = part_of(&j, loose, how, how < RX_LOOSE && m->g->rx->node[a].boolean);
    if (!p || !p->beyond) return p;
    j.exits = j.set = NULL;
    j.apart = 0;
    return part_of(&j, a, RX_LOOSE, 0);
}
