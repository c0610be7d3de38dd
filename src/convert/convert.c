/* SPDX-License-Identifier: Apache-2.0
 *
 * convert/convert.c: writing the GGUF: first everything that is known without weights, then each tensor in slabs. The source is mapped; pages
 * that were read are let go, so the memory in use stays at a few slabs whatever the model's size.
 */
#include "convert/convert.h"

#include <math.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/half.h"
#include "convert/llama2c.h"
#include "convert/meta.h"
#include "io/gguf_write.h"

enum {
    SLAB = 1 << 18,          /* elements at once: a multiple of every block */
    FORGET_EVERY = 64 << 20, /* bytes written before pages of the source are let go */
    PIECE_MAX = 4 << 20
};

int convert_is(const char *path)
{
    static const char *const tail[] = {".safetensors", ".bin", ".pt", ".pth"};
    struct stat st;
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) return 1;
    for (size_t i = 0; i < sizeof tail / sizeof *tail; i++)
        if (str_ends(str_of(path), str_of(tail[i]))) return 1;
    return 0;
}

static int open_all(struct convert *c, const char *path, struct lar_err *err)
{
    struct stat st;
    struct buf folder = {0};
    const char *slash = strrchr(path, '/');
    if (stat(path, &st)) return lar_fail_errno(err, "%s: cannot be opened", path);
    if (llama2c_is(path)) return llama2c_open(c, path, err);
    if (S_ISDIR(st.st_mode))
        buf_puts(&folder, path);
    else if (slash)
        buf_add(&folder, path, (size_t)(slash - path) + (slash == path));
    else
        buf_puts(&folder, ".");
    int rc =
        folder.failed ? lar_fail(err, LAR_ENOMEM, "path: out of memory") : config_open(&c->c, buf_z(&folder), err);
    buf_done(&folder);
    if (rc == 0) rc = family_find(&c->f, &c->c, err);
    if (rc == 0) rc = weights_open(&c->w, path, err);
    return rc < 0 ? rc : plan_make(&c->p, c->f, &c->c, &c->w, &c->a, err);
}

int convert_open(struct convert *c, const char *path, struct lar_err *err)
{
    *c = (struct convert){0};
    arena_init(&c->a, 0);
    int rc = open_all(c, path, err);
    if (rc < 0) convert_close(c);
    return rc < 0 ? rc : 0;
}

void convert_close(struct convert *c)
{
    weights_close(&c->w);
    config_close(&c->c);
    arena_done(&c->a);
    if (c->tokens.bytes.p) vocab_hf_close(&c->tokens);
    if (c->raw.p) filemap_close(&c->raw);
    *c = (struct convert){0};
}

/* ---- keys ------------------------------------------------------------------------------------------------------ */

static const struct output *find(const struct plan *p, const char *name)
{
    for (size_t i = 0; i < p->n; i++)
        if (str_is(p->out[i].name, name)) return &p->out[i];
    return NULL;
}

/* A key of the tokenizer, changed where other programs read this family's tokenizer by another name: Gemma 4's merges over
 * characters are "gemma4" to them, whose scores they do not read. */
static int tokenizer_key(const struct convert *c, struct gguf_keys *k, const struct gguf_kv *kv, struct lar_err *err)
{
    int chars = !strcmp(c->f->arch, "gemma4");
    uint32_t id = 0;
    if (str_starts(kv->key, STR("general."))) return 0;
    if (str_is(kv->key, "tokenizer.ggml.eos_token_id") && !strcmp(c->f->arch, "hunyuan-dense") &&
        config_u32(&c->c, "eod_token_id", &id, NULL) == 1) { /* the published models' eos_token_id is wrong */
        gguf_keys_u32(k, "tokenizer.ggml.eos_token_id", id);
        return 0;
    }
    if (chars && str_is(kv->key, "tokenizer.ggml.model") && str_is(gguf_str_at(kv, 0), "llama")) {
        gguf_keys_str(k, "tokenizer.ggml.model", STR("gemma4"));
    } else if (chars && str_is(kv->key, "tokenizer.ggml.scores") && kv->etype == GGUF_F32) {
        float *score = mem_alloc((size_t)kv->bytes);
        if (!score) return lar_fail(err, LAR_ENOMEM, "tokenizer: out of memory");
        for (uint64_t i = 0; i < kv->count; i++) score[i] = -1000;
        gguf_keys_array(k, "tokenizer.ggml.scores", GGUF_F32, score, kv->count);
        mem_free(score);
    } else {
        gguf_keys_copy(k, kv);
    }
    return 0;
}

/* The tokenizer's keys, one token for each row of the embedding. */
static int tokenizer(struct convert *c, struct gguf_keys *k, struct lar_err *err)
{
    struct vocab_image im;
    const struct output *embed = find(&c->p, "token_embd.weight");
    if (!embed)
        return lar_fail(err, LAR_EFORMAT, "%s: has no embedding (embed_tokens.weight)", buf_z(&c->c.folder));
    const struct gguf *g = &im.g;
    int rc = 0, own = c->raw.p != NULL;
    if (own)
        g = &c->tokens.g;
    else
        rc = vocab_hf_open(&im, buf_z(&c->c.folder), embed->dim[1], err);
    if (rc < 0) return rc;
    for (size_t i = 0; i < g->nkv && rc == 0; i++) rc = tokenizer_key(c, k, &g->kv[i], err);
    if (!own) vocab_hf_close(&im);
    return rc;
}

int convert_keys(struct convert *c, struct gguf_keys *k, int file_type, struct lar_err *err)
{
    int rc = meta_write(k, &c->p, c->f, &c->c, file_type, err);
    return rc < 0 ? rc : tokenizer(c, k, err);
}

/* ---- types ------------------------------------------------------------------------------------------------------ */

enum convert_type convert_auto(const struct convert *c)
{
    uint64_t f32 = 0, f16 = 0, all = 0;
    if (c->raw.p) return CONVERT_F32;
    for (size_t i = 0; i < c->w.n; i++) {
        const struct weight *w = &c->w.w[i];
        if (w->ndim < 2) continue;
        all += (uint64_t)w->n;
        if (w->type == WEIGHT_F32 || w->type == WEIGHT_F64) f32 += (uint64_t)w->n;
        if (w->type == WEIGHT_F16) f16 += (uint64_t)w->n;
    }
    return f32 > all / 2 ? CONVERT_F32 : f16 > all / 2 ? CONVERT_F16 : CONVERT_BF16;
}

/* Small, and read as F32 by every program. */
static int stays_f32(const struct output *o)
{
    static const char *const tail[] = {
        "_norm.weight",      "ffn_gate_inp.weight",   "ffn_gate_inp_shexp.weight", "position_embd.weight",
        "ssm_conv1d.weight", "shortconv.conv.weight", "altup_correct_coef.weight", "altup_predict_coef.weight"};
    if (o->ndim < 2 || !str_ends(o->name, STR(".weight"))) return 1;
    for (size_t i = 0; i < sizeof tail / sizeof *tail; i++)
        if (str_ends(o->name, str_of(tail[i]))) return 1;
    return 0;
}

enum dtype convert_dtype(const struct output *o, enum convert_type want)
{
    if (o->blocks) return DT_MXFP4;
    if (o->made || want == CONVERT_F32 || stays_f32(o)) return DT_F32;
    if (want == CONVERT_BF16) return DT_BF16;
    return want == CONVERT_Q8_0 && o->dim[0] % 32 == 0 ? DT_Q8_0 : DT_F16;
}

/* Blocks of 32: d = max |x| / 127 as F16, then x / d rounded (ggml's reference, quantize_row_q8_0_ref). */
static void to_q8_0(const float *x, int64_t n, uint8_t *to)
{
    for (; n > 0; n -= 32, x += 32, to += 34) {
        float most = 0;
        for (int i = 0; i < 32; i++) most = fabsf(x[i]) > most ? fabsf(x[i]) : most;
        float d = most / 127, inverse = d > 0 ? 1 / d : 0;
        uint16_t h = half_from_f32(d);
        memcpy(to, &h, 2);
        for (int i = 0; i < 32; i++) to[2 + i] = (uint8_t)(int8_t)roundf(x[i] * inverse);
    }
}

void convert_values(const struct output *o, int64_t at, int64_t n, enum dtype t, float *scratch, void *to)
{
    uint16_t *h = to;
    plan_read(o, at, n, t == DT_F32 ? to : scratch);
    if (t == DT_Q8_0) to_q8_0(scratch, n, to);
    for (int64_t i = 0; i < n && t == DT_F16; i++) h[i] = half_from_f32(scratch[i]);
    for (int64_t i = 0; i < n && t == DT_BF16; i++) h[i] = bf16_from_f32(scratch[i]);
}

/* ---- the file --------------------------------------------------------------------------------------------------- */

struct writer {
    struct gguf_writer *w;
    struct convert_job *job;
    struct lar_err *err;
    float *scratch;
    uint8_t *bytes;
    uint64_t done, total, since; /* bytes; since pages were let go */
};

static void forget(const struct output *o)
{
    for (size_t i = 0; i < o->npiece; i++) weights_forget(o->piece[i].w->data, o->piece[i].w->bytes);
    if (o->blocks) weights_forget(o->blocks->data, o->blocks->bytes);
}

static int put(struct writer *w, const struct output *o, const void *p, size_t n)
{
    int rc = gguf_write(w->w, p, n, w->err);
    w->done += n;
    w->since += n;
    if (w->since > FORGET_EVERY) {
        forget(o);
        w->since = 0;
    }
    if (rc == 0 && w->job->progress && w->job->progress(w->job->ctx, o->name.p, o->name.n, w->done, w->total))
        rc = lar_fail(w->err, LAR_ECANCEL, "stopped; nothing was written");
    return rc;
}

static int same_type(enum weight_type a, enum dtype b)
{
    return (a == WEIGHT_F32 && b == DT_F32) || (a == WEIGHT_F16 && b == DT_F16) || (a == WEIGHT_BF16 && b == DT_BF16);
}

static int write_tensor(struct writer *w, const struct output *o, enum dtype t, uint64_t bytes)
{
    const struct weight *same = plan_same(o);
    int rc = 0;
    if (same && same_type(same->type, t)) {
        for (uint64_t at = 0; at < bytes && rc == 0; at += PIECE_MAX)
            rc = put(w, o, same->data + at, bytes - at < PIECE_MAX ? (size_t)(bytes - at) : PIECE_MAX);
    } else if (t == DT_MXFP4) {
        int64_t row = o->dim[0] / 32 * 17, n = PIECE_MAX / row > 0 ? PIECE_MAX / row : 1;
        for (int64_t r = 0; r < o->n / o->dim[0] && rc == 0; r += n) {
            if (n > o->n / o->dim[0] - r) n = o->n / o->dim[0] - r;
            plan_read_mxfp4(o, r, n, w->bytes);
            rc = put(w, o, w->bytes, (size_t)(n * row));
        }
    } else {
        struct dtype_info d = dtype_info(t);
        for (int64_t at = 0; at < o->n && rc == 0; at += SLAB) {
            int64_t n = o->n - at < SLAB ? o->n - at : SLAB;
            convert_values(o, at, n, t, w->scratch, w->bytes);
            rc = put(w, o, w->bytes, (size_t)(n / d.block * d.bytes));
        }
    }
    forget(o);
    return rc;
}

static int check_mxfp4(const struct convert *c, struct lar_err *err)
{
    for (size_t i = 0; i < c->p.n; i++)
        if (c->p.out[i].blocks && c->p.out[i].dim[0] / 32 * 17 > PIECE_MAX)
            return lar_fail(err, LAR_ELIMIT, "tensor %.*s: its rows are too long", STR_ARG(c->p.out[i].name));
    return 0;
}

static int file_type(const struct convert *c, enum convert_type t)
{
    static const int number[] = {[CONVERT_F32] = 0, [CONVERT_F16] = 1, [CONVERT_BF16] = 32, [CONVERT_Q8_0] = 7};
    for (size_t i = 0; i < c->p.n; i++)
        if (c->p.out[i].blocks) return 38; /* MOSTLY_MXFP4_MOE */
    return number[t];
}

static int write_all(struct writer *w, struct convert *c, const char *to, struct gguf_keys *k, enum convert_type type)
{
    struct gguf_spec *spec = NULL;
    size_t n = 0;
    int rc = convert_keys(c, k, file_type(c, type), w->err); /* adds computed tensors: before they are counted */
    if (rc < 0) return rc;
    n = c->p.n;
    spec = arena_array(&c->a, n + 1, sizeof *spec);
    uint64_t *bytes = arena_array(&c->a, n + 1, sizeof *bytes);
    if (!spec || !bytes) return lar_fail(w->err, LAR_ENOMEM, "table of %zu tensors: out of memory", n);
    for (size_t i = 0; i < n; i++) {
        const struct output *o = &c->p.out[i];
        spec[i] = (struct gguf_spec){
            o->name, convert_dtype(o, type), o->ndim, {o->dim[0], o->dim[1], o->dim[2], o->dim[3]}};
        if ((rc = gguf_spec_bytes(&spec[i], &bytes[i], w->err)) < 0) return rc;
        w->total += bytes[i];
    }
    if ((rc = gguf_create(&w->w, to, k, spec, n, 0, w->err)) < 0) return rc;
    for (size_t i = 0; i < n && rc == 0; i++) rc = write_tensor(w, &c->p.out[i], spec[i].type, bytes[i]);
    if (rc == 0) return gguf_commit(w->w, w->err);
    gguf_abort(w->w);
    return rc;
}

int convert_file(struct convert *c, const char *to, struct convert_job *job, struct lar_err *err)
{
    enum convert_type type = job->type == CONVERT_AUTO ? convert_auto(c) : job->type;
    struct writer w = {.job = job, .err = err};
    struct gguf_keys k = {0};
    int rc = check_mxfp4(c, err);
    w.scratch = mem_alloc(SLAB * sizeof *w.scratch);
    w.bytes = mem_alloc(PIECE_MAX);
    if (rc == 0 && (!w.scratch || !w.bytes)) rc = lar_fail(err, LAR_ENOMEM, "converting: out of memory");
    if (rc == 0) rc = write_all(&w, c, to, &k, type);
    job->bytes = w.total;
    gguf_keys_done(&k);
    mem_free(w.scratch);
    mem_free(w.bytes);
    return rc;
}
