/* SPDX-License-Identifier: Apache-2.0
 * model/bind.h: finding tensors by name and checking their shapes; shared by the files that bind parts of a layer.
 *
 * Each gives 1 when the tensor was bound, 0 when the file does not have it, or an error; the need_ forms make missing an error. */
#ifndef MODEL_BIND_H
#define MODEL_BIND_H

#include "model/model.h"

enum { BIND_NAME_MAX = 96 };

struct binder {
    struct model *m;
    struct lar_err *err;
    size_t layer; /* SIZE_MAX: names stand alone */
};

/* "blk.<layer>.<part>.<tail>"; tail NULL: without. */
const char *bind_name(const struct binder *b, const char *part, const char *tail,
                      char out[BIND_NAME_MAX]);
/* rows 0: any number, taken from the tensor. */
int bind_matrix(struct binder *b, const char *part, size_t k, size_t rows, struct dev_matrix *out);
int bind_need_matrix(struct binder *b, const char *part, size_t k, size_t rows,
                     struct dev_matrix *out);
/* n values as F32: in place when the file has F32, else converted. */
int bind_vector(struct binder *b, const char *part, const char *tail, size_t n, const float **out);
int bind_need_vector(struct binder *b, const char *part, const char *tail, size_t n,
                     const float **out);
int bind_norm(struct binder *b, const char *part, size_t width, struct norm *out);
/* The tensor of that name, marked as read. */
const struct gguf_tensor *bind_find(struct binder *b, const char *part, const char *tail,
                                    char name[BIND_NAME_MAX]);

int bind_need_norm(struct binder *b, const char *part, size_t width, struct norm *out);
/* n matrices: [n][rows][k] in the file, read as [n * rows][k]. Missing is an error. */
int bind_stack(struct binder *b, const char *part, size_t k, size_t rows, size_t n,
               struct dev_matrix *out);

/* moe.c, recur.c, rwkv.c, altup.c, mla.c */
int altup_bind_model(struct binder *b);
int altup_bind_layer(struct binder *b, struct layer *l);
int moe_bind(struct binder *b, struct moe *m);
int moe_bind_beside(struct binder *b, struct moe *m); /* of experts beside a dense feed-forward */
int recur_bind(struct binder *b, struct layer *l);
int rwkv_bind(struct binder *b, struct layer *l);
int mla_bind(struct binder *b, struct layer *l);

#endif
