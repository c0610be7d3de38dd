/* SPDX-License-Identifier: Apache-2.0
 * tests/test_gguf_write.c: GGUF files that are written read back as they were meant; nothing half done stays. */
#include "io/gguf_write.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "tap.h"

static char folder[64];
static struct lar_err err;

static const char *in_folder(const char *name)
{
    static char path[4][128];
    static int i;
    i = (i + 1) % 4;
    snprintf(path[i], sizeof path[i], "%s/%s", folder, name);
    return path[i];
}

/* Files in the folder. */
static int entries(void)
{
    int n = 0;
    DIR *d = opendir(folder);
    for (struct dirent *e; d && (e = readdir(d));) n += e->d_name[0] != '.';
    if (d) closedir(d);
    return n;
}

static void empty_folder(void)
{
    DIR *d = opendir(folder);
    for (struct dirent *e; d && (e = readdir(d));)
        if (e->d_name[0] != '.') unlink(in_folder(e->d_name));
    if (d) closedir(d);
}

static const struct gguf_spec three[] = {
    {{"a.weight", 8}, DT_F32, 2, {5, 3}},
    {{"b.weight", 8}, DT_Q4_0, 3, {32, 2, 2}},
    {{"c.bias", 6}, DT_F16, 1, {7}},
};
static const uint64_t three_bytes[] = {60, 72, 14};

static void all_keys(struct gguf_keys *k)
{
    const int32_t numbers[] = {1, -2, 3};
    const struct str words[] = {STR("one"), STR(""), STR("three\n")};
    gguf_keys_str(k, "general.architecture", STR("llama"));
    gguf_keys_u32(k, "x.u32", 4000000000u);
    gguf_keys_int(k, "x.i8", GGUF_I8, -5);
    gguf_keys_int(k, "x.u16", GGUF_U16, 65535);
    gguf_keys_int(k, "x.i64", GGUF_I64, INT64_MIN);
    gguf_keys_bool(k, "x.yes", 7);
    gguf_keys_f32(k, "x.f", 0.25f);
    gguf_keys_array(k, "x.numbers", GGUF_I32, numbers, 3);
    gguf_keys_array(k, "x.nothing", GGUF_F32, NULL, 0);
    gguf_keys_strs(k, "x.words", words, 3);
}

/* All data in pieces of step bytes; byte i of tensor t is t * 50 + i. */
static int write_three(struct gguf_writer *w, size_t step)
{
    uint8_t data[146];
    size_t n = 0;
    int rc = LAR_OK;
    for (size_t t = 0; t < 3; t++)
        for (size_t i = 0; i < three_bytes[t]; i++) data[n++] = (uint8_t)(t * 50 + i);
    for (size_t at = 0; at < n && rc == LAR_OK; at += step)
        rc = gguf_write(w, data + at, n - at < step ? n - at : step, &err);
    return rc;
}

static int make_three(const char *path, uint64_t part_bytes, uint32_t align, size_t step)
{
    struct gguf_keys k = {0};
    struct gguf_writer *w;
    all_keys(&k);
    if (align) gguf_keys_u32(&k, "general.alignment", align);
    int rc = gguf_create(&w, path, &k, three, 3, part_bytes, &err);
    gguf_keys_done(&k);
    if (rc < 0) return rc;
    rc = write_three(w, step);
    if (rc < 0) gguf_abort(w);
    return rc < 0 ? rc : gguf_commit(w, &err);
}

static void check_three(const char *path, uint64_t align, int parts)
{
    struct gguf g;
    int rc = gguf_open(&g, path, &err);
    CHECK_EQ(rc, LAR_OK);
    if (rc < 0) {
        printf("# %s\n", err.msg);
        return;
    }
    CHECK_EQ(g.version, 3);
    CHECK_EQ(g.alignment, align);
    CHECK_EQ(g.npart, parts);
    CHECK_EQ(g.ntensor, 3);
    for (size_t t = 0; t < 3 && t < g.ntensor; t++) {
        const struct gguf_tensor *x = gguf_tensor(&g, three[t].name.p);
        CHECK(x != NULL);
        if (!x) continue;
        CHECK_EQ(x->type, three[t].type);
        CHECK_EQ(x->ndim, three[t].ndim);
        for (int i = 0; i < x->ndim; i++) CHECK_EQ(x->dim[i], three[t].dim[i]);
        CHECK_EQ(x->bytes, three_bytes[t]);
        CHECK_EQ(x->offset % align, 0);
        for (size_t i = 0; i < three_bytes[t]; i++)
            if (x->data[i] != (uint8_t)(t * 50 + i)) {
                CHECK_EQ(x->data[i], (uint8_t)(t * 50 + i));
                break;
            }
    }
    gguf_close(&g);
}

static void what_is_written_reads_back(void)
{
    struct gguf g;
    CHECK_EQ(make_three(in_folder("o.gguf"), 0, 0, 1000), LAR_OK);
    CHECK_EQ(entries(), 1);
    check_three(in_folder("o.gguf"), 32, 1);
    if (gguf_open(&g, in_folder("o.gguf"), &err) < 0) {
        CHECK(!"opens");
        return;
    }
    uint32_t u = 0;
    int64_t i = 0;
    float f = 0;
    int yes = 0;
    CHECK_EQ(gguf_u32(&g, "x.u32", &u, &err), 1);
    CHECK_EQ(u, 4000000000u);
    CHECK_EQ(gguf_i64(&g, "x.i8", &i, &err), 1);
    CHECK_EQ(i, -5);
    CHECK_EQ(gguf_i64(&g, "x.u16", &i, &err), 1);
    CHECK_EQ(i, 65535);
    CHECK_EQ(gguf_i64(&g, "x.i64", &i, &err), 1);
    CHECK_EQ(i, INT64_MIN);
    CHECK_EQ(gguf_bool(&g, "x.yes", &yes, &err), 1);
    CHECK_EQ(yes, 1);
    CHECK_EQ(gguf_f32(&g, "x.f", &f, &err), 1);
    CHECK(f == 0.25f);
    CHECK_EQ(gguf_int_at(gguf_find(&g, "x.numbers"), 1), -2);
    CHECK_EQ(gguf_find(&g, "x.nothing")->count, 0);
    CHECK(str_is(gguf_str_at(gguf_find(&g, "x.words"), 2), "three\n"));
    CHECK_EQ(g.nkv, 10);
    gguf_close(&g);
}

static void a_copied_key_is_the_same_key(void)
{
    struct gguf g;
    struct gguf_keys k = {0};
    struct gguf_writer *w;
    CHECK_EQ(make_three(in_folder("o.gguf"), 0, 64, 1000), LAR_OK);
    CHECK_EQ(gguf_open(&g, in_folder("o.gguf"), &err), LAR_OK);
    for (size_t i = 0; i < g.nkv; i++) gguf_keys_copy(&k, &g.kv[i]);
    CHECK_EQ(k.alignment, 64);
    CHECK_EQ(gguf_create(&w, in_folder("p.gguf"), &k, three, 3, 0, &err), LAR_OK);
    CHECK_EQ(write_three(w, 7), LAR_OK);
    CHECK_EQ(gguf_commit(w, &err), LAR_OK);
    gguf_keys_done(&k);
    struct gguf h;
    CHECK_EQ(gguf_open(&h, in_folder("p.gguf"), &err), LAR_OK);
    CHECK(h.part[0].n == g.part[0].n && memcmp(h.part[0].p, g.part[0].p, h.part[0].n) == 0);
    gguf_close(&h);
    gguf_close(&g);
}

static void pieces_of_any_size_and_any_alignment_make_the_same_tensors(void)
{
    for (uint32_t align = 8; align <= 4096; align *= 8)
        for (size_t step = 1; step <= 146; step += 29) {
            CHECK_EQ(make_three(in_folder("o.gguf"), 0, align, step), LAR_OK);
            check_three(in_folder("o.gguf"), align, 1);
        }
}

static void a_file_without_tensors_is_whole(void)
{
    struct gguf g;
    struct gguf_keys k = {0};
    struct gguf_writer *w;
    all_keys(&k);
    CHECK_EQ(gguf_create(&w, in_folder("o.gguf"), &k, NULL, 0, 100, &err), LAR_OK);
    CHECK_EQ(gguf_commit(w, &err), LAR_OK);
    gguf_keys_done(&k);
    CHECK_EQ(gguf_open(&g, in_folder("o.gguf"), &err), LAR_OK);
    CHECK_EQ(g.ntensor, 0);
    gguf_close(&g);
}

static void parts_are_one_model(void)
{
    CHECK_EQ(make_three(in_folder("o.gguf"), 80, 64, 11), LAR_OK);
    CHECK_EQ(entries(), 3);
    check_three(in_folder("o-00001-of-00003.gguf"), 64, 3);
    empty_folder();
    CHECK_EQ(make_three(in_folder("o.gguf"), 132, 0, 1000), LAR_OK);
    CHECK_EQ(entries(), 2);
    check_three(in_folder("o-00001-of-00002.gguf"), 32, 2);
    empty_folder();
    CHECK_EQ(make_three(in_folder("o.gguf"), 146, 0, 1000), LAR_OK);
    check_three(in_folder("o.gguf"), 32, 1);
}

static void what_cannot_be_written_is_named_and_leaves_nothing(void)
{
    static const struct {
        struct gguf_spec s;
        const char *why;
    } bad[] = {
        {{{"t", 1}, (enum dtype)4, 1, {32}}, "tensor t: type 4"},
        {{{"t", 1}, DT_Q4_0, 1, {33}}, "rows of 33"},
        {{{"t", 1}, DT_F32, 0, {1}}, "0 dimensions"},
        {{{"t", 1}, DT_F32, 5, {1, 1, 1, 1}}, "5 dimensions"},
        {{{"t", 1}, DT_F32, 2, {1, 0}}, "dimension 1 of 0"},
        {{{"t", 1}, DT_F32, 2, {1LL << 40, 1LL << 40}}, "too large"},
        {{{"t", 1}, DT_F32, 1, {1LL << 61}}, "too large"},
        {{{"", 0}, DT_F32, 1, {1}}, "1 to 63 bytes"},
        {{{"0123456789012345678901234567890123456789012345678901234567890123", 64}, DT_F32, 1, {1}},
         "1 to 63 bytes"},
        {{{"c.bias", 6}, DT_F32, 1, {1}}, "two tensors c.bias"},
    };
    struct gguf_keys k = {0};
    struct gguf_writer *w;
    all_keys(&k);
    empty_folder();
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct gguf_spec s[] = {three[2], bad[i].s};
        CHECK_EQ(gguf_create(&w, in_folder("o.gguf"), &k, s, 2, 0, &err), LAR_EINVAL);
        if (!strstr(err.msg, bad[i].why)) CHECK_STR(err.msg, bad[i].why);
    }
    gguf_keys_u32(&k, "x.i8", 1);
    CHECK_EQ(gguf_create(&w, in_folder("o.gguf"), &k, three, 3, 0, &err), LAR_EINVAL);
    CHECK(strstr(err.msg, "key x.i8 is given twice") != NULL);
    gguf_keys_done(&k);
    CHECK_EQ(make_three(in_folder("o.gguf"), 0, 48, 9), LAR_EINVAL);
    CHECK_EQ(make_three(in_folder("nowhere/o.gguf"), 0, 0, 9), LAR_EIO);
    CHECK_EQ(make_three(folder, 0, 0, 9), LAR_EINVAL);
    CHECK_EQ(entries(), 0);
}

static void too_much_or_too_little_data_is_an_error(void)
{
    struct gguf_keys k = {0};
    struct gguf_writer *w;
    uint8_t zero[200] = {0};
    empty_folder();
    CHECK_EQ(gguf_create(&w, in_folder("o.gguf"), &k, three, 3, 80, &err), LAR_OK);
    CHECK_EQ(gguf_write(w, zero, 147, &err), LAR_EINVAL);
    gguf_abort(w);
    CHECK_EQ(gguf_create(&w, in_folder("o.gguf"), &k, three, 3, 80, &err), LAR_OK);
    CHECK_EQ(gguf_write(w, zero, 61, &err), LAR_OK);
    CHECK_EQ(gguf_commit(w, &err), LAR_EINVAL);
    CHECK(strstr(err.msg, "tensor b.weight has 1 of its 72 bytes") != NULL);
    CHECK_EQ(entries(), 0);
}

static int fail_at, calls;
static int fail_nth(size_t n, void *ctx)
{
    (void)n, (void)ctx;
    return ++calls == fail_at;
}

static void every_allocation_may_fail(void)
{
    int rc = LAR_ENOMEM;
    long before = mem_live();
    empty_folder();
    mem_set_hook(fail_nth, NULL);
    for (fail_at = 1; rc == LAR_ENOMEM && fail_at < 1000; fail_at++) {
        calls = 0;
        rc = make_three(in_folder("o.gguf"), 80, 0, 1000);
        CHECK_EQ(mem_live(), before);
        if (rc == LAR_ENOMEM) CHECK_EQ(entries(), 0);
    }
    mem_set_hook(NULL, NULL);
    CHECK_EQ(rc, LAR_OK);
    CHECK(fail_at > 20);
    CHECK_EQ(entries(), 3);
}

int main(void)
{
    tap_timeout(60);
    snprintf(folder, sizeof folder, "/tmp/lar-gguf-write-%ld", (long)getpid());
    if (mkdir(folder, 0700)) return EXIT_FAILURE;
    RUN(what_is_written_reads_back);
    RUN(a_copied_key_is_the_same_key);
    RUN(pieces_of_any_size_and_any_alignment_make_the_same_tensors);
    empty_folder();
    RUN(a_file_without_tensors_is_whole);
    empty_folder();
    RUN(parts_are_one_model);
    RUN(what_cannot_be_written_is_named_and_leaves_nothing);
    RUN(too_much_or_too_little_data_is_an_error);
    RUN(every_allocation_may_fail);
    empty_folder();
    rmdir(folder);
    return tap_done();
}
