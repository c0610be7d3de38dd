/* SPDX-License-Identifier: Apache-2.0
 *
 * text/rx.h: regular languages over bytes, as expressions that are derived byte by byte (Brzozowski 1964).
 *
 * An expression is a number; equal expressions have equal numbers, so an expression is a state of its own lazily built
 * automaton. Intersection and difference cost nothing to write, which is what JSON Schema asks for: a string that matches two
 * patterns, is no member of an enum and has at most 20 characters is one expression. Text is UTF-8; "complement" is always a
 * difference from something, most often from RX_ALL, every valid UTF-8 text.
 *
 * Numbers of JSON have two kinds of leaves of their own: comparison with a decimal constant, and divisibility. Both read the
 * text of an unsigned decimal (0|[1-9][0-9]*)(\.[0-9]+)? without exponent and are exact, whatever the number of digits.
 *
 * Nothing here recurses deeper than RX_DEPTH_MAX and nothing grows beyond the pool's limit: then `failed` becomes a code
 * (LAR_ENOMEM, LAR_ELIMIT), results are RX_EMPTY, and the caller looks at `failed` before it believes them.
 */
#ifndef TEXT_RX_H
#define TEXT_RX_H

#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

enum {
    RX_EMPTY,
    RX_EPS,
    RX_CHAR,
    RX_ALL,
    RX_FIRST_FREE
}; /* nothing, "", one character, any text */
enum { RX_DEPTH_MAX = 3000, RX_ALIVE_MAX = 20000 };
#define RX_INF UINT32_MAX
enum { RX_LT = 1, RX_EQ = 2, RX_GT = 4 };

struct rx_set {
    uint64_t w[4];
};
static inline void rx_set_add(struct rx_set *s, unsigned b)
{
    s->w[b >> 6] |= (uint64_t)1 << (b & 63);
}
static inline int rx_set_has(const struct rx_set *s, unsigned b)
{
    return (int)(s->w[b >> 6] >> (b & 63) & 1);
}

struct rx;

struct rx *rx_open(size_t limit); /* bytes; NULL when out of memory */
void rx_close(struct rx *p);
int rx_failed(const struct rx *p); /* 0 or a code */
size_t rx_bytes(const struct rx *p);

uint32_t rx_set(struct rx *p, const struct rx_set *s);
uint32_t rx_text(struct rx *p, struct str s);
uint32_t rx_cat(struct rx *p, uint32_t a, uint32_t b);
uint32_t rx_alt(struct rx *p, uint32_t a, uint32_t b);
uint32_t rx_alt_n(struct rx *p, const uint32_t *v, size_t n);
uint32_t rx_and(struct rx *p, uint32_t a, uint32_t b);
uint32_t rx_diff(struct rx *p, uint32_t a, uint32_t b);
uint32_t rx_rep(struct rx *p, uint32_t a, uint32_t lo, uint32_t hi);
/* Any of n texts: a tree over their beginnings. Sorts v. */
uint32_t rx_words(struct rx *p, struct str *v, size_t n);
/* Characters in the n ranges [lo, hi] of code points (surrogates are left out). */
uint32_t rx_ranges(struct rx *p, const uint32_t (*range)[2], size_t n);

/* Unsigned decimal texts that compare with the decimal integer.fraction as one of rel (RX_LT | RX_EQ | RX_GT) says.
 * The constant is given by its digits: no leading zeros ("0" for zero) and no trailing ones in the fraction. */
uint32_t rx_compare(struct rx *p, struct str integer, struct str fraction, unsigned rel);
/* Unsigned decimal texts that are multiples of m / 10^scale, 1 <= m < 2^59, scale <= 18. m = 1, scale = 0: integers. */
uint32_t rx_multiple(struct rx *p, uint64_t m, unsigned scale);

/* The rest after byte b. */
uint32_t rx_step(struct rx *p, uint32_t r, unsigned b);
/* The rests after each byte, valid until the next call that may make an expression. */
const uint32_t *rx_row(struct rx *p, uint32_t r);
int rx_nullable(const struct rx *p, uint32_t r);
/* Whether each of the bytes lo to hi and then `more` others of a character lead from r to the same; *to is that, or RX_EMPTY as long as it is
 * not known. */
int rx_all_lead(struct rx *p, uint32_t r, unsigned lo, unsigned hi, int more, uint32_t *to);
/* Is there any text in it? */
int rx_alive(struct rx *p, uint32_t r);
/* r without upper bounds of at least RX_LOOSE_FAR or RX_LOOSE_NEAR more; rx_loose.c says what that is good for. */
enum rx_loose { RX_FAR, RX_CLOSE, RX_LOOSE };
enum { RX_NEAR = 16, RX_LOOSE_FAR = 128 + RX_NEAR, RX_LOOSE_NEAR = 32 + RX_NEAR };
uint32_t rx_loose(struct rx *p, uint32_t r, enum rx_loose how);
/* Is there a text of at most RX_NEAR bytes in r? No also when the search was given up. */
int rx_near(struct rx *p, uint32_t r);
/* Whether every text (but perhaps for line terminators) is the beginning of one in r; RX_CLOSED when that is not plain to see. */
enum rx_open { RX_CLOSED, RX_OPEN, RX_OPEN_LINE };
enum rx_open rx_is_open(struct rx *p, uint32_t r);
/* Whether r is "any lo to hi characters": 1 with the numbers (hi RX_INF: any). */
int rx_is_chars(const struct rx *p, uint32_t r, uint32_t *lo, uint32_t *hi);
/* Whether r is "lo to hi characters, each of these": *one is what each of them may be. Characters are whole and of one class, so that
 * as many repetitions are as many characters. */
int rx_is_run(struct rx *p, uint32_t r, uint32_t *one, uint32_t *lo, uint32_t *hi);
/* One byte of each class that r tells apart (the first of it): a set of bytes to try. */
const struct rx_set *rx_first(struct rx *p, uint32_t r);
/* A text of r, mostly a short one, written to out (at most cap bytes): its length, or -1 when none that short was found. */
int rx_short(struct rx *p, uint32_t r, char *out, int cap);
/* Whether a text of r begins with one of the characters lo to hi. */
int rx_some_char(struct rx *p, uint32_t r, uint32_t lo, uint32_t hi);
int rx_matches(struct rx *p, uint32_t r, struct str s);

/* Regular expressions as JSON Schema writes them (ECMA-262 with the u flag, found anywhere unless anchored), or as a whole text
 * (anchored = 1: then \A, \Z, \z and a repetition of a repetition are understood too). Look-ahead is understood outside of loops; look-behind, \b and back-references are refused. Gives the expression or
 * a negative code with err set. */
struct lar_err;
int64_t rx_parse(struct rx *p, struct str pattern, int anchored, struct lar_err *err);

#endif
