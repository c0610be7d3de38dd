/* SPDX-License-Identifier: Apache-2.0
 *
 * text/template_lex.c: the text of a template into tokens, one at a time.
 *
 * The white space rules live here, as Jinja has them with trim_blocks and lstrip_blocks on: one
 * newline after a block tag or comment goes; blanks between the start of a line and a block tag or
 * comment go; '-' in a tag takes all white space on its side, '+' keeps it; {{ }} takes nothing
 * unless told. Comments and {% raw %} never leave this file.
 */
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "text/template_ast.h"
#include "text/template_char.h"

// clang-format off
static const char *const words[] = {
    [T_EOF] = "end of template",
    [T_TEXT] = "template text",
    [T_PRINT] = "begin of print statement",
    [T_PRINT_END] = "end of print statement",
    [T_BLOCK] = "begin of statement block",
    [T_BLOCK_END] = "end of statement block",
    [T_NAME] = "name",
    [T_STRING] = "string",
    [T_INTEGER] = "integer",
    [T_FLOAT] = "float",
    [T_ADD] = "+", [T_SUB] = "-", [T_MUL] = "*", [T_DIV] = "/", [T_FLOORDIV] = "//", [T_MOD] = "%",
    [T_POW] = "**", [T_TILDE] = "~", [T_EQ] = "==", [T_NE] = "!=", [T_LT] = "<", [T_LE] = "<=",
    [T_GT] = ">", [T_GE] = ">=", [T_ASSIGN] = "=", [T_DOT] = ".", [T_COLON] = ":", [T_PIPE] = "|",
    [T_COMMA] = ",", [T_SEMICOLON] = ";", [T_LPAREN] = "(", [T_RPAREN] = ")", [T_LBRACKET] = "[",
    [T_RBRACKET] = "]", [T_LBRACE] = "{", [T_RBRACE] = "}",
    [T_BAD] = "error",
};
// clang-format on

const char *tpl_lex_describe(enum tpl_token type) { return words[type]; }

void tpl_lex_where(const struct template *t, uint32_t at, unsigned *line, unsigned *column)
{
    size_t start = 0, n = at < t->source.n ? at : t->source.n;
    *line = *column = 1;
    for (size_t i = 0; i < n; i++)
        if (t->source.p[i] == '\n') start = i + 1, ++*line;
    for (size_t i = start; i < n; i++) *column += ((unsigned char)t->source.p[i] & 0xc0) != 0x80;
}

/* "\r\n" and "\r" become "\n", and one newline at the end goes. */
int tpl_lex_source(struct tpl_parse *p, struct str source)
{
    if (source.n > TPL_SOURCE_MAX)
        return lar_fail(p->r.err, LAR_ELIMIT, "a template of %zu bytes; the limit is %d", source.n,
                        TPL_SOURCE_MAX);
    if (!utf8_valid(source.p, source.n))
        return lar_fail(p->r.err, LAR_EFORMAT, "the template is not valid UTF-8");
    char *w = tpl_alloc(&p->r, source.n + 1);
    size_t n = 0;
    if (!w) return -1;
    for (size_t i = 0; i < source.n; i++) {
        char c = source.p[i];
        if (c == '\r') {
            c = '\n';
            if (i + 1 < source.n && source.p[i + 1] == '\n') i++;
        }
        w[n++] = c;
    }
    if (n && w[n - 1] == '\n') n--;
    p->t->source = (struct str){w, n};
    return 0;
}

static int bad(struct tpl_parse *p, struct tpl_tok *tok, size_t at, const char *what)
{
    tpl_parse_fail(p, (uint32_t)at, "%s", what);
    tok->type = T_BAD;
    return -1;
}

static int has(struct str s, size_t at, const char *z)
{
    size_t n = strlen(z);
    return at <= s.n && s.n - at >= n && memcmp(s.p + at, z, n) == 0;
}

static size_t skip_space(struct str s, size_t at)
{
    uint32_t cp;
    while (at < s.n) {
        if (s.p[at] > ' ' && (unsigned char)s.p[at] < 0x80) break; /* most are ASCII */
        size_t k = utf8_decode(s.p + at, s.n - at, &cp);
        if (!k || !tpl_char_is(cp, TPL_SPACE)) break;
        at += k;
    }
    return at;
}

/* The end of a block tag or comment at `at` ("%}" or "#}"): where the text goes on, or 0. */
static size_t tag_end(struct str s, size_t at, const char *end)
{
    if (at < s.n && s.p[at] == '+' && has(s, at + 1, end)) return at + 3;
    if (at < s.n && s.p[at] == '-' && has(s, at + 1, end)) return skip_space(s, at + 3);
    if (!has(s, at, end)) return 0;
    return at + 2 < s.n && s.p[at + 2] == '\n' ? at + 3 : at + 2;
}

/* {% raw %} at `at`: where its text begins, or 0. */
static size_t raw_begin(struct str s, size_t at)
{
    at += 2;
    if (at < s.n && (s.p[at] == '-' || s.p[at] == '+')) at++;
    at = skip_space(s, at);
    if (!has(s, at, "raw")) return 0;
    at = skip_space(s, at + 3);
    if (has(s, at, "-%}")) return skip_space(s, at + 3);
    return has(s, at, "%}") ? at + 2 : 0;
}

/* {% endraw %} at `at`: where the text goes on, or 0; *sign is its '-', '+' or 0. */
static size_t raw_end(struct str s, size_t at, char *sign)
{
    at += 2;
    *sign = at < s.n && (s.p[at] == '-' || s.p[at] == '+') ? s.p[at++] : 0;
    at = skip_space(s, at);
    return has(s, at, "endraw") ? tag_end(s, skip_space(s, at + 6), "%}") : 0;
}

/* The text from..to before a tag with this sign, as its white space rules leave it. */
static struct str before_tag(struct str s, size_t from, size_t to, char sign, int print)
{
    struct str text = {s.p + from, to - from};
    if (sign == '-') return tpl_str_strip(text, NULL, 0, 1);
    if (sign == '+' || print) return text;
    size_t line = text.n;
    while (line && text.p[line - 1] != '\n') line--;
    int starts = line > 0 || from == 0 || s.p[from - 1] == '\n';
    if (starts && line < text.n && skip_space(text, line) == text.n) text.n = line;
    return text;
}

static size_t find_tag(struct str s, size_t at)
{
    while (at + 1 < s.n) {
        const char *q = memchr(s.p + at, '{', s.n - at - 1);
        if (!q) break;
        if (q[1] == '{' || q[1] == '%' || q[1] == '#') return (size_t)(q - s.p);
        at = (size_t)(q - s.p) + 1;
    }
    return s.n;
}

/* The text of {% raw %}, from p->pos on. */
static int raw_text(struct tpl_parse *p, struct tpl_tok *tok)
{
    struct str s = p->t->source;
    size_t from = p->pos;
    for (size_t at = find_tag(s, from); at < s.n; at = find_tag(s, at + 1)) {
        char sign;
        size_t end = s.p[at + 1] == '%' ? raw_end(s, at, &sign) : 0;
        if (!end) continue;
        tok->text = before_tag(s, from, at, sign, 0);
        tok->at = (uint32_t)from;
        p->pos = end;
        return 0;
    }
    if (from < s.n) return bad(p, tok, from, "this {% raw %} has no {% endraw %}");
    p->pos = s.n;
    return 0;
}

static int comment(struct tpl_parse *p, struct tpl_tok *tok, size_t at)
{
    struct str s = p->t->source;
    size_t from = at + 2;
    if (from < s.n && (s.p[from] == '-' || s.p[from] == '+')) from++;
    for (size_t i = from; i < s.n; i++) {
        size_t end = s.p[i] == '#' || s.p[i] == '-' || s.p[i] == '+' ? tag_end(s, i, "#}") : 0;
        if (end) return p->pos = end, 0;
    }
    if (from < s.n) return bad(p, tok, at, "this comment has no end");
    p->pos = s.n;
    return 0;
}

/* Outside of tags: the text up to the next tag, or the beginning of the tag that stands here. */
static int text_token(struct tpl_parse *p, struct tpl_tok *tok)
{
    struct str s = p->t->source;
    for (;;) {
        size_t from = p->pos, at = p->at_tag ? from : find_tag(s, from), begin;
        *tok = (struct tpl_tok){.type = T_EOF, .at = (uint32_t)from};
        if (from >= s.n) return 0;
        char sign = at + 2 < s.n && (s.p[at + 2] == '-' || s.p[at + 2] == '+') ? s.p[at + 2] : 0;
        if (!p->at_tag) {
            tok->text = at < s.n ? before_tag(s, from, at, sign, s.p[at + 1] == '{')
                                 : (struct str){s.p + from, s.n - from};
            p->pos = at;
            p->at_tag = at < s.n;
        } else if (s.p[at + 1] == '#') {
            p->at_tag = 0;
            if (comment(p, tok, at)) return -1;
        } else if (s.p[at + 1] == '%' && (begin = raw_begin(s, at))) {
            p->at_tag = 0;
            p->pos = begin;
            if (raw_text(p, tok)) return -1;
        } else {
            p->at_tag = 0;
            p->mode = tok->type = s.p[at + 1] == '{' ? T_PRINT : T_BLOCK;
            p->pos = at + 2 + (sign != 0);
            return 0;
        }
        if (tok->text.n) {
            tok->type = T_TEXT;
            return 0;
        }
    }
}

/* ---- inside tags ---- */

static int digit(struct str s, size_t at) { return at < s.n && s.p[at] >= '0' && s.p[at] <= '9'; }

/* Digits with single underscores between: the end, `at` when there are none. */
static size_t digits(struct str s, size_t at)
{
    while (digit(s, at) || (at < s.n && s.p[at] == '_' && digit(s, at - 1) && digit(s, at + 1)))
        at++;
    return at;
}

static size_t float_end(struct str s, size_t at)
{
    size_t end = digits(s, at), whole = end;
    if (at && s.p[at - 1] == '.') return 0;
    if (end < s.n && s.p[end] == '.' && digit(s, end + 1)) end = digits(s, end + 1);
    if (end < s.n && (s.p[end] == 'e' || s.p[end] == 'E')) {
        size_t e = end + 1;
        if (e < s.n && (s.p[e] == '+' || s.p[e] == '-')) e++;
        if (digit(s, e)) return digits(s, e);
    }
    return end > whole ? end : 0;
}

static int digit_of(char c, int base)
{
    int d = c >= '0' && c <= '9'                 ? c - '0'
            : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10
                                                 : 99;
    return d < base;
}

static size_t integer_end(struct str s, size_t at)
{
    static const struct {
        char letter;
        int base;
    } kinds[] = {{'b', 2}, {'o', 8}, {'x', 16}};
    for (int i = 0; i < 3 && s.p[at] == '0' && at + 2 < s.n; i++) {
        size_t e = at + 2;
        if ((s.p[at + 1] | 32) != kinds[i].letter) continue;
        for (;;) {
            size_t d = e + (e < s.n && s.p[e] == '_');
            if (d >= s.n || !digit_of(s.p[d], kinds[i].base)) break;
            e = d + 1;
        }
        if (e > at + 2) return e;
    }
    if (s.p[at] != '0') return digits(s, at);
    size_t e = at + 1; /* zeros only: "007" is three numbers to Jinja */
    while (e < s.n && (s.p[e] == '0' || (s.p[e] == '_' && e + 1 < s.n && s.p[e + 1] == '0'))) e++;
    return e;
}

static int number(struct tpl_parse *p, struct tpl_tok *tok, size_t at)
{
    struct str s = p->t->source;
    size_t end = float_end(s, at);
    tok->type = end ? T_FLOAT : T_INTEGER;
    if (!end) end = integer_end(s, at);
    struct str text = {s.p + at, end - at};
    tok->value =
        tok->type == T_FLOAT ? tpl_num_parse_float(text) : tpl_num_parse_int(&p->r, text, 0);
    p->pos = end;
    if (tpl_bad(tok->value)) return tok->type = T_BAD, -1;
    if (tok->value.kind == TPL_MISSING) return bad(p, tok, at, "not a number");
    return 0;
}

static int hex(struct str s, size_t at, size_t n, uint32_t *out)
{
    uint32_t v = 0;
    if (at > s.n || s.n - at < n) return -1;
    for (size_t i = 0; i < n; i++) {
        char c = s.p[at + i];
        if (!digit_of(c, 16)) return -1;
        v = v << 4 | (uint32_t)(c <= '9' ? c - '0' : (c | 32) - 'a' + 10);
    }
    *out = v;
    return 0;
}

/* The escape after the backslash at s.p[*at - 1]; writes to w and gives the length, or 0 with *why.
 */
static size_t escape(struct str s, size_t *at, char *w, const char **why)
{
    static const char from[] = "\\'\"abfnrtv", to[] = "\\'\"\a\b\f\n\r\t\v";
    char c = s.p[*at];
    const char *known = strchr(from, c);
    uint32_t cp = 0;
    if (c && known) return w[0] = to[known - from], ++*at, 1;
    if (c == 'x' || c == 'u' || c == 'U') {
        size_t n = c == 'x' ? 2 : c == 'u' ? 4 : 8;
        *why = "a backslash escape with too few hexadecimal digits";
        if (hex(s, *at + 1, n, &cp)) return 0;
        *at += 1 + n;
    } else if (c >= '0' && c <= '7') {
        for (int i = 0; i < 3 && *at < s.n && s.p[*at] >= '0' && s.p[*at] <= '7'; i++)
            cp = cp * 8 + (uint32_t)(s.p[(*at)++] - '0');
    } else if (c == 'N') {
        const char *close = memchr(s.p + *at, '}', s.n - *at);
        *why = "an unknown character name in \\N{...} (see doc/TEMPLATES.md for those known)";
        if (*at + 1 >= s.n || s.p[*at + 1] != '{' || !close) return 0;
        struct str name = {s.p + *at + 2, (size_t)(close - s.p) - *at - 2};
        if (!(cp = tpl_char_named(name))) return 0;
        *at = (size_t)(close - s.p) + 1;
    } else {
        size_t k = utf8_decode(s.p + *at, s.n - *at, &cp);
        w[0] = '\\'; /* unknown: the backslash stays, and Python spells out what is not ASCII */
        if (cp < 0x80) return w[1] = c, *at += k, 2;
        *at += k;
        static const char d[] = "0123456789abcdef";
        size_t n = cp < 0x100 ? 2 : cp < 0x10000 ? 4 : 8;
        w[1] = cp < 0x100 ? 'x' : cp < 0x10000 ? 'u' : 'U';
        for (size_t i = 0; i < n; i++) w[2 + i] = d[cp >> 4 * (n - 1 - i) & 15];
        return 2 + n;
    }
    *why = "a backslash escape that is no character (half a surrogate pair, or above 0x10ffff)";
    if (cp > 0x10ffff || (cp >= 0xd800 && cp < 0xe000)) return 0;
    return utf8_encode(cp, w);
}

static int string(struct tpl_parse *p, struct tpl_tok *tok, size_t at)
{
    struct str s = p->t->source;
    size_t end = at + 1, escapes = 0;
    while (end < s.n && s.p[end] != s.p[at]) {
        if (s.p[end] == '\\') escapes++, end++;
        end++;
    }
    if (end >= s.n) return bad(p, tok, at, "this string has no end");
    tok->type = T_STRING;
    p->pos = end + 1;
    struct str text = {s.p + at + 1, end - at - 1};
    if (escapes) {
        char *w = tpl_alloc(&p->r, text.n * 2 + 1); /* an escape at most doubles */
        size_t n = 0;
        if (!w) return tok->type = T_BAD, -1;
        for (size_t i = 0; i < text.n;) {
            const char *why = NULL;
            char c = text.p[i++];
            if (c != '\\') {
                w[n++] = c;
            } else if (text.p[i] == '\n') {
                i++;
            } else {
                size_t k = escape(text, &i, w + n, &why);
                if (!k) return bad(p, tok, at + i, why);
                n += k;
            }
        }
        text = (struct str){w, n};
    }
    tok->value = tpl_str_view(&p->r, text);
    if (tpl_bad(tok->value)) return tok->type = T_BAD, -1;
    tpl_str_freeze(tok->value);
    return 0;
}

static size_t name_end(struct str s, size_t at)
{
    uint32_t cp;
    while (at < s.n) {
        cp = (unsigned char)s.p[at];
        size_t k = cp < 0x80 ? 1 : utf8_decode(s.p + at, s.n - at, &cp);
        if (!k || !tpl_char_is(cp, TPL_WORD)) break;
        at += k;
    }
    return at;
}

static enum tpl_token operator_at(struct str s, size_t at, size_t *n)
{
    static const char twos[] = "//**==!=<=>=", ones[] = "+-*/%~<>=.:|,;()[]{}";
    static const uint8_t two[] = {T_FLOORDIV, T_POW, T_EQ, T_NE, T_LE, T_GE};
    static const uint8_t one[] = {T_ADD,    T_SUB,      T_MUL,      T_DIV,       T_MOD,
                                  T_TILDE,  T_LT,       T_GT,       T_ASSIGN,    T_DOT,
                                  T_COLON,  T_PIPE,     T_COMMA,    T_SEMICOLON, T_LPAREN,
                                  T_RPAREN, T_LBRACKET, T_RBRACKET, T_LBRACE,    T_RBRACE};
    *n = 2;
    for (size_t i = 0; i < sizeof two && at + 1 < s.n; i++)
        if (s.p[at] == twos[2 * i] && s.p[at + 1] == twos[2 * i + 1]) return (enum tpl_token)two[i];
    *n = 1;
    const char *q = s.p[at] ? strchr(ones, s.p[at]) : NULL;
    return q ? (enum tpl_token)one[q - ones] : T_BAD;
}

static int operator(struct tpl_parse *p, struct tpl_tok *tok, size_t at)
{
    size_t n;
    char c = p->t->source.p[at];
    tok->type = operator_at(p->t->source, at, &n);
    if (tok->type == T_BAD) return bad(p, tok, at, "an unexpected character");
    if (c == '(' || c == '[' || c == '{') {
        if (p->nclose == TPL_NEST_MAX) return bad(p, tok, at, "brackets nested too deeply");
        p->close[p->nclose++] = c == '(' ? ')' : c == '[' ? ']' : '}';
    } else if (c == ')' || c == ']' || c == '}') {
        if (!p->nclose || p->close[p->nclose - 1] != c) {
            char what[64] = "a closing bracket that nothing opened";
            if (p->nclose)
                memcpy(what, "expected '?' to close a bracket", 32),
                    what[10] = p->close[p->nclose - 1];
            return bad(p, tok, at, what);
        }
        p->nclose--;
    }
    p->pos = at + n;
    return 0;
}

static int tag_token(struct tpl_parse *p, struct tpl_tok *tok)
{
    struct str s = p->t->source;
    size_t at = skip_space(s, p->pos), end;
    *tok = (struct tpl_tok){.type = T_EOF, .at = (uint32_t)at};
    p->pos = at;
    if (at >= s.n) return 0;
    if (!p->nclose && p->mode == T_BLOCK && (end = tag_end(s, at, "%}"))) {
        tok->type = T_BLOCK_END;
        p->mode = 0;
        p->pos = end;
        return 0;
    }
    if (!p->nclose && p->mode == T_PRINT && (has(s, at, "}}") || has(s, at, "-}}"))) {
        tok->type = T_PRINT_END;
        p->mode = 0;
        p->pos = s.p[at] == '-' ? skip_space(s, at + 3) : at + 2;
        return 0;
    }
    if (digit(s, at)) return number(p, tok, at);
    if (s.p[at] == '"' || s.p[at] == '\'') return string(p, tok, at);
    if ((end = name_end(s, at)) > at) {
        uint32_t cp;
        utf8_decode(s.p + at, s.n - at, &cp);
        if (!tpl_char_is(cp, TPL_ID_START)) return bad(p, tok, at, "this cannot begin a name");
        tok->type = T_NAME;
        tok->text = (struct str){s.p + at, end - at};
        p->pos = end;
        return 0;
    }
    return operator(p, tok, at);
}

void tpl_lex_next(struct tpl_parse *p, struct tpl_tok *tok)
{
    if (p->mode ? tag_token(p, tok) : text_token(p, tok)) tok->type = T_BAD;
}
