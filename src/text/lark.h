/* SPDX-License-Identifier: Apache-2.0
 *
 * text/lark.h: grammars in Lark's language, as the text that GRAMMAR_PARTS of text/grammar.h reads.
 *
 * Understood: rules and terminals, alternatives, ( ) [ ] ? * + ~n ~n..m {m,n}, strings (with i), ranges "a".."z", /regular expressions/ (with i for letters
 * alone and s), aliases and priorities (which change the tree, not the language), %import common.NAME, %ignore, and llguidance's %json {schema}.
 * A rule that begins with itself becomes a repetition. Templates, %declare, %override, %extend, attributes, special tokens and nested %lark are
 * refused by name, with their line.
 *
 * There is no lexer in between: a text is in the language when its characters can be read by the rules. So two words beside one another
 * may be read where Lark would see one longer word; %ignore is what may stand between terminals, or not. Before and
 * within a value of %json one character of white space may stand in each place where JSON has it.
 */
#ifndef TEXT_LARK_H
#define TEXT_LARK_H

#include "base/buf.h"
#include "base/err.h"

/* Appends to out. LAR_EFORMAT and LAR_EUNSUPPORTED name the line. */
int lark_read(struct str text, struct buf *out, struct lar_err *err);

#endif
