/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/test_memory.c: a session that memory cannot hold is refused before anything is taken, and the plan says what would fit. What is free
 * is this program's to say, so api/session.c and api/plan.c are part of it with another cpu_memory_available.
 */
#include "base/cpu.h"

static unsigned long long available(void);
#define cpu_memory_available available
#include "api/session.c"
#include "api/plan.c"
#include "tap.h"

static uint64_t have; /* 0: not known */
static unsigned long long available(void) { return have; }

static struct lar_model *model;

static int opens(const struct lar_session_options *o, struct lar_err *err)
{
    struct lar_session *s;
    int rc = lar_session_open(&s, model, o, err);
    if (rc == 0) lar_session_close(s);
    return rc;
}

static void keys_values_and_work_space_must_fit_together(void)
{
    struct lar_session_options o = {.ctx = 512, .batch = 64};
    struct lar_err err = {0};
    uint64_t kv = 0, work = 0;
    CHECK_EQ(lar_session_bytes(model, &o, &kv, &work, &err), 0);
    CHECK(kv > 0 && work > 0);
    have = kv + work;
    CHECK_EQ(opens(&o, &err), 0);
    have = kv + work - 1;
    CHECK_EQ(opens(&o, &err), LAR_ENOMEM);
    have = kv; /* the keys and values alone would fit */
    CHECK_EQ(opens(&o, &err), LAR_ENOMEM);
    have = work;
    CHECK_EQ(opens(&o, &err), LAR_ENOMEM);
    CHECK(strstr(err.msg, "512 tokens") && strstr(err.msg, "up to 0 fits"));
    have = work + kv / 2; /* half of the context */
    CHECK_EQ(opens(&o, &err), LAR_ENOMEM);
    CHECK(strstr(err.msg, "up to 256 fits"));
    o.ctx = 256;
    CHECK_EQ(opens(&o, &err), 0);
    have = 0;
    o.ctx = 512;
    CHECK_EQ(opens(&o, &err), 0);
}

static void a_batch_is_no_longer_than_its_context(void)
{
    struct lar_session_options small = {.ctx = 40, .batch = 40}, large = {.ctx = 40, .batch = 4000},
                               usual = {.ctx = 40};
    struct lar_err err = {0};
    struct lar_session *s;
    uint64_t kv[3], work[3];
    CHECK_EQ(lar_session_bytes(model, &small, &kv[0], &work[0], &err), 0);
    CHECK_EQ(lar_session_bytes(model, &large, &kv[1], &work[1], &err), 0);
    CHECK_EQ(lar_session_bytes(model, &usual, &kv[2], &work[2], &err), 0);
    CHECK_EQ(work[1], work[0]);
    CHECK_EQ(work[2], work[0]);
    CHECK(kv[1] == kv[0] && kv[2] == kv[0]);
    CHECK_EQ(lar_session_open(&s, model, &large, &err), 0);
    CHECK_EQ(s->s.batch, 40);
    lar_session_close(s);
    large.batch = 16385;
    CHECK_EQ(lar_session_open(&s, model, &large, &err), LAR_EINVAL);
}

static const char path[] = "models/lar-demo-q8_0.gguf";

static int plans(const struct lar_session_options *o, uint64_t most, struct lar_plan *p, struct lar_err *err)
{
    *err = (struct lar_err){0};
    CHECK_EQ(lar_plan(model, o, most, p, err), 0);
    return lar_plan_check(p, path, err);
}

static void a_plan_says_what_fits_and_what_would(void)
{
    struct lar_session_options o = {.ctx = 512};
    struct lar_plan p, half;
    struct lar_err err;
    struct lar_model_info info;
    uint64_t kv = 0, work = 0;
    lar_model_info(model, &info);
    CHECK_EQ(lar_session_bytes(model, &o, &kv, &work, &err), 0);
    uint64_t all = info.weight_bytes + kv + work;
    have = all;
    CHECK_EQ(plans(&o, 0, &p, &err), 0);
    CHECK(p.fits && p.total == all && p.available == all && p.ctx_fits == 512 && p.ctx == 512);
    have = all - 1;
    CHECK_EQ(plans(&o, 0, &p, &err), LAR_ENOMEM);
    CHECK(!p.fits && p.ctx_fits < 512 && p.ctx_fits > 400 && p.ctx_fits_q8_0 == 512);
    CHECK(strstr(err.msg, "--kv q8_0"));
    o.ctx = 256;
    CHECK_EQ(lar_plan(model, &o, 0, &half, &err), 0);
    o.ctx = 512, o.kv = LAR_KV_Q8_0;
    CHECK_EQ(plans(&o, half.total, &p, &err), LAR_ENOMEM);
    CHECK(strstr(err.msg, "--ctx "));
    CHECK_EQ(p.ctx_fits, p.ctx_fits_q8_0);
    o.ctx = p.ctx_fits; /* what was said is so, and is the most */
    CHECK_EQ(plans(&o, p.available, &half, &err), 0);
    o.ctx++;
    CHECK_EQ(plans(&o, half.available, &half, &err), LAR_ENOMEM);
    o.ctx = 32, o.kv = LAR_KV_F16;
    CHECK_EQ(lar_plan(model, &o, all, &half, &err), 0);
    CHECK_EQ(plans(&o, half.total - info.weight_bytes / 3, &p, &err), LAR_ENOMEM);
    CHECK_EQ(p.ctx_fits, 0);
    CHECK(strstr(err.msg, "quantised to Q") && strstr(err.msg, "it fits"));
    CHECK_EQ(plans(&o, 1000, &p, &err), LAR_ENOMEM);
    CHECK(strstr(err.msg, "neither a shorter"));
    have = 0; /* not known: nothing is refused */
    CHECK_EQ(plans(&o, 0, &p, &err), 0);
    CHECK_EQ(lar_plan(model, &o, 0, NULL, &err), LAR_EINVAL);
}

int main(void)
{
    struct lar_err err = {0};
    tap_timeout(60);
    if (lar_model_open(&model, path, NULL, &err) < 0) {
        printf("Bail out! %s\n", err.msg);
        return 1;
    }
    RUN(keys_values_and_work_space_must_fit_together);
    RUN(a_batch_is_no_longer_than_its_context);
    RUN(a_plan_says_what_fits_and_what_would);
    lar_model_close(model);
    return tap_done();
}
