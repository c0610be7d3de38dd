/* SPDX-License-Identifier: Apache-2.0
 *
 * model/lora.c: see lora.h. The format is llama.cpp's: keys general.type "adapter", adapter.type "lora", adapter.lora.alpha; tensors
 * NAME.lora_a [rank][k] and NAME.lora_b [rows][rank] for the matrix NAME. The factor is alpha / rank, or 1 when alpha is 0.
 */
#include "model/lora.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/num.h"

enum { RANK_MAX = 4096, FILES_MAX = 64 };

struct lora {
    struct gguf g;
    const char *path;
    float scale, alpha;
    uint8_t *used; /* [g.ntensor] */
};

static int read_keys(struct lora *l, const struct model *m, struct lar_err *err)
{
    struct str type = STR(""), kind = STR(""), arch = STR("");
    int rc;
    if ((rc = gguf_str(&l->g, "general.type", &type, err)) < 0) return rc;
    if ((rc = gguf_str(&l->g, "adapter.type", &kind, err)) < 0) return rc;
    if ((rc = gguf_str(&l->g, "general.architecture", &arch, err)) < 0) return rc;
    if ((rc = gguf_f32(&l->g, "adapter.lora.alpha", &l->alpha, err)) < 0) return rc;
    if (!str_is(type, "adapter") || !str_is(kind, "lora"))
        return lar_fail(err, LAR_EUNSUPPORTED,
                        "%s is no LoRA adapter: general.type is \"%.*s\", adapter.type \"%.*s\"",
                        l->path, STR_ARG(type), STR_ARG(kind));
    if (!str_is(arch, m->arch->name))
        return lar_fail(err, LAR_EUNSUPPORTED, "%s is an adapter of a %.*s model; this one is %s",
                        l->path, STR_ARG(arch), m->arch->name);
    if (!isfinite(l->alpha) || l->alpha < 0)
        return lar_fail(err, LAR_EFORMAT, "%s: adapter.lora.alpha is %s", l->path,
                        num_show((double)l->alpha).z);
    if (gguf_find(&l->g, "adapter.alora.invocation_tokens"))
        return lar_fail(err, LAR_EUNSUPPORTED,
                        "%s works from certain tokens on only (aLoRA), which Lar cannot do",
                        l->path);
    return 0;
}

int lora_open(struct model *m, const struct lora_file *f, size_t n, struct lar_err *err)
{
    if (n > FILES_MAX) return lar_fail(err, LAR_EINVAL, "%zu adapters: at most %d", n, FILES_MAX);
    if (n && !(m->lora = arena_array(&m->a, n, sizeof *m->lora)))
        return lar_fail(err, LAR_ENOMEM, "%zu adapters: out of memory", n);
    for (size_t i = 0; i < n; i++) {
        struct lora *l = &m->lora[i];
        *l = (struct lora){.path = f[i].path, .scale = f[i].scale};
        if (!isfinite(l->scale))
            return lar_fail(err, LAR_EINVAL, "%s: its scale is no number", l->path);
        int rc = gguf_open(&l->g, l->path, err);
        if (rc < 0) return rc;
        m->nlora = i + 1;
        if ((rc = read_keys(l, m, err)) < 0) return rc;
        if (!(l->used = arena_array(&m->a, l->g.ntensor + 1, 1)))
            return lar_fail(err, LAR_ENOMEM, "%s: out of memory", l->path);
    }
    return 0;
}

/* A matrix of the adapter as F32; transposed: [columns][rows]. NULL with the error set. */
static const float *values(struct binder *b, const struct lora *l, const struct gguf_tensor *t,
                           int transposed)
{
    size_t k = (size_t)t->dim[0], rows = (size_t)t->dim[1];
    float *v = NULL, *to = NULL;
    if (!dev_can(b->m->dev, t->type)) {
        lar_fail(b->err, LAR_EUNSUPPORTED,
                 "%s: tensor %.*s is of type %s, which Lar cannot compute with yet", l->path,
                 STR_ARG(t->name), dtype_info(t->type).name);
        return NULL;
    }
    v = arena_array(&b->m->a, k * rows, sizeof *v);
    if (v && transposed) to = arena_array(&b->m->a, k * rows, sizeof *to);
    if (!v || (transposed && !to)) {
        lar_fail(b->err, LAR_ENOMEM, "%s: tensor %.*s: out of memory", l->path, STR_ARG(t->name));
        return NULL;
    }
    b->m->dev->kern->type[t->type].dequant(k * rows, t->data, v);
    for (size_t i = 0; i < rows && transposed; i++)
        for (size_t j = 0; j < k; j++) to[j * rows + i] = v[i * k + j];
    return transposed ? to : v;
}

static const struct gguf_tensor *half_of(struct lora *l, const char *name, const char *half)
{
    char full[BIND_NAME_MAX + 8];
    snprintf(full, sizeof full, "%s.%s", name, half);
    const struct gguf_tensor *t = gguf_tensor(&l->g, full);
    if (t) l->used[t - l->g.tensor] = 1;
    return t;
}

static int bind_one(struct binder *b, struct lora *l, const char *name, struct dev_matrix *w)
{
    const struct gguf_tensor *ta = half_of(l, name, "lora_a"), *tb = half_of(l, name, "lora_b");
    if (!ta && !tb) return 0;
    if (!ta || !tb)
        return lar_fail(b->err, LAR_EFORMAT, "%s: of %s.lora_a and %s.lora_b one is missing",
                        l->path, name, name);
    if (ta->ndim > 2 || tb->ndim > 2 || (size_t)ta->dim[0] != w->k ||
        (size_t)tb->dim[1] != w->rows || ta->dim[1] != tb->dim[0] || ta->dim[1] > RANK_MAX)
        return lar_fail(
            b->err, LAR_EFORMAT,
            "%s: %s: %lld x %lld and %lld x %lld do not make a matrix of %zu x %zu with a rank up to %d",
            l->path, name, (long long)ta->dim[0], (long long)ta->dim[1], (long long)tb->dim[0],
            (long long)tb->dim[1], w->k, w->rows, RANK_MAX);
    struct dev_lora *d = arena_alloc(&b->m->a, sizeof *d);
    if (!d) return lar_fail(b->err, LAR_ENOMEM, "%s: out of memory", l->path);
    *d = (struct dev_lora){.rank = (size_t)ta->dim[1], .next = w->lora};
    d->scale = l->alpha > 0 ? l->scale * l->alpha / (float)d->rank : l->scale;
    if (!(d->a = values(b, l, ta, 0)) || !(d->bt = values(b, l, tb, 1))) return LAR_EUNSUPPORTED;
    if (d->rank > b->m->lora_rank) b->m->lora_rank = d->rank;
    w->lora = d;
    return 0;
}

int lora_bind(struct binder *b, const char *name, struct dev_matrix *w)
{
    /* Used otherwise than in one product with all of the matrix: what an adapter has for them is refused by lora_check. */
    static const char *const parts[] = {"attn_k_b.weight", "attn_v_b.weight", "attn_kv_b.weight"};
    struct str s = str_of(name);
    if (!str_starts(s, STR("blk.")) && !str_is(s, "output.weight")) return 0;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (str_ends(s, str_of(parts[i]))) return 0;
    int rc = 0;
    for (size_t i = 0; i < b->m->nlora && rc == 0; i++) rc = bind_one(b, &b->m->lora[i], name, w);
    return rc;
}

int lora_check(const struct model *m, struct lar_err *err)
{
    for (size_t i = 0; i < m->nlora; i++)
        for (size_t t = 0; t < m->lora[i].g.ntensor; t++)
            if (!m->lora[i].used[t])
                return lar_fail(
                    err, LAR_EUNSUPPORTED,
                    "%s: its tensor %.*s changes nothing in this model that an adapter can change here "
                    "(matrices of layers and the output; not embeddings, norms, experts): merge it instead",
                    m->lora[i].path, STR_ARG(m->lora[i].g.tensor[t].name));
    return 0;
}

void lora_close(struct model *m)
{
    for (size_t i = 0; i < m->nlora; i++) gguf_close(&m->lora[i].g);
    m->nlora = 0;
    m->lora = NULL;
}
