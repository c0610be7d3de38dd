/* SPDX-License-Identifier: Apache-2.0
 *
 * text/grammar.h: what an answer may be, as a machine over bytes that is built while it is used.
 *
 * A state is a set of items; an item is a place in a value or a key, and the set of items that go on when it ends. Both are
 * interned, so equal situations are one number, whatever led there: a parser's stack (a graph of stacks: alternatives share what they
 * have in common) and a lazily determined automaton at once. From a state every byte leads to one state, and 0 is the state from
 * which nothing leads to a document. No state but 0 is a dead end, as far as the schema's own bounds tell (schema.h).
 *
 * A grammar caches what it finds: use it from one thread at a time. What follows an answer is a state number, which can be copied, kept and
 * returned to; each row of a batch has its own.
 */
#ifndef TEXT_GRAMMAR_H
#define TEXT_GRAMMAR_H

#include "text/schema.h"

struct grammar;

enum grammar_kind {
    GRAMMAR_SCHEMA,
    GRAMMAR_JSON,
    GRAMMAR_REGEX,
    GRAMMAR_CHOICES,
    GRAMMAR_GBNF,
    GRAMMAR_LARK,
    GRAMMAR_PARTS
};
struct grammar_options {
    struct schema_options schema;
    int space; /* white space between the parts of JSON: the longest run, 0 none, negative without limit */
    size_t limit; /* bytes that the machine may take; 0: 256 MiB */
};

/* Builds from text: a schema, nothing (any JSON), a regular expression for the whole answer, a JSON array of strings (choices), GBNF, Lark.
 * PARTS: a JSON object whose "grammar" is the GBNF of text/gbnf.h's gbnf_read_with, with values that are the members of its "schema".
 * Notes as in schema_open. LAR_EUNSUPPORTED and LAR_EFORMAT name the place. */
int grammar_open(struct grammar **out, enum grammar_kind kind, struct str text,
                 const struct grammar_options *opt, struct buf *notes, struct lar_err *err);
void grammar_close(struct grammar *g);
/* Of PARTS: whether anything satisfies the member of that number; or a negative code. */
int grammar_part_lives(struct grammar *g, uint32_t number, struct lar_err *err);

uint32_t grammar_start(
    const struct grammar *g); /* 0: nothing is accepted, as of the schema false */
/* The state after byte b: 0 when no document goes on so, or when the machine failed (grammar_failed tells). */
uint32_t grammar_step(struct grammar *g, uint32_t state, unsigned b);
/* The state after s; *at, when not NULL, becomes the number of bytes that were possible. */
uint32_t grammar_walk(struct grammar *g, uint32_t state, struct str s, size_t *at);
int grammar_accepts(const struct grammar *g, uint32_t state); /* the document may end here */
int grammar_final(const struct grammar *g, uint32_t state); /* it does, and nothing but white space can follow */
int grammar_failed(const struct grammar *g, struct lar_err *err);
/* As schema_left_out and schema_judge; of what is no schema nothing is left out, and its texts are judged by walking. */
void grammar_left_out(const struct grammar *g, struct buf *out);
int grammar_judge(struct grammar *g, struct str text, struct lar_err *why);
size_t grammar_bytes(const struct grammar *g);
size_t grammar_states(const struct grammar *g);
/* Appends a random text that g accepts, found by a walk over bytes or, where m is not NULL, through its masks of the tokens of t; it is brought to its end after about `soft` bytes at most. The same seed gives the same text of the same
 * machine as it was opened. LAR_ELIMIT when none was found. */
struct masks;
struct toktrie;
int grammar_sample(struct grammar *g, struct masks *m, const struct toktrie *t, uint64_t seed, size_t soft,
                   struct buf *out, struct lar_err *err);
/* The bytes that lead from state to others than 0. */
void grammar_bytes_of(struct grammar *g, uint32_t state, struct rx_set *out);

#endif
