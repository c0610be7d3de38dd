/* SPDX-License-Identifier: Apache-2.0
 * tests/golden_file.h: files of golden data, whole, in one arena. */
#ifndef GOLDEN_FILE_H
#define GOLDEN_FILE_H

#include <stdio.h>

#include "base/json.h"

static struct arena all; /* the texts of the files and their trees */

/* p is NULL when it cannot be read. */
static struct str read_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    struct str s = {NULL, 0};
    if (!f) return s;
    fseek(f, 0, SEEK_END);
    long n = ftell(f);
    rewind(f);
    char *p = n >= 0 ? arena_alloc(&all, (size_t)n + 1) : NULL;
    if (p && fread(p, 1, (size_t)n, f) == (size_t)n) s = (struct str){p, (size_t)n};
    fclose(f);
    return s;
}

#endif
