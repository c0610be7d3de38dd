/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/test_golden.c: logits and greedy text of small models of every family against those of the reference implementation, in float64
 * (tests/data/golden, which its make.py made, and ../shared/golden/models, skipped where absent). Each model goes through whole, in slices, token by token, with one and two threads and at
 * each CPU level this machine has; and once from the Hugging Face folder, converted in memory. Where all is slower (LAR_SLOW), that is the scalar
 * code's way, each of the machine's levels goes one other (the highest the one whose logits count), the text is shorter, and of the shared models
 * every third is taken. A model of a family that Lar does not run yet is skipped by name.
 */
#include <dirent.h>

#include "base/cpu.h"
#include "base/json.h"
#include "convert/convert.h"
#include "io/safetensors.h"
#include "run/session.h"
#include "tap.h"

#define OWN "tests/data/golden"
#define SHARED "../shared/golden/models"

enum { GREEDY_SLOW = 6 };

static const char *root;

struct golden {
    struct safetensors st;
    const int32_t *ids, *greedy;
    const float *logits;
    size_t n, nlogit, ngreedy, vocab;
    double tolerance;
};

static const void *tensor(const struct golden *g, const char *name, size_t *n, size_t *m)
{
    const struct safetensors_tensor *t = safetensors_find(&g->st, name);
    if (!t) return NULL;
    *n = (size_t)t->shape[0];
    if (m) *m = (size_t)t->shape[1];
    return t->data;
}

static double tolerance_of(const char *name)
{
    char path[300], text[4096];
    double dev = 0;
    snprintf(path, sizeof path, "%s/%s/note.json", root, name);
    FILE *f = fopen(path, "r");
    if (f) {
        struct arena a;
        arena_init(&a, 0);
        size_t n = fread(text, 1, sizeof text, f);
        dev =
            json_num(json_get(json_parse(&a, (struct str){text, n}, NULL), "float32_deviation"), 0);
        arena_done(&a);
        fclose(f);
    }
    return 4 * dev > 2e-4 ? 4 * dev : 2e-4;
}

struct way {
    const char *cpu;
    int threads;
    size_t slice;
    enum kern_kv kv;
};

static void compare(const struct golden *g, const float *all, const char *what)
{
    double worst = 0;
    for (size_t i = 0; i < g->nlogit * g->vocab; i++) {
        double d = fabs((double)all[(g->n - g->nlogit) * g->vocab + i] - (double)g->logits[i]);
        if (!(d <= worst)) worst = d;
    }
    if (!(worst <= g->tolerance))
        printf("# %s: logits off by %g, allowed %g\n", what, worst, g->tolerance), tap_case_bad++;
}

/* A folder is converted in memory. */
static int open_any(struct model **m, const char *path, int threads, struct lar_err *err)
{
    struct gguf g;
    if (!convert_is(path)) return model_open(m, path, threads, err);
    int rc = convert_memory(&g, path, err);
    return rc < 0 ? rc : model_open_gguf(m, &g, path, threads, err);
}

static void run_way(const char *path, const struct golden *g, const struct way *w)
{
    struct lar_err err = {0};
    struct model *m = NULL;
    struct kv_pool *pool = NULL;
    struct session s = {0};
    struct dev_kv_layer *layout = NULL;
    size_t block = 0;
    char what[100];
    snprintf(what, sizeof what, "%s, LAR_CPU=%s, %d threads, slices of %zu", convert_is(path) ? "folder" : "file",
             w->cpu, w->threads, w->slice);
    setenv("LAR_CPU", w->cpu, 1);
    float *all = malloc(g->n * g->vocab * sizeof *all);
    int ok = all && open_any(&m, path, w->threads, &err) >= 0;
    if (ok) layout = calloc(m->h.nlayer, sizeof *layout);
    ok = ok && layout && model_kv_layout(m, w->kv, layout, &block, &err) >= 0 &&
         kv_pool_open(&pool, block, &err) >= 0 &&
         session_open(&s, m, pool, w->kv, g->n + g->ngreedy + 1 < 512 ? 400 : 1024, 512, &err) >= 0;
    if (ok) session_reuse(&s, g->ids, g->n); /* says how long the prompt is */
    for (size_t i = 0; ok && i < g->n; i += w->slice) {
        size_t k = g->n - i < w->slice ? g->n - i : w->slice;
        ok = session_extend(&s, g->ids + i, k, all + i * g->vocab, NULL, NULL, &err) >= 0;
    }
    if (ok && w->kv == KV_F32) compare(g, all, what);
    for (size_t i = 0; ok && i < g->ngreedy; i++) {
        int32_t best = (int32_t)m->dev->kern->argmax(g->vocab, session_logits(&s));
        if (best != g->greedy[i]) {
            printf("# %s: greedy token %zu is %d, not %d\n", what, i, best, g->greedy[i]);
            tap_case_bad++;
            break;
        }
        ok = session_extend(&s, &best, 1, NULL, NULL, NULL, &err) >= 0;
    }
    if (!ok) printf("# %s: %s\n", what, err.msg), tap_case_bad++;
    if (s.model) session_close(&s);
    kv_pool_close(pool);
    model_close(m);
    free(layout);
    free(all);
}

static int known(const char *path, char arch[64])
{
    struct gguf g;
    struct str name = STR("");
    struct lar_err err = {0};
    arch[0] = 0;
    if ((convert_is(path) ? convert_memory(&g, path, &err) : gguf_open(&g, path, &err)) < 0) {
        printf("# %s\n", err.msg);
        return -1;
    }
    gguf_str(&g, "general.architecture", &name, NULL);
    snprintf(arch, 64, "%.*s", STR_ARG(name));
    int yes = arch_find(name) != NULL;
    gguf_close(&g);
    return yes;
}

static int has(const char *folder, const char *name)
{
    char path[400];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return access(path, R_OK) == 0;
}

static void one(const char *name)
{
    struct golden g = {0};
    char path[300], gguf[300], folder[300], arch[64], skip[200];
    snprintf(path, sizeof path, "%s/%s/expected.safetensors", root, name);
    snprintf(gguf, sizeof gguf, "%s/%s/model-f32.gguf", root, name);
    snprintf(folder, sizeof folder, "%s/%s", root, name);
    /* mistral-window's numbers are those of a window that its GGUF does not have (the golden README); two have no GGUF. */
    int convertible = has(folder, "config.json"), folder_only = access(gguf, R_OK) || !strcmp(name, "mistral-window");
    if (known(folder_only ? folder : gguf, arch) == 0) {
        snprintf(skip, sizeof skip, "%s: family %s is not known yet", name, arch);
        SKIP(skip);
        return;
    }
    tap_case_bad = 0;
    struct lar_err err = {0};
    if (safetensors_open(&g.st, path, &err) < 0) {
        printf("# %s\n", err.msg);
        tap_ok(0, name);
        return;
    }
    g.ids = tensor(&g, "input_ids", &g.n, NULL);
    g.logits = tensor(&g, "logits", &g.nlogit, &g.vocab);
    g.greedy = tensor(&g, "greedy", &g.ngreedy, NULL);
    g.tolerance = tolerance_of(name);
    int slow = getenv("LAR_SLOW") != NULL;
    if (slow && g.ngreedy > GREEDY_SLOW) g.ngreedy = GREEDY_SLOW;
    const char *levels[] = {"c", "avx2", "avx512", "neon"};
    unsigned have = cpu_detect(), need[] = {0, CPU_AVX2, CPU_AVX512, CPU_NEON_DOT};
    int highest = 0;
    for (int i = 1; i < 4; i++)
        if (have & need[i]) highest = i;
    for (int i = 0; i < 4; i++) {
        if (need[i] && !(have & need[i])) continue;
        struct way whole = {levels[i], 1, 1000, KV_F32}, slices = {levels[i], 2, 7, KV_F32},
                   single = {levels[i], 1, 1, KV_F32}, half = {levels[i], 2, 40, KV_F16};
        const char *model = folder_only ? folder : gguf;
        if (!folder_only && !need[i] && convertible) run_way(folder, &g, &whole);
        if (slow && !need[i] && highest && !folder_only) continue;
        if (!slow || i == highest) run_way(model, &g, &slices);
        if (!slow || i != highest) run_way(model, &g, &half); /* greedy only: F16 keys and values move logits by some 1e-3 */
        if (slow) continue;
        run_way(model, &g, &whole);
        run_way(model, &g, &single);
    }
    safetensors_close(&g.st);
    tap_ok(!tap_case_bad, name);
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

/* The models of a folder, those whose names have part in them; how many it has. */
static int walk(const char *folder, const char *part)
{
    struct dirent **entry = NULL;
    int models = 0, every = getenv("LAR_SLOW") && !strcmp(folder, SHARED) ? 3 : 1;
    root = folder;
    int n = scandir(folder, &entry, NULL, by_name);
    if (n < 0) printf("# %s is not here\n", folder);
    for (int i = 0; i < n; i++) {
        const char *name = entry[i]->d_name;
        char path[300];
        snprintf(path, sizeof path, "%s/%s/expected.safetensors", folder, name);
        if (name[0] != '.' && access(path, R_OK) == 0 && models++ % every == 0 && strstr(name, part)) one(name);
        free(entry[i]);
    }
    free(entry);
    return models;
}

/* test_golden [ROOT [PART]]: the models in another folder; only those whose names have PART in them. */
int main(int argc, char **argv)
{
    tap_timeout(600);
    if (argc > 1) {
        walk(argv[1], argc > 2 ? argv[2] : "");
        return tap_done();
    }
    tap_ok(walk(OWN, "") >= 10, "the project's own models are there");
    if (!walk(SHARED, "")) SKIP(SHARED " is not here");
    return tap_done();
}
