/* SPDX-License-Identifier: Apache-2.0
 *
 * convert/family_table.c: the families, as data. Names on the left are those of transformers' modelling files, on the right those of
 * ggml (docs/gguf.md and gguf-py's tables); what each rearrangement is, family.h says. All of it is checked tensor by
 * tensor against files made by ggml's own converter, and by logits against transformers (tests/test_convert.c).
 */
#include "convert/family_table.h"

#include "convert/meta.h"

/* clang-format off */

const char *const family_other_parts[] = {
    "visual.", "vision_tower.", "vision_model.", "vision_embed_tokens.", "multi_modal_projector.",
    "mm_projector.", "audio_tower.",
    "embed_vision.", "embed_audio.", "image_newline", "patch_merger.", "connector.", "mtp.", "encoder.",
    "layerwise_projectors.", NULL,
};

const struct name_rule family_names[] = {
    {"embed_tokens", "token_embd", HOW_SAME},
    {"lm_head", "output", HOW_SAME},
    {"norm", "output_norm", HOW_SAME},
    {"layers.#.self_attn.rotary_emb.inv_freq", "", HOW_SKIP},
    {"rotary_emb.inv_freq", "", HOW_SKIP},
    {"layers.#.input_layernorm", "attn_norm", HOW_SAME},
    {"layers.#.post_attention_layernorm", "ffn_norm", HOW_SAME},
    {"layers.#.pre_feedforward_layernorm", "ffn_norm", HOW_SAME},
    {"layers.#.post_feedforward_layernorm", "post_ffw_norm", HOW_SAME},
    {"layers.#.self_attn.q_proj", "attn_q", HOW_ROPE_Q},
    {"layers.#.self_attn.k_proj", "attn_k", HOW_ROPE_K},
    {"layers.#.self_attn.v_proj", "attn_v", HOW_SAME},
    {"layers.#.self_attn.o_proj", "attn_output", HOW_SAME},
    {"layers.#.self_attn.qkv_proj", "attn_qkv", HOW_SAME},
    {"layers.#.self_attn.q_norm", "attn_q_norm", HOW_SAME},
    {"layers.#.self_attn.k_norm", "attn_k_norm", HOW_SAME},
    {"layers.#.self_attn.sinks", "attn_sinks.weight", HOW_SAME},
    {"layers.#.mlp.gate_proj", "ffn_gate", HOW_SAME},
    {"layers.#.mlp.up_proj", "ffn_up", HOW_SAME},
    {"layers.#.mlp.down_proj", "ffn_down", HOW_SAME},
    /* experts: one by one, or already together */
    {"layers.#.mlp.gate", "ffn_gate_inp", HOW_SAME},
    {"layers.#.mlp.experts.*.gate_proj", "ffn_gate_exps", HOW_STACK},
    {"layers.#.mlp.experts.*.up_proj", "ffn_up_exps", HOW_STACK},
    {"layers.#.mlp.experts.*.down_proj", "ffn_down_exps", HOW_STACK},
    {"layers.#.mlp.experts.gate_up_proj", "ffn_gate_exps.weight|ffn_up_exps.weight", HOW_HALVES},
    {"layers.#.mlp.experts.down_proj", "ffn_down_exps.weight", HOW_SAME},
    {"layers.#.mlp.shared_expert.gate_proj", "ffn_gate_shexp", HOW_SAME},
    {"layers.#.mlp.shared_expert.up_proj", "ffn_up_shexp", HOW_SAME},
    {"layers.#.mlp.shared_expert.down_proj", "ffn_down_shexp", HOW_SAME},
    {"layers.#.mlp.shared_expert_gate", "ffn_gate_inp_shexp", HOW_SAME},
    /* state spaces (Mamba-2) */
    {"layers.#.mamba.A_log", "ssm_a", HOW_COLUMN_NEG_EXP},
    {"layers.#.mamba.D", "ssm_d", HOW_COLUMN},
    {"layers.#.mamba.dt_bias", "ssm_dt.bias", HOW_SAME},
    {"layers.#.mamba.conv1d", "ssm_conv1d", HOW_SAME},
    {"layers.#.mamba.in_proj", "ssm_in", HOW_SAME},
    {"layers.#.mamba.out_proj", "ssm_out", HOW_SAME},
    {"layers.#.mamba.norm", "ssm_norm", HOW_GROUPS},
    {NULL, NULL, HOW_SAME},
};

/* post_attention_layernorm is what it says */
#define POST_NORM {"layers.#.post_attention_layernorm", "post_attention_norm", HOW_SAME}
#define SHARED_MLP(gate, up, down)                                        \
    {"layers.#.shared_mlp.input_linear", gate "|" up, HOW_HALVES},        \
    {"layers.#.shared_mlp.output_linear", down, HOW_SAME}
#define SHARED_EXPERTS                                                    \
    {"layers.#.mlp.shared_experts.gate_proj", "ffn_gate_shexp", HOW_SAME}, \
    {"layers.#.mlp.shared_experts.up_proj", "ffn_up_shexp", HOW_SAME},     \
    {"layers.#.mlp.shared_experts.down_proj", "ffn_down_shexp", HOW_SAME}
#define END {NULL, NULL, HOW_SAME}

static const struct name_rule post_norm[] = {POST_NORM, END};

static const struct name_rule gemma4_names[] = {
    POST_NORM,
    {"embed_tokens_per_layer", "per_layer_token_embd", HOW_SAME},
    {"per_layer_model_projection", "per_layer_model_proj", HOW_SAME},
    {"per_layer_projection_norm", "per_layer_proj_norm", HOW_SAME},
    {"layers.#.per_layer_input_gate", "inp_gate", HOW_SAME},
    {"layers.#.per_layer_projection", "proj", HOW_SAME},
    {"layers.#.post_per_layer_input_norm", "post_norm", HOW_SAME},
    {"layers.#.layer_scalar", "layer_output_scale.weight", HOW_SAME},
    /* experts beside a dense feed-forward */
    {"layers.#.post_feedforward_layernorm_1", "post_ffw_norm_1", HOW_SAME},
    {"layers.#.post_feedforward_layernorm_2", "post_ffw_norm_2", HOW_SAME},
    {"layers.#.pre_feedforward_layernorm_2", "pre_ffw_norm_2", HOW_SAME},
    {"layers.#.router.proj", "ffn_gate_inp", HOW_SAME},
    {"layers.#.router.scale", "ffn_gate_inp.scale", HOW_SAME},
    {"layers.#.router.per_expert_scale", "ffn_down_exps.scale", HOW_SAME},
    {"layers.#.experts.gate_up_proj", "ffn_gate_up_exps.weight", HOW_SAME},
    {"layers.#.experts.down_proj", "ffn_down_exps.weight", HOW_SAME},
    END,
};

static const struct name_rule gemma3n_names[] = {
    POST_NORM,
    {"embed_tokens_per_layer", "per_layer_token_embd", HOW_SAME},
    {"per_layer_model_projection", "per_layer_model_proj", HOW_SAME},
    {"per_layer_projection_norm", "per_layer_proj_norm", HOW_SAME},
    {"layers.#.per_layer_input_gate", "inp_gate", HOW_SAME},
    {"layers.#.per_layer_projection", "proj", HOW_SAME},
    {"layers.#.post_per_layer_input_norm", "post_norm", HOW_SAME},
    {"altup_projections.*", "altup_proj", HOW_STACK},
    {"altup_unembed_projections.*", "altup_unembd_proj", HOW_STACK},
    {"layers.#.altup.correct_output_scale", "altup_correct_scale.weight", HOW_SAME},
    {"layers.#.altup.correction_coefs", "altup_correct_coef", HOW_SAME},
    {"layers.#.altup.prediction_coefs", "altup_predict_coef", HOW_SAME},
    {"layers.#.altup.modality_router", "altup_router", HOW_SAME},
    {"layers.#.altup.router_norm", "altup_router_norm", HOW_SAME},
    {"layers.#.laurel.linear_left", "laurel_l", HOW_SAME},
    {"layers.#.laurel.linear_right", "laurel_r", HOW_SAME},
    {"layers.#.laurel.post_laurel_norm", "laurel_post_norm", HOW_SAME},
    END,
};

static const struct name_rule phi3_names[] = {
    {"layers.#.mlp.gate_up_proj", "ffn_up", HOW_SAME},
    END,
};

static const struct name_rule hunyuan_names[] = {
    {"layers.#.self_attn.query_layernorm", "attn_q_norm", HOW_SAME},
    {"layers.#.self_attn.key_layernorm", "attn_k_norm", HOW_SAME},
    END,
};

static const struct name_rule hunyuan_moe_names[] = {
    {"layers.#.self_attn.query_layernorm", "attn_q_norm", HOW_SAME},
    {"layers.#.self_attn.key_layernorm", "attn_k_norm", HOW_SAME},
    {"layers.#.mlp.gate.wg", "ffn_gate_inp", HOW_SAME},
    {"layers.#.mlp.shared_mlp.gate_proj", "ffn_gate_shexp", HOW_SAME},
    {"layers.#.mlp.shared_mlp.up_proj", "ffn_up_shexp", HOW_SAME},
    {"layers.#.mlp.shared_mlp.down_proj", "ffn_down_shexp", HOW_SAME},
    END,
};

static const struct name_rule mixtral_names[] = {
    {"layers.#.block_sparse_moe.gate", "ffn_gate_inp", HOW_SAME},
    {"layers.#.block_sparse_moe.experts.*.w1", "ffn_gate_exps", HOW_STACK},
    {"layers.#.block_sparse_moe.experts.*.w3", "ffn_up_exps", HOW_STACK},
    {"layers.#.block_sparse_moe.experts.*.w2", "ffn_down_exps", HOW_STACK},
    END,
};

static const struct name_rule glm4_names[] = {
    {"layers.#.mlp.gate_up_proj", "ffn_up", HOW_SAME},
    {"layers.#.post_self_attn_layernorm", "post_attention_norm", HOW_SAME},
    {"layers.#.post_mlp_layernorm", "post_ffw_norm", HOW_SAME},
    END,
};

static const struct name_rule bitnet_names[] = {
    {"layers.#.self_attn.attn_sub_norm", "attn_sub_norm", HOW_SAME},
    {"layers.#.self_attn.inner_attn_ln", "attn_sub_norm", HOW_SAME},
    {"layers.#.mlp.ffn_sub_norm", "ffn_sub_norm", HOW_SAME},
    {"layers.#.mlp.ffn_layernorm", "ffn_sub_norm", HOW_SAME},
    END,
};

static const struct name_rule deepseek2_names[] = {
    SHARED_EXPERTS,
    {"layers.#.self_attn.q_proj", "attn_q", HOW_SAME},
    {"layers.#.self_attn.q_a_proj", "attn_q_a", HOW_SAME},
    {"layers.#.self_attn.q_a_layernorm", "attn_q_a_norm", HOW_SAME},
    {"layers.#.self_attn.q_b_proj", "attn_q_b", HOW_SAME},
    {"layers.#.self_attn.kv_a_proj_with_mqa", "attn_kv_a_mqa", HOW_SAME},
    {"layers.#.self_attn.kv_a_layernorm", "attn_kv_a_norm", HOW_SAME},
    {"layers.#.self_attn.kv_b_proj", "attn_k_b|attn_v_b", HOW_KV_B},
    {"layers.#.mlp.gate.e_score_correction_bias", "exp_probs_b.bias", HOW_SAME},
    END,
};

/* Experts chosen with a bias that the choice alone sees */
static const struct name_rule biased_choice_names[] = {
    SHARED_EXPERTS,
    {"layers.#.mlp.gate.e_score_correction_bias", "exp_probs_b.bias", HOW_SAME},
    {"layers.#.mlp.moe_statics.e_score_correction_bias", "exp_probs_b.bias", HOW_SAME},
    END,
};
static const struct name_rule glm4_moe_names[] = {
    SHARED_EXPERTS,
    POST_NORM,
    {"layers.#.mlp.gate.e_score_correction_bias", "exp_probs_b.bias", HOW_SAME},
    END,
};

static const struct name_rule minicpm3_names[] = {
    {"layers.#.self_attn.q_a_proj", "attn_q_a", HOW_SAME},
    {"layers.#.self_attn.q_a_layernorm", "attn_q_a_norm", HOW_SAME},
    {"layers.#.self_attn.q_b_proj", "attn_q_b", HOW_SAME},
    {"layers.#.self_attn.kv_a_proj_with_mqa", "attn_kv_a_mqa", HOW_SAME},
    {"layers.#.self_attn.kv_a_layernorm", "attn_kv_a_norm", HOW_SAME},
    {"layers.#.self_attn.kv_b_proj", "attn_kv_b", HOW_SAME},
    END,
};

static const struct name_rule granite_hybrid_names[] = {
    {"layers.#.block_sparse_moe.router.layer", "ffn_gate_inp", HOW_SAME},
    {"layers.#.block_sparse_moe.input_linear", "ffn_gate_exps|ffn_up_exps", HOW_HALVES},
    {"layers.#.block_sparse_moe.output_linear", "ffn_down_exps", HOW_SAME},
    SHARED_MLP("ffn_gate_shexp", "ffn_up_shexp", "ffn_down_shexp"),
    END,
};
static const struct name_rule granite_plain_names[] = {
    SHARED_MLP("ffn_gate", "ffn_up", "ffn_down"),
    END,
};

static const struct name_rule lfm2_names[] = {
    {"embedding_norm", "token_embd_norm", HOW_SAME},
    {"layers.#.operator_norm", "attn_norm", HOW_SAME},
    {"layers.#.ffn_norm", "ffn_norm", HOW_SAME},
    {"layers.#.conv.conv", "shortconv.conv", HOW_SAME},
    {"layers.#.conv.in_proj", "shortconv.in_proj", HOW_SAME},
    {"layers.#.conv.out_proj", "shortconv.out_proj", HOW_SAME},
    {"layers.#.self_attn.out_proj", "attn_output", HOW_SAME},
    {"layers.#.self_attn.q_layernorm", "attn_q_norm", HOW_SAME},
    {"layers.#.self_attn.k_layernorm", "attn_k_norm", HOW_SAME},
    {"layers.#.feed_forward.w1", "ffn_gate", HOW_SAME},
    {"layers.#.feed_forward.w2", "ffn_down", HOW_SAME},
    {"layers.#.feed_forward.w3", "ffn_up", HOW_SAME},
    {"layers.#.feed_forward.gate", "ffn_gate_inp", HOW_SAME},
    {"layers.#.feed_forward.expert_bias", "exp_probs_b.bias", HOW_SAME},
    {"layers.#.feed_forward.experts.*.w1", "ffn_gate_exps", HOW_STACK},
    {"layers.#.feed_forward.experts.*.w2", "ffn_down_exps", HOW_STACK},
    {"layers.#.feed_forward.experts.*.w3", "ffn_up_exps", HOW_STACK},
    {"layers.#.feed_forward.experts.gate_up_proj", "ffn_gate_exps.weight|ffn_up_exps.weight", HOW_HALVES},
    {"layers.#.feed_forward.experts.down_proj", "ffn_down_exps.weight", HOW_SAME},
    END,
};

static const struct name_rule falcon_h1_names[] = {
    {"final_layernorm", "output_norm", HOW_SAME},
    {"layers.#.pre_ff_layernorm", "ffn_norm!", HOW_SAME},
    {"layers.#.feed_forward.gate_proj", "ffn_gate", HOW_SAME},
    {"layers.#.feed_forward.up_proj", "ffn_up", HOW_SAME},
    {"layers.#.feed_forward.down_proj", "ffn_down", HOW_SAME},
    END,
};

static const struct name_rule mamba2_names[] = {
    {"embeddings", "token_embd", HOW_SAME},
    {"embedding", "token_embd", HOW_SAME},
    {"norm_f", "output_norm", HOW_SAME},
    {"layers.#.norm", "attn_norm", HOW_SAME},
    {"layers.#.mixer.A_log", "ssm_a", HOW_COLUMN_NEG_EXP},
    {"layers.#.mixer.D", "ssm_d", HOW_COLUMN},
    {"layers.#.mixer.dt_bias", "ssm_dt.bias", HOW_SAME},
    {"layers.#.mixer.conv1d", "ssm_conv1d", HOW_SAME},
    {"layers.#.mixer.in_proj", "ssm_in", HOW_SAME},
    {"layers.#.mixer.out_proj", "ssm_out", HOW_SAME},
    {"layers.#.mixer.norm", "ssm_norm", HOW_GROUPS},
    END,
};

static const struct name_rule qwen3next_names[] = {
    POST_NORM,
    {"layers.#.linear_attn.A_log", "ssm_a", HOW_NEG_EXP},
    {"layers.#.linear_attn.dt_bias", "ssm_dt.bias", HOW_SAME},
    {"layers.#.linear_attn.conv1d", "ssm_conv1d", HOW_SAME},
    {"layers.#.linear_attn.in_proj_ba", "ssm_ba", HOW_SAME},
    {"layers.#.linear_attn.in_proj_qkvz", "attn_qkv|attn_gate", HOW_QKVZ},
    {"layers.#.linear_attn.norm", "ssm_norm", HOW_SAME},
    {"layers.#.linear_attn.out_proj", "ssm_out", HOW_SAME},
    END,
};

static const struct name_rule qwen35_names[] = {
    POST_NORM,
    {"layers.#.linear_attn.A_log", "ssm_a", HOW_V_ROWS_NEG_EXP},
    {"layers.#.linear_attn.dt_bias", "ssm_dt.bias", HOW_V_ROWS},
    {"layers.#.linear_attn.conv1d", "ssm_conv1d", HOW_V_TAIL},
    {"layers.#.linear_attn.in_proj_a", "ssm_alpha", HOW_V_ROWS},
    {"layers.#.linear_attn.in_proj_b", "ssm_beta", HOW_V_ROWS},
    {"layers.#.linear_attn.in_proj_qkv", "attn_qkv", HOW_V_TAIL},
    {"layers.#.linear_attn.in_proj_z", "attn_gate", HOW_V_ROWS},
    {"layers.#.linear_attn.norm", "ssm_norm", HOW_SAME},
    {"layers.#.linear_attn.out_proj", "ssm_out", HOW_V_COLUMNS},
    END,
};

static const struct name_rule gpt_oss_names[] = {
    POST_NORM,
    {"layers.#.mlp.router", "ffn_gate_inp", HOW_SAME},
    {"layers.#.mlp.experts.gate_up_proj", "ffn_gate_exps.weight|ffn_up_exps.weight", HOW_TURNS},
    {"layers.#.mlp.experts.gate_up_proj_bias", "ffn_gate_exps.bias|ffn_up_exps.bias", HOW_TURNS},
    {"layers.#.mlp.experts.gate_up_proj_blocks", "ffn_gate_exps.weight|ffn_up_exps.weight", HOW_MXFP4},
    {"layers.#.mlp.experts.gate_up_proj_scales", "", HOW_SKIP},
    {"layers.#.mlp.experts.down_proj", "ffn_down_exps.weight", HOW_FLIP},
    {"layers.#.mlp.experts.down_proj_bias", "ffn_down_exps.bias", HOW_SAME},
    {"layers.#.mlp.experts.down_proj_blocks", "ffn_down_exps.weight", HOW_MXFP4},
    {"layers.#.mlp.experts.down_proj_scales", "", HOW_SKIP},
    END,
};

static const struct name_rule apertus_names[] = {
    {"layers.#.attention_layernorm", "attn_norm", HOW_SAME},
    {"layers.#.feedforward_layernorm", "ffn_norm", HOW_SAME},
    {"layers.#.mlp.act_fn.alpha_p", "xielu.alpha_p", HOW_XIELU},
    {"layers.#.mlp.act_fn.alpha_n", "xielu.alpha_n", HOW_XIELU},
    {"layers.#.mlp.act_fn.beta", "xielu.beta", HOW_XIELU},
    {"layers.#.mlp.act_fn.eps", "xielu.eps", HOW_XIELU},
    END,
};

static const struct name_rule gpt2_names[] = {
    {"wte", "token_embd", HOW_SAME},
    {"wpe", "position_embd", HOW_SAME},
    {"ln_f", "output_norm", HOW_SAME},
    {"h.#.attn.bias", "", HOW_SKIP},
    {"h.#.attn.masked_bias", "", HOW_SKIP},
    {"h.#.ln_1", "attn_norm", HOW_SAME},
    {"h.#.ln_2", "ffn_norm", HOW_SAME},
    {"h.#.attn.c_attn", "attn_qkv", HOW_TRANSPOSE},
    {"h.#.attn.c_proj", "attn_output", HOW_TRANSPOSE},
    {"h.#.mlp.c_fc", "ffn_up", HOW_TRANSPOSE},
    {"h.#.mlp.c_proj", "ffn_down", HOW_TRANSPOSE},
    END,
};

static const struct name_rule gptneox_names[] = {
    {"embed_in", "token_embd", HOW_SAME},
    {"embed_out", "output", HOW_SAME},
    {"final_layer_norm", "output_norm", HOW_SAME},
    {"layers.#.attention.bias", "", HOW_SKIP},
    {"layers.#.attention.masked_bias", "", HOW_SKIP},
    {"layers.#.attention.rotary_emb.inv_freq", "", HOW_SKIP},
    {"layers.#.attention.query_key_value", "attn_qkv", HOW_QKV_HEADS},
    {"layers.#.attention.dense", "attn_output", HOW_SAME},
    {"layers.#.mlp.dense_h_to_4h", "ffn_up", HOW_SAME},
    {"layers.#.mlp.dense_4h_to_h", "ffn_down", HOW_SAME},
    END,
};

static const struct name_rule phi2_names[] = {
    {"final_layernorm", "output_norm", HOW_SAME},
    {"layers.#.self_attn.dense", "attn_output", HOW_SAME},
    {"layers.#.self_attn.q_layernorm", "attn_q_norm", HOW_SAME},
    {"layers.#.self_attn.k_layernorm", "attn_k_norm", HOW_SAME},
    {"layers.#.mlp.fc1", "ffn_up", HOW_SAME},
    {"layers.#.mlp.fc2", "ffn_down", HOW_SAME},
    END,
};

static const struct name_rule starcoder2_names[] = {
    {"layers.#.mlp.c_fc", "ffn_up", HOW_SAME},
    {"layers.#.mlp.c_proj", "ffn_down", HOW_SAME},
    END,
};

static const struct name_rule stablelm_names[] = {
    {"layers.#.self_attn.q_layernorm.norms.*", "attn_q_norm", HOW_STACK},
    {"layers.#.self_attn.k_layernorm.norms.*", "attn_k_norm", HOW_STACK},
    END,
};

#define KEY_END {NULL, NULL, KEY_U32}
static const struct key_rule granite_keys[] = {
    {"attention.scale", "attention_multiplier", KEY_F32},
    {"embedding_scale", "embedding_multiplier", KEY_F32},
    {"residual_scale", "residual_multiplier", KEY_F32},
    {"logit_scale", "logits_scaling", KEY_F32},
    {"expert_shared_feed_forward_length", "shared_intermediate_size", KEY_U32},
    KEY_END,
};
static const struct key_rule gemma2_keys[] = {
    {"attn_logit_softcapping", "attn_logit_softcapping", KEY_F32},
    {"final_logit_softcapping", "final_logit_softcapping", KEY_F32},
    KEY_END,
};
static const struct key_rule gemma3_keys[] = {
    {"final_logit_softcapping", "final_logit_softcapping", KEY_F32},
    KEY_END,
};
static const struct key_rule gemma3n_keys[] = {
    {"final_logit_softcapping", "final_logit_softcapping", KEY_F32},
    {"altup.active_idx", "altup_active_idx", KEY_U32},
    {"altup.num_inputs", "altup_num_inputs", KEY_U32},
    {"embedding_length_per_layer_input", "hidden_size_per_layer_input", KEY_U32},
    {"attention.shared_kv_layers", "num_kv_shared_layers", KEY_U32},
    KEY_END,
};
static const struct key_rule gemma4_keys[] = {
    {"final_logit_softcapping", "final_logit_softcapping", KEY_F32},
    {"embedding_length_per_layer_input", "hidden_size_per_layer_input", KEY_U32},
    {"attention.shared_kv_layers", "num_kv_shared_layers", KEY_U32},
    {"expert_feed_forward_length", "expert_intermediate_size|moe_intermediate_size", KEY_U32},
    KEY_END,
};
static const struct key_rule moe_keys[] = {
    {"expert_feed_forward_length", "moe_intermediate_size", KEY_U32},
    {"expert_shared_feed_forward_length", "shared_expert_intermediate_size", KEY_U32},
    KEY_END,
};
static const struct key_rule delta_keys[] = {
    {"expert_feed_forward_length", "moe_intermediate_size", KEY_U32},
    {"expert_shared_feed_forward_length", "shared_expert_intermediate_size", KEY_U32},
    {"ssm.conv_kernel", "linear_conv_kernel_dim", KEY_U32},
    {"ssm.state_size", "linear_key_head_dim", KEY_U32},
    {"ssm.group_count", "linear_num_key_heads", KEY_U32},
    {"ssm.time_step_rank", "linear_num_value_heads", KEY_U32},
    KEY_END,
};
static const struct key_rule gpt_oss_keys[] = {{"expert_feed_forward_length", "intermediate_size", KEY_U32}, KEY_END};
static const struct key_rule lfm2_keys[] = {{"shortconv.l_cache", "conv_L_cache", KEY_U32}, KEY_END};
static const struct key_rule lfm2moe_keys[] = {
    {"shortconv.l_cache", "conv_L_cache", KEY_U32},
    {"expert_feed_forward_length", "moe_intermediate_size", KEY_U32},
    {"leading_dense_block_count", "num_dense_layers", KEY_U32},
    KEY_END,
};
static const struct key_rule parallel_keys[] = {
    {"use_parallel_residual", "use_parallel_residual", KEY_TRUE_IF_MISSING},
    KEY_END,
};
static const struct key_rule deepseek2_keys[] = {
    {"leading_dense_block_count", "first_k_dense_replace", KEY_U32},
    {"attention.q_lora_rank", "q_lora_rank", KEY_U32},
    {"attention.kv_lora_rank", "kv_lora_rank", KEY_U32},
    {"expert_feed_forward_length", "moe_intermediate_size", KEY_U32},
    {"expert_shared_count", "n_shared_experts", KEY_U32},
    {"expert_weights_scale", "routed_scaling_factor", KEY_F32},
    KEY_END,
};
static const struct key_rule cohere_keys[] = {{"logit_scale", "logit_scale", KEY_F32}, KEY_END};
static const struct key_rule minicpm3_keys[] = {
    {"attention.q_lora_rank", "q_lora_rank", KEY_U32},
    {"attention.kv_lora_rank", "kv_lora_rank", KEY_U32},
    KEY_END,
};
static const struct key_rule shared_moe_keys[] = {
    {"expert_feed_forward_length", "moe_intermediate_size", KEY_U32},
    {"expert_shared_count", "n_shared_experts", KEY_U32},
    {"leading_dense_block_count", "first_k_dense_replace", KEY_U32},
    {"expert_weights_scale", "routed_scaling_factor", KEY_F32},
    {"expert_weights_norm", "norm_topk_prob", KEY_TRUE_IF_MISSING},
    KEY_END,
};
static const struct key_rule ernie_moe_keys[] = {
    {"expert_count", "moe_num_experts", KEY_U32},
    {"expert_used_count", "moe_k", KEY_U32},
    {"expert_feed_forward_length", "moe_intermediate_size", KEY_U32},
    {"expert_shared_count", "moe_num_shared_experts", KEY_U32},
    {"interleave_moe_layer_step", "moe_layer_interval", KEY_U32},
    {"leading_dense_block_count", "moe_layer_start_index", KEY_U32},
    KEY_END,
};

#define LLAMA_FLAGS (FAMILY_VOCAB_SIZE | FAMILY_ROPE_DIM | FAMILY_ROTARY_PAIRS)

const struct family family_table[] = {
    {.hf = "LlamaForCausalLM|MistralForCausalLM|VLlama3ForCausalLM", .type = "llama|mistral", .arch = "llama",
     .flags = LLAMA_FLAGS},
    {.hf = "MixtralForCausalLM", .type = "mixtral", .arch = "llama", .flags = LLAMA_FLAGS, .names = mixtral_names},
    {.hf = "Ministral3ForCausalLM|Mistral3ForConditionalGeneration", .type = "ministral3",
     .arch = "mistral3", .flags = LLAMA_FLAGS,
     .more = meta_mistral3},
    {.hf = "Qwen2ForCausalLM", .type = "qwen2", .arch = "qwen2"},
    {.hf = "Qwen2MoeForCausalLM", .type = "qwen2_moe", .spell = "num_experts",
     .arch = "qwen2moe", .keys = moe_keys},
    {.hf = "Qwen3ForCausalLM|Qwen3Model", .type = "qwen3", .arch = "qwen3"},
    {.hf = "Qwen3MoeForCausalLM", .type = "qwen3_moe", .spell = "num_experts",
     .arch = "qwen3moe", .keys = moe_keys},
    {.hf = "Qwen3NextForCausalLM", .type = "qwen3_next", .spell = "num_experts",
     .arch = "qwen3next", .flags = FAMILY_NORM_PLUS_ONE, .names = qwen3next_names,
     .keys = delta_keys,
     .more = meta_delta},
    {.hf = "Qwen3_5ForCausalLM|Qwen3_5ForConditionalGeneration", .type = "qwen3_5_text",
     .arch = "qwen35", .flags = FAMILY_NORM_PLUS_ONE,
     .names = qwen35_names, .keys = delta_keys, .more = meta_delta},
    {.hf = "Qwen3_5MoeForCausalLM|Qwen3_5MoeForConditionalGeneration", .type = "qwen3_5_moe_text",
     .spell = "num_experts",
     .arch = "qwen35moe",
     .flags = FAMILY_NORM_PLUS_ONE,
     .names = qwen35_names, .keys = delta_keys, .more = meta_delta},
    {.hf = "GemmaForCausalLM", .type = "gemma", .arch = "gemma",
     .flags = FAMILY_NORM_PLUS_ONE | FAMILY_NO_ROPE_BASE},
    {.hf = "Gemma2ForCausalLM", .type = "gemma2", .arch = "gemma2", .window_period = 2,
     .flags = FAMILY_NORM_PLUS_ONE | FAMILY_NO_ROPE_BASE,
     .names = post_norm, .keys = gemma2_keys, .more = meta_gemma2},
    {.hf = "Gemma3ForCausalLM|Gemma3TextModel|Gemma3ForConditionalGeneration", .type = "gemma3_text",
     .arch = "gemma3", .window_period = 6,
     .flags = FAMILY_NORM_PLUS_ONE, .names = post_norm, .keys = gemma3_keys, .more = meta_gemma3},
    {.hf = "Gemma3nForCausalLM|Gemma3nForConditionalGeneration", .type = "gemma3n_text", .arch = "gemma3n",
     .names = gemma3n_names,
     .keys = gemma3n_keys, .more = meta_gemma3n},
    {.hf = "Gemma4ForCausalLM|Gemma4ForConditionalGeneration", .type = "gemma4_text",
     .spell = "num_experts|top_k_experts|moe_intermediate_size",
     .arch = "gemma4",
     .flags = FAMILY_NO_HEAD_DIM,
     .names = gemma4_names, .keys = gemma4_keys, .more = meta_gemma4},
    {.hf = "PhiForCausalLM", .type = "phi",
     .arch = "phi2", .flags = FAMILY_ROPE_DIM | FAMILY_NO_ROPE_BASE, .names = phi2_names},
    {.hf = "Phi3ForCausalLM", .type = "phi3", .arch = "phi3", .flags = FAMILY_ROPE_DIM | FAMILY_NO_HEAD_DIM,
     .names = phi3_names, .more = meta_phi3},
    {.hf = "PhimoeForCausalLM|PhiMoEForCausalLM", .type = "phimoe",
     .arch = "phimoe", .flags = FAMILY_ROPE_DIM, .names = mixtral_names, .more = meta_phimoe},
    {.hf = "SmolLM3ForCausalLM", .type = "smollm3", .arch = "smollm3", .flags = LLAMA_FLAGS, .more = meta_smollm3},
    {.hf = "GraniteForCausalLM", .type = "granite", .arch = "granite", .flags = LLAMA_FLAGS | FAMILY_NO_HEAD_DIM,
     .keys = granite_keys},
    {.hf = "GraniteMoeForCausalLM|GraniteMoeSharedForCausalLM", .type = "granitemoe|granitemoeshared",
     .arch = "granitemoe",
     .flags = LLAMA_FLAGS | FAMILY_NO_HEAD_DIM,
     .names = granite_hybrid_names, .keys = granite_keys},
    {.hf = "GraniteMoeHybridForCausalLM|BambaForCausalLM", .type = "granitemoehybrid", .arch = "granitehybrid",
     .flags = LLAMA_FLAGS | FAMILY_NO_HEAD_DIM,
     .names = granite_hybrid_names, .keys = granite_keys, .more = meta_granite_hybrid},
    {.hf = "GptOssForCausalLM", .type = "gpt_oss", .arch = "gpt-oss", .window_period = 2, .names = gpt_oss_names,
     .keys = gpt_oss_keys},
    {.hf = "Olmo2ForCausalLM|Olmo3ForCausalLM", .type = "olmo2|olmo3",
     .arch = "olmo2", .names = post_norm, .more = meta_olmo3},
    {.hf = "Exaone4ForCausalLM", .type = "exaone4", .arch = "exaone4", .flags = FAMILY_VOCAB_SIZE, .names = post_norm,
     .more = meta_exaone4},
    {.hf = "SeedOssForCausalLM", .type = "seed_oss", .arch = "seed_oss", .names = post_norm},
    {.hf = "HunYuanDenseV1ForCausalLM", .type = "hunyuan_v1_dense",
     .arch = "hunyuan-dense", .flags = FAMILY_NO_EXPERTS,
     .names = hunyuan_names, .more = meta_hunyuan},
    {.hf = "HunYuanMoEV1ForCausalLM", .type = "hunyuan_v1_moe", .spell = "num_experts",
     .arch = "hunyuan-moe", .names = hunyuan_moe_names, .more = meta_hunyuan_moe},
    {.hf = "Ernie4_5ForCausalLM|Ernie4_5_ForCausalLM", .type = "ernie4_5", .arch = "ernie4_5"},
    {.hf = "Lfm2ForCausalLM", .type = "lfm2", .spell = "norm_eps",
     .arch = "lfm2", .flags = FAMILY_VOCAB_SIZE, .names = lfm2_names, .keys = lfm2_keys,
     .more = meta_lfm2},
    {.hf = "Lfm2MoeForCausalLM", .type = "lfm2_moe", .spell = "norm_eps|num_experts",
     .arch = "lfm2moe", .flags = FAMILY_VOCAB_SIZE, .names = lfm2_names,
     .keys = lfm2moe_keys,
     .more = meta_lfm2},
    {.hf = "FalconH1ForCausalLM", .type = "falcon_h1",
     .arch = "falcon-h1", .flags = FAMILY_VOCAB_SIZE | FAMILY_FACTORS,
     .names = falcon_h1_names, .more = meta_mamba2},
    {.hf = "Mamba2ForCausalLM", .type = "mamba2", .prefix = "backbone.", .spell = "layer_norm_epsilon",
     .arch = "mamba2", .flags = FAMILY_NO_KV_HEADS | FAMILY_NO_HEAD_DIM,
     .names = mamba2_names,
     .more = meta_mamba2},
    {.hf = "ApertusForCausalLM", .type = "apertus", .arch = "apertus", .flags = FAMILY_VOCAB_SIZE | FAMILY_ROPE_DIM,
     .names = apertus_names},
    {.hf = "ArceeForCausalLM", .type = "arcee", .arch = "arcee", .flags = LLAMA_FLAGS},
    {.hf = "GPT2LMHeadModel", .type = "gpt2", .prefix = "transformer.",
     .spell = "n_layer|n_positions|n_embd|n_head|n_inner|layer_norm_epsilon",
     .arch = "gpt2", .names = gpt2_names, .more = meta_gpt2},
    {.hf = "GPTNeoXForCausalLM", .type = "gpt_neox", .prefix = "gpt_neox.", .spell = "rotary_pct|rotary_emb_base",
     .arch = "gptneox",
     .flags = FAMILY_ROPE_DIM | FAMILY_NO_ROPE_BASE | FAMILY_NO_FILE_TYPE | FAMILY_NO_KV_HEADS,
     .names = gptneox_names, .keys = parallel_keys},
    {.hf = "Starcoder2ForCausalLM", .type = "starcoder2", .spell = "norm_epsilon",
     .arch = "starcoder2", .names = starcoder2_names},
    {.hf = "StableLmForCausalLM|StableLMEpochForCausalLM", .type = "stablelm", .arch = "stablelm",
     .flags = FAMILY_ROPE_DIM | FAMILY_NO_ROPE_BASE,
     .names = stablelm_names, .keys = parallel_keys},
    {.hf = "BitNetForCausalLM", .type = "bitnet",
     .arch = "bitnet-b1.58", .flags = FAMILY_VOCAB_SIZE | FAMILY_ROPE_DIM,
     .names = bitnet_names}, /* squares its activation; the other does not */
    {.hf = "BitnetForCausalLM", .arch = "bitnet", .flags = FAMILY_VOCAB_SIZE | FAMILY_ROPE_DIM,
     .names = bitnet_names},
    {.hf = "Glm4ForCausalLM", .type = "glm4", .arch = "glm4", .flags = FAMILY_ROPE_DIM, .names = glm4_names},
    {.hf = "DeepseekV2ForCausalLM|DeepseekV3ForCausalLM", .type = "deepseek_v2|deepseek_v3",
     .spell = "n_routed_experts",
     .arch = "deepseek2",
     .flags = FAMILY_VOCAB_SIZE | FAMILY_NO_HEAD_DIM,
     .names = deepseek2_names, .keys = deepseek2_keys, .more = meta_deepseek2},
    {.hf = "CohereForCausalLM", .type = "cohere", .arch = "command-r", .keys = cohere_keys, .more = meta_cohere},
    {.hf = "Cohere2ForCausalLM", .type = "cohere2",
     .arch = "cohere2", .flags = FAMILY_VOCAB_SIZE | FAMILY_ROPE_DIM, .window_period = 4,
     .keys = cohere_keys, .more = meta_cohere},
    {.hf = "NemotronForCausalLM", .type = "nemotron", .spell = "norm_eps",
     .arch = "nemotron",
     .flags = FAMILY_VOCAB_SIZE | FAMILY_ROPE_DIM | FAMILY_NORM_PLUS_ONE,
     .more = meta_nemotron},
    {.hf = "MiniCPM3ForCausalLM", .type = "minicpm3",
     .arch = "minicpm3", .flags = FAMILY_VOCAB_SIZE | FAMILY_NO_HEAD_DIM,
     .names = minicpm3_names, .keys = minicpm3_keys, .more = meta_minicpm3},
    {.hf = "OlmoeForCausalLM", .type = "olmoe", .spell = "num_experts",
     .arch = "olmoe", .more = meta_olmoe},
    {.hf = "Dots1ForCausalLM", .type = "dots1", .spell = "n_routed_experts",
     .arch = "dots1", .names = biased_choice_names, .keys = shared_moe_keys},
    {.hf = "Glm4MoeForCausalLM", .type = "glm4_moe", .spell = "n_routed_experts",
     .arch = "glm4moe", .flags = FAMILY_ROPE_DIM, .names = glm4_moe_names,
     .keys = shared_moe_keys, .more = meta_glm4_moe},
    {.hf = "Ernie4_5_MoeForCausalLM", .type = "ernie4_5_moe",
     .arch = "ernie4_5-moe", .names = biased_choice_names, .keys = ernie_moe_keys,
     .more = meta_ernie_moe},
    {.hf = "BertModel|BertForTokenClassification|BertForMaskedLM|BertForPreTraining", .type = "bert|bert",
     .arch = "bert", .flags = FAMILY_READS, .names = bert_names, .more = meta_bert, .prefix = "bert."},
    {.hf = "BertForSequenceClassification", .type = "bert", .arch = "bert", .flags = FAMILY_READS,
     .names = bert_score_names, .more = meta_bert, .prefix = "bert."},
    {.hf = "XLMRobertaModel|XLMRobertaForSequenceClassification|RobertaModel|RobertaForSequenceClassification|"
           "XLMRobertaForMaskedLM|RobertaForMaskedLM|CamembertModel|CamembertForSequenceClassification",
     .type = "xlm-roberta|xlm-roberta|roberta|roberta", .arch = "bert", .flags = FAMILY_READS,
     .names = roberta_names, .more = meta_bert, .prefix = "roberta."},
    {.hf = "XLMRobertaForTokenClassification|RobertaForTokenClassification|CamembertForTokenClassification",
     .type = "xlm-roberta|roberta", .arch = "bert", .flags = FAMILY_READS, .names = roberta_each_names,
     .more = meta_bert, .prefix = "roberta."},
    {.hf = "DistilBertModel|DistilBertForSequenceClassification|DistilBertForTokenClassification|DistilBertForMaskedLM",
     .type = "distilbert|distilbert|distilbert", .spell = "n_layers|dim|hidden_dim|n_heads", .arch = "bert",
     .flags = FAMILY_READS, .names = distilbert_names, .more = meta_bert, .prefix = "distilbert."},
    {.hf = "NomicBertModel", .type = "nomic_bert", .arch = "nomic-bert", .flags = FAMILY_READS, .names = nomic_names,
     .more = meta_nomic},
    {.hf = "ModernBertModel|ModernBertForMaskedLM", .type = "modernbert", .arch = "modern-bert", .flags = FAMILY_READS,
     .names = modern_names, .more = meta_modern_bert},
    {.hf = "ModernBertForSequenceClassification|ModernBertForTokenClassification", .type = "modernbert|modernbert",
     .arch = "modern-bert", .flags = FAMILY_READS, .names = modern_score_names, .more = meta_modern_bert},
    {.hf = NULL, .arch = NULL},
};

const struct family family_gemma_embedding = {
    .hf = "Gemma3TextModel", .type = "gemma3_text", .arch = "gemma-embedding", .window_period = 6,
    .flags = FAMILY_NORM_PLUS_ONE | FAMILY_READS, .names = post_norm, .more = meta_gemma_embedding};

/* What a GraniteMoeHybrid without a state space is. */
const struct family family_granite_dense = {.hf = "", .arch = "granite", .flags = LLAMA_FLAGS | FAMILY_NO_HEAD_DIM,
                                            .names = granite_plain_names, .keys = granite_keys,
     .more = meta_granite_hybrid};
/* Its states beside a feed-forward without experts. */
const struct family family_granite_states = {.hf = "", .arch = "granitehybrid",
                                             .flags = LLAMA_FLAGS | FAMILY_NO_HEAD_DIM,
                                             .names = granite_plain_names, .keys = granite_keys,
     .more = meta_granite_hybrid};
const struct family family_granite_moe = {.hf = "", .arch = "granitemoe", .flags = LLAMA_FLAGS | FAMILY_NO_HEAD_DIM,
                                          .names = granite_hybrid_names, .keys = granite_keys,
     .more = meta_granite_hybrid};
/* clang-format on */
