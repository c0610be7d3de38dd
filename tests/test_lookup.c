/* SPDX-License-Identifier: Apache-2.0
 * tests/test_lookup.c: guessed tokens: where they come from, when none are made, and that an answer is the same with them as without. */
#include <lar/batch.h>
#include <lar/grammar.h>

#include "run/lookup.h"
#include "tap.h"

#define DEMO "models/lar-demo-q8_0.gguf"

static struct lar_model *model;
static struct lar_session *session;

static struct ids list(const int32_t *id, size_t n) { return (struct ids){.id = (int32_t *)(uintptr_t)id, .n = n}; }
#define IDS(...) list((const int32_t[]){__VA_ARGS__}, sizeof(int32_t[]){__VA_ARGS__} / sizeof(int32_t))

static void a_guess_is_what_followed_the_longest_likeness(void)
{
    struct lookup l;
    struct ids prompt = IDS(1, 2, 3, 10, 11, 7, 2, 3, 20, 21, 9), answer = IDS(1, 2, 3);
    lookup_init(&l, 2);
    CHECK_EQ(lookup_make(&l, &prompt, &answer, 16), 2); /* 1 2 3 is longer than 2 3, which came later */
    CHECK(l.guess[0] == 10 && l.guess[1] == 11);
    struct ids other = IDS(8, 2, 3);
    lookup_init(&l, 16);
    CHECK_EQ(lookup_make(&l, &prompt, &other, 3), 3);
    CHECK(l.guess[0] == 20 && l.guess[1] == 21 && l.guess[2] == 9); /* of equals the last */
    CHECK_EQ(lookup_make(&l, &prompt, &other, 0), 0);
    struct ids new = IDS(4, 5), one = IDS(5), none = {0};
    CHECK_EQ(lookup_make(&l, &prompt, &new, 16), 0);
    CHECK_EQ(lookup_make(&l, &one, &none, 16), 0);
    lookup_init(&l, 0);
    CHECK_EQ(lookup_make(&l, &prompt, &answer, 16), 0);
}

/* First as far as the answer went its way from the beginning, then wherever the answer's end stands in it, then as ever. */
static void what_is_predicted_is_looked_at_first(void)
{
    static const int32_t said[] = {50, 51, 52, 53, 54, 55};
    struct lookup l;
    struct ids prompt = IDS(1, 2, 3, 10, 11), answer = IDS(50), other = IDS(7, 52, 53);
    struct ids third = IDS(7, 2, 3), none = IDS(60, 61);
    lookup_init(&l, 2);
    lookup_predict(&l, said, 6);
    lookup_token(&l, 50);
    CHECK_EQ(lookup_make(&l, &prompt, &answer, 16), 2);
    CHECK(l.guess[0] == 51 && l.guess[1] == 52);
    lookup_init(&l, 2);
    lookup_predict(&l, said, 6);
    for (size_t i = 0; i < 3; i++) lookup_token(&l, other.id[i]);
    CHECK_EQ(lookup_make(&l, &prompt, &other, 16), 2);
    CHECK(l.guess[0] == 54 && l.guess[1] == 55);
    lookup_init(&l, 2);
    lookup_predict(&l, said, 6);
    for (size_t i = 0; i < 3; i++) lookup_token(&l, third.id[i]);
    CHECK_EQ(lookup_make(&l, &prompt, &third, 16), 2);
    CHECK(l.guess[0] == 10 && l.guess[1] == 11);
    CHECK_EQ(lookup_make(&l, &prompt, &none, 16), 0);
    lookup_init(&l, 16);
    lookup_predict(&l, said, 6);
    for (size_t i = 0; i < 6; i++) lookup_token(&l, said[i]);
    struct ids all = list(said, 6);
    CHECK_EQ(lookup_make(&l, &prompt, &all, 16), 0); /* it is at its end: nothing is read behind it */
}

/* A likeness may lie over its own end: what is repeated goes on. */
static void a_guess_may_begin_within_the_answer(void)
{
    struct lookup l;
    struct ids prompt = IDS(5), answer = IDS(1, 2, 1, 2, 1, 2);
    lookup_init(&l, 16);
    CHECK(lookup_make(&l, &prompt, &answer, 16) >= 2);
    CHECK(l.guess[0] == 1 && l.guess[1] == 2);
}

static void guesses_grow_while_they_are_right_and_cease_when_they_are_not(void)
{
    struct lookup l;
    int32_t id[64];
    for (int i = 0; i < 64; i++) id[i] = i % 8;
    struct ids prompt = list(id, 64), answer = {0};
    lookup_init(&l, 16);
    int first = lookup_make(&l, &prompt, &answer, 16);
    for (int i = 0; i < first; i++) lookup_token(&l, l.guess[i]);
    int second = lookup_make(&l, &prompt, &answer, 16);
    CHECK_EQ(first, 4);
    CHECK_EQ(second, 8);
    CHECK_EQ(l.taken, 4);
    int made = 0;
    for (int i = 0; i < 100; i++) {
        lookup_token(&l, 99);
        made += lookup_make(&l, &prompt, &answer, 16) > 0;
    }
    CHECK(made > 0 && made < 20);
    CHECK_EQ(l.taken, 4);
}

/* Guesses of `lookup` tokens; text and ids of the answer in r. */
static void ask(const char *text, int lookup, float temp, int max_tokens, struct lar_grammar *g,
                struct lar_result *r)
{
    struct lar_sampling p;
    struct lar_err err;
    lar_sampling_default(&p, NULL);
    p.temp = temp;
    p.seed = 11;
    struct lar_request q = {
        .text = text, .sampling = &p, .max_tokens = max_tokens, .lookup = lookup, .grammar = g};
    if (lar_generate(session, &q, r, &err) < 0) {
        printf("# %s\n", err.msg);
        tap_case_bad++;
        *r = (struct lar_result){0};
    }
}

static const char twice[] = "order A-48213: two pens, one lamp. order B-77120: two pens, one lamp. "
                            "order A-48213: two pens,";

/* As the model computes each row alone (deterministic), the answers are the same to the last token. */
static void an_answer_is_the_same_with_guesses_as_without(void)
{
    static const float temp[] = {0, 0.5f, 1.2f};
    size_t right = 0;
    for (int t = 0; t < 3; t++)
        for (int lookup = 1; lookup <= 16; lookup *= 4) {
            struct lar_result a, b;
            size_t n;
            ask(twice, 0, temp[t], 60, NULL, &a);
            ask(twice, lookup, temp[t], 60, NULL, &b);
            CHECK_EQ(a.ntoken, b.ntoken);
            CHECK(a.ntoken == b.ntoken && memcmp(a.tokens, b.tokens, a.ntoken * sizeof *a.tokens) == 0);
            CHECK_EQ(a.stop, b.stop);
            CHECK_EQ(a.guessed, 0);
            CHECK(b.guessed_right <= b.guessed);
            right += b.guessed_right;
            const int32_t *now = lar_session_tokens(session, &n); /* the timeline is prompt and answer, no guess is left */
            CHECK_EQ(n, b.prompt_tokens + b.ntoken - 1);
            CHECK(n == b.prompt_tokens + b.ntoken - 1 &&
                  memcmp(now + b.prompt_tokens, b.tokens, (b.ntoken - 1) * sizeof *now) == 0);
            lar_result_free(&a);
            lar_result_free(&b);
        }
    printf("# %zu guesses were right\n", right);
    CHECK(right > 20);
}

static void ends_are_where_they_are_without(void)
{
    for (int most = 1; most < 12; most++) {
        struct lar_result a, b;
        ask(twice, 0, 0, most, NULL, &a);
        ask(twice, 16, 0, most, NULL, &b);
        CHECK_EQ(b.ntoken, a.ntoken);
        CHECK_STR(a.text, b.text);
        lar_result_free(&a);
        lar_result_free(&b);
    }
    struct lar_err err;
    struct lar_result a = {0}, b = {0};
    struct lar_session_options so = {.ctx = 64, .batch = 3}; /* the context ends the answer */
    lar_session_close(session);
    CHECK_EQ(lar_session_open(&session, model, &so, &err), 0);
    ask(twice, 0, 0, 0, NULL, &a);
    ask(twice, 16, 0, 0, NULL, &b);
    CHECK_EQ(a.stop, LAR_STOP_FULL);
    CHECK_EQ(b.stop, LAR_STOP_FULL);
    CHECK_EQ(a.ntoken, b.ntoken);
    lar_result_free(&a);
    lar_result_free(&b);
    lar_session_close(session);
    CHECK_EQ(lar_session_open(&session, model, NULL, &err), 0);
}

static void guesses_and_a_grammar_go_together(void)
{
    static const char schema[] = "{\"type\":\"object\",\"properties\":{\"order\":{\"type\":\"string\"},"
                                 "\"again\":{\"type\":\"string\"}},\"required\":[\"order\",\"again\"],"
                                 "\"additionalProperties\":false}";
    struct lar_grammar *g = NULL;
    struct lar_err err;
    struct lar_result a, b;
    CHECK_EQ(lar_grammar_open(&g, LAR_GRAMMAR_SCHEMA, schema, sizeof schema - 1, NULL, NULL, &err), 0);
    for (int seed = 0; g && seed < 2; seed++) {
        ask(twice, 0, (float)seed, 80, g, &a);
        ask(twice, 16, (float)seed, 80, g, &b);
        CHECK_STR(a.text, b.text);
        CHECK_EQ(a.ntoken, b.ntoken);
        lar_result_free(&a);
        lar_result_free(&b);
    }
    lar_grammar_close(g);
}

static void what_cannot_be_is_refused(void)
{
    struct lar_request q = {.text = "a", .lookup = 17};
    struct lar_result r;
    struct lar_err err;
    CHECK_EQ(lar_generate(session, &q, &r, &err), LAR_EINVAL);
    CHECK(strstr(err.msg, "lookup 17") != NULL);
    CHECK_EQ(lar_session_cut(NULL, 0, &err), LAR_EINVAL);
}

int main(void)
{
    struct lar_err err;
    tap_timeout(60);
    RUN(a_guess_is_what_followed_the_longest_likeness);
    RUN(what_is_predicted_is_looked_at_first);
    RUN(a_guess_may_begin_within_the_answer);
    RUN(guesses_grow_while_they_are_right_and_cease_when_they_are_not);
    if (lar_model_open(&model, DEMO, &(struct lar_model_options){.threads = 1, .deterministic = 1}, &err) < 0 ||
        lar_session_open(&session, model, NULL, &err) < 0) {
        printf("Bail out! %s\n", err.msg);
        return 1;
    }
    RUN(an_answer_is_the_same_with_guesses_as_without);
    RUN(ends_are_where_they_are_without);
    RUN(guesses_and_a_grammar_go_together);
    RUN(what_cannot_be_is_refused);
    lar_session_close(session);
    lar_model_close(model);
    return tap_done();
}
