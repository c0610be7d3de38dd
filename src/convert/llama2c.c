/* SPDX-License-Identifier: Apache-2.0
 *
 * convert/llama2c.c: see llama2c.h. Rotations of llama2.c turn neighbours, as ggml's do, so every matrix stays as it lies in the file. All lengths follow
 * from the seven numbers; a file that is not exactly so long is refused before anything is read.
 */
#include "convert/llama2c.h"

#include <inttypes.h>
#include <stdio.h>

#include "convert/family_table.h"
#include "text/vocab_make.h"

enum { NUMBERS = 7, HEAD_V0 = 28, HEAD_V1 = 256 };
enum { DIM, HIDDEN, LAYERS, HEADS, KV_HEADS, VOCAB, SEQ };

struct head {
    int version, shared;
    int64_t group; /* 0: F32 */
    int64_t v[NUMBERS];
    uint64_t bytes; /* of the head */
};

static int32_t i32(const uint8_t *p)
{
    int32_t v;
    memcpy(&v, p, 4);
    return v;
}

static int sane(const struct head *h)
{
    static const int64_t most[NUMBERS] = {1 << 16, 1 << 18, 4096, 4096, 4096, 1 << 24, 1 << 24};
    for (int i = 0; i < NUMBERS; i++)
        if (h->v[i] < 1 || h->v[i] > most[i]) return 0;
    return h->v[DIM] % (2 * h->v[HEADS]) == 0 && h->v[HEADS] % h->v[KV_HEADS] == 0 &&
           h->group >= 0 && h->group <= 1 << 20;
}

/* What stands in the file one after the other: a tensor of each layer, or one of all. */
struct part {
    const char *name; /* of GGUF; NULL: passed over */
    int layers, norm;
    int64_t rows, columns;
};

static int parts(const struct head *h, struct part p[16])
{
    int64_t d = h->v[DIM], f = h->v[HIDDEN], kv = d / h->v[HEADS] * h->v[KV_HEADS], n = h->v[VOCAB];
    const struct part embed = {"token_embd.weight", 0, 0, n, d},
                      out = {"output.weight", 0, 0, n, d}, attn = {"attn_norm.weight", 1, 1, 1, d},
                      ffn = {"ffn_norm.weight", 1, 1, 1, d},
                      last = {"output_norm.weight", 0, 1, 1, d}, q = {"attn_q.weight", 1, 0, d, d},
                      k = {"attn_k.weight", 1, 0, kv, d}, v = {"attn_v.weight", 1, 0, kv, d},
                      o = {"attn_output.weight", 1, 0, d, d}, w1 = {"ffn_gate.weight", 1, 0, f, d},
                      w2 = {"ffn_down.weight", 1, 0, d, f}, w3 = {"ffn_up.weight", 1, 0, f, d},
                      turns = {NULL, 0, 1, 1, h->v[SEQ] * (d / h->v[HEADS] / 2)};
    const struct part v0[] = {embed, attn, q, k, v, o, ffn, w1, w2, w3, last, turns, turns, out};
    const struct part v1[] = {attn, ffn, last, embed, q, k, v, o, w1, w2, w3, out};
    int count = (h->version ? 12 : 14) - h->shared;
    memcpy(p, h->version ? v1 : v0, (size_t)count * sizeof *p);
    return count;
}

/* Bytes of one tensor of a part; nothing overflows, sane() has seen to it. */
static uint64_t bytes_of(const struct head *h, const struct part *p)
{
    uint64_t n = (uint64_t)p->rows * (uint64_t)p->columns;
    return p->norm || !h->group ? 4 * n : n + 4 * (n / (uint64_t)h->group);
}

static uint64_t total(const struct head *h)
{
    struct part p[16];
    int n = parts(h, p);
    uint64_t all = h->bytes;
    for (int i = 0; i < n; i++)
        all += bytes_of(h, &p[i]) * (p[i].layers ? (uint64_t)h->v[LAYERS] : 1);
    return all;
}

/* 1: it is one; 0: it is none; -1: it says that it is, and its numbers cannot be. */
static int read_head(struct head *h, const uint8_t *p, uint64_t size)
{
    *h = (struct head){.bytes = HEAD_V0};
    if (size < HEAD_V0) return 0;
    int magic = i32(p) == 0x616b3432;
    if (magic) {
        h->bytes = HEAD_V1;
        h->version = size < HEAD_V1 ? 0 : i32(p + 4);
        if (h->version != 1 && h->version != 2) return -1;
        h->shared = p[36] != 0;
        if (h->version == 2 && (h->group = i32(p + 37)) < 1) return -1;
        p += 8;
    }
    for (int i = 0; i < NUMBERS; i++) h->v[i] = i32(p + 4 * i);
    if (!magic) {
        h->shared = h->v[VOCAB] > 0;
        if (h->v[VOCAB] < 0) h->v[VOCAB] = -h->v[VOCAB];
    }
    if (!sane(h)) return magic ? -1 : 0;
    return magic || total(h) == size;
}

int llama2c_is(const char *path)
{
    struct filemap m;
    struct head h;
    if (!str_ends(str_of(path), STR(".bin")) || filemap_open(&m, path, NULL) < 0) return 0;
    int is = read_head(&h, m.p, m.n) != 0;
    filemap_close(&m);
    return is;
}

/* ---- tensors ------------------------------------------------------------------------------------- */

static int no_memory(struct lar_err *err)
{
    return lar_fail(err, LAR_ENOMEM, "llama2.c model: out of memory");
}

/* A matrix that stands in the file as it is wanted; with groups its elements are one row to its factors. */
static int add(struct convert *c, const struct head *h, const struct part *p, int64_t layer,
               uint64_t at, struct lar_err *err)
{
    struct weight *w = arena_array(&c->a, 2, sizeof *w);
    struct piece *piece = arena_alloc(&c->a, sizeof *piece);
    char name[64];
    int n = layer < 0 ? snprintf(name, sizeof name, "%s", p->name)
                      : snprintf(name, sizeof name, "blk.%" PRId64 ".%s", layer, p->name);
    char *copy = arena_copy(&c->a, name, (size_t)n);
    if (!w || !piece || !copy) return no_memory(err);
    int64_t all = p->rows * p->columns;
    int grouped = h->group && !p->norm;
    w[0] = (struct weight){.name = {copy, (size_t)n},
                           .type = grouped ? WEIGHT_I8 : WEIGHT_F32,
                           .ndim = 2,
                           .dim = {1, all},
                           .n = all,
                           .data = c->raw.p + at,
                           .bytes = (uint64_t)all * (grouped ? 1 : 4)};
    *piece = (struct piece){.w = w, .ndim = 1, .extent = {all}, .stride = {1}, .scale = 1};
    if (grouped) {
        w[1] = (struct weight){.type = WEIGHT_F32,
                               .ndim = 2,
                               .dim = {1, all / h->group},
                               .n = all / h->group,
                               .data = c->raw.p + at + all,
                               .bytes = 4 * (uint64_t)(all / h->group)};
        piece->scales = &w[1];
        piece->block[0] = 1;
        piece->block[1] = h->group;
    }
    c->p.out[c->p.n++] = (struct output){.name = w->name,
                                         .ndim = p->norm ? 1 : 2,
                                         .n = all,
                                         .piece = piece,
                                         .npiece = 1,
                                         .dim = {p->columns, p->rows, 1, 1}};
    return 0;
}

static int add_all(struct convert *c, const struct head *h, struct lar_err *err)
{
    struct part p[16];
    int n = parts(h, p), rc = 0;
    uint64_t at = h->bytes;
    c->p = (struct plan){.a = &c->a, .nlayer = h->v[LAYERS], .cap = 16 + 9 * (size_t)h->v[LAYERS]};
    c->p.out = arena_array(&c->a, c->p.cap, sizeof *c->p.out);
    if (!c->p.out) return no_memory(err);
    for (int i = 0; i < n && rc == 0; i++)
        for (int64_t l = 0; l < (p[i].layers ? h->v[LAYERS] : 1) && rc == 0; l++) {
            if (h->group && !p[i].norm && p[i].rows * p[i].columns % h->group)
                rc = lar_fail(err, LAR_EFORMAT, "%s: groups of %" PRId64 " do not divide it",
                              p[i].name, h->group);
            else if (p[i].name)
                rc = add(c, h, &p[i], p[i].layers ? l : -1, at, err);
            at += bytes_of(h, &p[i]);
        }
    return rc;
}

/* ---- the rest --------------------------------------------------------------------------------------- */

static int config(struct convert *c, const struct head *h, const char *path, struct lar_err *err)
{
    struct buf b = {0}, name = {0};
    buf_printf(&b,
               "{\"architectures\": [\"LlamaForCausalLM\"], \"hidden_size\": %" PRId64
               ", \"intermediate_size\": %" PRId64 ", \"num_hidden_layers\": %" PRId64
               ", \"num_attention_heads\": %" PRId64 ", \"num_key_value_heads\": %" PRId64
               ", \"vocab_size\": %" PRId64 ", \"max_position_embeddings\": %" PRId64
               ", \"rms_norm_eps\": 1e-5, \"rope_theta\": 10000.0, \"tie_word_embeddings\": %s}",
               h->v[DIM], h->v[HIDDEN], h->v[LAYERS], h->v[HEADS], h->v[KV_HEADS], h->v[VOCAB],
               h->v[SEQ], h->shared ? "true" : "false");
    const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
    buf_add(&name, base, strlen(base) - strlen(".bin"));
    char *text = b.failed ? NULL : arena_copy(&c->a, b.p, b.n),
         *title = arena_copy(&c->a, buf_z(&name), name.n);
    int rc = !text || !title ? no_memory(err) : config_parse(&c->c, (struct str){text, b.n}, err);
    if (rc == 0) c->c.name = (struct str){title, name.n};
    buf_done(&b);
    buf_done(&name);
    return rc;
}

static int token(struct vocab_make *m, int64_t id, struct str s, float score, struct lar_err *err)
{
    enum token_type type = TOKEN_NORMAL;
    if (id == 0) type = TOKEN_UNKNOWN;
    if (id == 1 || id == 2) { /* they are written with line breaks around them */
        type = TOKEN_CONTROL;
        while (s.n && *s.p == '\n') s = str_from(s, 1);
        while (s.n && s.p[s.n - 1] == '\n') s.n--;
    }
    if (id > 2 && id < 259 && s.n == 6 && !memcmp(s.p, "<0x", 3)) type = TOKEN_BYTE;
    struct buf b = {0};
    for (size_t i = 0; i < s.n; i++)
        s.p[i] == ' ' ? buf_puts(&b, "\xe2\x96\x81") : buf_putc(&b, s.p[i]);
    char *copy = b.failed ? NULL : arena_copy(&m->a, buf_z(&b), b.n);
    int rc =
        copy ? vocab_make_token(m, id, (struct str){copy, b.n}, type, (double)score, err) : no_memory(err);
    buf_done(&b);
    return rc;
}

static int read_tokens(struct vocab_make *m, const uint8_t *p, size_t n, int64_t count,
                       const char *path, struct lar_err *err)
{
    int rc = 0;
    size_t at = 4;
    for (int64_t i = 0; i < count && rc == 0; i++) {
        float score;
        if (n < 8 || at > n - 8)
            return lar_fail(err, LAR_EFORMAT, "%s: ends at token %" PRId64 " of %" PRId64, path, i,
                            count);
        memcpy(&score, p + at, 4);
        int32_t length = i32(p + at + 4);
        at += 8;
        if (length < 1 || (size_t)length > n - at)
            return lar_fail(err, LAR_EFORMAT, "%s: token %" PRId64 " is %" PRId32 " bytes long",
                            path, i, length);
        rc = token(m, i, (struct str){(const char *)p + at, (size_t)length}, score, err);
        at += (size_t)length;
    }
    if (rc == 0 && at != n)
        return lar_fail(err, LAR_EFORMAT, "%s: has more than the model's %" PRId64 " tokens", path,
                        count);
    return rc;
}

static int tokens(struct convert *c, const struct head *h, const char *path, struct lar_err *err)
{
    const char *slash = strrchr(path, '/');
    int folder = slash ? (int)(slash - path) + 1 : 0;
    char file[4200] = "";
    struct filemap map;
    struct vocab_make m;
    struct lar_err why = {0};
    snprintf(file, sizeof file, "%.*stokenizer.bin", folder, path);
    int rc = filemap_open(&map, file, &why);
    if (rc < 0) {
        snprintf(file, sizeof file, "%.*stok%" PRId64 ".bin", folder, path, h->v[VOCAB]);
        rc = filemap_open(&map, file, &why);
    }
    if (rc < 0)
        return lar_fail(err, LAR_EINVAL,
                        "%s: its tokenizer is not beside it (tokenizer.bin or tok%" PRId64 ".bin)",
                        path, h->v[VOCAB]);
    rc = vocab_make_init(&m, err);
    if (rc == 0) rc = read_tokens(&m, map.p, map.n, h->v[VOCAB], file, err);
    m.model = "llama";
    m.pre = STR("default");
    m.scores = 1;
    m.prefix = PREFIX_ALWAYS;
    m.special.unk = 0;
    m.special.bos = 1;
    m.special.eos = 2;
    m.special.add_bos = 1;
    m.special.add_eos = 0;
    if (rc == 0) rc = vocab_make_image(&m, &c->tokens.bytes, err);
    if (rc == 0) rc = gguf_open_memory(&c->tokens.g, c->tokens.bytes.p, c->tokens.bytes.n, err);
    vocab_make_done(&m);
    filemap_close(&map);
    return rc;
}

int llama2c_open(struct convert *c, const char *path, struct lar_err *err)
{
    struct head h;
    int rc = filemap_open(&c->raw, path, err);
    if (rc < 0) return rc;
    if (read_head(&h, c->raw.p, c->raw.n) < 1)
        return lar_fail(
            err, LAR_EFORMAT,
            "%s: a llama2.c file whose version or numbers are none that lar knows (0, 1 and 2)",
            path);
    if (total(&h) != c->raw.n)
        return lar_fail(err, LAR_EFORMAT, "%s: is %zu bytes long; its header asks for %" PRIu64,
                        path, c->raw.n, total(&h));
    rc = config(c, &h, path, err);
    if (rc == 0) c->f = family_table; /* Llama's */
    if (rc == 0) rc = add_all(c, &h, err);
    return rc < 0 ? rc : tokens(c, &h, path, err);
}
