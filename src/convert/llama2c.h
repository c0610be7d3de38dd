/* SPDX-License-Identifier: Apache-2.0
 *
 * convert/llama2c.h: models of llama2.c (github.com/karpathy/llama2.c), whose .bin files are numbers behind a short header.
 *
 *   version 0  i32 dim, hidden_dim, n_layers, n_heads, n_kv_heads, vocab_size (negative: with an output of its own), seq_len; then F32:
 *              embedding, norms of attention, wq, wk, wv, wo, norms of feed-forward, w1, w2, w3 (each of all layers), the last norm, cosines and
 *              sines of the rotation (seq_len * head / 2 each), the output
 *   version 1  "24ka", i32 1, the seven numbers, u8 whether the output is the embedding, zeros up to 256; then F32: both kinds of norms of all layers,
 *              the last norm, embedding, wq, wk, wv, wo, w1, w2, w3, the output
 *   version 2  the same head with 2 and, behind the u8, i32 group; norms F32; every other matrix i8 [n] and F32 [n / group]
 *
 * tokenizer.bin: i32 longest, then for each id F32 score, i32 length, text (with spaces where SentencePiece has U+2581).
 */
#ifndef CONVERT_LLAMA2C_H
#define CONVERT_LLAMA2C_H

#include "convert/convert.h"

/* Is this file one of them? By its first bytes, and for version 0 its length: 1 or 0; a file that cannot be read is none. */
int llama2c_is(const char *path);
/* Fills c, which is zeroed but for its arena. The tokenizer lies beside the file: tokenizer.bin, or tok<vocab_size>.bin. */
int llama2c_open(struct convert *c, const char *path, struct lar_err *err);

#endif
