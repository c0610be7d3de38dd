/* SPDX-License-Identifier: Apache-2.0
 *
 * api/perplexity.c: lar/quant.h's measure of loss: two models chunk by chunk over one text, or one model against the records of another
 * (run/likeness.h). The file of records: "LARBASE1", u32 vocabulary, u32 ctx, u32 chunks, u32 bytes of a record, u64 hash of the tokens,
 * then the records in order.
 */
#include <lar/quant.h>
#include <math.h>
#include <stdlib.h>

#include "api/api.h"
#include "base/cursor.h"
#include "base/pool.h"
#include "io/filemap.h"
#include "io/outfile.h"
#include "run/likeness.h"

enum { CTX_DEFAULT = 512, LOGITS_AT_ONCE = 8 << 20, HEADER = 32 };

struct side {
    struct lar_model *m;
    struct lar_session *s;
    float *logits; /* [slice][vocab] */
};

struct measure {
    const struct lar_perplexity_options *o;
    struct side mine, base;
    size_t vocab, ctx, first, slice;
    size_t nchunk;
    struct ids ids;
    int32_t bos; /* -1: none is added */
    struct likeness_form form;
    struct filemap file;
    const uint8_t *record; /* of the scored token at hand, when reading */
    uint8_t *store;        /* [slice] records */
    struct outfile out;
    float *scratch; /* [threads][2][vocab] */
    struct likeness *row;
    float *kls; /* of all scored tokens */
    struct likeness_sums sums;
    uint64_t seed;
    int bad, comparing;
    const int32_t *next; /* true tokens of the slice */
};

/* ---- one slice --------------------------------------------------------------------------------------------- */

static void some_rows(void *ctx, size_t begin, size_t end, int thread)
{
    struct measure *z = ctx;
    const struct kern *k = z->mine.m->model->dev->kern;
    float *p = z->scratch + (size_t)thread * 2 * z->vocab, *base_p = p + z->vocab;
    for (size_t i = begin; i < end; i++) {
        const float *logits = z->mine.logits + i * z->vocab;
        double lse, base_lse;
        struct likeness base;
        likeness_of(k, z->vocab, logits, z->next[i], p, &lse, &z->row[i]);
        if (z->store)
            likeness_store(&z->form, z->vocab, logits, p, lse, &z->row[i], z->seed + i,
                           z->store + i * z->form.bytes);
        if (z->base.m) {
            const float *other = z->base.logits + i * z->vocab;
            likeness_of(k, z->vocab, other, z->next[i], base_p, &base_lse, &base);
            likeness_compare(z->vocab, logits, lse, other, base_p, base_lse, &base, &z->row[i]);
        } else if (z->record &&
                   likeness_compare_record(&z->form, z->vocab, logits, lse,
                                           z->record + i * z->form.bytes, &z->row[i]) < 0) {
            z->bad = 1; /* only ever set; read after the loop */
        }
    }
}

static int score_slice(struct measure *z, const int32_t *tokens, size_t n, struct lar_err *err)
{
    struct pool *pool = z->mine.m->model->dev->pool;
    int rc = lar_session_extend(z->mine.s, tokens, n, z->mine.logits, err);
    if (rc >= 0 && z->base.m) rc = lar_session_extend(z->base.s, tokens, n, z->base.logits, err);
    if (rc < 0) return rc;
    z->next = tokens + 1;
    pool_lock(pool);
    pool_for(pool, n, 1, some_rows, z);
    pool_unlock(pool);
    if (z->bad) return lar_fail(err, LAR_EFORMAT, "%s: damaged", z->o->base_file);
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(z->row[i].nll))
            return lar_fail(err, LAR_EFORMAT,
                            "a logit is not a number: damaged weights, or an overflow");
        if (z->comparing) z->kls[(size_t)z->sums.n] = (float)z->row[i].kl;
        likeness_add(&z->sums, &z->row[i], z->comparing);
    }
    z->seed += n;
    if (z->record) z->record += n * z->form.bytes;
    return z->store ? outfile_write(&z->out, z->store, n * z->form.bytes, err) : LAR_OK;
}

static int score_chunk(struct measure *z, size_t chunk, struct lar_err *err)
{
    int32_t *tokens = z->ids.id + chunk * z->ctx, was = tokens[0];
    if (z->bos >= 0) tokens[0] = z->bos;
    int rc = lar_session_sync(z->mine.s, tokens, z->first, err);
    if (rc >= 0 && z->base.m) rc = lar_session_sync(z->base.s, tokens, z->first, err);
    for (size_t at = z->first; rc >= 0 && at + 1 < z->ctx;) { /* the last token is only predicted */
        size_t n = z->ctx - 1 - at < z->slice ? z->ctx - 1 - at : z->slice;
        rc = score_slice(z, tokens + at, n, err);
        at += n;
    }
    tokens[0] = was;
    return rc < 0 ? rc : LAR_OK;
}

/* ---- figures ------------------------------------------------------------------------------------------------ */

static void sum_up(const struct measure *z, size_t chunks, struct lar_perplexity *out)
{
    const struct likeness_sums *s = &z->sums;
    struct likeness_mean nll = likeness_mean(s->n, s->nll, s->nll2);
    *out = (struct lar_perplexity){
        .chunks = (int)chunks, .chunks_all = (int)z->nchunk, .tokens = (int64_t)s->n};
    out->ppl = exp(nll.value);
    out->ppl_error = nll.error * out->ppl;
    if (!z->comparing) return;
    struct likeness_mean base = likeness_mean(s->n, s->base, s->base2),
                         kl = likeness_mean(s->n, s->kl, s->kl2);
    struct likeness_mean dp2 = likeness_mean(s->n, s->dp2, s->dp4);
    double cov = (s->both / s->n - nll.value * base.value) / (s->n > 1 ? s->n - 1 : 1);
    double var = nll.error * nll.error + base.error * base.error - 2 * cov;
    out->base_ppl = exp(base.value);
    out->base_ppl_error = base.error * out->base_ppl;
    out->log_ratio = nll.value - base.value;
    out->log_ratio_error = var > 0 ? sqrt(var) : 0;
    out->kl = kl.value;
    out->kl_error = kl.error;
    out->same_top = s->same / s->n;
    out->same_top_error = s->n > 1 ? sqrt(out->same_top * (1 - out->same_top) / (s->n - 1)) : 0;
    out->dp = sqrt(dp2.value);
    out->dp_error = out->dp > 0 ? 0.5 * dp2.error / out->dp : 0;
}

static int by_size(const void *a, const void *b)
{
    float x, y;
    memcpy(&x, a, 4);
    memcpy(&y, b, 4);
    return (x > y) - (x < y);
}

static void percentiles(struct measure *z, struct lar_perplexity *out)
{
    size_t n = (size_t)z->sums.n;
    if (!z->comparing || n == 0) return;
    qsort(z->kls, n, sizeof *z->kls, by_size);
    out->kl_median = (double)z->kls[n / 2];
    out->kl_99 = (double)z->kls[(size_t)(0.99 * (double)(n - 1))];
    out->kl_max = (double)z->kls[n - 1];
}

/* ---- beginning and end ---------------------------------------------------------------------------------------- */

static uint64_t hash_ids(const int32_t *id, size_t n)
{
    uint64_t h = 0xcbf29ce484222325; /* FNV-1a */
    for (size_t i = 0; i < n; i++) h = (h ^ (uint32_t)id[i]) * 0x100000001b3;
    return h;
}

static int read_text(struct measure *z, const char *text, size_t n, struct lar_err *err)
{
    const struct vocab *v = z->mine.m->vocab;
    int rc = vocab_encode(v, (struct str){text, n}, VOCAB_ADD_SPECIAL, &z->ids, err);
    if (rc < 0) return rc;
    const struct vocab_special *special = vocab_special(v);
    z->bos = special->add_bos ? special->bos : -1;
    z->nchunk = z->ids.n / z->ctx;
    if (z->nchunk < 2)
        return lar_fail(err, LAR_EINVAL,
                        "the text has %zu tokens; at least %zu are needed for chunks of %zu",
                        z->ids.n, 2 * z->ctx, z->ctx);
    if (z->o->chunks && z->nchunk > (size_t)z->o->chunks) z->nchunk = (size_t)z->o->chunks;
    return LAR_OK;
}

static int check_base(struct measure *z, struct lar_err *err)
{
    struct vocab *v = z->mine.m->vocab, *b = z->base.m->vocab;
    if (vocab_size(v) != vocab_size(b) || z->base.m->model->h.vocab != z->vocab)
        return lar_fail(err, LAR_EINVAL,
                        "the base model has another vocabulary (%zu tokens, not %zu)",
                        z->base.m->model->h.vocab, z->vocab);
    for (int32_t i = 0; i < vocab_size(v); i++)
        if (!str_eq(vocab_piece(v, i), vocab_piece(b, i)))
            return lar_fail(err, LAR_EINVAL,
                            "the base model has another vocabulary: token %d is another", (int)i);
    return LAR_OK;
}

static void make_header(const struct measure *z, uint8_t *h)
{
    uint32_t v[4] = {(uint32_t)z->vocab, (uint32_t)z->ctx, (uint32_t)z->nchunk,
                     (uint32_t)z->form.bytes};
    uint64_t hash = hash_ids(z->ids.id, z->nchunk * z->ctx);
    memcpy(h, "LARBASE1", 8);
    memcpy(h + 8, v, 16);
    memcpy(h + 24, &hash, 8);
}

/* The file may hold more chunks than are asked for, or fewer: then those. */
static int open_base_file(struct measure *z, struct lar_err *err)
{
    const char *path = z->o->base_file;
    int rc = filemap_open(&z->file, path, err);
    if (rc < 0) return rc;
    struct cursor c = cursor_of(z->file.p, z->file.n);
    const uint8_t *magic = cursor_take(&c, 8);
    if (!magic || memcmp(magic, "LARBASE1", 8) != 0)
        return lar_fail(err, LAR_EFORMAT, "%s: is no saved base (--save-base makes one)", path);
    uint32_t vocab = cursor_u32(&c), ctx = cursor_u32(&c), chunks = cursor_u32(&c),
             bytes = cursor_u32(&c);
    uint64_t hash = cursor_u64(&c), per = z->ctx - 1 - z->first;
    if (c.failed) return lar_fail(err, LAR_EFORMAT, "%s: ends early", path);
    if (vocab != z->vocab || bytes != z->form.bytes)
        return lar_fail(err, LAR_EINVAL, "%s: is of a model with %u tokens, this one has %zu", path,
                        vocab, z->vocab);
    if (ctx != z->ctx)
        return lar_fail(err, LAR_EINVAL, "%s: has chunks of %u tokens: give --ctx %u", path, ctx,
                        ctx);
    if (chunks > z->ids.n / z->ctx || hash != hash_ids(z->ids.id, chunks * z->ctx))
        return lar_fail(err, LAR_EINVAL, "%s: is of another text or tokenizer", path);
    if (cursor_left(&c) != chunks * per * bytes)
        return lar_fail(err, LAR_EFORMAT, "%s: has %zu bytes of records, expected %llu", path,
                        cursor_left(&c), (unsigned long long)(chunks * per * bytes));
    if (z->nchunk > chunks) z->nchunk = chunks;
    z->record = c.at;
    return LAR_OK;
}

static int open_side(struct measure *z, struct side *s, struct lar_err *err)
{
    struct lar_session_options so = {.ctx = (int)z->ctx};
    s->logits = mem_alloc_aligned(z->slice * z->vocab * sizeof *s->logits);
    if (!s->logits) return lar_fail(err, LAR_ENOMEM, "perplexity: out of memory");
    return lar_session_open(&s->s, s->m, &so, err);
}

static int begin(struct measure *z, const char *text, size_t n, struct lar_err *err)
{
    z->vocab = z->mine.m->model->h.vocab;
    z->ctx = z->o->ctx ? (size_t)z->o->ctx : CTX_DEFAULT;
    z->first = z->ctx / 2;
    z->slice = LOGITS_AT_ONCE / z->vocab ? LOGITS_AT_ONCE / z->vocab : 1;
    if (z->slice > 256) z->slice = 256;
    z->form = likeness_form(z->vocab);
    z->comparing = z->base.m || z->o->base_file;
    if (z->vocab >= 1 << 24)
        return lar_fail(err, LAR_EUNSUPPORTED, "a vocabulary of %zu tokens", z->vocab);
    int rc = read_text(z, text, n, err);
    if (rc == LAR_OK && z->base.m) rc = check_base(z, err);
    if (rc == LAR_OK && z->o->base_file) rc = open_base_file(z, err);
    if (rc == LAR_OK) rc = open_side(z, &z->mine, err);
    if (rc == LAR_OK && z->base.m) rc = open_side(z, &z->base, err);
    if (rc < 0) return rc;
    size_t threads = (size_t)z->mine.m->model->dev->threads;
    z->scratch = mem_alloc_aligned(threads * 2 * z->vocab * sizeof *z->scratch);
    z->row = mem_zalloc(z->slice * sizeof *z->row);
    z->kls = mem_alloc(z->nchunk * z->ctx * sizeof *z->kls);
    if (z->o->save_base) z->store = mem_alloc(z->slice * z->form.bytes);
    if (!z->scratch || !z->row || !z->kls || (z->o->save_base && !z->store))
        return lar_fail(err, LAR_ENOMEM, "perplexity: out of memory");
    if (!z->store) return LAR_OK;
    uint8_t header[HEADER];
    make_header(z, header);
    rc = outfile_begin(&z->out, z->o->save_base, err);
    return rc < 0 ? rc : outfile_write(&z->out, header, HEADER, err);
}

static void end(struct measure *z)
{
    outfile_done(&z->out);
    filemap_close(&z->file);
    ids_done(&z->ids);
    mem_free(z->scratch);
    mem_free(z->row);
    mem_free(z->kls);
    mem_free(z->store);
    mem_free(z->mine.logits);
    mem_free(z->base.logits);
    lar_session_close(z->mine.s);
    lar_session_close(z->base.s);
}

int lar_perplexity(struct lar_model *m, const char *text, size_t n,
                   const struct lar_perplexity_options *opt, struct lar_perplexity *out,
                   struct lar_err *err)
{
    static const struct lar_perplexity_options none;
    struct measure z = {.o = opt ? opt : &none, .out = {.fd = -1}};
    if (!m || !text || !out)
        return lar_fail(err, LAR_EINVAL, "lar_perplexity: model, text and out are needed");
    if (!m->model->dev)
        return lar_fail(err, LAR_EINVAL, "the model was opened for its vocabulary only");
    if (z.o->ctx < 0 || z.o->ctx == 1 || z.o->ctx == 2 || z.o->ctx > 1 << 20 || z.o->chunks < 0)
        return lar_fail(err, LAR_EINVAL,
                        "perplexity: chunks of %d tokens, %d of them: use 3 or more", z.o->ctx,
                        z.o->chunks);
    if (z.o->base && z.o->base_file)
        return lar_fail(err, LAR_EINVAL, "perplexity: one base, a model or a file");
    z.mine.m = m;
    z.base.m = z.o->base;
    int rc = begin(&z, text, n, err);
    for (size_t i = 0; rc == LAR_OK && i < z.nchunk; i++) {
        rc = score_chunk(&z, i, err);
        if (rc < 0) break;
        sum_up(&z, i + 1, out);
        if (i + 1 == z.nchunk) percentiles(&z, out);
        if (z.o->on_chunk && z.o->on_chunk(z.o->ctx_on_chunk, out))
            rc = lar_fail(err, LAR_ECANCEL, "stopped");
    }
    if (rc == LAR_OK && z.store) rc = outfile_commit(&z.out, err);
    end(&z);
    return rc;
}
