/* SPDX-License-Identifier: Apache-2.0
 *
 * cli/embed.c: `lar embed`: texts to vectors, a filter: a text a line in, a vector a line out. */
#include "base/err.h"
#include "base/mem.h"
#include "cli/out.h"
#include "cli/texts.h"
#include "cli/verbs.h"

struct embed_options {
    int json, raw, dimensions;
    const char *prefix, *prompt;
    struct texts_options texts;
};

struct embed {
    const struct embed_options *o;
    struct texts_reader r;
    size_t width;
    float *v; /* [TEXTS_MAX][width] */
};

/* Nine digits read back to the same float. */
static void write_vector(const struct embed *e, const float *v)
{
    struct buf *b = out();
    int json = e->o->json || e->o->texts.batch;
    if (json) buf_putc(b, '[');
    for (size_t i = 0; i < e->width; i++)
        buf_printf(b, "%s%.9g", i == 0 ? "" : json ? "," : " ", (double)v[i]);
    buf_puts(b, json ? "]\n" : "\n");
    out_spill();
}

static int embed_texts(void *ctx, const struct texts *t, struct lar_err *err)
{
    struct embed *e = ctx;
    int64_t rc = lar_embed(e->r.e, t->t, t->n, e->v, err);
    for (size_t i = 0; i < t->n && rc >= 0; i++) write_vector(e, e->v + i * e->width);
    return rc < 0 ? (int)rc : 0;
}

static int run(const void *values, char **arg, int narg)
{
    struct embed e = {.o = values};
    struct lar_embed_options more = {.dimensions = e.o->dimensions, .raw = e.o->raw};
    struct lar_embedder_info info;
    struct lar_err err;
    if (e.o->prefix && e.o->prompt) {
        say("embed: --prefix and --prompt: one of them");
        return EXIT_MISUSE;
    }
    int code = texts_open(&e.r, arg[0], &e.o->texts, more);
    if (code) return code;
    if (lar_embed(e.r.e, NULL, 0, NULL, &err) < 0) { /* what it cannot do is no text's fault */
        texts_close(&e.r);
        return say_err(&err);
    }
    int own = e.o->prefix || (e.o->prompt && !e.o->prompt[0]); /* instead of the model's default */
    if ((own || e.o->prompt) && lar_embedder_prompt(e.r.e, own ? NULL : e.o->prompt, &err) < 0) {
        texts_close(&e.r);
        return say_err(&err);
    }
    lar_embedder_info(e.r.e, &info);
    e.width = (size_t)info.dimensions;
    e.v = mem_zalloc(TEXTS_MAX * e.width * sizeof *e.v);
    if (e.v) {
        code = texts_each(arg + 1, narg - 1, &e.o->texts, e.o->prefix, embed_texts, &e);
    } else {
        say("out of memory");
        code = EXIT_FAILED;
    }
    mem_free(e.v);
    texts_close(&e.r);
    return code;
}

#define AT(field) offsetof(struct embed_options, field)
/* clang-format off */
static const struct opt options[] = {
    {.kind = OPT_FLAG, .name = "json", .at = AT(json), .value = 1,
     .help = "Each vector is a JSON array; else its numbers stand side by side with spaces between."},
    {.kind = OPT_INT, .name = "dimensions", .arg = "N", .at = AT(dimensions), .min = 0, .max = 1 << 20,
     .help = "Only the first N numbers, made unit length again: for models trained so (Matryoshka)."},
    {.kind = OPT_FLAG, .name = "no-normalize", .at = AT(raw), .value = 1,
     .help = "Vectors as the model gives them, not made unit length."},
    {.kind = OPT_TEXT, .name = "prefix", .arg = "TEXT", .at = AT(prefix),
     .help = "Stands before each text, as many models want it (\"query: \", \"search_document: \"), instead of the "
             "model's default prompt."},
    {.kind = OPT_TEXT, .name = "prompt", .arg = "NAME", .at = AT(prompt),
     .help = "The prompt that the model's file has by this name (sentence-transformers: query, document ...) stands "
             "before each text; \"\": none, not even the model's default."},
    {.kind = OPT_GROUP, .at = AT(texts), .group = texts_opts},
    {.kind = OPT_END},
};

const struct verb verb_embed = {
    .name = "embed",
    .synopsis = "MODEL [TEXT...]",
    .summary = "texts to vectors",
    .about = "Prints one vector a line for each TEXT or, without any, for each line of standard input. Vectors are "
             "of unit length, so that the product of two is their cosine. MODEL is an embedder (BERT and its kin, "
             "nomic-bert, ModernBERT, EmbeddingGemma, Qwen3-Embedding); of any other model the vectors come when "
             "--pooling is named.",
    .opts = options,
    .size = sizeof(struct embed_options),
    .min_args = 1,
    .max_args = 1 << 20,
    .run = run,
};
/* clang-format on */
