/* SPDX-License-Identifier: Apache-2.0
 * tests/test_guide.c: answers of the demo model under a grammar, through lar.h: whatever the model would rather say, each answer that ended
 * is a whole document of the schema. */
#include <lar/batch.h>
#include <lar/grammar.h>
#include <lar/tools.h>
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
    int rounds = getenv("LAR_SLOW") ? 1 : 12, ended = 0, all = 0;
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

/* ---- rows of a batch ----------------------------------------------------------------------------------------------------- */

enum { NROW = 4 };

static void each_row_of_a_batch_has_its_own_grammar(void)
{
    struct lar_grammar *g[NROW] = {grammar(LAR_GRAMMAR_SCHEMA, schema[0], -1), NULL,
                                   grammar(LAR_GRAMMAR_CHOICES, "[\"refund\",\"other\"]", 0), NULL};
    struct lar_message msg = {"user", "Hi, where is my order A-48213?"};
    struct lar_sampling p;
    struct lar_err err;
    struct lar_batch *b = NULL;
    struct lar_writer *w[NROW];
    struct lar_session *s[NROW];
    struct lar_result alone[NROW], r;
    int32_t next[NROW][16];
    int n[NROW], left = NROW;
    g[3] = g[0]; /* two rows at different places of one grammar, and one row without any */
    lar_sampling_default(&p, NULL);
    p.temp = 0;
    CHECK_EQ(lar_batch_open(&b, model, NULL, &err), 0);
    for (int i = 0; i < NROW; i++) {
        struct lar_request q = {.messages = &msg, .nmessage = 1, .sampling = &p, .grammar = g[i], .max_tokens = 60 + i};
        CHECK_EQ(lar_generate(session, &q, &alone[i], &err), 0);
        CHECK_EQ(lar_writer_open(&w[i], model, &q, &err), 0);
        CHECK_EQ(lar_session_open(&s[i], model, NULL, &err), 0);
        CHECK_EQ(lar_writer_begin(w[i], lar_session_ctx(s[i]), &err), 0);
        n[i] = -i; /* they begin one after another */
    }
    while (left) {
        struct lar_part part[NROW];
        int who[NROW], np = 0;
        for (int i = 0; i < NROW; i++) {
            size_t count = (size_t)(n[i] > 0 ? n[i] : 0);
            const int32_t *t = n[i] == 0 ? lar_writer_prompt(w[i], &count) : next[i];
            if (n[i] >= 0 && n[i] < 100) {
                part[np] = (struct lar_part){.session = s[i], .tokens = t, .n = count, .logits = 1};
                who[np++] = i;
            }
            n[i] += n[i] < 0;
        }
        CHECK_EQ(lar_batch_step(b, part, (size_t)np, &err), np);
        for (int k = 0; k < np; k++) {
            int i = who[k], forced = 0, rc = lar_writer_step(w[i], part[k].out, next[i], &err);
            CHECK(rc >= 0);
            if (rc > 0) CHECK((forced = lar_writer_forced(w[i], next[i] + 1, 15, &err)) >= 0);
            n[i] = rc > 0 ? 1 + forced : 100;
            left -= rc <= 0;
        }
    }
    for (int i = 0; i < NROW; i++) {
        CHECK_EQ(lar_writer_end(w[i], &r, &err), 0);
        CHECK_STR(r.text, alone[i].text);
        if (g[i]) CHECK_EQ(lar_grammar_check(g[i], r.text, r.text_n, NULL, NULL), 1);
        lar_result_free(&r);
        lar_result_free(&alone[i]);
        lar_writer_close(w[i]);
        lar_session_close(s[i]);
    }
    lar_batch_close(b);
    lar_grammar_close(g[0]);
    lar_grammar_close(g[2]);
}

/* ---- models that think --------------------------------------------------------------------------------------------------- */

/* The demonstration model with two of its control tokens under the names of a family's marks of thinking, and a template that knows them. What it
 * says is written here: its logits ask for one token after another, and the grammar has its say. */
static struct lar_model *thinker;

static void rename_token(char *bytes, size_t n, const char *from, const char *to)
{
    char *at = memmem(bytes, n, from, strlen(from));
    CHECK(at && strlen(from) == strlen(to));
    if (at) memcpy(at, to, strlen(to));
}

static void open_thinker(int opened)
{
    char path[64];
    struct lar_err err;
    FILE *f = fopen("models/lar-demo-q8_0.gguf", "rb");
    char *bytes = malloc(1 << 24);
    size_t n = f && bytes ? fread(bytes, 1, 1 << 24, f) : 0;
    snprintf(path, sizeof path, "/tmp/lar-test-thinker.%d", (int)getpid());
    FILE *to = fopen(path, "wb");
    CHECK(n > 1000 && to);
    rename_token(bytes, n, "<|im_start|>", "<seed:think>");
    rename_token(bytes, n, "<|endoftext|>", "</seed:think>");
    CHECK(to && fwrite(bytes, 1, n, to) == n && fclose(to) == 0);
    struct lar_model_options o = {.threads = 1};
    o.chat_template = "{% for m in messages %}{{ m.content }}{% endfor %}{# </seed:think> #}";
    if (opened) o.chat_template = "{% for m in messages %}{{ m.content }}{% endfor %}<seed:think>{# </seed:think> #}";
    CHECK_EQ(lar_model_open(&thinker, path, &o, &err), 0);
    unlink(path);
    if (f) fclose(f);
    free(bytes);
}

/* The answer of a model that wants to say `script`, and then token 0 for ever. */
static void say(const struct lar_request *q, const char *script, struct lar_result *r)
{
    struct lar_model_info info;
    struct lar_err err = {0};
    struct lar_writer *w = NULL;
    int32_t want[200] = {0}, id = 0, more[8];
    int64_t n = lar_tokenize(thinker, script, strlen(script), LAR_TOKENIZE_SPECIAL, want, 150, &err), i = 0;
    lar_model_info(thinker, &info);
    float *logits = calloc((size_t)info.vocab, sizeof *logits);
    int rc = lar_writer_open(&w, thinker, q, &err);
    if (rc == 0) rc = lar_writer_begin(w, 400, &err);
    CHECK(n >= 0 && rc == 0 && logits);
    for (rc = 1; rc > 0 && i < 300; i++) {
        int32_t one = i < n ? want[i] : 0;
        logits[one] = 100;
        rc = lar_writer_step(w, logits, &id, &err);
        logits[one] = 0;
        if (rc > 0 && i >= n) lar_writer_forced(w, more, 8, &err);
    }
    if (rc < 0) printf("# %s\n", err.msg);
    CHECK_EQ(rc, 0);
    CHECK_EQ(lar_writer_end(w, r, &err), 0);
    lar_writer_close(w);
    free(logits);
}

static void expect(const struct lar_request *q, const char *script, const char *thinking, const char *text, int stop)
{
    struct lar_result r;
    say(q, script, &r);
    CHECK_STR(r.thinking ? r.thinking : "", thinking);
    CHECK_STR(r.text, text);
    CHECK_EQ(r.stop, stop);
    lar_result_free(&r);
}

static void the_constraint_begins_behind_the_thinking(void)
{
    struct lar_message msg = {"user", "Shall I?"};
    struct lar_sampling p;
    lar_sampling_default(&p, NULL);
    p.temp = 0;
    struct lar_request q = {.messages = &msg, .nmessage = 1, .sampling = &p};
    for (int opened = 0; opened < 2; opened++) {
        const char *mark = opened ? "" : "<seed:think>";
        char script[200];
        open_thinker(opened);
        q.grammar = grammar(LAR_GRAMMAR_CHOICES, "[\"yes\",\"no\"]", 0);
        snprintf(script, sizeof script, "%sso {\"x\": 1} or yes?</seed:think>no way", mark);
        expect(&q, script, "so {\"x\": 1} or yes?", "no", LAR_STOP_END);
        snprintf(script, sizeof script, "%s</seed:think>no", mark); /* an empty one */
        expect(&q, script, "", "no", LAR_STOP_END);
        q.max_tokens = 6; /* one that does not end: there is no answer, and it is told why */
        snprintf(script, sizeof script, "%shm hm hm hm hm hm hm hm hm hm", mark);
        struct lar_result r;
        say(&q, script, &r);
        CHECK(r.stop == LAR_STOP_LENGTH && r.text_n == 0 && r.thinking_n > 3);
        lar_result_free(&r);
        snprintf(script, sizeof script, "%shm<|im_end|><|im_end|></seed:think>no", mark); /* it may not end the answer */
        q.max_tokens = 0;
        say(&q, script, &r);
        CHECK(r.stop == LAR_STOP_END && !strcmp(r.text, "no") && !strncmp(r.thinking, "hm", 2));
        lar_result_free(&r);
        lar_grammar_close(q.grammar);
        lar_model_close(thinker);
    }
}

static void thinking_may_be_left_out_or_off(void)
{
    struct lar_message msg = {"user", "Shall I?"};
    struct lar_sampling p;
    lar_sampling_default(&p, NULL);
    p.temp = 0;
    open_thinker(0);
    struct lar_request q = {.messages = &msg, .nmessage = 1, .sampling = &p,
                            .grammar = grammar(LAR_GRAMMAR_CHOICES, "[\"yes\",\"no\"]", 0)};
    expect(&q, "no<seed:think>x</seed:think>", "", "no", LAR_STOP_END);
    q.think = LAR_THINK_OFF;
    struct lar_result r;
    say(&q, "<seed:think>yes</seed:think>no", &r);
    CHECK(r.thinking_n == 0 && r.stop == LAR_STOP_END && (!strcmp(r.text, "no") || !strcmp(r.text, "yes")));
    lar_result_free(&r);
    lar_grammar_close(q.grammar);
    lar_model_close(thinker);
}

static void calls_that_must_come_come_behind_the_thinking(void)
{
    static const char list[] = "[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":"
                               "{\"type\":\"object\",\"properties\":{\"a\":{\"enum\":[\"z\"]}},"
                               "\"required\":[\"a\"]}}}]";
    struct lar_message msg = {"user", "Shall I?"};
    struct lar_tools_options o = {.choice = LAR_TOOLS_REQUIRED, .single = 1};
    struct lar_tools *t = NULL;
    struct lar_sampling p;
    struct lar_err err;
    lar_sampling_default(&p, NULL);
    p.temp = 0;
    open_thinker(1);
    CHECK_EQ(lar_tools_open(&t, thinker, list, strlen(list), &o, &err), 0);
    struct lar_request q = {.messages = &msg, .nmessage = 1, .sampling = &p, .tools = t};
    struct lar_result r;
    say(&q, "I need f.</seed:think>I will not call it", &r);
    CHECK_STR(r.thinking, "I need f.");
    printf("# %s\n", r.text);
    CHECK(!strncmp(r.text, "<tool_call>", 11) && strstr(r.text, "\"z\""));
    CHECK_EQ(r.stop, LAR_STOP_END);
    lar_result_free(&r);
    lar_tools_close(t);
    lar_model_close(thinker);
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
    RUN(each_row_of_a_batch_has_its_own_grammar);
    RUN(the_constraint_begins_behind_the_thinking);
    RUN(thinking_may_be_left_out_or_off);
    RUN(calls_that_must_come_come_behind_the_thinking);
    lar_session_close(session);
    lar_model_close(model);
    return tap_done();
}
