/* SPDX-License-Identifier: Apache-2.0
 *
 * lar/quant.h: smaller files: quantising a GGUF model. What lar/lar.h says of errors and options holds here too. */
#ifndef LAR_QUANT_H
#define LAR_QUANT_H

#include <lar/lar.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Of one tensor, in the file's order. */
struct lar_quantize_tensor {
    const char *name; /* not terminated: name_n bytes */
    size_t name_n;
    const char *from, *to; /* types */
    uint64_t bytes_from, bytes_to;
    int64_t elements;
    int fell_back; /* its width does not fit the mix's type */
    size_t index, count;
};

struct lar_quantize_options {
    const char *type;    /* a mix: "Q4_K_M", "Q8_0", ... (lar_quantize_type names all) */
    const char *imatrix; /* path of an importance matrix, or NULL */
    /* "PATTERN=TYPE": tensors in whose name the extended regular expression is found get TYPE; the first that fits decides. */
    const char *const *tensor_type;
    size_t ntensor_type;
    int pure;            /* 1: the mix's main type everywhere */
    int threads;         /* 0: all cores */
    int dry_run;         /* 1: tell on_tensor what would be done, write nothing; out may be NULL */
    uint64_t part_bytes; /* above 0: a split model whose parts have at most this much data */
    /* Called before each tensor is worked on (in a dry run for each). A non-zero answer stops with LAR_ECANCEL; nothing is left behind. */
    int (*on_tensor)(void *ctx, const struct lar_quantize_tensor *t);
    void *ctx;
};

/* Writes out from in (any GGUF whose tensors are numbers that Lar knows; already quantised ones lose twice). The file appears whole or not at all.
 * Memory stays below some 100 MiB whatever the model's size. */
LAR_API int lar_quantize(const char *in, const char *out, const struct lar_quantize_options *opt,
                         struct lar_err *err);
/* The names of mixes, largest first; NULL behind the last. */
LAR_API const char *lar_quantize_type(size_t i);

#ifdef __cplusplus
}
#endif
#endif
