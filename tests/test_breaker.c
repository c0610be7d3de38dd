/* SPDX-License-Identifier: Apache-2.0
 * tests/test_breaker.c: which tokens, and which places between tokens, interrupt DRY's sequences. */
#include "run/breaker.h"

#include <string.h>

#include "io/gguf.h"
#include "tap.h"

static void tokens_that_contain_a_breaker(void)
{
    struct gguf g;
    struct vocab *v;
    struct lar_err err;
    CHECK_EQ(gguf_open(&g, "models/lar-demo-q8_0.gguf", &err), 0);
    CHECK_EQ(vocab_open(&v, &g, &err), 0);
    struct breaker b;
    struct ids ids = {0};
    breaker_init(&b, NULL, 0);
    CHECK_EQ(breaker_tokens(&b, v, &ids), 0);
    size_t at = 0, wrong = 0, with = 0;
    for (int32_t id = 0; id < vocab_size(v); id++) {
        struct str s = vocab_bytes(v, id);
        int has = 0;
        for (size_t i = 0; i < s.n; i++) has |= memchr("\n:\"*", s.p[i], 4) != NULL;
        int listed = at < ids.n && ids.id[at] == id;
        at += (size_t)listed;
        with += (size_t)has;
        wrong += has != listed;
    }
    CHECK(with > 8); /* the four characters, and the pieces of JSON that hold one */
    CHECK_EQ(wrong, 0);
    CHECK_EQ(at, ids.n);
    ids_done(&ids);
    breaker_done(&b);
    vocab_close(v);
    gguf_close(&g);
}

static void strings_spread_over_tokens(void)
{
    static const char *const cut[] = {"</s>", "and so on"};
    struct breaker b;
    breaker_init(&b, cut, 2);
    CHECK(!breaker_feed(&b, STR("some text <")));
    CHECK(!breaker_feed(&b, STR("/")));
    CHECK(breaker_feed(&b, STR("s> and")));
    CHECK(!breaker_feed(&b, STR(" so")));
    CHECK(breaker_feed(&b, STR(" on")));
    CHECK(!breaker_feed(&b, STR("")));
    CHECK(!breaker_feed(&b, STR(" and so")));
    for (int i = 0; i < 1000; i++) CHECK(!breaker_feed(&b, STR("</s")));
    CHECK(b.tail.cap < 4096);
    CHECK(breaker_feed(&b, STR(">")));
    breaker_done(&b);
    breaker_init(&b, cut, 0);
    CHECK(!breaker_feed(&b, STR("</s>")));
    breaker_done(&b);
}

int main(void)
{
    RUN(tokens_that_contain_a_breaker);
    RUN(strings_spread_over_tokens);
    return tap_done();
}
