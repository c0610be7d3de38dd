/* SPDX-License-Identifier: Apache-2.0
 * tests/fuzz/fuzz_export.c: any GGUF as something to export: its keys as a config.json, its names as those of a class, the proof that both are the file.
 * Nothing is written. */
#include <stdio.h>
#include <stdlib.h>

#include "convert/export.h"
#include "must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct gguf g;
    struct export e;
    struct lar_err err = {0};
    long live = mem_live();
    if (gguf_open_memory(&g, data, n, NULL) < 0) return 0;
    int rc = export_open_gguf(&e, &g, "fuzz", &err);
    MUST(!g.kv);
    if (rc == 0) {
        MUST(e.text.n && e.w.n && e.f && e.hf.n && e.type.n);
        for (size_t i = 0; i < e.p.n; i++) { /* what is not computed has a place to come from */
            MUST(e.p.out[i].made || (e.from[i] && e.p.out[i].npiece));
            for (size_t k = 0; k < e.p.out[i].npiece; k++)
                MUST(e.p.out[i].piece[k].w >= e.w.w && e.p.out[i].piece[k].w < e.w.w + e.w.n);
        }
        export_close(&e);
    } else {
        MUST(err.code == rc && err.msg[0]);
    }
    MUST(mem_live() == live);
    return 0;
}
