/* SPDX-License-Identifier: Apache-2.0
 *
 * io/gguf_write.c: see gguf_write.h. A file is a header (keys, then names, types, shapes and offsets of all tensors), then
 * the data, each tensor padded to the alignment, the last one too. Of a split model the first part has the keys, the others
 * only split.*, as llama.cpp's gguf-split writes them. Parts get their names in the end, the first one last: a crash between
 * leaves no first part, so nobody takes what is there for a model.
 */
#include "io/gguf_write.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/sort.h"
#include "base/utf8.h"
#include "io/outfile.h"

#define ALIGN_DEFAULT 32
#define PARTS_MAX     99999

struct part {
    struct outfile file;
    size_t begin, end; /* tensors */
};

struct gguf_writer {
    const struct gguf_spec *spec;
    size_t nspec;
    uint64_t *bytes; /* of each tensor */
    uint64_t align;
    char *stem; /* path, of a split model without .gguf */
    struct part *part;
    int npart;
    int at_part;   /* the open one */
    size_t at;     /* tensor that is being written */
    uint64_t done; /* bytes of it */
};

int gguf_spec_bytes(const struct gguf_spec *s, uint64_t *bytes, struct lar_err *err)
{
    struct dtype_info d = dtype_info(s->type);
    uint64_t n = 1;
    if (!d.name)
        return lar_fail(err, LAR_EINVAL, "tensor %.*s: type %d is no type", STR_ARG(s->name),
                        (int)s->type);
    if (s->name.n == 0 || s->name.n > GGUF_NAME_MAX || !utf8_valid(s->name.p, s->name.n))
        return lar_fail(
            err, LAR_EINVAL,
            "tensor \"%.*s\": a name has 1 to %d bytes of UTF-8, other programs would refuse it",
            STR_ARG(s->name), GGUF_NAME_MAX);
    if (s->ndim < 1 || s->ndim > 4)
        return lar_fail(err, LAR_EINVAL, "tensor %.*s: has %d dimensions, expected 1 to 4",
                        STR_ARG(s->name), s->ndim);
    for (int i = 0; i < s->ndim; i++)
        if (s->dim[i] < 1 || __builtin_mul_overflow(n, (uint64_t)s->dim[i], &n) || n > INT64_MAX)
            return lar_fail(err, LAR_EINVAL,
                            "tensor %.*s: dimension %d of %" PRId64 " is not positive or too large",
                            STR_ARG(s->name), i, s->dim[i]);
    if (s->dim[0] % d.block)
        return lar_fail(err, LAR_EINVAL,
                        "tensor %.*s: rows of %" PRId64 " are no whole number of %s blocks of %d",
                        STR_ARG(s->name), s->dim[0], d.name, d.block);
    if (__builtin_mul_overflow(n / d.block, (uint64_t)d.bytes, bytes) || *bytes > INT64_MAX)
        return lar_fail(err, LAR_EINVAL, "tensor %.*s: too large", STR_ARG(s->name));
    return LAR_OK;
}

/* ---- checks ------------------------------------------------------------------------------------ */

static int key_order(const void *ctx, uint32_t a, uint32_t b)
{
    return str_cmp(gguf_keys_name(ctx, a), gguf_keys_name(ctx, b));
}

static int spec_order(const void *ctx, uint32_t a, uint32_t b)
{
    const struct gguf_spec *s = ctx;
    return str_cmp(s[a].name, s[b].name);
}

/* The number of one that has the same name as another, or -1; -2 when out of memory. */
static int64_t find_twice(size_t n, sort_cmp_fn *cmp, const void *ctx)
{
    int64_t found = -1;
    uint32_t *order = n < UINT32_MAX / 4 ? mem_alloc((n + 1) * sizeof *order) : NULL;
    if (!order) return -2;
    for (size_t i = 0; i < n; i++) order[i] = (uint32_t)i;
    sort_u32(order, n, cmp, ctx);
    for (size_t i = 1; i < n && found < 0; i++)
        if (cmp(ctx, order[i - 1], order[i]) == 0) found = order[i];
    mem_free(order);
    return found;
}

static int check(struct gguf_writer *w, const struct gguf_keys *k, struct lar_err *err)
{
    if (k->b.failed || k->at.failed)
        return lar_fail(err, LAR_ENOMEM, "%s: out of memory for the metadata", w->stem);
    w->align = k->alignment ? k->alignment : ALIGN_DEFAULT;
    if (w->align < 8 || w->align > 65536 || (w->align & (w->align - 1)))
        return lar_fail(err, LAR_EINVAL,
                        "%s: an alignment of %" PRIu64 ", expected a power of two from 8 to 65536",
                        w->stem, w->align);
    int64_t twice = find_twice(k->n, key_order, k);
    if (twice >= 0) {
        struct str name = gguf_keys_name(k, (uint64_t)twice);
        return lar_fail(err, LAR_EINVAL, "%s: key %.*s is given twice", w->stem, STR_ARG(name));
    }
    if (twice == -1) twice = find_twice(w->nspec, spec_order, w->spec);
    if (twice >= 0)
        return lar_fail(err, LAR_EINVAL, "%s: there are two tensors %.*s", w->stem,
                        STR_ARG(w->spec[twice].name));
    if (twice == -2) return lar_fail(err, LAR_ENOMEM, "%s: out of memory", w->stem);
    for (size_t i = 0; i < w->nspec; i++) {
        int rc = gguf_spec_bytes(&w->spec[i], &w->bytes[i], err);
        if (rc < 0) return rc;
    }
    return LAR_OK;
}

/* ---- parts -------------------------------------------------------------------------------------- */

/* Where the part that begins with tensor i ends. */
static size_t part_end(const struct gguf_writer *w, size_t i, uint64_t part_bytes)
{
    uint64_t sum = w->nspec ? w->bytes[i] : 0;
    if (!part_bytes) return w->nspec;
    for (i++; i < w->nspec && w->bytes[i] <= part_bytes && sum <= part_bytes - w->bytes[i]; i++)
        sum += w->bytes[i];
    return i < w->nspec ? i : w->nspec;
}

static int plan_parts(struct gguf_writer *w, uint64_t part_bytes, struct lar_err *err)
{
    size_t n = 0, at = 0;
    do {
        at = part_end(w, at, part_bytes);
        n++;
    } while (at < w->nspec);
    if (n > PARTS_MAX)
        return lar_fail(err, LAR_EINVAL, "%s: would have %zu parts, at most %d are possible",
                        w->stem, n, PARTS_MAX);
    w->part = mem_zalloc(n * sizeof *w->part);
    if (!w->part) return lar_fail(err, LAR_ENOMEM, "%s: out of memory", w->stem);
    w->npart = (int)n;
    at = 0;
    for (size_t i = 0; i < n; i++) {
        w->part[i].file.fd = -1;
        w->part[i].begin = at;
        w->part[i].end = at = part_end(w, at, part_bytes);
    }
    size_t len = strlen(w->stem);
    if (n > 1 && len > 5 && strcmp(w->stem + len - 5, ".gguf") == 0) w->stem[len - 5] = 0;
    return LAR_OK;
}

static void put_specs(struct buf *b, const struct gguf_writer *w, const struct part *p)
{
    uint64_t offset = 0;
    for (size_t i = p->begin; i < p->end; i++) {
        const struct gguf_spec *s = &w->spec[i];
        uint64_t n = s->name.n;
        uint32_t ndim = (uint32_t)s->ndim, type = s->type;
        buf_add(b, &n, 8);
        buf_str(b, s->name);
        buf_add(b, &ndim, 4);
        buf_add(b, s->dim, 8 * (size_t)s->ndim);
        buf_add(b, &type, 4);
        buf_add(b, &offset, 8);
        offset += (w->bytes[i] + w->align - 1) / w->align *
                  w->align; /* below 2^64: a sum of what fits the disk */
    }
}

/* Opens part i and writes its header. keys: NULL behind the first one. */
static int begin_part(struct gguf_writer *w, int i, const struct gguf_keys *keys,
                      struct lar_err *err)
{
    struct buf b = {0}, path = {0};
    struct gguf_keys split = {0};
    struct part *p = &w->part[i];
    uint32_t version = 3;
    w->at_part = i;
    if (w->npart > 1) {
        gguf_keys_int(&split, "split.no", GGUF_U16, i);
        gguf_keys_int(&split, "split.count", GGUF_U16, w->npart);
        gguf_keys_int(&split, "split.tensors.count", GGUF_I32, (int64_t)w->nspec);
        if (!keys && w->align != ALIGN_DEFAULT)
            gguf_keys_u32(&split, "general.alignment", (uint32_t)w->align);
        buf_printf(&path, "%s-%05d-of-%05d.gguf", w->stem, i + 1, w->npart);
    } else {
        buf_puts(&path, w->stem);
    }
    uint64_t ntensor = p->end - p->begin, nkey = (keys ? keys->n : 0) + split.n;
    buf_puts(&b, "GGUF");
    buf_add(&b, &version, 4);
    buf_add(&b, &ntensor, 8);
    buf_add(&b, &nkey, 8);
    if (keys) buf_str(&b, buf_view(&keys->b));
    buf_str(&b, buf_view(&split.b));
    put_specs(&b, w, p);
    while (b.n % w->align && !b.failed) buf_putc(&b, 0);
    int rc = b.failed || path.failed || split.b.failed || split.at.failed
                 ? lar_fail(err, LAR_ENOMEM, "%s: out of memory for the header", w->stem)
                 : outfile_begin(&p->file, path.p, err);
    if (rc == LAR_OK) rc = outfile_write(&p->file, b.p, b.n, err);
    buf_done(&b);
    buf_done(&path);
    gguf_keys_done(&split);
    return rc;
}

/* ---- the writer --------------------------------------------------------------------------------- */

int gguf_create(struct gguf_writer **out, const char *path, const struct gguf_keys *keys,
                const struct gguf_spec *spec, size_t n, uint64_t part_bytes, struct lar_err *err)
{
    struct gguf_writer *w = mem_zalloc(sizeof *w);
    size_t len = strlen(path) + 1;
    *out = NULL;
    if (w) {
        w->bytes = mem_alloc((n + 1) * sizeof *w->bytes);
        w->stem = mem_alloc(len);
    }
    if (!w || !w->bytes || !w->stem) {
        gguf_abort(w);
        return lar_fail(err, LAR_ENOMEM, "%s: out of memory", path);
    }
    memcpy(w->stem, path, len);
    w->spec = spec;
    w->nspec = n;
    int rc = check(w, keys, err);
    if (rc == LAR_OK) rc = plan_parts(w, part_bytes, err);
    if (rc == LAR_OK) rc = begin_part(w, 0, keys, err);
    if (rc == LAR_OK)
        *out = w;
    else
        gguf_abort(w);
    return rc;
}

/* Pads the tensor that is complete, and opens the next part when it was its part's last. */
static int end_tensor(struct gguf_writer *w, struct lar_err *err)
{
    static const char zero[256]; /* few alignments are larger */
    struct part *p = &w->part[w->at_part];
    uint64_t rest = w->bytes[w->at] % w->align, pad = rest ? w->align - rest : 0;
    int rc = LAR_OK;
    for (size_t n; pad && rc == LAR_OK; pad -= n) {
        n = pad < sizeof zero ? (size_t)pad : sizeof zero;
        rc = outfile_write(&p->file, zero, n, err);
    }
    w->at++;
    w->done = 0;
    if (rc < 0 || w->at < p->end || w->at == w->nspec) return rc;
    rc = outfile_end(&p->file, err);
    return rc < 0 ? rc : begin_part(w, w->at_part + 1, NULL, err);
}

int gguf_write(struct gguf_writer *w, const void *data, size_t n, struct lar_err *err)
{
    for (const uint8_t *p = data; n;) {
        if (w->at == w->nspec)
            return lar_fail(err, LAR_EINVAL, "%s: more data than its %zu tensors have", w->stem,
                            w->nspec);
        uint64_t left = w->bytes[w->at] - w->done;
        size_t k = n < left ? n : (size_t)left;
        int rc = outfile_write(&w->part[w->at_part].file, p, k, err);
        w->done += k;
        p += k;
        n -= k;
        if (rc == LAR_OK && w->done == w->bytes[w->at]) rc = end_tensor(w, err);
        if (rc < 0) return rc;
    }
    return LAR_OK;
}

static int finish(struct gguf_writer *w, struct lar_err *err)
{
    if (w->at < w->nspec)
        return lar_fail(err, LAR_EINVAL, "%s: tensor %.*s has %" PRIu64 " of its %" PRIu64 " bytes",
                        w->stem, STR_ARG(w->spec[w->at].name), w->done, w->bytes[w->at]);
    int rc = outfile_end(&w->part[w->npart - 1].file, err);
    for (int i = w->npart - 1; i >= 0 && rc == LAR_OK; i--)
        rc = outfile_commit(&w->part[i].file, err);
    return rc;
}

int gguf_commit(struct gguf_writer *w, struct lar_err *err)
{
    int rc = finish(w, err);
    gguf_abort(w);
    return rc;
}

void gguf_abort(struct gguf_writer *w)
{
    if (!w) return;
    for (int i = 0; i < w->npart; i++) outfile_done(&w->part[i].file);
    mem_free(w->part);
    mem_free(w->bytes);
    mem_free(w->stem);
    mem_free(w);
}
