/* SPDX-License-Identifier: Apache-2.0
 *
 * text/vocab_make.h: a tokenizer on its way from another form to the keys of a GGUF. Private to its readers (vocab_hf*.c, vocab_sp.c,
 * vocab_tiktoken.c), which fill this in; vocab_make_image writes the keys.
 *
 * Keys of Lar's own, for what tokenizer.ggml.* cannot say. A file that has tokenizer.lar.added was made from the tokenizer's own files:
 * nothing is then guessed from names.
 *
 *     tokenizer.lar.added       u8 [tokens], MAKE_* bits of the tokens that are found in text by their names
 *     tokenizer.lar.before      i32 [..] ids that are put before a text, where that is not just bos; .after: behind it
 *     tokenizer.lar.normalizer  strings: what happens to text first, in order (vocab_norm.h)
 *     tokenizer.lar.prefix      u32: when a text gets a space before it, PREFIX_*
 *     tokenizer.lar.ignore_merges  bool: a word that is a token is taken whole
 *     tokenizer.lar.words       u32: what lies between the normalizer and the model, WORDS_*; with it the normalizer's steps are all that
 *                               happens to text before (byte-level BPE: tokenizer.ggml.pre instead)
 *     tokenizer.lar.scores      f64 [tokens], Unigram's scores where floats (tokenizer.ggml.scores) are not the same numbers
 *     tokenizer.lar.split       strings: steps of the pre_tokenizer (split_regex.h) where tokenizer.ggml.pre has no name for them, which is "lar.split"
 *                               then, so that other programs do not take the file for one that they know
 *     tokenizer.lar.word_max    u32: characters of WordPiece's longest word
 */
#ifndef TEXT_VOCAB_MAKE_H
#define TEXT_VOCAB_MAKE_H

#include "base/json.h"
#include "base/mem.h"
#include "text/vocab.h"
#include "text/vocab_hf.h"
#include "text/vocab_impl.h"

enum { MAKE_ADDED = 1, MAKE_LSTRIP = 2, MAKE_RSTRIP = 4, MAKE_SINGLE = 8, MAKE_NORMALIZED = 16 };
/* It is a piece of the model too; a WordPiece that goes on with a word. */
enum { MAKE_PIECE = 32, MAKE_INNER = 64 };

enum {
    MAKE_LIST = 8
}; /* NORM_STEPS, ADDED_IDS and SPLIT_STAGES_MAX of a vocabulary are no fewer */

struct make_list {
    struct str s[MAKE_LIST];
    size_t n;
};

struct vocab_make {
    const char *model; /* tokenizer.ggml.model */
    struct str pre;    /* tokenizer.ggml.pre; n = 0: none */
    size_t n, cap;     /* tokens */
    struct str *token; /* [n] as a GGUF writes them; n = 0: no token with this id */
    uint8_t *type;     /* [n] enum token_type */
    uint8_t *added;    /* [n] MAKE_* */
    double *score;     /* [n] */
    int scores;        /* they count */
    int exact;         /* added[] says which tokens are found in text, and how */
    struct str *merge; /* [nmerge] "left right" */
    size_t nmerge;
    struct vocab_special special; /* ids, -1 for none; add_*: -1 where nothing is said */
    int32_t before[MAKE_LIST], after[MAKE_LIST];
    size_t nbefore, nafter;
    int lists;  /* before and after are known and not just bos and eos */
    int prefix; /* PREFIX_* or -1 */
    int words, word_max; /* WORDS_* or -1; 0: the usual */
    int remove_spaces, lowercase, strip_accents, ignore_merges; /* -1: nothing is said */
    struct str charsmap, chat_template;
    struct make_list normalizer, split; /* split: expressions of the pre_tokenizer */
    unsigned char how[MAKE_LIST], inverted[MAKE_LIST], alphabet[MAKE_LIST]; /* of each: SPLIT_*; it stands behind ByteLevel */
    unsigned punctuation; /* bits of those that are the step Punctuation */
    int is_alphabet;      /* ByteLevel was read */
    struct arena a;
};

int vocab_make_init(struct vocab_make *m,
                    struct lar_err *err); /* 0; undo with vocab_make_done in any case */
void vocab_make_done(struct vocab_make *m);
/* Makes room for ids below n; tokens that are not set have no text. */
int vocab_make_room(struct vocab_make *m, size_t n, struct lar_err *err);
/* Sets token id, which lies below MAKE_IDS_MAX. text is borrowed (m's arena, or the files that are open until the end). */
int vocab_make_token(struct vocab_make *m, int64_t id, struct str text, enum token_type type,
                     double score, struct lar_err *err);
/* The first token with exactly this text, -1 for none. Linear: for a handful of names. */
int32_t vocab_make_find(const struct vocab_make *m, struct str text);
int make_list_add(struct make_list *l, struct str s, struct lar_err *err);
/* Appends the keys as a GGUF file without tensors. */
int vocab_make_image(struct vocab_make *m, struct buf *out, struct lar_err *err);

#define MAKE_IDS_MAX (1 << 24)

/* The readers. side: the folder in which the file lies, for what is read beside it. */
int vocab_hf_json(struct vocab_make *m, struct str text, struct lar_err *err); /* tokenizer.json */
/* A number's text as Hugging Face's reader takes it. */
double vocab_hf_double(struct str number);
int vocab_hf_pair(struct vocab_make *m, struct str vocab, struct str merges, struct str class,
                  struct lar_err *err);
int vocab_hf_wordpieces(struct vocab_make *m, struct str text, struct lar_err *err); /* vocab.txt */
int vocab_hf_added(struct vocab_make *m, const struct json *list,
                   struct lar_err *err); /* added_tokens of a tokenizer.json */
int vocab_hf_pre(struct vocab_make *m, const struct json *pre,
                 struct lar_err *err); /* pre_tokenizer of byte-level BPE */
/* The expressions of a tokenizer.ggml.pre, up to the first NULL of SPLIT_STAGES_MAX; NULL: none are known. */
const char *const *vocab_hf_stages(struct str pre);
int vocab_sp_read(struct vocab_make *m, struct str file, struct lar_err *err); /* tokenizer.model */
int vocab_tiktoken_read(struct vocab_make *m, struct str file,
                        struct lar_err *err); /* lines of base64 and rank */
int vocab_tiktoken_is(struct str file);

#endif
