/* SPDX-License-Identifier: Apache-2.0
 * api/session.c: lar.h's sessions. A model keeps one pool a kind of memory; all its sessions take blocks from it. */
#include "api/api.h"
#include "base/cpu.h"
#include "base/time.h"

#define LOOK_NS 50000000 /* 50 ms */

enum { CTX_DEFAULT = 4096, BATCH_DEFAULT = 512, CTX_MAX = 1 << 28, BATCH_MAX = 1 << 14 };

int api_default_ctx(const struct lar_model *m)
{
    size_t train = m->model->h.ctx_train;
    return (int)(train < CTX_DEFAULT ? train : CTX_DEFAULT);
}

static int options(const struct lar_model *m, const struct lar_session_options *opt,
                   struct lar_session_options *o, enum kern_kv *kind, struct lar_err *err)
{
    static const enum kern_kv kinds[] = {
        [LAR_KV_F16] = KV_F16, [LAR_KV_F32] = KV_F32, [LAR_KV_Q8_0] = KV_Q8_0};
    *o = opt ? *opt : (struct lar_session_options){0};
    if (!m || !m->model->dev)
        return lar_fail(err, LAR_EINVAL, "the model was opened for its vocabulary only");
    if (m->model->both)
        return lar_fail(
            err, LAR_EUNSUPPORTED,
            "a %s model reads texts and does not write them: use it to embed, rank or classify",
            m->model->arch->name);
    if (o->ctx < 0 || o->ctx > CTX_MAX)
        return lar_fail(err, LAR_EINVAL, "context %d: use 1 to %d", o->ctx, CTX_MAX);
    if (o->batch < 0 || o->batch > BATCH_MAX)
        return lar_fail(err, LAR_EINVAL, "batch %d: use 1 to %d", o->batch, BATCH_MAX);
    if ((unsigned)o->kv > LAR_KV_Q8_0)
        return lar_fail(err, LAR_EINVAL, "kv %d: use f16, f32 or q8_0", (int)o->kv);
    if (o->ctx == 0) o->ctx = api_default_ctx(m);
    if (o->batch == 0) o->batch = BATCH_DEFAULT;
    if (o->batch > o->ctx) o->batch = o->ctx;
    *kind = kinds[o->kv];
    return 0;
}

int lar_session_bytes(const struct lar_model *m, const struct lar_session_options *opt,
                      uint64_t *kv_bytes, uint64_t *work, struct lar_err *err)
{
    struct lar_session_options o;
    enum kern_kv kind;
    size_t block;
    int rc = options(m, opt, &o, &kind, err);
    if (rc < 0) return rc;
    struct dev_kv_layer *layout = mem_zalloc(m->model->h.nlayer * sizeof *layout);
    if (!layout) return lar_fail(err, LAR_ENOMEM, "out of memory");
    rc = model_kv_layout(m->model, kind, layout, &block, err);
    mem_free(layout);
    if (rc < 0) return rc;
    struct dev_need need;
    session_need(m->model, (size_t)o.batch, &need);
    if (kv_bytes)
        *kv_bytes = (uint64_t)block * (((uint64_t)o.ctx + DEV_KV_BLOCK - 1) / DEV_KV_BLOCK);
    if (work) /* recurrent layers' state, and two copies of it to go back to */
        *work = work_bytes(m->model, (size_t)o.batch, 1) + dev_cpu_reserve_bytes(m->model->dev, &need) +
                3 * m->model->state_floats * sizeof(float) + (uint64_t)o.ctx * sizeof(int32_t);
    return 0;
}

/* What was free when it was last looked up, less what sessions may have taken since. To look takes four files of /proc and /sys: too long for each
 * of thousands of short requests, so while what is wanted is small beside the rest, the figure serves for LOOK_NS. */
static uint64_t memory_for(uint64_t want)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static uint64_t left;
    static int64_t looked;
    pthread_mutex_lock(&lock);
    int64_t now = time_ns();
    if (looked == 0 || now - looked > LOOK_NS || want > left / 64) {
        left = cpu_memory_available();
        looked = now;
    }
    uint64_t have = left;
    left -= want < left ? want : left;
    pthread_mutex_unlock(&lock);
    return have;
}

/* Refuses what cannot fit before anything is taken. */
static int fits(const struct lar_model *m, const struct lar_session_options *o, struct lar_err *err)
{
    uint64_t kv = 0, work = 0;
    int rc = lar_session_bytes(m, o, &kv, &work, err);
    if (rc < 0) return rc;
    uint64_t have = memory_for(kv + work);
    if (have == 0 || kv + work <= have) return rc;
    uint64_t per = kv / (uint64_t)o->ctx, can = work < have && per ? (have - work) / per : 0;
    return lar_fail(
        err, LAR_ENOMEM,
        "a context of %d tokens needs %llu MiB and %llu MiB are free: a context of up to %llu fits",
        o->ctx, (unsigned long long)((kv + work) >> 20), (unsigned long long)(have >> 20),
        (unsigned long long)can);
}

static int pool_of(struct lar_model *m, enum kern_kv kind, struct kv_pool **out, struct lar_err *err)
{
    int rc = 0;
    pthread_mutex_lock(&m->lock);
    if (!m->pool[kind]) {
        size_t block = 0;
        struct dev_kv_layer *layout = mem_zalloc(m->model->h.nlayer * sizeof *layout);
        rc = layout ? model_kv_layout(m->model, kind, layout, &block, err)
                    : lar_fail(err, LAR_ENOMEM, "key and value pool: out of memory");
        if (rc == 0) rc = kv_pool_open(&m->pool[kind], block, err);
        mem_free(layout);
    }
    *out = m->pool[kind];
    pthread_mutex_unlock(&m->lock);
    return rc;
}

int lar_session_open(struct lar_session **out, struct lar_model *m,
                     const struct lar_session_options *opt, struct lar_err *err)
{
    struct lar_session_options o;
    enum kern_kv kind;
    if (!out || !m) return lar_fail(err, LAR_EINVAL, "lar_session_open: out and model are needed");
    *out = NULL;
    int rc = options(m, opt, &o, &kind, err);
    if (rc < 0 || (rc = fits(m, &o, err)) < 0) return rc;
    struct kv_pool *pool;
    if ((rc = pool_of(m, kind, &pool, err)) < 0) return rc;
    struct lar_session *s = mem_zalloc(sizeof *s);
    if (!s) return lar_fail(err, LAR_ENOMEM, "session: out of memory");
    rc = session_open(&s->s, m->model, pool, kind, (size_t)o.ctx, (size_t)o.batch, err);
    if (rc < 0) {
        mem_free(s);
        return rc;
    }
    s->m = m;
    atomic_fetch_add(&m->refs, 1);
    *out = s;
    return 0;
}

void lar_session_close(struct lar_session *s)
{
    if (!s) return;
    session_close(&s->s);
    api_model_unref(s->m);
    mem_free(s);
}

int lar_session_sync(struct lar_session *s, const int32_t *tokens, size_t n, struct lar_err *err)
{
    if (!s || (!tokens && n))
        return lar_fail(err, LAR_EINVAL, "lar_session_sync: session and tokens are needed");
    atomic_store(&s->s.cancel, 0);
    return session_sync(&s->s, tokens, n, NULL, NULL, err);
}

int lar_session_extend(struct lar_session *s, const int32_t *tokens, size_t n, float *all,
                       struct lar_err *err)
{
    if (!s || (!tokens && n))
        return lar_fail(err, LAR_EINVAL, "lar_session_extend: session and tokens are needed");
    atomic_store(&s->s.cancel, 0);
    return session_extend(&s->s, tokens, n, all, NULL, NULL, err);
}

const float *lar_session_logits(const struct lar_session *s) { return session_logits(&s->s); }

const int32_t *lar_session_tokens(const struct lar_session *s, size_t *n)
{
    if (n) *n = s->s.n;
    return s->s.tokens;
}

int lar_session_ctx(const struct lar_session *s) { return (int)s->s.ctx; }

void lar_session_cancel(struct lar_session *s) { atomic_store(&s->s.cancel, 1); }
