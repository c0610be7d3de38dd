/* SPDX-License-Identifier: Apache-2.0
 *
 * io/pickle_legacy.c: what torch.save wrote before PyTorch 1.6 (torch/serialization.py, _legacy_save), and many a pytorch_model.bin still is:
 *
 *     pickle of a number of 80 bits | pickle of 1001 | pickle of {"little_endian": True, ...} | pickle of the dictionary
 *     | pickle of the list of the storages' keys | of each storage, in this order: u64 elements, the elements
 *
 * The programs run on the same restricted machine; the storages become entries as an archive has them, so that what reads those reads these. What
 * the list names must have been named by the dictionary, once, with as many elements, and the file must end behind the last.
 */
#include <string.h>

#include "base/sort.h"
#include "io/pickle_machine.h"

struct reader {
    struct zip *z;
    struct str left; /* of the file */
    size_t used;     /* by the dictionary's program */
    const char *file;
    struct arena *a;
    struct lar_err *err;
    const struct pickle_storage **storage; /* by key */
    size_t nstorage;
};

static int bad(const struct reader *r, const char *what)
{
    return lar_fail(r->err, LAR_EFORMAT, "%.80s: is of PyTorch before 1.6: %s", r->file, what);
}

static int next(struct reader *r, const struct pickle_value **v, const struct pickle_storage **s)
{
    int rc = pickle_run_first(v, r->left, &r->used, s, r->file, r->a, r->err);
    if (rc == 0) r->left = str_from(r->left, r->used);
    return rc;
}

static int by_key(const void *ctx, uint32_t a, uint32_t b)
{
    const struct pickle_storage *const *s = ctx;
    return str_cmp(s[a]->key, s[b]->key);
}

static int by_name(const void *ctx, uint32_t a, uint32_t b)
{
    const struct zip_entry *e = ctx;
    return str_cmp(e[a].name, e[b].name);
}

/* The storages that the dictionary named, sorted. One that several tensors share was named several times, alike. */
static int sort_storages(struct reader *r, const struct pickle_storage *s)
{
    size_t n = 0, k = 0;
    for (const struct pickle_storage *i = s; i; i = i->next) n++;
    const struct pickle_storage **all = arena_array(r->a, n + 1, sizeof *all);
    uint32_t *order = arena_array(r->a, n + 1, sizeof *order);
    r->storage = arena_array(r->a, n + 1, sizeof *all);
    if (n > UINT32_MAX / 2 || !all || !order || !r->storage)
        return lar_fail(r->err, LAR_ENOMEM, "%.80s: out of memory", r->file);
    for (; s; s = s->next) {
        order[k] = (uint32_t)k;
        all[k++] = s;
    }
    sort_u32(order, n, by_key, all);
    for (size_t i = 0; i < n; i++) {
        const struct pickle_storage *t = all[order[i]], *was = r->nstorage ? r->storage[r->nstorage - 1] : NULL;
        if (!was || !str_eq(was->key, t->key))
            r->storage[r->nstorage++] = t;
        else if (was->size != t->size || was->count != t->count)
            return bad(r, "two storages have one name");
    }
    return 0;
}

static const struct pickle_storage *find(const struct reader *r, struct str key)
{
    for (size_t lo = 0, hi = r->nstorage; lo < hi;) {
        size_t mid = lo + (hi - lo) / 2;
        int d = str_cmp(key, r->storage[mid]->key);
        if (d == 0) return r->storage[mid];
        if (d < 0)
            hi = mid;
        else
            lo = mid + 1;
    }
    return NULL;
}

static int take(struct reader *r, const struct pickle_value *key, struct zip_entry *e)
{
    const struct pickle_storage *s = key->kind == PICKLE_STR ? find(r, key->str) : NULL;
    uint64_t n;
    if (!s) return bad(r, "its list of storages names one that no tensor has");
    if (r->left.n < 8) return bad(r, "a storage is missing");
    memcpy(&n, r->left.p, 8);
    r->left = str_from(r->left, 8);
    if (s->count < 0 || n != (uint64_t)s->count || n > r->left.n / (size_t)s->size)
        return bad(r, "a storage has another size than its tensors say");
    char *name = arena_alloc(r->a, s->key.n + sizeof "data/");
    if (!name) return lar_fail(r->err, LAR_ENOMEM, "%.80s: out of memory", r->file);
    memcpy(name, "data/", 5);
    memcpy(name + 5, s->key.p, s->key.n);
    *e = (struct zip_entry){{name, s->key.n + 5}, (const uint8_t *)r->left.p, n * (uint64_t)s->size};
    r->left = str_from(r->left, (size_t)e->bytes);
    return 0;
}

static int take_all(struct reader *r, const struct pickle_value *keys)
{
    size_t n = 0;
    for (const struct pickle_pair *i = keys->pairs; i; i = i->next) n++;
    if (n > r->nstorage) return bad(r, "its list of storages is too long");
    struct zip_entry *e = arena_array(r->a, n + 1, sizeof *e);
    uint32_t *order = arena_array(r->a, n + 1, sizeof *order);
    r->z->entry = arena_array(r->a, n + 1, sizeof *e);
    if (!e || !order || !r->z->entry) return lar_fail(r->err, LAR_ENOMEM, "%.80s: out of memory", r->file);
    n = 0;
    for (const struct pickle_pair *i = keys->pairs; i; i = i->next, n++) {
        int rc = take(r, i->value, &e[n]);
        if (rc < 0) return rc;
        order[n] = (uint32_t)n;
    }
    if (r->left.n) return bad(r, "more bytes follow its end");
    sort_u32(order, n, by_name, e);
    for (size_t i = 0; i < n; i++) {
        r->z->entry[i] = e[order[i]];
        if (i && str_eq(r->z->entry[i].name, r->z->entry[i - 1].name)) return bad(r, "a storage is there twice");
    }
    r->z->n = n;
    return 0;
}

static int is_little(const struct pickle_value *info)
{
    for (const struct pickle_pair *i = info->kind == PICKLE_DICT ? info->pairs : NULL; i; i = i->next)
        if (i->key->kind == PICKLE_STR && str_is(i->key->str, "little_endian"))
            return i->value->kind == PICKLE_BOOL && i->value->integer;
    return 0;
}

int pickle_legacy(struct zip *z, const struct pickle_value **root, size_t *used, const uint8_t *p, size_t n,
                  const char *file, struct arena *a, struct lar_err *err)
{
    static const char magic[] = "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M\xe9\x03.";
    struct reader r = {.z = z, .left = {(const char *)p, n}, .file = file, .a = a, .err = err};
    const struct pickle_value *info = NULL, *keys = NULL;
    const struct pickle_storage *storages = NULL, *none = NULL;
    if (!str_starts(r.left, (struct str){magic, sizeof magic - 1})) return 0;
    r.left = str_from(r.left, sizeof magic - 1);
    int rc = next(&r, &info, &none);
    if (rc == 0 && !is_little(info)) rc = bad(&r, "its numbers are not little-endian");
    if (rc == 0) rc = next(&r, root, &storages);
    *used = r.used;
    if (rc == 0) rc = next(&r, &keys, &none);
    if (rc == 0 && keys->kind != PICKLE_LIST) rc = bad(&r, "it has no list of storages");
    if (rc == 0) rc = sort_storages(&r, storages);
    if (rc == 0) rc = take_all(&r, keys);
    return rc < 0 ? rc : 1;
}
