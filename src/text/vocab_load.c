/* SPDX-License-Identifier: Apache-2.0
 *
 * text/vocab_load.c: the pieces of a vocabulary: tokenizer.ggml.tokens, token_type and scores into pool and table.
 *
 * Nothing is allocated for one token: the pool is as long as the file's own strings at most, the tables a fixed number of bytes for
 * each of them, and each costs the file eight bytes or more.
 */
#include "text/vocab_make.h"

#include <float.h>
#include <math.h>

/* GPT-2's alphabet: every byte is a printable character: itself where it is one, else the next free one from U+0100 on. */
static void alphabet_bytes(int16_t of[VOCAB_ALPHABET])
{
    for (int c = 0; c < VOCAB_ALPHABET; c++) of[c] = -1;
    for (int b = 0, next = 256; b < 256; b++) {
        int printable = (b >= 0x21 && b <= 0x7e) || (b >= 0xa1 && b <= 0xac) || b >= 0xae;
        of[printable ? b : next++] = (int16_t)b;
    }
}

/* Bytes of a piece written in that alphabet; -1 when a character is not of it. out has room for s.n. */
static int64_t alphabet_decode(const int16_t of[VOCAB_ALPHABET], struct str s, char *out)
{
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        unsigned c = (unsigned char)s.p[i];
        if (c >= 0xc2 && c <= 0xc5 && i + 1 < s.n && ((unsigned char)s.p[i + 1] & 0xc0) == 0x80)
            c = (c & 0x1f) << 6 | ((unsigned char)s.p[++i] & 0x3f);
        else if (c >= 0x80)
            return -1;
        if (c >= VOCAB_ALPHABET || of[c] < 0) return -1;
        out[n++] = (char)of[c];
    }
    return (int64_t)n;
}

/* Every U+2581 becomes a space; in WordPiece only a first one. */
static size_t spaces_decode(struct str s, int only_first, char *out)
{
    size_t n = 0;
    for (size_t i = 0; i < s.n;) {
        if (s.n - i >= 3 && !memcmp(s.p + i, "\xe2\x96\x81", 3) && (i == 0 || !only_first)) {
            out[n++] = ' ';
            i += 3;
        } else {
            out[n++] = s.p[i++];
        }
    }
    return n;
}

int64_t vocab_decode_text(const struct vocab *v, struct str s, char *out)
{
    if (v->kind == VOCAB_BPE) return alphabet_decode(v->alphabet, s, out);
    if (v->kind == VOCAB_RWKV) return (int64_t)rwkv_decode_piece(s, out);
    return (int64_t)spaces_decode(s, v->kind == VOCAB_WORDPIECE, out);
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The byte that <0xHH> names, or -1. */
static int byte_named(struct str s)
{
    if (s.n != 6 || memcmp(s.p, "<0x", 3) || s.p[5] != '>') return -1;
    int a = hex_digit(s.p[3]), b = hex_digit(s.p[4]);
    return a < 0 || b < 0 ? -1 : a << 4 | b;
}

/* Writes what token id stands for; gives its length. Sets *apart when text never becomes it by itself. */
static int64_t decode_piece(const struct vocab *v, int32_t id, struct str s, char *out, int *apart)
{
    int type = vocab_type_of(v, id);
    int known = v->words >= 0 || (v->exact && v->kind == VOCAB_BPE);
    int user = type == TOKEN_USER && (known ? !(v->found[id] & MAKE_PIECE) : v->kind != VOCAB_CHARS);
    *apart = type == TOKEN_CONTROL || type == TOKEN_UNKNOWN || user || vocab_has_plain_space(v, id);
    if (v->kind == VOCAB_BPE) {
        int64_t n = *apart ? -1 : alphabet_decode(v->alphabet, s, out);
        if (n >= 0) return n;
        *apart = 1;
    } else if (v->kind == VOCAB_RWKV) {
        if (!*apart) return (int64_t)rwkv_decode_piece(s, out);
    } else if (type == TOKEN_BYTE) {
        *apart = 1;
        out[0] = (char)byte_named(s); /* checked before */
        return 1;
    } else if (type != TOKEN_CONTROL && type != TOKEN_UNKNOWN && !(v->exact && v->found[id] & MAKE_INNER)) {
        return (int64_t)spaces_decode(s, v->kind == VOCAB_WORDPIECE, out);
    }
    memcpy(out, s.p, s.n);
    return (int64_t)s.n;
}

static int check_piece(const struct vocab *v, int32_t i, struct str s, struct lar_err *err)
{
    if (s.n > PIECE_MAX)
        return lar_fail(err, LAR_ELIMIT, "tokenizer.ggml.tokens: token %d has %zu bytes, %d is the most", i, s.n,
                        PIECE_MAX);
    if (v->kind != VOCAB_BPE && v->kind != VOCAB_RWKV && vocab_type_of(v, i) == TOKEN_BYTE && byte_named(s) < 0)
        return lar_fail(err, LAR_EFORMAT,
                        "tokenizer.ggml.tokens: token %d \"%.*s\" is of type byte, expected <0x00> to <0xFF>", i,
                        STR_ARG(s));
    return 0;
}

/* A piece on its way into the table. */
struct waiting {
    uint64_t key;
    uint32_t len;
    int32_t id;
};

enum { AHEAD = 16 };

/* Puts a piece into the table; the first of two equal ones stays. -1 when pieces crowd together. */
static int insert(struct vocab *v, struct waiting w)
{
    const char *p = v->pool + v->off[w.id];
    uint32_t i = vocab_slot(&v->table, w.key, w.len);
    for (uint32_t tries = 0; v->table.e[i].len; tries++, i = (i + 1) & v->table.mask) {
        const struct vocab_entry *e = &v->table.e[i];
        if (e->key == w.key && e->len == w.len && !memcmp(v->pool + v->off[e->id], p, w.len & ~VOCAB_APART)) {
            v->twins = 1;
            return 0;
        }
        if (tries > PROBES_MAX) return -1;
    }
    v->table.e[i] = (struct vocab_entry){w.key, w.len, w.id};
    return 0;
}

/* Decodes all pieces and fills the table. Its places are all over memory: each is asked for sixteen pieces before it is needed. */
static int fill_table(struct vocab *v, struct lar_err *err)
{
    struct waiting ring[AHEAD] = {{0, 0, 0}};
    for (int32_t i = 0; i < v->n + AHEAD; i++) {
        struct waiting *w = &ring[i % AHEAD];
        if (w->len && insert(v, *w) < 0)
            return lar_fail(err, LAR_ELIMIT, "tokenizer.ggml.tokens: token %d: pieces are made to collide", w->id);
        w->len = 0;
        if (i >= v->n) continue;
        struct str s = gguf_str_at(v->tokens, (uint64_t)i);
        int apart = 1, rc = check_piece(v, i, s, err);
        if (rc < 0) return rc;
        char *p = v->pool + v->off[i];
        size_t n = s.n ? (size_t)decode_piece(v, i, s, p, &apart) : 0;
        v->off[i + 1] = v->off[i] + (uint32_t)n;
        if (n > v->piece_max) v->piece_max = n;
        if (!n) continue;
        *w = (struct waiting){vocab_key(p, n), (uint32_t)n | (apart ? VOCAB_APART : 0), i};
        __builtin_prefetch(&v->table.e[vocab_slot(&v->table, w->key, w->len)], 1);
    }
    return 0;
}

static int load_types(struct vocab *v, const struct gguf *g, struct lar_err *err)
{
    const struct gguf_kv *kv = gguf_find(g, "tokenizer.ggml.token_type");
    memset(v->type, TOKEN_NORMAL, (size_t)v->n);
    if (!kv) return 0;
    if (kv->type != GGUF_ARRAY || !gguf_is_int(kv->etype) || kv->count < (uint64_t)v->n)
        return lar_fail(err, LAR_EFORMAT,
                        "tokenizer.ggml.token_type: %llu values of type %s, expected %d integers, one a token",
                        (unsigned long long)kv->count, gguf_type_name(kv->etype), v->n);
    for (int32_t i = 0; i < v->n; i++) {
        int64_t t = gguf_int_at(kv, (uint64_t)i);
        if (t < 0 || t > TOKEN_BYTE)
            return lar_fail(err, LAR_EFORMAT, "tokenizer.ggml.token_type: token %d is of type %lld, expected 1 to 6",
                            i, (long long)t);
        if (t) v->type[i] = (uint8_t)t;
    }
    return 0;
}

/* byte_id: for byte-level BPE the pieces of one byte, else the tokens <0x00> to <0xFF>. */
static void find_bytes(struct vocab *v)
{
    for (int b = 0; b < 256; b++) {
        char c = (char)b;
        v->byte_id[b] = v->kind == VOCAB_BPE ? vocab_find_raw(v, vocab_key(&c, 1), &c, 1) : -1;
    }
    for (int32_t i = 0; i < v->n; i++) {
        struct str s = vocab_piece(v, i);
        int b = -1;
        char c[2];
        if (v->kind == VOCAB_RWKV) continue;
        if (v->kind != VOCAB_BPE) b = vocab_type_of(v, i) == TOKEN_BYTE ? byte_named(s) : -1;
        else if (s.n && s.n <= 2 && alphabet_decode(v->alphabet, s, c) == 1) b = (unsigned char)c[0];
        if (b < 0) continue;
        if (v->kind != VOCAB_BPE) v->byte_tokens = 1;
        if (v->byte_id[b] < 0) v->byte_id[b] = i;
    }
}

int vocab_load_pieces(struct vocab *v, const struct gguf *g, struct lar_err *err)
{
    const struct gguf_kv *kv = gguf_find(g, "tokenizer.ggml.tokens");
    if (!kv) return lar_fail(err, LAR_EFORMAT, "tokenizer.ggml.tokens: missing; this file has no tokenizer");
    if (kv->type != GGUF_ARRAY || kv->etype != GGUF_STRING || !kv->count || kv->count > INT32_MAX / 16)
        return lar_fail(err, LAR_EFORMAT, "tokenizer.ggml.tokens: %llu values of type %s, expected strings",
                        (unsigned long long)kv->count, gguf_type_name(kv->etype));
    v->tokens = kv;
    v->n = (int32_t)kv->count;
    uint64_t places = vocab_table_places(kv->count);
    v->table.mask = (uint32_t)(places - 1);
    v->table.shift = vocab_table_shift(places);
    v->table.e = arena_array(&v->a, places, sizeof *v->table.e);
    v->off = arena_array(&v->a, kv->count + 1, sizeof *v->off);
    v->type = arena_alloc(&v->a, kv->count);
    v->whole = arena_array(&v->a, kv->count, sizeof *v->whole);
    v->pool = arena_alloc(&v->a, kv->bytes - 8 * kv->count + 8);
    if (!v->table.e || !v->off || !v->type || !v->whole || !v->pool)
        return lar_fail(err, LAR_ENOMEM, "tokenizer: out of memory for %d tokens", v->n);

    alphabet_bytes(v->alphabet);
    int rc = vocab_load_found(v, g, err);
    if (rc == 0) rc = load_types(v, g, err);
    if (rc == 0) vocab_type_by_name(v, g);
    if (rc == 0) rc = fill_table(v, err);
    if (rc == 0) find_bytes(v);
    return rc;
}

int vocab_load_scores(struct vocab *v, const struct gguf *g, struct lar_err *err)
{
    const char *key = "tokenizer.lar.scores";
    const struct gguf_kv *kv = gguf_find(g, key);
    if (!kv) kv = gguf_find(g, key = "tokenizer.ggml.scores");
    v->score = arena_array(&v->a, (size_t)v->n, sizeof *v->score);
    if (!v->score) return lar_fail(err, LAR_ENOMEM, "tokenizer: out of memory for %d scores", v->n);
    if (!kv) return lar_fail(err, LAR_EFORMAT, "%s: missing", key);
    if (kv->type != GGUF_ARRAY || kv->etype == GGUF_STRING || kv->etype == GGUF_BOOL ||
        kv->count < (uint64_t)v->n)
        return lar_fail(err, LAR_EFORMAT, "%s: %llu values of type %s, expected %d numbers, one a token", key,
                        (unsigned long long)kv->count, gguf_type_name(kv->etype), v->n);
    for (int32_t i = 0; i < v->n; i++) {
        v->score[i] = gguf_num_at(kv, (uint64_t)i);
        if (!(fabs(v->score[i]) <= (double)FLT_MAX))
            return lar_fail(err, LAR_EFORMAT, "%s: the score of token %d is not a finite number", key, i);
    }
    return 0;
}

int vocab_trie_add(struct trie *t, const struct vocab *v, int32_t id, struct str key, struct lar_err *err)
{
    int rc = key.n ? trie_add(t, key, id) : 0;
    if (rc == LAR_ENOMEM) return lar_fail(err, rc, "tokenizer: out of memory for %d tokens", v->n);
    if (rc < 0) return lar_fail(err, rc, "tokenizer.ggml.tokens: token %d: pieces too long or made to collide", id);
    return 0;
}

int32_t vocab_find_named(const struct vocab *v, struct str piece)
{
    char raw[256];
    int64_t n[2] = {(int64_t)piece.n, -1}; /* as it is, and decoded */
    if (!piece.n || piece.n > sizeof raw) return -1;
    int b = byte_named(piece);
    if (b >= 0 && v->byte_tokens && str_eq(vocab_piece(v, v->byte_id[b]), piece)) return v->byte_id[b];
    n[1] = vocab_decode_text(v, piece, raw);
    for (int i = 0; i < 4; i++) {
        const char *p = i & 1 ? raw : piece.p;
        size_t k = n[i & 1] > 0 ? (size_t)n[i & 1] : 0;
        if (!k) continue;
        int32_t id = vocab_table_find(&v->table, v->pool, v->off, vocab_key(p, k), p, k, i & 2 ? VOCAB_APART : 0);
        if (id >= 0 && str_eq(vocab_piece(v, id), piece)) return id;
    }
    return -1;
}

int32_t vocab_find(const struct vocab *v, struct str piece)
{
    int32_t found = vocab_find_named(v, piece);
    if (found >= 0 || !piece.n) return found;
    if (piece.n <= 256 && !v->twins) return -1;
    /* Very long pieces, and those that stand for the same bytes as another. */
    for (int32_t i = 0; i < v->n && found < 0; i++)
        if (str_eq(vocab_piece(v, i), piece)) found = i;
    return found;
}
