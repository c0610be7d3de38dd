/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/kcheck/row.c: softmax, gates, norms, axpy, argmax and rotary embedding. What is exact is
 * compared to the bit; what is not, with the formula in double; and an element's result must not
 * depend on where it stands.
 */
#include "kcheck.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define TINY 2e-38 /* below the smallest normal float a level may give zero */

static float *row_new(int fill, size_t n)
{
    float *x = kc_alloc(4 * n, 4);
    kc_fill(fill, x, n);
    return x;
}

static void near(const char *what, size_t n, size_t i, float got, double want, double tolerance)
{
    kc_expect(fabs((double)got - want) <= tolerance || (double)got == want,
              "%s, n %zu: [%zu] is %.9g, not %.9g +- %.3g", what, n, i, (double)got, want,
              tolerance);
}

/* ---- softmax ---- */

static void scores(float *s, size_t n, int kind)
{
    kc_fill(kind < KC_FILLS ? kind : 0, s, n);
    for (size_t j = 0; j < n; j++) {
        if (kind < KC_FILLS) s[j] *= 10;
        if (kind == KC_FILLS && kc_random(2)) s[j] = -INFINITY;
        if (kind == KC_FILLS + 1) s[j] = -INFINITY;
        if (kind == KC_FILLS + 2) s[j] = -(float)j * 1.5f;
    }
}

static void check_softmax(kern_softmax_fn *fn, size_t n, int kind, float m0)
{
    float *s = kc_alloc(4 * n, 4), *x = kc_alloc(4 * n, 4), m = m0, l = m0 > -INFINITY ? 3.5f : 0;
    scores(s, n, kind);
    double top = (double)m0, sum = 0, l0 = (double)l;
    for (size_t j = 0; j < n; j++) {
        x[j] = s[j];
        top = fmax(top, (double)s[j]);
    }
    double factor = isfinite(top) ? exp((double)m0 - top) : 1;
    float got = fn(n, s, &m, &l);
    for (size_t j = 0; j < n; j++) {
        double want = isfinite(top) ? exp((double)x[j] - top) : 0;
        /* the difference is rounded once before the exponential */
        near("softmax", n, j, s[j], want,
             want * (1e-6 + KC_EPS * fabs((double)x[j] - top)) + TINY);
        if (isinf(x[j])) kc_expect(s[j] == 0, "n %zu: a masked score got %g", n, (double)s[j]);
        sum += want;
    }
    near("softmax's factor", n, 0, got, factor,
         factor * (1e-6 + KC_EPS * (fabs((double)m0) < 1e30 ? fabs((double)m0 - top) : 0)) + TINY);
    near("softmax's maximum", n, 0, m, top, 0);
    near("softmax's sum", n, 0, l, l0 * factor + sum, (l0 * factor + sum) * 2e-6 + TINY);
    kc_free(s);
    kc_free(x);
}

/* exp over its whole domain, one by one as the difference to a maximum of 0. */
static void check_exp(kern_softmax_fn *fn)
{
    enum { N = 1024 };
    static float s[N], x[N];
    for (int run = 0; run < 100 && !kc_failed(); run++) {
        float m = 0, l = 1;
        for (int j = 0; j < N; j++)
            s[j] = x[j] = -87.0f * (float)((run * N + j) / 102400.0) * (run & 1 ? 1.0f : 0.02f);
        fn(N, s, &m, &l);
        for (int j = 0; j < N; j++) {
            double want = exp((double)x[j]);
            near("exp", N, (size_t)j, s[j], want, want * 1e-6);
        }
    }
}

/* The same score among others, at every place and row length. */
static void check_softmax_place(kern_softmax_fn *fn)
{
    float first = 0;
    for (size_t n = 1; n <= 40; n++)
        for (size_t at = 0; at < n; at++) {
            float s[40], m = 1.25f, l = 0;
            for (size_t j = 0; j < n; j++) s[j] = -3;
            s[at] = -0.7310585f;
            fn(n, s, &m, &l);
            if (n == 1) first = s[at];
            kc_expect(s[at] == first, "place %zu of %zu: %.9g, elsewhere %.9g", at, n,
                      (double)s[at], (double)first);
        }
}

static void softmax(const struct kc_level *level)
{
    kern_softmax_fn *fn = level->now->softmax;
    static const float starts[] = {-INFINITY, 0, -50, 5, 1e5f, -1e9f};
    for (size_t n = 0; n < 90 && !kc_failed(); n++)
        for (int kind = 0; kind < KC_FILLS + 3; kind++)
            for (int i = 0; i < 6; i++) check_softmax(fn, n, kind, starts[i]);
    check_softmax(fn, 16384, 0, -INFINITY);
    check_exp(fn);
    check_softmax_place(fn);
}

/* ---- gates ---- */

static double gate_of(int kind, double x)
{
    if (kind == 0) return x / (1 + exp(-x));
    if (kind == 1) return 0.5 * x * erfc(-x * sqrt(0.5));
    return x / (1 + exp(-2 * sqrt(2 / acos(-1.0)) * (x + 0.044715 * x * x * x)));
}

static void check_gate(kern_gate_fn *fn, int kind, size_t n, int fill, int with_u, int alias)
{
    float *g = row_new(fill, n), *u = row_new(0, n), *out = kc_alloc(4 * n, 4);
    float *to = alias == 1 ? g : alias == 2 && with_u ? u : out;
    float *g0 = kc_alloc(4 * n, 4), *u0 = kc_alloc(4 * n, 4);
    if (n) memcpy(g0, g, 4 * n);
    if (n) memcpy(u0, u, 4 * n);
    fn(n, g, with_u ? u : NULL, to);
    for (size_t i = 0; i < n; i++) {
        double x = (double)g0[i], w = with_u ? (double)u0[i] : 1;
        /* absolute in x, as 1 + tanh and 1 + erf are in F32; and no worse than 1e-6 above zero */
        double y = gate_of(kind, x), tolerance = (1e-6 * fabs(y) + 1.5e-7 * fabs(x)) * fabs(w);
        near("gate", n, i, to[i], y * w, tolerance + TINY);
    }
    kc_free(g);
    kc_free(u);
    kc_free(out);
    kc_free(g0);
    kc_free(u0);
}

/* Far and near, both signs: a row of values that cross every piece of the approximation. */
static void check_gate_sweep(kern_gate_fn *fn, int kind)
{
    enum { N = 4001 };
    static float g[N], out[N], again[N];
    for (int i = 0; i < N; i++) g[i] = (float)(i - 2000) * 0.06f;
    fn(N, g, NULL, out);
    for (int i = 0; i < N; i++) {
        double x = (double)g[i], y = gate_of(kind, x);
        near("gate sweep", N, (size_t)i, out[i], y, 1e-6 * fabs(y) + 1.2e-7 * fabs(x) + TINY);
    }
    for (int i = 0; i < N; i++) fn(1, g + i, NULL, again + i);
    kc_expect(!memcmp(out, again, sizeof out), "one by one gives other results");
    float far[6] = {1e30f, -1e30f, 3e38f, -3e38f, 200, -200};
    fn(6, far, NULL, far);
    kc_expect(far[0] == 1e30f && far[2] == 3e38f && far[4] == 200, "a large gate is not itself");
    kc_expect(far[1] == 0 && far[3] == 0 && fabsf(far[5]) < 1e-30f, "large negatives are not zero");
    float odd = NAN;
    fn(1, &odd, NULL, &odd);
    kc_expect(odd != odd, "NaN was lost");
}

static void gate(kern_gate_fn *fn, int kind)
{
    for (size_t n = 0; n < 70 && !kc_failed(); n++)
        for (int fill = 0; fill < KC_FILLS; fill++)
            for (int u = 0; u < 2; u++) check_gate(fn, kind, n, fill, u, (int)kc_random(3));
    check_gate_sweep(fn, kind);
}

/* ---- norms ---- */

static void check_rms(kern_rms_fn *fn, size_t n, int fill, int with_w, int alias)
{
    float *x = row_new(fill, n), *w = row_new(0, n), *out = kc_alloc(4 * n, 4);
    float *to = alias ? x : out, *x0 = kc_alloc(4 * n, 4);
    double sum = 0;
    if (n) memcpy(x0, x, 4 * n);
    for (size_t i = 0; i < n; i++) sum += (double)x[i] * (double)x[i];
    double scale = 1 / sqrt(sum / (double)n + (double)1e-6f);
    fn(n, x, with_w ? w : NULL, 1e-6f, to);
    for (size_t i = 0; i < n; i++) {
        double want = (double)x0[i] * scale * (with_w ? (double)w[i] : 1);
        near("rms", n, i, to[i], want, 4 * KC_EPS * fabs(want) + TINY);
    }
    kc_free(x);
    kc_free(w);
    kc_free(out);
    kc_free(x0);
}

static void check_norm(kern_norm_fn *fn, size_t n, int fill, int with_w, int with_b, float shift)
{
    float *x = row_new(fill, n), *w = row_new(0, n), *b = row_new(0, n), *out = kc_alloc(4 * n, 4);
    double sum = 0, squares = 0;
    for (size_t i = 0; i < n; i++) {
        x[i] += shift;
        sum += (double)x[i];
    }
    double mean = sum / (double)n;
    for (size_t i = 0; i < n; i++) squares += pow((double)x[i] - mean, 2);
    double scale = 1 / sqrt(squares / (double)n + (double)1e-5f);
    fn(n, x, with_w ? w : NULL, with_b ? b : NULL, 1e-5f, out);
    for (size_t i = 0; i < n; i++) {
        double y = ((double)x[i] - mean) * scale, wi = with_w ? (double)w[i] : 1;
        double bi = with_b ? (double)b[i] : 0, low = fabs(mean) * 0x1p-48 * scale;
        near("norm", n, i, out[i], y * wi + bi,
             6 * KC_EPS * (fabs(y * wi) + fabs(bi)) + low * fabs(wi) + TINY);
    }
    kc_free(x);
    kc_free(w);
    kc_free(b);
    kc_free(out);
}

/* ---- axpy, argmax, rotary ---- */

static void check_axpy(kern_axpy_fn *fn, size_t n, int fill)
{
    float *x = row_new(fill, n), *y = row_new(0, n), *y0 = kc_alloc(4 * n, 4), a = -0.37f;
    if (n) memcpy(y0, y, 4 * n);
    fn(n, a, x, y);
    for (size_t i = 0; i < n; i++) {
        double ax = (double)a * (double)x[i], want = (double)y0[i] + ax;
        near("axpy", n, i, y[i], want, 2 * KC_EPS * (fabs(ax) + fabs(want)) + TINY);
    }
    kc_free(x);
    kc_free(y);
    kc_free(y0);
}

static void check_argmax(const struct kc_level *level, size_t n, int kind)
{
    float *x = row_new(kind % KC_FILLS, n);
    for (size_t i = 0; i < n && kind >= KC_FILLS; i++) {
        uint64_t roll = kc_random(8);
        if (kind == KC_FILLS) x[i] = roll ? (float)roll : NAN; /* many equals */
        if (kind == KC_FILLS + 1) x[i] = roll ? -INFINITY : NAN;
        if (kind == KC_FILLS + 2) x[i] = kc_random(n) ? -INFINITY : -3e38f;
        if (kind == KC_FILLS + 3) x[i] = roll ? 0.0f : -0.0f;
        if (kind == KC_FILLS + 4) x[i] = kc_random(50) ? 1 : INFINITY;
    }
    size_t want = 0, got = level->now->argmax(n, x);
    for (size_t i = n; i-- > 0;)
        if (x[i] >= x[want] || (isnan(x[want]) && x[i] > -INFINITY)) want = i;
    if (isnan(x[want]) || x[want] == -INFINITY) want = 0;
    kc_expect(got == want, "n %zu, kind %d: %zu, not %zu", n, kind, got, want);
    kc_free(x);
}

static void check_rope(kern_rope_fn *fn, int neox, size_t rot, int fill)
{
    size_t half = rot / 2;
    float *x = row_new(fill, rot), *c = kc_alloc(4 * half, 4), *s = kc_alloc(4 * half, 4), x0[512];
    if (rot) memcpy(x0, x, 4 * rot);
    for (size_t i = 0; i < half; i++) {
        c[i] = cosf((float)i * 1.7f + 0.3f);
        s[i] = sinf((float)i * 1.7f + 0.3f);
    }
    fn(rot, c, s, x);
    for (size_t i = 0; i < half; i++) {
        size_t at = neox ? i : 2 * i, bt = neox ? i + half : 2 * i + 1;
        double a = (double)x0[at], b = (double)x0[bt], cd = (double)c[i], sd = (double)s[i];
        double size = 2 * KC_EPS * (fabs(a) + fabs(b)) + TINY;
        near("rotary", rot, at, x[at], a * cd - b * sd, size);
        near("rotary", rot, bt, x[bt], a * sd + b * cd, size);
    }
    kc_free(x);
    kc_free(c);
    kc_free(s);
}

/* ---- time ---- */

struct timing {
    const struct kern *kern;
    int what;
    size_t n, times;
    float *a, *b, *c;
    size_t sum;
};

static void run(void *ctx, int thread, int threads)
{
    struct timing *t = ctx;
    const struct kern *k = t->kern;
    float m, l;
    if (thread) return;
    (void)threads;
    for (size_t i = 0; i < t->times; i++) switch (t->what) {
        case 0:
            m = -INFINITY, l = 0;
            k->softmax(t->n, t->a + i * t->n % 4096, &m, &l);
            break;
        case 1: k->silu_mul(t->n, t->a, t->b, t->c); break;
        case 2: k->gelu_mul(t->n, t->a, t->b, t->c); break;
        case 3: k->gelu_tanh_mul(t->n, t->a, t->b, t->c); break;
        case 4: k->rms(t->n, t->a, t->b, 1e-6f, t->c); break;
        case 5: k->norm(t->n, t->a, t->b, t->b, 1e-6f, t->c); break;
        case 6: k->axpy(t->n, 1e-3f, t->a, t->c); break;
        case 7: t->sum += k->argmax(t->n, t->a); break;
        case 8: k->rope_norm(t->n, t->b, t->b, t->c); break;
        case 9: k->rope_neox(t->n, t->b, t->b, t->c); break;
        case 10: k->kv_store[KV_F16](t->n, t->a, t->c); break;
        case 11: k->kv_store[KV_Q8_0](t->n, t->a, t->c); break;
        default: break;
        }
}

static void bench(const struct kc_level *level, int what, const char *name, size_t n)
{
    struct timing t = {.kern = level->now, .what = what, .n = n, .times = n < 1000 ? 2000 : 20};
    char label[64];
    size_t room = n + 8192;
    t.a = kc_alloc(4 * room, 64);
    t.b = kc_alloc(4 * room, 64);
    t.c = kc_alloc(4 * room, 64);
    kc_fill(0, t.a, room);
    kc_fill(0, t.b, room);
    kc_fill(0, t.c, room);
    t.kern = level->ref;
    double base = kc_time("scalar", run, &t, 0, 0, 0);
    t.kern = level->now;
    snprintf(label, sizeof label, "%s, n %zu, x %zu", name, n, t.times);
    kc_time(label, run, &t, 4.0 * (double)(n * t.times), (double)(n * t.times), base);
    kc_free(t.a);
    kc_free(t.b);
    kc_free(t.c);
}

/* ---- the family ---- */

/* Opens a case for a member that is new at this level, or at the first. */
#define NEW(member) \
    ((!strcmp(level->name, "c") || level->now->member != level->below->member) && kc_begin(#member))
#define BENCH(what, label, n) \
    if (kc_bench() && strcmp(level->name, "c")) bench(level, what, label, n)

static void norms(const struct kc_level *level)
{
    if (NEW(rms)) {
        for (size_t n = 1; n < 100 && !kc_failed(); n++)
            for (int fill = 0; fill < KC_FILLS; fill++)
                check_rms(level->now->rms, n, fill, (int)kc_random(2), (int)kc_random(2));
        for (int fill = 0; fill < KC_FILLS; fill++) check_rms(level->now->rms, 16384, fill, 1, 0);
        BENCH(4, "rms", 1024);
        kc_end();
    }
    if (NEW(norm)) {
        for (size_t n = 1; n < 100 && !kc_failed(); n++)
            for (int fill = 0; fill < KC_FILLS; fill++)
                check_norm(level->now->norm, n, fill, n & 1, n & 2 ? 1 : 0, n & 4 ? 1000 : 0);
        for (int fill = 0; fill < KC_FILLS; fill++)
            check_norm(level->now->norm, 16384, fill, 1, 1, 10000);
        BENCH(5, "norm", 1024);
        kc_end();
    }
}

static void others(const struct kc_level *level)
{
    if (NEW(axpy)) {
        for (size_t n = 0; n < 100; n++) check_axpy(level->now->axpy, n, (int)(n % KC_FILLS));
        BENCH(6, "axpy", 1024);
        kc_end();
    }
    if (NEW(argmax)) {
        for (size_t n = 1; n < 120 && !kc_failed(); n++)
            for (int kind = 0; kind < KC_FILLS + 5; kind++) check_argmax(level, n, kind);
        for (size_t n = 2000; n < 20000 && !kc_failed(); n += 1777)
            for (int kind = 0; kind < KC_FILLS + 5; kind++) check_argmax(level, n, kind);
        BENCH(7, "argmax", 151936);
        kc_end();
    }
    if (NEW(rope_norm)) {
        for (size_t rot = 0; rot <= 300 && !kc_failed(); rot += 2)
            check_rope(level->now->rope_norm, 0, rot, (int)(rot / 2 % KC_FILLS));
        BENCH(8, "rope", 128);
        kc_end();
    }
    if (NEW(rope_neox)) {
        for (size_t rot = 0; rot <= 300 && !kc_failed(); rot += 2)
            check_rope(level->now->rope_neox, 1, rot, (int)(rot / 2 % KC_FILLS));
        BENCH(9, "rope", 128);
        kc_end();
    }
}

void kc_row(const struct kc_level *level)
{
    if (NEW(softmax)) {
        softmax(level);
        BENCH(0, "softmax", 32);
        BENCH(0, "softmax", 128);
        kc_end();
    }
    if (NEW(silu_mul)) {
        gate(level->now->silu_mul, 0);
        BENCH(1, "silu", 3072);
        kc_end();
    }
    if (NEW(gelu_mul)) {
        gate(level->now->gelu_mul, 1);
        BENCH(2, "gelu", 3072);
        kc_end();
    }
    if (NEW(gelu_tanh_mul)) {
        gate(level->now->gelu_tanh_mul, 2);
        BENCH(3, "gelu", 3072);
        kc_end();
    }
    norms(level);
    others(level);
}
