/* SPDX-License-Identifier: Apache-2.0
 *
 * lar/plan.h: does it fit? The memory that a model takes, before it is loaded. What lar/lar.h says of errors and options holds here too. */
#ifndef LAR_PLAN_H
#define LAR_PLAN_H

#include <lar/lar.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What a session takes of memory, its model's weights included, and whether that can be had. */
struct lar_plan {
    int ctx;                                     /* tokens that were planned for */
    uint64_t weight_bytes, kv_bytes, work_bytes; /* mapped; keys and values; work space */
    uint64_t total;                              /* of the three */
    uint64_t available;                          /* what the kernel says and control groups leave; 0: not known */
    int fits;
    int ctx_fits;      /* the longest context up to ctx that fits; 0: none */
    int ctx_fits_q8_0; /* the same with keys and values kept as LAR_KV_Q8_0 */
};
/* most: bytes that shall be taken for available, 0: those that are. Nothing is loaded. */
LAR_API int lar_plan(const struct lar_model *m, const struct lar_session_options *opt, uint64_t most,
                     struct lar_plan *out, struct lar_err *err);
/* 0 when p fits, else LAR_ENOMEM with the bytes and what would fit: a shorter context, smaller keys and values, or, of the file at path
 * (NULL: not looked at), the largest quantisation. */
LAR_API int lar_plan_check(const struct lar_plan *p, const char *path, struct lar_err *err);

/* Measures once, for some 30 ms, which of several ways of multiplying is the faster on this machine, keeps that in `folder` (which exists) and reads it
 * there the next time. Models that are opened afterwards go by it; their results may differ from others' by the order of float additions. Where nothing can
 * be kept (LAR_EIO) nothing is measured, and all stays as it is without this call. */
LAR_API int lar_machine_choice(const char *folder, struct lar_err *err);

#ifdef __cplusplus
}
#endif
#endif
