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
#include "kern/vec/tile.h"

#define TABLE_PANEL 64 /* rows of a panel; TILE_ROWS divides it */

static size_t table_panel_bytes(size_t k) { return (size_t)TABLE_PANEL * 4 * k; }

static void table_gemm(size_t k, const void *panel, size_t nrow, const void *act, size_t astride,
                       size_t nact, float *out, size_t ostride)
{
    tile_mul(k, panel, k * TILE_ROWS, TILE_ROWS, nrow, act, astride, nact, out, ostride, 0);
}

/* Rows in memory, of weights or of kept keys: their scalar products and their panel. */
#define TABLE_ROWS(type, kind)                                                                  \
    static void mul_##type(size_t k, const void *w, size_t wstride, size_t nrow,                \
                           const void *act, size_t astride, size_t nact, float *out,            \
                           size_t ostride)                                                      \
    {                                                                                           \
        dot_mul(kind, k, w, wstride, nrow, act, astride, nact, out, ostride);                   \
    }                                                                                           \
    static void pack_##type(size_t k, const void *w, size_t wstride, size_t nrow, void *panel)  \
    {                                                                                           \
        tile_pack(kind, k, w, wstride, nrow, panel);                                            \
    }
TABLE_ROWS(f32, VEC_F32)
TABLE_ROWS(f16, VEC_F16)
TABLE_ROWS(bf16, VEC_BF16)
TABLE_ROWS(q8_0, VEC_Q8_0) /* keys only: as a weight Q8_0 is multiplied in integers */

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

#define TABLE_KV(type, kind)                                                                    \
    static void qk_##type(size_t hd, size_t nq, const float *q, size_t qstride, size_t npos,    \
                          const void *k, size_t row_bytes, float *s, size_t sstride,            \
                          void *scratch)                                                        \
    {                                                                                           \
        attn_qk(mul_##type, pack_##type, hd, nq, q, qstride, npos, k, row_bytes, s, sstride,    \
                scratch);                                                                       \
    }                                                                                           \
    static void pv_##type(size_t hd, size_t nq, const float *p, size_t pstride, size_t npos,    \
                          const void *v, size_t row_bytes, float *o, size_t ostride,            \
                          void *scratch)                                                        \
    {                                                                                           \
        attn_pv(kind, hd, nq, p, pstride, npos, v, row_bytes, o, ostride, scratch);             \
    }
TABLE_KV(f32, VEC_F32)
TABLE_KV(f16, VEC_F16)
TABLE_KV(q8_0, VEC_Q8_0)

static void vec_fill(struct kern *k, uint32_t gemm_from)
{
#define TABLE_ENTRY(dt, name)                                                       \
    k->type[dt] = (struct kern_type){.act = ACT_F32,                                \
                                     .dequant = dequant_##name,                     \
                                     .mul = mul_##name,                             \
                                     .pack = pack_##name,                           \
                                     .gemm = table_gemm,                            \
                                     .panel_rows = TABLE_PANEL,                     \
                                     .panel_bytes = table_panel_bytes,              \
                                     .gemm_from = gemm_from}
    TABLE_ENTRY(DT_F32, f32);
    TABLE_ENTRY(DT_F16, f16);
    TABLE_ENTRY(DT_BF16, bf16);
#undef TABLE_ENTRY
    k->qk[KV_F32] = qk_f32;
    k->qk[KV_F16] = qk_f16;
    k->qk[KV_Q8_0] = qk_q8_0;
    k->pv[KV_F32] = pv_f32;
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
}

#endif
