/* SPDX-License-Identifier: Apache-2.0
 *
 * convert/plan_read.c: reading (and writing) an output's values, any part of them, by walking its pieces' views. Neighbouring dimensions that lie end to
 * end are walked as one, so that the innermost loop is as long as the data allows.
 */
#include <math.h>

#include "base/half.h"
#include "convert/plan.h"

struct walk {
    int ndim;
    int64_t extent[PIECE_DIMS], stride[PIECE_DIMS];
};

static void merge(struct walk *v, const struct piece *p)
{
    v->ndim = 0;
    for (int i = 0; i < p->ndim; i++) {
        if (p->extent[i] == 1) continue;
        int k = v->ndim - 1;
        if (k >= 0 && v->stride[k] == p->stride[i] * p->extent[i]) {
            v->extent[k] *= p->extent[i];
            v->stride[k] = p->stride[i];
        } else {
            v->extent[v->ndim] = p->extent[i];
            v->stride[v->ndim++] = p->stride[i];
        }
    }
    if (v->ndim == 0) {
        v->extent[0] = v->stride[0] = 1;
        v->ndim = 1;
    }
}

static int64_t count(const struct piece *p)
{
    int64_t n = 1;
    for (int i = 0; i < p->ndim; i++) n *= p->extent[i];
    return n;
}

/* A run's values, and the factor of each. */
static void read_run(const struct piece *p, int64_t at, int64_t stride, int64_t n, float *to)
{
    weight_read(p->w, at, stride, n, to);
    if (p->scales) {
        int64_t columns = p->w->dim[1], across = (columns + p->block[1] - 1) / p->block[1];
        for (int64_t i = 0; i < n; i++) {
            int64_t e = at + i * stride;
            float f;
            weight_read(p->scales, e / columns / p->block[0] * across + e % columns / p->block[1],
                        1, 1, &f);
            to[i] *= f;
        }
    }
    if (p->scale < 1 || p->scale > 1)
        for (int64_t i = 0; i < n; i++) to[i] *= p->scale;
}

typedef void run_fn(const struct piece *p, int64_t at, int64_t stride, int64_t n, float *v);

static void walk_piece(const struct piece *p, int64_t at, int64_t n, float *v, run_fn *run)
{
    struct walk w;
    merge(&w, p);
    while (n > 0) {
        int64_t rest = at, base = p->base, inner = w.extent[w.ndim - 1], from = rest % inner;
        int64_t k = inner - from < n ? inner - from : n;
        rest /= inner;
        for (int i = w.ndim - 2; i >= 0; i--) {
            base += rest % w.extent[i] * w.stride[i];
            rest /= w.extent[i];
        }
        run(p, base + from * w.stride[w.ndim - 1], w.stride[w.ndim - 1], k, v);
        at += k;
        v += k;
        n -= k;
    }
}

static void walk_all(const struct output *o, int64_t at, int64_t n, float *v, run_fn *run)
{
    for (size_t i = 0; i < o->npiece && n > 0; i++) {
        int64_t have = count(&o->piece[i]);
        if (at >= have) {
            at -= have;
            continue;
        }
        int64_t k = have - at < n ? have - at : n;
        walk_piece(&o->piece[i], at, k, v, run);
        at = 0;
        v += k;
        n -= k;
    }
}

void plan_read(const struct output *o, int64_t at, int64_t n, float *to)
{
    if (o->made) {
        memcpy(to, o->made + at, (size_t)n * sizeof *to);
        return;
    }
    walk_all(o, at, n, to, read_run);
    for (int64_t i = 0; i < n && o->op == VALUE_PLUS_ONE; i++) to[i] += 1;
    for (int64_t i = 0; i < n && o->op == VALUE_NEG_EXP; i++) to[i] = -expf(to[i]);
}

static void write_run(const struct piece *p, int64_t at, int64_t stride, int64_t n, float *v)
{
    weight_write(p->w, at, stride, n, v);
}

/* The y with -exp(y) = x. Several may have it, or none where x was not made so: of those that have it a BF16, then the nearest. */
static float log_minus(float x)
{
    float y = (float)log(-(double)x), coarse = bf16_to_f32(bf16_from_f32(y)), up = y, down = y;
    if (bits_f32(-expf(coarse)) == bits_f32(x)) return coarse;
    for (int i = 0; i < 64; i++) {
        if (bits_f32(-expf(up)) == bits_f32(x)) return up;
        if (bits_f32(-expf(down)) == bits_f32(x)) return down;
        up = nextafterf(up, HUGE_VALF);
        down = nextafterf(down, -HUGE_VALF);
    }
    return y;
}

void plan_undo(const struct output *o, int64_t n, float *v)
{
    for (int64_t i = 0; i < n && o->op == VALUE_PLUS_ONE; i++) v[i] -= 1;
    for (int64_t i = 0; i < n && o->op == VALUE_NEG_EXP; i++) v[i] = log_minus(v[i]);
}

void plan_write(const struct output *o, int64_t at, int64_t n, float *v)
{
    plan_undo(o, n, v);
    walk_all(o, at, n, v, write_run);
}

/* The source has elements 2 j and 2 j + 1 in the low and high half of byte j, ggml elements j and j + 16; the scale is the same
 * power of two with the same bias. */
void plan_read_mxfp4(const struct output *o, int64_t at, int64_t n, uint8_t *to)
{
    int64_t rows = o->dim[1], groups = o->dim[0] / 32;
    for (int64_t r = at; r < at + n; r++) {
        int64_t row = r / rows * rows * o->step + r % rows * o->step + o->first;
        for (int64_t g = 0; g < groups; g++, to += 17) {
            const uint8_t *b = o->blocks->data + (row * groups + g) * 16;
            to[0] = o->scales->data[row * groups + g];
            for (int j = 0; j < 16; j++) {
                uint8_t low = b[j / 2] >> 4 * (j % 2) & 15, high = b[8 + j / 2] >> 4 * (j % 2) & 15;
                to[1 + j] = (uint8_t)(low | high << 4);
            }
        }
    }
}

const struct weight *plan_same(const struct output *o)
{
    struct walk v;
    if (o->made || o->blocks || o->npiece != 1 || o->op != VALUE_SAME) return NULL;
    const struct piece *p = &o->piece[0];
    if (p->scales || p->base || p->scale < 1 || p->scale > 1) return NULL;
    merge(&v, p);
    return v.ndim == 1 && v.stride[0] == 1 && v.extent[0] == p->w->n ? p->w : NULL;
}
