/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/test_moe.c: which experts a row gets and with what weights, against the formulas of model/moe.c's head written plainly in double: groups,
 * biases that only choose, ties, scales; and which experts' weights a step reads: those of the others lie on pages that nobody may read. The functions are static,
 * so the file itself is part of this program; whole models with experts are test_golden.c's.
 */
#include <sys/mman.h>

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

/* ---- which weights are read ---- */

/* One layer of 8 experts in F32, a matrix of an expert a page: an expert's pages can be taken away by themselves. */
enum { EXPERTS = 8, USED = 2, WIDTH = 32, ROWS = 5, STACKS = 3 };

struct stacks {
    size_t page, nff;
    uint8_t *p; /* gate, up, down: [STACKS][EXPERTS][page] */
    struct layer l;
    struct dev *d;
    struct dev_ops counting;
    float memory[ROWS][7][WIDTH];
    struct work w;
    int32_t pick[ROWS * USED], slot[ROWS * USED];
    float weight[ROWS * USED], *wide; /* gate and up: [2][ROWS][nff] */
};

static const struct dev_ops *real;
static size_t products, product_rows;

static void count_matmul(struct dev *d, int count, const struct dev_matrix *const *w,
                         struct dev_rows x, size_t n, const struct dev_rows *out)
{
    products += (size_t)count;
    product_rows += n * (size_t)count;
    real->matmul(d, count, w, x, n, out);
}

static float *expert_at(const struct stacks *s, size_t stack, size_t e)
{
    return (float *)(void *)(s->p + (stack * EXPERTS + e) * s->page);
}

static void stacks_open(struct stacks *s)
{
    struct rng r;
    struct lar_err err;
    rng_seed(&r, 5);
    s->page = (size_t)sysconf(_SC_PAGESIZE);
    s->nff = s->page / (WIDTH * sizeof(float));
    s->p = mmap(NULL, STACKS * EXPERTS * s->page, PROT_READ | PROT_WRITE,
                MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    s->wide = calloc(2 * ROWS * s->nff, sizeof *s->wide);
    if (s->p == MAP_FAILED || !s->wide || dev_cpu_open(&s->d, 2, &err) < 0) {
        printf("Bail out! no memory or no device\n");
        exit(EXIT_FAILURE);
    }
    for (size_t i = 0; i < STACKS * EXPERTS * s->page / sizeof(float); i++)
        ((float *)(void *)s->p)[i] = (float)(rng_uniform(&r) - 0.5);
    struct dev_matrix in = {.type = DT_F32, .k = WIDTH, .rows = EXPERTS * s->nff, .stride = WIDTH * sizeof(float)};
    struct dev_matrix back = {.type = DT_F32, .k = s->nff, .rows = EXPERTS * WIDTH, .stride = s->nff * sizeof(float)};
    s->l.moe = (struct moe){.nexpert = EXPERTS,
                            .nused = USED,
                            .nff = s->nff,
                            .ngroup = 1,
                            .group_used = 1,
                            .renorm = 1,
                            .scale = 1,
                            .gate = in,
                            .up = in,
                            .down = back};
    s->l.moe.gate.data = expert_at(s, 0, 0);
    s->l.moe.up.data = expert_at(s, 1, 0);
    s->l.moe.down.data = expert_at(s, 2, 0);
    struct dev_need need = {.batch = ROWS, .k_max = s->nff > WIDTH ? s->nff : WIDTH, .hd_max = 32, .group_max = 1};
    if (dev_cpu_reserve(s->d, &need, &err) < 0) printf("Bail out! %s\n", err.msg), exit(EXIT_FAILURE);
    real = s->d->ops;
    s->counting = *real;
    s->counting.matmul = count_matmul;
    s->d->ops = &s->counting;
    float *at[7];
    for (int i = 0; i < 7; i++) at[i] = s->memory[0][i];
    size_t stride = 7 * WIDTH;
    s->w = (struct work){.batch = ROWS,
                         .h = {at[0], stride},
                         .o = {at[1], stride},
                         .score = {at[2], stride},
                         .moe_x = {at[3], stride},
                         .moe_y = {at[4], stride},
                         .gate = {s->wide, s->nff},
                         .up = {s->wide + ROWS * s->nff, s->nff},
                         .pick = s->pick,
                         .slot = s->slot,
                         .weight = s->weight};
    for (int i = 0; i < ROWS; i++)
        for (int k = 0; k < WIDTH; k++) s->memory[i][0][k] = (float)(rng_uniform(&r) - 0.5);
}

/* What row i gives through expert e, in double. */
static double through(const struct stacks *s, int i, size_t e, size_t column)
{
    const float *h = s->memory[i][0];
    double y = 0;
    for (size_t f = 0; f < s->nff; f++) {
        double g = 0, u = 0;
        for (size_t k = 0; k < WIDTH; k++) {
            g += (double)expert_at(s, 0, e)[f * WIDTH + k] * (double)h[k];
            u += (double)expert_at(s, 1, e)[f * WIDTH + k] * (double)h[k];
        }
        y += (double)expert_at(s, 2, e)[column * s->nff + f] * (g / (1 + exp(-g)) * u);
    }
    return y;
}

/* Row i wants experts want[i]; the pages of those that nobody wants are taken away meanwhile. */
static void step(struct stacks *s, size_t n, const int want[][USED])
{
    static const struct arch arch = {.gate = GATE_SILU};
    struct model m = {.arch = &arch, .h = {.width = WIDTH}};
    struct pass p = {.m = &m, .d = s->d, .w = &s->w, .n = n};
    int wanted[EXPERTS] = {0}, active = 0;
    for (size_t i = 0; i < n; i++) {
        for (int e = 0; e < EXPERTS; e++) s->memory[i][2][e] = -1;
        for (int k = 0; k < USED; k++) {
            s->memory[i][2][want[i][k]] = (float)(2 - k);
            wanted[want[i][k]] = 1;
        }
    }
    for (int e = 0; e < EXPERTS; e++) {
        active += wanted[e];
        for (size_t t = 0; t < STACKS && !wanted[e]; t++)
            CHECK(!mprotect(expert_at(s, t, (size_t)e), s->page, PROT_NONE));
    }
    products = product_rows = 0;
    dev_lock(s->d);
    experts(&p, &s->l);
    dev_unlock(s->d);
    CHECK(!mprotect(s->p, STACKS * EXPERTS * s->page, PROT_READ | PROT_WRITE));
    CHECK_EQ(products, STACKS * active); /* each wanted expert once, for all its rows */
    CHECK_EQ(product_rows, STACKS * USED * n);
    for (size_t i = 0; i < n; i++)
        for (size_t c = 0; c < WIDTH; c++) {
            double first = 1 / (1 + exp(-1.0)); /* softmax of 2 and 1 */
            double y = first * through(s, (int)i, (size_t)want[i][0], c) +
                       (1 - first) * through(s, (int)i, (size_t)want[i][1], c);
            CHECK_NEAR(s->memory[i][1][c], y, 1e-5);
        }
}

static void a_step_reads_no_expert_that_nobody_chose_and_each_other_once(void)
{
    static struct stacks s;
    static const int want[ROWS][USED] = {{6, 1}, {1, 3}, {6, 3}, {3, 1}, {1, 6}};
    static const int apart[ROWS][USED] = {{0, 7}, {2, 5}, {7, 4}, {5, 0}, {0, 1}};
    stacks_open(&s);
    for (size_t n = 1; n <= ROWS; n++) {
        step(&s, n, want);
        step(&s, n, apart);
    }
    s.d->ops = real;
    dev_close(s.d);
    munmap(s.p, STACKS * EXPERTS * s.page);
    free(s.wide);
}

int main(void)
{
    tap_timeout(60);
    RUN(every_kind_of_router_chooses_as_its_formula_does);
    RUN(of_equal_experts_the_lower_numbers_are_chosen);
    RUN(a_group_counts_as_its_two_best_with_sigmoid_and_as_its_best_without);
    RUN(a_step_reads_no_expert_that_nobody_chose_and_each_other_once);
    return tap_done();
}
