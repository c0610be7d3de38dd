/* SPDX-License-Identifier: Apache-2.0
 *
 * quant/requantise.c: see requantise.h. A slab of rows at a time is turned into F32 and then into blocks, each thread a row of
 * its own; the slab is written while the pages of the input that were read are given back, so the process stays small.
 * Values that are no numbers stop the work: a quantised NaN would be some innocent-looking value.
 */
#include "quant/requantise.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <string.h>

#include "base/half.h"
#include "base/mem.h"
#include "io/gguf_write.h"
#include "kern/kern.h"
#include "quant/quantise.h"

enum { SLAB = 4 << 20 }; /* elements, about */

struct slab {
    const struct kern *kern;
    const struct fit *fit;
    const struct gguf_tensor *t;
    enum dtype to;
    size_t k, row_in, row_out;
    uint64_t first;          /* row of the tensor with which the slab begins */
    uint64_t rows_each;      /* of one matrix: an expert's */
    const float *importance; /* [matrices][k] or NULL */
    float *x;                /* [threads][k] */
    uint8_t *out, *scratch;
    size_t scratch_each; /* a thread's */
    atomic_ullong bad; /* 1 + a row in which something is no number */
};

static struct gguf_spec spec_of(const struct requantise *q, size_t i)
{
    const struct gguf_tensor *t = &q->in->tensor[i];
    struct gguf_spec s = {
        t->name, q->plan[i].type, t->ndim, {t->dim[0], t->dim[1], t->dim[2], t->dim[3]}};
    return s;
}

uint64_t requantise_bytes(const struct requantise *q, size_t i)
{
    struct dtype_info d = dtype_info(q->plan[i].type);
    uint64_t rows =
        (uint64_t)(q->in->tensor[i].dim[1] * q->in->tensor[i].dim[2] * q->in->tensor[i].dim[3]);
    return (uint64_t)q->in->tensor[i].dim[0] / d.block * d.bytes *
           rows; /* fits: the reader has checked the shape */
}

/* ---- checks ---------------------------------------------------------------------------------------------- */

int requantise_importance(const struct requantise *q, const struct gguf_tensor *t, const float **out,
                          struct lar_err *err)
{
    const struct imatrix_entry *e = q->imatrix ? imatrix_find(q->imatrix, t->name) : NULL;
    *out = NULL;
    if (!e) return LAR_OK;
    uint64_t want = (uint64_t)t->dim[0] * (uint64_t)t->dim[2];
    if (e->n * e->nmat == want)
        *out = e->mean;
    else if (!str_ends(t->name, STR("token_embd.weight")))
        return lar_fail(err, LAR_EINVAL,
                        "%s: has %" PRIu64 " values for tensor %.*s, which needs %" PRIu64
                        ": it was made with another model",
                        q->imatrix_path, e->n * e->nmat, STR_ARG(t->name), want);
    return LAR_OK;
}

int requantise_check(const struct requantise *q, struct lar_err *err)
{
    struct kern k;
    kern_init(&k, q->cpu_flags);
    for (size_t i = 0; i < q->in->ntensor; i++) {
        const struct gguf_tensor *t = &q->in->tensor[i];
        enum dtype to = q->plan[i].type;
        const float *importance;
        if (to == t->type) continue;
        if (!quantise_can(to))
            return lar_fail(err, LAR_EUNSUPPORTED,
                            "tensor %.*s: Lar cannot make %s yet; choose another type",
                            STR_ARG(t->name), dtype_info(to).name);
        if (!k.type[t->type].dequant)
            return lar_fail(err, LAR_EUNSUPPORTED,
                            "tensor %.*s: its type %s cannot be read as numbers", STR_ARG(t->name),
                            dtype_info(t->type).name);
        int rc = requantise_importance(q, t, &importance, err);
        if (rc < 0) return rc;
        if (!importance && mix_needs_importance(q->mix, t->name, to))
            return lar_fail(err, LAR_EINVAL,
                            "tensor %.*s: %s without knowing which columns matter is garbage: "
                            "give an importance matrix (--imatrix FILE)",
                            STR_ARG(t->name), dtype_info(to).name);
    }
    return LAR_OK;
}

/* ---- one tensor ------------------------------------------------------------------------------------------- */

static int all_finite(const float *x, size_t n)
{
    uint32_t bad = 0;
    for (size_t i = 0; i < n; i++) bad |= (bits_f32(x[i]) & 0x7f800000) == 0x7f800000;
    return !bad;
}

static void some_rows(void *ctx, size_t begin, size_t end, int thread)
{
    struct slab *s = ctx;
    float *x = s->x + (size_t)thread * s->k;
    for (size_t i = begin; i < end; i++) {
        uint64_t row = s->first + i;
        s->kern->type[s->t->type].dequant(s->k, s->t->data + row * s->row_in, x);
        if (!all_finite(x, s->k)) atomic_store(&s->bad, row + 1);
        const float *importance = s->importance ? s->importance + row / s->rows_each * s->k : NULL;
        quantise_rows(s->fit, s->to, s->k, 1, x, importance, s->out + i * s->row_out,
                      s->scratch + (size_t)thread * s->scratch_each);
    }
}

static int write_rows(const struct requantise *q, struct slab *s, struct gguf_writer *w,
                      struct lar_err *err)
{
    const struct gguf_tensor *t = s->t;
    uint64_t rows = s->rows_each * (uint64_t)(t->dim[2] * t->dim[3]), at_once = SLAB / s->k + 1;
    int rc = LAR_OK;
    s->out = mem_alloc(at_once * s->row_out);
    size_t threads = (size_t)pool_threads(q->pool);
    s->x = mem_alloc_aligned(threads * s->k * sizeof *s->x);
    s->scratch_each = (quantise_scratch(s->to) + 63) / 64 * 64;
    s->scratch = mem_alloc_aligned(threads * s->scratch_each + 64);
    if (s->scratch) memset(s->scratch, 0, threads * s->scratch_each);
    if (!s->out || !s->x || !s->scratch)
        rc = lar_fail(err, LAR_ENOMEM, "tensor %.*s: no memory for rows of %zu", STR_ARG(t->name),
                      s->k);
    for (s->first = 0; s->first < rows && rc == LAR_OK; s->first += at_once) {
        size_t n = rows - s->first < at_once ? (size_t)(rows - s->first) : (size_t)at_once;
        pool_for(q->pool, n, 1 + 4096 / s->k, some_rows, s);
        if (s->bad)
            rc = lar_fail(
                err, LAR_EFORMAT,
                "tensor %.*s: row %llu has a value that is no number: the model is damaged",
                STR_ARG(t->name), (unsigned long long)s->bad - 1);
        else
            rc = gguf_write(w, s->out, n * s->row_out, err);
        filemap_forget(&q->in->part[t->part], t->offset + s->first * s->row_in, n * s->row_in);
    }
    mem_free(s->out);
    mem_free(s->x);
    mem_free(s->scratch);
    return rc;
}

static int copy(const struct requantise *q, const struct gguf_tensor *t, struct gguf_writer *w,
                struct lar_err *err)
{
    int rc = LAR_OK;
    for (uint64_t at = 0; at < t->bytes && rc == LAR_OK; at += SLAB) {
        size_t n = t->bytes - at < SLAB ? (size_t)(t->bytes - at) : SLAB;
        rc = gguf_write(w, t->data + at, n, err);
        filemap_forget(&q->in->part[t->part], t->offset + at, n);
    }
    return rc;
}

static int write_tensor(const struct requantise *q, const struct kern *k, const struct fit *f,
                        size_t i, struct gguf_writer *w, struct lar_err *err)
{
    const struct gguf_tensor *t = &q->in->tensor[i];
    struct dtype_info from = dtype_info(t->type), to = dtype_info(q->plan[i].type);
    if (t->type == q->plan[i].type) return copy(q, t, w, err);
    struct slab s = {.kern = k,
                     .fit = f,
                     .t = t,
                     .to = q->plan[i].type,
                     .k = (size_t)t->dim[0],
                     .row_in = (size_t)t->dim[0] / from.block * from.bytes,
                     .row_out = (size_t)t->dim[0] / to.block * to.bytes,
                     .rows_each = (uint64_t)t->dim[1]};
    int rc = requantise_importance(q, t, &s.importance, err);
    return rc < 0 ? rc : write_rows(q, &s, w, err);
}

/* ---- the file ---------------------------------------------------------------------------------------------- */

static void put_keys(const struct requantise *q, struct gguf_keys *k)
{
    for (size_t i = 0; i < q->in->nkv; i++) {
        struct str key = q->in->kv[i].key;
        if (str_starts(key, STR("split.")) || str_is(key, "general.file_type") ||
            str_is(key, "general.quantization_version") ||
            str_starts(key, STR("quantize.imatrix.")))
            continue;
        gguf_keys_copy(k, &q->in->kv[i]);
    }
    gguf_keys_u32(k, "general.quantization_version",
                  2); /* GGML_QNT_VERSION: the layouts of today */
    gguf_keys_u32(k, "general.file_type", q->mix->file_type);
    if (!q->imatrix) return;
    gguf_keys_str(k, "quantize.imatrix.file", str_of(q->imatrix_path));
    if (q->imatrix->dataset.n) gguf_keys_str(k, "quantize.imatrix.dataset", q->imatrix->dataset);
    gguf_keys_u32(k, "quantize.imatrix.entries_count", (uint32_t)q->imatrix->nentry);
    if (q->imatrix->chunks) gguf_keys_u32(k, "quantize.imatrix.chunks_count", q->imatrix->chunks);
}

int requantise_write(const struct requantise *q, const char *path, uint64_t part_bytes,
                     struct lar_err *err)
{
    struct kern kern;
    struct fit fit;
    struct gguf_keys keys = {0};
    struct gguf_writer *w = NULL;
    struct gguf_spec *spec = mem_alloc((q->in->ntensor + 1) * sizeof *spec);
    int rc = spec ? requantise_check(q, err) : lar_fail(err, LAR_ENOMEM, "%s: out of memory", path);
    kern_init(&kern, q->cpu_flags);
    fit_init(&fit, q->cpu_flags);
    for (size_t i = 0; spec && i < q->in->ntensor; i++) spec[i] = spec_of(q, i);
    put_keys(q, &keys);
    if (rc == LAR_OK) rc = gguf_create(&w, path, &keys, spec, q->in->ntensor, part_bytes, err);
    for (size_t i = 0; i < q->in->ntensor && rc == LAR_OK; i++) {
        if (q->on_tensor && q->on_tensor(q->ctx, i))
            rc = lar_fail(err, LAR_ECANCEL, "%s: stopped; nothing was written", path);
        if (rc == LAR_OK) rc = write_tensor(q, &kern, &fit, i, w, err);
    }
    if (rc == LAR_OK)
        rc = gguf_commit(w, err);
    else
        gguf_abort(w);
    gguf_keys_done(&keys);
    mem_free(spec);
    return rc;
}
