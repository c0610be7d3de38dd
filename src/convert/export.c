/* SPDX-License-Identifier: Apache-2.0
 *
 * convert/export.c: which class of transformers' a GGUF is, which tensors its folder will have, and the proof that this folder is the same model:
 * convert's own plan and keys, made from what will be written, are compared with the file.
 */
#include "convert/export.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "base/sort.h"
#include "convert/family_table.h"
#include "convert/meta.h"

/* Classes of one architecture are told apart by a key that must (or must not) be there, or a tensor of a layer. */
static const struct {
    const char *hf, *tail;
    int is;
} signs[] = {
    {"LlamaForCausalLM", "expert_count", 0},
    {"LlamaForCausalLM", "attention.sliding_window", 0},
    {"MistralForCausalLM", "expert_count", 0},
    {"MixtralForCausalLM", "expert_count", 1},
    {"Olmo2ForCausalLM", "attention.sliding_window", 0},
    {"Olmo3ForCausalLM", "attention.sliding_window", 1},
    {"GraniteMoeForCausalLM", "expert_shared_feed_forward_length", 0},
    {"GraniteMoeSharedForCausalLM", "expert_shared_feed_forward_length", 1},
    {"GraniteForCausalLM", "rope.scaling.finetuned", 0},
    {"GraniteMoeForCausalLM", "rope.scaling.finetuned", 0},
    {"GraniteMoeSharedForCausalLM", "rope.scaling.finetuned", 0},
    {"DeepseekV2ForCausalLM", "exp_probs_b.bias", 0},
    {"DeepseekV3ForCausalLM", "exp_probs_b.bias", 1},
};

static int is_there(const struct gguf *g, const char *arch, const char *tail)
{
    char key[160];
    snprintf(key, sizeof key, "%s.%s", arch, tail);
    if (gguf_find(g, key)) return 1;
    for (size_t i = 0; i < g->ntensor; i++)
        if (str_ends(g->tensor[i].name, str_of(tail))) return 1;
    return 0;
}

static int fits(const struct export *e, struct str arch, const struct family *f, struct str hf)
{
    char z[64];
    snprintf(z, sizeof z, "%.*s", (int)arch.n, arch.p);
    int hybrid = !strcmp(f->arch, "granitehybrid") && str_starts(arch, STR("granite"));
    if (!str_is(arch, f->arch) && !hybrid) return 0;
    for (size_t i = 0; i < sizeof signs / sizeof *signs; i++)
        if (str_is(hf, signs[i].hf) && is_there(&e->g, z, signs[i].tail) != signs[i].is) return 0;
    return !(f->flags & FAMILY_READS) || export_reader_fits(e, hf);
}

/* ---- the source's tensors ------------------------------------------------------------------------------------------ */

enum { TENSORS_MAX = 1 << 20 };

struct maker {
    struct export *e;
    struct lar_err *err;
    size_t cap;
    const float *xielu; /* the next constant */
};

static int unknown(struct maker *m, struct str name)
{
    return lar_fail(m->err, LAR_EUNSUPPORTED,
                    "tensor %.*s has no name in a %.*s that lar convert knows", STR_ARG(name),
                    STR_ARG(m->e->hf));
}

static int add(struct maker *m, const char *bare, int ndim, const int64_t *dim, const void *data)
{
    struct export *e = m->e;
    static const char *const outside[] = {"lm_head", "embed_out", "classifier", "pre_classifier", "head."};
    int top = e->f->flags & FAMILY_READS && str_ends(e->hf, STR("Model")); /* the encoder alone */
    for (size_t i = 0; i < sizeof outside / sizeof *outside; i++) top |= str_starts(str_of(bare), str_of(outside[i]));
    /* DistilBERT's layers stand one deeper than the rest of it; to read them that is a prefix like others. */
    int deeper = e->f->names == distilbert_names && str_starts(str_of(bare), STR("layer."));
    char name[200];
    int n = snprintf(name, sizeof name, "%s%s%s",
                     top            ? ""
                     : e->f->prefix ? e->f->prefix
                                    : "model.",
                     deeper ? "transformer." : "", bare);
    struct weights *w = &e->w;
    if (w->n >= TENSORS_MAX) return lar_fail(m->err, LAR_ELIMIT, "more than %d tensors", TENSORS_MAX);
    if (w->n == m->cap) {
        size_t cap = m->cap ? 2 * m->cap : 512;
        struct weight *more = arena_array(&e->a, cap, sizeof *more);
        if (more && w->n) memcpy(more, w->w, w->n * sizeof *more);
        if (!more) return lar_fail(m->err, LAR_ENOMEM, "table of tensors: out of memory");
        w->w = more;
        m->cap = cap;
    }
    struct weight *t = &w->w[w->n];
    *t = (struct weight){.type = WEIGHT_F32, .ndim = ndim, .n = 1, .data = data};
    t->name = (struct str){arena_copy(&e->a, name, (size_t)n), (size_t)n};
    if (!t->name.p) return lar_fail(m->err, LAR_ENOMEM, "table of tensors: out of memory");
    for (int i = 0; i < WEIGHT_DIMS; i++) t->dim[i] = i < ndim ? dim[i] : 1;
    for (int i = 0; i < ndim; i++) /* what is put together of two tensors that do not fit may be anything */
        if (dim[i] < 1 || __builtin_mul_overflow(t->n, dim[i], &t->n))
            return lar_fail(m->err, LAR_EFORMAT, "tensor %s: its shape cannot be", name);
    w->n++;
    return 0;
}

/* The partner of a tensor that two are made to: the one with the rule's other name. */
static const struct gguf_tensor *other(const struct maker *m, const struct name_rule *r,
                                       const struct family_match *f, int which)
{
    struct str to = family_part(r->to, which);
    char name[200];
    if (f->layer >= 0)
        snprintf(name, sizeof name, "blk.%" PRId64 ".%.*s%.*s", f->layer, (int)to.n, to.p,
                 (int)f->suffix.n, f->suffix.p);
    else
        snprintf(name, sizeof name, "%.*s%.*s", (int)to.n, to.p, (int)f->suffix.n, f->suffix.p);
    return gguf_tensor(&m->e->g, name);
}

/* Expert i's name: the rule's with * as i. bare has 0 for it. */
static int stacked(struct maker *m, const struct name_rule *r, const struct family_match *f,
                   const struct gguf_tensor *t, const int64_t *d)
{
    int64_t n = t->ndim > 1 ? t->dim[t->ndim - 1] : 1;
    if (n > 1 << 16)
        return lar_fail(m->err, LAR_ELIMIT, "tensor %.*s: %" PRId64 " experts", STR_ARG(t->name),
                        n);
    for (int64_t i = 0; i < n; i++) {
        char bare[200];
        size_t k = 0;
        for (const char *p = r->from; *p && k < 150; p++)
            if (*p == '#' || *p == '*')
                k += (size_t)snprintf(bare + k, 200 - k, "%" PRId64, *p == '#' ? f->layer : i);
            else
                bare[k++] = *p;
        snprintf(bare + k, 200 - k, "%.*s", (int)f->suffix.n, f->suffix.p);
        int rc = add(m, bare, t->ndim - 1, d + 1, NULL);
        if (rc < 0) return rc;
    }
    return 0;
}

/* The shape that the source had, outermost first: what plan.c does to it, undone. */
static int undo(struct maker *m, const struct name_rule *r, const struct family_match *f,
                const struct gguf_tensor *t, const char *bare)
{
    int64_t d[4], s[4];
    int n = t->ndim;
    for (int i = 0; i < n; i++) s[i] = d[i] = t->dim[n - 1 - i];
    const struct gguf_tensor *two = strchr(r->to, '|') ? other(m, r, f, 1) : NULL;
    if (strchr(r->to, '|') && (!two || two->ndim != n)) return unknown(m, t->name);
    switch (r->how) {
    case HOW_COLUMN:
    case HOW_COLUMN_NEG_EXP:
    case HOW_GROUPS: s[0] = d[0] * (n > 1 ? d[1] : 1), n = 1; break;
    case HOW_TRANSPOSE:
        if (n == 2) s[0] = d[1], s[1] = d[0];
        break;
    case HOW_STACK: return stacked(m, r, f, t, d);
    case HOW_HALVES: s[n > 2] = 2 * d[n > 2]; break;
    case HOW_TURNS:
        s[n - 1] = 2 * d[1];
        if (n == 3) s[1] = d[2];
        break;
    case HOW_FLIP:
        if (n == 3) s[1] = d[2], s[2] = d[1];
        break;
    case HOW_QKVZ: s[0] = d[0] + two->dim[n - 1]; break;
    case HOW_POSITIONS:
        s[0] = (int64_t)fmin(fmax(json_num(config_find(&m->e->c, "pad_token_id"), 1), 0), 1 << 20) + 1;
        if (__builtin_add_overflow(s[0], d[0], &s[0])) return unknown(m, t->name);
        break;
    case HOW_KV_B:
        if (n != 3) return unknown(m, t->name);
        if (__builtin_mul_overflow(d[0], d[2] + two->dim[1], &s[0])) return unknown(m, t->name);
        s[1] = d[1], n = 2;
        break;
    case HOW_MXFP4:
    case HOW_XIELU: return unknown(m, t->name);
    default: break;
    }
    if (strstr(r->from, "conv") && n == 2 && str_is(f->suffix, ".weight") &&
        !strstr(r->from, "_proj"))
        s[2] = s[1], s[1] = 1, n = 3;
    return add(m, bare, n, s, NULL);
}

/* Computed by convert from config.json. */
static int is_made(struct str name)
{
    return str_is(name, "rope_freqs.weight") || str_is(name, "rope_factors_long.weight") ||
           str_is(name, "rope_factors_short.weight");
}

/* Constants of an activation, which are keys: {alpha_p, alpha_n, beta, eps} of each layer. */
static int constants(struct maker *m)
{
    static const char *const name[] = {"alpha_p", "alpha_n", "beta", "eps"};
    for (int k = 0; k < 4; k++) {
        char key[64];
        snprintf(key, sizeof key, "xielu.%s", name[k]);
        const struct gguf_kv *kv = gguf_find(&m->e->g, key);
        if (!kv || kv->type != GGUF_ARRAY || kv->etype != GGUF_F32) continue;
        float *v = arena_array(&m->e->a, (size_t)kv->count, sizeof *v);
        if (!v) return lar_fail(m->err, LAR_ENOMEM, "%s: out of memory", key);
        for (uint64_t i = 0; i < kv->count; i++) {
            char bare[96];
            v[i] = (float)gguf_num_at(kv, i);
            snprintf(bare, sizeof bare, "layers.%" PRIu64 ".mlp.act_fn.%s", i, name[k]);
            int rc = add(m, bare, k < 2 ? 1 : 0, (int64_t[]){1}, &v[i]);
            if (rc < 0) return rc;
        }
    }
    return 0;
}

static int make_weights(struct export *e, struct lar_err *err)
{
    struct maker m = {.e = e, .err = err};
    e->w.n = 0;
    for (size_t i = 0; i < e->g.ntensor; i++) {
        const struct gguf_tensor *t = &e->g.tensor[i];
        struct family_match f;
        char bare[160];
        int which, rc;
        if (is_made(t->name) || export_reader_beside(e, t->name)) continue;
        const struct name_rule *r = family_source(e->f, t->name, &f, &which, bare);
        if (!r) return unknown(&m, t->name);
        if (which > 0) {
            if (!other(&m, r, &f, 0)) return unknown(&m, t->name);
            continue;
        }
        if ((rc = undo(&m, r, &f, t, bare)) < 0) return rc;
    }
    return strcmp(e->f->arch, "apertus") ? 0 : constants(&m);
}

/* ---- the proof ------------------------------------------------------------------------------------------------------- */

static int near(float a, float b)
{
    return fabsf(a - b) <= 1e-6F * fabsf(b) || !(fabsf(a - b) > 0);
}

static int same_tensors(struct export *e, struct lar_err *err)
{
    const struct plan *p = &e->p;
    e->from = arena_array(&e->a, p->n + 1, sizeof(struct gguf_tensor *)); /* zeroed */
    if (!e->from) return lar_fail(err, LAR_ENOMEM, "table of tensors: out of memory");
    size_t made = 0;
    for (size_t i = 0; i < p->n; i++) {
        const struct output *o = &p->out[i];
        char name[200];
        snprintf(name, sizeof name, "%.*s", (int)o->name.n, o->name.p);
        const struct gguf_tensor *t = gguf_tensor(&e->g, name);
        int same = t != NULL && (!o->made || (t->type == DT_F32 && (uintptr_t)t->data % 4 == 0));
        for (int k = 0; same && k < 4; k++) same = o->dim[k] == t->dim[k];
        for (int64_t k = 0; same && o->made && k < o->n; k++)
            same = near(o->made[k], ((const float *)(const void *)t->data)[k]);
        if (!same)
            return lar_fail(err, LAR_EUNSUPPORTED, "tensor %s: %s", name,
                            !t        ? "is missing"
                            : o->made ? "its factors are none that config.json can say"
                                      : "has another shape than config.json says");
        if (!o->made) e->from[i] = t;
        made++;
    }
    if (made == e->g.ntensor) return 0;
    for (size_t i = 0; i < e->g.ntensor; i++) {
        int there = 0;
        for (size_t k = 0; k < p->n && !there; k++)
            there = str_eq(p->out[k].name, e->g.tensor[i].name);
        if (!there && !export_reader_beside(e, e->g.tensor[i].name))
            return lar_fail(err, LAR_EUNSUPPORTED, "tensor %.*s has no place in the folder",
                            STR_ARG(e->g.tensor[i].name));
    }
    return 0;
}

static int strings_equal(const struct gguf_kv *a, const struct gguf_kv *b)
{
    for (uint64_t i = 0; i < a->count; i++)
        if (!str_eq(gguf_str_at(a, i), gguf_str_at(b, i))) return 0;
    return 1;
}

static int same_value(const struct gguf_kv *a, const struct gguf_kv *b)
{
    enum gguf_type ta = a->type == GGUF_ARRAY ? a->etype : a->type,
                   tb = b->type == GGUF_ARRAY ? b->etype : b->type;
    int sa = ta == GGUF_STRING, sb = tb == GGUF_STRING;
    if (sa || sb)
        return sa && sb && a->count == b->count && strings_equal(a, b);
    for (uint64_t i = 0; i < a->count || i < b->count; i++) { /* a scalar is an array of the same */
        uint64_t k = a->type == GGUF_ARRAY ? i : 0, l = b->type == GGUF_ARRAY ? i : 0;
        if (k >= a->count || l >= b->count) return 0;
        double x = ta == GGUF_BOOL ? (double)gguf_int_at(a, k) : gguf_num_at(a, k);
        double y = tb == GGUF_BOOL ? (double)gguf_int_at(b, l) : gguf_num_at(b, l);
        if (!(fabs(x - y) <= 1e-6 * fabs(y)) && (x < y || x > y)) return 0;
    }
    return 1;
}

/* What readers of a file take for granted, so that some writers leave it out and others say it. */
static int is_usual(const struct gguf *g, const char *arch, struct str tail,
                    const struct gguf_kv *kv)
{
    char key[160];
    int64_t heads = 0, width = 0;
    snprintf(key, sizeof key, "%s.attention.head_count", arch);
    (void)gguf_i64(g, key, &heads, NULL);
    snprintf(key, sizeof key, "%s.embedding_length", arch);
    (void)gguf_i64(g, key, &width, NULL);
    double v = kv->type == GGUF_STRING || kv->type == GGUF_ARRAY ? -1
               : kv->type == GGUF_BOOL                           ? (double)gguf_int_at(kv, 0)
                                                                 : gguf_num_at(kv, 0);
    double head = heads > 0 ? (double)width / (double)heads : 0;
    if (str_is(tail, "vocab_size")) return 1; /* the embedding's */
    if (str_is(tail, "rope.freq_base")) return fabs(v - 10000) < 1e-3;
    if (str_is(tail, "rope.dimension_count") || str_is(tail, "attention.key_length") ||
        str_is(tail, "attention.value_length"))
        return fabs(v - head) < 1e-9;
    if (str_is(tail, "attention.head_count_kv")) return fabs(v - (double)heads) < 1e-9;
    if (str_is(tail, "attention.causal")) return v > 0 ? !strstr(arch, "bert") : strstr(arch, "bert") != NULL;
    if (str_is(tail, "pooling_type")) /* a missing one, where what follows is a head */
        return fabs(v - 4) < 1e-9 && gguf_tensor(g, "cls.weight") && gguf_tensor(g, "cls.output.weight");
    if (str_is(tail, "rope.scaling.type") && !strcmp(arch, "modern-bert"))
        return kv->type == GGUF_STRING && str_is(gguf_str_at(kv, 0), "none");
    if (str_is(tail, "rope.scaling.finetuned") || str_is(tail, "expert_weights_norm") ||
        str_is(tail, "rope.scaling.type"))
        return 0;
    return str_is(tail, "tensor_data_layout");
}

static int same_keys(struct export *e, const struct gguf *ours, struct lar_err *err)
{
    char key[160];
    size_t n = strlen(e->f->arch);
    for (size_t i = 0; i < e->g.nkv; i++) {
        const struct gguf_kv *b = &e->g.kv[i], *a;
        int own = b->key.n > n && !memcmp(b->key.p, e->f->arch, n) && b->key.p[n] == '.';
        if ((!own && !str_starts(b->key, STR("xielu.")) && !str_starts(b->key, STR("lar."))) || b->key.n >= sizeof key)
            continue;
        snprintf(key, sizeof key, "%.*s", (int)b->key.n, b->key.p);
        a = gguf_find(ours, key);
        if (a ? same_value(a, b) : own && is_usual(&e->g, e->f->arch, str_from(b->key, n + 1), b))
            continue;
        return lar_fail(err, LAR_EUNSUPPORTED, "key %s: no config.json of a %.*s says this", key,
                        STR_ARG(e->hf));
    }
    for (size_t i = 0; i < ours->nkv; i++) {
        const struct gguf_kv *a = &ours->kv[i];
        if (!str_starts(a->key, str_of(e->f->arch)) || a->key.n <= n || a->key.p[n] != '.')
            continue;
        snprintf(key, sizeof key, "%.*s", (int)(a->key.n < 159 ? a->key.n : 159), a->key.p);
        if (gguf_find(&e->g, key) || is_usual(&e->g, e->f->arch, str_from(a->key, n + 1), a))
            continue;
        if (str_is(str_from(a->key, n + 1), "full_attention_interval") ||
            str_is(str_from(a->key, n + 1), "rope.dimension_sections") ||
            str_is(str_from(a->key, n + 1),
                   "attention.sliding_window_pattern")) /* readers know these by heart */
            continue;
        return lar_fail(err, LAR_EUNSUPPORTED, "key %s is missing; a %.*s has it", key,
                        STR_ARG(e->hf));
    }
    return 0;
}

static int check_keys(struct export *e, struct lar_err *err)
{
    struct gguf_keys k = {0};
    struct gguf ours = {0};
    struct buf image = {0};
    uint64_t count[2] = {0, 0};
    int rc = meta_write(&k, &e->p, e->f, &e->c, -1, err); /* adds computed tensors */
    if (rc == 0) {
        count[1] = k.n;
        buf_add(&image, "GGUF\3\0\0", 8);
        buf_add(&image, count, sizeof count);
        buf_str(&image, buf_view(&k.b));
        if (image.failed || k.b.failed) rc = lar_fail(err, LAR_ENOMEM, "keys: out of memory");
    }
    if (rc == 0) rc = gguf_open_memory(&ours, image.p, image.n, err);
    if (rc == 0) {
        rc = same_keys(e, &ours, err);
        gguf_close(&ours);
    }
    if (rc == 0) rc = same_tensors(e, err);
    gguf_keys_done(&k);
    buf_done(&image);
    return rc;
}

/* ---- opening --------------------------------------------------------------------------------------------------------- */

static int by_name(const void *ctx, uint32_t a, uint32_t b)
{
    const struct weight *w = ctx;
    return str_cmp(w[a].name, w[b].name);
}

static int sort(struct export *e, struct lar_err *err)
{
    size_t n = e->w.n;
    uint32_t *order = arena_array(&e->a, n + 1, sizeof *order);
    struct weight *to = arena_array(&e->a, n + 1, sizeof *to);
    if (!order || !to || n > UINT32_MAX / 2) return lar_fail(err, LAR_ENOMEM, "table of tensors: out of memory");
    for (size_t i = 0; i < n; i++) order[i] = (uint32_t)i;
    sort_u32(order, n, by_name, e->w.w);
    for (size_t i = 0; i < n; i++) to[i] = e->w.w[order[i]];
    e->w.w = to;
    return 0;
}

static int attempt(struct export *e, const struct family *row, int which, struct str arch,
                   struct lar_err *err)
{
    e->f = row;
    e->hf = family_part(row->hf, which);
    e->type = family_part(row->type, which);
    /* a hybrid none of whose layers is a state space has the keys of another architecture */
    if (!str_is(arch, row->arch))
        e->f = str_is(arch, "granite") ? &family_granite_dense : &family_granite_moe;
    int rc = export_config(e, err);
    if (rc == 0) {
        buf_puts(&e->text, "\n}\n");
        rc = config_parse(&e->c, buf_view(&e->text), err);
        e->text.n -= 3;
    }
    const struct family *found = NULL;
    if (rc == 0) rc = export_reader_give(e, err);
    if (rc == 0) rc = export_sentence(e, err);
    if (rc == 0) rc = family_find(&found, &e->c, err);
    if (rc == 0 && !str_is(arch, found->arch))
        rc = lar_fail(err, LAR_EUNSUPPORTED, "its keys are those of a %s", found->arch);
    if (rc == 0) {
        e->f = found;
        rc = make_weights(e, err);
    }
    if (rc == 0) rc = sort(e, err);
    if (rc == 0) rc = plan_make(&e->p, e->f, &e->c, &e->w, &e->a, err);
    return rc == 0 ? check_keys(e, err) : rc;
}

static int find_class(struct export *e, struct lar_err *err)
{
    struct str arch = STR("");
    struct lar_err why = {0};
    struct str kind = STR("");
    int known = 0, rc = 0;
    (void)gguf_str(&e->g, "general.architecture", &arch, NULL);
    (void)gguf_str(&e->g, "general.type", &kind, NULL);
    if (str_is(kind, "adapter"))
        return lar_fail(err, LAR_EINVAL, "is an adapter; --lora BASE says of which model, a folder or a .gguf");
    const struct family *last = &family_gemma_embedding;
    for (const struct family *f = family_table; f; f = f == last ? NULL : f[1].hf ? f + 1 : last)
        for (int i = 0; family_part(f->type, i).n; i++) {
            if (!fits(e, arch, f, family_part(f->hf, i))) continue;
            if (e->c.root) config_close(&e->c);
            known = 1;
            if ((rc = attempt(e, f, i, arch, &why)) == 0) return 0;
            if (rc == LAR_ENOMEM) return lar_fail(err, rc, "%s", why.msg);
        }
    if (known) return lar_fail(err, rc, "cannot be exported: %s", why.msg);
    const struct family *reads = family_of(arch);
    if (reads && reads->flags & FAMILY_READS)
        return lar_fail(err, LAR_EUNSUPPORTED,
                        "cannot be exported: no class of transformers' %.*s has its vocabulary and what follows its "
                        "last layer (a score without its first layer, cls.weight, is one that ggml's converter made)",
                        STR_ARG(arch));
    return lar_fail(
        err, LAR_EUNSUPPORTED,
        "cannot be exported: the architecture \"%.*s\" has no class of transformers that lar knows",
        STR_ARG(arch));
}

int export_open_gguf(struct export *e, struct gguf *g, const char *path, struct lar_err *err)
{
    struct lar_err why = {0};
    *e = (struct export){.g = *g};
    arena_init(&e->a, 0);
    *g = (struct gguf){0};
    int rc = find_class(e, &why);
    if (rc < 0) lar_fail(err, rc, "%s: %s", path, why.msg);
    if (rc < 0) export_close(e);
    return rc < 0 ? rc : 0;
}

int export_open(struct export *e, const char *path, struct lar_err *err)
{
    struct gguf g;
    *e = (struct export){.from = NULL};
    int rc = gguf_open(&g, path, err);
    return rc < 0 ? rc : export_open_gguf(e, &g, path, err);
}

void export_close(struct export *e)
{
    if (e->g.part || e->g.kv) gguf_close(&e->g);
    if (e->c.root) config_close(&e->c);
    buf_done(&e->text);
    buf_done(&e->pooling);
    buf_done(&e->modules);
    buf_done(&e->sentence);
    buf_done(&e->prompts);
    arena_done(&e->a);
    *e = (struct export){.from = NULL};
}
