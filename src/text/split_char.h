/* SPDX-License-Identifier: Apache-2.0
 * text/split_char.h: the classes of characters that splitters speak of, one bit each, and runs of them. */
#ifndef TEXT_SPLIT_CHAR_H
#define TEXT_SPLIT_CHAR_H

#include <stddef.h>
#include <stdint.h>

#include "base/utf8.h"
#include "text/unicode.h"

enum {
    C_L = 1,      /* \p{L} */
    C_N = 2,      /* \p{N} */
    C_S = 4,      /* \s */
    C_R = 8,      /* \r \n */
    C_M = 16,     /* \p{M} */
    C_P = 32,     /* \p{P} */
    C_Y = 64,     /* \p{S} */
    C_UP = 128,   /* \p{Lu} \p{Lt} \p{Lm} \p{Lo} \p{M} */
    C_LOW = 256,  /* \p{Ll} \p{Lm} \p{Lo} \p{M} */
    C_D = 512,    /* \d */
    C_A = 1024,   /* a-z A-Z */
    C_X = 2048,   /* ASCII punctuation: ! to /, : to @, [ to `, { to ~ */
    C_W = 4096,   /* \w */
    C_BP = 8192   /* what BERT calls punctuation beside C_X */
};

extern const uint16_t split_ascii[128];

/* split_word.c: \p{Han} */
int split_is_han(uint32_t cp);
/* The classes of a character beyond ASCII. */
uint16_t split_class(uint32_t cp);

/* The classes of the character at i (i < n) and its length. A byte that is no UTF-8 is a character of no class. */
static inline unsigned split_at(const char *s, size_t n, size_t i, size_t *len)
{
    unsigned char c = (unsigned char)s[i];
    if (c < 0x80) return *len = 1, split_ascii[c];
    uint32_t cp;
    size_t k = utf8_decode(s + i, n - i, &cp);
    if (!k) return *len = 1, 0;
    *len = k;
    return split_class(cp);
}

/* The end of the run from i of characters that have one of these classes. */
static inline size_t split_run(const char *s, size_t n, size_t i, unsigned classes)
{
    while (i < n) {
        unsigned char c = (unsigned char)s[i];
        size_t k = 1;
        if (!((c < 0x80 ? split_ascii[c] : split_at(s, n, i, &k)) & classes)) break;
        i += k;
    }
    return i;
}

/* The end of the run from i of characters that have none of them. */
static inline size_t split_run_not(const char *s, size_t n, size_t i, unsigned classes)
{
    while (i < n) {
        unsigned char c = (unsigned char)s[i];
        size_t k = 1;
        if ((c < 0x80 ? split_ascii[c] : split_at(s, n, i, &k)) & classes) break;
        i += k;
    }
    return i;
}

static inline size_t split_length(const char *s, size_t n, size_t i)
{
    size_t k;
    split_at(s, n, i, &k);
    return k;
}

/* The code point at i, or U+FFFF where the bytes are no character. */
static inline uint32_t split_cp(const char *s, size_t n, size_t i, size_t *len)
{
    uint32_t cp = 0xffff;
    size_t k = utf8_decode(s + i, n - i, &cp);
    *len = k ? k : 1;
    return cp;
}

#endif
