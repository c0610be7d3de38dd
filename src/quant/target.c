/* SPDX-License-Identifier: Apache-2.0
 *
 * quant/target.c: see target.h. Noise of different tensors adds up in the stream whatever their size, so losses are added without regard to it: small
 * tensors are cheap to keep well and get larger types, as the well-known mixes have them too. A layer gives the stream only its share, while the
 * embedding is all of its beginning and the output all of the logits: these count once for each layer (weight_of). Types with grids, which take longer to
 * measure, are candidates only below GRID_BITS on the average, and only of tensors whose importance is known: without it they are garbage
 * (mix_needs_importance), or (IQ3_S) lose more than their figure says. What a type costs in speed is not weighed.
 */
#include "quant/target.h"

#include <inttypes.h>
#include <string.h>

#include "base/mem.h"
#include "kern/kern.h"
#include "quant/quantise.h"

enum { ROWS = 48, NTYPE = 17 };
static const double GRID_BITS = 4.75;

/* Of a width that is no multiple of 256 the later ones of 32. */
static const enum dtype types[NTYPE] = {DT_IQ1_S, DT_IQ1_M, DT_IQ2_XXS, DT_IQ2_XS, DT_IQ2_S, DT_Q2_K,
                                        DT_IQ3_XXS, DT_IQ3_S, DT_Q3_K, DT_IQ4_XS, DT_Q4_K, DT_Q5_K,
                                        DT_Q6_K, DT_Q4_0, DT_Q5_0, DT_Q8_0, DT_F16};

struct option {
    enum dtype type;
    uint64_t bytes;
    double loss;
};

struct tensor {
    size_t i; /* in the file */
    struct option option[NTYPE];
    size_t n, at; /* at: the one chosen so far */
};

struct measuring {
    const struct requantise *q;
    const struct kern *kern;
    const struct fit *fit;
    const struct gguf_tensor *t;
    const float *importance; /* [matrices][k] or NULL */
    const struct tensor *of;
    size_t k, nrow;
    float *x;                  /* [threads][2 k] */
    uint8_t *bytes;            /* [threads][4 k] */
    uint8_t *scratch;          /* [threads][scratch_each], each type at its place, since tables are dear; NULL: no grids */
    size_t scratch_each, scratch_at[DTYPE_COUNT];
    double (*sums)[NTYPE + 1]; /* [nrow]: each type's error; the square */
};

static int fits(const struct gguf_tensor *t, enum dtype d)
{
    return t->dim[0] % dtype_info(d).block == 0;
}

static uint64_t bytes_as(const struct gguf_tensor *t, enum dtype d)
{
    struct dtype_info f = dtype_info(d);
    return (uint64_t)t->dim[0] / f.block * f.bytes * (uint64_t)(t->dim[1] * t->dim[2] * t->dim[3]);
}

static double error_of(size_t k, const float *x, const float *y, const float *w)
{
    double sum = 0;
    for (size_t j = 0; j < k; j++) {
        double d = (double)x[j] - (y ? (double)y[j] : 0);
        sum += (w ? (double)w[j] : 1) * d * d;
    }
    return sum;
}

static void some_rows(void *ctx, size_t begin, size_t end, int thread)
{
    struct measuring *m = ctx;
    struct dtype_info from = dtype_info(m->t->type);
    float *x = m->x + (size_t)thread * 2 * m->k, *y = x + m->k;
    uint8_t *b = m->bytes + (size_t)thread * 4 * m->k;
    uint8_t *scratch = m->scratch ? m->scratch + (size_t)thread * m->scratch_each : NULL;
    uint64_t rows = (uint64_t)(m->t->dim[1] * m->t->dim[2] * m->t->dim[3]);
    for (size_t i = begin; i < end; i++) {
        uint64_t row = rows * i / m->nrow;
        const float *w = m->importance ? m->importance + row / (uint64_t)m->t->dim[1] * m->k : NULL;
        m->kern->type[m->t->type].dequant(m->k, m->t->data + row * (m->k / from.block * from.bytes),
                                          x);
        m->sums[i][NTYPE] = error_of(m->k, x, NULL, w);
        for (size_t o = 0; o < m->of->n; o++) {
            enum dtype d = m->of->option[o].type;
            quantise_rows(m->fit, d, m->k, 1, x, w, b, scratch ? scratch + m->scratch_at[d] : NULL);
            m->kern->type[d].dequant(m->k, b, y);
            m->sums[i][o] = error_of(m->k, x, y, w);
        }
    }
}

/* Sums in the order of rows: the same with any number of threads. */
static int measure(struct measuring *m, struct tensor *of, struct lar_err *err)
{
    double all = 0;
    size_t threads = (size_t)pool_threads(m->q->pool);
    uint64_t rows = (uint64_t)(m->t->dim[1] * m->t->dim[2] * m->t->dim[3]);
    m->k = (size_t)m->t->dim[0];
    m->nrow = rows < ROWS ? (size_t)rows : ROWS;
    m->of = of;
    m->x = mem_alloc_aligned(threads * 2 * m->k * sizeof *m->x);
    m->bytes = mem_alloc(threads * 4 * m->k);
    m->sums = mem_zalloc(m->nrow * sizeof *m->sums);
    int ok = m->x && m->bytes && m->sums;
    if (ok) pool_for(m->q->pool, m->nrow, 1, some_rows, m);
    for (size_t i = 0; ok && i < m->nrow; i++) {
        all += m->sums[i][NTYPE];
        for (size_t o = 0; o < of->n; o++) of->option[o].loss += m->sums[i][o];
    }
    for (size_t o = 0; o < of->n; o++) of->option[o].loss = all > 0 ? of->option[o].loss / all : 0;
    mem_free(m->x);
    mem_free(m->bytes);
    mem_free(m->sums);
    return ok ? 0 : lar_fail(err, LAR_ENOMEM, "tensor %.*s: out of memory", STR_ARG(m->t->name));
}

/* Options from small to large, only such as lose less than every smaller one. */
static void prune(struct tensor *t)
{
    size_t n = 0;
    for (size_t i = 1; i < t->n; i++)
        for (size_t j = i; j > 0 && t->option[j].bytes < t->option[j - 1].bytes; j--) {
            struct option o = t->option[j];
            t->option[j] = t->option[j - 1];
            t->option[j - 1] = o;
        }
    for (size_t i = 0; i < t->n; i++)
        if (n == 0 || t->option[i].loss < t->option[n - 1].loss) t->option[n++] = t->option[i];
    t->n = n;
}

/* The step up that saves most loss a byte among those that fit into `room`; 0: none does. */
static int step(struct tensor *t, size_t n, uint64_t *room)
{
    double best = 0;
    size_t who = 0, to = 0;
    for (size_t i = 0; i < n; i++)
        for (size_t o = t[i].at + 1; o < t[i].n; o++) {
            const struct option *now = &t[i].option[t[i].at], *then = &t[i].option[o];
            uint64_t more = then->bytes - now->bytes;
            double gain = more ? (now->loss - then->loss) / (double)more : 0;
            if (more <= *room && gain > best) best = gain, who = i, to = o;
        }
    if (!(best > 0)) return 0;
    *room -= t[who].option[to].bytes - t[who].option[t[who].at].bytes;
    t[who].at = to;
    return 1;
}

static double weight_of(const struct gguf *g, struct str name)
{
    size_t nlayer = 0;
    int output = gguf_tensor(g, "output.weight") != NULL;
    for (size_t i = 0; i < g->ntensor; i++)
        nlayer += str_ends(g->tensor[i].name, STR(".attn_norm.weight"));
    if (str_is(name, "output.weight")) return nlayer ? (double)nlayer : 1;
    if (str_is(name, "token_embd.weight")) return nlayer ? (double)nlayer * (output ? 1 : 2) : 1;
    return 1;
}

static int choose(struct tensor *t, size_t n, uint64_t fixed, struct mix_tensor *plan,
                  uint64_t bytes, struct lar_err *err)
{
    uint64_t least = fixed;
    for (size_t i = 0; i < n; i++) least += t[i].option[0].bytes;
    if (least > bytes)
        return lar_fail(err, LAR_ELIMIT,
                        "%" PRIu64
                        " bytes of tensors are asked for; the smallest types make %" PRIu64,
                        bytes, least);
    uint64_t room = bytes - least;
    while (step(t, n, &room)) {
    }
    for (size_t i = 0; i < n; i++)
        plan[t[i].i] = (struct mix_tensor){.type = t[i].option[t[i].at].type};
    return 0;
}

static int may_be(const struct measuring *m, enum dtype d)
{
    if (!fits(m->t, d) || !quantise_can(d) || !m->kern->type[d].dequant) return 0;
    return !quantise_scratch(d) || (m->scratch && m->importance);
}

static int add(const struct requantise *q, struct measuring *m, struct tensor *t,
               struct lar_err *err)
{
    m->t = &q->in->tensor[t->i];
    int rc = requantise_importance(q, m->t, &m->importance, err);
    if (rc < 0) return rc;
    for (size_t o = 0; o < NTYPE; o++)
        if (may_be(m, types[o]))
            t->option[t->n++] = (struct option){types[o], bytes_as(m->t, types[o]), 0};
    if (t->n && (rc = measure(m, t, err)) < 0) return rc;
    filemap_forget(&q->in->part[m->t->part], m->t->offset, m->t->bytes);
    for (size_t o = 0; o < t->n; o++) t->option[o].loss *= weight_of(q->in, m->t->name);
    prune(t);
    return 0;
}

/* Room for grids, when so few bits are asked for that they may be wanted. */
static int begin_grids(struct measuring *m, uint64_t bytes, struct lar_err *err)
{
    const struct gguf *g = m->q->in;
    double elements = 1;
    size_t threads = (size_t)pool_threads(m->q->pool);
    for (size_t i = 0; i < g->ntensor; i++)
        elements += (double)g->tensor[i].dim[0] * (double)g->tensor[i].dim[1] * (double)g->tensor[i].dim[2] *
                    (double)g->tensor[i].dim[3];
    if (8 * (double)bytes / elements > GRID_BITS) return 0;
    for (size_t o = 0; o < NTYPE; o++) {
        m->scratch_at[types[o]] = m->scratch_each;
        m->scratch_each += (quantise_scratch(types[o]) + 63) / 64 * 64;
    }
    m->scratch = mem_alloc_aligned(threads * m->scratch_each);
    if (!m->scratch) return lar_fail(err, LAR_ENOMEM, "choosing types: out of memory");
    memset(m->scratch, 0, threads * m->scratch_each);
    return 0;
}

int target_plan(const struct requantise *q, struct mix_tensor *plan, uint64_t bytes,
                struct lar_err *err)
{
    struct kern kern;
    struct fit fit;
    struct measuring m = {.q = q, .kern = &kern, .fit = &fit};
    struct tensor *t = mem_zalloc((q->in->ntensor + 1) * sizeof *t);
    uint64_t fixed = 0;
    size_t n = 0;
    int rc = t ? 0 : lar_fail(err, LAR_ENOMEM, "%zu tensors: out of memory", q->in->ntensor);
    kern_init(&kern, q->cpu_flags);
    fit_init(&fit, q->cpu_flags);
    if (rc == 0) rc = begin_grids(&m, bytes, err);
    for (size_t i = 0; rc == 0 && i < q->in->ntensor; i++) {
        const struct gguf_tensor *in = &q->in->tensor[i];
        int free = mix_touches(in) && !plan[i].override && kern.type[in->type].dequant;
        if (free && q->on_tensor && q->on_tensor(q->ctx, i))
            rc = lar_fail(err, LAR_ECANCEL, "stopped");
        t[n] = (struct tensor){.i = i};
        if (free && rc == 0) rc = add(q, &m, &t[n], err);
        if (rc == 0 && free && t[n].n)
            n++;
        else if (rc == 0)
            fixed += requantise_bytes(q, i);
    }
    if (rc == 0) rc = choose(t, n, fixed, plan, bytes, err);
    mem_free(m.scratch);
    mem_free(t);
    return rc;
}
