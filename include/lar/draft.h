/* SPDX-License-Identifier: Apache-2.0
 *
 * lar/draft.h: a smaller model with the same tokens guesses what an answer's next tokens are, and the answer's own model evaluates the guesses in
 * one step ("speculative decoding"; Leviathan, Kalman, Matias 2023, arXiv 2211.17192). A token is drawn from the own model's logits as always and a
 * guess only saves the step when it is that token: so the answer is the same as without, token by token with the same seed, and no rule of
 * rejection is needed.
 *
 * Whether it pays is measured while it runs: see struct lar_pays. What lar/lar.h says of errors and options holds here too. */
#ifndef LAR_DRAFT_H
#define LAR_DRAFT_H

#include <lar/batch.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { LAR_GUESSES_MAX = 16 };

/* 0: draft may guess for m. LAR_EINVAL: it has other tokens, and the first that differs is named. LAR_EUNSUPPORTED: one of them has recurrent layers,
 * whose state cannot go back when a guess was wrong. */
LAR_API int lar_draft_check(const struct lar_model *m, const struct lar_model *draft, struct lar_err *err);

/* Guesses of one model for up to so many answers at once; the model's other sessions may be used meanwhile, but not by lar_batch_step. */
struct lar_draft;
LAR_API int lar_draft_open(struct lar_draft **out, struct lar_model *draft, int answers, struct lar_err *err);
LAR_API void lar_draft_close(struct lar_draft *d);
/* Bytes that it takes, without sessions. */
LAR_API uint64_t lar_draft_bytes(const struct lar_model *draft, int answers);

struct lar_guess {
    struct lar_session *session; /* of the draft's, with room for the answer */
    const int32_t *past;         /* [npast] what the answer's own session has evaluated */
    size_t npast;
    const int32_t *next; /* [nnext] and what it will before any guess */
    size_t nnext;
    int want; /* guesses, LAR_GUESSES_MAX at most; fewer come when the draft is not sure of more */
    /* results */
    int n;
    int32_t token[LAR_GUESSES_MAX];
};

/* Reads what the sessions have not read of their texts, at most `most` tokens in this call, 0: all; where some is left there are no guesses yet. A
 * session without room for more has none either. *read_ns (may be NULL): the time of that reading, which comes once for a text. */
LAR_API int lar_draft_guess(struct lar_draft *d, struct lar_guess *g, size_t n, size_t most, double *read_ns,
                            struct lar_err *err);

/* Do guesses pay? Steps without any are timed, and so are those with them; a guess that was right is worth its share of a step. As long as the sum is a
 * loss, guesses are made again only when the loss of trying is less than a fiftieth of the time that went by since. One thread at a time. */
struct lar_pays;
LAR_API struct lar_pays *lar_pays_open(void); /* NULL: no memory */
LAR_API void lar_pays_close(struct lar_pays *p);
/* 1: guess in this step, in which so many answers take part. */
LAR_API int lar_pays_now(struct lar_pays *p, size_t answers);
/* What came of a step: guess: it was one to guess in; ns: all of it, of which read_ns for reading; right: guesses that saved a step. */
LAR_API void lar_pays_note(struct lar_pays *p, size_t answers, int guess, double ns, double read_ns, size_t right);

/* lar_generate of this session has guesses of d from here on, `most` at once (0: 8); NULL: none any more. always: not only while it pays. d and what it
 * guesses with are the caller's, and stay until another call of this or the session is closed. */
LAR_API int lar_session_draft(struct lar_session *s, struct lar_draft *d, struct lar_session *with, int most,
                              int always, struct lar_err *err);

/* In place of lar_writer_guess: guesses that somebody else made. Takes at most cap of them, fewer where the answer ends before; gives their number. */
LAR_API int lar_writer_offer(struct lar_writer *w, const int32_t *guess, int n, int32_t *tokens, int cap);

#ifdef __cplusplus
}
#endif
#endif
