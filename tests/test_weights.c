/* SPDX-License-Identifier: Apache-2.0
 * tests/test_weights.c: which files a folder's weights are read from, and what of an index is not believed. */
#include "convert/weights.h"

#include <sys/stat.h>

#include "tap.h"

static char folder[100];
static struct lar_err err;

static const char *in_folder(const char *name)
{
    static char path[300];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void put(const char *name, const void *p, size_t n)
{
    FILE *f = fopen(in_folder(name), "wb");
    CHECK(f && fwrite(p, 1, n, f) == n);
    if (f) fclose(f);
}

/* A .safetensors file of up to two tensors of two F32 each: both of the value. */
static void part(const char *name, const char *a, const char *b, float value)
{
    char file[512] = {0}, *header = file + 8;
#define TENSOR "\"%s\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":"
    size_t n = (size_t)snprintf(header, 400, "{" TENSOR "[0,8]}", a);
    if (b) n += (size_t)snprintf(header + n, 400 - n, "," TENSOR "[8,16]}", b);
    header[n++] = '}';
    while (n % 8) header[n++] = ' ';
    file[0] = (char)(n & 255), file[1] = (char)(n >> 8);
    for (size_t i = 0; i < (b ? 4u : 2u); i++) memcpy(header + n + 4 * i, &value, 4);
    put(name, file, 8 + n + (b ? 16 : 8));
}

static void index_of(const char *map)
{
    char text[512];
    int n = snprintf(text, sizeof text, "{\"weight_map\":{%s}}", map);
    put("model.safetensors.index.json", text, (size_t)n);
}

static void clear(void)
{
    static const char *const names[] = {"model.safetensors.index.json", "1.safetensors", "2.safetensors",
                                        ".2.safetensors", "model.safetensors"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) unlink(in_folder(names[i]));
}

/* The first number of the tensor, or -1. */
static float value_of(const struct weights *w, const char *name)
{
    const struct weight *t = weights_find(w, str_of(name));
    float v = -1;
    if (t) weight_read(t, 0, 1, 1, &v);
    return v;
}

static void refused_as(int code, const char *words)
{
    struct weights w;
    err = (struct lar_err){0};
    int rc = weights_open(&w, folder, &err);
    CHECK_EQ(rc, code);
    if (rc == 0) weights_close(&w);
    if (!strstr(err.msg, words)) printf("# \"%s\" does not say: %s\n", err.msg, words), tap_case_bad++;
}

static void refused(const char *words) { refused_as(LAR_EFORMAT, words); }

static void an_index_names_the_file_of_each_tensor(void)
{
    struct weights w;
    part("1.safetensors", "a", "c", 1);
    part("2.safetensors", "b", NULL, 2);
    index_of("\"a\":\"1.safetensors\",\"b\":\"2.safetensors\",\"c\":\"1.safetensors\"");
    CHECK_EQ(weights_open(&w, folder, &err), 0);
    CHECK_EQ(w.n, 3);
    CHECK_EQ(w.npart, 2);
    CHECK_NEAR(value_of(&w, "a"), 1, 0);
    CHECK_NEAR(value_of(&w, "b"), 2, 0);
    CHECK_NEAR(value_of(&w, "c"), 1, 0);
    CHECK_NEAR(value_of(&w, "d"), -1, 0);
    weights_close(&w);
    index_of("\"a\":\"1.safetensors\",\"b\":\"1.safetensors\",\"c\":\"1.safetensors\"");
    refused("tensor b is not in 1.safetensors");
    index_of("\"a\":\"1.safetensors\",\"b\":\"2.safetensors\",\"c\":\"2.safetensors\"");
    refused("tensor c is not in 2.safetensors");
    clear();
}

static void a_tensor_in_two_files_is_refused(void)
{
    part("1.safetensors", "a", NULL, 1);
    part("2.safetensors", "b", "a", 2);
    index_of("\"a\":\"1.safetensors\",\"b\":\"2.safetensors\"");
    refused("tensor a is in two files");
    index_of("\"b\":\"2.safetensors\",\"a\":\"1.safetensors\"");
    refused("tensor a is in two files");
    part("2.safetensors", "b", NULL, 2);
    index_of("\"a\":\"1.safetensors\",\"a\":\"2.safetensors\",\"b\":\"2.safetensors\"");
    refused("tensor a is not in 2.safetensors");
    clear();
}

static void an_index_may_not_name_other_files(void)
{
    static const char *const name[] = {".2.safetensors", "../2.safetensors", "/etc/2.safetensors", "sub/2.safetensors",
                                       "..", "", "2.txt"};
    part("1.safetensors", "a", NULL, 1);
    part(".2.safetensors", "b", NULL, 2);
    for (size_t i = 0; i < sizeof name / sizeof *name; i++) {
        char map[200];
        snprintf(map, sizeof map, "\"a\":\"1.safetensors\",\"b\":\"%s\"", name[i]);
        index_of(map);
        refused("no name of a weights file in this folder");
    }
    clear();
}

static void an_index_that_is_none_is_refused(void)
{
    static const char *const text[] = {"", "[]", "{}", "{\"weight_map\":[]}", "{\"weight_map\":{}}",
                                       "{\"weight_map\":1}",
                                       "{\"weight_map\":{\"a\":1}}", "{\"weight_map\":{\"a\":null}}",
                                       "{\"weight_map\":{\"a\":[\"1.safetensors\"]}}",
                                       "{\"weight_map\":{\"a\":\"1.safetensors\\u0000\"}}",
                                       "{\"weight_map\":{\"a\":\"1.safetensors\"}", "\xff\xfe{}"};
    struct weights w;
    part("1.safetensors", "a", NULL, 1);
    for (size_t i = 0; i < sizeof text / sizeof *text; i++) {
        put("model.safetensors.index.json", text[i], strlen(text[i]));
        err = (struct lar_err){0};
        int rc = weights_open(&w, folder, &err);
        CHECK(rc < 0 && err.msg[0]);
        if (rc == 0) weights_close(&w);
    }
    index_of("\"a\":\"3.safetensors\"");
    refused_as(LAR_EIO, "3.safetensors");
    clear();
}

static void without_an_index_there_is_one_file_and_hidden_ones_are_none(void)
{
    struct weights w;
    part("1.safetensors", "a", NULL, 1);
    part(".2.safetensors", "b", NULL, 2);
    CHECK_EQ(weights_open(&w, folder, &err), 0);
    CHECK_EQ(w.n, 1);
    CHECK_NEAR(value_of(&w, "a"), 1, 0);
    weights_close(&w);
    unlink(in_folder("1.safetensors"));
    refused_as(LAR_EINVAL, "has no weights");
    part("1.safetensors", "a", NULL, 1);
    part("2.safetensors", "b", NULL, 2);
    refused("has 2 files *.safetensors and no index");
    part("model.safetensors", "c", NULL, 3);
    CHECK_EQ(weights_open(&w, folder, &err), 0);
    CHECK_NEAR(value_of(&w, "c"), 3, 0);
    CHECK_EQ(w.n, 1);
    weights_close(&w);
    clear();
}

int main(void)
{
    tap_timeout(60);
    const char *tmp = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%.60s/lar-weights-XX" "XX" "XX", tmp ? tmp : "/tmp");
    if (!mkdtemp(folder)) {
        printf("Bail out! no folder\n");
        return 1;
    }
    RUN(an_index_names_the_file_of_each_tensor);
    RUN(a_tensor_in_two_files_is_refused);
    RUN(an_index_may_not_name_other_files);
    RUN(an_index_that_is_none_is_refused);
    RUN(without_an_index_there_is_one_file_and_hidden_ones_are_none);
    rmdir(folder);
    return tap_done();
}
