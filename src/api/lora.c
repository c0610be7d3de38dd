/* SPDX-License-Identifier: Apache-2.0
 * api/lora.c: lar/lora.h's adapters: argument checks, then model/adapter.h and run/session.h. */
#include <lar/lora.h>

#include <math.h>

#include "api/api.h"

_Static_assert((int)LAR_LORA_MAX == (int)SESSION_ADAPTERS, "what is promised is kept");

struct lar_lora {
    atomic_int refs;
    struct lar_model *m;
    struct adapter *a;
};

int lar_lora_open(struct lar_lora **out, struct lar_model *m, const char *path, struct lar_err *err)
{
    if (!out || !m || !path) return lar_fail(err, LAR_EINVAL, "lar_lora_open: out, model and path are needed");
    *out = NULL;
    if (!m->model->dev) return lar_fail(err, LAR_EINVAL, "the model was opened for its vocabulary only");
    struct lar_lora *l = mem_zalloc(sizeof *l);
    if (!l) return lar_fail(err, LAR_ENOMEM, "%s: out of memory", path);
    int rc = adapter_open(&l->a, m->model, path, err);
    struct dev_need need;
    session_need(m->model, 1, &need);
    need.low = 1;
    if (rc == 0) rc = dev_cpu_reserve(m->model->dev, &need, err);
    if (rc < 0) {
        adapter_close(l->a);
        mem_free(l);
        return rc;
    }
    l->m = m;
    atomic_init(&l->refs, 1);
    atomic_fetch_add(&m->refs, 1);
    *out = l;
    return 0;
}

struct lar_lora *lar_lora_ref(struct lar_lora *l)
{
    atomic_fetch_add(&l->refs, 1);
    return l;
}

void lar_lora_close(struct lar_lora *l)
{
    if (!l || atomic_fetch_sub(&l->refs, 1) != 1) return;
    adapter_close(l->a);
    api_model_unref(l->m);
    mem_free(l);
}

void lar_lora_info(const struct lar_lora *l, struct lar_lora_info *out)
{
    *out = (struct lar_lora_info){.rank = (int)l->a->rank,
                                  .matrices = (int)l->a->matrices,
                                  .alpha = l->a->alpha,
                                  .bytes = l->a->bytes};
}

int lar_session_adapt(struct lar_session *s, const struct lar_lora_use *use, size_t n, struct lar_err *err)
{
    struct adapter *adapter[SESSION_ADAPTERS];
    float scale[SESSION_ADAPTERS];
    if (!s || (!use && n)) return lar_fail(err, LAR_EINVAL, "lar_session_adapt: a session and adapters are needed");
    if (n > SESSION_ADAPTERS)
        return lar_fail(err, LAR_EINVAL, "%zu adapters of one session: at most %d", n, SESSION_ADAPTERS);
    for (size_t i = 0; i < n; i++) {
        if (!use[i].lora || use[i].lora->m != s->m)
            return lar_fail(err, LAR_EINVAL, "lar_session_adapt: adapter %zu is of another model", i);
        if (!isfinite(use[i].scale)) return lar_fail(err, LAR_EINVAL, "adapter %zu: its scale is no number", i);
        adapter[i] = use[i].lora->a;
        scale[i] = use[i].scale;
    }
    session_adapt(&s->s, adapter, scale, n);
    return 0;
}

int lar_session_adapters(const struct lar_session *s) { return s ? (int)s->s.nlow : 0; }

int lar_session_alike(const struct lar_session *a, const struct lar_session *b)
{
    return a && b && a->m == b->m && session_alike(&a->s, &b->s);
}
