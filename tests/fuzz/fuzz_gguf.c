/* SPDX-License-Identifier: Apache-2.0
 * tests/fuzz/fuzz_gguf.c: any bytes as a GGUF file. What gguf_open_memory accepts is read to the
 * last value and measured against the promises of io/gguf.h; a broken promise aborts. Works with
 * libFuzzer and with replay.c. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/gguf.h"
#include "must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static volatile uint64_t sink; /* so that no read is optimised away */

static int inside(const void *p, uint64_t bytes, const uint8_t *data, size_t n)
{
    uintptr_t at = (uintptr_t)p, begin = (uintptr_t)data;
    return at >= begin && at - begin <= n && bytes <= n - (at - begin);
}

static void touch(const void *p, uint64_t bytes)
{
    const uint8_t *b = p;
    if (bytes) sink += b[0] + b[bytes - 1];
}

static void read_values(const struct gguf_kv *kv, const uint8_t *data, size_t n)
{
    enum gguf_type t = kv->type == GGUF_ARRAY ? kv->etype : kv->type;
    MUST((unsigned)t < GGUF_TYPE_COUNT && t != GGUF_ARRAY);
    MUST(inside(kv->data, kv->bytes, data, n));
    for (uint64_t i = 0; i < kv->count; i++) {
        if (t == GGUF_STRING) {
            struct str s = gguf_str_at(kv, i);
            MUST(inside(s.p, s.n, data, n));
            touch(s.p, s.n);
        } else {
            if (t == GGUF_BOOL) MUST(gguf_int_at(kv, i) == 0 || gguf_int_at(kv, i) == 1);
            if (gguf_is_int(t)) sink += (uint64_t)gguf_int_at(kv, i);
            sink += !isnan(gguf_num_at(kv, i));
        }
    }
}

/* Every getter on every key: each takes it or says why not. */
static void read_as_everything(const struct gguf *g, const char *key)
{
    struct lar_err err = {0};
    struct str s = {0};
    uint32_t u = 0;
    int64_t i = 0;
    float f = 0;
    int b = 0;
    int took = 0, rc[5] = {gguf_u32(g, key, &u, &err), gguf_i64(g, key, &i, &err),
                           gguf_f32(g, key, &f, &err), gguf_bool(g, key, &b, &err),
                           gguf_str(g, key, &s, &err)};
    for (int k = 0; k < 5; k++) {
        MUST(rc[k] == 1 || rc[k] == LAR_EFORMAT);
        took += rc[k] == 1;
    }
    MUST(took <= 2); /* u32 and i64 */
    if (rc[0] == 1) MUST(rc[1] == 1 && i == (int64_t)u);
    sink += s.n + (f > 0.0f) + (unsigned)b;
}

static void read_keys(const struct gguf *g, const uint8_t *data, size_t n)
{
    for (size_t k = 0; k < g->nkv; k++) {
        const struct gguf_kv *kv = &g->kv[k];
        char *name = malloc(kv->key.n + 1);
        MUST(name && kv->key.n && inside(kv->key.p, kv->key.n, data, n));
        memcpy(name, kv->key.p, kv->key.n);
        name[kv->key.n] = 0;
        MUST(gguf_find(g, name) == kv);
        read_as_everything(g, name);
        read_values(kv, data, n);
        free(name);
    }
}

static void read_tensors(const struct gguf *g, const uint8_t *data, size_t n)
{
    for (size_t k = 0; k < g->ntensor; k++) {
        const struct gguf_tensor *t = &g->tensor[k];
        struct dtype_info d = dtype_info(t->type);
        uint64_t elements = 1;
        MUST(d.name && t->ndim >= 1 && t->ndim <= 4 && t->part == 0);
        for (int i = 0; i < 4; i++) {
            MUST(t->dim[i] >= 1 && (i < t->ndim || t->dim[i] == 1));
            MUST(!__builtin_mul_overflow(elements, (uint64_t)t->dim[i], &elements));
        }
        MUST(t->dim[0] % d.block == 0 && t->bytes == elements / d.block * d.bytes && t->bytes);
        MUST(inside(t->data, t->bytes, data, n) && t->data == data + t->offset);
        MUST(t->offset % g->alignment == 0);
        touch(t->data, t->bytes);
        char *name = malloc(t->name.n + 1);
        MUST(name && t->name.n);
        memcpy(name, t->name.p, t->name.n);
        name[t->name.n] = 0;
        MUST(gguf_tensor(g, name) == t);
        free(name);
        for (size_t j = k > 64 ? k - 64 : 0; j < k; j++) { /* all pairs would be slow */
            const struct gguf_tensor *o = &g->tensor[j];
            MUST(o->offset + o->bytes <= t->offset || t->offset + t->bytes <= o->offset);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct gguf g;
    struct lar_err err = {0};
    long live = mem_live();
    int rc = gguf_open_memory(&g, data, n, &err);
    if (rc < 0) {
        MUST(err.code == rc && err.msg[0]);
        MUST(rc == LAR_EFORMAT || rc == LAR_EUNSUPPORTED || rc == LAR_ELIMIT);
        MUST(!g.kv && !g.tensor && !g.part);
    } else {
        MUST(rc == 0 && g.npart == 1 && (g.version == 2 || g.version == 3));
        MUST(g.a.used <= 8 * n + 1024); /* tables that the file's own size justifies */
        read_keys(&g, data, n);
        read_tensors(&g, data, n);
        gguf_close(&g);
    }
    MUST(mem_live() == live);
    return 0;
}
