/* SPDX-License-Identifier: Apache-2.0
 * tests/test_image.c: a timeline written out and read back goes on as if nothing had happened; whatever else is read back changes nothing. */
#include "run/image.h"

#include <fcntl.h>
#include <lar/batch.h>
#include <sys/stat.h>

#include "tap.h"

#define MODEL     "models/lar-demo-q8_0.gguf"
#define RECURRENT "tests/data/golden/lfm2"

enum { N = 150 };
static struct lar_model *demo, *recurrent;
static char folder[64];

static struct lar_session *fresh(struct lar_model *m, enum lar_kv kv, int ctx)
{
    struct lar_session *s;
    struct lar_err err;
    struct lar_session_options o = {.ctx = ctx, .kv = kv};
    if (lar_session_open(&s, m, &o, &err) == 0) return s;
    printf("Bail out! %s\n", err.msg);
    exit(1);
}

static size_t vocab_of(const struct lar_model *m)
{
    struct lar_model_info i;
    lar_model_info(m, &i);
    return (size_t)i.vocab;
}

static void fill(const struct lar_model *m, int32_t *t, size_t n)
{
    for (size_t i = 0; i < n; i++) t[i] = (int32_t)((i * 31 + 7) % vocab_of(m));
}

/* After the same tokens, to the last bit. */
static int same_logits(struct lar_session *a, struct lar_session *b, const struct lar_model *m)
{
    const float *x = lar_session_logits(a), *y = lar_session_logits(b);
    return x && y && memcmp(x, y, vocab_of(m) * sizeof *x) == 0;
}

static void goes_on(struct lar_model *m, enum lar_kv kv)
{
    char path[96];
    int32_t t[N + 20];
    struct stat st;
    struct lar_err err = {0};
    struct lar_session *a = fresh(m, kv, 256), *b = fresh(m, kv, 256);
    fill(m, t, N + 20);
    snprintf(path, sizeof path, "%s/a", folder);
    CHECK_EQ(lar_session_sync(a, t, N, &err), N);
    CHECK_EQ(lar_session_save(a, path, &err), 0);
    CHECK(stat(path, &st) == 0 && (st.st_mode & 0777) == 0600);
    CHECK_EQ(lar_session_load(b, path, &err), N);
    CHECK(same_logits(a, b, m));
    CHECK_EQ(lar_session_sync(b, t, N, &err), 0); /* nothing is left to evaluate */
    for (size_t i = N; i < N + 20; i++) {
        CHECK_EQ(lar_session_extend(a, t + i, 1, NULL, &err), 0);
        CHECK_EQ(lar_session_extend(b, t + i, 1, NULL, &err), 0);
        CHECK(same_logits(a, b, m));
    }
    t[N] ^= 1; /* and both go back to the same place */
    CHECK_EQ(lar_session_sync(a, t, N + 3, &err), lar_session_sync(b, t, N + 3, &err));
    CHECK(same_logits(a, b, m));
    lar_session_close(a);
    lar_session_close(b);
}

static void a_saved_timeline_goes_on_to_the_same_bit(void)
{
    goes_on(demo, LAR_KV_F16);
    goes_on(demo, LAR_KV_F32);
    goes_on(demo, LAR_KV_Q8_0);
}

static void so_does_a_recurrent_one(void) { goes_on(recurrent, LAR_KV_F16); }

static void slices_of_any_length_make_the_whole(void)
{
    static const size_t cut[] = {0, 5, 64, 70, 128, N};
    int32_t t[N];
    struct lar_err err = {0};
    struct lar_session *a = fresh(demo, LAR_KV_F16, 256), *b = fresh(demo, LAR_KV_F16, 200);
    size_t place[3], n = 0;
    fill(demo, t, N);
    CHECK_EQ(lar_session_sync(a, t, N, &err), N);
    CHECK_EQ(lar_session_places(a, place), 0);
    for (size_t i = 0; i + 1 < sizeof cut / sizeof *cut; i++) {
        int64_t bytes = lar_session_pack(a, cut[i], cut[i + 1] - cut[i], NULL, 0, &err);
        uint8_t *p = malloc((size_t)bytes);
        CHECK_EQ(lar_session_pack(a, cut[i], cut[i + 1] - cut[i], p, (size_t)bytes, &err), bytes);
        if (i)
            CHECK_EQ(lar_session_unpack(a, p, (size_t)bytes, &err),
                     LAR_EINVAL); /* begins elsewhere */
        CHECK_EQ(lar_session_unpack(b, p, (size_t)bytes, &err), cut[i + 1] - cut[i]);
        free(p);
    }
    CHECK(memcmp(lar_session_tokens(b, &n), t, sizeof t) == 0 && n == N);
    CHECK(lar_session_logits(b) == NULL);
    for (int i = 0; i < 2; i++) CHECK_EQ(lar_session_extend(i ? a : b, t, 1, NULL, &err), 0);
    CHECK(same_logits(a, b, demo));
    CHECK_EQ(lar_session_pack(a, 100, 100, NULL, 0, &err), LAR_EINVAL);
    lar_session_close(a);
    lar_session_close(b);
}

static void a_recurrent_slice_ends_where_a_state_is_kept(void)
{
    int32_t t[N];
    struct lar_err err = {0};
    struct lar_session *a = fresh(recurrent, LAR_KV_F16, 256),
                       *b = fresh(recurrent, LAR_KV_F16, 256);
    size_t place[3] = {0};
    fill(recurrent, t, N);
    CHECK_EQ(lar_session_sync(a, t, 100, &err), 100);
    CHECK_EQ(lar_session_extend(a, t + 100, 50, NULL, &err), 0);
    CHECK_EQ(lar_session_places(a, place), 2);
    CHECK(place[0] == 150 && place[1] == 100);
    CHECK_EQ(lar_session_pack(a, 0, 64, NULL, 0, &err), LAR_EINVAL);
    CHECK_EQ(lar_session_pack(a, 64, 86, NULL, 0, &err), LAR_EINVAL);
    int64_t bytes = lar_session_pack(a, 0, 100, NULL, 0, &err);
    uint8_t *p = malloc((size_t)bytes);
    CHECK_EQ(lar_session_pack(a, 0, 100, p, (size_t)bytes, &err), bytes);
    CHECK_EQ(lar_session_unpack(b, p, (size_t)bytes, &err), 100);
    CHECK_EQ(lar_session_extend(b, t + 100, 50, NULL, &err), 0);
    CHECK(same_logits(a, b, recurrent));
    free(p);
    lar_session_close(a);
    lar_session_close(b);
}

static void damage_is_found_and_changes_nothing(void)
{
    int32_t t[40];
    struct lar_err err = {0};
    struct lar_session *a = fresh(demo, LAR_KV_Q8_0, 64), *b = fresh(demo, LAR_KV_Q8_0, 64);
    size_t n = 1;
    fill(demo, t, 40);
    CHECK_EQ(lar_session_sync(a, t, 40, &err), 40);
    int64_t bytes = lar_session_pack(a, 0, 40, NULL, 0, &err), found = 0, tried = 0;
    uint8_t *p = malloc((size_t)bytes);
    CHECK_EQ(lar_session_pack(a, 0, 40, p, (size_t)bytes, &err), bytes);
    for (int64_t i = 0; i < bytes; i += i < 300 ? 1 : 97) {
        for (int bit = 0; bit < 8; bit += 7) {
            p[i] ^= (uint8_t)(1 << bit);
            tried++;
            found += lar_session_unpack(b, p, (size_t)bytes, &err) == LAR_EFORMAT;
            p[i] ^= (uint8_t)(1 << bit);
        }
    }
    CHECK_EQ(found, tried);
    for (int64_t cut = 0; cut < bytes; cut += 61)
        CHECK_EQ(lar_session_unpack(b, p, (size_t)cut, &err), LAR_EFORMAT);
    lar_session_tokens(b, &n);
    CHECK_EQ(n, 0);
    CHECK_EQ(lar_session_unpack(b, p, (size_t)bytes, &err), 40);
    free(p);
    lar_session_close(a);
    lar_session_close(b);
}

static void what_is_of_another_kind_or_too_long_is_refused(void)
{
    char path[96], id[2][LAR_IMAGE_ID];
    int32_t t[40];
    struct lar_err err = {0};
    struct lar_session *a = fresh(demo, LAR_KV_F16, 64), *other = fresh(demo, LAR_KV_F32, 64),
                       *small = fresh(demo, LAR_KV_F16, 39);
    size_t n = 1;
    fill(demo, t, 40);
    snprintf(path, sizeof path, "%s/b", folder);
    CHECK_EQ(lar_session_sync(a, t, 40, &err), 40);
    CHECK_EQ(lar_session_save(a, path, &err), 0);
    CHECK_EQ(lar_session_sync(small, t, 5, &err), 5);
    CHECK_EQ(lar_session_load(other, path, &err), LAR_EINVAL);
    CHECK_EQ(lar_session_load(small, path, &err), LAR_ELIMIT);
    CHECK(strstr(err.msg, path) && strstr(err.msg, "39"));
    lar_session_tokens(small, &n);
    CHECK_EQ(n, 0);
    CHECK_EQ(lar_session_load(a, MODEL, &err), LAR_EFORMAT);
    CHECK(lar_session_load(a, "/nowhere", &err) < 0);
    CHECK_EQ(lar_session_identity(a, id[0], &err) + lar_session_identity(small, id[1], &err), 0);
    CHECK_STR(id[0], id[1]);
    CHECK_EQ(lar_session_identity(other, id[1], &err), 0);
    CHECK(strcmp(id[0], id[1]) != 0);
    lar_session_close(a);
    lar_session_close(other);
    lar_session_close(small);
}

int main(void)
{
    struct lar_err err;
    tap_timeout(60);
    snprintf(folder, sizeof folder, "/tmp/lar-test-image.XX" "XX" "XX");
    if (!mkdtemp(folder) || lar_model_open(&demo, MODEL, NULL, &err) < 0 ||
        lar_model_open(&recurrent, RECURRENT, NULL, &err) < 0) {
        printf("Bail out! %s\n", err.msg);
        return 1;
    }
    RUN(a_saved_timeline_goes_on_to_the_same_bit);
    RUN(so_does_a_recurrent_one);
    RUN(slices_of_any_length_make_the_whole);
    RUN(a_recurrent_slice_ends_where_a_state_is_kept);
    RUN(damage_is_found_and_changes_nothing);
    RUN(what_is_of_another_kind_or_too_long_is_refused);
    lar_model_close(demo);
    lar_model_close(recurrent);
    char path[96];
    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/%c", folder, "ab"[i]);
        unlink(path);
    }
    rmdir(folder);
    return tap_done();
}
