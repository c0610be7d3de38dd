/* SPDX-License-Identifier: Apache-2.0
 *
 * cli/options.h: what a verb is, and its options as a table. One table serves four readers: the parser
 * of the command line, the chat's /set, the help text and the manual page; so none of them can tell
 * another story than the rest.
 */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include <lar/err.h>

#include "base/buf.h"

enum opt_kind {
    OPT_END,   /* closes a table */
    OPT_HEAD,  /* name is a heading of the help text */
    OPT_GROUP, /* group is another table, whose struct lies at `at` */
    OPT_FLAG,  /* int: value is stored */
    OPT_INT,   /* int, min..max when these differ */
    OPT_I64,   /* int64_t */
    OPT_NUM,   /* float */
    OPT_TEXT,  /* const char * */
    OPT_LIST,  /* struct opt_list: may be given again and again */
    OPT_WORD   /* int: the index among words */
};

#define OPT_LIST_MAX 32
struct opt_list {
    const char *v[OPT_LIST_MAX];
    size_t n;
};

struct opt {
    enum opt_kind kind;
    const char *name; /* without its dashes */
    char letter;      /* 0: none */
    size_t at;        /* offset in the struct of values */
    const char *arg;  /* what its value is called */
    const char *help; /* one sentence or two */
    int value;
    double min, max;
    const char *words; /* separated by spaces */
    const struct opt *group;
    /* Called after a value was stored: looks at it in its struct. */
    int (*check)(void *base, const struct opt *o, struct lar_err *err);
};

struct verb {
    const char *name;
    const char *synopsis;        /* what stands behind the name */
    const char *summary;         /* half a line */
    const char *about;           /* paragraphs; a line that begins with a space is kept as it is */
    void (*more)(struct buf *b); /* lines that follow, kept as they are; may be NULL */
    const struct opt *opts;
    size_t size; /* of the struct of values; it starts as zeros, then init */
    void (*init)(void *values);
    int min_args, max_args;
    int (*run)(const void *values, char **arg, int narg);
};

/* Every verb, in the order of the help text; ends with NULL. */
extern const struct verb *const verbs[];
const struct verb *verb_find(const char *name);
/* The known verb that name is most like, or NULL when none is near. */
const char *verb_nearest(const char *name);

/* Parses argv into values and the other arguments into arg (room for argc). "-" is an argument, "--"
 * ends the options. Gives the number of arguments, OPTIONS_HELP when --help is among the options, or
 * negative. */
enum { OPTIONS_HELP = -100 };
int options_parse(const struct verb *v, int argc, char **argv, void *values, char **arg,
                  struct lar_err *err);
/* Finds an option by its long name, also with '_' for '-'; base becomes the struct its value lives in. */
const struct opt *options_find(const struct opt *table, const char *name, void **base);
/* Stores text as the value of o in base, checked. shown is how the user wrote the name: "--top-k". */
int options_store(const struct opt *o, void *base, const char *shown, const char *text,
                  struct lar_err *err);
/* Of a list of names (ended by NULL) the one nearest to word, or NULL. */
const char *options_nearest(const char *word, const char *const *names);

#endif
