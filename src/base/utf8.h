/* SPDX-License-Identifier: Apache-2.0
 * base/utf8.h: UTF-8 as RFC 3629 has it: no overlong forms, no surrogates, nothing above U+10FFFF. */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include <stddef.h>
#include <stdint.h>

/* Decodes the character at s (n bytes are readable). Gives its length 1..4 and *cp; 0 when the bytes
 * are not a whole valid character (or n is 0). */
size_t utf8_decode(const char *s, size_t n, uint32_t *cp);

/* Writes cp (which must be a valid scalar value, else U+FFFD is written) to out; gives the length. */
size_t utf8_encode(uint32_t cp, char out[4]);

/* How many bytes at the end of s are the beginning of a character that more bytes could complete:
 * 0..3. What a streaming decoder must hold back. */
size_t utf8_incomplete_tail(const char *s, size_t n);

/* True when all n bytes are valid. */
int utf8_valid(const char *s, size_t n);

#endif
