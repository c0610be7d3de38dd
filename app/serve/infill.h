/* SPDX-License-Identifier: Apache-2.0
 *
 * serve/infill.h: what stands between two texts: llama.cpp's /infill, and the `suffix` of OpenAI's and Ollama's completions.
 */
#ifndef SERVE_INFILL_H
#define SERVE_INFILL_H

#include "serve/job.h"

extern const struct dialect infill_dialect;

int infill_read(struct ask *q, int kind, struct str body, struct lar_err *err);
/* Once the model is there: each prompt of an ask with `fill` becomes tokens. LAR_EUNSUPPORTED when the model fills in no middles. */
int infill_prompts(struct job *j, struct lar_err *err);

#endif
