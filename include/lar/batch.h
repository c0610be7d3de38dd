/* SPDX-License-Identifier: Apache-2.0
 *
 * lar/batch.h: many sessions at once, for those who write servers and schedulers. Everything else is in lar/lar.h.
 */
#ifndef LAR_BATCH_H
#define LAR_BATCH_H

#include <lar/lar.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A step evaluates tokens of many sessions of one model together: the next token of some, slices of the prompts of others, in any mixture.
 * Weights are read once for all of them. Each session gets what it would get alone, but for the order of float additions. Who goes into
 * which step is the caller's to decide. */
struct lar_batch;

struct lar_batch_options {
    int tokens;   /* most tokens of a step, all sessions together; 0: 512 */
    int sessions; /* most sessions of a step; 0: 64 */
    int logits;   /* most rows of logits of a step; 0: as many as sessions */
};

/* All memory that steps need is taken here. The model lives on until the last batch is closed. */
LAR_API int lar_batch_open(struct lar_batch **out, struct lar_model *m,
                           const struct lar_batch_options *opt, struct lar_err *err);
LAR_API void lar_batch_close(struct lar_batch *b);

struct lar_part {
    struct lar_session *session;
    const int32_t *tokens; /* to append to its timeline */
    size_t n;              /* 1 or more */
    size_t logits;         /* of how many of them, the last ones, logits are wanted: 0 within a prompt, 1 at its end and for a next token */
    int prompt_end;        /* a prompt ends with these: models with recurrent layers then can go back to this place */
    /* results */
    int rc;                /* LAR_OK, or why this part was left out: LAR_ELIMIT (no room), LAR_EINVAL, LAR_ECANCEL (lar_session_cancel) */
    struct lar_err why;    /* the same in words */
    const float *out;      /* [logits][vocab], until the batch's next step; lar_session_logits has the last one */
};

/* One step. Gives the number of parts that went; a part that cannot go is left out and the others are not touched by it. LAR_EINVAL, and
 * nothing is done, when the parts are more than the batch was opened for, of another model, or of sessions with different kinds of key and
 * value memory. A session may be in a step once, and must not be in use by another thread; batches of one model take turns. */
LAR_API int lar_batch_step(struct lar_batch *b, struct lar_part *part, size_t npart,
                           struct lar_err *err);
/* Cuts the session's timeline to the longest beginning that it shares with tokens, but leaves at least the last of them to be evaluated.
 * Gives how many of the tokens are there: go on with tokens + that. Ends an earlier lar_session_cancel. */
LAR_API int64_t lar_session_reuse(struct lar_session *s, const int32_t *tokens, size_t n);
/* Takes the tokens from position n on off the timeline. LAR_EUNSUPPORTED, and nothing is done, for a model with recurrent layers: see
 * lar_session_reuse. */
LAR_API int lar_session_cut(struct lar_session *s, size_t n, struct lar_err *err);
/* Makes the timeline of s (of the same model and kind of key and value memory) begin as from's does, for as many of tokens as they share
 * (all but the last of them at most) and as s has room for, without evaluating or copying: memory is shared until one of them goes on. Gives
 * how many are there. A model with recurrent layers shares up to a place that it can go back to. Ends an earlier lar_session_cancel of s. */
LAR_API int64_t lar_session_fork(struct lar_session *s, const struct lar_session *from,
                                 const int32_t *tokens, size_t n, struct lar_err *err);
/* How many tokens lar_session_fork would give (room aside), to a session with the same adapters (lar/lora.h). */
LAR_API int64_t lar_session_shared(const struct lar_session *from, const int32_t *tokens, size_t n);

/* ---- timelines kept elsewhere ----------------------------------------------------------------------------------------- */

/* What keys and values follow from beside tokens, as a SHA-256 in hexadecimal, terminated: model, adapters, their kind, the CPU level. Slices of
 * timelines with equal identities and equal tokens up to their end are equal. */
#define LAR_IMAGE_ID 65
LAR_API int lar_session_identity(const struct lar_session *s, char id[LAR_IMAGE_ID], struct lar_err *err);
/* Where slices may end: 0 for anywhere. A model with recurrent layers gives the number of places (3 at most, the timeline's end first), and a slice
 * then begins at 0. */
LAR_API int lar_session_places(const struct lar_session *s, size_t place[3]);
/* The n tokens from position from on as bytes: gives their number, and writes them when room is enough. */
LAR_API int64_t lar_session_pack(const struct lar_session *s, size_t from, size_t n, void *out, size_t room,
                                 struct lar_err *err);
/* Appends such a slice to a timeline that is as long as where it began; gives its number of tokens. Whatever the bytes are, this is safe;
 * errors as for lar_session_load, and then nothing has changed. */
LAR_API int64_t lar_session_unpack(struct lar_session *s, const void *p, size_t bytes, struct lar_err *err);

/* ---- one answer, token by token --------------------------------------------------------------------------------------- */

/* A writer is lar_generate without the evaluating: it turns a request into the prompt's tokens, draws from logits, and gives out text, telling
 * thinking from answer and finding stop strings. One thread at a time. */
struct lar_writer;

/* What req points to (except its prompt) must live until the writer is closed; its on_prompt is not used. */
LAR_API int lar_writer_open(struct lar_writer **out, struct lar_model *m,
                            const struct lar_request *req, struct lar_err *err);
LAR_API void lar_writer_close(struct lar_writer *w);
LAR_API const int32_t *lar_writer_prompt(const struct lar_writer *w, size_t *n);
/* Before the first step: ctx tokens is all that prompt and answer may have together. LAR_ELIMIT, with both numbers, when the prompt leaves
 * no room. All memory that steps need is taken here. */
LAR_API int lar_writer_begin(struct lar_writer *w, int ctx, struct lar_err *err);
/* logits: after the timeline's last token. Draws *token and gives its text to on_text. 1: evaluate *token, then come again with what follows;
 * 0: the answer is complete. */
LAR_API int lar_writer_step(struct lar_writer *w, const float *logits, int32_t *token,
                            struct lar_err *err);
/* With a grammar, after a step that gave 1: what must follow *token whatever the model wants, as at most cap tokens. They are already in the
 * answer; evaluate them together with *token. Gives their number, often 0. */
LAR_API int lar_writer_forced(struct lar_writer *w, int32_t *tokens, int cap, struct lar_err *err);
/* With the request's lookup, after lar_writer_step and lar_writer_forced: what may follow, as at most cap tokens; often none. Evaluate them behind
 * the others, with logits after the last of those and after each guess. Then draw from these in turn, as long as lar_writer_step's token is the
 * next guess; at the first that is not, lar_session_cut takes the others off the timeline. Gives their number. */
LAR_API int lar_writer_guess(struct lar_writer *w, int32_t *tokens, int cap);
/* Between lar_writer_begin and the first step, of a request with lookup: what the answer may be like, as tokens. lar_writer_guess looks there first, at
 * its beginning and then wherever the answer's last tokens stand in it. Not copied: they must live until the writer is closed. */
LAR_API int lar_writer_predict(struct lar_writer *w, const int32_t *tokens, size_t n, struct lar_err *err);
/* Once, at the end or before it (then stop is LAR_STOP_CANCEL): gives out what was held back, and the result, to be freed with lar_result_free. Of the
 * times only generate_ms is set. */
LAR_API int lar_writer_end(struct lar_writer *w, struct lar_result *out, struct lar_err *err);

#ifdef __cplusplus
}
#endif
#endif
