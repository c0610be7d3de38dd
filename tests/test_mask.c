/* SPDX-License-Identifier: Apache-2.0
 * tests/test_mask.c: masks against the machine itself, token by token: nothing allowed that it would not take, nothing left out but
 * what mask.h says; random documents through the masks; forced text. The vocabulary is the demo model's. */
#include "base/buf.h"
#include "base/mem.h"
#include "io/gguf.h"
#include "tap.h"
#include "text/grammar_impl.h"
#include "text/mask.h"
#include "text/rx_impl.h"
#include "text/vocab.h"

static struct gguf file;
static struct vocab *vocab;
static struct toktrie *trie;
static struct str *bytes;

enum { MORE = 60 };

static int load(void)
{
    if (gguf_open(&file, "models/lar-demo-q8_0.gguf", NULL) < 0 || vocab_open(&vocab, &file, NULL) < 0) return -1;
    uint32_t n = (uint32_t)vocab_size(vocab), k = n;
    bytes = calloc(n + MORE, sizeof *bytes);
    for (uint32_t i = 0; i < n; i++)
        if (vocab_type(vocab, (int32_t)i) == TOKEN_NORMAL || vocab_type(vocab, (int32_t)i) == TOKEN_BYTE)
            bytes[i] = vocab_bytes(vocab, (int32_t)i);
    /* Large vocabularies have many tokens that close a string: some more for this small one. */
    static char text[MORE][12];
    for (n = 0; n < MORE; n++, k++) {
        static const char *const first[] = {"}",   "/",   "a",      "1.",       " \xc3\xa9",
                                            "ab/", "\\n", "/\\\"", "\xe2\x80", "\\u00"},
                                *const end[] = {"\"", "\",", "\"}", "\": \"", "\\", "/\""};
        snprintf(text[n], sizeof text[n], "%s%s", first[n % 10], end[n / 10]);
        bytes[k] = str_of(text[n]);
    }
    n = k;
    return toktrie_open(&trie, bytes, n, NULL);
}

struct setup {
    struct grammar *g;
    struct masks *m;
    uint64_t *set;
};

static int setup(struct setup *s, enum grammar_kind kind, const char *text, int space)
{
    struct lar_err err;
    struct grammar_options o = {.space = space};
    if (grammar_open(&s->g, kind, str_of(text), &o, NULL, &err) < 0) {
        printf("# %s: %s\n", text, err.msg);
        return -1;
    }
    s->set = calloc(trie->nword, 8);
    return masks_open(&s->m, s->g, trie, 0, NULL);
}

static void teardown(struct setup *s)
{
    masks_close(s->m);
    grammar_close(s->g);
    free(s->set);
}

/* Compares the mask of a state with the machine; *left: tokens left out that have a backslash or are long. */
static struct buf doc;
static int compare(struct setup *s, uint32_t state, const char *where, long *left)
{
    struct lar_err err;
    int bad = 0;
    if (masks_fill(s->m, state, s->set, &err) < 0) {
        printf("# %s: %s\n", where, err.msg);
        return 1;
    }
    for (uint32_t t = 0; t < trie->nvocab; t++) {
        int want = bytes[t].n && grammar_walk(s->g, state, bytes[t], NULL), have = tokset_has(s->set, t);
        if (want == have) continue;
        if (want && (memchr(bytes[t].p, '\\', bytes[t].n) || bytes[t].n > 32)) {
            ++*left;
            continue;
        }
        if (bad++ < 3) printf("# %.90s: token %u \"%.*s\": machine %d, mask "
        "%d\n", where, t, STR_ARG(bytes[t]), want, have);
    }
    return bad;
}

static const char *const schema[] = {
    "true",
    "{\"type\":\"string\"}",
    "{\"type\":\"string\",\"minLength\":2,\"maxLength\":9}",
    "{\"type\":\"string\",\"minLength\":1}",
    "{\"type\":\"string\",\"maxLength\":60}",
    "{\"type\":\"string\",\"pattern\":\"^[a-z]{2,12} (shop|order)\"}",
    "{\"type\":\"string\",\"not\":{\"enum\":[\"refund\",\"order\",\"or\\\"d\"]}}",
    "{\"type\":\"object\",\"properties\":{\"intent\":{\"enum\":[\"refund\",\"order_status\",\"q\\\"\\n\"]},"
        "\"amount\":{\"type\":"
    "\"number\",\"minimum\":0,\"maximum\":99.5},\"tags\":{\"type\":\"array\",\"items\":{\"type\":\"string\"},"
        "\"maxItems\":3}},"
    "\"required\":[\"intent\"],\"additionalProperties\":false}",
    "{\"type\":\"object\",\"properties\":{\"order_id\":{\"type\":[\"string\",\"null\"]},"
        "\"or\":{\"type\":\"integer\"}},\"required\":"
    "[\"or\"]}",
    "{\"type\":\"array\",\"uniqueItems\":true,\"items\":{\"enum\":[\"a\",\"order\",1,[2]]}}",
    "{\"type\":\"array\",\"uniqueItems\":true,\"items\":{\"type\":\"string\"}}",
    "{\"anyOf\":[{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"string\"}},\"required\":[\"a\"]},"
        "{\"type\":\"object\",\"properties\":"
    "{\"b\":{\"type\":\"boolean\"}},\"required\":[\"b\"],\"additionalProperties\":false},"
        "{\"type\":\"string\",\"format\":\"date\"}]}",
    "{\"type\":\"object\",\"minProperties\":2,\"maxProperties\":3,"
        "\"patternProperties\":{\"^x\":{\"type\":\"integer\"}},"
    "\"additionalProperties\":{\"type\":\"string\",\"maxLength\":4}}",
    "{\"$ref\":\"#/$defs/t\",\"$defs\":{\"t\":{\"type\":\"object\","
        "\"properties\":{\"n\":{\"$ref\":\"#/$defs/t\"},\"v\":{\"type\":"
    "\"integer\",\"multipleOf\":3}}}}}",
    /* What was slow once: most of the vocabulary in a few states, bounds within bounds, sets that leave out a little. */
    "{\"pattern\":\"^(?!.*://)(?=.{1,255}$)((.{1,63}\\\\.){1,127}(?![0-9]*$)[a-z0-9-]+\\\\.?)$\",\"type\":\"string\"}",
    "{\"type\":\"string\",\"pattern\":\"^(/)?([^/\\\\u0000]+(/)?)+$\"}",
    "{\"type\":\"string\",\"pattern\":\"^[\\\\w\\\\s-]+$\",\"maxLength\":255}",
    "{\"type\":\"string\",\"pattern\":\"[A-z]+\",\"minLength\":3,\"maxLength\":64}",
    "{\"type\":\"string\",\"pattern\":\"^(ftp|https?)://[^ \\\"]+$\",\"not\":{\"const\":\"ftp://a\"}}",
    "{\"patternProperties\":{\"^[A-Z_][\\\\w.:-]*$\":{\"enum\":[\"a\\\\\",\"\\u00e9\\t\"]}}}",
    "{\"type\":\"string\",\"not\":{\"pattern\":\"[\\u0000-\\u001f]\"},\"minLength\":1}",
    /* Letters that are told apart, and characters beyond ASCII that are. */
    "{\"type\":\"string\",\"pattern\":\"^(https?|[a-q]+)[a-zA-Z \\u00e0-\\u00ff\\u2018-\\u201e]*[0-4]{2,}$\"}",
    "{\"type\":\"string\",\"pattern\":\"^[^a\\u00e9\\u20ac]{1,40}$\"}",
    /* Bounds that are far, near, met; ends that are too far off for a bound to be forgotten (rx_loose.c). */
    "{\"type\":\"string\",\"pattern\":\"^[a-z ]+$\",\"minLength\":40,\"maxLength\":60}",
    "{\"type\":\"string\",\"pattern\":\"^([a-z]{1,49} ){1,50}end$\",\"maxLength\":70,\"not\":{\"pattern\":\"^q\"}}",
    "{\"type\":\"string\",\"pattern\":\"^([a-z ]{0,200}|[a-z ]{0,200}[.0-9][a-z]{55})$\",\"maxLength\":57}",
    "{\"type\":\"string\",\"pattern\":\"^(ab|[a-z]{3}){1,55}(x.{20}y)?$\",\"not\":{\"pattern\":\"^(aba){4,}$\"}}",
    "{\"type\":\"string\",\"pattern\":\"^(\\\\d+\\\\.\\\\d+.*)$\",\"maxLength\":32}",
    "{\"type\":\"string\",\"pattern\":\"^.{0,300}$\",\"maxLength\":200,\"not\":{\"pattern\":\"ing\"}}",
    "{\"type\":\"string\",\"pattern\":\"^[\\u0000-\\u2018]{2,}$\",\"maxLength\":20,\"minLength\":3}",
};

/* Random documents: at each place the mask is compared with the machine (often) and one of its tokens taken. */
static void walk(struct setup *s, const char *name, unsigned seed, long *left, int *whole)
{
    uint32_t state = grammar_start(s->g), bad = 0;
    unsigned x = seed * 2654435761u + 1;
    buf_clear(&doc);
    for (int n = 0; n < 120 && !bad; n++) {
        if (grammar_accepts(s->g, state) && (x >> 9 & 3) == 0) break;
        if (masks_fill(s->m, state, s->set, NULL) < 0) bad = 1;
        if ((x >> 20 & 15) == 0 || n < 3) bad += (uint32_t)compare(s, state, name, left);
        uint32_t count = 0, pick = 0;
        for (uint32_t i = 0; i < trie->nword; i++) count += (uint32_t)__builtin_popcountll(s->set[i]);
        if (!count) break;
        x = x * 1103515245u + 12345u;
        uint32_t k = (x >> 8) % count;
        while (!tokset_has(s->set, pick) || k--) pick++;
        buf_str(&doc, bytes[pick]);
        uint32_t next = grammar_walk(s->g, state, bytes[pick], NULL);
        if (!next) {
            printf("# %s: after %s the mask allows what the machine does not\n", name, buf_z(&doc));
            bad = 1;
        }
        state = next;
        x = x * 1103515245u + 12345u;
    }
    *whole += grammar_accepts(s->g, state);
    if (bad) printf("# ... after %s\n", buf_z(&doc));
    tap_case_bad += (int)bad;
}

static void masks_allow_what_the_machine_takes(void)
{
    int rounds = getenv("LAR_SLOW") ? 2 : 9;
    for (size_t i = 0; i < sizeof schema / sizeof *schema; i++)
        for (int space = -1; space <= 2; space += space < 0 ? 1 : 2) {
            struct setup s;
            long left = 0;
            int whole = 0;
            if (setup(&s, GRAMMAR_SCHEMA, schema[i], space) < 0) {
                tap_case_bad++;
                continue;
            }
            for (int r = 0; r < rounds; r++) walk(&s, schema[i], (unsigned)(r + 100 * (int)i), &left, &whole);
            teardown(&s);
        }
}

/* In the middle of a token that goes on behind the quote, too. */
static void no_string_closes_before_it_may(void)
{
    static const char *const rx[] = {"[A-z]+", "^(/)?([^/ ]+(/)?)+$",
                                     "^[\\\\w /-]+\\\\.[0-9a-zA-Z]+$", "^.{3,}$", "^[^\\\"]{2,9}[}/]$"};
    for (size_t i = 0; i < sizeof rx / sizeof *rx; i++)
        for (int min = 0; min < 4; min += 3) {
            struct setup s;
            struct buf b = {0};
            long left = 0;
            buf_printf(&b, "{\"items\":{\"type\":\"string\",\"pattern\":\"%s\",\"minLength\":%d,\"maxLength\":64}}",
                       rx[i], min);
            CHECK_EQ(setup(&s, GRAMMAR_SCHEMA, buf_z(&b), 0), 0);
            for (const char *at = "[\"/a/b\\nc.d"; *at; at++) {
                struct str before = {"[\"/a/b\\nc.d", strlen("[\"/a/b\\nc.d") - strlen(at)};
                uint32_t state = grammar_walk(s.g, grammar_start(s.g), before, NULL);
                if (state) CHECK_EQ(compare(&s, state, rx[i], &left), 0);
            }
            teardown(&s);
            buf_done(&b);
        }
}

/* Each token with a quote goes on with something that has no second one: of those a mask once cut none. */
static void no_string_closes_early_where_all_go_on_behind_the_quote(void)
{
    static const char *const more[] = {"!\",", "ab\"]", "}\",", "abc\",", "ab", "\"]", "\","};
    static const char text[] = "{\"items\":{\"minLength\":3,\"maxLength\":64,\"pattern\":\"[A-z]+\"}}";
    static char byte[95];
    struct str all[95 + 7], *own = bytes;
    struct toktrie *whole = trie;
    struct setup s;
    long left = 0;
    for (int i = 0; i < 95; i++) {
        byte[i] = (char)(i + 32);
        all[i] = (struct str){byte + i, byte[i] != '"'};
    }
    for (size_t i = 0; i < 7; i++) all[95 + i] = str_of(more[i]);
    bytes = all;
    CHECK_EQ(toktrie_open(&trie, bytes, 95 + 7, NULL), 0);
    CHECK_EQ(setup(&s, GRAMMAR_SCHEMA, text, -1), 0);
    for (int i = 0; i < 2; i++) {
        uint32_t state = grammar_walk(s.g, grammar_start(s.g), str_of(i ? "[\"12" : "[\""), NULL);
        CHECK(state != 0);
        CHECK_EQ(compare(&s, state, text, &left), 0);
        CHECK(!tokset_has(s.set, 95)); /* !", */
        CHECK_EQ(tokset_has(s.set, 96), i); /* ab"] */
        CHECK(tokset_has(s.set, 98)); /* abc", */
    }
    CHECK_EQ(left, 0);
    teardown(&s);
    toktrie_close(trie);
    trie = whole;
    bytes = own;
}

/* Counted in rows of states that were stepped from, of which a mask made one for each length of a token once. */
static void a_bound_that_no_token_reaches_costs_no_states(void)
{
    static const char *const at[] = {"\"a", "\"a\\", "[\"\\", "", "[", "\"\xe2"};
    char word[3][100]; /* the vocabulary has no tokens so long */
    struct str more[32], *own = bytes;
    struct toktrie *whole = trie;
    memcpy(more, bytes + trie->nvocab - 29, 29 * sizeof *more);
    for (size_t i = 0; i < 3; i++) {
        memset(word[i], "n- "[i], sizeof word[i]);
        word[i][0] = "n\" "[i];
        more[29 + i] = (struct str){word[i], sizeof word[i]};
    }
    bytes = more;
    CHECK_EQ(toktrie_open(&trie, bytes, 32, NULL), 0);
    for (size_t i = 0; i < 2 * sizeof at / sizeof *at; i++) {
        struct setup s;
        long left = 0;
        const char *text = i & 1 ? "{\"minLength\":1,\"maxLength\":1024}" : "{\"maxLength\":1024}";
        CHECK_EQ(setup(&s, GRAMMAR_SCHEMA, text, -1), 0);
        uint32_t state = grammar_walk(s.g, grammar_start(s.g), str_of(at[i / 2]), NULL);
        size_t rows = s.g->rx->nstep;
        CHECK(state != 0);
        CHECK_EQ(masks_fill(s.m, state, s.set, NULL), 0);
        CHECK(s.g->rx->nstep - rows < 20);
        CHECK_EQ(compare(&s, state, at[i / 2], &left), 0);
        teardown(&s);
    }
    toktrie_close(trie);
    trie = whole;
    bytes = own;
}

static void patterns_and_choices_bound_the_whole_answer(void)
{
    static const char *const rx[] = {"[a-z]+@[a-z]+\\.(com|org)", "(yes|no|order status)", "\\d{3}-\\d{4}", ".*"};
    for (size_t i = 0; i < sizeof rx / sizeof *rx; i++) {
        struct setup s;
        long left = 0;
        int whole = 0;
        CHECK_EQ(setup(&s, GRAMMAR_REGEX, rx[i], 0), 0);
        for (unsigned r = 0; r < 6; r++) walk(&s, rx[i], r, &left, &whole);
        teardown(&s);
    }
}

static void recursive_grammars_have_masks_too(void)
{
    static const char *const text[] = {
        "root ::= e \"\\n\"\ne ::= t ([-+] t)*\nt ::= [0-9]+ | \"(\" e \")\" | [a-z] [a-z ]*\n",
        "root ::= o\no ::= \"{\" ws (s \":\" ws v (\",\" ws s \":\" ws v)*)? \"}\" ws\nv ::= o | s | [0-9]+ ws\n"
        "s ::= \"\\\"\" ([^\"\\\\\\n] | \"\\\\\" [\"\\\\n])* \"\\\"\" ws\nws ::= [ \\n]*\n"};
    for (size_t i = 0; i < sizeof text / sizeof *text; i++) {
        struct setup s;
        long left = 0;
        int whole = 0;
        CHECK_EQ(setup(&s, GRAMMAR_GBNF, text[i], 0), 0);
        for (unsigned r = 0; r < 6; r++) walk(&s, text[i], r, &left, &whole);
        CHECK_EQ(left, 0);
        teardown(&s);
    }
}

static void what_is_forced_is_told(void)
{
    struct setup s;
    struct buf b = {0};
    CHECK_EQ(setup(&s, GRAMMAR_SCHEMA,
                   "{\"type\":\"object\",\"properties\":{\"name\":{\"const\":\"Ann\"},"
                   "\"n\":{\"type\":\"integer\"}},\"required\":[\"name\"],"
                   "\"additionalProperties\":false,\"minProperties\":2}",
                   0),
             0);
    uint32_t st = masks_forced(s.m, grammar_start(s.g), &b, 100);
    CHECK(!strcmp(buf_z(&b), "{\"n"));
    st = grammar_walk(s.g, st, STR("a"), NULL);
    buf_clear(&b);
    st = masks_forced(s.m, st, &b, 100);
    CHECK(!strcmp(buf_z(&b), "me\":\"Ann\",\"n\":"));
    CHECK(st != 0);
    buf_done(&b);
    teardown(&s);
}

int main(void)
{
    tap_timeout(60);
    if (load() < 0) {
        printf("Bail out! models/lar-demo-q8_0.gguf cannot be read\n");
        return 1;
    }
    RUN(masks_allow_what_the_machine_takes);
    RUN(no_string_closes_before_it_may);
    RUN(no_string_closes_early_where_all_go_on_behind_the_quote);
    RUN(a_bound_that_no_token_reaches_costs_no_states);
    RUN(patterns_and_choices_bound_the_whole_answer);
    RUN(recursive_grammars_have_masks_too);
    RUN(what_is_forced_is_told);
    toktrie_close(trie);
    vocab_close(vocab);
    gguf_close(&file);
    free(bytes);
    return tap_done();
}
