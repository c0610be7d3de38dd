/* SPDX-License-Identifier: Apache-2.0
 *
 * tools/peer_logits.c: llama.cpp's logits for tools/accuracy.py, which compiles it. No part of Lar: it needs llama.cpp's llama.h and libllama.
 *
 *   peer_logits MODEL THREADS STEP KV <IDS >LOGITS
 *
 * IDS are chunks of tokens as text, a chunk a line; each begins anew and is evaluated STEP tokens at a time. LOGITS are F32, row after row, one for each token. KV is f16
 * or f32; all else is as llama.cpp has it by itself.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "llama.h"

enum { CHUNK = 4096 };

static void warnings(enum ggml_log_level level, const char *text, void *ctx)
{
    (void)ctx;
    if (level >= GGML_LOG_LEVEL_ERROR) fputs(text, stderr);
}

static int chunk(struct llama_context *c, llama_token *id, int n, int step, size_t vocab)
{
    static int8_t wanted[CHUNK];
    static int32_t one[CHUNK];
    static llama_seq_id zero, *seq[CHUNK];
    static llama_pos pos[CHUNK];
    memset(wanted, 1, sizeof wanted);
    llama_memory_clear(llama_get_memory(c), true);
    for (int i = 0; i < n; i++) {
        one[i] = 1;
        seq[i] = &zero;
        pos[i] = i;
    }
    for (int i = 0; i < n; i += step) {
        int rows = n - i < step ? n - i : step;
        struct llama_batch b = {
            .n_tokens = rows, .token = id + i, .pos = pos + i, .n_seq_id = one, .seq_id = seq, .logits = wanted};
        if (llama_decode(c, b)) return -1;
        if (fwrite(llama_get_logits(c), vocab * sizeof(float), (size_t)rows, stdout) != (size_t)rows) return -1;
    }
    return 0;
}

int main(int argc, char **argv)
{
    static char line[16 * CHUNK];
    static llama_token id[CHUNK];
    if (argc != 5) return 2;
    llama_log_set(warnings, NULL);
    llama_backend_init();
    struct llama_model *m = llama_model_load_from_file(argv[1], llama_model_default_params());
    if (!m) return 1;
    struct llama_context_params p = llama_context_default_params();
    p.n_ctx = CHUNK;
    p.n_threads = p.n_threads_batch = (int32_t)strtol(argv[2], NULL, 10);
    if (!strcmp(argv[4], "f32")) p.type_k = p.type_v = GGML_TYPE_F32;
    struct llama_context *c = llama_init_from_model(m, p);
    int step = (int)strtol(argv[3], NULL, 10);
    if (!c || step < 1) return 1;
    size_t vocab = (size_t)llama_vocab_n_tokens(llama_model_get_vocab(m));
    while (fgets(line, sizeof line, stdin)) {
        int n = 0;
        for (char *at = line, *end; n < CHUNK; at = end) {
            long v = strtol(at, &end, 10);
            if (end == at) break;
            id[n++] = (llama_token)v;
        }
        if (chunk(c, id, n, step, vocab)) return 1;
    }
    llama_free(c);
    llama_model_free(m);
    return fflush(stdout) != 0;
}
