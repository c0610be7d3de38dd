/* SPDX-License-Identifier: Apache-2.0
 *
 * cli/quality.c: `lar quality`: which quantisation is still good, on your own text. Each candidate is made, measured against the source and (unless it
 * shall be kept) removed again. The source is evaluated beside every candidate: what lar perplexity saves of a base is too short for percentiles. With
 * --keep what was measured is kept too (cli/figures.h), and a second run takes it from there. */
#include <lar/quant.h>

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/time.h"
#include "cli/figures.h"
#include "cli/in.h"
#include "cli/interrupt.h"
#include "cli/named.h"
#include "cli/out.h"
#include "cli/scratch.h"
#include "cli/verbs.h"
#include "cli/whole.h"

enum { TYPES_MAX = 32, NAME_BYTES = FIGURES_NAME, CTX_SHOWN = 4096 };

struct quality_options {
    const char *file, *types, *imatrix, *keep, *svg;
    int ctx, chunks, threads, json, quiet;
};

struct quality {
    const struct quality_options *o;
    const char *path;         /* of the source */
    struct lar_model *source; /* every candidate is compared with it, in the same pass; NULL until one is needed */
    struct buf text, folder;
    struct scratch scratch;
    struct figures row[TYPES_MAX + 1]; /* [0]: the source */
    size_t n, known;                   /* of these: from an earlier run */
    struct figures_book book;
    int show, own_folder;
    const char *now;
    int64_t began;
};

static int on_chunk(void *ctx, const struct lar_perplexity *p)
{
    const struct quality *q = ctx;
    if (q->show) {
        struct buf b = {0};
        buf_printf(&b, "\r\033[K%s: [%d/%d] perplexity %.4f", q->now, p->chunks, p->chunks_all,
                   p->ppl);
        (void)!write(STDERR_FILENO, buf_z(&b), b.n);
        buf_done(&b);
    }
    return interrupt_seen();
}

static int on_tensor(void *ctx, const struct lar_quantize_tensor *t)
{
    const struct quality *q = ctx;
    if (q->show) {
        struct buf b = {0};
        buf_printf(&b, "\r\033[K%s: [%zu/%zu] quantising", q->now, t->index + 1, t->count);
        (void)!write(STDERR_FILENO, buf_z(&b), b.n);
        buf_done(&b);
    }
    return interrupt_seen();
}

/* Tokens a second, one by one after a short prompt: what an answer comes at. */
static int speed(struct lar_model *m, const struct buf *text, double *tok_s, struct lar_err *err)
{
    enum { PROMPT = 16, STEPS = 32 };
    struct lar_session_options so = {.ctx = PROMPT + STEPS};
    struct lar_session *s = NULL;
    int32_t id[PROMPT + STEPS];
    int64_t n =
        lar_tokenize(m, text->p, text->n < 4096 ? text->n : 4096, 0, id, PROMPT + STEPS, err);
    if (n < PROMPT + STEPS)
        return n < 0 ? (int)n : 0; /* lar_perplexity will say that the text is too short */
    int rc = lar_session_open(&s, m, &so, err);
    if (rc >= 0) rc = lar_session_extend(s, id, PROMPT, NULL, err);
    int64_t began = time_ns();
    for (int i = 0; i < STEPS && rc >= 0; i++)
        rc = lar_session_extend(s, id + PROMPT + i, 1, NULL, err);
    *tok_s = STEPS / (time_ms_since(began) * 1e-3);
    lar_session_close(s);
    return rc < 0 ? rc : 0;
}

/* Evaluates one model into the next row; the first is the source. */
static int measure(struct quality *q, struct lar_model *m, const char *type, struct lar_err *err)
{
    struct figures *r = &q->row[q->n];
    struct lar_perplexity_options po = {.ctx = q->o->ctx,
                                        .chunks = q->o->chunks,
                                        .base = q->n ? q->source : NULL,
                                        .on_chunk = on_chunk,
                                        .ctx_on_chunk = q};
    struct lar_model_info info;
    uint64_t kv, work;
    lar_model_info(m, &info);
    struct lar_session_options so = {.ctx =
                                         info.ctx_train < CTX_SHOWN ? info.ctx_train : CTX_SHOWN};
    snprintf(r->type, sizeof r->type, "%s", type);
    int rc = lar_session_bytes(m, &so, &kv, &work, err);
    if (rc >= 0) rc = speed(m, &q->text, &r->tok_s, err);
    if (rc >= 0) rc = lar_perplexity(m, buf_z(&q->text), q->text.n, &po, &r->p, err);
    if (rc < 0) return rc;
    r->bytes = info.weight_bytes;
    r->memory = info.weight_bytes + kv + work;
    r->bits = info.parameters ? 8 * (double)info.weight_bytes / (double)info.parameters : 0;
    q->n++;
    return q->o->keep ? figures_add(&q->book, buf_z(&q->folder), r, err) : 0;
}

static int is_known(struct quality *q, const char *type)
{
    const struct figures *f = q->o->keep ? figures_find(&q->book, buf_z(&q->folder), type) : NULL;
    if (!f) return 0;
    q->row[q->n++] = *f;
    q->known++;
    return 1;
}

static int open_source(struct quality *q, struct lar_err *err)
{
    struct lar_model_options mo = {.threads = q->o->threads};
    return q->source ? 0 : lar_model_open(&q->source, q->path, &mo, err);
}

static int candidate(struct quality *q, const char *type, struct lar_err *err)
{
    struct buf path = {0};
    struct lar_model *m = NULL;
    struct lar_model_options mo = {.threads = q->o->threads};
    struct lar_quantize_options o = {.type = type,
                                     .imatrix = q->o->imatrix,
                                     .threads = q->o->threads,
                                     .on_tensor = on_tensor,
                                     .ctx = q};
    if (is_known(q, type)) return 0;
    buf_printf(&path, "%s/%s.gguf", buf_z(&q->folder), type);
    if (path.failed) return lar_fail(err, LAR_ENOMEM, "out of memory");
    q->now = type;
    int rc = open_source(q, err);
    if (rc >= 0) rc = lar_quantize(q->path, buf_z(&path), &o, err);
    if (rc >= 0) rc = lar_model_open(&m, buf_z(&path), &mo, err);
    if (rc >= 0) rc = measure(q, m, type, err);
    lar_model_close(m);
    if (!q->o->keep) unlink(buf_z(&path));
    buf_done(&path);
    return rc < 0 ? rc : 0;
}

/* Known types only, before hours are spent. */
static int check_types(const char *types, struct lar_err *err)
{
    size_t n = 0;
    for (const char *p = types; *p; n++) {
        size_t k = strcspn(p, ","), i = 0;
        const char *name;
        while ((name = lar_quantize_type(i)) && (strlen(name) != k || memcmp(name, p, k))) i++;
        if (!name || k >= NAME_BYTES)
            return lar_fail(err, LAR_EINVAL,
                            "--types: '%.*s' is no type (lar help quantize lists them)", (int)k, p);
        p += k + (p[k] == ',');
    }
    if (n < 1 || n > TYPES_MAX)
        return lar_fail(err, LAR_EINVAL, "--types: name 1 to %d types", TYPES_MAX);
    return 0;
}

static int begin(struct quality *q, struct lar_err *err)
{
    int e;
    if (q->o->keep) {
        buf_puts(&q->folder, q->o->keep);
        q->own_folder = mkdir(buf_z(&q->folder), 0777) == 0; /* made here: it goes again when nothing is in it */
        if (!q->own_folder && errno != EEXIST)
            return lar_fail_errno(err, "%s", q->o->keep);
        e = figures_ask(&q->book, q->path, q->o->imatrix, buf_z(&q->text), q->text.n, q->o->ctx, q->o->chunks, err);
        if (e == 0) e = figures_read(&q->book, q->o->keep, err);
        if (e < 0) return e;
        if (q->book.other)
            say("%s/quality.json is of another model, text or Lar: all is measured anew", q->o->keep);
    } else {
        if ((e = scratch_begin(&q->scratch, "quality", err)) < 0) return e;
        buf_str(&q->folder, buf_view(&q->scratch.folder));
    }
    return q->folder.failed ? lar_fail(err, LAR_ENOMEM, "out of memory") : 0;
}

static int measure_all(struct quality *q, struct lar_err *err)
{
    int rc = 0;
    q->now = "the source";
    if (!is_known(q, "(source)")) {
        rc = open_source(q, err);
        if (rc >= 0) rc = measure(q, q->source, "(source)", err);
    }
    for (const char *p = q->o->types; *p && rc >= 0;) {
        char type[NAME_BYTES];
        size_t k = strcspn(p, ",");
        snprintf(type, sizeof type, "%.*s", (int)k, p);
        rc = candidate(q, type, err);
        p += k + (p[k] == ',');
    }
    if (q->known) say("%zu of %zu were measured before: %s/quality.json", q->known, q->n, q->o->keep);
    lar_model_close(q->source);
    return rc < 0 ? rc : 0;
}

static void tell(const struct quality *q)
{
    struct buf *b = out();
    buf_puts(
        b,
        "type          size  bits  memory@4k   perplexity  divergence   99 % below  same top  tok/s\n");
    for (size_t i = 0; i < q->n; i++) {
        const struct figures *r = &q->row[i];
        struct buf size = {0}, memory = {0};
        buf_bytes(&size, r->bytes);
        buf_bytes(&memory, r->memory);
        buf_printf(b, "%-8s  %8s  %4.2f   %8s  %11.4f", r->type, buf_z(&size), r->bits,
                   buf_z(&memory), r->p.ppl);
        if (i)
            buf_printf(b, "  %10.5f   %10.4f   %6.2f %%", r->p.kl, r->p.kl_99, 100 * r->p.same_top);
        else
            buf_printf(b, "  %10s   %10s   %8s", "-", "-", "-");
        buf_printf(b, "  %5.0f\n", r->tok_s);
        buf_done(&size);
        buf_done(&memory);
    }
}

static void tell_json(const struct quality *q)
{
    struct buf *b = out();
    for (size_t i = 0; i < q->n; i++) {
        const struct figures *r = &q->row[i];
        buf_printf(
            b,
            "%s{\"type\":\"%s\",\"bytes\":%llu,\"bits\":%.4f,\"memory\":%llu,\"ppl\":%.6f,\"ppl_error\":%.6f",
            i ? ",\n" : "[", i ? r->type : "source", (unsigned long long)r->bytes, r->bits,
            (unsigned long long)r->memory, r->p.ppl, r->p.ppl_error);
        if (i)
            buf_printf(b, ",\"kld\":%.9g,\"kld_error\":%.9g,\"kld_99\":%.9g,\"same_top\":%.6f",
                       r->p.kl, r->p.kl_error, r->p.kl_99, r->p.same_top);
        buf_printf(b, ",\"tok_s\":%.1f}", r->tok_s);
    }
    buf_puts(b, "]\n");
}

/* Size against divergence, this by powers of ten: the lower left is where one wants to be. */
static int write_svg(const struct quality *q, struct lar_err *err)
{
    enum { W = 720, H = 440, LEFT = 70, BOTTOM = 50, TOP = 30, RIGHT = 90 };
    double low = 1e9, high = -1e9, most = 0;
    struct buf b = {0};
    for (size_t i = 1; i < q->n; i++) {
        double y = log10(fmax(q->row[i].p.kl, 1e-9));
        low = fmin(low, floor(y));
        high = fmax(high, ceil(y));
        most = fmax(most, (double)q->row[i].bytes);
    }
    if (high <= low) high = low + 1;
    buf_printf(&b, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" ", W, H);
    buf_puts(&b, "font-family=\"sans-serif\" font-size=\"12\">\n");
    for (double t = low; t <= high; t += 1) {
        double y = TOP + (high - t) / (high - low) * (H - TOP - BOTTOM);
        buf_printf(&b,
                   "<path d=\"M%d %.1fH%d\" stroke=\"#ddd\"/><text x=\"8\" y=\"%.1f\">%g</text>\n",
                   LEFT, y, W - RIGHT, y + 4, pow(10, t));
    }
    for (size_t i = 1; i < q->n; i++) {
        const struct figures *r = &q->row[i];
        double x = LEFT + (double)r->bytes / (most * 1.05) * (W - LEFT - RIGHT),
               y = TOP + (high - log10(fmax(r->p.kl, 1e-9))) / (high - low) * (H - TOP - BOTTOM);
        buf_printf(
            &b,
            "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"4\" fill=\"#2563a8\"/><text x=\"%.1f\" y=\"%.1f\">%s</text>\n",
            x, y, x + 7, y + 4, r->type);
    }
    buf_printf(&b, "<text x=\"%d\" y=\"%d\">size: 0 to ", LEFT, H - 15);
    buf_bytes(&b, (uint64_t)(most * 1.05));
    buf_printf(
        &b,
        "</text><text x=\"8\" y=\"16\">mean Kullback-Leibler divergence from the source, nats</text>\n</svg>\n");
    int e = b.failed ? lar_fail(err, LAR_ENOMEM, "%s: out of memory", q->o->svg)
                     : whole_write(q->o->svg, &b, WHOLE_OPEN, err);
    buf_done(&b);
    return e;
}

static int quality(const struct quality_options *o, const char *path)
{
    struct quality q = {
        .o = o, .path = path, .show = isatty(STDERR_FILENO) && !o->quiet, .began = time_ns()};
    struct lar_err err;
    int e = check_types(o->types, &err);
    if (e == 0) e = in_all(o->file, &q.text, &err);
    if (e == 0) e = begin(&q, &err);
    interrupt_begin(NULL, 1);
    if (e == 0) e = measure_all(&q, &err);
    interrupt_end();
    if (q.show) (void)!write(STDERR_FILENO, "\r\033[K", 4);
    if (q.own_folder) rmdir(buf_z(&q.folder));
    scratch_end(&q.scratch);
    if (e == 0 && o->svg) e = write_svg(&q, &err);
    if (q.n > 1 || e == 0) (o->json ? tell_json : tell)(&q); /* what was measured is not lost */
    buf_done(&q.text);
    buf_done(&q.folder);
    return e < 0 ? say_err(&err) : EXIT_DONE;
}

static int run(const void *values, char **arg, int narg)
{
    const struct quality_options *o = values;
    struct named n;
    struct lar_err err;
    (void)narg;
    if (!o->file) {
        say("quality: -f FILE names the text");
        return EXIT_MISUSE;
    }
    int code = named_open(&n, arg[0], &err) < 0 ? say_err(&err) : quality(o, n.path);
    named_close(&n);
    return out_done(code);
}

static void init(void *values)
{
    ((struct quality_options *)values)->types = "Q8_0,Q6_K,Q5_K_M,Q4_K_M,Q3_K_M,Q2_K";
}

#define AT(field) offsetof(struct quality_options, field)
/* clang-format off */
static const struct opt options[] = {
    {.kind = OPT_TEXT, .name = "file", .letter = 'f', .at = AT(file), .arg = "TEXT",
     .help = "The text, plain UTF-8; - is standard input. Your own kind of text tells you most."},
    {.kind = OPT_TEXT, .name = "types", .at = AT(types), .arg = "A,B,...",
     .help = "The candidates; Q8_0,Q6_K,Q5_K_M,Q4_K_M,Q3_K_M,Q2_K without it (lar help quantize lists all)."},
    {.kind = OPT_TEXT, .name = "imatrix", .at = AT(imatrix), .arg = "FILE",
     .help = "Candidates are made with this importance matrix."},
    {.kind = OPT_TEXT, .name = "keep", .at = AT(keep), .arg = "DIR",
     .help = "Candidates stay there, as TYPE.gguf, and their figures, as quality.json: the same question again "
             "measures only what is missing. Without it each is removed before the next is made."},
    {.kind = OPT_TEXT, .name = "svg", .at = AT(svg), .arg = "FILE", .help = "Also draws size against divergence."},
    {.kind = OPT_INT, .name = "ctx", .letter = 'c', .at = AT(ctx), .arg = "N", .min = 3, .max = 1 << 20,
     .help = "Tokens of a chunk, 512 without it. The second half of each is scored."},
    {.kind = OPT_INT, .name = "chunks", .at = AT(chunks), .arg = "N", .min = 1, .max = 1 << 30,
     .help = "Only the first N chunks."},
    {.kind = OPT_INT, .name = "threads", .letter = 't', .at = AT(threads), .arg = "N", .min = 1, .max = 256,
     .help = "Worker threads; without it as many as there are cores."},
    {.kind = OPT_FLAG, .name = "json", .at = AT(json), .value = 1, .help = "The figures as a JSON array."},
    {.kind = OPT_FLAG, .name = "quiet", .letter = 'q', .at = AT(quiet), .value = 1,
     .help = "No progress on the terminal."},
    {.kind = OPT_END},
};

const struct verb verb_quality = {
    .name = "quality",
    .synopsis = "MODEL.gguf -f TEXT",
    .summary = "which quantisation is still good, on your text",
    .about = "Makes the candidate quantisations of a model one by one and measures each against the model itself: "
             "size, memory with 4096 tokens, perplexity, mean Kullback-Leibler divergence and the value that 99 % of "
             "the tokens stay below, how often both find the same token most probable, tokens a second, one by one. "
             "MODEL should be the unquantised file. TMPDIR says where candidates lie meanwhile.",
    .opts = options,
    .size = sizeof(struct quality_options),
    .init = init,
    .min_args = 1,
    .max_args = 1,
    .run = run,
};
/* clang-format on */
