/* SPDX-License-Identifier: Apache-2.0
 * tests/gguf_build.h: GGUF files made in memory, right ones and wrong ones: what is put in is
 * written as it is, nothing is checked. Little-endian whatever the machine. */
#ifndef GGUF_BUILD_H
#define GGUF_BUILD_H

#include "base/buf.h"
#include "io/gguf.h"
#include "tap.h"

struct gb {
    struct buf kv, tensor, data;
    uint64_t nkv, ntensor;
    uint32_t version;   /* 0: 3 */
    uint64_t alignment; /* of the data's beginning; 0: 32 */
};

/* What gb_end made: exactly n bytes of heap, so that a sanitizer sees a read past them. */
struct gb_file {
    uint8_t *p;
    size_t n;
};

static inline void gb_int(struct buf *b, uint64_t v, int bytes)
{
    for (int i = 0; i < bytes; i++) buf_putc(b, (char)(v >> 8 * i & 255));
}

static inline void gb_bytes(struct buf *b, const char *p, size_t n)
{
    gb_int(b, n, 8);
    buf_add(b, p, n);
}

static inline void gb_text(struct buf *b, const char *z) { gb_bytes(b, z, strlen(z)); }

/* The beginning of a key: what follows is its value. */
static inline struct buf *gb_key(struct gb *g, const char *key, uint32_t type)
{
    gb_text(&g->kv, key);
    gb_int(&g->kv, type, 4);
    g->nkv++;
    return &g->kv;
}

static inline void gb_kv_int(struct gb *g, const char *key, enum gguf_type t, uint64_t v)
{
    gb_int(gb_key(g, key, t), v, gguf_type_bytes(t));
}

static inline void gb_kv_f32(struct gb *g, const char *key, float v)
{
    uint32_t u;
    memcpy(&u, &v, 4);
    gb_int(gb_key(g, key, GGUF_F32), u, 4);
}

static inline void gb_kv_f64(struct gb *g, const char *key, double v)
{
    uint64_t u;
    memcpy(&u, &v, 8);
    gb_int(gb_key(g, key, GGUF_F64), u, 8);
}

static inline void gb_kv_text(struct gb *g, const char *key, const char *v)
{
    gb_text(gb_key(g, key, GGUF_STRING), v);
}

/* The beginning of an array: count elements are to follow. */
static inline struct buf *gb_array(struct gb *g, const char *key, uint32_t etype, uint64_t count)
{
    struct buf *b = gb_key(g, key, GGUF_ARRAY);
    gb_int(b, etype, 4);
    gb_int(b, count, 8);
    return b;
}

static inline void gb_tensor(struct gb *g, const char *name, int ndim, const uint64_t *dim,
                             uint32_t type, uint64_t offset)
{
    gb_text(&g->tensor, name);
    gb_int(&g->tensor, (uint64_t)ndim, 4);
    for (int i = 0; i < ndim; i++) gb_int(&g->tensor, dim[i], 8);
    gb_int(&g->tensor, type, 4);
    gb_int(&g->tensor, offset, 8);
    g->ntensor++;
}

/* A row of F32. */
static inline void gb_row(struct gb *g, const char *name, uint64_t elements, uint64_t offset)
{
    gb_tensor(g, name, 1, &elements, DT_F32, offset);
}

static inline void gb_data(struct gb *g, size_t n)
{
    for (size_t i = 0; i < n; i++) buf_putc(&g->data, (char)(i * 7 + 1));
}

/* The file; g is empty afterwards. */
static inline struct gb_file gb_end(struct gb *g)
{
    struct buf b = {0};
    uint64_t align = g->alignment ? g->alignment : 32;
    buf_puts(&b, "GGUF");
    gb_int(&b, g->version ? g->version : 3, 4);
    gb_int(&b, g->ntensor, 8);
    gb_int(&b, g->nkv, 8);
    buf_str(&b, buf_view(&g->kv));
    buf_str(&b, buf_view(&g->tensor));
    while (g->data.n && b.n % align) buf_putc(&b, 0);
    buf_str(&b, buf_view(&g->data));
    struct gb_file f = {malloc(b.n), b.n};
    if (!f.p || b.failed || g->kv.failed || g->tensor.failed || g->data.failed) {
        printf("Bail out! out of memory\n");
        exit(EXIT_FAILURE);
    }
    memcpy(f.p, b.p, b.n);
    buf_done(&b);
    buf_done(&g->kv);
    buf_done(&g->tensor);
    buf_done(&g->data);
    *g = (struct gb){0};
    return f;
}

#endif
