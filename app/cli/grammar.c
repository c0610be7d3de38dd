/* SPDX-License-Identifier: Apache-2.0
 *
 * cli/grammar.c: `lar grammar`: what a schema or another grammar accepts, without any model. Its lines are a promise (DESIGN: one JSON
 * object for each document); notes and refusals go to stderr. */
#include <lar/grammar.h>
#include <lar/lar.h>

#include "base/err.h"
#include "cli/in.h"
#include "cli/out.h"
#include "cli/verbs.h"

struct values {
    int kind, draft;
    int ignore_format, quiet, compact;
};

static int check_one(struct lar_grammar *g, const char *path)
{
    struct buf text = {0};
    struct lar_err err;
    size_t at = 0;
    int e = in_all(path, &text, &err);
    if (e == 0 && (e = lar_grammar_check(g, buf_z(&text), text.n, &at, &err)) >= 0) {
        buf_puts(out(), "{\"file\":");
        buf_json_str(out(), str_of(path));
        buf_printf(out(), ",\"accepted\":%s", e ? "true" : "false");
        if (!e) {
            buf_printf(out(), ",\"at\":%zu,\"why\":", at);
            buf_json_str(out(), str_of(err.msg));
        }
        buf_puts(out(), "}\n");
        out_spill();
    }
    buf_done(&text);
    return e < 0 ? say_err(&err) : EXIT_DONE;
}

static void say_notes(char *notes)
{
    for (char *line = notes, *end; line && *line; line = end + 1) {
        if (!(end = strchr(line, '\n'))) break;
        *end = 0;
        say("note: %s", line);
    }
}

static int check(const struct values *v, char **arg, int narg)
{
    static const int drafts[] = {0, 4, 6, 7, 2019, 2020};
    struct lar_grammar_options opt = {
        .draft = drafts[v->draft], .ignore_format = v->ignore_format, .space = v->compact ? -1 : 0};
    struct buf text = {0};
    struct lar_grammar *g = NULL;
    struct lar_err err;
    char *notes = NULL;
    int code = EXIT_DONE, e = in_all(arg[1], &text, &err);
    if (e == 0)
        e = lar_grammar_open(&g, (enum lar_grammar_kind)v->kind, buf_z(&text), text.n, &opt,
                             v->quiet ? NULL : &notes, &err);
    if (e < 0) {
        code = say_err(&err);
        if (e == LAR_EUNSUPPORTED || e == LAR_EFORMAT || e == LAR_ELIMIT) code = EXIT_MISUSE;
    }
    say_notes(notes);
    for (int i = 2; i < narg && code == EXIT_DONE; i++) code = check_one(g, arg[i]);
    lar_free(notes);
    lar_grammar_close(g);
    buf_done(&text);
    return out_done(code);
}

static int run(const void *values, char **arg, int narg)
{
    if (!strcmp(arg[0], "check")) {
        if (narg >= 2) return check(values, arg, narg);
        say("grammar check: which schema? (lar help grammar)");
        return EXIT_MISUSE;
    }
    say("grammar: \"%s\" is nothing it does; check is (lar help grammar)", arg[0]);
    return EXIT_MISUSE;
}

/* clang-format off */
static const struct opt options[] = {
    {.kind = OPT_WORD, .name = "as", .at = offsetof(struct values, kind), .arg = "KIND",
     .words = "schema json regex choices",
     .help = "What SCHEMA is: a JSON Schema (the default), json: not read, any JSON is accepted, a regular"
             " expression for the whole text, or choices: a JSON array of strings."},
    {.kind = OPT_WORD, .name = "draft", .at = offsetof(struct values, draft), .arg = "DRAFT", .words = ""
        "auto 4 6 7 2019 2020",
     .help = "The draft of schemas without $schema (auto: 2020-12)."},
    {.kind = OPT_FLAG, .name = "ignore-format", .at = offsetof(struct values, ignore_format), .value = 1,
     .help = "\"format\" demands nothing, as the drafts from 2019-09 on have it by default."},
    {.kind = OPT_FLAG, .name = "compact", .at = offsetof(struct values, compact), .value = 1,
     .help = "No white space between the parts of JSON."},
    {.kind = OPT_FLAG, .name = "quiet", .letter = 'q', .at = offsetof(struct values, quiet), .value = 1,
     .help = "No notes about annotations and unknown keywords."},
    {.kind = OPT_END},
};

const struct verb verb_grammar = {
    .name = "grammar",
    .synopsis = "check SCHEMA [INSTANCE ...]",
    .summary = "what a JSON schema or a grammar accepts",
    .about = "Reads SCHEMA (- is standard input) as the constraint that decoding would follow, and writes "
             "for each INSTANCE one line of JSON: {\"file\",\"accepted\":true}, or false with the byte at "
             "which it cannot go on and why. Exit code 0 when the schema is supported, whatever the "
             "instances are; 2 when it is refused: the line on standard error begins with the path of the "
             "keyword.",
    .opts = options,
    .size = sizeof(struct values),
    .min_args = 1,
    .max_args = 100000,
    .run = run,
};
/* clang-format on */
