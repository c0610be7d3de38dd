/* SPDX-License-Identifier: Apache-2.0
 *
 * quant/mix.h: which type each tensor of a model gets: llama.cpp's mixes (src/llama-quant.cpp, llama_tensor_get_type) by their names,
 * Q4_K_M and so on. Facts of its table; which tensor is more sensitive was found there by measuring.
 */
#ifndef QUANT_MIX_H
#define QUANT_MIX_H

#include <stddef.h>

#include "base/err.h"
#include "io/gguf.h"

struct mix {
    const char *name;
    uint32_t file_type; /* general.file_type */
    enum dtype base;
};

/* By name, in any case of letters; NULL when there is none. mix_at: all of them, NULL at the end. */
const struct mix *mix_find(const char *name);
const struct mix *mix_at(size_t i);
/* A tensor type by name, in any case; -1 when there is none. */
int mix_dtype(const char *name);

struct mix_tensor {
    enum dtype type;
    int fell_back; /* its width does not fit the type that was meant */
    int override;  /* 1 + which override decided, 0: none */
};

struct mix_override; /* PATTERN=TYPE, compiled; the texts must live as long */
int mix_override_open(struct mix_override **out, const char *const *text, size_t n,
                      struct lar_err *err);
void mix_override_close(struct mix_override *o);

/* Types for all tensors of g, in its order, to out[g->ntensor]. An override is searched in the tensor's name, the first that is found decides
 * and the mix is not asked. One that is found in no name of a tensor that would be quantised is refused. pure: no mix, the base type everywhere. */
int mix_plan(const struct gguf *g, const struct mix *mix, const struct mix_override *o,
             int has_importance, int pure, struct mix_tensor *out, struct lar_err *err);
/* Would this tensor be quantised at all? */
int mix_touches(const struct gguf_tensor *t);
/* Does a tensor of this type need importance, because it is useless without? */
int mix_needs_importance(const struct mix *mix, struct str name, enum dtype t);

#endif
