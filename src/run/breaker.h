/* SPDX-License-Identifier: Apache-2.0
 *
 * run/breaker.h: where DRY's sequences are cut: strings such as a line break, over which a repetition does not count as one.
 *
 * A string that lies inside one token makes that token a breaker, for good (breaker_tokens). One that is spread over several
 * tokens is seen when its last byte arrives (breaker_feed). Not here: what a cut does (run/sampler).
 */
#ifndef RUN_BREAKER_H
#define RUN_BREAKER_H

#include "base/buf.h"
#include "text/vocab.h"

struct breaker {
    const char *const *text; /* terminated, none empty; the caller's */
    size_t n, longest;
    struct buf tail; /* the last longest - 1 bytes of the history at least */
};

/* text NULL: the customary line break, colon, double quote and asterisk. */
void breaker_init(struct breaker *b, const char *const *text, size_t n);
void breaker_done(struct breaker *b);
void breaker_reset(struct breaker *b); /* no text yet */
/* Appends every token that contains one of the strings. */
int breaker_tokens(const struct breaker *b, const struct vocab *v, struct ids *out);
/* bytes have been added to the text: whether a string ends in them. */
int breaker_feed(struct breaker *b, struct str bytes);

#endif
