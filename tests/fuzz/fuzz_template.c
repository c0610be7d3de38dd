/* SPDX-License-Identifier: Apache-2.0
 * tests/fuzz/fuzz_template.c: any bytes as a chat template, rendered under low limits. After the
 * first NUL the input may hold the variables as a JSON object; else there is a small chat. Whatever
 * comes: success or one of the codes with a sentence, no more output than allowed, nothing left
 * behind, and the same text again when rendered again. Works with libFuzzer and with replay.c. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "text/template.h"
#include "must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static const char chat[] =
    "{\"bos_token\":\"<s>\",\"add_generation_prompt\":true,\"n\":3,\"neg\":-7,\"pi\":3.14159,\"t\":true,"
    "\"f\":false,\"none\":null,\"s\":\"Hello, World\",\"uni\":\"\xc3\xa9\xe4\xb8\xad\xf0\x9f\x98\x80\","
    "\"big\":12345678901234567890,\"xs\":[3,1,2],\"words\":[\"beta\",\"Alpha\"],\"empty\":\"\","
    "\"d\":{\"a\":1,\"b\":[1,2],\"c\":{\"x\":\"y\"}},\"html\":\"<b>&\\\"'</b>\",\"nested\":[[1,2],[3],[]],"
    "\"users\":[{\"name\":\"Ann\",\"age\":30,\"active\":true},{\"name\":\"Bob\",\"age\":25}],"
    "\"messages\":[{\"role\":\"system\",\"content\":\"S\"},{\"role\":\"user\",\"content\":[{\"type\":"
    "\"text\",\"text\":\"Q\"}]},{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"function\":"
    "{\"name\":\"f\",\"arguments\":{\"x\":1.5}}}]}],\"tools\":null}";

static const struct template_limits low = {
    .steps = 30000, .memory_bytes = 4 << 20, .output_bytes = 1 << 16};

static int render(const struct template *t, const struct json *input, struct buf *out,
                  struct lar_err *err)
{
    *err = (struct lar_err){0};
    int rc = template_render(t, input, 1767323045, &low, out, err);
    MUST(rc <= 0 && rc == err->code);
    MUST((rc == 0) == (err->msg[0] == 0) ||
         rc == LAR_EINVAL); /* raise_exception('') has no words */
    MUST(out->n <= low.output_bytes && utf8_valid(buf_z(out), out->n));
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
    struct template *t = template_compile(source, &err);
    MUST(t ? !err.code : err.code < 0 && err.msg[0]);
    if (t && (!input || input->kind == JSON_OBJECT)) {
        int rc = render(t, input, &out, &err);
        MUST(rc == render(t, input, &again, &err));
        MUST(str_eq(buf_view(&out), buf_view(&again)));
    }
    template_free(t);
    buf_done(&out);
    buf_done(&again);
    arena_done(&a);
    MUST(mem_live() == live);
    return 0;
}
