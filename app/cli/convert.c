/* SPDX-License-Identifier: Apache-2.0
 *
 * cli/convert.c: `lar convert`: from a Hugging Face folder to a GGUF file. Ctrl-C stops it and leaves nothing behind. */
#include <lar/convert.h>

#include "base/err.h"
#include "base/time.h"
#include "cli/out.h"
#include "cli/progress.h"
#include "cli/target.h"
#include "cli/verbs.h"

struct convert_options {
    const char *output, *lora;
    int type, quiet;
};

static const char *const types[] = {"auto", "f32", "f16", "bf16", "q8_0"};

struct work {
    struct progress w; /* the first: progress_tell takes it */
    struct buf left;
};

static void left_out(void *ctx, const char *tensor, size_t n)
{
    struct work *w = ctx;
    if (w->left.n) buf_puts(&w->left, ", ");
    buf_add(&w->left, tensor, n);
}

static int run(const void *values, char **arg, int narg)
{
    const struct convert_options *o = values;
    struct work w = {.left = {0}};
    struct lar_convert_options c = {
        .type = types[o->type], .on_progress = progress_tell, .on_left_out = left_out, .ctx = &w};
    struct lar_convert_result r;
    struct lar_err err;
    (void)narg;
    if (!o->output) {
        say("convert: -o OUT.gguf says where the model goes");
        return EXIT_MISUSE;
    }
    if (o->lora && o->type) {
        say("convert: --lora writes F32; --type has no place beside it");
        return EXIT_MISUSE;
    }
    struct target reads = {.ninput = 0};
    target_input(&reads, arg[0]);
    target_input(&reads, o->lora);
    if (target_check(&reads, o->output, TARGET_MODEL, 0, &err) < 0) return say_err(&err);
    progress_begin(&w.w, o->quiet);
    int rc = o->lora ? lar_convert_lora(arg[0], o->lora, o->output, &r, &err)
                     : lar_convert(arg[0], o->output, &c, &r, &err);
    progress_end(&w.w);
    if (rc < 0) {
        buf_done(&w.left);
        return say_err(&err);
    }
    struct buf *b = out();
    buf_printf(b, "%s: %s, %zu tensors, ", o->output, r.architecture, r.tensors);
    buf_bytes(b, r.bytes);
    buf_printf(b, ", %.1f s\n", time_ms_since(w.w.began) * 1e-3);
    if (r.left_out)
        say("%zu tensors of other parts (vision, audio, further tokens) were left out", r.left_out);
    if (w.left.n && !w.left.failed)
        say("left out, since no vector and no score needs them (poolers, heads that guess words): %.*s",
            STR_ARG(buf_view(&w.left)));
    buf_done(&w.left);
    return out_done(EXIT_DONE);
}

#define AT(field) offsetof(struct convert_options, field)
/* clang-format off */
static const struct opt options[] = {
    {.kind = OPT_TEXT, .name = "output", .letter = 'o', .at = AT(output), .arg = "OUT.gguf",
     .help = "The new file; it appears when it is whole."},
    {.kind = OPT_WORD, .name = "type", .at = AT(type), .arg = "TYPE", .words = "auto f32 f16 bf16 q8_0",
     .help = "Type of the matrices: f32, f16, bf16, q8_0, or auto (the default), which is what the weights "
             "have. Vectors are F32. lar quantize makes smaller ones."},
    {.kind = OPT_TEXT, .name = "lora", .at = AT(lora), .arg = "BASE",
     .help = "DIR is a LoRA adapter of PEFT or MLX for the model BASE, a folder or a .gguf (of which no weights are "
             "read), and becomes an adapter GGUF for lar run --adapter."},
    {.kind = OPT_FLAG, .name = "quiet", .letter = 'q', .at = AT(quiet), .value = 1,
     .help = "No progress on the terminal."},
    {.kind = OPT_END},
};

const struct verb verb_convert = {
    .name = "convert",
    .synopsis = "DIR|FILE [--lora BASE] -o OUT.gguf",
    .summary = "from safetensors to GGUF",
    .about = "Turns a Hugging Face folder (config.json, safetensors or PyTorch weights in one file or many, the "
             "tokenizer, the chat template, generation_config.json) into a GGUF file. FILE is one weights file with "
             "the rest beside it, or a .bin of llama2.c with its tokenizer.bin. Nothing of the folder is "
             "executed. What is not understood is refused by name.\n\n"
             "lar run DIR and lar logits DIR open a folder without converting it first.",
    .opts = options,
    .size = sizeof(struct convert_options),
    .min_args = 1,
    .max_args = 1,
    .run = run,
};
/* clang-format on */
