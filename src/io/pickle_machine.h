/* SPDX-License-Identifier: Apache-2.0
 * io/pickle_machine.h: the restricted reader of pickle programs; private to pickle*.c and their tests. */
#ifndef IO_PICKLE_MACHINE_H
#define IO_PICKLE_MACHINE_H

#include "io/pickle.h"
#include "io/zip.h"

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
    const struct pickle_storage *next; /* the one that the program named before */
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
        *last; /* of a dictionary, in order; of a list its members, as values */
};

/* Runs the program; *root lives in a. */
int pickle_run(const struct pickle_value **root, struct str program, const char *file, struct arena *a,
               struct lar_err *err);

/* Runs the program with which the bytes begin: *used of them. *storages: all that it named, NULL for none. */
int pickle_run_first(const struct pickle_value **root, struct str bytes, size_t *used,
                     const struct pickle_storage **storages, const char *file, struct arena *a, struct lar_err *err);

/* pickle_legacy.c: the form of PyTorch before 1.6. 1: it is that, *root is its dictionary, z has its storages as "data/KEY"; 0: it is another. */
int pickle_legacy(struct zip *z, const struct pickle_value **root, size_t *used, const uint8_t *p, size_t n,
                  const char *file, struct arena *a, struct lar_err *err);

#endif
