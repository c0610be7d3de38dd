/* SPDX-License-Identifier: Apache-2.0
 *
 * quant/mix.c: see mix.h. In short: the output matrix (or the embedding that serves as it) gets Q6_K; values of attention and the
 * second matrix of the feed-forward part are sensitive and get more bits, all of them or the first and last eighth and every
 * third layer between; a width that is no whole number of blocks falls back to a type with smaller ones.
 */
#include "quant/mix.h"

#include <ctype.h>
#include <inttypes.h>
#include <regex.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/sort.h"

/* llama.h, enum llama_ftype */
enum {
    F_F32 = 0,
    F_F16 = 1,
    F_Q4_0 = 2,
    F_Q4_1 = 3,
    F_Q8_0 = 7,
    F_Q5_0 = 8,
    F_Q5_1 = 9,
    F_Q2_K = 10,
    F_Q3_K_S = 11,
    F_Q3_K_M = 12,
    F_Q3_K_L = 13,
    F_Q4_K_S = 14,
    F_Q4_K_M = 15,
    F_Q5_K_S = 16,
    F_Q5_K_M = 17,
    F_Q6_K = 18,
    F_IQ2_XXS = 19,
    F_IQ2_XS = 20,
    F_Q2_K_S = 21,
    F_IQ3_XS = 22,
    F_IQ3_XXS = 23,
    F_IQ1_S = 24,
    F_IQ4_NL = 25,
    F_IQ3_S = 26,
    F_IQ3_M = 27,
    F_IQ2_S = 28,
    F_IQ2_M = 29,
    F_IQ4_XS = 30,
    F_IQ1_M = 31,
    F_BF16 = 32,
    F_TQ1_0 = 36,
    F_TQ2_0 = 37,
    F_MXFP4_MOE = 38,
    F_NVFP4 = 39,
    F_Q1_0 = 40,
    F_Q2_0 = 41
};

static const struct mix mixes[] = {
    {"F32", F_F32, DT_F32},
    {"F16", F_F16, DT_F16},
    {"BF16", F_BF16, DT_BF16},
    {"Q8_0", F_Q8_0, DT_Q8_0},
    {"Q6_K", F_Q6_K, DT_Q6_K},
    {"Q5_K_M", F_Q5_K_M, DT_Q5_K},
    {"Q5_K_S", F_Q5_K_S, DT_Q5_K},
    {"Q5_1", F_Q5_1, DT_Q5_1},
    {"Q5_0", F_Q5_0, DT_Q5_0},
    {"Q4_K_M", F_Q4_K_M, DT_Q4_K},
    {"Q4_K_S", F_Q4_K_S, DT_Q4_K},
    {"Q4_1", F_Q4_1, DT_Q4_1},
    {"Q4_0", F_Q4_0, DT_Q4_0},
    {"IQ4_NL", F_IQ4_NL, DT_IQ4_NL},
    {"IQ4_XS", F_IQ4_XS, DT_IQ4_XS},
    {"Q3_K_L", F_Q3_K_L, DT_Q3_K},
    {"Q3_K_M", F_Q3_K_M, DT_Q3_K},
    {"Q3_K_S", F_Q3_K_S, DT_Q3_K},
    {"IQ3_M", F_IQ3_M, DT_IQ3_S},
    {"IQ3_S", F_IQ3_S, DT_IQ3_S},
    {"IQ3_XS", F_IQ3_XS, DT_IQ3_S},
    {"IQ3_XXS", F_IQ3_XXS, DT_IQ3_XXS},
    {"Q2_K", F_Q2_K, DT_Q2_K},
    {"Q2_K_S", F_Q2_K_S, DT_Q2_K},
    {"IQ2_M", F_IQ2_M, DT_IQ2_S},
    {"IQ2_S", F_IQ2_S, DT_IQ2_XS},
    {"IQ2_XS", F_IQ2_XS, DT_IQ2_XS},
    {"IQ2_XXS", F_IQ2_XXS, DT_IQ2_XXS},
    {"IQ1_M", F_IQ1_M, DT_IQ1_M},
    {"IQ1_S", F_IQ1_S, DT_IQ1_S},
    {"TQ2_0", F_TQ2_0, DT_TQ2_0},
    {"TQ1_0", F_TQ1_0, DT_TQ1_0},
    {"MXFP4_MOE", F_MXFP4_MOE, DT_MXFP4},
    {"NVFP4", F_NVFP4, DT_NVFP4},
    {"Q2_0", F_Q2_0, DT_Q2_0},
    {"Q1_0", F_Q1_0, DT_Q1_0},
    /* other names */
    {"Q5_K", F_Q5_K_M, DT_Q5_K},
    {"Q4_K", F_Q4_K_M, DT_Q4_K},
    {"Q3_K", F_Q3_K_M, DT_Q3_K},
};
enum { NMIX = sizeof mixes / sizeof *mixes };

const struct mix *mix_at(size_t i) { return i < NMIX ? &mixes[i] : NULL; }

const struct mix *mix_find(const char *name)
{
    for (size_t i = 0; i < NMIX; i++)
        if (strcasecmp(name, mixes[i].name) == 0) return &mixes[i];
    return NULL;
}

int mix_dtype(const char *name)
{
    for (uint32_t i = 0; i < DTYPE_COUNT; i++)
        if (dtype_info(i).name && strcasecmp(name, dtype_info(i).name) == 0) return (int)i;
    return -1;
}

/* ---- overrides ------------------------------------------------------------------------------------------ */

struct mix_override {
    size_t n;
    struct {
        regex_t re;
        enum dtype type;
        const char *text; /* the caller's */
    } v[];
};

/* The pattern before the last '=', \d as [0-9] (POSIX extended expressions have no \d). */
static int compile(regex_t *re, const char *text, size_t n, struct lar_err *err)
{
    struct buf b = {0};
    char why[100];
    for (size_t i = 0; i < n; i++) {
        if (text[i] == '\\' && i + 1 < n && text[i + 1] == 'd') {
            buf_puts(&b, "[0-9]");
            i++;
        } else {
            buf_putc(&b, text[i]);
        }
    }
    int rc = b.failed ? REG_ESPACE : regcomp(re, buf_z(&b), REG_EXTENDED | REG_NOSUB);
    if (rc) regerror(rc, re, why, sizeof why);
    buf_done(&b);
    return rc ? lar_fail(err, LAR_EINVAL,
                         "tensor type %s: the pattern is no regular expression: %s", text, why)
              : LAR_OK;
}

int mix_override_open(struct mix_override **out, const char *const *text, size_t n,
                      struct lar_err *err)
{
    struct mix_override *o = mem_zalloc(sizeof *o + n * sizeof *o->v);
    *out = NULL;
    if (!o) return lar_fail(err, LAR_ENOMEM, "tensor types: out of memory");
    for (size_t i = 0; i < n; i++) {
        const char *eq = strrchr(text[i], '=');
        int type = eq ? mix_dtype(eq + 1) : -1, rc;
        if (!eq || eq == text[i] || type < 0)
            rc = lar_fail(err, LAR_EINVAL, "tensor type %s: expected PATTERN=TYPE, as attn_v=q8_0",
                          text[i]);
        else
            rc = compile(&o->v[i].re, text[i], (size_t)(eq - text[i]), err);
        if (rc < 0) {
            mix_override_close(o);
            return rc;
        }
        o->v[i].type = (enum dtype)type;
        o->v[i].text = text[i];
        o->n++;
    }
    *out = o;
    return LAR_OK;
}

void mix_override_close(struct mix_override *o)
{
    if (!o) return;
    for (size_t i = 0; i < o->n; i++) regfree(&o->v[i].re);
    mem_free(o);
}

/* ---- what a tensor is ------------------------------------------------------------------------------------ */

enum kind {
    EMBEDDING,
    QUERY,
    VALUE,
    KEY,
    FUSED,
    KV_B,
    ATTENTION_OUT,
    UP,
    GATE,
    DOWN,
    OUTPUT,
    OTHER
};

static int has(struct str s, const char *part)
{
    return memmem(s.p, s.n, part, strlen(part)) != NULL;
}

static enum kind kind_of(struct str name)
{
    static const struct {
        const char *part;
        enum kind kind;
    } known[] = {{"attn_qkv.weight", FUSED},
                 {"attn_kv_b.weight", KV_B},
                 {"attn_v.weight", VALUE},
                 {"attn_k.weight", KEY},
                 {"attn_q.weight", QUERY},
                 {"attn_output.weight", ATTENTION_OUT},
                 {"ffn_up", UP},
                 {"ffn_gate", GATE},
                 {"ffn_down", DOWN}};
    if (str_is(name, "output.weight")) return OUTPUT;
    if (str_is(name, "token_embd.weight") || str_is(name, "per_layer_token_embd.weight"))
        return EMBEDDING;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (has(name, known[i].part)) return known[i].kind;
    return OTHER;
}

static int ndim(const struct gguf_tensor *t)
{
    int n = t->ndim;
    while (n > 1 && t->dim[n - 1] == 1) n--;
    return n;
}

int mix_touches(const struct gguf_tensor *t)
{
    /* small, or summed rather than multiplied, or known to suffer */
    static const char *const never[] = {"_norm.weight",
                                        "ffn_gate_inp.weight",
                                        "ffn_gate_tid2eid.weight",
                                        "altup",
                                        "laurel",
                                        "per_layer_model_proj",
                                        "ssm_conv1d",
                                        "shortconv.conv.weight",
                                        "indexer.k_proj.weight",
                                        "indexer.q_proj.weight",
                                        "time_mix_first.weight",
                                        "time_mix_w0.weight",
                                        "time_mix_w1.weight",
                                        "time_mix_w2.weight",
                                        "time_mix_v0.weight",
                                        "time_mix_v1.weight",
                                        "time_mix_v2.weight",
                                        "time_mix_a0.weight",
                                        "time_mix_a1.weight",
                                        "time_mix_a2.weight",
                                        "time_mix_g1.weight",
                                        "time_mix_g2.weight",
                                        "time_mix_decay_w1.weight",
                                        "time_mix_decay_w2.weight",
                                        "time_mix_lerp_fused.weight",
                                        "attn_rel_b.weight",
                                        ".position_embd",
                                        "sam.pos_embd",
                                        "sam.neck.",
                                        "sam.net_",
                                        ".rel_pos",
                                        ".patch_embd",
                                        ".patch_merger",
                                        "a.rvq.codebook",
                                        "mm.a.code_embd"};
    if (ndim(t) < 2 || !str_ends(t->name, STR("weight"))) return 0;
    if (str_is(t->name, "position_embd.weight") || str_is(t->name, "token_types.weight")) return 0;
    for (size_t i = 0; i < sizeof never / sizeof *never; i++)
        if (has(t->name, never[i])) return 0;
    return t->type != DT_I8 && t->type != DT_I16 && t->type != DT_I32 && t->type != DT_I64;
}

/* ---- the rules -------------------------------------------------------------------------------------------- */

struct plan {
    const struct gguf *g;
    uint32_t ft;
    int falcon, seventy, layers, experts, gqa, tied, importance;
    int nvalue;                    /* tensors of values in the model */
    int ivalue, idown, igate, iup; /* met so far */
};

static int more_bits(int i, int n) { return i < n / 8 || i >= 7 * n / 8 || (i - n / 8) % 3 == 2; }

static int is_one(uint32_t ft, const uint32_t *of, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (of[i] == ft) return 1;
    return 0;
}
#define ONE_OF(ft, ...) \
    is_one(ft, (const uint32_t[]){__VA_ARGS__}, sizeof((const uint32_t[]){__VA_ARGS__}) / 4)

static int two_bits(uint32_t ft)
{
    return ONE_OF(ft, F_IQ2_XXS, F_IQ2_XS, F_IQ1_S, F_IQ2_S, F_IQ2_M, F_IQ1_M);
}

/* The layer by name in models with experts (they are not in order), else by counting; -1 when the name has none. */
static int layer_of(const struct plan *p, struct str name, int counted)
{
    int v = 0;
    size_t i = 4;
    if (p->experts <= 1) return counted;
    if (!str_starts(name, STR("blk."))) return counted;
    for (; i < name.n && isdigit((unsigned char)name.p[i]) && v < 1000000; i++)
        v = 10 * v + name.p[i] - '0';
    return i > 4 && v < p->layers ? v : counted;
}

static enum dtype output_type(const struct plan *p, const struct gguf_tensor *t, enum dtype type)
{
    if (p->ft == F_MXFP4_MOE || p->falcon || t->dim[0] % dtype_info(type).block) return DT_Q8_0;
    if (ONE_OF(p->ft, F_IQ2_XXS, F_IQ2_XS, F_IQ3_XXS, F_IQ1_S, F_IQ2_S, F_IQ2_M, F_IQ1_M))
        return DT_Q5_K;
    return type == DT_Q8_0 ? type : DT_Q6_K;
}

static enum dtype embedding_type(const struct plan *p, enum dtype type)
{
    if (ONE_OF(p->ft, F_IQ2_XXS, F_IQ2_XS, F_IQ1_S, F_IQ1_M)) return DT_Q2_K;
    if (ONE_OF(p->ft, F_IQ2_S, F_IQ2_M, F_IQ3_XXS)) return DT_IQ3_S;
    if (ONE_OF(p->ft, F_TQ1_0, F_TQ2_0, F_Q2_0)) return DT_Q4_K;
    return type;
}

static enum dtype two_bit_type(struct plan *p, enum kind kind, enum dtype type)
{
    int wider = ONE_OF(p->ft, F_IQ2_S, F_IQ2_M);
    enum dtype step = wider ? DT_IQ3_S : DT_Q2_K;
    if (kind == VALUE || kind == FUSED || kind == KV_B)
        return p->gqa >= 4 || p->experts >= 4 ? DT_Q4_K : step;
    if (kind == KEY && p->experts == 8) return DT_Q4_K;
    if (kind == DOWN) return p->idown++ < p->layers / 8 ? step : type;
    if (kind != ATTENTION_OUT) return type;
    if (p->experts == 8) return DT_Q5_K;
    if (ONE_OF(p->ft, F_IQ1_S, F_IQ1_M)) return DT_IQ2_XXS;
    return wider ? DT_IQ3_S : type;
}

static enum dtype value_type(struct plan *p, enum dtype type)
{
    int i = p->ivalue++, shared = p->gqa >= 4;
    if (p->ft == F_Q2_K)
        type = shared ? DT_Q4_K : DT_Q3_K;
    else if (p->ft == F_Q2_K_S && shared)
        type = DT_Q4_K;
    else if (p->ft == F_IQ3_XXS)
        type = shared ? DT_Q4_K : !p->importance ? DT_IQ3_S : DT_IQ3_XXS;
    else if (ONE_OF(p->ft, F_IQ3_XS, F_IQ3_S) && shared)
        type = DT_Q4_K;
    else if (p->ft == F_IQ3_M)
        type = DT_Q4_K;
    else if (p->ft == F_Q3_K_M)
        type = i < 2 ? DT_Q5_K : DT_Q4_K;
    else if (p->ft == F_Q3_K_L)
        type = DT_Q5_K;
    else if (ONE_OF(p->ft, F_IQ4_NL, F_IQ4_XS) && shared)
        type = DT_Q5_K;
    else if (ONE_OF(p->ft, F_Q4_K_M, F_Q5_K_M) && more_bits(i, p->nvalue))
        type = DT_Q6_K;
    else if (p->ft == F_Q4_K_S && i < 4)
        type = DT_Q5_K;
    if (p->seventy && (type == DT_Q3_K || type == DT_Q4_K)) type = DT_Q5_K;
    return p->experts == 8 ? DT_Q8_0 : type;
}

static enum dtype down_type(struct plan *p, struct str name, enum dtype type)
{
    int n = p->layers, i = layer_of(p, name, p->idown++), early = i < n / 8;
    switch (p->ft) {
    case F_Q2_K: return DT_Q3_K;
    case F_Q2_K_S: return early ? DT_Q4_K : type;
    case F_IQ3_XXS: return p->importance ? type : early ? DT_Q4_K : DT_Q3_K;
    case F_Q3_K_M: return i < n / 16 ? DT_Q5_K : !p->falcon || more_bits(i, n) ? DT_Q4_K : DT_Q3_K;
    case F_IQ3_M: return early || (p->experts == 8 && more_bits(i, n)) ? DT_Q4_K : type;
    case F_Q3_K_L: return p->falcon ? DT_Q4_K : DT_Q5_K;
    case F_Q4_K_M:
        if (p->falcon) return i < n / 16 ? DT_Q6_K : more_bits(i, n) ? DT_Q5_K : DT_Q4_K;
        return more_bits(i, n) ? DT_Q6_K : type;
    case F_IQ4_NL:
    case F_IQ4_XS: return early && !p->importance ? DT_Q5_K : type;
    case F_Q5_K_M: return more_bits(i, n) ? DT_Q6_K : type;
    case F_Q4_K_S: return !p->falcon && early ? DT_Q5_K : type;
    case F_Q4_0: return p->importance && early ? DT_Q4_1 : type;
    case F_Q5_0: return p->importance && early ? DT_Q5_1 : type;
    default: return type;
    }
}

static enum dtype attention_out_type(const struct plan *p, enum dtype type)
{
    if (p->falcon) return p->ft == F_Q3_K_L ? DT_Q4_K : type;
    if (p->experts == 8)
        return ONE_OF(p->ft, F_Q2_K, F_IQ3_XS, F_IQ3_XXS, F_Q3_K_S, F_Q3_K_M, F_IQ4_NL, F_Q4_K_S,
                      F_Q4_K_M, F_IQ3_S, F_IQ3_M, F_IQ4_XS)
                   ? DT_Q5_K
                   : type;
    switch (p->ft) {
    case F_Q2_K: return DT_Q3_K;
    case F_IQ3_XXS: return DT_IQ3_S;
    case F_Q3_K_M:
    case F_IQ3_M: return DT_Q4_K;
    case F_Q3_K_L: return DT_Q5_K;
    default: return type;
    }
}

static enum dtype key_query_type(const struct plan *p, enum kind kind, enum dtype type)
{
    if (kind == KEY && p->experts == 8) return DT_Q8_0;
    return p->ft == F_IQ3_XS ? DT_IQ3_XXS : p->ft == F_IQ3_XXS ? DT_IQ2_S : type;
}

static enum dtype choose(struct plan *p, const struct gguf_tensor *t, enum dtype type)
{
    enum kind kind = kind_of(t->name);
    if (kind == OUTPUT || (p->tied && kind == EMBEDDING)) return output_type(p, t, type);
    if (p->ft == F_MXFP4_MOE) return t->dim[2] > 1 ? DT_MXFP4 : DT_Q8_0;
    if (kind == EMBEDDING) return embedding_type(p, type);
    if (two_bits(p->ft)) return two_bit_type(p, kind, type);
    if (kind == VALUE || kind == FUSED || kind == KV_B) return value_type(p, type);
    if (kind == KEY || kind == QUERY) return key_query_type(p, kind, type);
    if (kind == DOWN) return down_type(p, t->name, type);
    if (kind == ATTENTION_OUT) return attention_out_type(p, type);
    if (kind == GATE || kind == UP) {
        int i = layer_of(p, t->name, kind == GATE ? p->igate++ : p->iup++);
        if (p->ft == F_IQ3_XS && i >= p->layers / 8 && i < 7 * p->layers / 8) return DT_IQ3_XXS;
    }
    return type;
}

/* A type whose blocks fit the width. */
static enum dtype fall_back(const struct gguf_tensor *t, enum dtype type)
{
    enum dtype next;
    if (t->dim[0] % dtype_info(type).block == 0) return type;
    switch (type) {
    case DT_Q4_K: next = DT_Q5_0; break;
    case DT_Q5_K: next = DT_Q5_1; break;
    case DT_Q6_K: next = DT_Q8_0; break;
    case DT_Q2_0:
    case DT_Q2_K:
    case DT_Q3_K:
    case DT_TQ1_0:
    case DT_TQ2_0: next = DT_Q4_0; break;
    default: next = dtype_info(type).block == 256 ? DT_IQ4_NL : DT_Q4_0; break;
    }
    if (dtype_info(type).block <= 32) next = DT_F16;
    return t->dim[0] % dtype_info(next).block ? DT_F16 : next;
}

/* ---- a whole model ----------------------------------------------------------------------------------------- */

static int layer_in(struct str name)
{
    int v = -1;
    if (!str_starts(name, STR("blk."))) return -1;
    for (size_t i = 4; i < name.n && isdigit((unsigned char)name.p[i]) && v < 1000000; i++)
        v = 10 * (v < 0 ? 0 : v) + name.p[i] - '0';
    return v;
}

/* By layer, then by name: the order in which layers are counted. */
static int by_layer(const void *ctx, uint32_t a, uint32_t b)
{
    const struct gguf_tensor *t = ctx;
    int la = layer_in(t[a].name), lb = layer_in(t[b].name);
    return la != lb ? (la > lb) - (la < lb) : str_cmp(t[a].name, t[b].name);
}

/* A number of the architecture's, or the first of a list a layer; 0 when there is none. */
static int number(const struct gguf *g, struct str arch, const char *tail)
{
    char key[160];
    if (arch.n > 80) return 0;
    memcpy(key, arch.p, arch.n);
    memcpy(key + arch.n, tail, strlen(tail) + 1);
    const struct gguf_kv *kv = gguf_find(g, key);
    if (!kv || kv->count == 0 || !gguf_is_int(kv->type == GGUF_ARRAY ? kv->etype : kv->type))
        return 0;
    int64_t v = gguf_int_at(kv, 0);
    return v < 0 || v > 1000000 ? 0 : (int)v;
}

static int describe(struct plan *p, struct lar_err *err)
{
    struct str arch = STR(""), type = STR("");
    int rc = gguf_str(p->g, "general.architecture", &arch, err);
    if (rc == LAR_OK) rc = gguf_str(p->g, "general.type", &type, err);
    if (rc < 0) return rc;
    if (str_is(type, "imatrix"))
        return lar_fail(err, LAR_EINVAL, "the file is an importance matrix, no model: it goes behind --imatrix");
    int heads = number(p->g, arch, ".attention.head_count"),
        kv = number(p->g, arch, ".attention.head_count_kv");
    p->layers = number(p->g, arch, ".block_count");
    p->experts = number(p->g, arch, ".expert_count");
    p->gqa = kv ? heads / kv : 1;
    p->falcon = str_is(arch, "falcon");
    p->seventy =
        p->layers == 80 && ((str_is(arch, "llama") && heads != kv) || str_is(arch, "qwen2"));
    p->tied = 1;
    for (size_t i = 0; i < p->g->ntensor; i++) {
        enum kind kind = kind_of(p->g->tensor[i].name);
        p->nvalue += kind == VALUE || kind == FUSED || kind == KV_B;
        if (kind == OUTPUT) p->tied = 0;
    }
    return LAR_OK;
}

static int terminated(struct str s, char *out, size_t room)
{
    if (s.n >= room || memchr(s.p, 0, s.n)) return 0;
    memcpy(out, s.p, s.n);
    out[s.n] = 0;
    return 1;
}

static void decide(struct plan *p, const struct mix *mix, const struct mix_override *o, int pure,
                   const struct gguf_tensor *t, struct mix_tensor *out)
{
    char name[256];
    *out = (struct mix_tensor){.type = t->type};
    if (!mix_touches(t)) return;
    out->type = mix->base;
    for (size_t i = 0; o && i < o->n && !out->override && terminated(t->name, name, sizeof name);
         i++)
        if (regexec(&o->v[i].re, name, 0, NULL, 0) == 0) {
            out->type = o->v[i].type;
            out->override = (int)i + 1;
        }
    if (dtype_info(mix->base).block > 1 && !out->override && !pure)
        out->type = choose(p, t, out->type);
    enum dtype fits = fall_back(t, out->type);
    out->fell_back = fits != out->type;
    out->type = fits;
}

static int found_in(const regex_t *re, const struct gguf *g)
{
    char name[256];
    for (size_t i = 0; i < g->ntensor; i++)
        if (mix_touches(&g->tensor[i]) && terminated(g->tensor[i].name, name, sizeof name) &&
            regexec(re, name, 0, NULL, 0) == 0)
            return 1;
    return 0;
}

/* A pattern that fits nothing is a slip, and its tensors would silently get another type. */
static int all_found(const struct mix_override *o, const struct gguf *g, struct lar_err *err)
{
    for (size_t i = 0; o && i < o->n; i++)
        if (!found_in(&o->v[i].re, g))
            return lar_fail(err, LAR_EINVAL,
                            "tensor type %s: the pattern fits no tensor that is quantised (lar show --all names them)",
                            o->v[i].text);
    return LAR_OK;
}

int mix_plan(const struct gguf *g, const struct mix *mix, const struct mix_override *o,
             int has_importance, int pure, struct mix_tensor *out, struct lar_err *err)
{
    struct plan p = {.g = g, .ft = mix->file_type, .importance = has_importance};
    uint32_t *order = mem_alloc((g->ntensor + 1) * sizeof *order);
    if (!order) return lar_fail(err, LAR_ENOMEM, "quantize: out of memory");
    int rc = describe(&p, err);
    if (rc == LAR_OK) rc = all_found(o, g, err);
    for (size_t i = 0; i < g->ntensor; i++) order[i] = (uint32_t)i;
    sort_u32(order, g->ntensor, by_layer, g->tensor);
    for (size_t i = 0; rc == LAR_OK && i < g->ntensor; i++)
        decide(&p, mix, o, pure, &g->tensor[order[i]], &out[order[i]]);
    mem_free(order);
    return rc;
}

int mix_needs_importance(const struct mix *mix, struct str name, enum dtype t)
{
    enum kind kind = kind_of(name);
    if (kind == OUTPUT || kind == EMBEDDING) return 0;
    if (t == DT_Q2_K) return mix->file_type == F_Q2_K_S;
    return t == DT_IQ3_XXS || t == DT_IQ2_XXS || t == DT_IQ2_XS || t == DT_IQ2_S || t == DT_IQ1_M ||
           t == DT_IQ1_S;
}
