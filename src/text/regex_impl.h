/* SPDX-License-Identifier: Apache-2.0
 * text/regex_impl.h: a compiled expression as its parser makes it and its search runs it. */
#ifndef TEXT_REGEX_IMPL_H
#define TEXT_REGEX_IMPL_H

#include "base/mem.h"
#include "text/regex.h"

enum { REGEX_CODE_MAX = 2000, REGEX_SPLITS_MAX = 512, REGEX_DEPTH_MAX = 40 };

enum regex_op {
    RE_SET,        /* one character of the set */
    RE_MAYBE,      /* one or none, for good */
    RE_RUN,        /* as many as there are, for good; a: its number */
    RE_SPLIT,      /* first a, then b; set: its number */
    RE_JUMP,       /* a */
    RE_AHEAD,      /* what follows up to its RE_MATCH matches here; go on at a */
    RE_BEHIND,     /* the character before is of the set */
    RE_BEGIN, RE_END, RE_END_LINE, RE_LINE_BEGIN, RE_LINE_END, RE_WORD, /* \A \z \Z ^ $ \b */
    RE_MATCH
};

struct regex_code {
    uint8_t op, negative;
    uint16_t set;
    uint32_t a, b;
};

/* A set is a tree: lists (next) of parts under ANY and ALL. */
enum regex_part { PART_ANY, PART_ALL, PART_RANGE, PART_GC, PART_SPACE, PART_WORD, PART_HAN, PART_BERT };
struct regex_set {
    uint8_t kind, negative;
    uint32_t a, b, next; /* ANY, ALL: a is the first part; RANGE: from a to b; GC: a holds the categories' bits; WORD: b is set in brackets. 0 ends a list */
};

struct regex {
    struct regex_code *code;
    struct regex_set *part; /* part[0] is nothing */
    uint64_t (*ascii)[2];   /* of each part that a code names: which ASCII characters are in it */
    uint32_t ncode, npart, nsplit, nrun;
    int looks; /* there are choices within look-ahead */
    struct arena a;
};

int regex_has(const struct regex *re, uint32_t part, uint32_t cp);

#endif
