/* SPDX-License-Identifier: Apache-2.0
 *
 * model/rope.c: rotary position embedding (Su et al. 2021) and its stretchings.
 *
 *   inv[i] = base^(-2i/rot) / factor[i]          Llama 3's and LongRoPE's factors are in the file, ready made
 *   linear: inv / s                              (Chen et al. 2023)
 *   yarn:   inv * ((1 - m) / s + m)              (Peng et al. 2023): m falls from 1 to 0 between the pairs that turn beta_fast and
 *           beta_slow times in the original context; cosines and sines are multiplied by 0.1 ln s + 1 unless the file has a factor
 *   dynamic: inv * g^(-2i/(rot-2)), g = s L / T - (s - 1)        (Reddit users bloc97 and emozilla, as transformers has it) where
 *           L, the length, is greater than T, the trained context. As in transformers a prompt is turned for
 *           its own length, each token after it for the length then, and what is in the cache stays as it is.
 * Angles are computed in double: at position 100,000 single precision would be wrong in the third digit.
 */
#include <math.h>
#include <stdio.h>

#include "base/num.h"
#include "model/model.h"

/* The pair that turns `turns` times within orig positions, as a real number. */
static double yarn_pair(double rot, double base, double orig, double turns)
{
    return rot * log(orig / (turns * 2 * M_PI)) / (2 * log(base));
}

static int yarn(const struct model *m, size_t rot, double base, double s, double *inv,
                double *mscale, struct lar_err *err)
{
    float fast = 32, slow = 1, attn = 0, logmul = 0, exact = 0;
    uint32_t orig = (uint32_t)m->h.ctx_train;
    int rc, truncate = !m->arch->yarn_exact;
    char key[128];
    snprintf(key, sizeof key, "%s.rope.scaling.yarn_truncate", m->arch->name); /* Lar's own: convert/meta.c writes it */
    if ((rc = gguf_bool(&m->gguf, key, &truncate, err)) < 0) return rc;
    if ((rc = model_key_f32(m, "rope.scaling.yarn_beta_fast", &fast, err)) < 0) return rc;
    if ((rc = model_key_f32(m, "rope.scaling.yarn_beta_slow", &slow, err)) < 0) return rc;
    if ((rc = model_key_u32(m, "rope.scaling.original_context_length", &orig, err)) < 0) return rc;
    if ((rc = model_key_f32(m, "rope.scaling.attn_factor", &attn, err)) < 0) return rc;
    if ((rc = model_key_f32(m, "rope.scaling.yarn_log_multiplier", &logmul, err)) < 0) return rc;
    if ((rc = model_key_f32(m, "rope.scaling.yarn_attn_factor", &exact, err)) < 0) return rc;
    if (!(fast > 0) || !(slow > 0) || orig == 0 || !(base > 1))
        return lar_fail(err, LAR_EFORMAT,
                        "%s.rope.scaling: betas, base and original context must be positive",
                        m->arch->name);
    double low = yarn_pair((double)rot, base, orig, (double)fast),
           high = yarn_pair((double)rot, base, orig, (double)slow);
    if (truncate) low = floor(low), high = ceil(high);
    low = fmax(0, low);
    high = fmin((double)rot - 1, high);
    if (high <= low) high = low + 0.001;
    for (size_t i = 0; i < rot / 2; i++) {
        double ramp = fmin(1, fmax(0, ((double)i - low) / (high - low)));
        inv[i] *= ramp / s + (1 - ramp);
    }
    *mscale = s > 1 ? 0.1 * log(s) + 1 : 1;
    if (s > 1) *mscale /= 0.1 * (double)logmul * log(s) + 1;
    if (logmul != 0 && m->arch->yarn_in_scale) *mscale = 1;
    if (exact > 0) *mscale = (double)exact;
    if (attn > 0) *mscale *= (double)attn;
    return 0;
}

static int table(struct model *m, size_t rot, double base, const float *factors,
                 struct lar_err *err)
{
    if (m->nrope == MODEL_ROPES)
        return lar_fail(err, LAR_ELIMIT, "more than %d kinds of rotation", MODEL_ROPES);
    if (rot % 2 || rot < 2 || !(base > 0))
        return lar_fail(err, LAR_EFORMAT,
                        "%s.rope: dimension %zu must be even and base %s positive", m->arch->name,
                        rot, num_show(base).z);
    double *inv = arena_array(&m->a, rot / 2, sizeof *inv);
    if (!inv) return lar_fail(err, LAR_ENOMEM, "rotary table: out of memory");
    for (size_t i = 0; i < rot / 2; i++) {
        inv[i] = pow(base, -2.0 * (double)i / (double)rot);
        if (factors) {
            if (!(fabsf(factors[i]) > 0))
                return lar_fail(err, LAR_EFORMAT, "rope_freqs: factor %zu is zero or no number", i);
            inv[i] /= (double)factors[i];
        }
    }
    m->rope[m->nrope] = (struct rope){.rot = rot, .neox = m->arch->neox, .inv = inv, .mscale = 1};
    return m->nrope++;
}

int rope_add_plain(struct model *m, size_t rot, double base, struct lar_err *err)
{
    return table(m, rot, base, NULL, err);
}

/* Lar's own key: convert/meta.c writes it. Other readers do not stretch, as no file says it to them. */
static int dynamic(const struct model *m, struct rope *r, struct lar_err *err)
{
    float s = 0;
    int rc = model_key_f32(m, "rope.scaling.dynamic_factor", &s, err);
    if (rc <= 0) return rc;
    if (!(s >= 1) || r->rot < 4)
        return lar_fail(err, LAR_EFORMAT,
                        "%s.rope.scaling.dynamic_factor is %s for %zu elements; expected 1 or more for 4 or more",
                        m->arch->name, num_show((double)s).z, r->rot);
    r->dynamic = (double)s;
    r->trained = m->h.ctx_train;
    return 0;
}

int rope_add(struct model *m, size_t rot, double base, const float *factors, struct lar_err *err)
{
    struct str kind = STR("linear"); /* what a factor without a type means, as in llama.cpp */
    float s = 0, attn = 0;           /* 0: no factor */
    char key[128];
    int rc, at = table(m, rot, base, factors, err);
    if (at < 0) return at;
    struct rope *r = &m->rope[at];
    double *inv = r->inv;
    snprintf(key, sizeof key, "%s.rope.scaling.type", m->arch->name);
    if ((rc = gguf_str(&m->gguf, key, &kind, err)) < 0) return rc;
    if ((rc = model_key_f32(m, "rope.scaling.factor", &s, err)) < 0) return rc;
    if (rc == 0 && (rc = model_key_f32(m, "rope.scale_linear", &s, err)) < 0) return rc; /* files from before 2024 */
    if (s < 0)
        return lar_fail(err, LAR_EFORMAT, "%s.rope.scaling.factor is %s, it must be positive",
                        m->arch->name, num_show((double)s).z);
    if (s == 0) s = 1;
    if (str_is(kind, "linear")) {
        for (size_t i = 0; i < rot / 2; i++) inv[i] /= (double)s;
    } else if (str_is(kind, "yarn")) {
        if ((rc = yarn(m, rot, base, (double)s, inv, &r->mscale, err)) < 0) return rc;
    } else if (!str_is(kind, "none") && !str_is(kind, "longrope")) {
        return lar_fail(err, LAR_EUNSUPPORTED,
                        "%s is \"%.*s\"; known: none, linear, yarn, longrope", key, STR_ARG(kind));
    }
    if (!str_is(kind, "yarn")) { /* LongRoPE's factor; yarn has taken it already */
        if ((rc = model_key_f32(m, "rope.scaling.attn_factor", &attn, err)) < 0) return rc;
        if (attn > 0) r->mscale = (double)attn;
    }
    rc = dynamic(m, r, err);
    return rc < 0 ? rc : at;
}

/* g of the file's first comment; 1: not stretched. */
static double stretch(const struct rope *r, size_t length)
{
    if (r->dynamic <= 0 || length <= r->trained) return 1;
    return r->dynamic * (double)length / (double)r->trained - (r->dynamic - 1);
}

void rope_angles(const struct rope *r, size_t length, int64_t pos, size_t n, float *out)
{
    double g = stretch(r, length);
    for (size_t i = 0; i < r->rot / 2; i++) {
        double inv = r->inv[i];
        if (g > 1) inv *= pow(g, -2.0 * (double)i / (double)(r->rot - 2));
        for (size_t t = 0; t < n; t++) {
            double a = (double)(pos + (int64_t)t) * inv;
            out[t * r->rot + i] = (float)(cos(a) * r->mscale);
            out[t * r->rot + r->rot / 2 + i] = (float)(sin(a) * r->mscale);
        }
    }
}

int rope_alike(const struct model *m, size_t a, size_t ctx_a, size_t b, size_t ctx_b)
{
    if (m->rope_long && (ctx_a > m->rope_long_above) != (ctx_b > m->rope_long_above)) return 0;
    const struct rope *r = &m->rope[0];
    return !m->nrope || r->dynamic <= 0 || a == b || (a <= r->trained && b <= r->trained);
}
