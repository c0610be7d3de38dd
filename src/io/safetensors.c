/* SPDX-License-Identifier: Apache-2.0
 *
 * io/safetensors.c: reading safetensors, whose bytes are hostile. The rules are those of the
 * reference implementation (safetensors/src/tensor.rs): the header is a JSON object of at most
 * 100 MB, names are unique, the tensors' data lie end to end from 0 to the file's end, each as long
 * as its shape says. Stricter in one thing: a tensor has exactly its three members.
 */
#include "io/safetensors.h"

#include <inttypes.h>
#include <string.h>

#include "base/cursor.h"
#include "base/json.h"
#include "base/sort.h"

static const struct {
    const char *name;
    int bits;
} types[] = {
    {"BOOL", 8},     {"U8", 8},       {"I8", 8},      {"F8_E4M3", 8}, {"F8_E5M2", 8},
    {"F8_E8M0", 8},  {"F8_E4M3FNUZ", 8}, {"F8_E5M2FNUZ", 8}, {"F4", 4},  {"F6_E2M3", 6},
    {"F6_E3M2", 6},  {"U16", 16},     {"I16", 16},    {"F16", 16},    {"BF16", 16},
    {"U32", 32},     {"I32", 32},     {"F32", 32},    {"U64", 64},    {"I64", 64},
    {"F64", 64},     {"C64", 64},
};

int safetensors_bits(struct str type)
{
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (str_is(type, types[i].name)) return types[i].bits;
    return 0;
}

struct reader {
    struct safetensors *s;
    const char *file;
    struct lar_err *err;
    const uint8_t *data; /* after the header */
    uint64_t data_bytes;
    uint64_t *begin; /* [ntensor] data_offsets[0] */
};

static int bad(struct reader *r, struct str name, const char *what)
{
    return lar_fail(r->err, LAR_EFORMAT, "%.80s: tensor %.*s: %s", r->file, STR_ARG(name), what);
}

/* A whole number from 0 to 2^63-1. */
static int natural(const struct json *v, int64_t *out)
{
    if (!v || v->kind != JSON_NUMBER || !v->is_int || v->i < 0) return -1;
    *out = v->i;
    return 0;
}

static int read_shape(struct reader *r, struct safetensors_tensor *t, const struct json *shape)
{
    if (!shape || shape->kind != JSON_ARRAY) return bad(r, t->name, "its shape is no array");
    if (shape->n > SAFETENSORS_DIMS_MAX) return bad(r, t->name, "has more than 8 dimensions");
    t->elements = 1;
    for (const struct json *v = shape->child; v; v = v->next) {
        int64_t d;
        if (natural(v, &d)) return bad(r, t->name, "a dimension is no number from 0 to 2^63-1");
        t->shape[t->ndim++] = d;
        if (__builtin_mul_overflow(t->elements, d, &t->elements))
            return bad(r, t->name, "the product of its dimensions is 2^63 or more");
    }
    return LAR_OK;
}

static int read_tensor(struct reader *r, const struct json *v, struct safetensors_tensor *t,
                       uint64_t *begin)
{
    int64_t b, e, bits;
    t->name = v->key;
    if (v->kind != JSON_OBJECT || v->n != 3)
        return bad(r, t->name, "expected an object of dtype, shape and data_offsets");
    t->type = json_str(json_get(v, "dtype"), STR(""));
    int size = safetensors_bits(t->type);
    if (!size) return bad(r, t->name, "its dtype is missing or unknown");
    int rc = read_shape(r, t, json_get(v, "shape"));
    if (rc < 0) return rc;
    const struct json *at = json_get(v, "data_offsets");
    if (!at || at->kind != JSON_ARRAY || at->n != 2 || natural(at->child, &b) ||
        natural(at->child->next, &e) || e < b)
        return bad(r, t->name, "its data_offsets are no [begin, end]");
    if (__builtin_mul_overflow(t->elements, (int64_t)size, &bits) || bits % 8)
        return bad(r, t->name, "its size is too large, or no whole number of bytes");
    if (bits / 8 != e - b)
        return lar_fail(r->err, LAR_EFORMAT,
                        "%.80s: tensor %.*s: has %" PRId64 " bytes (data_offsets), expected %"
                        PRId64 " for its shape", r->file, STR_ARG(t->name), e - b, bits / 8);
    if ((uint64_t)e > r->data_bytes)
        return lar_fail(r->err, LAR_EFORMAT,
                        "%.80s: tensor %.*s: ends at %" PRId64 ", but the file has %" PRIu64
                        " bytes of data (cut off?)", r->file, STR_ARG(t->name), e, r->data_bytes);
    t->bytes = (uint64_t)(e - b);
    t->data = r->data + b;
    *begin = (uint64_t)b;
    return LAR_OK;
}

static int begin_before(const void *ctx, uint32_t a, uint32_t b)
{
    const struct reader *r = ctx;
    const struct safetensors_tensor *t = r->s->tensor;
    if (r->begin[a] != r->begin[b]) return r->begin[a] < r->begin[b] ? -1 : 1;
    return (t[a].bytes > t[b].bytes) - (t[a].bytes < t[b].bytes);
}

/* The data lie end to end and end where the file does. */
static int check_places(struct reader *r, uint32_t *order)
{
    uint64_t at = 0;
    sort_u32(order, r->s->ntensor, begin_before, r);
    for (size_t i = 0; i < r->s->ntensor; i++) {
        const struct safetensors_tensor *t = &r->s->tensor[order[i]];
        if (r->begin[order[i]] != at)
            return bad(r, t->name, r->begin[order[i]] > at ? "a hole precedes its data"
                                                           : "its data overlaps another's");
        at += t->bytes;
    }
    if (at != r->data_bytes)
        return lar_fail(r->err, LAR_EFORMAT,
                        "%.80s: has %" PRIu64 " bytes of data, but its tensors %" PRIu64, r->file,
                        r->data_bytes, at);
    return LAR_OK;
}

static int key_before(const void *ctx, uint32_t a, uint32_t b)
{
    const struct json *const *v = ctx;
    return str_cmp(v[a]->key, v[b]->key);
}

/* The header's members in the order of their names, all different; *out has root->n of them. */
static int sort_members(struct reader *r, const struct json *root, const struct json ***out,
                        uint32_t *order)
{
    const struct json **v = arena_array(&r->s->a, root->n, sizeof *v);
    const struct json **sorted = arena_array(&r->s->a, root->n, sizeof *v);
    size_t n = 0;
    if (!v || !sorted) return lar_fail(r->err, LAR_ENOMEM, "%.80s: out of memory", r->file);
    for (const struct json *c = root->child; c; c = c->next) {
        order[n] = (uint32_t)n;
        v[n++] = c;
    }
    sort_u32(order, n, key_before, v);
    for (size_t i = 0; i < n; i++) {
        sorted[i] = v[order[i]];
        if (i && str_eq(sorted[i]->key, sorted[i - 1]->key))
            return bad(r, sorted[i]->key, "there are two of that name");
    }
    *out = sorted;
    return LAR_OK;
}

static int read_metadata(struct reader *r, struct json *v)
{
    if (v->kind == JSON_NULL) return LAR_OK; /* what MLX writes when it has none */
    r->s->metadata = v;
    int strings = v->kind == JSON_OBJECT;
    for (const struct json *c = v->child; c && strings; c = c->next)
        strings = c->kind == JSON_STRING;
    if (strings) return LAR_OK;
    return lar_fail(r->err, LAR_EFORMAT, "%.80s: __metadata__ is no object of strings", r->file);
}

static int read_members(struct reader *r, struct json *root)
{
    struct safetensors *s = r->s;
    const struct json **member = NULL;
    uint32_t *order = arena_array(&s->a, root->n, sizeof *order);
    s->tensor = arena_array(&s->a, root->n, sizeof *s->tensor);
    r->begin = arena_array(&s->a, root->n, sizeof *r->begin);
    if (!order || !s->tensor || !r->begin)
        return lar_fail(r->err, LAR_ENOMEM, "%.80s: out of memory", r->file);
    int rc = sort_members(r, root, &member, order);
    for (size_t i = 0; i < root->n && rc == LAR_OK; i++) {
        if (str_is(member[i]->key, "__metadata__")) {
            rc = read_metadata(r, json_get(root, "__metadata__"));
            continue;
        }
        order[s->ntensor] = (uint32_t)s->ntensor;
        rc = read_tensor(r, member[i], &s->tensor[s->ntensor], &r->begin[s->ntensor]);
        if (rc == LAR_OK) s->ntensor++;
    }
    return rc < 0 ? rc : check_places(r, order);
}

static int read_all(struct safetensors *s, const char *file, struct lar_err *err)
{
    struct cursor c = cursor_of(s->map.p, s->map.n);
    struct lar_err why = {0};
    uint64_t n = cursor_u64(&c);
    if (c.failed) return lar_fail(err, LAR_EFORMAT, "%.80s: too short for safetensors", file);
    if (n > SAFETENSORS_HEADER_MAX)
        return lar_fail(err, LAR_EFORMAT,
                        "%.80s: a header of %" PRIu64 " bytes, at most %d are allowed "
                        "(not safetensors?)", file, n, SAFETENSORS_HEADER_MAX);
    const uint8_t *text = cursor_take(&c, n);
    if (!text)
        return lar_fail(err, LAR_EFORMAT, "%.80s: its header of %" PRIu64
                        " bytes ends past the end of the file", file, n);
    if (n == 0 || text[0] != '{')
        return lar_fail(err, LAR_EFORMAT, "%.80s: its header does not begin with '{'", file);
    /* A tensor's entry takes at least 50 bytes of text and some 1.1 kB of tree: the wall is well above. */
    arena_init(&s->a, 65536 + 32 * (size_t)n);
    struct json *root = json_parse(&s->a, (struct str){(const char *)text, (size_t)n}, &why);
    if (!root) return lar_fail(err, why.code, "%.80s: header: %s", file, why.msg);
    struct reader r = {s, file, err, c.at, cursor_left(&c), NULL};
    return read_members(&r, root);
}

int safetensors_open(struct safetensors *s, const char *path, struct lar_err *err)
{
    *s = (struct safetensors){0};
    int rc = filemap_open(&s->map, path, err);
    if (rc == LAR_OK) rc = read_all(s, filemap_shown(path), err);
    if (rc < 0) safetensors_close(s);
    return rc;
}

int safetensors_open_memory(struct safetensors *s, const void *p, size_t n, struct lar_err *err)
{
    *s = (struct safetensors){.map = {p, n}, .borrowed = 1};
    int rc = read_all(s, "safetensors in memory", err);
    if (rc < 0) safetensors_close(s);
    return rc;
}

void safetensors_close(struct safetensors *s)
{
    if (!s->borrowed) filemap_close(&s->map);
    arena_done(&s->a);
    *s = (struct safetensors){0};
}

const struct safetensors_tensor *safetensors_find(const struct safetensors *s, const char *name)
{
    struct str k = str_of(name);
    for (size_t lo = 0, hi = s->ntensor; lo < hi;) {
        size_t mid = lo + (hi - lo) / 2;
        int d = str_cmp(k, s->tensor[mid].name);
        if (d == 0) return &s->tensor[mid];
        if (d < 0) hi = mid;
        else lo = mid + 1;
    }
    return NULL;
}
