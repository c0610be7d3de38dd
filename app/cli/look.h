/* SPDX-License-Identifier: Apache-2.0
 * cli/look.h: finding things by key in an opened file. */
#ifndef CLI_LOOK_H
#define CLI_LOOK_H

#include <lar/lar.h>

#include "base/str.h"

/* Index of a key, or -1. */
long look_key(const struct lar_file *f, const char *key, struct lar_meta *meta);
/* The string value of a key: 1 when there is one. */
int look_str(const struct lar_file *f, const char *key, struct str *out);
/* The piece of the token whose id stands under key: 1 when both are there. */
int look_token(const struct lar_file *f, const char *key, struct str *out);

#endif
