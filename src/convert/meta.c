/* SPDX-License-Identifier: Apache-2.0
 *
 * convert/meta.c: the keys that all families have, in one table, and the rotation. Key names: ggml's docs/gguf.md and gguf-py/constants.py.
 * Beyond ggml's own converter: Mistral's window is written (attention.sliding_window), layer patterns that are not the family's usual
 * one, attention.scale of Gemma 2 and 3, rope.scaling.dynamic_factor, and rope.scaling.yarn_truncate where config.json departs from the family's constant.
 */
#include "convert/meta.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/num.h"

enum { QUANTISATION_VERSION = 2 }; /* GGML_QNT_VERSION */

const char *meta_key(const struct meta *m, const char *tail, char out[128])
{
    snprintf(out, 128, "%s.%s", m->f->arch, tail);
    return out;
}

void meta_u32(struct meta *m, const char *tail, uint32_t v)
{
    char key[128];
    gguf_keys_u32(m->k, meta_key(m, tail, key), v);
}

void meta_f32(struct meta *m, const char *tail, double v)
{
    char key[128];
    gguf_keys_f32(m->k, meta_key(m, tail, key), (float)v);
}

int meta_need_u32(struct meta *m, const char *names, uint32_t *out)
{
    int rc = config_u32(m->c, names, out, m->err);
    if (rc == 0) return lar_fail(m->err, LAR_EFORMAT, "%s/config.json: %s is missing", buf_z(&m->c->folder), names);
    return rc < 0 ? rc : 0;
}

/* ---- general ---------------------------------------------------------------------------------------------------- */

static int letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

/* "qwen3-0.6b" is called "Qwen3 0.6b": a word in small letters gets capitals, unless it begins with a digit. */
static void put_title(struct buf *b, struct str s)
{
    for (size_t i = 0; i < s.n;) {
        size_t end = i;
        int small = 1, any = 0;
        while (end < s.n && s.p[end] != '-' && s.p[end] != ' ') {
            if (s.p[end] >= 'A' && s.p[end] <= 'Z') small = 0;
            any |= letter(s.p[end++]);
        }
        int version = s.p[i] == 'v' && end > i + 1 && s.p[i + 1] >= '0' && s.p[i + 1] <= '9';
        if (!any || (s.p[i] >= '0' && s.p[i] <= '9') || version) small = 0;
        if (b->n && end > i) buf_putc(b, ' ');
        for (size_t k = i; k < end; k++) {
            int first = k == i || !letter(s.p[k - 1]);
            buf_putc(b, small && first && letter(s.p[k]) ? (char)(s.p[k] - 32) : s.p[k]);
        }
        i = end + 1;
    }
}

/* "8x7B": parameters in three or so digits; of models with experts, of one of them and what all share. */
static void put_size(struct buf *b, const struct plan *p)
{
    static const struct {
        double unit;
        char sign;
    } scale[] = {{1e12, 'T'}, {1e9, 'B'}, {1e6, 'M'}, {1e3, 'K'}};
    double shared = 0, expert = 0;
    int64_t experts = 0, nexpert = 0;
    for (size_t i = 0; i < p->n; i++) {
        const struct output *o = &p->out[i];
        int64_t e = 0;
        for (size_t k = 0; k + 6 <= o->name.n; k++)
            if (!memcmp(o->name.p + k, "_exps.", 6) && o->ndim == 3) e = o->dim[2];
        if (e > 0) {
            expert += (double)(o->n / e);
            experts += e;
            nexpert++;
        } else {
            shared += (double)o->n;
        }
    }
    if (nexpert) buf_printf(b, "%" PRId64 "x", experts / nexpert);
    double v = shared + expert;
    size_t u = 0;
    while (u < 3 && !(v > scale[u].unit)) u++;
    v /= scale[u].unit;
    long whole = lrint(v);
    num_put(b, 'f', 0, whole >= 10 ? 0 : whole >= 1 ? 1 : 2, v);
    buf_putc(b, scale[u].sign);
}

static void general(struct meta *m)
{
    struct buf b = {0};
    gguf_keys_str(m->k, "general.architecture", str_of(m->f->arch));
    gguf_keys_str(m->k, "general.type", STR("model"));
    put_title(&b, m->c->name);
    if (b.n) gguf_keys_str(m->k, "general.name", buf_view(&b));
    buf_clear(&b);
    put_size(&b, m->p);
    gguf_keys_str(m->k, "general.size_label", buf_view(&b));
    if (b.failed) m->k->b.failed = 1;
    buf_done(&b);
}

/* What generation_config.json recommends. Without do_sample transformers takes the most probable token; its numbers stand all the same. */
static int sampling(struct meta *m)
{
    static const struct {
        const char *key, *from;
        int whole;
    } all[] = {
        {"general.sampling.top_k", "top_k", 1},
        {"general.sampling.top_p", "top_p", 0},
        {"general.sampling.min_p", "min_p", 0},
        {"general.sampling.temp", "temperature", 0},
        {"general.sampling.penalty_repeat", "repetition_penalty", 0},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        const struct json *v = config_in(m->c->generation, all[i].from);
        if (!v) continue;
        if (v->kind != JSON_NUMBER || !(fabs(v->num) < 1e9))
            return lar_fail(m->err, LAR_EFORMAT, "%s/generation_config.json: %s is no number", buf_z(&m->c->folder),
                            all[i].from);
        if (all[i].whole)
            gguf_keys_int(m->k, all[i].key, GGUF_I32, (int32_t)v->num);
        else
            gguf_keys_f32(m->k, all[i].key, (float)v->num);
    }
    return 0;
}

/* ---- rules ------------------------------------------------------------------------------------------------------ */

const struct key_rule meta_common[] = {
    {"block_count", "num_hidden_layers|n_layer|n_layers|num_layers", KEY_U32},
    {"context_length", "max_position_embeddings|n_ctx|n_positions|max_sequence_length|model_max_length", KEY_U32},
    {"embedding_length", "hidden_size|n_embd|dim|d_model", KEY_U32},
    {"feed_forward_length", "intermediate_size|n_inner|hidden_dim", KEY_U32},
    {"attention.head_count", "num_attention_heads|n_head|n_heads", KEY_U32},
    {"attention.head_count_kv", "num_key_value_heads|n_kv_heads", KEY_U32},
    {"attention.layer_norm_rms_epsilon", "rms_norm_eps|norm_eps", KEY_F32},
    {"attention.layer_norm_epsilon", "layer_norm_eps|layer_norm_epsilon|norm_epsilon", KEY_F32},
    {"expert_count", "num_local_experts|num_experts|n_routed_experts", KEY_U32},
    {"expert_used_count", "num_experts_per_tok|num_experts_per_token|top_k_experts", KEY_U32},
    {"expert_group_count", "n_group", KEY_U32},
    {"expert_group_used_count", "topk_group", KEY_U32},
    {"attention.key_length", "head_dim", KEY_U32},
    {"attention.value_length", "head_dim", KEY_U32},
    {"vocab_size", "vocab_size", KEY_U32},
    {NULL, NULL, KEY_U32},
};

/* Keys that a family's own function writes, or leaves out. */
static int is_left_out(const struct meta *m, const char *key)
{
    unsigned f = m->f->flags;
    char full[128];
    if (gguf_keys_has(m->k, str_of(meta_key(m, key, full)))) return 1;
    if (!strcmp(key, "attention.layer_norm_epsilon") && /* Mamba-2's config calls its RMS norm's so */
        gguf_keys_has(m->k, str_of(meta_key(m, "attention.layer_norm_rms_epsilon", full))))
        return 1;
    if (!strcmp(key, "attention.head_count_kv")) return (f & FAMILY_NO_KV_HEADS) != 0;
    if (!strcmp(key, "attention.key_length") || !strcmp(key, "attention.value_length"))
        return (f & FAMILY_NO_HEAD_DIM) != 0;
    if (!strcmp(key, "vocab_size")) return !(f & FAMILY_VOCAB_SIZE);
    if (!strncmp(key, "expert_", 7) && f & FAMILY_NO_EXPERTS) return 1;
    return 0;
}

static int apply(struct meta *m, const struct key_rule *r)
{
    char key[128];
    for (; r && r->key; r++) {
        const struct json *v = config_find(m->c, r->from);
        uint32_t u = 0;
        double d = 0;
        int rc = 0;
        if (is_left_out(m, r->key)) continue;
        switch (r->kind) {
        case KEY_U32:
            if (v && v->kind == JSON_ARRAY) break; /* one a layer: the family's function writes it */
            if ((rc = config_u32(m->c, r->from, &u, m->err)) == 1) meta_u32(m, r->key, u);
            break;
        case KEY_F32:
            if ((rc = config_num(m->c, r->from, &d, m->err)) == 1) meta_f32(m, r->key, d);
            break;
        case KEY_BOOL:
        case KEY_TRUE_IF_MISSING:
            if (v || r->kind == KEY_TRUE_IF_MISSING) gguf_keys_bool(m->k, meta_key(m, r->key, key), json_bool(v, 1));
            break;
        }
        if (rc < 0) return rc;
    }
    return 0;
}

/* ---- windows ----------------------------------------------------------------------------------------------------- */

int meta_layer_types(struct meta *m, const char *tail, const char *type)
{
    const struct json *t = config_find(m->c, "layer_types");
    char key[128];
    struct buf b = {0};
    if (!t || t->kind != JSON_ARRAY) return 0;
    if ((int64_t)t->n != m->p->nlayer)
        return lar_fail(m->err, LAR_EFORMAT, "%s/config.json: layer_types has %zu entries for %" PRId64 " layers",
                        buf_z(&m->c->folder), t->n, m->p->nlayer);
    for (const struct json *v = t->child; v; v = v->next) buf_putc(&b, str_is(json_str(v, STR("")), type));
    if (b.failed)
        m->k->b.failed = 1;
    else
        gguf_keys_array(m->k, meta_key(m, tail, key), GGUF_BOOL, b.p, b.n);
    buf_done(&b);
    return 1;
}

/* 1 when the layers' types are what readers of the family assume: all windowed, or all but each period-th. */
static int is_usual(const struct meta *m, int period)
{
    const struct json *t = config_find(m->c, "layer_types");
    int i = 0;
    if (!t || t->kind != JSON_ARRAY) return 1;
    for (const struct json *v = t->child; v; v = v->next, i++)
        if (str_is(json_str(v, STR("")), "sliding_attention") != (period == 0 || i % period != period - 1)) return 0;
    return 1;
}

static int any_windowed(const struct meta *m)
{
    const struct json *t = config_find(m->c, "layer_types");
    if (!t || t->kind != JSON_ARRAY) return 1;
    for (const struct json *v = t->child; v; v = v->next)
        if (str_is(json_str(v, STR("")), "sliding_attention")) return 1;
    return 0;
}

/* Families of which some layers are windowed where config.json has no layer_types: which, by its older settings (transformers' config classes). */
static int by_rule(const struct meta *m, const struct json *turns, int64_t i, int64_t most)
{
    if (!strcmp(m->f->arch, "qwen2moe")) return i % 2 == 0 && i < most;
    if (strcmp(m->f->arch, "smollm3")) return i >= most;
    if (!turns || turns->kind != JSON_ARRAY) return (i + 1) % 4 == 0;
    const struct json *v = turns->child;
    while (v && i--) v = v->next;
    return v && json_num(v, 1) <= 0;
}

/* 1 when a pattern was written, 0: the family has no such rule. */
static int window_rule(struct meta *m, uint32_t w)
{
    static const char *const all[] = {"qwen2", "qwen2moe", "qwen3", "smollm3", "dots1"};
    uint32_t most = strcmp(m->f->arch, "dots1") ? 28 : 62;
    const struct json *turns = config_find(m->c, "no_rope_layers");
    struct buf b = {0};
    char key[128];
    int known = 0, any = 0;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) known |= !strcmp(m->f->arch, all[i]);
    if (!known || config_find(m->c, "layer_types")) return 0;
    if (config_u32(m->c, "max_window_layers", &most, m->err) < 0) return LAR_EFORMAT;
    for (int64_t i = 0; i < m->p->nlayer; i++) {
        buf_putc(&b, (char)by_rule(m, turns, i, most));
        any |= by_rule(m, turns, i, most);
    }
    if (b.failed) m->k->b.failed = 1;
    if (any) meta_u32(m, "attention.sliding_window", w);
    if (any) gguf_keys_array(m->k, meta_key(m, "attention.sliding_window_pattern", key), GGUF_BOOL, b.p, b.n);
    buf_done(&b);
    return 1;
}

/* Whether the window is in use: a switch that is off unless config.json says otherwise, in the families that have it. */
static int window_on(const struct meta *m)
{
    int has = !strncmp(m->f->arch, "qwen2", 5) || !strncmp(m->f->arch, "qwen3", 5) || !strcmp(m->f->arch, "smollm3");
    return json_bool(config_find(m->c, "use_sliding_window"), !has);
}

static int window(struct meta *m)
{
    uint32_t w = 0;
    char key[128];
    int rc = config_u32(m->c, "sliding_window", &w, m->err);
    if (rc < 0) return rc;
    if (gguf_keys_has(m->k, str_of(meta_key(m, "attention.sliding_window", key)))) return 0;
    if (rc == 0 || w == 0 || !any_windowed(m) || !window_on(m)) return 0;
    if ((rc = window_rule(m, w)) != 0) return rc < 0 ? rc : 0;
    meta_u32(m, "attention.sliding_window", w);
    if (is_usual(m, m->f->window_period) ||
        gguf_keys_has(m->k, str_of(meta_key(m, "attention.sliding_window_pattern", key))))
        return 0;
    rc = meta_layer_types(m, "attention.sliding_window_pattern", "sliding_attention");
    return rc < 0 ? rc : 0;
}

/* ---- the rotation ------------------------------------------------------------------------------------------------- */

/* Llama 3.1's factors: long waves are stretched, short ones kept, with a ramp between. */
static int llama3(struct meta *m)
{
    double base = 10000, factor = 8, low = 1, high = 4, orig = 8192;
    float f[1024];
    int64_t n = m->rope_dim / 2;
    if (n < 1 || n > 1024)
        return lar_fail(m->err, LAR_EFORMAT, "%s/config.json: head_dim is %" PRId64, buf_z(&m->c->folder), 2 * n);
    if (config_rope(m->c, "rope_theta", &base, m->err) < 0 || config_rope(m->c, "factor", &factor, m->err) < 0 ||
        config_rope(m->c, "low_freq_factor", &low, m->err) < 0 ||
        config_rope(m->c, "high_freq_factor", &high, m->err) < 0 ||
        config_rope(m->c, "original_max_position_embeddings", &orig, m->err) < 0)
        return LAR_EFORMAT;
    if (!(base > 0) || !(factor > 0) || !(orig > 0) || !(high > low) || !(low > 0))
        return lar_fail(m->err, LAR_EFORMAT, "%s/config.json: the llama3 rotation's numbers are out of range",
                        buf_z(&m->c->folder));
    for (int64_t i = 0; i < n; i++) {
        /* in single precision, as the reference has it */
        float freq = 1 / powf((float)base, (float)(2 * i) / (float)m->rope_dim), wave = (float)(2 * M_PI) / freq;
        double smooth = ((double)(float)orig / (double)wave - low) / (high - low);
        f[i] = (double)wave < orig / high  ? 1
               : (double)wave > orig / low ? (float)factor
                                           : (float)(1 / ((1 - smooth) / factor + smooth));
    }
    return plan_add(m->p, "rope_freqs.weight", f, n, n, m->err);
}

/* Cosines and sines of YaRN are multiplied by a number that config.json may give in three ways; readers assume 0.1 ln s + 1, over
 * 0.1 ln s times the log multiplier + 1. What is left over is written. */
static int yarn_factor(struct meta *m, double s)
{
    double given = 0, mscale = 0, all = 0;
    int has = config_rope(m->c, "attention_factor|attn_factor", &given, m->err);
    if (has < 0 || config_rope(m->c, "mscale", &mscale, m->err) < 0 ||
        config_rope(m->c, "mscale_all_dim", &all, m->err) < 0)
        return LAR_EFORMAT;
    double usual = s > 1 ? 0.1 * log(s) + 1 : 1, want = usual;
    if (has)
        want = given;
    else if (mscale > 0 && all > 0 && s > 1)
        want = (0.1 * mscale * log(s) + 1) / (0.1 * all * log(s) + 1);
    if (!strcmp(m->f->arch, "mistral3") && s > 1) usual /= 0.1 * all * log(s) + 1;
    if (!strcmp(m->f->arch, "deepseek2") && all > 0) usual = 1; /* it is in the scale of q . k */
    if (fabs(want / usual - 1) > 1e-6) meta_f32(m, "rope.scaling.attn_factor", want / usual);
    return 0;
}

static int yarn(struct meta *m, double s)
{
    double orig = 0, v;
    char key[128];
    int rc;
    gguf_keys_str(m->k, meta_key(m, "rope.scaling.type", key), STR("yarn"));
    meta_f32(m, "rope.scaling.factor", s);
    if ((rc = config_rope(m->c, "original_max_position_embeddings", &orig, m->err)) < 0) return rc;
    if (rc == 0 && (rc = config_num(m->c, "max_position_embeddings", &orig, m->err)) < 0) return rc;
    if (!(orig >= 1) || orig > 1e9)
        return lar_fail(m->err, LAR_EFORMAT, "%s/config.json: original_max_position_embeddings is missing",
                        buf_z(&m->c->folder));
    meta_u32(m, "rope.scaling.original_context_length", (uint32_t)orig);
    if ((rc = config_rope(m->c, "beta_fast", &v, m->err)) < 0) return rc;
    if (rc == 1) meta_f32(m, "rope.scaling.yarn_beta_fast", v);
    if ((rc = config_rope(m->c, "beta_slow", &v, m->err)) < 0) return rc;
    if (rc == 1) meta_f32(m, "rope.scaling.yarn_beta_slow", v);
    const struct json *t = config_in(m->c->rope_full, "truncate");
    int usual = strcmp(m->f->arch, "gpt-oss") != 0, truncate = json_bool(t, 1);
    if (truncate != usual) gguf_keys_bool(m->k, meta_key(m, "rope.scaling.yarn_truncate", key), truncate);
    return yarn_factor(m, s);
}

static int rotation(struct meta *m)
{
    struct str type = config_rope_type(m->c);
    double base = 0, window_base = 0, s = 1;
    char key[128];
    int rc = config_rope(m->c, "rope_theta|rotary_emb_base", &base, m->err);
    if (rc < 0) return rc;
    int usual = m->f->flags & FAMILY_NO_ROPE_BASE && fabs(base - 10000) < 1e-9;
    if (rc == 1 && !usual && !gguf_keys_has(m->k, str_of(meta_key(m, "rope.freq_base", key))))
        meta_f32(m, "rope.freq_base", base);
    const struct json *w = config_in(m->c->rope_window, "rope_theta");
    if (!w) w = config_find(m->c, "rope_local_base_freq");
    if ((window_base = json_num(w, 0)) > 0) meta_f32(m, "rope.freq_base_swa", window_base);
    if (m->f->flags & FAMILY_ROPE_DIM) meta_u32(m, "rope.dimension_count", (uint32_t)m->rope_dim);
    if ((rc = config_rope(m->c, "factor", &s, m->err)) < 0) return rc;
    int has_factor = rc == 1;
    if (has_factor && !(s > 0))
        return lar_fail(m->err, LAR_EFORMAT, "%s/config.json: the rotation's factor is %s", buf_z(&m->c->folder),
                        num_show(s).z);
    if (str_is(type, "linear") && has_factor) {
        gguf_keys_str(m->k, meta_key(m, "rope.scaling.type", key), STR("linear"));
        meta_f32(m, "rope.scaling.factor", s);
        return 0;
    }
    if (str_is(type, "yarn") && has_factor) return yarn(m, s);
    if (str_is(type, "llama3")) return llama3(m);
    if (str_is(type, "longrope") || str_is(type, "su")) {
        if (gguf_keys_has(m->k, str_of(meta_key(m, "rope.scaling.attn_factor", key)))) return 0; /* Phi's do it themselves */
        gguf_keys_str(m->k, meta_key(m, "rope.scaling.type", key), STR("longrope"));
        return meta_longrope(m);
    }
    if (str_is(type, "default") || str_is(type, "proportional") || str_is(type, "mrope")) return 0;
    if (str_is(type, "dynamic")) { /* with alpha: see meta_hunyuan */
        if (has_factor && !config_in(m->c->rope, "alpha")) meta_f32(m, "rope.scaling.dynamic_factor", s);
        return 0;
    }
    return lar_fail(m->err, LAR_EUNSUPPORTED, "%s/config.json: a rotation of type \"%.*s\" is not known",
                    buf_z(&m->c->folder), STR_ARG(type));
}

/* Families whose heads may turn in part; transformers has no eye for the setting in others. (Those with a `more` of their own read it there.) */
static int turns_in_part(const struct meta *m)
{
    static const char *const all[] = {"stablelm", "phi2",    "phi3",          "nemotron",   "glm4",
                                      "glm4moe",  "gptneox", "granitehybrid", "minimax-m2"};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (!strcmp(m->f->arch, all[i])) return 1;
    return 0;
}

static int measure(struct meta *m)
{
    uint32_t width = 0, heads = 0;
    double part = strcmp(m->f->arch, "glm4") ? 1 : 0.5;
    char key[128];
    int rc;
    if ((rc = config_u32(m->c, "hidden_size|n_embd|dim|d_model", &width, m->err)) < 0) return rc;
    if ((rc = config_u32(m->c, "num_attention_heads|n_head|n_heads", &heads, m->err)) < 0) return rc;
    m->head_dim = heads ? width / heads : 0;
    if (!(m->f->flags & FAMILY_NO_HEAD_DIM) && (rc = config_u32(m->c, "head_dim", &m->head_dim, m->err)) < 0)
        return rc;
    uint32_t own = m->head_dim;
    if (!strncmp(m->f->arch, "granite", 7) && (rc = config_u32(m->c, "head_dim", &own, m->err)) < 0) return rc;
    if (own != m->head_dim) { /* readers take width / heads for what these files do not say */
        m->head_dim = own;
        gguf_keys_u32(m->k, meta_key(m, "attention.key_length", key), own);
        gguf_keys_u32(m->k, meta_key(m, "attention.value_length", key), own);
    }
    if (turns_in_part(m) && (rc = config_rope(m->c, "partial_rotary_factor|rotary_pct", &part, m->err)) < 0) return rc;
    m->rope_dim = part >= 0 && part <= 1 ? (int64_t)(part * m->head_dim) : m->head_dim;
    return 0;
}

static void xielu(struct meta *m)
{
    static const char *const name[] = {"xielu.alpha_p", "xielu.alpha_n", "xielu.beta", "xielu.eps"};
    for (int i = 0; i < 4 && m->p->xielu; i++)
        gguf_keys_array(m->k, name[i], GGUF_F32, m->p->xielu + i * m->p->nlayer, (uint64_t)m->p->nlayer);
}

/* Whether the chosen experts' weights are made to sum to 1, and what they are multiplied by, where that is not what readers take for the family. */
static void expert_norm(struct meta *m)
{
    static const struct {
        const char *arch;
        int usual;
    } all[] = {{"qwen2moe", 0}, {"qwen3moe", 1}, {"qwen3next", 1}, {"lfm2moe", 1}, {"olmoe", 0}};
    char key[128];
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        int v = json_bool(config_find(m->c, "norm_topk_prob"), all[i].usual);
        if (!strcmp(m->f->arch, all[i].arch) && v != all[i].usual)
            gguf_keys_bool(m->k, meta_key(m, "expert_weights_norm", key), v);
    }
    double scale = strcmp(m->f->arch, "lfm2moe") ? 1 : json_num(config_find(m->c, "routed_scaling_factor"), 1);
    if (fabs(scale - 1) > 1e-6) meta_f32(m, "expert_weights_scale", scale);
}

/* ---- what no key says ---------------------------------------------------------------------------------------------- */

static int other(const struct meta *m, const char *what, const char *known)
{
    return lar_fail(m->err, LAR_EUNSUPPORTED,
                    "%s/config.json: %s is not what a %s model has (%s), and GGUF has no key for it",
                    buf_z(&m->c->folder), what, m->f->arch, known);
}

static int is_one_of(struct str s, const char *names)
{
    for (const char *p = names; *p;) {
        size_t n = strcspn(p, "|");
        if (n == s.n && !memcmp(p, s.p, n)) return 1;
        p += n + (p[n] == '|');
    }
    return 0;
}

/* The family's own; Gemma 1's config.json names another one than the model has. */
static int activation(const struct meta *m)
{
    static const char *const all[][2] = {
        {"gemma2", "gelu_pytorch_tanh"}, {"gemma3", "gelu_pytorch_tanh"}, {"gemma3n", "gelu_pytorch_tanh"},
        {"gemma4", "gelu_pytorch_tanh"}, {"starcoder2", "gelu_pytorch_tanh"}, {"phi2", "gelu_new|gelu_pytorch_tanh"},
        {"gpt2", "gelu_new|gelu_pytorch_tanh"}, {"nemotron", "relu2"},
        {"gptneox", "gelu|gelu_fast|gelu_new|gelu_pytorch_tanh"},
        {"bert", "gelu"}, {"nomic-bert", "silu|swiglu"}, {"gemma-embedding", "gelu_pytorch_tanh"},
        {"modern-bert", "gelu|silu|gelu_fast|gelu_new|gelu_pytorch_tanh"},
        {"arcee", "relu2"}, {"bitnet-b1.58", "relu2"}, {"apertus", "xielu"},
    };
    const char *known = "silu|swish";
    struct str s = json_str(config_find(m->c, "hidden_activation|hidden_act|activation_function"), STR(""));
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (!strcmp(m->f->arch, all[i][0])) known = all[i][1];
    char key[128];
    if (!strcmp(m->f->arch, "gptneox") && is_one_of(s, "gelu_fast|gelu_new|gelu_pytorch_tanh"))
        gguf_keys_str(m->k, meta_key(m, "hidden_activation", key), s);
    if (!s.n || !strcmp(m->f->arch, "gemma") || is_one_of(s, known)) return 0;
    return other(m, "the activation (hidden_act)", known);
}

/* Settings that readers have in their code. */
static int settings(const struct meta *m)
{
    static const struct {
        const char *arch, *name;
        int fixed;
    } all[] = {
        {"gpt2", "scale_attn_weights", 1},
        {"gpt2", "scale_attn_by_inverse_layer_idx", 0},
        {"deepseek2", "rope_interleave", 1},
        {"gemma3n", "altup_correct_scale", 1},
        {"granitehybrid", "mamba_proj_bias", 0},
        {"falcon-h1", "mamba_proj_bias", 0},
    };
    const struct json *limit = config_find(m->c, "time_step_limit");
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (!strcmp(m->f->arch, all[i].arch) &&
            json_bool(config_find(m->c, all[i].name), all[i].fixed) != all[i].fixed)
            return other(m, all[i].name, all[i].fixed ? "true" : "false");
    if (!strcmp(m->f->arch, "falcon-h1") && json_bool(config_find(m->c, "mamba_rms_norm"), 0) &&
        json_bool(config_find(m->c, "mamba_norm_before_gate"), 1))
        return other(m, "mamba_norm_before_gate", "false");
    if (!strcmp(m->f->arch, "mamba2") && limit && limit->kind == JSON_ARRAY && limit->n == 2 &&
        (json_num(limit->child, 0) > 0 || json_num(limit->child->next, HUGE_VAL) < 1e30))
        return other(m, "time_step_limit", "0 to infinity");
    return activation(m);
}

int meta_write(struct gguf_keys *k, struct plan *p, const struct family *f, const struct config *c, int file_type,
               struct lar_err *err)
{
    struct meta m = {.f = f, .c = c, .p = p, .k = k, .err = err};
    int rc;
    if ((rc = settings(&m)) < 0) return rc;
    general(&m);
    if ((rc = sampling(&m)) < 0) return rc;
    if ((rc = measure(&m)) < 0) return rc;
    if (f->more && (rc = f->more(&m)) < 0) return rc; /* first: what it writes is not written again */
    if ((rc = apply(&m, meta_common)) < 0) return rc;
    if ((rc = apply(&m, f->keys)) < 0) return rc;
    expert_norm(&m);
    if ((rc = rotation(&m)) < 0) return rc;
    if ((rc = window(&m)) < 0) return rc;
    if ((rc = meta_pooling(&m)) < 0) return rc;
    if ((rc = meta_sentence(&m)) < 0) return rc;
    xielu(&m);
    if (file_type >= 0 && !(f->flags & FAMILY_NO_FILE_TYPE))
        gguf_keys_u32(k, "general.file_type", (uint32_t)file_type);
    gguf_keys_u32(k, "general.quantization_version", QUANTISATION_VERSION);
    return 0;
}
