/* SPDX-License-Identifier: Apache-2.0
 *
 * dev/cpu/cpu.c: the CPU device: opening, work space, and the operations that go row by row. Matrix products are in matmul.c, attention in attn.c.
 */
#include "dev/cpu/cpu.h"

#include <math.h>
#include <string.h>

#include "base/cpu.h"
#include "base/mem.h"
#include "kern/choose.h"

void cpu_rows(struct cpu_dev *c, size_t n, size_t work, pool_fn *fn, void *ctx)
{
    /* Under about 16k elements the hand-over costs more than it saves. */
    size_t grain = work ? 8192 / work + 1 : n;
    if (n * work < 16384) grain = n;
    pool_for(c->dev.pool, n, grain, fn, ctx);
}

struct row_job {
    struct cpu_dev *c;
    struct dev_rows x, y, out;
    size_t heads, width;
    const float *w, *b, *par;
    float f;
    int kind;
    const struct dev_matrix *m;
    const int32_t *ids;
    struct dev_angles a;
};

static void gather_rows(void *ctx, size_t begin, size_t end, int thread)
{
    const struct row_job *j = ctx;
    (void)thread;
    for (size_t i = begin; i < end; i++)
        j->c->kern.type[j->m->type].dequant(
            j->m->k, (const uint8_t *)j->m->data + (size_t)j->ids[i] * j->m->stride,
            j->out.p + i * j->out.stride);
}

static void cpu_gather(struct dev *d, const struct dev_matrix *w, const int32_t *ids, size_t n,
                       struct dev_rows out)
{
    struct row_job j = {.c = cpu_of(d), .m = w, .ids = ids, .out = out};
    cpu_rows(j.c, n, w->k, gather_rows, &j);
}

static void rms_rows(void *ctx, size_t begin, size_t end, int thread)
{
    const struct row_job *j = ctx;
    (void)thread;
    for (size_t i = begin; i < end; i++)
        for (size_t h = 0; h < j->heads; h++)
            j->c->kern.rms(j->width, j->x.p + i * j->x.stride + h * j->width, j->w, j->f,
                           j->out.p + i * j->out.stride + h * j->width);
}

static void cpu_rms(struct dev *d, struct dev_rows x, size_t n, size_t heads, size_t width,
                    const float *w, float eps, struct dev_rows out)
{
    struct row_job j = {
        .c = cpu_of(d), .x = x, .out = out, .heads = heads, .width = width, .w = w, .f = eps};
    cpu_rows(j.c, n, heads * width, rms_rows, &j);
}

static void norm_rows(void *ctx, size_t begin, size_t end, int thread)
{
    const struct row_job *j = ctx;
    (void)thread;
    for (size_t i = begin; i < end; i++)
        for (size_t h = 0; h < j->heads; h++)
            j->c->kern.norm(j->width, j->x.p + i * j->x.stride + h * j->width, j->w, j->b, j->f,
                            j->out.p + i * j->out.stride + h * j->width);
}

static void cpu_norm(struct dev *d, struct dev_rows x, size_t n, size_t heads, size_t width,
                     const float *w, const float *b, float eps, struct dev_rows out)
{
    struct row_job j = {.c = cpu_of(d),
                        .x = x,
                        .out = out,
                        .heads = heads,
                        .width = width,
                        .w = w,
                        .b = b,
                        .f = eps};
    cpu_rows(j.c, n, heads * width, norm_rows, &j);
}

static void rope_rows(void *ctx, size_t begin, size_t end, int thread)
{
    const struct row_job *j = ctx;
    kern_rope_fn *fn = j->a.neox ? j->c->kern.rope_neox : j->c->kern.rope_norm;
    (void)thread;
    for (size_t i = begin; i < end; i++) {
        const float *cs = j->a.p + i * j->a.rot;
        for (size_t h = 0; h < j->heads; h++)
            fn(j->a.rot, cs, cs + j->a.rot / 2, j->x.p + i * j->x.stride + h * j->width);
    }
}

static void cpu_rope(struct dev *d, struct dev_rows x, size_t n, size_t heads, size_t hd,
                     struct dev_angles a)
{
    struct row_job j = {.c = cpu_of(d), .x = x, .heads = heads, .width = hd, .a = a};
    cpu_rows(j.c, n, heads * hd, rope_rows, &j);
}

/* The rarer activations, in place of a kernel of their own. */
static void gate_plain(const struct row_job *j, const float *g, const float *u, float *out)
{
    for (size_t i = 0; i < j->width; i++) {
        float x = g[i], y;
        if (j->kind == GATE_OSS) {
            float c = fminf(x, 7), v = u ? fminf(fmaxf(u[i], -7), 7) : 0;
            out[i] = c / (1 + expf(-1.702f * c)) * (v + 1);
            continue;
        }
        if (j->kind == GATE_RELU2)
            y = x > 0 ? x * x : 0;
        else if (x > 0)
            y = j->par[0] * x * x + j->par[2] * x;
        else
            y = (expm1f(x < j->par[3] ? x : j->par[3]) - x) * j->par[1] + j->par[2] * x;
        out[i] = u ? y * u[i] : y;
    }
}

static void gate_rows(void *ctx, size_t begin, size_t end, int thread)
{
    const struct row_job *j = ctx;
    const struct kern *k = &j->c->kern;
    kern_gate_fn *fn = j->kind == GATE_SILU   ? k->silu_mul
                       : j->kind == GATE_GELU ? k->gelu_mul
                                              : k->gelu_tanh_mul;
    (void)thread;
    for (size_t i = begin; i < end; i++) {
        const float *g = j->x.p + i * j->x.stride, *u = j->y.p ? j->y.p + i * j->y.stride : NULL;
        float *out = j->out.p + i * j->out.stride;
        if (j->kind >= GATE_RELU2)
            gate_plain(j, g, u, out);
        else
            fn(j->width, g, u, out);
    }
}

static void cpu_gate(struct dev *d, enum dev_gate kind, const float *par, struct dev_rows g,
                     struct dev_rows u, size_t n, size_t width, struct dev_rows out)
{
    struct row_job j = {
        .c = cpu_of(d), .x = g, .y = u, .out = out, .width = width, .kind = (int)kind, .par = par};
    cpu_rows(j.c, n, width * 4, gate_rows, &j);
}

static void add_rows(void *ctx, size_t begin, size_t end, int thread)
{
    const struct row_job *j = ctx;
    (void)thread;
    for (size_t i = begin; i < end; i++)
        j->c->kern.axpy(j->width, j->f, j->x.p + i * j->x.stride, j->y.p + i * j->y.stride);
}

static void cpu_add(struct dev *d, struct dev_rows x, size_t n, size_t width, float scale,
                    struct dev_rows y)
{
    struct row_job j = {.c = cpu_of(d), .x = x, .y = y, .width = width, .f = scale};
    cpu_rows(j.c, n, width, add_rows, &j);
}

static void cpu_bias(struct dev *d, const float *b, size_t n, size_t width, struct dev_rows y)
{
    struct cpu_dev *c = cpu_of(d);
    for (size_t i = 0; i < n; i++) c->kern.axpy(width, 1, b, y.p + i * y.stride);
}

static void cpu_scale(struct dev *d, float a, size_t n, size_t width, struct dev_rows y)
{
    (void)d;
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < width; k++) y.p[i * y.stride + k] *= a;
}

static void softcap_rows(void *ctx, size_t begin, size_t end, int thread)
{
    const struct row_job *j = ctx;
    (void)thread;
    for (size_t i = begin; i < end; i++)
        for (size_t k = 0; k < j->width; k++) {
            float *v = &j->y.p[i * j->y.stride + k];
            *v = j->f * tanhf(*v / j->f);
        }
}

static void cpu_softcap(struct dev *d, float cap, size_t n, size_t width, struct dev_rows y)
{
    struct row_job j = {.c = cpu_of(d), .y = y, .width = width, .f = cap};
    cpu_rows(j.c, n, width * 8, softcap_rows, &j);
}

static void cpu_close(struct dev *d)
{
    struct cpu_dev *c = cpu_of(d);
    pool_close(d->pool);
    for (int i = 0; i < ACT_COUNT; i++) mem_free(c->act[i]);
    mem_free(c->scratch);
    mem_free(c->low);
    pthread_mutex_destroy(&c->growing);
    mem_free(c);
}

static const struct dev_ops cpu_ops = {
    .matmul = cpu_matmul,
    .gather = cpu_gather,
    .rms = cpu_rms,
    .norm = cpu_norm,
    .rope = cpu_rope,
    .gate = cpu_gate,
    .add = cpu_add,
    .bias = cpu_bias,
    .scale = cpu_scale,
    .softcap = cpu_softcap,
    .kv_write = cpu_kv_write,
    .attend = cpu_attend,
    .conv = cpu_conv,
    .mamba2 = cpu_mamba2,
    .delta = cpu_delta,
    .close = cpu_close,
};

int dev_cpu_open(struct dev **out, int threads, struct lar_err *err)
{
    unsigned flags;
    *out = NULL;
    int rc = cpu_flags(&flags, err);
    if (rc < 0) return rc;
    struct cpu_dev *c = mem_alloc_aligned(sizeof *c);
    if (!c) return lar_fail(err, LAR_ENOMEM, "CPU device: out of memory");
    memset(c, 0, sizeof *c);
    kern_init(&c->kern, flags);
    kern_chosen(&c->kern);
    c->dev = (struct dev){.ops = &cpu_ops,
                          .level = cpu_level_name(c->kern.flags),
                          .threads = threads,
                          .kern = &c->kern};
    rc = pool_open(&c->dev.pool, threads, err);
    if (rc < 0) {
        mem_free(c);
        return rc;
    }
    pthread_mutex_init(&c->growing, NULL);
    *out = &c->dev;
    return 0;
}

static size_t max_size(size_t a, size_t b) { return a > b ? a : b; }

/* Query rows of an attention tile: enough that keys converted once serve many, few enough that a tile stays in the cache. */
static size_t tile_for(const struct dev_need *need)
{
    size_t tile = 64 / (need->group_max ? need->group_max : 1);
    return tile < 8 ? 8 : tile;
}

static int has_type(const struct dev_need *need, int t)
{
    return need->types == 0 || (need->types >> t & 1) || (need->low && t == DT_F32);
}

static size_t scratch_for(const struct cpu_dev *c, const struct dev_need *need)
{
    size_t bytes = cpu_attn_scratch(need, tile_for(need));
    for (int t = 0; t < DTYPE_COUNT; t++)
        if ((has_type(need, t) || (need->exact && t == DT_F32)) && c->kern.type[t].panel_bytes)
            bytes = max_size(bytes, c->kern.type[t].panel_bytes(need->k_max));
    size_t rows = c->kern.type[DT_F32].panel_rows; /* of exact matrices, behind a panel of F32 */
    if (rows < CPU_ROWS_UNIT) rows = CPU_ROWS_UNIT;
    if (need->exact) bytes = kern_up64(bytes) + rows * kern_up64(4 * need->k_max);
    return kern_up64(bytes) + 64;
}

/* 0 where no matrix is multiplied with rows of that kind. */
static size_t act_for(const struct cpu_dev *c, const struct dev_need *need, int kind)
{
    size_t k = (need->k_max + 255) & ~(size_t)255;
    int used = 0;
    for (int t = 0; t < DTYPE_COUNT; t++)
        used |= has_type(need, t) && c->kern.type[t].mul && (int)c->kern.type[t].act == kind;
    return used ? need->batch * act_bytes((enum kern_act)kind, k) : 0;
}

static size_t low_for(const struct dev_need *need) { return need->low ? CPU_LOW_FLOATS * sizeof(float) : 0; }

size_t dev_cpu_reserve_bytes(const struct dev *d, const struct dev_need *need)
{
    const struct cpu_dev *c = (const struct cpu_dev *)(const void *)d;
    size_t n = scratch_for(c, need) * (size_t)d->threads;
    for (int i = ACT_F32 + 1; i < ACT_COUNT; i++) n += act_for(c, need, i);
    return n + low_for(need);
}

/* With `growing` held: nobody else makes the work space larger, or smaller again. */
static int reserve(struct cpu_dev *c, const struct dev_need *need, struct lar_err *err)
{
    struct dev *d = &c->dev;
    struct dev_need n = {max_size(need->batch, c->need.batch), max_size(need->k_max, c->need.k_max),
                         max_size(need->hd_max, c->need.hd_max),
                         max_size(need->group_max, c->need.group_max),
                         max_size(need->exact, c->need.exact), max_size(need->low, c->need.low),
                         need->types};
    if (c->scratch) n.types = n.types && c->need.types ? n.types | c->need.types : 0;
    uint8_t *act[ACT_COUNT] = {0}, *scratch;
    float *low = NULL;
    if (c->scratch && !memcmp(&n, &c->need, sizeof n)) return 0;
    size_t bytes = scratch_for(c, &n);
    int ok = (scratch = mem_alloc_aligned(bytes * (size_t)d->threads)) != NULL;
    for (int i = ACT_F32 + 1; i < ACT_COUNT; i++) {
        size_t of = act_for(c, &n, i);
        if (of) ok &= (act[i] = mem_alloc_aligned(of)) != NULL;
    }
    if (n.low) ok &= (low = mem_alloc_aligned(low_for(&n))) != NULL;
    if (!ok) {
        mem_free(scratch);
        mem_free(low);
        for (int i = 0; i < ACT_COUNT; i++) mem_free(act[i]);
        return lar_fail(err, LAR_ENOMEM, "work space for %zu rows of %zu: out of memory", n.batch,
                        n.k_max);
    }
    dev_lock(d);
    mem_free(c->scratch);
    mem_free(c->low);
    c->low = low;
    c->scratch = scratch;
    c->scratch_bytes = bytes;
    c->tile = tile_for(&n);
    for (int i = 0; i < ACT_COUNT; i++) {
        mem_free(c->act[i]);
        c->act[i] = act[i];
    }
    c->need = n;
    dev_unlock(d);
    return 0;
}

int dev_cpu_reserve(struct dev *d, const struct dev_need *need, struct lar_err *err)
{
    struct cpu_dev *c = cpu_of(d);
    pthread_mutex_lock(&c->growing);
    int rc = reserve(c, need, err);
    pthread_mutex_unlock(&c->growing);
    return rc;
}

void dev_close(struct dev *d)
{
    if (d) d->ops->close(d);
}

int dev_can(const struct dev *d, enum dtype t)
{
    return (unsigned)t < DTYPE_COUNT && d->kern->type[t].mul != NULL;
}

void dev_lock(struct dev *d) { pool_lock(d->pool); }

void dev_begin(struct dev *d, const struct dev_seq *seq, size_t nseq)
{
    dev_lock(d);
    d->seq = seq;
    for (size_t i = 0; i < nseq; i++)
        if (seq[i].nlow) d->nseq = nseq;
}

void dev_unlock(struct dev *d)
{
    d->seq = NULL;
    d->nseq = 0;
    pool_unlock(d->pool);
}
