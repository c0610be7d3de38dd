/* SPDX-License-Identifier: Apache-2.0
 *
 * dev/cpu/recur.c: the mixers that carry a state instead of keys and values: short convolutions, Mamba-2, the gated delta rule.
 *
 * Tokens go one after the other, channels and heads side by side: a thread takes a range of channels or a head and runs through all rows. The
 * state is F32 and is changed in place. Formulas stand in dev.h.
 */
#include <math.h>
#include <string.h>

#include "dev/cpu/cpu.h"

struct conv_job {
    const struct kern *kern;
    const struct dev_conv *c;
    const struct dev_seq *seq;
    size_t state_at;
    struct dev_rows x, out;
};

/* At most so many channels at a time, side by side, and so many taps (model/recur.c refuses more). */
enum { CONV_LANES = 32, CONV_TAPS = 64 };

/* Channels at .. at + m - 1: their taps and their past are laid out by tap first, so that a row's neighbours are computed together. */
static void conv_lanes(const struct conv_job *j, size_t at, size_t m)
{
    const struct dev_conv *c = j->c;
    size_t past = c->kernel - 1;
    float *state = j->seq->state + j->state_at + at * past; /* [channel][past], oldest first */
    float w[CONV_TAPS][CONV_LANES] = {{0}}, in[CONV_TAPS][CONV_LANES] = {{0}};
    for (size_t i = 0; i < m; i++) {
        for (size_t k = 0; k < c->kernel; k++) w[k][i] = c->w[(at + i) * c->kernel + k];
        for (size_t k = 0; k < past; k++) in[k][i] = state[i * past + k];
    }
    for (size_t t = 0; t < j->seq->n; t++) {
        size_t row = j->seq->first + t;
        const float *x = j->x.p + row * j->x.stride + at;
        float *out = j->out.p + row * j->out.stride + at;
        double y[CONV_LANES] = {0};
        for (size_t i = 0; i < m; i++) in[past][i] = x[i];
        for (size_t i = 0; i < m && c->b; i++) y[i] = (double)c->b[at + i];
        for (size_t k = 0; k <= past; k++)
            for (size_t i = 0; i < CONV_LANES; i++) y[i] += (double)w[k][i] * (double)in[k][i];
        memmove(in[0], in[1], past * sizeof in[0]);
        for (size_t i = 0; i < m; i++) out[i] = (float)y[i];
        if (c->silu) j->kern->silu_mul(m, out, NULL, out);
    }
    for (size_t i = 0; i < m; i++)
        for (size_t k = 0; k < past; k++) state[i * past + k] = in[k][i];
}

static void conv_channels(void *ctx, size_t begin, size_t end, int thread)
{
    (void)thread;
    for (size_t n; begin < end; begin += n) {
        n = end - begin < CONV_LANES ? end - begin : CONV_LANES;
        conv_lanes(ctx, begin, n);
    }
}

void cpu_conv(struct dev *d, const struct dev_conv *c, const struct dev_seq *seq, size_t nseq,
              size_t state_at, struct dev_rows x, struct dev_rows out)
{
    for (size_t i = 0; i < nseq; i++) {
        struct conv_job j = {d->kern, c, &seq[i], state_at, x, out};
        pool_for(d->pool, c->channels, c->channels * seq[i].n < 4096 ? c->channels : 64,
                 conv_channels, &j);
    }
}

struct scan_job {
    const struct kern *kern;
    const struct dev_scan *s;
    const struct dev_seq *seq;
    size_t state_at;
    struct dev_rows a, b, c, d, out;
};

static float softplus(float x) { return x > 20 ? x : (float)log1p(exp((double)x)); }

static void mamba2_heads(void *ctx, size_t begin, size_t end, int thread)
{
    const struct scan_job *j = ctx;
    const struct dev_scan *s = j->s;
    size_t per_group = s->nhead / s->ngroup;
    (void)thread;
    for (size_t h = begin; h < end; h++) {
        float *state = j->seq->state + j->state_at + h * s->hd * s->dstate; /* [hd][dstate] */
        for (size_t t = 0; t < j->seq->n; t++) {
            size_t row = j->seq->first + t;
            const float *x = j->a.p + row * j->a.stride + h * s->hd;
            const float *b = j->b.p + row * j->b.stride + h / per_group * s->dstate;
            const float *c = j->c.p + row * j->c.stride + h / per_group * s->dstate;
            float dt = softplus(j->d.p[row * j->d.stride + h] + s->dt_bias[h]),
                  decay = expf(dt * s->a[h]);
            j->kern->scan(s->hd, s->dstate, state, b, c, x, dt, decay, s->d[h],
                          j->out.p + row * j->out.stride + h * s->hd);
        }
    }
}

void cpu_mamba2(struct dev *d, const struct dev_scan *s, const struct dev_seq *seq, size_t nseq,
                size_t state_at, struct dev_rows x, struct dev_rows b, struct dev_rows c,
                struct dev_rows dt, struct dev_rows out)
{
    for (size_t i = 0; i < nseq; i++) {
        struct scan_job j = {d->kern, s, &seq[i], state_at, x, b, c, dt, out};
        pool_for(d->pool, s->nhead, 1, mamba2_heads, &j);
    }
}

static double unit(const float *x, size_t n)
{
    double sum[4] = {0};
    for (size_t i = 0; i < n; i++) sum[i % 4] += (double)x[i] * (double)x[i];
    return 1 / sqrt(sum[0] + sum[1] + (sum[2] + sum[3]) + 1e-6);
}

static void delta_heads(void *ctx, size_t begin, size_t end, int thread)
{
    const struct scan_job *j = ctx;
    const struct dev_scan *s = j->s;
    size_t dk = s->dstate, dv = s->hd;
    (void)thread;
    for (size_t h = begin; h < end; h++) {
        float *state = j->seq->state + j->state_at + h * dk * dv; /* [dk][dv] */
        size_t g = s->tiled ? h % s->ngroup : h / (s->nhead / s->ngroup);
        for (size_t t = 0; t < j->seq->n; t++) {
            size_t row = j->seq->first + t;
            const float *q = j->a.p + row * j->a.stride + g * dk,
                        *k = j->b.p + row * j->b.stride + g * dk;
            const float *v = j->c.p + row * j->c.stride + h * dv, *ab = j->d.p + row * j->d.stride;
            float *out = j->out.p + row * j->out.stride + h * dv;
            double beta = 1 / (1 + exp(-(double)ab[s->nhead + h]));
            double decay = exp((double)s->a[h] * log1p(exp((double)ab[h] + (double)s->dt_bias[h])));
            double qn = unit(q, dk) / sqrt((double)dk), kn = unit(k, dk);
            j->kern->delta(dk, dv, state, q, qn, k, kn, v, decay, beta, out);
        }
    }
}

void cpu_delta(struct dev *d, const struct dev_scan *s, const struct dev_seq *seq, size_t nseq,
               size_t state_at, struct dev_rows q, struct dev_rows k, struct dev_rows v,
               struct dev_rows ab, struct dev_rows out)
{
    for (size_t i = 0; i < nseq; i++) {
        struct scan_job j = {d->kern, s, &seq[i], state_at, q, k, v, ab, out};
        pool_for(d->pool, s->nhead, 1, delta_heads, &j);
    }
}
