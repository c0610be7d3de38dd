/* SPDX-License-Identifier: Apache-2.0
 *
 * text/spm.c: SentencePiece BPE: any two neighbours that together are a piece may merge, the piece of the best score first.
 *
 * There is no table of pairs: the bytes of both are looked up as one piece. The user's own pieces are cut out before and never merge;
 * what remains is cut where no piece reaches across (vocab_joins.c). A character that is no piece becomes the tokens of its bytes,
 * or the unknown token where the vocabulary has none. Pieces of type unused may be formed on the way and are taken apart at the end the
 * way they were last put together; since that looks at the whole text, such vocabularies are not cut into words.
 */
#include "text/bpe.h"

enum { TAKE_APART_DEPTH = 100 }; /* as in the reference */

/* Scores as ranks: the best is the lowest, equal scores are equal. Scores are finite; -0 is below 0. */
static uint32_t rank_of(float score)
{
    uint32_t u;
    memcpy(&u, &score, 4);
    return u & 0x80000000 ? u : ~(u | 0x80000000);
}

static struct cand pair_by_text(const void *ctx, const char *word, int32_t l, int32_t r, uint32_t from,
                                uint32_t to)
{
    const struct vocab *v = ctx;
    (void)l, (void)r;
    size_t n = to - from;
    int32_t id = vocab_find_raw(v, vocab_key(word + from, n), word + from, n);
    return id < 0 ? (struct cand){RANK_NONE, -1} : (struct cand){rank_of((float)v->score[id]), id};
}

static uint32_t char_symbols(const struct vocab *v, const char *p, size_t n, int32_t *id, uint32_t *at)
{
    uint32_t m = 0;
    for (size_t i = 0, k; i < n; i += k, m++) {
        k = bpe_char_length(p[i]);
        if (k > n - i) k = n - i;
        at[m] = (uint32_t)i;
        id[m] = vocab_find_raw(v, vocab_key(p + i, k), p + i, k);
    }
    at[m] = (uint32_t)n;
    return m;
}

/* One symbol of n bytes that stays. */
static int push_symbol(struct encoder *e, int32_t id, const char *p, size_t n)
{
    const struct vocab *v = e->v;
    int rc = 0;
    if (id >= 0) return encoder_push(e, id);
    if (!v->byte_tokens) return encoder_push_unk(e);
    for (size_t i = 0; i < n && rc == 0; i++) {
        int32_t b = v->byte_id[(unsigned char)p[i]];
        rc = b < 0 ? encoder_push_unk(e) : encoder_push(e, b);
    }
    return rc;
}

static int merge_word(struct encoder *e, const char *p, size_t n)
{
    int32_t few[SHORT_WORD], *id = few;
    uint32_t few_at[SHORT_WORD + 1], *at = few_at, m;
    if (n <= SHORT_WORD) {
        m = char_symbols(e->v, p, n, id, at);
        m = merge_short(e->v, p, id, at, m, pair_by_text);
    } else {
        struct long_word w;
        if (long_word(e, n, &w) < 0) return LAR_ENOMEM;
        id = w.id;
        at = w.at;
        m = char_symbols(e->v, p, n, id, at);
        m = merge_long(e->v, p, id, at, m, w.work, pair_by_text);
    }
    int rc = 0;
    for (uint32_t i = 0; i < m && rc == 0; i++) rc = push_symbol(e, id[i], p + at[i], at[i + 1] - at[i]);
    return rc;
}

/* ---- pieces of type unused ---------------------------------------------------------------------------------------- */

struct unused {
    const struct vocab *v;
    uint32_t *made; /* [v->n] the length of the left half that a piece was last put together from */
};

static struct cand pair_unused(const void *ctx, const char *word, int32_t l, int32_t r, uint32_t from,
                               uint32_t to)
{
    const struct unused *u = ctx;
    struct cand c = pair_by_text(u->v, word, l, r, from, to);
    if (c.id >= 0 && vocab_type_of(u->v, c.id) == TOKEN_UNUSED)
        u->made[c.id] = (uint32_t)(l >= 0 ? vocab_raw(u->v, l).n : bpe_char_length(word[from]));
    return c;
}

static int take_apart(struct encoder *e, const struct unused *u, int32_t id, const char *p, size_t n, int depth)
{
    if (id < 0 || vocab_type_of(e->v, id) != TOKEN_UNUSED || depth > TAKE_APART_DEPTH)
        return push_symbol(e, id, p, n);
    uint32_t left = u->made[id];
    if (!left || left >= n) return push_symbol(e, -1, p, n); /* one character */
    int32_t a = vocab_find_raw(e->v, vocab_key(p, left), p, left);
    int32_t b = vocab_find_raw(e->v, vocab_key(p + left, n - left), p + left, n - left);
    int rc = take_apart(e, u, a, p, left, depth + 1);
    return rc < 0 ? rc : take_apart(e, u, b, p + left, n - left, depth + 1);
}

static int merge_with_unused(struct encoder *e, const char *p, size_t n)
{
    struct long_word w;
    struct unused u = {e->v, mem_zalloc((size_t)e->v->n * sizeof *u.made)};
    int rc = 0;
    if (!u.made || long_word(e, n, &w) < 0) {
        rc = encoder_nomem(e);
    } else {
        uint32_t m = char_symbols(e->v, p, n, w.id, w.at);
        m = merge_long(&u, p, w.id, w.at, m, w.work, pair_unused);
        for (uint32_t i = 0; i < m && rc == 0; i++)
            rc = take_apart(e, &u, w.id[i], p + w.at[i], w.at[i + 1] - w.at[i], 0);
    }
    mem_free(u.made);
    return rc;
}

/* ---- texts ---------------------------------------------------------------------------------------------------------------- */

/* Text between the user's own pieces. */
static int encode_part(struct encoder *e, struct str s)
{
    int rc = 0;
    if (s.n && e->v->unused_pieces) return merge_with_unused(e, s.p, s.n);
    for (size_t at = 0, end; at < s.n && rc == 0; at = end) {
        end = vocab_word_end(e->v, s, at);
        rc = bpe_word(e, s.p + at, end - at, merge_word, 0);
    }
    return rc;
}

int spm_encode(struct encoder *e, struct str s, int first)
{
    const struct trie *t = &e->v->user;
    int rc = spm_normalise(e, &s, first);
    size_t done = 0, n;
    e->text = s.p;
    e->epoch++;
    for (size_t at = 0; rc == 0 && t->nnode && at < s.n;) {
        int32_t id = t->root[(unsigned char)s.p[at]] ? trie_longest(t, str_from(s, at), &n) : -1;
        if (id < 0) {
            at += bpe_char_length(s.p[at]);
            continue;
        }
        rc = encode_part(e, (struct str){s.p + done, at - done});
        if (rc == 0) rc = encoder_push(e, id);
        done = at += n;
    }
    return rc < 0 ? rc : encode_part(e, str_from(s, done));
}
