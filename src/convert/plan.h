/* SPDX-License-Identifier: Apache-2.0
 *
 * convert/plan.h: which tensors the GGUF will have and where each of their elements comes from.
 *
 * Every rearrangement that families need is a view: an output tensor is a row of pieces, each of which walks one source tensor by
 * extents and strides (elements, the last dimension fastest), and one operation on values. So nothing is read before
 * it is written, a tensor is never held whole, and one function (plan_read) does them all.
 */
#ifndef CONVERT_PLAN_H
#define CONVERT_PLAN_H

#include "convert/family.h"
#include "convert/weights.h"

enum { PIECE_DIMS = 5 };

struct piece {
    const struct weight *w;
    int64_t order; /* of the pieces of one output: 0, 1, 2 ... */
    int64_t base;
    int ndim;
    int64_t extent[PIECE_DIMS], stride[PIECE_DIMS];
    float scale;                 /* values are multiplied by it */
    const struct weight *scales; /* 8-bit floats: one factor for each block of rows and columns; NULL: none */
    int64_t block[2];
    struct piece *next;
};

enum value_op { VALUE_SAME, VALUE_PLUS_ONE, VALUE_NEG_EXP };

struct output {
    struct str name;
    int ndim;
    int64_t dim[4]; /* as GGUF has them: dim[0] is contiguous */
    int64_t n;      /* elements */
    struct piece *piece;
    size_t npiece;
    enum value_op op;
    const float *made;                     /* computed values, instead of pieces */
    const struct weight *blocks, *scales;  /* MXFP4: instead of pieces */
    int64_t first, step;                   /* of its rows */
    int stacked;                           /* pieces are stacked in a further dimension */
};

struct plan {
    struct output *out;
    size_t n, cap;
    size_t other; /* tensors left out because they belong to a vision tower or the like */
    const struct weight **head; /* nhead that are of no use for what the file is for (HOW_HEAD) */
    size_t nhead;
    float *xielu; /* [4][layers]: alpha_p, alpha_n, beta, eps; NULL: none */
    int64_t nlayer;
    struct arena *a;
};

int plan_make(struct plan *p, const struct family *f, const struct config *c, const struct weights *w, struct arena *a,
              struct lar_err *err);
/* The same for what an adapter adds (lora.h): tensors of [out][rank] (where columns are rearranged: [rank][in]) under the names of the matrices.
 * Only matrices of layers and the output, and none that is put together from many. */
int plan_make_lora(struct plan *p, const struct family *f, const struct config *c, const struct weights *w,
                   struct arena *a, struct lar_err *err);
/* A tensor of computed values, in rows of `row` of them (n: it has one dimension); they are copied. */
int plan_add(struct plan *p, const char *name, const float *v, int64_t n, int64_t row, struct lar_err *err);
/* Values at .. at + n of o (which is not MXFP4). */
void plan_read(const struct output *o, int64_t at, int64_t n, float *to);
/* The operation on values, undone; of several sources that give a value the one that needs fewest bits. */
void plan_undo(const struct output *o, int64_t n, float *v);
/* The other way: undoes, then puts these values of o where they come from (weight.data, which is then writable and of type F32, F16 or BF16); factors are
 * 1. v is changed. */
void plan_write(const struct output *o, int64_t at, int64_t n, float *v);
/* The bytes of an MXFP4 tensor's rows at .. at + n. */
void plan_read_mxfp4(const struct output *o, int64_t at, int64_t n, uint8_t *to);
/* The source tensor that o is, element by element in the same order, or NULL. */
const struct weight *plan_same(const struct output *o);

#endif
