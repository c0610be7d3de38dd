/* SPDX-License-Identifier: Apache-2.0
 *
 * text/rx_loose.c: expressions without the upper bounds that are far away.
 *
 * A text in which a bound within a bound is counted has a state for each way to have counted, and what tokens may come next is nearly always the
 * same in all of them: a bound of 255 that is at 200 cannot be met by one token. So a state is loosened: repetitions with at least so many
 * left lose their upper bound, where that only adds texts (not in what a difference takes away). A text shorter than the least bound
 * that was dropped is in both or in neither. So a token may come in the strict state if it may in the loose one and the shortest end behind it keeps
 * the whole that short; and if it may not in the loose one, it may not in the strict one. While p->within is set rx_alive looks at that end: where
 * none is near it says so in p->beyond, and what was found out is not to be used. */
#include "base/err.h"
#include "text/rx_impl.h"

enum { KIDS_MAX = 256 };
static const uint32_t least[RX_LOOSE] = {RX_LOOSE_FAR, RX_LOOSE_NEAR};

static uint32_t loosen(struct rx *p, uint32_t r, int how);

static uint32_t loosen_kids(struct rx *p, const struct rx_node *n, int how)
{
    uint32_t v[KIDS_MAX], to = RX_ALL;
    for (uint32_t i = 0; i < n->b; i++) v[i] = loosen(p, p->kid[n->a + i], how);
    if (n->kind == RXK_ALT) return rx_alt_n(p, v, n->b);
    for (uint32_t i = 0; i < n->b; i++) to = rx_and(p, to, v[i]);
    return to;
}

static uint32_t loosen_new(struct rx *p, uint32_t r, int how)
{
    struct rx_node n = p->node[r];
    switch (n.kind) {
    case RXK_CAT: return rx_cat(p, loosen(p, n.a, how), loosen(p, n.b, how));
    case RXK_ALT:
    case RXK_AND: return n.b > KIDS_MAX ? r : loosen_kids(p, &n, how);
    case RXK_DIFF: return rx_diff(p, loosen(p, n.a, how), n.b);
    case RXK_REP: return rx_rep(p, loosen(p, n.a, how), n.lo, n.hi >= least[how] ? RX_INF : n.hi);
    default: return r;
    }
}

static uint32_t loosen(struct rx *p, uint32_t r, int how)
{
    if (r < RX_FIRST_FREE || p->failed) return r;
    if (p->node[r].loose[how]) return p->node[r].loose[how] - 1;
    if (p->depth > RX_DEPTH_MAX) p->failed = LAR_ELIMIT;
    p->depth++;
    uint32_t to = loosen_new(p, r, how);
    p->depth--;
    if (p->failed) return RX_EMPTY;
    p->node[r].loose[how] = to + 1;
    return to;
}

uint32_t rx_loose(struct rx *p, uint32_t r, enum rx_loose how) { return loosen(p, r, (int)how); }

/* Whether a text that ended another state ends r. */
static int near_as_before(struct rx *p, uint32_t r)
{
    for (size_t k = 0; k < sizeof p->end / sizeof *p->end; k++) {
        struct rx_end e = p->end[k];
        uint32_t at = r;
        if (e.n > RX_NEAR) continue;
        for (unsigned i = 0; i <= e.n && at != RX_EMPTY; i++) {
            if (rx_nullable(p, at)) return 1;
            if (i < e.n) at = rx_step(p, at, (unsigned char)e.s[i]);
        }
    }
    return 0;
}

int rx_near(struct rx *p, uint32_t r)
{
    char end[RX_NEAR];
    if (!p->node[r].boolean) return p->node[r].far <= RX_NEAR; /* there it is no guess */
    if (!p->node[r].near) p->node[r].near = near_as_before(p, r) || rx_short(p, r, end, RX_NEAR) >= 0 ? 1 : 2;
    return p->node[r].near == 1;
}
