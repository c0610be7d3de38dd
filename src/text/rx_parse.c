/* SPDX-License-Identifier: Apache-2.0
 *
 * text/rx_parse.c: the text of a regular expression (ECMA-262, as JSON Schema recommends) into the algebra of rx.h.
 *
 * What has no assertions is translated while it is read. Assertions (^ $ and look-ahead) look at what follows, so a piece that
 * holds one stays a tree, and is translated from the right: "piece, then the rest of the text in k". Then $ means that the rest is
 * empty, (?=a) that the rest is also in a and anything, (?!a) that it is not. Inside of a loop there is no such rest, and look-ahead
 * is refused there; so are look-behind, \b and back-references. */
#include "base/err.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "text/rx_impl.h"
#include "text/unicode.h"

enum { DEPTH_MAX = 100, RANGES_MAX = 2048, UNROLL_MAX = 64 };
enum part_kind { PLAIN, SEQ, EITHER, LOOP, BEGIN, END, AHEAD };
struct part {
    enum part_kind kind;
    uint32_t rx;     /* PLAIN */
    int negative;    /* AHEAD */
    uint32_t lo, hi; /* LOOP */
    struct part *child, *next;
};

struct ranges {
    uint32_t v[RANGES_MAX][2];
    size_t n;
};

struct parser {
    struct rx *p;
    struct arena a;
    struct str s;
    size_t at;
    int depth;
    int ecma;           /* a pattern of a schema: what ECMA-262 does not know is refused */
    struct ranges *set; /* work space */
    struct lar_err *err;
    int failed;
};

static struct part *fail(struct parser *q, const char *what)
{
    if (!q->failed)
        q->failed =
            lar_fail(q->err, LAR_EUNSUPPORTED, "the regular expression \"%.*s\": %s at byte %zu",
                     STR_ARG(q->s), what, q->at);
    return NULL;
}

static struct part *part(struct parser *q, enum part_kind kind)
{
    struct part *x = arena_alloc(&q->a, sizeof *x);
    if (!x && !q->failed)
        q->failed = lar_fail(q->err, LAR_ELIMIT, "a regular expression is too long");
    if (x) x->kind = kind;
    return x;
}

static struct part *plain(struct parser *q, uint32_t rx)
{
    struct part *x = part(q, PLAIN);
    if (x) x->rx = rx;
    return x;
}

static int peek(const struct parser *q)
{
    return q->at < q->s.n ? (unsigned char)q->s.p[q->at] : -1;
}
static int peek_is(const struct parser *q, const char *z)
{
    return str_starts(str_from(q->s, q->at), str_of(z));
}
static int take(struct parser *q, const char *z)
{
    if (!peek_is(q, z)) return 0;
    q->at += strlen(z);
    return 1;
}

/* ---- classes of characters ---- */

static void add_range(struct parser *q, struct ranges *r, uint32_t lo, uint32_t hi)
{
    if (r->n == RANGES_MAX)
        fail(q, "a class of too many ranges");
    else {
        r->v[r->n][0] = lo;
        r->v[r->n++][1] = hi;
    }
}

/* Sorts r and makes it what it does not hold. */
static void complement(struct parser *q, struct ranges *r)
{
    for (size_t i = 1; i < r->n; i++)
        for (size_t k = i; k > 0 && r->v[k - 1][0] > r->v[k][0]; k--)
            for (int e = 0; e < 2; e++) {
                uint32_t t = r->v[k][e];
                r->v[k][e] = r->v[k - 1][e];
                r->v[k - 1][e] = t;
            }
    uint32_t at = 0;
    size_t n = 0, old = r->n;
    struct ranges *w = arena_alloc(&q->a, sizeof *w);
    if (!w) {
        fail(q, "it is too long");
        return;
    }
    for (size_t i = 0; i < old; i++) {
        if (r->v[i][0] > at && n < RANGES_MAX) {
            w->v[n][0] = at;
            w->v[n++][1] = r->v[i][0] - 1;
        }
        if (r->v[i][1] + 1 > at) at = r->v[i][1] + 1;
    }
    if (at <= 0x10ffff && n < RANGES_MAX) {
        w->v[n][0] = at;
        w->v[n++][1] = 0x10ffff;
    }
    w->n = n;
    *r = *w;
}

/* Adds the characters of an escape that stands for a class; c is its letter. */
static void add_class(struct parser *q, struct ranges *r, int c)
{
    static const uint32_t space[][2] = {
        {9, 13},          {32, 32},         {0xa0, 0xa0},     {0x1680, 0x1680}, {0x2000, 0x200a},
        {0x2028, 0x2029}, {0x202f, 0x202f}, {0x205f, 0x205f}, {0x3000, 0x3000}, {0xfeff, 0xfeff}};
    static const uint32_t word[][2] = {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}};
    static const uint32_t digit[][2] = {{'0', '9'}};
    const uint32_t(*v)[2] = (c | 32) == 's' ? space : (c | 32) == 'w' ? word : digit;
    size_t n = (c | 32) == 's'   ? sizeof space / sizeof *space
               : (c | 32) == 'w' ? sizeof word / sizeof *word
                                 : 1;
    uint32_t at = 0;
    for (size_t i = 0; i < n; i++) {
        if (c & 32)
            add_range(q, r, v[i][0], v[i][1]);
        else if (v[i][0] > at)
            add_range(q, r, at, v[i][0] - 1);
        at = v[i][1] + 1;
    }
    if (!(c & 32)) add_range(q, r, at, 0x10ffff);
}

/* The general categories that a property's name covers, as bits; 0 when it is no category. */
static uint64_t categories(struct str name)
{
    static const char two[] = "CnLuLlLtLmLoMnMcMeNdNlNoPcPdPsPePiPfPoSmScSkSoZsZlZpCcCfCsCo";
    static const struct {
        const char *name, *code;
    } long_name[] = {{"Letter", "L"},
                     {"Mark", "M"},
                     {"Number", "N"},
                     {"Punctuation", "P"},
                     {"Symbol", "S"},
                     {"Separator", "Z"},
                     {"Other", "C"},
                     {"Uppercase_Letter", "Lu"},
                     {"Lowercase_Letter", "Ll"},
                     {"Decimal_Number", "Nd"},
                     {"digit", "Nd"},
                     {"Alphabetic", "L"},
                     {"punct", "P"},
                     {"Lowercase", "Ll"},
                     {"Uppercase", "Lu"},
                     {"Titlecase_Letter", "Lt"},
                     {"Modifier_Letter", "Lm"},
                     {"Other_Letter", "Lo"},
                     {"Letter_Number", "Nl"},
                     {"Other_Number", "No"},
                     {"Space_Separator", "Zs"},
                     {"Control", "Cc"},
                     {"Connector_Punctuation", "Pc"},
                     {"cntrl", "Cc"}};
    for (size_t i = 0; i < sizeof long_name / sizeof *long_name; i++)
        if (str_is(name, long_name[i].name)) {
            /* Alphabetic and the cases hold a few marks and symbols beside their category: not expressed, so not taken. */
            if (strstr("Alphabetic Lowercase Uppercase", long_name[i].name)) return 0;
            name = str_of(long_name[i].code);
            break;
        }
    if (str_is(name, "LC")) return 1u << UC_LU | 1u << UC_LL | 1u << UC_LT;
    uint64_t m = 0;
    for (size_t i = 0; two[i]; i += 2)
        if (name.n && name.n <= 2 && two[i] == name.p[0] &&
            (name.n == 1 || two[i + 1] == name.p[1]))
            m |= (uint64_t)1 << i / 2;
    return m;
}

/* \p{...} behind its letter. */
static void add_property(struct parser *q, struct ranges *r, int negative)
{
    size_t end = q->at;
    while (end < q->s.n && q->s.p[end] != '}') end++;
    if (peek(q) != '{' || end == q->s.n) {
        fail(q, "\\p without {name}");
        return;
    }
    struct str name = {q->s.p + q->at + 1, end - q->at - 1};
    if (str_starts(name, STR("General_Category="))) name = str_from(name, 17);
    if (str_starts(name, STR("gc="))) name = str_from(name, 3);
    int any = str_is(name, "Any"), ascii = str_is(name, "ASCII");
    uint64_t m = categories(name);
    if (!m && !any && !ascii) {
        fail(q,
             "a Unicode property that is not known here (general categories, Any and ASCII are)");
        return;
    }
    q->at = end + 1;
    uint32_t from = UINT32_MAX, turn = 0;
    for (uint32_t cp = 0; cp <= 0x110000; cp++) {
        uint32_t page = cp >> 8;
        /* A page like the one before, in which nothing changed: most are. */
        if (!(cp & 255) && cp > 0x100 && cp < 0x110000 && turn <= cp - 256 &&
            unicode_top[page] == unicode_top[page - 1]) {
            cp += 255;
            continue;
        }
        int in = cp < 0x110000 && (any || (ascii ? cp < 128 : m >> unicode_of(cp).gc & 1) != 0) &&
                 (any ? !negative : 1);
        if (cp < 0x110000 && !any) in = in != negative;
        if (in && from == UINT32_MAX) from = turn = cp;
        if (!in && from != UINT32_MAX) {
            add_range(q, r, from, cp - 1);
            from = UINT32_MAX;
            turn = cp;
        }
    }
}

static int hex(struct parser *q, int n, uint32_t *cp)
{
    *cp = 0;
    for (int i = 0; i < n; i++) {
        int c = peek(q), low = c | 32;
        if (c >= '0' && c <= '9')
            *cp = *cp * 16 + (uint32_t)(c - '0');
        else if (c > 0 && low >= 'a' && low <= 'f')
            *cp = *cp * 16 + (uint32_t)(low - 'a' + 10);
        else
            return -1;
        q->at++;
    }
    return 0;
}

/* One escaped character behind the backslash; 0 and *cp, 1 when it stands for a class (letter in *cp), -1 on failure. */
static int escape(struct parser *q, uint32_t *cp, int in_class)
{
    int c = peek(q);
    static const char from[] = "nrtfv0", to[] = "\n\r\t\f\v";
    if (c < 0) return fail(q, "a backslash at its end"), -1;
    q->at++;
    *cp = (uint32_t)c;
    if (strchr("dDsSwWpP", c)) return 1;
    const char *k = strchr(from, c);
    if (k && c) {
        *cp = (unsigned char)to[k - from];
        if (c == '0' && peek(q) >= '0' && peek(q) <= '9') return fail(q, "an octal escape"), -1;
        return 0;
    }
    if (c == 'b' && in_class) return *cp = 8, 0;
    if (c == 'c' && ((peek(q) | 32) >= 'a') && ((peek(q) | 32) <= 'z'))
        return *cp = (uint32_t)(q->s.p[q->at++] & 31), 0;
    if (c == 'x') return hex(q, 2, cp) ? (fail(q, "\\x without two hexadecimal digits"), -1) : 0;
    if (c == 'u' && take(q, "{")) {
        uint32_t v = 0, d;
        for (int i = 0; i < 6 && peek(q) != '}'; i++) {
            if (hex(q, 1, &d)) return fail(q, "a bad \\u{}"), -1;
            v = v * 16 + d;
        }
        if (!take(q, "}") || v > 0x10ffff) return fail(q, "a bad \\u{}"), -1;
        return *cp = v, 0;
    }
    if (c == 'u') {
        uint32_t low;
        if (hex(q, 4, cp)) return fail(q, "\\u without four hexadecimal digits"), -1;
        if (*cp >= 0xd800 && *cp < 0xdc00 && take(q, "\\u")) {
            if (hex(q, 4, &low) || low < 0xdc00 || low > 0xdfff)
                return fail(q, "half a surrogate pair"), -1;
            *cp = 0x10000 + ((*cp - 0xd800) << 10) + (low - 0xdc00);
        }
        return 0;
    }
    if (c == 'b' || c == 'B') return fail(q, "\\b is not supported"), -1;
    if (c >= '1' && c <= '9') return fail(q, "back-references are not supported"), -1;
    if (c == 'k') return fail(q, "back-references are not supported"), -1;
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) {
        q->at--;
        return fail(q, "an escape that ECMA-262 does not know"), -1;
    }
    if (c >= 0x80) {
        q->at--;
        size_t n = utf8_decode(q->s.p + q->at, q->s.n - q->at, cp);
        q->at += n ? n : 1;
    }
    return 0;
}

static void class_escape(struct parser *q, struct ranges *r, uint32_t letter)
{
    if ((letter | 32) == 'p')
        add_property(q, r, letter == 'P');
    else
        add_class(q, r, (int)letter);
}

static uint32_t one_char(struct parser *q)
{
    uint32_t cp = 0;
    size_t n = utf8_decode(q->s.p + q->at, q->s.n - q->at, &cp);
    if (!n) fail(q, "bytes that are no UTF-8");
    q->at += n ? n : 1;
    return cp;
}

/* [ ... ] behind its opening bracket. */
static uint32_t bracket(struct parser *q)
{
    struct ranges *r = q->set;
    int negative = take(q, "^");
    r->n = 0;
    while (!q->failed && peek(q) != ']') {
        uint32_t lo, hi;
        int e = 0;
        if (peek(q) < 0) return fail(q, "a class without its closing bracket"), RX_EMPTY;
        if (take(q, "\\"))
            e = escape(q, &lo, 1);
        else
            lo = one_char(q);
        if (e < 0 || q->failed) return RX_EMPTY;
        if (e == 1) {
            class_escape(q, r, lo);
            continue;
        }
        hi = lo;
        if (peek(q) == '-' && q->at + 1 < q->s.n && q->s.p[q->at + 1] != ']') {
            size_t dash = q->at++;
            e = 0;
            if (take(q, "\\"))
                e = escape(q, &hi, 1);
            else
                hi = one_char(q);
            if (e < 0 || q->failed) return RX_EMPTY;
            if (e == 1) { /* [a-\d]: the dash is a dash */
                q->at = dash;
                hi = lo;
                add_range(q, r, lo, lo);
                q->at++;
                add_range(q, r, '-', '-');
                continue;
            }
            if (hi < lo) return fail(q, "a range that ends before it begins"), RX_EMPTY;
        }
        add_range(q, r, lo, hi);
    }
    q->at++;
    if (negative) complement(q, r);
    return q->failed ? RX_EMPTY : rx_ranges(q->p, (const uint32_t(*)[2])r->v, r->n);
}

static uint32_t class_of(struct parser *q, uint32_t letter)
{
    q->set->n = 0;
    class_escape(q, q->set, letter);
    return q->failed ? RX_EMPTY : rx_ranges(q->p, (const uint32_t(*)[2])q->set->v, q->set->n);
}

static uint32_t char_of(struct parser *q, uint32_t cp)
{
    return rx_ranges(q->p, (const uint32_t[1][2]){{cp, cp}}, 1);
}

/* ---- the tree ---- */

static struct part *either(struct parser *q);

static struct part *group(struct parser *q)
{
    struct part *x;
    int look = 0;
    if (take(q, "?="))
        look = 1;
    else if (take(q, "?!"))
        look = 2;
    else if (peek_is(q, "?<=") || peek_is(q, "?<!"))
        return fail(q, "look-behind is not supported");
    else if (take(q, "?<")) {
        while (peek(q) >= 0 && peek(q) != '>') q->at++;
        if (!take(q, ">")) return fail(q, "a group's name without its end");
    } else if (take(q, "?:")) {
    } else if (peek(q) == '?')
        return fail(q, "flags are not supported");
    if (++q->depth > DEPTH_MAX) return fail(q, "groups nested too deep");
    x = either(q);
    q->depth--;
    if (!x) return NULL;
    if (!take(q, ")")) return fail(q, "a group without its closing parenthesis");
    if (!look) return x;
    struct part *l = part(q, AHEAD);
    if (!l) return NULL;
    l->negative = look == 2;
    l->child = x;
    return l;
}

static struct part *atom(struct parser *q)
{
    static const uint32_t dot[][2] = {{0, 9}, {11, 12}, {14, 0x2027}, {0x202a, 0x10ffff}};
    uint32_t cp;
    int c = peek(q);
    if (take(q, "(")) return group(q);
    if (take(q, "[")) return plain(q, bracket(q));
    if (take(q, ".")) return plain(q, q->p->dot = rx_ranges(q->p, dot, 4));
    if (take(q, "^")) return part(q, BEGIN);
    if (take(q, "$")) return part(q, END);
    if (take(q, "\\")) {
        /* Not of ECMA-262: the ends of the text, in expressions that stand for a whole one. */
        if (!q->ecma && take(q, "A")) return part(q, BEGIN);
        if (!q->ecma && (take(q, "Z") || take(q, "z"))) return part(q, END);
        int e = escape(q, &cp, 0);
        if (e < 0) return NULL;
        return plain(q, e == 1 ? class_of(q, cp) : char_of(q, cp));
    }
    if (c == '*' || c == '+' || c == '?') return fail(q, "a repetition of nothing");
    cp = one_char(q);
    return plain(q, char_of(q, cp));
}

static int number(struct parser *q, uint32_t *v)
{
    uint64_t n = 0;
    size_t from = q->at;
    while (peek(q) >= '0' && peek(q) <= '9') {
        n = n * 10 + (uint64_t)(peek(q) - '0');
        if (n > 1000000) n = 1000000;
        q->at++;
    }
    *v = (uint32_t)n;
    return q->at > from;
}

/* {2}, {2,} or {2,5}; anything else in braces is text. */
static int braces(struct parser *q, uint32_t *lo, uint32_t *hi)
{
    size_t at = q->at++;
    if (number(q, lo)) {
        *hi = *lo;
        if (take(q, ",") && !number(q, hi)) *hi = RX_INF;
        if (take(q, "}")) return 1;
    }
    q->at = at;
    return 0;
}

static struct part *repeat(struct parser *q, struct part *x)
{
    uint32_t lo, hi;
    for (int many = 0;; many++) {
        size_t from = q->at;
        if (take(q, "*"))
            lo = 0, hi = RX_INF;
        else if (take(q, "+"))
            lo = 1, hi = RX_INF;
        else if (take(q, "?"))
            lo = 0, hi = 1;
        else if (peek(q) != '{' || !braces(q, &lo, &hi))
            return x;
        if (many && q->ecma) return q->at = from, fail(q, "a repetition of a repetition");
        if (hi < lo) return fail(q, "a repetition whose most is less than its least");
        if (hi != RX_INF && hi > 100000) return fail(q, "a repetition of more than 100000 times");
        take(q, "?"); /* lazy or greedy: the same language */
        if (x->kind == PLAIN)
            x = plain(q, rx_rep(q->p, x->rx, lo, hi));
        else {
            struct part *l = part(q, LOOP);
            if (!l) return NULL;
            l->lo = lo;
            l->hi = hi;
            l->child = x;
            x = l;
        }
        if (!x) return NULL;
    }
}

static struct part *sequence(struct parser *q)
{
    struct part head = {0}, *last = &head;
    uint32_t run = RX_EPS, ids[64];
    size_t n = 0;
    for (;;) {
        int c = peek(q), end = c < 0 || c == '|' || c == ')';
        struct part *x = NULL;
        if (!end && (!(x = atom(q)) || !(x = repeat(q, x)))) return NULL;
        if (x && x->kind == PLAIN && n < sizeof ids / sizeof *ids) {
            ids[n++] = x->rx;
            continue;
        }
        for (run = RX_EPS; n > 0; n--) run = rx_cat(q->p, ids[n - 1], run);
        if (run != RX_EPS) {
            if (!(last->next = plain(q, run))) return NULL;
            last = last->next;
        }
        if (end) break;
        if (x->kind == PLAIN)
            ids[n++] = x->rx;
        else
            last = last->next = x;
    }
    if (!head.next) return plain(q, RX_EPS);
    if (!head.next->next) return head.next;
    int all = 1;
    for (struct part *x = head.next; x; x = x->next) all &= x->kind == PLAIN;
    struct part *s = part(q, SEQ);
    if (s) s->child = head.next;
    if (!s || !all) return s;
    size_t k = 0;
    for (struct part *x = head.next; x; x = x->next) k++;
    struct part **v = arena_array(&q->a, k, sizeof *v);
    if (!v) return fail(q, "it is too long");
    k = 0;
    for (struct part *x = head.next; x; x = x->next) v[k++] = x;
    for (run = RX_EPS; k > 0; k--) run = rx_cat(q->p, v[k - 1]->rx, run);
    return plain(q, run);
}

static struct part *either(struct parser *q)
{
    struct part *first = sequence(q), *last = first;
    int all = first && first->kind == PLAIN;
    if (!first || peek(q) != '|') return first;
    struct part *e = part(q, EITHER), *x;
    if (!e) return NULL;
    /* A part may stand in one list only: each branch gets a box of its own. */
    struct part *box = part(q, SEQ);
    if (!box) return NULL;
    box->child = first;
    e->child = last = box;
    uint32_t sum = all ? first->rx : RX_EMPTY;
    while (take(q, "|")) {
        if (!(x = sequence(q)) || !(box = part(q, SEQ))) return NULL;
        box->child = x;
        last = last->next = box;
        all = all && x->kind == PLAIN;
        if (all) sum = rx_alt(q->p, sum, x->rx);
    }
    return all ? plain(q, sum) : e;
}

/* ---- translation from the right ---- */

static int has_begin(const struct part *x)
{
    for (; x; x = x->next)
        if (x->kind == BEGIN || (x->kind != AHEAD && has_begin(x->child))) return 1;
    return 0;
}

static uint32_t then(struct parser *q, const struct part *x, uint32_t k, int start);

/* The list from x on, then k. */
static uint32_t list_then(struct parser *q, const struct part *x, uint32_t k, int start)
{
    if (!x) return k;
    if (x->kind == BEGIN) return start ? list_then(q, x->next, k, 1) : RX_EMPTY;
    if (x->kind == END || x->kind == AHEAD)
        return then(q, x, list_then(q, x->next, k, start), start);
    if (start && has_begin(x->next)) {
        if (x->kind != PLAIN) return fail(q, "^ behind a group that may be empty"), RX_EMPTY;
        uint32_t some = rx_diff(q->p, x->rx, RX_EPS);
        uint32_t r = rx_cat(q->p, some, list_then(q, x->next, k, 0));
        return rx_nullable(q->p, x->rx) ? rx_alt(q->p, r, list_then(q, x->next, k, 1)) : r;
    }
    return then(q, x, list_then(q, x->next, k, 0), start);
}

static uint32_t then(struct parser *q, const struct part *x, uint32_t k, int start)
{
    uint32_t r = RX_EMPTY;
    if (q->failed || q->p->failed) return RX_EMPTY;
    switch (x->kind) {
    case PLAIN: return rx_cat(q->p, x->rx, k);
    case SEQ: return list_then(q, x->child, k, start);
    case EITHER:
        for (const struct part *c = x->child; c; c = c->next)
            r = rx_alt(q->p, r, list_then(q, c->child, k, start));
        return r;
    case BEGIN: return start ? k : RX_EMPTY;
    case END: return rx_nullable(q->p, k) ? RX_EPS : RX_EMPTY;
    case AHEAD:
        r = then(q, x->child, RX_ALL, start);
        return x->negative ? rx_diff(q->p, k, r) : rx_and(q->p, k, r);
    case LOOP:
        if (x->hi == RX_INF || x->hi > UNROLL_MAX)
            return fail(q, "^, $ or look-ahead inside of a loop"), RX_EMPTY;
        r = x->lo == 0 ? k : RX_EMPTY;
        for (uint32_t i = 1; i <= x->hi; i++) {
            k = then(q, x->child, k, i == x->hi ? start : 0);
            if (i >= x->lo) r = rx_alt(q->p, r, k);
        }
        return r;
    }
    return RX_EMPTY;
}

int64_t rx_parse(struct rx *p, struct str pattern, int anchored, struct lar_err *err)
{
    struct parser q = {.p = p, .s = pattern, .ecma = !anchored, .err = err};
    int64_t r = -1;
    if (pattern.n > 65536)
        return lar_fail(err, LAR_ELIMIT, "a regular expression of %zu bytes; 65536 is the most",
                        pattern.n);
    arena_init(&q.a, (size_t)16 << 20);
    if (!(q.set = arena_alloc(&q.a, sizeof *q.set))) {
        arena_done(&q.a);
        return lar_fail(err, LAR_ENOMEM, "out of memory");
    }
    struct part *x = either(&q);
    if (x && q.at < pattern.n) fail(&q, "a parenthesis that nothing opened");
    if (x && !q.failed) {
        if (anchored)
            r = then(&q, x, RX_EPS, 1);
        else {
            uint32_t later = then(&q, x, RX_ALL, 0), first = then(&q, x, RX_ALL, 1);
            if (later == first)
                r = rx_cat(p, RX_ALL, first);
            else
                r = rx_alt(p, first, rx_cat(p, rx_rep(p, RX_CHAR, 1, RX_INF), later));
        }
    }
    if (!q.failed && p->failed)
        q.failed = lar_fail(err, p->failed, "the regular expression \"%.*s\" needs too much memory",
                            STR_ARG(pattern));
    arena_done(&q.a);
    return q.failed ? q.failed : r;
}
