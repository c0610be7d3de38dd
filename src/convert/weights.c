/* SPDX-License-Identifier: Apache-2.0
 *
 * convert/weights.c: finding the files of a model, opening them, and reading elements of every type as F32.
 *
 * A sharded model has an index, {"weight_map": {tensor: file}}. Its files are opened, each once; a file name may not leave the folder,
 * and every tensor must be where the index says.
 */
#include "convert/weights.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/half.h"
#include "base/sort.h"
#include "convert/config.h"
#include "io/pickle.h"
#include "io/safetensors.h"

enum { PARTS_MAX = 4096 };

struct weights_part {
    struct str file;
    struct safetensors st;
    struct pickle pk;
};

static const struct {
    const char *name;
    int size;
} types[WEIGHT_TYPES] = {
    [WEIGHT_F32] = {"F32", 4}, [WEIGHT_F16] = {"F16", 2},         [WEIGHT_BF16] = {"BF16", 2},
    [WEIGHT_F64] = {"F64", 8}, [WEIGHT_F8_E4M3] = {"F8_E4M3", 1}, [WEIGHT_F8_E5M2] = {"F8_E5M2", 1},
    [WEIGHT_U8] = {"U8", 1},   [WEIGHT_I8] = {"I8", 1},           [WEIGHT_I16] = {"I16", 2},
    [WEIGHT_I32] = {"I32", 4}, [WEIGHT_I64] = {"I64", 8},         [WEIGHT_BOOL] = {"BOOL", 1},
};

int weight_size(enum weight_type t) { return types[t].size; }
const char *weight_type_name(enum weight_type t) { return types[t].name; }

/* ---- values ---------------------------------------------------------------------------------------------------- */

/* S EEEE MMM, bias 7, no infinities: S 1111 111 is no number (OCP 8-bit floating point, 2023). */
static float f8_e4m3(uint8_t b)
{
    uint32_t e = b >> 3 & 15, m = b & 7;
    float v = e ? f32_bits((e + 120) << 23 | m << 20) : (float)m * 0x1p-9f;
    if ((b & 0x7f) == 0x7f) v = f32_bits(0x7fc00000);
    return b & 0x80 ? -v : v;
}

static float one(enum weight_type t, const uint8_t *p)
{
    union {
        uint16_t u16;
        int16_t i16;
        int32_t i32;
        int64_t i64;
        float f;
        double d;
    } v = {0};
    memcpy(&v, p, (size_t)types[t].size);
    switch (t) {
    case WEIGHT_F32: return v.f;
    case WEIGHT_F16: return half_to_f32(v.u16);
    case WEIGHT_BF16: return bf16_to_f32(v.u16);
    case WEIGHT_F64: return (float)v.d;
    case WEIGHT_F8_E4M3: return f8_e4m3(*p);
    case WEIGHT_F8_E5M2: return half_to_f32((uint16_t)(*p << 8));
    case WEIGHT_I8: return (float)(int8_t)*p;
    case WEIGHT_I16: return (float)v.i16;
    case WEIGHT_I32: return (float)v.i32;
    case WEIGHT_I64: return (float)v.i64;
    default: return (float)*p;
    }
}

void weight_read(const struct weight *w, int64_t at, int64_t stride, int64_t n, float *out)
{
    int size = types[w->type].size;
    const uint8_t *p = w->data + at * size;
    if (stride == 1 && w->type == WEIGHT_F32) {
        memcpy(out, p, (size_t)n * 4);
    } else if (stride == 1 && w->type == WEIGHT_BF16) {
        for (int64_t i = 0; i < n; i++) out[i] = f32_bits((uint32_t)p[2 * i] << 16 | (uint32_t)p[2 * i + 1] << 24);
    } else {
        for (int64_t i = 0; i < n; i++) out[i] = one(w->type, p + i * stride * size);
    }
}

void weight_write(const struct weight *w, int64_t at, int64_t stride, int64_t n, const float *v)
{
    int size = types[w->type].size;
    uint8_t *p = (uint8_t *)(uintptr_t)w->data + at * size;
    if (w->type == WEIGHT_F32) {
        for (int64_t i = 0; i < n; i++, p += 4 * stride) memcpy(p, &v[i], 4);
        return;
    }
    for (int64_t i = 0; i < n; i++, p += 2 * stride) {
        uint16_t h = w->type == WEIGHT_F16 ? half_from_f32(v[i]) : bf16_from_f32(v[i]);
        memcpy(p, &h, 2);
    }
}

/* ---- opening --------------------------------------------------------------------------------------------------- */

static int type_of(struct str name, enum weight_type *out)
{
    for (int i = 0; i < WEIGHT_TYPES; i++) {
        if (!str_is(name, types[i].name)) continue;
        *out = (enum weight_type)i;
        return 0;
    }
    return -1;
}

struct opener {
    struct weights *w;
    struct config c; /* only for its folder and arena */
    struct lar_err *err;
};

static int add_part(struct opener *o, const char *path, struct str file)
{
    struct weights_part *p = &o->w->part[o->w->npart];
    char *name = arena_copy(&o->w->a, file.p, file.n);
    if (!name) return lar_fail(o->err, LAR_ENOMEM, "%s: out of memory", path);
    *p = (struct weights_part){.file = {name, file.n}};
    int pickled = !str_ends(str_of(path), STR(".safetensors"));
    int rc = pickled ? pickle_open(&p->pk, path, o->err) : safetensors_open(&p->st, path, o->err);
    if (rc == LAR_OK) o->w->npart++;
    return rc;
}

static int take(struct opener *o, struct weight *t, struct str name, struct str type, int ndim, const int64_t *shape)
{
    t->name = name;
    if (type_of(type, &t->type))
        return lar_fail(o->err, LAR_EUNSUPPORTED, "tensor %.*s is of type %.*s, which cannot be converted",
                        STR_ARG(name), STR_ARG(type));
    t->ndim = ndim;
    for (int i = 0; i < WEIGHT_DIMS; i++) t->dim[i] = i < ndim ? shape[i] : 1;
    return 0;
}

static int by_name(const void *ctx, uint32_t a, uint32_t b)
{
    const struct weight *w = ctx;
    size_t n = w[a].name.n < w[b].name.n ? w[a].name.n : w[b].name.n;
    int d = n ? memcmp(w[a].name.p, w[b].name.p, n) : 0;
    return d ? d : (w[a].name.n > w[b].name.n) - (w[a].name.n < w[b].name.n);
}

static int gather(struct opener *o)
{
    struct weights *w = o->w;
    size_t n = 0, k = 0;
    for (int i = 0; i < w->npart; i++) n += w->part[i].st.ntensor + w->part[i].pk.ntensor;
    struct weight *t = arena_array(&w->a, n, sizeof *t);
    uint32_t *order = arena_array(&w->a, n, sizeof *order);
    w->w = arena_array(&w->a, n, sizeof *w->w);
    if (n > UINT32_MAX / 2 || !t || !order || !w->w)
        return lar_fail(o->err, LAR_ENOMEM, "table of %zu tensors: out of memory", n);
    for (int i = 0; i < w->npart; i++) {
        const struct weights_part *p = &w->part[i];
        int rc = 0;
        for (size_t j = 0; j < p->st.ntensor && rc == 0; j++, k++) {
            const struct safetensors_tensor *s = &p->st.tensor[j];
            t[k] = (struct weight){.n = s->elements, .data = s->data, .bytes = s->bytes, .part = i};
            rc = take(o, &t[k], s->name, s->type, s->ndim, s->shape);
        }
        for (size_t j = 0; j < p->pk.ntensor && rc == 0; j++, k++) {
            const struct pickle_tensor *s = &p->pk.tensor[j];
            t[k] = (struct weight){.n = s->elements, .data = s->data, .bytes = s->bytes, .part = i};
            rc = take(o, &t[k], s->name, str_of(s->type), s->ndim, s->shape);
        }
        if (rc < 0) return rc;
    }
    for (size_t i = 0; i < n; i++) order[i] = (uint32_t)i;
    sort_u32(order, n, by_name, t);
    for (size_t i = 0; i < n; i++) {
        w->w[i] = t[order[i]];
        if (i && str_eq(w->w[i].name, w->w[i - 1].name))
            return lar_fail(o->err, LAR_EFORMAT, "%s: tensor %.*s is in two files, %s and %s: take one of them away",
                            buf_z(&o->c.folder), STR_ARG(w->w[i].name), w->part[w->w[i - 1].part].file.p,
                            w->part[w->w[i].part].file.p);
    }
    w->n = n;
    return 0;
}

static const struct weights_part *part_of(const struct weights *w, struct str file)
{
    for (int i = 0; i < w->npart; i++)
        if (str_eq(w->part[i].file, file)) return &w->part[i];
    return NULL;
}

/* Nothing but a name: the index comes from a stranger. */
static int plain_name(struct str f)
{
    return f.n && f.n < 256 && f.p[0] != '.' && !memchr(f.p, '/', f.n) && !memchr(f.p, 0, f.n);
}

static int check_map(struct opener *o, const char *index, const struct json *map)
{
    for (const struct json *v = map->child; v; v = v->next) {
        const struct weight *t = weights_find(o->w, v->key);
        const struct weights_part *p = part_of(o->w, v->s);
        if (t && p &&
            ((t->data >= p->st.map.p && t->data <= p->st.map.p + p->st.map.n) ||
             (t->data >= p->pk.map.p && t->data <= p->pk.map.p + p->pk.map.n)))
            continue;
        return lar_fail(o->err, LAR_EFORMAT, "%s: tensor %.*s is not in %.*s, where the index has it", index,
                        STR_ARG(v->key), STR_ARG(v->s));
    }
    return 0;
}

/* 1 when there is an index. */
static int open_index(struct opener *o, const char *name)
{
    struct str text;
    struct lar_err why = {0};
    int rc = config_file(&o->c, name, &text, o->err);
    if (rc <= 0) return rc;
    if (!(name = config_path(&o->c, name))) return lar_fail(o->err, LAR_ENOMEM, "index: out of memory");
    const struct json *root = json_parse(&o->w->a, text, &why);
    const struct json *map = json_get(root, "weight_map");
    if (!root) return lar_fail(o->err, why.code, "%s: %s", name, why.msg);
    if (!map || map->kind != JSON_OBJECT || !map->n)
        return lar_fail(o->err, LAR_EFORMAT, "%s: has no weight_map of tensors and files", name);
    for (const struct json *v = map->child; v; v = v->next) {
        struct str f = json_str(v, STR(""));
        if (!plain_name(f) ||
            (!str_ends(f, STR(".safetensors")) && !str_ends(f, STR(".bin")) && !str_ends(f, STR(".pt"))))
            return lar_fail(o->err, LAR_EFORMAT,
                            "%s: the file of %.*s, \"%.*s\", is no name of a weights file in this folder", name,
                            STR_ARG(v->key), STR_ARG(f));
        if (part_of(o->w, f)) continue;
        if (o->w->npart == PARTS_MAX)
            return lar_fail(o->err, LAR_ELIMIT, "%s: names more than %d files", name, PARTS_MAX);
        const char *file = arena_copy(&o->c.a, f.p, f.n), *path = file ? config_path(&o->c, file) : NULL;
        if (!path) return lar_fail(o->err, LAR_ENOMEM, "%s: out of memory", name);
        if (access(path, F_OK) != 0 && errno == ENOENT)
            return lar_fail(o->err, LAR_EIO, "%s: %.*s, in which it has %.*s, is not in this folder: fetch it too",
                            name, STR_ARG(f), STR_ARG(v->key));
        if ((rc = add_part(o, path, f)) < 0) return rc;
    }
    rc = gather(o);
    if (rc == 0) rc = check_map(o, name, map);
    return rc < 0 ? rc : 1;
}

/* The only file of the folder whose name ends so: 1; 0 none; more than one is an error. */
static int only_file(struct opener *o, const char *tail, char found[256])
{
    int n = 0;
    DIR *d = opendir(buf_z(&o->c.folder));
    if (!d) return lar_fail_errno(o->err, "%s: cannot be read", buf_z(&o->c.folder));
    for (struct dirent *e = readdir(d); e; e = readdir(d)) {
        if (e->d_name[0] == '.' || !str_ends(str_of(e->d_name), str_of(tail)) || strlen(e->d_name) > 255) continue;
        if (n++ == 0) snprintf(found, 256, "%s", e->d_name);
    }
    closedir(d);
    return n < 2 ? n
                 : lar_fail(o->err, LAR_EFORMAT,
                            "%s: has %d files *%s and no index that says which belong to the model",
                            buf_z(&o->c.folder), n, tail);
}

static int open_folder(struct opener *o)
{
    static const struct {
        const char *index, *whole, *tail;
    } form[] = {{"model.safetensors.index.json", "model.safetensors", ".safetensors"},
                {"pytorch_model.bin.index.json", "pytorch_model.bin", ".bin"}};
    char found[256];
    for (size_t i = 0; i < 2; i++) {
        int rc = open_index(o, form[i].index);
        if (rc != 0) return rc < 0 ? rc : 0;
        const char *path = config_path(&o->c, form[i].whole);
        if (!path) return lar_fail(o->err, LAR_ENOMEM, "path: out of memory");
        if (access(path, F_OK)) {
            if ((rc = only_file(o, form[i].tail, found)) < 0) return rc;
            path = rc ? config_path(&o->c, found) : NULL;
        }
        if (!path) continue;
        rc = add_part(o, path, rc ? str_of(found) : str_of(form[i].whole));
        return rc < 0 ? rc : gather(o);
    }
    return lar_fail(o->err, LAR_EINVAL, "%s: has no weights (model.safetensors, an index, or pytorch_model.bin)",
                    buf_z(&o->c.folder));
}

int weights_open(struct weights *w, const char *path, struct lar_err *err)
{
    struct opener o = {.w = w, .err = err};
    struct stat st;
    int rc;
    *w = (struct weights){0};
    arena_init(&w->a, 0);
    arena_init(&o.c.a, 0);
    buf_puts(&o.c.folder, path);
    w->part = arena_array(&w->a, PARTS_MAX, sizeof *w->part);
    if (!w->part || o.c.folder.failed) {
        rc = lar_fail(err, LAR_ENOMEM, "%s: out of memory", path);
    } else if (stat(path, &st)) {
        rc = lar_fail_errno(err, "%s: cannot be opened", path);
    } else if (S_ISDIR(st.st_mode)) {
        rc = open_folder(&o);
    } else {
        rc = add_part(&o, path, str_of(path));
        if (rc == 0) rc = gather(&o);
    }
    arena_done(&o.c.a);
    buf_done(&o.c.folder);
    if (rc < 0) weights_close(w);
    return rc;
}

void weights_close(struct weights *w)
{
    for (int i = 0; i < w->npart; i++) {
        if (w->part[i].st.map.p) safetensors_close(&w->part[i].st);
        if (w->part[i].pk.map.p) pickle_close(&w->part[i].pk);
    }
    arena_done(&w->a);
    *w = (struct weights){0};
}

const struct weight *weights_find(const struct weights *w, struct str name)
{
    for (size_t lo = 0, hi = w->n; lo < hi;) {
        size_t mid = lo + (hi - lo) / 2;
        const struct str t = w->w[mid].name;
        size_t n = name.n < t.n ? name.n : t.n;
        int d = n ? memcmp(name.p, t.p, n) : 0;
        if (d == 0) d = (name.n > t.n) - (name.n < t.n);
        if (d == 0) return &w->w[mid];
        if (d < 0)
            hi = mid;
        else
            lo = mid + 1;
    }
    return NULL;
}

const char *weights_file(const struct weights *w, int i, const uint8_t **at, uint64_t *bytes)
{
    const struct weights_part *p = &w->part[i];
    const struct filemap *m = p->st.map.p ? &p->st.map : &p->pk.map;
    *at = m->p;
    *bytes = m->n;
    return p->file.p;
}

void weights_forget(const void *p, uint64_t n)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), at = ((uintptr_t)p + page - 1) / page * page;
    uintptr_t end = ((uintptr_t)p + n) / page * page;
    if (end > at) (void)madvise((void *)at, end - at, MADV_DONTNEED);
}
