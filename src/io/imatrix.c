/* SPDX-License-Identifier: Apache-2.0
 *
 * io/imatrix.c: see imatrix.h. Forms: llama.cpp tools/imatrix/imatrix.cpp (save_imatrix, save_imatrix_legacy).
 *
 * .dat, little-endian: i32 entries; each i32 length, name, i32 calls, i32 values, float[values] (sums of means, one a call); then,
 * perhaps, i32 chunks, i32 length, data set's name.
 */
#include "io/imatrix.h"

#include <inttypes.h>
#include <math.h>

#include "base/cursor.h"
#include "base/sort.h"
#include "io/filemap.h"
#include "io/gguf.h"
#include "io/gguf_write.h"

#define ENTRIES_MAX (1 << 20)

static const char sum_tail[] = ".in_sum2", count_tail[] = ".counts";

static int check_values(const struct imatrix_entry *e, const char *path, struct lar_err *err)
{
    for (uint64_t i = 0; i < e->n * e->nmat; i++)
        if (!(isfinite(e->mean[i]) && e->mean[i] >= 0))
            return lar_fail(err, LAR_EFORMAT,
                            "%.80s: value %" PRIu64 " of %.*s is negative or no number", path, i,
                            STR_ARG(e->name));
    return LAR_OK;
}

static struct str keep(struct imatrix *m, const char *p, size_t n)
{
    const char *copy = arena_copy(&m->a, p, n);
    return (struct str){copy ? copy : "", copy ? n : 0};
}

/* ---- GGUF ------------------------------------------------------------------------------------------- */

static int read_pair(struct imatrix *m, const struct gguf *g, const struct gguf_tensor *sum,
                     const char *path, struct lar_err *err)
{
    char name[256];
    size_t base = sum->name.n - (sizeof sum_tail - 1);
    if (base == 0 || base + sizeof count_tail > sizeof name)
        return lar_fail(err, LAR_EFORMAT, "%.80s: tensor %.*s: no such name belongs here", path,
                        STR_ARG(sum->name));
    memcpy(name, sum->name.p, base);
    memcpy(name + base, count_tail, sizeof count_tail);
    const struct gguf_tensor *count = gguf_tensor(g, name);
    if (!count || count->type != DT_F32 || sum->type != DT_F32)
        return lar_fail(err, LAR_EFORMAT, "%.80s: tensor %.*s needs its .counts, both F32", path,
                        STR_ARG(sum->name));
    uint64_t nmat = count->bytes / 4, all = sum->bytes / 4;
    if (all % nmat)
        return lar_fail(err, LAR_EFORMAT,
                        "%.80s: tensor %.*s has %" PRIu64 " values for %" PRIu64 " counts", path,
                        STR_ARG(sum->name), all, nmat);
    struct imatrix_entry *e = &m->entry[m->nentry];
    float *mean = arena_array(&m->a, (size_t)all, sizeof *mean);
    *e = (struct imatrix_entry){keep(m, name, base), mean, all / nmat, nmat};
    if (!mean || !e->name.n) return lar_fail(err, LAR_ENOMEM, "%.80s: out of memory", path);
    for (uint64_t i = 0; i < all; i++) {
        float n, v;
        memcpy(&n, count->data + 4 * (i / e->n), 4);
        memcpy(&v, sum->data + 4 * i, 4);
        mean[i] = n > 0 ? v / n : 1; /* an expert that was never asked */
    }
    m->nentry++;
    return check_values(e, path, err);
}

static int read_gguf(struct imatrix *m, const void *p, size_t n, const char *path,
                     struct lar_err *err)
{
    struct gguf g;
    struct str type = STR("");
    int rc = gguf_open_memory(&g, p, n, err);
    if (rc < 0) return rc;
    const struct gguf_kv *sets = gguf_find(&g, "imatrix.datasets");
    rc = gguf_str(&g, "general.type", &type, err);
    if (rc >= 0 && !str_is(type, "imatrix"))
        rc = lar_fail(
            err, LAR_EFORMAT,
            "%.80s: is no importance matrix (general.type is \"%.*s\"): make one with lar imatrix",
            path, STR_ARG(type));
    if (rc >= 0) rc = gguf_u32(&g, "imatrix.chunk_count", &m->chunks, err);
    m->entry = arena_array(&m->a, g.ntensor + 1, sizeof *m->entry);
    if (rc >= 0 && !m->entry) rc = lar_fail(err, LAR_ENOMEM, "%.80s: out of memory", path);
    if (rc >= 0 && sets && sets->type == GGUF_ARRAY && sets->etype == GGUF_STRING && sets->count)
        m->dataset = keep(m, gguf_str_at(sets, 0).p, gguf_str_at(sets, 0).n);
    for (size_t i = 0; rc >= 0 && i < g.ntensor; i++)
        if (str_ends(g.tensor[i].name, STR(".in_sum2")))
            rc = read_pair(m, &g, &g.tensor[i], path, err);
    gguf_close(&g);
    return rc < 0 ? rc : LAR_OK;
}

/* ---- .dat ------------------------------------------------------------------------------------------- */

static int cut_short(const char *path, const struct cursor *c, struct lar_err *err)
{
    return lar_fail(err, LAR_EFORMAT,
                    "%.80s: is no importance matrix, or ends early (at byte %" PRIu64 ")", path,
                    cursor_offset(c));
}

static int read_dat_entry(struct imatrix *m, struct cursor *c, const char *path,
                          struct lar_err *err)
{
    uint32_t len = cursor_u32(c);
    const uint8_t *name = len <= 4096 ? cursor_take(c, len) : NULL;
    uint32_t calls = cursor_u32(c), n = cursor_u32(c);
    const uint8_t *p = cursor_take(c, 4 * (uint64_t)n);
    if (!name || !p || len == 0 || n == 0 || calls > INT32_MAX) return cut_short(path, c, err);
    struct imatrix_entry *e = &m->entry[m->nentry];
    float *mean = arena_array(&m->a, n, sizeof *mean);
    *e = (struct imatrix_entry){keep(m, (const char *)name, len), mean, n, 1};
    if (!mean || !e->name.n) return lar_fail(err, LAR_ENOMEM, "%.80s: out of memory", path);
    memcpy(mean, p, 4 * (size_t)n);
    for (uint32_t i = 0; calls && i < n; i++) mean[i] /= (float)calls;
    m->nentry++;
    return check_values(e, path, err);
}

static int read_dat(struct imatrix *m, const void *p, size_t bytes, const char *path,
                    struct lar_err *err)
{
    struct cursor c = cursor_of(p, bytes);
    uint32_t n = cursor_u32(&c);
    if (c.failed || n == 0 || n > ENTRIES_MAX || n > cursor_left(&c) / 17)
        return cut_short(path, &c, err);
    m->entry = arena_array(&m->a, n, sizeof *m->entry);
    if (!m->entry) return lar_fail(err, LAR_ENOMEM, "%.80s: out of memory", path);
    for (uint32_t i = 0; i < n; i++) {
        int rc = read_dat_entry(m, &c, path, err);
        if (rc < 0) return rc;
    }
    if (cursor_left(&c) == 0) return LAR_OK; /* the oldest files end here */
    m->chunks = cursor_u32(&c);
    uint32_t len = cursor_u32(&c);
    const uint8_t *name = cursor_take(&c, len);
    if (!name) return cut_short(path, &c, err);
    m->dataset = keep(m, (const char *)name, len);
    return LAR_OK;
}

/* ---- both ------------------------------------------------------------------------------------------- */

static int by_name(const void *ctx, uint32_t a, uint32_t b)
{
    const struct imatrix_entry *e = ctx;
    return str_cmp(e[a].name, e[b].name);
}

static int sort_entries(struct imatrix *m, const char *path, struct lar_err *err)
{
    uint32_t *order = arena_array(&m->a, m->nentry + 1, sizeof *order);
    struct imatrix_entry *sorted = arena_array(&m->a, m->nentry + 1, sizeof *sorted);
    if (!order || !sorted) return lar_fail(err, LAR_ENOMEM, "%.80s: out of memory", path);
    for (size_t i = 0; i < m->nentry; i++) order[i] = (uint32_t)i;
    sort_u32(order, m->nentry, by_name, m->entry);
    for (size_t i = 0; i < m->nentry; i++) {
        sorted[i] = m->entry[order[i]];
        if (i && str_eq(sorted[i].name, sorted[i - 1].name))
            return lar_fail(err, LAR_EFORMAT, "%.80s: there are two entries %.*s", path,
                            STR_ARG(sorted[i].name));
    }
    m->entry = sorted;
    return m->nentry ? LAR_OK : lar_fail(err, LAR_EFORMAT, "%.80s: has no entries", path);
}

int imatrix_open_memory(struct imatrix *m, const void *p, size_t n, const char *path,
                        struct lar_err *err)
{
    size_t most = 0; /* means are no larger than the file, the rest is tables */
    *m = (struct imatrix){.dataset = STR("")};
    if (mul_size(n, 16, &most) || add_size(most, 1 << 20, &most)) most = SIZE_MAX;
    arena_init(&m->a, most);
    int rc = n >= 4 && memcmp(p, "GGUF", 4) == 0 ? read_gguf(m, p, n, path, err)
                                                 : read_dat(m, p, n, path, err);
    if (rc == LAR_OK) rc = sort_entries(m, path, err);
    if (rc < 0) imatrix_close(m);
    return rc;
}

int imatrix_open(struct imatrix *m, const char *path, struct lar_err *err)
{
    struct filemap f;
    *m = (struct imatrix){0};
    int rc = filemap_open(&f, path, err);
    if (rc < 0) return rc;
    rc = imatrix_open_memory(m, f.p, f.n, filemap_shown(path), err);
    filemap_close(&f);
    return rc;
}

void imatrix_close(struct imatrix *m)
{
    arena_done(&m->a);
    *m = (struct imatrix){0};
}

const struct imatrix_entry *imatrix_find(const struct imatrix *m, struct str name)
{
    size_t lo = 0, hi = m->nentry;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        int c = str_cmp(m->entry[mid].name, name);
        if (c == 0) return &m->entry[mid];
        if (c < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return NULL;
}

/* ---- writing ---------------------------------------------------------------------------------------- */

int imatrix_write(const char *path, const struct imatrix_sums *s, size_t n, struct str dataset,
                  uint32_t chunks, uint32_t chunk_size, struct lar_err *err)
{
    struct arena a;
    struct gguf_keys k = {0};
    struct gguf_writer *w = NULL;
    arena_init(&a, 0);
    struct gguf_spec *spec = arena_array(&a, 2 * n + 1, sizeof *spec);
    int rc = spec ? LAR_OK : lar_fail(err, LAR_ENOMEM, "%s: out of memory", path);
    for (size_t i = 0; rc == LAR_OK && i < n; i++)
        for (int which = 0; which < 2; which++) {
            const char *tail = which ? count_tail : sum_tail;
            size_t len = strlen(tail);
            char *name = arena_alloc(&a, s[i].name.n + len + 1);
            if (!name) {
                rc = lar_fail(err, LAR_ENOMEM, "%s: out of memory", path);
                break;
            }
            memcpy(name, s[i].name.p, s[i].name.n);
            memcpy(name + s[i].name.n, tail, len);
            spec[2 * i + (size_t)which] = (struct gguf_spec){
                {name, s[i].name.n + len}, DT_F32, 2, {which ? 1 : s[i].n, s[i].nmat}};
        }
    gguf_keys_str(&k, "general.type", STR("imatrix"));
    gguf_keys_strs(&k, "imatrix.datasets", &dataset, 1);
    gguf_keys_u32(&k, "imatrix.chunk_count", chunks);
    gguf_keys_u32(&k, "imatrix.chunk_size", chunk_size);
    if (rc == LAR_OK) rc = gguf_create(&w, path, &k, spec, 2 * n, 0, err);
    for (size_t i = 0; rc == LAR_OK && i < n; i++) {
        rc = gguf_write(w, s[i].sum, (size_t)(s[i].n * s[i].nmat) * 4, err);
        if (rc == LAR_OK) rc = gguf_write(w, s[i].count, (size_t)s[i].nmat * 4, err);
    }
    if (rc == LAR_OK)
        rc = gguf_commit(w, err);
    else
        gguf_abort(w);
    gguf_keys_done(&k);
    arena_done(&a);
    return rc;
}
