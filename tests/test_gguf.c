/* SPDX-License-Identifier: Apache-2.0
 * tests/test_gguf.c: what a right GGUF file gives: values, arrays, tensors, split files, mappings,
 * and what happens when memory runs out. Hostile files are test_gguf_hostile.c's. */
#include <fcntl.h>
#include <ftw.h>
#include <sys/stat.h>

#include "gguf_build.h"

#define DIMS(...) (const uint64_t[]){__VA_ARGS__}
#define NDIMS(...) (int)(sizeof(DIMS(__VA_ARGS__)) / 8), DIMS(__VA_ARGS__)

static struct gguf opened(struct gb_file f)
{
    struct gguf g;
    struct lar_err err = {0};
    int rc = gguf_open_memory(&g, f.p, f.n, &err);
    if (rc != LAR_OK) printf("# said: %s\n", err.msg);
    CHECK_EQ(rc, LAR_OK);
    return g;
}

/* ---- values ---------------------------------------------------------------------------------- */

static void build_scalars(struct gb *b)
{
    gb_kv_int(b, "u8", GGUF_U8, 200);
    gb_kv_int(b, "i8", GGUF_I8, (uint64_t)-100);
    gb_kv_int(b, "u16", GGUF_U16, 60000);
    gb_kv_int(b, "i16", GGUF_I16, (uint64_t)-30000);
    gb_kv_int(b, "u32", GGUF_U32, 4000000000u);
    gb_kv_int(b, "i32", GGUF_I32, (uint64_t)-2000000000);
    gb_kv_int(b, "u64", GGUF_U64, (uint64_t)1 << 40);
    gb_kv_int(b, "i64", GGUF_I64, (uint64_t)INT64_MIN);
    gb_kv_int(b, "big", GGUF_U64, UINT64_MAX);
    gb_kv_f32(b, "f32", 1e-5f);
    gb_kv_f64(b, "f64", 0.25);
    gb_kv_f64(b, "wide", 1e300);
    gb_kv_int(b, "yes", GGUF_BOOL, 1);
    gb_kv_int(b, "no", GGUF_BOOL, 0);
    gb_kv_text(b, "text", "caf\xc3\xa9");
    gb_bytes(gb_key(b, "bytes", GGUF_STRING), "a\0\377", 3);
    gb_kv_text(b, "empty", "");
}

static void every_type_of_value_reads_back(void)
{
    for (uint32_t version = 2; version <= 3; version++) {
        struct gb b = {.version = version};
        build_scalars(&b);
        struct gb_file f = gb_end(&b);
        struct gguf g = opened(f);
        static const struct {
            const char *key;
            int64_t v;
        } ints[] = {{"u8", 200}, {"i8", -100}, {"u16", 60000}, {"i16", -30000}, {"u32", 4000000000},
                    {"i32", -2000000000}, {"u64", (int64_t)1 << 40}, {"i64", INT64_MIN}};
        int64_t i;
        for (size_t k = 0; k < sizeof ints / sizeof *ints; k++) {
            i = 7;
            CHECK_EQ(gguf_i64(&g, ints[k].key, &i, NULL), 1);
            CHECK_EQ(i, ints[k].v);
            CHECK_NEAR(gguf_num_at(gguf_find(&g, ints[k].key), 0), (double)ints[k].v, 0);
        }
        float x = 0;
        CHECK(gguf_f32(&g, "f32", &x, NULL) == 1 && x == 1e-5f);
        CHECK(gguf_f32(&g, "f64", &x, NULL) == 1 && x == 0.25f);
        CHECK_NEAR(gguf_num_at(gguf_find(&g, "wide"), 0), 1e300, 0);
        CHECK_NEAR(gguf_num_at(gguf_find(&g, "big"), 0), 0x1p64, 0);
        int yes = 7, no = 7;
        CHECK(gguf_bool(&g, "yes", &yes, NULL) == 1 && yes == 1);
        CHECK(gguf_bool(&g, "no", &no, NULL) == 1 && no == 0);
        struct str s;
        CHECK(gguf_str(&g, "text", &s, NULL) == 1 && str_is(s, "caf\xc3\xa9"));
        CHECK(gguf_str(&g, "bytes", &s, NULL) == 1 && s.n == 3 && !memcmp(s.p, "a\0\377", 3));
        CHECK(gguf_str(&g, "empty", &s, NULL) == 1 && s.n == 0);
        CHECK_EQ(g.version, version);
        CHECK_EQ(g.nkv, 17);
        CHECK_EQ(g.alignment, 32);
        CHECK_EQ(g.kv[0].offset, 24);
        gguf_close(&g);
        free(f.p);
    }
}

static void a_missing_key_gives_0_and_leaves_the_default(void)
{
    struct gb b = {0};
    gb_kv_int(&b, "here", GGUF_U8, 1);
    struct gb_file f = gb_end(&b);
    struct gguf g = opened(f);
    uint32_t u = 11;
    int64_t i = 12;
    float x = 13;
    int flag = 14;
    struct str s = STR("15");
    CHECK_EQ(gguf_u32(&g, "her", &u, NULL), 0);
    CHECK_EQ(gguf_i64(&g, "heres", &i, NULL), 0);
    CHECK_EQ(gguf_f32(&g, "", &x, NULL), 0);
    CHECK_EQ(gguf_bool(&g, "z", &flag, NULL), 0);
    CHECK_EQ(gguf_str(&g, "a", &s, NULL), 0);
    CHECK(u == 11 && i == 12 && x == 13.0f && flag == 14 && str_is(s, "15"));
    CHECK(!gguf_find(&g, "nothing") && !gguf_tensor(&g, "nothing"));
    gguf_close(&g);
    free(f.p);
}

static void integers_are_taken_when_they_fit_and_refused_when_not(void)
{
    struct gb b = {0};
    build_scalars(&b);
    struct gb_file f = gb_end(&b);
    struct gguf g = opened(f);
    struct lar_err err = {0};
    uint32_t u = 5;
    int64_t i = 6;
    CHECK(gguf_u32(&g, "u8", &u, &err) == 1 && u == 200);
    CHECK(gguf_u32(&g, "u32", &u, &err) == 1 && u == 4000000000u);
    CHECK_EQ(gguf_u32(&g, "i8", &u, &err), LAR_EFORMAT);
    CHECK(strstr(err.msg, "key i8 ") && strstr(err.msg, "-100 is out of range, 0 to 4294967295"));
    CHECK_EQ(gguf_u32(&g, "u64", &u, &err), LAR_EFORMAT);
    CHECK_EQ(gguf_u32(&g, "big", &u, &err), LAR_EFORMAT);
    CHECK_EQ(gguf_i64(&g, "big", &i, &err), LAR_EFORMAT);
    CHECK(strstr(err.msg, "18446744073709551615 is too large"));
    CHECK(u == 4000000000u && i == 6);
    float x = 1;
    CHECK_EQ(gguf_f32(&g, "wide", &x, &err), LAR_EFORMAT);
    CHECK(strstr(err.msg, "key wide") && x == 1.0f);
    gguf_close(&g);
    free(f.p);
}

static void a_wrong_type_names_key_offset_and_both_types(void)
{
    struct gb b = {0};
    build_scalars(&b);
    gb_int(gb_array(&b, "ints", GGUF_I32, 1), 1, 4);
    struct gb_file f = gb_end(&b);
    struct gguf g = opened(f);
    struct lar_err err = {0};
    uint32_t u;
    float x;
    int flag;
    struct str s;
    CHECK_EQ(gguf_u32(&g, "f32", &u, &err), LAR_EFORMAT);
    CHECK(strstr(err.msg, "key f32 (offset 0x"));
    CHECK(strstr(err.msg, "of type f32, expected an integer"));
    CHECK_EQ(gguf_u32(&g, "yes", &u, &err), LAR_EFORMAT);
    CHECK_EQ(gguf_u32(&g, "ints", &u, &err), LAR_EFORMAT);
    CHECK(strstr(err.msg, "an array of i32"));
    CHECK_EQ(gguf_f32(&g, "u8", &x, &err), LAR_EFORMAT);
    CHECK_EQ(gguf_bool(&g, "u8", &flag, &err), LAR_EFORMAT);
    CHECK(strstr(err.msg, "expected a bool"));
    CHECK_EQ(gguf_str(&g, "yes", &s, &err), LAR_EFORMAT);
    CHECK(strstr(err.msg, "of type bool, expected a string"));
    gguf_close(&g);
    free(f.p);
}

static void arrays_of_every_type_read_back(void)
{
    struct gb b = {0};
    struct buf *v = gb_array(&b, "u8", GGUF_U8, 3);
    buf_add(v, "\1\200\377", 3);
    gb_int(gb_array(&b, "i16", GGUF_I16, 2), 0xffff0005, 4);
    gb_int(gb_array(&b, "u64", GGUF_U64, 1), 1, 8);
    v = gb_array(&b, "i32", GGUF_I32, 2);
    gb_int(v, (uint64_t)-5, 4);
    gb_int(v, 6, 4);
    v = gb_array(&b, "f64", GGUF_F64, 1);
    gb_int(v, 0x3fe0000000000000, 8);
    v = gb_array(&b, "f32", GGUF_F32, 2);
    gb_int(v, 0x3f800000, 4);
    gb_int(v, 0xc0000000, 4);
    buf_add(gb_array(&b, "flags", GGUF_BOOL, 2), "\0\1", 2);
    v = gb_array(&b, "texts", GGUF_STRING, 4);
    gb_text(v, "one");
    gb_text(v, "");
    gb_bytes(v, "\0\377", 2);
    gb_text(v, "four");
    gb_array(&b, "none", GGUF_STRING, 0);
    gb_array(&b, "none.u32", GGUF_U32, 0);
    struct gb_file f = gb_end(&b);
    struct gguf g = opened(f);
    const struct gguf_kv *k = gguf_find(&g, "u8");
    CHECK(k && k->type == GGUF_ARRAY && k->etype == GGUF_U8 && k->count == 3 && k->bytes == 3);
    CHECK(gguf_int_at(k, 1) == 128 && gguf_int_at(k, 2) == 255);
    k = gguf_find(&g, "i16");
    CHECK(gguf_int_at(k, 0) == 5 && gguf_int_at(k, 1) == -1);
    CHECK_EQ(gguf_int_at(gguf_find(&g, "i32"), 0), -5);
    CHECK_EQ(gguf_int_at(gguf_find(&g, "u64"), 0), 1);
    CHECK_NEAR(gguf_num_at(gguf_find(&g, "f64"), 0), 0.5, 0);
    CHECK_NEAR(gguf_num_at(gguf_find(&g, "f32"), 1), -2.0, 0);
    CHECK(!gguf_int_at(gguf_find(&g, "flags"), 0) && gguf_int_at(gguf_find(&g, "flags"), 1));
    k = gguf_find(&g, "texts");
    CHECK(str_is(gguf_str_at(k, 0), "one") && gguf_str_at(k, 1).n == 0);
    CHECK(gguf_str_at(k, 2).n == 2 && str_is(gguf_str_at(k, 3), "four"));
    CHECK_EQ(k->bytes, 4 * 8 + 3 + 0 + 2 + 4);
    CHECK_EQ(gguf_find(&g, "none")->count, 0);
    CHECK_EQ(gguf_find(&g, "none.u32")->bytes, 0);
    gguf_close(&g);
    free(f.p);
}

static void thousands_of_keys_are_each_found(void)
{
    struct gb b = {0};
    char key[32];
    for (int i = 0; i < 3000; i++) {
        snprintf(key, sizeof key, "key.%d", i * 7919 % 3000);
        gb_kv_int(&b, key, GGUF_U32, (uint64_t)(i * 7919 % 3000));
    }
    struct gb_file f = gb_end(&b);
    struct gguf g = opened(f);
    for (uint32_t i = 0; i < 3000; i++) {
        uint32_t v = 0;
        snprintf(key, sizeof key, "key.%u", i);
        CHECK_EQ(gguf_u32(&g, key, &v, NULL), 1);
        CHECK_EQ(v, i);
    }
    gguf_close(&g);
    free(f.p);
}

/* ---- tensors --------------------------------------------------------------------------------- */

static void tensors_are_where_the_file_says(void)
{
    struct gb b = {0};
    gb_kv_int(&b, "general.alignment", GGUF_U32, 64);
    gb_tensor(&b, "q", NDIMS(64, 3), DT_Q8_0, 128); /* out of order: allowed */
    gb_tensor(&b, "v", NDIMS(2, 3, 1, 2), DT_F32, 0); /* 48 bytes */
    gb_tensor(&b, "scalar", 0, NULL, DT_F32, 64);
    gb_tensor(&b, "h", NDIMS(5), DT_BF16, 384);
    gb_data(&b, 394);
    b.alignment = 64;
    struct gb_file f = gb_end(&b);
    struct gguf g = opened(f);
    uint64_t start = f.n - 394;
    CHECK_EQ(g.alignment, 64);
    CHECK_EQ(g.ntensor, 4);
    CHECK_EQ(g.file_bytes, f.n);
    const struct gguf_tensor *t = gguf_tensor(&g, "q");
    CHECK(t == &g.tensor[0] && t->type == DT_Q8_0 && t->ndim == 2 && t->part == 0);
    CHECK(t->dim[0] == 64 && t->dim[1] == 3 && t->dim[2] == 1 && t->dim[3] == 1);
    CHECK_EQ(t->bytes, 3 * 2 * 34);
    CHECK_EQ(t->offset, start + 128);
    CHECK(t->data == f.p + t->offset && t->data[0] == (uint8_t)(128 * 7 + 1));
    t = gguf_tensor(&g, "v");
    CHECK(t->ndim == 4 && t->dim[3] == 2 && t->bytes == 48 && t->offset == start);
    t = gguf_tensor(&g, "scalar");
    CHECK(t->ndim == 1 && t->dim[0] == 1 && t->bytes == 4);
    t = gguf_tensor(&g, "h");
    CHECK(t->bytes == 10 && t->data + t->bytes == f.p + f.n);
    gguf_close(&g);
    free(f.p);
}

static void every_tensor_type_has_its_size(void)
{
    for (uint32_t id = 0; id < DTYPE_COUNT + 5; id++) {
        struct dtype_info d = dtype_info(id);
        struct gb b = {0};
        gb_tensor(&b, "t", NDIMS(512, 2), id, 0);
        gb_data(&b, 1024 * 8);
        struct gb_file f = gb_end(&b);
        struct gguf g;
        int rc = gguf_open_memory(&g, f.p, f.n, NULL);
        CHECK_EQ(rc, d.name ? LAR_OK : LAR_EFORMAT);
        if (rc == LAR_OK) {
            CHECK_EQ(g.tensor[0].bytes, 1024 / d.block * d.bytes);
            CHECK_EQ(g.tensor[0].type, id);
            gguf_close(&g);
        }
        free(f.p);
    }
}

/* Below 8 data may begin where a float cannot be read. */
static void small_alignments_hold_what_lies_well(void)
{
    for (uint64_t align = 1; align <= 4; align *= 2)
        for (size_t n = 1; n <= 8; n++) { /* the name moves the data */
            struct gb b = {.alignment = align};
            struct gguf g;
            struct lar_err err = {0};
            gb_kv_int(&b, "general.alignment", GGUF_U32, align);
            gb_row(&b, &"namename"[8 - n], 1, 0);
            gb_data(&b, 4);
            struct gb_file f = gb_end(&b);
            int rc = gguf_open_memory(&g, f.p, f.n, &err);
            CHECK_EQ(rc, (f.n - 4) % 4 ? LAR_EFORMAT : LAR_OK);
            if (rc == 0) CHECK_EQ(g.alignment, align);
            if (rc == 0) gguf_close(&g);
            else CHECK(strstr(err.msg, "F32 must begin at a multiple of 4"));
            free(f.p);
        }
}

static void alignments_to_a_mebibyte_of_any_integer_type(void)
{
    static const enum gguf_type types[] = {GGUF_U8, GGUF_U16, GGUF_U32, GGUF_I32, GGUF_U64};
    for (uint64_t align = 4; align <= 1 << 20; align *= 2) {
        for (size_t k = 0; k < sizeof types / sizeof *types; k++) {
            if (align > 128 && gguf_type_bytes(types[k]) == 1) continue;
            if (align > 32768 && gguf_type_bytes(types[k]) == 2) continue;
            if (align > 4096 && k) continue; /* large files: once is enough */
            struct gb b = {.alignment = align};
            gb_kv_int(&b, "general.alignment", align > 128 ? GGUF_U32 : types[k], align);
            gb_row(&b, "t", 1, 0);
            gb_data(&b, 4);
            struct gb_file f = gb_end(&b);
            struct gguf g = opened(f);
            CHECK_EQ(g.alignment, align);
            CHECK_EQ(g.tensor[0].offset % align, 0);
            gguf_close(&g);
            free(f.p);
        }
    }
}

static void a_file_of_nothing_opens(void)
{
    struct gb b = {0};
    struct gb_file f = gb_end(&b);
    struct gguf g = opened(f);
    CHECK(g.nkv == 0 && g.ntensor == 0 && g.npart == 1);
    CHECK(!gguf_find(&g, "general.architecture"));
    gguf_close(&g);
    gguf_close(&g); /* closing what is closed does nothing */
    free(f.p);
}

/* ---- files ----------------------------------------------------------------------------------- */

static char folder[64];

static const char *in_folder(const char *name)
{
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void save(const char *name, struct gb_file f)
{
    FILE *out = fopen(in_folder(name), "wb");
    CHECK(out && fwrite(f.p, 1, f.n, out) == f.n);
    if (out) fclose(out);
    free(f.p);
}

/* Part i of n with two tensors of its own; keys as llama-gguf-split writes them. */
static struct gb part(int i, int n, int total)
{
    struct gb b = {0};
    char name[32];
    if (i == 0) gb_kv_text(&b, "general.architecture", "llama");
    gb_kv_int(&b, "split.no", GGUF_U16, (uint64_t)i);
    gb_kv_int(&b, "split.count", GGUF_U16, (uint64_t)n);
    gb_kv_int(&b, "split.tensors.count", GGUF_I32, (uint64_t)total);
    for (int k = 0; k < 2; k++) {
        snprintf(name, sizeof name, "part%d.t%d", i, k);
        gb_row(&b, name, 8, (uint64_t)k * 32);
    }
    gb_data(&b, 64);
    b.data.p[0] = (char)('A' + i);
    return b;
}

static void save_parts(const char *stem, int n, int skip)
{
    for (int i = 0; i < n; i++) {
        struct gb b = part(i, n, 2 * n);
        char name[64];
        snprintf(name, sizeof name, "%s-%05d-of-%05d.gguf", stem, i + 1, n);
        struct gb_file f = gb_end(&b);
        if (i != skip) save(name, f);
        else free(f.p);
    }
}

static void a_split_model_opens_from_any_part(void)
{
    save_parts("whole", 3, -1);
    static const char *names[] = {"whole-00001-of-00003.gguf", "whole-00003-of-00003.gguf"};
    for (int k = 0; k < 2; k++) {
        struct gguf g;
        struct lar_err err = {0};
        CHECK_EQ(gguf_open(&g, in_folder(names[k]), &err), LAR_OK);
        CHECK_STR(err.msg, "");
        CHECK_EQ(g.npart, 3);
        CHECK_EQ(g.ntensor, 6);
        CHECK_EQ(g.file_bytes, g.part[0].n + g.part[1].n + g.part[2].n);
        CHECK(gguf_find(&g, "general.architecture") != NULL);
        const struct gguf_tensor *t = gguf_tensor(&g, "part2.t0");
        CHECK(t && t->part == 2 && t->data[0] == 'C' && t == &g.tensor[4]);
        CHECK(t && t->data == g.part[2].p + t->offset);
        gguf_close(&g);
    }
}

static void refused_file(const char *name, int code, const char *word, const char *word2)
{
    struct gguf g;
    struct lar_err err = {0};
    long live = mem_live();
    int rc = gguf_open(&g, in_folder(name), &err);
    CHECK_EQ(rc, code);
    if (rc >= 0) gguf_close(&g);
    if (!strstr(err.msg, word) || !strstr(err.msg, word2)) printf("# said: %s\n", err.msg);
    CHECK(strstr(err.msg, word) && strstr(err.msg, word2));
    CHECK_EQ(mem_live(), live);
}

static void a_missing_part_is_named(void)
{
    save_parts("gap", 3, 1);
    refused_file("gap-00001-of-00003.gguf", LAR_EIO, "part 2 of 3", "gap-00002-of-00003.gguf");
}

static void parts_must_agree(void)
{
    struct gb b = part(0, 2, 4);
    save("no-00001-of-00002.gguf", gb_end(&b));
    b = part(0, 2, 4); /* the first again */
    save("no-00002-of-00002.gguf", gb_end(&b));
    refused_file("no-00001-of-00002.gguf", LAR_EFORMAT, "no-00002-of-00002.gguf",
                 "split.no is 0, expected 1");
    b = part(1, 3, 4); /* of another set */
    save("no-00002-of-00002.gguf", gb_end(&b));
    refused_file("no-00001-of-00002.gguf", LAR_EFORMAT, "split.count", "3, expected 2");
    b = (struct gb){0};
    gb_row(&b, "x", 1, 0);
    gb_data(&b, 4);
    save("no-00002-of-00002.gguf", gb_end(&b));
    refused_file("no-00001-of-00002.gguf", LAR_EFORMAT, "split.count", "missing");
    b = part(1, 2, 4);
    gb_row(&b, "part0.t1", 1, 64);
    gb_data(&b, 4);
    save("no-00002-of-00002.gguf", gb_end(&b));
    refused_file("no-00001-of-00002.gguf", LAR_EFORMAT, "tensor part0.t1", "also in part 1");
    b = part(0, 2, 5);
    save("no-00001-of-00002.gguf", gb_end(&b));
    b = part(1, 2, 5);
    save("no-00002-of-00002.gguf", gb_end(&b));
    refused_file("no-00001-of-00002.gguf", LAR_EFORMAT, "split.tensors.count is 5", "have 4");
}

/* Each part has no more tensors than a file may have, both together do. The parts are mostly holes. */
static void parts_may_not_have_more_tensors_together_than_one_file(void)
{
    static const char *const name[] = {"many-00001-of-00002.gguf", "many-00002-of-00002.gguf"};
    for (int i = 0; i < 2; i++) {
        struct gb b = {0};
        gb_kv_int(&b, "split.no", GGUF_U16, (uint64_t)i);
        gb_kv_int(&b, "split.count", GGUF_U16, 2);
        b.ntensor = ((uint64_t)1 << 19) + 1;
        save(name[i], gb_end(&b));
        CHECK_EQ(truncate(in_folder(name[i]), 16 << 20), 0);
    }
    refused_file(name[0], LAR_ELIMIT, "1048578 tensors", "more than 1048576");
    for (int i = 0; i < 2; i++) remove(in_folder(name[i]));
}

static void a_part_under_another_name_is_refused(void)
{
    struct gb b = part(0, 2, 4);
    save("renamed.gguf", gb_end(&b));
    refused_file("renamed.gguf", LAR_EFORMAT, "one of 2 parts", "-00001-of-00002.gguf");
    save_parts("zero", 1, -1);
    refused_file("zero-00001-of-00002.gguf", LAR_EIO, "part 1 of 2", "No such file");
}

static void one_part_is_a_whole_with_or_without_keys(void)
{
    struct gguf g;
    save_parts("single", 1, -1);
    CHECK_EQ(gguf_open(&g, in_folder("single-00001-of-00001.gguf"), NULL), LAR_OK);
    gguf_close(&g);
    struct gb b = {0};
    gb_row(&b, "x", 1, 0);
    gb_data(&b, 4);
    save("bare-00001-of-00001.gguf", gb_end(&b));
    CHECK_EQ(gguf_open(&g, in_folder("bare-00001-of-00001.gguf"), NULL), LAR_OK);
    gguf_close(&g);
    refused_file("huge-00001-of-09999.gguf", LAR_ELIMIT, "9999 parts", "1024");
}

static void what_is_no_file_is_named_for_what_it_is(void)
{
    struct filemap m;
    struct lar_err err = {0};
    CHECK_EQ(filemap_open(&m, folder, &err), LAR_EINVAL);
    CHECK(strstr(err.msg, "is a directory"));
    CHECK_EQ(filemap_open(&m, "/dev/null", &err), LAR_EINVAL);
    CHECK(strstr(err.msg, "is a device"));
    CHECK(mkfifo(in_folder("pipe"), 0600) == 0);
    CHECK_EQ(filemap_open(&m, in_folder("pipe"), &err), LAR_EINVAL); /* does not wait for a writer */
    CHECK(strstr(err.msg, "is a pipe"));
    CHECK_EQ(filemap_open(&m, in_folder("nothing"), &err), LAR_EIO);
    CHECK(strstr(err.msg, "nothing: cannot be opened: No such file"));
    FILE *out = fopen(in_folder("empty"), "wb");
    if (out) fclose(out);
    CHECK_EQ(filemap_open(&m, in_folder("empty"), &err), LAR_OK);
    CHECK(!m.p && m.n == 0);
    filemap_close(&m);
    refused_file("empty", LAR_EFORMAT, "empty", "is empty");
}

static void a_file_is_mapped_shared_and_read_only(void)
{
    struct gguf g;
    char line[512];
    int found = 0, right = 0;
    save_parts("mapped", 1, -1);
    CHECK_EQ(gguf_open(&g, in_folder("mapped-00001-of-00001.gguf"), NULL), LAR_OK);
    FILE *maps = fopen("/proc/self/maps", "r");
    while (maps && fgets(line, sizeof line, maps)) {
        if (!strstr(line, "mapped-00001-of-00001.gguf")) continue;
        found++;
        right += strstr(line, " r--s ") != NULL;
    }
    CHECK(!maps || (found == 1 && right == 1));
    if (maps) fclose(maps);
    gguf_close(&g);
}

/* ---- memory ---------------------------------------------------------------------------------- */

static int fail_at, calls;

static int fail_one(size_t n, void *ctx)
{
    (void)n;
    (void)ctx;
    return ++calls == fail_at;
}

static int open_with_failure(const char *path, struct gb_file f, int i, struct lar_err *err)
{
    struct gguf g;
    calls = 0;
    fail_at = i;
    mem_set_hook(fail_one, NULL);
    int rc = path ? gguf_open(&g, path, err) : gguf_open_memory(&g, f.p, f.n, err);
    mem_set_hook(NULL, NULL);
    if (rc == LAR_OK) gguf_close(&g);
    return rc;
}

/* Fails each allocation in turn until the opening succeeds; gives how many there were. */
static int sweep(const char *path, struct gb_file f)
{
    long live = mem_live();
    for (int i = 1; i < 1000; i++) {
        struct lar_err err = {0};
        int rc = open_with_failure(path, f, i, &err);
        CHECK_EQ(mem_live(), live);
        if (rc == LAR_OK) return i - 1;
        CHECK_EQ(rc, LAR_ENOMEM);
        CHECK(strstr(err.msg, "out of memory"));
    }
    return 1000;
}

static void every_allocation_may_fail(void)
{
    struct gb b = {0};
    build_scalars(&b);
    struct buf *v = gb_array(&b, "tokens", GGUF_STRING, 40000); /* tables beyond one arena chunk */
    for (int i = 0; i < 40000; i++) gb_text(v, "t");
    char name[16];
    for (int i = 0; i < 2000; i++) {
        snprintf(name, sizeof name, "t%d", i);
        gb_row(&b, name, 1, (uint64_t)i * 32);
    }
    gb_data(&b, 64000);
    struct gb_file f = gb_end(&b);
    int n = sweep(NULL, f);
    CHECK(n >= 3 && n < 20);
    free(f.p);
    save_parts("sweep", 3, -1);
    n = sweep(in_folder("sweep-00002-of-00003.gguf"), (struct gb_file){0});
    CHECK(n >= 5 && n < 40);
}

/* ---- real files ------------------------------------------------------------------------------ */

static int real_files, real_bad;

static int open_real(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    size_t n = strlen(path);
    (void)at;
    if (kind != FTW_F || n < 5 || strcmp(path + n - 5, ".gguf") != 0) return 0;
    struct gguf g;
    struct lar_err err = {0};
    int hostile = strstr(path, "gguf_open/hdr-") != NULL; /* the fuzz seeds with broken headers */
    int rc = gguf_open(&g, path, &err);
    real_files++;
    if ((rc == LAR_OK) == !hostile) {
        if (rc == LAR_OK) CHECK_EQ(g.file_bytes, st->st_size);
    } else {
        real_bad++;
        printf("# %s: %s\n", path, err.msg);
    }
    if (rc == LAR_OK) gguf_close(&g);
    return 0;
}

static void every_real_file_opens(void)
{
    CHECK(nftw("../shared/.", open_real, 16, FTW_PHYS) == 0);
    printf("# %d files\n", real_files);
    CHECK(real_files > 0);
    CHECK_EQ(real_bad, 0);
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st;
    (void)kind;
    (void)at;
    return remove(path);
}

int main(void)
{
    tap_timeout(60);
    const char *tmp = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%.30s/lar-gguf-XX" "XX" "XX", tmp ? tmp : "/tmp");
    if (!mkdtemp(folder)) {
        printf("Bail out! no folder for temporary files: %s\n", folder);
        return EXIT_FAILURE;
    }
    RUN(every_type_of_value_reads_back);
    RUN(a_missing_key_gives_0_and_leaves_the_default);
    RUN(integers_are_taken_when_they_fit_and_refused_when_not);
    RUN(a_wrong_type_names_key_offset_and_both_types);
    RUN(arrays_of_every_type_read_back);
    RUN(thousands_of_keys_are_each_found);
    RUN(tensors_are_where_the_file_says);
    RUN(every_tensor_type_has_its_size);
    RUN(small_alignments_hold_what_lies_well);
    RUN(alignments_to_a_mebibyte_of_any_integer_type);
    RUN(a_file_of_nothing_opens);
    RUN(a_split_model_opens_from_any_part);
    RUN(a_missing_part_is_named);
    RUN(parts_must_agree);
    RUN(parts_may_not_have_more_tensors_together_than_one_file);
    RUN(a_part_under_another_name_is_refused);
    RUN(one_part_is_a_whole_with_or_without_keys);
    RUN(what_is_no_file_is_named_for_what_it_is);
    RUN(a_file_is_mapped_shared_and_read_only);
    RUN(every_allocation_may_fail);
    if (access("../shared", F_OK) == 0) RUN(every_real_file_opens);
    else SKIP("../shared is not here");
    nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    return tap_done();
}
