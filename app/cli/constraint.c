/* SPDX-License-Identifier: Apache-2.0
 * cli/constraint.c: --schema, --regex, --choices, --grammar and --json-answer: at most one of them. */
#include "cli/constraint.h"

#include <stddef.h>

#include "base/err.h"
#include "cli/in.h"
#include "cli/out.h"

void constraint_notes(const char *notes)
{
    while (notes && *notes) {
        const char *end = strchr(notes, '\n');
        int n = end ? (int)(end - notes) : (int)strlen(notes);
        say("note: %.*s", n, notes);
        notes += n + (end != NULL);
    }
}

static char *left_out(struct lar_grammar *g)
{
    char *left = NULL;
    if (!g || lar_grammar_left_out(g, &left, NULL) < 0) return NULL;
    if (*left) return left;
    lar_free(left);
    return NULL;
}

void constraint_left(struct lar_grammar *g)
{
    char *left = left_out(g);
    for (char *at = left, *end; at && (end = strchr(at, '\n')); at = end + 1)
        say("not enforced: %.*s", (int)(end - at), at);
    lar_free(left);
}

int constraint_judge(struct lar_grammar *g, const char *text, size_t n)
{
    struct lar_err why = {0};
    char *left = left_out(g);
    if (!left) return 0;
    lar_free(left);
    int rc = lar_grammar_judge(g, text, n, &why);
    if (rc > 0)
        say("the answer is valid by the whole schema");
    else
        say("the answer is %svalid by the whole schema: %s", rc == 0 ? "not " : "perhaps ", why.msg);
    return rc <= 0;
}

/* "yes,no" as the JSON array that choices are. */
static void list(const char *text, struct buf *out)
{
    buf_putc(out, '[');
    for (const char *at = text, *end; at; at = end ? end + 1 : NULL) {
        end = strchr(at, ',');
        if (at != text) buf_putc(out, ',');
        buf_json_str(out, end ? (struct str){at, (size_t)(end - at)} : str_of(at));
    }
    buf_putc(out, ']');
}

enum lar_grammar_kind constraint_language(const char *text, size_t n)
{
    char in = 0; /* the quote or bracket that we are in, or # */
    for (size_t i = 0; i < n; i++) {
        char c = text[i];
        if (in == '#')
            in = c == '\n' ? 0 : in;
        else if (c == '\\')
            i++;
        else if (in)
            in = c == in || c == '\n' ? 0 : in;
        else if (c == '"' || c == '#' || c == '[')
            in = c == '[' ? ']' : c;
        else if (c == ':' && n - i > 2 && text[i + 1] == ':' && text[i + 2] == '=')
            return LAR_GRAMMAR_GBNF;
    }
    return LAR_GRAMMAR_LARK;
}

int constraint_open(const struct constraint_given *c, struct lar_grammar **out, struct lar_err *err)
{
    struct lar_grammar_options opt = {.space = c->compact ? -1 : 0, .partial = c->partial};
    enum lar_grammar_kind kind = LAR_GRAMMAR_JSON;
    struct buf text = {0};
    char *notes = NULL;
    const char *out_of_file = NULL; /* where the text was read */
    int e = 0, n = (c->schema != NULL) + (c->regex != NULL) + (c->choices != NULL) + (c->grammar != NULL) +
                   (c->lark != NULL) + c->json;
    *out = NULL;
    if (n == 0) {
        if (c->compact) return lar_fail(err, LAR_EINVAL, "--compact: only with --schema or --json-answer");
        if (c->partial) return lar_fail(err, LAR_EINVAL, "--partial: only with --schema");
        return 0;
    }
    if (n > 1)
        return lar_fail(err, LAR_EINVAL,
                        "--schema, --regex, --choices, --grammar, --lark and --json-answer exclude one another: "
                        "give one");
    if (c->partial && !c->schema) return lar_fail(err, LAR_EINVAL, "--partial: only with --schema");
    if (c->schema) {
        kind = LAR_GRAMMAR_SCHEMA;
        e = in_all(c->schema, &text, err);
    } else if (c->grammar) {
        e = in_all(c->grammar, &text, err);
        kind = constraint_language(buf_z(&text), text.n);
    } else if (c->lark) {
        kind = LAR_GRAMMAR_LARK;
        e = in_all(c->lark, &text, err);
    } else if (c->regex) {
        kind = LAR_GRAMMAR_REGEX;
        buf_puts(&text, c->regex);
    } else if (c->choices) {
        size_t n_text = strlen(c->choices);
        if (!n_text || c->choices[0] == ',' || c->choices[n_text - 1] == ',' || strstr(c->choices, ",,"))
            return lar_fail(err, LAR_EINVAL, "--choices '%s': one of them is empty; give A,B,...", c->choices);
        kind = LAR_GRAMMAR_CHOICES;
        list(c->choices, &text);
    }
    if (e == 0 && kind != LAR_GRAMMAR_JSON) out_of_file = c->schema ? c->schema : c->grammar ? c->grammar : c->lark;
    if (e == 0) e = lar_grammar_open(out, kind, buf_z(&text), text.n, &opt, &notes, err);
    if (e < 0 && out_of_file) in_blame(out_of_file, e, err);
    constraint_notes(notes);
    if (e == 0) constraint_left(*out);
    lar_free(notes);
    buf_done(&text);
    return e;
}

#define AT(field) offsetof(struct constraint_given, field)
/* clang-format off */
const struct opt constraint_options[] = {
    {.kind = OPT_TEXT, .name = "schema", .at = AT(schema), .arg = "FILE",
     .help = "The answer is JSON that follows this JSON Schema (drafts 4 to 2020-12). What cannot be enforced "
         "is refused."},
    {.kind = OPT_FLAG, .name = "partial", .at = AT(partial), .value = 1,
     .help = "With --schema: what cannot be enforced is left out and listed, and the answer is checked at its end; "
         "exit code 1 unless it is valid by all of the schema."},
    {.kind = OPT_FLAG, .name = "json-answer", .at = AT(json), .value = 1, .help = "The answer is JSON, of any shape."},
    {.kind = OPT_TEXT, .name = "regex", .at = AT(regex), .arg = "RE",
     .help = "The whole answer matches this regular expression (ECMA-262)."},
    {.kind = OPT_TEXT, .name = "choices", .at = AT(choices), .arg = "A,B,...", .help = "The answer is one of "
        "these texts."},
    {.kind = OPT_TEXT, .name = "grammar", .at = AT(grammar), .arg = "FILE",
     .help = "The answer follows this grammar, in GBNF as llama.cpp has it, or in Lark's language (told apart by "
         "::=)."},
    {.kind = OPT_TEXT, .name = "lark", .at = AT(lark), .arg = "FILE",
     .help = "The answer follows this grammar in Lark's language, with llguidance's %json {...}."},
    {.kind = OPT_FLAG, .name = "compact", .at = AT(compact), .value = 1, .help = "JSON without white space "
        "between its parts."},
    {.kind = OPT_END},
};
/* clang-format on */
