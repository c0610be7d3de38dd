/* SPDX-License-Identifier: Apache-2.0
 * api/file.c: lar.h's look into a GGUF, or into what its maker published. The file was checked when it was opened; indices out of range give
 * empty answers. */
#include "api/api.h"
#include "convert/convert.h"

struct lar_file {
    struct gguf g;
    struct vocab_image image; /* of a tokenizer that is in no GGUF: what g lies on */
    struct weights w;         /* of a folder, or a file of one */
    int published;            /* no GGUF: tensors are w's */
};

/* A folder may hold a tokenizer alone, a file of weights has none. */
static int open_published(struct lar_file *f, const char *path, struct lar_err *err)
{
    struct lar_err why = {0};
    int tokens = vocab_hf_is(path), rc = tokens ? vocab_hf_open(&f->image, path, 0, err) : 0;
    f->published = 1;
    if (tokens && rc == 0) rc = gguf_open_memory(&f->g, f->image.bytes.p, f->image.bytes.n, err);
    if (rc < 0 || !convert_is(path)) return rc;
    rc = weights_open(&f->w, path, &why);
    return rc < 0 && (rc != LAR_EINVAL || !tokens) ? lar_fail(err, rc, "%s", why.msg) : 0;
}

int lar_file_open(struct lar_file **out, const char *path, struct lar_err *err)
{
    if (!out || !path) return lar_fail(err, LAR_EINVAL, "lar_file_open: out and path are needed");
    *out = NULL;
    struct lar_file *f = mem_zalloc(sizeof *f);
    if (!f) return lar_fail(err, LAR_ENOMEM, "file: out of memory");
    int rc = vocab_hf_is(path) || convert_is(path) ? open_published(f, path, err) : gguf_open(&f->g, path, err);
    if (rc < 0)
        lar_file_close(f);
    else
        *out = f;
    return rc < 0 ? rc : 0;
}

void lar_file_close(struct lar_file *f)
{
    if (!f) return;
    gguf_close(&f->g);
    vocab_hf_close(&f->image);
    weights_close(&f->w);
    mem_free(f);
}

void lar_file_info(const struct lar_file *f, struct lar_file_info *out)
{
    *out = (struct lar_file_info){f->g.version, f->g.alignment, f->g.file_bytes,
                                  f->g.npart,   f->g.nkv,       f->g.ntensor};
    if (!f->published) return;
    *out = (struct lar_file_info){.parts = f->w.npart, .nmeta = f->g.nkv, .ntensor = f->w.n};
    for (int i = 0; i < f->w.npart; i++) {
        const uint8_t *at;
        uint64_t n;
        weights_file(&f->w, i, &at, &n);
        out->bytes += n;
    }
}

void lar_file_meta(const struct lar_file *f, size_t i, struct lar_meta *out)
{
    *out = (struct lar_meta){.key = ""};
    if (i >= f->g.nkv) return;
    const struct gguf_kv *kv = &f->g.kv[i];
    *out = (struct lar_meta){
        kv->key.p, kv->key.n, (enum lar_meta_type)kv->type, (enum lar_meta_type)kv->etype,
        kv->count, kv->offset};
}

static const struct gguf_kv *element(const struct lar_file *f, size_t i, uint64_t j,
                                     enum gguf_type *type)
{
    if (i >= f->g.nkv || j >= f->g.kv[i].count) return NULL;
    const struct gguf_kv *kv = &f->g.kv[i];
    *type = kv->type == GGUF_ARRAY ? kv->etype : kv->type;
    return kv;
}

int64_t lar_file_meta_int(const struct lar_file *f, size_t i, uint64_t j)
{
    enum gguf_type t;
    const struct gguf_kv *kv = element(f, i, j, &t);
    if (!kv || t == GGUF_STRING) return 0;
    return gguf_is_int(t) || t == GGUF_BOOL ? gguf_int_at(kv, j) : (int64_t)gguf_num_at(kv, j);
}

double lar_file_meta_num(const struct lar_file *f, size_t i, uint64_t j)
{
    enum gguf_type t;
    const struct gguf_kv *kv = element(f, i, j, &t);
    if (!kv || t == GGUF_STRING) return 0;
    return t == GGUF_BOOL ? (double)gguf_int_at(kv, j) : gguf_num_at(kv, j);
}

const char *lar_file_meta_str(const struct lar_file *f, size_t i, uint64_t j, size_t *n)
{
    enum gguf_type t;
    const struct gguf_kv *kv = element(f, i, j, &t);
    struct str s = kv && t == GGUF_STRING ? gguf_str_at(kv, j) : (struct str){"", 0};
    if (n) *n = s.n;
    return s.p;
}

static void published_tensor(const struct lar_file *f, size_t i, struct lar_tensor *out)
{
    if (i >= f->w.n) return;
    const struct weight *w = &f->w.w[i];
    const uint8_t *at;
    uint64_t n;
    *out = (struct lar_tensor){.name = w->name.p,
                               .name_n = w->name.n,
                               .type = weight_type_name(w->type),
                               .ndim = w->ndim,
                               .bytes = w->bytes,
                               .part = w->part,
                               .file = weights_file(&f->w, w->part, &at, &n)};
    out->offset = (uint64_t)(w->data - at);
    for (int k = 0; k < 8; k++) out->shape[k] = k < w->ndim ? w->dim[w->ndim - 1 - k] : 1;
}

void lar_file_tensor(const struct lar_file *f, size_t i, struct lar_tensor *out)
{
    *out = (struct lar_tensor){.name = "", .type = ""};
    if (f->published) {
        published_tensor(f, i, out);
        return;
    }
    if (i >= f->g.ntensor) return;
    const struct gguf_tensor *t = &f->g.tensor[i];
    *out = (struct lar_tensor){.name = t->name.p,
                               .name_n = t->name.n,
                               .type = dtype_info(t->type).name,
                               .ndim = t->ndim,
                               .offset = t->offset,
                               .bytes = t->bytes,
                               .part = t->part};
    for (int k = 0; k < 8; k++) out->shape[k] = k < 4 ? t->dim[k] : 1;
}
