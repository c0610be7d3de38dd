/* SPDX-License-Identifier: Apache-2.0
 * tests/fuzz/fuzz_regex.c: any bytes as an expression of a tokenizer.json and, behind the first NUL, as a text to look for it in. Whatever comes: a
 * refusal with a sentence, or matches from left to right within the text, the same ones when it is looked through again, and nothing left behind.
 * Works with libFuzzer and with replay.c. */
#include <stdint.h>

#include "base/mem.h"
#include "must.h"
#include "text/regex.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* A number that stands for all matches. */
static uint64_t look(struct regex_search *r, struct str s)
{
    uint64_t sum = 1;
    size_t begin = 0, end = 0, last = SIZE_MAX;
    MUST(regex_search_text(r, s) == 0);
    for (size_t from = 0; from <= s.n && regex_search_next(r, from, &begin, &end) == 1;) {
        MUST(from <= begin && begin <= end && end <= s.n);
        from = end + (begin == end && end == last);
        last = end;
        sum = (sum ^ begin << 20 ^ end) * 0x9e3779b97f4a7c15;
    }
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    size_t k = n ? strnlen((const char *)data, n) : 0;
    struct str pattern = {(const char *)data, k}, text = {(const char *)data + k + 1, k < n ? n - k - 1 : 0};
    struct regex *re = NULL;
    struct lar_err err = {0};
    long live = mem_live();
    if (!text.n) text.p = "";
    if (!k) pattern.p = "";
    int rc = regex_open(&re, pattern, &err);
    MUST(rc == 0 ? re != NULL : rc == err.code && err.msg[0] && !re);
    struct regex_search *r = rc == 0 ? regex_search_open(re) : NULL;
    if (r) MUST(look(r, text) == look(r, text));
    regex_search_close(r);
    regex_close(re);
    MUST(mem_live() == live);
    return 0;
}
