/* SPDX-License-Identifier: Apache-2.0
 *
 * convert/convert.h: a model as its maker published it (a Hugging Face folder, a .safetensors or a PyTorch file in one), turned
 * into a GGUF file or opened as one.
 */
#ifndef CONVERT_CONVERT_H
#define CONVERT_CONVERT_H

#include "convert/family.h"
#include "convert/plan.h"
#include "convert/weights.h"
#include "io/gguf_keys.h"
#include "text/vocab_hf.h"

/* What is known before the first weight is read. */
struct convert {
    struct config c;
    struct weights w;
    const struct family *f;
    struct plan p;
    struct arena a;
    struct filemap raw;        /* a llama2.c file (llama2c.h) instead of w, */
    struct vocab_image tokens; /* and its tokenizer */
};

enum convert_type { CONVERT_AUTO, CONVERT_F32, CONVERT_F16, CONVERT_BF16, CONVERT_Q8_0 };

/* Is path something to convert rather than a GGUF: a folder, or a file named *.safetensors, *.bin, *.pt, *.pth? */
int convert_is(const char *path);

/* Reads configuration, names and shapes; no weights. On failure c is zeroed. */
int convert_open(struct convert *c, const char *path, struct lar_err *err);
void convert_close(struct convert *c);
/* All keys, those of the tokenizer included. The caller has zeroed k and calls gguf_keys_done. */
int convert_keys(struct convert *c, struct gguf_keys *k, int file_type, struct lar_err *err);
/* The type that output o gets in a file of type want (not CONVERT_AUTO). */
enum dtype convert_dtype(const struct output *o, enum convert_type want);
/* What "auto" means for these weights: the float type that most of them have; 8-bit floats become BF16. */
enum convert_type convert_auto(const struct convert *c);
/* Values at .. at + n of o as type t (F32, F16, BF16; Q8_0: n and at multiples of 32); scratch has n floats. */
void convert_values(const struct output *o, int64_t at, int64_t n, enum dtype t, float *scratch, void *to);

struct convert_job {
    enum convert_type type;
    /* Called now and then; a non-zero answer stops with LAR_ECANCEL. May be NULL. */
    int (*progress)(void *ctx, const char *tensor, size_t n, uint64_t done, uint64_t total);
    void *ctx;
    uint64_t bytes; /* given back: of all tensors */
};
/* Writes the file, tensor by tensor, in memory that does not grow with the model; nothing stands at `to` before it is whole. */
int convert_file(struct convert *c, const char *to, struct convert_job *job, struct lar_err *err);

/* The same as a GGUF that is in no file (convert_memory.c): tensors that stay as they are lie in the mapped source, those that are rearranged are made
 * in memory, in the type they have. Refuses when these need more memory than there is. Close with gguf_close. */
int convert_memory(struct gguf *g, const char *path, struct lar_err *err);

#endif
