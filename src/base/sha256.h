/* SPDX-License-Identifier: Apache-2.0
 * base/sha256.h: SHA-256 (FIPS 180-4) of bytes that come piece by piece. Names of blobs, not secrets: no constant time is promised. */
#ifndef BASE_SHA256_H
#define BASE_SHA256_H

#include <stddef.h>
#include <stdint.h>

struct sha256 {
    uint32_t h[8];
    uint64_t n; /* bytes so far */
    uint8_t block[64];
};

enum { SHA256_HEX = 64 };

void sha256_init(struct sha256 *s);
void sha256_add(struct sha256 *s, const void *p, size_t n);
/* The digest as 64 small hexadecimal digits and a NUL. s is spent. */
void sha256_end(struct sha256 *s, char hex[SHA256_HEX + 1]);
/* Of one piece. */
void sha256_of(const void *p, size_t n, char hex[SHA256_HEX + 1]);

#endif
