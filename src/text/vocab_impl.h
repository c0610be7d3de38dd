/* SPDX-License-Identifier: Apache-2.0
 *
 * text/vocab_impl.h: what a vocabulary is inside. Private to the tokenizers (vocab*.c, bpe*.c, spm*.c, unigram*.c, wordpiece.c).
 *
 * Every piece is kept as the bytes that it stands for in running text: byte-level alphabets are decoded, the space sign U+2581 is a
 * space, <0x0A> is a line end. Text is looked up in that form, so that encoding and decoding share one pool, and " the" is four bytes.
 * After loading nothing changes but `whole`, where encoders note what they found out; any two would note the same.
 */
#ifndef TEXT_VOCAB_IMPL_H
#define TEXT_VOCAB_IMPL_H

#include <stdatomic.h>

#include "base/mem.h"
#include "text/split.h"
#include "text/split_regex.h"
#include "text/vocab.h"
#include "text/vocab_table.h"
#include "text/vocab_trie.h"

#define PIECE_MAX 2048 /* bytes; a longer piece is refused: real ones stay far below */

#define VOCAB_ALPHABET 324 /* characters of GPT-2's alphabet of bytes */

enum vocab_kind {
    VOCAB_BPE,       /* gpt2: merges over bytes, words by a splitter */
    VOCAB_CHARS,     /* gemma4: merges over characters, bytes where a character is unknown */
    VOCAB_SPM,       /* llama: SentencePiece BPE: what is a piece may merge, the best score first */
    VOCAB_UNIGRAM,   /* t5: SentencePiece Unigram */
    VOCAB_WORDPIECE, /* bert */
    VOCAB_RWKV,      /* rwkv: the longest piece */
};

/* Flags beside the type in vocab.type[]. */
enum { TOKEN_TYPE = 7, TOKEN_SINGLE = 8, TOKEN_LSTRIP = 16, TOKEN_RSTRIP = 32, TOKEN_ENDS = 64 };

enum { WHOLE_UNKNOWN, WHOLE_YES, WHOLE_NO };

/* PREFIX_UNLESS and _FIRST give none to text that begins with a space; _FIRST only to the beginning of the whole text. */
enum { PREFIX_NONE, PREFIX_ALWAYS, PREFIX_UNLESS, PREFIX_FIRST };
/* Where a stretch of text lies: it begins the whole text; it continues one that had its prefix. */
enum { STRETCH_FIRST = 1, STRETCH_NEXT = 2 };

struct merge {
    uint64_t pair; /* left << 32 | right; left is an id, so never all ones */
    uint32_t rank;
    int32_t id; /* what they become */
};

/* How normalised text becomes words (vocab_words.c): cut at white space; besides, punctuation stands alone as in BERT; or runs of \w and of other
 * characters are apart; cut before each U+2581; unknown characters side by side are not one. */
enum { WORDS_SPACE = 1, WORDS_BERT = 2, WORDS_CLASS = 4, WORDS_SIGN = 8, WORDS_LONE = 16, WORDS_ALL = 31 };
enum { WORD_MAX = 100, WORD_MAX_MOST = 250 }; /* characters of WordPiece's longest word */

/* Steps that text takes first (vocab_norm.c). */
enum norm_kind {
    NORM_NFC, NORM_NFD, NORM_COMPAT, NORM_LOWERCASE, NORM_ACCENTS, NORM_STRIP, NORM_REPLACE, NORM_RUNS, NORM_PREPEND,
    NORM_NMT, NORM_MAP, NORM_BERT_CLEAN, NORM_BERT_FOLD,
};
enum { NORM_STEPS = 24, ADDED_IDS = 8 };
enum { BERT_CLEAN = 1, BERT_CHINESE = 2, BERT_ACCENTS = 4, BERT_LOWER = 8 };

struct norm_step {
    enum norm_kind kind;
    unsigned how;        /* BERT_*; NORM_STRIP: 1 left, 2 right; NORM_RUNS: 1 any white space, 2 of two and more only */
    struct str from, to; /* NORM_REPLACE, NORM_RUNS, NORM_PREPEND */
};

struct vocab {
    enum vocab_kind kind;
    int32_t n;
    const struct gguf_kv *tokens;
    uint32_t *off;           /* [n + 1] where pieces begin in pool */
    char *pool;
    uint8_t *type;           /* [n] enum token_type and flags */
    atomic_uchar *whole;     /* [n] WHOLE_*: do its own bytes, as a word, become this token? */
    double *score;           /* [n]; SPM and Unigram: floats, but for a tokenizer.json's own */
    struct vocab_table table;
    size_t piece_max;        /* bytes of the longest piece */
    int twins;               /* two pieces stand for the same bytes */
    struct merge *merge;     /* hash table; BPE and CHARS */
    uint32_t merge_mask;
    int merge_shift;
    int32_t byte_id[256];    /* the token of a byte, or -1 */
    int16_t alphabet[VOCAB_ALPHABET]; /* the byte of a character below U+0144 in that alphabet, or -1 */
    int32_t unk;             /* what unknown characters become, or -1 */
    struct vocab_special special;
    const struct splitter *split;
    struct split_own *own;   /* BPE: expressions of the file, instead of a splitter */
    unsigned split_flags;    /* SPLIT_*: the splitter's, or what the file says */
    const uint8_t *found;    /* [n] MAKE_* of vocab_make.h; with exact */
    int exact;               /* made from the tokenizer's own files: nothing is guessed from names */
    struct norm_step norm[NORM_STEPS];
    size_t nnorm;
    int32_t before[ADDED_IDS], after[ADDED_IDS]; /* with lists: what is put round a text */
    size_t nbefore, nafter;
    int lists;
    struct trie added;       /* tokens that are found in text before anything else */
    struct trie added_norm;  /* and those that are found in normalised text (exact) */
    struct trie verbatim;    /* SPM, Unigram: the user's own pieces as the file writes them: normalising leaves them alone */
    struct trie user;        /* SPM, Unigram: the same as text becomes them, found after normalising */
    struct trie pieces;      /* Unigram, WordPiece, RWKV: all others */
    int byte_tokens;         /* there are <0x00> ... <0xFF> */
    int prefix;              /* PREFIX_*: a space before the text */
    int words;               /* WORDS_*, or -1: not from a tokenizer.json, or byte-level BPE */
    size_t word_max;         /* WordPiece */
    int remove_spaces;       /* SPM, Unigram: see spm_load.c */
    int unused_pieces;       /* SPM: some are of type unused and taken apart again */
    int lowercase, strip_accents; /* WordPiece */
    uint8_t *joins;          /* CHARS, SPM: [256][32] does any piece hold byte a before byte b? bit b of [a] */
    double score_min;        /* Unigram: of normal pieces */
    struct str map_trie, map_text; /* Unigram: the model's own normalisation */
    struct arena a;
};

static inline struct str vocab_raw(const struct vocab *v, int32_t id)
{
    return (struct str){v->pool + v->off[id], v->off[id + 1] - v->off[id]};
}
static inline int vocab_type_of(const struct vocab *v, int32_t id)
{
    return v->type[id] & TOKEN_TYPE;
}
/* SentencePiece writes every space of a text as U+2581 before it looks for pieces, so one that holds a plain space is never found. */
static inline int vocab_has_plain_space(const struct vocab *v, int32_t id)
{
    struct str s = vocab_piece(v, id);
    return (v->kind == VOCAB_SPM || v->kind == VOCAB_UNIGRAM) && s.n && memchr(s.p, ' ', s.n);
}
/* The piece that running text may become, by its bytes (n > 0); -1 for none. */
static inline int32_t vocab_find_raw(const struct vocab *v, uint64_t key, const char *p, size_t n)
{
    if (n > v->piece_max) return -1;
    return vocab_table_find(&v->table, v->pool, v->off, key, p, n, 0);
}

/* ---- loading (vocab.c calls them in this order) ------------------------------------------------------------------- */

/* vocab_exact.c: tokenizer.lar.added, before the pieces; the other keys, after them. */
int vocab_load_found(struct vocab *v, const struct gguf *g, struct lar_err *err);
int vocab_load_exact(struct vocab *v, const struct gguf *g, struct lar_err *err);
/* vocab_load.c: the pool, the types, the table. */
int vocab_load_pieces(struct vocab *v, const struct gguf *g, struct lar_err *err);
int vocab_load_scores(struct vocab *v, const struct gguf *g, struct lar_err *err);
/* The bytes of a normal piece as the file writes it; -1 when it cannot be one. out has room for s.n. */
int64_t vocab_decode_text(const struct vocab *v, struct str s, char *out);
/* vocab_find without its last resort, which looks at every token. */
int32_t vocab_find_named(const struct vocab *v, struct str piece);
/* vocab_special.c: special ids, end tokens, what a tokenizer adds. */
int vocab_load_special(struct vocab *v, const struct gguf *g, struct lar_err *err);
/* Gives tokens with well-known names the type they should have had; after the types, before the pieces. */
void vocab_type_by_name(struct vocab *v, const struct gguf *g);
/* spm_load.c: the model's own table of replacements, if the file has one. */
int spm_load_map(struct vocab *v, const struct gguf *g, struct lar_err *err);
/* bpe_load.c: tokenizer.ggml.merges. */
int bpe_load(struct vocab *v, const struct gguf *g, struct lar_err *err);
/* spm.c, unigram.c, wordpiece.c: what is theirs. */
int spm_load(struct vocab *v, const struct gguf *g, struct lar_err *err);
int unigram_load(struct vocab *v, const struct gguf *g, struct lar_err *err);
int wordpiece_load(struct vocab *v, const struct gguf *g, struct lar_err *err);
/* vocab_rwkv.c; the bytes of a piece, for which out has room. */
int rwkv_load(struct vocab *v, struct lar_err *err);
size_t rwkv_decode_piece(struct str s, char *out);
/* vocab_added.c: the trie of added tokens. */
int vocab_load_added(struct vocab *v, struct lar_err *err);
/* vocab_joins.c: which bytes no piece holds side by side. */
int vocab_load_joins(struct vocab *v, struct lar_err *err);
/* A trie_add that explains itself. */
int vocab_trie_add(struct trie *t, const struct vocab *v, int32_t id, struct str key, struct lar_err *err);

/* ---- encoding -------------------------------------------------------------------------------------------------------- */

/* A word that was encoded before, in this call. Words of up to eight bytes are their own key; longer ones are compared in the text. */
struct seen {
    uint64_t key;
    uint32_t at;    /* where it lies in the text of its epoch */
    uint32_t out;   /* where its ids lie in the output */
    uint32_t epoch;
    uint16_t len, n;
};

struct encoder {
    const struct vocab *v;
    struct ids *out;
    struct lar_err *err;
    const char *text;      /* the text of this epoch: what `at` counts from */
    uint32_t epoch;
    struct seen *seen;     /* NULL for short texts */
    uint32_t seen_mask;
    size_t unk_end;        /* out->n after the last unknown token: a next one is the same */
    size_t unks;           /* how many unknown characters there were */
    void *scratch;         /* for long words */
    size_t scratch_bytes;
    struct buf norm, norm2; /* normalised text */
    struct buf step, step2; /* the same of vocab_norm.c */
    struct str guard;       /* see vocab_guard.c; n = 0: none */
    struct buf clean;       /* text without it */
};

/* Room for n bytes of scratch, its old contents lost; NULL (and err) when there is none. */
void *encoder_scratch(struct encoder *e, size_t n);
int encoder_nomem(struct encoder *e);

static inline int encoder_push(struct encoder *e, int32_t id)
{
    struct ids *o = e->out;
    if (o->n < o->cap) return o->id[o->n++] = id, 0;
    return ids_add(o, id) < 0 ? encoder_nomem(e) : 0;
}
/* The unknown token, once for a run of unknown characters; nothing when the vocabulary has none. */
static inline int encoder_push_unk(struct encoder *e)
{
    e->unks++;
    int lone = e->v->words > 0 && (e->v->words & WORDS_LONE);
    if (e->v->unk < 0 || (!lone && e->unk_end && e->unk_end == e->out->n)) return 0;
    int rc = encoder_push(e, e->v->unk);
    e->unk_end = e->out->n;
    return rc;
}

/* The end of the part of s from `at` that merges cannot leave (vocab_joins.c); s is valid UTF-8. */
size_t vocab_word_end(const struct vocab *v, struct str s, size_t at);
/* s as pieces are kept: U+2581 a space, bytes that are no UTF-8 U+FFFD. It may be s itself or lie in e->norm. */
int spm_clean(struct encoder *e, struct str *s);
/* The same after SentencePiece's normalisation: the model's own map, its prefix, its rule for white space. In e->norm. */
int spm_normalise(struct encoder *e, struct str *s, int first);

/* s as it is kept, appended to out. */
void spm_copy(struct str s, struct buf *out);
/* spm_norm.c: the model's own table as Hugging Face applies it: to what is seen as one character. */
void spm_map_clusters(const struct vocab *v, struct str s, struct buf *out);
/* wordpiece.c: two steps of BERT's normaliser. how: BERT_*. */
void bert_clean(struct str s, unsigned how, struct buf *out);
void bert_fold(struct str s, unsigned how, struct buf *out);
/* vocab_added.c: \w of Rust's expressions. */
int vocab_is_word_char(uint32_t cp);
/* vocab_words.c: what the character at i of s is to the cutting of words, its length in *k. */
enum word_class { CLASS_SPACE, CLASS_INSIDE, CLASS_OTHER, CLASS_ALONE };
enum word_class vocab_word_class(const struct vocab *v, struct str s, size_t i, size_t *k);

/* s without its guards, appended to out: 1; 0 and nothing is written when it holds none. */
int vocab_unguard(struct str guard, struct str s, struct buf *out);
/* Does this stretch get a space before it? */
int vocab_wants_prefix(const struct vocab *v, struct str s, int first);

/* Each takes one stretch of text between added tokens. first: STRETCH_*. */
int bpe_encode(struct encoder *e, struct str s, int first);
int chars_encode(struct encoder *e, struct str s, int first);
int spm_encode(struct encoder *e, struct str s, int first);
int unigram_encode(struct encoder *e, struct str s, int first);
int wordpiece_encode(struct encoder *e, struct str s);
int rwkv_encode(struct encoder *e, struct str s);
int words_encode(struct encoder *e, struct str s, int first);
/* The models alone, for one word of words_encode. */
int chars_word(struct encoder *e, struct str s);
int unigram_word(struct encoder *e, struct str s);
int wordpiece_word(struct encoder *e, struct str s);

/* vocab_places.c: one more place; LAR_ENOMEM. */
int places_add(struct encoder *e, struct places *l, struct vocab_place place);
/* wordpiece.c: wordpiece_encode with places, counted from base. */
int wordpiece_places(struct encoder *e, struct str s, size_t base, struct places *places);

#endif
