/* SPDX-License-Identifier: Apache-2.0
 *
 * io/gguf_keys.h: the metadata of a GGUF file that is to be written, gathered in the file's own form (docs/gguf.md of
 * ggml), in the order of the calls. Running out of memory is remembered (buf.h) and told by gguf_create, like a key given twice.
 */
#ifndef IO_GGUF_KEYS_H
#define IO_GGUF_KEYS_H

#include <stdint.h>

#include "base/buf.h"
#include "io/gguf.h"

struct gguf_keys {
    struct buf b;  /* n pairs, as they will stand in the file */
    struct buf at; /* size_t of each: where it begins in b */
    uint64_t n;
    uint64_t alignment; /* general.alignment when that key was given; 0: not given, 32 */
};

/* A zeroed struct is an empty one. */
void gguf_keys_done(struct gguf_keys *k);
/* One integer or BOOL of type t; the caller sees to it that v fits. */
void gguf_keys_int(struct gguf_keys *k, const char *key, enum gguf_type t, int64_t v);
static inline void gguf_keys_u32(struct gguf_keys *k, const char *key, uint32_t v)
{
    gguf_keys_int(k, key, GGUF_U32, v);
}
static inline void gguf_keys_bool(struct gguf_keys *k, const char *key, int v)
{
    gguf_keys_int(k, key, GGUF_BOOL, v != 0);
}
void gguf_keys_f32(struct gguf_keys *k, const char *key, float v);
void gguf_keys_str(struct gguf_keys *k, const char *key, struct str v);
/* count elements of type t (no string), as they lie in memory. */
void gguf_keys_array(struct gguf_keys *k, const char *key, enum gguf_type t, const void *p,
                     uint64_t count);
void gguf_keys_strs(struct gguf_keys *k, const char *key, const struct str *v, uint64_t count);
/* A key of another file, unchanged. */
void gguf_keys_copy(struct gguf_keys *k, const struct gguf_kv *kv);
int gguf_keys_has(const struct gguf_keys *k, struct str key);
/* Pair i: its key. */
struct str gguf_keys_name(const struct gguf_keys *k, uint64_t i);

#endif
