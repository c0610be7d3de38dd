/* SPDX-License-Identifier: Apache-2.0
 * base/half.h: IEEE binary16 and bfloat16 in plain C. F16 -> F32 is exact; F32 -> both rounds to nearest even. */
#ifndef BASE_HALF_H
#define BASE_HALF_H

#include <stdint.h>
#include <string.h>

static inline float f32_bits(uint32_t u)
{
    float f;
    memcpy(&f, &u, 4);
    return f;
}

static inline uint32_t bits_f32(float f)
{
    uint32_t u;
    memcpy(&u, &f, 4);
    return u;
}

static inline float half_to_f32(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, e = h >> 10 & 31, m = h & 0x3ff;
    if (e == 31) return f32_bits(sign | 0x7f800000 | m << 13);
    if (e == 0) { /* zero and subnormals: m * 2^-24, exact in F32 */
        float v = (float)m * 0x1p-24f;
        return f32_bits(bits_f32(v) | sign);
    }
    return f32_bits(sign | (e + 112) << 23 | m << 13);
}

static inline uint16_t half_from_f32(float f)
{
    uint32_t u = bits_f32(f), sign = u >> 16 & 0x8000;
    u &= 0x7fffffff;
    if (u > 0x7f800000) return (uint16_t)(sign | 0x7e00 | (u >> 13 & 0x3ff)); /* NaN stays NaN */
    if (u >= 0x47800000) return (uint16_t)(sign | 0x7c00);                    /* >= 65536 */
    if (u < 0x38800000) {                                                     /* below 2^-14 */
        if (u < 0x33000000) return (uint16_t)sign;                            /* below 2^-25 */
        uint32_t e = u >> 23, m = (u & 0x7fffff) | 0x800000, shift = 126 - e;
        uint32_t q = m >> shift, rest = m & ((1u << shift) - 1), halfway = 1u << (shift - 1);
        q += rest > halfway || (rest == halfway && (q & 1));
        return (uint16_t)(sign | q);
    }
    u += 0xfff + (u >> 13 & 1);
    u -= 0x38000000;
    u >>= 13;
    return (uint16_t)(sign | (u > 0x7c00 ? 0x7c00 : u));
}

static inline float bf16_to_f32(uint16_t b) { return f32_bits((uint32_t)b << 16); }

static inline uint16_t bf16_from_f32(float f)
{
    uint32_t u = bits_f32(f);
    if ((u & 0x7fffffff) > 0x7f800000) return (uint16_t)(u >> 16 | 64);
    return (uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16);
}

#endif
