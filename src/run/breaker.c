/* SPDX-License-Identifier: Apache-2.0
 *
 * run/breaker.c: plain searches; the strings are short and few.
 */
#include "run/breaker.h"

#include <string.h>

static const char *const customary[] = {"\n", ":", "\"", "*"};

void breaker_init(struct breaker *b, const char *const *text, size_t n)
{
    *b = (struct breaker){.text = text, .n = n};
    if (!text) b->text = customary, b->n = sizeof customary / sizeof *customary;
    for (size_t i = 0; i < b->n; i++)
        if (strlen(b->text[i]) > b->longest) b->longest = strlen(b->text[i]);
    if (b->longest > 1) buf_room(&b->tail, b->longest + 256);
}

void breaker_done(struct breaker *b) { buf_done(&b->tail); }

void breaker_reset(struct breaker *b) { b->tail.n = 0; }

/* Whether a string ends in s after its first `from` bytes. */
static int ends_after(const struct breaker *b, const char *s, size_t n, size_t from)
{
    for (size_t i = 0; i < b->n; i++) {
        size_t len = strlen(b->text[i]), start = from >= len ? from + 1 - len : 0;
        if (len <= n && memmem(s + start, n - start, b->text[i], len)) return 1;
    }
    return 0;
}

int breaker_tokens(const struct breaker *b, const struct vocab *v, struct ids *out)
{
    int rc = 0;
    for (int32_t id = 0; id < vocab_size(v) && rc == 0; id++) {
        struct str s = vocab_bytes(v, id);
        if (s.n && ends_after(b, s.p, s.n, 0)) rc = ids_add(out, id);
    }
    return rc;
}

int breaker_feed(struct breaker *b, struct str bytes)
{
    if (b->longest < 2 || !bytes.n) return 0;
    size_t before = b->tail.n;
    buf_str(&b->tail, bytes);
    int found = ends_after(b, b->tail.p, b->tail.n, before);
    if (b->tail.n >= b->longest) {
        size_t drop = b->tail.n - (b->longest - 1);
        memmove(b->tail.p, b->tail.p + drop, b->longest - 1);
        b->tail.n = b->longest - 1;
    }
    return found;
}
