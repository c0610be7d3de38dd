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

#include <lar/lar.h>

#ifdef __cplusplus
extern "C" {
#endif

enum lar_grammar_kind {
    LAR_GRAMMAR_SCHEMA, /* text: a JSON Schema, drafts 4 to 2020-12 */
    LAR_GRAMMAR_JSON,   /* any JSON; text is not read */
    LAR_GRAMMAR_REGEX,  /* text: a regular expression (ECMA-262) that the whole answer matches */
    LAR_GRAMMAR_CHOICES, /* text: a JSON array of strings: the answer is one of them */
    LAR_GRAMMAR_GBNF,   /* text: a grammar in llama.cpp's form; left recursion is refused */
    LAR_GRAMMAR_LARK    /* text: a grammar in Lark's language, with llguidance's %json {...}; src/text/lark.h says how much of it */
};

/* Zeroed, every field is the default. */
struct lar_grammar_options {
    int draft; /* 4, 6, 7, 2019 or 2020 for schemas that do not say theirs; 0: 2020 */
    int ignore_format; /* 1: "format" is an annotation, as drafts from 2019-09 on have it; 0: known formats are demands */
    int space; /* the longest run of white space between the parts of JSON; 0: any, negative: none */
    size_t limit; /* bytes of memory; 0: 256 MiB */
    int partial;  /* 1: of a schema what cannot be enforced is left out and listed (lar_grammar_left_out), not refused */
};

/* notes, when not NULL, becomes text that the caller frees with lar_free: a line for each part that is an annotation. LAR_EFORMAT and
 * LAR_EUNSUPPORTED name the place. */
LAR_API int lar_grammar_open(struct lar_grammar **out, enum lar_grammar_kind kind, const char *text,
                             size_t n, const struct lar_grammar_options *opt, char **notes,
                             struct lar_err *err);
LAR_API void lar_grammar_close(struct lar_grammar *g);
/* What it takes now, masks included: it grows while it is used. SIZE_MAX: its limit of memory was reached, and it is of no use any more. */
LAR_API size_t lar_grammar_bytes(struct lar_grammar *g);

/* Whether a whole document is accepted: 1, or 0 with *at the byte where it cannot go on (its length when it ends too early) and why; a
 * negative code when the grammar's limit of memory was reached. */
LAR_API int lar_grammar_check(struct lar_grammar *g, const char *text, size_t n, size_t *at,
                              struct lar_err *why);

/* What a partial schema leaves out: a line with path and reason for each keyword, freed with lar_free; "" when all is enforced. Answers then
 * follow the rest of it, and lar_grammar_judge tells of a whole one whether it is valid by all of it: 1, or 0 with why; LAR_EUNSUPPORTED with why when
 * that cannot be decided either (a $ref that leads elsewhere). The judge works by itself, keyword by keyword, and takes any schema. */
LAR_API int lar_grammar_left_out(struct lar_grammar *g, char **text, struct lar_err *err);
LAR_API int lar_grammar_judge(struct lar_grammar *g, const char *text, size_t n, struct lar_err *why);

/* A random text that the grammar accepts, made without any model and closed with NUL; the caller frees it with lar_free. soft: bytes after
 * which it is brought to its end, 0: 200. Texts of JSON are one line. Of a grammar that is bound to a model (below) the walk goes from token to
 * token, each out of the mask of its place. LAR_ELIMIT when none was found, or there is none. */
LAR_API int lar_grammar_sample(struct lar_grammar *g, uint64_t seed, size_t soft, char **text, size_t *n,
                               struct lar_err *err);

/* ---- tokens ------------------------------------------------------------------------------------------------------ */

/* For lar_request.grammar of lar/lar.h nothing of this is needed; it is for those who draw tokens themselves. A place is where a text has got to: a
 * number that can be copied and kept, one for each row of a batch; all share what the grammar finds out. Calls for one grammar wait for
 * one another. */

/* Makes the grammar one over the tokens of m, which lives on until the grammar is closed. A grammar can be bound to one model only; again to the same
 * one does nothing. */
LAR_API int lar_grammar_bind(struct lar_grammar *g, struct lar_model *m, struct lar_err *err);
LAR_API uint32_t lar_grammar_start(const struct lar_grammar *g); /* 0: no text is accepted */
/* The set of tokens that may come at place, those that end an answer included where it may end: bit t & 63 of word t / 64; set has room
 * for all tokens of the model. */
LAR_API int lar_grammar_mask(struct lar_grammar *g, uint32_t place, uint64_t *set, struct lar_err *err);
/* The place after a token, 0 when it may not come there (or ends the answer). */
LAR_API uint32_t lar_grammar_next(struct lar_grammar *g, uint32_t place, int32_t token);
LAR_API int lar_grammar_ends(struct lar_grammar *g, uint32_t place); /* the text may end here */

#ifdef __cplusplus
}
#endif
#endif
