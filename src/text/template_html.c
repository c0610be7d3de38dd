/* SPDX-License-Identifier: Apache-2.0
 *
 * text/template_html.c: markupsafe's striptags: comments and tags away, white space to single
 * blanks, entities to characters. (Entities: all numbers, and the 253 names of HTML 4; HTML 5 has
 * two thousand more, which stay as they are.)
 */
#include "text/template_char.h"
#include "text/template_val.h"

/* How much of rest belongs to what `open` opened, up to and with its close, of which the open
 * itself may hold the beginning ("<!-->"). SIZE_MAX: it is never closed. */
static size_t closed(struct str rest, struct str open, struct str close)
{
    for (size_t back = close.n - 1; back > 0; back--)
        if (back < open.n && !memcmp(open.p + open.n - back, close.p, back) &&
            str_starts(rest, str_from(close, back)))
            return close.n - back;
    int64_t end = tpl_str_find(rest, close);
    return end < 0 ? SIZE_MAX : (size_t)end + close.n;
}

/* s without each `open` to the `close` that follows it, written to w. A removal can bring two
 * halves of an open together; that one counts, too. The first that is never closed ends the search.
 */
static struct str without(char *w, struct str s, struct str open, struct str close)
{
    size_t n = 0;
    for (size_t i = 0; i < s.n;) {
        w[n++] = s.p[i++];
        if (n < open.n || memcmp(w + n - open.n, open.p, open.n)) continue;
        size_t k = closed(str_from(s, i), open, close);
        if (k == SIZE_MAX) {
            memcpy(w + n, s.p + i, s.n - i);
            return (struct str){w, n + s.n - i};
        }
        n -= open.n;
        i += k;
    }
    return (struct str){w, n};
}

/* HTML reads &#128; to &#159; as the bytes of Windows-1252. */
static const uint16_t windows[32] = {0x20ac, 0x81,   0x201a, 0x192,  0x201e, 0x2026, 0x2020, 0x2021,
                                     0x2c6,  0x2030, 0x160,  0x2039, 0x152,  0x8d,   0x17d,  0x8f,
                                     0x90,   0x2018, 0x2019, 0x201c, 0x201d, 0x2022, 0x2013, 0x2014,
                                     0x2dc,  0x2122, 0x161,  0x203a, 0x153,  0x9d,   0x17e,  0x178};

/* &#...; at s (after the '&'): its character, *n what it takes. 0: none. */
static uint32_t numeric(struct str s, size_t *n)
{
    uint32_t cp = 0;
    size_t i = 1;
    int hex = i < s.n && (s.p[i] | 32) == 'x', base = hex ? 16 : 10;
    if (hex) i++;
    size_t from = i;
    for (; i < s.n; i++) {
        char c = s.p[i];
        int d = c >= '0' && c <= '9'                 ? c - '0'
                : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10
                                                     : 16;
        if (d >= base) break;
        if (cp < 0x110000) cp = cp * (uint32_t)base + (uint32_t)d;
    }
    if (i == from) return 0;
    *n = i + (i < s.n && s.p[i] == ';');
    if (cp >= 0x80 && cp < 0xa0) return windows[cp - 0x80];
    return cp == 0 || cp > 0x10ffff || (cp >= 0xd800 && cp < 0xe000) ? 0xfffd : cp;
}

static void unescape(struct buf *b, struct str s)
{
    for (size_t i = 0; i < s.n;) {
        size_t n = 0;
        uint32_t cp = 0;
        if (s.p[i] == '&') {
            struct str rest = str_from(s, i + 1);
            if (rest.n && rest.p[0] == '#')
                cp = numeric(rest, &n);
            else if ((cp = tpl_char_entity(rest, &n)))
                n += n < rest.n && rest.p[n] == ';';
        }
        if (cp) {
            tpl_str_put(b, cp);
            i += n + 1;
        } else {
            buf_putc(b, s.p[i++]);
        }
    }
}

struct val tpl_html_strip(struct tpl_run *r, struct str s)
{
    char *w = tpl_alloc(r, s.n * 2 + 2);
    size_t begin = tpl_begin(r);
    if (!w || tpl_step_bytes(r, s.n * 4)) return tpl_failed();
    s = without(w, s, STR("<!--"), STR("-->"));
    s = without(w + s.n, s, STR("<"), STR(">"));
    int blank = 0;
    for (size_t i = 0, k; i < s.n; i += k) { /* white space runs to one blank, none at the ends */
        struct str rest = tpl_str_strip(str_from(s, i), NULL, 1, 0);
        if (rest.n < s.n - i) {
            k = s.n - i - rest.n;
            blank = r->work.n > begin;
            continue;
        }
        if (blank) buf_putc(&r->work, ' ');
        blank = 0;
        k = 1;
        buf_putc(&r->work, s.p[i]);
    }
    struct val flat = tpl_end(r, begin);
    if (tpl_bad(flat)) return flat;
    unescape(&r->work, tpl_view(flat));
    return tpl_end(r, begin);
}
