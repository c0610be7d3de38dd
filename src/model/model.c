/* SPDX-License-Identifier: Apache-2.0
 *
 * model/model.c: opening a model, the layout of its keys and values, and the work space of a forward pass.
 */
#include "model/model.h"
#include "model/adapter.h"

#include <stdio.h>
#include <string.h>

static int open_on(struct model *m, const char *path, int threads, const struct adapter_file *f, size_t nfile,
                   struct lar_err *err)
{
    struct str name;
    int rc;
    if ((rc = gguf_str(&m->gguf, "general.architecture", &name, err)) < 0) return rc;
    if (rc == 0)
        return lar_fail(err, LAR_EFORMAT, "%s has no general.architecture: it is no model", path);
    m->arch = arch_find(name);
    if (!m->arch) return lar_fail(err, LAR_EFAMILY, "%s: the architecture \"%.*s\" is not known", path, STR_ARG(name));
    if ((rc = dev_cpu_open(&m->dev, threads, err)) < 0) return rc;
    if ((rc = model_hparams(m, err)) < 0) return rc;
    if ((rc = model_bind(m, err)) < 0) return rc;
    return adapter_always(m, f, nfile, err);
}

static struct model *new_model(struct lar_err *err)
{
    struct model *m = mem_zalloc(sizeof *m);
    if (!m) return lar_fail(err, LAR_ENOMEM, "model: out of memory"), NULL;
    atomic_init(&m->refs, 1);
    arena_init(&m->a, 0);
    return m;
}

/* Gives m, or closes it when rc says that opening failed. */
static int opened(struct model **out, struct model *m, int rc)
{
    *out = rc < 0 ? NULL : m;
    if (rc < 0) model_close(m);
    return rc < 0 ? rc : 0;
}

int model_open(struct model **out, const char *path, int threads, struct lar_err *err)
{
    struct gguf g;
    int rc = gguf_open(&g, path, err);
    return rc < 0 ? (*out = NULL, rc) : model_open_gguf(out, &g, path, threads, err);
}

int model_open_gguf(struct model **out, struct gguf *g, const char *path, int threads, struct lar_err *err)
{
    return model_open_adapted(out, g, path, threads, NULL, 0, err);
}

int model_open_adapted(struct model **out, struct gguf *g, const char *path, int threads, const struct adapter_file *f,
                       size_t nfile, struct lar_err *err)
{
    struct model *m = new_model(err);
    *out = NULL;
    if (!m) {
        gguf_close(g);
        return LAR_ENOMEM;
    }
    m->gguf = *g;
    *g = (struct gguf){0};
    return opened(out, m, open_on(m, path, threads, f, nfile, err));
}

int model_open_file(struct model **out, const char *path, struct lar_err *err)
{
    struct model *m = new_model(err);
    return m ? opened(out, m, gguf_open(&m->gguf, path, err)) : (*out = NULL, LAR_ENOMEM);
}

int model_open_memory(struct model **out, const void *p, size_t n, struct lar_err *err)
{
    struct model *m = new_model(err);
    return m ? opened(out, m, gguf_open_memory(&m->gguf, p, n, err)) : (*out = NULL, LAR_ENOMEM);
}

struct model *model_ref(struct model *m)
{
    atomic_fetch_add(&m->refs, 1);
    return m;
}

void model_close(struct model *m)
{
    if (!m || atomic_fetch_sub(&m->refs, 1) != 1) return;
    for (size_t i = 0; i < m->nalways; i++) adapter_close(m->always[i]);
    dev_close(m->dev);
    gguf_close(&m->gguf);
    arena_done(&m->a);
    mem_free(m);
}

int model_kv_layout(const struct model *m, enum kern_kv type, struct dev_kv_layer *layout,
                    size_t *block_bytes, struct lar_err *err)
{
    size_t at = 0;
    for (size_t i = 0; i < m->h.nlayer; i++) {
        const struct dev_attn *a = &m->layer[i].attn;
        if (type == KV_Q8_0 && (a->hd % 32 || a->hdv % 32))
            return lar_fail(
                err, LAR_EUNSUPPORTED,
                "keys of %zu elements cannot be kept as Q8_0 (a multiple of 32 is needed): use f16",
                a->hd);
        struct dev_kv_layer *l = &layout[i];
        if (m->layer[i].kv_from != i) {
            *l = layout[m->layer[i].kv_from];
            continue;
        }
        l->type = type;
        l->k_row = kern_kv_row_bytes(type, a->hd);
        l->v_row = kern_kv_row_bytes(type, a->hdv);
        l->k_at = at;
        at = kern_up64(at + a->nkv * DEV_KV_BLOCK * l->k_row);
        if (m->layer[i].mla.absorbed) { /* a value is its key's beginning */
            l->v_at = l->k_at;
            l->v_row = l->k_row;
            continue;
        }
        l->v_at = at;
        at = kern_up64(at + a->nkv * DEV_KV_BLOCK * l->v_row);
    }
    *block_bytes = at;
    return 0;
}

/* Lays the buffers out from p (NULL: only counts). Each row and each buffer starts 64-byte aligned. */
static size_t work_lay(struct work *w, const struct model *m, size_t batch, size_t nlogit,
                       uint8_t *p)
{
    struct {
        struct dev_rows *r;
        size_t width, n;
    } part[] = {
        {&w->x, m->h.width, batch},
        {&w->h, m->h.width, batch},
        {&w->q, m->q_max, batch},
        {&w->k, m->k_max, batch},
        {&w->v, m->v_max, batch},
        {&w->qkv, m->qkv_max, batch},
        {&w->att, m->att_max, batch},
        {&w->o, m->h.width, batch},
        {&w->gate, m->gate_max > m->ff_max ? m->gate_max : m->ff_max, batch},
        {&w->up, m->up_max, batch},
        {&w->logits, m->h.vocab, nlogit},
        {&w->pl, m->npl * m->h.nlayer, batch},
        {&w->pl_x, m->npl * m->h.nlayer, batch},
        {&w->streams, m->altup * m->h.width, batch},
        {&w->predicted, m->altup * m->h.width, batch},
        {&w->laurel, m->altup ? m->h.width : 0, batch},
        {&w->coef, 2 * m->altup * m->altup, batch},
        {&w->score, 2 * m->expert_max, batch},
        {&w->moe_x, m->expert_max ? m->h.width : 0, batch},
        {&w->moe_y, m->expert_max ? m->h.width : 0, batch},
    };
    size_t at = 0;
    for (size_t i = 0; i < sizeof part / sizeof *part; i++) {
        size_t stride = kern_up64(part[i].width * 4) / 4;
        if (p) *part[i].r = (struct dev_rows){(float *)(void *)(p + at), stride};
        at += stride * 4 * part[i].n;
    }
    size_t picks = kern_up64(batch * m->used_max * 4);
    if (p) {
        w->pick = (int32_t *)(void *)(p + at);
        w->slot = (int32_t *)(void *)(p + at + picks);
        w->weight = (float *)(void *)(p + at + 2 * picks);
    }
    at += 3 * picks;
    for (int i = 0; i < m->nrope; i++) {
        if (p) w->angles[i] = (float *)(void *)(p + at);
        at += kern_up64(batch * m->rope[i].rot * 4);
    }
    return at;
}

size_t work_bytes(const struct model *m, size_t batch, size_t nlogit)
{
    struct work w;
    return work_lay(&w, m, batch, nlogit, NULL);
}

int work_open(struct work *w, const struct model *m, size_t batch, size_t nlogit,
              struct lar_err *err)
{
    *w = (struct work){.batch = batch, .nlogit = nlogit, .bytes = work_bytes(m, batch, nlogit)};
    w->memory = mem_alloc_aligned(w->bytes);
    if (!w->memory)
        return lar_fail(err, LAR_ENOMEM,
                        "work space for %zu tokens at once: %zu bytes are not to be had", batch,
                        w->bytes);
    work_lay(w, m, batch, nlogit, w->memory);
    return 0;
}

void work_close(struct work *w)
{
    mem_free(w->memory);
    *w = (struct work){0};
}
