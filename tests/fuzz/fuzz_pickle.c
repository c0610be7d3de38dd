/* SPDX-License-Identifier: Apache-2.0
 * tests/fuzz/fuzz_pickle.c: any bytes as a pickle program, and (when they begin as one) as a PyTorch archive. What is accepted lies
 * within the bytes. */
#include <stdio.h>
#include <stdlib.h>

#include "io/pickle_machine.h"
#include "must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static volatile uint64_t sink;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct pickle p;
    struct lar_err err = {0};
    long live = mem_live();
    int rc;
    int old = n > 4 && data[0] == 0x80 && data[2] == 0x8a && data[3] == 0x0a;
    if (old || (n > 4 && data[0] == 'P' && data[1] == 'K')) {
        if ((rc = pickle_open_memory(&p, data, n, &err)) == 0) {
            for (size_t i = 0; i < p.ntensor; i++) {
                const struct pickle_tensor *t = &p.tensor[i];
                MUST(t->data >= data && t->bytes <= (uint64_t)(data + n - t->data));
                if (t->bytes) sink += t->data[0] + t->data[t->bytes - 1];
            }
            pickle_close(&p);
        }
    } else {
        const struct pickle_value *root = NULL;
        struct arena a;
        arena_init(&a, 1 << 26);
        rc = pickle_run(&root, (struct str){(const char *)data, n}, "fuzz", &a, &err);
        MUST(rc < 0 || root);
        arena_done(&a);
    }
    MUST(rc == 0 || (err.code == rc && err.msg[0]));
    MUST(mem_live() == live);
    return 0;
}
