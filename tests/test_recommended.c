/* SPDX-License-Identifier: Apache-2.0
 * tests/test_recommended.c: the sampling that a model's file recommends (general.sampling.*): each key is read, a wrong one is told and left out
 * alone. */
#include <lar/lar.h>
#include <unistd.h>

#include "vocab_build.h"

#define S "general.sampling."

static char path[80];
static char warning[2000];
static struct lar_sampling own; /* Lar's */

static struct vb begun(void)
{
    struct vb b = {.model = "llama", .no_merges = 1};
    vb_add(&b, "<unk>", TOKEN_UNKNOWN, 0);
    vb_bytes(&b);
    return b;
}

/* What a model with these keys recommends; what it warns of is in warning. */
static struct lar_sampling taken(struct vb *b)
{
    struct lar_sampling p = {0};
    struct lar_model *m = NULL;
    struct lar_err err = {0};
    struct gb_file f = vb_end(b);
    FILE *file = fopen(path, "wb");
    CHECK(file && fwrite(f.p, 1, f.n, file) == f.n);
    if (file) fclose(file);
    free(f.p);
    CHECK_EQ(lar_model_open(&m, path, &(struct lar_model_options){.vocab_only = 1}, &err), 0);
    if (!m) return printf("# %s\n", err.msg), p;
    lar_sampling_default(&p, m);
    snprintf(warning, sizeof warning, "%s", lar_model_warning(m));
    lar_model_close(m);
    CHECK_EQ(lar_sampling_check(&p, NULL), 0);
    return p;
}

/* Compared field by field: structs have gaps. */
static int same(const struct lar_sampling *a, const struct lar_sampling *b)
{
    return a->temp == b->temp && a->top_k == b->top_k && a->top_p == b->top_p && a->min_p == b->min_p &&
           a->typical_p == b->typical_p && a->repeat_penalty == b->repeat_penalty &&
           a->repeat_last_n == b->repeat_last_n && a->presence_penalty == b->presence_penalty &&
           a->frequency_penalty == b->frequency_penalty && a->dry_multiplier == b->dry_multiplier &&
           a->xtc_probability == b->xtc_probability && a->xtc_threshold == b->xtc_threshold &&
           a->mirostat == b->mirostat && a->mirostat_tau == b->mirostat_tau && a->mirostat_eta == b->mirostat_eta &&
           a->seed == b->seed;
}

static void nothing_recommended_is_lar_s_own(void)
{
    struct vb b = begun();
    struct lar_sampling p = taken(&b);
    CHECK(same(&p, &own));
    CHECK_STR(warning, "");
}

static const struct {
    const char *key;
    size_t at;
    int whole; /* an int, else a float */
    double good, bad;
} keys[] = {
#define F32(key, field, good, bad) {S key, offsetof(struct lar_sampling, field), 0, good, bad}
#define INT(key, field, good, bad) {S key, offsetof(struct lar_sampling, field), 1, good, bad}
    F32("temp", temp, 0.375, -1),
    INT("top_k", top_k, 7, 7.5),
    F32("top_p", top_p, 0.625, 1.5),
    F32("min_p", min_p, 0.125, -0.25),
    F32("xtc_probability", xtc_probability, 0.25, 2),
    F32("xtc_threshold", xtc_threshold, 0.375, 3),
    INT("penalty_last_n", repeat_last_n, -1, -2),
    F32("penalty_repeat", repeat_penalty, 1.25, 0),
    INT("mirostat", mirostat, 2, 3),
    F32("mirostat_tau", mirostat_tau, 2.5, 101),
    F32("mirostat_eta", mirostat_eta, 0.5, -1),
};
enum { N = sizeof keys / sizeof *keys };

static void put(struct lar_sampling *p, int i, double v)
{
    float f = (float)v;
    int n = (int)v;
    memcpy((char *)p + keys[i].at, keys[i].whole ? (const void *)&n : (const void *)&f, 4);
}

static void each_key_is_taken_alone(void)
{
    for (int i = 0; i < N; i++) {
        struct vb b = begun();
        struct lar_sampling want = own;
        if (keys[i].whole) gb_kv_int(&b.g, keys[i].key, GGUF_I32, (uint64_t)(int64_t)keys[i].good);
        else gb_kv_f32(&b.g, keys[i].key, (float)keys[i].good);
        put(&want, i, keys[i].good);
        struct lar_sampling p = taken(&b);
        if (!same(&p, &want)) printf("# %s\n", keys[i].key);
        CHECK(same(&p, &want) && !same(&p, &own));
        CHECK_STR(warning, "");
    }
}

static void a_wrong_key_is_told_and_the_others_hold(void)
{
    for (int i = 0; i < N; i++) {
        struct vb b = begun();
        struct lar_sampling want = own;
        char words[80];
        for (int k = 0; k < N; k++) {
            gb_kv_f64(&b.g, keys[k].key, k == i ? keys[k].bad : keys[k].good);
            if (k != i) put(&want, k, keys[k].good);
        }
        struct lar_sampling p = taken(&b);
        snprintf(words, sizeof words, "%s is %g, expected ", keys[i].key, keys[i].bad);
        if (!same(&p, &want) || strncmp(warning, words, strlen(words))) printf("# %s: %s\n", keys[i].key, warning);
        CHECK(same(&p, &want));
        CHECK(!strncmp(warning, words, strlen(words)));
        CHECK(!strchr(warning, ';')); /* of no other key */
    }
}

static void a_number_is_a_number(void)
{
    struct vb b = begun();
    gb_kv_int(&b.g, S "temp", GGUF_I32, 1);
    gb_kv_int(&b.g, S "top_p", GGUF_U8, 1);
    gb_kv_f32(&b.g, S "top_k", 9);
    gb_kv_f64(&b.g, S "min_p", 0.25);
    gb_kv_int(&b.g, S "penalty_last_n", GGUF_U64, UINT64_MAX);
    struct lar_sampling p = taken(&b);
    CHECK(p.temp == 1 && p.top_p == 1 && p.top_k == 9 && p.min_p == 0.25f && p.repeat_last_n == INT32_MAX);
    CHECK_STR(warning, "");
    b = begun();
    gb_kv_text(&b.g, S "temp", "0.5");
    gb_kv_f64(&b.g, S "top_p", 1e300);
    gb_kv_f32(&b.g, S "min_p", NAN);
    gb_kv_f32(&b.g, S "top_k", NAN);
    gb_kv_int(&b.g, S "mirostat", GGUF_BOOL, 1);
    p = taken(&b);
    CHECK(same(&p, &own));
    CHECK(strstr(warning, S "temp is of type string, expected a number; " S "top_k is "));
    CHECK(strstr(warning, "; " S "top_p is 1e+300, expected 0 to 1; " S "min_p is "));
    CHECK(strstr(warning, "; " S "mirostat is of type bool, expected a number: left out"));
}

static void a_top_k_of_nothing_is_off(void)
{
    static const int64_t off[] = {0, -1, -40, INT64_MIN};
    for (int i = 0; i < 4; i++) {
        struct vb b = begun();
        gb_kv_int(&b.g, S "top_k", GGUF_I64, (uint64_t)off[i]);
        gb_kv_f32(&b.g, S "temp", 0.5f);
        struct lar_sampling p = taken(&b);
        CHECK(p.top_k == 0 && p.temp == 0.5f);
        CHECK_STR(warning, "");
    }
}

static struct lar_sampling sequence(const char *steps)
{
    struct vb b = begun();
    gb_kv_text(&b.g, S "sequence", steps);
    gb_kv_f32(&b.g, S "penalty_repeat", 1.5f);
    gb_kv_f32(&b.g, S "xtc_probability", 0.5f);
    return taken(&b);
}

static void steps_in_lar_s_order_are_those_that_are_on(void)
{
    struct lar_sampling all = own, p;
    all.repeat_penalty = 1.5f, all.xtc_probability = 0.5f;
    p = sequence("penalties;dry;top_n_sigma;top_k;typ_p;top_p;min_p;xtc;temperature");
    CHECK(same(&p, &all));
    CHECK_STR(warning, "");
    p = sequence("top-k;nucleus;temp");
    CHECK(p.top_k == 40 && p.top_p == 0.95f && p.temp == 0.8f);
    CHECK(p.repeat_penalty == 1 && p.min_p == 0 && p.xtc_probability == 0);
    CHECK_STR(warning, "");
    p = sequence("penalties;min_p;xtc");
    CHECK(p.repeat_penalty == 1.5f && p.min_p == 0.05f && p.xtc_probability == 0.5f);
    CHECK(p.top_k == 0 && p.top_p == 1 && p.temp == 1);
    CHECK_STR(warning, "");
}

static void another_order_is_told(void)
{
    static const char *const other[] = {"temperature;top_p", "top_k;top_k", "top_k;infill", "",
                                        "top_k;",            ";",           "\x1b[31m"};
    struct lar_sampling all = own;
    all.repeat_penalty = 1.5f, all.xtc_probability = 0.5f;
    for (int i = 0; i < 7; i++) {
        struct lar_sampling p = sequence(other[i]);
        CHECK(same(&p, &all));
        CHECK(!strncmp(warning, S "sequence is \"", strlen(S "sequence is \"")));
        CHECK(strstr(warning, "in this order: left out"));
        CHECK(!strchr(warning, '\x1b'));
    }
    struct vb b = begun();
    gb_kv_int(&b.g, S "sequence", GGUF_U8, 1);
    struct lar_sampling p = taken(&b);
    CHECK(same(&p, &own) && strstr(warning, S "sequence"));
}

int main(void)
{
    tap_timeout(120);
    snprintf(path, sizeof path, "/tmp/lar-test-recommended-%ld.gguf", (long)getpid());
    lar_sampling_default(&own, NULL);
    RUN(nothing_recommended_is_lar_s_own);
    RUN(each_key_is_taken_alone);
    RUN(a_wrong_key_is_told_and_the_others_hold);
    RUN(a_number_is_a_number);
    RUN(a_top_k_of_nothing_is_off);
    RUN(steps_in_lar_s_order_are_those_that_are_on);
    RUN(another_order_is_told);
    unlink(path);
    return tap_done();
}
