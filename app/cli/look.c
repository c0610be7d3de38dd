/* SPDX-License-Identifier: Apache-2.0
 * cli/look.c: see gguf.h. A file has a few dozen keys: looking through them is fast enough. */
#include "cli/look.h"

long look_key(const struct lar_file *f, const char *key, struct lar_meta *meta)
{
    struct lar_file_info info;
    lar_file_info(f, &info);
    for (size_t i = 0; i < info.nmeta; i++) {
        lar_file_meta(f, i, meta);
        if (str_is((struct str){meta->key, meta->key_n}, key)) return (long)i;
    }
    return -1;
}

int look_str(const struct lar_file *f, const char *key, struct str *out)
{
    struct lar_meta m;
    long i = look_key(f, key, &m);
    if (i < 0 || m.type != LAR_META_STRING) return 0;
    out->p = lar_file_meta_str(f, (size_t)i, 0, &out->n);
    return 1;
}

static int is_integer(enum lar_meta_type t)
{
    return t != LAR_META_F32 && t != LAR_META_F64 && t != LAR_META_BOOL && t != LAR_META_STRING &&
           t != LAR_META_ARRAY;
}

int look_token(const struct lar_file *f, const char *key, struct str *out)
{
    struct lar_meta id, tokens;
    long at = look_key(f, key, &id), list = look_key(f, "tokenizer.ggml.tokens", &tokens);
    if (at < 0 || list < 0 || !is_integer(id.type)) return 0;
    int64_t v = lar_file_meta_int(f, (size_t)at, 0);
    if (tokens.type != LAR_META_ARRAY || tokens.element != LAR_META_STRING || v < 0 ||
        (uint64_t)v >= tokens.count)
        return 0;
    out->p = lar_file_meta_str(f, (size_t)list, (uint64_t)v, &out->n);
    return 1;
}
