/* SPDX-License-Identifier: Apache-2.0
 *
 * convert/reader.c: families that read and do not write: BERT, RoBERTa and XLM-R, nomic-bert, ModernBERT, EmbeddingGemma. Their names and keys; and, for
 * every family, what sentence-transformers keeps beside a model: how rows are pooled (1_Pooling) and dense layers after that (2_Dense, 3_Dense).
 * Beyond ggml's own converter: BERT's pooler is kept where a classifier reads it (without it the score is another), token classifiers, and
 * pooling_type of classifiers.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "convert/family_table.h"
#include "convert/meta.h"
#include "text/vocab_hf.h"

#define END {NULL, NULL, HOW_SAME}
/* What only training needs, or only the guessing of words left out. */
#define NO_WORDS                                                                                                       \
    {"embeddings.position_ids", "", HOW_SKIP}, {"cls.predictions", "", HOW_HEAD},                                      \
        {"cls.predictions.transform.dense", "", HOW_HEAD}, {"cls.predictions.transform.LayerNorm", "", HOW_HEAD},      \
        {"cls.predictions.decoder", "", HOW_HEAD}, {"cls.seq_relationship", "", HOW_HEAD},                             \
        {"lm_head", "", HOW_HEAD}, {"lm_head.dense", "", HOW_HEAD}, {"lm_head.layer_norm", "", HOW_HEAD},              \
        {"lm_head.decoder", "", HOW_HEAD}
#define BERT_NAMES                                                                                                     \
    {"embeddings.word_embeddings", "token_embd", HOW_SAME},                                                            \
        {"embeddings.token_type_embeddings", "token_types", HOW_SAME},                                                 \
        {"embeddings.LayerNorm", "token_embd_norm", HOW_SAME},                                                         \
        {"encoder.layer.#.attention.self.query", "attn_q", HOW_SAME},                                                  \
        {"encoder.layer.#.attention.self.key", "attn_k", HOW_SAME},                                                    \
        {"encoder.layer.#.attention.self.value", "attn_v", HOW_SAME},                                                  \
        {"encoder.layer.#.attention.output.dense", "attn_output", HOW_SAME},                                           \
        {"encoder.layer.#.attention.output.LayerNorm", "attn_output_norm", HOW_SAME},                                  \
        {"encoder.layer.#.intermediate.dense", "ffn_up", HOW_SAME},                                                    \
        {"encoder.layer.#.output.dense", "ffn_down", HOW_SAME},                                                        \
        {"encoder.layer.#.output.LayerNorm", "layer_output_norm", HOW_SAME}

const struct name_rule bert_names[] = {
    NO_WORDS, BERT_NAMES, {"embeddings.position_embeddings", "position_embd", HOW_SAME},
    {"classifier", "cls.output", HOW_SAME}, {"pooler.dense", "", HOW_HEAD}, END,
};
const struct name_rule bert_score_names[] = {
    NO_WORDS, BERT_NAMES, {"embeddings.position_embeddings", "position_embd", HOW_SAME},
    {"classifier", "cls.output", HOW_SAME}, {"pooler.dense", "cls", HOW_SAME}, END,
};
const struct name_rule roberta_names[] = {
    NO_WORDS, BERT_NAMES, {"embeddings.position_embeddings", "position_embd", HOW_POSITIONS},
    {"classifier.dense", "cls", HOW_SAME}, {"classifier.out_proj", "cls.output", HOW_SAME},
    {"pooler.dense", "", HOW_HEAD}, END,
};
const struct name_rule roberta_each_names[] = {
    NO_WORDS, BERT_NAMES, {"embeddings.position_embeddings", "position_embd", HOW_POSITIONS},
    {"classifier", "cls.output", HOW_SAME}, {"pooler.dense", "", HOW_HEAD}, END,
};
const struct name_rule distilbert_names[] = {
    {"embeddings.word_embeddings", "token_embd", HOW_SAME},
    {"embeddings.position_embeddings", "position_embd", HOW_SAME},
    {"embeddings.LayerNorm", "token_embd_norm", HOW_SAME},
    {"layer.#.attention.q_lin", "attn_q", HOW_SAME},
    {"layer.#.attention.k_lin", "attn_k", HOW_SAME},
    {"layer.#.attention.v_lin", "attn_v", HOW_SAME},
    {"layer.#.attention.out_lin", "attn_output", HOW_SAME},
    {"layer.#.sa_layer_norm", "attn_output_norm", HOW_SAME},
    {"layer.#.ffn.lin1", "ffn_up", HOW_SAME},
    {"layer.#.ffn.lin2", "ffn_down", HOW_SAME},
    {"layer.#.output_layer_norm", "layer_output_norm", HOW_SAME},
    {"pre_classifier", "cls", HOW_SAME},
    {"classifier", "cls.output", HOW_SAME},
    {"vocab_transform", "", HOW_HEAD}, {"vocab_layer_norm", "", HOW_HEAD}, {"vocab_projector", "", HOW_HEAD},
    NO_WORDS, END,
};
const struct name_rule nomic_names[] = {
    {"embeddings.word_embeddings", "token_embd", HOW_SAME},
    {"embeddings.token_type_embeddings", "token_types", HOW_SAME},
    {"emb_ln", "token_embd_norm", HOW_SAME},
    {"encoder.layers.#.attn.Wqkv", "attn_qkv", HOW_SAME},
    {"encoder.layers.#.attn.out_proj", "attn_output", HOW_SAME},
    {"encoder.layers.#.norm1", "attn_output_norm", HOW_SAME},
    {"encoder.layers.#.norm2", "layer_output_norm", HOW_SAME},
    {"encoder.layers.#.mlp.fc11", "ffn_up", HOW_SAME},
    {"encoder.layers.#.mlp.fc12", "ffn_gate", HOW_SAME},
    {"encoder.layers.#.mlp.fc2", "ffn_down", HOW_SAME},
    {"pooler.dense", "", HOW_HEAD},
    NO_WORDS, END,
};
#define MODERN_NAMES                                                                                                   \
    {"embeddings.tok_embeddings", "token_embd", HOW_SAME}, {"embeddings.norm", "token_embd_norm", HOW_SAME},           \
        {"final_norm", "output_norm", HOW_SAME}, {"layers.#.attn.Wqkv", "attn_qkv", HOW_SAME},                         \
        {"layers.#.attn.Wo", "attn_output", HOW_SAME}, {"layers.#.attn_norm", "attn_norm", HOW_SAME},                  \
        {"layers.#.mlp.Wi", "ffn_up", HOW_SAME}, {"layers.#.mlp.Wo", "ffn_down", HOW_SAME},                            \
        {"layers.#.mlp_norm", "ffn_norm", HOW_SAME}
const struct name_rule modern_names[] = {
    MODERN_NAMES, {"head.dense", "", HOW_HEAD}, {"head.norm", "", HOW_HEAD}, {"decoder", "", HOW_HEAD}, END,
};
const struct name_rule modern_score_names[] = {
    MODERN_NAMES, {"head.dense", "cls", HOW_SAME}, {"head.norm", "cls.norm", HOW_SAME},
    {"classifier", "cls.output", HOW_SAME}, END,
};

static int other(const struct meta *m, const char *what, const char *known)
{
    return lar_fail(m->err, LAR_EUNSUPPORTED, "%s/config.json: %s is not what lar convert knows of a %s model (%s)",
                    buf_z(&m->c->folder), what, m->f->arch, known);
}

/* ---- what follows the last layer ------------------------------------------------------------------------------------ */

/* The numbers of pooling_type: 0 each row, 1 mean, 2 the first, 3 the last, 4 a score. */
enum { EACH, MEAN, FIRST, LAST, RANK };

/* The row of the output for the token called name; where the embedding is also the output, of that. */
static int output_row(struct meta *m, const struct gguf_kv *tokens, const char *name, int64_t width, float *to)
{
    const struct output *out = NULL;
    for (size_t i = 0; i < m->p->n; i++)
        if (str_is(m->p->out[i].name, "output.weight") || (!out && str_is(m->p->out[i].name, "token_embd.weight")))
            out = &m->p->out[i];
    for (uint64_t i = 0; out && out->dim[0] == width && i < tokens->count && (int64_t)i < out->dim[1]; i++)
        if (str_is(gguf_str_at(tokens, i), name)) return plan_read(out, (int64_t)i * width, width, to), 0;
    return lar_fail(m->err, LAR_EFORMAT, "%s: a Qwen3-Reranker without a token \"%s\"", buf_z(&m->c->folder), name);
}

/* Qwen3-Reranker is Qwen3 by its config.json; its README or its folder's name tells. It answers yes or no: of the output two rows are needed, and the
 * form in which it is asked, which its makers publish. */
const char meta_rerank_form[] =
    "<|im_start|>system\nJudge whether the Document meets the requirements based on the Query and the Instruct "
    "provided. Note that the answer can only be \"yes\" or \"no\".<|im_end|>\n<|im_start|>user\n"
    "<Instruct>: Given a web search query, retrieve relevant passages that answer the query\n"
    "<Query>: {query}\n<Document>: {document}<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n";

static int has_word(struct str s, const char *word)
{
    size_t n = strlen(word);
    for (size_t i = 0; i + n <= s.n; i++) {
        size_t k = 0;
        while (k < n && (s.p[i + k] | (s.p[i + k] >= 'A' && s.p[i + k] <= 'Z' ? 32 : 0)) == word[k]) k++;
        if (k == n) return 1;
    }
    return 0;
}

static const struct str answers[2] = {{"yes", 3}, {"no", 2}};

static int answer_rows(struct meta *m)
{
    struct vocab_image im;
    uint32_t width = 0;
    int rc = meta_need_u32(m, "hidden_size", &width);
    if (rc < 0 || (rc = vocab_hf_open(&im, buf_z(&m->c->folder), 0, m->err)) < 0) return rc;
    const struct gguf_kv *tokens = gguf_find(&im.g, "tokenizer.ggml.tokens");
    float *rows = mem_alloc(2 * (size_t)width * sizeof *rows);
    if (!rows || !tokens) rc = lar_fail(m->err, LAR_ENOMEM, "Qwen3-Reranker: out of memory, or no tokens");
    for (int i = 0; i < 2 && rc == 0; i++) rc = output_row(m, tokens, answers[i].p, width, rows + (size_t)i * width);
    if (rc == 0) rc = plan_add(m->p, "cls.output.weight", rows, 2 * (int64_t)width, width, m->err);
    mem_free(rows);
    vocab_hf_close(&im);
    return rc;
}

static int reranker(struct meta *m)
{
    char key[128];
    int rc = 0;
    if (strcmp(m->f->arch, "qwen3") ||
        (!has_word(m->c->readme, "# qwen3-reranker") && !has_word(m->c->name, "qwen3-reranker")))
        return 0;
    if (!m->c->given && (rc = answer_rows(m)) < 0) return rc; /* given: rows of a file, which export_reader.c compares */
    meta_u32(m, "pooling_type", RANK);
    gguf_keys_strs(m->k, meta_key(m, "classifier.output_labels", key), answers, 2);
    gguf_keys_str(m->k, "tokenizer.chat_template.rerank", str_of(meta_rerank_form));
    return 0;
}

int meta_pooling(struct meta *m)
{
    static const struct {
        const char *mode, *name;
        uint32_t type;
    } all[] = {{"pooling_mode_mean_tokens", "mean", MEAN},
               {"pooling_mode_cls_token", "cls", FIRST},
               {"pooling_mode_lasttoken", "lasttoken", LAST}};
    const struct json *p = m->c->pooling;
    struct str mode = json_str(config_in(p, "pooling_mode"), STR(""));
    char key[128];
    int found = 0, rc = reranker(m);
    if (rc < 0) return rc;
    if (!p || gguf_keys_has(m->k, str_of(meta_key(m, "pooling_type", key)))) return 0;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        if (!json_bool(config_in(p, all[i].mode), 0) && !str_is(mode, all[i].name)) continue;
        if (!found++) meta_u32(m, "pooling_type", all[i].type);
    }
    if (found != 1 || json_bool(config_in(p, "pooling_mode_max_tokens"), 0) ||
        json_bool(config_in(p, "pooling_mode_mean_sqrt_len_tokens"), 0) ||
        json_bool(config_in(p, "pooling_mode_weightedmean_tokens"), 0))
        return lar_fail(m->err, LAR_EUNSUPPORTED,
                        "%s/1_Pooling/config.json: known is exactly one of mean, cls and lasttoken",
                        buf_z(&m->c->folder));
    if (!json_bool(config_in(p, "include_prompt"), 1))
        return lar_fail(m->err, LAR_EUNSUPPORTED,
                        "%s/1_Pooling/config.json: include_prompt is false: a prompt's tokens would be left out of the "
                        "mean, which no GGUF says; without prompts it makes no difference, then take it out",
                        buf_z(&m->c->folder));
    return 0;
}

/* A classifier's labels, in the order of its rows. */
static int labels(struct meta *m)
{
    const struct json *list = config_find(m->c, "id2label");
    char key[128], id[24];
    if (!list || list->kind != JSON_OBJECT || list->n < 1 || list->n > 1 << 16) return 0;
    struct str *name = mem_alloc(list->n * sizeof *name);
    if (!name) return lar_fail(m->err, LAR_ENOMEM, "labels: out of memory");
    for (size_t i = 0; i < list->n; i++) {
        snprintf(id, sizeof id, "%zu", i);
        name[i] = json_str(json_get(list, id), STR(""));
    }
    gguf_keys_strs(m->k, meta_key(m, "classifier.output_labels", key), name, list->n);
    mem_free(name);
    return 0;
}

static int ends_in(const struct meta *m, const char *what) { return str_ends(m->c->architecture, str_of(what)); }

static int head(struct meta *m)
{
    char key[128];
    gguf_keys_bool(m->k, meta_key(m, "attention.causal", key), 0);
    int score = ends_in(m, "ForSequenceClassification"), each = ends_in(m, "ForTokenClassification");
    if (!score && !each) return 0;
    uint32_t row = RANK;
    if (!strcmp(m->f->arch, "modern-bert")) /* BERT's is always the first */
        row = str_is(json_str(config_find(m->c, "classifier_pooling"), STR("cls")), "mean") ? MEAN : FIRST;
    meta_u32(m, "pooling_type", score ? row : EACH);
    return labels(m);
}

static void dense_keys(struct meta *m, const char *name, int64_t in, int64_t out)
{
    char key[64];
    snprintf(key, sizeof key, "%s_feat_in", name), meta_u32(m, key, (uint32_t)in);
    snprintf(key, sizeof key, "%s_feat_out", name), meta_u32(m, key, (uint32_t)out);
}

/* A dense layer of sentence-transformers, without activation. */
static int dense(struct meta *m, const char *folder, const char *name, int64_t *width)
{
    char path[4096], tensor[64];
    struct config c;
    struct weights w;
    const int64_t *given = m->c->dense[!strcmp(name, "dense_3")];
    int named = !m->c->modules;
    for (const struct json *v = m->c->modules ? m->c->modules->child : NULL; v; v = v->next)
        named |= str_is(json_str(config_in(v, "path"), STR("")), folder);
    if (!named && !m->c->given) return 0;
    if (m->c->given) {
        if (given[0] < 1) return 0;
        if (given[1] != *width) return other(m, name, "a dense layer fits the one before it");
        dense_keys(m, name, given[1], *width = given[0]);
        return 1;
    }
    if ((size_t)snprintf(path, sizeof path, "%s/%s", buf_z(&m->c->folder), folder) >= sizeof path)
        return lar_fail(m->err, LAR_ELIMIT, "%s: the path is too long", buf_z(&m->c->folder));
    int rc = config_open(&c, path, m->err);
    if (rc < 0) return rc;
    struct str act = json_str(config_in(c.root, "activation_function"), STR("torch.nn.modules.linear.Identity"));
    int known = c.root && str_ends(act, STR(".Identity")), there = c.root != NULL;
    config_close(&c);
    if (!there) return 0;
    if (!known) return other(m, "the activation of a dense layer after pooling", "Identity");
    if ((rc = weights_open(&w, path, m->err)) < 0) return rc;
    for (int bias = 0; bias < 2 && rc >= 0; bias++) {
        const struct weight *t = weights_find(&w, bias ? STR("linear.bias") : STR("linear.weight"));
        if (!t && bias) continue;
        if (!t || t->ndim != 2 - bias || (!bias && t->dim[1] != *width) || t->n < 1 || t->n > 1 << 28) {
            rc = lar_fail(m->err, LAR_EFORMAT, "%s: its linear.weight is missing or does not fit", path);
            break;
        }
        float *v = mem_alloc((size_t)t->n * sizeof *v);
        if (!v) {
            rc = lar_fail(m->err, LAR_ENOMEM, "%s: out of memory", path);
            break;
        }
        weight_read(t, 0, 1, t->n, v);
        snprintf(tensor, sizeof tensor, "%s.%s", name, bias ? "bias" : "weight");
        rc = plan_add(m->p, tensor, v, t->n, bias ? t->n : t->dim[1], m->err);
        mem_free(v);
        if (bias) continue;
        dense_keys(m, name, t->dim[1], *width = t->dim[0]);
    }
    weights_close(&w);
    return rc < 0 ? rc : 1;
}

/* ---- families -------------------------------------------------------------------------------------------------------- */

int meta_bert(struct meta *m)
{
    uint32_t most = 0, pad = 1;
    int rc;
    struct str kind = json_str(config_find(m->c, "position_embedding_type"), STR("absolute"));
    if (!str_is(kind, "absolute")) return other(m, "position_embedding_type", "absolute");
    uint32_t width = 0, heads = 0;
    if ((rc = config_u32(m->c, "hidden_size|dim", &width, m->err)) < 0) return rc;
    if ((rc = config_u32(m->c, "num_attention_heads|n_heads", &heads, m->err)) < 0) return rc;
    if (heads && width % heads) return other(m, "num_attention_heads", "a divisor of hidden_size");
    if (m->f->names == roberta_names || m->f->names == roberta_each_names) { /* its positions begin behind that of padding */
        if ((rc = meta_need_u32(m, "max_position_embeddings", &most)) < 0) return rc;
        if ((rc = config_u32(m->c, "pad_token_id", &pad, m->err)) < 0) return rc;
        if (most <= pad || most - pad < 2) return other(m, "max_position_embeddings", "more than pad_token_id + 1");
        meta_u32(m, "context_length", most - pad - 1);
    }
    if (m->f->names != distilbert_names) return head(m);
    struct str act = json_str(config_find(m->c, "activation"), STR("gelu"));
    if (!str_is(act, "gelu")) return other(m, "activation", "gelu");
    meta_f32(m, "attention.layer_norm_epsilon", 1e-12); /* in its code only */
    return head(m);
}

int meta_nomic(struct meta *m)
{
    double part = 1;
    int rc = config_num(m->c, "rotary_emb_fraction", &part, m->err);
    if (rc < 0) return rc;
    if (fabs(part - 1) > 1e-9) return other(m, "rotary_emb_fraction", "1");
    if (json_bool(config_find(m->c, "rotary_emb_interleaved"), 0)) return other(m, "rotary_emb_interleaved", "false");
    if (json_bool(config_find(m->c, "prenorm"), 0)) return other(m, "prenorm", "false");
    if (json_bool(config_find(m->c, "causal"), 0)) return other(m, "causal", "false");
    return head(m);
}

int meta_modern_bert(struct meta *m)
{
    uint32_t window = 128, period = 3;
    double eps = 1e-5, full = 160000, near = 10000;
    char key[128];
    int rc, i = 0, usual = 1;
    if ((rc = config_u32(m->c, "local_attention", &window, m->err)) < 0) return rc;
    if ((rc = config_u32(m->c, "global_attn_every_n_layers", &period, m->err)) < 0) return rc;
    if ((rc = config_num(m->c, "norm_eps|layer_norm_eps", &eps, m->err)) < 0) return rc;
    if ((rc = config_num(m->c, "global_rope_theta", &full, m->err)) < 0) return rc;
    if ((rc = config_num(m->c, "local_rope_theta", &near, m->err)) < 0) return rc;
    struct str pool = json_str(config_find(m->c, "classifier_pooling"), STR("cls"));
    if (!str_is(pool, "cls") && !str_is(pool, "mean")) return other(m, "classifier_pooling", "cls, mean");
    const struct json *types = config_find(m->c, "layer_types");
    for (const struct json *t = types ? types->child : NULL; t; t = t->next, i++)
        usual &= str_is(json_str(t, STR("")), "full_attention") == (period && i % (int)period == 0);
    if (period < 1 || window < 2) return other(m, "global_attn_every_n_layers or local_attention", "positive");
    meta_u32(m, "attention.sliding_window", window);
    if (usual)
        meta_u32(m, "attention.sliding_window_pattern", period);
    else if ((rc = meta_layer_types(m, "attention.sliding_window_pattern", "sliding_attention")) < 0)
        return rc;
    meta_f32(m, "attention.layer_norm_epsilon", eps);
    if (!config_in(m->c->rope_full, "rope_theta")) meta_f32(m, "rope.freq_base", full);
    if (!config_in(m->c->rope_window, "rope_theta")) meta_f32(m, "rope.freq_base_swa", near);
    struct str act = json_str(config_find(m->c, "hidden_activation"), STR("gelu"));
    gguf_keys_str(m->k, meta_key(m, "hidden_activation", key), act);
    return head(m);
}

int meta_gemma_embedding(struct meta *m)
{
    uint32_t scalar = 0, width = 0;
    int rc;
    if ((rc = config_u32(m->c, "query_pre_attn_scalar", &scalar, m->err)) < 0) return rc;
    if (rc == 1 && scalar != m->head_dim) return other(m, "query_pre_attn_scalar", "head_dim");
    if ((rc = meta_need_u32(m, "hidden_size", &width)) < 0) return rc;
    int64_t at = width;
    if ((rc = dense(m, "2_Dense", "dense_2", &at)) <= 0) return rc;
    rc = dense(m, "3_Dense", "dense_3", &at);
    return rc < 0 ? rc : 0;
}
