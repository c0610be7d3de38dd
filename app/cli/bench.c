/* SPDX-License-Identifier: Apache-2.0
 *
 * cli/bench.c: `lar bench`: how fast a model runs here. ppN is reading a prompt of N tokens, tgN choosing nothing but
 * evaluating N tokens one by one, tgNxS the same for S conversations together; from an empty context, or (@D) behind D
 * tokens. Each is done a few times after a warm-up, and the median counts. Sampling is not in it. */
#include <lar/batch.h>

#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/rng.h"
#include "base/time.h"
#include "cli/idlist.h"
#include "cli/named.h"
#include "cli/out.h"
#include "cli/verbs.h"

enum { REPS_MAX = 100, SESSIONS_MAX = 64 };

struct bench_options {
    int json, prompt, generate, reps, kv;
    const char *threads, *depths, *sessions;
};

/* tokens evaluated in pieces of `step` behind `depth` others, in each of `sessions` conversations. */
struct test {
    const char *name; /* "pp", "tg" */
    int tokens, step, depth, sessions;
};

struct bench {
    const struct bench_options *o;
    struct lar_model *m;
    struct lar_session *s[SESSIONS_MAX];
    struct lar_batch *batch; /* when conversations go together */
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

/* One token more for each conversation, n times. */
static int together(struct bench *b, const struct test *t, struct lar_err *err)
{
    struct lar_part part[SESSIONS_MAX];
    for (int at = 0; at < t->tokens; at++) {
        for (int i = 0; i < t->sessions; i++)
            part[i] = (struct lar_part){
                .session = b->s[i], .tokens = b->tokens.v + t->depth + at, .n = 1, .logits = 1};
        int e = lar_batch_step(b->batch, part, (size_t)t->sessions, err);
        if (e < 0) return e;
        for (int i = 0; i < t->sessions; i++)
            if (part[i].rc < 0) return lar_fail(err, part[i].rc, "%s", part[i].why.msg);
    }
    return 0;
}

static int go_to_depth(struct bench *b, const struct test *t, struct lar_err *err)
{
    int e = lar_session_sync(b->s[0], b->tokens.v, (size_t)t->depth, err);
    for (int i = 1; e >= 0 && i < t->sessions; i++)
        if ((e = lar_session_sync(b->s[i], NULL, 0, err)) >= 0 && t->depth)
            if (lar_session_fork(b->s[i], b->s[0], b->tokens.v, (size_t)t->depth + 1, err) < t->depth)
                e = lar_session_sync(b->s[i], b->tokens.v, (size_t)t->depth, err);
    return e;
}

/* Milliseconds, negative on failure. */
static double once(struct bench *b, const struct test *t, struct lar_err *err)
{
    if (go_to_depth(b, t, err) < 0) return -1;
    int64_t start = time_ns();
    if (t->sessions > 1) return together(b, t, err) < 0 ? -1 : time_ms_since(start);
    for (int at = 0; at < t->tokens; at += t->step)
        if (lar_session_extend(b->s[0], b->tokens.v + t->depth + at, (size_t)t->step, NULL, err) < 0) return -1;
    return time_ms_since(start);
}

/* What bounds reading a prompt is arithmetic, what bounds evaluating token by token is memory: the weights, once a step. */
static const char *bound(const struct bench *b, const struct test *t, double tok_s, double *share)
{
    if (t->step == 1) {
        *share = tok_s / t->sessions * (double)b->info.token_bytes / (b->limits.read_gbs * 1e9);
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

static void report(struct bench *b, const struct test *t, const double *ms)
{
    struct buf *w = out();
    char name[64], with[16] = "", at[16] = "";
    int reps = b->o->reps;
    double median = (ms[(reps - 1) / 2] + ms[reps / 2]) / 2;
    double tok_s = (double)t->tokens * t->sessions * 1000.0 / median;
    double spread = (ms[reps - 1] - ms[0]) / median, share;
    const char *by = bound(b, t, tok_s, &share);
    if (t->sessions > 1) snprintf(with, sizeof with, "x%d", t->sessions);
    if (t->depth) snprintf(at, sizeof at, "@%d", t->depth);
    snprintf(name, sizeof name, "%s%d%s%s", t->name, t->tokens, with, at);
    if (b->o->json) {
        buf_printf(w, "%s{\"test\":\"%s\",\"threads\":%d,\"sessions\":%d,\"depth\":%d,\"tok_s\":",
                   b->written++ ? ",\n " : "[", name, b->info.threads, t->sessions, t->depth);
        buf_json_num(w, tok_s);
        buf_printf(w, ",\"spread\":%.3f,\"reps\":%d,\"bound\":\"%s\",\"share\":%.3f}", spread, reps, by,
                   share);
    } else {
        if (!b->written++)
            buf_printf(w, "%-14s %8s %12s %8s  %s\n", "test", "threads", "tokens/s", "spread",
                       "share of the limit");
        buf_printf(w, "%-14s %8d %12.1f %7.1f%%  %.0f%% of %s%s\n", name, b->info.threads, tok_s, spread * 100,
                   share * 100, by, share > 1 ? ", above it: the model fits the processor's cache" : "");
    }
    out_flush();
}

static int measure(struct bench *b, const struct test *t, struct lar_err *err)
{
    double ms[REPS_MAX];
    if (t->tokens == 0) return 0;
    for (int i = -1; i < b->o->reps; i++) { /* the first one warms up */
        double v = once(b, t, err);
        if (v < 0) return err->code;
        if (i >= 0) ms[i] = v;
    }
    qsort(ms, (size_t)b->o->reps, sizeof *ms, by_size);
    report(b, t, ms);
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

struct plan {
    struct idlist threads, depths, sessions;
    int deepest, most;
};

static int measure_all(struct bench *b, const struct plan *p, struct lar_err *err)
{
    int e = 0;
    for (size_t d = 0; e == 0 && d < p->depths.n; d++) {
        int depth = p->depths.v[d];
        for (size_t i = 0; e == 0 && i < p->sessions.n; i++) {
            struct test t = {"pp", b->o->prompt, b->o->prompt, depth, 1};
            if (i == 0) e = measure(b, &t, err);
            t = (struct test){"tg", b->o->generate, 1, depth, p->sessions.v[i]};
            if (e == 0) e = measure(b, &t, err);
        }
    }
    return e;
}

static int with_threads(struct bench *b, const char *path, const struct plan *p, int threads, struct lar_err *err)
{
    int n = p->deepest + (b->o->prompt > b->o->generate ? b->o->prompt : b->o->generate), e;
    struct lar_model_options mo = {.threads = threads};
    struct lar_session_options so = {.ctx = n, .kv = (enum lar_kv)b->o->kv};
    struct lar_batch_options bo = {.tokens = p->most, .sessions = p->most};
    if ((e = named_model(&b->m, path, &mo, err)) == 0) {
        lar_model_info(b->m, &b->info);
        e = fill(b, n, err);
        for (int i = 0; e == 0 && i < p->most; i++) e = lar_session_open(&b->s[i], b->m, &so, err);
        if (e == 0 && p->most > 1) e = lar_batch_open(&b->batch, b->m, &bo, err);
        if (e == 0 && (e = lar_machine_limits(b->info.threads, &b->limits, err)) == 0) e = measure_all(b, p, err);
        if (e == 0) report_limits(b);
    }
    lar_batch_close(b->batch);
    for (int i = 0; i < p->most; i++) {
        lar_session_close(b->s[i]);
        b->s[i] = NULL;
    }
    lar_model_close(b->m);
    b->batch = NULL;
    b->m = NULL;
    return e;
}

/* Numbers as an option has them: text, or what stands for it. */
static int numbers(struct idlist *to, const char *option, const char *text, const char *instead, int min, int max,
                   struct lar_err *err)
{
    int e = idlist_parse(to, str_of(text ? text : instead), err);
    if (e == LAR_EFORMAT || (e == 0 && to->n == 0))
        return lar_fail(err, LAR_EINVAL, "%s: '%s' is no list of numbers, as 1,2", option, text);
    for (size_t i = 0; e == 0 && text && i < to->n; i++)
        if (to->v[i] < min || to->v[i] > max)
            e = lar_fail(err, LAR_EINVAL, "%s: %d is out of range (%d to %d)", option, to->v[i], min, max);
    return e;
}

static int most_of(const struct idlist *l)
{
    int most = 0;
    for (size_t i = 0; i < l->n; i++) most = l->v[i] > most ? l->v[i] : most;
    return most;
}

static int run(const void *values, char **arg, int narg)
{
    struct bench b = {.o = values};
    struct plan p = {0};
    struct lar_err err;
    int e;
    (void)narg;
    if (b.o->prompt == 0 && b.o->generate == 0) {
        say("bench: -p 0 and -n 0 leave nothing to measure");
        return EXIT_MISUSE;
    }
    if ((e = numbers(&p.threads, "-t, --threads", b.o->threads, "0", 1, 256, &err)) == 0 &&
        (e = numbers(&p.depths, "-d, --depth", b.o->depths, "0", 0, 1 << 24, &err)) == 0)
        e = numbers(&p.sessions, "-s, --sessions", b.o->sessions, "1", 1, SESSIONS_MAX, &err);
    p.deepest = most_of(&p.depths);
    p.most = most_of(&p.sessions);
    for (size_t i = 0; e == 0 && i < p.threads.n; i++) e = with_threads(&b, arg[0], &p, p.threads.v[i], &err);
    if (b.o->json && b.written) buf_puts(out(), "]\n");
    idlist_done(&p.threads);
    idlist_done(&p.depths);
    idlist_done(&p.sessions);
    idlist_done(&b.tokens);
    return out_done(e < 0 ? say_err(&err) : EXIT_DONE);
}

#define AT(field) offsetof(struct bench_options, field)
/* clang-format off */
static const struct opt options[] = {
    {.kind = OPT_FLAG, .name = "json", .at = AT(json), .value = 1,
     .help = "An array of {test, threads, sessions, depth, tok_s, spread, reps, bound, share}."},
    {.kind = OPT_INT, .name = "prompt", .letter = 'p', .at = AT(prompt), .arg = "N", .max = 1 << 24,
     .help = "Tokens of the prompt to read (512); 0 leaves this test out."},
    {.kind = OPT_INT, .name = "generate", .letter = 'n', .at = AT(generate), .arg = "N", .max = 1 << 24,
     .help = "Tokens to evaluate one by one (128); 0 leaves this test out."},
    {.kind = OPT_TEXT, .name = "threads", .letter = 't', .at = AT(threads), .arg = "1,2",
     .help = "Numbers of threads to measure with, one after the other; without it as many as there are cores."},
    {.kind = OPT_TEXT, .name = "depth", .letter = 'd', .at = AT(depths), .arg = "0,4096",
     .help = "Numbers of tokens that are in the context before the test begins (0)."},
    {.kind = OPT_TEXT, .name = "sessions", .letter = 's', .at = AT(sessions), .arg = "1,8",
     .help = "Numbers of conversations that are evaluated token by token together (1); the speed is of all of them."},
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
    .about = "Measures reading a prompt (pp) and evaluating token by token (tg), in tokens a second, each beside what "
             "bounds it on this machine: tg128x8 is for 8 conversations together, tg128@4096 behind 4096 tokens.",
    .opts = options,
    .size = sizeof(struct bench_options),
    .init = init,
    .min_args = 1,
    .max_args = 1,
    .run = run,
};
/* clang-format on */
