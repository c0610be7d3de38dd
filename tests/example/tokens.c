/* SPDX-License-Identifier: Apache-2.0
 * example/tokens.c: text with liblar, token by token: `tokens MODEL.gguf TEXT` evaluates TEXT, samples what follows and evaluates that in turn. */
#include <lar/lar.h>

#include <stdio.h>
#include <string.h>

enum { ROOM = 512 };

static int go_on(struct lar_model *m, struct lar_session *s, struct lar_sampler *p, const char *text,
                 struct lar_err *err)
{
    int32_t prompt[ROOM], id;
    int64_t n = lar_tokenize(m, text, strlen(text), LAR_TOKENIZE_BOS | LAR_TOKENIZE_SPECIAL, prompt, ROOM, err);
    if (n > ROOM) snprintf(err->msg, sizeof err->msg, "TEXT is longer than %d tokens", ROOM), n = LAR_ELIMIT;
    int rc = n < 0 ? (int)n : lar_session_sync(s, prompt, (size_t)n, err);
    if (rc >= 0) rc = lar_sampler_accept(p, prompt, (size_t)n, err);
    for (; rc >= 0; n++) {
        size_t bytes;
        if ((id = rc = lar_sampler_pick(p, lar_session_logits(s), err)) < 0 || lar_token_ends(m, id)) break;
        const char *piece = lar_token_bytes(m, id, &bytes);
        if (lar_token_type(m, id) != LAR_TOKEN_CONTROL) fwrite(piece, 1, bytes, stdout);
        if (n == ROOM) break;
        if ((rc = lar_sampler_accept(p, &id, 1, err)) >= 0) rc = lar_session_extend(s, &id, 1, NULL, err);
    }
    return rc;
}

int main(int argc, char **argv)
{
    if (argc != 3) return fprintf(stderr, "usage: tokens MODEL.gguf TEXT\n"), 2;
    struct lar_err err;
    struct lar_model *model = NULL;
    struct lar_session *session = NULL;
    struct lar_sampler *sampler = NULL;
    struct lar_sampling used;

    int rc = lar_model_open(&model, argv[1], NULL, &err);
    if (rc >= 0) rc = lar_session_open(&session, model, &(struct lar_session_options){.ctx = ROOM}, &err);
    if (rc >= 0) rc = lar_sampler_open(&sampler, model, NULL, NULL, &err);
    if (rc >= 0) rc = go_on(model, session, sampler, argv[2], &err);
    if (rc >= 0) lar_sampler_used(sampler, &used), fprintf(stderr, "\nseed %lld\n", (long long)used.seed);
    if (rc < 0) fprintf(stderr, "tokens: %s\n", err.msg);

    lar_sampler_close(sampler), lar_session_close(session), lar_model_close(model);
    return rc < 0;
}
