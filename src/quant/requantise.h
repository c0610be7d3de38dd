/* SPDX-License-Identifier: Apache-2.0
 *
 * quant/requantise.h: one GGUF file into another with other tensor types, in memory that does not grow with the model.
 */
#ifndef QUANT_REQUANTISE_H
#define QUANT_REQUANTISE_H

#include "base/pool.h"
#include "io/imatrix.h"
#include "quant/mix.h"

struct requantise {
    const struct gguf *in;
    const struct mix *mix;
    const struct mix_tensor *plan; /* [in->ntensor] */
    const struct imatrix *imatrix; /* NULL: none */
    const char *imatrix_path;      /* for the metadata */
    struct pool *pool;
    unsigned cpu_flags;
    /* Called before each tensor; a non-zero answer stops with LAR_ECANCEL. */
    int (*on_tensor)(void *ctx, size_t i);
    void *ctx;
};

/* Bytes of tensor i as planned. */
uint64_t requantise_bytes(const struct requantise *q, size_t i);
/* The importance of tensor t as [matrices][k], or NULL. A wrong size is an error, but for the embedding: its inputs are no numbers. */
int requantise_importance(const struct requantise *q, const struct gguf_tensor *t, const float **out,
                          struct lar_err *err);
/* Whether all can be done, before anything is written: every type can be made, importance is there and of the right size. */
int requantise_check(const struct requantise *q, struct lar_err *err);
/* Writes path (io/gguf_write.h: nothing stands there before all is well). */
int requantise_write(const struct requantise *q, const char *path, uint64_t part_bytes,
                     struct lar_err *err);

#endif
