/* SPDX-License-Identifier: Apache-2.0
 * text/rx_impl.h: the pool of expressions as rx.c and its neighbours see it. */
#ifndef TEXT_RX_IMPL_H
#define TEXT_RX_IMPL_H

#include "text/rx.h"

/* What a, b, lo and hi mean:
 *   SET   a: index of the set            CAT, DIFF  a, b: the parts
 *   ALT, AND  a: place in kid[], b: how many, sorted, no two equal
 *   REP   a: what, lo..hi times          CMP  a: constant, b: wanted relations, lo: phase and relation so far, hi: digits read
 *   MOD   a: constant, b: phase and digits of the fraction, lo, hi: the remainder */
enum rx_kind {
    RXK_EMPTY,
    RXK_EPS,
    RXK_SET,
    RXK_CAT,
    RXK_ALT,
    RXK_AND,
    RXK_DIFF,
    RXK_REP,
    RXK_CMP,
    RXK_MOD
};

struct rx_node {
    uint8_t kind, nullable;
    uint8_t alive;   /* 0 not known yet, 1 yes, 2 no */
    uint8_t near;    /* the same of rx_near */
    uint8_t boolean : 1, /* holds AND, DIFF, CMP or MOD: may be empty without being RX_EMPTY */
        full : 1,        /* its row is complete */
        counts : 1,      /* holds REP: may cover another that holds it with other bounds */
        single : 2;      /* every text is one character: 0 not known yet, 1 yes, 2 no */
    uint16_t far; /* a guess at the bytes of its shortest text; intersections add up, so that each step forward counts */
    uint32_t a, b, lo, hi;
    uint32_t next;  /* of the same hash, + 1 */
    uint32_t first; /* set of first bytes of the classes, index + 1 */
    uint32_t row;   /* of step[], + 1 */
    uint32_t loose[RX_LOOSE]; /* + 1 */
};

struct rx_const {
    uint32_t text; /* place of the digits in text[] */
    uint32_t nint, nfrac;
    uint64_t m;
    uint32_t scale;
};

struct rx_memo {
    uint64_t key; /* node << 8 | byte, + 1 */
    uint32_t value;
};

enum { RX_END_MAX = 31 };

struct rx {
    struct rx_node *node;
    size_t nnode, cap_node;
    uint32_t *head;
    size_t nhead;
    struct rx_set *set;
    size_t nset, cap_set;
    uint32_t *kid;
    size_t nkid, cap_kid;
    struct rx_const *con;
    size_t ncon, cap_con;
    char *text;
    size_t ntext, cap_text;
    struct rx_memo *memo;
    size_t nmemo, cap_memo;
    uint32_t (*step)[256]; /* rows of states that were stepped from: UINT32_MAX = not known yet */
    size_t nstep, cap_step;
    uint32_t dot; /* "." of regular expressions, 0: not made yet */
    uint32_t single[256]; /* sets of one byte, 0 = not made yet */
    /* Texts that ended a state before, newest first: they end most of its neighbours too. */
    struct rx_end {
        uint8_t n;
        char s[RX_END_MAX];
    } end[4];
    size_t bytes, limit;
    int within, beyond; /* rx_loose.c */
    int depth, failed;
};

/* Room for one more element of size bytes in *v (n used, *cap there); 0, or -1 with p->failed set. */
int rx_grow(struct rx *p, void *v, size_t n, size_t *cap, size_t size);
uint32_t rx_intern(struct rx *p, const struct rx_node *want, const uint32_t *kid, size_t nkid);
uint32_t rx_set_index(struct rx *p, const struct rx_set *s);
/* rx_num.c: the leaves for numbers */
uint32_t rx_cmp_step(struct rx *p, struct rx_node n, unsigned b);
int rx_cmp_nullable(const struct rx *p, const struct rx_node *n);
uint32_t rx_mod_step(struct rx *p, struct rx_node n, unsigned b);
int rx_mod_nullable(const struct rx *p, const struct rx_node *n);

#endif
