/* SPDX-License-Identifier: Apache-2.0
 * store/describe.c: see describe.h. All of it comes from the file's header. */
#include "store/describe.h"

#include <stdio.h>

#include <lar/lar.h>

/* general.file_type to the names that people know (ggml-org/llama.cpp, include/llama.h, enum llama_ftype). */
/* clang-format off */
static const char *const file_types[] = {
    [0] = "F32",     [1] = "F16",     [2] = "Q4_0",     [3] = "Q4_1",    [7] = "Q8_0",     [8] = "Q5_0",
    [9] = "Q5_1",    [10] = "Q2_K",   [11] = "Q3_K_S",  [12] = "Q3_K_M", [13] = "Q3_K_L",  [14] = "Q4_K_S",
    [15] = "Q4_K_M", [16] = "Q5_K_S", [17] = "Q5_K_M",  [18] = "Q6_K",   [19] = "IQ2_XXS", [20] = "IQ2_XS",
    [21] = "Q2_K_S", [22] = "IQ3_XS", [23] = "IQ3_XXS", [24] = "IQ1_S",  [25] = "IQ4_NL",  [26] = "IQ3_S",
    [27] = "IQ3_M",  [28] = "IQ2_S",  [29] = "IQ2_M",   [30] = "IQ4_XS", [31] = "IQ1_M",   [32] = "BF16",
    [36] = "TQ1_0",  [37] = "TQ2_0",  [38] = "MXFP4"};
/* clang-format on */
enum { NFILE_TYPE = sizeof file_types / sizeof *file_types };

static void word(char to[DESCRIBE_WORD], struct str s)
{
    size_t n = s.n < DESCRIBE_WORD ? s.n : 0; /* nobody means anything by a longer one */
    if (n) memcpy(to, s.p, n);
    to[n] = 0;
}

/* As Ollama writes it: whole numbers without a point, thousands and more by their letter. */
void describe_count(int64_t n, char *out, size_t size)
{
    double v = (double)n;
    if (n >= 1000000000)
        snprintf(out, size, n % 1000000000 ? "%.1fB" : "%.0fB", v * 1e-9);
    else if (n >= 1000000)
        snprintf(out, size, n % 1000000 ? "%.2fM" : "%.0fM", v * 1e-6);
    else if (n >= 1000)
        snprintf(out, size, "%.0fK", v * 1e-3);
    else
        snprintf(out, size, "%lld", (long long)n);
}

static int find(const struct lar_file *f, size_t n, struct str key, struct lar_meta *m)
{
    for (size_t i = 0; i < n; i++) {
        lar_file_meta(f, i, m);
        if (str_eq((struct str){m->key, m->key_n}, key)) return (int)i;
    }
    return -1;
}

static struct str text(const struct lar_file *f, size_t n, const char *key)
{
    struct lar_meta m;
    struct str s = {"", 0};
    int i = find(f, n, str_of(key), &m);
    if (i >= 0 && m.type == LAR_META_STRING) s.p = lar_file_meta_str(f, (size_t)i, 0, &s.n);
    return s;
}

static int64_t number(const struct lar_file *f, size_t n, struct str key, int64_t otherwise)
{
    struct lar_meta m;
    int i = find(f, n, key, &m);
    return i >= 0 && m.type != LAR_META_STRING && m.type != LAR_META_ARRAY
               ? lar_file_meta_int(f, (size_t)i, 0)
               : otherwise;
}

/* "llama.context_length" and its like. */
static int64_t of_family(const struct lar_file *f, size_t n, const struct describe *d,
                         const char *key)
{
    char name[DESCRIBE_WORD + 40];
    snprintf(name, sizeof name, "%s.%s", d->family, key);
    return number(f, n, str_of(name), 0);
}

/* Weights, and the type in which most bytes lie. */
static int64_t count(const struct lar_file *f, size_t n, const char **most)
{
    struct {
        const char *type;
        uint64_t bytes;
    } sum[64] = {{0}};
    int64_t total = 0;
    uint64_t best = 0;
    for (size_t i = 0; i < n; i++) {
        struct lar_tensor t;
        int64_t k = 1;
        size_t j = 0;
        lar_file_tensor(f, i, &t);
        for (int d = 0; d < t.ndim; d++)
            if (__builtin_mul_overflow(k, t.shape[d], &k)) k = 0;
        if (__builtin_add_overflow(total, k, &total)) total = INT64_MAX;
        while (j < 63 && sum[j].type && strcmp(sum[j].type, t.type) != 0) j++;
        sum[j].type = t.type;
        sum[j].bytes += t.bytes;
        if (sum[j].bytes > best) best = sum[j].bytes, *most = t.type;
    }
    return total;
}

int describe_file(struct describe *d, const char *path, struct lar_err *err)
{
    struct lar_file *f;
    struct lar_file_info info;
    const char *most = "";
    int e = lar_file_open(&f, path, err);
    if (e < 0) return e;
    *d = (struct describe){0};
    lar_file_info(f, &info);
    size_t n = info.nmeta;
    struct str kind = text(f, n, "general.type");
    word(d->family, text(f, n, "general.architecture"));
    describe_count(count(f, info.ntensor, &most), d->type, sizeof d->type);
    int64_t t = number(f, n, STR("general.file_type"), -1);
    word(d->file_type, str_of(t >= 0 && t < NFILE_TYPE && file_types[t] ? file_types[t] : most));
    d->ctx = of_family(f, n, d, "context_length");
    d->width = of_family(f, n, d, "embedding_length");
    d->parts = info.parts;
    d->adapter = str_is(kind, "adapter");
    d->projector =
        str_is(kind, "mmproj") || str_is(kind, "projector") || strcmp(d->family, "clip") == 0;
    lar_file_close(f);
    return 0;
}

void describe_keep(struct describe *d, const struct json *config)
{
    word(d->renderer, json_str(json_get(config, "renderer"), STR("")));
    word(d->parser, json_str(json_get(config, "parser"), STR("")));
    word(d->requires, json_str(json_get(config, "requires"), STR("")));
}

int describe_set(struct describe *d, const char *what, struct str value, struct lar_err *err)
{
    if (value.n >= DESCRIBE_WORD)
        return lar_fail(err, LAR_ELIMIT, "Modelfile: %s of %zu bytes", what, value.n);
    word(strcmp(what, "renderer") == 0 ? d->renderer
         : strcmp(what, "parser") == 0 ? d->parser
                                       : d->requires,
         value);
    return 0;
}

static void field(struct buf *b, const char *key, const char *value)
{
    if (!*value) return;
    buf_printf(b, ",\"%s\":", key);
    buf_json_str(b, str_of(value));
}

void describe_write(const struct describe *d, const struct manifest *m, struct buf *b)
{
    buf_puts(b, "{\"model_format\":\"gguf\"");
    field(b, "model_family", d->family);
    buf_puts(b, ",\"model_families\":[");
    buf_json_str(b, str_of(d->family));
    buf_puts(b, "]");
    field(b, "model_type", d->type);
    field(b, "file_type", d->file_type);
    field(b, "renderer", d->renderer);
    field(b, "parser", d->parser);
    field(b, "requires", d->requires);
    if (d->ctx > 0) buf_printf(b, ",\"context_length\":%lld", (long long)d->ctx);
    if (d->width > 0) buf_printf(b, ",\"embedding_length\":%lld", (long long)d->width);
    buf_puts(
        b,
        ",\"architecture\":\"amd64\",\"os\":\"linux\",\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[");
    for (size_t i = 0; i < m->n; i++)
        buf_printf(b, "%s\"sha256:%s\"", i ? "," : "", m->layer[i].digest);
    buf_puts(b, "]}}");
}
