/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/kcheck/quant.c: quantised weights: quant and dequant equal to the scalar ones to the
 * bit, mul and pack + gemm within the condition of the sum, for hostile shapes and bits.
 */
#include "kcheck.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/half.h"
#include "base/mem.h"
#include "kern/quant.h"

/* ---- weights ---- */

/* Where a block keeps its F16 numbers (ggml-common.h), so that random bytes do not make
 * infinities. */
static int half_offsets(enum dtype t, int at[2])
{
    at[0] = at[1] = 0;
    switch (t) {
    case DT_Q4_1:
    case DT_Q5_1:
    case DT_Q4_K:
    case DT_Q5_K: at[1] = 2; return 2;
    case DT_Q2_K: at[0] = 80, at[1] = 82; return 2;
    case DT_Q3_K: at[0] = 108; return 1;
    case DT_Q6_K: at[0] = 208; return 1;
    case DT_TQ1_0: at[0] = 52; return 1;
    case DT_TQ2_0: at[0] = 64; return 1;
    case DT_MXFP4:
    case DT_NVFP4:
    case DT_IQ1_M: return 0; /* E8M0, E4M3; an F16 in four nibbles */
    default: return 1;
    }
}

enum { BITS_RANDOM, BITS_ZERO, BITS_ONE, BITS_ALTERNATE, BITS_KINDS };

/* A block of bits of some kind with scales of some kind: ordinary, tiny (subnormal F16), or
 * large. */
static void fill_block(enum dtype t, uint8_t *b, int bits, int scales)
{
    int at[2], n = half_offsets(t, at);
    size_t size = dtype_info(t).bytes;
    for (size_t i = 0; i < size; i++)
        b[i] = bits == BITS_RANDOM ? (uint8_t)kc_random(256)
               : bits == BITS_ZERO ? 0
               : bits == BITS_ONE  ? 0xff
                                   : (uint8_t)(i & 1 ? 0xff : 0);
    for (int i = 0; i < n; i++) {
        float v = ((float)rng_uniform(kc_rng()) - 0.5f) * (scales == 0   ? 0.1f
                                                           : scales == 1 ? 0x1p-16f
                                                                         : 60000.0f);
        uint16_t h = half_from_f32(v);
        memcpy(b + at[i], &h, 2);
    }
    if (t == DT_IQ1_M) /* below 1: the exponent's upper bit away */
        b[55] &= 0xbf;
    if (t == DT_MXFP4)
        b[0] = (uint8_t)(scales == 0 ? 118 + kc_random(14) : scales == 1 ? kc_random(8) : 150);
}

struct matrix {
    enum dtype t;
    size_t k, rows, stride;
    uint8_t *w; /* rows * stride, the last row without what follows its blocks */
};

static size_t row_bytes(enum dtype t, size_t k)
{
    return k / dtype_info(t).block * dtype_info(t).bytes;
}

static struct matrix matrix_new(enum dtype t, size_t k, size_t rows, size_t gap, int bits,
                                int scales)
{
    size_t row = row_bytes(t, k);
    struct matrix m = {t, k, rows, row + gap, NULL};
    m.w = kc_alloc(rows ? (rows - 1) * m.stride + row : 0, 1);
    for (size_t r = 0; r < rows; r++) {
        for (size_t i = 0; i < row; i += dtype_info(t).bytes)
            fill_block(t, m.w + r * m.stride + i, bits, scales);
        if (r + 1 < rows) memset(m.w + r * m.stride + row, 0xff, gap);
    }
    return m;
}

/* ---- activations ---- */

struct acts {
    enum kern_act kind;
    size_t k, n, stride;
    uint8_t *a;
};

static struct acts acts_new(const struct kern *ref, enum kern_act kind, size_t k, size_t n,
                            int fill)
{
    struct acts a = {kind, k, n, act_bytes(kind, k) + 64 * kc_random(2), NULL};
    a.a = kc_alloc(n ? (n - 1) * a.stride + act_bytes(kind, k) : 0, 64);
    float *x = mem_alloc(4 * k + 4);
    for (size_t i = 0; i < n; i++) {
        kc_fill(fill, x, k);
        ref->quant[kind](k, x, a.a + i * a.stride);
    }
    mem_free(x);
    return a;
}

/* ---- what is right ---- */

/* The sum in double, and its condition: what |error| may be measured with. */
static void product(const struct matrix *m, size_t r, const struct acts *a, size_t i, double *sum,
                    double *size)
{
    struct quant_form f = quant_form(m->t);
    struct quant_block b;
    const int8_t *q = (const int8_t *)(a->a + i * a->stride);
    const float *d = (const float *)(const void *)(q + act_scale_at(a->kind, a->k));
    *sum = *size = 0;
    for (size_t e = 0; e < m->k; e += f.block) {
        f.decode(m->w + r * m->stride + e / f.block * f.bytes, &b);
        for (size_t j = 0; j < f.block; j++) {
            size_t g = j / f.group;
            double x = (double)q[act_at(a->kind, e + j)] *
                       (double)d[(e + j) / (a->kind == ACT_Q8_32 ? 32 : 256)];
            double w = (double)b.scale[g] * b.q[j], min = f.has_min ? (double)b.min[g] : 0;
            *sum += (w - min) * x;
            *size += (fabs(w) + fabs(min)) * fabs(x);
        }
    }
}

static const float untouched = -12345.678f;

static float *out_new(size_t rows, size_t acts, size_t ostride)
{
    float *out = kc_alloc(4 * (acts ? (acts - 1) * ostride + rows : 0), 4);
    for (size_t i = 0; acts && i < (acts - 1) * ostride + rows; i++) out[i] = untouched;
    return out;
}

static void compare(const struct matrix *m, const struct acts *a, const float *out, size_t ostride)
{
    for (size_t i = 0; i < a->n && !kc_failed(); i++) {
        for (size_t r = 0; r < m->rows; r++) {
            double want, size, got = (double)out[i * ostride + r];
            product(m, r, a, i, &want, &size);
            kc_expect(fabs(got - want) <= 24 * KC_EPS * size + 1e-37,
                      "k %zu rows %zu acts %zu: row %zu act %zu is %.9g, not %.9g +- %.3g", m->k,
                      m->rows, a->n, r, i, got, want, 24 * KC_EPS * size);
        }
        for (size_t r = m->rows; i + 1 < a->n && r < ostride; r++)
            kc_expect(out[i * ostride + r] == untouched,
                      "k %zu rows %zu acts %zu: wrote beside row %zu", m->k, m->rows, a->n, r);
    }
}

/* ---- mul and gemm on one case ---- */

struct shape {
    size_t k, rows, acts;
    int bits, scales, fill;
};

static struct shape random_shape(enum dtype t, size_t rows_max)
{
    static const size_t blocks32[] = {1, 2, 3, 5, 8, 16, 17, 33}, blocks256[] = {1, 2, 3, 5};
    size_t block = dtype_info(t).block;
    struct shape s;
    s.k = block <= 128 ? 32 * blocks32[kc_random(8)] : 256 * blocks256[kc_random(4)];
    s.k = (s.k + block - 1) / block * block;
    s.rows = kc_random(rows_max + 1);
    s.acts = kc_random(4) ? kc_random(9) : kc_random(40);
    s.bits = (int)kc_random(BITS_KINDS);
    s.scales = kc_random(4) ? 0 : (int)kc_random(3);
    s.fill = (int)kc_random(KC_FILLS);
    return s;
}

static void check_mul(const struct kc_level *level, enum dtype t, struct shape s)
{
    const struct kern_type *kt = &level->now->type[t];
    struct matrix m = matrix_new(t, s.k, s.rows, kc_random(2) * kc_random(64), s.bits, s.scales);
    struct acts a = acts_new(level->ref, kt->act, s.k, s.acts, s.fill);
    size_t ostride = s.rows + kc_random(3);
    float *out = out_new(s.rows, s.acts, ostride);
    kt->mul(s.k, m.w, m.stride, s.rows, a.a, a.stride, s.acts, out, ostride);
    compare(&m, &a, out, ostride);
    kc_free(out);
    kc_free(a.a);
    kc_free(m.w);
}

static void check_gemm(const struct kc_level *level, enum dtype t, struct shape s)
{
    const struct kern_type *kt = &level->now->type[t];
    struct matrix m = matrix_new(t, s.k, s.rows, kc_random(2) * kc_random(64), s.bits, s.scales);
    struct acts a = acts_new(level->ref, kt->act, s.k, s.acts, s.fill);
    size_t ostride = s.rows + kc_random(3);
    float *out = out_new(s.rows, s.acts, ostride);
    void *panel = kc_alloc(kt->panel_bytes(s.k), 64);
    memset(panel, 0xff, kt->panel_bytes(s.k));
    kt->pack(s.k, m.w, m.stride, s.rows, panel);
    kt->gemm(s.k, panel, s.rows, a.a, a.stride, s.acts, out, ostride);
    compare(&m, &a, out, ostride);
    kc_free(panel);
    kc_free(out);
    kc_free(a.a);
    kc_free(m.w);
}

static void check_dequant(const struct kc_level *level, enum dtype t, struct shape s)
{
    struct matrix m = matrix_new(t, s.k, 1, 0, s.bits, s.scales);
    float *got = kc_alloc(4 * s.k, 4), *want = kc_alloc(4 * s.k, 4);
    level->now->type[t].dequant(s.k, m.w, got);
    level->ref->type[t].dequant(s.k, m.w, want);
    for (size_t i = 0; i < s.k; i++)
        kc_expect(bits_f32(got[i]) == bits_f32(want[i]), "k %zu: value %zu is %.9g, not %.9g", s.k,
                  i, (double)got[i], (double)want[i]);
    kc_free(got);
    kc_free(want);
    kc_free(m.w);
}

static void check_quant(const struct kc_level *level, enum kern_act kind, size_t k, int fill)
{
    float *x = kc_alloc(4 * k, 4);
    uint8_t *got = kc_alloc(act_bytes(kind, k), 64), *want = kc_alloc(act_bytes(kind, k), 64);
    size_t padded = act_padded(kind, k), group = kind == ACT_Q8_32 ? 32 : 256;
    size_t d = act_scale_at(kind, k), s = act_sum_at(kind, k);
    kc_fill(fill, x, k);
    level->now->quant[kind](k, x, got);
    level->ref->quant[kind](k, x, want);
    kc_expect(!memcmp(got, want, padded), "k %zu, %s: numbers differ", k, kc_fill_name(fill));
    kc_expect(!memcmp(got + d, want + d, 4 * (padded / group)), "k %zu, %s: scales differ", k,
              kc_fill_name(fill));
    kc_expect(!memcmp(got + s, want + s, kind == ACT_Q8_32 ? padded / 8 : k / 8),
              "k %zu, %s: sums differ", k, kc_fill_name(fill));
    if (kind == ACT_Q8_32)
        kc_expect(!memcmp(got + act_part_at(k), want + act_part_at(k), padded / 2),
                  "k %zu, %s: parts of sums differ", k, kc_fill_name(fill));
    else
        kc_expect(!memcmp(got + act_sum32_at(k), want + act_sum32_at(k), k / 16) &&
                      !memcmp(got + act_start_at(k), want + act_start_at(k), k / 4),
                  "k %zu, %s: other sums differ", k, kc_fill_name(fill));
    kc_free(x);
    kc_free(got);
    kc_free(want);
}

/* ---- time ---- */

/* Small batches are timed on PIECES parts of a matrix that no cache holds, one after another. */
enum { BENCH_K = 2048, DRAM_BYTES = 256 << 20, PIECES = 64, THREADS_MAX = 64 };

struct timing {
    const struct kern_type *kt;
    size_t rows, stride, acts, astride, piece[THREADS_MAX];
    uint8_t *w, *act;
    float *out;
    void *panel[THREADS_MAX];
};

/* The rows of this thread in the piece whose turn it is. */
static size_t next_piece(struct timing *t, int thread, int threads, size_t *rows)
{
    size_t piece = t->rows / PIECES, at = t->piece[thread]++ % PIECES * piece;
    size_t from = piece * (size_t)thread / (size_t)threads;
    *rows = piece * (size_t)(thread + 1) / (size_t)threads - from;
    return at + from;
}

static void run_mul(void *ctx, int thread, int threads)
{
    struct timing *t = ctx;
    size_t n, r = next_piece(t, thread, threads, &n);
    t->kt->mul(BENCH_K, t->w + r * t->stride, t->stride, n, t->act, t->astride, t->acts, t->out + r,
               t->rows);
}

/* The same few rows again and again: what the instructions cost when memory costs nothing. */
enum { CACHED_ROWS = 256 };

static void run_mul_cached(void *ctx, int thread, int threads)
{
    struct timing *t = ctx;
    (void)threads;
    t->kt->mul(BENCH_K, t->w + (size_t)thread * CACHED_ROWS * t->stride, t->stride, CACHED_ROWS,
               t->act, t->astride, t->acts, t->out + (size_t)thread * CACHED_ROWS, t->rows);
}

/* Panels one after another, each packed and used for all activations. */
static void run_gemm(void *ctx, int thread, int threads)
{
    struct timing *t = ctx;
    size_t panel = t->kt->panel_rows, left, r = next_piece(t, thread, threads, &left);
    for (size_t n; left; left -= n, r += n) {
        n = left < panel ? left : panel;
        t->kt->pack(BENCH_K, t->w + r * t->stride, t->stride, n, t->panel[thread]);
        t->kt->gemm(BENCH_K, t->panel[thread], n, t->act, t->astride, t->acts, t->out + r, t->rows);
    }
}

enum { PANELS = 4 }; /* a run of the parts alone */

static void run_pack(void *ctx, int thread, int threads)
{
    struct timing *t = ctx;
    (void)threads;
    for (size_t p = 0; p < PANELS; p++)
        t->kt->pack(BENCH_K, t->w + p * t->kt->panel_rows * t->stride, t->stride, t->kt->panel_rows,
                    t->panel[thread]);
}

static void run_gemm_only(void *ctx, int thread, int threads)
{
    struct timing *t = ctx;
    (void)threads;
    t->kt->gemm(BENCH_K, t->panel[thread], t->kt->panel_rows, t->act, t->astride, t->acts,
                t->out + (size_t)thread * t->kt->panel_rows, t->rows);
}

static struct timing timing_new(const struct kern *ref, const struct kern_type *kt, enum dtype t,
                                size_t bytes, size_t acts)
{
    struct timing b = {.kt = kt, .stride = row_bytes(t, BENCH_K), .acts = acts};
    b.rows = bytes / b.stride / (64 * PIECES) * (64 * PIECES);
    struct matrix m = matrix_new(t, BENCH_K, b.rows, 0, BITS_RANDOM, 0);
    struct acts a = acts_new(ref, kt->act, BENCH_K, acts, 0);
    b.w = m.w;
    b.act = a.a;
    b.astride = a.stride;
    b.out = kc_alloc(4 * b.rows * acts, 64);
    for (int i = 0; kt->pack && i < kc_threads(); i++) {
        b.panel[i] = kc_alloc(kt->panel_bytes(BENCH_K), 64);
        kt->pack(BENCH_K, b.w, b.stride, kt->panel_rows, b.panel[i]);
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

/* Small batches from memory: what decoding and the choice of gemm_from see. */
static void bench_mul(const struct kern *ref, const struct kern_type *kt, enum dtype t)
{
    static const size_t acts[] = {1, 2, 3, 4, 5, 6, 8, 12, 16};
    struct timing b = timing_new(ref, kt, t, DRAM_BYTES, 32);
    for (size_t i = 0; i < sizeof acts / sizeof *acts; i++) {
        char what[64];
        double rows = (double)(b.rows / PIECES), bytes = rows * (double)b.stride;
        double ops = 2.0 * BENCH_K * rows * (double)acts[i];
        b.acts = acts[i];
        snprintf(what, sizeof what, "mul, %zu at once", acts[i]);
        double ns = kc_time(what, run_mul, &b, bytes, ops, 0);
        snprintf(what, sizeof what, "pack + gemm, %zu at once", acts[i]);
        if (kt->pack && acts[i] > 1) kc_time(what, run_gemm, &b, bytes, ops, ns);
    }
    double rows = (double)CACHED_ROWS * kc_threads();
    for (b.acts = 1; b.acts <= 4; b.acts += 3)
        kc_time(b.acts == 1 ? "mul, 1, from cache" : "mul, 4, from cache", run_mul_cached, &b,
                rows * (double)b.stride, 2.0 * BENCH_K * rows * (double)b.acts, 0);
    timing_free(&b);
}

static void bench_gemm(const struct kern *ref, const struct kern_type *kt, enum dtype t)
{
    struct timing b = timing_new(ref, kt, t, 64 * PIECES * row_bytes(t, BENCH_K), 512);
    double panel = (double)kt->panel_rows * kc_threads(), ops = 2.0 * BENCH_K * 512;
    kc_time("gemm alone, 512 at once", run_gemm_only, &b, 0, ops * panel, 0);
    kc_time("pack alone", run_pack, &b, panel * PANELS * (double)b.stride, panel * PANELS * BENCH_K,
            0);
    kc_time("pack + gemm, 512 at once", run_gemm, &b, 0, ops * 64, 0);
    timing_free(&b);
}

struct quant_timing {
    kern_quant_fn *fn;
    float x[BENCH_K];
    uint8_t *row;
};

static void run_quant(void *ctx, int thread, int threads)
{
    struct quant_timing *t = ctx;
    (void)threads;
    for (int i = 0; thread == 0 && i < 64; i++) t->fn(BENCH_K, t->x, t->row);
}

static void bench_quant(const struct kc_level *level, enum kern_act kind)
{
    struct quant_timing t = {.fn = level->ref->quant[kind],
                             .row = kc_alloc(act_bytes(kind, BENCH_K), 64)};
    kc_fill(0, t.x, BENCH_K);
    double base = kc_time("64 rows of 2048, scalar", run_quant, &t, 64 * 4 * BENCH_K, 0, 0);
    t.fn = level->now->quant[kind];
    kc_time("64 rows of 2048", run_quant, &t, 64 * 4 * BENCH_K, 0, base);
    kc_free(t.row);
}

/* ---- the family ---- */

static const char *const act_name[ACT_COUNT] = {"f32", "q8_32", "q8_256"};

static void quant_type(const struct kc_level *level, enum dtype t)
{
    const struct kern_type *now = &level->now->type[t], *below = &level->below->type[t];
    const char *name = dtype_info(t).name;
    if (now->dequant != below->dequant && kc_begin("dequant_%s", name)) {
        for (int i = 0; i < 60 && !kc_failed(); i++) check_dequant(level, t, random_shape(t, 1));
        kc_end();
    }
    /* Each type at each level, also the specification and what runs by it where a type has no body of its own. */
    if ((now->mul != below->mul || now->mul == level->ref->type[t].mul) && kc_begin("mul_%s", name)) {
        for (int i = 0; i < 150 && !kc_failed(); i++) check_mul(level, t, random_shape(t, 20));
        if (kc_bench() && now->mul != level->ref->type[t].mul) bench_mul(level->ref, now, t);
        kc_end();
    }
    if (now->gemm != below->gemm && kc_begin("gemm_%s", name)) {
        kc_expect(now->pack && now->panel_bytes && now->panel_rows && now->gemm_from,
                  "half a panel form");
        for (int i = 0; i < 150 && !kc_failed(); i++)
            check_gemm(level, t, random_shape(t, now->panel_rows));
        if (kc_bench()) bench_gemm(level->ref, now, t);
        kc_end();
    }
}

void kc_quant(const struct kc_level *level)
{
    for (enum kern_act kind = ACT_Q8_32; kind < ACT_COUNT; kind++)
        if (level->now->quant[kind] != level->below->quant[kind] &&
            kc_begin("quant_%s", act_name[kind])) {
            for (int fill = 0; fill < KC_FILLS; fill++)
                for (size_t k = 256; k <= 256 * 5; k += 256) check_quant(level, kind, k, fill);
            for (size_t k = 32; kind == ACT_Q8_32 && k < 400; k += 32)
                check_quant(level, kind, k, 0);
            if (kc_bench()) bench_quant(level, kind);
            kc_end();
        }
    for (uint32_t t = 0; t < DTYPE_COUNT; t++)
        if (quant_form((enum dtype)t).decode) quant_type(level, (enum dtype)t);
}
