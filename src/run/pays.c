/* SPDX-License-Identifier: Apache-2.0
 * run/pays.c: see pays.h. */
#include "run/pays.h"

enum { SEEN = 3, LEARN = 4, TRY = 3, AGAIN = 32 };
/* Steps timed before any guess; with guesses, before they are judged; of a try; with guesses until the next one without. */
#define SHARE 0.02 /* of the time that may be lost */

static size_t size_of(size_t answers) { return answers < PAYS_SIZES ? answers : PAYS_SIZES - 1; }

int pays_now(struct pays *p, size_t answers)
{
    size_t k = size_of(answers);
    if (answers == 0 || p->plain[k].seen < SEEN) return 0;
    if (p->rounds < LEARN) return 1;
    if (p->worth > 0) return p->since < AGAIN;
    if (p->tries > 0) return 1;
    if (p->credit < TRY * p->loss) return 0;
    p->tries = TRY;
    return 1;
}

void pays_note(struct pays *p, size_t answers, int guess, double ns, double read_ns, size_t right)
{
    size_t k = size_of(answers);
    if (answers == 0) return;
    if (!guess) {
        double *mean = &p->plain[k].ns;
        if (p->plain[k].seen == SEEN)
            *mean = 0.8 * *mean + 0.2 * ns;
        else if (p->plain[k].seen++ == 0 || ns < *mean)
            *mean = ns; /* the first ones may have been cold */
        p->credit += SHARE * ns;
        p->since = 0;
        return;
    }
    double plain = p->plain[k].ns;
    if (plain <= 0) return;
    double gain = (double)right * plain / (double)answers - (ns - read_ns - plain);
    p->worth = p->rounds ? 0.8 * p->worth + 0.2 * gain / plain : gain / plain;
    if (p->rounds < LEARN) p->rounds++;
    if (p->tries > 0) p->tries--;
    p->since++;
    if (gain < 0) p->loss = p->loss > 0 ? 0.7 * p->loss - 0.3 * gain : -gain;
    double all = gain - read_ns + SHARE * plain;
    if (all < 0) p->credit += all;
}
