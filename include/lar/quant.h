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
    /* Above 0: types are chosen by what each tensor loses in each, so that the file has at most so many bytes (or so many bits a weight); type then
     * only says what becomes of the rest. */
    uint64_t target_bytes;
    double target_bits;
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
/* The names of mixes that can be made, largest first; NULL behind the last. */
LAR_API const char *lar_quantize_type(size_t i);

/* ---- what it costs ------------------------------------------------------------------------------------------------ */

struct lar_perplexity {
    int chunks, chunks_all; /* evaluated; in the text */
    int64_t tokens;         /* scored */
    double ppl, ppl_error;  /* errors: one standard error */
    /* Against a base model, else 0: */
    double base_ppl, base_ppl_error;
    double log_ratio, log_ratio_error; /* ln(ppl / base_ppl) */
    double kl,
        kl_error; /* mean Kullback-Leibler divergence of the base's distribution from the model's, in nats */
    double kl_median, kl_99, kl_max; /* percentiles; only at the end */
    double same_top,
        same_top_error;  /* share of tokens where both find the same one most probable */
    double dp, dp_error; /* root mean square of the true token's change of probability */
};

struct lar_perplexity_options {
    int ctx;                /* tokens of a chunk, 0: 512 */
    int chunks;             /* at most so many, 0: all */
    struct lar_model *base; /* compare with this model, evaluated beside the other; NULL: no */
    const char *base_file;  /* or with what save_base once wrote, of the same text; NULL: no */
    const char
        *save_base; /* writes the model's distributions in short, for later comparisons; NULL: no */
    /* Called after each chunk with what is known so far; a non-zero answer stops with LAR_ECANCEL. */
    int (*on_chunk)(void *ctx, const struct lar_perplexity *so_far);
    void *ctx_on_chunk;
};

/* Perplexity of the text as llama.cpp defines it: the text's tokens in chunks of ctx, each evaluated by itself (its first token replaced by the
 * beginning of sequence where the tokenizer adds one), the second half of each scored. */
LAR_API int lar_perplexity(struct lar_model *m, const char *text, size_t n,
                           const struct lar_perplexity_options *opt, struct lar_perplexity *out,
                           struct lar_err *err);

/* ---- what matters --------------------------------------------------------------------------------------------------- */

struct lar_imatrix_options {
    int ctx;             /* tokens of a chunk, 0: 512 */
    int chunks;          /* at most so many, 0: all */
    int output;          /* 1: also of the output matrix */
    const char *dataset; /* the text's name, for the file; NULL: "" */
    /* Called after each chunk; a non-zero answer stops with LAR_ECANCEL. */
    int (*on_chunk)(void *ctx, int done, int all);
    void *ctx_on_chunk;
};

/* Lets m read the text and writes to path the importance of its columns, in the GGUF form of llama.cpp's imatrix tool. No other session of m
 * may work meanwhile: it would be counted too. */
LAR_API int lar_imatrix(struct lar_model *m, const char *text, size_t n, const char *path,
                        const struct lar_imatrix_options *opt, struct lar_err *err);

#ifdef __cplusplus
}
#endif
#endif
