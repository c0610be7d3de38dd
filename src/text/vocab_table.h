/* SPDX-License-Identifier: Apache-2.0
 *
 * text/vocab_table.h: from bytes to token id: one hash table over all pieces of a vocabulary.
 *
 * An entry is 16 bytes and nearly always all that a look-up reads: a piece of up to eight bytes is its own key, a longer one is found by a
 * 64-bit hash and then compared. Linear probing, at most 5/8 full. The hash has no secret, so that results never depend
 * on a run; instead a file whose pieces crowd together beyond what chance can do is refused (PROBES_MAX).
 */
#ifndef TEXT_VOCAB_TABLE_H
#define TEXT_VOCAB_TABLE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define PROBES_MAX 4096

struct vocab_entry {
    uint64_t key;
    uint32_t len; /* 0: free. The top bit is set for pieces that text never becomes by itself: control tokens and the like */
    int32_t id;
};

#define VOCAB_APART 0x80000000u

struct vocab_table {
    struct vocab_entry *e;
    uint32_t mask;
    int shift;
};

static inline uint64_t vocab_load(const char *p, size_t n)
{
    uint64_t v = 0;
    memcpy(&v, p, n);
    return v;
}

/* The key of n > 0 bytes: with n, exact up to eight bytes (so written that nothing beyond the end is read). */
static inline uint64_t vocab_key(const char *p, size_t n)
{
    if (n < 4)
        return (uint64_t)(unsigned char)p[0] | (uint64_t)(unsigned char)p[n / 2] << 8 |
               (uint64_t)(unsigned char)p[n - 1] << 16;
    if (n <= 8) return vocab_load(p, 4) | vocab_load(p + n - 4, 4) << 32;
    uint64_t h = n * 0x9e3779b97f4a7c15;
    for (size_t i = 0; i + 8 < n; i += 8) {
        h = (h ^ vocab_load(p + i, 8)) * 0xbf58476d1ce4e5b9;
        h ^= h >> 32;
    }
    h = (h ^ vocab_load(p + n - 8, 8)) * 0x94d049bb133111eb;
    return h ^ h >> 29;
}

static inline uint32_t vocab_slot(const struct vocab_table *t, uint64_t key, uint32_t len)
{
    return (uint32_t)((key ^ (uint64_t)len << 56) * 0x9e3779b97f4a7c15 >> t->shift);
}

/* The id whose piece is these bytes, or -1. len is n, with VOCAB_APART or without; pool and off say where pieces lie. */
static inline int32_t vocab_table_find(const struct vocab_table *t, const char *pool,
                                       const uint32_t *off, uint64_t key, const char *p, size_t n,
                                       uint32_t apart)
{
    uint32_t len = (uint32_t)n | apart;
    for (uint32_t i = vocab_slot(t, key, len);; i = (i + 1) & t->mask) {
        const struct vocab_entry *e = &t->e[i];
        if (e->key == key && e->len == len &&
            (n <= 8 || !memcmp(pool + off[e->id], p, n)))
            return e->id;
        if (!e->len) return -1;
    }
}

/* The table that has room for n entries: its number of places, a power of two. */
static inline uint64_t vocab_table_places(uint64_t n)
{
    uint64_t c = 64;
    while (c * 5 / 8 < n) c *= 2;
    return c;
}

static inline int vocab_table_shift(uint64_t places)
{
    return __builtin_clzll(places) + 1;
}

#endif
