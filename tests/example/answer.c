/* SPDX-License-Identifier: Apache-2.0
 * example/answer.c: a whole program with liblar: `answer MODEL.gguf TEXT` prints the model's answer as it comes.
 *     cc answer.c $(pkg-config --cflags --libs lar) -o answer */
#include <lar/lar.h>

#include <stdio.h>

static int print(void *ctx, enum lar_text_kind kind, const char *text, size_t n)
{
    if (kind == LAR_TEXT_ANSWER) fwrite(text, 1, n, ctx);
    return fflush(ctx); /* anything but 0 stops the answer */
}

int main(int argc, char **argv)
{
    if (argc != 3) return fprintf(stderr, "usage: answer MODEL.gguf TEXT\n"), 2;

    struct lar_err err;
    struct lar_model *model = NULL;
    struct lar_session *session = NULL;
    struct lar_result result = {0};
    struct lar_sampling greedy;
    struct lar_message message = {"user", argv[2]};
    struct lar_request request = {
        .messages = &message, .nmessage = 1, .sampling = &greedy, .on_text = print, .ctx = stdout};

    int rc = lar_model_open(&model, argv[1], NULL, &err);
    if (rc == 0) rc = lar_session_open(&session, model, NULL, &err);
    if (rc == 0) {
        lar_sampling_default(&greedy, model);
        greedy.temp = 0;
        rc = lar_generate(session, &request, &result, &err);
    }
    if (rc < 0)
        fprintf(stderr, "answer: %s\n", err.msg);
    else
        putchar('\n');

    lar_result_free(&result);
    lar_session_close(session);
    lar_model_close(model);
    return rc < 0;
}
