/* SPDX-License-Identifier: Apache-2.0
 * api/tools.h: what the writer of an answer knows of tools. */
#ifndef API_TOOLS_H
#define API_TOOLS_H

#include <lar/tools.h>

#include "api/api.h"

/* Finds the model's form of calls and its marks that are control tokens. */
int api_tools_init(struct lar_model *m, struct lar_err *err);
/* Whether a control token is a mark of calls, to be shown in the text: it stands in grammars as the byte ff and its name. */
int api_is_call_mark(const struct lar_model *m, int32_t id);
struct lar_grammar *api_tools_grammar(const struct lar_tools *t);

#endif
