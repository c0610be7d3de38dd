/* SPDX-License-Identifier: Apache-2.0
 *
 * text/vocab.h: a tokenizer: text to token ids and back, as the model's own reference implementation does it.
 *
 * One struct for every kind; the kind (tokenizer.ggml.model) and the splitter (tokenizer.ggml.pre) come from the file. Immutable after
 * loading, shared by all threads. Memory is bounded by the file's size. Encoding is linear (or n log n) in the text, whatever the text.
 */
#ifndef TEXT_VOCAB_H
#define TEXT_VOCAB_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "io/gguf.h"

enum token_type { TOKEN_NORMAL = 1, TOKEN_UNKNOWN, TOKEN_CONTROL, TOKEN_USER, TOKEN_UNUSED, TOKEN_BYTE };

struct vocab; /* the public part is read through the functions below */

/* Builds from a GGUF's tokenizer.ggml.* keys. Borrows the file's strings: g must outlive it. The caller frees with vocab_close.
 * An unknown model or splitter is LAR_EUNSUPPORTED with its name and the known ones. */
int vocab_open(struct vocab **out, const struct gguf *g, struct lar_err *err);
void vocab_close(struct vocab *v);

int32_t vocab_size(const struct vocab *v);
struct str vocab_piece(const struct vocab *v, int32_t id);       /* as the file writes it; n = 0, p = NULL for no token */
struct str vocab_bytes(const struct vocab *v, int32_t id);       /* what it stands for in running text */
enum token_type vocab_type(const struct vocab *v, int32_t id);   /* 0 for no token */
int32_t vocab_find(const struct vocab *v, struct str piece);     /* id of a piece written as in the file, or -1 */
int vocab_is_end(const struct vocab *v, int32_t id);             /* ends an answer: eos, eot, eom and the like */

/* Ids that the file names, by a key or (eot, eom, fim_*) by a well-known name of the token; -1 where it names none. */
struct vocab_special {
    int32_t bos, eos, eot, eom, unk, sep, pad, cls, mask;
    int32_t fim_pre, fim_suf, fim_mid, fim_pad, fim_rep, fim_sep;
    int add_bos, add_eos, add_sep;
};
const struct vocab_special *vocab_special(const struct vocab *v);

enum {
    VOCAB_PARSE_SPECIAL = 1, /* the names of control tokens in the text become those tokens (the user's own tokens always do) */
    VOCAB_ADD_SPECIAL = 2    /* add what the tokenizer adds by itself: bos, eos, [CLS] ... [SEP] */
};

/* A growing list of ids. A zeroed one is empty; ids_done frees. */
struct ids {
    int32_t *id;
    size_t n, cap;
};
void ids_done(struct ids *l);
int ids_add(struct ids *l, int32_t id); /* 0, or LAR_ENOMEM */

/* Appends the ids of text, at most 2 GiB of it. Takes any bytes: what is not UTF-8 is handled as the reference does (byte-level: byte by byte). */
int vocab_encode(const struct vocab *v, struct str text, unsigned flags, struct ids *out,
                 struct lar_err *err);

/* The same for one text without anything round it, and of each token the bytes of the text that it stands for (white space before it left
 * out, as the reference reports them). WordPiece and byte-level BPE; LAR_EUNSUPPORTED for others. */
struct vocab_place {
    size_t begin, end;
};
struct places {
    struct vocab_place *at;
    size_t n, cap;
};
void places_done(struct places *l);
int vocab_encode_places(const struct vocab *v, struct str text, struct ids *out, struct places *places,
                        struct lar_err *err);

/* Appends text with guard (some bytes that it does not hold) before each name of a control token; 1 when there was one. */
int vocab_guard(const struct vocab *v, struct str text, struct str guard, struct buf *out);
/* Appends s in small letters, each as Unicode has it by itself. */
void vocab_norm_lower(struct str s, struct buf *out);
/* vocab_encode of a text with guards in it: a name behind one is text, and the guards themselves are nothing. guard.n = 0: there are none. */
int vocab_encode_guarded(const struct vocab *v, struct str text, struct str guard, unsigned flags, struct ids *out,
                         struct lar_err *err);

/* Streaming decode: feed one id after the other; out gets whole characters only (invalid bytes as U+FFFD once it is certain that they
 * cannot become valid). vocab_decode_end flushes. A zeroed struct is a fresh one. */
struct vocab_decoder {
    char held[4];   /* the beginning of a character */
    unsigned nheld;
    int started;    /* bits: past the first token (the space that SentencePiece adds is dropped at the start only); byte by byte */
};
/* A decoder whose started is this gives bytes that are no character as they are. */
enum { VOCAB_DECODE_EXACT = 4 };
void vocab_decode(const struct vocab *v, struct vocab_decoder *d, int32_t id, int special, struct buf *out);
void vocab_decode_end(struct vocab_decoder *d, struct buf *out);

#endif
