/* SPDX-License-Identifier: Apache-2.0
 *
 * net/again.h: when a server says "not now" (429, 503 and their like): how long to wait before asking again. What it says itself in Retry-After
 * (RFC 9110, 10.2.3: seconds, or a date) goes before our own pauses, which double.
 */
#ifndef NET_AGAIN_H
#define NET_AGAIN_H

#include <stdint.h>

enum { AGAIN_TRIES = 6, AGAIN_MOST_S = 120 };

/* Is it worth asking again? */
int again_status(long status);
/* The value of Retry-After in seconds, 0 when there is none or it is nothing that we understand. */
int64_t again_seconds(const char *value);
/* The pause before try number `tries` (the first again is 1), in ns; -1 when the server wants more patience than AGAIN_MOST_S. */
int64_t again_pause(int64_t seconds, int tries);
/* Waits; 1 when stop (may be NULL) said so. */
int again_wait(int64_t ns, int (*stop)(void *ctx), void *ctx);

#endif
