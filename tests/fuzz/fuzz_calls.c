/* SPDX-License-Identifier: Apache-2.0
 * tests/fuzz/fuzz_calls.c: any bytes as an answer, read by the form that the first byte names. Whatever comes: no byte of text is lost or made up
 * where there is no call, arguments of a call that ended are one JSON object, and it does not matter how the answer is cut. Works with
 * libFuzzer and with replay.c. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "text/calls.h"
#include "must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

struct seen {
    struct buf all, args;
    int open, calls, last, odd; /* odd: bytes or escapes that a JSON reader may refuse */
};

static void on_event(void *ctx, enum call_event e, size_t index, struct str s)
{
    struct seen *x = ctx;
    MUST(index == (size_t)x->calls);
    if (e == CALL_BEGIN) {
        MUST(!x->open && s.n);
        x->open = 1;
    }
    if (e == CALL_ARGS) {
        MUST(x->open);
        buf_str(&x->args, s);
        return;
    }
    if (e == CALL_END) {
        struct arena a;
        arena_init(&a, 64 << 20);
        const struct json *j = json_parse(&a, buf_view(&x->args), NULL);
        MUST(x->open && x->args.n && x->args.p[0] == '{' && x->args.p[x->args.n - 1] == '}');
        MUST(x->odd || (j && j->kind == JSON_OBJECT));
        arena_done(&a);
        x->calls++;
    }
    if (e == CALL_BROKEN) MUST(x->open);
    if (e == CALL_END || e == CALL_BROKEN) {
        x->open = 0;
        buf_str(&x->all, buf_view(&x->args));
        buf_clear(&x->args);
    }
    if (e > CALL_THINKING || x->last != (int)e) buf_printf(&x->all, "|%d:", (int)e);
    x->last = (int)e;
    buf_str(&x->all, s);
}

static void reads(const struct call_form *f, struct str s, size_t cut, struct seen *x)
{
    struct calls c = {.form = f, .on = on_event, .ctx = x};
    calls_begin(&c);
    for (size_t i = 0; i < s.n; i += cut) calls_add(&c, (struct str){s.p + i, s.n - i < cut ? s.n - i : cut});
    calls_end(&c);
    MUST(!x->open && !c.hold.n && strlen(c.warning) < sizeof c.warning);
    calls_done(&c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n < 2) return 0;
    size_t nform = 0;
    while (call_form_at(nform)) nform++;
    struct str s = {(const char *)data + 1, n - 1};
    const struct call_form *f = call_form_at(data[0] % nform);
    int odd = memmem(s.p, s.n, "\\u", 2) != NULL || !utf8_valid(s.p, s.n);
    struct seen one = {.odd = odd}, two = {.odd = odd};
    long live = mem_live();
    reads(f, s, s.n, &one);
    reads(f, s, 1 + data[0] / nform, &two);
    MUST(str_eq(buf_view(&one.all), buf_view(&two.all)));
    buf_done(&one.all);
    buf_done(&two.all);
    buf_done(&one.args);
    buf_done(&two.args);
    MUST(mem_live() == live);
    return 0;
}
