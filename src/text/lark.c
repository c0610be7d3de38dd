/* SPDX-License-Identifier: Apache-2.0
 *
 * text/lark.c: see lark.h. The language is that of Lark's documentation (grammar.md), with what llguidance adds to it (docs/syntax.md).
 *
 * One pass: each rule becomes one line of GBNF (text/gbnf.h), on the line on which it stood, so that what is found wrong later is told with the
 * right number. Names of common terminals and what %ignore names come behind the last line. Nesting is bounded; nothing is kept but the output. */
#include "text/lark.h"

#include "base/json.h"
#include "base/utf8.h"

enum { DEPTH_MAX = 100, IMPORTS_MAX = 64, NAME_MAX_BYTES = 100 };

struct read {
    struct str text;
    size_t at, line;
    struct lar_err *err;
    int failed, depth, terminal; /* terminal: in the body of one */
    struct buf *out, late, schema, ignore;
    size_t written, nschema; /* lines; %json */
    int ignores, started;
    struct str import[IMPORTS_MAX];
    size_t nimport;
};

static int fail(struct read *r, int code, const char *what, struct str name)
{
    if (!r->failed)
        r->failed = lar_fail(r->err, code, "the grammar, line %zu: %.*s%s%s", r->line,
                             STR_ARG(name), name.n ? ": " : "", what);
    return r->failed;
}

static int refuse(struct read *r, const char *name)
{
    return fail(r, LAR_EUNSUPPORTED, "is not supported", str_of(name));
}

/* ---- characters ---- */

static int peek(const struct read *r, size_t i)
{
    return r->at + i < r->text.n ? (unsigned char)r->text.p[r->at + i] : -1;
}

/* White space and comments; over ends of lines too when the next line goes on with | or ) or ]. */
static void skip(struct read *r, int lines)
{
    for (int c; (c = peek(r, 0)) >= 0;) {
        if (c == '#' || (c == '/' && peek(r, 1) == '/'))
            while (peek(r, 0) >= 0 && peek(r, 0) != '\n') r->at++;
        else if (c == '\n' && lines)
            r->line++, r->at++;
        else if (c == ' ' || c == '\t' || c == '\r')
            r->at++;
        else
            return;
    }
}

/* At the end of a line: does the next one that says anything go on with the rule? */
static void go_on(struct read *r)
{
    size_t at = r->at, line = r->line;
    skip(r, 1);
    int c = peek(r, 0);
    if (c != '|' && c != ')' && c != ']' && !(r->depth > 1 && c >= 0)) r->at = at, r->line = line;
}

static int is_word(int c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

static struct str word(struct read *r)
{
    size_t from = r->at;
    while (is_word(peek(r, 0))) r->at++;
    struct str s = {r->text.p + from, r->at - from};
    if (s.n > NAME_MAX_BYTES) fail(r, LAR_ELIMIT, "a name that is too long", (struct str){s.p, 20});
    return s;
}

static int is_terminal(struct str name)
{
    size_t i = 0;
    while (i < name.n && name.p[i] == '_') i++;
    return i < name.n && name.p[i] >= 'A' && name.p[i] <= 'Z';
}

/* Its own name; GBNF's root is ours. */
static void put_name(struct buf *b, struct str w)
{
    buf_str(b, w);
    if (str_is(w, "root")) buf_putc(b, '-');
}

static void quote(struct buf *b, struct str s)
{
    buf_putc(b, '"');
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c == '"' || c == '\\') buf_putc(b, '\\');
        if (c < 0x20 || c == 0x7f)
            buf_printf(b, "\\x%02x", c);
        else
            buf_putc(b, (char)c);
    }
    buf_putc(b, '"');
}

/* ---- strings and expressions ---- */

/* The characters of a string; escapes as Python has them. */
static void string(struct read *r, struct buf *b)
{
    static const char from[] = "nrtfv0\\\"'/", to[] = "\n\r\t\f\v\0\\\"'/";
    r->at++;
    for (int c; (c = peek(r, 0)) != '"' && !r->failed; r->at++) {
        if (c < 0 || c == '\n') fail(r, LAR_EFORMAT, "a string without its end", STR(""));
        if (c != '\\') {
            buf_putc(b, (char)c);
            continue;
        }
        int e = peek(r, 1), digits = e == 'x' ? 2 : e == 'u' ? 4 : e == 'U' ? 8 : 0;
        const char *k = e > 0 ? strchr(from, e) : NULL;
        uint32_t cp = 0;
        char t[4];
        for (int i = 0; i < digits; i++) {
            int d = peek(r, 2 + (size_t)i);
            d = d >= '0' && d <= '9'                 ? d - '0'
                : (d | 32) >= 'a' && (d | 32) <= 'f' ? (d | 32) - 'a' + 10
                                                     : -1;
            if (d < 0) fail(r, LAR_EFORMAT, "a hexadecimal digit is missing", STR(""));
            cp = cp << 4 | (uint32_t)(d < 0 ? 0 : d);
        }
        if (cp > 0x10ffff || (cp >= 0xd800 && cp < 0xe000))
            fail(r, LAR_EFORMAT, "an escape that is no character", STR(""));
        if (!digits && !k) fail(r, LAR_EFORMAT, "an escape that is not known", STR(""));
        if (!r->failed && digits)
            buf_add(b, t, utf8_encode(cp, t));
        else if (!r->failed)
            buf_putc(b, to[k - from]);
        r->at += 1 + (size_t)digits;
    }
    r->at++;
}

static void any_case(struct buf *out, struct str s)
{
    for (size_t i = 0, n; i < s.n; i += n) {
        unsigned char c = (unsigned char)s.p[i];
        for (n = 1; i + n < s.n && ((unsigned char)s.p[i + n] & 0xc0) == 0x80;) n++;
        if ((c | 32) >= 'a' && (c | 32) <= 'z')
            buf_printf(out, " [%c%c]", c | 32, c & ~32);
        else
            buf_putc(out, ' '), quote(out, (struct str){s.p + i, n});
    }
}

/* "text", "text"i, or the range "a".."z". */
static void literal(struct read *r, struct buf *out)
{
    struct buf a = {0}, z = {0};
    uint32_t lo = 0, hi = 0;
    string(r, &a);
    if (peek(r, 0) == '.' && peek(r, 1) == '.') {
        r->at += 2;
        if (peek(r, 0) != '"') fail(r, LAR_EFORMAT, "a range without its end", STR(""));
        if (!r->failed) string(r, &z);
        int one = !r->failed && utf8_decode(a.p, a.n, &lo) == a.n && a.n &&
                  utf8_decode(z.p, z.n, &hi) == z.n && z.n;
        if (!r->failed && (!one || lo > hi))
            fail(r, LAR_EFORMAT, "a range needs two characters in order", STR(""));
        buf_printf(out, "[\\U%08x-\\U%08x]", lo, hi);
    } else if (peek(r, 0) == 'i' && !is_word(peek(r, 1))) {
        r->at++;
        buf_puts(out, "( \"\"");
        any_case(out, buf_view(&a));
        buf_puts(out, " )");
    } else
        quote(out, buf_view(&a));
    out->failed |= a.failed | z.failed;
    buf_done(&a);
    buf_done(&z);
}

/* What one escape of Python's means in ECMA-262 with the u flag, which knows no needless ones. */
static void escape(struct buf *b, int c, int in_class)
{
    if (c > ' ' && c < 0x7f && strchr("\"'#@!%&,:;<>=_`~", c))
        buf_putc(b, (char)c);
    else if (c == '-' && !in_class)
        buf_putc(b, '-');
    else
        buf_putc(b, '\\'), buf_putc(b, (char)c);
}

static void expression(struct read *r, struct buf *out)
{
    struct buf b = {0};
    size_t from = ++r->at;
    int in_class = 0, fold = 0, all = 0, c;
    for (; (c = peek(r, 0)) != '/' && c >= 0 && c != '\n'; r->at++) r->at += c == '\\';
    if (c != '/') fail(r, LAR_EFORMAT, "an expression without its end", STR(""));
    size_t end = r->at++;
    for (; (c = peek(r, 0)) >= 'a' && c <= 'z' && !r->failed; r->at++) {
        if (c != 'i' && c != 's' && c != 'u')
            fail(r, LAR_EUNSUPPORTED, "this flag of an expression is not supported",
                 (struct str){r->text.p + r->at, 1});
        fold |= c == 'i';
        all |= c == 's';
    }
    for (size_t i = from; i < end && !r->failed; i++) {
        char k = r->text.p[i];
        if (k == '\\' && i + 1 < end)
            escape(&b, (unsigned char)r->text.p[++i], in_class);
        else if (all && k == '.' && !in_class)
            buf_puts(&b, "[^]");
        else if (fold && ((k | 32) >= 'a' && (k | 32) <= 'z')) {
            if (in_class) {
                fail(r, LAR_EUNSUPPORTED, "the flag i beside letters in a class is not supported",
                     STR(""));
                break;
            }
            buf_printf(&b, "[%c%c]", k | 32, k & ~32);
        } else
            buf_putc(&b, k);
        if (k == '[') in_class = 1;
        if (k == ']') in_class = 0;
    }
    buf_putc(out, '/');
    quote(out, buf_view(&b));
    out->failed |= b.failed;
    buf_done(&b);
}

/* %json {...}: a value of that schema. */
static void json_value(struct read *r, struct buf *out)
{
    struct arena a;
    size_t from, depth = 0, n = 0;
    int quoted = 0;
    skip(r, 1);
    from = r->at;
    for (int c; (c = peek(r, 0)) >= 0; r->at++) {
        if (quoted && c == '\\')
            r->at++;
        else if (c == '"')
            quoted = !quoted;
        else if (c == '\n')
            n++;
        else if (!quoted && (c == '{' || c == '}') && (c == '{' ? ++depth : --depth) == 0)
            break;
    }
    if (peek(r, 0) != '}') {
        fail(r, LAR_EFORMAT, "a schema in braces is expected", STR("%json"));
        return;
    }
    struct str s = {r->text.p + from, ++r->at - from};
    struct lar_err why = {0};
    arena_init(&a, (size_t)64 << 20);
    if (!json_parse(&a, s, &why)) fail(r, LAR_EFORMAT, why.msg, STR("%json"));
    arena_done(&a);
    if (r->failed) return;
    r->line += n;
    buf_printf(&r->schema, "%s\"%zu\":", r->nschema ? "," : "", r->nschema);
    buf_str(&r->schema, s);
    buf_printf(out, "@%zu", r->nschema++);
}

/* ---- bodies ---- */

static void alternatives(struct read *r, struct buf *out, struct str self);

static void group(struct read *r, struct buf *out, char close)
{
    buf_puts(out, "( ");
    r->at++;
    alternatives(r, out, (struct str){"", 0});
    skip(r, 1);
    if (peek(r, 0) != close) fail(r, LAR_EFORMAT, "a parenthesis is not closed", STR(""));
    r->at++;
    buf_puts(out, close == ']' ? " )?" : " )");
}

static void name(struct read *r, struct buf *out)
{
    struct str w = word(r);
    if (peek(r, 0) == '{' && !(peek(r, 1) >= '0' && peek(r, 1) <= '9') && peek(r, 1) != ',')
        refuse(r, "a template of rules");
    if (is_word(peek(r, 0)) == 0 && peek(r, 0) == '.' && peek(r, 1) != '.')
        refuse(r, "a name with a point");
    put_name(out, w);
}

/* One thing that may be repeated. Terminals take along what may stand behind them. */
static void primary(struct read *r, struct buf *out)
{
    int c = peek(r, 0), between = r->ignores && !r->terminal;
    struct str rest = str_from(r->text, r->at);
    if (c == '(' || c == '[') {
        group(r, out, c == '(' ? ')' : ']');
        return;
    }
    struct buf b = {0};
    if (c == '"')
        literal(r, &b);
    else if (c == '/')
        expression(r, &b);
    else if (is_word(c)) {
        size_t from = r->at;
        name(r, &b);
        between &= is_terminal((struct str){r->text.p + from, r->at - from});
    } else if (str_starts(rest, STR("%json")))
        r->at += 5, json_value(r, &b);
    else if (c == '%') {
        r->at++;
        struct str w = word(r);
        fail(r, LAR_EUNSUPPORTED, "is not supported", (struct str){w.p - 1, w.n + 1});
    } else if (c == '<')
        refuse(r, "a token by name");
    else if (c == '~' || c == '&')
        refuse(r, c == '~' ? "a negation of terminals" : "an intersection of terminals");
    else
        fail(r, LAR_EFORMAT, "a string, an expression, a name or a parenthesis is expected",
             STR(""));
    if (between) buf_puts(out, "( ");
    buf_str(out, buf_view(&b));
    if (between) buf_puts(out, " lark-between )");
    out->failed |= b.failed;
    buf_done(&b);
}

static size_t number(struct read *r)
{
    size_t v = 0, n = 0;
    for (; peek(r, 0) >= '0' && peek(r, 0) <= '9' && n < 7; n++, r->at++)
        v = v * 10 + (size_t)(peek(r, 0) - '0');
    if (n == 0 || n == 7) fail(r, LAR_EFORMAT, "a number up to a million is expected", STR(""));
    return v;
}

/* ? * + {m,n} ~n ~n..m; gives whether there was one. */
static int repetition(struct read *r, struct buf *out)
{
    int c = peek(r, 0);
    if (c == '?' || c == '*' || c == '+') {
        r->at++;
        buf_putc(out, (char)c);
        return 1;
    }
    if (c != '~' && c != '{') return 0;
    r->at++;
    skip(r, 0);
    size_t lo = c == '{' && peek(r, 0) == ',' ? 0 : number(r);
    skip(r, 0);
    int more = c == '~' ? peek(r, 0) == '.' && peek(r, 1) == '.' : peek(r, 0) == ',';
    buf_printf(out, "{%zu", lo);
    if (more) {
        r->at += c == '~' ? 2 : 1;
        skip(r, 0);
        buf_putc(out, ',');
        if (c == '~' || peek(r, 0) != '}') buf_printf(out, "%zu", number(r));
    }
    buf_putc(out, '}');
    skip(r, 0);
    if (c == '{' && peek(r, 0) != '}') fail(r, LAR_EFORMAT, "a } is missing", STR(""));
    r->at += c == '{';
    return 1;
}

/* Things in a row. 1 when the first of them is the rule itself, which then is left out of what is written. */
static int sequence(struct read *r, struct buf *out, struct str self)
{
    int first = 1, recursive = 0;
    buf_puts(out, "\"\"");
    while (!r->failed) {
        skip(r, 0);
        if (peek(r, 0) == '\n' || peek(r, 0) == '\r') go_on(r);
        int c = peek(r, 0);
        if (c < 0 || c == '|' || c == ')' || c == ']' || c == '\n') break;
        if (c == '-' && peek(r, 1) == '>') { /* an alias */
            r->at += 2;
            skip(r, 0);
            word(r);
            continue;
        }
        size_t from = r->at, before = out->n;
        buf_putc(out, ' ');
        primary(r, out);
        int is_self = first && self.n && str_eq((struct str){r->text.p + from, r->at - from}, self);
        skip(r, 0);
        if (repetition(r, out)) is_self = 0;
        if (is_self) recursive = 1, out->n = before;
        first = 0;
    }
    return recursive;
}

/* self n > 0: the body of the rule of this name: a: a x | y is y x*. */
static void alternatives(struct read *r, struct buf *out, struct str self)
{
    struct buf again = {0}, one = {0};
    int n = 0, nagain = 0;
    if (++r->depth > DEPTH_MAX) fail(r, LAR_ELIMIT, "parentheses in one another too deep", STR(""));
    if (self.n) buf_puts(out, "( ");
    while (!r->failed) {
        buf_clear(&one);
        skip(r, r->depth > 1);
        int recursive = sequence(r, &one, self);
        struct buf *to = recursive ? &again : out;
        if (recursive ? nagain++ : n++) buf_puts(to, " | ");
        buf_str(to, buf_view(&one));
        if (peek(r, 0) != '|') break;
        r->at++;
    }
    if (self.n) buf_puts(out, " )");
    if (nagain && !n) fail(r, LAR_EFORMAT, "a rule that only begins with itself", self);
    if (nagain) {
        buf_puts(out, " ( ");
        buf_str(out, buf_view(&again));
        buf_puts(out, " )*");
    }
    out->failed |= again.failed | one.failed;
    buf_done(&again);
    buf_done(&one);
    r->depth--;
}

/* ---- lines ---- */

static const struct common {
    const char *name, *rx;
} common[] = {
    {"DIGIT", "[0-9]"},
    {"HEXDIGIT", "[a-fA-F0-9]"},
    {"INT", "[0-9]+"},
    {"SIGNED_INT", "[+\\-]?[0-9]+"},
    {"DECIMAL", "[0-9]+\\.[0-9]*|\\.[0-9]+"},
    {"FLOAT", "[0-9]+[eE][+\\-]?[0-9]+|([0-9]+\\.[0-9]*|\\.[0-9]+)([eE][+\\-]?[0-9]+)?"},
    {"SIGNED_FLOAT",
     "[+\\-]?([0-9]+[eE][+\\-]?[0-9]+|([0-9]+\\.[0-9]*|\\.[0-9]+)([eE][+\\-]?[0-9]+)?)"},
    {"NUMBER", "([0-9]+(\\.[0-9]*)?|\\.[0-9]+)([eE][+\\-]?[0-9]+)?"},
    {"SIGNED_NUMBER", "[+\\-]?([0-9]+(\\.[0-9]*)?|\\.[0-9]+)([eE][+\\-]?[0-9]+)?"},
    {"ESCAPED_STRING", "\"([^\"\\\\\\n]|\\\\[^\\n])*\""},
    {"LCASE_LETTER", "[a-z]"},
    {"UCASE_LETTER", "[A-Z]"},
    {"LETTER", "[a-zA-Z]"},
    {"WORD", "[a-zA-Z]+"},
    {"CNAME", "[_a-zA-Z][_a-zA-Z0-9]*"},
    {"WS_INLINE", "[ \\t]+"},
    {"WS", "[ \\t\\f\\r\\n]+"},
    {"CR", "\\r"},
    {"LF", "\\n"},
    {"NEWLINE", "(\\r?\\n)+"},
    {"SH_COMMENT", "#[^\\n]*"},
    {"CPP_COMMENT", "//[^\\n]*"},
    {"SQL_COMMENT", "--[^\\n]*"},
    {"C_COMMENT", "/\\*([^*]|\\*+[^*/])*\\*+/"},
};

static void import_one(struct read *r, struct str w, struct str as)
{
    const struct common *c = NULL;
    for (size_t i = 0; i < sizeof common / sizeof *common; i++)
        if (str_is(w, common[i].name)) c = &common[i];
    if (!c) {
        fail(r, LAR_EUNSUPPORTED, "is not among the common terminals", w);
        return;
    }
    for (size_t i = 0; i < r->nimport; i++)
        if (str_eq(r->import[i], as)) return;
    if (r->nimport == IMPORTS_MAX) {
        fail(r, LAR_ELIMIT, "too many imports", w);
        return;
    }
    r->import[r->nimport++] = as;
    put_name(&r->late, as);
    buf_puts(&r->late, " ::= /");
    quote(&r->late, str_of(c->rx));
    buf_putc(&r->late, '\n');
}

/* common.NAME, common.NAME -> OTHER, common (A, B) */
static void import(struct read *r)
{
    struct str lib = word(r);
    if (!str_is(lib, "common")) {
        fail(r, LAR_EUNSUPPORTED, "only %import common is supported", lib);
        return;
    }
    if (peek(r, 0) == '.') {
        r->at++;
        struct str w = word(r), as = w;
        skip(r, 0);
        if (peek(r, 0) == '-' && peek(r, 1) == '>') {
            r->at += 2;
            skip(r, 0);
            as = word(r);
        }
        import_one(r, w, as);
        return;
    }
    skip(r, 0);
    if (peek(r, 0) != '(')
        fail(r, LAR_EFORMAT, "names in parentheses are expected", STR("%import"));
    r->at++;
    for (skip(r, 1); peek(r, 0) != ')' && !r->failed; skip(r, 1)) {
        struct str w = word(r);
        import_one(r, w, w);
        skip(r, 1);
        if (peek(r, 0) == ',') r->at++;
    }
    r->at++;
}

static void directive(struct read *r, int first_pass)
{
    size_t from = r->at++;
    struct str w = word(r);
    skip(r, 0);
    if (str_is(w, "import"))
        import(r);
    else if (str_is(w, "ignore")) {
        struct buf b = {0};
        int was = r->terminal;
        r->terminal = 1;
        r->ignores = 1;
        alternatives(r, &b, (struct str){"", 0});
        r->terminal = was;
        if (!first_pass)
            buf_puts(&r->ignore, r->ignore.n ? " | ( " : "( "), buf_str(&r->ignore, buf_view(&b)),
                buf_puts(&r->ignore, " )");
        buf_done(&b);
    } else if (str_is(w, "llguidance") && peek(r, 0) == '{' && peek(r, 1) == '}')
        r->at += 2;
    else
        fail(r, LAR_EUNSUPPORTED, "is not supported", (struct str){r->text.p + from, w.n + 1});
}

static void rule(struct read *r, int first_pass)
{
    struct buf b = {0};
    size_t line = r->line;
    while (peek(r, 0) == '?' || peek(r, 0) == '!') r->at++;
    struct str w = word(r);
    r->terminal = is_terminal(w);
    if (!w.n) fail(r, LAR_EFORMAT, "a rule, a terminal or a directive is expected", STR(""));
    if (peek(r, 0) == '{') refuse(r, "a template of rules");
    if (peek(r, 0) == '[') refuse(r, "a rule's attribute");
    if (peek(r, 0) == '.') r->at++, number(r);
    skip(r, 0);
    if (peek(r, 0) != ':') fail(r, LAR_EFORMAT, "a colon is expected", w);
    r->at++;
    r->started |= str_is(w, "start");
    if (!r->failed) alternatives(r, &b, w);
    for (; !first_pass && r->written < line; r->written++) buf_putc(r->out, '\n');
    if (!first_pass) {
        put_name(r->out, w);
        buf_puts(r->out, " ::= ");
        buf_str(r->out, buf_view(&b));
        r->out->failed |= b.failed;
    }
    buf_done(&b);
}

/* The first pass only looks for mistakes and for %ignore, which may stand behind the rules that it changes. */
static int pass(struct read *r, int first_pass)
{
    r->at = 0;
    r->line = 1;
    for (skip(r, 1); r->at < r->text.n && !r->failed; skip(r, 1)) {
        r->depth = 0;
        if (peek(r, 0) == '%')
            directive(r, first_pass);
        else
            rule(r, first_pass);
        skip(r, 0);
        if (!r->failed && peek(r, 0) >= 0 && peek(r, 0) != '\n')
            fail(r, LAR_EFORMAT, "what stands here belongs to no rule", STR(""));
    }
    if (!r->failed && !r->started) fail(r, LAR_EFORMAT, "there is no rule start", STR(""));
    return r->failed;
}

static void done(struct read *r)
{
    buf_done(&r->late);
    buf_done(&r->schema);
    buf_done(&r->ignore);
}

int lark_read(struct str text, struct buf *out, struct lar_err *err)
{
    struct buf rules = {0};
    struct read first = {.text = text, .err = err, .out = &rules};
    int rc = pass(&first, 1);
    struct read r = {
        .text = text, .err = err, .out = &rules, .written = 1, .ignores = first.ignores};
    if (rc == 0) rc = pass(&r, 0);
    if (rc == 0) {
        buf_putc(&rules, '\n');
        buf_str(&rules, buf_view(&r.late));
        if (r.ignores)
            buf_puts(&rules, "lark-between ::= ( "), buf_str(&rules, buf_view(&r.ignore)),
                buf_puts(&rules, " )*\n");
        buf_puts(&rules, r.ignores ? "root ::= lark-between start\n" : "root ::= start\n");
        buf_puts(out, "{\"grammar\":");
        buf_json_str(out, buf_view(&rules));
        buf_puts(out, ",\"schema\":{\"type\":\"object\",\"properties\":{");
        buf_str(out, buf_view(&r.schema));
        buf_puts(out, "}}}");
        if (out->failed || rules.failed || r.schema.failed || r.late.failed || r.ignore.failed)
            rc = lar_fail(err, LAR_ENOMEM, "out of memory");
    }
    done(&first);
    done(&r);
    buf_done(&rules);
    return rc;
}
