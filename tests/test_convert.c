/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/test_convert.c: Hugging Face folders against what ggml's own converter made of them (../shared/golden/models; skipped where absent): every
 * key and every tensor by name, type and bytes. Where Lar departs from it the table below says in what and why; a difference that is not
 * in the table, or one in the table that is none, fails. (Their logits: tests/test_golden.c.)
 */
#include <dirent.h>
#include <sys/stat.h>

#include "convert/convert.h"
#include "io/gguf.h"
#include "tap.h"

#define ROOT "../shared/golden/models"
#define EMBED "../shared/golden/embed" /* embedders, rerankers, classifiers */

static const struct {
    const char *model, *key, *why; /* model "": any; key: beginning of a key's or a tensor's name */
} expected[] = {
    {"mistral-window", "llama.attention.sliding_window", "ggml drops the window, and attends to everything"},
    {"", "tokenizer.lar.", "what ggml's keys cannot say of a tokenizer"},
    {"", "tokenizer.ggml.pre", "named qwen2 there, which would also normalise; WordPiece has none"},
    {"", "tokenizer.ggml.add_eos_token", "written also where it is what readers assume"},
    {"", "tokenizer.ggml.add_space_prefix", "as the tokenizer's file has it; ggml assumes none for Gemma"},
    {"", "tokenizer.ggml.remove_extra_whitespaces", "as the tokenizer's own file has it"},
    {"", "tokenizer.ggml.unknown_token_id", "as the tokenizer's own file has it"},
    {"", "tokenizer.ggml.token_type", "tokens of the user's own stay so; ggml makes them ordinary ones"},
    {"gemma1", "tokenizer.ggml.eot_token_id", "ggml takes 107 for every Gemma; here that is an ordinary token"},
    {"", "tokenizer.ggml.add_sep_token", "WordPiece's end is its separator; elsewhere it says nothing"},
    {"", "tokenizer.ggml.cls_token_id", "as the tokenizer's own file has it"},
    {"", "tokenizer.ggml.normalizer.strip_accents", "as the tokenizer's own file has it"},
    {"bert-cross-encoder", "cls.", "ggml drops the pooler, without which scores are wrong"},
    {"", "general.size_label", "with every tensor that the file has: poolers, dense layers"},
    {"modernbert", "modern-bert.rope.scaling.type", "says nothing that readers do not assume"},
    {"qwen3-reranker", "tokenizer.chat_templates", "the list of one template that readers find by its name"},
    {"modernbert", "modern-bert.vocab_size", "is the embedding's"},
    {"bert-cross-encoder", "bert.pooling_type", "a classifier's is written"},
    {"xlmr-reranker", "bert.pooling_type", "a classifier's is written"},
    {"xlmr-mean", "tokenizer.ggml.", "<mask> has its own id; ggml leaves a token without a name there"},
    {"xlmr-reranker", "tokenizer.ggml.", "the same"},
};

enum { NEXPECTED = sizeof expected / sizeof *expected };
static int used[NEXPECTED];

static int is_expected(const char *model, struct str name)
{
    for (int i = 0; i < NEXPECTED; i++) {
        if (*expected[i].model && strcmp(expected[i].model, model)) continue;
        if (!str_starts(name, str_of(expected[i].key))) continue;
        used[i] = 1;
        return 1;
    }
    return 0;
}

static void fault(const char *what, struct str name)
{
    printf("# %s %.*s\n", what, STR_ARG(name));
    tap_case_bad++;
}

static char *terminated(struct str s, char out[200])
{
    snprintf(out, 200, "%.*s", STR_ARG(s));
    return out;
}

static int near(float a, float b) { return a == b || fabsf(a - b) <= 2e-7F * fabsf(b); }

/* Equal to the bit; numbers that are computed by a library's pow or exp may differ in the last place. */
static void compare_keys(const char *model, const struct gguf *ours, const struct gguf *theirs)
{
    char name[200];
    for (size_t i = 0; i < theirs->nkv; i++) {
        const struct gguf_kv *b = &theirs->kv[i], *a = gguf_find(ours, terminated(b->key, name));
        if (!a) {
            if (!is_expected(model, b->key)) fault("key is missing:", b->key);
        } else if (a->type != b->type || a->etype != b->etype || a->count != b->count) {
            if (!is_expected(model, b->key)) fault("key has another type or length:", b->key);
        } else if (a->bytes != b->bytes || memcmp(a->data, b->data, a->bytes)) {
            int same =
                (a->type == GGUF_F32 || (a->type == GGUF_ARRAY && a->etype == GGUF_F32)) && a->bytes == b->bytes;
            for (uint64_t k = 0; same && k < a->count; k++)
                same = near((float)gguf_num_at(a, k), (float)gguf_num_at(b, k));
            if (!same && !is_expected(model, b->key)) {
                fault("key has another value:", b->key);
                if (a->type == GGUF_STRING)
                    printf("#   %.*s, not %.*s\n", STR_ARG(gguf_str_at(a, 0)), STR_ARG(gguf_str_at(b, 0)));
                else if (a->type != GGUF_ARRAY)
                    printf("#   %g, not %g\n", gguf_num_at(a, 0), gguf_num_at(b, 0));
            }
        }
    }
    for (size_t i = 0; i < ours->nkv; i++)
        if (!gguf_find(theirs, terminated(ours->kv[i].key, name)) && !is_expected(model, ours->kv[i].key))
            fault("key is not theirs:", ours->kv[i].key);
}

static void compare_tensors(const char *model, const struct gguf *ours, const struct gguf *theirs)
{
    char name[200];
    for (size_t i = 0; i < theirs->ntensor; i++) {
        const struct gguf_tensor *b = &theirs->tensor[i], *a = gguf_tensor(ours, terminated(b->name, name));
        if (!a) {
            if (!is_expected(model, b->name)) fault("tensor is missing:", b->name);
            continue;
        }
        if (a->type != b->type || a->ndim != b->ndim || memcmp(a->dim, b->dim, sizeof a->dim)) {
            fault("tensor has another type or shape:", b->name);
        } else if (memcmp(a->data, b->data, a->bytes)) {
            uint64_t bad = 0;
            for (uint64_t k = 0; k < a->bytes / 4; k++) {
                float x, y;
                memcpy(&x, a->data + 4 * k, 4);
                memcpy(&y, b->data + 4 * k, 4);
                bad += !near(x, y);
            }
            if (bad) fault("tensor has other values:", b->name);
            if (bad) printf("#   %llu of %llu\n", (unsigned long long)bad, (unsigned long long)a->bytes / 4);
        }
    }
    for (size_t i = 0; i < ours->ntensor; i++)
        if (!gguf_tensor(theirs, terminated(ours->tensor[i].name, name)))
            if (!is_expected(model, ours->tensor[i].name)) fault("tensor is not theirs:", ours->tensor[i].name);
}

static void one(const char *root, const char *name, const char *temp)
{
    char path[300], gguf[300], out[400];
    struct convert c;
    struct lar_err err = {0};
    struct convert_job job = {.type = CONVERT_F32};
    struct gguf ours = {0}, theirs = {0};
    tap_case_bad = 0;
    snprintf(path, sizeof path, "%s/%s", root, name);
    snprintf(gguf, sizeof gguf, "%s/%s/%s", root, name, strcmp(root, EMBED) ? "model-f32.gguf" : "model.gguf");
    snprintf(out, sizeof out, "%s/%s.gguf", temp, name);
    long live = mem_live();
    int rc = convert_open(&c, path, &err);
    if (rc == 0) {
        rc = convert_file(&c, out, &job, &err);
        convert_close(&c);
    }
    if (rc == 0) rc = gguf_open(&ours, out, &err);
    if (rc == 0 && access(gguf, R_OK) == 0) {
        rc = gguf_open(&theirs, gguf, &err);
        if (rc == 0) compare_keys(name, &ours, &theirs), compare_tensors(name, &ours, &theirs);
        gguf_close(&theirs);
    }
    if (rc < 0) printf("# %s\n", err.msg);
    gguf_close(&ours);
    CHECK_EQ(mem_live(), live);
    unlink(out);
    tap_ok(rc == 0 && !tap_case_bad, name);
}

static int by_name(const struct dirent **a, const struct dirent **b) { return strcmp((*a)->d_name, (*b)->d_name); }

static void every_listed_difference_is_one(void)
{
    for (int i = 0; i < NEXPECTED; i++)
        if (!used[i]) fault("no difference is left in", str_of(expected[i].key));
}

/* 0: it is not here */
static int all(const char *root, const char *temp, const char *only)
{
    struct dirent **entry = NULL;
    char weights[400];
    int n = scandir(root, &entry, NULL, by_name);
    for (int i = 0; i < n; i++) {
        snprintf(weights, sizeof weights, "%s/%s/model.safetensors", root, entry[i]->d_name);
        if (entry[i]->d_name[0] != '.' && access(weights, R_OK) == 0 && (!only || !strcmp(only, entry[i]->d_name)))
            one(root, entry[i]->d_name, temp);
        free(entry[i]);
    }
    free(entry);
    return n > 0;
}

int main(int argc, char **argv)
{
    char temp[80];
    const char *only = argc > 1 ? argv[1] : NULL;
    tap_timeout(120);
    snprintf(temp, sizeof temp, "/tmp/lar-convert-%d", (int)getpid());
    CHECK_EQ(mkdir(temp, 0700), 0);
    int here = all(ROOT, temp, only);
    if (!here) SKIP(ROOT " is not here");
    if (all(EMBED, temp, only) && !only) RUN(every_listed_difference_is_one);
    rmdir(temp);
    return tap_done();
}
