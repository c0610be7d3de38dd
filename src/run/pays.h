/* SPDX-License-Identifier: Apache-2.0
 *
 * run/pays.h: whether guessed tokens pay, by the clock: a step with guesses takes longer than one without, and saves the steps of those that are right.
 *
 * How long a step without guesses takes is known for each number of answers that take part, and looked at anew now and then. Loss is bounded, not
 * only detected: while guesses are a loss, a try is made when the time since then is TRY times as long as what it will lose.
 */
#ifndef RUN_PAYS_H
#define RUN_PAYS_H

#include <stddef.h>

enum { PAYS_SIZES = 17 };

struct pays {
    struct {
        double ns; /* running mean of a step without guesses */
        int seen;
    } plain[PAYS_SIZES];
    double worth;  /* running mean of a step with guesses: steps won less steps lost */
    double credit; /* ns that may be lost */
    double loss;   /* of a try, ns */
    int rounds;    /* with guesses, PAYS_LEARN at most: before that nothing is known */
    int tries;     /* steps left of a try */
    int since;     /* steps with guesses since the last without */
};

/* 1: this step of so many answers is one to guess in. */
int pays_now(struct pays *p, size_t answers);
void pays_note(struct pays *p, size_t answers, int guess, double ns, double read_ns, size_t right);

#endif
