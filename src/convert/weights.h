/* SPDX-License-Identifier: Apache-2.0
 *
 * convert/weights.h: the tensors of a model as its maker published them: one file or many, mapped, as one list sorted by name.
 * Shapes are outermost first, as those formats have them.
 */
#ifndef CONVERT_WEIGHTS_H
#define CONVERT_WEIGHTS_H

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"

#define WEIGHT_DIMS 8

enum weight_type {
    WEIGHT_F32, WEIGHT_F16, WEIGHT_BF16, WEIGHT_F64, WEIGHT_F8_E4M3, WEIGHT_F8_E5M2,
    WEIGHT_U8, WEIGHT_I8, WEIGHT_I16, WEIGHT_I32, WEIGHT_I64, WEIGHT_BOOL,
    WEIGHT_TYPES
};

struct weight {
    struct str name;
    enum weight_type type;
    int ndim;
    int64_t dim[WEIGHT_DIMS]; /* unused ones are 1 */
    int64_t n;                /* elements */
    const uint8_t *data;      /* contiguous, in the mapping; perhaps not aligned to its type */
    uint64_t bytes;
    int part; /* of weights.part */
};

struct weights {
    struct weight *w; /* n of them, sorted by name */
    size_t n;
    struct weights_part *part;
    int npart;
    struct arena a;
};

/* path is a folder (its index file's parts, or model.safetensors, or its only *.safetensors; then the same of PyTorch's
 * *.bin) or one such file. A folder that has none is LAR_EINVAL, and nothing else is. On failure w is zeroed. */
int weights_open(struct weights *w, const char *path, struct lar_err *err);
void weights_close(struct weights *w);
const struct weight *weights_find(const struct weights *w, struct str name);
/* Of part i: its file's name, its bytes, and where they are mapped. */
const char *weights_file(const struct weights *w, int i, const uint8_t **at, uint64_t *bytes);
/* The pages of these bytes may leave memory: they will hardly be read again. */
void weights_forget(const void *p, uint64_t n);

int weight_size(enum weight_type t); /* bytes of an element */
const char *weight_type_name(enum weight_type t);
/* Elements at .. at + n * stride as F32. */
void weight_read(const struct weight *w, int64_t at, int64_t stride, int64_t n, float *out);
/* F32 into elements at .. at + n * stride of a weight of type F32, F16 or BF16 whose data may be written. */
void weight_write(const struct weight *w, int64_t at, int64_t stride, int64_t n, const float *v);

#endif
