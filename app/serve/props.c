/* SPDX-License-Identifier: Apache-2.0
 * serve/props.c: see props.h. */
#include "serve/props.h"

/* The number of the key; -1: the file has none of that name. */
static int64_t find(const struct lar_file *f, const char *key, struct lar_meta *m)
{
    struct lar_file_info info;
    lar_file_info(f, &info);
    for (size_t i = 0; i < info.nmeta; i++) {
        lar_file_meta(f, i, m);
        if (str_is((struct str){m->key, m->key_n}, key)) return (int64_t)i;
    }
    return -1;
}

/* A string of the file; null where it has none. */
static void text_of(struct buf *b, const struct lar_file *f, const char *key)
{
    struct lar_meta m;
    size_t n = 0;
    int64_t i = find(f, key, &m);
    const char *p =
        i >= 0 && m.type == LAR_META_STRING ? lar_file_meta_str(f, (size_t)i, 0, &n) : NULL;
    if (p)
        buf_json_str(b, (struct str){p, n});
    else
        buf_puts(b, "null");
}

/* The token that an id of the file's names. */
static void token_of(struct buf *b, const struct lar_file *f, const char *key)
{
    struct lar_meta id, all;
    size_t n = 0;
    int64_t i = find(f, key, &id), list = find(f, "tokenizer.ggml.tokens", &all);
    int64_t at = i >= 0 && id.type != LAR_META_ARRAY && id.type != LAR_META_STRING
                     ? lar_file_meta_int(f, (size_t)i, 0)
                     : -1;
    int fits = list >= 0 && all.type == LAR_META_ARRAY && all.element == LAR_META_STRING &&
               at >= 0 && (uint64_t)at < all.count;
    const char *p = fits ? lar_file_meta_str(f, (size_t)list, (uint64_t)at, &n) : NULL;
    if (p)
        buf_json_str(b, (struct str){p, n});
    else
        buf_puts(b, "null");
}

static void tokens(struct buf *b, const struct lar_file *f)
{
    buf_puts(b, ",\"bos_token\":");
    token_of(b, f, "tokenizer.ggml.bos_token_id");
    buf_puts(b, ",\"eos_token\":");
    token_of(b, f, "tokenizer.ggml.eos_token_id");
    buf_puts(b, ",\"chat_template\":");
    text_of(b, f, "tokenizer.chat_template");
}

int props_write(struct buf *b, const struct book *k, int ctx, int parallel, struct lar_err *err)
{
    struct lar_file *f;
    int rc = lar_file_open(&f, k->path, err);
    if (rc < 0) return rc;
    buf_printf(
        b,
        "{\"default_generation_settings\":{\"n_ctx\":%d},\"total_slots\":%d,\"model_alias\":", ctx,
        parallel);
    buf_json_str(b, str_of(k->name));
    buf_puts(b, ",\"model_path\":");
    buf_json_str(b, str_of(k->path));
    buf_puts(b, ",\"model_ftype\":");
    buf_json_str(b, str_of(k->file_type));
    tokens(b, f);
    buf_printf(
        b,
        ",\"modalities\":{\"vision\":false,\"video\":false,\"audio\":false},\"endpoint_slots\":true,");
    buf_printf(
        b,
        "\"endpoint_props\":false,\"endpoint_metrics\":true,\"is_sleeping\":false,\"build_info\":\"lar-%s\"}\n",
        lar_version());
    lar_file_close(f);
    return 0;
}

int props_tokenizer(struct buf *b, const struct book *k, struct lar_err *err)
{
    struct lar_file *f;
    int rc = lar_file_open(&f, k->path, err);
    if (rc < 0) return rc;
    buf_puts(b, "{\"tokenizer_class\":");
    text_of(b, f, "tokenizer.ggml.model");
    tokens(b, f);
    buf_puts(b, ",\"pad_token\":");
    token_of(b, f, "tokenizer.ggml.padding_token_id");
    buf_puts(b, "}\n");
    lar_file_close(f);
    return 0;
}

void props_slots(struct buf *b, int ctx, int parallel, long running)
{
    buf_putc(b, '[');
    for (int i = 0; i < parallel; i++)
        buf_printf(b, "%s{\"id\":%d,\"n_ctx\":%d,\"speculative\":false,\"is_processing\":%s}",
                   i ? "," : "", i, ctx, i < running ? "true" : "false");
    buf_puts(b, "]\n");
}
