/* SPDX-License-Identifier: Apache-2.0
 *
 * model/arch.c: the families Lar runs. Each is a handful of constants that its files do not carry; the file's own keys say the rest.
 * Sources: the reference implementations in transformers and the table in ggml's conversion script, checked against golden logits.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "model/model.h"

/* Granite's four multipliers. The logits are divided by theirs. */
static int granite_setup(struct model *m, struct lar_err *err)
{
    float logit = 1;
    int rc;
    if ((rc = model_key_f32(m, "attention.scale", &m->h.attn_scale, err)) < 0) return rc;
    if ((rc = model_key_f32(m, "embedding_scale", &m->h.embed_scale, err)) < 0) return rc;
    if ((rc = model_key_f32(m, "residual_scale", &m->h.residual_scale, err)) < 0) return rc;
    if ((rc = model_key_f32(m, "logit_scale", &logit, err)) < 0) return rc;
    if (logit == 0) return lar_fail(err, LAR_EFORMAT, "%s.logit_scale is 0", m->arch->name);
    m->h.logit_scale = 1 / logit;
    return 0;
}

/* Granite 4's hybrids do not turn queries and keys when the file says that rotation was not trained. */
static int granite_hybrid_setup(struct model *m, struct lar_err *err)
{
    int turns = 1, rc;
    if ((rc = gguf_bool(&m->gguf, "granitehybrid.rope.scaling.finetuned", &turns, err)) < 0)
        return rc;
    m->no_rope = !turns;
    return granite_setup(m, err);
}

static int gemma_scale(struct model *m, size_t largest, struct lar_err *err)
{
    uint32_t heads = 0;
    int rc = model_key_u32(m, "attention.head_count", &heads, err);
    if (rc < 0) return rc;
    if (m->h.nlayer == largest && heads) m->h.attn_scale = 1 / sqrtf((float)m->h.width / (float)heads);
    rc = model_key_f32(m, "attention.scale", &m->h.attn_scale, err); /* lar convert says what is unusual */
    return rc < 0 ? rc : 0;
}

/* Gemma 2 27B scales queries by width / heads, which no key says; it is the one with 46 layers. */
static int gemma2_setup(struct model *m, struct lar_err *err) { return gemma_scale(m, 46, err); }

/* The same of Gemma 3 27B, with 62 layers. */
static int gemma3_setup(struct model *m, struct lar_err *err) { return gemma_scale(m, 62, err); }

static int mistral3_setup(struct model *m, struct lar_err *err)
{
    int rc;
    if ((rc = model_key_f32(m, "attention.temperature_scale", &m->h.temp_scale, err)) < 0)
        return rc;
    if (m->h.temp_scale == 0) return 0;
    if ((rc = model_key_u32(m, "rope.scaling.original_context_length", &m->h.temp_period, err)) < 0)
        return rc;
    if (m->h.temp_period == 0)
        return lar_fail(err, LAR_EFORMAT,
                        "mistral3.rope.scaling.original_context_length is missing or 0");
    return 0;
}

/* YaRN's factor goes into the scale of q . k, squared, when the file has its multiplier (a tenth of it belongs to the factor's formula and is
 * in the file already). */
static int deepseek2_setup(struct model *m, struct lar_err *err)
{
    struct str kind = STR("none");
    uint32_t key = 0, length = 0;
    float s = 1, mul = 0;
    int rc;
    if ((rc = model_key_u32(m, "attention.key_length_mla", &key, err)) < 0) return rc;
    if (rc == 0 && (rc = model_key_u32(m, "attention.key_length", &key, err)) < 0) return rc;
    if (key == 0) return lar_fail(err, LAR_EFORMAT, "deepseek2.attention.key_length is missing");
    if ((rc = gguf_str(&m->gguf, "deepseek2.rope.scaling.type", &kind, err)) < 0) return rc;
    if ((rc = model_key_f32(m, "rope.scaling.factor", &s, err)) < 0) return rc;
    if ((rc = model_key_f32(m, "rope.scaling.yarn_log_multiplier", &mul, err)) < 0) return rc;
    double factor = str_is(kind, "yarn") && s > 1 ? 1 + (double)mul * log((double)s) : 1;
    m->h.attn_scale = (float)(factor * factor / sqrt((double)key));
    if ((rc = model_key_f32(m, "attention.temperature_scale", &m->h.temp_scale, err)) < 0)
        return rc;
    if ((rc = model_key_u32(m, "attention.temperature_length", &length, err)) < 0) return rc;
    if (m->h.temp_scale != 0 && length == 0)
        return lar_fail(err, LAR_EFORMAT, "deepseek2.attention.temperature_length is missing or 0");
    m->h.temp_period = length;
    return 0;
}

/* An activation that is not the family's usual one, under the name that transformers has for it: Granite's embedders gate with SiLU, GPT-NeoX 20B
 * has the GELU of tanh where Pythia has that of erf. */
static int activation_setup(struct model *m, struct lar_err *err)
{
    static const struct {
        const char *name;
        enum dev_gate gate;
    } known[] = {{"gelu", GATE_GELU},          {"silu", GATE_SILU},         {"gelu_fast", GATE_GELU_TANH},
                 {"gelu_new", GATE_GELU_TANH}, {"gelu_pytorch_tanh", GATE_GELU_TANH}};
    struct str act = STR("");
    char key[64];
    snprintf(key, sizeof key, "%s.hidden_activation", m->arch->name);
    int rc = gguf_str(&m->gguf, key, &act, err);
    if (rc <= 0) return rc;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (str_is(act, known[i].name)) return m->gate = known[i].gate, 0;
    return lar_fail(err, LAR_EUNSUPPORTED,
                    "%s is \"%.*s\"; known: gelu, silu, gelu_fast, gelu_new, gelu_pytorch_tanh", key, STR_ARG(act));
}

static int minicpm3_setup(struct model *m, struct lar_err *err)
{
    (void)err;
    m->h.embed_scale = 12;
    m->h.residual_scale = (float)(1.4 / sqrt((double)m->h.nlayer));
    m->h.logit_scale = 256 / (float)m->h.width;
    return 0;
}

/* Cohere multiplies its logits. */
static int cohere_setup(struct model *m, struct lar_err *err)
{
    int rc = model_key_f32(m, "logit_scale", &m->h.logit_scale, err);
    if (rc < 0) return rc;
    if (m->h.logit_scale == 0) m->h.logit_scale = 1;
    return 0;
}

/* clang-format off */
static const struct arch families[] = {
    /* Llama 1-3, SmolLM2, Mistral, and the many others that are Llama in all but name. */
    {.name = "llama", .norm = NORM_RMS, .gate = GATE_SILU, .expert_renorm = 1},
    {.name = "mistral3", .norm = NORM_RMS, .gate = GATE_SILU, .setup = mistral3_setup},
    /* Qwen: biases of q, k, v in 2; per-head norms of q and k in 3. Both are bound where the file has them. */
    {.name = "qwen2", .norm = NORM_RMS, .neox = 1, .gate = GATE_SILU},
    {.name = "qwen2moe", .norm = NORM_RMS, .neox = 1, .gate = GATE_SILU},
    {.name = "qwen3", .norm = NORM_RMS, .neox = 1, .gate = GATE_SILU},
    {.name = "qwen3moe", .norm = NORM_RMS, .neox = 1, .gate = GATE_SILU, .expert_renorm = 1},
    /* Gemma's converter has added the 1 to the norms' weights. */
    {.name = "gemma", .norm = NORM_RMS, .neox = 1, .gate = GATE_GELU_TANH, .embed_scale = -1},
    {.name = "gemma2", .norm = NORM_RMS, .neox = 1, .gate = GATE_GELU_TANH, .embed_scale = -1, .window_period = 2,
     .setup = gemma2_setup},
    {.name = "gemma3", .norm = NORM_RMS, .neox = 1, .gate = GATE_GELU_TANH, .embed_scale = -1, .window_period = 6,
     .rope_base_window = 10000, .setup = gemma3_setup},
    /* Gemma 4: wider heads and stretched rotation where a layer sees everything, normed values, inputs for each layer, the last layers
     * without keys of their own. */
    {.name = "gemma4", .norm = NORM_RMS, .neox = 1, .gate = GATE_GELU_TANH, .embed_scale = -1, .window_period = 6,
     .rope_base_window = 10000, .attn_scale = 1, .v_norm = 1, .factors_global = 1, .expert_renorm = 1},
    {.name = "gemma3n", .norm = NORM_RMS, .neox = 1, .gate = GATE_GELU_TANH, .embed_scale = -1, .window_period = 5,
     .rope_base_window = 10000, .attn_scale = 1, .v_norm = 1, .own_kv_layers = 20},
    {.name = "phi2", .norm = NORM_LAYER, .neox = 1, .gate = GATE_GELU_TANH, .parallel = 1, .loose_ff = 1},
    {.name = "phi3", .norm = NORM_RMS, .neox = 1, .gate = GATE_SILU},
    {.name = "phimoe", .norm = NORM_LAYER, .neox = 1, .gate = GATE_SILU, .sparse_mixer = 1},
    {.name = "smollm3", .norm = NORM_RMS, .gate = GATE_SILU, .nope_period = 4},
    {.name = "granite", .norm = NORM_RMS, .gate = GATE_SILU, .setup = granite_setup},
    {.name = "granitemoe", .norm = NORM_RMS, .gate = GATE_SILU, .expert_renorm = 1, .setup = granite_setup},
    {.name = "gpt-oss", .norm = NORM_RMS, .neox = 1, .gate = GATE_OSS, .expert_renorm = 1, .window_period = 2,
     .yarn_exact = 1, .ffn_norm_name = "post_attention_norm"},
    /* OLMo 2 and 3 norm what a block gives, not what it reads, and whole rows of queries and keys. */
    {.name = "olmo2", .norm = NORM_RMS, .neox = 1, .gate = GATE_SILU, .window_period = 4, .window_rope_plain = 1},
    {.name = "exaone4", .norm = NORM_RMS, .neox = 1, .gate = GATE_SILU, .window_period = 4, .nope_global = 1},
    {.name = "seed_oss", .norm = NORM_RMS, .neox = 1, .gate = GATE_SILU, .ffn_norm_name = "post_attention_norm"},
    {.name = "hunyuan-dense", .norm = NORM_RMS, .neox = 1, .gate = GATE_SILU, .norm_after_rope = 1},
    {.name = "hunyuan-moe", .norm = NORM_RMS, .neox = 1, .gate = GATE_SILU, .norm_after_rope = 1, .expert_renorm = 1},
    {.name = "ernie4_5", .norm = NORM_RMS, .gate = GATE_SILU},
    /* LFM2: short convolutions; layers with key heads are attention. */
    {.name = "lfm2", .norm = NORM_RMS, .neox = 1, .gate = GATE_SILU, .mixer = MIX_SHORTCONV, .embed_norm_is_output = 1},
    {.name = "lfm2moe", .norm = NORM_RMS, .neox = 1, .gate = GATE_SILU, .mixer = MIX_SHORTCONV,
     .embed_norm_is_output = 1, .expert_renorm = 1},
    {.name = "granitehybrid", .norm = NORM_RMS, .gate = GATE_SILU, .mixer = MIX_MAMBA2, .expert_renorm = 1,
     .loose_ff = 1, .setup = granite_hybrid_setup},
    {.name = "falcon-h1", .norm = NORM_RMS, .neox = 1, .gate = GATE_SILU, .mixer = MIX_BOTH},
    {.name = "mamba2", .norm = NORM_RMS, .gate = GATE_SILU, .mixer = MIX_MAMBA2},
    {.name = "rwkv7", .norm = NORM_LAYER, .no_rope = 1, .mixer = MIX_RWKV7},
    /* Qwen3-Next and 3.5: three gated delta nets to one gated attention. */
    {.name = "qwen3next", .norm = NORM_RMS, .neox = 1, .gate = GATE_SILU, .mixer = MIX_DELTA, .gated_attention = 1,
     .expert_renorm = 1, .ffn_norm_name = "post_attention_norm"},
    {.name = "qwen35", .norm = NORM_RMS, .neox = 1, .gate = GATE_SILU, .mixer = MIX_DELTA, .gated_attention = 1,
     .delta_tiled = 1, .ffn_norm_name = "post_attention_norm"},
    {.name = "qwen35moe", .norm = NORM_RMS, .neox = 1, .gate = GATE_SILU, .mixer = MIX_DELTA, .gated_attention = 1,
     .delta_tiled = 1, .expert_renorm = 1, .ffn_norm_name = "post_attention_norm"},
    /* DeepSeek 2, 3 and R1, Kimi K2: latent attention; see mla.c. */
    {.name = "deepseek2", .norm = NORM_RMS, .gate = GATE_SILU, .latent = 1, .yarn_in_scale = 1, .expert_sigmoid = -1,
     .setup = deepseek2_setup},
    /* Embeddings times 12, blocks times 1.4 / sqrt(layers), logits by width / 256. */
    {.name = "minicpm3", .norm = NORM_RMS, .neox = 1, .gate = GATE_SILU, .latent = 1, .setup = minicpm3_setup},
    /* GLM 4 norms what a block reads and what it gives; 4.5 to 4.7 do not, and have a draft layer at the end. */
    {.name = "glm4", .norm = NORM_RMS, .gate = GATE_SILU},
    {.name = "glm4moe", .norm = NORM_RMS, .neox = 1, .gate = GATE_SILU, .expert_sigmoid = 1,
     .ffn_norm_name = "post_attention_norm"},
    {.name = "dots1", .norm = NORM_RMS, .neox = 1, .gate = GATE_SILU, .expert_sigmoid = -1},
    {.name = "ernie4_5-moe", .norm = NORM_RMS, .gate = GATE_SILU, .expert_renorm = 1},
    {.name = "olmoe", .norm = NORM_RMS, .neox = 1, .gate = GATE_SILU},
    /* BitNet: norms within the blocks, before their last matrices. The files of the 2B-4T model are "b1.58" and square their activation. */
    {.name = "bitnet", .norm = NORM_RMS, .neox = 1, .gate = GATE_SILU},
    {.name = "bitnet-b1.58", .norm = NORM_RMS, .neox = 1, .gate = GATE_RELU2},
    {.name = "command-r", .norm = NORM_LAYER, .gate = GATE_SILU, .parallel = 1, .setup = cohere_setup},
    {.name = "cohere2", .norm = NORM_LAYER, .gate = GATE_SILU, .parallel = 1, .window_period = 4, .nope_global = 1,
     .setup = cohere_setup},
    {.name = "nemotron", .norm = NORM_LAYER, .neox = 1, .gate = GATE_RELU2},
    {.name = "apertus", .norm = NORM_RMS, .neox = 1, .gate = GATE_XIELU},
    {.name = "arcee", .norm = NORM_RMS, .gate = GATE_RELU2},
    {.name = "gpt2", .norm = NORM_LAYER, .gate = GATE_GELU_TANH, .no_rope = 1},
    {.name = "gptneox", .norm = NORM_LAYER, .neox = 1, .gate = GATE_GELU, .parallel = 1, .setup = activation_setup},
    {.name = "starcoder2", .norm = NORM_LAYER, .neox = 1, .gate = GATE_GELU_TANH},
    {.name = "stablelm", .norm = NORM_LAYER, .neox = 1, .gate = GATE_SILU},
    /* Embedders and classifiers: every token sees the whole text. BERT with all its kin (MiniLM, BGE, E5, XLM-R) norms after adding. */
    {.name = "bert", .norm = NORM_LAYER, .gate = GATE_GELU, .no_rope = 1, .both = 1, .post_norm = 1},
    {.name = "nomic-bert", .norm = NORM_LAYER, .neox = 1, .gate = GATE_SILU, .both = 1, .post_norm = 1},
    {.name = "modern-bert", .norm = NORM_LAYER, .neox = 1, .gate = GATE_GELU, .both = 1, .window_period = 3,
     .window_first = 1, .rope_base_window = 10000, .setup = activation_setup},
    {.name = "gemma-embedding", .norm = NORM_RMS, .neox = 1, .gate = GATE_GELU_TANH, .embed_scale = -1, .both = 1,
     .window_period = 6, .rope_base_window = 10000},
};
/* clang-format on */

enum { NFAMILY = sizeof families / sizeof *families };

const struct arch *arch_find(struct str name)
{
    for (size_t i = 0; i < NFAMILY; i++)
        if (str_is(name, families[i].name)) return &families[i];
    return NULL;
}

const char *arch_name(size_t i) { return i < NFAMILY ? families[i].name : NULL; }
