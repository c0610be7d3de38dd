/* SPDX-License-Identifier: Apache-2.0
 *
 * text/vocab_hf.h: tokenizers that are not in a GGUF: a Hugging Face folder, tokenizer.json, SentencePiece's tokenizer.model, tiktoken's
 * ranks, BERT's vocab.txt. Each becomes what a GGUF would hold: an image in memory of a GGUF without tensors, so that there is one way to open
 * a tokenizer (vocab_open) and one set of keys that a converter copies into the file that it writes:
 *
 *     struct vocab_image im;
 *     if (vocab_hf_open(&im, "models/Qwen3-0.6B", 0, err) < 0) return err->code;
 *     for (size_t i = 0; i < im.g.nkv; i++) copy(&im.g.kv[i]);      or      vocab_open(&v, &im.g, err);
 *     vocab_hf_close(&im);
 *
 * The keys are tokenizer.ggml.* as llama.cpp's converter writes them, tokenizer.chat_template and, for what that form cannot say,
 * tokenizer.lar.* (text/vocab_make.h), which other programs pass over.
 */
#ifndef TEXT_VOCAB_HF_H
#define TEXT_VOCAB_HF_H

#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "io/gguf.h"

struct vocab_image {
    struct gguf g; /* nkv keys, no tensors; borrows bytes */
    struct buf bytes;
};

/* path: a folder with tokenizer.json, tokenizer.model, vocab.json and merges.txt, vocab.txt or a .tiktoken file, or one of these files
 * (what lies beside it is read too: tokenizer_config.json, special_tokens_map.json, added_tokens.json, chat_template.jinja, and ids from
 * generation_config.json and config.json). rows: when more than the tokens there are, unused ones named [PAD<id>] are appended, as a model with that
 * many embeddings needs; 0: none. Something that changes ids and is not known is LAR_EUNSUPPORTED with its name. */
int vocab_hf_open(struct vocab_image *out, const char *path, int64_t rows, struct lar_err *err);
void vocab_hf_close(struct vocab_image *im);

/* Is path a folder, or by its name (.json, .model, .tiktoken, vocab.txt) a file that vocab_hf_open reads? 1 or 0; what cannot be looked at is
 * left to the opening. */
int vocab_hf_is(const char *path);

#endif
