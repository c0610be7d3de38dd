/* SPDX-License-Identifier: Apache-2.0
 *
 * quant/target.h: types for a size that was asked for, by what each tensor loses in each type.
 *
 * A tensor's loss in a type is measured on rows spread over it: the (importance-weighted) squared error against the weighted square, which is how
 * much noise its product gets. The sum over all tensors shall be small and the bytes no more than asked for: every tensor begins with the smallest type,
 * then whichever step up saves most loss a byte is taken, as long as one fits.
 */
#ifndef QUANT_TARGET_H
#define QUANT_TARGET_H

#include "quant/requantise.h"

/* Changes q's plan (plan is the same array) where the mix quantises and no override decides. bytes: of all tensors together. LAR_ELIMIT when not
 * even the smallest types are small enough. */
int target_plan(const struct requantise *q, struct mix_tensor *plan, uint64_t bytes, struct lar_err *err);

#endif
