/* SPDX-License-Identifier: Apache-2.0
 *
 * model/hparams.c: the numbers that every family has, read from the metadata and bounded.
 *
 * The bounds are far above any real model; they keep products within 64 bits and absurd files out.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "model/model.h"

enum { KEY_MAX = 128 };

static const char *key_of(const struct model *m, const char *tail, char out[KEY_MAX])
{
    snprintf(out, KEY_MAX, "%s.%s", m->arch->name, tail);
    return out;
}

int model_key_u32(const struct model *m, const char *tail, uint32_t *out, struct lar_err *err)
{
    char key[KEY_MAX];
    return gguf_u32(&m->gguf, key_of(m, tail, key), out, err);
}

int model_key_f32(const struct model *m, const char *tail, float *out, struct lar_err *err)
{
    char key[KEY_MAX];
    int rc = gguf_f32(&m->gguf, key_of(m, tail, key), out, err);
    if (rc == 1 && !isfinite(*out))
        return lar_fail(err, LAR_EFORMAT, "%s is not a finite number", key);
    return rc;
}

int model_key_layer(const struct model *m, const char *tail, size_t i, int64_t *out,
                    struct lar_err *err)
{
    char key[KEY_MAX];
    const struct gguf_kv *kv = gguf_find(&m->gguf, key_of(m, tail, key));
    if (!kv) return 0;
    if (kv->type != GGUF_ARRAY) return gguf_i64(&m->gguf, key, out, err);
    if (!gguf_is_int(kv->etype) && kv->etype != GGUF_BOOL)
        return lar_fail(err, LAR_EFORMAT, "%s: an array of %s where whole numbers are expected",
                        key, gguf_type_name(kv->etype));
    if (i >= kv->count)
        return lar_fail(err, LAR_EFORMAT, "%s has %llu values, but the model has %zu layers", key,
                        (unsigned long long)kv->count, m->h.nlayer);
    *out = gguf_int_at(kv, i);
    return 1;
}

/* A count that must be there and lie in 1..max. */
static int need(const struct model *m, const char *tail, size_t max, size_t *out,
                struct lar_err *err)
{
    uint32_t v = 0;
    int rc = model_key_u32(m, tail, &v, err);
    if (rc < 0) return rc;
    if (rc == 0)
        return lar_fail(err, LAR_EFORMAT, "key %s.%s is missing: the file is no complete %s model",
                        m->arch->name, tail, m->arch->name);
    if (v < 1 || v > max)
        return lar_fail(err, LAR_EFORMAT, "%s.%s is %u; expected 1 to %zu", m->arch->name, tail, v,
                        max);
    *out = v;
    return 0;
}

int model_hparams(struct model *m, struct lar_err *err)
{
    struct hparams *h = &m->h;
    int rc;
    size_t ctx;
    *h = (struct hparams){.embed_scale = 1, .residual_scale = 1, .logit_scale = 1};
    if ((rc = need(m, "embedding_length", 1 << 20, &h->width, err)) < 0) return rc;
    if ((rc = need(m, "block_count", 1024, &h->nlayer, err)) < 0) return rc;
    uint32_t draft = 0; /* the last of the blocks may be for guessing further tokens */
    if ((rc = model_key_u32(m, "nextn_predict_layers", &draft, err)) < 0) return rc;
    if (draft >= h->nlayer)
        return lar_fail(err, LAR_EFORMAT, "%s.nextn_predict_layers is %u of %zu layers",
                        m->arch->name, draft, h->nlayer);
    h->ndraft = draft;
    h->nlayer -= draft;
    if ((rc = need(m, "context_length", 1 << 30, &ctx, err)) < 0) return rc;
    h->ctx_train = ctx;

    const char *eps = m->arch->norm == NORM_RMS ? "attention.layer_norm_rms_epsilon"
                                                : "attention.layer_norm_epsilon";
    if ((rc = model_key_f32(m, eps, &h->eps, err)) < 0) return rc;
    if (rc == 0 && m->arch->sparse_mixer) /* Phi-3.5-MoE: layer norms under the other name */
        rc = model_key_f32(m, "attention.layer_norm_rms_epsilon", &h->eps, err);
    if (rc < 0) return rc;
    if (rc == 0) return lar_fail(err, LAR_EFORMAT, "key %s.%s is missing", m->arch->name, eps);
    if (h->eps < 0) return lar_fail(err, LAR_EFORMAT, "%s.%s is negative", m->arch->name, eps);

    if (m->arch->embed_scale < 0)
        h->embed_scale = (float)sqrt((double)h->width);
    else if (m->arch->embed_scale > 0)
        h->embed_scale = m->arch->embed_scale;
    uint32_t window = 0;
    if ((rc = model_key_f32(m, "attn_logit_softcapping", &h->attn_softcap, err)) < 0) return rc;
    if ((rc = model_key_f32(m, "final_logit_softcapping", &h->final_softcap, err)) < 0) return rc;
    if ((rc = model_key_u32(m, "attention.sliding_window", &window, err)) < 0) return rc;
    h->window = window;
    int parallel = m->arch->parallel;
    char key[KEY_MAX];
    if ((rc = gguf_bool(&m->gguf, key_of(m, "use_parallel_residual", key), &parallel, err)) < 0)
        return rc;
    m->parallel = parallel;
    int causal = !m->arch->both;
    if ((rc = gguf_bool(&m->gguf, key_of(m, "attention.causal", key), &causal, err)) < 0) return rc;
    m->both = !causal;
    m->gate = m->arch->gate;
    m->no_rope = m->arch->no_rope;
    return m->arch->setup ? m->arch->setup(m, err) : 0;
}
