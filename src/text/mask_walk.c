/* SPDX-License-Identifier: Apache-2.0
 *
 * text/mask_walk.c: the tree of tokens walked with an expression: what it allows as a list, or what it does not allow.
 *
 * Whole parts of the tree are decided at once. Where an expression does the same with most bytes (letters of a name, any character of a text
 * with a bound on its length), the kinds of bytes below a node and the length of its longest text tell whether everything below is allowed;
 * and a walk takes the tree in which letters are alike (toktrie_shape.h) as long as they are to the expression. */
#include "text/mask_impl.h"
#include "text/rx_impl.h"
#include "text/toktrie_shape.h"

enum { FEW = 4 };
#define UNLIKE UINT32_MAX       /* reach.to: not the same for all of the sign */
#define NOT_KNOWN (UINT32_MAX - 1)

int masks_xtmp(struct masks *m, uint32_t tail, uint32_t token)
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
    return a != RX_EMPTY && ((g->rx->node[a].alive == 1 && !g->rx->within) || rx_alive(g->rx, a));
}

/* ---- what most bytes do ---- */

/* Where every character of a kind beyond ASCII leads (RFC 3629, section 4), or UNLIKE. */
static uint32_t wide_lead(struct rx *p, uint32_t a, unsigned kind)
{
    static const struct run {
        unsigned char lead, end, lo, hi, more; /* of the first byte, of the second if it is bounded, how many behind that */
    } plain[] = {{0xc3, 0xdf, 0, 0, 1},       {0xe0, 0xe0, 0xa0, 0xbf, 1}, {0xe4, 0xec, 0, 0, 2},
                 {0xed, 0xed, 0x80, 0x9f, 1}, {0xee, 0xee, 0, 0, 2},       {0xf0, 0xf0, 0x90, 0xbf, 2},
                 {0xf1, 0xf3, 0, 0, 3},       {0xf4, 0xf4, 0x80, 0x8f, 2}},
      odd[] = {{0xc2, 0xc2, 0, 0, 1}, {0xe1, 0xe1, 0, 0, 2}, {0xe2, 0xe2, 0, 0, 2}, {0xe3, 0xe3, 0, 0, 2},
               {0xef, 0xef, 0, 0, 2}};
    const struct run *v = kind ? &odd[kind - 1] : plain;
    size_t n = kind ? 1 : sizeof plain / sizeof *plain, dead = 0, leads = 0;
    uint32_t to = RX_EMPTY;
    for (size_t i = 0; i < n; i++)
        for (unsigned b = v[i].lead; b <= v[i].end; b++, leads++) dead += rx_row(p, a)[b] == RX_EMPTY;
    if (dead) return dead == leads ? RX_EMPTY : UNLIKE;
    for (size_t i = 0; i < n; i++) {
        uint32_t next = rx_row(p, a)[v[i].lead];
        if (v[i].lo ? !rx_all_lead(p, next, v[i].lo, v[i].hi, v[i].more, &to)
                    : !rx_all_lead(p, a, v[i].lead, v[i].end, v[i].more, &to))
            return UNLIKE;
    }
    return to;
}

static uint32_t same(const uint32_t *row, unsigned lo, unsigned hi)
{
    for (unsigned b = lo + 1; b <= hi; b++)
        if (row[b] != row[lo]) return UNLIKE;
    return row[lo];
}

static struct reach *reach(struct job *j, uint32_t a)
{
    struct reach *r = map_get(&j->m->reach, a);
    if (r || !(r = masks_room(j->m, 1, sizeof *r))) return r;
    const uint32_t *row = rx_row(j->g->rx, a);
    uint64_t differ = 0;
    int votes = 0;
    for (unsigned b = 0x20; b < 0x7f; b++) {
        if (row[b] == RX_EMPTY) continue;
        if (!votes) r->next = row[b];
        votes += row[b] == r->next ? 1 : -1;
    }
    for (unsigned b = 0; b < 0x80; b++)
        if (row[b] != r->next) differ |= (uint64_t)1 << toktrie_kind(b);
    r->small = same(row, 'a', 'z');
    r->capital = same(row, 'A', 'Z');
    r->digit = same(row, '0', '9');
    for (unsigned k = 0; k < TOKTRIE_WIDES; k++) r->wide[k] = NOT_KNOWN;
    if (r->next != RX_EMPTY && live(j->g, r->next)) r->kinds = ~differ & (((uint64_t)1 << TOKTRIE_WIDE) - 1);
    return map_put(j->m, &j->m->reach, a, r) ? NULL : r;
}

static uint32_t wide_to(struct job *j, struct reach *r, uint32_t a, unsigned kind)
{
    if (r->wide[kind] == NOT_KNOWN) r->wide[kind] = wide_lead(j->g->rx, a, kind);
    return r->wide[kind];
}

/* Whether all texts of these kinds of bytes, so long at most, can follow where a is left. */
static int all_follow(struct job *j, uint64_t kinds, unsigned height, uint32_t a)
{
    const uint64_t ascii = ((uint64_t)1 << TOKTRIE_WIDE) - 1;
    uint32_t one, lo, hi;
    if (kinds & j->never) return 0;
    struct reach *r = reach(j, a);
    if (!j->g->rx->within && rx_is_run(j->g->rx, a, &one, &lo, &hi)) { /* what it does now it does as often as it counts */
        if (height > hi) return 0;
        if (height) height = 1;
    }
    for (unsigned h = height; h; h--) {
        if (!r || !r->kinds || kinds & ~r->kinds & ascii) return 0;
        for (unsigned k = 0; kinds > ascii && k < TOKTRIE_WIDES; k++)
            if (kinds >> (TOKTRIE_WIDE + k) & 1 && wide_to(j, r, a, k) != r->next) return 0;
        if (r->next == a) return 1;
        a = r->next;
        if (j->g->rx->within && !live(j->g, a)) return 0;
        if (h > 1 && !r->then) r->then = reach(j, a);
        r = r->then;
    }
    return 1;
}

static int all_below(struct job *j, uint32_t n, uint32_t a)
{
    return all_follow(j, j->t->t.node[n].kinds, j->t->t.node[n].height, a);
}

/* Adds tokens to what a list has found. */
static void keep(struct job *j, const uint32_t *v, uint32_t n)
{
    if (!j->set && j->m->ntmp + n >= j->t->nword / 4) {
        if (!(j->set = masks_room(j->m, j->t->nword, sizeof *j->set))) return;
        for (size_t i = 0; i < j->m->ntmp; i++) tokset_add(j->set, j->m->tmp[i]);
    }
    if (j->set)
        for (uint32_t i = 0; i < n; i++) tokset_add(j->set, v[i]);
    else
        masks_tmp_n(j->m, v, n);
}

static void keep_own(struct job *j, uint32_t n)
{
    keep(j, j->t->t.order + j->t->t.node[n].lo, j->t->t.node[n].own);
}

/* Where the sign of a child leads from a, whose reach is r: as a number, or UNLIKE. */
static uint32_t sign_to(struct job *j, struct reach *r, uint32_t a, unsigned sign)
{
    if (sign >= SHAPE_WIDE) return wide_to(j, r, a, (sign - SHAPE_WIDE) % TOKTRIE_WIDES);
    switch (sign) {
    case 'a': return r->small;
    case 'A': return r->capital;
    case '0': return r->digit;
    default: return rx_row(j->g->rx, a)[sign];
    }
}

/* The state behind the byte at which node n's text breaks a character, that character's bytes before it included: mostly none. */
static uint32_t broken_to(struct job *j, uint32_t n, uint32_t a)
{
    const struct tnode *d = &j->t->t.node[n];
    const unsigned char *s = (const unsigned char *)j->t->bytes[j->t->t.order[d->lo]].p;
    uint32_t at = d->depth - 1u, from = at, more = 0;
    while (from && at - from < 3 && s[from - 1] >= 0x80 && s[from - 1] < 0xc0) from--;
    unsigned lead = from ? s[from - 1] : 0;
    if (lead >= 0xc2 && lead <= 0xf4) more = lead < 0xe0 ? 1 : lead < 0xf0 ? 2 : 3;
    from = at - from < more ? from - 1 : at;
    for (; from <= at && a != RX_EMPTY; from++) a = rx_step(j->g->rx, a, s[from]);
    return a;
}

/* ---- a list ---- */

static void list_shape(struct job *j, uint32_t x, uint32_t a);

static void list_child(struct job *j, uint32_t c, uint32_t a)
{
    const struct tnode *d = &j->t->t.node[c];
    if (!live(j->g, a)) return;
    if (d->hi - d->lo > FEW && d->nchild && all_below(j, c, a)) {
        keep(j, j->t->t.order + d->lo, d->hi - d->lo);
        return;
    }
    keep_own(j, c);
    if (d->nchild) mask_list(j, c, a);
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
static void list_quote(struct job *j, uint32_t c)
{
    const struct tnode *d = &j->t->t.node[c];
    uint32_t k = j->f ? exit_at(j->f, d->lo + d->own) : 0;
    keep_own(j, c);
    for (uint32_t i = d->lo + d->own; i < d->hi; i++) {
        if (j->f && k < j->f->nexit && j->f->exit_of[k].token == i)
            tokset_add(j->exits, j->f->exit_of[k++].tail);
        else
            masks_xtmp(j->m, toktrie_tail(j->t, j->t->t.order[i], d->depth), j->t->t.order[i]);
    }
}

static const char short_of[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";

/* What an escape may be where a is left: 1 a short form, 2 a control character that has none. Others are not offered as \\u. */
static int escapes(struct job *j, uint32_t a)
{
    struct rx *p = j->g->rx;
    int any = 0;
    for (size_t i = 0; meant[i] && !any; i++) any = live(j->g, rx_step(p, a, (unsigned char)meant[i]));
    for (unsigned b = 0; b < 0x20 && any < 2; b++)
        if (!memchr(meant, (int)b, 8) && live(j->g, rx_step(p, a, b))) any |= 2;
    return any;
}

/* Below a backslash. */
static void list_escape(struct job *j, uint32_t c, uint32_t a)
{
    const struct trie *t = &j->t->t;
    int may = escapes(j, a);
    for (size_t i = 0; short_of[i]; i++) {
        uint32_t k = trie_child(t, c, (unsigned char)short_of[i]);
        if (k) list_child(j, k, rx_step(j->g->rx, a, (unsigned char)meant[i]));
    }
    if (may) keep_own(j, c);
    uint32_t u = may & 2 ? trie_child(t, c, 'u') : 0;
    if (!u) return;
    for (uint32_t i = t->node[u].lo; i < t->node[u].hi; i++) {
        struct str s = str_from(j->t->bytes[t->order[i]], t->node[c].depth - 1u);
        if (json_string_can(j->g, a, s)) keep(j, &t->order[i], 1);
    }
}

/* One child of a node of the tree of bytes. */
static void list_byte(struct job *j, uint32_t c, uint32_t a)
{
    unsigned b = j->t->t.node[c].byte;
    if (j->apart && (b == '"' || b == '\\')) return;
    if (j->kind == PART_STRING && b == '"') {
        if (rx_nullable(j->g->rx, a)) list_quote(j, c);
    } else if (j->kind == PART_STRING && b == '\\')
        list_escape(j, c, a);
    else if (b >= 0x20 || j->kind == PART_TEXT)
        list_child(j, c, rx_row(j->g->rx, a)[b]);
}

void mask_list(struct job *j, uint32_t n, uint32_t a)
{
    const struct tnode *d = &j->t->t.node[n];
    uint32_t x = shapes_root(&j->t->shapes, &j->t->t, n);
    if (x != UINT32_MAX) {
        list_shape(j, x, a);
        return;
    }
    if (j->kind == PART_TEXT && rx_nullable(j->g->rx, a) && n != j->start && d->nchild) masks_xtmp(j->m, 0, n);
    for (uint32_t c = d->child; c < d->child + d->nchild && !j->g->failed; c++) list_byte(j, c, a);
}

/* A child of a node of shapes, from where a is left. */
static void list_sign(struct job *j, uint32_t c, struct reach *r, uint32_t a)
{
    const struct shapes *s = &j->t->shapes;
    const struct shape *d = &s->node[c];
    const struct shape_more *e = &s->more[c];
    int text = j->kind == PART_TEXT;
    if (d->sign == SHAPE_BROKEN) {
        for (uint32_t i = 0; i < e->n && !j->g->failed; i++) {
            uint32_t n = s->list[e->from + i];
            list_child(j, n, broken_to(j, n, a));
        }
        return;
    }
    uint32_t to = d->sign < 0x20 && !text ? RX_EMPTY : sign_to(j, r, a, d->sign);
    if (d->sign >= SHAPE_WIDE && (d->sign >= SHAPE_LEAD) != (to == UNLIKE)) return; /* the other way is taken */
    if (j->apart && d->behind) return;
    if (to == UNLIKE || (!text && (d->sign == '"' || d->sign == '\\'))) {
        for (uint32_t i = 0; i < e->n && !j->g->failed; i++) list_byte(j, s->list[e->from + i], a);
        return;
    }
    if (!live(j->g, to)) return;
    if (d->nchild && all_follow(j, j->apart ? d->plain : d->kinds, d->height, to)) {
        keep(j, s->order + d->lo, d->hi - d->lo);
        if (text) keep(j, s->order + e->odd, e->odd_hi - e->odd);
        return;
    }
    keep(j, s->order + d->lo, e->own);
    if (text) keep(j, s->order + e->odd, e->odd_own);
    if (d->nchild) list_shape(j, c, to);
}

static void list_shape(struct job *j, uint32_t x, uint32_t a)
{
    const struct shapes *s = &j->t->shapes;
    const struct shape *d = &s->node[x];
    struct reach *r = reach(j, a);
    if (!r) return;
    if (j->kind == PART_TEXT && rx_nullable(j->g->rx, a))
        for (uint32_t i = 0; i < s->more[x].n; i++) {
            uint32_t n = s->list[s->more[x].from + i];
            if (n != j->start && j->t->t.node[n].nchild) masks_xtmp(j->m, 0, n);
        }
    for (uint32_t c = d->child; c < d->child + d->nchild && !j->g->failed; c++) list_sign(j, c, r, a);
}

/* ---- all but some ---- */

/* Takes tokens out of what a string can hold. */
static void cut(struct job *j, const uint32_t *v, uint32_t n)
{
    for (uint32_t i = 0; i < n && !j->set; i++) {
        if (!tokset_has(j->t->inner, v[i])) continue;
        masks_tmp(j->m, v[i]);
        if (j->m->ntmp <= MASK_CUT_MAX) continue;
        if (!(j->set = masks_room(j->m, j->t->nword, sizeof *j->set))) return;
        memcpy(j->set, j->t->inner, j->t->nword * sizeof *j->set);
        for (size_t k = 0; k < j->m->ntmp; k++) j->set[j->m->tmp[k] >> 6] &= ~((uint64_t)1 << (j->m->tmp[k] & 63));
    }
    for (uint32_t i = 0; i < n && j->set; i++) j->set[v[i] >> 6] &= ~((uint64_t)1 << (v[i] & 63));
}

static void cut_below(struct job *j, uint32_t c)
{
    const struct tnode *d = &j->t->t.node[c];
    cut(j, j->t->t.order + d->lo, d->hi - d->lo);
}

static void cut_shape(struct job *j, uint32_t x, uint32_t a);

static void cut_child(struct job *j, uint32_t c, uint32_t a)
{
    if (!live(j->g, a))
        cut_below(j, c);
    else if (j->t->t.node[c].nchild && !all_below(j, c, a))
        mask_cut(j, c, a);
}

static void cut_byte(struct job *j, uint32_t c, uint32_t a)
{
    unsigned b = j->t->t.node[c].byte;
    if (b >= 0x20 && b != '"' && b != '\\') /* the others are in no string, or odd */
        cut_child(j, c, rx_row(j->g->rx, a)[b]);
}

/* What is broken is in no string. */
static void cut_sign(struct job *j, uint32_t c, struct reach *r, uint32_t a)
{
    const struct shapes *s = &j->t->shapes;
    const struct shape *d = &s->node[c];
    if (d->sign < 0x20 || d->sign == SHAPE_BROKEN || d->behind) return;
    uint32_t to = sign_to(j, r, a, d->sign);
    if (d->sign >= SHAPE_WIDE && (d->sign >= SHAPE_LEAD) != (to == UNLIKE)) return;
    if (to == UNLIKE)
        for (uint32_t i = 0; i < s->more[c].n && !j->g->failed; i++) cut_byte(j, s->list[s->more[c].from + i], a);
    else if (!live(j->g, to))
        cut(j, s->order + d->lo, d->hi - d->lo);
    else if (d->nchild && !all_follow(j, d->plain, d->height, to))
        cut_shape(j, c, to);
}

static void cut_shape(struct job *j, uint32_t x, uint32_t a)
{
    const struct shapes *s = &j->t->shapes;
    const struct shape *d = &s->node[x];
    struct reach *r = reach(j, a);
    for (uint32_t c = d->child; r && c < d->child + d->nchild && !j->g->failed; c++) cut_sign(j, c, r, a);
}

void mask_cut(struct job *j, uint32_t n, uint32_t a)
{
    const struct tnode *d = &j->t->t.node[n];
    uint32_t x = shapes_root(&j->t->shapes, &j->t->t, n);
    if (x != UINT32_MAX)
        cut_shape(j, x, a);
    else
        for (uint32_t c = d->child; c < d->child + d->nchild && !j->g->failed; c++) cut_byte(j, c, a);
}

/* ---- odd tokens ---- */

/* Where the text of the token looked at last leads, byte by byte: what the next has in common with it is not read again. */
struct trail {
    uint32_t n;                         /* bytes read */
    uint32_t at[TOKTRIE_TOKEN_MAX + 1]; /* before each of them; RX_EMPTY: nowhere */
    int64_t asked;                      /* state for which `may` is known */
    int may;
};
#define WITHIN UINT32_MAX /* trail.at: behind a backslash */

/* What is behind the backslash at s.p[i]: 1 and the state in at[i + 2], or 0: s ends within it, and *can says whether it may. */
static int odd_escape(struct job *j, struct trail *r, struct str s, uint32_t i, int *can)
{
    uint32_t a = r->at[i];
    const char *k = i + 1 < s.n && s.p[i + 1] ? strchr(short_of, s.p[i + 1]) : NULL;
    r->at[i + 1] = WITHIN;
    if (k) {
        r->at[i + 2] = rx_step(j->g->rx, a, (unsigned char)meant[k - short_of]);
        return 1;
    }
    if (r->asked != a) r->may = escapes(j, a), r->asked = a;
    *can = i + 1 == s.n ? r->may != 0 : (r->may & 2) && json_string_can(j->g, a, str_from(s, i));
    return 0;
}

/* Whether a string with at[0] left can go on with the token's text, or close within it. */
static int odd_can(struct job *j, struct trail *r, const struct todd *o, int closing)
{
    struct str s = {j->t->odd_text + o->text, o->n};
    uint32_t i = r->n < o->common ? r->n : o->common;
    int can = 0;
    while (i && r->at[i] == WITHIN) i--;
    for (; i < s.n && s.p[i] != '"' && r->at[i] != RX_EMPTY; i++) {
        if (s.p[i] != '\\')
            r->at[i + 1] = rx_step(j->g->rx, r->at[i], (unsigned char)s.p[i]);
        else if (closing && (i + 1 == s.n || s.p[i + 1] == 'u'))
            break;
        else if (odd_escape(j, r, s, i, &can))
            i++;
        else
            break;
    }
    r->n = i;
    if (r->at[i] == RX_EMPTY) return 0;
    if (i == s.n) return live(j->g, r->at[i]);
    return s.p[i] == '"' ? rx_nullable(j->g->rx, r->at[i]) : can;
}

void mask_odd(struct job *j, uint32_t a, enum odd how)
{
    const struct toktrie *t = j->t;
    struct trail r = {.asked = -1};
    r.at[0] = a;
    for (uint32_t i = 0; i < t->nodd && !j->g->failed; i++) {
        const struct todd *o = &t->odd[i];
        uint32_t token = o->token;
        if (r.n > o->common) r.n = o->common;
        if (how == ODD_EXITS && !o->closes) continue;
        int can = odd_can(j, &r, o, how == ODD_EXITS);
        if (o->exit)
            j->exits[(o->exit - 1) >> 6] |= (uint64_t)can << ((o->exit - 1) & 63);
        else if (how == ODD_EXITS ? !can : how == ODD_CUT && !can)
            how == ODD_CUT ? cut(j, &token, 1) : (void)masks_tmp(j->m, token);
        else if (how == ODD_LIST && can)
            keep(j, &token, 1);
    }
}
