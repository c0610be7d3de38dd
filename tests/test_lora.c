/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/test_lora.c: adapters. Logits of base and adapter against PEFT's in float64 (../shared/golden/train/lora, skipped where absent), at every
 * CPU level, alone and mixed in one step; and on the small Llama of tests/data what must hold of any: scales, sums of several, rows of many
 * adapters in one step, MLX' form, the way back to PEFT's folder, what is refused. */
#include <ftw.h>
#include <lar/batch.h>
#include <lar/convert.h>
#include <lar/lora.h>
#include <sys/stat.h>

#include "base/json.h"
#include "io/safetensors.h"
#include "tap.h"

#define ROOT "../shared/golden/train"
#define TINY "tests/data/tiny-llama"

enum { VOCAB = 512, ROWS = 32 };

static char tmp[64];

static const char *in_tmp(const char *name)
{
    static char path[4][160];
    static int at;
    at = (at + 1) % 4;
    snprintf(path[at], sizeof path[at], "%s/%s", tmp, name);
    return path[at];
}

static int drop(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st, (void)kind, (void)at;
    return remove(path);
}

static int same_files(const char *a, const char *b)
{
    FILE *f = fopen(a, "rb"), *g = fopen(b, "rb");
    int x = 0, y = 0;
    while (f && g && x == y && x != EOF) x = getc(f), y = getc(g);
    if (!f || !g || x != y) printf("# %s and %s differ\n", a, b);
    int same = f && g && x == y;
    if (f) fclose(f);
    if (g) fclose(g);
    return same;
}

/* The adapter GGUF to PEFT's folder back/<name>, and that to an adapter GGUF, which must be the same to the byte. */
static int there_and_back(const char *gguf, const char *base, const char *name)
{
    struct lar_export_result r;
    struct lar_err err = {0};
    char folder[160], again[160];
    snprintf(folder, sizeof folder, "%s/back", tmp);
    mkdir(folder, 0700);
    snprintf(folder, sizeof folder, "%s/back/%s", tmp, name);
    snprintf(again, sizeof again, "%s/again.gguf", tmp);
    int rc = lar_export_lora(gguf, base, folder, NULL, &r, &err);
    if (rc == 0) CHECK_EQ(r.rounded, 0);
    if (rc == 0) rc = lar_convert_lora(folder, base, again, NULL, &err);
    if (rc < 0) printf("# %s: %s\n", name, err.msg);
    return rc == 0 && same_files(gguf, again);
}

/* ---- golden ------------------------------------------------------------------------------------------------------- */

/* The base's folder has no tokenizer; one of as many tokens is lent to it. */
static int make_base(const char *name)
{
    static const char *const lent[] = {"tokenizer.model", "tokenizer_config.json"};
    char from[300], to[200], cwd[150];
    struct lar_err err = {0};
    snprintf(to, sizeof to, "%s/%s", tmp, name);
    if (!getcwd(cwd, sizeof cwd) || mkdir(to, 0700)) return -1;
    for (int i = 0; i < 4; i++) {
        const char *own = i == 0 ? "config.json" : "model.safetensors";
        if (i < 2)
            snprintf(from, sizeof from, "%s/" ROOT "/models/%s/%s", cwd, name, own);
        else
            snprintf(from, sizeof from, "%s/../shared/golden/models/llama-plain/%s", cwd,
                     lent[i - 2]);
        snprintf(to, sizeof to, "%s/%s/%s", tmp, name, i < 2 ? own : lent[i - 2]);
        if (symlink(from, to)) return -1;
    }
    char folder[160], file[160];
    snprintf(folder, sizeof folder, "%s/%s", tmp, name);
    snprintf(file, sizeof file, "%s/%s.gguf", tmp, name);
    if (lar_convert(folder, file, NULL, NULL, &err) == 0) return 0;
    printf("# %s: %s\n", name, err.msg);
    return -1;
}

static int evaluate(const char *model, const struct lar_adapter *a, size_t n, const int32_t *ids,
                    size_t nid, float *out)
{
    struct lar_model_options mo = {.threads = 2, .adapters = a, .nadapter = n};
    struct lar_session_options so = {.ctx = 64, .kv = LAR_KV_F32};
    struct lar_model *m = NULL;
    struct lar_session *s = NULL;
    struct lar_err err = {0};
    int rc = lar_model_open(&m, model, &mo, &err);
    if (rc == 0) rc = lar_session_open(&s, m, &so, &err);
    if (rc >= 0) rc = lar_session_extend(s, ids, nid, out, &err);
    lar_session_close(s);
    lar_model_close(m);
    if (rc < 0) printf("# %s: %s\n", model, err.msg);
    return rc < 0 ? rc : 0;
}

static double furthest(const float *a, const float *b, size_t n)
{
    double worst = 0;
    for (size_t i = 0; i < n; i++) {
        double d = fabs((double)a[i] - (double)b[i]);
        if (!(d <= worst)) worst = d;
    }
    return worst;
}

static void check_case(const char *name, const char *base)
{
    static float got[ROWS * VOCAB];
    struct safetensors st;
    struct lar_err err = {0};
    char path[200], folder[160], gguf[160];
    snprintf(path, sizeof path, ROOT "/lora/%s/case.safetensors", name);
    snprintf(folder, sizeof folder, "%s/%s.gguf", tmp, base);
    snprintf(gguf, sizeof gguf, "%s/%s.lora.gguf", tmp, name);
    CHECK_EQ(safetensors_open(&st, path, &err), 0);
    snprintf(path, sizeof path, ROOT "/lora/%s", name);
    if (lar_convert_lora(path, folder, gguf, NULL, &err) < 0)
        printf("# %s: %s\n", name, err.msg), tap_case_bad++;
    const struct safetensors_tensor *ids = safetensors_find(&st, "batch0.input_ids"),
                                    *mask = safetensors_find(&st, "batch0.attention_mask"),
                                    *last = safetensors_find(&st, "logits_last"),
                                    *all = safetensors_find(&st, "logits");
    for (int i = 0; i < 3 && !tap_case_bad; i++) {
        size_t width = (size_t)ids->shape[1], n = 0;
        const int32_t *id = (const int32_t *)(const void *)ids->data + (size_t)i * width,
                      *use = (const int32_t *)(const void *)mask->data + (size_t)i * width;
        while (n < width && use[n]) n++;
        struct lar_adapter a = {gguf, 1};
        CHECK_EQ(evaluate(folder, &a, 1, id, n, got), 0);
        CHECK_NEAR(furthest(got + (n - 1) * VOCAB,
                            (const float *)(const void *)last->data + i * VOCAB, VOCAB),
                   0, 5e-5);
        if (all)
            CHECK_NEAR(furthest(got,
                                (const float *)(const void *)all->data + (size_t)i * width * VOCAB,
                                n * VOCAB),
                       0, 5e-5);
    }
    safetensors_close(&st);
}

/* ---- many beside one base ------------------------------------------------------------------------------------------- */

enum { MIXED_MAX = 8 };

/* A base, and sessions of it, each with an adapter or none. */
struct mixed {
    struct lar_model *m;
    struct lar_batch *b;
    struct lar_lora *lora[MIXED_MAX];
    struct lar_session *s[MIXED_MAX];
    size_t n, vocab;
};

static int mixed_open(struct mixed *x, const char *base, int deterministic, const struct lar_adapter *a, size_t n)
{
    struct lar_model_options mo = {.threads = 2, .deterministic = deterministic};
    struct lar_session_options so = {.ctx = 64, .kv = LAR_KV_F32};
    struct lar_batch_options bo = {.tokens = 256, .logits = 256};
    struct lar_err err = {0};
    *x = (struct mixed){.n = n};
    int rc = lar_model_open(&x->m, base, &mo, &err);
    if (rc == 0) rc = lar_batch_open(&x->b, x->m, &bo, &err); /* before the adapters: work space grows */
    for (size_t i = 0; i < n && rc == 0; i++) {
        struct lar_lora_use use = {NULL, a[i].scale};
        rc = lar_session_open(&x->s[i], x->m, &so, &err);
        if (rc == 0 && a[i].path) rc = lar_lora_open(&x->lora[i], x->m, a[i].path, &err);
        use.lora = x->lora[i];
        if (rc == 0) rc = lar_session_adapt(x->s[i], &use, use.lora != NULL, &err);
    }
    if (rc < 0) printf("# %s: %s\n", base, err.msg);
    struct lar_model_info info = {0};
    if (rc >= 0) lar_model_info(x->m, &info);
    x->vocab = (size_t)info.vocab;
    return rc;
}

static void mixed_close(struct mixed *x)
{
    for (size_t i = 0; i < x->n; i++) lar_lora_close(x->lora[i]); /* sessions keep what they use */
    for (size_t i = 0; i < x->n; i++) lar_session_close(x->s[i]);
    lar_batch_close(x->b);
    lar_model_close(x->m);
}

/* tokens[i] [n[i]] through all sessions together, in steps of at most `slice` of each; out[i] [n[i]][vocab]. */
static int mixed_step(struct mixed *x, const int32_t *const *tokens, const size_t *n, size_t slice, float *const *out)
{
    struct lar_err err = {0};
    int rc = 1;
    for (size_t at = 0; rc > 0; at += slice) {
        struct lar_part part[MIXED_MAX];
        size_t who[MIXED_MAX], np = 0;
        for (size_t i = 0; i < x->n; i++) {
            size_t rest = at < n[i] ? n[i] - at : 0, take = rest < slice ? rest : slice;
            if (!take) continue;
            part[np] = (struct lar_part){.session = x->s[i], .tokens = tokens[i] + at, .n = take, .logits = take};
            who[np++] = i;
        }
        if (np == 0) return 0;
        rc = lar_batch_step(x->b, part, np, &err);
        for (size_t i = 0; i < np && rc > 0; i++) {
            if (part[i].rc < 0) return printf("# %s\n", part[i].why.msg), part[i].rc;
            memcpy(out[who[i]] + at * x->vocab, part[i].out, part[i].n * x->vocab * sizeof(float));
        }
    }
    printf("# %s\n", err.msg);
    return rc;
}

/* Four adapters and none, mixed in one batch, against PEFT. */
static void check_mixed_golden(void)
{
    static const char *const name[] = {"plain-llama", "rslora", "patterns", "patterns-rslora"};
    static float got[MIXED_MAX][ROWS * VOCAB];
    static char gguf[4][160];
    struct lar_adapter a[5] = {{NULL, 1}};
    float *out[5] = {got[4]};
    struct safetensors st[4];
    const int32_t *tokens[5];
    size_t n[5] = {0};
    struct lar_err err = {0};
    struct mixed x;
    for (size_t i = 0; i < 4; i++) {
        char path[200];
        snprintf(path, sizeof path, ROOT "/lora/%s/case.safetensors", name[i]);
        CHECK_EQ(safetensors_open(&st[i], path, &err), 0);
        snprintf(gguf[i], sizeof gguf[i], "%s/%s.lora.gguf", tmp, name[i]);
        const struct safetensors_tensor *ids = safetensors_find(&st[i], "batch0.input_ids"),
                                        *mask = safetensors_find(&st[i], "batch0.attention_mask");
        tokens[i + 1] = (const int32_t *)(const void *)ids->data;
        while (n[i + 1] < (size_t)ids->shape[1] && ((const int32_t *)(const void *)mask->data)[n[i + 1]]) n[i + 1]++;
        a[i + 1] = (struct lar_adapter){gguf[i], 1};
        out[i + 1] = got[i];
    }
    tokens[0] = tokens[1], n[0] = n[1];
    char base[160];
    snprintf(base, sizeof base, "%s/llama.gguf", tmp);
    static const size_t slices[] = {ROWS, 1, 5};
    for (size_t k = 0; k < 3 && !tap_case_bad; k++) {
        CHECK(mixed_open(&x, base, 0, a, 5) >= 0);
        CHECK(!tap_case_bad && mixed_step(&x, tokens, n, slices[k], out) == 0);
        for (size_t i = 0; i < 4 && !tap_case_bad; i++) {
            const struct safetensors_tensor *last = safetensors_find(&st[i], "logits_last");
            const float *want = (const float *)(const void *)last->data;
            CHECK_NEAR(furthest(got[i] + (n[i + 1] - 1) * VOCAB, want, VOCAB), 0, 5e-5);
        }
        mixed_close(&x);
    }
    for (size_t i = 0; i < 4; i++) safetensors_close(&st[i]);
}

static void golden(void)
{
    static const char *const level[] = {"c", "avx2", "avx512", "neon"};
    static const struct {
        const char *name, *base;
    } cases[] = {
        {"plain-llama", "llama"},     {"rslora", "llama"},    {"patterns", "llama"},
        {"patterns-rslora", "llama"}, {"one-layer", "qwen3"}, {"plain-qwen3", "qwen3"},
        {"plain-gemma3", "gemma3"},
    };
    if (access(ROOT "/lora", R_OK)) {
        SKIP(ROOT " is not here");
        return;
    }
    if (make_base("llama") || make_base("qwen3") || make_base("gemma3")) {
        tap_ok(0, "the bases are converted");
        return;
    }
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        char said[100];
        tap_case_bad = 0;
        for (size_t i = 0; i < 4; i++) {
            setenv("LAR_CPU", level[i], 1);
            if (strcmp(lar_cpu_level(), level[i]) == 0) check_case(cases[c].name, cases[c].base);
        }
        unsetenv("LAR_CPU");
        snprintf(said, sizeof said, "%s on %s gives PEFT's logits", cases[c].name, cases[c].base);
        tap_ok(!tap_case_bad, said);
        char gguf[160], base[160];
        tap_case_bad = 0;
        snprintf(gguf, sizeof gguf, "%s/%s.lora.gguf", tmp, cases[c].name);
        snprintf(base, sizeof base, "%s/%s.gguf", tmp, cases[c].base);
        CHECK(there_and_back(gguf, base, cases[c].name));
        snprintf(said, sizeof said, "%s: to PEFT's folder and back", cases[c].name);
        tap_ok(!tap_case_bad, said);
    }
    tap_case_bad = 0;
    check_mixed_golden();
    tap_ok(!tap_case_bad, "four adapters and none in one batch give PEFT's logits");
}

static void what_a_gguf_cannot_hold_is_refused(void)
{
    static const char *const name[] = {"dora", "embedding", "modules-to-save",
                                       "modules-to-save-tied"};
    struct lar_err err;
    char path[200];
    for (int i = 0; i < 4; i++) {
        snprintf(path, sizeof path, ROOT "/lora/%s", name[i]);
        CHECK_EQ(lar_convert_lora(path, ROOT "/models/llama", in_tmp("no.gguf"), NULL, &err),
                 LAR_EUNSUPPORTED);
        CHECK(strstr(err.msg, "merge"));
        CHECK(access(in_tmp("no.gguf"), F_OK) != 0);
    }
}

/* ---- the small one ------------------------------------------------------------------------------------------------ */

static void write_text(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    CHECK(f && fputs(text, f) >= 0);
    if (f) fclose(f);
}

/* An adapter of the first layer's q_proj and down_proj: halves [r][in], [out][r] or, as MLX has them, turned. */
static void write_adapter(const char *folder, int mlx, int64_t out)
{
    enum { R = 2 };
    static float a[2][R * 64], b[2][R * 64], at[2][R * 64], bt[2][R * 64];
    const int64_t in[2] = {16, 32}, rows[2] = {out, 16};
    char path[200];
    struct lar_err err = {0};
    for (int m = 0; m < 2; m++) {
        for (int r = 0; r < R; r++)
            for (int i = 0; i < in[m]; i++)
                a[m][r * in[m] + i] = at[m][i * R + r] =
                    (float)(((r * 7 + i * 13 + m) % 11) - 5) / 16;
        for (int r = 0; r < R; r++)
            for (int i = 0; i < rows[m]; i++)
                b[m][i * R + r] = bt[m][r * rows[m] + i] =
                    (float)(((r * 5 + i * 3 + m) % 9) - 4) / 8;
    }
#define PEFT "base_model.model.model.layers.0."
    struct lar_array peft[] = {
        {PEFT "self_attn.q_proj.lora_A.weight", "F32", 2, {R, in[0]}, a[0]},
        {PEFT "self_attn.q_proj.lora_B.weight", "F32", 2, {rows[0], R}, b[0]},
        {PEFT "mlp.down_proj.lora_A.weight", "F32", 2, {R, in[1]}, a[1]},
        {PEFT "mlp.down_proj.lora_B.weight", "F32", 2, {rows[1], R}, b[1]},
    };
    struct lar_array turned[] = {
        {"model.layers.0.self_attn.q_proj.lora_a", "F32", 2, {in[0], R}, at[0]},
        {"model.layers.0.self_attn.q_proj.lora_b", "F32", 2, {R, rows[0]}, bt[0]},
        {"model.layers.0.mlp.down_proj.lora_a", "F32", 2, {in[1], R}, at[1]},
        {"model.layers.0.mlp.down_proj.lora_b", "F32", 2, {R, rows[1]}, bt[1]},
    };
    mkdir(folder, 0700);
    snprintf(path, sizeof path, "%s/adapter_config.json", folder);
    write_text(path, mlx ? "{\"lora_parameters\":{\"rank\":2,\"scale\":3.0}}"
                         : "{\"peft_type\":\"LORA\",\"r\":2,\"lora_alpha\":6}");
    snprintf(path, sizeof path, "%s/%s", folder,
             mlx ? "adapters.safetensors" : "adapter_model.safetensors");
    CHECK_EQ(lar_write_safetensors(path, mlx ? turned : peft, 4, &err), 0);
}

static const int32_t ids[] = {3, 5, 8, 13, 21, 1, 2};
enum { NID = sizeof ids / sizeof *ids };

static void scales_add_up(void)
{
    static float base[NID * VOCAB], whole[NID * VOCAB], other[NID * VOCAB];
    struct lar_err err = {0};
    struct lar_convert_result res;
    char folder[100], gguf[160];
    snprintf(folder, sizeof folder, "%s/peft", tmp);
    write_adapter(folder, 0, 16);
    snprintf(gguf, sizeof gguf, "%s/peft.gguf", tmp);
    CHECK_EQ(lar_convert_lora(folder, TINY, gguf, &res, &err), 0);
    CHECK_EQ(res.tensors, 4);
    struct lar_adapter one[] = {{gguf, 1}}, none[] = {{gguf, 0}},
                       halves[] = {{gguf, 0.5f}, {gguf, 0.25f}, {gguf, 0.25f}};
    struct lar_adapter away[] = {{gguf, 1}, {gguf, -1}};
    CHECK_EQ(evaluate(TINY, NULL, 0, ids, NID, base), 0);
    CHECK_EQ(evaluate(TINY, one, 1, ids, NID, whole), 0);
    CHECK(furthest(base, whole, NID * VOCAB) > 1e-3);
    CHECK_EQ(evaluate(TINY, none, 1, ids, NID, other), 0);
    CHECK(furthest(base, other, NID * VOCAB) <= 0);
    CHECK_EQ(evaluate(TINY, halves, 3, ids, NID, other), 0);
    CHECK_NEAR(furthest(whole, other, NID * VOCAB), 0, 1e-5);
    CHECK_EQ(evaluate(TINY, away, 2, ids, NID, other), 0);
    CHECK_NEAR(furthest(base, other, NID * VOCAB), 0, 1e-5);
}

/* Without and with: each row gets what it gets alone, to the bit where sums are made in one order, in whatever pieces and company. */
static void a_mixed_batch_gives_what_each_gives_alone(void)
{
    static float alone[5][NID * VOCAB], got[5][NID * VOCAB];
    static const int32_t other[NID] = {7, 7, 4, 2, 3, 11, 9};
    char z[160];
    snprintf(z, sizeof z, "%s/peft.gguf", tmp);
    struct lar_adapter a[] = {{NULL, 1}, {z, 1}, {z, -0.5f}, {NULL, 1}, {z, 1}};
    const int32_t *tokens[] = {ids, ids, ids, other, other};
    const size_t n[] = {NID, NID, NID, NID - 2, NID - 1};
    float *out[] = {got[0], got[1], got[2], got[3], got[4]};
    struct mixed x;
    for (int deterministic = 1; deterministic >= 0; deterministic--) {
        CHECK(mixed_open(&x, TINY, deterministic, a, 5) >= 0);
        for (size_t i = 0; i < 5; i++) CHECK_EQ(lar_session_extend(x.s[i], tokens[i], n[i], alone[i], NULL), 0);
        for (size_t slice = 1; slice <= NID; slice += 3) {
            for (size_t i = 0; i < 5; i++) CHECK_EQ(lar_session_cut(x.s[i], 0, NULL), 0);
            CHECK_EQ(mixed_step(&x, tokens, n, slice, out), 0);
            for (size_t i = 0; i < 5; i++)
                CHECK_NEAR(furthest(alone[i], got[i], n[i] * x.vocab), 0, deterministic ? 0 : 1e-5);
        }
        mixed_close(&x);
        CHECK(furthest(alone[0], alone[1], (NID - 2) * 8) > 1e-3);
        CHECK(furthest(alone[1], alone[2], (NID - 2) * 8) > 1e-3);
    }
    /* and what a model gives that was opened with the adapter */
    CHECK_EQ(evaluate(TINY, a + 1, 1, ids, NID, got[0]), 0);
    CHECK_NEAR(furthest(alone[1], got[0], NID * VOCAB), 0, 1e-5);
    CHECK_EQ(evaluate(TINY, NULL, 0, ids, NID, got[0]), 0);
    CHECK_NEAR(furthest(alone[0], got[0], NID * VOCAB), 0, 1e-5);
}

static void nothing_is_shared_between_adapters(void)
{
    char z[160];
    snprintf(z, sizeof z, "%s/peft.gguf", tmp);
    struct lar_adapter a[] = {{NULL, 1}, {z, 1}, {z, 0.5f}, {z, 1}};
    struct mixed x;
    struct lar_err err = {0};
    size_t n = 0;
    CHECK(mixed_open(&x, TINY, 0, a, 4) >= 0);
    struct lar_lora_use one = {x.lora[1], 1}, half = {x.lora[1], 0.5f}, two[] = {one, half};
    CHECK_EQ(lar_session_extend(x.s[1], ids, NID, NULL, &err), 0);
    for (size_t i = 0; i < 4; i++) {
        if (i == 1) continue;
        CHECK_EQ(lar_session_alike(x.s[i], x.s[1]), 0); /* 3: the same file, opened twice */
        CHECK_EQ(lar_session_fork(x.s[i], x.s[1], ids, NID, &err), 0);
    }
    CHECK_EQ(lar_session_adapt(x.s[3], &one, 1, &err), 0);
    CHECK_EQ(lar_session_alike(x.s[3], x.s[1]), 1);
    CHECK_EQ(lar_session_fork(x.s[3], x.s[1], ids, NID, &err), NID - 1);
    CHECK_EQ(lar_session_adapt(x.s[3], &one, 1, &err), 0); /* what it has */
    lar_session_tokens(x.s[3], &n);
    CHECK_EQ(n, NID - 1);
    CHECK_EQ(lar_session_adapt(x.s[3], two, 2, &err), 0);
    lar_session_tokens(x.s[3], &n);
    CHECK_EQ(n, 0);
    CHECK_EQ(lar_session_adapt(x.s[3], NULL, 0, &err), 0);
    CHECK_EQ(lar_session_alike(x.s[3], x.s[0]), 1);
    struct lar_lora_use many[LAR_LORA_MAX + 1], bad = {x.lora[1], NAN}, nothing = {NULL, 1};
    for (int i = 0; i <= LAR_LORA_MAX; i++) many[i] = half;
    CHECK_EQ(lar_session_adapt(x.s[3], many, LAR_LORA_MAX + 1, &err), LAR_EINVAL);
    CHECK_EQ(lar_session_adapt(x.s[3], &bad, 1, &err), LAR_EINVAL);
    CHECK_EQ(lar_session_adapt(x.s[3], &nothing, 1, &err), LAR_EINVAL);
    CHECK_EQ(lar_session_adapt(x.s[3], many, LAR_LORA_MAX, &err), 0);
    struct lar_lora_info info;
    lar_lora_info(x.lora[1], &info);
    CHECK(info.rank == 2 && info.matrices == 2 && info.bytes == 2 * 2 * (16 + 16 + 32 + 16)); /* 16 bits hold its numbers */
    struct mixed y;
    CHECK(mixed_open(&y, TINY, 0, a, 1) >= 0);
    CHECK(lar_session_adapt(y.s[0], &one, 1, &err) == LAR_EINVAL && strstr(err.msg, "another model"));
    mixed_close(&y);
    mixed_close(&x);
}

static void mlx_form_gives_the_same(void)
{
    static float a[NID * VOCAB], b[NID * VOCAB];
    struct lar_err err = {0};
    char folder[100], gguf[160], first[160];
    snprintf(folder, sizeof folder, "%s/mlx", tmp);
    write_adapter(folder, 1, 16);
    snprintf(gguf, sizeof gguf, "%s/mlx.gguf", tmp);
    snprintf(first, sizeof first, "%s/peft.gguf", tmp);
    CHECK_EQ(lar_convert_lora(folder, TINY, gguf, NULL, &err), 0);
    struct lar_adapter one = {first, 1}, two = {gguf, 1};
    CHECK_EQ(evaluate(TINY, &one, 1, ids, NID, a), 0);
    CHECK_EQ(evaluate(TINY, &two, 1, ids, NID, b), 0);
    CHECK(furthest(a, b, NID * VOCAB) <= 0);
}

/* A base of which there is no more than its config.json, so that convert cannot see what its matrices are like. */
static void write_bare_base(const char *folder)
{
    char path[200], text[8192];
    FILE *f = fopen(TINY "/config.json", "r");
    size_t n = f ? fread(text, 1, sizeof text - 1, f) : 0;
    CHECK(n > 0 && n < sizeof text - 1);
    text[n] = 0;
    if (f) fclose(f);
    mkdir(folder, 0700);
    snprintf(path, sizeof path, "%s/config.json", folder);
    write_text(path, text);
}

static void what_does_not_fit_is_refused(void)
{
    struct lar_model *m = NULL;
    struct lar_err err = {0};
    char folder[100], gguf[160], bare[100];
    snprintf(folder, sizeof folder, "%s/wide", tmp);
    write_adapter(folder, 0, 32);
    snprintf(gguf, sizeof gguf, "%s/wide.gguf", tmp);
    snprintf(bare, sizeof bare, "%s/bare", tmp);
    write_bare_base(bare);
    CHECK_EQ(lar_convert_lora(folder, TINY, gguf, NULL, &err), LAR_EFORMAT);
    CHECK(strstr(err.msg, "q_proj") && strstr(err.msg, "another model") && access(gguf, F_OK) != 0);
    CHECK_EQ(lar_convert_lora(folder, bare, gguf, NULL, &err), 0);
    struct lar_adapter a[] = {
        {gguf, 1}, {"models/lar-demo-q8_0.gguf", 1}, {in_tmp("peft.gguf"), 1}};
    struct lar_model_options mo = {.adapters = a, .nadapter = 1};
    CHECK(lar_model_open(&m, TINY, &mo, &err) == LAR_EFORMAT &&
          strstr(err.msg, "blk.0.attn_q.weight"));
    mo.adapters = a + 1;
    CHECK(lar_model_open(&m, TINY, &mo, &err) == LAR_EUNSUPPORTED &&
          strstr(err.msg, "no LoRA adapter"));
    mo.adapters = a + 2;
    CHECK(lar_model_open(&m, "models/lar-demo-q8_0.gguf", &mo, &err) == LAR_EUNSUPPORTED &&
          strstr(err.msg, "llama"));
    CHECK_EQ(lar_model_open(&m, TINY, &mo, &err), 0);
    struct lar_lora *l = NULL;
    CHECK(lar_lora_open(&l, m, gguf, &err) == LAR_EFORMAT && strstr(err.msg, "blk.0.attn_q.weight") && !l);
    CHECK(lar_lora_open(&l, m, in_tmp("none.gguf"), &err) < 0 && strstr(err.msg, "none.gguf"));
    lar_model_close(m);
    CHECK_EQ(lar_convert_lora(TINY, TINY, in_tmp("no.gguf"), NULL, &err), LAR_EFORMAT);
    CHECK(strstr(err.msg, "adapter_config.json"));
}

static void the_way_back_gives_the_published_halves(void)
{
    struct lar_err err = {0};
    char from[160], folder[160], text[2000] = "", z[200];
    snprintf(from, sizeof from, "%s/peft.gguf", tmp);
    CHECK(there_and_back(from, TINY, "peft"));
    snprintf(z, sizeof z, "%s/back/peft/adapter_model.safetensors", tmp);
    struct safetensors a, b;
    CHECK_EQ(safetensors_open(&a, in_tmp("peft/adapter_model.safetensors"), &err), 0);
    CHECK_EQ(safetensors_open(&b, z, &err), 0);
    CHECK_EQ(a.ntensor, 4);
    CHECK_EQ(b.ntensor, 4);
    for (size_t i = 0; i < 4 && !tap_case_bad; i++) {
        CHECK(str_eq(a.tensor[i].name, b.tensor[i].name) && a.tensor[i].bytes == b.tensor[i].bytes);
        CHECK(!memcmp(a.tensor[i].shape, b.tensor[i].shape, sizeof a.tensor[i].shape));
        CHECK(!memcmp(a.tensor[i].data, b.tensor[i].data, b.tensor[i].bytes));
    }
    safetensors_close(&a);
    safetensors_close(&b);
    /* from MLX' form the same folder: but for the base's name */
    snprintf(from, sizeof from, "%s/mlx.gguf", tmp);
    CHECK(there_and_back(from, TINY, "mlx"));
    CHECK(same_files(in_tmp("back/peft/adapter_model.safetensors"),
                     in_tmp("back/mlx/adapter_model.safetensors")));
    CHECK(same_files(in_tmp("back/peft/adapter_config.json"),
                     in_tmp("back/mlx/adapter_config.json")));
    FILE *f = fopen(in_tmp("back/peft/adapter_config.json"), "r");
    CHECK(f && fread(text, 1, sizeof text - 1, f) > 0);
    if (f) fclose(f);
    CHECK(strstr(text, "\"r\": 2,") && strstr(text, "\"lora_alpha\": 6,") &&
          strstr(text, "\"peft_type\": \"LORA\""));
    /* of one layer only: whole names */
    CHECK(strstr(text, "\"model.layers.0.self_attn.q_proj\"") &&
          strstr(text, "\"base_model_name_or_path\": \"" TINY "\""));
    snprintf(folder, sizeof folder, "%s/no", tmp);
    CHECK_EQ(lar_export(from, folder, NULL, NULL, &err), LAR_EINVAL);
    CHECK(strstr(err.msg, "--lora"));
    CHECK_EQ(lar_export_lora("models/lar-demo-q8_0.gguf", "models/lar-demo-q8_0.gguf", folder, NULL,
                             NULL, &err),
             LAR_EUNSUPPORTED);
    CHECK(strstr(err.msg, "no LoRA adapter"));
    CHECK_EQ(lar_export_lora(from, "models/lar-demo-q8_0.gguf", folder, NULL, NULL, &err),
             LAR_EINVAL);
    CHECK(strstr(err.msg, "llama"));
    CHECK_EQ(lar_export_lora(from, TINY, in_tmp("back"), NULL, NULL, &err), LAR_EINVAL);
    CHECK(strstr(err.msg, "something in it"));
    /* an adapter that does not fit the base's heads */
    snprintf(z, sizeof z, "%s/odd", tmp);
    write_adapter(z, 0, 18);
    CHECK(lar_convert_lora(z, TINY, in_tmp("odd.gguf"), NULL, &err) < 0);
    CHECK(access(folder, F_OK) != 0);
}

/* The factor is 1 then: what Lar's own writer never says, and other files do. */
static void a_file_without_alpha_has_its_ranks_as_alphas(void)
{
    static char file[8000], text[2000];
    struct lar_err err = {0};
    FILE *f = fopen(in_tmp("peft.gguf"), "rb");
    size_t n = f ? fread(file, 1, sizeof file, f) : 0, at = 0;
    if (f) fclose(f);
    for (size_t i = 0; i + 26 < n; i++)
        if (!memcmp(file + i, "adapter.lora.alpha", 18)) at = i + 22;
    CHECK(at > 0);
    memset(file + at, 0, 4);
    char from[160], folder[160];
    snprintf(from, sizeof from, "%s/one.gguf", tmp);
    snprintf(folder, sizeof folder, "%s/back/one", tmp);
    f = fopen(from, "wb");
    CHECK(f && fwrite(file, 1, n, f) == n);
    if (f) fclose(f);
    CHECK_EQ(lar_export_lora(from, TINY, folder, NULL, NULL, &err), 0);
    f = fopen(in_tmp("back/one/adapter_config.json"), "r");
    CHECK(f && fread(text, 1, sizeof text - 1, f) > 0);
    if (f) fclose(f);
    CHECK(strstr(text, "\"lora_alpha\": 2,"));
}

int main(void)
{
    tap_timeout(60);
    snprintf(tmp, sizeof tmp, "/tmp/lar-lora-%ld", (long)getpid());
    if (mkdir(tmp, 0700)) return 1;
    RUN(scales_add_up);
    RUN(a_mixed_batch_gives_what_each_gives_alone);
    RUN(nothing_is_shared_between_adapters);
    RUN(mlx_form_gives_the_same);
    RUN(what_does_not_fit_is_refused);
    RUN(the_way_back_gives_the_published_halves);
    RUN(a_file_without_alpha_has_its_ranks_as_alphas);
    golden();
    if (!access(ROOT "/lora", R_OK)) RUN(what_a_gguf_cannot_hold_is_refused);
    nftw(tmp, drop, 8, FTW_DEPTH | FTW_PHYS);
    return tap_done();
}
