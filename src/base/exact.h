/* SPDX-License-Identifier: Apache-2.0
 *
 * base/exact.h: exp and log that give the same bits on every machine. The C library's differ in
 * the last bit between versions and processors, which is enough to make a seed draw another token.
 * These use only + - * / of doubles in a fixed order (no fused multiply-add: -ffp-contract=off) and
 * are within 2 units in the last place. For sampling, not for kernels.
 *
 * Methods: exp by reducing to |r| <= ln 2 / 2 and a Taylor polynomial of degree 13 (remainder
 * below 2^-56); log by x = m 2^e, sqrt(1/2) <= m < sqrt(2), and the series of
 * 2 artanh((m - 1) / (m + 1)).
 */
#ifndef BASE_EXACT_H
#define BASE_EXACT_H

#include <stdint.h>
#include <string.h>

#define EXACT_LN2 0x1.62e42fefa39efp-1

static inline double exact_bits(uint64_t u)
{
    double d;
    memcpy(&d, &u, 8);
    return d;
}

/* 0 below -690, e^690 above 690; NaN gives 0. */
static inline double exact_exp(double x)
{
    /* 1/k!, k = 13 .. 2 */
    static const double c[] = {0x1.6124613a86d09p-33, 0x1.1eed8eff8d898p-29, 0x1.ae64567f544e4p-26,
                               0x1.27e4fb7789f5cp-22, 0x1.71de3a556c734p-19, 0x1.a01a01a01a01ap-16,
                               0x1.a01a01a01a01ap-13, 0x1.6c16c16c16c17p-10, 0x1.1111111111111p-7,
                               0x1.5555555555555p-5,  0x1.5555555555555p-3,  0.5};
    if (!(x >= -690.0)) return 0.0;
    if (x > 690.0) x = 690.0;
    double t = x * 0x1.71547652b82fep+0; /* / ln 2 */
    int k = (int)(t < 0.0 ? t - 0.5 : t + 0.5);
    /* ln 2 in two parts: k times the first is exact */
    double r = x - (double)k * 0x1.62e42feep-1 - (double)k * 0x1.a39ef35793c76p-33;
    double s = c[0];
    for (int i = 1; i < 12; i++) s = s * r + c[i];
    s = s * r * r + r;
    return (1.0 + s) * exact_bits((uint64_t)(1023 + k) << 52);
}

/* For finite normal x > 0. */
static inline double exact_log(double x)
{
    uint64_t u;
    memcpy(&u, &x, 8);
    int e = (int)(u >> 52) - 1023;
    double m = exact_bits((u & 0xfffffffffffff) | (uint64_t)1023 << 52);
    if (m > 0x1.6a09e667f3bcdp+0) {
        m *= 0.5;
        e++;
    }
    double s = (m - 1.0) / (m + 1.0), q = s * s, sum = 0.0;
    for (int i = 23; i >= 3; i -= 2) sum = sum * q + 1.0 / (double)i;
    return (double)e * EXACT_LN2 + 2.0 * (s + s * q * sum);
}

/* x^n, n >= 0; overflows to infinity. */
static inline double exact_power(double x, int64_t n)
{
    double v = 1.0;
    for (; n > 0; n >>= 1, x *= x)
        if (n & 1) v *= x;
    return v;
}

#endif
