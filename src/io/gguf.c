/* SPDX-License-Identifier: Apache-2.0
 *
 * io/gguf.c: opening GGUF files: the one place where their bytes are hostile.
 *
 * Format (ggml's docs/gguf.md), little-endian:
 *
 *     "GGUF" u32 version  u64 tensors  u64 keys
 *     keys     x  { string key; u32 type; value }         string = u64 length, bytes
 *     tensors  x  { string name; u32 dims; u64 dim[dims]; u32 type; u64 offset }
 *     padding to the alignment, then tensor data; offsets count from here
 *
 * It is read in two passes: all parts' headers and keys first (so that the number of tensors is
 * known and the split.* keys agree before more is believed), then all tensors. Names are looked up,
 * and found to be unique, by sorting rather than hashing: no file can be built that makes it slow.
 * Tensor data is not touched.
 */
#include "io/gguf.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/cursor.h"
#include "base/sort.h"

#define KEYS_MAX 65536         /* real files have less than a hundred */
#define TENSORS_MAX (1u << 20) /* the largest mixtures of experts, unmerged, have 50,000 */
#define PARTS_MAX 1024
#define NAME_BYTES_MAX 65535 /* of a key or a tensor's name: docs/gguf.md */
#define ALIGNMENT_DEFAULT 32
#define ALIGNMENT_MAX (1u << 20)
#define KEY_BYTES_MIN 13    /* length, type, one byte of value */
#define TENSOR_BYTES_MIN 24 /* length, number of dims, type, offset */

/* Where we are in one part of a file, and what an error message says about it. */
struct reader {
    struct cursor c;
    struct lar_err *err;
    const char *file;   /* base name of the part */
    const char *kind;   /* of the thing being read: "key", "tensor" */
    uint64_t index, at; /* its number and the offset where it begins */
    struct str name;    /* empty until it has been read */
    uint64_t nkv, ntensor, alignment;
};

static __attribute__((format(printf, 2, 3), cold)) int bad(struct reader *r, const char *fmt, ...)
{
    char what[160], number[24];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(what, sizeof what, fmt, ap);
    va_end(ap);
    snprintf(number, sizeof number, "number %" PRIu64, r->index);
    struct str name = r->name.n ? r->name : str_of(number);
    return lar_fail(r->err, LAR_EFORMAT, "%.80s: %s %.*s (offset 0x%" PRIx64 "): %s", r->file,
                    r->kind, name.n > 64 ? 64 : (int)name.n, name.p, r->at, what);
}

static int no_memory(struct reader *r, uint64_t count, const char *what)
{
    return lar_fail(r->err, LAR_ENOMEM, "%.80s: out of memory for a table of %" PRIu64 " %s",
                    r->file, count, what);
}

static int truncated(struct reader *r, const char *what)
{
    return bad(r, "the file ends after 0x%zx bytes, within %s", (size_t)(r->c.end - r->c.begin),
               what);
}

static int read_string(struct reader *r, const char *what, struct str *out)
{
    uint64_t n = cursor_u64(&r->c), left = cursor_left(&r->c);
    if (r->c.failed) return truncated(r, what);
    const uint8_t *p = cursor_take(&r->c, n);
    if (!p)
        return bad(r, "%s is said to have %" PRIu64 " bytes, but the file has only %" PRIu64
                   " more", what, n, left);
    *out = (struct str){(const char *)p, (size_t)n};
    return LAR_OK;
}

/* A key or a tensor's name. A NUL inside would make it a different name to readers written in C. */
static int read_name(struct reader *r, const char *kind, uint64_t index)
{
    struct str s;
    r->kind = kind;
    r->index = index;
    r->at = cursor_offset(&r->c);
    r->name = (struct str){0};
    int rc = read_string(r, "its name", &s);
    if (rc < 0) return rc;
    if (s.n == 0) return bad(r, "its name is empty");
    if (s.n > NAME_BYTES_MAX)
        return bad(r, "its name has %zu bytes, at most %d are allowed", s.n, NAME_BYTES_MAX);
    r->name = s;
    if (memchr(s.p, 0, s.n)) return bad(r, "its name holds a NUL byte");
    return LAR_OK;
}

static int check_bools(struct reader *r, const uint8_t *p, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++)
        if (p[i] > 1) return bad(r, "a bool has the value %d, expected 0 or 1", p[i]);
    return LAR_OK;
}

/* The strings of an array: finds where each begins. The cursor ends behind the last. */
static int read_strings(struct reader *r, struct arena *a, struct gguf_kv *kv)
{
    if (kv->count > cursor_left(&r->c) / 8)
        return bad(r, "an array of %" PRIu64 " strings does not fit in the %zu bytes that are left",
                   kv->count, cursor_left(&r->c));
    uint32_t *soff = arena_array(a, (size_t)kv->count, sizeof *soff);
    if (!soff) return no_memory(r, kv->count, "strings");
    for (uint64_t i = 0; i < kv->count; i++) {
        struct str s;
        uint64_t at = (uint64_t)(r->c.at - kv->data);
        if (at > UINT32_MAX) return bad(r, "an array of strings has more than 4 GiB");
        soff[i] = (uint32_t)at;
        int rc = read_string(r, "a string of its array", &s);
        if (rc < 0) return rc;
    }
    kv->soff = soff;
    return LAR_OK;
}

/* Elements of one type: count of them, or one for a value that is no array. */
static int read_elements(struct reader *r, struct arena *a, struct gguf_kv *kv, enum gguf_type t)
{
    struct str s;
    int rc = LAR_OK;
    kv->data = r->c.at;
    if (t == GGUF_STRING) {
        rc = kv->type == GGUF_ARRAY ? read_strings(r, a, kv) : read_string(r, "its value", &s);
    } else {
        uint64_t size = (uint64_t)gguf_type_bytes(t), left = cursor_left(&r->c);
        if (kv->count > left / size)
            return bad(r, "%" PRIu64 " values of type %s do not fit in the %" PRIu64
                       " bytes that are left", kv->count, gguf_type_name(t), left);
        cursor_take(&r->c, kv->count * size);
        if (t == GGUF_BOOL) rc = check_bools(r, kv->data, kv->count);
    }
    kv->bytes = (uint64_t)(r->c.at - kv->data);
    return rc;
}

static int read_kv(struct reader *r, struct arena *a, struct gguf_kv *kv)
{
    kv->key = r->name;
    kv->offset = r->at;
    kv->count = 1;
    uint32_t type = cursor_u32(&r->c);
    if (r->c.failed) return truncated(r, "its type");
    if (type >= GGUF_TYPE_COUNT)
        return bad(r, "has type %" PRIu32 ", expected 0 to %d", type, GGUF_TYPE_COUNT - 1);
    kv->type = kv->etype = (enum gguf_type)type;
    if (kv->type == GGUF_ARRAY) {
        type = cursor_u32(&r->c);
        kv->count = cursor_u64(&r->c);
        if (r->c.failed) return truncated(r, "its array's type and length");
        if (type >= GGUF_TYPE_COUNT)
            return bad(r, "is an array of type %" PRIu32 ", expected 0 to %d", type,
                       GGUF_TYPE_COUNT - 1);
        if (type == GGUF_ARRAY) return bad(r, "is an array of arrays, which is not supported");
        kv->etype = (enum gguf_type)type;
    }
    return read_elements(r, a, kv, kv->etype);
}

/* ---- order ------------------------------------------------------------------------------------ */

static int kv_before(const void *ctx, uint32_t a, uint32_t b)
{
    const struct gguf_kv *kv = ctx;
    return str_cmp(kv[a].key, kv[b].key);
}

static int tensor_before(const void *ctx, uint32_t a, uint32_t b)
{
    const struct gguf_tensor *t = ctx;
    return str_cmp(t[a].name, t[b].name);
}

static int data_before(const void *ctx, uint32_t a, uint32_t b)
{
    const struct gguf_tensor *t = ctx;
    return (t[a].offset > t[b].offset) - (t[a].offset < t[b].offset);
}

static uint32_t *numbered(struct arena *a, size_t n)
{
    uint32_t *v = arena_array(a, n, sizeof *v);
    for (size_t i = 0; v && i < n; i++) v[i] = (uint32_t)i;
    return v;
}

/* ---- header and keys ------------------------------------------------------------------------- */

static int not_gguf(struct reader *r)
{
    static const struct {
        const char *begins, *is;
    } known[] = {
        {"version https://git-lfs", "a Git LFS pointer, not the file itself: download the file"},
        {"PK\003\004", "a zip archive (PyTorch?), not GGUF"},
        {"lmgg", "an old ggml file from before GGUF: convert it again"},
        {"fmgg", "an old ggml file from before GGUF: convert it again"},
        {"tjgg", "an old ggml file from before GGUF: convert it again"},
        {"<", "text (HTML or XML?), not GGUF"},
    };
    struct str head = {(const char *)r->c.begin, (size_t)(r->c.end - r->c.begin)};
    if (head.n == 0) return lar_fail(r->err, LAR_EFORMAT, "%.80s: is empty, not GGUF", r->file);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (str_starts(head, str_of(known[i].begins)))
            return lar_fail(r->err, LAR_EFORMAT, "%.80s: is %s", r->file, known[i].is);
    if (head.n > 9 && head.p[8] == '{')
        return lar_fail(r->err, LAR_EFORMAT, "%.80s: is a safetensors file, not GGUF", r->file);
    return lar_fail(r->err, LAR_EFORMAT, "%.80s: is not GGUF (it does not begin with \"GGUF\")",
                    r->file);
}

static int read_header(struct reader *r, uint32_t *version)
{
    const uint8_t *magic = cursor_take(&r->c, 4);
    if (!magic || memcmp(magic, "GGUF", 4) != 0) return not_gguf(r);
    uint32_t v = cursor_u32(&r->c);
    r->kind = "header";
    r->name = STR("fields");
    if (r->c.failed) return truncated(r, "the version");
    if ((v & 0xffff) == 0 && v != 0)
        return lar_fail(r->err, LAR_EUNSUPPORTED,
                        "%.80s: is a big-endian GGUF file, expected little-endian: convert it "
                        "again", r->file);
    if (v == 1)
        return lar_fail(r->err, LAR_EUNSUPPORTED,
                        "%.80s: is GGUF version 1, expected 2 or 3: convert it again", r->file);
    if (v != 2 && v != 3)
        return lar_fail(r->err, LAR_EUNSUPPORTED,
                        "%.80s: is GGUF version %" PRIu32 ", expected 2 or 3", r->file, v);
    *version = v;
    r->ntensor = cursor_u64(&r->c);
    r->nkv = cursor_u64(&r->c);
    if (r->c.failed) return truncated(r, "the numbers of tensors and keys");
    uint64_t left = cursor_left(&r->c);
    if (r->nkv > left / KEY_BYTES_MIN)
        return bad(r, "%" PRIu64 " keys do not fit in the %" PRIu64 " bytes that follow",
                   r->nkv, left);
    if (r->ntensor > (left - r->nkv * KEY_BYTES_MIN) / TENSOR_BYTES_MIN)
        return bad(r, "%" PRIu64 " tensors do not fit in the %" PRIu64 " bytes that follow",
                   r->ntensor, left);
    if (r->nkv > KEYS_MAX || r->ntensor > TENSORS_MAX)
        return lar_fail(r->err, LAR_ELIMIT,
                        "%.80s: has %" PRIu64 " keys and %" PRIu64 " tensors, more than %d and %u",
                        r->file, r->nkv, r->ntensor, KEYS_MAX, TENSORS_MAX);
    return LAR_OK;
}

static int read_alignment(struct reader *r, const struct gguf *g)
{
    int64_t v = ALIGNMENT_DEFAULT;
    const struct gguf_kv *kv = gguf_find(g, "general.alignment");
    if (kv) {
        r->kind = "key";
        r->name = kv->key;
        r->at = kv->offset;
        if (!gguf_is_int(kv->type))
            return bad(r, "is of type %s, expected an integer", gguf_type_name(kv->type));
        v = gguf_int_at(kv, 0);
        if (v < 1 || v > ALIGNMENT_MAX || (v & (v - 1)) != 0)
            return bad(r, "%" PRId64 " is no alignment, expected a power of two from 1 to %u", v,
                       ALIGNMENT_MAX);
    }
    r->alignment = (uint64_t)v;
    return LAR_OK;
}

/* Header and keys of one part into g (version, keys, index). Leaves the cursor at the tensors. */
static int read_keys(struct reader *r, struct gguf *g)
{
    int rc = read_header(r, &g->version);
    if (rc < 0) return rc;
    g->kv = arena_array(&g->a, (size_t)r->nkv, sizeof *g->kv);
    if (!g->kv) return no_memory(r, r->nkv, "keys");
    for (uint64_t i = 0; i < r->nkv; i++) {
        rc = read_name(r, "key", i);
        if (rc == LAR_OK) rc = read_kv(r, &g->a, &g->kv[i]);
        if (rc < 0) return rc;
    }
    g->kv_index = numbered(&g->a, (size_t)r->nkv);
    if (!g->kv_index) return no_memory(r, r->nkv, "keys");
    sort_u32(g->kv_index, (size_t)r->nkv, kv_before, g->kv);
    for (uint64_t i = 1; i < r->nkv; i++) {
        const struct gguf_kv *a = &g->kv[g->kv_index[i - 1]], *b = &g->kv[g->kv_index[i]];
        if (!str_eq(a->key, b->key)) continue;
        r->name = b->key;
        r->at = b->offset;
        return bad(r, "appears twice, also at offset 0x%" PRIx64, a->offset);
    }
    g->nkv = (size_t)r->nkv;
    return read_alignment(r, g);
}

/* ---- tensors --------------------------------------------------------------------------------- */

static int read_dims(struct reader *r, struct gguf_tensor *t, int64_t *elements)
{
    uint32_t n = cursor_u32(&r->c);
    if (r->c.failed) return truncated(r, "its number of dimensions");
    if (n > 4) return bad(r, "has %" PRIu32 " dimensions, expected at most 4", n);
    t->ndim = n ? (int)n : 1; /* a scalar is a row of one */
    /* Empty tensors, which llama.cpp reads, are refused: no model uses any, and so everybody may divide by a dimension. */
    *elements = 1;
    for (uint32_t i = 0; i < 4; i++) {
        uint64_t d = i < n ? cursor_u64(&r->c) : 1;
        if (r->c.failed) return truncated(r, "its shape");
        if (d == 0 || d > INT64_MAX)
            return bad(r, "dimension %" PRIu32 " is %" PRIu64 ", expected 1 to 2^63-1", i, d);
        t->dim[i] = (int64_t)d;
        if (__builtin_mul_overflow(*elements, t->dim[i], elements))
            return bad(r, "the product of its dimensions is 2^63 or more");
    }
    return LAR_OK;
}

static int read_type(struct reader *r, struct gguf_tensor *t, int64_t elements)
{
    uint32_t id = cursor_u32(&r->c);
    t->offset = cursor_u64(&r->c); /* from the beginning of the data, until place_tensors */
    if (r->c.failed) return truncated(r, "its type and offset");
    struct dtype_info d = dtype_info(id);
    if (!d.name)
        return bad(r, "has type %" PRIu32 ", which is %s", id,
                   id < DTYPE_COUNT ? "a retired one: convert the model again"
                                    : "unknown to this version of Lar");
    t->type = (enum dtype)id;
    if (t->dim[0] % d.block)
        return bad(r, "has rows of %" PRId64 " elements, expected a multiple of %s's block of %d",
                   t->dim[0], d.name, d.block);
    if (__builtin_mul_overflow((uint64_t)elements / d.block, (uint64_t)d.bytes, &t->bytes))
        return bad(r, "its size in bytes is 2^64 or more");
    return LAR_OK;
}

/* Turns offsets within the data into pointers, each checked against the file and its neighbours. */
static int place_tensors(struct reader *r, struct gguf_tensor *t, uint32_t *order)
{
    size_t n = (size_t)r->ntensor;
    uint64_t size = (uint64_t)(r->c.end - r->c.begin);
    uint64_t start = (cursor_offset(&r->c) + r->alignment - 1) / r->alignment * r->alignment;
    for (size_t i = 0; i < n; i++) {
        uint64_t offset = t[i].offset, room = start < size ? size - start : 0;
        r->name = t[i].name;
        r->at = (uint64_t)((const uint8_t *)t[i].name.p - r->c.begin) - 8;
        if (offset % r->alignment)
            return bad(r, "its data offset %" PRIu64 " is no multiple of the alignment %" PRIu64,
                       offset, r->alignment);
        if (offset > room || t[i].bytes > room - offset)
            return bad(r, "its %" PRIu64 " bytes at data offset %" PRIu64
                       " reach past the end of the file, which has %" PRIu64
                       " bytes of data (cut off?)", t[i].bytes, offset, room);
        /* Under small alignments: where its second block may lie its first may, too. */
        uint64_t block = (uint64_t)dtype_info(t[i].type).bytes, natural = block & (~block + 1);
        if (natural > 8) natural = 8;
        if ((start + offset) % natural)
            return bad(r, "its data begins at byte %" PRIu64
                       " of the file, but %s must begin at a multiple of %" PRIu64, start + offset,
                       dtype_info(t[i].type).name, natural);
        t[i].offset = start + offset;
        t[i].data = r->c.begin + t[i].offset;
        order[i] = (uint32_t)i;
    }
    sort_u32(order, n, data_before, t);
    for (size_t i = 1; i < n; i++) {
        const struct gguf_tensor *a = &t[order[i - 1]], *b = &t[order[i]];
        if (b->offset - a->offset >= a->bytes) continue;
        r->name = b->name;
        r->at = (uint64_t)((const uint8_t *)b->name.p - r->c.begin) - 8;
        return bad(r, "its data at 0x%" PRIx64 " overlaps that of %.*s (0x%" PRIx64 ", %" PRIu64
                   " bytes)", b->offset, a->name.n > 40 ? 40 : (int)a->name.n, a->name.p, a->offset,
                   a->bytes);
    }
    return LAR_OK;
}

static int read_tensors(struct reader *r, int part, struct gguf_tensor *t, uint32_t *order)
{
    for (uint64_t i = 0; i < r->ntensor; i++) {
        int64_t elements = 0;
        int rc = read_name(r, "tensor", i);
        t[i].part = part;
        t[i].name = r->name;
        if (rc == LAR_OK) rc = read_dims(r, &t[i], &elements);
        if (rc == LAR_OK) rc = read_type(r, &t[i], elements);
        if (rc < 0) return rc;
    }
    return place_tensors(r, t, order);
}

static int index_tensors(struct gguf *g, struct reader *r)
{
    sort_u32(g->tensor_index, g->ntensor, tensor_before, g->tensor);
    for (size_t i = 1; i < g->ntensor; i++) {
        const struct gguf_tensor *a = &g->tensor[g->tensor_index[i - 1]];
        const struct gguf_tensor *b = &g->tensor[g->tensor_index[i]];
        if (!str_eq(a->name, b->name)) continue;
        if (a->part > b->part) {
            const struct gguf_tensor *swap = a;
            a = b;
            b = swap;
        }
        r = &r[b->part];
        r->kind = "tensor";
        r->name = b->name;
        r->at = (uint64_t)((const uint8_t *)b->name.p - r->c.begin) - 8;
        return bad(r, "its name appears twice, also in part %d", a->part + 1);
    }
    return LAR_OK;
}

/* Second pass over all parts. */
static int read_all_tensors(struct gguf *g, struct reader *r)
{
    uint64_t total = 0;
    for (int i = 0; i < g->npart; i++) total += r[i].ntensor; /* at most PARTS_MAX * TENSORS_MAX */
    if (total > TENSORS_MAX)
        return lar_fail(r->err, LAR_ELIMIT,
                        "%.80s: its parts have %" PRIu64 " tensors, more than %u", r->file, total,
                        TENSORS_MAX);
    g->tensor = arena_array(&g->a, (size_t)total, sizeof *g->tensor);
    g->tensor_index = arena_array(&g->a, (size_t)total, sizeof *g->tensor_index);
    if (!g->tensor || !g->tensor_index) return no_memory(r, total, "tensors");
    for (int i = 0; i < g->npart; i++) {
        int rc = read_tensors(&r[i], i, g->tensor + g->ntensor, g->tensor_index);
        if (rc < 0) return rc;
        g->ntensor += (size_t)r[i].ntensor;
    }
    for (size_t i = 0; i < g->ntensor; i++) g->tensor_index[i] = (uint32_t)i;
    return index_tensors(g, r);
}

/* ---- split files ----------------------------------------------------------------------------- */

/* STEM-0000I-of-0000N.gguf */
struct split_name {
    int stem; /* bytes of the path before "-0000I" */
    int i, n; /* 1..n; n = 0 when the path is not named so */
};

static int five_digits(const char *p)
{
    int v = 0;
    for (int i = 0; i < 5; i++) {
        if (p[i] < '0' || p[i] > '9') return -1;
        v = v * 10 + (p[i] - '0');
    }
    return v;
}

static struct split_name split_name(const char *path)
{
    static const char shape[] = "-00000-of-00000.gguf";
    size_t n = strlen(path), tail = sizeof shape - 1;
    if (n < tail || n > INT32_MAX) return (struct split_name){0};
    const char *p = path + n - tail;
    int i = five_digits(p + 1), count = five_digits(p + 10);
    if (p[0] != '-' || memcmp(p + 6, "-of-", 4) != 0 || memcmp(p + 15, ".gguf", 5) != 0)
        return (struct split_name){0};
    if (i < 1 || count < 1 || i > count) return (struct split_name){0};
    return (struct split_name){(int)(n - tail), i, count};
}

/* split.no and split.count of part i of n against its name; q holds the part's keys. They may be
 * missing when the file is whole. */
static int check_split(struct reader *r, const struct gguf *q, int i, int n)
{
    int64_t no = 0, count = 1;
    int has = gguf_i64(q, "split.count", &count, r->err);
    if (has < 0) return has;
    int rc = gguf_i64(q, "split.no", &no, r->err);
    if (rc < 0) return rc;
    if (count == 0 && n == 1) return LAR_OK; /* some tools write this into a whole file */
    if (n == 1 && count > 1)
        return lar_fail(r->err, LAR_EFORMAT,
                        "%.80s: is one of %" PRId64 " parts (split.count), so it must be named "
                        "NAME-00001-of-%05" PRId64 ".gguf and stand beside the others",
                        r->file, count, count);
    if (count != n)
        return lar_fail(r->err, LAR_EFORMAT,
                        "%.80s: key split.count is %s%" PRId64 ", expected %d as its name says",
                        r->file, has ? "" : "missing, which means ", count, n);
    if (no != i)
        return lar_fail(r->err, LAR_EFORMAT,
                        "%.80s: key split.no is %" PRId64 ", expected %d as its name says", r->file,
                        no, i);
    return LAR_OK;
}

static int check_split_total(const struct gguf *g, struct reader *r)
{
    int64_t total = 0;
    if (g->npart == 1) return LAR_OK;
    int rc = gguf_i64(g, "split.tensors.count", &total, r->err);
    if (rc < 0) return rc;
    if (rc == 1 && (total < 0 || (uint64_t)total != g->ntensor))
        return lar_fail(r->err, LAR_EFORMAT,
                        "%.80s: key split.tensors.count is %" PRId64 ", but its %d parts have %zu",
                        r->file, total, g->npart, g->ntensor);
    return LAR_OK;
}

/* Maps part i (from 0) of the model at path and makes its reader. */
static int map_part(struct gguf *g, struct reader *r, const char *path, struct split_name s, int i)
{
    struct lar_err why = {0}, *err = r->err;
    struct buf name = {0};
    if (s.n) buf_printf(&name, "%.*s-%05d-of-%05d.gguf", s.stem, path, i + 1, s.n);
    else buf_puts(&name, path);
    char *copy = name.failed ? NULL : arena_copy(&g->a, name.p, name.n);
    buf_done(&name);
    if (!copy)
        return lar_fail(err, LAR_ENOMEM, "%.80s: out of memory for its name", filemap_shown(path));
    int rc = filemap_open(&g->part[i], copy, &why);
    if (rc < 0 && s.n > 1)
        return lar_fail(err, rc, "part %d of %d of a split model: %s", i + 1, s.n, why.msg);
    if (rc < 0) return lar_fail(err, rc, "%s", why.msg);
    g->file_bytes += g->part[i].n;
    *r = (struct reader){.c = cursor_of(g->part[i].p, g->part[i].n), .err = err,
                         .file = filemap_shown(copy)};
    return LAR_OK;
}

/* Header and keys of a further part: only split.* and the alignment matter, the rest is dropped. */
static int read_other_keys(struct reader *r, int i, int n)
{
    struct gguf q = {0};
    arena_init(&q.a, 0);
    int rc = read_keys(r, &q);
    if (rc == LAR_OK) rc = check_split(r, &q, i, n);
    arena_done(&q.a);
    return rc;
}

static int open_parts(struct gguf *g, const char *path, struct lar_err *err)
{
    struct split_name s = split_name(path);
    int n = s.n ? s.n : 1;
    if (n > PARTS_MAX)
        return lar_fail(err, LAR_ELIMIT, "%.80s: is one of %d parts, more than %d",
                        filemap_shown(path), n, PARTS_MAX);
    g->part = arena_array(&g->a, (size_t)n, sizeof *g->part);
    struct reader *r = arena_array(&g->a, (size_t)n, sizeof *r);
    if (!g->part || !r)
        return lar_fail(err, LAR_ENOMEM, "%.80s: out of memory for a table of %d parts",
                        filemap_shown(path), n);
    g->npart = n;
    for (int i = 0; i < n; i++) {
        r[i].err = err;
        int rc = map_part(g, &r[i], path, s, i);
        if (rc == LAR_OK) rc = i ? read_other_keys(&r[i], i, n) : read_keys(&r[0], g);
        if (rc == LAR_OK && i == 0) rc = check_split(&r[0], g, 0, n);
        if (rc < 0) return rc;
    }
    g->alignment = r[0].alignment;
    int rc = read_all_tensors(g, r);
    return rc < 0 ? rc : check_split_total(g, r);
}

int gguf_open(struct gguf *g, const char *path, struct lar_err *err)
{
    *g = (struct gguf){0};
    arena_init(&g->a, 0);
    int rc = open_parts(g, path, err);
    if (rc < 0) gguf_close(g);
    return rc;
}

int gguf_open_memory(struct gguf *g, const void *p, size_t n, struct lar_err *err)
{
    struct reader r = {.c = cursor_of(p, n), .err = err, .file = "GGUF in memory"};
    *g = (struct gguf){.borrowed = 1};
    arena_init(&g->a, 0);
    g->part = arena_array(&g->a, 1, sizeof *g->part);
    int rc = g->part ? LAR_OK : no_memory(&r, 1, "parts");
    if (rc == LAR_OK) {
        g->part[0] = (struct filemap){p, n};
        g->npart = 1;
        g->file_bytes = n;
        rc = read_keys(&r, g);
    }
    if (rc == LAR_OK) rc = check_split(&r, g, 0, 1);
    g->alignment = r.alignment;
    if (rc == LAR_OK) rc = read_all_tensors(g, &r);
    if (rc < 0) gguf_close(g);
    return rc;
}

int gguf_adopt(struct gguf *g, const struct gguf_tensor *t, size_t n, void (*release)(void *owner), void *owner,
               struct lar_err *err)
{
    struct reader r = {.err = err, .file = "GGUF in memory"};
    g->tensor = n <= TENSORS_MAX ? arena_array(&g->a, n, sizeof *t) : NULL;
    g->tensor_index = g->tensor ? numbered(&g->a, n) : NULL;
    if (!g->tensor || !g->tensor_index) return no_memory(&r, n, "tensors");
    if (n) memcpy(g->tensor, t, n * sizeof *t);
    g->ntensor = n;
    int rc = index_tensors(g, &r);
    if (rc < 0) return rc;
    for (size_t i = 0; i < n; i++) g->file_bytes += t[i].bytes;
    g->release = release;
    g->owner = owner;
    return 0;
}

void gguf_close(struct gguf *g)
{
    void (*release)(void *owner) = g->release;
    void *owner = g->owner;
    for (int i = 0; i < g->npart && !g->borrowed; i++) filemap_close(&g->part[i]);
    arena_done(&g->a);
    *g = (struct gguf){0};
    if (release) release(owner);
}
