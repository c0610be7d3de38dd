/* SPDX-License-Identifier: Apache-2.0
 *
 * kern/kern.h: the arithmetic, one contract per operation.
 *
 * A kernel knows nothing of models, files or threads: it gets pointers and sizes, cannot fail, allocates nothing. ref/ holds the
 * scalar C that is the specification; x86/ and arm/ hold overrides, put into the table by kern_init, a ladder in
 * which a gap falls to the rung below. tests/kcheck proves every override against ref/ and times it.
 *
 * Matrix product. Weights W are rows of k elements in the file's own blocks (io/dtype.h), `wstride` bytes from row to row. Activations are
 * rows in the form that the weight type wants (enum kern_act), `astride` bytes apart:
 *
 *     out[a * ostride + r] = sum over i < k of W[r][i] * A[a][i]        r < nrow, a < nact
 *
 * F32 activations stay as they are; others are quantised once by kern->quant, and then the integer part of every product is exact:
 * the result differs between levels, batch sizes and threads only by the order of the float additions.
 *
 *   mul   reads the blocks row by row: for one activation row and small batches (1..16 or so).
 *   pack + gemm: for prompts. pack unpacks up to panel_rows rows into a cache-resident panel once, gemm uses it for all rows of A.
 */
#ifndef KERN_KERN_H
#define KERN_KERN_H

#include <stddef.h>
#include <stdint.h>

#include "io/dtype.h"

/* The forms of an activation row of k elements; its planes lie one after another, each 64-byte aligned when the row is.
 *   ACT_F32     float x[k]
 *   ACT_Q8_32   int8 q[kp] | float d[kp/32] | int32 c[kp/32] | int32 p[kp/8]   x = d * q, one d per 32; k % 32 == 0;
 *               kp = k up to a multiple of 128, what is past k being zero. q is not in order: see act_at.
 *               c: -128 * (the sum of 32 q); p: the same in parts, by 4-byte words of both halves (act_at). They are where integer sums
 *               start when weights are kept unsigned.
 *   ACT_Q8_256  int8 q[k] | float d[k/256] | int16 s[k/16] | int16 t[k/32] | int32 c[k/16]     x = d * q, one d per 256;
 *               k % 256 == 0. q is not in order: see act_at. s, t: sums of 16 and of 32 q; c: -128 * s; these are in order.
 * d = max|x| / 127, q = x * (127 / max|x|) rounded to nearest even, so q is in -127..127 and equal at every level;
 * a group whose max|x| is below 2^-100 is all zero, d too. x must be finite: else the row is unspecified, but memory-safe. */
enum kern_act { ACT_F32, ACT_Q8_32, ACT_Q8_256, ACT_COUNT };

static inline size_t kern_up64(size_t n)
{
    return (n + 63) & ~(size_t)63;
}
static inline size_t act_padded(enum kern_act kind, size_t k)
{
    return kind == ACT_Q8_32 ? (k + 127) & ~(size_t)127 : k;
}
static inline size_t act_scale_at(enum kern_act kind, size_t k)
{
    return kern_up64(act_padded(kind, k));
}
/* Of c (ACT_Q8_32) or s. */
static inline size_t act_sum_at(enum kern_act kind, size_t k)
{
    return act_scale_at(kind, k) + kern_up64(4 * (kind == ACT_Q8_32 ? act_padded(kind, k) / 32 : k / 256));
}
/* Of p; of t; of c (ACT_Q8_256). */
static inline size_t act_part_at(size_t k)
{
    return act_sum_at(ACT_Q8_32, k) + kern_up64(act_padded(ACT_Q8_32, k) / 8);
}
static inline size_t act_sum32_at(size_t k)
{
    return act_sum_at(ACT_Q8_256, k) + kern_up64(k / 8);
}
static inline size_t act_start_at(size_t k)
{
    return act_sum32_at(k) + kern_up64(k / 16);
}
static inline size_t act_bytes(enum kern_act kind, size_t k)
{
    return kind == ACT_F32     ? kern_up64(4 * k)
           : kind == ACT_Q8_32 ? act_part_at(k) + act_padded(kind, k) / 2
                               : act_start_at(k) + k / 4;
}
/* Where element i is in the plane q: as the bits of the blocks lie, so that their unpacking needs fewest moves.
 *   ACT_Q8_32   four blocks of 32 at a time: first the first halves of all four, then the second halves; in each half the blocks take
 *               turns every 4 bytes, so that 4-byte word w of it belongs to block w % 4.
 *   ACT_Q8_256  of each four 32 the two in the middle change places: 0 2 1 3. */
static inline size_t act_at(enum kern_act kind, size_t i)
{
    return kind == ACT_Q8_32    ? (i & ~(size_t)127) | (i & 28) << 2 | (i >> 3 & 12) | (i & 3)
           : kind == ACT_Q8_256 ? (i & ~(size_t)96) | (i & 32) << 1 | (i & 64) >> 1
                                : i;
}

typedef void kern_quant_fn(size_t k, const float *x, void *row);
/* The exact values of a row: what the format's definition says, in F32. */
typedef void kern_dequant_fn(size_t k, const void *w, float *out);
typedef void kern_mul_fn(size_t k, const void *w, size_t wstride, size_t nrow, const void *act,
                         size_t astride, size_t nact, float *out, size_t ostride);
/* nrow <= panel_rows; missing rows are filled so that gemm may read them. panel has panel_bytes(k), 64-byte aligned. */
typedef void kern_pack_fn(size_t k, const void *w, size_t wstride, size_t nrow, void *panel);
/* Writes out for r < nrow only. */
typedef void kern_gemm_fn(size_t k, const void *panel, size_t nrow, const void *act, size_t astride,
                          size_t nact, float *out, size_t ostride);

struct kern_type {
    enum kern_act act;         /* what mul and gemm want */
    kern_dequant_fn *dequant;  /* NULL: Lar cannot compute with this type */
    kern_mul_fn *mul;          /* NULL likewise */
    kern_pack_fn *pack;        /* NULL: no panel form at this level, mul serves every batch */
    kern_gemm_fn *gemm;
    uint32_t panel_rows;
    size_t (*panel_bytes)(size_t k);
    uint32_t gemm_from;        /* batch size from which pack + gemm is faster than mul, as measured */
};

/* Attention's parts, for keys and values of one head at contiguous positions: rows of hd elements, hd % 32 == 0 for
 * KV_Q8_0 (blocks as DT_Q8_0), any hd otherwise; rows lie row_bytes apart.
 *   qk   s[i * sstride + j]  = sum over d of q[i * qstride + d] * K[j][d]       i < nq, j < npos
 *   pv   o[i * ostride + d] += sum over j of p[i * pstride + j] * V[j][d]
 * All sums in F32; q, p, o, s are F32. nq is the number of query rows that share this head (heads of a group times tokens):
 * implementations convert K and V once and reuse them for all nq. scratch: kern_attn_scratch(hd, npos) bytes, 64-byte aligned. */
enum kern_kv { KV_F32, KV_F16, KV_Q8_0, KV_COUNT };
static inline size_t kern_kv_row_bytes(enum kern_kv t, size_t hd)
{
    return t == KV_F32 ? 4 * hd : t == KV_F16 ? 2 * hd : hd / 32 * 34;
}
static inline size_t kern_attn_scratch(size_t hd, size_t npos)
{
    return 4 * ((npos + 31) / 32 * 32) * (kern_up64(4 * hd) / 4 + 32) + 4096;
}
typedef void kern_qk_fn(size_t hd, size_t nq, const float *q, size_t qstride, size_t npos, const void *k,
                        size_t row_bytes, float *s, size_t sstride, void *scratch);
typedef void kern_pv_fn(size_t hd, size_t nq, const float *p, size_t pstride, size_t npos, const void *v,
                        size_t row_bytes, float *o, size_t ostride, void *scratch);
/* Stores a row of keys or values: F32 -> the kept form (F16 rounds to nearest even; Q8_0: d = F16(max|x|/127), q = round(x / d)). */
typedef void kern_kv_store_fn(size_t hd, const float *x, void *row);

/* One step of the online softmax over n scores: m and l are the running maximum and sum. s[j] becomes exp(s[j] - new m) (0 for -inf), *m and *l
 * are updated, and the factor by which what was accumulated before must be multiplied (exp(old m - new m); 0 the first time, when *m
 * is -inf) is given back. With all n scores -inf nothing changes and 1 is given back with s all zero. */
typedef float kern_softmax_fn(size_t n, float *s, float *m, float *l);

/* Bounds that tests/kcheck/row.c checks at every level: exp as softmax uses it, in [-87, 0], is within 1e-6, relative, of the exact value;
 * a gate is within (1e-6 |gate(g)| + 1.5e-7 |g|) |u|. Gates:
 *   silu_mul  out = g / (1 + exp(-g)) * u        gelu_mul  out = gelu(g) * u, exact erf form
 *   gelu_tanh_mul  the tanh form: 0.5 g (1 + tanh(sqrt(2/pi) (g + 0.044715 g^3))) * u
 * u may be NULL (taken as 1); out may be g or u. */
typedef void kern_gate_fn(size_t n, const float *g, const float *u, float *out);

/* out = x / sqrt(mean(x^2) + eps) * w; sums in double or pairwise so that n = 16384 keeps F32 accuracy; w NULL = 1; out may be x. */
typedef void kern_rms_fn(size_t n, const float *x, const float *w, float eps, float *out);
/* out = (x - mean) / sqrt(var + eps) * w + b; w, b may be NULL. */
typedef void kern_norm_fn(size_t n, const float *x, const float *w, const float *b, float eps, float *out);
/* y += a * x */
typedef void kern_axpy_fn(size_t n, float a, const float *x, float *y);
/* Index of the largest, the lowest index of equals; NaN counts as -inf. n >= 1. */
typedef size_t kern_argmax_fn(size_t n, const float *x);

/* Rotary embedding of one head vector of which the first `rot` elements turn (rot even); c and s hold rot/2 cosines and sines.
 *   norm: pairs (x[2i], x[2i+1])      neox: pairs (x[i], x[i + rot/2]) */
typedef void kern_rope_fn(size_t rot, const float *c, const float *s, float *x);

/* One token through one head of a recurrence (dev/dev.h has the formulas); the state is changed in place.
 *   scan    Mamba-2, state S [hd][ds]:  S[p][n] = decay S[p][n] + dt x[p] b[n];  out[p] = sum over n of S[p][n] c[n] + d x[p]; in F32
 *   delta   gated delta rule, state S [dk][dv]:  S = decay S;  S += k' (beta (v - S^T k'))^T;  out = S^T q', with k' = kn k and q' = qn q; sums
 *           and products in double, S rounded to F32 at the end. */
typedef void kern_scan_fn(size_t hd, size_t ds, float *state, const float *b, const float *c, const float *x, float dt,
                          float decay, float d, float *out);
typedef void kern_delta_fn(size_t dk, size_t dv, float *state, const float *q, double qn, const float *k, double kn,
                           const float *v, double decay, double beta, float *out);

struct kern {
    unsigned flags; /* enum cpu_flag of the rungs in use */
    struct kern_type type[DTYPE_COUNT];
    kern_quant_fn *quant[ACT_COUNT]; /* [ACT_F32] copies */
    kern_qk_fn *qk[KV_COUNT];
    kern_pv_fn *pv[KV_COUNT];
    kern_kv_store_fn *kv_store[KV_COUNT];
    kern_softmax_fn *softmax;
    kern_gate_fn *silu_mul, *gelu_mul, *gelu_tanh_mul;
    kern_rms_fn *rms;
    kern_norm_fn *norm;
    kern_axpy_fn *axpy;
    kern_argmax_fn *argmax;
    kern_rope_fn *rope_norm, *rope_neox;
    kern_scan_fn *scan;
    kern_delta_fn *delta;
    /* For measuring the machine: loops that do nothing else; they give the operations done, or the bytes read (64-byte aligned). */
    double (*peak_f32)(size_t rounds);
    double (*peak_int8)(size_t rounds);
    double (*peak_bf16)(size_t rounds); /* NULL where there are no such products */
    double (*read_bytes)(const void *p, size_t n);
};

/* Fills the table for a processor with these flags (base/cpu.h). */
void kern_init(struct kern *k, unsigned cpu_flags);

/* One initialiser a family and level, called by kern_init in ascending order; each overrides what it has. */
void kern_quant_init_ref(struct kern *k);  /* ref/: all quantised types, quant */
void kern_float_init_ref(struct kern *k);  /* ref/: F32, F16, BF16, attention, norms, gates, rotary */
void kern_quant_init_avx2(struct kern *k);
void kern_float_init_avx2(struct kern *k);
void kern_quant_init_avx512(struct kern *k);
void kern_float_init_avx512(struct kern *k);
void kern_quant_init_dot(struct kern *k);  /* arm: dot product */
void kern_float_init_dot(struct kern *k);
void kern_peak_init_ref(struct kern *k); /* the measuring loops */
void kern_peak_init_avx2(struct kern *k);
void kern_peak_init_avx512(struct kern *k);
void kern_peak_init_avx512bf16(struct kern *k);
void kern_peak_init_dot(struct kern *k);

#endif
