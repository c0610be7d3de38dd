/* SPDX-License-Identifier: Apache-2.0
 *
 * cli/help.c: `lar help`, and doc/lar.1. Both walk the same tables; a test compares the committed page with
 * what this prints, so neither can fall behind. */
#include "cli/help.h"

#include <stdlib.h>

#include <lar/lar.h>

#include "base/err.h"
#include "cli/out.h"

enum { COLUMNS = 80, OPTION_INDENT = 4, HELP_INDENT = 26 };

static const char intro[] =
    "Lar runs language models on this machine. MODEL is a .gguf file (of a split one, its first part), "
    "a Hugging Face folder, or a name: [host/][namespace/]model[:tag].";

/* Words of text in lines of at most COLUMNS, every line but the first indented; at is the column so far. */
static void wrap(struct buf *b, const char *text, size_t n, int indent, int at)
{
    while (n) {
        size_t k = 0;
        while (k < n && text[k] != ' ') k++;
        if (at > indent && at + (int)k + 1 > COLUMNS) {
            buf_printf(b, "\n%*s", indent, "");
            at = indent;
        } else if (at > indent) {
            buf_putc(b, ' ');
            at++;
        }
        buf_add(b, text, k);
        at += (int)k;
        while (k < n && text[k] == ' ') k++;
        text += k;
        n -= k;
    }
    buf_putc(b, '\n');
}

/* ---- for the terminal ---------------------------------------------------------------------------------------- */

static void paragraphs(struct buf *b, const char *text)
{
    while (*text) {
        size_t n = strcspn(text, "\n");
        if (n && *text != ' ') {
            wrap(b, text, n, 0, 0);
        } else {
            buf_add(b, text, n);
            buf_putc(b, '\n');
        }
        text += n + (text[n] == '\n');
    }
}

static void option_name(struct buf *b, const struct opt *o)
{
    if (o->letter) buf_printf(b, "-%c, ", o->letter);
    buf_printf(b, "--%s", o->name);
    if (o->arg) buf_printf(b, " %s", o->arg);
}

static void option_help(struct buf *b, const struct opt *o)
{
    for (; o->kind != OPT_END; o++) {
        if (o->kind == OPT_GROUP) {
            option_help(b, o->group);
        } else if (o->kind == OPT_HEAD) {
            buf_printf(b, "\n%s:\n", o->name);
        } else {
            size_t start = b->n;
            buf_printf(b, "%*s", OPTION_INDENT, "");
            option_name(b, o);
            int at = (int)(b->n - start);
            if (at + 2 > HELP_INDENT)
                buf_printf(b, "\n%*s", HELP_INDENT, "");
            else
                buf_printf(b, "%*s", HELP_INDENT - at, "");
            wrap(b, o->help, strlen(o->help), HELP_INDENT, HELP_INDENT);
        }
    }
}

void help_verb(struct buf *b, const struct verb *v)
{
    buf_printf(b, "lar %s %s\n\n", v->name, v->synopsis);
    paragraphs(b, v->about);
    if (v->more) {
        buf_putc(b, '\n');
        v->more(b);
    }
    if (v->opts->kind != OPT_END && v->opts->kind != OPT_HEAD) buf_puts(b, "\nOptions:\n");
    option_help(b, v->opts);
}

void help_overview(struct buf *b)
{
    paragraphs(b, intro);
    buf_puts(b, "\n");
    for (int i = 0; verbs[i]; i++) {
        size_t start = b->n;
        buf_printf(b, "  lar %s %s", verbs[i]->name, verbs[i]->synopsis);
        int at = (int)(b->n - start);
        if (at + 2 > 40)
            buf_printf(b, "\n%*s", 40, "");
        else
            buf_printf(b, "%*s", 40 - at, "");
        wrap(b, verbs[i]->summary, strlen(verbs[i]->summary), 40, 40);
    }
    buf_puts(b, "\nlar help VERB tells all about one of them.\n");
}

/* ---- the manual page ------------------------------------------------------------------------------------------- */

/* man(7) reads a backslash, a hyphen and a dot or quote that opens a line in ways of its own. */
static void roff(struct buf *b, const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        int opens = i == 0 ? b->n == 0 || b->p[b->n - 1] == '\n' : s[i - 1] == '\n';
        if (opens && (s[i] == '.' || s[i] == '\'')) buf_puts(b, "\\&");
        if (s[i] == '\\')
            buf_puts(b, "\\e");
        else if (s[i] == '-')
            buf_puts(b, "\\-");
        else
            buf_putc(b, s[i]);
    }
}

static void roff_z(struct buf *b, const char *z) { roff(b, z, strlen(z)); }

static void man_paragraphs(struct buf *b, const char *text)
{
    int kept = 0; /* inside lines that are kept as they are */
    while (*text) {
        size_t n = strcspn(text, "\n");
        int keep = *text == ' ';
        if (keep != kept) buf_puts(b, keep ? ".PP\n.nf\n" : ".fi\n");
        kept = keep;
        if (n == 0) buf_puts(b, ".PP\n");
        roff(b, text, n);
        if (n) buf_putc(b, '\n');
        text += n + (text[n] == '\n');
    }
    if (kept) buf_puts(b, ".fi\n");
}

static void man_more(struct buf *b, const struct verb *v)
{
    struct buf lines = {0};
    if (!v->more) return;
    v->more(&lines);
    buf_puts(b, ".PP\n.nf\n");
    roff(b, buf_z(&lines), lines.n);
    buf_puts(b, ".fi\n");
    buf_done(&lines);
}

static void man_options(struct buf *b, const struct opt *o)
{
    for (; o->kind != OPT_END; o++) {
        if (o->kind == OPT_GROUP) {
            man_options(b, o->group);
        } else if (o->kind == OPT_HEAD) {
            buf_printf(b, ".PP\n%s:\n", o->name);
        } else {
            buf_puts(b, ".TP\n\\fB");
            if (o->letter) buf_printf(b, "\\-%c\\fR, \\fB", o->letter);
            buf_puts(b, "\\-\\-");
            roff_z(b, o->name);
            buf_puts(b, "\\fR");
            if (o->arg) buf_printf(b, " \\fI%s\\fR", o->arg);
            buf_putc(b, '\n');
            roff_z(b, o->help);
            buf_putc(b, '\n');
        }
    }
}

static const char man_rest[] =
    ".SH EXIT STATUS\n"
    ".TP\n0\nDone.\n"
    ".TP\n1\nFailed: a file that is not there, no memory, an output that takes nothing more.\n"
    ".TP\n2\nMisuse, or input that was refused.\n"
    ".TP\n130, 143, 129\nEnded by SIGINT (Ctrl\\-C), SIGTERM or SIGHUP, as a shell counts it: the signal itself ends "
    "the program, after what was half written has been removed.\n"
    ".PP\nResults go to standard output, everything else to standard error.\n"
    ".SH ENVIRONMENT\n"
    ".TP\n\\fBLAR_CACHE\\fR\nThe folder that keeps what lar run, lar serve and lar bench measured of this machine at "
    "their first start, to multiply by the faster of two ways; without it $XDG_CACHE_HOME/lar or ~/.cache/lar. With "
    "/dev/null nothing is measured or kept.\n"
    ".TP\n\\fBLAR_CPU\\fR\nThe widest instructions to use: c (or ref), avx2, avx512 or neon. It lowers what was found, "
    "never raises it.\n"
    ".TP\n\\fBLAR_HISTORY\\fR\nA file that the chat keeps its history of lines in. Without it, or with /dev/null "
    "(and without /set history on) nothing that is typed is written to disk.\n"
    ".TP\n\\fBLAR_MODELS\\fR\nThe folder of the models that have names, in Ollama's layout; without it ~/.lar/models. "
    "Models in $OLLAMA_MODELS or ~/.ollama/models, Hugging Face's cache and LM Studio's folder can be run in place.\n"
    ".TP\n\\fBNO_COLOR\\fR\nSet and not empty: no colours.\n"
    ".SH FILES\n"
    ".TP\n\\fI~/.lar/history\\fR\nThe history of lines after /set history on.\n";

void help_man(struct buf *b)
{
    buf_printf(b,
               ".\\\" Written by `lar help --man`; change the texts in app/cli instead.\n"
               ".TH LAR 1 \"\" \"Lar %s\" \"User Commands\"\n",
               lar_version());
    buf_puts(b, ".SH NAME\nlar \\- language models that run at home\n.SH SYNOPSIS\n");
    for (int i = 0; verbs[i]; i++) {
        buf_printf(b, "%s\\fBlar %s\\fR ", i ? ".br\n" : "", verbs[i]->name);
        roff_z(b, verbs[i]->synopsis);
        buf_putc(b, '\n');
    }
    buf_puts(b, ".SH DESCRIPTION\n");
    man_paragraphs(b, intro);
    for (int i = 0; verbs[i]; i++) {
        buf_printf(b, ".SH LAR %s\n\\fBlar %s\\fR ", verbs[i]->name, verbs[i]->name);
        roff_z(b, verbs[i]->synopsis);
        buf_puts(b, "\n.PP\n");
        man_paragraphs(b, verbs[i]->about);
        man_more(b, verbs[i]);
        man_options(b, verbs[i]->opts);
    }
    buf_puts(b, man_rest);
}

/* ---- the verb ------------------------------------------------------------------------------------------------------ */

struct help_options {
    int man;
};

static int run(const void *values, char **arg, int narg)
{
    const struct help_options *o = values;
    if (o->man) {
        help_man(out());
    } else if (narg == 0) {
        help_overview(out());
    } else {
        const struct verb *v = verb_find(arg[0]);
        if (!v) {
            const char *near = verb_nearest(arg[0]);
            if (near)
                say("no verb is called '%s'; did you mean '%s'?", arg[0], near);
            else
                say("no verb is called '%s' (lar help lists them)", arg[0]);
            return EXIT_MISUSE;
        }
        help_verb(out(), v);
    }
    return out_done(EXIT_DONE);
}

/* clang-format off */
static const struct opt options[] = {
    {.kind = OPT_FLAG, .name = "man", .at = offsetof(struct help_options, man), .value = 1,
     .help = "Prints the manual page, in the form that man(1) reads."},
    {.kind = OPT_END},
};

const struct verb verb_help = {
    .name = "help",
    .synopsis = "[VERB]",
    .summary = "what there is, or all about VERB",
    .about = "Prints what the program can do; with VERB, everything about that one. lar VERB --help is the same.",
    .opts = options,
    .size = sizeof(struct help_options),
    .max_args = 1,
    .run = run,
};
/* clang-format on */
