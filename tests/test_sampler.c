/* SPDX-License-Identifier: Apache-2.0
 * tests/test_sampler.c: the sampler against the formulas written down naively here (whole sorts,
 * the C library's exp), by drawing thousands of tokens and comparing their counts with the exact
 * probabilities. What it promises beside the formulas is test_sampler_promises.c's. */
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

/* ---- the naive reference --------------------------------------------------------------------- */

struct ref {
    double l[V], p[V]; /* p: 0 for what has been removed */
    int n;
};

static void ref_softmax(struct ref *r, const int *in)
{
    double max = NONE, sum = 0;
    for (int i = 0; i < r->n; i++)
        if (in[i] && r->l[i] > max) max = r->l[i];
    for (int i = 0; i < r->n; i++) sum += r->p[i] = in[i] ? exp(r->l[i] - max) : 0;
    for (int i = 0; i < r->n; i++) r->p[i] /= sum;
}

/* ids by descending key, equal ones by id */
static void ref_order(const double *key, int n, int *order)
{
    for (int i = 0; i < n; i++) {
        int at = i;
        for (; at > 0 && key[order[at - 1]] < key[i]; at--) order[at] = order[at - 1];
        order[at] = i;
    }
}

static void ref_mass(struct ref *r, int *in, const double *key, double mass, int strictly)
{
    int order[V], keep[V] = {0};
    double sum = 0;
    ref_order(key, r->n, order);
    for (int i = 0; i < r->n; i++) {
        if (!in[order[i]]) continue;
        keep[order[i]] = 1;
        sum += r->p[order[i]];
        if (strictly ? sum > mass : sum >= mass) break;
    }
    memcpy(in, keep, sizeof keep);
}

static void ref_penalise(struct ref *r, const struct lar_sampling *p, const int32_t *past, int n)
{
    int window = p->repeat_last_n < 0 || p->repeat_last_n > n ? n : p->repeat_last_n;
    for (int id = 0; id < r->n; id++) {
        int count = 0;
        for (int i = n - window; i < n; i++) count += past[i] == id;
        if (!count) continue;
        double rp = (double)p->repeat_penalty;
        r->l[id] = r->l[id] > 0 ? r->l[id] / rp : r->l[id] * rp;
        r->l[id] -= (double)p->presence_penalty + count * (double)p->frequency_penalty;
    }
}

static int is_in(const int32_t *list, size_t n, int32_t id)
{
    for (size_t i = 0; i < n; i++)
        if (list[i] == id) return 1;
    return 0;
}

static void ref_dry(struct ref *r, const struct lar_sampling *p, const int32_t *past, int n,
                    const int32_t *breaker, size_t nbreaker)
{
    int window = p->dry_penalty_last_n < 0 || p->dry_penalty_last_n > n ? n : p->dry_penalty_last_n;
    int longest[V];
    for (int id = 0; id < V; id++) longest[id] = -1;
    past += n - window;
    n = window;
    for (int next = 1; next < n; next++) { /* past[next] followed what ended at next - 1 */
        int len = 0;
        while (len < next && past[next - 1 - len] == past[n - 1 - len] &&
               !is_in(breaker, nbreaker, past[n - 1 - len]))
            len++;
        if (len > longest[past[next]]) longest[past[next]] = len;
    }
    for (int id = 0; id < r->n; id++)
        if (longest[id] >= p->dry_allowed_length && !is_in(breaker, nbreaker, id))
            r->l[id] -= (double)p->dry_multiplier *
                        pow((double)p->dry_base, longest[id] - p->dry_allowed_length);
}

/* The distribution of the next token (XTC: if it strikes). */
static void ref_run(struct ref *r, const struct lar_sampling *p, int strike)
{
    int in[V], order[V], n = 0;
    double key[V], entropy = 0;
    for (int i = 0; i < r->n; i++) in[i] = r->l[i] > NONE;
    if (p->top_k) {
        ref_order(r->l, r->n, order);
        for (int i = p->top_k; i < r->n; i++) in[order[i]] = 0;
    }
    ref_softmax(r, in);
    if (p->typical_p < 1) {
        for (int i = 0; i < r->n; i++)
            if (r->p[i] > 0) entropy -= r->p[i] * log(r->p[i]);
        for (int i = 0; i < r->n; i++) key[i] = in[i] ? -fabs(-log(r->p[i]) - entropy) : NONE;
        ref_mass(r, in, key, (double)p->typical_p, 1);
        ref_softmax(r, in);
    }
    if (p->top_p < 1) {
        ref_mass(r, in, r->l, (double)p->top_p, 0);
        ref_softmax(r, in);
    }
    if (p->min_p > 0) {
        double max = 0;
        for (int i = 0; i < r->n; i++) max = fmax(max, r->p[i]);
        for (int i = 0; i < r->n; i++) in[i] = in[i] && r->p[i] >= (double)p->min_p * max;
        ref_softmax(r, in);
    }
    if (strike) {
        int over[V] = {0}, last = -1;
        ref_order(r->l, r->n, order);
        for (int i = 0; i < r->n; i++) {
            int id = order[i];
            if (!in[id] || r->p[id] < (double)p->xtc_threshold) continue;
            over[n++] = id;
            last = id;
        }
        for (int i = 0; i < n; i++) in[over[i]] = over[i] == last;
    }
    for (int i = 0; i < r->n; i++) r->l[i] /= (double)p->temp;
    ref_softmax(r, in);
}

/* ---- counting -------------------------------------------------------------------------------- */

/* What chi-square with df degrees exceeds once in 3.5 million (z = 5; Wilson and Hilferty). */
static double chi_square_limit(int df)
{
    double d = df, c = 1 - 2 / (9 * d) + 5 * sqrt(2 / (9 * d));
    return d * c * c * c;
}

static void check_counts(const char *what, const int *count, const double *p, int n, int draws)
{
    double chi = 0, rest_expected = 0, rest_seen = 0;
    int df = -1;
    for (int i = 0; i < n; i++) {
        double expected = p[i] * draws;
        if (p[i] <= 0 && count[i]) {
            printf("# %s: token %d is impossible, drawn %d times\n", what, i, count[i]);
            CHECK(0);
        }
        if (expected < 5) {
            rest_expected += expected;
            rest_seen += count[i];
            continue;
        }
        chi += (count[i] - expected) * (count[i] - expected) / expected;
        df++;
    }
    if (rest_expected > 0.5) {
        chi += (rest_seen - rest_expected) * (rest_seen - rest_expected) / rest_expected;
        df++;
    }
    if (df < 1) return; /* one possible token: the check above is all there is */
    if (chi > chi_square_limit(df)) printf("# %s: chi-square %g with %d degrees\n", what, chi, df);
    CHECK(chi <= chi_square_limit(df));
}

static const int32_t breakers[] = {7, 33};
static int32_t history[200];
static int nhistory;

/* Draws from the sampler and compares with the reference; history counts when a penalty is on. */
static void compare(const char *what, const struct lar_sampling *p, const float *logits, int n)
{
    int count[V] = {0}, draws = 5000;
    struct ref base = {.n = n}, hit;
    double mixed[V];
    for (int i = 0; i < n; i++)
        base.l[i] = isnan(logits[i]) ? NONE : (double)fminf(logits[i], 3e38f);
    ref_penalise(&base, p, history, nhistory);
    if (p->dry_multiplier > 0) ref_dry(&base, p, history, nhistory, breakers, 2);
    hit = base;
    ref_run(&base, p, 0);
    ref_run(&hit, p, 1);
    double strike = p->xtc_threshold <= 0.5f ? (double)p->xtc_probability : 0;
    for (int i = 0; i < n; i++) mixed[i] = (1 - strike) * base.p[i] + strike * hit.p[i];
    struct sampler *s = opened(p, n, 1000, breakers, 2);
    for (int i = 0; i < nhistory; i++) sampler_accept(s, history[i]);
    for (int i = 0; i < draws; i++) {
        int32_t id = sampler_pick(s, logits);
        CHECK(id >= 0 && id < n);
        if (id >= 0 && id < n) count[id]++;
    }
    check_counts(what, count, mixed, n, draws);
    sampler_close(s);
}

/* Several distributions: peaked, flat, with ties, with impossible tokens. */
static void compare_all(const char *what, const struct lar_sampling *p)
{
    static const double spread[] = {1, 4, 10};
    float l[V];
    for (int k = 0; k < 3; k++) {
        for (int i = 0; i < V; i++) l[i] = random_logit(spread[k]);
        compare(what, p, l, V);
    }
    for (int i = 0; i < V; i++) l[i] = (float)(i % 5);
    compare(what, p, l, V);
    for (int i = 0; i < V; i++) l[i] = i % 3 ? random_logit(4) : i % 2 ? -INFINITY : NAN;
    compare(what, p, l, V);
}

/* ---- each step ------------------------------------------------------------------------------- */

static void the_softmax_is_drawn_from(void)
{
    struct lar_sampling p = plain();
    compare_all("softmax", &p);
}

static void temperature_divides(void)
{
    struct lar_sampling p = plain();
    static const float temp[] = {0.1f, 0.7f, 2.0f};
    for (int i = 0; i < 3; i++) {
        p.temp = temp[i];
        compare_all("temp", &p);
    }
}

static void top_k_keeps_the_k_largest(void)
{
    struct lar_sampling p = plain();
    static const int k[] = {1, 2, 7, V - 1, V, V + 1, 1000000};
    for (int i = 0; i < 7; i++) {
        p.top_k = k[i];
        compare_all("top_k", &p);
    }
}

static void top_p_keeps_the_smallest_set_of_that_mass(void)
{
    struct lar_sampling p = plain();
    static const float v[] = {0.0f, 0.3f, 0.9f, 0.999f};
    for (int i = 0; i < 4; i++) {
        p.top_p = v[i];
        compare_all("top_p", &p);
    }
}

static void min_p_keeps_a_share_of_the_largest(void)
{
    struct lar_sampling p = plain();
    static const float v[] = {0.01f, 0.2f, 1.0f};
    for (int i = 0; i < 3; i++) {
        p.min_p = v[i];
        compare_all("min_p", &p);
    }
}

static void typical_keeps_what_is_near_the_entropy(void)
{
    struct lar_sampling p = plain();
    static const float v[] = {0.0f, 0.2f, 0.55f, 0.9f};
    float l[V];
    for (int i = 0; i < 4; i++) {
        p.typical_p = v[i];
        for (int k = 1; k <= 8; k *= 2) { /* no ties: their order is rounding's */
            for (int j = 0; j < V; j++) l[j] = random_logit(k);
            compare("typical", &p, l, V);
        }
    }
}

static void xtc_removes_the_top_choices_but_one(void)
{
    struct lar_sampling p = plain();
    static const float threshold[] = {0.0f, 0.02f, 0.1f, 0.5f, 0.6f};
    for (int i = 0; i < 5; i++) {
        p.xtc_threshold = threshold[i];
        p.xtc_probability = 1.0f;
        compare_all("xtc", &p);
        p.xtc_probability = 0.4f;
        compare_all("xtc now and then", &p);
    }
}

static void make_history(int n, int alphabet)
{
    nhistory = n;
    for (int i = 0; i < n; i++) history[i] = (int32_t)(rng_u64(&source) % (uint64_t)alphabet);
}

static void repetition_is_penalised(void)
{
    struct lar_sampling p = plain();
    make_history(150, 40);
    p.repeat_penalty = 1.3f;
    compare_all("repeat", &p);
    p.repeat_last_n = -1;
    compare_all("repeat over all", &p);
    p.repeat_last_n = 5;
    compare_all("repeat over 5", &p);
    p.repeat_last_n = 0;
    compare_all("repeat over none", &p);
    p.repeat_last_n = 64;
    p.repeat_penalty = 1.0f;
    p.presence_penalty = 0.7f;
    compare_all("presence", &p);
    p.presence_penalty = 0;
    p.frequency_penalty = 0.3f;
    compare_all("frequency", &p);
    p.frequency_penalty = -0.2f;
    p.presence_penalty = -0.5f;
    p.repeat_penalty = 0.8f;
    compare_all("rewarded", &p);
    nhistory = 0;
}

/* With a frequency penalty of 1 a token falls by its count: just above and just below that decides. */
static void the_window_holds_exactly_the_last_n(void)
{
    struct lar_sampling p = plain();
    p.temp = 0;
    p.frequency_penalty = 1;
    for (int window = 1; window <= 30; window += 7) {
        p.repeat_last_n = window;
        struct sampler *s = opened(&p, V, 40, NULL, 0);
        make_history(150, 10);
        for (int n = 0; n < 150; n++) {
            float l[V];
            for (int id = 0; id < 10; id++) {
                int count = 0;
                for (int i = n > window ? n - window : 0; i < n; i++) count += history[i] == id;
                for (int i = 0; i < V; i++) l[i] = i == 50 ? 0 : -1000; /* 50 is never said */
                l[id] = (float)count + 0.5f;
                CHECK_EQ(sampler_pick(s, l), id);
                l[id] = (float)count - 0.5f;
                CHECK_EQ(sampler_pick(s, l), 50);
            }
            sampler_accept(s, history[n]);
        }
        sampler_close(s);
    }
    nhistory = 0;
}

static void dry_penalises_what_would_go_on_repeating(void)
{
    struct lar_sampling p = plain();
    p.dry_multiplier = 0.8f;
    for (int alphabet = 2; alphabet <= 8; alphabet += 3) {
        make_history(60, alphabet);
        compare_all("dry", &p);
        p.dry_penalty_last_n = 20;
        compare_all("dry over 20", &p);
        p.dry_penalty_last_n = -1;
        p.dry_allowed_length = 4;
        compare_all("dry, 4 allowed", &p);
        p.dry_allowed_length = 1;
        compare_all("dry, 1 allowed", &p);
        p.dry_allowed_length = 2;
    }
    static const int32_t said[] = {1, 2, 3, 4, 7, 1, 2, 3, 5, 9, 1, 2, 3};
    memcpy(history, said, sizeof said);
    nhistory = 13;
    compare_all("dry: after 1 2 3 neither 4 nor 5", &p);
    history[1] = history[6] = history[11] = 7; /* a breaker within the sequence */
    compare_all("dry: the sequence is 3 alone", &p);
    nhistory = 0;
    compare_all("dry without history", &p);
}

static void dry_is_exponential_and_spares_breakers(void)
{
    struct lar_sampling p = plain();
    p.dry_multiplier = 2.0f;
    p.dry_base = 3.0f;
    p.temp = 0;
    /* "1 2 3 4 5 6" twice: 6 would extend a repetition of 5 tokens: 2 * 3^(5 - 2) = 54 */
    struct sampler *s = opened(&p, V, 100, breakers, 2);
    static const int32_t said[] = {1, 2, 3, 4, 5, 6, 20, 1, 2, 3, 4, 5};
    float l[V] = {0};
    for (int i = 0; i < 12; i++) sampler_accept(s, said[i]);
    l[6] = 53.9f;
    CHECK_EQ(sampler_pick(s, l), 0);
    l[6] = 54.1f;
    CHECK_EQ(sampler_pick(s, l), 6);
    sampler_reset(s);
    for (int i = 0; i < 12; i++) sampler_accept(s, said[i] == 6 ? 33 : said[i]); /* a breaker */
    l[6] = 0;
    l[33] = 0.5f;
    CHECK_EQ(sampler_pick(s, l), 33);
    sampler_reset(s);
    for (int i = 0; i < 12; i++) { /* a cut before the last two: 2 * 3^(2 - 2) */
        sampler_accept(s, said[i]);
        if (i == 9) sampler_break(s);
    }
    l[33] = 0;
    l[6] = 1.9f;
    CHECK_EQ(sampler_pick(s, l), 0);
    l[6] = 2.1f;
    CHECK_EQ(sampler_pick(s, l), 6);
    sampler_reset(s);
    for (int i = 0; i < 300; i++) sampler_accept(s, 8); /* a huge exponent stays finite */
    for (int i = 0; i < V; i++) l[i] = i == 8 ? 1000 : -INFINITY;
    CHECK_EQ(sampler_pick(s, l), 8);
    sampler_close(s);
}

static void all_steps_together(void)
{
    struct lar_sampling p;
    sampler_default(&p);
    p.seed = 99;
    compare_all("default", &p);
    make_history(100, V);
    p.repeat_penalty = 1.1f;
    p.frequency_penalty = 0.1f;
    p.dry_multiplier = 0.5f;
    p.top_k = 30;
    p.typical_p = 0.97f;
    p.xtc_probability = 0.5f;
    float l[V];
    for (int k = 1; k <= 8; k *= 2) {
        for (int j = 0; j < V; j++) l[j] = random_logit(k);
        compare("all", &p, l, V);
    }
    nhistory = 0;
}

/* ---- mirostat -------------------------------------------------------------------------------- */

/* What may be drawn at mu, and its probabilities. */
static void ref_mirostat(struct ref *r, const struct lar_sampling *p, double mu)
{
    int in[V], order[V], k = 0;
    for (int i = 0; i < r->n; i++) {
        r->l[i] /= (double)p->temp;
        in[i] = 1;
    }
    ref_softmax(r, in);
    ref_order(r->l, r->n, order);
    if (p->mirostat == 2) {
        for (int i = 1; i < r->n; i++) in[order[i]] = -log2(r->p[order[i]]) <= mu;
    } else {
        double tb = 0, tt = 0;
        for (int i = 0; i < 99 && i < r->n - 1; i++) {
            double t = log((i + 2.0) / (i + 1.0));
            tb += t * log(r->p[order[i]] / r->p[order[i + 1]]);
            tt += t * t;
        }
        double s = tb / tt, e = s - 1;
        double x = pow(e * pow(2, mu) / (1 - pow(r->n, -e)), 1 / s);
        k = x < 1 ? 1 : x > r->n ? r->n : (int)x;
        for (int i = 0; i < r->n; i++) in[order[i]] = i < k;
    }
    ref_softmax(r, in);
}

static void mirostat_draws_from_what_mu_allows(void)
{
    for (int version = 1; version <= 2; version++) {
        for (int round = 0; round < 6; round++) {
            struct lar_sampling p = plain();
            int count[V] = {0}, draws = 2500;
            float l[V];
            p.mirostat = version;
            p.temp = round % 2 ? 0.7f : 1.0f;
            p.mirostat_tau = (float)(1 + round % 3);
            struct ref r = {.n = V};
            for (int i = 0; i < V; i++) r.l[i] = (double)(l[i] = random_logit(3));
            ref_mirostat(&r, &p, 2 * (double)p.mirostat_tau);
            for (int i = 0; i < draws; i++) { /* the first token of each of many seeds */
                p.seed = i;
                struct sampler *s = opened(&p, V, 10, NULL, 0);
                count[sampler_pick(s, l)]++;
                sampler_close(s);
            }
            check_counts(version == 1 ? "mirostat 1" : "mirostat 2", count, r.p, V, draws);
        }
    }
}

static void mirostat_follows_its_own_surprise(void)
{
    for (int version = 1; version <= 2; version++) {
        struct lar_sampling p = plain();
        p.mirostat = version;
        p.mirostat_tau = 2.5f;
        double mu = 5, mean = 0;
        int steps = 3000;
        struct sampler *s = opened(&p, V, 10, NULL, 0);
        for (int k = 0; k < steps; k++) {
            float l[V];
            struct ref r = {.n = V};
            for (int i = 0; i < V; i++) r.l[i] = (double)(l[i] = random_logit(4));
            ref_mirostat(&r, &p, mu);
            int32_t id = sampler_pick(s, l);
            CHECK(r.p[id] > 0);
            double surprise = -log2(r.p[id]);
            mu -= (double)p.mirostat_eta * (surprise - (double)p.mirostat_tau);
            mean += surprise / steps;
        }
        sampler_close(s);
        CHECK_NEAR(mean, 2.5, 0.1);
    }
}

static void mirostat_survives_odd_distributions(void)
{
    for (int version = 1; version <= 2; version++) {
        struct lar_sampling p = plain();
        p.mirostat = version;
        static const float tau[] = {0.0f, 5.0f, 100.0f};
        for (int t = 0; t < 3; t++) {
            p.mirostat_tau = tau[t];
            struct sampler *s = opened(&p, V, 10, NULL, 0);
            float same[V] = {0}, one[V], steep[V];
            for (int i = 0; i < V; i++) {
                one[i] = i == 9 ? 0 : -INFINITY;
                steep[i] = (float)-i * 1e30f;
            }
            for (int k = 0; k < 300; k++) {
                int32_t id = sampler_pick(s, same);
                CHECK(id >= 0 && id < V);
                CHECK_EQ(sampler_pick(s, one), 9);
                CHECK_EQ(sampler_pick(s, steep), 0);
            }
            sampler_close(s);
        }
    }
}

int main(void)
{
    tap_timeout(120);
    rng_seed(&source, 2024);
    RUN(the_softmax_is_drawn_from);
    RUN(temperature_divides);
    RUN(top_k_keeps_the_k_largest);
    RUN(top_p_keeps_the_smallest_set_of_that_mass);
    RUN(min_p_keeps_a_share_of_the_largest);
    RUN(typical_keeps_what_is_near_the_entropy);
    RUN(xtc_removes_the_top_choices_but_one);
    RUN(repetition_is_penalised);
    RUN(the_window_holds_exactly_the_last_n);
    RUN(dry_penalises_what_would_go_on_repeating);
    RUN(dry_is_exponential_and_spares_breakers);
    RUN(all_steps_together);
    RUN(mirostat_draws_from_what_mu_allows);
    RUN(mirostat_follows_its_own_surprise);
    RUN(mirostat_survives_odd_distributions);
    return tap_done();
}
