/* SPDX-License-Identifier: Apache-2.0
 * tests/fuzz/fuzz_imatrix.c: any bytes as an importance matrix, in both its forms. What is accepted is sorted, found by name, and of
 * finite numbers that are not negative. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "io/imatrix.h"
#include "must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct imatrix m;
    struct lar_err err = {0};
    long live = mem_live();
    int rc = imatrix_open_memory(&m, data, n, "input", &err);
    if (rc < 0) {
        MUST(err.code == rc && err.msg[0]);
        MUST(!m.entry && !m.nentry);
    } else {
        MUST(m.nentry > 0);
        for (size_t i = 0; i < m.nentry; i++) {
            const struct imatrix_entry *e = &m.entry[i];
            MUST(imatrix_find(&m, e->name) == e);
            for (uint64_t k = 0; k < e->n * e->nmat; k++)
                MUST(isfinite(e->mean[k]) && e->mean[k] >= 0);
        }
        imatrix_close(&m);
    }
    MUST(mem_live() == live);
    return 0;
}
