/* SPDX-License-Identifier: Apache-2.0
 * net/again.c: see again.h. */
#include "net/again.h"

#include <stdlib.h>
#include <time.h>

#include "base/time.h"
#include "net/curl.h"

int again_status(long status)
{
    return status == 408 || status == 429 || status == 500 || (status >= 502 && status <= 504);
}

int64_t again_seconds(const char *value)
{
    char *end;
    const struct curl *k;
    long long n = strtoll(value, &end, 10);
    if (end > value && !*end) return n < 0 ? 0 : n;
    if (!*value || curl_open(&k, NULL) < 0) return 0;
    time_t now = time(NULL), then = k->getdate(value, &now);
    return then > now ? (int64_t)(then - now) : 0;
}

int64_t again_pause(int64_t seconds, int tries)
{
    if (seconds > AGAIN_MOST_S) return -1;
    return seconds > 0 ? seconds * 1000000000 : (int64_t)100000000 << (tries < 8 ? tries : 8);
}

int again_wait(int64_t ns, int (*stop)(void *ctx), void *ctx)
{
    for (int64_t until = time_ns() + ns, left; (left = until - time_ns()) > 0;) {
        struct timespec t = {0, left < 100000000 ? (long)left : 100000000};
        if (stop && stop(ctx)) return 1;
        nanosleep(&t, NULL);
    }
    return 0;
}
