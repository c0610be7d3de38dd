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
    const struct dev_conv *c;
    const struct dev_seq *seq;
    size_t state_at;
    struct dev_rows x, out;
};

static void conv_channels(void *ctx, size_t begin, size_t end, int thread)
{
    const struct conv_job *j = ctx;
    const struct dev_conv *c = j->c;
    size_t past = c->kernel - 1;
    (void)thread;
    for (size_t ch = begin; ch < end; ch++) {
        float *state = j->seq->state + j->state_at + ch * past; /* oldest first */
        const float *w = c->w + ch * c->kernel;
        for (size_t t = 0; t < j->seq->n; t++) {
            size_t row = j->seq->first + t;
            float x = j->x.p[row * j->x.stride + ch]; double y = c->b ? (double)c->b[ch] : 0;
            for (size_t k = 0; k < past; k++) y += (double)w[k] * (double)state[k];
            y += (double)w[past] * (double)x;
            for (size_t k = 0; k + 1 < past; k++) state[k] = state[k + 1];
            if (past) state[past - 1] = x;
            j->out.p[row * j->out.stride + ch] = (float)(c->silu ? y / (1 + exp(-y)) : y);
        }
    }
}

void cpu_conv(struct dev *d, const struct dev_conv *c, const struct dev_seq *seq, size_t nseq,
              size_t state_at, struct dev_rows x, struct dev_rows out)
{
    for (size_t i = 0; i < nseq; i++) {
        struct conv_job j = {c, &seq[i], state_at, x, out};
        pool_for(d->pool, c->channels, c->channels * seq[i].n < 4096 ? c->channels : 64,
                 conv_channels, &j);
    }
}

struct scan_job {
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
            float *out = j->out.p + row * j->out.stride + h * s->hd;
            for (size_t p = 0; p < s->hd; p++) {
                float *st = state + p * s->dstate, in = dt * x[p], y = 0;
                for (size_t n = 0; n < s->dstate; n++) {
                    st[n] = st[n] * decay + in * b[n];
                    y += st[n] * c[n];
                }
                out[p] = y + s->d[h] * x[p];
            }
        }
    }
}

void cpu_mamba2(struct dev *d, const struct dev_scan *s, const struct dev_seq *seq, size_t nseq,
                size_t state_at, struct dev_rows x, struct dev_rows b, struct dev_rows c,
                struct dev_rows dt, struct dev_rows out)
{
    for (size_t i = 0; i < nseq; i++) {
        struct scan_job j = {s, &seq[i], state_at, x, b, c, dt, out};
        pool_for(d->pool, s->nhead, 1, mamba2_heads, &j);
    }
}

static double unit(const float *x, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += (double)x[i] * (double)x[i];
    return 1 / sqrt(sum + 1e-6);
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
            for (size_t b = 0; b < dv; b++) {
                double answer = 0, y = 0;
                for (size_t a = 0; a < dk; a++)
                    answer += (double)state[a * dv + b] * decay * (double)k[a] * kn;
                double fix = ((double)v[b] - answer) * beta;
                for (size_t a = 0; a < dk; a++) {
                    double st = (double)state[a * dv + b] * decay + (double)k[a] * kn * fix;
                    state[a * dv + b] = (float)st;
                    y += st * (double)q[a] * qn;
                }
                out[b] = (float)y;
            }
        }
    }
}

void cpu_delta(struct dev *d, const struct dev_scan *s, const struct dev_seq *seq, size_t nseq,
               size_t state_at, struct dev_rows q, struct dev_rows k, struct dev_rows v,
               struct dev_rows ab, struct dev_rows out)
{
    for (size_t i = 0; i < nseq; i++) {
        struct scan_job j = {s, &seq[i], state_at, q, k, v, ab, out};
        pool_for(d->pool, s->nhead, 1, delta_heads, &j);
    }
}
