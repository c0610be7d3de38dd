/* SPDX-License-Identifier: Apache-2.0
 *
 * text/template_dict.c: dicts: entries in the order of insertion, and from nine on a hash table
 * beside them. Nothing is ever removed. Only namespaces and dicts still being built are written to.
 */
#include "text/template_val.h"

enum { LINEAR = 8 };

struct val tpl_dict_new(struct tpl_run *r)
{
    struct tpl_dict *d = tpl_alloc(r, sizeof *d);
    return d ? (struct val){.kind = TPL_DICT, .u.d = d} : tpl_failed();
}

static int key_eq(struct tpl_run *r, struct val a, struct val b)
{
    if (a.kind == TPL_STR && b.kind == TPL_STR) return str_eq(tpl_view(a), tpl_view(b));
    return tpl_val_same(a, b) ? 1 : tpl_val_eq(r, a, b);
}

/* The entry of a key: index + 1, 0 when absent, -1 on failure. *h is the key's hash when there is a
 * table. */
static int64_t find(struct tpl_run *r, const struct tpl_dict *d, struct val k, uint32_t h)
{
    if (!d->slot) {
        for (size_t i = 0; i < d->n; i++) {
            int e = key_eq(r, d->e[i].k, k);
            if (e) return e < 0 ? -1 : (int64_t)i + 1;
        }
        return 0;
    }
    for (size_t i = h & d->mask; d->slot[i]; i = (i + 1) & d->mask) {
        const struct tpl_pair *p = &d->e[d->slot[i] - 1];
        if (tpl_step(r, 1)) return -1; /* chosen keys may collide: they pay */
        int e = p->k.hash == h ? key_eq(r, p->k, k) : 0;
        if (e) return e < 0 ? -1 : (int64_t)d->slot[i];
    }
    return 0;
}

static void put_slot(struct tpl_dict *d, uint32_t h, size_t entry)
{
    size_t i = h & d->mask;
    while (d->slot[i]) i = (i + 1) & d->mask;
    d->slot[i] = (uint32_t)entry + 1;
}

static int grow(struct tpl_run *r, struct tpl_dict *d)
{
    size_t cap = d->cap ? d->cap * 2 : 4;
    if (cap > UINT32_MAX / 4) cap = SIZE_MAX / 64;
    struct tpl_pair *e = tpl_array(r, cap, sizeof *e);
    if (!e || tpl_step(r, d->n / 2)) return -1;
    if (d->n) memcpy(e, d->e, d->n * sizeof *e);
    d->e = e;
    d->cap = cap;
    if (cap <= LINEAR) return 0;
    d->slot = tpl_array(r, cap * 2, sizeof *d->slot);
    if (!d->slot) return -1;
    d->mask = cap * 2 - 1;
    for (size_t i = 0; i < d->n; i++) put_slot(d, e[i].k.hash, i);
    return 0;
}

int tpl_dict_set(struct tpl_run *r, struct tpl_dict *d, struct val k, struct val v)
{
    uint32_t h;
    if (tpl_val_hash(r, k, &h)) {
        tpl_type_error(r, "unhashable type: '%s'", tpl_val_type(k));
        return -1;
    }
    int64_t at = find(r, d, k, h);
    if (at < 0) return -1;
    if (at > 0) {
        d->e[at - 1].v = v;
        return 0;
    }
    if (d->n == d->cap && grow(r, d)) return -1;
    k.hash = h;
    d->e[d->n] = (struct tpl_pair){k, v};
    if (d->slot) put_slot(d, h, d->n);
    d->n++;
    return 0;
}

int tpl_dict_get(struct tpl_run *r, const struct tpl_dict *d, struct val k, struct val *v)
{
    uint32_t h = 0;
    if ((d->slot || k.kind != TPL_STR) && tpl_val_hash(r, k, &h)) return -1;
    int64_t at = find(r, d, k, h);
    if (at > 0) *v = d->e[at - 1].v;
    return at < 0 ? -1 : at > 0;
}

const struct val *tpl_dict_str(struct tpl_run *r, const struct tpl_dict *d, struct str key)
{
    if (!d->slot) {
        for (size_t i = 0; i < d->n; i++)
            if (tpl_is_str(d->e[i].k) && str_eq(tpl_view(d->e[i].k), key)) return &d->e[i].v;
        return NULL;
    }
    uint32_t h = tpl_val_hash_str(key);
    for (size_t i = h & d->mask; d->slot[i]; i = (i + 1) & d->mask) {
        struct tpl_pair *p = &d->e[d->slot[i] - 1];
        if (tpl_step(r, 1)) return NULL;
        if (p->k.hash == h && tpl_is_str(p->k) && str_eq(tpl_view(p->k), key)) return &p->v;
    }
    return NULL;
}

static int update(struct tpl_run *r, struct tpl_dict *d, struct val from)
{
    if (from.kind == TPL_DICT) {
        for (size_t i = 0; i < from.u.d->n; i++)
            if (tpl_step(r, 1) || tpl_dict_set(r, d, from.u.d->e[i].k, from.u.d->e[i].v)) return -1;
        return 0;
    }
    struct tpl_iter mem, *it = tpl_iter_open(r, from, &mem);
    struct val x;
    int got;
    if (!it) return -1;
    while ((got = tpl_iter_next(r, it, &x)) == 1) {
        struct val pair = tpl_iter_can(x) ? tpl_list_from(r, TPL_TUPLE, x)
                                          : tpl_type_error(r, "a dict's items must be pairs");
        if (tpl_bad(pair)) return -1;
        if (pair.u.l->n != 2) {
            tpl_type_error(r, "a dict's item has length %zu; 2 is required", pair.u.l->n);
            return -1;
        }
        if (tpl_dict_set(r, d, pair.u.l->p[0], pair.u.l->p[1])) return -1;
    }
    return got;
}

struct val tpl_dict_make(struct tpl_run *r, const struct tpl_args *args)
{
    struct val d = tpl_dict_new(r);
    if (tpl_bad(d)) return d;
    if (args->npos > 1)
        return tpl_type_error(r, "dict expected at most 1 argument, got %zu", args->npos);
    if (args->npos && update(r, d.u.d, args->pos[0])) return tpl_failed();
    for (size_t i = 0; i < args->nkw; i++) {
        struct val k = tpl_str_view(r, args->kw[i].name);
        if (tpl_bad(k) || tpl_dict_set(r, d.u.d, k, args->kw[i].v)) return tpl_failed();
    }
    return d;
}
