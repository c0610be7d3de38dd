/* SPDX-License-Identifier: Apache-2.0
 * tests/test_session.c: a timeline keeps what it can, shares what it may, and stops when told; on the demonstration model, and on a small
 * one with a recurrent layer. */
#include "run/session.h"

#include "convert/convert.h"
#include "run/batch.h"
#include "tap.h"

#define MODEL "models/lar-demo-q8_0.gguf"
#define RECURRENT "tests/data/golden/lfm2"

static struct model *model;
static struct kv_pool *pool;

static void open_session(struct session *s, size_t ctx, size_t batch)
{
    struct lar_err err;
    if (session_open(s, model, pool, KV_F16, ctx, batch, &err) < 0) {
        printf("Bail out! %s\n", err.msg);
        exit(1);
    }
}

static int32_t id(size_t i) { return (int32_t)((i * 7919 + 13) % 2500); }

static void fill(int32_t *t, size_t n)
{
    for (size_t i = 0; i < n; i++) t[i] = id(i);
}

static void sync_evaluates_only_what_is_new(void)
{
    struct session s;
    struct lar_err err;
    int32_t t[60];
    fill(t, 60);
    open_session(&s, 256, 16);
    CHECK_EQ(session_sync(&s, t, 40, NULL, NULL, &err), 40);
    CHECK_EQ(session_sync(&s, t, 40, NULL, NULL, &err), 0);
    CHECK_EQ(session_sync(&s, t, 60, NULL, NULL, &err), 20);
    t[48] = 5;
    CHECK_EQ(session_sync(&s, t, 60, NULL, NULL, &err), 12);
    CHECK_EQ(session_sync(&s, t, 20, NULL, NULL, &err), 1); /* the last one's logits are wanted */
    CHECK_EQ(s.n, 20);
    CHECK_EQ(session_sync(&s, t, 0, NULL, NULL, &err), 0);
    CHECK(session_logits(&s) == NULL);
    session_close(&s);
}

static void a_reused_beginning_gives_the_same_logits(void)
{
    struct session a, b;
    int32_t t[60];
    fill(t, 60);
    open_session(&a, 256, 512);
    open_session(&b, 256, 512);
    t[45] = 17;
    CHECK_EQ(session_sync(&a, t, 60, NULL, NULL, NULL), 60);
    t[45] = id(45);
    CHECK_EQ(session_sync(&a, t, 60, NULL, NULL, NULL), 15);
    CHECK_EQ(session_sync(&b, t, 60, NULL, NULL, NULL), 60);
    double worst = 0;
    for (size_t i = 0; i < model->h.vocab; i++) {
        double d = fabs((double)session_logits(&a)[i] - (double)session_logits(&b)[i]);
        if (d > worst) worst = d;
    }
    CHECK_NEAR(worst, 0, 2e-3); /* F16 keys; the order of sums differs between batch sizes */
    session_close(&a);
    session_close(&b);
}

static void many_sessions_share_one_pool_and_give_it_back(void)
{
    struct session s[6];
    int32_t t[64];
    fill(t, 64);
    for (int i = 0; i < 6; i++) open_session(&s[i], 64 + 32 * (size_t)i, 32);
    for (int i = 0; i < 6; i++)
        CHECK_EQ(session_sync(&s[i], t, DEV_KV_BLOCK - 2 + (size_t)i, NULL, NULL, NULL), DEV_KV_BLOCK - 2 + i);
    for (int i = 0; i < 6; i++) session_close(&s[i]);
    open_session(&s[0], 400, 32); /* out of blocks that came back */
    CHECK_EQ(session_sync(&s[0], t, DEV_KV_BLOCK + 2, NULL, NULL, NULL), DEV_KV_BLOCK + 2);
    session_close(&s[0]);
}

static void a_pool_does_not_grow_with_what_was_closed(void)
{
    struct kv_pool *own;
    struct kv a, b;
    uint8_t *first[8];
    CHECK_EQ(kv_pool_open(&own, 256, NULL), 0);
    for (int round = 0; round < 1100; round++) { /* more than a pool can have slabs */
        CHECK_EQ(kv_open(&a, own, 4 * DEV_KV_BLOCK, NULL), 0);
        CHECK_EQ(kv_open(&b, own, 4 * DEV_KV_BLOCK, NULL), 0);
        if (!a.pool || !b.pool) break;
        kv_grow(&a, 0, 4 * DEV_KV_BLOCK);
        kv_grow(&b, 0, 4 * DEV_KV_BLOCK);
        for (int i = 0; i < 8; i++) {
            uint8_t *p = i < 4 ? a.block[i] : b.block[i - 4];
            int known = round == 0;
            if (round == 0) first[i] = p;
            for (int j = 0; j < 8 && !known; j++) known = p == first[j];
            CHECK(known);
        }
        kv_close(&a);
        kv_close(&b);
        if (tap_case_bad) break;
    }
    kv_pool_close(own);
}

static void a_fork_copies_before_it_writes(void)
{
    struct kv a, b;
    CHECK_EQ(kv_open(&a, pool, 100, NULL), 0);
    CHECK_EQ(kv_open(&b, pool, 100, NULL), 0);
    kv_grow(&a, 0, 50);
    a.block[1][7] = 42;
    kv_fork(&b, &a, 50);
    CHECK(a.block[0] == b.block[0] && a.block[1] == b.block[1]);
    kv_grow(&b, 50, 60); /* writes into the second, shared block */
    CHECK(a.block[0] == b.block[0]);
    CHECK(a.block[1] != b.block[1]);
    CHECK_EQ(b.block[1][7], 42);
    kv_close(&a);
    CHECK_EQ(b.block[1][7], 42);
    kv_close(&b);
}

static void what_does_not_fit_is_refused_with_both_numbers(void)
{
    struct session s;
    struct lar_err err;
    int32_t t[100], bad = 99999;
    fill(t, 100);
    open_session(&s, 64, 32);
    CHECK_EQ(session_sync(&s, t, 65, NULL, NULL, &err), LAR_ELIMIT);
    CHECK(strstr(err.msg, "65") && strstr(err.msg, "64"));
    CHECK_EQ(session_sync(&s, t, 64, NULL, NULL, &err), 64);
    CHECK_EQ(session_extend(&s, t, 1, NULL, NULL, NULL, &err), LAR_ELIMIT);
    CHECK_EQ(s.n, 64);
    CHECK_EQ(session_sync(&s, &bad, 1, NULL, NULL, &err), LAR_EINVAL);
    CHECK_EQ(s.n, 64);
    session_close(&s);
}

static void stop_after_first(void *ctx, size_t done, size_t total)
{
    (void)done, (void)total;
    atomic_store(&((struct session *)ctx)->cancel, 1);
}

static void a_cancelled_prompt_keeps_what_was_evaluated(void)
{
    struct session s;
    struct lar_err err;
    int32_t t[60];
    fill(t, 60);
    open_session(&s, 256, 16);
    CHECK_EQ(session_sync(&s, t, 60, stop_after_first, &s, &err), LAR_ECANCEL);
    CHECK_EQ(s.n, 16);
    CHECK(session_logits(&s) == NULL); /* nothing was computed after the last of them */
    atomic_store(&s.cancel, 0);
    CHECK_EQ(session_sync(&s, t, 60, NULL, NULL, &err), 44);
    CHECK(session_logits(&s) != NULL);
    session_close(&s);
}

/* ---- a model that carries a state ------------------------------------------------------------------------------------ */

struct recurrent {
    struct model *model;
    struct kv_pool *pool;
};

static void recurrent_open(struct recurrent *r)
{
    struct lar_err err = {0};
    struct gguf g;
    struct dev_kv_layer layout[8];
    size_t block;
    if (convert_memory(&g, RECURRENT, &err) < 0 || model_open_gguf(&r->model, &g, RECURRENT, 1, &err) < 0 ||
        r->model->h.nlayer > 8 || model_kv_layout(r->model, KV_F32, layout, &block, &err) < 0 ||
        kv_pool_open(&r->pool, block, &err) < 0) {
        printf("Bail out! %s\n", err.msg);
        exit(1);
    }
}

static void recurrent_close(struct recurrent *r)
{
    kv_pool_close(r->pool);
    model_close(r->model);
}

static void fill_small(int32_t *t, size_t n)
{
    for (size_t i = 0; i < n; i++) t[i] = (int32_t)(3 + i * 37 % 90);
}

/* The logits after the timeline are those of one that was evaluated whole. */
static void as_if_fresh(const struct recurrent *r, const struct session *s)
{
    struct session fresh;
    CHECK_EQ(session_open(&fresh, r->model, r->pool, KV_F32, 64, 64, NULL), 0);
    CHECK_EQ(session_extend(&fresh, s->tokens, s->n, NULL, NULL, NULL, NULL), 0);
    CHECK(session_logits(s) != NULL);
    for (size_t i = 0; session_logits(s) && i < r->model->h.vocab; i++)
        CHECK_NEAR(session_logits(s)[i], session_logits(&fresh)[i], 1e-4);
    session_close(&fresh);
}

static void a_state_is_kept_at_the_ends_of_the_last_two_prompts(void)
{
    struct recurrent r;
    struct session s;
    int32_t t[64];
    fill_small(t, 64);
    recurrent_open(&r);
    CHECK_EQ(session_open(&s, r.model, r.pool, KV_F32, 64, 16, NULL), 0);
    for (size_t n = 10; n <= 40; n += 10) CHECK_EQ(session_sync(&s, t, n, NULL, NULL, NULL), 10);
    CHECK_EQ(session_extend(&s, t + 40, 5, NULL, NULL, NULL, NULL), 0);
    as_if_fresh(&r, &s);
    session_cut(&s, 44);
    CHECK_EQ(s.n, 40);
    CHECK_EQ(session_extend(&s, t, 3, NULL, NULL, NULL, NULL), 0);
    as_if_fresh(&r, &s);
    session_cut(&s, 35);
    CHECK_EQ(s.n, 30);
    CHECK_EQ(session_extend(&s, t + 7, 3, NULL, NULL, NULL, NULL), 0);
    as_if_fresh(&r, &s);
    session_cut(&s, 29);
    CHECK_EQ(s.n, 0);
    CHECK_EQ(session_extend(&s, t, 3, NULL, NULL, NULL, NULL), 0);
    as_if_fresh(&r, &s);
    session_close(&s);
    recurrent_close(&r);
}

static void a_step_that_ends_a_prompt_keeps_the_state_too(void)
{
    struct recurrent r;
    struct session s;
    struct batch_step b;
    int32_t t[64];
    fill_small(t, 64);
    recurrent_open(&r);
    CHECK_EQ(session_open(&s, r.model, r.pool, KV_F32, 64, 16, NULL), 0);
    CHECK_EQ(batch_open(&b, r.model, 16, 1, 1, NULL), 0);
    struct batch_part part = {.session = &s, .tokens = t, .n = 12};
    CHECK_EQ(batch_eval(&b, &part, 1, NULL), 1); /* a slice: nothing is kept of it */
    part = (struct batch_part){.session = &s, .tokens = t + 12, .n = 8, .nlogit = 1, .prompt_end = 1};
    CHECK_EQ(batch_eval(&b, &part, 1, NULL), 1);
    for (int i = 0; i < 4; i++) {
        part = (struct batch_part){.session = &s, .tokens = t + 20 + i, .n = 1, .nlogit = 1};
        CHECK_EQ(batch_eval(&b, &part, 1, NULL), 1);
    }
    t[22] = 5;
    CHECK_EQ(session_reuse(&s, t, 30), 20);
    CHECK_EQ(session_extend(&s, t + 20, 10, NULL, NULL, NULL, NULL), 0);
    as_if_fresh(&r, &s);
    t[15] = 6;
    CHECK_EQ(session_reuse(&s, t, 30), 0);
    batch_close(&b);
    session_close(&s);
    recurrent_close(&r);
}

static long allowed;
static int fail_later(size_t n, void *ctx)
{
    (void)n, (void)ctx;
    return allowed-- <= 0;
}

static void every_allocation_of_opening_may_fail(void)
{
    long before = mem_live();
    for (long i = 0; i < 100; i++) {
        struct session s;
        struct lar_err err = {0};
        allowed = i;
        mem_set_hook(fail_later, NULL);
        int rc = session_open(&s, model, pool, KV_F16, 64, 700 + (size_t)i,
                              &err); /* a new batch: the device grows too */
        mem_set_hook(NULL, NULL);
        if (rc == 0) {
            session_close(&s);
            CHECK(i > 3);
            break;
        }
        CHECK_EQ(rc, LAR_ENOMEM);
    }
    CHECK(mem_live() - before <=
          2); /* the device's and the pool's own space may have come to stay */
}

static void every_allocation_of_a_model_may_fail(void)
{
    long before = mem_live();
    for (long i = 0; i < 1000; i++) {
        struct model *m;
        allowed = i;
        mem_set_hook(fail_later, NULL);
        int rc = model_open(&m, MODEL, 2, NULL);
        mem_set_hook(NULL, NULL);
        if (rc == 0) {
            model_close(m);
            break;
        }
        CHECK_EQ(rc, LAR_ENOMEM);
        CHECK_EQ(mem_live(), before);
    }
    CHECK_EQ(mem_live(), before);
}

int main(void)
{
    struct lar_err err;
    size_t block;
    tap_timeout(300);
    if (model_open(&model, MODEL, 2, &err) < 0) {
        printf("Bail out! %s\n", err.msg);
        return 1;
    }
    struct dev_kv_layer layout[64];
    if (model_kv_layout(model, KV_F16, layout, &block, &err) < 0 ||
        kv_pool_open(&pool, block, &err) < 0)
        return 1;
    RUN(sync_evaluates_only_what_is_new);
    RUN(a_reused_beginning_gives_the_same_logits);
    RUN(many_sessions_share_one_pool_and_give_it_back);
    RUN(a_pool_does_not_grow_with_what_was_closed);
    RUN(a_fork_copies_before_it_writes);
    RUN(what_does_not_fit_is_refused_with_both_numbers);
    RUN(a_cancelled_prompt_keeps_what_was_evaluated);
    RUN(a_state_is_kept_at_the_ends_of_the_last_two_prompts);
    RUN(a_step_that_ends_a_prompt_keeps_the_state_too);
    RUN(every_allocation_of_opening_may_fail);
    RUN(every_allocation_of_a_model_may_fail);
    kv_pool_close(pool);
    model_close(model);
    return tap_done();
}
