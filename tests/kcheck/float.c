/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/kcheck/float.c: weights that are floats in the file (F32, F16, BF16): dequant and the
 * copy of activations to the bit, mul and pack + gemm within the condition of the sum.
 */
#include "kcheck.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/half.h"

static const float untouched = -12345.678f;

enum { WEIGHT_ORDINARY, WEIGHT_BITS, WEIGHT_ZERO, WEIGHT_KINDS };

/* One element: an ordinary number, or any bits that make a finite one, not so large that sums
 * overflow. */
static void weight(enum dtype t, int kind, uint8_t *at)
{
    float v = ((float)rng_uniform(kc_rng()) - 0.5f) * 0.1f;
    if (kind == WEIGHT_ZERO) v = 0;
    uint16_t h = t == DT_F16 ? half_from_f32(v) : bf16_from_f32(v);
    if (kind == WEIGHT_BITS) {
        h = (uint16_t)rng_u64(kc_rng());
        if (t == DT_F16 && (h & 0x7c00) == 0x7c00) h &= 0x83ff; /* infinity, NaN: now subnormal */
        if (t != DT_F16 && (h & 0x7f80) > 0x4f00) h &= 0xbfff; /* below 2^32 */
        v = bf16_to_f32(h) * 1.00390625f;
    }
    if (t == DT_F32)
        memcpy(at, &v, 4);
    else
        memcpy(at, &h, 2);
}

static double value(enum dtype t, const uint8_t *row, size_t i)
{
    float v;
    uint16_t h;
    if (t == DT_F32) {
        memcpy(&v, row + 4 * i, 4);
        return (double)v;
    }
    memcpy(&h, row + 2 * i, 2);
    return (double)(t == DT_F16 ? half_to_f32(h) : bf16_to_f32(h));
}

/* ---- one product ---- */

struct problem {
    enum dtype t;
    size_t k, rows, acts, wstride, astride, ostride;
    uint8_t *w, *act;
    float *out;
};

static size_t pick(const size_t *list, size_t n) { return list[kc_random(n)]; }

static struct problem problem_new(enum dtype t, size_t rows_max)
{
    static const size_t ks[] = {0,  1,  2,   3,   7,   8,   15,  16,  17,  20,  31,  32,   33,  48,
                                64, 80, 100, 127, 128, 129, 255, 256, 257, 511, 768, 1000, 2049};
    struct problem p = {.t = t, .k = pick(ks, sizeof ks / sizeof *ks)};
    size_t esize = dtype_info(t).bytes;
    p.rows = kc_random(rows_max + 1);
    p.acts = kc_random(4) ? kc_random(10) : kc_random(40);
    p.wstride = p.k * esize + kc_random(2) * kc_random(64); /* any alignment */
    p.astride = act_bytes(ACT_F32, p.k) + 64 * kc_random(2);
    p.ostride = p.rows + kc_random(3);
    p.w = kc_alloc(p.rows ? (p.rows - 1) * p.wstride + p.k * esize : 0, 1);
    p.act = kc_alloc(p.acts ? (p.acts - 1) * p.astride + 4 * p.k : 0, 4);
    int kind = (int)kc_random(WEIGHT_KINDS), fill = (int)kc_random(KC_FILLS);
    for (size_t r = 0; r < p.rows; r++)
        for (size_t i = 0; i < p.k; i++) weight(t, kind, p.w + r * p.wstride + i * esize);
    for (size_t a = 0; a < p.acts; a++) {
        uint8_t *row = p.act + a * p.astride;
        float x[4096];
        kc_fill(fill, x, p.k);
        if (p.k) memcpy(row, x, 4 * p.k);
        if (a + 1 < p.acts) memset(row + 4 * p.k, 0xff, p.astride - 4 * p.k); /* NaN */
    }
    size_t nout = p.acts ? (p.acts - 1) * p.ostride + p.rows : 0;
    p.out = kc_alloc(4 * nout, 4);
    for (size_t i = 0; i < nout; i++) p.out[i] = untouched;
    return p;
}

static void problem_free(struct problem *p)
{
    kc_free(p->w);
    kc_free(p->act);
    kc_free(p->out);
}

static void compare(const struct problem *p)
{
    for (size_t a = 0; a < p->acts && !kc_failed(); a++) {
        const uint8_t *x = p->act + a * p->astride;
        for (size_t r = 0; r < p->rows; r++) {
            double want = 0, size = 0, got = (double)p->out[a * p->ostride + r];
            for (size_t i = 0; i < p->k; i++) {
                double term = value(p->t, p->w + r * p->wstride, i) * value(DT_F32, x, i);
                want += term;
                size += fabs(term);
            }
            double tolerance = kc_drift(p->k) * KC_EPS * size + 1e-37;
            kc_expect(fabs(got - want) <= tolerance,
                      "k %zu rows %zu acts %zu: row %zu act %zu is %.9g, not %.9g +- %.3g", p->k,
                      p->rows, p->acts, r, a, got, want, tolerance);
        }
        for (size_t r = p->rows; a + 1 < p->acts && r < p->ostride; r++)
            kc_expect(p->out[a * p->ostride + r] == untouched,
                      "k %zu rows %zu acts %zu: wrote beside row %zu", p->k, p->rows, p->acts, r);
    }
}

static void check_mul(const struct kern_type *kt, enum dtype t)
{
    struct problem p = problem_new(t, 30);
    kt->mul(p.k, p.w, p.wstride, p.rows, p.act, p.astride, p.acts, p.out, p.ostride);
    compare(&p);
    problem_free(&p);
}

static void check_gemm(const struct kern_type *kt, enum dtype t)
{
    struct problem p = problem_new(t, kt->panel_rows);
    void *panel = kc_alloc(kt->panel_bytes(p.k), 64);
    memset(panel, 0xff, kt->panel_bytes(p.k));
    kt->pack(p.k, p.w, p.wstride, p.rows, panel);
    kt->gemm(p.k, panel, p.rows, p.act, p.astride, p.acts, p.out, p.ostride);
    compare(&p);
    problem_free(&p);
    kc_free(panel);
}

/* A long row of one sign, where a float sum of all terms one after another would drift by
 * hundreds of units. */
static void check_long(const struct kern_type *kt, int gemm)
{
    enum { K = 16384, ROWS = 3, ACTS = 2 };
    size_t stride = 4 * K;
    float *w = kc_alloc(stride * ROWS, 64), *x = kc_alloc(stride * ACTS, 64), out[ROWS * ACTS];
    for (size_t i = 0; i < K * ROWS; i++) w[i] = 1 + (float)rng_uniform(kc_rng());
    for (size_t i = 0; i < K * ACTS; i++) x[i] = 1 + (float)rng_uniform(kc_rng());
    if (gemm) {
        void *panel = kc_alloc(kt->panel_bytes(K), 64);
        kt->pack(K, w, stride, ROWS, panel);
        kt->gemm(K, panel, ROWS, x, stride, ACTS, out, ROWS);
        kc_free(panel);
    } else {
        kt->mul(K, w, stride, ROWS, x, stride, ACTS, out, ROWS);
    }
    for (size_t a = 0; a < ACTS; a++)
        for (size_t r = 0; r < ROWS; r++) {
            double want = 0, got = (double)out[a * ROWS + r];
            for (size_t i = 0; i < K; i++) want += (double)w[r * K + i] * (double)x[a * K + i];
            kc_expect(fabs(got / want - 1) < 1e-6, "16384 terms: %.9g, not %.9g", got, want);
        }
    kc_free(w);
    kc_free(x);
}

static void check_dequant(const struct kc_level *level, enum dtype t)
{
    size_t k = kc_random(70), esize = dtype_info(t).bytes;
    uint8_t *w = kc_alloc(k * esize, 1);
    float *got = kc_alloc(4 * k, 4), *want = kc_alloc(4 * k, 4);
    for (size_t i = 0; i < k; i++) weight(t, (int)kc_random(2), w + i * esize);
    level->now->type[t].dequant(k, w, got);
    level->ref->type[t].dequant(k, w, want);
    kc_expect(!memcmp(got, want, 4 * k), "k %zu: values differ", k);
    kc_free(w);
    kc_free(got);
    kc_free(want);
}

/* ---- time ---- */

enum { DRAM_BYTES = 128 << 20, WINDOW_BYTES = 2 << 20, THREADS_MAX = 64 };

/* A run goes over `rows` rows from `at` on; the next over those behind them, so that weights come
 * from memory each time although a run is short. */
struct timing {
    const struct kern_type *kt;
    size_t k, rows, all, at, stride, acts, astride;
    uint8_t *w, *act;
    float *out;
    void *panel[THREADS_MAX];
};

static size_t part(size_t rows, int thread, int threads)
{
    return rows / 64 * (size_t)thread / (size_t)threads * 64;
}

static void next_window(struct timing *t, int thread)
{
    if (thread) return;
    t->at = t->at + 2 * t->rows > t->all ? 0 : t->at + t->rows;
}

static void run_mul(void *ctx, int thread, int threads)
{
    struct timing *t = ctx;
    size_t from = part(t->rows, thread, threads), to = part(t->rows, thread + 1, threads);
    t->kt->mul(t->k, t->w + (t->at + from) * t->stride, t->stride, to - from, t->act, t->astride,
               t->acts, t->out + from, t->rows);
    next_window(t, thread);
}

static void run_gemm(void *ctx, int thread, int threads)
{
    struct timing *t = ctx;
    size_t to = part(t->rows, thread + 1, threads), panel = t->kt->panel_rows;
    for (size_t r = part(t->rows, thread, threads); r < to; r += panel) {
        size_t n = to - r < panel ? to - r : panel;
        t->kt->pack(t->k, t->w + (t->at + r) * t->stride, t->stride, n, t->panel[thread]);
        t->kt->gemm(t->k, t->panel[thread], n, t->act, t->astride, t->acts, t->out + r, t->rows);
    }
    next_window(t, thread);
}

/* The panel of this thread stays as it is: the micro-kernel alone. */
static void run_gemm_only(void *ctx, int thread, int threads)
{
    struct timing *t = ctx;
    (void)threads;
    t->kt->gemm(t->k, t->panel[thread], t->kt->panel_rows, t->act, t->astride, t->acts,
                t->out + (size_t)thread * t->kt->panel_rows, t->rows);
}

static struct timing timing_new(const struct kern_type *kt, enum dtype t, size_t k, size_t bytes,
                                size_t rows, size_t acts)
{
    struct timing b = {.kt = kt, .k = k, .stride = k * dtype_info(t).bytes, .acts = acts};
    b.rows = rows;
    b.all = (bytes / b.stride + 63) / 64 * 64;
    if (b.all < rows) b.all = rows;
    b.astride = act_bytes(ACT_F32, k);
    b.w = kc_alloc(b.all * b.stride, 64);
    for (size_t i = 0; i < b.stride; i += dtype_info(t).bytes) weight(t, 0, b.w + i);
    for (size_t r = 1; r < b.all; r++) memcpy(b.w + r * b.stride, b.w, b.stride);
    b.act = kc_alloc(acts * b.astride, 64);
    kc_fill(0, (float *)(void *)b.act, acts * b.astride / 4);
    b.out = kc_alloc(4 * b.rows * acts, 64);
    for (int i = 0; kt->pack && i < kc_threads(); i++) {
        b.panel[i] = kc_alloc(kt->panel_bytes(k), 64);
        kt->pack(k, b.w, b.stride, kt->panel_rows, b.panel[i]);
    }
    return b;
}

static void timing_free(struct timing *b)
{
    kc_free(b->w);
    kc_free(b->act);
    kc_free(b->out);
    for (int i = 0; b->kt->pack && i < kc_threads(); i++) kc_free(b->panel[i]);
}

static void bench_mul(const struct kern_type *kt, enum dtype t, size_t k)
{
    static const size_t acts[] = {1, 2, 4, 8, 16, 32, 64, 128, 256, 512};
    size_t rows = WINDOW_BYTES / (k * dtype_info(t).bytes) / 64 * 64;
    struct timing b = timing_new(kt, t, k, DRAM_BYTES, rows, 512);
    double bytes = (double)(b.rows * b.stride);
    for (size_t i = 0; i < sizeof acts / sizeof *acts; i++) {
        char what[64];
        double ops = 2.0 * (double)k * (double)(b.rows * acts[i]);
        b.acts = acts[i];
        snprintf(what, sizeof what, "k %zu, mul, %zu at once", k, acts[i]);
        double ns = kc_time(what, run_mul, &b, bytes, ops, 0);
        snprintf(what, sizeof what, "k %zu, gemm, %zu at once", k, acts[i]);
        if (kt->pack && acts[i] > 1) kc_time(what, run_gemm, &b, bytes, ops, ns);
    }
    timing_free(&b);
}

static void bench_gemm(const struct kern_type *kt, enum dtype t, size_t k)
{
    char what[64];
    size_t rows = kt->panel_rows * (size_t)kc_threads();
    struct timing b = timing_new(kt, t, k, 16 << 20, rows, 512);
    double ops = 2.0 * (double)k * (double)(b.rows * b.acts);
    snprintf(what, sizeof what, "k %zu, gemm alone, 512", k);
    kc_time(what, run_gemm_only, &b, 0, ops, 0);
    snprintf(what, sizeof what, "k %zu, pack + gemm, 512", k);
    kc_time(what, run_gemm, &b, 0, ops, 0);
    timing_free(&b);
}

/* ---- the family ---- */

static void float_type(const struct kc_level *level, enum dtype t)
{
    const struct kern_type *now = &level->now->type[t], *below = &level->below->type[t];
    const char *name = dtype_info(t).name;
    int first = !strcmp(level->name, "c");
    if ((first || now->dequant != below->dequant) && kc_begin("dequant_%s", name)) {
        for (int i = 0; i < 100 && !kc_failed(); i++) check_dequant(level, t);
        kc_end();
    }
    if ((first || now->mul != below->mul) && kc_begin("mul_%s", name)) {
        for (int i = 0; i < 400 && !kc_failed(); i++) check_mul(now, t);
        if (t == DT_F32) check_long(now, 0);
        if (kc_bench() && !first) {
            bench_mul(now, t, 1024);
            bench_mul(now, t, 3072);
        }
        kc_end();
    }
    if (now->gemm != below->gemm && kc_begin("gemm_%s", name)) {
        kc_expect(now->pack && now->panel_bytes && now->panel_rows && now->gemm_from,
                  "half a panel form");
        for (int i = 0; i < 400 && !kc_failed(); i++) check_gemm(now, t);
        if (t == DT_F32) check_long(now, 1);
        if (kc_bench()) {
            bench_gemm(now, t, 1024);
            bench_gemm(now, t, 3072);
        }
        kc_end();
    }
}

void kc_float(const struct kc_level *level)
{
    if (level->now->quant[ACT_F32] != level->below->quant[ACT_F32] && kc_begin("quant_f32")) {
        float x[65], *row = kc_alloc(4 * 65, 64);
        kc_fill(0, x, 65);
        level->now->quant[ACT_F32](65, x, row);
        kc_expect(!memcmp(x, row, sizeof x), "the copy differs");
        kc_free(row);
        kc_end();
    }
    float_type(level, DT_F32);
    float_type(level, DT_F16);
    float_type(level, DT_BF16);
}
