/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/test_pickle.c: PyTorch checkpoints: made here, right and wrong ones, and those of ../shared/data (real models, and the attacks that
 * scanners are tested with: each must be refused by what it names).
 */
#include <dirent.h>

#include "io/pickle_machine.h"
#include "tap.h"
#include "zip_build.h"

#define DATA "../shared/data"

/* One tensor "w" [2][3] of floats in storage "0", as torch.save (protocol 2) writes it. */
#define STORAGE(type, count)                           \
    "(X\x07\0\0\0storagectorch\n" type "\nX\x01\0\0\0" \
    "0X\x03\0\0\0"                                     \
    "cpuK" count "tQ"
#define TENSOR(storage, offset, size, stride)                                    \
    "ctorch._utils\n_rebuild_tensor_v2\n(" storage "K" offset size stride "\x89" \
    "ccollections\nOrderedDict\n)RtR"
#define DICT(tensor) "\x80\x02}q\0(X\x01\0\0\0wq\1" tensor "u."
#define GOOD         DICT(TENSOR(STORAGE("FloatStorage", "\x06"), "\0", "K\x02K\x03\x86", "K\x03K\x01\x86"))

static const float values[6] = {1, 2, 3, 4, 5, 6};

static int open_program(struct zb *z, struct pickle *p, const char *program, size_t n, struct lar_err *err)
{
    zb_add(z, "model/data.pkl", program, n);
    zb_add(z, "model/byteorder", "little", 6);
    zb_add(z, "model/data/0", values, sizeof values);
    zb_end(z);
    return pickle_open_memory(p, z->file.p, z->file.n, err);
}

#define OPEN(z, p, program, err) open_program(z, p, program, sizeof(program) - 1, err)

static void a_tensor_is_found(void)
{
    struct zb z = {0};
    struct pickle p;
    struct lar_err err = {0};
    if (OPEN(&z, &p, GOOD, &err) < 0) {
        printf("# %s\n", err.msg);
        tap_case_bad++;
    } else {
        CHECK_EQ(p.ntensor, 1);
        CHECK(str_is(p.tensor[0].name, "w"));
        CHECK_STR(p.tensor[0].type, "F32");
        CHECK(p.tensor[0].ndim == 2 && p.tensor[0].shape[0] == 2 && p.tensor[0].shape[1] == 3 &&
              p.tensor[0].bytes == 24);
        CHECK(!memcmp(p.tensor[0].data, values, sizeof values));
        pickle_close(&p);
    }
    zb_done(&z);
}

static void refused(const char *program, size_t n, int code, const char *says)
{
    struct zb z = {0};
    struct pickle p;
    struct lar_err err = {0};
    long live = mem_live();
    int rc = open_program(&z, &p, program, n, &err);
    CHECK_EQ(rc, code);
    if (!strstr(err.msg, says)) printf("# \"%s\" does not say \"%s\"\n", err.msg, says), tap_case_bad++;
    if (rc == 0) pickle_close(&p);
    zb_done(&z);
    CHECK(mem_live() <= live);
}
#define REFUSED(program, code, says) refused(program, sizeof(program) - 1, code, says)

static void what_is_named_is_refused(void)
{
    REFUSED("\x80\x02"
            "cos\nsystem\n(X\x02\0\0\0lstR.",
            LAR_EUNSUPPORTED, "names os.system");
    REFUSED("\x80\x04\x8c\x08"
            "builtins\x8c\x04"
            "eval\x93\x8c\x01x\x85R.",
            LAR_EUNSUPPORTED, "names builtins.eval");
    REFUSED("\x80\x02"
            "cos\nsys\x1b[31m\n.",
            LAR_EUNSUPPORTED, "os.sys?[31m");                           /* no escape codes to a terminal */
    REFUSED("(ios\nsystem\n.", LAR_EUNSUPPORTED, "instruction 0x69");   /* INST */
    REFUSED("\x80\x02}\x81.", LAR_EUNSUPPORTED, "instruction 0x81");    /* NEWOBJ */
    REFUSED("\x80\x02\x82\x01.", LAR_EUNSUPPORTED, "instruction 0x82"); /* EXT1 */
}

static void what_is_broken_is_refused(void)
{
    REFUSED("\x80\x02", LAR_EFORMAT, "ends without STOP");
    REFUSED("\x80\x06.", LAR_EFORMAT, "protocol");
    REFUSED("\x80\x02N.", LAR_EFORMAT, "has no tensors");
    REFUSED("\x80\x02NN.", LAR_EFORMAT, "not one value");
    REFUSED("\x80\x02N.N.", LAR_EFORMAT, "follow its end");
    REFUSED("\x80\x02u.", LAR_EFORMAT, "no mark");
    REFUSED("\x80\x02h\x05.", LAR_EFORMAT, "not remembered");
    REFUSED("\x80\x02r\xff\xff\xff\xff.", LAR_EFORMAT, "memo");
    REFUSED("\x80\x02X\xff\xff\xff\x7f.", LAR_EFORMAT, "past the end");
    REFUSED("\x80\x02R.", LAR_EFORMAT, "cannot be called");
    REFUSED("\x80\x02}NNs00.", LAR_EFORMAT, "below its stack");
    REFUSED("\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.", LAR_EFORMAT, "before 1.6"); /* its number, in an archive */
    REFUSED(DICT(TENSOR(STORAGE("FloatStorage", "\x06"), "\x01", "K\x02K\x03\x86", "K\x03K\x01\x86")), LAR_EFORMAT,
            "past the end of its data");
    REFUSED(DICT(TENSOR(STORAGE("DoubleStorage", "\x06"), "\0", "K\x02K\x03\x86", "K\x03K\x01\x86")), LAR_EFORMAT,
            "past the end of its data");
    REFUSED(DICT(TENSOR(STORAGE("FloatStorage", "\x06"), "\0", "K\x03K\x02\x86", "K\x01K\x03\x86")), LAR_EFORMAT,
            "side by side");
    REFUSED(DICT(TENSOR(STORAGE("FloatStorage", "\x06"), "\0", "K\x06\x85", "K\x01K\x01\x86")), LAR_EFORMAT, "shape");
    /* a dictionary that holds itself, twice */
    REFUSED("\x80\x02}q\0(K\0h\0K\1h\0u.", LAR_ELIMIT, "nested too deep");
}

/* Every way to name a thing leads to the same table, and what it refuses it names. */
static void whatever_the_way_a_name_is_told(void)
{
    static const char *const evil[][2] = {{"os", "system"},
                                          {"posix", "system"},
                                          {"nt", "system"},
                                          {"subprocess", "Popen"},
                                          {"builtins", "exec"},
                                          {"__builtin__", "eval"},
                                          {"builtins", "getattr"},
                                          {"importlib", "import_module"},
                                          {"operator", "attrgetter"},
                                          {"functools", "partial"},
                                          {"runpy", "_run_code"},
                                          {"copyreg", "_reconstructor"},
                                          {"torch.storage", "_load_from_bytes"},
                                          {"torch", "load"},
                                          {"torch.jit", "load"},
                                          {"torch._utils", "_rebuild_tensor_v2.__globals__"},
                                          {"torch ", "Size"},
                                          {"", ""}};
    for (size_t i = 0; i < sizeof evil / sizeof *evil; i++)
        for (int way = 0; way < 4; way++) {
            struct buf b = {0};
            char says[100];
            const char *m = evil[i][0], *n = evil[i][1];
            int mn = (int)strlen(m), nn = (int)strlen(n);
            buf_puts(&b, "\x80\x04");
            if (way == 0) buf_printf(&b, "c%s\n%s\n", m, n);
            if (way == 1) buf_printf(&b, "\x8c%c%s\x8c%c%s\x93", mn ? mn : 1, mn ? m : " ", nn ? nn : 1, nn ? n : " ");
            if (way == 2) /* from the memo, and by the old instructions */
                buf_printf(&b, "U%c%s\x94" "0U%c%s\x94" "0h%ch\x01\x93", mn ? mn : 1, mn ? m : " ", nn ? nn : 1,
                           nn ? n : " ", 0);
            if (way == 3) buf_printf(&b, "}(c%s\n%s\n(X\x02", m, n); /* deep within */
            if (way == 2) b.p[b.n - 4] = 0;
            buf_puts(&b, "X");
            zb_int(&b, 2, 4);
            buf_puts(&b, "id\x85R.");
            snprintf(says, sizeof says, "names %s.%s", mn || way == 0 || way == 3 ? m : " ",
                     nn || way == 0 || way == 3 ? n : " ");
            refused(b.p, b.n, LAR_EUNSUPPORTED, says);
            buf_done(&b);
        }
    /* instructions that make objects by other ways: by their number */
    static const uint8_t op[] = {'i', 'o', 0x81, 0x92, 0x82, 0x83, 0x84, 'P', 'B', 'C', 0x8e, 0x96, 0x97, 0x8f, 0x90,
                                 0x91, 'I', 'L', 'F', 'S', 'V', 'd', 'l', 'p', 'g', 'D'};
    for (size_t i = 0; i < sizeof op; i++) {
        char program[] = "\x80\x04]]a?", says[40];
        program[5] = (char)op[i];
        snprintf(says, sizeof says, "instruction 0x%02x is not one", op[i]);
        refused(program, 6, LAR_EUNSUPPORTED, says);
    }
}

static void bombs_are_refused(void)
{
    struct buf b = {0};
    buf_puts(&b, "\x80\x02N");
    for (int i = 0; i < 200000; i++) buf_putc(&b, '\x85'); /* tuples in tuples in tuples */
    buf_putc(&b, '.');
    refused(b.p, b.n, LAR_EFORMAT, "has no tensors");
    buf_clear(&b);
    buf_puts(&b, "\x80\x04}\x94"); /* 2^100 ways down a ladder of dictionaries */
    for (int i = 0; i < 100; i++) {
        buf_puts(&b, "}\x94(K\1h");
        buf_putc(&b, (char)i);
        buf_puts(&b, "K\2h");
        buf_putc(&b, (char)i);
        buf_putc(&b, 'u');
    }
    buf_puts(&b, ".");
    refused(b.p, b.n, LAR_EFORMAT, "leaves not one value");
    buf_clear(&b);
    buf_puts(&b, "\x80\x04}\x94");
    for (int i = 0; i < 15; i++) {
        buf_puts(&b, "0}\x94(");
        for (int k = 0; k < 8; k++) buf_printf(&b, "K%ch", 1 + k), buf_putc(&b, (char)i);
        buf_putc(&b, 'u');
    }
    buf_puts(&b, ".");
    refused(b.p, b.n, LAR_ELIMIT, "nested too deep");
    buf_clear(&b);
    buf_puts(&b, "\x80\x02");
    for (int i = 0; i < 70000; i++) buf_putc(&b, 'N');
    refused(b.p, b.n, LAR_ELIMIT, "values on its stack");
    buf_done(&b);
}

/* tests/fuzz/corpus/pickle/legacy: torch.save({"w": t, "v": t[0]}, _use_new_zipfile_serialization=False) of PyTorch 2.15, t = [[0, 1, 2], [3, 4, 5]]. */
static void a_checkpoint_of_before_1_6_is_read(void)
{
    struct filemap m;
    struct pickle p;
    struct lar_err err = {0};
    CHECK_EQ(filemap_open(&m, "tests/fuzz/corpus/pickle/legacy", NULL), 0);
    CHECK_EQ(pickle_open_memory(&p, m.p, m.n, &err), 0);
    if (err.code) {
        printf("# %s\n", err.msg);
        return;
    }
    CHECK_EQ(p.ntensor, 2);
    for (size_t i = 0; i < p.ntensor; i++) {
        const struct pickle_tensor *t = &p.tensor[i];
        int w = str_is(t->name, "w");
        float v[6];
        CHECK(w || str_is(t->name, "v"));
        CHECK(t->bytes == (w ? 24 : 12) && t->ndim == (w ? 2 : 1));
        memcpy(v, t->data, t->bytes);
        for (int k = 0; k < (w ? 6 : 3); k++) CHECK_NEAR(v[k], k, 0);
    }
    pickle_close(&p);
    char *copy = malloc(m.n + 1);
    for (size_t n = 0; n <= m.n; n++) { /* shorter by some; longer by one */
        memcpy(copy, m.p, n);
        if (n == m.n) copy[n] = 0;
        CHECK(pickle_open_memory(&p, copy, n == m.n ? n + 1 : n, NULL) < 0);
    }
    for (size_t i = 0; i < m.n; i++) { /* a byte of it is another: refused, or a tensor within the file */
        memcpy(copy, m.p, m.n);
        copy[i] ^= 0x15;
        if (pickle_open_memory(&p, copy, m.n, NULL) < 0) continue;
        for (size_t k = 0; k < p.ntensor; k++)
            CHECK(p.tensor[k].data >= (uint8_t *)copy && p.tensor[k].data + p.tensor[k].bytes <= (uint8_t *)copy + m.n);
        pickle_close(&p);
    }
    free(copy);
    filemap_close(&m);
}

/* tests/fuzz/corpus/pickle/float8: in an archive without its padding, torch.save({"w": t.to(torch.float8_e4m3fn), "v": t.to(torch.float8_e5m2)[1], "f": t}) of PyTorch 2.15,
 * t = [[0, 1, 2], [3, -4, 0.5]]. */
static void floats_of_8_bits_are_read(void)
{
    static const uint8_t w[] = {0, 0x38, 0x40, 0x44, 0xc8, 0x30}, v[] = {0x42, 0xc4, 0x38};
    struct filemap m;
    struct pickle p;
    struct lar_err err = {0};
    CHECK_EQ(filemap_open(&m, "tests/fuzz/corpus/pickle/float8", NULL), 0);
    CHECK_EQ(pickle_open_memory(&p, m.p, m.n, &err), 0);
    if (err.code) {
        printf("# %s\n", err.msg);
        return;
    }
    CHECK_EQ(p.ntensor, 3);
    for (size_t i = 0; i < p.ntensor; i++) {
        const struct pickle_tensor *t = &p.tensor[i];
        if (str_is(t->name, "w")) CHECK(!strcmp(t->type, "F8_E4M3") && t->bytes == 6 && !memcmp(t->data, w, 6));
        if (str_is(t->name, "v")) CHECK(!strcmp(t->type, "F8_E5M2") && t->bytes == 3 && !memcmp(t->data, v, 3));
        if (str_is(t->name, "f")) CHECK(!strcmp(t->type, "F32") && t->bytes == 24);
    }
    pickle_close(&p);
    filemap_close(&m);
    static const char other[] = DICT("ctorch._utils\n_rebuild_tensor_v3\n(" STORAGE("FloatStorage", "\x06")
                                     "K\0K\x06\x85K\x01\x85\x89Nctorch\nfloat8_e5m2\ntR"),
                      none[] = DICT("ctorch._utils\n_rebuild_tensor_v3\n(" STORAGE("ByteStorage", "\x06")
                                    "K\0K\x06\x85K\x01\x85\x89NNtR"),
                      named[] = DICT("ctorch._utils\n_rebuild_tensor_v3\n(" STORAGE("ByteStorage", "\x06")
                                     "K\0K\x06\x85K\x01\x85\x89Nctorch\nuint16\ntR");
    refused(other, sizeof other - 1, LAR_EFORMAT, "bytes that are none");
    refused(none, sizeof none - 1, LAR_EFORMAT, "a type that is none");
    refused(named, sizeof named - 1, LAR_EUNSUPPORTED, "names torch.uint16");
}

static void a_tar_of_the_first_pytorch_is_told(void)
{
    char tar[1024] = "sys_info";
    struct pickle p;
    struct lar_err err = {0};
    memcpy(tar + 257, "ustar\00000", 8);
    CHECK_EQ(pickle_open_memory(&p, tar, sizeof tar, &err), LAR_EUNSUPPORTED);
    CHECK(strstr(err.msg, "very first PyTorch") != NULL);
}

static void too_many_entries_are_refused(void)
{
    size_t n = 46 * ((1 << 20) + 1), at = n;
    struct buf end = {0};
    struct pickle p;
    struct lar_err err = {0};
    char *file = calloc(1, n + 98);
    CHECK(file != NULL);
    if (!file) return;
    zb_int(&end, 0x06064b50, 4), zb_int(&end, 44, 8), zb_int(&end, 0, 12); /* the 64-bit end */
    zb_int(&end, n / 46, 8), zb_int(&end, n / 46, 8), zb_int(&end, n, 8), zb_int(&end, 0, 8);
    zb_int(&end, 0x07064b50, 4), zb_int(&end, 0, 4), zb_int(&end, at, 8), zb_int(&end, 1, 4);
    zb_int(&end, 0x06054b50, 4), zb_int(&end, 0, 16), zb_int(&end, 0, 2);
    CHECK_EQ(end.n, 98);
    memcpy(file + n, end.p, end.n);
    CHECK_EQ(pickle_open_memory(&p, file, n + end.n, &err), LAR_ELIMIT);
    CHECK(strstr(err.msg, "more than 1048576 entries") != NULL);
    buf_done(&end);
    free(file);
}

/* An entry within another one's data, and one that reaches into the directory. */
static void entries_that_overlap_are_refused(void)
{
    for (int i = 0; i < 2; i++) {
        struct zb inner = {0}, z = {0};
        struct pickle p;
        struct lar_err err = {0};
        zb_add(&inner, "model/data/1", values, sizeof values);
        zb_add(&z, "model/data/0", inner.file.p, inner.file.n);
        size_t at = z.file.n - inner.file.n; /* where the inner one's header lies */
        zb_add(&z, "model/data.pkl", GOOD, sizeof GOOD - 1);
        if (i == 0) {
            char *place = inner.directory.p + 42;
            for (int k = 0; k < 4; k++) place[k] = (char)(at >> 8 * k & 255);
            buf_str(&z.directory, buf_view(&inner.directory));
            z.n++;
        } else { /* the last one's length, in both places */
            size_t last = z.file.n - (sizeof GOOD - 1) - 14 - 30, in = z.directory.n - 46 - 14;
            z.file.p[last + 18]++, z.file.p[last + 22]++, z.directory.p[in + 20]++, z.directory.p[in + 24]++;
        }
        zb_end(&z);
        CHECK_EQ(pickle_open_memory(&p, z.file.p, z.file.n, &err), LAR_EFORMAT);
        if (!strstr(err.msg, "lies over")) printf("# %s\n", err.msg), tap_case_bad++;
        zb_done(&z);
        zb_done(&inner);
    }
}

static void archives_of_other_shapes_are_read(void)
{
    for (int i = 0; i < 3; i++) {
        struct zb z = {.wide = i == 0};
        struct pickle p;
        struct lar_err err = {0};
        if (i == 1) zb_add(&z, "../../../etc/passwd", "x", 1); /* a name is never a path here */
        if (i == 2) zb_add(&z, "model/code/evil.py", "import os", 9);
        int rc = OPEN(&z, &p, GOOD, &err);
        CHECK_EQ(rc, 0);
        if (rc == 0) {
            CHECK(p.ntensor == 1 && !memcmp(p.tensor[0].data, values, sizeof values));
            pickle_close(&p);
        }
        zb_done(&z);
    }
}

static void archives_that_mean_two_things_are_refused(void)
{
    static const char *const says[] = {"encrypted",       "compressed",           "something else",
                                       "two of that name", "64-bit sizes are missing", "two sizes differ"};
    for (int i = 0; i < 6; i++) {
        struct zb z = {.flags = i == 0, .method = i == 1 ? 8 : 0, .other_name = i == 2, .wide = i == 4 ? 2 : 0};
        z.short_by = i == 5;
        struct pickle p;
        struct lar_err err = {0};
        if (i == 3) zb_add(&z, "model/data.pkl", "N.", 2);
        int rc = OPEN(&z, &p, GOOD, &err);
        CHECK_EQ(rc, LAR_EFORMAT);
        if (!strstr(err.msg, says[i])) printf("# \"%s\" does not say \"%s\"\n", err.msg, says[i]), tap_case_bad++;
        zb_done(&z);
    }
}

static void every_shorter_file_is_refused(void)
{
    struct zb z = {0};
    struct pickle p;
    int rc = OPEN(&z, &p, GOOD, NULL);
    CHECK_EQ(rc, 0);
    pickle_close(&p);
    for (size_t n = 0; n < z.file.n; n++) {
        char *copy = malloc(n + 1);
        memcpy(copy, z.file.p, n);
        CHECK(pickle_open_memory(&p, copy, n, NULL) < 0);
        free(copy);
    }
    zb_done(&z);
}

static int fail_at;
static int fail_later(size_t n, void *ctx)
{
    (void)n, (void)ctx;
    return fail_at-- == 0;
}

static void every_allocation_may_fail(void)
{
    struct zb z = {0};
    struct pickle p;
    CHECK_EQ(OPEN(&z, &p, GOOD, NULL), 0);
    pickle_close(&p);
    long live = mem_live();
    for (int i = 0; i < 100; i++) {
        struct lar_err err = {0};
        fail_at = i;
        mem_set_hook(fail_later, NULL);
        int rc = pickle_open_memory(&p, z.file.p, z.file.n, &err);
        mem_set_hook(NULL, NULL);
        if (rc == 0) {
            pickle_close(&p);
            CHECK(i > 0);
            break;
        }
        CHECK_EQ(rc, LAR_ENOMEM);
        CHECK_EQ(mem_live(), live);
    }
    zb_done(&z);
}

/* Every attack of the scanners' suites, as a bare program and as a file. */
static void attacks_are_refused(const char *folder)
{
    struct dirent **entry = NULL;
    int n = scandir(folder, &entry, NULL, NULL), seen = 0;
    for (int i = 0; i < n; i++) {
        char path[600];
        const char *name = entry[i]->d_name;
        snprintf(path, sizeof path, "%s/%s", folder, name);
        int evil =
            strstr(name, "malicious") || strstr(name, "GHSA") || strstr(name, "exploit") || strstr(name, "unsafe");
        struct pickle p;
        struct filemap m;
        if (name[0] != '.' && evil && filemap_open(&m, path, NULL) == 0) {
            struct arena a;
            const struct pickle_value *root;
            arena_init(&a, 1 << 28);
            CHECK(pickle_open(&p, path, NULL) < 0);
            if (pickle_run(&root, (struct str){(const char *)m.p, m.n}, name, &a, NULL) >= 0)
                printf("# %s was not refused\n", path), tap_case_bad++;
            arena_done(&a);
            filemap_close(&m);
            seen++;
        }
        free(entry[i]);
    }
    free(entry);
    CHECK(seen > 0);
}

static void known_attacks_are_refused(void)
{
    attacks_are_refused(DATA "/pickle/picklescan/data");
    attacks_are_refused(DATA "/pickle/picklescan/data2");
    attacks_are_refused(DATA "/pickle/modelscan");
}

static void real_checkpoints_open(void)
{
    struct pickle p;
    struct lar_err err = {0};
    CHECK_EQ(pickle_open(&p, DATA "/diffusion/brianpulfer-ddpm_mnist.pt", &err), 0);
    if (err.code) return;
    CHECK_EQ(p.ntensor, 173);
    CHECK(str_is(p.tensor[0].name, "network.time_embed.weight"));
    pickle_close(&p);
}

int main(void)
{
    tap_timeout(60);
    RUN(a_tensor_is_found);
    RUN(what_is_named_is_refused);
    RUN(what_is_broken_is_refused);
    RUN(whatever_the_way_a_name_is_told);
    RUN(bombs_are_refused);
    RUN(a_checkpoint_of_before_1_6_is_read);
    RUN(floats_of_8_bits_are_read);
    RUN(a_tar_of_the_first_pytorch_is_told);
    RUN(too_many_entries_are_refused);
    RUN(entries_that_overlap_are_refused);
    RUN(archives_of_other_shapes_are_read);
    RUN(archives_that_mean_two_things_are_refused);
    RUN(every_shorter_file_is_refused);
    RUN(every_allocation_may_fail);
    if (access(DATA "/pickle", R_OK)) {
        SKIP(DATA " is not here");
    } else {
        RUN(known_attacks_are_refused);
        RUN(real_checkpoints_open);
    }
    return tap_done();
}
