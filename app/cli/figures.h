/* SPDX-License-Identifier: Apache-2.0
 *
 * cli/figures.h: what `lar quality` has measured, kept beside the candidates (DIR/quality.json), so that a run that was broken off goes on where it
 * stopped and a further type costs only itself.
 */
#ifndef CLI_FIGURES_H
#define CLI_FIGURES_H

#include <lar/quant.h>

#include <stddef.h>

enum { FIGURES_MAX = 64, FIGURES_NAME = 24 };

struct figures {
    char type[FIGURES_NAME];
    uint64_t bytes, memory; /* of the weights; with a session */
    double bits;            /* a weight */
    double tok_s;           /* one by one */
    struct lar_perplexity p; /* ppl, ppl_error, kl, kl_error, kl_99, same_top */
    int64_t file_bytes, file_time; /* of the candidate: nanoseconds of its last change; 0, 0 for the source */
};

struct figures_book {
    char id[65]; /* of the question: the model, the text, how much of it */
    struct figures v[FIGURES_MAX];
    size_t n;
    int other; /* what the file held was of another question */
};

/* The question's identity. imatrix: NULL for none. */
int figures_ask(struct figures_book *b, const char *model, const char *imatrix, const char *text, size_t text_n,
                int ctx, int chunks, struct lar_err *err);
/* Fills v with what folder/quality.json says of this very question; none is no error, a file that is something else is. */
int figures_read(struct figures_book *b, const char *folder, struct lar_err *err);
/* What is known of the type when folder/TYPE.gguf is still the file that was measured (or it is the source, "(source)"), or NULL. */
const struct figures *figures_find(const struct figures_book *b, const char *folder, const char *type);
/* Takes a row, in the place of an older one of its type, and writes the file anew, whole. */
int figures_add(struct figures_book *b, const char *folder, const struct figures *f, struct lar_err *err);

#endif
