/* SPDX-License-Identifier: Apache-2.0
 *
 * run/likeness.h: how likely a text is to a model, and how unlike two models' distributions over the next token are.
 *
 * Of a whole base distribution a record keeps what the comparison needs: the negative log-likelihood of the true token, the most probable tokens
 * exactly, and a few drawn from the rest by its own probabilities. With P the base, Q the other, M the rest's mass:
 *     KL(P|Q) = sum over the kept of p log(p/q)  +  M * the mean over the drawn of log(p/q) + r - 1,  r = (q / M') / (p / M)
 * whose expectation is the true divergence, so over thousands of tokens the mean is right. M' is Q's mass of the rest; r - 1 is 0 in the mean over
 * P's rest, and undoes most of what log(p/q) moves from draw to draw. A record has at most a hundredth of
 * the two bytes a token id that llama.cpp writes (but room for 4 ids).
 *
 *     f32 nll | f16 M | nkept x (u24 id, f16 -log p), the most probable first | ndrawn x the same
 */
#ifndef RUN_LIKENESS_H
#define RUN_LIKENESS_H

#include <stddef.h>
#include <stdint.h>

#include "kern/kern.h"

struct likeness {
    double nll;      /* of the true token */
    int32_t top;     /* the most probable id */
    double base_nll; /* the rest only when compared */
    double kl;
    int same_top;
};

/* logits: [n]; the true token is next. scratch: [n], gets the probabilities times *sum; log of what logits must be lowered by: *lse. */
void likeness_of(const struct kern *k, size_t n, const float *logits, int32_t next, float *scratch,
                 double *lse, struct likeness *out);
/* Compares with a base distribution given whole (its own likeness_of: probabilities in base_p, base_lse). */
void likeness_compare(size_t n, const float *logits, double lse, const float *base,
                      const float *base_p, double base_lse, const struct likeness *base_is,
                      struct likeness *out);

/* Ids that a record keeps and draws, and its bytes, for a vocabulary of n < 2^24. */
struct likeness_form {
    size_t kept, drawn, bytes;
};
struct likeness_form likeness_form(size_t n);
/* p: what likeness_of left in scratch. seed: of the draw, another for each record. */
void likeness_store(const struct likeness_form *f, size_t n, const float *logits, const float *p,
                    double lse, const struct likeness *is, uint64_t seed, uint8_t *record);
/* 0, or -1 when the record names an id that is none. */
int likeness_compare_record(const struct likeness_form *f, size_t n, const float *logits,
                            double lse, const uint8_t *record, struct likeness *out);

/* Sums over many tokens. */
struct likeness_sums {
    double n, nll, nll2, base, base2, both, kl, kl2, same, dp2, dp4;
};
void likeness_add(struct likeness_sums *s, const struct likeness *x, int compared);
struct likeness_mean {
    double value, error;
};
struct likeness_mean likeness_mean(double n, double sum, double sum2);

#endif
