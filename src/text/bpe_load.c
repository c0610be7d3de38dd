/* SPDX-License-Identifier: Apache-2.0
 *
 * text/bpe_load.c: tokenizer.ggml.merges: lines of two pieces, the earlier the stronger.
 *
 * Each is resolved once to (id, id) -> (rank, id) in a hash table, so that encoding never touches a string. A merge that names pieces which
 * the vocabulary does not have could never be carried out in the reference, which refuses such files; so does this.
 */
#include "text/bpe.h"

/* A line of the merges on its way into the table. Whatever it looks up lies all over memory, so lines go in blocks: first all keys
 * are made and their places asked for, then all ids are found and the places of the pairs asked for, then the pairs are stored. */
struct line {
    struct str text;
    const char *raw;    /* the bytes of both halves */
    uint32_t n, m;      /* bytes of the first half, of the second; n = 0: not made of normal pieces */
    uint64_t key[3];    /* of the first, the second, both */
    int32_t id[3];
};

enum { BLOCK = 32, FIRST = 0, SECOND, BOTH };

static void make_keys(const struct vocab *v, struct line *k, struct str text, char *raw)
{
    const char *space = text.n > 1 ? memchr(text.p + 1, ' ', text.n - 1) : NULL;
    *k = (struct line){.text = text, .raw = raw, .id = {-1, -1, -1}};
    if (!space) return;
    int64_t n = vocab_decode_text(v, (struct str){text.p, (size_t)(space - text.p)}, raw);
    int64_t m = n <= 0 ? 0 : vocab_decode_text(v, str_from(text, (size_t)(space - text.p) + 1), raw + n);
    if (m <= 0) return;
    k->n = (uint32_t)n;
    k->m = (uint32_t)m;
    k->key[FIRST] = vocab_key(raw, k->n);
    k->key[SECOND] = vocab_key(raw + n, k->m);
    k->key[BOTH] = vocab_key(raw, k->n + k->m);
    const uint32_t len[3] = {k->n, k->m, k->n + k->m};
    for (int i = 0; i < 3; i++) __builtin_prefetch(&v->table.e[vocab_slot(&v->table, k->key[i], len[i])]);
}

/* One of the user's own pieces, which keep their part in merges: by its bytes, or as the file writes it. */
static int32_t own_piece(const struct vocab *v, uint64_t key, const char *raw, uint32_t n, struct str name)
{
    int32_t id = n ? vocab_table_find(&v->table, v->pool, v->off, key, raw, n, VOCAB_APART) : -1;
    return id >= 0 && vocab_type_of(v, id) == TOKEN_USER ? id : vocab_find_named(v, name);
}

static void find_own(const struct vocab *v, struct line *k)
{
    char both[2 * PIECE_MAX];
    const char *space = k->text.n > 1 ? memchr(k->text.p + 1, ' ', k->text.n - 1) : NULL;
    if (!space || k->text.n > sizeof both) return;
    struct str a = {k->text.p, (size_t)(space - k->text.p)}, b = str_from(k->text, a.n + 1);
    memcpy(both, a.p, a.n);
    memcpy(both + a.n, b.p, b.n);
    if (k->id[FIRST] < 0) k->id[FIRST] = own_piece(v, k->key[FIRST], k->raw, k->n, a);
    if (k->id[SECOND] < 0) k->id[SECOND] = own_piece(v, k->key[SECOND], k->raw + k->n, k->m, b);
    if (k->id[BOTH] < 0)
        k->id[BOTH] = own_piece(v, k->key[BOTH], k->raw, k->n + k->m, (struct str){both, a.n + b.n});
}

static int is_found(const struct line *k)
{
    return k->id[FIRST] >= 0 && k->id[SECOND] >= 0 && k->id[BOTH] >= 0;
}

static uint64_t pair_of(const struct line *k)
{
    return ((uint64_t)k->id[FIRST] + 1) << 32 | (uint32_t)k->id[SECOND];
}

static uint32_t place_of(const struct vocab *v, uint64_t pair)
{
    return (uint32_t)(pair * 0x9e3779b97f4a7c15 >> v->merge_shift);
}

static void find_ids(const struct vocab *v, struct line *k)
{
    if (k->n) {
        k->id[FIRST] = vocab_find_raw(v, k->key[FIRST], k->raw, k->n);
        k->id[SECOND] = vocab_find_raw(v, k->key[SECOND], k->raw + k->n, k->m);
        k->id[BOTH] = vocab_find_raw(v, k->key[BOTH], k->raw, k->n + k->m);
    }
    if (!is_found(k)) find_own(v, k);
    __builtin_prefetch(&v->merge[place_of(v, pair_of(k))], 1);
}

/* Puts a pair into the table; of two equal ones the later counts, as in the reference. -1 when pairs crowd together. */
static int insert(struct vocab *v, const struct line *k, uint32_t rank)
{
    uint64_t pair = pair_of(k);
    uint32_t i = place_of(v, pair);
    for (uint32_t tries = 0; v->merge[i].pair && v->merge[i].pair != pair; tries++) {
        if (tries > PROBES_MAX) return -1;
        i = (i + 1) & v->merge_mask;
    }
    v->merge[i] = (struct merge){pair, rank, k->id[BOTH]};
    return 0;
}

/* Loads up to BLOCK lines from number `at` on; gives how many. raw has room for the bytes of all. */
static int load_block(struct vocab *v, const struct gguf_kv *kv, uint64_t at, char *raw, struct lar_err *err)
{
    struct line line[BLOCK];
    int n = 0;
    for (size_t used = 0; n < BLOCK && at + (uint64_t)n < kv->count; n++) {
        struct str s = gguf_str_at(kv, at + (uint64_t)n);
        if (s.n > 2 * PIECE_MAX) s.n = 0;
        if (used + s.n > BLOCK * PIECE_MAX) break;
        make_keys(v, &line[n], s, raw + used);
        used += s.n;
    }
    for (int i = 0; i < n; i++) find_ids(v, &line[i]);
    for (int i = 0; i < n; i++) {
        if (!is_found(&line[i]))
            return lar_fail(err, LAR_EFORMAT,
                            "tokenizer.ggml.merges: merge %llu \"%.*s\" names a piece that is no token",
                            (unsigned long long)at + (unsigned)i, STR_ARG(line[i].text));
        if (insert(v, &line[i], (uint32_t)at + (uint32_t)i) < 0)
            return lar_fail(err, LAR_ELIMIT, "tokenizer.ggml.merges: merge %llu: pairs are made to collide",
                            (unsigned long long)at + (unsigned)i);
    }
    return n;
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
    char *raw = mem_alloc(BLOCK * PIECE_MAX);
    if (!raw) return lar_fail(err, LAR_ENOMEM, "tokenizer: out of memory");
    int rc = 0;
    for (uint64_t at = 0; at < kv->count && rc >= 0; at += (uint64_t)rc) rc = load_block(v, kv, at, raw, err);
    mem_free(raw);
    if (rc < 0) return rc;
    return vocab_load_joins(v, err);
}
