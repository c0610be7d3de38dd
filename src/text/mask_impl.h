/* SPDX-License-Identifier: Apache-2.0
 * text/mask_impl.h: what mask.c and mask_part.c share. */
#ifndef TEXT_MASK_IMPL_H
#define TEXT_MASK_IMPL_H

#include "text/grammar_impl.h"
#include "text/mask.h"

/* What the text of one expression allows of the tokens below a node. */
struct part {
    const uint64_t *base; /* a set, or NULL */
    uint32_t *cut, ncut;  /* of base and exit these are not meant; sorted */
    const uint32_t *inner;
    uint32_t ninner;
    const struct texit *exit; /* tokens that close a string and go on, sorted by tail */
    uint32_t nexit;
    uint32_t lo, hi; /* of exit only those whose string has so many characters, by toktrie.chars */
    /* Texts that end without a sign of their own (numbers, patterns of the whole answer): nodes at which they may have ended. */
    uint32_t *stop, nstop;
};
/* What most bytes do to an expression: those of these kinds (toktrie_kind) lead to next, in which something is left. */
struct reach {
    uint32_t next;
    uint64_t kinds;
};
enum part_kind { PART_STRING, PART_TEXT };

struct slot {
    uint64_t key; /* + 1 */
    void *v;
};
struct map {
    struct slot *slot;
    size_t n, cap;
};
struct tails { /* that are accepted in a state, sorted; the empty one is not in the list */
    uint32_t n, v[];
};
struct kept { /* a mask: n tokens, or when n = UINT32_MAX a set */
    uint32_t n;
    uint32_t list[];
};

struct masks {
    struct grammar *g;
    const struct toktrie *t;
    struct arena a;
    size_t limit;
    struct map part[2], tails, kept, reach;
    uint64_t *out;  /* what is being filled */
    uint32_t *list; /* the tokens in it, as long as no whole set went in */
    uint32_t nlist;
    int wide;  /* one did */
    int depth;
    uint32_t *tmp; /* scratch of lists */
    size_t ntmp, cap_tmp;
    struct texit *xtmp; /* exits that the tree does not know; nodes where a text may have ended */
    size_t nxtmp, cap_xtmp;
};

void *map_get(const struct map *m, uint64_t key);
int map_put(struct masks *m, struct map *map, uint64_t key, void *v);
int masks_tmp(struct masks *m, uint32_t x);
int masks_tmp_n(struct masks *m, const uint32_t *v, size_t n);
/* NULL when the machine failed. Valid until the next mask. */
const struct part *mask_part(struct masks *m, enum part_kind kind, uint32_t node, uint32_t a, struct part *scratch);

#endif
