/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/test_sampling.c: lar/lar.h's samplers by themselves: who evaluates with a session and draws with a sampler gets what lar_generate gives,
 * and a seed that was left to the system can be had again. What the steps do is tests/test_sampler.c's. */
#include <lar/lar.h>

#include "tap.h"

#define DEMO "models/lar-demo-q8_0.gguf"
enum { MOST = 24 };

static struct lar_model *model;
static struct lar_session *session;
static struct lar_err err;
static int32_t prompt[64];
static size_t nprompt;

static struct lar_sampling wild(int64_t seed)
{
    struct lar_sampling p;
    lar_sampling_default(&p, model);
    p.temp = 1.4f, p.top_k = 0, p.top_p = 1, p.min_p = 0, p.seed = seed;
    return p;
}

static struct lar_result generated(const struct lar_sampling *p, const struct lar_sampler_options *o)
{
    struct lar_result r = {0};
    struct lar_request q = {.tokens = prompt, .ntoken = nprompt, .sampling = p, .max_tokens = MOST};
    if (o) q.bias = o->bias, q.nbias = o->nbias, q.dry_breaker = o->dry_breaker, q.ndry_breaker = o->ndry_breaker;
    CHECK_EQ(lar_generate(session, &q, &r, &err), 0);
    return r;
}

/* The loop of lar.h's comment, up to the token that ends it. Gives how many were drawn. */
static size_t drawn(struct lar_sampler *s, int32_t *out)
{
    size_t n = 0;
    CHECK_EQ(lar_sampler_accept(s, prompt, nprompt, &err), 0);
    CHECK(lar_session_sync(session, prompt, nprompt, &err) >= 0);
    while (n < MOST) {
        int32_t id = lar_sampler_pick(s, lar_session_logits(session), &err);
        CHECK(id >= 0);
        if (id < 0) break;
        out[n++] = id;
        if (lar_token_ends(model, id)) break;
        CHECK_EQ(lar_sampler_accept(s, &id, 1, &err), 0);
        CHECK_EQ(lar_session_extend(session, &id, 1, NULL, &err), 0);
    }
    return n;
}

static void same(const struct lar_sampling *p, const struct lar_sampler_options *o)
{
    struct lar_sampler *s;
    struct lar_sampling used;
    int32_t got[MOST];
    struct lar_result r = generated(p, o);
    CHECK_EQ(lar_sampler_open(&s, model, p, o, &err), 0);
    for (int again = 0; again < 2; again++) {
        CHECK_EQ(drawn(s, got), r.ntoken);
        CHECK(!memcmp(got, r.tokens, r.ntoken * sizeof *got));
        lar_sampler_reset(s);
    }
    lar_sampler_used(s, &used);
    CHECK_EQ(used.seed, p->seed);
    CHECK_EQ(r.seed, p->seed);
    lar_sampler_close(s);
    lar_result_free(&r);
}

static void a_sampler_draws_what_generate_draws(void)
{
    struct lar_sampling p = wild(7);
    same(&p, NULL);
    p.temp = 0;
    same(&p, NULL);
    p = wild(8);
    p.repeat_penalty = 1.3f, p.repeat_last_n = -1, p.presence_penalty = 0.5f, p.xtc_probability = 0.5f;
    same(&p, NULL);
    p.mirostat = 2;
    same(&p, NULL);
}

static void biases_and_breakers_go_along(void)
{
    static const char *const breaker[] = {"er", "no"};
    struct lar_bias bias = {prompt[nprompt - 1], 20};
    struct lar_sampler_options o = {.bias = &bias, .nbias = 1, .dry_breaker = breaker, .ndry_breaker = 2, .ctx = 256};
    struct lar_sampling p = wild(9);
    p.dry_multiplier = 30;
    same(&p, &o);
    struct lar_result without = generated(&p, NULL), with = generated(&p, &o);
    CHECK(with.ntoken != without.ntoken || memcmp(with.tokens, without.tokens, with.ntoken * sizeof *with.tokens));
    lar_result_free(&without), lar_result_free(&with);
}

static void a_seed_that_the_system_gave_can_be_given_again(void)
{
    struct lar_sampling p = wild(-1), q;
    struct lar_result first = generated(&p, NULL), other = generated(&p, NULL);
    CHECK(first.seed >= 0 && first.seed < (int64_t)1 << 53);
    CHECK(first.seed != other.seed);
    q = wild(first.seed);
    struct lar_result again = generated(&q, NULL);
    CHECK_EQ(again.seed, first.seed);
    CHECK_EQ(again.ntoken, first.ntoken);
    CHECK(!memcmp(again.tokens, first.tokens, first.ntoken * sizeof *first.tokens));
    lar_result_free(&first), lar_result_free(&other), lar_result_free(&again);

    struct lar_sampler *s;
    int32_t a[MOST], b[MOST];
    CHECK_EQ(lar_sampler_open(&s, model, &p, NULL, &err), 0);
    size_t n = drawn(s, a);
    lar_sampler_used(s, &q);
    lar_sampler_close(s);
    CHECK(q.seed >= 0);
    CHECK_EQ((long)(q.temp * 100), 140);
    CHECK_EQ(lar_sampler_open(&s, model, &q, NULL, &err), 0);
    CHECK_EQ(drawn(s, b), n);
    CHECK(!memcmp(a, b, n * sizeof *a));
    lar_sampler_close(s);
}

static void misuse_is_named(void)
{
    struct lar_sampler *s;
    struct lar_sampling p = wild(1);
    struct lar_model_info info;
    struct lar_session *fresh;
    lar_model_info(model, &info);
    p.top_p = 2;
    CHECK_EQ(lar_sampler_open(&s, model, &p, NULL, &err), LAR_EINVAL);
    CHECK(strstr(err.msg, "top_p") != NULL && !s);
    CHECK_EQ(lar_sampler_open(&s, model, NULL, &(struct lar_sampler_options){.ctx = -3}, &err), LAR_EINVAL);
    CHECK(strstr(err.msg, "ctx -3") != NULL);
    CHECK_EQ(lar_sampler_open(&s, NULL, NULL, NULL, &err), LAR_EINVAL);
    struct lar_bias outside = {info.vocab, 1};
    struct lar_sampler_options o = {.bias = &outside, .nbias = 1};
    CHECK_EQ(lar_sampler_open(&s, model, NULL, &o, &err), LAR_EINVAL);

    CHECK_EQ(lar_sampler_open(&s, model, NULL, NULL, &err), 0);
    CHECK_EQ(lar_session_open(&fresh, model, &(struct lar_session_options){.ctx = 8}, &err), 0);
    CHECK_EQ(lar_sampler_pick(s, lar_session_logits(fresh), &err), LAR_EINVAL);
    CHECK(strstr(err.msg, "before its first token") != NULL);
    lar_session_close(fresh);
    int32_t ids[] = {1, info.vocab};
    CHECK_EQ(lar_sampler_accept(s, ids, 2, &err), LAR_EINVAL);
    CHECK(strstr(err.msg, "token 1 is") != NULL);
    float *nan = calloc((size_t)info.vocab, sizeof *nan);
    for (int i = 0; nan && i < info.vocab; i++) nan[i] = NAN;
    CHECK_EQ(lar_sampler_pick(s, nan, &err), LAR_EFORMAT);
    free(nan);
    lar_sampler_close(s);
    lar_sampler_close(NULL);
}

static void a_sampler_outlives_the_caller_s_hold_on_the_model(void)
{
    struct lar_model *own;
    struct lar_sampler *s;
    int32_t id = 1;
    CHECK_EQ(lar_model_open(&own, DEMO, &(struct lar_model_options){.threads = 1}, &err), 0);
    struct lar_sampling p = wild(3);
    p.dry_multiplier = 1;
    CHECK_EQ(lar_sampler_open(&s, own, &p, NULL, &err), 0);
    lar_model_close(own);
    CHECK_EQ(lar_sampler_accept(s, &id, 1, &err), 0);
    lar_sampler_close(s);
}

static void the_header_s_number_is_the_library_s(void) { CHECK_EQ(lar_abi(), LAR_ABI); }

int main(void)
{
    tap_timeout(120);
    const char *text = "Customer: my order number is A-48213, the order never came, no order came.\nAnswer:";
    if (lar_model_open(&model, DEMO, &(struct lar_model_options){.threads = 2}, &err) < 0 ||
        lar_session_open(&session, model, &(struct lar_session_options){.ctx = 256}, &err) < 0)
        return printf("Bail out! %s\n", err.msg), EXIT_FAILURE;
    nprompt = (size_t)lar_tokenize(model, text, strlen(text), LAR_TOKENIZE_BOS, prompt, 64, &err);
    if (nprompt > 64) return printf("Bail out! %zu tokens\n", nprompt), EXIT_FAILURE;
    RUN(a_sampler_draws_what_generate_draws);
    RUN(biases_and_breakers_go_along);
    RUN(a_seed_that_the_system_gave_can_be_given_again);
    RUN(misuse_is_named);
    RUN(a_sampler_outlives_the_caller_s_hold_on_the_model);
    RUN(the_header_s_number_is_the_library_s);
    lar_session_close(session);
    lar_model_close(model);
    return tap_done();
}
