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
    int beyond; /* not known: bounds that were dropped might matter */
};
/* What most bytes do to an expression: those of these kinds (toktrie_kind) lead to next, in which something is left; and where whole signs
 * (toktrie_shape.h) lead, if they are alike. */
struct reach {
    uint32_t next, small, capital, digit, wide[TOKTRIE_WIDES];
    uint64_t kinds; /* of ASCII */
    struct reach *then; /* that of next, NULL: not looked for yet */
};
enum { MASK_CUT_MAX = 256 };
enum part_kind { PART_STRING, PART_TEXT };
struct job { /* the making of a part */
    struct masks *m;
    struct grammar *g;
    const struct toktrie *t;
    const struct tfree *f; /* of strings: what is known at the node at which the text begins, or NULL (behind an escape) */
    enum part_kind kind;
    uint32_t start;  /* that node */
    uint64_t never;  /* kinds of bytes below a node that is not decided at once */
    uint64_t *exits; /* bits: these of f->exit */
    uint64_t *set;   /* what is found as a set, once it is too much for m->tmp */
    int apart;       /* odd tokens (toktrie.h) are asked for by mask_odd: a walk leaves them out */
};

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
struct kept { /* a mask: base (or nothing) without ncut tokens and with n others */
    const uint64_t *base;
    uint32_t ncut, n;
    uint32_t list[];
};

struct masks {
    struct grammar *g;
    const struct toktrie *t;
    struct arena a;
    size_t limit;
    struct map part[2], tails, kept, reach;
    uint64_t *out; /* what is being filled: */
    const uint64_t *base; /* the set that went in whole, */
    uint32_t *cut, ncut;  /* what was taken out of it, */
    uint32_t *list, nlist; /* and the other tokens */
    int mixed;             /* that does not tell it: more sets went in, or the lists are too short */
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
int masks_xtmp(struct masks *m, uint32_t tail, uint32_t token);
void *masks_room(struct masks *m, size_t n, size_t size); /* kept until everything is forgotten */
/* Of the tokens below node n, where a is left: those that it allows, to m->tmp or, when they are many, j->set, and exits to j->exits and
 * m->xtmp; or those of t->inner that it does not, to m->tmp, or the others in j->set, without the odd ones. */
void mask_list(struct job *j, uint32_t n, uint32_t a);
void mask_cut(struct job *j, uint32_t n, uint32_t a);
enum odd { ODD_EXITS, ODD_LIST, ODD_CUT };
/* The same of the odd ones, from the root; or only those that close the string: exits, and to m->tmp those that end with the quote and
 * that a does not allow. */
void mask_odd(struct job *j, uint32_t a, enum odd how);
/* NULL when the machine failed. Valid until the next mask. */
const struct part *mask_part(struct masks *m, enum part_kind kind, uint32_t node, uint32_t a, struct part *scratch);

#endif
