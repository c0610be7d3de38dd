/* SPDX-License-Identifier: Apache-2.0
 * tests/fuzz/fuzz_manifest.c: any bytes as a manifest, and as a name: success or a code with a sentence; what was parsed is written and reads
 * the same; no name leads out of its folder; nothing is left behind. Works with libFuzzer and with replay.c. */
#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "store/manifest.h"
#include "store/name.h"
#include "must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void name(struct str text)
{
    struct name n, m;
    struct lar_err err = {0};
    struct buf path = {0};
    int e = name_parse(&n, text, &err);
    MUST(e <= 0 && e == err.code && (e == 0) == (err.msg[0] == 0));
    if (e == 0 && n.model[0]) {
        int slashes = 0;
        name_path(&n, &path);
        for (size_t i = 0; i < path.n; i++) {
            slashes += path.p[i] == '/';
            MUST(path.p[i] > 0x20 && path.p[i] < 0x7f);
        }
        MUST(slashes == 3 && !strstr(path.p, "/.") && path.p[0] != '.');
        MUST(name_of_path(&m, buf_view(&path)) == 0);
        MUST(!strcmp(m.host, n.host) && !strcmp(m.space, n.space) && !strcmp(m.model, n.model) &&
             !strcmp(m.tag, n.tag));
        buf_clear(&path);
        name_show(&n, &path);
        MUST(name_parse(&m, buf_view(&path), NULL) == 0);
        MUST(!strcmp(m.host, n.host) && !strcmp(m.space, n.space) && !strcmp(m.model, n.model) &&
             !strcmp(m.tag, n.tag));
    }
    buf_done(&path);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct str text = {(const char *)data, n};
    struct manifest m, k;
    struct lar_err err = {0};
    struct arena a;
    struct buf b = {0};
    long live = mem_live();
    arena_init(&a, 64 << 20);
    name(text);
    int e = manifest_parse(&m, &a, text, &err);
    MUST(e <= 0 && e == err.code && (e == 0) == (err.msg[0] == 0));
    if (e == 0) {
        manifest_write(&m, &b);
        MUST(manifest_parse(&k, &a, buf_view(&b), NULL) == 0 && k.n == m.n);
        for (size_t i = 0; i < m.n; i++)
            MUST(!strcmp(k.layer[i].digest, m.layer[i].digest) &&
                 k.layer[i].size == m.layer[i].size && str_eq(k.layer[i].type, m.layer[i].type));
    }
    buf_done(&b);
    arena_done(&a);
    MUST(mem_live() == live);
    return 0;
}
