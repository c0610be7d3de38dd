/* SPDX-License-Identifier: Apache-2.0
 * api/file.c: lar.h's look into a GGUF. The file was checked when it was opened; indices out of range give empty answers. */
#include "api/api.h"

struct lar_file {
    struct gguf g;
    struct vocab_image image; /* of a tokenizer that is in no GGUF: what g lies on */
};

int lar_file_open(struct lar_file **out, const char *path, struct lar_err *err)
{
    if (!out || !path) return lar_fail(err, LAR_EINVAL, "lar_file_open: out and path are needed");
    *out = NULL;
    struct lar_file *f = mem_zalloc(sizeof *f);
    if (!f) return lar_fail(err, LAR_ENOMEM, "file: out of memory");
    int rc = vocab_hf_is(path) ? vocab_hf_open(&f->image, path, 0, err) : gguf_open(&f->g, path, err);
    if (rc == 0 && f->image.bytes.n) rc = gguf_open_memory(&f->g, f->image.bytes.p, f->image.bytes.n, err);
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
    mem_free(f);
}

void lar_file_info(const struct lar_file *f, struct lar_file_info *out)
{
    *out = (struct lar_file_info){f->g.version, f->g.alignment, f->g.file_bytes,
                                  f->g.npart,   f->g.nkv,       f->g.ntensor};
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

void lar_file_tensor(const struct lar_file *f, size_t i, struct lar_tensor *out)
{
    *out = (struct lar_tensor){.name = "", .type = ""};
    if (i >= f->g.ntensor) return;
    const struct gguf_tensor *t = &f->g.tensor[i];
    *out = (struct lar_tensor){.name = t->name.p,
                               .name_n = t->name.n,
                               .type = dtype_info(t->type).name,
                               .ndim = t->ndim,
                               .offset = t->offset,
                               .bytes = t->bytes,
                               .part = t->part};
    for (int k = 0; k < 4; k++) out->shape[k] = t->dim[k];
}
