/* SPDX-License-Identifier: Apache-2.0
 *
 * api/writer.c: lar/batch.h's writers: a request becomes tokens, logits become a token and its text, until something ends the answer.
 *
 * Who evaluates is the caller's business: lar_generate with a session of its own, a server with steps of many. The pieces live elsewhere: the
 * draw in run/sampler, what is thinking and where to stop in run/answer.
 */
#include <lar/draft.h>

#include "api/api.h"
#include "api/guide.h"
#include "api/tools.h"
#include "base/time.h"
#include "run/lookup.h"

struct lar_writer {
    struct lar_model *m; /* a reference of its own */
    struct lar_request req;
    struct ids prompt, out;
    struct buf prompt_text, piece;
    const char **stop; /* the request's and one more; NULL: just the request's */
    struct lar_err warning;
    struct api_sampler sampler;
    struct answer answer;
    struct vocab_decoder decoder;
    struct guide guide;
    struct lookup lookup;
    size_t ctx;
    int done;
    enum lar_stop ending;
    int64_t first; /* when the first token was drawn */
};

static int on_text(void *ctx, enum answer_kind kind, const char *text, size_t n)
{
    const struct lar_request *req = ctx;
    return req->on_text(req->ctx, kind == ANSWER_THINKING ? LAR_TEXT_THINKING : LAR_TEXT_ANSWER,
                        text, n);
}

static int check(const struct lar_request *q, struct lar_err *err)
{
    if ((q->messages != NULL) + (q->chat != NULL) + (q->text != NULL) + (q->tokens != NULL) != 1)
        return lar_fail(err, LAR_EINVAL, "a request needs one of messages, chat, text and tokens");
    if (q->lookup < 0 || q->lookup > LOOKUP_MAX)
        return lar_fail(err, LAR_EINVAL, "lookup %d: use 0 (none) to %d", q->lookup, LOOKUP_MAX);
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
static int plain(struct lar_writer *w, struct lar_err *err)
{
    const struct lar_request *q = &w->req;
    w->stop = mem_alloc((q->nstop + 1) * sizeof *w->stop);
    if (!w->stop) return lar_fail(err, LAR_ENOMEM, "stop strings: out of memory");
    for (size_t i = 0; i < q->nstop; i++) w->stop[i] = q->stop[i];
    w->stop[q->nstop] = "\nUser:";
    return 0;
}

/* Jinja templates write the beginning of sequence themselves; Ollama's leave it to the tokenizer, and some write it all the same. */
static unsigned adds(const struct lar_model *m, struct str prompt)
{
    int32_t bos = vocab_special(m->vocab)->bos;
    return m->gotmpl && (bos < 0 || !str_starts(prompt, vocab_piece(m->vocab, bos))) ? VOCAB_ADD_SPECIAL : 0u;
}

static int make_prompt(struct lar_writer *w, struct lar_err *err)
{
    const struct lar_request *q = &w->req;
    const struct lar_model *m = w->m;
    unsigned flags = VOCAB_PARSE_SPECIAL | (q->text ? VOCAB_ADD_SPECIAL : 0u);
    struct chat_guard guard = {""}, *g = q->parse_special ? NULL : &guard;
    struct lar_err why = {0};
    int rc = 0;
    for (size_t i = 0; i < q->ntoken && rc == 0; i++) rc = ids_add(&w->prompt, q->tokens[i]);
    if (rc < 0) return lar_fail(err, LAR_ENOMEM, "%zu tokens: out of memory", q->ntoken);
    if (q->messages)
        rc = api_chat_format(m, q->messages, q->nmessage, q->think, g, &w->prompt_text, &why);
    else if (q->chat)
        rc = api_chat_render(m, str_of(q->chat), q->think, g, &w->prompt_text, &why);
    else if (q->text)
        buf_puts(&w->prompt_text, q->text);
    if (rc < 0) return lar_fail(err, rc, "%s", why.msg);
    w->warning = why;
    if (rc > 0) {
        flags |= VOCAB_ADD_SPECIAL; /* no template wrote the beginning of sequence */
        if ((rc = plain(w, err)) < 0) return rc;
    }
    if (w->prompt_text.failed) return lar_fail(err, LAR_ENOMEM, "prompt: out of memory");
    if (!q->tokens && !q->text) flags |= adds(m, buf_view(&w->prompt_text));
    if (!q->tokens)
        rc = vocab_encode_guarded(m->vocab, buf_view(&w->prompt_text), str_of(guard.text), flags,
                                  &w->prompt, err);
    if (rc < 0) return rc;
    if (w->prompt.n == 0)
        return lar_fail(err, LAR_EINVAL, "the prompt is empty: there is nothing to continue");
    return 0;
}

int lar_writer_open(struct lar_writer **out, struct lar_model *m, const struct lar_request *req,
                    struct lar_err *err)
{
    if (!out || !m || !req)
        return lar_fail(err, LAR_EINVAL, "lar_writer_open: out, model and request are needed");
    *out = NULL;
    int rc = check(req, err);
    if (rc < 0) return rc;
    struct lar_writer *w = mem_zalloc(sizeof *w);
    if (!w) return lar_fail(err, LAR_ENOMEM, "writer: out of memory");
    w->req = *req;
    if (req->tools && !req->grammar) w->req.grammar = api_tools_grammar(req->tools);
    w->m = m;
    w->ending = LAR_STOP_CANCEL;
    atomic_fetch_add(&m->refs, 1);
    if ((rc = make_prompt(w, err)) < 0) {
        lar_writer_close(w);
        return rc;
    }
    *out = w;
    return 0;
}

void lar_writer_close(struct lar_writer *w)
{
    if (!w) return;
    ids_done(&w->prompt);
    ids_done(&w->out);
    buf_done(&w->prompt_text);
    buf_done(&w->piece);
    mem_free(w->stop);
    answer_done(&w->answer);
    guide_done(&w->guide);
    api_sampler_done(&w->sampler);
    api_model_unref(w->m);
    mem_free(w);
}

const int32_t *lar_writer_prompt(const struct lar_writer *w, size_t *n)
{
    if (n) *n = w->prompt.n;
    return w->prompt.id;
}

static int make_sampler(struct lar_writer *w, struct lar_err *err)
{
    const struct lar_request *q = &w->req;
    struct lar_sampler_options o = {(int)w->ctx, q->bias, q->nbias, q->dry_breaker, q->ndry_breaker};
    int rc = api_sampler_init(&w->sampler, w->m, q->sampling, &o, err);
    for (size_t i = 0; rc == 0 && i < w->prompt.n; i++) api_sampler_accept(&w->sampler, w->prompt.id[i]);
    return rc;
}

/* Does the tokenizer's decoder leave out a space at the very beginning? */
static int drops_space(const struct lar_writer *w)
{
    const struct vocab *v = w->m->vocab;
    struct buf b = {0};
    int32_t id = 0, n = vocab_size(v);
    for (; id < n; id++)
        if (vocab_type(v, id) == TOKEN_NORMAL && vocab_bytes(v, id).n > 1 && *vocab_bytes(v, id).p == ' ') break;
    struct vocab_decoder d = w->decoder;
    if (id < n) vocab_decode(v, &d, id, 0, &b);
    int drops = b.n > 0 && b.p[0] != ' ';
    buf_done(&b);
    return drops;
}

int lar_writer_begin(struct lar_writer *w, int ctx, struct lar_err *err)
{
    const struct lar_request *q = &w->req;
    if (w->sampler.s) return lar_fail(err, LAR_EINVAL, "lar_writer_begin: it has begun already");
    if (ctx < 1 || w->prompt.n >= (size_t)ctx)
        return lar_fail(
            err, LAR_ELIMIT,
            "the prompt has %zu tokens and the context room for %d, the answer's first among them: shorten it or ask "
            "for a larger context",
            w->prompt.n, ctx);
    w->ctx = (size_t)ctx;
    int rc = make_sampler(w, err);
    if (rc < 0) return rc;
    /* Room for the whole answer now, so that decoding need not ask for memory. */
    size_t most = w->ctx - w->prompt.n + 1;
    if (q->max_tokens && (size_t)q->max_tokens < most) most = (size_t)q->max_tokens;
    w->out.id = mem_alloc(most * sizeof *w->out.id);
    w->out.cap = w->out.id ? most : 0;
    buf_room(&w->answer.text[ANSWER_TEXT], most * 8);
    buf_room(&w->answer.text[ANSWER_THINKING], w->m->marks.open.n ? most * 8 : 1);
    buf_room(&w->answer.hold, 4096);
    buf_room(&w->piece, 4096);

    /* Plain text goes on: the space between is part of the answer. */
    w->decoder.started = q->messages == NULL && q->chat == NULL;
    w->answer.marks = w->m->marks;
    w->answer.stop = w->stop ? w->stop : q->stop;
    w->answer.nstop = q->nstop + (w->stop != NULL);
    if (q->on_text) w->answer.on_text = on_text;
    w->answer.ctx = &w->req;
    answer_begin(&w->answer, buf_view(&w->prompt_text));
    lookup_init(&w->lookup, w->m->model->state_floats ? 0 : q->lookup); /* a recurrent state cannot go back */
    return guide_open(&w->guide, q->grammar, w->m, q->grammar && drops_space(w), err);
}

/* The tokens that the grammar allows; NULL: it could not be told. *mark: the token that would begin thinking, where it may. */
static const uint64_t *constrain(struct lar_writer *w, int32_t *mark, struct lar_err *err)
{
    const struct answer *a = &w->answer;
    if (a->state == ANSWER_THINKING) return guide_thinking(&w->guide, err);
    if (a->marks.open.n && !w->out.n && w->req.think != LAR_THINK_OFF) *mark = vocab_find(w->m->vocab, a->marks.open);
    return guide_set(&w->guide, *mark, err);
}

static int follow(struct lar_writer *w, int32_t id, struct lar_err *err)
{
    return w->guide.g ? guide_token(&w->guide, id, err) : 0;
}

/* Thinking has ended with this token: what stands behind the mark is already the answer. */
static int thought(struct lar_writer *w, struct lar_err *err)
{
    int rc = guide_text(&w->guide, buf_view(&w->answer.text[ANSWER_TEXT]), err);
    w->guide.drops = 0;
    return rc < 0 ? rc : guide_text(&w->guide, buf_view(&w->answer.hold), err);
}

static void give_text(struct lar_writer *w, int32_t id, int last)
{
    const struct vocab *v = w->m->vocab;
    const struct answer_marks *k = &w->answer.marks;
    struct str piece = vocab_piece(v, id);
    /* Marks of thinking may be control tokens, which are not text. */
    int mark = (k->open.n && (str_eq(piece, k->open) || str_eq(piece, k->close))) ||
               (w->req.tools && api_is_call_mark(w->m, id));
    buf_clear(&w->piece);
    if (!last || !vocab_is_end(v, id)) vocab_decode(v, &w->decoder, id, mark, &w->piece);
    if (last) vocab_decode_end(&w->decoder, &w->piece);
    answer_add(&w->answer, buf_view(&w->piece));
}

static int complete(struct lar_writer *w, enum lar_stop why)
{
    w->ending = why;
    w->done = 1;
    return 0;
}

int lar_writer_step(struct lar_writer *w, const float *logits, int32_t *token, struct lar_err *err)
{
    if (!w || !w->sampler.s || w->done || !logits || !token)
        return lar_fail(err, LAR_EINVAL,
                        "lar_writer_step: an answer that has begun and not ended, logits and a "
                        "place for the token are needed");
    size_t at = w->prompt.n + w->out.n; /* what is evaluated by now */
    int thinking = w->answer.state == ANSWER_THINKING, rc = 0;
    int32_t mark = -1, id;
    const uint64_t *set = NULL;
    if (w->guide.g && !(set = constrain(w, &mark, err))) return err ? err->code : LAR_ELIMIT;
    if ((id = sampler_pick_of(w->sampler.s, logits, set)) < 0)
        return lar_fail(err, LAR_EFORMAT,
                        w->guide.g ? "no token that the grammar allows has a usable probability: the model's "
                        "vocabulary "
                                     "may lack what the grammar asks for"
                                   : "the model gave no usable number for any token (all NaN): is the file damaged?");
    if (!w->first) w->first = time_ns();
    api_sampler_accept(&w->sampler, id);
    if (ids_add(&w->out, id) < 0) return lar_fail(err, LAR_ENOMEM, "answer: out of memory");
    *token = id;
    lookup_token(&w->lookup, id);
    int ends = vocab_is_end(w->m->vocab, id), full = at == w->ctx;
    int length = w->req.max_tokens && w->out.n >= (size_t)w->req.max_tokens;
    if (!ends && !thinking && id != mark && (rc = follow(w, id, err)) < 0) return rc;
    int whole = w->guide.g && !thinking && id != mark && guide_final(&w->guide);
    give_text(w, id, ends || full || length || whole);
    if (w->guide.g && thinking && !ends && w->answer.state != ANSWER_THINKING && (rc = thought(w, err)) < 0) return rc;
    if (ends || whole) return complete(w, LAR_STOP_END);
    if (w->answer.stopped) return complete(w, LAR_STOP_STRING);
    if (w->answer.refused) return complete(w, LAR_STOP_CANCEL);
    if (length) return complete(w, LAR_STOP_LENGTH);
    if (full) return complete(w, LAR_STOP_FULL);
    return 1;
}

int lar_writer_forced(struct lar_writer *w, int32_t *token, int cap, struct lar_err *err)
{
    if (!w || w->done || !w->out.n || !token || cap < 0)
        return lar_fail(err, LAR_EINVAL, "lar_writer_forced: an answer that goes on and room for tokens are needed");
    const struct answer *a = &w->answer;
    if (!w->guide.g || a->state == ANSWER_THINKING || !w->guide.begun || a->nstop) return 0;
    size_t room = w->ctx - w->prompt.n - w->out.n, n; /* never to the end: that is lar_writer_step's to say */
    if (w->req.max_tokens && (size_t)w->req.max_tokens - w->out.n < room) room = (size_t)w->req.max_tokens - w->out.n;
    room = room > 1 ? room - 1 : 0;
    if (room > (size_t)cap) room = (size_t)cap;
    n = room ? guide_forced(&w->guide, w->out.id[w->out.n - 1], token, room) : 0;
    for (size_t i = 0; i < n; i++) {
        api_sampler_accept(&w->sampler, token[i]);
        lookup_token(&w->lookup, token[i]);
        if (ids_add(&w->out, token[i]) < 0) return lar_fail(err, LAR_ENOMEM, "answer: out of memory");
        int rc = follow(w, token[i], err);
        if (rc < 0) return rc;
        give_text(w, token[i], 0);
    }
    return (int)n;
}

/* How many guesses there is room for. */
static size_t guess_room(const struct lar_writer *w, int cap)
{
    if (w->done || !w->out.n || cap < 1) return 0;
    size_t at = w->prompt.n + w->out.n, room = w->ctx > at ? w->ctx - at : 0;
    size_t most = w->req.max_tokens ? (size_t)w->req.max_tokens : SIZE_MAX;
    if (most - w->out.n < room + 1) room = most - w->out.n - 1;
    if (room > (size_t)cap) room = (size_t)cap;
    if (!rope_alike(w->m->model, at, w->ctx, at + room, w->ctx)) return 0; /* keys turned as in a longer text */
    return room;
}

int lar_writer_offer(struct lar_writer *w, const int32_t *guess, int n, int32_t *tokens, int cap)
{
    if (!w || !guess || !tokens || n < 0 || w->m->model->state_floats) return 0;
    size_t room = guess_room(w, cap), take = (size_t)n < room ? (size_t)n : room;
    int made = lookup_offer(&w->lookup, guess, take);
    memcpy(tokens, guess, (size_t)made * sizeof *tokens);
    return made;
}

int lar_writer_predict(struct lar_writer *w, const int32_t *tokens, size_t n, struct lar_err *err)
{
    if (!w || w->done || w->out.n || (n && !tokens))
        return lar_fail(err, LAR_EINVAL, "lar_writer_predict: tokens, and a writer before its first step, are needed");
    lookup_predict(&w->lookup, tokens, n);
    return 0;
}

int lar_writer_guess(struct lar_writer *w, int32_t *tokens, int cap)
{
    size_t room = w && tokens ? guess_room(w, cap) : 0;
    if (!room) return 0;
    int n = lookup_make(&w->lookup, &w->prompt, &w->out, room);
    memcpy(tokens, w->lookup.guess, (size_t)n * sizeof *tokens);
    return n;
}

int lar_writer_end(struct lar_writer *w, struct lar_result *out, struct lar_err *err)
{
    if (!w || !out) return lar_fail(err, LAR_EINVAL, "lar_writer_end: writer and out are needed");
    *out = (struct lar_result){0};
    w->done = 1;
    answer_end(&w->answer);
    if (w->answer.stopped) w->ending = LAR_STOP_STRING;
    if (w->first) out->generate_ms = time_ms_since(w->first);
    out->stop = w->ending;
    memcpy(out->warning, w->warning.msg, sizeof out->warning);
    if (w->answer.stopped && w->answer.stopped_by < w->req.nstop) out->stop_string = w->req.stop[w->answer.stopped_by];
    out->prompt_tokens = w->prompt.n;
    struct lar_sampling used = {.seed = w->req.sampling ? w->req.sampling->seed : -1}; /* of a writer that never began */
    if (w->sampler.s) sampler_used(w->sampler.s, &used);
    out->seed = used.seed;
    int rc = api_give(&w->answer.text[ANSWER_TEXT], &out->text, &out->text_n, err);
    if (rc == 0)
        rc = api_give(&w->answer.text[ANSWER_THINKING], &out->thinking, &out->thinking_n, err);
    out->tokens = w->out.id;
    out->ntoken = w->out.n;
    out->guessed = w->lookup.made;
    out->guessed_right = w->lookup.taken + (size_t)w->lookup.right;
    w->out = (struct ids){0};
    if (rc < 0) lar_result_free(out);
    return rc;
}
