/* SPDX-License-Identifier: Apache-2.0
 *
 * text/vocab_joins.c: where a text without words may be cut all the same.
 *
 * SentencePiece and Gemma 4 merge over the whole text, a few splitters of byte-level BPE make words of whole sentences. But where no
 * piece of the vocabulary holds, say, an "e" before a space, no merge can ever cross such a place, and cutting there changes nothing but
 * the time it takes: words instead of megabytes. joins has one bit for each two bytes that stand side by side in some piece.
 */
#include "text/vocab_impl.h"

int vocab_load_joins(struct vocab *v, struct lar_err *err)
{
    if (v->kind == VOCAB_BPE && !(v->split_flags & SPLIT_LONG)) return 0;
    v->joins = arena_alloc(&v->a, 256 * 32);
    if (!v->joins) return lar_fail(err, LAR_ENOMEM, "tokenizer: out of memory");
    for (int32_t i = 0; i < v->n; i++) {
        int type = vocab_type_of(v, i);
        struct str s = vocab_raw(v, i);
        if (type != TOKEN_NORMAL && type != TOKEN_UNUSED && type != TOKEN_USER) continue;
        for (size_t k = 1; k < s.n; k++) {
            unsigned char a = (unsigned char)s.p[k - 1], b = (unsigned char)s.p[k];
            v->joins[a * 32 + b / 8] |= (uint8_t)(1 << b % 8);
        }
    }
    return 0;
}

size_t vocab_word_end(const struct vocab *v, struct str s, size_t at)
{
    unsigned char a = (unsigned char)s.p[at];
    for (at++; at < s.n; at++) {
        unsigned char b = (unsigned char)s.p[at];
        if (!(v->joins[a * 32 + b / 8] >> b % 8 & 1) && (b & 0xc0) != 0x80) break;
        a = b;
    }
    return at;
}
