/* SPDX-License-Identifier: Apache-2.0
 * cli/imatrix.c: `lar imatrix`: which columns of a model's weights matter, found by letting it read. */
#include <lar/quant.h>

#include <unistd.h>

#include "base/err.h"
#include "base/time.h"
#include "cli/in.h"
#include "cli/interrupt.h"
#include "cli/named.h"
#include "cli/out.h"
#include "cli/target.h"
#include "cli/verbs.h"

struct imatrix_options {
    const char *file, *output_file;
    int ctx, chunks, threads, output, quiet;
};

struct progress {
    int64_t began;
    int show;
};

static int on_chunk(void *ctx, int done, int all)
{
    struct progress *g = ctx;
    if (g->show) {
        double s = time_ms_since(g->began) * 1e-3;
        struct buf b = {0};
        buf_printf(&b, "\r\033[K[%d/%d] %.0f s left", done, all, s / done * (all - done));
        (void)!write(STDERR_FILENO, buf_z(&b), b.n);
        buf_done(&b);
    }
    return interrupt_seen();
}

static int run(const void *values, char **arg, int narg)
{
    const struct imatrix_options *o = values;
    struct lar_model *m = NULL;
    struct lar_err err;
    struct buf text = {0};
    struct progress g = {.show = isatty(STDERR_FILENO) && !o->quiet};
    (void)narg;
    if (!o->file || !o->output_file) {
        say("imatrix: %s",
            o->file ? "-o FILE.gguf says where the matrix goes" : "-f FILE names the text");
        return EXIT_MISUSE;
    }
    struct target reads = {.ninput = 0};
    target_input(&reads, o->file);
    if (target_check_model(&reads, arg[0], o->output_file, TARGET_IMATRIX, &err) < 0) return say_err(&err);
    struct lar_model_options mo = {.threads = o->threads};
    struct lar_imatrix_options io = {.ctx = o->ctx,
                                     .chunks = o->chunks,
                                     .output = o->output,
                                     .dataset = o->file,
                                     .on_chunk = on_chunk,
                                     .ctx_on_chunk = &g};
    int e = in_all(o->file, &text, &err);
    if (e == 0) e = named_model(&m, arg[0], &mo, &err);
    g.began = time_ns();
    interrupt_begin(NULL, 1);
    if (e == 0) e = lar_imatrix(m, buf_z(&text), text.n, o->output_file, &io, &err);
    interrupt_end();
    if (g.show) (void)!write(STDERR_FILENO, "\r\033[K", 4);
    buf_done(&text);
    lar_model_close(m);
    return e < 0 ? say_err(&err) : out_done(EXIT_DONE);
}

#define AT(field) offsetof(struct imatrix_options, field)
/* clang-format off */
static const struct opt options[] = {
    {.kind = OPT_TEXT, .name = "file", .letter = 'f', .at = AT(file), .arg = "TEXT",
     .help = "What the model reads: some hundred KB of the kind of text that it will be used for; - is standard "
             "input."},
    {.kind = OPT_TEXT, .name = "output-file", .letter = 'o', .at = AT(output_file), .arg = "FILE",
     .help = "Where the matrix goes, for lar quantize --imatrix and for llama.cpp's tools."},
    {.kind = OPT_INT, .name = "ctx", .letter = 'c', .at = AT(ctx), .arg = "N", .min = 1, .max = 1 << 20,
     .help = "Tokens of a chunk, 512 without it."},
    {.kind = OPT_INT, .name = "chunks", .at = AT(chunks), .arg = "N", .min = 1, .max = 1 << 30,
     .help = "Only the first N chunks."},
    {.kind = OPT_FLAG, .name = "process-output", .at = AT(output), .value = 1,
     .help = "Also for the output matrix, which is left out without it as in llama.cpp."},
    {.kind = OPT_INT, .name = "threads", .letter = 't', .at = AT(threads), .arg = "N", .min = 1, .max = 256,
     .help = "Worker threads; without it as many as there are cores."},
    {.kind = OPT_FLAG, .name = "quiet", .letter = 'q', .at = AT(quiet), .value = 1,
     .help = "No progress on the terminal."},
    {.kind = OPT_END},
};

const struct verb verb_imatrix = {
    .name = "imatrix",
    .synopsis = "MODEL -f TEXT -o FILE",
    .summary = "which weights matter, for quantising",
    .about = "Lets the model read a text and writes, for every column of its weights, how large its inputs are on "
             "average (of squares). A quantiser that knows them loses less: lar quantize --imatrix FILE.",
    .opts = options,
    .size = sizeof(struct imatrix_options),
    .min_args = 1,
    .max_args = 1,
    .run = run,
};
/* clang-format on */
