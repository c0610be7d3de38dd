/* SPDX-License-Identifier: Apache-2.0
 *
 * kern/ref/float.h: the scalar bodies of the float families, by file. Contracts are in
 * kern/kern.h; only kern_float_init_ref (float.c) puts these into the table.
 */
#ifndef KERN_REF_FLOAT_H
#define KERN_REF_FLOAT_H

#include "kern/kern.h"

/* attn.c */
kern_qk_fn qk_f32_ref, qk_f16_ref, qk_q8_0_ref;
kern_pv_fn pv_f32_ref, pv_f16_ref, pv_q8_0_ref;
kern_kv_store_fn kv_store_f32_ref, kv_store_f16_ref, kv_store_q8_0_ref;

/* gate.c */
kern_softmax_fn softmax_ref;
kern_gate_fn silu_mul_ref, gelu_mul_ref, gelu_tanh_mul_ref;

/* norm.c */
kern_rms_fn rms_ref;
kern_norm_fn norm_ref;
kern_axpy_fn axpy_ref;
kern_argmax_fn argmax_ref;
kern_rope_fn rope_norm_ref, rope_neox_ref;

/* scan.c */
kern_scan_fn scan_ref;
kern_delta_fn delta_ref;

#endif
