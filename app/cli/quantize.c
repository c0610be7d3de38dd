/* SPDX-License-Identifier: Apache-2.0
 *
 * cli/quantize.c: `lar quantize`: a model's file made smaller. The mix and every tensor's types are told before a byte is written. */
#include <lar/quant.h>

#include <ctype.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/time.h"
#include "cli/aim.h"
#include "cli/interrupt.h"
#include "cli/named.h"
#include "cli/out.h"
#include "cli/size.h"
#include "cli/target.h"
#include "cli/verbs.h"

struct quantize_options {
    const char *imatrix, *part_size, *target_size, *file;
    float target_bpw, target_kld;
    struct opt_list tensor_type;
    int ctx, chunks, threads, dry_run, pure, quiet;
};

struct work {
    const struct quantize_options *o;
    int dry, terminal;
    int64_t began;
    uint64_t from, to, elements;
    size_t fell_back, twice;
    struct {
        const char *type;
        uint64_t bytes;
        size_t n;
    } sum[48];          /* by type: fewer than 48 are known */
    uint64_t all, done; /* bytes of input */
};

static void add_type(struct work *w, const struct lar_quantize_tensor *t)
{
    size_t i = 0;
    while (i < 47 && w->sum[i].type && strcmp(w->sum[i].type, t->to)) i++;
    w->sum[i].type = t->to;
    w->sum[i].bytes += t->bytes_to;
    w->sum[i].n++;
}

/* A first pass without writing: what will be done. */
static int count(void *ctx, const struct lar_quantize_tensor *t)
{
    struct work *w = ctx;
    w->from += t->bytes_from;
    w->to += t->bytes_to;
    w->elements += (uint64_t)t->elements;
    w->fell_back += t->fell_back != 0;
    w->twice += strcmp(t->from, t->to) && t->from[0] != 'F' && t->from[0] != 'B';
    add_type(w, t);
    if (w->dry) {
        struct buf *b = out();
        buf_printf(b, "%-40.*s %8s -> %-8s ", (int)t->name_n, t->name, t->from, t->to);
        buf_bytes(b, t->bytes_from);
        buf_puts(b, " -> ");
        buf_bytes(b, t->bytes_to);
        buf_puts(b, t->fell_back ? "  (its width fits no larger block)\n" : "\n");
        out_spill();
    }
    return 0;
}

static int progress(void *ctx, const struct lar_quantize_tensor *t)
{
    struct work *w = ctx;
    if (w->terminal) {
        double s = time_ms_since(w->began) * 1e-3,
               share = w->from ? (double)w->done / (double)w->from : 0;
        struct buf b = {0};
        buf_printf(&b, "\r\033[K[%zu/%zu] %3.0f %%  %.*s %s -> %s", t->index + 1, t->count,
                   100 * share, (int)(t->name_n > 40 ? 40 : t->name_n), t->name, t->from, t->to);
        if (share > 0.02) buf_printf(&b, "  %.0f s left", s / share - s);
        (void)!write(STDERR_FILENO, buf_z(&b), b.n);
        buf_done(&b);
    }
    w->done += t->bytes_from;
    return interrupt_seen();
}

static void tell(const struct work *w, const char *verb)
{
    struct buf *b = out();
    buf_printf(b, "%s ", verb);
    buf_bytes(b, w->from);
    buf_puts(b, " -> ");
    buf_bytes(b, w->to);
    buf_printf(
        b, ", %.2f bits a weight:", w->elements ? (double)w->to * 8 / (double)w->elements : 0.0);
    for (size_t i = 0; i < 47 && w->sum[i].type; i++) {
        buf_printf(b, "%s %zu x %s ", i ? "," : "", w->sum[i].n, w->sum[i].type);
        buf_bytes(b, w->sum[i].bytes);
    }
    buf_putc(b, '\n');
}

/* The size for --target-kld. */
static int keep_near(const struct quantize_options *o, const char *from, struct lar_quantize_options *q,
                     struct lar_err *err)
{
    struct aim a = {.from = from,
                    .quantize = q,
                    .file = o->file,
                    .kld = (double)o->target_kld,
                    .ctx = o->ctx,
                    .chunks = o->chunks,
                    .show = isatty(STDERR_FILENO) && !o->quiet};
    double bits, kld;
    interrupt_begin(NULL, 1);
    int e = aim_bits(&a, &bits, &kld, err);
    interrupt_end();
    if (e < 0) return e;
    q->target_bits = bits;
    buf_printf(out(), "a divergence of %.5f (at most %g was asked) at %.2f bits a weight\n", kld, a.kld, bits);
    return 0;
}

static int quantize(const struct quantize_options *o, const char *from, char **arg, int narg)
{
    struct work w = {.o = o, .dry = o->dry_run, .terminal = isatty(STDERR_FILENO) && !o->quiet};
    struct lar_err err;
    int targets = (o->target_size != NULL) + (o->target_bpw > 0) + (o->target_kld > 0), aimed = targets > 0;
    const char *type = aimed && narg < 3 - o->dry_run ? "Q4_K_M" : arg[narg - 1];
    if (narg < 2 && !(aimed && o->dry_run)) {
        say("quantize: the TYPE is missing: lar quantize IN %s", o->dry_run ? "TYPE --dry-run" : "OUT TYPE");
        return EXIT_MISUSE;
    }
    if (narg < 3 - aimed && !o->dry_run) {
        say("quantize: the new file's name is missing: lar quantize IN OUT TYPE");
        return EXIT_MISUSE;
    }
    struct lar_quantize_options q = {.type = type,
                                     .imatrix = o->imatrix,
                                     .tensor_type = o->tensor_type.v,
                                     .ntensor_type = o->tensor_type.n,
                                     .pure = o->pure,
                                     .threads = o->threads,
                                     .dry_run = 1,
                                     .on_tensor = count,
                                     .ctx = &w};
    if (targets > 1) {
        say("quantize: --target-size, --target-bpw, --target-kld: one of them");
        return EXIT_MISUSE;
    }
    if ((o->target_kld > 0) != (o->file != NULL)) {
        say(o->file ? "quantize: -f TEXT is what --target-kld measures on, which is missing"
                    : "quantize: --target-kld needs a text to measure on: -f FILE");
        return EXIT_MISUSE;
    }
    if (o->target_size && size_parse("--target-size", o->target_size, &q.target_bytes, &err) < 0)
        return say_err(&err);
    q.target_bits = (double)o->target_bpw;
    if (o->part_size && size_parse("--part-size", o->part_size, &q.part_bytes, &err) < 0)
        return say_err(&err);
    struct stat st;
    if (stat(from, &st) == 0 && S_ISDIR(st.st_mode)) {
        say("%s: is a folder: make it one file first, with lar convert %s -o OUT.gguf", from, from);
        return EXIT_MISUSE;
    }
    struct target reads = {.ninput = 0};
    target_input(&reads, from);
    target_input(&reads, o->imatrix);
    target_input(&reads, o->file);
    if (!o->dry_run && target_check(&reads, arg[1], TARGET_MODEL, o->part_size != NULL, &err) < 0) return say_err(&err);
    if (o->target_kld > 0 && keep_near(o, from, &q, &err) < 0) return say_err(&err);
    if (lar_quantize(from, NULL, &q, &err) < 0) return say_err(&err);
    if (w.twice)
        say("%zu tensors are quantised already and lose a second time; the unquantised file gives a better one",
            w.twice);
    if (o->dry_run) {
        tell(&w, "would be");
        return out_done(EXIT_DONE);
    }
    w.began = time_ns();
    q.dry_run = 0;
    q.on_tensor = progress;
    interrupt_begin(NULL, 1);
    int e = lar_quantize(from, arg[1], &q, &err);
    interrupt_end();
    if (w.terminal) (void)!write(STDERR_FILENO, "\r\033[K", 4);
    if (e < 0) return say_err(&err);
    tell(&w, arg[1]);
    if (w.fell_back)
        buf_printf(out(),
                   "%zu tensors have a width that fits no larger block and got another type\n",
                   w.fell_back);
    buf_printf(out(), "%.1f s\n", time_ms_since(w.began) * 1e-3);
    return out_done(EXIT_DONE);
}

static int run(const void *values, char **arg, int narg)
{
    struct named from;
    struct lar_err err;
    int code = named_open(&from, arg[0], &err) < 0 ? say_err(&err) : quantize(values, from.path, arg, narg);
    named_close(&from);
    return code;
}

static void more(struct buf *b)
{
    buf_puts(b, "  types:");
    for (size_t i = 0; lar_quantize_type(i); i++)
        buf_printf(b, "%s%s", i && i % 12 == 0 ? "\n         " : " ", lar_quantize_type(i));
    buf_puts(b, "\n  IQ1_S to IQ2_M, IQ3_XXS and Q2_K_S need --imatrix.\n");
}

#define AT(field) offsetof(struct quantize_options, field)
/* clang-format off */
static const struct opt options[] = {
    {.kind = OPT_TEXT, .name = "imatrix", .at = AT(imatrix), .arg = "FILE",
     .help = "An importance matrix (lar imatrix makes one): columns that matter more lose less. "
             "IQ1, IQ2, IQ3_XXS and Q2_K_S need it."},
    {.kind = OPT_LIST, .name = "tensor-type", .at = AT(tensor_type), .arg = "PATTERN=TYPE",
     .help = "Tensors in whose name the regular expression is found get this type, whatever the mix says: attn_v=q8_0. "
             "May be given again; the first that fits decides."},
    {.kind = OPT_TEXT, .name = "target-size", .at = AT(target_size), .arg = "SIZE",
     .help = "Chooses each tensor's type by what it loses in it, so that the file has at most SIZE: 4.0GB, 700MiB. "
             "TYPE may be left away."},
    {.kind = OPT_NUM, .name = "target-bpw", .at = AT(target_bpw), .arg = "BITS", .min = 1, .max = 16,
     .help = "The same for so many bits a weight on average: 4.5."},
    {.kind = OPT_NUM, .name = "target-kld", .at = AT(target_kld), .arg = "X", .min = 1e-6, .max = 10,
     .help = "The smallest that diverges from IN by at most X on the text of -f (mean Kullback-Leibler divergence in "
             "nats, as lar perplexity measures it): several are made and measured, in TMPDIR."},
    {.kind = OPT_TEXT, .name = "file", .letter = 'f', .at = AT(file), .arg = "TEXT",
     .help = "The text for --target-kld, plain UTF-8; - is standard input."},
    {.kind = OPT_INT, .name = "ctx", .letter = 'c', .at = AT(ctx), .arg = "N", .min = 3, .max = 1 << 20,
     .help = "Tokens of a chunk of it, 512 without it."},
    {.kind = OPT_INT, .name = "chunks", .at = AT(chunks), .arg = "N", .min = 1, .max = 1 << 30,
     .help = "Only its first N chunks."},
    {.kind = OPT_FLAG, .name = "pure", .at = AT(pure), .value = 1,
     .help = "The same type everywhere, without the mix."},
    {.kind = OPT_FLAG, .name = "dry-run", .at = AT(dry_run), .value = 1,
     .help = "Says what would become of every tensor and how large the file would be; writes nothing (OUT may be "
             "left away)."},
    {.kind = OPT_TEXT, .name = "part-size", .at = AT(part_size), .arg = "SIZE",
     .help = "Writes OUT-00001-of-0000N.gguf and so on, each with at most so much data: 2GB, 700MiB."},
    {.kind = OPT_INT, .name = "threads", .letter = 't', .at = AT(threads), .arg = "N", .min = 1, .max = 256,
     .help = "Worker threads; without it as many as there are cores. The file is the same."},
    {.kind = OPT_FLAG, .name = "quiet", .letter = 'q', .at = AT(quiet), .value = 1,
     .help = "No progress on the terminal."},
    {.kind = OPT_END},
};

const struct verb verb_quantize = {
    .name = "quantize",
    .synopsis = "IN.gguf OUT.gguf TYPE",
    .summary = "a smaller file of a model",
    .about = "Writes the model with quantised weights. TYPE is a mix by the name that people know: Q4_K_M is a good "
             "beginning, Q8_0 loses nearly nothing, below Q3_K_M it hurts. The new file appears whole or not at all, "
             "and memory stays small whatever the model's size.",
    .more = more,
    .opts = options,
    .size = sizeof(struct quantize_options),
    .min_args = 1,
    .max_args = 3,
    .run = run,
};
/* clang-format on */
