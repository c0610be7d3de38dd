/* SPDX-License-Identifier: Apache-2.0
 *
 * text/vocab_added.c: tokens that are found in text before anything else happens to it: names of control tokens and the user's own.
 *
 * As in Hugging Face's tokenizers: from left to right, at each place the longest; a control token's name is passed over, not taken
 * apart into smaller ones, when names of control tokens are text. Some tokens swallow the white space beside them. That is not in the
 * file format, so it is known here for those that do: <mask> of RoBERTa's kin, [MASK] of ModernBERT, the chat marks of Phi-3.
 *
 * SentencePiece itself knows no names of control tokens in text, and finds the user's own pieces after normalising (spm.c, unigram.c).
 * So its vocabularies are read as it does when names are text, and as Hugging Face does when they are tokens.
 */
#include "text/vocab_added.h"

#include "text/split_char.h"

enum { ADDED_MAX = 1024 }; /* so that looking for them stays linear */

static int is_added(const struct vocab *v, int32_t id)
{
    int t = vocab_type_of(v, id);
    if (t == TOKEN_CONTROL || t == TOKEN_UNKNOWN) return 1;
    return t == TOKEN_USER && v->kind != VOCAB_UNIGRAM;
}

static int is_sentencepiece(const struct vocab *v)
{
    return v->kind == VOCAB_SPM || v->kind == VOCAB_UNIGRAM;
}

static void mark(struct vocab *v, const char *name, unsigned flag)
{
    int32_t id = vocab_find(v, str_of(name));
    if (id >= 0) v->type[id] |= (uint8_t)flag;
}

/* Phi-3 and 3.5: all control tokens swallow what follows but <s>, <unk> and <|endoftext|>. They are known by their marks. */
static void mark_phi3(struct vocab *v)
{
    int32_t user = vocab_find(v, STR("<|user|>")), end = vocab_find(v, STR("<|placeholder6|>"));
    if (v->kind != VOCAB_SPM || user < 0 || end < 0) return;
    for (int32_t i = 0; i < v->n; i++)
        if (vocab_type_of(v, i) == TOKEN_CONTROL) v->type[i] |= TOKEN_RSTRIP;
    const char *not[] = {"<s>", "<unk>", "<|endoftext|>"};
    for (int i = 0; i < 3; i++) {
        int32_t id = vocab_find(v, str_of(not[i]));
        if (id >= 0) v->type[id] &= (uint8_t)~TOKEN_RSTRIP;
    }
}

int vocab_load_added(struct vocab *v, struct lar_err *err)
{
    if (v->split && (v->split->flags & SPLIT_MASK_LSTRIP)) {
        mark(v, "<mask>", TOKEN_LSTRIP);
        mark(v, "[MASK]", TOKEN_LSTRIP);
    }
    mark_phi3(v);
    for (int32_t i = 0; i < v->n; i++) {
        int rc = 0;
        if ((is_added(v, i) || vocab_type_of(v, i) == TOKEN_USER) && vocab_raw(v, i).n > ADDED_MAX)
            return lar_fail(err, LAR_ELIMIT,
                            "tokenizer.ggml.tokens: token %d is found in text by its name, which has %zu "
                            "bytes; %d is the most", i, vocab_raw(v, i).n, ADDED_MAX);
        if (is_added(v, i)) rc = vocab_trie_add(&v->added, v, i, vocab_raw(v, i), err);
        if (rc == 0 && vocab_type_of(v, i) == TOKEN_USER && is_sentencepiece(v)) {
            rc = vocab_trie_add(&v->verbatim, v, i, vocab_piece(v, i), err);
            if (rc == 0 && !vocab_has_plain_space(v, i))
                rc = vocab_trie_add(&v->user, v, i, vocab_raw(v, i), err);
        }
        if (rc < 0) return rc;
    }
    return 0;
}

static size_t spaces_before(struct str s, size_t from, size_t at)
{
    while (at > from) {
        size_t i = at - 1, k;
        while (i > from && at - i < 4 && ((unsigned char)s.p[i] & 0xc0) == 0x80) i--;
        if (!(split_at(s.p, at, i, &k) & C_S) || i + k != at) break;
        at = i;
    }
    return at;
}

struct added vocab_added_next(const struct vocab *v, struct str s, size_t from, unsigned flags)
{
    const struct trie *t = &v->added;
    if (is_sentencepiece(v) && !(flags & VOCAB_PARSE_SPECIAL)) from = s.n;
    for (size_t at = from; t->nnode && at < s.n; at++) {
        size_t n;
        if (!t->root[(unsigned char)s.p[at]]) continue;
        int32_t id = trie_longest(t, str_from(s, at), &n);
        if (id < 0) continue;
        if (vocab_type_of(v, id) != TOKEN_USER && !(flags & VOCAB_PARSE_SPECIAL)) {
            at += n - 1;
            continue;
        }
        struct added a = {id, at, at + n};
        if (v->type[id] & TOKEN_LSTRIP) a.begin = spaces_before(s, from, at);
        if (v->type[id] & TOKEN_RSTRIP) a.end = split_run(s.p, s.n, a.end, C_S);
        return a;
    }
    return (struct added){-1, s.n, s.n};
}
