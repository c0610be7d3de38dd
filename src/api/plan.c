/* SPDX-License-Identifier: Apache-2.0
 * api/plan.c: lar/plan.h: the bytes that lar_session_bytes tells, set against what there is, and when that is too little the nearest
 * thing that would fit. A mapped file can be run without room for it, by reading it from the disk again for every token: that is what is
 * refused here. */
#include <lar/plan.h>
#include <lar/quant.h>

#include "api/api.h"
#include "base/cpu.h"
#include "run/embed.h"

enum { CTX_USEFUL = 512, TEXTS_TOKENS = 512 };

/* Of a session; of a model that only reads, of an embedder whose longest text has ctx tokens. */
static int bytes_of(const struct lar_model *m, const struct lar_session_options *o, uint64_t *kv,
                    uint64_t *work, struct lar_err *err)
{
    if (!m || !m->model->dev || !m->model->both) return lar_session_bytes(m, o, kv, work, err);
    size_t most = m->model->h.ctx_train, n = o->ctx > TEXTS_TOKENS ? (size_t)o->ctx : TEXTS_TOKENS;
    return embed_bytes(m->model, n < most ? n : most, kv, work, err);
}

static int total_at(const struct lar_model *m, struct lar_session_options o, int ctx,
                    uint64_t *total)
{
    uint64_t kv = 0, work = 0;
    o.ctx = ctx;
    int rc = bytes_of(m, &o, &kv, &work, NULL);
    *total = m->model->weight_bytes + kv + work;
    return rc;
}

/* Bytes grow with the context: halving finds the longest that fits. */
static int longest(const struct lar_model *m, const struct lar_session_options *o, int ctx,
                   uint64_t have)
{
    int lo = 0, hi = ctx;
    uint64_t total;
    while (lo < hi) {
        int mid = lo + (hi - lo + 1) / 2;
        if (total_at(m, *o, mid, &total) < 0) return 0;
        if (total <= have)
            lo = mid;
        else
            hi = mid - 1;
    }
    return lo;
}

int lar_plan(const struct lar_model *m, const struct lar_session_options *opt, uint64_t most,
             struct lar_plan *out, struct lar_err *err)
{
    struct lar_session_options o = opt ? *opt : (struct lar_session_options){0};
    if (!out) return lar_fail(err, LAR_EINVAL, "lar_plan: out is needed");
    *out = (struct lar_plan){0};
    int rc = bytes_of(m, &o, &out->kv_bytes, &out->work_bytes, err);
    if (rc < 0) return rc;
    size_t train = m->model->h.ctx_train;
    out->ctx = o.ctx ? o.ctx : (int)(train < 4096 ? train : 4096); /* as lar_session_open has it */
    out->weight_bytes = m->model->weight_bytes;
    out->total = out->weight_bytes + out->kv_bytes + out->work_bytes;
    out->available = most ? most : cpu_memory_available();
    out->fits = !out->available || out->total <= out->available;
    out->ctx_fits = out->fits ? out->ctx : longest(m, &o, out->ctx, out->available);
    o.kv = LAR_KV_Q8_0;
    out->ctx_fits_q8_0 = !out->available ? out->ctx : longest(m, &o, out->ctx, out->available);
    return 0;
}

/* ---- what would fit ---------------------------------------------------------------------------------------------- */

static int add(void *ctx, const struct lar_quantize_tensor *t)
{
    *(uint64_t *)ctx += t->bytes_to;
    return 0;
}

/* The largest mix whose weights leave room for the rest; NULL when there is none or the file is none that can be quantised. */
static const char *mix_that_fits(const struct lar_plan *p, const char *path, uint64_t *bytes)
{
    static const char *const mixes[] = {"Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M", "Q3_K_M", "Q2_K"};
    for (size_t i = 0; path && i < sizeof mixes / sizeof *mixes; i++) {
        struct lar_quantize_options q = {
            .type = mixes[i], .dry_run = 1, .threads = 1, .on_tensor = add, .ctx = bytes};
        *bytes = 0;
        if (lar_quantize(path, NULL, &q, NULL) < 0) return NULL;
        if (*bytes < p->weight_bytes && *bytes + p->kv_bytes + p->work_bytes <= p->available)
            return mixes[i];
    }
    return NULL;
}

static unsigned long long mib(uint64_t n) { return (n + (1 << 20) - 1) >> 20; }

int lar_plan_check(const struct lar_plan *p, const char *path, struct lar_err *err)
{
    struct buf b = {0};
    uint64_t bytes = 0;
    if (p->fits) return 0;
    int useful = p->ctx / 2 < CTX_USEFUL ? (p->ctx + 1) / 2 : CTX_USEFUL;
    const char *mix =
        p->ctx_fits < useful && p->ctx_fits_q8_0 < useful ? mix_that_fits(p, path, &bytes) : NULL;
    if (p->ctx_fits_q8_0 == p->ctx)
        buf_puts(&b, "with keys and values in Q8_0 (--kv q8_0) it fits");
    else if (p->ctx_fits >= useful)
        buf_printf(&b, "a context of %d fits (--ctx %d)", p->ctx_fits, p->ctx_fits);
    else if (p->ctx_fits_q8_0 >= useful)
        buf_printf(&b, "a context of %d with --kv q8_0 fits", p->ctx_fits_q8_0);
    else if (mix)
        buf_printf(&b, "quantised to %s (%llu MiB of weights) it fits", mix, mib(bytes));
    else
        buf_puts(
            &b,
            "neither a shorter context nor a smaller quantisation alone makes it fit (lar fit tells more)");
    int rc = lar_fail(
        err, LAR_ENOMEM,
        "%.60s does not fit: with a context of %d it takes %llu MiB (weights %llu, keys and values %llu, work "
        "%llu), and %llu MiB are free: %s",
        path ? path : "the model", p->ctx, mib(p->total), mib(p->weight_bytes), mib(p->kv_bytes),
        mib(p->work_bytes), (unsigned long long)(p->available >> 20), buf_z(&b));
    buf_done(&b);
    return rc;
}
