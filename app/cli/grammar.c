/* SPDX-License-Identifier: Apache-2.0
 *
 * cli/grammar.c: `lar grammar`: what a schema or another grammar accepts, without any model. Its lines are a promise (DESIGN: one JSON
 * object for each document); notes and refusals go to stderr. */
#include <lar/grammar.h>
#include <lar/lar.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/time.h"
#include "cli/constraint.h"
#include "cli/in.h"
#include "cli/out.h"
#include "cli/verbs.h"

struct values {
    int kind, draft, count;
    int ignore_format, quiet, compact, partial;
    int64_t seed;
    const char *model;
};

/* --partial: beside what the machine takes, what the judge says of the whole schema. */
static void judge(struct lar_grammar *g, const struct buf *text)
{
    struct lar_err why = {0};
    int rc = lar_grammar_judge(g, text->p ? text->p : "", text->n, &why);
    buf_printf(out(), ",\"valid\":%s", rc > 0 ? "true" : rc == 0 ? "false" : "null");
    if (rc > 0) return;
    buf_puts(out(), ",\"not\":");
    buf_json_str(out(), str_of(why.msg));
}

static int check_one(struct lar_grammar *g, const char *path, int partial)
{
    struct buf text = {0};
    struct lar_err err;
    size_t at = 0;
    int e = in_all(path, &text, &err);
    if (e == 0 && (e = lar_grammar_check(g, buf_z(&text), text.n, &at, &err)) >= 0) {
        buf_puts(out(), "{\"file\":");
        buf_json_str(out(), str_of(path));
        buf_printf(out(), ",\"accepted\":%s", e ? "true" : "false");
        if (!e) {
            buf_printf(out(), ",\"at\":%zu,\"why\":", at);
            buf_json_str(out(), str_of(err.msg));
        }
        if (partial) judge(g, &text);
        buf_puts(out(), "}\n");
        out_spill();
    }
    buf_done(&text);
    return e < 0 ? say_err(&err) : EXIT_DONE;
}

static int open_grammar(const struct values *v, const struct buf *text, struct lar_grammar **g, char **notes,
                        struct lar_err *err)
{
    static const int drafts[] = {0, 4, 6, 7, 2019, 2020};
    struct lar_grammar_options opt = {
        .draft = drafts[v->draft], .ignore_format = v->ignore_format, .space = v->compact ? -1 : 0,
        .partial = v->partial};
    return lar_grammar_open(g, (enum lar_grammar_kind)v->kind, buf_z(text), text->n, &opt, notes, err);
}

static int check(const struct values *v, char **arg, int narg)
{
    struct buf text = {0};
    struct lar_grammar *g = NULL;
    struct lar_err err;
    char *notes = NULL;
    int code = EXIT_DONE, e = in_all(arg[1], &text, &err);
    if (e == 0 && (e = open_grammar(v, &text, &g, v->quiet ? NULL : &notes, &err)) < 0) {
        struct lar_err why = err;
        lar_fail(&err, e, "%s: %s", arg[1], why.msg);
    }
    if (e < 0) {
        code = say_err(&err);
        if (e == LAR_EUNSUPPORTED || e == LAR_EFORMAT || e == LAR_ELIMIT) code = EXIT_MISUSE;
    }
    constraint_notes(notes);
    if (code == EXIT_DONE) constraint_left(g);
    for (int i = 2; i < narg && code == EXIT_DONE; i++) code = check_one(g, arg[i], v->partial);
    lar_free(notes);
    lar_grammar_close(g);
    buf_done(&text);
    return out_done(code);
}

/* ---- bench ---- */

struct times {
    double *us;
    size_t n, cap;
};

static int times_add(struct times *t, double us)
{
    if (t->n == t->cap) {
        size_t cap = t->cap ? t->cap * 2 : 1024;
        double *v = mem_resize(t->us, cap * sizeof *v);
        if (!v) return LAR_ENOMEM;
        t->us = v;
        t->cap = cap;
    }
    t->us[t->n++] = us;
    return 0;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void write_times(const char *name, struct times *t)
{
    double sum = 0;
    for (size_t i = 0; i < t->n; i++) sum += t->us[i];
    qsort(t->us, t->n, sizeof *t->us, by_size);
    buf_printf(out(), ",\"%s\":{\"n\":%zu", name, t->n);
    if (t->n)
        buf_printf(out(), ",\"mean_us\":%.2f,\"p50_us\":%.2f,\"p99_us\":%.2f,\"max_us\":%.2f", sum / (double)t->n,
                   t->us[t->n / 2], t->us[(t->n * 99) / 100 < t->n ? (t->n * 99) / 100 : t->n - 1], t->us[t->n - 1]);
    buf_puts(out(), "}");
}

struct bench {
    struct lar_model *m;
    struct lar_grammar *g;
    uint64_t *set;
    struct times mask, step;
};

/* One mask before each token of the document, and one at its end. 1: every token was in its mask and the document may end. */
static int bench_document(struct bench *b, const char *text, size_t n, size_t *at, struct lar_err *err)
{
    int64_t count = lar_tokenize(b->m, text, n, 0, NULL, 0, err);
    int32_t *id = count > 0 ? mem_alloc((size_t)count * sizeof *id) : NULL;
    uint32_t place = lar_grammar_start(b->g);
    int rc = count < 0 ? (int)count : 0;
    if (count > 0 && !id) rc = lar_fail(err, LAR_ENOMEM, "out of memory for %lld tokens", (long long)count);
    if (rc == 0 && count > 0) lar_tokenize(b->m, text, n, 0, id, (size_t)count, err);
    int64_t i = 0;
    for (; rc == 0 && i <= count && place; i++) {
        int64_t t = time_ns();
        if ((rc = lar_grammar_mask(b->g, place, b->set, err)) < 0) break;
        if (times_add(&b->mask, (double)(time_ns() - t) / 1e3) < 0) rc = lar_fail(err, LAR_ENOMEM, "out of memory");
        if (i == count || !(b->set[id[i] / 64] >> (id[i] & 63) & 1)) break;
        t = time_ns();
        place = lar_grammar_next(b->g, place, id[i]);
        times_add(&b->step, (double)(time_ns() - t) / 1e3);
    }
    *at = (size_t)i;
    mem_free(id);
    return rc < 0 ? rc : i == count && lar_grammar_ends(b->g, place);
}

static int bench_file(struct bench *b, const char *path, struct lar_err *err)
{
    struct buf text = {0};
    size_t at = 0;
    int e = in_all(path, &text, err);
    b->mask.n = b->step.n = 0;
    if (e == 0) e = bench_document(b, buf_z(&text), text.n, &at, err);
    if (e >= 0) {
        buf_puts(out(), "{\"file\":");
        buf_json_str(out(), str_of(path));
        buf_printf(out(), ",\"accepted\":%s,\"tokens\":%zu", e ? "true" : "false", at);
        write_times("mask", &b->mask);
        write_times("step", &b->step);
        buf_puts(out(), "}\n");
        out_spill();
    }
    buf_done(&text);
    return e < 0 ? e : 0;
}

static int bench(const struct values *v, char **arg, int narg)
{
    struct lar_model_options mo = {.vocab_only = 1};
    struct lar_model_info info = {0};
    struct bench b = {0};
    struct buf text = {0};
    struct lar_err err;
    int e = lar_model_open(&b.m, arg[1], &mo, &err);
    if (e == 0) e = in_all(arg[2], &text, &err);
    int64_t start = time_ns();
    if (e == 0) e = open_grammar(v, &text, &b.g, NULL, &err);
    double compile = time_ms_since(start);
    start = time_ns();
    if (e == 0) e = lar_grammar_bind(b.g, b.m, &err);
    double bind = time_ms_since(start);
    if (e == 0) {
        lar_model_info(b.m, &info);
        if (!(b.set = mem_zalloc(((size_t)info.vocab / 64 + 1) * 8))) e = lar_fail(&err, LAR_ENOMEM, "out of memory");
    }
    if (e == 0)
        buf_printf(out(), "{\"vocab\":%d,\"vocab_ms\":%.2f,\"compile_us\":%.1f}\n", info.vocab, bind, compile * 1e3);
    for (int i = 3; i < narg && e == 0; i++) e = bench_file(&b, arg[i], &err);
    mem_free(b.mask.us);
    mem_free(b.step.us);
    mem_free(b.set);
    lar_grammar_close(b.g);
    lar_model_close(b.m);
    buf_done(&text);
    return out_done(e < 0 ? say_err(&err) : EXIT_DONE);
}

/* ---- sample ---- */

/* A machine that has grown to its limit is opened anew: what it makes of a seed does not depend on what it has made before. */
static int write_samples(const struct values *v, const struct buf *schema, struct lar_model *m, struct lar_grammar **g,
                         struct lar_err *err)
{
    int rc = 0, made = 0;
    for (int i = 0; i < (v->count ? v->count : 1) && rc == 0; i++, made++) {
        char *text = NULL;
        size_t n = 0;
        rc = lar_grammar_sample(*g, (uint64_t)v->seed + (uint64_t)i, 0, &text, &n, err);
        if (rc == LAR_ELIMIT && made) {
            lar_grammar_close(*g);
            made = 0;
            if ((rc = open_grammar(v, schema, g, NULL, err)) == 0 && m) rc = lar_grammar_bind(*g, m, err);
            if (rc == 0)
                rc = lar_grammar_sample(*g, (uint64_t)v->seed + (uint64_t)i, 0, &text, &n, err);
        }
        if (rc == 0 && v->kind <= LAR_GRAMMAR_JSON)
            buf_str(out(), (struct str){text, n});
        else if (rc == 0)
            buf_json_str(out(), (struct str){text, n});
        if (rc == 0) buf_putc(out(), '\n');
        out_spill();
        lar_free(text);
    }
    return rc;
}

static int sample(const struct values *v, char **arg)
{
    struct buf text = {0};
    struct lar_grammar *g = NULL;
    struct lar_model_options mo = {.vocab_only = 1};
    struct lar_model *m = NULL;
    struct lar_err err;
    int code = EXIT_DONE, e = in_all(arg[1], &text, &err);
    if (e == 0) e = open_grammar(v, &text, &g, NULL, &err);
    int refused = e == LAR_EUNSUPPORTED || e == LAR_EFORMAT || e == LAR_ELIMIT;
    if (e == 0 && v->model) e = lar_model_open(&m, v->model, &mo, &err);
    if (e == 0 && m) e = lar_grammar_bind(g, m, &err);
    if (e == 0) e = write_samples(v, &text, m, &g, &err);
    if (e < 0) code = say_err(&err);
    if (refused) code = EXIT_MISUSE;
    lar_grammar_close(g);
    lar_model_close(m);
    buf_done(&text);
    return out_done(code);
}

static int run(const void *values, char **arg, int narg)
{
    if (!strcmp(arg[0], "check")) {
        if (narg >= 2) return check(values, arg, narg);
        say("grammar check: which schema? (lar help grammar)");
        return EXIT_MISUSE;
    }
    if (!strcmp(arg[0], "bench")) {
        if (narg >= 4) return bench(values, arg, narg);
        say("grammar bench: needs a model, a schema and a document (lar help grammar)");
        return EXIT_MISUSE;
    }
    if (!strcmp(arg[0], "sample")) {
        if (narg == 2) return sample(values, arg);
        say("grammar sample: needs one schema (lar help grammar)");
        return EXIT_MISUSE;
    }
    say("grammar: \"%s\" is nothing it does; check, sample and bench are (lar help grammar)", arg[0]);
    return EXIT_MISUSE;
}

/* clang-format off */
static const struct opt options[] = {
    {.kind = OPT_WORD, .name = "as", .at = offsetof(struct values, kind), .arg = "KIND",
     .words = "schema json regex choices gbnf lark",
     .help = "What SCHEMA is: a JSON Schema (the default), json: not read, any JSON is accepted, a regular"
             " expression for the whole text, choices: a JSON array of strings, gbnf: a grammar of llama.cpp's, or"
             " lark: one in Lark's language."},
    {.kind = OPT_WORD, .name = "draft", .at = offsetof(struct values, draft), .arg = "DRAFT", .words = ""
        "auto 4 6 7 2019 2020",
     .help = "The draft of schemas without $schema (auto: 2020-12)."},
    {.kind = OPT_FLAG, .name = "ignore-format", .at = offsetof(struct values, ignore_format), .value = 1,
     .help = "\"format\" demands nothing, as the drafts from 2019-09 on have it by default."},
    {.kind = OPT_FLAG, .name = "partial", .at = offsetof(struct values, partial), .value = 1,
     .help = "What cannot be enforced is left out and listed on standard error; each INSTANCE's line then also has"
             " \"valid\": true, false or null (not decided) by the whole schema."},
    {.kind = OPT_FLAG, .name = "compact", .at = offsetof(struct values, compact), .value = 1,
     .help = "No white space between the parts of JSON."},
    {.kind = OPT_FLAG, .name = "quiet", .letter = 'q', .at = offsetof(struct values, quiet), .value = 1,
     .help = "No notes about annotations and unknown keywords."},
    {.kind = OPT_INT, .name = "count", .letter = 'n', .at = offsetof(struct values, count), .arg = "N",
     .min = 1, .max = 1 << 30,
     .help = "sample: so many texts (1)."},
    {.kind = OPT_I64, .name = "seed", .letter = 's', .at = offsetof(struct values, seed), .arg = "N",
     .help = "sample: the seed of the first text, counted up for each further one (0)."},
    {.kind = OPT_TEXT, .name = "model", .at = offsetof(struct values, model), .arg = "MODEL",
     .help = "sample: a walk through the masks of this model's tokens, as its answers go, not byte by byte."},
    {.kind = OPT_END},
};

const struct verb verb_grammar = {
    .name = "grammar",
    .synopsis = "check SCHEMA [INSTANCE ...] | sample SCHEMA | bench MODEL SCHEMA INSTANCE ...",
    .summary = "what a JSON schema or a grammar accepts",
    .about = "Reads SCHEMA (- is standard input) as the constraint that decoding would follow, and writes "
             "for each INSTANCE one line of JSON: {\"file\",\"accepted\":true}, or false with the byte at "
             "which it cannot go on and why. Exit code 0 when the schema is supported, whatever the "
             "instances are; 2 when it is refused: the line on standard error begins with the path of the "
             "keyword. Where a number must be an integer, or has a bound, multipleOf, const or enum, it is written out "
             "in digits: 1e2 is refused, 100 is not.\n"
             "\n"
             "sample writes random texts that SCHEMA accepts, made without any model, one a line (what is no JSON as a "
             "JSON string): data for tests, and a look at what a schema leaves open.\n"
             "\n"
             "bench walks through each INSTANCE token by token of MODEL's vocabulary, with the mask of what may come "
             "before each, and writes how long that took: first a line with vocab, vocab_ms (once for a model) and "
             "compile_us, then one for each INSTANCE with file, accepted, tokens, and for mask and step the number, "
             "mean_us, p50_us, p99_us and max_us. MODEL may be a file or folder that holds a tokenizer only.",
    .opts = options,
    .size = sizeof(struct values),
    .min_args = 1,
    .max_args = 100000,
    .run = run,
};
/* clang-format on */
