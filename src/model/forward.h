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

void pass_norm(const struct pass *p, const struct norm *nm, struct dev_rows x, size_t width,
               struct dev_rows out);
void pass_linear(const struct pass *p, const struct dev_matrix *w, const float *b,
                 struct dev_rows x, struct dev_rows out);
/* w->h -> w->o; after the last layer's keys are written only the rows whose logits are wanted stay at work. */
void pass_attention(struct pass *p, size_t li);
void pass_ffn(struct pass *p, const struct layer *l); /* w->h -> w->o */

void rwkv_layer(const struct pass *p, size_t li); /* w->x -> w->x */
void altup_begin(struct pass *p);
void altup_layer(struct pass *p, size_t li);
void altup_end(struct pass *p);

/* w->h [n][width] -> w->o [n][width] through the layer's experts. */
void recur_forward(struct pass *p, const struct layer *l); /* through its recurrent mixer */
void moe_forward(struct pass *p, const struct layer *l);
/* The experts' sum added to what is in w->o, each normed; both read the stream. */
void moe_beside(struct pass *p, const struct layer *l);

/* Latent attention: see mla.c. */
void mla_project(const struct pass *p, const struct layer *l, struct dev_rows *q,
                 struct dev_rows *k, struct dev_rows *v);
struct dev_rows mla_values(const struct pass *p, const struct layer *l);

#endif
