/* SPDX-License-Identifier: Apache-2.0
 *
 * io/pickle.h: the tensors of a PyTorch checkpoint, read without executing anything.
 *
 * Such a file is, since PyTorch 1.6 (for the older form see pickle_legacy.c), a zip archive (PKWARE's APPNOTE 6.3, entries stored, not compressed) of NAME/data.pkl and NAME/data/KEY. The first is a
 * program for Python's unpickling machine. Of its instructions only those are known here that build dictionaries, lists, tuples,
 * numbers and strings, and of the things it may name only those that a tensor needs: torch._utils._rebuild_tensor_v2 and
 * _rebuild_parameter, the storage types, collections.OrderedDict. Everything else is refused by its name; nothing is ever called.
 */
#ifndef IO_PICKLE_H
#define IO_PICKLE_H

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "io/filemap.h"

#define PICKLE_DIMS_MAX 8

struct pickle_tensor {
    struct str name;  /* keys of nested dictionaries joined by dots */
    const char *type; /* as safetensors names it: "F32", "BF16", ... */
    int ndim;
    int64_t shape[PICKLE_DIMS_MAX];
    int64_t elements;
    uint64_t bytes;
    const uint8_t *data; /* contiguous, in the mapping */
};

struct pickle {
    struct pickle_tensor *tensor; /* in the order of the file */
    size_t ntensor;
    struct filemap map;
    struct arena a;
    int borrowed; /* private */
};

/* On failure nothing is left open and p is zeroed. */
int pickle_open(struct pickle *p, const char *path, struct lar_err *err);
int pickle_open_memory(struct pickle *p, const void *bytes, size_t n, struct lar_err *err);
void pickle_close(struct pickle *p);

#endif
