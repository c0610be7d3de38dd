/* SPDX-License-Identifier: Apache-2.0
 *
 * text/split.h: how byte-level BPE cuts text into words before it merges: one splitter for each tokenizer.ggml.pre.
 *
 * The reference states each as a regular expression, or as several applied one after the other, each to the pieces that the one
 * before left. Here each expression is a function written by hand that finds the end of the match at one place without going back
 * over the text, so that no text costs more than linear time. Pieces are cut at matches and at what lies between them ("isolated").
 */
#ifndef TEXT_SPLIT_H
#define TEXT_SPLIT_H

#include <stddef.h>

#include "base/buf.h"
#include "base/str.h"

#define SPLIT_STAGES_MAX 6

/* The end of the match that begins at byte `at` of the piece s (at < n). These match everywhere: every text is covered. */
typedef size_t split_fn(const char *s, size_t n, size_t at);

/* The first match at or after `from` (from < n): where it begins in *start, its end as the result; *start = n when there is none. */
typedef size_t split_find_fn(const char *s, size_t n, size_t from, size_t *start);

struct splitter {
    const char *names;                      /* separated by single spaces */
    split_find_fn *stage[SPLIT_STAGES_MAX]; /* up to the first NULL */
    split_fn *last;                         /* the last one, where that matches everywhere; or NULL */
    unsigned flags;
};

enum {
    SPLIT_NFC = 2,           /* the reference brings text into NFC first */
    SPLIT_IGNORE_MERGES = 4, /* a word that is a token is taken whole */
    SPLIT_ADD_BOS = 8,       /* when the file does not say */
    SPLIT_MASK_LSTRIP = 16,  /* <mask> or [MASK] swallows the white space before it */
    SPLIT_LONG = 32          /* words are long; they may be cut where no piece reaches across */
};

/* NULL when no splitter has this name. */
const struct splitter *split_find(struct str name);
/* The splitter for a file that names none, from its architecture; what was usual for it before files named theirs. */
const struct splitter *split_find_arch(struct str arch);
/* All names, separated by spaces. */
void split_names(struct buf *out);

/* Calls emit with each piece of s in order, until it answers other than 0; gives that answer. */
typedef int split_emit(void *ctx, const char *p, size_t n);
int split_each(const struct splitter *sp, struct str s, split_emit *emit, void *ctx);

/* split_word.c */
split_fn split_gpt2, split_llama3, split_cl100k, split_qwen2, split_qwen35, split_seed_coder, split_ufakzeka,
    split_minicpm5, split_exaone_moe, split_gpt4o, split_tekken, split_youtu, split_kimi;
/* split_more.c */
split_find_fn split_digit, split_digits, split_digits3, split_ascii_digits3, split_newline, split_lines,
    split_letters_sp, split_punct_sp, split_cjk, split_scripts_sp, split_symbols_sp, split_spaces_end,
    split_deepseek_cjk, split_deepseek3, split_spark, split_punct_falcon, split_bloom,
    split_grouped_digits, split_grouped_digits_all, split_thousands, split_asian, split_youtu_cjk,
    split_chameleon, split_chameleon_space, split_chameleon_punct, split_space_powers;

#endif
