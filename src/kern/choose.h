/* SPDX-License-Identifier: Apache-2.0
 *
 * kern/choose.h: what cannot be known beforehand and is measured on the machine: from which number of rows on a panel is faster than reading the
 * blocks row by row. The tables of the levels have one number for every processor; where a product is bound by other ports or caches the two cross elsewhere.
 * Only the order of float additions depends on it. What has been chosen holds for devices that are opened afterwards.
 */
#ifndef KERN_CHOOSE_H
#define KERN_CHOOSE_H

#include "base/err.h"
#include "kern/kern.h"

/* Nanoseconds that passed; another one than the machine's for tests. */
struct kern_clock {
    int64_t (*now)(void *ctx);
    void *ctx;
};

/* Fills from[type] for those types that have a panel and whose number is 0 so far, one after the other; once `limit_ns` have passed the rest stays 0.
 * Gives how many stay. LAR_ENOMEM. */
int kern_choose(const struct kern *k, const struct kern_clock *clock, int64_t limit_ns,
                uint32_t from[DTYPE_COUNT], struct lar_err *err);
/* What kern_chosen goes by from now on, for tables of these flags; 0 leaves a type as it is. */
void kern_choice(unsigned flags, const uint32_t from[DTYPE_COUNT]);
void kern_chosen(struct kern *k);

#endif
