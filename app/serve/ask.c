/* SPDX-License-Identifier: Apache-2.0
 * serve/ask.c: see ask.h. */
#include "serve/ask.h"

#include "base/err.h"

enum { PROMPTS_MAX = 1024 };

void ask_init(struct ask *q)
{
    *q = (struct ask){.seed = -1, .n = 1, .lookup = -1, .draft = -1, .keep_ns = ASK_KEEP_DEFAULT};
    arena_init(&q->a, ASK_ARENA_MAX);
}

void ask_done(struct ask *q) { arena_done(&q->a); }

int ask_text(struct ask *q, struct str s, const char **out, struct lar_err *err)
{
    if (s.n && memchr(s.p, 0, s.n)) return lar_fail(err, LAR_EINVAL, "a text holds a NUL character");
    *out = arena_copy(&q->a, s.p, s.n);
    return *out ? 0 : lar_fail(err, LAR_ENOMEM, "the request is too large");
}

struct ask_prompt *ask_add(struct ask *q, struct lar_err *err)
{
    if (!q->prompt) q->prompt = arena_array(&q->a, PROMPTS_MAX, sizeof *q->prompt);
    if (!q->prompt) {
        lar_fail(err, LAR_ENOMEM, "the request is too large");
        return NULL;
    }
    if (q->nprompt == PROMPTS_MAX) {
        lar_fail(err, LAR_EINVAL, "more than %d prompts in a request", PROMPTS_MAX);
        return NULL;
    }
    return &q->prompt[q->nprompt++];
}
