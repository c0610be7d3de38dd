/* SPDX-License-Identifier: Apache-2.0
 *
 * kern/arm/vec_neon.h: the vector of kern/vec/, with AArch64's Advanced SIMD: 4 floats, 32
 * registers.
 *
 * What each name means is said in kern/vec/vec.h. Memory is read as bytes, which may lie anywhere;
 * tails are copies. Multiplication by one lane of a register (VEC_LANES) spares the tiles their
 * broadcasts.
 */
#ifndef KERN_ARM_VEC_NEON_H
#define KERN_ARM_VEC_NEON_H

#include <arm_neon.h>
#include <stddef.h>
#include <stdint.h>

#define VEC_REGISTERS 32
#define VEC_LANES 4

typedef float32x4_t vf;
typedef uint32x4_t vm;
typedef struct {
    float64x2_t lo, hi;
} vd;
enum { VN = 4 };

static inline vf vec_zero(void) { return vdupq_n_f32(0); }
static inline vf vec_set(float x) { return vdupq_n_f32(x); }
static inline vf vec_load(const void *p) { return vreinterpretq_f32_u8(vld1q_u8(p)); }
static inline void vec_store(void *p, vf v) { vst1q_u8(p, vreinterpretq_u8_f32(v)); }
static inline vf vec_load_or(const void *p, size_t n, float rest)
{
    if (n == VN) return vec_load(p);
    float t[VN] = {rest, rest, rest, rest};
    __builtin_memcpy(t, p, 4 * n);
    return vld1q_f32(t);
}
static inline vf vec_load_n(const void *p, size_t n) { return vec_load_or(p, n, 0); }
static inline void vec_store_n(void *p, size_t n, vf v)
{
    float t[VN];
    vst1q_f32(t, v);
    if (n == VN)
        vec_store(p, v);
    else
        __builtin_memcpy(p, t, 4 * n);
}

static inline vf vec_add(vf a, vf b) { return vaddq_f32(a, b); }
static inline vf vec_sub(vf a, vf b) { return vsubq_f32(a, b); }
static inline vf vec_mul(vf a, vf b) { return vmulq_f32(a, b); }
static inline vf vec_div(vf a, vf b) { return vdivq_f32(a, b); }
static inline vf vec_fma(vf a, vf b, vf c) { return vfmaq_f32(c, a, b); }
#define vec_fma_lane(a, b, lane, c) vfmaq_laneq_f32(c, a, b, lane)
static inline vf vec_max(vf a, vf b) { return vbslq_f32(vcgtq_f32(a, b), a, b); }
static inline vf vec_min(vf a, vf b) { return vbslq_f32(vcltq_f32(a, b), a, b); }
static inline vf vec_abs(vf a) { return vabsq_f32(a); }
static inline vf vec_round(vf a) { return vrndnq_f32(a); }
static inline vf vec_scale(vf a, vf n)
{
    int32x4_t e = vaddq_s32(vcvtq_s32_f32(n), vdupq_n_s32(127));
    return vmulq_f32(a, vreinterpretq_f32_s32(vshlq_n_s32(e, 23)));
}

static inline vm vec_gt(vf a, vf b) { return vcgtq_f32(a, b); }
static inline vm vec_eq(vf a, vf b) { return vceqq_f32(a, b); }
static inline vf vec_pick(vm m, vf a, vf b) { return vbslq_f32(m, a, b); }
static inline int vec_lowest(vm m)
{
    uint64_t bits = vget_lane_u64(vreinterpret_u64_u16(vmovn_u32(m)), 0);
    return bits ? __builtin_ctzll(bits) / 16 : -1;
}

static inline float vec_sum(vf v) { return vaddvq_f32(v); }
static inline float vec_top(vf v) { return vmaxvq_f32(v); }
static inline void vec_sum4(vf a, vf b, vf c, vf d, float out[4])
{
    vst1q_f32(out, vpaddq_f32(vpaddq_f32(a, b), vpaddq_f32(c, d)));
}

static inline uint16x4_t vec_words_n(const void *p, size_t n)
{
    uint16_t w[VN] = {0};
    __builtin_memcpy(w, p, 2 * n);
    return vld1_u16(w);
}
static inline vf vec_from_f16(const void *p)
{
    return vcvt_f32_f16(vreinterpret_f16_u8(vld1_u8(p)));
}
static inline vf vec_from_f16_n(const void *p, size_t n)
{
    return vcvt_f32_f16(vreinterpret_f16_u16(vec_words_n(p, n)));
}
static inline vf vec_from_bf16(const void *p)
{
    return vreinterpretq_f32_u32(vshll_n_u16(vreinterpret_u16_u8(vld1_u8(p)), 16));
}
static inline vf vec_from_bf16_n(const void *p, size_t n)
{
    return vreinterpretq_f32_u32(vshll_n_u16(vec_words_n(p, n), 16));
}
static inline vf vec_from_i8(const void *p)
{
    uint32_t four;
    __builtin_memcpy(&four, p, 4);
    int16x8_t w = vmovl_s8(vreinterpret_s8_u32(vdup_n_u32(four)));
    return vcvtq_f32_s32(vmovl_s16(vget_low_s16(w)));
}
static inline vf vec_set_f16(const void *p)
{
    uint16_t h;
    __builtin_memcpy(&h, p, 2);
    return vcvt_f32_f16(vreinterpret_f16_u16(vdup_n_u16(h)));
}
static inline void vec_to_f16(void *p, vf v) { vst1_u8(p, vreinterpret_u8_f16(vcvt_f16_f32(v))); }
static inline void vec_to_f16_n(void *p, size_t n, vf v)
{
    uint16_t w[VN];
    vst1_u16(w, vreinterpret_u16_f16(vcvt_f16_f32(v)));
    __builtin_memcpy(p, w, 2 * n);
}
static inline void vec_to_i8(void *p, vf v)
{
    int16x4_t w = vqmovn_s32(vcvtnq_s32_f32(v));
    uint32_t four = vget_lane_u32(vreinterpret_u32_s8(vqmovn_s16(vcombine_s16(w, w))), 0);
    __builtin_memcpy(p, &four, 4);
}

static inline vf vec_halves(vf a, vf b, int high)
{
    float64x2_t x = vreinterpretq_f64_f32(a), y = vreinterpretq_f64_f32(b);
    return vreinterpretq_f32_f64(high ? vtrn2q_f64(x, y) : vtrn1q_f64(x, y));
}
static inline __attribute__((always_inline)) void vec_transpose(vf r[4])
{
    vf a = vtrn1q_f32(r[0], r[1]), b = vtrn2q_f32(r[0], r[1]);
    vf c = vtrn1q_f32(r[2], r[3]), d = vtrn2q_f32(r[2], r[3]);
    r[0] = vec_halves(a, c, 0);
    r[1] = vec_halves(b, d, 0);
    r[2] = vec_halves(a, c, 1);
    r[3] = vec_halves(b, d, 1);
}

static inline vf vec_twice_n(const float *p, size_t n)
{
    vf v = vec_load_n(p, n);
    return vzip1q_f32(v, v);
}
static inline vf vec_swap(vf v) { return vrev64q_f32(v); }
static inline vf vec_fmaddsub(vf a, vf b, vf c)
{
    const float sign[4] = {-1, 1, -1, 1};
    return vfmaq_f32(vmulq_f32(c, vld1q_f32(sign)), a, b);
}

static inline vd vec_wide(double x) { return (vd){vdupq_n_f64(x), vdupq_n_f64(x)}; }
static inline vd vec_wide_add(vd sum, vf x)
{
    sum.lo = vaddq_f64(sum.lo, vcvt_f64_f32(vget_low_f32(x)));
    sum.hi = vaddq_f64(sum.hi, vcvt_high_f64_f32(x));
    return sum;
}
static inline vd vec_wide_square(vd sum, vf x, vd mean)
{
    float64x2_t lo = vsubq_f64(vcvt_f64_f32(vget_low_f32(x)), mean.lo);
    float64x2_t hi = vsubq_f64(vcvt_high_f64_f32(x), mean.hi);
    return (vd){vfmaq_f64(sum.lo, lo, lo), vfmaq_f64(sum.hi, hi, hi)};
}
static inline vd vec_wide_of(vf x) { return (vd){vcvt_f64_f32(vget_low_f32(x)), vcvt_high_f64_f32(x)}; }
static inline vd vec_wide_fma(vd a, vd b, vd c)
{
    return (vd){vfmaq_f64(c.lo, a.lo, b.lo), vfmaq_f64(c.hi, a.hi, b.hi)};
}
static inline vf vec_narrow(vd v) { return vcvt_high_f32_f64(vcvt_f32_f64(v.lo), v.hi); }
static inline double vec_wide_sum(vd v) { return vaddvq_f64(vaddq_f64(v.lo, v.hi)); }

#endif
