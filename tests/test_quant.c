/* SPDX-License-Identifier: Apache-2.0
 * tests/test_quant.c: the scalar specification of quantised weights against another's numbers:
 * the exact values of random blocks of every type (gguf-py), to the bit; and against itself: a
 * product is that of the exact values with what the activations became. */
#include "base/half.h"
#include "base/json.h"
#include "base/rng.h"
#include "kern/quant.h"
#include "tap.h"

static struct kern k;

struct plain {
    const char *p; /* a tensor's bytes, in the file's buffer */
    size_t n;
};

static char *slurp(const char *path, size_t *n)
{
    FILE *f = fopen(path, "rb");
    if (!f) return NULL;
    fseek(f, 0, SEEK_END);
    *n = (size_t)ftell(f);
    rewind(f);
    char *p = mem_alloc(*n + 1);
    if (p && fread(p, 1, *n, f) != *n) CHECK(!"short read");
    fclose(f);
    return p;
}

/* A tensor of a safetensors file that is ours and trusted: u64 length, JSON, data. */
static struct plain tensor(const char *file, size_t n, const char *name)
{
    struct arena a;
    struct plain t = {0};
    uint64_t len;
    memcpy(&len, file, 8);
    arena_init(&a, 0);
    struct json *j = json_parse(&a, (struct str){file + 8, (size_t)len}, NULL);
    struct json *at = json_get(json_get(j, name), "data_offsets");
    CHECK(at && at->n == 2);
    if (at && at->n == 2) {
        t.p = file + 8 + len + at->child->i;
        t.n = (size_t)(at->child->next->i - at->child->i);
        CHECK(t.p + t.n <= file + n);
    }
    arena_done(&a);
    return t;
}

static void values_are_those_of_the_format(enum dtype t, const char *file, size_t n)
{
    struct plain raw = tensor(file, n, "raw"), values = tensor(file, n, "values");
    struct dtype_info info = dtype_info(t);
    size_t blocks = raw.n / info.bytes;
    CHECK_EQ(values.n, blocks * info.block * 4);
    if (tap_case_bad) return;
    float *out = mem_alloc(values.n);
    k.type[t].dequant(blocks * info.block, raw.p, out);
    for (size_t i = 0; i < values.n / 4; i++) {
        float want;
        memcpy(&want, values.p + 4 * i, 4);
        if (bits_f32(out[i]) != bits_f32(want)) {
            printf("# %s: value %zu is %.9g, not %.9g\n", info.name, i, (double)out[i],
                   (double)want);
            tap_case_bad++;
            break;
        }
    }
    mem_free(out);
}

static void golden(enum dtype t)
{
    char path[96], name[128];
    size_t n;
    if (!k.type[t].dequant || !quant_form(t).decode) return;
    snprintf(path, sizeof path, "../shared/golden/dequant/%s.safetensors", dtype_info(t).name);
    char *file = slurp(path, &n);
    if (!file) {
        snprintf(name, sizeof name, "%s is absent", path);
        SKIP(name);
        return;
    }
    tap_case_bad = 0;
    values_are_those_of_the_format(t, file, n);
    snprintf(name, sizeof name, "%s_values_are_those_of_the_format", dtype_info(t).name);
    tap_ok(!tap_case_bad, name);
    mem_free(file);
}

enum { K = 512, ROWS = 3 };

/* mul(W, quant(x)) is the product of dequant(W) with the activations that quant made. */
static void product_is_of_the_values(enum dtype t, uint64_t seed)
{
    static uint8_t w[ROWS][K * 5];
    static _Alignas(64) uint8_t act[4096];
    static float x[K], value[K];
    struct rng r;
    rng_seed(&r, seed);
    size_t row = K / dtype_info(t).block * dtype_info(t).bytes;
    enum kern_act kind = k.type[t].act;
    for (size_t i = 0; i < sizeof w; i++) w[i / sizeof *w][i % sizeof *w] = (uint8_t)rng_u64(&r);
    for (int i = 0; i < K; i++) x[i] = (float)rng_uniform(&r) - 0.5f;
    CHECK(act_bytes(kind, K) <= sizeof act);
    k.quant[kind](K, x, act);
    const int8_t *q = (const int8_t *)act;
    const float *d = (const float *)(const void *)(act + act_scale_at(kind, K));
    for (int i = 0; i < ROWS; i++) {
        float got;
        double want = 0, size = 0;
        k.type[t].mul(K, w[i], row, 1, act, sizeof act, 1, &got, 1);
        k.type[t].dequant(K, w[i], value);
        for (int j = 0; j < K; j++) {
            double a = (double)q[act_at(kind, (size_t)j)] *
                       (double)d[kind == ACT_Q8_32 ? j / 32 : j / 256];
            want += a * (double)value[j];
            size += fabs(a * (double)value[j]);
            CHECK_NEAR(a, x[j], 0.5 / 127 / 2 * 1.001);
        }
        if (isfinite(size) && size < 1e30) CHECK_NEAR(got, want, 1e-6 * size);
    }
}

static void every_product_is_of_the_exact_values(void)
{
    for (uint32_t t = 0; t < DTYPE_COUNT; t++)
        for (uint64_t seed = 1; quant_form(t).decode && seed <= 8; seed++)
            product_is_of_the_values(t, seed);
}

static void tiny_activations_become_zero_and_huge_ones_do_not_overflow(void)
{
    static float x[32];
    static _Alignas(64) uint8_t act[1024];
    const int8_t *q = (const int8_t *)act;
    const float *d = (const float *)(const void *)(act + act_scale_at(ACT_Q8_32, 32));
    x[3] = -1e-39f;
    k.quant[ACT_Q8_32](32, x, act);
    CHECK(q[act_at(ACT_Q8_32, 3)] == 0 && *d == 0);
    x[4] = 3.4e38f;
    k.quant[ACT_Q8_32](32, x, act);
    CHECK(q[act_at(ACT_Q8_32, 3)] == 0 && q[act_at(ACT_Q8_32, 4)] == 127 && isfinite(*d));
}

/* Two types that gguf-py does not know: by hand, d = 0.5 (F16 0x3800). */
static void one_and_two_bit_blocks_are_as_written(void)
{
    static const float two[4] = {-0.5f, 0, 0.5f, 1};
    uint8_t b[18] = {0x00, 0x38};
    float v[128];
    memset(b + 2, 0xb4, 16); /* 1011 0100: bits 0 0 1 0 1 1 0 1, pairs 0 1 3 2 */
    k.type[DT_Q1_0].dequant(128, b, v);
    for (int i = 0; i < 128; i++) CHECK(v[i] == (0xb4 >> i % 8 & 1 ? 0.5f : -0.5f));
    k.type[DT_Q2_0].dequant(64, b, v);
    for (int i = 0; i < 64; i++) CHECK(v[i] == two[0xb4 >> i % 4 * 2 & 3]);
}

int main(void)
{
    tap_timeout(60);
    kern_init(&k, 0);
    for (uint32_t t = 0; t < DTYPE_COUNT; t++) golden(t);
    RUN(one_and_two_bit_blocks_are_as_written);
    RUN(every_product_is_of_the_exact_values);
    RUN(tiny_activations_become_zero_and_huge_ones_do_not_overflow);
    return tap_done();
}
