/* SPDX-License-Identifier: Apache-2.0
 *
 * text/bpe.c: encoding by merges: words of bytes (GPT-2 and all that came from it), and texts of characters with bytes for those
 * unknown (Gemma 4, SentencePiece vocabularies that keep Hugging Face's merges).
 *
 * Most words of a text are tokens, and most of the rest came before. So a word is looked up whole; that it is a token does not yet mean
 * that its merges lead there, which is found out once and noted in the vocabulary (`whole`). Words that are several tokens are remembered for
 * the length of the call. Only the others are merged.
 */
#include "text/bpe.h"
#include "text/unicode.h"

static struct cand pair_by_id(const void *ctx, const char *word, int32_t l, int32_t r, uint32_t from,
                              uint32_t to)
{
    const struct vocab *v = ctx;
    (void)word, (void)from, (void)to;
    if (l < 0 || r < 0) return (struct cand){RANK_NONE, -1};
    uint64_t pair = ((uint64_t)(uint32_t)l + 1) << 32 | (uint32_t)r;
    uint32_t i = (uint32_t)(pair * 0x9e3779b97f4a7c15 >> v->merge_shift);
    for (;; i = (i + 1) & v->merge_mask) {
        if (v->merge[i].pair == pair) return (struct cand){v->merge[i].rank, v->merge[i].id};
        if (!v->merge[i].pair) return (struct cand){RANK_NONE, -1};
    }
}

/* The symbols of a word of bytes. A byte that is no token is left out, as in the reference. */
static uint32_t byte_symbols(const struct vocab *v, const char *p, size_t n, int32_t *id, uint32_t *at)
{
    uint32_t m = 0;
    for (size_t i = 0; i < n; i++) {
        if (v->byte_id[(unsigned char)p[i]] < 0) continue;
        at[m] = (uint32_t)i;
        id[m++] = v->byte_id[(unsigned char)p[i]];
    }
    at[m] = (uint32_t)n;
    return m;
}

#define ID_UNKNOWN (-1)

/* The symbols of a word of characters: a piece, else the tokens of its bytes, else unknown. */
static uint32_t char_symbols(const struct vocab *v, const char *p, size_t n, int32_t *id, uint32_t *at)
{
    uint32_t m = 0;
    for (size_t i = 0, k; i < n; i += k) {
        k = bpe_char_length(p[i]);
        if (k > n - i) k = n - i;
        int32_t c = vocab_find_raw(v, vocab_key(p + i, k), p + i, k);
        int bytes = c < 0 && v->byte_tokens;
        for (size_t b = 0; bytes && b < k; b++) bytes = v->byte_id[(unsigned char)p[i + b]] >= 0;
        for (size_t b = 0; bytes && b < k; b++) {
            at[m] = (uint32_t)(i + b);
            id[m++] = v->byte_id[(unsigned char)p[i + b]];
        }
        if (bytes) continue;
        at[m] = (uint32_t)i;
        id[m++] = c < 0 ? ID_UNKNOWN : c;
    }
    at[m] = (uint32_t)n;
    return m;
}

typedef uint32_t symbols_fn(const struct vocab *v, const char *p, size_t n, int32_t *id, uint32_t *at);

static int push_all(struct encoder *e, const int32_t *id, uint32_t n)
{
    int rc = 0;
    for (uint32_t i = 0; i < n && rc == 0; i++)
        rc = id[i] == ID_UNKNOWN ? encoder_push_unk(e) : encoder_push(e, id[i]);
    return rc;
}

static inline __attribute__((always_inline)) int merge_word(struct encoder *e, const char *p, size_t n,
                                                            symbols_fn *symbols)
{
    if (n <= SHORT_WORD) {
        int32_t id[SHORT_WORD];
        uint32_t at[SHORT_WORD + 1], m = symbols(e->v, p, n, id, at);
        return push_all(e, id, merge_short(e->v, p, id, at, m, pair_by_id));
    }
    struct long_word w;
    if (long_word(e, n, &w) < 0) return LAR_ENOMEM;
    uint32_t m = symbols(e->v, p, n, w.id, w.at);
    return push_all(e, w.id, merge_long(e->v, p, w.id, w.at, m, w.work, pair_by_id));
}

static int merge_bytes(struct encoder *e, const char *p, size_t n)
{
    return merge_word(e, p, n, byte_symbols);
}

static int merge_chars(struct encoder *e, const char *p, size_t n)
{
    return merge_word(e, p, n, char_symbols);
}

static int byte_word(void *ctx, const char *p, size_t n)
{
    return bpe_word(ctx, p, n, merge_bytes, 0);
}

static int byte_word_whole(void *ctx, const char *p, size_t n)
{
    return bpe_word(ctx, p, n, merge_bytes, 1);
}

/* A word that may be a whole sentence. */
static int byte_word_long(void *ctx, const char *p, size_t n)
{
    struct encoder *e = ctx;
    int rc = 0;
    for (size_t at = 0, end; at < n && rc == 0; at = end) {
        end = vocab_word_end(e->v, (struct str){p, n}, at);
        rc = bpe_word(e, p + at, end - at, merge_bytes, 0);
    }
    return rc;
}

int bpe_encode(struct encoder *e, struct str s, int first)
{
    const struct vocab *v = e->v;
    if ((v->split_flags & SPLIT_NFC) && !unicode_is_nfc(s)) {
        buf_clear(&e->norm);
        unicode_nfc(s, &e->norm);
        if (e->norm.failed) return encoder_nomem(e);
        s = buf_view(&e->norm);
    }
    if (vocab_wants_prefix(v, s, first)) {
        buf_clear(&e->norm2);
        buf_putc(&e->norm2, ' ');
        buf_str(&e->norm2, s);
        if (e->norm2.failed) return encoder_nomem(e);
        s = buf_view(&e->norm2);
    }
    e->text = s.p;
    e->epoch++;
    split_emit *word = v->split_flags & SPLIT_IGNORE_MERGES ? byte_word_whole
                       : v->split_flags & SPLIT_LONG        ? byte_word_long
                                                            : byte_word;
    if (!v->own) return split_each(v->split, s, word, e);
    int rc = split_own_each(v->own, s, word, e);
    return rc == LAR_ENOMEM ? encoder_nomem(e) : rc;
}

int chars_word(struct encoder *e, struct str s)
{
    int rc = 0;
    for (size_t at = 0, end; at < s.n && rc == 0; at = end) {
        end = vocab_word_end(e->v, s, at);
        rc = bpe_word(e, s.p + at, end - at, merge_chars, 0);
    }
    return rc;
}

int chars_encode(struct encoder *e, struct str s, int first)
{
    int rc = e->v->prefix || e->v->remove_spaces || e->v->map_trie.n ? spm_normalise(e, &s, first) : spm_clean(e, &s);
    e->text = s.p;
    e->epoch++;
    return rc < 0 ? rc : chars_word(e, s);
}
