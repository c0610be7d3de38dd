/* SPDX-License-Identifier: Apache-2.0
 *
 * run/sampler.h: from logits to a token, as struct lar_sampling of lar/lar.h asks.
 *
 * The same seed, settings, history and logits give the same token on every machine: probabilities
 * are computed with base/exact.h in a fixed order, ties go to the lower id, and the numbers come
 * from base/rng.h: one uniform number a token for the draw, preceded by one for XTC where that is
 * on, none with temp = 0.
 *
 * Formulas (l a logit, p the softmax over what is left at that step):
 *   repeat     l > 0: l / penalty, else l * penalty, for tokens among the last repeat_last_n
 *   presence, frequency
 *              l - presence - count * frequency, for the same tokens
 *   DRY        l - multiplier * base^(n - allowed) where n >= allowed: the length of the longest
 *              earlier sequence that equals the end of the history and was followed by this token;
 *              no sequence reaches over a breaker, and breakers are not penalised
 *   top-k      the k largest
 *   typical    the smallest set, by ascending |entropy + ln p|, with more than typical_p of the
 *              mass (Meister et al. 2022, arXiv 2202.00666)
 *   top-p      the smallest set, by descending p, with at least top_p of the mass (Holtzman et al.
 *              2019, arXiv 1904.09751)
 *   min-p      p >= min_p * the largest p (Nguyen et al. 2024, arXiv 2407.01082)
 *   XTC        with probability xtc_probability, of the tokens with p >= xtc_threshold all go but
 *              the least probable
 *   mirostat   Basu et al. 2020, arXiv 2007.14966; as in llama.cpp the surprise of the choice is
 *              measured among what was left
 * temp = 0 is the argmax after penalties and DRY, whatever else is set.
 */
#ifndef RUN_SAMPLER_H
#define RUN_SAMPLER_H

#include <stddef.h>
#include <stdint.h>

#include <lar/lar.h>

#include "base/err.h"

struct sampler;

/* Lar's own defaults, without a model's. */
void sampler_default(struct lar_sampling *p);
/* LAR_EINVAL names the first field that is out of range or not a number. */
int sampler_check(const struct lar_sampling *p, struct lar_err *err);

/* Takes all memory that picking needs. ctx (at least 1) is the longest history that can be looked
 * back on. breaker: ids of the nbreaker tokens that interrupt a sequence for DRY; copied, may be
 * NULL. A negative seed is replaced by one from the system's random numbers, below 2^53. */
int sampler_open(struct sampler **out, int32_t nvocab, const struct lar_sampling *p, int ctx,
                 const int32_t *breaker, size_t nbreaker, struct lar_err *err);
void sampler_close(struct sampler *s); /* NULL is allowed */
/* The settings in force, the seed that was taken among them. */
void sampler_used(const struct sampler *s, struct lar_sampling *out);
/* Adds add[i] to the logit of token id[i], before everything else; copied. LAR_EINVAL for an id that is no token. Once, after opening. */
int sampler_bias(struct sampler *s, const struct lar_bias *bias, size_t n, struct lar_err *err);
/* As it was after opening: no history, the seed's first number next. */
void sampler_reset(struct sampler *s);

/* A token of the prompt or of the answer has been added to the text. An id that is outside the
 * vocabulary is ignored. */
void sampler_accept(struct sampler *s, int32_t id);
/* The text accepted so far ends with something that interrupts a sequence for DRY, though no token of its own does. */
void sampler_break(struct sampler *s);
/* The next token; does not accept it. logits: [nvocab]; NaN counts as impossible, as -inf does.
 * -1 when all are impossible. Allocates nothing. */
int32_t sampler_pick(struct sampler *s, const float *logits);
/* The same, of the tokens in set alone: bit t & 63 of word t / 64, room for all; the others are as good as -inf, and not looked at. */
int32_t sampler_pick_of(struct sampler *s, const float *logits, const uint64_t *set);

#endif
