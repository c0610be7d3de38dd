/* SPDX-License-Identifier: Apache-2.0
 * cli/perplexity.c: `lar perplexity`: how well a model foresees a text, and how far it is from the one that it was made of. */
#include <lar/quant.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/err.h"
#include "base/time.h"
#include "cli/adapters.h"
#include "cli/in.h"
#include "cli/interrupt.h"
#include "cli/named.h"
#include "cli/out.h"
#include "cli/target.h"
#include "cli/verbs.h"

struct perplexity_options {
    const char *file, *base, *save_base;
    int ctx, chunks, threads, kld, json, quiet;
    struct opt_list adapter;
};

struct progress {
    int64_t began;
    int show;
};

static int on_chunk(void *ctx, const struct lar_perplexity *p)
{
    struct progress *g = ctx;
    if (g->show) {
        double s = time_ms_since(g->began) * 1e-3;
        struct buf b = {0};
        buf_printf(&b, "\r\033[K[%d/%d] perplexity %.4f", p->chunks, p->chunks_all, p->ppl);
        if (p->base_ppl > 0) buf_printf(&b, ", divergence %.5f", p->kl);
        buf_printf(&b, ", %.0f s left", s / p->chunks * (p->chunks_all - p->chunks));
        (void)!write(STDERR_FILENO, buf_z(&b), b.n);
        buf_done(&b);
    }
    return interrupt_seen();
}

/* A saved base begins with its own mark. */
static int is_saved_base(const char *path)
{
    char head[8] = "";
    FILE *f = fopen(path, "rb");
    size_t n = f ? fread(head, 1, 8, f) : 0;
    if (f) fclose(f);
    return n == 8 && memcmp(head, "LARBASE1", 8) == 0;
}

static void tell(const struct lar_perplexity *p)
{
    struct buf *b = out();
    buf_printf(b, "perplexity      %.4f +- %.4f  (%lld tokens in %d chunks)\n", p->ppl,
               p->ppl_error, (long long)p->tokens, p->chunks);
    if (p->base_ppl <= 0) return;
    buf_printf(b, "of the base     %.4f +- %.4f\n", p->base_ppl, p->base_ppl_error);
    buf_printf(b, "ln of the ratio %.5f +- %.5f\n", p->log_ratio, p->log_ratio_error);
    buf_printf(b, "KL divergence   %.5f +- %.5f  (median %.5f, 99 %% below %.4f, largest %.4f)\n",
               p->kl, p->kl_error, p->kl_median, p->kl_99, p->kl_max);
    buf_printf(b, "same top token  %.2f %% +- %.2f %%\n", 100 * p->same_top,
               100 * p->same_top_error);
    buf_printf(b, "change of p     %.3f %% +- %.3f %%  (root mean square)\n", 100 * p->dp,
               100 * p->dp_error);
}

static void number(const char *name, double v)
{
    buf_printf(out(), ",\"%s\":", name);
    buf_json_num(out(), v);
}

static void tell_json(const struct lar_perplexity *p)
{
    buf_printf(out(), "{\"chunks\":%d,\"tokens\":%lld", p->chunks, (long long)p->tokens);
    number("ppl", p->ppl);
    number("ppl_error", p->ppl_error);
    if (p->base_ppl > 0) {
        number("base_ppl", p->base_ppl);
        number("base_ppl_error", p->base_ppl_error);
        number("log_ratio", p->log_ratio);
        number("log_ratio_error", p->log_ratio_error);
        number("kld", p->kl);
        number("kld_error", p->kl_error);
        number("kld_median", p->kl_median);
        number("kld_99", p->kl_99);
        number("kld_max", p->kl_max);
        number("same_top", p->same_top);
        number("same_top_error", p->same_top_error);
        number("dp_rms", p->dp);
        number("dp_rms_error", p->dp_error);
    }
    buf_puts(out(), "}\n");
}

/* May --save-base write where it says? */
static int check_save(const struct perplexity_options *o, const char *model, int saved, struct lar_err *err)
{
    struct target reads = {.ninput = 0};
    struct named base = {0};
    if (!o->save_base) return 0;
    int e = o->base && !saved ? named_open(&base, o->base, err) : 0;
    target_input(&reads, o->file);
    target_input(&reads, saved ? o->base : base.path);
    if (e == 0) e = target_check_model(&reads, model, o->save_base, TARGET_BASE, err);
    named_close(&base);
    return e;
}

static int run(const void *values, char **arg, int narg)
{
    const struct perplexity_options *o = values;
    struct lar_model *m = NULL, *base = NULL;
    struct lar_perplexity p;
    struct lar_err err;
    struct buf text = {0};
    struct progress g = {.show = isatty(STDERR_FILENO) && !o->quiet};
    (void)narg;
    if (!o->file || (o->kld && !o->base)) {
        say("perplexity: %s", o->file
                                  ? "--kld needs --base, a model or a file that --save-base wrote"
                                  : "-f FILE names the text");
        return EXIT_MISUSE;
    }
    int saved = o->base && is_saved_base(o->base), e = check_save(o, arg[0], saved, &err);
    if (e == 0) e = in_all(o->file, &text, &err);
    struct lar_model_options mo = {.threads = o->threads};
    struct adapters ad;
    struct lar_model_options plain = mo;
    if (e == 0)
        e = adapters_read(&ad, &o->adapter, &mo, &err);
    else
        ad = (struct adapters){0};
    if (e == 0) e = named_model(&m, arg[0], &mo, &err);
    if (e == 0 && o->base && !saved) e = named_model(&base, o->base, &plain, &err);
    adapters_done(&ad);
    struct lar_perplexity_options po = {.ctx = o->ctx,
                                        .chunks = o->chunks,
                                        .base = base,
                                        .base_file = saved ? o->base : NULL,
                                        .save_base = o->save_base,
                                        .on_chunk = on_chunk,
                                        .ctx_on_chunk = &g};
    g.began = time_ns();
    interrupt_begin(NULL, 1);
    if (e == 0) e = lar_perplexity(m, buf_z(&text), text.n, &po, &p, &err);
    interrupt_end();
    if (g.show) (void)!write(STDERR_FILENO, "\r\033[K", 4);
    buf_done(&text);
    lar_model_close(base);
    lar_model_close(m);
    if (e < 0) return say_err(&err);
    if (saved && p.chunks < o->chunks)
        say("--chunks %d: only %d were compared, for the text or the saved base has no more", o->chunks, p.chunks);
    if (o->json)
        tell_json(&p);
    else
        tell(&p);
    return out_done(EXIT_DONE);
}

#define AT(field) offsetof(struct perplexity_options, field)
/* clang-format off */
static const struct opt options[] = {
    {.kind = OPT_TEXT, .name = "file", .letter = 'f', .at = AT(file), .arg = "TEXT",
     .help = "The text, plain UTF-8; - is standard input. Your own kind of text tells you most."},
    {.kind = OPT_TEXT, .name = "base", .at = AT(base), .arg = "MODEL|FILE",
     .help = "Also compares with this model (best the unquantised one), evaluated in the same pass, or with what "
             "--save-base wrote of it."},
    {.kind = OPT_FLAG, .name = "kld", .at = AT(kld), .value = 1,
     .help = "Insists on the comparison: an error without --base."},
    {.kind = OPT_TEXT, .name = "save-base", .at = AT(save_base), .arg = "FILE",
     .help = "Keeps what later comparisons need of this model's distributions: a hundredth of what they would take."},
    {.kind = OPT_INT, .name = "ctx", .letter = 'c', .at = AT(ctx), .arg = "N", .min = 3, .max = 1 << 20,
     .help = "Tokens of a chunk, 512 without it. The second half of each is scored."},
    {.kind = OPT_INT, .name = "chunks", .at = AT(chunks), .arg = "N", .min = 1, .max = 1 << 30,
     .help = "Only the first N chunks."},
    {.kind = OPT_INT, .name = "threads", .letter = 't', .at = AT(threads), .arg = "N", .min = 1, .max = 256,
     .help = "Worker threads; without it as many as there are cores."},
    {.kind = OPT_FLAG, .name = "json", .at = AT(json), .value = 1, .help = "The figures as one JSON object."},
    {.kind = OPT_FLAG, .name = "quiet", .letter = 'q', .at = AT(quiet), .value = 1,
     .help = "No progress on the terminal."},
    {.kind = OPT_GROUP, .group = adapters_opts, .at = AT(adapter)},
    {.kind = OPT_END},
};

const struct verb verb_perplexity = {
    .name = "perplexity",
    .synopsis = "MODEL -f TEXT [--base MODEL2]",
    .summary = "how much a quantisation costs, on your text",
    .about = "Measures how well a model foresees a text: the perplexity, as llama.cpp defines it. With --base also "
             "what matters more for a quantised model: how far its distributions are from the original's (mean "
             "Kullback-Leibler divergence) and how often both find the same token most probable.",
    .opts = options,
    .size = sizeof(struct perplexity_options),
    .min_args = 1,
    .max_args = 1,
    .run = run,
};
/* clang-format on */
