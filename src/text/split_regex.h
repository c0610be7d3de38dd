/* SPDX-License-Identifier: Apache-2.0
 *
 * text/split_regex.h: the steps of a tokenizer.json's pre_tokenizer for which there is no splitter written by hand: expressions, each run over the
 * pieces that the one before left, and what becomes of matches (the library's SplitDelimiterBehavior). tokenizer.lar.split holds them, a string each:
 * the behavior's letter, '!' where matches and what lies between change places, U+001F, the expression.
 */
#ifndef TEXT_SPLIT_REGEX_H
#define TEXT_SPLIT_REGEX_H

#include "base/err.h"
#include "io/gguf.h"
#include "text/split.h"

enum { SPLIT_ISOLATED = 'i', SPLIT_REMOVED = 'r', SPLIT_PREVIOUS = 'p', SPLIT_NEXT = 'n', SPLIT_CONTIGUOUS = 'c' };

struct split_own;

/* From the key: 1 and *out, the caller's to close; 0 where the file has none. */
int split_own_open(struct split_own **out, const struct gguf *g, struct lar_err *err);
void split_own_close(struct split_own *o);
/* As split_each; LAR_ENOMEM when there is not enough. Any number of threads. */
int split_own_each(const struct split_own *o, struct str s, split_emit *emit, void *ctx);

#endif
