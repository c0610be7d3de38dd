/* SPDX-License-Identifier: Apache-2.0
 * text/toktrie_shape.h: the tree of tokens by what their bytes are alike in; toktrie_shape.c says why. */
#ifndef TEXT_TOKTRIE_SHAPE_H
#define TEXT_TOKTRIE_SHAPE_H

#include "text/toktrie.h"

/* Signs: "a" any small letter, "A" any capital, "0" any digit, other ASCII itself, and for each kind of characters beyond (toktrie_wide): WIDE,
 * at the end of one; PART, the token ends within it; LEAD, at its first byte, for those who want it byte by byte. BROKEN: at a byte that
 * no character has there. */
enum {
    SHAPE_WIDE = 0x80,
    SHAPE_PART = SHAPE_WIDE + TOKTRIE_WIDES,
    SHAPE_LEAD = SHAPE_PART + TOKTRIE_WIDES,
    SHAPE_BROKEN = SHAPE_LEAD + TOKTRIE_WIDES,
    SHAPE_SIGNS
};

int shapes_make(struct shapes *s, const struct trie *t); /* 0 or -1: out of memory; shapes_done either way */
void shapes_done(struct shapes *s);
/* The number of the tree below a node of the tree of bytes, UINT32_MAX when it has none. */
uint32_t shapes_root(const struct shapes *s, const struct trie *t, uint32_t node);

#endif
