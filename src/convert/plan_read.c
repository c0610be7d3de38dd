/* SPDX-License-Identifier: Apache-2.0
 *
 * convert/plan_read.c: reading an output's values, any part of them, by walking its pieces' views. Neighbouring dimensions that lie end to
 * end are walked as one, so that the innermost loop is as long as the data allows.
 */
#include <math.h>

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
            weight_read(p->scales, e / columns / p->block[0] * across + e % columns / p->block[1], 1, 1, &f);
            to[i] *= f;
        }
    }
    if (p->scale < 1 || p->scale > 1)
        for (int64_t i = 0; i < n; i++) to[i] *= p->scale;
}

static void read_piece(const struct piece *p, int64_t at, int64_t n, float *to)
{
    struct walk v;
    merge(&v, p);
    while (n > 0) {
        int64_t rest = at, base = p->base, inner = v.extent[v.ndim - 1], from = rest % inner;
        int64_t k = inner - from < n ? inner - from : n;
        rest /= inner;
        for (int i = v.ndim - 2; i >= 0; i--) {
            base += rest % v.extent[i] * v.stride[i];
            rest /= v.extent[i];
        }
        read_run(p, base + from * v.stride[v.ndim - 1], v.stride[v.ndim - 1], k, to);
        at += k;
        to += k;
        n -= k;
    }
}

void plan_read(const struct output *o, int64_t at, int64_t n, float *to)
{
    float *from = to;
    int64_t all = n;
    if (o->made) {
        memcpy(to, o->made + at, (size_t)n * sizeof *to);
        return;
    }
    for (size_t i = 0; i < o->npiece && n > 0; i++) {
        int64_t have = count(&o->piece[i]);
        if (at >= have) {
            at -= have;
            continue;
        }
        int64_t k = have - at < n ? have - at : n;
        read_piece(&o->piece[i], at, k, to);
        at = 0;
        to += k;
        n -= k;
    }
    for (int64_t i = 0; i < all && o->op == VALUE_PLUS_ONE; i++) from[i] += 1;
    for (int64_t i = 0; i < all && o->op == VALUE_NEG_EXP; i++) from[i] = -expf(from[i]);
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
