/* SPDX-License-Identifier: Apache-2.0
 *
 * convert/export_file.c: writing the folder. The weights' files are made at their full length and mapped; each tensor of the GGUF is read from its
 * beginning to its end and its values put where they belong, so nothing is held in memory whatever the model's size. The folder is made beside its
 * place and renamed: a crash leaves at most DIR.tmp-PID, which the next try for DIR removes.
 */
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cpu.h"
#include "base/half.h"
#include "base/left.h"
#include "convert/export.h"
#include "io/outfile.h"
#include "io/safetensors.h"
#include "kern/kern.h"

enum { SLAB = 1 << 16, FORGET_EVERY = 64 << 20 };

struct shard {
    struct safetensors_writer *w;
    size_t first, n; /* weights, in the order of their names */
    char file[64];
};

struct job {
    struct export *e;
    struct export_job *j;
    struct lar_err *err;
    struct export_folder to;
    struct shard *shard;
    size_t nshard;
    struct kern kern;
    float *values;
    uint64_t done, total, since;
};

int export_text(const char *folder, const char *name, struct str text, struct lar_err *err)
{
    struct outfile f = {.fd = -1};
    char path[4400];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    int rc = outfile_begin(&f, path, err);
    if (rc == 0) rc = outfile_write(&f, text.p, text.n, err);
    if (rc == 0) rc = outfile_commit(&f, err);
    outfile_done(&f);
    return rc;
}

/* ---- types ------------------------------------------------------------------------------------------------------------- */

static int float_type(enum dtype t) { return t == DT_F32 || t == DT_F16 || t == DT_BF16; }

/* The type that most of the matrices have. */
static enum convert_type usual_type(const struct export *e)
{
    uint64_t f32 = 0, f16 = 0, all = 0;
    for (size_t i = 0; i < e->p.n; i++) {
        const struct gguf_tensor *t = e->from[i];
        if (!t || t->ndim < 2) continue;
        all += (uint64_t)e->p.out[i].n;
        if (t->type == DT_F32) f32 += (uint64_t)e->p.out[i].n;
        if (t->type == DT_F16) f16 += (uint64_t)e->p.out[i].n;
    }
    return f32 > all / 2 ? CONVERT_F32 : f16 > all / 2 ? CONVERT_F16 : CONVERT_BF16;
}

static int exact(float v, enum convert_type t)
{
    float back = t == CONVERT_F16 ? half_to_f32(half_from_f32(v)) : bf16_to_f32(bf16_from_f32(v));
    return bits_f32(back) == bits_f32(v);
}

/* Reads values at .. at + n, whole blocks, of a tensor of any type. */
static void read_values(struct job *x, const struct gguf_tensor *t, int64_t at, int64_t n,
                        float *to)
{
    struct dtype_info d = dtype_info(t->type);
    const uint8_t *p = t->data + at / d.block * d.bytes;
    if (t->type == DT_F32)
        memcpy(to, p, (size_t)n * 4);
    else
        x->kern.type[t->type].dequant((size_t)n, p, to);
}

/* A vector keeps F32 unless all of it can be said in the matrices' type. */
static int is_exact(struct job *x, const struct output *o, const struct gguf_tensor *t,
                    enum convert_type type)
{
    for (int64_t at = 0; at < o->n; at += SLAB) {
        int64_t n = o->n - at < SLAB ? o->n - at : SLAB;
        read_values(x, t, at, n, x->values);
        plan_undo(o, n, x->values);
        for (int64_t i = 0; i < n; i++)
            if (!exact(x->values[i], type)) return 0;
    }
    return 1;
}

static enum weight_type weight_type_of(enum convert_type t)
{
    return t == CONVERT_F32 ? WEIGHT_F32 : t == CONVERT_F16 ? WEIGHT_F16 : WEIGHT_BF16;
}

static int choose_types(struct job *x)
{
    struct export *e = x->e;
    enum convert_type main = x->j->type == CONVERT_AUTO ? usual_type(e) : x->j->type;
    x->j->used = main;
    for (size_t i = 0; i < e->w.n; i++) {
        struct weight *w = &e->w.w[i];
        w->type = w->data && main == CONVERT_F32 ? WEIGHT_F32 : weight_type_of(main);
        if (w->data && !exact(*(const float *)(const void *)w->data, main)) w->type = WEIGHT_F32;
    }
    for (size_t i = 0; i < e->p.n; i++) {
        const struct output *o = &e->p.out[i];
        const struct gguf_tensor *t = e->from[i];
        enum convert_type type = main;
        if (!t) continue;
        if (!float_type(t->type) && !x->kern.type[t->type].dequant)
            return lar_fail(x->err, LAR_EUNSUPPORTED,
                            "tensor %.*s is of type %s, whose values lar cannot read",
                            STR_ARG(o->name), dtype_info(t->type).name);
        if (main != CONVERT_F32 && convert_dtype(o, CONVERT_BF16) == DT_F32 &&
            !is_exact(x, o, t, main))
            type = CONVERT_F32;
        int16_t rounded = t->type == DT_F32 ? type != CONVERT_F32 && main == type &&
                                                  convert_dtype(o, CONVERT_BF16) != DT_F32
                          : t->type == DT_F16  ? type == CONVERT_BF16
                          : t->type == DT_BF16 ? type == CONVERT_F16
                                               : 1;
        x->j->rounded += rounded != 0;
        for (size_t k = 0; k < o->npiece; k++) {
            struct weight *w = &e->w.w[o->piece[k].w - e->w.w];
            if (type == CONVERT_F32) w->type = WEIGHT_F32;
        }
    }
    for (size_t i = 0; i < e->w.n; i++) {
        struct weight *w = &e->w.w[i];
        w->bytes = (uint64_t)w->n * (uint64_t)weight_size(w->type);
        x->total += w->bytes;
    }
    return 0;
}

/* ---- files --------------------------------------------------------------------------------------------------------------- */

static int make_shards(struct job *x)
{
    struct export *e = x->e;
    uint64_t most = x->j->shard ? x->j->shard : UINT64_MAX, bytes = 0;
    x->shard = arena_array(&e->a, e->w.n + 1, sizeof *x->shard);
    if (!x->shard) return lar_fail(x->err, LAR_ENOMEM, "table of files: out of memory");
    for (size_t i = 0; i < e->w.n; i++) {
        struct shard *s = x->nshard ? &x->shard[x->nshard - 1] : NULL;
        if (!s || e->w.w[i].bytes > most - bytes || bytes > most) {
            s = &x->shard[x->nshard++];
            s->first = i;
            bytes = 0;
        }
        s->n++;
        bytes += e->w.w[i].bytes;
    }
    for (size_t i = 0; i < x->nshard; i++) {
        struct shard *s = &x->shard[i];
        if (x->nshard == 1)
            snprintf(s->file, sizeof s->file, "model.safetensors");
        else
            snprintf(s->file, sizeof s->file, "model-%05zu-of-%05zu.safetensors", i + 1, x->nshard);
    }
    x->j->files = x->nshard;
    return 0;
}

static int begin_shard(struct job *x, struct shard *s)
{
    struct export *e = x->e;
    struct safetensors_spec *spec = arena_array(&e->a, s->n + 1, sizeof *spec);
    char path[4400];
    uint64_t total = 0;
    if (!spec) return lar_fail(x->err, LAR_ENOMEM, "table of tensors: out of memory");
    for (size_t i = 0; i < s->n; i++) {
        const struct weight *w = &e->w.w[s->first + i];
        spec[i] = (struct safetensors_spec){
            .name = w->name.p, .type = weight_type_name(w->type), .ndim = w->ndim};
        for (int k = 0; k < w->ndim; k++) spec[i].shape[k] = w->dim[k];
    }
    snprintf(path, sizeof path, "%s/%s", x->to.temp, s->file);
    int rc = safetensors_create(&s->w, path, spec, s->n, x->err);
    uint8_t *at = rc < 0 ? NULL : safetensors_place(s->w, &total, x->err);
    if (!at) return rc < 0 ? rc : LAR_EIO;
    for (size_t i = 0; i < s->n; i++) {
        struct weight *w = &e->w.w[s->first + i];
        if (w->data)
            weight_write(&(struct weight){.type = w->type, .data = at}, 0, 1, 1,
                         (const float *)(const void *)w->data);
        w->data = at;
        at += w->bytes;
    }
    return 0;
}

static int write_index(struct job *x)
{
    struct buf b = {0};
    if (x->nshard < 2) return 0;
    buf_printf(&b, "{\n  \"metadata\": {\"total_size\": %" PRIu64 "},\n  \"weight_map\": {",
               x->total);
    for (size_t i = 0; i < x->nshard; i++)
        for (size_t k = 0; k < x->shard[i].n; k++) {
            buf_puts(&b, i + k ? ",\n    " : "\n    ");
            buf_json_str(&b, x->e->w.w[x->shard[i].first + k].name);
            buf_printf(&b, ": \"%s\"", x->shard[i].file);
        }
    buf_puts(&b, "\n  }\n}\n");
    int rc = b.failed ? lar_fail(x->err, LAR_ENOMEM, "index: out of memory")
                      : export_text(x->to.temp, "model.safetensors.index.json", buf_view(&b), x->err);
    buf_done(&b);
    return rc;
}

static void let_go(struct job *x, const struct output *o, const struct gguf_tensor *t)
{
    weights_forget(t->data, t->bytes);
    for (size_t i = 0; i < o->npiece; i++)
        weights_forget(o->piece[i].w->data, o->piece[i].w->bytes);
    x->since = 0;
}

static int write_tensor(struct job *x, const struct output *o, const struct gguf_tensor *t)
{
    int rc = 0;
    for (int64_t at = 0; at < o->n && rc == 0; at += SLAB) {
        int64_t n = o->n - at < SLAB ? o->n - at : SLAB;
        read_values(x, t, at, n, x->values);
        plan_write(o, at, n, x->values);
        x->done += (uint64_t)n * (uint64_t)weight_size(o->piece[0].w->type);
        if ((x->since += 4 * (uint64_t)n) > FORGET_EVERY) let_go(x, o, t);
        if (x->j->progress && x->j->progress(x->j->ctx, o->name.p, o->name.n, x->done, x->total))
            rc = lar_fail(x->err, LAR_ECANCEL, "stopped; nothing was written");
    }
    let_go(x, o, t);
    return rc;
}

static int write_weights(struct job *x)
{
    struct export *e = x->e;
    int rc = 0;
    for (size_t i = 0; i < x->nshard && rc == 0; i++) rc = begin_shard(x, &x->shard[i]);
    for (size_t i = 0; i < e->p.n && rc == 0; i++)
        if (e->from[i]) rc = write_tensor(x, &e->p.out[i], e->from[i]);
    for (size_t i = 0; i < x->nshard; i++) {
        struct safetensors_writer *w = x->shard[i].w;
        x->shard[i].w = NULL;
        if (rc == 0)
            rc = safetensors_commit(w, x->err);
        else
            safetensors_abort(w);
    }
    return rc < 0 ? rc : write_index(x);
}

static int write_config(struct job *x)
{
    static const char *const name[] = {
        [CONVERT_F32] = "float32", [CONVERT_F16] = "float16", [CONVERT_BF16] = "bfloat16"};
    struct buf *b = &x->e->text;
    buf_printf(b, ",\n  \"dtype\": \"%s\",\n  \"torch_dtype\": \"%s\"\n}\n", name[x->j->used],
               name[x->j->used]);
    return b->failed ? lar_fail(x->err, LAR_ENOMEM, "config.json: out of memory")
                     : export_text(x->to.temp, "config.json", buf_view(b), x->err);
}

/* ---- the folder ---------------------------------------------------------------------------------------------------------- */

/* A name that this file or its outfiles give to what is in the folder. */
static int is_ours(const char *name)
{
    static const char *const tail[] = {".json", ".model",    ".jinja",  ".safetensors",
                                       ".md",   "1_Pooling", "2_Dense", "3_Dense"};
    for (size_t i = 0; i < sizeof tail / sizeof *tail; i++)
        if (str_ends(str_of(name), str_of(tail[i]))) return 1;
    return strstr(name, ".tmp-") != NULL;
}

static int is_empty(const char *folder)
{
    DIR *d = opendir(folder);
    int n = 0;
    if (!d) return 1;
    while (n < 3 && readdir(d)) n++;
    closedir(d);
    return n < 3; /* . and .. */
}

int export_folder_begin(struct export_folder *f, const char *to, struct lar_err *err)
{
    size_t n = strlen(to);
    struct stat st;
    *f = (struct export_folder){.claim = -1};
    while (n > 1 && to[n - 1] == '/') n--;
    if (n == 0 || n > 4000) return lar_fail(err, LAR_EINVAL, "the folder's name is empty or too long");
    snprintf(f->temp, sizeof f->temp, "%.*s.tmp-", (int)n, to);
    left_sweep(f->temp, is_ours);
    f->temp[0] = 0;
    if (stat(to, &st) == 0 && !S_ISDIR(st.st_mode)) return lar_fail(err, LAR_EINVAL, "%s: is no folder", to);
    if (!is_empty(to)) /* the rename at the end takes the place of an empty one */
        return lar_fail(err, LAR_EINVAL, "%s: is a folder with something in it; name a new one", to);
    snprintf(f->temp, sizeof f->temp, "%.*s.tmp-%ld", (int)n, to, (long)getpid());
    if (mkdir(f->temp, 0777)) {
        int rc = lar_fail_errno(err, "%s: cannot be made", f->temp);
        f->temp[0] = 0;
        return rc;
    }
    f->claim = open(f->temp, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (f->claim >= 0) left_claim(f->claim);
    return 0;
}

int export_folder_end(struct export_folder *f, const char *to, int rc, struct lar_err *err)
{
    if (rc >= 0 && rename(f->temp, to)) rc = lar_fail_errno(err, "%s: cannot be made", to);
    if (rc < 0 && f->temp[0]) left_drop(f->temp, is_ours);
    if (f->claim >= 0) close(f->claim);
    return rc < 0 ? rc : 0;
}

int export_write(struct export *e, const char *to, struct export_job *job, struct lar_err *err)
{
    struct job *x = mem_zalloc(sizeof *x);
    if (!x) return lar_fail(err, LAR_ENOMEM, "exporting: out of memory");
    *x = (struct job){.e = e, .j = job, .err = err, .to = {.claim = -1}};
    size_t config = e->text.n;
    job->rounded = 0;
    kern_init(&x->kern, cpu_detect());
    x->values = mem_alloc(SLAB * sizeof *x->values);
    int rc = x->values ? choose_types(x) : lar_fail(err, LAR_ENOMEM, "exporting: out of memory");
    job->bytes = x->total;
    if (rc == 0) rc = make_shards(x);
    if (rc == 0) rc = export_folder_begin(&x->to, to, err);
    if (rc == 0) rc = write_config(x); /* config.json first: the tokenizer's check reads it */
    if (rc == 0) rc = export_tokens(e, x->to.temp, err);
    if (rc == 0) rc = export_reader_write(e, x->to.temp, err);
    if (rc == 0) rc = write_weights(x);
    rc = export_folder_end(&x->to, to, rc, err);
    e->text.n = config;
    mem_free(x->values);
    mem_free(x);
    return rc;
}
