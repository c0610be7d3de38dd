/* SPDX-License-Identifier: Apache-2.0
 * text/vocab_added.h: finding added tokens in text. */
#ifndef TEXT_VOCAB_ADDED_H
#define TEXT_VOCAB_ADDED_H

#include "text/vocab_impl.h"

struct added {
    int32_t id;        /* -1: none up to the end of the text */
    size_t begin, end; /* what it takes of the text, white space included that it swallows */
};

/* The next added token of s at or after byte `from`. flags: VOCAB_PARSE_SPECIAL. */
struct added vocab_added_next(const struct vocab *v, struct str s, size_t from, unsigned flags);

#endif
