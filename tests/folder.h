/* SPDX-License-Identifier: Apache-2.0
 * tests/folder.h: a folder of files made for a test, as the kernel shows them under /proc and /sys. */
#ifndef FOLDER_H
#define FOLDER_H

#include <ftw.h>
#include <sys/stat.h>

#include "tap.h"

static char root[64]; /* main sets it */

/* A file below root and the folders above it. */
static void put(const char *name, const char *text)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", root, name);
    for (char *p = path + strlen(root) + 1; (p = strchr(p, '/')); p++) {
        *p = 0;
        mkdir(path, 0700);
        *p = '/';
    }
    FILE *f = fopen(path, "w");
    CHECK(f != NULL);
    if (!f) return;
    fputs(text, f);
    fclose(f);
}

static int drop(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st, (void)kind, (void)at;
    return remove(path);
}

static void folder_remove(void) { nftw(root, drop, 8, FTW_DEPTH | FTW_PHYS); }

#endif
