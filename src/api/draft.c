/* SPDX-License-Identifier: Apache-2.0
 *
 * api/draft.c: lar/draft.h: guesses by a second model. Its sessions follow the answers' texts, go on from these greedily for a few tokens, and go back.
 *
 * A draft that is not sure guesses little: behind a token that it gives less than SURE, no more are asked for. */
#include <lar/draft.h>

#include <math.h>

#include "api/api.h"
#include "base/time.h"
#include "run/pays.h"

#define SURE 0.3f

enum { STEP = 256, MOST = 8 };

struct lar_draft {
    struct lar_batch *batch;
    struct lar_part *part; /* [answers] */
    struct lar_guess **who;
    int32_t *token; /* [STEP] */
    size_t answers, rows;
    int vocab;
};

/* ---- the same tokens ----------------------------------------------------------------------------------------------------- */

static int differs(const struct vocab *a, const struct vocab *b, int32_t id)
{
    return !str_eq(vocab_piece(a, id), vocab_piece(b, id)) || vocab_type(a, id) != vocab_type(b, id) ||
           vocab_is_end(a, id) != vocab_is_end(b, id);
}

int lar_draft_check(const struct lar_model *m, const struct lar_model *draft, struct lar_err *err)
{
    if (!m || !draft || !m->model->dev || !draft->model->dev)
        return lar_fail(err, LAR_EINVAL, "lar_draft_check: two models that can write are needed");
    int32_t n = vocab_size(m->vocab), other = vocab_size(draft->vocab);
    if (m->model->state_floats || draft->model->state_floats)
        return lar_fail(err, LAR_EUNSUPPORTED, "%s has recurrent layers, which cannot go back when a guess was wrong",
                        m->model->state_floats ? "the model" : "the draft");
    if (n != other || m->model->h.vocab != draft->model->h.vocab)
        return lar_fail(err, LAR_EINVAL, "the draft has %d tokens and the model %d: a draft must have the same ones",
                        (int)other, (int)n);
    for (int32_t id = 0; id < n; id++) {
        struct str a = vocab_piece(m->vocab, id), b = vocab_piece(draft->vocab, id);
        if (!differs(m->vocab, draft->vocab, id)) continue;
        return lar_fail(err, LAR_EINVAL,
                        "token %d is '%.*s' of the draft and '%.*s' of the model (or of another kind): a draft must "
                        "have the same ones",
                        (int)id, (int)(b.n < 40 ? b.n : 40), b.p, (int)(a.n < 40 ? a.n : 40), a.p);
    }
    return 0;
}

/* ---- opening ------------------------------------------------------------------------------------------------------------- */

static size_t rows_for(int answers) { return answers > STEP ? (size_t)answers : STEP; }

int lar_draft_open(struct lar_draft **out, struct lar_model *draft, int answers, struct lar_err *err)
{
    if (!out || !draft || answers < 1)
        return lar_fail(err, LAR_EINVAL, "lar_draft_open: out, a model and a number of answers are needed");
    struct lar_draft *d = *out = mem_zalloc(sizeof *d);
    if (!d) return lar_fail(err, LAR_ENOMEM, "draft: out of memory");
    d->answers = (size_t)answers;
    d->rows = rows_for(answers);
    struct lar_batch_options o = {.tokens = (int)d->rows, .sessions = answers, .logits = answers};
    d->part = mem_zalloc(d->answers * sizeof *d->part);
    d->who = mem_zalloc(d->answers * sizeof *d->who);
    d->token = mem_zalloc(d->rows * sizeof *d->token);
    int rc = d->part && d->who && d->token ? lar_batch_open(&d->batch, draft, &o, err)
                                           : lar_fail(err, LAR_ENOMEM, "draft: out of memory");
    d->vocab = (int)draft->model->h.vocab;
    if (rc < 0) {
        lar_draft_close(d);
        *out = NULL;
    }
    return rc;
}

void lar_draft_close(struct lar_draft *d)
{
    if (!d) return;
    lar_batch_close(d->batch);
    mem_free(d->part);
    mem_free(d->who);
    mem_free(d->token);
    mem_free(d);
}

uint64_t lar_draft_bytes(const struct lar_model *draft, int answers)
{
    return batch_bytes(draft->model, rows_for(answers), (size_t)answers, (size_t)answers);
}

/* ---- guessing ------------------------------------------------------------------------------------------------------------ */

static int32_t text_at(const struct lar_guess *g, size_t i)
{
    return i < g->npast ? g->past[i] : g->next[i - g->npast];
}

static size_t length(const struct lar_guess *g) { return g->npast + g->nnext; }

/* What the session has read that is not the text goes; at least the last token is to be read again, for its logits. */
static size_t go_back(struct lar_guess *g)
{
    size_t n = 0, same = 0, end = length(g) - 1;
    const int32_t *have = lar_session_tokens(g->session, &n);
    while (same < n && same < end && have[same] == text_at(g, same)) same++;
    if (same < n) lar_session_cut(g->session, same, NULL);
    return same;
}

/* The likeliest token, and how sure of it: 0 to 1. */
static int32_t likeliest(const float *logits, int n, float *sure)
{
    int best = 0;
    float sum = 0;
    for (int i = 1; i < n; i++)
        if (logits[i] > logits[best]) best = i;
    for (int i = 0; i < n; i++)
        if (logits[i] > logits[best] - 12.0f) sum += expf(logits[i] - logits[best]);
    *sure = 1.0f / sum; /* NaN, where all logits are, is sure of nothing */
    return best;
}

/* One step for those in who; each then has its next guess, or leaves. Gives how many are left. */
static int step(struct lar_draft *d, size_t n, struct lar_err *err)
{
    size_t left = 0;
    int rc = lar_batch_step(d->batch, d->part, n, err);
    if (rc < 0) return rc;
    for (size_t i = 0; i < n; i++) {
        struct lar_guess *g = d->who[i];
        float sure;
        if (d->part[i].rc < 0 || !d->part[i].logits) continue;
        int32_t id = likeliest(d->part[i].out, d->vocab, &sure);
        if (!(sure >= SURE)) continue;
        g->token[g->n++] = id;
        if (g->n == g->want) continue;
        d->who[left] = g;
        d->part[left++] = (struct lar_part){.session = g->session, .tokens = &g->token[g->n - 1], .n = 1, .logits = 1};
    }
    return (int)left;
}

/* A slice of each text that is not read to its end, of `most` tokens in all. Those that come to it can guess and stand in who; gives their number. */
static int read_texts(struct lar_draft *d, struct lar_guess *g, size_t n, size_t most, struct lar_err *err)
{
    size_t np = 0, used = 0;
    for (size_t i = 0; i < n; i++) {
        size_t at = go_back(&g[i]), rest = length(&g[i]) - at, room = most - used;
        g[i].n = 0;
        if (room > d->rows - used) room = d->rows - used;
        if (g[i].want < 1 || (size_t)lar_session_ctx(g[i].session) < length(&g[i]) + (size_t)g[i].want) continue;
        size_t take = rest < room ? rest : room;
        if (take == 0) continue;
        for (size_t k = 0; k < take; k++) d->token[used + k] = text_at(&g[i], at + k);
        d->who[np] = &g[i];
        d->part[np++] = (struct lar_part){
            .session = g[i].session, .tokens = d->token + used, .n = take, .logits = take == rest};
        used += take;
    }
    return np ? step(d, np, err) : 0;
}

static size_t unread(const struct lar_guess *g, size_t n)
{
    size_t all = 0, have;
    for (size_t i = 0; i < n; i++) {
        lar_session_tokens(g[i].session, &have);
        all += have < length(&g[i]) ? length(&g[i]) - have : 0;
    }
    return all;
}

int lar_draft_guess(struct lar_draft *d, struct lar_guess *g, size_t n, size_t most, double *read_ns,
                    struct lar_err *err)
{
    if (read_ns) *read_ns = 0;
    if (!d || (n && !g) || n > d->answers)
        return lar_fail(err, LAR_EINVAL, "lar_draft_guess: a draft and guesses for at most so many answers are needed");
    for (size_t i = 0; i < n; i++) {
        if (!g[i].session || length(&g[i]) == 0 || g[i].want > LAR_GUESSES_MAX)
            return lar_fail(err, LAR_EINVAL, "lar_draft_guess: guess %zu lacks its session or its text", i);
        go_back(&g[i]);
    }
    size_t slice = d->rows / 2; /* what is behind by more is read for itself */
    int64_t began = time_ns();
    int rc = 0;
    while (rc == 0 && unread(g, n) > slice && (most == 0 || most > slice)) {
        size_t now = most && most < d->rows ? most : d->rows;
        for (size_t i = 0; i < n; i++) g[i].n = 0;
        rc = read_texts(d, g, n, now, err);
        if (rc > 0) rc = 0; /* those that came to their end guess below */
        if (most) most -= now < most ? now : most - 1;
    }
    if (read_ns) *read_ns = (double)(time_ns() - began);
    if (rc == 0) rc = read_texts(d, g, n, most && most < d->rows ? most : d->rows, err);
    while (rc > 0) rc = step(d, (size_t)rc, err);
    return rc;
}

/* ---- whether it pays, and for whom ------------------------------------------------------------------------------------------ */

struct lar_pays {
    struct pays p;
};

struct lar_pays *lar_pays_open(void) { return mem_zalloc(sizeof(struct lar_pays)); }
void lar_pays_close(struct lar_pays *p) { mem_free(p); }
int lar_pays_now(struct lar_pays *p, size_t answers) { return p && pays_now(&p->p, answers); }

void lar_pays_note(struct lar_pays *p, size_t answers, int guess, double ns, double read_ns, size_t right)
{
    if (p) pays_note(&p->p, answers, guess, ns, read_ns, right);
}

int lar_session_draft(struct lar_session *s, struct lar_draft *d, struct lar_session *with, int most, int always,
                      struct lar_err *err)
{
    if (!s || (d && !with) || most < 0 || most > LAR_GUESSES_MAX)
        return lar_fail(err, LAR_EINVAL,
                        "lar_session_draft: a session, a draft with a session of its own and 0 to %d guesses are "
                        "needed",
                        LAR_GUESSES_MAX);
    int rc = d ? lar_draft_check(s->m, with->m, err) : 0;
    if (rc < 0) return rc;
    s->draft = (struct session_draft){.d = d, .with = with, .most = most ? most : MOST, .always = always};
    return 0;
}
