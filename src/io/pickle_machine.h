/* SPDX-License-Identifier: Apache-2.0
 * io/pickle_machine.h: the restricted reader of pickle programs; private to pickle*.c and their tests. */
#ifndef IO_PICKLE_MACHINE_H
#define IO_PICKLE_MACHINE_H

#include "io/pickle.h"

enum pickle_kind {
    PICKLE_NONE,
    PICKLE_BOOL,
    PICKLE_INT,
    PICKLE_FLOAT,
    PICKLE_STR,
    PICKLE_TUPLE,
    PICKLE_LIST,
    PICKLE_DICT,
    PICKLE_NAME, /* a thing that was named, one of a fixed list */
    PICKLE_STORAGE,
    PICKLE_TENSOR,
    PICKLE_MARK
};

struct pickle_storage {
    struct str key;
    const char *type; /* as safetensors names it */
    int size;         /* of an element */
    int64_t count;
};

struct pickle_pair {
    const struct pickle_value *key, *value;
    struct pickle_pair *next;
};

struct pickle_value {
    enum pickle_kind kind;
    union {
        int64_t integer;
        struct str str;
        int name; /* index into the machine's list */
        struct {
            const struct pickle_value **v;
            size_t n;
        } items; /* of a tuple */
        struct pickle_storage storage;
        struct {
            const struct pickle_storage *storage;
            int64_t offset, size[PICKLE_DIMS_MAX], stride[PICKLE_DIMS_MAX];
            int ndim;
        } tensor;
    };
    struct pickle_pair *pairs,
        *last; /* of a dictionary, in order (a list keeps no members: tensors are never in one) */
};

/* Runs the program; *root lives in a. */
int pickle_run(const struct pickle_value **root, struct str program, const char *file, struct arena *a,
               struct lar_err *err);

#endif
