/* SPDX-License-Identifier: Apache-2.0
 *
 * text/template_text.c: the filters on text.
 */
#include <math.h>
#include <stdio.h>

#include "base/num.h"
#include "base/utf8.h"
#include "text/template_char.h"
#include "text/template_val.h"

#define ARGS     struct tpl_run *r, const struct val *a, const struct tpl_args *raw
#define GIVEN(v) ((v).kind != TPL_MISSING)
#define SET(v)   ((v).kind != TPL_MISSING && (v).kind != TPL_NONE)

static int flag(struct tpl_run *r, struct val v) { return GIVEN(v) ? tpl_val_truth(r, v) : 0; }

static struct val cased(struct tpl_run *r, struct val v, enum tpl_case how)
{
    v = tpl_repr_soft(r, v);
    return tpl_bad(v) ? v : tpl_str_case(r, v, how);
}

struct val tpl_text_upper(ARGS)
{
    (void)raw;
    return cased(r, a[0], TPL_UPPER);
}
struct val tpl_text_lower(ARGS)
{
    (void)raw;
    return cased(r, a[0], TPL_LOWER);
}
struct val tpl_text_capitalize(ARGS)
{
    (void)raw;
    return cased(r, a[0], TPL_CAPITAL);
}

/* Words begin after white space, '-', '(', '{', '[' and '<'. */
struct val tpl_text_title(ARGS)
{
    struct val v = tpl_repr_soft(r, a[0]);
    size_t begin = tpl_begin(r);
    (void)raw;
    if (tpl_bad(v) || tpl_step_bytes(r, v.u.s->n * 4)) return tpl_failed();
    struct str s = tpl_view(v);
    for (size_t i = 0; i < s.n;) {
        size_t from = i, k = 1, first = 0;
        uint32_t cp;
        for (; i < s.n; i += k) {
            k = utf8_decode(s.p + i, s.n - i, &cp);
            if (tpl_char_is(cp, TPL_SPACE) || (cp < 128 && strchr("-({[<", (int)cp))) break;
            if (!first) first = k;
        }
        tpl_str_case_to(&r->work, (struct str){s.p + from, first}, TPL_UPPER);
        tpl_str_case_to(&r->work, (struct str){s.p + from + first, i - from - first}, TPL_LOWER);
        if (i < s.n) buf_add(&r->work, s.p + i, k), i += k;
    }
    return tpl_end(r, begin);
}

struct val tpl_text_center(ARGS)
{
    struct val v = tpl_repr_soft(r, a[0]);
    (void)raw;
    return tpl_bad(v) ? v
                      : tpl_strings_pad(r, v, GIVEN(a[1]) ? a[1] : tpl_int(80), tpl_missing(), '^');
}

struct val tpl_text_trim(ARGS)
{
    struct val v = tpl_repr_soft(r, a[0]);
    (void)raw;
    return tpl_bad(v) ? v : tpl_strings_strip(r, v, a[1], 1, 1);
}

struct val tpl_text_replace(ARGS)
{
    struct val s = a[0], old = a[1], new = a[2];
    int64_t max = -1;
    int markup = 0;
    (void)raw;
    if (r->autoescape) {
        int any = (tpl_is_str(old) && old.markup) ||
                  ((tpl_is_str(new) && new.markup) && !(tpl_is_str(s) && s.markup));
        s = any ? tpl_str_escape(r, s) : tpl_repr_soft(r, s);
        markup = tpl_is_str(s) && s.markup;
        if (markup) old = tpl_str_escape(r, old), new = tpl_str_escape(r, new);
    }
    if (SET(a[3]) && tpl_val_index(r, a[3], &max)) return tpl_failed();
    s = tpl_repr_str(r, s);
    old = tpl_repr_str(r, old);
    new = tpl_repr_str(r, new);
    if (tpl_bad(s) || tpl_bad(old) || tpl_bad(new)) return tpl_failed();
    struct val v = tpl_str_replace(r, s, tpl_view(old), tpl_view(new), max);
    v.markup = (uint8_t)markup;
    return v;
}

struct val tpl_text_format(ARGS)
{
    struct val v = tpl_repr_soft(r, a[0]);
    if (tpl_bad(v)) return v;
    if (raw->npos && raw->nkw)
        return tpl_type_error(r, "can't handle positional and keyword arguments at the same time");
    if (raw->nkw) {
        struct val d = tpl_dict_make(r, raw);
        return tpl_bad(d) ? d : tpl_percent(r, v, d);
    }
    struct val args = tpl_list_of(r, TPL_TUPLE, raw->pos, raw->npos);
    return tpl_bad(args) ? args : tpl_percent(r, v, args);
}

struct val tpl_text_indent(ARGS)
{
    int first = flag(r, a[2]), blank = flag(r, a[3]);
    struct val by = a[1], s = a[0];
    (void)raw;
    if (first < 0 || blank < 0) return tpl_failed();
    if (s.kind == TPL_UNDEF) return tpl_undefined_error(r, s);
    if (!tpl_is_str(s))
        return tpl_type_error(r, "unsupported operand type(s) for +=: '%s' and 'str'",
                              tpl_val_type(s));
    if (!GIVEN(by) || !tpl_is_str(by)) {
        by = tpl_str_z(r, " ");
        if (!tpl_bad(by)) by = tpl_num_op(r, '*', by, GIVEN(a[1]) ? a[1] : tpl_int(4));
        if (tpl_bad(by)) return by;
    }
    struct str x = tpl_view(s);
    size_t begin = tpl_begin(r), at = 0, next;
    for (int line = 0; line == 0 || at <= x.n; line++) {
        size_t end = tpl_str_line(x, at, &next);
        int last = next >= x.n && (end == x.n || next == end); /* no newline follows this line */
        if (line) buf_putc(&r->work, '\n');
        if (line == 0 ? first : blank || end > at) buf_str(&r->work, tpl_view(by));
        buf_add(&r->work, x.p + at, end - at);
        if (tpl_step_bytes(r, by.u.s->n + end - at)) return tpl_failed();
        if (last) break;
        at = next;
    }
    struct val v = tpl_end(r, begin);
    v.markup = s.markup;
    return v;
}

struct val tpl_text_truncate(ARGS)
{
    int64_t length = 255, leeway = 5;
    int kill = flag(r, a[2]);
    struct val end = GIVEN(a[3]) ? a[3] : tpl_str_z(r, "..."), s = a[0];
    (void)raw;
    if (kill < 0 || tpl_bad(end) || (GIVEN(a[1]) && tpl_val_index(r, a[1], &length)) ||
        (SET(a[4]) && tpl_val_index(r, a[4], &leeway)))
        return tpl_failed();
    size_t tail_chars, chars = 0;
    if (tpl_val_len(r, end, &tail_chars) ||
        (length >= (int64_t)tail_chars && leeway >= 0 && tpl_val_len(r, s, &chars)))
        return tpl_failed();
    int64_t tail = (int64_t)tail_chars, n = (int64_t)chars;
    if (length < tail)
        return tpl_type_error(r, "expected length >= %lld, got %lld", (long long)tail,
                              (long long)length);
    if (leeway < 0) return tpl_type_error(r, "expected leeway >= 0, got %lld", (long long)leeway);
    if (n <= length || n - length <= leeway) return s; /* a short list, too */
    if (!tpl_is_str(s) || !tpl_is_str(end))
        return tpl_type_error(r, "truncate wants text, not '%s'", tpl_val_type(s));
    struct val cut = tpl_str_slice(r, s, 0, 1, (size_t)(length - tail));
    if (tpl_bad(cut)) return cut;
    if (!kill) {
        int64_t space = tpl_str_rfind(r, tpl_view(cut), STR(" "));
        if (space >= 0) cut = tpl_str_cut(r, cut, (struct str){cut.u.s->p, (size_t)space});
        if (tpl_bad(cut)) return cut;
    }
    return tpl_num_op(r, '+', cut, end);
}

struct val tpl_text_wordcount(ARGS)
{
    struct val v = tpl_repr_soft(r, a[0]);
    int64_t n = 0;
    (void)raw;
    if (tpl_bad(v) || tpl_step_bytes(r, v.u.s->n)) return tpl_failed();
    struct str s = tpl_view(v);
    int inside = 0;
    for (size_t i = 0, k; i < s.n; i += k) {
        uint32_t cp;
        k = utf8_decode(s.p + i, s.n - i, &cp);
        int word = cp == '_' || tpl_char_is(cp, TPL_ALNUM);
        n += word && !inside;
        inside = word;
    }
    return tpl_int(n);
}

struct val tpl_text_wordwrap(ARGS)
{
    int64_t width = 79;
    int words = GIVEN(a[2]) ? tpl_val_truth(r, a[2]) : 1,
        hyphens = GIVEN(a[4]) ? tpl_val_truth(r, a[4]) : 1;
    struct tpl_wrap_style st = {
        .newline = STR("\n"), .break_words = words, .break_hyphens = hyphens};
    (void)raw;
    if (words < 0 || hyphens < 0 || (GIVEN(a[1]) && tpl_val_index(r, a[1], &width)))
        return tpl_failed();
    if (SET(a[3]) && !tpl_is_str(a[3])) return tpl_type_error(r, "wrapstring must be a string");
    if (SET(a[3])) st.newline = tpl_view(a[3]);
    if (a[0].kind == TPL_UNDEF) return tpl_undefined_error(r, a[0]);
    if (!tpl_is_str(a[0]))
        return tpl_type_error(r, "'%s' object has no attribute 'splitlines'", tpl_val_type(a[0]));
    st.width = width > 0 ? (size_t)width : 0;
    return tpl_wrap(r, tpl_view(a[0]), &st);
}

struct val tpl_text_filesize(ARGS)
{
    static const char *const names[2][8] = {
        {"kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"},
        {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB"}};
    int binary = flag(r, a[1]), i = 0;
    double n, base = binary ? 1024 : 1000;
    char t[400];
    struct val v = a[0];
    (void)raw;
    if (tpl_is_str(v)) v = tpl_num_parse_float(tpl_view(v));
    if (v.kind == TPL_UNDEF) return tpl_undefined_error(r, v);
    if (!tpl_is_number(v)) return tpl_type_error(r, "could not convert to float");
    if (binary < 0 || tpl_bad(tpl_num_to_float(r, v, &n))) return tpl_failed();
    if (n == 1) return tpl_str_z(r, "1 Byte");
    if (n < base) {
        struct val whole = tpl_num_from_float(r, n);
        size_t begin = tpl_begin(r);
        if (tpl_bad(whole) || tpl_repr_to(r, &r->work, whole, 0)) return tpl_failed();
        buf_puts(&r->work, " Bytes");
        return tpl_end(r, begin);
    }
    double unit = base * base;
    while (i < 7 && !(n < unit)) unit *= base, i++;
    num_print(t, sizeof t, 'f', 1, base * n / unit);
    size_t begin = tpl_begin(r);
    buf_printf(&r->work, "%s %s", t, names[binary][i]);
    return tpl_end(r, begin);
}

/* ---- JSON ---- */

struct val tpl_text_tojson(ARGS)
{
    struct tpl_json_style st = {.comma = STR(", "), .colon = STR(": "), .indent = STR("")};
    struct val indent = a[2];
    (void)raw;
    st.ascii = flag(r, a[1]);
    st.sorted = flag(r, a[4]);
    if (st.ascii < 0 || st.sorted < 0) return tpl_failed();
    if (SET(indent)) {
        st.indented = 1;
        st.comma = STR(",");
        if (!tpl_is_str(indent)) indent = tpl_num_op(r, '*', tpl_str_z(r, " "), indent);
        if (tpl_bad(indent)) return indent;
        st.indent = tpl_view(indent);
    }
    if (SET(a[3])) {
        struct val pair = tpl_list_from(r, TPL_LIST, a[3]);
        if (tpl_bad(pair)) return pair;
        if (pair.u.l->n != 2 || !tpl_is_str(pair.u.l->p[0]) || !tpl_is_str(pair.u.l->p[1]))
            return tpl_type_error(r, "separators must be two strings");
        st.comma = tpl_view(pair.u.l->p[0]);
        st.colon = tpl_view(pair.u.l->p[1]);
    }
    return tpl_json(r, a[0], &st);
}

/* ---- HTML and URLs ---- */

struct val tpl_text_forceescape(ARGS)
{
    struct val v = tpl_repr_str(r, a[0]);
    (void)raw;
    return tpl_bad(v) ? v : tpl_str_escape(r, v);
}

struct val tpl_text_striptags(ARGS)
{
    struct val v = tpl_repr_str(r, a[0]);
    (void)raw;
    return tpl_bad(v) ? v : tpl_html_strip(r, tpl_view(v));
}

static int attribute(struct tpl_run *r, struct val k, struct val v)
{
    struct buf *b = &r->work;
    if (!tpl_is_str(k)) return tpl_type_error(r, "expected string, got '%s'", tpl_val_type(k)), -1;
    struct str s = tpl_view(k);
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] == '/' || s.p[i] == '>' || s.p[i] == '=' || s.p[i] == ' ' ||
            (s.p[i] >= 9 && s.p[i] <= 13))
            return tpl_type_error(r, "invalid character in attribute name: '%.*s'", STR_ARG(s)), -1;
    struct val key = tpl_str_escape(r, k), value = tpl_str_escape(r, v);
    if (tpl_bad(key) || tpl_bad(value)) return -1;
    buf_str(b, tpl_view(key));
    buf_puts(b, "=\"");
    buf_str(b, tpl_view(value));
    buf_putc(b, '"');
    return 0;
}

struct val tpl_text_xmlattr(ARGS)
{
    int space = GIVEN(a[1]) ? tpl_val_truth(r, a[1]) : 1;
    size_t begin = tpl_begin(r);
    (void)raw;
    if (space < 0) return tpl_failed();
    if (a[0].kind == TPL_UNDEF) return tpl_undefined_error(r, a[0]);
    if (a[0].kind != TPL_DICT)
        return tpl_type_error(r, "'%s' object has no attribute 'items'", tpl_val_type(a[0]));
    const struct tpl_dict *d = a[0].u.d;
    for (size_t i = 0; i < d->n; i++) {
        if (!SET(d->e[i].v) || d->e[i].v.kind == TPL_UNDEF) continue;
        if (r->work.n > begin || space) buf_putc(&r->work, ' ');
        if (attribute(r, d->e[i].k, d->e[i].v)) return tpl_failed();
    }
    struct val v = tpl_end(r, begin);
    v.markup = r->autoescape != 0;
    return v;
}

static int quoted(struct tpl_run *r, struct val v, int query)
{
    if (v.kind != TPL_BYTES) v = tpl_repr_str(r, v);
    if (tpl_bad(v) || tpl_step_bytes(r, v.u.s->n)) return -1;
    tpl_url_quote(&r->work, tpl_view(v), query);
    return 0;
}

struct val tpl_text_urlencode(ARGS)
{
    struct tpl_iter mem, *it;
    struct val v = a[0], x;
    size_t begin = tpl_begin(r);
    int got;
    (void)raw;
    if (tpl_is_str(v) || !tpl_iter_can(v))
        return quoted(r, v, 0) ? tpl_failed() : tpl_end(r, begin);
    if (v.kind == TPL_DICT) v = (struct val){.kind = TPL_VIEW, .sub = TPL_ITEMS, .u.d = v.u.d};
    it = tpl_iter_open(r, v, &mem);
    while (it && (got = tpl_iter_next(r, it, &x)) == 1) {
        struct val pair = tpl_iter_can(x) ? tpl_list_from(r, TPL_LIST, x)
                                          : tpl_type_error(r, "urlencode wants pairs");
        if (tpl_bad(pair)) return pair;
        if (pair.u.l->n != 2) return tpl_type_error(r, "urlencode wants pairs");
        if (r->work.n > begin) buf_putc(&r->work, '&');
        if (quoted(r, pair.u.l->p[0], 1)) return tpl_failed();
        buf_putc(&r->work, '=');
        if (quoted(r, pair.u.l->p[1], 1)) return tpl_failed();
    }
    return it && !got ? tpl_end(r, begin) : tpl_failed();
}

/* The words of rel in order, each once. */
static struct val rel_words(struct tpl_run *r, struct val rel, int nofollow)
{
    size_t begin = tpl_begin(r);
    if (SET(rel) && !tpl_is_str(rel)) return tpl_type_error(r, "rel must be a string");
    buf_puts(&r->work, nofollow ? "noopener nofollow " : "noopener ");
    if (SET(rel)) buf_str(&r->work, tpl_view(rel));
    struct val words = tpl_end(r, begin), name = tpl_str_z(r, "split");
    if (tpl_bad(words) || tpl_bad(name)) return tpl_failed();
    struct val split = tpl_attr_get(r, words, name);
    struct val list = tpl_bad(split) ? split : tpl_call(r, split, &(struct tpl_args){0});
    struct val keys = tpl_bad(list) ? list : tpl_list_of(r, TPL_LIST, list.u.l->p, list.u.l->n);
    if (tpl_bad(keys) || tpl_list_sort(r, list.u.l->p, keys.u.l->p, list.u.l->n, 0))
        return tpl_failed();
    for (size_t i = 0; i < list.u.l->n; i++) {
        if (i && str_eq(tpl_view(list.u.l->p[i]), tpl_view(list.u.l->p[i - 1]))) continue;
        if (i) buf_putc(&r->work, ' ');
        buf_str(&r->work, tpl_view(list.u.l->p[i]));
    }
    return tpl_end(r, begin);
}

struct val tpl_text_urlize(ARGS)
{
    struct tpl_url_style st = {.limit = -1, .schemes = tpl_none()};
    int nofollow = flag(r, a[2]);
    struct val s = a[0], rel = nofollow < 0 ? tpl_failed() : rel_words(r, a[4], nofollow);
    (void)raw;
    if (tpl_bad(rel) || (SET(a[1]) && tpl_val_index(r, a[1], &st.limit))) return tpl_failed();
    if (SET(a[1]) && st.limit < 0)
        return tpl_fail(r, LAR_EUNSUPPORTED, "urlize with a negative limit");
    st.rel = tpl_view(rel);
    if (SET(a[3]) && !tpl_is_str(a[3])) return tpl_type_error(r, "target must be a string");
    if (SET(a[3])) st.target = tpl_view(a[3]);
    if (SET(a[5])) st.schemes = tpl_list_from(r, TPL_LIST, a[5]);
    s = tpl_str_escape(r, s);
    if (tpl_bad(s) || tpl_bad(st.schemes)) return tpl_failed();
    struct val v = tpl_url_links(r, tpl_view(s), &st);
    v.markup = r->autoescape != 0;
    return v;
}
