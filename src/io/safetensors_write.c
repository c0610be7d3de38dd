/* SPDX-License-Identifier: Apache-2.0
 *
 * io/safetensors_write.c: writing safetensors. The header is known before the data, so it is written once; that no
 * half file ever stands under the name asked for is io/outfile.h's work.
 */
#include "io/safetensors.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>

#include "base/buf.h"
#include "base/sort.h"
#include "base/utf8.h"
#include "io/outfile.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "data is written as it lies in memory");

struct safetensors_writer {
    struct outfile file;
    uint64_t done, total; /* bytes of data */
    size_t header;        /* bytes before them */
    uint8_t *map;         /* the whole file, after safetensors_place */
};

static int spec_bytes(const struct safetensors_spec *s, uint64_t *bytes, struct lar_err *err)
{
    int bits = safetensors_bits(str_of(s->type));
    if (bits == 0 || bits % 8)
        return lar_fail(err, LAR_EINVAL, "array %s: type %s cannot be written", s->name, s->type);
    if (s->ndim < 0 || s->ndim > SAFETENSORS_DIMS_MAX)
        return lar_fail(err, LAR_EINVAL, "array %s: %d dimensions, expected 0 to %d", s->name,
                        s->ndim, SAFETENSORS_DIMS_MAX);
    *bytes = (uint64_t)bits / 8;
    for (int i = 0; i < s->ndim; i++)
        if (s->shape[i] < 0 || __builtin_mul_overflow(*bytes, (uint64_t)s->shape[i], bytes))
            return lar_fail(err, LAR_EINVAL, "array %s: dimension %d of %" PRId64
                            " is negative or too large", s->name, i, s->shape[i]);
    return LAR_OK;
}

static int name_before(const void *ctx, uint32_t a, uint32_t b)
{
    const struct safetensors_spec *s = ctx;
    return strcmp(s[a].name, s[b].name);
}

static int check_names(const struct safetensors_spec *spec, size_t n, struct lar_err *err)
{
    int rc = LAR_OK;
    uint32_t *order = n <= UINT32_MAX / 4 ? mem_alloc((n + 1) * sizeof *order) : NULL;
    if (!order) return lar_fail(err, LAR_ENOMEM, "header of %zu arrays: out of memory", n);
    for (size_t i = 0; i < n; i++) order[i] = (uint32_t)i;
    sort_u32(order, n, name_before, spec);
    for (size_t i = 0; i < n && rc == LAR_OK; i++) {
        const char *name = spec[order[i]].name;
        if (!*name || strcmp(name, "__metadata__") == 0 || !utf8_valid(name, strlen(name)))
            rc = lar_fail(err, LAR_EINVAL, "array \"%s\": cannot be named so", name);
        else if (i && strcmp(name, spec[order[i - 1]].name) == 0)
            rc = lar_fail(err, LAR_EINVAL, "array %s: there are two of that name", name);
    }
    mem_free(order);
    return rc;
}

static int write_header(struct buf *b, const struct safetensors_spec *spec, size_t n,
                        uint64_t *total, struct lar_err *err)
{
    for (int i = 0; i < 8; i++) buf_putc(b, 0);
    buf_putc(b, '{');
    for (size_t i = 0; i < n; i++) {
        uint64_t bytes = 0, begin = *total;
        int rc = spec_bytes(&spec[i], &bytes, err);
        if (rc < 0) return rc;
        if (__builtin_add_overflow(begin, bytes, total))
            return lar_fail(err, LAR_EINVAL, "array %s: too large", spec[i].name);
        if (i) buf_putc(b, ',');
        buf_json_str(b, str_of(spec[i].name));
        buf_puts(b, ":{\"dtype\":");
        buf_json_str(b, str_of(spec[i].type));
        buf_puts(b, ",\"shape\":[");
        for (int k = 0; k < spec[i].ndim; k++)
            buf_printf(b, "%s%" PRId64, k ? "," : "", spec[i].shape[k]);
        buf_printf(b, "],\"data_offsets\":[%" PRIu64 ",%" PRIu64 "]}", begin, *total);
    }
    buf_putc(b, '}');
    while (b->n % 8 && !b->failed) buf_putc(b, ' ');
    if (b->failed) return lar_fail(err, LAR_ENOMEM, "header of %zu arrays: out of memory", n);
    uint64_t header = b->n - 8;
    if (header > SAFETENSORS_HEADER_MAX)
        return lar_fail(err, LAR_ELIMIT, "a header of %" PRIu64 " bytes, at most %d are allowed",
                        header, SAFETENSORS_HEADER_MAX);
    memcpy(b->p, &header, 8);
    return LAR_OK;
}

int safetensors_create(struct safetensors_writer **out, const char *path,
                       const struct safetensors_spec *spec, size_t n, struct lar_err *err)
{
    struct buf header = {0};
    struct safetensors_writer *w = mem_zalloc(sizeof *w);
    *out = NULL;
    if (!w) return lar_fail(err, LAR_ENOMEM, "%s: out of memory", path);
    w->file.fd = -1;
    int rc = check_names(spec, n, err);
    if (rc == LAR_OK) rc = write_header(&header, spec, n, &w->total, err);
    if (rc == LAR_OK) rc = outfile_begin(&w->file, path, err);
    if (rc == LAR_OK) rc = outfile_write(&w->file, header.p, header.n, err);
    w->header = header.n;
    buf_done(&header);
    if (rc == LAR_OK) *out = w;
    else safetensors_abort(w);
    return rc;
}

int safetensors_write(struct safetensors_writer *w, const void *p, size_t n, struct lar_err *err)
{
    if (n > w->total - w->done)
        return lar_fail(err, LAR_EINVAL, "%s: more data than its header says (%" PRIu64 " bytes)",
                        buf_z(&w->file.path), w->total);
    int rc = outfile_write(&w->file, p, n, err);
    if (rc == LAR_OK) w->done += n;
    return rc;
}

uint8_t *safetensors_place(struct safetensors_writer *w, uint64_t *total, struct lar_err *err)
{
    uint64_t all = w->header + w->total;
    const char *path = buf_z(&w->file.path);
    int rc = w->total > INT64_MAX / 2 || (size_t)all != all ? EFBIG : posix_fallocate(w->file.fd, 0, (off_t)all);
    if (rc) {
        errno = rc;
        lar_fail_errno(err, "%s: there is no room for %" PRIu64 " bytes", path, all);
        return NULL;
    }
    void *p = mmap(NULL, (size_t)all, PROT_READ | PROT_WRITE, MAP_SHARED, w->file.fd, 0);
    if (p == MAP_FAILED) {
        lar_fail_errno(err, "%s: cannot be mapped", path);
        return NULL;
    }
    w->map = p;
    w->done = *total = w->total;
    return w->map + w->header;
}

static int finish(struct safetensors_writer *w, struct lar_err *err)
{
    if (w->done != w->total)
        return lar_fail(err, LAR_EINVAL, "%s: %" PRIu64 " bytes of data, its header says %" PRIu64,
                        buf_z(&w->file.path), w->done, w->total);
    if (w->map && msync(w->map, w->header + w->total, MS_SYNC))
        return lar_fail_errno(err, "%s: cannot be written", buf_z(&w->file.path));
    return outfile_commit(&w->file, err);
}

int safetensors_commit(struct safetensors_writer *w, struct lar_err *err)
{
    int rc = finish(w, err);
    safetensors_abort(w);
    return rc;
}

void safetensors_abort(struct safetensors_writer *w)
{
    if (!w) return;
    if (w->map) munmap(w->map, w->header + w->total);
    outfile_done(&w->file);
    mem_free(w);
}
