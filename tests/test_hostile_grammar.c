/* SPDX-License-Identifier: Apache-2.0
 * tests/test_hostile_grammar.c: schemas, expressions and grammars that want to be exponential. Each is refused or answered within what a
 * machine was allowed: bytes, and entries of its tables, which are its work whatever the load of this one. */
#include "base/buf.h"
#include "tap.h"
#include "text/grammar_impl.h"
#include "text/mask.h"
#include "text/rx_impl.h"

enum { MEMORY = 16 << 20, WORK = 1000000, MASKS = 6 };

/* text: head, n times the piece (%d is its number) with sep between, tail; the answer that is walked likewise. */
struct row {
    enum grammar_kind kind;
    const char *name, *head, *piece, *sep, *tail;
    int n;
    const char *begin, *more; /* of the answer: begin, then `more` 200 times */
};
#define S GRAMMAR_SCHEMA
#define R GRAMMAR_REGEX
#define G GRAMMAR_GBNF
#define L GRAMMAR_LARK

static const struct row rows[] = {
    {R, "properties of characters, 200", "(", "\\p{L}\\p{N}*%d", "|", ")*", 200, "a1", "b2"},
    {R, "properties of characters, many kinds", "", "(\\p{Lu}|\\p{Ll}|\\p{Sc}|\\P{Nd})", "", "",
     200, "ab", "a"},
    {R, "the same twice, any number", "", "(a|a)*", "", "b", 60, "aa", "a"},
    {R, "stars of stars", "", "(a*)*", "", "b", 60, "aa", "a"},
    {R, "a long bound", "", ".{0,100000}", "", "x", 1, "ab", "c"},
    {R, "long bounds in a row", "", "[ab]{0,100000}", "", "x", 40, "ab", "a"},
    {R, "bounds within bounds", "((((", "a{1,1000}", "", "){1,1000}){1,1000}){1,1000}){1,1000}b", 1,
     "aa", "a"},
    {R, "the last but n", "(a|b)*a", "(a|b)", "", "", 400, "ab", "ab"},
    {R, "look-aheads", "", "(?=.*a%d)", "", ".*", 24, "ab", "a1"},
    {R, "groups without end", "", "(", "", "a", 5000, "a", "a"},
    {R, "groups within groups", "", "(a", "", "", 5000, "a", "a"},
    {S, "patterns at once", "{\"allOf\":[", "{\"pattern\":\"^(a|b)*a(a|b){%d}c\"}", ",", "]}", 20,
     "\"ab", "a"},
    {S, "patterns left out", "{\"type\":\"string\",\"allOf\":[",
     "{\"not\":{\"pattern\":\"a.{%d}b\"}}", ",", "]}", 24, "\"a", "a"},
    {S, "patterns of names", "{\"patternProperties\":{", "\"^(a|b)*a(a|b){%d}$\":{\"maximum\":%d}",
     ",", "}}", 16, "{\"ab", "a"},
    {S, "an enum of 100,000", "{\"enum\":[", "\"member %d\"", ",", "]}", 100000, "\"member 1", "1"},
    {S, "an enum that is left out", "{\"type\":\"string\",\"not\":{\"enum\":[", "\"member %d\"",
     ",", "]}}", 20000, "\"member 1", "1"},
    {S, "names of 20,000", "{\"properties\":{", "\"member %d\":{\"type\":\"null\"}", ",", "}}",
     20000, "{\"member 1", "1"},
    {S, "names that are demanded", "{\"required\":[", "\"r%d\"", ",", "]}", 5000, "{\"r", "1"},
    {S, "5,000 levels", "", "{\"items\":", "", "{}", 5000, "[", "["},
    {S, "a schema that is itself", "{\"allOf\":[", "{\"$ref\":\"#\"}", ",", "]}", 50, "[[", "["},
    {S, "recursion in alternatives", "{\"anyOf\":[{\"type\":\"null\"},",
     "{\"type\":\"array\",\"items\":{\"$ref\":\"#\"},\"minItems\":%d}", ",", "]}", 24, "[[", "["},
    {S, "arrays of different items", "{\"uniqueItems\":true,\"items\":[", "{\"type\":\"string\"}",
     ",", "]}", 30, "[\"a", "b\",\"c"},
    {S, "strings that differ", "{\"uniqueItems\":true,\"items\":{\"type\":", "\"string\"", ",",
     "}}", 1, "[\"a", "b\",\"c"},
    {S, "so many of them", "{\"contains\":{\"const\":1},\"minContains\":1000000,\"maxContains\":",
     "2000000", "", "}", 1, "[1", ",1"},
    {S, "and others", "{\"allOf\":[", "{\"contains\":{\"const\":%d},\"minContains\":100000}", ",",
     "]}", 6, "[1", ",1"},
    {S, "one of objects", "{\"oneOf\":[",
     "{\"type\":\"object\",\"properties\":{\"a%d\":{\"type\":\"integer\"}},\"required\":[\"a%d\"]}",
     ",", "]}", 48, "{\"a1\":1", "1"},
    {S, "any of objects", "{\"anyOf\":[",
     "{\"type\":\"object\",\"properties\":{\"a%d\":{\"type\":\"integer\"}},\"minProperties\":%d}",
     ",", "]}", 48, "{\"a1\":1", "1"},
    {S, "a long divisor", "{\"multipleOf\":", "123456789012345678901234567890", "", "}", 1, "1",
     "1"},
    {S, "divisors", "{\"type\":\"integer\",\"allOf\":[", "{\"multipleOf\":99999%d7}", ",", "]}", 30,
     "1", "1"},
    {S, "long numbers", "{\"minimum\":", "123456789", "", ",\"maximum\":1e300}", 500, "1", "1"},
    {S, "a number with an exponent", "{\"minimum\":1e", "9", "", "}", 9, "1", "1"},
    {S, "a long string", "{\"type\":\"string\",\"minLength\":", "1000000000", "", "}", 1, "\"a",
     "b"},
    {S, "a long string with a pattern", "{\"pattern\":\"^[a-z]+$\",\"minLength\":", "1000000000",
     "", "}", 1, "\"a", "b"},
    {S, "many members", "{\"minProperties\":", "1000000000", "", "}", 1, "{\"a", "b"},
    {S, "many items", "{\"type\":\"array\",\"minItems\":", "1000000000", "", "}", 1, "[1", ",1"},
    {S, "conditions", "{\"allOf\":[",
     "{\"if\":{\"required\":[\"a%d\"]},\"then\":{\"required\":[\"b%d\"]}}", ",", "]}", 24, "{\"a1",
     "1"},
    {S, "not, not", "", "{\"not\":", "", "{}", 900, "1", "1"},
    {G, "empty in empty", "root ::= ((((((\"a\"", "*)", "", "*\n", 6, "aa", "a"},
    {G, "the last but n", "root ::= [ab]* \"a\" ", "[ab]", " ", "", 300, "ab", "ab"},
    {G, "ambiguous", "root ::= e\ne ::= e ", "e", " ", " | \"a\" e | \"a\"\n", 3, "aa", "a"},
    {G, "ambiguous without a left end", "root ::= \"a\" ", "root?", " ", "\n", 12, "aa", "a"},
    {G, "counted", "root ::= ((((", "\"a\"{1,1000}", " ", "){1,1000}){1,1000}){1,1000}){1,1000}", 1,
     "aa", "a"},
    {L, "the same twice", "start: ", "(\"a\"|\"a\")*", " ", "\n", 60, "aa", "a"},
    {L, "counted", "start: ", "(\"a\"~1..1000 \"b\"?)", " ", "\n", 40, "aa", "a"},
    {L, "a terminal of bounds", "start: T\nT: /", "(a{1,1000}){1,1000}", "", "/\n", 3, "aa", "a"},
    {L, "itself", "start: ", "start", " ", " | \"a\"\n", 3, "aa", "a"},
};

static struct toktrie *trie;
static struct str token[256 + 40];

static void vocabulary(void)
{
    static char byte[256], text[40][12];
    for (int i = 0; i < 256; i++) {
        byte[i] = (char)i;
        token[i] = (struct str){byte + i, 1};
    }
    for (int i = 0; i < 40; i++) {
        static const char *const part[] = {"ab",   "a1",   "\",\"", "member", " \xc3\xa9",
                                           "aaaa", "1111", "\":",   "]]",     "b\""};
        snprintf(text[i], sizeof text[i], "%s%s", part[i % 10], i < 10 ? "" : part[i / 10 + i % 3]);
        token[256 + i] = str_of(text[i]);
    }
    CHECK_EQ(toktrie_open(&trie, token, 256 + 40, NULL), 0);
}

static void write_row(struct buf *b, const struct row *r)
{
    buf_puts(b, r->head);
    for (int i = 0; i < r->n; i++) {
        if (i) buf_puts(b, r->sep);
        for (const char *p = r->piece; *p; p++) {
            if (p[0] == '%' && p[1] == 'd')
                buf_printf(b, "%d", i), p++;
            else
                buf_putc(b, *p);
        }
    }
    buf_puts(b, r->tail);
}

static size_t work(const struct grammar *g)
{
    return g->rx->nnode + g->rx->nmemo + g->rx->nstep * 16 + g->rx->nset + g->nitem + g->nstate +
           g->nedge + g->nids + g->nlink;
}

/* Masks and bytes in turn, up to the answer's end or what is not accepted. A machine that has enough says so. */
static int answer(struct grammar *g, const struct row *r, struct lar_err *err)
{
    struct masks *m;
    uint64_t *set = mem_zalloc(trie->nword * sizeof *set);
    uint32_t state = grammar_start(g);
    int e = masks_open(&m, g, trie, MEMORY, err), most = getenv("LAR_SLOW") ? 60 : 200;
    for (int i = 0; e == 0 && state && i < most; i++) {
        if (i < MASKS || i % 60 == 0) e = masks_fill(m, state, set, err);
        state = grammar_walk(g, state, str_of(i ? r->more : r->begin), NULL);
        if (e == 0) e = grammar_failed(g, err);
    }
    CHECK(masks_bytes(m) <= 2 * MEMORY);
    masks_close(m);
    mem_free(set);
    return e;
}

static void each_is_refused_or_answered_within_its_bounds(void)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct row *r = &rows[i];
        struct buf text = {0};
        struct grammar *g = NULL;
        struct lar_err err = {0};
        struct grammar_options o = {
            .schema = {.limit = MEMORY}, .space = r->kind == L ? 1 : -1, .limit = MEMORY};
        write_row(&text, r);
        int e = grammar_open(&g, r->kind, buf_view(&text), &o, NULL, &err), open = e == 0;
        size_t made = g ? work(g) : 0;
        if (g) e = answer(g, r, &err);
        size_t all = g ? work(g) : 0, bytes = g ? grammar_bytes(g) : 0;
        if (e < 0 && e != LAR_ELIMIT && e != LAR_EUNSUPPORTED && e != LAR_EFORMAT) tap_case_bad++;
        if (e < 0 && !err.msg[0]) tap_case_bad++;
        if (all > WORK || bytes > 2 * MEMORY) tap_case_bad++;
        printf("# %-36s %s: work %zu, then %zu; %zu bytes %.60s\n", r->name,
               !open ? "refused"
               : e   ? "ended"
                     : "answered",
               made, all, bytes, e ? err.msg : "");
        grammar_close(g);
        buf_done(&text);
    }
}

int main(void)
{
    tap_timeout(300);
    vocabulary();
    RUN(each_is_refused_or_answered_within_its_bounds);
    toktrie_close(trie);
    return tap_done();
}
