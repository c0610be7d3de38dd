/* SPDX-License-Identifier: Apache-2.0
 * io/dtype.c: the table of dtype.h by id. */
#include "io/dtype.h"

struct dtype_info dtype_info(uint32_t id)
{
    static const struct dtype_info table[DTYPE_COUNT] = {
#define X(name, id, block, bytes) [id] = {#name, block, bytes},
        DTYPE_MAP(X)
#undef X
    };
    return id < DTYPE_COUNT ? table[id] : (struct dtype_info){0};
}
