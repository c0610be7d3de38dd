/* SPDX-License-Identifier: Apache-2.0
 *
 * convert/export_reader.c: export of models that read: embedders, rerankers, classifiers. What is theirs alone: the class by what follows the last
 * layer; the settings of encoders; and of what sentence-transformers keeps beside a model 1_Pooling and dense layers in 2_Dense and 3_Dense
 * (the rest: sentence.c).
 */
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/cpu.h"
#include "convert/export.h"
#include "convert/meta.h"
#include "io/safetensors.h"
#include "kern/kern.h"

enum { POOL_MEAN = 1, POOL_FIRST, POOL_LAST, POOL_RANK }; /* pooling_type */

static int ends(struct str s, const char *tail) { return str_ends(s, str_of(tail)); }
static int is_arch(const struct export *e, const char *arch) { return !strcmp(e->f->arch, arch); }
static int pooling(const struct export *e) { return (int)export_num(e, "pooling_type", -1); }

/* A file that was made from another class of the same tensors is the same model: RoBERTa without the positions of padding is a BERT. */
int export_reader_fits(const struct export *e, struct str hf)
{
    struct str words = STR("");
    uint32_t pool;
    (void)gguf_str(&e->g, "tokenizer.ggml.model", &words, NULL);
    int first = gguf_tensor(&e->g, "cls.weight") != NULL, head = gguf_tensor(&e->g, "cls.output.weight") != NULL;
    int types = gguf_tensor(&e->g, "token_types.weight") != NULL, distil = str_starts(hf, STR("Distil"));
    if (head != !ends(hf, "Model")) return 0;
    if (str_starts(hf, STR("ModernBert")) || str_starts(hf, STR("Nomic")) || str_starts(hf, STR("Gemma"))) return 1;
    int each = gguf_u32(&e->g, "bert.pooling_type", &pool, NULL) == 1 && pool == 0;
    if (ends(hf, "ForTokenClassification") && !each) return 0;
    if (ends(hf, "ForSequenceClassification") != (head && first) || distil == types) return 0;
    return distil || (str_starts(hf, STR("Bert")) ? str_is(words, "bert")
                      : str_starts(hf, STR("XLM")) ? str_is(words, "t5")
                                                   : str_is(words, "gpt2"));
}

/* ---- config.json ------------------------------------------------------------------------------------------------------- */

static void labels(struct export *e)
{
    char key[160];
    snprintf(key, sizeof key, "%s.classifier.output_labels", e->f->arch);
    const struct gguf_kv *kv = gguf_find(&e->g, key);
    const struct gguf_tensor *out = gguf_tensor(&e->g, "cls.output.weight");
    if (!kv || kv->type != GGUF_ARRAY || kv->etype != GGUF_STRING) {
        if (out) export_put_int(e, "num_labels", out->ndim > 1 ? out->dim[1] : 1);
        return;
    }
    for (int back = 0; back < 2; back++) {
        if (!export_put(e, back ? "label2id" : "id2label", NULL)) continue;
        for (uint64_t i = 0; i < kv->count; i++) {
            buf_puts(&e->text, i ? ", " : "{");
            if (!back) buf_printf(&e->text, "\"%" PRIu64 "\": ", i);
            buf_json_str(&e->text, gguf_str_at(kv, i));
            if (back) buf_printf(&e->text, ": %" PRIu64, i);
        }
        buf_puts(&e->text, kv->count ? "}" : "{}");
    }
}

static void turns(struct export *e, double near, double full)
{
    if (!export_put(e, "rope_parameters", NULL)) return;
    buf_puts(&e->text, near > 0 ? "{\"full_attention\": {\"rope_type\": \"default\", \"rope_theta\": "
                                : "{\"rope_type\": \"default\", \"rope_theta\": ");
    export_float(&e->text, (float)full);
    if (near > 0) {
        buf_puts(&e->text, "}, \"sliding_attention\": {\"rope_type\": \"default\", \"rope_theta\": ");
        export_float(&e->text, (float)near);
        buf_putc(&e->text, '}');
    }
    buf_putc(&e->text, '}');
}

static void bert(struct export *e)
{
    const struct gguf_tensor *types = gguf_tensor(&e->g, "token_types.weight");
    int64_t most = (int64_t)export_num(e, "context_length", 0), pad = 1;
    uint32_t id;
    if (gguf_u32(&e->g, "tokenizer.ggml.padding_token_id", &id, NULL) == 1) pad = id;
    int after = str_starts(e->type, STR("roberta")) || str_starts(e->type, STR("xlm")); /* positions begin behind padding's */
    if (types) export_put_int(e, "type_vocab_size", types->ndim > 1 ? types->dim[1] : 1);
    export_put_int(e, "max_position_embeddings", most + (after ? pad + 1 : 0));
    export_put_str(e, str_is(e->type, "distilbert") ? "activation" : "hidden_act", STR("gelu"));
}

/* The names of Nomic's own code beside those of transformers'. */
static void nomic(struct export *e)
{
    static const char *const same[][2] = {
        {"n_embd", "embedding_length"},     {"n_head", "attention.head_count"}, {"n_layer", "block_count"},
        {"n_inner", "feed_forward_length"}, {"n_positions", "context_length"},
        {"max_trained_positions", "context_length"}};
    const struct gguf_tensor *types = gguf_tensor(&e->g, "token_types.weight");
    double base = export_num(e, "rope.freq_base", 10000), eps = export_num(e, "attention.layer_norm_epsilon", 1e-12);
    for (size_t i = 0; i < sizeof same / sizeof *same; i++)
        export_put_int(e, same[i][0], (int64_t)export_num(e, same[i][1], 0));
    if (types) export_put_int(e, "type_vocab_size", types->ndim > 1 ? types->dim[1] : 1);
    export_put(e, "hidden_act", "\"silu\"");
    export_put(e, "activation_function", "\"swiglu\"");
    static const char *const off[] = {"causal", "prenorm", "rotary_emb_interleaved", "qkv_proj_bias", "mlp_fc1_bias",
                                      "mlp_fc2_bias"};
    for (size_t i = 0; i < sizeof off / sizeof *off; i++) export_put_bool(e, off[i], 0);
    export_put(e, "rotary_emb_fraction", "1.0");
    if (export_put(e, "rotary_emb_base", NULL)) export_float(&e->text, (float)base);
    if (export_put(e, "layer_norm_epsilon", NULL)) export_float(&e->text, (float)eps);
    turns(e, 0, base);
}

static void modern(struct export *e)
{
    const struct gguf_kv *list = gguf_find(&e->g, "modern-bert.attention.sliding_window_pattern");
    int64_t layers = (int64_t)export_num(e, "block_count", 0), period = 3;
    double full = export_num(e, "rope.freq_base", 160000), near = export_num(e, "rope.freq_base_swa", 10000);
    struct str act = STR("gelu");
    int each = list && list->type == GGUF_ARRAY && (gguf_is_int(list->etype) || list->etype == GGUF_BOOL);
    if (list && !each) period = (int64_t)export_num(e, "attention.sliding_window_pattern", 3);
    (void)gguf_str(&e->g, "modern-bert.hidden_activation", &act, NULL);
    export_put_str(e, "hidden_activation", act);
    export_put_int(e, "local_attention", (int64_t)export_num(e, "attention.sliding_window", 128));
    if (period > 0) export_put_int(e, "global_attn_every_n_layers", period);
    if (period > 0 && export_put(e, "layer_types", NULL)) {
        for (int64_t i = 0; i < layers; i++) {
            int local = each ? (uint64_t)i < list->count && gguf_int_at(list, (uint64_t)i) != 0 : i % period != 0;
            buf_printf(&e->text, "%s\"%s_attention\"", i ? ", " : "[", local ? "sliding" : "full");
        }
        buf_puts(&e->text, layers ? "]" : "[]");
    }
    if (export_put(e, "norm_eps", NULL))
        export_float(&e->text, (float)export_num(e, "attention.layer_norm_epsilon", 1e-5));
    turns(e, near, full);
    if (export_put(e, "global_rope_theta", NULL)) export_float(&e->text, (float)full);
    if (export_put(e, "local_rope_theta", NULL)) export_float(&e->text, (float)near);
    if (!gguf_tensor(&e->g, "cls.output.weight")) return;
    export_put(e, "classifier_pooling", pooling(e) == POOL_MEAN ? "\"mean\"" : "\"cls\"");
    export_put_bool(e, "classifier_bias", gguf_tensor(&e->g, "cls.bias") != NULL);
}

void export_reader_config(struct export *e)
{
    labels(e);
    if (is_arch(e, "bert")) bert(e);
    if (is_arch(e, "nomic-bert")) nomic(e);
    if (is_arch(e, "modern-bert")) modern(e);
    if (!is_arch(e, "gemma-embedding")) return;
    export_put_bool(e, "use_bidirectional_attention", 1);
    export_put_int(e, "query_pre_attn_scalar", (int64_t)export_num(e, "attention.key_length", 256));
    export_put(e, "hidden_activation", "\"gelu_pytorch_tanh\"");
}

/* ---- beside it --------------------------------------------------------------------------------------------------------- */

static int is_reranker(const struct export *e) { return is_arch(e, "qwen3") && pooling(e) == POOL_RANK; }

int export_reader_beside(const struct export *e, struct str tensor)
{
    if (is_arch(e, "gemma-embedding"))
        return str_starts(tensor, STR("dense_2.")) || str_starts(tensor, STR("dense_3."));
    return is_reranker(e) && str_is(tensor, "cls.output.weight");
}

static void read_row(const struct kern *k, const struct gguf_tensor *t, int64_t row, float *to)
{
    struct dtype_info d = dtype_info(t->type);
    size_t bytes = (size_t)t->dim[0] / d.block * d.bytes;
    const uint8_t *from = t->data + (size_t)row * bytes;
    if (t->type == DT_F32)
        memcpy(to, from, bytes);
    else
        k->type[t->type].dequant((size_t)t->dim[0], from, to);
}

static int can_read(const struct kern *k, const struct gguf_tensor *t)
{
    return t->type == DT_F32 || k->type[t->type].dequant;
}

/* The two rows of the score are those of "yes" and "no" of what is written: as nearly as the types of both allow. */
static int check_rows(const struct export *e, const struct kern *kern, struct lar_err *err)
{
    static const char *const name[2] = {"yes", "no"};
    const struct gguf_tensor *out = gguf_tensor(&e->g, "output.weight"), *two = gguf_tensor(&e->g, "cls.output.weight");
    const struct gguf_kv *words = gguf_find(&e->g, "tokenizer.ggml.tokens");
    struct str form = str_of(meta_rerank_form);
    int same = 1;
    (void)gguf_str(&e->g, "tokenizer.chat_template.rerank", &form, NULL);
    if (!str_is(form, meta_rerank_form))
        return lar_fail(err, LAR_EUNSUPPORTED, "tokenizer.chat_template.rerank: no folder can say how it is asked");
    if (!out) out = gguf_tensor(&e->g, "token_embd.weight");
    if (!two || !out || two->ndim != 2 || two->dim[1] != 2 || two->dim[0] != out->dim[0] || out->ndim != 2 || !words ||
        words->type != GGUF_ARRAY || words->etype != GGUF_STRING || !can_read(kern, two) || !can_read(kern, out))
        return lar_fail(err, LAR_EUNSUPPORTED, "tensor cls.output.weight is not what a Qwen3-Reranker has");
    size_t n = (size_t)two->dim[0];
    float *v = mem_alloc(2 * n * sizeof *v);
    if (!v) return lar_fail(err, LAR_ENOMEM, "rows of the score: out of memory");
    for (int k = 0; k < 2 && same; k++) {
        int64_t row = -1;
        double apart = 0, all = 0;
        for (uint64_t i = 0; i < words->count && row < 0 && (int64_t)i < out->dim[1]; i++)
            if (str_is(gguf_str_at(words, i), name[k])) row = (int64_t)i;
        if (row < 0) same = 0;
        if (row < 0) break;
        read_row(kern, two, k, v);
        read_row(kern, out, row, v + n);
        for (size_t i = 0; i < n; i++) {
            double d = (double)v[i] - (double)v[n + i];
            apart += d * d;
            all += (double)v[i] * (double)v[i];
        }
        int rounded = dtype_info(two->type).block > 1 || dtype_info(out->type).block > 1;
        same = two->type == DT_F32 && out->type == DT_F32 ? !(apart > 0) : apart <= (rounded ? 0.1 : 1e-4) * all;
    }
    mem_free(v);
    return same ? 0
                : lar_fail(err, LAR_EUNSUPPORTED,
                           "tensor cls.output.weight is not the output's rows for \"yes\" and \"no\", and a "
                           "folder has no other");
}

int export_reader_give(struct export *e, struct lar_err *err)
{
    static const char *const name[] = {"", "mean_tokens", "cls_token", "lasttoken"};
    int how = pooling(e);
    struct kern k;
    kern_init(&k, cpu_detect());
    buf_clear(&e->pooling);
    for (int i = 0; i < 2; i++) {
        const struct gguf_tensor *t = gguf_tensor(&e->g, i ? "dense_3.weight" : "dense_2.weight"),
                                 *bias = gguf_tensor(&e->g, i ? "dense_3.bias" : "dense_2.bias");
        if (!t || !is_arch(e, "gemma-embedding")) continue;
        if (t->ndim != 2 || !can_read(&k, t) || (i && !e->c.dense[0][0]) ||
            (bias && (bias->ndim != 1 || bias->dim[0] != t->dim[1] || !can_read(&k, bias))))
            return lar_fail(err, LAR_EUNSUPPORTED, "tensor dense_%d.weight is no dense layer's", 2 + i);
        e->c.dense[i][0] = t->dim[1], e->c.dense[i][1] = t->dim[0];
    }
    if (is_reranker(e)) {
        e->c.readme = STR("# Qwen3-Reranker");
        return check_rows(e, &k, err);
    }
    if (how < POOL_MEAN || how > POOL_LAST || gguf_tensor(&e->g, "cls.output.weight")) return 0;
    buf_printf(&e->pooling, "{\n  \"word_embedding_dimension\": %" PRId64,
               (int64_t)export_num(e, "embedding_length", 0));
    for (int i = POOL_MEAN; i <= POOL_LAST; i++)
        buf_printf(&e->pooling, ",\n  \"pooling_mode_%s\": %s", name[i], i == how ? "true" : "false");
    buf_puts(&e->pooling, ",\n  \"pooling_mode_max_tokens\": false\n}\n");
    e->c.pooling = e->pooling.failed ? NULL : json_parse(&e->c.a, buf_view(&e->pooling), err);
    return e->c.pooling ? 0 : lar_fail(err, LAR_ENOMEM, "1_Pooling: out of memory");
}

/* ---- its files --------------------------------------------------------------------------------------------------------- */

static int sub_folder(const char *folder, const char *name, char path[4400], struct lar_err *err)
{
    snprintf(path, 4400, "%s/%s", folder, name);
    return mkdir(path, 0777) ? lar_fail_errno(err, "%s: cannot be made", path) : 0;
}

/* linear.weight and, where there is one, linear.bias: in the file's type, quantised ones as F32. */
static int write_dense(const struct export *e, const char *folder, int number, struct lar_err *err)
{
    struct safetensors_spec spec[2];
    const struct gguf_tensor *t[2];
    struct safetensors_writer *w = NULL;
    char name[32], path[4400], file[4440], json[200];
    uint64_t total = 0;
    size_t n = 0;
    struct kern k;
    kern_init(&k, cpu_detect());
    for (int i = 0; i < 2; i++) {
        snprintf(name, sizeof name, "dense_%d.%s", number, i ? "bias" : "weight");
        if (!(t[n] = gguf_tensor(&e->g, name))) continue;
        enum dtype type = t[n]->type;
        spec[n] = (struct safetensors_spec){.name = i ? "linear.bias" : "linear.weight",
                                            .type = type == DT_F16    ? "F16"
                                                    : type == DT_BF16 ? "BF16"
                                                                      : "F32",
                                            .ndim = t[n]->ndim};
        for (int d = 0; d < t[n]->ndim; d++) spec[n].shape[d] = t[n]->dim[t[n]->ndim - 1 - d];
        n++;
    }
    snprintf(name, sizeof name, "%d_Dense", number);
    int rc = sub_folder(folder, name, path, err);
    snprintf(json, sizeof json,
             "{\n  \"in_features\": %" PRId64 ",\n  \"out_features\": %" PRId64
             ",\n  \"bias\": %s,\n  \"activation_function\": \"torch.nn.modules.linear.Identity\"\n}\n",
             t[0]->dim[0], t[0]->dim[1], n > 1 ? "true" : "false");
    if (rc == 0) rc = export_text(path, "config.json", str_of(json), err);
    snprintf(file, sizeof file, "%s/model.safetensors", path);
    if (rc == 0) rc = safetensors_create(&w, file, spec, n, err);
    uint8_t *at = rc < 0 ? NULL : safetensors_place(w, &total, err);
    if (rc == 0 && !at) rc = LAR_EIO;
    for (size_t i = 0; i < n && rc == 0; i++) {
        int64_t rows = t[i]->ndim > 1 ? t[i]->dim[1] : 1;
        if (strcmp(spec[i].type, "F32") != 0) {
            memcpy(at, t[i]->data, t[i]->bytes);
            at += t[i]->bytes;
            continue;
        }
        for (int64_t r = 0; r < rows; r++, at += 4 * t[i]->dim[0]) read_row(&k, t[i], r, (float *)(void *)at);
    }
    if (rc == 0) return safetensors_commit(w, err);
    if (w) safetensors_abort(w);
    return rc;
}

int export_reader_write(const struct export *e, const char *folder, struct lar_err *err)
{
    char path[4400];
    int rc = export_sentence_write(e, folder, err);
    if (rc == 0 && is_reranker(e))
        rc = export_text(folder, "README.md",
                         STR("# Qwen3-Reranker\n\nIts score is the probability of \"yes\" against \"no\" as the next "
                             "token. (lar convert knows a reranker by this file's first line.)\n"),
                         err);
    if (!e->pooling.n || rc < 0) return rc;
    for (int i = 0; i < 2 && rc == 0; i++)
        if (e->c.dense[i][0]) rc = write_dense(e, folder, i + 2, err);
    if (rc == 0) rc = sub_folder(folder, "1_Pooling", path, err);
    return rc < 0 ? rc : export_text(path, "config.json", buf_view(&e->pooling), err);
}
