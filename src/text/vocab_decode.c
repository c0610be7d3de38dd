/* SPDX-License-Identifier: Apache-2.0
 *
 * text/vocab_decode.c: ids to text, one at a time, never half a character.
 *
 * Bytes that cannot become a character are U+FFFD: for byte-level tokenizers once for each longest beginning of a character (as
 * Unicode recommends and Hugging Face's decoder does), for SentencePiece's byte tokens once for each byte (as its decoder does).
 * What an encoder puts before a text, the decoder takes away: the first space of SentencePiece, the space between WordPiece's words and
 * their punctuation.
 */
#include "base/utf8.h"
#include "text/vocab_make.h"

#define BAD "\xef\xbf\xbd"

/* Bits of vocab_decoder.started. */
enum { STARTED = 1, BYTE_BY_BYTE = 2, EXACT = VOCAB_DECODE_EXACT };

/* What is held back will not be completed. */
static void give_up(struct vocab_decoder *d, struct buf *out)
{
    int exact = d->started & EXACT;
    if (exact) buf_add(out, d->held, d->nheld);
    for (unsigned i = 0; !exact && i < d->nheld && (i == 0 || (d->started & BYTE_BY_BYTE)); i++) buf_puts(out, BAD);
    d->nheld = 0;
}

static void put_byte(struct vocab_decoder *d, char c, struct buf *out)
{
    uint32_t cp;
    for (;;) {
        d->held[d->nheld++] = c;
        if (utf8_decode(d->held, d->nheld, &cp)) {
            buf_add(out, d->held, d->nheld);
            d->nheld = 0;
            return;
        }
        if (utf8_incomplete_tail(d->held, d->nheld) == d->nheld) return;
        if (d->nheld == 1) { /* can begin nothing */
            give_up(d, out);
            return;
        }
        d->nheld--; /* what was held is broken off by c, which may begin anew */
        give_up(d, out);
    }
}

static void put_bytes(struct vocab_decoder *d, struct str s, struct buf *out)
{
    size_t i = 0;
    while (i < s.n) {
        size_t from = i; /* whole ASCII runs at once */
        while (!d->nheld && i < s.n && (unsigned char)s.p[i] < 0x80) i++;
        buf_add(out, s.p + from, i - from);
        if (i < s.n) put_byte(d, s.p[i++], out);
    }
    if (s.n) d->started |= STARTED;
}

/* ---- the kinds --------------------------------------------------------------------------------------------------------- */

/* A token that is found by its name is written by its name, unless the name could be read in the alphabet of bytes: then it is, as in
 * the reference (DeepSeek's vocabularies have such, "\u00fc" for one, which is the byte fc to the decoder). */
static void decode_bpe(const struct vocab *v, struct vocab_decoder *d, int32_t id, struct buf *out)
{
    struct str s = vocab_raw(v, id);
    int type = vocab_type_of(v, id);
    char raw[64];
    int piece = v->exact && v->found[id] & MAKE_PIECE;
    if (type == TOKEN_CONTROL || type == TOKEN_UNKNOWN || (type == TOKEN_USER && !piece)) {
        int64_t n = s.n <= sizeof raw ? vocab_decode_text(v, s, raw) : -1;
        if (n >= 0) s = (struct str){raw, (size_t)n};
        else give_up(d, out);
    }
    put_bytes(d, s, out);
}

/* The unknown token of a vocabulary without byte tokens is what the reference writes for it; else it is its name. */
static struct str unknown_text(const struct vocab *v, int32_t id)
{
    return v->byte_tokens ? vocab_raw(v, id) : STR(" \xe2\x81\x87 ");
}

static void decode_spm(const struct vocab *v, struct vocab_decoder *d, int32_t id, struct buf *out)
{
    struct str s = vocab_raw(v, id);
    int type = vocab_type_of(v, id);
    d->started |= BYTE_BY_BYTE;
    if (type == TOKEN_BYTE) {
        put_bytes(d, s, out);
        return;
    }
    give_up(d, out);
    if (type == TOKEN_UNKNOWN || id == v->unk) s = unknown_text(v, id);
    else if (type == TOKEN_CONTROL) (void)0;
    else if (!(d->started & STARTED) && (v->prefix > PREFIX_NONE || v->remove_spaces) && s.n && s.p[0] == ' ') {
        s = str_from(s, 1);
        if (!v->remove_spaces) d->started |= STARTED; /* one only; where more are removed, all */
    }
    put_bytes(d, s, out);
}

/* A space before each word but the first, and none before the marks that follow a word. */
static void decode_wordpiece(const struct vocab *v, struct vocab_decoder *d, int32_t id, struct buf *out)
{
    static const char *const close[] = {".", "?", "!", ",", "n't", "'m", "'s", "'ve", "'re"};
    struct str s = vocab_raw(v, id);
    int type = vocab_type_of(v, id), space = type == TOKEN_CONTROL || type == TOKEN_UNKNOWN;
    if (v->exact && type == TOKEN_USER && !str_starts(s, STR("##"))) space = 1;
    if (!space && s.n && s.p[0] == ' ') {
        s = str_from(s, 1);
        space = 1;
    } else if (!space && !(d->started & STARTED)) {
        buf_puts(out, "##");
    }
    for (size_t i = 0; space && i < sizeof close / sizeof *close; i++)
        if (str_starts(s, str_of(close[i]))) space = 0;
    if (space && (d->started & STARTED)) buf_putc(out, ' ');
    put_bytes(d, s, out);
    d->started |= STARTED;
}

void vocab_decode(const struct vocab *v, struct vocab_decoder *d, int32_t id, int special, struct buf *out)
{
    if (id < 0 || id >= v->n) return;
    int type = vocab_type_of(v, id);
    if ((type == TOKEN_CONTROL || (type == TOKEN_UNKNOWN && v->byte_tokens)) && !special) return;
    switch (v->kind) {
    case VOCAB_BPE: decode_bpe(v, d, id, out); break;
    case VOCAB_CHARS:
    case VOCAB_SPM:
    case VOCAB_UNIGRAM: decode_spm(v, d, id, out); break;
    case VOCAB_WORDPIECE: decode_wordpiece(v, d, id, out); break;
    case VOCAB_RWKV: put_bytes(d, vocab_raw(v, id), out); break;
    }
}

void vocab_decode_end(struct vocab_decoder *d, struct buf *out)
{
    give_up(d, out);
}
