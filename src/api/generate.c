/* SPDX-License-Identifier: Apache-2.0
 *
 * api/generate.c: a prompt in, an answer out: bring the session up to date, then draw and evaluate until something ends it.
 *
 * What is drawn and what text it is belongs to api/writer.c.
 */
#include <lar/draft.h>

#include "api/api.h"
#include "base/time.h"
#include "run/lookup.h"

const char *lar_stop_name(enum lar_stop s)
{
    static const char *const name[] = {"end", "string", "length", "context", "cancel"};
    return (unsigned)s < sizeof name / sizeof *name ? name[s] : "";
}

void lar_result_free(struct lar_result *r)
{
    if (!r) return;
    mem_free(r->text);
    mem_free(r->thinking);
    mem_free(r->tokens);
    *r = (struct lar_result){0};
}

struct run {
    struct lar_session *s;
    const struct lar_request *req;
    struct lar_writer *w;
    size_t reused;
    double prompt_ms, first_token_ms;
    int want; /* guesses of the draft next */
};

static void on_prompt(void *ctx, size_t done, size_t total)
{
    const struct lar_request *req = ctx;
    req->on_prompt(req->ctx, done, total);
}

static int evaluate_prompt(struct run *r, struct lar_err *err)
{
    size_t n;
    const int32_t *prompt = lar_writer_prompt(r->w, &n);
    int64_t t = time_ns();
    int rc = session_sync(&r->s->s, prompt, n, r->req->on_prompt ? on_prompt : NULL,
                          (void *)(uintptr_t)r->req, err);
    if (rc < 0) return rc;
    r->reused = n - (size_t)rc;
    r->prompt_ms = time_ms_since(t);
    return 0;
}

enum { AHEAD = 64 }; /* tokens of a step: drawn, forced by a grammar, guessed */

/* One step's tokens: `sure` ones that are the answer's, then guesses. rows [1 + LOOKUP_MAX][vocab]: logits after the last sure one and each
 * guess, where there are guesses. */
struct ahead {
    int32_t id[AHEAD];
    int sure, n;
    float *rows;
    /* of a draft's guesses, in this step */
    int drafts, right;
    double read_ns;
    int64_t began;
};

static int evaluate(struct run *r, struct ahead *a, struct lar_err *err)
{
    struct session *s = &r->s->s;
    int guesses = a->n - a->sure, rc = 0;
    if (!guesses) return session_extend(s, a->id, (size_t)a->n, NULL, NULL, NULL, err);
    if (a->sure > 1) rc = session_extend(s, a->id, (size_t)a->sure - 1, NULL, NULL, NULL, err);
    return rc < 0 ? rc : session_extend(s, a->id + a->sure - 1, (size_t)guesses + 1, a->rows, NULL, NULL, err);
}

/* What the draft guesses goes behind the sure tokens. */
static int guess_by_draft(struct run *r, struct ahead *a, struct lar_err *err)
{
    struct session_draft *k = &r->s->draft;
    a->began = time_ns();
    a->drafts = 1 + (k->always || pays_now(&k->pays, 1));
    a->read_ns = 0;
    if (a->drafts == 1) return 1;
    struct lar_guess g = {.session = k->with,
                          .past = r->s->s.tokens,
                          .npast = r->s->s.n,
                          .next = a->id,
                          .nnext = (size_t)a->sure,
                          .want = r->want};
    int rc = lar_draft_guess(k->d, &g, 1, 0, &a->read_ns, err);
    if (rc < 0) return rc;
    a->n = a->sure + lar_writer_offer(r->w, g.token, g.n, a->id + a->sure, LOOKUP_MAX);
    return 1;
}

/* The step is over, and so many of its guesses were right. */
static void note_step(struct run *r, struct ahead *a, int right)
{
    int made = a->n - a->sure, most = r->s->draft.most;
    if (!a->drafts) return;
    pays_note(&r->s->draft.pays, 1, a->drafts > 1, (double)(time_ns() - a->began), a->read_ns, (size_t)right);
    if (made) r->want = right == made ? r->want + 1 : right + 1;
    if (r->want > most) r->want = most;
    a->drafts = 0;
}

/* Draws from the logits that are there, as long as the guesses are right. 1: a->id[0 .. a->sure - 1] are to be evaluated next; 0: the answer is
 * complete. The timeline then is what the answer is so far. */
static int draw(struct run *r, struct ahead *a, int64_t start, struct lar_err *err)
{
    struct session *s = &r->s->s;
    size_t vocab = s->model->h.vocab;
    const float *logits = a->n > a->sure ? a->rows : session_logits(s);
    int32_t next[AHEAD];
    int at = a->sure, more = 0, same = 0, rc;
    while ((rc = lar_writer_step(r->w, logits, next, err)) > 0) {
        if (r->first_token_ms == 0) r->first_token_ms = time_ms_since(start);
        int forced = r->req->grammar ? lar_writer_forced(r->w, next + 1, AHEAD - LOOKUP_MAX - 1, err) : 0;
        if (forced < 0) {
            rc = forced;
            break;
        }
        more = 1 + forced;
        for (same = 0; same < more && at < a->n && a->id[at] == next[same]; same++) at++;
        if (same < more) break;
        logits = a->rows + (size_t)(at - a->sure) * vocab;
    }
    session_cut(s, s->n - (size_t)(a->n - at));
    note_step(r, a, at - a->sure);
    if (rc <= 0) return rc;
    a->sure = more - same;
    memcpy(a->id, next + same, (size_t)a->sure * sizeof *next);
    a->n = a->sure + lar_writer_guess(r->w, a->id + a->sure, LOOKUP_MAX);
    return a->n == a->sure && r->s->draft.d ? guess_by_draft(r, a, err) : 1;
}

static int decode(struct run *r, int64_t start, struct lar_err *err)
{
    struct session *s = &r->s->s;
    struct ahead a = {.rows = NULL};
    size_t bytes;
    int rc;
    r->want = r->s->draft.most < 4 ? r->s->draft.most : 4;
    if ((r->req->lookup || r->s->draft.d) && (mul_size((1 + LOOKUP_MAX) * sizeof *a.rows, s->model->h.vocab, &bytes) ||
                           !(a.rows = mem_alloc(bytes))))
        return lar_fail(err, LAR_ENOMEM, "logits of guesses: out of memory");
    while ((rc = draw(r, &a, start, err)) > 0) {
        if (atomic_load(&s->cancel)) rc = LAR_ECANCEL;
        if (rc < 0 || (rc = evaluate(r, &a, err)) < 0) break;
    }
    mem_free(a.rows);
    if (r->first_token_ms == 0) r->first_token_ms = time_ms_since(start);
    return rc == LAR_ECANCEL ? 0 : rc;
}

int lar_generate(struct lar_session *s, const struct lar_request *req, struct lar_result *out,
                 struct lar_err *err)
{
    if (!s || !req || !out)
        return lar_fail(err, LAR_EINVAL, "lar_generate: session, request and out are needed");
    *out = (struct lar_result){0};
    atomic_store(&s->s.cancel, 0);
    struct run r = {.s = s, .req = req};
    int64_t start = time_ns();
    int rc = lar_writer_open(&r.w, s->m, req, err);
    if (rc == 0) rc = lar_writer_begin(r.w, (int)s->s.ctx, err);
    if (rc == 0) rc = evaluate_prompt(&r, err);
    if (rc == 0) rc = decode(&r, start, err);
    if (rc == 0) rc = lar_writer_end(r.w, out, err);
    lar_writer_close(r.w);
    if (rc < 0) return rc;
    out->prompt_reused = r.reused;
    out->prompt_ms = r.prompt_ms;
    out->first_token_ms = r.first_token_ms;
    return 0;
}
