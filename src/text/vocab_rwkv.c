/* SPDX-License-Identifier: Apache-2.0
 *
 * text/vocab_rwkv.c: RWKV World's tokenizer: at each place the longest piece that the text goes on with.
 *
 * A file writes pieces as Python's repr() writes bytes: \n, \t, \r, \\, \' and \xHH, all else as it is. Every byte is a piece; in a file where
 * one is not, it becomes the unknown token.
 */
#include "text/vocab_impl.h"

static int hex(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

size_t rwkv_decode_piece(struct str s, char *out)
{
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (c == '\\' && i + 1 < s.n) {
            c = s.p[++i];
            if (c == 'n') c = '\n';
            else if (c == 't') c = '\t';
            else if (c == 'r') c = '\r';
            else if (c == 'x' && s.n - i > 2 && hex(s.p[i + 1]) >= 0 && hex(s.p[i + 2]) >= 0) {
                c = (char)(hex(s.p[i + 1]) << 4 | hex(s.p[i + 2]));
                i += 2;
            }
        }
        out[n++] = c;
    }
    return n;
}

int rwkv_load(struct vocab *v, struct lar_err *err)
{
    int rc = 0;
    for (int32_t i = 0; i < v->n && rc == 0; i++)
        if (vocab_type_of(v, i) == TOKEN_NORMAL) rc = vocab_trie_add(&v->pieces, v, i, vocab_raw(v, i), err);
    return rc;
}

int rwkv_encode(struct encoder *e, struct str s)
{
    int rc = 0;
    for (size_t n; s.n && rc == 0; s = str_from(s, n)) {
        int32_t id = trie_longest(&e->v->pieces, s, &n);
        if (id < 0) n = 1;
        rc = id < 0 ? encoder_push_unk(e) : encoder_push(e, id);
    }
    return rc;
}
