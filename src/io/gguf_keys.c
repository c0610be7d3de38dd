/* SPDX-License-Identifier: Apache-2.0
 * io/gguf_keys.c: see gguf_keys.h. */
#include "io/gguf_keys.h"

#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "values are written as they lie in memory");

void gguf_keys_done(struct gguf_keys *k)
{
    buf_done(&k->b);
    buf_done(&k->at);
    *k = (struct gguf_keys){0};
}

static void add_str(struct buf *b, struct str s)
{
    uint64_t n = s.n;
    buf_add(b, &n, 8);
    buf_str(b, s);
}

static void begin(struct gguf_keys *k, struct str key, enum gguf_type t)
{
    uint32_t type = t;
    buf_add(&k->at, &k->b.n, sizeof k->b.n);
    k->n++;
    add_str(&k->b, key);
    buf_add(&k->b, &type, 4);
}

static void note_alignment(struct gguf_keys *k, struct str key, int64_t v)
{
    if (str_is(key, "general.alignment")) k->alignment = (uint64_t)v;
}

void gguf_keys_int(struct gguf_keys *k, const char *key, enum gguf_type t, int64_t v)
{
    begin(k, str_of(key), t);
    buf_add(&k->b, &v, (size_t)gguf_type_bytes(t));
    note_alignment(k, str_of(key), v);
}

void gguf_keys_f32(struct gguf_keys *k, const char *key, float v)
{
    begin(k, str_of(key), GGUF_F32);
    buf_add(&k->b, &v, 4);
}

void gguf_keys_str(struct gguf_keys *k, const char *key, struct str v)
{
    begin(k, str_of(key), GGUF_STRING);
    add_str(&k->b, v);
}

static void begin_array(struct gguf_keys *k, struct str key, enum gguf_type t, uint64_t count)
{
    uint32_t type = t;
    begin(k, key, GGUF_ARRAY);
    buf_add(&k->b, &type, 4);
    buf_add(&k->b, &count, 8);
}

void gguf_keys_array(struct gguf_keys *k, const char *key, enum gguf_type t, const void *p,
                     uint64_t count)
{
    begin_array(k, str_of(key), t, count);
    buf_add(&k->b, p, (size_t)gguf_type_bytes(t) * count);
}

void gguf_keys_strs(struct gguf_keys *k, const char *key, const struct str *v, uint64_t count)
{
    begin_array(k, str_of(key), GGUF_STRING, count);
    for (uint64_t i = 0; i < count; i++) add_str(&k->b, v[i]);
}

void gguf_keys_copy(struct gguf_keys *k, const struct gguf_kv *kv)
{
    if (kv->type == GGUF_ARRAY)
        begin_array(k, kv->key, kv->etype, kv->count);
    else
        begin(k, kv->key, kv->type);
    buf_add(&k->b, kv->data, kv->bytes);
    if (kv->type == GGUF_BOOL || gguf_is_int(kv->type))
        note_alignment(k, kv->key, gguf_int_at(kv, 0));
}

struct str gguf_keys_name(const struct gguf_keys *k, uint64_t i)
{
    size_t at;
    uint64_t n;
    memcpy(&at, k->at.p + i * sizeof at, sizeof at);
    memcpy(&n, k->b.p + at, 8);
    return (struct str){k->b.p + at + 8, n};
}

int gguf_keys_has(const struct gguf_keys *k, struct str key)
{
    for (uint64_t i = 0; i < k->n && !k->b.failed && !k->at.failed; i++)
        if (str_eq(gguf_keys_name(k, i), key)) return 1;
    return 0;
}
