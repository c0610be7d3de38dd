/* SPDX-License-Identifier: Apache-2.0
 * store/describe.h: what a model's config says of it: family, size, quantisation, as Ollama's config does (types/model/config.go). */
#ifndef STORE_DESCRIBE_H
#define STORE_DESCRIBE_H

#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "store/manifest.h"

enum { DESCRIBE_WORD = 96 };
struct describe {
    char family[DESCRIBE_WORD], type[DESCRIBE_WORD],
        file_type[DESCRIBE_WORD]; /* "qwen3", "751.63M", "Q8_0" */
    char renderer[DESCRIBE_WORD], parser[DESCRIBE_WORD],
        requires[DESCRIBE_WORD]; /* Ollama's own; kept, not used */
    int64_t ctx, width;
    int parts, projector, adapter; /* of a file */
};

/* Looks into a GGUF. */
int describe_file(struct describe *d, const char *path, struct lar_err *err);
/* Takes over what a file cannot say from the config of the model that another begins from. */
void describe_keep(struct describe *d, const struct json *config);
/* "renderer", "parser" or "requires". */
int describe_set(struct describe *d, const char *what, struct str value, struct lar_err *err);
/* The config's JSON; rootfs lists the layers of m. */
void describe_write(const struct describe *d, const struct manifest *m, struct buf *b);
/* 7615616512 as "7.6B" */
void describe_count(int64_t n, char *out, size_t size);

#endif
