/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/fuzz/fuzz_vocab.c: any tokenizer on any text. The first bytes are a recipe from which a GGUF is made (a fuzzer that had to write GGUF
 * itself would get nowhere): kind, splitter, tokens with types and scores, merges, a normaliser's map; the rest is the text. What opens must
 * keep the promises of text/vocab.h, or this aborts: ids are tokens, encoding twice gives the same, decoding gives whole
 * characters, byte-level tokenizers give the text back, nothing leaks. Works with libFuzzer and with replay.c.
 *
 * Recipe: kind, splitter, bits (1 alphabet or byte tokens, 2 prefix, 4 remove white space, 8 no types, 16 map, 32 as is: the rest
 * is a GGUF and a text), number of tokens; for each token type, length, bytes; number of merges; for each two token
 * numbers; with a map its length (two bytes) and bytes; text.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cursor.h"
#include "base/mem.h"
#include "text/vocab_impl.h"
#include "vocab_build.h"
#include "must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static unsigned byte(struct cursor *c) { return (unsigned)cursor_uint(c, 1); }

/* As the recipe says; the text is what is left of c. */
static void build(struct vb *b, struct cursor *c)
{
    static const char *const model[] = {"gpt2", "llama", "gemma4", "t5", "bert", "rwkv"};
    static const char *const pre[] = {"gpt-2", "llama-bpe", "qwen2", "qwen35", "gpt-4o", "tekken", "deepseek-llm",
                                      "deepseek-v3", "deepseek-coder", "smollm", "falcon", "bloom", "tiny_aya",
                                      "exaone-moe", "kimi-k2", "superbpe", "jais-2", "chameleon", "default", "x"};
    unsigned kind = byte(c) % 6, splitter = byte(c) % 20, bits = byte(c), tokens = byte(c);
    struct str piece[256];
    b->model = model[kind];
    b->pre = pre[splitter];
    b->no_types = (bits & 8) != 0;
    b->no_merges = kind != 0 && kind != 2;
    vb_add(b, "<unk>", TOKEN_UNKNOWN, 0);
    if (bits & 1) kind == 0 ? vb_alphabet(b) : vb_bytes(b);
    for (unsigned i = 0; i < tokens; i++) {
        unsigned type = byte(c), len = byte(c) % 40;
        const char *p = (const char *)cursor_take(c, len);
        piece[i] = (struct str){p ? p : "", p ? len : 0};
        vb_token(b, piece[i].p, piece[i].n, type < 32 ? (int)type % 8 : TOKEN_NORMAL, (float)type / -8);
    }
    unsigned merges = byte(c);
    for (unsigned i = 0; i < merges && tokens; i++) {
        struct str l = piece[byte(c) % tokens], r = piece[byte(c) % tokens];
        gb_int(&b->merges, l.n + 1 + r.n, 8);
        buf_str(&b->merges, l);
        buf_putc(&b->merges, ' ');
        buf_str(&b->merges, r);
        b->nmerge++;
        vb_add(b, "", TOKEN_NORMAL, 0); /* what it makes; its text is written over the empty one */
        b->tokens.n -= 8;
        gb_int(&b->tokens, l.n + r.n, 8);
        buf_str(&b->tokens, l);
        buf_str(&b->tokens, r);
    }
    gb_kv_int(&b->g, K "unknown_token_id", GGUF_U32, 0);
    gb_kv_int(&b->g, K "add_space_prefix", GGUF_BOOL, (bits & 2) != 0);
    gb_kv_int(&b->g, K "remove_extra_whitespaces", GGUF_BOOL, (bits & 4) != 0);
    if (!(bits & 16)) return;
    size_t len = cursor_uint(c, 2);
    if (len > cursor_left(c)) len = cursor_left(c);
    const uint8_t *map = cursor_take(c, len);
    buf_add(gb_array(&b->g, K "precompiled_charsmap", GGUF_U8, len), map, len);
}

static void check_decoding(const struct vocab *v, const struct ids *ids, int special, struct buf *out)
{
    struct vocab_decoder d = {0};
    buf_clear(out);
    for (size_t i = 0; i < ids->n; i++) {
        size_t before = out->n;
        vocab_decode(v, &d, ids->id[i], special, out);
        MUST(utf8_valid(buf_z(out) + before, out->n - before) && d.nheld < 4);
    }
    vocab_decode_end(&d, out);
    MUST(utf8_valid(buf_z(out), out->n));
}

/* Byte-level tokenizers that have every byte, normalise nothing and swallow nothing give valid text back. */
static int gives_back(const struct vocab *v, struct str text)
{
    if (v->kind != VOCAB_BPE || (v->split->flags & (SPLIT_NFC | SPLIT_MASK_LSTRIP)) || !utf8_valid(text.p, text.n))
        return 0;
    for (int b = 0; b < 256; b++)
        if (v->byte_id[b] < 0 || vocab_type_of(v, v->byte_id[b]) != TOKEN_NORMAL) return 0;
    for (int32_t i = 0; i < v->n; i++) { /* names beyond ASCII may decode as bytes, as in the reference */
        struct str s = vocab_raw(v, i);
        for (size_t k = 0; vocab_type_of(v, i) != TOKEN_NORMAL && k < s.n; k++)
            if ((unsigned char)s.p[k] - 0x21u > 0x5d) return 0;
    }
    return 1;
}

static void check_text(const struct vocab *v, struct str text)
{
    struct buf out = {0};
    for (unsigned flags = 0; flags < 4; flags++) {
        struct ids ids = {0}, again = {0};
        struct lar_err err = {0};
        int rc = vocab_encode(v, text, flags, &ids, &err);
        MUST(rc == 0 || (rc == LAR_ELIMIT && v->map_trie.n)); /* a map that makes pages of letters */
        MUST(vocab_encode(v, text, flags, &again, &err) == rc);
        MUST(ids.n == again.n && (!ids.n || !memcmp(ids.id, again.id, ids.n * sizeof *ids.id)));
        MUST(ids.n <= 64 * text.n + 80);
        for (size_t i = 0; i < ids.n; i++) MUST(ids.id[i] >= 0 && ids.id[i] < vocab_size(v));
        check_decoding(v, &ids, 0, &out);
        check_decoding(v, &ids, 1, &out);
        if (!(flags & VOCAB_ADD_SPECIAL) && gives_back(v, text)) MUST(str_eq(buf_view(&out), text));
        ids_done(&ids);
        ids_done(&again);
    }
    buf_done(&out);
}

static void check_tokens(const struct vocab *v)
{
    for (int32_t i = -1; i <= vocab_size(v); i++) {
        struct str piece = vocab_piece(v, i), bytes = vocab_bytes(v, i);
        MUST((i < 0 || i == vocab_size(v)) == (vocab_type(v, i) == 0));
        MUST(bytes.n <= piece.n);
        int32_t found = piece.n ? vocab_find(v, piece) : -1;
        if (piece.n) MUST(found >= 0 && str_eq(vocab_piece(v, found), piece));
        vocab_is_end(v, i);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    long live = mem_live();
    struct cursor c = cursor_of(data, n);
    struct gb_file file = {NULL, 0};
    struct str text;
    struct gguf g;
    struct vocab *v = NULL;
    struct lar_err err = {0};
    if (n > 2 && (data[2] & 32)) { /* a GGUF as it is, between the two bytes of the text's length and the text */
        size_t len = (size_t)(data[0] | data[1] << 8) % n;
        if (len > n - 3) len = n - 3;
        file.n = n - 3 - len;
        file.p = malloc(file.n + 1);
        MUST(file.p);
        memcpy(file.p, data + 3, file.n);
        text = (struct str){(const char *)data + 3 + file.n, len};
    } else {
        struct vb b = {0};
        build(&b, &c);
        file = vb_end(&b);
        size_t len = cursor_left(&c);
        text = (struct str){len ? (const char *)cursor_take(&c, len) : "", len};
    }
    if (gguf_open_memory(&g, file.p, file.n, &err) == 0) {
        int rc = vocab_open(&v, &g, &err);
        if (rc < 0) {
            MUST(!v && err.code == rc && err.msg[0]);
            MUST(rc == LAR_EFORMAT || rc == LAR_EUNSUPPORTED || rc == LAR_ELIMIT);
        } else {
            check_tokens(v);
            check_text(v, text);
        }
        vocab_close(v);
        gguf_close(&g);
    }
    free(file.p);
    MUST(mem_live() == live);
    return 0;
}
