/* SPDX-License-Identifier: Apache-2.0
 * tests/fuzz/fuzz_modelfile.c: any bytes as a Modelfile: success or a code with a sentence, and nothing left behind. Works with libFuzzer
 * and with replay.c. */
#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "store/modelfile.h"
#include "must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* What is parsed, written and parsed again is the same; but for a value with a line that ends in three quotes, which the language cannot
 * write among others. */
static void again(const struct modelfile *f)
{
    for (size_t i = 0; i < f->n; i++) {
        const struct modelfile_command *c = &f->command[i];
        struct modelfile g = {0};
        struct buf b = {0};
        modelfile_write(&b, c->what, c->name, c->value);
        if (!memmem(c->value.p, c->value.n, "\"\"\"", 3) &&
            !memmem(c->value.p, c->value.n, "\"\n", 2)) {
            MUST(modelfile_parse(&g, buf_view(&b), NULL) == 0 && g.n == 1);
            MUST(g.command[0].what == c->what && str_eq(g.command[0].name, c->name) &&
                 str_eq(g.command[0].value, c->value));
        }
        modelfile_done(&g);
        buf_done(&b);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct modelfile f = {0};
    struct lar_err err = {0};
    long live = mem_live();
    int e = modelfile_parse(&f, (struct str){(const char *)data, n}, &err);
    MUST(e <= 0 && e == err.code && (e == 0) == (err.msg[0] == 0));
    if (e == 0 && f.n < 64) again(&f);
    modelfile_done(&f);
    MUST(mem_live() == live);
    return 0;
}
