/* SPDX-License-Identifier: Apache-2.0
 * base/sha256.c: see sha256.h. Names, rounds and constants are those of FIPS 180-4, 4.1.2, 4.2.2, 5.3.3 and 6.2.2; the message schedule is
 * kept in sixteen words that turn round. */
#include "base/sha256.h"

#include <string.h>

/* The first 32 bits of the fractional parts of the cube roots of the first 64 primes. */
static const uint32_t k[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static inline uint32_t turn(uint32_t x, int n) { return x >> n | x << (32 - n); }

static inline uint32_t load(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* One round: the eight letters stay where they are, their names move on by one at each call. */
#define ROUND(a, b, c, d, e, f, g, h, kw)                                                       \
    do {                                                                                        \
        uint32_t t = h + (turn(e, 6) ^ turn(e, 11) ^ turn(e, 25)) + (((f ^ g) & e) ^ g) + (kw); \
        d += t;                                                                                 \
        h = t + (turn(a, 2) ^ turn(a, 13) ^ turn(a, 22)) + ((a & b) | ((a | b) & c));           \
    } while (0)

static uint32_t next(uint32_t *w, int i)
{
    uint32_t a = w[(i + 1) & 15], b = w[(i + 14) & 15];
    w[i & 15] += (turn(a, 7) ^ turn(a, 18) ^ a >> 3) + w[(i + 9) & 15] +
                 (turn(b, 17) ^ turn(b, 19) ^ b >> 10);
    return w[i & 15];
}

static void blocks(uint32_t s[8], const uint8_t *p, size_t n)
{
    for (; n; n--, p += 64) {
        uint32_t w[16], a = s[0], b = s[1], c = s[2], d = s[3], e = s[4], f = s[5], g = s[6],
                        h = s[7];
        for (int i = 0; i < 16; i++) w[i] = load(p + 4 * i);
        for (int i = 0; i < 64; i += 8) {
            uint32_t x[8];
            for (int j = 0; j < 8; j++) x[j] = k[i + j] + (i < 16 ? w[i + j] : next(w, i + j));
            ROUND(a, b, c, d, e, f, g, h, x[0]);
            ROUND(h, a, b, c, d, e, f, g, x[1]);
            ROUND(g, h, a, b, c, d, e, f, x[2]);
            ROUND(f, g, h, a, b, c, d, e, x[3]);
            ROUND(e, f, g, h, a, b, c, d, x[4]);
            ROUND(d, e, f, g, h, a, b, c, x[5]);
            ROUND(c, d, e, f, g, h, a, b, x[6]);
            ROUND(b, c, d, e, f, g, h, a, x[7]);
        }
        s[0] += a, s[1] += b, s[2] += c, s[3] += d, s[4] += e, s[5] += f, s[6] += g, s[7] += h;
    }
}

void sha256_init(struct sha256 *s)
{
    /* Of the square roots of the first eight primes. */
    *s = (struct sha256){.h = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f,
                               0x9b05688c, 0x1f83d9ab, 0x5be0cd19}};
}

void sha256_add(struct sha256 *s, const void *p, size_t n)
{
    const uint8_t *at = p;
    size_t held = (size_t)(s->n & 63);
    if (!n) return;
    s->n += n;
    if (held) {
        size_t more = n < 64 - held ? n : 64 - held;
        memcpy(s->block + held, at, more);
        at += more, n -= more;
        if (held + more < 64) return;
        blocks(s->h, s->block, 1);
    }
    blocks(s->h, at, n / 64);
    memcpy(s->block, at + n / 64 * 64, n % 64);
}

void sha256_end(struct sha256 *s, char hex[SHA256_HEX + 1])
{
    static const char digit[] = "0123456789abcdef";
    uint8_t tail[72] = {0x80};
    uint64_t bits = s->n * 8;
    size_t pad = (size_t)(119 - (s->n & 63)) % 64 +
                 1; /* the one bit, zeros up to the last eight bytes of a block */
    for (int i = 0; i < 8; i++) tail[pad + (size_t)i] = (uint8_t)(bits >> (56 - 8 * i));
    sha256_add(s, tail, pad + 8);
    for (int i = 0; i < SHA256_HEX; i++) hex[i] = digit[s->h[i / 8] >> (28 - 4 * (i % 8)) & 15];
    hex[SHA256_HEX] = 0;
}

void sha256_of(const void *p, size_t n, char hex[SHA256_HEX + 1])
{
    struct sha256 s;
    sha256_init(&s);
    sha256_add(&s, p, n);
    sha256_end(&s, hex);
}
