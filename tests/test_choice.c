/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/test_choice.c: which of two ways is chosen, by a clock that is ours and kernels that take the time we say; and what is kept of it for the
 * next start. choice_from is static, so the file itself is part of this program.
 */
#include "api/choice.c"
#include "tap.h"

static int64_t time_is, asked, direct_each, panel_each, row_each, step;
static size_t odd_batch; /* at which panels take long */

static int64_t now(void *ctx)
{
    (void)ctx;
    asked++;
    return time_is += step;
}
static const struct kern_clock ours = {now, NULL};

static void fake_mul(size_t k, const void *w, size_t wstride, size_t nrow, const void *act,
                     size_t astride, size_t nact, float *out, size_t ostride)
{
    (void)k, (void)w, (void)wstride, (void)nrow, (void)act, (void)astride, (void)out, (void)ostride;
    time_is += direct_each * (int64_t)nact;
}
static void fake_pack(size_t k, const void *w, size_t wstride, size_t nrow, void *panel)
{
    (void)k, (void)w, (void)wstride, (void)nrow, (void)panel;
    time_is += panel_each;
}
static void fake_gemm(size_t k, const void *panel, size_t nrow, const void *act, size_t astride,
                      size_t nact, float *out, size_t ostride)
{
    (void)k, (void)panel, (void)nrow, (void)act, (void)astride, (void)out, (void)ostride;
    time_is += row_each * (int64_t)nact + (nact == odd_batch ? 10000 : 0);
}
static size_t fake_bytes(size_t k) { return 4 * k; }

static const struct kern_type fake = {.act = ACT_F32,
                                      .mul = fake_mul,
                                      .pack = fake_pack,
                                      .gemm = fake_gemm,
                                      .panel_rows = 64,
                                      .gemm_from = 17,
                                      .panel_bytes = fake_bytes};

/* From which batch on: where a row costs `direct` straight, and a panel `panel` once and `row` a row. */
static uint32_t from_with(int64_t direct, int64_t panel, int64_t row)
{
    struct kern k = {.flags = 0};
    uint32_t from[DTYPE_COUNT] = {0};
    k.type[DT_F32] = fake;
    direct_each = direct, panel_each = panel, row_each = row, step = 0;
    CHECK_EQ(kern_choose(&k, &ours, 1000000000, from, NULL), 0);
    return from[DT_F32];
}

static void a_panel_is_taken_from_the_batch_at_which_it_is_faster(void)
{
    odd_batch = 0;
    CHECK_EQ(from_with(100, 200, 50), 6); /* 6 rows: 600 and 500; 4: 400 and 400 */
    CHECK_EQ(from_with(100, 20, 50), 2);
    CHECK_EQ(from_with(100, 4000, 20), 33); /* 32 rows: 3200 and 4640 */
    CHECK_EQ(from_with(100, 2000, 30), 32); /* 24 rows: 2400 and 2720 */
    CHECK_EQ(from_with(100, 10, 100), 17);  /* one in a hundred is no reason, */
    CHECK_EQ(from_with(100, 1, 95), 17);    /* nor are five */
    odd_batch = 8;
    CHECK_EQ(from_with(100, 200, 50), 12); /* and from there on for all */
    odd_batch = 0;
}

static void no_type_is_begun_after_the_time_is_over(void)
{
    struct kern k = {.flags = 0};
    uint32_t from[DTYPE_COUNT] = {0};
    k.type[DT_F32] = k.type[DT_F16] = k.type[DT_BF16] = fake;
    direct_each = 1000, panel_each = row_each = 1, step = 0;
    CHECK_EQ(kern_choose(&k, &ours, 500000, from, NULL), 1); /* three passes over a type: 321,000 and a little */
    CHECK(from[DT_F32] && from[DT_F16] && !from[DT_BF16]);
    from[DT_F16] = 7;
    CHECK_EQ(kern_choose(&k, &ours, 500000, from, NULL), 0);
    CHECK_EQ(from[DT_F16], 7); /* what is known is not measured again */
    CHECK(from[DT_BF16]);
}

static uint32_t first_of(void)
{
    struct dev *d;
    uint32_t from = 0;
    if (dev_cpu_open(&d, 1, NULL) < 0) return 0;
    for (int t = DTYPE_COUNT - 1; t >= 0; t--)
        if (d->kern->type[t].pack) from = d->kern->type[t].gemm_from;
    dev_close(d);
    return from;
}

static void spoil(const char *path, const char *text, size_t cut)
{
    FILE *f = fopen(path, text ? "w" : "r+");
    CHECK(f != NULL);
    if (f && text) fputs(text, f);
    if (f && !text) CHECK(!ftruncate(fileno(f), (off_t)cut));
    if (f) fclose(f);
}

/* The first number that is kept becomes 5. */
static void change_first(const char *path)
{
    char text[4096], name[16];
    FILE *f = fopen(path, "r+");
    size_t n = f ? fread(text, 1, sizeof text - 1, f) : 0;
    CHECK(n > 0);
    if (!n) return;
    text[n] = 0;
    char *line = strchr(text, '\n') + 1, *rest = strchr(line, '\n');
    CHECK(rest && sscanf(line, "%15s", name) == 1);
    rewind(f);
    fprintf(f, "%.*s%s 5%s", (int)(line - text), text, name, rest ? rest : "");
    CHECK(!fflush(f) && !ftruncate(fileno(f), ftell(f)));
    fclose(f);
}

static void the_choice_is_kept_and_what_is_damaged_or_of_others_is_replaced(void)
{
    char folder[128], path[192];
    struct lar_err err;
    struct kern k;
    unsigned flags;
    struct stat st;
    CHECK(cpu_flags(&flags, &err) == 0);
    kern_init(&k, flags);
    const char *tmp = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%.80s/lar-choice-" "XX" "XX" "XX", tmp && *tmp ? tmp : "/tmp");
    CHECK(mkdtemp(folder) != NULL);
    snprintf(path, sizeof path, "%s/choice-%s", folder, cpu_level_name(k.flags));
    uint32_t before = first_of(), none[DTYPE_COUNT] = {0};
    step = 1000; /* both ways take as long, so no panel pays */
    asked = 0;
    CHECK_EQ(choice_from(folder, &ours, &err), 0);
    if (complete(&k, none)) { /* a level without panels has nothing to choose */
        CHECK_EQ(asked, 0);
        CHECK(stat(path, &st) != 0);
        rmdir(folder);
        return;
    }
    CHECK(asked > 0);
    CHECK_EQ(first_of(), before); /* both ways took as long */
    off_t whole = stat(path, &st) ? 0 : st.st_size;
    CHECK(whole > 0);
    asked = 0;
    change_first(path);
    CHECK_EQ(choice_from(folder, &ours, &err), 0);
    CHECK_EQ(asked, 0); /* read, not measured */
    CHECK_EQ(first_of(), 5);
    for (int damage = 0; damage < 5; damage++) {
        static const char *const text[] = {"", "lar 0.0.1, another program\nq4_0 3\n", "q4_0 3\n", "\n\n\n"};
        spoil(path, damage < 4 ? text[damage] : NULL, (size_t)whole - 2);
        asked = 0;
        CHECK_EQ(choice_from(folder, &ours, &err), 0);
        CHECK(asked > 0);
        CHECK_EQ(first_of(), before);
        CHECK(!stat(path, &st) && st.st_size == whole);
    }
    change_first(path);
    CHECK_EQ(choice_from(folder, &ours, &err), 0);
    CHECK_EQ(first_of(), 5);
    for (int t = 0; t < DTYPE_COUNT; t++) none[t] = 9;
    kern_choice(k.flags ^ CPU_AVX512_BF16, none); /* of another level: not ours to go by */
    CHECK_EQ(first_of(), before);
    memset(none, 0, sizeof none);
    kern_choice(k.flags, none);
    remove(path);
    CHECK(!rmdir(folder)); /* nothing else was left in it */
}

static void where_nothing_can_be_kept_nothing_is_measured(void)
{
    struct lar_err err;
    uint32_t before = first_of();
    asked = 0, step = 1000;
    int rc = choice_from("/nonexistent/folder", &ours, &err);
    CHECK(rc == LAR_EIO || rc == 0); /* 0: a level without panels */
    CHECK_EQ(asked, 0);
    CHECK_EQ(first_of(), before);
    CHECK_EQ(lar_machine_choice(NULL, &err), LAR_EINVAL);
}

int main(void)
{
    tap_timeout(60);
    RUN(a_panel_is_taken_from_the_batch_at_which_it_is_faster);
    RUN(no_type_is_begun_after_the_time_is_over);
    RUN(the_choice_is_kept_and_what_is_damaged_or_of_others_is_replaced);
    RUN(where_nothing_can_be_kept_nothing_is_measured);
    return tap_done();
}
