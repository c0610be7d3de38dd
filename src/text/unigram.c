/* SPDX-License-Identifier: Apache-2.0
 *
 * text/unigram.c: SentencePiece Unigram: the split of the text whose pieces have the largest sum of scores (Viterbi).
 *
 * best[i] is the best split of the first i bytes: best[i] = max over pieces that end at i of best[begin] + score(piece). Sums are
 * floats, added from the left, and the first of equals stays, so that ties fall as they do in the reference (unigram_model.cc,
 * EncodeOptimized). A character that begins no piece of its own length is unknown, at the lowest score less ten. One of the user's own
 * pieces has 0.1 for each byte but the first. The rules are those of SentencePiece 0.2.3.
 *
 * A tokenizer.json's are those of tokenizers 0.23.3: scores and sums are doubles ("ab" at -2.00000001 loses to "a" and "b" at -1 each, which
 * floats cannot tell), everything in its vocabulary is a piece, <unk> and <0x0A> too when a text spells them so, and a run of unknown pieces
 * becomes bytes or the unknown token as one. Only names of control tokens stay out, so that none comes of anything but itself.
 */
#include <float.h>

#include "text/bpe.h"
#include "text/vocab_make.h"

struct best {
    double score;
    uint32_t begin; /* of the last piece; NOWHERE before any ends here */
    int32_t id;
};

#define NOWHERE 0xffffffffu
#define REBASE_AT 100000.0

int unigram_load(struct vocab *v, const struct gguf *g, struct lar_err *err)
{
    (void)g;
    int rc = 0;
    v->score_min = (double)FLT_MAX;
    if (v->unk < 0)
        return lar_fail(err, LAR_EFORMAT, "tokenizer.ggml.unknown_token_id: missing; a t5 tokenizer needs it");
    for (int32_t i = 0; i < v->n && rc == 0; i++) {
        int t = vocab_type_of(v, i), hf = v->words >= 0, named = hf && (t == TOKEN_BYTE || t == TOKEN_UNKNOWN);
        int piece = named || t == TOKEN_NORMAL || (t == TOKEN_USER && (!hf || v->found[i] & MAKE_PIECE));
        if ((t == TOKEN_NORMAL || (hf && piece)) && v->score[i] < v->score_min) v->score_min = v->score[i];
        if (piece && !vocab_has_plain_space(v, i))
            rc = vocab_trie_add(&v->pieces, v, i, named ? vocab_piece(v, i) : vocab_raw(v, i), err);
    }
    return rc;
}

/* One of the user's own pieces is always taken: it gains where others lose. */
static double score_of(const struct vocab *v, int32_t id)
{
    if (vocab_type_of(v, id) != TOKEN_USER || v->words >= 0) return v->score[id];
    return (double)(float)(0.1 * ((double)vocab_piece(v, id).n - 1));
}

/* Offers best[end] a path. */
static void offer(struct best *b, double score, uint32_t begin, int32_t id)
{
    if (b->begin != NOWHERE && !(score > b->score)) return;
    *b = (struct best){score, begin, id};
}

/* Sums grow without bound and floats lose their small digits: past a threshold all that are still in use are taken back by the sum at
 * `at`. Gives the new sum there. */
static double rebase(struct best *best, size_t at, size_t frontier)
{
    double sum = best[at].score;
    if (sum >= -REBASE_AT && sum <= REBASE_AT) return sum;
    for (size_t i = at; i <= frontier; i++)
        if (i == at || best[i].begin != NOWHERE) best[i].score = (double)(float)(best[i].score - sum);
    return 0;
}

/* A sum of two floats that was rounded to a double first rounds to the same float. */
static double add(double a, double b, int exact)
{
    double s = a + b;
    return exact ? s : (double)(float)s;
}

static void find_best(const struct vocab *v, struct str s, struct best *best)
{
    const struct trie *t = &v->pieces;
    int exact = v->words >= 0;
    double unknown = add(v->score_min, -10, exact);
    for (size_t i = 0; i <= s.n; i++) best[i] = (struct best){0, NOWHERE, -1};
    for (size_t at = 0, k, frontier = 0; at < s.n; at += k) {
        k = bpe_char_length(s.p[at]);
        if (k > s.n - at) k = s.n - at; /* the model's own table of replacements may end within a character */
        double here = exact ? best[at].score : rebase(best, at, frontier);
        int single = 0;
        uint32_t node = 0;
        for (size_t i = at; i < s.n && t->nnode && (node = trie_step(t, node, (unsigned char)s.p[i])); i++) {
            int32_t id = t->value[node];
            if (id < 0) continue;
            if (i + 1 > frontier) frontier = i + 1;
            offer(&best[i + 1], add(here, score_of(v, id), exact), (uint32_t)at, id);
            if (i + 1 - at == k) single = 1;
        }
        if (single) continue;
        if (at + k > frontier) frontier = at + k;
        offer(&best[at + k], add(here, unknown, exact), (uint32_t)at, v->unk);
    }
}

static int push_piece(struct encoder *e, int32_t id, const char *p, size_t n)
{
    const struct vocab *v = e->v;
    int rc = 0, bytes = v->byte_tokens;
    if (id != v->unk) return encoder_push(e, id);
    if (v->words >= 0 && bytes) {
        bytes = !str_eq((struct str){p, n}, vocab_piece(v, id));
        for (size_t i = 0; i < n && bytes; i++) bytes = v->byte_id[(unsigned char)p[i]] >= 0;
    }
    if (!bytes) return encoder_push_unk(e);
    for (size_t i = 0; i < n && rc == 0; i++) {
        int32_t b = v->byte_id[(unsigned char)p[i]];
        rc = b < 0 ? encoder_push_unk(e) : encoder_push(e, b);
    }
    return rc;
}

int unigram_encode(struct encoder *e, struct str s, int first)
{
    int rc = spm_normalise(e, &s, first);
    return rc < 0 ? rc : unigram_word(e, s);
}

int unigram_word(struct encoder *e, struct str s)
{
    int rc = 0;
    if (!s.n) return 0;
    if (s.n >= NOWHERE) return lar_fail(e->err, LAR_ELIMIT, "tokenizing: the text is too long when normalised");
    struct best *best = encoder_scratch(e, (s.n + 1) * sizeof *best);
    if (!best) return LAR_ENOMEM;
    find_best(e->v, s, best);
    /* Back from the end, turning the links round: afterwards begin is where the piece from here ends. */
    uint32_t end = (uint32_t)s.n, next = NOWHERE;
    int32_t id = -1;
    for (uint32_t at = end;;) {
        struct best b = best[at];
        best[at].begin = next;
        best[at].id = id;
        if (at == 0) break;
        next = at;
        id = b.id;
        at = b.begin;
    }
    for (uint32_t at = 0, to; at < end && rc == 0; at = to) {
        int join = e->v->words >= 0 && best[at].id == e->v->unk;
        to = best[at].begin;
        while (join && to < end && best[to].id == e->v->unk) to = best[to].begin;
        rc = push_piece(e, best[at].id, s.p + at, to - at);
    }
    return rc;
}
