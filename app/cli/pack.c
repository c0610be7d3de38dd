/* SPDX-License-Identifier: Apache-2.0
 * cli/pack.c: `lar pack` and `lar unpack`: a model in one file, for machines without a network. */
#include <stdio.h>
#include <unistd.h>

#include "base/err.h"
#include "cli/moving.h"
#include "cli/out.h"
#include "cli/target.h"
#include "cli/verbs.h"
#include "store/pack.h"

struct pack_options {
    const char *output;
    int quiet, json;
};

/* To a file, or to a pipe; a terminal would get gigabytes. */
static int check_output(const char *name, const struct pack_options *o, struct lar_err *err)
{
    struct target none = {.ninput = 0};
    if (!o->output) return lar_fail(err, LAR_EINVAL, "pack: -o FILE.lar says where it goes (- is standard output)");
    if (strcmp(o->output, "-") != 0) return target_check_model(&none, name, o->output, TARGET_PACK, err);
    if (o->json) return lar_fail(err, LAR_EINVAL, "pack: --json and the file cannot both go to standard output");
    return isatty(STDOUT_FILENO) ? lar_fail(err, LAR_EINVAL, "pack: standard output is a terminal") : 0;
}

static int run_pack(const void *values, char **arg, int narg)
{
    const struct pack_options *o = values;
    struct moving m;
    struct store_packing how = {.on_progress = moving_progress, .ctx = &m};
    struct store *s = NULL;
    struct lar_err err;
    (void)narg;
    int e = check_output(arg[0], o, &err);
    if (e == 0) e = store_open(&s, NULL, &err);
    if (e == 0) {
        moving_begin(&m, o->json, o->quiet);
        e = store_pack(s, arg[0], o->output, STDOUT_FILENO, &how, &err);
        moving_end(&m, e);
    }
    store_close(s);
    return e < 0 ? say_err(&err) : out_done(EXIT_DONE);
}

static int run_unpack(const void *values, char **arg, int narg)
{
    const struct pack_options *o = values;
    struct moving m;
    struct store_packing how = {.on_progress = moving_progress, .ctx = &m};
    struct store *s = NULL;
    struct buf shown = {0};
    struct lar_err err;
    int e = store_open(&s, NULL, &err);
    if (e == 0) {
        moving_begin(&m, o->json, o->quiet);
        e = store_unpack(s, arg[0], STDIN_FILENO, narg > 1 ? arg[1] : NULL, &how, &shown, &err);
        moving_end(&m, e);
    }
    if (e == 0 && !o->json) {
        out_text_to(out(), 1, buf_z(&shown), shown.n);
        buf_putc(out(), '\n');
    }
    buf_done(&shown);
    store_close(s);
    return e < 0 ? say_err(&err) : out_done(EXIT_DONE);
}

#define AT(field) offsetof(struct pack_options, field)
/* clang-format off */
static const struct opt pack_options[] = {
    {.kind = OPT_TEXT, .name = "output", .letter = 'o', .at = AT(output), .arg = "FILE",
     .help = "The file that is made; - is standard output, for a pipe."},
    {.kind = OPT_FLAG, .name = "json", .at = AT(json), .value = 1,
     .help = "An object a line: status, completed and total."},
    {.kind = OPT_FLAG, .name = "quiet", .letter = 'q', .at = AT(quiet), .value = 1, .help = "Errors only."},
    {.kind = OPT_END},
};

const struct verb verb_pack = {
    .name = "pack",
    .synopsis = "NAME -o FILE.lar",
    .summary = "puts a model into one file, to be carried",
    .about = "Writes all that belongs to NAME (weights, projector, adapters, template, system prompt, parameters, "
             "messages, licences, digest) into one file: an OCI image layout in a tar archive, which tar lists and "
             "tools for OCI archives read. The same model gives the same bytes. The file appears when it is whole, and "
             "everything is compared with its digest on the way.\n"
             "\n"
             "  lar pack clerk -o clerk.lar\n"
             "  lar pack clerk -o - | ssh other lar unpack -\n",
    .opts = pack_options,
    .size = sizeof(struct pack_options),
    .min_args = 1,
    .max_args = 1,
    .run = run_pack,
};

const struct verb verb_unpack = {
    .name = "unpack",
    .synopsis = "FILE.lar [NAME]",
    .summary = "takes such a file into the store",
    .about = "Reads a file that lar pack made, or standard input (-), into Lar's store, under NAME or the name that it "
             "had, and prints that name. Everything is compared with its digest as it comes; the name appears when "
             "everything is there. No network is needed. Archives of OCI layouts that others made are read too, when "
             "they hold a model as Ollama's registry has them.",
    .opts = pack_options + 1,
    .size = sizeof(struct pack_options),
    .min_args = 1,
    .max_args = 2,
    .run = run_unpack,
};
/* clang-format on */
