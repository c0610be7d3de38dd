/* SPDX-License-Identifier: Apache-2.0
 *
 * kern/vec/table.h: the bodies of this folder under the contracts of kern/kern.h, and vec_fill,
 * which puts them into the table.
 */
#ifndef KERN_VEC_TABLE_H
#define KERN_VEC_TABLE_H

#include "base/half.h"
#include "kern/vec/attn.h"
#include "kern/vec/dot.h"
#include "kern/vec/row.h"
#include "kern/vec/scan.h"
#include "kern/vec/tile.h"

#define TABLE_PANEL 64 /* rows of a panel; TILE_ROWS divides it */

static size_t table_panel_bytes(size_t k) { return (size_t)TABLE_PANEL * 4 * k; }

static void table_gemm(size_t k, const void *panel, size_t nrow, const void *act, size_t astride,
                       size_t nact, float *out, size_t ostride)
{
    tile_mul(k, panel, nrow, act, astride, nact, out, ostride);
}

/* Scalar products of rows in memory, of weights or of kept keys; and their exact values. */
#define TABLE_DOT(type, kind)                                                                   \
    static void mul_##type(size_t k, const void *w, size_t wstride, size_t nrow,                \
                           const void *act, size_t astride, size_t nact, float *out,            \
                           size_t ostride)                                                      \
    {                                                                                           \
        dot_mul(kind, k, w, wstride, nrow, act, astride, nact, out, ostride);                   \
    }
TABLE_DOT(f32, VEC_F32)
TABLE_DOT(f16, VEC_F16)
TABLE_DOT(bf16, VEC_BF16)
TABLE_DOT(q8_0, VEC_Q8_0) /* keys only: as a weight Q8_0 is multiplied in integers */

#define TABLE_PACK(type, kind)                                                                  \
    static void pack_##type(size_t k, const void *w, size_t wstride, size_t nrow, void *panel)  \
    {                                                                                           \
        tile_pack(kind, k, w, wstride, nrow, panel);                                            \
    }
TABLE_PACK(f32, VEC_F32)
TABLE_PACK(f16, VEC_F16)
TABLE_PACK(q8_0, VEC_Q8_0)

#define TABLE_DEQUANT(type, kind)                                                               \
    static void dequant_##type(size_t k, const void *w, float *out)                             \
    {                                                                                           \
        size_t i = 0;                                                                           \
        for (; i + VN <= k; i += VN) vec_store(out + i, vec_row(kind, w, i));                   \
        if (i < k) vec_store_n(out + i, k - i, vec_row_n(kind, w, i, k - i));                   \
    }
TABLE_DEQUANT(f32, VEC_F32)
TABLE_DEQUANT(f16, VEC_F16)
TABLE_DEQUANT(bf16, VEC_BF16)

#define TABLE_QK(type, kind)                                                                    \
    static void qk_##type(size_t hd, size_t nq, const float *q, size_t qstride, size_t npos,    \
                          const void *k, size_t row_bytes, float *s, size_t sstride,            \
                          void *scratch)                                                        \
    {                                                                                           \
        attn_qk(kind, mul_##type, pack_##type, hd, nq, q, qstride, npos, k, row_bytes, s,       \
                sstride, scratch);                                                              \
    }
TABLE_QK(f32, VEC_F32)
TABLE_QK(f16, VEC_F16)
TABLE_QK(q8_0, VEC_Q8_0)

#define TABLE_PV(type, kind)                                                                    \
    static void pv_##type(size_t hd, size_t nq, const float *p, size_t pstride, size_t npos,    \
                          const void *v, size_t row_bytes, float *o, size_t ostride,            \
                          void *scratch)                                                        \
    {                                                                                           \
        attn_pv(kind, hd, nq, p, pstride, npos, v, row_bytes, o, ostride, scratch);             \
    }
TABLE_PV(f16, VEC_F16)
TABLE_PV(q8_0, VEC_Q8_0)

/* Where mul is as fast for a prompt as a panel would be, there is no panel: F16 and BF16, whose
 * rows are half as long to read. For F32 the batch size from which a panel is faster is the
 * level's to say. */
static void vec_fill(struct kern *k, uint32_t gemm_from)
{
#define TABLE_ENTRY(name) {.act = ACT_F32, .dequant = dequant_##name, .mul = mul_##name}
    k->type[DT_F32] = (struct kern_type)TABLE_ENTRY(f32);
    k->type[DT_F16] = (struct kern_type)TABLE_ENTRY(f16);
    k->type[DT_BF16] = (struct kern_type)TABLE_ENTRY(bf16);
#undef TABLE_ENTRY
    k->type[DT_F32].pack = pack_f32;
    k->type[DT_F32].gemm = table_gemm;
    k->type[DT_F32].panel_rows = TABLE_PANEL;
    k->type[DT_F32].panel_bytes = table_panel_bytes;
    k->type[DT_F32].gemm_from = gemm_from;
    k->qk[KV_F32] = qk_f32;
    k->qk[KV_F16] = qk_f16;
    k->qk[KV_Q8_0] = qk_q8_0;
    k->pv[KV_F32] = attn_pv_f32;
    k->pv[KV_F16] = pv_f16;
    k->pv[KV_Q8_0] = pv_q8_0;
    k->kv_store[KV_F16] = attn_store_f16;
    k->kv_store[KV_Q8_0] = attn_store_q8_0;
    k->softmax = row_softmax;
    k->silu_mul = row_silu_mul;
    k->gelu_mul = row_gelu_mul;
    k->gelu_tanh_mul = row_gelu_tanh_mul;
    k->rms = row_rms;
    k->norm = row_norm;
    k->axpy = row_axpy;
    k->argmax = row_argmax;
    k->rope_norm = row_rope_norm;
    k->rope_neox = row_rope_neox;
    k->scan = row_scan;
    k->delta = row_delta;
}

#endif
