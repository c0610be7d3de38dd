/* SPDX-License-Identifier: Apache-2.0
 *
 * text/regex.h: the regular expressions of a tokenizer.json, as Oniguruma (Ruby's syntax, UTF-8) finds them: the first match from the left, of
 * several there the one that a backtracking matcher meets first. For patterns that have no splitter written by hand.
 *
 * Understood: characters, classes with ranges, && and nesting, \s \d \w \h, \p{general category} and \p{Han}, groups, alternatives, * + ? {n,m} greedy
 * and lazy, possessive and atomic ones of a single class, (?i:) over ASCII, ^ $ \A \z \Z \b \B, look-ahead, look-behind by one character. All else,
 * and what could mean something that is not done here, is refused by its name and place.
 *
 * Time is linear in the text whatever the pattern: where a choice was made at a place without success is remembered (a bit or two for each choice and byte, at most 128 bytes a byte).
 */
#ifndef TEXT_REGEX_H
#define TEXT_REGEX_H

#include <stddef.h>

#include "base/err.h"
#include "base/str.h"

struct regex;

/* Compiles; *out is the caller's to close. LAR_EUNSUPPORTED names what is not understood. */
int regex_open(struct regex **out, struct str pattern, struct lar_err *err);
void regex_close(struct regex *re);

/* Looking for matches in one text after the other. One thread each; the regex is only read. */
struct regex_search;
struct regex_search *regex_search_open(const struct regex *re); /* NULL: out of memory */
void regex_search_close(struct regex_search *r);
/* The text for what follows, borrowed; at most INT32_MAX bytes. Bytes that are no UTF-8 are characters of no class. */
int regex_search_text(struct regex_search *r, struct str text);
/* The first match that begins at or after `from`: 1 with its ends, 0 for none, LAR_ENOMEM. `from` may not be less than where the last one began. */
int regex_search_next(struct regex_search *r, size_t from, size_t *begin, size_t *end);

#endif
