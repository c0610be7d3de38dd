/* SPDX-License-Identifier: Apache-2.0
 *
 * convert/convert_memory.c: a folder opened as a GGUF that is in no file. Its keys are made and checked like a file's; its tensors point into the
 * mapped source where nothing has to be moved, which is most of most models. What must be rearranged (queries and keys of Llama's, experts that come one by
 * one, norms with 1 added) is made once, in anonymous memory, in the source's type: exact, and no disk is written. The cost is known before it is paid.
 */
#include <inttypes.h>

#include "base/cpu.h"
#include "convert/convert.h"

struct image {
    struct convert c;
    struct gguf_keys k;
    struct buf head;
};

static void release(void *ctx)
{
    struct image *im = ctx;
    convert_close(&im->c);
    gguf_keys_done(&im->k);
    buf_done(&im->head);
    mem_free(im);
}

static int float_type(enum weight_type w, enum dtype *t)
{
    if (w == WEIGHT_F32)
        *t = DT_F32;
    else if (w == WEIGHT_F16)
        *t = DT_F16;
    else if (w == WEIGHT_BF16)
        *t = DT_BF16;
    else
        return 0;
    return 1;
}

/* The type in which o can be had exactly. Gives the source tensor when nothing has to be made. */
static const struct weight *keep(const struct output *o, enum dtype *t)
{
    const struct weight *w = plan_same(o);
    enum dtype other;
    *t = o->blocks ? DT_MXFP4 : DT_F32;
    if (o->ndim > 1 && convert_dtype(o, CONVERT_BF16) == DT_F32 && !(w && w->type == WEIGHT_F32)) return NULL;
    if (o->made || o->blocks || o->op != VALUE_SAME || !float_type(o->piece[0].w->type, t)) return NULL;
    for (size_t i = 0; i < o->npiece; i++) {
        const struct piece *p = &o->piece[i];
        if (p->scales || p->scale < 1 || p->scale > 1 || !float_type(p->w->type, &other) || other != *t) *t = DT_F32;
    }
    return w && (uintptr_t)w->data % (unsigned)weight_size(w->type) == 0 ? w : NULL;
}

static uint64_t bytes_of(const struct output *o, enum dtype t)
{
    struct dtype_info d = dtype_info(t);
    return (uint64_t)o->n / d.block * d.bytes;
}

static int check_room(const struct plan *p, struct lar_err *err)
{
    uint64_t made = 0, have = cpu_memory_available();
    enum dtype t;
    for (size_t i = 0; i < p->n; i++)
        if (!keep(&p->out[i], &t)) made += bytes_of(&p->out[i], t);
    if (!have || made < have) return 0;
    return lar_fail(err, LAR_ENOMEM,
                    "this model's tensors have to be rearranged, %" PRIu64 " MiB of them, and %" PRIu64
                    " MiB of memory are free: make a file with lar convert, which needs little",
                    made >> 20, have >> 20);
}

static int make(struct image *im, const struct output *o, enum dtype t, const uint8_t **out, struct lar_err *err)
{
    enum { SLAB = 1 << 16 };
    uint8_t *p = arena_alloc(&im->c.a, (size_t)bytes_of(o, t));
    float *scratch = mem_alloc(SLAB * sizeof *scratch);
    int ok = p && scratch;
    size_t size = (size_t)dtype_info(t).bytes;
    if (ok && t == DT_MXFP4) plan_read_mxfp4(o, 0, o->n / o->dim[0], p);
    for (int64_t at = 0; ok && t != DT_MXFP4 && at < o->n; at += SLAB)
        convert_values(o, at, o->n - at < SLAB ? o->n - at : SLAB, t, scratch, p + (size_t)at * size);
    mem_free(scratch);
    *out = p;
    return ok ? 0 : lar_fail(err, LAR_ENOMEM, "tensor %.*s: out of memory", STR_ARG(o->name));
}

static int build(struct image *im, struct gguf *g, struct lar_err *err)
{
    struct plan *p = &im->c.p;
    int rc = convert_keys(&im->c, &im->k, -1, err);
    if (rc == 0) rc = check_room(p, err);
    if (rc < 0) return rc;
    uint64_t count[2] = {0, im->k.n};
    uint32_t version = 3;
    buf_add(&im->head, "GGUF", 4);
    buf_add(&im->head, &version, 4);
    buf_add(&im->head, count, sizeof count);
    buf_str(&im->head, buf_view(&im->k.b));
    if (im->head.failed || im->k.b.failed) return lar_fail(err, LAR_ENOMEM, "keys: out of memory");
    struct gguf_tensor *t = arena_array(&im->c.a, p->n, sizeof *t);
    if (!t) return lar_fail(err, LAR_ENOMEM, "table of %zu tensors: out of memory", p->n);
    for (size_t i = 0; i < p->n; i++) {
        const struct output *o = &p->out[i];
        enum dtype type;
        const struct weight *w = keep(o, &type);
        t[i] = (struct gguf_tensor){.name = o->name, .type = type, .ndim = o->ndim, .bytes = bytes_of(o, type)};
        for (int d = 0; d < 4; d++) t[i].dim[d] = o->dim[d];
        if (w)
            t[i].data = w->data;
        else if ((rc = make(im, o, type, &t[i].data, err)) < 0)
            return rc;
    }
    if ((rc = gguf_open_memory(g, im->head.p, im->head.n, err)) < 0) return rc;
    return gguf_adopt(g, t, p->n, release, im, err);
}

int convert_memory(struct gguf *g, const char *path, struct lar_err *err)
{
    struct image *im = mem_zalloc(sizeof *im);
    *g = (struct gguf){0};
    if (!im) return lar_fail(err, LAR_ENOMEM, "model: out of memory");
    int rc = convert_open(&im->c, path, err);
    if (rc == 0) rc = build(im, g, err);
    if (rc < 0) {
        if (g->part) gguf_close(g);
        release(im);
    }
    return rc;
}
