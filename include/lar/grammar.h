/* SPDX-License-Identifier: Apache-2.0
 *
 * lar/grammar.h: what an answer may be: JSON that follows a schema, a text that matches a regular expression, one of several choices.
 *
 * One engine over bytes for all of them. A schema is enforced whole or refused with the path of what cannot be: nothing is
 * dropped in silence; what a schema says that is no demand (titles, unknown keywords and formats) is told in the notes.
 *
 *     struct lar_grammar *g;
 *     if (lar_grammar_open(&g, LAR_GRAMMAR_SCHEMA, text, n, NULL, NULL, &err) < 0) ...
 *     int ok = lar_grammar_check(g, document, document_n, &at, &why);
 *     lar_grammar_close(g);
 */
#ifndef LAR_GRAMMAR_H
#define LAR_GRAMMAR_H

#include <stddef.h>
#include <stdint.h>

#include <lar/err.h>

#ifdef __cplusplus
extern "C" {
#endif

struct lar_grammar;

enum lar_grammar_kind {
    LAR_GRAMMAR_SCHEMA, /* text: a JSON Schema, drafts 4 to 2020-12 */
    LAR_GRAMMAR_JSON,   /* any JSON; text is not read */
    LAR_GRAMMAR_REGEX,  /* text: a regular expression (ECMA-262) that the whole answer matches */
    LAR_GRAMMAR_CHOICES /* text: a JSON array of strings: the answer is one of them */
};

/* Zeroed, every field is the default. */
struct lar_grammar_options {
    int draft; /* 4, 6, 7, 2019 or 2020 for schemas that do not say theirs; 0: 2020 */
    int ignore_format; /* 1: "format" is an annotation, as drafts from 2019-09 on have it; 0: known formats are demands */
    int space; /* the longest run of white space between the parts of JSON; 0: any, negative: none */
    size_t limit; /* bytes of memory; 0: 256 MiB */
};

/* notes, when not NULL, becomes text that the caller frees with lar_free: a line for each part that is an annotation. LAR_EFORMAT and
 * LAR_EUNSUPPORTED name the place. */
LAR_API int lar_grammar_open(struct lar_grammar **out, enum lar_grammar_kind kind, const char *text,
                             size_t n, const struct lar_grammar_options *opt, char **notes,
                             struct lar_err *err);
LAR_API void lar_grammar_close(struct lar_grammar *g);

/* Whether a whole document is accepted: 1, or 0 with *at the byte where it cannot go on (its length when it ends too early) and why; a
 * negative code when the grammar's limit of memory was reached. */
LAR_API int lar_grammar_check(struct lar_grammar *g, const char *text, size_t n, size_t *at,
                              struct lar_err *why);

#ifdef __cplusplus
}
#endif
#endif
