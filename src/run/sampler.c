/* SPDX-License-Identifier: Apache-2.0
 *
 * run/sampler.c: the sampler's settings, its history, and the penalties for repeating it.
 *
 * Logits are never copied: the penalties concern only tokens of the history, so changed logits
 * stand in a short list (touched) that the choosing in sampler_pick.c lays over the model's. Counts
 * of the window are kept up to date as tokens come and go, so a long window costs nothing.
 */
#include "run/sampler.h"

#include <errno.h>
#include <float.h>
#include <math.h>
#include <string.h>
#include <sys/random.h>

#include "base/exact.h"
#include "base/num.h"
#include "run/sampler_state.h"

#define DRY_PENALTY_MAX 1e30 /* far below any logit, and still finite */

void sampler_default(struct lar_sampling *p)
{
    *p = (struct lar_sampling){
        .temp = 0.8f,
        .top_k = 40,
        .top_p = 0.95f,
        .min_p = 0.05f,
        .typical_p = 1.0f,
        .repeat_penalty = 1.0f,
        .repeat_last_n = 64,
        .dry_base = 1.75f,
        .dry_allowed_length = 2,
        .dry_penalty_last_n = -1,
        .xtc_threshold = 0.1f,
        .mirostat_tau = 5.0f,
        .mirostat_eta = 0.1f,
        .seed = -1,
    };
}

int sampler_check(const struct lar_sampling *p, struct lar_err *err)
{
    const struct {
        const char *name;
        double v, lo, hi;
    } range[] = {
        {"temp", (double)p->temp, 0, 1000},
        {"top_k", p->top_k, 0, INT32_MAX},
        {"top_p", (double)p->top_p, 0, 1},
        {"min_p", (double)p->min_p, 0, 1},
        {"typical_p", (double)p->typical_p, 0, 1},
        {"repeat_penalty", (double)p->repeat_penalty, 0.01, 100},
        {"repeat_last_n", p->repeat_last_n, -1, INT32_MAX},
        {"presence_penalty", (double)p->presence_penalty, -100, 100},
        {"frequency_penalty", (double)p->frequency_penalty, -100, 100},
        {"dry_multiplier", (double)p->dry_multiplier, 0, 1000},
        {"dry_base", (double)p->dry_base, 1, 1000},
        {"dry_allowed_length", p->dry_allowed_length, 0, INT32_MAX},
        {"dry_penalty_last_n", p->dry_penalty_last_n, -1, INT32_MAX},
        {"xtc_probability", (double)p->xtc_probability, 0, 1},
        {"xtc_threshold", (double)p->xtc_threshold, 0, 1},
        {"mirostat", p->mirostat, 0, 2},
        {"mirostat_tau", (double)p->mirostat_tau, 0, 100},
        {"mirostat_eta", (double)p->mirostat_eta, 0, 100},
    };
    for (size_t i = 0; i < sizeof range / sizeof *range; i++)
        if (!(range[i].v >= range[i].lo && range[i].v <= range[i].hi)) /* NaN is in no range */
            return lar_fail(err, LAR_EINVAL, "%s is %s, expected %s%s%s", range[i].name, num_show(range[i].v).z,
                            num_show(range[i].lo).z, range[i].hi < INT32_MAX ? " to " : " or more",
                            range[i].hi < INT32_MAX ? num_show(range[i].hi).z : "");
    return LAR_OK;
}

/* ---- life ------------------------------------------------------------------------------------ */

static size_t window(int last_n, int ctx)
{
    return last_n < 0 || last_n > ctx ? (size_t)ctx : (size_t)last_n;
}

static int has_penalties(const struct lar_sampling *p)
{
    return p->repeat_penalty != 1.0f || p->presence_penalty != 0.0f || p->frequency_penalty != 0.0f;
}

/* How many candidates there can be at once. */
static size_t candidates(const struct lar_sampling *p, int32_t nvocab)
{
    if (p->temp == 0.0f) return 1;
    if (p->mirostat || p->top_k == 0 || p->top_k > nvocab) return (size_t)nvocab;
    return (size_t)p->top_k;
}

static int take_memory(struct sampler *s)
{
    size_t n = (size_t)s->nvocab;
    struct arena *a = &s->a;
    s->cand = arena_array(a, s->room, sizeof *s->cand);
    if (!s->cand) return -1;
    if (!s->past_room) return 0;
    size_t distinct = s->past_room < n ? s->past_room : n;
    s->past = arena_array(a, s->past_room, sizeof *s->past);
    s->slot = arena_array(a, n, sizeof *s->slot);
    s->touched = arena_array(a, distinct, sizeof *s->touched);
    if (!s->past || !s->slot || !s->touched) return -1;
    if (s->repeat_n) {
        s->tally = arena_array(a, n, sizeof *s->tally);
        s->seen = arena_array(a, distinct, sizeof *s->seen);
        if (!s->tally || !s->seen) return -1;
    }
    if (s->dry_n) {
        s->breaker = arena_array(a, n, 1);
        s->back = arena_array(a, s->dry_n, sizeof *s->back);
        s->z = arena_array(a, s->dry_n, sizeof *s->z);
        if (!s->breaker || !s->back || !s->z) return -1;
    }
    return 0;
}

static int choose_seed(struct sampler *s, struct lar_err *err)
{
    uint64_t seed;
    ssize_t n;
    if (s->p.seed >= 0) return LAR_OK;
    do n = getrandom(&seed, sizeof seed, 0);
    while (n < 0 && errno == EINTR);
    if (n != sizeof seed)
        return lar_fail_errno(err, "no random numbers from the system for a seed: set one");
    s->p.seed = (int64_t)(seed >> 11); /* 53 bits: a double of somebody's JSON reader holds it */
    return LAR_OK;
}

int sampler_open(struct sampler **out, int32_t nvocab, const struct lar_sampling *p, int ctx,
                 const int32_t *breaker, size_t nbreaker, struct lar_err *err)
{
    *out = NULL;
    int rc = sampler_check(p, err);
    if (rc < 0) return rc;
    if (nvocab < 1 || ctx < 1)
        return lar_fail(err, LAR_EINVAL, "a sampler of %d tokens and %d of context", nvocab, ctx);
    struct sampler *s = mem_zalloc(sizeof *s);
    if (!s) return lar_fail(err, LAR_ENOMEM, "sampler: out of memory");
    arena_init(&s->a, 0);
    s->p = *p;
    s->nvocab = nvocab;
    s->room = candidates(p, nvocab);
    s->repeat_n = has_penalties(p) ? window(p->repeat_last_n, ctx) : 0;
    s->dry_n = p->dry_multiplier > 0.0f ? window(p->dry_penalty_last_n, ctx) : 0;
    s->past_room = s->repeat_n > s->dry_n ? s->repeat_n : s->dry_n;
    rc = choose_seed(s, err);
    if (rc == LAR_OK && take_memory(s))
        rc = lar_fail(err, LAR_ENOMEM, "sampler for %d tokens: out of memory", nvocab);
    if (rc < 0) {
        sampler_close(s);
        return rc;
    }
    for (size_t i = 0; i < nbreaker && s->dry_n; i++)
        if (breaker[i] >= 0 && breaker[i] < nvocab) s->breaker[breaker[i]] = 1;
    sampler_reset(s);
    *out = s;
    return LAR_OK;
}

int sampler_bias(struct sampler *s, const struct lar_bias *bias, size_t n, struct lar_err *err)
{
    size_t vocab = (size_t)s->nvocab, past = s->past_room < vocab ? s->past_room : vocab;
    for (size_t i = 0; i < n; i++)
        if (bias[i].token < 0 || bias[i].token >= s->nvocab || !isfinite(bias[i].add))
            return lar_fail(err, LAR_EINVAL,
                            "bias %zu is for token %d; ids of this model are 0 to %d, and the "
                            "number must be finite",
                            i, bias[i].token, s->nvocab - 1);
    if (n == 0) return 0;
    if (!s->slot) s->slot = arena_array(&s->a, vocab, sizeof *s->slot);
    s->touched = arena_array(&s->a, past + n, sizeof *s->touched);
    s->bias = arena_array(&s->a, n, sizeof *s->bias);
    if (!s->slot || !s->touched || !s->bias) return lar_fail(err, LAR_ENOMEM, "bias: out of memory");
    memcpy(s->bias, bias, n * sizeof *bias);
    s->nbias = n;
    return 0;
}

void sampler_close(struct sampler *s)
{
    if (!s) return;
    arena_done(&s->a);
    mem_free(s);
}

void sampler_used(const struct sampler *s, struct lar_sampling *out) { *out = s->p; }

void sampler_reset(struct sampler *s)
{
    for (size_t i = 0; i < s->nseen; i++) s->tally[s->seen[i]].count = 0;
    s->nseen = 0;
    s->past_n = s->past_at = 0;
    s->unbroken = SIZE_MAX;
    s->mu = 2.0 * (double)s->p.mirostat_tau;
    rng_seed(&s->rng, (uint64_t)s->p.seed);
}

/* ---- history --------------------------------------------------------------------------------- */

/* The token that stands i places before the end; 0: the last. */
static int32_t back(const struct sampler *s, size_t i)
{
    size_t at = s->past_at + s->past_room - 1 - i;
    return s->past[at >= s->past_room ? at - s->past_room : at];
}

static void count_in(struct sampler *s, int32_t id)
{
    struct tally *t = &s->tally[id];
    if (t->count++) return;
    t->where = (int32_t)s->nseen;
    s->seen[s->nseen++] = id;
}

static void count_out(struct sampler *s, int32_t id)
{
    struct tally *t = &s->tally[id];
    if (--t->count) return;
    int32_t last = s->seen[--s->nseen];
    s->seen[t->where] = last;
    s->tally[last].where = t->where;
}

void sampler_accept(struct sampler *s, int32_t id)
{
    if (!s->past_room || id < 0 || id >= s->nvocab) return;
    if (s->repeat_n) {
        if (s->past_n >= s->repeat_n) count_out(s, back(s, s->repeat_n - 1));
        count_in(s, id);
    }
    s->past[s->past_at] = id;
    s->past_at = s->past_at + 1 == s->past_room ? 0 : s->past_at + 1;
    if (s->past_n < s->past_room) s->past_n++;
    if (s->unbroken < SIZE_MAX) s->unbroken++;
}

void sampler_break(struct sampler *s) { s->unbroken = 0; }

/* ---- penalties ------------------------------------------------------------------------------- */

static struct touched *touch(struct sampler *s, const float *logits, int32_t id)
{
    if (!s->slot[id]) {
        s->touched[s->ntouched] = (struct touched){logits[id], id, -1};
        s->slot[id] = (int32_t)++s->ntouched;
    }
    return &s->touched[s->slot[id] - 1];
}

static void penalise_repeats(struct sampler *s, const float *logits)
{
    const struct lar_sampling *p = &s->p;
    for (size_t i = 0; i < s->nseen; i++) {
        struct touched *t = touch(s, logits, s->seen[i]);
        float count = (float)s->tally[t->id].count;
        t->logit = t->logit > 0.0f ? t->logit / p->repeat_penalty : t->logit * p->repeat_penalty;
        t->logit -= p->presence_penalty + count * p->frequency_penalty;
    }
}

/* z[i]: how many tokens of r, from i on, equal r's beginning (the Z algorithm, linear in n). */
static void match_lengths(const int32_t *r, size_t n, int32_t *z)
{
    size_t from = 0, to = 0; /* the match that reaches furthest: r[from..to) equals r[0..to-from) */
    z[0] = (int32_t)n;
    for (size_t i = 1; i < n; i++) {
        size_t k = 0;
        if (i < to) {
            k = (size_t)z[i - from];
            if (k > to - i) k = to - i;
        }
        while (i + k < n && r[i + k] == r[k]) k++;
        z[i] = (int32_t)k;
        if (i + k > to) {
            from = i;
            to = i + k;
        }
    }
}

/* With the history read backwards an earlier occurrence of its end begins at i, z[i] tokens long,
 * and the token that followed it then is r[i - 1]. */
static void penalise_sequences(struct sampler *s, const float *logits)
{
    size_t n = s->past_n < s->dry_n ? s->past_n : s->dry_n, limit = 0;
    int32_t allowed = s->p.dry_allowed_length, *r = s->back;
    for (size_t i = 0; i < n; i++) r[i] = back(s, i);
    while (limit < n && limit < s->unbroken && !s->breaker[r[limit]]) limit++;
    if (n <= (size_t)allowed || limit < (size_t)allowed) return;
    match_lengths(r, n, s->z);
    for (size_t i = 1; i < n; i++) {
        int32_t length = s->z[i] < (int32_t)limit ? s->z[i] : (int32_t)limit;
        if (length < allowed || s->breaker[r[i - 1]]) continue;
        struct touched *t = touch(s, logits, r[i - 1]);
        if (length > t->repeat) t->repeat = length;
    }
    for (size_t i = 0; i < s->ntouched; i++) {
        struct touched *t = &s->touched[i];
        if (t->repeat < 0) continue;
        double penalty = (double)s->p.dry_multiplier *
                         exact_power((double)s->p.dry_base, t->repeat - allowed);
        t->logit -= (float)(penalty < DRY_PENALTY_MAX ? penalty : DRY_PENALTY_MAX);
    }
}

void sampler_penalise(struct sampler *s, const float *logits)
{
    for (size_t i = 0; i < s->nbias; i++) touch(s, logits, s->bias[i].token)->logit += s->bias[i].add;
    if (s->repeat_n) penalise_repeats(s, logits);
    if (s->dry_n) penalise_sequences(s, logits);
}

void sampler_untouch(struct sampler *s)
{
    for (size_t i = 0; i < s->ntouched; i++) s->slot[s->touched[i].id] = 0;
    s->ntouched = 0;
}
