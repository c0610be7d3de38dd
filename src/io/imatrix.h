/* SPDX-License-Identifier: Apache-2.0
 *
 * io/imatrix.h: an importance matrix: how large the inputs of each column of a weight are on average (of squares), as llama.cpp's
 * imatrix tool collects it. Read in both its forms: GGUF (general.type "imatrix"; NAME.in_sum2 and NAME.counts) and the older .dat; written as GGUF.
 * Everything in the file is hostile until checked here.
 */
#ifndef IO_IMATRIX_H
#define IO_IMATRIX_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"

struct imatrix_entry {
    struct str name; /* of the weight: "blk.0.attn_q.weight" */
    const float *
        mean; /* [nmat][n], or [n] with all experts in a row (.dat): finite, >= 0; an expert never seen has ones */
    uint64_t n, nmat;
};

struct imatrix {
    struct imatrix_entry *entry; /* by name */
    size_t nentry;
    struct str dataset; /* the first; "" when unknown */
    uint32_t chunks;    /* 0: unknown */
    struct arena a;
};

/* On failure nothing is left open and m is zeroed. */
int imatrix_open(struct imatrix *m, const char *path, struct lar_err *err);
/* The same on bytes in memory, not needed afterwards; path is for messages. */
int imatrix_open_memory(struct imatrix *m, const void *p, size_t n, const char *path, struct lar_err *err);
void imatrix_close(struct imatrix *m);
const struct imatrix_entry *imatrix_find(const struct imatrix *m, struct str name);

/* What is written of one weight. */
struct imatrix_sums {
    struct str name;
    const float *sum;   /* [nmat][n] of squares */
    const float *count; /* [nmat] rows that were summed */
    int64_t n, nmat;
};
/* Atomically, in llama.cpp's GGUF form. */
int imatrix_write(const char *path, const struct imatrix_sums *s, size_t n, struct str dataset,
                  uint32_t chunks, uint32_t chunk_size, struct lar_err *err);

#endif
