/* SPDX-License-Identifier: Apache-2.0
 * tests/test_quantize.c: what weights become: the plain types are gguf-py's bytes, the others lose no more than ggml's quantiser
 * does (its losses were measured on the same sample), and every level and order of rows gives the same bytes. */
#include "base/cpu.h"
#include "base/half.h"
#include "base/mem.h"
#include "io/safetensors.h"
#include "kern/kern.h"
#include "quant/quantise.h"
#include "quant_sample.h"
#include "tap.h"

enum { N = SAMPLE_K * SAMPLE_ROWS };

static struct kern kern;
static struct fit plain_fit;
static float x[N], y[N], importance[SAMPLE_K];
static uint8_t made[4 * N], other[4 * N];
static _Alignas(64) uint8_t scratch[2 << 20];

static size_t row_bytes(enum dtype t)
{
    return SAMPLE_K / dtype_info(t).block * dtype_info(t).bytes;
}

/* The loss of type t made by f, against the exact values. */
static double loss(const struct fit *f, enum dtype t, const float *weight)
{
    quantise_rows(f, t, SAMPLE_K, SAMPLE_ROWS, x, weight, made, scratch);
    kern.type[t].dequant(N, made, y);
    return quant_loss(x, y, weight);
}

/* Losses of llama.cpp's quantisers (ggml_quantize_chunk of September 2026) on this sample: without and with importance. */
static const struct {
    enum dtype type;
    double without, with;
} ggml[] = {
    {DT_Q4_0, 0.0112735, 0.00947525},
    {DT_Q4_1, 0.00832903, 0.00558175},
    {DT_Q5_0, 0.00281171, 0.00245333},
    {DT_Q5_1, 0.00195708, 0.00132104},
    {DT_Q8_0, 4.4738e-05, 4.5579e-05},
    {DT_Q2_K, 0.117863, 0.0668208},
    {DT_Q3_K, 0.0315727, 0.0248007},
    {DT_Q4_K, 0.00711318, 0.00579043},
    {DT_Q5_K, 0.00181967, 0.00154144},
    {DT_Q6_K, 0.000460193, 0.000389926},
    {DT_IQ4_NL, 0.00771637, 0.00651959},
    {DT_IQ4_XS, 0.00781599, 0.00667055},
    {DT_TQ1_0, 0.676437, 0.675748},
    {DT_TQ2_0, 0.676437, 0.675748},
    {DT_MXFP4, 0.0157292, 0.0156979},
    {DT_NVFP4, 0.00853741, 0.0086282},
    {DT_Q1_0, 0.483267, 0.486186},
    {DT_Q2_0, 0.527814, 0.528391},
    /* IQ1_S, IQ2_XXS and IQ2_XS there with an importance of 1 in the place of none */
    {DT_IQ2_XXS, 0.142703, 0.0964132},
    {DT_IQ2_XS, 0.104668, 0.0729908},
    {DT_IQ2_S, 0.0988341, 0.0642961},
    {DT_IQ3_XXS, 0.0586691, 0.023295},
    {DT_IQ3_S, 0.0365555, 0.0168535},
    {DT_IQ1_S, 0.297994, 0.235316},
    {DT_IQ1_M, 0.340276, 0.160284},
};

static void no_type_loses_more_than_with_ggml(void)
{
    for (size_t i = 0; i < sizeof ggml / sizeof *ggml; i++)
        for (int with = 0; with < 2; with++) {
            double got = loss(&plain_fit, ggml[i].type, with ? importance : NULL);
            double want = with ? ggml[i].with : ggml[i].without;
            printf("# %-7s%s %.6g, ggml %.6g: %.3f\n", dtype_info(ggml[i].type).name,
                   with ? " with importance" : "", got, want, got / want);
            CHECK(got <= want * 1.00001);
            CHECK(got > 0);
        }
}

/* Rows that a test can afford: a grid is searched by the slowest level too. */
static size_t rows_of(enum dtype t) { return quantise_scratch(t) ? 2 : 16; }

static void every_level_and_any_order_of_rows_make_the_same_bytes(void)
{
    unsigned have = cpu_detect();
    for (int t = 0; t < DTYPE_COUNT; t++) {
        if (!quantise_can((enum dtype)t)) continue;
        size_t row = row_bytes((enum dtype)t), n = rows_of((enum dtype)t);
        for (int with = 0; with < 2; with++) {
            quantise_rows(&plain_fit, (enum dtype)t, SAMPLE_K, n, x, with ? importance : NULL, made,
                          scratch);
            for (unsigned flags = 0; flags <= have; flags++) {
                struct fit f;
                if (flags & ~have) continue;
                fit_init(&f, flags);
                for (size_t i = n; i-- > 0;)
                    quantise_rows(&f, (enum dtype)t, SAMPLE_K, 1, x + i * SAMPLE_K,
                                  with ? importance : NULL, other + i * row, scratch);
                CHECK(memcmp(made, other, n * row) == 0);
            }
        }
    }
}

static void golden(enum dtype t)
{
    char path[96], name[128];
    struct safetensors s;
    struct lar_err err;
    snprintf(path, sizeof path, "../shared/golden/dequant/quantize-%s.safetensors",
             dtype_info(t).name);
    if (safetensors_open(&s, path, &err) < 0) {
        snprintf(name, sizeof name, "%s is absent", path);
        SKIP(name);
        return;
    }
    tap_case_bad = 0;
    const struct safetensors_tensor *v = safetensors_find(&s, "values"),
                                    *raw = safetensors_find(&s, "raw");
    CHECK(v && raw && v->ndim == 2 && raw->bytes <= sizeof made);
    if (!tap_case_bad) {
        size_t k = (size_t)v->shape[1], nrow = (size_t)v->shape[0];
        float *in = mem_alloc(v->bytes);
        memcpy(in, v->data, v->bytes);
        quantise_rows(&plain_fit, t, k, nrow, in, NULL, made, scratch);
        CHECK_EQ(nrow * k / dtype_info(t).block * dtype_info(t).bytes, raw->bytes);
        CHECK(memcmp(made, raw->data, raw->bytes) == 0);
        mem_free(in);
    }
    safetensors_close(&s);
    snprintf(name, sizeof name, "%s_is_what_gguf_py_makes", dtype_info(t).name);
    tap_ok(!tap_case_bad, name);
}

static void zeros_and_constants_are_kept(void)
{
    static const float values[] = {0, 1, -1, 0.25f};
    for (int t = 0; t < DTYPE_COUNT; t++) {
        if (!quantise_can((enum dtype)t) || !kern.type[t].dequant) continue;
        for (int v = 0; v < 4; v++)
            for (int with = 0; with < 3;
                 with++) { /* without, with, with an importance of nothing but zeros */
                float row[512], back[512], none[512] = {0};
                if (t == DT_Q1_0 && v == 0) continue; /* has no zero */
                for (int i = 0; i < 512; i++) row[i] = values[v];
                quantise_rows(&plain_fit, (enum dtype)t, 512, 1, row,
                              with == 2 ? none
                              : with    ? importance
                                        : NULL,
                              made, scratch);
                kern.type[t].dequant(512, made, back);
                float most = v && (t == DT_MXFP4 || t == DT_NVFP4 || with == 2) ? 0.2f : 0.02f;
                for (int i = 0; i < 512; i++)
                    if (!(fabsf(back[i] - row[i]) <= most)) {
                        printf("# %s, %g, with %d:\n", dtype_info((uint32_t)t).name, (double)row[i],
                               with);
                        CHECK_NEAR(back[i], row[i], (double)most);
                        break;
                    }
            }
    }
}

static void huge_tiny_and_lonely_values_stay_in_range(void)
{
    static const float odd[] = {1e-38f, -1e-42f, 60000.0f, -65000.0f, 3e-8f, 1e30f};
    for (int t = 0; t < DTYPE_COUNT; t++) {
        if (!quantise_can((enum dtype)t)) continue;
        for (int v = 0; v < 6; v++)
            for (int with = 0; with < 2; with++) {
                float row[512] = {0};
                row[77] = odd[v];
                row[300] = odd[v] / 3;
                quantise_rows(&plain_fit, (enum dtype)t, 512, 1, row, with ? importance : NULL,
                              made, scratch);
                if (fabsf(odd[v]) < 1 || fabsf(odd[v]) > 1e5f || !kern.type[t].dequant) continue;
                float back[512];
                kern.type[t].dequant(512, made, back);
                if (quantise_scratch(
                        (enum dtype)
                            t)) /* what stands beside it must be nearly nothing, and weighs more */
                    CHECK(back[77] / odd[v] > 0.15f && back[77] / odd[v] < 1.34f);
                else if (t != DT_Q1_0 && t != DT_NVFP4)
                    CHECK_NEAR(back[77] / odd[v], 1, 0.34);
            }
    }
}

int main(void)
{
    tap_timeout(60);
    kern_init(&kern, 0);
    fit_init(&plain_fit, cpu_detect());
    quant_sample(x, importance);
    golden(DT_BF16);
    golden(DT_Q8_0);
    golden(DT_Q4_0);
    golden(DT_Q4_1);
    golden(DT_Q5_0);
    golden(DT_Q5_1);
    golden(DT_TQ1_0);
    golden(DT_TQ2_0);
    golden(DT_MXFP4);
    RUN(no_type_loses_more_than_with_ggml);
    RUN(every_level_and_any_order_of_rows_make_the_same_bytes);
    RUN(zeros_and_constants_are_kept);
    RUN(huge_tiny_and_lonely_values_stay_in_range);
    return tap_done();
}
