/* SPDX-License-Identifier: Apache-2.0
 *
 * text/bpe.h: the merging of neighbours, which all three kinds of BPE share. Private to them.
 *
 * A word begins as symbols (bytes or characters). Again and again the pair of neighbours with the lowest rank, the leftmost of equals,
 * becomes one symbol, until no pair has a rank. What rank a pair has, and what it becomes, is the caller's (`pair`).
 * Short words, nearly all, are scanned; in long ones pairs wait in a heap of (rank, place), so that n symbols cost n log n. Entries of pairs
 * that are gone stay in the heap until they surface.
 */
#ifndef TEXT_BPE_H
#define TEXT_BPE_H

#include "text/vocab_impl.h"

#define RANK_NONE 0xffffffffu
#define SHORT_WORD 48 /* symbols */

struct cand {
    uint32_t rank;
    int32_t id;
};

/* The rank of merging symbol l, which begins at byte `from` of the word, with r, which ends before `to`. ctx is what the merging was
 * called with. */
typedef struct cand pair_fn(const void *ctx, const char *word, int32_t l, int32_t r, uint32_t from,
                            uint32_t to);

/* Merges n symbols with these ids; at[i] is where i begins, at[n] the word's length. Both are changed. Gives how many are left. */
static inline __attribute__((always_inline)) uint32_t
merge_short(const void *ctx, const char *word, int32_t *id, uint32_t *at, uint32_t n, pair_fn *pair)
{
    struct cand c[SHORT_WORD];
    for (uint32_t i = 0; i + 1 < n; i++) c[i] = pair(ctx, word, id[i], id[i + 1], at[i], at[i + 2]);
    while (n > 1) {
        uint32_t best = 0;
        for (uint32_t i = 1; i + 1 < n; i++)
            if (c[i].rank < c[best].rank) best = i;
        if (c[best].rank == RANK_NONE) break;
        id[best] = c[best].id;
        n--;
        for (uint32_t i = best + 1; i < n; i++) {
            id[i] = id[i + 1];
            at[i] = at[i + 1];
            c[i - 1] = c[i];
        }
        at[n] = at[n + 1];
        if (best + 1 < n) c[best] = pair(ctx, word, id[best], id[best + 1], at[best], at[best + 2]);
        if (best > 0) c[best - 1] = pair(ctx, word, id[best - 1], id[best], at[best - 1], at[best + 1]);
    }
    return n;
}

/* The heap of merge_long: the smallest key first. */
struct heap {
    uint64_t *key;
    size_t n;
};

static inline void heap_down(struct heap *h, size_t i)
{
    uint64_t k = h->key[i];
    for (size_t c; (c = 4 * i + 1) < h->n; i = c) {
        size_t end = c + 4 < h->n ? c + 4 : h->n, least = c;
        for (size_t j = c + 1; j < end; j++)
            if (h->key[j] < h->key[least]) least = j;
        c = least;
        if (h->key[c] >= k) break;
        h->key[i] = h->key[c];
    }
    h->key[i] = k;
}

static inline void heap_push(struct heap *h, uint64_t k)
{
    size_t i = h->n++;
    for (size_t up; i > 0 && h->key[up = (i - 1) / 4] > k; i = up) h->key[i] = h->key[up];
    h->key[i] = k;
}

static inline uint64_t heap_pop(struct heap *h)
{
    uint64_t top = h->key[0];
    h->key[0] = h->key[--h->n];
    if (h->n) heap_down(h, 0);
    return top;
}

/* Bytes of scratch that merge_long needs for n symbols, beside their id and at. */
static inline size_t merge_long_bytes(size_t n)
{
    return n * (3 * sizeof(uint64_t) + sizeof(struct cand) + 2 * sizeof(uint32_t));
}

/* The same as merge_short for any number of symbols. id[] and at[] end with the symbols that are left, at[n] in its place; work has
 * merge_long_bytes(n) bytes, aligned to 8. */
static inline __attribute__((always_inline)) uint32_t
merge_long(const void *ctx, const char *word, int32_t *id, uint32_t *at, uint32_t n, void *work,
           pair_fn *pair)
{
    struct heap h = {work, 0};
    struct cand *c = (struct cand *)(void *)(h.key + 3 * (size_t)n);
    uint32_t *prev = (uint32_t *)(void *)(c + n), *next = prev + n, end = n, left = 0;
    for (uint32_t i = 0; i < n; i++) {
        prev[i] = i - 1;
        next[i] = i + 1;
        c[i] = (struct cand){RANK_NONE, -1};
        if (i + 1 < n) c[i] = pair(ctx, word, id[i], id[i + 1], at[i], at[i + 2]);
        if (c[i].rank != RANK_NONE) h.key[h.n++] = (uint64_t)c[i].rank << 32 | i;
    }
    for (size_t i = h.n / 4 + 1; h.n && i-- > 0;)
        if (i < h.n) heap_down(&h, i);
    while (h.n) {
        uint64_t key = heap_pop(&h);
        uint32_t i = (uint32_t)key, j, k;
        if (c[i].rank != key >> 32) continue;
        j = next[i];
        id[i] = c[i].id;
        c[j].rank = RANK_NONE;
        next[i] = k = next[j];
        if (k < end) prev[k] = i;
        c[i].rank = RANK_NONE;
        if (i > 0) { /* the order of these two is SentencePiece's */
            uint32_t p = prev[i];
            c[p] = pair(ctx, word, id[p], id[i], at[p], at[k]);
            if (c[p].rank != RANK_NONE) heap_push(&h, (uint64_t)c[p].rank << 32 | p);
        }
        if (k < end) {
            c[i] = pair(ctx, word, id[i], id[k], at[i], at[next[k]]);
            if (c[i].rank != RANK_NONE) heap_push(&h, (uint64_t)c[i].rank << 32 | i);
        }
    }
    for (uint32_t i = 0; i < end; i = next[i]) {
        id[left] = id[i];
        at[left++] = at[i];
    }
    at[left] = at[end];
    return left;
}

/* ---- words ------------------------------------------------------------------------------------------------------------ */

/* Where the symbols of a long word lie: in the encoder's scratch, until the next one. */
struct long_word {
    int32_t *id;  /* [n] */
    uint32_t *at; /* [n + 1] */
    void *work;   /* for merge_long */
};

static inline int long_word(struct encoder *e, size_t n, struct long_word *w)
{
    w->work = encoder_scratch(e, merge_long_bytes(n) + (2 * n + 1) * sizeof(uint32_t));
    if (!w->work) return LAR_ENOMEM;
    w->id = (int32_t *)(void *)((char *)w->work + merge_long_bytes(n));
    w->at = (uint32_t *)(void *)(w->id + n);
    return 0;
}

/* The length of a character of valid UTF-8, from its first byte. */
static inline size_t bpe_char_length(char c)
{
    unsigned char u = (unsigned char)c;
    return u < 0xc0 ? 1 : u < 0xe0 ? 2 : u < 0xf0 ? 3 : 4;
}

/* A word that may have been encoded before in this call. Gives the entry where it belongs (NULL: none is kept); when it is there, its ids
 * have been pushed and *hit is set. */
struct seen *encoder_seen(struct encoder *e, uint64_t key, const char *p, size_t n, int *hit);
/* Notes that the word's ids are those from out on. */
void encoder_saw(struct encoder *e, struct seen *s, uint64_t key, const char *p, size_t n, size_t out);

/* Encodes one word (n > 0): whole when it is a token that its merges lead to, from memory, or by merge. ignore_merges: whole when it is
 * a token. */
static inline __attribute__((always_inline)) int bpe_word(struct encoder *e, const char *p, size_t n,
                                                          int (*merge)(struct encoder *, const char *, size_t),
                                                          int ignore_merges)
{
    const struct vocab *v = e->v;
    uint64_t key = vocab_key(p, n);
    int32_t id = vocab_find_raw(v, key, p, n);
    int known = WHOLE_NO, hit;
    if (id >= 0) {
        known = ignore_merges ? WHOLE_YES : atomic_load_explicit(&v->whole[id], memory_order_relaxed);
        if (known == WHOLE_YES) return encoder_push(e, id);
    }
    struct seen *s = encoder_seen(e, key, p, n, &hit);
    if (hit) return 0;
    size_t out = e->out->n, unks = e->unks;
    int rc = merge(e, p, n);
    if (rc < 0) return rc;
    int unknown = e->unks != unks; /* then it depends on what stands before, and nothing is to be noted */
    if (id >= 0 && known == WHOLE_UNKNOWN && !unknown) {
        int yes = e->out->n == out + 1 && e->out->id[out] == id;
        atomic_store_explicit(&v->whole[id], yes ? WHOLE_YES : WHOLE_NO, memory_order_relaxed);
        if (yes) return 0;
    }
    if (s && !unknown) encoder_saw(e, s, key, p, n, out);
    return 0;
}

#endif
