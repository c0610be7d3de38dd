/* SPDX-License-Identifier: Apache-2.0
 *
 * text/template_str.c: the strings of a rendering: UTF-8, counted and indexed by characters as
 * Python does. Parts share their whole's bytes. Everything is linear in the length of the text;
 * nothing here raises errors about content.
 */
#include "base/utf8.h"
#include "text/template_char.h"
#include "text/template_val.h"

static struct val made(struct tpl_run *r, int kind, struct tpl_str s)
{
    struct tpl_str *p = tpl_alloc(r, sizeof *p);
    if (!p) return tpl_failed();
    *p = s;
    return (struct val){.kind = (uint8_t)kind, .u.s = p};
}

struct val tpl_str_view(struct tpl_run *r, struct str s)
{
    return made(r, TPL_STR, (struct tpl_str){.p = s.p, .n = s.n, .chars = TPL_UNKNOWN});
}

struct val tpl_str_z(struct tpl_run *r, const char *z) { return tpl_str_view(r, str_of(z)); }

struct val tpl_str_bytes(struct tpl_run *r, struct str s)
{
    return made(r, TPL_BYTES, (struct tpl_str){.p = s.p, .n = s.n, .chars = s.n});
}

struct val tpl_str_new(struct tpl_run *r, struct str s)
{
    struct tpl_str *p = tpl_alloc(r, s.n > SIZE_MAX - sizeof *p ? SIZE_MAX : sizeof *p + s.n);
    if (!p) return tpl_failed();
    char *w = (char *)(p + 1);
    if (s.n) memcpy(w, s.p, s.n);
    *p = (struct tpl_str){.p = w, .n = s.n, .chars = TPL_UNKNOWN};
    return (struct val){.kind = TPL_STR, .u.s = p};
}

void tpl_str_freeze(struct val v)
{
    tpl_str_chars(v.u.s);
    v.u.s->at_char = TPL_UNKNOWN;
}

struct val tpl_str_concat(struct tpl_run *r, struct val a, struct val b)
{
    const struct tpl_str *x = a.u.s, *y = b.u.s;
    struct tpl_room *room = x->room;
    size_t n, cap;
    if (!y->n) return a;
    if (!x->n) return b;
    if (tpl_step_bytes(r, y->n)) return tpl_failed();
    if (add_size(x->n, y->n, &n) || add_size(n, n / 2 + 32, &cap))
        return tpl_alloc(r, SIZE_MAX), tpl_failed();
    if (!room || x->p + x->n != room->base + room->used || room->cap - room->used < y->n) {
        room = tpl_alloc(r, sizeof *room + cap);
        if (!room || tpl_step_bytes(r, x->n)) return tpl_failed();
        *room = (struct tpl_room){(char *)(room + 1), x->n, cap};
        memcpy(room->base, x->p, x->n);
    }
    char *end = room->base + room->used;
    memcpy(end, y->p, y->n);
    room->used += y->n;
    size_t chars =
        x->chars == TPL_UNKNOWN || y->chars == TPL_UNKNOWN ? TPL_UNKNOWN : x->chars + y->chars;
    return made(r, a.kind, (struct tpl_str){.p = end - x->n, .n = n, .chars = chars, .room = room});
}

/* ---- characters ---- */

static size_t count(const char *p, size_t n)
{
    size_t k = 0;
    for (size_t i = 0; i < n; i++) k += ((unsigned char)p[i] & 0xc0) != 0x80;
    return k;
}

size_t tpl_str_chars(struct tpl_str *s)
{
    if (s->chars == TPL_UNKNOWN) s->chars = count(s->p, s->n);
    return s->chars;
}

size_t tpl_str_byte(struct tpl_str *s, size_t ch)
{
    size_t chars = tpl_str_chars(s), at = 0, i = 0;
    if (ch >= chars) return s->n;
    if (chars == s->n) return ch;
    if (s->at_char != TPL_UNKNOWN) at = s->at_char, i = s->at_p;
    if (ch < at / 2) at = i = 0;
    for (; at < ch; at++) do
            i++;
        while (i < s->n && ((unsigned char)s->p[i] & 0xc0) == 0x80);
    for (; at > ch; at--) do
            i--;
        while (i && ((unsigned char)s->p[i] & 0xc0) == 0x80);
    if (s->at_char != TPL_UNKNOWN) s->at_char = at, s->at_p = i;
    return i;
}

/* How many bytes, about, tpl_str_byte will walk. */
static size_t way(const struct tpl_str *s, size_t ch)
{
    if (s->chars == TPL_UNKNOWN) return s->n;
    if (s->chars == s->n) return 0;
    if (s->at_char == TPL_UNKNOWN) return ch;
    return ch >= s->at_char ? ch - s->at_char : ch < s->at_char / 2 ? ch : s->at_char - ch;
}

struct val tpl_str_cut(struct tpl_run *r, struct val s, struct str part)
{
    if (part.n == s.u.s->n) return s;
    struct val v =
        made(r, s.kind, (struct tpl_str){.p = part.p, .n = part.n, .chars = TPL_UNKNOWN});
    if (!tpl_bad(v)) {
        if (s.u.s->chars == s.u.s->n) v.u.s->chars = part.n; /* ASCII, or bytes */
        v.markup = s.markup;
    }
    return v;
}

struct val tpl_str_char(struct tpl_run *r, struct val s, size_t ch)
{
    uint32_t cp;
    if (tpl_step_bytes(r, way(s.u.s, ch))) return tpl_failed();
    size_t i = tpl_str_byte(s.u.s, ch), k = 1;
    if (s.kind == TPL_BYTES) return tpl_int((unsigned char)s.u.s->p[i]);
    k = utf8_decode(s.u.s->p + i, s.u.s->n - i, &cp);
    return tpl_str_cut(r, s, (struct str){s.u.s->p + i, k});
}

struct val tpl_str_slice(struct tpl_run *r, struct val s, int64_t start, int64_t step, size_t n)
{
    struct tpl_str *x = s.u.s;
    if (tpl_step_bytes(r, x->chars == x->n ? 0 : x->n)) return tpl_failed();
    if (step == 1 || n == 0) {
        size_t from = n ? tpl_str_byte(x, (size_t)start) : 0,
               to = n ? tpl_str_byte(x, (size_t)start + n) : 0;
        return tpl_str_cut(r, s, (struct str){x->p + from, to - from});
    }
    size_t begin = tpl_begin(r);
    for (size_t i = 0; i < n; i++) {
        size_t at = tpl_str_byte(x, (size_t)(start + (int64_t)i * step)), k = 1;
        while (s.kind == TPL_STR && at + k < x->n && ((unsigned char)x->p[at + k] & 0xc0) == 0x80)
            k++;
        buf_add(&r->work, x->p + at, k);
        if (tpl_step(r, 1)) return tpl_failed();
    }
    struct val v = tpl_end(r, begin);
    if (!tpl_bad(v)) v.kind = s.kind, v.markup = s.markup;
    if (v.kind == TPL_BYTES) v.u.s->chars = v.u.s->n;
    return v;
}

struct val tpl_str_repeat(struct tpl_run *r, struct val s, int64_t times)
{
    size_t n;
    if (times == 1 || !s.u.s->n) return s;
    if (times <= 0) return tpl_str_cut(r, s, (struct str){s.u.s->p, 0});
    if (mul_size(s.u.s->n, (size_t)times, &n)) n = SIZE_MAX;
    char *w = tpl_alloc(r, n);
    if (!w || tpl_step_bytes(r, n)) return tpl_failed();
    for (size_t i = 0; i < n; i += s.u.s->n) memcpy(w + i, s.u.s->p, s.u.s->n);
    struct tpl_str x = {.p = w, .n = n, .chars = TPL_UNKNOWN};
    if (s.u.s->chars != TPL_UNKNOWN) x.chars = s.u.s->chars * (size_t)times;
    struct val v = made(r, s.kind, x);
    v.markup = s.markup;
    return v;
}

/* ---- search ---- */

int64_t tpl_str_find(struct str s, struct str needle)
{
    size_t m = needle.n;
    if (!m) return 0;
    if (m == 1) {
        const char *q = s.n ? memchr(s.p, needle.p[0], s.n) : NULL;
        return q ? q - s.p : -1;
    }
    /* in windows that grow: what stands near is found without memmem having seen all of a long text */
    for (size_t at = 0, window = 256; at < s.n && m <= s.n - at; at += window, window *= 2) {
        size_t n = s.n - at < window + m - 1 ? s.n - at : window + m - 1;
        const char *q = memmem(s.p + at, n, needle.p, m);
        if (q) return q - s.p;
    }
    return -1;
}

/* Knuth, Morris and Pratt from the right; short needles the plain way. */
int64_t tpl_str_rfind(struct tpl_run *r, struct str s, struct str needle)
{
    size_t m = needle.n;
    if (!m) return (int64_t)s.n;
    if (m > s.n) return -1;
    if (m <= 16) {
        for (size_t i = s.n - m + 1; i--;)
            if (s.p[i] == needle.p[0] && !memcmp(s.p + i, needle.p, m)) return (int64_t)i;
        return -1;
    }
    size_t *back = tpl_array(r, m + 1, sizeof *back), k = 0;
    if (!back || tpl_step_bytes(r, s.n + m)) return -2;
    for (size_t i = 1; i < m; i++) {
        while (k && needle.p[m - 1 - i] != needle.p[m - 1 - k]) k = back[k];
        k += needle.p[m - 1 - i] == needle.p[m - 1 - k];
        back[i + 1] = k;
    }
    k = 0;
    for (size_t i = s.n; i--;) {
        while (k && s.p[i] != needle.p[m - 1 - k]) k = back[k];
        k += s.p[i] == needle.p[m - 1 - k];
        if (k == m) return (int64_t)i;
    }
    return -1;
}

struct val tpl_str_replace(struct tpl_run *r, struct val s, struct str old, struct str new,
                           int64_t max)
{
    struct str x = tpl_view(s);
    size_t begin = tpl_begin(r), at = 0;
    if (max == 0 || tpl_step_bytes(r, x.n)) return r->failed ? tpl_failed() : s;
    if (old.n && tpl_str_find(x, old) < 0) return s;
    for (; max < 0 || max > 0; max -= max > 0) {
        int64_t f = tpl_str_find(str_from(x, at), old);
        if (tpl_step_bytes(r, new.n)) return tpl_failed();
        if (f < 0) break;
        buf_add(&r->work, x.p + at, (size_t)f);
        buf_str(&r->work, new);
        at += (size_t)f + old.n;
        if (old.n) continue;
        if (at >= x.n) break; /* an empty `old` stands before each character and at the end */
        size_t k = 1;
        while (s.kind == TPL_STR && at + k < x.n && ((unsigned char)x.p[at + k] & 0xc0) == 0x80)
            k++;
        buf_add(&r->work, x.p + at, k);
        at += k;
    }
    buf_str(&r->work, str_from(x, at));
    return tpl_end(r, begin);
}

size_t tpl_str_line(struct str s, size_t at, size_t *next)
{
    for (size_t i = at; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        uint32_t cp;
        size_t k = 0;
        if ((c >= 10 && c <= 13) || (c >= 0x1c && c <= 0x1e))
            k = 1;
        else if (c >= 0xc2 && (k = utf8_decode(s.p + i, s.n - i, &cp)) && cp != 0x85 &&
                 cp != 0x2028 && cp != 0x2029)
            k = 0;
        if (!k) continue;
        *next = i + k + (c == '\r' && i + 1 < s.n && s.p[i + 1] == '\n');
        return i;
    }
    *next = s.n;
    return s.n;
}

/* ---- strip ---- */

static int stripped(struct str one, uint32_t cp, const struct str *chars)
{
    if (!chars) return tpl_char_is(cp, TPL_SPACE);
    return tpl_str_find(*chars, one) >= 0; /* whole characters: UTF-8 cannot match inside one */
}

struct str tpl_str_strip(struct str s, const struct str *chars, int left, int right)
{
    uint32_t cp;
    while (left && s.n) {
        size_t k = utf8_decode(s.p, s.n, &cp);
        if (!k || !stripped((struct str){s.p, k}, cp, chars)) break;
        s.p += k;
        s.n -= k;
    }
    while (right && s.n) {
        size_t k = 1;
        while (k < s.n && k < 4 && ((unsigned char)s.p[s.n - k] & 0xc0) == 0x80) k++;
        if (utf8_decode(s.p + s.n - k, k, &cp) != k ||
            !stripped((struct str){s.p + s.n - k, k}, cp, chars))
            break;
        s.n -= k;
    }
    return s;
}

/* ---- upper and lower case ---- */

void tpl_str_put(struct buf *b, uint32_t cp)
{
    char c[4];
    buf_add(b, c, utf8_encode(cp, c));
}

/* Whether the capital sigma at `at` ends a word: a cased letter before it and none after, looking
 * past marks. */
static int final_sigma(struct str s, size_t at)
{
    uint32_t cp;
    size_t i = at;
    unsigned f = 0;
    while (i) {
        do i--;
        while (i && ((unsigned char)s.p[i] & 0xc0) == 0x80);
        utf8_decode(s.p + i, s.n - i, &cp);
        f = tpl_char_flags(cp);
        if (!(f & TPL_IGNORABLE)) break;
        f = 0;
    }
    if (!(f & TPL_CASED)) return 0;
    for (i = at + 2; i < s.n;) {
        i += utf8_decode(s.p + i, s.n - i, &cp);
        f = tpl_char_flags(cp);
        if (!(f & TPL_IGNORABLE)) return !(f & TPL_CASED);
    }
    return 1;
}

void tpl_str_case_to(struct buf *b, struct str s, enum tpl_case how)
{
    int cased = 0, first = 1;
    for (size_t i = 0; i < s.n;) {
        uint32_t cp, to[3];
        size_t k = utf8_decode(s.p + i, s.n - i, &cp);
        if (!k) k = 1, cp = (unsigned char)s.p[i];
        unsigned f = tpl_char_flags(cp);
        int m = how;
        if (how == TPL_TITLE) m = cased ? TPL_LOWER : TPL_TITLE;
        if (how == TPL_CAPITAL) m = first ? TPL_TITLE : TPL_LOWER;
        if (how == TPL_SWAP)
            m = f & TPL_CHAR_UPPER ? TPL_LOWER : f & TPL_CHAR_LOWER ? TPL_UPPER : -1;
        size_t n = m < 0 ? (to[0] = cp, (size_t)1) : tpl_char_map(cp, m, to);
        if (m == TPL_LOWER && cp == 0x3a3) to[0] = final_sigma(s, i) ? 0x3c2 : 0x3c3;
        for (size_t j = 0; j < n; j++) tpl_str_put(b, to[j]);
        cased = (f & TPL_CASED) != 0;
        first = 0;
        i += k;
    }
}

struct val tpl_str_case(struct tpl_run *r, struct val s, enum tpl_case how)
{
    size_t begin = tpl_begin(r);
    if (tpl_step_bytes(r, s.u.s->n * 4)) return tpl_failed();
    tpl_str_case_to(&r->work, tpl_view(s), how);
    struct val v = tpl_end(r, begin);
    v.markup = s.markup;
    return v;
}

/* ---- HTML ---- */

void tpl_str_escape_to(struct buf *b, struct str s)
{
    size_t from = 0;
    for (size_t i = 0; i < s.n; i++) {
        const char *e = s.p[i] == '&'    ? "&amp;"
                        : s.p[i] == '<'  ? "&lt;"
                        : s.p[i] == '>'  ? "&gt;"
                        : s.p[i] == '"'  ? "&#34;"
                        : s.p[i] == '\'' ? "&#39;"
                                         : NULL;
        if (!e) continue;
        buf_add(b, s.p + from, i - from);
        buf_puts(b, e);
        from = i + 1;
    }
    buf_add(b, s.p + from, s.n - from);
}

struct val tpl_str_escape(struct tpl_run *r, struct val v)
{
    if (tpl_is_str(v) && v.markup) return v;
    v = tpl_repr_str(r, v);
    if (tpl_bad(v)) return v;
    size_t begin = tpl_begin(r);
    tpl_str_escape_to(&r->work, tpl_view(v));
    v = tpl_end(r, begin);
    v.markup = 1;
    return v;
}
