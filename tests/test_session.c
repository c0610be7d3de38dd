/* SPDX-License-Identifier: Apache-2.0
 * tests/test_session.c: a timeline keeps what it can, shares what it may, and stops when told; on the demonstration model. */
#include "run/session.h"

#include "tap.h"

#define MODEL "models/lar-demo-q8_0.gguf"

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
    int32_t t[200];
    fill(t, 200);
    open_session(&s, 256, 64);
    CHECK_EQ(session_sync(&s, t, 100, NULL, NULL, &err), 100);
    CHECK_EQ(session_sync(&s, t, 100, NULL, NULL, &err), 0);
    CHECK_EQ(session_sync(&s, t, 150, NULL, NULL, &err), 50);
    t[120] = 5;
    CHECK_EQ(session_sync(&s, t, 150, NULL, NULL, &err), 30);
    CHECK_EQ(session_sync(&s, t, 40, NULL, NULL, &err), 1); /* the last one's logits are wanted */
    CHECK_EQ(s.n, 40);
    CHECK_EQ(session_sync(&s, t, 0, NULL, NULL, &err), 0);
    CHECK(session_logits(&s) == NULL);
    session_close(&s);
}

static void a_reused_beginning_gives_the_same_logits(void)
{
    struct session a, b;
    int32_t t[120];
    fill(t, 120);
    open_session(&a, 256, 512);
    open_session(&b, 256, 512);
    t[90] = 17;
    CHECK_EQ(session_sync(&a, t, 120, NULL, NULL, NULL), 120);
    t[90] = id(90);
    CHECK_EQ(session_sync(&a, t, 120, NULL, NULL, NULL), 30);
    CHECK_EQ(session_sync(&b, t, 120, NULL, NULL, NULL), 120);
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
        CHECK_EQ(session_sync(&s[i], t, 40 + (size_t)i, NULL, NULL, NULL), 40 + i);
    for (int i = 0; i < 6; i++) session_close(&s[i]);
    open_session(&s[0], 400, 32); /* out of blocks that came back */
    CHECK_EQ(session_sync(&s[0], t, 64, NULL, NULL, NULL), 64);
    session_close(&s[0]);
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
    int32_t t[200];
    fill(t, 200);
    open_session(&s, 256, 32);
    CHECK_EQ(session_sync(&s, t, 200, stop_after_first, &s, &err), LAR_ECANCEL);
    CHECK_EQ(s.n, 32);
    atomic_store(&s.cancel, 0);
    CHECK_EQ(session_sync(&s, t, 200, NULL, NULL, &err), 168);
    session_close(&s);
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
    RUN(a_fork_copies_before_it_writes);
    RUN(what_does_not_fit_is_refused_with_both_numbers);
    RUN(a_cancelled_prompt_keeps_what_was_evaluated);
    RUN(every_allocation_of_opening_may_fail);
    RUN(every_allocation_of_a_model_may_fail);
    kv_pool_close(pool);
    model_close(model);
    return tap_done();
}
