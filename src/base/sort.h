/* SPDX-License-Identifier: Apache-2.0
 * base/sort.h: sorting numbers of things that stand in a table. */
#ifndef BASE_SORT_H
#define BASE_SORT_H

#include <stddef.h>
#include <stdint.h>

/* Negative, zero, positive as a stands before, with or behind b. */
typedef int sort_cmp_fn(const void *ctx, uint32_t a, uint32_t b);

/* Sorts v[n] in place. Equal ones end in any order; make cmp break ties where that matters. */
void sort_u32(uint32_t *v, size_t n, sort_cmp_fn *cmp, const void *ctx);

#endif
