/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/embed_hf.h: a Hugging Face folder of a BERT classifier as a GGUF: config.json, vocab.txt, model.safetensors. Only what test_embed
 * needs: F32, WordPiece, a pooler before the classifier (cls) or a label for each token (pooling_type 0). */
#ifndef EMBED_HF_H
#define EMBED_HF_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/json.h"
#include "io/safetensors.h"

static int hf_read(const char *path, struct buf *b)
{
    FILE *f = fopen(path, "rb");
    if (!f) return 0;
    for (size_t k = 1; k;) {
        char *room = buf_room(b, 65536);
        k = room ? fread(room, 1, 65536, f) : 0;
        b->n += k;
    }
    fclose(f);
    return !b->failed;
}

static void hf_u32(struct buf *b, uint32_t v) { buf_add(b, &v, 4); }
static void hf_u64(struct buf *b, uint64_t v) { buf_add(b, &v, 8); }
static void hf_str(struct buf *b, struct str s)
{
    hf_u64(b, s.n);
    buf_str(b, s);
}
static void hf_key(struct buf *b, uint64_t *n, const char *key, uint32_t type)
{
    hf_str(b, str_of(key));
    hf_u32(b, type);
    ++*n;
}
static void hf_int(struct buf *b, uint64_t *n, const char *key, double v)
{
    hf_key(b, n, key, 4);
    hf_u32(b, (uint32_t)v);
}
static void hf_text(struct buf *b, uint64_t *n, const char *key, const char *v)
{
    hf_key(b, n, key, 8);
    hf_str(b, str_of(v));
}

/* vocab.txt as ggml's converter writes it: U+2581 before what begins a word, no ## before what does not. */
static void hf_vocab(struct buf *b, uint64_t *n, struct str t)
{
    struct buf list = {0}, types = {0};
    uint64_t count = 0;
    while (t.n) {
        const char *nl = memchr(t.p, '\n', t.n);
        struct str s = {t.p, nl ? (size_t)(nl - t.p) : t.n};
        int special = s.n > 2 && s.p[0] == '[' && s.p[s.n - 1] == ']',
            inner = s.n > 2 && !memcmp(s.p, "##", 2);
        t = str_from(t, s.n + 1);
        hf_u32(&types, special ? 3 : 1);
        hf_u64(&list, special ? s.n : inner ? s.n - 2 : s.n + 3);
        if (!special && !inner) buf_puts(&list, "\xe2\x96\x81");
        buf_str(&list, inner ? str_from(s, 2) : s);
        if (str_is(s, "[PAD]")) hf_int(b, n, "tokenizer.ggml.padding_token_id", (double)count);
        if (str_is(s, "[UNK]")) hf_int(b, n, "tokenizer.ggml.unknown_token_id", (double)count);
        if (str_is(s, "[CLS]")) hf_int(b, n, "tokenizer.ggml.bos_token_id", (double)count);
        if (str_is(s, "[SEP]")) hf_int(b, n, "tokenizer.ggml.seperator_token_id", (double)count);
        count++;
    }
    hf_text(b, n, "tokenizer.ggml.model", "bert");
    hf_text(b, n, "tokenizer.ggml.pre", "bert-bge");
    hf_key(b, n, "tokenizer.ggml.tokens", 9);
    hf_u32(b, 8);
    hf_u64(b, count);
    buf_str(b, buf_view(&list));
    hf_key(b, n, "tokenizer.ggml.token_type", 9);
    hf_u32(b, 5);
    hf_u64(b, count);
    buf_str(b, buf_view(&types));
    buf_done(&list);
    buf_done(&types);
}

static void hf_keys(struct buf *b, uint64_t *n, const struct json *c)
{
    const struct json *labels = json_get(c, "id2label");
    struct str arch = json_str(json_get(c, "architectures")->child, STR(""));
    float eps = (float)json_num(json_get(c, "layer_norm_eps"), 0);
    hf_text(b, n, "general.architecture", "bert");
    hf_int(b, n, "bert.block_count", json_num(json_get(c, "num_hidden_layers"), 0));
    hf_int(b, n, "bert.context_length", json_num(json_get(c, "max_position_embeddings"), 0));
    hf_int(b, n, "bert.embedding_length", json_num(json_get(c, "hidden_size"), 0));
    hf_int(b, n, "bert.feed_forward_length", json_num(json_get(c, "intermediate_size"), 0));
    hf_int(b, n, "bert.attention.head_count", json_num(json_get(c, "num_attention_heads"), 0));
    hf_int(b, n, "bert.pooling_type", str_ends(arch, STR("TokenClassification")) ? 0 : 4);
    hf_key(b, n, "bert.attention.layer_norm_epsilon", 6);
    buf_add(b, &eps, 4);
    hf_key(b, n, "bert.classifier.output_labels", 9);
    hf_u32(b, 8);
    hf_u64(b, labels->n);
    for (const struct json *l = labels->child; l; l = l->next) hf_str(b, l->s);
}

static void hf_name(struct str name, char *out, size_t size)
{
    static const char *const of[][2] = {
        {"embeddings.word_embeddings", "token_embd"},
        {"embeddings.position_embeddings", "position_embd"},
        {"embeddings.token_type_embeddings", "token_types"},
        {"embeddings.LayerNorm", "token_embd_norm"},
        {"attention.self.query", "attn_q"},
        {"attention.self.key", "attn_k"},
        {"attention.self.value", "attn_v"},
        {"attention.output.dense", "attn_output"},
        {"attention.output.LayerNorm", "attn_output_norm"},
        {"intermediate.dense", "ffn_up"},
        {"output.dense", "ffn_down"},
        {"output.LayerNorm", "layer_output_norm"},
        {"pooler.dense", "cls"},
        {"classifier", "cls.output"},
    };
    char s[200], layer[16] = "";
    if (str_starts(name, STR("bert."))) name = str_from(name, 5);
    snprintf(s, sizeof s, "%.*s", STR_ARG(name));
    char *tail = strrchr(s, '.'), *from = s;
    if (!strncmp(s, "encoder.layer.", 14)) {
        from = strchr(s + 14, '.');
        snprintf(layer, sizeof layer, "blk.%.*s.", (int)(from - s) - 14, s + 14);
        from++;
    }
    *tail = 0;
    for (size_t i = 0; i < sizeof of / sizeof *of; i++)
        if (!strcmp(from, of[i][0])) snprintf(out, size, "%s%s.%s", layer, of[i][1], tail + 1);
}

static int hf_bert_to_gguf(const char *dir, int fd, struct lar_err *err)
{
    char path[400];
    struct buf config = {0}, vocab = {0}, keys = {0}, all = {0}, data = {0};
    struct safetensors st;
    struct arena a;
    uint64_t nkey = 0, at = 0;
    arena_init(&a, 0);
    snprintf(path, sizeof path, "%s/config.json", dir);
    hf_read(path, &config);
    snprintf(path, sizeof path, "%s/vocab.txt", dir);
    hf_read(path, &vocab);
    snprintf(path, sizeof path, "%s/model.safetensors", dir);
    struct json *c = json_parse(&a, buf_view(&config), err);
    int rc = c ? safetensors_open(&st, path, err) : -1;
    if (rc == 0) {
        hf_keys(&keys, &nkey, c);
        hf_vocab(&keys, &nkey, buf_view(&vocab));
        buf_puts(&all, "GGUF");
        hf_u32(&all, 3);
        hf_u64(&all, st.ntensor);
        hf_u64(&all, nkey);
        buf_str(&all, buf_view(&keys));
        for (size_t i = 0; i < st.ntensor; i++) {
            const struct safetensors_tensor *t = &st.tensor[i];
            char name[100] = "?";
            hf_name(t->name, name, sizeof name);
            hf_str(&all, str_of(name));
            hf_u32(&all, (uint32_t)t->ndim);
            for (int d = t->ndim; d-- > 0;) hf_u64(&all, (uint64_t)t->shape[d]);
            hf_u32(&all, 0);
            hf_u64(&all, at);
            buf_add(&data, t->data, t->bytes);
            while (data.n % 32) buf_putc(&data, 0);
            at = data.n;
        }
        while (all.n % 32) buf_putc(&all, 0);
        buf_str(&all, buf_view(&data));
        rc = all.failed || data.failed || write(fd, all.p, all.n) != (ssize_t)all.n ? -1 : 0;
        safetensors_close(&st);
    }
    buf_done(&config), buf_done(&vocab), buf_done(&keys), buf_done(&all), buf_done(&data);
    arena_done(&a);
    return rc;
}

#endif
