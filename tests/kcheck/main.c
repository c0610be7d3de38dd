/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/kcheck/main.c: the engine of kcheck: levels, cases, guarded memory, time. What is proved
 * lives in the families' files.
 *
 *     kcheck [--bench] [--threads N] [--seed N] [--only PATTERN]   PATTERN as in a shell: "mul_*"
 */
#include "kcheck.h"

#include <fnmatch.h>
#include <math.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cpu.h"
#include "base/time.h"
#include "lar/lar.h"

static struct {
    int bench, threads;
    uint64_t seed;
    const char *only, *level;
    struct rng rng;
    char name[96];
    int failures, cases, bad;
    double read_gbs, peak_gops; /* with this many threads; of the family's products */
} kc = {.threads = 1, .seed = 1};

/* ---- cases ---- */

int kc_begin(const char *what, ...)
{
    char op[64];
    va_list ap;
    va_start(ap, what);
    vsnprintf(op, sizeof op, what, ap);
    va_end(ap);
    snprintf(kc.name, sizeof kc.name, "%s_%s", op, kc.level);
    if (kc.only && fnmatch(kc.only, kc.name, 0)) return 0;
    kc.failures = 0;
    rng_seed(&kc.rng, kc.seed);
    return 1;
}

void kc_expect(int ok, const char *fmt, ...)
{
    va_list ap;
    if (ok || kc.failures++ >= 5) return;
    printf("# %s: ", kc.name);
    va_start(ap, fmt);
    vprintf(fmt, ap);
    va_end(ap);
    putchar('\n');
}

int kc_failed(void) { return kc.failures > 0; }

void kc_end(void)
{
    kc.cases++;
    kc.bad += kc.failures > 0;
    printf("%sok %d - %s\n", kc.failures ? "not " : "", kc.cases, kc.name);
    fflush(stdout);
}

/* ---- numbers ---- */

struct rng *kc_rng(void) { return &kc.rng; }
uint64_t kc_random(uint64_t n) { return rng_u64(&kc.rng) % n; }

static float ordinary(void)
{
    float sum = 0;
    for (int i = 0; i < 4; i++) sum += (float)rng_uniform(&kc.rng) - 0.5f;
    return sum * 2;
}

const char *kc_fill_name(int kind)
{
    static const char *const name[KC_FILLS] = {"ordinary",    "zero",      "large",
                                               "alternating", "subnormal", "one huge"};
    return name[kind];
}

void kc_fill(int kind, float *x, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        float v = ordinary();
        x[i] = kind == 1   ? 0
               : kind == 2 ? copysignf(1e8f, v)
               : kind == 3 ? (i & 1 ? -1.0f : 1.0f)
               : kind == 4 ? v * 0x1p-130f
               : kind == 5 ? v * 1e-3f
                           : v;
    }
    if (kind == 5 && n) x[kc_random(n)] = -3e9f;
}

/* ---- memory: [ header | canary ... | n bytes ][ guard page ] ---- */

enum { PAGE = 4096, CANARY = 128 };

struct guarded {
    char *base;
    size_t size;
    char *user;
};

void *kc_alloc(size_t n, size_t align)
{
    size_t body = (n + CANARY + sizeof(struct guarded) + align + PAGE - 1) / PAGE * PAGE;
    char *base =
        mmap(NULL, body + PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (base == MAP_FAILED || mprotect(base + body, PAGE, PROT_NONE)) {
        fprintf(stderr, "kcheck: no memory for %zu bytes\n", n);
        exit(1);
    }
    size_t at = (body - n) / align * align;
    char *user = base + at;
    struct guarded g = {base, body + PAGE, user};
    memset(user - CANARY, 0xa5, CANARY);
    memset(user + n, 0xa5, body - at - n);
    memcpy(user - CANARY - sizeof g, &g, sizeof g);
    return user;
}

void kc_free(void *p)
{
    struct guarded g;
    char *user = p;
    memcpy(&g, user - CANARY - sizeof g, sizeof g);
    for (int i = 1; i <= CANARY; i++)
        if ((unsigned char)user[-i] != 0xa5) {
            kc_expect(0, "wrote %d bytes before a buffer", i);
            break;
        }
    munmap(g.base, g.size);
}

/* ---- time ---- */

int kc_bench(void) { return kc.bench; }
int kc_threads(void) { return kc.threads; }

struct worker {
    void (*fn)(void *ctx, int thread, int threads);
    void *ctx;
    int thread, runs;
    pthread_barrier_t *barrier;
    double *ns; /* thread 0: of each run */
};

static void *work(void *arg)
{
    struct worker *w = arg;
    for (int i = 0; i < w->runs; i++) {
        pthread_barrier_wait(w->barrier);
        int64_t start = time_ns();
        w->fn(w->ctx, w->thread, kc.threads);
        pthread_barrier_wait(w->barrier);
        if (!w->thread) w->ns[i] = (double)(time_ns() - start);
    }
    return NULL;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

enum { RUNS = 400, THREADS_MAX = 64 };

void kc_products(int integer)
{
    static struct lar_limits l;
    struct lar_err err;
    if (!kc.bench) return;
    if (l.read_gbs <= 0 && lar_machine_limits(kc.threads, &l, &err) < 0) {
        fprintf(stderr, "kcheck: %s\n", err.msg);
        exit(1);
    }
    if (kc.read_gbs <= 0)
        printf("# %d threads of %s: %.1f GB/s, int8 %.0f, bf16 %.0f, f32 %.0f Gop/s\n", kc.threads,
               lar_cpu_level(), l.read_gbs, l.int8_gops, l.bf16_gflops, l.f32_gflops);
    kc.read_gbs = l.read_gbs;
    kc.peak_gops = integer ? l.int8_gops : l.f32_gflops;
}

/* Runs are many and short, and the time told is that of the fifth part of them which was quickest:
 * what else the machine does then falls out of the figure. */
double kc_time(const char *what, void (*fn)(void *ctx, int thread, int threads), void *ctx,
               double bytes, double ops, double base_ns)
{
    static double ns[RUNS];
    struct worker w[THREADS_MAX];
    pthread_t id[THREADS_MAX];
    pthread_barrier_t barrier;
    int64_t start = time_ns();
    for (int i = 0; i < kc.threads; i++) fn(ctx, i, kc.threads);
    double runs_f = 2e8 / ((double)(time_ns() - start) / kc.threads);
    int runs = runs_f > RUNS ? RUNS : runs_f < 5 ? 5 : (int)runs_f;
    pthread_barrier_init(&barrier, NULL, (unsigned)kc.threads);
    for (int i = 0; i < kc.threads; i++) w[i] = (struct worker){fn, ctx, i, runs, &barrier, ns};
    for (int i = 1; i < kc.threads; i++)
        if (pthread_create(&id[i], NULL, work, &w[i])) abort();
    work(&w[0]);
    for (int i = 1; i < kc.threads; i++) pthread_join(id[i], NULL);
    pthread_barrier_destroy(&barrier);
    qsort(ns, (size_t)runs, sizeof *ns, by_size);
    double t = ns[runs / 5];
    printf("# %-24s %-28s %12.0f ns", kc.name, what, t);
    if (bytes > 0) printf(" %8.2f GB/s", bytes / t);
    if (ops > 0) printf(" %8.1f Gop/s", ops / t);
    double read = bytes / t / kc.read_gbs, calc = ops / t / kc.peak_gops;
    if (bytes > 0 || ops > 0) printf(" %4.0f %% of %s", 100 * fmax(read, calc), read > calc ? "memory" : "products");
    if (base_ns > 0) printf(" %7.2fx", base_ns / t);
    putchar('\n');
    fflush(stdout);
    return t;
}

/* ---- the ladder ---- */

static const struct {
    const char *name;
    unsigned flags;
} ladder[] = {
    {"c", 0},
#if defined(__x86_64__)
    {"avx2", CPU_AVX2},
    {"avx512", CPU_AVX2 | CPU_AVX512},
    {"avx512bf16", CPU_AVX2 | CPU_AVX512 | CPU_AVX512_BF16},
#elif defined(__aarch64__)
    {"neon", CPU_NEON_DOT},
    {"i8mm", CPU_NEON_DOT | CPU_NEON_I8MM},
#endif
};

static int usage(void)
{
    fprintf(stderr, "usage: kcheck [--bench] [--threads N] [--seed N] [--only PATTERN]\n");
    return 2;
}

static int options(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (!strcmp(argv[i], "--bench")) {
            kc.bench = 1;
            continue;
        }
        if (!value) return usage();
        if (!strcmp(argv[i], "--threads"))
            kc.threads = (int)strtol(value, NULL, 10);
        else if (!strcmp(argv[i], "--seed"))
            kc.seed = strtoull(value, NULL, 10);
        else if (!strcmp(argv[i], "--only"))
            kc.only = value;
        else
            return usage();
        i++;
    }
    return kc.threads >= 1 && kc.threads <= THREADS_MAX ? 0 : usage();
}

int main(int argc, char **argv)
{
    static struct kern ref, table[2];
    struct fit fit_ref, fit[2];
    if (options(argc, argv)) return 2;
    if (!kc.bench) alarm(300);
    unsigned have = cpu_detect();
    kern_init(&ref, 0);
    table[1] = ref;
    fit_init(&fit_ref, 0);
    fit[1] = fit_ref;
    for (size_t i = 0; i < sizeof ladder / sizeof *ladder; i++) {
        struct kern *now = &table[i % 2], *below = &table[(i + 1) % 2];
        kc.level = ladder[i].name;
        if ((have & ladder[i].flags) != ladder[i].flags) {
            printf("ok %d # SKIP this processor has no %s\n", ++kc.cases, kc.level);
            *now = *below;
            fit[i % 2] = fit[(i + 1) % 2];
            continue;
        }
        kern_init(now, ladder[i].flags);
        fit_init(&fit[i % 2], ladder[i].flags);
        struct kc_level level = {kc.level, &ref, below, now, &fit_ref, &fit[(i + 1) % 2], &fit[i % 2]};
        kc_products(1);
        kc_quant(&level);
        kc_products(0);
        kc_float(&level);
        kc_attn(&level);
        kc_row(&level);
        kc_scan(&level);
        kc_fit(&level);
    }
    printf("1..%d\n", kc.cases);
    return kc.bad ? 1 : 0;
}
