/* SPDX-License-Identifier: Apache-2.0
 *
 * cli/rerank.c: `lar rerank`: documents by how well they answer a query, the best first. */
#include <stdlib.h>

#include "base/err.h"
#include "base/mem.h"
#include "cli/out.h"
#include "cli/texts.h"
#include "cli/verbs.h"

struct rerank_options {
    int json, raw, top, no_sort;
    struct texts_options texts;
};

struct found {
    struct buf text;
    float score;
    size_t at; /* its place among the documents, from 0 */
};

struct rerank {
    const struct rerank_options *o;
    struct texts_reader r;
    struct lar_text query;
    struct found *doc;
    size_t n, cap;
};

static int room_for(struct rerank *r, size_t more, struct lar_err *err)
{
    size_t cap = r->cap ? r->cap : 64, bytes;
    while (cap - r->n < more) cap *= 2;
    if (cap == r->cap) return 0;
    struct found *p = mul_size(cap, sizeof *p, &bytes) ? NULL : mem_resize(r->doc, bytes);
    if (!p) return lar_fail(err, LAR_ENOMEM, "out of memory after %zu documents", r->n);
    r->doc = p;
    r->cap = cap;
    return 0;
}

static int rank_texts(void *ctx, const struct texts *t, struct lar_err *err)
{
    struct rerank *r = ctx;
    float score[TEXTS_MAX];
    int64_t rc = room_for(r, t->n, err);
    if (rc == 0) rc = lar_rank(r->r.e, &r->query, t->t, t->n, score, err);
    for (size_t i = 0; i < t->n && rc >= 0; i++) {
        struct found *f = &r->doc[r->n++];
        *f = (struct found){.score = score[i], .at = t->first + i};
        buf_add(&f->text, t->t[i].text, t->t[i].n);
        if (f->text.failed) rc = lar_fail(err, LAR_ENOMEM, "out of memory");
    }
    return rc < 0 ? (int)rc : 0;
}

static int better(const void *a, const void *b)
{
    const struct found *x = a, *y = b;
    if (x->score > y->score || x->score < y->score) return x->score > y->score ? -1 : 1;
    return (x->at > y->at) - (x->at < y->at);
}

static void write_all(struct rerank *r)
{
    struct buf *b = out();
    size_t n = r->o->top && (size_t)r->o->top < r->n ? (size_t)r->o->top : r->n;
    if (!r->o->no_sort && r->n) qsort(r->doc, r->n, sizeof *r->doc, better);
    for (size_t i = 0; i < n; i++) {
        const struct found *f = &r->doc[i];
        if (r->o->json || r->o->texts.batch) {
            buf_printf(b, "{\"index\":%zu,\"score\":%.9g,\"text\":", f->at, (double)f->score);
            buf_json_str(b, buf_view(&f->text));
            buf_puts(b, "}\n");
        } else {
            buf_printf(b, "%9.6f  ", (double)f->score);
            out_text(f->text.p, f->text.n);
            buf_putc(b, '\n');
        }
        out_spill();
    }
}

static int run(const void *values, char **arg, int narg)
{
    struct rerank r = {.o = values, .query = {.text = arg[1], .n = strlen(arg[1])}};
    struct lar_embed_options more = {.raw = r.o->raw};
    struct lar_err err;
    int code = texts_open(&r.r, arg[0], &r.o->texts, more);
    if (code) return code;
    /* what the model cannot do is no document's fault */
    if (lar_rank(r.r.e, &r.query, NULL, 0, NULL, &err) < 0) {
        texts_close(&r.r);
        return say_err(&err);
    }
    code = texts_each(arg + 2, narg - 2, &r.o->texts, NULL, rank_texts, &r);
    if (code == EXIT_DONE || r.o->texts.batch) {
        write_all(&r);
        int written = out_done(EXIT_DONE);
        if (code == EXIT_DONE) code = written;
    }
    for (size_t i = 0; i < r.n; i++) buf_done(&r.doc[i].text);
    mem_free(r.doc);
    texts_close(&r.r);
    return code;
}

#define AT(field) offsetof(struct rerank_options, field)
/* clang-format off */
static const struct opt options[] = {
    {.kind = OPT_FLAG, .name = "json", .at = AT(json), .value = 1,
     .help = "An object a line: {\"index\",\"score\",\"text\"}; the index is the document's place, from 0."},
    {.kind = OPT_INT, .name = "top", .arg = "N", .at = AT(top), .min = 0, .max = 1 << 30,
     .help = "Only the N best."},
    {.kind = OPT_FLAG, .name = "no-sort", .at = AT(no_sort), .value = 1, .help = "In the order of the documents."},
    {.kind = OPT_FLAG, .name = "raw", .at = AT(raw), .value = 1,
     .help = "The model's own numbers (logits), not probabilities from 0 to 1."},
    {.kind = OPT_GROUP, .at = AT(texts), .group = texts_opts},
    {.kind = OPT_END},
};

const struct verb verb_rerank = {
    .name = "rerank",
    .synopsis = "MODEL QUERY [DOCUMENT...]",
    .summary = "documents by how well they answer a query",
    .about = "Prints each DOCUMENT, or without any each line of standard input, with its score, the best first. "
             "MODEL is a reranker: a cross encoder of BERT's kin (bge-reranker and others) or Qwen3-Reranker. A file "
             "that lacks a part without which scores would be wrong is refused.",
    .opts = options,
    .size = sizeof(struct rerank_options),
    .min_args = 2,
    .max_args = 1 << 20,
    .run = run,
};
/* clang-format on */
