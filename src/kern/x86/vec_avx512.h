/* SPDX-License-Identifier: Apache-2.0
 *
 * kern/x86/vec_avx512.h: the vector of kern/vec/, with AVX-512 (F, BW, DQ, VL): 16 floats, 32
 * registers.
 *
 * What each name means is said in kern/vec/vec.h. Tails use masks, so nothing past an end is
 * touched.
 */
#ifndef KERN_X86_VEC_AVX512_H
#define KERN_X86_VEC_AVX512_H

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

#define VEC_REGISTERS 32

typedef __m512 vf;
typedef __mmask16 vm;
typedef struct {
    __m512d lo, hi;
} vd;
enum { VN = 16 };

static inline vm vec_first(size_t n) { return (vm)((1u << n) - 1); }

static inline vf vec_zero(void) { return _mm512_setzero_ps(); }
static inline vf vec_set(float x) { return _mm512_set1_ps(x); }
static inline vf vec_load(const void *p) { return _mm512_loadu_ps(p); }
static inline void vec_store(void *p, vf v) { _mm512_storeu_ps(p, v); }
static inline vf vec_load_n(const void *p, size_t n)
{
    return _mm512_maskz_loadu_ps(vec_first(n), p);
}
static inline vf vec_load_or(const void *p, size_t n, float rest)
{
    return _mm512_mask_loadu_ps(_mm512_set1_ps(rest), vec_first(n), p);
}
static inline void vec_store_n(void *p, size_t n, vf v)
{
    _mm512_mask_storeu_ps(p, vec_first(n), v);
}

static inline vf vec_add(vf a, vf b) { return _mm512_add_ps(a, b); }
static inline vf vec_sub(vf a, vf b) { return _mm512_sub_ps(a, b); }
static inline vf vec_mul(vf a, vf b) { return _mm512_mul_ps(a, b); }
static inline vf vec_div(vf a, vf b) { return _mm512_div_ps(a, b); }
static inline vf vec_fma(vf a, vf b, vf c) { return _mm512_fmadd_ps(a, b, c); }
static inline vf vec_max(vf a, vf b) { return _mm512_max_ps(a, b); }
static inline vf vec_min(vf a, vf b) { return _mm512_min_ps(a, b); }
static inline vf vec_abs(vf a) { return _mm512_abs_ps(a); }
static inline vf vec_round(vf a) { return _mm512_roundscale_ps(a, 8); }
/* a * 2^n, n whole in -126..127 */
static inline vf vec_scale(vf a, vf n) { return _mm512_scalef_ps(a, n); }

static inline vm vec_gt(vf a, vf b) { return _mm512_cmp_ps_mask(a, b, _CMP_GT_OQ); }
static inline vm vec_eq(vf a, vf b) { return _mm512_cmp_ps_mask(a, b, _CMP_EQ_OQ); }
static inline vf vec_pick(vm m, vf a, vf b) { return _mm512_mask_blend_ps(m, b, a); }
static inline int vec_lowest(vm m) { return m ? __builtin_ctz(m) : -1; }

static inline float vec_sum(vf v)
{
    __m256 h = _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
    __m128 q = _mm_add_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
    q = _mm_add_ps(q, _mm_movehl_ps(q, q));
    return _mm_cvtss_f32(_mm_add_ss(q, _mm_movehdup_ps(q)));
}
static inline float vec_top(vf v)
{
    __m256 h = _mm256_max_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
    __m128 q = _mm_max_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
    q = _mm_max_ps(q, _mm_movehl_ps(q, q));
    return _mm_cvtss_f32(_mm_max_ss(q, _mm_movehdup_ps(q)));
}
static inline void vec_sum4(vf a, vf b, vf c, vf d, float out[4])
{
    vf ab = _mm512_add_ps(_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b));
    vf cd = _mm512_add_ps(_mm512_unpacklo_ps(c, d), _mm512_unpackhi_ps(c, d));
    vf v = _mm512_add_ps(_mm512_shuffle_ps(ab, cd, 0x44), _mm512_shuffle_ps(ab, cd, 0xee));
    __m256 h = _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
    _mm_storeu_ps(out, _mm_add_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1)));
}

static inline vf vec_from_f16(const void *p)
{
    return _mm512_cvtph_ps(_mm256_loadu_si256(p));
}
static inline vf vec_from_f16_n(const void *p, size_t n)
{
    return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(vec_first(n), p));
}
static inline vf vec_from_bf16(const void *p)
{
    __m512i u = _mm512_cvtepu16_epi32(_mm256_loadu_si256(p));
    return _mm512_castsi512_ps(_mm512_slli_epi32(u, 16));
}
static inline vf vec_from_bf16_n(const void *p, size_t n)
{
    __m512i u = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(vec_first(n), p));
    return _mm512_castsi512_ps(_mm512_slli_epi32(u, 16));
}
static inline vf vec_from_i8(const void *p)
{
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(p)));
}
static inline vf vec_set_f16(const void *p)
{
    int16_t h;
    __builtin_memcpy(&h, p, 2);
    return _mm512_cvtph_ps(_mm256_set1_epi16(h));
}
static inline void vec_to_f16(void *p, vf v)
{
    _mm256_storeu_si256(p, _mm512_cvtps_ph(v, 0));
}
static inline void vec_to_f16_n(void *p, size_t n, vf v)
{
    _mm256_mask_storeu_epi16(p, vec_first(n), _mm512_cvtps_ph(v, 0));
}
static inline void vec_to_i8(void *p, vf v)
{
    _mm_storeu_si128(p, _mm512_cvtsepi32_epi8(_mm512_cvtps_epi32(v)));
}

/* VN x VN in place: pairs, fours, then the 128-bit lanes as a 4 x 4 matrix of their own. */
static inline __attribute__((always_inline)) void vec_transpose(vf r[16])
{
    vf t[16];
    for (int i = 0; i < 16; i += 2) {
        t[i] = _mm512_unpacklo_ps(r[i], r[i + 1]);
        t[i + 1] = _mm512_unpackhi_ps(r[i], r[i + 1]);
    }
    for (int i = 0; i < 16; i += 4) {
        r[i] = _mm512_shuffle_ps(t[i], t[i + 2], 0x44);
        r[i + 1] = _mm512_shuffle_ps(t[i], t[i + 2], 0xee);
        r[i + 2] = _mm512_shuffle_ps(t[i + 1], t[i + 3], 0x44);
        r[i + 3] = _mm512_shuffle_ps(t[i + 1], t[i + 3], 0xee);
    }
    for (int i = 0; i < 4; i++) {
        t[i] = _mm512_shuffle_f32x4(r[i], r[i + 4], 0x88);
        t[i + 4] = _mm512_shuffle_f32x4(r[i], r[i + 4], 0xdd);
        t[i + 8] = _mm512_shuffle_f32x4(r[i + 8], r[i + 12], 0x88);
        t[i + 12] = _mm512_shuffle_f32x4(r[i + 8], r[i + 12], 0xdd);
    }
    for (int i = 0; i < 4; i++) {
        r[i] = _mm512_shuffle_f32x4(t[i], t[i + 8], 0x88);
        r[i + 8] = _mm512_shuffle_f32x4(t[i], t[i + 8], 0xdd);
        r[i + 4] = _mm512_shuffle_f32x4(t[i + 4], t[i + 12], 0x88);
        r[i + 12] = _mm512_shuffle_f32x4(t[i + 4], t[i + 12], 0xdd);
    }
}

/* Pairs (2i, 2i+1): each of VN/2 numbers twice; neighbours exchanged; a * b -+ c, minus in even
 * places. */
static inline vf vec_twice_n(const float *p, size_t n)
{
    const __m512i at = _mm512_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7);
    vf v = n == VN / 2 ? _mm512_castps256_ps512(_mm256_loadu_ps(p)) : vec_load_n(p, n);
    return _mm512_permutexvar_ps(at, v);
}
static inline vf vec_swap(vf v) { return _mm512_permute_ps(v, 0xb1); }
static inline vf vec_fmaddsub(vf a, vf b, vf c) { return _mm512_fmaddsub_ps(a, b, c); }

static inline vd vec_wide(double x) { return (vd){_mm512_set1_pd(x), _mm512_set1_pd(x)}; }
static inline vd vec_wide_add(vd sum, vf x)
{
    sum.lo = _mm512_add_pd(sum.lo, _mm512_cvtps_pd(_mm512_castps512_ps256(x)));
    sum.hi = _mm512_add_pd(sum.hi, _mm512_cvtps_pd(_mm512_extractf32x8_ps(x, 1)));
    return sum;
}
static inline vd vec_wide_square(vd sum, vf x, vd mean)
{
    __m512d lo = _mm512_sub_pd(_mm512_cvtps_pd(_mm512_castps512_ps256(x)), mean.lo);
    __m512d hi = _mm512_sub_pd(_mm512_cvtps_pd(_mm512_extractf32x8_ps(x, 1)), mean.hi);
    return (vd){_mm512_fmadd_pd(lo, lo, sum.lo), _mm512_fmadd_pd(hi, hi, sum.hi)};
}
static inline vd vec_wide_of(vf x)
{
    return (vd){_mm512_cvtps_pd(_mm512_castps512_ps256(x)), _mm512_cvtps_pd(_mm512_extractf32x8_ps(x, 1))};
}
static inline vd vec_wide_fma(vd a, vd b, vd c)
{
    return (vd){_mm512_fmadd_pd(a.lo, b.lo, c.lo), _mm512_fmadd_pd(a.hi, b.hi, c.hi)};
}
static inline vf vec_narrow(vd v)
{
    return _mm512_insertf32x8(_mm512_castps256_ps512(_mm512_cvtpd_ps(v.lo)), _mm512_cvtpd_ps(v.hi), 1);
}
static inline double vec_wide_sum(vd v) { return _mm512_reduce_add_pd(_mm512_add_pd(v.lo, v.hi)); }

#endif
