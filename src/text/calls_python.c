/* SPDX-License-Identifier: Apache-2.0
 *
 * text/calls_python.c: arguments as Python writes them, f(key="text", list=[1, None]), read into JSON. A value is given on when it is whole.
 *
 * Literals are what is understood: strings of one line in either quotes with Python's escapes, numbers, True, False and None (JSON's words
 * too), lists, tuples, dictionaries whose keys are strings. What else there may be, names and sums and calls, is no argument. */
#include "text/calls_impl.h"

static int is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

static void put_code(struct buf *out, unsigned code)
{
    char z[4];
    if (code < 0x20 || code == '"' || code == '\\')
        buf_printf(out, "\\u%04x", code);
    else if (code >= 0xd800 && code < 0xe000)
        buf_printf(out, "\\u%04x", code); /* half of a pair, as JSON has them */
    else if (code < 0x80)
        buf_putc(out, (char)code);
    else {
        size_t n = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
        for (size_t i = n; i-- > 1; code >>= 6) z[i] = (char)(0x80 | (code & 0x3f));
        z[0] = (char)((n == 2 ? 0xc0 : n == 3 ? 0xe0 : 0xf0) | code);
        buf_add(out, z, n);
    }
}

static int hex_of(struct str s, size_t at, size_t n, unsigned *code)
{
    *code = 0;
    for (size_t i = at; i < at + n; i++) {
        char c = i < s.n ? s.p[i] : 0;
        const char *digits = "0123456789abcdef", *d = c ? strchr(digits, c >= 'A' && c <= 'F' ? c + 32 : c) : NULL;
        if (!d) return 0;
        *code = *code * 16 + (unsigned)(d - digits);
    }
    return *code < 0x110000;
}

/* s[at] is a backslash; the number of bytes of the escape, 0: none that is known. */
static size_t escape(struct str s, size_t at, struct buf *out)
{
    static const char from[] = "nrtbfav0'\"\\/", to[] = "\n\r\t\b\f\a\v\0'\"\\/";
    char c = at + 1 < s.n ? s.p[at + 1] : 0;
    const char *k = c ? strchr(from, c) : NULL;
    size_t n = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
    unsigned code;
    if (k) {
        put_code(out, (unsigned char)to[k - from]);
        return 2;
    }
    if (!n || !hex_of(s, at + 2, n, &code)) return 0;
    put_code(out, code);
    return n + 2;
}

/* The string that begins at s[at], with its quotes; 0: it is none. */
static size_t string(struct str s, size_t at, struct buf *out)
{
    char quote = s.p[at];
    size_t i = at + 1;
    buf_putc(out, '"');
    while (i < s.n && s.p[i] != quote) {
        size_t n = 1;
        if (s.p[i] == '\\' && !(n = escape(s, i, out))) return 0;
        if (s.p[i] != '\\') {
            if ((unsigned char)s.p[i] < 0x20 || s.p[i] == '"')
                put_code(out, (unsigned char)s.p[i]);
            else
                buf_putc(out, s.p[i]);
        }
        i += n;
    }
    buf_putc(out, '"');
    return i < s.n ? i + 1 - at : 0;
}

/* A literal as JSON, which the caller still has to read: what is no literal comes out as no JSON. */
static int to_json(struct str s, struct buf *out)
{
    static const char *const word[][2] = {{"True", "true"}, {"False", "false"}, {"None", "null"}};
    for (size_t i = 0; i < s.n;) {
        size_t n = 1, k = 0;
        if (s.p[i] == '"' || s.p[i] == '\'') {
            if (!(n = string(s, i, out))) return 0;
        } else if (is_word(s.p[i])) {
            while (i + n < s.n && is_word(s.p[i + n])) n++;
            struct str w = {s.p + i, n};
            while (k < 3 && !str_is(w, word[k][0])) k++;
            buf_str(out, k < 3 ? str_of(word[k][1]) : w);
        } else if (s.p[i] != ',' || i + 1 == s.n || !strchr(")]", s.p[i + 1])) /* a tuple of one ends with a comma */
            buf_putc(out, s.p[i] == '(' ? '[' : s.p[i] == ')' ? ']' : s.p[i]);
        i += n;
    }
    return 1;
}

/* How many bytes the literal has that begins here, SIZE_MAX: its end has not come. It ends before a comma or bracket that is not its own. */
static size_t extent(struct str s)
{
    int depth = 0;
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (c == '"' || c == '\'') {
            for (i++; i < s.n && s.p[i] != c; i++) i += s.p[i] == '\\';
            if (i >= s.n) return SIZE_MAX;
        } else if (c == '(' || c == '[' || c == '{')
            depth++;
        else if (!depth && (c == ',' || c == ')' || c == ']' || c == '}'))
            return i;
        else if (c == ')' || c == ']' || c == '}')
            depth--;
    }
    return SIZE_MAX;
}

int calls_python_json(struct str s, struct buf *out)
{
    struct arena a;
    size_t from = out->n;
    arena_init(&a, 64 << 20);
    int ok = s.n && to_json(s, out) && json_parse(&a, str_from(buf_view(out), from), NULL);
    arena_done(&a);
    if (!ok) out->n = from;
    return ok;
}

static int value(struct calls *c, struct str s)
{
    struct buf b = {0};
    buf_puts(&b, c->first ? "{" : ", ");
    buf_json_str(&b, buf_view(&c->key));
    buf_puts(&b, ": ");
    while (s.n && is_blank(s.p[s.n - 1])) s.n--;
    int ok = calls_python_json(s, &b);
    if (ok) calls_args(c, buf_view(&b));
    c->first = 0;
    buf_done(&b);
    return ok ? DONE : BROKEN;
}

/* is_key: a key was read, its value is next; kind: a comma was read. */
int calls_python(struct calls *c)
{
    struct str h = str_from(buf_view(&c->hold), c->at);
    while (h.n && is_blank(*h.p)) h = str_from(h, 1), c->at++;
    if (!h.n) return WAIT;
    size_t n = 0;
    if (c->is_key) {
        if ((n = extent(h)) == SIZE_MAX) return WAIT;
        c->is_key = c->kind = 0;
        c->at += n;
        return value(c, (struct str){h.p, n});
    }
    if (*h.p == ')' && (c->first || !c->kind)) {
        c->at++;
        calls_args(c, c->first ? STR("{}") : STR("}"));
        return calls_ended(c);
    }
    if (*h.p == ',' && !c->first && !c->kind) {
        c->at++;
        c->kind = 1;
        return DONE;
    }
    if (!c->first && !c->kind) return BROKEN;
    while (n < h.n && is_word(h.p[n])) n++;
    buf_clear(&c->key);
    buf_add(&c->key, h.p, n);
    while (n < h.n && is_blank(h.p[n])) n++;
    if (n > CALL_NAME_MAX) return BROKEN;
    if (n == h.n) return WAIT;
    if (!c->key.n || h.p[n] != '=') return BROKEN;
    c->at += n + 1;
    c->is_key = 1;
    return DONE;
}
