/* SPDX-License-Identifier: Apache-2.0
 * tests/test_likeness.c: the figures by which two models are compared, against sums in double; and that the short record of a
 * distribution gives the same means. */
#include "run/likeness.h"

#include "base/rng.h"
#include "kern/kern.h"
#include "tap.h"

enum { N = 3000, TOKENS = 400 };

static struct kern kern;
static float a[N], b[N], pa[N], pb[N];
static uint8_t record[N];

/* Two distributions with a few likely tokens and a long tail; q is p with some noise. */
static void draw(struct rng *r, double noise)
{
    for (int i = 0; i < N; i++) {
        double u = rng_uniform(r);
        a[i] = (float)(8 * u * u * u * u * u * u + 3 * rng_uniform(r));
        b[i] = a[i] + (float)(noise * (rng_uniform(r) - 0.5));
    }
}

static double exact_kl(void)
{
    double za = 0, zb = 0, kl = 0;
    for (int i = 0; i < N; i++) {
        za += exp((double)a[i]);
        zb += exp((double)b[i]);
    }
    for (int i = 0; i < N; i++)
        kl += exp((double)a[i]) / za * ((double)a[i] - log(za) - (double)b[i] + log(zb));
    return kl;
}

static void figures_are_those_of_the_definition(void)
{
    struct rng r;
    rng_seed(&r, 1);
    for (int t = 0; t < 20; t++) {
        struct likeness base, mine;
        double lse_a, lse_b, z = 0;
        draw(&r, 0.7);
        for (int i = 0; i < N; i++) z += exp((double)b[i]);
        likeness_of(&kern, N, a, 7, pa, &lse_a, &base);
        likeness_of(&kern, N, b, 7, pb, &lse_b, &mine);
        likeness_compare(N, b, lse_b, a, pa, lse_a, &base, &mine);
        CHECK_NEAR(mine.nll, log(z) - (double)b[7], 1e-5);
        CHECK_NEAR(mine.kl, exact_kl(), 2e-6);
        CHECK(mine.base_nll == base.nll);
        CHECK(mine.same_top == (base.top == mine.top));
    }
}

static void a_model_is_like_itself(void)
{
    struct rng r;
    struct likeness base, mine;
    struct likeness_form f = likeness_form(N);
    double lse;
    rng_seed(&r, 2);
    draw(&r, 0);
    likeness_of(&kern, N, a, 3, pa, &lse, &base);
    mine = base;
    likeness_compare(N, a, lse, a, pa, lse, &base, &mine);
    CHECK_NEAR(mine.kl, 0, 1e-9);
    CHECK_EQ(mine.same_top, 1);
    likeness_store(&f, N, a, pa, lse, &base, 5, record);
    CHECK_EQ(likeness_compare_record(&f, N, a, lse, record, &mine), 0);
    CHECK_NEAR(mine.kl, 0, 2e-3);
    CHECK_NEAR(mine.base_nll, base.nll, 1e-6);
    CHECK_EQ(mine.same_top, 1);
}

static void a_record_gives_the_same_mean_in_a_hundredth_of_the_space(void)
{
    struct rng r;
    struct likeness_form f = likeness_form(N);
    struct likeness_sums exact = {0}, shortly = {0};
    double off2 = 0; /* of single tokens */
    CHECK(f.bytes <= 2 * N / 100);
    CHECK(likeness_form(151936).bytes <= 2 * 151936 / 100);
    rng_seed(&r, 3);
    for (uint64_t t = 0; t < TOKENS; t++) {
        struct likeness base, mine;
        double lse_a, lse_b;
        draw(&r, 1);
        likeness_of(&kern, N, a, (int32_t)t, pa, &lse_a, &base);
        likeness_of(&kern, N, b, (int32_t)t, pb, &lse_b, &mine);
        likeness_compare(N, b, lse_b, a, pa, lse_a, &base, &mine);
        likeness_add(&exact, &mine, 1);
        double kl = mine.kl;
        likeness_store(&f, N, a, pa, lse_a, &base, t, record);
        CHECK_EQ(likeness_compare_record(&f, N, b, lse_b, record, &mine), 0);
        off2 += (mine.kl - kl) * (mine.kl - kl) / TOKENS;
        likeness_add(&shortly, &mine, 1);
    }
    struct likeness_mean e = likeness_mean(exact.n, exact.kl, exact.kl2),
                         s = likeness_mean(shortly.n, shortly.kl, shortly.kl2);
    printf("# %.5f exactly, %.5f +- %.5f from records of %zu bytes; a token's is off by %.5f\n", e.value, s.value,
           s.error, f.bytes, sqrt(off2));
    CHECK_NEAR(s.value, e.value, 4 * s.error);
    CHECK(s.error < 0.1 * e.value);
    CHECK(sqrt(off2) < e.value);
    CHECK(exact.same == shortly.same);
    CHECK_NEAR(exact.base, shortly.base, 1e-4);
}

static void a_damaged_record_is_refused(void)
{
    struct rng r;
    struct likeness base, mine = {0};
    struct likeness_form f = likeness_form(N);
    double lse;
    rng_seed(&r, 4);
    draw(&r, 1);
    likeness_of(&kern, N, a, 0, pa, &lse, &base);
    likeness_store(&f, N, a, pa, lse, &base, 1, record);
    record[6 + 2] = 0xff; /* an id beyond the vocabulary */
    CHECK_EQ(likeness_compare_record(&f, N, a, lse, record, &mine), -1);
    memset(record, 0xff, f.bytes);
    CHECK_EQ(likeness_compare_record(&f, N, a, lse, record, &mine), -1);
}

static void small_vocabularies_have_records_too(void)
{
    for (size_t n = 2; n < 400; n += 7) {
        struct likeness base, mine = {0};
        struct likeness_form f = likeness_form(n);
        double lse;
        CHECK(f.bytes <= sizeof record);
        for (size_t i = 0; i < n; i++) a[i] = (float)(i % 5);
        likeness_of(&kern, n, a, 1, pa, &lse, &base);
        likeness_store(&f, n, a, pa, lse, &base, n, record);
        mine = base;
        CHECK_EQ(likeness_compare_record(&f, n, a, lse, record, &mine), 0);
        CHECK_NEAR(mine.kl, 0, 2e-3);
    }
}

int main(void)
{
    tap_timeout(60);
    kern_init(&kern, 0);
    RUN(figures_are_those_of_the_definition);
    RUN(a_model_is_like_itself);
    RUN(a_record_gives_the_same_mean_in_a_hundredth_of_the_space);
    RUN(a_damaged_record_is_refused);
    RUN(small_vocabularies_have_records_too);
    return tap_done();
}
