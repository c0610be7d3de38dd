/* SPDX-License-Identifier: Apache-2.0
 * tests/fuzz/fuzz_grammar.c: any bytes as a schema, a regular expression, choices GBNF or Lark (the first byte says which), and behind the first NUL
 * as a text to read. Whatever comes: success or a code with a sentence, memory within its limit, the same answer again, and masks that
 * allow nothing which the machine does not take. Works with libFuzzer and with replay.c. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text/mask.h"
#include "must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum { LIMIT = 8 << 20, TOKENS = 300 };

/* Bytes, and some pairs and words that open and close strings. */
static void tokens(struct str *t)
{
    static char byte[256];
    static const char *const more[] = {"\"a",
                                       "a\"",
                                       "\","
                                       "\"",
                                       "\":",
                                       "{\"",
                                       "\"}",
                                       "]}",
                                       "\\u0",
                                       "\\n",
                                       "true",
                                       "12",
                                       " \"",
                                       "\n  ",
                                       "},{",
                                       "ab",
                                       "\xc3\xa9",
                                       "1.5",
                                       "null",
                                       "-1",
                                       "\":\"",
                                       "\":{\"",
                                       "[]",
                                       "\\\"",
                                       "ab"
                                       "c\"",
                                       "/a",
                                       "e+",
                                       "\n\n",
                                       ", "};
    for (unsigned i = 0; i < 256; i++) {
        byte[i] = (char)i;
        t[i] = (struct str){&byte[i], 1};
    }
    for (size_t i = 0; i < TOKENS - 256; i++)
        t[256 + i] = i < sizeof more / sizeof *more ? str_of(more[i]) : (struct str){0};
}

static void walk(struct grammar *g, const struct toktrie *t, struct str text)
{
    struct masks *m;
    struct lar_err err;
    uint64_t set[TOKENS / 64 + 1];
    uint32_t s = grammar_start(g);
    MUST(masks_open(&m, g, t, 1 << 20, &err) == 0);
    for (size_t i = 0; s && i < 24; i++) {
        if (masks_fill(m, s, set, &err) < 0) break;
        for (uint32_t k = 0; k < TOKENS; k++)
            if (tokset_has(set, k))
                MUST(grammar_walk(g, s, t->bytes[k], NULL) || grammar_failed(g, NULL));
        s = i < text.n ? grammar_step(g, s, (unsigned char)text.p[i]) : 0;
    }
    masks_close(m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n == 0) return 0;
    const uint8_t *nul = memchr(data + 1, 0, n - 1);
    struct str source = {(const char *)data + 1, nul ? (size_t)(nul - data - 1) : n - 1};
    struct str text =
        nul ? (struct str){(const char *)nul + 1, n - source.n - 2} : STR("{\"a\": [1, \"b\"]}");
    struct str bytes[TOKENS];
    struct grammar_options o = {
        .space = *data & 8 ? 0 : -1, .limit = LIMIT, .schema = {.limit = LIMIT, .partial = (*data & 16) != 0}};
    struct lar_err err = {0};
    struct grammar *g;
    struct toktrie *t;
    long live = mem_live();
    tokens(bytes);
    int rc = grammar_open(&g, (enum grammar_kind)((*data & 7) % 6), source, &o, NULL, &err);
    MUST(rc == 0 ? g != NULL : g == NULL && err.code == rc && err.msg[0]);
    if (rc == 0) {
        size_t at = 0, again = 0;
        int ok = grammar_accepts(g, grammar_walk(g, grammar_start(g), text, &at));
        MUST(ok == grammar_accepts(g, grammar_walk(g, grammar_start(g), text, &again)) ||
             grammar_failed(g, NULL));
        MUST(at == again || grammar_failed(g, NULL));
        /* What the machine takes the judge does not call wrong, but for what was left out. */
        int judged = grammar_judge(g, text, &err);
        struct buf left = {0};
        grammar_left_out(g, &left);
        MUST(!ok || judged != 0 || left.n > 0 || left.failed);
        buf_done(&left);
        MUST(toktrie_open(&t, bytes, TOKENS, NULL) == 0);
        walk(g, t, text);
        toktrie_close(t);
        grammar_close(g);
    }
    MUST(mem_live() == live);
    return 0;
}
