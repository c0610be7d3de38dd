/* SPDX-License-Identifier: Apache-2.0
 *
 * convert/lora.h: LoRA adapters as PEFT and MLX write them, turned into adapter GGUFs: the same names, rearrangements and factors
 * that the base's own tensors get, applied to what the adapter adds to them.
 */
#ifndef CONVERT_LORA_H
#define CONVERT_LORA_H

#include "convert/family.h"
#include "convert/plan.h"

/* A matrix of the base and what is added to it: factor * b a. */
struct lora_module {
    struct weight planned; /* the half that is rearranged as the matrix is, under the matrix' name */
    int columns;           /* that half is a (the rearrangement is one of columns); else b */
    int64_t rank, in, out;
    float *a, *b; /* [rank][in], [out][rank] */
};

struct lora {
    struct config c;      /* the adapter's folder */
    struct config base;   /* what is needed of the base's config.json, or of its GGUF's keys */
    const struct family *f;
    struct weights w;
    struct lora_module *module;
    size_t n;
    float alpha; /* of the new file; where modules differ the rest is in their b */
    struct plan p;
    struct arena a;
};

/* from: a folder with adapter_config.json, or its weights file; base: a folder with config.json, or a .gguf of the model. On failure l is
 * zeroed. */
int lora_read(struct lora *l, const char *from, const char *base, struct lar_err *err);
void lora_done(struct lora *l);
/* Only l->base and l->f; l is zeroed but for its arena. */
int lora_base(struct lora *l, const char *path, struct lar_err *err);
/* Writes the adapter GGUF, F32; nothing stands at `to` before it is whole. Gives the number of tensors. */
int lora_write(struct lora *l, const char *to, struct lar_err *err);

#endif
