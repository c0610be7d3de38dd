/* SPDX-License-Identifier: Apache-2.0
 * base/str.h: a slice of bytes that somebody else owns. Not terminated, may hold NULs. */
#ifndef BASE_STR_H
#define BASE_STR_H

#include <stddef.h>
#include <string.h>

struct str {
    const char *p;
    size_t n;
};

#define STR(lit) ((struct str){"" lit, sizeof(lit) - 1})
/* For printf: "%.*s", STR_ARG(s). Long slices are cut: it is for messages. */
#define STR_ARG(s) (int)((s).n > 80 ? 80 : (s).n), (s).p

static inline struct str str_of(const char *z) { return (struct str){z, z ? strlen(z) : 0}; }

static inline int str_eq(struct str a, struct str b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

/* Order by bytes (UTF-8 sorts as its characters do); of two that begin alike the shorter one comes first. */
static inline int str_cmp(struct str a, struct str b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int d = n ? memcmp(a.p, b.p, n) : 0;
    return d ? d : (a.n > b.n) - (a.n < b.n);
}

static inline int str_is(struct str a, const char *z) { return str_eq(a, str_of(z)); }

static inline int str_starts(struct str a, struct str prefix)
{
    return a.n >= prefix.n && (prefix.n == 0 || memcmp(a.p, prefix.p, prefix.n) == 0);
}

static inline int str_ends(struct str a, struct str tail)
{
    return a.n >= tail.n && (tail.n == 0 || memcmp(a.p + a.n - tail.n, tail.p, tail.n) == 0);
}

static inline struct str str_from(struct str a, size_t at)
{
    return at >= a.n ? (struct str){a.p + a.n, 0} : (struct str){a.p + at, a.n - at};
}

#endif
