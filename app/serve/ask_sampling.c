/* SPDX-License-Identifier: Apache-2.0
 * serve/ask_sampling.c: what a client said of sampling, laid over what the model recommends. */
#include "serve/ask.h"

int ask_sampling(const struct ask *q, struct lar_sampling *p, struct lar_err *err)
{
    const struct {
        float *f;
        int *i;
    } at[ASK_PARAMS] = {
        [ASK_TEMP] = {.f = &p->temp},
        [ASK_TOP_K] = {.i = &p->top_k},
        [ASK_TOP_P] = {.f = &p->top_p},
        [ASK_MIN_P] = {.f = &p->min_p},
        [ASK_TYPICAL_P] = {.f = &p->typical_p},
        [ASK_REPEAT_PENALTY] = {.f = &p->repeat_penalty},
        [ASK_REPEAT_LAST_N] = {.i = &p->repeat_last_n},
        [ASK_PRESENCE] = {.f = &p->presence_penalty},
        [ASK_FREQUENCY] = {.f = &p->frequency_penalty},
        [ASK_DRY_MULTIPLIER] = {.f = &p->dry_multiplier},
        [ASK_DRY_BASE] = {.f = &p->dry_base},
        [ASK_DRY_ALLOWED] = {.i = &p->dry_allowed_length},
        [ASK_DRY_LAST_N] = {.i = &p->dry_penalty_last_n},
        [ASK_XTC_PROBABILITY] = {.f = &p->xtc_probability},
        [ASK_XTC_THRESHOLD] = {.f = &p->xtc_threshold},
        [ASK_MIROSTAT] = {.i = &p->mirostat},
        [ASK_MIROSTAT_TAU] = {.f = &p->mirostat_tau},
        [ASK_MIROSTAT_ETA] = {.f = &p->mirostat_eta},
    };
    for (int i = 0; i < ASK_PARAMS; i++) {
        if (!(q->has >> i & 1)) continue;
        if (at[i].f)
            *at[i].f = (float)q->param[i];
        else
            *at[i].i = (int)q->param[i];
    }
    p->seed = q->seed;
    return lar_sampling_check(p, err);
}
