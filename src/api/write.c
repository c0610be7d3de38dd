/* SPDX-License-Identifier: Apache-2.0
 * api/write.c: lar.h's door to the safetensors writer (io/safetensors.h). */
#include <lar/lar.h>

#include "io/safetensors.h"

static int check(const char *path, const struct lar_array *a, size_t n, struct lar_err *err)
{
    if (!path || (!a && n))
        return lar_fail(err, LAR_EINVAL, "lar_write_safetensors: path and arrays are needed");
    for (size_t i = 0; i < n; i++) {
        if (!a[i].name || !a[i].type || !a[i].data)
            return lar_fail(err, LAR_EINVAL, "array %zu lacks name, type or data", i);
        if (a[i].ndim < 1 || a[i].ndim > 4)
            return lar_fail(err, LAR_EINVAL, "array %s: %d dimensions; use 1 to 4", a[i].name,
                            a[i].ndim);
    }
    return 0;
}

/* The writer has checked that the product does not overflow. */
static size_t bytes_of(const struct safetensors_spec *s)
{
    size_t n = (size_t)safetensors_bits(str_of(s->type)) / 8;
    for (int d = 0; d < s->ndim; d++) n *= (size_t)s->shape[d];
    return n;
}

int lar_write_safetensors(const char *path, const struct lar_array *a, size_t n,
                          struct lar_err *err)
{
    struct safetensors_writer *w = NULL;
    size_t bytes;
    int rc = check(path, a, n, err);
    if (rc < 0) return rc;
    if (mul_size(n + 1, sizeof(struct safetensors_spec), &bytes))
        return lar_fail(err, LAR_EINVAL, "%zu arrays are too many", n);
    struct safetensors_spec *spec = mem_zalloc(bytes);
    if (!spec) return lar_fail(err, LAR_ENOMEM, "header of %zu arrays: out of memory", n);
    for (size_t i = 0; i < n; i++) {
        spec[i] =
            (struct safetensors_spec){.name = a[i].name, .type = a[i].type, .ndim = a[i].ndim};
        for (int d = 0; d < a[i].ndim; d++) spec[i].shape[d] = a[i].shape[d];
    }
    rc = safetensors_create(&w, path, spec, n, err);
    for (size_t i = 0; rc == 0 && i < n; i++) {
        rc = safetensors_write(w, a[i].data, bytes_of(&spec[i]), err);
        if (rc < 0) safetensors_abort(w);
    }
    if (rc == 0) rc = safetensors_commit(w, err);
    mem_free(spec);
    return rc;
}
