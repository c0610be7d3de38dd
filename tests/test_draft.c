/* SPDX-License-Identifier: Apache-2.0
 * tests/test_draft.c: a second model guesses: the answers are what they are without it, token by token; who has other tokens is refused; and guessing
 * ceases where it does not pay. The draft is the demo model in fewer bits, so that it is often right and not always. */
#include <lar/draft.h>
#include <lar/grammar.h>
#include <lar/quant.h>

#include "run/pays.h"
#include "tap.h"

#define DEMO  "models/lar-demo-q8_0.gguf"
#define OTHER "../shared/golden/models/apertus/model-f32.gguf"

static struct lar_model *model, *draft;
static struct lar_session *session, *with;
static struct lar_draft *guesser;

static void ask(const char *text, float temp, int64_t seed, int max_tokens, struct lar_grammar *g, struct lar_result *r)
{
    struct lar_sampling p;
    struct lar_err err;
    lar_sampling_default(&p, NULL);
    p.temp = temp;
    p.seed = seed;
    struct lar_request q = {.text = text, .sampling = &p, .max_tokens = max_tokens, .grammar = g};
    if (lar_generate(session, &q, r, &err) < 0) {
        printf("# %s\n", err.msg);
        tap_case_bad++;
        *r = (struct lar_result){0};
    }
}

static void drafting(int most)
{
    struct lar_err err;
    if (lar_session_draft(session, most ? guesser : NULL, with, most, 1, &err) < 0) printf("Bail out! %s\n", err.msg);
}

static void both(const char *text, float temp, int64_t seed, int max_tokens, struct lar_grammar *g, int most,
                 size_t *made, size_t *right)
{
    struct lar_result a, b;
    size_t n;
    drafting(0);
    ask(text, temp, seed, max_tokens, g, &a);
    drafting(most);
    ask(text, temp, seed, max_tokens, g, &b);
    CHECK_EQ(a.guessed, 0);
    CHECK_EQ(a.ntoken, b.ntoken);
    CHECK(a.ntoken == b.ntoken && memcmp(a.tokens, b.tokens, a.ntoken * sizeof *a.tokens) == 0);
    CHECK_EQ(a.stop, b.stop);
    CHECK(a.text && b.text && strcmp(a.text, b.text) == 0);
    const int32_t *now = lar_session_tokens(session, &n); /* no guess is left on the timeline */
    CHECK(n == b.prompt_tokens + b.ntoken - 1 || b.stop == LAR_STOP_FULL);
    CHECK(b.ntoken == 0 || memcmp(now + b.prompt_tokens, b.tokens, (b.ntoken - 1) * sizeof *now) == 0);
    *made += b.guessed;
    *right += b.guessed_right;
    lar_result_free(&a);
    lar_result_free(&b);
}

static const char text[] = "<|im_start|>user\nHi, where is my order A-48213? Please answer asap!<|im_end|>\n"
                           "<|im_start|>assistant\n";

static void an_answer_is_the_same_token_by_token(void)
{
    static const float temp[] = {0, 0.5f, 1.2f};
    size_t made = 0, right = 0;
    for (int t = 0; t < 3; t++)
        for (int most = 1; most <= 16; most *= 4) both(text, temp[t], 11 + most, 60, NULL, most, &made, &right);
    printf("# %zu of %zu guesses were right\n", right, made);
    CHECK(right > 100);
    CHECK(right < made);
}

static void ends_are_where_they_are_without(void)
{
    size_t made = 0, right = 0;
    struct lar_err err;
    for (int most = 1; most < 12; most++) both(text, 0, 1, most, NULL, 16, &made, &right);
    CHECK(right > 0);
    lar_session_close(session);
    CHECK_EQ(lar_session_open(&session, model, &(struct lar_session_options){.ctx = 48, .batch = 7}, &err), 0);
    both("1 2 3 4 5 6 7 1 2 3 4 5 6 7 1 2 3 4", 0, 1, 0, NULL, 16, &made, &right);
    lar_session_close(session);
    CHECK_EQ(lar_session_open(&session, model, NULL, &err), 0);
}

static void guesses_and_a_grammar_go_together(void)
{
    static const char schema[] = "{\"type\":\"object\",\"properties\":{\"order\":{\"type\":\"string\"},"
                                 "\"urgency\":{\"enum\":[\"low\",\"high\"]}},\"required\":[\"order\",\"urgency\"],"
                                 "\"additionalProperties\":false}";
    struct lar_grammar *g = NULL;
    struct lar_err err;
    size_t made = 0, right = 0;
    CHECK_EQ(lar_grammar_open(&g, LAR_GRAMMAR_SCHEMA, schema, sizeof schema - 1, NULL, NULL, &err), 0);
    for (int seed = 0; g && seed < 3; seed++) both(text, (float)seed / 2, seed, 80, g, 8, &made, &right);
    lar_grammar_close(g);
}

/* Beyond one seed's tokens: of many answers of other seeds, how often each second token comes, with guesses and without (two-sample chi-square). */
static void the_distribution_is_the_same(void)
{
    enum { N = 250, KINDS = 12 };
    int32_t id[KINDS];
    double count[2][KINDS + 1] = {{0}}, chi = 0;
    int kinds = 0, cells = 0;
    for (int side = 0; side < 2; side++) {
        drafting(side ? 4 : 0);
        for (int i = 0; i < N; i++) {
            struct lar_result r;
            ask("The order", 1.5f, 1000 + i + side * N, 3, NULL, &r);
            int32_t t = r.ntoken > 1 ? r.tokens[1] : -1;
            int k = 0;
            while (k < kinds && id[k] != t) k++;
            if (k == kinds && kinds < KINDS) id[kinds++] = t;
            count[side][k]++;
            lar_result_free(&r);
        }
    }
    for (int k = 0; k <= KINDS; k++) {
        double a = count[0][k], b = count[1][k];
        if (a + b < 10) continue;
        chi += (a - b) * (a - b) / (a + b);
        cells++;
    }
    printf("# chi-square %.1f of %d cells\n", chi, cells);
    CHECK(cells > 2);
    CHECK(chi < cells + 4 * sqrt(2.0 * cells)); /* seeds are fixed: this gives the same each time */
}

static int stop_soon(void *ctx, enum lar_text_kind kind, const char *p, size_t n)
{
    (void)kind, (void)p, (void)n;
    return ++*(int *)ctx > 5;
}

static void who_asks_may_stop_it(void)
{
    int told = 0;
    struct lar_request q = {.text = text, .max_tokens = 100, .on_text = stop_soon, .ctx = &told};
    struct lar_result r;
    struct lar_err err;
    drafting(16);
    CHECK_EQ(lar_generate(session, &q, &r, &err), 0);
    CHECK_EQ(r.stop, LAR_STOP_CANCEL);
    lar_result_free(&r);
    size_t made = 0, right = 0;
    both(text, 0, 1, 30, NULL, 8, &made, &right); /* and what comes then is as it was */
}

static void only_the_same_tokens_will_do(void)
{
    struct lar_model *other;
    struct lar_err err;
    CHECK_EQ(lar_draft_check(model, draft, &err), 0);
    CHECK_EQ(lar_session_draft(session, guesser, with, 17, 1, &err), LAR_EINVAL);
    CHECK_EQ(lar_draft_guess(guesser, NULL, 1, 0, NULL, &err), LAR_EINVAL);
    if (lar_model_open(&other, OTHER, NULL, &err) < 0) {
        printf("# %s is not here\n", OTHER);
        return;
    }
    CHECK_EQ(lar_draft_check(model, other, &err), LAR_EINVAL);
    CHECK(strstr(err.msg, "the same ones") != NULL);
    lar_model_close(other);
}

/* ---- whether it pays: a clock of our own: a step is 10, with guesses it is `slow`, and `right` of them are so ------------------- */

static double run_for(struct pays *p, int tokens, double slow, size_t right, int *guessed)
{
    double clock = 0;
    for (int have = 0; have < tokens;) {
        int now = pays_now(p, 1);
        double ns = now ? slow : 10;
        pays_note(p, 1, now, ns, 0, now ? right : 0);
        clock += ns;
        have += 1 + (now ? (int)right : 0);
        *guessed += now;
    }
    return clock;
}

static void guessing_ceases_where_it_does_not_pay(void)
{
    struct pays p = {.worth = 0}, q = p, r = p;
    int guessed = 0;
    double clock = run_for(&p, 2000, 25, 0, &guessed);
    printf("# never right, two and a half steps' time: %.1f %% more\n", 100 * (clock / 20000 - 1));
    CHECK(clock < 20000 * 1.05);
    CHECK(guessed > LAR_GUESSES_MAX); /* and still it is tried now and then */
    guessed = 0;
    clock = run_for(&q, 2000, 20, 3, &guessed);
    CHECK(clock < 20000 * 0.6); /* four tokens in two steps' time: twice as fast */
    guessed = 0;
    run_for(&r, 2000, 30, 1, &guessed);
    CHECK(guessed < 100);
    guessed = 0;
    run_for(&r, 2000, 12, 3, &guessed); /* what once did not pay does now: a try finds out */
    CHECK(guessed > 300);
}

int main(void)
{
    char path[] = "/tmp/lar-draft-XX" "XX" "XX";
    struct lar_err err;
    tap_timeout(60);
    int fd = mkstemp(path);
    if (fd >= 0) close(fd);
    struct lar_model_options mo = {.threads = 1, .deterministic = 1};
    if (fd < 0 || lar_quantize(DEMO, path, &(struct lar_quantize_options){.type = "Q4_0", .threads = 1}, &err) < 0 ||
        lar_model_open(&model, DEMO, &mo, &err) < 0 || lar_model_open(&draft, path, &mo, &err) < 0 ||
        lar_session_open(&session, model, NULL, &err) < 0 || lar_session_open(&with, draft, NULL, &err) < 0 ||
        lar_draft_open(&guesser, draft, 4, &err) < 0) {
        printf("Bail out! %s\n", err.msg);
        return 1;
    }
    unlink(path);
    RUN(an_answer_is_the_same_token_by_token);
    RUN(ends_are_where_they_are_without);
    RUN(guesses_and_a_grammar_go_together);
    RUN(the_distribution_is_the_same);
    RUN(who_asks_may_stop_it);
    RUN(only_the_same_tokens_will_do);
    RUN(guessing_ceases_where_it_does_not_pay);
    lar_session_close(session);
    lar_session_close(with);
    lar_draft_close(guesser);
    lar_model_close(model);
    lar_model_close(draft);
    return tap_done();
}
