/* SPDX-License-Identifier: Apache-2.0
 * text/vocab_added.h: finding added tokens in text. */
#ifndef TEXT_VOCAB_ADDED_H
#define TEXT_VOCAB_ADDED_H

#include "text/vocab_impl.h"

struct added {
    int32_t id;        /* -1: none up to the end of the text */
    size_t begin, end; /* what it takes of the text, white space included that it swallows */
};

/* One pass over a text; zero but for the first five. */
struct added_search {
    const struct vocab *v;
    const struct trie *trie; /* v->added, or v->added_norm */
    struct str s;
    unsigned flags;          /* VOCAB_PARSE_SPECIAL */
    struct str guard;        /* a name behind it is text; n = 0: none */
    size_t at;               /* where the search goes on */
    size_t done;             /* the text is taken up to here */
};

/* The next one. Names are looked for on from the end of the last, also within the white space behind it that it swallowed: as Hugging Face's
 * tokenizers do, so that a token of white space counts twice there; begin is then before done. */
struct added vocab_added_next(struct added_search *a);

#endif
