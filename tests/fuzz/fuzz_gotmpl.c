/* SPDX-License-Identifier: Apache-2.0
 * tests/fuzz/fuzz_gotmpl.c: any bytes as a Go template, rendered under low limits; after the first NUL the input may hold the chat as a JSON
 * object. Whatever comes: success or a code with a sentence, no more output than allowed, nothing left behind, and the same text again when
 * rendered again. Works with libFuzzer and with replay.c. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text/gotmpl.h"
#include "must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static const char chat[] =
    "{\"messages\":[{\"role\":\"system\",\"content\":\"S\"},{\"role\":\"user\",\"content\":\"Q\"},"
    "{\"role\":\"assistant\",\"content\":\"\",\"tool_calls\":[{\"function\":{\"name\":\"f\","
    "\"arguments\":{\"x\":1.5,\"y\":[1,\"<\"]}}}]},{\"role\":\"tool\",\"content\":\"R\"}],"
    "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":{\"type\":"
    "\"object\",\"properties\":{\"x\":{\"type\":\"number\"}}}}}]}";

static const struct template_limits low = {
    .steps = 30000, .memory_bytes = 4 << 20, .output_bytes = 1 << 16};

static int render(const struct gotmpl *t, const struct json *input, struct buf *out)
{
    struct lar_err err = {0};
    int rc = gotmpl_render(t, input, 1767323045, &low, out, &err);
    MUST(rc <= 0 && rc == err.code && (rc == 0) == (err.msg[0] == 0));
    MUST(out->n <= low.output_bytes);
    return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    const uint8_t *nul = n ? memchr(data, 0, n) : NULL;
    struct str source = {(const char *)data, nul ? (size_t)(nul - data) : n};
    struct str text = nul ? (struct str){(const char *)nul + 1, n - source.n - 1} : STR("");
    struct lar_err err = {0};
    struct arena a;
    struct buf out = {0}, again = {0};
    long live = mem_live();
    arena_init(&a, 64 << 20);
    struct json *input = json_parse(&a, text.n ? text : (struct str){chat, sizeof chat - 1}, NULL);
    struct gotmpl *t = gotmpl_compile(source, &err);
    MUST(t ? !err.code : err.code < 0 && err.msg[0]);
    if (t && input) {
        int rc = render(t, input, &out);
        MUST(rc == render(t, input, &again) && str_eq(buf_view(&out), buf_view(&again)));
    }
    gotmpl_free(t);
    buf_done(&out);
    buf_done(&again);
    arena_done(&a);
    MUST(mem_live() == live);
    return 0;
}
