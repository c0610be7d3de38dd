/* SPDX-License-Identifier: Apache-2.0
 * api/imatrix.c: lar/quant.h's importance matrix: a model reads a text in chunks while run/importance.h listens. */
#include <lar/quant.h>

#include "api/api.h"
#include "io/imatrix.h"
#include "run/importance.h"

enum { CTX_DEFAULT = 512, LOGITS_AT_ONCE = 8 << 20 };

struct reading {
    const struct lar_imatrix_options *o;
    struct lar_model *m;
    struct lar_session *s;
    struct importance seen;
    struct ids ids;
    float *logits; /* asked for, so that the last layer works on every row; not looked at */
    size_t ctx, slice, nchunk;
};

static int read_chunk(struct reading *r, size_t chunk, struct lar_err *err)
{
    int32_t *tokens = r->ids.id + chunk * r->ctx, was = tokens[0];
    const struct vocab_special *special = vocab_special(r->m->vocab);
    int rc = LAR_OK;
    if (special->add_bos && special->bos >= 0) tokens[0] = special->bos;
    session_cut(&r->s->s,
                0); /* every token is evaluated, also one that the last chunk began with */
    for (size_t at = 0; at < r->ctx && rc >= 0; at += r->slice)
        rc = lar_session_extend(r->s, tokens + at, r->ctx - at < r->slice ? r->ctx - at : r->slice,
                                r->logits, err);
    tokens[0] = was;
    if (rc >= 0 && r->seen.failed)
        return lar_fail(err, LAR_EFORMAT,
                        "chunk %zu: an activation is not a number: damaged weights, or an overflow",
                        chunk);
    return rc < 0 ? rc : LAR_OK;
}

static int write_out(struct reading *r, const char *path, struct lar_err *err)
{
    struct imatrix_sums *s = mem_alloc((r->seen.nentry + 1) * sizeof *s);
    size_t n = 0;
    if (!s) return lar_fail(err, LAR_ENOMEM, "%s: out of memory", path);
    for (size_t i = 0; i < r->seen.nentry; i++) {
        const struct importance_entry *e = &r->seen.entry[i];
        float used = 0;
        for (size_t k = 0; k < e->nmat; k++) used += e->count[k];
        if (used > 0) /* else it is not multiplied with */
            s[n++] = (struct imatrix_sums){e->t->name, e->sum, e->count, (int64_t)e->k,
                                           (int64_t)e->nmat};
    }
    int rc = n ? imatrix_write(path, s, n, str_of(r->o->dataset ? r->o->dataset : ""),
                               (uint32_t)r->nchunk, (uint32_t)r->ctx, err)
               : lar_fail(err, LAR_EUNSUPPORTED,
                          "the model multiplies with none of its tensors directly");
    mem_free(s);
    return rc;
}

static int begin(struct reading *r, const char *text, size_t n, struct lar_err *err)
{
    size_t vocab = r->m->model->h.vocab;
    r->ctx = r->o->ctx ? (size_t)r->o->ctx : CTX_DEFAULT;
    r->slice = LOGITS_AT_ONCE / vocab ? LOGITS_AT_ONCE / vocab : 1;
    if (r->slice > r->ctx) r->slice = r->ctx;
    int rc = vocab_encode(r->m->vocab, (struct str){text, n}, VOCAB_ADD_SPECIAL, &r->ids, err);
    if (rc < 0) return rc;
    r->nchunk = r->ids.n / r->ctx;
    if (r->nchunk == 0)
        return lar_fail(err, LAR_EINVAL,
                        "the text has %zu tokens; at least a chunk of %zu is needed", r->ids.n,
                        r->ctx);
    if (r->o->chunks && r->nchunk > (size_t)r->o->chunks) r->nchunk = (size_t)r->o->chunks;
    r->logits = mem_alloc_aligned(r->slice * vocab * sizeof *r->logits);
    if (!r->logits) return lar_fail(err, LAR_ENOMEM, "importance: out of memory");
    struct lar_session_options so = {.ctx = (int)r->ctx};
    rc = lar_session_open(&r->s, r->m, &so, err);
    return rc < 0 ? rc
                  : importance_begin(&r->seen, r->m->model->dev, &r->m->model->gguf, r->o->output,
                                     err);
}

int lar_imatrix(struct lar_model *m, const char *text, size_t n, const char *path,
                const struct lar_imatrix_options *opt, struct lar_err *err)
{
    static const struct lar_imatrix_options none;
    struct reading r = {.o = opt ? opt : &none, .m = m};
    if (!m || !text || !path)
        return lar_fail(err, LAR_EINVAL, "lar_imatrix: model, text and path are needed");
    if (!m->model->dev)
        return lar_fail(err, LAR_EINVAL, "the model was opened for its vocabulary only");
    if (r.o->ctx < 0 || r.o->ctx > 1 << 20 || r.o->chunks < 0)
        return lar_fail(err, LAR_EINVAL, "importance: %d chunks of %d tokens", r.o->chunks,
                        r.o->ctx);
    int rc = begin(&r, text, n, err);
    for (size_t i = 0; rc == LAR_OK && i < r.nchunk; i++) {
        rc = read_chunk(&r, i, err);
        if (rc == LAR_OK && r.o->on_chunk &&
            r.o->on_chunk(r.o->ctx_on_chunk, (int)i + 1, (int)r.nchunk))
            rc = lar_fail(err, LAR_ECANCEL, "%s: stopped; nothing was written", path);
    }
    importance_end(&r.seen);
    if (rc == LAR_OK) rc = write_out(&r, path, err);
    importance_done(&r.seen);
    ids_done(&r.ids);
    mem_free(r.logits);
    lar_session_close(r.s);
    return rc;
}
