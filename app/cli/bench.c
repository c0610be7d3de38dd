/* SPDX-License-Identifier: Apache-2.0
 *
 * cli/bench.c: `lar bench`: how fast a model runs here. ppN is reading a prompt of N tokens, tgN choosing nothing but
 * evaluating N tokens one by one, both from an empty context; each is done a few times after a warm-up, and the
 * median counts. Sampling is not in it. */
#include <stdlib.h>

#include "base/err.h"
#include "base/rng.h"
#include "base/time.h"
#include "cli/idlist.h"
#include "cli/named.h"
#include "cli/out.h"
#include "cli/verbs.h"

enum { REPS_MAX = 100 };

struct bench_options {
    int json, prompt, generate, reps, kv;
    const char *threads;
};

struct bench {
    const struct bench_options *o;
    struct lar_model *m;
    struct lar_session *s;
    struct lar_model_info info;
    struct lar_limits limits; /* with this number of threads */
    struct idlist tokens; /* what is evaluated: random, the same in every run */
    int written;          /* results so far */
};

static void init(void *values)
{
    struct bench_options *o = values;
    o->prompt = 512;
    o->generate = 128;
    o->reps = 5;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* One evaluation of n tokens in pieces of `step`: milliseconds, negative on failure. */
static double once(struct bench *b, int n, int step, struct lar_err *err)
{
    if (lar_session_sync(b->s, NULL, 0, err) < 0) return -1;
    int64_t start = time_ns();
    for (int at = 0; at < n; at += step)
        if (lar_session_extend(b->s, b->tokens.v + at, (size_t)step, NULL, err) < 0) return -1;
    return time_ms_since(start);
}

/* What bounds reading a prompt is arithmetic, what bounds evaluating token by token is memory. */
static const char *bound(const struct bench *b, const char *test, double tok_s, double *share)
{
    if (strcmp(test, "tg") == 0) {
        *share = tok_s * (double)b->info.token_bytes / (b->limits.read_gbs * 1e9);
        return "bandwidth";
    }
    double gops = b->info.integer ? b->limits.int8_gops : b->limits.f32_gflops;
    *share = tok_s * 2 * (double)b->info.token_weights / (gops * 1e9);
    return b->info.integer ? "int8" : "f32";
}

static void report_limits(struct bench *b)
{
    const struct lar_limits *l = &b->limits;
    if (b->o->json)
        buf_printf(out(),
                   "%s{\"test\":\"limits\",\"threads\":%d,\"read_gbs\":%.1f,\"int8_gops\":%.0f,"
                   "\"f32_gflops\":%.0f}",
                   b->written++ ? ",\n " : "[", b->info.threads, l->read_gbs, l->int8_gops, l->f32_gflops);
    else
        buf_printf(out(),
                   "limits of this machine, %d thread%s: reads %.1f GB/s, int8 %.0f Gop/s, f32 %.0f GFLOP/s\n",
                   b->info.threads, b->info.threads == 1 ? "" : "s", l->read_gbs, l->int8_gops, l->f32_gflops);
    out_flush();
}

static void report(struct bench *b, const char *test, int n, const double *ms)
{
    struct buf *w = out();
    int reps = b->o->reps;
    double median = (ms[(reps - 1) / 2] + ms[reps / 2]) / 2, tok_s = n * 1000.0 / median;
    double spread = (ms[reps - 1] - ms[0]) / median, share;
    const char *by = bound(b, test, tok_s, &share);
    if (b->o->json) {
        buf_printf(w, "%s{\"test\":\"%s%d\",\"threads\":%d,\"tok_s\":", b->written++ ? ",\n " : "[",
                   test, n, b->info.threads);
        buf_json_num(w, tok_s);
        buf_printf(w, ",\"spread\":%.3f,\"reps\":%d,\"bound\":\"%s\",\"share\":%.3f}", spread, reps, by,
                   share);
    } else {
        if (!b->written++)
            buf_printf(w, "%-10s %8s %12s %8s  %s\n", "test", "threads", "tokens/s", "spread",
                       "share of the limit");
        buf_printf(w, "%s%-*d %8d %12.1f %7.1f%%  %.0f%% of %s%s\n", test, 10 - (int)strlen(test), n,
                   b->info.threads, tok_s, spread * 100, share * 100, by,
                   share > 1 ? ", above it: the model fits the processor's cache" : "");
    }
    out_flush();
}

static int measure(struct bench *b, const char *test, int n, int step, struct lar_err *err)
{
    double ms[REPS_MAX];
    if (n == 0) return 0;
    for (int i = -1; i < b->o->reps; i++) { /* the first one warms up */
        double v = once(b, n, step, err);
        if (v < 0) return err->code;
        if (i >= 0) ms[i] = v;
    }
    qsort(ms, (size_t)b->o->reps, sizeof *ms, by_size);
    report(b, test, n, ms);
    return 0;
}

static int fill(struct bench *b, int n, struct lar_err *err)
{
    struct rng r;
    int e = idlist_room(&b->tokens, (size_t)n, err);
    rng_seed(&r, 1);
    for (b->tokens.n = 0; e == 0 && b->tokens.n < (size_t)n; b->tokens.n++)
        b->tokens.v[b->tokens.n] = (int32_t)(rng_u64(&r) % (uint64_t)b->info.vocab);
    return e;
}

static int with_threads(struct bench *b, const char *path, int threads, struct lar_err *err)
{
    int n = b->o->prompt > b->o->generate ? b->o->prompt : b->o->generate, e;
    struct lar_model_options mo = {.threads = threads};
    struct lar_session_options so = {.ctx = n, .kv = (enum lar_kv)b->o->kv};
    if ((e = named_model(&b->m, path, &mo, err)) == 0) {
        lar_model_info(b->m, &b->info);
        if ((e = fill(b, n, err)) == 0 && (e = lar_session_open(&b->s, b->m, &so, err)) == 0 &&
            (e = lar_machine_limits(b->info.threads, &b->limits, err)) == 0 &&
            (e = measure(b, "pp", b->o->prompt, b->o->prompt, err)) == 0)
            e = measure(b, "tg", b->o->generate, 1, err);
        if (e == 0) report_limits(b);
    }
    lar_session_close(b->s);
    lar_model_close(b->m);
    b->s = NULL;
    b->m = NULL;
    return e;
}

static int run(const void *values, char **arg, int narg)
{
    struct bench b = {.o = values};
    struct idlist threads = {0};
    struct lar_err err;
    int e;
    (void)narg;
    if (b.o->prompt == 0 && b.o->generate == 0) {
        say("bench: -p 0 and -n 0 leave nothing to measure");
        return EXIT_MISUSE;
    }
    e = idlist_parse(&threads, str_of(b.o->threads ? b.o->threads : "0"), &err);
    if (e == LAR_EFORMAT)
        lar_fail(&err, e, "-t, --threads: '%s' is no list of numbers of threads, as 1,2", b.o->threads);
    for (size_t i = 0; e == 0 && i < threads.n; i++)
        if ((b.o->threads && threads.v[i] < 1) || threads.v[i] > 256)
            e = lar_fail(&err, LAR_EINVAL, "-t, --threads: %d is out of range (1 to 256)",
                         threads.v[i]);
    for (size_t i = 0; e == 0 && i < threads.n; i++)
        e = with_threads(&b, arg[0], threads.v[i], &err);
    if (b.o->json && b.written) buf_puts(out(), "]\n");
    idlist_done(&threads);
    idlist_done(&b.tokens);
    return out_done(e < 0 ? say_err(&err) : EXIT_DONE);
}

#define AT(field) offsetof(struct bench_options, field)
/* clang-format off */
static const struct opt options[] = {
    {.kind = OPT_FLAG, .name = "json", .at = AT(json), .value = 1,
     .help = "An array of {test, threads, tok_s, spread, reps, bound, share}."},
    {.kind = OPT_INT, .name = "prompt", .letter = 'p', .at = AT(prompt), .arg = "N", .max = 1 << 24,
     .help = "Tokens of the prompt to read (512); 0 leaves this test out."},
    {.kind = OPT_INT, .name = "generate", .letter = 'n', .at = AT(generate), .arg = "N", .max = 1 << 24,
     .help = "Tokens to evaluate one by one (128); 0 leaves this test out."},
    {.kind = OPT_TEXT, .name = "threads", .letter = 't', .at = AT(threads), .arg = "1,2",
     .help = "Numbers of threads to measure with, one after the other; without it as many as there are cores."},
    {.kind = OPT_INT, .name = "reps", .letter = 'r', .at = AT(reps), .arg = "N", .min = 1, .max = REPS_MAX,
     .help = "How often each test is done (5), after a warm-up; the median counts."},
    {.kind = OPT_WORD, .name = "kv", .at = AT(kv), .arg = "TYPE", .words = "f16 f32 q8_0",
     .help = "How keys and values are kept: f16 (the default), f32 or q8_0."},
    {.kind = OPT_END},
};

const struct verb verb_bench = {
    .name = "bench",
    .synopsis = "MODEL",
    .summary = "how fast MODEL runs on this machine",
    .about = "Measures reading a prompt (pp) and evaluating token by token (tg), in tokens a second.",
    .opts = options,
    .size = sizeof(struct bench_options),
    .init = init,
    .min_args = 1,
    .max_args = 1,
    .run = run,
};
/* clang-format on */
