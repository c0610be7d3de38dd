/* SPDX-License-Identifier: Apache-2.0
 *
 * run/sampler_pick.c: choosing a token.
 *
 * A vocabulary has 150 thousand tokens and a choice is made among a few dozen, so nothing here
 * sorts a whole one: top-k is one pass that compares blocks of logits with the worst of the k best
 * so far; top-p and typical take candidates from a heap until they have enough. Candidates carry
 * their logit through all steps, and each step computes its own weights from it.
 *
 * Without top-k most tokens still cannot matter, being thousands of millions of times less probable
 * than the best. So first only those near the best are weighed; of the others, which weigh at most
 * so much each, one asks whether they could change the choice. If they could, all are weighed: the
 * choice is the same to the token either way.
 */
#include <float.h>

#include "base/exact.h"
#include "run/sampler_state.h"

#define BLOCK 16

/* ---- heaps: v[0] is the one that comes out first --------------------------------------------- */

typedef int before_fn(const struct cand *a, const struct cand *b);

/* Larger logits first, and of equal ones the lower id: the order of everything here. */
static inline int better(const struct cand *a, const struct cand *b)
{
    return a->logit != b->logit ? a->logit > b->logit : a->id < b->id;
}

static inline int worse(const struct cand *a, const struct cand *b)
{
    return better(b, a);
}

static inline int lighter(const struct cand *a, const struct cand *b)
{
    return a->w != b->w ? a->w < b->w : better(a, b);
}

static inline void sift(struct cand *v, size_t at, size_t n, before_fn *before)
{
    struct cand moving = v[at];
    for (size_t child; (child = 2 * at + 1) < n; at = child) {
        if (child + 1 < n && before(&v[child + 1], &v[child])) child++;
        if (!before(&v[child], &moving)) break;
        v[at] = v[child];
    }
    v[at] = moving;
}

static inline void heapify(struct cand *v, size_t n, before_fn *before)
{
    for (size_t i = n / 2; i-- > 0;) sift(v, i, n, before);
}

/* Moves the first to the end of the n; n - 1 are left in the heap. Gives the one that came out. */
static inline const struct cand *pop(struct cand *v, size_t n, before_fn *before)
{
    struct cand first = v[0];
    v[0] = v[n - 1];
    v[n - 1] = first;
    if (n > 2) sift(v, 0, n - 1, before);
    return &v[n - 1];
}

/* The last `kept` of n, which came out of a heap one by one, become the first, in that order. */
static size_t keep_popped(struct cand *v, size_t n, size_t kept)
{
    for (size_t i = 0; i < kept && i < n / 2; i++) {
        struct cand t = v[i];
        v[i] = v[n - 1 - i];
        v[n - 1 - i] = t;
    }
    return kept;
}

/* ---- gathering ------------------------------------------------------------------------------- */

static float finite(float logit)
{
    return logit < FLT_MAX ? logit : FLT_MAX; /* after NaN and -inf are out, this meets +inf */
}

static int possible(float logit)
{
    return logit >= -FLT_MAX;
}

/* Which of the 64 tokens from i on may be taken, i a multiple of 64. */
static uint64_t among(const uint64_t *set, int32_t i)
{
    return set ? set[i / 64] : UINT64_MAX;
}

/* All possible tokens by id. */
static size_t take_all(struct sampler *s, const float *logits, const uint64_t *set)
{
    size_t n = 0;
    for (int32_t from = 0; from < s->nvocab; from += 64) {
        int32_t end = s->nvocab - from < 64 ? s->nvocab : from + 64, i = from;
        for (uint64_t w = among(set, from); w && i < end; w >>= 1, i++) {
            float l = s->slot && s->slot[i] ? s->touched[s->slot[i] - 1].logit : logits[i];
            if (w & 1 && possible(l)) s->cand[n++] = (struct cand){finite(l), i, 0.0};
        }
    }
    return n;
}

/* Keeps the k best in a heap whose first is the worst of them. */
static inline void offer(struct cand *v, size_t *n, size_t k, int32_t id, float logit)
{
    struct cand c = {finite(logit), id, 0.0};
    if (!possible(logit)) return;
    if (*n < k) {
        v[(*n)++] = c;
        if (*n == k) heapify(v, k, worse);
    } else if (better(&c, &v[0])) {
        v[0] = c;
        sift(v, 0, k, worse);
    }
}

/* The k best, best first. */
static size_t take_top(struct sampler *s, const float *logits, const uint64_t *set, size_t k)
{
    struct cand *v = s->cand;
    size_t n = 0;
    int32_t i = 0;
    for (size_t t = 0; t < s->ntouched; t++) {
        int32_t id = s->touched[t].id;
        if (among(set, id & ~63) >> (id & 63) & 1) offer(v, &n, k, id, s->touched[t].logit);
    }
    for (; i < s->nvocab; i += BLOCK) {
        uint64_t w = among(set, i & ~63);
        if (!w) {
            i |= 64 - BLOCK; /* none of the 64: on to the next */
            continue;
        }
        w >>= i & 63;
        int32_t m = s->nvocab - i < BLOCK ? s->nvocab - i : BLOCK;
        const float *l = logits + i;
        float bar = n < k ? -FLT_MAX : v[0].logit;
        if (m == BLOCK) { /* a fixed count without branches: compilers make vectors of it */
            int any = 0;
            for (int j = 0; j < BLOCK; j++) any |= l[j] >= bar;
            if (!any) continue;
        }
        for (int32_t j = 0; j < m; j++)
            if (l[j] >= bar && w >> j & 1 && !(s->slot && s->slot[i + j])) offer(v, &n, k, i + j, l[j]);
    }
    if (n < k) heapify(v, n, worse);
    for (size_t left = n; left > 1; left--) pop(v, left, worse);
    return n;
}

/* How far below the best is near, where all weigh something: at the first try, and at the second. */
static const double near_by[] = {14.0, 24.0};

/* What was left aside: at most so many, each of a logit below `cut`; but for `some` of them, below `low`. */
struct far {
    size_t count, some;
    float cut, low;
};

static float highest(const float *l, int32_t n)
{
    float top[BLOCK], best = -FLT_MAX;
    int32_t i = 0;
    for (int j = 0; j < BLOCK; j++) top[j] = -FLT_MAX;
    for (; i + BLOCK <= n; i += BLOCK)
        for (int j = 0; j < BLOCK; j++) top[j] = l[i + j] > top[j] ? l[i + j] : top[j];
    for (; i < n; i++) best = l[i] > best ? l[i] : best;
    for (int j = 0; j < BLOCK; j++) best = top[j] > best ? top[j] : best;
    return best;
}

/* By id, those at most `reach` below the best as it is without penalties; 0: they are so many that all may as well be weighed. */
static size_t take_near(struct sampler *s, const float *logits, double reach, struct far *far)
{
    struct cand *v = s->cand;
    size_t n = 0;
    double best = (double)finite(highest(logits, s->nvocab));
    float cut = (float)(best - reach), low = (float)(best - 1.6 * reach);
    int some = (int)s->ntouched;
    for (int32_t i = 0; i < s->nvocab; i += BLOCK) {
        int32_t m = s->nvocab - i < BLOCK ? s->nvocab - i : BLOCK;
        const float *l = logits + i;
        if (n > (size_t)s->nvocab / 2 + BLOCK) return 0;
        if (m == BLOCK) {
            int any = 0;
            for (int j = 0; j < BLOCK; j++) any += l[j] >= low;
            if (!any) continue;
            some += any;
        } else {
            some += m;
        }
        for (int32_t j = 0; j < m; j++)
            if (l[j] >= cut && !(s->slot && s->slot[i + j]))
                v[n++] = (struct cand){finite(l[j]), i + j, 0.0};
    }
    for (size_t t = 0; t < s->ntouched; t++) { /* to their places: few, and mostly found from the end */
        const struct touched *c = &s->touched[t];
        size_t at = n;
        if (!(c->logit >= cut)) continue;
        for (; at > 0 && v[at - 1].id > c->id; at--) v[at] = v[at - 1];
        v[at] = (struct cand){finite(c->logit), c->id, 0.0};
        n++;
    }
    *far = (struct far){(size_t)s->nvocab - n, (size_t)some, cut, low};
    return n;
}

/* ---- the steps: each takes n candidates and leaves the first n' ------------------------------ */

static float best_of(const struct cand *v, size_t n)
{
    float max = -FLT_MAX;
    for (size_t i = 0; i < n; i++) max = v[i].logit > max ? v[i].logit : max;
    return max;
}

/* w = e^((l - max) / temp) for all; gives their sum. */
static double weigh(struct cand *v, size_t n, double temp)
{
    float max = best_of(v, n);
    double total = 0.0;
    for (size_t i = 0; i < n; i++) {
        v[i].w = exact_exp(((double)v[i].logit - (double)max) / temp);
        total += v[i].w;
    }
    return total;
}

/* More than what is far can weigh beside the n, and than what sums of up to a million numbers are off by. */
static double far_weight(const struct far *far, const struct cand *v, size_t n, double total, double temp)
{
    double max = (double)best_of(v, n), each = exact_exp(((double)far->cut - max) / temp);
    double others = exact_exp(((double)far->low - max) / temp);
    return (double)far->some * each + (double)far->count * others + 1e-9 * total;
}

static size_t typical(struct cand *v, size_t n, double mass)
{
    double total = weigh(v, n, 1.0), entropy = 0.0, sum = 0.0;
    float max = -FLT_MAX;
    for (size_t i = 0; i < n; i++) {
        max = v[i].logit > max ? v[i].logit : max;
        if (v[i].w > 0.0) entropy -= v[i].w / total * exact_log(v[i].w / total);
    }
    for (size_t i = 0; i < n; i++) { /* -ln p = ln total - (l - max), also where p is 0 */
        double d = exact_log(total) - ((double)v[i].logit - (double)max) - entropy;
        v[i].w = d < 0.0 ? -d : d;
    }
    size_t kept = 0;
    heapify(v, n, lighter);
    while (kept < n) {
        const struct cand *c = pop(v, n - kept, lighter);
        kept++;
        sum += exact_exp((double)c->logit - (double)max);
        if (sum > mass * total) break;
    }
    return keep_popped(v, n, kept);
}

/* Those that weigh `least` or more. Where the others together are half of what is left out anyway, none of them is among the best. */
static size_t leave_light(struct cand *v, size_t n, double least)
{
    size_t kept = 0;
    for (size_t i = 0; i < n; i++)
        if (v[i].w >= least) v[kept++] = v[i];
    return kept;
}

/* far: NULL where nothing is. 0: that could change what is kept; v is in disorder then. */
static size_t top_p(struct cand *v, size_t n, double mass, const struct far *far)
{
    double total = weigh(v, n, 1.0), sum = 0.0;
    double more = far ? far_weight(far, v, n, total, 1.0) : 0.0, less = far ? 1e-9 * total : 0.0;
    size_t kept = 0;
    int enough = 0;
    n = leave_light(v, n, 0.5 * (1.0 - mass) * total / (double)n);
    heapify(v, n, better);
    while (kept < n && !enough) {
        sum += pop(v, n - kept, better)->w;
        kept++;
        enough = sum >= mass * (total + more);
        if (!enough && sum >= mass * (total - less)) break;
    }
    return enough || !far ? keep_popped(v, n, kept) : 0;
}

static size_t min_p(struct cand *v, size_t n, double share)
{
    size_t kept = 0;
    weigh(v, n, 1.0); /* the most probable has weight 1 */
    for (size_t i = 0; i < n; i++)
        if (v[i].w >= share) v[kept++] = v[i];
    return kept;
}

/* Exclude top choices: of those above the threshold only the worst stays. */
static size_t xtc(struct cand *v, size_t n, double threshold)
{
    double bar = threshold * weigh(v, n, 1.0);
    const struct cand *last = NULL;
    size_t kept = 0;
    for (size_t i = 0; i < n; i++)
        if (v[i].w >= bar && (!last || better(last, &v[i]))) last = &v[i];
    int32_t stays = last ? last->id : -1;
    for (size_t i = 0; i < n; i++)
        if (v[i].w < bar || v[i].id == stays) v[kept++] = v[i];
    return kept;
}

/* One of n by their weights, u being in 0 .. their sum; gives its index. */
static size_t draw(const struct cand *v, size_t n, double u)
{
    double sum = 0.0;
    size_t last = 0;
    for (size_t i = 0; i < n; i++) {
        if (!(v[i].w > 0.0)) continue;
        sum += v[i].w;
        last = i;
        if (u < sum) break;
    }
    return last;
}

/* The same from those near, where u in 0..1 has been drawn. n: what is far could change it. */
static size_t draw_near(const struct cand *v, size_t n, double total, double u, double more)
{
    double low = u * (total - more), high = u * (total + more) + more, sum = 0.0;
    for (size_t i = 0; i < n; i++) {
        double before = sum;
        sum += v[i].w;
        if (sum > high) return before + more < low ? i : n;
        if (sum > low - more) return n;
    }
    return n;
}

/* ---- mirostat: steers the surprise of the chosen tokens towards tau -------------------------- */

static int32_t draw_and_learn(struct sampler *s, struct cand *v, size_t n)
{
    double total = weigh(v, n, (double)s->p.temp);
    size_t i = draw(v, n, rng_uniform(&s->rng) * total);
    double surprise = -exact_log(v[i].w / total) / EXACT_LN2;
    s->mu -= (double)s->p.mirostat_eta * (surprise - (double)s->p.mirostat_tau);
    return v[i].id;
}

/* How many of n candidates keep the surprise at mu if probabilities fall off as a power of the rank
 * with the exponent zipf (Zipf's law): (e 2^mu / (1 - N^-e))^(1 / zipf), e = zipf - 1. */
static size_t mirostat_rank(double zipf, double mu, double nvocab, size_t n)
{
    double e = zipf - 1.0, log_n = exact_log(nvocab);
    if (n < 2) return n;
    if (zipf < 1e-9) return mu * EXACT_LN2 >= log_n ? n : 1; /* all alike: 0 or infinite */
    double ratio = e < 1e-9 && e > -1e-9 ? 1.0 / log_n : e / (1.0 - exact_exp(-e * log_n));
    double log_k = (exact_log(ratio) + mu * EXACT_LN2) / zipf;
    if (log_k >= exact_log((double)n)) return n;
    double k = exact_exp(log_k);
    return k < 1.0 ? 1 : (size_t)k;
}

static int32_t mirostat_1(struct sampler *s, struct cand *v, size_t n)
{
    double tb = 0.0, tt = 0.0, temp = (double)s->p.temp;
    size_t kept = 0, m = n < 100 ? n : 100; /* the paper's m */
    float before = 0.0f;
    heapify(v, n, better);
    for (; kept < m; kept++) {
        const struct cand *c = pop(v, n - kept, better);
        if (kept) { /* ln of the ratio of neighbours' probabilities against that of their ranks */
            double t = exact_log((double)(kept + 1) / (double)kept);
            tb += t * ((double)before - (double)c->logit) / temp;
            tt += t * t;
        }
        before = c->logit;
    }
    size_t k = mirostat_rank(tt > 0.0 ? tb / tt : 0.0, s->mu, (double)s->nvocab, n);
    for (; kept < k; kept++) pop(v, n - kept, better);
    keep_popped(v, n, kept);
    return draw_and_learn(s, v, k);
}

static int32_t mirostat_2(struct sampler *s, struct cand *v, size_t n)
{
    double bar = weigh(v, n, (double)s->p.temp) * exact_exp(-s->mu * EXACT_LN2);
    if (bar > 1.0) bar = 1.0; /* the most probable has weight 1 and always stays */
    size_t kept = 0;
    for (size_t i = 0; i < n; i++)
        if (v[i].w >= bar) v[kept++] = v[i];
    return draw_and_learn(s, v, kept);
}

/* ---- all together ---------------------------------------------------------------------------- */

static int32_t finish(struct sampler *s, struct cand *v, size_t n, double u)
{
    const struct lar_sampling *p = &s->p;
    if (p->min_p > 0.0f) n = min_p(v, n, (double)p->min_p);
    if (p->xtc_probability > 0.0f && p->xtc_threshold <= 0.5f &&
        rng_uniform(&s->rng) < (double)p->xtc_probability)
        n = xtc(v, n, (double)p->xtc_threshold);
    double total = weigh(v, n, (double)p->temp);
    return v[draw(v, n, (u < 0.0 ? rng_uniform(&s->rng) : u) * total)].id;
}

/* By those near the best alone; -1: not enough of them to tell. *u becomes what was drawn on the way. */
static int32_t choose_near(struct sampler *s, const float *logits, double by, double *u)
{
    const struct lar_sampling *p = &s->p;
    struct cand *v = s->cand;
    struct far far;
    size_t n;
    if (p->top_p < 1.0f) {
        n = take_near(s, logits, by, &far);
        n = n ? top_p(v, n, (double)p->top_p, &far) : 0;
        return n ? finish(s, v, n, -1.0) : -1;
    }
    if (p->min_p > 0.0f) { /* what it keeps is all near enough, with some room for rounding */
        double bar = exact_log((double)p->min_p) - 0.01;
        n = take_near(s, logits, 0.01 - bar, &far);
        return n && (double)far.cut <= (double)best_of(v, n) + bar ? finish(s, v, n, -1.0) : -1;
    }
    n = take_near(s, logits, by * (double)p->temp, &far);
    if (n == 0) return -1;
    double total = weigh(v, n, (double)p->temp);
    if (*u < 0.0) *u = rng_uniform(&s->rng);
    size_t i = draw_near(v, n, total, *u, far_weight(&far, v, n, total, (double)p->temp));
    return i < n ? v[i].id : -1;
}

static int32_t choose(struct sampler *s, const float *logits, const uint64_t *set)
{
    const struct lar_sampling *p = &s->p;
    struct cand *v = s->cand;
    int few = s->room < (size_t)s->nvocab || p->temp == 0.0f;
    double u = -1.0;
    int all = set || p->mirostat || p->typical_p < 1.0f;
    if (p->xtc_probability > 0.0f && p->top_p >= 1.0f && p->min_p <= 0.0f) all = 1;
    for (size_t t = 0; t < sizeof near_by / sizeof *near_by && !few && !all; t++) {
        int32_t id = choose_near(s, logits, near_by[t], &u);
        if (id >= 0) return id;
    }
    size_t n = few ? take_top(s, logits, set, s->room) : take_all(s, logits, set);
    if (n == 0) return -1;
    if (p->temp == 0.0f) return v[0].id;
    if (p->mirostat) return p->mirostat == 1 ? mirostat_1(s, v, n) : mirostat_2(s, v, n);
    if (p->typical_p < 1.0f) n = typical(v, n, (double)p->typical_p);
    if (p->top_p < 1.0f) n = top_p(v, n, (double)p->top_p, NULL);
    return finish(s, v, n, u);
}

int32_t sampler_pick_of(struct sampler *s, const float *logits, const uint64_t *set)
{
    sampler_penalise(s, logits);
    int32_t id = choose(s, logits, set);
    sampler_untouch(s);
    return id;
}

int32_t sampler_pick(struct sampler *s, const float *logits) { return sampler_pick_of(s, logits, NULL); }
