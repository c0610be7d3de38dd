/* SPDX-License-Identifier: Apache-2.0
 * tests/test_exact.c: products of matrices that are exact: those of the weights' own values with F32 rows, whatever the type, the level, the number of
 * rows and of threads; and not what 8-bit rows give. */
#include "base/cpu.h"
#include "base/rng.h"
#include "dev/dev.h"
#include "quant/quantise.h"
#include "tap.h"

enum { K = 512, ROWS = 37, BATCH = 40 };

static float x[BATCH * K], values[ROWS * K], got[BATCH * ROWS], one[BATCH * ROWS];
static uint8_t weights[4 * ROWS * K];
static _Alignas(64) uint8_t scratch[2 << 20];
static double want[BATCH * ROWS];

static void make(enum dtype t, const struct kern *kern)
{
    struct fit f;
    struct rng r;
    rng_seed(&r, 7);
    fit_init(&f, cpu_detect()); /* the same weights at every level */
    for (int i = 0; i < ROWS * K; i++) values[i] = (float)(rng_uniform(&r) - 0.5);
    for (int i = 0; i < BATCH * K; i++) x[i] = (float)(rng_uniform(&r) - 0.5) * (float)(1 + i % 9);
    quantise_rows(&f, t, K, ROWS, values, NULL, weights, scratch);
    kern->type[t].dequant(ROWS * K, weights, values);
    for (int i = 0; i < BATCH; i++)
        for (int r0 = 0; r0 < ROWS; r0++) {
            double sum = 0;
            for (int k = 0; k < K; k++) sum += (double)x[i * K + k] * (double)values[r0 * K + k];
            want[i * ROWS + r0] = sum;
        }
}

static double product(struct dev *d, enum dtype t, int exact, size_t n)
{
    struct dev_matrix w = {.data = weights, .type = t, .k = K, .rows = ROWS, .exact = exact};
    const struct dev_matrix *ws = &w;
    struct dev_rows out = {got, ROWS};
    double worst = 0;
    w.stride = K / dtype_info(t).block * dtype_info(t).bytes;
    d->ops->matmul(d, 1, &ws, (struct dev_rows){x, K}, n, &out);
    for (size_t i = 0; i < n * ROWS; i++) {
        double off = fabs((double)got[i] - want[i]);
        if (!(off <= worst)) worst = off;
    }
    return worst;
}

static void types_at(const char *level, int threads)
{
    struct dev_need need = {.batch = BATCH, .k_max = K, .hd_max = 1, .group_max = 1, .exact = 1};
    static const size_t n[] = {1, 3, BATCH};
    struct dev *d;
    setenv("LAR_CPU", level, 1);
    CHECK_EQ(dev_cpu_open(&d, threads, NULL), 0);
    CHECK_EQ(dev_cpu_reserve(d, &need, NULL), 0);
    for (int t = 0; t < DTYPE_COUNT; t++) {
        if (!quantise_can((enum dtype)t) || !dev_can(d, (enum dtype)t)) continue;
        make((enum dtype)t, d->kern);
        for (int i = getenv("LAR_SLOW") ? 1 : 0; i < 3; i++) {
            double worst = product(d, (enum dtype)t, 1, n[i]);
            if (!(worst < 2e-4)) printf("# %s\n", dtype_info((enum dtype)t).name);
            CHECK_NEAR(worst, 0, 2e-4);
        }
        d->steady = 1;
        CHECK_NEAR(product(d, (enum dtype)t, 1, BATCH), 0, 2e-4);
        memcpy(one, got, sizeof one);
        product(d, (enum dtype)t, 1, 1);
        CHECK(memcmp(one, got, ROWS * sizeof *got) == 0);
        d->steady = 0;
        if (d->kern->type[t].act != ACT_F32) CHECK(product(d, (enum dtype)t, 0, BATCH) > 1e-3);
    }
    dev_close(d);
    unsetenv("LAR_CPU");
}

static void every_type_at_every_level_gives_the_product_of_its_values(void)
{
    types_at("c", 1);
    types_at("avx2", 2);
    types_at("avx512", 3);
    types_at("neon", 2);
}

int main(void)
{
    tap_timeout(60);
    RUN(every_type_at_every_level_gives_the_product_of_its_values);
    return tap_done();
}
