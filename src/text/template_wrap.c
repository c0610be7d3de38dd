/* SPDX-License-Identifier: Apache-2.0
 *
 * text/template_wrap.c: the wordwrap filter: each line of a text to lines of a width, as Python's
 * textwrap does with tabs and white space kept. A line is cut into chunks first: runs of white
 * space, words, parts of words up to a hyphen, dashes.
 */
#include "base/utf8.h"
#include "text/template_char.h"
#include "text/template_val.h"

struct chunk {
    struct str s;
    size_t chars;
};

struct wrap {
    struct tpl_run *r;
    const struct tpl_wrap_style *st;
    struct chunk *c; /* of one line */
    size_t n, cap;
};

static int is_blank(char c) { return c == ' ' || (c >= 9 && c <= 13); }

static size_t count(struct str s)
{
    size_t k = 0;
    for (size_t i = 0; i < s.n; i++) k += ((unsigned char)s.p[i] & 0xc0) != 0x80;
    return k;
}

/* The character at i, 0 outside. */
static uint32_t at(struct str s, size_t i, size_t *k)
{
    uint32_t cp = 0;
    *k = i < s.n ? utf8_decode(s.p + i, s.n - i, &cp) : 0;
    return *k ? cp : 0;
}

/* The character that ends before i, 0 at the beginning; *i goes to where it begins. */
static uint32_t before(struct str s, size_t *i)
{
    size_t k;
    if (!*i) return 0;
    do --*i;
    while (*i && ((unsigned char)s.p[*i] & 0xc0) == 0x80);
    return at(s, *i, &k);
}

static int is_word(uint32_t cp) { return cp && (cp == '_' || tpl_char_is(cp, TPL_ALNUM)); }
static int is_letter(uint32_t cp) { return is_word(cp) && !tpl_char_is(cp, TPL_DECIMAL); }
static int is_word_or_mark(uint32_t cp)
{
    return is_word(cp) || (cp && cp < 128 && strchr("!\"'&.,?", (int)cp));
}

/* Two or more dashes from i with a word after them: their end, else 0. */
static size_t dashes(struct str s, size_t i)
{
    size_t e = i, k;
    while (e < s.n && s.p[e] == '-') e++;
    return e - i >= 2 && is_word(at(s, e, &k)) ? e : 0;
}

/* The hyphen at i may end a part: letters before it (ab-, a-b-) and after it (a, a-b). */
static int hyphen(struct str s, size_t i)
{
    size_t p = i, k, n = i + 1;
    if (!is_letter(before(s, &p))) return 0;
    uint32_t c = before(s, &p);
    if (c == '-') c = before(s, &p);
    if (!is_letter(c)) return 0;
    if (!is_letter(at(s, n, &k))) return 0;
    n += k;
    c = at(s, n, &k);
    if (c == '-') n += k, c = at(s, n, &k);
    return is_letter(c);
}

/* The end of the chunk that begins at i. */
static size_t chunk_end(struct str s, size_t i, int hyphens)
{
    size_t e = i, p = i, k;
    if (is_blank(s.p[i])) {
        while (e < s.n && is_blank(s.p[e])) e++;
        return e;
    }
    if (hyphens && is_word_or_mark(before(s, &p)) && (e = dashes(s, i))) return e;
    for (e = i; e < s.n && !is_blank(s.p[e]);) {
        if (hyphens && s.p[e] == '-' && e > i && hyphen(s, e)) return e + 1;
        at(s, e, &k);
        e += k ? k : 1;
        p = e;
        if (hyphens && is_word_or_mark(before(s, &p)) && dashes(s, e)) return e;
    }
    return e;
}

static int cut(struct wrap *w, struct str s)
{
    w->n = 0;
    for (size_t i = 0; i < s.n;) {
        size_t e = chunk_end(s, i, w->st->break_hyphens);
        if (w->n == w->cap) {
            size_t cap = w->cap ? w->cap * 2 : 64;
            struct chunk *c = tpl_array(w->r, cap, sizeof *c);
            if (!c) return -1;
            if (w->n) memcpy(c, w->c, w->n * sizeof *c);
            w->c = c;
            w->cap = cap;
        }
        struct str part = {s.p + i, e - i};
        w->c[w->n++] = (struct chunk){part, count(part)};
        i = e;
        if (tpl_step(w->r, 1)) return -1;
    }
    return 0;
}

/* The first n characters of a chunk, in bytes. */
static size_t bytes(const struct chunk *c, size_t n)
{
    size_t i = 0, k;
    for (; n && i < c->s.n; n--) {
        at(c->s, i, &k);
        i += k ? k : 1;
    }
    return i;
}

/* A word longer than a line: as much of it as fits, or up to its last hyphen that does. */
static struct chunk break_word(struct wrap *w, struct chunk *c, size_t room)
{
    size_t n = bytes(c, room), i = n;
    if (w->st->break_hyphens) {
        while (i && c->s.p[i - 1] != '-') i--;
        size_t other = 0;
        while (other + 1 < i && c->s.p[other] == '-') other++;
        if (i > 1 && other + 1 < i) n = i;
    }
    struct chunk part = {{c->s.p, n}, 0};
    part.chars = count(part.s);
    c->s = str_from(c->s, n);
    c->chars -= part.chars;
    return part;
}

static int is_space(const struct chunk *c) { return tpl_str_strip(c->s, NULL, 1, 0).n == 0; }

/* One line of the text; *lines counts those written in all, for what stands between. */
static int line(struct wrap *w, struct str s, size_t *lines)
{
    struct tpl_run *r = w->r;
    size_t i = 0, width = w->st->width, mine = 0;
    if (cut(w, s)) return -1;
    while (i < w->n) {
        size_t from, to, used = 0, begin = tpl_begin(r);
        struct chunk part = {{NULL, 0}, 0};
        if (mine && is_space(&w->c[i])) i++;
        for (from = i; i < w->n && used + w->c[i].chars <= width; i++) used += w->c[i].chars;
        to = i;
        if (i < w->n && w->c[i].chars > width) {
            if (w->st->break_words)
                part = break_word(w, &w->c[i], width - used);
            else if (from == to)
                to = ++i;
        }
        int whole = part.s.p && part.s.n; /* then the last piece is no white space */
        if (!whole && to > from && is_space(&w->c[to - 1])) to--;
        if (tpl_step(r, 1 + to - from)) return -1;
        if (to == from && !whole) continue;
        if ((*lines)++) buf_str(&r->work, w->st->newline);
        for (size_t k = from; k < to; k++) buf_str(&r->work, w->c[k].s);
        buf_str(&r->work, part.s);
        mine++;
        if (tpl_step_bytes(r, r->work.n - begin)) return -1;
    }
    return 0;
}

struct val tpl_wrap(struct tpl_run *r, struct str s, const struct tpl_wrap_style *st)
{
    struct wrap w = {.r = r, .st = st};
    size_t begin = tpl_begin(r), paragraphs = 0;
    if (st->width == 0 && s.n) return tpl_type_error(r, "invalid width (must be > 0)");
    for (size_t i = 0, next; i < s.n; i = next) {
        size_t end = tpl_str_line(s, i, &next), lines = 0;
        if (paragraphs++) buf_str(&r->work, st->newline);
        if (line(&w, (struct str){s.p + i, end - i}, &lines)) return tpl_failed();
    }
    return tpl_end(r, begin);
}
