/* SPDX-License-Identifier: Apache-2.0
 *
 * store/modelfile.h: Modelfiles: how a model is made from another. The language is Ollama's (ollama/ollama, parser/parser.go,
 * docs/modelfile.mdx): lines of FROM, PARAMETER, TEMPLATE, SYSTEM, ADAPTER, LICENSE, MESSAGE, REQUIRES, RENDERER, PARSER and DRAFT, words in
 * any case; a value goes to the end of its line, or in quotes (" or triple) over several; a line that begins with # is a comment.
 */
#ifndef STORE_MODELFILE_H
#define STORE_MODELFILE_H

#include "base/buf.h"
#include "base/json.h"
#include "base/mem.h"

enum modelfile_what {
    MODELFILE_FROM,
    MODELFILE_PARAMETER,
    MODELFILE_TEMPLATE,
    MODELFILE_SYSTEM,
    MODELFILE_ADAPTER,
    MODELFILE_LICENSE,
    MODELFILE_MESSAGE,
    MODELFILE_REQUIRES,
    MODELFILE_RENDERER,
    MODELFILE_PARSER,
    MODELFILE_DRAFT
};
enum { MODELFILE_BYTES_MAX = 16 << 20, MODELFILE_COMMANDS_MAX = 4096 };

struct modelfile_command {
    enum modelfile_what what;
    struct str name; /* of a PARAMETER, in small letters; of a MESSAGE its role */
    struct str value;
    int line;
};

struct modelfile {
    struct arena a;
    struct modelfile_command *command;
    size_t n, cap;
};

/* A zeroed struct is an empty one; strings are copied. */
int modelfile_add(struct modelfile *m, enum modelfile_what what, struct str name, struct str value,
                  struct lar_err *err);
/* Adds what text says. Errors name the line. PARAMETERs are checked: name, kind, range of their number. */
int modelfile_parse(struct modelfile *m, struct str text, struct lar_err *err);
void modelfile_done(struct modelfile *m);
/* Writes one command as a line that parses to the same. */
void modelfile_write(struct buf *b, enum modelfile_what what, struct str name, struct str value);

/* ---- parameters ------------------------------------------------------------------------------------------------------ */

enum param_kind { PARAM_INT, PARAM_NUM, PARAM_BOOL, PARAM_TEXTS };
struct param {
    const char *name;
    enum param_kind kind;
    int idle; /* known to Ollama, without an effect here: how a program uses its machine, or retired */
};
/* NULL: there is none of that name. */
const struct param *param_find(struct str name);
/* Checks a value of p and appends it as JSON. */
int param_json(const struct param *p, struct str value, struct buf *b, struct lar_err *err);

#endif
