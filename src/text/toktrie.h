/* SPDX-License-Identifier: Apache-2.0
 *
 * text/toktrie.h: the bytes of a vocabulary's tokens as a tree, and what can be said of them before any grammar is known.
 *
 * Tokens are sorted by their bytes, so the tokens below a node are one range of that order. Most of what a constraint allows is text
 * inside of a JSON string, which is the same in every grammar; so for every place at which a token can open a string it is found
 * out here, once, which tokens below it stay inside ("inner") and which close the string and go on with something (their "tail": the bytes
 * after the quote). Tails of different tokens are often equal; they have numbers and a tree of their own, and a grammar decides about a
 * tail once, not about each token with it.
 *
 * Immutable after building; any number of threads may read it.
 */
#ifndef TEXT_TOKTRIE_H
#define TEXT_TOKTRIE_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"

enum { TOKTRIE_TOKEN_MAX = 1024 }; /* longer tokens are never allowed by a grammar */

struct tnode {
    uint32_t child;  /* first of nchild, which lie side by side, sorted by byte */
    uint32_t lo, hi; /* tokens below and here: range of order[]; the first `own` of them end here */
    uint16_t nchild, own;
    uint16_t height, depth; /* bytes of the longest text below, from here; bytes from the root to here */
    uint8_t byte;
    uint64_t kinds; /* of the bytes below: bits by toktrie_kind */
};
/* Bytes that expressions seldom tell apart share a bit: "a" to "f", the other small letters, and so on. Characters beyond ASCII, whole or cut
 * at the token's end, are of one kind, but for those whose first byte white space, line terminators and dashes have: each of these bytes is a
 * kind of its own. TOKTRIE_BROKEN: what is no character. */
enum { TOKTRIE_CONTROL = 0, TOKTRIE_WIDE = 44, TOKTRIE_WIDES = 6, TOKTRIE_BROKEN = TOKTRIE_WIDE + TOKTRIE_WIDES };
unsigned toktrie_kind(unsigned b); /* of a byte below 0x80 */
unsigned toktrie_wide(unsigned b); /* of the first byte of a character beyond: 0 to TOKTRIE_WIDES - 1, 0 is the large one */

/* A tree over texts that have numbers. */
struct trie {
    struct tnode *node; /* [0] is the root */
    uint32_t nnode, cap;
    uint32_t *order; /* numbers, sorted by text */
    uint32_t n;
};

/* The same tree with signs for bytes (toktrie_shape.h). Tokens with a quote or a backslash behind its root are odd: a string's text is asked of
 * them apart. */
struct shape { /* a walk reads thousands of these and little else: two fit into a line of the cache */
    uint64_t kinds, plain; /* of all tokens below; without the odd ones */
    uint32_t child;
    uint32_t height : 11, nchild : 8, sign : 8, behind : 1; /* behind: a quote or a backslash */
    uint32_t lo, hi; /* tokens, as in struct tnode, in shapes.order; without the odd ones */
};
struct shape_more { /* what is seldom asked for */
    uint32_t own, odd, odd_hi, odd_own; /* the first of the tokens; the odd ones in shapes.order */
    uint32_t from, n;                   /* nodes of the tree of bytes that it stands for: range of shapes.list */
};
struct shapes {
    struct shape *node; /* the roots first, the first of them that of the whole tree; then what is below each, as it is walked */
    struct shape_more *more;
    uint32_t nnode, nroot;
    uint32_t *list, nlist;
    uint32_t *order;
};

/* A token that closes a string: its tail, 0 when nothing follows the quote, is a number of toktrie.tails. */
struct texit {
    uint32_t tail, token;
};
/* What free text in a string allows below a node. */
struct tfree {
    uint32_t node, skip;     /* skip: its depth */
    uint32_t *inner, ninner; /* tokens; those that end with the quote are among them */
    struct texit *exit;      /* the others that close it; sorted by tail */
    uint32_t nexit;
    struct texit *exit_of; /* {place in exit, place in the tree's order}, sorted by the second */
};
/* One of them, of those that can be in a string that begins before them. */
struct todd {
    uint32_t token, text; /* place of its text in toktrie.odd_text */
    uint32_t exit;        /* place in free[0].exit + 1; 0: it stays in the string, or only closes it */
    uint16_t n, common;   /* bytes of its text, and how many it has in common with the one before */
    uint8_t closes;       /* its text holds the quote that closes it */
};
enum { TOKTRIE_CHARS = 32, TOKTRIE_BIG = 32 };

struct toktrie {
    uint32_t nvocab, nword; /* nword: 64-bit words of a set of tokens */
    const struct str *bytes; /* [nvocab]; n = 0: not part of any text */
    struct trie t;
    struct shapes shapes;
    struct trie tails;
    struct str *tail; /* text of each; [0] is empty */
    uint32_t ntail;
    struct tfree *free; /* of the root first, then of nodes that end in a quote; sorted by node */
    uint32_t nfree;
    struct todd *odd; /* in the tree's order */
    uint32_t nodd;
    char *odd_text;
    /* Of tokens in a string that begins before them: */
    uint64_t *inner;  /* tfree.inner of the root as a set */
    uint64_t *upto;   /* [TOKTRIE_CHARS + 1][nword] those of inner with at most so many characters */
    uint8_t *chars;   /* [nvocab] characters (up to its quote; one that is only begun counts), 255: that or more */
    uint32_t *closer, ncloser; /* tokens of inner that end with the quote */
    uint32_t *line, nline;     /* tokens of a string that hold a line terminator, or an escape that may be one (which "." does not match) */
    uint32_t *big, nbig;       /* tokens of more than TOKTRIE_BIG bytes, the longest first */
    uint32_t *longer, nlonger; /* tokens of inner with more than TOKTRIE_CHARS characters */
    /* White space (JSON's): */
    uint32_t *space, nspace; /* tokens of nothing else */
    uint32_t *digit, ndigit; /* tokens of digits and points only */
    uint32_t *after_space;   /* nodes that a byte leads to from white space or from the root, by that byte: */
    uint32_t after[257];     /* after_space[after[b]] to after_space[after[b + 1]] */
    struct arena a;
};

/* bytes: of each token; borrowed. LAR_ENOMEM. */
int toktrie_open(struct toktrie **out, const struct str *bytes, uint32_t n, struct lar_err *err);
void toktrie_close(struct toktrie *t);
/* Of a node that is a quote: the number of the text that stands behind the quote in the token, 0: none. */
uint32_t toktrie_tail(const struct toktrie *t, uint32_t token, size_t skip);
/* The child by byte b of node n, or 0. */
uint32_t trie_child(const struct trie *t, uint32_t n, unsigned b);
/* NULL for nodes that are no quote with something below. */
const struct tfree *toktrie_free(const struct toktrie *t, uint32_t node);

static inline void tokset_add(uint64_t *set, uint32_t t) { set[t >> 6] |= (uint64_t)1 << (t & 63); }
static inline int tokset_has(const uint64_t *set, uint32_t t) { return (int)(set[t >> 6] >> (t & 63) & 1); }

#endif
