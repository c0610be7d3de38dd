/* SPDX-License-Identifier: Apache-2.0
 *
 * run/importance.h: what goes into each matrix while a model reads: for every column the sum of squares of its inputs, experts apart. A
 * quantiser that knows them keeps the columns that matter.
 *
 * It listens at the device: between importance_begin and importance_end the device's matrix product is ours, which sums and calls the
 * real one. So nothing in the forward pass knows of it, and every family is served.
 */
#ifndef RUN_IMPORTANCE_H
#define RUN_IMPORTANCE_H

#include "dev/dev.h"
#include "io/gguf.h"

struct importance_entry {
    const struct gguf_tensor *t;
    size_t k, nmat; /* columns; matrices: experts, else 1 */
    size_t matrix_bytes;
    float *sum;   /* [nmat][k] */
    float *count; /* [nmat] rows of input */
};

struct importance {
    struct dev_ops ops; /* first: a pointer to it is one to us */
    const struct dev_ops *before;
    struct dev *dev;
    struct importance_entry *entry; /* by address of the data */
    size_t nentry;
    double *row; /* [longest k] */
    int failed;  /* an input was no number */
    struct arena a;
};

/* Listens to products with the tensors blk.* of g that model files multiply with, and with output.weight when output. The device must not be
 * in use by others meanwhile. */
int importance_begin(struct importance *m, struct dev *d, const struct gguf *g, int output,
                     struct lar_err *err);
/* The device is as before; the sums stay until importance_done. May be called twice. */
void importance_end(struct importance *m);
void importance_done(struct importance *m);

#endif
