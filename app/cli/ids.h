/* SPDX-License-Identifier: Apache-2.0
 * cli/ids.h: lists of numbers as people write them, and texts as lists of tokens. */
#ifndef CLI_IDS_H
#define CLI_IDS_H

#include <lar/lar.h>

#include "base/str.h"

struct ids {
    int32_t *v;
    size_t n, cap;
};
void ids_done(struct ids *t);
/* Room for cap numbers (what is there is kept). */
int ids_room(struct ids *t, size_t cap, struct lar_err *err);
/* "1,2,3", "1 2 3", one a line, or a JSON array "[1, 2, 3]"; whole numbers from 0. Replaces what is there. */
int ids_parse(struct ids *t, struct str text, struct lar_err *err);
/* Tokens of text. Replaces what is there. */
int ids_tokenize(struct ids *t, const struct lar_model *m, struct str text, unsigned flags,
                 struct lar_err *err);
/* LAR_EINVAL naming the first one that is no token of the model. */
int ids_check(const struct ids *t, const struct lar_model *m, struct lar_err *err);

#endif
