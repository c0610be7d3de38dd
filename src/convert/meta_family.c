/* SPDX-License-Identifier: Apache-2.0
 *
 * convert/meta_family.c: keys of single families that are more than a number copied from config.json. Each function is called before the common
 * keys; what it writes is not written again.
 */
#include <inttypes.h>
#include <math.h>

#include "base/num.h"
#include "convert/meta.h"

static int wrong(struct meta *m, const char *what)
{
    return lar_fail(m->err, LAR_EFORMAT, "%s/config.json: %s", buf_z(&m->c->folder), what);
}

static int is_type(const struct json *v, const char *type) { return str_is(json_str(v, STR("")), type); }

/* One integer a layer: `here` where the layer's type is (or, with not, is not) `type`, else `there`. */
static int by_layer(struct meta *m, const char *tail, const char *type, int not, int32_t here, int32_t there)
{
    const struct json *t = config_find(m->c, "layer_types|layers_block_type");
    struct buf b = {0};
    char key[128];
    if (!t || t->kind != JSON_ARRAY || (int64_t)t->n != m->p->nlayer)
        return wrong(m, "layer_types is missing or has not one entry a layer");
    for (const struct json *v = t->child; v; v = v->next) {
        int32_t n = is_type(v, type) != not ? here : there;
        buf_add(&b, &n, sizeof n);
    }
    if (b.failed)
        m->k->b.failed = 1;
    else
        gguf_keys_array(m->k, meta_key(m, tail, key), GGUF_I32, b.p, t->n);
    buf_done(&b);
    return 0;
}

int meta_mistral3(struct meta *m)
{
    double all = 0, beta = 0;
    int rc;
    if ((rc = config_rope(m->c, "mscale_all_dim", &all, m->err)) < 0) return rc;
    if (rc == 1 && str_is(config_rope_type(m->c), "yarn")) meta_f32(m, "rope.scaling.yarn_log_multiplier", all);
    if ((rc = config_rope(m->c, "llama_4_scaling_beta", &beta, m->err)) < 0) return rc;
    if (rc == 1) meta_f32(m, "attention.temperature_scale", beta);
    return 0;
}

/* Qwen3-Next and 3.5 */
int meta_delta(struct meta *m)
{
    uint32_t heads = 0, dim = 0, interval = 4;
    double part = 0.25;
    int32_t sections[4] = {11, 11, 10, 0};
    char key[128];
    int rc;
    if ((rc = meta_need_u32(m, "linear_num_value_heads", &heads)) < 0) return rc;
    if ((rc = meta_need_u32(m, "linear_value_head_dim", &dim)) < 0) return rc;
    if (heads > 1 << 16 || dim > 1 << 15)
        return wrong(m, "linear_num_value_heads or linear_value_head_dim is absurd");
    meta_u32(m, "ssm.inner_size", heads * dim);
    if ((rc = meta_layer_types(m, "attention.recurrent_layers", "linear_attention")) < 0) return rc;
    if ((rc = config_u32(m->c, "full_attention_interval", &interval, m->err)) < 0) return rc;
    meta_u32(m, "full_attention_interval", interval);
    if ((rc = config_rope(m->c, "partial_rotary_factor", &part, m->err)) < 0) return rc;
    if (part < 0 || part > 1) return wrong(m, "partial_rotary_factor is not between 0 and 1");
    meta_u32(m, "rope.dimension_count", (uint32_t)(part * m->head_dim));
    if (!strcmp(m->f->arch, "qwen3next")) return 0;
    const struct json *s = config_in(m->c->rope, "mrope_section");
    int i = 0;
    for (const struct json *v = s && s->kind == JSON_ARRAY ? s->child : NULL; v && i < 4; v = v->next)
        sections[i++] = (int32_t)json_num(v, 0);
    for (; i && i < 4; i++) sections[i] = 0;
    gguf_keys_array(m->k, meta_key(m, "rope.dimension_sections", key), GGUF_I32, sections, 4);
    return 0;
}

/* Queries are divided by sqrt(query_pre_attn_scalar). No key of ggml's says it: readers divide by the root of a head's length, or in the models of
 * 46 and 62 layers of width / heads; anything else is told by a key that Lar reads (attention.scale). */
int meta_gemma2(struct meta *m)
{
    uint32_t scalar = 0, head = 256, layers = 0, width = 0, heads = 8;
    const char *const names[] = {"query_pre_attn_scalar", "head_dim", "num_hidden_layers", "hidden_size",
                                 "num_attention_heads"};
    uint32_t *const out[] = {&scalar, &head, &layers, &width, &heads};
    for (size_t i = 0; i < 5; i++)
        if (config_u32(m->c, names[i], out[i], m->err) < 0) return LAR_EFORMAT;
    int by_width = !strcmp(m->f->arch, "gemma2") ? layers == 46 : layers == 62;
    double usual = by_width && heads ? (double)width / heads : head;
    if (scalar && fabs(usual - scalar) > 1e-6) meta_f32(m, "attention.scale", 1 / sqrt((double)scalar));
    return 0;
}

/* What Gemma 3's files leave out is so: transformers' defaults of Gemma3TextConfig. */
int meta_gemma3(struct meta *m)
{
    static const struct {
        const char *tail, *from;
        uint32_t usual;
    } all[] = {
        {"context_length", "max_position_embeddings", 131072}, {"attention.head_count", "num_attention_heads", 8},
        {"attention.head_count_kv", "num_key_value_heads", 4}, {"attention.key_length", "head_dim", 256},
        {"attention.value_length", "head_dim", 256},
    };
    double base = 1000000, eps = 1e-6;
    if (config_find(m->c, "attn_logit_softcapping"))
        return wrong(m, "attn_logit_softcapping is not known in Gemma 3");
    if (meta_gemma2(m) < 0) return LAR_EFORMAT;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        uint32_t v = all[i].usual;
        int rc = config_u32(m->c, all[i].from, &v, m->err);
        if (rc < 0) return rc;
        meta_u32(m, all[i].tail, v);
    }
    if (config_num(m->c, "rms_norm_eps", &eps, m->err) < 0) return LAR_EFORMAT;
    meta_f32(m, "attention.layer_norm_rms_epsilon", eps);
    int rc = config_rope(m->c, "rope_theta", &base, m->err);
    if (rc == 0) meta_f32(m, "rope.freq_base", base);
    return rc < 0 ? rc : 0;
}

/* The x below which a share p of a normal distribution lies: Newton on erfc, from the middle; both ends are infinite. */
static double normal_quantile(double p)
{
    double x = 0;
    if (!(p > 0)) return -HUGE_VAL;
    if (!(p < 1)) return HUGE_VAL;
    for (int i = 0; i < 60; i++) {
        double step = (erfc(-x / sqrt(2)) / 2 - p) / (exp(-x * x / 2) / sqrt(2 * M_PI));
        x -= fmax(-1, fmin(1, step));
    }
    return x;
}

int meta_gemma3n(struct meta *m)
{
    const struct json *s = config_find(m->c, "activation_sparsity_pattern"),
                      *ff = config_find(m->c, "intermediate_size");
    struct buf b = {0};
    char key[128];
    int rc = meta_layer_types(m, "attention.sliding_window_pattern", "sliding_attention");
    if (rc < 0) return rc;
    if (s && s->kind == JSON_ARRAY && (int64_t)s->n == m->p->nlayer) {
        for (const struct json *v = s->child; v; v = v->next) {
            float f = (float)normal_quantile(json_num(v, 0));
            buf_add(&b, &f, sizeof f);
        }
        if (!b.failed) gguf_keys_array(m->k, meta_key(m, "activation_sparsity_scale", key), GGUF_F32, b.p, s->n);
    } else if (s) {
        return wrong(m, "activation_sparsity_pattern has not one entry a layer");
    }
    buf_clear(&b);
    if (ff && ff->kind == JSON_ARRAY) {
        if ((int64_t)ff->n != m->p->nlayer) rc = wrong(m, "intermediate_size has not one entry a layer");
        for (const struct json *v = ff->child; v; v = v->next) {
            int32_t n = v->is_int && v->i > 0 && v->i < INT32_MAX ? (int32_t)v->i : 0;
            buf_add(&b, &n, sizeof n);
        }
        if (rc >= 0 && !b.failed)
            gguf_keys_array(m->k, meta_key(m, "feed_forward_length", key), GGUF_I32, b.p, ff->n);
    }
    if (b.failed) m->k->b.failed = 1;
    buf_done(&b);
    return rc < 0 ? rc : 0;
}

/* A number of the layers that see everything: under a name of its own, or in per_layer_config of the first of them. */
static int of_full_layers(struct meta *m, const char *own, const char *name, uint32_t *out)
{
    const struct json *types = config_find(m->c, "layer_types"), *per = config_find(m->c, "per_layer_config");
    int rc = config_u32(m->c, own, out, m->err);
    if (rc != 0 || !per || !types || types->kind != JSON_ARRAY) return rc;
    for (const struct json *v = per->child; v; v = v->next) {
        size_t layer = 0, i = 0;
        const struct json *t = types->child, *n = config_in(v, name);
        for (; i < v->key.n && i < 6 && v->key.p[i] >= '0' && v->key.p[i] <= '9'; i++)
            layer = 10 * layer + (size_t)(v->key.p[i] - '0');
        if (i == 0 || i != v->key.n) return wrong(m, "per_layer_config has a key that is no layer");
        while (t && layer--) t = t->next;
        if (!t || !is_type(t, "full_attention") || !n) continue;
        if (!n->is_int || n->i < 1 || n->i > 1 << 20) return wrong(m, "per_layer_config has a number that is none");
        *out = (uint32_t)n->i;
        return 1;
    }
    return 0;
}

int meta_gemma4(struct meta *m)
{
    uint32_t full = 0, windowed = 0, kv = 0, kv_full = 0, ff = 0, shared = 0;
    double part = 1;
    float f[1024];
    int rc;
    if ((rc = meta_need_u32(m, "head_dim", &windowed)) < 0) return rc;
    full = windowed;
    if ((rc = of_full_layers(m, "global_head_dim", "head_dim", &full)) < 0) return rc;
    if (full < 2 || full > 2048) return wrong(m, "the heads' width is absurd");
    meta_u32(m, "attention.key_length", full);
    meta_u32(m, "attention.value_length", full);
    meta_u32(m, "attention.key_length_swa", windowed);
    meta_u32(m, "attention.value_length_swa", windowed);
    meta_u32(m, "rope.dimension_count", full);
    meta_u32(m, "rope.dimension_count_swa", windowed);
    if ((rc = meta_layer_types(m, "attention.sliding_window_pattern", "sliding_attention")) < 0) return rc;
    if ((rc = config_u32(m->c, "num_kv_shared_layers", &shared, m->err)) < 0) return rc;
    if ((rc = meta_need_u32(m, "intermediate_size", &ff)) < 0) return rc;
    if (ff > INT32_MAX / 2 || shared > m->p->nlayer)
        return wrong(m, "intermediate_size or num_kv_shared_layers is absurd");
    if (json_bool(config_find(m->c, "use_double_wide_mlp"), 0)) { /* of the layers that share keys and values */
        struct buf b = {0};
        char key[128];
        for (int64_t i = 0; i < m->p->nlayer; i++) {
            int32_t n = (int32_t)(i < m->p->nlayer - shared ? ff : 2 * ff);
            buf_add(&b, &n, sizeof n);
        }
        if (b.failed)
            m->k->b.failed = 1;
        else
            gguf_keys_array(m->k, meta_key(m, "feed_forward_length", key), GGUF_I32, b.p, (uint64_t)m->p->nlayer);
        buf_done(&b);
    }
    if ((rc = meta_need_u32(m, "num_key_value_heads", &kv)) < 0) return rc;
    if ((rc = of_full_layers(m, "num_global_key_value_heads", "num_key_value_heads", &kv_full)) < 0) return rc;
    if (rc == 1 &&
        (rc = by_layer(m, "attention.head_count_kv", "sliding_attention", 0, (int32_t)kv, (int32_t)kv_full)) < 0)
        return rc;
    /* "proportional": of a wide head only the first pairs turn; the others get a factor that stops them */
    if ((rc = config_rope(m->c, "partial_rotary_factor", &part, m->err)) < 0) return rc;
    int64_t turning = (int64_t)(full * part / 2);
    for (int64_t i = 0; i < full / 2; i++) f[i] = i < turning ? 1.0F : 1e30F;
    return plan_add(m->p, "rope_freqs.weight", f, full / 2, full / 2, m->err);
}

static int factors(struct meta *m, const char *from, const char *name)
{
    const struct json *v = config_in(m->c->rope, from);
    float f[1024];
    int64_t n = 0;
    if (!v || v->kind != JSON_ARRAY || (int64_t)v->n != m->rope_dim / 2 || v->n > 1024)
        return wrong(m, "short_factor or long_factor has not half as many entries as a head's elements turn");
    for (v = v->child; v; v = v->next) f[n++] = (float)json_num(v, 0);
    return plan_add(m->p, name, f, n, n, m->err);
}

/* What cosines and sines are multiplied by when a text s times as long as orig is asked for. Phi-3.5-MoE names it for short and long texts. */
static int longrope_factor(struct meta *m, double s, double orig, double *attn)
{
    double of_short = 0;
    int rc = config_rope(m->c, "attention_factor", attn, m->err);
    if (rc == 0) rc = config_rope(m->c, "long_mscale", attn, m->err);
    if (rc < 0 || config_rope(m->c, "short_mscale", &of_short, m->err) < 0) return LAR_EFORMAT;
    if (rc == 1 && of_short > 0 && fabs(of_short - *attn) > 1e-6)
        return wrong(m, "short_mscale and long_mscale differ, and GGUF has one key for both");
    if (rc == 1) return 0;
    if (str_is(config_rope_type(m->c), "yarn"))
        *attn = s > 1 ? 0.1 * log(s) + 1 : 1;
    else
        *attn = s > 1 ? sqrt(1 + log(s) / log(orig)) : 1;
    return 0;
}

int meta_longrope(struct meta *m)
{
    double most = 0, orig = 0, attn = 1;
    int rc;
    if ((rc = config_num(m->c, "max_position_embeddings", &most, m->err)) < 0) return rc;
    if ((rc = config_rope(m->c, "original_max_position_embeddings", &orig, m->err)) < 0) return rc;
    if (rc == 0) orig = most;
    if (!(most >= 1) || !(orig >= 1) || orig > 1e9) return wrong(m, "max_position_embeddings is missing");
    meta_u32(m, "rope.scaling.original_context_length", (uint32_t)orig);
    if (!config_in(m->c->rope, "long_factor")) return 0;
    double s = most / orig;
    if ((rc = config_rope(m->c, "factor", &s, m->err)) < 0) return rc;
    if ((rc = longrope_factor(m, s, orig, &attn)) < 0) return rc;
    meta_f32(m, "rope.scaling.attn_factor", attn);
    rc = factors(m, "long_factor", "rope_factors_long.weight");
    return rc < 0 ? rc : factors(m, "short_factor", "rope_factors_short.weight");
}

int meta_phi3(struct meta *m)
{
    uint32_t w = 0;
    int rc = config_u32(m->c, "sliding_window", &w, m->err);
    if (rc < 0) return rc;
    meta_u32(m, "attention.sliding_window", w); /* 0 tells Phi-4 from Phi-3 */
    return meta_longrope(m);
}

/* A router that lets only experts count whose scores are near the best (model/moe.c); how near is not in the file. */
int meta_phimoe(struct meta *m)
{
    double near = 0.01;
    int rc = config_num(m->c, "router_jitter_noise", &near, m->err);
    if (rc < 0) return rc;
    if (fabs(near - 0.01) > 1e-9) return wrong(m, "router_jitter_noise is not 0.01, and GGUF has no key for it");
    if (json_num(config_find(m->c, "num_experts_per_tok"), 2) != 2) return wrong(m, "num_experts_per_tok is not 2");
    return meta_phi3(m);
}

/* Each fourth layer does not turn; for another pattern GGUF has no key, and this one is Lar's. */
int meta_smollm3(struct meta *m)
{
    const struct json *v = config_find(m->c, "no_rope_layers"); /* 1: turns */
    struct buf b = {0};
    char key[128];
    int64_t i = 0;
    int usual = 1;
    if (!v || v->kind != JSON_ARRAY) return 0;
    if ((int64_t)v->n != m->p->nlayer) return wrong(m, "no_rope_layers is not one number a layer");
    for (v = v->child; v; v = v->next) {
        int turns = json_num(v, 1) > 0;
        usual &= turns == (++i % 4 != 0);
        buf_putc(&b, turns);
    }
    if (b.failed)
        m->k->b.failed = 1;
    else if (!usual)
        gguf_keys_array(m->k, meta_key(m, "rope.layer_pattern", key), GGUF_BOOL, b.p, b.n);
    buf_done(&b);
    return 0;
}

int meta_granite_hybrid(struct meta *m)
{
    uint32_t kv = 0, width = 0, inner = 2, v;
    const struct {
        const char *tail, *from;
    } all[] = {{"ssm.conv_kernel", "mamba_d_conv|conv_kernel"},
               {"ssm.state_size", "mamba_d_state|state_size"},
               {"ssm.group_count", "mamba_n_groups|n_groups"},
               {"ssm.time_step_rank", "mamba_n_heads|n_heads"}};
    char key[128];
    int rc, hybrid = !strcmp(m->f->arch, "granitehybrid");
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        if ((rc = config_u32(m->c, all[i].from, &v, m->err)) < 0) return rc;
        if (rc == 1) meta_u32(m, all[i].tail, v);
    }
    if ((rc = meta_need_u32(m, "hidden_size", &width)) < 0) return rc;
    if ((rc = config_u32(m->c, "mamba_expand|expand", &inner, m->err)) < 0) return rc;
    if ((uint64_t)inner * width > UINT32_MAX) return wrong(m, "mamba_expand is absurd");
    meta_u32(m, "ssm.inner_size", inner * width);
    if ((rc = meta_need_u32(m, "num_key_value_heads", &kv)) < 0) return rc;
    if ((rc = by_layer(m, "attention.head_count_kv", "attention", 0, (int32_t)kv, 0)) < 0) return rc;
    struct str position = json_str(config_find(m->c, "position_embedding_type"), hybrid ? STR("nope") : STR("rope"));
    int turns = str_is(position, "rope") || str_is(m->c->architecture, "BambaForCausalLM");
    gguf_keys_bool(m->k, meta_key(m, "rope.scaling.finetuned", key), turns);
    if (hybrid && !turns) meta_u32(m, "context_length", 1 << 20);
    return 0;
}

static int windowed(struct meta *m)
{
    uint32_t w = 0;
    int rc = config_u32(m->c, "sliding_window", &w, m->err);
    if (rc <= 0 || w == 0) return rc;
    meta_u32(m, "attention.sliding_window", w);
    return 1;
}

/* Olmo 3 is Olmo 2 with windows in three of four layers. */
int meta_olmo3(struct meta *m)
{
    int rc = windowed(m);
    if (rc <= 0) return rc;
    rc = meta_layer_types(m, "attention.sliding_window_pattern", "sliding_attention");
    return rc < 0 ? rc : 0; /* without layer_types: every fourth layer sees everything, as readers assume */
}

int meta_exaone4(struct meta *m)
{
    struct str p = json_str(config_find(m->c, "sliding_window_pattern"), STR(""));
    struct buf b = {0};
    char key[128];
    uint32_t period = 0;
    int rc = windowed(m);
    if (rc <= 0) return rc;
    if ((rc = meta_layer_types(m, "attention.sliding_window_pattern", "sliding_attention")) != 0)
        return rc < 0 ? rc : 0;
    if (!p.n && (rc = config_u32(m->c, "sliding_window_pattern", &period, m->err)) < 0) return rc;
    for (int64_t i = 0; i < m->p->nlayer && (p.n || period); i++) /* "LLLG", or 4 */
        buf_putc(&b, p.n ? p.p[(size_t)i % p.n] == 'L' : (i + 1) % period != 0);
    if (b.failed)
        m->k->b.failed = 1;
    else if (b.n)
        gguf_keys_array(m->k, meta_key(m, "attention.sliding_window_pattern", key), GGUF_BOOL, b.p, b.n);
    buf_done(&b);
    return 0;
}

/* "dynamic" with alpha: the base itself is stretched, base alpha^(d / (d - 2)). */
int meta_hunyuan(struct meta *m)
{
    double alpha = 0, base = 10000, d = m->head_dim;
    int rc = config_rope(m->c, "alpha", &alpha, m->err);
    if (rc <= 0 || !str_is(config_rope_type(m->c), "dynamic")) return rc < 0 ? rc : 0;
    if (config_rope(m->c, "rope_theta", &base, m->err) < 0) return LAR_EFORMAT;
    if (!(alpha > 0) || d < 4) return wrong(m, "the rotation's alpha is out of range");
    meta_f32(m, "rope.freq_base", base * pow(alpha, d / (d - 2)));
    return 0;
}

/* A whole number, or a list with one for each layer, which are all the same. */
static int same_in_layers(struct meta *m, const char *names, uint32_t *out)
{
    const struct json *v = config_find(m->c, names);
    if (!v || v->kind != JSON_ARRAY) return config_u32(m->c, names, out, m->err);
    for (const struct json *e = v->child; e; e = e->next) {
        if (!e->is_int || e->i < 0 || e->i > INT32_MAX || e->i != v->child->i)
            return wrong(m, "moe_topk, moe_intermediate_size or num_shared_expert differs between layers");
        *out = (uint32_t)e->i;
    }
    return v->n > 0;
}

int meta_hunyuan_moe(struct meta *m)
{
    uint32_t used = 1, shared = 1;
    int rc;
    if ((rc = same_in_layers(m, "moe_topk|num_experts_per_tok", &used)) < 0) return rc;
    meta_u32(m, "expert_used_count", used);
    if ((rc = same_in_layers(m, "num_shared_expert", &shared)) < 0) return rc;
    meta_u32(m, "expert_shared_count", shared);
    /* Tencent's code reads moe_intermediate_size, transformers intermediate_size: the tensors know */
    for (size_t i = 0; i < m->p->n; i++) {
        const struct output *o = &m->p->out[i];
        if (str_is(o->name, "blk.0.ffn_gate_exps.weight"))
            meta_u32(m, "expert_feed_forward_length", (uint32_t)o->dim[1]);
        if (str_is(o->name, "blk.0.ffn_gate_shexp.weight"))
            meta_u32(m, "expert_shared_feed_forward_length", (uint32_t)o->dim[1]);
    }
    return meta_hunyuan(m);
}

int meta_lfm2(struct meta *m)
{
    uint32_t kv = 0, ff = 0, multiple = 256;
    double factor = 1;
    int rc;
    if ((rc = meta_need_u32(m, "num_key_value_heads", &kv)) < 0) return rc;
    if ((rc = by_layer(m, "attention.head_count_kv", "full_attention", 0, (int32_t)kv, 0)) < 0) return rc;
    if (!strcmp(m->f->arch, "lfm2moe")) {
        meta_u32(m, "expert_gating_func", 2); /* a sigmoid */
        return 0;
    }
    if ((rc = meta_need_u32(m, "block_ff_dim|intermediate_size", &ff)) < 0) return rc;
    if ((rc = config_u32(m->c, "block_multiple_of", &multiple, m->err)) < 0) return rc;
    if ((rc = config_num(m->c, "block_ffn_dim_multiplier", &factor, m->err)) < 0) return rc;
    if (multiple == 0 || ff > 1 << 26 || !(factor > 0) || factor > 64)
        return wrong(m, "block_multiple_of or its like is absurd");
    if (json_bool(config_find(m->c, "block_auto_adjust_ff_dim"), 0)) {
        ff = (uint32_t)(factor * (2 * ff / 3));
        ff = (ff + multiple - 1) / multiple * multiple;
    }
    meta_u32(m, "feed_forward_length", ff);
    return 0;
}

/* Mamba-2, alone or (Falcon-H1) beside attention. */
int meta_mamba2(struct meta *m)
{
    uint32_t width = 0, expand = 2, inner = 0, head = 64, conv = 4, state = 128, groups = 1;
    double eps = 1e-5;
    int rc, alone = !strcmp(m->f->arch, "mamba2");
    if ((rc = meta_need_u32(m, "hidden_size|d_model|dim", &width)) < 0) return rc;
    if ((rc = config_u32(m->c, "mamba_expand|expand", &expand, m->err)) < 0) return rc;
    if ((uint64_t)expand * width > INT32_MAX) return wrong(m, "expand is absurd");
    inner = expand * width;
    if ((rc = config_u32(m->c, alone ? "d_inner" : "mamba_d_ssm", &inner, m->err)) < 0) return rc;
    if ((rc = config_u32(m->c, alone ? "head_dim" : "mamba_d_head", &head, m->err)) < 0) return rc;
    if ((rc = config_u32(m->c, "conv_kernel|d_conv|mamba_d_conv", &conv, m->err)) < 0) return rc;
    if ((rc = config_u32(m->c, "state_size|d_state|mamba_d_state", &state, m->err)) < 0) return rc;
    if ((rc = config_u32(m->c, "n_groups|mamba_n_groups", &groups, m->err)) < 0) return rc;
    if (head == 0) return wrong(m, "the width of the state space's heads is 0");
    meta_u32(m, "ssm.conv_kernel", conv);
    meta_u32(m, "ssm.inner_size", inner);
    meta_u32(m, "ssm.state_size", state);
    meta_u32(m, "ssm.time_step_rank", inner / head);
    meta_u32(m, "ssm.group_count", groups);
    if (!alone) return 0;
    if ((rc = config_num(m->c, "layer_norm_epsilon|rms_norm_eps", &eps, m->err)) < 0) return rc;
    meta_f32(m, "attention.layer_norm_rms_epsilon", eps);
    meta_u32(m, "context_length", 1 << 20); /* it has none */
    meta_u32(m, "feed_forward_length", 0);
    meta_u32(m, "attention.head_count", 0);
    return 0;
}

int meta_gpt2(struct meta *m)
{
    uint32_t width = 0, ff = 0;
    int rc;
    if ((rc = meta_need_u32(m, "n_embd|hidden_size", &width)) < 0) return rc;
    if ((rc = config_u32(m->c, "n_inner", &ff, m->err)) < 0) return rc;
    if (rc == 0 && width < 1 << 28) ff = 4 * width;
    meta_u32(m, "feed_forward_length", ff);
    return 0;
}

/* Latent attention is written as ggml reads it: all heads share one key and value of the latent's width, from which each
 * decompresses its own. */
int meta_deepseek2(struct meta *m)
{
    uint32_t latent = 0, turn = 0, nope = 0, v = 0;
    double all = 0, s = 1;
    char key[128];
    int rc;
    if ((rc = meta_need_u32(m, "kv_lora_rank", &latent)) < 0) return rc;
    if ((rc = meta_need_u32(m, "qk_rope_head_dim", &turn)) < 0) return rc;
    if ((rc = meta_need_u32(m, "qk_nope_head_dim", &nope)) < 0) return rc;
    if ((rc = meta_need_u32(m, "v_head_dim", &v)) < 0) return rc;
    meta_u32(m, "attention.head_count_kv", 1);
    meta_u32(m, "attention.key_length", latent + turn);
    meta_u32(m, "attention.value_length", latent);
    meta_u32(m, "attention.key_length_mla", nope + turn);
    meta_u32(m, "attention.value_length_mla", v);
    meta_u32(m, "rope.dimension_count", turn);
    if (json_bool(config_find(m->c, "norm_topk_prob"), 0))
        gguf_keys_bool(m->k, meta_key(m, "expert_weights_norm", key), 1);
    struct str scoring = json_str(config_find(m->c, "scoring_func"), STR("softmax"));
    if (config_find(m->c, "scoring_func")) meta_u32(m, "expert_gating_func", str_is(scoring, "sigmoid") ? 2 : 1);
    if ((rc = config_rope(m->c, "mscale_all_dim", &all, m->err)) < 0) return rc;
    if (rc == 1 && config_rope(m->c, "factor", &s, m->err) == 1)
        meta_f32(m, "rope.scaling.yarn_log_multiplier", 0.1 * all);
    return 0;
}

/* The rotation of published ones is not stretched, which their files say. */
static void no_scaling(struct meta *m)
{
    static const char *const other[] = {"linear", "yarn", "longrope", "su"}; /* meta.c writes these */
    struct str type = config_rope_type(m->c);
    char key[128];
    for (size_t i = 0; i < sizeof other / sizeof *other; i++)
        if (str_is(type, other[i])) return;
    gguf_keys_str(m->k, meta_key(m, "rope.scaling.type", key), STR("none"));
}

/* Command R's config.json states a shorter context than the model was made for, and the longer one beside it. */
int meta_cohere(struct meta *m)
{
    uint32_t n = 0;
    int rc = config_u32(m->c, "model_max_length", &n, m->err);
    if (rc < 0) return rc;
    if (rc == 1) meta_u32(m, "context_length", n);
    no_scaling(m);
    return 0;
}

int meta_nemotron(struct meta *m)
{
    double eps = 1e-5;
    int rc = config_num(m->c, "norm_eps|layer_norm_eps", &eps, m->err);
    if (rc < 0) return rc;
    meta_f32(m, "attention.layer_norm_epsilon", eps);
    no_scaling(m);
    return 0;
}

/* Latent attention, and three numbers that readers have in their code: GGUF has no key for them. */
int meta_minicpm3(struct meta *m)
{
    static const struct {
        const char *name;
        double fixed;
    } all[] = {{"scale_emb", 12}, {"scale_depth", 1.4}, {"dim_model_base", 256}};
    uint32_t turn = 0, nope = 0;
    int rc;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        double v = all[i].fixed;
        if ((rc = config_num(m->c, all[i].name, &v, m->err)) < 0) return rc;
        if (fabs(v - all[i].fixed) > 1e-6)
            return lar_fail(m->err, LAR_EUNSUPPORTED,
                            "%s/config.json: %s is %s, but readers of minicpm3 files take %s for granted",
                            buf_z(&m->c->folder), all[i].name, num_show(v).z, num_show(all[i].fixed).z);
    }
    if ((rc = meta_need_u32(m, "qk_rope_head_dim", &turn)) < 0) return rc;
    if ((rc = meta_need_u32(m, "qk_nope_head_dim", &nope)) < 0) return rc;
    if (turn > 1 << 12 || nope > 1 << 12) return wrong(m, "qk_rope_head_dim or qk_nope_head_dim is absurd");
    meta_u32(m, "attention.key_length", nope + turn);
    meta_u32(m, "rope.dimension_count", turn);
    uint32_t value = (uint32_t)m->head_dim; /* what readers take, width / heads */
    if ((rc = config_u32(m->c, "v_head_dim", &value, m->err)) < 0) return rc;
    if (value != m->head_dim) meta_u32(m, "attention.value_length", value);
    m->rope_dim = turn;
    return 0;
}

int meta_olmoe(struct meta *m)
{
    if (json_num(config_find(m->c, "clip_qkv"), 0) > 0) return wrong(m, "clip_qkv is not known");
    return 0;
}

int meta_glm4_moe(struct meta *m)
{
    meta_u32(m, "expert_gating_func", 2); /* a sigmoid */
    return 0;
}

int meta_ernie_moe(struct meta *m)
{
    uint32_t each = 0, shared = 0;
    int rc;
    if ((rc = config_u32(m->c, "moe_intermediate_size", &each, m->err)) < 0) return rc;
    if ((rc = config_u32(m->c, "moe_num_shared_experts", &shared, m->err)) < 0) return rc;
    if ((uint64_t)each * shared > INT32_MAX) return wrong(m, "moe_num_shared_experts is absurd");
    if (each && shared) meta_u32(m, "expert_shared_feed_forward_length", each * shared);
    return 0;
}
