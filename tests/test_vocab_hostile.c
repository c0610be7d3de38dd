/* SPDX-License-Identifier: Apache-2.0
 * tests/test_vocab_hostile.c: tokenizers that somebody made to break a reader, and memory that runs out. */
#include "vocab_build.h"

#include "base/rng.h"

/* Opens what was built and expects a refusal with this code whose sentence holds these words. */
static void refused(struct vb *b, int code, const char *words)
{
    struct vt t;
    int rc = vt_open(&t, b);
    CHECK_EQ(rc, code);
    CHECK_EQ(t.err.code, code);
    if (!strstr(t.err.msg, words)) {
        printf("# the message is: %s\n", t.err.msg);
        CHECK(!"the words are missing");
    }
    CHECK(!t.v);
    vt_close(&t);
}

static void a_b(struct vb *b)
{
    b->model = "gpt2";
    b->pre = "gpt-2";
    vb_alphabet(b);
    vb_pair(b, "a", "b");
}

static void spm(struct vb *b)
{
    b->model = "llama";
    b->no_merges = 1;
    vb_add(b, "<unk>", TOKEN_UNKNOWN, 0);
    vb_bytes(b);
}

static void what_is_missing_is_named(void)
{
    struct vb b = {0};
    gb_kv_int(&b.g, "x", GGUF_U8, 1);
    refused(&b, LAR_EFORMAT, K "model");
    a_b(&b);
    b.no_merges = 1;
    refused(&b, LAR_EFORMAT, K "merges");
    spm(&b);
    b.no_scores = 1;
    refused(&b, LAR_EFORMAT, K "scores");
    struct vt t = {.file = {0}};
    gb_kv_text(&b.g, K "model", "gpt2");
    t.file = gb_end(&b.g);
    CHECK_EQ(gguf_open_memory(&t.g, t.file.p, t.file.n, &t.err), 0);
    CHECK_EQ(vocab_open(&t.v, &t.g, &t.err), LAR_EFORMAT);
    CHECK(strstr(t.err.msg, K "tokens"));
    vt_close(&t);
}

static void what_is_unknown_is_named_with_what_is_known(void)
{
    struct vb b = {0};
    a_b(&b);
    b.model = "gpt5";
    refused(&b, LAR_EUNSUPPORTED, "gpt5");
    a_b(&b);
    b.model = "plamo2";
    refused(&b, LAR_EUNSUPPORTED, "known are gpt2, llama");
    a_b(&b);
    b.pre = "gpt-\x1b[31m2";
    refused(&b, LAR_EUNSUPPORTED, "gpt-?[31m2");
    a_b(&b);
    b.pre = "no-such-splitter";
    refused(&b, LAR_EUNSUPPORTED, "no-such-splitter");
}

static void arrays_of_the_wrong_type_are_refused(void)
{
    static const char *const key[] = {K "token_type", K "scores", K "merges"};
    for (int i = 0; i < 3; i++) {
        struct vb b = {0};
        if (i == 1) spm(&b);
        else a_b(&b);
        b.no_types = i == 0;
        b.no_scores = i == 1;
        b.no_merges |= i == 2;
        struct buf *a = gb_array(&b.g, key[i], i == 2 ? GGUF_U8 : GGUF_STRING, 300);
        for (int k = 0; k < 300; k++) {
            if (i == 2) gb_int(a, 0, 1);
            else gb_text(a, "1");
        }
        refused(&b, LAR_EFORMAT, key[i]);
    }
    static const enum gguf_type no_texts[] = {GGUF_I32, GGUF_U8, GGUF_F64, GGUF_U64};
    for (int i = 0; i < 4; i++) { /* read as texts, numbers would be lengths */
        struct vt t = {.file = {0}};
        struct gb g = {0};
        gb_kv_text(&g, K "model", "gpt2");
        gb_kv_text(&g, K "pre", "gpt-2");
        struct buf *a = gb_array(&g, K "tokens", no_texts[i], 300);
        for (int k = 0; k < 300; k++) gb_int(a, 1, gguf_type_bytes(no_texts[i]));
        t.file = gb_end(&g);
        CHECK_EQ(gguf_open_memory(&t.g, t.file.p, t.file.n, &t.err), 0);
        CHECK_EQ(vocab_open(&t.v, &t.g, &t.err), LAR_EFORMAT);
        CHECK(strstr(t.err.msg, K "tokens: 300 values of type") && strstr(t.err.msg, "expected strings"));
        vt_close(&t);
    }
    struct vb b = {0};
    a_b(&b);
    b.no_types = 1;
    gb_kv_int(&b.g, K "token_type", GGUF_I32, 1); /* no array at all */
    refused(&b, LAR_EFORMAT, K "token_type");
    a_b(&b);
    gb_kv_text(&b.g, K "bos_token_id", "1");
    refused(&b, LAR_EFORMAT, K "bos_token_id");
    a_b(&b);
    gb_kv_int(&b.g, K "add_bos_token", GGUF_I32, 2);
    refused(&b, LAR_EFORMAT, K "add_bos_token");
}

static void arrays_that_are_too_short_are_refused(void)
{
    struct vb b = {0};
    a_b(&b);
    b.no_types = 1;
    struct buf *a = gb_array(&b.g, K "token_type", GGUF_I32, 3);
    for (int k = 0; k < 3; k++) gb_int(a, 1, 4);
    refused(&b, LAR_EFORMAT, "3 values");
    spm(&b);
    b.no_scores = 1;
    a = gb_array(&b.g, K "scores", GGUF_F32, 1);
    gb_int(a, 0, 4);
    refused(&b, LAR_EFORMAT, "1 values");
    b = (struct vb){.model = "gpt2", .pre = "gpt-2"};
    refused(&b, LAR_EFORMAT, "0 values"); /* no token at all */
}

static void values_out_of_range_are_refused(void)
{
    struct vb b = {0};
    a_b(&b);
    vb_add(&b, "x", 7, 0);
    refused(&b, LAR_EFORMAT, "token 257 is of type 7");
    a_b(&b);
    vb_add(&b, "x", -1, 0);
    refused(&b, LAR_EFORMAT, "type -1");
    a_b(&b);
    gb_kv_int(&b.g, K "eos_token_id", GGUF_U32, 257);
    refused(&b, LAR_EFORMAT, "257 is no token");
    a_b(&b);
    gb_kv_int(&b.g, K "eos_token_id", GGUF_I32, (uint64_t)-7);
    refused(&b, LAR_EFORMAT, "-7 is no token");
    spm(&b);
    vb_add(&b, "a", TOKEN_NORMAL, NAN);
    refused(&b, LAR_EFORMAT, "the score of token 257");
    spm(&b);
    vb_add(&b, "a", TOKEN_NORMAL, -INFINITY);
    refused(&b, LAR_EFORMAT, "the score of token 257");
}

static void ids_that_nothing_depends_on_may_be_wrong(void)
{
    struct vb b = {0};
    struct vt t;
    a_b(&b);
    gb_kv_int(&b.g, K "padding_token_id", GGUF_U32, 50000);
    gb_kv_int(&b.g, K "bos_token_id", GGUF_U32, UINT32_MAX); /* "none", as some converters write it */
    CHECK_EQ(vt_open(&t, &b), 0);
    CHECK_EQ(vocab_special(t.v)->pad, -1);
    CHECK_EQ(vocab_special(t.v)->bos, -1);
    vt_close(&t);
}

static void byte_tokens_must_name_a_byte(void)
{
    static const char *const name[] = {"<0x-1>", "<0x100>", "<0xG0>", "<0x 1>", "x", "", "<0x>", "<0x1>"};
    for (int i = 0; i < 8; i++) {
        struct vb b = {0};
        spm(&b);
        vb_add(&b, name[i], TOKEN_BYTE, 0);
        refused(&b, LAR_EFORMAT, "token 257");
    }
}

static void merges_must_name_tokens(void)
{
    static const char *const line[] = {"a c", "ab", "", " ", "a ", " a", "a  b", "ab x", "\xff \xff", "a b c"};
    for (int i = 0; i < 10; i++) {
        struct vb b = {0};
        a_b(&b);
        vb_merge(&b, line[i]);
        refused(&b, LAR_EFORMAT, "merge 1");
    }
}

static void pieces_too_long_are_refused(void)
{
    char z[5000];
    struct vb b = {0};
    memset(z, 'z', sizeof z);
    a_b(&b);
    vb_token(&b, z, sizeof z, TOKEN_NORMAL, 0);
    refused(&b, LAR_ELIMIT, "token 257");
    a_b(&b);
    vb_token(&b, z, 1500, TOKEN_CONTROL, 0); /* found by its name: that must stay linear */
    refused(&b, LAR_ELIMIT, "token 257");
}

static int is_printable(unsigned c) /* a character of its own in GPT-2's alphabet */
{
    return (c >= 0x21 && c <= 0x7e) || (c >= 0xa1 && c <= 0xac) || c >= 0xae;
}

static void pieces_made_to_collide_are_refused(void)
{
    /* Keys of eight bytes whose product with the hash's factor has the same top bits: multiples of its inverse. */
    uint64_t factor = 0x9e3779b97f4a7c15, inverse = factor;
    for (int i = 0; i < 6; i++) inverse *= 2 - factor * inverse;
    struct vb b = {0};
    a_b(&b);
    for (uint64_t i = 1; i < 6000; i++) {
        uint64_t key = (i * inverse) ^ (uint64_t)8 << 56;
        char raw[8], s[32];
        size_t n = 0;
        memcpy(raw, &key, 8);
        for (int k = 0; k < 8; k++) { /* in GPT-2's alphabet */
            unsigned c = (unsigned char)raw[k], next = 256;
            for (unsigned j = 0; j < c; j++) next += !is_printable(j);
            n += utf8_encode(is_printable(c) ? c : next, s + n);
        }
        vb_token(&b, s, n, TOKEN_NORMAL, 0);
    }
    refused(&b, LAR_ELIMIT, "collide");
}

static void strange_vocabularies_work(void)
{
    struct vb b = {0};
    struct vt t;
    /* One token; none of them a byte. */
    b = (struct vb){.model = "gpt2", .pre = "gpt-2"};
    vb_add(&b, "x", TOKEN_NORMAL, 0);
    CHECK_EQ(vt_open(&t, &b), 0);
    CHECK_STR(vt_ids(&t, "axbx", 0), "0 0"); /* bytes that are no token are left out, as in the reference */
    vt_close(&t);
    b = (struct vb){.model = "llama", .no_merges = 1};
    vb_add(&b, "x", TOKEN_NORMAL, 0);
    CHECK_EQ(vt_open(&t, &b), 0);
    CHECK_STR(vt_ids(&t, "axbx", 0), "0 0");
    vt_close(&t);
    b = (struct vb){.model = "t5", .no_merges = 1};
    vb_add(&b, "<unk>", TOKEN_UNKNOWN, 0);
    CHECK_EQ(vt_open(&t, &b), 0);
    CHECK_STR(vt_ids(&t, "ab c", 0), "0");
    vt_close(&t);
    b = (struct vb){.model = "bert", .no_merges = 1};
    vb_add(&b, "[UNK]", TOKEN_UNKNOWN, 0);
    CHECK_EQ(vt_open(&t, &b), 0);
    CHECK_STR(vt_ids(&t, "ab c", VOCAB_ADD_SPECIAL), "0 0");
    vt_close(&t);
    /* Empty pieces, equal pieces, a piece equal to a control token's name, pieces that are no UTF-8. */
    a_b(&b);
    vb_add(&b, "", TOKEN_NORMAL, 0);
    vb_add(&b, "", TOKEN_CONTROL, 0);
    vb_add(&b, "", TOKEN_USER, 0);
    vb_add(&b, "ab", TOKEN_NORMAL, 0);   /* 260, again */
    vb_add(&b, "a", TOKEN_NORMAL, 0);    /* 261, again */
    vb_add(&b, "<s>", TOKEN_NORMAL, 0);  /* 262 */
    vb_add(&b, "<s>", TOKEN_CONTROL, 0); /* 263 */
    vb_add(&b, "\xff\xfe", TOKEN_NORMAL, 0);
    CHECK_EQ(vt_open(&t, &b), 0);
    CHECK_STR(vt_ids(&t, "aba", 0), "256 97");
    CHECK_STR(vt_ids(&t, "<s>", VOCAB_PARSE_SPECIAL), "263");
    CHECK_EQ(vocab_find(t.v, STR("ab")), 256);
    CHECK_EQ(vocab_find(t.v, STR("\xff\xfe")), 264);
    CHECK_EQ(vocab_bytes(t.v, 257).n, 0);
    const int32_t id[] = {257, 264, 258, 97};
    CHECK_STR(vt_text(&t, id, 4, 1), "\xef\xbf\xbd\xef\xbf\xbd" "a");
    vt_close(&t);
}

/* A map whose trie and texts are these bytes. */
static void with_map(struct vb *b, uint32_t trie_bytes, const uint32_t *unit, size_t units, const char *text, size_t n)
{
    *b = (struct vb){.model = "t5", .no_merges = 1};
    vb_add(b, "<unk>", TOKEN_UNKNOWN, 0);
    vb_add(b, "▁", TOKEN_NORMAL, -1);
    vb_add(b, "a", TOKEN_NORMAL, -1);
    struct buf *a = gb_array(&b->g, K "precompiled_charsmap", GGUF_U8, 4 + 4 * units + n);
    gb_int(a, trie_bytes, 4);
    for (size_t i = 0; i < units; i++) gb_int(a, unit[i], 4);
    buf_add(a, text, n);
}

static void a_broken_map_harms_nobody(void)
{
    struct vb b = {0};
    struct vt t;
    static const uint32_t far[4] = {0xfffffc00, 0xffffffff, 0x00000100, 0x80000000};
    with_map(&b, 99, far, 4, "a", 2);
    refused(&b, LAR_EFORMAT, K "precompiled_charsmap");
    with_map(&b, 0, far, 4, "a", 2);
    refused(&b, LAR_EFORMAT, K "precompiled_charsmap");
    with_map(&b, UINT32_MAX - 3, far, 4, "a", 2);
    refused(&b, LAR_EFORMAT, K "precompiled_charsmap");
    with_map(&b, 16, far, 4, "a", 0); /* no text */
    refused(&b, LAR_EFORMAT, K "precompiled_charsmap");
    struct rng r;
    rng_seed(&r, 5);
    for (int i = 0; i < 500; i++) { /* random units: offsets and values anywhere */
        uint32_t unit[64];
        char z[64];
        for (int k = 0; k < 64; k++) unit[k] = (uint32_t)(rng_u64(&r) >> rng_u64(&r) % 33);
        for (int k = 0; k < 64; k++) z[k] = (char)(rng_u64(&r) % 3 ? 'a' : rng_u64(&r));
        with_map(&b, 256, unit, 64, "aa\0b", rng_u64(&r) % 4 + 1);
        CHECK_EQ(vt_open(&t, &b), 0);
        struct ids ids = {0};
        CHECK_EQ(vocab_encode(t.v, (struct str){z, sizeof z}, 0, &ids, &t.err), 0);
        for (size_t k = 0; k < ids.n; k++) CHECK(ids.id[k] >= 0 && ids.id[k] < 3);
        ids_done(&ids);
        vt_close(&t);
    }
}

/* ---- memory ----------------------------------------------------------------------------------------------------------- */

static long fail_at, count;

static int fail_one(size_t n, void *ctx)
{
    (void)n, (void)ctx;
    return ++count == fail_at;
}

/* Opens and encodes with the fail_at-th allocation failing. 1 when all went well. */
static int scenario(const struct gb_file *f, const char *text, size_t n)
{
    struct gguf g;
    struct lar_err err = {0};
    struct vocab *v = NULL;
    struct ids ids = {0};
    CHECK_EQ(gguf_open_memory(&g, f->p, f->n, &err), 0);
    long live = mem_live();
    count = 0;
    mem_set_hook(fail_one, NULL);
    int rc = vocab_open(&v, &g, &err);
    if (rc == 0) rc = vocab_encode(v, (struct str){text, n}, VOCAB_PARSE_SPECIAL | VOCAB_ADD_SPECIAL, &ids, &err);
    mem_set_hook(NULL, NULL);
    CHECK(rc == 0 || rc == LAR_ENOMEM);
    CHECK(rc == 0 || (err.code == LAR_ENOMEM && err.msg[0]));
    ids_done(&ids);
    vocab_close(v);
    CHECK_EQ(mem_live(), live);
    gguf_close(&g);
    return rc == 0 && count < fail_at;
}

static void fail_each(struct vb *b)
{
    struct gb_file f = vb_end(b);
    struct buf text = {0};
    for (int i = 0; i < 300; i++) buf_puts(&text, i % 7 ? "ab" : " e\xcc\x81<s>\xff▁ ");
    for (fail_at = 1; fail_at < 1000 && !scenario(&f, text.p, text.n); fail_at++) continue;
    CHECK(fail_at > 8 && fail_at < 1000);
    buf_done(&text);
    free(f.p);
}

static void every_allocation_may_fail(void)
{
    struct vb b = {0};
    a_b(&b);
    b.pre = "qwen2";
    vb_add(&b, "<s>", TOKEN_CONTROL, 0);
    fail_each(&b);
    spm(&b);
    vb_add(&b, "ab", TOKEN_NORMAL, -1);
    vb_add(&b, "abab", TOKEN_UNUSED, -2);
    vb_add(&b, "<s>", TOKEN_USER, 0);
    fail_each(&b);
    spm(&b);
    b.model = "gemma4";
    b.no_merges = 0;
    vb_add(&b, "a", TOKEN_NORMAL, 0);
    vb_add(&b, "b", TOKEN_NORMAL, 0);
    vb_pair(&b, "a", "b");
    fail_each(&b);
    spm(&b);
    b.model = "t5";
    vb_add(&b, "ab", TOKEN_NORMAL, -1);
    vb_add(&b, "<s>", TOKEN_USER, 0);
    fail_each(&b);
    b = (struct vb){.model = "bert", .no_merges = 1};
    vb_add(&b, "[UNK]", TOKEN_UNKNOWN, 0);
    vb_add(&b, "▁ab", TOKEN_NORMAL, 0);
    fail_each(&b);
}

static void a_megabyte_of_one_character_is_no_trouble(void)
{
    static const char *const unit[] = {"a", " ", "\n", "中", "\xcc\x81", "ab ", "\xff"};
    for (int kind = 0; kind < 5; kind++) {
        struct vb b = {0};
        struct vt t;
        if (kind == 0) {
            a_b(&b);
            vb_pair(&b, "a", "a");
            vb_pair(&b, "aa", "aa");
            vb_pair(&b, "Ġ", "Ġ");
            b.pre = "qwen2";
        } else {
            spm(&b);
            b.model = kind == 1 ? "llama" : kind == 2 ? "gemma4" : kind == 3 ? "t5" : "bert";
            b.no_merges = kind != 2;
            vb_add(&b, "a", TOKEN_NORMAL, -4);
            vb_add(&b, "▁", TOKEN_NORMAL, -4);
            vb_add(&b, "aa", TOKEN_NORMAL, -3);
            vb_add(&b, "▁▁", TOKEN_NORMAL, -2);
            vb_add(&b, "a▁", TOKEN_NORMAL, -5);
            if (kind == 2) vb_merge(&b, "a a");
        }
        CHECK_EQ(vt_open(&t, &b), 0);
        for (int u = 0; t.v && u < 7; u++) {
            struct buf s = {0};
            struct ids ids = {0};
            while (s.n < 1000000) buf_puts(&s, unit[u]);
            CHECK_EQ(vocab_encode(t.v, buf_view(&s), 0, &ids, &t.err), 0);
            CHECK(ids.n < 3100000);
            ids_done(&ids);
            buf_done(&s);
        }
        vt_close(&t);
    }
}

int main(void)
{
    tap_timeout(120);
    RUN(what_is_missing_is_named);
    RUN(what_is_unknown_is_named_with_what_is_known);
    RUN(arrays_of_the_wrong_type_are_refused);
    RUN(arrays_that_are_too_short_are_refused);
    RUN(values_out_of_range_are_refused);
    RUN(ids_that_nothing_depends_on_may_be_wrong);
    RUN(byte_tokens_must_name_a_byte);
    RUN(merges_must_name_tokens);
    RUN(pieces_too_long_are_refused);
    RUN(pieces_made_to_collide_are_refused);
    RUN(strange_vocabularies_work);
    RUN(a_broken_map_harms_nobody);
    RUN(every_allocation_may_fail);
    RUN(a_megabyte_of_one_character_is_no_trouble);
    return tap_done();
}
