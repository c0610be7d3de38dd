/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/test_moe.c: which experts a row gets and with what weights, against the formulas of model/moe.c's head written plainly in double: groups,
 * biases that only choose, ties, scales. The functions are static, so the file itself is part of this program; whole models with experts are
 * test_golden.c's.
 */
#include "base/rng.h"
#include "model/moe.c"
#include "tap.h"

enum { N = 12, MOST = 64 };

struct want {
    int pick[MOST];
    double weight[MOST];
};

/* The k largest of v among those allowed, the first of equal ones; taken ones are no longer allowed. */
static void largest(const double *v, int n, int *allowed, int k, int *out)
{
    for (int i = 0; i < k; i++) {
        int best = -1;
        for (int e = 0; e < n; e++)
            if (allowed[e] && (best < 0 || v[e] > v[best])) best = e;
        out[i] = best;
        allowed[best] = 0;
    }
}

static void plainly(const struct moe *m, const float *score, struct want *w)
{
    double p[MOST], choice[MOST], group[MOST], sum = 0;
    int n = (int)m->nexpert, per = n / (int)m->ngroup, in[MOST], free_group[MOST], groups[MOST];
    for (int e = 0; e < n; e++) sum += exp((double)score[e]);
    for (int e = 0; e < n; e++) {
        p[e] = m->sigmoid ? 1 / (1 + exp(-(double)score[e])) : exp((double)score[e]) / sum;
        choice[e] = p[e] + (m->choice_bias ? (double)m->choice_bias[e] : 0);
        in[e] = m->ngroup == 1;
    }
    if (m->ngroup > 1) {
        for (int g = 0; g < (int)m->ngroup; g++) {
            int all[MOST], two[2];
            for (int e = 0; e < n; e++) all[e] = e / per == g;
            largest(choice, n, all, per > 1 ? 2 : 1, two);
            group[g] = choice[two[0]] + (m->sigmoid && per > 1 ? choice[two[1]] : 0);
            free_group[g] = 1;
        }
        largest(group, (int)m->ngroup, free_group, (int)m->group_used, groups);
        for (int k = 0; k < (int)m->group_used; k++)
            for (int e = 0; e < per; e++) in[groups[k] * per + e] = 1;
    }
    largest(choice, n, in, (int)m->nused, w->pick);
    sum = 0;
    for (int k = 0; k < (int)m->nused; k++) sum += p[w->pick[k]];
    for (int k = 0; k < (int)m->nused; k++)
        w->weight[k] = p[w->pick[k]] * (double)m->scale / (m->renorm ? sum : 1);
}

static void same(const struct moe *m, const float *score)
{
    struct want want;
    float room[2 * MOST], weight[MOST];
    int32_t pick[MOST];
    memcpy(room, score, m->nexpert * sizeof *score);
    plainly(m, score, &want);
    route(m, room, pick, weight);
    for (size_t k = 0; k < m->nused; k++) {
        CHECK_EQ(pick[k], want.pick[k]);
        CHECK_NEAR(weight[k], want.weight[k], 2e-6 * want.weight[k]);
    }
}

static void every_kind_of_router_chooses_as_its_formula_does(void)
{
    struct rng r;
    rng_seed(&r, 7);
    for (int round = 0; round < 4000; round++) {
        static const size_t group[] = {1, 2, 3, 4, 6, 12};
        float score[N], bias[N];
        struct moe m = {.nexpert = N, .scale = round % 3 ? 1 : 2.5f, .sigmoid = round & 1, .renorm = round >> 1 & 1};
        for (int e = 0; e < N; e++) {
            score[e] = (float)(6 * rng_uniform(&r) - 3);
            bias[e] = (float)(rng_uniform(&r) - 0.5);
        }
        if (round & 4) m.choice_bias = bias;
        m.ngroup = group[rng_u64(&r) % 6];
        m.group_used = 1 + rng_u64(&r) % m.ngroup;
        m.nused = 1 + rng_u64(&r) % (N / m.ngroup * m.group_used);
        same(&m, score);
    }
}

static void of_equal_experts_the_lower_numbers_are_chosen(void)
{
    float score[N] = {0, 1, 0, 1, 1, 0, 1, 0, 0, 1, 0, 0}, room[2 * MOST], weight[MOST];
    int32_t pick[MOST];
    struct moe m = {.nexpert = N, .nused = 7, .ngroup = 1, .group_used = 1, .scale = 1};
    for (int sigmoid = 0; sigmoid < 2; sigmoid++) {
        m.sigmoid = sigmoid;
        memcpy(room, score, sizeof score);
        route(&m, room, pick, weight);
        static const int32_t want[] = {1, 3, 4, 6, 9, 0, 2};
        for (int k = 0; k < 7; k++) CHECK_EQ(pick[k], want[k]);
        same(&m, score);
    }
    float flat[N] = {0};
    m.ngroup = 4, m.group_used = 2, m.nused = 4; /* and of equal groups */
    memcpy(room, flat, sizeof flat);
    route(&m, room, pick, weight);
    for (int k = 0; k < 4; k++) CHECK_EQ(pick[k], k);
}

/* DeepSeek 3's rule beside DeepSeek 2's: by the two best together the first group wins, by the best alone the second. */
static void a_group_counts_as_its_two_best_with_sigmoid_and_as_its_best_without(void)
{
    float score[4] = {1, 1, 2, -4}, room[2 * MOST], weight[MOST];
    int32_t pick[MOST];
    struct moe m = {.nexpert = 4, .nused = 2, .ngroup = 2, .group_used = 1, .scale = 1, .sigmoid = 1};
    memcpy(room, score, sizeof score);
    route(&m, room, pick, weight);
    CHECK(pick[0] == 0 && pick[1] == 1);
    m.sigmoid = 0;
    memcpy(room, score, sizeof score);
    route(&m, room, pick, weight);
    CHECK(pick[0] == 2 && pick[1] == 3);
}

int main(void)
{
    tap_timeout(60);
    RUN(every_kind_of_router_chooses_as_its_formula_does);
    RUN(of_equal_experts_the_lower_numbers_are_chosen);
    RUN(a_group_counts_as_its_two_best_with_sigmoid_and_as_its_best_without);
    return tap_done();
}
