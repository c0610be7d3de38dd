/* SPDX-License-Identifier: Apache-2.0
 *
 * text/vocab_trie.h: a trie over bytes, for "which pieces begin here": added tokens, Unigram, WordPiece, the normaliser's own pieces.
 * Its edges lie in one hash table (parent, byte) -> child, 8 bytes each; building costs one look-up a byte of the pieces.
 */
#ifndef TEXT_VOCAB_TRIE_H
#define TEXT_VOCAB_TRIE_H

#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

#define TRIE_NODES_MAX (1u << 28)

struct trie {
    uint64_t *edge; /* parent << 36 | byte << 28 | child; 0: free */
    uint32_t mask;
    int shift;
    int32_t *value; /* [nnode], -1 where no piece ends */
    uint32_t nnode, node_cap, nedge;
    uint32_t root[256]; /* children of the root */
};

/* A zeroed trie is empty. */
void trie_done(struct trie *t);
/* Adds key (n > 0); the first of two equal keys stays. 0, LAR_ENOMEM, or LAR_ELIMIT past TRIE_NODES_MAX nodes or with colliding edges. */
int trie_add(struct trie *t, struct str key, int32_t value);

/* The child of a node by a byte; 0 (the root, which is nobody's child): none. */
static inline uint32_t trie_step(const struct trie *t, uint32_t node, unsigned char c)
{
    if (node == 0) return t->root[c];
    uint64_t want = (uint64_t)node << 8 | c;
    for (uint32_t i = (uint32_t)(want * 0x9e3779b97f4a7c15 >> t->shift);; i = (i + 1) & t->mask) {
        uint64_t e = t->edge[i];
        if (e >> 28 == want) return (uint32_t)e & (TRIE_NODES_MAX - 1);
        if (!e) return 0;
    }
}

/* The longest key that s begins with: its value, and its length in *n; -1 when none. */
int32_t trie_longest(const struct trie *t, struct str s, size_t *n);

#endif
