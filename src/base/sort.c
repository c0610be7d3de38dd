/* SPDX-License-Identifier: Apache-2.0
 * base/sort.c: heap sort, because input is hostile: never slower than n log n, no memory, no
 * recursion. The C library's qsort may allocate where nobody counts it, and takes no context. */
#include "base/sort.h"

static void sift(uint32_t *v, size_t at, size_t n, sort_cmp_fn *cmp, const void *ctx)
{
    for (size_t child; (child = 2 * at + 1) < n; at = child) {
        if (child + 1 < n && cmp(ctx, v[child], v[child + 1]) < 0) child++;
        if (cmp(ctx, v[at], v[child]) >= 0) return;
        uint32_t t = v[at];
        v[at] = v[child];
        v[child] = t;
    }
}

void sort_u32(uint32_t *v, size_t n, sort_cmp_fn *cmp, const void *ctx)
{
    for (size_t i = n / 2; i-- > 0;) sift(v, i, n, cmp, ctx);
    for (size_t i = n; i-- > 1;) {
        uint32_t t = v[0];
        v[0] = v[i];
        v[i] = t;
        sift(v, 0, i, cmp, ctx);
    }
}
