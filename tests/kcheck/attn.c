/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/kcheck/attn.c: scores and weighted sums over kept rows within the condition of the sum; the
 * kept forms themselves to the bit, and, at the scalar level, as near to the row as they claim.
 */
#include "kcheck.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/half.h"

static const float untouched = -12345.678f;
static const char *const kv_name[KV_COUNT] = {"f32", "f16", "q8_0"};

static double kept(enum kern_kv t, const uint8_t *row, size_t d)
{
    float v;
    uint16_t h;
    if (t == KV_F32) {
        memcpy(&v, row + 4 * d, 4);
        return (double)v;
    }
    if (t == KV_F16) {
        memcpy(&h, row + 2 * d, 2);
        return (double)half_to_f32(h);
    }
    memcpy(&h, row + d / 32 * 34, 2);
    return (double)half_to_f32(h) * (int8_t)row[d / 32 * 34 + 2 + d % 32];
}

/* ---- one call of qk or pv ---- */

struct problem {
    enum kern_kv t;
    size_t hd, nq, npos, row_bytes, in_stride, out_stride;
    uint8_t *rows;
    float *in, *out, *before; /* q or p; s or o; o as it was */
    void *scratch;
};

/* in has `wide` numbers a row, out has `high`. */
static void problem_rows(struct problem *p, size_t wide, size_t high, int fill)
{
    p->in_stride = wide + kc_random(3) * kc_random(40);
    p->out_stride = high + kc_random(3) * kc_random(40);
    p->in = kc_alloc(p->nq ? 4 * ((p->nq - 1) * p->in_stride + wide) : 0, 4);
    size_t n = p->nq ? (p->nq - 1) * p->out_stride + high : 0;
    p->out = kc_alloc(4 * n, 4);
    p->before = kc_alloc(4 * n, 4);
    for (size_t i = 0; i < p->nq; i++) {
        kc_fill(fill, p->in + i * p->in_stride, wide);
        for (size_t j = wide; i + 1 < p->nq && j < p->in_stride; j++)
            p->in[i * p->in_stride + j] = NAN;
    }
    for (size_t i = 0; i < n; i++) p->out[i] = untouched;
    for (size_t i = 0; i < p->nq; i++) kc_fill(0, p->out + i * p->out_stride, high);
    if (n) memcpy(p->before, p->out, 4 * n);
}

static struct problem problem_new(const struct kern *ref, enum kern_kv t, int pv)
{
    static const size_t hds[] = {0,  1,  3,  8,  16, 17,  20,  31, 32,
                                 48, 64, 80, 96, 100, 128, 256, 300};
    static const size_t poss[] = {0, 1, 2, 5, 15, 16, 17, 31, 32, 33, 48, 63, 64, 100, 128, 131};
    struct problem p = {.t = t, .hd = t == KV_Q8_0 ? 32 * kc_random(9) : hds[kc_random(17)]};
    p.npos = poss[kc_random(16)];
    p.nq = kc_random(3) ? kc_random(10) : kc_random(60);
    p.row_bytes = kern_kv_row_bytes(t, p.hd) + kc_random(2) * 2 * kc_random(40);
    p.rows = kc_alloc(p.npos ? (p.npos - 1) * p.row_bytes + kern_kv_row_bytes(t, p.hd) : 0, 2);
    int fill = (int)kc_random(KC_FILLS);
    for (size_t j = 0; j < p.npos; j++) {
        float x[512];
        kc_fill(fill, x, p.hd);
        for (size_t d = 0; d < p.hd; d++) x[d] = fmaxf(fminf(x[d], 60000.0f), -60000.0f);
        ref->kv_store[t](p.hd, x, p.rows + j * p.row_bytes);
    }
    problem_rows(&p, pv ? p.npos : p.hd, pv ? p.hd : p.npos, (int)kc_random(KC_FILLS));
    size_t scratch = kern_attn_scratch(p.hd, p.npos) / 64 * 64;
    p.scratch = kc_alloc(scratch, 64);
    memset(p.scratch, 0xff, scratch);
    return p;
}

static void problem_free(struct problem *p)
{
    kc_free(p->rows);
    kc_free(p->in);
    kc_free(p->out);
    kc_free(p->before);
    kc_free(p->scratch);
}

static void compare(const struct problem *p, int pv)
{
    size_t high = pv ? p->hd : p->npos, terms = pv ? p->npos : p->hd;
    for (size_t i = 0; i < p->nq && !kc_failed(); i++) {
        const float *in = p->in + i * p->in_stride;
        for (size_t j = 0; j < high; j++) {
            double want = pv ? (double)p->before[i * p->out_stride + j] : 0, size = fabs(want);
            for (size_t e = 0; e < terms; e++) {
                const uint8_t *row = p->rows + (pv ? e : j) * p->row_bytes;
                double term = (double)in[e] * kept(p->t, row, pv ? j : e);
                want += term;
                size += fabs(term);
            }
            double got = (double)p->out[i * p->out_stride + j];
            double tolerance = kc_drift(terms) * KC_EPS * size + 1e-37;
            kc_expect(fabs(got - want) <= tolerance,
                      "hd %zu nq %zu npos %zu: [%zu][%zu] is %.9g, not %.9g +- %.3g", p->hd, p->nq,
                      p->npos, i, j, got, want, tolerance);
        }
        for (size_t j = high; i + 1 < p->nq && j < p->out_stride; j++)
            kc_expect(p->out[i * p->out_stride + j] == untouched,
                      "hd %zu nq %zu npos %zu: wrote beside row %zu", p->hd, p->nq, p->npos, i);
    }
}

static void check_qk(const struct kc_level *level, enum kern_kv t)
{
    struct problem p = problem_new(level->ref, t, 0);
    level->now->qk[t](p.hd, p.nq, p.in, p.in_stride, p.npos, p.rows, p.row_bytes, p.out,
                      p.out_stride, p.scratch);
    compare(&p, 0);
    problem_free(&p);
}

static void check_pv(const struct kc_level *level, enum kern_kv t)
{
    struct problem p = problem_new(level->ref, t, 1);
    level->now->pv[t](p.hd, p.nq, p.in, p.in_stride, p.npos, p.rows, p.row_bytes, p.out,
                      p.out_stride, p.scratch);
    compare(&p, 1);
    problem_free(&p);
}

/* ---- keeping ---- */

static void hostile_row(float *x, size_t n, int kind)
{
    static const float odd[] = {0.0f,    -0.0f,   1e-45f,  6e-8f,    65504.0f, 65520.0f,
                                1e30f,   3e38f,   -3e38f,  2.98e-8f, 3e-8f,    INFINITY,
                                -65536.f, 127.5f, 0.5f,    6.1e-5f};
    if (kind < KC_FILLS) {
        kc_fill(kind, x, n);
        return;
    }
    for (size_t i = 0; i < n; i++) x[i] = odd[kc_random(16)];
    if (kind == KC_FILLS + 1 && n) x[kc_random(n)] = NAN;
}

static void check_store(const struct kc_level *level, enum kern_kv t, size_t hd, int kind)
{
    size_t n = kern_kv_row_bytes(t, hd);
    float *x = kc_alloc(4 * hd, 4);
    uint8_t *got = kc_alloc(n, 2), *want = kc_alloc(n, 2);
    hostile_row(x, hd, kind);
    level->now->kv_store[t](hd, x, got);
    level->ref->kv_store[t](hd, x, want);
    kc_expect(!memcmp(got, want, n), "hd %zu, kind %d: the kept rows differ", hd, kind);
    kc_free(x);
    kc_free(got);
    kc_free(want);
}

/* How far a kept number may be from its own: half a unit of binary16, half a step of Q8_0. */
static void check_claim(const struct kc_level *level, enum kern_kv t, int kind)
{
    enum { HD = 96 };
    float x[HD];
    uint8_t row[4 * HD];
    kc_fill(kind, x, HD);
    for (int d = 0; d < HD; d++) x[d] = fmaxf(fminf(x[d], 60000.0f), -60000.0f);
    level->now->kv_store[t](HD, x, row);
    for (int d = 0; d < HD; d++) {
        double top = 0, v = (double)x[d], bound = 0;
        for (int i = d / 32 * 32; i < d / 32 * 32 + 32; i++) top = fmax(top, fabs((double)x[i]));
        if (t == KV_F16) bound = fabs(v) * 0x1p-11 + 0x1p-25;
        if (t == KV_Q8_0) bound = top / 127 * 0.502 + 127 * 0x1p-25;
        kc_expect(fabs(kept(t, row, (size_t)d) - v) <= bound, "%.9g was kept as %.9g, top %.9g", v,
                  kept(t, row, (size_t)d), top);
    }
}

/* ---- time ---- */

enum { HD = 128, BLOCK = 32, BLOCKS = 1024 }; /* keys of one head, in blocks as they are kept */

struct timing {
    const struct kern *kern;
    enum kern_kv t;
    int pv;
    size_t nq, blocks, at;
    uint8_t *rows;
    float *q, *s;
    void *scratch;
};

static void run(void *ctx, int thread, int threads)
{
    struct timing *b = ctx;
    size_t row = kern_kv_row_bytes(b->t, HD);
    if (thread) return;
    (void)threads;
    for (size_t i = 0; i < b->blocks; i++) {
        const uint8_t *at = b->rows + (b->at++ % BLOCKS) * BLOCK * row;
        if (b->pv)
            b->kern->pv[b->t](HD, b->nq, b->s, BLOCK, BLOCK, at, row, b->q, 2048, b->scratch);
        else
            b->kern->qk[b->t](HD, b->nq, b->q, 2048, BLOCK, at, row, b->s, BLOCK, b->scratch);
    }
}

static void bench(const struct kc_level *level, enum kern_kv t, int pv)
{
    static const size_t nqs[] = {1, 2, 4, 8, 9, 12, 16, 64, 512};
    size_t row = kern_kv_row_bytes(t, HD);
    struct timing b = {.kern = level->now, .t = t, .pv = pv};
    b.rows = kc_alloc(BLOCKS * BLOCK * row, 64);
    b.q = kc_alloc(4 * 2048 * 512, 64);
    b.s = kc_alloc(4 * BLOCK * 512, 64);
    b.scratch = kc_alloc(kern_attn_scratch(HD, BLOCK) / 64 * 64, 64);
    kc_fill(0, b.q, 2048 * 512);
    kc_fill(0, b.s, BLOCK * 512);
    for (size_t i = 0; i < BLOCKS * BLOCK; i++)
        level->ref->kv_store[t](HD, b.q + i % 512 * 2048, b.rows + i * row);
    for (size_t i = 0; i < sizeof nqs / sizeof *nqs; i++) {
        char what[64];
        b.nq = nqs[i];
        b.blocks = b.nq > 16 ? 4 : 128;
        snprintf(what, sizeof what, "hd 128, nq %zu, 32 a block", b.nq);
        kc_time(what, run, &b, (double)(b.blocks * BLOCK * row),
                2.0 * HD * BLOCK * (double)(b.blocks * b.nq), 0);
    }
    kc_free(b.rows);
    kc_free(b.q);
    kc_free(b.s);
    kc_free(b.scratch);
}

/* ---- the family ---- */

void kc_attn(const struct kc_level *level)
{
    int first = !strcmp(level->name, "c");
    for (enum kern_kv t = 0; t < KV_COUNT; t++) {
        const char *name = kv_name[t];
        if ((first || level->now->qk[t] != level->below->qk[t]) && kc_begin("qk_%s", name)) {
            for (int i = 0; i < 400 && !kc_failed(); i++) check_qk(level, t);
            if (kc_bench() && !first) bench(level, t, 0);
            kc_end();
        }
        if ((first || level->now->pv[t] != level->below->pv[t]) && kc_begin("pv_%s", name)) {
            for (int i = 0; i < 400 && !kc_failed(); i++) check_pv(level, t);
            if (kc_bench() && !first) bench(level, t, 1);
            kc_end();
        }
        if ((first || level->now->kv_store[t] != level->below->kv_store[t]) &&
            kc_begin("kv_store_%s", name)) {
            for (int i = 0; i < 300 && !kc_failed(); i++) {
                size_t hd = t == KV_Q8_0 ? 32 * kc_random(9) : kc_random(140);
                check_store(level, t, hd, i % (KC_FILLS + 2));
            }
            for (int i = 0; i < 100 && !kc_failed(); i++) check_claim(level, t, i % KC_FILLS);
            kc_end();
        }
    }
}
