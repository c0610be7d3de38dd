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

static void sandbox_state(struct buf *b, const struct sandbox *s)
{
    static const char *const want[] = {"try", "require", "off"};
    int done = atomic_load(&s->done); /* a request may come before the last of it */
    buf_printf(b, ",\"sandbox\":{\"wanted\":\"%s\",\"landlock\":%d,\"seccomp\":%s,\"changes_models\":%s,\"told\":",
               want[s->want], s->abi, done && s->calls ? "true" : "false", s->changes ? "true" : "false");
    buf_json_str(b, done ? buf_view(&s->told) : STR("sandbox: being entered"));
    buf_putc(b, '}');
}

int props_write(struct buf *b, const struct book *k, int ctx, int parallel, const struct sandbox *sandbox,
                struct lar_err *err)
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
    sandbox_state(b, sandbox);
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

/* In the words of llama-server's /slots (its server_slot::to_json); never what was said. */
static void slot_task(struct buf *b, const struct slot *k)
{
    const struct lar_sampling *p = &k->sampling;
    const struct {
        const char *name;
        double v;
    } number[] = {{"seed", (double)p->seed},
                  {"temperature", (double)p->temp},
                  {"top_k", p->top_k},
                  {"top_p", (double)p->top_p},
                  {"min_p", (double)p->min_p},
                  {"repeat_penalty", (double)p->repeat_penalty},
                  {"presence_penalty", (double)p->presence_penalty},
                  {"frequency_penalty", (double)p->frequency_penalty},
                  {"max_tokens", k->max_tokens ? k->max_tokens : -1},
                  {"n_predict", k->max_tokens ? k->max_tokens : -1}};
    long left = k->max_tokens ? k->max_tokens - (long)k->written : -1;
    buf_printf(b,
               ",\"id_task\":%ld,\"n_prompt_tokens\":%zu,\"n_prompt_tokens_processed\":%zu,"
               "\"n_prompt_tokens_cache\":%zu,\"params\":{\"stream\":%s",
               k->task, k->prompt, k->read > k->cached ? k->read - k->cached : 0, k->cached,
               k->stream ? "true" : "false");
    for (size_t i = 0; i < sizeof number / sizeof *number; i++) {
        buf_printf(b, ",\"%s\":", number[i].name);
        buf_json_num(b, number[i].v);
    }
    buf_printf(b, "},\"next_token\":[{\"has_next_token\":%s,\"n_remain\":%ld,\"n_decoded\":%zu}]",
               k->busy ? "true" : "false", left, k->written);
}

void props_slots(struct buf *b, int ctx, const struct slot *slot, int parallel)
{
    buf_putc(b, '[');
    for (int i = 0; i < parallel; i++) {
        const struct slot *k = &slot[i];
        buf_printf(b, "%s{\"id\":%d,\"n_ctx\":%d,\"speculative\":%s,\"is_processing\":%s", i ? "," : "", i,
                   k->task ? k->ctx : ctx, k->guesses ? "true" : "false", k->busy ? "true" : "false");
        if (k->task) slot_task(b, k);
        buf_putc(b, '}');
    }
    buf_puts(b, "]\n");
}
