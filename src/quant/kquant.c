/* SPDX-License-Identifier: Apache-2.0
 *
 * quant/kquant.c: types with two levels of steps: a block of 256 has a step D (and an offset M) in binary16, each group of 16 or 32 a
 * small whole number s (and m); x ~ D s q - M m. Q2_K, Q4_K, Q5_K with offsets, Q3_K, Q6_K and IQ4_XS without.
 *
 *   1. the best step and offset of each group by itself (kern/fit.h)
 *   2. D and M so that the largest fits, s and m by rounding
 *   3. each group tries the neighbours of its s and m with the true D and M
 *   4. D and M are fitted to these (least squares, to binary16), kept when the error falls; then 3 once more
 *
 * Without importance the weight of an element in the error is what ggml's quantiser gives it (large ones count more); with it, the
 * column's importance * sqrt(mean square + x^2), Q6_K: the importance. Steps 3 and 4 are what ggml does not do.
 */
#include <math.h>
#include <string.h>

#include "base/half.h"
#include "kern/quant.h"
#include "quant/quantise.h"

enum weigh {
    WEIGH_RMS,
    WEIGH_SIZE,
    WEIGH_SQUARE,
    WEIGH_MIXED
}; /* rms + |x|, rms / 4 + |x|, x^2, x^2 + mean square / 2 */

struct ktype {
    size_t n; /* elements of a group */
    struct fit_code code;
    struct fit_search search;
    float slo, shi, mhi; /* of s and of m; mhi 0: no offsets */
    enum weigh weigh;    /* without importance */
    float mean;          /* with importance: times the mean square; below 0: the importance alone */
    size_t bytes;
    void (*pack)(const uint8_t code[256], const int s[16], const int m[16], float d, float dm,
                 uint8_t *out);
};

struct work {
    float x[32 * FIT_LANES], w[32 * FIT_LANES];
    float d[FIT_LANES], m[FIT_LANES]; /* of each group, as it now stands */
    float error[FIT_LANES];
    int si[FIT_LANES], mi[FIT_LANES];
    float big_d[2], big_m[2]; /* of each block */
};

/* ---- layouts, as src/kern/ref/quant_block.c reads them ------------------------------------------- */

static void put_half(uint8_t *p, float v)
{
    uint16_t h = half_from_f32(v);
    memcpy(p, &h, 2);
}

static void pack_pairs(const uint8_t code[256], uint8_t *out)
{
    for (int i = 0; i < 64; i++) {
        const uint8_t *c = code + i / 32 * 128 + i % 32;
        out[i] = (uint8_t)((c[0] & 3) | (c[32] & 3) << 2 | (c[64] & 3) << 4 | (c[96] & 3) << 6);
    }
}

static void pack_q2_k(const uint8_t code[256], const int s[16], const int m[16], float d, float dm,
                      uint8_t *out)
{
    for (int g = 0; g < 16; g++) out[g] = (uint8_t)(s[g] | m[g] << 4);
    pack_pairs(code, out + 16);
    put_half(out + 80, d);
    put_half(out + 82, dm);
}

static void pack_q3_k(const uint8_t code[256], const int s[16], const int m[16], float d, float dm,
                      uint8_t *out)
{
    (void)m, (void)dm;
    memset(out, 0, 32);
    for (int i = 0; i < 256; i++) out[i % 32] |= (uint8_t)((code[i] >> 2) << i / 32);
    pack_pairs(code, out + 32);
    memset(out + 96, 0, 12);
    for (int g = 0; g < 16; g++) {
        int v = s[g] + 32;
        out[96 + g % 8] |= (uint8_t)((v & 15) << g / 8 * 4);
        out[104 + g % 4] |= (uint8_t)((v >> 4) << g / 4 * 2);
    }
    put_half(out + 108, d);
}

/* Eight pairs of 6 bits in 12 bytes. */
static void pack_k_scales(const int s[8], const int m[8], uint8_t *out)
{
    for (int g = 0; g < 4; g++) {
        out[g] = (uint8_t)(s[g] | s[g + 4] >> 4 << 6);
        out[g + 4] = (uint8_t)(m[g] | m[g + 4] >> 4 << 6);
        out[g + 8] = (uint8_t)((s[g + 4] & 15) | (m[g + 4] & 15) << 4);
    }
}

static void pack_halves(const uint8_t code[256], uint8_t *out)
{
    for (int i = 0; i < 128; i++) {
        const uint8_t *c = code + i / 32 * 64 + i % 32;
        out[i] = (uint8_t)((c[0] & 15) | (c[32] & 15) << 4);
    }
}

static void pack_q4_k(const uint8_t code[256], const int s[16], const int m[16], float d, float dm,
                      uint8_t *out)
{
    put_half(out, d);
    put_half(out + 2, dm);
    pack_k_scales(s, m, out + 4);
    pack_halves(code, out + 16);
}

static void pack_q5_k(const uint8_t code[256], const int s[16], const int m[16], float d, float dm,
                      uint8_t *out)
{
    put_half(out, d);
    put_half(out + 2, dm);
    pack_k_scales(s, m, out + 4);
    memset(out + 16, 0, 32);
    for (int i = 0; i < 256; i++) out[16 + i % 32] |= (uint8_t)((code[i] >> 4) << i / 32);
    pack_halves(code, out + 48);
}

static void pack_q6_k(const uint8_t code[256], const int s[16], const int m[16], float d, float dm,
                      uint8_t *out)
{
    (void)m, (void)dm;
    for (int i = 0; i < 128; i++) {
        const uint8_t *c = code + i / 64 * 128 + i % 64;
        out[i] = (uint8_t)((c[0] & 15) | (c[64] & 15) << 4);
    }
    for (int i = 0; i < 64; i++) {
        const uint8_t *c = code + i / 32 * 128 + i % 32;
        out[128 + i] = (uint8_t)(c[0] >> 4 | c[32] >> 4 << 2 | c[64] >> 4 << 4 | c[96] >> 4 << 6);
    }
    for (int g = 0; g < 16; g++) out[192 + g] = (uint8_t)s[g];
    put_half(out + 208, d);
}

static void pack_iq4_xs(const uint8_t code[256], const int s[16], const int m[16], float d,
                        float dm, uint8_t *out)
{
    (void)m, (void)dm;
    unsigned high = 0;
    memset(out + 4, 0, 4);
    for (int g = 0; g < 8; g++) {
        unsigned v = (unsigned)(s[g] + 32);
        out[4 + g / 2] |= (uint8_t)((v & 15) << g % 2 * 4);
        high |= v >> 4 << 2 * g;
        quantise_nibbles(code + 32 * g, out + 8 + 16 * g, NULL);
    }
    put_half(out, d);
    out[2] = (uint8_t)high;
    out[3] = (uint8_t)(high >> 8);
}

/* ---- the types ----------------------------------------------------------------------------------- */

static const struct ktype *ktype_of(enum dtype t)
{
    static const struct ktype types[] = {
        {16, {0, 3, NULL}, {-0.9f, 0.1f, 18, 3, 0}, 0, 15, 15, WEIGH_SIZE, 1, 84, pack_q2_k},
        {16, {-4, 3, NULL}, {-0.9f, 0.2f, 9, 2, 0}, -32, 31, 0, WEIGH_MIXED, 2, 110, pack_q3_k},
        {32, {0, 15, NULL}, {-1.0f, 0.15f, 14, 2, 0}, 0, 63, 63, WEIGH_RMS, 2, 144, pack_q4_k},
        {32, {0, 31, NULL}, {-1.0f, 0.15f, 12, 2, 0}, 0, 63, 63, WEIGH_RMS, 2, 176, pack_q5_k},
        {16,
         {-32, 31, NULL},
         {-0.9f, 0.2f, 9, 2, 0},
         -128,
         127,
         0,
         WEIGH_SQUARE,
         -1,
         210,
         pack_q6_k},
        {32,
         {-127, 113, quantise_iq4},
         {-9, 2, 9, 2, 0},
         -32,
         31,
         0,
         WEIGH_MIXED,
         2,
         136,
         pack_iq4_xs},
    };
    return t == DT_IQ4_XS ? &types[5] : t >= DT_Q2_K && t <= DT_Q6_K ? &types[t - DT_Q2_K] : NULL;
}

/* The weights of one group in the error; an importance of nothing but zeros is none. */
static void weigh(const struct ktype *k, const float *x, const float *importance, float mean_square,
                  float *w)
{
    float own = 0, known = 0;
    for (size_t i = 0; importance && i < k->n; i++) known += importance[i];
    if (known > 0 && k->mean < 0) {
        memcpy(w, importance, k->n * sizeof *w);
        return;
    }
    if (known > 0) {
        for (size_t i = 0; i < k->n; i++)
            w[i] = importance[i] * sqrtf(k->mean * mean_square + x[i] * x[i]);
        return;
    }
    for (size_t i = 0; i < k->n; i++) own += x[i] * x[i];
    own /= (float)k->n;
    if (k->weigh == WEIGH_RMS || k->weigh == WEIGH_SIZE) {
        own = k->weigh == WEIGH_RMS ? sqrtf(own) : 0.25f * sqrtf(own);
        for (size_t i = 0; i < k->n; i++) w[i] = own + fabsf(x[i]);
    } else {
        own = k->weigh == WEIGH_MIXED ? 0.5f * own : 0;
        for (size_t i = 0; i < k->n; i++) w[i] = own + x[i] * x[i];
    }
}

static void load(const struct ktype *k, size_t nblock, const float *x, const float *importance,
                 struct work *w)
{
    float weight[FIT_LANES * 32];
    size_t per = 256 / k->n;
    for (size_t b = 0; b < nblock; b++) {
        float sum = 0;
        for (int i = 0; i < 256; i++) sum += x[256 * b + (size_t)i] * x[256 * b + (size_t)i];
        for (size_t g = b * per; g < (b + 1) * per; g++)
            weigh(k, x + g * k->n, importance ? importance + g * k->n : NULL, sum / 256,
                  weight + g * k->n);
    }
    quantise_gather(k->n, nblock * per, x, w->x);
    quantise_gather(k->n, nblock * per, weight, w->w);
}

/* ---- steps 2 to 4 --------------------------------------------------------------------------------- */

static float to_half(float v) { return half_to_f32(half_from_f32(v)); }
static float limit(float v, float lo, float hi) { return v > lo ? v < hi ? v : hi : lo; }

/* Step 2 for the groups g0 .. g0 + per of block b. */
static void first_steps(const struct ktype *k, struct work *w, size_t b, size_t per)
{
    float top = 0, top_m = 0;
    for (size_t g = b * per; g < (b + 1) * per; g++) {
        if (fabsf(w->d[g]) > fabsf(top)) top = w->d[g];
        if (w->m[g] > top_m) top_m = w->m[g];
    }
    w->big_d[b] = to_half(top / (k->slo < 0 ? k->slo : k->shi));
    w->big_m[b] = k->mhi > 0 ? to_half(top_m / k->mhi) : 0;
    float one = w->big_d[b] != 0 ? 1 / w->big_d[b] : 0,
          one_m = w->big_m[b] != 0 ? 1 / w->big_m[b] : 0;
    for (size_t g = b * per; g < (b + 1) * per; g++) {
        w->si[g] = (int)limit(rintf(w->d[g] * one), k->slo, k->shi);
        w->mi[g] = (int)limit(rintf(w->m[g] * one_m), 0, k->mhi);
    }
}

/* The steps and offsets that s and m mean, in w->d and w->m. */
static void set_steps(struct work *w, size_t per)
{
    for (size_t g = 0; g < FIT_LANES; g++) {
        w->d[g] = w->big_d[g / per] * (float)w->si[g];
        w->m[g] = w->big_m[g / per] * (float)w->mi[g];
    }
}

/* Step 3: s and m of every group move to the best of their neighbours. w->error: what is left. */
static void refine(const struct ktype *k, const struct fit *f, struct work *w, size_t per)
{
    int s0[FIT_LANES], m0[FIT_LANES];
    float d[FIT_LANES], m[FIT_LANES], error[FIT_LANES];
    memcpy(s0, w->si, sizeof s0);
    memcpy(m0, w->mi, sizeof m0);
    set_steps(w, per);
    f->error(k->n, w->x, w->w, &k->code, w->d, w->m, w->error);
    for (int ds = -1; ds <= 1; ds++)
        for (int dm = k->mhi > 0 ? -1 : 0; dm <= (k->mhi > 0); dm++) {
            if (ds == 0 && dm == 0) continue;
            for (size_t g = 0; g < FIT_LANES; g++) {
                d[g] = w->big_d[g / per] * limit((float)(s0[g] + ds), k->slo, k->shi);
                m[g] = w->big_m[g / per] * limit((float)(m0[g] + dm), 0, k->mhi);
            }
            f->error(k->n, w->x, w->w, &k->code, d, m, error);
            for (size_t g = 0; g < FIT_LANES; g++) {
                if (!(error[g] < w->error[g])) continue;
                w->error[g] = error[g];
                w->si[g] = (int)limit((float)(s0[g] + ds), k->slo, k->shi);
                w->mi[g] = (int)limit((float)(m0[g] + dm), 0, k->mhi);
            }
        }
    set_steps(w, per);
}

/* Step 4: the least squares of D and M for the codes that now are chosen. */
static void refit(const struct ktype *k, const struct fit *f, struct work *w, size_t nblock,
                  size_t per)
{
    float sum[FIT_SUMS][FIT_LANES], old_d[2], old_m[2], error[FIT_LANES];
    f->sums(k->n, w->x, w->w, &k->code, w->d, w->m, sum);
    for (size_t b = 0; b < nblock; b++) {
        double aa = 0, ab = 0, bb = 0, ax = 0, bx = 0;
        old_d[b] = w->big_d[b];
        old_m[b] = w->big_m[b];
        for (size_t g = b * per; g < (b + 1) * per; g++) {
            double s = w->si[g], m = w->mi[g];
            aa += s * s * (double)sum[FIT_QQ][g];
            ab += s * m * (double)sum[FIT_Q][g];
            bb += m * m * (double)sum[FIT_W][g];
            ax += s * (double)sum[FIT_QX][g];
            bx += m * (double)sum[FIT_X][g];
        }
        double det = aa * bb - ab * ab, d = 0, m = 0;
        if (det > 1e-9 * aa * bb) {
            d = (ax * bb - bx * ab) / det;
            m = (ax * ab - bx * aa) / det;
        }
        if (!(det > 1e-9 * aa * bb) || m < 0) {
            d = aa > 0 ? ax / aa : (double)old_d[b];
            m = 0;
        }
        w->big_d[b] = to_half((float)d);
        w->big_m[b] = to_half((float)m);
    }
    set_steps(w, per);
    f->error(k->n, w->x, w->w, &k->code, w->d, w->m, error);
    for (size_t b = 0; b < nblock; b++) {
        double before = 0, after = 0;
        for (size_t g = b * per; g < (b + 1) * per; g++) {
            before += (double)w->error[g];
            after += (double)error[g];
        }
        if (after < before) continue;
        w->big_d[b] = old_d[b];
        w->big_m[b] = old_m[b];
    }
}

static void finish(const struct ktype *k, const struct fit *f, struct work *w, size_t nblock,
                   size_t per, uint8_t *out)
{
    float q[32 * FIT_LANES];
    uint8_t code[256];
    f->codes(k->n, w->x, &k->code, w->d, w->m, q);
    for (size_t b = 0; b < nblock; b++) {
        for (size_t g = 0; g < per; g++)
            for (size_t i = 0; i < k->n; i++) {
                float v = limit(q[i * FIT_LANES + b * per + g], k->code.lo, k->code.hi);
                code[g * k->n + i] =
                    (uint8_t)(k->code.table ? quantise_index(v, quant_iq4) : (int)(v - k->code.lo));
            }
        k->pack(code, w->si + b * per, w->mi + b * per, w->big_d[b], w->big_m[b],
                out + b * k->bytes);
    }
}

void kquant_row(const struct fit *f, enum dtype t, size_t n, const float *x,
                const float *importance, uint8_t *out)
{
    const struct ktype *k = ktype_of(t);
    struct work w;
    size_t per = 256 / k->n, at_once = FIT_LANES / per;
    for (size_t b = 0; b < n / 256; b += at_once) {
        size_t nblock = n / 256 - b < at_once ? n / 256 - b : at_once;
        load(k, nblock, x + 256 * b, importance ? importance + 256 * b : NULL, &w);
        memset(w.m, 0, sizeof w.m);
        memset(w.si, 0, sizeof w.si);
        memset(w.mi, 0, sizeof w.mi);
        memset(w.big_d, 0, sizeof w.big_d);
        memset(w.big_m, 0, sizeof w.big_m);
        if (k->mhi > 0)
            f->affine(k->n, w.x, w.w, &k->code, &k->search, w.d, w.m);
        else
            f->linear(k->n, w.x, w.w, &k->code, &k->search, w.d);
        for (size_t i = 0; i < nblock; i++) first_steps(k, &w, i, per);
        refine(k, f, &w, per);
        refit(k, f, &w, nblock, per);
        refine(k, f, &w, per);
        finish(k, f, &w, nblock, per, out + b * k->bytes);
    }
}
