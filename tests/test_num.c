/* SPDX-License-Identifier: Apache-2.0
 * tests/test_num.c: base/num against strtod and printf, bit by bit, and the points of other locales. tests/locale.t runs it under a comma; the
 * C library's answers are then compared with their points changed. */
#include "base/num.h"

#include "base/json.h"
#include "base/mem.h"
#include "base/rng.h"
#include "tap.h"

static uint64_t bits(double v)
{
    uint64_t u;
    memcpy(&u, &v, 8);
    return u;
}

/* What the C library reads, in whatever locale. */
static double reference(const char *z, size_t *used)
{
    char t[4000], *end;
    const char *point = localeconv()->decimal_point;
    snprintf(t, sizeof t, "%s", z);
    char *dot = strchr(t, '.');
    if (dot) *dot = *point;
    double v = strtod(t, &end);
    *used = (size_t)(end - t);
    return v;
}

static void same(const char *z)
{
    char *end;
    size_t used;
    double got = num_parse(z, &end), want = reference(z, &used);
    if (bits(got) != bits(want) || (size_t)(end - z) != used) {
        tap_case_bad++;
        printf("# \"%.60s\": %a (%zu bytes), not %a (%zu)\n", z, got, (size_t)(end - z), want, used);
    }
}

static void numbers_are_read_as_strtod_reads_them(void)
{
    static const char *const text[] = {
        "0", "-0", "1", "+1", "1.5", ".5", "5.", ".", "", "-", "e5", "1e", "1e+", "1e5x", "1.5.5",
        "00012.500", "0.000", "-0.0e9", "0.1", "0.3", "123456789012345", "999999999999999e22", "1e22",
        "1e23", "-1e-22", "1e-23", "9007199254740993", "1e308", "1.7976931348623157e308",
        "1.7976931348623159e308", "1e309", "-1e400", "2.2250738585072011e-308", "4.9e-324", "2.4e-324",
        "2.5e-324", "1e-99999999999999999999", "1e99999999999999999999", "0e99999999999999999999", "0x",
        "0xg", "0x1", "0x.8", "0x.", "0x1.8p3", "0X1P-1074", "-0x1.fffffffffffffp1023",
        "0x1.fffffffffffff8p1023", "0x1p", "0x1.8", "inf", "-infinity", "INFx", "nan", "1_5",
        "8.5e1a", "0x1.00000000000008p0", "0x1.000000000000080000000000000000001p0"};
    for (size_t i = 0; i < sizeof text / sizeof *text; i++) same(text[i]);
    CHECK(num_parse("12.5e3,", NULL) == 12500);
}

static void long_ones_too(void)
{
    char t[3000];
    /* 2^53 + 1 lies between two doubles: only what stands a thousand digits later decides. */
    for (int tail = 0; tail < 2; tail++) {
        int n = snprintf(t, sizeof t, "9007199254740993.");
        memset(t + n, '0', 1000);
        snprintf(t + n + 1000, 3, "%de", tail);
        t[n + 1001] = 0;
        same(t);
        CHECK(num_parse(t, NULL) == (tail ? 9007199254740994.0 : 9007199254740992.0));
    }
    memset(t, '7', 2500);
    snprintf(t + 2500, 99, ".25e-2490");
    same(t);
    snprintf(t, sizeof t, "0.");
    memset(t + 2, '0', 2000);
    snprintf(t + 2002, 99, "125e2001");
    same(t);
    CHECK(num_parse(t, NULL) == 1.25);
}

static void any_double_survives_and_any_decimal_is_rounded_as_strtod_does(void)
{
    struct rng rng;
    char t[64];
    rng_seed(&rng, 12);
    for (int i = 0; i < 200000; i++) {
        double v;
        uint64_t u = rng_u64(&rng);
        memcpy(&v, &u, 8);
        if (!isfinite(v)) continue;
        num_print(t, sizeof t, 'g', 17, v);
        if (bits(num_parse(t, NULL)) != u) tap_case_bad++;
        snprintf(t, sizeof t, "%llu.%03llue%d", (unsigned long long)(u >> (u & 63)),
                 (unsigned long long)(u % 1000), (int)(u >> 8 & 63) - 32);
        same(t);
    }
}

static void what_is_printed_has_a_point(void)
{
    char t[64];
    CHECK_EQ(num_print(t, sizeof t, 'f', 2, -1234.5), 8);
    CHECK_STR(t, "-1234.50");
    num_print(t, sizeof t, 'e', 3, 1.5e-9);
    CHECK_STR(t, "1.500e-09");
    num_print(t, sizeof t, 'a', 13, 1.5);
    CHECK_STR(t, "0x1.8000000000000p+0");
    num_print(t, sizeof t, 'f', 0, 2);
    CHECK_STR(t, "2");
    num_print(t, sizeof t, 'G', 3, -(double)INFINITY);
    CHECK_STR(t, "-INF");
    CHECK_EQ(num_print(t, 4, 'f', 3, 1.25), 5);
    CHECK_STR(num_show(0.1).z, "0.1");
    struct buf b = {0};
    buf_puts(&b, "x");
    num_put(&b, 'f', 1, 0, 3);
    num_put(&b, 'e', 1, 0, 3);
    buf_json_num(&b, -0.25);
    CHECK_STR(buf_z(&b), "x3.3.e+00-0.25");
    buf_done(&b);
}

static void the_points_of_other_locales_are_mended(void)
{
    static const char *const row[][2] = {
        {"1,5", "1.5"}, {"-0,25e-07", "-0.25e-07"}, {"1\xd9\xab" "5", "1.5"}, {"3,", "3."}, {"3,e+00",
        "3.e+00"}, {"3\xd9\xab", "3."}, {"0x1,8p+0", "0x1.8p+0"}, {"12", "12"}, {"3  ", "3  "}, {"3,5  ", "3.5  "},
        {"1e+09", "1e+09"}, {"1.5",
        "1.5"}, {"inf", "inf"}, {"-nan", "-nan"}, {"0x1p-3", "0x1p-3"}};
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        char t[32];
        snprintf(t, sizeof t, "%s", row[i][0]);
        CHECK_EQ(num_mend_point(t), strlen(row[i][1]));
        CHECK_STR(t, row[i][1]);
    }
}

static void json_goes_through_unchanged(void)
{
    struct arena a = {0};
    struct lar_err err = {0};
    const char *text = "[0.5,-1.25e-3,12345678.875]";
    struct json *v = json_parse(&a, str_of(text), &err);
    struct buf b = {0};
    CHECK(v && v->child->num == 0.5 && v->child->next->num == -1.25e-3);
    for (const struct json *c = v ? v->child : NULL; c; c = c->next) buf_json_num(&b, c->num), buf_putc(&b, ' ');
    CHECK_STR(buf_z(&b), "0.5 -0.00125 12345678.875 ");
    buf_done(&b);
    arena_done(&a);
}

int main(void)
{
    tap_timeout(60);
    RUN(numbers_are_read_as_strtod_reads_them);
    RUN(long_ones_too);
    RUN(any_double_survives_and_any_decimal_is_rounded_as_strtod_does);
    RUN(what_is_printed_has_a_point);
    RUN(the_points_of_other_locales_are_mended);
    RUN(json_goes_through_unchanged);
    return tap_done();
}
