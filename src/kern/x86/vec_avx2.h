/* SPDX-License-Identifier: Apache-2.0
 *
 * kern/x86/vec_avx2.h: the vector of kern/vec/, with AVX2, FMA and F16C: 8 floats, 16 registers.
 *
 * What each name means is said in kern/vec/vec.h. Tails of floats use masked moves; of 16-bit
 * numbers, for which there are none, a copy.
 */
#ifndef KERN_X86_VEC_AVX2_H
#define KERN_X86_VEC_AVX2_H

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

#define VEC_REGISTERS 16

typedef __m256 vf;
typedef __m256 vm;
typedef struct {
    __m256d lo, hi;
} vd;
enum { VN = 8 };

static inline __m256i vec_first(size_t n)
{
    static const int32_t mask[16] = {-1, -1, -1, -1, -1, -1, -1, -1};
    return _mm256_loadu_si256((const void *)(mask + 8 - n));
}

static inline vf vec_zero(void) { return _mm256_setzero_ps(); }
static inline vf vec_set(float x) { return _mm256_set1_ps(x); }
static inline vf vec_load(const void *p) { return _mm256_loadu_ps(p); }
static inline void vec_store(void *p, vf v) { _mm256_storeu_ps(p, v); }
static inline vf vec_load_n(const void *p, size_t n)
{
    return n == VN ? _mm256_loadu_ps(p) : _mm256_maskload_ps(p, vec_first(n));
}
static inline vf vec_load_or(const void *p, size_t n, float rest)
{
    if (n == VN) return _mm256_loadu_ps(p);
    __m256i m = vec_first(n);
    return _mm256_blendv_ps(_mm256_set1_ps(rest), _mm256_maskload_ps(p, m), _mm256_castsi256_ps(m));
}
static inline void vec_store_n(void *p, size_t n, vf v)
{
    if (n == VN)
        _mm256_storeu_ps(p, v);
    else
        _mm256_maskstore_ps(p, vec_first(n), v);
}

static inline vf vec_add(vf a, vf b) { return _mm256_add_ps(a, b); }
static inline vf vec_sub(vf a, vf b) { return _mm256_sub_ps(a, b); }
static inline vf vec_mul(vf a, vf b) { return _mm256_mul_ps(a, b); }
static inline vf vec_div(vf a, vf b) { return _mm256_div_ps(a, b); }
static inline vf vec_fma(vf a, vf b, vf c) { return _mm256_fmadd_ps(a, b, c); }
static inline vf vec_max(vf a, vf b) { return _mm256_max_ps(a, b); }
static inline vf vec_min(vf a, vf b) { return _mm256_min_ps(a, b); }
static inline vf vec_abs(vf a) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a); }
static inline vf vec_round(vf a) { return _mm256_round_ps(a, 8); }
static inline vf vec_scale(vf a, vf n)
{
    __m256i e = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));
    return _mm256_mul_ps(a, _mm256_castsi256_ps(_mm256_slli_epi32(e, 23)));
}

static inline vm vec_gt(vf a, vf b) { return _mm256_cmp_ps(a, b, _CMP_GT_OQ); }
static inline vm vec_eq(vf a, vf b) { return _mm256_cmp_ps(a, b, _CMP_EQ_OQ); }
static inline vf vec_pick(vm m, vf a, vf b) { return _mm256_blendv_ps(b, a, m); }
static inline int vec_lowest(vm m)
{
    int bits = _mm256_movemask_ps(m);
    return bits ? __builtin_ctz((unsigned)bits) : -1;
}

static inline float vec_sum(vf v)
{
    __m128 q = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    q = _mm_add_ps(q, _mm_movehl_ps(q, q));
    return _mm_cvtss_f32(_mm_add_ss(q, _mm_movehdup_ps(q)));
}
static inline float vec_top(vf v)
{
    __m128 q = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    q = _mm_max_ps(q, _mm_movehl_ps(q, q));
    return _mm_cvtss_f32(_mm_max_ss(q, _mm_movehdup_ps(q)));
}
static inline void vec_sum4(vf a, vf b, vf c, vf d, float out[4])
{
    vf ab = _mm256_add_ps(_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b));
    vf cd = _mm256_add_ps(_mm256_unpacklo_ps(c, d), _mm256_unpackhi_ps(c, d));
    vf v = _mm256_add_ps(_mm256_shuffle_ps(ab, cd, 0x44), _mm256_shuffle_ps(ab, cd, 0xee));
    _mm_storeu_ps(out, _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1)));
}

static inline __m128i vec_words_n(const void *p, size_t n)
{
    uint16_t w[VN] = {0};
    __builtin_memcpy(w, p, 2 * n);
    return _mm_loadu_si128((const void *)w);
}
static inline vf vec_from_f16(const void *p) { return _mm256_cvtph_ps(_mm_loadu_si128(p)); }
static inline vf vec_from_f16_n(const void *p, size_t n)
{
    return _mm256_cvtph_ps(vec_words_n(p, n));
}
static inline vf vec_high_half(__m128i words)
{
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(words), 16));
}
static inline vf vec_from_bf16(const void *p) { return vec_high_half(_mm_loadu_si128(p)); }
static inline vf vec_from_bf16_n(const void *p, size_t n)
{
    return vec_high_half(vec_words_n(p, n));
}
static inline vf vec_from_i8(const void *p)
{
    return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(p)));
}
static inline vf vec_set_f16(const void *p)
{
    int16_t h;
    __builtin_memcpy(&h, p, 2);
    return _mm256_cvtph_ps(_mm_set1_epi16(h));
}
static inline void vec_to_f16(void *p, vf v) { _mm_storeu_si128(p, _mm256_cvtps_ph(v, 0)); }
static inline void vec_to_f16_n(void *p, size_t n, vf v)
{
    uint16_t w[VN];
    _mm_storeu_si128((void *)w, _mm256_cvtps_ph(v, 0));
    __builtin_memcpy(p, w, 2 * n);
}
static inline void vec_to_i8(void *p, vf v)
{
    __m256i i = _mm256_cvtps_epi32(v);
    __m128i w = _mm_packs_epi32(_mm256_castsi256_si128(i), _mm256_extracti128_si256(i, 1));
    _mm_storel_epi64(p, _mm_packs_epi16(w, w));
}

/* Pairs, fours, then the two halves. */
static inline __attribute__((always_inline)) void vec_transpose(vf r[8])
{
    vf t[8];
    for (int i = 0; i < 8; i += 2) {
        t[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
        t[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
    }
    for (int i = 0; i < 8; i += 4) {
        r[i] = _mm256_shuffle_ps(t[i], t[i + 2], 0x44);
        r[i + 1] = _mm256_shuffle_ps(t[i], t[i + 2], 0xee);
        r[i + 2] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0x44);
        r[i + 3] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0xee);
    }
    for (int i = 0; i < 4; i++) {
        vf low = _mm256_permute2f128_ps(r[i], r[i + 4], 0x20);
        r[i + 4] = _mm256_permute2f128_ps(r[i], r[i + 4], 0x31);
        r[i] = low;
    }
}

static inline vf vec_twice_n(const float *p, size_t n)
{
    const __m256i at = _mm256_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3);
    vf v = n == VN / 2 ? _mm256_castps128_ps256(_mm_loadu_ps(p))
                       : _mm256_maskload_ps(p, vec_first(n));
    return _mm256_permutevar8x32_ps(v, at);
}
static inline vf vec_swap(vf v) { return _mm256_permute_ps(v, 0xb1); }
static inline vf vec_fmaddsub(vf a, vf b, vf c) { return _mm256_fmaddsub_ps(a, b, c); }

static inline vd vec_wide(double x) { return (vd){_mm256_set1_pd(x), _mm256_set1_pd(x)}; }
static inline vd vec_wide_add(vd sum, vf x)
{
    sum.lo = _mm256_add_pd(sum.lo, _mm256_cvtps_pd(_mm256_castps256_ps128(x)));
    sum.hi = _mm256_add_pd(sum.hi, _mm256_cvtps_pd(_mm256_extractf128_ps(x, 1)));
    return sum;
}
static inline vd vec_wide_square(vd sum, vf x, vd mean)
{
    __m256d lo = _mm256_sub_pd(_mm256_cvtps_pd(_mm256_castps256_ps128(x)), mean.lo);
    __m256d hi = _mm256_sub_pd(_mm256_cvtps_pd(_mm256_extractf128_ps(x, 1)), mean.hi);
    return (vd){_mm256_fmadd_pd(lo, lo, sum.lo), _mm256_fmadd_pd(hi, hi, sum.hi)};
}
static inline vd vec_wide_of(vf x)
{
    return (vd){_mm256_cvtps_pd(_mm256_castps256_ps128(x)), _mm256_cvtps_pd(_mm256_extractf128_ps(x, 1))};
}
static inline vd vec_wide_fma(vd a, vd b, vd c)
{
    return (vd){_mm256_fmadd_pd(a.lo, b.lo, c.lo), _mm256_fmadd_pd(a.hi, b.hi, c.hi)};
}
static inline vf vec_narrow(vd v)
{
    return _mm256_insertf128_ps(_mm256_castps128_ps256(_mm256_cvtpd_ps(v.lo)), _mm256_cvtpd_ps(v.hi), 1);
}
static inline double vec_wide_sum(vd v)
{
    double d[4];
    _mm256_storeu_pd(d, _mm256_add_pd(v.lo, v.hi));
    return (d[0] + d[1]) + (d[2] + d[3]);
}

#endif
