/* SPDX-License-Identifier: Apache-2.0
 *
 * convert/lora.c: see lora.h. PEFT names a matrix "base_model.model.<path>" and its halves lora_A.weight [rank][in] and lora_B.weight
 * [out][rank], the factor is alpha / rank or, with use_rslora, alpha / sqrt(rank); MLX has <path>.lora_a [in][rank] and lora_b [rank][out] and a
 * plain factor (PEFT docs, developer_guides/checkpoint; mlx-lm, tuner/lora.py). The GGUF has one alpha for all (llama.cpp, llama-adapter.cpp): a
 * matrix with another factor has it in its b. What such a file cannot say (DoRA, whole modules, embeddings) is refused by name.
 */
#include "convert/lora.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/num.h"
#include "io/gguf_write.h"

struct reader {
    struct lora *l;
    const struct json *settings; /* adapter_config.json */
    int mlx;
    struct lar_err *err;
};

static int no_memory(struct lar_err *err)
{
    return lar_fail(err, LAR_ENOMEM, "adapter: out of memory");
}

/* ---- the base ---------------------------------------------------------------------------------------------------- */

/* config.json's numbers from a GGUF's keys. */
static int base_numbers(struct config *c, const struct gguf *g, struct str arch,
                        struct lar_err *err)
{
    static const struct {
        const char *key, *name;
    } number[] = {
        {"block_count", "num_hidden_layers"},
        {"attention.head_count", "num_attention_heads"},
        {"attention.head_count_kv", "num_key_value_heads"},
        {"ssm.group_count", "linear_num_key_heads"},
        {"ssm.time_step_rank", "linear_num_value_heads"},
        {"ssm.state_size", "linear_key_head_dim"},
    };
    struct buf b = {0}, key = {0};
    uint32_t inner = 0, heads = 0;
    int rc = 0;
    for (size_t i = 0; i < sizeof number / sizeof *number && rc >= 0; i++) {
        uint32_t v = 0;
        buf_clear(&key);
        buf_printf(&key, "%.*s.%s", STR_ARG(arch), number[i].key);
        const struct gguf_kv *kv = gguf_find(g, buf_z(&key));
        if (kv && kv->type == GGUF_ARRAY)
            continue; /* differs from layer to layer: where it is needed, it is missed */
        if ((rc = gguf_u32(g, buf_z(&key), &v, err)) <= 0) continue;
        if (!strcmp(number[i].key, "ssm.time_step_rank")) heads = v;
        buf_printf(&b, "%s\"%s\":%u", b.n ? "," : "{", number[i].name, v);
    }
    buf_clear(&key);
    buf_printf(&key, "%.*s.ssm.inner_size", STR_ARG(arch));
    if (rc >= 0) rc = gguf_u32(g, buf_z(&key), &inner, err);
    if (heads && inner) buf_printf(&b, ",\"linear_value_head_dim\":%u", inner / heads);
    buf_puts(&b, b.n ? "}" : "{}");
    if (rc >= 0) c->root = b.failed ? NULL : json_parse(&c->a, buf_view(&b), err);
    if (rc >= 0 && !c->root) rc = no_memory(err);
    buf_done(&b);
    buf_done(&key);
    return rc < 0 ? rc : 0;
}

static int base_gguf(struct lora *l, const char *path, struct lar_err *err)
{
    struct gguf g;
    struct str arch = STR("");
    int rc = gguf_open(&g, path, err);
    if (rc < 0) return rc;
    arena_init(&l->base.a, (size_t)1 << 30);
    buf_puts(&l->base.folder, path);
    if ((rc = gguf_str(&g, "general.architecture", &arch, err)) >= 0) {
        l->f = family_of(arch);
        if (!l->f || l->f->flags & FAMILY_FACTORS)
            rc = lar_fail(
                err, LAR_EUNSUPPORTED,
                "%s: adapters of architecture \"%.*s\" need the folder that the model was made from as base",
                path, STR_ARG(arch));
    }
    if (rc >= 0) rc = base_numbers(&l->base, &g, arch, err);
    gguf_close(&g);
    return rc;
}

int lora_base(struct lora *l, const char *path, struct lar_err *err)
{
    struct stat st;
    if (stat(path, &st)) return lar_fail_errno(err, "%s: cannot be opened", path);
    if (!S_ISDIR(st.st_mode)) return base_gguf(l, path, err);
    int rc = config_open(&l->base, path, err);
    return rc < 0 ? rc : family_find(&l->f, &l->base, err);
}

/* ---- the adapter's files ------------------------------------------------------------------------------------------ */

static int adapter_open(struct reader *r, const char *path)
{
    static const char *const names[] = {"adapter_model.safetensors", "adapters.safetensors",
                                        "adapter_model.bin"};
    struct lora *l = r->l;
    struct stat st;
    struct str text;
    struct buf folder = {0};
    const char *file = NULL, *slash = strrchr(path, '/');
    if (stat(path, &st)) return lar_fail_errno(r->err, "%s: cannot be opened", path);
    if (S_ISDIR(st.st_mode)) {
        buf_puts(&folder, path);
    } else {
        buf_add(&folder, slash ? path : ".", slash ? (size_t)(slash - path) + (slash == path) : 1);
        file = path;
    }
    int rc = folder.failed ? no_memory(r->err) : config_open(&l->c, buf_z(&folder), r->err);
    buf_done(&folder);
    if (rc < 0 || (rc = config_file(&l->c, "adapter_config.json", &text, r->err)) < 0) return rc;
    if (rc == 0)
        return lar_fail(r->err, LAR_EFORMAT,
                        "%s: has no adapter_config.json: no adapter of PEFT or MLX",
                        buf_z(&l->c.folder));
    if (!(r->settings = json_parse(&l->c.a, text, r->err))) return LAR_EFORMAT;
    for (size_t i = 0; !file && i < sizeof names / sizeof *names; i++) {
        const char *p = config_path(&l->c, names[i]);
        if (!p) return no_memory(r->err);
        if (access(p, F_OK) == 0) file = p;
    }
    if (!file)
        return lar_fail(r->err, LAR_EFORMAT,
                        "%s: has neither adapter_model.safetensors nor adapters.safetensors",
                        buf_z(&l->c.folder));
    return weights_open(&l->w, file, r->err);
}

static int check_settings(const struct reader *r)
{
    const struct json *s = r->settings;
    struct str kind = json_str(config_in(s, "peft_type"), STR("LORA"));
    if (!str_is(kind, "LORA"))
        return lar_fail(r->err, LAR_EUNSUPPORTED,
                        "%s: an adapter of type %.*s; LoRA is what can be converted",
                        buf_z(&r->l->c.folder), STR_ARG(kind));
    if (json_bool(config_in(s, "use_dora"), 0) ||
        str_is(json_str(config_in(s, "fine_tune_type"), STR("")), "dora"))
        return lar_fail(r->err, LAR_EUNSUPPORTED,
                        "%s: is a DoRA adapter, which a GGUF cannot hold: merge it into the model",
                        buf_z(&r->l->c.folder));
    if (config_in(s, "alora_invocation_tokens"))
        return lar_fail(r->err, LAR_EUNSUPPORTED,
                        "%s: works from certain tokens on only (aLoRA), which Lar cannot do",
                        buf_z(&r->l->c.folder));
    return 0;
}

/* A number of adapter_config.json; *out stays where it is missing. */
static int number(const struct reader *r, const struct json *v, const char *key, double *out)
{
    if (!v || v->kind == JSON_NULL) return 0;
    *out = v->num;
    if (v->kind == JSON_NUMBER && isfinite(v->num)) return 0;
    struct str in = str_is(v->key, key) ? STR("") : v->key;
    return lar_fail(r->err, LAR_EFORMAT, "%s/adapter_config.json: %s%s%.*s is no number", buf_z(&r->l->c.folder), key,
                    in.n ? "." : "", STR_ARG(in));
}

/* The value of the first key of settings.<table> that is the end of the module's path; PEFT allows regular expressions there, of which only
 * plain names are taken. */
static int by_pattern(const struct reader *r, const char *table, struct str path, double *out)
{
    const struct json *t = config_in(r->settings, table);
    for (const struct json *v = t ? t->child : NULL; v; v = v->next) {
        for (size_t i = 0; i < v->key.n; i++)
            if (strchr("\\^$*+?()[]{}|", v->key.p[i]))
                return lar_fail(
                    r->err, LAR_EUNSUPPORTED,
                    "%s/adapter_config.json: %s has the pattern \"%.*s\"; plain names can be read",
                    buf_z(&r->l->c.folder), table, STR_ARG(v->key));
        if (!str_ends(path, v->key) || (path.n > v->key.n && path.p[path.n - v->key.n - 1] != '.'))
            continue;
        return number(r, v, table, out);
    }
    return 0;
}

/* What the settings say of the rank is what the matrices have, or one of the two belongs to another adapter. */
static int check_rank(const struct reader *r, const struct weight *a, struct str path, int64_t rank)
{
    const struct json *s = r->mlx ? config_in(r->settings, "lora_parameters") : r->settings;
    const char *key = r->mlx ? "rank" : "r";
    double told = (double)rank;
    int rc = number(r, config_in(s, key), key, &told);
    if (rc == 0 && !r->mlx) rc = by_pattern(r, "rank_pattern", path, &told);
    if (rc < 0 || !(fabs(told - (double)rank) > 0)) return rc;
    return lar_fail(r->err, LAR_EFORMAT,
                    "tensor %.*s: has rank %" PRId64 ", and %s/adapter_config.json says %s (%s): they are not of one "
                    "adapter",
                    STR_ARG(a->name), rank, buf_z(&r->l->c.folder), num_show(told).z,
                    r->mlx ? "lora_parameters.rank" : "r, rank_pattern");
}

static int factor(const struct reader *r, struct str path, int64_t rank, double *out)
{
    const struct json *s = r->settings;
    double alpha = 8;
    if (number(r, config_in(s, "lora_alpha"), "lora_alpha", &alpha) < 0) return LAR_EFORMAT;
    if (r->mlx) {
        *out = json_num(config_in(config_in(s, "lora_parameters"), "scale"), 0);
    } else {
        int rc = by_pattern(r, "alpha_pattern", path, &alpha);
        if (rc < 0) return rc;
        *out =
            alpha / (json_bool(config_in(s, "use_rslora"), 0) ? sqrt((double)rank) : (double)rank);
    }
    if (isfinite(*out) && *out > 0) return 0;
    return lar_fail(r->err, LAR_EFORMAT,
                    "%s/adapter_config.json: the factor (%s) is missing or no positive number",
                    buf_z(&r->l->c.folder), r->mlx ? "lora_parameters.scale" : "lora_alpha");
}

/* ---- modules ------------------------------------------------------------------------------------------------------ */

/* "<path>.lora_A.weight" -> path, or "" */
static struct str stem(struct str name, const char *tail)
{
    struct str t = str_of(tail);
    return str_ends(name, t) ? (struct str){name.p, name.n - t.n} : STR("");
}

static const struct weight *sibling(const struct reader *r, struct str path, const char *tail)
{
    struct buf b = {0};
    buf_str(&b, path);
    buf_puts(&b, tail);
    const struct weight *w = b.failed ? NULL : weights_find(&r->l->w, buf_view(&b));
    buf_done(&b);
    return w;
}

/* F32 in the arena, [rows][columns]; turned: the source is [columns][rows]. */
static float *halve(const struct reader *r, const struct weight *w, int turned)
{
    float *v = arena_array(&r->l->a, (size_t)w->n, sizeof *v);
    int64_t rows = w->dim[turned], columns = w->dim[!turned];
    for (int64_t i = 0; i < rows && v; i++)
        weight_read(w, turned ? i : i * columns, turned ? rows : 1, columns, v + i * columns);
    for (int64_t i = 0; i < w->n && v; i++)
        if (!isfinite(v[i])) {
            lar_fail(r->err, LAR_EFORMAT, "tensor %.*s: value %lld is no number", STR_ARG(w->name),
                     (long long)i);
            return NULL;
        }
    if (!v) no_memory(r->err);
    return v;
}

static int add_module(const struct reader *r, struct str path, const struct weight *a,
                      const struct weight *b)
{
    struct lora *l = r->l;
    struct lora_module *m = &l->module[l->n];
    struct family_match match;
    double f = 0;
    struct str name = str_starts(path, STR("base_model.model."))
                          ? str_from(path, strlen("base_model.model."))
                          : path;
    if (!b || a->ndim != 2 || b->ndim != 2 || a->n < 1 || b->n < 1 ||
        a->dim[r->mlx] != b->dim[!r->mlx])
        return lar_fail(r->err, LAR_EFORMAT,
                        "tensor %.*s: its other half is missing or does not fit", STR_ARG(a->name));
    *m = (struct lora_module){.rank = a->dim[r->mlx], .in = a->dim[!r->mlx], .out = b->dim[r->mlx]};
    int rc = check_rank(r, a, path, m->rank);
    if (rc == 0) rc = factor(r, path, m->rank, &f);
    if (rc < 0) return rc;
    if (!(m->a = halve(r, a, r->mlx)) || !(m->b = halve(r, b, r->mlx))) return LAR_EFORMAT;
    if (l->n == 0) l->alpha = (float)(f * (double)m->rank);
    double rest = f * (double)m->rank /
                  (double)l->alpha; /* 1 but for the rounding of alpha, unless modules differ */
    for (int64_t i = 0; fabs(rest - 1) > 1e-6 && i < m->out * m->rank; i++)
        m->b[i] = (float)((double)m->b[i] * rest);
    struct buf full = {0};
    buf_str(&full, name);
    buf_puts(&full, ".weight");
    char *p = full.failed ? NULL : arena_copy(&l->a, full.p, full.n);
    struct str whole = {p, full.n};
    buf_done(&full);
    if (!p) return no_memory(r->err);
    const struct name_rule *rule = family_rule(l->f, family_bare(whole), &match);
    m->columns = rule && rule->how == HOW_V_COLUMNS;
    m->planned = (struct weight){
        .name = whole, .type = WEIGHT_F32, .ndim = 2, .dim = {m->out, m->rank, 1, 1, 1, 1, 1, 1}};
    if (m->columns) m->planned.dim[0] = m->rank, m->planned.dim[1] = m->in;
    m->planned.n = m->planned.dim[0] * m->planned.dim[1];
    m->planned.data = (const uint8_t *)(m->columns ? m->a : m->b);
    m->planned.bytes = (uint64_t)m->planned.n * 4;
    l->n++;
    return 0;
}

static int refuse(const struct reader *r, const struct weight *w)
{
    return lar_fail(
        r->err, LAR_EUNSUPPORTED,
        "tensor %.*s is no half of a matrix' adapter (embeddings, DoRA's magnitudes, biases and whole modules are not "
        "among what an adapter GGUF can hold here): merge the adapter into the model",
        STR_ARG(w->name));
}

static int read_modules(struct reader *r)
{
    struct lora *l = r->l;
    size_t nb = 0;
    if (!(l->module = arena_array(&l->a, l->w.n + 1, sizeof *l->module))) return no_memory(r->err);
    for (size_t i = 0; i < l->w.n; i++) {
        const struct weight *w = &l->w.w[i];
        const char *const a = r->mlx ? ".lora_a" : ".lora_A.weight", *const b =
                                                                         r->mlx ? ".lora_b"
                                                                                : ".lora_B.weight";
        struct str path = stem(w->name, a);
        nb += stem(w->name, b).n > 0;
        if (!path.n && !stem(w->name, b).n) return refuse(r, w);
        int rc = path.n ? add_module(r, path, w, sibling(r, path, b)) : 0;
        if (rc < 0) return rc;
    }
    if (l->n && nb == l->n) return 0;
    return lar_fail(r->err, LAR_EFORMAT, "%s: %zu first and %zu second halves of adapters",
                    buf_z(&l->c.folder), l->n, nb);
}

static const struct lora_module *module_of(const struct lora *l, const struct output *o)
{
    const uint8_t *data = o->piece[0].w->data;
    for (size_t i = 0; i < l->n; i++)
        if (l->module[i].planned.data == data) return &l->module[i];
    return NULL;
}

/* ---- whether they belong together --------------------------------------------------------------------------------- */

/* PEFT writes the base's class where it was no preset one; base_model_name_or_path may be a folder that is here. */
static int check_family(const struct reader *r, const char *base)
{
    const struct json *map = config_in(r->settings, "auto_mapping");
    struct str class = json_str(config_in(map, "base_model_class"), STR(""));
    struct str name = json_str(config_in(r->settings, "base_model_name_or_path"), STR(""));
    struct config of = {.root = r->settings, .architecture = class};
    const struct family *f = NULL;
    struct lar_err why;
    char path[4096];
    int opened = 0;
    if (!class.n && name.n && name.n < sizeof path && !memchr(name.p, 0, name.n)) {
        snprintf(path, sizeof path, "%.*s", STR_ARG(name));
        opened = access(path, F_OK) == 0 && config_open(&of, path, &why) == 0;
    }
    if (of.architecture.n) (void)family_find(&f, &of, &why);
    /* of a class alone Granite's and Gemma's kinds are not known: config.json tells them apart */
    int same = !f || !strcmp(f->arch, r->l->f->arch) || str_eq(of.architecture, r->l->base.architecture) ||
               (class.n && (!strncmp(f->arch, "granite", 7) || !strncmp(f->arch, "gemma", 5)) &&
                !strncmp(f->arch, r->l->f->arch, 5));
    if (opened) config_close(&of);
    if (same) return 0;
    return lar_fail(r->err, LAR_EUNSUPPORTED,
                    "%s/adapter_config.json: is an adapter of a %s model (%s); %s is a %s: name the model it was made "
                    "for",
                    buf_z(&r->l->c.folder), f->arch, class.n ? "auto_mapping" : "base_model_name_or_path", base,
                    r->l->f->arch);
}

static int misfit(const struct reader *r, const struct lora_module *m, const char *base, int64_t in, int64_t out)
{
    return lar_fail(r->err, LAR_EFORMAT,
                    "tensor %.*s: the adapter changes a matrix of %" PRId64 " columns and %" PRId64
                    " rows; the base's has %" PRId64 " and %" PRId64 ": it is of another model than %s",
                    STR_ARG(m->planned.name), m->in, m->out, in, out, base);
}

/* Of a folder with weights and of a GGUF: each matrix is there, of the adapter's size. */
static int check_shapes(const struct reader *r, const char *base)
{
    struct lora *l = r->l;
    struct weights w;
    struct gguf g;
    struct lar_err why;
    struct stat st;
    int rc = 0;
    if (stat(base, &st) == 0 && S_ISDIR(st.st_mode)) {
        if (weights_open(&w, base, &why) < 0) return 0; /* config.json alone */
        for (size_t i = 0; i < l->n && rc == 0; i++) {
            const struct lora_module *m = &l->module[i];
            const struct weight *t = weights_find(&w, m->planned.name);
            struct family_match match;
            const struct name_rule *rule = family_rule(l->f, family_bare(m->planned.name), &match);
            int turned = rule && rule->how == HOW_TRANSPOSE;
            if (t && t->ndim == 2 && (t->dim[turned] != m->out || t->dim[!turned] != m->in))
                rc = misfit(r, m, base, t->dim[!turned], t->dim[turned]);
        }
        weights_close(&w);
        return rc;
    }
    if ((rc = gguf_open(&g, base, r->err)) < 0) return rc;
    for (size_t i = 0; i < l->p.n && rc == 0; i++) {
        const struct output *o = &l->p.out[i];
        char name[160];
        snprintf(name, sizeof name, "%.*s", STR_ARG(o->name));
        const struct gguf_tensor *t = gguf_tensor(&g, name);
        const struct lora_module *m = o->npiece == 1 ? module_of(l, o) : NULL;
        if (m && !t)
            rc = lar_fail(r->err, LAR_EFORMAT, "tensor %.*s: %s has no %s: the adapter is of another model",
                          STR_ARG(m->planned.name), base, name);
        else if (m && t->ndim == 2 && o->n == m->planned.n && (t->dim[0] != m->in || t->dim[1] != m->out))
            rc = misfit(r, m, base, t->dim[0], t->dim[1]);
    }
    gguf_close(&g);
    return rc;
}

static int read_all(struct lora *l, const char *from, const char *base, struct lar_err *err)
{
    struct reader r = {.l = l, .err = err};
    int rc = lora_base(l, base, err);
    if (rc < 0 || (rc = adapter_open(&r, from)) < 0) return rc;
    r.mlx = !config_in(r.settings, "peft_type") && config_in(r.settings, "lora_parameters");
    if ((rc = check_settings(&r)) < 0 || (rc = check_family(&r, base)) < 0 || (rc = read_modules(&r)) < 0) return rc;
    struct weights all = {.n = l->n, .w = arena_array(&l->a, l->n, sizeof *all.w)};
    if (!all.w) return no_memory(err);
    for (size_t i = 0; i < l->n; i++) all.w[i] = l->module[i].planned;
    rc = plan_make_lora(&l->p, l->f, &l->base, &all, &l->a, err);
    return rc < 0 ? rc : check_shapes(&r, base);
}

int lora_read(struct lora *l, const char *from, const char *base, struct lar_err *err)
{
    *l = (struct lora){0};
    arena_init(&l->a, 0);
    int rc = read_all(l, from, base, err);
    if (rc < 0) lora_done(l);
    return rc < 0 ? rc : 0;
}

void lora_done(struct lora *l)
{
    weights_close(&l->w);
    config_close(&l->c);
    config_close(&l->base);
    arena_done(&l->a);
    *l = (struct lora){0};
}

/* ---- the file ----------------------------------------------------------------------------------------------------- */

static void keys_of(struct gguf_keys *k, const struct lora *l)
{
    gguf_keys_str(k, "general.architecture", str_of(l->f->arch));
    gguf_keys_str(k, "general.type", STR("adapter"));
    gguf_keys_str(k, "general.name", l->c.name);
    gguf_keys_u32(k, "general.file_type", 0);
    gguf_keys_str(k, "adapter.type", STR("lora"));
    gguf_keys_f32(k, "adapter.lora.alpha", l->alpha);
}

static int name_half(struct lora *l, struct str name, const char *half, struct str *out)
{
    struct buf b = {0};
    buf_str(&b, name);
    buf_puts(&b, half);
    *out = (struct str){b.failed ? NULL : arena_copy(&l->a, b.p, b.n), b.n};
    buf_done(&b);
    return out->p ? 0 : LAR_ENOMEM;
}

static int write_tensors(struct lora *l, struct gguf_writer *w, struct lar_err *err)
{
    for (size_t i = 0; i < l->p.n; i++) {
        const struct output *o = &l->p.out[i];
        const struct lora_module *m = module_of(l, o);
        float *v = mem_alloc((size_t)o->n * sizeof *v);
        if (!v) return no_memory(err);
        plan_read(o, 0, o->n, v);
        int rc = m->columns ? gguf_write(w, v, (size_t)o->n * 4, err)
                            : gguf_write(w, m->a, (size_t)(m->rank * m->in) * 4, err);
        if (rc == 0)
            rc = m->columns ? gguf_write(w, m->b, (size_t)(m->out * m->rank) * 4, err)
                            : gguf_write(w, v, (size_t)o->n * 4, err);
        mem_free(v);
        if (rc < 0) return rc;
    }
    return 0;
}

int lora_write(struct lora *l, const char *to, struct lar_err *err)
{
    struct gguf_keys k = {0};
    struct gguf_writer *w = NULL;
    struct gguf_spec *s = arena_array(&l->a, 2 * l->p.n, sizeof *s);
    int rc = s ? 0 : no_memory(err);
    for (size_t i = 0; rc == 0 && i < l->p.n; i++) {
        const struct output *o = &l->p.out[i];
        const struct lora_module *m = module_of(l, o);
        s[2 * i] = (struct gguf_spec){.type = DT_F32, .ndim = 2, .dim = {m->in, m->rank, 1, 1}};
        s[2 * i + 1] = (struct gguf_spec){
            .type = DT_F32, .ndim = 2, .dim = {m->rank, m->columns ? m->out : o->dim[1], 1, 1}};
        if (name_half(l, o->name, ".lora_a", &s[2 * i].name) < 0 ||
            name_half(l, o->name, ".lora_b", &s[2 * i + 1].name) < 0)
            rc = no_memory(err);
    }
    keys_of(&k, l);
    if (rc == 0) rc = gguf_create(&w, to, &k, s, 2 * l->p.n, 0, err);
    if (rc == 0) rc = write_tensors(l, w, err);
    if (rc == 0)
        rc = gguf_commit(w, err);
    else
        gguf_abort(w);
    gguf_keys_done(&k);
    return rc < 0 ? rc : (int)(2 * l->p.n);
}
