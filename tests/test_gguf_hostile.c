/* SPDX-License-Identifier: Apache-2.0
 * tests/test_gguf_hostile.c: files made to hurt. Each case is a bug that some reader of GGUF once
 * had (its number stands beside it where it has one): the file must be refused with a sentence that
 * names the key or tensor and what is wrong, without reading outside it and without memory it
 * cannot justify. */
#include "gguf_build.h"

#include "fuzz/fuzz_gguf.c" /* for its checks of every value of what was accepted */

static size_t allocated; /* bytes asked for since it was last zeroed */

static int count_bytes(size_t n, void *ctx)
{
    (void)ctx;
    allocated += n;
    return 0;
}

/* Opens what was built, which must be refused with code and a message holding both words. */
static void refused(struct gb *b, int code, const char *word, const char *word2)
{
    struct gb_file f = gb_end(b);
    struct gguf g;
    struct lar_err err = {0};
    long live = mem_live();
    allocated = 0;
    mem_set_hook(count_bytes, NULL);
    int rc = gguf_open_memory(&g, f.p, f.n, &err);
    mem_set_hook(NULL, NULL);
    CHECK_EQ(rc, code);
    if (rc >= 0) gguf_close(&g);
    if (!strstr(err.msg, word) || !strstr(err.msg, word2))
        printf("# said: %s\n", err.msg);
    CHECK(strstr(err.msg, word) && strstr(err.msg, word2));
    CHECK(!g.kv && !g.tensor && !g.part && !g.nkv && !g.ntensor && !g.npart);
    CHECK(allocated <= 8 * f.n + 4 * 65536); /* a few arena chunks, however large the claims */
    CHECK_EQ(mem_live(), live);
    free(f.p);
}

static struct gb with_tensor(int ndim, const uint64_t *dim, uint32_t type, uint64_t offset)
{
    struct gb b = {0};
    gb_tensor(&b, "blk.0.w", ndim, dim, type, offset);
    gb_data(&b, 256);
    return b;
}

#define DIMS(...) (const uint64_t[]){__VA_ARGS__}
#define NDIMS(...) (int)(sizeof(DIMS(__VA_ARGS__)) / 8), DIMS(__VA_ARGS__)

/* ---- counts and lengths ---------------------------------------------------------------------- */

static void string_length_that_wraps_when_one_is_added__cve_2024_23496(void)
{
    struct gb b = {0};
    gb_int(gb_key(&b, "general.name", GGUF_STRING), UINT64_MAX, 8);
    buf_puts(&b.kv, "xxxxxxxx");
    refused(&b, LAR_EFORMAT, "general.name", "18446744073709551615 bytes");
    gb_int(&b.kv, UINT64_MAX, 8); /* the key's own length */
    buf_puts(&b.kv, "xxxxxxxxxxxx");
    b.nkv = 1;
    refused(&b, LAR_EFORMAT, "key number 0 (offset 0x18)", "18446744073709551615 bytes");
}

static void string_longer_than_the_file__cve_2024_12055(void)
{
    struct gb b = {0};
    gb_int(gb_key(&b, "general.name", GGUF_STRING), 1 << 30, 8);
    buf_puts(&b.kv, "short");
    refused(&b, LAR_EFORMAT, "general.name", "only 5 more");
}

static void key_count_that_wraps__cve_2024_23605(void)
{
    struct gb b = {.nkv = UINT64_MAX / 48 + 2}; /* times a struct of 48 bytes it would be small */
    refused(&b, LAR_EFORMAT, "header", "keys do not fit");
    b = (struct gb){.nkv = 0xffffffff}; /* gguf-parser-go ran out of memory on this */
    refused(&b, LAR_EFORMAT, "4294967295 keys", "do not fit");
    b = (struct gb){.nkv = UINT64_MAX / 13 + 1}; /* times the 13 bytes that a key has at least: 9 */
    gb_data(&b, 256);
    refused(&b, LAR_EFORMAT, "1418980313362273202 keys", "do not fit");
}

static void tensor_count_that_wraps__cve_2024_21836(void)
{
    struct gb b = {.ntensor = UINT64_MAX / 88 + 2};
    refused(&b, LAR_EFORMAT, "header", "tensors do not fit");
    b = (struct gb){.ntensor = UINT64_MAX};
    gb_kv_int(&b, "k", GGUF_U8, 1);
    refused(&b, LAR_EFORMAT, "header", "tensors do not fit");
    b = (struct gb){.ntensor = UINT64_MAX / 24 + 1}; /* times the 24 bytes that a tensor has at least: 8 */
    gb_data(&b, 256);
    refused(&b, LAR_EFORMAT, "768614336404564651 tensors", "do not fit");
    b = (struct gb){.ntensor = 4}; /* they would fit if there were no keys */
    for (char name[2] = "a"; *name <= 'h'; ++*name) gb_kv_int(&b, name, GGUF_U8, 1);
    refused(&b, LAR_EFORMAT, "header", "4 tensors do not fit in the 112 bytes");
}

static void array_count_times_size_that_wraps__cve_2024_21825(void)
{
    struct gb b = {0};
    gb_int(gb_array(&b, "k.ints", GGUF_U64, (uint64_t)1 << 61), 0, 8);
    refused(&b, LAR_EFORMAT, "k.ints", "do not fit in the 8 bytes");
    gb_int(gb_array(&b, "k.texts", GGUF_STRING, (uint64_t)1 << 61), 0, 8);
    refused(&b, LAR_EFORMAT, "k.texts", "does not fit");
    gb_int(gb_array(&b, "k.bools", GGUF_BOOL, UINT64_MAX), 0, 8);
    refused(&b, LAR_EFORMAT, "k.bools", "do not fit");
}

static void array_claims_more_strings_than_there_are(void)
{
    struct gb b = {0};
    struct buf *v = gb_array(&b, "tokenizer.ggml.tokens", GGUF_STRING, 3);
    gb_text(v, "a");
    gb_text(v, "bcdefghijklmnop");
    refused(&b, LAR_EFORMAT, "tokenizer.ggml.tokens", "a string of its array");
    v = gb_array(&b, "tokenizer.ggml.tokens", GGUF_STRING, 2);
    gb_text(v, "a");
    gb_int(v, (uint64_t)1 << 40, 8);
    refused(&b, LAR_EFORMAT, "tokenizer.ggml.tokens", "only 0 more");
}

static void more_keys_than_anybody_needs(void)
{
    struct gb b = {0};
    for (int i = 0; i < 65537; i++) {
        char key[16];
        snprintf(key, sizeof key, "k%d", i);
        gb_kv_int(&b, key, GGUF_U8, 0);
    }
    refused(&b, LAR_ELIMIT, "65537 keys", "65536");
}

/* Room for them there is: what is refused is their number. */
static void more_tensors_than_anybody_needs(void)
{
    struct gb b = {.ntensor = (1u << 20) + 1};
    static const char nothing[24];
    for (uint64_t i = 0; i < b.ntensor; i++) buf_add(&b.tensor, nothing, sizeof nothing);
    refused(&b, LAR_ELIMIT, "has 0 keys and 1048577 tensors", "1048576");
}

/* ---- types ----------------------------------------------------------------------------------- */

static void value_types_that_are_none__pr_19856(void)
{
    static const uint32_t types[] = {13, 14, 255, 0x7fffffff, 0x80000000, 0xffffffff};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        struct gb b = {0};
        gb_int(gb_key(&b, "k.x", types[i]), 0, 8);
        refused(&b, LAR_EFORMAT, "k.x", "expected 0 to 12");
        gb_int(gb_array(&b, "k.y", types[i], 1), 0, 8);
        refused(&b, LAR_EFORMAT, "k.y", "expected 0 to 12");
    }
}

static void arrays_of_arrays(void)
{
    struct gb b = {0};
    struct buf *v = gb_array(&b, "k.nest", GGUF_ARRAY, 1);
    for (int i = 0; i < 1000; i++) { /* deep enough for a reader that recurses */
        gb_int(v, GGUF_ARRAY, 4);
        gb_int(v, 1, 8);
    }
    refused(&b, LAR_EFORMAT, "k.nest", "array of arrays");
}

static void tensor_types_that_are_none_or_retired(void)
{
    static const uint32_t retired[] = {4, 5, 31, 32, 33, 36, 37, 38};
    for (size_t i = 0; i < sizeof retired / sizeof *retired; i++) {
        struct gb b = with_tensor(NDIMS(32), retired[i], 0);
        refused(&b, LAR_EFORMAT, "tensor blk.0.w", "retired");
    }
    struct gb b = with_tensor(NDIMS(32), 1000, 0);
    refused(&b, LAR_EFORMAT, "tensor blk.0.w", "type 1000, which is unknown");
    b = with_tensor(NDIMS(32), UINT32_MAX, 0);
    refused(&b, LAR_EFORMAT, "tensor blk.0.w", "unknown");
}

static void bools_that_are_neither(void)
{
    struct gb b = {0};
    gb_kv_int(&b, "k.b", GGUF_BOOL, 2);
    refused(&b, LAR_EFORMAT, "k.b", "value 2, expected 0 or 1");
    struct buf *v = gb_array(&b, "k.bs", GGUF_BOOL, 3);
    buf_add(v, "\0\1\377", 3);
    refused(&b, LAR_EFORMAT, "k.bs", "value 255");
}

/* ---- alignment ------------------------------------------------------------------------------- */

static void alignment_zero_or_odd_or_absurd__cve_2025_0317(void)
{
    static const uint64_t bad_values[] = {0, 7, 24, 33, 100, 1 << 21, 0x80000000, 0xffffffff};
    for (size_t i = 0; i < sizeof bad_values / sizeof *bad_values; i++) {
        struct gb b = with_tensor(NDIMS(4), DT_F32, 0);
        gb_kv_int(&b, "general.alignment", GGUF_U32, bad_values[i]);
        refused(&b, LAR_EFORMAT, "general.alignment", "power of two");
    }
    struct gb b = {0};
    gb_kv_int(&b, "general.alignment", GGUF_U64, (uint64_t)1 << 63);
    refused(&b, LAR_EFORMAT, "general.alignment", "power of two");
    gb_kv_int(&b, "general.alignment", GGUF_I32, (uint64_t)-32);
    refused(&b, LAR_EFORMAT, "general.alignment", "-32");
}

static void alignment_of_another_type__pr_26318(void)
{
    struct gb b = {0};
    gb_kv_f32(&b, "general.alignment", 32.0f);
    refused(&b, LAR_EFORMAT, "general.alignment", "of type f32, expected an integer");
    gb_kv_text(&b, "general.alignment", "32");
    refused(&b, LAR_EFORMAT, "general.alignment", "of type string");
    gb_int(gb_array(&b, "general.alignment", GGUF_U32, 1), 32, 4);
    refused(&b, LAR_EFORMAT, "general.alignment", "of type array");
    gb_kv_int(&b, "general.alignment", GGUF_BOOL, 1);
    refused(&b, LAR_EFORMAT, "general.alignment", "of type bool");
}

/* ---- shapes ---------------------------------------------------------------------------------- */

static void more_than_four_dims__cve_2024_21802(void)
{
    struct gb b = with_tensor(NDIMS(1, 1, 1, 1, 1), DT_F32, 0);
    refused(&b, LAR_EFORMAT, "tensor blk.0.w", "has 5 dimensions");
    gb_text(&b.tensor, "x");
    gb_int(&b.tensor, UINT32_MAX, 4);
    for (int i = 0; i < 8; i++) gb_int(&b.tensor, 1, 8);
    b.ntensor = 1;
    refused(&b, LAR_EFORMAT, "tensor x", "4294967295 dimensions");
}

static void a_dim_of_zero__pr_24263_and_cve_2025_0312(void)
{
    struct gb b = with_tensor(NDIMS(0), DT_F32, 0);
    refused(&b, LAR_EFORMAT, "tensor blk.0.w", "dimension 0 is 0");
    b = with_tensor(NDIMS(32, 4, 0, 1), DT_Q8_0, 0);
    refused(&b, LAR_EFORMAT, "tensor blk.0.w", "dimension 2 is 0");
}

static void a_negative_dim(void)
{
    struct gb b = with_tensor(NDIMS(4, (uint64_t)-1), DT_F32, 0);
    refused(&b, LAR_EFORMAT, "tensor blk.0.w", "dimension 1 is 18446744073709551615");
    b = with_tensor(NDIMS((uint64_t)1 << 63), DT_F32, 0);
    refused(&b, LAR_EFORMAT, "tensor blk.0.w", "dimension 0");
}

static void dims_whose_product_wraps__issue_27203(void)
{
    struct gb b = with_tensor(NDIMS(INT64_MAX, 2, 1, 1), DT_F32, 0);
    refused(&b, LAR_EFORMAT, "tensor blk.0.w", "product");
    b = with_tensor(NDIMS((uint64_t)1 << 32, (uint64_t)1 << 32), DT_I8, 0); /* 2^64: zero */
    refused(&b, LAR_EFORMAT, "tensor blk.0.w", "product");
    b = with_tensor(NDIMS(1, (uint64_t)1 << 62, 4, 1), DT_I8, 0);
    refused(&b, LAR_EFORMAT, "tensor blk.0.w", "product");
}

static void dims_whose_bytes_wrap__cve_2026_33298(void)
{
    struct gb b = with_tensor(NDIMS((uint64_t)1 << 61), DT_I64, 0); /* 2^64 bytes: zero */
    refused(&b, LAR_EFORMAT, "tensor blk.0.w", "2^64");
    b = with_tensor(NDIMS(((uint64_t)1 << 62) + 8), DT_F32, 0); /* 32 bytes after wrapping */
    refused(&b, LAR_EFORMAT, "tensor blk.0.w", "2^64");
}

static void dims_whose_strides_wrap__pr_18674(void)
{
    struct gb b = with_tensor(NDIMS(((uint64_t)1 << 42) + 1, 1 << 19), DT_F32, 0);
    refused(&b, LAR_EFORMAT, "tensor blk.0.w", "past the end");
}

static void dims_that_the_file_cannot_hold__cve_2025_0315(void)
{
    struct gb b = with_tensor(NDIMS((uint64_t)1 << 40, 1), DT_F16, 0);
    refused(&b, LAR_EFORMAT, "tensor blk.0.w", "past the end");
}

static void a_row_that_is_no_whole_number_of_blocks(void)
{
    struct gb b = with_tensor(NDIMS(33), DT_Q8_0, 0);
    refused(&b, LAR_EFORMAT, "tensor blk.0.w", "multiple of Q8_0's block of 32");
    b = with_tensor(NDIMS(128, 2), DT_Q4_K, 0); /* the product is a whole block, the row is not */
    refused(&b, LAR_EFORMAT, "tensor blk.0.w", "rows of 128 elements");
}

/* ---- places ---------------------------------------------------------------------------------- */

static void data_outside_the_file__cve_2026_7482_and_mlx_4136(void)
{
    struct gb b = with_tensor(NDIMS(65), DT_F32, 0); /* 260 bytes of 256 */
    refused(&b, LAR_EFORMAT, "tensor blk.0.w", "past the end of the file");
    b = with_tensor(NDIMS(1), DT_F32, 256);
    refused(&b, LAR_EFORMAT, "tensor blk.0.w", "data offset 256");
    b = with_tensor(NDIMS(1), DT_F32, (uint64_t)1 << 40);
    refused(&b, LAR_EFORMAT, "tensor blk.0.w", "past the end");
    struct gb none = {0}; /* the data would begin after the file's end */
    gb_row(&none, "w", 1, 0);
    refused(&none, LAR_EFORMAT, "tensor w", "0 bytes of data");
}

static void offset_plus_size_that_wraps__cve_2025_53630_and_2026_27940(void)
{
    struct gb b = with_tensor(NDIMS(16), DT_F32, UINT64_MAX - 31);
    refused(&b, LAR_EFORMAT, "tensor blk.0.w", "past the end");
    b = with_tensor(NDIMS((uint64_t)1 << 61), DT_F32, (uint64_t)1 << 63);
    refused(&b, LAR_EFORMAT, "tensor blk.0.w", "past the end");
    b = (struct gb){0}; /* two sizes whose sum wraps to what the file has */
    gb_row(&b, "a", (uint64_t)3 << 60, 0);
    gb_row(&b, "b", ((uint64_t)1 << 60) + 64, 0);
    gb_data(&b, 256);
    refused(&b, LAR_EFORMAT, "tensor a", "past the end");
}

static void an_offset_off_the_alignment(void)
{
    struct gb b = with_tensor(NDIMS(4), DT_F32, 16);
    refused(&b, LAR_EFORMAT, "tensor blk.0.w", "data offset 16 is no multiple of the alignment 32");
    b = with_tensor(NDIMS(4), DT_F32, UINT64_MAX);
    refused(&b, LAR_EFORMAT, "tensor blk.0.w", "multiple of the alignment");
}

static void tensors_that_overlap(void)
{
    struct gb b = {0};
    gb_row(&b, "late", 8, 32);
    gb_row(&b, "early", 16, 0); /* 64 bytes */
    gb_data(&b, 256);
    refused(&b, LAR_EFORMAT, "tensor late", "overlaps that of early");
    gb_row(&b, "a", 8, 64);
    gb_row(&b, "b", 8, 64);
    gb_data(&b, 256);
    refused(&b, LAR_EFORMAT, "tensor", "overlaps");
    gb_row(&b, "whole", 64, 0);
    for (int i = 0; i < 5; i++) gb_row(&b, &"vwxyz"[i], 1, (uint64_t)i * 32 + 32);
    gb_data(&b, 256);
    refused(&b, LAR_EFORMAT, "tensor", "overlaps that of whole");
}

/* ---- names ----------------------------------------------------------------------------------- */

static void names_that_appear_twice(void)
{
    struct gb b = {0};
    gb_kv_int(&b, "llama.block_count", GGUF_U32, 1);
    gb_kv_int(&b, "llama.block_coun", GGUF_U32, 1);
    gb_kv_int(&b, "llama.block_count", GGUF_U32, 2);
    refused(&b, LAR_EFORMAT, "llama.block_count", "twice, also at offset 0x");
    gb_row(&b, "w", 1, 0);
    gb_row(&b, "v", 1, 32);
    gb_row(&b, "w", 1, 64);
    gb_data(&b, 68);
    refused(&b, LAR_EFORMAT, "tensor w", "twice");
}

static void names_that_are_empty_or_hold_a_nul__pr_24263(void)
{
    struct gb b = {0};
    gb_kv_int(&b, "", GGUF_U8, 1);
    refused(&b, LAR_EFORMAT, "key number 0 (offset 0x18)", "empty");
    gb_bytes(&b.kv, "general.name\0x", 14);
    gb_int(&b.kv, GGUF_U8, 4);
    gb_int(&b.kv, 1, 1);
    b.nkv = 1;
    refused(&b, LAR_EFORMAT, "general.name", "NUL");
    gb_row(&b, "", 1, 0);
    gb_data(&b, 4);
    refused(&b, LAR_EFORMAT, "tensor number 0", "empty");
}

static void names_that_are_huge(void)
{
    struct gb b = {0};
    size_t n = 65536;
    char *key = malloc(n + 1);
    memset(key, 'k', n);
    key[n] = 0;
    gb_kv_int(&b, key, GGUF_U8, 1);
    refused(&b, LAR_EFORMAT, "key number 0", "65536 bytes, at most 65535");
    free(key);
}

static void a_message_about_a_hostile_name_is_clean(void)
{
    struct gb b = {0};
    gb_kv_int(&b, "\033[31m\n\377evil", GGUF_BOOL, 2);
    struct gb_file f = gb_end(&b);
    struct gguf g;
    struct lar_err err = {0};
    CHECK_EQ(gguf_open_memory(&g, f.p, f.n, &err), LAR_EFORMAT);
    for (const char *p = err.msg; *p; p++) CHECK(*p >= 0x20 && *p < 0x7f);
    CHECK(strstr(err.msg, "evil"));
    CHECK_EQ(gguf_open_memory(&g, f.p, f.n, NULL), LAR_EFORMAT); /* nobody wants the sentence */
    free(f.p);
}

/* ---- other files ----------------------------------------------------------------------------- */

static void is_refused_as(const void *p, size_t n, int code, const char *word)
{
    struct gguf g;
    struct lar_err err = {0};
    CHECK_EQ(gguf_open_memory(&g, p, n, &err), code);
    if (!strstr(err.msg, word)) printf("# said: %s\n", err.msg);
    CHECK(strstr(err.msg, word));
}

static void other_versions_and_formats_are_named(void)
{
    is_refused_as("", 0, LAR_EFORMAT, "empty");
    is_refused_as("GG", 2, LAR_EFORMAT, "not GGUF");
    is_refused_as("GGUF\1\0\0\0\0\0\0\0\0\0\0\0", 16, LAR_EUNSUPPORTED, "version 1");
    is_refused_as("GGUF\4\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 24, LAR_EUNSUPPORTED,
                  "version 4");
    is_refused_as("GGUF\0\0\0\3\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 24, LAR_EUNSUPPORTED,
                  "big-endian");
    is_refused_as("GGUF\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 24, LAR_EUNSUPPORTED,
                  "version 0");
    is_refused_as("version https://git-lfs.github.com/spec/v1\n", 43, LAR_EFORMAT, "Git LFS");
    is_refused_as("PK\3\4xxxxxxxxxxxxxxxx", 20, LAR_EFORMAT, "zip");
    is_refused_as("\20\0\0\0\0\0\0\0{\"a\":1}        ", 23, LAR_EFORMAT, "safetensors");
    is_refused_as("lmggxxxxxxxxxxxx", 16, LAR_EFORMAT, "before GGUF");
    is_refused_as("<!DOCTYPE html>", 15, LAR_EFORMAT, "HTML");
}

/* ---- everything else, by force --------------------------------------------------------------- */

/* A file with each kind of thing; it ends with the last byte of its last tensor. */
static struct gb_file a_bit_of_everything(uint32_t version)
{
    struct gb b = {.version = version};
    gb_kv_text(&b, "general.architecture", "llama");
    gb_kv_int(&b, "general.alignment", GGUF_U32, 32);
    gb_kv_int(&b, "split.count", GGUF_U16, 1);
    gb_kv_int(&b, "k.bool", GGUF_BOOL, 1);
    gb_kv_f32(&b, "k.f32", 1e-5f);
    gb_kv_f64(&b, "k.f64", 2.5);
    gb_int(gb_array(&b, "k.ints", GGUF_I16, 2), 0xfffe0001, 4);
    struct buf *v = gb_array(&b, "k.texts", GGUF_STRING, 3);
    gb_text(v, "a");
    gb_text(v, "");
    gb_text(v, "bcd");
    gb_tensor(&b, "m", NDIMS(32, 2), DT_Q8_0, 0); /* 68 bytes */
    gb_row(&b, "v", 4, 96);
    gb_data(&b, 112);
    return gb_end(&b);
}

/* As a heap block of its own, so that a sanitizer sees the first byte read too much. */
static int opens(const uint8_t *p, size_t n)
{
    struct gguf g;
    uint8_t *q = malloc(n ? n : 1);
    memcpy(q, p, n);
    int rc = gguf_open_memory(&g, q, n, NULL);
    if (rc == LAR_OK) gguf_close(&g);
    free(q);
    return rc == LAR_OK;
}

static void every_truncation_is_refused(void)
{
    for (uint32_t version = 2; version <= 3; version++) {
        struct gb_file f = a_bit_of_everything(version);
        CHECK(opens(f.p, f.n));
        for (size_t n = 0; n < f.n; n++)
            if (opens(f.p, n)) CHECK_EQ(n, f.n);
        free(f.p);
    }
}

static void every_single_byte_corruption_is_survived(void)
{
    struct gb_file f = a_bit_of_everything(3);
    size_t accepted = 0, tried = 0;
    int step = getenv("LAR_SLOW") ? 4 : 1;
    for (size_t at = 0; at < f.n; at++) {
        uint8_t was = f.p[at];
        for (int v = was % step; v < 256; v += step) {
            f.p[at] = (uint8_t)v;
            LLVMFuzzerTestOneInput(f.p, f.n); /* reads every value, aborts on a broken promise */
            struct gguf g;
            if (v % 16 == was % 16 && gguf_open_memory(&g, f.p, f.n, NULL) == LAR_OK) {
                accepted++;
                gguf_close(&g);
            }
            tried++;
        }
        f.p[at] = was;
    }
    CHECK_EQ(tried, f.n * 256 / (size_t)step);
    CHECK(accepted > f.n / 2); /* the original 1 in 16, and changes within names and data */
    free(f.p);
}

static void words_of_ones_anywhere_are_survived(void)
{
    struct gb_file f = a_bit_of_everything(3);
    uint8_t *q = malloc(f.n);
    static const uint64_t words[] = {UINT64_MAX, (uint64_t)1 << 63, INT64_MAX, (uint64_t)1 << 62,
                                     (uint64_t)1 << 61, UINT32_MAX, 0x80000000, 0};
    for (size_t at = 0; at + 8 <= f.n; at++) {
        for (size_t w = 0; w < sizeof words / sizeof *words; w++) {
            memcpy(q, f.p, f.n);
            memcpy(q + at, &words[w], 8);
            LLVMFuzzerTestOneInput(q, f.n);
        }
    }
    CHECK(opens(f.p, f.n));
    free(q);
    free(f.p);
}

int main(void)
{
    tap_timeout(120);
    RUN(string_length_that_wraps_when_one_is_added__cve_2024_23496);
    RUN(string_longer_than_the_file__cve_2024_12055);
    RUN(key_count_that_wraps__cve_2024_23605);
    RUN(tensor_count_that_wraps__cve_2024_21836);
    RUN(array_count_times_size_that_wraps__cve_2024_21825);
    RUN(array_claims_more_strings_than_there_are);
    RUN(more_keys_than_anybody_needs);
    RUN(more_tensors_than_anybody_needs);
    RUN(value_types_that_are_none__pr_19856);
    RUN(arrays_of_arrays);
    RUN(tensor_types_that_are_none_or_retired);
    RUN(bools_that_are_neither);
    RUN(alignment_zero_or_odd_or_absurd__cve_2025_0317);
    RUN(alignment_of_another_type__pr_26318);
    RUN(more_than_four_dims__cve_2024_21802);
    RUN(a_dim_of_zero__pr_24263_and_cve_2025_0312);
    RUN(a_negative_dim);
    RUN(dims_whose_product_wraps__issue_27203);
    RUN(dims_whose_bytes_wrap__cve_2026_33298);
    RUN(dims_whose_strides_wrap__pr_18674);
    RUN(dims_that_the_file_cannot_hold__cve_2025_0315);
    RUN(a_row_that_is_no_whole_number_of_blocks);
    RUN(data_outside_the_file__cve_2026_7482_and_mlx_4136);
    RUN(offset_plus_size_that_wraps__cve_2025_53630_and_2026_27940);
    RUN(an_offset_off_the_alignment);
    RUN(tensors_that_overlap);
    RUN(names_that_appear_twice);
    RUN(names_that_are_empty_or_hold_a_nul__pr_24263);
    RUN(names_that_are_huge);
    RUN(a_message_about_a_hostile_name_is_clean);
    RUN(other_versions_and_formats_are_named);
    RUN(every_truncation_is_refused);
    RUN(every_single_byte_corruption_is_survived);
    RUN(words_of_ones_anywhere_are_survived);
    return tap_done();
}
