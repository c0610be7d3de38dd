/* SPDX-License-Identifier: Apache-2.0
 *
 * io/safetensors.h: the safetensors format, written and read.
 *
 * Format (github.com/huggingface/safetensors, README.md): 8 bytes of little-endian header length, a
 * JSON header {"name": {"dtype", "shape", "data_offsets": [begin, end]}, "__metadata__": {...}}
 * padded with spaces, then the data without holes. Shapes are outermost first: the last dimension
 * is contiguous.
 */
#ifndef IO_SAFETENSORS_H
#define IO_SAFETENSORS_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "io/filemap.h"

#define SAFETENSORS_DIMS_MAX 8
#define SAFETENSORS_HEADER_MAX 100000000 /* the format's own limit */

/* Bits of an element: "F32" gives 32; 0 for a name that is no type. */
int safetensors_bits(struct str type);

/* ---- writing: everything is said first, then the data follows in the same order ---- */

struct safetensors_spec {
    const char *name; /* UTF-8; not "__metadata__" */
    const char *type; /* "F32", "I32", ... whose elements are whole bytes */
    int ndim;         /* 0 (one element) to SAFETENSORS_DIMS_MAX */
    int64_t shape[SAFETENSORS_DIMS_MAX];
};

struct safetensors_writer;

/* Begins a file beside path. What stands at path, or nothing, stays so until safetensors_commit. */
int safetensors_create(struct safetensors_writer **out, const char *path,
                       const struct safetensors_spec *spec, size_t n, struct lar_err *err);
/* Further bytes of data, in pieces of any size. */
int safetensors_write(struct safetensors_writer *w, const void *p, size_t n, struct lar_err *err);
/* Instead of safetensors_write: the place of all the data, `total` bytes in the order of spec, to be written anywhere and in any order; the disk has
 * room for all of it. NULL with err set otherwise. safetensors_commit and _abort end it. */
uint8_t *safetensors_place(struct safetensors_writer *w, uint64_t *total, struct lar_err *err);
/* Forces everything to the disk and gives the file its name. Takes w, also when it fails: then
 * nothing is left behind. */
int safetensors_commit(struct safetensors_writer *w, struct lar_err *err);
/* Gives up: removes what was written. NULL is allowed. */
void safetensors_abort(struct safetensors_writer *w);

/* ---- reading ---- */

struct safetensors_tensor {
    struct str name, type;
    int ndim;
    int64_t shape[SAFETENSORS_DIMS_MAX];
    int64_t elements;
    uint64_t bytes;
    const uint8_t *data; /* in the mapping; aligned as the file has it */
};

struct safetensors {
    struct safetensors_tensor *tensor; /* in the order of their names */
    size_t ntensor;
    struct json *metadata; /* "__metadata__": an object of strings, or NULL */
    struct filemap map;
    struct arena a;
    int borrowed; /* private: the bytes are the caller's */
};

/* Everything is checked: header length, UTF-8, no duplicate names, shapes, no holes, no overlap, no
 * trailing bytes. On failure nothing is left open and s is zeroed. */
int safetensors_open(struct safetensors *s, const char *path, struct lar_err *err);
int safetensors_open_memory(struct safetensors *s, const void *p, size_t n, struct lar_err *err);
void safetensors_close(struct safetensors *s);
const struct safetensors_tensor *safetensors_find(const struct safetensors *s, const char *name);

#endif
