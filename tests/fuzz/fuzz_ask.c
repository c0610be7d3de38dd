/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/fuzz/fuzz_ask.c: bodies of requests, in every dialect (the first byte chooses): each is refused with a sentence or becomes prompts that
 * are JSON, text or ids. Host and Origin headers ride along.
 */
#include <stdint.h>
#include <stdlib.h>

#include "net/origin.h"
#include "serve/anthropic.h"
#include "serve/ollama.h"
#include "serve/openai.h"
#include "serve/responses.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void must(int ok)
{
    if (!ok) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct ask q;
    struct lar_err err = {0};
    if (n == 0) return 0;
    struct str body = {(const char *)data + 1, n - 1};
    ask_init(&q);
    int kind = *data & 1, rc = *data & 8   ? anthropic_read(&q, kind, body, &err)
                               : *data & 4 ? responses_read(&q, kind, body, &err)
                               : *data & 2 ? openai_read(&q, kind, body, &err)
                                           : ollama_read(&q, kind, body, &err);
    if (rc == 0 && q.body)
        rc = responses_prompt(&q, q.items, &err); /* what was kept is read as what was sent */
    must(rc <= 0 && (rc == 0 || err.msg[0]));
    must(rc < 0 || q.load_only || q.nprompt > 0);
    must(rc < 0 || !q.body || q.nprompt == 1);
    for (size_t i = 0; rc == 0 && i < q.nprompt; i++) {
        const struct ask_prompt *p = &q.prompt[i];
        must((p->chat != NULL) + (p->text != NULL) + (p->tokens != NULL) == 1);
        if (p->chat) must(json_parse(&q.a, str_of(p->chat), NULL) != NULL);
    }
    ask_done(&q);
    char *z = malloc(n);
    if (!z) return 0;
    memcpy(z, data + 1, n - 1);
    z[n - 1] = 0;
    must(!origin_ok(z, NULL, 0) || strstr(z, "localhost") || strstr(z, "LOCALHOST") ||
         strstr(z, "127") || strstr(z, "::1") || strcasestr(z, "localhost"));
    origin_host_ok(z, NULL, 0);
    free(z);
    return 0;
}
