/* SPDX-License-Identifier: Apache-2.0
 *
 * cli/target.h: may a verb write there? Every verb that writes a file asks here before it reads a byte, so that a slip of the hand
 * (the output named like the input) costs a line of text and not the model. An earlier output of the same kind is replaced, as before. */
#ifndef CLI_TARGET_H
#define CLI_TARGET_H

#include <lar/err.h>

#include <stddef.h>

enum target_kind {
    TARGET_MODEL,   /* a GGUF with a model, or parts of one */
    TARGET_IMATRIX, /* a GGUF with an importance matrix */
    TARGET_NUMBERS, /* safetensors */
    TARGET_BASE,    /* what lar perplexity --save-base writes */
    TARGET_TALK,    /* a chat's JSON */
    TARGET_HISTORY, /* a chat's lines */
    TARGET_PACK     /* what lar pack writes */
};

enum { TARGET_INPUTS_MAX = 40 };
struct target {
    const char *input[TARGET_INPUTS_MAX];
    size_t ninput;
};

/* path is a file that the verb reads, by name, "-" being standard input; NULL is none. A model's file stands for all its parts, a folder
 * for all files in it. */
void target_input(struct target *t, const char *path);
/* Refuses with LAR_EINVAL a path that is one of the inputs (by another name, a link, a part: the same file on the disk), one that holds
 * something of another kind, and "-". parts: the writer makes PATH-00001-of-0000N.gguf of path. */
int target_check(const struct target *t, const char *path, enum target_kind kind, int parts, struct lar_err *err);
/* The same with MODEL as the command line has it among the inputs: a path or a name. */
int target_check_model(const struct target *t, const char *model, const char *path, enum target_kind kind,
                       struct lar_err *err);

#endif
