/* SPDX-License-Identifier: Apache-2.0
 *
 * text/unicode.c: case and normal forms (Unicode standard, chapter 3.11; Hangul by its arithmetic, 3.12).
 *
 * Text is cut into segments that normalise alone: a starter that nothing before it can change or join, with all that follows up
 * to the next such. A segment of one such starter, which is nearly all text, is copied; any other is decomposed, its marks
 * sorted by class, and for NFC composed again. Marks are sorted by counting, so a megabyte of them on one letter is linear.
 */
#include "text/unicode.h"

#include <string.h>

#include "base/mem.h"
#include "base/utf8.h"

enum { S_BASE = 0xac00, L_BASE = 0x1100, V_BASE = 0x1161, T_BASE = 0x11a7, L_N = 19, V_N = 21, T_N = 28 };
#define CP_MASK ((uint64_t)0x1fffff)

uint32_t unicode_lower(uint32_t cp, uint32_t *more)
{
    *more = 0;
    if (cp < 0x80) return cp - 'A' < 26 ? cp + 32 : cp;
    if (cp == 0x130) return *more = 0x307, 'i';
    int lo = 0, hi = unicode_nlower;
    while (lo < hi) { /* the first run that ends at cp or after it */
        int m = (lo + hi) / 2;
        if (unicode_lower_runs[m].last < cp) lo = m + 1;
        else hi = m;
    }
    if (lo == unicode_nlower) return cp;
    const struct unicode_run *r = &unicode_lower_runs[lo];
    if (cp < r->first || (cp - r->first) % r->step) return cp;
    return (uint32_t)((int32_t)cp + r->distance);
}

/* The place of cp in the table of decompositions, which has it. */
static uint64_t decomposition(uint32_t cp)
{
    int lo = 0, hi = unicode_ndecomp;
    while (lo < hi) {
        int m = (lo + hi) / 2;
        if (unicode_decomp[m] >> 42 < cp) lo = m + 1;
        else hi = m;
    }
    return unicode_decomp[lo];
}

static uint32_t composition(uint32_t a, uint32_t b)
{
    if (a - L_BASE < L_N && b - V_BASE < V_N) return S_BASE + ((a - L_BASE) * V_N + b - V_BASE) * T_N;
    if (a - S_BASE < L_N * V_N * T_N && (a - S_BASE) % T_N == 0 && b - T_BASE - 1 < T_N - 1)
        return a + b - T_BASE;
    uint64_t want = (uint64_t)a << 21 | b, mask = CP_MASK << 21 | CP_MASK;
    int lo = 0, hi = unicode_ncomp;
    while (lo < hi) {
        int m = (lo + hi) / 2;
        if ((unicode_decomp[unicode_comp[m]] & mask) < want) lo = m + 1;
        else hi = m;
    }
    if (lo == unicode_ncomp) return 0;
    uint64_t e = unicode_decomp[unicode_comp[lo]];
    return (e & mask) == want ? (uint32_t)(e >> 42) : 0;
}

/* ---- one segment ------------------------------------------------------------------------------------------------- */

struct segment {
    uint32_t *cp;
    size_t n, cap;
    uint32_t few[64]; /* enough for all but hostile text */
    int failed;
};

static void push(struct segment *g, uint32_t cp)
{
    if (g->n == g->cap) {
        uint32_t *p = g->cp == g->few ? mem_alloc(g->cap * 8) : mem_resize(g->cp, g->cap * 8);
        if (!p) {
            g->failed = 1;
            return;
        }
        if (g->cp == g->few) memcpy(p, g->few, g->n * 4);
        g->cp = p;
        g->cap *= 2;
    }
    g->cp[g->n++] = cp;
}

/* The full decomposition: no canonical mapping is deeper than four steps. */
static void push_decomposed(struct segment *g, uint32_t cp, int depth)
{
    uint32_t s = cp - S_BASE;
    if (s < L_N * V_N * T_N) {
        push(g, L_BASE + s / (V_N * T_N));
        push(g, V_BASE + s % (V_N * T_N) / T_N);
        if (s % T_N) push(g, T_BASE + s % T_N);
    } else if (depth < 8 && (unicode_of(cp).flags & UC_DECOMPOSES)) {
        uint64_t d = decomposition(cp);
        push_decomposed(g, (uint32_t)(d >> 21 & CP_MASK), depth + 1);
        if (d & CP_MASK) push_decomposed(g, (uint32_t)(d & CP_MASK), depth + 1);
    } else {
        push(g, cp);
    }
}

/* Sorts a run of marks by combining class, equal ones in their order. */
static void sort_marks(struct segment *g, uint32_t *p, size_t n)
{
    if (n < 32) {
        for (size_t i = 1; i < n; i++) {
            uint32_t c = p[i];
            size_t j = i;
            for (; j > 0 && unicode_of(p[j - 1]).ccc > unicode_of(c).ccc; j--) p[j] = p[j - 1];
            p[j] = c;
        }
        return;
    }
    size_t count[257] = {0};
    uint32_t *copy = mem_alloc(n * 4);
    if (!copy) {
        g->failed = 1;
        return;
    }
    memcpy(copy, p, n * 4);
    for (size_t i = 0; i < n; i++) count[unicode_of(copy[i]).ccc + 1]++;
    for (int c = 0; c < 256; c++) count[c + 1] += count[c];
    for (size_t i = 0; i < n; i++) p[count[unicode_of(copy[i]).ccc]++] = copy[i];
    mem_free(copy);
}

static void compose(struct segment *g)
{
    size_t starter = 0, out = 1;
    int before = -1; /* class of the last mark kept since the starter; -1: none */
    if (unicode_of(g->cp[0]).ccc) starter = g->n; /* marks at the very beginning join nothing */
    for (size_t i = 1; i < g->n; i++) {
        uint32_t c = g->cp[i], joined = 0;
        int ccc = unicode_of(c).ccc;
        if (starter < g->n && before < ccc) joined = composition(g->cp[starter], c);
        if (joined) {
            g->cp[starter] = joined;
            continue;
        }
        if (ccc == 0) {
            starter = out;
            before = -1;
        } else {
            before = ccc;
        }
        g->cp[out++] = c;
    }
    if (g->n) g->n = out;
}

/* s is one segment of valid UTF-8. */
static void normalise_segment(struct segment *g, struct str s, int composed, struct buf *out)
{
    g->n = 0;
    for (size_t i = 0; i < s.n;) {
        uint32_t cp;
        i += utf8_decode(s.p + i, s.n - i, &cp);
        push_decomposed(g, cp, 0);
    }
    for (size_t i = 0; i < g->n && !g->failed;) {
        size_t j = i;
        while (j < g->n && unicode_of(g->cp[j]).ccc) j++;
        if (j - i > 1) sort_marks(g, g->cp + i, j - i);
        i = j + 1;
    }
    if (composed && g->n && !g->failed) compose(g);
    for (size_t i = 0; i < g->n; i++) {
        char c[4];
        buf_add(out, c, utf8_encode(g->cp[i], c));
    }
}

/* ---- whole texts ---------------------------------------------------------------------------------------------------- */

/* A character that neither form changes when it stands alone, and that joins nothing before it. */
static int is_stable(uint32_t cp, int composed)
{
    struct unicode_class c = unicode_of(cp);
    if (c.ccc || (c.flags & UC_UNSTABLE)) return 0;
    return composed || (!(c.flags & UC_DECOMPOSES) && cp - S_BASE >= L_N * V_N * T_N);
}

static void normalise(struct str s, int composed, struct buf *out)
{
    struct segment g = {.cap = 64};
    g.cp = g.few;
    size_t done = 0, start = 0; /* copied so far; where the current segment begins */
    int dirty = 0;              /* it holds something unstable */
    for (size_t i = 0; i <= s.n;) {
        uint32_t cp = 0;
        if (!dirty && i + 1 < s.n && (unsigned char)s.p[i] < 0x80 && (unsigned char)s.p[i + 1] < 0x80) {
            start = ++i;
            continue;
        }
        size_t k = i < s.n ? utf8_decode(s.p + i, s.n - i, &cp) : 0;
        if (k && !is_stable(cp, composed)) {
            dirty = 1;
            i += k;
            continue;
        }
        if (dirty) {
            buf_add(out, s.p + done, start - done);
            normalise_segment(&g, (struct str){s.p + start, i - start}, composed, out);
            done = i;
            dirty = 0;
        }
        start = k ? i : i + 1;
        i += k ? k : 1;
    }
    buf_add(out, s.p + done, s.n - done);
    if (g.failed) out->failed = 1;
    if (g.cp != g.few) mem_free(g.cp);
}

void unicode_nfc(struct str s, struct buf *out)
{
    normalise(s, 1, out);
}

void unicode_nfd(struct str s, struct buf *out)
{
    normalise(s, 0, out);
}

/* What compatibility makes of cp, as UTF-8 in room or in the table; n = 0: nothing. */
static struct str compat_of(uint32_t cp, char room[4])
{
    int lo = 0, hi = unicode_ncompat;
    while (lo < hi) {
        int m = (lo + hi) / 2;
        if (unicode_compat[m] >> 8 < cp) lo = m + 1;
        else hi = m;
    }
    if (lo < unicode_ncompat && unicode_compat[lo] >> 8 == cp)
        return (struct str){(const char *)unicode_compat_text + unicode_compat_at[lo], unicode_compat[lo] & 255};
    for (lo = 0, hi = unicode_ncompat_runs; lo < hi;) { /* the last run that begins at cp or before it */
        int m = (lo + hi) / 2;
        if ((unicode_compat_runs[m].run & CP_MASK) <= cp) lo = m + 1;
        else hi = m;
    }
    for (; lo-- > 0 && hi - lo <= 2;) { /* or the one before that: two may interleave */
        const struct unicode_near *r = &unicode_compat_runs[lo];
        uint32_t at = cp - (uint32_t)(r->run & CP_MASK);
        if (at <= r->run >> 22 && !(at & r->run >> 21 & 1))
            return (struct str){room, utf8_encode((uint32_t)((int32_t)cp + r->distance), room)};
    }
    return STR("");
}

void unicode_compat_of(struct str s, struct buf *out)
{
    size_t done = 0;
    for (size_t i = 0, k; i < s.n; i += k) {
        uint32_t cp;
        char room[4];
        k = (unsigned char)s.p[i] < 0xc2 ? 1 : utf8_decode(s.p + i, s.n - i, &cp); /* nothing below U+0080 changes */
        if (!k) k = 1;
        if (k == 1) continue;
        struct str t = compat_of(cp, room);
        if (!t.n) continue;
        buf_add(out, s.p + done, i - done);
        buf_str(out, t);
        done = i + k;
    }
    buf_add(out, s.p + done, s.n - done);
}

int unicode_is_nfc(struct str s)
{
    unsigned before = 0;
    for (size_t i = 0; i < s.n;) {
        unsigned char u = (unsigned char)s.p[i];
        uint32_t cp;
        if (u < 0xcc) { /* ASCII and all below U+0300; no lead byte */
            before = 0;
            i++;
            continue;
        }
        size_t k = utf8_decode(s.p + i, s.n - i, &cp);
        if (!k) {
            before = 0;
            i++;
            continue;
        }
        struct unicode_class c = unicode_of(cp);
        if ((c.flags & UC_UNSTABLE) || (c.ccc && c.ccc < before)) return 0;
        before = c.ccc;
        i += k;
    }
    return 1;
}
