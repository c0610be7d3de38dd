/* SPDX-License-Identifier: Apache-2.0
 *
 * text/vocab_joins.c: where a text without words may be cut all the same.
 *
 * SentencePiece and Gemma 4 merge over the whole text, a few splitters of byte-level BPE make words of whole sentences. But where no piece of the vocabulary holds, say, a letter before a space, no merge can
 * ever cross such a place, and cutting there changes nothing but the time it takes: words instead of megabytes. Characters fall into
 * six classes; joins[a] has bit b when some piece holds a character of class a before one of class b.
 */
#include "text/vocab_impl.h"

enum { J_SPACE, J_LINE, J_DIGIT, J_LETTER, J_SIGN, J_WIDE };

static inline int class_of(char c)
{
    unsigned char u = (unsigned char)c;
    if (u >= 0x80) return J_WIDE;
    if (u == ' ') return J_SPACE;
    if (u == '\n' || u == '\r') return J_LINE;
    if (u >= '0' && u <= '9') return J_DIGIT;
    u |= 0x20;
    return u >= 'a' && u <= 'z' ? J_LETTER : J_SIGN;
}

void vocab_load_joins(struct vocab *v)
{
    if (v->kind == VOCAB_BPE && !(v->split->flags & SPLIT_LONG)) return;
    v->joins[J_WIDE] = 1 << J_WIDE; /* never inside a character */
    for (int32_t i = 0; i < v->n; i++) {
        int type = vocab_type_of(v, i);
        if (type != TOKEN_NORMAL && type != TOKEN_UNUSED && type != TOKEN_USER) continue;
        struct str s = vocab_raw(v, i);
        for (size_t k = 1; k < s.n; k++)
            v->joins[class_of(s.p[k - 1])] |= (uint8_t)(1 << class_of(s.p[k]));
    }
}

size_t vocab_word_end(const struct vocab *v, struct str s, size_t at)
{
    int a = class_of(s.p[at]);
    for (at++; at < s.n; at++) {
        int b = class_of(s.p[at]);
        if (!(v->joins[a] >> b & 1)) break;
        a = b;
    }
    return at;
}
