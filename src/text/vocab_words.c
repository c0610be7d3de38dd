/* SPDX-License-Identifier: Apache-2.0
 *
 * text/vocab_words.c: what a tokenizer.json does between its normalizer and its model, for all models but byte-level BPE: its
 * pre_tokenizers WhitespaceSplit, Whitespace, BertPreTokenizer and Metaspace, as bits of tokenizer.lar.words.
 *
 * Text is cut into words, each gets its prefix, is cut before each U+2581 where the file wants that, and goes to the model alone: no piece
 * reaches across, unknown characters join within a word only. In a vocabulary with U+2581 a space is that sign from here on.
 */
#include "base/utf8.h"
#include "text/unicode.h"
#include "text/split_char.h"
#include "text/vocab_impl.h"

static enum word_class class_of(int words, uint32_t cp)
{
    unsigned flags = unicode_of(cp).flags;
    if (flags & UC_SPACE) return CLASS_SPACE;
    if (words & WORDS_CLASS) return vocab_is_word_char(cp) ? CLASS_INSIDE : CLASS_OTHER;
    return flags & UC_BERT_PUNCT && words & WORDS_BERT ? CLASS_ALONE : CLASS_INSIDE;
}

enum word_class vocab_word_class(const struct vocab *v, struct str s, size_t i, size_t *k)
{
    int words = v->words < 0 ? WORDS_SPACE | WORDS_BERT : v->words;
    unsigned char u = (unsigned char)s.p[i];
    uint32_t cp = u;
    *k = 1;
    if (u >= 0x80) {
        *k = utf8_decode(s.p + i, s.n - i, &cp);
        if (!*k) return *k = 1, CLASS_INSIDE;
        return class_of(words, cp);
    }
    if (split_ascii[u] & C_S) return CLASS_SPACE;
    if (words & WORDS_CLASS) return class_of(words, cp);
    return split_ascii[u] & C_BP && words & WORDS_BERT ? CLASS_ALONE : CLASS_INSIDE;
}

static int model(struct encoder *e, struct str s)
{
    e->unk_end = 0;
    switch (e->v->kind) {
    case VOCAB_WORDPIECE: return wordpiece_word(e, s);
    case VOCAB_UNIGRAM: return unigram_word(e, s);
    default: return chars_word(e, s);
    }
}

/* Puts a word behind those before it, as it is kept, and encodes it there: what the encoder remembers of words are places in that text. */
static int one_word(struct encoder *e, struct str s, int first)
{
    struct buf *b = &e->norm;
    size_t from = b->n;
    int rc = 0;
    if (e->v->kind == VOCAB_WORDPIECE) return model(e, s);
    if (vocab_wants_prefix(e->v, s, first)) buf_putc(b, ' ');
    spm_copy(s, b);
    if (b->failed) return encoder_nomem(e);
    e->text = b->p;
    s = (struct str){b->p + from, b->n - from};
    for (size_t at = 0, end; at < s.n && rc == 0; at = end) {
        end = s.n;
        if (e->v->words & WORDS_SIGN) {
            const char *sign = memchr(s.p + at + 1, ' ', s.n - at - 1);
            if (sign) end = (size_t)(sign - s.p);
        }
        rc = model(e, (struct str){s.p + at, end - at});
    }
    return rc;
}

int words_encode(struct encoder *e, struct str s, int first)
{
    const struct vocab *v = e->v;
    int rc = 0;
    buf_clear(&e->norm);
    e->epoch++;
    if (!(v->words & (WORDS_SPACE | WORDS_BERT | WORDS_CLASS))) return s.n ? one_word(e, s, first) : 0;
    for (size_t at = 0, end, k; at < s.n && rc == 0; at = end) {
        enum word_class c = vocab_word_class(v, s, at, &k);
        end = at + k;
        if (c == CLASS_SPACE) continue;
        while (c != CLASS_ALONE && end < s.n && vocab_word_class(v, s, end, &k) == c) end += k;
        rc = one_word(e, (struct str){s.p + at, end - at}, at ? first & ~STRETCH_FIRST : first);
    }
    return rc;
}
