/* SPDX-License-Identifier: Apache-2.0
 *
 * cli/bench.c: `lar bench`: how fast a model runs here. ppN is reading a prompt of N tokens, tgN choosing nothing but
 * evaluating N tokens one by one, tgNxS the same for S conversations together; from an empty context, or (@D) behind D
 * tokens. Each is done a few times after a warm-up, and the median counts. Sampling is not in it.
 *
 * The machine's limits are measured around each test, not once: neighbours and the placement of virtual cores change while it runs, and a share
 * of the bandwidth of another minute says nothing. With others to compare with (peer.c) all take turns, run by run.
 */
#include <lar/batch.h>

#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/rng.h"
#include "base/time.h"
#include "cli/choice.h"
#include "cli/idlist.h"
#include "cli/named.h"
#include "cli/out.h"
#include "cli/peer.h"
#include "cli/verbs.h"

enum { REPS_MAX = 100, SESSIONS_MAX = 64, PEERS_MAX = 4 };

struct bench_options {
    int json, prompt, generate, reps, kv;
    const char *threads, *depths, *sessions;
    struct opt_list compare;
};

static const char *const kv_name[] = {"f16", "f32", "q8_0"};
_Static_assert(LAR_KV_F16 == 0 && LAR_KV_F32 == 1 && LAR_KV_Q8_0 == 2, "as kv_name");

/* What one of those that take turns reached in a test, in tokens a second, sorted at the end. */
struct score {
    double run[REPS_MAX], median;
};

struct bench {
    const struct bench_options *o;
    struct lar_model *m;
    struct lar_session *s[SESSIONS_MAX];
    struct lar_batch *batch; /* when conversations go together */
    struct lar_model_info info;
    struct idlist tokens; /* what is evaluated: random, the same in every run */
    struct peer peer[PEERS_MAX];
    int npeer, written; /* results so far */
    /* step times at depth 0, for what attention costs: of the prompt, of one token; 0: not measured */
    double pp_s, tg_s;
};

static void init(void *values)
{
    struct bench_options *o = values;
    o->prompt = 512;
    o->generate = 64;
    o->reps = 5;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* One token more for each conversation, n times. */
static int together(struct bench *b, const struct bench_test *t, struct lar_err *err)
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

static int go_to_depth(struct bench *b, const struct bench_test *t, struct lar_err *err)
{
    int e = lar_session_sync(b->s[0], b->tokens.v, (size_t)t->depth, err);
    for (int i = 1; e >= 0 && i < t->sessions; i++)
        if ((e = lar_session_sync(b->s[i], NULL, 0, err)) >= 0 && t->depth)
            if (lar_session_fork(b->s[i], b->s[0], b->tokens.v, (size_t)t->depth + 1, err) <
                t->depth)
                e = lar_session_sync(b->s[i], b->tokens.v, (size_t)t->depth, err);
    return e;
}

/* Milliseconds, negative on failure. */
static double once(struct bench *b, const struct bench_test *t, struct lar_err *err)
{
    if (go_to_depth(b, t, err) < 0) return -1;
    int64_t start = time_ns();
    if (t->sessions > 1) return together(b, t, err) < 0 ? -1 : time_ms_since(start);
    for (int at = 0; at < t->tokens; at += t->step)
        if (lar_session_extend(b->s[0], b->tokens.v + t->depth + at, (size_t)t->step, NULL, err) <
            0)
            return -1;
    return time_ms_since(start);
}

/* ---- what the machine allows ---------------------------------------------------------------------------------------- */

/* The better of two looks at the machine: disturbances only make it look slower. */
static struct lar_limits better(const struct lar_limits *x, const struct lar_limits *y)
{
    struct lar_limits l = *x;
    if (y->read_gbs > l.read_gbs) l.read_gbs = y->read_gbs;
    if (y->int8_gops > l.int8_gops) l.int8_gops = y->int8_gops;
    if (y->f32_gflops > l.f32_gflops) l.f32_gflops = y->f32_gflops;
    if (y->bf16_gflops > l.bf16_gflops) l.bf16_gflops = y->bf16_gflops;
    if (l.handover_ns <= 0 || (y->handover_ns > 0 && y->handover_ns < l.handover_ns))
        l.handover_ns = y->handover_ns;
    return l;
}

/* Cores that hand over within 100 ns share a cache. */
static const char *placement(const struct lar_limits *l)
{
    return l->handover_ns <= 0 ? "alone" : l->handover_ns < 100 ? "near" : "far";
}

static double peak_of_attention(const struct lar_limits *l)
{
    return 1e9 * (l->bf16_gflops > 0 ? l->bf16_gflops : l->f32_gflops);
}

/* Seconds that the test must take at least, and by what: memory read once a step, or arithmetic. */
static double least(const struct bench *b, const struct bench_test *t, const struct lar_limits *l,
                    const char **by)
{
    double bytes, ops, steps = (double)t->tokens / t->step,
                       gops = b->info.integer ? l->int8_gops : l->f32_gflops;
    lar_attention_cost(b->m, (enum lar_kv)b->o->kv, t->depth + t->tokens / 2, &bytes, &ops);
    double read = steps * ((double)b->info.token_bytes + bytes * t->sessions) / (l->read_gbs * 1e9);
    double calc = t->tokens * t->sessions *
                  (2 * (double)b->info.token_weights / (gops * 1e9) + ops / peak_of_attention(l));
    *by = read > calc ? "bandwidth" : b->info.integer ? "int8" : "f32";
    return read > calc ? read : calc;
}

static void test_name(const struct bench_test *t, char *name, size_t cap)
{
    char with[16] = "", at[16] = "";
    if (t->sessions > 1) snprintf(with, sizeof with, "x%d", t->sessions);
    if (t->depth) snprintf(at, sizeof at, "@%d", t->depth);
    snprintf(name, cap, "%s%d%s%s", t->name, t->tokens, with, at);
}

static void json_begin(struct bench *b, const char *test)
{
    buf_printf(out(), "%s{\"test\":\"%s\",\"threads\":%d", b->written++ ? ",\n " : "[", test,
               b->info.threads);
}

static void report_limits(struct bench *b, const struct lar_limits *l)
{
    struct buf *w = out();
    if (b->o->json) {
        json_begin(b, "limits");
        buf_printf(w,
                   ",\"read_gbs\":%.1f,\"int8_gops\":%.0f,\"f32_gflops\":%.0f,\"bf16_gflops\":%.0f,"
                   "\"handover_ns\":%.0f,\"placement\":\"%s\",\"level\":\"%s\"}",
                   l->read_gbs, l->int8_gops, l->f32_gflops, l->bf16_gflops, l->handover_ns,
                   placement(l), lar_cpu_level());
    } else {
        buf_printf(w,
                   "limits of this machine (%s), %d thread%s: reads %.1f GB/s, int8 %.0f Gop/s, ",
                   lar_cpu_level(), b->info.threads, b->info.threads == 1 ? "" : "s", l->read_gbs,
                   l->int8_gops);
        if (l->bf16_gflops > 0) buf_printf(w, "bf16 %.0f, ", l->bf16_gflops);
        buf_printf(w, "f32 %.0f GFLOP/s", l->f32_gflops);
        if (l->handover_ns > 0) buf_printf(w, "; cores %s (%.0f ns)", placement(l), l->handover_ns);
        buf_putc(w, '\n');
    }
    out_flush();
}

/* ---- results -------------------------------------------------------------------------------------------------------- */

static void settle(struct score *s, int reps)
{
    qsort(s->run, (size_t)reps, sizeof *s->run, by_size);
    s->median = (s->run[(reps - 1) / 2] + s->run[reps / 2]) / 2;
}

static double spread(const struct score *s, int reps)
{
    return (s->run[reps - 1] - s->run[0]) / s->median;
}

static void report_peers(struct bench *b, const struct bench_test *t, const struct score *s,
                         const struct score *ratio)
{
    struct buf *w = out();
    for (int i = 0; i < b->npeer; i++) {
        if (!peer_can(&b->peer[i], t)) continue;
        if (b->o->json) {
            buf_puts(w, i ? ",{\"name\":" : ",\"peers\":[{\"name\":");
            buf_json_str(w, str_of(b->peer[i].name));
            buf_printf(w, ",\"tok_s\":%.2f,\"spread\":%.3f,\"times\":%.3f}", s[i + 1].median,
                       spread(&s[i + 1], b->o->reps), ratio[i].median);
        } else {
            buf_printf(w, "  %-30.30s %7.1f tokens/s %7.1f%%  lar is %.2f times as fast\n",
                       b->peer[i].name, s[i + 1].median, spread(&s[i + 1], b->o->reps) * 100,
                       ratio[i].median);
        }
    }
    if (b->o->json && b->npeer && peer_can(&b->peer[0], t)) buf_putc(w, ']');
}

/* What the past costs: the time beyond that of an empty context, beside the bytes and operations that it means. */
static void report_attention(struct bench *b, const struct bench_test *t, double step_s,
                             const struct lar_limits *l)
{
    double before = t->step > 1 ? b->pp_s : b->tg_s, bytes, ops, bytes0, ops0;
    char name[64];
    if (t->sessions > 1) return;
    if (t->depth == 0) *(t->step > 1 ? &b->pp_s : &b->tg_s) = step_s;
    if (t->depth == 0 || before <= 0 || step_s <= before) return;
    lar_attention_cost(b->m, (enum lar_kv)b->o->kv, t->depth + t->tokens / 2, &bytes, &ops);
    lar_attention_cost(b->m, (enum lar_kv)b->o->kv, t->tokens / 2, &bytes0, &ops0);
    double ns = (step_s - before) * 1e9, gbs = (bytes - bytes0) / ns,
           gops = (ops - ops0) * t->step / ns;
    double share = t->step > 1 ? gops * 1e9 / peak_of_attention(l) : gbs / l->read_gbs;
    const char *by = t->step == 1 ? "bandwidth" : l->bf16_gflops > 0 ? "bf16" : "f32";
    snprintf(name, sizeof name, "attention-%s%s@%d", t->name, t->step > 1 ? "" : "1", t->depth);
    if (b->o->json) {
        json_begin(b, name);
        buf_printf(
            out(),
            ",\"depth\":%d,\"ms\":%.4f,\"gbs\":%.2f,\"gops\":%.1f,\"bound\":\"%s\",\"share\":%.3f}",
            t->depth, ns * 1e-6, gbs, gops, by, share);
    } else {
        buf_printf(out(), "  %-12s %.2f ms more than without a past: %.1f %s, %.0f%% of %s\n",
                   "attention", ns * 1e-6, t->step > 1 ? gops : gbs, t->step > 1 ? "Gop/s" : "GB/s",
                   share * 100, by);
    }
    out_flush();
}

static void report(struct bench *b, const struct bench_test *t, const struct score *s,
                   const struct score *ratio, const struct lar_limits *l)
{
    struct buf *w = out();
    char name[64];
    const char *by;
    double seconds = (double)t->tokens * t->sessions / s->median,
           share = least(b, t, l, &by) / seconds;
    test_name(t, name, sizeof name);
    if (b->o->json) {
        json_begin(b, name);
        buf_printf(w, ",\"sessions\":%d,\"depth\":%d,\"tok_s\":", t->sessions, t->depth);
        buf_json_num(w, s->median);
        buf_printf(
            w,
            ",\"spread\":%.3f,\"reps\":%d,\"bound\":\"%s\",\"share\":%.3f,\"read_gbs\":%.1f,\"handover_ns\":%.0f",
            spread(s, b->o->reps), b->o->reps, by, share, l->read_gbs, l->handover_ns);
        report_peers(b, t, s, ratio);
        buf_putc(w, '}');
    } else {
        if (!b->written++)
            buf_printf(w, "%-14s %8s %12s %8s  %s\n", "test", "threads", "tokens/s", "spread",
                       "share of the limit");
        buf_printf(w, "%-14s %8d %12.1f %7.1f%%  %.0f%% of %s (%.1f GB/s%s%s)%s\n", name,
                   b->info.threads, s->median, spread(s, b->o->reps) * 100, share * 100, by,
                   l->read_gbs, l->handover_ns > 0 ? ", cores " : "",
                   l->handover_ns > 0 ? placement(l) : "",
                   share <= 1 ? ""
                   : b->info.token_bytes < 64 << 20
                       ? ", above it: the model fits the processor's cache"
                       : ", above it: others kept the machine busy when that was measured");
        report_peers(b, t, s, ratio);
    }
    out_flush();
    report_attention(b, t, seconds * t->step / t->tokens, l);
}

/* The run of number i of everybody; -1: the warm-up, which nobody keeps. */
static int turn(struct bench *b, const struct bench_test *t, int i, struct score *s,
                struct score *ratio, struct lar_err *err)
{
    double ms = once(b, t, err), tok_s;
    if (ms < 0) return err->code;
    if (i >= 0) s[0].run[i] = t->tokens * t->sessions * 1000.0 / ms;
    for (int k = 0; k < b->npeer; k++) {
        if (!peer_can(&b->peer[k], t)) continue;
        int e = peer_once(&b->peer[k], t, &tok_s, err);
        if (e < 0) return e;
        if (i < 0) continue;
        s[k + 1].run[i] = tok_s;
        ratio[k].run[i] = s[0].run[i] / tok_s;
    }
    return 0;
}

static int measure(struct bench *b, const struct bench_test *t, struct lar_err *err)
{
    static struct score s[PEERS_MAX + 1], ratio[PEERS_MAX];
    struct lar_limits before, after;
    int e = 0;
    if (t->tokens == 0) return 0;
    if ((e = lar_machine_limits(b->info.threads, &before, err)) < 0) return e;
    for (int i = -1; e == 0 && i < b->o->reps; i++) e = turn(b, t, i, s, ratio, err);
    if (e == 0) e = lar_machine_limits(b->info.threads, &after, err);
    if (e < 0) return e;
    for (int i = 0; i <= b->npeer; i++) settle(&s[i], b->o->reps);
    for (int i = 0; i < b->npeer; i++) settle(&ratio[i], b->o->reps);
    before = better(&before, &after);
    report(b, t, s, ratio, &before);
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
    int most;
};

/* Conversations together are measured behind an empty context, unless numbers of them were asked for. */
static int measure_all(struct bench *b, const struct plan *p, struct lar_err *err)
{
    int e = 0, room = b->o->prompt > b->o->generate ? b->o->prompt : b->o->generate;
    b->pp_s = b->tg_s = 0;
    for (size_t d = 0; e == 0 && d < p->depths.n; d++) {
        int depth = p->depths.v[d];
        if (!b->o->depths && depth && depth + room > b->info.ctx_train) continue;
        for (size_t i = 0; e == 0 && i < p->sessions.n; i++) {
            struct bench_test t = {"pp", b->o->prompt, b->o->prompt, depth, 1};
            if (i == 0) e = measure(b, &t, err);
            t = (struct bench_test){"tg", b->o->generate, 1, depth, p->sessions.v[i]};
            if (e == 0 && (t.sessions == 1 || d == 0 || b->o->sessions)) e = measure(b, &t, err);
        }
    }
    return e;
}

static int open_peers(struct bench *b, const char *path, int ctx, int most, struct lar_err *err)
{
    struct peer_setup ps = {path, b->info.threads, ctx, most, kv_name[b->o->kv]};
    int e = 0;
    for (size_t i = 0; e == 0 && i < b->o->compare.n; i++)
        e = peer_open(&b->peer[b->npeer++], b->o->compare.v[i], &ps, err);
    return e;
}

static void close_all(struct bench *b)
{
    for (int i = 0; i < b->npeer; i++) peer_close(&b->peer[i]);
    lar_batch_close(b->batch);
    for (int i = 0; i < SESSIONS_MAX; i++) {
        lar_session_close(b->s[i]);
        b->s[i] = NULL;
    }
    lar_model_close(b->m);
    b->batch = NULL;
    b->m = NULL;
    b->npeer = 0;
}

static int with_threads(struct bench *b, const char *arg, const struct plan *p, int threads,
                        struct lar_err *err)
{
    int n = b->o->prompt > b->o->generate ? b->o->prompt : b->o->generate, e, deepest = 0;
    struct lar_model_options mo = {.threads = threads};
    struct lar_batch_options bo = {.tokens = p->most, .sessions = p->most};
    struct lar_limits limits;
    struct named named = {0};
    if ((e = named_open(&named, arg, err)) == 0 && (e = named_load(&b->m, &named, &mo, err)) == 0) {
        lar_model_info(b->m, &b->info);
        for (size_t i = 0; i < p->depths.n; i++)
            if (p->depths.v[i] > deepest &&
                (b->o->depths || p->depths.v[i] + n <= b->info.ctx_train))
                deepest = p->depths.v[i];
        struct lar_session_options so = {.kv = (enum lar_kv)b->o->kv};
        e = fill(b, n + deepest, err);
        for (int i = 0; e == 0 && i < p->most; i++) {
            so.ctx = i && !b->o->sessions
                         ? b->o->generate
                         : n + deepest; /* who never stands deep needs no room for it */
            e = lar_session_open(&b->s[i], b->m, &so, err);
        }
        if (e == 0 && p->most > 1) e = lar_batch_open(&b->batch, b->m, &bo, err);
        if (e == 0) e = open_peers(b, named.path, n + deepest, p->most, err);
        if (e == 0) e = measure_all(b, p, err);
        if (e == 0 && (e = lar_machine_limits(b->info.threads, &limits, err)) == 0)
            report_limits(b, &limits);
    }
    close_all(b);
    named_close(&named);
    return e;
}

/* Numbers as an option has them: text, or what stands for it. */
static int numbers(struct idlist *to, const char *option, const char *text, const char *instead,
                   int min, int max, struct lar_err *err)
{
    int e = idlist_parse(to, str_of(text ? text : instead), err);
    if (e == LAR_EFORMAT || (e == 0 && to->n == 0))
        return lar_fail(err, LAR_EINVAL, "%s: '%s' is no list of numbers, as 1,2", option, text);
    for (size_t i = 0; e == 0 && text && i < to->n; i++)
        if (to->v[i] < min || to->v[i] > max)
            e = lar_fail(err, LAR_EINVAL, "%s: %d is out of range (%d to %d)", option, to->v[i],
                         min, max);
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
    if (b.o->compare.n > PEERS_MAX) {
        say("bench: at most %d to compare with", PEERS_MAX);
        return EXIT_MISUSE;
    }
    if (b.o->prompt == 0 && b.o->generate == 0) {
        say("bench: -p 0 and -n 0 leave nothing to measure");
        return EXIT_MISUSE;
    }
    if ((e = numbers(&p.threads, "-t, --threads", b.o->threads, "0", 1, 256, &err)) == 0 &&
        (e = numbers(&p.depths, "-d, --depth", b.o->depths, "0,1024,4096", 0, 1 << 24, &err)) == 0)
        e = numbers(&p.sessions, "-s, --sessions", b.o->sessions, "1,2,4,8,16", 1, SESSIONS_MAX,
                    &err);
    p.most = most_of(&p.sessions);
    choice_use();
    for (size_t i = 0; e == 0 && i < p.threads.n; i++)
        e = with_threads(&b, arg[0], &p, p.threads.v[i], &err);
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
     .help = "An array of {test, threads, sessions, depth, tok_s, spread, reps, bound, share, read_gbs, "
             "handover_ns, peers}."},
    {.kind = OPT_INT, .name = "prompt", .letter = 'p', .at = AT(prompt), .arg = "N", .max = 1 << 24,
     .help = "Tokens of the prompt to read (512); 0 leaves this test out."},
    {.kind = OPT_INT, .name = "generate", .letter = 'n', .at = AT(generate), .arg = "N", .max = 1 << 24,
     .help = "Tokens to evaluate one by one (64); 0 leaves this test out."},
    {.kind = OPT_TEXT, .name = "threads", .letter = 't', .at = AT(threads), .arg = "1,2",
     .help = "Numbers of threads to measure with, one after the other; without it as many as there are cores."},
    {.kind = OPT_TEXT, .name = "depth", .letter = 'd', .at = AT(depths), .arg = "0,4096",
     .help = "Numbers of tokens that are in the context before the test begins (0, 1024 and 4096, as far as "
             "the model was trained)."},
    {.kind = OPT_TEXT, .name = "sessions", .letter = 's', .at = AT(sessions), .arg = "1,8",
     .help = "Numbers of conversations that are evaluated token by token together; the speed is of all of "
             "them. Without it "
             "1, 2, 4, 8 and 16, behind an empty context."},
    {.kind = OPT_INT, .name = "reps", .letter = 'r', .at = AT(reps), .arg = "N", .min = 1, .max = REPS_MAX,
     .help = "How often each test is done (5), after a warm-up; the median counts."},
    {.kind = OPT_WORD, .name = "kv", .at = AT(kv), .arg = "TYPE", .words = "f16 f32 q8_0",
     .help = "How keys and values are kept: f16 (the default), f32 or q8_0."},
    {.kind = OPT_LIST, .name = "compare", .at = AT(compare), .arg = "WHAT",
     .help = "Lets others do the same tests, in turn with Lar run by run: llama.cpp is the one that "
             "node-llama-cpp of npm brings (from "
             "./node_modules or where npm installs for all), and WHAT may be a folder that holds it or the "
             "path of a llama-bench (one "
             "conversation only). May be given up to four times."},
    {.kind = OPT_END},
};

const struct verb verb_bench = {
    .name = "bench",
    .synopsis = "MODEL",
    .summary = "how fast MODEL runs on this machine",
    .about = "Measures reading a prompt (pp) and evaluating token by token (tg), in tokens a second, each "
             "beside what "
             "bounds it on this machine: tg64x8 is for 8 conversations together, tg64@4096 behind 4096 tokens. "
             "The limits are measured around "
             "each test at the same number of threads: reading memory, products of 8-bit integers, floats and "
             "BF16; and whether the cores "
             "are near each other (they share a cache) or far. What attention costs is the time beyond that of "
             "an empty context.",
    .opts = options,
    .size = sizeof(struct bench_options),
    .init = init,
    .min_args = 1,
    .max_args = 1,
    .run = run,
};
/* clang-format on */
