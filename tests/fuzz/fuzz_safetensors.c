/* SPDX-License-Identifier: Apache-2.0
 * tests/fuzz/fuzz_safetensors.c: any bytes as a safetensors file. What is accepted is measured
 * against the rules: tensors lie end to end and cover the data exactly. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "io/safetensors.h"
#include "must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static volatile uint64_t sink; /* so that no read is optimised away */

static void read_tensors(const struct safetensors *s, const uint8_t *data, size_t n)
{
    uint64_t sum = 0, header;
    memcpy(&header, data, 8);
    for (size_t i = 0; i < s->ntensor; i++) {
        const struct safetensors_tensor *t = &s->tensor[i];
        uint64_t elements = 1;
        MUST(t->ndim >= 0 && t->ndim <= SAFETENSORS_DIMS_MAX);
        for (int k = 0; k < t->ndim; k++) elements *= (uint64_t)t->shape[k];
        MUST(elements == (uint64_t)t->elements);
        MUST(t->bytes == elements * (uint64_t)safetensors_bits(t->type) / 8);
        MUST(t->data >= data + 8 + header && t->bytes <= (uint64_t)(data + n - t->data));
        if (t->bytes) sink += t->data[0] + t->data[t->bytes - 1];
        sum += t->bytes;
        if (!memchr(t->name.p, 0, t->name.n)) {
            char *name = malloc(t->name.n + 1);
            MUST(name);
            memcpy(name, t->name.p, t->name.n);
            name[t->name.n] = 0;
            MUST(safetensors_find(s, name) == t);
            free(name);
        }
    }
    MUST(sum == n - 8 - header);
    for (const struct json *m = s->metadata ? s->metadata->child : NULL; m; m = m->next)
        sink += json_str(m, STR("")).n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct safetensors s;
    struct lar_err err = {0};
    long live = mem_live();
    int rc = safetensors_open_memory(&s, data, n, &err);
    if (rc < 0) {
        MUST(err.code == rc && err.msg[0]);
        MUST(rc == LAR_EFORMAT || rc == LAR_ENOMEM); /* ENOMEM: the arena's wall */
        MUST(!s.tensor && !s.ntensor);
    } else {
        read_tensors(&s, data, n);
        safetensors_close(&s);
    }
    MUST(mem_live() == live);
    return 0;
}
