/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/kcheck/fit.c: the inner loops of quantising (kern/fit.h): steps, errors, sums and codes of sixteen groups, and the search in grids. Every level
 * gives the scalar one's bits, for ordinary numbers, zeros, large and subnormal ones; the scalar one's errors and sums are those of the formula in double.
 */
#include "kern/fit.h"
#include "kcheck.h"

#include <math.h>
#include <string.h>

enum { L = FIT_LANES, N = 32, POINTS = 512 };

static const float table[L] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};
static const struct fit_code codes[] = {{0, 15, NULL}, {0, 3, NULL}, {-8, 7, NULL}, {-32, 31, NULL},
                                        {-127, 113, table}};
enum { CODES = sizeof codes / sizeof *codes };

/* Inputs that end at a guard page, and room for what two levels make of them. */
struct bench {
    float *x, *w, *d, *m, *value, *a, *b;
    float one[FIT_SUMS][L], two[FIT_SUMS][L], qa[N * L], qb[N * L], other_a[POINTS], other_b[POINTS];
};

static float *filled(int kind, size_t n)
{
    float *p = kc_alloc(n * sizeof *p, 64);
    kc_fill(kind, p, n);
    return p;
}

static void begin(struct bench *s, size_t n, int kind)
{
    s->x = filled(kind, n * L);
    s->w = filled(0, n * L);
    for (size_t i = 0; i < n * L; i++) s->w[i] = fabsf(s->w[i]);
    s->d = filled(0, L);
    s->m = filled(0, L);
    for (size_t i = 0; i < L; i++) s->d[i] = i == 3 ? 0 : 0.05f * s->d[i], s->m[i] = 0.1f * fabsf(s->m[i]);
    memset(s->one, 0, sizeof s->one);
    memset(s->two, 0, sizeof s->two);
}

static void end(struct bench *s) { kc_free(s->x), kc_free(s->w), kc_free(s->d), kc_free(s->m); }

static void same(const void *a, const void *b, size_t bytes, const char *what, size_t n, int kind)
{
    kc_expect(!memcmp(a, b, bytes), "%s, groups of %zu, %s: other bits than the scalar level's", what, n,
              kc_fill_name(kind));
}

enum what { AFFINE, LINEAR, ERROR, SUMS, CODE };
static const char *const names[] = {"fit_affine", "fit_linear", "fit_error", "fit_sums", "fit_codes"};

static void run(const struct fit *f, enum what what, size_t n, const struct bench *s, const struct fit_code *c,
                float out[FIT_SUMS][L], float *q)
{
    static const struct fit_search wide = {-0.9f, 0.1f, 18, 3, 0}, free_min = {-1.0f, 0.15f, 14, 2, 1};
    switch (what) {
    case AFFINE: f->affine(n, s->x, s->w, c, n % 16 ? &free_min : &wide, out[0], out[1]); break;
    case LINEAR: f->linear(n, s->x, s->w, c, &wide, out[0]); break;
    case ERROR: f->error(n, s->x, s->w, c, s->d, s->m, out[0]); break;
    case SUMS: f->sums(n, s->x, s->w, c, s->d, s->m, out); break;
    case CODE: f->codes(n, s->x, c, s->d, s->m, q); break;
    }
}

static void check_groups(const struct fit *f, const struct fit *ref, enum what what)
{
    static const size_t sizes[] = {16, 32, 1, 7};
    static struct bench s;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (int kind = 0; kind < KC_FILLS && !kc_failed(); kind++)
            for (size_t c = 0; c < CODES; c++) {
                if (what == AFFINE && (codes[c].lo < 0 || codes[c].table)) continue; /* its contract */
                begin(&s, sizes[i], kind);
                memset(s.qa, 0, sizeof s.qa), memset(s.qb, 0, sizeof s.qb);
                run(f, what, sizes[i], &s, &codes[c], s.one, s.qa);
                run(ref, what, sizes[i], &s, &codes[c], s.two, s.qb);
                same(s.one, s.two, sizeof s.one, names[what], sizes[i], kind);
                same(s.qa, s.qb, sizeof s.qa, names[what], sizes[i], kind);
                end(&s);
            }
}

/* The scalar error is the formula's, with the codes that it says it chose; these are the nearest there are. */
static void check_formula(const struct fit *f)
{
    static struct bench s;
    for (size_t c = 0; c < CODES; c++) {
        begin(&s, N, 0);
        f->error(N, s.x, s.w, &codes[c], s.d, s.m, s.one[0]);
        f->codes(N, s.x, &codes[c], s.d, s.m, s.qa);
        for (size_t l = 0; l < L; l++) {
            double sum = 0;
            for (size_t i = 0; i < N; i++) {
                double q = (double)s.qa[i * L + l], x = (double)s.x[i * L + l], d = (double)s.d[l], m = (double)s.m[l];
                double off = d * q - m - x, up = off, down = off;
                sum += (double)s.w[i * L + l] * off * off;
                if (codes[c].table || !(d * d > 0)) continue;
                if (q < (double)codes[c].hi) up = d * (q + 1) - m - x;
                if (q > (double)codes[c].lo) down = d * (q - 1) - m - x;
                kc_expect(fabs(off) <= fmin(fabs(up), fabs(down)) + 1e-5 * (fabs(x) + fabs(m) + fabs(d)),
                          "code %g of %g is not the nearest", q, x);
            }
            kc_expect(fabs((double)s.one[0][l] - sum) <= 1e-5 * sum + 1e-30, "an error is %g, not %g",
                      (double)s.one[0][l], sum);
        }
        end(&s);
    }
}

static void check_points(const struct fit *f, const struct fit *ref, int formula)
{
    static struct bench s;
    for (size_t dim = 4; dim <= 8; dim += 4)
        for (size_t n = 16; n <= POINTS; n *= 2) {
            float *x = filled(0, dim), *w = filled(0, dim), *v = filled(0, n * dim);
            float *a = kc_alloc(n * sizeof *a, 64), *b = kc_alloc(n * sizeof *b, 64), least[4], want[4];
            static const float step[4] = {0.25f, 1, 1.5f, 0};
            for (size_t e = 0; e < dim; e++) w[e] = fabsf(w[e]);
            f->points(dim, n, v, x, w, a, b);
            ref->points(dim, n, v, x, w, s.other_a, s.other_b);
            kc_expect(!memcmp(a, s.other_a, n * sizeof *a) && !memcmp(b, s.other_b, n * sizeof *b),
                      "points: %zu of %zu", n, dim);
            for (size_t p = 0; p < n && formula; p++) {
                double sa = 0, sb = 0, size = 1e-30;
                for (size_t e = 0; e < dim; e++) {
                    double q = (double)v[(p / 16 * dim + e) * 16 + p % 16];
                    sa += (double)w[e] * q * q;
                    sb -= 2 * (double)w[e] * q * (double)x[e];
                    size += fabs(2 * (double)w[e] * q * (double)x[e]);
                }
                kc_expect(fabs((double)a[p] - sa) <= 1e-5 * sa + 1e-30 && fabs((double)b[p] - sb) <= 1e-5 * size,
                          "point %zu: %g %g, not %g %g", p, (double)a[p], (double)b[p], sa, sb);
            }
            f->least(n, a, b, step, least);
            ref->least(n, a, b, step, want);
            kc_expect(!memcmp(least, want, sizeof want), "the least of %zu", n);
            for (int i = 0; i < 4; i++) {
                size_t at = f->nearest(n, a, b, step[i]);
                kc_expect(at == ref->nearest(n, a, b, step[i]) && at < n, "the nearest of %zu is %zu", n, at);
                float got = at < n ? fmaf(step[i], a[at], b[at]) : 0;
                kc_expect(!(got > want[i]) && !(got < want[i]), "the nearest of %zu has %g, the least is %g", n,
                          (double)got, (double)want[i]);
            }
            kc_free(x), kc_free(w), kc_free(v), kc_free(a), kc_free(b);
        }
}

void kc_fit(const struct kc_level *level)
{
    const struct fit *f = level->fit, *below = level->fit_below, *ref = level->fit_ref;
    int first = below->error == f->error && ref->error == f->error; /* the scalar level proves itself by the formula */
    const int fresh[] = {f->affine != below->affine, f->linear != below->linear, f->error != below->error,
                         f->sums != below->sums, f->codes != below->codes};
    for (int i = 0; i < 5; i++)
        if (fresh[i] && kc_begin("%s", names[i])) {
            check_groups(f, ref, (enum what)i);
            kc_end();
        }
    if (first && kc_begin("fit_error")) {
        check_formula(f);
        kc_end();
    }
    if ((first || f->points != below->points || f->least != below->least || f->nearest != below->nearest) &&
        kc_begin("fit_grid")) {
        check_points(f, ref, first);
        kc_end();
    }
}
