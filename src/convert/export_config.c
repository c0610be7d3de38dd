/* SPDX-License-Identifier: Apache-2.0
 *
 * convert/export_config.c: config.json from a GGUF's keys. The tables that convert copies numbers by are read backwards; what a family
 * computes (meta_family.c) is undone by a function here. A mistake is no wrong model: export.c makes the keys of this config.json again and
 * compares them with the file's.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/half.h"
#include "base/num.h"
#include "convert/export.h"
#include "convert/meta.h"

static const struct gguf_kv *get(const struct export *e, const char *tail)
{
    char key[160];
    snprintf(key, sizeof key, "%s.%s", e->f->arch, tail);
    return gguf_find(&e->g, key);
}

/* A scalar, or an array's largest element. */
double export_num(const struct export *e, const char *tail, double otherwise)
{
    const struct gguf_kv *kv = get(e, tail);
    enum gguf_type t = !kv ? GGUF_STRING : kv->type == GGUF_ARRAY ? kv->etype : kv->type;
    if (t == GGUF_STRING || !kv->count) return otherwise;
    double most = t == GGUF_BOOL ? (double)gguf_int_at(kv, 0) : gguf_num_at(kv, 0);
    for (uint64_t i = 1; i < kv->count; i++)
        most = fmax(most, t == GGUF_BOOL ? (double)gguf_int_at(kv, i) : gguf_num_at(kv, i));
    return most;
}

static int64_t whole(const struct export *e, const char *tail, int64_t otherwise)
{
    double v = export_num(e, tail, (double)otherwise);
    return v >= 0 && v < 1e15 ? (int64_t)v : otherwise;
}

static int has_tensor(const struct export *e, const char *tail)
{
    for (size_t i = 0; i < e->g.ntensor; i++)
        if (str_starts(e->g.tensor[i].name, STR("blk.")) &&
            str_ends(e->g.tensor[i].name, str_of(tail)))
            return 1;
    return 0;
}

static const struct gguf_tensor *first(const struct export *e, const char *tail)
{
    for (size_t i = 0; i < e->g.ntensor; i++)
        if (str_ends(e->g.tensor[i].name, str_of(tail))) return &e->g.tensor[i];
    return NULL;
}

/* ---- writing --------------------------------------------------------------------------------------------------- */

void export_float(struct buf *b, float v)
{
    char z[40];
    size_t n = 0;
    for (int digits = 1; digits <= 9; digits++) {
        n = num_print(z, sizeof z, 'g', digits, (double)v);
        if (bits_f32((float)num_parse(z, NULL)) == bits_f32(v)) break;
    }
    buf_add(b, z, n);
    if (!memchr(z, '.', n) && !memchr(z, 'e', n))
        buf_puts(b, ".0"); /* a float to those who look at the form */
}

/* Begins "name": unless it is there already. */
static int name(struct export *e, const char *n)
{
    struct buf key = {0};
    buf_printf(&key, "\n  \"%s\": ", n);
    struct str k = buf_view(&key), all = buf_view(&e->text);
    int there = key.failed;
    for (size_t i = 0; !there && i + k.n <= all.n; i++) there = !memcmp(all.p + i, k.p, k.n);
    if (!there) {
        buf_puts(&e->text, e->text.n > 1 ? "," : "");
        buf_str(&e->text, k);
    }
    buf_done(&key);
    return !there;
}

void export_put_int(struct export *e, const char *n, int64_t v)
{
    if (name(e, n)) buf_printf(&e->text, "%" PRId64, v);
}

static void put_num(struct export *e, const char *n, double v)
{
    if (name(e, n)) export_float(&e->text, (float)v);
}

void export_put_bool(struct export *e, const char *n, int v)
{
    if (name(e, n)) buf_puts(&e->text, v ? "true" : "false");
}

void export_put_str(struct export *e, const char *n, struct str v)
{
    if (name(e, n)) buf_json_str(&e->text, v);
}

int export_put(struct export *e, const char *n, const char *v)
{
    int begun = name(e, n);
    if (begun && v) buf_puts(&e->text, v);
    return begun;
}

/* A list of two words, one a layer. */
static void put_types(struct export *e, const char *n, const char *yes, const char *no,
                      int (*is)(const struct export *, int64_t))
{
    int64_t layers = whole(e, "block_count", 0);
    if (!name(e, n)) return;
    for (int64_t i = 0; i < layers; i++)
        buf_printf(&e->text, "%s\"%s\"", i ? ", " : "[", is(e, i) ? yes : no);
    buf_putc(&e->text, ']');
}

/* ---- windows and layers ------------------------------------------------------------------------------------------ */

static int element(const struct export *e, const char *tail, int64_t i, int *out)
{
    const struct gguf_kv *kv = get(e, tail);
    if (!kv || kv->type != GGUF_ARRAY || i < 0 || (uint64_t)i >= kv->count ||
        (!gguf_is_int(kv->etype) && kv->etype != GGUF_BOOL))
        return 0;
    *out = gguf_int_at(kv, (uint64_t)i) != 0;
    return 1;
}

static int is_windowed(const struct export *e, int64_t i)
{
    int v = 0, period = e->f->window_period;
    if (element(e, "attention.sliding_window_pattern", i, &v)) return v;
    if (!strcmp(e->f->arch, "olmo2") || !strcmp(e->f->arch, "exaone4")) period = 4;
    return period == 0 || i % period != period - 1;
}

static int is_recurrent(const struct export *e, int64_t i)
{
    int v = 0;
    int64_t period = whole(e, "full_attention_interval", 4);
    if (element(e, "attention.recurrent_layers", i, &v)) return v;
    return period < 1 || (i + 1) % period != 0;
}

static int attends(const struct export *e, int64_t i)
{
    int v = 1;
    (void)element(e, "attention.head_count_kv", i, &v);
    return v;
}

static void window(struct export *e)
{
    int64_t w = whole(e, "attention.sliding_window", 0);
    if (!strcmp(e->f->arch, "phi3") || !strcmp(e->f->arch, "gemma4") ||
        !strcmp(e->f->arch, "gemma3n")) {
        if (w > 0)
            export_put_int(e, "sliding_window", w);
        else
            export_put(e, "sliding_window", "null");
        if (strcmp(e->f->arch, "phi3"))
            put_types(e, "layer_types", "sliding_attention", "full_attention", is_windowed);
        return;
    }
    if (w < 1) {
        export_put(e, "sliding_window", "null");
        if (!strcmp(e->f->arch, "exaone4"))
            put_types(e, "layer_types", "full_attention", "full_attention", is_windowed);
        return;
    }
    export_put_int(e, "sliding_window", w);
    if (str_starts(str_of(e->f->arch), STR("qwen")) || !strcmp(e->f->arch, "smollm3"))
        export_put_bool(e, "use_sliding_window", 1);
    if (strcmp(e->f->arch, "llama") || get(e, "attention.sliding_window_pattern"))
        put_types(e, "layer_types", "sliding_attention", "full_attention", is_windowed);
}

/* ---- the rotation -------------------------------------------------------------------------------------------------- */

static int tensor_f32(const struct export *e, const char *n, const float **v, int64_t *count)
{
    const struct gguf_tensor *t = gguf_tensor(&e->g, n);
    if (!t || t->type != DT_F32 || t->ndim != 1 || t->dim[0] > 1024 || (uintptr_t)t->data % 4)
        return 0;
    *v = (const float *)(const void *)t->data;
    *count = t->dim[0];
    return 1;
}

/* Llama 3's four numbers from the factors that they made (meta.c: llama3). Between waves that are kept (1) and those that are stretched (by the largest
 * factor) the share s = (orig / wave - low) / (high - low) is a straight line in 1 / wave; orig, low and high are known up to a common
 * factor, so low is 1, as everybody has it. */
static void llama3(struct export *e, struct buf *b, double base)
{
    const float *f;
    int64_t n, ramp = 0, kept = -1;
    double factor = 1, s[2] = {0}, x[2] = {0}, high = 4, orig = 8192, last_kept = 0, first_long = 0;
    if (!tensor_f32(e, "rope_freqs.weight", &f, &n)) return;
    for (int64_t i = 0; i < n; i++) factor = fmax(factor, (double)f[i]);
    for (int64_t i = 0; i < n && factor > 1; i++) {
        double inverse = pow(base, -2.0 * (double)i / (2.0 * (double)n)) / (2 * M_PI),
               v = (double)f[i];
        if (v <= 1) kept = i, last_kept = inverse;
        if (v <= 1 || v >= factor * (1 - 1e-6)) {
            if (v > 1 && first_long <= 0) first_long = inverse;
            continue;
        }
        int k = ramp++ > 0;
        s[k] = (1 / v - 1 / factor) / (1 - 1 / factor);
        x[k] = inverse;
    }
    if (ramp >= 2 && fabs(x[1] - x[0]) > 0) {
        double a = (s[1] - s[0]) / (x[1] - x[0]), c = s[0] - a * x[0];
        high = 1 - 1 / c;
        orig = a * (high - 1);
    } else if (ramp == 1) { /* the usual ramp of 1 to 4 goes through it */
        orig = (s[0] * 3 + 1) / x[0];
    } else if (kept >= 0 &&
               first_long > 0) { /* what lies between matters to no wave of this model */
        orig = sqrt(4 / last_kept * (1 / first_long));
    }
    if (fabs(high - round(high)) < 1e-2) high = round(high);
    if (fabs(orig / round(orig) - 1) < 1e-2) orig = round(orig);
    for (int64_t p = 1; p <= 1 << 24;
         p *= 2) /* these are powers of two wherever they were published */
        if (fabs(orig / (double)p - 1) < 1e-3) orig = (double)p;
    buf_printf(b, "{\"rope_type\": \"llama3\", \"factor\": ");
    export_float(b, (float)factor);
    buf_puts(b, ", \"low_freq_factor\": 1.0, \"high_freq_factor\": ");
    export_float(b, (float)high);
    buf_printf(b, ", \"original_max_position_embeddings\": %" PRId64 "}", (int64_t)orig);
}

static void yarn(struct export *e, struct buf *b, double s)
{
    double attn = export_num(e, "rope.scaling.attn_factor", 0),
           log_mul = export_num(e, "rope.scaling.yarn_log_multiplier", 0);
    double usual = s > 1 ? 0.1 * log(s) + 1 : 1;
    int mistral3 = !strcmp(e->f->arch, "mistral3"), deepseek = !strcmp(e->f->arch, "deepseek2");
    buf_puts(b, "{\"rope_type\": \"yarn\", \"factor\": ");
    export_float(b, (float)s);
    buf_printf(b, ", \"original_max_position_embeddings\": %" PRId64,
               whole(e, "rope.scaling.original_context_length", 0));
    static const char *const same[][2] = {{"yarn_beta_fast", "beta_fast"},
                                          {"yarn_beta_slow", "beta_slow"}};
    for (int i = 0; i < 2; i++) {
        char tail[64];
        snprintf(tail, sizeof tail, "rope.scaling.%s", same[i][0]);
        if (!get(e, tail)) continue;
        buf_printf(b, ", \"%s\": ", same[i][1]);
        export_float(b, (float)export_num(e, tail, 0));
    }
    if (mistral3 || deepseek) {
        double all = deepseek ? 10 * log_mul : log_mul;
        if (get(e, "rope.scaling.yarn_log_multiplier")) {
            buf_puts(b, ", \"mscale\": ");
            export_float(b, (float)(deepseek ? all : 1));
            buf_puts(b, ", \"mscale_all_dim\": ");
            export_float(b, (float)all);
        }
        if (mistral3 && s > 1) usual /= 0.1 * all * log(s) + 1;
        if (get(e, "attention.temperature_scale")) {
            buf_puts(b, ", \"llama_4_scaling_beta\": ");
            export_float(b, (float)export_num(e, "attention.temperature_scale", 0));
        }
    }
    if (attn > 0) {
        buf_puts(b, ", \"attention_factor\": ");
        export_float(b, (float)(attn * usual));
    }
    int gpt_oss = !strcmp(e->f->arch, "gpt-oss");
    const struct gguf_kv *t = get(e, "rope.scaling.yarn_truncate");
    if (t || gpt_oss)
        buf_printf(b, ", \"truncate\": %s", (t ? gguf_int_at(t, 0) != 0 : 0) ? "true" : "false");
    buf_putc(b, '}');
}

static void put_factors(struct export *e, struct buf *b, const char *n)
{
    const float *f;
    int64_t count;
    if (!tensor_f32(e, n, &f, &count)) return;
    for (int64_t i = 0; i < count; i++) {
        buf_puts(b, i ? ", " : "[");
        export_float(b, f[i]);
    }
    buf_putc(b, ']');
}

static void longrope(struct export *e, struct buf *b)
{
    double orig = export_num(e, "rope.scaling.original_context_length", 0),
           most = export_num(e, "context_length", 0);
    double attn = export_num(e, "rope.scaling.attn_factor", 0), s = orig > 0 ? most / orig : 1;
    buf_puts(b, "{\"rope_type\": \"longrope\", \"type\": \"longrope\", \"short_factor\": ");
    put_factors(e, b, "rope_factors_short.weight");
    buf_puts(b, ", \"long_factor\": ");
    put_factors(e, b, "rope_factors_long.weight");
    if (orig > 0) buf_printf(b, ", \"original_max_position_embeddings\": %" PRId64, (int64_t)orig);
    if (attn > 0 && fabs(attn - (s > 1 ? sqrt(1 + log(s) / log(orig)) : 1)) > 1e-6) {
        buf_puts(b, ", \"attention_factor\": ");
        export_float(b, (float)attn);
    }
    buf_putc(b, '}');
}

/* One object for each kind of layer: Gemma 4, whose wide heads turn in part. */
static void by_kind(struct export *e, double base)
{
    const float *f;
    int64_t n = 0, turning = 0;
    if (!tensor_f32(e, "rope_freqs.weight", &f, &n) || !name(e, "rope_parameters")) return;
    while (turning < n && f[turning] <= 1) turning++;
    buf_puts(&e->text,
             "{\"full_attention\": {\"rope_type\": \"proportional\", \"partial_rotary_factor\": ");
    export_float(&e->text, n ? (float)((double)turning / (double)n) : 1);
    buf_puts(&e->text, ", \"rope_theta\": ");
    export_float(&e->text, (float)base);
    buf_puts(&e->text, "}, \"sliding_attention\": {\"rope_type\": \"default\", \"rope_theta\": ");
    export_float(&e->text, (float)export_num(e, "rope.freq_base_swa", 10000));
    buf_puts(&e->text, "}}");
}

static void rotation(struct export *e)
{
    double base = export_num(e, "rope.freq_base", 0), swa = export_num(e, "rope.freq_base_swa", 0),
           s = export_num(e, "rope.scaling.factor", 0);
    int64_t head = whole(e, "attention.key_length", 0), turns = whole(e, "rope.dimension_count", 0);
    int64_t heads = whole(e, "attention.head_count", 0);
    struct str type = STR("");
    char key[160];
    snprintf(key, sizeof key, "%s.rope.scaling.type", e->f->arch);
    (void)gguf_str(&e->g, key, &type, NULL);
    if (!strcmp(e->f->arch, "gemma4")) {
        by_kind(e, base);
        return;
    }
    int neox = !strcmp(e->f->arch, "gptneox");
    if (base > 0 || e->f->flags & FAMILY_NO_ROPE_BASE)
        put_num(e, neox ? "rotary_emb_base" : "rope_theta", base > 0 ? base : 10000);
    if (swa > 0) put_num(e, "rope_local_base_freq", swa);
    if (head == 0 && heads > 0) head = whole(e, "embedding_length", 0) / heads;
    int apart = !strcmp(e->f->arch, "deepseek2") || !strcmp(e->f->arch, "minicpm3");
    if (turns > 0 && head > 0 && !apart && (turns != head || !strcmp(e->f->arch, "glm4") || neox))
        put_num(e, neox ? "rotary_pct" : "partial_rotary_factor", (double)turns / (double)head);
    struct buf b = {0};
    if (str_is(type, "yarn") && s > 0) {
        yarn(e, &b, s);
    } else if (str_is(type, "linear") && s > 0) {
        buf_puts(&b, "{\"rope_type\": \"linear\", \"factor\": ");
        export_float(&b, (float)s);
        buf_putc(&b, '}');
    } else if (gguf_tensor(&e->g, "rope_factors_long.weight")) {
        longrope(e, &b);
    } else {
        llama3(e, &b, base > 0 ? base : 10000);
    }
    if (b.n) export_put(e, "rope_scaling", buf_z(&b));
    if (b.failed) e->text.failed = 1;
    buf_done(&b);
}

/* ---- families ------------------------------------------------------------------------------------------------------ */

static void gemma(struct export *e)
{
    double scale = export_num(e, "attention.scale", 0);
    int64_t layers = whole(e, "block_count", 0), heads = whole(e, "attention.head_count", 8),
            head = whole(e, "attention.key_length", 256);
    int by_width = layers == (!strcmp(e->f->arch, "gemma2") ? 46 : 62);
    int64_t usual = by_width && heads > 0 ? whole(e, "embedding_length", 0) / heads : head;
    if (strcmp(e->f->arch, "gemma2") && strcmp(e->f->arch, "gemma3")) return;
    export_put_int(e, "query_pre_attn_scalar", scale > 0 ? (int64_t)round(1 / (scale * scale)) : usual);
}

static void gemma3n(struct export *e)
{
    const struct gguf_kv *s = get(e, "activation_sparsity_scale"),
                         *ff = get(e, "feed_forward_length");
    const struct gguf_tensor *l = first(e, "laurel_l.weight"),
                             *v = gguf_tensor(&e->g, "per_layer_token_embd.weight");
    if (l) export_put_int(e, "laurel_rank", l->dim[1]);
    if (v) export_put_int(e, "vocab_size_per_layer_input", v->dim[1]);
    if (ff && ff->type == GGUF_ARRAY && gguf_is_int(ff->etype) && name(e, "intermediate_size")) {
        for (uint64_t i = 0; i < ff->count; i++)
            buf_printf(&e->text, "%s%" PRId64, i ? ", " : "[", gguf_int_at(ff, i));
        buf_puts(&e->text, ff->count ? "]" : "[]");
    }
    if (!s || s->type != GGUF_ARRAY || s->etype != GGUF_F32 || !s->count ||
        !name(e, "activation_sparsity_pattern"))
        return;
    for (uint64_t i = 0; i < s->count; i++) {
        double p = erfc(-gguf_num_at(s, i) / sqrt(2)) / 2, near = round(p * 1e4) / 1e4;
        buf_puts(&e->text, i ? ", " : "[");
        export_float(&e->text, (float)(fabs(p - near) < 1e-6 ? near : p));
    }
    buf_putc(&e->text, ']');
}

static void gemma4(struct export *e)
{
    const struct gguf_kv *ff = get(e, "feed_forward_length"),
                         *kv = get(e, "attention.head_count_kv");
    int64_t wide = whole(e, "attention.key_length", 0),
            narrow = whole(e, "attention.key_length_swa", wide), ff0 = 0;
    const struct gguf_tensor *v = gguf_tensor(&e->g, "per_layer_token_embd.weight");
    export_put_int(e, "head_dim", narrow);
    export_put_int(e, "global_head_dim", wide);
    if (v) export_put_int(e, "vocab_size_per_layer_input", v->dim[1]);
    if (ff && ff->count && ff->type == GGUF_ARRAY && gguf_is_int(ff->etype))
        ff0 = gguf_int_at(ff, 0);
    export_put_bool(e, "use_double_wide_mlp", ff0 > 0);
    if (ff0 > 0) export_put_int(e, "intermediate_size", ff0);
    if (kv && kv->type == GGUF_ARRAY && gguf_is_int(kv->etype)) {
        for (uint64_t i = 0; i < kv->count; i++)
            export_put_int(e,
                    is_windowed(e, (int64_t)i) ? "num_key_value_heads"
                                               : "num_global_key_value_heads",
                    gguf_int_at(kv, i));
    }
    export_put_bool(e, "enable_moe_block", get(e, "expert_count") != NULL);
    int64_t layers = whole(e, "block_count", 0);
    for (int64_t i = 0; i < layers; i++) {
        char t[64];
        snprintf(t, sizeof t, "blk.%" PRId64 ".attn_k.weight", i);
        int k = gguf_tensor(&e->g, t) != NULL;
        snprintf(t, sizeof t, "blk.%" PRId64 ".attn_v.weight", i);
        if (k && !gguf_tensor(&e->g, t)) export_put_bool(e, "attention_k_eq_v", 1);
    }
    export_put_bool(e, "attention_k_eq_v", 0);
}

static void delta(struct export *e)
{
    int64_t heads = whole(e, "ssm.time_step_rank", 0);
    if (heads > 0) export_put_int(e, "linear_value_head_dim", whole(e, "ssm.inner_size", 0) / heads);
    export_put_int(e, "full_attention_interval", whole(e, "full_attention_interval", 4));
    put_types(e, "layer_types", "linear_attention", "full_attention", is_recurrent);
    const struct gguf_kv *s = get(e, "rope.dimension_sections");
    static const int64_t usual[4] = {11, 11, 10, 0};
    int differs = 0;
    for (uint64_t i = 0;
         s && i < s->count && i < 4 && s->type == GGUF_ARRAY && gguf_is_int(s->etype); i++)
        differs |= gguf_int_at(s, i) != usual[i];
    if (!differs || !name(e, "rope_parameters")) return;
    int64_t head = whole(e, "attention.key_length", 1);
    buf_puts(&e->text, "{\"rope_type\": \"default\", \"rope_theta\": ");
    export_float(&e->text, (float)export_num(e, "rope.freq_base", 10000));
    buf_puts(&e->text, ", \"partial_rotary_factor\": ");
    export_float(&e->text,
                 (float)((double)whole(e, "rope.dimension_count", 0) / (double)(head ? head : 1)));
    for (uint64_t i = 0; i < 3; i++)
        buf_printf(&e->text, "%s%" PRId64, i ? ", " : ", \"mrope_section\": [", gguf_int_at(s, i));
    buf_puts(&e->text, "]}");
}

static void phi3(struct export *e)
{
    int64_t orig = whole(e, "rope.scaling.original_context_length", 0);
    if (orig > 0) export_put_int(e, "original_max_position_embeddings", orig);
}

static void smollm3(struct export *e)
{
    int64_t layers = whole(e, "block_count", 0);
    if (!name(e, "no_rope_layers")) return;
    for (int64_t i = 0; i < layers; i++) {
        int turns = (i + 1) % 4 != 0;
        (void)element(e, "rope.layer_pattern", i, &turns);
        buf_printf(&e->text, "%s%d", i ? ", " : "[", turns);
    }
    buf_putc(&e->text, ']');
}

static void granite_hybrid(struct export *e)
{
    const struct gguf_kv *turns = get(e, "rope.scaling.finetuned");
    int64_t width = whole(e, "embedding_length", 0), inner = whole(e, "ssm.inner_size", 0),
            heads = whole(e, "ssm.time_step_rank", 0);
    put_types(e, "layer_types", "attention", "mamba", attends);
    export_put_str(e, "position_embedding_type",
            turns && !gguf_int_at(turns, 0) ? STR("nope") : STR("rope"));
    if (width > 0) export_put_int(e, "mamba_expand", inner / width);
    if (heads > 0) export_put_int(e, "mamba_d_head", inner / heads);
    export_put_int(e, "mamba_n_heads", heads);
    export_put_int(e, "mamba_d_conv", whole(e, "ssm.conv_kernel", 4));
    export_put_int(e, "mamba_d_state", whole(e, "ssm.state_size", 128));
    export_put_int(e, "mamba_n_groups", whole(e, "ssm.group_count", 1));
    if (get(e, "expert_count")) return;
    export_put_int(e, "num_local_experts", 0);
    export_put_int(e, "num_experts_per_tok", 0);
    export_put_int(e, "shared_intermediate_size", whole(e, "feed_forward_length", 0));
}

static void lfm2(struct export *e)
{
    put_types(e, "layer_types", "full_attention", "conv", attends);
    if (!strcmp(e->f->arch, "lfm2"))
        export_put_bool(e, "block_auto_adjust_ff_dim", 0);
    else
        export_put_bool(e, "use_expert_bias", has_tensor(e, "exp_probs_b.bias"));
}

static void mamba2(struct export *e)
{
    static const char *const name[2][6] = {
        {"head_dim", "num_heads", "conv_kernel", "state_size", "n_groups", "use_conv_bias"},
        {"mamba_d_head", "mamba_n_heads", "mamba_d_conv", "mamba_d_state", "mamba_n_groups",
         "mamba_conv_bias"}};
    static const char *const one[] = {"attention_in_multiplier", "attention_out_multiplier",
                                      "embedding_multiplier",    "key_multiplier",
                                      "lm_head_multiplier",      "ssm_in_multiplier",
                                      "ssm_out_multiplier"};
    int falcon = !strcmp(e->f->arch, "falcon-h1");
    int64_t width = whole(e, "embedding_length", 0), inner = whole(e, "ssm.inner_size", 0),
            heads = whole(e, "ssm.time_step_rank", 0);
    if (heads > 0) export_put_int(e, name[falcon][0], inner / heads);
    export_put_int(e, name[falcon][1], heads);
    export_put_int(e, name[falcon][2], whole(e, "ssm.conv_kernel", 4));
    export_put_int(e, name[falcon][3], whole(e, "ssm.state_size", 128));
    export_put_int(e, name[falcon][4], whole(e, "ssm.group_count", 1));
    export_put_bool(e, name[falcon][5], has_tensor(e, "ssm_conv1d.bias"));
    if (width > 0 && inner % width == 0)
        export_put_int(e, falcon ? "mamba_expand" : "expand", inner / width);
    if (!falcon) return;
    export_put_int(e, "mamba_d_ssm", inner);
    export_put_bool(e, "mamba_rms_norm", has_tensor(e, "ssm_norm.weight"));
    export_put_bool(e, "mamba_norm_before_gate", 0);
    for (size_t i = 0; i < sizeof one / sizeof *one; i++)
        export_put(e, one[i], "1.0"); /* they are in the weights */
    export_put(e, "mlp_multipliers", "[1.0, 1.0]");
    export_put(e, "ssm_multipliers", "[1.0, 1.0, 1.0, 1.0, 1.0]");
}

static void deepseek2(struct export *e)
{
    const struct gguf_kv *norm = get(e, "expert_weights_norm"),
                         *gating = get(e, "expert_gating_func");
    int64_t turn = whole(e, "rope.dimension_count", 0);
    export_put_int(e, "qk_rope_head_dim", turn);
    export_put_int(e, "qk_nope_head_dim", whole(e, "attention.key_length_mla", turn) - turn);
    export_put_int(e, "v_head_dim", whole(e, "attention.value_length_mla", 0));
    export_put_int(e, "num_key_value_heads", whole(e, "attention.head_count", 0));
    export_put_bool(e, "norm_topk_prob", norm && gguf_int_at(norm, 0));
    if (gating)
        export_put_str(e, "scoring_func", gguf_num_at(gating, 0) > 1 ? STR("sigmoid") : STR("softmax"));
    if (!get(e, "attention.q_lora_rank")) export_put(e, "q_lora_rank", "null");
    if (str_is(e->hf, "DeepseekV2ForCausalLM"))
        export_put_str(e, "topk_method",
                whole(e, "expert_group_count", 1) > 1 ? STR("group_limited_greedy")
                                                      : STR("greedy"));
}

static void minicpm3(struct export *e)
{
    const struct gguf_tensor *b = first(e, "attn_kv_b.weight");
    int64_t turn = whole(e, "rope.dimension_count", 0),
            nope = whole(e, "attention.key_length", turn) - turn;
    int64_t heads = whole(e, "attention.head_count", 0);
    export_put_int(e, "qk_rope_head_dim", turn);
    export_put_int(e, "qk_nope_head_dim", nope);
    if (b && heads > 0) export_put_int(e, "v_head_dim", b->dim[1] / heads - nope);
}

static void gptneox(struct export *e)
{
    struct str act = STR("gelu");
    (void)gguf_str(&e->g, "gptneox.hidden_activation", &act, NULL);
    export_put_str(e, "hidden_act", act);
}

static const struct {
    const char *arch; /* its beginning */
    void (*make)(struct export *e);
} families[] = {
    {"gemma3n", gemma3n},  {"gemma4", gemma4}, {"gemma", gemma},         {"qwen3next", delta},
    {"qwen35", delta},     {"phi3", phi3},     {"smollm3", smollm3},     {"lfm2", lfm2},
    {"falcon-h1", mamba2}, {"mamba2", mamba2}, {"deepseek2", deepseek2}, {"minicpm3", minicpm3},
    {"gptneox", gptneox},
};

/* ---- the whole ----------------------------------------------------------------------------------------------------- */

/* The spelling that the family's class reads. */
static struct str spelling(const struct export *e, const char *names)
{
    for (int i = 0;; i++) {
        struct str n = family_part(names, i);
        if (!n.n) return family_part(names, 0);
        if (family_lists(e->f->spell, n)) return n;
    }
}

static void backwards(struct export *e, const struct key_rule *r)
{
    char n[64];
    for (; r && r->key; r++) {
        const struct gguf_kv *kv = get(e, r->key);
        struct str s = spelling(e, r->from);
        if (!kv || kv->type == GGUF_STRING || (kv->type == GGUF_ARRAY && kv->etype == GGUF_STRING))
            continue;
        snprintf(n, sizeof n, "%.*s", (int)s.n, s.p);
        if (r->kind == KEY_U32)
            export_put_int(e, n, whole(e, r->key, 0));
        else if (r->kind == KEY_F32)
            put_num(e, n, export_num(e, r->key, 0));
        else
            export_put_bool(e, n, export_num(e, r->key, 0) > 0);
    }
}

/* What a class must be told to have these tensors, and is not told by numbers. */
static void presence(struct export *e)
{
    static const struct {
        const char *classes, *name, *tensor;
    } all[] = {
        {"llama|mistral3|smollm3|granite|granitemoe|granitehybrid|arcee|apertus|qwen3|qwen3moe|qwen3next|qwen35|"
         "qwen35moe|olmo2|glm4|glm4moe|command-r|cohere2|nemotron|seed_oss|gpt-oss|dots1|gptneox|falcon-h1|"
         "hunyuan-dense|hunyuan-moe|phimoe|gemma|gemma2|gemma3|exaone4|gemma-embedding",
         "attention_bias", "attn_q.bias"},
        {"modern-bert", "attention_bias", "attn_qkv.bias"},
        {"modern-bert", "norm_bias", "ffn_norm.bias"},
        {"llama|granite|smollm3|arcee|nemotron|falcon-h1|modern-bert", "mlp_bias", "ffn_up.bias"},
        {"seed_oss", "attention_out_bias", "attn_output.bias"},
        {"ernie4_5|ernie4_5-moe|starcoder2", "use_bias", "attn_q.bias"},
        {"qwen2moe", "qkv_bias", "attn_q.bias"},
        {"stablelm", "use_qkv_bias", "attn_q.bias"},
        {"stablelm|phi2", "qk_layernorm", "attn_q_norm.weight"},
        {"glm4moe|command-r", "use_qk_norm", "attn_q_norm.weight"},
        {"falcon-h1|granitehybrid", "mamba_proj_bias", "ssm_in.bias"},
        {"granitehybrid", "mamba_conv_bias", "ssm_conv1d.bias"},
        {"falcon-h1", "projectors_bias", "ssm_out.bias"},
        {"mamba2", "use_bias", "ssm_in.bias"},
    };
    if (!strcmp(e->f->arch, "phimoe")) export_put_bool(e, "lm_head_bias", gguf_tensor(&e->g, "output.bias") != NULL);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (family_lists(all[i].classes, str_of(e->f->arch))) {
            const char *t = !strcmp(e->f->arch, "gptneox") ? "attn_qkv.bias" : all[i].tensor;
            export_put_bool(e, all[i].name, has_tensor(e, t));
        }
}

static void experts(struct export *e)
{
    static const struct {
        const char *arch;
        int usual;
    } all[] = {{"qwen2moe", 0}, {"qwen3moe", 1}, {"qwen3next", 1}, {"lfm2moe", 1}, {"olmoe", 0}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (!strcmp(e->f->arch, all[i].arch))
            export_put_bool(e, "norm_topk_prob", export_num(e, "expert_weights_norm", all[i].usual) > 0);
    if (!strcmp(e->f->arch, "lfm2moe"))
        put_num(e, "routed_scaling_factor", export_num(e, "expert_weights_scale", 1));
}

static void tokens(struct export *e)
{
    static const char *const all[][2] = {{"tokenizer.ggml.bos_token_id", "bos_token_id"},
                                         {"tokenizer.ggml.eos_token_id", "eos_token_id"},
                                         {"tokenizer.ggml.padding_token_id", "pad_token_id"}};
    for (int i = 0; i < 3; i++) {
        uint32_t id;
        if (gguf_u32(&e->g, all[i][0], &id, NULL) == 1)
            export_put_int(e, all[i][1], id);
        else /* RoBERTa's positions begin behind it */
            export_put(e, all[i][1], i == 2 && str_starts(e->hf, STR("XLMRoberta")) ? "1" : "null");
    }
}

int export_config(struct export *e, struct lar_err *err)
{
    const struct gguf_tensor *embed = gguf_tensor(&e->g, "token_embd.weight");
    if (!embed)
        return lar_fail(err, LAR_EFORMAT,
                        "tensor token_embd.weight is missing: this is no language model");
    if (whole(e, "block_count", 0) < 1 || whole(e, "block_count", 0) > 4096)
        return lar_fail(err, LAR_EFORMAT, "key %s.block_count is missing, or no number of layers", e->f->arch);
    buf_clear(&e->text);
    buf_putc(&e->text, '{');
    if (name(e, "architectures")) {
        buf_putc(&e->text, '[');
        buf_json_str(&e->text, e->hf);
        buf_putc(&e->text, ']');
    }
    export_put_str(e, "model_type", e->type);
    export_put_int(e, "vocab_size", embed->dim[1]);
    export_put_bool(e, "tie_word_embeddings", !gguf_tensor(&e->g, "output.weight"));
    tokens(e);
    if (str_starts(e->hf, STR("GraniteMoeHybrid"))) granite_hybrid(e);
    if (e->f->flags & FAMILY_READS) export_reader_config(e);
    for (size_t i = 0; i < sizeof families / sizeof *families; i++)
        if (str_starts(str_of(e->f->arch), str_of(families[i].arch))) {
            families[i].make(e);
            break;
        }
    backwards(e, e->f->keys);
    backwards(e, meta_common);
    experts(e);
    rotation(e);
    if (!(e->f->flags & FAMILY_READS) || !strcmp(e->f->arch, "gemma-embedding")) window(e);
    presence(e);
    return e->text.failed ? lar_fail(err, LAR_ENOMEM, "config.json: out of memory") : 0;
}
