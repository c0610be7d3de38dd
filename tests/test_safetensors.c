/* SPDX-License-Identifier: Apache-2.0
 * tests/test_safetensors.c: what is written reads back, nothing half is ever left, and headers that
 * lie are refused. */
#include <errno.h>
#include <ftw.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/json.h"
#include "io/safetensors.h"
#include "tap.h"

static char folder[64];

static const char *in_folder(const char *name)
{
    static char path[2][256];
    static int turn;
    char *p = path[turn ^= 1];
    snprintf(p, sizeof path[0], "%s/%s", folder, name);
    return p;
}

static int entries;
static int count_entry(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)path;
    (void)st;
    (void)kind;
    entries += at->level > 0;
    return 0;
}

static int files_in_folder(void)
{
    entries = 0;
    nftw(folder, count_entry, 4, FTW_PHYS);
    return entries;
}

static int write_two(const char *path, float first, struct lar_err *err)
{
    struct safetensors_writer *w;
    struct safetensors_spec spec[] = {{"logits", "F32", 2, {2, 3}}, {"greedy", "I32", 1, {2}}};
    float logits[6] = {first, -2, 0.5f, 1e30f, -1e-30f, 3}; /* [2][3] */
    int32_t greedy[2] = {-7, 151000};
    int rc = safetensors_create(&w, path, spec, 2, err);
    if (rc < 0) return rc;
    /* in pieces, across the arrays' border */
    rc = safetensors_write(w, logits, 7, err);
    if (rc == LAR_OK) rc = safetensors_write(w, (const char *)logits + 7, sizeof logits - 7, err);
    if (rc == LAR_OK) rc = safetensors_write(w, greedy, sizeof greedy, err);
    if (rc == LAR_OK) return safetensors_commit(w, err);
    safetensors_abort(w);
    return rc;
}

static float first_logit(const char *path)
{
    struct safetensors s;
    float v = -1;
    if (safetensors_open(&s, path, NULL) < 0) return v;
    const struct safetensors_tensor *t = safetensors_find(&s, "logits");
    if (t) memcpy(&v, t->data, 4);
    safetensors_close(&s);
    return v;
}

static void what_is_written_reads_back(void)
{
    struct lar_err err = {0};
    struct safetensors s;
    long live = mem_live();
    CHECK_EQ(write_two(in_folder("a.safetensors"), 1, &err), LAR_OK);
    CHECK_STR(err.msg, "");
    CHECK_EQ(safetensors_open(&s, in_folder("a.safetensors"), &err), LAR_OK);
    CHECK_EQ(s.ntensor, 2);
    const struct safetensors_tensor *t = safetensors_find(&s, "logits");
    CHECK(t && t->ndim == 2 && t->shape[0] == 2 && t->shape[1] == 3 && t->elements == 6);
    CHECK(t && str_is(t->type, "F32") && t->bytes == 24 && (uintptr_t)t->data % 8 == 0);
    float f[6];
    memcpy(f, t->data, sizeof f);
    CHECK(f[0] == 1.0f && f[3] == 1e30f && f[5] == 3.0f);
    t = safetensors_find(&s, "greedy");
    int32_t g[2];
    CHECK(t && t->ndim == 1 && t->bytes == 8);
    memcpy(g, t->data, sizeof g);
    CHECK(g[0] == -7 && g[1] == 151000);
    CHECK(!safetensors_find(&s, "logit") && !safetensors_find(&s, "z") && !s.metadata);
    safetensors_close(&s);
    CHECK_EQ(mem_live(), live);
    CHECK_EQ(files_in_folder(), 1);
}

static void the_header_is_padded_to_8_and_plain(void)
{
    char text[4096];
    FILE *f = fopen(in_folder("a.safetensors"), "rb");
    size_t n = f ? fread(text, 1, sizeof text, f) : 0;
    if (f) fclose(f);
    static const char want[] =
        "{\"logits\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]},"
        "\"greedy\":{\"dtype\":\"I32\",\"shape\":[2],\"data_offsets\":[24,32]}}";
    uint64_t h = 0;
    memcpy(&h, text, 8);
    CHECK_EQ(h % 8, 0);
    CHECK_EQ(h, (sizeof want - 1 + 7) / 8 * 8);
    CHECK_EQ(n, 8 + h + 32);
    CHECK(memcmp(text + 8, want, sizeof want - 1) == 0);
}

static void a_link_is_followed_and_stays_a_link(void)
{
    struct stat st;
    CHECK(symlink("a.safetensors", in_folder("link")) == 0);
    CHECK_EQ(write_two(in_folder("link"), 5, NULL), LAR_OK);
    CHECK(lstat(in_folder("link"), &st) == 0 && S_ISLNK(st.st_mode));
    CHECK_NEAR(first_logit(in_folder("a.safetensors")), 5, 0);
    CHECK(unlink(in_folder("link")) == 0);
}

static void what_cannot_be_replaced_is_refused(void)
{
    struct lar_err err = {0};
    CHECK_EQ(write_two("/dev/null", 1, &err), LAR_EINVAL);
    CHECK(strstr(err.msg, "/dev/null: is no regular file"));
    CHECK_EQ(write_two(folder, 1, &err), LAR_EINVAL);
    CHECK_EQ(write_two(in_folder("no/such/x.safetensors"), 1, &err), LAR_EIO);
    CHECK(strstr(err.msg, "no/such/x.safetensors") && strstr(err.msg, "No such file"));
    CHECK_EQ(files_in_folder(), 1);
}

static void a_full_disk_says_so_and_leaves_the_old_file(void)
{
    struct rlimit was, tight;
    struct lar_err err = {0};
    struct sigaction ignore = {.sa_handler = SIG_IGN}, before;
    CHECK_EQ(write_two(in_folder("a.safetensors"), 8, NULL), LAR_OK);
    sigaction(SIGXFSZ, &ignore, &before);
    CHECK(getrlimit(RLIMIT_FSIZE, &was) == 0);
    for (rlim_t room = 0; room < 160; room += 20) { /* at the header, within it, within the data */
        tight = was;
        tight.rlim_cur = room;
        fflush(stdout);
        CHECK(setrlimit(RLIMIT_FSIZE, &tight) == 0);
        int rc = write_two(in_folder("a.safetensors"), 9, &err);
        CHECK(setrlimit(RLIMIT_FSIZE, &was) == 0);
        CHECK_EQ(rc, LAR_EIO);
        CHECK(strstr(err.msg, "a.safetensors: cannot be written: "));
        CHECK_EQ(files_in_folder(), 1);
    }
    sigaction(SIGXFSZ, &before, NULL);
    CHECK_NEAR(first_logit(in_folder("a.safetensors")), 8, 0);
}

static void too_little_or_too_much_data_is_the_callers_error(void)
{
    struct safetensors_writer *w;
    struct lar_err err = {0};
    struct safetensors_spec spec = {"x", "F32", 1, {2}};
    CHECK_EQ(safetensors_create(&w, in_folder("b"), &spec, 1, &err), LAR_OK);
    CHECK_EQ(safetensors_write(w, "12345678", 8, &err), LAR_OK);
    CHECK_EQ(safetensors_write(w, "9", 1, &err), LAR_EINVAL);
    safetensors_abort(w);
    CHECK_EQ(safetensors_create(&w, in_folder("b"), &spec, 1, &err), LAR_OK);
    CHECK_EQ(safetensors_write(w, "1234567", 7, &err), LAR_OK);
    CHECK_EQ(safetensors_commit(w, &err), LAR_EINVAL);
    CHECK(strstr(err.msg, "7 bytes of data, its header says 8"));
    safetensors_abort(NULL);
    CHECK_EQ(files_in_folder(), 1);
}

static void arrays_that_cannot_be_are_refused(void)
{
    static const struct safetensors_spec wrong[] = {
        {"x", "F33", 1, {2}},    {"x", "F4", 1, {2}},
        {"x", "F32", 9, {1}},    {"x", "F32", 1, {-1}},
        {"x", "F32", 2, {INT64_MAX, 8}}, {"", "F32", 1, {1}},
        {"__metadata__", "F32", 1, {1}}, {"\xff", "F32", 1, {1}},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct safetensors_writer *w;
        CHECK_EQ(safetensors_create(&w, in_folder("b"), &wrong[i], 1, NULL), LAR_EINVAL);
        CHECK(!w);
    }
    struct safetensors_writer *w;
    struct safetensors_spec twice[] = {{"x", "F32", 0, {0}}, {"x", "F32", 0, {0}}};
    CHECK_EQ(safetensors_create(&w, in_folder("b"), twice, 2, NULL), LAR_EINVAL);
    CHECK_EQ(files_in_folder(), 1);
}

/* ---- reading what others wrote --------------------------------------------------------------- */

static int open_text(struct safetensors *s, const char *header, size_t data, struct lar_err *err)
{
    static uint8_t bytes[4096];
    uint64_t n = strlen(header);
    memcpy(bytes, &n, 8);
    memcpy(bytes + 8, header, n);
    memset(bytes + 8 + n, 1, data);
    return safetensors_open_memory(s, bytes, 8 + n + data, err);
}

static void right_headers_of_other_writers_are_read(void)
{
    struct safetensors s;
    struct lar_err err = {0};
    CHECK_EQ(open_text(&s, "{}", 0, &err), LAR_OK);
    CHECK_EQ(s.ntensor, 0);
    safetensors_close(&s);
    CHECK_EQ(open_text(&s, "{\"__metadata__\":null}", 0, &err), LAR_OK);
    CHECK(!s.metadata && s.ntensor == 0);
    safetensors_close(&s);
    CHECK_EQ(open_text(&s, "{ \"__metadata__\" : {\"format\":\"pt\"}, "
                           "\"b\":{\"data_offsets\":[0,3],"
                           "\"shape\":[3],\"dtype\":\"U8\"},\"a\":{\"dtype\":\"BF16\",\"shape\":[],"
                           "\"data_offsets\":[3,5]},\"none\":{\"dtype\":\"F32\",\"shape\":[0,9],"
                           "\"data_offsets\":[3,3]},\"half\":{\"dtype\":\"F4\",\"shape\":[4],"
                           "\"data_offsets\":[5,7]}}     ", 7, &err), LAR_OK);
    CHECK_STR(err.msg, "");
    CHECK_EQ(s.ntensor, 4);
    CHECK(str_is(s.tensor[0].name, "a") && s.tensor[0].ndim == 0 && s.tensor[0].elements == 1);
    CHECK(safetensors_find(&s, "none")->bytes == 0 && safetensors_find(&s, "half")->bytes == 2);
    CHECK(str_is(json_str(json_get(s.metadata, "format"), STR("")), "pt"));
    safetensors_close(&s);
}

static void headers_that_lie_are_refused(void)
{
#define T(name, dtype, shape, at) \
    "\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":" at "}"
    static const struct {
        const char *header;
        size_t data;
        const char *word;
    } wrong[] = {
        {"{" T("x", "F32", "[2]", "[0,4]") "}", 4, "expected 8"},
        {"{" T("x", "F32", "[2]", "[0,8]") "}", 7, "cut off"},
        {"{" T("x", "F32", "[2]", "[0,8]") "}", 9, "9 bytes of data"},
        {"{" T("x", "F32", "[1]", "[4,8]") "}", 8, "hole"},
        {"{" T("x", "U8", "[4]", "[0,4]") "," T("y", "U8", "[4]", "[6,10]") "}", 10, "hole"},
        {"{" T("x", "U8", "[4]", "[0,4]") "," T("y", "U8", "[4]", "[2,6]") "}", 6, "overlaps"},
        {"{" T("x", "U8", "[4]", "[0,4]") "," T("x", "U8", "[4]", "[4,8]") "}", 8, "of that name"},
        {"{" T("x", "U8", "[4]", "[4,0]") "}", 4, "data_offsets"},
        {"{" T("x", "U8", "[-4]", "[0,4]") "}", 4, "dimension"},
        {"{" T("x", "U8", "[4.0]", "[0,4]") "}", 4, "dimension"},
        {"{" T("x", "U8", "[9223372036854775807,2,1]", "[0,4]") "}", 4, "product"},
        {"{" T("x", "F32", "[4611686018427387904]", "[0,0]") "}", 0, "too large"},
        {"{" T("x", "F4", "[3]", "[0,2]") "}", 2, "whole number of bytes"},
        {"{" T("x", "F33", "[1]", "[0,4]") "}", 4, "dtype"},
        {"{" T("x", "U8", "[1,1,1,1,1,1,1,1,1]", "[0,1]") "}", 1, "8 dimensions"},
        {"{" T("x", "U8", "[4]", "[0,4,4]") "}", 4, "data_offsets"},
        {"{\"x\":{\"dtype\":\"U8\",\"shape\":[1]}}", 1, "expected an object"},
        {"{\"x\":3}", 0, "expected an object"},
        {"{\"__metadata__\":{\"a\":1}}", 0, "__metadata__"},
        {"[]", 0, "begin with"},
        {" {}", 0, "begin with"},
        {"{", 0, "JSON"},
        {"{\"\xff\":1}", 0, "UTF-8"},
        {"", 0, "begin with"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct safetensors s;
        struct lar_err err = {0};
        long live = mem_live();
        CHECK_EQ(open_text(&s, wrong[i].header, wrong[i].data, &err), LAR_EFORMAT);
        if (!strstr(err.msg, wrong[i].word)) printf("# %s: said: %s\n", wrong[i].header, err.msg);
        CHECK(strstr(err.msg, wrong[i].word));
        CHECK_EQ(mem_live(), live);
    }
#undef T
}

static void lengths_that_lie_are_refused(void)
{
    struct safetensors s;
    struct lar_err err = {0};
    CHECK_EQ(safetensors_open_memory(&s, "1234567", 7, &err), LAR_EFORMAT);
    static const char huge[] = "\377\377\377\377\377\377\377\377{}";
    CHECK_EQ(safetensors_open_memory(&s, huge, 10, &err), LAR_EFORMAT);
    CHECK(strstr(err.msg, "100000000"));
    CHECK_EQ(safetensors_open_memory(&s, "\3\0\0\0\0\0\0\0{}", 10, &err), LAR_EFORMAT);
    CHECK(strstr(err.msg, "past the end"));
}

static void a_header_cannot_take_memory_beyond_its_own_size(void)
{
    size_t n = 1 << 20; /* a million zeros: a tree of 128 bytes each */
    char *p = malloc(n + 8);
    struct safetensors s;
    struct lar_err err = {0};
    CHECK(p != NULL);
    if (!p) return;
    uint64_t h = n;
    memcpy(p, &h, 8);
    for (size_t i = 0; i < n; i++) p[8 + i] = i % 2 ? ',' : '0';
    memcpy(p + 8, "{\"a\":[", 6);
    CHECK_EQ(safetensors_open_memory(&s, p, n + 8, &err), LAR_ENOMEM);
    free(p);
}

static int fail_at, calls;
static int fail_one(size_t n, void *ctx)
{
    (void)n;
    (void)ctx;
    return ++calls == fail_at;
}

static void every_allocation_may_fail(void)
{
    long live = mem_live();
    int done = 0;
    for (fail_at = 1; fail_at < 200 && !done; fail_at++) {
        struct lar_err err = {0};
        calls = 0;
        mem_set_hook(fail_one, NULL);
        int rc = write_two(in_folder("a.safetensors"), 1, &err);
        mem_set_hook(NULL, NULL);
        CHECK_EQ(mem_live(), live);
        CHECK_EQ(files_in_folder(), 1);
        done = rc == LAR_OK;
        CHECK(done || rc == LAR_ENOMEM);
    }
    CHECK(done && fail_at > 4);
    done = 0;
    for (fail_at = 1; fail_at < 200 && !done; fail_at++) {
        struct safetensors s;
        calls = 0;
        mem_set_hook(fail_one, NULL);
        int rc = safetensors_open(&s, in_folder("a.safetensors"), NULL);
        mem_set_hook(NULL, NULL);
        done = rc == LAR_OK;
        if (done) safetensors_close(&s);
        CHECK(done || rc == LAR_ENOMEM);
        CHECK_EQ(mem_live(), live);
    }
    CHECK(done && fail_at > 2);
}

static int real_files;
static int open_real(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    size_t n = strlen(path);
    (void)at;
    (void)st;
    if (kind != FTW_F || n < 12 || strcmp(path + n - 12, ".safetensors") != 0) return 0;
    struct safetensors s;
    struct lar_err err = {0};
    int rc = safetensors_open(&s, path, &err);
    if (rc != LAR_OK) printf("# %s: %s\n", path, err.msg);
    int wrong = strstr(path, "las7-tiny") != NULL; /* five bytes trail its data */
    CHECK_EQ(rc, wrong ? LAR_EFORMAT : LAR_OK);
    if (rc == LAR_OK) {
        real_files++;
        safetensors_close(&s);
    }
    return 0;
}

static void every_real_file_opens(void)
{
    CHECK(nftw("../shared/.", open_real, 16, FTW_PHYS) == 0);
    printf("# %d files\n", real_files);
    CHECK(real_files > 0);
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
    snprintf(folder, sizeof folder, "%.30s/lar-safe-XX" "XX" "XX", tmp ? tmp : "/tmp");
    if (!mkdtemp(folder)) {
        printf("Bail out! no folder for temporary files: %s\n", folder);
        return EXIT_FAILURE;
    }
    RUN(what_is_written_reads_back);
    RUN(the_header_is_padded_to_8_and_plain);
    RUN(a_link_is_followed_and_stays_a_link);
    RUN(what_cannot_be_replaced_is_refused);
    RUN(a_full_disk_says_so_and_leaves_the_old_file);
    RUN(too_little_or_too_much_data_is_the_callers_error);
    RUN(arrays_that_cannot_be_are_refused);
    RUN(right_headers_of_other_writers_are_read);
    RUN(headers_that_lie_are_refused);
    RUN(lengths_that_lie_are_refused);
    RUN(a_header_cannot_take_memory_beyond_its_own_size);
    RUN(every_allocation_may_fail);
    if (access("../shared", F_OK) == 0) RUN(every_real_file_opens);
    else SKIP("../shared is not here");
    nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    return tap_done();
}
