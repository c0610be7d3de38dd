/* SPDX-License-Identifier: Apache-2.0
 * tests/test_guide.c: answers of the demo model under a grammar, through lar.h: whatever the model would rather say, each answer that ended
 * is a whole document of the schema. */
#include <lar/batch.h>
#include <lar/grammar.h>
#include <stdlib.h>
#include <string.h>

#include "tap.h"

static struct lar_model *model;
static struct lar_session *session;

static const char *const schema[] = {
    "{\"type\":\"object\",\"properties\":{\"intent\":{\"enum\":[\"refund\",\"order_status\",\"other\"]},"
        "\"score\":{\"type\":\"integer\",\"minimum\":1,"
    "\"maximum\":5},\"note\":{\"type\":\"string\",\"maxLength\":20}},\"required\":[\"intent\",\"score\","
        "\"note\"],\"additionalProperties\":false}",
    "{\"type\":\"array\",\"items\":{\"type\":\"string\",\"pattern\":\"^[A-Z]-[0-9]{3,5}$\"},\"minItems\":2,"
        "\"maxItems\":3}",
    "{\"oneOf\":[{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"boolean\"}},\"required\":[\"a\"],"
        "\"maxProperties\":1},{\"type\":\"null\"}]}",
    "{\"type\":\"object\",\"properties\":{\"when\":{\"type\":\"string\",\"format\":\"date\"},"
        "\"what\":{\"const\":{\"x\":[1,2]}}},\"required\":[\"when\","
    "\"what\"],\"additionalProperties\":false}",
    "{\"type\":\"array\",\"items\":{\"enum\":[1,2,3,\"a\"]},\"uniqueItems\":true,\"minItems\":3}",
    "{\"type\":\"number\",\"multipleOf\":0.25,\"minimum\":-2,\"maximum\":2}",
};

static int ask(struct lar_grammar *g, int64_t seed, float temp, int max_tokens, struct lar_result *r)
{
    struct lar_message msg = {"user", "Hi, my order A-48213 never came. I want my $49.90 back!"};
    struct lar_sampling p;
    struct lar_err err;
    lar_sampling_default(&p, NULL);
    p.temp = temp;
    p.top_k = 0;
    p.top_p = 1;
    p.min_p = 0;
    p.seed = seed;
    struct lar_request q = {.messages = &msg, .nmessage = 1, .sampling = &p, .max_tokens = max_tokens, .grammar = g};
    int rc = lar_generate(session, &q, r, &err);
    if (rc < 0) printf("# seed %lld: %s\n", (long long)seed, err.msg);
    return rc;
}

static struct lar_grammar *grammar(enum lar_grammar_kind kind, const char *text, int space)
{
    struct lar_grammar *g = NULL;
    struct lar_err err;
    struct lar_grammar_options o = {.space = space};
    if (lar_grammar_open(&g, kind, text, strlen(text), &o, NULL, &err) < 0) printf("# %s: %s\n", text, err.msg);
    return g;
}

static void every_answer_that_ends_is_a_document_of_the_schema(void)
{
    int rounds = getenv("LAR_SLOW") ? 2 : 12, ended = 0, all = 0;
    for (size_t i = 0; i < sizeof schema / sizeof *schema; i++)
        for (int space = -1; space <= 0; space++) {
            struct lar_grammar *g = grammar(LAR_GRAMMAR_SCHEMA, schema[i], space);
            struct lar_grammar *judge = grammar(LAR_GRAMMAR_SCHEMA, schema[i], 0); /* that has made no masks */
            for (int k = 0; g && judge && k < rounds; k++) {
                struct lar_result r;
                struct lar_err why = {0};
                size_t at = 0;
                if (ask(g, k, (float)(k % 4) * 0.7f, 200, &r) < 0) {
                    tap_case_bad++;
                    continue;
                }
                int ok = lar_grammar_check(judge, r.text, r.text_n, &at, &why);
                all++;
                ended += r.stop == LAR_STOP_END;
                if (r.stop == LAR_STOP_END ? ok != 1 : ok != 0 || at != r.text_n)
                    printf("# %s: %s at %zu: %s (%s"
                    ")\n", schema[i], r.text, at, why.msg, lar_stop_name(r.stop)), tap_case_bad++;
                lar_result_free(&r);
            }
            lar_grammar_close(g);
            lar_grammar_close(judge);
        }
    printf("# %d of %d answers came to their end\n", ended, all);
    CHECK(ended * 2 > all);
}

static void choices_and_patterns_end_by_themselves(void)
{
    struct lar_grammar *g = grammar(LAR_GRAMMAR_CHOICES, "[\"refund\",\"order status\",\"other\"]", 0);
    struct lar_grammar *re = grammar(LAR_GRAMMAR_REGEX, "[A-Z]-\\d{5}", 0);
    for (int k = 0; k < 5; k++) {
        struct lar_result r;
        CHECK_EQ(ask(g, k, 1.0f, 50, &r), 0);
        CHECK(!strcmp(r.text, "refund") || !strcmp(r.text, "order status") || !strcmp(r.text, "other"));
        CHECK_EQ(r.stop, LAR_STOP_END);
        lar_result_free(&r);
        CHECK_EQ(ask(re, k, 1.0f, 50, &r), 0);
        CHECK_EQ(r.text_n, 7);
        CHECK_EQ(lar_grammar_check(re, r.text, r.text_n, NULL, NULL), 1);
        lar_result_free(&r);
    }
    lar_grammar_close(g);
    lar_grammar_close(re);
}

/* Greedy: what is forced without asking the model changes nothing of what the mask would have left. */
static void forced_tokens_are_the_answer_s_own(void)
{
    struct lar_grammar *g = grammar(LAR_GRAMMAR_SCHEMA, schema[0], -1);
    struct lar_message msg = {"user", "Hi, where is my order A-48213?"};
    struct lar_sampling p;
    struct lar_err err;
    struct lar_writer *w = NULL;
    struct lar_result r, s;
    size_t n;
    int32_t id[16];
    int rc, k = 0, forced = 0;
    lar_sampling_default(&p, NULL);
    p.temp = 0;
    struct lar_request q = {.messages = &msg, .nmessage = 1, .sampling = &p, .grammar = g};
    CHECK_EQ(lar_generate(session, &q, &r, &err), 0);
    CHECK_EQ(lar_writer_open(&w, model, &q, &err), 0);
    CHECK_EQ(lar_writer_begin(w, lar_session_ctx(session), &err), 0);
    const int32_t *prompt = lar_writer_prompt(w, &n);
    CHECK(lar_session_sync(session, prompt, n, &err) >= 0);
    while ((rc = lar_writer_step(w, lar_session_logits(session), id, &err)) > 0) {
        if ((k = lar_writer_forced(w, id + 1, 15, &err)) < 0) break;
        forced += k;
        CHECK(lar_session_extend(session, id, (size_t)k + 1, NULL, &err) >= 0);
    }
    CHECK(rc == 0 && k >= 0);
    CHECK_EQ(lar_writer_end(w, &s, &err), 0);
    CHECK(!strcmp(r.text, s.text));
    printf("# %d of %zu tokens were forced: %s\n", forced, s.ntoken, s.text);
    CHECK(forced > 0);
    lar_result_free(&r);
    lar_result_free(&s);
    lar_writer_close(w);
    lar_grammar_close(g);
}

static void a_grammar_that_accepts_nothing_is_refused(void)
{
    struct lar_grammar *g = grammar(LAR_GRAMMAR_SCHEMA, "false", 0);
    struct lar_result r;
    CHECK_EQ(ask(g, 1, 1.0f, 10, &r), LAR_EUNSUPPORTED);
    lar_grammar_close(g);
}

static void places_and_masks_are_there_for_others(void)
{
    struct lar_grammar *g = grammar(LAR_GRAMMAR_CHOICES, "[\"ab\",\"ac\"]", 0);
    struct lar_model_info info;
    struct lar_err err;
    uint64_t set[1024];
    int32_t a, end = -1;
    size_t n = 0;
    lar_model_info(model, &info);
    CHECK((size_t)info.vocab < sizeof set * 8);
    CHECK(lar_grammar_mask(g, 0, set, &err) < 0);
    CHECK_EQ(lar_grammar_bind(g, model, &err), 0);
    uint32_t at = lar_grammar_start(g);
    CHECK_EQ(lar_grammar_mask(g, at, set, &err), 0);
    for (int i = 0; i < info.vocab; i++) {
        const char *s = lar_token_bytes(model, i, &n);
        int has = (int)(set[i / 64] >> (i & 63) & 1), type = lar_token_type(model, i);
        if (type == LAR_TOKEN_NORMAL) CHECK_EQ(has, n && (n == 1 ? *s == 'a' : n == 2 && (!memcmp(s, "a"
        "b", 2) || !memcmp(s, "ac", 2))));
        if (lar_token_ends(model, i)) end = i;
    }
    CHECK_EQ(lar_tokenize(model, "a", 1, 0, &a, 1, &err), 1);
    at = lar_grammar_next(g, at, a);
    CHECK(at && !lar_grammar_ends(g, at));
    CHECK_EQ(lar_tokenize(model, "c", 1, 0, &a, 1, &err), 1);
    at = lar_grammar_next(g, at, a);
    CHECK(at && lar_grammar_ends(g, at));
    CHECK_EQ(lar_grammar_mask(g, at, set, &err), 0);
    CHECK(end >= 0 && (set[end / 64] >> (end & 63) & 1));
    CHECK_EQ(lar_grammar_next(g, at, a), 0);
    lar_grammar_close(g);
}

int main(void)
{
    struct lar_err err;
    tap_timeout(60);
    if (lar_model_open(&model, "models/lar-demo-q8_0.gguf", &(struct lar_model_options){.threads = 1}, &err) < 0 ||
        lar_session_open(&session, model, NULL, &err) < 0) {
        printf("Bail out! %s\n", err.msg);
        return 1;
    }
    RUN(every_answer_that_ends_is_a_document_of_the_schema);
    RUN(choices_and_patterns_end_by_themselves);
    RUN(forced_tokens_are_the_answer_s_own);
    RUN(a_grammar_that_accepts_nothing_is_refused);
    RUN(places_and_masks_are_there_for_others);
    lar_session_close(session);
    lar_model_close(model);
    return tap_done();
}
