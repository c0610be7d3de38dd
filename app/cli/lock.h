/* SPDX-License-Identifier: Apache-2.0
 *
 * cli/lock.h: the lock file: which models, to the byte, which Lar, and which settings. `lar lock` writes it, `lar run --locked` refuses anything else:
 * the same answers in a year.
 *
 *     {"lar": "0.1.0", "settings": {"temp": "0", "seed": "7"},
 *      "models": [{"name": "clerk:latest", "digest": "sha256:...", "weights": "sha256:...", "size": 5809664, "parameters": {...}}]}
 */
#ifndef CLI_LOCK_H
#define CLI_LOCK_H

#include "cli/run.h"

/* With --locked, after named_open: the model and this program must be those of the file (path NULL: lar.lock), every byte of the model is read and
 * compared, and the file's settings become options. LAR_EINVAL says what differs. */
int lock_apply(struct runner *r, const char *path, const char *arg, struct lar_err *err);

#endif
