/* SPDX-License-Identifier: Apache-2.0
 * model/forward.h: what the files of the forward pass share. */
#ifndef MODEL_FORWARD_H
#define MODEL_FORWARD_H

#include "model/model.h"

/* The state of one pass: rows 0..n-1 are at work. */
struct pass {
    const struct model *m;
    struct dev *d;
    struct work *w;
    const struct batch *b;
    size_t n;
};

/* w->h [n][width] -> w->o [n][width] through the layer's experts. */
void recur_forward(struct pass *p, const struct layer *l); /* through its recurrent mixer */
void moe_forward(struct pass *p, const struct layer *l);

#endif
