/* SPDX-License-Identifier: Apache-2.0
 * store/tar.c: see tar.h. */
#include "store/tar.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"

enum {
    AT_NAME = 0,
    AT_MODE = 100,
    AT_SIZE = 124,
    AT_SUM = 148,
    AT_TYPE = 156,
    AT_MAGIC = 257,
    AT_PREFIX = 345
};
enum { RECORDS_MAX = 1 << 16, SKIPPED_MAX = 1000 };

static int truncated(struct lar_err *err)
{
    return lar_fail(err, LAR_EFORMAT,
                    "the archive ends too early: it was cut, or was not copied whole");
}

/* All n bytes; 0 when there is not one, negative when there are too few. */
static int read_all(struct tar *t, void *p, size_t n, struct lar_err *err)
{
    size_t got = 0;
    while (got < n) {
        long k = t->read(t->ctx, (char *)p + got, n - got);
        if (k < 0) return lar_fail_errno(err, "the archive cannot be read");
        if (k == 0) return got ? truncated(err) : 0;
        got += (size_t)k;
    }
    return 1;
}

long tar_read(struct tar *t, void *p, size_t n, struct lar_err *err)
{
    if (n > t->left) n = (size_t)t->left;
    if (n == 0) return 0;
    long k = t->read(t->ctx, p, n);
    if (k < 0) return lar_fail_errno(err, "the archive cannot be read");
    if (k == 0) return truncated(err);
    t->left -= (uint64_t)k;
    return k;
}

static int skip(struct tar *t, struct lar_err *err)
{
    char waste[4096];
    t->left += t->pad;
    t->pad = 0;
    while (t->left) {
        long k = tar_read(t, waste, sizeof waste, err);
        if (k < 0) return (int)k;
    }
    return 0;
}

/* Octal digits with spaces or a NUL behind them, or base 256. */
static int number(const unsigned char *p, size_t n, uint64_t *out)
{
    uint64_t v = 0;
    size_t i = 0;
    if (p[0] == 0x80) {
        for (i = 1; i < n; i++) {
            if (v >> 55) return -1;
            v = v << 8 | p[i];
        }
        return *out = v, 0;
    }
    while (i < n && p[i] == ' ') i++;
    size_t first = i;
    for (; i < n && p[i] >= '0' && p[i] <= '7'; i++) v = v << 3 | (unsigned)(p[i] - '0');
    if (i == first) return -1;
    for (; i < n; i++)
        if (p[i] != ' ' && p[i] != 0) return -1;
    return *out = v, 0;
}

static unsigned sum_of(const unsigned char *block)
{
    unsigned sum = 0;
    for (int i = 0; i < TAR_BLOCK; i++) sum += i >= AT_SUM && i < AT_SUM + 8 ? ' ' : block[i];
    return sum;
}

static int is_empty(const unsigned char *block)
{
    for (int i = 0; i < TAR_BLOCK; i++)
        if (block[i]) return 0;
    return 1;
}

static int name_of(const unsigned char *block, struct tar_entry *e)
{
    size_t n = strnlen((const char *)block, 100), k = strnlen((const char *)block + AT_PREFIX, 155);
    int ustar = memcmp(block + AT_MAGIC, "ustar\0", 6) == 0;
    int len = ustar && k ? snprintf(e->name, sizeof e->name, "%.*s/%.*s", (int)k,
                                    (const char *)block + AT_PREFIX, (int)n, (const char *)block)
                         : snprintf(e->name, sizeof e->name, "%.*s", (int)n, (const char *)block);
    return len > 0 && (size_t)len < sizeof e->name ? 0 : -1;
}

/* "LENGTH KEY=VALUE\n" again and again: what the next header lacks room for. */
static int records(const char *p, size_t n, struct tar_entry *over, int *has_size)
{
    while (n) {
        char *end;
        size_t len = (size_t)strtoul(p, &end, 10), head = (size_t)(end - p) + 1;
        if (len > n || len < head + 2 || *end != ' ' || p[len - 1] != '\n') return -1;
        struct str rest = {p + head, len - head - 1};
        if (str_starts(rest, STR("size="))) {
            over->size = strtoull(rest.p + 5, &end, 10);
            if (end != p + len - 1) return -1;
            *has_size = 1;
        } else if (str_starts(rest, STR("path="))) {
            if (rest.n - 5 > TAR_NAME_MAX) return -1;
            memcpy(over->name, rest.p + 5, rest.n - 5);
            over->name[rest.n - 5] = 0;
        }
        p += len;
        n -= len;
    }
    return 0;
}

static int read_records(struct tar *t, struct tar_entry *over, int *has_size, struct lar_err *err)
{
    char text[4096];
    size_t n = (size_t)t->left;
    if (t->left >= sizeof text)
        return lar_fail(err, LAR_ELIMIT, "the archive has %zu bytes of records for a file", n);
    if (n && read_all(t, text, n, err) < 1) return truncated(err);
    text[n] = 0;
    t->left = 0;
    if (records(text, n, over, has_size) < 0)
        return lar_fail(err, LAR_EFORMAT, "the archive's extended records are no records");
    return skip(t, err);
}

int tar_next(struct tar *t, struct tar_entry *e, struct lar_err *err)
{
    unsigned char block[TAR_BLOCK];
    struct tar_entry over = {.size = 0};
    int has_size = 0, rc = skip(t, err);
    for (int i = 0; rc == 0 && i < SKIPPED_MAX; i++) {
        uint64_t sum;
        if ((rc = read_all(t, block, sizeof block, err)) < 0) return rc;
        if (rc == 0)
            return i ? truncated(err)
                     : 0; /* without its two empty blocks: some writers leave them out */
        rc = 0;
        if (is_empty(block)) return 0;
        if (number(block + AT_SUM, 8, &sum) < 0 || sum != sum_of(block) ||
            number(block + AT_SIZE, 12, &e->size) < 0 || name_of(block, e) < 0)
            return lar_fail(
                err, LAR_EFORMAT,
                "this is no archive of lar pack, or it was changed: a header is not one");
        int type = block[AT_TYPE];
        if (type != 'x' && type != 'g') {
            if (has_size) e->size = over.size;
            if (over.name[0]) memcpy(e->name, over.name, sizeof e->name);
        }
        if (e->size > UINT64_MAX / 2)
            return lar_fail(err, LAR_EFORMAT, "%.60s: has no size", e->name);
        t->left = e->size;
        t->pad = (TAR_BLOCK - e->size % TAR_BLOCK) % TAR_BLOCK;
        if (type == '0' || type == 0) return 1;
        if (type == 'x')
            rc = read_records(t, &over, &has_size, err);
        else if (type == 'g' || type == '5')
            rc = skip(t, err);
        else
            return lar_fail(err, LAR_EFORMAT, "%.60s: is no regular file", e->name);
        if (type == '5') over = (struct tar_entry){.size = 0}, has_size = 0;
    }
    return rc < 0 ? rc
                  : lar_fail(err, LAR_ELIMIT, "the archive has more than %d folders side by side",
                             SKIPPED_MAX);
}

void tar_header(unsigned char block[TAR_BLOCK], const char *name, uint64_t size)
{
    char text[16];
    memset(block, 0, TAR_BLOCK);
    memcpy(block, name, strnlen(name, 99));
    memcpy(block + AT_MODE, "0000644", 7);
    memcpy(block + AT_MODE + 8, "0000000", 7); /* owner and group */
    memcpy(block + AT_MODE + 16, "0000000", 7);
    memcpy(block + AT_SIZE + 12, "00000000000", 11); /* 1970: the same model gives the same bytes */
    block[AT_TYPE] = '0';
    memcpy(block + AT_MAGIC, "ustar\00000", 8);
    if (size >> 33) {
        block[AT_SIZE] = 0x80;
        for (int i = 0; i < 8; i++) block[AT_SIZE + 11 - i] = (unsigned char)(size >> (8 * i));
    } else {
        snprintf(text, sizeof text, "%011llo", (unsigned long long)size);
        memcpy(block + AT_SIZE, text, 11);
    }
    snprintf(text, sizeof text, "%06o", sum_of(block));
    memcpy(block + AT_SUM, text, 7);
    block[AT_SUM + 7] = ' ';
}
