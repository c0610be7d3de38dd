/* SPDX-License-Identifier: Apache-2.0
 *
 * text/bpe_load.c: tokenizer.ggml.merges: lines of two pieces, the earlier the stronger.
 *
 * Each is resolved once to (id, id) -> (rank, id) in a hash table, so that encoding never touches a string. A merge that names pieces which
 * the vocabulary does not have could never be carried out in the reference, which refuses such files; so does this.
 */
#include "text/bpe.h"

/* The ids of the two halves of a line and of both together. */
struct line {
    int32_t l, r, id;
};

static int32_t raw_id(const struct vocab *v, const char *p, size_t n)
{
    return n ? vocab_find_raw(v, vocab_key(p, n), p, n) : -1;
}

/* Puts a pair into the table; of two equal ones the later counts, as in the reference. -1 when pairs crowd together. */
static int insert(struct vocab *v, struct line k, uint32_t rank)
{
    uint64_t pair = ((uint64_t)k.l + 1) << 32 | (uint32_t)k.r;
    uint32_t i = (uint32_t)(pair * 0x9e3779b97f4a7c15 >> v->merge_shift);
    for (uint32_t tries = 0; v->merge[i].pair && v->merge[i].pair != pair; tries++) {
        if (tries > PROBES_MAX) return -1;
        i = (i + 1) & v->merge_mask;
    }
    v->merge[i] = (struct merge){pair, rank, k.id};
    return 0;
}

/* Nearly every line: by the bytes of both halves, which lie behind each other in raw. */
static struct line by_bytes(const struct vocab *v, struct str a, struct str b, char *raw)
{
    int64_t n = vocab_decode_text(v, a, raw), m = n < 0 ? -1 : vocab_decode_text(v, b, raw + n);
    if (m < 0) return (struct line){-1, -1, -1};
    return (struct line){raw_id(v, raw, (size_t)n), raw_id(v, raw + n, (size_t)m), raw_id(v, raw, (size_t)(n + m))};
}

/* Pieces that the file declares to be the user's own keep their part in merges; they are found by name. */
static struct line by_name(const struct vocab *v, struct str a, struct str b, char *raw)
{
    memcpy(raw, a.p, a.n);
    memcpy(raw + a.n, b.p, b.n);
    return (struct line){vocab_find(v, a), vocab_find(v, b), vocab_find(v, (struct str){raw, a.n + b.n})};
}

static int is_known(struct line k)
{
    return k.l >= 0 && k.r >= 0 && k.id >= 0;
}

static struct line resolve(const struct vocab *v, struct str s)
{
    char raw[2 * PIECE_MAX];
    const char *space = s.n > 1 ? memchr(s.p + 1, ' ', s.n - 1) : NULL;
    if (!space || s.n > sizeof raw) return (struct line){-1, -1, -1};
    struct str a = {s.p, (size_t)(space - s.p)}, b = {space + 1, s.n - a.n - 1};
    struct line k = by_bytes(v, a, b, raw);
    return is_known(k) ? k : by_name(v, a, b, raw);
}

int bpe_load(struct vocab *v, const struct gguf *g, struct lar_err *err)
{
    const struct gguf_kv *kv = gguf_find(g, "tokenizer.ggml.merges");
    if (!kv) return lar_fail(err, LAR_EFORMAT, "tokenizer.ggml.merges: missing; BPE needs them");
    if (kv->type != GGUF_ARRAY || (kv->etype != GGUF_STRING && kv->count) || kv->count >= INT32_MAX / 16)
        return lar_fail(err, LAR_EFORMAT, "tokenizer.ggml.merges: %llu values of type %s, expected strings",
                        (unsigned long long)kv->count, gguf_type_name(kv->etype));
    uint64_t places = vocab_table_places(kv->count);
    v->merge = arena_array(&v->a, places, sizeof *v->merge);
    if (!v->merge)
        return lar_fail(err, LAR_ENOMEM, "tokenizer: out of memory for %llu merges",
                        (unsigned long long)kv->count);
    v->merge_mask = (uint32_t)(places - 1);
    v->merge_shift = vocab_table_shift(places);
    for (uint64_t i = 0; i < kv->count; i++) {
        struct str s = gguf_str_at(kv, i);
        struct line k = resolve(v, s);
        if (!is_known(k))
            return lar_fail(err, LAR_EFORMAT,
                            "tokenizer.ggml.merges: merge %llu \"%.*s\" names a piece that is no token",
                            (unsigned long long)i, STR_ARG(s));
        if (insert(v, k, (uint32_t)i) < 0)
            return lar_fail(err, LAR_ELIMIT, "tokenizer.ggml.merges: merge %llu: pairs are made to collide",
                            (unsigned long long)i);
    }
    return vocab_load_joins(v, err);
}
