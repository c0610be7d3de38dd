/* SPDX-License-Identifier: Apache-2.0
 *
 * model/arch.c: the families Lar runs. Each is a handful of constants that its files do not carry; the file's own keys say the rest.
 * Sources: the reference implementations in transformers and the table in ggml's conversion script, checked against golden logits.
 */
#include <stdio.h>
#include <string.h>

#include "model/model.h"

static const struct arch families[] = {
    /* Llama 1-3, SmolLM2, Mistral, and the many others that are Llama in all but name. */
    {.name = "llama", .norm = NORM_RMS, .neox = 0, .gate = GATE_SILU},
    /* Qwen3 dense: per-head norms of queries and keys (bound where the file has them). */
    {.name = "qwen3", .norm = NORM_RMS, .neox = 1, .gate = GATE_SILU},
};

enum { NFAMILY = sizeof families / sizeof *families };

const struct arch *arch_find(struct str name)
{
    for (size_t i = 0; i < NFAMILY; i++)
        if (str_is(name, families[i].name)) return &families[i];
    return NULL;
}

void arch_names(char *out, size_t n)
{
    size_t at = 0;
    out[0] = 0;
    for (size_t i = 0; i < NFAMILY && at < n; i++)
        at += (size_t)snprintf(out + at, n - at, "%s%s", i ? ", " : "", families[i].name);
}
