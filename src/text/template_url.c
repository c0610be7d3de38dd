/* SPDX-License-Identifier: Apache-2.0
 *
 * text/template_url.c: the urlencode and urlize filters. urlize decides by the shape of each word,
 * as Jinja's regular expressions do, written out here as plain checks in linear time.
 */
#include "base/utf8.h"
#include "text/template_char.h"
#include "text/template_val.h"

/* urllib.parse.quote; query: '/' is quoted as well and a blank is '+'. */
void tpl_url_quote(struct buf *b, struct str s, int query)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        int plain = (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z') ||
                    (c && strchr("_.-~", c));
        if (plain || (c == '/' && !query))
            buf_putc(b, c);
        else if (c == ' ' && query)
            buf_putc(b, '+');
        else
            buf_printf(b, "%%%02X", (unsigned char)c);
    }
}

/* ---- what a link looks like ---- */

static char low(char c) { return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c; }

static int starts(struct str s, const char *z) /* in any case */
{
    size_t n = strlen(z);
    if (s.n < n) return 0;
    for (size_t i = 0; i < n; i++)
        if (low(s.p[i]) != z[i]) return 0;
    return 1;
}

static int is_digit(char c) { return c >= '0' && c <= '9'; }

static int letters(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (low(s.p[i]) < 'a' || low(s.p[i]) > 'z') return 0;
    return 1;
}

/* \w, and the characters of `more`; gives the number of characters, or 0 when another one is there.
 */
static size_t label(struct str s, const char *more)
{
    size_t n = 0;
    for (size_t i = 0, k; i < s.n; i += k, n++) {
        uint32_t cp;
        k = utf8_decode(s.p + i, s.n - i, &cp);
        if (!k ||
            !(cp == '_' || tpl_char_is(cp, TPL_ALNUM) || (cp < 128 && cp && strchr(more, (int)cp))))
            return 0;
    }
    return n;
}

/* Optional port, then nothing or a path without white space. */
static int is_rest(struct str s)
{
    if (s.n && s.p[0] == ':') {
        size_t i = 1;
        while (i < s.n && i < 6 && is_digit(s.p[i])) i++;
        if (i == 1) return 0;
        s = str_from(s, i);
    }
    return !s.n || s.p[0] == '/' || s.p[0] == '?' || s.p[0] == '#'; /* words hold no white space */
}

static int last_dot(struct str s, struct str *before, struct str *after)
{
    for (size_t i = s.n; i--;) {
        if (s.p[i] != '.') continue;
        *before = (struct str){s.p, i};
        *after = str_from(s, i + 1);
        return 1;
    }
    return 0;
}

/* Labels with dots between, each of lo to hi characters. */
static int labels(struct str s, size_t lo, size_t hi)
{
    for (size_t at = 0; at <= s.n;) {
        int64_t f = tpl_str_find(str_from(s, at), STR("."));
        struct str one = {s.p + at, f < 0 ? s.n - at : (size_t)f};
        size_t n = label(one, "%-");
        if (n < lo || n > hi) return 0;
        at += one.n + 1;
    }
    return 1;
}

static int ipv4(struct str s)
{
    int parts = 0;
    for (size_t i = 0; i < s.n; parts++) {
        size_t from = i;
        while (i < s.n && is_digit(s.p[i])) i++;
        if (i == from || i - from > 3) return 0;
        if (i < s.n && (s.p[i++] != '.' || i == s.n)) return 0;
    }
    return parts == 4;
}

static int is_hex(char c) { return is_digit(c) || (low(c) >= 'a' && low(c) <= 'f'); }

/* [x:x:...]: two groups that end in a colon, then one to six that may. */
static int ipv6(struct str s, size_t *end)
{
    size_t i = 1, colons = 0, run = 0, groups = 0;
    for (; i < s.n && s.p[i] != ']'; i++) {
        if (s.p[i] == ':') {
            colons++, groups++, run = 0;
        } else {
            if (!is_hex(s.p[i])) return 0;
            if (++run > 4) groups++, run = 1; /* a group without its colon */
        }
    }
    *end = i + 1;
    groups += run > 0;
    return i < s.n && colons >= 2 && groups <= 8 && groups >= 2;
}

static int is_web(struct str s)
{
    int http = starts(s, "http://") || starts(s, "https://"), www = starts(s, "www.");
    struct str host = str_from(s, http ? (starts(s, "https") ? 8 : 7) : www ? 4 : 0), before, after;
    size_t n = 0;
    static const char *const basic[] = {"com", "net",  "int", "edu", "gov",
                                        "org", "info", "mil", NULL};
    if (http && host.n && host.p[0] == '[') return ipv6(host, &n) && is_rest(str_from(host, n));
    while (n < host.n && !strchr(":/?#", host.p[n])) n++;
    if (n < host.n && !host.p[n]) return 0;
    struct str rest = str_from(host, n);
    host.n = n;
    if (!is_rest(rest)) return 0;
    if (http && ipv4(host)) return 1;
    if (http || www) {
        if (!last_dot(host, &before, &after))
            before = STR(""), after = host;
        else if (!labels(before, 1, SIZE_MAX))
            after = STR("");
        if (after.n >= 2 && after.n <= 63 && letters(after)) return 1;
        if (starts(after, "xn--") && label(str_from(after, 4), "%") >= 2 &&
            label(str_from(after, 4), "%") <= 59)
            return 1;
    }
    if (http) return 0;
    /* without a scheme: one of the old top level domains; here "www" is a label like others */
    host = (struct str){s.p, (size_t)(rest.p - s.p)};
    if (!last_dot(host, &before, &after) || !labels(before, 2, 63)) return 0;
    for (int i = 0; basic[i]; i++)
        if (after.n == strlen(basic[i]) && starts(after, basic[i])) return 1;
    return 0;
}

/* \S+@\w[\w.-]*\.\w+ */
static int is_mail(struct str s)
{
    struct str before, after;
    for (size_t i = s.n; i--;) {
        if (s.p[i] != '@') continue;
        struct str host = str_from(s, i + 1);
        uint32_t cp;
        size_t k = utf8_decode(host.p, host.n, &cp);
        return i > 0 && k && (cp == '_' || tpl_char_is(cp, TPL_ALNUM)) &&
               last_dot(host, &before, &after) && before.n && label(before, ".-") &&
               label(after, "");
    }
    return 0;
}

/* ---- words ---- */

static size_t head_len(struct str s)
{
    size_t i = 0;
    for (;;) {
        if (i < s.n && (s.p[i] == '(' || s.p[i] == '<'))
            i++;
        else if (str_starts(str_from(s, i), STR("&lt;")))
            i += 4;
        else
            return i;
    }
}

static size_t tail_len(struct str s)
{
    size_t n = 0;
    for (;;) {
        struct str left = {s.p, s.n - n};
        if (left.n && strchr(")>.,\n", left.p[left.n - 1]) && left.p[left.n - 1])
            n++;
        else if (str_ends(left, STR("&gt;")))
            n += 4;
        else
            return n;
    }
}

static size_t count(struct str s, struct str what)
{
    size_t n = 0;
    for (int64_t f; (f = tpl_str_find(s, what)) >= 0; n++) s = str_from(s, (size_t)f + what.n);
    return n;
}

/* A bracket that the middle opened is closed by one of the tail. Both are slices of one word, side
 * by side. */
static void balance(struct str *middle, struct str *tail)
{
    static const char *const pairs[3][2] = {{"(", ")"}, {"<", ">"}, {"&lt;", "&gt;"}};
    for (int i = 0; i < 3; i++) {
        struct str open = str_of(pairs[i][0]), close = str_of(pairs[i][1]);
        size_t opened = count(*middle, open), there = count(*tail, close);
        if (opened <= count(*middle, close)) continue;
        for (size_t k = opened < there ? opened : there; k; k--) {
            size_t n = (size_t)tpl_str_find(*tail, close) + close.n;
            middle->n += n;
            *tail = str_from(*tail, n);
        }
    }
}

static void open_tag(struct buf *b, const char *prefix, struct str url,
                     const struct tpl_url_style *st)
{
    buf_printf(b, "<a href=\"%s", prefix);
    buf_str(b, url);
    buf_putc(b, '"');
    if (st && st->rel.n) {
        buf_puts(b, " rel=\"");
        tpl_str_escape_to(b, st->rel);
        buf_putc(b, '"');
    }
    if (st && st->target.n) {
        buf_puts(b, " target=\"");
        tpl_str_escape_to(b, st->target);
        buf_putc(b, '"');
    }
    buf_putc(b, '>');
}

static void shown(struct buf *b, struct str s, int64_t limit)
{
    int64_t chars = 0;
    for (size_t i = 0; i < s.n && limit >= 0; i++) {
        if (((unsigned char)s.p[i] & 0xc0) == 0x80 || chars++ < limit) continue;
        buf_add(b, s.p, i);
        buf_puts(b, "...");
        return;
    }
    buf_str(b, s);
}

static void word(struct buf *b, struct str s, const struct tpl_url_style *st)
{
    size_t h = head_len(s), t;
    struct str middle = str_from(s, h), tail;
    buf_add(b, s.p, h);
    t = tail_len(middle);
    tail = str_from(middle, middle.n - t);
    middle.n -= t;
    balance(&middle, &tail);
    int linked = 1;
    if (is_web(middle)) {
        int scheme = str_starts(middle, STR("https://")) || str_starts(middle, STR("http://"));
        open_tag(b, scheme ? "" : "https://", middle, st);
        shown(b, middle, st->limit);
    } else if (str_starts(middle, STR("mailto:")) && is_mail(str_from(middle, 7))) {
        open_tag(b, "", middle, NULL);
        buf_str(b, str_from(middle, 7));
    } else if (middle.n && middle.p[0] != '@' && !str_starts(middle, STR("www.")) &&
               !memchr(middle.p, ':', middle.n) && is_mail(middle)) {
        open_tag(b, "mailto:", middle, NULL);
        buf_str(b, middle);
    } else {
        linked = 0;
        for (size_t i = 0; st->schemes.kind == TPL_LIST && i < st->schemes.u.l->n && !linked; i++) {
            struct val scheme = st->schemes.u.l->p[i];
            if (!tpl_is_str(scheme) || middle.n <= scheme.u.s->n ||
                !str_starts(middle, tpl_view(scheme)))
                continue;
            open_tag(b, "", middle, st);
            linked = 1;
            buf_str(b, middle);
        }
        if (!linked) buf_str(b, middle);
    }
    if (linked) buf_puts(b, "</a>");
    buf_str(b, tail);
}

struct val tpl_url_links(struct tpl_run *r, struct str s, const struct tpl_url_style *st)
{
    size_t begin = tpl_begin(r);
    if (tpl_step_bytes(r, s.n * 8)) return tpl_failed();
    for (size_t i = 0; i < s.n;) {
        struct str rest = str_from(s, i), after = tpl_str_strip(rest, NULL, 1, 0);
        buf_add(&r->work, rest.p, rest.n - after.n);
        i += rest.n - after.n;
        size_t end = i, k = 1;
        for (; end < s.n; end += k) {
            uint32_t cp;
            k = utf8_decode(s.p + end, s.n - end, &cp);
            if (!k)
                k = 1;
            else if (tpl_char_is(cp, TPL_SPACE))
                break;
        }
        if (end > i) word(&r->work, (struct str){s.p + i, end - i}, st);
        i = end;
    }
    return tpl_end(r, begin);
}
