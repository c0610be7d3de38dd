/* SPDX-License-Identifier: Apache-2.0
 * base/time.h: the monotonic clock. */
#ifndef BASE_TIME_H
#define BASE_TIME_H

#include <stdint.h>
#include <time.h>

static inline int64_t time_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static inline double time_ms_since(int64_t start_ns)
{
    return (double)(time_ns() - start_ns) * 1e-6;
}

#endif
