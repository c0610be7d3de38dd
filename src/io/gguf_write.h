/* SPDX-License-Identifier: Apache-2.0
 *
 * io/gguf_write.h: writing GGUF version 3, whole or in parts, in memory that does not grow with the tensors:
 *
 *     struct gguf_keys k = {0};
 *     gguf_keys_str(&k, "general.architecture", STR("llama"));
 *     gguf_create(&w, "out.gguf", &k, spec, nspec, 0, &err);   // all keys and tensors are known now
 *     gguf_write(w, bytes, n, &err);                           // data of spec[0], then spec[1], ... in pieces of any size
 *     gguf_commit(w, &err);                                    // to the disk, then under its name
 *
 * Padding is the writer's business. Nothing stands under the name asked for before gguf_commit.
 */
#ifndef IO_GGUF_WRITE_H
#define IO_GGUF_WRITE_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "io/dtype.h"
#include "io/gguf_keys.h"

#define GGUF_NAME_MAX \
    63 /* bytes of a tensor's name that every reader takes (GGML_MAX_NAME is 64, terminated) */

struct gguf_spec {
    struct str name;
    enum dtype type;
    int ndim;       /* 1..4 */
    int64_t dim[4]; /* dim[0] is contiguous and a whole number of blocks */
};

/* Bytes of the tensor's data; refuses what gguf_create would refuse. */
int gguf_spec_bytes(const struct gguf_spec *s, uint64_t *bytes, struct lar_err *err);

struct gguf_writer;

/* Begins a file beside path. With part_bytes > 0 and more data than that, parts NAME-0000i-of-0000N.gguf are written instead of NAME.gguf,
 * each with at most part_bytes of data or one tensor; the split.* keys are the writer's. keys are read now, spec is read until commit or abort. */
int gguf_create(struct gguf_writer **out, const char *path, const struct gguf_keys *keys,
                const struct gguf_spec *spec, size_t n, uint64_t part_bytes, struct lar_err *err);
int gguf_write(struct gguf_writer *w, const void *p, size_t n, struct lar_err *err);
/* Takes w, also when it fails: then nothing is left behind, but for parts that already have their names. */
int gguf_commit(struct gguf_writer *w, struct lar_err *err);
/* Gives up: removes what was written. NULL is allowed. */
void gguf_abort(struct gguf_writer *w);

#endif
