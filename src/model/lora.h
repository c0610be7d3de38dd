/* SPDX-License-Identifier: Apache-2.0
 *
 * model/lora.h: adapters of low rank: GGUF files that change a model's matrices, W + scale B A, while it is being opened.
 *
 * The weights stay as they are in their file; a product with W is followed by two thin ones (dev/dev.h:dev_lora). Each tensor of an adapter must find
 * its matrix, of its shape, or the model is not opened: half an adapter answers wrongly.
 */
#ifndef MODEL_LORA_H
#define MODEL_LORA_H

#include "model/bind.h"

struct lora_file {
    const char *path;
    float scale; /* multiplies what the adapter itself says (alpha / rank) */
};

/* Before binding: opens the files and looks at what they say of themselves. */
int lora_open(struct model *m, const struct lora_file *f, size_t n, struct lar_err *err);
/* The matrix that was bound under this tensor name gets what the adapters have for it. */
int lora_bind(struct binder *b, const char *name, struct dev_matrix *w);
/* After binding: refuses tensors that found no matrix. */
int lora_check(const struct model *m, struct lar_err *err);
/* What is kept has been copied; the files are let go. */
void lora_close(struct model *m);

#endif
