/* SPDX-License-Identifier: Apache-2.0
 * tests/fuzz/fuzz_tar.c: any bytes as an archive: every entry is within what was given, reading ends, and an error has its sentence; what
 * tar_header writes is read as it was meant. Works with libFuzzer and with replay.c. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/tar.h"
#include "must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

struct bytes {
    const uint8_t *p;
    size_t n, at;
};

/* In pieces of up to 100 bytes, as a pipe may give them. */
static long give(void *ctx, void *p, size_t n)
{
    struct bytes *b = ctx;
    if (n > 100) n = 100;
    if (n > b->n - b->at) n = b->n - b->at;
    if (n) memcpy(p, b->p + b->at, n);
    b->at += n;
    return (long)n;
}

static void written(uint64_t size)
{
    unsigned char block[TAR_BLOCK];
    struct bytes b = {block, sizeof block, 0};
    struct tar t = {.read = give, .ctx = &b};
    struct tar_entry e;
    tar_header(block, "blobs/sha256/x", size);
    MUST(tar_next(&t, &e, NULL) == 1 && e.size == size && strcmp(e.name, "blobs/sha256/x") == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct bytes b = {data, n, 0};
    struct tar t = {.read = give, .ctx = &b};
    struct tar_entry e;
    struct lar_err err = {0};
    char piece[777];
    int rc;
    uint64_t size = 0;
    memcpy(&size, data, n < 8 ? n : 8);
    written(size >> 1);
    while ((rc = tar_next(&t, &e, &err)) > 0) {
        long k;
        uint64_t got = 0;
        MUST(strlen(e.name) <= TAR_NAME_MAX);
        if (e.size % 3 == 0) continue; /* not every entry is read */
        while ((k = tar_read(&t, piece, sizeof piece, &err)) > 0) got += (uint64_t)k;
        if ((rc = (int)k) < 0) break;
        MUST(got == e.size && got <= n);
    }
    MUST(rc == err.code && (rc == 0) == (err.msg[0] == 0));
    return 0;
}
