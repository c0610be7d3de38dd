/* SPDX-License-Identifier: Apache-2.0
 *
 * model/bind.c: from tensor names to struct layer, every shape checked against the model's numbers.
 *
 * A tensor that no part of the model reads is an error, not a shrug: a file with a bias or a norm that Lar did not know of would
 * load and answer wrongly.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "model/bind.h"

const char *bind_name(const struct binder *b, const char *part, const char *tail,
                      char out[BIND_NAME_MAX])
{
    const char *dot = tail ? "." : "";
    if (!tail) tail = "";
    if (b->layer == SIZE_MAX)
        snprintf(out, BIND_NAME_MAX, "%s%s%s", part, dot, tail);
    else
        snprintf(out, BIND_NAME_MAX, "blk.%zu.%s%s%s", b->layer, part, dot, tail);
    return out;
}

const struct gguf_tensor *bind_find(struct binder *b, const char *part, const char *tail,
                                    char name[BIND_NAME_MAX])
{
    const struct gguf_tensor *t = gguf_tensor(&b->m->gguf, bind_name(b, part, tail, name));
    if (t) b->m->bound[t - b->m->gguf.tensor] = 1;
    return t;
}

/* Matrices of layers and the output, but for those that are used otherwise than in one product with all of them. */
static int adaptable(struct str name)
{
    static const char *const parts[] = {"attn_k_b.weight", "attn_v_b.weight", "attn_kv_b.weight"};
    if (!str_starts(name, STR("blk.")) && !str_is(name, "output.weight")) return 0;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (str_ends(name, str_of(parts[i]))) return 0;
    return 1;
}

/* 1 bound, 0 not in the file, or an error. rows 0: any number (taken from the tensor). */
int bind_matrix(struct binder *b, const char *part, size_t k, size_t rows, struct dev_matrix *out)
{
    char name[BIND_NAME_MAX];
    const struct gguf_tensor *t = bind_find(b, part, "weight", name);
    if (!t) return 0;
    if (t->ndim > 2 || (size_t)t->dim[0] != k || (rows && (size_t)t->dim[1] != rows))
        return lar_fail(b->err, LAR_EFORMAT,
                        "tensor %s is %lld x %lld; %zu x %zu is expected from the file's numbers",
                        name, (long long)t->dim[0], (long long)t->dim[1], k,
                        rows ? rows : (size_t)t->dim[1]);
    if (!dev_can(b->m->dev, t->type))
        return lar_fail(b->err, LAR_EUNSUPPORTED,
                        "tensor %s is of type %s, which Lar cannot compute with yet", name,
                        dtype_info(t->type).name);
    *out = (struct dev_matrix){.data = t->data,
                               .type = t->type,
                               .k = k,
                               .rows = (size_t)t->dim[1],
                               .stride = (size_t)(t->bytes / (uint64_t)t->dim[1]),
                               .exact = b->m->both};
    if (adaptable(str_of(name)) && b->m->nslot < b->m->gguf.ntensor) {
        b->m->slot[++b->m->nslot] = t;
        out->slot = (uint32_t)b->m->nslot;
    }
    t = gguf_tensor(&b->m->gguf, bind_name(b, part, "scale", name));
    if (t && t->ndim == 1 && t->dim[0] == 1) /* longer ones are of another meaning */
        return bind_vector(b, part, "scale", 1, &out->scale);
    return 1;
}

int bind_need_matrix(struct binder *b, const char *part, size_t k, size_t rows,
                     struct dev_matrix *out)
{
    char name[BIND_NAME_MAX];
    int rc = bind_matrix(b, part, k, rows, out);
    if (rc == 0)
        return lar_fail(b->err, LAR_EFORMAT,
                        "tensor %s is missing: the file is no complete %s model",
                        bind_name(b, part, "weight", name), b->m->arch->name);
    return rc;
}

/* n values as F32: in place when the file has F32, else converted. */
int bind_vector(struct binder *b, const char *part, const char *tail, size_t n, const float **out)
{
    char name[BIND_NAME_MAX];
    const struct gguf_tensor *t = bind_find(b, part, tail, name);
    if (!t) return 0;
    int64_t all = t->dim[0] * t->dim[1] * t->dim[2] * t->dim[3];
    if (all != (int64_t)n ||
        t->dim[2] != 1) /* [n]; state spaces have [1][n] or [groups][n / groups] */
        return lar_fail(b->err, LAR_EFORMAT, "tensor %s has %lld x %lld values; %zu are expected",
                        name, (long long)t->dim[0], (long long)t->dim[1], n);
    if (!dev_can(b->m->dev, t->type))
        return lar_fail(b->err, LAR_EUNSUPPORTED,
                        "tensor %s is of type %s, which Lar cannot compute with yet", name,
                        dtype_info(t->type).name);
    if (t->type == DT_F32) {
        *out = (const float *)(const void *)t->data;
        return 1;
    }
    float *f = arena_array(&b->m->a, n, sizeof *f);
    if (!f) return lar_fail(b->err, LAR_ENOMEM, "tensor %s: out of memory", name);
    b->m->dev->kern->type[t->type].dequant(n, t->data, f);
    *out = f;
    return 1;
}

int bind_stack(struct binder *b, const char *part, size_t k, size_t rows, size_t n,
               struct dev_matrix *out)
{
    char name[BIND_NAME_MAX];
    const struct gguf_tensor *t = bind_find(b, part, "weight", name);
    if (!t) return lar_fail(b->err, LAR_EFORMAT, "tensor %s is missing", name);
    if ((size_t)t->dim[0] != k || (size_t)t->dim[1] != rows || (size_t)t->dim[2] != n ||
        t->dim[3] != 1)
        return lar_fail(
            b->err, LAR_EFORMAT, "tensor %s is %lld x %lld x %lld; %zu x %zu x %zu is expected",
            name, (long long)t->dim[0], (long long)t->dim[1], (long long)t->dim[2], k, rows, n);
    if (!dev_can(b->m->dev, t->type))
        return lar_fail(b->err, LAR_EUNSUPPORTED,
                        "tensor %s is of type %s, which Lar cannot compute with yet", name,
                        dtype_info(t->type).name);
    *out = (struct dev_matrix){.data = t->data,
                               .type = t->type,
                               .k = k,
                               .rows = rows * n,
                               .stride = (size_t)(t->bytes / (rows * n)),
                               .exact = b->m->both};
    return bind_vector(b, part, "scale", n, &out->scale) < 0 ? LAR_EFORMAT : 1;
}

int bind_need_vector(struct binder *b, const char *part, const char *tail, size_t n,
                     const float **out)
{
    char name[BIND_NAME_MAX];
    int rc = bind_vector(b, part, tail, n, out);
    return rc ? rc
              : lar_fail(b->err, LAR_EFORMAT,
                         "tensor %s is missing: the file is no complete %s model",
                         bind_name(b, part, tail, name), b->m->arch->name);
}

int bind_norm(struct binder *b, const char *part, size_t width, struct norm *out)
{
    int rc = bind_vector(b, part, "weight", width, &out->w);
    if (rc <= 0) return rc;
    out->width = width;
    return bind_vector(b, part, "bias", width, &out->b) < 0 ? LAR_EFORMAT : 1;
}

int bind_need_norm(struct binder *b, const char *part, size_t width, struct norm *out)
{
    char name[BIND_NAME_MAX];
    int rc = bind_norm(b, part, width, out);
    return rc ? rc
              : lar_fail(b->err, LAR_EFORMAT,
                         "tensor %s is missing: the file is no complete %s model",
                         bind_name(b, part, "weight", name), b->m->arch->name);
}

/* A norm of queries or keys: of each head (by one vector or each by its own), or of the whole row, as the tensor's shape says. */
static int head_norm(struct binder *b, const char *part, size_t hd, size_t heads, struct norm *out)
{
    char name[BIND_NAME_MAX];
    const struct gguf_tensor *t = gguf_tensor(&b->m->gguf, bind_name(b, part, "weight", name));
    if (!t) return 0;
    size_t width = (size_t)t->dim[0] == hd * heads ? hd * heads : hd;
    if (t->ndim != 2 || (size_t)t->dim[0] != hd || heads == 1) return bind_norm(b, part, width, out);
    int rc = bind_norm(b, part, hd * heads, out);
    out->width = hd;
    out->by_head = 1;
    return rc;
}

static int count(struct binder *b, const char *tail, size_t i, int64_t otherwise, int64_t max,
                 size_t *out)
{
    int64_t v = otherwise;
    int rc = model_key_layer(b->m, tail, i, &v, b->err);
    if (rc < 0) return rc;
    if (v < 1 || v > max)
        return lar_fail(b->err, LAR_EFORMAT, "%s.%s is %lld%s; expected 1 to %lld",
                        b->m->arch->name, tail, (long long)v, rc ? "" : " (missing)",
                        (long long)max);
    *out = (size_t)v;
    return 0;
}

/* 1 when the layer sees only the window. */
static int is_windowed(struct binder *b)
{
    const struct model *m = b->m;
    char key[128];
    snprintf(key, sizeof key, "%s.attention.sliding_window_pattern", m->arch->name);
    const struct gguf_kv *kv = gguf_find(&m->gguf, key);
    int64_t period = m->arch->window_period, v = 0;
    if (m->h.window == 0) return 0;
    if (kv) {
        int rc = model_key_layer(m, "attention.sliding_window_pattern", b->layer, &v, b->err);
        if (rc < 0) return rc;
        if (kv->type == GGUF_ARRAY) return v != 0;
        period = v;
    }
    if (period < 0) return lar_fail(b->err, LAR_EFORMAT, "%s is negative", key);
    return period == 0 || (int64_t)b->layer % period != (m->arch->window_first ? 0 : period - 1);
}

/* A layer of a family with another mixer is attention when it has key heads, or when the file's pattern says so. */
static int layer_mixer(struct binder *b, enum mixer *out)
{
    const struct model *m = b->m;
    int64_t v = 0;
    uint32_t interval = 0;
    int rc;
    *out = MIX_ATTENTION;
    if (m->arch->mixer == MIX_ATTENTION || m->arch->mixer == MIX_BOTH || m->arch->mixer == MIX_RWKV7) {
        *out = m->arch->mixer;
        return 0;
    }
    if ((rc = model_key_layer(m, "attention.recurrent_layers", b->layer, &v, b->err)) < 0)
        return rc;
    if (rc == 0 && m->arch->mixer == MIX_DELTA) {
        if ((rc = model_key_u32(m, "full_attention_interval", &interval, b->err)) < 0) return rc;
        if (rc == 0 || interval == 0) interval = 4;
        v = (b->layer + 1) % interval != 0;
    } else if (rc == 0) {
        if ((rc = model_key_layer(m, "attention.head_count_kv", b->layer, &v, b->err)) < 0)
            return rc;
        v = v == 0;
    }
    if (v) *out = m->arch->mixer;
    return 0;
}

static int layer_shape(struct binder *b, struct layer *l)
{
    const struct hparams *h = &b->m->h;
    const struct arch *f = b->m->arch;
    struct dev_attn *a = &l->attn;
    int rc;
    if ((rc = layer_mixer(b, &l->mixer)) < 0) return rc;
    int64_t nff = 0;
    if ((rc = model_key_layer(b->m, "feed_forward_length", b->layer, &nff, b->err)) < 0) return rc;
    if (nff < 0 || nff > 1 << 22)
        return lar_fail(b->err, LAR_EFORMAT, "%s.feed_forward_length is %lld", b->m->arch->name,
                        (long long)nff);
    l->nff = (size_t)nff;
    l->rope = -1;
    l->kv_from = b->layer;
    l->out_scale = 1;
    if (l->mixer != MIX_ATTENTION && l->mixer != MIX_BOTH) return 0;
    if ((rc = count(b, "attention.head_count", b->layer, 0, 4096, &a->nhead)) < 0) return rc;
    if ((rc = count(b, "attention.head_count_kv", b->layer, (int64_t)a->nhead, 4096, &a->nkv)) < 0)
        return rc;
    int windowed = is_windowed(b);
    if (windowed < 0) return windowed;
    int64_t hd = (int64_t)(h->width / a->nhead);
    if ((rc = count(b, "attention.key_length", b->layer, hd, 4096, &a->hd)) < 0) return rc;
    if ((rc = count(b, "attention.value_length", b->layer, hd, 4096, &a->hdv)) < 0) return rc;
    if (windowed &&
        (rc = count(b, "attention.key_length_swa", b->layer, (int64_t)a->hd, 4096, &a->hd)) < 0)
        return rc;
    if (windowed &&
        (rc = count(b, "attention.value_length_swa", b->layer, (int64_t)a->hdv, 4096, &a->hdv)) < 0)
        return rc;
    if (a->nhead % a->nkv)
        return lar_fail(b->err, LAR_EFORMAT,
                        "layer %zu: %zu query heads do not divide among %zu key heads", b->layer,
                        a->nhead, a->nkv);
    a->scale = f->attn_scale > 0   ? f->attn_scale
               : h->attn_scale > 0 ? h->attn_scale
                                   : (float)(1 / sqrt((double)a->hd));
    a->softcap = h->attn_softcap;
    l->v_norm = f->v_norm;
    a->window = windowed ? h->window : 0;
    a->both = b->m->both;
    if (windowed && a->both) a->window = h->window / 2 + 1; /* |i - j| <= half of it */
    l->rope = f->nope_period && (b->layer + 1) % (size_t)f->nope_period == 0 ? -1 : 0;
    if (f->nope_global && h->window && !windowed) l->rope = -1;
    int64_t turns = l->rope >= 0;
    if ((rc = model_key_layer(b->m, "rope.layer_pattern", b->layer, &turns, b->err)) < 0) return rc;
    l->rope = turns ? 0 : -1; /* Lar's own key, for patterns that are not the family's */
    return 0;
}

static int bind_attention(struct binder *b, struct layer *l)
{
    const struct dev_attn *a = &l->attn;
    size_t width = b->m->h.width, nq = a->nhead * a->hd, nk = a->nkv * a->hd, nv = a->nkv * a->hdv;
    int rc;
    if (b->m->arch->latent) return mla_bind(b, l);
    if ((rc = bind_norm(b, "attn_norm", width, &l->attn_norm)) < 0) return rc;
    if ((rc = bind_matrix(b, "attn_qkv", width, nq + nk + nv, &l->wqkv)) < 0) return rc;
    if (rc == 1) {
        if ((rc = bind_vector(b, "attn_qkv", "bias", nq + nk + nv, &l->bqkv)) < 0) return rc;
    } else {
        l->gated = b->m->arch->gated_attention;
        if ((rc = bind_need_matrix(b, "attn_q", width, l->gated ? 2 * nq : nq, &l->wq)) < 0)
            return rc;
        int own = l->kv_from ==
                  b->layer; /* else the file may have them all the same; they are not read */
        if ((rc = bind_matrix(b, "attn_k", width, nk, &l->wk)) < 0) return rc;
        if (rc == 0 && own && (rc = bind_need_matrix(b, "attn_k", width, nk, &l->wk)) < 0)
            return rc;
        if ((rc = bind_matrix(b, "attn_v", width, nv, &l->wv)) < 0) return rc;
        if (rc == 0 && own && !(l->v_norm && nk == nv) &&
            (rc = bind_need_matrix(b, "attn_v", width, nv, &l->wv)) < 0)
            return rc;
        if ((rc = bind_vector(b, "attn_q", "bias", l->gated ? 2 * nq : nq, &l->bq)) < 0) return rc;
        if ((rc = bind_vector(b, "attn_k", "bias", nk, &l->bk)) < 0) return rc;
        if ((rc = bind_vector(b, "attn_v", "bias", nv, &l->bv)) < 0) return rc;
    }
    if ((rc = bind_vector(b, "attn_sinks", "weight", a->nhead, &l->attn.sinks)) < 0) return rc;
    if ((rc = head_norm(b, "attn_q_norm", a->hd, a->nhead, &l->q_norm)) < 0) return rc;
    if ((rc = head_norm(b, "attn_k_norm", a->hd, a->nkv, &l->k_norm)) < 0) return rc;
    if ((rc = bind_need_matrix(b, "attn_output", a->nhead * a->hdv, width, &l->wo)) < 0) return rc;
    if ((rc = bind_norm(b, "attn_sub_norm", a->nhead * a->hdv, &l->attn_sub)) < 0) return rc;
    if ((rc = bind_vector(b, "attn_output", "bias", width, &l->bo)) < 0) return rc;
    if ((rc = bind_norm(b, "attn_output_norm", width, &l->attn_sum)) < 0) return rc;
    if ((rc = bind_norm(b, "layer_output_norm", width, &l->ffn_sum)) < 0) return rc;
    const char *fn = b->m->arch->ffn_norm_name;
    if (fn && !strcmp(fn, "post_attention_norm"))
        return 0; /* some families call the other norm so */
    return bind_norm(b, "post_attention_norm", width, &l->attn_post) < 0 ? LAR_EFORMAT : 0;
}

/* The constants of xIELU; the file has them before their softplus. */
static int bind_xielu(struct binder *b, struct layer *l)
{
    static const char *const key[4] = {"xielu.alpha_p", "xielu.alpha_n", "xielu.beta", "xielu.eps"};
    float *par = arena_array(&b->m->a, 4, sizeof *par);
    if (!par) return lar_fail(b->err, LAR_ENOMEM, "layer %zu: out of memory", b->layer);
    for (int i = 0; i < 4; i++) {
        const struct gguf_kv *kv = gguf_find(&b->m->gguf, key[i]);
        enum gguf_type t = kv ? kv->type == GGUF_ARRAY ? kv->etype : kv->type : GGUF_STRING;
        size_t at = kv && kv->type == GGUF_ARRAY ? b->layer : 0;
        if (!kv || (t != GGUF_F32 && t != GGUF_F64) || at >= kv->count)
            return lar_fail(b->err, LAR_EFORMAT, "key %s is missing, too short or no number",
                            key[i]);
        par[i] = (float)gguf_num_at(kv, at);
    }
    par[0] = (float)log1p(exp((double)par[0]));
    par[1] = (float)((double)par[2] + log1p(exp((double)par[1])));
    l->gate_par = par;
    return 0;
}

static int bind_sparsity(struct binder *b, struct layer *l)
{
    char key[128];
    snprintf(key, sizeof key, "%s.activation_sparsity_scale", b->m->arch->name);
    const struct gguf_kv *kv = gguf_find(&b->m->gguf, key);
    if (!kv) return 0;
    if (kv->type != GGUF_ARRAY || (kv->etype != GGUF_F32 && kv->etype != GGUF_F64) ||
        b->layer >= kv->count)
        return lar_fail(b->err, LAR_EFORMAT, "%s: one number a layer is expected", key);
    l->sparsity = (float)gguf_num_at(kv, b->layer);
    l->sparse = isfinite(l->sparsity); /* minus infinity: all pass */
    return 0;
}

static int bind_ffn(struct binder *b, struct layer *l)
{
    /* Of families with experts the first layers may be dense; of those with mixers some layers have no feed-forward. */
    size_t width = b->m->h.width;
    int rc;
    char name[BIND_NAME_MAX];
    const char *fn = b->m->arch->ffn_norm_name ? b->m->arch->ffn_norm_name : "ffn_norm";
    if ((rc = bind_norm(b, fn, width, &l->ffn_norm)) < 0) return rc;
    if (rc == 0 && (rc = bind_vector(b, fn, NULL, width, &l->ffn_norm.w)) < 0)
        return rc; /* Falcon-H1 writes it so */
    if (l->ffn_norm.w) l->ffn_norm.width = width;
    if (gguf_tensor(&b->m->gguf, bind_name(b, "ffn_gate_inp", "weight", name))) {
        if ((rc = moe_bind(b, &l->moe)) < 0) return rc;
        if (!gguf_tensor(&b->m->gguf, bind_name(b, "pre_ffw_norm_2", "weight", name)))
            return bind_norm(b, "post_ffw_norm", width, &l->ffn_post) < 0 ? LAR_EFORMAT : 0;
        if ((rc = moe_bind_beside(b, &l->moe)) < 0) return rc;
    }
    if (l->nff == 0) return 0;
    if ((rc = bind_sparsity(b, l)) < 0) return rc;
    if (b->m->arch->gate == GATE_XIELU && (rc = bind_xielu(b, l)) < 0) return rc;
    if ((rc = bind_need_matrix(b, "ffn_up", width, 0, &l->up)) < 0) return rc;
    if (b->m->arch->loose_ff) l->nff = l->up.rows;
    if ((rc = bind_matrix(b, "ffn_gate", width, l->nff, &l->gate)) < 0) return rc;
    l->fused = !l->gate.data && l->up.rows == 2 * l->nff;
    if (!l->fused && l->up.rows != l->nff)
        return lar_fail(b->err, LAR_EFORMAT,
                        "tensor blk.%zu.ffn_up.weight has %zu rows; %zu are expected", b->layer,
                        l->up.rows, l->nff);
    if ((rc = bind_need_matrix(b, "ffn_down", l->nff, width, &l->down)) < 0) return rc;
    if ((rc = bind_norm(b, "ffn_sub_norm", l->nff, &l->ffn_sub)) < 0) return rc;
    if ((rc = bind_vector(b, "ffn_gate", "bias", l->nff, &l->bgate)) < 0) return rc;
    if ((rc = bind_vector(b, "ffn_up", "bias", l->up.rows, &l->bup)) < 0) return rc;
    if ((rc = bind_vector(b, "ffn_down", "bias", width, &l->bdown)) < 0) return rc;
    if ((rc = bind_norm(b, "post_ffw_norm", width, &l->ffn_post)) < 0) return rc;
    return 0;
}

/* The last layers may read the keys and values of the last layer before them that sees as far. */
static int share_kv(struct binder *b, struct layer *l)
{
    const struct model *m = b->m;
    uint32_t shared = m->arch->own_kv_layers && m->h.nlayer > (size_t)m->arch->own_kv_layers
                          ? (uint32_t)(m->h.nlayer - (size_t)m->arch->own_kv_layers)
                          : 0;
    int rc = model_key_u32(m, "attention.shared_kv_layers", &shared, b->err);
    if (rc < 0) return rc;
    if (shared >= m->h.nlayer)
        return lar_fail(b->err, LAR_EFORMAT, "%s.attention.shared_kv_layers is %u of %zu layers",
                        m->arch->name, shared, m->h.nlayer);
    size_t own = m->h.nlayer - shared;
    if (b->layer < own) return 0;
    for (size_t i = own; i-- > 0;) {
        const struct dev_attn *a = &m->layer[i].attn;
        if (!a->window != !l->attn.window) continue;
        if (a->nkv != l->attn.nkv || a->hd != l->attn.hd || a->hdv != l->attn.hdv) break;
        l->kv_from = i;
        return 0;
    }
    return lar_fail(b->err, LAR_EFORMAT,
                    "layer %zu shares keys and values, but no earlier layer is like it", b->layer);
}

static int bind_layer_input(struct binder *b, struct layer *l)
{
    size_t width = b->m->h.width, npl = b->m->npl;
    const float *scale = NULL;
    int rc = bind_vector(b, "layer_output_scale", "weight", 1, &scale);
    if (rc < 0) return rc;
    if (scale) l->out_scale = *scale;
    if (!npl) return 0;
    if ((rc = bind_need_matrix(b, "inp_gate", width, npl, &l->pl_gate)) < 0) return rc;
    if ((rc = bind_need_matrix(b, "proj", npl, width, &l->pl_proj)) < 0) return rc;
    return bind_need_norm(b, "post_norm", width, &l->pl_post);
}

static int bind_layer(struct binder *b, struct layer *l)
{
    int rc;
    struct model *m = b->m;
    if ((rc = layer_shape(b, l)) < 0) return rc;
    if ((rc = share_kv(b, l)) < 0) return rc;
    int attends = l->mixer == MIX_ATTENTION || l->mixer == MIX_BOTH;
    if (attends && (rc = bind_attention(b, l)) < 0) return rc;
    if (l->mixer != MIX_ATTENTION && (rc = recur_bind(b, l)) < 0) return rc;
    if ((rc = bind_ffn(b, l)) < 0) return rc;
    if ((rc = bind_layer_input(b, l)) < 0) return rc;
    if ((rc = altup_bind_layer(b, l)) < 0) return rc;
    const struct dev_attn *a = &l->attn;
    size_t q = a->nhead * a->hd, k = a->nkv * a->hd, v = a->nkv * a->hdv, att = a->nhead * a->hdv;
    int parted = !l->wqkv.data; /* else the three lie in qkv's rows */
    if ((parted || l->gated) && q > m->q_max) m->q_max = q;
    if (parted && k > m->k_max) m->k_max = k;
    if (parted && v > m->v_max) m->v_max = v;
    if (att > m->att_max) m->att_max = att;
    if (l->wqkv.data && l->wqkv.rows > m->qkv_max) m->qkv_max = l->wqkv.rows;
    if (l->gated && l->wq.rows > m->qkv_max) m->qkv_max = l->wq.rows;
    if (l->gated && q > m->ff_max) m->ff_max = q;
    if (l->mixer == MIX_BOTH && m->h.width > m->ff_max) m->ff_max = m->h.width;
    if (l->nff > m->ff_max) m->ff_max = l->nff;
    if (l->fused && 2 * l->nff > m->gate_max) m->gate_max = 2 * l->nff;
    if (l->gate.data && l->nff > m->up_max) m->up_max = l->nff;
    return 0;
}

static int no_rope(struct model *m)
{
    for (size_t i = 0; i < m->h.nlayer; i++) m->layer[i].rope = -1;
    return 0;
}

/* Windowed layers of some families turn unscaled, at another base or at that of the others (full). */
static int window_rope(struct binder *b, size_t rot, float full)
{
    struct model *m = b->m;
    float base = m->arch->rope_base_window;
    int rc, at;
    if (m->arch->window_rope_plain) base = full;
    if (base <= 0 || m->h.window == 0) return 0;
    if ((rc = model_key_f32(m, "rope.freq_base_swa", &base, b->err)) < 0) return rc;
    for (size_t i = 0; i < m->h.nlayer; i++)
        if (m->layer[i].attn.window && rot > m->layer[i].attn.hd)
            return lar_fail(b->err, LAR_EFORMAT,
                            "%s.rope.dimension_count_swa is %zu, but heads have %zu", m->arch->name,
                            rot, m->layer[i].attn.hd);
    if ((at = rope_add_plain(m, rot, (double)base, b->err)) < 0) return at;
    for (size_t i = 0; i < m->h.nlayer; i++)
        if (m->layer[i].attn.window && m->layer[i].rope >= 0) m->layer[i].rope = at;
    return 0;
}

static int bind_rope(struct binder *b)
{
    struct model *m = b->m;
    size_t rot = 0, rot_window = 0;
    uint32_t dim = 0;
    float base = 10000;
    const float *factors = NULL;
    int rc;
    if ((rc = model_key_u32(m, "rope.dimension_count", &dim, b->err)) < 0) return rc;
    if (rc == 1) rot = dim;
    if ((rc = model_key_f32(m, "rope.freq_base", &base, b->err)) < 0) return rc;
    for (size_t i = 0; i < m->h.nlayer && rot == 0; i++) rot = m->layer[i].attn.hd;
    for (size_t i = 0; i < m->h.nlayer; i++)
        if (m->layer[i].attn.nhead && !(m->layer[i].attn.window && m->arch->factors_global) &&
            rot > m->layer[i].attn.hd)
            return lar_fail(b->err, LAR_EFORMAT,
                            "%s.rope.dimension_count is %zu, but heads have %zu", m->arch->name,
                            rot, m->layer[i].attn.hd);
    if (rot == 0 || m->no_rope) return no_rope(m);
    b->layer = SIZE_MAX;
    const float *longer = NULL;
    if ((rc = bind_vector(b, "rope_freqs", "weight", rot / 2, &factors)) < 0) return rc;
    if (rc == 0 && (rc = bind_vector(b, "rope_factors_short", "weight", rot / 2, &factors)) < 0)
        return rc;
    if ((rc = bind_vector(b, "rope_factors_long", "weight", rot / 2, &longer)) < 0) return rc;
    if ((rc = rope_add(m, rot, (double)base, factors, b->err)) < 0) return rc;
    if (longer) {
        uint32_t orig = (uint32_t)m->h.ctx_train;
        if ((rc = model_key_u32(m, "rope.scaling.original_context_length", &orig, b->err)) < 0)
            return rc;
        if ((rc = rope_add(m, rot, (double)base, longer, b->err)) < 0) return rc;
        m->rope_long = rc;
        m->rope_long_above = orig;
    }
    dim = (uint32_t)rot;
    if ((rc = model_key_u32(m, "rope.dimension_count_swa", &dim, b->err)) < 0) return rc;
    rot_window = dim;
    return window_rope(b, rot_window, base);
}

/* 1 for "blk.N..." of a layer that guesses further tokens. */
static int is_draft(const struct model *m, struct str name)
{
    for (size_t i = 0; i < m->h.ndraft; i++) {
        char start[32];
        snprintf(start, sizeof start, "blk.%zu.", m->h.nlayer + i);
        if (str_starts(name, str_of(start))) return 1;
    }
    return 0;
}

static int refuse_unread(const struct model *m, struct lar_err *err)
{
    for (size_t i = 0; i < m->gguf.ntensor; i++)
        if (!m->bound[i] && !is_draft(m, m->gguf.tensor[i].name))
            return lar_fail(
                err, LAR_EUNSUPPORTED,
                "tensor %.*s is no part of a %s model that Lar knows; running without it would answer wrongly",
                STR_ARG(m->gguf.tensor[i].name), m->arch->name);
    return 0;
}

/* Per-layer inputs: see struct model. */
static int bind_model_input(struct binder *b)
{
    struct model *m = b->m;
    uint32_t npl = 0;
    int rc = model_key_u32(m, "embedding_length_per_layer_input", &npl, b->err);
    if (rc < 0) return rc;
    if (npl > 1 << 16)
        return lar_fail(b->err, LAR_EFORMAT, "%s.embedding_length_per_layer_input is %u",
                        m->arch->name, npl);
    m->npl = npl;
    if (!npl) return 0;
    size_t all = npl * m->h.nlayer;
    if ((rc = bind_need_matrix(b, "per_layer_token_embd", all, 0, &m->pl_embed)) < 0) return rc;
    if ((rc = bind_need_matrix(b, "per_layer_model_proj", m->h.width, all, &m->pl_model)) < 0)
        return rc;
    return bind_need_norm(b, "per_layer_proj_norm", npl, &m->pl_norm);
}

/* What evaluating one token takes: weights multiplied in layers, bytes read. */
static void count_costs(struct model *m)
{
    int64_t integer = 0;
    for (size_t i = 0; i < m->gguf.ntensor; i++) {
        const struct gguf_tensor *t = &m->gguf.tensor[i];
        int64_t n = t->dim[0] * t->dim[1] * t->dim[2] * t->dim[3];
        m->parameters += n;
        m->types |= (uint64_t)1 << t->type;
        m->weight_bytes += t->bytes;
        if (!str_starts(t->name, STR("blk.")) || t->ndim < 2 || is_draft(m, t->name)) continue;
        int64_t of = 1, used = 1;
        for (size_t l = 0;
             t->ndim == 3 && str_ends(t->name, STR("_exps.weight")) && l < m->h.nlayer; l++)
            if (m->layer[l].moe.nexpert)
                of = (int64_t)m->layer[l].moe.nexpert, used = (int64_t)m->layer[l].moe.nused;
        m->token_weights += n / of * used;
        m->token_bytes += t->bytes / (uint64_t)of * (uint64_t)used;
        if (m->dev->kern->type[t->type].act != ACT_F32) integer += n / of * used;
    }
    m->token_bytes += (uint64_t)m->output.rows * m->output.stride;
    m->integer = integer * 2 > m->token_weights;
}

int model_bind(struct model *m, struct lar_err *err)
{
    struct binder b = {m, err, SIZE_MAX};
    struct hparams *h = &m->h;
    int rc;
    m->bound = arena_array(&m->a, m->gguf.ntensor, 1);
    m->slot = arena_array(&m->a, m->gguf.ntensor + 1, sizeof(struct gguf_tensor *));
    m->layer = arena_array(&m->a, h->nlayer, sizeof *m->layer);
    if (!m->bound || !m->layer || !m->slot)
        return lar_fail(err, LAR_ENOMEM, "%zu layers: out of memory", h->nlayer);
    if ((rc = bind_need_matrix(&b, "token_embd", h->width, 0, &m->embed)) < 0) return rc;
    h->vocab = m->embed.rows;
    if (h->vocab > INT32_MAX)
        return lar_fail(err, LAR_EFORMAT, "token_embd.weight has %zu rows", h->vocab);
    if ((rc = bind_matrix(&b, "output", h->width, h->vocab, &m->output)) < 0) return rc;
    if (rc == 0) m->output = m->embed; /* tied */
    if ((rc = bind_vector(&b, "output", "bias", h->vocab, &m->output_bias)) < 0) return rc;
    struct norm *embed_norm = m->arch->embed_norm_is_output ? &m->output_norm : &m->embed_norm;
    if ((rc = bind_norm(&b, "token_embd_norm", h->width, embed_norm)) < 0) return rc;
    if (!m->output_norm.w && !m->arch->post_norm &&
        (rc = bind_need_norm(&b, "output_norm", h->width, &m->output_norm)) < 0)
        return rc;
    if ((rc = bind_matrix(&b, "token_types", h->width, 0, &m->type_embed)) < 0) return rc;
    if ((rc = head_bind(&b)) < 0) return rc;
    if ((rc = bind_matrix(&b, "position_embd", h->width, 0, &m->pos_embed)) < 0) return rc;
    if (rc == 1 && m->pos_embed.rows < h->ctx_train) h->ctx_train = m->pos_embed.rows;
    if ((rc = bind_model_input(&b)) < 0) return rc;
    if ((rc = altup_bind_model(&b)) < 0) return rc;
    for (size_t i = 0; i < h->nlayer; i++) {
        b.layer = i;
        if ((rc = bind_layer(&b, &m->layer[i])) < 0) return rc;
    }
    if ((rc = bind_rope(&b)) < 0) return rc;
    if ((rc = refuse_unread(m, err)) < 0) return rc;
    count_costs(m);
    return 0;
}
