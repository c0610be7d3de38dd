/* SPDX-License-Identifier: Apache-2.0
 *
 * io/gguf.h: a GGUF file (or the parts of a split one), mapped and checked.
 *
 * Format: ggml's docs/gguf.md, versions 2 and 3, little-endian. Everything in the file is hostile until checked here:
 * after gguf_open succeeds, every key, string, array and tensor lies inside the mapping, is of the type it says, and
 * tensors neither overlap nor leave the file, names are unique, dims are at least 1 and their product fits, and
 * a row is a whole number of blocks. Strings are slices of the mapping: not terminated, perhaps not UTF-8.
 *
 * It allocates only tables whose size the file's own size justifies (a key costs 13 bytes at least, a tensor 24).
 */
#ifndef IO_GGUF_H
#define IO_GGUF_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "io/dtype.h"
#include "io/filemap.h"

enum gguf_type {
    GGUF_U8, GGUF_I8, GGUF_U16, GGUF_I16, GGUF_U32, GGUF_I32, GGUF_F32, GGUF_BOOL,
    GGUF_STRING, GGUF_ARRAY, GGUF_U64, GGUF_I64, GGUF_F64,
    GGUF_TYPE_COUNT
};

struct gguf_kv {
    struct str key;
    enum gguf_type type;   /* of the value */
    enum gguf_type etype;  /* of an array's elements (never GGUF_ARRAY: nested arrays are refused) */
    uint64_t count;        /* elements of an array; 1 otherwise */
    const uint8_t *data;   /* first byte of the value, or of an array's first element */
    uint64_t bytes;        /* of the value, or of all of the array's elements */
    const uint32_t *soff;  /* string arrays: offset of element i's length word, in bytes from data; see gguf_str_at (an array of strings over 4 GiB is refused) */
    uint64_t offset;       /* of the key in its file: for messages */
};

struct gguf_tensor {
    struct str name;
    enum dtype type;
    int ndim;            /* 1..4 */
    int64_t dim[4];      /* dim[0] is contiguous; unused ones are 1 */
    uint64_t bytes;
    uint64_t offset;     /* of the data in its file */
    int part;            /* which file of a split model */
    const uint8_t *data; /* the bytes, in the mapping */
};

struct gguf {
    uint32_t version;
    uint64_t alignment;
    struct gguf_kv *kv;        /* nkv of them, in the file's order (the first part's) */
    size_t nkv;
    struct gguf_tensor *tensor; /* ntensor of them, part by part in the file's order */
    size_t ntensor;
    struct filemap *part;      /* npart mappings */
    int npart;
    uint64_t file_bytes;       /* of all parts */
    struct arena a;
    /* private */
    uint32_t *kv_index, *tensor_index; /* numbers sorted by name */
    int borrowed;                      /* the bytes are the caller's: nothing to unmap */
    void (*release)(void *owner);      /* called last by gguf_close, when not NULL */
    void *owner;
};

/* Opens path; when it is named ...-0000i-of-0000N.gguf, all N parts beside it. On failure nothing is left open and g is zeroed.
 * Tensor data of an unknown or retired type is an error that names the tensor. */
int gguf_open(struct gguf *g, const char *path, struct lar_err *err);
/* The same on bytes in memory that outlive g (fuzzing, tests); one part. */
int gguf_open_memory(struct gguf *g, const void *p, size_t n, struct lar_err *err);
/* Gives a GGUF that was opened in memory tensors that lie elsewhere; t is copied. From success on gguf_close calls release(owner). */
int gguf_adopt(struct gguf *g, const struct gguf_tensor *t, size_t n, void (*release)(void *owner), void *owner,
               struct lar_err *err);
void gguf_close(struct gguf *g);

const struct gguf_kv *gguf_find(const struct gguf *g, const char *key);
const struct gguf_tensor *gguf_tensor(const struct gguf *g, const char *name);

const char *gguf_type_name(enum gguf_type t);

/* Reading one value. Each gives 1 when the key was there and *out was written, 0 when the key is missing (*out untouched), or a
 * negative code when it has the wrong type or range (err names key, offset, what it is and what was expected).
 * Integers of every width and sign are accepted for each other when the value fits; F32 and F64 for each other. */
int gguf_u32(const struct gguf *g, const char *key, uint32_t *out, struct lar_err *err);
int gguf_i64(const struct gguf *g, const char *key, int64_t *out, struct lar_err *err);
int gguf_f32(const struct gguf *g, const char *key, float *out, struct lar_err *err);
int gguf_bool(const struct gguf *g, const char *key, int *out, struct lar_err *err);
int gguf_str(const struct gguf *g, const char *key, struct str *out, struct lar_err *err);

/* Element i of an array (or, for i = 0, a scalar). The caller has checked i < count and the element type. */
struct str gguf_str_at(const struct gguf_kv *kv, uint64_t i);
int64_t gguf_int_at(const struct gguf_kv *kv, uint64_t i);   /* any integer type or BOOL */
double gguf_num_at(const struct gguf_kv *kv, uint64_t i);    /* any integer or float type */
int gguf_is_int(enum gguf_type t);                            /* an integer type (not BOOL) */

/* Shared by gguf.c and gguf_get.c: bytes of a value (0: its length stands in the file). */
int gguf_type_bytes(enum gguf_type t);

#endif
