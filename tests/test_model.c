/* SPDX-License-Identifier: Apache-2.0
 * tests/test_model.c: files that are well-formed GGUF and no model: each is refused with a sentence that names what is wrong. */
#include "model/model.h"

#include "gguf_build.h"
#include "tap.h"

enum { WIDTH = 32, FF = 64, VOCAB = 16, LAYERS = 2, HUGE_DATA = 1 << 24 };

/* One thing to do otherwise than right. */
struct twist {
    const char *skip_key, *skip_tensor; /* left out */
    const char *key;                    /* given this value */
    uint64_t value;
    const char *tensor; /* given these dimensions */
    uint64_t dim[2];
    const char *extra; /* one more tensor */
    const char *arch;
    float eps;
    const char *scaling; /* rope.scaling.type */
    const char *list; /* this key is a list: of .value's, .count of them, of type .etype */
    uint32_t etype;
    uint64_t count;
    uint64_t draft;      /* nextn_predict_layers; 0: no such key */
    float factor, old;   /* rope.scaling.factor, rope.scale_linear; 0: no such key */
    const char *number; /* rope.scaling.NUMBER is this */
    float is;
    const char *says; /* what the message must hold */
};

static uint64_t offset;
static double turns, stretched; /* of the second pair of a rotated head, for each position; what all are multiplied by */

static void key(struct gb *g, const struct twist *t, const char *tail, uint64_t v)
{
    char name[100];
    snprintf(name, sizeof name, "llama.%s", tail);
    if (t->skip_key && !strcmp(t->skip_key, tail)) return;
    if (t->key && !strcmp(t->key, tail)) v = t->value;
    if (!t->list || strcmp(t->list, tail)) {
        gb_kv_int(g, name, GGUF_U32, v);
        return;
    }
    struct buf *b = gb_array(g, name, t->etype, t->count);
    for (uint64_t i = 0; i < t->count; i++) gb_int(b, t->value, 4);
}

static void tensor(struct gb *g, const struct twist *t, const char *name, uint64_t k, uint64_t rows)
{
    uint64_t dim[2] = {k, rows};
    if (t->skip_tensor && !strcmp(t->skip_tensor, name)) return;
    if (t->tensor && !strcmp(t->tensor, name)) dim[0] = t->dim[0], dim[1] = t->dim[1];
    gb_tensor(g, name, dim[1] ? 2 : 1, dim, DT_F32, offset);
    offset += (dim[0] * (dim[1] ? dim[1] : 1) * 4 + 31) / 32 * 32;
}

static void layer(struct gb *g, const struct twist *t, int i)
{
    static const struct {
        const char *part;
        uint64_t k, rows;
    } part[] = {
        {"attn_norm", WIDTH, 0},      {"attn_q", WIDTH, WIDTH},      {"attn_k", WIDTH, WIDTH / 2},
        {"attn_v", WIDTH, WIDTH / 2}, {"attn_output", WIDTH, WIDTH}, {"ffn_norm", WIDTH, 0},
        {"ffn_gate", WIDTH, FF},      {"ffn_up", WIDTH, FF},         {"ffn_down", FF, WIDTH}};
    for (size_t k = 0; k < sizeof part / sizeof *part; k++) {
        char name[64];
        snprintf(name, sizeof name, "blk.%d.%s.weight", i, part[k].part);
        tensor(g, t, name, part[k].k, part[k].rows);
    }
}

/* Writes the file and tries to open it: the code, and the sentence in err. */
static int try_open(const struct twist *t, struct lar_err *err)
{
    struct gb g = {0};
    offset = 0;
    gb_kv_text(&g, "general.architecture", t->arch ? t->arch : "llama");
    key(&g, t, "block_count", LAYERS);
    key(&g, t, "context_length", 64);
    key(&g, t, "embedding_length", WIDTH);
    key(&g, t, "feed_forward_length", FF);
    key(&g, t, "attention.head_count", 4);
    key(&g, t, "attention.head_count_kv", 2);
    key(&g, t, "rope.dimension_count", 8);
    gb_kv_f32(&g, "llama.attention.layer_norm_rms_epsilon", t->eps != 0 ? t->eps : 1e-5f);
    if (t->scaling) gb_kv_text(&g, "llama.rope.scaling.type", t->scaling);
    if (t->factor != 0) gb_kv_f32(&g, "llama.rope.scaling.factor", t->factor);
    if (t->number) {
        char name[100];
        snprintf(name, sizeof name, "llama.rope.scaling.%s", t->number);
        gb_kv_f32(&g, name, t->is);
    }
    if (t->old != 0) gb_kv_f32(&g, "llama.rope.scale_linear", t->old);
    if (t->draft) gb_kv_int(&g, "llama.nextn_predict_layers", GGUF_U32, t->draft);
    tensor(&g, t, "token_embd.weight", WIDTH, VOCAB);
    tensor(&g, t, "output_norm.weight", WIDTH, 0);
    for (int i = 0; i < LAYERS; i++) layer(&g, t, i);
    if (t->extra) tensor(&g, t, t->extra, WIDTH, 0);
    for (uint64_t i = 0; i < offset && offset < HUGE_DATA; i++) buf_putc(&g.data, 0);
    struct gb_file f = gb_end(&g);
    char path[] = "/tmp/lar-test-model-" "XX" "XX" "XX";
    int fd = mkstemp(path);
    ssize_t wrote = fd >= 0 ? write(fd, f.p, f.n) : -1;
    if (fd >= 0 && offset >= HUGE_DATA && ftruncate(fd, (off_t)(f.n + offset + 64)))
        wrote = -1; /* a hole: takes no room */
    if (fd >= 0) close(fd);
    struct model *m = NULL;
    int rc = wrote == (ssize_t)f.n ? model_open(&m, path, 1, err) : -99;
    turns = m ? m->rope[0].inv[1] : 0;
    stretched = m ? m->rope[0].mscale : 0;
    model_close(m);
    unlink(path);
    free(f.p);
    return rc;
}

static void the_model_without_a_twist_opens(void)
{
    struct lar_err err = {0};
    struct twist none = {0};
    CHECK_EQ(try_open(&none, &err), 0);
    CHECK_STR(err.msg, "");
}

static void each_fault_is_named(void)
{
    static const struct twist twist[] = {
        {.arch = "llamma", .says = "llamma"},
        {.skip_key = "block_count", .says = "llama.block_count"},
        {.skip_key = "context_length", .says = "llama.context_length"},
        {.skip_key = "attention.head_count", .says = "attention.head_count"},
        {.key = "block_count", .value = 0, .says = "block_count is 0"},
        {.key = "block_count", .value = 4000000000, .says = "4000000000"},
        {.key = "block_count", .value = 3, .says = "blk.2."},
        {.key = "block_count", .value = 1, .says = "blk.1."}, /* a layer that nobody would read */
        {.key = "embedding_length", .value = 64, .says = "token_embd.weight"},
        {.key = "embedding_length", .value = 0, .says = "embedding_length"},
        {.key = "feed_forward_length", .value = 65, .says = "ffn_gate.weight"},
        {.key = "attention.head_count", .value = 3, .says = "heads"},
        {.key = "attention.head_count", .value = 1 << 30, .says = "head_count"},
        {.key = "attention.head_count_kv", .value = 0, .says = "head_count_kv"},
        {.key = "rope.dimension_count", .value = 7, .says = "dimension"},
        {.key = "rope.dimension_count", .value = 4096, .says = "dimension"},
        {.eps = -1, .says = "epsilon"},
        {.eps = NAN, .says = "epsilon"},
        {.skip_tensor = "token_embd.weight", .says = "token_embd.weight is missing"},
        {.skip_tensor = "output_norm.weight", .says = "output_norm.weight is missing"},
        {.skip_tensor = "blk.1.ffn_down.weight", .says = "blk.1.ffn_down.weight is missing"},
        {.tensor = "blk.0.attn_q.weight", .dim = {WIDTH, WIDTH - 1}, .says = "blk.0.attn_q.weight"},
        {.tensor = "blk.0.attn_norm.weight",
         .dim = {WIDTH - 1, 0},
         .says = "blk.0.attn_norm.weight"},
        {.tensor = "blk.1.ffn_down.weight", .dim = {FF, 1}, .says = "blk.1.ffn_down.weight"},
        /* CVE-2025-0313: a list for each layer that is shorter than the layers, empty, or not of whole numbers that can be */
        {.list = "attention.head_count_kv", .etype = GGUF_U32, .count = 1, .value = 2,
         .says = "has 1 values, but the model has 2 layers"},
        {.list = "attention.head_count_kv", .etype = GGUF_U32, .count = 0, .says = "has 0 values"},
        {.list = "attention.head_count_kv", .etype = GGUF_F32, .count = 2, .value = 0x40000000,
         .says = "an array of"},
        {.list = "attention.head_count_kv", .etype = GGUF_I32, .count = 2, .value = 0xffffffff,
         .says = "head_count_kv"},
        {.draft = LAYERS, .says = "nextn_predict_layers is 2 of 2 layers"},
        /* CVE-2026-53923: right only in the lower 32 bits */
        {.tensor = "output_norm.weight", .dim = {WIDTH + ((uint64_t)1 << 32), 0},
         .says = "output_norm.weight has 4294967328"},
        {.factor = -4, .says = "scaling.factor is -4"},
        {.scaling = "cubic", .factor = 4, .says = "\"cubic\""},
        {.extra = "blk.0.attn_q.scale", .says = "blk.0.attn_q.scale"},
        {.extra = "rope_freqs.weight", .says = "rope_freqs.weight"}, /* of a wrong length */
    };
    for (size_t i = 0; i < sizeof twist / sizeof *twist; i++) {
        struct lar_err err = {0};
        int rc = try_open(&twist[i], &err);
        if (rc != (twist[i].arch ? LAR_EFAMILY : LAR_EFORMAT) && (twist[i].arch || rc != LAR_EUNSUPPORTED)) {
            printf("# twist %zu (%s): gave %d\n", i, twist[i].says, rc);
            tap_case_bad++;
        } else if (!strstr(err.msg, twist[i].says)) {
            printf("# twist %zu: \"%s\" does not name %s\n", i, err.msg, twist[i].says);
            tap_case_bad++;
        }
    }
}

/* Which keys stretch the rotation, and by what: as llama.cpp reads them (llama-model.cpp, load_hparams). */
static void positions_are_stretched_as_the_keys_say(void)
{
    static const struct {
        struct twist t;
        double by;
    } row[] = {
        {{0}, 1},
        {{.scaling = "linear", .factor = 4}, 4},
        {{.factor = 4}, 4}, /* without a type it is linear */
        {{.old = 8}, 8},    /* files from before 2024 */
        {{.scaling = "linear", .old = 8}, 8},
        {{.factor = 4, .old = 8}, 4},
        {{.scaling = "none", .factor = 4}, 1},
        {{.scaling = "none", .old = 8}, 1},
        {{.scaling = "linear"}, 1},
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        struct lar_err err = {0};
        CHECK_EQ(try_open(&row[i].t, &err), 0);
        CHECK_STR(err.msg, "");
        CHECK_NEAR(turns * row[i].by, pow(10000, -2.0 / 8), 1e-9); /* heads of 8, base 10000 */
    }
}

/* YaRN's keys, each by its name. The numbers are those of transformers' _compute_yarn_parameters (heads of 8, base 10000, a factor of 4 beyond 64
 * positions): what the second pair's angle and all cosines and sines are multiplied by. */
static void yarn_is_as_the_keys_say(void)
{
    static const struct {
        struct twist t;
        double by, mscale;
    } row[] = {
        {{0}, 0.625, 1.138629436111989},
        {{.number = "yarn_beta_fast", .is = 0.5F}, 1, 1.138629436111989},
        {{.number = "yarn_beta_slow", .is = 0.02F}, 0.75, 1.138629436111989},
        {{.number = "yarn_attn_factor", .is = 1.7F}, 0.625, 1.7}, /* attention_factor: the whole of it */
        {{.number = "attn_factor", .is = 0.5F}, 0.625, 1.138629436111989 / 2},
        {{.number = "yarn_log_multiplier", .is = 0.07F}, 0.625, 1.138629436111989 / (1 + 0.007 * 1.3862943611198906)},
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        struct lar_err err = {0};
        struct twist t = row[i].t;
        t.scaling = "yarn", t.factor = 4;
        CHECK_EQ(try_open(&t, &err), 0);
        CHECK_STR(err.msg, "");
        CHECK_NEAR(turns, row[i].by * 0.1, 1e-7);
        CHECK_NEAR(stretched, row[i].mscale, 1e-6);
    }
}

int main(void)
{
    tap_timeout(60);
    RUN(the_model_without_a_twist_opens);
    RUN(each_fault_is_named);
    RUN(positions_are_stretched_as_the_keys_say);
    RUN(yarn_is_as_the_keys_say);
    return tap_done();
}
