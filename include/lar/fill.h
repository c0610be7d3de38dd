/* SPDX-License-Identifier: Apache-2.0
 *
 * lar/fill.h: prompts for what stands between two texts, of models that were trained to fill in the middle.
 *
 * Such a vocabulary has tokens for it, which a GGUF names (tokenizer.ggml.fim_pre_token_id, ...) or which are known by their texts:
 *
 *     [PRE] prefix prompt [SUF] suffix [MID]             and with `project`, before that, other files of the same project:
 *     [REP] "myproject\n" { [SEP] name "\n" text } [SEP] "filename\n"
 *
 * as Qwen2.5-Coder has it (arxiv.org/abs/2409.12186) and llama.cpp's server lays it out; marks that the vocabulary lacks are left out, and texts
 * of files then follow a line "--- snippet ---". A token of the beginning, where the model wants one, stands before PRE. Names of control
 * tokens in all these texts are text.
 */
#ifndef LAR_FILL_H
#define LAR_FILL_H

#include <lar/lar.h>

#ifdef __cplusplus
extern "C" {
#endif

struct lar_fill_file {
    const char *name, *text; /* name NULL: "tmp" */
};

struct lar_fill {
    const char *prefix, *suffix; /* NULL: "" */
    const char *prompt;          /* how the middle begins; NULL: "" */
    int project;                 /* 1: with the marks of a project and its files */
    const struct lar_fill_file *file;
    size_t nfile;
};

/* The tokens of the prompt, for lar_request.tokens: *out, which the caller frees with lar_free. Gives their number. LAR_EUNSUPPORTED names what the
 * model's vocabulary lacks. */
LAR_API int64_t lar_fill_tokens(const struct lar_model *m, const struct lar_fill *f, int32_t **out,
                                struct lar_err *err);

#ifdef __cplusplus
}
#endif
#endif
