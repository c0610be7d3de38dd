/* SPDX-License-Identifier: Apache-2.0
 *
 * convert/export_lora.c: an adapter GGUF as PEFT's folder. As with models nothing is described twice: the matrices' names come from the family's
 * table read backwards, convert's own plan says how each half was rearranged, and the values go through its views the other way. The numbers that
 * this needs (heads) are the base's: an adapter has none. What rank and factor differ in goes into rank_pattern and alpha_pattern by full names.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/cpu.h"
#include "base/half.h"
#include "convert/export.h"
#include "convert/lora.h"
#include "io/safetensors.h"
#include "kern/kern.h"

/* A matrix of the source; two of the GGUF may be one. */
struct half {
    const struct gguf_tensor *a, *b;
    struct str path; /* "model.layers.0.self_attn.q_proj" */
    int64_t rank, in, out;
    int layer, columns, turned; /* is in a layer; a is what is rearranged; the base has it turned */
};

struct job {
    struct gguf g;
    struct lora l; /* the base; and the plan */
    struct export_job *j;
    const char *from;
    struct half *half;
    struct weights w; /* what is rearranged, one of each */
    size_t n;
    float alpha; /* 0: the factor is 1 */
    struct kern kern;
    struct lar_err *err;
};

static int no_memory(struct job *x)
{
    return lar_fail(x->err, LAR_ENOMEM, "adapter: out of memory");
}

static int odd(struct job *x, struct str name, const char *what)
{
    return lar_fail(x->err, LAR_EUNSUPPORTED, "%s: tensor %.*s: %s", x->from, STR_ARG(name), what);
}

/* ---- what there is ------------------------------------------------------------------------------------------------------ */

static int check_keys(struct job *x)
{
    struct str kind = STR(""), type = STR(""), arch = STR("");
    int rc;
    if ((rc = gguf_str(&x->g, "general.type", &kind, x->err)) < 0 ||
        (rc = gguf_str(&x->g, "adapter.type", &type, x->err)) < 0 ||
        (rc = gguf_str(&x->g, "general.architecture", &arch, x->err)) < 0 ||
        (rc = gguf_f32(&x->g, "adapter.lora.alpha", &x->alpha, x->err)) < 0)
        return rc;
    if (!str_is(kind, "adapter") || !str_is(type, "lora"))
        return lar_fail(x->err, LAR_EUNSUPPORTED,
                        "%s: is no LoRA adapter; a model is exported without a base", x->from);
    if (gguf_find(&x->g, "adapter.alora.invocation_tokens"))
        return lar_fail(x->err, LAR_EUNSUPPORTED,
                        "%s: works from certain tokens on only (aLoRA), which Lar cannot do",
                        x->from);
    if (!isfinite(x->alpha) || x->alpha < 0)
        return lar_fail(x->err, LAR_EFORMAT,
                        "%s: adapter.lora.alpha is no number that a factor can be", x->from);
    if (!str_is(arch, x->l.f->arch))
        return lar_fail(x->err, LAR_EINVAL, "%s: is an adapter of a %.*s, and %s is a %s", x->from,
                        STR_ARG(arch), buf_z(&x->l.base.folder), x->l.f->arch);
    if (x->l.f->flags & FAMILY_FACTORS)
        return lar_fail(
            x->err, LAR_EUNSUPPORTED,
            "%s: factors of config.json are in an adapter of a %s, which would have to be divided out again",
            x->from, x->l.f->arch);
    return 0;
}

static const struct gguf_tensor *find(struct job *x, struct str stem, const char *tail)
{
    char name[300];
    snprintf(name, sizeof name, "%.*s%s", (int)(stem.n < 250 ? stem.n : 250), stem.p, tail);
    return gguf_tensor(&x->g, name);
}

static void values(struct job *x, const struct gguf_tensor *t, float *to)
{
    size_t n = (size_t)(t->dim[0] * t->dim[1]);
    if (t->type == DT_F32)
        memcpy(to, t->data, n * 4);
    else
        x->kern.type[t->type].dequant(n, t->data, to);
}

static int can_read(struct job *x, const struct gguf_tensor *t)
{
    if (t->type != DT_F32 && !x->kern.type[t->type].dequant)
        return odd(x, t->name, "is of a type whose values lar cannot read");
    return t->ndim == 2 ? 0
                        : odd(x, t->name, "is no matrix; PEFT's folder has one for each expert");
}

/* Tensors that two are made from: the other one's name, in the same layer. */
static const struct gguf_tensor *partner(struct job *x, const struct name_rule *r,
                                         const struct family_match *m, int which, const char *tail)
{
    struct str to = family_part(r->to, which);
    char stem[200];
    int n = m->layer >= 0
                ? snprintf(stem, sizeof stem, "blk.%" PRId64 ".%.*s.weight", m->layer, STR_ARG(to))
                : snprintf(stem, sizeof stem, "%.*s.weight", STR_ARG(to));
    return find(x, (struct str){stem, (size_t)n}, tail);
}

static int same_bytes(const struct gguf_tensor *a, const struct gguf_tensor *b)
{
    return a->type == b->type && a->bytes == b->bytes && a->dim[0] == b->dim[0] &&
           !memcmp(a->data, b->data, a->bytes);
}

static int add(struct job *x, const struct gguf_tensor *a)
{
    struct str stem = {a->name.p, a->name.n - strlen(".lora_a")};
    struct half *h = &x->half[x->n];
    struct weight *w = &x->w.w[x->n];
    struct family_match m;
    char bare[160], name[240];
    int which, rc;
    *h = (struct half){.a = a, .b = find(x, stem, ".lora_b"), .in = a->dim[0], .rank = a->dim[1]};
    if (!h->b || h->b->dim[0] != h->rank)
        return odd(x, a->name, "its other half is missing or does not fit");
    if ((rc = can_read(x, a)) < 0 || (rc = can_read(x, h->b)) < 0) return rc;
    const struct name_rule *r = family_source(x->l.f, stem, &m, &which, bare);
    if (!r || !str_is(m.suffix, ".weight")) return odd(x, a->name, "has no name in this family");
    h->out = h->b->dim[1];
    if (strchr(r->to, '|')) {
        const struct gguf_tensor *a2 = partner(x, r, &m, !which, ".lora_a"),
                                 *b2 = partner(x, r, &m, !which, ".lora_b");
        if (!a2 || !b2 || b2->ndim != 2 || b2->dim[0] != h->rank || !same_bytes(a, a2) ||
            __builtin_add_overflow(h->out, b2->dim[1], &h->out))
            return odd(x, a->name, "does not fit the other one that makes one matrix with it");
        if (which > 0) return 0;
    }
    h->layer = m.layer >= 0;
    h->columns = r->how == HOW_V_COLUMNS;
    h->turned = r->how == HOW_TRANSPOSE;
    int top =
        str_starts(str_of(bare), STR("lm_head")) || str_starts(str_of(bare), STR("embed_out"));
    int n = snprintf(name, sizeof name, "%s%s",
                     top              ? ""
                     : x->l.f->prefix ? x->l.f->prefix
                                      : "model.",
                     bare);
    char *own = arena_copy(&x->l.a, name, (size_t)n);
    if (!own) return no_memory(x);
    h->path = (struct str){own, (size_t)n - strlen(".weight")};
    *w = (struct weight){.name = {own, (size_t)n},
                         .type = WEIGHT_F32,
                         .ndim = 2,
                         .dim = {h->out, h->rank, 1, 1, 1, 1, 1, 1}};
    if (h->columns) w->dim[0] = h->rank, w->dim[1] = h->in;
    if (__builtin_mul_overflow(w->dim[0], w->dim[1], &w->n) || w->n < 1)
        return odd(x, a->name, "its shape cannot be");
    x->n = ++x->w.n;
    return 0;
}

static int read_all(struct job *x)
{
    size_t n = x->g.ntensor, na = 0;
    x->half = arena_array(&x->l.a, n + 1, sizeof *x->half);
    x->w.w = arena_array(&x->l.a, n + 1, sizeof *x->w.w);
    if (!x->half || !x->w.w) return no_memory(x);
    for (size_t i = 0; i < n; i++) {
        const struct gguf_tensor *t = &x->g.tensor[i];
        int a = str_ends(t->name, STR(".lora_a")), rc = 0;
        if (!a && !str_ends(t->name, STR(".lora_b")))
            return odd(x, t->name, "is no half of an adapter");
        na += (size_t)a;
        if (a && (rc = add(x, t)) < 0) return rc;
    }
    if (2 * na != n || !x->n)
        return lar_fail(x->err, LAR_EFORMAT, "%s: %zu first halves of %zu tensors", x->from, na, n);
    return 0;
}

/* The plan's outputs are the file's tensors. */
static int check_plan(struct job *x)
{
    for (size_t i = 0; i < x->l.p.n; i++) {
        const struct output *o = &x->l.p.out[i];
        const struct gguf_tensor *t =
            find(x, o->name, x->half[o->piece[0].w - x->w.w].columns ? ".lora_a" : ".lora_b");
        if (!t || t->ndim != 2 || t->dim[0] != o->dim[0] || t->dim[1] != o->dim[1])
            return odd(x, o->name, "its shape is not what the base's numbers say");
    }
    return 0;
}

/* ---- the files ---------------------------------------------------------------------------------------------------------- */

/* What all of them are, where that is a float. */
static enum convert_type usual_type(const struct job *x)
{
    enum dtype t = x->g.tensor[0].type;
    for (size_t i = 0; i < x->g.ntensor; i++)
        if (x->g.tensor[i].type != t) return CONVERT_F32;
    return t == DT_F16 ? CONVERT_F16 : t == DT_BF16 ? CONVERT_BF16 : CONVERT_F32;
}

static int is_rounded(const struct job *x, const struct gguf_tensor *t, const float *v, int64_t n)
{
    if (t->type != DT_F32 && t->type != DT_F16 && t->type != DT_BF16) return 1;
    for (int64_t i = 0; i < n; i++) {
        float back = x->j->used == CONVERT_F16    ? half_to_f32(half_from_f32(v[i]))
                     : x->j->used == CONVERT_BF16 ? bf16_to_f32(bf16_from_f32(v[i]))
                                                  : v[i];
        if (bits_f32(back) != bits_f32(v[i])) return 1;
    }
    return 0;
}

/* A tensor of the GGUF to its place: through o's views, or as it is. */
static int put(struct job *x, const struct gguf_tensor *t, const struct output *o,
               const struct weight *w)
{
    int64_t n = t->dim[0] * t->dim[1];
    float *v = mem_alloc((size_t)n * sizeof *v);
    int rc = v ? 0 : no_memory(x);
    if (v) values(x, t, v);
    for (int64_t i = 0; i < n && rc == 0; i++)
        if (!isfinite(v[i]))
            rc = lar_fail(x->err, LAR_EFORMAT, "%s: tensor %.*s: value %" PRId64 " is no number",
                          x->from, STR_ARG(t->name), i);
    if (rc == 0) {
        x->j->rounded += (size_t)is_rounded(x, t, v, n);
        if (o)
            plan_write(o, 0, n, v);
        else
            weight_write(w, 0, 1, n, v);
    }
    mem_free(v);
    return rc;
}

static int write_all(struct job *x, uint8_t *at)
{
    enum weight_type type = x->j->used == CONVERT_F32   ? WEIGHT_F32
                            : x->j->used == CONVERT_F16 ? WEIGHT_F16
                                                        : WEIGHT_BF16;
    int64_t size = weight_size(type);
    int rc = 0;
    for (size_t i = 0; i < x->n && rc == 0; i++) {
        const struct half *h = &x->half[i];
        struct weight other = {.type = type, .n = h->columns ? h->out * h->rank : h->rank * h->in};
        uint8_t *b = at + h->rank * h->in * size;
        x->w.w[i].type = type;
        x->w.w[i].data = h->columns ? at : b;
        other.data = h->columns ? b : at;
        rc = put(x, h->columns ? h->b : h->a, NULL, &other);
        at = b + h->out * h->rank * size;
    }
    for (size_t i = 0; i < x->l.p.n && rc == 0; i++) {
        const struct output *o = &x->l.p.out[i];
        rc = put(x,
                 find(x, o->name, x->half[o->piece[0].w - x->w.w].columns ? ".lora_a" : ".lora_b"),
                 o, NULL);
    }
    return rc;
}

static int write_weights(struct job *x, const char *folder)
{
    struct safetensors_spec *s = arena_array(&x->l.a, 2 * x->n, sizeof *s);
    struct safetensors_writer *w = NULL;
    const char *type = weight_type_name(x->j->used == CONVERT_F32   ? WEIGHT_F32
                                        : x->j->used == CONVERT_F16 ? WEIGHT_F16
                                                                    : WEIGHT_BF16);
    char path[4400], name[320];
    if (!s) return no_memory(x);
    for (size_t i = 0; i < 2 * x->n; i++) {
        const struct half *h = &x->half[i / 2];
        int b = i % 2, n = snprintf(name, sizeof name, "base_model.model.%.*s.lora_%c.weight",
                                    STR_ARG(h->path), b ? 'B' : 'A');
        s[i] = (struct safetensors_spec){
            .name = arena_copy(&x->l.a, name, (size_t)n), .type = type, .ndim = 2};
        s[i].shape[0] = b ? h->out : h->rank;
        s[i].shape[1] = b ? h->rank : h->in;
        if (!s[i].name) return no_memory(x);
    }
    snprintf(path, sizeof path, "%s/adapter_model.safetensors", folder);
    int rc = safetensors_create(&w, path, s, 2 * x->n, x->err);
    uint8_t *at = rc < 0 ? NULL : safetensors_place(w, &x->j->bytes, x->err);
    if (rc == 0) rc = at ? write_all(x, at) : LAR_EIO;
    if (rc == 0) return safetensors_commit(w, x->err);
    safetensors_abort(w);
    return rc;
}

/* ---- adapter_config.json ------------------------------------------------------------------------------------------------ */

static struct str leaf(struct str path)
{
    size_t n = path.n;
    while (n > 0 && path.p[n - 1] != '.') n--;
    return str_from(path, n);
}

/* Are modules told well enough by the ends of their names: is each end there in every layer? */
static int ends_suffice(const struct job *x)
{
    for (size_t i = 0; i < x->n; i++) {
        int64_t same = 0;
        for (size_t k = 0; k < x->n; k++)
            same += str_eq(leaf(x->half[k].path), leaf(x->half[i].path));
        if (x->half[i].layer && same % x->l.p.nlayer) return 0;
    }
    return 1;
}

static void put_modules(struct buf *b, const struct job *x)
{
    int ends = ends_suffice(x), n = 0;
    buf_puts(b, "  \"target_modules\": [");
    for (size_t i = 0; i < x->n; i++) {
        struct str s = ends ? leaf(x->half[i].path) : x->half[i].path;
        int seen = 0;
        for (size_t k = 0; ends && k < i && !seen; k++) seen = str_eq(leaf(x->half[k].path), s);
        if (seen) continue;
        buf_puts(b, n++ ? ",\n    " : "\n    ");
        buf_json_str(b, s);
    }
    buf_puts(b, "\n  ]");
}

/* Modules whose rank is not the first one's. */
static void put_pattern(struct buf *b, const struct job *x, const char *name)
{
    int n = 0;
    buf_printf(b, ",\n  \"%s\": {", name);
    for (size_t i = 0; i < x->n; i++) {
        if (x->half[i].rank == x->half[0].rank) continue;
        buf_puts(b, n++ ? ",\n    " : "\n    ");
        buf_json_str(b, x->half[i].path);
        buf_printf(b, ": %" PRId64, x->half[i].rank);
    }
    buf_puts(b, n ? "\n  }" : "}");
}

/* A name of Hugging Face's that the file has, or the folder that was given. */
static void put_base(struct buf *b, const struct job *x, const char *base)
{
    struct str url = STR(""), hub = STR("https://huggingface.co/");
    struct stat st;
    (void)gguf_str(&x->g, "general.base_model.0.repo_url", &url, NULL);
    buf_puts(b, ",\n  \"base_model_name_or_path\": ");
    if (str_starts(url, hub) && url.n > hub.n)
        buf_json_str(b, str_from(url, hub.n));
    else if (stat(base, &st) == 0 && S_ISDIR(st.st_mode))
        buf_json_str(b, str_of(base));
    else
        buf_puts(b, "null");
}

static int write_config(struct job *x, const char *folder, const char *base)
{
    struct buf b = {0};
    int turned = 0;
    for (size_t i = 0; i < x->n; i++) turned |= x->half[i].turned;
    buf_puts(&b, "{\n");
    put_modules(&b, x);
    buf_printf(&b,
               ",\n  \"peft_type\": \"LORA\",\n  \"task_type\": \"%s\",\n  \"r\": %" PRId64
               ",\n  \"lora_alpha\": ",
               x->l.f->flags & FAMILY_READS ? "FEATURE_EXTRACTION" : "CAUSAL_LM", x->half[0].rank);
    export_float(&b, x->alpha > 0 ? x->alpha : (float)x->half[0].rank);
    if (b.n > 2 && !b.failed && b.p[b.n - 1] == '0' && b.p[b.n - 2] == '.')
        b.n -= 2; /* PEFT's is whole */
    put_pattern(&b, x, "rank_pattern");
    if (x->alpha > 0)
        buf_puts(&b, ",\n  \"alpha_pattern\": {}");
    else
        put_pattern(&b, x, "alpha_pattern"); /* the factor is 1 */
    put_base(&b, x, base);
    buf_printf(
        &b,
        ",\n  \"fan_in_fan_out\": %s,\n  \"bias\": \"none\",\n  \"lora_dropout\": 0.0,\n  \"use_rslora\": false,\n"
        "  \"use_dora\": false,\n  \"modules_to_save\": null,\n  \"inference_mode\": true\n}\n",
        turned ? "true" : "false");
    int rc =
        b.failed ? no_memory(x) : export_text(folder, "adapter_config.json", buf_view(&b), x->err);
    buf_done(&b);
    return rc;
}

static int work(struct job *x, const char *base, const char *to)
{
    struct export_folder f;
    int rc = lora_base(&x->l, base, x->err);
    if (rc == 0) rc = check_keys(x);
    if (rc == 0) rc = read_all(x);
    if (rc == 0) rc = plan_make_lora(&x->l.p, x->l.f, &x->l.base, &x->w, &x->l.a, x->err);
    if (rc == 0) rc = check_plan(x);
    if (rc < 0) return rc;
    x->j->used = x->j->type == CONVERT_AUTO ? usual_type(x) : x->j->type;
    rc = export_folder_begin(&f, to, x->err);
    if (rc == 0) rc = write_config(x, f.temp, base);
    if (rc == 0) rc = write_weights(x, f.temp);
    return export_folder_end(&f, to, rc, x->err);
}

int export_lora(const char *from, const char *base, const char *to, struct export_job *job,
                const struct family **f, struct lar_err *err)
{
    struct job *x = mem_zalloc(sizeof *x);
    if (!x) return lar_fail(err, LAR_ENOMEM, "adapter: out of memory");
    *x = (struct job){.j = job, .from = from, .err = err};
    arena_init(&x->l.a, 0);
    kern_init(&x->kern, cpu_detect());
    job->rounded = 0;
    job->files = 1;
    int rc = gguf_open(&x->g, from, err);
    if (rc == 0) {
        rc = work(x, base, to);
        gguf_close(&x->g);
    }
    *f = x->l.f;
    size_t n = x->n;
    lora_done(&x->l);
    mem_free(x);
    return rc < 0 ? rc : (int)(2 * n);
}
