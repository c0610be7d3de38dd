/* SPDX-License-Identifier: Apache-2.0
 * api/sampling.c: Lar's sampling defaults, and what a model file recommends (general.sampling.*, as ggml's converter writes it). */
#include "api/api.h"
#include "run/sampler.h"

static void take_f32(const struct gguf *g, const char *key, float *v)
{
    float f;
    if (gguf_f32(g, key, &f, NULL) == 1) *v = f;
}

static void take_int(const struct gguf *g, const char *key, int *v)
{
    int64_t i;
    if (gguf_i64(g, key, &i, NULL) == 1 && i >= -1 && i <= INT32_MAX) *v = (int)i;
}

void lar_sampling_default(struct lar_sampling *p, const struct lar_model *m)
{
    sampler_default(p);
    if (!m) return;
    const struct gguf *g = &m->model->gguf;
    struct lar_sampling q = *p;
    take_f32(g, "general.sampling.temp", &q.temp);
    take_int(g, "general.sampling.top_k", &q.top_k);
    take_f32(g, "general.sampling.top_p", &q.top_p);
    take_f32(g, "general.sampling.min_p", &q.min_p);
    take_f32(g, "general.sampling.xtc_probability", &q.xtc_probability);
    take_f32(g, "general.sampling.xtc_threshold", &q.xtc_threshold);
    take_int(g, "general.sampling.penalty_last_n", &q.repeat_last_n);
    take_f32(g, "general.sampling.penalty_repeat", &q.repeat_penalty);
    take_int(g, "general.sampling.mirostat", &q.mirostat);
    take_f32(g, "general.sampling.mirostat_tau", &q.mirostat_tau);
    take_f32(g, "general.sampling.mirostat_eta", &q.mirostat_eta);
    /* A recommendation out of range is somebody's mistake: it must not make the model unusable. */
    if (sampler_check(&q, NULL) == 0) *p = q;
}

int lar_sampling_check(const struct lar_sampling *p, struct lar_err *err)
{
    if (!p) return lar_fail(err, LAR_EINVAL, "lar_sampling_check: no settings were given");
    return sampler_check(p, err);
}
