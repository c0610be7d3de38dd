/* SPDX-License-Identifier: Apache-2.0
 *
 * model/adapter.h: adapters of low rank (LoRA): GGUF files that change a model's matrices, W + scale B A, of all timelines or of some.
 *
 * The weights stay as they are in their file; rows of a timeline with an adapter go through two thin products more (dev/dev.h:dev_low), so that any number
 * of adapters stands beside one base and their rows go through one step. Each tensor of an adapter must find its matrix, of its shape, or it is not
 * opened: half an adapter answers wrongly. Immutable after opening, counted.
 */
#ifndef MODEL_ADAPTER_H
#define MODEL_ADAPTER_H

#include "base/sha256.h"
#include "model/model.h"

struct adapter {
    atomic_int refs;
    const struct model *model; /* that it was opened for */
    struct arena a;
    struct dev_lora *of;  /* [model->nslot + 1] */
    size_t matrices, rank; /* that it changes; the largest */
    uint64_t bytes;       /* of memory */
    float alpha;
    char id[SHA256_HEX + 1]; /* of samples of its numbers */
};

/* For this model, which is whole. What is kept has been copied; the file is let go. */
int adapter_open(struct adapter **out, const struct model *m, const char *path, struct lar_err *err);
struct adapter *adapter_ref(struct adapter *l);
void adapter_close(struct adapter *l);

/* Those that all rows of the model get; before its first step. */
int adapter_always(struct model *m, const struct adapter_file *f, size_t n, struct lar_err *err);

#endif
