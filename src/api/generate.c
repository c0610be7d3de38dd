/* SPDX-License-Identifier: Apache-2.0
 *
 * api/generate.c: a prompt in, an answer out: tokenise, bring the session up to date, then pick, decode, evaluate until something ends it.
 *
 * The pieces live elsewhere: the timeline in run/session, the draw in run/sampler, what is thinking and where to stop in run/answer.
 */
#include "api/api.h"
#include "base/time.h"
#include "run/breaker.h"
#include "run/sampler.h"

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
    struct ids prompt, out;
    struct buf prompt_text, piece;
    const char **stop; /* the request's and one more; NULL: just the request's */
    struct sampler *sampler;
    struct breaker breaker;
    struct answer answer;
    struct vocab_decoder decoder;
    struct lar_result *res;
};

static int on_text(void *ctx, enum answer_kind kind, const char *text, size_t n)
{
    const struct lar_request *req = ctx;
    return req->on_text(req->ctx, kind == ANSWER_THINKING ? LAR_TEXT_THINKING : LAR_TEXT_ANSWER,
                        text, n);
}

static void on_prompt(void *ctx, size_t done, size_t total)
{
    const struct lar_request *req = ctx;
    req->on_prompt(req->ctx, done, total);
}

static int check(const struct lar_request *q, struct lar_err *err)
{
    if ((q->messages != NULL) + (q->text != NULL) + (q->tokens != NULL) != 1)
        return lar_fail(err, LAR_EINVAL, "a request needs one of messages, text and tokens");
    if (q->max_tokens < 0)
        return lar_fail(err, LAR_EINVAL, "max_tokens %d is negative", q->max_tokens);
    for (size_t i = 0; i < q->nmessage; i++)
        if (!q->messages[i].role || !q->messages[i].content)
            return lar_fail(err, LAR_EINVAL, "message %zu lacks role or content", i);
    for (size_t i = 0; i < q->nstop; i++)
        if (!q->stop[i] || !*q->stop[i])
            return lar_fail(err, LAR_EINVAL, "stop string %zu is empty", i);
    for (size_t i = 0; i < q->ndry_breaker; i++)
        if (!q->dry_breaker || !q->dry_breaker[i] || !*q->dry_breaker[i])
            return lar_fail(err, LAR_EINVAL, "DRY's breaker %zu is empty", i);
    return 0;
}

/* The chat went out in the plain form: the model may go on with the user's next line, which ends the answer. */
static int plain(struct run *r, const struct lar_err *why, struct lar_err *err)
{
    const struct lar_request *q = r->req;
    r->stop = mem_alloc((q->nstop + 1) * sizeof *r->stop);
    if (!r->stop) return lar_fail(err, LAR_ENOMEM, "stop strings: out of memory");
    for (size_t i = 0; i < q->nstop; i++) r->stop[i] = q->stop[i];
    r->stop[q->nstop] = "\nUser:";
    memcpy(r->res->warning, why->msg, sizeof r->res->warning);
    return 0;
}

static int make_prompt(struct run *r, struct lar_err *err)
{
    const struct lar_request *q = r->req;
    const struct lar_model *m = r->s->m;
    int rc = 0;
    if (q->messages) {
        struct chat_guard guard = {""};
        struct lar_err why = {0};
        rc = api_chat_format(m, q->messages, q->nmessage, q->think, q->parse_special ? NULL : &guard, &r->prompt_text,
                             &why);
        if (rc < 0) return lar_fail(err, rc, "%s", why.msg);
        if (rc > 0) rc = plain(r, &why, err);
        if (rc == 0)
            rc = vocab_encode_guarded(m->vocab, buf_view(&r->prompt_text), str_of(guard.text), VOCAB_PARSE_SPECIAL,
                                      &r->prompt, err);
    } else if (q->text) {
        buf_puts(&r->prompt_text, q->text);
        rc = vocab_encode(m->vocab, buf_view(&r->prompt_text),
                          VOCAB_PARSE_SPECIAL | VOCAB_ADD_SPECIAL, &r->prompt, err);
    } else {
        for (size_t i = 0; i < q->ntoken && rc == 0; i++) rc = ids_add(&r->prompt, q->tokens[i]);
        if (rc < 0) lar_fail(err, LAR_ENOMEM, "%zu tokens: out of memory", q->ntoken);
    }
    if (rc < 0) return rc;
    if (r->prompt_text.failed) return lar_fail(err, LAR_ENOMEM, "prompt: out of memory");
    if (r->prompt.n == 0)
        return lar_fail(err, LAR_EINVAL, "the prompt is empty: there is nothing to continue");
    if (r->prompt.n >= r->s->s.ctx)
        return lar_fail(
            err, LAR_ELIMIT,
            "the prompt has %zu tokens and the context room for %zu: shorten it or ask for a larger context",
            r->prompt.n, r->s->s.ctx);
    return 0;
}

static void accept(struct run *r, int32_t id)
{
    sampler_accept(r->sampler, id);
    if (breaker_feed(&r->breaker, vocab_bytes(r->s->m->vocab, id))) sampler_break(r->sampler);
}

static int make_sampler(struct run *r, struct lar_err *err)
{
    struct lar_sampling p;
    if (r->req->sampling)
        p = *r->req->sampling;
    else
        lar_sampling_default(&p, r->s->m);
    struct ids ids = {0};
    int rc = 0;
    if (p.dry_multiplier > 0) {
        breaker_init(&r->breaker, r->req->dry_breaker, r->req->ndry_breaker);
        if (breaker_tokens(&r->breaker, r->s->m->vocab, &ids) < 0)
            rc = lar_fail(err, LAR_ENOMEM, "DRY's breakers: out of memory");
    }
    if (rc == 0)
        rc = sampler_open(&r->sampler, (int32_t)r->s->s.model->h.vocab, &p, (int)r->s->s.ctx,
                          ids.id, ids.n, err);
    ids_done(&ids);
    for (size_t i = 0; rc == 0 && i < r->prompt.n; i++) accept(r, r->prompt.id[i]);
    return rc;
}

static void give_text(struct run *r, int32_t id, int last)
{
    const struct vocab *v = r->s->m->vocab;
    const struct answer_marks *k = &r->answer.marks;
    struct str piece = vocab_piece(v, id);
    /* Marks of thinking may be control tokens, which are not text. */
    int mark = k->open.n && (str_eq(piece, k->open) || str_eq(piece, k->close));
    buf_clear(&r->piece);
    if (!last || !vocab_is_end(v, id)) vocab_decode(v, &r->decoder, id, mark, &r->piece);
    if (last) vocab_decode_end(&r->decoder, &r->piece);
    answer_add(&r->answer, buf_view(&r->piece));
}

static int decode_loop(struct run *r, int64_t start, struct lar_err *err)
{
    struct session *s = &r->s->s;
    const struct lar_request *q = r->req;
    struct lar_result *res = r->res;
    int64_t first = 0;
    for (;;) {
        int32_t id = sampler_pick(r->sampler, session_logits(s));
        if (id < 0)
            return lar_fail(
                err, LAR_EFORMAT,
                "the model gave no usable number for any token (all NaN): is the file damaged?");
        if (!first) {
            first = time_ns();
            res->first_token_ms = time_ms_since(start);
        }
        accept(r, id);
        if (ids_add(&r->out, id) < 0) return lar_fail(err, LAR_ENOMEM, "answer: out of memory");
        int ends = vocab_is_end(r->s->m->vocab, id);
        int full = s->n == s->ctx, length = q->max_tokens && r->out.n >= (size_t)q->max_tokens;
        give_text(r, id, ends || full || length);
        res->stop = LAR_STOP_END;
        if (ends) break;
        res->stop = LAR_STOP_STRING;
        if (r->answer.stopped) break;
        res->stop = LAR_STOP_CANCEL;
        if (r->answer.refused || atomic_load(&s->cancel)) break;
        res->stop = LAR_STOP_LENGTH;
        if (length) break;
        res->stop = LAR_STOP_FULL;
        if (full) break;
        int rc = session_extend(s, &id, 1, NULL, NULL, NULL, err);
        if (rc == LAR_ECANCEL) {
            res->stop = LAR_STOP_CANCEL;
            break;
        }
        if (rc < 0) return rc;
    }
    answer_end(&r->answer);
    if (r->answer.stopped) res->stop = LAR_STOP_STRING;
    res->generate_ms = time_ms_since(first);
    return 0;
}

/* The texts and ids become the caller's. */
static int give_result(struct run *r, struct lar_err *err)
{
    struct lar_result *res = r->res;
    int rc = api_give(&r->answer.text[ANSWER_TEXT], &res->text, &res->text_n, err);
    if (rc == 0)
        rc = api_give(&r->answer.text[ANSWER_THINKING], &res->thinking, &res->thinking_n, err);
    res->tokens = r->out.id;
    res->ntoken = r->out.n;
    r->out = (struct ids){0};
    res->prompt_tokens = r->prompt.n;
    return rc;
}

static int generate(struct run *r, struct lar_err *err)
{
    const struct lar_request *q = r->req;
    int64_t start = time_ns();
    int rc;
    if ((rc = make_prompt(r, err)) < 0 || (rc = make_sampler(r, err)) < 0) return rc;
    /* Room for the whole answer now, so that decoding need not ask for memory. */
    size_t most = r->s->s.ctx - r->prompt.n + 1;
    if (q->max_tokens && (size_t)q->max_tokens < most) most = (size_t)q->max_tokens;
    r->out.id = mem_alloc(most * sizeof *r->out.id);
    r->out.cap = r->out.id ? most : 0;
    buf_room(&r->answer.text[ANSWER_TEXT], most * 8);
    buf_room(&r->answer.text[ANSWER_THINKING], r->s->m->marks.open.n ? most * 8 : 1);
    buf_room(&r->answer.hold, 4096);
    buf_room(&r->piece, 4096);

    r->decoder.started =
        q->messages == NULL; /* plain text goes on: the space between is part of the answer */
    r->answer.marks = r->s->m->marks;
    r->answer.stop = r->stop ? r->stop : q->stop;
    r->answer.nstop = q->nstop + (r->stop != NULL);
    if (q->on_text) r->answer.on_text = on_text;
    r->answer.ctx = (void *)(uintptr_t)q; /* on_text only reads it */
    answer_begin(&r->answer, buf_view(&r->prompt_text));

    int64_t t = time_ns();
    rc = session_sync(&r->s->s, r->prompt.id, r->prompt.n, q->on_prompt ? on_prompt : NULL,
                      (void *)(uintptr_t)q, err);
    if (rc < 0) return rc;
    r->res->prompt_reused = r->prompt.n - (size_t)rc;
    r->res->prompt_ms = time_ms_since(t);
    rc = decode_loop(r, start, err);
    return rc < 0 ? rc : give_result(r, err);
}

int lar_generate(struct lar_session *s, const struct lar_request *req, struct lar_result *out,
                 struct lar_err *err)
{
    if (!s || !req || !out)
        return lar_fail(err, LAR_EINVAL, "lar_generate: session, request and out are needed");
    *out = (struct lar_result){0};
    int rc = check(req, err);
    if (rc < 0) return rc;
    atomic_store(&s->s.cancel, 0);
    struct run r = {.s = s, .req = req, .res = out};
    rc = generate(&r, err);
    ids_done(&r.prompt);
    ids_done(&r.out);
    buf_done(&r.prompt_text);
    buf_done(&r.piece);
    mem_free(r.stop);
    answer_done(&r.answer);
    sampler_close(r.sampler);
    breaker_done(&r.breaker);
    if (rc < 0) lar_result_free(out);
    return rc;
}
