/* SPDX-License-Identifier: Apache-2.0
 *
 * lar/sample.h: drawing tokens from logits; a part of lar/lar.h, which includes it.
 */
#ifndef LAR_SAMPLE_H
#define LAR_SAMPLE_H

#include <stddef.h>
#include <stdint.h>

#include <lar/err.h>

#ifdef __cplusplus
extern "C" {
#endif

struct lar_model;

/* Unlike other structs, zero is not the default here: start from lar_sampling_default. The order of the steps is logit bias, repetition
 * penalties, DRY, top-k, typical, top-p, min-p, XTC, temperature, draw; with mirostat only penalties, DRY, temperature, mirostat. */
struct lar_sampling {
    float temp;              /* 0: always the most probable token */
    int top_k;               /* 0: off */
    float top_p;             /* 1: off */
    float min_p;             /* 0: off */
    float typical_p;         /* 1: off */
    float repeat_penalty;    /* 1: off */
    int repeat_last_n;       /* tokens that the penalties look back on; -1: all of the context; 0: off */
    float presence_penalty;  /* 0: off */
    float frequency_penalty; /* 0: off */
    float dry_multiplier;    /* 0: off */
    float dry_base;
    int dry_allowed_length;
    int dry_penalty_last_n;  /* -1: all of the context */
    float xtc_probability;   /* 0: off */
    float xtc_threshold;     /* above 0.5: off */
    int mirostat;            /* 0: off, 1 or 2 */
    float mirostat_tau, mirostat_eta;
    int64_t seed;            /* negative: from the system's random numbers; which one is told (lar_sampler_used, lar_result.seed) */
};

/* Lar's defaults (temp 0.8, top_k 40, top_p 0.95, min_p 0.05, seed -1, all else off), overridden by the model's own recommendation
 * (general.sampling.*) where m has one; m may be NULL. A key that is wrong is left out, the others hold: lar_model_warning tells. */
LAR_API void lar_sampling_default(struct lar_sampling *p, const struct lar_model *m);
/* LAR_EINVAL with the name of the first field that is out of range. */
LAR_API int lar_sampling_check(const struct lar_sampling *p, struct lar_err *err);

/* A number added to a token's logit before everything else; -100 and below all but forbid it. */
struct lar_bias { int32_t token; float add; };

/* A sampler draws tokens from logits as lar_generate does, for those who evaluate themselves:
 *     lar_sampler_accept(p, prompt, n, &err);
 *     lar_session_sync(s, prompt, n, &err);
 *     while ((id = lar_sampler_pick(p, lar_session_logits(s), &err)) >= 0 && !lar_token_ends(m, id)) {
 *         lar_sampler_accept(p, &id, 1, &err);
 *         lar_session_extend(s, &id, 1, NULL, &err);
 *     }
 * One thread at a time. The model lives on until the last sampler is closed. */
struct lar_sampler;

struct lar_sampler_options {
    int ctx; /* the most tokens that "all of the context" looks back on; 0: what lar_session_open would take */
    const struct lar_bias *bias; size_t nbias;       /* copied */
    const char *const *dry_breaker; size_t ndry_breaker; /* as in struct lar_request; must live until the sampler is closed */
};

/* p NULL: lar_sampling_default of m. All memory that picking needs is taken here. */
LAR_API int lar_sampler_open(struct lar_sampler **out, struct lar_model *m, const struct lar_sampling *p,
                             const struct lar_sampler_options *opt, struct lar_err *err);
LAR_API void lar_sampler_close(struct lar_sampler *s);
/* The next token for logits [vocab], usually lar_session_logits; does not accept it. LAR_EFORMAT when no logit is a usable number. */
LAR_API int32_t lar_sampler_pick(struct lar_sampler *s, const float *logits, struct lar_err *err);
/* These tokens, of the prompt or drawn, now stand at the end of the text: what penalties and DRY look back on. LAR_EINVAL names what is no
 * token; none is accepted then. */
LAR_API int lar_sampler_accept(struct lar_sampler *s, const int32_t *tokens, size_t n, struct lar_err *err);
LAR_API void lar_sampler_reset(struct lar_sampler *s); /* as after opening: no text, the seed's first number next */
/* The settings in force, with the seed that was taken where it was left to the system (below 2^53, so that JSON keeps it). */
LAR_API void lar_sampler_used(const struct lar_sampler *s, struct lar_sampling *out);

#ifdef __cplusplus
}
#endif
#endif
