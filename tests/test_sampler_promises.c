/* SPDX-License-Identifier: Apache-2.0
 * tests/test_sampler_promises.c: what the sampler promises beside its formulas: a seed gives the
 * same tokens everywhere, odd logits are survived, picking allocates nothing, wrong settings are
 * named. The formulas are test_sampler.c's. */
#include "base/exact.h"
#include "base/mem.h"
#include "base/rng.h"
#include "run/sampler.h"
#include "tap.h"

#define V 60 /* tokens of the small vocabulary */
#define NONE (-(double)INFINITY)

static struct rng source;

static float random_logit(double spread)
{
    double u = 0;
    for (int i = 0; i < 4; i++) u += rng_uniform(&source);
    return (float)((u - 2) * spread);
}

static struct lar_sampling plain(void) /* everything off: the softmax itself */
{
    struct lar_sampling p;
    sampler_default(&p);
    p.temp = 1;
    p.top_k = 0;
    p.top_p = 1;
    p.min_p = 0;
    p.seed = 12345;
    return p;
}

static struct sampler *opened(const struct lar_sampling *p, int32_t n, int ctx,
                              const int32_t *breaker, size_t nbreaker)
{
    struct sampler *s = NULL;
    struct lar_err err = {0};
    if (sampler_open(&s, n, p, ctx, breaker, nbreaker, &err) < 0) {
        printf("Bail out! %s\n", err.msg);
        exit(EXIT_FAILURE);
    }
    return s;
}

static const int32_t breakers[] = {7, 33};

/* ---- edges ----------------------------------------------------------------------------------- */

static void temp_0_is_the_argmax_and_ties_go_to_the_lowest_id(void)
{
    struct lar_sampling p;
    sampler_default(&p);
    p.temp = 0;
    p.xtc_probability = 1;
    p.typical_p = 0.1f;
    struct sampler *s = opened(&p, 1000, 10, NULL, 0);
    float l[1000];
    for (int round = 0; round < 200; round++) {
        int best = 0;
        for (int i = 0; i < 1000; i++) {
            l[i] = (float)(rng_u64(&source) % 300);
            if (l[i] > l[best]) best = i;
        }
        CHECK_EQ(sampler_pick(s, l), best);
    }
    p.mirostat = 2;
    sampler_close(s);
    s = opened(&p, 1000, 10, NULL, 0);
    for (int i = 0; i < 1000; i++) l[i] = i == 0 || i == 999 ? NAN : -1.5f;
    CHECK_EQ(sampler_pick(s, l), 1);
    sampler_close(s);
}

static void a_tie_with_a_penalised_token_goes_to_the_lowest_id_too(void)
{
    struct lar_sampling p;
    sampler_default(&p);
    p.presence_penalty = 1;
    for (int temp = 0; temp < 2; temp++) {
        p.temp = (float)temp;
        p.top_k = 1;
        float l[V];
        for (int i = 0; i < V; i++) l[i] = -1;
        l[20] = 2; /* both 2 when 40 has lost one */
        l[40] = 3;
        struct sampler *s = opened(&p, V, 10, NULL, 0);
        CHECK_EQ(sampler_pick(s, l), 40);
        sampler_accept(s, 40);
        CHECK_EQ(sampler_pick(s, l), 20);
        sampler_accept(s, 20);
        CHECK_EQ(sampler_pick(s, l), 40);
        sampler_close(s);
    }
}

/* Which of the first tokens are ever drawn, as bits. */
static unsigned drawn(const struct lar_sampling *p, const float *l, int32_t n)
{
    struct sampler *s = opened(p, n, 10, NULL, 0);
    unsigned seen = 0;
    for (int i = 0; i < 400; i++) seen |= 1u << sampler_pick(s, l);
    sampler_close(s);
    return seen;
}

/* Equal logits are equal probabilities without any rounding. */
static void a_sum_that_is_just_top_p_is_enough(void)
{
    static const float l[4] = {0};
    struct lar_sampling p = plain();
    p.top_p = 0.25f;
    CHECK_EQ(drawn(&p, l, 4), 1);
    p.top_p = 0.5f;
    CHECK_EQ(drawn(&p, l, 4), 3);
    p.top_p = 0.51f;
    CHECK_EQ(drawn(&p, l, 4), 7);
    p.top_p = 0.75f;
    CHECK_EQ(drawn(&p, l, 4), 7);
}

static void xtc_works_up_to_a_threshold_of_half(void)
{
    static const float l[2] = {0};
    struct lar_sampling p = plain();
    p.xtc_probability = 1;
    p.xtc_threshold = 0.5f; /* two may reach it: the first goes */
    CHECK_EQ(drawn(&p, l, 2), 2);
    p.xtc_threshold = 0.51f;
    CHECK_EQ(drawn(&p, l, 2), 3);
}

static void one_possible_token_is_chosen(void)
{
    for (int kind = 0; kind < 8; kind++) {
        struct lar_sampling p;
        sampler_default(&p);
        if (kind == 1) p.temp = 0;
        if (kind == 2) p = plain();
        if (kind == 3) p.mirostat = 1;
        if (kind == 4) p.mirostat = 2;
        if (kind == 5) p.xtc_probability = 1;
        if (kind == 6) p.typical_p = 0.5f;
        if (kind == 7) p.repeat_penalty = 1.5f;
        float l[V];
        for (int at = 0; at < V; at += 59) {
            for (int i = 0; i < V; i++) l[i] = i % 2 ? -INFINITY : NAN;
            l[at] = -3;
            struct sampler *s = opened(&p, V, 10, NULL, 0);
            sampler_accept(s, at);
            CHECK_EQ(sampler_pick(s, l), at);
            l[at] = INFINITY;
            CHECK_EQ(sampler_pick(s, l), at);
            for (int i = 0; i < V; i++) l[i] = i == at ? INFINITY : 1e30f;
            CHECK_EQ(sampler_pick(s, l), at);
            l[at] = -INFINITY;
            for (int i = 0; i < V; i++) l[i] = i % 2 ? -INFINITY : NAN;
            CHECK_EQ(sampler_pick(s, l), -1);
            sampler_close(s);
        }
        float single = 0.25f;
        struct sampler *s = opened(&p, 1, 1, NULL, 0);
        for (int i = 0; i < 5; i++) {
            CHECK_EQ(sampler_pick(s, &single), 0);
            sampler_accept(s, 0);
        }
        sampler_close(s);
    }
}

static void a_large_vocabulary_gives_the_same_k_as_a_sort(void)
{
    enum { N = 40003 }; /* no multiple of a block */
    static float l[N];
    static const int ks[] = {2, 40, 100};
    for (int round = 0; round < 6; round++) {
        for (int i = 0; i < N; i++) /* rounded to quarters: many ties at the border */
            l[i] = round % 2    ? (float)(int)random_logit(40) / 4
                   : round == 4 ? (float)i
                                : random_logit(9);
        if (round == 2) l[N - 1] = l[17] = 1e9f;
        for (int k = 0; k < 3; k++) {
            struct lar_sampling p = plain();
            p.top_k = ks[k];
            p.temp = 1000;
            if (round == 3) p.frequency_penalty = 0.5f;
            struct sampler *s = opened(&p, N, 64, NULL, 0);
            static float now[N];
            static uint8_t in[N];
            memcpy(now, l, sizeof l);
            for (int i = 0; i < 50; i++) {
                int32_t id = (int32_t)(rng_u64(&source) % N);
                sampler_accept(s, id);
                now[id] -= p.frequency_penalty;
            }
            memset(in, 0, sizeof in);
            for (int i = 0; i < ks[k]; i++) {
                int best = -1;
                for (int j = 0; j < N; j++)
                    if (!in[j] && (best < 0 || now[j] > now[best])) best = j;
                in[best] = 1;
            }
            int wrong = 0, seen = 0;
            int draws = round == 4 ? 40 : ks[k] * 12; /* ascending logits are the slow case */
            for (int i = 0; i < draws; i++) {
                int32_t id = sampler_pick(s, l);
                wrong += !in[id];
                seen += in[id] == 1;
                if (in[id]) in[id] = 2;
            }
            CHECK_EQ(wrong, 0);
            if (round != 2 && round != 4) CHECK_EQ(seen, ks[k]);
            sampler_close(s);
        }
    }
}

/* ---- promises -------------------------------------------------------------------------------- */

static int calls;
static int count_call(size_t n, void *ctx)
{
    (void)n;
    (void)ctx;
    calls++;
    return 0;
}

static void picking_allocates_nothing_and_writes_no_logits(void)
{
    for (int kind = 0; kind < 4; kind++) {
        struct lar_sampling p;
        sampler_default(&p);
        p.repeat_penalty = 1.2f;
        p.dry_multiplier = 1;
        p.repeat_last_n = -1;
        p.mirostat = kind % 3;
        if (kind == 3) p.top_k = 0;
        float l[V], copy[V];
        for (int i = 0; i < V; i++) copy[i] = l[i] = random_logit(3);
        struct sampler *s = opened(&p, V, 32, breakers, 2);
        calls = 0;
        mem_set_hook(count_call, NULL);
        for (int i = 0; i < 200; i++) sampler_accept(s, sampler_pick(s, l)); /* past the ring */
        sampler_accept(s, -1);
        sampler_accept(s, V);
        sampler_reset(s);
        sampler_pick(s, l);
        mem_set_hook(NULL, NULL);
        CHECK_EQ(calls, 0);
        CHECK(memcmp(l, copy, sizeof l) == 0);
        sampler_close(s);
    }
}

static int fail_at;
static int fail_one(size_t n, void *ctx)
{
    (void)n;
    (void)ctx;
    return ++calls == fail_at;
}

static void every_allocation_may_fail(void)
{
    struct lar_sampling p;
    long live = mem_live();
    int done = 0;
    sampler_default(&p);
    p.repeat_penalty = 1.2f;
    p.dry_multiplier = 1;
    p.top_k = 0;
    for (fail_at = 1; fail_at < 100 && !done; fail_at++) {
        struct sampler *s;
        struct lar_err err = {0};
        calls = 0;
        mem_set_hook(fail_one, NULL);
        int rc = sampler_open(&s, 50000, &p, 4096, NULL, 0, &err);
        mem_set_hook(NULL, NULL);
        done = rc == LAR_OK;
        CHECK(done ? s != NULL : !s && rc == LAR_ENOMEM && err.msg[0]);
        sampler_close(s);
        CHECK_EQ(mem_live(), live);
    }
    CHECK(done && fail_at > 4);
}

/* As if the others were at -inf: under every kind of setting, with penalties and biases of tokens in and out of the set, whatever part of it is empty. */
static void of_a_set_nothing_else_is_drawn(void)
{
    enum { N = 1003, WORDS = (N + 63) / 64 };
    static float l[N], masked[N];
    uint64_t set[WORDS];
    for (int round = 0; round < 300; round++) {
        struct lar_sampling p;
        sampler_default(&p);
        p.seed = round;
        if (round % 6 == 1) p = plain();
        if (round % 6 == 2) p.temp = 0;
        if (round % 6 == 3) p.mirostat = 1 + round % 2, p.repeat_penalty = 1.3f;
        if (round % 6 == 4) p.repeat_penalty = 1.7f, p.dry_multiplier = 1, p.temp = 0;
        if (round % 6 == 5) p.top_k = 0, p.typical_p = 0.9f, p.repeat_penalty = 0.6f;
        struct sampler *s[2];
        struct lar_bias bias = {round % 64, 5};
        for (int k = 0; k < 2; k++) {
            s[k] = opened(&p, N, 50, breakers, 2);
            CHECK_EQ(sampler_bias(s[k], &bias, 1, NULL), 0);
        }
        for (int i = 0; i < 20; i++) {
            int some = 0, dense = round / 6 % 4;
            for (int k = 0; k < WORDS; k++) { /* all, none, one token, any */
                uint64_t r = rng_u64(&source);
                int kind = dense == 3 ? 0 : dense == 2 ? 3 : (int)(r >> 60) % 4;
                set[k] = kind == 0 ? UINT64_MAX : kind == 1 ? 0 : kind == 2 ? (uint64_t)1 << r % 64 : r;
            }
            for (int k = 0; k < N; k++) {
                l[k] = random_logit(4);
                masked[k] = set[k / 64] >> k % 64 & 1 ? l[k] : -INFINITY;
                some |= isfinite(masked[k]);
            }
            int32_t id = sampler_pick_of(s[0], l, set), want = sampler_pick(s[1], masked);
            CHECK_EQ(id, want);
            CHECK((id >= 0) == some && (id < 0 || set[id / 64] >> id % 64 & 1));
            for (int k = 0; k < 2; k++) sampler_accept(s[k], i % 3 ? id : i);
        }
        memset(set, 0, sizeof set);
        CHECK_EQ(sampler_pick_of(s[0], l, set), -1);
        for (int k = 0; k < 2; k++) sampler_close(s[k]);
    }
}

static void reset_begins_again(void)
{
    struct lar_sampling p;
    sampler_default(&p);
    p.seed = 5;
    p.repeat_penalty = 1.5f;
    p.dry_multiplier = 1;
    p.mirostat = 2;
    float l[V];
    int32_t first[50];
    for (int i = 0; i < V; i++) l[i] = random_logit(3);
    struct sampler *s = opened(&p, V, 20, breakers, 2);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 50; i++) {
            int32_t id = sampler_pick(s, l);
            if (round == 0) first[i] = id;
            CHECK_EQ(id, first[i]);
            sampler_accept(s, id);
        }
        sampler_reset(s);
    }
    sampler_close(s);
}

static void seeds_differ_and_a_negative_one_is_drawn_by_the_system(void)
{
    struct lar_sampling p = plain();
    float l[V] = {0};
    int32_t got[4][30];
    for (int k = 0; k < 4; k++) {
        p.seed = k < 2 ? k : -1;
        struct sampler *s = opened(&p, V, 10, NULL, 0);
        for (int i = 0; i < 30; i++) got[k][i] = sampler_pick(s, l);
        sampler_close(s);
    }
    for (int k = 0; k < 4; k++)
        for (int j = 0; j < k; j++) CHECK(memcmp(got[k], got[j], sizeof got[k]) != 0);
}

/* Logits from integers alone, so that they are the same on every machine. */
static void synthetic_logits(float *l, int n, uint64_t seed)
{
    struct rng r;
    rng_seed(&r, seed);
    for (int i = 0; i < n; i++) {
        int32_t sum = 0;
        for (int k = 0; k < 6; k++) sum += (int32_t)(rng_u64(&r) >> 48);
        l[i] = (float)(sum - 196605) / 16384.0f;
    }
}

static void a_seed_gives_these_tokens_everywhere(void)
{
    static const int32_t want[6][16] = {
        {699, 1758, 1501, 798, 273, 441, 379, 849,
         950, 202, 512, 1642, 925, 1128, 1724, 512},
        {811, 379, 183, 355, 757, 1467, 379, 1553,
         808, 1675, 512, 379, 395, 822, 1396, 1751},
        {512, 1210, 1513, 1223, 1804, 1472, 379, 234,
         1223, 1675, 1540, 667, 1732, 1223, 202, 1540},
        {1540, 1758, 1374, 790, 963, 441, 379, 1513,
         950, 808, 441, 206, 1198, 1128, 1724, 441},
        {1472, 527, 1912, 1154, 1675, 512, 379, 906,
         539, 1871, 512, 1758, 1126, 177, 1268, 512},
        {642, 558, 1354, 1935, 1892, 699, 1758, 395,
         1801, 1274, 101, 1491, 1581, 828, 1871, 1913},
    };
    enum { N = 2000 };
    static float l[N];
    for (int kind = 0; kind < 6; kind++) {
        struct lar_sampling p;
        sampler_default(&p);
        p.seed = 42;
        if (kind == 1) p = plain();
        if (kind == 2) p.top_k = 0, p.typical_p = 0.8f, p.xtc_probability = 0.5f;
        if (kind == 2) p.xtc_threshold = 0.001f;
        if (kind == 3) p.mirostat = 1;
        if (kind == 4) p.mirostat = 2;
        if (kind == 5) p.repeat_penalty = 1.3f, p.dry_multiplier = 0.9f, p.temp = 1.7f;
        struct sampler *s = opened(&p, N, 64, NULL, 0);
        for (int i = 0; i < 16; i++) {
            synthetic_logits(l, N, (uint64_t)(i % 5));
            int32_t id = sampler_pick(s, l);
            CHECK_EQ(id, want[kind][i]);
            sampler_accept(s, id);
        }
        sampler_close(s);
    }
}

static void the_exact_exp_and_log_are_within_2_units(void)
{
    double worst_exp = 0, worst_log = 0;
    for (int i = 0; i < 200000; i++) {
        double x = (rng_uniform(&source) - 0.5) * (i % 2 ? 1300 : 4), e = exp(x);
        worst_exp = fmax(worst_exp, fabs(exact_exp(x) - e) / e);
        worst_log = fmax(worst_log, fabs(exact_log(e) - log(e)) / fmax(fabs(log(e)), 1e-300));
    }
    CHECK(worst_exp < 2 * 0x1p-52);
    CHECK(worst_log < 2 * 0x1p-52);
    CHECK(exact_exp(0) == 1 && exact_log(1) == 0 && exact_exp(-1e300) == 0);
    CHECK(exact_exp(NONE) == 0 && exact_exp((double)NAN) == 0 && isfinite(exact_exp(1e300)));
    CHECK(exact_power(2, 10) == 1024 && exact_power(7, 0) == 1 && isinf(exact_power(1e3, 1000)));
}

/* Logits of which most are far below the best: how many near it, and how far the others are. */
static void far_logits(int kind, float *l, int n)
{
    static const double below[] = {8, 23.9, 24.1, 30, 200};
    for (int i = 0; i < n; i++) {
        if (kind < 5) l[i] = i % 97 == 5 ? (float)(i % 2) : (float)-below[kind] + random_logit(0.1);
        if (kind == 5) l[i] = random_logit(1);
        if (kind == 6) l[i] = random_logit(20);
        if (kind == 7) l[i] = i % 333 == 8 ? 3 : i % 7 ? -50 : -INFINITY; /* three alike */
        if (kind == 8) l[i] = i == 77 ? INFINITY : i % 9 ? random_logit(10) : NAN;
    }
}

/* A set of all tokens is weighed whole. */
static void what_is_far_from_the_best_changes_nothing_unseen(void)
{
    enum { N = 1000, KINDS = 9 };
    static float l[N];
    uint64_t all[(N + 63) / 64];
    memset(all, 0xff, sizeof all);
    for (int with = 0; with < 17 * KINDS; with++) {
        static const float mass[] = {0, 0.1f, 0.5f, 2.0f / 3, 0.95f, 0.9999f, 0x1.fffffep-1f};
        static const float share[] = {1, 0.5f, 0.05f, 1e-10f, 1e-30f};
        static const float temp[] = {1, 0.1f, 3};
        struct lar_sampling p = plain();
        int k = with / KINDS;
        p.temp = temp[with % 3];
        if (k < 7) p.top_p = mass[k];
        if (k >= 7 && k < 12) p.min_p = share[k - 7];
        if (k == 12) p.min_p = 0.01f, p.top_p = 0.9f;
        if (k == 13) p.xtc_probability = 0.5f, p.top_p = 0.99f;
        if (k == 14) p.xtc_probability = 0.5f;
        if (k % 2) p.repeat_penalty = 1.5f, p.presence_penalty = k % 4 == 1 ? -25 : 5;
        struct sampler *a = opened(&p, N, 100, NULL, 0), *b = opened(&p, N, 100, NULL, 0);
        far_logits(with % KINDS, l, N);
        for (int draw = 0; draw < 20; draw++) {
            int32_t id = sampler_pick(a, l), whole = sampler_pick_of(b, l, all);
            if (id != whole) printf("# settings %d, logits %d: %d, not %d\n", k, with % KINDS, id, whole);
            CHECK_EQ(id, whole);
            sampler_accept(a, id);
            sampler_accept(b, whole);
            int32_t other = (int32_t)(rng_uniform(&source) * N);
            sampler_accept(a, other);
            sampler_accept(b, other);
        }
        sampler_close(a);
        sampler_close(b);
    }
}

static void settings_out_of_range_are_named(void)
{
#define FIELD(f, lo, hi) {#f, offsetof(struct lar_sampling, f), 1, lo, hi}
#define NUMBER(f, lo, hi) {#f, offsetof(struct lar_sampling, f), 0, lo, hi}
    static const struct {
        const char *name;
        size_t at;
        int is_float;
        double lo, hi; /* just outside */
    } field[] = {
        FIELD(temp, -0.1, 1e9),            NUMBER(top_k, -1, -2),
        FIELD(top_p, -0.1, 1.1),           FIELD(min_p, -0.1, 1.1),
        FIELD(typical_p, -0.1, 1.1),       FIELD(repeat_penalty, 0, 1e9),
        NUMBER(repeat_last_n, -2, -3),     FIELD(presence_penalty, -1e3, 1e3),
        FIELD(frequency_penalty, -1e3, 1e3), FIELD(dry_multiplier, -0.1, 1e9),
        FIELD(dry_base, 0.9, 1e9),         NUMBER(dry_allowed_length, -1, -2),
        NUMBER(dry_penalty_last_n, -2, -9), FIELD(xtc_probability, -0.1, 1.1),
        FIELD(xtc_threshold, -0.1, 1.1),   NUMBER(mirostat, -1, 3),
        FIELD(mirostat_tau, -0.1, 1e9),    FIELD(mirostat_eta, -0.1, 1e9),
    };
    struct lar_sampling p;
    struct lar_err err = {0};
    sampler_default(&p);
    CHECK_EQ(sampler_check(&p, &err), LAR_OK);
    for (size_t i = 0; i < sizeof field / sizeof *field; i++) {
        for (int k = 0; k < 3; k++) {
            double v = k == 0 ? field[i].lo : k == 1 ? field[i].hi : (double)NAN;
            float f = (float)v;
            int n = k == 2 ? 0 : (int)v;
            if (!field[i].is_float && k == 2) continue;
            sampler_default(&p);
            memcpy((char *)&p + field[i].at, field[i].is_float ? (void *)&f : (void *)&n, 4);
            CHECK_EQ(sampler_check(&p, &err), LAR_EINVAL);
            CHECK(strncmp(err.msg, field[i].name, strlen(field[i].name)) == 0);
            struct sampler *s;
            CHECK_EQ(sampler_open(&s, V, &p, 10, NULL, 0, &err), LAR_EINVAL);
            CHECK(!s);
        }
    }
}

int main(void)
{
    tap_timeout(120);
    rng_seed(&source, 2025);
    RUN(the_exact_exp_and_log_are_within_2_units);
    RUN(what_is_far_from_the_best_changes_nothing_unseen);
    RUN(settings_out_of_range_are_named);
    RUN(temp_0_is_the_argmax_and_ties_go_to_the_lowest_id);
    RUN(a_tie_with_a_penalised_token_goes_to_the_lowest_id_too);
    RUN(a_sum_that_is_just_top_p_is_enough);
    RUN(xtc_works_up_to_a_threshold_of_half);
    RUN(one_possible_token_is_chosen);
    RUN(a_large_vocabulary_gives_the_same_k_as_a_sort);
    RUN(picking_allocates_nothing_and_writes_no_logits);
    RUN(every_allocation_may_fail);
    RUN(of_a_set_nothing_else_is_drawn);
    RUN(reset_begins_again);
    RUN(seeds_differ_and_a_negative_one_is_drawn_by_the_system);
    RUN(a_seed_gives_these_tokens_everywhere);
    return tap_done();
}
