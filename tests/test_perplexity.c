/* SPDX-License-Identifier: Apache-2.0
 * tests/test_perplexity.c: lar_perplexity against its definition in lar/quant.h, computed here in double from the logits of each chunk: which
 * token begins a chunk, which are scored, what is left of a text. */
#include <lar/quant.h>

#include "api/api.h"
#include "tap.h"

static const char text[] = "The quick brown fox jumps over the lazy dog; then it sleeps, and the dog, who saw it all, "
                           "tells nobody. A kettle of blue enamel, 3 cups, 27 spoons: that is what the kitchen had.";

/* -ln p of the token after these logits */
static double loss(const float *l, int n, int32_t next)
{
    double max = -(double)INFINITY, sum = 0;
    for (int i = 0; i < n; i++) max = fmax(max, (double)l[i]);
    for (int i = 0; i < n; i++) sum += exp((double)l[i] - max);
    return max + log(sum) - (double)l[next];
}

/* The mean loss of all chunks of ctx; *scored of them. */
static double by_hand(struct lar_model *m, int ctx, int chunks, int64_t *scored)
{
    struct lar_err err = {0};
    struct lar_model_info info;
    int32_t id[1000];
    int64_t n = lar_tokenize(m, text, sizeof text - 1, LAR_TOKENIZE_BOS, id, 1000, &err);
    const struct vocab_special *sp = vocab_special(m->vocab);
    lar_model_info(m, &info);
    float *all = malloc((size_t)ctx * (size_t)info.vocab * sizeof *all);
    double sum = 0;
    *scored = 0;
    for (int c = 0; c < n / ctx && c < chunks; c++) {
        struct lar_session *s = NULL;
        int32_t *t = id + c * ctx, first = ctx / 2;
        if (sp->add_bos) t[0] = sp->bos;
        CHECK_EQ(lar_session_open(&s, m, &(struct lar_session_options){.ctx = ctx}, &err), 0);
        /* Two slices, as they go there: F16 keys make the order of sums matter by some 1e-3. */
        CHECK(lar_session_extend(s, t, (size_t)first, NULL, &err) >= 0);
        CHECK(lar_session_extend(s, t + first, (size_t)(ctx - first - 1), all, &err) >= 0);
        for (int i = first; i + 1 < ctx; i++, ++*scored)
            sum += loss(all + (i - first) * info.vocab, info.vocab, t[i + 1]);
        lar_session_close(s);
    }
    free(all);
    return sum / (double)*scored;
}

static void compare(const char *path, int add_bos)
{
    static const int ctx[] = {3, 4, 16, 17, 30};
    struct lar_model *m = NULL;
    struct lar_err err = {0};
    CHECK_EQ(lar_model_open(&m, path, NULL, &err), 0);
    if (!m) return;
    CHECK_EQ(vocab_special(m->vocab)->add_bos, add_bos);
    for (size_t i = 0; i < sizeof ctx / sizeof *ctx; i++)
        for (int chunks = 1; chunks < 4; chunks += 2) {
            struct lar_perplexity_options o = {.ctx = ctx[i], .chunks = chunks};
            struct lar_perplexity got = {0};
            int64_t scored;
            double want = by_hand(m, ctx[i], chunks, &scored);
            CHECK_EQ(lar_perplexity(m, text, sizeof text - 1, &o, &got, &err), 0);
            CHECK_EQ(got.tokens, scored);
            CHECK_NEAR(log(got.ppl), want, 1e-5);
        }
    lar_model_close(m);
}

static void the_demonstration_model_is_measured_as_defined(void) { compare("models/lar-demo-q8_0.gguf", 0); }

/* A copy of a file; what (may be NULL) becomes with. */
static void copy(const char *name, const char *folder, const char *what, const char *with)
{
    static char data[1 << 17];
    char path[300];
    snprintf(path, sizeof path, "tests/data/tiny-llama/%s", name);
    FILE *in = fopen(path, "rb");
    size_t n = in ? fread(data, 1, sizeof data, in) : 0;
    CHECK(in && n && n < sizeof data);
    if (in) fclose(in);
    char *at = what ? memmem(data, n, what, strlen(what)) : data + n;
    CHECK(at != NULL);
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *out = fopen(path, "wb");
    CHECK(out != NULL);
    if (!out || !at) return;
    size_t before = (size_t)(at - data), skip = what ? strlen(what) : 0;
    fwrite(data, 1, before, out);
    if (what) fputs(with, out);
    fwrite(at + skip, 1, n - before - skip, out);
    fclose(out);
}

static void each_chunk_begins_with_the_beginning_of_sequence_where_one_is_added(void)
{
    static const char *const name[] = {"config.json",
                                       "model-00001-of-00002.safetensors",
                                       "model-00002-of-00002.safetensors",
                                       "model.safetensors.index.json",
                                       "tokenizer_config.json",
                                       "tokenizer.json"};
    char folder[100], path[300];
    const char *tmp = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%.60s/lar-perplexity-XX" "XX" "XX", tmp ? tmp : "/tmp");
    if (!mkdtemp(folder)) {
        CHECK(!"a folder");
        return;
    }
    for (int i = 0; i < 5; i++) copy(name[i], folder, NULL, NULL);
    copy(name[5], folder, "\"post_processor\":null",
         "\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":["
         "{\"SpecialToken\":{\"id\":\"<s>\",\"type_id\":0}},"
         "{\"Sequence\":{\"id\":\"A\",\"type_id\":0}}],\"pair\":[],"
         "\"special_tokens\":{\"<s>\":{\"id\":\"<s>\",\"ids\":[261],\"tokens\":[\"<s>\"]}}}");
    if (!tap_case_bad) compare(folder, 1);
    for (int i = 0; i < 6; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, name[i]);
        unlink(path);
    }
    rmdir(folder);
}

int main(void)
{
    tap_timeout(60);
    RUN(the_demonstration_model_is_measured_as_defined);
    RUN(each_chunk_begins_with_the_beginning_of_sequence_where_one_is_added);
    return tap_done();
}
