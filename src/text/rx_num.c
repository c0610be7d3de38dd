/* SPDX-License-Identifier: Apache-2.0
 *
 * text/rx_num.c: two leaves of expressions that read a decimal text digit by digit: rx_compare and rx_multiple (see rx.h).
 *
 * A comparison needs the number of digits read (up to one more than the constant has) and the relation of the digits so far: the
 * longer integer is the greater one, among equally long ones the first difference decides, then the fraction goes on. Divisibility of
 * v by m / 10^s is that of v 10^s by m: the remainder of the digits read, and how many of them stood behind the point; from the
 * s-th on only zeros may follow. */
#include "base/err.h"
#include "text/rx_impl.h"

/* Phases of a decimal text. */
enum { START, INT, ZERO, POINT, FRAC };
#define PHASE(x) ((x)&7)
#define REL(x)   ((x) >> 3)

static uint32_t add_const(struct rx *p, struct rx_const c, struct str a, struct str b)
{
    for (size_t i = 0; i < p->ncon; i++) {
        const struct rx_const *k = &p->con[i];
        if (k->nint == a.n && k->nfrac == b.n && k->m == c.m && k->scale == c.scale &&
            (!a.n || !memcmp(p->text + k->text, a.p, a.n)) &&
            (!b.n || !memcmp(p->text + k->text + a.n, b.p, b.n)))
            return (uint32_t)i;
    }
    if (rx_grow(p, &p->con, p->ncon, &p->cap_con, sizeof *p->con)) return 0;
    c.text = (uint32_t)p->ntext;
    c.nint = (uint32_t)a.n;
    c.nfrac = (uint32_t)b.n;
    for (size_t i = 0; i < a.n + b.n; i++) {
        if (rx_grow(p, &p->text, p->ntext, &p->cap_text, 1)) return 0;
        p->text[p->ntext++] = i < a.n ? a.p[i] : b.p[i - a.n];
    }
    p->con[p->ncon] = c;
    return (uint32_t)p->ncon++;
}

uint32_t rx_compare(struct rx *p, struct str integer, struct str fraction, unsigned rel)
{
    uint32_t c = add_const(p, (struct rx_const){0}, integer, fraction);
    return rx_intern(
        p, &(struct rx_node){.kind = RXK_CMP, .a = c, .b = rel, .lo = START | RX_EQ << 3}, NULL, 0);
}

/* The relation once the integer part of k digits is whole. */
static unsigned int_rel(const struct rx_const *c, unsigned rel, uint32_t k)
{
    return k < c->nint ? RX_LT : k > c->nint ? RX_GT : rel;
}

int rx_cmp_nullable(const struct rx *p, const struct rx_node *n)
{
    const struct rx_const *c = &p->con[n->a];
    unsigned phase = PHASE(n->lo), rel = REL(n->lo);
    if (phase == INT || phase == ZERO) {
        rel = int_rel(c, rel, n->hi);
        if (rel == RX_EQ && c->nfrac) rel = RX_LT;
    } else if (phase == FRAC) {
        if (rel == RX_EQ && n->hi < c->nfrac) rel = RX_LT;
    } else
        return 0;
    return (rel & n->b) != 0;
}

uint32_t rx_cmp_step(struct rx *p, struct rx_node n, unsigned b)
{
    const struct rx_const *c = &p->con[n.a];
    const char *digit = p->text + c->text;
    unsigned phase = PHASE(n.lo), rel = REL(n.lo), d = b - '0', next;
    uint32_t k = n.hi;
    if (b == '.' && (phase == INT || phase == ZERO)) {
        rel = int_rel(c, rel, k);
        next = POINT;
        k = 0;
    } else if (d > 9 || phase == ZERO)
        return RX_EMPTY;
    else {
        next = phase == START ? (d ? INT : ZERO) : phase == INT ? INT : FRAC;
        unsigned want = 10; /* past the constant's digits: nothing to compare */
        if (next == FRAC)
            want = k < c->nfrac ? (unsigned)(digit[c->nint + k] - '0') : 0;
        else if (k < c->nint)
            want = (unsigned)(digit[k] - '0');
        if (rel == RX_EQ && want < 10 && d != want) rel = d < want ? RX_LT : RX_GT;
        uint32_t most = next == FRAC ? c->nfrac : c->nint + 1;
        if (k < most) k++;
    }
    if ((next == POINT || next == FRAC) && rel != RX_EQ)
        k = 0; /* decided: what is behind no longer matters */
    if ((next == POINT || next == FRAC) && rel != RX_EQ && !(rel & n.b)) return RX_EMPTY;
    n.lo = next | rel << 3;
    n.hi = k;
    return rx_intern(
        p, &(struct rx_node){.kind = RXK_CMP, .a = n.a, .b = n.b, .lo = n.lo, .hi = n.hi}, NULL, 0);
}

uint32_t rx_multiple(struct rx *p, uint64_t m, unsigned scale)
{
    uint32_t c =
        add_const(p, (struct rx_const){.m = m, .scale = scale}, (struct str){0}, (struct str){0});
    return rx_intern(p, &(struct rx_node){.kind = RXK_MOD, .a = c, .b = START}, NULL, 0);
}

static uint64_t rest_of(uint64_t r, unsigned zeros, uint64_t m)
{
    uint64_t v = r; /* m < 2^59: ten times as much still fits */
    while (zeros--) v = v * 10 % m;
    return v;
}

int rx_mod_nullable(const struct rx *p, const struct rx_node *n)
{
    const struct rx_const *c = &p->con[n->a];
    unsigned phase = PHASE(n->b), f = n->b >> 3;
    uint64_t r = (uint64_t)n->hi << 32 | n->lo;
    return phase != START && phase != POINT && rest_of(r, c->scale - f, c->m) == 0;
}

uint32_t rx_mod_step(struct rx *p, struct rx_node n, unsigned b)
{
    const struct rx_const *c = &p->con[n.a];
    unsigned phase = PHASE(n.b), f = n.b >> 3, d = b - '0';
    uint64_t r = (uint64_t)n.hi << 32 | n.lo;
    if (b == '.' && (phase == INT || phase == ZERO))
        phase = POINT;
    else if (d > 9 || phase == ZERO)
        return RX_EMPTY;
    else {
        phase = phase == START ? (d ? INT : ZERO) : phase == INT ? INT : FRAC;
        if (phase == FRAC && f == c->scale) {
            if (d) return RX_EMPTY;
        } else {
            f += phase == FRAC;
            r = (r * 10 + d) % c->m;
        }
    }
    /* With no digits left to choose the remainder must be zero already. */
    if ((phase == POINT || phase == FRAC) && f == c->scale && r) return RX_EMPTY;
    n.b = phase | f << 3;
    n.lo = (uint32_t)r;
    n.hi = (uint32_t)(r >> 32);
    return rx_intern(
        p, &(struct rx_node){.kind = RXK_MOD, .a = n.a, .b = n.b, .lo = n.lo, .hi = n.hi}, NULL, 0);
}
