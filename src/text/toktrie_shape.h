/* SPDX-License-Identifier: Apache-2.0
 * text/toktrie_shape.h: the tree of tokens by what their bytes are alike in; toktrie_shape.c says why. */
#ifndef TEXT_TOKTRIE_SHAPE_H
#define TEXT_TOKTRIE_SHAPE_H

#include "text/toktrie.h"

/* Signs: "a" any small letter, "A" any capital, "0" any digit, other ASCII itself, and these. WIDE: at the end of a
 * character. PART: the token ends within it. BROKEN: at a byte that no character has there. LEAD: at the first byte of WIDE and PART, and of
 * what breaks there: for those who want them byte by byte. */
enum { SHAPE_WIDE = 0x80, SHAPE_PART, SHAPE_BROKEN, SHAPE_LEAD, SHAPE_SIGNS };

int shapes_make(struct shapes *s, const struct trie *t); /* 0 or -1: out of memory; shapes_done either way */
void shapes_done(struct shapes *s);
/* The number of the tree below a node of the tree of bytes, UINT32_MAX when it has none. */
uint32_t shapes_root(const struct shapes *s, const struct trie *t, uint32_t node);

#endif
