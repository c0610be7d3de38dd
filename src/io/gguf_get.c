/* SPDX-License-Identifier: Apache-2.0
 * io/gguf_get.c: finding keys and tensors of an opened GGUF file and reading their values. gguf.c
 * has proved that all bytes are inside the mapping; here only a value's type and range can be
 * wrong. */
#include "io/gguf.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/num.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "floats are copied as the file has them");

static const struct {
    const char *name;
    int bytes;
} types[GGUF_TYPE_COUNT] = {
    [GGUF_U8] = {"u8", 1},         [GGUF_I8] = {"i8", 1},       [GGUF_U16] = {"u16", 2},
    [GGUF_I16] = {"i16", 2},       [GGUF_U32] = {"u32", 4},     [GGUF_I32] = {"i32", 4},
    [GGUF_F32] = {"f32", 4},       [GGUF_BOOL] = {"bool", 1},   [GGUF_STRING] = {"string", 0},
    [GGUF_ARRAY] = {"array", 0},   [GGUF_U64] = {"u64", 8},     [GGUF_I64] = {"i64", 8},
    [GGUF_F64] = {"f64", 8},
};

const char *gguf_type_name(enum gguf_type t)
{
    return (unsigned)t < GGUF_TYPE_COUNT ? types[t].name : "unknown";
}

int gguf_type_bytes(enum gguf_type t)
{
    return (unsigned)t < GGUF_TYPE_COUNT ? types[t].bytes : 0;
}

int gguf_is_int(enum gguf_type t)
{
    return t == GGUF_U8 || t == GGUF_I8 || t == GGUF_U16 || t == GGUF_I16 || t == GGUF_U32 ||
           t == GGUF_I32 || t == GGUF_U64 || t == GGUF_I64;
}

const struct gguf_kv *gguf_find(const struct gguf *g, const char *key)
{
    struct str k = str_of(key);
    for (size_t lo = 0, hi = g->nkv; lo < hi;) {
        size_t mid = lo + (hi - lo) / 2;
        const struct gguf_kv *kv = &g->kv[g->kv_index[mid]];
        int d = str_cmp(k, kv->key);
        if (d == 0) return kv;
        if (d < 0) hi = mid;
        else lo = mid + 1;
    }
    return NULL;
}

const struct gguf_tensor *gguf_tensor(const struct gguf *g, const char *name)
{
    struct str k = str_of(name);
    for (size_t lo = 0, hi = g->ntensor; lo < hi;) {
        size_t mid = lo + (hi - lo) / 2;
        const struct gguf_tensor *t = &g->tensor[g->tensor_index[mid]];
        int d = str_cmp(k, t->name);
        if (d == 0) return t;
        if (d < 0) hi = mid;
        else lo = mid + 1;
    }
    return NULL;
}

static uint64_t little_endian(const uint8_t *p, int bytes)
{
    uint64_t v = 0;
    for (int i = 0; i < bytes; i++) v |= (uint64_t)p[i] << 8 * i;
    return v;
}

static enum gguf_type element_type(const struct gguf_kv *kv)
{
    return kv->type == GGUF_ARRAY ? kv->etype : kv->type;
}

struct str gguf_str_at(const struct gguf_kv *kv, uint64_t i)
{
    const uint8_t *p = kv->data + (kv->soff ? kv->soff[i] : 0);
    return (struct str){(const char *)p + 8, (size_t)little_endian(p, 8)};
}

int64_t gguf_int_at(const struct gguf_kv *kv, uint64_t i)
{
    enum gguf_type t = element_type(kv);
    int bytes = types[t].bytes;
    uint64_t v = little_endian(kv->data + i * (uint64_t)bytes, bytes);
    switch (t) {
    case GGUF_I8: return (int8_t)v;
    case GGUF_I16: return (int16_t)v;
    case GGUF_I32: return (int32_t)v;
    default: return (int64_t)v;
    }
}

double gguf_num_at(const struct gguf_kv *kv, uint64_t i)
{
    enum gguf_type t = element_type(kv);
    if (t == GGUF_F32) {
        float f;
        memcpy(&f, kv->data + i * 4, 4);
        return (double)f;
    }
    if (t == GGUF_F64) {
        double d;
        memcpy(&d, kv->data + i * 8, 8);
        return d;
    }
    int64_t v = gguf_int_at(kv, i);
    return t == GGUF_U64 ? (double)(uint64_t)v : (double)v;
}

static int wrong_type(const struct gguf_kv *kv, const char *expected, struct lar_err *err)
{
    int array = kv->type == GGUF_ARRAY;
    return lar_fail(err, LAR_EFORMAT, "key %.*s (offset 0x%" PRIx64 "): is %s%s, expected %s",
                    STR_ARG(kv->key), kv->offset, array ? "an array of " : "of type ",
                    gguf_type_name(element_type(kv)), expected);
}

static int find_int(const struct gguf *g, const char *key, int64_t lo, int64_t hi, int64_t *out,
                    struct lar_err *err)
{
    const struct gguf_kv *kv = gguf_find(g, key);
    if (!kv) return 0;
    if (!gguf_is_int(kv->type)) return wrong_type(kv, "an integer", err);
    int64_t v = gguf_int_at(kv, 0);
    if (kv->type == GGUF_U64 && v < 0)
        return lar_fail(err, LAR_EFORMAT,
                        "key %.*s (offset 0x%" PRIx64 "): %" PRIu64 " is too large, at most %"
                        PRId64 " was expected", STR_ARG(kv->key), kv->offset, (uint64_t)v, hi);
    if (v < lo || v > hi)
        return lar_fail(err, LAR_EFORMAT,
                        "key %.*s (offset 0x%" PRIx64 "): %" PRId64 " is out of range, %" PRId64
                        " to %" PRId64 " was expected", STR_ARG(kv->key), kv->offset, v, lo, hi);
    *out = v;
    return 1;
}

int gguf_u32(const struct gguf *g, const char *key, uint32_t *out, struct lar_err *err)
{
    int64_t v;
    int rc = find_int(g, key, 0, UINT32_MAX, &v, err);
    if (rc == 1) *out = (uint32_t)v;
    return rc;
}

int gguf_i64(const struct gguf *g, const char *key, int64_t *out, struct lar_err *err)
{
    return find_int(g, key, INT64_MIN, INT64_MAX, out, err);
}

int gguf_f32(const struct gguf *g, const char *key, float *out, struct lar_err *err)
{
    const struct gguf_kv *kv = gguf_find(g, key);
    if (!kv) return 0;
    if (kv->type != GGUF_F32 && kv->type != GGUF_F64)
        return wrong_type(kv, "a floating point number", err);
    double v = gguf_num_at(kv, 0);
    if (isfinite(v) && fabs(v) > (double)FLT_MAX)
        return lar_fail(err, LAR_EFORMAT,
                        "key %.*s (offset 0x%" PRIx64 "): %s is out of range for a 32-bit float",
                        STR_ARG(kv->key), kv->offset, num_show(v).z);
    *out = (float)v;
    return 1;
}

int gguf_bool(const struct gguf *g, const char *key, int *out, struct lar_err *err)
{
    const struct gguf_kv *kv = gguf_find(g, key);
    if (!kv) return 0;
    if (kv->type != GGUF_BOOL) return wrong_type(kv, "a bool", err);
    *out = kv->data[0];
    return 1;
}

int gguf_str(const struct gguf *g, const char *key, struct str *out, struct lar_err *err)
{
    const struct gguf_kv *kv = gguf_find(g, key);
    if (!kv) return 0;
    if (kv->type != GGUF_STRING) return wrong_type(kv, "a string", err);
    *out = gguf_str_at(kv, 0);
    return 1;
}
