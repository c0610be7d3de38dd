/* SPDX-License-Identifier: Apache-2.0
 *
 * kern/vec/vec.h: the float kernels written once for every vector width.
 *
 * The files of this folder are bodies, not modules: x86/float_avx2.c, x86/float_avx512.c and
 * arm/float_dot.c each include a vector (vec_avx2.h, vec_avx512.h, vec_neon.h) and then these, and
 * are compiled with their own flags. Everything is static, so nothing wide leaks into another
 * file. What a level does better in its own way stands in its vector; what is the same arithmetic
 * stands here.
 *
 * A vector gives:
 *   vf, VN              VN floats; vd: the same in double; vm: a mask; VEC_REGISTERS
 *   vec_load, _store    any alignment; _n: the first n <= VN, zeros beyond (_or: `rest` beyond),
 *                       no byte touched past them
 *   vec_from_X, _to_X   from or to binary16, bfloat16, int8 in memory; vec_set_f16: one, everywhere
 *   vec_fma             a * b + c, rounded once
 *   vec_max, vec_min    b where either is NaN
 *   vec_round           to nearest, ties to even
 *   vec_scale           a * 2^n, n whole in -126..127
 *   vec_gt, vec_eq      false for NaN; vec_pick(m, a, b): a where m, else b
 *   vec_lowest          the first lane of a mask that is set, or -1
 *   vec_sum, vec_top    over the lanes; vec_sum4: four sums at once
 *   vec_transpose       a VN x VN matrix in place
 *   vec_twice_n, vec_swap, vec_fmaddsub    for neighbours as pairs (rotary)
 *   vec_wide...         sums in double; vec_wide_of, vec_narrow: floats to doubles and back
 */
#ifndef KERN_VEC_VEC_H
#define KERN_VEC_VEC_H

#include "kern/kern.h"

#define VEC_INLINE static inline __attribute__((always_inline))
/* Tiles are loops over arrays that must become registers. Under a sanitizer every access is a call
 * or a branch, and they stay loops. */
#if defined(__clang__) && defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || \
    __has_feature(undefined_behavior_sanitizer)
#define VEC_UNROLL _Pragma("clang loop unroll(disable)")
#else
#define VEC_UNROLL _Pragma("clang loop unroll(full)")
#endif
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define VEC_UNROLL _Pragma("GCC unroll 1")
#else
#define VEC_UNROLL _Pragma("GCC unroll 32")
#endif

/* What a row in memory is made of. */
enum vec_kind { VEC_F32, VEC_F16, VEC_BF16, VEC_Q8_0 };

/* Where element i of a row begins, i a multiple of VN: a Q8_0 block of 32 (a binary16 step and 32
 * int8) is never straddled. */
VEC_INLINE const unsigned char *vec_at(enum vec_kind kind, const unsigned char *row, size_t i)
{
    return kind == VEC_Q8_0 ? row + i / 32 * 34 + 2 + i % 32 : row + i * (kind == VEC_F32 ? 4 : 2);
}

/* Elements i .. i+VN of a row, exactly, in F32. */
VEC_INLINE vf vec_row(enum vec_kind kind, const unsigned char *row, size_t i)
{
    const unsigned char *at = vec_at(kind, row, i);
    if (kind == VEC_F32) return vec_load(at);
    if (kind == VEC_F16) return vec_from_f16(at);
    if (kind == VEC_BF16) return vec_from_bf16(at);
    return vec_mul(vec_set_f16(row + i / 32 * 34), vec_from_i8(at));
}

/* The first n < VN of them, zeros beyond. Not for Q8_0, whose rows are whole blocks. */
VEC_INLINE vf vec_row_n(enum vec_kind kind, const unsigned char *row, size_t i, size_t n)
{
    const unsigned char *at = vec_at(kind, row, i);
    if (kind == VEC_F32) return vec_load_n(at, n);
    if (kind == VEC_F16) return vec_from_f16_n(at, n);
    if (kind == VEC_BF16) return vec_from_bf16_n(at, n);
    return vec_zero();
}

/* e^x: 0 below -87.33, infinity above 88.37, NaN for NaN, about 1 ulp between.
 * x = n ln 2 + r, |r| <= ln 2 / 2; e^r = 1 + r + r^2 q(r), q a minimax polynomial of degree 4
 * (3e-9). */
VEC_INLINE vf vec_exp(vf x)
{
    const vf low = vec_set(-87.33f), high = vec_set(88.37f);
    vf in = vec_max(low, vec_min(high, x));
    vf n = vec_round(vec_mul(in, vec_set(0x1.715476p+0f)));
    /* ln 2 in two parts, the first so short that its product is exact */
    vf r = vec_fma(n, vec_set(-0x1.62e400p-1f), in);
    r = vec_fma(n, vec_set(-0x1.7f7d1cp-20f), r);
    vf q = vec_fma(vec_set(0x1.6a23a8p-10f), r, vec_set(0x1.123a36p-7f));
    q = vec_fma(q, r, vec_set(0x1.5558f4p-5f));
    q = vec_fma(q, r, vec_set(0x1.555490p-3f));
    q = vec_fma(q, r, vec_set(0x1.fffffcp-2f));
    vf e = vec_add(vec_fma(vec_mul(r, r), q, r), vec_set(1.0f));
    e = vec_scale(e, n);
    e = vec_pick(vec_gt(low, x), vec_zero(), e);
    return vec_pick(vec_gt(x, high), vec_set(__builtin_inff()), e);
}

/* erfc(a / sqrt 2) / 2 for a >= 0, to 2e-8: e^(-a^2/2) times a minimax polynomial in 1 / (1 +
 * a/4). */
VEC_INLINE vf vec_half_erfc(vf a)
{
    vf t = vec_div(vec_set(1.0f), vec_fma(a, vec_set(0.25f), vec_set(1.0f)));
    vf p = vec_fma(vec_set(-0x1.738844p-4f), t, vec_set(0x1.586fa2p-2f));
    p = vec_fma(p, t, vec_set(-0x1.049ac6p-2f));
    p = vec_fma(p, t, vec_set(0x1.0fffe4p-2f));
    p = vec_fma(p, t, vec_set(0x1.228d94p-5f));
    p = vec_fma(p, t, vec_set(0x1.bbdce4p-4f));
    p = vec_fma(p, t, vec_set(0x1.97119ap-4f));
    return vec_mul(vec_mul(p, t), vec_exp(vec_mul(vec_mul(a, a), vec_set(-0.5f))));
}

#endif
