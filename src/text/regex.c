/* SPDX-License-Identifier: Apache-2.0
 *
 * text/regex.c: looking for matches: a backtracking matcher that never makes a choice twice.
 *
 * What can follow a choice depends on the choice and its place alone (there are no captures), so one that was tried in vain is marked, for this
 * start of a match and for all later ones, and the whole of a text costs at most its length times the choices of the expression. Marks lie in
 * pages that come when they are needed and go when the search has passed them. Within look-ahead success is marked as well: it has no end to tell.
 * Runs that are taken for good (possessive ones) remember where the last one lay.
 */
#include "text/regex_impl.h"

#include "base/utf8.h"
#include "text/split_char.h"

#define NOWHERE SIZE_MAX
enum { PAGE_BITS = 7, PAGE = 1 << PAGE_BITS };

struct frame {
    uint32_t pc, at, split;
    int tried; /* its second way is being tried */
};

struct regex_search {
    const struct regex *re;
    struct str s;
    struct frame *stack;
    size_t n, cap;
    uint64_t **
        page; /* words of marks for PAGE places each: nsplit bits of failure, then nsplit of success */
    size_t npage, cap_page, words, gone; /* pages below `gone` were passed */
    struct {
        size_t from, to;
    } * run;
    int failed;
};

static int part_has(const struct regex *re, const struct regex_set *e, uint32_t cp)
{
    struct unicode_class u = cp <= 0x10ffff ? unicode_of(cp) : (struct unicode_class){0, 0, 0};
    switch (e->kind) {
    case PART_ANY:
        for (uint32_t i = e->a; i; i = re->part[i].next)
            if (regex_has(re, i, cp)) return 1;
        return 0;
    case PART_ALL:
        for (uint32_t i = e->a; i; i = re->part[i].next)
            if (!regex_has(re, i, cp)) return 0;
        return 1;
    case PART_RANGE: return cp >= e->a && cp <= e->b;
    case PART_GC: return cp <= 0x10ffff && (e->a >> u.gc & 1);
    case PART_SPACE: return (u.flags & UC_SPACE) != 0;
    case PART_WORD: /* Latin-1's numbers are word characters to \w and \b, and not within brackets */
        if (e->b && (cp == 0xb2 || cp == 0xb3 || cp == 0xb9 || (cp >= 0xbc && cp <= 0xbe)))
            return 0;
        return (u.flags & UC_WORD) != 0;
    case PART_HAN: return split_is_han(cp);
    case PART_BERT: return (u.flags & UC_BERT_PUNCT) != 0;
    }
    return 0;
}

int regex_has(const struct regex *re, uint32_t part, uint32_t cp)
{
    return part_has(re, &re->part[part], cp) != re->part[part].negative;
}

/* The character at `at` (below n), its length in *k; a byte that is none is beyond all that are. */
static uint32_t char_at(struct str s, size_t at, size_t *k)
{
    uint32_t cp = UINT32_MAX;
    if (!(*k = utf8_decode(s.p + at, s.n - at, &cp))) return *k = 1, UINT32_MAX;
    return cp;
}

/* Bytes of the character at `at` when the set has it, else 0. */
static size_t taken(const struct regex_search *r, uint32_t set, size_t at)
{
    size_t k;
    if (at >= r->s.n) return 0;
    unsigned char c = (unsigned char)r->s.p[at];
    if (c < 0x80) return r->re->ascii[set][c >> 6] >> (c & 63) & 1;
    uint32_t cp = char_at(r->s, at, &k);
    return regex_has(r->re, set, cp) ? k : 0;
}

static size_t before(struct str s, size_t at)
{
    size_t i = at - 1, k;
    while (i > 0 && at - i < 4 && ((unsigned char)s.p[i] & 0xc0) == 0x80) i--;
    char_at(s, i, &k);
    return i + k == at ? i : at - 1;
}

static int is_word(struct str s, size_t at)
{
    size_t k;
    uint32_t cp = char_at(s, at, &k);
    return cp <= 0x10ffff && (unicode_of(cp).flags & UC_WORD) != 0;
}

static int holds(const struct regex_search *r, const struct regex_code *c, size_t at)
{
    struct str s = r->s;
    switch (c->op) {
    case RE_BEHIND: return (at > 0 && taken(r, c->set, before(s, at))) != c->negative;
    case RE_BEGIN: return at == 0;
    case RE_END: return at == s.n;
    case RE_END_LINE: return at == s.n || (at + 1 == s.n && s.p[at] == '\n');
    case RE_LINE_BEGIN: return at == 0 || (s.p[at - 1] == '\n' && at < s.n);
    case RE_LINE_END: return at == s.n || s.p[at] == '\n';
    default: break;
    }
    return ((at > 0 && is_word(s, before(s, at))) != (at < s.n && is_word(s, at))) != c->negative;
}

/* The end of a possessive run. One that begins within the last ends where that did. */
static size_t run_end(struct regex_search *r, const struct regex_code *c, size_t at)
{
    if (at >= r->run[c->a].from && at < r->run[c->a].to) return r->run[c->a].to;
    r->run[c->a].from = at;
    for (size_t k; (k = taken(r, c->set, at)); at += k) continue;
    return r->run[c->a].to = at;
}

/* ---- marks ------------------------------------------------------------------------------------------------------------------ */

/* The word of bit number `bit` at a place; NULL when out of memory. */
static uint64_t *mark(struct regex_search *r, size_t at, uint32_t bit)
{
    uint64_t **page = &r->page[at >> PAGE_BITS];
    if (!*page && !(*page = mem_zalloc(PAGE * r->words * sizeof **page))) {
        r->failed = LAR_ENOMEM;
        return NULL;
    }
    return *page + (at & (PAGE - 1)) * r->words + bit / 64;
}

static int is_marked(struct regex_search *r, size_t at, uint32_t bit)
{
    const uint64_t *w = mark(r, at, bit);
    return w && (*w >> bit % 64 & 1);
}

static void set_mark(struct regex_search *r, size_t at, uint32_t bit, int on)
{
    uint64_t *w = mark(r, at, bit), b = (uint64_t)1 << bit % 64;
    if (w) *w = on ? *w | b : *w & ~b;
}

static void push(struct regex_search *r, struct frame f)
{
    if (r->n == r->cap) {
        size_t cap = r->cap ? r->cap * 2 : 64, bytes;
        void *p = mul_size(cap, sizeof f, &bytes) ? NULL : mem_resize(r->stack, bytes);
        if (!p) {
            r->failed = LAR_ENOMEM;
            return;
        }
        r->stack = p;
        r->cap = cap;
    }
    r->stack[r->n++] = f;
}

/* ---- the matcher --------------------------------------------------------------------------------------------------------------- */

/* The choices on the way of a match: none of them failed. In look-ahead that they hold is worth knowing. */
static void keep_way(struct regex_search *r, size_t base, size_t end, int ahead)
{
    for (; r->n > base; r->n--) {
        const struct frame *f = &r->stack[r->n - 1];
        if (ahead) set_mark(r, f->at, f->split + r->re->nsplit, 1);
        if (ahead || f->at == end) set_mark(r, f->at, f->split, 0);
    }
}

/* Where what begins at pc ends, from `at` on; NOWHERE when it does not match. */
static size_t match(struct regex_search *r, uint32_t pc, size_t at, int ahead)
{
    const struct regex *re = r->re;
    size_t base = r->n, k;
    while (!r->failed) {
        const struct regex_code *c = &re->code[pc];
        int ok = 1, end = c->op == RE_MATCH;
        switch (c->op) {
        case RE_SET:
            ok = (k = taken(r, c->set, at)) > 0;
            at += k;
            pc++;
            break;
        case RE_MAYBE:
            at += taken(r, c->set, at);
            pc++;
            break;
        case RE_RUN:
            at = run_end(r, c, at);
            pc++;
            break;
        case RE_JUMP: pc = c->a; break;
        case RE_SPLIT:
            if (ahead && is_marked(r, at, c->set + re->nsplit))
                end = 1;
            else if ((ok = !is_marked(r, at, c->set))) {
                set_mark(r, at, c->set, 1);
                push(r, (struct frame){c->b, (uint32_t)at, c->set, 0});
                pc = c->a;
            }
            break;
        case RE_AHEAD:
            ok = (match(r, pc + 1, at, 1) != NOWHERE) != c->negative;
            pc = c->a;
            break;
        case RE_MATCH: break;
        default:
            ok = holds(r, c, at);
            pc++;
            break;
        }
        if (end) return keep_way(r, base, at, ahead), at;
        if (ok) continue;
        while (r->n > base && r->stack[r->n - 1].tried) r->n--;
        if (r->n == base) return NOWHERE;
        struct frame *f = &r->stack[r->n - 1];
        f->tried = 1;
        pc = f->pc;
        at = f->at;
    }
    return r->n = base, NOWHERE;
}

int regex_search_next(struct regex_search *r, size_t from, size_t *begin, size_t *end)
{
    for (size_t at = from, k; at <= r->s.n; at += k) {
        for (; r->gone < at >> PAGE_BITS; r->gone++) {
            mem_free(r->page[r->gone]);
            r->page[r->gone] = NULL;
        }
        *begin = at;
        *end = match(r, 0, at, 0);
        if (r->failed) return r->failed;
        if (*end != NOWHERE) return 1;
        k = 1;
        if (at < r->s.n) char_at(r->s, at, &k);
    }
    return 0;
}

/* ---- a text --------------------------------------------------------------------------------------------------------------------- */

struct regex_search *regex_search_open(const struct regex *re)
{
    struct regex_search *r = mem_zalloc(sizeof *r);
    if (!r) return NULL;
    r->re = re;
    r->words = (re->nsplit * (re->looks ? 2 : 1) + 63) / 64;
    if (!r->words) r->words = 1;
    r->run = mem_zalloc((re->nrun + 1) * sizeof *r->run);
    if (r->run) return r;
    regex_search_close(r);
    return NULL;
}

int regex_search_text(struct regex_search *r, struct str text)
{
    size_t npage = (text.n >> PAGE_BITS) + 1,
           first = (r->s.n + 1 < PAGE ? r->s.n + 1 : PAGE) * r->words;
    for (size_t i = 1; i < r->npage; i++) {
        mem_free(r->page[i]);
        r->page[i] = NULL;
    }
    if (r->npage && r->page[0]) memset(r->page[0], 0, first * sizeof **r->page);
    if (npage > r->cap_page) {
        uint64_t **p = mem_resize(r->page, npage * sizeof *p);
        if (!p) return LAR_ENOMEM;
        memset(p + r->cap_page, 0, (npage - r->cap_page) * sizeof *p);
        r->page = p;
        r->cap_page = npage;
    }
    for (uint32_t i = 0; i < r->re->nrun; i++) r->run[i].from = r->run[i].to = 0;
    r->s = text;
    r->npage = npage;
    r->n = r->gone = 0;
    r->failed = 0;
    return 0;
}

void regex_search_close(struct regex_search *r)
{
    if (!r) return;
    for (size_t i = 0; i < r->npage; i++) mem_free(r->page[i]);
    mem_free(r->page);
    mem_free(r->stack);
    mem_free(r->run);
    mem_free(r);
}
