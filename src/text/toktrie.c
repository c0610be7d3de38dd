/* SPDX-License-Identifier: Apache-2.0
 *
 * text/toktrie.c: building the tree, and one walk over it for each place where a string can begin.
 *
 * What is inside of a JSON string is decided by a small automaton of its own (RFC 8259, section 7; UTF-8 by RFC 3629): the same as
 * that of text/grammar_json.c for a string without demands, which tests/test_mask.c proves token by token. */
#include "text/toktrie.h"

#include "base/buf.h"
#include "base/sort.h"
#include "text/toktrie_shape.h"

/* ---- the tree ---- */

struct texts {
    const struct str *s;
};

static int by_bytes(const void *ctx, uint32_t a, uint32_t b)
{
    const struct texts *t = ctx;
    struct str x = t->s[a], y = t->s[b];
    int c = memcmp(x.p, y.p, x.n < y.n ? x.n : y.n);
    if (c == 0) c = x.n < y.n ? -1 : x.n > y.n;
    return c ? c : a < b ? -1 : a > b;
}

uint32_t trie_child(const struct trie *t, uint32_t n, unsigned b)
{
    uint32_t lo = t->node[n].child, hi = lo + t->node[n].nchild;
    if (hi - lo == 256) return lo + b;
    while (lo < hi) {
        uint32_t mid = (lo + hi) / 2;
        if (t->node[mid].byte < b)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < t->node[n].child + t->node[n].nchild && t->node[lo].byte == b ? lo : 0;
}

static int node_room(struct trie *t)
{
    if (t->nnode + 256 < t->cap) return 0;
    uint32_t cap = t->cap ? t->cap * 2 : 1024;
    struct tnode *v = mem_resize(t->node, cap * sizeof *v);
    if (!v) return -1;
    t->node = v;
    t->cap = cap;
    return 0;
}

/* The children of a node lie side by side, behind them what is below the first, and so on: a walk reads forward. Recursion is as deep as
 * the longest text. */
static int build_below(struct trie *t, const struct str *s, uint32_t p, size_t depth)
{
    if (node_room(t) < 0) return -1;
    struct tnode *node = &t->node[p];
    uint32_t i = node->lo, hi = node->hi, first = t->nnode;
    while (i < hi && s[t->order[i]].n == depth && node->own < UINT16_MAX) node->own++, i++;
    node->child = first;
    while (i < hi) {
        uint8_t b = (uint8_t)s[t->order[i]].p[depth];
        struct tnode c = {.lo = i, .byte = b, .depth = (uint16_t)(depth + 1)};
        while (i < hi && (uint8_t)s[t->order[i]].p[depth] == b) i++;
        c.hi = i;
        t->node[t->nnode++] = c;
    }
    uint16_t n = node->nchild = (uint16_t)(t->nnode - first);
    for (uint32_t c = first; c < first + n; c++)
        if (build_below(t, s, c, depth + 1) < 0) return -1;
    return 0;
}

/* ---- their order ---- */

struct head { /* a text's first bytes, as a number that sorts like them */
    uint64_t key;
    uint32_t id;
};

static uint64_t first_bytes(struct str s)
{
    uint64_t key = 0;
    for (size_t i = 0; i < 8; i++) key = key << 8 | (i < s.n ? (unsigned char)s.p[i] : 0);
    return key;
}

/* By their first eight bytes, the last of them first (radix sort: comparing took most of the time of a tree), then those that are alike. */
static int sort_texts(uint32_t *order, uint32_t n, const struct str *s)
{
    struct head *v = mem_alloc((2 * (size_t)n + 1) * sizeof *v), *from = v, *to = v + n;
    uint32_t(*count)[256] = mem_zalloc(8 * sizeof *count);
    int ok = v && count;
    for (uint32_t i = 0; ok && i < n; i++) {
        v[i] = (struct head){first_bytes(s[order[i]]), order[i]};
        for (unsigned k = 0; k < 8; k++) count[k][v[i].key >> 8 * k & 255]++;
    }
    for (unsigned k = 0; ok && k < 8; k++) {
        uint32_t at = 0;
        for (unsigned b = 0; b < 256; b++) {
            uint32_t c = count[k][b];
            count[k][b] = at;
            at += c;
        }
        for (uint32_t i = 0; i < n; i++) to[count[k][from[i].key >> 8 * k & 255]++] = from[i];
        struct head *other = from;
        from = to;
        to = other;
    }
    for (uint32_t i = 0, end; ok && i < n; i = end) {
        for (end = i; end < n && from[end].key == from[i].key; end++) order[end] = from[end].id;
        if (end - i > 1) sort_u32(order + i, end - i, by_bytes, &(struct texts){s});
    }
    mem_free(v);
    mem_free(count);
    return ok ? 0 : -1;
}

/* Texts with n = 0 and longer ones than TOKTRIE_TOKEN_MAX are left out. */
static int build(struct trie *t, const struct str *s, uint32_t n)
{
    *t = (struct trie){0};
    if (!(t->order = mem_alloc((n + 1) * sizeof *t->order)) || node_room(t) < 0) return -1;
    for (uint32_t i = 0; i < n; i++)
        if (s[i].n && s[i].n <= TOKTRIE_TOKEN_MAX) t->order[t->n++] = i;
    if (sort_texts(t->order, t->n, s) < 0) return -1;
    t->node[t->nnode++] = (struct tnode){.hi = t->n};
    return build_below(t, s, 0, 0);
}

static void trie_done(struct trie *t)
{
    mem_free(t->node);
    mem_free(t->order);
}

/* ---- inside of a string ---- */

enum {
    F_DEAD, F_OUT, F_CLOSED, F_SLASH,
    F_U1, F_U2, F_U3, F_E0, F_ED, F_F0, F_F4, /* so many continuation bytes are missing; the first of them bounded */
    F_X1, F_X2, F_X3, F_X4, F_D2,             /* hexadecimal digits to come; D2: after a D */
    F_HI3, F_HI4, F_LSLASH, F_LU, F_L1, F_L2, F_L3, F_L4 /* a high surrogate, then the low one */
};

static unsigned plain(unsigned b)
{
    if (b < 0x20 || b == 0xc0 || b == 0xc1 || (b >= 0x80 && b < 0xc0) || b > 0xf4) return F_DEAD;
    if (b < 0x80) return b == '"' ? F_CLOSED : b == '\\' ? F_SLASH : F_OUT;
    if (b < 0xe0) return F_U1;
    if (b < 0xf0) return b == 0xe0 ? F_E0 : b == 0xed ? F_ED : F_U2;
    return b == 0xf0 ? F_F0 : b == 0xf4 ? F_F4 : F_U3;
}

static unsigned within(unsigned b, unsigned lo, unsigned hi, unsigned next)
{
    return b >= lo && b <= hi ? next : F_DEAD;
}

static unsigned step(unsigned st, unsigned b)
{
    unsigned low = b | 32;
    int hex = (b >= '0' && b <= '9') || (low >= 'a' && low <= 'f');
    switch (st) {
    case F_OUT: return plain(b);
    case F_SLASH:
        if (b == 'u') return F_X1;
        return b && strchr("\"\\/bfnrt", (int)b) ? F_OUT : F_DEAD;
    case F_U1: return within(b, 0x80, 0xbf, F_OUT);
    case F_U2: return within(b, 0x80, 0xbf, F_U1);
    case F_U3: return within(b, 0x80, 0xbf, F_U2);
    case F_E0: return within(b, 0xa0, 0xbf, F_U1);
    case F_ED: return within(b, 0x80, 0x9f, F_U1);
    case F_F0: return within(b, 0x90, 0xbf, F_U2);
    case F_F4: return within(b, 0x80, 0x8f, F_U2);
    case F_X1: return !hex ? F_DEAD : low == 'd' ? F_D2 : F_X2;
    case F_D2: /* D8 to DB: a high one; DC to DF cannot come first */
        if (!hex) return F_DEAD;
        return b <= '7' ? F_X3 : b <= '9' || low <= 'b' ? F_HI3 : F_DEAD;
    case F_X2: return hex ? F_X3 : F_DEAD;
    case F_X3: return hex ? F_X4 : F_DEAD;
    case F_X4: return hex ? F_OUT : F_DEAD;
    case F_HI3: return hex ? F_HI4 : F_DEAD;
    case F_HI4: return hex ? F_LSLASH : F_DEAD;
    case F_LSLASH: return b == '\\' ? F_LU : F_DEAD;
    case F_LU: return b == 'u' ? F_L1 : F_DEAD;
    case F_L1: return low == 'd' ? F_L2 : F_DEAD;
    case F_L2: return low >= 'c' && low <= 'f' ? F_L3 : F_DEAD;
    case F_L3: return hex ? F_L4 : F_DEAD;
    case F_L4: return hex ? F_OUT : F_DEAD;
    default: return F_DEAD;
    }
}

/* Where the text s leaves a string: F_CLOSED with *at behind the quote, F_DEAD, or a state inside; *chars: characters begun. */
static unsigned run(struct str s, size_t *at, unsigned *chars)
{
    unsigned st = F_OUT, n = 0;
    for (size_t i = 0; i < s.n; i++) {
        unsigned next = step(st, (unsigned char)s.p[i]);
        if (st == F_OUT && next != F_CLOSED) n++;
        st = next;
        if (st == F_DEAD || st == F_CLOSED) {
            *at = i + 1;
            break;
        }
    }
    *chars = n;
    return st;
}

unsigned toktrie_kind(unsigned b)
{
    if (b < 0x20) return b == '\n' ? 1 : b == '\t' ? 2 : b == '\r' ? 3 : TOKTRIE_CONTROL;
    if (b < '0') return b - 0x20 + 4;
    if (b <= '9') return 20;
    if (b < 'A') return b - ':' + 21;
    if (b <= 'Z') return b <= 'F' ? 28 : 29;
    if (b < 'a') return b - '[' + 30;
    if (b <= 'z') return b <= 'f' ? 36 : 37;
    return b - '{' + 38;
}

unsigned toktrie_wide(unsigned b)
{
    switch (b) {
    case 0xc2: return 1;
    case 0xe1: return 2;
    case 0xe2: return 3;
    case 0xe3: return 4;
    case 0xef: return 5;
    default: return 0;
    }
}

/* What lies below each node. A child has a greater number than its parent. */
static int find_kinds(struct trie *t)
{
    uint8_t *place = mem_zalloc((size_t)t->nnode * 2); /* in a character: a state of step(); F_DEAD where it is none any more */
    if (!place) return -1;
    uint8_t *wide = place + t->nnode; /* the kind of that character */
    place[0] = F_OUT;
    for (uint32_t p = 0; p < t->nnode; p++)
        for (uint32_t c = t->node[p].child, n = 0; n < t->node[p].nchild; n++, c++) {
            unsigned b = t->node[c].byte;
            wide[c] = b >= 0xc0 ? (uint8_t)toktrie_wide(b) : wide[p];
            place[c] = (uint8_t)(b < 0x80 && place[p] == F_OUT ? F_OUT : b < 0x80 ? F_DEAD : step(place[p], b));
        }
    for (uint32_t p = t->nnode; p-- > 0;)
        for (uint32_t c = t->node[p].child, n = 0; n < t->node[p].nchild; n++, c++) {
            struct tnode *d = &t->node[p];
            unsigned b = t->node[c].byte, kind = b < 0x80 ? toktrie_kind(b) : TOKTRIE_WIDE + 0u + wide[c];
            if (place[c] == F_DEAD) kind = TOKTRIE_BROKEN;
            d->kinds |= t->node[c].kinds | (uint64_t)1 << kind;
            if (t->node[c].height >= d->height) d->height = t->node[c].height + 1;
        }
    mem_free(place);
    return 0;
}

struct exits {
    const struct texit *e;
};
static int by_tail(const void *ctx, uint32_t a, uint32_t b)
{
    const struct texit *e = ((const struct exits *)ctx)->e;
    if (e[a].tail != e[b].tail) return e[a].tail < e[b].tail ? -1 : 1;
    return e[a].token < e[b].token ? -1 : e[a].token > e[b].token;
}

/* The number of a tail: found in the tree of them. */
static uint32_t tail_number(const struct toktrie *t, struct str s)
{
    uint32_t n = 0;
    for (size_t i = 0; i < s.n; i++)
        if (!(n = trie_child(&t->tails, n, (unsigned char)s.p[i]))) return 0;
    return t->tails.node[n].own ? t->tails.order[t->tails.node[n].lo] : 0;
}

uint32_t toktrie_tail(const struct toktrie *t, uint32_t token, size_t skip)
{
    return tail_number(t, str_from(t->bytes[token], skip));
}

/* What free text allows of the tokens below node, whose texts begin `skip` bytes before. */
static int analyse(struct toktrie *t, struct tfree *f, uint32_t node, uint32_t skip, struct buf *odd)
{
    const struct tnode *d = &t->t.node[node];
    uint32_t n = d->hi - d->lo, *index = mem_alloc((n + 1) * sizeof *index);
    struct texit *e = mem_alloc((n + 1) * sizeof *e);
    uint32_t *inner = mem_alloc((n + 1) * sizeof *inner), *at_order = mem_alloc((n + 1) * sizeof *inner);
    uint32_t ni = 0, ne = 0;
    int ok = index && e && inner && at_order;
    for (uint32_t i = d->lo + d->own; ok && i < d->hi; i++) {
        uint32_t token = t->t.order[i];
        struct str s = str_from(t->bytes[token], skip);
        size_t at = 0;
        unsigned chars, st = run(s, &at, &chars);
        if (st == F_DEAD) continue;
        if (node == 0) t->chars[token] = (uint8_t)(chars < 255 ? chars : 255);
        if (odd && (st == F_CLOSED || memchr(s.p, '\\', s.n))) buf_add(odd, &i, sizeof i);
        if (st == F_CLOSED && at < s.n) {
            at_order[ne] = i;
            e[ne++] = (struct texit){tail_number(t, str_from(s, at)), token};
        } else
            inner[ni++] = token;
    }
    f->node = node;
    f->skip = skip;
    if (ok && ni + ne) {
        f->inner = arena_array(&t->a, ni + 1, sizeof *f->inner);
        f->exit = arena_array(&t->a, ne + 1, sizeof *f->exit);
        f->exit_of = arena_array(&t->a, ne + 1, sizeof *f->exit_of);
        ok = f->inner && f->exit && f->exit_of;
    }
    if (ok && ni + ne) {
        for (uint32_t i = 0; i < ne; i++) index[i] = i;
        sort_u32(index, ne, by_tail, &(struct exits){e});
        for (uint32_t i = 0; i < ne; i++) {
            f->exit[i] = e[index[i]];
            f->exit_of[index[i]] = (struct texit){i, at_order[index[i]]};
        }
        memcpy(f->inner, inner, ni * sizeof *inner);
        f->ninner = ni;
        f->nexit = ne;
    }
    mem_free(at_order);
    mem_free(index);
    mem_free(e);
    mem_free(inner);
    return ok ? 0 : -1;
}

/* ---- all of it ---- */

/* Of a token that is in the tree; else empty. */
static struct str text_of(const struct toktrie *t, uint32_t token)
{
    return t->bytes[token].n <= TOKTRIE_TOKEN_MAX ? t->bytes[token] : (struct str){0};
}

/* The distinct texts that stand behind a quote in some token: borrowed from the tokens. */
static int find_tails(struct toktrie *t)
{
    size_t n = 1, k = 1;
    for (uint32_t i = 0; i < t->nvocab; i++) { /* by number: their texts lie in that order */
        struct str s = text_of(t, i);
        for (size_t j = 0; j + 1 < s.n; j++) n += s.p[j] == '"';
    }
    struct str *all = mem_alloc(n * sizeof *all);
    uint32_t *index = mem_alloc(n * sizeof *index);
    int ok = all && index;
    if (ok) {
        all[0] = (struct str){"", 0};
        for (uint32_t i = 0; i < t->nvocab; i++) {
            struct str s = text_of(t, i);
            for (size_t j = 0; j + 1 < s.n; j++)
                if (s.p[j] == '"') all[k++] = str_from(s, j + 1);
        }
        for (uint32_t i = 0; i < n; i++) index[i] = i;
        sort_u32(index, n, by_bytes, &(struct texts){all});
        t->tail = arena_array(&t->a, n, sizeof *t->tail);
        ok = t->tail != NULL;
    }
    for (size_t i = 0; ok && i < n; i++)
        if (i == 0 || !str_eq(all[index[i]], all[index[i - 1]])) t->tail[t->ntail++] = all[index[i]];
    mem_free(all);
    mem_free(index);
    return ok ? build(&t->tails, t->tail, t->ntail) : -1;
}

/* The odd ones, by their places in the tree's order. */
static int take_odd(struct toktrie *t, struct buf *places)
{
    const struct tfree *f = t->free;
    struct str before = {0};
    size_t bytes = 0;
    t->nodd = (uint32_t)(places->n / sizeof(uint32_t));
    for (uint32_t i = 0, k = 0, at; i < t->nodd; i++) {
        memcpy(&at, places->p + i * sizeof at, sizeof at);
        if (!i && !(t->odd = arena_array(&t->a, t->nodd, sizeof *t->odd))) return -1;
        struct todd *o = &t->odd[i];
        struct str s = t->bytes[t->t.order[at]];
        size_t end = 0;
        unsigned chars;
        *o = (struct todd){.token = t->t.order[at], .text = (uint32_t)bytes, .n = (uint16_t)s.n};
        o->closes = run(s, &end, &chars) == F_CLOSED;
        if (k < f->nexit && f->exit_of[k].token == at) o->exit = f->exit_of[k++].tail + 1;
        while (o->common < s.n && o->common < before.n && s.p[o->common] == before.p[o->common]) o->common++;
        before = s;
        bytes += s.n;
    }
    if (!(t->odd_text = arena_alloc(&t->a, bytes + 1))) return -1;
    for (const struct todd *o = t->odd; o < t->odd + t->nodd; o++)
        memcpy(t->odd_text + o->text, t->bytes[o->token].p, o->n);
    return 0;
}

static int find_strings(struct toktrie *t)
{
    struct buf odd = {0};
    uint32_t n = 1;
    for (uint32_t i = 1; i < t->t.nnode; i++) n += t->t.node[i].byte == '"' && t->t.node[i].nchild;
    t->free = arena_array(&t->a, n, sizeof *t->free);
    int ok = t->free && analyse(t, &t->free[t->nfree++], 0, 0, &odd) == 0 && !odd.failed && take_odd(t, &odd) == 0;
    buf_done(&odd);
    for (uint32_t i = 1; ok && i < t->t.nnode; i++)
        if (t->t.node[i].byte == '"' && t->t.node[i].nchild)
            ok = analyse(t, &t->free[t->nfree++], i, t->t.node[i].depth, NULL) == 0;
    return ok ? 0 : -1;
}

/* The root's free text as sets, by the number of characters. */
static int find_inner(struct toktrie *t)
{
    const struct tfree *f = &t->free[0];
    t->inner = arena_array(&t->a, t->nword, 8);
    t->upto = arena_array(&t->a, (size_t)(TOKTRIE_CHARS + 1) * t->nword, 8);
    t->closer = arena_array(&t->a, f->ninner + 1, sizeof *t->closer);
    t->longer = arena_array(&t->a, f->ninner + 1, sizeof *t->longer);
    if (!t->inner || !t->upto || !t->closer || !t->longer) return -1;
    for (uint32_t i = 0; i < f->ninner; i++) {
        uint32_t k = f->inner[i], c = t->chars[k], at;
        struct str s = t->bytes[k];
        unsigned chars;
        size_t end = 0;
        tokset_add(t->inner, k);
        if (s.p[s.n - 1] == '"' && run(s, &end, &chars) == F_CLOSED) t->closer[t->ncloser++] = k;
        if (c > TOKTRIE_CHARS)
            t->longer[t->nlonger++] = k;
        else
            for (at = c; at <= TOKTRIE_CHARS; at++) tokset_add(t->upto + (size_t)at * t->nword, k);
    }
    return 0;
}

/* Whether it holds a line terminator, by what it spells: \n, \r, \u.... (whatever it is), or the bytes of U+2028 and U+2029. */
static int may_break(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '\\' && ++i < s.n && strchr("nru", s.p[i])) return 1;
        if (s.n - i > 2 && !memcmp(s.p + i, "\xe2\x80", 2) && ((unsigned char)s.p[i + 2] | 1) == 0xa9) return 1;
    }
    return 0;
}

static int find_lines(struct toktrie *t)
{
    const struct tfree *f = &t->free[0];
    if (!(t->line = arena_array(&t->a, f->ninner + f->nexit + 1, sizeof *t->line))) return -1;
    for (uint32_t i = 0; i < f->ninner; i++)
        if (may_break(t->bytes[f->inner[i]])) t->line[t->nline++] = f->inner[i];
    for (uint32_t i = 0; i < f->nexit; i++)
        if (may_break(t->bytes[f->exit[i].token])) t->line[t->nline++] = f->exit[i].token;
    return 0;
}

static int is_space(unsigned b) { return b == ' ' || b == '\n' || b == '\r' || b == '\t'; }

/* Breadth first: white space from the root on, and what follows it. */
static int find_space(struct toktrie *t)
{
    uint32_t most = 1, n = 0, ntok = 0, nafter = 0, *list;
    for (uint32_t i = 1; i < t->t.nnode; i++) most += is_space(t->t.node[i].byte) != 0;
    if (!(list = arena_array(&t->a, most, sizeof *list))) return -1;
    list[n++] = 0;
    for (uint32_t i = 0; i < n; i++) {
        const struct tnode *d = &t->t.node[list[i]];
        if (i) ntok += d->own;
        for (uint32_t c = d->child; c < d->child + d->nchild; c++) {
            if (is_space(t->t.node[c].byte))
                list[n++] = c;
            else
                t->after[t->t.node[c].byte + 1]++, nafter++;
        }
    }
    t->space = arena_array(&t->a, ntok + 1, sizeof *t->space);
    t->after_space = arena_array(&t->a, nafter + 1, sizeof *t->after_space);
    if (!t->space || !t->after_space) return -1;
    uint32_t at[256];
    for (unsigned b = 0; b < 256; b++) t->after[b + 1] += at[b] = t->after[b];
    for (uint32_t i = 0; i < n; i++) {
        const struct tnode *d = &t->t.node[list[i]];
        for (uint32_t k = 0; i && k < d->own; k++) t->space[t->nspace++] = t->t.order[d->lo + k];
        for (uint32_t c = d->child; c < d->child + d->nchild; c++)
            if (!is_space(t->t.node[c].byte)) t->after_space[at[t->t.node[c].byte]++] = c;
    }
    return 0;
}

static int find_digits(struct toktrie *t)
{
    uint32_t n = 0;
    for (int pass = 0; pass < 2; pass++) {
        for (uint32_t i = 0; i < t->nvocab; i++) {
            struct str s = text_of(t, i);
            size_t k = 0;
            while (k < s.n && ((s.p[k] >= '0' && s.p[k] <= '9') || s.p[k] == '.')) k++;
            if (k < s.n || !s.n) continue;
            if (pass) t->digit[t->ndigit++] = i;
            n += !pass;
        }
        if (!pass && !(t->digit = arena_array(&t->a, n + 1, sizeof *t->digit))) return -1;
    }
    return 0;
}

static int by_length(const void *ctx, uint32_t a, uint32_t b)
{
    const struct str *s = ((const struct texts *)ctx)->s;
    return s[a].n != s[b].n ? (s[a].n > s[b].n ? -1 : 1) : a < b ? -1 : a > b;
}

static int find_big(struct toktrie *t)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < t->nvocab; i++) n += text_of(t, i).n > TOKTRIE_BIG;
    if (!(t->big = arena_array(&t->a, n + 1, sizeof *t->big))) return -1;
    for (uint32_t i = 0; i < t->nvocab; i++)
        if (text_of(t, i).n > TOKTRIE_BIG) t->big[t->nbig++] = i;
    sort_u32(t->big, n, by_length, &(struct texts){t->bytes});
    return 0;
}

int toktrie_open(struct toktrie **out, const struct str *bytes, uint32_t n, struct lar_err *err)
{
    struct toktrie *t = mem_zalloc(sizeof *t);
    *out = NULL;
    if (!t) return lar_fail(err, LAR_ENOMEM, "out of memory");
    arena_init(&t->a, 0);
    t->nvocab = n;
    t->nword = (n + 63) / 64;
    t->bytes = bytes;
    if (!(t->chars = arena_array(&t->a, n + 1, 1)) || build(&t->t, bytes, n) < 0 || find_kinds(&t->t) < 0 ||
        shapes_make(&t->shapes, &t->t) < 0 || find_tails(t) < 0 || find_strings(t) < 0 ||
        find_inner(t) < 0 || find_lines(t) < 0 || find_space(t) < 0 || find_digits(t) < 0 || find_big(t) < 0) {
        toktrie_close(t);
        return lar_fail(err, LAR_ENOMEM, "out of memory for the tree of %u tokens", n);
    }
    *out = t;
    return 0;
}

void toktrie_close(struct toktrie *t)
{
    if (!t) return;
    trie_done(&t->t);
    shapes_done(&t->shapes);
    trie_done(&t->tails);
    arena_done(&t->a);
    mem_free(t);
}

const struct tfree *toktrie_free(const struct toktrie *t, uint32_t node)
{
    uint32_t lo = 0, hi = t->nfree;
    while (lo < hi) {
        uint32_t mid = (lo + hi) / 2;
        if (t->free[mid].node < node)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < t->nfree && t->free[lo].node == node ? &t->free[lo] : NULL;
}
