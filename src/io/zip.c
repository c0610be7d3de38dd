/* SPDX-License-Identifier: Apache-2.0
 * io/zip.c: see zip.h. The directory at the end is read; each entry's own header must agree with it. */
#include "io/zip.h"

#include <inttypes.h>

#include "base/cursor.h"
#include "base/sort.h"

enum { END_BYTES = 22, END64_BYTES = 56, LOCATOR_BYTES = 20, HEAD_BYTES = 46, LOCAL_BYTES = 30, COMMENT_MAX = 65535 };
enum { ENTRIES_MAX = 1 << 20 };

struct reader {
    const uint8_t *p;
    size_t n;
    const char *file;
    struct lar_err *err;
};

static uint64_t le(const uint8_t *p, int bytes)
{
    uint64_t v = 0;
    for (int i = 0; i < bytes; i++) v |= (uint64_t)p[i] << 8 * i;
    return v;
}

static int bad(struct reader *r, struct str name, const char *what)
{
    return lar_fail(r->err, LAR_EFORMAT, "%.80s: entry %.*s: %s", r->file, STR_ARG(name), what);
}

/* The record at the end, behind which only a comment may stand; NULL: none. */
static const uint8_t *find_end(const struct reader *r)
{
    if (r->n < END_BYTES) return NULL;
    size_t least = r->n > END_BYTES + COMMENT_MAX ? r->n - END_BYTES - COMMENT_MAX : 0;
    for (size_t at = r->n - END_BYTES;; at--) {
        const uint8_t *e = r->p + at;
        if (le(e, 4) == 0x06054b50 && le(e + 20, 2) == r->n - at - END_BYTES) return e;
        if (at == least) return NULL;
    }
}

struct directory {
    uint64_t at, bytes, n;
};

static int find_directory(struct reader *r, struct directory *d)
{
    const uint8_t *e = find_end(r);
    if (!e)
        return lar_fail(r->err, LAR_EFORMAT,
                        "%.80s: is no zip archive, nor a checkpoint of PyTorch before 1.6", r->file);
    *d = (struct directory){le(e + 16, 4), le(e + 12, 4), le(e + 10, 2)};
    uint64_t end = (uint64_t)(e - r->p);
    if (end >= LOCATOR_BYTES && le(e - LOCATOR_BYTES, 4) == 0x07064b50) {
        uint64_t at = le(e - LOCATOR_BYTES + 8, 8);
        if (at > end - LOCATOR_BYTES || end - LOCATOR_BYTES - at < END64_BYTES || le(r->p + at, 4) != 0x06064b50)
            return lar_fail(r->err, LAR_EFORMAT, "%.80s: its 64-bit directory is not where it says", r->file);
        *d = (struct directory){le(r->p + at + 48, 8), le(r->p + at + 40, 8), le(r->p + at + 32, 8)};
        end = at;
    }
    if (d->at > end || d->bytes > end - d->at || d->n > d->bytes / HEAD_BYTES)
        return lar_fail(r->err, LAR_EFORMAT, "%.80s: its directory of %" PRIu64 " entries does not fit in the file",
                        r->file, d->n);
    if (d->n > ENTRIES_MAX)
        return lar_fail(r->err, LAR_ELIMIT, "%.80s: more than %d entries", r->file, ENTRIES_MAX);
    return 0;
}

/* 64-bit sizes where the 32-bit ones are all ones; in this order. */
static int wide(struct cursor c, uint64_t *size, uint64_t *stored, uint64_t *at)
{
    uint64_t *const field[3] = {size, stored, at};
    while (cursor_left(&c) >= 4) {
        unsigned id = (unsigned)cursor_uint(&c, 2);
        uint64_t n = cursor_uint(&c, 2);
        const uint8_t *p = cursor_take(&c, n);
        if (!p) return -1;
        if (id != 1) continue;
        struct cursor in = cursor_of(p, n);
        for (int i = 0; i < 3; i++)
            if (*field[i] == UINT32_MAX) *field[i] = cursor_u64(&in);
        return in.failed ? -1 : 0;
    }
    return *size == UINT32_MAX || *stored == UINT32_MAX || *at == UINT32_MAX ? -1 : 0;
}

static int read_entry(struct reader *r, struct cursor *c, struct zip_entry *e)
{
    const uint8_t *h = cursor_take(c, HEAD_BYTES);
    if (!h || le(h, 4) != 0x02014b50)
        return lar_fail(r->err, LAR_EFORMAT, "%.80s: its directory is damaged", r->file);
    uint64_t size = le(h + 24, 4), stored = le(h + 20, 4), at = le(h + 42, 4);
    size_t name_n = (size_t)le(h + 28, 2), extra_n = (size_t)le(h + 30, 2), comment_n = (size_t)le(h + 32, 2);
    e->name = (struct str){(const char *)cursor_take(c, name_n), name_n};
    const uint8_t *extra = cursor_take(c, extra_n);
    if (!cursor_take(c, comment_n)) return lar_fail(r->err, LAR_EFORMAT, "%.80s: its directory is damaged", r->file);
    if (le(h + 8, 2) & 1) return bad(r, e->name, "is encrypted");
    if (le(h + 10, 2)) return bad(r, e->name, "is compressed, which torch.save never does");
    if (wide(cursor_of(extra, extra_n), &size, &stored, &at)) return bad(r, e->name, "its 64-bit sizes are missing");
    if (size != stored) return bad(r, e->name, "its two sizes differ");
    if (at > r->n || r->n - at < LOCAL_BYTES || le(r->p + at, 4) != 0x04034b50)
        return bad(r, e->name, "its header is not where it says");
    const uint8_t *l = r->p + at;
    uint64_t skip = LOCAL_BYTES + le(l + 26, 2) + le(l + 28, 2);
    if (le(l + 26, 2) != name_n || r->n - at < skip || memcmp(l + LOCAL_BYTES, e->name.p, name_n) || le(l + 8, 2) ||
        (le(l + 6, 2) & 1))
        return bad(r, e->name, "its header says something else than the directory");
    if (size > r->n - at - skip) return bad(r, e->name, "reaches past the end of the file");
    e->data = l + skip;
    e->bytes = size;
    return 0;
}

static int by_name(const void *ctx, uint32_t a, uint32_t b)
{
    const struct zip_entry *e = ctx;
    size_t n = e[a].name.n < e[b].name.n ? e[a].name.n : e[b].name.n;
    int d = n ? memcmp(e[a].name.p, e[b].name.p, n) : 0;
    return d ? d : (e[a].name.n > e[b].name.n) - (e[a].name.n < e[b].name.n);
}

static int by_place(const void *ctx, uint32_t a, uint32_t b)
{
    const struct zip_entry *e = ctx;
    return (e[a].data > e[b].data) - (e[a].data < e[b].data);
}

/* Each lies behind the one before it, and all before the directory: bytes have one meaning. */
static int lie_apart(struct reader *r, const struct zip_entry *e, uint32_t *order, size_t n, const uint8_t *directory)
{
    const uint8_t *end = r->p;
    sort_u32(order, n, by_place, e);
    for (size_t i = 0; i < n; i++) {
        const struct zip_entry *x = &e[order[i]];
        if ((size_t)(x->data - r->p) < LOCAL_BYTES + x->name.n || x->data - LOCAL_BYTES - x->name.n < end ||
            x->bytes > (size_t)(directory > x->data ? directory - x->data : 0))
            return bad(r, x->name, "lies over another entry or the directory");
        end = x->data + x->bytes;
    }
    return 0;
}

int zip_open(struct zip *z, const uint8_t *p, size_t n, const char *file, struct arena *a, struct lar_err *err)
{
    struct reader r = {p, n, file, err};
    struct directory d = {0, 0, 0};
    *z = (struct zip){0};
    int rc = find_directory(&r, &d);
    if (rc < 0) return rc;
    struct zip_entry *e = arena_array(a, (size_t)d.n, sizeof *e);
    uint32_t *order = arena_array(a, (size_t)d.n, sizeof *order);
    z->entry = arena_array(a, (size_t)d.n, sizeof *e);
    if (!e || !order || !z->entry || d.n > UINT32_MAX) return lar_fail(err, LAR_ENOMEM, "%.80s: out of memory", file);
    struct cursor c = cursor_of(p + d.at, (size_t)d.bytes);
    for (uint64_t i = 0; i < d.n; i++) {
        order[i] = (uint32_t)i;
        if ((rc = read_entry(&r, &c, &e[i])) < 0) return rc;
    }
    if ((rc = lie_apart(&r, e, order, (size_t)d.n, p + d.at)) < 0) return rc;
    sort_u32(order, (size_t)d.n, by_name, e);
    for (uint64_t i = 0; i < d.n; i++) {
        z->entry[i] = e[order[i]];
        if (i && str_eq(z->entry[i].name, z->entry[i - 1].name))
            return bad(&r, z->entry[i].name, "there are two of that name");
    }
    z->n = (size_t)d.n;
    return 0;
}

const struct zip_entry *zip_find(const struct zip *z, struct str name)
{
    struct zip_entry key[2] = {{.name = name}};
    for (size_t lo = 0, hi = z->n; lo < hi;) {
        size_t mid = lo + (hi - lo) / 2;
        key[1] = z->entry[mid];
        int d = by_name(key, 0, 1);
        if (d == 0) return &z->entry[mid];
        if (d < 0)
            hi = mid;
        else
            lo = mid + 1;
    }
    return NULL;
}
