/* SPDX-License-Identifier: Apache-2.0
 *
 * text/regex_parse.c: the text of an expression (Oniguruma 6.9, doc/RE, Ruby's syntax) to a tree, the tree to code.
 *
 * What a letter may mean is taken from that page and from asking tokenizers 0.23.3: ^ and $ are at every line, (?m) lets the dot match a line end, a{2}+
 * is no possessive form, (?i) within a branch reaches to the group's end. Refused is what has no counterpart in the code (back-references, look-behind of
 * more than one character, atomic groups of more than a class) and where a matcher's own habits would show: loops over what may be empty, and
 * (?i:) over letters that fold to more or fewer characters than one.
 */
#include "text/regex_impl.h"

#include "base/utf8.h"
#include "text/unicode.h"

#define INFINITE UINT32_MAX
enum { COUNT_MAX = 1000 };

enum kind { EMPTY, SET, SEQ, EITHER, LOOP, AHEAD, BEHIND, ASSERT };
enum greed { GREEDY, LAZY, POSSESSIVE };

struct node {
    enum kind kind;
    int negative, empty; /* empty: it may match nothing */
    enum greed greed;    /* LOOP */
    unsigned op;         /* ASSERT */
    uint32_t set, lo, hi;
    struct node *child, *next;
};

struct parser {
    struct regex *re;
    struct arena a; /* of the tree */
    struct str s;
    size_t at;
    int depth, fold, dots; /* fold: (?i); dots: (?m) */
    uint32_t last;         /* the letter before this one under (?i), or 0 */
    size_t cap_part, cap_code;
    int failed;
    struct lar_err *err;
};

static void *fail(struct parser *p, const char *what)
{
    if (!p->failed)
        p->failed = lar_fail(p->err, LAR_EUNSUPPORTED,
                             "%s at byte %zu is not known to Lar, in the expression %.*s", what,
                             p->at, STR_ARG(p->s));
    return NULL;
}

static void *nomem(struct parser *p)
{
    if (!p->failed) p->failed = lar_fail(p->err, LAR_ENOMEM, "out of memory for an expression");
    return NULL;
}

static struct node *node(struct parser *p, enum kind kind)
{
    struct node *n = arena_alloc(&p->a, sizeof *n);
    if (!n) return nomem(p);
    n->kind = kind;
    n->empty = kind != SET;
    return n;
}

static int peek(const struct parser *p)
{
    return p->at < p->s.n ? (unsigned char)p->s.p[p->at] : -1;
}

static int take(struct parser *p, const char *z)
{
    if (!str_starts(str_from(p->s, p->at), str_of(z))) return 0;
    p->at += strlen(z);
    return 1;
}

/* ---- sets ----------------------------------------------------------------------------------------------------------------- */

/* A new part; 0 when there is none. */
static uint32_t part(struct parser *p, enum regex_part kind, uint32_t a, uint32_t b)
{
    struct regex *re = p->re;
    if (re->npart == REGEX_CODE_MAX) return fail(p, "a class of so many parts"), 0u;
    re->part[re->npart] = (struct regex_set){.kind = (uint8_t)kind, .a = a, .b = b};
    return re->npart++;
}

static void join(struct parser *p, uint32_t list, uint32_t one)
{
    p->re->part[one].next = p->re->part[list].a;
    p->re->part[list].a = one;
}

static uint32_t not(struct parser * p, uint32_t one, int negative)
{
    p->re->part[one].negative ^= negative != 0;
    return one;
}

static int is_letter(uint32_t c) { return (c | 32) - 'a' < 26; }

/* From lo to hi, under (?i) with what folds to them. */
static void range(struct parser *p, uint32_t list, uint32_t lo, uint32_t hi)
{
    join(p, list, part(p, PART_RANGE, lo, hi));
    if (!p->fold) return;
    if (hi >= 0x80) fail(p, "(?i) over more than ASCII");
    for (uint32_t c = lo; c <= hi && c < 0x80; c++) {
        if (!is_letter(c)) continue;
        join(p, list, part(p, PART_RANGE, c ^ 32, c ^ 32));
        if ((c | 32) == 's') join(p, list, part(p, PART_RANGE, 0x17f, 0x17f));
        if ((c | 32) == 'k') join(p, list, part(p, PART_RANGE, 0x212a, 0x212a));
    }
}

/* The categories that a name means, as bits; 0 for none. Names are compared without case, spaces, - and _. */
static uint32_t categories(const char *name)
{
    static const char two[] = "cnlullltlmlomnmcmendnlnopcpdpspepipfposmscsksozszlzpcccfcsco";
    static const char *const long_name[][2] = {
        {"letter", "l"},
        {"mark", "m"},
        {"number", "n"},
        {"punctuation", "p"},
        {"symbol", "s"},
        {"separator", "z"},
        {"other", "c"},
        {"uppercaseletter", "lu"},
        {"lowercaseletter", "ll"},
        {"titlecaseletter", "lt"},
        {"modifierletter", "lm"},
        {"otherletter", "lo"},
        {"nonspacingmark", "mn"},
        {"spacingmark", "mc"},
        {"enclosingmark", "me"},
        {"decimalnumber", "nd"},
        {"digit", "nd"},
        {"letternumber", "nl"},
        {"othernumber", "no"},
    };
    uint32_t bits = 0;
    if (!strcmp(name, "lc")) return 1u << UC_LU | 1u << UC_LL | 1u << UC_LT;
    for (size_t i = 0; i < sizeof long_name / sizeof *long_name; i++)
        if (!strcmp(name, long_name[i][0])) name = long_name[i][1];
    size_t n = strlen(name);
    for (size_t i = 0; two[i]; i += 2)
        if ((n == 1 || n == 2) && two[i] == name[0] && (n == 1 || two[i + 1] == name[1]))
            bits |= 1u << i / 2;
    return bits;
}

/* {name} behind \p. */
static uint32_t property(struct parser *p, int negative)
{
    char name[32];
    size_t n = 0;
    if (!take(p, "{")) return fail(p, "\\p without {name}"), 0u;
    if (take(p, "^")) negative = !negative;
    for (; peek(p) >= 0 && peek(p) != '}'; p->at++) {
        int c = peek(p);
        if (c == ' ' || c == '-' || c == '_') continue;
        if (n + 1 < sizeof name) name[n++] = (char)(c >= 'A' && c <= 'Z' ? c | 32 : c);
    }
    name[n] = 0;
    if (!take(p, "}")) return fail(p, "\\p without its }"), 0u;
    uint32_t bits = categories(name), one = 0;
    if (bits)
        one = part(p, PART_GC, bits, 0);
    else if (!strcmp(name, "han"))
        one = part(p, PART_HAN, 0, 0);
    else if (!strcmp(name, "space") || !strcmp(name, "whitespace"))
        one = part(p, PART_SPACE, 0, 0);
    else if (!strcmp(name, "bertpunctuation"))
        one = part(p, PART_BERT, 0, 0); /* our own: what the step Punctuation means */
    else
        return fail(p, "this \\p (known are general categories and Han)"), 0u;
    if (p->fold &&
        bits & (1u << UC_LU | 1u << UC_LL | 1u << UC_LT | 1u << UC_LM | 1u << UC_LO | 1u << UC_MN))
        fail(p, "(?i) over more than ASCII");
    return not(p, one, negative);
}

static int hex_digits(struct parser *p, int most, uint32_t *cp)
{
    int n = 0;
    for (*cp = 0; n < most && peek(p) >= 0; n++, p->at++) {
        int c = peek(p) | 32;
        if (c >= '0' && c <= '9')
            *cp = *cp * 16 + (uint32_t)(c - '0');
        else if (c >= 'a' && c <= 'f')
            *cp = *cp * 16 + (uint32_t)(c - 'a' + 10);
        else
            break;
    }
    return n;
}

/* The character or the set (*one) that stands behind a backslash. */
static uint32_t escape(struct parser *p, uint32_t *one)
{
    static const char from[] = "nrtfvae", to[] = "\n\r\t\f\v\a\x1b";
    int c = peek(p);
    uint32_t cp = 0;
    *one = 0;
    if (c < 0) return fail(p, "a backslash at the end"), 0u;
    p->at++;
    const char *k = strchr(from, c);
    if (k) return (unsigned char)to[k - from];
    switch (c) {
    case 'd':
    case 'D': *one = not(p, part(p, PART_GC, 1u << UC_ND, 0), c == 'D'); return 0;
    case 's':
    case 'S': *one = not(p, part(p, PART_SPACE, 0, 0), c == 'S'); return 0;
    case 'w':
    case 'W':
        if (p->fold) fail(p, "(?i) over more than ASCII");
        *one = not(p, part(p, PART_WORD, 0, 0), c == 'W');
        return 0;
    case 'p':
    case 'P': *one = property(p, c == 'P'); return 0;
    case 'h':
    case 'H':
        *one = part(p, PART_ANY, 0, 0);
        join(p, *one, part(p, PART_RANGE, '0', '9'));
        join(p, *one, part(p, PART_RANGE, 'a', 'f'));
        join(p, *one, part(p, PART_RANGE, 'A', 'F'));
        not(p, *one, c == 'H');
        return 0;
    case 'x':
        if (take(p, "{") ? !hex_digits(p, 8, &cp) || !take(p, "}")
                         : !hex_digits(p, 2, &cp) || cp >= 0x80)
            fail(p, "this \\x");
        break;
    case 'u':
        if (hex_digits(p, 4, &cp) != 4) fail(p, "this \\u");
        break;
    default:
        if ((c >= '0' && c <= '9') || is_letter((uint32_t)c)) {
            p->at--;
            fail(p, "this escape");
        }
        p->at--;
        p->at += utf8_decode(p->s.p + p->at, p->s.n - p->at, &cp);
    }
    if (cp > 0x10ffff || (cp >= 0xd800 && cp < 0xe000)) fail(p, "a number that is no character");
    return cp;
}

/* A character as it stands. */
static uint32_t plain(struct parser *p)
{
    uint32_t cp = 0;
    size_t k = utf8_decode(p->s.p + p->at, p->s.n - p->at, &cp);
    if (!k) fail(p, "a byte that is no UTF-8");
    p->at += k ? k : 1;
    return cp;
}

/* [...] behind its bracket. */
static uint32_t class(struct parser *p)
{
    uint32_t list = part(p, PART_ANY, 0, 0), all = 0, one, cp;
    int negative = take(p, "^"), empty = 1;
    if (++p->depth > REGEX_DEPTH_MAX) fail(p, "so deep a class");
    while (!p->failed && !take(p, "]")) {
        if (peek(p) < 0) fail(p, "a class without its ]");
        if (take(p, "&&")) {
            if (empty) fail(p, "&& without a left side");
            if (!all) all = part(p, PART_ALL, 0, 0);
            join(p, all, list);
            list = part(p, PART_ANY, 0, 0);
            empty = 1;
            continue;
        }
        empty = 0;
        if (take(p, "[")) {
            if (peek(p) == ':') fail(p, "[:name:]");
            one = class(p);
            join(p, list, one);
            continue;
        }
        cp = take(p, "\\") ? escape(p, &one) : (one = 0, plain(p));
        int dash = peek(p) == '-' && p->at + 1 < p->s.n && p->s.p[p->at + 1] != ']';
        if (one) {
            p->re->part[one].b = 1;
            join(p, list, one);
            if (dash) fail(p, "a range that begins with a set");
            continue;
        }
        uint32_t to = cp;
        if (dash) {
            p->at++;
            if (peek(p) == '[' || str_starts(str_from(p->s, p->at), STR("&&")))
                fail(p, "a range without an end");
            to = take(p, "\\") ? escape(p, &one) : (one = 0, plain(p));
            if (one || to < cp) fail(p, "a range that ends so");
        }
        range(p, list, cp, to);
    }
    if (empty) fail(p, "an empty class");
    p->depth--;
    if (all) join(p, all, list);
    return not(p, all ? all : list, negative);
}

/* ---- the tree -------------------------------------------------------------------------------------------------------------- */

static struct node *parse_either(struct parser *p);

static struct node *set_node(struct parser *p, uint32_t set)
{
    struct node *n = node(p, SET);
    if (n) n->set = set;
    return n;
}

static struct node *character(struct parser *p, uint32_t cp)
{
    static const char *const folds[] = {"ss", "st", "ff", "fi", "fl"};
    uint32_t list = part(p, PART_ANY, 0, 0), low = cp | 32;
    for (size_t i = 0; p->fold && i < sizeof folds / sizeof *folds; i++)
        if (p->last == (uint32_t)folds[i][0] && low == (uint32_t)folds[i][1])
            fail(p, "(?i) over letters that one character folds to");
    p->last = p->fold && is_letter(cp) ? low : 0;
    range(p, list, cp, cp);
    return set_node(p, list);
}

static struct node *assertion(struct parser *p, unsigned op, int negative)
{
    struct node *n = node(p, ASSERT);
    if (n) n->op = op, n->negative = negative;
    return n;
}

static struct node *close(struct parser *p, struct node *n)
{
    if (!take(p, ")")) return fail(p, "a group without its )");
    return n;
}

/* Look-ahead, look-behind, atomic groups: behind their sign. */
static struct node *look(struct parser *p, enum kind kind, int negative)
{
    struct node *in = parse_either(p), *n = node(p, kind);
    if (!in || !n || !close(p, in)) return NULL;
    n->negative = negative;
    n->child = in;
    n->set = in->set;
    if (kind == BEHIND && in->kind != SET) return fail(p, "look-behind by more than one character");
    return n;
}

static struct node *atomic(struct parser *p)
{
    struct node *in = parse_either(p);
    if (!in || !close(p, in)) return NULL;
    if (in->kind == LOOP && in->child->kind == SET && in->greed == GREEDY &&
        (in->hi == INFINITE || in->hi == 1))
        in->greed = POSSESSIVE;
    else if (in->kind != SET)
        return fail(p, "an atomic group of more than a class");
    return in;
}

/* (?flags) and (?flags: behind the question mark. The first reaches to the end of the group around it. */
static struct node *options(struct parser *p)
{
    int fold = p->fold, dots = p->dots, on = 1;
    for (;; p->at++) {
        int c = peek(p);
        if (c == '-' && on)
            on = 0;
        else if (c == 'i')
            p->fold = on;
        else if (c == 'm')
            p->dots = on;
        else
            break;
    }
    struct node *n = NULL;
    if (take(p, ":"))
        n = close(p, parse_either(p));
    else if (take(p, ")"))
        n = parse_either(p);
    else
        fail(p, "this kind of group");
    p->fold = fold;
    p->dots = dots;
    return n;
}

static struct node *group(struct parser *p)
{
    struct node *n;
    if (++p->depth > REGEX_DEPTH_MAX) return fail(p, "so deep a group");
    p->last = 0;
    if (!take(p, "?"))
        n = close(p, parse_either(p));
    else if (take(p, "="))
        n = look(p, AHEAD, 0);
    else if (take(p, "!"))
        n = look(p, AHEAD, 1);
    else if (take(p, "<="))
        n = look(p, BEHIND, 0);
    else if (take(p, "<!"))
        n = look(p, BEHIND, 1);
    else if (take(p, ">"))
        n = atomic(p);
    else
        n = options(p);
    p->depth--;
    p->last = 0;
    return n;
}

static struct node *any_but_line_end(struct parser *p)
{
    uint32_t list = part(p, PART_ANY, 0, 0);
    if (p->dots) return set_node(p, not(p, list, 1)); /* the complement of nothing */
    join(p, list, part(p, PART_RANGE, '\n', '\n'));
    return set_node(p, not(p, list, 1));
}

static struct node *atom(struct parser *p)
{
    uint32_t one, cp;
    int c = peek(p);
    if (c == '(') return p->at++, group(p);
    if (c == '[') return p->at++, p->last = 0, set_node(p, class(p));
    if (c == '.') return p->at++, p->last = 0, any_but_line_end(p);
    if (c == '^') return p->at++, assertion(p, RE_LINE_BEGIN, 0);
    if (c == '$') return p->at++, assertion(p, RE_LINE_END, 0);
    if (c == '*' || c == '+' || c == '?') return fail(p, "a repetition of nothing");
    if (!take(p, "\\")) return character(p, plain(p));
    if (take(p, "A")) return assertion(p, RE_BEGIN, 0);
    if (take(p, "z")) return assertion(p, RE_END, 0);
    if (take(p, "Z")) return assertion(p, RE_END_LINE, 0);
    if (take(p, "b")) return assertion(p, RE_WORD, 0);
    if (take(p, "B")) return assertion(p, RE_WORD, 1);
    cp = escape(p, &one);
    if (one) p->last = 0;
    return one ? set_node(p, one) : character(p, cp);
}

static int number(struct parser *p, uint32_t *v)
{
    size_t from = p->at;
    for (*v = 0; peek(p) >= '0' && peek(p) <= '9'; p->at++)
        if (*v <= COUNT_MAX) *v = *v * 10 + (uint32_t)(peek(p) - '0');
    return p->at > from;
}

/* * + ? {n} {n,} {n,m} {,m}, which with what behind it makes lazy or possessive; 0 when none stands here. */
static int quantifier(struct parser *p, struct node *loop)
{
    size_t from = p->at;
    int interval = 0, exact = 0;
    if (take(p, "*"))
        loop->lo = 0, loop->hi = INFINITE;
    else if (take(p, "+"))
        loop->lo = 1, loop->hi = INFINITE;
    else if (take(p, "?"))
        loop->lo = 0, loop->hi = 1;
    else if (take(p, "{")) {
        int lo = number(p, &loop->lo), hi = 0;
        interval = 1;
        exact = !take(p, ",");
        if (!exact) hi = number(p, &loop->hi);
        if (exact)
            loop->hi = loop->lo;
        else if (!hi)
            loop->hi = INFINITE;
        if ((!lo && !hi) || !take(p, "}")) return p->at = from, 0; /* a brace */
        if (loop->lo > COUNT_MAX ||
            (loop->hi != INFINITE && (loop->hi > COUNT_MAX || loop->hi < loop->lo)))
            fail(p, "this number of repetitions");
    } else {
        return 0;
    }
    loop->greed = take(p, "?") ? LAZY : !interval && take(p, "+") ? POSSESSIVE : GREEDY;
    if (exact && loop->greed == LAZY) fail(p, "{n}?");
    return 1;
}

static struct node *repeated(struct parser *p)
{
    struct node *n = atom(p), loop = {.kind = LOOP};
    for (int many = 0; n && quantifier(p, &loop); many++) {
        struct node *l = node(p, LOOP);
        if (!l) return NULL;
        *l = loop;
        l->child = n;
        l->empty = loop.lo == 0;
        p->last = 0;
        if (many == REGEX_DEPTH_MAX) return fail(p, "a loop over so many loops");
        if (n->empty && loop.hi > 1) return fail(p, "a loop over what may be empty");
        if (l->greed == POSSESSIVE && n->kind != SET)
            return fail(p, "a possessive loop over more than a class");
        n = l;
    }
    return n;
}

static struct node *parse_seq(struct parser *p)
{
    struct node *seq = node(p, SEQ), **end = seq ? &seq->child : NULL;
    int n = 0;
    p->last = 0;
    while (seq && !p->failed && peek(p) >= 0 && peek(p) != '|' && peek(p) != ')') {
        struct node *e = repeated(p);
        if (!e) return NULL;
        seq->empty &= e->empty;
        *end = e;
        end = &e->next;
        n++;
    }
    return p->failed ? NULL : n == 1 ? seq->child : seq;
}

static struct node *parse_either(struct parser *p)
{
    struct node *first, *either, **end;
    if (++p->depth > REGEX_DEPTH_MAX) return fail(p, "so deep a group");
    if (!(first = parse_seq(p))) return NULL;
    if (peek(p) == '|') {
        if (!(either = node(p, EITHER))) return NULL;
        either->empty = first->empty;
        either->child = first;
        end = &first->next;
        while (take(p, "|")) {
            struct node *e = parse_seq(p);
            if (!e) return NULL;
            either->empty |= e->empty;
            *end = e;
            end = &e->next;
        }
        first = either;
    }
    p->depth--;
    return first;
}

/* ---- the code --------------------------------------------------------------------------------------------------------------- */

static uint32_t emit(struct parser *p, struct regex_code c)
{
    if (p->re->ncode == REGEX_CODE_MAX) return fail(p, "so long an expression"), 0u;
    p->re->code[p->re->ncode] = c;
    return p->re->ncode++;
}

static uint32_t split(struct parser *p)
{
    if (p->re->nsplit == REGEX_SPLITS_MAX) return fail(p, "so many choices"), 0u;
    return emit(p, (struct regex_code){.op = RE_SPLIT, .set = (uint16_t)p->re->nsplit++});
}

/* Sends a choice to one of two places. */
static void aim(struct parser *p, uint32_t at, int lazy, uint32_t on, uint32_t off)
{
    struct regex_code *c = &p->re->code[at];
    c->a = lazy ? off : on;
    c->b = lazy ? on : off;
}

static void put(struct parser *p, const struct node *n);

static void put_loop(struct parser *p, const struct node *n)
{
    int lazy = n->greed == LAZY;
    uint32_t set = n->child->set;
    for (uint32_t i = 0; i < n->lo && !p->failed; i++) put(p, n->child);
    if (n->greed == POSSESSIVE) {
        struct regex_code c = {.op = n->hi == INFINITE ? RE_RUN : RE_MAYBE, .set = (uint16_t)set};
        if (c.op == RE_RUN) c.a = p->re->nrun++;
        emit(p, c);
        return;
    }
    if (n->hi == INFINITE) {
        uint32_t at = split(p);
        put(p, n->child);
        emit(p, (struct regex_code){.op = RE_JUMP, .a = at});
        aim(p, at, lazy, at + 1, p->re->ncode);
        return;
    }
    uint32_t chain = 0; /* choices whose way out is the end, linked by b; + 1 */
    for (uint32_t i = n->lo; i < n->hi && !p->failed; i++) {
        uint32_t at = split(p);
        p->re->code[at].b = chain;
        chain = at + 1;
        put(p, n->child);
    }
    while (chain && !p->failed) {
        uint32_t at = chain - 1;
        chain = p->re->code[at].b;
        aim(p, at, lazy, at + 1, p->re->ncode);
    }
}

static void put_either(struct parser *p, const struct node *n)
{
    uint32_t jumps = 0;
    for (const struct node *e = n->child; e && !p->failed; e = e->next) {
        uint32_t at = e->next ? split(p) : 0;
        put(p, e);
        if (!e->next) break;
        jumps = emit(p, (struct regex_code){.op = RE_JUMP, .a = jumps}) + 1;
        aim(p, at, 0, at + 1, p->re->ncode);
    }
    while (jumps && !p->failed) {
        struct regex_code *c = &p->re->code[jumps - 1];
        jumps = c->a;
        c->a = p->re->ncode;
    }
}

static void put(struct parser *p, const struct node *n)
{
    struct regex_code c = {.set = (uint16_t)n->set, .negative = (uint8_t)n->negative};
    uint32_t at, splits = p->re->nsplit;
    if (p->failed) return;
    switch (n->kind) {
    case EMPTY: break;
    case SET:
        c.op = RE_SET;
        emit(p, c);
        break;
    case SEQ:
        for (const struct node *e = n->child; e; e = e->next) put(p, e);
        break;
    case EITHER: put_either(p, n); break;
    case LOOP: put_loop(p, n); break;
    case BEHIND:
        c.op = RE_BEHIND;
        emit(p, c);
        break;
    case ASSERT:
        c.op = (uint8_t)n->op;
        emit(p, c);
        break;
    case AHEAD:
        c.op = RE_AHEAD;
        c.set = 0;
        at = emit(p, c);
        put(p, n->child);
        emit(p, (struct regex_code){.op = RE_MATCH});
        p->re->code[at].a = p->re->ncode;
        p->re->looks |= p->re->nsplit > splits;
        break;
    }
}

/* Which ASCII characters are in the sets that the code names. */
static int fill_ascii(struct parser *p)
{
    struct regex *re = p->re;
    if (!(re->ascii = arena_array(&re->a, re->npart, sizeof *re->ascii))) return nomem(p), -1;
    for (uint32_t i = 1; i < re->npart; i++)
        for (uint32_t c = 0; c < 128; c++)
            if (regex_has(re, i, c)) re->ascii[i][c >> 6] |= (uint64_t)1 << (c & 63);
    return 0;
}

int regex_open(struct regex **out, struct str pattern, struct lar_err *err)
{
    struct regex *re = mem_zalloc(sizeof *re);
    struct parser p = {.re = re, .s = pattern, .err = err};
    *out = NULL;
    if (!re) return lar_fail(err, LAR_ENOMEM, "out of memory for an expression");
    arena_init(&re->a, 0);
    arena_init(&p.a, 1 << 22);
    re->npart = 1;
    re->part = arena_array(&re->a, REGEX_CODE_MAX, sizeof *re->part);
    re->code = arena_array(&re->a, REGEX_CODE_MAX, sizeof *re->code);
    if (!re->part || !re->code) nomem(&p);
    struct node *n = p.failed ? NULL : parse_either(&p);
    if (n && p.at < p.s.n) fail(&p, "a ) without its group");
    if (n) put(&p, n);
    if (!p.failed) emit(&p, (struct regex_code){.op = RE_MATCH});
    if (!p.failed) fill_ascii(&p);
    arena_done(&p.a);
    if (!p.failed) return *out = re, 0;
    regex_close(re);
    return p.failed;
}

void regex_close(struct regex *re)
{
    if (!re) return;
    arena_done(&re->a);
    mem_free(re);
}
