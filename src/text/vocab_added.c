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

#include "base/utf8.h"
#include "text/split_char.h"
#include "text/unicode.h"
#include "text/vocab_make.h"
#include "text/vocab_norm.h"

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

static int too_long(const struct vocab *v, int32_t id, struct lar_err *err)
{
    return lar_fail(err, LAR_ELIMIT,
                    "tokenizer.ggml.tokens: token %d is found in text by its name, which has %zu bytes; "
                    "%d is the most", id,
                    vocab_raw(v, id).n, ADDED_MAX);
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

/* A name that is looked for in normalised text is normalised as well, with the prefix where the normalizer writes that. */
static int add_normalised(struct vocab *v, int32_t id, struct str s, struct buf *a, struct buf *b, struct lar_err *err)
{
    int rc = vocab_norm_apply(v, &s, a, b);
    if (rc == 0 && v->words < 0 && v->prefix == PREFIX_ALWAYS) {
        struct buf *other = s.p == a->p ? b : a;
        buf_clear(other);
        buf_putc(other, ' ');
        buf_str(other, s);
        if (other->failed) rc = LAR_ENOMEM;
        s = buf_view(other);
    }
    if (rc < 0) return lar_fail(err, rc, "tokenizer.lar.added: token %d cannot be normalised", id);
    return vocab_trie_add(&v->added_norm, v, id, s, err);
}

/* As the tokenizer's own files say it. */
static int load_exact(struct vocab *v, struct lar_err *err)
{
    struct buf a = {0}, b = {0};
    int rc = 0;
    for (int32_t i = 0; i < v->n && rc == 0; i++) {
        unsigned f = v->found[i];
        struct str s = vocab_piece(v, i);
        if (!(f & MAKE_ADDED)) continue;
        v->type[i] |= (uint8_t)((f & MAKE_LSTRIP ? TOKEN_LSTRIP : 0) | (f & MAKE_RSTRIP ? TOKEN_RSTRIP : 0) |
                                (f & MAKE_SINGLE ? TOKEN_SINGLE : 0));
        if (s.n > ADDED_MAX) rc = too_long(v, i, err);
        else if (!(f & MAKE_NORMALIZED)) rc = vocab_trie_add(&v->added, v, i, s, err);
        else rc = add_normalised(v, i, s, &a, &b, err);
    }
    buf_done(&a);
    buf_done(&b);
    /* Spaces and U+2581 are one to the model: writing one for the other is of use only to names that are looked for after it. */
    const struct norm_step *last = v->nnorm ? &v->norm[v->nnorm - 1] : NULL;
    if (v->words >= 0 && !v->added_norm.nnode && last && last->kind == NORM_REPLACE && str_is(last->from, " ") &&
        str_is(last->to, "\xe2\x96\x81"))
        v->nnorm--;
    return rc;
}

int vocab_load_added(struct vocab *v, struct lar_err *err)
{
    if (v->exact) return load_exact(v, err);
    if (v->split && (v->split->flags & SPLIT_MASK_LSTRIP)) {
        mark(v, "<mask>", TOKEN_LSTRIP);
        mark(v, "[MASK]", TOKEN_LSTRIP);
    }
    mark_phi3(v);
    for (int32_t i = 0; i < v->n; i++) {
        int rc = 0;
        if ((is_added(v, i) || vocab_type_of(v, i) == TOKEN_USER) && vocab_raw(v, i).n > ADDED_MAX)
            return too_long(v, i, err);
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

/* \w of Rust's expressions, which decide about single words: what is Alphabetic, a mark, a decimal digit or a connector, or joins. C_W is that
 * of Oniguruma, which takes all numbers. */
int vocab_is_word_char(uint32_t cp)
{
    int gc = unicode_of(cp).gc;
    if (cp == 0x200c || cp == 0x200d) return 1;
    if (gc == UC_SO) /* letters in circles and squares */
        return (cp >= 0x24b6 && cp <= 0x24e9) || (cp >= 0x1f130 && cp <= 0x1f149) ||
               (cp >= 0x1f150 && cp <= 0x1f169) || (cp >= 0x1f170 && cp <= 0x1f189);
    return gc == UC_LU || gc == UC_LL || gc == UC_LT || gc == UC_LM || gc == UC_LO || gc == UC_MN || gc == UC_MC ||
           gc == UC_ME || gc == UC_ND || gc == UC_NL || gc == UC_PC;
}

static int is_word_before(struct str s, size_t at)
{
    uint32_t cp;
    size_t i = at;
    while (i > 0 && at - i < 4) {
        i--;
        if (((unsigned char)s.p[i] & 0xc0) != 0x80) break;
    }
    return i < at && i + utf8_decode(s.p + i, at - i, &cp) == at && vocab_is_word_char(cp);
}

static int is_word_after(struct str s, size_t at)
{
    uint32_t cp;
    return at < s.n && utf8_decode(s.p + at, s.n - at, &cp) && vocab_is_word_char(cp);
}

struct added vocab_added_next(struct added_search *a)
{
    const struct vocab *v = a->v;
    struct str s = a->s;
    if (is_sentencepiece(v) && !v->exact && !(a->flags & VOCAB_PARSE_SPECIAL)) a->at = s.n;
    for (size_t n; a->trie->nnode && a->at < s.n;) {
        if (a->guard.n && str_starts(str_from(s, a->at), a->guard)) {
            a->at += a->guard.n + 1;
            continue;
        }
        int32_t id = a->trie->root[(unsigned char)s.p[a->at]] ? trie_longest(a->trie, str_from(s, a->at), &n) : -1;
        if (id < 0) {
            a->at++;
            continue;
        }
        size_t begin = a->at, end = begin + n;
        a->at = end;
        if (vocab_type_of(v, id) != TOKEN_USER && !(a->flags & VOCAB_PARSE_SPECIAL)) continue;
        if ((v->type[id] & TOKEN_SINGLE) && (is_word_before(s, begin) || is_word_after(s, end))) continue;
        struct added found = {id, begin, end};
        if (v->type[id] & TOKEN_LSTRIP) found.begin = a->done > begin ? a->done : spaces_before(s, a->done, begin);
        if (v->type[id] & TOKEN_RSTRIP) found.end = split_run(s.p, s.n, end, C_S);
        if (found.begin >= found.end) continue; /* the one before had swallowed all of it */
        a->done = found.end; /* also where that is back within what the one before had swallowed */
        return found;
    }
    size_t begin = a->done;
    a->done = s.n;
    return (struct added){-1, begin < s.n ? s.n : begin, s.n};
}
