/* SPDX-License-Identifier: Apache-2.0
 * cli/idlist.h: lists of numbers as people write them, and texts as lists of tokens. */
#ifndef CLI_IDLIST_H
#define CLI_IDLIST_H

#include <lar/lar.h>

#include "base/str.h"

struct idlist {
    int32_t *v;
    size_t n, cap;
};
void idlist_done(struct idlist *t);
/* Room for cap numbers (what is there is kept). */
int idlist_room(struct idlist *t, size_t cap, struct lar_err *err);
/* "1,2,3", "1 2 3", one a line, or a JSON array "[1, 2, 3]"; whole numbers from 0. Replaces what is there. */
int idlist_parse(struct idlist *t, struct str text, struct lar_err *err);
/* Tokens of text. Replaces what is there. */
int idlist_tokenize(struct idlist *t, const struct lar_model *m, struct str text, unsigned flags,
                    struct lar_err *err);
/* LAR_EINVAL naming the first one that is no token of the model. */
int idlist_check(const struct idlist *t, const struct lar_model *m, struct lar_err *err);

#endif
