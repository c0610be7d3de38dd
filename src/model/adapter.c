/* SPDX-License-Identifier: Apache-2.0
 *
 * model/adapter.c: see adapter.h. The format is llama.cpp's: keys general.type "adapter", adapter.type "lora", adapter.lora.alpha; tensors
 * NAME.lora_a [rank][k] and NAME.lora_b [rows][rank] for the matrix NAME. The factor is alpha / rank, or 1 when alpha is 0.
 */
#include "model/adapter.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/half.h"
#include "base/num.h"

enum { SAMPLE = 64, SAMPLES = 4 };
enum { RANK_MAX = 4096, FILES_MAX = 64, NAME_MAX_HERE = 96 };

/* One being opened. */
struct reading {
    struct gguf g;
    const char *path;
    const struct model *m;
    struct adapter *to;
    uint8_t *used; /* [g.ntensor] */
    struct lar_err *err;
};

static int read_keys(struct reading *l)
{
    struct str type = STR(""), kind = STR(""), arch = STR("");
    struct lar_err *err = l->err;
    int rc;
    if ((rc = gguf_str(&l->g, "general.type", &type, err)) < 0) return rc;
    if ((rc = gguf_str(&l->g, "adapter.type", &kind, err)) < 0) return rc;
    if ((rc = gguf_str(&l->g, "general.architecture", &arch, err)) < 0) return rc;
    if ((rc = gguf_f32(&l->g, "adapter.lora.alpha", &l->to->alpha, err)) < 0) return rc;
    if (!str_is(type, "adapter") || !str_is(kind, "lora"))
        return lar_fail(err, LAR_EUNSUPPORTED,
                        "%s is no LoRA adapter: general.type is \"%.*s\", adapter.type \"%.*s\"",
                        l->path, STR_ARG(type), STR_ARG(kind));
    if (!str_is(arch, l->m->arch->name))
        return lar_fail(err, LAR_EUNSUPPORTED, "%s is an adapter of a %.*s model; this one is %s",
                        l->path, STR_ARG(arch), l->m->arch->name);
    if (!isfinite(l->to->alpha) || l->to->alpha < 0)
        return lar_fail(err, LAR_EFORMAT, "%s: adapter.lora.alpha is %s", l->path,
                        num_show((double)l->to->alpha).z);
    if (gguf_find(&l->g, "adapter.alora.invocation_tokens"))
        return lar_fail(err, LAR_EUNSUPPORTED,
                        "%s works from certain tokens on only (aLoRA), which Lar cannot do",
                        l->path);
    return 0;
}

/* 16 bits that hold all n numbers exactly: an adapter that was trained in them costs half to read. F32: there are none. */
static enum dtype exact(const float *v, size_t n)
{
    int half = 1, brain = 1;
    for (size_t i = 0; i < n && (half || brain); i++) {
        float b = bf16_to_f32(bf16_from_f32(v[i])), h = half_to_f32(half_from_f32(v[i]));
        brain &= !memcmp(&b, &v[i], sizeof b);
        half &= !memcmp(&h, &v[i], sizeof h);
    }
    return brain ? DT_BF16 : half ? DT_F16 : DT_F32;
}

static const void *narrow(struct reading *l, const float *v, size_t n, enum dtype *type)
{
    *type = exact(v, n);
    if (*type == DT_F32) {
        float *same = arena_array(&l->to->a, n, sizeof *same);
        if (same) memcpy(same, v, n * sizeof *same);
        l->to->bytes += n * sizeof *same;
        return same;
    }
    uint16_t *to = arena_array(&l->to->a, n, sizeof *to);
    for (size_t i = 0; i < n && to; i++) to[i] = *type == DT_BF16 ? bf16_from_f32(v[i]) : half_from_f32(v[i]);
    l->to->bytes += n * sizeof *to;
    return to;
}

/* B [rows][rank] as dev_lora.bt has it. */
static void turn(const float *v, size_t rows, size_t rank, float *to)
{
    for (size_t at = 0; at < rows; at += DEV_LORA_COLUMNS) {
        size_t width = rows - at < DEV_LORA_COLUMNS ? rows - at : DEV_LORA_COLUMNS;
        for (size_t i = 0; i < width; i++)
            for (size_t r = 0; r < rank; r++) to[at * rank + r * width + i] = v[(at + i) * rank + r];
    }
}

/* A matrix of the adapter; transposed: as turn leaves it. NULL with the error set. */
static const void *values(struct reading *l, const struct gguf_tensor *t, int transposed, enum dtype *type)
{
    size_t k = (size_t)t->dim[0], rows = (size_t)t->dim[1];
    float *v = NULL, *to = NULL;
    const void *kept = NULL;
    if (!dev_can(l->m->dev, t->type)) {
        lar_fail(l->err, LAR_EUNSUPPORTED,
                 "%s: tensor %.*s is of type %s, which Lar cannot compute with yet", l->path,
                 STR_ARG(t->name), dtype_info(t->type).name);
        return NULL;
    }
    v = mem_zalloc(k * rows * sizeof *v);
    if (v && transposed) to = mem_zalloc(k * rows * sizeof *to);
    if (v) l->m->dev->kern->type[t->type].dequant(k * rows, t->data, v);
    if (to) turn(v, rows, k, to);
    if (v && (to || !transposed)) kept = narrow(l, transposed ? to : v, k * rows, type);
    mem_free(v);
    mem_free(to);
    if (!kept) lar_fail(l->err, LAR_ENOMEM, "%s: tensor %.*s: out of memory", l->path, STR_ARG(t->name));
    return kept;
}

static const struct gguf_tensor *half_of(struct reading *l, struct str name, const char *half)
{
    char full[NAME_MAX_HERE + 8];
    if (name.n >= NAME_MAX_HERE) return NULL;
    snprintf(full, sizeof full, "%.*s.%s", STR_ARG(name), half);
    const struct gguf_tensor *t = gguf_tensor(&l->g, full);
    if (t) l->used[t - l->g.tensor] = 1;
    return t;
}

/* What there is for the model's matrix w. */
static int bind_one(struct reading *l, const struct gguf_tensor *w, struct dev_lora *d)
{
    const struct gguf_tensor *ta = half_of(l, w->name, "lora_a"), *tb = half_of(l, w->name, "lora_b");
    if (!ta && !tb) return 0;
    if (!ta || !tb)
        return lar_fail(l->err, LAR_EFORMAT, "%s: of %.*s.lora_a and .lora_b one is missing", l->path,
                        STR_ARG(w->name));
    if (ta->ndim > 2 || tb->ndim > 2 || ta->dim[0] != w->dim[0] || tb->dim[1] != w->dim[1] ||
        tb->dim[0] != ta->dim[1] || ta->dim[1] > RANK_MAX)
        return lar_fail(
            l->err, LAR_EFORMAT,
            "%s: %.*s: %lld x %lld and %lld x %lld do not make a matrix of %lld x %lld with a rank up to %d",
            l->path, STR_ARG(w->name), (long long)ta->dim[0], (long long)ta->dim[1], (long long)tb->dim[0],
            (long long)tb->dim[1], (long long)w->dim[0], (long long)w->dim[1], RANK_MAX);
    *d = (struct dev_lora){.rank = (size_t)ta->dim[1]};
    d->scale = l->to->alpha > 0 ? l->to->alpha / (float)d->rank : 1;
    if (!(d->a = values(l, ta, 0, &d->a_type)) || !(d->bt = values(l, tb, 1, &d->bt_type))) return LAR_EUNSUPPORTED;
    if (d->rank > l->to->rank) l->to->rank = d->rank;
    l->to->matrices++;
    return 0;
}

static int read_all(struct reading *l)
{
    int rc = read_keys(l);
    if (rc < 0) return rc;
    l->used = mem_zalloc(l->g.ntensor + 1);
    l->to->of = arena_array(&l->to->a, l->m->nslot + 1, sizeof *l->to->of);
    if (!l->used || !l->to->of) return lar_fail(l->err, LAR_ENOMEM, "%s: out of memory", l->path);
    for (size_t i = 1; i <= l->m->nslot && rc == 0; i++) rc = bind_one(l, l->m->slot[i], &l->to->of[i]);
    for (size_t t = 0; t < l->g.ntensor && rc == 0; t++)
        if (!l->used[t])
            rc = lar_fail(
                l->err, LAR_EUNSUPPORTED,
                "%s: its tensor %.*s changes nothing in this model that an adapter can change here "
                "(matrices of layers and the output; not embeddings, norms, experts): merge it instead",
                l->path, STR_ARG(l->g.tensor[t].name));
    return rc;
}

static void sample(struct sha256 *h, const uint8_t *p, enum dtype type, size_t n)
{
    size_t take = n < SAMPLE ? n : SAMPLE, size = type == DT_F32 ? 4 : 2;
    sha256_add(h, &n, sizeof n);
    for (size_t k = 0; k < SAMPLES; k++) sha256_add(h, p + (n - take) / (SAMPLES - 1) * k * size, take * size);
}

static void identify(struct adapter *l, const struct model *m)
{
    struct sha256 h;
    sha256_init(&h);
    for (size_t i = 1; i <= m->nslot; i++) {
        const struct dev_lora *d = &l->of[i];
        sha256_add(&h, &d->rank, sizeof d->rank);
        sha256_add(&h, &d->scale, sizeof d->scale);
        if (!d->rank) continue;
        sample(&h, d->a, d->a_type, d->rank * (size_t)m->slot[i]->dim[0]);
        sample(&h, d->bt, d->bt_type, d->rank * (size_t)m->slot[i]->dim[1]);
    }
    sha256_end(&h, l->id);
}

int adapter_open(struct adapter **out, const struct model *m, const char *path, struct lar_err *err)
{
    struct reading l = {.path = path, .m = m, .err = err};
    *out = NULL;
    int rc = gguf_open(&l.g, path, err);
    if (rc < 0) return rc;
    if ((l.to = mem_zalloc(sizeof *l.to))) {
        atomic_init(&l.to->refs, 1);
        arena_init(&l.to->a, 0);
        l.to->model = m;
        rc = read_all(&l);
        if (rc == 0) identify(l.to, m);
    } else {
        rc = lar_fail(err, LAR_ENOMEM, "%s: out of memory", path);
    }
    mem_free(l.used);
    gguf_close(&l.g);
    if (rc < 0)
        adapter_close(l.to);
    else
        *out = l.to;
    return rc;
}

struct adapter *adapter_ref(struct adapter *l)
{
    atomic_fetch_add(&l->refs, 1);
    return l;
}

void adapter_close(struct adapter *l)
{
    if (!l || atomic_fetch_sub(&l->refs, 1) != 1) return;
    arena_done(&l->a);
    mem_free(l);
}

int adapter_always(struct model *m, const struct adapter_file *f, size_t n, struct lar_err *err)
{
    if (n == 0) return 0;
    if (n > FILES_MAX) return lar_fail(err, LAR_EINVAL, "%zu adapters: at most %d", n, FILES_MAX);
    struct dev_low *low = arena_array(&m->a, n, sizeof *low);
    m->always = arena_array(&m->a, n, sizeof *m->always);
    if (!low || !m->always) return lar_fail(err, LAR_ENOMEM, "%zu adapters: out of memory", n);
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(f[i].scale)) return lar_fail(err, LAR_EINVAL, "%s: its scale is no number", f[i].path);
        int rc = adapter_open(&m->always[i], m, f[i].path, err);
        if (rc < 0) return rc;
        m->nalways = i + 1;
        low[i] = (struct dev_low){m->always[i]->of, f[i].scale};
    }
    m->dev->always = low;
    m->dev->nalways = n;
    return 0;
}
