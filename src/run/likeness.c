/* SPDX-License-Identifier: Apache-2.0
 * run/likeness.c: see likeness.h. Errors are standard errors of the mean, as llama.cpp's perplexity tool gives them. */
#include "run/likeness.h"

#include <math.h>
#include <string.h>

#include "base/half.h"
#include "base/rng.h"

enum { KEPT_MAX = 4096 };

void likeness_of(const struct kern *k, size_t n, const float *logits, int32_t next, float *scratch,
                 double *lse, struct likeness *out)
{
    float top = -INFINITY, sum = 0;
    memcpy(scratch, logits, n * sizeof *scratch);
    k->softmax(n, scratch, &top, &sum);
    *lse = (double)top + log((double)sum);
    out->nll = *lse - (double)logits[next];
    out->top = (int32_t)k->argmax(n, logits);
}

void likeness_compare(size_t n, const float *logits, double lse, const float *base,
                      const float *base_p, double base_lse, const struct likeness *base_is,
                      struct likeness *out)
{
    double sum = 0, mass = 0;
    for (size_t i = 0; i < n; i++) {
        sum += (double)base_p[i] * ((double)base[i] - (double)logits[i]);
        mass += (double)base_p[i];
    }
    out->base_nll = base_is->nll;
    out->same_top = base_is->top == out->top;
    out->kl = sum / mass + lse - base_lse;
}

/* ---- records -------------------------------------------------------------------------------------------- */

struct likeness_form likeness_form(size_t n)
{
    size_t room = n / 50,
           ids = room > 6 + 4 * 5 ? (room - 6) / 5 : 4; /* a hundredth of 2 n bytes */
    if (ids > KEPT_MAX) ids = KEPT_MAX;
    size_t drawn = ids / 4 ? ids / 4 : 1;
    return (struct likeness_form){ids - drawn, drawn, 6 + 5 * ids};
}

static void put_id(uint8_t *p, size_t id, double minus_log)
{
    uint16_t h = half_from_f32((float)minus_log);
    for (int i = 0; i < 3; i++) p[i] = (uint8_t)(id >> 8 * i);
    memcpy(p + 3, &h, 2);
}

static size_t get_id(const uint8_t *p, double *minus_log)
{
    uint16_t h;
    memcpy(&h, p + 3, 2);
    *minus_log = (double)half_to_f32(h);
    return (size_t)p[0] | (size_t)p[1] << 8 | (size_t)p[2] << 16;
}

/* A heap with the least probable of the kept on top (of equal ones the later id). */
static int less(const float *p, uint32_t a, uint32_t b)
{
    return p[a] != p[b] ? p[a] < p[b] : a > b;
}

static void sift(const float *p, uint32_t *heap, size_t n, size_t at)
{
    for (;;) {
        size_t c = 2 * at + 1, least = at;
        if (c < n && less(p, heap[c], heap[least])) least = c;
        if (c + 1 < n && less(p, heap[c + 1], heap[least])) least = c + 1;
        if (least == at) return;
        uint32_t t = heap[at];
        heap[at] = heap[least];
        heap[least] = t;
        at = least;
    }
}

/* The most probable `kept` of n ids, best first, to heap. */
static void best_of(const float *p, size_t n, uint32_t *heap, size_t kept)
{
    for (size_t i = 0; i < kept; i++) heap[i] = (uint32_t)i;
    for (size_t i = kept; i-- > 0;) sift(p, heap, kept, i);
    for (size_t i = kept; i < n; i++)
        if (less(p, heap[0], (uint32_t)i)) {
            heap[0] = (uint32_t)i;
            sift(p, heap, kept, 0);
        }
    for (size_t m = kept; m > 1; m--) { /* the least goes to the end */
        uint32_t t = heap[0];
        heap[0] = heap[m - 1];
        heap[m - 1] = t;
        sift(p, heap, m - 1, 0);
    }
}

void likeness_store(const struct likeness_form *f, size_t n, const float *logits, const float *p,
                    double lse, const struct likeness *is, uint64_t seed, uint8_t *record)
{
    uint32_t heap[KEPT_MAX];
    struct rng r;
    float nll = (float)is->nll;
    double all = 0, rest = 0, kept = 0, walked = 0;
    size_t nkept = f->kept < n ? f->kept : n, drawn = 0;
    memset(record, 0, f->bytes);
    best_of(p, n, heap, nkept);
    uint32_t last = heap[nkept - 1];
    for (size_t i = 0; i < n; i++) all += (double)p[i];
    for (size_t i = 0; i < nkept; i++) kept += (double)p[heap[i]];
    rest = all - kept > 0 ? all - kept : 0;
    uint16_t mass = half_from_f32((float)(rest / all));
    memcpy(record, &nll, 4);
    memcpy(record + 4, &mass, 2);
    for (size_t i = 0; i < nkept; i++)
        put_id(record + 6 + 5 * i, heap[i], lse - (double)logits[heap[i]]);
    /* even steps through the rest from a random beginning: each id as often as its probability says */
    rng_seed(&r, seed);
    double step = rest / (double)f->drawn, next = step * rng_uniform(&r);
    uint8_t *at = record + 6 + 5 * f->kept;
    size_t fallback = last;
    for (size_t i = 0; i < n && drawn < f->drawn; i++) {
        if (!less(p, (uint32_t)i, last)) continue; /* kept */
        walked += (double)p[i];
        fallback = i;
        for (; drawn < f->drawn && next < walked; next += step, drawn++)
            put_id(at + 5 * drawn, i, lse - (double)logits[i]);
    }
    for (; drawn < f->drawn; drawn++)
        put_id(at + 5 * drawn, fallback, lse - (double)logits[fallback]);
}

int likeness_compare_record(const struct likeness_form *f, size_t n, const float *logits,
                            double lse, const uint8_t *record, struct likeness *out)
{
    float nll;
    uint16_t mass;
    double sum = 0, tail = 0, kept = 0, other = 0, minus_log;
    size_t nkept = f->kept < n ? f->kept : n;
    memcpy(&nll, record, 4);
    memcpy(&mass, record + 4, 2);
    double rest = (double)half_to_f32(mass), shift = 0;
    int both = 0; /* the rest's mass in either is known well enough for its logarithm */
    for (size_t i = 0; i < f->kept + f->drawn; i++) {
        if (i >= nkept && i < f->kept) continue;
        if (i == f->kept && (both = rest > 1e-4 && other < 1 - 1e-4)) shift = log(rest / (1 - other));
        size_t id = get_id(record + 6 + 5 * i, &minus_log);
        if (id >= n || !(minus_log >= 0)) return -1;
        double off = lse - (double)logits[id] - minus_log; /* log(p / q) */
        if (i < f->kept) {
            sum += exp(-minus_log) * off;
            kept += exp(-minus_log);
            other += exp((double)logits[id] - lse);
        } else {
            tail += (both ? off + exp(shift - off) - 1 : off) / (double)f->drawn;
        }
        if (i == 0) out->same_top = (int32_t)id == out->top;
    }
    if (!(rest >= 0 && rest <= 1) || !(kept > 0)) return -1;
    out->base_nll = (double)nll;
    out->kl = sum * (1 - rest) / kept +
              rest * tail; /* the kept ones' mass is known better than their rounded logs say */
    return 0;
}

/* ---- sums ------------------------------------------------------------------------------------------------- */

void likeness_add(struct likeness_sums *s, const struct likeness *x, int compared)
{
    s->n += 1;
    s->nll += x->nll;
    s->nll2 += x->nll * x->nll;
    if (!compared) return;
    double dp = exp(-x->nll) - exp(-x->base_nll);
    s->base += x->base_nll;
    s->base2 += x->base_nll * x->base_nll;
    s->both += x->nll * x->base_nll;
    s->kl += x->kl;
    s->kl2 += x->kl * x->kl;
    s->same += x->same_top;
    s->dp2 += dp * dp;
    s->dp4 += dp * dp * dp * dp;
}

struct likeness_mean likeness_mean(double n, double sum, double sum2)
{
    double mean = n > 0 ? sum / n : 0, var = n > 1 ? (sum2 / n - mean * mean) / (n - 1) : 0;
    return (struct likeness_mean){mean, var > 0 ? sqrt(var) : 0};
}
