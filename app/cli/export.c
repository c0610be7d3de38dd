/* SPDX-License-Identifier: Apache-2.0
 *
 * cli/export.c: `lar export`: from a GGUF file to a folder that transformers or PEFT loads. Ctrl-C stops it and leaves nothing behind. */
#include <lar/convert.h>

#include "base/err.h"
#include "base/time.h"
#include "cli/named.h"
#include "cli/out.h"
#include "cli/progress.h"
#include "cli/size.h"
#include "cli/verbs.h"

struct export_options {
    const char *shard, *lora;
    int type, quiet;
};

static const char *const types[] = {"auto", "f32", "f16", "bf16"};

static int run(const void *values, char **arg, int narg)
{
    const struct export_options *o = values;
    struct progress w;
    struct lar_export_options c = {.type = types[o->type], .on_progress = progress_tell, .ctx = &w};
    struct lar_export_result r;
    struct named n = {0};
    struct lar_err err;
    (void)narg;
    if (size_parse("--shard-size", o->shard, &c.shard_bytes, &err) < 0) return say_err(&err);
    int rc = named_open(&n, arg[0], &err);
    if (rc < 0) return say_err(&err);
    progress_begin(&w, o->quiet);
    rc = o->lora ? lar_export_lora(n.path, o->lora, arg[1], &c, &r, &err) : lar_export(n.path, arg[1], &c, &r, &err);
    progress_end(&w);
    named_close(&n);
    if (rc < 0) return say_err(&err);
    struct buf *b = out();
    buf_printf(b, "%s: %s, %zu tensors in %zu file%s, %s, ", arg[1], r.architecture, r.tensors,
               r.files, r.files == 1 ? "" : "s", r.type);
    buf_bytes(b, r.bytes);
    buf_printf(b, ", %.1f s\n", time_ms_since(w.began) * 1e-3);
    if (r.rounded) say("%zu tensors were quantised, or had to be rounded to %s", r.rounded, r.type);
    return out_done(EXIT_DONE);
}

#define AT(field) offsetof(struct export_options, field)
/* clang-format off */
static const struct opt options[] = {
    {.kind = OPT_WORD, .name = "type", .at = AT(type), .arg = "TYPE", .words = "auto f32 f16 bf16",
     .help = "Type of the matrices: f32, f16, bf16, or auto (the default), which is what the file has, and bf16 "
             "where that is quantised. Vectors have it too where it holds their values exactly, else f32."},
    {.kind = OPT_TEXT, .name = "shard-size", .at = AT(shard), .arg = "SIZE",
     .help = "Weights go into several files of at most this much (5GB when not given), with an index."},
    {.kind = OPT_TEXT, .name = "lora", .at = AT(lora), .arg = "BASE",
     .help = "MODEL is an adapter GGUF for the model BASE, a folder or a .gguf (of which no weights are read), and "
             "becomes a folder of PEFT."},
    {.kind = OPT_FLAG, .name = "quiet", .letter = 'q', .at = AT(quiet), .value = 1,
     .help = "No progress on the terminal."},
    {.kind = OPT_END},
};

const struct verb verb_export = {
    .name = "export",
    .synopsis = "MODEL [--lora BASE] DIR",
    .summary = "from GGUF to safetensors",
    .about = "Turns a GGUF file into a folder that transformers loads: safetensors, config.json, the tokenizer, "
             "generation_config.json, the chat template. lar convert DIR gives the same keys and tensors again; a file "
             "of which that cannot be is refused by the name of the key or tensor. An adapter GGUF becomes a folder "
             "of PEFT (--lora). DIR must not exist, or be empty; it appears when it is whole.",
    .opts = options,
    .size = sizeof(struct export_options),
    .min_args = 2,
    .max_args = 2,
    .run = run,
};
/* clang-format on */
