/* SPDX-License-Identifier: Apache-2.0
 *
 * convert/meta.h: a GGUF's keys from config.json and generation_config.json, and the few tensors that are computed from them
 * (factors of the rotation).
 */
#ifndef CONVERT_META_H
#define CONVERT_META_H

#include "convert/family.h"
#include "convert/plan.h"
#include "io/gguf_keys.h"

struct meta {
    const struct family *f;
    const struct config *c;
    struct plan *p;
    struct gguf_keys *k;
    struct lar_err *err;
    uint32_t head_dim; /* of config.json, or hidden_size / heads */
    int64_t rope_dim;  /* elements of a head that turn */
};

/* Everything but the tokenizer; file_type is GGUF's number for the mix of types, negative: not written. */
int meta_write(struct gguf_keys *k, struct plan *p, const struct family *f, const struct config *c, int file_type,
               struct lar_err *err);

/* Keys that all families have; ends with key = NULL. */
extern const struct key_rule meta_common[];

/* The families' own keys (family_table.c). */
int meta_mistral3(struct meta *m);
int meta_delta(struct meta *m);
int meta_gemma2(struct meta *m);
int meta_gemma3(struct meta *m);
int meta_gemma3n(struct meta *m);
int meta_gemma4(struct meta *m);
int meta_phi3(struct meta *m);
int meta_phimoe(struct meta *m);
int meta_smollm3(struct meta *m);
int meta_granite_hybrid(struct meta *m);
int meta_olmo3(struct meta *m);
int meta_exaone4(struct meta *m);
int meta_hunyuan(struct meta *m);
int meta_hunyuan_moe(struct meta *m);
int meta_lfm2(struct meta *m);
int meta_mamba2(struct meta *m);
int meta_gpt2(struct meta *m);
int meta_deepseek2(struct meta *m);
int meta_cohere(struct meta *m);
int meta_nemotron(struct meta *m);
int meta_minicpm3(struct meta *m);
int meta_olmoe(struct meta *m);
int meta_glm4_moe(struct meta *m);
int meta_ernie_moe(struct meta *m);
/* reader.c */
int meta_bert(struct meta *m);
int meta_nomic(struct meta *m);
int meta_modern_bert(struct meta *m);
int meta_gemma_embedding(struct meta *m);
int meta_pooling(struct meta *m);
/* sentence.c: lar.embedding.* */
int meta_sentence(struct meta *m);
extern const char meta_rerank_form[]; /* how a Qwen3-Reranker is asked */

/* Shared by meta.c and meta_family.c: "<architecture>.<tail>". */
const char *meta_key(const struct meta *m, const char *tail, char out[128]);
void meta_u32(struct meta *m, const char *tail, uint32_t v);
void meta_f32(struct meta *m, const char *tail, double v);
/* One bool a layer: whether its type in config.json's layer_types is `type`; 1, 0 (no layer_types), or an error. */
int meta_layer_types(struct meta *m, const char *tail, const char *type);
/* LongRoPE: the factors' tensors, and its keys but the type. */
int meta_longrope(struct meta *m);
/* A key that must be there. */
int meta_need_u32(struct meta *m, const char *names, uint32_t *out);

#endif
